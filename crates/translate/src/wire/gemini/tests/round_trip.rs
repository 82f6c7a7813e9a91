//! Reading what was written gives what was read.

use serde_json::{Value, json};

use super::{SECOND, THIRD, decode, encode, encode_bytes};
use crate::ir::Request;
use crate::wire::Dialect;
use crate::wire::gemini::Gemini;

/// A conversation with all that this wire can say.
pub(super) fn full() -> Value {
    json!({
        "systemInstruction": {"parts": [{"text": "Be brief."}, {"text": "Be kind."}]},
        "contents": [
            {"role": "user", "parts": [
                {"text": "What is this?"},
                {"inlineData": {"mimeType": "image/png", "data": "aGk="}, "mediaResolution": {"level": "LOW"}},
                {"inlineData": {"mimeType": "audio/wav", "data": "aGk="}},
                {"inlineData": {"mimeType": "application/pdf", "data": "aGk="}},
                {"fileData": {"mimeType": "image/heic", "fileUri": "gs://b/x"}},
                {"fileData": {"fileUri": "https://youtu.be/x"}, "videoMetadata": {"fps": 1}}]},
            {"role": "model", "parts": [
                {"text": "I wonder.", "thought": true},
                {"text": "Let me look.", "partMetadata": {"a": 1}},
                {"functionCall": {"name": "look", "args": {"b": 1, "a": [true, null]}}, "thoughtSignature": "c2ln"},
                {"functionCall": {"name": "look", "args": {}}},
                {"executableCode": {"language": "PYTHON", "code": "1"}, "thoughtSignature": "Y29kZQ=="},
                {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}}]},
            {"role": "user", "parts": [
                {"functionResponse": {"name": "look", "response": {"seen": "a cat"}, "scheduling": "SILENT"}},
                {"functionResponse": {"name": "look", "response": {"error": "too dark"}}}]},
            {"role": "user", "parts": [{"text": "And?"}]},
            {"role": "model", "parts": [{"text": "A cat."}, {"text": "", "thoughtSignature": "ZW5k"}]},
            {"role": "user", "parts": [{"text": "Sure?"}]}],
        "tools": [
            {"functionDeclarations": [
                {"name": "look", "description": "Looks.", "behavior": "BLOCKING",
                    "parametersJsonSchema": {"type": "object", "properties": {"a": {"type": "array"}}}}]}],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["look"]},
            "retrievalConfig": {"languageCode": "de"}},
        "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
        "generationConfig": {"temperature": 0.5, "topP": 0.25, "topK": 40, "candidateCount": 2,
            "maxOutputTokens": 100, "stopSequences": ["a"], "seed": 7, "presencePenalty": 0.5,
            "frequencyPenalty": -0.5, "responseLogprobs": true, "logprobs": 3,
            "thinkingConfig": {"includeThoughts": true}, "speechConfig": {"languageCode": "de-DE"},
            "responseModalities": ["TEXT"]},
        "cachedContent": "cachedContents/1", "labels": {"team": "a"}, "serviceTier": "flex"})
}

fn again(request: &Request, model: &str) -> Request {
    let (bytes, losses) = encode_bytes(request, model).unwrap();
    assert!(losses.is_empty(), "{losses:?}");
    Gemini.decode_request(&bytes).unwrap()
}

#[test]
fn a_request_comes_back_as_it_was() {
    let read = decode(full());
    assert_eq!(again(&read, THIRD), read);
    assert_eq!(again(&read, SECOND), read);
}

#[test]
fn fields_stand_in_an_order_that_keeps_prefixes_equal() {
    let (body, _) = encode(&decode(full()), THIRD);
    let names: Vec<&String> = body.as_object().unwrap().keys().collect();
    assert_eq!(names[..5], ["systemInstruction", "tools", "toolConfig", "contents", "generationConfig"]);
    let inline = body["contents"][0]["parts"][1]["inlineData"].as_object().unwrap();
    assert_eq!(inline.keys().collect::<Vec<_>>(), ["mimeType", "data"], "Vertex insists");
}

#[test]
fn schemas_and_reasoning_come_back_as_they_were() {
    for (model, thinking) in [
        (SECOND, json!({"thinkingBudget": 512, "includeThoughts": true})),
        (SECOND, json!({"thinkingBudget": 0})),
        (THIRD, json!({"thinkingLevel": "low", "includeThoughts": true})),
    ] {
        let read = decode(json!({"contents": "x", "generationConfig": {
            "responseMimeType": "application/json", "thinkingConfig": thinking,
            "responseJsonSchema": {"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}}}}));
        let back = again(&read, model);
        assert_eq!(back.output_format, read.output_format);
        let (given, back) = (read.reasoning.unwrap(), back.reasoning.unwrap());
        assert_eq!((back.budget, back.effort, back.enabled), (given.budget, given.effort, given.enabled));
    }
}
