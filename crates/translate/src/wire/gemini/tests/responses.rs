//! Whole answers, both ways.

use serde_json::{Value, json};

use super::{call, echo, lost, thinking};
use crate::Wire;
use crate::ir::{Choice, Citation, Extra, Finish, FinishReason, Part, Response, Text, Usage};
use crate::loss::Losses;
use crate::wire::gemini::Gemini;
use crate::wire::{BadResponse, Codec, Dialect};

fn read(body: Value) -> Response {
    Gemini.decode_response(body.to_string().as_bytes()).unwrap()
}

fn write(response: &Response) -> (Value, Losses) {
    let mut losses = Losses::default();
    let bytes = Gemini.encode_response(response, &echo(), &mut losses);
    (serde_json::from_slice(&bytes).unwrap(), losses)
}

fn candidate(parts: Value) -> Value {
    json!({"candidates": [{"content": {"parts": parts, "role": "model"}, "finishReason": "STOP"}]})
}

fn choice(parts: Vec<Part>, reason: FinishReason, native: &str) -> Choice {
    let finish = Finish { reason, native: native.to_owned(), stop_sequence: None, details: None };
    Choice { parts, finish: Some(finish), logprobs: None, extra: Extra::default() }
}

#[test]
fn counts_are_sorted_into_disjoint_buckets() {
    let body = json!({"candidates": [{"finishReason": "STOP"}], "usageMetadata": {
        "promptTokenCount": 1000, "cachedContentTokenCount": 400, "candidatesTokenCount": 50,
        "thoughtsTokenCount": 70, "toolUsePromptTokenCount": 30, "totalTokenCount": 1150,
        "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 300}, {"modality": "TEXT", "tokenCount": 700}],
        "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 100}],
        "candidatesTokensDetails": [{"modality": "AUDIO", "tokenCount": 40}]}});
    let usage = read(body).usage.unwrap();
    let expected = Usage {
        input_uncached: 630,
        cache_read: 400,
        output: 120,
        reasoning: 70,
        audio_input: 200,
        audio_output: 40,
        audio_cached: 100,
        ..Usage::default()
    };
    assert_eq!(usage, expected);
    assert_eq!(usage.total(), 1150);
}

#[test]
fn stop_means_calls_when_there_are_some() {
    let finish = |body: Value| read(body).choices[0].finish.clone().unwrap();
    let call = json!([{"functionCall": {"name": "f", "args": {"a": 1}}}]);
    let found = finish(candidate(call));
    assert_eq!((found.reason, found.native.as_str()), (FinishReason::ToolCalls, "STOP"));
    for (word, reason) in [
        ("MAX_TOKENS", FinishReason::Length),
        ("SPII", FinishReason::ContentFilter),
        ("IMAGE_SAFETY", FinishReason::ContentFilter),
        ("MALFORMED_FUNCTION_CALL", FinishReason::Error),
        ("OTHER", FinishReason::Stop),
        ("A_NEW_WORD", FinishReason::Stop),
    ] {
        let found = finish(json!({"candidates": [{"finishReason": word}]}));
        assert_eq!((found.reason, found.native.as_str()), (reason, word));
    }
}

#[test]
fn a_blocked_prompt_is_an_answer_without_words() {
    let read = read(
        json!({"promptFeedback": {"blockReason": "JAILBREAK"}, "usageMetadata": {"promptTokenCount": 3}}),
    );
    assert_eq!(read.choices.len(), 1);
    let finish = read.choices[0].finish.as_ref().unwrap();
    assert_eq!((finish.reason, finish.native.as_str()), (FinishReason::ContentFilter, "JAILBREAK"));
    assert_eq!(read.usage.unwrap().input_uncached, 3);
}

#[test]
fn a_200_that_is_no_answer_is_told_apart() {
    let decode = |body: &str| Gemini.decode_response(body.as_bytes()).unwrap_err();
    assert!(matches!(decode("<html>"), BadResponse::NotJson(_)));
    assert!(matches!(decode("{\"candidates\": ["), BadResponse::NotJson(_)));
    for body in ["{}", "[]", "1", "{\"candidates\": []}", "{\"promptFeedback\": {}}", "{\"candidates\": [1]}"]
    {
        assert!(matches!(decode(body), BadResponse::WrongShape(_)), "{body}");
    }
    for body in [
        r#"{"error": {"code": 503, "message": "m", "status": "UNAVAILABLE"}}"#,
        r#"[{"error": {"code": 503, "message": "m", "status": "UNAVAILABLE"}}]"#,
    ] {
        let BadResponse::Failure(failure) = decode(body) else { panic!("{body}") };
        assert_eq!(failure.status, 503);
        assert_eq!(Gemini.observe_response(body.as_bytes()), Err(BadResponse::Failure(failure)));
    }
}

#[test]
fn calls_without_ids_get_unique_ones() {
    let response = Response {
        choices: vec![
            choice(vec![call("", "f", "{}"), call("", "f", "")], FinishReason::ToolCalls, "tool_calls"),
            choice(vec![call("own", "f", "")], FinishReason::ToolCalls, "tool_calls"),
        ],
        ..Response::default()
    };
    let (body, _) = write(&response);
    let id = |candidate: usize, part: usize| {
        body["candidates"][candidate]["content"]["parts"][part]["functionCall"]["id"].clone()
    };
    assert_eq!([id(0, 0), id(0, 1), id(1, 0)], ["call_u1_0", "call_u1_1", "own"]);
    assert_eq!(body["candidates"][0]["finishReason"], "STOP");
    assert_eq!(body["responseId"], "u1");
}

#[test]
fn the_providers_own_word_is_told_when_ours_says_less() {
    for (reason, native, word, message) in [
        (FinishReason::Stop, "pause_turn", "STOP", json!("pause_turn")),
        (FinishReason::Stop, "end_turn", "STOP", Value::Null),
        (FinishReason::Length, "length", "MAX_TOKENS", Value::Null),
        (FinishReason::ContentFilter, "SPII", "SPII", Value::Null),
        (FinishReason::Error, "error", "OTHER", json!("error")),
    ] {
        let response = Response { choices: vec![choice(vec![], reason, native)], ..Response::default() };
        let candidate = &write(&response).0["candidates"][0];
        assert_eq!((&candidate["finishReason"], &candidate["finishMessage"]), (&json!(word), &message));
    }
}

#[test]
fn sources_get_offsets_in_bytes() {
    let mut citation = Citation::of(Wire::Anthropic, Value::Null);
    (citation.url, citation.start, citation.end) = (Some("https://a".into()), Some(2), Some(4));
    let text = Text { text: "Öl ölt".into(), citations: vec![citation], ..Text::default() };
    let parts = vec![thinking("t", None), Part::Text(text)];
    let response = Response { choices: vec![choice(parts, FinishReason::Stop, "")], ..Response::default() };
    let (body, losses) = write(&response);
    let support = &body["candidates"][0]["groundingMetadata"]["groundingSupports"][0];
    assert_eq!(support["segment"], json!({"partIndex": 1, "startIndex": 3, "endIndex": 6, "text": " ö"}));
    assert!(losses.is_empty());
    let again = read(body);
    let Part::Text(text) = &again.choices[0].parts[1] else { panic!() };
    assert_eq!((text.citations[0].start, text.citations[0].end), (Some(2), Some(4)));
}

#[test]
fn signatures_survive_the_dialect() {
    let parts = vec![
        thinking("why", Some((Wire::Anthropic, "EqQ="))),
        Part::RedactedThinking { data: "Emw=".into(), extra: Extra::default() },
        call("a", "f", "{}"),
    ];
    let response =
        Response { choices: vec![choice(parts.clone(), FinishReason::ToolCalls, "")], ..Response::default() };
    let (body, losses) = write(&response);
    assert!(losses.is_empty());
    let request = json!({"contents": [body["candidates"][0]["content"]]});
    let read = Gemini.decode_request(request.to_string().as_bytes()).unwrap();
    assert_eq!(read.messages[0].parts, parts);
}

#[test]
fn what_an_answer_cannot_hold_is_told() {
    let parts = vec![
        Part::Opaque { wire: Wire::Anthropic, value: json!({"type": "server_tool_use"}) },
        Part::text("x"),
    ];
    let mut response =
        Response { choices: vec![choice(parts, FinishReason::Stop, "stop")], ..Response::default() };
    response.extra = Extra::of(Wire::OpenAiChat, json!({"x_top": 1}).as_object().unwrap().clone());
    assert_eq!(lost(&write(&response).1), ["candidates[0].content[0]", "x_top"]);
}

#[test]
fn empty_parts_and_odd_ones_do_not_spoil_an_answer() {
    let body = candidate(json!([{"text": ""}, {"thought": true}, {}, {"text": "a"}, {"inlineData":
        {"mimeType": "image/png", "data": "aGk="}}]));
    let parts = &read(body).choices[0].parts;
    assert_eq!(parts[0], Part::text("a"));
    assert!(matches!(parts[1], Part::Image(_)));
}

#[test]
fn a_failure_inside_an_answer_and_a_refusal_are_told() {
    let finish =
        Finish { reason: FinishReason::Error, native: "TIMEOUT".into(), stop_sequence: None, details: None };
    let choice = Choice {
        parts: vec![Part::Refusal("no".into())],
        finish: Some(finish),
        logprobs: None,
        extra: Default::default(),
    };
    let response = Response { choices: vec![choice], ..Response::default() };
    let mut losses = Losses::default();
    let body = Wire::Gemini.dialect().unwrap().encode_response(&response, &echo(), &mut losses);
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["candidates"][0]["finishReason"], "OTHER");
    assert_eq!(lost(&losses), ["candidates[0].content[0]", "candidates[0].finish_reason"]);
}

#[test]
fn reasoning_counted_beside_the_output_does_not_swell_it() {
    let usage = Usage { output: 3, reasoning: 7, ..Usage::default() };
    let response = Response { usage: Some(usage), ..Response::default() };
    let body = Wire::Gemini.dialect().unwrap().encode_response(&response, &echo(), &mut Losses::default());
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["usageMetadata"]["thoughtsTokenCount"], 3);
    assert_eq!(body["usageMetadata"]["candidatesTokenCount"], 0);
}
