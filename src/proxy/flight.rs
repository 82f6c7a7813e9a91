//! Steps of requests under way, for those who watch. Costs one load of an atomic while nobody does.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::Gateway;
use super::exchange::Exchange;
use crate::observe::live::{Step, StepKind, Topic};

/// It is known what is asked.
pub fn began(gateway: &Gateway, exchange: &Exchange) {
    if gateway.hub.wants(Topic::Flight) {
        tell(gateway, exchange, StepKind::Began);
    }
}

/// An attempt begins.
pub fn asks(gateway: &Gateway, exchange: &Exchange) {
    if let Some(attempt) = exchange.attempt.as_deref().filter(|_| gateway.hub.wants(Topic::Flight)) {
        let (provider, model) = (Arc::clone(&attempt.provider.name), Arc::clone(&attempt.model));
        let attempt = exchange.attempts.len() + 1;
        tell(gateway, exchange, StepKind::Asks { provider, model, attempt });
    }
}

/// Its answer begins.
pub fn answers(gateway: &Gateway, exchange: &Exchange) {
    if gateway.hub.wants(Topic::Flight) {
        tell(gateway, exchange, StepKind::Answers);
    }
}

fn tell(gateway: &Gateway, exchange: &Exchange, kind: StepKind) {
    let Some(call) = exchange.call.as_deref() else { return };
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let started = since.saturating_sub(exchange.started.elapsed());
    gateway.hub.stepped(Step {
        request_id: exchange.request_id.clone(),
        started_ms: u64::try_from(started.as_millis()).unwrap_or(u64::MAX),
        object: call.endpoint.request_type(call.stream),
        model_asked: call.model_asked.clone(),
        stream: call.stream,
        virtual_key: exchange.caller.as_ref().map(|caller| Arc::clone(&caller.key.id)),
        kind,
    });
}
