//! `InvokeModel`: bodies as each model family has them. Which of them can be read is known here, and what a
//! relayed answer tells of its tokens; what the other bodies mean is not.

use serde::Deserialize;

use super::exception;
use crate::frame::{Frame, FrameParser, Framing, is_exception};
use crate::ir::{Failure, Usage};
use crate::relay::Members;

/// What is told of a body that only its model's host can take.
pub const UNDERSTOOD: &str = "of the bodies of /invoke only Claude's are understood \
    (`anthropic_version`, `max_tokens`, `messages`), those of other families go to Bedrock alone; \
    /model/{model}/converse takes every model";

/// Whose body it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvokedBody {
    /// Claude's, by its own mark or by the model's name.
    Claude,
    /// It may be Claude's, or of a family with the same names.
    PerhapsClaude,
    /// Another family's.
    Other,
}

impl InvokedBody {
    /// Reads the signs of a body for `model`.
    #[must_use]
    pub fn of(model: &str, body: &[u8]) -> Self {
        let lower = model.to_ascii_lowercase();
        if lower.contains("claude") || lower.contains("anthropic.") {
            return Self::Claude;
        }
        let Ok(members) = Members::read(body) else { return Self::Other };
        let has = |name: &str| members.value(body, name).is_some();
        if has("anthropic_version") {
            return Self::Claude;
        }
        // Nova's messages have their limit elsewhere.
        match has("messages") && has("max_tokens") && !has("inferenceConfig") && !has("schemaVersion") {
            true => Self::PerhapsClaude,
            false => Self::Other,
        }
    }
}

/// The counts in the headers of an answer; `None` when it has none.
#[must_use]
pub fn told_by_headers<'a>(headers: impl Iterator<Item = (&'a str, &'a str)>) -> Option<Usage> {
    let mut usage = Usage::default();
    let mut told = false;
    for (name, value) in headers {
        let Some(what) = name.strip_prefix("x-amzn-bedrock-") else { continue };
        let bucket = match what {
            "input-token-count" => &mut usage.input_uncached,
            "output-token-count" => &mut usage.output,
            "cache-read-input-token-count" => &mut usage.cache_read,
            "cache-write-input-token-count" => &mut usage.cache_write,
            _ => continue,
        };
        if let Ok(count) = value.trim().parse() {
            *bucket = count;
            told = true;
        }
    }
    told.then_some(usage)
}

/// Follows a relayed stream of a model that nobody here can read.
pub struct Meter {
    parser: FrameParser,
    /// What the last chunk told.
    pub usage: Option<Usage>,
    /// The exception that ended it.
    pub failure: Option<Failure>,
}

impl Default for Meter {
    fn default() -> Self {
        Self { parser: FrameParser::new(Framing::EventStreamChunks), usage: None, failure: None }
    }
}

impl Meter {
    /// Looks at the next bytes. A stream that is no event stream is not looked at further.
    pub fn push(&mut self, chunk: &[u8]) {
        self.parser.push(chunk);
        while let Some(frame) = self.parser.next_frame() {
            if is_exception(&frame) {
                self.failure.get_or_insert_with(|| exception(&frame));
            } else if let Some(usage) = metrics(&frame) {
                self.usage = Some(usage);
            }
        }
    }
}

fn metrics(frame: &Frame<'_>) -> Option<Usage> {
    const NAME: &[u8] = b"amazon-bedrock-invocationMetrics";
    #[derive(Deserialize)]
    struct Event {
        #[serde(rename = "amazon-bedrock-invocationMetrics")]
        metrics: Metrics,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    #[derive(Default)]
    struct Metrics {
        input_token_count: u64,
        output_token_count: u64,
        cache_read_input_token_count: u64,
        cache_write_input_token_count: u64,
    }
    memchr::memmem::find(frame.data, NAME)?;
    let Metrics {
        input_token_count,
        output_token_count,
        cache_read_input_token_count,
        cache_write_input_token_count,
    } = serde_json::from_slice::<Event>(frame.data).ok()?.metrics;
    Some(Usage {
        input_uncached: input_token_count,
        output: output_token_count,
        cache_read: cache_read_input_token_count,
        cache_write: cache_write_input_token_count,
        ..Usage::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{write_chunk, write_exception};

    #[test]
    fn bodies_are_told_apart_by_their_marks_and_by_the_model() {
        for (model, body, whose) in [
            ("us.anthropic.claude-sonnet-4-5-v1:0", "{}", InvokedBody::Claude),
            ("claude-haiku", "no json", InvokedBody::Claude),
            ("arn:aws:bedrock:x:1:y/z", r#"{"anthropic_version":"bedrock-2023-05-31"}"#, InvokedBody::Claude),
            ("mistral.m", r#"{"messages":[],"max_tokens":1}"#, InvokedBody::PerhapsClaude),
            ("amazon.nova-pro-v1:0", r#"{"schemaVersion":"messages-v1","messages":[]}"#, InvokedBody::Other),
            ("x", r#"{"messages":[],"max_tokens":1,"inferenceConfig":{}}"#, InvokedBody::Other),
            ("meta.llama3", r#"{"prompt":"x","max_gen_len":1}"#, InvokedBody::Other),
            ("amazon.titan-embed-text-v2:0", r#"{"inputText":"x"}"#, InvokedBody::Other),
            ("x", "no json", InvokedBody::Other),
        ] {
            assert_eq!(InvokedBody::of(model, body.as_bytes()), whose, "{model} {body}");
        }
    }

    #[test]
    fn headers_tell_the_counts() {
        let headers = [
            ("x-amzn-bedrock-input-token-count", "7"),
            ("x-amzn-bedrock-output-token-count", " 3"),
            ("x-amzn-bedrock-cache-read-input-token-count", "2"),
            ("x-amzn-bedrock-cache-write-input-token-count", "many"),
            ("x-amzn-bedrock-invocation-latency", "99"),
        ];
        let usage = Usage { input_uncached: 7, output: 3, cache_read: 2, ..Usage::default() };
        assert_eq!(told_by_headers(headers.into_iter()), Some(usage));
        assert_eq!(told_by_headers([("x-amzn-bedrock-invocation-latency", "9")].into_iter()), None);
    }

    #[test]
    fn the_last_chunk_tells_the_counts_wherever_it_is_cut() {
        let mut stream = Vec::new();
        write_chunk(&mut stream, br#"{"generation":"Hi"}"#);
        let last = br#"{"generation":"","amazon-bedrock-invocationMetrics":{"inputTokenCount":5,"outputTokenCount":2,"cacheReadInputTokenCount":1,"firstByteLatency":9}}"#;
        write_chunk(&mut stream, last);
        let usage = Usage { input_uncached: 5, output: 2, cache_read: 1, ..Usage::default() };
        for size in [1, 7, stream.len()] {
            let mut meter = Meter::default();
            stream.chunks(size).for_each(|chunk| meter.push(chunk));
            assert_eq!((meter.usage, meter.failure), (Some(usage), None), "{size}");
        }
    }

    #[test]
    fn exceptions_are_noted_and_noise_is_not() {
        let mut stream = Vec::new();
        write_exception(&mut stream, "throttlingException", br#"{"message":"slow down"}"#);
        let mut meter = Meter::default();
        meter.push(&stream);
        assert_eq!(meter.failure.map(|failure| failure.status), Some(429));
        let mut meter = Meter::default();
        meter.push(&[0xFF; 4096]);
        assert_eq!((meter.usage, meter.failure), (None, None));
    }
}
