//! What is kept, for whom, for how long, and what is told of it.

use serde_json::json;

use super::{asked, debug, of, stage, stage_of, word};
use crate::stage::{chat, streamed};
use crate::support::answers::{after_two_words, events, healthy, json_answer, open_stream};
use crate::support::client::Request;
use crate::support::gateway::write_config;
use crate::support::until;
use crate::support::upstream::Act;

use std::time::Duration;

#[test]
fn the_same_request_is_answered_once_and_told_so() {
    let (upstream, gateway) = stage(json!({}));
    let first = gateway.ask(&asked("user-123"));
    assert_eq!((word(&first), &debug(&first)["cache_hit"]), ("miss", &json!(false)));
    let second = gateway.ask(&asked("user-123"));
    assert_eq!(word(&second), "hit");
    let told = debug(&second);
    assert_eq!((&told["cache_hit"], &told["hit_type"]), (&json!(true), &json!("direct")), "{told}");
    assert!(told["cache_id"].as_str().is_some_and(|id| id.len() == 32), "{told}");
    assert!(told["age_seconds"].is_u64() && told["saved_ms"].is_u64(), "{told}");
    let (one, two) = (first.json(), second.json());
    let (said, again) = (&one["choices"][0], &two["choices"][0]);
    assert_eq!(said["message"]["content"], again["message"]["content"]);
    assert_eq!(said["finish_reason"], again["finish_reason"]);
    assert_eq!(one["usage"]["total_tokens"], two["usage"]["total_tokens"]);
    assert_ne!(one["id"], two["id"], "each answer has an id of its own");
    assert_eq!(two["extra_fields"]["provider"], "oa");
    assert_eq!(upstream.hits().len(), 1);
    let line = gateway.request_line(second.header("x-request-id").unwrap());
    assert_eq!((&line["cache_hit"], &line["cost"]), (&json!(true), &json!(0)), "{line}");
    assert_eq!((&line["provider"], &line["model"]), (&json!("oa"), &json!("m")), "{line}");
    assert_eq!(line["cache"]["type"], "direct", "{line}");
    assert_eq!(gateway.metric("bifrost_cache_hits_total", &[("type", "direct")]), 1.0);
    assert_eq!(gateway.metric("bifrost_cache_misses_total", &[]), 1.0);
    assert_eq!(gateway.metric("bifrost_requests_total", &[]), 1.0);
}

#[test]
fn another_key_another_question_and_no_key_are_not_the_same() {
    let (upstream, gateway) = stage(json!({}));
    word(&gateway.ask(&asked("a")));
    assert_eq!(word(&gateway.ask(&asked("b"))), "miss");
    let mut other = chat("oa/m");
    other["messages"][0]["content"] = json!("What is the ANSWER?");
    assert_eq!(word(&gateway.ask(&of("a", &other))), "miss", "nothing is lower-cased");
    let bare = gateway.ask(&Request::json("/v1/chat/completions", &chat("oa/m")));
    assert_eq!((word(&bare), debug(&bare)), ("none", json!(null)));
    assert_eq!(upstream.hits().len(), 4);
}

#[test]
fn two_tenants_with_the_same_key_never_share() {
    let value = |name: &str| format!("sk-bf-{name:x<32}");
    let keys = json!({"governance": {
        "auth_config": {"is_enabled": false},
        "virtual_keys": [
            {"id": "one", "name": "one", "value": value("one")}, {"id": "two", "name": "two", "value": value("two")},
        ],
    }});
    let (upstream, gateway) = stage_of(healthy, json!({}), keys);
    let ask = |key: Option<&str>| {
        let request = asked("shared");
        gateway.ask(&match key {
            Some(key) => request.header("x-bf-vk", &value(key)),
            None => request,
        })
    };
    for (key, told) in [(Some("one"), "miss"), (Some("two"), "miss"), (None, "miss")] {
        assert_eq!(word(&ask(key)), told, "{key:?}");
    }
    for key in [Some("one"), Some("two"), None] {
        assert_eq!(word(&ask(key)), "hit", "{key:?}");
    }
    assert_eq!(upstream.hits().len(), 3);
}

#[test]
fn hits_count_for_limits_of_requests_and_cost_nothing() {
    let value = "sk-bf-onexxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
    let keys = json!({"governance": {
        "auth_config": {"is_enabled": false},
        "virtual_keys": [{"id": "one", "name": "one", "value": value, "rate_limit": {
            "request_max_limit": 3, "request_reset_duration": "1h",
            "token_max_limit": 1_000_000, "token_reset_duration": "1h",
        }}],
    }});
    let (upstream, gateway) = stage_of(healthy, json!({}), keys);
    let ask = || gateway.ask(&asked("k").header("x-bf-vk", value));
    let told: Vec<String> = (0..3).map(|_| word(&ask()).to_owned()).collect();
    assert_eq!(told, ["miss", "hit", "hit"]);
    let refused = ask();
    assert_eq!(refused.status(), 429, "{}", refused.text());
    assert_eq!(upstream.hits().len(), 1);
}

#[test]
fn no_store_looks_and_keeps_nothing() {
    let (upstream, gateway) = stage(json!({}));
    let no_store = || asked("k").header("x-bf-cache-no-store", "true");
    assert_eq!(word(&gateway.ask(&no_store())), "miss");
    assert_eq!(word(&gateway.ask(&asked("k"))), "miss");
    // Kept, and in memory: what asks so waits for nothing.
    assert_eq!(word(&gateway.ask(&asked("k"))), "hit");
    until("memory to have it", || (word(&gateway.ask(&no_store())) == "hit").then_some(()));
    assert!(upstream.hits().len() >= 2);
}

#[test]
fn an_answer_is_over_when_its_time_is() {
    let (_upstream, gateway) = stage(json!({}));
    let short = || asked("k").header("x-bf-cache-ttl", "300ms");
    assert_eq!(word(&gateway.ask(&short())), "miss");
    until("the answer to be over", || (word(&gateway.ask(&asked("k"))) == "miss").then_some(()));
    let wrong = gateway.ask(&asked("k").header("x-bf-cache-ttl", "soon"));
    assert_eq!((wrong.status(), &wrong.json()["error"]["param"]), (400, &json!("x-bf-cache-ttl")));
}

#[test]
fn what_was_cut_refused_or_failed_is_never_kept() {
    let (upstream, gateway) = stage_of(
        |hit| match hit.nth {
            // Two words, then the connection ends.
            1 => {
                let all = events(hit.wire(), hit.model());
                let mut script = open_stream(&all[..after_two_words(hit.wire())], Duration::ZERO);
                script.push(Act::Close);
                script
            }
            2 => json_answer(
                200,
                &[],
                &json!({"id": "c", "object": "chat.completion", "created": 1, "model": "m",
                "choices": [{"index": 0, "message": {"role": "assistant", "content": "half"},
                "finish_reason": "content_filter"}]}),
            ),
            _ => healthy(hit),
        },
        json!({}),
        json!({"streaming": {"recovery": "error"}}),
    );
    let cut = gateway.ask(&of("k", &streamed("oa/m")));
    assert!(!cut.text().contains("[DONE]") || cut.text().contains("error"), "{}", cut.text());
    assert_eq!(word(&gateway.ask(&asked("k"))), "miss");
    assert_eq!(word(&gateway.ask(&asked("k"))), "miss");
    assert_eq!(word(&gateway.ask(&asked("k"))), "hit");
    assert_eq!(upstream.hits().len(), 3);
}

#[test]
fn a_caller_that_leaves_alone_ends_its_call_and_nothing_is_kept() {
    let (upstream, gateway) = stage_of(
        |hit| match hit.nth {
            1 => {
                let all = events(hit.wire(), hit.model());
                let mut script = open_stream(&all[..after_two_words(hit.wire())], Duration::ZERO);
                script.push(Act::Hold);
                script
            }
            _ => healthy(hit),
        },
        json!({}),
        json!({}),
    );
    let mut caller = gateway.connect();
    caller.send(&of("k", &streamed("oa/m"))).unwrap();
    caller.read_head().unwrap();
    caller.read_until("answer");
    drop(caller);
    upstream.wait_for("the gateway to leave", |hits| hits.first()?.left);
    assert_eq!(word(&gateway.ask(&asked("k"))), "miss");
    assert_eq!(upstream.hits().len(), 2);
}

#[test]
fn a_reload_switches_the_cache_off_and_on() {
    let (upstream, gateway) = stage(json!({}));
    word(&gateway.ask(&asked("k")));
    assert_eq!(word(&gateway.ask(&asked("k"))), "hit");
    let config = |enabled: bool| {
        json!({"providers": crate::stage::providers(&upstream), "vector_store": {"enabled": false},
            "plugins": [{"name": "semantic_cache", "enabled": enabled, "config": {"default_cache_key": "all"}}]})
    };
    write_config(gateway.folder.path(), &config(false));
    gateway.signal(1);
    until("the plugin to be off", || (word(&gateway.ask(&asked("k"))) == "none").then_some(()));
    write_config(gateway.folder.path(), &config(true));
    gateway.signal(1);
    let bare = || Request::json("/v1/chat/completions", &chat("oa/m"));
    until("the plugin to be on", || (word(&gateway.ask(&bare())) != "none").then_some(()));
    assert_eq!(word(&gateway.ask(&bare())), "hit");
}

#[test]
fn a_cache_that_is_watched_first_gives_nothing_and_says_what_it_would() {
    let (upstream, gateway) = stage(json!({"shadow": true}));
    word(&gateway.ask(&asked("k")));
    let second = gateway.ask(&asked("k"));
    let told = debug(&second);
    assert_eq!((word(&second), &told["cache_hit"], &told["shadow"]), ("miss", &json!(false), &json!(true)));
    assert_eq!(told["hit_type"], "direct", "{told}");
    assert_eq!(upstream.hits().len(), 2);
    assert_eq!(gateway.metric("bifrost_cache_shadow_hits_total", &[("type", "direct")]), 1.0);
}

#[test]
fn embeddings_are_given_again_in_their_own_format() {
    let (upstream, gateway) = stage_of(
        |hit| {
            json_answer(
                200,
                &[],
                &json!({"object": "list", "model": hit.model(), "usage": {"prompt_tokens": 3, "total_tokens": 3},
                "data": [{"object": "embedding", "index": 0, "embedding": [0.25, -0.5]}]}),
            )
        },
        json!({}),
        json!({}),
    );
    let ask = |input: &str| {
        let body = json!({"model": "oa/e", "input": input});
        gateway.ask(&Request::json("/v1/embeddings", &body).header("x-bf-cache-key", "k"))
    };
    let (first, second) = (ask("a"), ask("a"));
    assert_eq!((word(&first), word(&second)), ("miss", "hit"));
    assert_eq!(first.json()["data"], second.json()["data"]);
    assert_eq!(debug(&second)["cache_hit"], true);
    assert_eq!(word(&ask("A")), "miss");
    assert_eq!(upstream.hits().len(), 2);
}
