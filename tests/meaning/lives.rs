//! A gateway that is killed under load and starts again: whatever it gives is the answer to what was asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::json;

use crate::support::answers::json_answer;
use crate::support::client::{Connection, Request};
use crate::support::gateway::Gateway;
use crate::support::until;
use crate::support::upstream::{Hit, Script, Upstream};

/// Answers with what was asked, turned round.
fn turned(hit: &Hit) -> Script {
    let asked = hit.json["messages"][0]["content"].as_str().unwrap();
    let answer = json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": hit.model(),
        "choices": [{"index": 0, "finish_reason": "stop",
            "message": {"role": "assistant", "content": asked.chars().rev().collect::<String>()}}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    });
    json_answer(200, &[], &answer)
}

/// The word of the cache, where there is an answer; it is the right one.
fn ask(connection: &mut Connection, question: &str) -> Option<String> {
    let body = json!({"model": "oa/m", "messages": [{"role": "user", "content": question}]});
    let request = Request::json("/v1/chat/completions", &body).header("x-bf-cache-key", "k");
    let answer = connection.ask(&request).ok().filter(|answer| answer.whole && answer.status() == 200)?;
    let wanted: String = question.chars().rev().collect();
    assert_eq!(answer.json()["choices"][0]["message"]["content"], wanted, "to {question:?}");
    answer.header("x-bf-cache").map(str::to_owned)
}

#[test]
fn what_is_given_after_a_kill_is_never_wrong() {
    let upstream = Upstream::start(turned);
    let config = json!({
        "providers": {"oa": {
            "keys": [{"name": "main", "value": "provider-key"}],
            "custom_provider_config": {"base_provider_type": "openai"},
            "network_config": {"base_url": upstream.url()},
        }},
        "plugins": [{"name": "semantic_cache", "config": {"ttl": "1h"}}],
    });
    let mut gateway = Gateway::start(&config);
    let mut found = 0;
    for life in 0..3 {
        let (stop, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let callers: Vec<_> = (0..4)
            .map(|caller| {
                let (stop, asked, address) = (Arc::clone(&stop), Arc::clone(&asked), gateway.address());
                std::thread::spawn(move || {
                    let mut number = 0;
                    while !stop.load(Ordering::Relaxed) {
                        let Ok(mut connection) = Connection::open(address) else { continue };
                        let question = format!("question {caller} {life} {}", number % 200);
                        while ask(&mut connection, &question).is_some() && number % 7 != 6 {
                            asked.fetch_add(1, Ordering::Relaxed);
                            number += 1;
                        }
                        number += 1;
                    }
                })
            })
            .collect();
        until("some hundred answers", || (asked.load(Ordering::Relaxed) > 400).then_some(()));
        let (folder, port) = (Arc::clone(&gateway.folder), gateway.port);
        gateway.signal(9);
        gateway.wait_for_exit();
        stop.store(true, Ordering::Relaxed);
        callers.into_iter().for_each(|caller| caller.join().unwrap());
        drop(gateway);
        gateway = Gateway::launch(folder, port, &[], &[]);
        let mut connection = gateway.connect();
        for caller in 0..4 {
            for number in 0..40 {
                let word = ask(&mut connection, &format!("question {caller} {life} {number}"));
                found += usize::from(word.as_deref() == Some("hit"));
            }
        }
    }
    assert!(found > 0, "something outlives a kill");
}
