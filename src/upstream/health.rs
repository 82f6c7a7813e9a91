//! What is known of provider keys and targets, shared by all requests and kept over reloads: health, speed, load
//! and what is left of their rate limits.
//!
//! Refused keys and empty accounts concern the key whatever the model; rate limits and faults concern
//! the target (key and model), so that one model's outage does not take its neighbours along. Each
//! attempt holds a [`Ticket`] of its target, to which it tells what it sees; a dropped ticket tells that nothing
//! was learned.

pub mod shared;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Instant;

use govern::balance::Outlook;
use govern::breaker::{self, NO_PROBE, State};
use govern::cooldown::{Availability, Call, CoolReason, HealthState, Noted, Policy};
use govern::headroom::{self, Headroom};
use govern::load::Load;
use govern::verdict::FaultClass;
use http::HeaderMap;

use self::shared::Observer;
use crate::config::snapshot::Key;
use crate::telemetry::events::{Event, emit};

const POLICY: Policy = Policy::STANDARD;

/// What `/health` and the metrics show of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cooling {
    /// `Key::known_as`.
    pub key: Arc<str>,
    /// `None`: the whole key.
    pub model: Option<Arc<str>>,
    pub remaining_ms: u64,
    pub why: CoolReason,
    /// A request is under way that shows how things are.
    pub probing: bool,
}

/// What the metrics show of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// `Key::known_as`.
    pub key: Arc<str>,
    pub model: Arc<str>,
    pub circuit: State,
    pub in_flight: u32,
    /// What is left of its rate limits, per thousand.
    pub headroom: u32,
    /// Recent calls that failed, per thousand.
    pub faults: u32,
    /// Smoothed microseconds to the first token of streams, and to the end of whole answers.
    pub first_token_us: Option<u64>,
    pub whole_us: Option<u64>,
    /// It was asked within the last minute, or something is wrong with it.
    pub current: bool,
}

/// All that is known of targets.
#[derive(Debug)]
pub struct Registry {
    epoch: Instant,
    keys: RwLock<HashMap<Arc<str>, Arc<KeyHealth>>>,
    observer: Arc<Observer>,
}

#[derive(Debug, Default)]
struct KeyHealth {
    /// Provider and key, as nodes tell each other of it.
    id: Arc<str>,
    /// The same for people: with the key's name.
    shown: Arc<str>,
    /// The fingerprint of the key it was observed with: one that was replaced starts anew.
    of: u64,
    observer: Arc<Observer>,
    key: Mutex<HealthState>,
    models: RwLock<HashMap<Arc<str>, Arc<Mutex<Target>>>>,
}

/// What is known of one key and model.
#[derive(Debug, Default)]
struct Target {
    health: HealthState,
    /// When it was asked last although it rests.
    probed_ms: Option<u64>,
    load: Load,
    headroom: Headroom,
    /// When the latest call began.
    asked_ms: u64,
}

impl Default for Registry {
    fn default() -> Self {
        Self { epoch: Instant::now(), keys: RwLock::default(), observer: Arc::default() }
    }
}

impl Registry {
    /// A target that rests is asked this often at most: often enough to be back at once, seldom enough not to hammer it.
    const ASK_EVERY_MS: u64 = 500;
    /// Entries per key; callers can name any model, memory must not follow them.
    const MODELS_PER_KEY: usize = 4096;

    /// Milliseconds on the clock of all cool-downs.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        millis(self.epoch)
    }

    /// May this target be used now?
    #[must_use]
    pub fn verdict(&self, key: &Key, model: &str, now_ms: u64) -> Availability {
        let Some(health) = self.find(key) else { return Availability::Ready };
        let whole = lock(&health.key).verdict(&POLICY, now_ms);
        if whole != Availability::Ready {
            return whole;
        }
        let target = health.existing(model);
        target.map_or(Availability::Ready, |target| lock(&target).health.verdict(&POLICY, now_ms))
    }

    /// What is known of the target now, for a request that wants a stream or a whole answer. Not eligible while it
    /// cools down.
    #[must_use]
    pub fn outlook(&self, key: &Key, model: &str, stream: bool, now_ms: u64) -> Outlook {
        let mut outlook = Outlook::of(key.weight);
        let Some(health) = self.find(key) else { return outlook };
        outlook.candidate.eligible = lock(&health.key).verdict(&POLICY, now_ms) == Availability::Ready;
        let Some(target) = health.existing(model) else { return outlook };
        let target = lock(&target);
        outlook.candidate.eligible &= target.health.verdict(&POLICY, now_ms) == Availability::Ready;
        outlook.latency_us = target.load.latency_us(stream, now_ms);
        outlook.faults = target.load.faults_permille(now_ms);
        outlook.in_flight = target.load.in_flight();
        outlook.headroom = target.headroom.permille(now_ms);
        outlook
    }

    /// When the target was asked last although it rests ([`Self::ask_all_the_same`]).
    #[must_use]
    pub fn probed_ms(&self, key: &Key, model: &str) -> Option<u64> {
        let target = self.find(key)?.existing(model)?;
        lock(&target).probed_ms
    }

    /// Lets one request ask a target that rests, since nobody else can answer: one in a while, whoever asks, and none
    /// while a limit that was passed has not refilled. Else the milliseconds until the next may.
    pub fn ask_all_the_same(&self, key: &Key, model: &str, now_ms: u64) -> Result<(), u64> {
        let Some(health) = self.find(key) else { return Ok(()) };
        let limited = lock(&health.key).limited_until_ms();
        let Some(target) = health.existing(model) else {
            return if limited > now_ms { Err(limited - now_ms) } else { Ok(()) };
        };
        let mut target = lock(&target);
        let asked = target.probed_ms.map_or(0, |asked| asked + Self::ASK_EVERY_MS);
        let next = asked.max(limited).max(target.health.limited_until_ms());
        let wait = next.saturating_sub(now_ms);
        if wait > 0 {
            return Err(wait);
        }
        target.probed_ms = Some(now_ms);
        Ok(())
    }

    /// An attempt at the target begins.
    #[must_use]
    pub fn begin(&self, key: &Key, model: &Arc<str>) -> Ticket {
        let now_ms = self.now_ms();
        let key = self.find_or_insert(key);
        let target = key.target(model, now_ms);
        let unknown = Call { began_ms: now_ms, probe: NO_PROBE };
        let (number, call) = target.as_deref().map_or((0, unknown), |target| {
            let mut target = lock(target);
            target.load.begin();
            target.asked_ms = now_ms;
            (target.headroom.begin(), target.health.begin(&POLICY, now_ms))
        });
        let model = Arc::clone(model);
        let heard = AtomicBool::new(false);
        Ticket {
            epoch: self.epoch,
            began: Instant::now(),
            key,
            model,
            target,
            number,
            call,
            heard,
            told: false,
        }
    }

    /// Every cool-down in force, for `/health` and metrics.
    #[must_use]
    pub fn cooling(&self) -> Vec<Cooling> {
        let now_ms = self.now_ms();
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let mut found = Vec::new();
        for (key, health) in keys.iter() {
            let mut note = |model: Option<&Arc<str>>, health: &HealthState| {
                let probing =
                    matches!(health.breaker(&POLICY, now_ms), State::HalfOpen { probe_until_ms: Some(_) });
                if let Availability::Cooling { until_ms, why } = health.verdict(&POLICY, now_ms) {
                    found.push(Cooling {
                        key: Arc::clone(key),
                        model: model.cloned(),
                        remaining_ms: until_ms.saturating_sub(now_ms),
                        why,
                        probing,
                    });
                }
            };
            note(None, &lock(&health.key));
            let models = health.models.read().unwrap_or_else(PoisonError::into_inner);
            for (model, target) in models.iter() {
                note(Some(model), &lock(target).health);
            }
        }
        found.sort_by(|a, b| (&a.key, &a.model).cmp(&(&b.key, &b.model)));
        found
    }

    /// How each target that was used stands, for the metrics.
    #[must_use]
    pub fn standings(&self) -> Vec<Standing> {
        let now_ms = self.now_ms();
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let mut found = Vec::new();
        for (key, health) in keys.iter() {
            let models = health.models.read().unwrap_or_else(PoisonError::into_inner);
            found.extend(models.iter().map(|(model, target)| standing(key, model, &lock(target), now_ms)));
        }
        found
    }

    /// What a provider's targets say together; targets that nobody asked for a minute and that were well then say nothing.
    #[must_use]
    pub fn circuit_of<'s>(standings: impl Iterator<Item = &'s Standing>) -> State {
        breaker::of_all(standings.filter(|standing| standing.current).map(|standing| standing.circuit))
    }

    fn find(&self, key: &Key) -> Option<Arc<KeyHealth>> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        if keys.is_empty() {
            return None;
        }
        keys.get(&key.known_as).filter(|health| health.of == key.fingerprint).cloned()
    }

    fn find_or_insert(&self, key: &Key) -> Arc<KeyHealth> {
        if let Some(found) = self.find(key) {
            return found;
        }
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        let entry = keys.entry(Arc::clone(&key.known_as)).or_default();
        if entry.of != key.fingerprint {
            *entry = Arc::new(KeyHealth {
                id: Arc::clone(&key.known_as),
                shown: shown(key),
                of: key.fingerprint,
                observer: Arc::clone(&self.observer),
                ..KeyHealth::default()
            });
        }
        Arc::clone(entry)
    }
}

/// One attempt at a target. Dropped without a word, it says that nothing was learned.
#[derive(Debug)]
pub struct Ticket {
    epoch: Instant,
    began: Instant,
    key: Arc<KeyHealth>,
    model: Arc<str>,
    /// `None`: there were too many to follow.
    target: Option<Arc<Mutex<Target>>>,
    /// Of the call, as [`Headroom`] counts them.
    number: u64,
    call: Call,
    /// The target has begun to answer.
    heard: AtomicBool,
    told: bool,
}

impl Ticket {
    /// The head of an answer has come. `headers` may tell of rate limits.
    pub fn heard(&self, headers: &HeaderMap, now_unix_ms: u64) {
        self.heard.store(true, Ordering::Relaxed);
        let concerned = headers.iter().filter(|(name, _)| headroom::concerns(name.as_str()));
        let texts = concerned.filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
        let texts: Vec<(&str, &str)> = texts.collect();
        if texts.is_empty() {
            return;
        }
        let report = headroom::read(texts.iter().copied(), now_unix_ms);
        let now_ms = millis(self.epoch);
        self.on_target(|target| target.headroom.hear(self.number, &report, now_ms));
    }

    /// The first token of a stream has come: a probe has learned what there was to learn.
    pub fn first_token(&self) {
        let (latency, now_ms) = (micros(self.began), millis(self.epoch));
        self.on_target(|target| {
            target.load.first_token(latency, now_ms);
            if self.call.probe != NO_PROBE {
                self.close_circuit(target, now_ms);
            }
        });
    }

    /// The target answered well. `whole`: not in a stream. `tokens`: what the answer cost that limits count, input
    /// that no cache had and output, where it is known.
    pub fn succeeded(mut self, whole: bool, tokens: Option<(u64, u64)>) {
        self.told = true;
        let (latency, now_ms) = (micros(self.began), millis(self.epoch));
        self.on_key(now_ms, |key| key.on_success(now_ms, self.call.no_probe()));
        self.on_target(|target| {
            self.close_circuit(target, now_ms);
            target.load.outcome(false, now_ms);
            if whole {
                target.load.whole(latency, now_ms);
            }
            if let Some((input, output)) = tokens {
                target.headroom.used(input, output);
            }
        });
    }

    /// The attempt failed. Faults that the request brought upon itself change nothing.
    pub fn failed(mut self, class: FaultClass, retry_after_ms: Option<u64>) {
        self.told = true;
        let now_ms = millis(self.epoch);
        let whole_key = matches!(class, FaultClass::Authentication | FaultClass::Quota);
        let call = if whole_key { self.call.no_probe() } else { self.call };
        let noted = Noted { class, retry_after_ms, call };
        if whole_key {
            self.on_key(now_ms, |key| key.on_fault(&POLICY, noted, now_ms));
        }
        self.on_target(|target| {
            if whole_key {
                return target.health.on_nothing(self.call);
            }
            let (before, seen) =
                (target.health.breaker(&POLICY, now_ms), target.health.verdict(&POLICY, now_ms));
            target.health.on_fault(&POLICY, noted, now_ms);
            self.key.tell(Some(&self.model), (seen, target.health.verdict(&POLICY, now_ms)), now_ms);
            match class {
                FaultClass::CallerGone | FaultClass::TotalTimeout | FaultClass::Internal => {
                    self.waited(target)
                }
                class => target.load.outcome(govern::cooldown::counts(class), now_ms),
            }
            let after = target.health.breaker(&POLICY, now_ms);
            if before != State::Closed && after == State::Closed {
                self.log_closed();
            }
            if let (true, State::Open { until_ms }) = (before != after, after) {
                let (key, model) = (&*self.key.shown, &*self.model);
                let rest_ms = until_ms.saturating_sub(now_ms);
                emit(Event::CircuitOpened { key, model, rest_ms, why: class.label() });
            }
        });
    }

    fn close_circuit(&self, target: &mut Target, now_ms: u64) {
        let (before, seen) = (target.health.breaker(&POLICY, now_ms), target.health.verdict(&POLICY, now_ms));
        target.health.on_success(now_ms, self.call);
        self.key.tell(Some(&self.model), (seen, target.health.verdict(&POLICY, now_ms)), now_ms);
        if before != State::Closed && target.health.breaker(&POLICY, now_ms) == State::Closed {
            self.log_closed();
        }
    }

    fn log_closed(&self) {
        emit(Event::CircuitClosed { key: &self.key.shown, model: &self.model });
    }

    /// Nobody answered as long as somebody waited.
    fn waited(&self, target: &mut Target) {
        if !self.heard.load(Ordering::Relaxed) {
            target.load.waited(micros(self.began), millis(self.epoch));
        }
    }

    fn on_key(&self, now_ms: u64, act: impl FnOnce(&mut HealthState)) {
        let mut key = lock(&self.key.key);
        let before = key.verdict(&POLICY, now_ms);
        act(&mut key);
        self.key.tell(None, (before, key.verdict(&POLICY, now_ms)), now_ms);
    }

    fn on_target(&self, act: impl FnOnce(&mut Target)) {
        if let Some(target) = &self.target {
            act(&mut lock(target));
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.on_target(|target| {
            target.load.end();
            if !self.told {
                target.health.on_nothing(self.call);
                self.waited(target);
            }
        });
    }
}

impl KeyHealth {
    fn existing(&self, model: &str) -> Option<Arc<Mutex<Target>>> {
        self.models.read().unwrap_or_else(PoisonError::into_inner).get(model).cloned()
    }

    fn target(&self, model: &Arc<str>, now_ms: u64) -> Option<Arc<Mutex<Target>>> {
        if let Some(found) = self.existing(model) {
            return Some(found);
        }
        let mut models = self.models.write().unwrap_or_else(PoisonError::into_inner);
        if models.len() >= Registry::MODELS_PER_KEY {
            models.retain(|_, target| {
                let target = lock(target);
                target.load.in_flight() > 0
                    || target.health.verdict(&POLICY, now_ms) != Availability::Ready
                    || target.health.breaker(&POLICY, now_ms) != State::Closed
            });
        }
        if models.len() >= Registry::MODELS_PER_KEY {
            return None;
        }
        Some(Arc::clone(models.entry(Arc::clone(model)).or_default()))
    }
}

/// `provider/name`.
fn shown(key: &Key) -> Arc<str> {
    let provider = key.known_as.strip_suffix(&*key.id).unwrap_or_default();
    format!("{provider}{}", key.name).into()
}

/// A target is spoken of as long after it was last asked, in milliseconds.
const CURRENT_MS: u64 = 60_000;

fn standing(key: &Arc<str>, model: &Arc<str>, target: &Target, now_ms: u64) -> Standing {
    let circuit = target.health.breaker(&POLICY, now_ms);
    let recent = now_ms.saturating_sub(target.asked_ms) < CURRENT_MS || target.load.in_flight() > 0;
    Standing {
        key: Arc::clone(key),
        model: Arc::clone(model),
        circuit,
        in_flight: target.load.in_flight(),
        headroom: target.headroom.permille(now_ms),
        faults: target.load.faults_permille(now_ms),
        first_token_us: target.load.latency_us(true, now_ms),
        whole_us: target.load.latency_us(false, now_ms),
        current: recent || circuit != State::Closed,
    }
}

fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

fn micros(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX)
}

fn lock<T>(state: &Mutex<T>) -> MutexGuard<'_, T> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
