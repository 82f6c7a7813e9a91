//! Passive health of one target (a provider key and a model): when to leave it alone, and how long.
//!
//! Only the target's own answers count. Errors that the request brought upon itself never do, so one
//! caller's bad prompt cannot take a key away from the others. The state is plain; the shell puts it
//! behind a small mutex. Nothing here sends: limits, bills and refused keys have a cool-down after which the next
//! real request shows how things are; faults have a [`breaker`], whose probes are real requests too.
//!
//! Times are milliseconds of any one clock that does not run backwards.

use crate::backoff::Ladder;
use crate::breaker::{self, Breaker, State};
use crate::verdict::FaultClass;

/// How long targets are left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// 429 without a hint. 500 ms: most per-second limits have refilled by then. 30 s: per-minute
    /// limits refill continuously, and a longer blind guess would waste capacity.
    pub rate_limited: Ladder,
    /// The longest `Retry-After` that is believed. 5 min: some providers name the end of the day or
    /// garble the unit; one request every five minutes to see for ourselves hurts nobody.
    pub retry_after_cap_ms: u64,
    /// 401 and 403. 60 s: keys are fixed by people, not by waiting, but a provider's auth outage
    /// passes. 10 min: a repaired key should serve again within a coffee break, without a restart.
    pub refused: Ladder,
    /// 402 and `insufficient_quota`. 5 min: someone has to pay a bill. 1 h: monthly quotas return at
    /// moments we do not know, and each probe costs a caller an attempt.
    pub quota: Ladder,
    /// Errors, failed connections, silence.
    pub faults: breaker::Policy,
}

impl Policy {
    /// What all targets follow.
    pub const STANDARD: Self = Self {
        rate_limited: Ladder { first_ms: 500, max_ms: 30_000 },
        retry_after_cap_ms: 300_000,
        refused: Ladder { first_ms: 60_000, max_ms: 600_000 },
        quota: Ladder { first_ms: 300_000, max_ms: 3_600_000 },
        faults: breaker::Policy::STANDARD,
    };
}

/// Why a target is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CoolReason {
    RateLimited,
    /// The key is not accepted, or may not do this.
    Refused,
    /// No money left on the key.
    Quota,
    /// Errors, failed connections, silence.
    Faults,
    /// It asked to be left alone for a while, without a limit being passed (a 503 with `Retry-After`).
    Asked,
}

/// May the target be used now?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Availability {
    Ready,
    Cooling { until_ms: u64, why: CoolReason },
}

/// What the answers of one target have shown so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HealthState {
    /// End of the cool-down, and its cause.
    cooling: Option<(u64, CoolReason)>,
    /// Until when a limit that was passed keeps it from being asked, whatever else does so for longer.
    limited_ms: u64,
    /// When the latest call began that the target accepted, and that it refused for its key or its bill.
    accepted_ms: Option<u64>,
    refused_ms: u64,
    streaks: Streaks,
    breaker: Breaker,
}

impl HealthState {
    /// A call begins. It may be a probe.
    pub fn begin(&mut self, policy: &Policy, now_ms: u64) -> Call {
        Call { began_ms: now_ms, probe: self.breaker.begin(&policy.faults, now_ms) }
    }

    /// The target answered well: whatever repeated has stopped repeating.
    ///
    /// The success of a call that began before a cool-down says nothing about its cause, so it does not cut
    /// short a wait. One of a call that began after a refused one did shows that the key is accepted and the bill paid.
    pub fn on_success(&mut self, now_ms: u64, call: Call) {
        self.breaker.on_success(now_ms, call.probe);
        self.accepted_ms = self.accepted_ms.max(Some(call.began_ms));
        let disproved = |why| refuses(why) && call.began_ms >= self.refused_ms;
        if self.cooling.is_some_and(|(_, why)| disproved(why)) {
            (self.cooling, self.streaks) = (None, Streaks::default());
        }
        if self.cooling.is_none_or(|(until_ms, _)| now_ms >= until_ms) {
            (self.cooling, self.streaks) = (None, Streaks::default());
        }
    }

    /// An attempt failed. `retry_after_ms` is what the provider asked for ([`crate::retry_hint`]).
    ///
    /// Faults of calls that were under way when the cool-down began do not lengthen it: a hundred
    /// parallel failures are one piece of news. A longer `Retry-After` among them does count.
    pub fn on_fault(&mut self, policy: &Policy, fault: Noted, now_ms: u64) {
        let hint = fault.retry_after_ms.map(|hint| hint.min(policy.retry_after_cap_ms));
        let Some(why) = reason(fault.class) else {
            match answered(fault.class) {
                true => self.breaker.on_success(now_ms, fault.call.probe),
                false => self.breaker.on_nothing(fault.call.probe),
            }
            return;
        };
        if refuses(why) {
            // Another call has shown since that it was not the key: one odd answer rests nobody.
            if self.accepted_ms.is_some_and(|accepted| accepted >= fault.call.began_ms) {
                return self.breaker.on_nothing(fault.call.probe);
            }
            self.refused_ms = self.refused_ms.max(fault.call.began_ms);
        }
        let (streak, ladder) = match why {
            CoolReason::RateLimited => (&mut self.streaks.rate_limited, policy.rate_limited),
            CoolReason::Refused => (&mut self.streaks.refused, policy.refused),
            CoolReason::Quota => (&mut self.streaks.quota, policy.quota),
            CoolReason::Faults | CoolReason::Asked => {
                self.breaker.on_fault(&policy.faults, hint, now_ms, fault.call.probe);
                return hint
                    .into_iter()
                    .for_each(|hint| self.cool(now_ms.saturating_add(hint), CoolReason::Asked));
            }
        };
        self.breaker.on_nothing(fault.call.probe);
        let news = self.cooling.is_none_or(|(until_ms, _)| now_ms >= until_ms);
        // The first of its cause counts even while another cause is in force.
        let own = if news || *streak == 0 { ladder.after(*streak) } else { 0 };
        *streak = streak.saturating_add(u32::from(news || *streak == 0));
        let wait = match (why, hint.filter(|&hint| hint > 0)) {
            (CoolReason::RateLimited, Some(hint)) => hint,
            (_, hint) => own.max(hint.unwrap_or(0)),
        };
        self.cool(now_ms.saturating_add(wait), why);
    }

    /// Another gateway has seen that the target rests until `until_ms`, or that it is well again.
    pub fn told(&mut self, policy: &Policy, until_ms: Option<u64>, why: CoolReason, now_ms: u64) {
        match (until_ms, why) {
            (Some(until_ms), CoolReason::Faults) => self.breaker.told(&policy.faults, Some(until_ms), now_ms),
            (Some(until_ms), _) => self.cool(until_ms, why),
            (None, CoolReason::Faults) => self.breaker.told(&policy.faults, None, now_ms),
            (None, _) => {
                if why == CoolReason::RateLimited {
                    self.limited_ms = 0;
                }
                if self.cooling.is_some_and(|(_, present)| present == why) {
                    (self.cooling, self.streaks) = (None, Streaks::default());
                }
            }
        }
    }

    /// A call ended without saying anything of the target.
    pub fn on_nothing(&mut self, call: Call) {
        self.breaker.on_nothing(call.probe);
    }

    /// Whether the target may be used at `now_ms`. Of several reasons the one that lasts longest is told.
    #[must_use]
    pub fn verdict(&self, policy: &Policy, now_ms: u64) -> Availability {
        let broken = match self.breaker.state(&policy.faults, now_ms) {
            State::Open { until_ms } | State::HalfOpen { probe_until_ms: Some(until_ms) } => {
                Some((until_ms, CoolReason::Faults))
            }
            State::Closed | State::HalfOpen { probe_until_ms: None } => None,
        };
        let cooling = self.cooling.filter(|&(until_ms, _)| now_ms < until_ms);
        match broken.into_iter().chain(cooling).max_by_key(|&(until_ms, _)| until_ms) {
            Some((until_ms, why)) => Availability::Cooling { until_ms, why },
            None => Availability::Ready,
        }
    }

    /// Until when nobody may ask it, not even to see whether it is well: a limit was passed. 0: it may be asked.
    #[must_use]
    pub fn limited_until_ms(&self) -> u64 {
        self.limited_ms
    }

    /// The circuit breaker's state.
    #[must_use]
    pub fn breaker(&self, policy: &Policy, now_ms: u64) -> State {
        self.breaker.state(&policy.faults, now_ms)
    }

    /// Cool-downs overlap: the one that ends last is in force.
    fn cool(&mut self, until_ms: u64, why: CoolReason) {
        if why == CoolReason::RateLimited {
            self.limited_ms = self.limited_ms.max(until_ms);
        }
        if self.cooling.is_none_or(|(present, _)| until_ms > present) {
            self.cooling = Some((until_ms, why));
        }
    }
}

/// A fault as health sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Noted {
    pub class: FaultClass,
    pub retry_after_ms: Option<u64>,
    /// What [`HealthState::begin`] said of the call.
    pub call: Call,
}

/// A call, as its outcome has to name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    pub began_ms: u64,
    /// The number of the probe that it is, or [`breaker::NO_PROBE`].
    pub probe: u64,
}

impl Call {
    /// The same call where it is no probe.
    #[must_use]
    pub fn no_probe(self) -> Self {
        Self { probe: breaker::NO_PROBE, ..self }
    }
}

/// How often each cause came in a row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Streaks {
    rate_limited: u32,
    refused: u32,
    quota: u32,
}

/// The key or its account is not accepted.
fn refuses(why: CoolReason) -> bool {
    matches!(why, CoolReason::Refused | CoolReason::Quota)
}

/// The target understood the request and said what is wrong with it: it works.
fn answered(class: FaultClass) -> bool {
    matches!(
        class,
        FaultClass::ModelNotFound
            | FaultClass::ContextLength
            | FaultClass::ContentPolicy
            | FaultClass::InvalidRequest
            | FaultClass::TooLarge
    )
}

/// Whether a fault of this class is the target's: those that the request brought upon itself never are.
#[must_use]
pub fn counts(class: FaultClass) -> bool {
    reason(class).is_some()
}

/// Whether a fault of this class is that of the server that was asked: another one that serves the same may do
/// better.
#[must_use]
pub fn of_server(class: FaultClass) -> bool {
    matches!(reason(class), Some(CoolReason::Faults | CoolReason::RateLimited))
}

/// What a fault says about the target; `None` when it says nothing. The total deadline may have been used up by
/// other targets or by a slow caller, so it does not count.
fn reason(class: FaultClass) -> Option<CoolReason> {
    match class {
        FaultClass::RateLimited => Some(CoolReason::RateLimited),
        FaultClass::Authentication | FaultClass::Permission => Some(CoolReason::Refused),
        FaultClass::Quota => Some(CoolReason::Quota),
        FaultClass::ConnectFailed
        | FaultClass::ConnectionReset
        | FaultClass::FirstByteTimeout
        | FaultClass::TtftTimeout
        | FaultClass::IdleTimeout
        | FaultClass::Overloaded
        | FaultClass::ServerError
        | FaultClass::BadAnswer => Some(CoolReason::Faults),
        FaultClass::TotalTimeout
        | FaultClass::ModelNotFound
        | FaultClass::ContextLength
        | FaultClass::ContentPolicy
        | FaultClass::InvalidRequest
        | FaultClass::TooLarge
        | FaultClass::CallerGone
        | FaultClass::Internal => None,
    }
}

#[cfg(test)]
mod tests;
