//! Token counts that no provider makes: estimated here, and marked as that (`x-bf-estimated`).
//!
//! An estimate asks nobody, so it is there when the provider is down; but a model that chat would not find is not
//! found here either. A provider that should count and does not is noticed by its refusal.

use http::HeaderName;
use translate::Wire;
use translate::count;
use translate::ir::{Failure, FailureKind};
use translate::loss::Losses;

use super::Gateway;
use super::attempt::{decode, millis};
use super::exchange::{Call, Exchange};
use super::fault::Fault;
use super::respond::Reply;
use crate::config::snapshot::Key;
use crate::route::endpoint::Operation;
use crate::route::plan::Step;
use crate::telemetry::access_log::AttemptRecord;
use crate::telemetry::record::AttemptPhases;
use crate::upstream::capacity::Free;
use crate::upstream::select::Choice;
use crate::upstream::target;

/// Outcome of an attempt that asked nobody.
pub const ESTIMATED: &str = "estimated";

/// Code of a refusal that says: this is not counted here.
const UNCOUNTED: &str = "tokens_not_counted";

/// The answer to `call` when the model's provider counts nothing; `None` when one is to be asked.
///
/// # Errors
/// The request is wrong.
pub fn unasked(gateway: &Gateway, exchange: &mut Exchange, call: &mut Call) -> Result<Option<Reply>, Fault> {
    if call.endpoint.operation != Operation::CountTokens {
        return Ok(None);
    }
    let Some(step) = call.plan.steps.first().cloned() else { return Ok(None) };
    if asks(gateway, call, &step) {
        return Ok(None);
    }
    estimate(exchange, call, &step).map(Some)
}

/// The answer after a refusal that said that the provider does not count this.
pub fn instead(exchange: &mut Exchange) -> Option<Reply> {
    let code = exchange.fault.as_ref()?.failure.code.as_deref();
    code.filter(|code| *code == UNCOUNTED)?;
    let mut call = exchange.call.take()?;
    let step = call.cursor.current(&call.plan).cloned();
    let reply = step.and_then(|step| estimate(exchange, &mut call, &step).ok());
    exchange.call = Some(call);
    if reply.is_some() {
        exchange.fault = None;
    }
    reply
}

/// The fault of a count that the provider does not make.
pub fn refused(failure: &Failure) -> Option<Fault> {
    count::is_unsupported(failure).then(|| {
        let message = format!("the provider does not count tokens: {}", failure.message);
        let mut fault = Fault::request(FailureKind::NotFound, 404, message);
        fault.failure.code = Some(UNCOUNTED.to_owned());
        fault
    })
}

/// Somebody is asked: the provider, or whoever says that no key serves the model.
fn asks(gateway: &Gateway, call: &Call, step: &Step) -> bool {
    let chosen = match call.direct_key(step) {
        Some(key) => Some(key.as_ref()),
        None => configured(gateway, call, step),
    };
    let Some(key) = chosen else { return true };
    let at = key.endpoint.as_deref().unwrap_or(&step.provider.endpoint);
    let model = key.deployment(&step.model);
    target::choose(&step.provider, at, call.endpoint, model, false).is_some()
}

/// A key that serves the model, cooling down or not.
fn configured<'s>(gateway: &Gateway, call: &Call, step: &'s Step) -> Option<&'s Key> {
    match call.cursor.clone().choose(step, &gateway.health, &Free::Everywhere, fastrand::u64(..)) {
        Choice::Use { key } | Choice::Cooling { key, .. } => step.provider.keys.get(key).map(AsRef::as_ref),
        Choice::NoKey | Choice::Full => None,
    }
}

fn estimate(exchange: &mut Exchange, call: &mut Call, step: &Step) -> Result<Reply, Fault> {
    decode(call)
        .map_err(|bad| Fault::request(FailureKind::InvalidRequest, 400, bad.message).param(&bad.path))?;
    let Some(request) = call.decoded.as_deref() else { return Err(super::upstream_peer::nothing_left()) };
    let counted = count::estimate(request);
    let body = count::encode_response(call.endpoint.dialect, &counted, request, &mut Losses::default());
    exchange.attempts.push(AttemptRecord {
        provider: step.provider.name.clone(),
        model: step.model.clone(),
        key: None,
        backend: None,
        outcome: ESTIMATED,
        status: None,
        latency_ms: millis(exchange.started),
        reason: None,
        spent: None,
        phases: AttemptPhases::default(),
        span_id: 0,
    });
    let named = |name| HeaderName::from_static(name);
    let reply = Reply::json(200, body)
        .with(named("x-bf-estimated"), "input_tokens")
        .with(named("x-bf-provider"), &step.provider.name)
        .with(named("x-bf-model"), &step.model);
    Ok(match call.endpoint.service() {
        Wire::Anthropic => reply.with(named("request-id"), &exchange.request_id),
        Wire::BedrockConverse => reply.with(named("x-amzn-requestid"), &exchange.request_id),
        _ => reply,
    })
}
