//! All that one owner (a virtual key, a team, a customer, a provider, a model) may use: budgets, limits of requests and
//! tokens, and requests under way at once.
//!
//! A request holds what it is expected to use of every one of them, or of none. Who the owner is and in which order
//! owners are asked is the caller's affair; where a later owner refuses, the earlier ones take their hold back with
//! [`Allowance::release`].
//!
//! Money and tokens are held and counted when they are known. A request is counted when it is let in, as an ideal window
//! would: one that takes a minute must not count for two.

mod shared;

pub use self::shared::Part;
use crate::lease::{OnLoss, Slice};
pub use crate::meter::Fit;
use crate::meter::{Level, Meter, Refusal, Wait};
use crate::window::Window;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Measure {
    /// Nano-dollars.
    Cost,
    Requests,
    InputTokens,
    OutputTokens,
    /// Input and output.
    Tokens,
}

/// So much of a measure per window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    pub measure: Measure,
    /// Nano-dollars, requests or tokens.
    pub max: u64,
    pub window: Window,
}

/// What a request uses, as expected or as it was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Consumption {
    /// Nano-dollars.
    pub cost: u64,
    /// 1 for a request that counts, else 0.
    pub requests: u64,
    pub input_tokens: u64,
    pub output_tokens: u64,
}

impl Consumption {
    /// Both together.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        self.each(other, u64::saturating_add)
    }

    /// What this has more than `other`, of each.
    #[must_use]
    pub fn beyond(&self, other: &Self) -> Self {
        self.each(other, u64::saturating_sub)
    }

    /// Nothing was used.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// What is held of it until the request ends.
    fn kept(&self, measure: Measure) -> u64 {
        if measure == Measure::Requests { 0 } else { self.of(measure) }
    }

    fn each(&self, other: &Self, join: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            cost: join(self.cost, other.cost),
            requests: join(self.requests, other.requests),
            input_tokens: join(self.input_tokens, other.input_tokens),
            output_tokens: join(self.output_tokens, other.output_tokens),
        }
    }

    /// How much of that measure.
    #[must_use]
    pub fn of(&self, measure: Measure) -> u64 {
        match measure {
            Measure::Cost => self.cost,
            Measure::Requests => self.requests,
            Measure::InputTokens => self.input_tokens,
            Measure::OutputTokens => self.output_tokens,
            Measure::Tokens => self.input_tokens.saturating_add(self.output_tokens),
        }
    }
}

/// Why an owner refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    Quota {
        quota: Quota,
        refusal: Refusal,
    },
    /// So many requests are under way.
    Concurrency {
        max: u32,
    },
    /// This node has no place left of those it has leased.
    Places {
        max: u32,
    },
}

impl Denied {
    /// Milliseconds after which another try makes sense; `None` when it never does.
    #[must_use]
    pub fn retry_after_ms(&self) -> Option<u64> {
        match self {
            Self::Quota { refusal, .. } => match refusal.wait {
                Wait::Millis(wait) => Some(wait),
                Wait::ForOthers | Wait::ForShare => Some(Self::SOON_MS),
                Wait::Never => None,
            },
            Self::Concurrency { .. } | Self::Places { .. } => Some(Self::SOON_MS),
        }
    }

    /// Nobody knows when a request under way ends.
    const SOON_MS: u64 = 1_000;
}

/// What one owner may use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Allowance {
    meters: Vec<(Measure, Meter)>,
    /// Those of quotas that are gone, for as long as requests of an older configuration may bring them back.
    retired: Vec<(Measure, Meter)>,
    /// What requests under way hold in all: of meters that are added while they run, too.
    held: Consumption,
    under_way: u32,
    max_under_way: Option<u32>,
    /// Other nodes use of it too.
    shared: Option<OnLoss>,
    /// This node's part of the requests under way at once.
    places: Option<Box<Slice>>,
}

impl Allowance {
    /// Meters of quotas that are gone, at most.
    const RETIRED: usize = 4;

    /// Nothing used yet.
    #[must_use]
    pub fn new(quotas: &[Quota], max_under_way: Option<u32>) -> Self {
        let meters = quotas.iter().map(|quota| (quota.measure, Meter::new(quota.max, quota.window)));
        Self { meters: meters.collect(), max_under_way, ..Self::default() }
    }

    /// There is nothing to hold.
    #[must_use]
    pub fn is_unlimited(&self) -> bool {
        self.meters.is_empty() && self.max_under_way.is_none()
    }

    /// Holds what a request is expected to use, of every quota.
    ///
    /// # Errors
    /// The first quota that has not so much left; then nothing is held.
    pub fn hold(&mut self, expected: &Consumption, fit: Fit, now_ms: u64) -> Result<(), Denied> {
        if let Some(max) = self.max_under_way.filter(|max| self.under_way >= *max) {
            return Err(Denied::Concurrency { max });
        }
        self.ask_places(now_ms)?;
        self.add(expected, fit, now_ms, true)?;
        self.under_way = self.under_way.saturating_add(1);
        Ok(())
    }

    /// Holds `after` for a request that has held `before` so far.
    ///
    /// # Errors
    /// The first quota that has not so much left; then `before` is held as it was.
    pub fn rehold(
        &mut self,
        before: &Consumption,
        after: &Consumption,
        fit: Fit,
        now_ms: u64,
    ) -> Result<(), Denied> {
        let nothing = Consumption::default();
        self.put(before, &nothing);
        let more = Consumption { requests: after.requests.saturating_sub(before.requests), ..*after };
        self.add(&more, fit, now_ms, false).inspect_err(|_| self.put(&nothing, before))
    }

    /// Holds `after` instead of `before`, whatever is left.
    pub fn put(&mut self, before: &Consumption, after: &Consumption) {
        for (measure, meter) in &mut self.meters {
            let rest = meter.held().saturating_sub(before.kept(*measure));
            meter.set_held(rest.saturating_add(after.kept(*measure)));
        }
        self.held = self.held.beyond(before).plus(after);
    }

    /// The request that held `expected` has ended and used `used`: it has been counted as a request when it began.
    pub fn settle(&mut self, expected: &Consumption, used: &Consumption, now_ms: u64) {
        for (measure, meter) in self.meters.iter_mut().filter(|(measure, _)| *measure != Measure::Requests) {
            meter.settle(expected.of(*measure), used.of(*measure), now_ms);
        }
        let kept = Consumption { requests: 0, ..*used };
        for (measure, meter) in &mut self.retired {
            meter.count(kept.of(*measure), now_ms);
        }
        self.end(expected);
    }

    /// The request that has held `expected` since `since_ms` never began.
    pub fn release(&mut self, expected: &Consumption, since_ms: u64, now_ms: u64) {
        self.give_back(self.meters.len(), expected, since_ms, now_ms);
        self.end(expected);
    }

    /// Counts what was used without a hold.
    pub fn count(&mut self, used: &Consumption, now_ms: u64) {
        for (measure, meter) in self.meters.iter_mut().chain(&mut self.retired) {
            meter.count(used.of(*measure), now_ms);
        }
    }

    /// Counts what was used elsewhere.
    pub fn learn(&mut self, used: &Consumption, now_ms: u64) {
        for (measure, meter) in self.meters.iter_mut().chain(&mut self.retired) {
            meter.learn(used.of(*measure), now_ms);
        }
    }

    /// These are the quotas already.
    #[must_use]
    pub fn is(&self, quotas: &[Quota], max_under_way: Option<u32>) -> bool {
        let same = |((measure, meter), quota): (&(Measure, Meter), &Quota)| {
            *measure == quota.measure && meter.max() == quota.max && meter.window() == quota.window
        };
        self.max_under_way == max_under_way
            && self.meters.len() == quotas.len()
            && self.meters.iter().zip(quotas).all(same)
    }

    /// Other quotas: what was used of those that stay, measure and window being the same, stays used and held. Those that
    /// go are counted on for a while.
    pub fn change(&mut self, quotas: &[Quota], max_under_way: Option<u32>) {
        let mut before = std::mem::take(&mut self.meters);
        before.append(&mut self.retired);
        let held = self.held;
        self.meters = quotas
            .iter()
            .map(|quota| {
                let same = |(measure, meter): &(Measure, Meter)| {
                    *measure == quota.measure && meter.window() == quota.window
                };
                let mut meter = match before.iter().position(same) {
                    Some(at) => before.remove(at).1,
                    None => Meter::new(quota.max, quota.window),
                };
                meter.set_held(held.kept(quota.measure));
                meter.set_max(quota.max);
                (quota.measure, meter)
            })
            .collect();
        before.truncate(Self::RETIRED);
        self.retired = before;
        self.max_under_way = max_under_way;
        if let Some(on_loss) = self.shared {
            self.share(on_loss);
        }
    }

    /// `enters`: it is a request that holds nothing yet, and is not let in where nothing is left of anything. One that is
    /// in is only asked about what it wants more of.
    fn add(&mut self, more: &Consumption, fit: Fit, now_ms: u64, enters: bool) -> Result<(), Denied> {
        for at in 0..self.meters.len() {
            let Some((measure, meter)) = self.meters.get_mut(at) else { break };
            let (measure, window) = (*measure, meter.window());
            if !enters && more.of(measure) == 0 {
                // It was counted when it was let in: that it was the last one must not stop it now.
                continue;
            }
            if let Err(refusal) = meter.hold(more.of(measure), fit, now_ms) {
                self.give_back(at, more, now_ms, now_ms);
                let quota = Quota { measure, max: refusal.max, window };
                return Err(Denied::Quota { quota, refusal });
            }
            if measure == Measure::Requests {
                meter.settle(more.requests, more.requests, now_ms);
            }
        }
        self.held = self.held.plus(more);
        Ok(())
    }

    /// How each quota stands.
    pub fn levels(&mut self, now_ms: u64) -> impl Iterator<Item = (Measure, Window, Level)> {
        self.meters.iter_mut().map(move |(measure, meter)| (*measure, meter.window(), meter.level(now_ms)))
    }

    /// Counts what was used at `at_ms`, before now.
    pub fn restore(&mut self, used: &Consumption, at_ms: u64, now_ms: u64) {
        for (measure, meter) in &mut self.meters {
            meter.restore(used.of(*measure), at_ms, now_ms);
        }
    }

    /// The meters, to be stored and restored.
    pub fn meters_mut(&mut self) -> impl Iterator<Item = (Measure, &mut Meter)> {
        self.meters.iter_mut().map(|(measure, meter)| (*measure, meter))
    }

    /// Nothing is held, and nothing that was used counts any more: it can be forgotten.
    #[must_use]
    pub fn is_idle(&mut self, now_ms: u64) -> bool {
        self.under_way == 0
            && !self.is_live()
            && self.meters.iter_mut().all(|(_, meter)| meter.used(now_ms) == 0)
    }

    /// Requests under way, and how many there may be.
    #[must_use]
    pub fn max_under_way(&self) -> Option<u32> {
        self.max_under_way
    }

    #[must_use]
    pub fn under_way(&self) -> u32 {
        self.under_way
    }

    fn end(&mut self, expected: &Consumption) {
        self.held = self.held.beyond(expected);
        self.under_way = self.under_way.saturating_sub(1);
    }

    /// Of the first `count` meters.
    fn give_back(&mut self, count: usize, expected: &Consumption, since_ms: u64, now_ms: u64) {
        for (measure, meter) in self.meters.iter_mut().take(count) {
            match measure {
                Measure::Requests => meter.uncount(expected.requests, since_ms),
                _ => meter.settle(expected.of(*measure), 0, now_ms),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quota(measure: Measure, max: u64, window: &str) -> Quota {
        Quota { measure, max, window: Window::parse(window, false).unwrap() }
    }

    fn asks(cost: u64, input_tokens: u64, output_tokens: u64) -> Consumption {
        Consumption { cost, requests: 1, input_tokens, output_tokens }
    }

    fn used(allowance: &mut Allowance) -> Vec<(u64, u64)> {
        allowance.levels(0).map(|(_, _, level)| (level.used, level.held)).collect()
    }

    #[test]
    fn a_request_holds_of_every_quota_or_of_none() {
        let quotas = [
            quota(Measure::Cost, 100, "1d"),
            quota(Measure::Requests, 5, "1m"),
            quota(Measure::Tokens, 50, "1m"),
        ];
        let mut allowance = Allowance::new(&quotas, None);
        let denied = allowance.hold(&asks(10, 30, 30), Fit::Whole, 0).unwrap_err();
        assert!(matches!(denied, Denied::Quota { quota, .. } if quota == quotas[2]));
        assert_eq!(denied.retry_after_ms(), None);
        assert_eq!(used(&mut allowance), [(0, 0); 3]);
        allowance.hold(&asks(10, 20, 20), Fit::Whole, 0).unwrap();
        assert_eq!(used(&mut allowance), [(0, 10), (1, 0), (0, 40)]);
        assert_eq!(allowance.hold(&asks(1, 6, 6), Fit::Whole, 0).unwrap_err().retry_after_ms(), Some(1_000));
        allowance.settle(&asks(10, 20, 20), &asks(7, 20, 3), 0);
        assert_eq!(used(&mut allowance), [(7, 0), (1, 0), (23, 0)]);
        assert_eq!(
            allowance.hold(&asks(1, 20, 20), Fit::Whole, 10).unwrap_err().retry_after_ms(),
            Some(59_990)
        );
    }

    #[test]
    fn the_last_request_of_a_limit_is_let_through_to_its_attempts() {
        for fit in [Fit::Whole, Fit::Alone] {
            let mut allowance = Allowance::new(&[quota(Measure::Requests, 1, "1m")], None);
            let one = Consumption { requests: 1, ..Consumption::default() };
            allowance.hold(&one, fit, 0).unwrap();
            // An attempt is chosen, and another after it.
            let more = asks(5, 5, 5);
            allowance.rehold(&one, &more, fit, 1).unwrap();
            allowance.rehold(&more, &asks(9, 5, 5), fit, 2).unwrap();
            assert!(allowance.hold(&one, fit, 3).is_err());
        }
    }

    #[test]
    fn what_never_began_leaves_no_trace() {
        let mut allowance = Allowance::new(&[quota(Measure::Requests, 1, "1m")], Some(1));
        allowance.hold(&asks(0, 0, 0), Fit::Whole, 0).unwrap();
        assert_eq!(
            allowance.hold(&asks(0, 0, 0), Fit::Whole, 0).unwrap_err(),
            Denied::Concurrency { max: 1 }
        );
        allowance.release(&asks(0, 0, 0), 0, 0);
        assert_eq!((allowance.under_way(), used(&mut allowance)), (0, vec![(0, 0)]));
        assert!(allowance.hold(&asks(0, 0, 0), Fit::Whole, 0).is_ok());
    }

    #[test]
    fn a_change_of_quotas_forgets_nothing_that_still_counts() {
        let mut allowance =
            Allowance::new(&[quota(Measure::Cost, 10, "1d"), quota(Measure::Tokens, 9, "1m")], None);
        allowance.hold(&asks(8, 4, 4), Fit::Whole, 0).unwrap();
        allowance.change(&[quota(Measure::Tokens, 20, "1h"), quota(Measure::Cost, 20, "1d")], None);
        assert_eq!(used(&mut allowance), [(0, 8), (0, 8)], "the new meter knows of the request under way");
        allowance.hold(&asks(1, 1, 1), Fit::Whole, 0).unwrap();
        allowance.settle(&asks(8, 4, 4), &asks(6, 4, 4), 0);
        assert_eq!(used(&mut allowance), [(8, 2), (6, 1)]);
        // A request of the older configuration, and one of the newer.
        allowance.change(&[quota(Measure::Cost, 10, "1d"), quota(Measure::Tokens, 9, "1m")], None);
        assert_eq!(used(&mut allowance), [(6, 1), (8, 2)]);
        allowance.change(&[quota(Measure::Tokens, 20, "1h")], None);
        allowance.settle(&asks(1, 1, 1), &asks(1, 1, 0), 0);
        assert_eq!(used(&mut allowance), [(9, 0)]);
    }

    #[test]
    fn a_hold_grows_in_all_quotas_or_in_none_and_shrinks() {
        let mut allowance =
            Allowance::new(&[quota(Measure::Cost, 10, "1d"), quota(Measure::Tokens, 9, "1m")], Some(1));
        allowance.hold(&asks(4, 2, 2), Fit::Whole, 0).unwrap();
        assert!(allowance.rehold(&asks(4, 2, 2), &asks(5, 2, 8), Fit::Whole, 0).is_err());
        assert_eq!(used(&mut allowance), [(0, 4), (0, 4)]);
        allowance.rehold(&asks(4, 2, 2), &asks(5, 2, 7), Fit::Whole, 0).unwrap();
        assert_eq!(used(&mut allowance), [(0, 5), (0, 9)]);
        allowance.rehold(&asks(5, 2, 7), &asks(50, 2, 7), Fit::Alone, 0).unwrap();
        assert_eq!(used(&mut allowance), [(0, 50), (0, 9)], "it is alone still");
        allowance.put(&asks(50, 2, 7), &asks(4, 2, 2));
        assert_eq!((allowance.under_way(), used(&mut allowance)), (1, vec![(0, 4), (0, 4)]));
    }
}
