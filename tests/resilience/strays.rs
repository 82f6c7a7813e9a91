//! Answers that break HTTP, or say more than was asked: row 18. None of it reaches a caller.

use crate::rig::{Rig, each_tagged, tag};
use crate::support::answers::{chunk, end, events, head, open_stream, raw_answer, stream, whole};
use crate::support::upstream::{Act, Hit, Script};
use std::time::Duration;

fn good(hit: &Hit) -> Script {
    match hit.streams() {
        true => stream(&events(hit.wire(), hit.model()), Duration::ZERO),
        false => {
            raw_answer(200, "application/json", &[], whole(hit.wire(), hit.model()).to_string().as_bytes())
        }
    }
}

/// A whole answer of another request's, as an attacker would leave it on a kept connection.
fn stray(hit: &Hit) -> Vec<u8> {
    let body = whole(hit.wire(), hit.model()).to_string().replace("The answer", "A stray");
    let length = body.len().to_string();
    let mut bytes = head(200, &[("content-type", "application/json"), ("content-length", &length)]);
    bytes.extend_from_slice(body.as_bytes());
    bytes
}

#[test]
fn row_18_bytes_after_an_answer_never_become_the_next_one() {
    let rig = Rig::new(|hit| {
        let mut script = good(hit);
        match (tag(hit), script.last_mut()) {
            // With the last bytes of the answer, or by themselves right after.
            ("with", Some(Act::Send(last))) => last.extend(stray(hit)),
            _ => script.push(Act::Send(stray(hit))),
        }
        script
    });
    for stream in [false, true] {
        each_tagged(stream, &["with", "after"], |case| {
            for nth in 1..=8 {
                let told = rig.ask_alone(case);
                rig.expect_primary(case, &told);
                assert!(rig.hits(case).len() >= nth, "an answer that nobody was asked for");
            }
        });
    }
}

#[test]
fn row_18_an_answer_longer_than_it_said_is_cut_and_its_rest_is_nobodys() {
    let rig = Rig::new(|hit| {
        if hit.nth > 1 {
            return good(hit);
        }
        let body = whole(hit.wire(), hit.model()).to_string();
        let mut bytes = head(200, &[("content-type", "application/json"), ("content-length", "40")]);
        bytes.extend_from_slice(body.as_bytes());
        bytes.extend(stray(hit));
        vec![Act::Send(bytes)]
    });
    each_tagged(false, &["longer"], |case| {
        let told = rig.ask_alone(case);
        rig.expect_primary(case, &told);
        rig.expect_attempts(case, &told, &[(case.primary(), "bad_answer"), (case.primary(), "success")]);
    });
}

const BROKEN: [&str; 5] = ["size", "minus", "head", "endless", "redirect"];

fn broken(hit: &Hit) -> Script {
    let kind = if hit.streams() { "text/event-stream" } else { "application/json" };
    let chunked = [("content-type", kind), ("transfer-encoding", "chunked")];
    match tag(hit) {
        "size" => vec![Act::Send(head(200, &chunked)), Act::Send(b"zz\r\nno chunk\r\n0\r\n\r\n".to_vec())],
        "minus" => vec![Act::Send(head(200, &chunked)), Act::Send(b"-5\r\nhello\r\n0\r\n\r\n".to_vec())],
        "head" => {
            let ballast = "b".repeat(2 << 20);
            vec![Act::Send(head(200, &[("x-ballast", &ballast)])), Act::Close]
        }
        // One event that never ends: 18 MB of it.
        "endless" if hit.streams() => {
            let mut script = open_stream(&events(hit.wire(), hit.model())[..1], Duration::ZERO);
            script.push(chunk("data: "));
            script.extend((0..18).map(|_| chunk(vec![b'x'; 1 << 20])));
            script.push(end());
            script
        }
        // Another host's answer is not this provider's.
        _ => raw_answer(302, "text/plain", &[("location", "http://127.0.0.1:9/elsewhere")], b""),
    }
}

#[test]
fn row_18_what_is_no_http_or_never_ends_is_answered_by_the_fallback() {
    let rig = Rig::new(broken);
    for stream in [false, true] {
        each_tagged(stream, &BROKEN, |case| {
            let told = rig.ask(case);
            rig.expect_backup(case, &told);
            // Megabytes may take a busy machine longer than a first token.
            let attempts = told.attempts();
            let known = ["bad_answer", "server_error", "ttft_timeout", "timeout"];
            let faults = &attempts[..attempts.len() - 1];
            let fault =
                |fault: &String| known.iter().any(|known| *fault == format!("{} {known}", case.primary()));
            assert!((1..=3).contains(&faults.len()) && faults.iter().all(fault), "{attempts:?}");
        });
    }
    rig.expect_alive();
}

#[test]
fn row_18_a_stream_where_a_whole_answer_was_asked_for_is_a_bad_answer() {
    let rig = Rig::new(|hit| stream(&events(hit.wire(), hit.model()), Duration::ZERO));
    each_tagged(false, &["streamed"], |case| {
        let told = rig.ask(case);
        rig.expect_backup(case, &told);
        let bad = (case.primary(), "bad_answer");
        rig.expect_attempts(case, &told, &[bad, bad, bad, (case.backup(), "success")]);
    });
}
