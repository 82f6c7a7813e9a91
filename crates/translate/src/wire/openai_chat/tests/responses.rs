//! Whole answers, and the token counts of every relative of this wire.

use serde_json::{Value, json};

use super::{OpenAiChat, chunks, decode_response, echo, encode_response, events, paths};
use crate::Wire;
use crate::ir::*;
use crate::loss::Losses;
use crate::wire::{BadResponse, Codec, Dialect};

pub(super) const BODIES: &[&str] = &[
    r#"{"id":"chatcmpl-1","object":"chat.completion","created":1700000001,"model":"gpt-x","choices":[{"index":0,"message":{"role":"assistant","content":"Hi","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":10,"completion_tokens":2,"total_tokens":12,"prompt_tokens_details":{"cached_tokens":4,"audio_tokens":1},"completion_tokens_details":{"reasoning_tokens":1,"audio_tokens":0,"accepted_prediction_tokens":1,"rejected_prediction_tokens":3}},"service_tier":"default","system_fingerprint":"fp_1"}"#,
    r#"{"id":"a","object":"chat.completion","created":1,"model":"m","choices":[{"index":1,"message":{"role":"assistant","content":"b"},"finish_reason":"length"},{"index":0,"message":{"role":"assistant","content":"a"},"finish_reason":"stop","content_filter_results":{"hate":{"filtered":false}}}],"prompt_filter_results":[]}"#,
    r#"{"id":"a","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":null,"tool_calls":[{"index":0,"id":"c1","type":"function","function":{"name":"f","arguments":"{\"z\":1, \"a\":2}"}},{"id":"c2","type":"function","function":{"name":"g","arguments":"{}"},"extra_content":{"s":1}}]},"finish_reason":"tool_calls"}]}"#,
    r#"{"id":"a","object":"chat.completion","created":1,"model":"deepseek","choices":[{"index":0,"message":{"role":"assistant","reasoning_content":"think","content":"x"},"finish_reason":"stop"}],"usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15,"prompt_cache_hit_tokens":6,"prompt_cache_miss_tokens":4}}"#,
    r#"{"id":"gen-1","provider":"Anthropic","object":"chat.completion","created":1,"model":"anthropic/claude","choices":[{"index":0,"native_finish_reason":"pause_turn","message":{"role":"assistant","content":"x","refusal":null,"reasoning":"ab","reasoning_details":[{"type":"reasoning.text","text":"a","signature":"S1","format":"anthropic-claude-v1","index":0},{"type":"reasoning.text","text":"b","signature":"S2","index":1},{"type":"reasoning.encrypted","data":"E","index":2}]},"finish_reason":"stop"}],"usage":{"prompt_tokens":100,"completion_tokens":5,"total_tokens":105,"cost":0.00014175,"is_byok":false,"prompt_tokens_details":{"cached_tokens":60,"cache_write_tokens":30},"cost_details":{"upstream_inference_cost":null}}}"#,
    r#"{"id":"a","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":null,"refusal":"I cannot."},"finish_reason":"content_filter","logprobs":{"content":[],"refusal":[{"token":"I"}]}}]}"#,
    r#"{"id":"a","object":"chat.completion","created":1,"model":"magistral","choices":[{"index":0,"message":{"role":"assistant","content":[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]},{"type":"text","text":"yes"}]},"finish_reason":"stop"}]}"#,
    r#"{"id":"a","object":"chat.completion","created":1,"model":"gpt-search","citations":["https://e.com"],"choices":[{"index":0,"message":{"role":"assistant","content":"x","annotations":[{"type":"url_citation","url_citation":{"url":"https://e.com","title":"E","start_index":0,"end_index":1}}]},"finish_reason":null}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2,"queue_time":0.5}}"#,
    r#"{"id":7,"model":"old","choices":[{"index":0,"message":{"role":"assistant","content":null,"function_call":{"name":"f","arguments":"{}"}},"finish_reason":"function_call"}]}"#,
];

#[test]
fn an_answer_survives_the_round_trip_on_its_own_wire() {
    for body in BODIES {
        let mut first = decode_response(body);
        let (written, losses) = encode_response(&first);
        first.created = first.created.or(Some(echo().now));
        for finish in first.choices.iter_mut().filter_map(|choice| choice.finish.as_mut()) {
            // The deprecated word is written the current way.
            finish.native = finish.native.replace("function_call", "tool_calls");
        }
        for part in first.choices.iter_mut().flat_map(|choice| &mut choice.parts) {
            if let Part::ToolCall(call) = part
                && call.id.is_empty()
            {
                call.id = "call_u1_0".into();
            }
        }
        assert_eq!(decode_response(&written.to_string()), first, "{body}\n{written}");
        assert!(losses.is_empty(), "{body}: {losses:?}");
    }
}

#[test]
fn unknown_fields_are_written_back_where_they_stood() {
    let written = |index: usize| encode_response(&decode_response(BODIES[index])).0;
    assert_eq!(written(1)["choices"][0]["content_filter_results"]["hate"]["filtered"], false);
    assert_eq!(written(2)["choices"][0]["message"]["tool_calls"][1]["extra_content"], json!({"s": 1}));
    assert_eq!(written(4)["usage"]["is_byok"], false);
    assert_eq!(written(4)["provider"], "Anthropic");
    assert_eq!(written(7)["choices"][0]["message"]["annotations"][0]["type"], "url_citation");
    assert_eq!(written(7)["usage"]["queue_time"], 0.5);
}

#[test]
fn fields_stand_in_openai_order() {
    let (written, _) = encode_response(&decode_response(BODIES[0]));
    let keys: Vec<_> = written.as_object().unwrap().keys().collect();
    let expected =
        ["id", "object", "created", "model", "choices", "usage", "system_fingerprint", "service_tier"];
    assert_eq!(keys, expected);
}

fn usage(json: Value) -> Usage {
    let body = json!({"choices": [], "usage": json});
    let whole = decode_response(&body.to_string()).usage.expect("usage");
    // The stream and the observer must agree with the whole answer (trap 35).
    let frame = crate::frame::Frame { raw: b"x", event: "", data: body.to_string().as_bytes() }.data.to_vec();
    let mut seen = crate::wire::Observation::default();
    let frame = crate::frame::Frame { raw: &frame, event: "", data: &frame };
    OpenAiChat.observe_frame(&frame, &mut seen);
    assert_eq!(seen.usage, Some(whole));
    let mut out = Vec::new();
    OpenAiChat.stream_decoder().frame(&frame, &mut out).unwrap();
    assert!(out.contains(&Event::Usage(whole)));
    assert_eq!(OpenAiChat.observe_response(body.to_string().as_bytes()).unwrap().usage, Some(whole));
    whole
}

#[test]
fn cached_tokens_are_counted_once() {
    let counts = usage(
        json!({"prompt_tokens": 100, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 30}}),
    );
    assert_eq!((counts.input_uncached, counts.cache_read, counts.cache_write), (10, 60, 30));
    assert_eq!((counts.input_total(), counts.total()), (100, 107));

    let deepseek = usage(
        json!({"prompt_tokens": 10, "completion_tokens": 1, "prompt_cache_hit_tokens": 6, "prompt_cache_miss_tokens": 4}),
    );
    assert_eq!((deepseek.input_uncached, deepseek.cache_read, deepseek.cache_write), (4, 6, 0));

    let moonshot = usage(json!({"prompt_tokens": 10, "completion_tokens": 1, "cached_tokens": 8}));
    assert_eq!((moonshot.input_uncached, moonshot.cache_read), (2, 8));

    let mixed = usage(
        json!({"prompt_tokens": 10, "prompt_tokens_details": {"cached_tokens": 0}, "cache_read_input_tokens": 9, "cached_tokens": 8}),
    );
    assert_eq!((mixed.input_uncached, mixed.cache_read), (10, 0), "a reported zero stands (trap 37)");

    let more_cached = usage(json!({"prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": 9}}));
    assert_eq!(more_cached.input_uncached, 0, "never below zero");
}

#[test]
fn perplexity_reasoning_is_counted_apart_and_its_searches_are_kept() {
    let counts = usage(
        json!({"prompt_tokens": 33, "completion_tokens": 10, "total_tokens": 43, "citation_tokens": 5, "num_search_queries": 18, "reasoning_tokens": 70, "cost": {"total_cost": 0.006}}),
    );
    assert_eq!((counts.output, counts.reasoning, counts.web_searches), (80, 70, 18));
    assert_eq!(counts.provider_cost_nanos, Some(6_000_000));
}

#[test]
fn a_cost_is_read_digit_by_digit() {
    let cost = |text: &str| {
        let body = format!(r#"{{"choices":[],"usage":{{"prompt_tokens":1,"cost":{text}}}}}"#);
        decode_response(&body).usage.unwrap().provider_cost_nanos
    };
    assert_eq!(cost("0.00014175"), Some(141_750));
    assert_eq!(cost("1.4175e-4"), Some(141_750));
    assert_eq!(cost("12"), Some(12_000_000_000));
    assert_eq!(cost("0.1000000009"), Some(100_000_000), "below a nano is cut");
    assert_eq!(cost("0.29"), Some(290_000_000), "a float would give 289999999");
    assert_eq!(cost("1E2"), Some(100_000_000_000));
    assert_eq!((cost("0"), cost("-1"), cost("null"), cost("1e300")), (Some(0), None, None, None));
}

#[test]
fn misshapen_usage_does_not_spoil_the_answer() {
    for usage in
        ["7", "[]", r#"{"prompt_tokens":"12"}"#, r#"{"prompt_tokens":12.0}"#, r#"{"prompt_tokens":{}}"#]
    {
        let body = format!(r#"{{"choices":[{{"message":{{"content":"x"}}}}],"usage":{usage}}}"#);
        assert_eq!(decode_response(&body).choices[0].parts, [Part::text("x")], "{usage}");
    }
}

#[test]
fn stop_with_calls_is_tool_calls() {
    let body = r#"{"choices":[{"message":{"content":null,"tool_calls":[{"id":"a","function":{"name":"f","arguments":"{}"}}]},"finish_reason":"stop"}]}"#;
    let finish = decode_response(body).choices[0].finish.clone().unwrap();
    assert_eq!((finish.reason, finish.native.as_str()), (FinishReason::ToolCalls, "stop"));
}

#[test]
fn every_finish_word_is_understood_or_kept() {
    let finish = |word: &str| {
        let body = format!(r#"{{"choices":[{{"message":{{"content":"x"}},"finish_reason":{word}}}]}}"#);
        decode_response(&body).choices[0].finish.clone()
    };
    let reason = |word: &str| finish(word).unwrap().reason;
    assert_eq!(reason(r#""stop""#), FinishReason::Stop);
    assert_eq!(reason(r#""length""#), FinishReason::Length);
    assert_eq!(reason(r#""model_length""#), FinishReason::Length);
    assert_eq!(reason(r#""content_filter""#), FinishReason::ContentFilter);
    assert_eq!(reason(r#""insufficient_system_resource""#), FinishReason::Error);
    assert_eq!(finish(r#""brand_new""#).unwrap().native, "brand_new");
    assert_eq!(finish("null"), None);
}

fn anthropic_answer() -> Response {
    let citation = json!({"type": "web_search_result_location", "url": "https://e.com", "title": "E"});
    let cited = Citation {
        url: Some("https://e.com".into()),
        title: Some("E".into()),
        ..Citation::of(Wire::Anthropic, citation)
    };
    let text = Text { text: "é!".into(), citations: vec![cited], ..Text::default() };
    let finish = Finish {
        reason: FinishReason::Stop,
        native: "pause_turn".into(),
        stop_sequence: Some("END".into()),
        details: None,
    };
    let parts = vec![
        Part::Thinking(Thinking {
            text: "t".into(),
            signature: Some(Signature::of(Wire::Anthropic, "S")),
            ..Thinking::default()
        }),
        Part::text("ab"),
        Part::Text(text),
        Part::Opaque { wire: Wire::Anthropic, value: json!({"type": "server_tool_use"}) },
    ];
    let choice = Choice { parts, finish: Some(finish), logprobs: None, extra: Extra::default() };
    let usage = Usage {
        input_uncached: 1,
        cache_read: 2,
        cache_write: 3,
        cache_write_1h: 4,
        output: 5,
        ..Usage::default()
    };
    Response {
        id: "msg_1".into(),
        model: "claude".into(),
        choices: vec![choice],
        usage: Some(usage),
        ..Response::default()
    }
}

#[test]
fn an_answer_of_another_wire_is_written_as_openai_would() {
    let (body, losses) = encode_response(&anthropic_answer());
    let message = &body["choices"][0]["message"];
    assert_eq!(body["id"], "msg_1");
    assert_eq!(body["created"], 1_700_000_000);
    assert_eq!(message["content"], "abé!");
    assert_eq!(message["reasoning_content"], "t");
    assert_eq!(message["reasoning_details"][0]["signature"], "S");
    let place = &message["annotations"][0]["url_citation"];
    assert_eq!(
        (&place["url"], &place["start_index"], &place["end_index"]),
        (&json!("https://e.com"), &json!(2), &json!(4))
    );
    assert_eq!(body["choices"][0]["native_finish_reason"], "pause_turn");
    assert_eq!(body["usage"]["prompt_tokens"], 10);
    assert_eq!(body["usage"]["total_tokens"], 15);
    assert_eq!(body["usage"]["prompt_tokens_details"]["cached_tokens"], 2);
    assert_eq!(body["usage"]["prompt_tokens_details"]["cache_write_tokens"], 7);
    assert_eq!(paths(&losses), ["choices[0].content[3]", "choices[0].stop_sequence"]);
}

#[test]
fn an_answer_without_an_id_gets_one_and_the_callers_model() {
    let response = Response { choices: vec![], ..Response::default() };
    let echo = crate::wire::Echo { model: "alias".into(), ..echo() };
    let body = OpenAiChat.encode_response(&response, &echo, &mut Losses::default());
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((&body["id"], &body["model"]), (&json!("chatcmpl-u1"), &json!("alias")));
}

#[test]
fn a_200_that_is_no_answer_is_told_apart() {
    let seen = |body: &str| {
        let read = OpenAiChat.decode_response(body.as_bytes()).map(|_| ()).unwrap_err();
        let observed = OpenAiChat.observe_response(body.as_bytes()).map(|_| ()).unwrap_err();
        assert_eq!(std::mem::discriminant(&read), std::mem::discriminant(&observed), "{body}");
        observed
    };
    let truncated = BODIES[0].get(..150).unwrap();
    assert!(matches!(seen(truncated), BadResponse::NotJson(_)));
    assert!(matches!(seen("<html><body>Bad gateway</body></html>"), BadResponse::NotJson(_)));
    assert!(matches!(seen(""), BadResponse::NotJson(_)));
    assert!(matches!(seen(r#"{"foo":1}"#), BadResponse::WrongShape(_)));
    assert!(matches!(seen("[]"), BadResponse::WrongShape(_)));
    let BadResponse::Failure(failure) = seen(r#"{"error":{"message":"no","code":429},"choices":[]}"#) else {
        panic!("a failure")
    };
    assert_eq!((failure.status, failure.kind), (429, FailureKind::RateLimited));
    assert!(matches!(
        seen(r#"{"base_resp":{"status_code":1002,"status_msg":"slow"}}"#),
        BadResponse::Failure(_)
    ));
}

#[test]
fn embeddings_are_observed_by_this_wire() {
    let body = r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.1]}],"model":"e","usage":{"prompt_tokens":8,"total_tokens":8}}"#;
    let seen = OpenAiChat.observe_response(body.as_bytes()).unwrap();
    assert_eq!((seen.usage.unwrap().input_uncached, seen.model.as_deref()), (8, Some("e")));
}

#[test]
fn a_whole_answer_is_observed_with_its_calls_and_finish() {
    let seen = OpenAiChat.observe_response(BODIES[2].as_bytes()).unwrap();
    assert!(seen.content && seen.tool_call);
    assert_eq!(seen.finish, Some(FinishReason::ToolCalls));
    let seen = OpenAiChat.observe_response(BODIES[1].as_bytes()).unwrap();
    assert_eq!((seen.output_chars, seen.choices_open, seen.choices_finished), (2, 3, 3));
}

#[test]
fn images_stand_beside_the_text_whole_and_in_streams() {
    let entry = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}});
    let message = json!({"role": "assistant", "content": "Here.", "images": [entry]});
    let body = json!({"id": "a", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]});
    let read = decode_response(&body.to_string());
    let Part::Image(image) = &read.choices[0].parts[1] else { panic!("{read:?}") };
    let (written, losses) = encode_response(&read);
    assert_eq!(written["choices"][0]["message"]["images"], json!([entry]));
    assert!(losses.is_empty(), "{losses:?}");

    let delta = json!({"index": 0, "delta": {"images": [entry]}, "finish_reason": null});
    let chunk = json!({"id": "a", "choices": [delta]}).to_string();
    let seen = events(&[&chunk, "[DONE]"]);
    let start = Event::PartStart { choice: 0, part: 0, kind: PartKind::Image(Box::new(image.clone())) };
    assert!(seen.contains(&start), "{seen:?}");
    let written = chunks(&[start, Event::PartStop { choice: 0, part: 0 }], echo()).concat();
    assert!(written.contains(&json!({"images": [entry]}).to_string()), "{written}");
}

#[test]
fn what_is_no_image_is_told() {
    let delta = json!({"index": 0, "delta": {"images": [{"type": "later"}]}, "finish_reason": null});
    let chunk = json!({"id": "a", "choices": [delta]}).to_string();
    let seen = events(&[&chunk, "[DONE]"]);
    let lost = |event: &Event| matches!(event, Event::Lost { path, .. } if path.ends_with("images"));
    assert!(seen.iter().any(lost), "{seen:?}");
}
