//! A success that is none: row 18.

use crate::rig::{Rig, each_tagged, tag};
use crate::support::Wire;
use crate::support::answers::{chunk, error_body, head, json_answer, raw_answer, whole};
use crate::support::upstream::{Act, Hit, Script};

const HTML: &[u8] = b"<html><body>It works!</body></html>";
const OF_WHOLE: [&str; 7] = ["length", "chunks", "truncated", "html", "errorbody", "empty", "nohttp"];
const OF_STREAM: [&str; 5] = ["html", "errorbody", "empty", "nohttp", "plain"];

fn bad(hit: &Hit) -> Script {
    let body = whole(hit.wire(), hit.model()).to_string();
    match tag(hit) {
        "length" => {
            let longer = (body.len() + 100).to_string();
            let mut bytes = head(200, &[("content-type", "application/json"), ("content-length", &longer)]);
            bytes.extend_from_slice(body.as_bytes());
            vec![Act::Send(bytes), Act::Close]
        }
        "chunks" => {
            let head = head(200, &[("content-type", "application/json"), ("transfer-encoding", "chunked")]);
            vec![Act::Send(head), chunk(&body[..60]), chunk(&body[60..]), Act::Reset]
        }
        "truncated" => raw_answer(200, "application/json", &[], &body.as_bytes()[..body.len() / 2]),
        "html" => raw_answer(200, "text/html", &[], HTML),
        "errorbody" => json_answer(200, &[], &error_body(hit.wire(), "api_error", "it broke")),
        "empty" => {
            raw_answer(200, if hit.streams() { "text/event-stream" } else { "application/json" }, &[], b"")
        }
        // A stream was asked for and a whole answer came.
        "plain" => json_answer(200, &[], &whole(hit.wire(), hit.model())),
        _ => vec![Act::Send(b"SSH-2.0-OpenSSH_9.6\r\n\r\n".to_vec()), Act::Close],
    }
}

#[test]
fn row_18_a_bad_200_is_retried_then_answered_by_the_fallback() {
    let rig = Rig::new(bad);
    for (stream, tags) in [(false, &OF_WHOLE[..]), (true, &OF_STREAM[..])] {
        each_tagged(stream, tags, |case| {
            let told = rig.ask(case);
            rig.expect_backup(case, &told);
            let bad = (case.primary(), "bad_answer");
            rig.expect_attempts(case, &told, &[bad, bad, bad, (case.backup(), "success")]);
        });
    }
    rig.expect_alive();
}

#[test]
fn row_18_a_bad_200_is_never_passed_on_as_a_success() {
    let rig = Rig::new(bad);
    for (stream, tags) in [(false, &OF_WHOLE[..]), (true, &OF_STREAM[..])] {
        each_tagged(stream, tags, |case| {
            let told = rig.ask_alone(case);
            assert!((500..600).contains(&told.status()), "{}: {}", told.status(), told.response.text());
            assert!(!told.error_message().is_empty());
            assert!(!told.response.text().contains("It works!"));
            rig.expect_failed(&told, "bad_answer");
        });
    }
    rig.expect_alive();
}

#[test]
fn row_18_a_rate_limit_under_a_200_is_taken_at_its_word() {
    let rig = Rig::new(|hit| match hit.wire() {
        Wire::OpenAi => json_answer(200, &[], &error_body(hit.wire(), "rate_limit_exceeded", "slow down")),
        Wire::Anthropic => json_answer(200, &[], &error_body(hit.wire(), "rate_limit_error", "slow down")),
    });
    for stream in [false, true] {
        each_tagged(stream, &["plain"], |case| {
            let told = rig.ask_alone(case);
            assert_eq!((told.status(), told.error_message().as_str()), (429, "slow down"));
            rig.expect_failed(&told, "rate_limit");
        });
    }
}
