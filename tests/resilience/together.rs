//! Second attempts, streams that are gone on with, retries, places and servers, all in one request.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::rig::{provider, request};
use crate::support::answers::{
    WORDS, after_two_words, chunk, events, healthy, open_stream, refusal, stream, stream_head,
};
use crate::support::client::Request;
use crate::support::gateway::Gateway;
use crate::support::told::Told;
use crate::support::upstream::{Act, Gate, Hit, Script, Upstream};
use crate::support::{Wire, for_each, until};

/// Claude up to 4.5 goes on with an answer, and has a price.
const ABLE: &str = "claude-haiku-4-5";

fn cut(hit: &Hit) -> Script {
    let mut script = two_words(hit);
    script.push(Act::Close);
    script
}

fn two_words(hit: &Hit) -> Script {
    let mut frames = events(hit.wire(), hit.model());
    frames.truncate(after_two_words(hit.wire()));
    open_stream(&frames, Duration::ZERO)
}

/// The last two words, for whoever is asked to go on.
fn rest(hit: &Hit) -> Script {
    let mut frames = events(hit.wire(), hit.model());
    let first = after_two_words(hit.wire()) - 2;
    frames.drain(first..first + 2);
    stream(&frames, Duration::ZERO)
}

fn goes_on(hit: &Hit) -> bool {
    hit.json["messages"].as_array().unwrap().last().unwrap()["role"] == "assistant"
}

fn at(url: &str, more: &Value) -> Value {
    let mut fields = json!({"keys": [{"name": "k", "value": "k"}], "network_config": {"base_url": url,
        "retry_backoff_initial": 60, "retry_backoff_max": 3000}});
    for (field, value) in more.as_object().into_iter().flatten() {
        fields[field] = value.clone();
    }
    fields
}

/// A stream of `model` with fallbacks, asked in OpenAI's dialect with counts.
fn asked(model: &str, fallbacks: &[&str]) -> Request {
    let mut body = request(model, true);
    body["fallbacks"] = json!(fallbacks);
    body["stream_options"] = json!({"include_usage": true});
    Request::json(Wire::OpenAi.path(), &body)
}

fn ask(gateway: &Gateway, model: &str, fallbacks: &[&str]) -> Told {
    let asked_at = Instant::now();
    Told::new(Wire::OpenAi, gateway.ask(&asked(model, fallbacks)), asked_at)
}

fn expect_whole(told: &Told) {
    let all = told.response.text();
    assert_eq!((told.status(), told.text()), (200, WORDS.concat()), "{all}");
    assert_eq!((told.finishes().len(), told.terminated, told.error()), (1, true, None), "{all}");
}

/// Sums of the log line and of the metrics are those of the attempts.
fn expect_sums(gateway: &Gateway, told: &Told) -> Value {
    let line = gateway.request_line(told.id());
    let cost = line["cost"].as_f64().unwrap_or_else(|| panic!("{line}"));
    let counted = gateway.metric("bifrost_cost_total", &[]);
    assert!((counted - cost).abs() < 1e-9, "metrics {counted}, log {cost}: {line}");
    line
}

#[test]
fn an_answer_of_two_attempts_costs_what_both_cost_once() {
    let first = Upstream::start(cut);
    let next = Upstream::start(rest);
    let gateway = Gateway::start(
        &json!({"providers": {"openai": at(&first.url(), &json!({})), "anthropic": at(&next.url(), &json!({}))}}),
    );
    let told = ask(&gateway, "openai/gpt-4o-mini", &[&format!("anthropic/{ABLE}")]);
    expect_whole(&told);
    let line = expect_sums(&gateway, &told);
    assert!(line["attempts"][0]["cost"].as_f64().unwrap() > 0.0, "{line}");
}

#[test]
fn an_answer_that_nobody_completed_costs_what_all_attempts_cost_once() {
    let first = Upstream::start(cut);
    let next = Upstream::start(|hit| {
        let mut frames = events(hit.wire(), hit.model());
        frames.truncate(3);
        let mut script = open_stream(&frames, Duration::ZERO);
        script.push(Act::Close);
        script
    });
    let gateway = Gateway::start(
        &json!({"providers": {"openai": at(&first.url(), &json!({})), "anthropic": at(&next.url(), &json!({}))}}),
    );
    let told = ask(&gateway, "openai/gpt-4o-mini", &[&format!("anthropic/{ABLE}")]);
    assert!(told.error().is_some() && !told.terminated, "{}", told.response.text());
    let line = expect_sums(&gateway, &told);
    assert_eq!(line["attempts"].as_array().unwrap().len(), 3, "{line}");
    let counted = gateway.metric("bifrost_output_tokens_total", &[]);
    assert_eq!(line["output_tokens"].as_f64().unwrap(), counted, "{line}");
}

#[test]
fn a_buffered_answer_of_two_attempts_costs_what_both_cost_once() {
    let first = Upstream::start(cut);
    let next = Upstream::start(healthy);
    let gateway = Gateway::start(&json!({"streaming": {"recovery": "buffered"},
        "providers": {"openai": at(&first.url(), &json!({})), "anthropic": at(&next.url(), &json!({}))}}));
    let told = ask(&gateway, "openai/gpt-4o-mini", &[&format!("anthropic/{ABLE}")]);
    expect_whole(&told);
    expect_sums(&gateway, &told);
}

#[test]
fn a_second_attempt_that_breaks_is_gone_on_with_and_all_three_are_paid_once() {
    let first = Upstream::start(|_| vec![Act::Hold]);
    let next = Upstream::start(|hit| if goes_on(hit) { rest(hit) } else { cut(hit) });
    let gateway = Gateway::start(&json!({
        "providers": {"openai": at(&first.url(), &json!({})), "anthropic": at(&next.url(), &json!({}))},
        "hedging": {"after_ms": 100},
    }));
    let told = ask(&gateway, "openai/gpt-4o-mini", &[&format!("anthropic/{ABLE}")]);
    expect_whole(&told);
    assert_eq!(told.attempts(), ["openai hedge_lost", "anthropic bad_answer", "anthropic success"]);
    let line = expect_sums(&gateway, &told);
    for at in 0..2 {
        assert!(line["attempts"][at]["cost"].as_f64().unwrap() > 0.0, "{line}");
    }
}

#[test]
fn a_second_attempt_whose_first_token_comes_late_is_not_ended_when_it_wins() {
    // Its head was in time; its first token has as long as a stream may be silent.
    let late = |hit: &Hit| {
        let mut script = vec![stream_head(), Act::Pause(Duration::from_millis(1_800))];
        script.extend(events(hit.wire(), hit.model()).into_iter().map(chunk));
        script.push(crate::support::answers::end());
        script
    };
    let first = Upstream::start(|_| vec![stream_head(), Act::Hold]);
    let next = Upstream::start(late);
    let network = |url: &str| {
        json!({"network_config": {"base_url": url, "default_request_timeout_in_seconds": 1,
            "first_byte_timeout_in_seconds": 1, "stream_idle_timeout_in_seconds": 20}})
    };
    let gateway = Gateway::start(&json!({
        "providers": {"openai": at("", &network(&first.url())), "anthropic": at("", &network(&next.url()))},
        "hedging": {"after_ms": 100},
    }));
    let told = ask(&gateway, "openai/gpt-4o-mini", &[&format!("anthropic/{ABLE}")]);
    expect_whole(&told);
    assert_eq!(told.attempts(), ["openai hedge_lost", "anthropic success"]);
}

/// Goes on with an answer at once, and gives one of its own when the gate opens.
fn busy_but_able(gate: &Gate) -> Upstream {
    let held = gate.clone();
    Upstream::start(move |hit| {
        if goes_on(hit) {
            return rest(hit);
        }
        let mut script = vec![Act::Wait(held.clone())];
        script.extend(healthy(hit));
        script
    })
}

/// Open and waiting requests at a provider.
fn places(gateway: &Gateway, name: &str) -> (u64, u64) {
    let health = gateway.health();
    let entry = health["providers"].as_array().unwrap().iter().find(|entry| entry["provider"] == name);
    let count = |field: &str| entry.map_or(0, |entry| entry[field].as_u64().unwrap_or(0));
    (count("open_requests"), count("waiting"))
}

#[test]
fn the_rest_of_an_answer_waits_for_a_place_and_gives_it_back() {
    let gate = Gate::shut();
    let (first, next) = (Upstream::start(cut), busy_but_able(&gate));
    let one = json!({"concurrency_and_buffer_size": {"concurrency": 1}});
    let gateway = Gateway::start(
        &json!({"providers": {"openai": at(&first.url(), &one), "anthropic": at(&next.url(), &one)}}),
    );
    let able = format!("anthropic/{ABLE}");
    let mut busy = gateway.connect();
    busy.send(&asked(&able, &[])).unwrap();
    until("the place to be taken", || (places(&gateway, "anthropic") == (1, 0)).then_some(()));
    let mut caller = gateway.connect();
    caller.send(&asked("openai/gpt-4o-mini", &[&able]).header("x-request-id", "queued-rest")).unwrap();
    until("the rest to wait", || (places(&gateway, "anthropic") == (1, 1)).then_some(()));
    assert_eq!(places(&gateway, "openai"), (0, 0), "what broke holds no place");
    // Another caller leaves while its rest waits.
    let mut leaver = gateway.connect();
    leaver.send(&asked("openai/gpt-4o-mini", &[&able]).header("x-request-id", "left-waiting")).unwrap();
    until("both to wait", || (places(&gateway, "anthropic") == (1, 2)).then_some(()));
    drop(leaver);
    until("one to have left", || (places(&gateway, "anthropic") == (1, 1)).then_some(()));
    let line = gateway.request_line("left-waiting");
    assert_eq!(line["error"]["type"], "caller_gone", "{line}");
    assert!(line["output_tokens"].as_u64().unwrap() > 0 && line["cost"].as_f64().unwrap() > 0.0, "{line}");
    gate.open();
    let told = Told::new(Wire::OpenAi, caller.response().unwrap(), Instant::now());
    expect_whole(&told);
    let line = gateway.request_line("queued-rest");
    assert!(line["queued_ms"].is_u64(), "{line}");
    busy.response().unwrap();
    until("all places to be free", || {
        (places(&gateway, "anthropic") == (0, 0) && places(&gateway, "openai") == (0, 0)).then_some(())
    });
}

#[test]
fn a_caller_that_leaves_at_any_moment_leaves_nothing_behind() {
    let next = Upstream::start(|hit| if goes_on(hit) { vec![Act::Hold] } else { two_words(hit) });
    let first = Upstream::start(|hit| if hit.model().ends_with("mini") { cut(hit) } else { vec![Act::Hold] });
    let one = json!({"concurrency_and_buffer_size": {"concurrency": 1}});
    let gateway = Gateway::start(&json!({
        "providers": {"openai": at(&first.url(), &one), "anthropic": at(&next.url(), &one)},
        "hedging": {"after_ms": 150, "max_extra_spend_percent": 100},
    }));
    let able = format!("anthropic/{ABLE}");
    let free = || {
        until("all places to be free", || {
            (places(&gateway, "anthropic") == (0, 0) && places(&gateway, "openai") == (0, 0)).then_some(())
        })
    };
    // While the rest is awaited.
    let mut caller = gateway.connect();
    caller.send(&asked("openai/gpt-4o-mini", &[&able]).header("x-request-id", "in-the-rest")).unwrap();
    next.wait_for("to be asked for the rest", |hits| hits.iter().find(|hit| goes_on(hit)).map(|_| ()));
    drop(caller);
    next.wait_for("the rest to be cancelled", |hits| {
        hits.iter().find(|hit| goes_on(hit) && hit.left.is_some()).map(|_| ())
    });
    free();
    let line = gateway.request_line("in-the-rest");
    assert_eq!(
        (&line["error"]["type"], line["attempts"].as_array().unwrap().len()),
        (&json!("caller_gone"), 2),
        "{line}"
    );
    // In the middle of a second attempt's answer.
    let mut caller = gateway.connect();
    caller.send(&asked("openai/gpt-4o", &[&able]).header("x-request-id", "in-the-second")).unwrap();
    caller.read_head().unwrap();
    caller.read_until(" answer");
    drop(caller);
    free();
    let line = gateway.request_line("in-the-second");
    assert!(line["cost"].as_f64().unwrap() > 0.0, "{line}");
    let outcomes: Vec<&str> =
        line["attempts"].as_array().unwrap().iter().map(|one| one["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["hedge_lost", "caller_gone"], "{line}");
    // This look at the metrics is one.
    until("nothing to be in flight", || {
        (gateway.metric("bifrost_in_flight_requests", &[]) <= 1.0).then_some(())
    });
}

#[test]
fn the_other_server_of_a_group_goes_on() {
    for_each(&["hedged", "plain"], |tag| {
        let one = Upstream::start(|hit| if goes_on(hit) { rest(hit) } else { cut(hit) });
        let two = Upstream::start(|hit| if goes_on(hit) { rest(hit) } else { cut(hit) });
        let mut group = provider(Wire::Anthropic, "", &["own-key"]);
        let fields = group["network_config"].as_object_mut().unwrap();
        fields.remove("base_url");
        fields.insert("base_urls".to_owned(), json!([one.url(), two.url()]));
        fields.insert("ttft_timeout_in_seconds".to_owned(), json!(20));
        fields.insert("default_request_timeout_in_seconds".to_owned(), json!(20));
        let mut config = json!({"providers": {"group": group}});
        if tag == "hedged" {
            config["hedging"] = json!({"after_ms": 5_000});
        }
        let gateway = Gateway::start(&config);
        let told = ask(&gateway, &format!("group/{ABLE}"), &[]);
        expect_whole(&told);
        let hits = [one.hits(), two.hits()];
        assert_eq!(hits.each_ref().map(Vec::len), [1, 1], "the rest came from the other server");
    });
}

#[test]
fn a_caller_that_waits_for_a_100_has_second_attempts_too() {
    let first = Upstream::start(|_| vec![Act::Hold]);
    let next = Upstream::start(healthy);
    let gateway = Gateway::start(&json!({
        "providers": {"openai": at(&first.url(), &json!({})), "anthropic": at(&next.url(), &json!({}))},
        "hedging": {"after_ms": 100},
    }));
    let mut caller = gateway.connect();
    let request =
        asked("openai/gpt-4o-mini", &[&format!("anthropic/{ABLE}")]).header("expect", "100-continue");
    caller.send(&request).unwrap();
    let mut response = caller.response().unwrap();
    if response.status() == 100 {
        response = caller.response().unwrap();
    }
    expect_whole(&Told::new(Wire::OpenAi, response, Instant::now()));
}

#[test]
fn a_server_that_refuses_a_second_attempt_is_not_held_against_its_key() {
    let refused = Gate::shut();
    let (open, late) = (refused.clone(), refused.clone());
    let first = Upstream::start(move |hit| {
        let mut script = vec![Act::Wait(late.clone()), Act::Pause(Duration::from_millis(200))];
        script.extend(healthy(hit));
        script
    });
    let full = move |hit: &Hit| {
        open.open();
        refusal(hit, 429, "rate_limit_error", "slow down", &[("retry-after", "60")])
    };
    let (one, two) = (Upstream::start(full.clone()), Upstream::start(full));
    let mut group = provider(Wire::Anthropic, "", &["own-key"]);
    let fields = group["network_config"].as_object_mut().unwrap();
    fields.remove("base_url");
    fields.insert("base_urls".to_owned(), json!([one.url(), two.url()]));
    let gateway = Gateway::start(&json!({
        "providers": {"openai": at(&first.url(), &json!({})), "group": group},
        "hedging": {"after_ms": 100, "max_extra_spend_percent": 100},
    }));
    let told = ask(&gateway, "openai/gpt-4o-mini", &[&format!("group/{ABLE}")]);
    expect_whole(&told);
    assert_eq!(told.attempts(), ["group rate_limit", "openai success"]);
    let health = gateway.health();
    assert!(health["keys"].as_array().unwrap().iter().all(|key| key["cooling"].is_null()), "{health}");
}

#[test]
fn the_rest_of_an_answer_waits_for_who_is_able_rather_than_for_nobody() {
    let gate = Gate::shut();
    let (first, next) = (Upstream::start(cut), busy_but_able(&gate));
    let one = json!({"concurrency_and_buffer_size": {"concurrency": 1}});
    let gateway = Gateway::start(
        &json!({"providers": {"openai": at(&first.url(), &json!({})), "anthropic": at(&next.url(), &one)}}),
    );
    let able = format!("anthropic/{ABLE}");
    let mut busy = gateway.connect();
    busy.send(&asked(&able, &[])).unwrap();
    until("the place to be taken", || (places(&gateway, "anthropic") == (1, 0)).then_some(()));
    let mut caller = gateway.connect();
    caller.send(&asked("openai/gpt-4o-mini", &[&able, "openai/gpt-4o"])).unwrap();
    until("the rest to wait", || (places(&gateway, "anthropic") == (1, 1)).then_some(()));
    gate.open();
    expect_whole(&Told::new(Wire::OpenAi, caller.response().unwrap(), Instant::now()));
}

#[test]
fn the_last_one_that_is_able_is_tried_again_as_a_last_one_is() {
    let first = Upstream::start(cut);
    let next = Upstream::start(|hit| match hit.nth {
        1 => refusal(hit, 429, "rate_limit_error", "slow down", &[("retry-after", "1")]),
        _ => rest(hit),
    });
    let gateway = Gateway::start(
        &json!({"providers": {"openai": at(&first.url(), &json!({})), "anthropic": at(&next.url(), &json!({}))}}),
    );
    let told = ask(&gateway, "openai/gpt-4o-mini", &[&format!("anthropic/{ABLE}"), "openai/gpt-4o"]);
    expect_whole(&told);
    assert_eq!(told.attempts(), ["openai bad_answer", "anthropic rate_limit", "anthropic success"]);
}
