//! Starts a second attempt: who is asked, whether there is money for it, what is sent.

use std::sync::Arc;

use http::Version;

use super::Rival;
use super::bill::Bill;
use super::inspect::Inspector;
use super::race::Runner;
use crate::proxy::attempt::Attempt;
use crate::proxy::exchange::Exchange;
use crate::proxy::upstream_peer::{ready, usable};
use crate::proxy::{Gateway, media, prediction, queue, upstream_request_filter};
use crate::upstream::ask::Question;
use crate::upstream::select::Cursor;

/// The second attempt, under way.
///
/// # Errors
/// Why there is none.
pub fn start(gateway: &Gateway, exchange: &mut Exchange) -> Result<Rival, &'static str> {
    let (cursor, attempt) = other(gateway, exchange)?;
    let request_id = exchange.request_id.clone();
    let bill = Bill::of(exchange, &attempt);
    let call = exchange.call.as_deref_mut().ok_or("there is no call")?;
    let hedge = call.plan.policy.hedge.ok_or("it is off")?;
    if prediction::needed(call, &attempt) {
        return Err("the other target's answer would be a job");
    }
    let leave = gateway.hedging.begin(bill.spend(), hedge.max_extra_permille);
    let leave = leave.ok_or("the budget for attempts that lose is used up")?;
    let head = upstream_request_filter::build(call, &attempt, Version::HTTP_11).map_err(|_| {
        // A token that has to be fetched: there for the next one.
        attempt.key.credential.start();
        "the other target's credential is not ready"
    })?;
    let question = Question {
        provider: Arc::clone(&attempt.provider),
        at: attempt.endpoint().clone(),
        head,
        body: attempt.upstream.body.clone(),
    };
    let inspector = Inspector::new(call, &attempt, &request_id);
    let (asker, stage) = (Arc::clone(&gateway.asker), Arc::clone(&call.stage));
    // First: it may be ahead before this function ends.
    stage.hedge.race();
    attempt.stake.iter().for_each(|stake| stake.sent());
    let race = Runner { attempt: Box::new(attempt), question, inspector, asker, stage }.start();
    Ok(Rival { race, cursor, bill, at: exchange.attempts.len(), leave: Some(leave) })
}

/// Targets that are looked at.
const CHOICES: usize = 8;

/// Another target than the running attempt's, prepared, and where the request stands with it.
fn other(gateway: &Gateway, exchange: &mut Exchange) -> Result<(Cursor, Attempt), &'static str> {
    let asked = exchange.attempt.as_ref().map(|running| Arc::clone(&running.key)).ok_or("nothing runs")?;
    let call = exchange.call.as_deref_mut().ok_or("there is no call")?;
    let mut from = call.cursor.clone();
    for _ in 0..CHOICES {
        let chosen = from.beside(&call.plan, &gateway.health, fastrand::u64(..));
        let (cursor, key) = chosen.ok_or("no other target is ready")?;
        from = cursor.clone();
        let Some(step) = cursor.current(&call.plan).cloned() else { return Err("no other target is ready") };
        let same_step = cursor.step == call.cursor.step;
        // It stands there while it is prepared, and not a moment longer.
        let running = std::mem::replace(&mut call.cursor, cursor);
        let same = same_step && step.provider.keys.get(key).is_some_and(|key| Arc::ptr_eq(key, &asked));
        let fits =
            !same && step.provider.mock.is_none() && usable(call, &step).is_ok() && !media::is_needed(call);
        let slot = fits.then(|| queue::take(gateway, call, &step, key)).flatten();
        let prepared = slot.and_then(|slot| ready(gateway, call, &step, key, slot).ok());
        let cursor = std::mem::replace(&mut call.cursor, running);
        match prepared {
            Some(attempt) => {
                if same_step {
                    call.cursor.also_tried(key);
                }
                return Ok((cursor, attempt));
            }
            None => from.also_tried(key),
        }
    }
    Err("no other target takes the request")
}
