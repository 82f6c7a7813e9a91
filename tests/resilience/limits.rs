//! What else bounds or steers the attempts of a request.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::rig::{Rig, each, each_whole, request};
use crate::support::answers::{healthy, refusal};
use crate::support::client::Request;
use crate::support::upstream::{Act, Upstream};

#[test]
fn the_total_limit_ends_all_attempts() {
    let primary = Upstream::start(|_| vec![Act::Hold]);
    let url = primary.url();
    let rig = Rig::with_network(primary, &["k"], |name| {
        let url = if name.ends_with("backup") { None } else { Some(url.as_str()) };
        (url, json!({"total_timeout_in_seconds": 0.4}))
    });
    each(|case| {
        let told = rig.ask(case);
        assert_eq!(told.status(), 504, "{}", told.response.text());
        rig.expect_attempts(case, &told, &[(case.primary(), "total_timeout")]);
        rig.expect_failed(&told, "total_timeout");
        assert!(told.took >= Duration::from_millis(400) && told.took < Duration::from_millis(1_200));
        assert!(rig.backup_hits(case).is_empty());
    });
}

#[test]
fn the_total_limit_ends_a_back_off_too() {
    let primary =
        Upstream::start(|hit| refusal(hit, 429, "rate_limit_exceeded", "slow down", &[("retry-after", "2")]));
    let url = primary.url();
    let rig = Rig::with_network(primary, &["k"], |name| {
        let url = if name.ends_with("backup") { None } else { Some(url.as_str()) };
        (url, json!({"total_timeout_in_seconds": 0.5}))
    });
    each_whole(|case| {
        let told = rig.ask_alone(case);
        rig.expect_failed(&told, "total_timeout");
        assert_eq!(told.status(), 504, "{}", told.response.text());
        assert!(told.took < Duration::from_millis(1_400), "{:?}", told.took);
        assert_eq!(rig.hits(case).len(), 1);
    });
}

#[test]
fn a_provider_that_forbids_a_retry_is_not_asked_again() {
    let rig = Rig::new(|hit| refusal(hit, 500, "server_error", "do not", &[("x-should-retry", "false")]));
    each(|case| {
        let told = rig.ask(case);
        rig.expect_backup(case, &told);
        rig.expect_attempts(case, &told, &[(case.primary(), "server_error"), (case.backup(), "success")]);
    });
}

#[test]
fn a_caller_that_leaves_during_a_back_off_is_not_waited_for() {
    let rig = Rig::new(|hit| refusal(hit, 429, "rate_limit_exceeded", "slow down", &[("retry-after", "3")]));
    each(|case| {
        let mut body = request(&format!("{}/{}", case.primary(), case.model()), case.stream);
        body["fallbacks"] = json!([]);
        let id = format!("impatient-{}", case.model());
        let mut caller = rig.gateway.connect();
        caller.send(&Request::json(case.caller.path(), &body).header("x-request-id", &id)).unwrap();
        rig.primary
            .wait_for("the request", |hits| hits.iter().find(|hit| hit.model() == case.model()).map(drop));
        let left_at = Instant::now();
        drop(caller);
        let line = rig.gateway.request_line(&id);
        assert!(left_at.elapsed() < Duration::from_millis(1_500), "{line}");
        assert_eq!((&line["status"], &line["error"]["type"]), (&json!(499), &json!("caller_gone")), "{line}");
        assert_eq!(rig.hits(case).len(), 1);
    });
}

#[test]
fn an_early_hint_is_no_answer_and_does_not_stop_a_retry() {
    let rig = Rig::new(|hit| {
        let mut script = vec![Act::Send(b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n".to_vec())];
        match hit.nth {
            1 => script.push(Act::Reset),
            _ => script.extend(healthy(hit)),
        }
        script
    });
    each(|case| {
        let told = rig.ask(case);
        rig.expect_primary(case, &told);
        rig.expect_attempts(case, &told, &[(case.primary(), "reset"), (case.primary(), "success")]);
    });
}

#[test]
fn a_retry_after_beyond_the_callers_patience_is_handed_on_and_the_target_left_alone() {
    let rig =
        Rig::new(|hit| refusal(hit, 429, "rate_limit_exceeded", "slow down", &[("retry-after", "100")]));
    each(|case| {
        let told = rig.ask_alone(case);
        assert_eq!((told.status(), told.response.header("retry-after")), (429, Some("100")));
        assert_eq!(told.error_message(), "slow down");
        rig.expect_attempts(case, &told, &[(case.primary(), "rate_limit")]);

        let again = rig.ask_alone(case);
        assert_eq!(again.status(), 429);
        let wait: u64 = again.response.header("retry-after").unwrap().parse().unwrap();
        assert!((90..=100).contains(&wait), "retry-after {wait}");
        rig.expect_backup(case, &rig.ask(case));
        assert_eq!(rig.hits(case).len(), 1, "a limited target was asked again");
    });
}
