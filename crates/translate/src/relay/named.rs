//! Gemini's bodies that name the model once more than the path does: embeddings (each entry of a batch) and the
//! wrapped form of `countTokens`. The API refuses a name that is not the path's, and the caller's may be one that
//! only the gateway knows (`provider/model`).
//!
//! Must not touch anything but those names.

use std::borrow::Cow;
use std::ops::Range;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::edit::quoted;

/// The body with `model` wherever it names one; borrowed when it names it already, or is none of these bodies.
#[must_use]
pub fn rename_models<'a>(body: &'a [u8], model: &str) -> Cow<'a, [u8]> {
    let Ok(named) = serde_json::from_slice::<Body<'_>>(body) else { return Cow::Borrowed(body) };
    let resource = if model.starts_with("models/") || model.starts_with("tunedModels/") {
        quoted(model)
    } else {
        quoted(&format!("models/{model}"))
    };
    let inner = named.requests.iter().flatten().chain(named.wrapped.iter());
    let spans: Vec<Range<usize>> = named
        .model
        .into_iter()
        .chain(inner.filter_map(|entry| entry.model))
        .filter(|name| is_short(name.get()) && name.get() != resource)
        .map(|name| span(body, name))
        .collect();
    if spans.is_empty() {
        return Cow::Borrowed(body);
    }
    Cow::Owned(replaced(body, spans, resource.as_bytes()))
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow, default)]
    model: Option<&'a RawValue>,
    #[serde(borrow, default)]
    requests: Option<Vec<Entry<'a>>>,
    #[serde(borrow, default, rename = "generateContentRequest", alias = "generate_content_request")]
    wrapped: Option<Entry<'a>>,
}

#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(borrow, default)]
    model: Option<&'a RawValue>,
}

/// A name, and not one with its project or publisher before it: those are Vertex's, and no gateway's.
fn is_short(name: &str) -> bool {
    name.starts_with('"') && !name.starts_with("\"projects/") && !name.starts_with("\"publishers/")
}

/// The value is borrowed from the body: its address is its place.
fn span(body: &[u8], value: &RawValue) -> Range<usize> {
    let from = (value.get().as_ptr() as usize).saturating_sub(body.as_ptr() as usize);
    from..from + value.get().len()
}

fn replaced(body: &[u8], mut spans: Vec<Range<usize>>, with: &[u8]) -> Vec<u8> {
    spans.sort_by_key(|span| span.start);
    let mut out = Vec::with_capacity(body.len());
    let mut from = 0;
    for span in spans {
        out.extend_from_slice(body.get(from..span.start).unwrap_or_default());
        out.extend_from_slice(with);
        from = span.end;
    }
    out.extend_from_slice(body.get(from..).unwrap_or_default());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn renamed(body: &str, model: &str) -> String {
        String::from_utf8(rename_models(body.as_bytes(), model).into_owned()).unwrap()
    }

    #[test]
    fn a_gateways_name_inside_a_batch_becomes_the_providers_own_and_the_rest_stays() {
        let body = r#"{ "odd":[1, 2],"requests": [{"model":"models/house/e-1", "content":{"model":"x"}},{"content":{}},
            {"content":{},"model" : "models/e-1"}], "model":"house/e-1"}"#;
        let wanted = r#"{ "odd":[1, 2],"requests": [{"model":"models/e-1", "content":{"model":"x"}},{"content":{}},
            {"content":{},"model" : "models/e-1"}], "model":"models/e-1"}"#;
        assert_eq!(renamed(body, "e-1"), wanted);
        assert_eq!(renamed(body, "models/e-1"), wanted);
    }

    #[test]
    fn the_wrapped_request_of_a_count_is_named_too() {
        let body = r#"{"generateContentRequest":{"model":"models/house/g","contents":[]}}"#;
        assert_eq!(renamed(body, "g"), r#"{"generateContentRequest":{"model":"models/g","contents":[]}}"#);
        assert_eq!(renamed(body, "tunedModels/t").matches(r#""tunedModels/t""#).count(), 1);
    }

    #[test]
    fn what_needs_no_edit_is_borrowed() {
        for body in [
            "{\"model\":\"models/g\"}",
            "{}",
            "{\"model\":3}",
            "[",
            "{\"requests\":{\"model\":\"x\"}}",
            r#"{"model":"publishers/google/models/x"}"#,
        ] {
            assert!(matches!(rename_models(body.as_bytes(), "g"), Cow::Borrowed(_)), "{body}");
        }
    }
}
