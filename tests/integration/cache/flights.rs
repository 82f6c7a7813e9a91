//! Equal requests at once: one call, whoever leaves and whatever fails.

use std::time::Duration;

use serde_json::json;

use super::{of, stage_of, word};
use crate::stage::{chat, streamed};
use crate::support::answers::{after_two_words, chunk, end, events, healthy, open_stream, refusal};
use crate::support::client::{Connection, Request};
use crate::support::gateway::Gateway;
use crate::support::until;
use crate::support::upstream::{Act, Gate, Hit, Script};

/// A stream that stops behind two words until the gate is open, or a whole answer behind it.
fn gated(hit: &Hit, gate: &Gate) -> Script {
    if !hit.streams() {
        let mut script = vec![Act::Wait(gate.clone())];
        script.extend(healthy(hit));
        return script;
    }
    let all = events(hit.wire(), hit.model());
    let (begin, rest) = all.split_at(after_two_words(hit.wire()));
    let mut script = open_stream(begin, Duration::ZERO);
    script.push(Act::Wait(gate.clone()));
    script.extend(rest.iter().map(chunk));
    script.push(end());
    script
}

/// Waits until so many requests are under way beside the one that asks for metrics.
fn wait_for_open(gateway: &Gateway, count: usize) {
    until("all requests to be under way", || {
        let open = gateway.metric("bifrost_in_flight_requests", &[]);
        // The scrape is one, too.
        (open >= count as f64).then_some(())
    });
}

fn send(gateway: &Gateway, request: &Request) -> Connection {
    let mut connection = gateway.connect();
    connection.send(request).unwrap();
    connection
}

#[test]
fn a_thousand_equal_requests_are_one_call() {
    const CALLERS: usize = 1_000;
    let gate = Gate::shut();
    let opens = gate.clone();
    let (upstream, gateway) = stage_of(move |hit| gated(hit, &gate), json!({}), json!({}));
    let mut callers: Vec<Connection> = Vec::new();
    for at in 0..CALLERS {
        let body = if at % 2 == 0 { chat("oa/m") } else { streamed("oa/m") };
        callers.push(send(&gateway, &of("k", &body)));
    }
    wait_for_open(&gateway, CALLERS + 1);
    opens.open();
    let mut given = 0;
    for caller in &mut callers {
        let answer = caller.response().unwrap();
        assert_eq!(answer.status(), 200, "{}", answer.text());
        assert!(answer.whole && answer.text().contains("42"), "{}", answer.text());
        given += usize::from(answer.header("x-bf-cache") == Some("hit"));
    }
    assert_eq!((upstream.hits().len(), given), (1, CALLERS - 1));
    assert_eq!(gateway.metric("bifrost_cache_misses_total", &[]), 1.0);
}

#[test]
fn followers_have_the_answer_as_it_comes() {
    let gate = Gate::shut();
    let opens = gate.clone();
    let (upstream, gateway) = stage_of(move |hit| gated(hit, &gate), json!({}), json!({}));
    let mut first = send(&gateway, &of("k", &streamed("oa/m")));
    first.read_head().unwrap();
    first.read_until(" answer");
    let anthropic = json!({"model": "oa/m", "stream": true, "max_tokens": 9,
        "messages": [{"role": "user", "content": "What is the answer?"}]});
    let anthropic = Request::json("/v1/messages", &anthropic).header("x-bf-cache-key", "k");
    let mut second = send(&gateway, &anthropic);
    assert_eq!(second.read_head().unwrap().header("x-bf-cache"), Some("hit"));
    second.read_until(" answer");
    opens.open();
    first.read_until("[DONE]");
    second.read_until("message_stop");
    assert_eq!(upstream.hits().len(), 1);
}

#[test]
fn the_one_that_asks_may_leave() {
    let gate = Gate::shut();
    let opens = gate.clone();
    let (upstream, gateway) = stage_of(move |hit| gated(hit, &gate), json!({}), json!({}));
    let mut first = send(&gateway, &of("k", &streamed("oa/m")));
    first.read_head().unwrap();
    first.read_until(" answer");
    let mut second = send(&gateway, &of("k", &streamed("oa/m")));
    second.read_head().unwrap();
    second.read_until(" answer");
    let mut whole = send(&gateway, &of("k", &chat("oa/m")));
    wait_for_open(&gateway, 4);
    drop(first);
    // The gateway has seen it leave when it would have ended the call; nothing tells, so the others' end is the proof.
    opens.open();
    second.read_until("[DONE]");
    assert!(whole.response().unwrap().text().contains("The answer is 42"));
    let hits = upstream.hits();
    assert_eq!((hits.len(), hits[0].left), (1, None));
    assert_eq!(word(&gateway.ask(&of("k", &chat("oa/m")))), "hit");
}

#[test]
fn one_takes_over_from_one_that_fails() {
    const CALLERS: usize = 20;
    let gate = Gate::shut();
    let opens = gate.clone();
    let (upstream, gateway) = stage_of(
        move |hit| match hit.nth {
            // The first asks twice.
            1 | 2 => {
                let mut script = vec![Act::Wait(gate.clone())];
                script.extend(refusal(hit, 503, "overloaded_error", "at capacity", &[]));
                script
            }
            _ => healthy(hit),
        },
        json!({}),
        json!({}),
    );
    let mut callers: Vec<Connection> =
        (0..CALLERS).map(|_| send(&gateway, &of("k", &chat("oa/m")))).collect();
    wait_for_open(&gateway, CALLERS + 1);
    opens.open();
    let statuses: Vec<u16> = callers.iter_mut().map(|caller| caller.response().unwrap().status()).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), CALLERS - 1, "{statuses:?}");
    assert_eq!(upstream.hits().len(), 3);
}

#[test]
fn a_request_may_ask_for_itself() {
    let gate = Gate::shut();
    let opens = gate.clone();
    let (upstream, gateway) = stage_of(move |hit| gated(hit, &gate), json!({}), json!({}));
    let mut first = send(&gateway, &of("k", &chat("oa/m")));
    upstream.wait_for("the first call", |hits| (hits.len() == 1).then_some(()));
    let mut own = send(&gateway, &of("k", &chat("oa/m")).header("x-bf-cache-single-flight", "false"));
    upstream.wait_for("the second call", |hits| (hits.len() == 2).then_some(()));
    opens.open();
    assert_eq!((word(&first.response().unwrap()), word(&own.response().unwrap())), ("miss", "miss"));
}
