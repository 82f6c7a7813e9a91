//! Connections that break or never come to be: rows 5 and 23.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::rig::{Rig, each, each_tagged, provider, request, tag};
use crate::support::answers::healthy;
use crate::support::client::Request;
use crate::support::gateway::Gateway;
use crate::support::tls::{CA, Leaf};
use crate::support::told::Told;
use crate::support::upstream::{Act, Upstream};
use crate::support::{Wire, for_each, until};

#[test]
fn row_05_a_reset_before_any_byte_is_retried_at_once_on_a_fresh_connection() {
    let rig = Rig::new(|hit| match (hit.nth, tag(hit)) {
        (1, "reset") => vec![Act::Reset],
        (1, _) => vec![Act::Close],
        _ => healthy(hit),
    });
    for stream in [false, true] {
        each_tagged(stream, &["reset", "close"], |case| {
            let told = rig.ask_alone(case);
            rig.expect_primary(case, &told);
            rig.expect_attempts(case, &told, &[(case.primary(), "reset"), (case.primary(), "success")]);
            let hits = rig.hits(case);
            assert_eq!(hits.len(), 2);
            assert_ne!(hits[0].connection, hits[1].connection);
            assert_eq!(hits[0].body, hits[1].body);
            let gap = hits[1].at.duration_since(hits[0].at);
            assert!(gap < Duration::from_millis(500), "retried after {gap:?}");
        });
    }
}

#[test]
fn row_05_a_pooled_connection_that_went_stale_costs_no_retry_and_no_health() {
    // Every connection serves one request and breaks on its second.
    let rig = Rig::new(|hit| if hit.nth % 2 == 0 { vec![Act::Reset] } else { healthy(hit) });
    let ask = || {
        let body = request("oa/stale", false);
        rig.gateway.ask(&Request::json(Wire::OpenAi.path(), &body))
    };
    for _ in 0..6 {
        let answer = ask();
        assert_eq!(answer.status(), 200, "{}", answer.text());
    }
    assert!(!rig.gateway.health().to_string().contains("cooling"));
}

/// A port where nobody listens.
fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn row_23_a_refused_connection_is_a_connect_fault_and_the_fallback_answers() {
    let rig = Rig::at(Upstream::start(healthy), &format!("http://127.0.0.1:{}", closed_port()), &["k"]);
    each(|case| {
        let told = rig.ask(case);
        rig.expect_backup(case, &told);
        let refused = (case.primary(), "connect");
        rig.expect_attempts(case, &told, &[refused, refused, refused, (case.backup(), "success")]);
        expect_reason(&rig, &told, "refused");
    });
}

#[test]
fn row_23_a_name_that_does_not_resolve_is_a_connect_fault_and_the_fallback_answers() {
    let rig = Rig::at(Upstream::start(healthy), "http://no-such-host.invalid", &["k"]);
    each(|case| {
        let told = rig.ask(case);
        rig.expect_backup(case, &told);
        assert_eq!(told.attempts()[0], format!("{} connect", case.primary()));
        expect_reason(&rig, &told, "DNS lookup of no-such-host.invalid failed");
    });
}

fn expect_reason(rig: &Rig, told: &Told, words: &str) {
    let logged = rig.gateway.request_line(told.id());
    for list in [&told.extra()["attempts"], &logged["attempts"]] {
        let reason = list[0]["reason"].as_str().unwrap_or_default();
        assert!(reason.contains(words), "reason {reason:?}");
    }
}

/// A gateway whose `tls` provider is at a TLS upstream with `leaf`, with the tests' CA or without.
fn tls_stage(leaf: Leaf, trusted: bool) -> (Upstream, Upstream, Gateway) {
    let upstream = Upstream::start_tls(leaf.server(), healthy);
    let backup = Upstream::start(healthy);
    let mut tls = provider(Wire::OpenAi, &format!("https://localhost:{}", upstream.port), &["tls-key"]);
    if trusted {
        tls["network_config"]["ca_cert_pem"] = json!(CA);
    }
    let gateway = Gateway::start(&json!({"providers": {
        "tls": tls,
        "spare": provider(Wire::OpenAi, &backup.url(), &["spare-key"]),
    }}));
    (upstream, backup, gateway)
}

fn ask_tls(gateway: &Gateway, stream: bool) -> Told {
    let mut body: Value = request("tls/m", stream);
    body["fallbacks"] = json!(["spare/m"]);
    let asked_at = Instant::now();
    Told::new(Wire::OpenAi, gateway.ask(&Request::json(Wire::OpenAi.path(), &body)), asked_at)
}

#[test]
fn row_23_a_tls_certificate_that_is_not_valid_is_a_connect_fault_and_the_fallback_answers() {
    for_each(&[(Leaf::Expired, true), (Leaf::WrongName, true), (Leaf::Good, false)], |(leaf, trusted)| {
        let (upstream, backup, gateway) = tls_stage(leaf, trusted);
        let told = ask_tls(&gateway, false);
        assert_eq!(told.status(), 200, "{}", told.response.text());
        let attempts = told.attempts();
        assert_eq!(attempts.last().unwrap(), "spare success");
        assert!(
            attempts[..attempts.len() - 1].iter().all(|attempt| attempt == "tls connect"),
            "{attempts:?}"
        );
        let reason = told.extra()["attempts"][0]["reason"].as_str().unwrap().to_owned();
        let words = match (leaf, trusted) {
            (Leaf::Expired, _) => "xpired",
            (Leaf::WrongName, _) => "name",
            _ => "ssuer",
        };
        assert!(reason.contains(words), "reason {reason:?}");
        assert_eq!((upstream.hits().len(), backup.hits().len()), (0, 1));
    });
}

#[test]
fn a_ca_of_ones_own_makes_a_tls_upstream_trusted() {
    let (upstream, backup, gateway) = tls_stage(Leaf::Good, true);
    for stream in [false, true, false] {
        let told = ask_tls(&gateway, stream);
        assert_eq!(told.status(), 200, "{}", told.response.text());
        assert_eq!(told.attempts(), ["tls success"]);
    }
    assert_eq!((upstream.hits().len(), backup.hits().len()), (3, 0));
    assert!(upstream.hits().iter().all(|hit| hit.key() == "tls-key"));
    until("a kept connection to be used again", || {
        ask_tls(&gateway, false);
        (upstream.connections() < upstream.hits().len()).then_some(())
    });
}
