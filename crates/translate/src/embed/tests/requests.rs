//! Requests from each dialect to each provider.

use serde_json::{Value, json};

use super::super::{Encoding, Format, Input, Piece, Request, Task, Truncate};
use super::{decode, refusal, written};
use crate::ir::Source;

/// What the OpenAI SDKs send when nobody says otherwise.
fn openai() -> Value {
    json!({"input": ["The food was delicious", "and the waiter…"], "model": "text-embedding-3-small",
        "encoding_format": "base64", "dimensions": 256, "user": "u"})
}

/// What google-genai sends for `embed_content`.
fn gemini() -> Value {
    let one = |text: &str| {
        json!({"model": "models/gemini-embedding-001",
        "content": {"parts": [{"text": text}]}, "taskType": "RETRIEVAL_DOCUMENT", "outputDimensionality": 256})
    };
    json!({"requests": [one("The food was delicious"), one("and the waiter…")]})
}

fn cohere() -> Value {
    json!({"model": "embed-v4.0", "texts": ["The food was delicious", "and the waiter…"],
        "input_type": "search_document", "embedding_types": ["float", "base64"], "output_dimension": 256,
        "truncate": "END"})
}

fn texts() -> Vec<Input> {
    vec![Input::text("The food was delicious"), Input::text("and the waiter…")]
}

#[test]
fn every_dialect_says_the_same_in_its_own_words() {
    let request = decode(Format::OpenAi, &openai()).unwrap();
    assert_eq!((request.inputs.clone(), request.dimensions), (texts(), Some(256)));
    assert_eq!((request.encodings, request.user.as_deref()), (vec![Encoding::Base64], Some("u")));
    let request = decode(Format::GeminiBatch, &gemini()).unwrap();
    assert_eq!((request.inputs, request.dimensions), (texts(), Some(256)));
    assert_eq!((request.task, request.model.as_str()), (Some(Task::SearchDocument), ""));
    assert!(request.extra.is_empty());
    let request = decode(Format::Cohere, &cohere()).unwrap();
    assert_eq!((request.inputs, request.dimensions), (texts(), Some(256)));
    assert_eq!((request.task, request.truncate), (Some(Task::SearchDocument), Some(Truncate::End)));
    assert_eq!(request.encodings, [Encoding::Float, Encoding::Base64]);
}

#[test]
fn openai_callers_reach_every_provider() {
    let request = decode(Format::OpenAi, &openai()).unwrap();
    let list = json!(["The food was delicious", "and the waiter…"]);
    let (body, losses) = written(Format::OpenAi, &request);
    assert_eq!(body, json!({"model": "target", "input": list, "dimensions": 256, "user": "u"}));
    assert!(losses.is_empty());
    let (body, losses) = written(Format::Cohere, &request);
    assert_eq!(
        body,
        json!({"model": "target", "texts": list, "input_type": "search_document",
        "embedding_types": ["float"], "output_dimension": 256})
    );
    assert_eq!(losses, ["input_type", "user"]);
    let (body, _) = written(Format::BedrockCohere, &request);
    assert_eq!((body.get("model"), &body["texts"]), (None, &list));
    let (body, losses) = written(Format::GeminiBatch, &request);
    let one = |text: &str| {
        json!({"model": "models/target", "content": {"parts": [{"text": text}]},
        "outputDimensionality": 256})
    };
    assert_eq!(body, json!({"requests": [one("The food was delicious"), one("and the waiter…")]}));
    assert_eq!(losses, ["user"]);
}

#[test]
fn gemini_and_cohere_callers_reach_each_other() {
    let request = decode(Format::GeminiBatch, &gemini()).unwrap();
    let (body, losses) = written(Format::Cohere, &request);
    assert_eq!((&body["input_type"], &body["output_dimension"]), (&json!("search_document"), &json!(256)));
    assert!(losses.is_empty());
    let (_, losses) = written(Format::OpenAi, &request);
    assert_eq!(losses, ["task"]);
    let request = decode(Format::Cohere, &cohere()).unwrap();
    let (body, losses) = written(Format::GeminiBatch, &request);
    assert_eq!(body["requests"][1]["taskType"], "RETRIEVAL_DOCUMENT");
    assert_eq!(losses, ["truncate"]);
}

#[test]
fn one_text_at_a_time_is_refused_where_several_come() {
    let request = decode(Format::OpenAi, &openai()).unwrap();
    for format in [Format::BedrockTitan, Format::GeminiEmbedContent] {
        let bad = refusal(format, &request);
        assert_eq!(bad.path, "input");
        assert!(bad.message.contains("2 inputs") && bad.message.contains("one by one"), "{}", bad.message);
    }
    let single = decode(Format::OpenAi, &json!({"model": "m", "input": "a", "normalize": false, "x": 1}));
    let (body, losses) = written(Format::BedrockTitan, &single.clone().unwrap());
    assert_eq!(body, json!({"inputText": "a", "normalize": false}));
    assert_eq!(losses, ["x"]);
    let (body, _) = written(Format::GeminiEmbedContent, &single.unwrap());
    assert_eq!(body, json!({"content": {"parts": [{"text": "a"}]}}));
}

#[test]
fn vertex_is_asked_in_instances_and_its_newer_models_in_contents() {
    let request = decode(Format::OpenAi, &openai()).unwrap();
    let (body, losses) = written(Format::VertexPredict, &request);
    assert_eq!(
        body,
        json!({"instances": [{"content": "The food was delicious"}, {"content": "and the waiter…"}],
            "parameters": {"outputDimensionality": 256}})
    );
    assert_eq!(losses, ["user"]);
    let titled = json!({"content": {"parts": [{"text": "a"}]}, "taskType": "RETRIEVAL_DOCUMENT", "title": "t",
        "autoTruncate": false});
    let (body, losses) =
        written(Format::VertexPredict, &decode(Format::GeminiEmbedContent, &titled).unwrap());
    assert_eq!(
        body,
        json!({"instances": [{"content": "a", "task_type": "RETRIEVAL_DOCUMENT", "title": "t"}],
            "parameters": {"autoTruncate": false}})
    );
    assert!(losses.is_empty(), "{losses:?}");
    let (body, losses) = written(Format::VertexPredict, &decode(Format::Cohere, &cohere()).unwrap());
    assert_eq!(body["parameters"], json!({"outputDimensionality": 256, "autoTruncate": true}));
    assert_eq!((&body["instances"][1]["task_type"], losses.len()), (&json!("RETRIEVAL_DOCUMENT"), 0));
    let of = |model| Format::of(crate::Wire::Gemini, Some(Format::VertexPredict), model, false);
    assert_eq!(of("text-embedding-005"), Format::VertexPredict);
    assert_eq!(of("google/gemini-embedding-001"), Format::VertexPredict);
    assert_eq!(of("gemini-embedding-2"), Format::GeminiEmbedContent);
}

#[test]
fn voyage_and_jina_are_asked_in_their_own_names() {
    let asked = json!({"model": "m", "input": ["a", "b"], "dimensions": 256, "encoding_format": "base64",
        "input_type": "search_query", "truncate": "END", "user": "u", "late_chunking": true});
    let request = decode(Format::OpenAi, &asked).unwrap();
    let (body, losses) = written(Format::Voyage, &request);
    assert_eq!(
        body,
        json!({"model": "target", "input": ["a", "b"], "input_type": "query", "output_dimension": 256,
            "truncation": true, "late_chunking": true})
    );
    assert_eq!(losses, ["user"]);
    let (body, _) = written(Format::Jina, &request);
    assert_eq!(
        body,
        json!({"model": "target", "input": ["a", "b"], "task": "retrieval.query", "dimensions": 256,
            "truncate": true, "late_chunking": true})
    );
    // As their own callers write it.
    let own = json!({"model": "m", "input": "a", "task": "retrieval.passage", "truncate": false});
    let request = decode(Format::OpenAi, &own).unwrap();
    assert_eq!((request.task.clone(), request.truncate), (Some(Task::SearchDocument), Some(Truncate::None)));
    assert_eq!(written(Format::Jina, &request).0["task"], "retrieval.passage");
    assert_eq!(written(Format::Voyage, &request).0["input_type"], "document");
    let cluster = decode(Format::OpenAi, &json!({"model": "m", "input": "a", "input_type": "clustering"}));
    let (body, losses) = written(Format::Voyage, &cluster.unwrap());
    assert_eq!((body, losses), (json!({"model": "target", "input": ["a"]}), vec!["task".to_owned()]));
}

#[test]
fn jina_takes_images_in_the_place_of_texts() {
    let image = |source| Request {
        inputs: vec![Input { pieces: vec![Piece::Image(source)], title: None }],
        ..Request::of(Format::Cohere)
    };
    let url = image(Source::Url("https://x/y.png".into()));
    assert_eq!(written(Format::Jina, &url).0["input"], json!([{"image": "https://x/y.png"}]));
    assert_eq!(refusal(Format::Voyage, &url).path, "input[0]");
    assert_eq!(refusal(Format::VertexPredict, &url).path, "input[0]");
}

#[test]
fn tokens_go_to_their_own_kind_only() {
    for (input, count) in [(json!([1, 2]), 1), (json!([[1, 2], [3]]), 2)] {
        let request = decode(Format::OpenAi, &json!({"model": "m", "input": input})).unwrap();
        assert_eq!(request.inputs.len(), count);
        assert_eq!(written(Format::OpenAi, &request).0["input"], input);
        assert_eq!(refusal(Format::Cohere, &request).path, "input[0]");
        assert_eq!(refusal(Format::GeminiBatch, &request).path, "input[0]");
    }
}

#[test]
fn images_go_where_they_are_seen() {
    let body = json!({"model": "m", "input_type": "image", "images": ["data:image/png;base64,iVBO"]});
    let request = decode(Format::Cohere, &body).unwrap();
    let source = Source::Base64 { media_type: "image/png".into(), data: "iVBO".into() };
    assert_eq!(request.inputs[0].pieces, [Piece::Image(source)]);
    let (written_body, _) = written(Format::Cohere, &request);
    let url = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}});
    assert_eq!(written_body["inputs"], json!([{"content": [url]}]));
    assert_eq!(
        decode(Format::Cohere, &json!({"model": "m", "inputs": written_body["inputs"]})).unwrap().inputs,
        request.inputs
    );
    let (body, _) = written(Format::GeminiBatch, &request);
    let inline = json!({"inlineData": {"mimeType": "image/png", "data": "iVBO"}});
    assert_eq!(body["requests"][0]["content"]["parts"], json!([inline]));
    assert!(refusal(Format::OpenAi, &request).message.contains("image"));
}

#[test]
fn tasks_of_other_providers_are_told_by_openai_callers() {
    for name in ["input_type", "task_type", "taskType"] {
        let mut body = json!({"model": "m", "input": "a", "truncate": "NONE"});
        body[name] = json!("RETRIEVAL_QUERY");
        let request = decode(Format::OpenAi, &body).unwrap();
        let (cohere, losses) = written(Format::Cohere, &request);
        assert_eq!((&cohere["input_type"], &cohere["truncate"]), (&json!("search_query"), &json!("NONE")));
        assert!(losses.is_empty());
        assert_eq!(written(Format::OpenAi, &request).0["input_type"], "search_query");
    }
}

#[test]
fn a_batch_wants_one_thing() {
    let entry = |task: &str| json!({"content": {"parts": [{"text": "a"}]}, "taskType": task});
    let mixed = json!({"requests": [entry("CLUSTERING"), entry("CLASSIFICATION")]});
    assert_eq!(decode(Format::GeminiBatch, &mixed).unwrap_err().path, "requests[1]");
    let titled = json!({"requests": [{"content": {"parts": [{"text": "a"}]}, "title": "A"},
        {"content": {"parts": [{"text": "b"}]}, "title": "B"}]});
    let request = decode(Format::GeminiBatch, &titled).unwrap();
    assert_eq!(request.inputs[1].title.as_deref(), Some("B"));
    assert_eq!(written(Format::GeminiBatch, &request).0["requests"][1]["title"], "B");
    assert_eq!(written(Format::Cohere, &request).1, ["input_type", "title"]);
}

#[test]
fn snake_case_and_plain_contents_are_read() {
    let body = json!({"content": "a", "task_type": "CODE_RETRIEVAL_QUERY", "output_dimensionality": 8});
    let request = decode(Format::GeminiEmbedContent, &body).unwrap();
    assert_eq!((request.task, request.dimensions), (Some(Task::CodeQuery), Some(8)));
}

#[test]
fn complaints_name_the_path() {
    let cases = [
        (Format::OpenAi, json!({"input": "a"}), "model"),
        (Format::OpenAi, json!({"model": "m"}), "input"),
        (Format::OpenAi, json!({"model": "m", "input": []}), "input"),
        (Format::OpenAi, json!({"model": "m", "input": ["a", 3]}), "input[1]"),
        (Format::OpenAi, json!({"model": "m", "input": [[1], ["a"]]}), "input[1][0]"),
        (Format::OpenAi, json!({"model": "m", "input": [[]]}), "input[0]"),
        (Format::OpenAi, json!({"model": "m", "input": "a", "encoding_format": "hex"}), "encoding_format"),
        (Format::OpenAi, json!({"model": "m", "input": "a", "dimensions": "x"}), "dimensions"),
        (Format::Cohere, json!({"model": "m"}), "texts"),
        (Format::Cohere, json!({"model": "m", "texts": [1]}), "texts[0]"),
        (
            Format::Cohere,
            json!({"model": "m", "texts": ["a"], "embedding_types": ["x"]}),
            "embedding_types[0]",
        ),
        (Format::Cohere, json!({"model": "m", "texts": ["a"], "truncate": "MIDDLE"}), "truncate"),
        (
            Format::Cohere,
            json!({"model": "m", "inputs": [{"content": [{"type": "video"}]}]}),
            "inputs[0].content[0].type",
        ),
        (Format::GeminiBatch, json!({}), "requests"),
        (Format::GeminiBatch, json!({"requests": []}), "requests"),
        (Format::GeminiBatch, json!({"requests": [{}]}), "requests[0].content"),
        (Format::GeminiEmbedContent, json!({"content": {"parts": [{}]}}), "content.parts[0].text"),
        (Format::GeminiEmbedContent, json!({"content": {"parts": []}}), "content.parts"),
        (Format::BedrockTitan, json!({"inputText": "a"}), ""),
        (Format::VertexPredict, json!({"instances": []}), ""),
        (Format::Voyage, json!({"model": "m", "input": "a"}), ""),
    ];
    for (format, body, path) in cases {
        assert_eq!(decode(format, &body).unwrap_err().path, path, "{body}");
    }
    let bad = super::super::decode_request(Format::OpenAi, b"{\"model\":").unwrap_err();
    assert!(bad.message.contains("line 1"));
}

#[test]
fn leftovers_go_home_and_are_reported_elsewhere() {
    let body = json!({"model": "m", "texts": ["a"], "input_type": "classification", "priority": 3, "x": 1});
    let request: Request = decode(Format::Cohere, &body).unwrap();
    let (own, losses) = written(Format::Cohere, &request);
    assert_eq!((&own["priority"], &own["x"], losses.len()), (&json!(3), &json!(1), 0));
    assert_eq!(written(Format::OpenAi, &request).1, ["task", "priority", "x"]);
    let lent = json!({"model": "m", "input": "a", "input_type": "clustering", "priority": 3,
        "extra_params": {"max_tokens": 5}});
    let request = decode(Format::OpenAi, &lent).unwrap();
    let (body, losses) = written(Format::Cohere, &request);
    assert_eq!((&body["priority"], &body["max_tokens"]), (&json!(3), &json!(5)));
    assert!(losses.is_empty(), "{losses:?}");
}
