//! Two questions about Docker, as the documentation has them: the second is answered with the first one's answer.

use serde_json::{Value, json};

use crate::model;
use crate::support::answers::{healthy, json_answer};
use crate::support::client::{Request, Response};
use crate::support::gateway::Gateway;
use crate::support::until;
use crate::support::upstream::{Hit, Script, Upstream};

/// A provider of chat and of embeddings, by the real model.
fn provider(hit: &Hit) -> Script {
    match hit.path.as_str() {
        "/v1/embeddings" => json_answer(200, &[], &model::shared().answer(&hit.json)),
        _ => healthy(hit),
    }
}

fn gateway(upstream: &Upstream, plugin: Value, more: Value) -> Gateway {
    let mut settings = json!({
        "provider": "openai", "embedding_model": "text-embedding-3-small", "ttl": "5m", "threshold": 0.8,
        // A machine that does other things too must not make a miss of it.
        "lookup_timeout_in_ms": 20_000,
    });
    settings.as_object_mut().unwrap().extend(plugin.as_object().unwrap().clone());
    let mut config = json!({
        "providers": {"openai": {
            "keys": [{"name": "main", "value": "provider-key", "models": ["gpt-4o-mini"]}],
            "network_config": {"base_url": upstream.url()},
        }},
        "plugins": [{"enabled": true, "name": "semantic_cache", "config": settings}],
    });
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Gateway::start(&config)
}

fn ask(gateway: &Gateway, question: &str, headers: &[(&str, &str)]) -> Response {
    let body = json!({"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": question}]});
    let request = Request::json("/v1/chat/completions", &body).header("x-bf-cache-key", "user-123");
    let request = headers.iter().fold(request, |request, (name, value)| request.header(name, value));
    let answer = gateway.ask(&request);
    assert_eq!(answer.status(), 200, "{}", answer.text());
    answer
}

/// Waits until the answer to this question is in the cache's file.
fn wait_until_kept(gateway: &Gateway, question: &str) {
    until("the question to be in the cache's file", || {
        let files = ["bifrost-cache.db", "bifrost-cache.db-wal"].map(|name| gateway.folder.path().join(name));
        let has = |bytes: Vec<u8>| bytes.windows(question.len()).any(|window| window == question.as_bytes());
        files.iter().filter_map(|file| std::fs::read(file).ok()).any(has).then_some(())
    });
}

fn debug(answer: &Response) -> Value {
    answer.json()["extra_fields"]["cache_debug"].clone()
}

fn chats(upstream: &Upstream) -> usize {
    upstream.hits().iter().filter(|hit| hit.path.contains("chat")).count()
}

#[test]
fn a_question_that_means_the_same_is_answered_from_the_cache() {
    let upstream = Upstream::start(provider);
    let gateway = gateway(&upstream, json!({}), json!({}));
    let first = ask(&gateway, "What is Docker?", &[("x-request-id", "first-1")]);
    assert_eq!(debug(&first)["cache_hit"], false);
    wait_until_kept(&gateway, "What is Docker?");
    let second = ask(&gateway, "Explain Docker to me", &[]);
    let told = debug(&second);
    assert_eq!((&told["cache_hit"], &told["hit_type"]), (&json!(true), &json!("semantic")), "{told}");
    let similarity = told["similarity"].as_f64().unwrap();
    assert!((0.90..0.93).contains(&similarity), "{told}");
    assert!((told["threshold"].as_f64().unwrap() - 0.8).abs() < 1e-6, "{told}");
    assert_eq!(
        (&told["provider_used"], &told["model_used"]),
        (&json!("openai"), &json!("text-embedding-3-small"))
    );
    let text = |answer: &Response| answer.json()["choices"][0]["message"]["content"].clone();
    assert_eq!(text(&second), text(&first));
    assert_eq!(chats(&upstream), 1, "the second asked nobody");
    let strict = ask(&gateway, "Please explain Docker to me", &[("x-bf-cache-threshold", "0.99")]);
    assert_eq!(debug(&strict)["cache_hit"], false);
    let direct = ask(&gateway, "Can you explain Docker to me?", &[("x-bf-cache-type", "direct")]);
    assert_eq!(debug(&direct)["cache_hit"], false);
    // The embedding is a request of its own, and says whose.
    let line: Value =
        serde_json::from_str(&gateway.wait_for_log("\"parent_request_id\":\"first-1\"")).unwrap();
    assert_eq!(line["provider"], "openai");
    assert_eq!(line["model"], "text-embedding-3-small");
    assert_eq!(line["tags"]["purpose"], "embedding", "{line}");
}

#[test]
fn what_is_near_and_something_else_is_asked() {
    let upstream = Upstream::start(provider);
    let gateway = gateway(&upstream, json!({}), json!({}));
    let first = "How much ibuprofen may an adult take per day, 200 mg or more?";
    ask(&gateway, first, &[]);
    wait_until_kept(&gateway, first);
    let other = ask(&gateway, "How much ibuprofen may an adult take per day, 800 mg or more?", &[]);
    assert_eq!(debug(&other)["cache_hit"], false, "{}", debug(&other));
    assert_eq!(chats(&upstream), 2);
}

#[test]
fn a_restart_keeps_what_may_be_given_and_its_meaning() {
    let upstream = Upstream::start(provider);
    let gateway = gateway(&upstream, json!({}), json!({}));
    ask(&gateway, "What is Docker?", &[]);
    wait_until_kept(&gateway, "What is Docker?");
    let (folder, port) = (std::sync::Arc::clone(&gateway.folder), gateway.port);
    drop(gateway);
    let gateway = Gateway::launch(folder, port, &[], &[]);
    until("the kept answer to be read", || {
        let told = debug(&ask(&gateway, "Explain Docker to me", &[("x-bf-cache-no-store", "true")]));
        let direct = debug(&ask(&gateway, "What is Docker?", &[]));
        (direct["cache_hit"] == true && told["cache_hit"] == false).then_some(())
    });
    assert_eq!(debug(&ask(&gateway, "Explain Docker to me", &[]))["hit_type"], "semantic");
    assert_eq!(chats(&upstream), 2, "one that was not to be kept, and the first");
}

#[test]
fn a_model_that_is_gone_costs_hits_and_nothing_else() {
    let upstream = Upstream::start(|hit| match hit.path.as_str() {
        "/v1/embeddings" => {
            json_answer(503, &[], &json!({"error": {"message": "gone", "type": "server_error"}}))
        }
        _ => healthy(hit),
    });
    let gateway = gateway(&upstream, json!({}), json!({}));
    for question in ["What is Docker?", "Explain Docker to me", "Tell me about Docker", "Docker, what is it?"]
    {
        assert_eq!(debug(&ask(&gateway, question, &[]))["cache_hit"], false);
    }
    assert_eq!(debug(&ask(&gateway, "What is Docker?", &[]))["hit_type"], "direct");
    assert_eq!(chats(&upstream), 4);
}
