//! Reading and writing requests on this wire.

use serde_json::{Value, json};

use super::{OPENAI, OPENROUTER, OpenAiChat, PLAIN_RULES, decode, encode, paths, to};
use crate::Wire;
use crate::ir::{Effort, OutputFormat, Part, Role, Signature, Source, Tool, ToolChoice};
use crate::wire::Dialect;

/// Realistic bodies with unknown fields at every level.
pub(super) const BODIES: &[&str] = &[
    r#"{"model":"m","messages":[{"role":"user","content":"Hello"}]}"#,
    r#"{"model":"m","messages":[{"role":"system","content":"Be brief."},{"role":"developer","content":"No jokes.","name":"dev"},{"role":"user","name":"ann","content":[{"type":"text","text":"one"},{"type":"text","text":"two","flavour":7}],"weight":0}],"temperature":0.7,"top_p":0.9,"n":2,"seed":-4,"presence_penalty":0.1,"frequency_penalty":-0.2,"logit_bias":{"50256":-100},"logprobs":true,"top_logprobs":5,"stop":["a","b"],"user":"u","store":true,"prompt_cache_key":"k"}"#,
    r#"{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"What is this?"},{"type":"image_url","image_url":{"url":"https://example.com/a.png","detail":"low","future":1}},{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw0KGgo="},"cache_control":{"type":"ephemeral"}}]}],"max_completion_tokens":100}"#,
    r#"{"model":"m","messages":[{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"UklGRg==","format":"wav"}},{"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,JVBERi0="}},{"type":"file","file":{"file_id":"file-1"}}]}],"modalities":["text","audio"],"audio":{"voice":"alloy","format":"mp3"}}"#,
    r#"{"model":"m","messages":[{"role":"user","content":"weather?"},{"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"w","arguments":"{\"b\": 1, \"a\":2}"}},{"id":"call_2","type":"function","function":{"name":"w","arguments":"{}"},"extra_content":{"google":{"thought_signature":"s"}}}]},{"role":"tool","tool_call_id":"call_1","content":"sunny"},{"role":"tool","tool_call_id":"call_2","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}],"name":"w"},{"role":"assistant","content":"Sunny."},{"role":"user","content":"thanks"}],"tools":[{"type":"function","function":{"name":"w","description":"d","parameters":{"type":"object","properties":{"z":{"type":"string"},"a":{"type":"number"}},"required":["z","a"],"additionalProperties":false},"strict":true,"returns":"x"},"vendor":1},{"type":"web_search","max":3}],"tool_choice":"required","parallel_tool_calls":false}"#,
    r#"{"model":"m","messages":[{"role":"user","content":"x"}],"tools":[{"type":"function","function":{"name":"w","parameters":{"type":"object"}},"cache_control":{"type":"ephemeral","ttl":"1h"}}],"tool_choice":{"type":"function","function":{"name":"w"}},"stream":true,"stream_options":{"include_usage":true,"include_obfuscation":false}}"#,
    r#"{"model":"m","messages":[{"role":"user","content":"x"}],"tools":[{"type":"custom","custom":{"name":"patch"}}],"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[]}}}"#,
    r#"{"model":"m","messages":[{"role":"user","content":"x"}],"response_format":{"type":"json_schema","json_schema":{"name":"n","description":"d","schema":{"type":"object","properties":{"y":{},"x":{}}},"strict":true,"future":1}}}"#,
    r#"{"model":"m","messages":[{"role":"user","content":"x, as JSON"}],"response_format":{"type":"json_object"},"reasoning_effort":"high","verbosity":"low","metadata":{"a":"b"},"service_tier":"flex"}"#,
    r#"{"model":"m","messages":[{"role":"user","content":"x"},{"role":"assistant","reasoning":"deep thought","reasoning_details":[{"type":"reasoning.text","text":"deep ","signature":"SIG+/=1","format":"anthropic-claude-v1","index":0},{"type":"reasoning.text","text":"thought","index":1},{"type":"reasoning.encrypted","data":"ENC","index":2},{"type":"reasoning.encrypted","data":"o","id":"rs_1","format":"openai-responses-v1","index":3},{"type":"reasoning.summary","summary":"short","index":4}],"content":"answer"},{"role":"user","content":"more"}],"reasoning":{"effort":"low","exclude":false}}"#,
    r#"{"model":"m","messages":[{"role":"system","content":[{"type":"text","text":"long","cache_control":{"type":"ephemeral"}}]},{"role":"user","content":"x","cache_control":{"type":"ephemeral"}},{"role":"assistant","content":"","tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"a","content":"r","cache_control":{"type":"ephemeral"}}],"reasoning":{"max_tokens":2000,"enabled":true}}"#,
    r#"{"model":"m","messages":[{"role":"user","content":"x"},{"role":"assistant","content":[{"type":"refusal","refusal":"I cannot."}],"audio":{"id":"audio_1"}},{"role":"user","content":"y"},{"role":"assistant","content":"fine","refusal":null,"annotations":[]},{"role":"user","content":""}],"response_format":{"type":"regex","regex":"a+"},"reasoning_effort":"default"}"#,
    r#"{"model":"m","messages":[{"role":"user","content":"x"},{"role":"assistant","content":null,"function_call":{"name":"f","arguments":"{\"a\":1}"}},{"role":"function","name":"f","content":"2"},{"role":"user","content":[{"type":"video_url","video_url":{"url":"https://e.com/v.mp4"}}]}],"functions":[{"name":"f","description":"d","parameters":{"type":"object"}}],"function_call":{"name":"f"},"max_tokens":7}"#,
    r#"{"model":"m","messages":[{"role":"user","content":"x"},{"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"custom","custom":{"name":"patch","input":"*** x"}}]},{"role":"tool","tool_call_id":"c","content":""}],"stop":"END","min_p":0.1,"web_search_options":{}}"#,
];

#[test]
fn a_request_survives_the_round_trip_on_its_own_wire() {
    for body in BODIES {
        let first = decode(body);
        let (written, losses) = encode(&first, &to(&OPENROUTER, &PLAIN_RULES));
        assert_eq!(decode(&written.to_string()), first, "{body}\n{written}");
        assert!(losses.is_empty(), "{body}: {losses:?}");
    }
}

#[test]
fn a_request_written_for_its_own_wire_has_every_field_of_the_original() {
    // Not all: these bodies use deprecated or redundant spellings that are written the current way.
    for body in BODIES.iter().enumerate().filter(|(index, _)| ![9, 10, 11, 12, 13].contains(index)) {
        let original: Value = serde_json::from_str(body.1).unwrap();
        let (mut written, _) = encode(&decode(body.1), &to(&OPENROUTER, &PLAIN_RULES));
        if body.0 == 8 {
            assert_eq!(written["reasoning"], json!({"effort": "high"}), "OpenRouter's own spelling");
            written["reasoning_effort"] = "high".into();
            written.as_object_mut().unwrap().remove("reasoning");
        }
        if body.0 == 4 {
            // Gemini's signature goes to OpenRouter in its list.
            let message = &mut written["messages"][1];
            let entry = json!({"type": "reasoning.encrypted", "data": "s", "format": "google-gemini-v1",
                "id": "call_2", "index": 0});
            assert_eq!(message["reasoning_details"], json!([entry]));
            message.as_object_mut().unwrap().remove("reasoning_details");
            message["tool_calls"][1]["extra_content"] = json!({"google": {"thought_signature": "s"}});
        }
        assert_eq!(written, original);
    }
}

#[test]
fn key_order_of_schemas_and_arguments_is_kept() {
    let (written, _) = encode(&decode(BODIES[4]), &to(&OPENAI, &PLAIN_RULES));
    let text = written.to_string();
    assert!(text.contains(r#""properties":{"z":{"type":"string"},"a":{"type":"number"}}"#), "{text}");
    assert!(text.contains(r#""arguments":"{\"b\": 1, \"a\":2}""#), "{text}");
}

#[test]
fn typed_places_hold_what_the_body_says() {
    let request = decode(BODIES[1]);
    assert_eq!(request.messages[1].role, Role::Developer);
    assert_eq!(request.messages[2].name.as_deref(), Some("ann"));
    assert_eq!(request.sampling.seed, Some(-4));
    assert_eq!(request.extra.fields.keys().collect::<Vec<_>>(), ["store", "prompt_cache_key"]);
    assert_eq!(request.extra.wire, Some(Wire::OpenAiChat));

    let request = decode(BODIES[2]);
    let Part::Image(image) = &request.messages[0].parts[2] else { panic!("an image") };
    let png = Source::Base64 { media_type: "image/png".into(), data: "iVBORw0KGgo=".into() };
    assert_eq!((image.source.clone(), image.cache.is_some()), (png, true));

    let request = decode(BODIES[9]);
    let parts = &request.messages[1].parts;
    let Part::Thinking(first) = &parts[0] else { panic!("thinking first") };
    assert_eq!(
        (first.text.as_str(), first.signature.as_ref().map(|s| s.text.as_str())),
        ("deep ", Some("SIG+/=1"))
    );
    assert_eq!(parts[2], Part::RedactedThinking { data: "ENC".into(), extra: crate::ir::Extra::default() });
    let Part::Thinking(other) = &parts[3] else { panic!("another maker's reasoning") };
    assert_eq!(other.signature, Some(Signature { by: Wire::OpenAiResponses, text: "o".into() }));
    assert_eq!(parts[5], Part::text("answer"));
}

#[test]
fn reasoning_is_read_in_every_spelling() {
    let read = |field: &str| {
        decode(&format!(r#"{{"model":"m","messages":[{{"role":"user","content":"x"}}],{field}}}"#)).reasoning
    };
    assert_eq!(read(r#""reasoning_effort":"none""#).unwrap().effort, Some(Effort::None));
    assert_eq!(read(r#""reasoning":{"max_tokens":5}"#).unwrap().budget, Some(5));
    let thinking = read(r#""thinking":{"type":"enabled","budget_tokens":9,"display":"omitted"}"#).unwrap();
    assert_eq!((thinking.enabled, thinking.budget), (Some(true), Some(9)));
    assert_eq!(thinking.display.as_deref(), Some("omitted"));
    assert_eq!(read(r#""thinking":{"type":"disabled"}"#).unwrap().enabled, Some(false));
    assert_eq!(read(r#""reasoning_effort":"default""#), None);
}

#[test]
fn a_signature_collected_apart_from_its_text_is_joined_with_it() {
    let body = r#"{"model":"m","messages":[{"role":"assistant","content":"a","reasoning_content":"why","reasoning_details":[{"type":"reasoning.text","signature":"S","index":0}]}]}"#;
    let Part::Thinking(thinking) = &decode(body).messages[0].parts[0] else { panic!("thinking") };
    assert_eq!(
        (thinking.text.as_str(), thinking.signature.as_ref().map(|s| s.text.as_str())),
        ("why", Some("S"))
    );
}

#[test]
fn gateway_fields_and_the_older_limit_are_not_passed_on() {
    let body = r#"{"model":"m","messages":[{"role":"user","content":"x"}],"max_tokens":1,"max_completion_tokens":2,"fallbacks":["a/b"],"extra_fields":{},"tools":null}"#;
    let request = decode(body);
    assert_eq!(request.max_tokens, Some(2));
    assert!(request.extra.is_empty() && request.tools.is_empty());
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn bad_input_is_answered_with_its_path() {
    let cases: &[(&str, &str, &[&str])] = &[
        ("{\"model\":\n  tru", "", &["line 2", "column"]),
        ("[]", "", &["the body is a list", "an object"]),
        (r#"{"model":"m"}"#, "messages", &["missing"]),
        (r#"{"model":"m","messages":[]}"#, "messages", &["empty"]),
        (r#"{"messages":[{"role":"user","content":"x"}]}"#, "model", &["missing"]),
        (
            r#"{"model":"m","messages":[{"role":"robot","content":"x"}]}"#,
            "messages[0].role",
            &["robot", "assistant"],
        ),
        (r#"{"model":"m","messages":[{"role":"user"}]}"#, "messages[0].content", &["missing"]),
        (
            r#"{"model":"m","messages":[{"role":"user","content":5}]}"#,
            "messages[0].content",
            &["number 5", "string or a list"],
        ),
        (
            r#"{"model":"m","messages":[{"role":"user","content":["x"]}]}"#,
            "messages[0].content[0]",
            &["an object"],
        ),
        (
            r#"{"model":"m","messages":[{"role":"user","content":"a"},{"role":"user","content":[{"type":"image_url","image_url":{"url":5}}]}]}"#,
            "messages[1].content[0].image_url.url",
            &["`messages[1].content[0].image_url.url`", "number 5", "a string"],
        ),
        (
            r#"{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png,xx"}}]}]}"#,
            "messages[0].content[0].image_url.url",
            &["base64"],
        ),
        (
            r#"{"model":"m","messages":[{"role":"assistant","tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":{}}}]}]}"#,
            "messages[0].tool_calls[0].function.arguments",
            &["an object", "string of JSON"],
        ),
        (
            r#"{"model":"m","messages":[{"role":"tool","content":"x"}]}"#,
            "messages[0].tool_call_id",
            &["missing"],
        ),
        (
            r#"{"model":"m","messages":[{"role":"user","content":"x"}],"temperature":"hot"}"#,
            "temperature",
            &["hot", "a number"],
        ),
        (r#"{"model":"m","messages":[{"role":"user","content":"x"}],"stop":[1]}"#, "stop[0]", &["a string"]),
        (
            r#"{"model":"m","messages":[{"role":"user","content":"x"}],"tools":[{"type":"function","function":{}}]}"#,
            "tools[0].function.name",
            &["missing"],
        ),
        (
            r#"{"model":"m","messages":[{"role":"user","content":"x"}],"tool_choice":"maybe"}"#,
            "tool_choice",
            &["maybe"],
        ),
    ];
    for (body, path, words) in cases {
        let bad = OpenAiChat.decode_request(body.as_bytes()).expect_err(body);
        assert_eq!(bad.path, *path, "{body}: {bad}");
        for word in *words {
            assert!(bad.message.contains(word), "{body}: {bad}");
        }
    }
}

#[test]
fn nesting_without_end_is_refused_not_followed() {
    let body = "[".repeat(200_000);
    assert!(OpenAiChat.decode_request(body.as_bytes()).is_err());
}

#[test]
fn deprecated_functions_are_read_as_tools() {
    let request = decode(BODIES[12]);
    let Part::ToolCall(call) = &request.messages[1].parts[0] else { panic!("a call") };
    let Part::ToolResult(result) = &request.messages[2].parts[0] else { panic!("a result") };
    assert_eq!(call.id, result.call_id);
    assert!(matches!(&request.tools[0], Tool::Function { name, .. } if name == "f"));
    assert_eq!(request.tool_choice, Some(ToolChoice::Named("f".into())));
    assert_eq!(request.max_tokens, Some(7));
}

#[test]
fn structured_output_is_typed() {
    let Some(OutputFormat::JsonSchema(schema)) = decode(BODIES[7]).output_format else { panic!("a schema") };
    assert_eq!((schema.name.as_deref(), schema.strict), (Some("n"), Some(true)));
}

#[test]
fn cache_marks_are_lost_where_they_are_not_read() {
    let (written, losses) = encode(&decode(BODIES[10]), &to(&OPENAI, &PLAIN_RULES));
    assert!(!written.to_string().contains("cache_control"));
    assert_eq!(written["messages"][0]["content"], "long", "a plain string again (trap 60)");
    assert!(paths(&losses).contains(&"messages[0].content[0].cache_control"), "{losses:?}");
}
