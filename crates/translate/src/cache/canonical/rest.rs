//! What decoders left over, as far as it is part of what is asked; and the names of what is not.
//!
//! Only what its vendor documents as without any say in the answer is out. Everything else is in, under the wire
//! that gave it its name: the same name need not mean the same elsewhere.

use serde_json::{Map, Value};

use super::form::Form;
use crate::ir::Extra;

/// Members of a request's top level that do not change the answer, in alphabetical order.
pub(super) const OUT: [&str; 8] = [
    // Where the provider's prompt cache ends (Anthropic, automatic caching).
    "cache_control",
    // Words for the bill (Vertex AI).
    "labels",
    // Who is served first (Cohere).
    "priority",
    // Which prompt cache is asked, and how long it keeps (OpenAI).
    "prompt_cache_key",
    "prompt_cache_retention",
    // Who the end user is (OpenAI).
    "safety_identifier",
    // Whether the provider keeps the answer (OpenAI).
    "store",
    // How the stream is written (OpenAI).
    "stream_options",
];

/// The mark behind a part at which a provider's prompt cache may end.
const MARK: &str = "cache_control";
/// The same as a block of its own (Bedrock).
const POINT: &str = "cachePoint";

/// Writes what is left of a request's top level.
pub(super) fn of_request(form: &mut Form, extra: &Extra) {
    write(form, extra, |name, value| {
        let counts_only = name == "usage" && value.as_object().is_some_and(asks_for_counts);
        !counts_only && OUT.binary_search(&name).is_err()
    });
}

/// Writes what is left of anything else.
pub(super) fn of_part(form: &mut Form, extra: &Extra) {
    write(form, extra, |name, _| name != MARK);
}

/// A block or tool that is a cache point and nothing else.
pub(in crate::cache) fn is_point(value: &Value) -> bool {
    value.as_object().is_some_and(|map| map.len() == 1 && map.contains_key(POINT))
}

/// An opaque value without its mark.
pub(super) fn unmarked(form: &mut Form, value: &Value) {
    match value {
        Value::Object(map) => form.members(map, |name, _| name != MARK),
        other => form.value(other),
    }
}

fn write(form: &mut Form, extra: &Extra, keep: impl Fn(&str, &Value) -> bool) {
    let keep = |name: &str, value: &Value| !value.is_null() && keep(name, value);
    if !extra.fields.iter().any(|(name, value)| keep(name, value)) {
        return;
    }
    // Fields of text completions are no wire's.
    form.field("rest_of", |form| form.text(extra.wire.map_or("none", crate::Wire::name)));
    form.field("rest", |form| form.members(&extra.fields, keep));
}

/// OpenRouter's spelling of "tell me the counts".
fn asks_for_counts(usage: &Map<String, Value>) -> bool {
    usage.iter().all(|(name, value)| name == "include" && value.is_boolean())
}
