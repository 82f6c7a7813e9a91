//! Whole answers, read and written.

use serde_json::{Value, json};

use super::super::Cohere;
use super::{echo, lost};
use crate::Wire;
use crate::ir::{Choice, Citation, FailureKind, FinishReason, Part, Response, Text, ToolCall};
use crate::loss::Losses;
use crate::wire::{BadResponse, Codec, Dialect};

fn read(body: &Value) -> Response {
    Cohere.decode_response(body.to_string().as_bytes()).unwrap()
}

fn write(response: &Response) -> (Value, Losses) {
    let mut losses = Losses::default();
    let body = Cohere.encode_response(response, &echo(), &mut losses);
    (serde_json::from_slice(&body).unwrap(), losses)
}

pub(super) fn full() -> Value {
    json!({"id": "i", "message": {"role": "assistant",
        "content": [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "One."},
            {"type": "text", "text": "Two.", "x": 1}],
        "citations": [
            {"start": 0, "end": 3, "text": "One", "sources": [{"type": "document", "id": "d", "document": {
                "url": "https://x/y", "title": "T", "snippet": "S"}}, {"type": "tool", "id": "t"}],
             "content_index": 1, "type": "TEXT_CONTENT"},
            {"start": 0, "end": 3, "text": "Two", "sources": [], "content_index": 2}]},
        "finish_reason": "COMPLETE",
        "usage": {"billed_units": {"input_tokens": 3, "output_tokens": 4},
            "tokens": {"input_tokens": 3, "output_tokens": 4}, "cached_tokens": 1},
        "logprobs": [{"text": "a", "token_ids": [1], "logprobs": [-0.5]},
            {"text": "bc", "token_ids": [2, 3], "logprobs": [-0.5, -0.25]}],
        "x_top": {"a": 1}})
}

#[test]
fn an_answer_comes_back_as_it_was() {
    let first = read(&full());
    let (written, losses) = write(&first);
    assert_eq!(losses.as_slice(), []);
    assert_eq!(written, full());
    assert_eq!(read(&written), first);
}

#[test]
fn a_plan_and_its_citation_come_back_beside_the_calls() {
    let body = json!({"id": "i", "message": {"role": "assistant", "tool_plan": "I look it up.",
        "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
        "citations": [{"start": 0, "end": 1, "text": "I", "sources": [], "type": "PLAN"}]},
        "finish_reason": "TOOL_CALL"});
    let answer = read(&body);
    let Part::Text(plan) = &answer.choices[0].parts[0] else { panic!("no plan") };
    assert_eq!((plan.text.as_str(), plan.citations.len()), ("I look it up.", 1));
    assert_eq!(write(&answer).0, body);
}

#[test]
fn one_citation_is_read_per_source() {
    let answer = read(&full());
    let Part::Text(text) = &answer.choices[0].parts[1] else { panic!("no text") };
    assert_eq!(text.citations.len(), 2);
    let first = &text.citations[0];
    assert_eq!((first.url.as_deref(), first.title.as_deref()), (Some("https://x/y"), Some("T")));
    assert_eq!((first.quote.as_deref(), first.start, first.end), (Some("S"), Some(0), Some(3)));
    assert_eq!(text.citations[1].title.as_deref(), Some("t"));
}

#[test]
fn a_foreign_citation_names_its_place_and_words() {
    let cited = Citation {
        url: Some("https://x".into()),
        start: Some(3),
        end: Some(99),
        ..Citation::of(Wire::Anthropic, json!({}))
    };
    let text = Text { text: "Où là".into(), citations: vec![cited], ..Text::default() };
    let choice =
        Choice { parts: vec![Part::Text(text)], finish: None, logprobs: None, extra: Default::default() };
    let (body, losses) = write(&Response { choices: vec![choice], ..Response::default() });
    let expected = json!([{"start": 3, "end": 5, "text": "là", "sources": [{"type": "document",
        "id": "https://x", "document": {"url": "https://x"}}], "content_index": 0, "type": "TEXT_CONTENT"}]);
    assert_eq!(body["message"]["citations"], expected);
    assert_eq!(body["id"], "u1");
    assert!(lost(&losses).is_empty());
}

#[test]
fn calls_without_ids_get_some() {
    let call = |name: &str| {
        Part::ToolCall(ToolCall {
            id: String::new(),
            name: name.into(),
            arguments: String::new(),
            cache: None,
            extra: Default::default(),
        })
    };
    let choice =
        Choice { parts: vec![call("a"), call("b")], finish: None, logprobs: None, extra: Default::default() };
    let body = write(&Response { choices: vec![choice], ..Response::default() }).0;
    let calls = body["message"]["tool_calls"].as_array().unwrap();
    assert_eq!((&calls[0]["id"], &calls[1]["id"]), (&json!("call_u1_0"), &json!("call_u1_1")));
    assert_eq!(calls[1]["function"]["arguments"], "{}");
    assert_eq!((&body["finish_reason"], body["message"].get("content")), (&json!("TOOL_CALL"), None));
}

#[test]
fn finishes_are_sorted_and_keep_their_word() {
    use FinishReason::{ContentFilter, Error, Length, Stop, ToolCalls};
    let cases = [
        ("COMPLETE", Stop),
        ("STOP_SEQUENCE", Stop),
        ("MAX_TOKENS", Length),
        ("TOOL_CALL", ToolCalls),
        ("ERROR", Error),
        ("TIMEOUT", Error),
        ("ERROR_TOXIC", ContentFilter),
        ("NEW", Stop),
    ];
    for (word, reason) in cases {
        let body = json!({"message": {"role": "assistant", "content": []}, "finish_reason": word});
        let finish = read(&body).choices.remove(0).finish.unwrap();
        assert_eq!((finish.reason, finish.native.as_str()), (reason, word));
        let seen = Cohere.observe_response(body.to_string().as_bytes()).unwrap();
        assert_eq!(seen.finish, Some(reason));
    }
}

#[test]
fn what_is_no_answer_is_told() {
    let failed = |body: &str| match Cohere.decode_response(body.as_bytes()) {
        Err(BadResponse::Failure(failure)) => failure.kind,
        other => panic!("{other:?}"),
    };
    assert_eq!(failed(r#"{"message":"invalid api token"}"#), FailureKind::Upstream);
    assert_eq!(failed(r#"{"message":"too many tokens: overloaded"}"#), FailureKind::Overloaded);
    for (body, json) in
        [("<html>", false), ("[]", true), ("{}", true), (r#"{"message":3}"#, true), ("{", false)]
    {
        let shape = matches!(Cohere.decode_response(body.as_bytes()), Err(BadResponse::WrongShape(_)));
        assert_eq!(shape, json, "{body}");
        assert!(Cohere.observe_response(body.as_bytes()).is_err(), "{body}");
    }
}

#[test]
fn statuses_of_the_wire_are_understood() {
    let kind = |status, body: &str| Cohere.decode_failure(status, body.as_bytes()).kind;
    assert_eq!(kind(498, r#"{"message":"bad token"}"#), FailureKind::Authentication);
    assert_eq!(kind(400, r#"{"message":"too many tokens: size 9 > 8"}"#), FailureKind::ContextLength);
    assert_eq!(kind(429, r#"{"message":"slow down"}"#), FailureKind::RateLimited);
    assert_eq!(kind(499, r#"{"message":"closed"}"#), FailureKind::InvalidRequest);
    let failure = Cohere.decode_failure(429, br#"{"message":"slow down"}"#);
    let body: Value = serde_json::from_slice(&Cohere.encode_failure(&failure, "r")).unwrap();
    assert_eq!(body, json!({"id": "r", "message": "slow down", "type": "rate_limit_error"}));
}

#[test]
fn a_relay_sees_what_a_translation_sees() {
    let body = full().to_string();
    let seen = Cohere.observe_response(body.as_bytes()).unwrap();
    assert_eq!(seen.usage, read(&full()).usage);
    let mut uncounted = full();
    uncounted["usage"] = Value::Null;
    let seen = Cohere.observe_response(uncounted.to_string().as_bytes()).unwrap();
    assert_eq!((seen.usage, seen.output_chars), (None, 11));
}
