//! One JSON line per request: the seed's fields, then ours.

use std::io::Write;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use super::logger::{REQUEST, Sink, Style};

/// How one attempt ended, for the log, `extra_fields.attempts` and error bodies.
#[derive(Debug, Clone, Serialize)]
pub struct AttemptRecord {
    pub provider: Arc<str>,
    pub model: Arc<str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<Arc<str>>,
    /// `success`, or the label of the fault.
    pub outcome: &'static str,
    /// Status of the provider's answer, when there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    pub latency_ms: u64,
    /// The reason, shortened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A finished request. The log adds `level` and `time` in front.
#[derive(Debug, Serialize)]
pub struct RequestLine<'a> {
    pub msg: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<&'a str>,
    pub duration_ms: u64,
    /// Input and output tokens together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    pub cache_hit: bool,
    pub status: u16,
    pub request_id: &'a str,
    pub path: &'a str,
    pub stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_requested: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<u64>,
    /// The counts were estimated from what was seen: the provider's own never came.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub usage_estimated: bool,
    /// US dollars, exact to the nano-dollar; absent when the price is not known.
    #[serde(skip)]
    pub cost_nanos: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttft_ms: Option<u64>,
    /// Time in the gateway less time waiting for sockets.
    pub overhead_us: u64,
    pub attempts: &'a [AttemptRecord],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream_request_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorField<'a>>,
}

/// Why a request failed.
#[derive(Debug, Serialize)]
pub struct ErrorField<'a> {
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub message: &'a str,
}

impl AttemptRecord {
    /// A model that was passed over without a request.
    #[must_use]
    pub fn skipped(provider: &Arc<str>, model: &Arc<str>, outcome: &'static str, reason: &str) -> Self {
        Self {
            provider: Arc::clone(provider),
            model: Arc::clone(model),
            key: None,
            outcome,
            status: None,
            latency_ms: 0,
            reason: Some(Self::shorten(reason)),
        }
    }

    /// A reason for a list: at most 200 characters.
    #[must_use]
    pub fn shorten(text: &str) -> String {
        const LIMIT: usize = 200;
        match text.char_indices().nth(LIMIT) {
            Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
            None => text.to_owned(),
        }
    }
}

impl RequestLine<'_> {
    /// Appends the line as a JSON object.
    ///
    /// # Errors
    /// Never in practice: every field is text, a number or a list of them.
    pub fn render(&self, out: &mut Vec<u8>) -> serde_json::Result<()> {
        serde_json::to_writer(&mut *out, self)?;
        if let Some(nanos) = self.cost_nanos {
            // A number that a float could not hold exactly: written behind the last member.
            out.pop();
            out.extend_from_slice(b",\"cost\":");
            write_dollars(nanos, out);
            out.push(b'}');
        }
        Ok(())
    }

    /// Writes the line to the log, in its style.
    pub fn write(&self, sink: &Sink) {
        let written = match sink.style() {
            Style::Json => sink.json_line(self),
            Style::Pretty => {
                let mut line = Vec::new();
                self.render(&mut line).map(|()| {
                    log::info!(target: REQUEST, "{}", String::from_utf8_lossy(&line));
                })
            }
        };
        if let Err(error) = written {
            log::error!("a request line could not be written: {error}");
        }
    }
}

/// Appends nano-dollars as a JSON number of dollars, without going through a float.
pub fn write_dollars(nanos: u64, out: &mut Vec<u8>) {
    const UNIT: u64 = 1_000_000_000;
    let (whole, rest) = (nanos / UNIT, nanos % UNIT);
    // Writing into a Vec cannot fail.
    let _ = if rest == 0 { write!(out, "{whole}") } else { write!(out, "{whole}.{rest:09}") };
    while rest != 0 && out.last() == Some(&b'0') {
        out.pop();
    }
}

/// The line as a person reads it; `None` when it is no request line.
#[must_use]
pub fn for_people(line: &str) -> Option<String> {
    let fields: Value = serde_json::from_str(line).ok()?;
    let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or("-").to_owned();
    let number = |name: &str| fields.get(name).and_then(Value::as_u64);
    let mut out = format!(
        "{} {} {}/{} {} ms",
        number("status")?,
        text("path"),
        text("provider"),
        text("model"),
        number("duration_ms")?,
    );
    if let Some(tokens) = number("tokens") {
        out.push_str(&format!(", {tokens} tokens"));
    }
    if let Some(cost) = fields.get("cost") {
        out.push_str(&format!(", ${cost}"));
    }
    if let Some(attempts) = fields.get("attempts").and_then(Value::as_array).filter(|all| all.len() > 1) {
        let trail: Vec<String> = attempts
            .iter()
            .map(|a| format!("{}/{}: {}", word(a, "provider"), word(a, "model"), word(a, "outcome")))
            .collect();
        out.push_str(&format!(", attempts [{}]", trail.join(", ")));
    }
    if let Some(error) = fields.get("error") {
        out.push_str(&format!(", {}: {}", word(error, "type"), word(error, "message")));
    }
    Some(printable(&out))
}

/// Control characters spelled out: what a caller or provider wrote must not move the cursor.
fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            out.extend(character.escape_default());
        } else {
            out.push(character);
        }
    }
    out
}

fn word<'v>(value: &'v Value, name: &str) -> &'v str {
    value.get(name).and_then(Value::as_str).unwrap_or("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_are_exact_and_short() {
        for (nanos, text) in [
            (0, "0"),
            (1, "0.000000001"),
            (150_000, "0.00015"),
            (1_000_000_000, "1"),
            (12_340_000_000, "12.34"),
            (u64::MAX, "18446744073.709551615"),
        ] {
            let mut out = Vec::new();
            write_dollars(nanos, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
    }
}
