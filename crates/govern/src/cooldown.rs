//! Passive health of one target (a provider key and a model): when to leave it alone, and how long.
//!
//! Only the target's own answers count. Errors that the request brought upon itself never do, so one
//! caller's bad prompt cannot take a key away from the others. The state is plain; the shell puts it
//! behind a small mutex. Nothing here probes: when a cool-down has run out the target is ready again and
//! the next real request is the probe; if that fails, the next cool-down is twice as long.
//!
//! Times are milliseconds of any one clock that does not run backwards.

use crate::verdict::FaultClass;

/// A cool-down that doubles while its cause repeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ladder {
    pub first_ms: u64,
    pub max_ms: u64,
}

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
    /// Repeated upstream faults. 2 s: a restarting backend. 30 s: service must be back within 30 s of
    /// the provider's recovery.
    pub faults: Ladder,
    /// Which consecutive upstream fault begins a cool-down. 3: one is a bad replica, two is bad luck.
    pub faults_before_cooling: u32,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            rate_limited: Ladder { first_ms: 500, max_ms: 30_000 },
            retry_after_cap_ms: 300_000,
            refused: Ladder { first_ms: 60_000, max_ms: 600_000 },
            quota: Ladder { first_ms: 300_000, max_ms: 3_600_000 },
            faults: Ladder { first_ms: 2_000, max_ms: 30_000 },
            faults_before_cooling: 3,
        }
    }
}

/// Why a target is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CoolReason {
    RateLimited,
    /// The key is not accepted, or may not do this.
    Refused,
    /// No money left on the key.
    Quota,
    /// Errors, failed connections, silence.
    Faults,
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
    streaks: Streaks,
}

impl HealthState {
    /// The target answered well: whatever repeated has stopped repeating.
    ///
    /// The success of a call that began before a cool-down says nothing about its cause, so it does not
    /// cut short a wait for a limit, a bill or a key; it does end one for faults, since the target works.
    pub fn on_success(&mut self, now_ms: u64) {
        match self.verdict(now_ms) {
            Availability::Cooling { why, .. } if why != CoolReason::Faults => self.streaks.faults = 0,
            _ => *self = Self::default(),
        }
    }

    /// An attempt failed. `retry_after_ms` is what the provider asked for ([`crate::retry_hint`]).
    ///
    /// Faults of calls that were under way when the cool-down began do not lengthen it: a hundred
    /// parallel failures are one piece of news. A longer `Retry-After` among them does count.
    pub fn on_fault(&mut self, policy: &Policy, class: FaultClass, retry_after_ms: Option<u64>, now_ms: u64) {
        let Some(why) = reason(class) else { return };
        let hint = retry_after_ms.filter(|&hint| hint > 0).map(|hint| hint.min(policy.retry_after_cap_ms));
        let cooling = self.verdict(now_ms) != Availability::Ready;
        let tolerated = match why {
            CoolReason::Faults => policy.faults_before_cooling.saturating_sub(1),
            _ => 0,
        };
        let streak = self.streaks.of(why);
        let news = !cooling || *streak <= tolerated;
        *streak = streak.saturating_add(u32::from(news));
        let Some(step) = streak.checked_sub(tolerated.saturating_add(1)) else { return };
        let own = if news { policy.ladder(why).after(step) } else { 0 };
        let wait = match (why, hint) {
            (CoolReason::RateLimited, Some(hint)) => hint,
            (_, hint) => own.max(hint.unwrap_or(0)),
        };
        self.cool(now_ms.saturating_add(wait), why, now_ms);
    }

    /// Whether the target may be used at `now_ms`.
    #[must_use]
    pub fn verdict(&self, now_ms: u64) -> Availability {
        match self.cooling {
            Some((until_ms, why)) if now_ms < until_ms => Availability::Cooling { until_ms, why },
            _ => Availability::Ready,
        }
    }

    /// Cool-downs overlap: the one that ends last is in force.
    fn cool(&mut self, until_ms: u64, why: CoolReason, now_ms: u64) {
        match self.verdict(now_ms) {
            Availability::Cooling { until_ms: present, .. } if present >= until_ms => {}
            _ => self.cooling = Some((until_ms, why)),
        }
    }
}

impl Policy {
    fn ladder(&self, why: CoolReason) -> Ladder {
        match why {
            CoolReason::RateLimited => self.rate_limited,
            CoolReason::Refused => self.refused,
            CoolReason::Quota => self.quota,
            CoolReason::Faults => self.faults,
        }
    }
}

impl Ladder {
    /// `first × 2^step`, at most `max`.
    fn after(self, step: u32) -> u64 {
        let doubled = u128::from(self.first_ms) << step.min(63);
        u64::try_from(doubled).unwrap_or(u64::MAX).min(self.max_ms)
    }
}

/// How often each cause came in a row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Streaks {
    rate_limited: u32,
    refused: u32,
    quota: u32,
    faults: u32,
}

impl Streaks {
    fn of(&mut self, why: CoolReason) -> &mut u32 {
        match why {
            CoolReason::RateLimited => &mut self.rate_limited,
            CoolReason::Refused => &mut self.refused,
            CoolReason::Quota => &mut self.quota,
            CoolReason::Faults => &mut self.faults,
        }
    }
}

/// What a fault says about the target; `None` when it says nothing.
///
/// The total deadline may have been used up by other targets or by a slow caller, so it does not count.
/// Whether faults of this class ever cool a target down: those that the request brought upon itself never do.
#[must_use]
pub fn counts(class: FaultClass) -> bool {
    reason(class).is_some()
}

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
