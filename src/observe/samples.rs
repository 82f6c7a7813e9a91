//! Requests for the tests of those who are told of them.

use crate::telemetry::access_log::AttemptRecord;
use crate::telemetry::record::{AttemptPhases, Phases, Record, Trace};

/// An attempt; one without a span was passed over.
pub fn attempt(provider: &str, outcome: &'static str, span_id: u64, times: (u64, u64)) -> AttemptRecord {
    let mut attempt = AttemptRecord::skipped(&provider.into(), &"m".into(), outcome, "why");
    attempt.span_id = span_id;
    if span_id != 0 {
        attempt.phases = AttemptPhases {
            began_us: times.0,
            sent_us: Some(times.0 + 1),
            ended_us: times.1,
            queued_us: (span_id == 0x21).then_some(4_000),
            delayed_us: (span_id == 0x22).then_some(200_000),
            ..AttemptPhases::default()
        };
    }
    attempt
}

/// A request that failed over once, after a fallback that is none.
pub fn record() -> Record {
    Record {
        id: 1,
        request_id: "r".into(),
        session_id: Some("s".into()),
        trace: Some(Trace {
            trace_id: 0xabc,
            span_id: 0x10,
            parent_id: None,
            sampled: true,
            random: true,
            recorded: true,
            state: None,
        }),
        started_us: 1_000_000,
        took_us: 500_000,
        dialect: "openai",
        object: "chat_completion",
        path: "/v1/chat/completions".into(),
        status: 200,
        model_asked: "openai/m".into(),
        provider: Some("openai".into()),
        model: Some("m".into()),
        upstream_request_id: Some("up-1".into()),
        model_served: Some("m-2024".into()),
        finish: Some("stop"),
        attempts: vec![
            attempt("nobody", "model_not_found", 0, (0, 0)),
            attempt("openai", "server_error", 0x21, (10_000, 110_000)),
            attempt("openai", "success", 0x22, (310_000, 490_000)),
        ],
        cost_nanos: Some(2_500_000_000),
        phases: Phases { reserved_us: 5_000, ..Phases::default() },
        queued_us: Some(4_000),
        overhead_us: 90,
        request_bytes: 10,
        tags: vec![("team".into(), "blue".into())],
        revision: 3,
        ..Record::default()
    }
}
