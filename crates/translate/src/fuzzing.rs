//! Entry points for fuzzers: each takes any bytes and panics only on a broken promise.
//!
//! The promises: decoding never panics, what is written is well formed, and where the cuts between
//! chunks fall changes nothing. Asserts are the point here, so this module is for tests alone.

use crate::Wire;
use crate::frame::SseParser;
use crate::ir::{Failure, FailureKind, Usage};
use crate::loss::Losses;
use crate::provider::{self, Destination, ModelRules, ProviderSpec};
use crate::relay::{
    Flow, Members, RequestEdits, StreamPipe, StreamPipeOptions, apply_quirks, peek, rewrite_request,
};
use crate::wire::Echo;

/// The SSE parser: any cut gives the same frames, and no byte is lost.
pub fn frames(bytes: &[u8]) {
    let (size, body) = chunk_size(bytes);
    let whole = frames_of(body, body.len().max(1));
    assert_eq!(whole, frames_of(body, size), "frames depend on the cuts");
    let raw: Vec<u8> = whole.iter().flat_map(|frame| frame.0.iter().copied()).collect();
    assert_eq!(raw, body, "frames lost bytes");
}

/// A chat request in the OpenAI dialect.
pub fn request_openai_chat(bytes: &[u8]) {
    request(Wire::OpenAiChat, bytes);
}

/// A chat request in the Anthropic dialect.
pub fn request_anthropic(bytes: &[u8]) {
    request(Wire::Anthropic, bytes);
}

/// A provider's stream on the OpenAI wire.
pub fn stream_openai_chat(bytes: &[u8]) {
    stream(Wire::OpenAiChat, bytes);
}

/// A provider's stream on the Anthropic wire.
pub fn stream_anthropic(bytes: &[u8]) {
    stream(Wire::Anthropic, bytes);
}

type OwnedFrame = (Vec<u8>, String, Vec<u8>);

fn frames_of(body: &[u8], size: usize) -> Vec<OwnedFrame> {
    let mut parser = SseParser::new();
    let mut frames = Vec::new();
    for chunk in body.chunks(size) {
        parser.push(chunk);
        while let Some(frame) = parser.next_frame() {
            frames.push((frame.raw.to_vec(), frame.event.to_owned(), frame.data.to_vec()));
        }
    }
    while let Some(frame) = parser.finish() {
        frames.push((frame.raw.to_vec(), frame.event.to_owned(), frame.data.to_vec()));
    }
    frames
}

/// The first byte says how the rest is cut, so that the fuzzer can choose.
fn chunk_size(bytes: &[u8]) -> (usize, &[u8]) {
    bytes.split_first().map_or((1, bytes), |(size, body)| (usize::from(*size).max(1), body))
}

fn request(dialect: Wire, body: &[u8]) {
    relay_request(body);
    let Ok(mut request) = dialect.codec().decode_request(body) else { return };
    request.model = "model".to_owned();
    for spec in provider::all() {
        let rules = ModelRules::of(spec.name, spec.wire, &request.model);
        let to = Destination { quirks: &spec.quirks, rules: &rules, model: &request.model };
        let mut losses = Losses::default();
        if let Ok(encoded) = spec.wire.codec().encode_request(&request, &to, &mut losses) {
            assert_object(&apply_quirks(encoded, &spec.quirks, &mut losses));
        }
    }
}

/// The way of a body whose dialect is the provider's wire: every provider's edits, and none.
fn relay_request(body: &[u8]) {
    let Ok(peeked) = peek(body) else { return };
    let rewrite = |spec: &ProviderSpec, model: &str| {
        let edits = RequestEdits { model, ask_usage: true, quirks: &spec.quirks, drop: &["fallbacks"] };
        rewrite_request(body, &peeked, &edits, &mut Losses::default()).into_owned()
    };
    for spec in provider::all() {
        let edited = rewrite(spec, "another");
        assert_object(&edited);
        let again = peek(&edited);
        assert_eq!(again.as_ref().map(|peek| peek.model.as_ref()), Ok("another"), "the edits broke the body");
    }
}

fn assert_object(body: &[u8]) {
    let object = Members::read(body);
    assert!(object.is_ok(), "{object:?}: {}", String::from_utf8_lossy(body));
}

fn stream(upstream: Wire, bytes: &[u8]) {
    let (size, body) = chunk_size(bytes);
    for caller in Wire::ALL {
        let whole = carried(caller, upstream, body, body.len().max(1));
        assert_eq!(whole, carried(caller, upstream, body, size), "the answer depends on the cuts");
        let frames = frames_of(&whole.0, whole.0.len().max(1));
        let open = frames.last().is_some_and(|frame| !frame.0.ends_with(b"\n") && !frame.0.ends_with(b"\r"));
        assert!(!open, "the last frame is open: {}", String::from_utf8_lossy(&whole.0));
    }
}

/// What a caller gets of a stream, and what was counted.
fn carried(caller: Wire, upstream: Wire, body: &[u8], size: usize) -> (Vec<u8>, Option<Usage>, u32) {
    let echo = Echo { unique: "fuzz".into(), now: 1_700_000_000, model: "model".into(), stream_usage: true };
    let options = StreamPipeOptions { caller, upstream, echo, withhold_usage: true, hold_last: true };
    let mut pipe = StreamPipe::new(options);
    let mut out = Vec::new();
    for chunk in body.chunks(size) {
        if pipe.push(chunk, &mut out) == Flow::Complete {
            break;
        }
    }
    if !pipe.end(Some("{}"), &mut out) {
        let failure = pipe.seen().failure.clone().unwrap_or_else(cut_off);
        pipe.fail(&failure, "fuzz", None, &mut out);
    }
    (out, pipe.usage(), pipe.seen().skipped)
}

fn cut_off() -> Failure {
    Failure {
        status: 502,
        kind: FailureKind::Upstream,
        message: "the stream ended early".to_owned(),
        native_type: None,
        code: None,
        param: None,
    }
}
