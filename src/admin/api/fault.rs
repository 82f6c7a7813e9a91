//! What the administration says no with: one shape, the original's, with the path of the field that is wrong.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::config::Problem;

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    pub status: StatusCode,
    /// Word for machines.
    pub kind: &'static str,
    pub message: String,
    /// What is wrong with the body, field by field.
    pub problems: Vec<Wrong>,
}

/// One field that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Wrong {
    /// Its path in the body, as `budget.max_limit` or `keys[0].weight`; empty for the whole.
    pub path: String,
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suggestion: Option<String>,
}

/// An error as it is sent.
#[derive(Debug, Serialize, ToSchema)]
pub struct ErrorBody {
    pub is_bifrost_error: bool,
    pub status_code: u16,
    pub error: ErrorFields,
}

/// What is wrong.
#[derive(Debug, Serialize, ToSchema)]
pub struct ErrorFields {
    /// `invalid_body`, `invalid_field`, `not_found`, `conflict`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// For people.
    pub message: String,
    /// Path of the first field that is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Every field that is wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Wrong>,
}

impl Refused {
    #[must_use]
    pub fn new(status: StatusCode, kind: &'static str, message: impl Into<String>) -> Self {
        Self { status, kind, message: message.into(), problems: Vec::new() }
    }

    /// 400: the request cannot be read.
    #[must_use]
    pub fn unreadable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", message)
    }

    /// 403.
    #[must_use]
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", message)
    }

    /// 404: `what` is no more, or was never.
    #[must_use]
    pub fn not_found(what: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", what)
    }

    /// 409.
    #[must_use]
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", message)
    }

    /// 503: for now.
    #[must_use]
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message)
    }

    /// 422: what the fields say cannot be.
    #[must_use]
    pub fn invalid(problems: Vec<Wrong>) -> Self {
        let message = match problems.as_slice() {
            [one] if one.path.is_empty() => one.message.clone(),
            [one] => format!("{}: {}", one.path, one.message),
            many => format!("{} fields are wrong", many.len()),
        };
        let refused = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_field", message);
        Self { problems, ..refused }
    }

    /// 422 for one field.
    #[must_use]
    pub fn field(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self::invalid(vec![Wrong::new(path, message)])
    }
}

impl Wrong {
    #[must_use]
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into(), suggestion: None }
    }

    /// A finding of the configuration's compiler.
    #[must_use]
    pub fn of(problem: &Problem) -> Self {
        Self {
            path: problem.path.clone(),
            message: problem.message.clone(),
            suggestion: problem.suggestion.clone(),
        }
    }

    /// The same with its path from `base` on; `None`: it is elsewhere.
    #[must_use]
    pub fn within(problem: &Problem, base: &str) -> Option<Self> {
        let rest = problem.path.strip_prefix(base)?;
        let inside = rest.is_empty() || rest.starts_with(['.', '[']);
        inside.then(|| Self { path: rest.trim_start_matches('.').to_owned(), ..Self::of(problem) })
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let path = self.problems.first().map(|wrong| wrong.path.clone()).filter(|path| !path.is_empty());
        let error =
            ErrorFields { kind: self.kind.to_owned(), message: self.message, path, problems: self.problems };
        let body = ErrorBody { is_bifrost_error: true, status_code: self.status.as_u16(), error };
        (self.status, Json(body)).into_response()
    }
}

impl From<Refused> for Response {
    fn from(refused: Refused) -> Self {
        refused.into_response()
    }
}
