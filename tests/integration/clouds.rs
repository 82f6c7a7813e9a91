//! Claude and others as clouds host them: betas, bodies of other families, files by URL, reranking.

use serde_json::{Value, json};
use translate::frame::{write_chunk, write_exception};

use crate::stage::{message, provider};
use crate::support::Wire;
use crate::support::answers::{WORDS, head, json_answer, raw_answer, whole};
use crate::support::client::Request;
use crate::support::gateway::Gateway;
use crate::support::upstream::{Act, Hit, Upstream};

const SONNET: &str = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";
const PNG: [u8; 8] = [0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a];

/// Answers as the service of each path does.
fn cloud(hit: &Hit) -> Vec<Act> {
    let path = hit.path.as_str();
    if path.contains("/converse") {
        let message = json!({"role": "assistant", "content": [{"text": WORDS.concat()}]});
        let usage = json!({"inputTokens": 3, "outputTokens": 4, "totalTokens": 7});
        let body = json!({"output": {"message": message}, "stopReason": "end_turn", "usage": usage});
        return json_answer(200, &[], &body);
    }
    if path.ends_with("/rerank") {
        let results = json!([{"index": 1, "relevanceScore": 0.9}, {"index": 0, "relevanceScore": 0.1}]);
        return json_answer(200, &[], &json!({"results": results}));
    }
    if path.ends_with(".png") {
        return raw_answer(200, "image/png", &[], &PNG);
    }
    if path.contains("titan") || path.contains("llama") || path.contains("nova") {
        return invoked(path);
    }
    json_answer(200, &[], &whole(Wire::Anthropic, "claude"))
}

/// A model's own words, with the counts where each kind of answer has them.
fn invoked(path: &str) -> Vec<Act> {
    if path.contains("busy") {
        let mut bytes = Vec::new();
        write_exception(&mut bytes, "throttlingException", br#"{"message":"slow down"}"#);
        return streamed(&bytes);
    }
    if path.contains("missing") {
        let told = [("x-amzn-errortype", "ValidationException:http://x")];
        return json_answer(400, &told, &json!({"message": "Malformed input request"}));
    }
    if path.ends_with("-stream") {
        return streamed(&events());
    }
    let counts = [("x-amzn-bedrock-input-token-count", "5"), ("x-amzn-bedrock-output-token-count", "2")];
    raw_answer(200, "application/json", &counts, br#"{ "embedding" : [0.5],"inputTextTokenCount":5 }"#)
}

fn events() -> Vec<u8> {
    let mut bytes = Vec::new();
    write_chunk(&mut bytes, br#"{"generation":"Hi"}"#);
    write_chunk(
        &mut bytes,
        br#"{"generation":"","amazon-bedrock-invocationMetrics":{"inputTokenCount":8,"outputTokenCount":6}}"#,
    );
    bytes
}

fn streamed(bytes: &[u8]) -> Vec<Act> {
    let length = bytes.len().to_string();
    let kind = ("content-type", "application/vnd.amazon.eventstream");
    let head = head(200, &[kind, ("content-length", length.as_str())]);
    vec![Act::Send(head), Act::Send(bytes.to_vec())]
}

fn at(url: &str) -> Value {
    json!({
        "keys": [{"name": "main", "value": "cloud-key"}],
        "network_config": {"base_url": url, "max_retries": 0},
    })
}

fn stage() -> (Upstream, Gateway) {
    let upstream = Upstream::start(cloud);
    let mut far = at(&upstream.url());
    far["custom_provider_config"] = json!({"base_provider_type": "bedrock"});
    let gateway = Gateway::start(&json!({
        "providers": {
            "an": provider(Wire::Anthropic, &upstream.url()),
            "azure": at(&upstream.url()),
            "bedrock": at(&upstream.url()),
            "far": far,
            "oa": provider(Wire::OpenAi, &upstream.url()),
            "vertex": at(&upstream.url()),
        },
        "client": {"fetch_private_addresses": true},
    }));
    (upstream, gateway)
}

fn claude(model: &str) -> Value {
    json!({"model": model, "max_tokens": 9, "messages": [{"role": "user", "content": "What?"}]})
}

/// What Claude Code names on every call, and one more in the body.
const BETAS: &str = "claude-code-20250219, interleaved-thinking-2025-05-14,context-management-2025-06-27";

fn last(upstream: &Upstream) -> Hit {
    upstream.hits().pop().unwrap()
}

#[test]
fn betas_of_header_and_body_reach_each_host_of_claude_in_its_own_place() {
    let (upstream, gateway) = stage();
    let taken = ["interleaved-thinking-2025-05-14", "context-management-2025-06-27", "compact-2026-01-12"];
    let ask = |model: &str| {
        let mut body = claude(model);
        body["anthropic_beta"] = json!(["compact-2026-01-12"]);
        let answer = gateway.ask(&Request::json("/v1/messages", &body).header("anthropic-beta", BETAS));
        assert_eq!(answer.status(), 200, "{model}: {}", answer.text());
        (last(&upstream), answer.header("x-bf-losses").map(str::to_owned))
    };
    let all = format!("claude-code-20250219,{}", taken.join(","));
    for model in ["an/claude-opus-4-6", "azure/claude-opus-4-6"] {
        let (hit, losses) = ask(model);
        assert_eq!((hit.header("anthropic-beta"), losses), (Some(all.as_str()), None), "{model}");
        assert!(hit.json.get("anthropic_beta").is_none());
    }
    let (hit, losses) = ask("vertex/claude-sonnet-4-5@20250929");
    assert!(hit.path.ends_with(":rawPredict"), "{}", hit.path);
    assert_eq!(hit.header("anthropic-beta"), Some(taken.join(",").as_str()));
    assert_eq!(losses.as_deref(), Some("anthropic_beta"));
    assert!(hit.json.get("anthropic_beta").is_none());
    let (hit, losses) = ask(&format!("bedrock/{SONNET}"));
    assert!(hit.path.ends_with("/invoke"), "{}", hit.path);
    assert_eq!(hit.json["anthropic_beta"], json!(taken));
    assert_eq!((hit.header("anthropic-beta"), losses.as_deref()), (None, Some("anthropic_beta")));
}

#[test]
fn fields_went_to_clouds_that_were_not_told_their_betas() {
    let (upstream, gateway) = stage();
    let ask = |model: &str| {
        let mut body = claude(model);
        body["context_management"] = json!({"edits": []});
        body["output_format"] = json!({"type": "json_schema", "schema": {"type": "object"}});
        body["speed"] = json!("fast");
        body["tools"] = json!([{"name": "f", "input_schema": {"type": "object"}, "strict": true}]);
        let names = "context-management-2025-06-27,structured-outputs-2025-11-13,fast-mode-2026-02-01";
        let answer = gateway.ask(&Request::json("/v1/messages", &body).header("anthropic-beta", names));
        assert_eq!(answer.status(), 200, "{model}: {}", answer.text());
        let sent = last(&upstream).json;
        ["context_management", "output_format", "speed"].map(|field| sent.get(field).is_some()).to_vec()
    };
    assert_eq!(ask("an/claude-opus-4-6"), [true, true, true]);
    assert_eq!(ask("azure/claude-opus-4-6"), [true, true, false]);
    assert_eq!(ask("vertex/claude-sonnet-4-5@20250929"), [true, false, false]);
    assert!(last(&upstream).json["tools"][0].get("strict").is_none());
    assert_eq!(ask(&format!("bedrock/{SONNET}")), [true, true, false]);
    assert_eq!(last(&upstream).json["tools"][0]["strict"], json!(true));
    let strict = json!({"name": "f", "parameters": {"type": "object"}, "strict": true});
    let mut chat = claude("vertex/claude-sonnet-4-5@20250929");
    chat["tools"] = json!([{"type": "function", "function": strict}]);
    let answer = gateway.ask(&Request::json("/v1/chat/completions", &chat));
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let sent = last(&upstream).json;
    assert_eq!((&sent["tools"][0]["name"], sent["tools"][0].get("strict")), (&json!("f"), None));
}

#[test]
fn callers_of_other_dialects_name_betas_too() {
    let (upstream, gateway) = stage();
    let ask = |path: &str, mut body: Value, parent: &str| {
        body[parent] = json!({"anthropic_beta": ["compact-2026-01-12"]});
        let request = Request::json(path, &body).header("anthropic-beta", "context-management-2025-06-27");
        let answer = gateway.ask(&request);
        assert_eq!(answer.status(), 200, "{path}: {}", answer.text());
        assert_eq!(answer.header("x-bf-losses"), None);
        last(&upstream)
    };
    let both = ["context-management-2025-06-27", "compact-2026-01-12"];
    let chat = "/v1/chat/completions";
    let hit = ask(chat, claude(&format!("bedrock/{SONNET}")), "extra_params");
    assert!(hit.path.ends_with("/converse"), "{}", hit.path);
    assert_eq!(hit.json["additionalModelRequestFields"]["anthropic_beta"], json!(both));
    assert!(hit.json.get("anthropic_beta").is_none());
    let hit = ask(chat, claude("an/claude-opus-4-6"), "extra_params");
    assert_eq!(hit.header("anthropic-beta"), Some(both.join(",").as_str()));
    assert!(hit.json.get("anthropic_beta").is_none() && hit.json.get("extra_params").is_none());
    let converse = json!({"messages": [{"role": "user", "content": [{"text": "What?"}]}]});
    let hit = ask("/bedrock/model/an%2Fclaude-opus-4-6/converse", converse, "additionalModelRequestFields");
    assert_eq!(hit.header("anthropic-beta"), Some(both.join(",").as_str()));
}

#[test]
fn a_service_that_knows_no_betas_gets_the_header_only_when_it_is_forced() {
    let (upstream, gateway) = stage();
    let ask = |model: &str, header: &str| {
        let request = Request::json("/v1/chat/completions", &claude(model)).header(header, "a-1");
        gateway.ask(&request);
        last(&upstream).header("anthropic-beta").map(str::to_owned)
    };
    assert_eq!(ask("oa/gpt-4o", "anthropic-beta"), None);
    assert_eq!(ask("oa/gpt-4o", "x-bf-eh-anthropic-beta").as_deref(), Some("a-1"));
    assert_eq!(ask("an/claude-opus-4-6", "x-bf-eh-anthropic-beta").as_deref(), Some("a-1"));
    assert_eq!(ask(&format!("bedrock/{SONNET}"), "x-bf-eh-anthropic-beta"), None);
}

#[test]
fn a_relay_to_the_api_itself_keeps_the_body_to_the_byte() {
    let (upstream, gateway) = stage();
    let body = r#"{ "model":"claude-opus-4-6",  "max_tokens":9,"messages":[{"role":"user","content":"a"}] }"#;
    let request = Request::post("/v1/messages", body.replace("claude-opus", "an/claude-opus"));
    let answer =
        gateway.ask(&request.header("content-type", "application/json").header("anthropic-beta", BETAS));
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let hit = last(&upstream);
    assert_eq!(String::from_utf8(hit.body.clone()).unwrap(), body);
    assert_eq!(hit.header("anthropic-beta"), Some(BETAS.replace(' ', "").as_str()));
}

#[test]
fn bodies_of_other_families_are_carried_as_they_are_and_their_tokens_counted() {
    let (upstream, gateway) = stage();
    let body = r#"{ "inputText":"x",  "dimensions":256 }"#;
    let request = Request::post("/bedrock/model/amazon.titan-embed-text-v2%3A0/invoke", body)
        .header("x-amzn-bedrock-guardrailidentifier", "g-1")
        .header("authorization", "AWS4-HMAC-SHA256 Credential=callers-own")
        .header("x-request-id", "whole");
    let answer = gateway.ask(&request);
    assert_eq!((answer.status(), answer.header("content-type")), (200, Some("application/json")));
    assert_eq!(answer.text(), r#"{ "embedding" : [0.5],"inputTextTokenCount":5 }"#);
    assert_eq!(answer.header("x-amzn-bedrock-input-token-count"), Some("5"));
    let hit = last(&upstream);
    assert_eq!(hit.path, "/model/amazon.titan-embed-text-v2%3A0/invoke");
    assert_eq!(String::from_utf8(hit.body.clone()).unwrap(), body);
    assert_eq!(hit.header("authorization"), Some("Bearer cloud-key"));
    assert_eq!(hit.header("x-amzn-bedrock-guardrailidentifier"), Some("g-1"));
    let line = gateway.request_line("whole");
    assert_eq!((&line["input_tokens"], &line["output_tokens"]), (&json!(5), &json!(2)), "{line}");

    let path = "/bedrock/model/meta.llama3-70b-instruct-v1%3A0/invoke-with-response-stream";
    let answer = gateway.ask(&Request::post(path, r#"{"prompt":"x"}"#).header("x-request-id", "stream"));
    assert_eq!(answer.header("content-type"), Some("application/vnd.amazon.eventstream"));
    assert_eq!(answer.body, events());
    let line = gateway.request_line("stream");
    assert_eq!((&line["input_tokens"], &line["output_tokens"]), (&json!(8), &json!(6)), "{line}");
}

#[test]
fn bodies_that_look_like_a_chat_are_carried_as_they_are_too() {
    let (upstream, gateway) = stage();
    let path = "/bedrock/model/us.amazon.nova-lite-v1%3A0/invoke";
    for body in [
        r#"{"schemaVersion":"messages-v1", "messages":[{"role":"user","content":[{"text":"x"}]}]}"#,
        r#"{"messages":[{"role":"user","content":"x"}],"max_tokens":9,"stream":true}"#,
        r#"{"messages":"no list","max_tokens":9}"#,
    ] {
        let answer = gateway.ask(&Request::post(path, body));
        assert_eq!(answer.status(), 200, "{body}: {}", answer.text());
        let hit = last(&upstream);
        assert_eq!(hit.path, "/model/us.amazon.nova-lite-v1%3A0/invoke");
        assert_eq!(String::from_utf8(hit.body.clone()).unwrap(), body);
    }
}

#[test]
fn a_body_of_another_family_falls_back_to_the_same_cloud_only() {
    let (upstream, gateway) = stage();
    let fallbacks = json!(["oa/gpt-4o", "far/meta.llama3-8b"]);
    let body = json!({"prompt": "x", "fallbacks": fallbacks});
    let path = "/bedrock/model/meta.llama-busy/invoke-with-response-stream";
    let answer = gateway.ask(&Request::json(path, &body));
    assert_eq!((answer.status(), answer.header("x-bf-provider")), (200, Some("far")), "{}", answer.text());
    assert_eq!(answer.body, events());
    let hits = upstream.hits();
    assert_eq!(hits.len(), 2, "nobody else can read the body");
    assert_eq!(String::from_utf8(hits[1].body.clone()).unwrap(), r#"{"prompt":"x"}"#);
}

#[test]
fn what_is_wrong_with_an_invoked_body_is_told_in_the_clouds_words() {
    let (upstream, gateway) = stage();
    let told = |answer: &crate::support::client::Response| {
        let kind = answer.header("x-amzn-errortype").map(str::to_owned);
        (answer.status(), kind, answer.json()["message"].as_str().unwrap_or_default().to_owned())
    };
    let elsewhere = gateway.ask(&Request::post("/bedrock/model/oa%2Fgpt-4o/invoke", r#"{"prompt":"x"}"#));
    let (status, kind, text) = told(&elsewhere);
    assert_eq!((status, kind.as_deref()), (400, Some("ValidationException")));
    assert!(text.contains("anthropic_version") && text.contains("converse"), "{text}");
    assert!(upstream.hits().is_empty());
    let refused = gateway.ask(&Request::post("/bedrock/model/meta.llama-missing/invoke", "{}"));
    let (status, kind, text) = told(&refused);
    assert_eq!((status, kind.as_deref()), (400, Some("ValidationException")));
    assert_eq!(text, "Malformed input request");
    let mut claudes = claude("");
    claudes.as_object_mut().unwrap().remove("model");
    claudes["anthropic_version"] = json!("bedrock-2023-05-31");
    let read = gateway.ask(&Request::json("/bedrock/model/an%2Fclaude-opus-4-6/invoke", &claudes));
    assert_eq!(read.json()["content"][0]["text"], WORDS.concat(), "{}", read.text());
}

#[test]
fn images_by_url_were_relayed_to_clouds_that_take_none() {
    use base64::Engine as _;
    let (upstream, gateway) = stage();
    let source = json!({"type": "url", "url": format!("{}/a.png", upstream.url())});
    for model in ["vertex/claude-sonnet-4-5@20250929".to_owned(), format!("bedrock/{SONNET}")] {
        let mut body = claude(&model);
        body["messages"][0]["content"] = json!([{"type": "image", "source": source}]);
        let answer = gateway.ask(&Request::json("/v1/messages", &body));
        assert_eq!(answer.status(), 200, "{model}: {}", answer.text());
        let sent = &last(&upstream).json["messages"][0]["content"][0]["source"];
        let data = base64::engine::general_purpose::STANDARD.encode(PNG);
        assert_eq!(*sent, json!({"type": "base64", "media_type": "image/png", "data": data}), "{model}");
    }
    let mut body = claude("an/claude-opus-4-6");
    body["messages"][0]["content"] = json!([{"type": "image", "source": source}]);
    gateway.ask(&Request::json("/v1/messages", &body));
    assert_eq!(last(&upstream).json["messages"][0]["content"][0]["source"], source);
}

#[test]
fn bedrock_reranks_for_callers_of_cohere_and_of_its_own() {
    let (upstream, gateway) = stage();
    let body =
        json!({"model": "bedrock/cohere.rerank-v3-5:0", "query": "q", "documents": ["a", "b"], "top_n": 2});
    for path in ["/v1/rerank", "/cohere/v2/rerank"] {
        let answer = gateway.ask(&Request::json(path, &body));
        assert_eq!(
            answer.json()["results"][0],
            json!({"index": 1, "relevance_score": 0.9}),
            "{}",
            answer.text()
        );
        let hit = last(&upstream);
        assert_eq!((hit.path.as_str(), hit.header("authorization")), ("/rerank", Some("Bearer cloud-key")));
        let inner = &hit.json["rerankingConfiguration"]["bedrockRerankingConfiguration"];
        let arn = "arn:aws:bedrock:us-east-1::foundation-model/cohere.rerank-v3-5:0";
        assert_eq!(inner["modelConfiguration"]["modelArn"], arn);
    }
    let own = last(&upstream).body;
    let answer = gateway.ask(&Request::post("/bedrock/rerank", own.clone()));
    assert_eq!(answer.json()["results"][0]["relevanceScore"], 0.9, "{}", answer.text());
    assert_eq!(last(&upstream).body, own);
    let nameless = gateway.ask(&Request::post("/bedrock/rerank", "{}"));
    assert_eq!((nameless.status(), nameless.header("x-amzn-errortype")), (400, Some("ValidationException")));
}

#[test]
fn the_pause_in_googles_body_is_told_to_the_caller() {
    let refusal = json!({"error": {"code": 429, "message": "Quota exceeded", "status": "RESOURCE_EXHAUSTED",
        "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "16.2s"}]}});
    let upstream = Upstream::start(move |_| json_answer(429, &[], &refusal));
    let mut gemini = at(&upstream.url());
    gemini["network_config"]["max_retries"] = json!(1);
    let gateway = Gateway::start(&json!({"providers": {"gemini": gemini}}));
    let answer = gateway.ask(&Request::json("/v1/chat/completions", &claude("gemini/gemini-2.5-flash")));
    assert_eq!((answer.status(), answer.header("retry-after")), (429, Some("17")), "{}", answer.text());
    assert!(message(&answer).contains("Quota exceeded"));
    assert_eq!(upstream.hits().len(), 1, "a pause that long is not waited for");
}
