//! What providers say, in both wires, well and badly.

use std::time::Duration;

use serde_json::{Value, json};

use super::Wire;
use super::upstream::{Act, Hit, Script};

/// The words of a healthy answer.
pub const WORDS: [&str; 4] = ["The", " answer", " is", " 42"];
/// Tokens that every healthy answer reports: input, output.
pub const USAGE: (u64, u64) = (11, 4);

/// A healthy answer in the wire and form that the request asks for.
pub fn healthy(hit: &Hit) -> Script {
    if hit.streams() {
        stream(&events(hit.wire(), hit.model()), Duration::ZERO)
    } else {
        json_answer(200, &[], &whole(hit.wire(), hit.model()))
    }
}

/// A whole answer's body.
pub fn whole(wire: Wire, model: &str) -> Value {
    let text = WORDS.concat();
    let (input, output) = USAGE;
    match wire {
        Wire::OpenAi => json!({
            "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": model,
            "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output},
        }),
        Wire::Anthropic => json!({
            "id": "msg_1", "type": "message", "role": "assistant", "model": model,
            "content": [{"type": "text", "text": text}], "stop_reason": "end_turn", "stop_sequence": null,
            "usage": {"input_tokens": input, "output_tokens": output},
        }),
    }
}

/// The events of a healthy stream, one string per frame.
pub fn events(wire: Wire, model: &str) -> Vec<String> {
    match wire {
        Wire::OpenAi => openai_events(model),
        Wire::Anthropic => anthropic_events(model),
    }
}

/// How many of [`events`] carry or precede text: a stream cut here has said something.
pub const AFTER_TWO_WORDS: [usize; 2] = [3, 4];

/// [`AFTER_TWO_WORDS`] of a wire.
pub fn after_two_words(wire: Wire) -> usize {
    match wire {
        Wire::OpenAi => AFTER_TWO_WORDS[0],
        Wire::Anthropic => AFTER_TWO_WORDS[1],
    }
}

fn openai_events(model: &str) -> Vec<String> {
    let chunk = |choices: Value, usage: Value| {
        let body = json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": model,
            "choices": choices, "usage": usage});
        format!("data: {body}\n\n")
    };
    let delta = |delta: Value, finish: Value| {
        chunk(json!([{"index": 0, "delta": delta, "finish_reason": finish}]), Value::Null)
    };
    let mut all = vec![delta(json!({"role": "assistant", "content": ""}), Value::Null)];
    all.extend(WORDS.iter().map(|word| delta(json!({"content": word}), Value::Null)));
    all.push(delta(json!({}), json!("stop")));
    let (input, output) = USAGE;
    let usage = json!({"prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output});
    all.push(chunk(json!([]), usage));
    all.push("data: [DONE]\n\n".to_owned());
    all
}

fn anthropic_events(model: &str) -> Vec<String> {
    let event = |body: Value| format!("event: {}\ndata: {body}\n\n", body["type"].as_str().expect("type"));
    let (input, output) = USAGE;
    let mut all = vec![
        event(
            json!({"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant",
            "model": model, "content": [], "stop_reason": null, "stop_sequence": null,
            "usage": {"input_tokens": input, "output_tokens": 1}}}),
        ),
        event(
            json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        ),
    ];
    all.extend(WORDS.iter().map(|word| {
        event(
            json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}}),
        )
    }));
    all.push(event(json!({"type": "content_block_stop", "index": 0})));
    all.push(event(
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null},
        "usage": {"output_tokens": output}}),
    ));
    all.push(event(json!({"type": "message_stop"})));
    all
}

/// A JSON answer.
pub fn json_answer(status: u16, headers: &[(&str, &str)], body: &Value) -> Script {
    raw_answer(status, "application/json", headers, body.to_string().as_bytes())
}

/// An answer of any type with its true length.
pub fn raw_answer(status: u16, content_type: &str, headers: &[(&str, &str)], body: &[u8]) -> Script {
    let length = body.len().to_string();
    let mut all = vec![("content-type", content_type), ("content-length", length.as_str())];
    all.extend_from_slice(headers);
    let mut bytes = head(status, &all);
    bytes.extend_from_slice(body);
    vec![Act::Send(bytes)]
}

/// A response head.
pub fn head(status: u16, headers: &[(&str, &str)]) -> Vec<u8> {
    let mut text = format!("HTTP/1.1 {status} Scripted\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    text.into_bytes()
}

/// The head of a chunked event stream.
pub fn stream_head() -> Act {
    Act::Send(head(200, &[("content-type", "text/event-stream"), ("transfer-encoding", "chunked")]))
}

/// One chunk of a chunked body.
pub fn chunk(bytes: impl AsRef<[u8]>) -> Act {
    let bytes = bytes.as_ref();
    let mut out = format!("{:x}\r\n", bytes.len()).into_bytes();
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
    Act::Send(out)
}

/// The proper end of a chunked body.
pub fn end() -> Act {
    Act::Send(b"0\r\n\r\n".to_vec())
}

/// Head, one chunk per frame with `pause` between them; the body stays open.
pub fn open_stream(frames: &[String], pause: Duration) -> Script {
    let mut script = vec![stream_head()];
    for frame in frames {
        script.push(chunk(frame));
        if !pause.is_zero() {
            script.push(Act::Pause(pause));
        }
    }
    script
}

/// A stream that ends in good order.
pub fn stream(frames: &[String], pause: Duration) -> Script {
    let mut script = open_stream(frames, pause);
    script.push(end());
    script
}

/// An error status with the wire's body. `kind` is OpenAI's `code` or Anthropic's `type`.
pub fn refusal(hit: &Hit, status: u16, kind: &str, message: &str, headers: &[(&str, &str)]) -> Script {
    json_answer(status, headers, &error_body(hit.wire(), kind, message))
}

/// To the model `pause` an answer that comes late, to others a stream of `pieces` words of `size` letters: more than
/// sockets hold.
pub fn large_or_late(hit: &Hit, pieces: usize, size: usize) -> Script {
    if hit.model() == "pause" {
        let mut script = vec![Act::Pause(Duration::from_millis(1_200))];
        script.extend(healthy(hit));
        return script;
    }
    let frames = events(hit.wire(), hit.model());
    let (begin, rest) = frames.split_at(after_two_words(hit.wire()));
    let mut script = open_stream(begin, Duration::ZERO);
    let word = json!({"id": "i", "object": "chat.completion.chunk", "created": 1, "model": hit.model(),
        "choices": [{"index": 0, "delta": {"content": "x".repeat(size)}, "finish_reason": null}]});
    script.extend((0..pieces).map(|_| chunk(format!("data: {word}\n\n"))));
    script.extend(rest.iter().map(chunk));
    script.push(end());
    script
}

/// An error body.
pub fn error_body(wire: Wire, kind: &str, message: &str) -> Value {
    match wire {
        Wire::OpenAi => json!({"error": {"message": message, "type": kind, "param": null, "code": kind}}),
        Wire::Anthropic => json!({"type": "error", "error": {"type": kind, "message": message}}),
    }
}
