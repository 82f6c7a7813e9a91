//! Bodies as the vendors document them, and as their SDKs send them.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    Format, Request, decode_request, decode_response, encode_request, encode_response, observe_response,
};
use crate::loss::Losses;
use crate::wire::{BadRequest, BadResponse, Echo};

fn decode(format: Format, body: &Value) -> Result<Request, BadRequest> {
    decode_request(format, body.to_string().as_bytes())
}

fn cohere() -> Value {
    json!({"model": "rerank-v3.5", "query": "capital of the United States?", "top_n": 2,
        "max_tokens_per_doc": 4096, "documents": ["Carson City", "Saipan", "Washington, D.C."]})
}

fn written(format: Format, request: &Request) -> (Value, Vec<String>) {
    let mut losses = Losses::default();
    let body = encode_request(format, request, "target", &mut losses).unwrap();
    let paths = losses.as_slice().iter().map(|loss| loss.path.clone()).collect();
    (serde_json::from_slice(&body).unwrap(), paths)
}

#[test]
fn a_cohere_caller_reaches_every_provider() {
    let request = decode(Format::Cohere, &cohere()).unwrap();
    let documents = json!(["Carson City", "Saipan", "Washington, D.C."]);
    let query = "capital of the United States?";
    let (body, losses) = written(Format::Cohere, &request);
    assert_eq!(
        body,
        json!({"model": "target", "query": query, "documents": documents, "top_n": 2,
        "max_tokens_per_doc": 4096})
    );
    assert!(losses.is_empty());
    let (body, losses) = written(Format::Jina, &request);
    assert_eq!(
        body,
        json!({"model": "target", "query": query, "documents": documents, "top_n": 2,
        "return_documents": false})
    );
    assert_eq!(losses, ["max_tokens_per_doc"]);
    let (body, _) = written(Format::Voyage, &request);
    assert_eq!((&body["top_k"], body.get("top_n")), (&json!(2), None));
    let (body, _) = written(Format::Bedrock, &request);
    assert_eq!(body["queries"], json!([{"type": "TEXT", "textQuery": {"text": query}}]));
    assert_eq!(
        body["sources"][1],
        json!({"type": "INLINE", "inlineDocumentSource": {"type": "TEXT",
        "textDocument": {"text": "Saipan"}}})
    );
    assert_eq!(
        body["rerankingConfiguration"],
        json!({"type": "BEDROCK_RERANKING_MODEL",
        "bedrockRerankingConfiguration": {"modelConfiguration": {"modelArn": "target"}, "numberOfResults": 2}})
    );
}

#[test]
fn documents_of_fields_are_ranked_by_the_named_ones() {
    let documents = json!([{"text": "a"}, {"text": "b", "title": "B", "year": 3}]);
    let body = json!({"model": "m", "query": "q", "documents": documents});
    let (out, losses) = written(Format::Cohere, &decode(Format::Cohere, &body).unwrap());
    assert_eq!((&out["documents"], losses), (&json!(["a", "b"]), vec!["documents".to_owned()]));
    let mut named = body;
    named["rank_fields"] = json!(["title", "year", "text"]);
    let (out, losses) = written(Format::Cohere, &decode(Format::Cohere, &named).unwrap());
    assert_eq!(out["documents"], json!(["text: a", "title: B\nyear: 3\ntext: b"]));
    assert!(losses.is_empty() && out.get("rank_fields").is_none());
    named["rank_fields"] = json!(["none"]);
    let request = decode(Format::Cohere, &named).unwrap();
    let bad = encode_request(Format::Jina, &request, "m", &mut Losses::default()).unwrap_err();
    assert_eq!(bad.path, "documents[0]");
}

fn provider(format: Format) -> Value {
    match format {
        Format::Cohere => json!({"id": "i", "results": [{"index": 2, "relevance_score": 0.999071},
            {"index": 0, "relevance_score": 0.32713068}],
            "meta": {"api_version": {"version": "2"}, "billed_units": {"search_units": 1}}}),
        Format::Jina => json!({"id": "i", "model": "jina", "usage": {"total_tokens": 56}, "results": [
            {"index": 2, "document": {"text": "Washington, D.C."}, "relevance_score": 0.999071},
            {"index": 0, "relevance_score": 0.32713068}]}),
        Format::Voyage => json!({"object": "list", "data": [{"relevance_score": 0.999071, "index": 2},
            {"relevance_score": 0.32713068, "index": 0}], "model": "rerank-2", "usage": {"total_tokens": 56}}),
        Format::Bedrock => json!({"results": [{"index": 2, "relevanceScore": 0.999071,
            "document": {"type": "TEXT", "textDocument": {"text": "x"}}},
            {"index": 0, "relevanceScore": 0.32713068}]}),
    }
}

fn answer(from: Format, request: &Request) -> (Value, Vec<String>) {
    let response = decode_response(from, provider(from).to_string().as_bytes()).unwrap();
    let echo =
        Echo { unique: "u1".into(), now: 1, model: "alias".into(), stream_usage: false, request: None };
    let mut losses = Losses::default();
    let body = encode_response(&response, request, &echo, &mut losses);
    let paths = losses.as_slice().iter().map(|loss| loss.path.clone()).collect();
    (serde_json::from_slice(&body).unwrap(), paths)
}

#[test]
fn every_provider_answers_every_dialect() {
    for from in Format::ALL {
        for (to, list) in [(Format::Cohere, "results"), (Format::Jina, "results"), (Format::Voyage, "data")] {
            let (body, losses) = answer(from, &decode(to, &cohere()).unwrap());
            let expected = json!([{"index": 2, "relevance_score": 0.999071},
                {"index": 0, "relevance_score": 0.32713068}]);
            assert_eq!(body[list], expected, "{from:?} {to:?}");
            let units_lost = from == Format::Cohere && to != Format::Cohere;
            assert_eq!(losses, if units_lost { vec!["search_units"] } else { vec![] }, "{from:?} {to:?}");
        }
    }
    let (body, _) = answer(Format::Cohere, &decode(Format::Cohere, &cohere()).unwrap());
    assert_eq!(body, provider(Format::Cohere));
    let (body, _) = answer(Format::Jina, &decode(Format::Jina, &cohere()).unwrap());
    assert_eq!((&body["model"], &body["usage"]["total_tokens"]), (&json!("alias"), &json!(56)));
    let (body, _) = answer(Format::Bedrock, &decode(Format::Cohere, &cohere()).unwrap());
    assert_eq!((&body["id"], &body["meta"]["billed_units"]), (&json!("u1"), &json!({})));
}

#[test]
fn documents_come_back_when_they_are_asked_for() {
    let mut body = cohere();
    body["return_documents"] = json!(true);
    body["documents"][0] = json!({"text": "Carson City", "state": "Nevada"});
    let (out, _) = answer(Format::Cohere, &decode(Format::Cohere, &body).unwrap());
    assert_eq!(out["results"][0]["document"], json!({"text": "Washington, D.C."}));
    assert_eq!(out["results"][1]["document"], json!({"text": "Carson City", "state": "Nevada"}));
    let (out, _) = answer(Format::Jina, &decode(Format::Voyage, &body).unwrap());
    assert_eq!(out["data"][0]["document"], "Washington, D.C.");
}

#[test]
fn counts_are_seen_by_a_relay_as_by_a_translation() {
    for format in Format::ALL {
        let body = provider(format).to_string();
        let response = decode_response(format, body.as_bytes()).unwrap();
        let seen = observe_response(format, body.as_bytes()).unwrap();
        assert_eq!(seen, (response.usage, response.search_units), "{format:?}");
    }
    let cohere = observe_response(Format::Cohere, provider(Format::Cohere).to_string().as_bytes()).unwrap();
    assert_eq!(cohere, (None, Some(1)));
    let jina = observe_response(Format::Jina, provider(Format::Jina).to_string().as_bytes()).unwrap();
    assert_eq!(jina.0.unwrap().input_uncached, 56);
}

#[test]
fn complaints_name_the_path() {
    let cases = [
        (json!({"model": null}), "model"),
        (json!({"query": null}), "query"),
        (json!({"query": 3}), "query"),
        (json!({"documents": null}), "documents"),
        (json!({"documents": []}), "documents"),
        (json!({"documents": ["a", 3]}), "documents[1]"),
        (json!({"top_n": 0}), "top_n"),
        (json!({"top_n": "x"}), "top_n"),
        (json!({"return_documents": 1}), "return_documents"),
        (json!({"rank_fields": [1]}), "rank_fields[0]"),
    ];
    for (fields, path) in cases {
        let mut body = cohere();
        for (name, value) in fields.as_object().unwrap() {
            body[name] = value.clone();
        }
        assert_eq!(decode(Format::Cohere, &body).unwrap_err().path, path, "{fields}");
    }
    let body = json!({"model": "m", "query": "q", "documents": [{"title": "x"}]});
    let request = decode(Format::Jina, &body).unwrap();
    let bad = encode_request(Format::Cohere, &request, "m", &mut Losses::default()).unwrap_err();
    assert_eq!(bad.path, "documents[0].text");
    assert!(decode(Format::Bedrock, &cohere()).is_err());
}

#[test]
fn what_is_no_answer_is_told() {
    for format in Format::ALL {
        let read = |body: &str| decode_response(format, body.as_bytes());
        assert!(matches!(read("<html>"), Err(BadResponse::NotJson(_))));
        assert!(matches!(read(r#"{"message":"slow down"}"#), Err(BadResponse::Failure(_))));
        for body in ["[]", "{}", r#"{"results":3,"data":3}"#, r#"{"results":[{}],"data":[{}]}"#] {
            assert!(matches!(read(body), Err(BadResponse::WrongShape(_))), "{format:?} {body}");
        }
        assert!(observe_response(format, b"{}").is_err());
    }
}

#[test]
fn leftovers_go_home_and_are_reported_elsewhere() {
    let mut body = cohere();
    body["priority"] = json!(2);
    body["x"] = json!(1);
    let request = decode(Format::Cohere, &body).unwrap();
    let (own, losses) = written(Format::Cohere, &request);
    assert_eq!((&own["priority"], &own["x"], losses.len()), (&json!(2), &json!(1), 0));
    assert_eq!(written(Format::Bedrock, &request).1, ["max_tokens_per_doc", "priority", "x"]);
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-z]{0,4}".prop_map(Value::from),
    ];
    let names = [
        "query",
        "documents",
        "results",
        "data",
        "index",
        "score",
        "document",
        "text",
        "meta",
        "billed_units",
        "search_units",
        "model",
        "top_n",
    ];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((prop::sample::select(names.to_vec()), inner), 0..5)
                .prop_map(|fields| fields.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()),
        ]
    })
}

proptest! {
    #[test]
    fn arbitrary_json_never_panics(value in any_json()) {
        let body = value.to_string();
        for format in Format::ALL {
            let request = decode_request(format, body.as_bytes());
            if let Ok(request) = &request {
                for to in Format::ALL {
                    let _ = encode_request(to, request, "m", &mut Losses::default());
                }
            }
            let _ = observe_response(format, body.as_bytes());
            if let Ok(response) = decode_response(format, body.as_bytes()) {
                for dialect in [Format::Cohere, Format::Jina, Format::Voyage] {
                    let mut request = cohere();
                    request["return_documents"] = json!(true);
                    let request = decode(dialect, &request).unwrap();
                    let bytes = encode_response(&response, &request, &Echo::default(), &mut Losses::default());
                    serde_json::from_slice::<Value>(&bytes).unwrap();
                }
            }
        }
    }
}

#[test]
fn the_model_of_a_body_in_bedrocks_format_is_the_last_part_of_its_arn() {
    let body = |arn: &str| {
        json!({"rerankingConfiguration": {"type": "BEDROCK_RERANKING_MODEL",
            "bedrockRerankingConfiguration": {"modelConfiguration": {"modelArn": arn}}}})
        .to_string()
    };
    let model = |arn: &str| super::bedrock_model(body(arn).as_bytes());
    let arn = "arn:aws:bedrock:us-west-2::foundation-model/amazon.rerank-v1:0";
    assert_eq!(model(arn).unwrap(), "amazon.rerank-v1:0");
    assert_eq!(model("far/cohere.rerank-v3-5:0").unwrap(), "far/cohere.rerank-v3-5:0");
    for bad in [body(""), "{}".to_owned(), "[".to_owned()] {
        assert!(super::bedrock_model(bad.as_bytes()).unwrap_err().path.ends_with("modelArn"), "{bad}");
    }
}
