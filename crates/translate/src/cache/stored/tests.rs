use serde_json::json;

use super::*;
use crate::Wire;
use crate::frame::Framing;
use crate::ir::{Delta, Event, Finish, Image, PartKind, Signature, Source, Text, Thinking, ToolCall, Usage};
use crate::provider::UsageStyle;
use crate::wire::ToolNames;

fn finish(reason: FinishReason, native: &str) -> Finish {
    Finish { reason, native: native.into(), stop_sequence: None, details: None }
}

fn answer(parts: Vec<Part>) -> Response {
    let finish = Some(finish(FinishReason::Stop, "stop"));
    Response { choices: vec![Choice { parts, finish, ..empty_choice() }], ..Response::default() }
}

fn full() -> Response {
    let citation = crate::ir::Citation {
        url: Some("https://a.example".into()),
        start: Some(0),
        end: Some(3),
        ..crate::ir::Citation::of(Wire::Anthropic, json!({"type": "char_location"}))
    };
    let parts = vec![
        Part::Thinking(Thinking {
            text: "Let me see.".into(),
            signature: Some(Signature::of(Wire::Anthropic, "EqQB")),
            extra: Extra::default(),
        }),
        Part::RedactedThinking { data: "c2VjcmV0".into(), extra: Extra::default() },
        Part::Text(Text { text: "Yes, two words.".into(), citations: vec![citation], ..Text::default() }),
        Part::ToolCall(ToolCall {
            id: "call_1".into(),
            name: "weather".into(),
            arguments: "{\"city\": \"Oslo\"}".into(),
            cache: None,
            extra: Extra::of(Wire::OpenAiChat, [("index".to_owned(), json!(0))].into_iter().collect()),
        }),
        Part::Image(Image {
            source: Source::Base64 { media_type: "image/png".into(), data: "AAAA".into() },
            detail: None,
            cache: None,
            extra: Extra::default(),
        }),
        Part::Opaque {
            wire: Wire::Anthropic,
            value: json!({"type": "server_tool_use", "input": {"q": "x"}}),
        },
    ];
    let mut response = answer(parts);
    response.id = "msg_1".into();
    response.model = "m".into();
    response.created = Some(1_700_000_000);
    response.service_tier = Some("default".into());
    response.usage = Some(Usage { input_uncached: 7, cache_read: 3, output: 5, ..Usage::default() });
    response.choices[0].logprobs = Some(json!({"content": []}));
    response.choices[0].finish = Some(Finish {
        stop_sequence: Some("END".into()),
        details: Some(json!({"a": 1})),
        ..finish(FinishReason::Stop, "stop")
    });
    response
}

#[test]
fn what_is_kept_comes_back_whole() {
    let stored = Stored::of(full()).unwrap();
    assert_eq!(Stored::from_bytes(&stored.to_bytes()), Some(stored));
}

/// These bytes are in stores: a later gateway must read them as what they are.
#[test]
fn the_first_version_is_read_for_good() {
    let bytes = include_bytes!("v1.json");
    let stored = Stored::from_bytes(bytes).expect("version 1 is read");
    let streamed = Streamed {
        choice: 0,
        part: 5,
        start: json!({"type": "server_tool_use", "input": {}}),
        deltas: vec![json!({"type": "input_json_delta", "partial_json": "{\"q\":\"x\"}"})],
    };
    let losses = vec![Loss { path: "delta.audio".into(), reason: "has no place".into() }];
    assert_eq!(stored, Stored { response: full(), losses, streamed: vec![streamed] });
    let written: serde_json::Value = serde_json::from_slice(&stored.to_bytes()).unwrap();
    let kept: serde_json::Value = serde_json::from_slice(bytes).unwrap();
    assert_eq!(written, kept, "what is written changed: raise the version, or give the member a default");
}

#[test]
fn another_version_and_what_is_none_are_misses() {
    let stored = Stored::of(full()).unwrap();
    let text = String::from_utf8(stored.to_bytes()).unwrap();
    let newer = text.replacen("\"version\":1", "\"version\":2", 1);
    assert_ne!(newer, text);
    for bytes in
        [newer.as_str(), "", "{}", "null", "[]", "{\"version\":1}", "{\"version\":\"1\",\"choices\":[]}"]
    {
        assert_eq!(Stored::from_bytes(bytes.as_bytes()), None, "{bytes}");
    }
}

#[test]
fn damaged_bytes_are_misses_and_never_a_panic() {
    let bytes = Stored::of(full()).unwrap().to_bytes();
    for at in 0..bytes.len() {
        assert_eq!(Stored::from_bytes(&bytes[..at]), None, "cut at {at}");
        let mut broken = bytes.clone();
        broken[at] = broken[at].wrapping_add(1);
        // May be read where only a text changed; what is read must be fit to give.
        if let Some(read) = Stored::from_bytes(&broken) {
            assert!(Stored::of(read.response).is_ok());
        }
    }
}

#[test]
fn what_is_no_good_answer_is_not_kept() {
    let said = || vec![Part::text("x")];
    let ended = |reason, native: &str| {
        let mut response = answer(said());
        response.choices[0].finish = Some(finish(reason, native));
        Stored::of(response).map(|_| ()).map_err(|unkept| unkept.name())
    };
    assert_eq!(ended(FinishReason::Stop, "stop"), Ok(()));
    assert_eq!(ended(FinishReason::Length, "length"), Ok(()));
    assert_eq!(ended(FinishReason::ContentFilter, "SAFETY"), Err("filtered"));
    assert_eq!(ended(FinishReason::Error, "error"), Err("failed"));
    assert_eq!(ended(FinishReason::Stop, "pause_turn"), Err("paused"));
    assert_eq!(ended(FinishReason::Stop, "brand_new"), Err("unknown_end"));
    let mut open = answer(said());
    open.choices[0].finish = None;
    assert_eq!(Stored::of(open), Err(Unkept::Unfinished));
    assert_eq!(Stored::of(Response::default()), Err(Unkept::Empty));
    for nothing in [vec![], vec![Part::text(" \n")], vec![Part::Thinking(Thinking::default())]] {
        assert_eq!(Stored::of(answer(nothing)), Err(Unkept::Empty));
    }
    assert_eq!(Stored::of(answer(vec![Part::Refusal("no".into())])), Err(Unkept::Refused));
    for (arguments, kept) in
        [("", true), ("{}", true), (" {\"a\":1}\n", true), ("{\"a\":", false), ("[]", false), ("x", false)]
    {
        let call = ToolCall {
            id: "c".into(),
            name: "t".into(),
            arguments: arguments.into(),
            cache: None,
            extra: Extra::default(),
        };
        assert_eq!(Stored::of(answer(vec![Part::ToolCall(call)])).is_ok(), kept, "{arguments:?}");
    }
}

#[test]
fn one_bad_choice_of_several_is_enough() {
    let mut response = answer(vec![Part::text("good")]);
    response.choices.push(Choice {
        parts: vec![Part::text("cut")],
        finish: Some(finish(FinishReason::ContentFilter, "content_filter")),
        ..empty_choice()
    });
    assert_eq!(Stored::of(response), Err(Unkept::Filtered));
}

/// The events of a short answer.
fn events() -> Vec<Event> {
    vec![
        Event::Start { id: "i".into(), model: "m".into(), created: None },
        Event::PartStart { choice: 0, part: 0, kind: PartKind::Text },
        Event::PartDelta { choice: 0, part: 0, delta: Delta::Text("one ".into()) },
        Event::PartDelta { choice: 0, part: 0, delta: Delta::Text("two".into()) },
        Event::PartStop { choice: 0, part: 0 },
        Event::Finish { choice: 0, finish: finish(FinishReason::Stop, "stop") },
        Event::Usage(Usage { output: 2, ..Usage::default() }),
        Event::End,
    ]
}

fn gathered(events: &[Event], most: usize) -> Result<Stored, Unkept> {
    let mut gathering = Gathering::new(most);
    events.iter().for_each(|event| gathering.event(event));
    gathering.finish()
}

#[test]
fn every_prefix_of_a_stream_is_unfinished() {
    let events = events();
    assert!(gathered(&events, 100).is_ok());
    for cut in 0..events.len() {
        assert_eq!(gathered(&events[..cut], 100), Err(Unkept::Unfinished), "cut before event {cut}");
    }
}

#[test]
fn a_stream_that_fails_or_grows_too_long_is_not_kept() {
    let failure = crate::ir::Failure {
        status: 529,
        kind: crate::ir::FailureKind::Overloaded,
        message: "busy".into(),
        native_type: None,
        code: None,
        param: None,
    };
    let mut failed = events();
    failed.insert(4, Event::Failure(failure));
    assert_eq!(gathered(&failed, 100), Err(Unkept::Failed("busy".into())));
    assert_eq!(gathered(&events(), 6), Err(Unkept::TooLarge { most: 6 }));
    assert!(gathered(&events(), 7).is_ok(), "seven bytes were said");
}

#[test]
fn a_choice_of_a_number_nobody_has_costs_no_memory() {
    let mut events = events();
    events.insert(1, Event::Finish { choice: u32::MAX, finish: finish(FinishReason::Stop, "stop") });
    assert!(matches!(gathered(&events, 100), Err(Unkept::Unreadable(_))));
}

#[test]
fn the_pieces_of_a_replay_are_words_and_together_the_text() {
    let text = "Hello,  wide world.\n\n```rust\nfn main() {}\n``` 日本語です。 👩‍👩‍👧 e\u{301}a 🇳🇴🇸🇪 ";
    let long = "x".repeat(200);
    for text in [text, &long, "", " ", "\u{301}"] {
        for grain in [Grain::Whole, Grain::Words(0), Grain::Words(1), Grain::Words(3)] {
            let stored =
                Stored { response: answer(vec![Part::text(text)]), losses: Vec::new(), streamed: Vec::new() };
            let pieces: Vec<String> = Steps::new(stored.into(), grain)
                .filter_map(|event| match event {
                    Event::PartDelta { delta: Delta::Text(piece), .. } => Some(piece),
                    _ => None,
                })
                .collect();
            assert_eq!(pieces.concat(), text, "{grain:?}");
            assert!(pieces.iter().all(|piece| !piece.is_empty()));
            if grain == Grain::Words(1) {
                assert!(pieces.iter().all(|piece| piece.chars().count() <= 60), "{pieces:?}");
                assert!(
                    pieces
                        .iter()
                        .all(|piece| !piece.starts_with(['\u{301}', '\u{200d}'])
                            || text.starts_with('\u{301}'))
                );
            }
        }
    }
    let stored = Stored::of(answer(vec![Part::text("Hello, wide world.")])).unwrap();
    let count = |grain| {
        Steps::new(stored.clone().into(), grain)
            .filter(|event| matches!(event, Event::PartDelta { .. }))
            .count()
    };
    assert_eq!((count(Grain::Words(1)), count(Grain::Words(2)), count(Grain::Whole)), (3, 2, 1));
}

#[test]
fn leftovers_of_a_whole_answer_are_told_when_it_is_streamed() {
    let stored = Stored::of(full()).unwrap();
    let lost: Vec<String> = Steps::new(stored.into(), Grain::Whole)
        .filter_map(|event| match event {
            Event::Lost { path, .. } => Some(path),
            _ => None,
        })
        .collect();
    assert_eq!(lost, ["choices[0].parts[3].index"]);
}

#[test]
fn blocks_of_one_wire_are_whole_and_streamed() {
    let start = json!({"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}});
    let delta = |text: &str| Event::PartDelta {
        choice: 0,
        part: 0,
        delta: Delta::Opaque(json!({"type": "input_json_delta", "partial_json": text})),
    };
    let events = vec![
        Event::PartStart {
            choice: 0,
            part: 0,
            kind: PartKind::Opaque { wire: Wire::Anthropic, value: start.clone() },
        },
        delta("{\"query\":"),
        delta("\"x\"}"),
        Event::PartStop { choice: 0, part: 0 },
        Event::Finish { choice: 0, finish: finish(FinishReason::Stop, "end_turn") },
        Event::End,
    ];
    let stored = gathered(&events, 1000).unwrap();
    let whole = json!({"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "x"}});
    assert_eq!(
        stored.response.choices[0].parts,
        [Part::Opaque { wire: Wire::Anthropic, value: whole.clone() }]
    );
    let again: Vec<Event> = Steps::new(stored.into(), Grain::Whole).skip(1).collect();
    assert_eq!(again, events, "on its own wire it comes as it came");
    let came_whole = Stored::of(answer(vec![Part::Opaque { wire: Wire::Anthropic, value: whole }])).unwrap();
    let steps: Vec<Event> = Steps::new(came_whole.into(), Grain::Whole).skip(1).take(2).collect();
    assert_eq!(steps[0], events[0]);
    assert_eq!(steps[1], delta("{\"query\":\"x\"}"));
}

#[test]
fn logprobs_of_all_chunks_are_those_of_the_answer() {
    let mut events = events();
    for token in ["one ", "two"] {
        events.insert(
            3,
            Event::Logprobs { choice: 0, value: json!({"content": [{"token": token}], "refusal": null}) },
        );
    }
    let stored = gathered(&events, 1000).unwrap();
    assert_eq!(
        stored.response.choices[0].logprobs,
        Some(json!({"content": [{"token": "two"}, {"token": "one "}], "refusal": null}))
    );
}

#[test]
fn a_stream_with_an_unreadable_event_is_not_kept() {
    let good =
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}]}\n\n";
    let as_it_came = (UsageStyle::Wire, &ToolNames::default());
    let read = |body: &str| {
        of_stream(Wire::OpenAiChat.codec(), Framing::Sse, body.as_bytes(), as_it_came, 1000)
            .map_err(|unkept| unkept.name().to_owned())
    };
    assert!(read(&format!("{good}data: [DONE]\n\n")).is_ok());
    assert_eq!(read(&format!("data: <html>\n\n{good}")), Err("unreadable".to_owned()));
    assert_eq!(read("data: {\"error\":{\"message\":\"x\"}}\n\n"), Err("failed".to_owned()));
    assert_eq!(read(""), Err("unfinished".to_owned()));
}
