//! What comes of a request that others may want the answer of: noted as it comes, and handed over when it is complete.
//!
//! Called from the hooks of the answer; without a lead each is one look at an `Option`.

use std::sync::Arc;

use bytes::Bytes;
use govern::verdict::FaultClass;
use translate::ir::Usage;

use super::super::attempt::{Answer, Attempt};
use super::super::exchange::{Call, Exchange};
use super::super::upstream_response_filter::tool_names;
use super::Cached;
use super::follow::broken;
use crate::cache::entry::About;
use crate::cache::fill::{Job, Keep};
use crate::cache::flight::{Form, Provided};

/// The answer is read to its end while others wait for it, even if its own caller leaves.
pub fn watch(exchange: &Exchange, call: &Call) {
    if let Some(lead) = exchange.cache.as_ref().and_then(|cached| cached.lead.as_ref()) {
        call.stage.follow(lead.watched());
    }
}

/// An attempt's answer begins.
pub fn begins(exchange: &mut Exchange) {
    let Some(cached) = exchange.cache.as_mut().filter(|cached| cached.lead.is_some()) else { return };
    let (Some(call), Some(attempt)) = (exchange.call.as_deref(), exchange.attempt.as_deref()) else { return };
    let Some(lead) = &mut cached.lead else { return };
    if call.recovery.goes_on() || call.recovery.rounds() > 0 {
        // Another model goes on with what one began: that is for this caller.
        return lead.fails(None);
    }
    let target = &attempt.upstream.target;
    let provided = || Provided {
        wire: target.wire,
        framing: target.framing,
        counts: target.quirks.usage,
        names: tool_names(call, &attempt.upstream),
    };
    match &attempt.answer {
        Answer::Stream(_) => lead.begins(Form::Stream(provided())),
        Answer::Whole(_) if attempt.upstream.task.is_some() => lead.begins(Form::Body),
        Answer::Whole(_) => lead.begins(Form::Whole(provided())),
        _ => {}
    }
}

/// A piece of the provider's stream, once the caller's pipe has read it.
pub fn came(exchange: &mut Exchange, attempt: &Attempt, piece: Option<&Bytes>) {
    let Some(piece) = piece else { return };
    let Some(lead) = exchange.cache.as_mut().and_then(|cached| cached.lead.as_mut()) else { return };
    match &attempt.answer {
        Answer::Stream(streaming) if streaming.broken => {}
        Answer::Stream(streaming) => lead.came(piece, streaming.released),
        // Too large to be read: it goes through as it is.
        Answer::Passed { .. } => lead.leave(),
        _ => {}
    }
}

/// A whole answer: the provider's bytes, or what the caller gets where it is no model's.
pub fn whole(exchange: &mut Exchange, body: &Bytes) {
    if let Some(lead) = exchange.cache.as_mut().and_then(|cached| cached.lead.as_mut()) {
        lead.whole(body.clone());
    }
}

/// The answer is complete, and its last byte is about to go out.
pub fn lands(exchange: &mut Exchange, attempt: &Attempt) {
    let Some(cached) = exchange.cache.as_mut().filter(|cached| cached.lead.is_some()) else { return };
    let Some(call) = exchange.call.as_deref() else { return };
    let Some(mut lead) = cached.lead.take() else { return };
    let Some((form, bytes, landing)) = lead.lands() else { return };
    let keep = keep(cached, call, attempt);
    cached.cache.keep(Job { form, bytes, landing, keep }, &cached.background);
}

/// The request is over: if its answer has not landed there is none.
pub fn closes(exchange: &mut Exchange) {
    if exchange.cache.as_ref().is_none_or(|cached| cached.lead.is_none()) {
        return;
    }
    if exchange.fault.is_none()
        && let Some(attempt) = exchange.attempt.take()
    {
        if answered(&attempt) {
            lands(exchange, &attempt);
        }
        exchange.attempt = Some(attempt);
    }
    let fault = exchange.fault.as_ref().filter(|fault| fault.class != FaultClass::CallerGone);
    // Who was refused here has asked nobody: the next one may be let in.
    let asked = !exchange.attempts.is_empty();
    let told = fault.filter(|_| asked).map(broken);
    if let Some(mut lead) = exchange.cache.as_mut().and_then(|cached| cached.lead.take()) {
        lead.fails(told);
    }
}

fn answered(attempt: &Attempt) -> bool {
    match &attempt.answer {
        Answer::Sent(_) => true,
        Answer::Stream(streaming) => {
            streaming.pipe.seen().is_finished() && streaming.pipe.seen().failure.is_none()
        }
        _ => false,
    }
}

fn keep(cached: &mut Cached, call: &Call, attempt: &Attempt) -> Keep {
    let (provider, model) = (&*attempt.provider.name, &*attempt.model);
    let usage = Attempt::usage_in(&attempt.answer, attempt.told_usage);
    let Usage { output, .. } = usage.unwrap_or_default();
    let about = About {
        tenant: cached.tenant.clone(),
        cache_key: cached.wish.key.clone(),
        provider: provider.into(),
        model: model.into(),
        object: call.endpoint.request_type(false).into(),
        title: cached.title.clone(),
        cost_nanos: attempt.charge.as_ref().map(|charge| charge.nanos),
        took_ms: u32::try_from(call.stage.began().elapsed().as_millis()).unwrap_or(u32::MAX),
        input_tokens: usage.map_or(0, |usage| usage.input_total()),
        output_tokens: output,
    };
    Keep {
        place: cached.place,
        about: Arc::new(about),
        ttl: cached.wish.ttl,
        most: cached.settings.max_answer,
        unkept: (!cached.only.fits(provider, model)).then_some("other_model"),
        wanted: cached.wanted.clone(),
        meaning: cached.compared.meaning.take(),
    }
}
