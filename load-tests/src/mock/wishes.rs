//! What a request asks of the mock, found by byte search: parsing JSON would make the mock slower
//! than some of what it measures. The pace may be set in the prompt's text (`chunks=40`,
//! `interval_us=20000`), because text passes through every gateway and every translation.

use memchr::memmem;
use std::time::Duration;

/// How a stream is paced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Content chunks per stream.
    pub chunks: u64,
    /// Time between them; zero sends as fast as the socket takes them.
    pub interval: Duration,
}

/// Whether the body asks for a stream.
pub fn wants_stream(body: &[u8]) -> bool {
    memmem::find_iter(body, b"\"stream\"").any(|at| {
        let rest = body.get(at + 8..).unwrap_or_default().trim_ascii_start();
        rest.strip_prefix(b":").is_some_and(|value| value.trim_ascii_start().starts_with(b"true"))
    })
}

/// Whether the body asks for usage in an OpenAI stream.
pub fn wants_usage(body: &[u8]) -> bool {
    memmem::find(body, b"\"include_usage\"").is_some()
}

/// The pace the prompt's text asks for, or the default.
pub fn pace(body: &[u8], default: Pace) -> Pace {
    Pace {
        chunks: number_after(body, b"chunks=").unwrap_or(default.chunks),
        interval: number_after(body, b"interval_us=").map_or(default.interval, Duration::from_micros),
    }
}

fn number_after(body: &[u8], name: &[u8]) -> Option<u64> {
    let rest = body.get(memmem::find(body, name)? + name.len()..)?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(rest.get(..digits)?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{Pace, pace, wants_stream, wants_usage};
    use std::time::Duration;

    #[test]
    fn a_stream_is_asked_for_in_any_spacing() {
        assert!(wants_stream(br#"{"stream":true}"#));
        assert!(wants_stream(br#"{"stream_options":{}, "stream" : true}"#));
        assert!(!wants_stream(br#"{"stream":false}"#));
        assert!(!wants_stream(br#"{"stream_options":true}"#));
        assert!(wants_usage(br#"{"stream_options":{"include_usage":true}}"#));
    }

    #[test]
    fn the_prompt_sets_the_pace() {
        let default = Pace { chunks: 40, interval: Duration::ZERO };
        assert_eq!(pace(b"{}", default), default);
        let asked = Pace { chunks: 5, interval: Duration::from_micros(250) };
        assert_eq!(pace(br#"{"content":"chunks=5 interval_us=250"}"#, default), asked);
    }
}
