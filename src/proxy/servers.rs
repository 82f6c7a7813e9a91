//! An attempt at one of several servers: which one, and what it is told of the outcome.
//!
//! What a server did is held against it alone as long as another one is up: neither key nor model is to blame for a
//! machine that is down.

use std::sync::Arc;

use govern::cooldown::of_server;
use govern::verdict::FaultClass;

use super::Gateway;
use super::attempt::{Answer, Attempt};
use super::exchange::{Call, Exchange};
use super::fault::Fault;
use super::logging::class_of_status;
use crate::config::snapshot::Key;
use crate::route::plan::Step;
use crate::upstream::backend::{Visit, Wanted};
use crate::upstream::select::Servers;

/// The server of an attempt that begins; `None` where there is but one. It is in the cursor too, for whoever prepares the
/// body.
///
/// # Errors
/// None is up, and another target may answer. Without one, a server is asked all the same.
pub fn choose(
    gateway: &Gateway,
    call: &mut Call,
    step: &Step,
    key: &Arc<Key>,
) -> Result<Option<Visit>, Fault> {
    call.cursor.backend = None;
    let Some(group) = gateway.groups.of(&step.provider, key) else { return Ok(None) };
    let last = !call.cursor.has_next(&call.plan);
    match call.cursor.visit(step, &group, last, fastrand::u64(..)) {
        Some(visit) => Ok(Some(visit)),
        None => {
            let message = format!("no server of {} is up", step.provider.name);
            Err(Fault::new(FaultClass::ConnectFailed, message))
        }
    }
}

/// How the other servers stand, for the choice of what comes next.
pub fn others(exchange: &Exchange) -> Servers {
    let visit = exchange.attempt.as_ref().and_then(|attempt| attempt.visit.as_ref());
    let Some((visit, call)) = visit.zip(exchange.call.as_ref()) else { return Servers::One };
    if call.cursor.has_other(visit.group()) { Servers::Others } else { Servers::Down }
}

/// The server has begun to answer.
pub fn heard(attempt: &Attempt) {
    if let Some(visit) = attempt.visit.as_ref().filter(|_| attempt.status < 400) {
        visit.heard();
    }
}

/// The attempt failed. True when that is held against its target too.
pub fn failed(attempt: &mut Attempt, fault: &Fault, stale_connection: bool) -> bool {
    let Some(visit) = attempt.visit.take().filter(|_| !stale_connection) else { return true };
    let (group, bit) = (Arc::clone(visit.group()), visit.bit());
    visit.failed(fault.class, fault.retry_after_ms);
    let other = || group.choose(Wanted { tried: bit, ..Wanted::default() }, 0).is_some();
    !(of_server(fault.class) && other())
}

/// The attempt is over: `answered`, unless its fault was noted or says nothing.
pub fn ended(attempt: &mut Attempt, answered: bool) {
    let Some(visit) = attempt.visit.take().filter(|_| answered) else { return };
    match (&attempt.answer, attempt.status) {
        // Told as it came, but no success.
        (Answer::Passed { .. }, status @ 400..) => {
            visit.failed(class_of_status(status), attempt.retry_after_ms);
        }
        _ => visit.succeeded(),
    }
}
