//! Who stands where: a line per tenant in each class, and whose turn it is.
//!
//! Knows nothing of places and times: whether somebody can start is asked for each.

use std::collections::VecDeque;

use super::Class;

/// How many classes there are.
pub(super) const CLASSES: usize = 3;
/// What one start costs a class of weight 1. Divided by each weight it is whole.
const STRIDE: u64 = 8;
/// A class whose requests could not start (their targets were full) has no more than this to catch up on.
const MOST_BEHIND: u64 = STRIDE;

/// A request that waits.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) number: u64,
    pub(super) targets: Vec<u64>,
    pub(super) until_ms: u64,
}

/// Everybody who waits.
#[derive(Debug, Default)]
pub(super) struct Lines {
    classes: [ClassLines; CLASSES],
    /// The account of the class that was served last: who comes newly starts there, without credit.
    clock: u64,
    len: u32,
    /// Those of them that no target's limit concerns.
    easy: u32,
}

#[derive(Debug, Default)]
struct ClassLines {
    /// What it has had: the class that had least is next.
    account: u64,
    /// Tenants that have somebody waiting; those who were served last stand last.
    tenants: Vec<Line>,
}

#[derive(Debug)]
struct Line {
    tenant: u64,
    entries: VecDeque<Entry>,
}

impl Lines {
    pub(super) fn len(&self) -> u32 {
        self.len
    }

    /// Somebody waits whom no target's limit concerns.
    pub(super) fn has_easy(&self) -> bool {
        self.easy > 0
    }

    pub(super) fn push(&mut self, class: Class, tenant: u64, entry: Entry) {
        let clock = self.clock;
        let Some(lines) = self.classes.get_mut(class.index()) else { return };
        self.easy = self.easy.saturating_add(u32::from(entry.targets.is_empty()));
        if lines.tenants.is_empty() {
            lines.account = lines.account.max(clock);
        }
        match lines.tenants.iter_mut().find(|line| line.tenant == tenant) {
            Some(line) => line.entries.push_back(entry),
            None => lines.tenants.push(Line { tenant, entries: VecDeque::from([entry]) }),
        }
        self.len = self.len.saturating_add(1);
    }

    /// Takes out a certain request.
    pub(super) fn remove(&mut self, class: Class, tenant: u64, number: u64) -> Option<Entry> {
        let lines = self.classes.get_mut(class.index())?;
        let at = lines.tenants.iter().position(|line| line.tenant == tenant)?;
        let line = lines.tenants.get_mut(at)?;
        let place = line.entries.iter().position(|entry| entry.number == number)?;
        let entry = line.entries.remove(place)?;
        if line.entries.is_empty() {
            lines.tenants.remove(at);
        }
        self.left(&entry);
        Some(entry)
    }

    /// Takes out the one whose turn it is among those for whom `can` holds; `open` counts what a tenant has already.
    pub(super) fn take(
        &mut self,
        open: impl Fn(u64) -> u32,
        can: impl Fn(&Entry) -> bool,
    ) -> Option<(u64, Entry)> {
        let mut order = Class::ALL;
        order.sort_by_key(|class| self.classes.get(class.index()).map(|lines| lines.account));
        for class in order {
            let Some(lines) = self.classes.get_mut(class.index()) else { continue };
            let Some((tenant, entry)) = lines.take(&open, &can) else { continue };
            self.clock = lines.account;
            lines.account = lines.account.saturating_add(STRIDE / class.weight());
            self.left(&entry);
            let least = self.clock.saturating_sub(MOST_BEHIND);
            self.classes.iter_mut().for_each(|lines| lines.account = lines.account.max(least));
            return Some((tenant, entry));
        }
        None
    }

    fn left(&mut self, entry: &Entry) {
        self.len = self.len.saturating_sub(1);
        self.easy = self.easy.saturating_sub(u32::from(entry.targets.is_empty()));
    }

    /// How many would start before somebody who joins now.
    pub(super) fn ahead(&self, class: Class, tenant: u64) -> u64 {
        let Some(own) = self.classes.get(class.index()) else { return 0 };
        let length = |line: &Line| u64::try_from(line.entries.len()).unwrap_or(u64::MAX);
        let before = own.tenants.iter().find(|line| line.tenant == tenant).map_or(0, length);
        let others = own.tenants.iter().filter(|line| line.tenant != tenant);
        // Each of the others has its turn before each of ours.
        let in_class = before + others.map(|line| length(line).min(before + 1)).sum::<u64>();
        let rest = Class::ALL.into_iter().filter(|other| *other != class).map(|other| {
            let waiting = self.classes.get(other.index()).map_or(0, |lines| lines.len());
            waiting.min(((in_class + 1) * other.weight()).div_ceil(class.weight()))
        });
        in_class + rest.sum::<u64>()
    }
}

impl ClassLines {
    fn len(&self) -> u64 {
        self.tenants.iter().map(|line| u64::try_from(line.entries.len()).unwrap_or(u64::MAX)).sum()
    }

    fn take(&mut self, open: &impl Fn(u64) -> u32, can: &impl Fn(&Entry) -> bool) -> Option<(u64, Entry)> {
        let starts = |line: &Line| line.entries.iter().position(can);
        // Of equals the first: the one who was served longest ago.
        let mut first: Option<(u32, usize, usize)> = None;
        for (at, line) in self.tenants.iter().enumerate() {
            let open = open(line.tenant);
            if first.is_none_or(|(least, ..)| open < least)
                && let Some(place) = starts(line)
            {
                first = Some((open, at, place));
            }
            if first.is_some_and(|(least, ..)| least == 0) {
                // Nobody has fewer.
                break;
            }
        }
        let (_, at, place) = first?;
        let mut line = self.tenants.remove(at);
        let (tenant, entry) = (line.tenant, line.entries.remove(place));
        if !line.entries.is_empty() {
            self.tenants.push(line);
        }
        Some((tenant, entry?))
    }
}
