//! Answers that come compressed although plain ones were asked for: row 25b.

use std::io::Write;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use serde_json::json;

use crate::rig::{Rig, each, each_tagged, provider, tag};
use crate::support::Wire;
use crate::support::answers::{chunk, end, error_body, events, head, raw_answer, whole};
use crate::support::gateway::Gateway;
use crate::support::upstream::{Act, Hit, Script, Upstream};

fn packed(coding: &str, plain: &[u8]) -> Vec<u8> {
    if coding == "deflate" {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(plain).unwrap();
        return encoder.finish().unwrap();
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

/// Each event flushed by itself, in chunks that cut it.
fn stream(hit: &Hit) -> Script {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let head = [
        ("content-type", "text/event-stream"),
        ("content-encoding", "gzip"),
        ("transfer-encoding", "chunked"),
    ];
    let mut script = vec![Act::Send(crate::support::answers::head(200, &head))];
    for event in events(hit.wire(), hit.model()) {
        encoder.write_all(event.as_bytes()).unwrap();
        encoder.flush().unwrap();
        script.extend(std::mem::take(encoder.get_mut()).chunks(11).map(chunk));
    }
    script.extend([chunk(encoder.finish().unwrap()), end()]);
    script
}

fn answer(hit: &Hit) -> Script {
    if hit.streams() {
        return stream(hit);
    }
    let coding = tag(hit);
    let body = packed(coding, whole(hit.wire(), hit.model()).to_string().as_bytes());
    raw_answer(200, "application/json", &[("content-encoding", coding)], &body)
}

#[test]
fn row_25b_compressed_answers_arrive_whole() {
    let rig = Rig::new(answer);
    for (stream, tags) in [(false, &["gzip", "deflate"][..]), (true, &["gzip"][..])] {
        each_tagged(stream, tags, |case| {
            let told = rig.ask(case);
            rig.expect_primary(case, &told);
            assert_eq!(told.response.header("content-encoding"), None);
            assert_eq!(rig.hits(case)[0].header("accept-encoding"), Some("identity"));
        });
    }
}

#[test]
fn row_25b_a_compressed_refusal_is_understood() {
    let rig = Rig::new(|hit| {
        let body = error_body(hit.wire(), "context_length_exceeded", "prompt is too long: 300000 tokens");
        let body = packed("gzip", body.to_string().as_bytes());
        raw_answer(400, "application/json", &[("content-encoding", "gzip")], &body)
    });
    each(|case| {
        // Row 12: the fallback is asked.
        let told = rig.ask(case);
        rig.expect_backup(case, &told);
        let told = rig.ask_alone(case);
        assert_eq!((told.status(), told.error_message().contains("prompt is too long")), (400, true));
    });
}

#[test]
fn row_18_a_compressed_answer_that_cannot_be_read_is_a_bad_answer() {
    let rig = Rig::new(|hit| {
        let kind = if hit.streams() { "text/event-stream" } else { "application/json" };
        let coding = tag(hit);
        let length = "24";
        let mut bytes =
            head(200, &[("content-type", kind), ("content-encoding", coding), ("content-length", length)]);
        bytes.extend_from_slice(b"this is of no coding....");
        vec![Act::Send(bytes)]
    });
    for stream in [false, true] {
        each_tagged(stream, &["gzip", "br"], |case| {
            let told = rig.ask(case);
            rig.expect_backup(case, &told);
            let bad = (case.primary(), "bad_answer");
            rig.expect_attempts(case, &told, &[bad, bad, bad, (case.backup(), "success")]);
        });
    }
}

#[test]
fn a_passthrough_keeps_the_coding_and_says_so() {
    let bytes = packed("gzip", b"{\"any\": \"thing\"}");
    let upstream = Upstream::start({
        let bytes = bytes.clone();
        move |_| raw_answer(200, "application/json", &[("content-encoding", "gzip")], &bytes)
    });
    let gateway =
        Gateway::start(&json!({"providers": {"openai": provider(Wire::OpenAi, &upstream.url(), &["k"])}}));
    let answer = gateway.get("/openai_passthrough/v1/files");
    assert_eq!((answer.status(), answer.header("content-encoding")), (200, Some("gzip")));
    assert_eq!(answer.body, bytes);
}
