//! A request as the administration shows it: the original's names where it has the same, then ours. The list, exports and
//! the live stream show the same row.

use std::borrow::Cow;
use std::collections::BTreeMap;

use govern::price::write_nanos;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::admin::api::keyring::rfc3339;
use crate::store::requests::entry::{Detail, Entry, Flags, Tried};
use crate::telemetry::record::Outcome;

/// A request without its bodies.
#[derive(Debug, Serialize, ToSchema)]
pub struct Row<'a> {
    /// The request's id: `x-request-id` of its answer.
    pub id: &'a str,
    /// Its number in the log, which orders by time. A text: it is larger than a JavaScript number.
    pub number: String,
    /// When it began: RFC 3339.
    pub timestamp: String,
    /// `chat_completion`, `chat_completion_stream`, `embedding`, …
    pub object: &'a str,
    /// Of the attempt that answered, or was tried last.
    pub provider: &'a str,
    pub model: &'a str,
    /// `success`, `error` or `cancelled`.
    pub status: &'static str,
    /// `success`, `failed_over`, `cache_hit`, `client_error`, `upstream_error`, `cancelled`.
    pub outcome: &'static str,
    /// Of the answer; 0: none was sent.
    pub status_code: u16,
    pub stream: bool,
    /// Milliseconds.
    pub latency: f64,
    /// Milliseconds until the first token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_to_first_token: Option<f64>,
    /// Microseconds in the gateway.
    pub overhead_us: u64,
    /// US dollars. Absent: nobody knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = f64)]
    pub cost: Option<Box<RawValue>>,
    /// The cost is not all of it: a price was not known.
    #[serde(skip_serializing_if = "is_false")]
    pub unpriced: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_usage: Option<Tokens>,
    /// The model as the caller wrote it.
    pub model_requested: &'a str,
    /// The caller's wire.
    pub dialect: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub path: &'a str,
    pub number_of_retries: usize,
    /// How many models were given up before this one.
    pub fallback_index: usize,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub selected_key_id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub selected_key_name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub virtual_key_id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub virtual_key_name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub team_id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub team_name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub customer_id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub customer_name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub routing_rule_id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub routing_rule_name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub parent_request_id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub session_id: &'a str,
    /// The request that this one is a copy of.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub mirror_of: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub trace_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_details: Option<Problem<'a>>,
    /// Tags by their names.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    pub metadata: BTreeMap<&'a str, &'a str>,
    /// What was tried, in order.
    #[schema(value_type = Vec<Attempt>)]
    pub attempts: Vec<Attempt<'a>>,
    /// The answer came from a cache.
    #[serde(skip_serializing_if = "is_false")]
    pub cache_hit: bool,
    /// Its bodies are kept.
    pub has_content: bool,
}

/// Tokens.
#[derive(Debug, Serialize, ToSchema)]
pub struct Tokens {
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
    pub total_tokens: u64,
    /// Read from the provider's prompt cache.
    pub cached_tokens: u64,
    /// The provider's own counts never came.
    #[serde(skip_serializing_if = "is_false")]
    pub estimated: bool,
}

/// Why it failed.
#[derive(Debug, Serialize, ToSchema)]
pub struct Problem<'a> {
    pub is_bifrost_error: bool,
    pub status_code: u16,
    pub error: ProblemText<'a>,
}

/// What is wrong.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProblemText<'a> {
    /// Label of the fault: docs/errors.md.
    #[serde(rename = "type")]
    pub kind: &'a str,
    pub message: &'a str,
}

/// One attempt.
#[derive(Debug, Serialize, ToSchema)]
pub struct Attempt<'a> {
    pub provider: &'a str,
    pub model: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub key: &'a str,
    /// `success`, or the label of the fault.
    pub outcome: &'a str,
    #[serde(skip_serializing_if = "is_zero")]
    pub status: u16,
    pub latency_ms: u64,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub reason: &'a str,
}

impl<'a> Row<'a> {
    #[must_use]
    pub fn of(entry: &'a Entry<'_>) -> Self {
        let Entry { names, counts, detail, .. } = entry;
        let flags = counts.flags;
        let (retries, fallbacks) = moves(&detail.attempts);
        Self {
            id: &detail.request_id,
            number: entry.id.to_string(),
            timestamp: rfc3339(entry.started_ms()),
            object: &names.object,
            provider: &names.provider,
            model: &names.model,
            status: status(counts.outcome),
            outcome: outcome(counts.outcome),
            status_code: counts.status,
            stream: flags.has(Flags::STREAM),
            latency: millis(counts.took_us),
            time_to_first_token: Some(counts.first_token_us).filter(|time| *time > 0).map(millis),
            overhead_us: counts.overhead_us,
            cost: flags.has(Flags::PRICED).then(|| dollars(counts.cost_nanos)),
            unpriced: flags.has(Flags::UNPRICED),
            token_usage: flags.has(Flags::USAGE).then(|| Tokens::of(entry)),
            model_requested: &names.asked,
            dialect: &names.dialect,
            path: &detail.path,
            number_of_retries: retries,
            fallback_index: fallbacks,
            selected_key_id: &names.key,
            selected_key_name: &names.key,
            virtual_key_id: &names.virtual_key,
            virtual_key_name: &detail.virtual_key_name,
            team_id: &names.team,
            team_name: &detail.team_name,
            customer_id: &names.customer,
            customer_name: &detail.customer_name,
            routing_rule_id: &names.rule,
            routing_rule_name: &names.rule,
            parent_request_id: &detail.parent,
            session_id: &detail.session,
            mirror_of: &detail.mirror_of,
            trace_id: detail.trace.as_ref().map_or("", |trace| &trace.0),
            error_details: (!names.error.is_empty()).then(|| Problem::of(entry)),
            metadata: metadata(detail),
            attempts: detail.attempts.iter().map(Attempt::of).collect(),
            cache_hit: flags.has(Flags::CACHE_HIT),
            has_content: flags.has(Flags::CONTENT),
        }
    }
}

impl Tokens {
    fn of(entry: &Entry<'_>) -> Self {
        let counts = &entry.counts;
        Self {
            prompt_tokens: counts.input_tokens,
            completion_tokens: counts.output_tokens,
            total_tokens: counts.input_tokens.saturating_add(counts.output_tokens),
            cached_tokens: counts.cached_tokens,
            estimated: counts.flags.has(Flags::ESTIMATED),
        }
    }
}

impl<'a> Problem<'a> {
    fn of(entry: &'a Entry<'_>) -> Self {
        let error = ProblemText { kind: &entry.names.error, message: &entry.detail.message };
        Self { is_bifrost_error: true, status_code: entry.counts.status, error }
    }
}

impl<'a> Attempt<'a> {
    fn of(tried: &'a Tried<'_>) -> Self {
        Self {
            provider: &tried.provider,
            model: &tried.model,
            key: &tried.key,
            outcome: &tried.outcome,
            status: tried.status,
            latency_ms: tried.took_ms,
            reason: &tried.reason,
        }
    }
}

/// `success`, `error` or `cancelled`: the original's words.
#[must_use]
pub fn status(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Success | Outcome::FailedOver | Outcome::CacheHit => "success",
        Outcome::ClientError | Outcome::UpstreamError => "error",
        Outcome::Cancelled => "cancelled",
    }
}

/// Our words.
#[must_use]
pub fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Success => "success",
        Outcome::FailedOver => "failed_over",
        Outcome::CacheHit => "cache_hit",
        Outcome::ClientError => "client_error",
        Outcome::UpstreamError => "upstream_error",
        Outcome::Cancelled => "cancelled",
    }
}

/// Nano-dollars as a number of dollars that no float has touched.
#[must_use]
pub fn dollars(nanos: u64) -> Box<RawValue> {
    let mut text = String::new();
    // Writing into a String cannot fail, and a decimal number is JSON.
    let _ = write_nanos(nanos, &mut text);
    RawValue::from_string(text).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

/// Microseconds as milliseconds.
#[expect(clippy::cast_precision_loss, reason = "2^53 microseconds are centuries")]
#[must_use]
pub fn millis(micros: u64) -> f64 {
    micros as f64 / 1_000.0
}

fn metadata<'a>(detail: &'a Detail<'_>) -> BTreeMap<&'a str, &'a str> {
    let pair = |(name, value): &'a (Cow<'_, str>, Cow<'_, str>)| (&**name, &**value);
    detail.tags.iter().map(pair).collect()
}

/// Attempts against a model that had been tried before, and models that were given up.
fn moves(attempts: &[Tried<'_>]) -> (usize, usize) {
    let tried: Vec<_> =
        attempts.iter().filter(|one| one.phases.is_some() || one.outcome == "success").collect();
    let same = |pair: &[&Tried<'_>]| match pair {
        [one, next] => one.provider == next.provider && one.model == next.model,
        _ => false,
    };
    let retries = tried.windows(2).filter(|pair| same(pair)).count();
    (retries, tried.len().saturating_sub(1).saturating_sub(retries))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's form")]
fn is_false(flag: &bool) -> bool {
    !flag
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's form")]
fn is_zero(number: &u16) -> bool {
    *number == 0
}
