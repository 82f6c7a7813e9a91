//! Two spellings of one name: Google's JSON reader takes camelCase and snake_case alike, and its SDKs send
//! both. Complaints name the spelling that was sent.

use serde_json::{Map, Value};

use super::Wire;
use crate::ir::Extra;
use crate::wire::fields::Fields;

/// The name under which a field stands: `snake` when only that is there, else `camel`.
pub(super) fn spelled(fields: &Fields<'_>, camel: &'static str, snake: &'static str) -> &'static str {
    if fields.peek(camel).is_none() && fields.peek(snake).is_some() { snake } else { camel }
}

/// What nobody took, without nulls.
pub(super) fn rest(fields: Fields<'_>) -> Map<String, Value> {
    let mut rest = fields.rest();
    rest.retain(|_, value| !value.is_null());
    rest
}

/// The same, as the pivot keeps it.
pub(super) fn extra(fields: Fields<'_>) -> Extra {
    Extra::of(Wire::Gemini, rest(fields))
}

/// A name in camelCase.
pub(super) fn camel(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut up = false;
    for c in name.chars() {
        match c {
            '_' if !out.is_empty() => up = true,
            c if up => {
                out.push(c.to_ascii_uppercase());
                up = false;
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snake_case_becomes_camel_case() {
        for (from, to) in [
            ("safety_settings", "safetySettings"),
            ("labels", "labels"),
            ("cachedContent", "cachedContent"),
            ("_x", "_x"),
            ("a__b_", "aB"),
        ] {
            assert_eq!(camel(from), to);
        }
    }
}
