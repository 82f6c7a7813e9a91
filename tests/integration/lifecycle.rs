//! The end of a process, and its successor.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::stage::{plain_chat, providers, streamed};
use crate::support::answers::{chunk, end, events, healthy, open_stream};
use crate::support::client::{Connection, Request};
use crate::support::gateway::Gateway;
use crate::support::upstream::{Act, Gate, Upstream};
use crate::support::{Wire, until};

/// An upstream whose streams of the model `gated` stay open until the gate opens.
fn gated_stage() -> (Upstream, Gateway, Gate) {
    let gate = Gate::shut();
    let held = gate.clone();
    let upstream = Upstream::start(move |hit| {
        if hit.model() != "gated" {
            return healthy(hit);
        }
        let frames = events(hit.wire(), hit.model());
        let mut script = open_stream(&frames[..3], Duration::ZERO);
        script.push(Act::Wait(held.clone()));
        script.extend(frames[3..].iter().map(chunk));
        script.push(end());
        script
    });
    let gateway = Gateway::start(&json!({"providers": providers(&upstream)}));
    (upstream, gateway, gate)
}

/// A stream that began and is not finished.
fn begin_stream(gateway: &Gateway) -> Connection {
    let mut caller = gateway.connect();
    caller.send(&Request::json(Wire::OpenAi.path(), &streamed("oa/gated"))).unwrap();
    assert_eq!(caller.read_head().unwrap().status, 200);
    caller.read_until(" answer");
    caller
}

fn expect_rest(mut caller: Connection) {
    let mut rest = Vec::new();
    while let Some(piece) = caller.piece().expect("the stream was cut") {
        rest.extend(piece);
    }
    let rest = String::from_utf8(rest).unwrap();
    assert!(rest.contains(" 42") && rest.trim_end().ends_with("data: [DONE]"), "{rest}");
}

#[test]
fn sigterm_lets_an_open_stream_finish_and_refuses_new_connections() {
    for signal in [libc::SIGTERM, libc::SIGINT] {
        let (_upstream, mut gateway, gate) = gated_stage();
        let stream = begin_stream(&gateway);
        gateway.signal(signal);
        until("new connections to be refused", || Connection::open(gateway.address()).is_err().then_some(()));
        assert!(gateway.is_running(), "ended with a stream open");
        gate.open();
        expect_rest(stream);
        let finished = Instant::now();
        assert_eq!(gateway.wait_for_exit().code(), Some(0));
        assert!(finished.elapsed() < Duration::from_secs(3), "exited {:?} later", finished.elapsed());
        gateway.wait_for_log("the last request has ended");
    }
}

#[test]
fn an_idle_gateway_ends_soon_after_sigterm() {
    let (_upstream, mut gateway, _gate) = gated_stage();
    assert_eq!(gateway.ask(&plain_chat()).status(), 200);
    let asked = Instant::now();
    gateway.signal(libc::SIGTERM);
    assert_eq!(gateway.wait_for_exit().code(), Some(0));
    assert!(asked.elapsed() < Duration::from_secs(3), "exited after {:?}", asked.elapsed());
}

#[test]
fn a_new_process_takes_over_without_a_failed_request() {
    let (_upstream, mut old, gate) = gated_stage();
    let stream = begin_stream(&old);
    let address = old.address();
    let (stop, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    let new = std::thread::scope(|scope| {
        let load = scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let answer =
                    Connection::open(address).expect("accepted").ask(&plain_chat()).expect("answered");
                assert_eq!(answer.status(), 200, "{}", answer.text());
                answered.fetch_add(1, Ordering::Relaxed);
            }
        });
        let new = Gateway::spawn(Arc::clone(&old.folder), old.port, &["--upgrade"], &[]);
        until("the successor to wait for the sockets", || {
            old.folder.path().join("upgrade.sock").exists().then_some(())
        });
        old.signal(libc::SIGQUIT);
        let taken = || new.log().iter().any(|line| line.contains("request completed")).then_some(());
        until("the successor to answer", taken);
        gate.open();
        expect_rest(stream);
        assert!(old.wait_for_exit().code().is_some());
        let done = answered.load(Ordering::Relaxed);
        until("requests after the predecessor's end", || {
            (answered.load(Ordering::Relaxed) > done + 20 || load.is_finished()).then_some(())
        });
        stop.store(true, Ordering::Relaxed);
        load.join().expect("a request failed while the successor took over");
        new
    });
    assert!(answered.load(Ordering::Relaxed) > 20);
    assert_eq!(new.get("/health").status(), 200);
}
