//! The weather over time, from the seed: how often each provider errs, when it is down altogether, and when
//! one of its keys is revoked.

use std::time::Duration;

use super::dice::Dice;
use super::providers::{KEYS, PROVIDERS};

/// How a provider is down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Down {
    /// Nobody listens.
    Refusing,
    /// 503 for everything.
    Unavailable,
    /// Accepts, and says nothing.
    Silent,
    /// Accepts, and resets.
    Resetting,
}

/// One outage.
#[derive(Debug, Clone, Copy)]
pub struct Outage {
    pub provider: usize,
    pub from: Duration,
    pub until: Duration,
    pub how: Down,
}

/// The whole run.
#[derive(Debug, Clone)]
pub struct Schedule {
    seed: u64,
    /// Length of a slot of weather.
    slot: Duration,
    /// Faults end here.
    pub calm_from: Duration,
    pub outages: Vec<Outage>,
}

impl Schedule {
    /// Weather for a run whose faults last `length`: one provider down at a time, for 60 s (an eighth of a
    /// short run), with as long between two outages.
    #[must_use]
    pub fn new(seed: u64, length: Duration) -> Self {
        let outage = Duration::from_secs(60).min(length / 8);
        let mut dice = Dice::of(&[seed, 3]);
        let mut outages = Vec::new();
        let mut from = outage;
        let kinds = [Down::Unavailable, Down::Refusing, Down::Silent, Down::Resetting];
        let first = dice.index(kinds.len());
        while from + outage * 3 / 2 <= length {
            let nth = outages.len();
            let provider = nth % PROVIDERS.len();
            let how = kinds.get((first + nth) % kinds.len()).copied().unwrap_or(Down::Silent);
            outages.push(Outage { provider, from, until: from + outage, how });
            from += outage * 2;
        }
        Self { seed, slot: Duration::from_secs(15).min(length / 8), calm_from: length, outages }
    }

    /// No faults at all.
    #[must_use]
    pub fn calm() -> Self {
        let (slot, calm_from) = (Duration::from_secs(1), Duration::ZERO);
        Self { seed: 0, slot, calm_from, outages: Vec::new() }
    }

    /// Faults of a thousand answers of `provider`, this long after the start.
    #[must_use]
    pub fn share(&self, provider: usize, at: Duration) -> u64 {
        if at >= self.calm_from {
            return 0;
        }
        match self.slot_dice(provider, at).below(10) {
            0..=3 => 20,
            4..=7 => 150,
            _ => 500,
        }
    }

    /// The key of `provider` that is not accepted now.
    #[must_use]
    pub fn revoked(&self, provider: usize, at: Duration) -> Option<usize> {
        let mut dice = self.slot_dice(provider, at);
        dice.throw();
        (at < self.calm_from && dice.chance(60)).then(|| dice.index(KEYS))
    }

    /// How `provider` is down now.
    #[must_use]
    pub fn down(&self, provider: usize, at: Duration) -> Option<Down> {
        let on = |outage: &&Outage| outage.provider == provider && outage.from <= at && at < outage.until;
        self.outages.iter().find(on).map(|outage| outage.how)
    }

    /// `provider` is down, and has been for a fifth of the outage: long enough to be known.
    #[must_use]
    pub fn settled_outage(&self, provider: usize, at: Duration) -> bool {
        let settled = |outage: &Outage| outage.from + (outage.until - outage.from) / 5;
        self.outages.iter().any(|out| out.provider == provider && settled(out) <= at && at < out.until)
    }

    /// Visits per second of the time that [`Self::settled_outage`] counts. Refused connections are no visits.
    #[must_use]
    pub fn outage_rate(&self, visits: u64) -> f64 {
        let seen = self.outages.iter().filter(|outage| outage.how != Down::Refusing);
        let seconds: f64 = seen.map(|outage| (outage.until - outage.from).as_secs_f64() * 0.8).sum();
        if seconds > 0.0 { visits as f64 / seconds } else { 0.0 }
    }

    fn slot_dice(&self, provider: usize, at: Duration) -> Dice {
        let slot = at.as_millis().checked_div(self.slot.as_millis()).unwrap_or(0);
        Dice::of(&[self.seed, 4, provider as u64, u64::try_from(slot).unwrap_or(0)])
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, Schedule};

    #[test]
    fn one_provider_is_down_at_a_time_and_all_are_well_at_the_end() {
        for seconds in [20, 300, 1_800] {
            let length = Duration::from_secs(seconds);
            let schedule = Schedule::new(5, length);
            let mut down_for = 0;
            for at in 0..seconds * 10 {
                let at = Duration::from_millis(at * 100);
                let down = (0..3).filter(|provider| schedule.down(*provider, at).is_some()).count();
                assert!(down <= 1);
                down_for += down;
            }
            assert!(down_for > 0, "no outage in {seconds} s");
            assert_eq!(schedule.share(0, length) + schedule.share(1, length), 0);
            assert!((0..3).all(|provider| schedule.down(provider, length).is_none()));
        }
    }
}
