//! Where the top-level members of a JSON object stand.
//!
//! One pass over the body validates it and notes spans; values are neither built nor copied. Nested
//! values are looked at by whoever wants one, on its span.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::ops::Range;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::de::Read;
use serde_json::value::RawValue;

use super::twice;
use crate::wire::BadRequest;

/// Above this many members duplicates are looked for by hashing: a hostile body must not cost the
/// square of its members.
const FEW: usize = 24;

/// The top-level members of one object, as byte ranges of the body they were read from. Every method
/// must be given that same body.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Members {
    /// Just behind the object's `{`.
    pub(super) open: usize,
    pub(super) list: Vec<Member>,
}

/// One member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    /// The key, quotes included.
    pub(super) key: Range<usize>,
    pub(super) value: Range<usize>,
}

impl Members {
    /// Reads the spans of a whole body.
    ///
    /// # Errors
    /// [`BadRequest`] when the body is not JSON (with line and column) or not an object.
    pub fn read(body: &[u8]) -> Result<Self, BadRequest> {
        Self::scan(body).map_err(|error| not_an_object(body, &error))
    }

    /// Refuses members that stand twice: readers disagree on which of them counts. `names` are those
    /// that matter; `None`: all do, and those of nested objects too.
    ///
    /// # Errors
    /// [`BadRequest`] naming the first one.
    pub fn refuse_duplicates(&self, body: &[u8], names: Option<&[&str]>) -> Result<(), BadRequest> {
        let twice = match names {
            None => self.duplicate(body),
            Some(names) => self.twice_among(body, names).map(Cow::Borrowed),
        };
        match (twice, names) {
            (Some(name), _) => Err(stands_twice(&name)),
            (None, Some(_)) => Ok(()),
            (None, None) => twice::find(body).map_or(Ok(()), |path| {
                let message = format!("`{path}` stands twice in its object.");
                Err(BadRequest::at(path, message))
            }),
        }
    }

    /// As [`Self::read`], with the parser's own error.
    pub(super) fn scan(body: &[u8]) -> Result<Self, serde_json::Error> {
        // Checked once as a whole: cheaper than string by string.
        let text = std::str::from_utf8(body);
        if let Ok(text) = text {
            let mut list = Vec::with_capacity(16);
            let found = crate::scan::members(text, |key, value| list.push(Member { key, value }));
            if let Some(open) = found {
                return Ok(Self { open, list });
            }
        }
        // Something is unusual: the parser knows what, and its error names the place.
        let list = match text {
            Ok(text) => spans(serde_json::Deserializer::from_str(text), body),
            Err(_) => spans(serde_json::Deserializer::from_slice(body), body),
        }?;
        let open = body.iter().position(|byte| *byte == b'{').map_or(0, |at| at + 1);
        Ok(Self { open, list })
    }

    /// The bytes of a member's value.
    #[must_use]
    pub fn value<'a>(&self, body: &'a [u8], name: &str) -> Option<&'a [u8]> {
        self.span(body, name).map(|span| slice(body, &span))
    }

    /// Where a member's value stands.
    #[must_use]
    pub fn span(&self, body: &[u8], name: &str) -> Option<Range<usize>> {
        self.list.iter().find(|member| member.is(body, name)).map(|member| member.value.clone())
    }

    /// The first of `names` (at most 32) that stands twice.
    fn twice_among<'n>(&self, body: &[u8], names: &[&'n str]) -> Option<&'n str> {
        let mut met = 0_u32;
        for member in &self.list {
            let Some(at) = names.iter().position(|name| member.is(body, name)) else { continue };
            let bit = 1_u32.checked_shl(u32::try_from(at).ok()?)?;
            if met & bit != 0 {
                return names.get(at).copied();
            }
            met |= bit;
        }
        None
    }

    fn duplicate<'a>(&self, body: &'a [u8]) -> Option<Cow<'a, str>> {
        let mut names = self.list.iter().map(|member| member.name(body));
        if self.list.len() > FEW {
            let mut seen = HashSet::with_capacity(self.list.len());
            return names.find(|name| !seen.insert(name.clone()));
        }
        let earlier = |at: usize, name: &str| self.list.iter().take(at).any(|member| member.is(body, name));
        names.enumerate().find(|(at, name)| earlier(*at, name)).map(|(_, name)| name)
    }
}

impl Member {
    /// The key, unescaped. One that is no text (half of a surrogate pair) stays as it is written.
    pub(super) fn name<'a>(&self, body: &'a [u8]) -> Cow<'a, str> {
        let key = slice(body, &self.key);
        string(key).unwrap_or_else(|| String::from_utf8_lossy(key))
    }

    /// The key between its quotes, escapes and all.
    pub(super) fn key<'a>(&self, body: &'a [u8]) -> &'a [u8] {
        let key = slice(body, &self.key);
        key.get(1..key.len().saturating_sub(1)).unwrap_or_default()
    }

    pub(super) fn is(&self, body: &[u8], name: &str) -> bool {
        let inner = self.key(body);
        // Escapes only make a key longer.
        inner == name.as_bytes()
            || (inner.len() > name.len() && inner.contains(&b'\\') && self.name(body) == name)
    }
}

/// The complaint about a member that stands twice.
pub(super) fn stands_twice(name: &str) -> BadRequest {
    BadRequest::at(name, format!("`{name}` stands twice at the top level of the body."))
}

/// The bytes of a range that was made from this body.
pub(super) fn slice<'a>(body: &'a [u8], range: &Range<usize>) -> &'a [u8] {
    body.get(range.clone()).unwrap_or_default()
}

/// A JSON string's text, borrowed when nothing is escaped. `None` when it is no string.
pub(super) fn string(json: &[u8]) -> Option<Cow<'_, str>> {
    let inner = json.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    if memchr::memchr(b'\\', inner).is_none() {
        return std::str::from_utf8(inner).ok().map(Cow::Borrowed);
    }
    serde_json::from_slice(json).ok().map(Cow::Owned)
}

fn not_an_object(body: &[u8], error: &serde_json::Error) -> BadRequest {
    let message = if error.is_data() && serde_json::from_slice::<&RawValue>(body).is_ok() {
        "The request body must be a JSON object.".to_owned()
    } else if body.iter().all(u8::is_ascii_whitespace) {
        "The request body is empty; a JSON object was expected.".to_owned()
    } else {
        format!("The request body is not valid JSON: {error}.")
    };
    BadRequest::at("", message)
}

fn spans<'de, R: Read<'de>>(
    mut deserializer: serde_json::Deserializer<R>,
    body: &'de [u8],
) -> Result<Vec<Member>, serde_json::Error> {
    let list = deserializer.deserialize_map(MembersVisitor { base: body.as_ptr() as usize })?;
    deserializer.end()?;
    Ok(list)
}

/// Reads the members of an object whose text begins at address `base`: the texts it is given are
/// borrowed from there, so their addresses are their places.
struct MembersVisitor {
    base: usize,
}

impl MembersVisitor {
    fn span(&self, raw: &RawValue) -> Range<usize> {
        let from = (raw.get().as_ptr() as usize).saturating_sub(self.base);
        from..from + raw.get().len()
    }
}

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Vec<Member>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::with_capacity(16);
        while let Some((key, value)) = map.next_entry::<&'de RawValue, &'de RawValue>()? {
            list.push(Member { key: self.span(key), value: self.span(value) });
        }
        Ok(list)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaint(body: &[u8]) -> String {
        Members::read(body).and_then(|members| members.refuse_duplicates(body, None)).unwrap_err().message
    }

    #[test]
    fn spans_are_those_of_the_text() {
        let body = b" {\"a\" : [1, 2] ,\n\"b\\u0062\":\"x\" } ";
        let members = Members::read(body).unwrap();
        assert_eq!(members.open, 2);
        assert_eq!(members.value(body, "a").unwrap(), b"[1, 2]");
        assert_eq!(members.value(body, "bb").unwrap(), b"\"x\"");
        assert_eq!(slice(body, &members.list[1].key), b"\"b\\u0062\"");
        assert!(members.value(body, "c").is_none());
    }

    #[test]
    fn refused_bodies_are_told_apart() {
        assert!(complaint(b"{\"a\":}").contains("line 1 column 6"), "{}", complaint(b"{\"a\":}"));
        assert!(complaint(b"[1]").contains("must be a JSON object"));
        assert!(complaint(b"\"x\"").contains("must be a JSON object"));
        assert!(complaint(b"  ").contains("empty"));
        assert!(complaint(b"{} x").contains("not valid JSON"));
        assert!(complaint(b"{\"a\":\"\xFF\"}").contains("not valid JSON"));
        assert!(complaint(b"{\"a\":1,\"\\u0061\":2}").contains("stands twice"));
    }

    #[test]
    fn duplicates_among_many_members_are_found() {
        let mut members: Vec<String> = (0..1000).map(|n| format!("\"k{n}\":{n}")).collect();
        assert!(Members::read(format!("{{{}}}", members.join(",")).as_bytes()).is_ok());
        members.push("\"k500\":0".into());
        assert!(complaint(format!("{{{}}}", members.join(",")).as_bytes()).contains("k500"));
    }

    #[test]
    fn keys_that_are_no_text_are_kept_apart() {
        let body = b"{\"\\ud800\":1,\"\\ud801\":2,\"\":3}";
        assert_eq!(Members::read(body).unwrap().value(body, "").unwrap(), b"3");
    }

    #[test]
    fn deep_nesting_is_read_without_recursion() {
        let body = format!("{{\"a\":{}{}}}", "[".repeat(200_000), "]".repeat(200_000));
        assert_eq!(Members::read(body.as_bytes()).unwrap().list.len(), 1);
    }
}
