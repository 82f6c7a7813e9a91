//! Ids of requests: the caller's where it has one, else one of ours that begins with its moment.
//!
//! Ordered by time, so that whatever keeps requests in order finds one by its id alone, without an index of ids.

use std::time::SystemTime;

use http::HeaderMap;

/// Longest id of a caller that is taken.
const LONGEST: usize = 128;

/// The caller's id when it is short and plain, else one of ours.
pub fn of(headers: &HeaderMap, at: SystemTime) -> Box<str> {
    plain(headers, "x-request-id").unwrap_or_else(|| made(at))
}

/// A header that names something: short and plain.
pub fn plain(headers: &HeaderMap, name: &str) -> Option<Box<str>> {
    let text = headers.get(name)?.to_str().ok()?;
    let taken = !text.is_empty() && text.len() <= LONGEST && text.bytes().all(|byte| byte.is_ascii_graphic());
    taken.then(|| text.into())
}

/// 48 bits of time and 80 random ones, in hexadecimal.
pub fn made(at: SystemTime) -> Box<str> {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
    let (random, low) = (fastrand::u16(..), fastrand::u64(..));
    let high = ms << 16 | u64::from(random);
    let digits = [spread(high >> 32), spread(high), spread(low >> 32), spread(low)].concat();
    String::from_utf8(digits).unwrap_or_default().into()
}

/// A place for each digit at once, without a table.
fn spread(half: u64) -> [u8; 8] {
    let nibbles = [28, 24, 20, 16, 12, 8, 4, 0].map(|shift| (half >> shift) as u8 & 15);
    nibbles.map(|nibble| nibble + if nibble < 10 { b'0' } else { b'a' - 10 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::record::Record;
    use http::HeaderValue;
    use std::time::Duration;

    #[test]
    fn an_id_begins_with_its_moment() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_millis(0x0192_a5b4_c3d2);
        let (one, other) = (made(at), made(at));
        assert_eq!(&one[..12], "0192a5b4c3d2");
        assert_eq!(Record::moment_of(&one), Some(0x0192_a5b4_c3d2));
        assert!(one.bytes().all(|byte| byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase()));
        assert_ne!(one, other);
    }

    #[test]
    fn ids_are_ordered_as_their_moments() {
        let start = SystemTime::now();
        let ids: Vec<_> = (0..1_000).map(|ms| made(start + Duration::from_millis(ms))).collect();
        assert!(ids.is_sorted());
    }

    #[test]
    fn an_id_that_is_long_or_strange_is_not_taken() {
        let with = |text: &'static str| {
            HeaderMap::from_iter([("x-request-id".parse().unwrap(), HeaderValue::from_static(text))])
        };
        assert_eq!(&*of(&with("mine-1"), SystemTime::now()), "mine-1");
        for strange in ["", "two words", "tab\tbed"] {
            assert_eq!(of(&with(strange), SystemTime::now()).len(), 32, "{strange:?}");
        }
    }
}
