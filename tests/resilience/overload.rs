//! More requests than a provider may have open: who waits, who goes first, and who is told to come later.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::rig::{provider, request};
use crate::support::answers::{after_two_words, events, healthy, open_stream, refusal};
use crate::support::client::{Connection, Request};
use crate::support::gateway::{Gateway, write_config};
use crate::support::told::Told;
use crate::support::upstream::{Act, Gate, Hit, Script, Upstream};
use crate::support::{Wire, for_each, until};

const WIRES: [Wire; 2] = [Wire::OpenAi, Wire::Anthropic];

/// Answers when the gate is open, but to models that begin with `now` at once.
fn gated(gate: &Gate) -> impl Fn(&Hit) -> Script + Send + Sync + 'static {
    let gate = gate.clone();
    move |hit| {
        let at_once = hit.model().starts_with("now");
        let mut script = if at_once { Vec::new() } else { vec![Act::Wait(gate.clone())] };
        script.extend(healthy(hit));
        script
    }
}

/// A gateway whose provider `one` has these places, and `two` has no such limit.
fn stage(wire: Wire, upstream: &Upstream, places: Value, more: &Value) -> Gateway {
    Gateway::start(&config(wire, upstream, places, more))
}

fn config(wire: Wire, upstream: &Upstream, places: Value, more: &Value) -> Value {
    let mut one = provider(wire, &upstream.url(), &["key-a"]);
    one["network_config"]["default_request_timeout_in_seconds"] = json!(20);
    one["network_config"]["stream_idle_timeout_in_seconds"] = json!(20);
    one["network_config"]["ttft_timeout_in_seconds"] = json!(20);
    one["concurrency_and_buffer_size"] = places;
    for (field, value) in more["network"].as_object().into_iter().flatten() {
        one["network_config"][field] = value.clone();
    }
    if more["keys"].is_array() {
        one["keys"] = more["keys"].clone();
    }
    let two = provider(wire, &upstream.url(), &["key-two"]);
    let client = if more["client"].is_object() { more["client"].clone() } else { json!({}) };
    json!({"client": client, "providers": {"one": one, "two": two}})
}

fn ask(wire: Wire, model: &str) -> Request {
    let mut body = request(&format!("one/{model}"), false);
    body["fallbacks"] = json!([]);
    Request::json(wire.path(), &body)
}

/// Sends without waiting for the answer.
fn send(gateway: &Gateway, request: &Request) -> Connection {
    let mut caller = gateway.connect();
    caller.send(request).unwrap();
    caller
}

fn of_provider(gateway: &Gateway, name: &str) -> Value {
    let health = gateway.health();
    let mut providers = health["providers"].as_array().unwrap().iter();
    providers.find(|entry| entry["provider"] == name).cloned().unwrap_or(Value::Null)
}

fn wait_until(gateway: &Gateway, open: u64, waiting: u64) {
    until(&format!("{open} open and {waiting} waiting"), || {
        let entry = of_provider(gateway, "one");
        (entry["open_requests"] == open && entry["waiting"] == waiting).then_some(())
    });
}

fn told(wire: Wire, mut caller: Connection) -> Told {
    let asked_at = Instant::now();
    Told::new(wire, caller.response().unwrap(), asked_at)
}

#[test]
fn requests_beyond_the_limit_wait_and_all_are_answered() {
    for_each(&WIRES, |wire| {
        let gate = Gate::shut();
        let upstream = Upstream::start(gated(&gate));
        let gateway = stage(wire, &upstream, json!({"concurrency": 1}), &json!({}));
        let mut callers = Vec::new();
        for nth in 0..4 {
            callers.push(send(&gateway, &ask(wire, &format!("m-{nth}"))));
            wait_until(&gateway, 1, nth);
        }
        let asked = upstream.wait_for("the first", |hits| (!hits.is_empty()).then_some(hits.len()));
        assert_eq!(asked, 1, "asked beyond the limit");
        assert_eq!(gateway.metric("bifrost_queue_depth", &[("provider", "one")]), 3.0);
        assert_eq!(gateway.metric("bifrost_open_requests", &[("provider", "one")]), 1.0);
        gate.open();
        for (nth, caller) in callers.into_iter().enumerate() {
            let answer = told(wire, caller);
            assert_eq!(answer.status(), 200);
            let line = gateway.request_line(answer.id());
            assert_eq!(line["queued_ms"].is_u64(), nth > 0, "{line}");
        }
        let order: Vec<String> = upstream.hits().iter().map(|hit| hit.model().to_owned()).collect();
        assert_eq!(order, ["m-0", "m-1", "m-2", "m-3"]);
        wait_until(&gateway, 0, 0);
        let waits = gateway.metric("bifrost_queue_wait_seconds_count", &[("provider", "one")]);
        assert_eq!((waits, gateway.metric("bifrost_queue_depth", &[("provider", "one")])), (3.0, 0.0));
    });
}

#[test]
fn a_request_of_high_priority_goes_before_others_and_one_of_low_after() {
    for_each(&[("high", 4), ("normal", 3)], |(highest, second)| {
        let gate = Gate::shut();
        let upstream = Upstream::start(gated(&gate));
        let more = json!({"client": {"highest_priority": highest}});
        let gateway = stage(Wire::OpenAi, &upstream, json!({"concurrency": 1}), &more);
        let mut callers = vec![send(&gateway, &ask(Wire::OpenAi, "m-0"))];
        wait_until(&gateway, 1, 0);
        for (nth, priority) in [(1, "low"), (2, "low"), (3, "normal"), (4, "high")] {
            let asked = ask(Wire::OpenAi, &format!("m-{nth}")).header("x-bf-priority", priority);
            callers.push(send(&gateway, &asked));
            wait_until(&gateway, 1, nth);
        }
        gate.open();
        for caller in callers {
            assert_eq!(told(Wire::OpenAi, caller).status(), 200);
        }
        let order: Vec<String> = upstream.hits().iter().map(|hit| hit.model().to_owned()).collect();
        assert_eq!(order[1], format!("m-{second}"), "{order:?}");
        assert_eq!(order[4], "m-2", "{order:?}");
    });
}

#[test]
fn a_priority_that_is_none_is_refused_in_the_callers_dialect() {
    let upstream = Upstream::start(healthy);
    for wire in WIRES {
        let gateway = stage(wire, &upstream, json!({}), &json!({}));
        let asked_at = Instant::now();
        let answer = gateway.ask(&ask(wire, "m").header("x-bf-priority", "urgent"));
        let told = Told::new(wire, answer, asked_at);
        assert_eq!(told.status(), 400);
        assert!(told.error_message().contains("x-bf-priority"), "{}", told.error_message());
    }
    assert!(upstream.hits().is_empty());
}

#[test]
fn one_caller_with_many_requests_does_not_stand_before_anothers_first() {
    let gate = Gate::shut();
    let upstream = Upstream::start(gated(&gate));
    let gateway = stage(Wire::OpenAi, &upstream, json!({"concurrency": 1}), &json!({}));
    let of = |who: &str, nth: u64| {
        let asked = ask(Wire::OpenAi, &format!("{who}-{nth}"));
        send(&gateway, &asked.header("authorization", &format!("Bearer {who}")))
    };
    let mut callers = Vec::new();
    for nth in 0..6 {
        callers.push(of("greedy", nth));
        wait_until(&gateway, 1, nth);
    }
    callers.push(of("modest", 0));
    wait_until(&gateway, 1, 6);
    gate.open();
    for caller in callers {
        assert_eq!(told(Wire::OpenAi, caller).status(), 200);
    }
    let order: Vec<String> = upstream.hits().iter().map(|hit| hit.model().to_owned()).collect();
    let turn = order.iter().position(|model| model == "modest-0").unwrap();
    assert!(turn <= 2, "{order:?}");
}

#[test]
fn without_a_queue_what_is_too_much_is_refused_at_once_with_503() {
    for_each(&WIRES, |wire| {
        let gate = Gate::shut();
        let upstream = Upstream::start(gated(&gate));
        let more = json!({"client": {"drop_excess_requests": true}});
        let gateway = stage(wire, &upstream, json!({"concurrency": 1}), &more);
        let first = send(&gateway, &ask(wire, "m"));
        wait_until(&gateway, 1, 0);
        let asked_at = Instant::now();
        let refused = Told::new(wire, gateway.ask(&ask(wire, "m")), asked_at);
        assert_eq!(refused.status(), 503, "{}", refused.response.text());
        assert!(refused.took < Duration::from_secs(2), "{:?}", refused.took);
        let wait: u64 = refused.response.header("retry-after").expect("Retry-After").parse().unwrap();
        assert!((1..=3).contains(&wait), "{wait} s");
        let error = refused.error().unwrap();
        assert!(error["message"].as_str().unwrap().contains("drop_excess_requests"), "{error}");
        if wire == Wire::Anthropic {
            assert_eq!(error["type"], "overloaded_error");
        }
        let line = gateway.request_line(refused.id());
        assert_eq!(line["error"]["type"], "overloaded", "{line}");
        let labels = [("provider", "one"), ("reason", "dropped")];
        assert_eq!(gateway.metric("bifrost_queue_refused_total", &labels), 1.0);
        gate.open();
        assert_eq!(told(wire, first).status(), 200);
        assert_eq!(upstream.hits().len(), 1);
    });
}

#[test]
fn a_full_queue_and_a_wait_that_is_too_long_are_refused_at_once() {
    for_each(&[(0, "full"), (100, "late")], |(places, reason)| {
        let gate = Gate::shut();
        let shut = gate.clone();
        let upstream = Upstream::start(move |hit| {
            let wait = if hit.model() == "slow" {
                Act::Pause(Duration::from_millis(300))
            } else {
                Act::Wait(shut.clone())
            };
            let mut script = vec![wait];
            script.extend(healthy(hit));
            script
        });
        let limits = json!({"concurrency": 1, "buffer_size": places, "max_wait_in_seconds": 0.2});
        let gateway = stage(Wire::OpenAi, &upstream, limits, &json!({}));
        // What a place is held for is known from this one.
        assert_eq!(gateway.ask(&ask(Wire::OpenAi, "slow")).status(), 200);
        // The place is given back behind the last byte of the answer.
        wait_until(&gateway, 0, 0);
        let first = send(&gateway, &ask(Wire::OpenAi, "m"));
        wait_until(&gateway, 1, 0);
        let answer = gateway.ask(&ask(Wire::OpenAi, "m"));
        assert_eq!((answer.status(), answer.header("retry-after")), (503, Some("1")), "{}", answer.text());
        let labels = [("provider", "one"), ("reason", reason)];
        assert_eq!(gateway.metric("bifrost_queue_refused_total", &labels), 1.0);
        assert_eq!(gateway.metric("bifrost_queue_wait_seconds_count", &[]), 0.0, "it waited");
        gate.open();
        assert_eq!(told(Wire::OpenAi, first).status(), 200);
    });
}

#[test]
fn who_waited_as_long_as_may_be_is_told_so_and_nothing_is_left_of_the_wait() {
    for_each(&["max_wait_in_seconds", "total_timeout_in_seconds"], |limit| {
        let gate = Gate::shut();
        let answers = gated(&gate);
        let upstream = Upstream::start(move |hit| match hit.model() {
            "none" => refusal(hit, 404, "model_not_found", "no such model", &[]),
            _ => answers(hit),
        });
        let (mut places, mut network) = (json!({"concurrency": 1}), json!({}));
        match limit {
            "max_wait_in_seconds" => places[limit] = json!(0.3),
            _ => network[limit] = json!(0.3),
        }
        let gateway = stage(Wire::Anthropic, &upstream, places, &json!({"network": network}));
        // Whose total limit is the other provider's: it has none.
        let mut body = request("two/none", false);
        body["fallbacks"] = json!(["one/m"]);
        let first = send(&gateway, &Request::json(Wire::Anthropic.path(), &body));
        wait_until(&gateway, 1, 0);
        let asked_at = Instant::now();
        let late = Told::new(Wire::Anthropic, gateway.ask(&ask(Wire::Anthropic, "late")), asked_at);
        assert_eq!(late.status(), 503, "{}", late.response.text());
        assert!(
            late.took >= Duration::from_millis(250) && late.took < Duration::from_secs(2),
            "{:?}",
            late.took
        );
        assert!(late.response.header("retry-after").is_some());
        assert!(upstream.hits_for("late").is_empty());
        let labels = [("provider", "one"), ("reason", "expired")];
        assert_eq!(gateway.metric("bifrost_queue_refused_total", &labels), 1.0);
        gate.open();
        assert_eq!(told(Wire::Anthropic, first).status(), 200);
        wait_until(&gateway, 0, 0);
    });
}

#[test]
fn a_caller_that_leaves_the_queue_is_not_waited_for_and_takes_no_turn() {
    for_each(&WIRES, |wire| {
        let gate = Gate::shut();
        let upstream = Upstream::start(gated(&gate));
        let gateway = stage(wire, &upstream, json!({"concurrency": 1}), &json!({}));
        let first = send(&gateway, &ask(wire, "first"));
        wait_until(&gateway, 1, 0);
        let leaver = send(&gateway, &ask(wire, "left").header("x-request-id", "leaver"));
        wait_until(&gateway, 1, 1);
        let last = send(&gateway, &ask(wire, "last"));
        wait_until(&gateway, 1, 2);
        drop(leaver);
        wait_until(&gateway, 1, 1);
        let line = gateway.request_line("leaver");
        assert_eq!((&line["status"], &line["error"]["type"]), (&json!(499), &json!("caller_gone")), "{line}");
        gate.open();
        assert_eq!((told(wire, first).status(), told(wire, last).status()), (200, 200));
        assert!(upstream.hits_for("left").is_empty());
        wait_until(&gateway, 0, 0);
    });
}

#[test]
fn a_caller_that_leaves_in_the_middle_of_a_stream_frees_its_place() {
    for_each(&WIRES, |wire| {
        let upstream = Upstream::start(|hit| {
            if hit.model() != "endless" {
                return healthy(hit);
            }
            let frames = events(hit.wire(), hit.model());
            let mut script = open_stream(&frames[..after_two_words(hit.wire())], Duration::ZERO);
            script.push(Act::Hold);
            script
        });
        let gateway = stage(wire, &upstream, json!({"concurrency": 1}), &json!({}));
        let mut body = request("one/endless", true);
        body["fallbacks"] = json!([]);
        let mut leaver = send(&gateway, &Request::json(wire.path(), &body));
        assert_eq!(leaver.read_head().unwrap().status, 200);
        let waiting = send(&gateway, &ask(wire, "m"));
        wait_until(&gateway, 1, 1);
        drop(leaver);
        assert_eq!(told(wire, waiting).status(), 200);
        wait_until(&gateway, 0, 0);
    });
}

#[test]
fn limits_that_a_reload_raises_let_those_in_who_wait() {
    for_each(&WIRES, |wire| {
        let gate = Gate::shut();
        let upstream = Upstream::start(gated(&gate));
        let of = |concurrency: u32| config(wire, &upstream, json!({"concurrency": concurrency}), &json!({}));
        let gateway = Gateway::start(&of(1));
        let mut callers = vec![send(&gateway, &ask(wire, "m"))];
        wait_until(&gateway, 1, 0);
        for waiting in 1..=3 {
            callers.push(send(&gateway, &ask(wire, "m")));
            wait_until(&gateway, 1, waiting);
        }
        // Nobody comes and nobody ends.
        write_config(gateway.folder.path(), &of(3));
        wait_until(&gateway, 3, 1);
        upstream.wait_for("three calls", |hits| (hits.len() == 3).then_some(()));
        gate.open();
        for caller in callers {
            assert_eq!(told(wire, caller).status(), 200);
        }
        wait_until(&gateway, 0, 0);
    });
}

#[test]
fn a_retry_gives_its_place_back_before_it_takes_one_anew() {
    let upstream = Upstream::start(|hit| match hit.nth {
        1 => refusal(hit, 500, "server_error", "once", &[]),
        _ => healthy(hit),
    });
    for wire in WIRES {
        let gateway = stage(wire, &upstream, json!({"concurrency": 1, "per_key": 1}), &json!({}));
        let answer = gateway.ask(&ask(wire, &format!("{wire:?}")));
        assert_eq!(answer.status(), 200, "{}", answer.text());
        wait_until(&gateway, 0, 0);
    }
}

#[test]
fn with_places_at_another_key_or_a_fallback_nobody_waits() {
    for_each(&WIRES, |wire| {
        let gate = Gate::shut();
        let upstream = Upstream::start(gated(&gate));
        let keys = json!([{"name": "a", "value": "key-a"}, {"name": "b", "value": "key-b"}]);
        let gateway = stage(wire, &upstream, json!({"per_key": 1}), &json!({"keys": keys}));
        let first = send(&gateway, &ask(wire, "m"));
        wait_until(&gateway, 1, 0);
        let second = send(&gateway, &ask(wire, "m"));
        wait_until(&gateway, 2, 0);
        let mut asked: Vec<String> = upstream.wait_for("two calls", |hits| {
            (hits.len() == 2).then(|| hits.iter().map(|hit| hit.key().to_owned()).collect())
        });
        asked.sort();
        assert_eq!(asked, ["key-a", "key-b"]);
        // Both keys are taken for this model, not for another.
        let other = gateway.ask(&ask(wire, "now"));
        assert_eq!(other.status(), 200);
        let mut body = request("one/m", false);
        body["fallbacks"] = json!(["two/now-backup"]);
        let asked_at = Instant::now();
        let third = Told::new(wire, gateway.ask(&Request::json(wire.path(), &body)), asked_at);
        assert_eq!((third.status(), third.response.header("x-bf-provider")), (200, Some("two")));
        let line = gateway.request_line(third.id());
        assert_eq!(line["attempts"][0]["outcome"], "overloaded", "{line}");
        // Without a fallback it waits, for whichever comes free.
        let fourth = send(&gateway, &ask(wire, "m"));
        wait_until(&gateway, 2, 1);
        gate.open();
        for caller in [first, second, fourth] {
            assert_eq!(told(wire, caller).status(), 200);
        }
    });
}

#[test]
fn passthrough_requests_have_places_too() {
    let gate = Gate::shut();
    let upstream = Upstream::start(gated(&gate));
    let gateway = stage(Wire::OpenAi, &upstream, json!({"concurrency": 1}), &json!({}));
    let first = send(&gateway, &Request::get("/one_passthrough/v1/files"));
    wait_until(&gateway, 1, 0);
    let second = send(&gateway, &ask(Wire::OpenAi, "m"));
    wait_until(&gateway, 1, 1);
    gate.open();
    assert_eq!((told(Wire::OpenAi, first).status(), told(Wire::OpenAi, second).status()), (200, 200));
    wait_until(&gateway, 0, 0);
}

#[test]
fn an_adaptive_limit_falls_when_a_target_has_too_much_and_is_shown() {
    let upstream = Upstream::start(|hit| match hit.nth {
        1 => refusal(hit, 429, "rate_limit_exceeded", "too many at once", &[("retry-after", "1")]),
        _ => healthy(hit),
    });
    let gateway = stage(Wire::OpenAi, &upstream, json!({"adaptive": true}), &json!({}));
    let limit = || {
        let listed = gateway.get("/api/health/targets").json();
        let one =
            listed["providers"].as_array().unwrap().iter().find(|entry| entry["provider"] == "one").cloned();
        one.unwrap()["targets"][0]["max_open_requests"].clone()
    };
    let answer = gateway.ask(&ask(Wire::OpenAi, "m"));
    assert_eq!(answer.status(), 200, "{}", answer.text());
    // One by the refusal, one more by the answer to the retry.
    assert_eq!(limit(), json!(2));
    for _ in 0..3 {
        gateway.ask(&ask(Wire::OpenAi, "m"));
    }
    let metric =
        || gateway.metric("bifrost_target_max_open_requests", &[("provider", "one"), ("model", "m")]);
    assert!(metric() >= 2.0, "{}", metric());
    until("the limit to rise", || (limit().as_u64() > Some(2)).then_some(()));
}

/// Four times as many callers as fit, in both dialects, whole and streamed, some of whom leave.
#[test]
fn a_flood_is_answered_or_refused_and_never_reaches_the_provider_in_full() {
    const SERVICE: Duration = Duration::from_millis(40);
    // Who leaves is gone for the gateway a moment before the upstream sees it: only the others are counted.
    let (open, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (now, peak) = (Arc::clone(&open), Arc::clone(&most));
    let upstream = Upstream::start(move |hit| {
        if hit.model().starts_with("leaver") {
            let mut script = vec![Act::Pause(SERVICE)];
            script.extend(healthy(hit));
            return script;
        }
        peak.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        // How long the provider takes.
        std::thread::sleep(SERVICE);
        now.fetch_sub(1, Ordering::SeqCst);
        healthy(hit)
    });
    let limits = json!({"concurrency": 6, "per_key": 4, "buffer_size": 40, "max_wait_in_seconds": 0.5});
    let gateway = stage(Wire::OpenAi, &upstream, limits, &json!({}));
    let callers: Vec<usize> = (0..40).collect();
    let answered = AtomicUsize::new(0);
    for_each(&callers, |caller| {
        let wire = WIRES[caller % 2];
        for turn in 0..6 {
            let leaves = (caller + turn) % 7 == 0;
            let kind = if leaves { "leaver" } else { "m" };
            let mut body = request(&format!("one/{kind}-{}", caller % 3), turn % 2 == 0);
            body["fallbacks"] = json!([]);
            let asked = Request::json(wire.path(), &body).header("x-api-key", &format!("caller-{caller}"));
            let asked_at = Instant::now();
            let mut connection = send(&gateway, &asked);
            if leaves {
                continue;
            }
            let told = Told::new(wire, connection.response().unwrap(), asked_at);
            match told.status() {
                200 => {
                    answered.fetch_add(1, Ordering::SeqCst);
                    assert!(told.response.whole && told.finishes().len() == 1, "{}", told.response.text());
                }
                503 => assert!(told.response.header("retry-after").is_some(), "{}", told.response.text()),
                other => panic!("{other}: {}", told.response.text()),
            }
            assert!(told.took < Duration::from_secs(5), "{:?}", told.took);
        }
    });
    wait_until(&gateway, 0, 0);
    assert!(most.load(Ordering::SeqCst) <= 6, "{} at once", most.load(Ordering::SeqCst));
    assert!(answered.load(Ordering::SeqCst) >= 40, "{} answered", answered.load(Ordering::SeqCst));
    assert_eq!(gateway.metric("bifrost_in_flight_requests", &[]), 1.0, "this question is the only one");
}

/// The place came back only when the answer was written down, behind its last byte.
#[test]
fn a_caller_whose_requests_follow_each_other_was_refused_for_the_one_before() {
    for_each(&WIRES, |wire| {
        let upstream = Upstream::start(healthy);
        let more = json!({"client": {"drop_excess_requests": true}});
        let gateway = stage(wire, &upstream, json!({"concurrency": 1}), &more);
        let mut caller = gateway.connect();
        for nth in 0..300 {
            let answer = caller.ask(&Request::json(wire.path(), &request("one/m", nth % 2 == 0))).unwrap();
            assert_eq!(answer.status(), 200, "request {nth}: {}", answer.text());
        }
    });
}
