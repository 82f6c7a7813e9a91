use std::sync::Arc;

use super::*;
use crate::account::charge::Charge;
use crate::auth::Caller;
use crate::config::governance::{Customer, Quotas, Team, VirtualKey};
use crate::telemetry::access_log::{AttemptRecord, Spent};
use crate::telemetry::record::{
    AttemptPhases, CHOSEN, Candidate, Failed, LedBy, LimitSeen, Phases, READY, STANDS_BEHIND,
};
use translate::ir::Usage;

fn attempt(provider: &str, outcome: &'static str) -> AttemptRecord {
    AttemptRecord {
        key: Some("main".into()),
        status: Some(200),
        reason: None,
        phases: AttemptPhases {
            began_us: 1_000,
            connected_us: Some(6_000),
            secured_us: Some(16_000),
            sent_us: Some(16_500),
            answered_us: Some(416_500),
            ended_us: 901_000,
            ..AttemptPhases::default()
        },
        ..AttemptRecord::skipped(&provider.into(), &"m".into(), outcome, "")
    }
}

fn failed(provider: &str, outcome: &'static str, status: u16, reason: &str) -> AttemptRecord {
    AttemptRecord { status: Some(status), reason: Some(reason.to_owned()), ..attempt(provider, outcome) }
}

/// A request that went well.
fn record(attempts: Vec<AttemptRecord>) -> Record {
    let last = attempts.last().cloned();
    Record {
        id: Record::number(1_705_314_600_123, "r"),
        request_id: "r".into(),
        started_us: 1_705_314_600_123_000,
        took_us: 902_000,
        dialect: "openai",
        object: "chat_completion",
        path: "/v1/chat/completions".into(),
        status: 200,
        model_asked: "fast".into(),
        provider: last.as_ref().map(|attempt| attempt.provider.clone()),
        model: last.as_ref().map(|attempt| attempt.model.clone()),
        key: last.and_then(|attempt| attempt.key),
        attempts,
        phases: Phases { admitted_us: 40, body_us: 900, planned_us: 960, reserved_us: 965 },
        overhead_us: 180,
        request_bytes: 512,
        revision: 3,
        ..Record::default()
    }
}

fn error(record: &mut Record, status: u16, kind: &'static str, message: &str) {
    record.status = status;
    record.error = Some(Failed { kind, message: message.into() });
}

fn candidate(provider: &str, key: Option<&str>, share: Option<f32>, verdict: &'static str) -> Candidate {
    Candidate { provider: provider.into(), model: "m".into(), key: key.map(Into::into), share, verdict }
}

fn has(told: &[String], text: &str) {
    assert!(told.iter().any(|line| line == text), "{text:?} is not in {told:#?}");
}

#[test]
fn a_plain_answer_tells_its_steps_and_its_time() {
    let told = explain(&record(vec![attempt("openai", "success")]));
    assert_eq!(told.started, "2024-01-15T10:30:00.123Z");
    assert_eq!(told.summary, "Answered with 200 after 902 ms by openai/m with the key main.");
    has(
        &told.asked,
        "Chat completion on /v1/chat/completions, in the dialect of openai, for the model `fast`: 512 bytes.",
    );
    has(&told.asked, "No virtual key was needed or shown.");
    has(&told.decision, "`fast` names a model, and that is where it went.");
    assert_eq!(
        told.attempts,
        [
            "Attempt 1, openai/m with the key main: began at 1.0 ms, connected in 5.0 ms, TLS in 10.0 ms, sent in 500 µs, first byte after 400 ms; answered (status 200), complete after 900 ms."
        ]
    );
    has(&told.time, "40 µs until it was known who calls.");
    has(&told.time, "860 µs for the body to arrive.");
    has(&told.time, "902 ms in all, 180 µs of it in the gateway itself.");
    assert!(told.limits.is_empty() && told.cost.is_empty());
}

#[test]
fn a_failover_tells_why_and_after_what() {
    let told = explain(&record(vec![
        failed("openai", "server_error", 500, "the provider is on fire."),
        attempt("anthropic", "success"),
    ]));
    assert_eq!(
        told.summary,
        "Answered with 200 after 902 ms by anthropic/m with the key main, after 1 attempt had failed."
    );
    assert!(
        told.attempts[0]
            .ends_with("; failed after 900 ms with server_error (status 500): the provider is on fire."),
        "{told:#?}"
    );
    assert!(told.attempts[1].starts_with("Attempt 2, anthropic/m"), "{told:#?}");
}

#[test]
fn an_open_circuit_and_a_cooled_key_are_told_of_the_candidates() {
    let mut record = record(vec![attempt("openai", "success")]);
    record.decision.strategy = "adaptive";
    record.decision.candidates = vec![
        candidate("openai", Some("a"), None, "circuit open"),
        candidate("openai", Some("b"), None, "cooling: rate limited"),
        candidate("openai", Some("main"), Some(0.625), CHOSEN),
        candidate("openai", Some("d"), Some(0.375), READY),
        candidate("anthropic", None, None, STANDS_BEHIND),
    ];
    record.decision.more_candidates = 2;
    let told = explain(&record).decision;
    has(&told, "Among keys the strategy adaptive chose.");
    has(&told, "openai/m with the key a: not possible, circuit open.");
    has(&told, "openai/m with the key b: not possible, cooling: rate limited.");
    has(&told, "openai/m with the key main: chosen, 62 % of the choices at that moment.");
    has(&told, "openai/m with the key d: could have been chosen, 38 % of the choices at that moment.");
    has(&told, "anthropic/m: stands behind, for when those before it fail.");
    has(&told, "2 more are not listed.");
}

#[test]
fn a_target_that_was_passed_over_says_why() {
    let skipped = AttemptRecord::skipped(&"openai".into(), &"m".into(), "overloaded", "every place is taken");
    let told = explain(&record(vec![skipped, attempt("anthropic", "success")]));
    has(&told.attempts, "openai/m was passed over (overloaded): every place is taken.");
    assert_eq!(told.summary, "Answered with 200 after 902 ms by anthropic/m with the key main.");
}

#[test]
fn a_refused_budget_says_whose_and_how_much() {
    let mut record = record(Vec::new());
    error(
        &mut record,
        402,
        "budget_exceeded",
        "virtual key vk-1 budget exceeded: 10 of 10 dollars used per 1d.",
    );
    let limit =
        |what, used, max, refused| LimitSeen { owner: "virtual_key:vk-1".into(), what, used, max, refused };
    record.decision.limits = vec![
        limit("budget", 10_000_000_000, 10_000_000_000, true),
        limit("input_tokens", 500, 1_000, false),
        limit("concurrency", 2, 2, false),
    ];
    let told = explain(&record);
    assert_eq!(
        told.summary,
        "Refused with 402 after 902 ms, and nobody was asked: virtual key vk-1 budget exceeded: 10 of 10 dollars used per 1d."
    );
    has(&told.limits, "virtual_key:vk-1 had taken $10 of $10 of the budget: refused.");
    has(&told.limits, "virtual_key:vk-1 had taken 500 of 1000 input tokens.");
    has(&told.limits, "virtual_key:vk-1 had taken 2 of 2 requests at once.");
    assert!(told.attempts.is_empty() && told.decision.is_empty(), "{told:#?}");
}

#[test]
fn a_hedge_tells_who_lost_and_what_that_cost() {
    let mut lost = failed("openai", "hedge_lost", 200, "the other of two attempts was ahead");
    let spent = Spent { input_tokens: 9, output_tokens: 0, cost_nanos: Some(1_350), unpriced: false };
    lost.spent = Some(spent);
    let mut record = record(vec![lost, attempt("anthropic", "success")]);
    (record.cost_nanos, record.usage) = (Some(3_350), Some(Usage { output: 5, ..Usage::default() }));
    let told = explain(&record);
    assert!(
        told.attempts[0].ends_with("; cancelled after 900 ms, because the other of two attempts was ahead."),
        "{told:#?}"
    );
    assert_eq!(
        told.summary, "Answered with 200 after 902 ms by anthropic/m with the key main.",
        "who loses a race has not failed"
    );
    has(&told.cost, "It cost $0.00000335.");
    has(
        &told.cost,
        "$0.00000135 of it for the attempt at openai/m with the key main, which ended as hedge_lost.",
    );
}

#[test]
fn a_recovered_stream_tells_of_both_attempts() {
    let mut broken = failed("openai", "bad_answer", 200, "the stream was cut short");
    broken.phases.first_token_us = Some(500_000);
    let unable = AttemptRecord::skipped(
        &"cohere".into(),
        &"m".into(),
        "cannot_continue",
        "its model is not known to go on with an answer",
    );
    let mut second = attempt("anthropic", "success");
    second.phases.delayed_us = Some(250_000);
    let told = explain(&record(vec![broken, unable, second]));
    assert!(told.attempts[0].contains("first token 83.5 ms later; failed"), "{told:#?}");
    assert!(told.attempts[1].contains("passed over (cannot_continue)"), "{told:#?}");
    assert!(
        told.attempts[2].contains("Attempt 2, anthropic/m with the key main: put off for 250 ms"),
        "{told:#?}"
    );
}

#[test]
fn a_grant_a_group_an_alias_and_a_rule_say_what_led_there() {
    let mut record = record(vec![attempt("openai", "success")]);
    for (led_by, text) in [
        (LedBy::Grant, "`fast` names no provider: the virtual key chose among those that it may use."),
        (LedBy::Group, "`fast` is a group of models."),
        (LedBy::Alias, "`fast` is another name of a model, and that is where it went."),
        (LedBy::Path, "The path names the provider: nothing else was looked at."),
    ] {
        record.decision.led_by = led_by;
        has(&explain(&record).decision, text);
    }
    record.decision.led_by = LedBy::Rule;
    record.decision.rule = Some("cheap at night".into());
    let told = explain(&record).decision;
    has(&told, "A rule said where it goes.");
    has(&told, "The rule `cheap at night` was the first that matched.");
    record.decision.candidates = vec![candidate("cohere", None, None, "model_blocked")];
    has(&explain(&record).decision, "cohere/m: not possible, model_blocked.");
}

#[test]
fn a_model_that_nobody_has_is_refused_before_anything_is_decided() {
    let mut record = record(Vec::new());
    error(&mut record, 404, "model_not_found", "no configured provider has the model `fast`");
    let told = explain(&record);
    assert_eq!(
        told.summary,
        "Refused with 404 after 902 ms, and nobody was asked: no configured provider has the model `fast`."
    );
    assert!(told.decision.is_empty());
}

#[test]
fn all_attempts_failed_is_said_with_the_last_reason() {
    let mut record = record(vec![
        failed("openai", "rate_limited", 429, "slow down"),
        failed("anthropic", "overloaded", 529, "try later"),
    ]);
    error(&mut record, 503, "overloaded", "try later");
    assert_eq!(
        explain(&record).summary,
        "Failed with 503 after 902 ms and 2 attempts that failed: try later (overloaded)."
    );
}

#[test]
fn who_left_and_what_waited_is_told() {
    let mut gone = attempt("openai", "caller_gone");
    gone.phases.queued_us = Some(2_000_000);
    gone.phases.reused = true;
    (gone.phases.connected_us, gone.phases.secured_us) = (None, None);
    let mut record = record(vec![gone]);
    error(&mut record, 499, "caller_gone", "the caller closed the connection");
    record.queued_us = Some(2_000_000);
    let told = explain(&record);
    assert_eq!(told.summary, "The caller left after 902 ms, before the answer was complete.");
    assert!(
        told.attempts[0]
            .contains("waited 2.00 s for a place, began at 1.0 ms, over a pooled connection, sent in"),
        "{told:#?}"
    );
    assert!(told.attempts[0].contains("cut off after 900 ms, because the caller left"), "{told:#?}");
    has(&told.time, "2.00 s in queues for places at providers.");
}

#[test]
fn the_cost_is_told_line_by_line_with_its_price() {
    use crate::account::prices::{Quote, Source};
    use govern::price::Uplifts;

    let price = govern::catalog::embedded().price("openai", "gpt-4o-mini").unwrap().clone();
    let quote = Quote { price, source: Source::Catalog, place: Uplifts::default() };
    let usage = Usage { input_uncached: 1_000, output: 100, ..Usage::default() };
    let mut record = record(vec![attempt("openai", "success")]);
    record.charge = Charge::of(&usage, Some(&quote)).map(Box::new);
    (record.usage, record.cost_nanos) = (Some(usage), Some(210_000));
    let told = explain(&record).cost;
    has(&told, "1000 tokens in, 100 out.");
    has(&told, "It cost $0.00021.");
    has(&told, "$0.00015 for 1000 of input, $0.00000015 each at the price that the gateway ships with.");
    (record.charge, record.cost_nanos, record.unpriced, record.usage_estimated) = (None, None, true, true);
    let told = explain(&record).cost;
    has(&told, "Nobody knows what it cost: there is no price for it.");
    has(&told, "1000 tokens in, 100 out (estimated: the provider told nothing).");
}

#[test]
fn a_caller_is_told_with_its_team_and_customer_and_a_copy_as_one() {
    let key = VirtualKey {
        id: "vk-1".into(),
        name: "support bot".into(),
        hashes: Box::default(),
        active: true,
        expires_ms: None,
        team: None,
        customer: None,
        grants: None,
        quotas: Quotas::default(),
        log_content: None,
    };
    let team = Team { id: "t".into(), name: "blue".into(), customer: None, quotas: Quotas::default() };
    let customer = Customer { id: "c".into(), name: "acme".into(), quotas: Quotas::default() };
    let mut record = record(vec![attempt("openai", "success")]);
    record.caller =
        Some(Caller { key: Arc::new(key), team: Some(Arc::new(team)), customer: Some(Arc::new(customer)) });
    record.mirror_of = Some("other".into());
    let told = explain(&record).asked;
    has(&told, "Asked with the virtual key support bot, team blue, customer acme.");
    has(&told, "It is a copy of the request other: nobody waits for its answer.");
    has(&told, "Revision 3 of the configuration was in force.");
}

#[test]
fn a_cached_answer_says_so() {
    let mut record = record(Vec::new());
    record.cache_hit = true;
    assert_eq!(explain(&record).summary, "Answered with 200 after 902 ms, from the cache.");
}
