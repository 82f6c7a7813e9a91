use std::time::Duration;

use super::*;
use crate::config::raw::TraceType;
use crate::config::traces::{Sampling, Transport};
use crate::config::{Document, Environment, compile};
use crate::observe::samples::record;
use crate::telemetry::record::Failed;

fn snapshot() -> Snapshot {
    let loaded = compile(&Document::empty(), &Environment::fixed([("OPENAI_API_KEY", "sk")]), 1);
    loaded.unwrap().snapshot
}

fn collector() -> Collector {
    Collector {
        name: "c".into(),
        transport: Transport::Http,
        url: "http://c/v1/traces".parse().unwrap(),
        headers: Vec::new(),
        form: TraceType::GenaiExtension,
        resource: Vec::new(),
        ca: Vec::new(),
        gzip: false,
        timeout: Duration::from_secs(1),
        sampling: Sampling { ratio: 1.0, parent_based: true },
        content: false,
    }
}

fn spans(record: &Record) -> Vec<Span> {
    let (collector, snapshot, redactor) = (collector(), snapshot(), Redactor::default());
    of(record, &View { collector: &collector, snapshot: &snapshot, redactor: &redactor })
}

fn at(nanos: u64) -> u64 {
    nanos / 1_000 - 1_000_000
}

#[test]
fn times_are_those_that_were_measured() {
    let spans = spans(&record());
    let times: Vec<(&str, u64, u64)> = spans
        .iter()
        .map(|span| (span.name.as_str(), at(span.start_time_unix_nano), at(span.end_time_unix_nano)))
        .collect();
    let expected =
        [("chat_completion", 0, 500_000), ("chat m", 10_000, 110_000), ("chat m", 310_000, 490_000)];
    assert_eq!(times, expected);
    let events: Vec<(&str, u64)> =
        spans[0].events.iter().map(|event| (event.name.as_str(), at(event.time_unix_nano))).collect();
    let expected = [("bifrost.passed_over", 5_000), ("bifrost.queued", 6_000), ("bifrost.back_off", 110_000)];
    assert_eq!(events, expected);
}

#[test]
fn a_failed_attempt_is_an_error_and_a_callers_mistake_is_none() {
    let made = spans(&record());
    assert_eq!(made[0].status, None);
    assert_eq!(
        made[1].status.as_ref().map(|status| (status.code, status.message.as_str())),
        Some((2, "why"))
    );
    assert_eq!(made[2].status, None);
    let failed = |status: u16, kind: &'static str| {
        let error = Some(Failed { kind, message: "m".into() });
        let record = Record { status, error, ..record() };
        spans(&record)[0].status.is_some()
    };
    assert!(failed(503, "overloaded") && failed(429, "rate_limit"));
    assert!(!failed(400, "invalid_request") && !failed(499, "caller_gone"));
}

#[test]
fn what_is_not_recorded_makes_no_spans() {
    let mut unrecorded = record();
    unrecorded.trace.as_mut().unwrap().recorded = false;
    assert!(spans(&unrecorded).is_empty());
    assert!(spans(&Record { trace: None, ..record() }).is_empty());
}

#[test]
fn an_attempt_costs_what_the_others_left_of_the_whole() {
    let mut record = record();
    let spent = crate::telemetry::access_log::Spent {
        input_tokens: 7,
        output_tokens: 1,
        cost_nanos: Some(500_000_000),
        unpriced: false,
    };
    record.attempts[1].spent = Some(spent);
    let snapshot = snapshot();
    let facts = |at: usize| Facts::of(&record, at, 0, &snapshot).unwrap();
    assert_eq!((facts(1).cost_nanos, facts(2).cost_nanos), (Some(500_000_000), Some(2_000_000_000)));
    assert_eq!(facts(1).usage.unwrap().input_total(), 7);
    assert_eq!(facts(1).vendor, "openai");
}

#[test]
fn what_was_said_is_told_to_those_who_are_to_have_it_without_secrets() {
    let request = r#"{"model": "m", "temperature": 0.5, "messages": [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": [{"type": "text", "text": "my key is sk-bf-0123456789abcdef0123456789abcdef"}]},
        {"role": "assistant", "tool_calls": [{"id": "c1", "type": "function",
            "function": {"name": "look", "arguments": "{\"at\":1}"}}]},
        {"role": "tool", "tool_call_id": "c1", "content": "rain"}],
        "tools": [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]}"#;
    let response = r#"{"id": "1", "object": "chat.completion", "model": "m", "choices": [{"index": 0,
        "message": {"role": "assistant", "content": "It rains."}, "finish_reason": "stop"}]}"#;
    let content = crate::telemetry::record::Content {
        request: request.into(),
        response: vec![response.into()],
        ..Default::default()
    };
    let record = Record { dialect: "openai_chat", content: Some(Box::new(content)), ..record() };
    let (snapshot, redactor) = (snapshot(), Redactor::default());
    let told = |form: TraceType, content: bool| {
        let collector = Collector { form, content, ..collector() };
        let spans = of(&record, &View { collector: &collector, snapshot: &snapshot, redactor: &redactor });
        let silent = format!("{:?}{:?}", spans[0], spans[1]);
        assert!(!silent.contains("rain"), "only the attempt that answered tells what was said");
        spans[2].attributes.clone()
    };
    let value = |attributes: &[opentelemetry_proto::tonic::common::v1::KeyValue], name: &str| {
        let found = attributes.iter().find(|one| one.key == name);
        found.map(|one| format!("{:?}", one.value)).unwrap_or_default().replace('\\', "")
    };
    assert_eq!(value(&told(TraceType::GenaiExtension, false), "gen_ai.input.messages"), "");
    let genai = told(TraceType::GenaiExtension, true);
    let input = value(&genai, "gen_ai.input.messages");
    for words in [
        r#"{"role":"system","parts":[{"type":"text","content":"be brief"}]}"#,
        r#"{"type":"tool_call","id":"c1","name":"look","arguments":{"at":1}}"#,
        r#"{"type":"tool_call_response","id":"c1","response":"rain"}"#,
        "[redacted]",
    ] {
        assert!(input.contains(words), "{words}: {input}");
    }
    assert!(!input.contains("0123456789abcdef"), "{input}");
    let output = value(&genai, "gen_ai.output.messages");
    assert!(output.contains(r#""content":"It rains."}],"finish_reason":"stop""#), "{output}");
    assert!(value(&genai, "gen_ai.tool.definitions").contains(r#""name":"look""#));
    assert!(value(&genai, "gen_ai.request.temperature").contains("0.5"));
    let phoenix = told(TraceType::OpenInference, true);
    for (name, words) in [
        ("llm.input_messages.0.message.content", "be brief"),
        ("llm.input_messages.2.message.tool_calls.0.tool_call.function.name", "look"),
        ("llm.input_messages.3.message.tool_call_id", "c1"),
        ("llm.output_messages.0.message.content", "It rains."),
        ("output.value", "It rains."),
        ("llm.tools.0.tool.json_schema", "look"),
        ("llm.invocation_parameters", "temperature"),
    ] {
        assert!(value(&phoenix, name).contains(words), "{name}: {phoenix:?}");
    }
    assert!(value(&told(TraceType::Vercel, true), "ai.response.text").contains("It rains."));
}
