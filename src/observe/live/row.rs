//! A finished request as one row of a list: the fields of `/api/logs`, without bodies, tags and attempts.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, UNIX_EPOCH};

use serde::{Serialize, Serializer};

use crate::telemetry::access_log::AttemptRecord;
use crate::telemetry::clock;
use crate::telemetry::record::{Outcome, Record};

/// One row.
#[derive(Debug, Serialize)]
pub struct Row {
    /// The request's id.
    pub id: Box<str>,
    /// In the request log.
    #[serde(serialize_with = "as_text")]
    pub number: u64,
    #[serde(serialize_with = "rfc3339")]
    pub timestamp: u64,
    pub object: &'static str,
    pub provider: Option<Arc<str>>,
    pub model: Option<Arc<str>>,
    /// `success`, `error`, `cancelled`.
    pub status: &'static str,
    pub outcome: &'static str,
    pub status_code: u16,
    pub stream: bool,
    /// Milliseconds.
    pub latency: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_to_first_token: Option<f64>,
    pub overhead_us: u64,
    /// US dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<f64>,
    #[serde(skip)]
    pub cost_nanos: u64,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unpriced: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_usage: Option<Tokens>,
    pub model_requested: Box<str>,
    pub dialect: &'static str,
    pub number_of_retries: usize,
    pub fallback_index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selected_key_name: Option<Arc<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub virtual_key_id: Option<Arc<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub virtual_key_name: Option<Arc<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub team_id: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer_id: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub routing_rule_name: Option<Arc<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mirror_of: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_details: Option<Problem>,
    #[serde(skip)]
    text: OnceLock<Box<str>>,
}

/// What it consumed.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Tokens {
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
    pub total_tokens: u64,
    pub cached_tokens: u64,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub estimated: bool,
}

/// Why it failed.
#[derive(Debug, Serialize)]
pub struct Problem {
    pub is_bifrost_error: bool,
    pub status_code: u16,
    pub error: ProblemText,
}

/// What is wrong.
#[derive(Debug, Serialize)]
pub struct ProblemText {
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub message: Box<str>,
}

/// Longest message of an error in a row, in characters.
const MESSAGE: usize = 200;

impl Row {
    #[must_use]
    pub fn of(record: &Record) -> Self {
        let who = record.caller.as_ref().map(crate::auth::Caller::who);
        let named = |text: &str| (!text.is_empty()).then(|| Box::<str>::from(text));
        let (retries, fallbacks) = moves(&record.attempts);
        let (status, outcome) = words(record.outcome());
        Self {
            id: record.request_id.clone(),
            number: record.id,
            timestamp: record.started_us / 1_000,
            object: record.object,
            provider: record.provider.clone(),
            model: record.model.clone(),
            status,
            outcome,
            status_code: record.status,
            stream: record.stream,
            latency: millis(record.took_us),
            time_to_first_token: record.first_token_us.map(millis),
            overhead_us: record.overhead_us,
            cost: record.cost_nanos.map(dollars),
            cost_nanos: record.cost_nanos.unwrap_or(0),
            unpriced: record.unpriced,
            token_usage: record.usage.map(|usage| Tokens {
                prompt_tokens: usage.input_total(),
                completion_tokens: usage.output,
                total_tokens: usage.total(),
                cached_tokens: usage.cache_read,
                estimated: record.usage_estimated,
            }),
            model_requested: record.model_asked.clone(),
            dialect: record.dialect,
            number_of_retries: retries,
            fallback_index: fallbacks,
            selected_key_name: record.key.clone(),
            virtual_key_id: record.caller.as_ref().map(|caller| Arc::clone(&caller.key.id)),
            virtual_key_name: record.caller.as_ref().map(|caller| Arc::clone(&caller.key.name)),
            team_id: who.and_then(|who| named(who.team_id)),
            customer_id: who.and_then(|who| named(who.customer_id)),
            routing_rule_name: record.decision.rule.clone(),
            session_id: record.session_id.clone(),
            mirror_of: record.mirror_of.clone(),
            trace_id: record.trace.as_ref().map(|trace| format!("{:032x}", trace.trace_id).into()),
            error_details: record.error.as_ref().map(|error| Problem {
                is_bifrost_error: true,
                status_code: record.status,
                error: ProblemText {
                    kind: error.kind,
                    message: error.message.chars().take(MESSAGE).collect::<String>().into(),
                },
            }),
            text: OnceLock::new(),
        }
    }

    /// The row as JSON, written once for all who see it.
    #[must_use]
    pub fn text(&self) -> &str {
        self.text.get_or_init(|| serde_json::to_string(self).unwrap_or_default().into())
    }
}

/// The original's word, and ours.
fn words(outcome: Outcome) -> (&'static str, &'static str) {
    match outcome {
        Outcome::Success => ("success", "success"),
        Outcome::FailedOver => ("success", "failed_over"),
        Outcome::CacheHit => ("success", "cache_hit"),
        Outcome::ClientError => ("error", "client_error"),
        Outcome::UpstreamError => ("error", "upstream_error"),
        Outcome::Cancelled => ("cancelled", "cancelled"),
    }
}

/// Attempts at a model that had been tried just before, and models that were given up.
fn moves(attempts: &[AttemptRecord]) -> (usize, usize) {
    let tried: Vec<_> = attempts.iter().filter(|one| one.was_tried()).collect();
    let same = |pair: &[&AttemptRecord]| match pair {
        [one, next] => one.provider == next.provider && one.model == next.model,
        _ => false,
    };
    let retries = tried.windows(2).filter(|pair| same(pair)).count();
    (retries, tried.len().saturating_sub(1).saturating_sub(retries))
}

#[expect(clippy::cast_precision_loss, reason = "a request takes less than a century")]
fn millis(us: u64) -> f64 {
    us as f64 / 1e3
}

#[expect(clippy::cast_precision_loss, reason = "for people: the exact amount is in the log")]
pub(super) fn dollars(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

fn rfc3339<S: Serializer>(unix_ms: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    let mut out = Vec::with_capacity(24);
    clock::write_rfc3339(UNIX_EPOCH + Duration::from_millis(*unix_ms), &mut out);
    serializer.serialize_str(std::str::from_utf8(&out).unwrap_or_default())
}

/// It is larger than a JavaScript number.
fn as_text<S: Serializer>(number: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(number)
}
