//! What the mock says, as OpenAI chat bodies and chunks.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::config::snapshot::Mock;

const LOREM: &str = "Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor \
    incididunt ut labore et dolore magna aliqua. Ut enim ad minim veniam, quis nostrud exercitation \
    ullamco laboris nisi ut aliquip ex ea commodo consequat.";

/// One request, understood.
pub struct Asked {
    pub model: String,
    pub options: Mock,
    pub stream: bool,
    pub include_usage: bool,
    /// The answer, cut into tokens.
    pub tokens: Vec<String>,
    pub prompt_tokens: usize,
}

#[derive(Deserialize)]
struct Body {
    model: String,
    #[serde(default)]
    stream: bool,
    stream_options: Option<StreamOptions>,
    #[serde(default)]
    messages: Vec<Message>,
}

#[derive(Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: bool,
}

#[derive(Deserialize)]
struct Message {
    role: String,
    #[serde(default)]
    content: Value,
}

impl Asked {
    /// Reads a chat request. `configured` are the options of the provider entry.
    ///
    /// # Errors
    /// The status and message to answer with.
    pub fn read(body: &[u8], configured: Mock) -> Result<Self, (u16, String)> {
        let body: Body = serde_json::from_slice(body).map_err(|error| (400, error.to_string()))?;
        let (model, options) = match body.model.split_once('?') {
            Some((model, options)) => (model, super::read_options(options, configured)),
            None => (body.model.as_str(), configured),
        };
        let said = body.messages.iter().rev().find(|m| m.role == "user").map(|m| text(&m.content));
        let answer = match model {
            "lorem" => LOREM.to_owned(),
            // Without a provider any model name leads here: say so.
            _ => said.filter(|said| !said.is_empty()).unwrap_or_else(|| "Hello from the mock.".to_owned()),
        };
        let prompt: usize = body.messages.iter().map(|m| words(&text(&m.content)).len()).sum();
        Ok(Self {
            model: model.to_owned(),
            options,
            stream: body.stream,
            include_usage: body.stream_options.is_some_and(|o| o.include_usage),
            tokens: words(&answer),
            prompt_tokens: prompt.max(1),
        })
    }

    /// The whole answer.
    pub fn whole(&self, id: &str, created: u64) -> Value {
        json!({
            "id": id,
            "object": "chat.completion",
            "created": created,
            "model": self.model,
            "choices": [{
                "index": 0,
                "message": { "role": "assistant", "content": self.tokens.concat() },
                "finish_reason": "stop",
            }],
            "usage": self.usage(),
        })
    }

    /// The chunks of the stream, the first and the last ones included.
    pub fn chunks(&self, id: &str, created: u64) -> Vec<Value> {
        let chunk = |delta: Value, finish: Option<&str>| {
            json!({
                "id": id,
                "object": "chat.completion.chunk",
                "created": created,
                "model": self.model,
                "choices": [{ "index": 0, "delta": delta, "finish_reason": finish }],
            })
        };
        let mut chunks = vec![chunk(json!({ "role": "assistant", "content": "" }), None)];
        chunks.extend(self.tokens.iter().map(|token| chunk(json!({ "content": token }), None)));
        chunks.push(chunk(json!({}), Some("stop")));
        if self.include_usage {
            chunks.push(json!({
                "id": id,
                "object": "chat.completion.chunk",
                "created": created,
                "model": self.model,
                "choices": [],
                "usage": self.usage(),
            }));
        }
        chunks
    }

    fn usage(&self) -> Value {
        json!({
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.tokens.len(),
            "total_tokens": self.prompt_tokens + self.tokens.len(),
        })
    }
}

/// Text of a string or of the text parts of a list.
fn text(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts
            .iter()
            .filter_map(|part| part.get("text").and_then(Value::as_str))
            .collect::<Vec<_>>()
            .join(" "),
        _ => String::new(),
    }
}

/// Words with the blanks in front of them: together they are the text again.
fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut blank = true;
    for character in text.chars() {
        let starts = character.is_whitespace() && !blank;
        blank = character.is_whitespace();
        match words.last_mut() {
            Some(word) if !starts => word.push(character),
            _ => words.push(character.to_string()),
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_the_text_again() {
        for text in ["", " a", "one two  three\n", "日本 語", "   "] {
            assert_eq!(words(text).concat(), text);
        }
        assert_eq!(words("one two"), ["one", " two"]);
    }
}
