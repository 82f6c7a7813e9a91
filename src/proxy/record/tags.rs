//! What callers want to find a request by: `x-bf-lh-<name>`, `x-bf-dim-<name>`, and the headers that
//! `client.logging_headers` lists.
//!
//! Bounded, since callers write them. What proves who asks is never among them, whatever is configured.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::telemetry::redact;

/// Tags of one request; more are left out.
const MOST: usize = 32;
/// Bytes of a name; one that is longer is left out.
const LONGEST_NAME: usize = 64;
/// Bytes of a value; what is beyond is cut.
const LONGEST_VALUE: usize = 256;
const PREFIXES: [&str; 2] = ["x-bf-lh-", "x-bf-dim-"];

/// The tags of a request.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tags {
    /// Name, without its prefix, and value.
    pub list: Vec<(Box<str>, Box<str>)>,
    /// There was more than is kept.
    pub cut: bool,
}

/// The tags among `headers`. `listed` are kept under their own names.
pub fn of(headers: &HeaderMap, listed: &[HeaderName]) -> Tags {
    let mut tags = Tags::default();
    for (name, value) in headers {
        let text = name.as_str();
        let own = PREFIXES.iter().find_map(|prefix| text.strip_prefix(prefix));
        if let Some(own) = own.filter(|own| !own.is_empty()) {
            tags.add(own, value);
        }
    }
    for name in listed {
        if let Some(value) = headers.get(name) {
            tags.add(name.as_str(), value);
        }
    }
    tags
}

impl Tags {
    fn add(&mut self, name: &str, value: &HeaderValue) {
        let Ok(value) = std::str::from_utf8(value.as_bytes()) else { return };
        if redact::names_a_credential(name) || self.list.iter().any(|(known, _)| **known == *name) {
            return;
        }
        if name.len() > LONGEST_NAME || self.list.len() == MOST {
            self.cut = true;
            return;
        }
        let kept = value.get(..value.floor_char_boundary(LONGEST_VALUE)).unwrap_or(value);
        self.cut |= kept.len() < value.len();
        self.list.push((name.into(), redact::told(kept).into()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&str, &str)| {
            (name.parse::<HeaderName>().unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap())
        };
        let mut headers = HeaderMap::new();
        headers.extend(pairs.iter().map(pair));
        headers
    }

    fn pairs(tags: &Tags) -> Vec<(&str, &str)> {
        tags.list.iter().map(|(name, value)| (&**name, &**value)).collect()
    }

    #[test]
    fn tags_are_what_callers_and_operators_name() {
        let headers = headers(&[
            ("x-bf-lh-team", "blue"),
            ("x-bf-dim-feature", "søk"),
            ("x-tenant", "acme"),
            ("x-other", "no"),
            ("x-bf-lh-", "nameless"),
            ("x-bf-dim-team", "second"),
        ]);
        let tags = of(&headers, &[HeaderName::from_static("x-tenant"), HeaderName::from_static("x-absent")]);
        assert_eq!(pairs(&tags), [("team", "blue"), ("feature", "søk"), ("x-tenant", "acme")]);
        assert!(!tags.cut);
    }

    #[test]
    fn credentials_are_no_tags_whatever_they_are_called() {
        let secret = "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789";
        let headers = headers(&[
            ("x-bf-lh-authorization", "Bearer abc"),
            ("x-bf-dim-x-api-key", "abc"),
            ("cookie", "session=1"),
            ("x-bf-vk", "sk-bf-1"),
            ("x-bf-lh-note", secret),
        ]);
        let listed = ["cookie", "x-bf-vk", "authorization"].map(HeaderName::from_static);
        assert_eq!(pairs(&of(&headers, &listed)), [("note", redact::MARK)]);
    }

    #[test]
    fn what_is_too_much_is_cut_and_said() {
        let long = "é".repeat(LONGEST_VALUE);
        let tags = of(&headers(&[("x-bf-lh-long", &long)]), &[]);
        assert_eq!(tags.list[0].1.len(), LONGEST_VALUE);
        assert!(tags.cut);
        let many: Vec<String> = (0..=MOST).map(|number| format!("x-bf-lh-n{number}")).collect();
        let many: Vec<(&str, &str)> = many.iter().map(|name| (name.as_str(), "v")).collect();
        let tags = of(&headers(&many), &[]);
        assert_eq!((tags.list.len(), tags.cut), (MOST, true));
        let name = format!("x-bf-lh-{}", "n".repeat(LONGEST_NAME + 1));
        let tags = of(&headers(&[(&name, "v")]), &[]);
        assert_eq!((tags.list.len(), tags.cut), (0, true));
    }
}
