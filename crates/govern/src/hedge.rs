//! When a second attempt starts beside the first, and how much may be spent on those that lose.
//!
//! [`Times`] knows how long first tokens take lately; who waits longer than nearly all did is worth a second attempt.
//! [`Budget`] holds the spend on losers below a share of all spend. Both forget: what happened hours ago must neither
//! say what is slow now, nor pay for a burst of second attempts. Nothing is started or stopped here.
//!
//! Times are milliseconds of any one clock that does not run backwards; latencies are microseconds.

/// Buckets of twice the time, each in eight steps: an error of 9 % at most.
const STEPS: u32 = 8;
/// The shortest time that is told apart: 2^9 us. Whatever is shorter counts as that.
const FIRST_OCTAVE: u32 = 9;
/// Up to 2^30 us, eighteen minutes.
const OCTAVES: u32 = 21;
const BUCKETS: usize = (OCTAVES * STEPS) as usize;
/// What one call counts, so that halving it a few times still counts.
const ONE: u32 = 64;
/// Fewer calls than this say nothing about the slow ones among them.
const LEAST_CALLS: u64 = 20;
/// After this time a call counts half.
const HALF_LIFE_MS: u64 = 5 * 60_000;

/// How long recent calls took to their first token (or to their end, where they have no other): a histogram that
/// forgets.
#[derive(Debug, Clone)]
pub struct Times {
    counts: Box<[u32; BUCKETS]>,
    total: u64,
    halved_ms: u64,
}

impl Times {
    /// Nothing is known. `now_ms` is where forgetting begins.
    #[must_use]
    pub fn new(now_ms: u64) -> Self {
        Self { counts: Box::new([0; BUCKETS]), total: 0, halved_ms: now_ms }
    }

    /// A call took this long. One that was given up counts with the time it had, or the slow ones would vanish from
    /// what is known, and ever quicker calls would be called slow.
    pub fn add(&mut self, latency_us: u64, now_ms: u64) {
        self.forget(now_ms);
        if let Some(count) = self.counts.get_mut(bucket(latency_us)) {
            *count = count.saturating_add(ONE);
            self.total = self.total.saturating_add(u64::from(ONE));
        }
    }

    /// The time that `permille` of the recent calls stayed within, in microseconds; `None` when there were too few.
    pub fn within(&mut self, permille: u32, now_ms: u64) -> Option<u64> {
        self.forget(now_ms);
        if self.total < LEAST_CALLS * u64::from(ONE) {
            return None;
        }
        let wanted = self.total.saturating_mul(u64::from(permille)).div_ceil(1_000);
        let mut seen = 0_u64;
        let at = self.counts.iter().position(|&count| {
            seen = seen.saturating_add(u64::from(count));
            seen >= wanted
        })?;
        Some(upper_edge(at))
    }

    fn forget(&mut self, now_ms: u64) {
        let halvings = now_ms.saturating_sub(self.halved_ms) / HALF_LIFE_MS;
        if halvings == 0 {
            return;
        }
        self.halved_ms = self.halved_ms.saturating_add(halvings.saturating_mul(HALF_LIFE_MS));
        let by = u32::try_from(halvings).unwrap_or(u32::MAX);
        self.counts.iter_mut().for_each(|count| *count = count.checked_shr(by).unwrap_or(0));
        self.total = self.counts.iter().map(|&count| u64::from(count)).sum();
    }
}

fn bucket(latency_us: u64) -> usize {
    let octave = latency_us.max(1 << FIRST_OCTAVE).ilog2();
    let step = (latency_us.max(1 << FIRST_OCTAVE) >> (octave - STEPS.ilog2())) % u64::from(STEPS);
    let at = u64::from((octave - FIRST_OCTAVE) * STEPS) + step;
    usize::try_from(at).unwrap_or(usize::MAX).min(BUCKETS - 1)
}

/// Microseconds.
fn upper_edge(bucket: usize) -> u64 {
    let bucket = u64::try_from(bucket).unwrap_or(u64::MAX);
    let (octave, step) = (bucket / u64::from(STEPS), bucket % u64::from(STEPS));
    let base = 1_u64 << (u64::from(FIRST_OCTAVE) + octave).min(62);
    base + base / u64::from(STEPS) * (step + 1)
}

/// An amount that was spent: money where the price is known, else tokens. The two are counted apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spend {
    NanoDollars(u64),
    Tokens(u64),
}

/// The spend on attempts that lost, held below a share of all spend.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Budget {
    money: Account,
    tokens: Account,
    halved_ms: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Account {
    all: u64,
    lost: u64,
    /// Expected of second attempts that are under way.
    pending: u64,
}

/// After this time what was spent counts half.
const FORGETS_MS: u64 = 10 * 60_000;

impl Budget {
    /// An answer cost this.
    pub fn spent(&mut self, spend: Spend, now_ms: u64) {
        self.forget(now_ms);
        let (account, amount) = self.account(spend);
        account.all = account.all.saturating_add(amount);
    }

    /// Whether a second attempt may start while losers may take `permille` of all spend. If so, `expected` is set
    /// aside until [`Self::end`]. No more than one attempt's spend goes over the limit.
    pub fn begin(&mut self, expected: Spend, permille: u32, now_ms: u64) -> bool {
        self.forget(now_ms);
        let (account, amount) = self.account(expected);
        let taken = u128::from(account.lost.saturating_add(account.pending)) * 1_000;
        let allowed = permille > 0 && taken <= u128::from(account.all) * u128::from(permille);
        if allowed {
            account.pending = account.pending.saturating_add(amount);
        }
        allowed
    }

    /// The race is over for which `expected` was set aside. `lost`: what the loser cost, if it cost anything.
    pub fn end(&mut self, expected: Spend, lost: Option<Spend>, now_ms: u64) {
        self.forget(now_ms);
        let (account, amount) = self.account(expected);
        account.pending = account.pending.saturating_sub(amount);
        if let Some(lost) = lost {
            let (account, amount) = self.account(lost);
            account.all = account.all.saturating_add(amount);
            account.lost = account.lost.saturating_add(amount);
        }
    }

    fn account(&mut self, spend: Spend) -> (&mut Account, u64) {
        match spend {
            Spend::NanoDollars(amount) => (&mut self.money, amount),
            Spend::Tokens(amount) => (&mut self.tokens, amount),
        }
    }

    fn forget(&mut self, now_ms: u64) {
        let halvings = now_ms.saturating_sub(self.halved_ms) / FORGETS_MS;
        if halvings == 0 {
            return;
        }
        self.halved_ms = self.halved_ms.saturating_add(halvings.saturating_mul(FORGETS_MS));
        let by = u32::try_from(halvings).unwrap_or(u32::MAX);
        for account in [&mut self.money, &mut self.tokens] {
            account.all = account.all.checked_shr(by).unwrap_or(0);
            account.lost = account.lost.checked_shr(by).unwrap_or(0);
        }
    }
}

#[cfg(test)]
mod tests;
