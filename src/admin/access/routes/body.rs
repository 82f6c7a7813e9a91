//! Bodies with secrets in them: what is wrong with one is said without a word of it.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use http::{StatusCode, header};
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use crate::admin::api::fault::Refused;

/// A JSON body of one shape.
pub struct Typed<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Typed<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refused> {
        // A page of another site can send a form without asking, but not this.
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        if !kind.is_some_and(|kind| kind.to_ascii_lowercase().starts_with("application/json")) {
            let message = "the body must be JSON, with `Content-Type: application/json`";
            return Err(Refused::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message));
        }
        let bytes = Bytes::from_request(request, state).await;
        let bytes = bytes.map_err(|_| Refused::unreadable("the body cannot be read"))?;
        serde_json::from_slice(&bytes).map(Self).map_err(|error| told(&error))
    }
}

fn told(error: &serde_json::Error) -> Refused {
    let place = format!("line {}, column {}", error.line(), error.column());
    if error.classify() != Category::Data {
        return Refused::unreadable(format!("the body is not JSON: see {place}"));
    }
    let text = error.to_string();
    // Only these name a field; others may quote a value.
    let named = ["missing field `", "unknown field `"].iter().find_map(|start| text.strip_prefix(start));
    match named.and_then(|rest| rest.split_once('`')) {
        Some((name, _)) => {
            let what = if text.starts_with("missing") { "this field is missing" } else { "no such field" };
            Refused::field(name, what)
        }
        None => Refused::field("", format!("a value is of another type than its field: see {place}")),
    }
}
