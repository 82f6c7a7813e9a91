//! The pick among targets: by weight, or by what is known of them.
//!
//! Weights are shares of the traffic, kept exactly: 2:1:1 is 50/25/25 over the random numbers, without
//! memory of earlier picks, so threads need no shared counter. Eligibility (cool-downs, model lists) is
//! decided by the caller; this file must not know why a candidate is out.
//!
//! Strategies look at an [`Outlook`] of each target, taken at the moment of the choice. All ease a target off whose
//! rate limit is near, and choose an exhausted one only when all are. `adaptive` keeps
//! the configured weights as long as all targets do equally well, and eases off those that fail, are slow, are
//! busy, or near a rate limit; none but an exhausted one goes without any traffic, or it could never show that it
//! is well again.

use crate::headroom::FULL;

/// One provider key as the pick sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Share of the traffic, relative to the other eligible candidates. Zero: only used when every
    /// eligible candidate has zero.
    pub weight: u64,
    /// False while the key cools down, lacks the model, or was tried already.
    pub eligible: bool,
}

/// The index of the picked candidate, `None` when none is eligible.
///
/// `random` must be uniform over `u64`. The modulo favours low residues by less than one part in
/// 2^64 / (sum of weights), far below what any count of requests can show.
#[must_use]
pub fn pick(candidates: &[Candidate], random: u64) -> Option<usize> {
    pick_from(candidates.iter().copied(), random)
}

/// As [`pick`], over candidates computed on the fly; the iterator is walked twice and nothing is
/// allocated.
#[must_use]
pub fn pick_from<I>(candidates: I, random: u64) -> Option<usize>
where
    I: Iterator<Item = Candidate> + Clone,
{
    let (mut eligible, mut total) = (0_u64, 0_u64);
    for candidate in candidates.clone().filter(|candidate| candidate.eligible) {
        eligible = eligible.saturating_add(1);
        total = total.saturating_add(candidate.weight);
    }
    let uniform = total == 0;
    let sum = if uniform { eligible } else { total };
    let mut ticket = random.checked_rem(sum)?;
    for (index, candidate) in candidates.enumerate().filter(|(_, candidate)| candidate.eligible) {
        let share = if uniform { 1 } else { candidate.weight };
        if ticket < share {
            return Some(index);
        }
        ticket = ticket.saturating_sub(share);
    }
    None
}

/// How targets are chosen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// By the configured weights; a target near a rate limit is eased off.
    #[default]
    Weighted,
    /// By weights, times what each target's recent calls, load and rate limits speak for it.
    Adaptive,
    /// The one that answers first; one call in twenty goes by weight, to learn of the others.
    LeastLatency,
    /// The one with the fewest calls under way for its weight.
    LeastInflight,
    /// The cheapest one; by weight among equals. One whose price is not known comes last.
    Cost,
}

impl Strategy {
    /// Its word in the configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Weighted => "weighted",
            Self::Adaptive => "adaptive",
            Self::LeastLatency => "least_latency",
            Self::LeastInflight => "least_inflight",
            Self::Cost => "cost",
        }
    }
}

/// What is known of a target at the moment of the choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outlook {
    pub candidate: Candidate,
    /// Microseconds, of calls like this one; `None` when nothing recent is known.
    pub latency_us: Option<u64>,
    /// Recent calls that failed, per thousand.
    pub faults: u32,
    pub in_flight: u32,
    /// What is left of its rate limits, per thousand ([`crate::headroom`]).
    pub headroom: u32,
    /// What a common request costs ([`crate::price::common`]); `None` when that is not known.
    pub price: Option<u64>,
}

impl Outlook {
    /// An eligible target of this weight of which nothing else is known.
    #[must_use]
    pub fn of(weight: u32) -> Self {
        Self {
            candidate: Candidate { weight: weight.into(), eligible: true },
            latency_us: None,
            faults: 0,
            in_flight: 0,
            headroom: FULL,
            price: None,
        }
    }
}

/// The index of the chosen target, `None` when none is eligible. `random` as for [`pick`].
///
/// The iterator is walked a few times;
/// nothing is allocated.
#[must_use]
pub fn choose<I>(strategy: Strategy, outlooks: I, random: u64) -> Option<usize>
where
    I: Iterator<Item = Outlook> + Clone,
{
    let explores = strategy == Strategy::LeastLatency && (random >> 32).is_multiple_of(EXPLORES);
    pick_from(candidates(strategy, outlooks, explores), random)
}

/// The part of the choices that falls on each target now, 0 to 1, in their order: what [`choose`] does, seen from above.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "shares are for people")]
pub fn shares<I>(strategy: Strategy, outlooks: I) -> Vec<f64>
where
    I: Iterator<Item = Outlook> + Clone,
{
    let mut shares: Vec<f64> = outlooks.clone().map(|_| 0.0).collect();
    let mut add = |explores: bool, part: f64| {
        let candidates = candidates(strategy, outlooks.clone(), explores);
        let eligible = |candidate: &Candidate| candidate.eligible;
        let sum: u64 = candidates.clone().filter(eligible).map(|candidate| candidate.weight).sum();
        let count = candidates.clone().filter(eligible).count();
        for (share, candidate) in shares.iter_mut().zip(candidates).filter(|(_, found)| found.eligible) {
            *share += match sum {
                0 => part / count as f64,
                sum => part * candidate.weight as f64 / sum as f64,
            };
        }
    };
    let explored = if strategy == Strategy::LeastLatency { 1.0 / EXPLORES as f64 } else { 0.0 };
    add(false, 1.0 - explored);
    if explored > 0.0 {
        add(true, explored);
    }
    shares
}

/// The targets with the weights that the strategy gives them now.
fn candidates<I>(strategy: Strategy, outlooks: I, explores: bool) -> impl Iterator<Item = Candidate> + Clone
where
    I: Iterator<Item = Outlook> + Clone,
{
    let exhausted = outlooks.clone().all(|outlook| !outlook.candidate.eligible || outlook.headroom == 0);
    let open = move |outlook: &Outlook| outlook.candidate.eligible && (outlook.headroom > 0 || exhausted);
    let score = move |outlook: &Outlook| match strategy {
        // One of which nothing is known is tried, by one call at a time.
        Strategy::LeastLatency if outlook.latency_us.is_none() && outlook.in_flight == 0 => 0,
        Strategy::LeastLatency => strained(outlook, outlook.latency_us.unwrap_or(u64::MAX).max(1)),
        Strategy::LeastInflight => {
            let busy = u64::from(outlook.in_flight).saturating_add(1).saturating_mul(1_000_000);
            strained(outlook, busy / outlook.candidate.weight.max(1))
        }
        Strategy::Cost => strained(outlook, outlook.price.unwrap_or(u64::MAX).max(1)),
        Strategy::Weighted | Strategy::Adaptive => 0,
    };
    let best = outlooks.clone().filter(open).map(|outlook| score(&outlook)).min();
    let field = Field::of(outlooks.clone().filter(open));
    outlooks.map(move |outlook| Candidate {
        eligible: open(&outlook) && (explores || Some(score(&outlook)) == best),
        weight: match strategy {
            Strategy::Adaptive => field.effective(&outlook),
            _ => eased(&outlook, STEPS),
        },
    })
}

/// The index of the target that a session belongs to, `None` when none is eligible.
///
/// Weighted rendezvous hashing: a session stays with its target as long as that is eligible, whatever becomes of the
/// others; when it is not, its sessions are shared among the others by weight, and come back with it. Nothing is
/// kept, so all nodes agree. `identity` tells targets apart and must outlast restarts. Exhausted targets are chosen
/// only when all are.
#[must_use]
pub fn affine<I>(outlooks: I, session: u64) -> Option<usize>
where
    I: Iterator<Item = (Outlook, u64)> + Clone,
{
    let exhausted = outlooks.clone().all(|(outlook, _)| !outlook.candidate.eligible || outlook.headroom == 0);
    let open = |outlook: &Outlook| outlook.candidate.eligible && (outlook.headroom > 0 || exhausted);
    nearest(outlooks, session, open)
}

/// The index of the target where requests like this one (their prompts begin alike) went before, so that its prompt
/// cache keeps hitting; `None` when none is at ease, and the strategy decides.
///
/// As [`affine`], but of a habit less is made than of a session: a target near a rate limit is passed over, and so is
/// one with many more calls under way than its share. With one prompt for all callers, all targets come to
/// have it cached.
#[must_use]
pub fn alike<I>(outlooks: I, prefix: u64) -> Option<usize>
where
    I: Iterator<Item = (Outlook, u64)> + Clone,
{
    let crowd = Crowd::of(outlooks.clone().map(|(outlook, _)| outlook));
    let open = |outlook: &Outlook| {
        outlook.candidate.eligible && u64::from(outlook.headroom) >= EASED && crowd.has_room(outlook)
    };
    nearest(outlooks, prefix, open)
}

/// How many calls are under way at all eligible targets together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crowd {
    calls: u64,
    weight: u64,
}

impl Crowd {
    #[must_use]
    pub fn of(outlooks: impl Iterator<Item = Outlook>) -> Self {
        let eligible = outlooks.filter(|outlook| outlook.candidate.eligible);
        eligible.fold(Self { calls: 0, weight: 0 }, |sum, outlook| Self {
            calls: sum.calls.saturating_add(outlook.in_flight.into()),
            weight: sum.weight.saturating_add(outlook.candidate.weight),
        })
    }

    /// One more call is not too many for this one: at most half as many again as its weight's share of all, and
    /// few calls are never a crowd.
    #[must_use]
    pub fn has_room(&self, outlook: &Outlook) -> bool {
        let own = u64::from(outlook.in_flight).saturating_add(1);
        let shares = self.calls.saturating_add(1).saturating_mul(outlook.candidate.weight);
        own <= CROWD || own.saturating_mul(self.weight).saturating_mul(2) <= shares.saturating_mul(3)
    }
}

/// Weighted rendezvous hashing among the targets that are open.
fn nearest<I>(outlooks: I, key: u64, open: impl Fn(&Outlook) -> bool) -> Option<usize>
where
    I: Iterator<Item = (Outlook, u64)>,
{
    let ranked =
        outlooks.enumerate().filter(|(_, (outlook, _))| open(outlook)).map(|(index, (outlook, identity))| {
            // A number in (0, 1) that is the target's own for this key.
            let own = ((mix(key ^ identity) >> 12) as f64 + 0.5) / (1_u64 << 52) as f64;
            (index, -own.ln() / outlook.candidate.weight.max(1) as f64)
        });
    ranked.min_by(|one, other| one.1.total_cmp(&other.1)).map(|(index, _)| index)
}

/// The finaliser of splitmix64.
fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// Of so many choices by latency one goes by weight.
const EXPLORES: u64 = 20;
/// Weights are eased in steps of this.
const STEPS: u64 = 1_000;
/// Below this headroom a target is eased off, in proportion.
const EASED: u64 = 300;
/// However badly it does, it keeps this part of its weight, per thousand.
const LEAST: u64 = 20;
/// Calls under way that make no difference: small numbers are chance.
const CROWD: u64 = 8;

/// What a target is compared with.
#[derive(Clone, Copy)]
struct Field {
    fastest: Option<u64>,
    /// Calls under way at the least busy one.
    idlest: u64,
    mean_weight: u64,
}

impl Field {
    fn of(outlooks: impl Iterator<Item = Outlook> + Clone) -> Self {
        let (count, sum) = outlooks.clone().fold((0_u64, 0_u64), |(count, sum), outlook| {
            (count + 1, sum.saturating_add(outlook.candidate.weight))
        });
        let fastest = outlooks.clone().filter_map(|outlook| outlook.latency_us).min();
        let field = Self { fastest, idlest: 0, mean_weight: (sum / count.max(1)).max(1) };
        Self { idlest: outlooks.map(|outlook| field.crowd(&outlook)).min().unwrap_or(0), ..field }
    }

    /// Calls under way as they would be with the mean weight.
    fn crowd(&self, outlook: &Outlook) -> u64 {
        u64::from(outlook.in_flight).saturating_mul(self.mean_weight) / outlook.candidate.weight.max(1)
    }

    /// The configured weight as the target deserves it now, in thousandths of it.
    fn effective(&self, outlook: &Outlook) -> u64 {
        let well = STEPS.saturating_sub(u64::from(outlook.faults));
        let speed = match (outlook.latency_us, self.fastest) {
            // Half as slow again is within the usual spread.
            (Some(own), Some(best)) => (best.saturating_mul(STEPS * 3 / 2) / own.max(1)).min(STEPS),
            _ => STEPS,
        };
        let calm = (CROWD + self.idlest) * STEPS / (CROWD + self.crowd(outlook));
        // Faults and slowness weigh twice: half as good is worth a quarter of the traffic.
        let deserved = [well, well, speed, speed, calm]
            .into_iter()
            .fold(STEPS, |share, factor| share * factor.min(STEPS) / STEPS)
            .max(LEAST);
        eased(outlook, deserved)
    }
}

/// A share of the weight in thousandths, less where a rate limit is near.
fn eased(outlook: &Outlook, share: u64) -> u64 {
    let room = (u64::from(outlook.headroom) * STEPS / EASED).min(STEPS);
    outlook.candidate.weight.saturating_mul((share * room / STEPS).max(1))
}

/// A score of which less is better, more where a rate limit is near.
fn strained(outlook: &Outlook, score: u64) -> u128 {
    u128::from(score) * u128::from(EASED) / u128::from(u64::from(outlook.headroom).clamp(1, EASED))
}

#[cfg(test)]
mod tests;
