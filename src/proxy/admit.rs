//! Who comes in: the virtual key that a request shows, and the headers it must have.
//!
//! Asked before the body is read: an upload that is refused anyhow is not waited for. What the caller may use is asked
//! when the plan stands (`grants`).

use http::HeaderMap;
use pingora_proxy::Session;

use govern::verdict::FaultClass;

use super::Gateway;
use super::exchange::Exchange;
use super::fault::{Fault, Refusal};
use super::upstream_response_filter::unix_ms;
use crate::auth::{self, Refused};
use crate::config::governance::{Blocked, Governance};
use crate::config::snapshot::Snapshot;
use crate::route::endpoint::{Local, Route};

/// Notes who calls, where that matters for `route`.
///
/// # Errors
/// The caller is not let in.
pub fn run(
    gateway: &Gateway,
    session: &Session,
    snapshot: &Snapshot,
    route: &Route,
    exchange: &mut Exchange,
) -> Result<(), Fault> {
    let asks_a_model = matches!(route, Route::Provider(_));
    let lists = matches!(route, Route::Local(Local::Models(_) | Local::Model(_)));
    if !asks_a_model && !lists {
        return Ok(());
    }
    if let Some(ticket) = &exchange.inner {
        exchange.caller.clone_from(&ticket.caller);
        return Ok(());
    }
    let head = session.req_header();
    let shown = (&head.headers, head.uri.query().unwrap_or_default());
    let caller = auth::caller(&gateway.directory, &snapshot.governance, shown, unix_ms());
    exchange.caller = caller.map_err(refusal)?;
    if asks_a_model { required(&snapshot.governance, &head.headers) } else { Ok(()) }
}

fn refusal(refused: Refused) -> Fault {
    match refused {
        Refused::Required => Fault::refused(
            Refusal::KeyRequired,
            "a virtual key is required: send it as x-bf-vk, Authorization: Bearer, x-api-key or x-goog-api-key",
        ),
        Refused::NotFound => Fault::refused(Refusal::KeyNotFound, "this virtual key does not exist"),
        Refused::Blocked(Blocked::Inactive) => {
            Fault::refused(Refusal::KeyBlocked, "this virtual key is not active")
        }
        Refused::Blocked(Blocked::Expired) => {
            Fault::refused(Refusal::KeyBlocked, "this virtual key has expired")
        }
        Refused::NotYet => {
            let mut fault = Fault::new(FaultClass::Overloaded, "virtual keys are still being read");
            fault.retry_after_ms = Some(1_000);
            fault
        }
    }
}

fn required(governance: &Governance, headers: &HeaderMap) -> Result<(), Fault> {
    let missing: Vec<&str> = governance
        .required_headers
        .iter()
        .filter(|name| !headers.contains_key(*name))
        .map(http::HeaderName::as_str)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let message = format!("missing required headers: {}", missing.join(", "));
    Err(Fault::refused(Refusal::MissingHeaders, message))
}
