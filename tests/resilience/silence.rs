//! Upstreams that are slow or silent: rows 6, 7 and 20.

use std::time::Duration;

use serde_json::json;

use crate::rig::{Rig, each, each_stream, each_tagged, each_whole, tag};
use crate::support::answers::{after_two_words, chunk, events, head, open_stream, stream_head, whole};
use crate::support::upstream::{Act, Hit, Upstream};

const TTFT: Duration = Duration::from_millis(600);
const REQUEST: Duration = Duration::from_millis(1_500);
/// The limits are kept this well on a busy machine.
const SLACK: Duration = Duration::from_millis(900);

fn expect_between(took: Duration, from: Duration) {
    assert!(took >= from && took < from + SLACK, "took {took:?}, the limit is {from:?}");
}

#[test]
fn row_06_a_silent_target_times_out_on_time_and_is_not_tried_again() {
    let rig = Rig::new(|_| vec![Act::Hold]);
    each(|case| {
        let told = rig.ask(case);
        rig.expect_backup(case, &told);
        let (label, limit) = if case.stream { ("ttft_timeout", TTFT) } else { ("timeout", REQUEST) };
        rig.expect_attempts(case, &told, &[(case.primary(), label), (case.backup(), "success")]);
        expect_between(told.took, limit);
        assert_eq!(rig.hits(case).len(), 1);
    });
}

#[test]
fn row_06_a_silent_target_without_a_fallback_is_a_504() {
    let rig = Rig::new(|_| vec![Act::Hold]);
    each(|case| {
        let told = rig.ask_alone(case);
        assert_eq!(told.status(), 504, "{}", told.response.text());
        assert!(!told.error_message().is_empty());
        rig.expect_failed(&told, if case.stream { "ttft_timeout" } else { "timeout" });
        assert_eq!(rig.hits(case).len(), 1);
    });
}

#[test]
fn row_07_headers_without_a_token_are_given_up_at_the_ttft_limit() {
    let rig = Rig::new(|hit| {
        let mut script = match tag(hit) {
            // Signs of life are no tokens.
            "prelude" => open_stream(&events(hit.wire(), hit.model())[..1], Duration::ZERO),
            _ => vec![stream_head()],
        };
        if tag(hit) == "comments" {
            for _ in 0..60 {
                script.extend([chunk(": still here\n\n"), Act::Pause(Duration::from_millis(100))]);
            }
        }
        script.push(Act::Hold);
        script
    });
    each_tagged(true, &["silent", "prelude", "comments"], |case| {
        let told = rig.ask(case);
        rig.expect_backup(case, &told);
        rig.expect_attempts(case, &told, &[(case.primary(), "ttft_timeout"), (case.backup(), "success")]);
        expect_between(told.took, TTFT);
        assert_eq!(rig.hits(case).len(), 1);
    });
}

#[test]
fn row_07_headers_without_a_body_are_given_up_at_the_request_limit() {
    let rig = Rig::new(|_| {
        vec![
            Act::Send(head(200, &[("content-type", "application/json"), ("content-length", "90")])),
            Act::Hold,
        ]
    });
    each_whole(|case| {
        let told = rig.ask(case);
        rig.expect_backup(case, &told);
        rig.expect_attempts(case, &told, &[(case.primary(), "timeout"), (case.backup(), "success")]);
        expect_between(told.took, REQUEST);
    });
}

#[test]
fn the_first_byte_limit_does_not_cut_a_whole_answer_that_began() {
    let primary = Upstream::start(|hit| {
        let body = whole(hit.wire(), hit.model()).to_string();
        let length = body.len().to_string();
        let head = head(200, &[("content-type", "application/json"), ("content-length", &length)]);
        vec![Act::Send(head), Act::Pause(Duration::from_millis(700)), Act::Send(body.into_bytes())]
    });
    let url = primary.url();
    let rig = Rig::with_network(primary, &["k"], |name| {
        let url = if name.ends_with("backup") { None } else { Some(url.as_str()) };
        (url, json!({"first_byte_timeout_in_seconds": 0.4}))
    });
    each_whole(|case| {
        let told = rig.ask(case);
        rig.expect_primary(case, &told);
    });
}

/// Bytes one at a time, for longer than any limit.
fn dribble(bytes: &[u8]) -> impl Iterator<Item = Act> {
    bytes
        .iter()
        .flat_map(|byte| [Act::Send(vec![*byte]), Act::Pause(Duration::from_millis(60))])
        .collect::<Vec<_>>()
        .into_iter()
}

#[test]
fn row_20_a_whole_answer_at_a_byte_a_time_is_given_up_at_the_request_limit() {
    let rig = Rig::new(|hit| {
        let body = whole(hit.wire(), hit.model()).to_string();
        let length = body.len().to_string();
        let head = head(200, &[("content-type", "application/json"), ("content-length", &length)]);
        let mut script = vec![Act::Send(head)];
        script.extend(dribble(body.as_bytes()));
        script
    });
    each_whole(|case| {
        let told = rig.ask(case);
        rig.expect_backup(case, &told);
        rig.expect_attempts(case, &told, &[(case.primary(), "timeout"), (case.backup(), "success")]);
        expect_between(told.took, REQUEST);
    });
}

#[test]
fn row_20_a_stream_at_a_byte_a_time_is_given_up_before_or_after_its_first_token() {
    let rig = Rig::new(|hit| {
        let frames = events(hit.wire(), hit.model());
        let from = if tag(hit) == "late" { after_two_words(hit.wire()) } else { 0 };
        let head = head(200, &[("content-type", "text/event-stream"), ("connection", "close")]);
        let mut script = vec![Act::Send(head), Act::Send(frames[..from].concat().into_bytes())];
        script.extend(dribble(frames[from..].concat().as_bytes()));
        script.push(Act::Close);
        script
    });
    each_tagged(true, &["early"], |case| {
        let told = rig.ask(case);
        rig.expect_backup(case, &told);
        rig.expect_attempts(case, &told, &[(case.primary(), "ttft_timeout"), (case.backup(), "success")]);
        expect_between(told.took, TTFT);
    });
    each_tagged(true, &["late"], |case| {
        let told = rig.ask(case);
        assert_eq!(told.text(), "The answer");
        assert!(!told.terminated && told.error().is_some(), "{}", told.response.text());
        rig.expect_failed(&told, "idle_timeout");
    });
}

/// Small whole frames, ten a second: never silent, and far below the configured pace.
fn trickle(hit: &Hit) -> Vec<Act> {
    let comments = || (0..80).flat_map(|_| [chunk(": .\n\n"), Act::Pause(Duration::from_millis(100))]);
    let frames = events(hit.wire(), hit.model());
    let from = if tag(hit) == "late" { after_two_words(hit.wire()) } else { 0 };
    let mut script = open_stream(&frames[..from], Duration::ZERO);
    script.extend(comments());
    script.push(Act::Close);
    script
}

#[test]
fn row_20_a_stream_below_the_minimum_rate_is_given_up_though_it_is_never_silent() {
    let span = Duration::from_millis(700);
    let primary = Upstream::start(trickle);
    let url = primary.url();
    let rig = Rig::with_network(primary, &["k"], |name| {
        let url = if name.ends_with("backup") { None } else { Some(url.as_str()) };
        (
            url,
            json!({"min_bytes_per_second": 2000, "stream_idle_timeout_in_seconds": span.as_secs_f64(),
                "ttft_timeout_in_seconds": 30, "max_retries": 0}),
        )
    });
    each_tagged(true, &["early"], |case| {
        let told = rig.ask(case);
        rig.expect_backup(case, &told);
        rig.expect_attempts(case, &told, &[(case.primary(), "idle_timeout"), (case.backup(), "success")]);
        expect_between(told.took, span);
    });
    each_tagged(true, &["late"], |case| {
        let told = rig.ask(case);
        assert_eq!(told.text(), "The answer");
        assert!(!told.terminated && told.error().is_some(), "{}", told.response.text());
        rig.expect_failed(&told, "idle_timeout");
    });
}

#[test]
fn a_slow_but_steady_stream_outlives_every_limit_but_the_idle_one() {
    let rig = Rig::new(|hit| {
        crate::support::answers::stream(&events(hit.wire(), hit.model()), Duration::from_millis(220))
    });
    each_stream(|case| {
        let told = rig.ask(case);
        rig.expect_primary(case, &told);
        assert!(told.took > REQUEST);
    });
}
