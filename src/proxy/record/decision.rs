//! Why a request went where it went: what was noted while its first attempt was chosen, as candidates with their shares.
//!
//! Where one key of one model was all there is, there is no candidate: nothing was decided.

use crate::config::snapshot::Key;
use crate::proxy::exchange::{Call, Exchange};
use crate::proxy::known::Known;
use crate::route::plan::Step;
use crate::telemetry::record::{CHOSEN, Candidate, Decision, READY, STANDS_BEHIND};
use crate::upstream::looked::{Look, Looked};

/// Candidates of one request; more are counted.
const MOST: usize = 16;

/// The decision of a request that is over.
pub fn of(exchange: &mut Exchange) -> Decision {
    let mut limits = std::mem::take(&mut exchange.known.limits);
    let Some(call) = exchange.call.as_deref() else { return Decision { limits, ..Decision::default() } };
    let refused = call.tab.as_ref().and_then(|tab| tab.refused());
    if let Some(refused) = refused {
        Known::refuse(&mut limits, &refused);
    }
    let looked = &call.cursor.looked;
    let chosen = looked.chosen().map_or(0, |(step, _)| step);
    let mut decision = Decision {
        led_by: call.plan.led_by,
        rule: call.plan.policy.rule.clone(),
        strategy: looked.of(chosen).map_or("", |look| look.by.name()),
        limits,
        ..Decision::default()
    };
    let plan = &call.plan;
    if plan.steps.len() > 1 || !looked.is_empty() || !plan.denied.is_empty() {
        plan.steps.iter().enumerate().for_each(|(at, step)| of_step(&mut decision, call, (at, step)));
        for (provider, model, word, _) in &plan.denied {
            let (provider, model) = (provider.clone(), model.clone());
            add(&mut decision, Candidate { provider, model, key: None, share: None, verdict: word });
        }
    }
    decision
}

fn of_step(decision: &mut Decision, call: &Call, (at, step): (usize, &Step)) {
    let looked = &call.cursor.looked;
    let own = |key: Option<&Key>, share, verdict| Candidate {
        provider: step.provider.name.clone(),
        model: step.model.clone(),
        key: key.filter(|key| key.secret.is_some()).map(|key| key.name.clone()),
        share,
        verdict,
    };
    match looked.of(at) {
        Some(look) => of_keys(decision, (at, step), (look, looked), own),
        None => {
            let (key, verdict) = match looked.chosen() {
                Some((chosen, key)) if chosen == at => {
                    let direct = call.direct_key(step).map(AsRef::as_ref);
                    (direct.or_else(|| step.provider.keys.get(key).map(AsRef::as_ref)), CHOSEN)
                }
                Some((chosen, _)) if chosen < at => (None, STANDS_BEHIND),
                _ => (None, "not asked"),
            };
            let share = (verdict == CHOSEN).then_some(1.0);
            add(decision, own(key, share, verdict));
        }
    }
}

fn of_keys(
    decision: &mut Decision,
    (at, step): (usize, &Step),
    (look, looked): (&Look, &Looked),
    own: impl Fn(Option<&Key>, Option<f32>, &'static str) -> Candidate,
) {
    let shares = look.shares();
    for (index, key) in step.provider.keys.iter().enumerate() {
        let chosen = looked.chosen() == Some((at, index));
        let verdict = match look.barred(index) {
            _ if chosen => CHOSEN,
            Some(why) => why,
            None => READY,
        };
        #[expect(clippy::cast_possible_truncation, reason = "a share is shown with two digits")]
        let share = shares.get(index).filter(|share| **share > 0.0).map(|share| *share as f32);
        add(decision, own(Some(key), share, verdict));
    }
}

fn add(decision: &mut Decision, candidate: Candidate) {
    // The one that was chosen is always told.
    if decision.candidates.len() < MOST || candidate.verdict == CHOSEN {
        decision.candidates.push(candidate);
    } else {
        decision.more_candidates = decision.more_candidates.saturating_add(1);
    }
}
