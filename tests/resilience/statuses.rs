//! Error statuses: rows 1 to 4, 12, 13, 16, 17 and 19.

use std::time::Duration;

use serde_json::json;

use crate::rig::{Rig, backup_model, each, request};
use crate::support::answers::{USAGE, healthy, raw_answer, refusal};
use crate::support::client::Request;
use crate::support::upstream::{Hit, Script, Upstream};
use crate::support::{Wire, for_each};

fn limited(hit: &Hit, headers: &[(&str, &str)]) -> Script {
    refusal(hit, 429, "rate_limit_exceeded", "slow down", headers)
}

fn overloaded(hit: &Hit) -> Script {
    refusal(hit, 503, "overloaded_error", "at capacity", &[])
}

#[test]
fn row_01_rate_limit_with_retry_after_is_waited_out_on_a_single_key() {
    let rig = Rig::new(|hit| if hit.nth == 1 { limited(hit, &[("retry-after", "2")]) } else { healthy(hit) });
    each(|case| {
        let told = rig.ask_alone(case);
        rig.expect_primary(case, &told);
        rig.expect_attempts(case, &told, &[(case.primary(), "rate_limit"), (case.primary(), "success")]);
        let hits = rig.hits(case);
        assert_eq!(hits.len(), 2);
        let wait = hits[1].at.duration_since(hits[0].at);
        assert!(wait >= Duration::from_secs(2) && wait < Duration::from_millis(2_800), "waited {wait:?}");
        assert_eq!(hits[0].body, hits[1].body);
    });
}

#[test]
fn row_01_rate_limit_with_retry_after_moves_to_another_key_at_once() {
    let keys = ["key-a", "key-b", "key-c"];
    let rig = Rig::with_keys(&keys, |hit| {
        if hit.nth == 1 { limited(hit, &[("retry-after", "2")]) } else { healthy(hit) }
    });
    each(|case| {
        let told = rig.ask(case);
        rig.expect_primary(case, &told);
        rig.expect_attempts(case, &told, &[(case.primary(), "rate_limit"), (case.primary(), "success")]);
        assert_eq!(rig.ask(case).status(), 200);
        assert_eq!(rig.ask(case).status(), 200);
        let hits = rig.hits(case);
        assert_eq!(hits.len(), 4);
        let gap = hits[1].at.duration_since(hits[0].at);
        assert!(gap < Duration::from_millis(700), "the other key was asked after {gap:?}");
        let again = hits[1..].iter().filter(|hit| hit.key() == hits[0].key()).count();
        assert_eq!(again, 0, "the limited key was asked again inside 1.5 s");
        assert!(rig.backup_hits(case).is_empty());
    });
}

#[test]
fn row_02_rate_limit_for_ever_backs_off_at_most_three_times_then_falls_back() {
    let rig = Rig::new(|hit| limited(hit, &[]));
    each(|case| {
        let told = rig.ask(case);
        rig.expect_backup(case, &told);
        let limited = (case.primary(), "rate_limit");
        rig.expect_attempts(case, &told, &[limited, limited, limited, (case.backup(), "success")]);
        let hits = rig.hits(case);
        let gaps: Vec<Duration> = hits.windows(2).map(|pair| pair[1].at.duration_since(pair[0].at)).collect();
        assert!(gaps[0] >= Duration::from_millis(48) && gaps[1] > gaps[0], "waits {gaps:?}");
    });
}

#[test]
fn row_03_a_single_500_is_retried_once_on_the_same_target() {
    let rig = Rig::new(|hit| match hit.nth {
        1 => refusal(hit, 500, "server_error", "oops", &[]),
        _ => healthy(hit),
    });
    each(|case| {
        let told = rig.ask(case);
        rig.expect_primary(case, &told);
        rig.expect_attempts(case, &told, &[(case.primary(), "server_error"), (case.primary(), "success")]);
        assert_eq!(rig.hits(case).len(), 2);
        assert_eq!(rig.hits(case)[0].body, rig.hits(case)[1].body);
        assert!(rig.backup_hits(case).is_empty());
    });
}

#[test]
fn row_04_503_for_ever_is_tried_three_times_then_the_fallback_answers() {
    let rig = Rig::new(overloaded);
    each(|case| {
        let told = rig.ask(case);
        rig.expect_backup(case, &told);
        let busy = (case.primary(), "overloaded");
        rig.expect_attempts(case, &told, &[busy, busy, busy, (case.backup(), "success")]);
        assert_eq!(rig.hits(case).len(), 3);
    });
}

#[test]
fn row_04_an_error_status_without_a_body_is_an_error_all_the_same() {
    let rig = Rig::new(|_| raw_answer(503, "text/plain", &[], b""));
    each(|case| {
        let told = rig.ask(case);
        rig.expect_backup(case, &told);
        let busy = (case.primary(), "overloaded");
        rig.expect_attempts(case, &told, &[busy, busy, busy, (case.backup(), "success")]);
    });
}

#[test]
fn row_04_503_without_a_fallback_gives_the_caller_the_providers_own_error() {
    let rig = Rig::new(overloaded);
    each(|case| {
        let told = rig.ask_alone(case);
        assert_eq!(told.status(), 503, "{}", told.response.text());
        assert_eq!(told.error_message(), "at capacity");
        let busy = (case.primary(), "overloaded");
        rig.expect_attempts(case, &told, &[busy, busy, busy]);
        rig.expect_failed(&told, "overloaded");
    });
}

#[test]
fn row_12_context_length_is_not_tried_again_but_a_fallback_is() {
    let rig = Rig::new(too_long);
    each(|case| {
        let told = rig.ask(case);
        rig.expect_backup(case, &told);
        rig.expect_attempts(case, &told, &[(case.primary(), "context_length"), (case.backup(), "success")]);
        assert_eq!(rig.hits(case).len(), 1);

        let alone = rig.ask_alone(case);
        assert_eq!(alone.status(), 400);
        assert!(alone.error_message().contains("200000"), "{}", alone.response.text());
        assert_eq!(rig.hits(case).len(), 2);
        rig.expect_failed(&alone, "context_length");
    });
}

fn too_long(hit: &Hit) -> Script {
    match hit.wire() {
        Wire::OpenAi => refusal(
            hit,
            400,
            "context_length_exceeded",
            "This model's maximum context length is 200000 tokens.",
            &[],
        ),
        Wire::Anthropic => refusal(
            hit,
            400,
            "invalid_request_error",
            "prompt is too long: 210000 tokens > 200000 maximum",
            &[],
        ),
    }
}

#[test]
fn row_13_content_policy_is_neither_retried_nor_routed_around() {
    let rig = Rig::new(|hit| match hit.wire() {
        Wire::OpenAi => refusal(hit, 400, "content_policy_violation", "Rejected by our safety system.", &[]),
        Wire::Anthropic => {
            refusal(hit, 400, "invalid_request_error", "Output blocked by content filtering policy", &[])
        }
    });
    each(|case| {
        let told = rig.ask(case);
        assert_eq!(told.status(), 400);
        let reason = match case.primary {
            Wire::OpenAi => "Rejected by our safety system.",
            Wire::Anthropic => "Output blocked by content filtering policy",
        };
        assert_eq!(told.error_message(), reason);
        rig.expect_attempts(case, &told, &[(case.primary(), "content_policy")]);
        rig.expect_failed(&told, "content_policy");
        assert_eq!((rig.hits(case).len(), rig.backup_hits(case).len()), (1, 0));
    });
}

#[test]
fn row_16_only_the_fallback_that_answered_is_named_and_billed() {
    let rig = Rig::new(overloaded);
    each(|case| {
        let told = rig.ask(case);
        rig.expect_backup(case, &told);
        let model = backup_model(case);
        assert_eq!(told.extra()["resolved_model_used"], json!(model));
        if !case.stream || case.caller == Wire::Anthropic {
            assert_eq!(told.output_tokens(), Some(USAGE.1));
        }
        let line = rig.gateway.request_line(told.id());
        assert_eq!((&line["input_tokens"], &line["output_tokens"]), (&json!(USAGE.0), &json!(USAGE.1)));
        let billed = |model: &str| rig.gateway.metric("bifrost_output_tokens_total", &[("model", model)]);
        assert_eq!((billed(&model), billed(&case.model())), (USAGE.1 as f64, 0.0));
    });
}

#[test]
fn row_17_a_refused_key_cools_down_in_sight_while_the_others_serve() {
    let rig = Rig::with_keys(&["key-a", "key-b", "key-c"], |hit| match (hit.key(), hit.wire()) {
        ("key-a", Wire::OpenAi) => refusal(hit, 401, "invalid_api_key", "no such key", &[]),
        ("key-a", Wire::Anthropic) => refusal(hit, 403, "permission_error", "not allowed", &[]),
        _ => healthy(hit),
    });
    for_each(&[(Wire::OpenAi, "oa"), (Wire::Anthropic, "an")], |(wire, provider)| {
        for nth in 0..40 {
            let body = request(&format!("{provider}/some-model"), nth % 2 == 0);
            let answer = rig.gateway.ask(&Request::json(wire.path(), &body));
            assert_eq!(answer.status(), 200, "{}", answer.text());
        }
        let hits: Vec<Hit> = rig.primary.hits().into_iter().filter(|hit| hit.wire() == wire).collect();
        let of = |key: &str| hits.iter().filter(|hit| hit.key() == key).count();
        assert_eq!(of("key-a"), 1, "the refused key was asked again");
        assert!(of("key-b") > 5 && of("key-c") > 5, "{} and {}", of("key-b"), of("key-c"));
        let health = rig.gateway.health();
        let keys = health["keys"].as_array().unwrap();
        let ill = |key: &str| {
            let entry = keys.iter().find(|entry| entry["provider"] == provider && entry["key"] == key);
            let entry = entry.unwrap_or_else(|| panic!("{key} of {provider} in {health}"));
            (entry["status"].clone(), entry["cooling"][0]["reason"].clone())
        };
        // What a key may not do (403) concerns the model that was asked for.
        let whole = wire == Wire::OpenAi;
        assert_eq!(ill("key-a"), (json!(if whole { "cooling" } else { "ready" }), json!("refused")));
        assert_eq!(ill("key-b").0, "ready");
        let healthy =
            |key| rig.gateway.metric("bifrost_key_healthy", &[("provider", provider), ("key", key)]);
        let key_a = if whole { 0.0 } else { 1.0 };
        assert_eq!((healthy("key-a"), healthy("key-b"), healthy("key-c")), (key_a, 1.0, 1.0));
    });
}

#[test]
fn row_19_twenty_megabytes_are_sent_again_whole_to_the_next_target() {
    let primary = Upstream::start(|hit| refusal(hit, 529, "overloaded_error", "at capacity", &[]));
    let url = primary.url();
    let rig = Rig::with_network(primary, &["k"], |name| {
        let url = if name.ends_with("backup") { None } else { Some(url.as_str()) };
        (url, json!({"default_request_timeout_in_seconds": 30}))
    });
    let text = "All work and no play. ".repeat(20 * 1024 * 1024 / 22);
    for_each(
        &[(Wire::OpenAi, "oa", "oa-backup"), (Wire::Anthropic, "an", "oa-backup")],
        |(wire, first, next)| {
            let mut body = request(&format!("{first}/large"), false);
            body["messages"][0]["content"] = json!(text);
            body["fallbacks"] = json!([format!("{next}/large-{first}")]);
            let answer = rig.gateway.ask(&Request::json(wire.path(), &body));
            assert_eq!(answer.status(), 200, "{}", answer.text());
            let asked: Vec<Hit> =
                rig.primary.hits_for("large").into_iter().filter(|hit| hit.wire() == wire).collect();
            assert_eq!(asked.len(), 3);
            let answered = rig.backup.hits_for(&format!("large-{first}"));
            assert_eq!(answered.len(), 1);
            for hit in asked.iter().chain(&answered) {
                assert!(hit.json["messages"][0]["content"] == json!(text), "the body was not whole");
            }
        },
    );
}
