//! Providers that differ from a chat service: their own APIs, vectors, rankings, and what they do not have.

use serde_json::{Value, json};

use crate::support::answers::{WORDS, healthy, json_answer};
use crate::support::client::Request;
use crate::support::gateway::Gateway;
use crate::support::upstream::{Act, Hit, Upstream};

fn answer(hit: &Hit) -> Vec<Act> {
    let body = match hit.path.as_str() {
        "/v1/embeddings" => json!({"object": "list", "model": "voyage-3", "usage": {"total_tokens": 7},
            "data": [{"object": "embedding", "index": 0, "embedding": [1.0, -0.5]}]}),
        "/v1/rerank" => json!({"object": "list", "model": "rerank-2", "usage": {"total_tokens": 9},
            "data": [{"index": 1, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0.1}]}),
        path if path.ends_with(":predict") => json!({"predictions": [
            {"embeddings": {"values": [0.25, 1.0], "statistics": {"token_count": 3, "truncated": false}}},
            {"embeddings": {"values": [0.5], "statistics": {"token_count": 4, "truncated": false}}}]}),
        path if path.ends_with(":embedContent") => json!({"embedding": {"values": [0.75]},
            "usageMetadata": {"promptTokenCount": 2}}),
        path if path.contains("chat/completions") || path.ends_with(":rawPredict") => {
            return healthy(hit);
        }
        path if path.ends_with(":streamRawPredict") => return healthy(hit),
        path => json!({"path": path, "method": hit.method}),
    };
    json_answer(200, &[], &body)
}

fn stage(providers: impl Fn(&str) -> Value) -> (Upstream, Gateway) {
    let upstream = Upstream::start(answer);
    let gateway = Gateway::start(&json!({"providers": providers(&upstream.url())}));
    (upstream, gateway)
}

fn keyed(url: &str) -> Value {
    json!({"keys": [{"name": "main", "value": "held-here"}], "network_config": {"base_url": url, "max_retries": 0}})
}

#[test]
fn a_vendors_own_api_is_called_with_its_own_header_and_never_with_the_callers() {
    let (upstream, gateway) = stage(|url| {
        let names = ["elevenlabs", "deepgram", "fal", "assemblyai", "bfl", "runway"];
        names.iter().map(|name| ((*name).to_owned(), keyed(url))).collect()
    });
    for (name, header, value) in [
        ("elevenlabs", "xi-api-key", "held-here"),
        ("deepgram", "authorization", "Token held-here"),
        ("fal", "authorization", "Key held-here"),
        ("assemblyai", "authorization", "held-here"),
        ("bfl", "x-key", "held-here"),
        ("runway", "authorization", "Bearer held-here"),
    ] {
        let path = format!("/{name}_passthrough/v1/text-to-speech/voice?output_format=mp3");
        let mut request = Request::post(&path, "{}");
        for credential in ["xi-api-key", "x-key", "authorization", "x-api-key"] {
            request = request.header(credential, "callers-own");
        }
        let told = gateway.ask(&request);
        assert_eq!(told.status(), 200, "{name}: {}", told.text());
        assert_eq!(told.json()["path"], "/v1/text-to-speech/voice?output_format=mp3");
        let hit = upstream.hits().pop().unwrap();
        assert_eq!(hit.header(header), Some(value), "{name}");
        let leaked = hit.headers.iter().any(|(_, value)| value.contains("callers-own"));
        assert!(!leaked, "{name}: {:?}", hit.headers);
    }
    let version = upstream.hits().pop().unwrap();
    assert_eq!(version.header("x-runway-version"), Some("2024-11-06"));
    let unknown = gateway.get("/recraft_passthrough/v1/styles");
    assert_eq!(unknown.status(), 404);
    assert!(unknown.text().contains("`recraft` is not configured"), "{}", unknown.text());
}

#[test]
fn chat_with_a_vendor_that_has_none_is_refused_in_the_callers_dialect() {
    let (upstream, gateway) = stage(|url| json!({"elevenlabs": keyed(url), "voyage": keyed(url)}));
    let message = [json!({"role": "user", "content": "Hi"})];
    let openai =
        Request::json("/v1/chat/completions", &json!({"model": "elevenlabs/x", "messages": message}));
    let told = gateway.ask(&openai);
    assert_eq!((told.status(), &told.json()["error"]["code"]), (400, &json!("unsupported_operation")));
    let text = told.json()["error"]["message"].to_string();
    assert!(text.contains("elevenlabs does not support chat_completion"), "{text}");
    assert!(text.contains("its own API below /elevenlabs_passthrough") && !text.contains("rerank"), "{text}");
    let anthropic = json!({"model": "voyage/x", "max_tokens": 5, "messages": message});
    let told = gateway.ask(&Request::json("/anthropic/v1/messages", &anthropic)).json();
    assert_eq!((&told["type"], &told["error"]["type"]), (&json!("error"), &json!("invalid_request_error")));
    assert!(told["error"]["message"].as_str().unwrap().contains("embeddings, rerank"), "{told}");
    let gemini = json!({"contents": [{"parts": [{"text": "Hi"}]}]});
    let told = gateway.ask(&Request::json("/genai/v1beta/models/voyage/x:generateContent", &gemini));
    assert_eq!((told.status(), &told.json()["error"]["status"]), (400, &json!("INVALID_ARGUMENT")));
    let legacy = json!({"model": "elevenlabs/x", "prompt": "Hi"});
    assert_eq!(gateway.ask(&Request::json("/v1/completions", &legacy)).status(), 400);
    assert!(upstream.hits().is_empty());
}

#[test]
fn voyage_embeds_and_ranks_for_callers_of_other_formats() {
    let (upstream, gateway) = stage(|url| json!({"voyage": keyed(url)}));
    let asked = json!({"model": "voyage/voyage-3", "input": "a", "dimensions": 256, "encoding_format": "base64",
        "input_type": "search_query"});
    let told = gateway.ask(&Request::json("/v1/embeddings", &asked));
    assert_eq!(told.status(), 200, "{}", told.text());
    // 1.0 and -0.5 as little-endian 32 bit floats.
    assert_eq!(told.json()["data"][0]["embedding"], "AACAPwAAAL8=");
    assert_eq!(told.json()["usage"]["total_tokens"], 7);
    let hit = upstream.hits().pop().unwrap();
    let expected =
        json!({"model": "voyage-3", "input": ["a"], "input_type": "query", "output_dimension": 256});
    assert_eq!((hit.json, hit.headers.iter().any(|(_, v)| v == "Bearer held-here")), (expected, true));

    let asked = json!({"model": "voyage/rerank-2", "query": "q", "documents": ["x", "y"], "top_n": 2});
    let told = gateway.ask(&Request::json("/v1/rerank", &asked));
    assert_eq!(told.status(), 200, "{}", told.text());
    assert_eq!(told.json()["results"][0], json!({"index": 1, "relevance_score": 0.9}));
    let hit = upstream.hits().pop().unwrap();
    assert_eq!((hit.path.as_str(), &hit.json["top_k"]), ("/v1/rerank", &json!(2)));
}

#[test]
fn vertex_embeds_at_its_own_paths_for_every_dialect() {
    let (upstream, gateway) = stage(|url| {
        let mut vertex = keyed(url);
        vertex["keys"][0]["vertex_key_config"] = json!({"project_id": "p1", "region": "europe-west4"});
        json!({"vertex": vertex})
    });
    let asked = json!({"model": "vertex/text-embedding-005", "input": ["a", "b"], "dimensions": 2});
    let told = gateway.ask(&Request::json("/v1/embeddings", &asked));
    assert_eq!(told.status(), 200, "{}", told.text());
    assert_eq!(told.json()["data"][0]["embedding"], json!([0.25, 1.0]));
    assert_eq!(told.json()["usage"]["prompt_tokens"], 7);
    let hit = upstream.hits().pop().unwrap();
    let models = "/v1/projects/p1/locations/europe-west4/publishers/google/models";
    assert_eq!(hit.path, format!("{models}/text-embedding-005:predict"));
    assert_eq!(hit.header("x-goog-api-key"), Some("held-here"));
    assert_eq!(
        hit.json,
        json!({"instances": [{"content": "a"}, {"content": "b"}], "parameters": {"outputDimensionality": 2}})
    );

    let batch = json!({"requests": [{"content": {"parts": [{"text": "a"}]}}, {"content": {"parts": [{"text": "b"}]}}]});
    let path = "/genai/v1beta/models/vertex/text-embedding-005:batchEmbedContents";
    let told = gateway.ask(&Request::json(path, &batch));
    assert_eq!(told.json()["embeddings"][1]["values"], json!([0.5]), "{}", told.text());

    let one = json!({"model": "vertex/gemini-embedding-2", "input": "a"});
    let told = gateway.ask(&Request::json("/v1/embeddings", &one));
    assert_eq!(told.json()["data"][0]["embedding"], json!([0.75]), "{}", told.text());
    assert_eq!(upstream.hits().pop().unwrap().path, format!("{models}/gemini-embedding-2:embedContent"));
    let many = json!({"model": "vertex/gemini-embedding-2", "input": ["a", "b"]});
    let told = gateway.ask(&Request::json("/v1/embeddings", &many));
    assert_eq!(told.status(), 400);
    assert!(told.text().contains("one by one"), "{}", told.text());
}

#[test]
fn headers_of_an_account_go_with_every_call() {
    let (upstream, gateway) = stage(|url| {
        let mut hf = keyed(url);
        hf["network_config"]["extra_headers"] = json!({"X-HF-Bill-To": "acme"});
        json!({"huggingface": hf})
    });
    let chat = json!({"model": "huggingface/a/b:fastest", "messages": [{"role": "user", "content": "Hi"}]});
    gateway.ask(&Request::json("/v1/chat/completions", &chat));
    gateway.get("/huggingface_passthrough/v1/models");
    let hits = upstream.hits();
    assert_eq!(hits.len(), 2);
    assert!(hits.iter().all(|hit| hit.header("x-hf-bill-to") == Some("acme")));
    assert_eq!((hits[0].model(), hits[1].path.as_str()), ("a/b:fastest", "/v1/models"));
}

#[test]
fn mistral_on_vertex_is_asked_for_raw_predictions_in_its_own_words() {
    let (upstream, gateway) = stage(|url| {
        let mut vertex = keyed(url);
        vertex["keys"][0]["vertex_key_config"] = json!({"project_id": "p1", "region": "us-central1"});
        json!({"vertex": vertex})
    });
    let place = "/v1/projects/p1/locations/us-central1";
    let raw = format!("{place}/publishers/mistralai/models/mistral-small-2503:rawPredict");
    let streamed = format!("{place}/publishers/mistralai/models/mistral-small-2503:streamRawPredict");
    let open = format!("{place}/endpoints/openapi/chat/completions");
    for (model, stream, path) in [
        ("mistral-small-2503", false, &raw),
        ("mistralai/mistral-small-2503", false, &raw),
        ("mistral-small-2503", true, &streamed),
        ("meta/llama-4-maverick-17b-128e-instruct-maas", false, &open),
        ("xai/grok-4.1-fast-reasoning", false, &open),
    ] {
        let asked = json!({"model": format!("vertex/{model}"), "stream": stream, "seed": 7, "max_tokens": 9,
            "messages": [{"role": "user", "content": "Hi"}]});
        let told = gateway.ask(&Request::json("/v1/chat/completions", &asked));
        assert_eq!(told.status(), 200, "{model}: {}", told.text());
        let hit = upstream.hits().pop().unwrap();
        assert_eq!((&hit.path, hit.model()), (path, model));
        let seed = if path == &open { "seed" } else { "random_seed" };
        assert_eq!(hit.json[seed], 7, "{model}");
    }
    let anthropic = json!({"model": "vertex/mistral-small-2503", "max_tokens": 5,
        "messages": [{"role": "user", "content": "Hi"}]});
    let told = gateway.ask(&Request::json("/anthropic/v1/messages", &anthropic)).json();
    assert_eq!(told["content"][0]["text"], WORDS.concat(), "{told}");
}

#[test]
fn an_endpoint_of_sagemaker_gets_chat_with_a_token_and_everything_else_signed() {
    let (upstream, gateway) = stage(|url| {
        let key = json!({"access_key": "AKIDUS", "secret_key": "our-secret", "region": "us-west-2"});
        let account = json!({"keys": [{"name": "main", "bedrock_key_config": key}],
            "network_config": {"base_url": url, "max_retries": 0}});
        let mut component = account.clone();
        component["custom_provider_config"] = json!({"base_provider_type": "sagemaker",
            "request_path_overrides": {"chat_completion":
                "/endpoints/many/inference-components/{model}/openai/v1/chat/completions"}});
        json!({"sagemaker": account, "components": component})
    });
    let message = [json!({"role": "user", "content": "Hi"})];
    for (provider, path) in [
        ("sagemaker", "/endpoints/qwen-1/openai/v1/chat/completions"),
        ("components", "/endpoints/many/inference-components/qwen-1/openai/v1/chat/completions"),
    ] {
        let asked = json!({"model": format!("{provider}/qwen-1"), "messages": message, "store": true});
        let told = gateway.ask(&Request::json("/v1/chat/completions", &asked));
        assert_eq!(told.status(), 200, "{}", told.text());
        assert_eq!(told.json()["choices"][0]["message"]["content"], WORDS.concat());
        let hit = upstream.hits().pop().unwrap();
        assert_eq!((hit.path.as_str(), hit.model()), (path, ""));
        assert!(hit.json.get("store").is_none());
        assert!(hit.header("authorization").unwrap().starts_with("Bearer sagemaker-api-key-"));
        assert!(hit.header("x-amz-date").is_none());
    }
    gateway.ask(&Request::post("/sagemaker_passthrough/endpoints/own/invocations", "{}"));
    let hit = upstream.hits().pop().unwrap();
    assert_eq!(hit.path, "/endpoints/own/invocations");
    let signature = hit.header("authorization").unwrap();
    assert!(signature.contains("/us-west-2/sagemaker/aws4_request"), "{signature}");
}

#[test]
fn copilot_is_asked_with_the_token_given_and_in_nobodys_name() {
    let (upstream, gateway) = stage(|url| json!({"github_copilot": keyed(url)}));
    let message = [json!({"role": "user", "content": "Hi"})];
    let asked = json!({"model": "copilot/gpt-4.1", "messages": message});
    let told = gateway.ask(&Request::json("/v1/chat/completions", &asked));
    assert_eq!(told.status(), 200, "{}", told.text());
    let hit = upstream.hits().pop().unwrap();
    assert_eq!(
        (hit.path.as_str(), hit.header("authorization")),
        ("/chat/completions", Some("Bearer held-here"))
    );
    for name in ["editor-version", "copilot-integration-id", "editor-plugin-version"] {
        assert_eq!(hit.header(name), None);
    }
    gateway.ask(&Request::json("/v1/responses", &json!({"model": "copilot/gpt-5-codex", "input": "Hi"})));
    let claude = json!({"model": "copilot/claude-sonnet-4.5", "max_tokens": 5, "messages": message});
    gateway.ask(&Request::json("/anthropic/v1/messages", &claude));
    let paths: Vec<String> = upstream.hits().into_iter().map(|hit| hit.path).collect();
    assert_eq!(paths, ["/chat/completions", "/responses", "/v1/messages"]);
}
