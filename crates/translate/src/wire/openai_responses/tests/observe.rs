//! A relay sees what a translation sees.

use serde_json::{Value, json};

use super::{OpenAiResponses, answer, decode_response, events, responses, streams};
use crate::frame::Frame;
use crate::ir::{Event, FinishReason, PartKind};
use crate::wire::{Dialect, FrameVerdict, Observation};

fn look(stream: &[Value]) -> (Observation, Vec<FrameVerdict>) {
    let mut seen = Observation::default();
    let verdicts = stream
        .iter()
        .map(|one| {
            let text = one.to_string();
            let frame = Frame { raw: text.as_bytes(), event: "", data: text.as_bytes() };
            OpenAiResponses.observe_frame(&frame, &mut seen)
        })
        .collect();
    (seen, verdicts)
}

#[test]
fn a_relay_sees_what_a_translation_sees() {
    for output in responses::outputs() {
        let stream = streams::stream_of(&output);
        let (seen, verdicts) = look(&stream);
        let events = events(&stream);
        let usage = events.iter().find_map(|event| match event {
            Event::Usage(usage) => Some(*usage),
            _ => None,
        });
        let finish = events.iter().find_map(|event| match event {
            Event::Finish { finish, .. } => Some(finish.reason),
            _ => None,
        });
        let call = |event: &Event| matches!(event, Event::PartStart { kind: PartKind::ToolCall { .. }, .. });
        assert_eq!((seen.usage, seen.finish, seen.tool_call), (usage, finish, events.iter().any(call)));
        assert_eq!((seen.content, seen.done, seen.skipped), (true, true, 0));
        assert_eq!(seen.model.as_deref(), Some("m"));
        assert_eq!(verdicts.last(), Some(&FrameVerdict::Terminator));
        assert!(verdicts.iter().rev().skip(1).all(|verdict| *verdict == FrameVerdict::Relay));
        let whole = OpenAiResponses.observe_response(answer(output.clone()).to_string().as_bytes()).unwrap();
        assert_eq!((whole.usage, whole.finish, whole.tool_call), (seen.usage, seen.finish, seen.tool_call));
        assert_eq!(whole.output_chars, seen.output_chars, "streamed or not");
        assert_eq!(decode_response(&answer(output)).usage, seen.usage);
    }
}

#[test]
fn a_failure_is_held_back_for_its_owner() {
    for event in [
        json!({"type": "response.failed", "response": {"status": "failed", "error": {"code": "x", "message": "m"}}}),
        json!({"type": "response.failed", "response": {"status": "failed"}}),
        json!({"type": "error", "message": "m", "code": "server_error"}),
        json!({"type": "error", "error": {"message": "m"}}),
    ] {
        let (seen, verdicts) = look(std::slice::from_ref(&event));
        assert_eq!(verdicts, [FrameVerdict::Failure], "{event}");
        assert!(seen.failure.is_some() && seen.finish.is_none());
    }
}

#[test]
fn a_cut_answer_is_finished_by_its_length() {
    let mut cut = answer(json!([]));
    cut["status"] = "incomplete".into();
    cut["incomplete_details"] = json!({"reason": "max_output_tokens"});
    let (seen, verdicts) = look(&[json!({"type": "response.incomplete", "response": cut})]);
    assert_eq!((seen.finish, verdicts), (Some(FinishReason::Length), vec![FrameVerdict::Terminator]));
}

#[test]
fn what_is_no_event_is_counted() {
    let (seen, verdicts) = look(&[json!({"foo": 1}), json!({"type": "response.completed"}), json!(3)]);
    assert_eq!((seen.skipped, verdicts), (3, vec![FrameVerdict::Invalid; 3]));
}
