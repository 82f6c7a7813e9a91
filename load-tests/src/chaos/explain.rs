//! Judges an answer by what providers did for it: an error needs a fault, and a good answer that was sent
//! must have arrived.

use std::time::{Duration, Instant};

use super::errand::Errand;
use super::fault::Fault;
use super::judge::{Outcome, Violation, violation};
use super::ledger::{Ended, Visit};
use super::provider::Stage;
use super::providers::{LIMITS, PROVIDERS};

/// The longest that a fault keeps a target out of use: a circuit is open for 15 s at most, and a request may
/// have been asked at its end.
const SHADOW: Duration = Duration::from_secs(35);

/// Whether what providers did explains the outcome. True: not by itself, but the machine stood still.
///
/// # Errors
/// It does not.
pub fn explain(
    stage: &Stage,
    errand: &Errand,
    outcome: Outcome,
    visits: &[Visit],
    asked_at: Instant,
) -> Result<bool, Violation> {
    let Err(problem) = explained(stage, errand, outcome, visits, asked_at) else { return Ok(false) };
    // A stall of the recent past may have opened circuits.
    let since = asked_at.checked_sub(SHADOW).unwrap_or(stage.began);
    if stage.stalls.between(since, Instant::now()) { Ok(true) } else { Err(problem) }
}

fn explained(
    stage: &Stage,
    errand: &Errand,
    outcome: Outcome,
    visits: &[Visit],
    asked_at: Instant,
) -> Result<(), Violation> {
    // A finished answer is not kept open for counts that do not come.
    let slow = visits.last().is_some_and(|visit| visit.took > LIMITS.silence / 2);
    if outcome == Outcome::Uncounted && !slow {
        return violation("no counts of tokens", "");
    }
    // Sent in half of the time that any limit allows.
    let good = |visit: &&Visit| {
        visit.fault.is_whole()
            && !visit.continued
            && visit.ended == Ended::Sent
            && visit.took < LIMITS.silence / 2
    };
    if visits.iter().filter(good).count() > 1 {
        return violation("asked again after a good answer", format!("{visits:?}"));
    }
    if !matches!(outcome, Outcome::Refused(_) | Outcome::BrokenOff | Outcome::CutShort) {
        return Ok(());
    }
    let overdue = asked_at.elapsed() + Duration::from_secs(1) > LIMITS.total;
    if let Some(lost) = visits.iter().find(good).filter(|_| !overdue) {
        return violation("a good answer was lost", format!("{lost:?}"));
    }
    if outcome != Outcome::BrokenOff && !overdue {
        unasked(stage, errand, visits, asked_at)?;
    }
    let any = visits.iter().any(|visit| !visit.fault.is_whole());
    let shadowed = |step: &(usize, usize)| is_shadowed(stage, *step, asked_at);
    if any || errand.route.iter().any(shadowed) {
        return Ok(());
    }
    violation("an error without a fault", format!("{outcome:?} after {visits:?}"))
}

/// Every step of the plan was asked, or had a reason not to be.
fn unasked(stage: &Stage, errand: &Errand, visits: &[Visit], asked_at: Instant) -> Result<(), Violation> {
    // What the request brought upon itself is not routed around.
    let stops = |fault| matches!(fault, Fault::Policy | Fault::Redirect);
    if visits.iter().any(|visit| stops(visit.fault)) {
        return Ok(());
    }
    for step in &errand.route {
        let asked = visits.iter().any(|visit| visit.provider == step.0);
        if !asked && !is_shadowed(stage, *step, asked_at) {
            let name = PROVIDERS.get(step.0).map_or("?", |provider| provider.name);
            return violation("a healthy fallback was not asked", name);
        }
    }
    Ok(())
}

/// The target may be out of use for what it did to others.
fn is_shadowed(stage: &Stage, (provider, model): (usize, usize), asked_at: Instant) -> bool {
    let model =
        PROVIDERS.get(provider).and_then(|known| known.models.get(model)).copied().unwrap_or_default();
    let harmed = stage.ledger.harmed(provider, model).is_some_and(|at| at + SHADOW > asked_at);
    let now = stage.began.elapsed();
    let down = |outage: &&super::schedule::Outage| {
        outage.provider == provider && outage.from <= now && now < outage.until + SHADOW
    };
    harmed || stage.schedule.outages.iter().any(|outage| down(&outage))
}
