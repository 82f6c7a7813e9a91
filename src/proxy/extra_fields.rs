//! `extra_fields`: what the gateway adds to answers on `/v1/*`.

use serde::Serialize;
use translate::loss::Losses;

use super::attempt::{Attempt, millis};
use super::cost;
use super::exchange::Exchange;
use crate::account::charge::Shown;
use crate::telemetry::access_log::AttemptRecord;

#[derive(Serialize)]
struct ExtraFields<'a> {
    request_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<&'a str>,
    model_requested: &'a str,
    /// The model that answered, when it is not the one asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    resolved_model_used: Option<&'a str>,
    /// The rule that decided where the request went.
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<&'a str>,
    /// Milliseconds.
    latency: u64,
    /// Only of an answer in one piece: in a stream the fields stand on the last chunk, wherever that is.
    #[serde(skip_serializing_if = "Option::is_none")]
    chunk_index: Option<u64>,
    attempts: Vec<AttemptRecord>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<Shown<'a>>,
    #[serde(skip_serializing_if = "Losses::is_empty")]
    losses: Losses,
}

/// The fields of an answer in progress: its own attempt counts as a success.
#[must_use]
pub fn of_answer(exchange: &Exchange, attempt: &Attempt, stream_losses: Option<&Losses>) -> String {
    let mut attempts = exchange.attempts.clone();
    attempts.extend(exchange.rival.as_ref().map(|rival| rival.record()));
    attempts.push(attempt.record("success", None));
    let mut losses = attempt.upstream.losses.clone();
    if let Some(more) = stream_losses {
        losses.extend(more.clone());
    }
    render(exchange, Some(attempt), attempts, losses)
}

/// The fields of an error.
#[must_use]
pub fn of_exchange(exchange: &Exchange) -> String {
    render(exchange, exchange.attempt.as_deref(), exchange.attempts.clone(), Losses::default())
}

fn render(
    exchange: &Exchange,
    attempt: Option<&Attempt>,
    attempts: Vec<AttemptRecord>,
    losses: Losses,
) -> String {
    let Some(call) = exchange.call.as_ref() else { return "{}".to_owned() };
    let used = attempt.map(|attempt| &*attempt.model);
    let asked = call.model_asked.split_once('/').map_or(&*call.model_asked, |(_, model)| model);
    let fields = ExtraFields {
        request_type: call.endpoint.request_type(call.stream),
        provider: attempt.map(|attempt| &*attempt.provider.name),
        model_requested: &call.model_asked,
        resolved_model_used: used.filter(|used| *used != asked && *used != &*call.model_asked),
        rule: call.plan.policy.rule.as_deref(),
        latency: millis(exchange.started),
        chunk_index: (!call.stream).then_some(0),
        attempts,
        cost: cost::shown(exchange, attempt),
        losses,
    };
    serde_json::to_string(&fields).unwrap_or_else(|_| "{}".to_owned())
}
