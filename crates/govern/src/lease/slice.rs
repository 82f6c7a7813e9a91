//! A node's part of a shared allowance: what it may still spend, and what it has to tell.
//!
//! What is spent is told behind, with a number, until it is answered: the pool counts it once. More is asked for
//! before the lease is used up, as much as was drawn of late; a node that is idle gives all of it back.
//!
//! When the pool is gone ([`Slice::lost`]) the node goes on within its lease, and then as [`OnLoss`] says.

use super::{Grant, Report, Terms, sum};
use crate::sliding::Sliding;

/// What becomes of requests when the pool is gone and the lease is used up or over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnLoss {
    /// The node goes on with what it knows, and expects that each other node spends as much as it does itself.
    #[default]
    Local,
    /// Refused.
    Deny,
}

/// Whether the lease covers an amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    Covered,
    /// Not yet: more was put on the next report.
    Wait,
    /// The pool has just said that there is no more.
    Dry,
    /// There is no pool: the amount may be had if, with all that this node spent and holds, it fits in what is known to be
    /// left for each of so many nodes.
    Alone {
        nodes: u32,
        unknown: u64,
    },
    /// There is no pool, and the node shall not go on without.
    Denied,
}

/// A node's side of one shared allowance.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Slice {
    on_loss: OnLoss,
    epoch: u64,
    /// What the pool has counted in all, as far as this node knows.
    total: u64,
    lease: u64,
    /// On the node's own clock.
    until_ms: u64,
    nodes: u32,
    /// Spent, not told.
    spent: Sliding,
    sent: Option<Sent>,
    number: u64,
    short: u64,
    /// Held and spent since the latest report, and when that was.
    drawn: u64,
    reported_ms: u64,
    spare: u64,
    /// What was free when the lease was given.
    free_then: u64,
    dry_until_ms: u64,
    /// Other nodes lack something: the next report keeps nothing in spare.
    yields: bool,
    lost: bool,
    tell: bool,
}

/// What was told and not answered.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Sent {
    parts: Vec<(u64, u64)>,
    at_ms: u64,
    short: u64,
    /// Of the lease, what it said that it would keep.
    keeps: u64,
    /// It is on its way.
    away: bool,
}

impl Slice {
    /// Spent is told after this time at the latest, in milliseconds.
    const TOLD_AFTER_MS: u64 = 500;
    /// What was drawn in this time is leased ahead, in milliseconds.
    const AHEAD_MS: u64 = 1_000;
    /// After the pool has said that there is no more it is asked again after this time, in milliseconds.
    const DRY_MS: u64 = 100;
    /// The shortest time over which a pace is reckoned, in milliseconds.
    const SHORTEST_MS: u64 = 100;

    /// Nothing is leased yet.
    #[must_use]
    pub fn new(on_loss: OnLoss) -> Self {
        Self { on_loss, ..Self::default() }
    }

    /// Whether `amount` can be held beside the `held`. What is covered counts as drawn.
    pub fn ask(&mut self, amount: u64, held: u64, now_ms: u64) -> Ask {
        let least = amount.max(1);
        if now_ms < self.until_ms && self.taken(held).saturating_add(least) <= self.limit() {
            self.drawn = self.drawn.saturating_add(amount);
            return Ask::Covered;
        }
        if self.lost {
            return match self.on_loss {
                OnLoss::Local => Ask::Alone { nodes: self.nodes.max(1), unknown: self.untold() },
                OnLoss::Deny => Ask::Denied,
            };
        }
        if now_ms < self.dry_until_ms {
            return Ask::Dry;
        }
        self.short = self.short.saturating_add(least);
        Ask::Wait
    }

    /// So much was spent, of which `held` had been held.
    pub fn spent(&mut self, used: u64, held: u64, now_ms: u64, length_ms: u64) {
        self.spent.add(used, now_ms, length_ms);
        self.drawn = self.drawn.saturating_add(used.saturating_sub(held));
    }

    /// What was spent at `at_ms` was not after all. What the pool was told of it stays counted there: too much, not too
    /// little.
    pub fn unspent(&mut self, amount: u64, at_ms: u64) {
        self.spent.remove(amount, at_ms);
    }

    /// A report should go: something is short or about to be, was not told for long, or the lease is about to end.
    #[must_use]
    pub fn is_due(&self, held: u64, terms: &Terms, now_ms: u64) -> bool {
        if self.is_away() {
            return false;
        }
        let since = now_ms.saturating_sub(self.reported_ms);
        let untold = self.untold() > 0 || (self.free_then > 0 && self.drawn == 0);
        let ends = !self.lost
            && self.is_live(held)
            && now_ms.saturating_add(terms.lease_ms / 3 * 2) >= self.until_ms;
        let in_a_while = since >= Self::TOLD_AFTER_MS;
        let yields = self.yields && self.free(held) > 0 && since >= Self::DRY_MS / 4;
        // Nobody else finds out that the pool is back.
        let later = in_a_while && (untold || self.lost);
        self.short > 0 || self.is_low(held) || self.tell || ends || yields || later
    }

    /// Most of what was free when the lease was given is used.
    #[must_use]
    pub fn is_low(&self, held: u64) -> bool {
        !self.is_away() && self.drawn > 0 && self.free(held) < self.free_then / 2
    }

    /// There is something to tell or to give back, now or later.
    #[must_use]
    pub fn is_live(&self, held: u64) -> bool {
        held > 0 || self.lease > 0 || self.short > 0 || self.untold() > 0 || self.tell || self.lost
    }

    /// A report is on its way.
    #[must_use]
    pub fn is_away(&self) -> bool {
        self.sent.as_ref().is_some_and(|sent| sent.away)
    }

    /// No pool has answered yet.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.epoch == 0
    }

    /// The next report says what all have used.
    #[must_use]
    pub fn tells(&self) -> bool {
        self.epoch == 0 || self.tell
    }

    /// What to tell the pool now. `known`: what this node knows that all have used, moments and amounts, its own
    /// included, where it [`Self::tells`].
    pub fn report(
        &mut self,
        held: u64,
        terms: &Terms,
        known: Option<Vec<(u64, u64)>>,
        now_ms: u64,
    ) -> Report {
        self.pace(now_ms);
        let spare = if std::mem::take(&mut self.yields) { 0 } else { self.spare };
        let short = std::mem::take(&mut self.short);
        let sent = match self.sent.take() {
            // It may have come: only the same may be said again.
            Some(sent) => sent,
            None => {
                self.number = self.number.saturating_add(1);
                let parts = std::mem::take(&mut self.spent).parts().collect();
                Sent { parts, at_ms: now_ms, short: 0, keeps: u64::MAX, away: true }
            }
        };
        let known = known.map(|known| self.others(known, &sent.parts));
        let need = held.saturating_add(self.spent_now());
        let report = Report {
            number: self.number,
            spent: terms.span.ages(sent.parts.iter().copied(), now_ms),
            need,
            short,
            spare,
            epoch: self.epoch,
            known: known.map(|parts| terms.span.ages(parts.into_iter(), now_ms)),
        };
        let keeps = sum(&sent.parts).saturating_add(need).saturating_add(spare);
        let keeps = keeps.min(sent.keeps);
        self.sent = Some(Sent { at_ms: now_ms, short, keeps, away: true, ..sent });
        report
    }

    /// The pool has answered. Returns what others have used that this node did not know, and, where the pool sent it, all that was
    /// used, moments and amounts, with what this node has not told yet: instead of what it knew.
    pub fn granted(
        &mut self,
        grant: &Grant,
        held: u64,
        terms: &Terms,
        now_ms: u64,
    ) -> (u64, Option<Vec<(u64, u64)>>) {
        self.lost = false;
        let Some(mut sent) = self.sent.take() else { return (0, None) };
        if grant.tell {
            sent.away = false;
            self.short = self.short.saturating_add(sent.short);
            (self.sent, self.tell, self.lease) = (Some(sent), true, 0);
            return (0, None);
        }
        let same = self.epoch == grant.epoch;
        let others = grant.total.saturating_sub(self.total).saturating_sub(sum(&sent.parts));
        (self.epoch, self.total, self.tell) = (grant.epoch, grant.total, false);
        (self.lease, self.nodes, self.yields) = (grant.lease, grant.nodes, grant.others_lack);
        // From when it was asked, not from when it was answered: the pool counts from later on.
        self.until_ms = sent.at_ms.saturating_add(terms.lease_ms);
        self.free_then = self.free(held);
        if sent.short > 0 && self.free_then < sent.short {
            self.dry_until_ms = now_ms.saturating_add(Self::DRY_MS);
        }
        let all = grant.known.as_ref().map(|known| {
            let told = known.iter().map(|(age, amount)| (now_ms.saturating_sub(*age), *amount));
            told.chain(self.spent.parts()).collect()
        });
        (if same { others } else { 0 }, all)
    }

    /// The pool did not answer: until it does again, the node decides. `nodes` are in the cluster.
    pub fn lost(&mut self, nodes: u32) {
        (self.lost, self.nodes) = (true, self.nodes.max(nodes));
        self.short = 0;
        if let Some(sent) = &mut self.sent {
            sent.away = false;
        }
    }

    /// The pool did not answer.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.lost
    }

    /// What the node may still hold, while its lease lasts.
    #[must_use]
    pub fn free(&self, held: u64) -> u64 {
        self.lease.saturating_sub(self.taken(held))
    }

    /// What is leased, whether it is used or not.
    #[must_use]
    pub fn lease(&self) -> u64 {
        self.lease
    }

    /// Nodes that spend from the pool, as far as this one knows.
    #[must_use]
    pub fn nodes(&self) -> u32 {
        self.nodes
    }

    /// Of the lease.
    fn taken(&self, held: u64) -> u64 {
        held.saturating_add(self.untold())
    }

    /// What may be held and spent of the lease. While a report is not answered, only what it said would be kept: the
    /// pool may have given the rest to others.
    fn limit(&self) -> u64 {
        self.sent.as_ref().map_or(self.lease, |sent| sent.keeps.min(self.lease))
    }

    /// Spent, and not known to be counted by the pool.
    fn untold(&self) -> u64 {
        let sent = self.sent.as_ref().map_or(0, |sent| sum(&sent.parts));
        self.spent_now().saturating_add(sent)
    }

    fn spent_now(&self) -> u64 {
        self.spent.parts().fold(0, |sum, (_, amount)| sum.saturating_add(amount))
    }

    /// What is leased ahead follows what was drawn: at once up, slowly down.
    fn pace(&mut self, now_ms: u64) {
        let since = now_ms.saturating_sub(self.reported_ms).max(Self::SHORTEST_MS);
        let pace = u128::from(self.drawn.saturating_add(self.short)) * u128::from(Self::AHEAD_MS)
            / u128::from(since);
        let rest = if pace == 0 { self.spare / 8 } else { self.spare / 2 };
        self.spare = u64::try_from(pace).unwrap_or(u64::MAX).max(rest);
        (self.drawn, self.reported_ms) = (0, now_ms);
    }

    /// `known` without what the pool hears as spent, and without what is not told yet.
    fn others(&self, known: Vec<(u64, u64)>, sent: &[(u64, u64)]) -> Vec<(u64, u64)> {
        let mut own = sum(sent).saturating_add(self.spent_now());
        let mut left: Vec<(u64, u64)> = known
            .into_iter()
            .rev()
            .filter_map(|(at, amount)| {
                let taken = own.min(amount);
                own -= taken;
                (amount > taken).then_some((at, amount - taken))
            })
            .collect();
        left.reverse();
        left
    }
}
