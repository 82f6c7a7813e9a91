//! Answers from each provider to each dialect.

use serde_json::{Value, json};

use super::super::{Format, Request, decode_response, encode_response, observe_response};
use super::{decode, echo};
use crate::loss::Losses;
use crate::wire::BadResponse;

const FLOATS: [f64; 4] = [0.016296387, -0.008354187, -1.0, 0.00013196468];
/// The same, as little-endian 32 bit floats.
const PACKED: &str = "AICFPACAfCMAAIC/gGAKOQ==";

fn provider(format: Format) -> Value {
    match format {
        Format::Jina | Format::OpenAi | Format::Voyage => {
            json!({"object": "list", "model": "text-embedding-3-small",
            "data": [{"object": "embedding", "index": 1, "embedding": [1.0]},
                {"object": "embedding", "index": 0, "embedding": FLOATS}],
            "usage": {"prompt_tokens": 8, "total_tokens": 8}})
        }
        Format::GeminiEmbedContent => json!({"embedding": {"values": FLOATS}}),
        Format::GeminiBatch => json!({"embeddings": [{"values": FLOATS}, {"values": [1.0]}],
            "usageMetadata": {"promptTokenCount": 8}}),
        Format::Cohere => json!({"id": "i", "texts": ["a", "b"], "embeddings": {"float": [FLOATS, [1.0]],
            "int8": [[1, -128], [127]]}, "meta": {"api_version": {"version": "2"},
            "billed_units": {"input_tokens": 8.0}}, "response_type": "embeddings_by_type"}),
        Format::BedrockCohere => json!({"id": "i", "texts": ["a", "b"], "embeddings": [FLOATS, [1.0]],
            "response_type": "embeddings_floats"}),
        Format::BedrockTitan => json!({"embedding": FLOATS, "inputTextTokenCount": 8,
            "embeddingsByType": {"float": FLOATS}}),
        Format::VertexPredict => {
            let one = |values: Value, tokens: u64| {
                json!({"embeddings": {"values": values,
                "statistics": {"truncated": false, "token_count": tokens}}})
            };
            json!({"predictions": [one(json!(FLOATS), 3), one(json!([1.0]), 5)]})
        }
    }
}

fn caller(format: Format, encoding: Option<&str>) -> Request {
    let body = match format {
        Format::OpenAi => json!({"model": "m", "input": ["a", "b"], "encoding_format": encoding}),
        Format::GeminiEmbedContent => json!({"content": {"parts": [{"text": "a"}]}}),
        Format::GeminiBatch => json!({"requests": [{"content": {"parts": [{"text": "a"}]}},
            {"content": {"parts": [{"text": "b"}]}}]}),
        _ => json!({"model": "m", "texts": ["a", "b"], "embedding_types": encoding.map(|word| vec![word])}),
    };
    decode(format, &body).unwrap()
}

fn answer(from: Format, to: &Request) -> (Value, Vec<String>) {
    let response = decode_response(from, provider(from).to_string().as_bytes()).unwrap();
    let mut losses = Losses::default();
    let body = encode_response(&response, to, &echo(), &mut losses);
    let paths = losses.as_slice().iter().map(|loss| loss.path.clone()).collect();
    (serde_json::from_slice(&body).unwrap(), paths)
}

#[test]
fn every_provider_answers_every_dialect_with_the_same_numbers() {
    for from in Format::ALL {
        let (body, losses) = answer(from, &caller(Format::OpenAi, None));
        assert_eq!(body["data"][0]["embedding"], json!(FLOATS), "{from:?}");
        assert_eq!((&body["data"][0]["index"], &body["model"]), (&json!(0), &json!("alias")));
        assert_eq!(losses, Vec::<String>::new(), "{from:?}");
        let (body, _) = answer(from, &caller(Format::GeminiEmbedContent, None));
        assert_eq!(body["embedding"]["values"], json!(FLOATS), "{from:?}");
        let (body, _) = answer(from, &caller(Format::GeminiBatch, None));
        assert_eq!(body["embeddings"][0]["values"], json!(FLOATS), "{from:?}");
        let (body, _) = answer(from, &caller(Format::Cohere, None));
        assert_eq!(body["embeddings"]["float"][0], json!(FLOATS), "{from:?}");
        assert_eq!(body["texts"], json!(["a", "b"]));
    }
}

#[test]
fn base64_is_made_of_floats_when_the_caller_wants_it() {
    for from in Format::ALL {
        let (body, losses) = answer(from, &caller(Format::OpenAi, Some("base64")));
        let text = body["data"][0]["embedding"].as_str().unwrap();
        let bytes = crate::base64::decode(text).unwrap();
        let floats: Vec<f32> =
            bytes.chunks(4).map(|word| f32::from_le_bytes(word.try_into().unwrap())).collect();
        assert_eq!(floats, FLOATS.map(|number| number as f32), "{from:?}");
        assert!(losses.is_empty());
        let (body, _) = answer(from, &caller(Format::Cohere, Some("base64")));
        assert_eq!(body["embeddings"]["base64"][0], text);
    }
}

#[test]
fn floats_are_made_of_base64_when_a_provider_gives_it() {
    let body = json!({"object": "list", "data": [{"index": 0, "embedding": PACKED}], "model": "m"});
    let response = decode_response(Format::OpenAi, body.to_string().as_bytes()).unwrap();
    let mut losses = Losses::default();
    let written = encode_response(&response, &caller(Format::OpenAi, Some("float")), &echo(), &mut losses);
    let written: Value = serde_json::from_slice(&written).unwrap();
    let list = written["data"][0]["embedding"].as_array().unwrap();
    assert_eq!((list.len(), &list[2]), (4, &json!(-1.0)));
    // As short as 32 bits are: not 0.01629638671875.
    assert_eq!(list[0].to_string(), "0.016296387");
    let back = encode_response(&response, &caller(Format::OpenAi, Some("base64")), &echo(), &mut losses);
    let back: Value = serde_json::from_slice(&back).unwrap();
    assert_eq!(back["data"][0]["embedding"], PACKED);
    assert_eq!(back["usage"], json!({"prompt_tokens": 0, "total_tokens": 0}));
}

#[test]
fn quantised_vectors_are_given_as_they_came_or_reported() {
    let (body, losses) = answer(Format::Cohere, &caller(Format::Cohere, Some("int8")));
    assert_eq!(body["embeddings"], json!({"int8": [[1, -128], [127]]}));
    assert!(losses.is_empty());
    let (body, losses) = answer(Format::BedrockTitan, &caller(Format::Cohere, Some("ubinary")));
    assert_eq!(body["embeddings"]["float"][0], json!(FLOATS));
    assert_eq!(losses, ["embedding_types"]);
}

#[test]
fn tokens_are_counted_and_seen_by_a_relay() {
    for format in Format::ALL {
        let body = provider(format).to_string();
        let usage = decode_response(format, body.as_bytes()).unwrap().usage;
        let uncounted = matches!(format, Format::GeminiEmbedContent | Format::BedrockCohere);
        assert_eq!(usage.map(|usage| usage.input_uncached), (!uncounted).then_some(8), "{format:?}");
        assert_eq!(observe_response(format, body.as_bytes()).unwrap(), usage, "{format:?}");
    }
}

#[test]
fn what_is_no_answer_is_told() {
    for format in Format::ALL {
        for body in ["<html>", "{"] {
            assert!(matches!(decode_response(format, body.as_bytes()), Err(BadResponse::NotJson(_))));
            assert!(matches!(observe_response(format, body.as_bytes()), Err(BadResponse::NotJson(_))));
        }
        for body in
            ["[]", "{}", "3", r#"{"data":3,"embeddings":4,"embedding":true}"#, r#"{"embeddings":[["x"]]}"#]
        {
            let read = decode_response(format, body.as_bytes());
            assert!(matches!(read, Err(BadResponse::WrongShape(_))), "{format:?} {body} {read:?}");
        }
        for body in [r#"{"error":{"message":"no","code":429}}"#, r#"{"message":"slow down"}"#] {
            assert!(
                matches!(decode_response(format, body.as_bytes()), Err(BadResponse::Failure(_))),
                "{format:?}"
            );
            assert!(matches!(observe_response(format, body.as_bytes()), Err(BadResponse::Failure(_))));
        }
    }
}

#[test]
fn what_vertex_tells_beside_its_vectors_is_kept() {
    let body = json!({"predictions": [
        {"embeddings": {"values": [1.0], "statistics": {"truncated": true, "token_count": 4.0}}}],
        "metadata": {"billableCharacterCount": 11}, "deployedModelId": ""});
    let response = decode_response(Format::VertexPredict, body.to_string().as_bytes()).unwrap();
    assert_eq!(response.usage.unwrap().input_uncached, 4);
    assert_eq!(response.extra.fields["truncated"], json!([0]));
    let mut losses = Losses::default();
    encode_response(&response, &caller(Format::OpenAi, None), &echo(), &mut losses);
    let told: Vec<&str> = losses.as_slice().iter().map(|loss| loss.path.as_str()).collect();
    assert!(told.contains(&"truncated") && told.iter().any(|path| path.starts_with("metadata")), "{told:?}");
}

#[test]
fn a_broken_base64_is_a_loss_not_a_panic() {
    let body = json!({"data": [{"index": 0, "embedding": "AAAA*"}]});
    let response = decode_response(Format::OpenAi, body.to_string().as_bytes()).unwrap();
    let mut losses = Losses::default();
    encode_response(&response, &caller(Format::GeminiBatch, None), &echo(), &mut losses);
    assert_eq!(losses.as_slice()[0].path, "embeddings[0]");
}
