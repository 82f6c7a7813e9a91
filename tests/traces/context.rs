//! The trace that requests belong to: joined, passed on, sampled.

use serde_json::{Value, json};

use crate::collector::{Collector, attribute, hex, http_answer, takes};
use crate::support::Wire;
use crate::support::answers::{healthy, refusal};
use crate::support::client::Request;
use crate::support::gateway::Gateway;
use crate::support::upstream::Upstream;

pub const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
pub const PARENT: &str = "00f067aa0ba902b7";

/// `oa` at an upstream.
pub fn provider(url: &str) -> Value {
    json!({
        "keys": [{"name": "main", "value": "provider-key"}],
        "custom_provider_config": {"base_provider_type": "openai"},
        "network_config": {"base_url": url, "max_retries": 0},
    })
}

/// A gateway with `oa`, and `bad` that always refuses, and these collectors.
pub fn stage(profiles: Value) -> (Upstream, Gateway) {
    let upstream = Upstream::start(|hit| match hit.model() {
        "refused" => refusal(hit, 503, "overloaded_error", "at capacity", &[]),
        _ => healthy(hit),
    });
    let gateway = Gateway::start(&json!({
        "providers": {"oa": provider(&upstream.url()), "ob": provider(&upstream.url())},
        "plugins": [{"name": "otel", "config": {"profiles": profiles}}],
    }));
    (upstream, gateway)
}

pub fn chat(model: &str) -> Request {
    Request::json(Wire::OpenAi.path(), &body(model))
}

pub fn body(model: &str) -> Value {
    json!({"model": model, "max_tokens": 9, "messages": [{"role": "user", "content": "What is the answer?"}]})
}

pub fn in_trace(request: Request, flags: &str) -> Request {
    request.header("traceparent", &format!("00-{TRACE}-{PARENT}-{flags}"))
}

#[test]
fn a_callers_trace_goes_through_to_the_provider_and_to_the_collector_over_http() {
    let collector = Collector::http(|_| http_answer(200, 0));
    let (upstream, gateway) =
        stage(json!([{"collector_url": format!("http://127.0.0.1:{}", collector.port)}]));
    let answer = gateway.ask(&in_trace(chat("oa/m"), "01").header("tracestate", "vendor=1"));
    assert_eq!(answer.status(), 200);
    check(&collector, &upstream);
}

#[test]
fn a_callers_trace_goes_through_to_the_provider_and_to_the_collector_over_grpc() {
    let collector = Collector::grpc(None, takes());
    let url = format!("127.0.0.1:{}", collector.port);
    let (upstream, gateway) = stage(json!([{"collector_url": url, "protocol": "grpc"}]));
    let answer = gateway.ask(&in_trace(chat("oa/m"), "01").header("tracestate", "vendor=1"));
    assert_eq!(answer.status(), 200);
    check(&collector, &upstream);
}

/// The caller's span is the request's parent, the request's is the attempt's, and that is what the provider is told.
fn check(collector: &Collector, upstream: &Upstream) {
    let spans = collector.trace(TRACE, 2);
    let request = spans.iter().find(|span| hex(&span.parent_span_id) == PARENT).expect("the request's span");
    let attempt =
        spans.iter().find(|span| span.parent_span_id == request.span_id).expect("the attempt's span");
    assert_eq!(spans.len(), 2);
    assert_eq!((request.kind, attempt.kind), (2, 3), "server and client");
    assert_eq!(request.trace_state, "vendor=1");
    assert!(request.start_time_unix_nano <= attempt.start_time_unix_nano);
    assert!(attempt.end_time_unix_nano <= request.end_time_unix_nano);
    assert_eq!((request.flags & 0x301, attempt.flags & 0x301), (0x301, 0x101));
    let hit = &upstream.hits()[0];
    let told = format!("00-{TRACE}-{}-01", hex(&attempt.span_id));
    assert_eq!(hit.header("traceparent"), Some(told.as_str()));
    assert_eq!(hit.header("tracestate"), Some("vendor=1"));
}

#[test]
fn what_the_caller_does_not_record_is_not_sent_and_passed_on_as_it_is() {
    let collector = Collector::http(|_| http_answer(200, 0));
    let (upstream, gateway) =
        stage(json!([{"collector_url": format!("http://127.0.0.1:{}", collector.port)}]));
    gateway.ask(&in_trace(chat("oa/quiet"), "00"));
    gateway.ask(&chat("oa/loud"));
    collector.span("the span of the other request", |span| span.name == "chat loud");
    let received = collector.received.lock();
    let told: Vec<_> = received.exports.iter().flat_map(|export| &export.resource_spans).collect();
    assert!(!format!("{told:?}").contains("quiet"));
    let hit = upstream.hits_for("quiet").remove(0);
    assert_eq!(hit.header("traceparent"), Some(format!("00-{TRACE}-{PARENT}-00").as_str()));
}

#[test]
fn a_trace_begins_here_where_the_caller_has_none_or_none_that_can_be_read() {
    let collector = Collector::http(|_| http_answer(200, 0));
    let (upstream, gateway) =
        stage(json!([{"collector_url": format!("http://127.0.0.1:{}", collector.port)}]));
    for (model, given) in [
        ("none", None),
        ("broken", Some("00-0-0-01")),
        ("upper", Some("00-4BF92F3577B34DA6A3CE929D0E0E4736-00F067AA0BA902B7-01")),
    ] {
        let request = chat(&format!("oa/{model}"));
        let request = match given {
            Some(given) => request.header("traceparent", given).header("tracestate", "vendor=1"),
            None => request,
        };
        gateway.ask(&request);
        let attempt = collector.span(model, |span| span.name == format!("chat {model}"));
        let hit = upstream.hits_for(model).remove(0);
        let told = hit.header("traceparent").expect("a traceparent").to_owned();
        assert_eq!(told, format!("00-{}-{}-03", hex(&attempt.trace_id), hex(&attempt.span_id)));
        assert_eq!(hit.header("tracestate"), None);
        let request = collector.span("its request", |span| span.span_id == attempt.parent_span_id);
        assert!(request.parent_span_id.is_empty());
    }
}

#[test]
fn without_collectors_the_callers_context_crosses_and_nothing_else() {
    let upstream = Upstream::start(healthy);
    let gateway = Gateway::start(&json!({"providers": {"oa": provider(&upstream.url())}}));
    gateway.ask(&in_trace(chat("oa/with"), "01").header("tracestate", "a=1").header("tracestate", "b=2"));
    gateway.ask(&chat("oa/without"));
    gateway.ask(&chat("oa/broken").header("traceparent", "00-1-2-01").header("tracestate", "a=1"));
    let with = upstream.hits_for("with").remove(0);
    assert_eq!(with.header("traceparent"), Some(format!("00-{TRACE}-{PARENT}-01").as_str()));
    assert_eq!(with.header("tracestate"), Some("a=1,b=2"));
    for model in ["without", "broken"] {
        let hit = upstream.hits_for(model).remove(0);
        assert_eq!((hit.header("traceparent"), hit.header("tracestate")), (None, None), "{model}");
    }
}

#[test]
fn attempts_that_failed_are_spans_of_the_same_trace() {
    let collector = Collector::http(|_| http_answer(200, 0));
    let (upstream, gateway) =
        stage(json!([{"collector_url": format!("http://127.0.0.1:{}", collector.port)}]));
    let mut asked = body("oa/refused");
    asked["fallbacks"] = json!(["nobody/x", "ob/fine"]);
    let answer = gateway.ask(&in_trace(Request::json(Wire::OpenAi.path(), &asked), "01"));
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let spans = collector.trace(TRACE, 3);
    let named = |name: &str| {
        spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("{name}: {spans:#?}"))
    };
    let (failed, fine) = (named("chat refused"), named("chat fine"));
    assert_eq!(failed.parent_span_id, fine.parent_span_id);
    assert_eq!(failed.status.as_ref().map(|status| status.code), Some(2));
    assert_eq!(attribute(failed, "error.type").as_deref(), Some("overloaded"));
    assert_eq!(attribute(failed, "http.response.status_code").as_deref(), Some("503"));
    assert!(failed.events.iter().any(|event| event.name == "exception"));
    assert_eq!(fine.status, None);
    let request = named("chat_completion");
    let passed: Vec<_> = request.events.iter().filter(|event| event.name == "bifrost.passed_over").collect();
    assert_eq!(passed.len(), 1, "{:?}", request.events);
    let told: Vec<_> =
        upstream.hits().iter().map(|hit| hit.header("traceparent").unwrap().to_owned()).collect();
    assert_ne!(told[0], told[1]);
}

#[test]
fn a_share_of_traces_is_taken() {
    let collector = Collector::http(|_| http_answer(200, 0));
    let url = format!("http://127.0.0.1:{}", collector.port);
    let (_upstream, gateway) = stage(json!([{"collector_url": url, "sample_ratio": 0}]));
    gateway.ask(&chat("oa/own"));
    // The caller's word counts for more than the share.
    gateway.ask(&in_trace(chat("oa/callers"), "01"));
    collector.trace(TRACE, 2);
    let received = collector.received.lock();
    assert!(!format!("{:?}", received.exports).contains("chat own"));
}
