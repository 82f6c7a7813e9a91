//! Whatever bytes come, nothing panics, and whatever events come, the bytes out are whole frames.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::round_trip::coding_agent;
use super::sdk::{accumulate, frames};
use super::{ADAPTIVE, FREE, encode_bytes, encode_events};
use crate::Wire;
use crate::frame::Frame;
use crate::ir::{Citation, Delta, Event, Finish, FinishReason, PartKind, Signature};
use crate::wire::anthropic::Anthropic;
use crate::wire::{Codec, Dialect, Observation};

/// Every decoder over the same bytes; a request that decodes is also encoded.
fn swallow(body: &[u8]) {
    if let Ok(request) = Anthropic.decode_request(body) {
        let _ = encode_bytes(&request, &FREE);
        let _ = encode_bytes(&request, &ADAPTIVE);
    }
    let _ = Anthropic.decode_response(body);
    let _ = Anthropic.observe_response(body);
    let _ = Anthropic.decode_failure(500, body);
    let frame = Frame { raw: body, event: "", data: body };
    let mut out = Vec::new();
    let mut decoder = Anthropic.stream_decoder();
    let _ = decoder.frame(&frame, &mut out);
    decoder.end(&mut out);
    Anthropic.observe_frame(&frame, &mut Observation::default());
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-z_]{0,8}".prop_map(Value::from),
        prop::sample::select(vec![
            "text",
            "tool_use",
            "tool_result",
            "image",
            "thinking",
            "user",
            "assistant"
        ])
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec(
                (prop::sample::select(vec!["type", "text", "source", "content"]), inner),
                0..4
            )
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
        Just(PartKind::ToolCall { id: "i".to_owned(), name: "n".to_owned() }),
        Just(PartKind::RedactedThinking { data: "d".to_owned() }),
    ];
    let delta = prop_oneof![
        Just(Delta::Text("t".to_owned())),
        Just(Delta::Thinking("h".to_owned())),
        Just(Delta::Signature(Signature::of(Wire::Anthropic, "s"))),
        Just(Delta::Citation(Box::new(Citation::of(Wire::Anthropic, json!({"type": "char_location"}))))),
    ];
    prop_oneof![
        (0..5_u32, kind).prop_map(|(part, kind)| Event::PartStart { choice: 0, part, kind }),
        (0..5_u32, delta).prop_map(|(part, delta)| Event::PartDelta { choice: 0, part, delta }),
        (0..5_u32).prop_map(|part| Event::PartStop { choice: 0, part }),
        Just(Event::Ping),
        Just(Event::Usage(crate::ir::Usage::default())),
    ]
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        swallow(&body);
    }

    #[test]
    fn a_valid_body_cut_or_flipped_never_panics(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut body = coding_agent().to_string().into_bytes();
        let at = at.index(body.len());
        swallow(&body[..at]);
        body[at] = byte;
        swallow(&body);
    }

    #[test]
    fn a_valid_body_with_a_foreign_value_anywhere_never_panics(
        at in any::<prop::sample::Index>(), value in any_json()
    ) {
        let mut body = coding_agent();
        let mut all = Vec::new();
        places(&body, "", &mut all);
        *body.pointer_mut(&all[at.index(all.len())]).unwrap() = value;
        swallow(body.to_string().as_bytes());
    }

    #[test]
    fn any_json_in_a_stream_never_panics(value in any_json(), kind in 0..4_usize) {
        let names = ["message_start", "content_block_start", "content_block_delta", "message_delta"];
        for field in ["message", "content_block", "delta", "usage", "index"] {
            swallow(json!({"type": names[kind], "index": 0, field: value}).to_string().as_bytes());
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

    #[test]
    fn one_event_makes_whole_frames(events in prop::collection::vec(any_event(), 0..20)) {
        for end in 0..events.len() {
            frames(&encode_events(&events[..end]).0);
        }
    }
}
