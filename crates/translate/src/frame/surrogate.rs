//! Halves of UTF-16 pairs that a provider split between two events.
//!
//! A provider that cuts its text by UTF-16 units sends `\ud83c` at the end of one event and `\udf89` at
//! the start of the next. Each alone is no JSON text; together they are an emoji. A relay passes both on
//! as they came; a translation joins them here.

/// Joins halves over the events of one stream.
#[derive(Debug, Clone, Default)]
pub struct Mender {
    /// The first half, waiting for the second.
    high: Option<u16>,
}

impl Mender {
    /// The event's JSON without lone halves: a first half at the end of a string is kept for the next
    /// event, a second half is joined with the one kept, anything else becomes U+FFFD. `None` when
    /// nothing stands alone.
    pub fn mend(&mut self, json: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(json.len() + 6);
        let mut mended = false;
        let mut rest = json;
        while let Some(at) = memchr::memchr(b'\\', rest) {
            let (before, from) = rest.split_at(at);
            out.extend_from_slice(before);
            let taken = match unit(from) {
                Some(high @ 0xD800..=0xDBFF) => match unit(from.get(6..).unwrap_or_default()) {
                    Some(0xDC00..=0xDFFF) => copy(from, 12, &mut out),
                    _ => {
                        mended = true;
                        self.first(high, from, &mut out)
                    }
                },
                Some(low @ 0xDC00..=0xDFFF) => {
                    mended = true;
                    self.second(low, &mut out)
                }
                Some(_) => copy(from, 6, &mut out),
                None => copy(from, 2, &mut out),
            };
            rest = from.get(taken..).unwrap_or_default();
        }
        out.extend_from_slice(rest);
        mended.then_some(out)
    }

    fn first(&mut self, high: u16, from: &[u8], out: &mut Vec<u8>) -> usize {
        if from.get(6) == Some(&b'"') {
            self.high = Some(high);
        } else {
            out.extend_from_slice(b"\\ufffd");
        }
        6
    }

    fn second(&mut self, low: u16, out: &mut Vec<u8>) -> usize {
        match self.high.take() {
            Some(high) => out.extend_from_slice(format!("\\u{high:04x}\\u{low:04x}").as_bytes()),
            None => out.extend_from_slice(b"\\ufffd"),
        }
        6
    }
}

/// The UTF-16 unit of a `\uXXXX` escape at the start of `text`.
fn unit(text: &[u8]) -> Option<u16> {
    let hex = text.strip_prefix(b"\\u")?.get(..4)?;
    u16::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()
}

fn copy(from: &[u8], length: usize, out: &mut Vec<u8>) -> usize {
    let length = length.min(from.len());
    out.extend_from_slice(from.get(..length).unwrap_or_default());
    length
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mend(mender: &mut Mender, json: &str) -> Option<String> {
        mender.mend(json.as_bytes()).map(|out| String::from_utf8(out).unwrap())
    }

    #[test]
    fn halves_of_two_events_are_joined() {
        let mut mender = Mender::default();
        assert_eq!(mend(&mut mender, r#"{"a":"x\ud83c"}"#).unwrap(), r#"{"a":"x"}"#);
        assert_eq!(mend(&mut mender, r#"{"a":"\udf89\ud83c"}"#).unwrap(), r#"{"a":"\ud83c\udf89"}"#);
        assert_eq!(mend(&mut mender, r#"{"a":"\udf8a y"}"#).unwrap(), r#"{"a":"\ud83c\udf8a y"}"#);
    }

    #[test]
    fn whole_pairs_and_other_escapes_stay() {
        for json in [r#"{"a":"\ud83c\udf89\n\\ud83c\u00e9\""}"#, "{}", "", "\\", "\\u12"] {
            assert_eq!(mend(&mut Mender::default(), json), None, "{json}");
        }
    }

    #[test]
    fn halves_without_a_partner_become_the_replacement_character() {
        assert_eq!(mend(&mut Mender::default(), r#""\udf89""#).unwrap(), r#""\ufffd""#);
        assert_eq!(mend(&mut Mender::default(), r#""\ud83c x""#).unwrap(), r#""\ufffd x""#);
    }
}
