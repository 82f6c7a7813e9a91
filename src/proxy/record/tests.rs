use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use translate::ir::Usage;
use translate::loss::Losses;
use translate::relay;

use super::*;
use crate::config::snapshot::ModelRef;
use crate::config::{Document, Environment, Format, Snapshot, compile};
use crate::proxy::attempt::{Attempt, prepare};
use crate::proxy::exchange::Call;
use crate::proxy::headers::Forward;
use crate::proxy::lease::Lease;
use crate::proxy::replay::Stage;
use crate::route::endpoint::{self, Route};
use crate::route::plan::{Keys, Plan};
use crate::telemetry::access_log;
use crate::telemetry::record::{CHOSEN, Outcome};
use crate::upstream::select::{Cursor, Wish};

const CONFIG: &str = r#"{"providers": {"openai": {"keys": [{"name": "a", "value": "k1"}]}}}"#;
const BODY: &str =
    r#"{"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "What is 6 x 7?"}]}"#;

fn snapshot() -> Arc<Snapshot> {
    let document = Document::parse("c.json", CONFIG, Format::Json).unwrap();
    Arc::new(compile(&document, &Environment::fixed([]), 7).unwrap().snapshot)
}

fn call(snapshot: &Snapshot, exchange: &Exchange) -> Call {
    let Route::Provider(asked) = endpoint::find(&Method::POST, "/v1/chat/completions") else {
        unreachable!()
    };
    let body = Bytes::from_static(BODY.as_bytes());
    let peek = relay::peek(&body).unwrap().into_owned();
    let target = ModelRef { provider: "openai".into(), model: "gpt-4o-mini".into() };
    Call {
        endpoint: asked.endpoint,
        model_asked: "openai/gpt-4o-mini".into(),
        stream: false,
        include_usage: false,
        body,
        lost: Losses::default(),
        peek,
        raw: None,
        decoded: None,
        inlined: false,
        betas: Vec::new(),
        task: None,
        single: false,
        list: false,
        plan: Plan::only(&target, Keys::OfModel, snapshot),
        cursor: Cursor::at_start(false, Wish::default()),
        stage: Stage::new(exchange.started),
        direct_key: None,
        forward: Forward::default(),
        recovery: crate::proxy::recovery::Recovery::default(),
        tab: None,
        lease: Lease::default(),
        size: None,
        trace: None,
    }
}

/// A request that one attempt has answered.
fn answered(snapshot: &Arc<Snapshot>) -> Exchange {
    let mut exchange = Exchange::new();
    exchange.request_id = crate::proxy::request_id::made(exchange.started_at);
    exchange.snapshot = Some(Arc::clone(snapshot));
    exchange.known.came(&Bytes::from_static(BODY.as_bytes()));
    exchange.known.understood();
    exchange.status = 200;
    let mut call = call(snapshot, &exchange);
    let step = call.plan.steps[0].clone();
    let key = Arc::clone(&step.provider.keys[0]);
    let upstream = prepare(&mut call, &step, &key).unwrap();
    call.cursor.begin(0);
    let mut attempt = Attempt::new(&step, &key, &call.plan.policy.limits, upstream);
    attempt.clock.of(exchange.started);
    attempt.status = 200;
    attempt.upstream_request_id = Some("req_0123456789abcdef".into());
    exchange.attempts.push(attempt.record("success", None));
    exchange.attempt = Some(Box::new(attempt));
    exchange.call = Some(Box::new(call));
    exchange
}

/// As a client sends them.
fn headers() -> HeaderMap {
    let names =
        ["host", "authorization", "content-type", "accept", "user-agent", "content-length", "x-a", "x-b"];
    names.iter().map(|name| (HeaderName::from_static(name), HeaderValue::from_static("value"))).collect()
}

fn settled() -> Settled {
    let usage = Usage { input_uncached: 12, output: 3, ..Usage::default() };
    Settled { usage: Some(usage), ..Settled::default() }
}

#[test]
fn a_record_has_what_the_request_knew() {
    let snapshot = snapshot();
    let mut exchange = answered(&snapshot);
    let id = exchange.request_id.clone();
    let headers = headers();
    let ended = Ended { headers: &headers, path: "/v1/chat/completions", sent: 321 };
    let record = of(&ended, &mut exchange, Some(settled()));
    assert_eq!((&record.request_id, record.status, record.revision), (&id, 200, 7));
    assert_eq!(record.provider.as_deref(), Some("openai"));
    assert_eq!(record.key.as_deref(), Some("a"));
    assert_eq!((record.request_bytes, record.response_bytes), (BODY.len() as u64, 321));
    assert_eq!((record.dialect, record.object), ("openai_chat", "chat_completion"));
    assert_eq!(record.upstream_request_id.as_deref(), Some("req_0123456789abcdef"));
    assert_eq!(record.outcome(), Outcome::Success);
    assert!(record.decision.candidates.is_empty(), "one key of one model: nothing was decided");
    assert!(record.attempts[0].was_tried() && record.took_us >= record.overhead_us);
    assert_eq!(Record::moment_of(&id), Some(record.started_us / 1_000), "id and row have one moment");
    assert_eq!(record.id >> 21, record.started_us / 1_000);
}

#[test]
fn the_first_step_is_chosen_and_the_others_stand_behind() {
    let document = Document::parse(
        "c.json",
        r#"{"providers": {"openai": {"keys": [{"name": "a", "value": "k1"}]},
            "anthropic": {"keys": [{"name": "c", "value": "k3"}]}}}"#,
        Format::Json,
    );
    let snapshot = Arc::new(compile(&document.unwrap(), &Environment::fixed([]), 1).unwrap().snapshot);
    let mut exchange = answered(&snapshot);
    let target = ModelRef { provider: "anthropic".into(), model: "claude-x".into() };
    let behind = Plan::only(&target, Keys::OfModel, &snapshot).steps;
    exchange.call.as_mut().unwrap().plan.steps.extend(behind);
    let decision = decision::of(&mut exchange);
    let told: Vec<_> = decision.candidates.iter().map(|found| (&*found.provider, found.verdict)).collect();
    assert_eq!(told, [("openai", CHOSEN), ("anthropic", "stands behind")]);
    assert_eq!(decision.candidates[0].key.as_deref(), Some("a"));
}

#[test]
fn a_refused_request_is_known_by_what_came_before() {
    let mut exchange = Exchange::new();
    exchange.known.route(&endpoint::find(&Method::POST, "/v1/chat/completions"));
    exchange.known.came(&Bytes::from_static(br#"{"model": "nobody/has-it", "stream": true}"#));
    exchange.known.refused();
    exchange.status = 404;
    let ended = Ended { headers: &HeaderMap::new(), path: "/v1/chat/completions", sent: 9 };
    let record = of(&ended, &mut exchange, None);
    assert_eq!(&*record.model_asked, "nobody/has-it");
    assert_eq!((record.object, record.stream), ("chat_completion_stream", true));
    assert_eq!(record.outcome(), Outcome::ClientError);
}

/// Prints what a record costs, made, and made with its line. Not measured on every run: machines differ.
#[test]
#[ignore = "a measurement: cargo test --release -p bifrost --lib proxy::record -- --ignored --nocapture"]
fn what_a_record_costs() {
    const ROUNDS: u32 = 20_000;
    let (snapshot, headers) = (snapshot(), headers());
    let ended = Ended { headers: &headers, path: "/v1/chat/completions", sent: 321 };
    let (mut made, mut written, mut line) = (Duration::ZERO, Duration::ZERO, Vec::new());
    for _ in 0..ROUNDS {
        let mut exchange = answered(&snapshot);
        let began = Instant::now();
        let record = of(&ended, &mut exchange, Some(settled()));
        made += began.elapsed();
        line.clear();
        let began = Instant::now();
        access_log::render(&record, &mut line);
        written += began.elapsed();
        black_box((record, &line));
    }
    let clock = Instant::now();
    for _ in 0..ROUNDS {
        black_box((Instant::now(), SystemTime::now()));
    }
    let clock = clock.elapsed() / ROUNDS;
    println!("record {:?}, line {:?}; two looks at a clock {clock:?}", made / ROUNDS, written / ROUNDS);
}
