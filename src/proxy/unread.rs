//! What an answer says of its counts that goes through as it came: the provider bills it like any other.
//!
//! The bytes are looked at beside their way, never changed, held back or waited for. What cannot be read here is not
//! counted: this is no place to fail a request.

use http::{Method, header};
use pingora_http::ResponseHeader;
use translate::Wire;
use translate::frame::{FrameParser, Framing};
use translate::ir::Usage;
use translate::relay::counts_in;
use translate::wire::Observation;

use super::attempt::Attempt;
use super::coding::Inflater;
use super::exchange::Call;

/// Whole answers are looked at up to here.
const LIMIT: usize = 32 * 1024 * 1024;

/// Looks at one answer.
pub struct Unread {
    wire: Wire,
    inflater: Option<Box<Inflater>>,
    form: Form,
    seen: Observation,
}

enum Form {
    Events(FrameParser),
    Whole(Vec<u8>),
    /// Too long, or broken.
    Unknown,
}

impl Unread {
    /// For the answer with this head; `None` when no model ran for it, as far as anybody can tell.
    #[must_use]
    pub fn of(call: &Call, attempt: &Attempt, head: &ResponseHeader) -> Option<Box<Self>> {
        let (method, path) = call.raw.as_ref()?;
        let path = path.split('?').next().unwrap_or_default();
        // What was kept is not made anew when it is fetched or cancelled.
        if *method != Method::POST || !head.status.is_success() || path.ends_with("/cancel") {
            return None;
        }
        let kind = head.headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
        let form = match kind.split(';').next().unwrap_or_default().trim() {
            "application/json" => Form::Whole(Vec::new()),
            "text/event-stream" => Form::Events(FrameParser::new(Framing::Sse)),
            "application/vnd.amazon.eventstream" => Form::Events(FrameParser::new(Framing::EventStream)),
            _ => return None,
        };
        Some(Box::new(Self {
            wire: wire_of(path).unwrap_or(attempt.upstream.target.wire),
            inflater: Inflater::of(&head.headers),
            form,
            seen: Observation::default(),
        }))
    }

    /// The next bytes.
    pub fn push(&mut self, chunk: &[u8], end: bool) {
        let plain = self.inflater.as_mut().map(|inflater| inflater.inflate(chunk));
        let chunk = match &plain {
            None => chunk,
            Some(Ok(plain)) => plain,
            Some(Err(_)) => {
                self.form = Form::Unknown;
                return;
            }
        };
        match &mut self.form {
            Form::Events(parser) => {
                let Some(dialect) = self.wire.dialect() else { return };
                parser.push(chunk);
                while let Some(frame) = parser.next_frame() {
                    dialect.observe_frame(&frame, &mut self.seen);
                }
            }
            Form::Whole(body) => {
                body.extend_from_slice(chunk);
                if body.len() > LIMIT {
                    self.form = Form::Unknown;
                } else if end {
                    let body = std::mem::take(body);
                    self.read(&body);
                }
            }
            Form::Unknown => {}
        }
    }

    /// What it says it consumed, so far.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        self.seen.usage
    }

    /// The model that it says it is of.
    #[must_use]
    pub fn model(&self) -> Option<&str> {
        self.seen.model.as_deref().filter(|model| !model.is_empty())
    }

    /// How many characters it had so far.
    #[must_use]
    pub fn chars(&self) -> u64 {
        self.seen.output_chars
    }

    fn read(&mut self, body: &[u8]) {
        // Images and speech of OpenAI are counted as its responses are.
        let counts = [self.wire, Wire::OpenAiResponses]
            .into_iter()
            .find_map(|wire| counts_in(wire, body).filter(|usage| usage.total() > 0));
        self.seen.usage = counts;
        let answer: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
        let model = answer.get("model").or_else(|| answer.get("modelVersion"));
        self.seen.model = model.and_then(serde_json::Value::as_str).map(str::to_owned);
    }
}

/// The wire of a path at a provider, where the path tells.
fn wire_of(path: &str) -> Option<Wire> {
    let last = path.rsplit('/').next().unwrap_or_default();
    match last.rsplit(':').next().unwrap_or_default() {
        "messages" => Some(Wire::Anthropic),
        "responses" | "compact" => Some(Wire::OpenAiResponses),
        "completions" | "embeddings" => Some(Wire::OpenAiChat),
        "generateContent" | "streamGenerateContent" => Some(Wire::Gemini),
        "converse" | "converse-stream" => Some(Wire::BedrockConverse),
        "chat" if path.ends_with("/v2/chat") => Some(Wire::Cohere),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unread(form: Form, wire: Wire) -> Unread {
        Unread { wire, inflater: None, form, seen: Observation::default() }
    }

    #[test]
    fn a_whole_answer_is_counted_when_it_is_complete() {
        let body = br#"{"model":"gpt-x","choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3}}"#;
        let mut seen = unread(Form::Whole(Vec::new()), Wire::OpenAiChat);
        seen.push(&body[..20], false);
        assert_eq!(seen.usage(), None);
        seen.push(&body[20..], true);
        assert_eq!(seen.usage().map(|usage| (usage.input_total(), usage.output)), Some((7, 3)));
        assert_eq!(seen.model(), Some("gpt-x"));
    }

    #[test]
    fn images_are_counted_by_the_names_of_responses() {
        let body = br#"{"created":1,"data":[{"b64_json":"x"}],"usage":{"input_tokens":50,"output_tokens":1056,"total_tokens":1106}}"#;
        let mut seen = unread(Form::Whole(Vec::new()), Wire::OpenAiChat);
        seen.push(body, true);
        assert_eq!(seen.usage().map(|usage| (usage.input_total(), usage.output)), Some((50, 1_056)));
    }

    #[test]
    fn a_path_tells_its_wire() {
        for (path, wire) in [
            ("/v1/chat/completions", Some(Wire::OpenAiChat)),
            ("/v1/messages", Some(Wire::Anthropic)),
            ("/v1/messages/count_tokens", None),
            ("/v1beta/models/gemini-2.5-pro:streamGenerateContent", Some(Wire::Gemini)),
            ("/model/m/converse-stream", Some(Wire::BedrockConverse)),
            ("/v2/chat", Some(Wire::Cohere)),
            ("/v1/files", None),
        ] {
            assert_eq!(wire_of(path), wire, "{path}");
        }
    }
}
