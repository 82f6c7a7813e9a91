//! Who asks the administration, and what they may do there.
//!
//! The gate is asked for every path below `/api`, before anything else is looked at. It must not know what a path does:
//! safe methods read, all others change.

use async_trait::async_trait;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;

use super::api::AdminState;
use super::api::fault::Refused;
use super::door::Visitor;
pub use crate::config::access::AdminRole as Role;

/// Somebody who was let in. It stands in the request's extensions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admin {
    /// For the history: a login, a token's name.
    pub name: String,
    pub role: Role,
}

/// Decides who is let in.
#[async_trait]
pub trait Gate: Send + Sync {
    /// Who asks.
    ///
    /// # Errors
    /// The answer for those who are not let in.
    async fn admit(&self, head: &Parts, visitor: Visitor) -> Result<Admin, Response>;
}

/// Asks the gate, and notes in the request who was let in.
pub async fn ask(State(state): State<AdminState>, request: Request, next: Next) -> Response {
    let (mut head, body) = request.into_parts();
    let visitor = head.extensions.get::<Visitor>().copied();
    let visitor = visitor.unwrap_or(Visitor { address: None, secure: false });
    match state.gate.admit(&head, visitor).await {
        Ok(admin) if admin.role < Role::Admin && !head.method.is_safe() => {
            Refused::forbidden("a viewer changes nothing").into()
        }
        Ok(admin) => {
            head.extensions.insert(admin);
            next.run(Request::from_parts(head, body)).await
        }
        Err(refusal) => refusal,
    }
}
