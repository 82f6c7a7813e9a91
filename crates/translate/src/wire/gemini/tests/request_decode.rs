//! What callers send.

use serde_json::{Value, json};

use super::{decode, thinking};
use crate::Wire;
use crate::ir::{
    Effort, OutputFormat, Part, Role, Signature, Source, Thinking, Tool, ToolChoice, ToolResult,
};
use crate::wire::Dialect;
use crate::wire::gemini::{Gemini, signature};

fn refused(body: Value) -> (String, String) {
    let bad = Gemini.decode_request(body.to_string().as_bytes()).unwrap_err();
    (bad.path, bad.message)
}

fn parts(list: Value) -> Vec<Part> {
    decode(json!({"contents": [{"role": "model", "parts": list}]})).messages.remove(0).parts
}

#[test]
fn both_spellings_mean_the_same() {
    let camel = json!({
        "systemInstruction": {"parts": [{"text": "s"}]},
        "contents": [{"parts": [
            {"inlineData": {"mimeType": "image/png", "data": "aGk="}},
            {"fileData": {"mimeType": "application/pdf", "fileUri": "gs://b/x.pdf"}}]}],
        "tools": [{"functionDeclarations": [{"name": "f", "parametersJsonSchema": {"type": "object"}}]}],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}},
        "generationConfig": {"maxOutputTokens": 5, "topP": 0.5, "topK": 3, "candidateCount": 2,
            "stopSequences": ["x"], "responseMimeType": "application/json", "responseJsonSchema": {"a": 1},
            "presencePenalty": 1, "frequencyPenalty": 2, "responseLogprobs": true, "logprobs": 3, "seed": 4,
            "thinkingConfig": {"includeThoughts": true, "thinkingBudget": 7}},
        "serviceTier": "flex",
    });
    let snake = json!({
        "system_instruction": {"parts": [{"text": "s"}]},
        "contents": {"parts": [
            {"inline_data": {"mime_type": "image/png", "data": "aGk="}},
            {"file_data": {"mime_type": "application/pdf", "file_uri": "gs://b/x.pdf"}}]},
        "tools": [{"function_declarations": [{"name": "f", "parameters_json_schema": {"type": "object"}}]}],
        "tool_config": {"function_calling_config": {"mode": "any", "allowed_function_names": ["f"]}},
        "generation_config": {"max_output_tokens": 5, "top_p": 0.5, "top_k": 3, "candidate_count": 2,
            "stop_sequences": ["x"], "response_mime_type": "application/json", "response_json_schema": {"a": 1},
            "presence_penalty": 1, "frequency_penalty": 2, "response_logprobs": true, "logprobs": 3, "seed": 4,
            "thinking_config": {"include_thoughts": true, "thinking_budget": 7}},
        "service_tier": "FLEX",
    });
    let read = decode(camel);
    assert_eq!(decode(snake), read);
    assert!(read.extra.is_empty(), "{:?}", read.extra);
    assert_eq!(read.messages[0].role, Role::System);
    assert_eq!(read.tool_choice, Some(ToolChoice::Named("f".into())));
    assert!(matches!(&read.messages[1].parts[1],
        Part::Document(document) if document.source == Source::File("gs://b/x.pdf".into())));
    assert_eq!((read.sampling.n, read.sampling.top_logprobs, read.max_tokens), (Some(2), Some(3), Some(5)));
    assert!(read.model.is_empty() && !read.stream && read.stream_usage);
}

#[test]
fn the_shorthands_of_the_sdks_are_read() {
    for system in [json!("s"), json!({"text": "s"}), json!([{"text": "s"}]), json!({"parts": {"text": "s"}})]
    {
        let read = decode(json!({"systemInstruction": system, "contents": [{"parts": [{"text": "x"}]}]}));
        assert_eq!(read.messages[0].parts, [Part::text("s")], "{system}");
    }
    let read =
        decode(json!({"contents": "hello", "systemInstruction": "", "model": "models/x", "stream": true}));
    assert_eq!(read.messages.len(), 1);
    assert!(read.extra.is_empty());
}

#[test]
fn answers_are_paired_with_calls_by_id_or_by_name_and_order() {
    let call = |name: &str, id: Option<&str>| json!({"functionCall": {"name": name, "args": {}, "id": id}});
    let answer = |name: &str, id: Option<&str>| json!({"functionResponse": {"name": name, "response": {"output": name}, "id": id}});
    let read = decode(json!({"contents": [
        {"role": "model", "parts": [call("f", None), call("g", Some("x")), call("f", None)]},
        {"role": "user", "parts": [answer("f", None), answer("g", Some("x")), answer("f", None)]},
        {"role": "model", "parts": [call("f", None)]},
        {"role": "function", "parts": [answer("f", None)]}]}));
    let ids = |index: usize| -> Vec<String> {
        let id = |part: &Part| match part {
            Part::ToolCall(call) => call.id.clone(),
            Part::ToolResult(ToolResult { call_id, .. }) => call_id.clone(),
            _ => panic!(),
        };
        read.messages[index].parts.iter().map(id).collect()
    };
    assert_eq!(ids(0), ["call_0_0", "x", "call_0_2"]);
    assert_eq!(ids(1), ids(0));
    assert_eq!(ids(2), ["call_2_0"]);
    assert_eq!(ids(3), ids(2));
    assert_eq!(read.messages[3].role, Role::Tool);
}

#[test]
fn a_signature_becomes_a_thought_before_what_it_signs() {
    let own = |text: &str| thinking("", Some((Wire::Gemini, text)));
    let read = parts(json!([
        {"text": "t", "thought": true},
        {"functionCall": {"name": "f", "args": {"b": 1, "a": 2}}, "thoughtSignature": "c2ln"},
        {"text": "", "thoughtSignature": "ZW5k"}]));
    assert_eq!(read[..2], [thinking("t", None), own("c2ln")]);
    assert!(matches!(&read[2], Part::ToolCall(call) if call.arguments == r#"{"b":1,"a":2}"#));
    assert_eq!(read[3..], [own("ZW5k")]);
}

#[test]
fn a_streamed_answer_that_was_kept_in_chunks_is_one_turn() {
    let foreign = signature::written(&Signature::of(Wire::Anthropic, "Eq+/")).into_owned();
    let chunk = |part: Value| json!({"role": "model", "parts": [part]});
    let read = decode(json!({"contents": [
        {"role": "user", "parts": [{"text": "x"}]},
        chunk(json!({"text": "I th", "thought": true})),
        chunk(json!({"text": "ink", "thought": true})),
        chunk(json!({"text": "", "thought": true, "thoughtSignature": foreign})),
        chunk(json!({"text": "Hel"})),
        chunk(json!({"text": "lo"})),
        chunk(json!({"functionCall": {"name": "f", "args": {}}})),
        chunk(json!({"text": ""})),
        {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"error": "no"}}}]}]}));
    assert_eq!(read.messages.len(), 3);
    let turn = &read.messages[1].parts;
    assert_eq!(turn[..2], [thinking("I think", Some((Wire::Anthropic, "Eq+/"))), Part::text("Hello")]);
    assert!(matches!(&turn[2], Part::ToolCall(call) if call.id == "call_6_0"));
    assert_eq!(turn.len(), 3);
    assert!(matches!(&read.messages[2].parts[0],
        Part::ToolResult(result) if result.is_error == Some(true) && result.call_id == "call_6_0"));
}

#[test]
fn bytes_come_in_the_alphabet_all_providers_read() {
    let read = parts(json!([
        {"inlineData": {"mimeType": "image/png", "data": "-_8="}},
        {"inlineData": {"mimeType": "audio/mpeg", "data": "-_8="}}]));
    assert!(matches!(&read[0], Part::Image(image)
        if image.source == Source::Base64 { media_type: "image/png".into(), data: "+/8=".into() }));
    assert_eq!(read[1], Part::Audio { data: "+/8=".into(), format: "mp3".into() });
}

#[test]
fn what_only_this_wire_has_stays_whole() {
    let whole = json!([
        {"executableCode": {"language": "PYTHON", "code": "1"}, "thoughtSignature": "cw=="},
        {"inlineData": {"mimeType": "video/mp4", "data": "AAAA"}, "videoMetadata": {"fps": 2}},
        {"fileData": {"fileUri": "https://youtu.be/x"}},
        {"somethingNew": {"a": [1]}}]);
    for (part, given) in parts(whole.clone()).iter().zip(whole.as_array().unwrap()) {
        assert_eq!(part, &Part::Opaque { wire: Wire::Gemini, value: given.clone() });
    }
    let read = decode(json!({"contents": "x", "tools": [{"googleSearch": {}, "codeExecution": {"a": 1}}],
        "toolConfig": {"functionCallingConfig": {"mode": "VALIDATED"}, "retrievalConfig": {"languageCode": "de"}},
        "safetySettings": [], "generationConfig": {"speechConfig": {"a": 1}, "responseMimeType": "text/x.enum",
        "responseSchema": {"type": "STRING", "enum": ["A"]}}}));
    assert_eq!(read.tools.len(), 2);
    assert!(
        matches!(&read.tools[1], Tool::Opaque { value, .. } if *value == json!({"codeExecution": {"a": 1}}))
    );
    assert!(matches!(read.tool_choice, Some(ToolChoice::Opaque { wire: Wire::Gemini, .. })));
    assert_eq!(read.output_format, None);
    let kept = Value::Object(read.extra.fields);
    assert_eq!(kept["generationConfig"]["responseSchema"]["enum"], json!(["A"]));
    assert_eq!(kept["toolConfig"], json!({"retrievalConfig": {"languageCode": "de"}}));
}

#[test]
fn reasoning_is_read_in_all_its_forms() {
    let read = |config: Value| {
        decode(json!({"contents": "x", "generationConfig": {"thinkingConfig": config}})).reasoning.unwrap()
    };
    assert_eq!(read(json!({"thinkingBudget": 0})).enabled, Some(false));
    assert_eq!(read(json!({"thinkingBudget": -1})).enabled, Some(true));
    assert_eq!(read(json!({"thinkingBudget": 100})).budget, Some(100));
    assert_eq!(read(json!({"thinkingLevel": "HIGH"})).effort, Some(Effort::High));
    assert_eq!(read(json!({"includeThoughts": false})).display.as_deref(), Some("omitted"));
}

#[test]
fn forms_of_answers_are_read() {
    let read = |config: Value| decode(json!({"contents": "x", "generationConfig": config})).output_format;
    assert_eq!(read(json!({"responseMimeType": "application/json"})), Some(OutputFormat::JsonObject));
    assert_eq!(read(json!({"responseMimeType": "text/plain"})), Some(OutputFormat::Text));
    let Some(OutputFormat::JsonSchema(format)) = read(json!({"responseSchema": {"type": "OBJECT"}})) else {
        panic!()
    };
    assert_eq!(format.schema, json!({"type": "object"}));
}

#[test]
fn complaints_name_the_place_in_the_callers_spelling() {
    let x = json!([{"parts": [{"text": "x"}]}]);
    let cases = [
        (json!([]), "", "the body is a list"),
        (json!({}), "contents", "missing"),
        (json!({"contents": []}), "contents", "empty"),
        (json!({"contents": 5}), "contents", "the number 5"),
        (json!({"contents": [{"role": "user"}]}), "contents[0].parts", "missing"),
        (json!({"contents": [{"parts": [{}]}]}), "contents[0].parts[0]", "a part with"),
        (json!({"contents": [{"parts": [{"text": 1}]}]}), "contents[0].parts[0].text", "the number 1"),
        (json!({"contents": [{"role": "assistant", "parts": []}]}), "contents[0].role", "model"),
        (
            json!({"contents": [{"parts": [{"function_call": {"args": {}}}]}]}),
            "contents[0].parts[0].function_call.name",
            "missing",
        ),
        (
            json!({"contents": [{"parts": [{"functionCall": {"name": "f", "args": []}}]}]}),
            "contents[0].parts[0].functionCall.args",
            "a list",
        ),
        (
            json!({"contents": [{"parts": [{"functionResponse": {"name": "f", "response": {}}}]}]}),
            "contents[0].parts[0].functionResponse",
            "none is open",
        ),
        (json!({"contents": x, "generation_config": {"top_k": -1}}), "generation_config.top_k", "or more"),
        (
            json!({"contents": x, "generationConfig": {"thinkingConfig": {"thinkingBudget": -2}}}),
            "generationConfig.thinkingConfig.thinkingBudget",
            "-1, 0",
        ),
        (
            json!({"contents": x, "tools": [{"functionDeclarations": [{"name": "f", "parameters": 1}]}]}),
            "tools[0].functionDeclarations[0].parameters",
            "a schema",
        ),
    ];
    for (body, path, words) in cases {
        let (at, message) = refused(body.clone());
        assert_eq!(at, path, "{body}");
        assert!(message.contains(words), "{message}");
    }
    let bad = Gemini.decode_request(b"{\"contents\": [").unwrap_err();
    assert!(bad.message.contains("line 1 column 14"), "{}", bad.message);
}

#[test]
fn encrypted_reasoning_of_another_maker_comes_back() {
    let text = signature::redacted("EmwK");
    let read = parts(json!([{"text": "", "thought": true, "thoughtSignature": text}]));
    assert!(matches!(&read[0], Part::RedactedThinking { data, .. } if data == "EmwK"));
    let read = parts(json!([{"thought": true, "text": "t", "thoughtSignature": "b3du"}]));
    assert!(matches!(&read[0], Part::Thinking(Thinking { text, signature: Some(_), .. }) if text == "t"));
}
