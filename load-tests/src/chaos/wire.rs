//! Answers in the two wires: whole, and as the frames of a stream.

use serde_json::{Value, json};

use crate::client::Dialect;

/// Tokens that an answer's prompt is said to have had.
const INPUT: usize = 17;

/// A whole answer with these words.
#[must_use]
pub fn whole(wire: Dialect, model: &str, words: &[String]) -> Value {
    let (text, output) = (words.concat(), words.len());
    match wire {
        Dialect::OpenAi => json!({
            "id": "chatcmpl-chaos", "object": "chat.completion", "created": 1_760_000_000, "model": model,
            "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "logprobs": null,
                "finish_reason": "stop"}],
            "usage": {"prompt_tokens": INPUT, "completion_tokens": output, "total_tokens": INPUT + output},
        }),
        Dialect::Anthropic => json!({
            "id": "msg_chaos", "type": "message", "role": "assistant", "model": model,
            "content": [{"type": "text", "text": text}], "stop_reason": "end_turn", "stop_sequence": null,
            "usage": {"input_tokens": INPUT, "output_tokens": output},
        }),
    }
}

/// A stream, by what a fault can cut it into.
#[derive(Debug, Clone)]
pub struct Frames {
    /// Before the first word.
    pub opening: Vec<String>,
    /// One per word.
    pub words: Vec<String>,
    /// Up to the finish reason and the counts.
    pub finish: Vec<String>,
    /// The last event.
    pub terminator: String,
}

impl Frames {
    /// The frames of a stream with these words. `usage`: OpenAI's frame of counts was asked for.
    #[must_use]
    pub fn of(wire: Dialect, model: &str, words: &[String], usage: bool) -> Self {
        match wire {
            Dialect::OpenAi => openai(model, words, usage),
            Dialect::Anthropic => anthropic(model, words),
        }
    }

    /// All of them in order.
    #[must_use]
    pub fn all(self) -> Vec<String> {
        [self.opening, self.words, self.finish, vec![self.terminator]].concat()
    }
}

fn openai(model: &str, words: &[String], usage: bool) -> Frames {
    let frame = |choices: Value, usage: Value| {
        let body = json!({"id": "chatcmpl-chaos", "object": "chat.completion.chunk",
            "created": 1_760_000_000, "model": model, "choices": choices, "usage": usage});
        format!("data: {body}\n\n")
    };
    let delta = |delta: Value, finish: Value| {
        frame(json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}]), Value::Null)
    };
    let mut finish = vec![delta(json!({}), json!("stop"))];
    if usage {
        let output = words.len();
        let counts =
            json!({"prompt_tokens": INPUT, "completion_tokens": output, "total_tokens": INPUT + output});
        finish.push(frame(json!([]), counts));
    }
    Frames {
        opening: vec![delta(json!({"role": "assistant", "content": ""}), Value::Null)],
        words: words.iter().map(|word| delta(json!({"content": word}), Value::Null)).collect(),
        finish,
        terminator: "data: [DONE]\n\n".to_owned(),
    }
}

fn anthropic(model: &str, words: &[String]) -> Frames {
    let event = |body: Value| {
        let kind = body.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
        format!("event: {kind}\ndata: {body}\n\n")
    };
    let start = json!({"id": "msg_chaos", "type": "message", "role": "assistant", "model": model,
        "content": [], "stop_reason": null, "stop_sequence": null,
        "usage": {"input_tokens": INPUT, "output_tokens": 1}});
    let word = |word: &String| {
        event(
            json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}}),
        )
    };
    Frames {
        opening: vec![
            event(json!({"type": "message_start", "message": start})),
            event(json!({"type": "content_block_start", "index": 0,
                "content_block": {"type": "text", "text": ""}})),
            event(json!({"type": "ping"})),
        ],
        words: words.iter().map(word).collect(),
        finish: vec![
            event(json!({"type": "content_block_stop", "index": 0})),
            event(json!({"type": "message_delta",
                "delta": {"stop_reason": "end_turn", "stop_sequence": null},
                "usage": {"output_tokens": words.len()}})),
        ],
        terminator: event(json!({"type": "message_stop"})),
    }
}

/// An error body; `kind` is OpenAI's code or Anthropic's type.
#[must_use]
pub fn error(wire: Dialect, kind: &str, message: &str) -> Value {
    match wire {
        Dialect::OpenAi => {
            json!({"error": {"message": message, "type": kind, "param": null, "code": kind}})
        }
        Dialect::Anthropic => json!({"type": "error", "error": {"type": kind, "message": message}}),
    }
}

/// An error in a stream.
#[must_use]
pub fn error_event(wire: Dialect, kind: &str, message: &str) -> String {
    let body = error(wire, kind, message);
    match wire {
        Dialect::OpenAi => format!("data: {body}\n\n"),
        Dialect::Anthropic => format!("event: error\ndata: {body}\n\n"),
    }
}
