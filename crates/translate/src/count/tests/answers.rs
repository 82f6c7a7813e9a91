use serde_json::{Value, json};

use super::super::{Counted, Format, decode_response, encode_response, is_unsupported};
use super::{DIALECTS, decode};
use crate::Wire;
use crate::ir::{FailureKind, Request};
use crate::loss::Losses;
use crate::wire::BadResponse;

fn read(format: Format, body: &Value) -> Result<Counted, BadResponse> {
    decode_response(format, body.to_string().as_bytes())
}

fn told(dialect: Wire, counted: &Counted, request: &Request) -> (Value, Vec<String>) {
    let mut losses = Losses::default();
    let body = encode_response(dialect, counted, request, &mut losses);
    let paths = losses.as_slice().iter().map(|loss| loss.path.clone()).collect();
    (serde_json::from_slice(&body).unwrap(), paths)
}

fn provider_answers() -> [(Format, Value); 6] {
    let google = json!({"totalTokens": 7, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 7}]});
    [
        (Format::Anthropic, json!({"input_tokens": 7})),
        (Format::BedrockConverse, json!({"inputTokens": 7})),
        (Format::BedrockInvoke, json!({"inputTokens": 7})),
        (Format::Gemini, google.clone()),
        (Format::OpenAiResponses, json!({"object": "response.input_tokens", "input_tokens": 7})),
        (Format::Vertex, google),
    ]
}

#[test]
fn every_providers_count_is_told_in_every_dialects_form() {
    for (format, answer) in provider_answers() {
        let counted = read(format, &answer).unwrap();
        assert_eq!((counted.input_tokens, counted.extra.is_empty()), (7, true), "{answer}");
        for dialect in DIALECTS {
            let (body, losses) = told(dialect, &counted, &Request::default());
            let expected = match dialect {
                Wire::Anthropic => json!({"input_tokens": 7}),
                Wire::BedrockConverse => json!({"inputTokens": 7}),
                Wire::Gemini => {
                    json!({"totalTokens": 7, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 7}]})
                }
                _ => json!({"object": "response.input_tokens", "input_tokens": 7}),
            };
            assert_eq!((body, losses.len()), (expected, 0));
        }
    }
}

#[test]
fn kinds_of_tokens_are_told_only_where_they_are_known() {
    let image = json!({"contents": [{"parts": [
        {"text": "What is this?"}, {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}},
    ]}]});
    let request = decode(Wire::Gemini, &image).unwrap();
    let counted = Counted { input_tokens: 300, ..Counted::default() };
    assert_eq!(told(Wire::Gemini, &counted, &request).0, json!({"totalTokens": 300}));
    let known = json!({"totalTokens": 268, "cachedContentTokenCount": 3, "totalBillableCharacters": 20,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 10}, {"modality": "IMAGE", "tokenCount": 258}]});
    let counted = read(Format::Vertex, &known).unwrap();
    let mut back = told(Wire::Gemini, &counted, &request).0;
    assert_eq!(back.as_object_mut().unwrap().shift_remove("totalBillableCharacters"), Some(json!(20)));
    assert_eq!(back["promptTokensDetails"], known["promptTokensDetails"]);
    assert_eq!(back["cachedContentTokenCount"], 3);
    assert_eq!(told(Wire::Anthropic, &counted, &request).1, ["totalBillableCharacters"]);
}

#[test]
fn what_holds_no_count_is_no_answer() {
    for (format, _) in provider_answers() {
        assert!(matches!(decode_response(format, b"<html>"), Err(BadResponse::NotJson(_))));
        for body in [
            json!([]),
            json!({"count": 7}),
            json!({"input_tokens": "7", "inputTokens": -1, "totalTokens": {}}),
        ] {
            assert!(matches!(read(format, &body), Err(BadResponse::WrongShape(_))), "{format:?} {body}");
        }
        let error = json!({"error": {"message": "overloaded", "type": "overloaded_error"}});
        assert!(matches!(read(format, &error), Err(BadResponse::Failure(_))), "{format:?}");
    }
    // Zeros are left out by Google's servers.
    assert_eq!(read(Format::Gemini, &json!({})).unwrap().input_tokens, 0);
}

#[test]
fn a_refusal_to_count_is_told_from_a_model_that_is_not_there() {
    for (format, status, body, expected) in [
        (Format::OpenAiResponses, 404, r#"{"detail":"Not Found"}"#, true),
        (Format::OpenAiResponses, 405, "", true),
        (
            Format::OpenAiResponses,
            404,
            r#"{"error":{"message":"The model `x` does not exist","type":"invalid_request_error","code":"model_not_found"}}"#,
            false,
        ),
        (
            Format::Anthropic,
            404,
            r#"{"type":"error","error":{"type":"not_found_error","message":"model: x"}}"#,
            false,
        ),
        // Engines: a version without the path, and one that serves another model.
        (Format::Anthropic, 404, r#"{"detail":"Not Found"}"#, true),
        (
            Format::Anthropic,
            404,
            r#"{"error":{"code":404,"message":"File Not Found","type":"not_found_error"}}"#,
            true,
        ),
        (
            Format::Anthropic,
            404,
            r#"{"type":"error","error":{"type":"NotFoundError","message":"The model `x` does not exist."}}"#,
            false,
        ),
        (
            Format::BedrockConverse,
            400,
            r#"{"message":"The provided model doesn't support counting tokens."}"#,
            true,
        ),
        (
            Format::BedrockConverse,
            400,
            r#"{"message":"Document input not supported for token counting"}"#,
            true,
        ),
        (Format::BedrockConverse, 400, r#"{"message":"The provided model identifier is invalid."}"#, false),
        (
            Format::Gemini,
            429,
            r#"{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","message":"slow"}}"#,
            false,
        ),
    ] {
        let failure = format.wire().codec().decode_failure(status, body.as_bytes());
        assert_eq!(is_unsupported(&failure), expected, "{body}: {:?}", failure.kind);
        assert!(expected || failure.kind != FailureKind::NotFound);
    }
}
