//! The middle: what all nodes have used of one allowance, and what is leased to whom.
//!
//! A node that is not heard of loses its lease when it ends. While one node lacks something, the others are leased no
//! more than they have, and asked for what they do not need. What is leased at once beyond the need is a share of what is left, so that the last of
//! it goes round in small pieces and little is lost with a node.
//!
//! The script that runs in Redis (`src/cluster/lease.lua`) does the same; a test there holds the two against each
//! other. Whoever changes one changes both.

use std::collections::BTreeMap;

use super::{Grant, Report, Span, Terms, sum};

/// One allowance in the middle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    epoch: u64,
    /// Used, by the number of the grain or the start of the period.
    used: BTreeMap<u64, u64>,
    /// Of all nodes, ever.
    total: u64,
    /// What nodes have told that they know.
    told: u64,
    nodes: BTreeMap<u64, Node>,
    /// Who lacks something, and until when that is believed.
    lacking: Option<(u64, u64)>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Node {
    lease: u64,
    until_ms: u64,
    /// Of its latest report.
    number: u64,
}

impl Pool {
    /// A node's reports are told apart as long after its lease has ended, in milliseconds.
    pub const REMEMBERED_MS: u64 = 600_000;
    /// That a node lacks something is believed as long, in milliseconds.
    pub const LACKING_MS: u64 = 1_000;

    /// One that knows nothing. `epoch` is not 0, and another one than that of each pool before it.
    #[must_use]
    pub fn new(epoch: u64) -> Self {
        Self { epoch, used: BTreeMap::new(), total: 0, told: 0, nodes: BTreeMap::new(), lacking: None }
    }

    /// A report of `node`, and what it is leased. `now_ms` is the pool's own clock.
    pub fn take(&mut self, node: u64, report: &Report, terms: &Terms, now_ms: u64) -> Grant {
        let strange = report.epoch != self.epoch;
        if strange && report.known.is_none() {
            return Grant {
                epoch: self.epoch,
                lease: 0,
                total: 0,
                nodes: 0,
                others_lack: false,
                known: None,
                tell: true,
            };
        }
        self.expire(terms.span, now_ms);
        if let (true, Some(known)) = (strange, &report.known) {
            self.hear(report.epoch, known, terms.span, now_ms);
        }
        let before = self.nodes.get(&node).copied().unwrap_or_default();
        let mut left = if now_ms < before.until_ms { before.lease } else { 0 };
        if report.number > before.number {
            left = left.saturating_sub(sum(&report.spent));
            self.count(&report.spent, terms.span, now_ms);
        }
        let lease = self.lease((node, left), report, terms.max, now_ms);
        let until_ms = now_ms.saturating_add(terms.lease_ms);
        self.nodes.insert(node, Node { lease, until_ms, number: report.number.max(before.number) });
        Grant {
            epoch: self.epoch,
            lease,
            total: self.total,
            nodes: self.leased(u64::MAX, now_ms).1,
            others_lack: self.others_lack(node, now_ms),
            known: strange.then(|| self.known(terms.span, now_ms)),
            tell: false,
        }
    }

    /// What counts now.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.used.values().fold(0, |sum, amount| sum.saturating_add(*amount))
    }

    /// What `node` is leased: what is left of its lease, or more, or less.
    fn lease(&mut self, (node, left): (u64, u64), report: &Report, max: u64, now_ms: u64) -> u64 {
        let must = report.need.saturating_add(report.short);
        let others_lack = self.others_lack(node, now_ms);
        let mut wish = must.saturating_add(report.spare);
        if others_lack {
            // What it keeps to meanwhile is not taken from it.
            wish = wish.min(left).max(must);
        }
        let (others, count) = self.leased(node, now_ms);
        let room = max.saturating_sub(self.used()).saturating_sub(others);
        let more = room.saturating_sub(left);
        let share = more / (2 * u64::from(count.saturating_add(1)));
        let step = share.max(must.saturating_sub(left)).min(more);
        let lease = wish.min(left.saturating_add(step)).min(room);
        match lease < must {
            true if !others_lack => self.lacking = Some((node, now_ms.saturating_add(Self::LACKING_MS))),
            false if self.lacking.is_some_and(|(who, _)| who == node) => self.lacking = None,
            _ => {}
        }
        lease
    }

    fn others_lack(&self, node: u64, now_ms: u64) -> bool {
        self.lacking.is_some_and(|(who, until_ms)| who != node && now_ms < until_ms)
    }

    /// What nodes beside `node` are leased, and how many they are.
    fn leased(&self, node: u64, now_ms: u64) -> (u64, u32) {
        let others = self.nodes.iter().filter(|(name, one)| **name != node && now_ms < one.until_ms);
        others.fold((0, 0), |(sum, count), (_, one)| (u64::saturating_add(sum, one.lease), count + 1))
    }

    fn count(&mut self, parts: &[(u64, u64)], span: Span, now_ms: u64) {
        for (age, amount) in parts {
            let place = match span {
                Span::Rolling { grain_ms, .. } => now_ms.saturating_sub(*age) / grain_ms.max(1),
                Span::Calendar { start_ms, .. } => {
                    self.used.keys().next_back().map_or(start_ms, |last| start_ms.max(*last))
                }
            };
            let used = self.used.entry(place).or_default();
            *used = used.saturating_add(*amount);
            self.total = self.total.saturating_add(*amount);
        }
    }

    /// A node knows of a use that this pool may not know: the first one's word is taken as it is, and of those that
    /// knew the pool before it the largest sum.
    fn hear(&mut self, epoch: u64, known: &[(u64, u64)], span: Span, now_ms: u64) {
        let fresh = self.nodes.is_empty() && self.used.is_empty();
        let more = sum(known).saturating_sub(self.told);
        if fresh {
            self.count(known, span, now_ms);
        } else if epoch != 0 && more > 0 {
            self.count(&[(0, more)], span, now_ms);
        } else {
            return;
        }
        self.told = self.told.saturating_add(more);
    }

    fn known(&self, span: Span, now_ms: u64) -> Vec<(u64, u64)> {
        let age = |place: u64| match span {
            Span::Rolling { grain_ms, .. } => {
                now_ms.saturating_sub(place.saturating_add(1).saturating_mul(grain_ms))
            }
            Span::Calendar { .. } => 0,
        };
        self.used.iter().map(|(place, amount)| (age(*place), *amount)).collect()
    }

    fn expire(&mut self, span: Span, now_ms: u64) {
        match span {
            Span::Rolling { length_ms, grain_ms } => self.used.retain(|place, _| {
                place.saturating_add(1).saturating_mul(grain_ms).saturating_add(length_ms) > now_ms
            }),
            Span::Calendar { start_ms, .. } => self.used.retain(|place, _| *place >= start_ms),
        }
        self.nodes.retain(|_, node| node.until_ms.saturating_add(Self::REMEMBERED_MS) > now_ms);
    }
}
