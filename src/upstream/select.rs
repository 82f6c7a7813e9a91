//! Which target is tried next: the walk over the plan's steps and, within a step, over its keys.
//!
//! Decisions come from `govern` (weights, health, verdicts); this file holds where a request stands.

use std::sync::Arc;
use std::time::Duration;

use govern::backoff::{self, Backoff};
use govern::balance::{self, Outlook};
use govern::cooldown::{Availability, CoolReason, of_server};
use govern::verdict::{FaultClass, Situation, Verdict, decide};

use super::backend::{Group, Visit, Wanted};
use super::capacity::Free;
use super::health::Registry;
use super::looked::{self, By, Look, Looked};
use crate::config::backend::{Affinity, Backend};
use crate::config::policy::Priority;
use crate::config::snapshot::Key;
use crate::route::plan::{Plan, Step};

/// Where a request stands in its plan.
#[derive(Debug, Clone, Default)]
pub struct Cursor {
    /// Index of the current step.
    pub step: usize,
    /// Attempts made on the current step.
    pub tries: u32,
    /// The request wants a stream: speed is compared among streams then.
    stream: bool,
    /// What the caller asks of the choice.
    wish: Wish,
    /// Keys of the current step that were tried (bit per index below 64).
    tried: u64,
    /// Servers that were tried (bit per index) of the group of that number.
    servers: (u64, u64),
    /// The server that the attempt goes to, where there are several.
    pub backend: Option<Arc<Backend>>,
    /// Wait before the next attempt.
    pub delay: Duration,
    /// The next attempt must not reuse a pooled connection.
    pub fresh_connection: bool,
    /// Milliseconds that were waited at the current step for a target that rests.
    waited_ms: u64,
    /// Retries that a stale pooled connection got for free.
    free_retries: u32,
    /// What was seen of targets until the first attempt began.
    pub looked: Looked,
}

/// What a caller asks of the choice among keys.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wish {
    /// Index of the one key that may be used at the first provider.
    pub pinned: Option<usize>,
    /// Requests of one session go to one key as long as it is well.
    pub session: Option<u64>,
    /// Who asks: places at a provider are shared fairly among tenants.
    pub tenant: u64,
    /// What the caller says of the request's place in a queue.
    pub priority: Option<Priority>,
    /// So do requests whose prompts begin alike, as long as it does not overload anybody.
    pub prefix: Option<u64>,
    /// That is so for keys too, not for servers alone.
    pub prefix_among_keys: bool,
}

impl Wish {
    /// The session of this name.
    #[must_use]
    pub fn session(name: &str) -> u64 {
        fnv1a(name.as_bytes())
    }
}

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// Use this key of the current step.
    Use { key: usize },
    /// A key is ready, but has no free place.
    Full,
    /// Every key cools down: this one is the first to be ready again.
    Cooling { key: usize, wait_ms: u64, why: CoolReason },
    /// No key of the provider serves the model.
    NoKey,
}

impl Cursor {
    /// Before the first attempt of a request that wants a stream, or a whole answer.
    #[must_use]
    pub fn at_start(stream: bool, wish: Wish) -> Self {
        Self { stream, wish, ..Self::default() }
    }

    /// What the caller asked of the choice.
    #[must_use]
    pub fn wish(&self) -> &Wish {
        &self.wish
    }

    /// The current step.
    #[must_use]
    pub fn current<'p>(&self, plan: &'p Plan) -> Option<&'p Step> {
        plan.steps.get(self.step)
    }

    /// Picks a key of the current step: by its strategy among those that are ready, have a free place, and were not tried
    /// yet; when all were tried, they are all open again.
    pub fn choose(&mut self, step: &Step, health: &Registry, free: &Free, random: u64) -> Choice {
        let now_ms = health.now_ms();
        let (picked, seen) = self.pick_among(step, health, free, (now_ms, random));
        if self.looked.is_open() && (picked.is_none() || !seen.outlooks.is_empty()) {
            let barred = |at, key: &Key| self.barred(step, health, free, (at, key, now_ms));
            let look = Look::new(self.step, seen, &step.provider.keys, barred);
            self.looked.note(look);
        }
        if let Some(key) = picked {
            return Choice::Use { key };
        }
        let tried = std::mem::take(&mut self.tried);
        if tried != 0
            && let Some(key) = self.pick(step, health, free, (now_ms, random))
        {
            return Choice::Use { key };
        }
        if !self.able(step, health).is_empty() {
            self.tried = tried;
            return Choice::Full;
        }
        self.first_ready(step, health, now_ms)
    }

    /// The keys of a step that are ready, whether or not they have a free place: those that were not tried yet, or all.
    #[must_use]
    pub fn able(&self, step: &Step, health: &Registry) -> Vec<usize> {
        let now_ms = health.now_ms();
        let keys = step.provider.keys.iter().enumerate();
        let served = keys.filter(|(index, key)| self.serves(step, *index) && step.served_by(key));
        let ready = |key: &Key| health.verdict(key, &step.model, now_ms) == Availability::Ready;
        let ready: Vec<usize> = served.filter(|(_, key)| ready(key)).map(|(index, _)| index).collect();
        let untried: Vec<usize> =
            ready.iter().copied().filter(|index| self.tried & bit(*index) == 0).collect();
        if untried.is_empty() { ready } else { untried }
    }

    /// An attempt with `key` begins.
    pub fn begin(&mut self, key: usize) {
        self.looked.close(self.step, key);
        self.tries = self.tries.saturating_add(1);
        self.tried |= bit(key);
        self.delay = Duration::ZERO;
        self.fresh_connection = false;
    }

    /// Another target that is ready now, beside the running attempt's: a key of the same step, else of the next one
    /// that has any. With it, where the request stands if that one is asked; [`Self::begin`] is still to come.
    #[must_use]
    pub fn beside(&self, plan: &Plan, health: &Registry, random: u64) -> Option<(Self, usize)> {
        let now_ms = health.now_ms();
        let mut cursor = self.clone();
        loop {
            if let Some(key) = cursor.pick(cursor.current(plan)?, health, &Free::Everywhere, (now_ms, random))
            {
                return Some((cursor, key));
            }
            if !cursor.advance(plan) {
                return None;
            }
        }
    }

    /// This key of the current step was tried beside.
    pub fn also_tried(&mut self, key: usize) {
        self.tried |= bit(key);
    }

    /// Picks a server of the group that is up, one that was not tried yet if there is one. `None` when none is up, but
    /// for `at_any_rate`.
    pub fn visit(
        &mut self,
        step: &Step,
        group: &Arc<Group>,
        at_any_rate: bool,
        random: u64,
    ) -> Option<Visit> {
        if self.servers.0 != group.id() {
            self.servers = (group.id(), 0);
        }
        let session = self.wish.session.filter(|_| step.provider.affinity != Affinity::None);
        let prefix = self.wish.prefix.filter(|_| step.provider.affinity == Affinity::Prompt);
        let mut wanted = Wanted { tried: self.servers.1, session, prefix };
        let mut found = group.choose(wanted, random);
        if found.is_none() {
            // All were tried: they are all open again.
            (self.servers.1, wanted.tried) = (0, 0);
            found = group.choose(wanted, random);
        }
        if found.is_none() && at_any_rate {
            found = group.any(random);
        }
        let visit = group.visit(found?)?;
        self.servers.1 |= visit.bit();
        self.backend = visit.backend().cloned();
        Some(visit)
    }

    /// Another server of the group is up and was not tried.
    #[must_use]
    pub fn has_other(&self, group: &Group) -> bool {
        let tried = if self.servers.0 == group.id() { self.servers.1 } else { 0 };
        group.choose(Wanted { tried, ..Wanted::default() }, 0).is_some()
    }

    /// Moves on to the next step. False when there is none.
    pub fn advance(&mut self, plan: &Plan) -> bool {
        // A key is asked for at the provider that was: fallbacks have others.
        let wish = Wish { pinned: None, ..self.wish };
        let looked = std::mem::take(&mut self.looked);
        *self = Self { step: self.step.saturating_add(1), looked, ..Self::at_start(self.stream, wish) };
        self.step < plan.steps.len()
    }

    /// A step follows the current one.
    #[must_use]
    pub fn has_next(&self, plan: &Plan) -> bool {
        self.step.saturating_add(1) < plan.steps.len()
    }

    /// Digests a fault of the current attempt: true when another attempt shall follow, with the cursor
    /// set to it.
    pub fn after_fault(&mut self, plan: &Plan, fault: Faulted, seen: Seen, health: &Registry) -> bool {
        let Some(step) = self.current(plan).cloned() else { return false };
        if seen.stale_connection && !seen.answer_begun && self.free_retries < 2 {
            // Nothing was wrong but a pooled connection that the provider had closed meanwhile.
            self.free_retries += 1;
            self.servers = (0, 0);
            self.tries = self.tries.saturating_sub(1);
            self.fresh_connection = true;
            return true;
        }
        if self.goes_to_other_server(&step, fault.class, seen) {
            // By the same key, where it has servers of its own.
            self.tried = 0;
            return true;
        }
        let now_ms = health.now_ms();
        let other_key =
            !seen.direct_key && self.pick(&step, health, &Free::Everywhere, (now_ms, 0)).is_some();
        let situation = Situation {
            retries_left: self.tries <= step.provider.network.max_retries,
            other_key,
            fallback_left: self.has_next(plan),
            answer_begun: seen.answer_begun,
            retry_forbidden: seen.retry_forbidden,
        };
        match decide(fault.class, situation) {
            // Nobody waits for a circuit while another target may answer.
            Verdict::Retry
                if situation.fallback_left
                    && !seen.direct_key
                    && (seen.servers == Servers::Down || self.is_open(&step, health, now_ms)) =>
            {
                self.advance(plan)
            }
            Verdict::Retry => self.retry(&step, fault, other_key) || self.advance(plan),
            Verdict::RetryOtherKey => true,
            Verdict::Failover => self.advance(plan),
            Verdict::Stop => false,
        }
    }

    /// Another server can take the request at once. A server that could not be reached has not seen it, so that counts for
    /// nothing; a request that breaks whoever works at it must not go round them all.
    fn goes_to_other_server(&mut self, step: &Step, class: FaultClass, seen: Seen) -> bool {
        let open = seen.servers == Servers::Others && !seen.answer_begun && !seen.retry_forbidden;
        if !open || !of_server(class) {
            return false;
        }
        if class == FaultClass::ConnectFailed {
            self.tries = self.tries.saturating_sub(1);
            return true;
        }
        self.tries <= step.provider.network.max_retries
    }

    /// Prepares a retry on the same step; false when the provider asked for a longer wait than callers
    /// are kept waiting.
    fn retry(&mut self, step: &Step, fault: Faulted, other_key: bool) -> bool {
        if other_key && fault.class == FaultClass::RateLimited {
            return true;
        }
        if fault.class == FaultClass::ConnectionReset && self.tries <= 1 {
            self.fresh_connection = true;
            return true;
        }
        let network = &step.provider.network;
        let policy = Backoff {
            initial_ms: millis(network.retry_backoff_initial),
            max_ms: millis(network.retry_backoff_max),
        };
        if fault.retry_after_ms.is_some_and(|wait| wait > policy.max_ms) && !other_key {
            return false;
        }
        let hint = if other_key { None } else { fault.retry_after_ms };
        let wait = backoff::delay(&policy, self.tries.saturating_sub(1), hint, fastrand::u64(..));
        self.delay = Duration::from_millis(wait);
        true
    }

    /// The key is the one that was asked for, where one was.
    fn serves(&self, step: &Step, index: usize) -> bool {
        self.wish.pinned.is_none_or(|pinned| pinned == index || step.provider.keys.len() <= pinned)
    }

    /// Asks a key of the step although all of them rest: the one that was asked so least recently.
    ///
    /// # Errors
    /// One was a moment ago: milliseconds until the next may be.
    pub fn probe(&self, step: &Step, health: &Registry) -> Result<usize, u64> {
        let keys = step.provider.keys.iter().enumerate();
        let served = keys.filter(|(index, key)| self.serves(step, *index) && step.served_by(key));
        let next = served.min_by_key(|(index, key)| (health.probed_ms(key, &step.model), *index));
        let (index, key) = next.ok_or(0_u64)?;
        health.ask_all_the_same(key, &step.model, health.now_ms()).map(|()| index)
    }

    /// Waits for a target that rests. False when `patience_ms` was waited for in all.
    pub fn waits(&mut self, wait_ms: u64, patience_ms: u64) -> bool {
        self.waited_ms = self.waited_ms.saturating_add(wait_ms);
        self.waited_ms <= patience_ms
    }

    fn first_ready(&self, step: &Step, health: &Registry, now_ms: u64) -> Choice {
        step.provider
            .keys
            .iter()
            .enumerate()
            .filter(|(index, key)| self.serves(step, *index) && step.served_by(key))
            .filter_map(|(index, key)| match health.verdict(key, &step.model, now_ms) {
                Availability::Cooling { until_ms, why } => {
                    Some((until_ms.saturating_sub(now_ms), index, why))
                }
                Availability::Ready => None,
            })
            .min_by_key(|(wait, index, _)| (*wait, *index))
            .map_or(Choice::NoKey, |(wait_ms, key, why)| Choice::Cooling { key, wait_ms, why })
    }

    /// The circuit of every key is open.
    fn is_open(&self, step: &Step, health: &Registry, now_ms: u64) -> bool {
        let keys = step.provider.keys.iter().enumerate();
        let mut served = keys.filter(|(index, key)| self.serves(step, *index) && step.served_by(key));
        served.all(|(_, key)| {
            matches!(
                health.verdict(key, &step.model, now_ms),
                Availability::Cooling { why: CoolReason::Faults, .. }
            )
        })
    }

    fn pick(&self, step: &Step, health: &Registry, free: &Free, now_and_random: (u64, u64)) -> Option<usize> {
        self.pick_among(step, health, free, now_and_random).0
    }

    /// Why a key could not be picked.
    fn barred(
        &self,
        step: &Step,
        health: &Registry,
        free: &Free,
        (index, key, now_ms): (usize, &Key, u64),
    ) -> &'static str {
        if !self.serves(step, index) {
            return "another key was asked for";
        }
        if let Some(why) = looked::unserved(step, key) {
            return why;
        }
        match health.verdict(key, &step.model, now_ms) {
            Availability::Cooling { why, .. } => looked::resting(why),
            Availability::Ready if !free.at(index) => "full",
            Availability::Ready => "tried before",
        }
    }

    /// The pick, and what it was made by. Of a single key nothing is looked at but whether it is ready.
    fn pick_among(
        &self,
        step: &Step,
        health: &Registry,
        free: &Free,
        (now_ms, random): (u64, u64),
    ) -> (Option<usize>, looked::Seen) {
        let open = |index: usize, key: &Key| {
            free.at(index) && self.serves(step, index) && self.tried & bit(index) == 0 && step.served_by(key)
        };
        // One key leaves nothing to choose.
        if let [only] = step.provider.keys.as_slice() {
            let ready = health.verdict(only, &step.model, now_ms) == Availability::Ready;
            return ((ready && open(0, only)).then_some(0), looked::Seen::default());
        }
        let outlooks: Vec<Outlook> = step
            .provider
            .keys
            .iter()
            .enumerate()
            .map(|(index, key)| {
                let mut outlook = health.outlook(key, &step.model, self.stream, now_ms);
                outlook.candidate.eligible &= open(index, key);
                outlook.price = step.prices.as_deref().and_then(|prices| *prices.get(index)?);
                outlook
            })
            .collect();
        let affinity = step.provider.affinity;
        let keys = || step.provider.keys.iter().map(|key| fnv1a(key.id.as_bytes()));
        if let Some(session) = self.wish.session.filter(|_| affinity != Affinity::None) {
            let picked = balance::affine(outlooks.iter().copied().zip(keys()), session);
            return (picked, looked::Seen { outlooks, by: By::Session });
        }
        let prefix = self.wish.prefix.filter(|_| affinity == Affinity::Prompt && self.wish.prefix_among_keys);
        let own = prefix.and_then(|prefix| balance::alike(outlooks.iter().copied().zip(keys()), prefix));
        if own.is_some() {
            return (own, looked::Seen { outlooks, by: By::Prompt });
        }
        let picked = balance::choose(step.provider.strategy, outlooks.iter().copied(), random);
        (picked, looked::Seen { outlooks, by: By::Strategy(step.provider.strategy) })
    }
}

/// What went wrong with an attempt.
#[derive(Debug, Clone, Copy)]
pub struct Faulted {
    pub class: FaultClass,
    /// Milliseconds the provider asked us to wait.
    pub retry_after_ms: Option<u64>,
}

/// What is known of the attempt that failed, besides its fault.
#[derive(Debug, Clone, Copy, Default)]
pub struct Seen {
    /// A byte of the answer went downstream.
    pub answer_begun: bool,
    /// The provider said `x-should-retry: false`.
    pub retry_forbidden: bool,
    /// The attempt used the caller's own key: our other keys are no substitute.
    pub direct_key: bool,
    /// A reused connection broke before any byte came.
    pub stale_connection: bool,
    pub servers: Servers,
}

/// How the servers stand that the attempt was at one of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Servers {
    /// There is but one.
    #[default]
    One,
    /// Another one is up and was not tried.
    Others,
    /// No other one is up.
    Down,
}

/// A hash that is the same everywhere and always.
#[must_use]
pub fn fnv1a(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

fn bit(index: usize) -> u64 {
    u32::try_from(index).ok().and_then(|index| 1_u64.checked_shl(index)).unwrap_or(0)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
