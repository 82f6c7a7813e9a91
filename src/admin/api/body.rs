//! What a request says: its body as JSON, who asks, and what it believes to change.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::AdminState;
use super::fault::{Refused, Wrong};
use crate::admin::door::Visitor;
use crate::admin::who::{Admin, Role};
use crate::config::{Document, Format};

/// A JSON object. Fields that are null are kept: a patch takes them away.
#[derive(Debug)]
pub struct Body(pub Map<String, Value>);

/// What the query says.
#[derive(Debug)]
pub struct Query<T>(pub T);

/// What the path names.
#[derive(Debug)]
pub struct Path<T>(pub T);

/// Who asks, and which version of a thing they have seen.
#[derive(Debug, Clone)]
pub struct Asker {
    pub name: String,
    pub role: Role,
    /// For the audit log.
    pub address: String,
    /// `If-Match`: the change is made to this version, or not at all.
    pub if_match: Option<String>,
}

impl FromRequest<AdminState> for Body {
    type Rejection = Refused;

    async fn from_request(request: Request, state: &AdminState) -> Result<Self, Refused> {
        // A page of another site can send a form without asking, but not this.
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let essence = kind.map(|kind| kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
        if !essence.is_some_and(|kind| kind == "application/json" || kind.ends_with("+json")) {
            let message = "the body must be JSON, with `Content-Type: application/json`";
            return Err(Refused::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message));
        }
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|_| Refused::unreadable("the body cannot be read"))?;
        match parse(&bytes)? {
            Value::Object(map) => Ok(Self(map)),
            _ => Err(Refused::unreadable("the body must be a JSON object")),
        }
    }
}

impl<T: DeserializeOwned> FromRequestParts<AdminState> for Query<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &AdminState) -> Result<Self, Refused> {
        let read = axum::extract::Query::<T>::from_request_parts(parts, state).await;
        read.map(|found| Self(found.0)).map_err(|wrong| Refused::unreadable(wrong.body_text()))
    }
}

impl<T: DeserializeOwned + Send> FromRequestParts<AdminState> for Path<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &AdminState) -> Result<Self, Refused> {
        let read = axum::extract::Path::<T>::from_request_parts(parts, state).await;
        read.map(|found| Self(found.0)).map_err(|wrong| Refused::unreadable(wrong.body_text()))
    }
}

impl FromRequestParts<AdminState> for Asker {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _state: &AdminState) -> Result<Self, Refused> {
        let nobody = || Refused::forbidden("nobody is known to ask");
        let admin = parts.extensions.get::<Admin>().cloned().ok_or_else(nobody)?;
        let address = parts.extensions.get::<Visitor>().and_then(|visitor| visitor.address);
        let if_match = parts.headers.get(header::IF_MATCH).and_then(|value| value.to_str().ok());
        Ok(Self {
            name: admin.name,
            role: admin.role,
            address: address.map(|address| address.to_string()).unwrap_or_default(),
            if_match: if_match.map(str::to_owned).filter(|tag| tag != "*"),
        })
    }
}

/// JSON text without fields that are there twice.
fn parse(bytes: &[u8]) -> Result<Value, Refused> {
    let value = serde_json::from_slice(bytes).map_err(|error| {
        // Its text has a place and what was expected there, nothing of the body.
        Refused::unreadable(format!("the body is not JSON: {error}"))
    })?;
    let text = std::str::from_utf8(bytes).map_err(|_| Refused::unreadable("the body is not UTF-8"))?;
    Document::parse("body", text, Format::Json).map_err(|problems| {
        let wrong: Vec<Wrong> = problems.iter().map(Wrong::of).collect();
        Refused { status: StatusCode::BAD_REQUEST, kind: "invalid_request", ..Refused::invalid(wrong) }
    })?;
    Ok(value)
}

/// A JSON merge patch (RFC 7386): what it names replaces, null takes away, all else stays.
pub fn patch(target: &mut Value, patch: &Value) {
    let Value::Object(changes) = patch else {
        patch.clone_into(target);
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(map) = target else { return };
    for (name, change) in changes {
        if change.is_null() {
            map.remove(name);
        } else {
            self::patch(map.entry(name.clone()).or_insert(Value::Null), change);
        }
    }
}

/// Takes out what is null: it means "not set" everywhere.
pub fn without_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, inner| !inner.is_null());
            map.values_mut().for_each(without_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(without_nulls),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The examples of RFC 7386, appendix A.
    #[test]
    fn a_merge_patch_is_applied_as_its_rfc_says() {
        for (target, change, expected) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
            (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
            (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
            (json!([1, 2]), json!({"a": "b", "c": null}), json!({"a": "b"})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        ] {
            let mut patched = target.clone();
            patch(&mut patched, &change);
            assert_eq!(patched, expected, "{target} with {change}");
        }
    }

    #[test]
    fn a_field_that_is_there_twice_is_refused_with_its_path() {
        let refused = parse(br#"{"budget": {"max_limit": 1, "max_limit": 2}}"#).unwrap_err();
        assert_eq!(refused.status, StatusCode::BAD_REQUEST);
        assert_eq!(refused.problems[0].path, "budget.max_limit");
    }
}
