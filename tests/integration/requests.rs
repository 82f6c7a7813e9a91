//! Request bodies of every size and framing, each replayed whole on every attempt.

use std::io::Write;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::stage::{chat, failover_stage, healthy_stage, message, plain_chat, provider};
use crate::support::answers::stream;
use crate::support::client::Request;
use crate::support::gateway::Gateway;
use crate::support::upstream::{Hit, Upstream};
use crate::support::{Wire, for_each};

/// A chat at `bad` with `oa` as fallback, of about `size` bytes.
pub fn sized(size: usize) -> serde_json::Value {
    let mut body = chat(&format!("bad/of-{size}"));
    body["fallbacks"] = json!([format!("oa/of-{size}")]);
    let words = "0123456789abcdef ".repeat(size / 17 + 1);
    body["messages"][0]["content"] = json!(words[..size.saturating_sub(150).max(1)]);
    body
}

/// Both attempts at `bad` and the one at `good` got the whole content.
pub fn expect_replayed(bad: &Upstream, good: &Upstream, body: &serde_json::Value) {
    let model = body["model"].as_str().unwrap().trim_start_matches("bad/");
    let (refused, answered) = (bad.hits_for(model), good.hits_for(model));
    assert_eq!((refused.len(), answered.len()), (2, 1));
    for hit in refused.iter().chain(&answered) {
        assert!(hit.json["messages"] == body["messages"], "{} bytes came", hit.body.len());
    }
}

#[test]
fn bodies_of_any_size_and_framing_are_replayed_whole_and_the_connection_is_kept() {
    let (bad, good, gateway) = failover_stage(json!({}));
    let cases = [(200, false), (66_000, false), (66_001, true), (20 << 20, false)];
    for_each(&cases, |(size, chunked)| {
        let body = sized(size);
        let mut request = Request::json(Wire::OpenAi.path(), &body);
        if chunked {
            request = request.chunked(7_001);
        }
        let mut caller = gateway.connect();
        let answer = caller.ask(&request).unwrap();
        assert_eq!(answer.status(), 200, "{}", answer.text());
        expect_replayed(&bad, &good, &body);
        for _ in 0..2 {
            let again = caller.ask(&plain_chat()).expect("the connection was not kept");
            assert_eq!(again.status(), 200, "{}", again.text());
        }
    });
}

#[test]
fn a_strict_client_gets_its_100_before_it_sends_the_body() {
    let (upstream, gateway) = healthy_stage(json!({}));
    let request = plain_chat().header("expect", "100-continue");
    let mut caller = gateway.connect();
    caller.socket.write_all(&request.head()).unwrap();
    assert_eq!(caller.read_head().unwrap().status, 100);
    caller.socket.write_all(chat("oa/m").to_string().as_bytes()).unwrap();
    let answer = caller.response().unwrap();
    assert_eq!(answer.status(), 200, "{}", answer.text());
    assert_eq!(caller.ask(&plain_chat()).unwrap().status(), 200);
    assert!(upstream.hits().iter().all(|hit| hit.header("expect").is_none()));
}

#[test]
fn a_strict_client_got_no_fallback_since_its_100_counted_as_an_answer() {
    let (bad, _good, gateway) = failover_stage(json!({}));
    for (fallbacks, status) in [(json!(["oa/m"]), 200), (json!([]), 503)] {
        let mut body = chat("bad/m");
        body["fallbacks"] = fallbacks;
        let request = Request::json(Wire::OpenAi.path(), &body).header("expect", "100-continue");
        let mut caller = gateway.connect();
        caller.socket.write_all(&request.head()).unwrap();
        assert_eq!(caller.read_head().unwrap().status, 100);
        caller.socket.write_all(body.to_string().as_bytes()).unwrap();
        let answer = caller.response().unwrap();
        assert_eq!(answer.status(), status, "{}", answer.text());
    }
    assert!(bad.hits().len() > 1, "it was not tried again");
}

#[test]
fn a_body_declared_too_large_is_refused_before_it_is_read() {
    let (upstream, gateway) = healthy_stage(json!({}));
    for_each(&[(Wire::OpenAi, false), (Wire::Anthropic, false), (Wire::OpenAi, true)], |(wire, expects)| {
        let mut caller = gateway.connect();
        let expect = if expects { "expect: 100-continue\r\n" } else { "" };
        let head =
            format!("POST {} HTTP/1.1\r\nhost: h\r\n{expect}content-length: 209715200\r\n\r\n", wire.path());
        caller.socket.write_all(head.as_bytes()).unwrap();
        let answer = caller.response().unwrap();
        assert_eq!(answer.status(), 413);
        assert!(message(&answer).contains("100 MB"), "{}", answer.text());
        assert_eq!(answer.json()["type"] == "error", wire == Wire::Anthropic);
    });
    assert!(upstream.hits().is_empty());
}

#[test]
fn a_chunked_body_over_the_limit_is_refused_on_the_way() {
    let (upstream, gateway) = healthy_stage(json!({"max_request_body_size_mb": 1}));
    let mut body = chat("oa/m");
    body["messages"][0]["content"] = json!("x".repeat(3 << 20));
    let answer = gateway.ask(&Request::json(Wire::OpenAi.path(), &body).chunked(16_384));
    assert_eq!(answer.status(), 413);
    assert!(message(&answer).contains("max_request_body_size_mb"), "{}", answer.text());
    assert!(upstream.hits().is_empty());
    assert_eq!(gateway.ask(&plain_chat()).status(), 200);
}

#[test]
fn an_upload_that_stalls_or_dawdles_is_cut_with_a_408() {
    let (upstream, gateway) = healthy_stage(json!({
        "request_read_timeout_in_seconds": 0.4, "request_body_timeout_in_seconds": 0.9,
    }));
    let body = chat("oa/m").to_string();
    for_each(&[false, true], |dawdles| {
        let mut caller = gateway.connect();
        let began = Instant::now();
        caller.socket.write_all(&plain_chat().head()).unwrap();
        caller.socket.write_all(&body.as_bytes()[..20]).unwrap();
        if dawdles {
            // Never silent for long, never done.
            caller.socket.set_read_timeout(Some(Duration::from_millis(150))).unwrap();
            for byte in body.as_bytes()[20..].iter().take(10) {
                let _ = caller.socket.write_all(&[*byte]);
                if caller.socket.peek(&mut [0]).is_ok() {
                    break;
                }
            }
            caller.socket.set_read_timeout(Some(crate::support::PATIENCE)).unwrap();
        }
        let answer = caller.response().unwrap();
        let took = began.elapsed();
        assert_eq!(answer.status(), 408, "{}", answer.text());
        let limit = Duration::from_millis(if dawdles { 900 } else { 400 });
        assert!(took >= limit && took < limit + Duration::from_millis(900), "{took:?}");
    });
    assert!(upstream.hits().is_empty());
}

#[test]
fn malformed_json_is_a_400_that_names_the_place_in_both_dialects() {
    let (upstream, gateway) = healthy_stage(json!({}));
    for (wire, kind) in [(Wire::OpenAi, "invalid_request_error"), (Wire::Anthropic, "invalid_request_error")]
    {
        let answer = gateway.ask(&Request::post(wire.path(), "{\"model\": \"oa/m\",\n \"messages\": [}"));
        assert_eq!(answer.status(), 400);
        let text = message(&answer);
        assert!(text.contains("line 2") && text.contains("column"), "{text}");
        assert_eq!(answer.json()["error"]["type"], kind);
        assert_eq!(answer.json()["type"] == "error", wire == Wire::Anthropic);
    }
    assert!(upstream.hits().is_empty());
}

/// Sends raw bytes and reads what comes back.
fn raw(gateway: &crate::support::gateway::Gateway, bytes: &[u8]) -> crate::support::client::Response {
    let mut caller = gateway.connect();
    caller.socket.write_all(bytes).unwrap();
    caller.response().unwrap()
}

#[test]
fn a_head_that_cannot_be_read_is_answered_in_json_with_a_request_id() {
    let (_upstream, gateway) = healthy_stage(json!({}));
    let many: String = (0..300).map(|n| format!("x-{n}: 1\r\n")).collect();
    let cases = [
        ("GET /v1/models HTTP/1.1\r\nhost: x\r\nno colon here\r\n\r\n".to_owned(), 400),
        ("GET /v1/models HTTP/1.1\r\nb@d name: 1\r\n\r\n".to_owned(), 400),
        (format!("GET /v1/models HTTP/1.1\r\nhost: x\r\n{many}\r\n"), 431),
        (
            "POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n"
                .to_owned(),
            400,
        ),
    ];
    for (bytes, status) in cases {
        let answer = raw(&gateway, bytes.as_bytes());
        assert_eq!(answer.status(), status, "{bytes:.60}");
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.header("x-request-id").map(str::len), Some(32), "{bytes:.60}");
        assert!(answer.json()["error"]["message"].as_str().is_some_and(|text| !text.is_empty()));
    }
}

#[test]
fn headers_of_more_than_64_kb_are_refused_in_the_dialect_of_the_path() {
    let (_upstream, gateway) = healthy_stage(json!({}));
    for (path, kind) in [("/v1/chat/completions", "/error/type"), ("/anthropic/v1/messages", "/type")] {
        let request = Request::json(path, &chat("oa/m")).header("x-long", &"a".repeat(70_000));
        let answer = gateway.ask(&request);
        assert_eq!(answer.status(), 431, "{}", answer.text());
        assert!(answer.header("x-request-id").is_some() && answer.json().pointer(kind).is_some());
        assert!(answer.text().contains("64 KB"), "{}", answer.text());
    }
    let fits = Request::json("/v1/chat/completions", &chat("oa/m")).header("x-long", &"a".repeat(60_000));
    assert_eq!(gateway.ask(&fits).status(), 200);
}

#[test]
fn a_nested_member_that_stands_twice_is_refused_where_the_body_is_translated() {
    let (upstream, gateway) = healthy_stage(json!({}));
    let body = |model: &str| {
        format!(
            r#"{{"model":"{model}","max_tokens":9,"messages":[{{"role":"user","content":"aaa","content":"bbb"}}]}}"#
        )
    };
    let answer = gateway.ask(&Request::post("/v1/chat/completions", body("an/m")));
    assert_eq!((answer.status(), &answer.json()["error"]["param"]), (400, &json!("messages[0].content")));
    assert!(upstream.hits().is_empty(), "one of two texts was chosen for the caller");
    // The same bytes go to a provider of the same wire, whose business they are.
    assert_eq!(gateway.ask(&Request::post("/v1/chat/completions", body("oa/m"))).status(), 200);
}

#[test]
fn a_responses_stream_that_repeats_a_long_request_is_no_fault() {
    // Both events before the first token repeat it, as the real API does.
    let upstream = Upstream::start(|hit: &Hit| {
        let answer = |status: &str, output: Value| {
            json!({"id": "resp_1", "object": "response", "created_at": 1, "status": status, "model": "m",
                "instructions": hit.json["instructions"], "output": output,
                "usage": {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}})
        };
        let item = json!({"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
            "content": [{"type": "output_text", "text": "done", "annotations": []}]});
        let empty = json!({"type": "output_text", "text": "", "annotations": []});
        let open = json!({"type": "message", "id": "msg_1", "role": "assistant", "status": "in_progress", "content": []});
        let events = [
            json!({"type": "response.created", "response": answer("in_progress", json!([]))}),
            json!({"type": "response.in_progress", "response": answer("in_progress", json!([]))}),
            json!({"type": "response.output_item.added", "output_index": 0, "item": open}),
            json!({"type": "response.content_part.added", "item_id": "msg_1", "output_index": 0, "content_index": 0,
                "part": empty}),
            json!({"type": "response.output_text.delta", "item_id": "msg_1", "output_index": 0, "content_index": 0,
                "delta": "done"}),
            json!({"type": "response.completed", "response": answer("completed", json!([item]))}),
        ];
        let frames: Vec<String> = events
            .iter()
            .map(|event| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap()))
            .collect();
        stream(&frames, Duration::ZERO)
    });
    let gateway = Gateway::start(&json!({"providers": {"openai": provider(Wire::OpenAi, &upstream.url())}}));
    let body =
        json!({"model": "openai/m", "input": "?", "instructions": "é".repeat(400_000), "stream": true});
    let answer = gateway.ask(&Request::json("/v1/responses", &body));
    assert_eq!(answer.status(), 200, "{:.300}", answer.text());
    assert!(answer.text().contains("\"delta\":\"done\"") && answer.text().contains("response.completed"));
    assert_eq!(upstream.hits().len(), 1);
}
