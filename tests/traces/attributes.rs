//! Every attribute that docs/tracing.md names, as a collector receives it.

use std::sync::Arc;

use rustls::ServerConfig;
use serde_json::{Value, json};

use crate::collector::{Collector, attribute, http_answer, names, takes};
use crate::context::{TRACE, body, chat, in_trace, provider, stage};
use crate::support::Wire;
use crate::support::answers::healthy;
use crate::support::client::Request;
use crate::support::gateway::Gateway;
use crate::support::tls::{CA, Leaf};
use crate::support::upstream::Upstream;

fn streamed(model: &str) -> Request {
    let mut asked: Value = body(model);
    asked["stream"] = json!(true);
    Request::json(Wire::OpenAi.path(), &asked)
}

#[test]
fn attempts_are_described_by_opentelemetrys_conventions() {
    let collector = Collector::http(|_| http_answer(200, 0));
    let url = format!("http://127.0.0.1:{}", collector.port);
    let (upstream, gateway) =
        stage(json!([{"collector_url": url, "headers": {"x-team": "blue"}, "compression": "gzip"}]));
    gateway.ask(&in_trace(streamed("oa/gpt-4o-mini"), "01").header("x-request-id", "asked-1"));
    let spans = collector.trace(TRACE, 2);
    let attempt = spans.iter().find(|span| span.kind == 3).unwrap();
    assert_eq!(attempt.name, "chat gpt-4o-mini");
    for (name, value) in [
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.provider.name", "openai"),
        ("gen_ai.request.model", "gpt-4o-mini"),
        ("gen_ai.request.stream", "true"),
        ("gen_ai.response.model", "gpt-4o-mini"),
        ("gen_ai.usage.input_tokens", "11"),
        ("gen_ai.usage.output_tokens", "4"),
        ("server.address", "127.0.0.1"),
        ("server.port", &upstream.port.to_string()),
        ("http.response.status_code", "200"),
        ("bifrost.provider", "oa"),
        ("bifrost.key", "main"),
        ("bifrost.outcome", "success"),
    ] {
        assert_eq!(attribute(attempt, name).as_deref(), Some(value), "{name}");
    }
    let finish = attempt.attributes.iter().find(|one| one.key == "gen_ai.response.finish_reasons").unwrap();
    assert!(format!("{finish:?}").contains("StringValue(\"stop\")"), "{finish:?}");
    let seconds: f64 = attribute(attempt, "gen_ai.response.time_to_first_chunk").unwrap().parse().unwrap();
    assert!(seconds < 25.0);
    let request = spans.iter().find(|span| span.kind == 2).unwrap();
    for (name, value) in [
        ("url.path", "/v1/chat/completions"),
        ("http.response.status_code", "200"),
        ("bifrost.request_id", "asked-1"),
        ("bifrost.dialect", "openai_chat"),
        ("bifrost.model_asked", "oa/gpt-4o-mini"),
        ("bifrost.provider", "oa"),
        ("bifrost.model", "gpt-4o-mini"),
        ("bifrost.attempts", "1"),
        ("bifrost.cache_hit", "false"),
        ("bifrost.config_revision", "1"),
    ] {
        assert_eq!(attribute(request, name).as_deref(), Some(value), "{name}");
    }
    for name in ["bifrost.overhead_us", "bifrost.first_token_us", "bifrost.request_bytes"] {
        assert!(names(request).contains(&name), "{name}: {:?}", names(request));
    }
    assert!(!names(attempt).iter().any(|name| name.starts_with("ai.") || name.starts_with("llm.")));
    let received = collector.received.lock();
    let sent = |name: &str| {
        received.headers[0].iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    };
    assert_eq!(sent("x-team").as_deref(), Some("blue"));
    let resource = received.exports[0].resource_spans[0].resource.as_ref().unwrap();
    let resource = format!("{:?}", resource.attributes);
    assert!(resource.contains("service.name") && resource.contains("\"bifrost\""), "{resource}");
    assert!(resource.contains("service.version"), "{resource}");
}

#[test]
fn attempts_are_described_by_openinference_and_by_the_vercel_ai_sdk() {
    let (phoenix, vercel) = (Collector::grpc(None, takes()), Collector::http(|_| http_answer(200, 0)));
    let (_upstream, gateway) = stage(json!([
        {"collector_url": format!("127.0.0.1:{}", phoenix.port), "protocol": "grpc", "trace_type": "open_inference"},
        {"collector_url": format!("http://127.0.0.1:{}", vercel.port), "trace_type": "vercel"},
    ]));
    gateway.ask(&in_trace(chat("oa/gpt-4o-mini"), "01"));
    let spans = phoenix.trace(TRACE, 2);
    let attempt = spans.iter().find(|span| span.kind == 3).unwrap();
    for (name, value) in [
        ("openinference.span.kind", "LLM"),
        ("llm.model_name", "gpt-4o-mini"),
        ("llm.provider", "openai"),
        ("llm.system", "openai"),
        ("llm.finish_reason", "stop"),
        ("llm.token_count.prompt", "11"),
        ("llm.token_count.completion", "4"),
        ("llm.token_count.total", "15"),
    ] {
        assert_eq!(attribute(attempt, name).as_deref(), Some(value), "{name}");
    }
    assert!(!names(attempt).iter().any(|name| name.starts_with("gen_ai.")));
    let request = spans.iter().find(|span| span.kind == 2).unwrap();
    assert_eq!(attribute(request, "openinference.span.kind").as_deref(), Some("CHAIN"));
    let spans = vercel.trace(TRACE, 2);
    let attempt = spans.iter().find(|span| span.kind == 3).unwrap();
    for (name, value) in [
        ("operation.name", "ai.generateText.doGenerate"),
        ("ai.operationId", "ai.generateText.doGenerate"),
        ("ai.model.id", "gpt-4o-mini"),
        ("ai.model.provider", "openai"),
        ("ai.response.model", "gpt-4o-mini"),
        ("ai.response.finishReason", "stop"),
        ("ai.usage.inputTokens", "11"),
        ("ai.usage.outputTokens", "4"),
        ("ai.usage.totalTokens", "15"),
        ("gen_ai.usage.input_tokens", "11"),
    ] {
        assert_eq!(attribute(attempt, name).as_deref(), Some(value), "{name}");
    }
}

#[test]
fn exports_over_grpc_go_over_tls_to_a_collector_that_is_trusted() {
    let with = |leaf: Leaf| {
        let mut server = ServerConfig::clone(&leaf.server());
        server.alpn_protocols = vec![b"h2".to_vec()];
        Collector::grpc(Some(Arc::new(server)), takes())
    };
    let (collector, stranger) = (with(Leaf::Good), with(Leaf::WrongName));
    let at = |collector: &Collector| {
        let url = format!("https://localhost:{}", collector.port);
        json!({"collector_url": url, "protocol": "grpc", "tls_ca_cert": CA, "headers": {"api-key": "k"}})
    };
    let (_upstream, gateway) = stage(json!([at(&stranger), at(&collector)]));
    gateway.ask(&in_trace(chat("oa/m"), "01"));
    collector.trace(TRACE, 2);
    gateway.wait_for_log(&format!("localhost:{} takes no traces", stranger.port));
    assert!(stranger.received.lock().exports.is_empty());
    let received = collector.received.lock();
    assert!(received.headers[0].contains(&("api-key".to_owned(), "k".to_owned())), "{:?}", received.headers);
}

#[test]
fn prompts_and_answers_go_to_collectors_that_are_to_have_them_and_to_no_other() {
    let (told, silent) = (Collector::http(|_| http_answer(200, 0)), Collector::http(|_| http_answer(200, 0)));
    let upstream = Upstream::start(healthy);
    let at = |collector: &Collector| format!("http://127.0.0.1:{}", collector.port);
    let gateway = Gateway::start(&json!({
        "providers": {"oa": provider(&upstream.url())},
        "client": {"disable_content_logging": false},
        "plugins": [{"name": "otel", "config": {"profiles": [
            {"collector_url": at(&told), "disable_content_logging": false}, {"collector_url": at(&silent)},
        ]}}],
    }));
    gateway.ask(&in_trace(streamed("oa/m"), "01"));
    let spans = told.trace(TRACE, 2);
    let attempt = spans.iter().find(|span| span.kind == 3).unwrap();
    let input = attribute(attempt, "gen_ai.input.messages").expect("what was asked");
    assert!(input.contains("What is the answer?"), "{input}");
    let output = attribute(attempt, "gen_ai.output.messages").expect("what was answered");
    assert!(output.contains("The answer is 42") && output.contains("\"finish_reason\":\"stop\""), "{output}");
    assert_eq!(attribute(attempt, "gen_ai.request.max_tokens").as_deref(), Some("9"));
    let quiet = format!("{:?}", silent.trace(TRACE, 2));
    assert!(!quiet.contains("answer"), "{quiet}");
}
