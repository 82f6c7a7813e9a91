//! Judges what a caller heard: the right answer, whole and once, or a clean error in its dialect. Everything
//! else is a violation.

use serde_json::Value;

use super::sse::{self, Event};
use crate::client::Dialect;

/// What came.
#[derive(Debug, Clone, Default)]
pub struct Heard {
    pub status: u16,
    pub events: bool,
    pub body: Vec<u8>,
    /// The body ended as its framing says.
    pub framed: bool,
}

/// How a request went, when it went right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// The right text, once, with its end.
    Complete,
    /// The same, without the counts of tokens that the dialect has.
    Uncounted,
    /// An error status and body in the caller's dialect.
    Refused(u16),
    /// A part of the right text, then an error event, and no end.
    BrokenOff,
    /// A large whole answer whose connection broke: no end says that it was complete.
    CutShort,
    /// The caller left.
    Left,
}

/// What must not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    pub kind: &'static str,
    pub detail: String,
}

/// A [`Violation`] of this kind.
pub fn violation<T>(kind: &'static str, detail: impl Into<String>) -> Result<T, Violation> {
    Err(Violation { kind, detail: detail.into() })
}

/// Whole answers above this size go out before they have ended.
const LARGE: usize = 512 * 1024;

/// Judges an answer to a caller of `dialect` that asked for `text`, as a `streamed` or a whole one.
///
/// # Errors
/// What is wrong with it.
pub fn judge(dialect: Dialect, streamed: bool, heard: &Heard, text: &str) -> Result<Outcome, Violation> {
    if heard.status == 200 && heard.events != streamed {
        let form = |events| if events { "events" } else { "a whole answer" };
        return violation("form", format!("{} instead of {}", form(heard.events), form(streamed)));
    }
    if heard.status == 200 && heard.events {
        return stream(dialect, heard, text);
    }
    if !heard.framed {
        let large = heard.status == 200 && text.len() > LARGE;
        return if large { Ok(Outcome::CutShort) } else { violation("cut", "the body ended before its end") };
    }
    let Ok(body) = serde_json::from_slice::<Value>(&heard.body) else {
        return violation("no JSON", format!("status {}", heard.status));
    };
    match heard.status {
        200 => whole(dialect, &body, text),
        400..=599 => refused(dialect, &body).map(|()| Outcome::Refused(heard.status)),
        status => violation("status", status.to_string()),
    }
}

fn whole(dialect: Dialect, body: &Value, text: &str) -> Result<Outcome, Violation> {
    let (content, finish, output) = match dialect {
        Dialect::OpenAi => {
            ("/choices/0/message/content", "/choices/0/finish_reason", "/usage/completion_tokens")
        }
        Dialect::Anthropic => ("/content/0/text", "/stop_reason", "/usage/output_tokens"),
    };
    let parts = if dialect == Dialect::OpenAi { "/choices" } else { "/content" };
    let count = body.pointer(parts).and_then(Value::as_array).map_or(0, Vec::len);
    if count > 1 {
        return violation("structure", format!("{count} answers in one: {parts}"));
    }
    let told = body.pointer(content).and_then(Value::as_str);
    if told != Some(text) {
        return violation("wrong text", difference(told.unwrap_or_default(), text));
    }
    let right = if dialect == Dialect::OpenAi { "stop" } else { "end_turn" };
    if body.pointer(finish).and_then(Value::as_str) != Some(right) {
        return violation("finish reason", format!("{:?}", body.pointer(finish)));
    }
    let counted = body.pointer(output).and_then(Value::as_u64) > Some(0);
    Ok(if counted { Outcome::Complete } else { Outcome::Uncounted })
}

/// The dialect's error object, with words in it.
fn refused(dialect: Dialect, body: &Value) -> Result<(), Violation> {
    let said =
        |pointer: &str| body.pointer(pointer).and_then(Value::as_str).is_some_and(|text| !text.is_empty());
    // What Anthropic's has, OpenAI's has not.
    let marked = body.get("type").is_some_and(|kind| kind == "error");
    if marked == (dialect == Dialect::Anthropic) && said("/error/message") && said("/error/type") {
        return Ok(());
    }
    violation("error not in the dialect", body.to_string().chars().take(300).collect::<String>())
}

/// What a stream said, event by event.
#[derive(Debug, Default)]
struct Said {
    text: String,
    starts: usize,
    finishes: Vec<String>,
    usage: bool,
    ended: bool,
    error: bool,
    open_block: Option<u64>,
}

fn stream(dialect: Dialect, heard: &Heard, text: &str) -> Result<Outcome, Violation> {
    let events = match sse::read(&heard.body) {
        Ok(events) => events,
        Err(problem) => return violation("stream", problem),
    };
    let mut said = Said::default();
    for event in &events {
        if said.ended || said.error {
            return violation("an event after the end", event.data.clone());
        }
        match dialect {
            Dialect::OpenAi => said.openai(event)?,
            Dialect::Anthropic => said.anthropic(event)?,
        }
    }
    if said.error {
        if !text.starts_with(&said.text) {
            return violation("wrong text", difference(&said.text, text));
        }
        if !said.finishes.is_empty() {
            return violation("a finish reason before an error", said.finishes.join(" "));
        }
        return if heard.framed { Ok(Outcome::BrokenOff) } else { violation("cut", "after the error event") };
    }
    if !heard.framed {
        return violation("cut", "no end and no error event");
    }
    if said.text != text {
        let clean = said.ended || !said.finishes.is_empty();
        let kind = if clean { "a clean end on a wrong text" } else { "wrong text" };
        return violation(kind, difference(&said.text, text));
    }
    complete(dialect, &said)
}

fn complete(dialect: Dialect, said: &Said) -> Result<Outcome, Violation> {
    let right = if dialect == Dialect::OpenAi { "stop" } else { "end_turn" };
    if said.finishes != [right] {
        return violation("finish reason", format!("{:?}", said.finishes));
    }
    if !said.ended {
        return violation("no terminator", "");
    }
    if said.starts != 1 || said.open_block.is_some() {
        return violation("structure", format!("{} starts, open block {:?}", said.starts, said.open_block));
    }
    // OpenAI's are told on demand only.
    let counted = dialect == Dialect::OpenAi || said.usage;
    Ok(if counted { Outcome::Complete } else { Outcome::Uncounted })
}

impl Said {
    fn openai(&mut self, event: &Event) -> Result<(), Violation> {
        if event.data == "[DONE]" {
            self.ended = true;
            return Ok(());
        }
        let body = parse(event)?;
        if body.get("error").is_some_and(|error| !error.is_null()) {
            self.error = true;
            return refused(Dialect::OpenAi, &body);
        }
        if body.get("object").is_none_or(|object| object != "chat.completion.chunk") {
            return violation("structure", event.data.clone());
        }
        if body.pointer("/choices/1").is_some() || body.pointer("/choices/0/index").is_some_and(|at| at != 0)
        {
            return violation("structure", event.data.clone());
        }
        if let Some(delta) = body.pointer("/choices/0/delta") {
            self.starts += usize::from(delta.get("role").is_some_and(|role| role == "assistant"));
            self.text.push_str(delta.get("content").and_then(Value::as_str).unwrap_or_default());
        }
        self.finish(body.pointer("/choices/0/finish_reason"));
        Ok(())
    }

    fn anthropic(&mut self, event: &Event) -> Result<(), Violation> {
        let body = parse(event)?;
        let kind = body.get("type").and_then(Value::as_str).unwrap_or_default();
        if kind != event.name {
            return violation("structure", format!("event {} with type {kind}", event.name));
        }
        let index = body.get("index").and_then(Value::as_u64);
        match kind {
            "error" => {
                self.error = true;
                return refused(Dialect::Anthropic, &body);
            }
            "message_start" => self.starts += 1,
            "content_block_start" if self.open_block.is_none() => self.open_block = index,
            "content_block_delta" if index.is_some() && self.open_block == index => {
                let text = body.pointer("/delta/text").and_then(Value::as_str);
                self.text.push_str(text.unwrap_or_default());
            }
            "content_block_stop" if index.is_some() && self.open_block == index => self.open_block = None,
            "message_delta" => {
                self.finish(body.pointer("/delta/stop_reason"));
                self.usage |= body.pointer("/usage/output_tokens").and_then(Value::as_u64) > Some(0);
            }
            "message_stop" => self.ended = true,
            "ping" => {}
            _ => return violation("structure", event.data.clone()),
        }
        if self.starts != 1 && kind != "ping" {
            return violation("structure", format!("{kind} after {} starts", self.starts));
        }
        Ok(())
    }

    fn finish(&mut self, reason: Option<&Value>) {
        self.finishes.extend(reason.and_then(Value::as_str).map(str::to_owned));
    }
}

fn parse(event: &Event) -> Result<Value, Violation> {
    serde_json::from_str(&event.data)
        .or_else(|error| violation("an event that is no JSON", format!("{error}: {}", event.data)))
}

/// The answer's output tokens as its caller was told, if it was.
#[must_use]
pub fn output_tokens(dialect: Dialect, heard: &Heard) -> Option<u64> {
    let name = if dialect == Dialect::OpenAi { "completion_tokens" } else { "output_tokens" };
    let told = |body: &Value| body.get("usage")?.get(name)?.as_u64();
    if !heard.events {
        return told(&serde_json::from_slice(&heard.body).ok()?);
    }
    // Anthropic's first count is of what had been said by then.
    let events = sse::read(&heard.body).ok()?;
    let events = events.iter().filter(|event| dialect == Dialect::OpenAi || event.name == "message_delta");
    events.filter_map(|event| told(&serde_json::from_str(&event.data).ok()?)).next_back()
}

/// Where a text departs from the right one.
fn difference(told: &str, right: &str) -> String {
    let same = told.char_indices().zip(right.chars()).take_while(|((_, a), b)| a == b);
    let at = same.last().map_or(0, |((at, c), _)| at + c.len_utf8());
    let from = |text: &str| text.get(at..).unwrap_or_default().chars().take(60).collect::<String>();
    format!(
        "{} of {} bytes, from byte {at}: {:?} instead of {:?}",
        told.len(),
        right.len(),
        from(told),
        from(right)
    )
}

#[cfg(test)]
mod tests;
