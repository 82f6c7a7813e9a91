//! Collectors that are down, slow, full or silent: no request is touched by it.

use std::time::{Duration, Instant};

use serde_json::json;
use tonic::Status;

use crate::collector::{Collector, http_answer, takes};
use crate::context::{TRACE, chat, in_trace, stage};
use crate::support::gateway::write_config;
use crate::support::until;
use crate::support::upstream::Act;

#[test]
fn a_collector_that_is_busy_is_asked_again_and_one_that_refuses_is_not() {
    let busy = Collector::http(|count| http_answer(if count == 1 { 503 } else { 200 }, 0));
    let refuses = Collector::http(|_| http_answer(400, 0));
    let away = Collector::grpc(
        None,
        std::sync::Arc::new(|count| match count {
            1 => Err(Status::unavailable("starting")),
            _ => Ok(0),
        }),
    );
    let (_upstream, gateway) = stage(json!([
        {"collector_url": format!("http://127.0.0.1:{}", busy.port)},
        {"collector_url": format!("http://127.0.0.1:{}", refuses.port)},
        {"collector_url": format!("127.0.0.1:{}", away.port), "protocol": "grpc"},
    ]));
    gateway.ask(&in_trace(chat("oa/m"), "01"));
    for collector in [&busy, &away] {
        collector.received.wait_for("the second try", |seen| (seen.exports.len() == 2).then_some(()));
        let received = collector.received.lock();
        assert_eq!(received.exports[0], received.exports[1]);
    }
    gateway.wait_for_log(&format!("127.0.0.1:{} takes no traces: status 400", refuses.port));
    gateway.wait_for_log(&format!("127.0.0.1:{} takes traces again", busy.port));
    assert_eq!(refuses.received.lock().exports.len(), 1);
}

#[test]
fn a_collector_that_hangs_or_is_gone_keeps_no_request_waiting_and_no_other_collector() {
    let hangs = Collector::http(|_| vec![Act::Hold]);
    let works = Collector::http(|_| http_answer(200, 0));
    let gone = crate::support::gateway::free_port();
    let (_upstream, gateway) = stage(json!([
        {"collector_url": format!("http://127.0.0.1:{}", hangs.port)},
        {"collector_url": format!("http://127.0.0.1:{gone}")},
        {"collector_url": format!("127.0.0.1:{gone}"), "protocol": "grpc"},
        {"collector_url": format!("http://127.0.0.1:{}", works.port)},
    ]));
    let began = Instant::now();
    for _ in 0..20 {
        assert_eq!(gateway.ask(&in_trace(chat("oa/m"), "01")).status(), 200);
    }
    assert!(began.elapsed() < Duration::from_secs(5));
    works.trace(TRACE, 40);
    gateway.wait_for_log(&format!("127.0.0.1:{gone} takes no traces"));
    let told = until("what became of the spans to be told", || {
        let told = gateway.health()["queues"]["traces"].clone();
        let of = |port: u16| {
            let all = told.as_array().expect("collectors").iter();
            all.clone().find(|one| one["collector"] == format!("127.0.0.1:{port}")).cloned()
        };
        Some((of(works.port)?, of(gone)?)).filter(|(works, _)| works["sent_spans"] == 40)
    });
    assert!(told.0["trouble"].is_null() && told.1["trouble"].is_string(), "{told:?}");
    assert!(gateway.metric("bifrost_observe_waiting", &[("part", "traces")]) > 0.0);
}

#[test]
fn spans_that_a_collector_did_not_take_are_said() {
    let http = Collector::http(|_| http_answer(200, 1));
    let grpc = Collector::grpc(None, std::sync::Arc::new(|_| Ok(2)));
    let (_upstream, gateway) = stage(json!([
        {"collector_url": format!("http://127.0.0.1:{}", http.port)},
        {"collector_url": format!("127.0.0.1:{}", grpc.port), "protocol": "grpc"},
    ]));
    gateway.ask(&in_trace(chat("oa/m"), "01"));
    gateway.wait_for_log("did not take 1 of 2 spans: no room");
    gateway.wait_for_log("did not take 2 of 2 spans: no room");
}

#[test]
fn what_waits_is_sent_before_the_process_ends() {
    let collector = Collector::grpc(None, takes());
    let url = format!("127.0.0.1:{}", collector.port);
    let (_upstream, mut gateway) = stage(json!([{"collector_url": url, "protocol": "grpc"}]));
    gateway.ask(&in_trace(chat("oa/m"), "01"));
    gateway.signal(15);
    assert!(gateway.wait_for_exit().success());
    collector.trace(TRACE, 2);
}

#[test]
fn collectors_come_and_go_with_the_configuration() {
    let (first, second) =
        (Collector::http(|_| http_answer(200, 0)), Collector::http(|_| http_answer(200, 0)));
    let at =
        |collector: &Collector| json!([{"collector_url": format!("http://127.0.0.1:{}", collector.port)}]);
    let (upstream, gateway) = stage(at(&first));
    gateway.ask(&in_trace(chat("oa/before"), "01"));
    first.trace(TRACE, 2);
    write_config(
        gateway.folder.path(),
        &json!({
            "providers": {"oa": crate::context::provider(&upstream.url())},
            "plugins": [{"name": "otel", "config": {"profiles": at(&second)}}],
        }),
    );
    gateway.signal(1);
    until("the new collector to be told", || {
        gateway.ask(&chat("oa/after"));
        let received = second.received.lock();
        (!received.exports.is_empty()).then_some(())
    });
}
