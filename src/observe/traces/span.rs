//! A finished request as spans: one for the request, one for each attempt, with the times that were measured.
//!
//! What was passed over without being asked has no time of its own: it is an event of the request's span.

use opentelemetry_proto::tonic::trace::v1::span::{Event, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};

use super::attributes::{Attributes, dollars};
use super::content::Said;
use super::facts::Facts;
use super::{genai, openinference};
use crate::config::Snapshot;
use crate::config::traces::{Collector, TraceType};
use crate::telemetry::access_log::AttemptRecord;
use crate::telemetry::record::{AttemptPhases, Outcome, Record, Trace};
use crate::telemetry::redact::Redactor;

/// Flags of a span beside those of its trace: it is known whether its parent is elsewhere, and it is.
const KNOWN_PARENT: u32 = 0x100;
const REMOTE_PARENT: u32 = 0x200;

/// What spans are made with.
pub struct View<'v> {
    pub collector: &'v Collector,
    pub snapshot: &'v Snapshot,
    pub redactor: &'v Redactor,
}

/// The spans of a request; none when its trace is not recorded.
#[must_use]
pub fn of(record: &Record, view: &View<'_>) -> Vec<Span> {
    let Some(trace) = record.trace.as_ref().filter(|trace| trace.recorded) else { return Vec::new() };
    let maker = Maker { record, trace, view };
    let mut spans = vec![maker.request()];
    spans.extend((0..record.attempts.len()).filter_map(|at| maker.attempt(at)));
    spans
}

struct Maker<'r> {
    record: &'r Record,
    trace: &'r Trace,
    view: &'r View<'r>,
}

impl Maker<'_> {
    fn request(&self) -> Span {
        let record = self.record;
        let remote = if self.trace.parent_id.is_some() { REMOTE_PARENT } else { 0 };
        Span {
            span_id: self.trace.span_id.to_be_bytes().to_vec(),
            parent_span_id: self.trace.parent_id.map(|id| id.to_be_bytes().to_vec()).unwrap_or_default(),
            flags: self.flags() | remote,
            name: if record.object.is_empty() { "request".to_owned() } else { record.object.to_owned() },
            kind: SpanKind::Server.into(),
            end_time_unix_nano: self.nanos(record.took_us),
            attributes: self.of_request().0,
            events: self.events(),
            status: self.status(),
            ..self.empty()
        }
    }

    fn of_request(&self) -> Attributes {
        let record = self.record;
        let mut out = Attributes::default();
        if self.view.collector.form == TraceType::OpenInference {
            out.text(openinference::KIND, openinference::REQUEST);
        }
        out.text("url.path", &record.path);
        out.count_if("http.response.status_code", Some(record.status.into()).filter(|status| *status > 0));
        out.text_if("error.type", record.error.as_ref().map(|error| error.kind));
        out.text_if("session.id", record.session_id.as_deref());
        out.text("bifrost.request_id", &record.request_id);
        out.text_if("bifrost.parent_request_id", record.parent_request_id.as_deref());
        out.text_if("bifrost.mirror_of", record.mirror_of.as_deref());
        out.text("bifrost.dialect", record.dialect);
        out.text_if("bifrost.model_asked", Some(&record.model_asked));
        out.text_if("bifrost.provider", record.provider.as_deref());
        out.text_if("bifrost.model", record.model.as_deref());
        out.text_if("bifrost.rule", record.decision.rule.as_deref());
        self.of_caller(&mut out);
        let tried = record.attempts.iter().filter(|attempt| was_asked(attempt)).count();
        out.count("bifrost.attempts", u64::try_from(tried).unwrap_or(u64::MAX));
        out.flag("bifrost.cache_hit", record.cache_hit);
        out.count("bifrost.overhead_us", record.overhead_us);
        out.count_if("bifrost.queued_us", record.queued_us);
        out.count_if("bifrost.first_token_us", record.first_token_us);
        out.count("bifrost.request_bytes", record.request_bytes);
        out.some("bifrost.response_bytes", record.response_bytes);
        if let Some(nanos) = record.cost_nanos {
            out.number("bifrost.cost", dollars(nanos));
        }
        out.count("bifrost.config_revision", record.revision);
        for (name, value) in &record.tags {
            out.text(format!("bifrost.tag.{name}"), value);
        }
        out
    }

    fn of_caller(&self, out: &mut Attributes) {
        let Some(caller) = &self.record.caller else { return };
        let who = caller.who();
        for (name, value) in [
            ("bifrost.virtual_key.id", who.virtual_key_id),
            ("bifrost.virtual_key.name", who.virtual_key_name),
            ("bifrost.team.id", who.team_id),
            ("bifrost.team.name", who.team_name),
            ("bifrost.customer.id", who.customer_id),
            ("bifrost.customer.name", who.customer_name),
        ] {
            out.text_if(name, Some(value));
        }
    }

    /// A caller's own mistake is no error of the service.
    fn status(&self) -> Option<Status> {
        let failed = self.record.outcome() == Outcome::UpstreamError;
        let error = self.record.error.as_ref().filter(|_| failed)?;
        Some(Status { message: error.message.clone().into(), code: StatusCode::Error.into() })
    }

    /// What happened between the attempts, and to those that were passed over.
    fn events(&self) -> Vec<Event> {
        let mut events = Vec::new();
        let mut ended_us = self.record.phases.reserved_us;
        for attempt in &self.record.attempts {
            let mut out = Attributes::default();
            if !was_asked(attempt) {
                out.text("bifrost.provider", &attempt.provider);
                out.text("bifrost.model", &attempt.model);
                out.text("bifrost.outcome", attempt.outcome);
                out.text_if("bifrost.reason", attempt.reason.as_deref());
                events.push(self.event("bifrost.passed_over", ended_us, out));
                continue;
            }
            let (began, ended) = window(self.record, attempt);
            let queued = attempt.phases.queued_us.unwrap_or(0);
            let waits = [
                ("bifrost.back_off", attempt.phases.delayed_us),
                ("bifrost.queued", attempt.phases.queued_us),
            ];
            for (name, waited) in waits.into_iter().filter_map(|(name, waited)| Some((name, waited?))) {
                let mut out = Attributes::default();
                out.count("bifrost.wait_us", waited);
                out.text("bifrost.next", &attempt.provider);
                let behind = if name == "bifrost.queued" { 0 } else { queued };
                events.push(self.event(name, began.saturating_sub(waited + behind), out));
            }
            ended_us = ended_us.max(ended);
        }
        events.sort_by_key(|event| event.time_unix_nano);
        events
    }

    fn attempt(&self, at: usize) -> Option<Span> {
        let attempt = self.record.attempts.get(at).filter(|attempt| was_asked(attempt))?;
        let (began, ended) = window(self.record, attempt);
        let facts = Facts::of(self.record, at, began, self.view.snapshot)?;
        let mut out = Attributes::default();
        self.describe(&facts, at, &mut out);
        out.count_if("http.response.status_code", attempt.status.map(u64::from));
        out.text_if("error.type", facts.error());
        out.text("bifrost.provider", &attempt.provider);
        out.text_if("bifrost.key", attempt.key.as_deref());
        out.text_if("bifrost.backend", attempt.backend.as_deref());
        out.text("bifrost.outcome", attempt.outcome);
        let last = at + 1 == self.record.attempts.len();
        let upstream_id = self.record.upstream_request_id.as_deref().filter(|_| last);
        out.text_if("bifrost.upstream_request_id", upstream_id);
        let reason = attempt.reason.as_deref().unwrap_or_default();
        let mut events = self.steps(&attempt.phases);
        if let Some(kind) = facts.error() {
            let mut failed = Attributes::default();
            failed.text("exception.type", kind);
            failed.text("exception.message", reason);
            events.push(self.event("exception", ended, failed));
        }
        Some(Span {
            span_id: attempt.span_id.to_be_bytes().to_vec(),
            parent_span_id: self.trace.span_id.to_be_bytes().to_vec(),
            flags: self.flags(),
            name: format!("{} {}", facts.operation, attempt.model),
            kind: SpanKind::Client.into(),
            start_time_unix_nano: self.nanos(began),
            end_time_unix_nano: self.nanos(ended.max(began)),
            attributes: out.0,
            events,
            status: facts
                .error()
                .map(|_| Status { message: reason.to_owned(), code: StatusCode::Error.into() }),
            ..self.empty()
        })
    }

    fn describe(&self, facts: &Facts<'_>, at: usize, out: &mut Attributes) {
        let last = at + 1 == self.record.attempts.len();
        let wanted = last && self.view.collector.content;
        let said = wanted.then(|| Said::of(self.record, self.view.redactor)).flatten();
        let said = said.as_ref();
        match self.view.collector.form {
            TraceType::GenaiExtension => {
                genai::describe(facts, out);
                said.into_iter().for_each(|said| said.describe(out));
            }
            TraceType::Vercel => {
                genai::describe(facts, out);
                genai::describe_for_vercel(facts, out);
                said.into_iter().for_each(|said| said.describe(out));
                said.into_iter().for_each(|said| said.describe_for_vercel(out));
            }
            TraceType::OpenInference => {
                openinference::describe(facts, out);
                said.into_iter().for_each(|said| said.describe_for_openinference(out));
            }
        }
    }

    fn steps(&self, phases: &AttemptPhases) -> Vec<Event> {
        let steps = [
            ("bifrost.connected", phases.connected_us.filter(|_| !phases.reused)),
            ("bifrost.tls_agreed", phases.secured_us.filter(|_| !phases.reused)),
            ("bifrost.request_sent", phases.sent_us),
            ("bifrost.response_began", phases.answered_us),
            ("bifrost.first_token", phases.first_token_us),
        ];
        let told = steps.into_iter().filter_map(|(name, at)| Some((name, at?)));
        told.map(|(name, at)| self.event(name, at, Attributes::default())).collect()
    }

    /// What all spans of the request have in common.
    fn empty(&self) -> Span {
        Span {
            trace_id: self.trace.trace_id.to_be_bytes().to_vec(),
            trace_state: self.trace.state.as_deref().unwrap_or_default().to_owned(),
            start_time_unix_nano: self.nanos(0),
            ..Span::default()
        }
    }

    fn flags(&self) -> u32 {
        u32::from(self.trace.sampled) | u32::from(self.trace.random) << 1 | KNOWN_PARENT
    }

    fn event(&self, name: &str, at_us: u64, attributes: Attributes) -> Event {
        Event {
            time_unix_nano: self.nanos(at_us),
            name: name.to_owned(),
            attributes: attributes.0,
            dropped_attributes_count: 0,
        }
    }

    /// Unix nanoseconds of a moment of the request.
    fn nanos(&self, at_us: u64) -> u64 {
        self.record.started_us.saturating_add(at_us).saturating_mul(1_000)
    }
}

/// Somebody was asked: it was not only passed over.
fn was_asked(attempt: &AttemptRecord) -> bool {
    attempt.span_id != 0
}

/// Beginning and end of an attempt. Where only its length is known, it is taken to have ended with the request.
fn window(record: &Record, attempt: &AttemptRecord) -> (u64, u64) {
    let phases = &attempt.phases;
    if *phases != AttemptPhases::default() {
        return (phases.began_us, phases.ended_us);
    }
    (record.took_us.saturating_sub(attempt.latency_ms.saturating_mul(1_000)), record.took_us)
}

#[cfg(test)]
mod tests;
