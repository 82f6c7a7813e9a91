//! One JSON line per request: the seed's fields, then ours.

use std::io::Write;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use super::logger::{REQUEST, Sink, Style};
use crate::config::expression::Who;

/// How one attempt ended, for the log, `extra_fields.attempts` and error bodies.
#[derive(Debug, Clone, Serialize)]
pub struct AttemptRecord {
    pub provider: Arc<str>,
    pub model: Arc<str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<Arc<str>>,
    /// The server, where there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backend: Option<Arc<str>>,
    /// `success`, or the label of the fault.
    pub outcome: &'static str,
    /// Status of the provider's answer, when there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    pub latency_ms: u64,
    /// The reason, shortened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What it consumed although it did not answer, or not to the end: estimated.
    #[serde(flatten)]
    pub spent: Option<Spent>,
}

/// What an attempt cost that did not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Spent {
    pub input_tokens: u64,
    pub output_tokens: u64,
    /// Absent when the price is not known.
    #[serde(skip)]
    pub cost_nanos: Option<u64>,
    /// Nobody knows what all of it cost.
    #[serde(skip)]
    pub unpriced: bool,
}

/// A finished request. The log adds `level` and `time` in front.
#[derive(Debug)]
pub struct RequestLine<'a> {
    pub msg: &'static str,
    pub provider: Option<&'a str>,
    pub model: Option<&'a str>,
    pub duration_ms: u64,
    /// Input and output tokens together.
    pub tokens: Option<u64>,
    pub cache_hit: bool,
    pub status: u16,
    pub request_id: &'a str,
    pub path: &'a str,
    pub stream: bool,
    pub model_requested: Option<&'a str>,
    pub key: Option<&'a str>,
    pub input_tokens: Option<u64>,
    pub output_tokens: Option<u64>,
    /// The counts were estimated from what was seen: the provider's own never came.
    pub usage_estimated: bool,
    /// US dollars, exact to the nano-dollar; absent when the price is not known.
    pub cost_nanos: Option<u64>,
    /// Nobody knows what all of it cost.
    pub unpriced: bool,
    pub ttft_ms: Option<u64>,
    /// Time spent waiting for places at providers; absent when there was no need to.
    pub queued_ms: Option<u64>,
    /// Time in the gateway less time waiting for sockets.
    pub overhead_us: u64,
    pub attempts: &'a [AttemptRecord],
    pub upstream_request_id: Option<&'a str>,
    pub error: Option<ErrorField<'a>>,
    /// The rule that decided where it went.
    pub rule: Option<&'a str>,
    /// Whose virtual key it came with.
    pub caller: Option<Who<'a>>,
    /// The request that this one is a copy of.
    pub mirror_of: Option<&'a str>,
}

/// Why a request failed.
#[derive(Debug)]
pub struct ErrorField<'a> {
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
            backend: None,
            outcome,
            status: None,
            latency_ms: 0,
            reason: Some(Self::shorten(reason)),
            spent: None,
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
    pub fn render(&self, out: &mut Vec<u8>) {
        out.push(b'{');
        self.render_members(out);
        out.push(b'}');
    }

    /// Appends the members of that object: no brace, no comma in front.
    pub fn render_members(&self, out: &mut Vec<u8>) {
        let mut line = Line(out);
        line.0.extend_from_slice(b"\"msg\":");
        line.value(self.msg);
        line.text_if("provider", self.provider);
        line.text_if("model", self.model);
        line.count("duration_ms", self.duration_ms);
        line.count_if("tokens", self.tokens);
        line.flag("cache_hit", self.cache_hit);
        line.count("status", self.status.into());
        line.text("request_id", self.request_id);
        line.text("path", self.path);
        line.flag("stream", self.stream);
        line.text_if("model_requested", self.model_requested);
        line.text_if("key", self.key);
        line.count_if("input_tokens", self.input_tokens);
        line.count_if("output_tokens", self.output_tokens);
        if self.usage_estimated {
            line.flag("usage_estimated", true);
        }
        line.count_if("ttft_ms", self.ttft_ms);
        line.count_if("queued_ms", self.queued_ms);
        line.count("overhead_us", self.overhead_us);
        line.attempts(self.attempts);
        line.text_if("upstream_request_id", self.upstream_request_id);
        line.text_if("rule", self.rule);
        line.text_if("mirror_of", self.mirror_of);
        line.caller(self.caller);
        if let Some(error) = &self.error {
            line.name("error");
            line.0.extend_from_slice(b"{\"type\":");
            line.value(error.kind);
            line.text("message", error.message);
            line.0.push(b'}');
        }
        line.dollars_if("cost", self.cost_nanos);
        if self.unpriced {
            line.flag("priced", false);
        }
    }

    /// Writes the line to the log, in its style.
    pub fn write(&self, sink: &Sink) {
        match sink.style() {
            Style::Json => sink.json_line(self),
            Style::Pretty => {
                let mut line = Vec::new();
                self.render(&mut line);
                log::info!(target: REQUEST, "{}", String::from_utf8_lossy(&line));
            }
        }
    }
}

/// Members of a JSON object, written one behind another. By hand: the line is written for every request,
/// and a serialiser takes three times as long.
struct Line<'o>(&'o mut Vec<u8>);

impl Line<'_> {
    fn name(&mut self, name: &str) {
        self.0.extend_from_slice(b",\"");
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b"\":");
    }

    fn text(&mut self, name: &str, text: &str) {
        self.name(name);
        self.value(text);
    }

    fn text_if(&mut self, name: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.text(name, text);
        }
    }

    fn count(&mut self, name: &str, count: u64) {
        self.name(name);
        self.0.extend_from_slice(itoa::Buffer::new().format(count).as_bytes());
    }

    fn count_if(&mut self, name: &str, count: Option<u64>) {
        if let Some(count) = count {
            self.count(name, count);
        }
    }

    fn dollars_if(&mut self, name: &str, nanos: Option<u64>) {
        if let Some(nanos) = nanos {
            self.name(name);
            write_dollars(nanos, self.0);
        }
    }

    fn flag(&mut self, name: &str, flag: bool) {
        self.name(name);
        self.0.extend_from_slice(if flag { b"true" } else { b"false" });
    }

    fn caller(&mut self, caller: Option<Who<'_>>) {
        let Some(who) = caller else { return };
        let named = |text| Some(text).filter(|text: &&str| !text.is_empty());
        self.text("virtual_key_id", who.virtual_key_id);
        self.text("virtual_key_name", who.virtual_key_name);
        self.text_if("team_id", named(who.team_id));
        self.text_if("team_name", named(who.team_name));
        self.text_if("customer_id", named(who.customer_id));
        self.text_if("customer_name", named(who.customer_name));
    }

    fn attempts(&mut self, attempts: &[AttemptRecord]) {
        self.name("attempts");
        for (at, attempt) in attempts.iter().enumerate() {
            self.0.extend_from_slice(if at == 0 { b"[{\"provider\":" } else { b",{\"provider\":" });
            self.value(&attempt.provider);
            self.text("model", &attempt.model);
            self.text_if("key", attempt.key.as_deref());
            self.text_if("backend", attempt.backend.as_deref());
            self.text("outcome", attempt.outcome);
            self.count_if("status", attempt.status.map(u64::from));
            self.count("latency_ms", attempt.latency_ms);
            self.text_if("reason", attempt.reason.as_deref());
            if let Some(spent) = &attempt.spent {
                self.count("input_tokens", spent.input_tokens);
                self.count("output_tokens", spent.output_tokens);
                self.dollars_if("cost", spent.cost_nanos);
            }
            self.0.push(b'}');
        }
        self.0.extend_from_slice(if attempts.is_empty() { b"[]" } else { b"]" });
    }

    fn value(&mut self, text: &str) {
        // Without a branch inside, so that the compiler looks at many bytes at once.
        let escaped = |found: bool, byte: &u8| found | (*byte < 0x20) | (*byte == b'"') | (*byte == b'\\');
        if text.as_bytes().iter().fold(false, escaped) {
            // Text is always JSON, and a Vec takes every byte.
            let _ = serde_json::to_writer(&mut *self.0, text);
            return;
        }
        self.0.push(b'"');
        self.0.extend_from_slice(text.as_bytes());
        self.0.push(b'"');
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
    fn the_line_is_json_and_leaves_out_what_is_not_known() {
        let record = AttemptRecord::skipped(&"p\"1".into(), &"m\n".into(), "connect", "no\u{1} way");
        let answered =
            AttemptRecord { status: Some(200), key: Some("k".into()), reason: None, ..record.clone() };
        let attempts = [record, answered];
        let mut line = RequestLine {
            msg: "request failed",
            provider: Some("p\"1"),
            model: None,
            duration_ms: 12,
            tokens: Some(0),
            cache_hit: false,
            status: 502,
            request_id: "r\\",
            path: "/v1/é",
            stream: true,
            model_requested: Some("a/b"),
            key: None,
            input_tokens: Some(u64::MAX),
            output_tokens: None,
            usage_estimated: true,
            cost_nanos: Some(1_500),
            unpriced: true,
            ttft_ms: None,
            queued_ms: None,
            overhead_us: 7,
            attempts: &attempts,
            upstream_request_id: Some("u"),
            error: Some(ErrorField { kind: "connect", message: "a \"b\"\t" }),
            rule: Some("cheap"),
            mirror_of: Some("r"),
            caller: Some(Who {
                virtual_key_id: "v",
                virtual_key_name: "key \"v\"",
                team_id: "t",
                ..Who::default()
            }),
        };
        let read = |line: &RequestLine<'_>| {
            let mut out = Vec::new();
            line.render(&mut out);
            serde_json::from_slice::<Value>(&out).unwrap_or_else(|error| panic!("{error}"))
        };
        let expected = serde_json::json!({
            "msg": "request failed", "provider": "p\"1", "duration_ms": 12, "tokens": 0, "cache_hit": false,
            "status": 502, "request_id": "r\\", "path": "/v1/é", "stream": true, "model_requested": "a/b",
            "input_tokens": u64::MAX, "usage_estimated": true, "overhead_us": 7,
            "attempts": serde_json::to_value(&attempts).unwrap(), "upstream_request_id": "u",
            "rule": "cheap", "mirror_of": "r", "virtual_key_id": "v", "virtual_key_name": "key \"v\"", "team_id": "t", "error": {"type": "connect", "message": "a \"b\"\t"}, "cost": 0.0000015, "priced": false,
        });
        assert_eq!(read(&line), expected);
        (line.attempts, line.error, line.cost_nanos) = (&[], None, None);
        assert_eq!(read(&line)["attempts"], serde_json::json!([]));
    }

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
