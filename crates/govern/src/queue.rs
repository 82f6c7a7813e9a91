//! A bounded number of requests at one provider, and a waiting room for the others.
//!
//! Three questions: may this request start, who starts when a place comes free, and is it worth while to wait at
//! all. A request that would wait past its own deadline is told so at once, with the wait that was estimated, instead of
//! taking up a place in the queue and then the caller's time.
//!
//! * Classes share the starts 8 to 4 to 1 (high, normal, low) as long as each has somebody waiting: a lower class is slow
//!   under load, never starved.
//! * Within a class the tenant with the fewest open requests is next, in turn among equals, and each tenant's requests
//!   in the order they came. So one caller's thousand requests do not stand before another's first.
//! * A place is at the provider, and where targets (a key and a model) are limited too, at one of those that the request
//!   can use.
//!
//! Plain state: the shell puts it behind a mutex, wakes whom [`Room::next`] names, and asks it after everything that may
//! have made room. Times are milliseconds of any one clock that does not run backwards.

mod adaptive;
mod line;

use std::collections::HashMap;

use adaptive::Adaptive;
use line::{CLASSES, Entry, Lines};

/// Who goes first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Class {
    High,
    #[default]
    Normal,
    Low,
}

/// How many may be open, and how many may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Open requests at the provider.
    pub places: u32,
    /// Open requests at each target; `None`: as many as there are places.
    pub per_target: Option<u32>,
    /// Requests that may wait.
    pub waiting: u32,
    /// What a target takes is learned from how it answers, below the limits above.
    pub adaptive: bool,
}

impl Limits {
    /// Targets have limits of their own.
    #[must_use]
    pub fn by_target(&self) -> bool {
        self.adaptive || self.per_target.is_some()
    }

    fn most_at_target(&self) -> u32 {
        self.per_target.unwrap_or(self.places).min(self.places)
    }
}

/// A request that has to wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    pub class: Class,
    pub tenant: u64,
    /// The targets it can use. Empty: no target's limit concerns it.
    pub targets: Vec<u64>,
    /// The latest moment at which starting still makes sense.
    pub until_ms: u64,
}

/// A place that is taken, to be given back with [`Room::done`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub tenant: u64,
    /// The target it counts at, where those are limited.
    pub target: Option<u64>,
    /// When it was taken.
    pub since_ms: u64,
}

/// What happens to a request that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// It starts, at this place.
    Starts { entry: u64, place: Place },
    /// Its time is over: it is no longer in the queue.
    Expired { entry: u64 },
}

/// Why a request may not wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// As many wait as may.
    Full,
    /// It could not start in time.
    Late,
}

/// A request that may not wait, and how long it would have had to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    pub why: Refusal,
    pub wait_ms: u64,
}

/// How a request that had a place ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The target answered.
    Served,
    /// The target had more to do than it could.
    Overloaded,
    /// Neither: the caller left, the request was wrong.
    Otherwise,
}

/// The requests at one provider.
#[derive(Debug, Default)]
pub struct Room {
    open: u32,
    /// Open requests of each tenant that has any.
    tenants: HashMap<u64, u32>,
    targets: HashMap<u64, Target>,
    lines: Lines,
    entries: u64,
    held: Held,
}

#[derive(Debug, Default)]
struct Target {
    open: u32,
    /// Waiting requests that could use it.
    wanted: u32,
    held: Held,
    adaptive: Adaptive,
}

/// How long places are held, smoothed: each new value counts a twentieth.
#[derive(Debug, Clone, Copy, Default)]
struct Held {
    mean_ms: Option<u64>,
    /// When the first of those that are open now began.
    busy_since_ms: Option<u64>,
}

impl Room {
    /// Targets beyond this are forgotten while nobody is at them: callers can name any model.
    const MOST_TARGETS: usize = 1024;

    /// Places are held for different times: who would just make it, made it every other time in simulations. With a
    /// quarter more than the estimated wait, nineteen of twenty who were let in do, and no place is idle for it.
    const MARGIN: u64 = 4;

    /// Requests that have a place.
    #[must_use]
    pub fn open(&self) -> u32 {
        self.open
    }

    /// Requests that wait.
    #[must_use]
    pub fn waiting(&self) -> u32 {
        self.lines.len()
    }

    /// Nobody is here.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open == 0 && self.lines.len() == 0 && self.tenants.is_empty()
    }

    /// How many may be open at a target now.
    #[must_use]
    pub fn limit_of(&self, limits: &Limits, target: u64) -> u32 {
        let most = limits.most_at_target();
        match (limits.adaptive, self.targets.get(&target)) {
            (false, _) => most,
            (true, Some(known)) => known.adaptive.limit(most),
            (true, None) => Adaptive::default().limit(most),
        }
    }

    /// A request for this target could start now.
    #[must_use]
    pub fn is_free(&self, limits: &Limits, target: Option<u64>) -> bool {
        self.open < limits.places && target.is_none_or(|target| self.has_place(limits, target))
    }

    /// Takes a place for a request that does not have to wait.
    pub fn take(&mut self, limits: &Limits, tenant: u64, target: Option<u64>, now_ms: u64) -> Option<Place> {
        let target = target.filter(|_| limits.by_target());
        self.is_free(limits, target).then(|| self.begin(tenant, target, now_ms))
    }

    /// How long a request that comes now would wait, as recent requests have held their places.
    #[must_use]
    pub fn wait_ms(&self, limits: &Limits, ask: &Ask, now_ms: u64) -> u64 {
        let ahead = self.lines.ahead(ask.class, ask.tenant);
        let at_provider = match self.open < limits.places {
            true => 0,
            false => share(ahead, self.held.ms(now_ms), limits.places.into()),
        };
        at_provider.max(self.wait_at_targets(limits, ask, ahead, now_ms))
    }

    /// A request begins to wait: its number.
    ///
    /// # Errors
    /// The queue is full, or the request would start too late.
    pub fn enter(&mut self, limits: &Limits, ask: Ask, now_ms: u64) -> Result<u64, Refused> {
        let wait_ms = self.wait_ms(limits, &ask, now_ms);
        if self.lines.len() >= limits.waiting {
            return Err(Refused { why: Refusal::Full, wait_ms });
        }
        if now_ms.saturating_add(wait_ms.saturating_add(wait_ms / Self::MARGIN)) > ask.until_ms {
            return Err(Refused { why: Refusal::Late, wait_ms });
        }
        self.entries = self.entries.wrapping_add(1);
        let targets = if limits.by_target() { ask.targets } else { Vec::new() };
        for &target in &targets {
            self.target(target).wanted += 1;
        }
        let entry = Entry { number: self.entries, targets, until_ms: ask.until_ms };
        self.lines.push(ask.class, ask.tenant, entry);
        Ok(self.entries)
    }

    /// A request no longer waits. Nothing is left of it; one that has started is not concerned.
    pub fn leave(&mut self, class: Class, tenant: u64, entry: u64) {
        if let Some(entry) = self.lines.remove(class, tenant, entry) {
            self.forget(&entry);
        }
    }

    /// Who starts now, or has waited too long. To be asked until there is nobody, after everything that changes what
    /// is free.
    pub fn next(&mut self, limits: &Limits, now_ms: u64) -> Option<Next> {
        if self.lines.len() == 0 || self.open >= limits.places || !self.lets_anybody_in(limits) {
            return None;
        }
        let Self { lines, tenants, targets, .. } = self;
        let free = |entry: &Entry| {
            let target = entry
                .targets
                .iter()
                .copied()
                .find(|target| targets.get(target).is_none_or(|known| known.open < known.limit(limits)));
            target.is_some() || entry.targets.is_empty()
        };
        let open = |tenant: u64| tenants.get(&tenant).copied().unwrap_or(0);
        let (tenant, entry) = lines.take(open, |entry| entry.until_ms <= now_ms || free(entry))?;
        self.forget(&entry);
        if entry.until_ms <= now_ms {
            return Some(Next::Expired { entry: entry.number });
        }
        // The idlest of those it can use.
        let left = |target: &u64| self.limit_of(limits, *target).saturating_sub(self.open_at(*target));
        let target = entry.targets.iter().copied().max_by_key(left);
        let place = self.begin(tenant, target, now_ms);
        Some(Next::Starts { entry: entry.number, place })
    }

    /// A place is free again.
    pub fn done(&mut self, limits: &Limits, place: Place, ended: Ended, now_ms: u64) {
        let held_ms = now_ms.saturating_sub(place.since_ms);
        self.open = self.open.saturating_sub(1);
        self.held.note(held_ms, self.open == 0, now_ms);
        if let Some(count) = self.tenants.get_mut(&place.tenant) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.tenants.remove(&place.tenant);
            }
        }
        let most = limits.most_at_target();
        let Some(target) = place.target.and_then(|target| self.targets.get_mut(&target)) else { return };
        if limits.adaptive {
            target.adaptive.note(ended, target.open, most, (place.since_ms, now_ms));
        }
        target.open = target.open.saturating_sub(1);
        target.held.note(held_ms, target.open == 0, now_ms);
    }

    /// Without a look at each who waits: thousands may wait for a target that is full, while others come and go.
    fn lets_anybody_in(&self, limits: &Limits) -> bool {
        let free = |target: &Target| target.wanted > 0 && target.open < target.limit(limits);
        self.lines.has_easy() || self.targets.values().any(free)
    }

    fn begin(&mut self, tenant: u64, target: Option<u64>, now_ms: u64) -> Place {
        self.open = self.open.saturating_add(1);
        self.held.begin(now_ms);
        *self.tenants.entry(tenant).or_default() += 1;
        if let Some(target) = target {
            let target = self.target(target);
            target.open = target.open.saturating_add(1);
            target.held.begin(now_ms);
        }
        Place { tenant, target, since_ms: now_ms }
    }

    fn wait_at_targets(&self, limits: &Limits, ask: &Ask, ahead: u64, now_ms: u64) -> u64 {
        if !limits.by_target() || ask.targets.is_empty() {
            return 0;
        }
        let (mut places, mut slowest, mut wanted) = (0_u64, 0_u64, 0_u64);
        for &target in &ask.targets {
            if self.has_place(limits, target) {
                return 0;
            }
            places += u64::from(self.limit_of(limits, target));
            if let Some(known) = self.targets.get(&target) {
                slowest = slowest.max(known.held.ms(now_ms));
                wanted = wanted.max(known.wanted.into());
            }
        }
        share(ahead.min(wanted), slowest, places)
    }

    fn has_place(&self, limits: &Limits, target: u64) -> bool {
        !limits.by_target() || self.open_at(target) < self.limit_of(limits, target)
    }

    fn open_at(&self, target: u64) -> u32 {
        self.targets.get(&target).map_or(0, |known| known.open)
    }

    fn forget(&mut self, entry: &Entry) {
        for target in &entry.targets {
            if let Some(target) = self.targets.get_mut(target) {
                target.wanted = target.wanted.saturating_sub(1);
            }
        }
    }

    fn target(&mut self, target: u64) -> &mut Target {
        if self.targets.len() >= Self::MOST_TARGETS && !self.targets.contains_key(&target) {
            self.targets.retain(|_, known| known.open > 0 || known.wanted > 0);
        }
        self.targets.entry(target).or_default()
    }
}

impl Target {
    fn limit(&self, limits: &Limits) -> u32 {
        let most = limits.most_at_target();
        if limits.adaptive { self.adaptive.limit(most) } else { most }
    }
}

impl Held {
    fn begin(&mut self, now_ms: u64) {
        self.busy_since_ms.get_or_insert(now_ms);
    }

    fn note(&mut self, held_ms: u64, idle: bool, now_ms: u64) {
        self.mean_ms = Some(match self.mean_ms {
            Some(mean) => (mean.saturating_mul(19).saturating_add(held_ms)) / 20,
            None => held_ms,
        });
        self.busy_since_ms = if idle { None } else { self.busy_since_ms.or(Some(now_ms)) };
    }

    /// What is known, or for how long nothing has ended that would tell.
    fn ms(&self, now_ms: u64) -> u64 {
        let busy = || self.busy_since_ms.map_or(0, |since| now_ms.saturating_sub(since));
        self.mean_ms.unwrap_or_else(busy)
    }
}

/// When, of places that are held for `held_ms` each, the one after `ahead` others comes free.
fn share(ahead: u64, held_ms: u64, places: u64) -> u64 {
    let all = u128::from(ahead + 1) * u128::from(held_ms);
    u64::try_from(all / u128::from(places.max(1))).unwrap_or(u64::MAX)
}

impl Class {
    /// How many of thirteen starts it has while every class waits.
    #[must_use]
    pub const fn weight(self) -> u64 {
        match self {
            Self::High => 8,
            Self::Normal => 4,
            Self::Low => 1,
        }
    }

    const ALL: [Self; CLASSES] = [Self::High, Self::Normal, Self::Low];

    const fn index(self) -> usize {
        match self {
            Self::High => 0,
            Self::Normal => 1,
            Self::Low => 2,
        }
    }
}

#[cfg(test)]
mod tests;
