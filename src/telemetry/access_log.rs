//! One JSON line per request: the seed's fields, then ours.

mod cache;

use std::io::Write;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use self::cache::CacheLine;
use super::logger::{REQUEST, Sink, Style};
use super::members::Members;
use super::record::{AttemptPhases, CacheSeen, Record};
use super::redact;
use crate::auth::Caller;
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
    /// When its steps were.
    #[serde(skip)]
    pub phases: AttemptPhases,
    /// Of its span, which whoever was asked was told; 0: nobody was asked.
    #[serde(skip)]
    pub span_id: u64,
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
            phases: AttemptPhases::default(),
            span_id: 0,
        }
    }

    /// Somebody was asked: a model that was passed over was not tried.
    #[must_use]
    pub fn was_tried(&self) -> bool {
        self.phases != AttemptPhases::default()
    }

    /// It was tried and gave no answer.
    #[must_use]
    pub fn failed(&self) -> bool {
        // One that lost a race has not failed.
        !matches!(self.outcome, "success" | "hedge_lost") && self.was_tried()
    }

    /// Appends what log and callers are told of it, as members of an object that has none yet.
    pub fn render(&self, members: &mut Members<'_>) {
        members.0.extend_from_slice(b"\"provider\":");
        members.value(&self.provider);
        members.text("model", &self.model);
        members.text_if("key", self.key.as_deref());
        members.text_if("backend", self.backend.as_deref());
        members.text("outcome", self.outcome);
        members.count_if("status", self.status.map(u64::from));
        members.count("latency_ms", self.latency_ms);
        members.text_if("reason", self.reason.as_deref());
        if let Some(spent) = &self.spent {
            members.count("input_tokens", spent.input_tokens);
            members.count("output_tokens", spent.output_tokens);
        }
    }

    /// A reason for a list: at most 200 characters, without secrets.
    #[must_use]
    pub fn shorten(text: &str) -> String {
        const LIMIT: usize = 200;
        let text = &*redact::told(text);
        match text.char_indices().nth(LIMIT) {
            Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
            None => text.to_owned(),
        }
    }
}

/// Appends the line of a finished request as a JSON object.
pub fn render(record: &Record, out: &mut Vec<u8>) {
    out.push(b'{');
    render_members(record, out);
    out.push(b'}');
}

/// Appends the members of that object: no brace, no comma in front. The seed's come first; the log adds `level` and `time`
/// before them.
pub fn render_members(record: &Record, out: &mut Vec<u8>) {
    let mut line = Members(out);
    line.0.extend_from_slice(b"\"msg\":");
    line.value(message(record));
    line.text_if("provider", record.provider.as_deref());
    line.text_if("model", record.model.as_deref());
    line.count("duration_ms", record.took_us / 1_000);
    line.count_if("tokens", record.usage.map(|usage| usage.total()));
    line.flag("cache_hit", record.cache_hit);
    line.count("status", record.status.into());
    line.text("request_id", &record.request_id);
    line.text("path", &record.path);
    line.flag("stream", record.stream);
    line.text_if("model_requested", Some(&*record.model_asked).filter(|model| !model.is_empty()));
    line.text_if("key", record.key.as_deref());
    line.count_if("input_tokens", record.usage.map(|usage| usage.input_total()));
    line.count_if("output_tokens", record.usage.map(|usage| usage.output));
    if record.usage_estimated {
        line.flag("usage_estimated", true);
    }
    line.count_if("ttft_ms", record.first_token_us.map(|us| us / 1_000));
    line.count_if("queued_ms", record.queued_us.map(|us| us / 1_000));
    line.count("overhead_us", record.overhead_us);
    line.attempts(&record.attempts);
    line.text_if("upstream_request_id", record.upstream_request_id.as_deref());
    line.text_if("rule", record.decision.rule.as_deref());
    line.text_if("mirror_of", record.mirror_of.as_deref());
    line.caller(record.caller.as_ref().map(Caller::who));
    if let Some(error) = &record.error {
        line.name("error");
        line.0.extend_from_slice(b"{\"type\":");
        line.value(error.kind);
        line.text("message", &error.message);
        line.0.push(b'}');
    }
    line.cache(record.cache.as_deref());
    line.dollars_if("cost", record.cost_nanos);
    if record.unpriced {
        line.flag("priced", false);
    }
    links(record, &mut line);
}

/// What the request belongs to, and what its caller calls it.
fn links(record: &Record, line: &mut Members<'_>) {
    line.text_if("parent_request_id", record.parent_request_id.as_deref());
    line.text_if("session_id", record.session_id.as_deref());
    if let Some(trace) = &record.trace {
        line.name("trace_id");
        // Writing into a Vec cannot fail.
        let _ = write!(line.0, "\"{:032x}\"", trace.trace_id);
    }
    for (at, (name, value)) in record.tags.iter().enumerate() {
        line.0.extend_from_slice(if at == 0 { b",\"tags\":{" } else { b"," });
        line.value(name);
        line.0.push(b':');
        line.value(value);
    }
    if !record.tags.is_empty() {
        line.0.push(b'}');
    }
}

fn message(record: &Record) -> &'static str {
    match (&record.mirror_of, &record.error) {
        (None, None) => "request completed",
        (None, Some(_)) => "request failed",
        (Some(_), None) => "copy completed",
        (Some(_), Some(_)) => "copy failed",
    }
}

impl Members<'_> {
    /// What the cache did, where it was asked.
    fn cache(&mut self, seen: Option<&CacheSeen>) {
        let Some(seen) = seen else { return };
        self.name("cache");
        // Names and numbers are always JSON, and a Vec takes every byte.
        let _ = serde_json::to_writer(&mut *self.0, &CacheLine::of(seen));
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
            self.0.extend_from_slice(if at == 0 { b"[{" } else { b",{" });
            attempt.render(self);
            self.phases(&attempt.phases);
            self.dollars_if("cost", attempt.spent.and_then(|spent| spent.cost_nanos));
            self.0.push(b'}');
        }
        self.0.extend_from_slice(if attempts.is_empty() { b"[]" } else { b"]" });
    }

    /// What an attempt took for its steps, where there were any.
    fn phases(&mut self, phases: &AttemptPhases) {
        let spans = phases.spans();
        self.count_if("connect_us", spans.connect_us);
        self.count_if("tls_us", spans.tls_us);
        self.count_if("first_byte_us", spans.first_byte_us);
    }
}

/// Lines of requests are wanted, as things stand.
#[must_use]
pub fn is_wanted() -> bool {
    log::log_enabled!(target: REQUEST, log::Level::Info)
}

/// Writes the line to the log, in its style, if it was wanted when the request ended.
pub fn write(record: &Record, sink: &Sink) {
    if !record.logged {
        return;
    }
    match sink.style() {
        Style::Json => sink.request(record),
        Style::Pretty => {
            let mut line = Vec::new();
            render(record, &mut line);
            log::info!(target: REQUEST, "{}", String::from_utf8_lossy(&line));
        }
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
    use super::super::record::Failed;
    use super::*;
    use translate::ir::Usage;

    /// One in which everything is told; its attempts as they are listed beside it.
    fn full() -> (Record, Value) {
        let skipped = AttemptRecord::skipped(&"p\"1".into(), &"m\n".into(), "connect", "no\u{1} way");
        let phases = AttemptPhases {
            connected_us: Some(900),
            secured_us: Some(1_500),
            sent_us: Some(1_600),
            answered_us: Some(9_600),
            ended_us: 12_000,
            ..AttemptPhases::default()
        };
        let answered = AttemptRecord {
            status: Some(200),
            key: Some("k".into()),
            reason: None,
            phases,
            ..skipped.clone()
        };
        let attempts = vec![skipped, answered];
        let mut listed = serde_json::to_value(&attempts).unwrap();
        listed[1]["connect_us"] = 900.into();
        listed[1]["tls_us"] = 600.into();
        listed[1]["first_byte_us"] = 8_000.into();
        let usage = Usage { output: u64::MAX, ..Usage::default() };
        let mut record = Record {
            provider: Some("p\"1".into()),
            took_us: 12_345,
            usage: Some(usage),
            status: 502,
            request_id: "r\\".into(),
            path: "/v1/é".into(),
            stream: true,
            model_asked: "a/b".into(),
            usage_estimated: true,
            cost_nanos: Some(1_500),
            unpriced: true,
            overhead_us: 7,
            attempts,
            upstream_request_id: Some("u".into()),
            error: Some(Failed { kind: "connect", message: "a \"b\"\t".into() }),
            mirror_of: Some("r".into()),
            parent_request_id: Some("parent".into()),
            session_id: Some("s".into()),
            tags: vec![("team".into(), "\"blue\"".into()), ("tier".into(), "gold".into())],
            ..Record::default()
        };
        record.decision.rule = Some("cheap".into());
        (record, listed)
    }

    #[test]
    fn the_line_is_json_and_leaves_out_what_is_not_known() {
        let (record, listed) = full();
        let read = |record: &Record| {
            let mut out = Vec::new();
            render(record, &mut out);
            serde_json::from_slice::<Value>(&out).unwrap_or_else(|error| panic!("{error}"))
        };
        let expected = serde_json::json!({
            "msg": "copy failed", "provider": "p\"1", "duration_ms": 12, "tokens": u64::MAX, "cache_hit": false,
            "status": 502, "request_id": "r\\", "path": "/v1/é", "stream": true, "model_requested": "a/b",
            "input_tokens": 0, "output_tokens": u64::MAX, "usage_estimated": true, "overhead_us": 7,
            "attempts": listed, "upstream_request_id": "u", "rule": "cheap", "mirror_of": "r",
            "error": {"type": "connect", "message": "a \"b\"\t"}, "cost": 0.0000015, "priced": false,
            "parent_request_id": "parent", "session_id": "s", "tags": {"team": "\"blue\"", "tier": "gold"},
        });
        assert_eq!(read(&record), expected);
        let bare = read(&Record::default());
        let expected = serde_json::json!({
            "msg": "request completed", "duration_ms": 0, "cache_hit": false, "status": 0, "request_id": "", "path": "",
            "stream": false, "overhead_us": 0, "attempts": [],
        });
        assert_eq!(bare, expected);
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
            Members(&mut out).dollars("cost", nanos);
            assert_eq!(String::from_utf8(out).unwrap(), format!(",\"cost\":{text}"));
        }
    }
}
