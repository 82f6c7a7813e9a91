//! The pipe over two small wires: `Lines` ends with a terminator of its own (as OpenAI does), `Named`
//! with a data frame (as Anthropic does). Both carry the same five kinds of objects.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::frame::Frame;
use crate::ir::Event;
use crate::ir::{Delta, Finish, FinishReason, PartKind, Request, Response};
use crate::provider::Destination;
use crate::wire::{BadFrame, BadRequest, BadResponse};
use crate::wire::{FrameVerdict, StreamDecoder, StreamEncoder};

struct Toy {
    terminator: &'static [u8],
    closing: &'static [u8],
}

static LINES: Toy = Toy { terminator: b"data: [DONE]\n\n", closing: b"" };
static NAMED: Toy = Toy { terminator: b"", closing: b"event: e\ndata: {\"stop\":1}\n\n" };

enum Said {
    Text(String),
    Finish,
    Usage(u64),
    Failure(String),
    End,
}

fn said(data: &[u8]) -> Option<Said> {
    if data == b"[DONE]" {
        return Some(Said::End);
    }
    let value: Value = serde_json::from_slice(data).ok()?;
    let (key, value) = value.as_object()?.iter().next()?;
    Some(match key.as_str() {
        "text" => Said::Text(value.as_str()?.to_owned()),
        "finish" => Said::Finish,
        "usage" => Said::Usage(value.as_u64()?),
        "error" => Said::Failure(value.as_str()?.to_owned()),
        "stop" => Said::End,
        _ => return None,
    })
}

fn failure(message: &str) -> Failure {
    Failure {
        status: 500,
        kind: FailureKind::Upstream,
        message: message.into(),
        native_type: None,
        code: None,
        param: None,
    }
}

fn usage(output: u64) -> Usage {
    Usage { output, reasoning: 2, ..Usage::default() }
}

fn events(said: Said, out: &mut Vec<Event>) {
    let finish =
        Finish { reason: FinishReason::Stop, native: "stop".into(), stop_sequence: None, details: None };
    match said {
        Said::Text(text) => {
            out.push(Event::PartStart { choice: 0, part: 0, kind: PartKind::Text });
            out.push(Event::PartDelta { choice: 0, part: 0, delta: Delta::Text(text) });
        }
        Said::Finish => out.push(Event::Finish { choice: 0, finish }),
        Said::Usage(output) => out.push(Event::Usage(usage(output))),
        Said::Failure(message) => out.push(Event::Failure(failure(&message))),
        Said::End => out.push(Event::End),
    }
}

struct ToyDecoder;

impl StreamDecoder for ToyDecoder {
    fn frame(&mut self, frame: &Frame<'_>, out: &mut Vec<Event>) -> Result<(), BadFrame> {
        events(said(frame.data).ok_or_else(|| BadFrame("not understood".into()))?, out);
        Ok(())
    }

    fn end(&mut self, out: &mut Vec<Event>) {
        out.push(Event::PartStop { choice: 0, part: 0 });
    }
}

struct ToyEncoder(&'static Toy);

impl StreamEncoder for ToyEncoder {
    fn event(&mut self, event: &Event, out: &mut Vec<u8>, losses: &mut Losses) {
        let value = match event {
            Event::PartDelta { delta: Delta::Text(text), .. } => json!({ "text": text }),
            Event::Finish { .. } => json!({ "finish": 1 }),
            Event::Usage(usage) => json!({ "usage": usage.output }),
            Event::Ping => return out.extend_from_slice(b": ping\n\n"),
            Event::End if self.0.terminator.is_empty() => json!({ "stop": 1 }),
            Event::End => return out.extend_from_slice(self.0.terminator),
            Event::PartStop { .. } => return losses.report("part", "closed"),
            _ => return,
        };
        self.0.write(out, &value);
    }
}

impl Toy {
    fn write(&self, out: &mut Vec<u8>, value: &Value) {
        match self.terminator.is_empty() {
            true => crate::frame::write_event(out, "e", value.to_string().as_bytes()),
            false => crate::frame::write_data(out, value.to_string().as_bytes()),
        }
    }
}

impl Codec for Toy {
    fn encode_request(
        &self,
        _: &Request,
        _: &Destination<'_>,
        _: &mut Losses,
    ) -> Result<Vec<u8>, BadRequest> {
        unreachable!()
    }
    fn decode_response(&self, _: &[u8]) -> Result<Response, BadResponse> {
        unreachable!()
    }
    fn decode_failure(&self, _: u16, _: &[u8]) -> Failure {
        unreachable!()
    }
    fn stream_decoder(&self) -> Box<dyn StreamDecoder> {
        Box::new(ToyDecoder)
    }
}

impl Dialect for Toy {
    fn decode_request(&self, _: &[u8]) -> Result<Request, BadRequest> {
        unreachable!()
    }
    fn encode_response(&self, _: &Response, _: &Echo, _: &mut Losses) -> Vec<u8> {
        unreachable!()
    }
    fn encode_failure(&self, _: &Failure, _: &str) -> Vec<u8> {
        unreachable!()
    }
    fn encode_stream_failure(&self, failure: &Failure, request_id: &str) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out, &json!({ "error": failure.message, "id": request_id }));
        out
    }
    fn stream_encoder(&self, _: Echo) -> Box<dyn StreamEncoder> {
        Box::new(ToyEncoder(if self.terminator.is_empty() { &NAMED } else { &LINES }))
    }
    fn observe_frame(&self, frame: &Frame<'_>, seen: &mut Observation) -> FrameVerdict {
        let Some(said) = said(frame.data) else {
            seen.skipped += 1;
            return FrameVerdict::Invalid;
        };
        let verdict = match &said {
            Said::Text(_) | Said::Finish => FrameVerdict::Relay,
            Said::Usage(_) => FrameVerdict::UsageOnly,
            Said::Failure(_) => FrameVerdict::Failure,
            Said::End => FrameVerdict::Terminator,
        };
        let mut noted = Vec::new();
        events(said, &mut noted);
        noted.iter().filter(|event| **event != Event::End).for_each(|event| watch::note(seen, event));
        verdict
    }
    fn observe_response(&self, _: &[u8]) -> Result<Observation, BadResponse> {
        unreachable!()
    }
    fn stream_terminator(&self) -> &'static [u8] {
        self.terminator
    }
    fn closing_frame(&self) -> &'static [u8] {
        self.closing
    }
}

/// Ends with the frame that holds the finish, as Gemini does.
static BARE: Toy = Toy { terminator: b"", closing: b"" };

fn codec(wire: Wire) -> &'static Toy {
    match wire {
        Wire::OpenAiChat => &LINES,
        Wire::Gemini => &BARE,
        _ => &NAMED,
    }
}

const ONE: (Wire, Wire) = (Wire::OpenAiChat, Wire::OpenAiChat);
const NAMED_ONE: (Wire, Wire) = (Wire::Anthropic, Wire::Anthropic);
const TO_NAMED: (Wire, Wire) = (Wire::Anthropic, Wire::OpenAiChat);
const TO_LINES: (Wire, Wire) = (Wire::OpenAiChat, Wire::Anthropic);

/// A pipe of (caller, upstream).
fn pipe((caller, upstream): (Wire, Wire), withhold_usage: bool, hold_last: bool) -> StreamPipe {
    let options = StreamPipeOptions { caller, upstream, echo: Echo::default(), withhold_usage, hold_last };
    StreamPipe::with_codecs(options, codec(caller), codec(upstream))
}

/// Everything a caller gets, whether the answer was whole, and what was seen.
fn run<'a>(
    mut pipe: StreamPipe,
    chunks: impl IntoIterator<Item = &'a [u8]>,
    extra: Option<&str>,
) -> (String, bool, Observation) {
    let mut out = Vec::new();
    for chunk in chunks {
        if pipe.push(chunk, &mut out) == Flow::Complete {
            break;
        }
    }
    let before = out.len();
    let whole = pipe.end(extra, &mut out);
    if !whole {
        assert_eq!(out.len(), before, "an incomplete end appends nothing");
        let failure = pipe.seen().failure.clone().unwrap_or_else(|| failure("cut"));
        pipe.fail(&failure, "r1", &mut out);
    }
    let length = out.len();
    assert_eq!(pipe.push(b"data: {\"text\":\"late\"}\n\n", &mut out), Flow::Complete);
    assert!(!pipe.end(None, &mut out));
    pipe.fail(&failure("late"), "r2", &mut out);
    assert_eq!(out.len(), length, "a closed pipe stays closed");
    (String::from_utf8(out).unwrap(), whole, pipe.seen().clone())
}

const ANSWER: &str = ": hi\n\ndata: {\"text\":\"a\"}\r\n\r\ndata:{\"text\": \"b\"}\n\ndata: {\"finish\":1}\n\n: ping\n\ndata: {\"usage\":7}\n\ndata: [DONE]\n\n";

#[test]
fn relay_copies_the_bytes() {
    let (out, whole, seen) = run(pipe(ONE, false, false), [ANSWER.as_bytes()], None);
    assert_eq!(out, ANSWER);
    assert!(whole && seen.done && seen.content);
    assert_eq!((seen.output_chars, seen.skipped, seen.usage), (2, 0, Some(usage(7))));
    assert_eq!(run(pipe(ONE, false, true), [ANSWER.as_bytes()], None).0, ANSWER);
}

#[test]
fn usage_frame_that_we_asked_for_is_withheld_but_counted() {
    let (out, _, seen) = run(pipe(ONE, true, true), [ANSWER.as_bytes()], Some("{}"));
    let expected = ANSWER
        .replace("data: {\"usage\":7}\n\n", "")
        .replace("{\"finish\":1}", "{\"finish\":1,\"extra_fields\":{}}");
    assert_eq!(out, expected);
    assert_eq!(seen.usage, Some(usage(7)));
}

#[test]
fn extra_fields_go_on_the_last_data_frame() {
    let (out, ..) = run(pipe(ONE, false, true), [ANSWER.as_bytes()], Some("{\"a\":1}"));
    assert_eq!(out, ANSWER.replace("{\"usage\":7}", "{\"usage\":7,\"extra_fields\":{\"a\":1}}"));
    let named = "event: e\ndata: {\"finish\":1}\n\nevent: stop\ndata: {\"stop\":1 }\n\n";
    let (out, ..) = run(pipe(NAMED_ONE, false, true), [named.as_bytes()], Some("{}"));
    assert_eq!(out, named.replace("1 }", "1 ,\"extra_fields\":{}}"));
}

#[test]
fn frames_before_the_finish_pass_at_once() {
    let mut pipe = pipe(ONE, false, true);
    let mut out = Vec::new();
    let first = b"data: {\"text\":\"a\"}\n\n";
    assert_eq!(pipe.push(first, &mut out), Flow::Continue);
    assert_eq!(out, first);
    assert_eq!(pipe.push(b"data: {\"finish\":1}\n\n", &mut out), Flow::Continue);
    assert_eq!(out, first, "held");
    assert_eq!(pipe.push(b"data: [DONE]\n\n", &mut out), Flow::Complete);
    assert_eq!(out, first, "held until the end");
}

#[test]
fn missing_terminators_are_added() {
    let cut = "data: {\"text\":\"a\"}\n\ndata: {\"finish\":1}\n\n";
    let (out, whole, seen) = run(pipe(ONE, false, false), [cut.as_bytes()], None);
    assert!(whole && !seen.done);
    assert_eq!(out, format!("{cut}data: [DONE]\n\n"));
    let (out, ..) = run(pipe(NAMED_ONE, false, true), [cut.as_bytes()], Some("{}"));
    let stop = "event: e\ndata: {\"stop\":1,\"extra_fields\":{}}\n\n";
    assert_eq!(out, format!("{cut}{stop}"));
}

#[test]
fn nothing_is_added_where_the_last_frame_is_the_end() {
    let cut = "data: {\"text\":\"a\"}\n\ndata: {\"finish\":1}\n\n";
    let (out, whole, _) = run(pipe((Wire::Gemini, Wire::Gemini), false, true), [cut.as_bytes()], Some("{}"));
    assert!(whole);
    assert_eq!(out, "data: {\"text\":\"a\"}\n\ndata: {\"finish\":1,\"extra_fields\":{}}\n\n");
}

#[test]
fn unterminated_last_event_is_closed() {
    let (out, whole, _) = run(pipe(ONE, false, false), [&b"data: {\"finish\":1}\n"[..]], None);
    assert!(whole);
    assert_eq!(out, "data: {\"finish\":1}\n\ndata: [DONE]\n\n");
    let (out, whole, seen) =
        run(pipe(ONE, false, false), [&b"data: {\"finish\":1}\n\ndata: [DONE]"[..]], None);
    assert!(whole && seen.done);
    assert_eq!(out, "data: {\"finish\":1}\n\ndata: [DONE]\n\n");
}

#[test]
fn the_beginning_of_an_event_that_was_cut_was_relayed_as_an_empty_event() {
    let text = &b"event: t\ndata: {\"text\":\"a\"}\n\n"[..];
    let next = &b"event: t\ndata: {\"text\":\"b\"}\n"[..];
    for wires in [ONE, NAMED_ONE] {
        let (broken_off, ..) = run(pipe(wires, false, false), [text], None);
        for cut in 1..next.len() - 3 {
            let (out, whole, _) = run(pipe(wires, false, false), [text, &next[..cut]], None);
            assert!(!whole);
            assert_eq!(out, broken_off, "cut at {cut}");
        }
    }
}

#[test]
fn stream_without_a_finish_is_not_whole() {
    let cut = "data: {\"text\":\"a\"}\n\ndata: {\"text\":\"b\"}";
    let (out, whole, _) = run(pipe(ONE, false, true), [cut.as_bytes()], Some("{}"));
    assert!(!whole);
    assert_eq!(out, format!("{cut}\n\ndata: {{\"error\":\"cut\",\"id\":\"r1\"}}\n\n"));
    let done = "data: {\"text\":\"a\"}\n\ndata: [DONE]\n\n";
    let (out, whole, _) = run(pipe(ONE, false, true), [done.as_bytes()], None);
    assert!(!whole);
    assert_eq!(out, "data: {\"text\":\"a\"}\n\ndata: {\"error\":\"cut\",\"id\":\"r1\"}\n\n");
}

#[test]
fn parts_of_a_cut_stream_are_not_closed() {
    for (input, closed) in [(&b"data: {\"text\":\"a\"}\n\n"[..], false), (b"data: {\"finish\":1}\n\n", true)]
    {
        let mut pipe = pipe(TO_NAMED, false, false);
        pipe.push(input, &mut Vec::new());
        assert_eq!(pipe.end(None, &mut Vec::new()), closed);
        assert_eq!(pipe.losses().as_slice().iter().any(|loss| loss.reason == "closed"), closed);
    }
}

#[test]
fn failure_inside_the_stream_is_told_once_and_after_what_was_held() {
    let failed = "data: {\"text\":\"a\"}\n\ndata: {\"finish\":1}\n\ndata: {\"error\":\"full\"}\n\n";
    let error = "{\"error\":\"full\",\"id\":\"r1\"}\n\n";
    for (wires, prefix) in [(ONE, "data: "), (TO_NAMED, "event: e\ndata: ")] {
        let (out, whole, seen) = run(pipe(wires, false, true), [failed.as_bytes()], Some("{}"));
        assert!(!whole);
        assert_eq!(seen.failure, Some(failure("full")));
        assert_eq!(out, format!("{prefix}{{\"text\":\"a\"}}\n\n{prefix}{{\"finish\":1}}\n\n{prefix}{error}"));
    }
}

#[test]
fn bad_frames_are_skipped_and_counted() {
    let bad = "data: {\"text\":\"a\"}\n\ndata: {oops\n\ndata: {\"what\":1}\n\ndata: {\"finish\":1}\n\ndata: [DONE]\n\n";
    let (out, whole, seen) = run(pipe(ONE, false, false), [bad.as_bytes()], None);
    assert!(whole);
    assert_eq!(seen.skipped, 2);
    assert!(!out.contains("oops") && !out.contains("what"));
    let (_, whole, seen) = run(pipe(TO_NAMED, false, false), [bad.as_bytes()], None);
    assert!(whole);
    assert_eq!(seen.skipped, 2);
}

#[test]
fn translation_encodes_every_event_and_the_end_once() {
    let (out, whole, seen) = run(pipe(TO_NAMED, false, false), [ANSWER.as_bytes()], None);
    assert!(whole && seen.done && seen.content);
    let frame = |json: &str| format!("event: e\ndata: {json}\n\n");
    let text = [frame("{\"text\":\"a\"}"), frame("{\"text\":\"b\"}"), frame("{\"finish\":1}")].concat();
    assert_eq!(out, format!("{text}: ping\n\n{}{}", frame("{\"usage\":7}"), frame("{\"stop\":1}")));
    assert_eq!((seen.output_chars, seen.usage), (2, Some(usage(7))));
    let (held, ..) = run(pipe(TO_NAMED, false, true), [ANSWER.as_bytes()], Some("{}"));
    assert_eq!(held, out.replace("{\"stop\":1}", "{\"stop\":1,\"extra_fields\":{}}"));
}

#[test]
fn translation_to_a_wire_with_a_terminator_splices_the_frame_before_it() {
    let named = "event: e\ndata: {\"text\":\"a\"}\n\nevent: e\ndata: {\"finish\":1}\n\n";
    let (out, whole, _) = run(pipe(TO_LINES, false, true), [named.as_bytes()], Some("{}"));
    assert!(whole);
    let expected = "data: {\"text\":\"a\"}\n\ndata: {\"finish\":1,\"extra_fields\":{}}\n\ndata: [DONE]\n\n";
    assert_eq!(out, expected);
}

#[test]
fn usage_style_reaches_the_caller_and_the_account() {
    let mut pipe = pipe(TO_NAMED, false, false).with_usage_style(UsageStyle::OutputExcludesReasoning);
    let mut out = Vec::new();
    pipe.push(ANSWER.as_bytes(), &mut out);
    assert!(String::from_utf8(out).unwrap().contains("{\"usage\":9}"));
    assert_eq!(pipe.usage().unwrap().output, 9);
    assert_eq!(pipe.seen().usage.unwrap().output, 7);
    assert_eq!(pipe.seen().output_chars, 2);
}

#[test]
fn endless_event_is_a_failure() {
    let mut pipe = pipe(ONE, false, false);
    let mut out = Vec::new();
    let chunk = vec![b'x'; 1 << 20];
    let flows: Vec<Flow> = (0..17).map(|_| pipe.push(&chunk, &mut out)).collect();
    assert_eq!(flows.last(), Some(&Flow::Complete));
    assert_eq!(flows[..16], [Flow::Continue; 16]);
    assert_eq!(pipe.seen().failure.as_ref().unwrap().status, 502);
    assert!(out.is_empty());
}

#[test]
fn choice_that_opens_late_makes_the_answer_unfinished_again() {
    let mut seen = Observation::default();
    let finish =
        Finish { reason: FinishReason::Length, native: String::new(), stop_sequence: None, details: None };
    watch::note(&mut seen, &Event::Finish { choice: 0, finish: finish.clone() });
    assert_eq!(seen.finish, Some(FinishReason::Length));
    watch::note(&mut seen, &Event::PartStart { choice: 1, part: 0, kind: PartKind::Text });
    assert_eq!(seen.finish, None);
    watch::note(&mut seen, &Event::Finish { choice: 1, finish });
    assert_eq!(seen.finish, Some(FinishReason::Length));
}

#[test]
fn a_finish_reason_that_a_decoder_holds_back_is_seen() {
    let chunk = |index: u64, text: &str, finish: Option<&str>| json!({"choices": [{"index": index, "delta": {"content": text}, "finish_reason": finish}]});
    let candidate = |index: u64, text: &str, finish: Option<&str>| {
        let parts = json!([{"text": text}]);
        json!({"candidates": [{"index": index, "content": {"parts": parts}, "finishReason": finish}]})
    };
    for upstream in [Wire::OpenAiChat, Wire::Gemini] {
        let frame = |index, text, finish| match upstream {
            Wire::Gemini => candidate(index, text, finish),
            _ => chunk(index, text, finish),
        };
        let options = StreamPipeOptions {
            caller: Wire::Anthropic,
            upstream,
            echo: Echo::default(),
            withhold_usage: false,
            hold_last: false,
        };
        let mut pipe = StreamPipe::new(options, Wire::Anthropic.dialect().unwrap());
        let mut say = |frame: Value| {
            pipe.push(format!("data: {frame}\n\n: alive\n\n").as_bytes(), &mut Vec::new());
            let seen = pipe.seen();
            (seen.finish, seen.is_finished(), seen.endings(), pipe.events())
        };
        assert_eq!(say(frame(0, "a", None)), (None, false, 0, 1), "{upstream:?}");
        assert_eq!(say(frame(0, "", Some("STOP"))), (None, true, 1, 2), "{upstream:?}");
        assert_eq!(say(frame(1, "b", None)), (None, false, 1, 3), "{upstream:?}");
        assert_eq!(say(frame(1, "", Some("STOP"))), (None, true, 2, 4), "{upstream:?}");
        assert!(pipe.end(None, &mut Vec::new()) && pipe.seen().choices_finished == 3);
    }
}

fn stream() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => Just("data: {\"text\":\"aé\"}\n\n"),
        2 => Just("event: e\r\ndata:{\"text\":\"b\"}\r\n\r\n"),
        1 => Just("data: {\"finish\":1}\n\n"),
        1 => Just("data: {\"usage\":7}\r\r"),
        1 => Just("data: {bad\n\n"),
        1 => Just(": ping\n\n"),
        1 => Just("\n\r\n"),
        1 => Just("data: {\"error\":\"e\"}\n\n"),
        1 => Just("data: {\"text\":\ndata: \"c\"}\n\n"),
        1 => Just("data: [DONE]\n\n"),
        1 => Just("data: {\"text\""),
    ];
    proptest::collection::vec(piece, 0..14).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_cut_gives_the_same_stream(
        input in stream(),
        cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..6),
        withhold in any::<bool>(),
        hold in any::<bool>(),
    ) {
        let input = input.as_bytes();
        let mut offsets: Vec<usize> = cuts.iter().map(|cut| cut.index(input.len() + 1)).collect();
        offsets.extend([0, input.len()]);
        offsets.sort_unstable();
        for wires in [ONE, NAMED_ONE, TO_NAMED, TO_LINES] {
            let whole = run(pipe(wires, withhold, hold), [input], Some("{\"x\":1}"));
            let cut = offsets.windows(2).map(|pair| &input[pair[0]..pair[1]]);
            prop_assert_eq!(&run(pipe(wires, withhold, hold), cut, Some("{\"x\":1}")), &whole);
            prop_assert_eq!(&run(pipe(wires, withhold, hold), input.chunks(1), Some("{\"x\":1}")), &whole);
        }
    }
}
