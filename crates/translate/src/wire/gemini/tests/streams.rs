//! Streams, both ways.

use serde_json::{Value, json};

use super::sdk::{accumulate, chunks};
use super::{decode_chunks, encode_events};
use crate::Wire;
use crate::frame::Frame;
use crate::ir::{Citation, Delta, Event, Finish, FinishReason, PartKind, Signature, Usage};
use crate::wire::gemini::Gemini;
use crate::wire::{Codec, Dialect};

fn chunk(parts: Value) -> Value {
    json!({"candidates": [{"content": {"parts": parts, "role": "model"}, "index": 0}]})
}

fn last(parts: Value) -> Value {
    json!({"candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 2}})
}

/// Events in short: what was opened, said and closed.
fn told(events: &[Event]) -> Vec<String> {
    let one = |event: &Event| match event {
        Event::Start { .. } => "start".to_owned(),
        Event::PartStart { part, kind, .. } => match kind {
            PartKind::Text => format!("{part} text"),
            PartKind::Thinking => format!("{part} thinking"),
            PartKind::ToolCall { id, name } => format!("{part} call {name} {id}"),
            PartKind::Opaque { value, .. } => format!("{part} {value}"),
            other => format!("{part} {other:?}"),
        },
        Event::PartDelta { delta, .. } => match delta {
            Delta::Text(text) | Delta::Thinking(text) | Delta::Arguments(text) => format!("+{text}"),
            Delta::Signature(signature) => format!("#{}", signature.text),
            Delta::Citation(citation) => format!("@{:?}-{:?}", citation.start, citation.end),
            other => format!("{other:?}"),
        },
        Event::PartStop { part, .. } => format!("{part} stop"),
        Event::Finish { choice, finish } => format!("{choice} {:?} {}", finish.reason, finish.native),
        Event::Usage(usage) => format!("usage {}", usage.total()),
        Event::Lost { path, .. } => format!("lost {path}"),
        other => format!("{other:?}"),
    };
    events.iter().map(one).collect()
}

#[test]
fn runs_of_thoughts_and_text_are_parts_and_calls_come_whole() {
    let events = decode_chunks(&[
        chunk(json!([{"text": "a", "thought": true}])),
        chunk(json!([{"text": "b", "thought": true}, {"text": "c"}])),
        chunk(json!([{"text": "d"}, {"functionCall": {"name": "f", "args": {"x": 1}, "id": "i"},
            "thoughtSignature": "s1"}, {"functionCall": {"name": "g"}}])),
        last(json!([])),
    ]);
    let expected = [
        "start",
        "0 thinking",
        "+a",
        "+b",
        "0 stop",
        "1 text",
        "+c",
        "+d",
        "1 stop",
        "2 thinking",
        "#s1",
        "2 stop",
        "3 call f i",
        "+{\"x\":1}",
        "3 stop",
        "4 call g ",
        "+{}",
        "4 stop",
        "usage 7",
        "0 ToolCalls STOP",
    ];
    assert_eq!(told(&events), expected);
}

#[test]
fn a_signature_at_the_end_of_a_text_leaves_the_text_whole() {
    let events = decode_chunks(&[
        chunk(json!([{"text": "a"}])),
        chunk(json!([{"text": "b", "thoughtSignature": "s1"}])),
        last(json!([{"text": "", "thoughtSignature": "s2"}])),
    ]);
    let expected =
        ["start", "0 text", "+a", "+b", "usage 7", "0 stop", "1 thinking", "#s2", "1 stop", "0 Stop STOP"];
    assert_eq!(told(&events), expected);
    let events = decode_chunks(&[chunk(json!([{"text": "a", "thoughtSignature": "s"}])), last(json!([]))]);
    let expected =
        ["start", "0 thinking", "#s", "0 stop", "1 text", "+a", "usage 7", "1 stop", "0 Stop STOP"];
    assert_eq!(told(&events), expected);
}

#[test]
fn a_finish_is_held_to_the_end_and_never_made_up() {
    // Older surfaces say STOP in every chunk.
    let events = decode_chunks(&[last(json!([{"text": "a"}])), last(json!([{"text": "b"}]))]);
    assert_eq!(told(&events), ["start", "0 text", "+a", "usage 7", "+b", "0 stop", "0 Stop STOP"]);
    let events = decode_chunks(&[chunk(json!([{"text": "a"}]))]);
    assert!(!events.iter().any(|event| matches!(event, Event::Finish { .. })));
}

#[test]
fn a_blocked_prompt_finishes_the_stream() {
    let events = decode_chunks(&[json!({"promptFeedback": {"blockReason": "SAFETY"}, "modelVersion": "m"})]);
    assert_eq!(told(&events), ["start", "0 ContentFilter SAFETY"]);
}

#[test]
fn an_error_ends_the_stream() {
    let error = json!({"error": {"code": 503, "message": "m", "status": "UNAVAILABLE"}});
    let events = decode_chunks(&[chunk(json!([{"text": "a"}])), error, chunk(json!([{"text": "b"}]))]);
    assert!(matches!(events.last(), Some(Event::Failure(failure)) if failure.status == 503), "{events:?}");
}

#[test]
fn sources_in_the_last_chunk_point_into_the_whole_text() {
    let mut end = last(json!([]));
    end["candidates"][0]["groundingMetadata"] = json!({"webSearchQueries": ["q", "r"],
        "groundingChunks": [{"web": {"uri": "https://a"}}],
        "groundingSupports": [{"segment": {"startIndex": 3, "endIndex": 6}, "groundingChunkIndices": [0]}]});
    let events = decode_chunks(&[chunk(json!([{"text": "Öl "}])), chunk(json!([{"text": "öl"}])), end]);
    let told = told(&events);
    assert!(told.contains(&"@Some(2)-Some(4)".to_owned()), "{told:?}");
    assert!(told.contains(&"lost candidates[0].groundingMetadata.webSearchQueries".to_owned()), "{told:?}");
    let usage = events.iter().find_map(|event| match event {
        Event::Usage(usage) => Some(usage.web_searches),
        _ => None,
    });
    assert_eq!(usage, Some(2));
}

#[test]
fn unknown_fields_are_told_once_and_unknown_parts_travel_whole() {
    let odd = || {
        let mut odd =
            chunk(json!([{"text": "a", "x": 1}, {"inlineData": {"data": "aGk="}, "thoughtSignature": "s"}]));
        odd["candidates"][0]["safetyRatings"] = json!([{"category": "C"}]);
        odd["candidates"][0]["tokenCount"] = json!(0);
        odd
    };
    let told = told(&decode_chunks(&[odd(), odd()]));
    let lost: Vec<&String> = told.iter().filter(|line| line.starts_with("lost")).collect();
    assert_eq!(lost, ["lost candidates[0].safetyRatings", "lost candidates[0].content.parts[].x"]);
    assert!(told.contains(&"1 {\"inlineData\":{\"data\":\"aGk=\"},\"thoughtSignature\":\"s\"}".to_owned()));
}

#[test]
fn a_frame_that_is_no_chunk_changes_nothing() {
    let mut decoder = Gemini.stream_decoder();
    let mut out = Vec::new();
    for data in ["{", "[1]", "{\"x\": 1}", "\"a\""] {
        let frame = Frame { raw: data.as_bytes(), event: "", data: data.as_bytes() };
        assert!(decoder.frame(&frame, &mut out).is_err(), "{data}");
    }
    assert!(out.is_empty());
}

fn start(part: u32, kind: PartKind) -> Event {
    Event::PartStart { choice: 0, part, kind }
}

fn delta(part: u32, delta: Delta) -> Event {
    Event::PartDelta { choice: 0, part, delta }
}

fn finish(reason: FinishReason, native: &str) -> Event {
    let finish = Finish { reason, native: native.into(), stop_sequence: None, details: None };
    Event::Finish { choice: 0, finish }
}

#[test]
fn calls_that_arrive_in_pieces_side_by_side_are_sent_whole() {
    let call = |name: &str| PartKind::ToolCall { id: String::new(), name: name.into() };
    let stop = |part| Event::PartStop { choice: 0, part };
    let (written, losses) = encode_events(&[
        Event::Start { id: "r".into(), model: "m".into(), created: None },
        start(0, call("f")),
        start(1, call("g")),
        delta(1, Delta::Arguments("{\"b\"".into())),
        delta(0, Delta::Arguments("{\"a\":1}".into())),
        delta(1, Delta::Arguments(":2}".into())),
        Event::Ping,
        stop(0),
        stop(1),
        finish(FinishReason::ToolCalls, "tool_calls"),
        Event::Usage(Usage { output: 3, reasoning: 1, ..Usage::default() }),
        Event::End,
    ]);
    let answer = accumulate(&written).unwrap();
    assert_eq!(
        answer["candidates"][0]["parts"],
        json!([
            {"functionCall": {"id": "call_u1_0", "name": "f", "args": {"a": 1}}},
            {"functionCall": {"id": "call_u1_1", "name": "g", "args": {"b": 2}}}])
    );
    assert_eq!(answer["usageMetadata"]["candidatesTokenCount"], 2);
    assert_eq!(answer["usageMetadata"]["thoughtsTokenCount"], 1);
    assert!(losses.is_empty());
    assert_eq!(chunks(&written).unwrap().len(), 3, "one event per call, and the last");
}

#[test]
fn the_last_chunk_carries_sources_and_the_untold_word() {
    let mut citation = Citation::of(Wire::Anthropic, Value::Null);
    citation.url = Some("https://a".into());
    let (written, _) = encode_events(&[
        start(0, PartKind::Text),
        delta(0, Delta::Text("Öl".into())),
        Event::PartStop { choice: 0, part: 0 },
        start(1, PartKind::Text),
        delta(1, Delta::Text("ö".into())),
        delta(1, Delta::Citation(Box::new(citation))),
        finish(FinishReason::Stop, "pause_turn"),
        Event::End,
    ]);
    let answer = accumulate(&written).unwrap();
    let segment = &answer["candidates"][0]["groundingMetadata"]["groundingSupports"][0]["segment"];
    assert_eq!(*segment, json!({"startIndex": 3, "endIndex": 5, "text": "ö"}));
    assert_eq!(answer["candidates"][0]["finishMessage"], "pause_turn");
}

#[test]
fn signatures_go_where_their_maker_wants_them() {
    let sign = |by| Delta::Signature(Signature::of(by, "c2ln"));
    let (written, _) = encode_events(&[
        start(0, PartKind::Thinking),
        delta(0, Delta::Thinking("t".into())),
        delta(0, sign(Wire::Anthropic)),
        start(1, PartKind::Thinking),
        delta(1, sign(Wire::Gemini)),
        start(2, PartKind::ToolCall { id: "i".into(), name: "f".into() }),
        Event::PartStop { choice: 0, part: 2 },
        start(3, PartKind::Thinking),
        delta(3, sign(Wire::Gemini)),
        finish(FinishReason::ToolCalls, ""),
        Event::End,
    ]);
    let parts = &accumulate(&written).unwrap()["candidates"][0]["parts"];
    assert_eq!(parts[0], json!({"text": "t", "thought": true}));
    assert_eq!(parts[1]["thought"], true);
    assert_eq!(parts[2]["thoughtSignature"], "c2ln");
    assert_eq!(parts[2]["functionCall"]["name"], "f");
    assert_eq!(parts[3], json!({"text": "", "thoughtSignature": "c2ln"}));
}

/// Run by hand: `cargo test -p translate --release -- --ignored --nocapture gemini::tests::streams`.
#[test]
#[ignore = "a measurement"]
fn an_event_costs_under_three_microseconds_each_way() {
    let data = chunk(json!([{"text": "a word or two of an answer"}])).to_string();
    let frame = Frame { raw: data.as_bytes(), event: "", data: data.as_bytes() };
    let mut decoder = Gemini.stream_decoder();
    let mut encoder = Gemini.stream_encoder(super::echo());
    let (mut events, mut out) = (Vec::new(), Vec::new());
    let mut losses = crate::loss::Losses::default();
    let rounds = 200_000;
    let begun = std::time::Instant::now();
    for _ in 0..rounds {
        decoder.frame(&frame, &mut events).unwrap();
        for event in events.drain(..) {
            encoder.event(&event, &mut out, &mut losses);
        }
        out.clear();
    }
    println!("decode and encode: {} ns", begun.elapsed().as_nanos() / rounds);
    let begun = std::time::Instant::now();
    for _ in 0..rounds {
        Gemini.observe_frame(&frame, &mut crate::wire::Observation::default());
    }
    println!("observe: {} ns", begun.elapsed().as_nanos() / rounds);
}

#[test]
fn an_image_that_stands_alone_is_one_on_every_wire() {
    let part = json!({"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}});
    let seen = decode_chunks(&[json!({"candidates": [{"content": {"parts": [part], "role": "model"}}]})]);
    let Some(start @ Event::PartStart { kind: PartKind::Image(_), .. }) =
        seen.iter().find(|event| matches!(event, Event::PartStart { .. }))
    else {
        panic!("{seen:?}")
    };
    let (written, losses) = encode_events(&[start.clone(), Event::PartStop { choice: 0, part: 0 }]);
    assert!(written.contains(&part.to_string()), "{written}");
    assert!(losses.is_empty(), "{losses:?}");
}
