//! Entry points for fuzzers: each takes any bytes and panics only on a broken promise.
//!
//! The promises: decoding never panics, what is written is well formed, and where the cuts between
//! chunks fall changes nothing. Asserts are the point here, so this module is for tests alone.

use crate::Wire;
use crate::cache::canonical::{self, Operation, Target};
use crate::cache::guards::differ;
use crate::cache::question::{self, Asking};
use crate::cache::stored::{Grain, Replay, Steps, Stored};
use crate::count;
use crate::frame::{FrameParser, Framing, SseParser};
use crate::ir::{Failure, FailureKind, Request, Usage};
use crate::loss::Losses;
use crate::provider::{self, Destination, Fix, ModelRules, ProviderSpec, Quirks, ReasoningField, UsageStyle};
use crate::relay::{
    Flow, Members, RequestEdits, StreamPipe, StreamPipeOptions, apply_quirks, peek, rewrite_request,
};
use crate::wire::gemini::{Gemini, JsonArray};
use crate::wire::replicate::Prediction;
use crate::wire::{BadResponse, Codec, Dialect, Echo};

/// The SSE parser: any cut gives the same frames, and no byte is lost.
pub fn frames(bytes: &[u8]) {
    let (size, body) = chunk_size(bytes);
    let whole = frames_of(body, body.len().max(1));
    assert_eq!(whole, frames_of(body, size), "frames depend on the cuts");
    let raw: Vec<u8> = whole.iter().flat_map(|frame| frame.0.iter().copied()).collect();
    assert_eq!(raw, body, "frames lost bytes");
}

/// The event-stream parser, plain and around chunks: any cut gives the same frames, and no byte of a whole
/// message is lost.
pub fn event_stream_frames(bytes: &[u8]) {
    let (size, body) = chunk_size(bytes);
    for framing in [Framing::EventStream, Framing::EventStreamChunks] {
        let (whole, broken) = messages_of(framing, body, body.len().max(1));
        assert_eq!(messages_of(framing, body, size), (whole.clone(), broken), "messages depend on the cuts");
        let raw: Vec<u8> = whole.iter().flat_map(|frame| frame.0.iter().copied()).collect();
        assert!(body.starts_with(&raw), "messages lost bytes");
    }
}

/// A chat request in the OpenAI dialect.
pub fn request_openai_chat(bytes: &[u8]) {
    request(Wire::OpenAiChat, bytes);
}

/// A chat request in the Anthropic dialect.
pub fn request_anthropic(bytes: &[u8]) {
    request(Wire::Anthropic, bytes);
}

/// A chat request in the Bedrock dialect.
pub fn request_bedrock_converse(bytes: &[u8]) {
    request(Wire::BedrockConverse, bytes);
}

/// A chat request in the Responses dialect.
pub fn request_openai_responses(bytes: &[u8]) {
    request(Wire::OpenAiResponses, bytes);
}

/// A provider's stream on the Responses wire.
pub fn stream_openai_responses(bytes: &[u8]) {
    stream(Wire::OpenAiResponses, bytes);
}

/// A chat request in the Cohere dialect.
pub fn request_cohere(bytes: &[u8]) {
    request(Wire::Cohere, bytes);
}

/// A chat request in the Gemini dialect.
pub fn request_gemini(bytes: &[u8]) {
    request(Wire::Gemini, bytes);
    let Ok(request) = Gemini.decode_request(bytes) else { return };
    let quirks = Quirks {
        fixes: &[],
        stream_usage: true,
        reasoning_echo: ReasoningField::None,
        usage: UsageStyle::Wire,
    };
    for model in ["gemini-2.5-flash", "gemini-3-pro-preview"] {
        let rules = ModelRules::of("gemini", Wire::Gemini, model);
        let to = Destination { quirks: &quirks, rules: &rules, model };
        if let Ok(body) = Gemini.encode_request(&request, &to, &mut Losses::default()) {
            assert_object(&body);
            let again = Gemini.decode_request(&body);
            assert!(again.is_ok(), "what was written cannot be read: {again:?}");
        }
    }
}

/// A whole answer on the Gemini wire: what is written for a caller reads as an answer again.
pub fn response_gemini(bytes: &[u8]) {
    let codec = Gemini;
    let seen = codec.observe_response(bytes);
    let Ok(response) = codec.decode_response(bytes) else { return };
    if let Ok(seen) = seen {
        assert_eq!(seen.usage, response.usage, "observed and decoded counts differ");
    }
    let body = codec.encode_response(&response, &echo(), &mut Losses::default());
    let again = codec.decode_response(&body);
    assert!(again.is_ok(), "what was written cannot be read: {again:?}");
}

/// A question for a count in any dialect, asked of every provider that counts; and a provider's answer to one.
pub fn count_tokens(bytes: &[u8]) {
    for dialect in Wire::ALL {
        let Ok(mut request) = count::decode_request(dialect, bytes) else { continue };
        let estimated = count::estimate(&request);
        assert!(estimated.input_tokens > 0, "nothing is free");
        assert_object(&count::encode_response(dialect, &estimated, &request, &mut Losses::default()));
        request.model = "model".to_owned();
        for spec in provider::all() {
            let services = spec.services.iter().filter_map(|service| service.counting);
            for counting in spec.counting.into_iter().chain(services) {
                let rules = ModelRules::of(spec.name, counting.format.wire(), &request.model);
                let to = Destination { quirks: &counting.quirks, rules: &rules, model: &request.model };
                let mut losses = Losses::default();
                if let Ok(asked) = count::encode_request(counting.format, &request, &to, &mut losses) {
                    assert_object(&asked);
                }
            }
        }
    }
    for format in count::Format::ALL {
        let Ok(counted) = count::decode_response(format, bytes) else { continue };
        for dialect in Wire::ALL {
            let request = Request::default();
            assert_object(&count::encode_response(dialect, &counted, &request, &mut Losses::default()));
        }
    }
}

/// A provider's stream on the Gemini wire, and the array that a caller without `alt=sse` gets.
pub fn stream_gemini(bytes: &[u8]) {
    stream(Wire::Gemini, bytes);
    let (size, body) = chunk_size(bytes);
    let array = |size: usize| {
        let mut array = JsonArray::new();
        let mut out: Vec<u8> = body.chunks(size).flat_map(|chunk| array.push(chunk)).collect();
        out.extend(array.finish());
        out
    };
    assert_eq!(array(body.len().max(1)), array(size), "the array depends on the cuts");
}

/// A kept answer: what can be read of any bytes is written as it was read, and given again in every dialect.
pub fn stored_answer(bytes: &[u8]) {
    let Some(stored) = Stored::from_bytes(bytes) else { return };
    // The last bit of a float may change with each reading.
    let again = Stored::from_bytes(&stored.to_bytes());
    let parts =
        |stored: &Stored| stored.response.choices.iter().map(|choice| choice.parts.len()).collect::<Vec<_>>();
    assert_eq!(again.as_ref().map(parts), Some(parts(&stored)), "it is read otherwise");
    for wire in Wire::ALL {
        let Some(dialect) = wire.dialect() else { continue };
        assert_object(&stored.whole(dialect, &echo(), &mut Losses::default()));
        let steps = Steps::new(stored.clone().into(), Grain::Words(1));
        let mut replay = Replay::new(steps, (dialect, wire), echo(), true);
        let mut out = Vec::new();
        while replay.next(&mut out) {}
        replay.end(Some("{}"), &mut out);
    }
}

/// Two questions, one on the first line: the guards say the same whichever comes first, and a question is like itself.
pub fn two_questions(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (one, other) = text.split_once('\n').unwrap_or((&text, ""));
    assert_eq!(differ(one, one), None);
    let (found, turned) = (differ(one, other), differ(other, one));
    assert_eq!(found.is_some(), turned.is_some(), "{found:?} {turned:?}");
}

/// A provider's stream on the OpenAI wire.
pub fn stream_openai_chat(bytes: &[u8]) {
    stream(Wire::OpenAiChat, bytes);
}

/// A provider's stream on the Anthropic wire.
pub fn stream_anthropic(bytes: &[u8]) {
    stream(Wire::Anthropic, bytes);
}

/// A provider's stream on Bedrock's wire, written as server-sent events: no fuzzer finds a checksum.
pub fn stream_bedrock_converse(bytes: &[u8]) {
    let (size, body) = chunk_size(bytes);
    let mut parser = SseParser::new();
    parser.push(body);
    let mut messages = vec![u8::try_from(size).unwrap_or(1)];
    while let Some(frame) = parser.finish() {
        Framing::EventStream.write(&mut messages, &frame);
    }
    stream(Wire::BedrockConverse, &messages);
}

/// A provider's stream on the Cohere wire.
pub fn stream_cohere(bytes: &[u8]) {
    stream(Wire::Cohere, bytes);
}

/// A provider's stream of Replicate's.
pub fn stream_replicate(bytes: &[u8]) {
    stream(Wire::Replicate, bytes);
}

/// A prediction: a final one is an answer or a failure, and what is written of it for callers is whole.
pub fn response_replicate(bytes: &[u8]) {
    let read = Prediction::read(bytes);
    let answer = Wire::Replicate.codec().decode_response(bytes);
    if let Ok(prediction) = &read {
        // What is only skimmed may hold text that is none: then it is final, and no answer.
        let settled = match &answer {
            Err(BadResponse::NotJson(_)) => prediction.is_final(),
            answer => matches!(answer, Ok(_) | Err(BadResponse::Failure(_))),
        };
        assert_eq!(prediction.is_final(), settled, "{prediction:?}: {answer:?}");
    }
    let Ok(answer) = answer else { return };
    for dialect in Wire::ALL.into_iter().filter_map(Wire::dialect) {
        let body = dialect.encode_response(&answer, &echo(), &mut Losses::default());
        let again = dialect.decode_response(&body);
        assert!(again.is_ok(), "what was written cannot be read: {again:?}");
    }
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

fn messages_of(framing: Framing, body: &[u8], size: usize) -> (Vec<OwnedFrame>, Option<String>) {
    let mut parser = FrameParser::new(framing);
    let mut frames = Vec::new();
    for chunk in body.chunks(size) {
        parser.push(chunk);
        while let Some(frame) = parser.next_frame() {
            frames.push((frame.raw.to_vec(), frame.event.to_owned(), frame.data.to_vec()));
        }
    }
    (frames, parser.broken())
}

/// The first byte says how the rest is cut, so that the fuzzer can choose.
fn chunk_size(bytes: &[u8]) -> (usize, &[u8]) {
    bytes.split_first().map_or((1, bytes), |(size, body)| (usize::from(*size).max(1), body))
}

fn request(dialect: Wire, body: &[u8]) {
    relay_request(body);
    let Some(Ok(mut request)) = dialect.dialect().map(|dialect| dialect.decode_request(body)) else { return };
    cached(&request);
    // A name that every provider could have.
    request.model = "owner/model".to_owned();
    for spec in provider::all() {
        // Presets name one wire; some speak its younger one as well.
        let also = (spec.wire == Wire::OpenAiChat).then_some(Wire::OpenAiResponses);
        for wire in [spec.wire].into_iter().chain(also) {
            let rules = ModelRules::of(spec.name, wire, &request.model);
            let to = Destination { quirks: &spec.quirks, rules: &rules, model: &request.model };
            let mut losses = Losses::default();
            if let Ok(encoded) = wire.codec().encode_request(&request, &to, &mut losses) {
                assert_object(&apply_quirks(encoded, &spec.quirks, &mut losses));
            }
        }
    }
}

/// What does not change an answer does not change what is asked.
fn cached(request: &Request) {
    let form = |request: &Request| canonical::chat(request, Operation::Chat, &Target::default());
    let mut other = request.clone();
    other.stream = !request.stream;
    other.user = Some("another".into());
    other.model = "another".into();
    assert_eq!(form(request), form(&other), "it is another question");
    let asked = question::of(
        request,
        Operation::Chat,
        &Target::default(),
        &Asking { history: 2, ..Asking::default() },
    );
    if let Ok(asked) = asked {
        assert!(!asked.text.trim().is_empty() && asked.frame != form(request));
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
        if spec.quirks.fixes.contains(&Fix::Take("model")) {
            // It stands in the path.
            continue;
        }
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
        if caller.framing() != Framing::Sse {
            let (messages, broken) = messages_of(caller.framing(), &whole.0, whole.0.len().max(1));
            let length: usize = messages.iter().map(|frame| frame.0.len()).sum();
            assert!(broken.is_none() && length == whole.0.len(), "the last message is open: {broken:?}");
            continue;
        }
        let frames = frames_of(&whole.0, whole.0.len().max(1));
        let open = frames.last().is_some_and(|frame| !frame.0.ends_with(b"\n") && !frame.0.ends_with(b"\r"));
        assert!(!open, "the last frame is open: {}", String::from_utf8_lossy(&whole.0));
    }
}

/// What a caller gets of a stream, and what was counted.
fn carried(caller: Wire, upstream: Wire, body: &[u8], size: usize) -> (Vec<u8>, Option<Usage>, u32) {
    let options = StreamPipeOptions { caller, upstream, echo: echo(), withhold_usage: true, hold_last: true };
    let Some(dialect) = caller.dialect() else { return (Vec::new(), None, 0) };
    let mut pipe = StreamPipe::new(options, dialect);
    let mut out = Vec::new();
    for chunk in body.chunks(size) {
        if pipe.push(chunk, &mut out) == Flow::Complete {
            break;
        }
    }
    if !pipe.end(Some("{}"), &mut out) {
        let failure = pipe.seen().failure.clone().unwrap_or_else(cut_off);
        pipe.fail(&failure, "fuzz", &mut out);
    }
    (out, pipe.usage(), pipe.seen().skipped)
}

fn echo() -> Echo {
    Echo {
        unique: "fuzz".into(),
        now: 1_700_000_000,
        model: "model".into(),
        stream_usage: true,
        request: None,
    }
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
