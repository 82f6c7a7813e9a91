//! A circuit breaker for one target: closed, open, half-open with one probe at a time.
//!
//! It opens on faults in a row, or on the share of faults among recent calls. While it is open nobody asks the
//! target; when the time is up one real request does, and the others wait for what it learns. Which faults count
//! is decided by the caller ([`crate::cooldown`]): an error that a request brought upon itself never comes here.
//!
//! Only calls that began while the breaker let them say something about it now: the success of a stream that
//! began before an outage proves nothing, nor does one more failure of the calls that were under way when it
//! opened.
//!
//! Times are milliseconds of any one clock that does not run backwards.

use crate::backoff::Ladder;

/// When a breaker opens, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Faults in a row that open it while there is little traffic. 3: one is a bad replica, two is bad luck.
    pub consecutive: u32,
    /// The same under traffic (`min_calls` within the window): a target that fails one call in five must not
    /// be closed by chance. 10 in a row come by chance once in ten million calls then.
    pub consecutive_in_traffic: u32,
    /// Calls within the window below which its share of faults means nothing.
    pub min_calls: u32,
    /// The share of faults within the window that opens it, in percent.
    pub error_percent: u32,
    /// How long it stays open. 2 s: a restarting backend. 15 s: with a request every few seconds, service is back
    /// within 30 s of the provider's recovery.
    pub open: Ladder,
    /// A probe without an outcome after this time is given up, and the next may go.
    pub probe_lease_ms: u64,
}

impl Policy {
    /// What all targets follow.
    pub const STANDARD: Self = Self {
        consecutive: 3,
        consecutive_in_traffic: 10,
        min_calls: 20,
        error_percent: 50,
        open: Ladder { first_ms: 2_000, max_ms: 15_000 },
        probe_lease_ms: 30_000,
    };
}

/// The breaker as people know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    Closed,
    /// Nobody may ask before this moment.
    Open {
        until_ms: u64,
    },
    /// One may ask; `probe_until_ms` when one does.
    HalfOpen {
        probe_until_ms: Option<u64>,
    },
}

/// A provider, as its targets agree: open as long as none of them may be asked, half-open as soon as one may. One that is
/// closed keeps it closed, and so does knowing of none.
#[must_use]
pub fn of_all(targets: impl IntoIterator<Item = State>) -> State {
    targets.into_iter().reduce(of_two).unwrap_or(State::Closed)
}

fn of_two(one: State, other: State) -> State {
    match (one, other) {
        (State::Closed, _) | (_, State::Closed) => State::Closed,
        (State::Open { until_ms: a }, State::Open { until_ms: b }) => State::Open { until_ms: a.min(b) },
        (State::HalfOpen { probe_until_ms: a }, State::HalfOpen { probe_until_ms: b }) => {
            State::HalfOpen { probe_until_ms: a.and(b) }
        }
        (half @ State::HalfOpen { .. }, _) | (_, half) => half,
    }
}

/// What recent calls of one target have shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Breaker {
    consecutive: u32,
    opening: Option<Opening>,
    window: Window,
    /// Probes so far; each has its number, so that one that is late does not speak for another.
    probes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Opening {
    until_ms: u64,
    /// How often it opened without being closed between.
    step: u32,
    probe: Option<Probe>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Probe {
    number: u64,
    since_ms: u64,
}

/// What a call is that is no probe.
pub const NO_PROBE: u64 = 0;

impl Breaker {
    /// The state at `now_ms`.
    #[must_use]
    pub fn state(&self, policy: &Policy, now_ms: u64) -> State {
        let Some(opening) = self.opening else { return State::Closed };
        if now_ms < opening.until_ms {
            return State::Open { until_ms: opening.until_ms };
        }
        let lease = opening.probe.map(|probe| probe.since_ms.saturating_add(policy.probe_lease_ms));
        State::HalfOpen { probe_until_ms: lease.filter(|&until| now_ms < until) }
    }

    /// A call begins. The number of the probe that it is, or [`NO_PROBE`]: its outcome must be told, or that there is
    /// none. A call that is made although the breaker is open (nobody else could answer it) is one too.
    pub fn begin(&mut self, policy: &Policy, now_ms: u64) -> u64 {
        let lease = policy.probe_lease_ms;
        let Some(opening) = &mut self.opening else { return NO_PROBE };
        if opening.probe.is_some_and(|probe| now_ms < probe.since_ms.saturating_add(lease)) {
            return NO_PROBE;
        }
        self.probes = self.probes.saturating_add(1);
        opening.probe = Some(Probe { number: self.probes, since_ms: now_ms });
        self.probes
    }

    /// A call ended well, or has begun to answer. `probe` is what [`Breaker::begin`] said of it.
    pub fn on_success(&mut self, now_ms: u64, probe: u64) {
        if self.is_current(probe) {
            *self = Self { probes: self.probes, ..Self::default() };
        }
        if self.opening.is_none() {
            self.consecutive = 0;
            self.window.add(now_ms, false);
        }
    }

    /// A call failed in a way that counts. It stays open at least as long as the provider asked.
    pub fn on_fault(&mut self, policy: &Policy, retry_after_ms: Option<u64>, now_ms: u64, probe: u64) {
        let hint = retry_after_ms.unwrap_or(0);
        let current = self.is_current(probe);
        match &mut self.opening {
            None => {
                self.consecutive = self.consecutive.saturating_add(1);
                self.window.add(now_ms, true);
                if self.is_enough(policy, now_ms) {
                    self.open(policy, 0, hint, now_ms);
                }
            }
            Some(opening) if current => {
                let step = opening.step.saturating_add(1);
                self.open(policy, step, hint, now_ms);
            }
            Some(opening) => opening.until_ms = opening.until_ms.max(now_ms.saturating_add(hint)),
        }
    }

    /// A call ended without saying anything of the target: its caller left, or asked for nonsense.
    pub fn on_nothing(&mut self, probe: u64) {
        if self.is_current(probe)
            && let Some(opening) = &mut self.opening
        {
            opening.probe = None;
        }
    }

    /// Somebody else has seen that the target fails, until `until_ms`, or that it answers again. A probe that is under
    /// way here decides for itself.
    pub fn told(&mut self, policy: &Policy, until_ms: Option<u64>, now_ms: u64) {
        let probes = matches!(self.state(policy, now_ms), State::HalfOpen { probe_until_ms: Some(_) });
        match (until_ms, self.opening) {
            _ if probes => {}
            (Some(until_ms), opening) => {
                let later = opening.is_none_or(|opening| opening.until_ms < until_ms);
                if later && until_ms > now_ms {
                    let step = opening.map_or(0, |opening| opening.step);
                    let opening = Some(Opening { until_ms, step, probe: None });
                    *self = Self { opening, probes: self.probes, ..Self::default() };
                }
            }
            (None, Some(_)) => *self = Self { probes: self.probes, ..Self::default() },
            (None, None) => {}
        }
    }

    fn is_current(&self, number: u64) -> bool {
        self.opening.and_then(|opening| opening.probe).is_some_and(|probe| probe.number == number)
    }

    fn is_enough(&self, policy: &Policy, now_ms: u64) -> bool {
        let (calls, faults) = self.window.counts(now_ms);
        if calls < policy.min_calls {
            return self.consecutive >= policy.consecutive;
        }
        let share = u64::from(faults) * 100 >= u64::from(calls) * u64::from(policy.error_percent);
        share || self.consecutive >= policy.consecutive_in_traffic
    }

    fn open(&mut self, policy: &Policy, step: u32, hint: u64, now_ms: u64) {
        let until_ms = now_ms.saturating_add(policy.open.after(step).max(hint));
        let opening = Some(Opening { until_ms, step, probe: None });
        *self = Self { opening, probes: self.probes, ..Self::default() };
    }
}

/// Calls and faults of the last ten seconds, by second.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Window {
    slots: [Slot; SLOTS],
}

const SLOTS: usize = 10;
const SLOT_MS: u64 = 1_000;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Slot {
    /// Which second it counts, from 1 on.
    number: u64,
    calls: u32,
    faults: u32,
}

impl Window {
    fn add(&mut self, now_ms: u64, fault: bool) {
        let number = now_ms / SLOT_MS + 1;
        let at = usize::try_from(number).unwrap_or_default() % SLOTS;
        let Some(slot) = self.slots.get_mut(at) else { return };
        if slot.number != number {
            *slot = Slot { number, ..Slot::default() };
        }
        slot.calls = slot.calls.saturating_add(1);
        slot.faults = slot.faults.saturating_add(u32::from(fault));
    }

    fn counts(&self, now_ms: u64) -> (u32, u32) {
        let number = now_ms / SLOT_MS + 1;
        let recent = |slot: &&Slot| slot.number != 0 && number.saturating_sub(slot.number) < SLOTS as u64;
        self.slots.iter().filter(recent).fold((0, 0), |(calls, faults), slot| {
            (u32::saturating_add(calls, slot.calls), u32::saturating_add(faults, slot.faults))
        })
    }
}

#[cfg(test)]
mod tests;
