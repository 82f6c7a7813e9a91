//! What was seen of targets while the first attempt of a request was chosen, kept for whoever asks why.
//!
//! The choice looks at them anyway: what it saw is kept instead of thrown away, and turned into words and shares when the
//! request is written down. A provider with one key that is ready leaves nothing here.

use std::sync::Arc;

use govern::balance::{self, Outlook, Strategy};
use govern::cooldown::CoolReason;

use crate::config::snapshot::Key;
use crate::route::plan::{Keys, Step};

/// What was seen until the first attempt began.
#[derive(Debug, Clone, Default)]
pub struct Looked {
    looks: Vec<Look>,
    /// Step and key of the first attempt.
    chosen: Option<(usize, usize)>,
}

/// What was seen of the keys of a step.
#[derive(Debug, Clone)]
pub struct Look {
    /// Its index in the plan.
    pub step: usize,
    pub by: By,
    outlooks: Vec<Outlook>,
    /// Indexes of keys that could not be picked, and why.
    barred: Vec<(usize, &'static str)>,
}

/// What a key was picked by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum By {
    /// There is but one.
    #[default]
    Only,
    /// The session belongs to it.
    Session,
    /// Prompts that begin alike went there before.
    Prompt,
    Strategy(Strategy),
}

/// What a pick was made from.
#[derive(Debug, Default)]
pub struct Seen {
    pub outlooks: Vec<Outlook>,
    pub by: By,
}

impl Looked {
    /// No attempt has begun.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.chosen.is_none()
    }

    /// The keys of a step were looked at. The latest look at it counts.
    pub fn note(&mut self, look: Look) {
        self.looks.retain(|known| known.step != look.step);
        self.looks.push(look);
    }

    /// The first attempt begins.
    pub fn close(&mut self, step: usize, key: usize) {
        self.chosen.get_or_insert((step, key));
    }

    /// What was seen of a step.
    #[must_use]
    pub fn of(&self, step: usize) -> Option<&Look> {
        self.looks.iter().find(|look| look.step == step)
    }

    /// Step and key of the first attempt.
    #[must_use]
    pub fn chosen(&self) -> Option<(usize, usize)> {
        self.chosen
    }

    /// There was nothing to choose.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.looks.is_empty()
    }
}

impl Look {
    /// `barred` says why a key could not be picked; asked only of those.
    pub fn new(
        step: usize,
        seen: Seen,
        keys: &[Arc<Key>],
        barred: impl Fn(usize, &Key) -> &'static str,
    ) -> Self {
        let Seen { outlooks, by } = seen;
        let eligible = |at: usize| outlooks.get(at).is_some_and(|outlook| outlook.candidate.eligible);
        let out = keys.iter().enumerate().filter(|(at, _)| !eligible(*at));
        let barred = out.map(|(at, key)| (at, barred(at, key))).collect();
        Self { step, by, outlooks, barred }
    }

    /// Why a key could not be picked; `None`: it could.
    #[must_use]
    pub fn barred(&self, key: usize) -> Option<&'static str> {
        self.barred.iter().find(|(at, _)| *at == key).map(|(_, why)| *why)
    }

    /// The share of the choices that falls on each key; empty where it is not by shares.
    #[must_use]
    pub fn shares(&self) -> Vec<f64> {
        match self.by {
            By::Strategy(strategy) => balance::shares(strategy, self.outlooks.iter().copied()),
            By::Only | By::Session | By::Prompt => Vec::new(),
        }
    }
}

impl By {
    /// Its word; empty where nothing was chosen.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Only => "",
            Self::Session => "session",
            Self::Prompt => "prompt",
            Self::Strategy(strategy) => strategy.name(),
        }
    }
}

/// Why a step may not use a key, whatever its health; `None`: it may.
#[must_use]
pub fn unserved(step: &Step, key: &Key) -> Option<&'static str> {
    if key.disabled.is_some() {
        return Some("disabled");
    }
    if step.pinned.as_ref().is_some_and(|pinned| *key.id != **pinned) {
        return Some("the rule names another key");
    }
    if step.granted.as_ref().is_some_and(|granted| !granted.opens(&key.id, &key.name)) {
        return Some("not allowed for this virtual key");
    }
    let serves = match step.keys {
        Keys::OfModel => key.serves(&step.model),
        Keys::OfAllModels => key.serves_all(),
        Keys::Any => true,
    };
    (!serves).then_some("does not serve the model")
}

/// Why a target rests, in words.
#[must_use]
pub fn resting(why: CoolReason) -> &'static str {
    match why {
        CoolReason::RateLimited => "cooling: rate limited",
        CoolReason::Refused => "cooling: the key was refused",
        CoolReason::Quota => "cooling: no quota left",
        CoolReason::Faults => "circuit open",
        CoolReason::Asked => "cooling: it asked to be left alone",
    }
}
