//! A second attempt beside a slow first one: who is first answers, the other is cancelled, both are billed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::rig::{Case, Rig, backup_model, each, each_stream, provider, request, tag};
use crate::support::answers::{
    after_two_words, chunk, events, head, healthy, open_stream, refusal, stream_head, whole,
};
use crate::support::client::Request;
use crate::support::gateway::Gateway;
use crate::support::told::Told;
use crate::support::upstream::{Act, Gate, Hit, Script, Upstream};
use crate::support::{Wire, until};

/// When second attempts start.
const AFTER: Duration = Duration::from_millis(100);
/// Limits of time that a busy machine does not reach.
const GENEROUS: f64 = 8.0;
/// Without a second attempt nothing comes before that.
const LIMIT: Duration = Duration::from_millis(6_000);

/// A stage whose primary and backup do as scripted, with `hedging` configured and generous limits of time.
fn stage(
    hedging: Value,
    primary: impl Fn(&Hit) -> Script + Send + Sync + 'static,
    backup: impl Fn(&Hit) -> Script + Send + Sync + 'static,
) -> Rig {
    limited(GENEROUS, hedging, primary, backup)
}

/// A stage on which whole answers come within `seconds`, and first tokens within three quarters of them.
fn limited(
    seconds: f64,
    hedging: Value,
    primary: impl Fn(&Hit) -> Script + Send + Sync + 'static,
    backup: impl Fn(&Hit) -> Script + Send + Sync + 'static,
) -> Rig {
    let (primary, backup) = (Upstream::start(primary), Upstream::start(backup));
    let mut providers = json!({});
    for (name, wire) in [("oa", Wire::OpenAi), ("an", Wire::Anthropic)] {
        providers[name] = provider(wire, &primary.url(), &["primary-key"]);
        providers[format!("{name}-backup")] = provider(wire, &backup.url(), &["backup-key"]);
        for name in [name.to_owned(), format!("{name}-backup")] {
            let network = &mut providers[name]["network_config"];
            network["ttft_timeout_in_seconds"] = json!(seconds * 0.75);
            network["default_request_timeout_in_seconds"] = json!(seconds);
            network["stream_idle_timeout_in_seconds"] = json!(seconds);
        }
    }
    let gateway = Gateway::start(&json!({"providers": providers, "hedging": hedging}));
    Rig { primary, backup, gateway }
}

/// Cases run at once, and each second attempt starts after [`AFTER`]. See [`hurried`].
fn racing(
    primary: impl Fn(&Hit) -> Script + Send + Sync + 'static,
    backup: impl Fn(&Hit) -> Script + Send + Sync + 'static,
) -> Rig {
    hurried(GENEROUS, AFTER, primary, backup)
}

/// Cases run at once, so losers may cost what answers cost; and something was spent already.
fn hurried(
    seconds: f64,
    after: Duration,
    primary: impl Fn(&Hit) -> Script + Send + Sync + 'static,
    backup: impl Fn(&Hit) -> Script + Send + Sync + 'static,
) -> Rig {
    let rig = limited(
        seconds,
        json!({"after_ms": after.as_millis() as u64, "max_extra_spend_percent": 100}),
        move |hit| if tag(hit) == "wealth" { wealth(hit) } else { primary(hit) },
        backup,
    );
    assert_eq!(
        rig.gateway.ask(&Request::json("/v1/chat/completions", &request("oa/wealth", false))).status(),
        200
    );
    rig
}

/// An answer that cost a million tokens.
fn wealth(hit: &Hit) -> Script {
    let mut body = whole(Wire::OpenAi, hit.model());
    body["usage"] =
        json!({"prompt_tokens": 900_000, "completion_tokens": 100_000, "total_tokens": 1_000_000});
    crate::support::answers::json_answer(200, &[], &body)
}

/// Who has asked the backup: primaries that wait for that see two attempts run, however busy the machine is.
#[derive(Clone, Default)]
struct Asked(Arc<Mutex<HashMap<String, Gate>>>);

impl Asked {
    fn gate(&self, model: &str) -> Gate {
        let mut gates = self.0.lock().unwrap();
        gates.entry(model.trim_start_matches("backup-").to_owned()).or_insert_with(Gate::shut).clone()
    }

    /// What `script` does, once the backup was asked and `pause` has passed.
    fn then(&self, hit: &Hit, pause: u64, script: Script) -> Script {
        let mut all = vec![Act::Wait(self.gate(hit.model())), Act::Pause(Duration::from_millis(pause))];
        all.extend(script);
        all
    }

    /// A backup that tells that it was asked.
    fn telling(
        &self,
        backup: impl Fn(&Hit) -> Script + Send + Sync + 'static,
    ) -> impl Fn(&Hit) -> Script + Send + Sync + 'static {
        let asked = self.clone();
        move |hit| {
            asked.gate(hit.model()).open();
            backup(hit)
        }
    }
}

/// A healthy answer after a while, unless the gateway leaves.
fn late(hit: &Hit, after: Duration) -> Script {
    let mut script = vec![Act::Pause(after)];
    script.extend(healthy(hit));
    script
}

fn hedges(rig: &Rig, outcome: &str) -> f64 {
    rig.gateway.metric("bifrost_hedges_total", &[("outcome", outcome)])
}

/// The loser's connection was closed, and when.
fn left(upstream: &Upstream, model: &str) -> Instant {
    upstream.wait_for("the loser's connection to close", |hits| {
        hits.iter().find(|hit| hit.model() == model).and_then(|hit| hit.left)
    })
}

/// No attempt is counted at any target, and nobody but whoever asks for the metrics is served.
fn expect_nothing_under_way(rig: &Rig) {
    until("nothing under way", || {
        let attempts = rig.gateway.metric("bifrost_target_in_flight", &[]);
        let requests = rig.gateway.metric("bifrost_in_flight_requests", &[]);
        (attempts == 0.0 && requests == 1.0).then_some(())
    });
}

#[test]
fn a_fast_second_attempt_answers_and_the_slow_first_one_is_cancelled() {
    let rig = racing(|_| vec![Act::Hold], healthy);
    each(|case| {
        let told = rig.ask(case);
        rig.expect_backup(case, &told);
        rig.expect_attempts(case, &told, &[(case.primary(), "hedge_lost"), (case.backup(), "success")]);
        assert!(told.took >= AFTER && told.took < LIMIT, "took {:?}", told.took);
        assert_eq!(told.response.header("x-bf-attempts"), Some("2"));
        let left = left(&rig.primary, &case.model());
        assert!(left < told.response.end_at + Duration::from_millis(500));
        assert_eq!((rig.hits(case).len(), rig.backup_hits(case).len()), (1, 1));
    });
    assert_eq!(hedges(&rig, "won"), 8.0);
    expect_nothing_under_way(&rig);
}

#[test]
fn a_stream_that_began_without_a_token_is_overtaken_too() {
    let rig = racing(
        |hit| {
            let mut script = open_stream(&events(hit.wire(), hit.model())[..1], Duration::ZERO);
            script.push(Act::Hold);
            script
        },
        healthy,
    );
    each_stream(|case| {
        let told = rig.ask(case);
        rig.expect_backup(case, &told);
        rig.expect_attempts(case, &told, &[(case.primary(), "hedge_lost"), (case.backup(), "success")]);
        assert!(told.took < LIMIT, "took {:?}", told.took);
    });
}

#[test]
fn a_first_attempt_that_comes_first_answers_and_the_second_one_is_cancelled() {
    let asked = Asked::default();
    let backup = asked.telling(|hit| match hit.streams() {
        // Signs of life are no tokens.
        true => {
            let mut script = open_stream(&events(hit.wire(), hit.model())[..1], Duration::ZERO);
            script.push(Act::Hold);
            script
        }
        false => vec![Act::Hold],
    });
    let rig = racing(move |hit| asked.then(hit, 50, healthy(hit)), backup);
    each(|case| {
        let told = rig.ask(case);
        rig.expect_primary(case, &told);
        rig.expect_attempts(case, &told, &[(case.backup(), "hedge_lost"), (case.primary(), "success")]);
        assert!(left(&rig.backup, &backup_model(case)) < told.response.end_at + Duration::from_millis(500));
    });
    assert_eq!(hedges(&rig, "lost"), 8.0);
}

#[test]
fn an_answer_before_the_moment_is_never_hedged() {
    let late = Duration::from_millis(700);
    let rig = hurried(GENEROUS, late, healthy, healthy);
    each(|case| {
        let told = rig.ask(case);
        rig.expect_primary(case, &told);
        rig.expect_attempts(case, &told, &[(case.primary(), "success")]);
        assert!(rig.backup_hits(case).is_empty());
    });
    // A stream that goes on beyond the moment has its first token.
    let rig = hurried(
        GENEROUS,
        late,
        |hit| {
            let (begin, rest) = (after_two_words(hit.wire()), events(hit.wire(), hit.model()));
            let mut script = open_stream(&rest[..begin], Duration::ZERO);
            script.push(Act::Pause(Duration::from_millis(1_000)));
            script.extend(rest[begin..].iter().map(chunk));
            script.push(crate::support::answers::end());
            script
        },
        healthy,
    );
    each_stream(|case| {
        let told = rig.ask(case);
        rig.expect_primary(case, &told);
        assert!(told.took > late && rig.backup_hits(case).is_empty());
    });
}

#[test]
fn a_second_attempt_under_way_is_what_comes_after_a_first_one_that_fails() {
    let asked = Asked::default();
    let backup = asked.telling(|hit| late(hit, Duration::from_millis(600)));
    let rig =
        racing(move |hit| asked.then(hit, 20, refusal(hit, 500, "server_error", "broken", &[])), backup);
    each(|case| {
        let told = rig.ask(case);
        rig.expect_backup(case, &told);
        rig.expect_attempts(case, &told, &[(case.primary(), "server_error"), (case.backup(), "success")]);
        assert_eq!(rig.hits(case).len(), 1, "no retry while another attempt is under way");
    });
    assert_eq!(hedges(&rig, "won"), 8.0);
}

#[test]
fn a_second_attempt_that_fails_is_written_down_and_the_first_one_goes_on() {
    let asked = Asked::default();
    let backup =
        asked.telling(|hit| refusal(hit, 429, "rate_limit_exceeded", "slow down", &[("retry-after", "7")]));
    let rig = racing(move |hit| asked.then(hit, 600, healthy(hit)), backup);
    each(|case| {
        let told = rig.ask(case);
        rig.expect_primary(case, &told);
        rig.expect_attempts(case, &told, &[(case.backup(), "rate_limit"), (case.primary(), "success")]);
        assert!(
            rig.gateway.metric("bifrost_hedge_extra_tokens_total", &[("model", &backup_model(case))]) == 0.0
        );
    });
    assert_eq!(hedges(&rig, "failed"), 8.0);
}

#[test]
fn answers_that_are_none_do_not_overtake() {
    let asked = Asked::default();
    let backup = asked.telling(|hit| match hit.streams() {
        true => vec![
            Act::Send(head(200, &[("content-type", "text/event-stream"), ("connection", "close")])),
            Act::Close,
        ],
        false => {
            let body = br#"{"choices": [{"index"#;
            let mut bytes = head(200, &[("content-type", "application/json"), ("content-length", "20")]);
            bytes.extend_from_slice(body);
            vec![Act::Send(bytes)]
        }
    });
    let rig = racing(move |hit| asked.then(hit, 600, healthy(hit)), backup);
    each(|case| {
        let told = rig.ask(case);
        rig.expect_primary(case, &told);
        rig.expect_attempts(case, &told, &[(case.backup(), "bad_answer"), (case.primary(), "success")]);
    });
}

#[test]
fn both_failing_is_an_error_and_not_a_hang() {
    let busy = |hit: &Hit| refusal(hit, 503, "overloaded", "busy", &[]);
    for (first, second) in [(20, 400), (400, 0)] {
        let asked = Asked::default();
        let backup = asked.telling(move |hit| {
            let mut script = vec![Act::Pause(Duration::from_millis(second))];
            script.extend(busy(hit));
            script
        });
        let rig = racing(move |hit| asked.then(hit, first, busy(hit)), backup);
        each(|case| {
            let told = rig.ask(case);
            assert_eq!(told.status(), 503, "{}", told.response.text());
            rig.expect_failed(&told, "overloaded");
        });
        rig.expect_alive();
    }
}

#[test]
fn a_caller_that_leaves_while_both_run_closes_both() {
    let rig = racing(|_| vec![Act::Hold], |_| vec![Act::Hold]);
    each(|case| {
        let mut body = request(&format!("{}/{}", case.primary(), case.model()), case.stream);
        body["fallbacks"] = json!([format!("{}/{}", case.backup(), backup_model(case))]);
        let mut caller = rig.gateway.connect();
        caller.send(&Request::json(case.caller.path(), &body)).expect("sent");
        rig.backup.wait_for("the second attempt", |hits| {
            hits.iter().find(|hit| hit.model() == backup_model(case)).cloned()
        });
        let gone = Instant::now();
        drop(caller);
        for (upstream, model) in [(&rig.primary, case.model()), (&rig.backup, backup_model(case))] {
            assert!(left(upstream, &model) < gone + Duration::from_millis(400));
        }
    });
    expect_nothing_under_way(&rig);
}

#[test]
fn limits_of_time_hold_while_two_attempts_run() {
    let rig = hurried(0.8, AFTER, |_| vec![Act::Hold], |_| vec![Act::Hold]);
    each(|case| {
        let told = rig.ask(case);
        assert_eq!(told.status(), 504, "{}", told.response.text());
        rig.expect_failed(&told, if case.stream { "ttft_timeout" } else { "timeout" });
        // The limit of the second attempt, which began after the first one, and no third one at either.
        assert_eq!((rig.hits(case).len(), rig.backup_hits(case).len()), (1, 1));
    });
}

#[test]
fn another_key_of_the_provider_is_asked_before_a_fallback() {
    let primary = Upstream::start(|hit| match (hit.model(), hit.nth) {
        ("wealth", _) => wealth(hit),
        (_, 1) => vec![Act::Hold],
        _ => healthy(hit),
    });
    let backup = Upstream::start(healthy);
    let providers = json!({
        "oa": provider(Wire::OpenAi, &primary.url(), &["one", "two", "three"]),
        "oa-backup": provider(Wire::OpenAi, &backup.url(), &["backup-key"]),
    });
    let gateway = Gateway::start(&json!({"providers": providers, "hedging": {"after_ms": 300}}));
    let body = json!({"model": "oa/slow-once", "messages": [{"role": "user", "content": "?"}], "fallbacks": ["oa-backup/x"]});
    let told =
        Told::new(Wire::OpenAi, gateway.ask(&Request::json("/v1/chat/completions", &body)), Instant::now());
    assert_eq!(told.attempts(), ["oa hedge_lost", "oa success"]);
    let keys: Vec<String> = primary.hits().iter().map(|hit| hit.key().to_owned()).collect();
    assert!(keys.len() == 2 && keys[0] != keys[1], "{keys:?}");
    assert!(backup.hits().is_empty());
}

#[test]
fn nobody_is_asked_twice_when_there_is_no_other_target() {
    let rig = racing(|hit| late(hit, Duration::from_millis(800)), healthy);
    each(|case| {
        let told = rig.ask_alone(case);
        rig.expect_primary(case, &told);
        assert_eq!(rig.hits(case).len(), 1);
    });
    assert_eq!(hedges(&rig, "denied"), 8.0);
}

#[test]
fn the_budget_denies_second_attempts_until_more_was_spent_on_answers() {
    let rig = stage(
        json!({"after_ms": 100, "max_extra_spend_percent": 10}),
        |hit| if tag(hit) == "wealth" { wealth(hit) } else { late(hit, Duration::from_millis(700)) },
        |_| vec![Act::Hold],
    );
    let ask = |model: &str| {
        let mut body = request(&format!("oa/{model}"), false);
        body["fallbacks"] = json!([format!("oa-backup/{model}")]);
        Told::new(
            Wire::OpenAi,
            rig.gateway.ask(&Request::json("/v1/chat/completions", &body)),
            Instant::now(),
        )
    };
    assert_eq!(ask("a").attempts(), ["oa-backup hedge_lost", "oa success"]);
    for _ in 0..2 {
        assert_eq!(ask("b").attempts(), ["oa success"], "the first loser cost more than 10 % of all");
    }
    assert_eq!((hedges(&rig, "lost"), hedges(&rig, "denied")), (1.0, 2.0));
    ask("wealth");
    assert_eq!(ask("c").attempts(), ["oa-backup hedge_lost", "oa success"]);
}

#[test]
fn both_attempts_are_billed() {
    let primary = Upstream::start(|_| vec![Act::Hold]);
    let backup = Upstream::start(healthy);
    let at = |url: String, key: &str| json!({"keys": [{"name": key, "value": key}], "network_config": {"base_url": url}});
    let gateway = Gateway::start(&json!({
        "providers": {"openai": at(primary.url(), "one"), "anthropic": at(backup.url(), "two")},
        "hedging": {"after_ms": 100},
    }));
    let (first, second) = ("gpt-4o-mini", "claude-haiku-4-5");
    let mut body = request(&format!("openai/{first}"), true);
    body["fallbacks"] = json!([format!("anthropic/{second}")]);
    let told =
        Told::new(Wire::OpenAi, gateway.ask(&Request::json("/v1/chat/completions", &body)), Instant::now());
    assert_eq!(told.attempts(), ["openai hedge_lost", "anthropic success"], "{}", told.response.text());
    let sent = primary.wait_for("the first attempt", |hits| hits.first().map(|hit| hit.body.len()));
    let sent = u64::try_from(sent).unwrap();
    let input = sent.div_ceil(4);
    assert_eq!(told.extra()["attempts"][0]["input_tokens"], json!(input));

    let line = gateway.request_line(told.id());
    let lost = &line["attempts"][0];
    assert_eq!((&lost["input_tokens"], &lost["output_tokens"]), (&json!(input), &json!(0)), "{line}");
    let lost_cost = lost["cost"].as_f64().unwrap();
    assert!(lost_cost > 0.0);
    assert_eq!(line["input_tokens"], json!(11), "the answer's own counts: {line}");
    let metric = |name: &str, model: &str| gateway.metric(name, &[("model", model)]);
    assert_eq!(metric("bifrost_input_tokens_total", first), input as f64);
    assert_eq!(metric("bifrost_hedge_extra_tokens_total", first), input as f64);
    let near = |a: f64, b: f64| (a - b).abs() < 1e-9;
    assert!(near(metric("bifrost_cost_total", first), lost_cost));
    assert!(near(metric("bifrost_hedge_extra_cost_total", first), lost_cost));
    let answer = metric("bifrost_cost_total", second);
    assert!(answer > 0.0 && near(line["cost"].as_f64().unwrap(), lost_cost + answer), "{line}");
    assert_eq!(metric("bifrost_requests_total", first) + metric("bifrost_requests_total", second), 1.0);
}

#[test]
fn without_a_time_the_95th_percentile_of_live_answers_is_learned() {
    let gate = Gate::shut();
    let slow = gate.clone();
    let rig = limited(
        1.5,
        json!({"max_extra_spend_percent": 100}),
        move |hit| if hit.nth > 24 { vec![Act::Wait(slow.clone())] } else { healthy(hit) },
        healthy,
    );
    let ask = |stream: bool| {
        let mut body = request("oa/learned", stream);
        body["fallbacks"] = json!(["oa-backup/learned"]);
        Told::new(
            Wire::OpenAi,
            rig.gateway.ask(&Request::json("/v1/chat/completions", &body)),
            Instant::now(),
        )
    };
    for _ in 0..24 {
        ask(true);
    }
    let told = ask(true);
    assert_eq!(told.attempts(), ["oa hedge_lost", "oa-backup success"], "{}", told.response.text());
    assert!(told.took < Duration::from_millis(1_500), "took {:?}", told.took);
    // Of whole answers nothing is known: no second attempt, the limit of time holds.
    let told = ask(false);
    assert_eq!(told.attempts(), ["oa timeout", "oa-backup success"]);
    gate.open();
}

#[test]
fn a_caller_may_switch_it_off() {
    let rig = racing(|hit| late(hit, Duration::from_millis(800)), healthy);
    let ask = |value: &str| {
        let mut body = request("oa/x", false);
        body["fallbacks"] = json!(["oa-backup/x"]);
        let request = Request::json("/v1/chat/completions", &body).header("x-bf-hedge", value);
        Told::new(Wire::OpenAi, rig.gateway.ask(&request), Instant::now())
    };
    assert_eq!(ask("off").attempts(), ["oa success"]);
    assert_eq!(ask("on").attempts(), ["oa hedge_lost", "oa-backup success"]);
    let told = ask("maybe");
    assert_eq!(told.status(), 400);
    assert!(told.error_message().contains("x-bf-hedge"));
}

#[test]
fn a_handed_over_stream_that_breaks_ends_with_an_error() {
    let rig = racing(
        |_| vec![Act::Hold],
        |hit| {
            let frames = events(hit.wire(), hit.model());
            let mut script = open_stream(&frames[..after_two_words(hit.wire())], Duration::ZERO);
            script.push(Act::Reset);
            script
        },
    );
    each_stream(|case| {
        let told = rig.ask(case);
        assert_eq!(told.text(), "The answer", "{}", told.response.text());
        assert!(!told.terminated && told.error().is_some(), "{}", told.response.text());
        rig.expect_failed(&told, "bad_answer");
    });
}

#[test]
fn a_long_answer_is_handed_over_whole() {
    const PIECES: usize = 400;
    let rig = racing(
        |_| vec![Act::Hold],
        |hit| {
            let frames = events(hit.wire(), hit.model());
            let word = frames[after_two_words(hit.wire()) - 1].clone();
            let mut script = vec![stream_head()];
            script.extend(frames[..after_two_words(hit.wire())].iter().map(chunk));
            script.extend((0..PIECES).map(|_| chunk(word.repeat(100))));
            script.extend(frames[after_two_words(hit.wire())..].iter().map(chunk));
            script.push(crate::support::answers::end());
            script
        },
    );
    each_stream(|case: Case| {
        let told = rig.ask(case);
        assert_eq!(told.text(), format!("The answer{} is 42", " answer".repeat(PIECES * 100)));
        assert!(told.terminated);
    });
}
