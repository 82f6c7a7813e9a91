//! Whole answers, both ways.

use serde_json::{Value, json};

use super::sdk::{block, counts};
use super::*;
use crate::ir::{Choice, Citation, Finish, FinishReason, Response, Signature, Text, Thinking, Usage};
use crate::wire::Observation;

fn answer() -> Value {
    json!({
        "output": {"message": {"role": "assistant", "content": [
            {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "c2ln"}}},
            {"reasoningContent": {"redactedContent": "aGk="}},
            {"text": "Hi"},
            {"citationsContent": {"content": [{"text": "a"}, {"text": "b"}], "citations": [{"title": "T", "source": "s"}]}},
            {"toolUse": {"toolUseId": "t1", "name": "f", "input": {"n": 1.0}}},
        ]}},
        "stopReason": "tool_use",
        "usage": {"inputTokens": 10, "outputTokens": 20, "totalTokens": 140, "cacheReadInputTokens": 50,
            "cacheWriteInputTokens": 60, "cacheDetails": [{"ttl": "1h", "inputTokens": 40}, {"ttl": "5m", "inputTokens": 20}]},
        "metrics": {"latencyMs": 1},
        "serviceTier": {"type": "flex"},
        "trace": {"promptRouter": {"invokedModelId": "m"}},
    })
}

fn read(answer: &Value) -> Response {
    BedrockConverse.decode_response(answer.to_string().as_bytes()).unwrap()
}

fn write(response: &Response) -> (Value, Losses) {
    let mut losses = Losses::default();
    let bytes = BedrockConverse.encode_response(response, &echo(), &mut losses);
    (serde_json::from_slice(&bytes).unwrap(), losses)
}

#[test]
fn an_answer_is_read_whole_and_written_the_same() {
    let response = read(&answer());
    let usage = Usage {
        input_uncached: 10,
        output: 20,
        cache_read: 50,
        cache_write: 20,
        cache_write_1h: 40,
        ..Usage::default()
    };
    let usage = usage.in_tier("flex");
    assert_eq!(response.usage, Some(usage));
    assert_eq!(response.service_tier.as_deref(), Some("flex"));
    let finish = response.choices[0].finish.as_ref().unwrap();
    assert_eq!((finish.reason, finish.native.as_str()), (FinishReason::ToolCalls, "tool_use"));
    let (written, losses) = write(&response);
    assert!(losses.is_empty(), "{losses:?}");
    assert_eq!(read(&written), response);
    written["output"]["message"]["content"].as_array().unwrap().iter().for_each(|one| block(one).unwrap());
    counts(&written).unwrap();
}

#[test]
fn a_relay_counts_as_a_decoder_does() {
    let bytes = answer().to_string();
    let seen = BedrockConverse.observe_response(bytes.as_bytes()).unwrap();
    let expected = Observation {
        content: true,
        tool_call: true,
        finish: Some(FinishReason::ToolCalls),
        usage: read(&answer()).usage,
        done: true,
        output_chars: 4 + "{\"n\":1.0}".len() as u64,
        choices_open: 1,
        choices_finished: 1,
        ..Observation::default()
    };
    assert_eq!(seen, expected);
    let counted = BedrockConverse.observe_response(b"{\"inputTokens\":7}").unwrap();
    assert_eq!(counted.usage.unwrap().input_uncached, 7);
}

#[test]
fn words_for_the_end_are_sorted_and_kept() {
    use FinishReason::{ContentFilter, Error, Length, Stop, ToolCalls};
    let cases = [
        ("end_turn", Stop),
        ("stop_sequence", Stop),
        ("tool_use", ToolCalls),
        ("max_tokens", Length),
        ("model_context_window_exceeded", Length),
        ("guardrail_intervened", ContentFilter),
        ("content_filtered", ContentFilter),
        ("malformed_tool_use", Error),
        ("malformed_model_output", Error),
        ("brand_new", Stop),
    ];
    for (word, reason) in cases {
        let mut body = answer();
        body["stopReason"] = word.into();
        let response = read(&body);
        let finish = response.choices[0].finish.clone().unwrap();
        assert_eq!((finish.reason, finish.native.as_str()), (reason, word));
        let expected = if matches!(word, "brand_new" | "end_turn") { "tool_use" } else { word };
        assert_eq!(write(&response).0["stopReason"], expected, "{word}");
    }
}

#[test]
fn an_answer_of_another_wire_has_what_clients_read() {
    let part = |part| Response {
        choices: vec![Choice { parts: vec![part], finish: None, logprobs: None, extra: Default::default() }],
        ..Response::default()
    };
    let written = |given| {
        let (body, losses) = write(&part(given));
        counts(&body).unwrap();
        (body["output"]["message"]["content"].clone(), body["stopReason"].clone(), lost(&losses).join(" "))
    };
    let made = json!([{"toolUse": {"toolUseId": "tooluse_u1_0", "name": "f", "input": {}}}]);
    assert_eq!(written(call("", "f", "")), (made, json!("tool_use"), String::new()));
    assert_eq!(written(Part::Refusal("no".into())).1, "content_filtered");
    assert_eq!(written(Part::text("")).0, json!([]));
    let citation = Citation {
        url: Some("https://e.x".into()),
        title: Some("T".into()),
        quote: Some("q".into()),
        ..Citation::of(Wire::OpenAiChat, json!({}))
    };
    let cited = Part::Text(Text { text: "c".into(), citations: vec![citation], ..Text::default() });
    let expected = json!([{"citationsContent": {"content": [{"text": "c"}], "citations": [
        {"title": "T", "sourceContent": [{"text": "q"}], "location": {"web": {"url": "https://e.x"}}}]}}]);
    assert_eq!(written(cited).0, expected);
    let foreign = Part::Thinking(Thinking {
        text: "t".into(),
        signature: Some(Signature::of(Wire::Gemini, "g")),
        extra: Default::default(),
    });
    assert_eq!(written(foreign).0[0]["reasoningContent"]["reasoningText"]["signature"], "bifrost:gemini:g");
    let redacted = |data: &str| Part::RedactedThinking { data: data.into(), extra: Default::default() };
    assert_eq!(
        written(redacted("aGk")).0,
        json!([{"reasoningContent": {"redactedContent": "aGk="}}]),
        "padded"
    );
    assert_eq!(written(redacted("!")), (json!([]), json!("end_turn"), "content[0]".to_owned()));
}

#[test]
fn stop_sequences_stand_among_the_models_own_fields() {
    let finish = Finish {
        reason: FinishReason::Stop,
        native: "stop".into(),
        stop_sequence: Some("END".into()),
        details: None,
    };
    let choice = Choice {
        parts: vec![Part::text("x")],
        finish: Some(finish),
        logprobs: None,
        extra: Default::default(),
    };
    let (body, losses) = write(&Response { choices: vec![choice], ..Response::default() });
    assert_eq!(body["stopReason"], "stop_sequence");
    assert_eq!(body["additionalModelResponseFields"], json!({"stop_sequence": "END"}));
    assert!(losses.is_empty());
    let again = read(&body);
    assert_eq!(again.choices[0].finish.as_ref().unwrap().stop_sequence.as_deref(), Some("END"));
    assert!(again.extra.is_empty(), "{again:?}");
}
