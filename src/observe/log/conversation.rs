//! What was said, read from the bodies that are kept: in any dialect, streams put together.
//!
//! It is read when somebody looks, not when the request ends; what cannot be read is shown as it came.

use serde_json::{Map, Value};
use translate::frame::FrameParser;
use translate::ir::{Choice, Delta, Event, Part, PartKind, Request, Response, Text, Thinking, ToolCall};
use translate::provider::{Destination, ModelRules};
use translate::wire::Echo;
use translate::{Losses, Wire, ir};

/// Whose form chats are shown in.
const OPENAI: &str = "openai";

/// A chat as the original shows one: messages as OpenAI writes them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Conversation {
    /// `messages` of the request.
    pub input: Vec<Value>,
    /// `message` of the first choice.
    pub output: Option<Value>,
    pub tools: Vec<Value>,
    /// All other members of the request.
    pub params: Map<String, Value>,
}

impl Conversation {
    /// Reads a chat; parts that are no chat of this dialect are left empty.
    #[must_use]
    pub fn of(dialect: Wire, request: &[u8], response: &[u8], stream: bool) -> Self {
        let mut found = Self::default();
        let chat = dialect.dialect().and_then(|codec| codec.decode_request(request).ok());
        if let Some(Value::Object(mut body)) = chat.as_ref().and_then(as_chat) {
            found.input = taken(&mut body, "messages");
            found.tools = taken(&mut body, "tools");
            body.remove("model");
            found.params = body;
        }
        let answer = if stream { assembled(dialect, response) } else { whole(dialect, response) };
        found.output = answer.as_ref().and_then(as_message);
        found
    }

    /// All texts of it, for an index: at most `limit` bytes.
    #[must_use]
    pub fn text(&self, limit: usize) -> String {
        let mut out = String::new();
        for value in self.input.iter().chain(&self.output) {
            words_of(value, limit, &mut out);
        }
        out
    }
}

/// The texts of any JSON, for an index; of what is none, the bytes as text.
#[must_use]
pub fn text_of(body: &[u8], limit: usize) -> String {
    let mut out = String::new();
    match serde_json::from_slice::<Value>(body) {
        Ok(value) => words_of(&value, limit, &mut out),
        Err(_) => {
            let text = String::from_utf8_lossy(body.get(..limit.min(body.len())).unwrap_or_default());
            out.push_str(&text);
        }
    }
    out
}

/// Appends every text that is for people: no data of images, no names of fields.
fn words_of(value: &Value, limit: usize, out: &mut String) {
    match value {
        _ if out.len() >= limit => {}
        Value::String(text) if is_data(text) => {}
        Value::String(text) => {
            let room = limit.saturating_sub(out.len());
            let end = (0..=room.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            out.push_str(text.get(..end).unwrap_or_default());
            out.push('\n');
        }
        Value::Array(items) => items.iter().for_each(|item| words_of(item, limit, out)),
        Value::Object(map) => {
            let told = |name: &str| !["role", "type", "id", "tool_call_id"].contains(&name);
            map.iter().filter(|(name, _)| told(name)).for_each(|(_, item)| words_of(item, limit, out));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Long, and without a space: encoded bytes.
fn is_data(text: &str) -> bool {
    const LONG: usize = 256;
    text.starts_with("data:") || text.get(..LONG).is_some_and(|start| !start.contains(char::is_whitespace))
}

fn taken(body: &mut Map<String, Value>, name: &str) -> Vec<Value> {
    match body.remove(name) {
        Some(Value::Array(items)) => items,
        _ => Vec::new(),
    }
}

/// A request as OpenAI writes it.
fn as_chat(request: &Request) -> Option<Value> {
    let vendor = translate::provider::find(OPENAI)?;
    let rules = ModelRules::of(OPENAI, Wire::OpenAiChat, &request.model);
    let to = Destination { quirks: &vendor.quirks, rules: &rules, model: &request.model };
    let body = Wire::OpenAiChat.codec().encode_request(request, &to, &mut Losses::default()).ok()?;
    serde_json::from_slice(&body).ok()
}

fn as_message(response: &Response) -> Option<Value> {
    let codec = Wire::OpenAiChat.dialect()?;
    let body = codec.encode_response(response, &Echo::default(), &mut Losses::default());
    let mut body: Value = serde_json::from_slice(&body).ok()?;
    body.pointer_mut("/choices/0/message").map(Value::take)
}

fn whole(dialect: Wire, body: &[u8]) -> Option<Response> {
    dialect.codec().decode_response(body).ok()
}

/// The answer that a stream told, as far as it came.
fn assembled(dialect: Wire, body: &[u8]) -> Option<Response> {
    let mut parser = FrameParser::new(dialect.framing());
    let mut decoder = dialect.codec().stream_decoder();
    let mut events = Vec::new();
    parser.push(body);
    while let Some(frame) = parser.next_frame() {
        // A frame that is none is passed over, as everywhere.
        let _ = decoder.frame(&frame, &mut events);
    }
    if let Some(frame) = parser.finish() {
        let _ = decoder.frame(&frame, &mut events);
    }
    decoder.end(&mut events);
    let mut assembly = Assembly::default();
    events.into_iter().for_each(|event| assembly.take(event));
    (!assembly.response.choices.is_empty()).then_some(assembly.response)
}

/// An answer that is put together.
#[derive(Default)]
struct Assembly {
    response: Response,
}

impl Assembly {
    fn take(&mut self, event: Event) {
        match event {
            Event::Start { id, model, created } => {
                (self.response.id, self.response.model, self.response.created) = (id, model, created);
            }
            Event::PartStart { choice, part, kind } => {
                let opened = opened(kind);
                if let Some(slot) = self.part(choice, part) {
                    *slot = opened;
                }
            }
            Event::PartDelta { choice, part, delta } => {
                if let Some(part) = self.part(choice, part) {
                    feed(part, delta);
                }
            }
            Event::Finish { choice, finish } => {
                if let Some(choice) = self.choice(choice) {
                    choice.finish = Some(finish);
                }
            }
            Event::Usage(usage) => self.response.usage = Some(usage),
            Event::PartStop { .. }
            | Event::Logprobs { .. }
            | Event::Failure(_)
            | Event::Lost { .. }
            | Event::Ping
            | Event::End => {}
        }
    }

    fn choice(&mut self, number: u32) -> Option<&mut Choice> {
        /// Nobody asks for more answers at once.
        const MOST: usize = 128;
        let at = usize::try_from(number).ok().filter(|at| *at < MOST)?;
        let choices = &mut self.response.choices;
        while choices.len() <= at {
            choices.push(Choice {
                parts: Vec::new(),
                finish: None,
                logprobs: None,
                extra: ir::Extra::default(),
            });
        }
        choices.get_mut(at)
    }

    fn part(&mut self, choice: u32, part: u32) -> Option<&mut Part> {
        const MOST: usize = 4_096;
        let at = usize::try_from(part).ok().filter(|at| *at < MOST)?;
        let parts = &mut self.choice(choice)?.parts;
        while parts.len() <= at {
            parts.push(Part::text(""));
        }
        parts.get_mut(at)
    }
}

fn opened(kind: PartKind) -> Part {
    match kind {
        PartKind::Text => Part::Text(Text::default()),
        PartKind::Refusal => Part::Refusal(String::new()),
        PartKind::Thinking => Part::Thinking(Thinking::default()),
        PartKind::RedactedThinking { data } => Part::RedactedThinking { data, extra: ir::Extra::default() },
        PartKind::Image(image) => Part::Image(*image),
        PartKind::ToolCall { id, name } => Part::ToolCall(ToolCall {
            id,
            name,
            arguments: String::new(),
            cache: None,
            extra: ir::Extra::default(),
        }),
        PartKind::Opaque { wire, value } => Part::Opaque { wire, value },
    }
}

fn feed(part: &mut Part, delta: Delta) {
    match (part, delta) {
        (Part::Text(text), Delta::Text(more)) => text.text.push_str(&more),
        (Part::Text(text), Delta::Citation(citation)) => text.citations.push(*citation),
        (Part::Refusal(text), Delta::Refusal(more)) => text.push_str(&more),
        (Part::Thinking(thinking), Delta::Thinking(more)) => thinking.text.push_str(&more),
        (Part::Thinking(thinking), Delta::Signature(signature)) => thinking.signature = Some(signature),
        (Part::ToolCall(call), Delta::Arguments(more)) => call.arguments.push_str(&more),
        _ => {}
    }
}
