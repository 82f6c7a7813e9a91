//! Keys and targets that rest: what changed since the last look.

use std::collections::BTreeMap;
use std::sync::Arc;

use govern::cooldown::CoolReason;
use serde_json::{Value, json};

use crate::config::Snapshot;
use crate::upstream::health::Registry;

/// Provider, key, and the model where it is about one.
type Target = (Arc<str>, Arc<str>, Option<Arc<str>>);

/// What was known at the last look.
pub struct Health {
    registry: Arc<Registry>,
    resting: BTreeMap<Target, &'static str>,
}

impl Health {
    #[must_use]
    pub fn new(registry: &Arc<Registry>) -> Self {
        Self { registry: Arc::clone(registry), resting: BTreeMap::new() }
    }

    /// Looks without telling.
    pub fn look(&mut self, snapshot: &Snapshot) {
        self.resting = self.now(snapshot);
    }

    /// What rests now and did not, rests otherwise, or is back.
    pub fn changes(&mut self, snapshot: &Snapshot) -> Option<Value> {
        let now = self.now(snapshot);
        if now == self.resting {
            return None;
        }
        let before = std::mem::replace(&mut self.resting, now);
        let told = |(provider, key, model): &Target, state: &str, was: &str| json!({"provider": provider, "key": key, "model": model, "state": state, "was": was});
        let rests = self.resting.iter().filter_map(|(target, state)| {
            let was = before.get(target).copied().unwrap_or("ready");
            (was != *state).then(|| told(target, state, was))
        });
        let back = before.iter().filter(|(target, _)| !self.resting.contains_key(*target));
        let back = back.map(|(target, was)| told(target, "ready", was));
        let changes: Vec<Value> = rests.chain(back).collect();
        Some(json!({"time": super::super::unix_ms(), "changes": changes}))
    }

    fn now(&self, snapshot: &Snapshot) -> BTreeMap<Target, &'static str> {
        let mut resting = BTreeMap::new();
        for cooling in self.registry.cooling() {
            let keys = snapshot
                .providers
                .iter()
                .flat_map(|provider| provider.keys.iter().map(move |key| (&provider.name, key)));
            let Some((provider, key)) = keys.into_iter().find(|(_, key)| key.known_as == cooling.key) else {
                continue;
            };
            let state = match cooling.why {
                CoolReason::RateLimited => "rate_limited",
                CoolReason::Refused => "refused",
                CoolReason::Quota => "no_quota",
                CoolReason::Asked => "asked_to_wait",
                CoolReason::Faults if cooling.probing => "circuit_half_open",
                CoolReason::Faults => "circuit_open",
            };
            resting.insert((Arc::clone(provider), Arc::clone(&key.name), cooling.model), state);
        }
        resting
    }
}
