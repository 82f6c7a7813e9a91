//! Whatever bytes come, nothing panics, and whatever events come, the bytes out are whole messages.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::requests::full;
use super::sdk::{accumulate, messages};
use super::{CLAUDE, LLAMA, MISTRAL, NEWEST, NOVA_2, encode, encode_events};
use crate::Wire;
use crate::frame::Frame;
use crate::ir::{Citation, Delta, Event, Finish, FinishReason, PartKind, Signature};
use crate::wire::bedrock_converse::BedrockConverse;
use crate::wire::{Codec, Dialect, Observation};

const EVENTS: [&str; 7] = [
    "messageStart",
    "contentBlockStart",
    "contentBlockDelta",
    "contentBlockStop",
    "messageStop",
    "metadata",
    "throttlingException",
];

/// Every decoder over the same bytes; a request that decodes is also encoded.
fn swallow(body: &[u8]) {
    if let Ok(request) = BedrockConverse.decode_request(body) {
        for model in [CLAUDE, NEWEST, NOVA_2, LLAMA, MISTRAL, "x"] {
            let _ = encode(&request, model);
        }
    }
    let _ = BedrockConverse.decode_response(body);
    let _ = BedrockConverse.observe_response(body);
    let _ = BedrockConverse.decode_failure(500, body);
    let mut out = Vec::new();
    let mut decoder = BedrockConverse.stream_decoder();
    for event in EVENTS {
        let frame = Frame { raw: body, event, data: body };
        let _ = decoder.frame(&frame, &mut out);
        BedrockConverse.observe_frame(&frame, &mut Observation::default());
    }
    decoder.end(&mut out);
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-z_]{0,8}".prop_map(Value::from),
        prop::sample::select(vec!["user", "assistant", "png", "pdf", "default", "enabled"])
            .prop_map(Value::from),
    ];
    let names = vec![
        "text",
        "toolUse",
        "toolResult",
        "image",
        "source",
        "content",
        "input",
        "reasoningContent",
        "cachePoint",
        "type",
    ];
    leaf.prop_recursive(3, 24, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((prop::sample::select(names.clone()), inner), 0..4)
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
        Just(PartKind::RedactedThinking { data: "aGk=".to_owned() }),
        Just(PartKind::RedactedThinking { data: "!".to_owned() }),
        Just(PartKind::Opaque { wire: Wire::Anthropic, value: json!({}) }),
    ];
    let delta = prop_oneof![
        Just(Delta::Text("t".to_owned())),
        Just(Delta::Thinking("h".to_owned())),
        Just(Delta::Signature(Signature::of(Wire::Gemini, "s"))),
        Just(Delta::Citation(Box::new(Citation::of(Wire::OpenAiChat, json!({}))))),
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
    fn any_json_in_a_stream_or_an_answer_never_panics(value in any_json()) {
        for field in ["start", "delta", "usage", "contentBlockIndex", "stopReason", "output"] {
            swallow(json!({"contentBlockIndex": 0, "stopReason": "x", field: value}).to_string().as_bytes());
        }
        swallow(json!({"output": {"message": {"content": [value]}}}).to_string().as_bytes());
    }

    #[test]
    fn requests_written_by_this_wire_are_read_by_it(
        at in any::<prop::sample::Index>(), value in any_json()
    ) {
        let mut body = full();
        let mut all = Vec::new();
        places(&body, "", &mut all);
        *body.pointer_mut(&all[at.index(all.len())]).unwrap() = value;
        if let Ok(request) = BedrockConverse.decode_request(body.to_string().as_bytes())
            && let Ok((written, _)) = encode(&request, CLAUDE)
        {
            let again = BedrockConverse.decode_request(written.to_string().as_bytes());
            prop_assert!(again.is_ok(), "{:?}\n{written}", again);
        }
    }

    #[test]
    fn any_order_of_events_makes_a_stream_clients_accept(events in prop::collection::vec(any_event(), 0..40)) {
        let finish = Finish {
            reason: FinishReason::Stop, native: "stop".to_owned(), stop_sequence: None, details: None,
        };
        let tail = vec![Event::Finish { choice: 0, finish }, Event::End];
        let (written, _) = encode_events(&[events, tail].concat());
        prop_assert!(accumulate(&written).is_ok(), "{:?}\n{:?}", accumulate(&written), messages(&written));
    }

    #[test]
    fn one_event_makes_whole_messages(events in prop::collection::vec(any_event(), 0..20)) {
        for end in 0..events.len() {
            messages(&encode_events(&events[..end]).0);
        }
    }
}
