//! Passive health of provider keys and targets, shared by all requests and kept over reloads.
//!
//! Refused keys and empty accounts concern the key whatever the model; rate limits, faults and what a key
//! may not do concern the target (key and model), so that one model's outage does not take its neighbours
//! along. Only targets that had a fault have an entry: the healthy path finds an empty map.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Instant;

use govern::cooldown::{Availability, CoolReason, HealthState, Policy, counts};
use govern::verdict::FaultClass;

use crate::config::snapshot::{Key, Secret};

/// What `/health` and the metrics show of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cooling {
    pub key: Arc<str>,
    /// `None`: the whole key.
    pub model: Option<Arc<str>>,
    pub remaining_ms: u64,
    pub why: CoolReason,
}

/// All that is known of targets' health.
#[derive(Debug)]
pub struct Registry {
    epoch: Instant,
    policy: Policy,
    keys: RwLock<HashMap<Arc<str>, Arc<KeyHealth>>>,
}

#[derive(Debug, Default)]
struct KeyHealth {
    /// Of the secret it was observed with: a key that was replaced starts anew.
    secret: u64,
    key: Mutex<HealthState>,
    models: RwLock<HashMap<Arc<str>, Arc<Mutex<HealthState>>>>,
}

impl Default for Registry {
    fn default() -> Self {
        Self { epoch: Instant::now(), policy: Policy::default(), keys: RwLock::default() }
    }
}

impl Registry {
    /// Entries per key; callers can name any model, memory must not follow them.
    const MODELS_PER_KEY: usize = 4096;

    /// Milliseconds on the clock of all cool-downs.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// May this target be used now?
    #[must_use]
    pub fn verdict(&self, key: &Key, model: &str, now_ms: u64) -> Availability {
        let Some(health) = self.find(key) else { return Availability::Ready };
        let whole = lock(&health.key).verdict(now_ms);
        if whole != Availability::Ready {
            return whole;
        }
        let models = health.models.read().unwrap_or_else(PoisonError::into_inner);
        models.get(model).map_or(Availability::Ready, |target| lock(target).verdict(now_ms))
    }

    /// The target answered well.
    pub fn on_success(&self, key: &Key, model: &str, now_ms: u64) {
        let Some(health) = self.find(key) else { return };
        lock(&health.key).on_success(now_ms);
        let models = health.models.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(target) = models.get(model) {
            lock(target).on_success(now_ms);
        }
    }

    /// An attempt at the target failed. Faults that the request brought upon itself change nothing.
    pub fn on_fault(&self, key: &Key, model: &Arc<str>, class: FaultClass, retry_after_ms: Option<u64>) {
        if !counts(class) {
            return;
        }
        let now_ms = self.now_ms();
        let health = self.find_or_insert(key);
        let whole_key = matches!(class, FaultClass::Authentication | FaultClass::Quota);
        if whole_key {
            lock(&health.key).on_fault(&self.policy, class, retry_after_ms, now_ms);
        } else if let Some(target) = health.target(model, now_ms) {
            lock(&target).on_fault(&self.policy, class, retry_after_ms, now_ms);
        }
    }

    /// Every cool-down in force, for `/health` and metrics.
    #[must_use]
    pub fn cooling(&self) -> Vec<Cooling> {
        let now_ms = self.now_ms();
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let mut found = Vec::new();
        for (key, health) in keys.iter() {
            let mut note = |model: Option<&Arc<str>>, verdict: Availability| {
                if let Availability::Cooling { until_ms, why } = verdict {
                    found.push(Cooling {
                        key: Arc::clone(key),
                        model: model.cloned(),
                        remaining_ms: until_ms.saturating_sub(now_ms),
                        why,
                    });
                }
            };
            note(None, lock(&health.key).verdict(now_ms));
            let models = health.models.read().unwrap_or_else(PoisonError::into_inner);
            for (model, target) in models.iter() {
                note(Some(model), lock(target).verdict(now_ms));
            }
        }
        found.sort_by(|a, b| (&a.key, &a.model).cmp(&(&b.key, &b.model)));
        found
    }

    fn find(&self, key: &Key) -> Option<Arc<KeyHealth>> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        if keys.is_empty() {
            return None;
        }
        keys.get(&key.id).filter(|health| health.secret == fingerprint(key)).cloned()
    }

    fn find_or_insert(&self, key: &Key) -> Arc<KeyHealth> {
        if let Some(found) = self.find(key) {
            return found;
        }
        let secret = fingerprint(key);
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        let entry = keys.entry(Arc::clone(&key.id)).or_default();
        if entry.secret != secret {
            *entry = Arc::new(KeyHealth { secret, ..KeyHealth::default() });
        }
        Arc::clone(entry)
    }
}

impl KeyHealth {
    fn target(&self, model: &Arc<str>, now_ms: u64) -> Option<Arc<Mutex<HealthState>>> {
        if let Some(found) = self.models.read().unwrap_or_else(PoisonError::into_inner).get(model) {
            return Some(Arc::clone(found));
        }
        let mut models = self.models.write().unwrap_or_else(PoisonError::into_inner);
        if models.len() >= Registry::MODELS_PER_KEY {
            models.retain(|_, target| lock(target).verdict(now_ms) != Availability::Ready);
        }
        if models.len() >= Registry::MODELS_PER_KEY {
            return None;
        }
        Some(Arc::clone(models.entry(Arc::clone(model)).or_default()))
    }
}

fn fingerprint(key: &Key) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.secret.as_ref().map(Secret::expose).hash(&mut hasher);
    hasher.finish()
}

fn lock(state: &Mutex<HealthState>) -> std::sync::MutexGuard<'_, HealthState> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
