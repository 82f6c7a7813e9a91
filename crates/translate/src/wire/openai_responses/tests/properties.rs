//! Whatever bytes come, nothing panics; whatever events come, the stream is one that the SDKs accept.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::sdk::{accumulate, frames};
use super::{
    OPEN_WEIGHTS, OPENAI, OpenAiResponses, RULES, answer, decode_response, echo, encode_for, encode_response,
    finish, requests, responses, streams, written,
};
use crate::Wire;
use crate::frame::Frame;
use crate::ir::{
    Choice, Citation, Delta, Event, Extra, Finish, FinishReason, Part, PartKind, Response, Signature, Text,
    Thinking, ToolCall,
};
use crate::loss::Losses;
use crate::wire::{Codec, Dialect, Observation};

/// Every decoder over the same bytes; what decodes is also encoded.
fn swallow(body: &[u8]) {
    if let Ok(request) = OpenAiResponses.decode_request(body) {
        for quirks in [&OPENAI, &OPEN_WEIGHTS] {
            encode_for(&request, quirks, &RULES);
        }
    }
    if let Ok(response) = OpenAiResponses.decode_response(body) {
        OpenAiResponses.encode_response(&response, &echo(), &mut Losses::default());
    }
    let _ = OpenAiResponses.observe_response(body);
    OpenAiResponses.decode_failure(200, body);
    drop(super::super::echo_of(body));
    swallow_stream(&[body.to_vec()]);
}

fn swallow_stream(bodies: &[Vec<u8>]) {
    let mut decoder = OpenAiResponses.stream_decoder();
    let (mut events, mut seen) = (Vec::new(), Observation::default());
    for data in bodies {
        let frame = Frame { raw: data, event: "", data };
        let before = events.len();
        if decoder.frame(&frame, &mut events).is_err() {
            assert_eq!(events.len(), before, "a refused frame made events");
        }
        OpenAiResponses.observe_frame(&frame, &mut seen);
    }
    decoder.end(&mut events);
    written(&events, echo());
}

/// Every pointer into a value.
fn places(value: &Value, at: &str, out: &mut Vec<String>) {
    out.push(at.to_owned());
    match value {
        Value::Object(map) => map.iter().for_each(|(key, inner)| places(inner, &format!("{at}/{key}"), out)),
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(n, inner)| places(inner, &format!("{at}/{n}"), out));
        }
        _ => {}
    }
}

fn odd_value() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![
        Value::Null,
        json!({}),
        json!([]),
        json!(""),
        json!(-1),
        json!(true),
        json!([[{}]]),
        json!("message"),
        json!("function_call"),
        json!("reasoning"),
        json!(u64::MAX),
    ])
}

fn replaced(body: &mut Value, at: &prop::sample::Index, value: Value) {
    let mut all = Vec::new();
    places(body, "", &mut all);
    if let Some(place) = body.pointer_mut(&all[at.index(all.len())]) {
        *place = value;
    }
}

fn any_event() -> impl Strategy<Value = Event> {
    let call = |name: &str| PartKind::ToolCall { id: String::new(), name: name.to_owned() };
    let kind = prop_oneof![
        Just(PartKind::Text),
        Just(PartKind::Thinking),
        Just(PartKind::Refusal),
        Just(call("f")),
        Just(call("patch")),
        Just(PartKind::RedactedThinking { data: "d".to_owned() }),
        Just(PartKind::Opaque { wire: Wire::Anthropic, value: json!({"type": "x"}) }),
    ];
    let cited = Citation { url: Some("u".into()), ..Citation::of(Wire::Anthropic, json!({})) };
    let delta = prop_oneof![
        Just(Delta::Text("t".to_owned())),
        Just(Delta::Refusal("r".to_owned())),
        Just(Delta::Thinking("h".to_owned())),
        Just(Delta::Arguments("{".to_owned())),
        Just(Delta::Signature(Signature::of(Wire::Anthropic, "s"))),
        Just(Delta::Citation(Box::new(cited))),
        Just(Delta::Opaque(json!(1))),
    ];
    prop_oneof![
        3 => (0..5_u32, kind).prop_map(|(part, kind)| Event::PartStart { choice: 0, part, kind }),
        5 => (0..5_u32, delta).prop_map(|(part, delta)| Event::PartDelta { choice: 0, part, delta }),
        3 => (0..5_u32).prop_map(|part| Event::PartStop { choice: 0, part }),
        1 => Just(Event::Ping),
        1 => Just(Event::Logprobs { choice: 0, value: json!({"content": [{"token": "t", "logprob": -1.0}]}) }),
        1 => Just(Event::Usage(crate::ir::Usage::default())),
    ]
}

fn any_part() -> impl Strategy<Value = Part> {
    let seal = prop::option::of(prop_oneof![Just(Wire::Anthropic), Just(Wire::OpenAiResponses)]);
    prop_oneof![
        "[a-zé]{1,4}".prop_map(|text| Part::Text(Text { text, ..Text::default() })),
        "[a-z]{1,4}".prop_map(Part::Refusal),
        ("[a-z]{0,3}", seal).prop_map(|(text, by)| {
            let signature = by.map(|by| Signature::of(by, "s"));
            Part::Thinking(Thinking { text, signature, extra: Extra::default() })
        }),
        Just(Part::RedactedThinking { data: "d".into(), extra: Extra::default() }),
        (prop::sample::select(vec!["f", "patch"]), "[a-z\"\\\\]{0,4}").prop_map(|(name, text)| {
            let arguments = json!({"input": text}).to_string();
            let extra = Extra::default();
            Part::ToolCall(ToolCall { id: "c".into(), name: name.into(), arguments, cache: None, extra })
        }),
    ]
}

/// A whole answer as the events of a stream.
fn as_events(parts: &[Part]) -> Vec<Event> {
    let mut events = vec![Event::Start { id: "resp_1".into(), model: "m".into(), created: Some(5) }];
    for (number, part) in parts.iter().enumerate() {
        let part_number = number as u32;
        let (kind, deltas) = match part {
            Part::Text(text) => (PartKind::Text, vec![Delta::Text(text.text.clone())]),
            Part::Refusal(text) => (PartKind::Refusal, vec![Delta::Refusal(text.clone())]),
            Part::Thinking(thinking) => {
                let mut deltas = vec![Delta::Thinking(thinking.text.clone())];
                deltas.extend(thinking.signature.clone().map(Delta::Signature));
                (PartKind::Thinking, deltas)
            }
            Part::RedactedThinking { data, .. } => {
                (PartKind::RedactedThinking { data: data.clone() }, vec![])
            }
            Part::ToolCall(call) => {
                let kind = PartKind::ToolCall { id: call.id.clone(), name: call.name.clone() };
                (kind, vec![Delta::Arguments(call.arguments.clone())])
            }
            _ => continue,
        };
        events.push(Event::PartStart { choice: 0, part: part_number, kind });
        events.extend(deltas.into_iter().map(|delta| Event::PartDelta {
            choice: 0,
            part: part_number,
            delta,
        }));
        events.push(Event::PartStop { choice: 0, part: part_number });
    }
    events.extend([finish(FinishReason::Length, "length"), Event::End]);
    events
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_never_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        swallow(&body);
    }

    #[test]
    fn bodies_with_a_foreign_value_anywhere_never_panic(
        which in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), value in odd_value(),
        cut in any::<prop::sample::Index>(),
    ) {
        let answers = responses::outputs().into_iter().map(answer);
        let all: Vec<Value> = requests::bodies().into_iter().chain(answers).collect();
        let mut body = which.get(&all).clone();
        replaced(&mut body, &at, value);
        let text = body.to_string().into_bytes();
        swallow(&text);
        swallow(&text[..cut.index(text.len())]);
    }

    #[test]
    fn streams_with_foreign_values_anywhere_never_panic(
        which in any::<prop::sample::Index>(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), odd_value()), 0..5),
    ) {
        let mut stream = streams::stream_of(which.get(&responses::outputs()));
        for (event, at, value) in edits {
            let event = event.index(stream.len());
            replaced(&mut stream[event], &at, value);
        }
        swallow_stream(&stream.iter().map(|event| event.to_string().into_bytes()).collect::<Vec<_>>());
    }

    #[test]
    fn any_order_of_events_makes_a_stream_clients_accept(events in prop::collection::vec(any_event(), 0..40)) {
        let tail = vec![finish(FinishReason::Stop, "stop"), Event::End];
        let (stream, _) = written(&[events, tail].concat(), echo());
        prop_assert!(accumulate(&stream).is_ok(), "{:?}\n{}", accumulate(&stream), stream);
    }

    #[test]
    fn one_event_makes_whole_frames(events in prop::collection::vec(any_event(), 0..20)) {
        for end in 0..events.len() {
            frames(&written(&events[..end], echo()).0);
        }
    }

    #[test]
    fn an_answer_is_the_same_whole_and_streamed(parts in prop::collection::vec(any_part(), 0..8)) {
        let cut = Finish { reason: FinishReason::Length, native: "length".into(), stop_sequence: None, details: None };
        let choice = Choice { parts: parts.clone(), finish: Some(cut), logprobs: None, extra: Extra::default() };
        let response = Response { id: "resp_1".into(), model: "m".into(), created: Some(5),
            choices: vec![choice], ..Response::default() };
        let (whole, _) = encode_response(&response, &echo());
        let (stream, _) = written(&as_events(&parts), echo());
        prop_assert_eq!(accumulate(&stream).unwrap(), whole.clone());
        // And what is read back is what was said, but for reasoning that said nothing.
        let silent = |part: &Part| matches!(part, Part::Thinking(t) if t.text.is_empty() && t.signature.is_none());
        let said: Vec<Part> = parts.into_iter().filter(|part| !silent(part)).collect();
        let foreign = said.iter().any(|part| matches!(part,
            Part::RedactedThinking { .. } | Part::Thinking(Thinking { signature: Some(Signature { by: Wire::Anthropic, .. }), .. })));
        if !foreign {
            prop_assert_eq!(&decode_response(&whole).choices[0].parts, &said);
        }
        // Sent back by the caller, every seal is its maker's again.
        let body = json!({"model": "m", "input": [{"role": "user", "content": "x"}, whole["output"]]});
        let mut body = body;
        let output = body["input"].as_array_mut().unwrap().pop().unwrap();
        body["input"].as_array_mut().unwrap().extend(output.as_array().unwrap().clone());
        let request = super::decode(&body);
        let back = request.messages.get(1).map(|message| message.parts.clone()).unwrap_or_default();
        prop_assert_eq!(back, said);
    }
}
