//! How streams end when the body stays open, on one wire and across two: what is said late still counts, and
//! what is complete is not waited for. Rows 8, 8b and 11.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::answers::{chunk, stream_head};
use crate::support::client::{Request, Response};
use crate::support::for_each;
use crate::support::gateway::Gateway;
use crate::support::told::read_events;
use crate::support::upstream::{Act, Hit, Script, Upstream};

/// Longer than a finished stream is kept open.
const LATE: Duration = Duration::from_millis(2_000);

/// One way through the gateway: the caller's path, and the provider.
#[derive(Debug, Clone, Copy)]
struct Way {
    path: &'static str,
    provider: &'static str,
}

const RELAYED: Way = Way { path: "/v1/chat/completions", provider: "oa" };
const FROM_GEMINI: Way = Way { path: "/v1/chat/completions", provider: "ge" };
const TO_ANTHROPIC: Way = Way { path: "/v1/messages", provider: "oa" };
const WITHIN_GEMINI: Way = Way { path: "/genai/v1beta/models/", provider: "ge" };

/// `oa` and `ge` at an upstream that answers as `script` says, given the model.
fn stage(idle: f64, script: impl Fn(&str) -> Script + Send + Sync + 'static) -> (Upstream, Gateway) {
    let upstream = Upstream::start(move |hit: &Hit| {
        let in_path = hit.path.split("/models/").nth(1).and_then(|rest| rest.split(':').next());
        script(in_path.unwrap_or_else(|| hit.model()))
    });
    let provider = |base: &str| {
        json!({
            "keys": [{"name": "main", "value": "provider-key"}],
            "custom_provider_config": {"base_provider_type": base},
            "network_config": {
                "base_url": upstream.url(), "stream_idle_timeout_in_seconds": idle, "max_retries": 1,
            },
        })
    };
    let providers = json!({"oa": provider("openai"), "ge": provider("gemini")});
    let gateway = Gateway::start(&json!({"providers": providers}));
    (upstream, gateway)
}

fn ask(gateway: &Gateway, way: Way, model: &str, n: u64) -> Response {
    let named = format!("{}/{model}", way.provider);
    if way.path.starts_with("/genai") {
        let body = json!({
            "contents": [{"role": "user", "parts": [{"text": "?"}]}],
            "generationConfig": {"candidateCount": n},
        });
        let path = format!("{}{named}:streamGenerateContent?alt=sse", way.path);
        return gateway.ask(&Request::json(&path, &body));
    }
    let mut body = json!({
        "model": named, "stream": true, "max_tokens": 9, "messages": [{"role": "user", "content": "?"}],
    });
    if way.path.ends_with("/completions") {
        body["n"] = json!(n);
        body["stream_options"] = json!({"include_usage": true});
    }
    gateway.ask(&Request::json(way.path, &body))
}

fn said(model: &str, index: u64, text: &str, finish: bool) -> Act {
    let body = if model.starts_with("ge") {
        let mut candidate = json!({"index": index, "content": {"role": "model", "parts": [{"text": text}]}});
        if finish {
            candidate["finishReason"] = json!("STOP");
        }
        json!({"candidates": [candidate], "modelVersion": model})
    } else {
        let word = if finish { json!("stop") } else { Value::Null };
        json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": model,
            "choices": [{"index": index, "delta": {"content": text}, "finish_reason": word}]})
    };
    chunk(format!("data: {body}\n\n"))
}

fn counted(model: &str) -> Act {
    let body = if model.starts_with("ge") {
        json!({"usageMetadata": {"promptTokenCount": 11, "candidatesTokenCount": 4, "totalTokenCount": 15}})
    } else {
        json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": model, "choices": [],
            "usage": {"prompt_tokens": 11, "completion_tokens": 4, "total_tokens": 15}})
    };
    chunk(format!("data: {body}\n\n"))
}

fn expect_whole(gateway: &Gateway, answer: &Response) {
    assert_eq!(answer.status(), 200, "{}", answer.text());
    assert!(answer.whole && !answer.text().contains("\"error\""), "{}", answer.text());
    let line = gateway.request_line(answer.header("x-request-id").unwrap());
    assert_eq!(line["msg"], "request completed", "{line}");
    assert_eq!(line["attempts"].as_array().map_or(1, Vec::len), 1, "{line}");
    let health = gateway.health().to_string();
    assert!(!health.contains("cooling"), "a complete answer counted as a fault: {health}");
}

#[test]
fn a_choice_that_begins_long_after_another_ended_is_not_cut_off() {
    let (_upstream, gateway) = stage(8.0, |model| {
        vec![
            stream_head(),
            said(model, 0, "first", true),
            Act::Pause(LATE),
            said(model, 1, "second", true),
            counted(model),
            Act::Hold,
        ]
    });
    for_each(&[(RELAYED, "oa"), (FROM_GEMINI, "ge"), (WITHIN_GEMINI, "ge")], |(way, model)| {
        let answer = ask(&gateway, way, model, 2);
        expect_whole(&gateway, &answer);
        let text = answer.text();
        assert!(text.contains("first") && text.contains("second"), "{way:?}: {text}");
    });
}

#[test]
fn counts_and_sources_that_come_long_after_the_finish_reason_are_not_cut_off() {
    let (_upstream, gateway) = stage(8.0, |model| {
        let mut script = vec![stream_head(), said(model, 0, "all", true)];
        if model.starts_with("ge") {
            let sources = json!({"candidates": [{"index": 0, "groundingMetadata": {
                "webSearchQueries": ["late"],
                "groundingChunks": [{"web": {"uri": "https://late.example", "title": "late"}}],
                "groundingSupports": [{"segment": {"startIndex": 0, "endIndex": 3, "text": "all"},
                    "groundingChunkIndices": [0]}],
            }}]});
            script.extend([
                counted(model),
                Act::Pause(LATE),
                chunk(format!("data: {sources}\n\n")),
                Act::Hold,
            ]);
        } else {
            script.extend([Act::Pause(LATE), counted(model), Act::Hold]);
        }
        script
    });
    let ways = [
        (RELAYED, "oa", "\"prompt_tokens\":11"),
        (FROM_GEMINI, "ge", "https://late.example"),
        (WITHIN_GEMINI, "ge", "https://late.example"),
    ];
    for_each(&ways, |(way, model, late)| {
        let answer = ask(&gateway, way, model, 1);
        expect_whole(&gateway, &answer);
        assert!(answer.text().contains(late), "{way:?}: {}", answer.text());
    });
}

#[test]
fn row_11_a_translated_stream_without_its_end_is_finished_promptly() {
    let (_upstream, gateway) = stage(20.0, |model| {
        let mut script = vec![stream_head(), said(model, 0, "all", true), counted(model)];
        // Signs of life are not more of the answer.
        (0..80).for_each(|_| script.extend([Act::Pause(Duration::from_millis(250)), chunk(": alive\n\n")]));
        script
    });
    for_each(&[(TO_ANTHROPIC, "oa", 3_000), (FROM_GEMINI, "ge", 7_000)], |(way, model, limit)| {
        let asked_at = Instant::now();
        let answer = ask(&gateway, way, model, 1);
        let took = answer.end_at.duration_since(asked_at);
        expect_whole(&gateway, &answer);
        assert!(took < Duration::from_millis(limit), "{way:?} took {took:?}");
        let text = answer.text();
        let (end, count) = match way.path {
            "/v1/messages" => ("\"message_stop\"", "\"output_tokens\":4"),
            _ => ("data: [DONE]", "\"completion_tokens\":4"),
        };
        assert!(text.contains("\"all\"") && text.contains(end) && text.contains(count), "{way:?}: {text}");
    });
}

#[test]
fn row_11_a_finished_stream_that_falls_silent_before_its_counts_is_no_fault() {
    // All in one frame, which is kept for the end, where `extra_fields` goes into it: nothing was sent yet.
    let (upstream, gateway) = stage(0.6, |model| vec![stream_head(), said(model, 0, "all", true), Act::Hold]);
    for_each(&[(RELAYED, "oa"), (TO_ANTHROPIC, "oa"), (FROM_GEMINI, "ge")], |(way, model)| {
        let answer = ask(&gateway, way, model, 1);
        expect_whole(&gateway, &answer);
        let end = if way.path == "/v1/messages" { "\"message_stop\"" } else { "data: [DONE]" };
        assert!(answer.text().contains(end), "{way:?}: {}", answer.text());
    });
    assert_eq!(upstream.hits().len(), 3);
}

#[test]
fn row_08_a_stream_cut_between_two_choices_ends_with_an_error_event() {
    let (_upstream, gateway) = stage(0.6, |model| {
        let cut = if model.ends_with("reset") { Act::Reset } else { Act::Hold };
        vec![stream_head(), said(model, 0, "first", false), said(model, 0, "", true), cut]
    });
    let ways =
        [(RELAYED, "oa-reset"), (RELAYED, "oa-hold"), (FROM_GEMINI, "ge-reset"), (FROM_GEMINI, "ge-hold")];
    for_each(&ways, |(way, model)| {
        let answer = ask(&gateway, way, model, 2);
        let (events, done) = read_events(&answer.text());
        assert!(!done, "a cut stream ended cleanly: {}", answer.text());
        assert!(events.iter().any(|(_, event)| event["error"].is_object()), "{way:?}: {}", answer.text());
    });
    // A provider that gives one where two were asked for ends in good order: that is its answer.
    let (_upstream, gateway) = stage(8.0, |model| {
        let terminator = chunk("data: [DONE]\n\n");
        vec![stream_head(), said(model, 0, "only", true), terminator, crate::support::answers::end()]
    });
    expect_whole(&gateway, &ask(&gateway, RELAYED, "oa", 2));
}

#[test]
fn row_11_counts_that_are_cut_off_are_estimated_where_the_dialect_cannot_do_without() {
    // "all of it": nine characters, so three tokens of about four.
    let cut = || {
        let (_upstream, gateway) = stage(8.0, |model| {
            let counts =
                json!({"choices": [], "usage": {"prompt_tokens": 11, "completion_tokens": 4}}).to_string();
            let half = counts.get(..counts.len() / 2).unwrap().to_owned();
            let end = chunk(format!("data: {half}"));
            vec![stream_head(), said(model, 0, "all of it", true), end, crate::support::answers::end()]
        });
        gateway
    };
    let gateway = cut();
    let answer = ask(&gateway, TO_ANTHROPIC, "oa", 1);
    expect_whole(&gateway, &answer);
    let (events, _) = read_events(&answer.text());
    let (_, told) = events.iter().find(|(_, event)| event["type"] == "message_delta").unwrap();
    assert_eq!(told["usage"]["output_tokens"], 3, "{}", answer.text());
    assert!(told["usage"]["input_tokens"].as_u64().unwrap() > 0, "{}", answer.text());
    assert!(answer.text().contains("so they are estimated"), "{}", answer.text());
    // A caller of the provider's own dialect is told what came: nothing.
    let gateway = cut();
    let answer = ask(&gateway, RELAYED, "oa", 1);
    expect_whole(&gateway, &answer);
    assert!(!answer.text().contains("\"usage\":{"), "{}", answer.text());
}
