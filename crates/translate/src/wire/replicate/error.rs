//! Errors: `{"title","detail","status"}` for a request that was refused, a status and a text for a
//! prediction that came to nothing. Reading is shared by all wires (`failure_shapes`).

use serde::Deserialize;

use super::prediction::Status;
use crate::ir::{Failure, FailureKind};
use crate::wire::failure_shapes;
use crate::wire::tree::{Object, to_bytes};

/// Reads an error body of any shape.
pub(super) fn decode(status: u16, body: &[u8]) -> Failure {
    let mut failure = failure_shapes::read(status, body);
    failure.message.truncate(failure.message.trim_end().len());
    let unknown_version = status == 422 && failure.message.to_ascii_lowercase().contains("invalid version");
    // Predictions are created at the model's own path: nothing else can be missing there.
    if failure.kind == FailureKind::NotFound || unknown_version {
        failure.kind = FailureKind::ModelNotFound;
    }
    failure.param = failure.param.or_else(|| invalid_field(body));
    failure
}

/// What a prediction of that status says of itself.
pub(super) fn of_prediction(status: Status, error: Option<&str>) -> Failure {
    let told = error.filter(|text| !text.trim().is_empty());
    let message = told.unwrap_or(match status {
        Status::Canceled => "the prediction was canceled",
        Status::Aborted => "the prediction was aborted before it began",
        _ => "the prediction failed without a word why",
    });
    // The words are classified as those of an error body are; what they do not tell is the model's fault.
    let body = to_bytes(&Object::new().with("error", message));
    let mut failure = failure_shapes::read(200, &body);
    if message.contains("flagged as sensitive") || message.contains("(E005)") {
        failure.kind = FailureKind::ContentPolicy;
        failure.status = 400;
    } else if status == Status::Aborted && told.is_none() {
        failure.kind = FailureKind::Timeout;
        failure.status = 504;
    }
    failure
}

/// The first input that the model's schema refused.
fn invalid_field(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Refusal {
        invalid_fields: Vec<Field>,
    }
    #[derive(Deserialize)]
    struct Field {
        field: String,
    }
    let refusal: Refusal = serde_json::from_slice(body).ok()?;
    refusal.invalid_fields.into_iter().map(|invalid| invalid.field).find(|field| !field.is_empty())
}
