//! `extra_fields`: what the gateway adds to answers on `/v1/*`.

use translate::loss::Losses;

use super::attempt::{Attempt, millis};
use super::cache::told;
use super::cost;
use super::exchange::{Call, Exchange};
use crate::telemetry::access_log::AttemptRecord;
use crate::telemetry::members::Members;

/// Bytes of what is usually told.
const USUAL: usize = 640;

/// The fields of an answer in progress: its own attempt counts as a success.
#[must_use]
pub fn of_answer(exchange: &Exchange, attempt: &Attempt, stream_losses: Option<&Losses>) -> String {
    let rival = exchange.rival.as_ref().map(|rival| rival.record());
    let own = attempt.record("success", None);
    let attempts = exchange.attempts.iter().chain(&rival).chain([&own]);
    match stream_losses.filter(|more| !more.is_empty()) {
        None => render(exchange, Some(attempt), attempts, &attempt.upstream.losses),
        Some(more) => {
            let mut losses = attempt.upstream.losses.clone();
            losses.extend(more.clone());
            render(exchange, Some(attempt), attempts, &losses)
        }
    }
}

/// The fields of an answer that was given again.
#[must_use]
pub fn of_given(exchange: &Exchange, losses: Losses) -> String {
    render(exchange, None, exchange.attempts.iter(), &losses)
}

/// The fields of an error.
#[must_use]
pub fn of_exchange(exchange: &Exchange) -> String {
    render(exchange, exchange.attempt.as_deref(), exchange.attempts.iter(), &Losses::default())
}

fn render<'a>(
    exchange: &Exchange,
    attempt: Option<&Attempt>,
    attempts: impl Iterator<Item = &'a AttemptRecord>,
    losses: &Losses,
) -> String {
    let Some(call) = exchange.call.as_deref() else { return "{}".to_owned() };
    let mut out = Vec::with_capacity(USUAL);
    out.extend_from_slice(b"{\"request_type\":");
    let mut members = Members(&mut out);
    members.value(call.endpoint.request_type(call.stream));
    asked(&mut members, (exchange, call), attempt);
    members.count("latency", millis(exchange.started));
    if !call.stream {
        // Only of an answer in one piece: in a stream the fields stand on the last chunk, wherever that is.
        members.count("chunk_index", 0);
    }
    members.name("attempts");
    members.0.push(b'[');
    for (at, attempt) in attempts.enumerate() {
        members.0.extend_from_slice(if at == 0 { b"{" } else { b",{" });
        attempt.render(&mut members);
        members.0.push(b'}');
    }
    members.0.push(b']');
    if let Some(cost) = cost::shown(exchange, attempt) {
        members.name("cost");
        cost.render(members.0);
    }
    if let Some(seen) = told::debug(exchange) {
        members.name("cache_debug");
        // Names and numbers are always JSON.
        let _ = serde_json::to_writer(&mut *members.0, &seen);
    }
    if !losses.is_empty() {
        members.name("losses");
        // A list of texts is always JSON.
        let _ = serde_json::to_writer(&mut *members.0, losses);
    }
    members.0.push(b'}');
    String::from_utf8(out).unwrap_or_else(|_| "{}".to_owned())
}

/// What was asked, and who answered.
fn asked(members: &mut Members<'_>, (exchange, call): (&Exchange, &Call), attempt: Option<&Attempt>) {
    let given = exchange.cache.as_deref().and_then(|cached| cached.given.as_deref());
    let provider = attempt.map(|attempt| &*attempt.provider.name);
    members.text_if("provider", provider.or(given.map(|landed| &*landed.about.provider)));
    members.text("model_requested", &call.model_asked);
    let asked = call.model_asked.split_once('/').map_or(&*call.model_asked, |(_, model)| model);
    let used = attempt.map(|attempt| &*attempt.model).or(given.map(|landed| &*landed.about.model));
    // The model that answered, when it is not the one asked for.
    let other = used.filter(|used| *used != asked && *used != &*call.model_asked);
    members.text_if("resolved_model_used", other);
    // The rule that decided where the request went.
    members.text_if("rule", call.plan.policy.rule.as_deref());
}
