//! What the caller was told, read in its dialect.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::Wire;
use super::client::Response;

/// An answer, whole or streamed, in the caller's dialect.
#[derive(Debug, Clone)]
pub struct Told {
    pub dialect: Wire,
    pub response: Response,
    pub took: Duration,
    /// `data:` events of a stream with their `event:` name; the terminator `[DONE]` is not among them.
    pub events: Vec<(String, Value)>,
    /// The stream ended with `[DONE]` or `message_stop`.
    pub terminated: bool,
}

impl Told {
    pub fn new(dialect: Wire, response: Response, asked_at: Instant) -> Self {
        let streamed =
            response.header("content-type").is_some_and(|kind| kind.starts_with("text/event-stream"));
        let (events, done) = if streamed { read_events(&response.text()) } else { (Vec::new(), false) };
        let terminated = match dialect {
            Wire::OpenAi => done,
            Wire::Anthropic => events.iter().any(|(_, body)| body["type"] == "message_stop"),
        };
        let took = response.end_at.duration_since(asked_at);
        Self { dialect, response, took, events, terminated }
    }

    pub fn status(&self) -> u16 {
        self.response.status()
    }

    pub fn streamed(&self) -> bool {
        !self.events.is_empty()
    }

    /// The id that finds the log line.
    pub fn id(&self) -> &str {
        self.response.header("x-request-id").expect("x-request-id")
    }

    /// All text of the answer.
    pub fn text(&self) -> String {
        if self.streamed() {
            return self
                .events
                .iter()
                .filter_map(|(_, body)| match self.dialect {
                    Wire::OpenAi => body["choices"][0]["delta"]["content"].as_str(),
                    Wire::Anthropic => body["delta"]["text"].as_str(),
                })
                .collect();
        }
        let body = self.response.json();
        let text = match self.dialect {
            Wire::OpenAi => &body["choices"][0]["message"]["content"],
            Wire::Anthropic => &body["content"][0]["text"],
        };
        text.as_str().unwrap_or_default().to_owned()
    }

    /// The finish reasons that were told.
    pub fn finishes(&self) -> Vec<String> {
        let read = |value: &Value| value.as_str().map(str::to_owned);
        if self.streamed() {
            return self
                .events
                .iter()
                .filter_map(|(_, body)| match self.dialect {
                    Wire::OpenAi => read(&body["choices"][0]["finish_reason"]),
                    Wire::Anthropic => read(&body["delta"]["stop_reason"]),
                })
                .collect();
        }
        let body = self.response.json();
        let found = match self.dialect {
            Wire::OpenAi => &body["choices"][0]["finish_reason"],
            Wire::Anthropic => &body["stop_reason"],
        };
        read(found).into_iter().collect()
    }

    /// Output tokens as told.
    pub fn output_tokens(&self) -> Option<u64> {
        let of = |body: &Value| match self.dialect {
            Wire::OpenAi => body["usage"]["completion_tokens"].as_u64(),
            Wire::Anthropic => body["usage"]["output_tokens"].as_u64(),
        };
        if self.streamed() {
            return self.events.iter().rev().find_map(|(_, body)| of(body));
        }
        of(&self.response.json())
    }

    /// The dialect's error object, from an error status or from the stream.
    pub fn error(&self) -> Option<Value> {
        let of = |body: &Value| {
            let shaped = match self.dialect {
                Wire::OpenAi => body["error"].is_object() && body["type"] != "error",
                Wire::Anthropic => body["type"] == "error",
            };
            shaped.then(|| body["error"].clone())
        };
        if self.streamed() {
            return self.events.iter().find_map(|(_, body)| of(body));
        }
        of(&self.response.json())
    }

    pub fn error_message(&self) -> String {
        let error = self.error().unwrap_or_else(|| panic!("no error in {}", self.response.text()));
        error["message"].as_str().unwrap_or_default().to_owned()
    }

    /// `extra_fields`, of the whole body or of the last event.
    pub fn extra(&self) -> Value {
        match self.events.last() {
            Some((_, last)) => last["extra_fields"].clone(),
            None => self.response.json()["extra_fields"].clone(),
        }
    }

    /// The attempts as `provider outcome`.
    pub fn attempts(&self) -> Vec<String> {
        attempts(&self.extra()["attempts"])
    }
}

/// A list of attempts as `provider outcome`.
pub fn attempts(list: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    let read = |entry: &Value| format!("{} {}", text(&entry["provider"]), text(&entry["outcome"]));
    list.as_array().unwrap_or_else(|| panic!("no attempts: {list}")).iter().map(read).collect()
}

/// The events of an SSE body, and whether `[DONE]` came, as the last.
pub fn read_events(text: &str) -> (Vec<(String, Value)>, bool) {
    let mut events = Vec::new();
    let mut done = false;
    // Lines may end in any way, and the data may stand on several.
    let text = text.trim_start_matches('\u{feff}').replace("\r\n", "\n");
    for block in text.split("\n\n").filter(|block| !block.trim().is_empty()) {
        let fields =
            |name: &'static str| block.lines().filter_map(move |line| line.strip_prefix(name)).map(str::trim);
        let data = fields("data:").collect::<Vec<_>>().join("\n");
        if fields("data:").next().is_none() {
            continue;
        }
        assert!(!done, "an event after [DONE]: {block}");
        if data == "[DONE]" {
            done = true;
            continue;
        }
        let body =
            serde_json::from_str(&data).unwrap_or_else(|error| panic!("event is no JSON ({error}): {data}"));
        events.push((fields("event:").next().unwrap_or_default().to_owned(), body));
    }
    (events, done)
}
