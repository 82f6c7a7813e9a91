//! W3C trace context: the two headers by which requests of one task find each other.
//!
//! What does not hold to <https://www.w3.org/TR/trace-context/> is taken for absent, as it asks: a caller's broken header
//! breaks nothing but its own trace. Nothing here decides whether a trace is recorded.

use std::fmt;

use super::record::Trace;

/// Bytes of a `traceparent` of version 00.
const LENGTH: usize = 55;
/// Members that a `tracestate` may have.
const MEMBERS: usize = 32;
/// Longest `tracestate` that is passed on, in bytes. At least 512 have to be.
const LONGEST_STATE: usize = 1_024;
const SAMPLED: u8 = 1;
const RANDOM: u8 = 2;

/// Whose part a request is, as its caller says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parent {
    pub trace_id: u128,
    pub span_id: u64,
    pub sampled: bool,
    /// The right half of the trace's id is random.
    pub random: bool,
}

impl Parent {
    /// Reads a `traceparent`. Later versions are read as far as this one goes.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let version = hex(bytes.get(..2)?)?;
        let rest = bytes.get(LENGTH..)?;
        let whole = rest.is_empty() || (version > 0 && rest.first() == Some(&b'-'));
        let dashed = [2, 35, 52].iter().all(|at| bytes.get(*at) == Some(&b'-'));
        if version == 0xff || !whole || !dashed {
            return None;
        }
        let trace_id = hex(bytes.get(3..35)?).filter(|id| *id != 0)?;
        let span_id = hex(bytes.get(36..52)?).filter(|id| *id != 0)?;
        let flags = u8::try_from(hex(bytes.get(53..55)?)?).ok()?;
        let span_id = u64::try_from(span_id).ok()?;
        Some(Self { trace_id, span_id, sampled: flags & SAMPLED != 0, random: flags & RANDOM != 0 })
    }
}

/// A `traceparent`, as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceParent {
    pub trace_id: u128,
    pub span_id: u64,
    pub sampled: bool,
    pub random: bool,
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = (u8::from(self.sampled) * SAMPLED) | (u8::from(self.random) * RANDOM);
        write!(f, "00-{:032x}-{:016x}-{flags:02x}", self.trace_id, self.span_id)
    }
}

impl Trace {
    /// What an attempt with this span sends on. Where no span is recorded, whoever answers belongs to the caller's.
    #[must_use]
    pub fn parent_of(&self, attempt: u64) -> TraceParent {
        let span_id = if self.recorded { attempt } else { self.parent_id.unwrap_or(self.span_id) };
        TraceParent { trace_id: self.trace_id, span_id, sampled: self.sampled, random: self.random }
    }
}

/// The `tracestate` of all header lines, if it is one.
#[must_use]
pub fn state<'h>(lines: impl Iterator<Item = &'h str>) -> Option<Box<str>> {
    let joined = lines.collect::<Vec<_>>().join(",");
    let members: Vec<&str> = joined.split(',').map(trim).filter(|member| !member.is_empty()).collect();
    let fits = !members.is_empty() && members.len() <= MEMBERS && joined.len() <= LONGEST_STATE;
    (fits && members.iter().all(|member| is_member(member))).then(|| members.join(",").into())
}

fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

fn is_member(text: &str) -> bool {
    let Some((key, value)) = text.split_once('=') else { return false };
    let (tenant, system) = key.split_once('@').map_or(("", key), |(tenant, system)| (tenant, system));
    let named = |text: &str| {
        let rest = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-*/".contains(&byte);
        text.len() <= 256 && text.bytes().all(rest)
    };
    let starts =
        |text: &str| text.bytes().next().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let key_fits = named(tenant) && named(system) && starts(system) && (!key.contains('@') || starts(tenant));
    let printable = |byte: u8| (0x20..=0x7e).contains(&byte) && byte != b',' && byte != b'=';
    key_fits && !value.is_empty() && value.len() <= 256 && value.bytes().all(printable)
}

/// Lowercase digits only: the header has no others.
fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0_u128, |number, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIVEN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_traceparent_is_read_and_written_alike() {
        let parent = Parent::read(GIVEN).unwrap();
        assert_eq!(parent.trace_id, 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
        assert_eq!(parent.span_id, 0x00f0_67aa_0ba9_02b7);
        assert!(parent.sampled && !parent.random);
        let Parent { trace_id, span_id, sampled, random } = parent;
        assert_eq!(TraceParent { trace_id, span_id, sampled, random }.to_string(), GIVEN);
        assert!(Parent::read(&GIVEN.replace("-01", "-03")).unwrap().random);
        assert!(!Parent::read(&GIVEN.replace("-01", "-00")).unwrap().sampled);
    }

    #[test]
    fn later_versions_are_read_as_far_as_this_one_goes() {
        let later = GIVEN.replacen("00", "cc", 1);
        assert!(Parent::read(&later).is_some());
        assert!(Parent::read(&format!("{later}-what-the-future-holds")).is_some());
        assert!(Parent::read(&format!("{later}.what")).is_none());
        assert!(Parent::read(&GIVEN.replacen("00", "ff", 1)).is_none());
        assert!(Parent::read(&format!("{GIVEN}-more")).is_none());
    }

    #[test]
    fn what_is_no_traceparent_is_absent() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        for broken in [
            "",
            "00",
            "00-4bf9-00f0-01",
            &GIVEN.to_uppercase(),
            &GIVEN.replace('-', "_"),
            &GIVEN.replace(id, "00000000000000000000000000000000"),
            &GIVEN.replace("00f067aa0ba902b7", "0000000000000000"),
            &GIVEN.replace("4bf92", "xbf92"),
            &GIVEN.replace("-01", "-0x"),
            &format!(" {GIVEN}"),
            &GIVEN.replace("4bf9", "é9f"),
        ] {
            assert_eq!(Parent::read(broken), None, "{broken:?}");
        }
    }

    #[test]
    fn a_tracestate_is_passed_on_whole_or_not_at_all() {
        let read = |lines: &[&str]| state(lines.iter().copied()).map(String::from);
        assert_eq!(read(&["a=1, b=2", "c@d=3"]).as_deref(), Some("a=1,b=2,c@d=3"));
        assert_eq!(read(&["a=1,,"]).as_deref(), Some("a=1"));
        let many: Vec<String> = (0..33).map(|n| format!("k{n}=v")).collect();
        for broken in ["", "a", "A=1", "a=", "a=b=c", "a= b\u{7f}", "@a=1", "-a=1", &many.join(",")] {
            assert_eq!(read(&[broken]), None, "{broken:?}");
        }
        assert_eq!(read(&[&format!("a={}", "x".repeat(257))]), None);
    }

    #[test]
    fn an_attempt_is_the_parent_where_it_is_recorded_and_the_caller_elsewhere() {
        let mut trace = Trace {
            trace_id: 1,
            span_id: 2,
            parent_id: Some(3),
            sampled: true,
            random: true,
            recorded: true,
            state: None,
        };
        assert_eq!(trace.parent_of(9).span_id, 9);
        trace.recorded = false;
        assert_eq!(trace.parent_of(9).span_id, 3);
        trace.parent_id = None;
        assert_eq!(trace.parent_of(9).span_id, 2);
    }
}
