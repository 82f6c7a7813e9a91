//! An answer larger than anybody's memory: row 21.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::rig::{provider, request};
use crate::support::answers::{end, events, open_stream};
use crate::support::client::Request;
use crate::support::gateway::Gateway;
use crate::support::upstream::{Act, Upstream, find};
use crate::support::{Wire, until};

const MEGABYTE: u64 = 1024 * 1024;
/// What two sockets, three buffers and the allocator may hold, far below what is sent.
const BOUND: u64 = 48 * MEGABYTE;

/// A stream of `megabytes` in words of 64 kB; counts what the gateway took of it.
fn large(wire: Wire, megabytes: usize) -> (Upstream, Arc<AtomicU64>) {
    let taken = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&taken);
    let upstream = Upstream::start(move |hit| {
        let frames = events(wire, hit.model());
        let words = frames.iter().position(|frame| frame.contains("\"The\"")).unwrap();
        let (opening, rest) = frames.split_at(words);
        // The first word of a healthy answer, made long.
        let word = rest[0].replace("\"The\"", &format!("\"{}\"", "x".repeat(64 * 1024)));
        let framed = format!("{:x}\r\n{word}\r\n", word.len()).into_bytes();
        let mut script = open_stream(opening, Duration::ZERO);
        script.push(Act::Repeat(framed, megabytes * 16, Arc::clone(&counted)));
        script.extend(rest.iter().map(crate::support::answers::chunk));
        script.push(end());
        script
    });
    (upstream, taken)
}

fn gateway(wire: Wire, upstream: &Upstream) -> Gateway {
    let mut one = provider(wire, &upstream.url(), &["k"]);
    one["network_config"]["stream_idle_timeout_in_seconds"] = json!(30);
    one["network_config"]["ttft_timeout_in_seconds"] = json!(30);
    Gateway::start(&json!({"providers": {"one": one}}))
}

/// Relayed, and translated.
const WAYS: [(Wire, Wire); 2] = [(Wire::OpenAi, Wire::OpenAi), (Wire::Anthropic, Wire::OpenAi)];

#[test]
fn row_21_a_caller_that_does_not_read_holds_the_provider_back() {
    for (caller, wire) in WAYS {
        let (upstream, taken) = large(wire, 200);
        let gateway = gateway(wire, &upstream);
        let before = gateway.memory_kb() * 1024;
        let mut connection = gateway.connect();
        connection.send(&Request::json(caller.path(), &request("one/m", true))).unwrap();
        assert_eq!(connection.read_head().unwrap().status, 200);
        // Nobody reads on: what is taken comes to a stand, and stays there.
        let mut last = (u64::MAX, Instant::now());
        until("the provider to be held back", || {
            let now = taken.load(Ordering::Relaxed);
            if now != last.0 {
                last = (now, Instant::now());
            }
            (now > 0 && last.1.elapsed() > Duration::from_millis(700)).then_some(())
        });
        let held = taken.load(Ordering::Relaxed);
        assert!(held < BOUND, "{held} bytes were taken for a caller that reads nothing");
        let grown = (gateway.memory_kb() * 1024).saturating_sub(before);
        assert!(grown < BOUND, "{grown} bytes more");
        drop(connection);
        upstream.wait_for("the provider to be left", |hits| hits.first()?.left);
    }
}

#[test]
fn row_21_two_hundred_megabytes_pass_in_bounded_memory() {
    let (upstream, _) = large(Wire::OpenAi, 200);
    let gateway = gateway(Wire::OpenAi, &upstream);
    let before = gateway.memory_kb() * 1024;
    let mut connection = gateway.connect();
    connection.send(&Request::json(Wire::OpenAi.path(), &request("one/m", true))).unwrap();
    assert_eq!(connection.read_head().unwrap().status, 200);
    let (mut total, mut highest, mut end) = (0, 0, Vec::new());
    while let Some(piece) = connection.piece().unwrap() {
        total += piece.len() as u64;
        if piece.len() < 64 * 1024 || total % (8 * MEGABYTE) < 64 * 1024 {
            highest = highest.max(gateway.memory_kb() * 1024);
        }
        end.extend_from_slice(&piece);
        let kept = end.len().saturating_sub(4_096);
        end.drain(..kept);
    }
    assert!(total > 200 * MEGABYTE, "{total} bytes");
    assert!(find(&end, b"data: [DONE]").is_some(), "{}", String::from_utf8_lossy(&end));
    let grown = highest.saturating_sub(before);
    assert!(grown < BOUND, "{grown} bytes more while {total} passed");
}
