//! Strict JSON in one pass that builds nothing: what a relay needs of a body is read where it stands, the
//! rest is stepped over.
//!
//! A relay looks at every body that goes through, for a handful of members of each. A parser made for
//! building values costs several times as much. What is unusual (broken JSON, a name with escapes, nesting
//! beyond 128 levels) is not told apart here: the caller falls back to the parser, whose errors name the
//! place. Knows no member's name.

use std::ops::Range;

/// Where the members of the object that `text` is stand: calls `each` with the key (quotes included) and the
/// value of every one. Returns the place behind the `{`; `None` when the text is anything but one valid
/// object, in which case `each` may have been called for what stood before the fault.
pub(crate) fn members(text: &str, mut each: impl FnMut(Range<usize>, Range<usize>)) -> Option<usize> {
    let mut scanner = Scanner::new(text);
    scanner.blank();
    let open = scanner.at + 1;
    scanner.members(|scanner, key| {
        let from = scanner.at;
        scanner.skip()?;
        each(key, from..scanner.at);
        Some(())
    })?;
    scanner.end().then_some(open)
}

/// A place in a JSON text. Every method steps over what it reads; `None` leaves the place undefined.
#[derive(Clone)]
pub(crate) struct Scanner<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Scanner<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        Self { text, at: 0 }
    }

    /// An object: `each` is called at each value with the member's name and must step over the value. `None`
    /// also for a name with escapes: it could be any name.
    pub(crate) fn object(&mut self, mut each: impl FnMut(&mut Self, &'t str) -> Option<()>) -> Option<()> {
        self.blank();
        let text = self.text;
        self.members(|scanner, key| {
            let name = text.get(key.start + 1..key.end - 1).filter(|name| !name.contains('\\'))?;
            each(scanner, name)
        })
    }

    /// A list: `each` is called at each item and must step over it.
    pub(crate) fn list(&mut self, mut each: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.blank();
        self.take(b'[')?;
        self.blank();
        if self.take(b']').is_some() {
            return Some(());
        }
        loop {
            each(self)?;
            self.blank();
            if self.take(b',').is_none() {
                return self.take(b']');
            }
            self.blank();
        }
    }

    /// Any value, as it is written.
    pub(crate) fn raw(&mut self) -> Option<&'t str> {
        let from = self.at;
        self.skip()?;
        self.text.get(from..self.at)
    }

    /// A whole number or null; nothing is stepped over when it is neither.
    pub(crate) fn count(&mut self) -> Option<Option<u64>> {
        let from = self.at;
        let mut count = 0_u64;
        while let Some(digit) = self.peek().filter(u8::is_ascii_digit) {
            count = count.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
            self.at += 1;
        }
        let length = self.at - from;
        let padded = length > 1 && self.text.as_bytes().get(from) == Some(&b'0');
        match self.peek() {
            Some(b'n') if length == 0 => self.word(b"null").map(|()| None),
            Some(b'.' | b'e' | b'E') => None,
            _ => (1..=18).contains(&length).then_some(Some(count)).filter(|_| !padded),
        }
    }

    /// Nothing follows but white space.
    pub(crate) fn end(&mut self) -> bool {
        self.blank();
        self.at == self.text.len()
    }

    /// As [`Self::object`], with the name as it is written; the object begins here.
    pub(crate) fn members(
        &mut self,
        mut each: impl FnMut(&mut Self, Range<usize>) -> Option<()>,
    ) -> Option<()> {
        self.take(b'{')?;
        self.blank();
        if self.take(b'}').is_some() {
            return Some(());
        }
        loop {
            let key = self.at;
            self.string()?;
            let key = key..self.at;
            self.colon()?;
            each(self, key)?;
            self.blank();
            if self.take(b',').is_none() {
                return self.take(b'}');
            }
            self.blank();
        }
    }
}

/// The open lists and objects of a value: one bit each, the innermost lowest.
#[derive(Default)]
struct Nesting {
    objects: u128,
    depth: u32,
}

impl Nesting {
    fn open(&mut self, object: bool) -> Option<()> {
        self.depth += 1;
        self.objects = self.objects << 1 | u128::from(object);
        (self.depth <= u128::BITS).then_some(())
    }

    fn close(&mut self) {
        self.depth -= 1;
        self.objects >>= 1;
    }

    fn in_object(&self) -> bool {
        self.objects & 1 == 1
    }
}

impl Scanner<'_> {
    pub(crate) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    pub(crate) fn blank(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\t' | b'\r')) {
            self.at += 1;
        }
    }

    fn colon(&mut self) -> Option<()> {
        self.blank();
        self.take(b':')?;
        self.blank();
        Some(())
    }

    /// Steps over any value, from its first byte to behind its last.
    pub(crate) fn skip(&mut self) -> Option<()> {
        let mut nesting = Nesting::default();
        loop {
            let opened = match self.peek()? {
                b'"' => self.string().map(|()| false)?,
                b'{' | b'[' => self.open(&mut nesting)?,
                _ => self.scalar().map(|()| false)?,
            };
            if opened {
                continue;
            }
            // A value ended: close what it was the last of, or go on to the next.
            loop {
                if nesting.depth == 0 {
                    return Some(());
                }
                self.blank();
                let object = nesting.in_object();
                match self.peek()? {
                    b',' => {
                        self.at += 1;
                        self.blank();
                        if object {
                            self.name()?;
                        }
                        break;
                    }
                    b'}' if object => self.at += 1,
                    b']' if !object => self.at += 1,
                    _ => return None,
                }
                nesting.close();
            }
        }
    }

    /// Enters a list or an object up to its first value. False when it was empty, and is closed again.
    fn open(&mut self, nesting: &mut Nesting) -> Option<bool> {
        let object = self.peek()? == b'{';
        self.at += 1;
        self.blank();
        if self.take(if object { b'}' } else { b']' }).is_some() {
            return Some(false);
        }
        nesting.open(object)?;
        if object {
            self.name()?;
        }
        Some(true)
    }

    fn name(&mut self) -> Option<()> {
        self.string()?;
        self.colon()
    }

    fn string(&mut self) -> Option<()> {
        self.take(b'"')?;
        loop {
            self.plain();
            match self.peek()? {
                b'"' => {
                    self.at += 1;
                    return Some(());
                }
                b'\\' => self.escape()?,
                // Control characters must be escaped.
                0..=0x1f => return None,
                _ => self.at += 1,
            }
        }
    }

    /// Steps over eight bytes at a time while none of them ends the text or needs a look.
    fn plain(&mut self) {
        const ONES: u64 = u64::MAX / 255;
        const HIGH: u64 = ONES << 7;
        let has_zero = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
        while let Some(block) = self.text.as_bytes().get(self.at..).and_then(|rest| rest.first_chunk::<8>()) {
            let word = u64::from_le_bytes(*block);
            let control = word.wrapping_sub(ONES * 0x20) & !word & HIGH;
            let special = has_zero(word ^ (ONES * u64::from(b'"')))
                | has_zero(word ^ (ONES * u64::from(b'\\')))
                | control;
            if special != 0 {
                // The lowest mark is exact; higher ones may be echoes of a borrow.
                self.at += (special.trailing_zeros() / 8) as usize;
                return;
            }
            self.at += 8;
        }
    }

    fn escape(&mut self) -> Option<()> {
        let kind = *self.text.as_bytes().get(self.at + 1)?;
        self.at += 2;
        match kind {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(()),
            b'u' => {
                let digits = self.text.as_bytes().get(self.at..self.at + 4)?;
                self.at += 4;
                digits.iter().all(u8::is_ascii_hexdigit).then_some(())
            }
            _ => None,
        }
    }

    fn scalar(&mut self) -> Option<()> {
        match self.peek()? {
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'n' => self.word(b"null"),
            _ => self.number(),
        }
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        self.text.as_bytes().get(self.at..)?.starts_with(word).then(|| self.at += word.len())
    }

    fn number(&mut self) -> Option<()> {
        let _ = self.take(b'-');
        if self.take(b'0').is_none() {
            self.digits()?;
        }
        if self.take(b'.').is_some() {
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Some(())
    }

    fn digits(&mut self) -> Option<()> {
        let from = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        (self.at > from).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    use super::*;

    /// Keys and values as they are written, by this scanner.
    fn scanned(text: &str) -> Option<Vec<(&str, &str)>> {
        let mut list = Vec::new();
        members(text, |key, value| list.push((&text[key], &text[value])))?;
        Some(list)
    }

    /// The same by the parser.
    fn parsed(text: &str) -> Option<Vec<(&str, &str)>> {
        struct Raw;
        impl<'de> serde::de::Visitor<'de> for Raw {
            type Value = Vec<(&'de str, &'de str)>;
            fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                out.write_str("an object")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut list = Vec::new();
                while let Some((key, value)) = map.next_entry::<&'de RawValue, &'de RawValue>()? {
                    list.push((key.get(), value.get()));
                }
                Ok(list)
            }
        }
        let mut parser = serde_json::Deserializer::from_str(text);
        let list = serde::de::Deserializer::deserialize_map(&mut parser, Raw).ok()?;
        parser.end().ok().map(|()| list)
    }

    #[test]
    fn what_is_json_and_what_is_not_is_what_the_parser_says() {
        let texts = [
            "{}",
            " { } ",
            "{\"a\":1}",
            "{\"a\" : [ 1 , {\"b\":\"\\u00e9\\n\"} , [] ] ,\"c\":-0.5e+10}\n",
            "",
            "[]",
            "{",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{,}",
            "{\"a\":01}",
            "{\"a\":1.}",
            "{\"a\":.5}",
            "{\"a\":-}",
            "{\"a\":1e}",
            "{\"a\":tru}",
            "{\"a\":truee}",
            "{\"a\":\"\\x\"}",
            "{\"a\":\"\\u12\"}",
            "{\"a\":\"\n\"}",
            "{\"a\":\"\u{7f}é\u{1F600}\"}",
            "{\"a\":[1,]}",
            "{\"a\":[}",
            "{\"a\":{]}",
            "{\"a\":1}x",
            "{'a':1}",
            "{\"a\":NaN}",
            "{\"a\":\"12345678\\\"90\"}",
            "{\"a\":+1}",
            "{\"a\":[[]]}",
            "{\"a\":\"unterminated",
            "{\"a\":\"\\",
            "{\"a\":\"\\u",
            "{\"a\":{\"b\":1 \"c\":2}}",
            "{a:1}",
        ];
        for text in texts {
            assert_eq!(scanned(text), parsed(text), "{text}");
        }
    }

    #[test]
    fn counts_are_whole_numbers_or_null() {
        let count = |text| Scanner::new(text).count();
        assert_eq!(count("17,"), Some(Some(17)));
        assert_eq!((count("null}"), count("0")), (Some(None), Some(Some(0))));
        for text in ["", "-1", "1.5", "1e3", "007", "1234567890123456789", "\"1\"", "nul", "{}", "true"] {
            assert_eq!(count(text), None, "{text}");
        }
    }

    #[test]
    fn nesting_is_followed_to_128_levels() {
        let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(scanned(&nested(128)).is_some());
        assert!(scanned(&nested(130)).is_none());
    }

    proptest! {
        #[test]
        fn mutilated_objects_are_seen_as_the_parser_sees_them(
            pieces in proptest::collection::vec(
                proptest::sample::select(vec![
                    "{", "}", "[", "]", ",", ":", "\"", "\\", "\\u00e9", "\"a\"", "\"a\":", "1", "-1.5e3", "0", ".",
                    "true", "null", " ", "\n", "é", "abcdefgh", "\u{1}", "\"k\":{\"x\":[1,2]}",
                ]),
                0..24,
            ),
            whole in any::<bool>(),
        ) {
            let text = if whole { format!("{{\"a\":{}}}", pieces.concat()) } else { pieces.concat() };
            prop_assert_eq!(scanned(&text), parsed(&text), "{}", text);
        }

        #[test]
        fn strings_end_where_they_end(text in any::<String>(), pad in 0..16_usize) {
            let body = format!("{{\"{}\":{}}}", "k".repeat(pad), serde_json::to_string(&text).unwrap());
            prop_assert_eq!(scanned(&body), parsed(&body));
            prop_assert!(scanned(&body).is_some());
        }
    }
}
