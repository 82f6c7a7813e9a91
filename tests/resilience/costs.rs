//! What a request cost of which several attempts consumed something: `extra_fields`, the head, the log line and the
//! metrics tell the same sum.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::recovery::{SAID, cut, goes_on};
use crate::rig::request;
use crate::support::Wire;
use crate::support::answers::{USAGE, chunk, end, events, healthy, open_stream};
use crate::support::client::Request;
use crate::support::gateway::Gateway;
use crate::support::told::Told;
use crate::support::upstream::{Act, Gate, Hit, Script, Upstream};

/// $0.15 and $0.60 per million tokens: nano-dollars per token.
const FIRST: (&str, u64, u64) = ("openai/gpt-4o-mini", 150, 600);
/// $3 and $15.
const NEXT: (&str, u64, u64) = ("anthropic/claude-sonnet-4-5", 3_000, 15_000);

struct Stage {
    _upstreams: [Upstream; 2],
    gateway: Gateway,
}

impl Stage {
    fn new(
        more: Value,
        first: impl Fn(&Hit) -> Script + Send + Sync + 'static,
        next: impl Fn(&Hit) -> Script + Send + Sync + 'static,
    ) -> Self {
        let upstreams = [Upstream::start(first), Upstream::start(next)];
        let at = |upstream: &Upstream| json!({"keys": [{"name": "k", "value": "k"}], "network_config": {"base_url": upstream.url()}});
        let mut config = json!({"providers": {"openai": at(&upstreams[0]), "anthropic": at(&upstreams[1])}});
        for (name, value) in more.as_object().unwrap() {
            config[name] = value.clone();
        }
        Self { gateway: Gateway::start(&config), _upstreams: upstreams }
    }

    fn ask(&self, stream: bool) -> Told {
        let mut body = request(FIRST.0, stream);
        body["fallbacks"] = json!([NEXT.0]);
        let answer = self.gateway.ask(&Request::json("/v1/chat/completions", &body));
        Told::new(Wire::OpenAi, answer, Instant::now())
    }

    /// `answered` and `lost` are models; the answer told its usage, of the other the log says what it consumed.
    fn expect_sum(&self, told: &Told, answered: (&str, u64, u64), lost: (&str, u64, u64)) -> u64 {
        let line = self.gateway.request_line(told.id());
        let attempts = line["attempts"].as_array().unwrap();
        let spent = attempts.iter().find(|attempt| attempt["outcome"] != "success").unwrap();
        let tokens = |name: &str| spent[name].as_u64().unwrap();
        let other = tokens("input_tokens") * lost.1 + tokens("output_tokens") * lost.2;
        assert!(other > 0, "{line}");
        let own = USAGE.0 * answered.1 + USAGE.1 * answered.2;

        assert_eq!(spent["cost"], dollars(other), "{line}");
        assert_eq!((&line["cost"], &line["priced"]), (&dollars(own + other), &Value::Null), "{line}");
        let cost = &told.extra()["cost"];
        assert_eq!(cost["total_cost"], dollars(own + other), "{cost} {line}");
        assert_eq!(cost["other_attempts"], dollars(other), "{cost}");
        let lines: Vec<f64> =
            cost["lines"].as_array().unwrap().iter().map(|line| line["cost"].as_f64().unwrap()).collect();
        assert!((lines.iter().sum::<f64>() - own as f64 / 1e9).abs() < 1e-12, "{cost}");
        for (model, nanos) in [(answered.0, own), (lost.0, other)] {
            let model = model.split_once('/').unwrap().1;
            let counted = self.gateway.metric("bifrost_cost_total", &[("model", model)]);
            assert!((counted - nanos as f64 / 1e9).abs() < 1e-12, "{model}: {counted}, not {nanos}");
        }
        own + other
    }
}

/// As a number of JSON.
fn dollars(nanos: u64) -> Value {
    json!(nanos as f64 / 1e9)
}

#[test]
fn a_stream_that_was_gone_on_with_costs_what_both_attempts_cost() {
    let stage = Stage::new(json!({}), cut, goes_on);
    let told = stage.ask(true);
    assert_eq!(told.attempts(), ["openai bad_answer", "anthropic success"], "{}", told.response.text());
    stage.expect_sum(&told, NEXT, FIRST);
    let line = stage.gateway.request_line(told.id());
    assert_eq!(line["attempts"][0]["output_tokens"], SAID);
    assert_eq!(line["output_tokens"], SAID + USAGE.1, "{line}");
}

#[test]
fn a_second_attempt_that_was_ahead_is_billed_with_the_first() {
    for stream in [true, false] {
        let stage = Stage::new(json!({"hedging": {"after_ms": 100}}), |_| vec![Act::Hold], healthy);
        let told = stage.ask(stream);
        assert_eq!(told.attempts(), ["openai hedge_lost", "anthropic success"], "{}", told.response.text());
        let nanos = stage.expect_sum(&told, NEXT, FIRST);
        if !stream {
            let head: f64 = told.response.header("x-bifrost-cost").unwrap().parse().unwrap();
            assert_eq!(json!(head), dollars(nanos));
        }
    }
}

#[test]
fn a_second_attempt_that_lost_is_billed_with_the_answer() {
    for stream in [true, false] {
        let asked = Gate::shut();
        let wait = asked.clone();
        let stage = Stage::new(
            json!({"hedging": {"after_ms": 100}}),
            move |hit| std::iter::once(Act::Wait(wait.clone())).chain(healthy(hit)).collect(),
            move |_| {
                asked.open();
                vec![Act::Hold]
            },
        );
        let told = stage.ask(stream);
        assert_eq!(told.attempts(), ["anthropic hedge_lost", "openai success"], "{}", told.response.text());
        let nanos = stage.expect_sum(&told, FIRST, NEXT);
        if !stream {
            let head: f64 = told.response.header("x-bifrost-cost").unwrap().parse().unwrap();
            assert_eq!(json!(head), dollars(nanos));
        }
    }
}

/// A caller that leaves when all was said, and what is known of its request then. `rest`: what the provider says behind
/// the finish reason, 150 ms later.
fn left_behind_the_finish(rest: fn(&[String]) -> Script) -> Value {
    let said = move |hit: &Hit| {
        let events = events(Wire::OpenAi, hit.model());
        let at = events.iter().position(|event| event.contains("\"stop\"")).unwrap() + 1;
        let mut script = open_stream(&events[..at], Duration::ZERO);
        script.push(Act::Pause(Duration::from_millis(150)));
        script.extend(rest(&events[at..]));
        script
    };
    let stage = Stage::new(json!({}), said, healthy);
    let asked =
        Request::json("/openai/chat/completions", &request(FIRST.0, true)).header("x-request-id", "left");
    let mut connection = stage.gateway.connect();
    connection.send(&asked).unwrap();
    connection.read_head().unwrap();
    connection.read_until("\"stop\"");
    drop(connection);
    stage.gateway.request_line("left")
}

#[test]
fn counts_that_come_right_behind_a_caller_that_left_are_its_bill() {
    let line = left_behind_the_finish(|counts| counts.iter().map(chunk).chain([end()]).collect());
    assert_eq!((&line["input_tokens"], &line["output_tokens"]), (&json!(USAGE.0), &json!(USAGE.1)), "{line}");
    assert_eq!(line["cost"], dollars(USAGE.0 * FIRST.1 + USAGE.1 * FIRST.2), "{line}");
    assert_eq!(line["usage_estimated"], Value::Null, "{line}");
}

#[test]
fn counts_that_do_not_come_behind_a_caller_that_left_are_estimated_soon() {
    let line = left_behind_the_finish(|_| vec![Act::Hold]);
    assert_eq!(line["status"], 499, "{line}");
    assert_eq!(line["usage_estimated"], true, "{line}");
    assert!(line["duration_ms"].as_u64().unwrap() < 5_000, "{line}");
}
