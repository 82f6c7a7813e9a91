//! Members that stand twice in an object anywhere in a body: readers disagree on which of them counts.
//!
//! A request that is translated must mean to the provider what its caller sees in it. Builds nothing but the names
//! of the objects that are open.

use std::borrow::Cow;
use std::collections::HashSet;

use super::members::string;
use crate::scan::Scanner;
use crate::wire::fields::Path;

/// Above this many members names are looked up by hashing: a hostile body must not cost the square of its
/// members.
const FEW: usize = 24;

/// The path of the first member that stands twice in its object. `None` also for a body that is no JSON or nested
/// beyond what decoders read: they say so themselves.
pub(super) fn find(body: &[u8]) -> Option<String> {
    let mut search = Search { text: std::str::from_utf8(body).ok()?, found: None };
    let mut scanner = Scanner::new(search.text);
    scanner.blank();
    search.value(&mut scanner, &Path::Body, 0);
    search.found
}

struct Search<'t> {
    text: &'t str,
    found: Option<String>,
}

impl<'t> Search<'t> {
    /// Steps over a value. `None`: something was found, or cannot be read.
    fn value(&mut self, scanner: &mut Scanner<'t>, at: &Path<'_>, depth: u32) -> Option<()> {
        if depth > u128::BITS {
            return None;
        }
        match scanner.peek()? {
            b'{' => self.object(scanner, at, depth),
            b'[' => {
                let mut index = 0;
                scanner.list(|scanner| {
                    self.value(scanner, &at.item(index), depth + 1)?;
                    index += 1;
                    Some(())
                })
            }
            _ => scanner.skip(),
        }
    }

    fn object(&mut self, scanner: &mut Scanner<'t>, at: &Path<'_>, depth: u32) -> Option<()> {
        let mut names = Names::default();
        scanner.members(|scanner, key| {
            let key = self.text.get(key)?;
            // One that is no text (half of a surrogate pair) stays as it is written.
            let name = string(key.as_bytes()).unwrap_or(Cow::Borrowed(key));
            if names.has(&name) {
                self.found = Some(at.field(&name).to_string());
                return None;
            }
            self.value(scanner, &at.field(&name), depth + 1)?;
            names.add(name);
            Some(())
        })
    }
}

/// The names of one object so far.
#[derive(Default)]
struct Names<'t> {
    few: Vec<Cow<'t, str>>,
    many: HashSet<Cow<'t, str>>,
}

impl<'t> Names<'t> {
    fn has(&self, name: &str) -> bool {
        self.few.iter().any(|known| known == name) || self.many.contains(name)
    }

    fn add(&mut self, name: Cow<'t, str>) {
        if self.few.len() < FEW {
            self.few.push(name);
        } else {
            self.many.insert(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nested_member_that_stands_twice_is_found_with_its_path() {
        let cases = [
            (r#"{"messages":[{"role":"user","content":"a","content":"b"}]}"#, "messages[0].content"),
            (r#" {"a":[[],{"b":{}},[1,{"c":1,"d":{"e":"{","e":2}}]]}"#, "a[2][1].d.e"),
            ("{\"a\":{\"b\":1,\"\\u0062\":2}}", "a.b"),
            (r#"{"m":1,"m":1}"#, "m"),
        ];
        for (body, path) in cases {
            assert_eq!(find(body.as_bytes()).as_deref(), Some(path), "{body}");
        }
    }

    #[test]
    fn the_same_name_in_different_objects_is_none() {
        for body in
            [r#"{"a":{"a":[{"a":1},{"a":2}]},"b":{"a":"{\"a\":1,\"a\":2}"}}"#, "{}", "[", "", "{\"a\":1,}"]
        {
            assert_eq!(find(body.as_bytes()), None, "{body}");
        }
    }

    #[test]
    fn many_members_and_deep_nesting_are_read() {
        let many: Vec<String> = (0..20_000).map(|n| format!("\"k{n}\":{n}")).collect();
        let body = format!("{{\"a\":{{{}}}}}", many.join(","));
        assert_eq!(find(body.as_bytes()), None);
        let body = format!("{{\"a\":{{{},\"k9000\":0}}}}", many.join(","));
        assert_eq!(find(body.as_bytes()).as_deref(), Some("a.k9000"));
        assert_eq!(find(format!("{{\"a\":{}", "[".repeat(200_000)).as_bytes()), None);
    }
}
