//! A place at the provider for each attempt: taken, waited for, or refused.
//!
//! A request waits only where nobody else could start it now: while a later step of its plan has a ready key with a free
//! place, the full one is passed over like one that failed. Whoever cannot be let in learns how long it would have taken.

use std::time::{Duration, Instant};

use govern::cooldown::Availability;
use govern::queue::{Ask, Class, Ended, Limits, Refusal};
use govern::verdict::FaultClass;
use pingora_error::Result;
use pingora_proxy::Session;

use super::Gateway;
use super::exchange::{Call, Exchange};
use super::fault::Fault;
use super::upstream_peer::{skip, unless_gone, usable};
use crate::config::policy::Priority;
use crate::config::snapshot::Snapshot;
use crate::route::plan::Step;
use crate::upstream::capacity::{Free, Slot, Waiting, target};
use crate::upstream::select::Choice;

const TELLING: Duration = Duration::from_millis(5);

/// A place that was waited for.
pub struct Granted {
    slot: Slot,
}

/// Which key of the step is used, with its place where one was waited for or comes with the choice.
pub fn choose(
    gateway: &Gateway,
    call: &mut Call,
    step: &Step,
    granted: Option<Granted>,
) -> (Choice, Option<Slot>) {
    let granted = granted.map(|granted| granted.slot);
    // The caller's own key needs no choice.
    if call.direct_key(step).is_some() {
        return (Choice::Use { key: 0 }, granted);
    }
    let free = match granted.as_ref().map(Slot::target) {
        // The place is at one key: if that is not well any more, it is given back.
        Some(Some(of)) => match key_of(gateway, step, of) {
            Some(key) => return (Choice::Use { key }, granted),
            None => {
                // First, or it would itself be what it waits for.
                drop(granted);
                return choose(gateway, call, step, None);
            }
        },
        // A place is a place: whether there is one shows when it is taken.
        Some(None) => Free::Everywhere,
        None if !step.provider.places.by_target() => Free::Everywhere,
        None => gateway.capacity.gate(&step.provider.name).free(
            &step.provider.places,
            &step.provider.keys,
            &step.model,
        ),
    };
    let choice = call.cursor.choose(step, &gateway.health, &free, fastrand::u64(..));
    (choice, granted)
}

/// The key that a place is at, as long as it is ready.
fn key_of(gateway: &Gateway, step: &Step, of: u64) -> Option<usize> {
    let keys = &step.provider.keys;
    let at = keys.iter().position(|key| target(key, &step.model) == of)?;
    let ready = gateway.health.verdict(keys.get(at)?, &step.model, gateway.health.now_ms());
    (ready == Availability::Ready).then_some(at)
}

/// A place for an attempt with this key, if there is one.
pub fn take(gateway: &Gateway, call: &Call, step: &Step, key: usize) -> Option<Slot> {
    let provider = &step.provider;
    let own = call.direct_key(step).is_none().then(|| provider.keys.get(key)).flatten();
    let at = own.filter(|_| provider.places.by_target()).map(|key| target(key, &step.model));
    gateway.capacity.gate(&provider.name).take(&provider.places, call.cursor.wish().tenant, at)
}

/// Joins the queue of a step that has no place.
///
/// # Errors
/// Another step has one, or waiting is of no use.
pub fn enter(gateway: &Gateway, exchange: &Exchange, step: &Step) -> Result<Waiting, Fault> {
    let (Some(call), Some(snapshot)) = (exchange.call.as_deref(), exchange.snapshot.as_deref()) else {
        return Err(Fault::new(FaultClass::Internal, "no call was planned"));
    };
    let provider = &step.provider;
    let gate = gateway.capacity.gate(&provider.name);
    let asked = ask(gateway, call, snapshot, step);
    if another_is_free(gateway, call) {
        let message = format!("every place at {} is taken, and another model has one", provider.name);
        let mut fault = Fault::new(FaultClass::Overloaded, message);
        fault.retry_after_ms = Some(gate.wait_ms(&provider.places, &asked).max(1));
        return Err(fault);
    }
    let dropped = snapshot.client.drop_excess_requests;
    let limits = Limits { waiting: if dropped { 0 } else { provider.places.waiting }, ..provider.places };
    let until = latest(exchange, call, step);
    gate.wait(&limits, asked, until).map_err(|refused| {
        let reason = match refused.why {
            Refusal::Full if dropped => "dropped",
            Refusal::Full => "full",
            Refusal::Late => "late",
        };
        refuse(gateway, step, reason, refused.wait_ms)
    })
}

/// Stands in the queue until it is its turn: `Exchange::granted` holds the place then, or the step was passed over.
///
/// # Errors
/// The caller left, or the request's total time is over.
pub async fn wait(
    gateway: &Gateway,
    session: &mut Session,
    exchange: &mut Exchange,
    waiting: Waiting,
) -> Result<()> {
    let since = Instant::now();
    let Some(step) = exchange.call.as_ref().and_then(|call| call.cursor.current(&call.plan)).cloned() else {
        return Ok(());
    };
    let outcome = unless_gone(session, exchange, waiting.place()).await;
    let waited = since.elapsed();
    gateway.metrics.queue.wait.with_label_values(&[&*step.provider.name]).observe(waited.as_secs_f64());
    exchange.queued = Some(exchange.queued.unwrap_or_default() + waited);
    exchange.marks.queued += waited;
    match outcome? {
        Ok(slot) => exchange.granted = Some(Granted { slot }),
        Err(wait_ms) => skip(exchange, &step, refuse(gateway, &step, "expired", wait_ms)),
    }
    Ok(())
}

fn refuse(gateway: &Gateway, step: &Step, reason: &str, wait_ms: u64) -> Fault {
    let name = &step.provider.name;
    gateway.metrics.queue.refused.with_label_values(&[&**name, reason]).inc();
    let why = match reason {
        "dropped" => "every place is taken, and requests do not wait (drop_excess_requests)",
        "full" => "every place is taken, and so is every place in the queue",
        "late" => "the wait for a place is longer than this request may take",
        _ => "no place came free in time",
    };
    let wait_ms = wait_ms.max(1);
    let message = format!("{name} is busy: {why}; a place is expected in {} s", wait_ms.div_ceil(1000));
    let mut fault = Fault::new(FaultClass::Overloaded, message);
    fault.retry_after_ms = Some(wait_ms);
    fault
}

/// What a fault says of how much the target takes at a time.
pub fn ended(class: FaultClass) -> Ended {
    match class {
        FaultClass::RateLimited
        | FaultClass::Overloaded
        | FaultClass::FirstByteTimeout
        | FaultClass::TtftTimeout => Ended::Overloaded,
        _ => Ended::Otherwise,
    }
}

/// A later step could start now.
fn another_is_free(gateway: &Gateway, call: &Call) -> bool {
    let later = call.plan.steps.iter().skip(call.cursor.step.saturating_add(1));
    later.filter(|step| usable(call, step).is_ok()).any(|step| {
        let gate = gateway.capacity.gate(&step.provider.name);
        let free = gate.free(&step.provider.places, &step.provider.keys, &step.model);
        let now_ms = gateway.health.now_ms();
        step.provider.keys.iter().enumerate().any(|(index, key)| {
            free.at(index)
                && step.served_by(key)
                && gateway.health.verdict(key, &step.model, now_ms) == Availability::Ready
        })
    })
}

fn ask(gateway: &Gateway, call: &Call, snapshot: &Snapshot, step: &Step) -> Ask {
    let wish = call.cursor.wish();
    let asked = wish.priority.map(|priority| priority.min(snapshot.client.highest_priority));
    let class = match asked.unwrap_or(call.plan.policy.priority) {
        Priority::High => Class::High,
        Priority::Normal => Class::Normal,
        Priority::Low => Class::Low,
    };
    let own = call.direct_key(step).is_none() && step.provider.places.by_target();
    let keys = if own { call.cursor.able(step, &gateway.health) } else { Vec::new() };
    let keys = keys.into_iter().filter_map(|at| step.provider.keys.get(at));
    let targets = keys.map(|key| target(key, &step.model)).collect();
    Ask { class, tenant: wish.tenant, targets, until_ms: 0 }
}

/// The latest moment at which starting still makes sense. A total limit ends the wait a little sooner, so that the caller
/// learns what its time went into.
fn latest(exchange: &Exchange, call: &Call, step: &Step) -> Instant {
    let limits = call.plan.policy.limits.at(&step.provider.network);
    let header = if call.stream { limits.first_byte } else { limits.first_byte.min(limits.request) };
    let longest: Duration = step.provider.max_wait.unwrap_or(header);
    let until = Instant::now() + longest;
    exchange.total_deadline().map_or(until, |total| until.min(total.checked_sub(TELLING).unwrap_or(total)))
}
