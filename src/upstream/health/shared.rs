//! What gateways tell each other of targets: that one rests, for how long and why, and that it is well again.
//!
//! Only what a gateway saw itself is told, never what it was told.

use std::sync::{Arc, OnceLock, PoisonError};

use govern::cooldown::{Availability, CoolReason};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::{KeyHealth, POLICY, Registry, lock};
use crate::telemetry::events::{Event, emit};
use crate::upstream::looked::resting;

/// A key, or one of its models, rests or is well again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rest {
    /// `Key::known_as`.
    pub key: Arc<str>,
    /// The key's fingerprint: a gateway that has another key of that name does not care.
    pub of: u64,
    /// `None`: the whole key.
    pub model: Option<Arc<str>>,
    /// Milliseconds from now; `None`: it is well again.
    pub for_ms: Option<u64>,
    pub why: CoolReason,
}

impl Rest {
    /// What it is about.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/{}", self.key, self.model.as_deref().unwrap_or_default())
    }
}

/// Whom to tell. Nobody, until somebody asks.
pub(super) type Observer = OnceLock<mpsc::Sender<Rest>>;

/// An end that moved by less is no news, in milliseconds.
const NEWS_MS: u64 = 250;

impl Registry {
    /// What is seen of keys from now on, `room` of them at most waiting; more are left out. Only the first call hears
    /// anything.
    pub fn observe(&self, room: usize) -> mpsc::Receiver<Rest> {
        let (told, seen) = mpsc::channel(room);
        let _ = self.observer.set(told);
        seen
    }

    /// Another gateway has seen this.
    pub fn told(&self, rest: &Rest) {
        let now_ms = self.now_ms();
        let key = {
            let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
            let entry = keys.entry(Arc::clone(&rest.key)).or_insert_with(|| {
                let id = Arc::clone(&rest.key);
                let observer = Arc::clone(&self.observer);
                let shown = Arc::clone(&id);
                Arc::new(KeyHealth { id, shown, of: rest.of, observer, ..KeyHealth::default() })
            });
            if entry.of != rest.of {
                return;
            }
            Arc::clone(entry)
        };
        let until_ms = rest.for_ms.map(|for_ms| now_ms.saturating_add(for_ms));
        match &rest.model {
            None => lock(&key.key).told(&POLICY, until_ms, rest.why, now_ms),
            Some(model) => {
                if let Some(target) = key.target(model, now_ms) {
                    lock(&target).health.told(&POLICY, until_ms, rest.why, now_ms);
                }
            }
        }
    }
}

impl KeyHealth {
    /// Says it in the log. A circuit has its own words.
    fn say(&self, model: Option<&Arc<str>>, change: (Availability, Availability), now_ms: u64) {
        let (key, model) = (&*self.shown, model.map_or("", |model| model));
        match change {
            (Availability::Ready, Availability::Cooling { until_ms, why }) if why != CoolReason::Faults => {
                let rest_ms = until_ms.saturating_sub(now_ms);
                emit(Event::KeyRests { key, model, rest_ms, why: resting(why) });
            }
            (Availability::Cooling { why, .. }, Availability::Ready) if why != CoolReason::Faults => {
                emit(Event::KeyBack { key, model });
            }
            _ => {}
        }
    }

    /// Tells the others, where something has changed that concerns them.
    pub(super) fn tell(
        &self,
        model: Option<&Arc<str>>,
        (before, after): (Availability, Availability),
        now_ms: u64,
    ) {
        self.say(model, (before, after), now_ms);
        let Some(observer) = self.observer.get() else { return };
        let (for_ms, why) = match (before, after) {
            (Availability::Cooling { why, .. }, Availability::Ready) => (None, why),
            (
                Availability::Cooling { until_ms: before, why: cause },
                Availability::Cooling { until_ms, why },
            ) if cause == why && before.abs_diff(until_ms) < NEWS_MS => {
                return;
            }
            (_, Availability::Cooling { until_ms, why }) => (Some(until_ms.saturating_sub(now_ms)), why),
            (Availability::Ready, Availability::Ready) => return,
        };
        let rest = Rest { key: Arc::clone(&self.id), of: self.of, model: model.cloned(), for_ms, why };
        // Where so much is told that there is no room, the others will see it themselves.
        let _ = observer.try_send(rest);
    }
}
