//! What once broke between two wires, seen with the rules of real models: a caller's body in, a provider's out.

use serde_json::{Value, json};

use super::*;
use crate::frame::Frame;
use crate::provider::{self, ModelRules};

/// The body a provider gets for a caller's, and the paths of what was lost.
fn sent(from: Wire, body: &Value, (provider, model): (&str, &str)) -> (Value, Vec<String>) {
    let spec = provider::find(provider).unwrap();
    let mut request = from.dialect().unwrap().decode_request(body.to_string().as_bytes()).unwrap();
    request.model = model.to_owned();
    let rules = ModelRules::of(spec.name, spec.wire, model);
    let to = Destination { quirks: &spec.quirks, rules: &rules, model };
    let mut losses = Losses::default();
    let body = spec.wire.codec().encode_request(&request, &to, &mut losses).unwrap();
    let lost = losses.as_slice().iter().map(|loss| loss.path.clone()).collect();
    (serde_json::from_slice(&body).unwrap(), lost)
}

/// A caller's whole answer, and its stream, of a provider's stream.
fn answered(frames: &[(&str, Value)], from: Wire, towards: Wire) -> (Value, String) {
    let mut decoder = from.codec().stream_decoder();
    let mut encoder = towards.dialect().unwrap().stream_encoder(Echo::default());
    let (mut events, mut out) = (Vec::new(), Vec::new());
    for (event, data) in frames {
        let data = data.to_string();
        decoder.frame(&Frame { raw: b"", event, data: data.as_bytes() }, &mut events).unwrap();
    }
    decoder.end(&mut events);
    events.push(Event::End);
    events.iter().for_each(|event| encoder.event(event, &mut out, &mut Losses::default()));
    let last = String::from_utf8_lossy(&out).into_owned();
    let whole = last.lines().rev().find_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok());
    (whole.unwrap_or_default(), last)
}

const SONNET: (&str, &str) = ("bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0");
const NOVA: (&str, &str) = ("bedrock", "us.amazon.nova-pro-v1:0");
const QWEN: (&str, &str) = ("bedrock", "qwen.qwen3-coder-480b-a35b-v1:0");
const COMMAND: (&str, &str) = ("cohere", "command-a-03-2025");

fn tool_loop(more: &Value) -> Value {
    let call = json!({"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let mut body = json!({
        "model": "m",
        "max_tokens": 8000,
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
        "messages": [
            {"role": "user", "content": "q"},
            {"role": "assistant", "content": null, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c1", "content": "r"},
        ],
    });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

#[test]
fn models_that_always_reason_were_told_not_to() {
    for model in ["claude-fable-5", "claude-mythos-5", "claude-fable-5-1", "claude-mythos-preview"] {
        let body = tool_loop(&json!({"reasoning_effort": "none"}));
        let (to, lost) = sent(Wire::OpenAiChat, &body, ("anthropic", model));
        assert_eq!((to.get("thinking"), &to["output_config"]["effort"]), (None, &json!("low")), "{model}");
        assert!(lost.contains(&"reasoning".to_owned()));
        let hosted = format!("global.anthropic.{model}-v1:0");
        let (to, _) = sent(Wire::OpenAiChat, &body, ("bedrock", &hosted));
        let expected = json!({"output_config": {"effort": "low"}});
        assert_eq!(to["additionalModelRequestFields"], expected, "{hosted}");
    }
    let body = tool_loop(&json!({"reasoning_effort": "none"}));
    let (to, _) = sent(Wire::OpenAiChat, &body, ("anthropic", "claude-opus-4-8"));
    assert_eq!(to["thinking"], json!({"type": "disabled"}), "others are told as before");
}

#[test]
fn tool_loops_without_their_reasoning_stopped_adaptive_models_from_reasoning() {
    let mut body = tool_loop(&json!({"reasoning_effort": "high"}));
    // Reasoning of another maker, which cannot go back.
    body["messages"][1]["reasoning_content"] = json!("I should call it.");
    for model in ["claude-opus-4-7", "claude-fable-5", "claude-sonnet-4-6"] {
        let (to, lost) = sent(Wire::OpenAiChat, &body, ("anthropic", model));
        assert_eq!(to["thinking"]["type"], "adaptive", "{model} {lost:?}");
        assert!(!lost.contains(&"reasoning".to_owned()), "{lost:?}");
        let (to, _) = sent(Wire::OpenAiChat, &body, ("bedrock", &format!("global.anthropic.{model}")));
        assert_eq!(to["additionalModelRequestFields"]["thinking"]["type"], "adaptive", "{model}");
    }
    let (to, _) = sent(Wire::OpenAiChat, &body, ("anthropic", "claude-sonnet-4-5"));
    assert_eq!(to["thinking"]["type"], "disabled", "a budget wants its loop whole");
}

#[test]
fn vendors_without_caching_got_cache_points_signatures_and_status() {
    let mark = json!({"type": "ephemeral"});
    let body = json!({
        "model": "m",
        "max_tokens": 100,
        "system": [{"type": "text", "text": "s", "cache_control": mark}],
        "tools": [{"name": "f", "input_schema": {"type": "object"}, "cache_control": mark}],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "q", "cache_control": mark}]},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "t", "signature": "c2ln"},
                {"type": "tool_use", "id": "c1", "name": "f", "input": {}},
            ]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "c1", "content": "r", "is_error": false},
            ]},
        ],
    });
    let holds = |to: &Value, word: &str| to.to_string().contains(word);
    let (to, lost) = sent(Wire::Anthropic, &body, QWEN);
    assert!(!holds(&to, "cachePoint") && !holds(&to, "signature") && !holds(&to, "status"), "{to}");
    let marks = lost.iter().filter(|path| path.ends_with("cache_control")).count();
    assert_eq!(marks, 3, "{lost:?}");
    let (to, _) = sent(Wire::Anthropic, &body, ("bedrock", "anthropic.claude-3-haiku-20240307-v1:0"));
    assert!(!holds(&to, "cachePoint"), "{to}");
    let profile = "arn:aws:bedrock:us-east-1:1:application-inference-profile/abc";
    for model in [SONNET.1, profile] {
        let (to, _) = sent(Wire::Anthropic, &body, ("bedrock", model));
        assert!(holds(&to, "cachePoint") && holds(&to, "signature") && holds(&to, "status"), "{to}");
    }
}

#[test]
fn limits_above_what_the_model_writes_were_sent_on() {
    let openai = json!({"model": "m", "max_tokens": 32000, "messages": [{"role": "user", "content": "q"}]});
    let limits = [
        (NOVA, "/inferenceConfig/maxTokens", 10_000),
        (("bedrock", "us.meta.llama4-scout-17b-instruct-v1:0"), "/inferenceConfig/maxTokens", 8192),
        (("cohere", "command-r-plus-08-2024"), "/max_tokens", 4096),
        (COMMAND, "/max_tokens", 8000),
        (("anthropic", "claude-3-haiku-20240307"), "/max_tokens", 4096),
    ];
    for (to, place, limit) in limits {
        let (body, lost) = sent(Wire::OpenAiChat, &openai, to);
        assert_eq!(body.pointer(place), Some(&json!(limit)), "{to:?}");
        assert_eq!(lost, ["max_tokens"], "{to:?}");
    }
    let claude = json!({"model": "m", "max_tokens": 32000, "messages": [{"role": "user", "content": "q"}]});
    for (model, limit) in
        [("gpt-4o-mini", 16_384), ("gpt-4.1-nano", 32_000), ("gpt-5", 32_000), ("gpt-4", 8192)]
    {
        let (body, _) = sent(Wire::Anthropic, &claude, ("openai", model));
        assert_eq!(body["max_completion_tokens"], limit, "{model}");
    }
    let request = Wire::Anthropic.dialect().unwrap().decode_request(claude.to_string().as_bytes()).unwrap();
    let rules = ModelRules::of("openai", Wire::OpenAiResponses, "gpt-4o");
    let quirks = &provider::find("openai").unwrap().quirks;
    let to = Destination { quirks, rules: &rules, model: "gpt-4o" };
    let body = Wire::OpenAiResponses.codec().encode_request(&request, &to, &mut Losses::default()).unwrap();
    assert!(String::from_utf8(body).unwrap().contains("\"max_output_tokens\":16384"));
    // Of these nobody knows a bound.
    for model in [QWEN.1, "arn:aws:bedrock:us-east-1:1:application-inference-profile/abc"] {
        let (body, lost) = sent(Wire::OpenAiChat, &openai, ("bedrock", model));
        assert_eq!((&body["inferenceConfig"]["maxTokens"], lost.len()), (&json!(32000), 0), "{model}");
    }
}

fn search_result() -> Value {
    json!({"type": "search_result", "source": "https://e.x/a", "title": "On A",
        "content": [{"type": "text", "text": "A is first."}], "citations": {"enabled": true}})
}

fn pieces() -> Value {
    json!({"type": "document", "title": "Notes", "context": "of 2020", "citations": {"enabled": true},
        "source": {"type": "content", "content": [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]}})
}

fn with_result(blocks: &Value) -> Value {
    json!({"model": "m", "max_tokens": 100, "messages": [
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "c1", "name": "f", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": blocks}]},
        {"role": "user", "content": [pieces()]},
    ]})
}

#[test]
fn retrieved_text_of_anthropics_callers_vanished() {
    let body = with_result(&json!([search_result(), pieces()]));
    let targets = [
        ("openai", "gpt-4o"),
        COMMAND,
        ("gemini", "gemini-2.5-pro"),
        QWEN,
        ("bedrock", "us.amazon.nova-lite-v1:0"),
    ];
    for to in targets {
        let (sent, lost) = sent(Wire::Anthropic, &body, to);
        let text = sent.to_string();
        for words in ["On A", "https://e.x/a", "A is first.", "Notes", "of 2020", "one", "two"] {
            assert!(text.contains(words), "{to:?} lacks {words}: {text}");
        }
        assert_eq!(text.matches("two").count(), 2, "{to:?}: {text}");
        assert!(lost.len() >= 3, "{lost:?}");
    }
    let spec = json!({"type": "text", "text": "x"});
    let responses = Wire::OpenAiResponses.dialect().unwrap();
    let request = Wire::Anthropic
        .dialect()
        .unwrap()
        .decode_request(with_result(&json!([search_result(), spec])).to_string().as_bytes());
    let rules = ModelRules::of("openai", Wire::OpenAiResponses, "gpt-5");
    let quirks = &provider::find("openai").unwrap().quirks;
    let to = Destination { quirks, rules: &rules, model: "gpt-5" };
    let body = responses.encode_request(&request.unwrap(), &to, &mut Losses::default()).unwrap();
    assert!(String::from_utf8(body).unwrap().contains("A is first."));
}

#[test]
fn retrieved_text_keeps_its_form_between_claudes_two_apis() {
    let body = with_result(&json!([search_result(), pieces()]));
    let (there, lost) = sent(Wire::Anthropic, &body, SONNET);
    // The tools are made up, and a document wants text beside it.
    assert_eq!(lost, ["tools", "messages"], "{lost:?}");
    let inner = &there["messages"][2]["content"][0]["toolResult"]["content"];
    assert_eq!(
        inner[0],
        json!({"searchResult": {"source": "https://e.x/a", "title": "On A",
            "content": [{"text": "A is first."}], "citations": {"enabled": true}}})
    );
    let document = json!({"document": {"name": "Notes", "source": {"content": [{"text": "one"}, {"text": "two"}]},
        "context": "of 2020", "citations": {"enabled": true}}});
    assert_eq!(inner[1], document);
    let mut back = there.clone();
    back["toolConfig"] = json!({"tools": []});
    let (here, _) = sent(Wire::BedrockConverse, &back, ("anthropic", "claude-sonnet-4-5"));
    assert_eq!(here["messages"][2]["content"][0]["content"][0], search_result());
    assert_eq!(here["messages"][2]["content"][0]["content"][1]["source"], pieces()["source"]);
}

#[test]
fn citations_and_context_of_documents_were_lost_between_claudes_two_apis() {
    let body = json!({"model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": [
        {"type": "document", "title": "N", "context": "c", "citations": {"enabled": true},
            "source": {"type": "text", "media_type": "text/plain", "data": "t"}},
        {"type": "text", "text": "q"},
    ]}]});
    let (there, lost) = sent(Wire::Anthropic, &body, SONNET);
    assert!(lost.is_empty(), "{lost:?}");
    let document = &there["messages"][0]["content"][0]["document"];
    assert_eq!((&document["context"], &document["citations"]), (&json!("c"), &json!({"enabled": true})));
    let (_, lost) = sent(Wire::Anthropic, &body, NOVA);
    assert_eq!(lost.len(), 2, "{lost:?}");
    let (here, lost) = sent(Wire::BedrockConverse, &there, ("anthropic", "claude-sonnet-4-5"));
    assert!(lost.is_empty(), "{lost:?}");
    let document = &here["messages"][0]["content"][0];
    assert_eq!((&document["context"], &document["citations"]), (&json!("c"), &json!({"enabled": true})));
}

#[test]
fn guarded_and_retrieved_text_of_bedrocks_callers_vanished() {
    let body = json!({
        "system": [{"guardContent": {"text": {"text": "obey"}}}],
        "messages": [{"role": "user", "content": [
            {"guardContent": {"text": {"text": "is it?", "qualifiers": ["query"]}}},
            {"document": {"name": "N", "source": {"content": [{"text": "piece"}]}}},
            {"searchResult": {"source": "s", "title": "t", "content": [{"text": "found"}]}},
        ]}],
    });
    for to in [("openai", "gpt-4o"), ("anthropic", "claude-sonnet-4-5"), COMMAND] {
        let (sent, lost) = sent(Wire::BedrockConverse, &body, to);
        let text = sent.to_string();
        for words in ["obey", "is it?", "piece", "found"] {
            assert!(text.contains(words), "{to:?} lacks {words}: {text}");
        }
        assert!(!lost.is_empty());
    }
}

/// Nova ends with `end_turn` even where it calls a tool.
#[test]
fn end_turn_with_calls_kept_anthropics_callers_from_running_them() {
    let frames = [
        ("messageStart", json!({"role": "assistant"})),
        (
            "contentBlockStart",
            json!({"contentBlockIndex": 0, "start": {"toolUse": {"toolUseId": "t", "name": "f"}}}),
        ),
        ("contentBlockDelta", json!({"contentBlockIndex": 0, "delta": {"toolUse": {"input": "{}"}}})),
        ("contentBlockStop", json!({"contentBlockIndex": 0})),
        ("messageStop", json!({"stopReason": "end_turn"})),
        (
            "metadata",
            json!({"usage": {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2}, "metrics": {"latencyMs": 1}}),
        ),
    ];
    let (_, text) = answered(&frames, Wire::BedrockConverse, Wire::Anthropic);
    assert!(text.contains("\"stop_reason\":\"tool_use\""), "{text}");
    let answer = json!({
        "output": {"message": {"role": "assistant", "content": [{"toolUse": {"toolUseId": "t", "name": "f", "input": {}}}]}},
        "stopReason": "end_turn", "usage": {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2},
    });
    let response = Wire::BedrockConverse.codec().decode_response(answer.to_string().as_bytes()).unwrap();
    for (towards, word) in [(Wire::Anthropic, "tool_use"), (Wire::BedrockConverse, "tool_use")] {
        let body =
            towards.dialect().unwrap().encode_response(&response, &Echo::default(), &mut Losses::default());
        let body: Value = serde_json::from_slice(&body).unwrap();
        let found = body.get("stop_reason").or(body.get("stopReason"));
        assert_eq!(found, Some(&json!(word)), "{towards:?}");
    }
}

#[test]
fn malformed_tool_use_read_as_success() {
    let answer = json!({
        "output": {"message": {"role": "assistant", "content": [{"toolUse": {"toolUseId": "t", "name": "f", "input": {}}}]}},
        "stopReason": "malformed_tool_use", "usage": {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2},
    });
    let response = Wire::BedrockConverse.codec().decode_response(answer.to_string().as_bytes()).unwrap();
    let failure = response.failure().unwrap();
    assert_eq!((failure.status, failure.message.contains("malformed_tool_use")), (502, true));
    let frames = [
        ("messageStart", json!({"role": "assistant"})),
        ("contentBlockDelta", json!({"contentBlockIndex": 0, "delta": {"text": "a"}})),
        ("messageStop", json!({"stopReason": "malformed_tool_use"})),
    ];
    for towards in [Wire::OpenAiChat, Wire::Anthropic] {
        let (_, text) = answered(&frames, Wire::BedrockConverse, towards);
        assert!(text.contains("\"error\":{") && !text.contains("\"finish_reason\":\"error\""), "{text}");
    }
}

#[test]
fn request_metadata_was_refused_by_openai_for_what_is_not_stored() {
    let body =
        json!({"messages": [{"role": "user", "content": [{"text": "q"}]}], "requestMetadata": {"team": "a"}});
    let (to, lost) = sent(Wire::BedrockConverse, &body, ("openai", "gpt-4o"));
    assert_eq!((to.get("metadata"), lost), (None, vec!["metadata".to_owned()]));
    let mut stored = body;
    stored["store"] = json!(true);
    let (to, _) = sent(Wire::BedrockConverse, &stored, ("openai", "gpt-4o"));
    assert_eq!((&to["metadata"], &to["store"]), (&json!({"team": "a"}), &json!(true)));
}

#[test]
fn blank_text_went_out_to_cohere() {
    let body = json!({"model": "m", "messages": [
        {"role": "system", "content": ""},
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": ""},
        {"role": "user", "content": [{"type": "text", "text": ""}, {"type": "text", "text": "r"}]},
        {"role": "assistant", "content": "a"},
    ]});
    let (to, _) = sent(Wire::OpenAiChat, &body, COMMAND);
    let expected = json!([
        {"role": "user", "content": "q"},
        {"role": "user", "content": "r"},
        {"role": "assistant", "content": "a"},
    ]);
    assert_eq!(to["messages"], expected);
}

#[test]
fn a_blank_last_turn_made_a_prefill_of_the_answer_before_it() {
    let body = json!({"model": "m", "max_tokens": 100, "messages": [
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": "the old answer"},
        {"role": "user", "content": ""},
    ]});
    for to in [("anthropic", "claude-sonnet-4-5"), SONNET, COMMAND] {
        let (sent, lost) = sent(Wire::OpenAiChat, &body, to);
        assert_eq!(sent["messages"][2]["role"], "user", "{to:?} {sent}");
        assert!(lost.contains(&"messages".to_owned()), "{lost:?}");
    }
    let mut prefill = body;
    prefill["messages"].as_array_mut().unwrap().pop();
    let (to, _) = sent(Wire::OpenAiChat, &prefill, ("anthropic", "claude-sonnet-4-5"));
    assert_eq!(to["messages"].as_array().unwrap().len(), 2, "{to}");
}

#[test]
fn arguments_of_null_were_wrapped() {
    let mut body = tool_loop(&json!({}));
    body["messages"][1]["tool_calls"][0]["function"]["arguments"] = json!("null");
    let (to, _) = sent(Wire::OpenAiChat, &body, SONNET);
    assert_eq!(to["messages"][1]["content"][0]["toolUse"]["input"], json!({}));
    let (to, _) = sent(Wire::OpenAiChat, &body, ("anthropic", "claude-sonnet-4-5"));
    assert_eq!(to["messages"][1]["content"][0]["input"], json!({}));
}

#[test]
fn coheres_null_in_two_pieces_reached_callers_as_arguments() {
    let call = |arguments: &str| json!({"type": "tool-call-delta", "index": 0, "delta": {"message": {"tool_calls": {"function": {"arguments": arguments}}}}});
    let arguments = |pieces: &[&str]| -> String {
        let mut decoder = Wire::Cohere.codec().stream_decoder();
        let mut frames = vec![
            json!({"type": "message-start", "id": "i", "delta": {"message": {"role": "assistant"}}}),
            json!({"type": "tool-call-start", "index": 0, "delta": {"message": {"tool_calls": {"id": "c", "type": "function", "function": {"name": "f", "arguments": ""}}}}}),
        ];
        frames.extend(pieces.iter().map(|piece| call(piece)));
        frames.push(json!({"type": "tool-call-end", "index": 0}));
        frames.push(json!({"type": "message-end", "delta": {"finish_reason": "TOOL_CALL"}}));
        let mut events = Vec::new();
        for frame in frames {
            let data = frame.to_string();
            decoder.frame(&Frame { raw: b"", event: "", data: data.as_bytes() }, &mut events).unwrap();
        }
        let more = |event: Event| match event {
            Event::PartDelta { delta: crate::ir::Delta::Arguments(text), .. } => Some(text),
            _ => None,
        };
        events.into_iter().filter_map(more).collect()
    };
    assert_eq!(arguments(&["nu", "ll"]), "");
    assert_eq!(arguments(&["null"]), "");
    assert_eq!(arguments(&["n", "o"]), "no");
    assert_eq!(arguments(&["", "{", "\"a\":null}"]), "{\"a\":null}");
}

#[test]
fn thinking_blocks_of_litellms_callers_were_lost() {
    let mut body = tool_loop(&json!({"reasoning_effort": "high"}));
    body["messages"][1]["reasoning_content"] = json!("why");
    body["messages"][1]["thinking_blocks"] = json!([
        {"type": "thinking", "thinking": "why", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "ZGF0YQ=="},
    ]);
    let (to, lost) = sent(Wire::OpenAiChat, &body, ("anthropic", "claude-sonnet-4-5"));
    let content = &to["messages"][1]["content"];
    assert_eq!(content[0], json!({"type": "thinking", "thinking": "why", "signature": "c2ln"}), "{to}");
    assert_eq!(content[1], json!({"type": "redacted_thinking", "data": "ZGF0YQ=="}));
    assert_eq!(to["thinking"]["type"], "enabled", "{lost:?}");
}

#[test]
fn overload_was_told_to_bedrocks_callers_with_a_status_aws_does_not_have() {
    let body = br#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
    let failure = Wire::Anthropic.codec().decode_failure(529, body);
    assert_eq!(bedrock_converse::error_type(&failure), "ServiceUnavailableException");
    assert_eq!((failure.status, bedrock_converse::error_status(&failure)), (529, 503));
    assert_eq!(bedrock_converse::error_status(&Failure { status: 429, ..failure }), 429);
}

/// Looking through all names for each made 8,000 calls take seconds.
#[test]
fn conversations_of_thousands_of_calls_took_quadratic_time() {
    let calls: Vec<Value> = (0..8000)
        .map(|n| json!({"id": format!("c{n}"), "type": "function", "function": {"name": format!("f{n}"), "arguments": "{}"}}))
        .collect();
    let details: Vec<Value> = (0..8000)
        .map(|n| json!({"type": "reasoning.encrypted", "data": format!("s{n}"), "id": format!("c{n}"), "format": "google-gemini-v1"}))
        .collect();
    let parts: Vec<Value> = (0..8000).map(|n| json!({"type": "text", "text": format!("t{n}")})).collect();
    let body = json!({"model": "m", "messages": [
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": parts, "tool_calls": calls, "reasoning_details": details},
        {"role": "user", "content": "r"},
    ]});
    let begun = std::time::Instant::now();
    for to in [NOVA, COMMAND] {
        sent(Wire::OpenAiChat, &body, to);
    }
    assert!(begun.elapsed().as_secs() < 60, "{:?}", begun.elapsed());
}
