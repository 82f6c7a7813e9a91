//! Whole answers, in both directions.

use serde_json::{Value, json};

use super::{OpenAiResponses, answer, decode_response, echo, encode_response, paths};
use crate::Wire;
use crate::ir::{
    Choice, Citation, Extra, FinishReason, Part, Response, Signature, Text, Thinking, ToolCall, Usage,
};
use crate::wire::{BadResponse, Codec, Dialect, Echo};

pub(super) fn outputs() -> Vec<Value> {
    vec![
        json!([{"id": "msg_1", "type": "message", "status": "completed", "role": "assistant",
            "content": [{"type": "output_text", "text": "Hi.", "annotations": [], "logprobs": []}]}]),
        json!([{"id": "rs_1", "type": "reasoning", "summary": [{"type": "summary_text", "text": "a"},
                {"type": "summary_text", "text": "b"}], "encrypted_content": "gAAA"},
            {"id": "rs_2", "type": "reasoning", "summary": [], "encrypted_content": "gBBB", "status": "completed"},
            {"id": "msg_1", "type": "message", "status": "completed", "role": "assistant", "phase": "commentary",
                "content": [
                    {"type": "output_text", "text": "Look: é.", "logprobs": [], "annotations": [
                        {"type": "url_citation", "start_index": 0, "end_index": 4, "url": "https://e.com", "title": "E"},
                        {"type": "file_citation", "file_id": "f", "filename": "f.txt", "index": 3}]},
                    {"type": "refusal", "refusal": "No."}]},
            {"id": "fc_1", "type": "function_call", "status": "completed", "call_id": "c1", "name": "f",
                "arguments": "{\"b\": 1}"},
            {"id": "ctc_1", "type": "custom_tool_call", "status": "completed", "call_id": "c2", "name": "patch",
                "input": "*** \"q\"\n"}]),
        json!([{"id": "ws_1", "type": "web_search_call", "status": "completed",
                "action": {"type": "search", "query": "q"}},
            {"id": "ws_2", "type": "web_search_call", "status": "completed",
                "action": {"type": "open_page", "url": "u"}},
            {"id": "msg_1", "type": "message", "status": "completed", "role": "assistant",
                "content": [{"type": "output_text", "text": "x", "annotations": []}]}]),
    ]
}

#[test]
fn an_answer_survives_the_round_trip_on_its_own_wire() {
    for output in outputs() {
        let first = decode_response(&answer(output));
        let (written, losses) = encode_response(&first, &Echo { model: String::new(), ..echo() });
        assert!(losses.is_empty(), "{losses:?}");
        let mut second = decode_response(&written);
        // The tier is always said.
        second.service_tier = None;
        // A search is billed where it was made: its item comes back, and is counted again.
        assert_eq!(second, first, "{written}");
    }
}

#[test]
fn an_answer_is_read_into_parts() {
    let response = decode_response(&answer(outputs()[1].clone()));
    assert_eq!((response.id.as_str(), response.created), ("resp_1", Some(5)));
    let choice = &response.choices[0];
    assert_eq!(choice.finish.as_ref().map(|finish| finish.reason), Some(FinishReason::ToolCalls));
    assert_eq!(choice.parts.len(), 7);
    let Part::Thinking(second) = &choice.parts[1] else { panic!("thinking") };
    assert_eq!(second.signature, Some(Signature::of(Wire::OpenAiResponses, "gAAA")));
    let Part::Text(text) = &choice.parts[3] else { panic!("text") };
    assert_eq!(text.citations.len(), 2);
    assert_eq!((text.citations[0].url.as_deref(), text.citations[0].end), (Some("https://e.com"), Some(4)));
    let usage = Usage { input_uncached: 5, cache_read: 4, output: 5, reasoning: 2, ..Usage::default() };
    assert_eq!(response.usage, Some(usage));
    assert!(response.extra.is_empty(), "what repeats the request is no loss: {:?}", response.extra);
}

#[test]
fn only_searches_are_billed() {
    let response = decode_response(&answer(outputs()[2].clone()));
    assert_eq!(response.usage.map(|usage| usage.web_searches), Some(1));
}

#[test]
fn statuses_become_finishes() {
    let read = |status: &str, details: Value| {
        let mut body = answer(outputs()[0].clone());
        body["status"] = status.into();
        body["incomplete_details"] = details;
        decode_response(&body).choices[0].finish.clone().map(|finish| (finish.reason, finish.native))
    };
    let reason = |word: &str| json!({"reason": word});
    let some = |reason, native: &str| Some((reason, native.to_owned()));
    assert_eq!(read("completed", Value::Null), some(FinishReason::Stop, "completed"));
    assert_eq!(
        read("incomplete", reason("max_output_tokens")),
        some(FinishReason::Length, "max_output_tokens")
    );
    assert_eq!(
        read("incomplete", reason("content_filter")),
        some(FinishReason::ContentFilter, "content_filter")
    );
    assert_eq!(read("incomplete", json!("odd")), some(FinishReason::Length, "incomplete"));
    assert_eq!(read("in_progress", Value::Null), None);
}

#[test]
fn an_error_under_a_200_is_a_failure() {
    let mut failed = answer(json!([]));
    failed["status"] = "failed".into();
    failed["error"] = json!({"code": "rate_limit_exceeded", "message": "slow down"});
    for body in [failed, json!({"error": {"message": "slow down", "code": "rate_limit_exceeded"}})] {
        let bytes = body.to_string();
        let decoded = OpenAiResponses.decode_response(bytes.as_bytes());
        let Err(BadResponse::Failure(failure)) = decoded else { panic!("{body}") };
        assert_eq!((failure.status, failure.message.as_str()), (429, "slow down"));
        assert!(matches!(OpenAiResponses.observe_response(bytes.as_bytes()), Err(BadResponse::Failure(_))));
    }
    for body in ["<html>", "{", "{}", "[]", "null", "{\"output\":3}", "{\"output\":[3]}"] {
        assert!(OpenAiResponses.decode_response(body.as_bytes()).is_err(), "{body}");
    }
}

fn response(parts: Vec<Part>) -> Response {
    let finish = crate::ir::Finish {
        reason: FinishReason::ToolCalls,
        native: "tool_use".into(),
        stop_sequence: None,
        details: None,
    };
    let choice = Choice { parts, finish: Some(finish), logprobs: None, extra: Extra::default() };
    Response { id: "msg_9".into(), model: "claude".into(), choices: vec![choice], ..Response::default() }
}

#[test]
fn an_answer_of_another_wire_has_every_member_and_its_own_ids() {
    let call = |id: &str, name: &str, arguments: &str| {
        Part::ToolCall(ToolCall {
            id: id.into(),
            name: name.into(),
            arguments: arguments.into(),
            cache: None,
            extra: Extra::default(),
        })
    };
    let signature = Some(Signature::of(Wire::Anthropic, "EqQ="));
    let citation = Citation { url: Some("https://e.com".into()), ..Citation::of(Wire::Anthropic, json!({})) };
    let parts = vec![
        Part::Thinking(Thinking { text: "a".into(), signature, extra: Extra::default() }),
        Part::RedactedThinking { data: "Emw".into(), extra: Extra::default() },
        Part::Text(Text { text: "é!".into(), citations: vec![citation], ..Text::default() }),
        Part::text("more"),
        call("toolu_1", "f", ""),
        call("", "patch", "{\"input\":\"*** x\"}"),
    ];
    let (written, losses) = encode_response(&response(parts), &echo());
    assert!(losses.is_empty(), "{losses:?}");
    assert_eq!((&written["id"], &written["model"]), (&json!("resp_msg_9"), &json!("alias")));
    assert_eq!((&written["created_at"], &written["status"]), (&json!(7), &json!("completed")));
    assert_eq!((&written["temperature"], &written["top_p"]), (&json!(0.5), &json!(1.0)));
    assert_eq!(written["tools"], json!([{"type": "custom", "name": "patch"}]));
    let output = &written["output"];
    assert_eq!(output[0]["encrypted_content"], "bifrost:anthropic:EqQ=");
    assert_eq!(output[1]["encrypted_content"], "bifrost:anthropic:redacted:Emw");
    let annotation = json!({"type": "url_citation", "start_index": 0, "end_index": 2, "url": "https://e.com",
        "title": ""});
    assert_eq!(output[2]["content"][0]["annotations"], json!([annotation]));
    assert_eq!(output[2]["content"][1]["text"], "more", "one message");
    assert_eq!((&output[3]["id"], &output[3]["arguments"]), (&json!("fc_u1_3"), &json!("{}")));
    assert_eq!((&output[4]["type"], &output[4]["input"]), (&json!("custom_tool_call"), &json!("*** x")));
    assert_eq!(output[4]["call_id"], "call_u1_4", "never empty");
}

#[test]
fn logprobs_stand_with_the_text_and_at_the_choice() {
    let list = json!([{"token": "x", "logprob": -0.5, "bytes": [120], "top_logprobs": []}]);
    let body = answer(json!([{"type": "message", "role": "assistant",
        "content": [{"type": "output_text", "text": "x", "annotations": [], "logprobs": list}]}]));
    let response = decode_response(&body);
    assert_eq!(response.choices[0].logprobs, Some(json!({"content": list, "refusal": null})));
    let (written, losses) = encode_response(&response, &echo());
    assert_eq!(written["output"][0]["content"][0]["logprobs"], list);
    assert!(losses.is_empty());
}

#[test]
fn a_cut_answer_says_so() {
    let mut cut = response(vec![Part::text("a"), Part::text("b")]);
    if let Some(finish) = &mut cut.choices[0].finish {
        finish.reason = FinishReason::Length;
        finish.native = "max_tokens".into();
    }
    let (written, losses) = encode_response(&cut, &echo());
    assert_eq!(written["incomplete_details"], json!({"reason": "max_output_tokens"}), "trap 54");
    assert_eq!(
        (&written["status"], &written["output"][0]["status"]),
        (&json!("incomplete"), &json!("incomplete"))
    );
    assert!(losses.is_empty(), "{losses:?}");
}

#[test]
fn what_cannot_be_said_is_told() {
    let mut odd = response(vec![Part::Audio { data: "x".into(), format: "wav".into() }]);
    odd.choices.push(odd.choices[0].clone());
    odd.extra = Extra::of(Wire::OpenAiChat, json!({"x": 1}).as_object().unwrap().clone());
    if let Some(finish) = &mut odd.choices[0].finish {
        finish.reason = FinishReason::Stop;
        finish.native = "pause_turn".into();
    }
    let (_, losses) = encode_response(&odd, &echo());
    assert_eq!(paths(&losses), ["choices[1]", "x", "choices[0].finish_reason", "choices[0].content[0]"]);
}

#[test]
fn a_request_of_no_known_shape_is_repeated_as_nothing() {
    for body in ["", "[]", "{\"tools\":", "3"] {
        assert!(super::super::echo_of(body.as_bytes()).is_empty(), "{body}");
    }
    let echo = super::super::echo_of(br#"{"input":"secret","tools":[],"top_p":0.5}"#);
    assert_eq!(Value::Object(echo), json!({"tools": [], "top_p": 0.5}));
}
