//! Whatever bytes come, nothing panics, and whatever events come, the bytes out are whole frames.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::round_trip::full;
use super::sdk::{accumulate, chunks};
use super::{SECOND, THIRD, ask, call, encode_bytes, encode_events, message, result, thinking, user};
use crate::Wire;
use crate::frame::Frame;
use crate::ir::{Citation, Delta, Event, Finish, FinishReason, Part, PartKind, Role, Signature};
use crate::loss::Losses;
use crate::wire::gemini::Gemini;
use crate::wire::{Codec, Dialect, Observation};

/// Every decoder over the same bytes; what decodes is also encoded.
fn swallow(body: &[u8]) {
    if let Ok(request) = Gemini.decode_request(body) {
        for model in [SECOND, THIRD] {
            if let Ok((bytes, _)) = encode_bytes(&request, model) {
                serde_json::from_slice::<Value>(&bytes).unwrap();
                Gemini.decode_request(&bytes).unwrap();
            }
        }
    }
    if let Ok(response) = Gemini.decode_response(body) {
        let bytes = Gemini.encode_response(&response, &super::echo(), &mut Losses::default());
        Gemini.decode_response(&bytes).unwrap();
    }
    let _ = Gemini.observe_response(body);
    let _ = Gemini.decode_failure(500, body);
    let frame = Frame { raw: body, event: "", data: body };
    let mut out = Vec::new();
    let mut decoder = Gemini.stream_decoder();
    let _ = decoder.frame(&frame, &mut out);
    decoder.end(&mut out);
    Gemini.observe_frame(&frame, &mut Observation::default());
}

const NAMES: [&str; 16] = [
    "text",
    "thought",
    "thoughtSignature",
    "functionCall",
    "functionResponse",
    "inlineData",
    "fileData",
    "name",
    "args",
    "response",
    "parts",
    "role",
    "content",
    "segment",
    "groundingChunks",
    "groundingSupports",
];

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-zA-Z_/:ü]{0,8}".prop_map(Value::from),
        prop::sample::select(vec![
            "STOP",
            "OBJECT",
            "ANY",
            "model",
            "image/png",
            "Ymlmcm9zdDphbnRocm9waWM6eA=="
        ])
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((prop::sample::select(NAMES.to_vec()), inner), 0..4)
                .prop_map(|fields| fields.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()),
        ]
    })
}

/// Every pointer into a value.
fn places(value: &Value, at: &str, out: &mut Vec<String>) {
    out.push(at.to_owned());
    match value {
        Value::Object(map) => map.iter().for_each(|(key, inner)| places(inner, &format!("{at}/{key}"), out)),
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(n, inner)| places(inner, &format!("{at}/{n}"), out))
        }
        _ => {}
    }
}

fn any_event() -> impl Strategy<Value = Event> {
    let kind = prop_oneof![
        Just(PartKind::Text),
        Just(PartKind::Thinking),
        Just(PartKind::Refusal),
        Just(PartKind::ToolCall { id: String::new(), name: "n".to_owned() }),
        Just(PartKind::RedactedThinking { data: "d".to_owned() }),
        Just(PartKind::Opaque { wire: Wire::Gemini, value: json!({"executableCode": {}}) }),
        Just(PartKind::Opaque { wire: Wire::Anthropic, value: json!({}) }),
    ];
    let delta = prop_oneof![
        Just(Delta::Text("ü".to_owned())),
        Just(Delta::Thinking("h".to_owned())),
        "[\\[{a1\"}:]{0,4}".prop_map(Delta::Arguments),
        Just(Delta::Signature(Signature::of(Wire::Anthropic, "s"))),
        Just(Delta::Signature(Signature::of(Wire::Gemini, "c2ln"))),
        (any::<u64>(), any::<u64>()).prop_map(|(start, end)| {
            let citation = Citation::of(Wire::Anthropic, Value::Null);
            Delta::Citation(Box::new(Citation { start: Some(start), end: Some(end), ..citation }))
        }),
    ];
    prop_oneof![
        (0..2_u32, 0..5_u32, kind).prop_map(|(choice, part, kind)| Event::PartStart { choice, part, kind }),
        (0..2_u32, 0..5_u32, delta).prop_map(|(choice, part, delta)| Event::PartDelta {
            choice,
            part,
            delta
        }),
        (0..2_u32, 0..5_u32).prop_map(|(choice, part)| Event::PartStop { choice, part }),
        Just(Event::Logprobs { choice: 0, value: json!({"content": [{"token": "a", "logprob": -1.0}]}) }),
        Just(Event::Ping),
        Just(Event::Usage(crate::ir::Usage::default())),
    ]
}

fn any_turn() -> impl Strategy<Value = crate::ir::Message> {
    let said = prop_oneof![
        "[a-z ]{0,6}".prop_map(Part::text),
        "[a-z]{0,4}".prop_map(|text| thinking(&text, Some((Wire::Gemini, "c2ln")))),
        "[a-z]{0,4}".prop_map(|text| thinking(&text, Some((Wire::Anthropic, "x")))),
        "[a-z]{0,4}".prop_map(|text| thinking(&text, None)),
        (0..4_u8, "[{}a\":1]{0,6}").prop_map(|(id, text)| call(&format!("c{id}"), "f", &text)),
    ];
    prop_oneof![
        "[a-z]{0,4}".prop_map(|text| user(&text)),
        prop::collection::vec(said, 0..5).prop_map(|parts| message(Role::Assistant, parts)),
        prop::collection::vec((0..4_u8, "[a-z{}]{0,5}"), 0..4).prop_map(|list| {
            let one = |(id, text): (u8, String)| result(&format!("c{id}"), vec![Part::text(text)]);
            message(Role::User, list.into_iter().map(one).collect())
        }),
    ]
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        swallow(&body);
    }

    #[test]
    fn a_valid_body_cut_or_flipped_never_panics(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut body = full().to_string().into_bytes();
        let at = at.index(body.len());
        swallow(&body[..at]);
        body[at] = byte;
        swallow(&body);
    }

    #[test]
    fn a_valid_body_with_a_foreign_value_anywhere_never_panics(
        at in any::<prop::sample::Index>(), value in any_json()
    ) {
        let mut body = full();
        let mut all = Vec::new();
        places(&body, "", &mut all);
        *body.pointer_mut(&all[at.index(all.len())]).unwrap() = value;
        swallow(body.to_string().as_bytes());
    }

    #[test]
    fn any_json_in_an_answer_never_panics(value in any_json(), kind in 0..6_usize) {
        let names = ["content", "groundingMetadata", "citationMetadata", "logprobsResult", "finishReason", "index"];
        let candidate = json!({"content": {"parts": [{"text": "ü"}, value]}, names[kind]: value});
        swallow(json!({"candidates": [candidate], "usageMetadata": value}).to_string().as_bytes());
        swallow(json!({"candidates": [candidate], "promptFeedback": value}).to_string().as_bytes());
    }

    #[test]
    fn any_order_of_events_makes_a_stream_clients_accept(events in prop::collection::vec(any_event(), 0..40)) {
        let finish = Finish {
            reason: FinishReason::Stop, native: "stop".to_owned(), stop_sequence: None, details: None,
        };
        let tail = vec![
            Event::Finish { choice: 0, finish: finish.clone() }, Event::Finish { choice: 1, finish }, Event::End,
        ];
        let (written, _) = encode_events(&[events, tail].concat());
        prop_assert!(accumulate(&written).is_ok(), "{:?}\n{}", accumulate(&written), written);
    }

    #[test]
    fn one_event_makes_whole_frames(events in prop::collection::vec(any_event(), 0..20)) {
        for end in 0..events.len() {
            chunks(&encode_events(&events[..end]).0).unwrap();
        }
    }

    /// What Google's API insists on: contents with parts, a user first where a call is made, every answer
    /// in a content of answers.
    #[test]
    fn any_conversation_is_written_as_the_api_wants_it(turns in prop::collection::vec(any_turn(), 0..12)) {
        let Ok((bytes, _)) = encode_bytes(&ask(turns), THIRD) else { return Ok(()) };
        let body: Value = serde_json::from_slice(&bytes).unwrap();
        let contents = body["contents"].as_array().unwrap();
        prop_assert!(!contents.is_empty());
        let has = |content: &Value, name: &str| {
            content["parts"].as_array().unwrap().iter().filter(|part| !part[name].is_null()).count()
        };
        prop_assert!(has(&contents[0], "functionCall") == 0);
        for pair in contents.windows(2) {
            prop_assert!(pair[0]["role"] == "user" || pair[1]["role"] == "user", "two model turns");
        }
        for content in contents {
            let parts = content["parts"].as_array().unwrap();
            prop_assert!(!parts.is_empty());
            let answers = has(content, "functionResponse");
            prop_assert!(answers == 0 || answers == parts.len());
        }
    }
}
