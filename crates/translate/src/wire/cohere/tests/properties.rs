//! Whatever bytes come, nothing panics, and whatever events come, clients can put the stream together.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::Cohere;
use super::requests::agent;
use super::responses::full;
use super::sdk::accumulate;
use super::{PLAIN, REASONS, encode, encode_events};
use crate::Wire;
use crate::frame::Frame;
use crate::ir::{Citation, Delta, Event, Finish, FinishReason, PartKind, Signature, Usage};
use crate::loss::Losses;
use crate::wire::{Codec, Dialect, Echo, Observation};

/// Every decoder over the same bytes; what decodes is also encoded.
fn swallow(body: &[u8]) {
    if let Ok(request) = Cohere.decode_request(body) {
        for model in [PLAIN, REASONS] {
            if let Ok((bytes, _)) = encode(&request, model) {
                serde_json::from_slice::<Value>(&bytes).unwrap();
            }
        }
    }
    if let Ok(response) = Cohere.decode_response(body) {
        let bytes = Cohere.encode_response(&response, &Echo::default(), &mut Losses::default());
        serde_json::from_slice::<Value>(&bytes).unwrap();
    }
    let _ = Cohere.observe_response(body);
    let _ = Cohere.decode_failure(500, body);
    let frame = Frame { raw: body, event: "", data: body };
    let mut out = Vec::new();
    let mut decoder = Cohere.stream_decoder();
    let _ = decoder.frame(&frame, &mut out);
    decoder.end(&mut out);
    Cohere.observe_frame(&frame, &mut Observation::default());
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(vec!["text", "thinking", "document", "image_url", "user", "tool", ""])
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 5, |inner| {
        let names = vec!["type", "text", "document", "content", "data", "function", "sources", "id"];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((prop::sample::select(names), inner), 0..4)
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
        Just(PartKind::Opaque { wire: Wire::Anthropic, value: json!({"type": "x"}) }),
    ];
    let delta = prop_oneof![
        Just(Delta::Text("t".to_owned())),
        Just(Delta::Thinking("h".to_owned())),
        Just(Delta::Arguments("{}".to_owned())),
        Just(Delta::Signature(Signature::of(Wire::Anthropic, "s"))),
        Just(Delta::Citation(Box::new(Citation::of(Wire::Anthropic, json!({}))))),
    ];
    prop_oneof![
        (0..5_u32, kind).prop_map(|(part, kind)| Event::PartStart { choice: 0, part, kind }),
        (0..5_u32, delta).prop_map(|(part, delta)| Event::PartDelta { choice: 0, part, delta }),
        (0..5_u32).prop_map(|part| Event::PartStop { choice: 0, part }),
        Just(Event::Ping),
        Just(Event::Logprobs { choice: 0, value: json!({"content": [{"token": "a", "logprob": -1.0}]}) }),
        Just(Event::Usage(Usage::default())),
    ]
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        swallow(&body);
    }

    #[test]
    fn a_valid_body_cut_or_flipped_never_panics(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        for value in [agent(), full()] {
            let mut body = value.to_string().into_bytes();
            let at = at.index(body.len());
            swallow(&body[..at]);
            body[at] = byte;
            swallow(&body);
        }
    }

    #[test]
    fn a_valid_body_with_a_foreign_value_anywhere_never_panics(
        at in any::<prop::sample::Index>(), value in any_json()
    ) {
        for mut body in [agent(), full()] {
            let mut all = Vec::new();
            places(&body, "", &mut all);
            *body.pointer_mut(&all[at.index(all.len())]).unwrap() = value.clone();
            swallow(body.to_string().as_bytes());
        }
    }

    #[test]
    fn any_json_in_a_stream_never_panics(value in any_json(), kind in 0..7_usize) {
        let names = ["message-start", "content-start", "content-delta", "tool-call-start",
            "tool-call-delta", "citation-start", "message-end"];
        for field in ["content", "tool_plan", "tool_calls", "citations"] {
            swallow(json!({"type": names[kind], "delta": {"message": {field: value}}}).to_string().as_bytes());
        }
        for field in ["index", "delta", "logprobs", "id"] {
            swallow(json!({"type": names[kind], field: value}).to_string().as_bytes());
        }
        for field in ["usage", "error", "finish_reason", "message"] {
            swallow(json!({"type": names[kind], "delta": {field: value}}).to_string().as_bytes());
        }
    }

    #[test]
    fn any_order_of_events_makes_a_stream_clients_accept(events in prop::collection::vec(any_event(), 0..40)) {
        let finish = Finish {
            reason: FinishReason::Stop, native: "stop".to_owned(), stop_sequence: None, details: None,
        };
        let tail = vec![Event::Finish { choice: 0, finish }, Event::End];
        let (written, _) = encode_events(&[events, tail].concat());
        prop_assert!(accumulate(&written).is_ok(), "{:?}\n{}", accumulate(&written), written);
    }
}
