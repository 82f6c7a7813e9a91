//! The ordered attempts of one request.

use std::sync::Arc;

use super::lead::{Lead, Names, Order};
use crate::auth::Granted;
use crate::config::policy::Policy;
use crate::config::routing::{After, MOST_ASKED};
use crate::config::snapshot::{Key, ModelRef, Provider, Snapshot};
use crate::telemetry::record::LedBy;

/// Which keys a step may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keys {
    /// Those that serve its model.
    OfModel,
    /// Those without a list of models: nobody knows which model the request runs.
    OfAllModels,
    /// Every one: no model is run.
    Any,
}

/// One model at one provider, to be tried with its keys.
#[derive(Debug, Clone)]
pub struct Step {
    pub provider: Arc<Provider>,
    /// As the provider names it.
    pub model: Arc<str>,
    /// Which keys may be used.
    pub keys: Keys,
    /// What a common request costs with each of the provider's keys, where they are chosen by that.
    pub prices: Option<Arc<[Option<u64>]>>,
    /// Id of the one among them that a rule wants.
    pub pinned: Option<Box<str>>,
    /// What the caller's virtual key allows here, where it does not allow everything.
    pub granted: Option<Granted>,
}

impl Step {
    /// This key may be used.
    #[must_use]
    pub fn served_by(&self, key: &Key) -> bool {
        if self.pinned.as_ref().is_some_and(|pinned| *key.id != **pinned) {
            return false;
        }
        if self.granted.as_ref().is_some_and(|granted| !granted.opens(&key.id, &key.name)) {
            return false;
        }
        match self.keys {
            Keys::OfModel => key.serves(&self.model),
            Keys::OfAllModels => key.serves_all(),
            Keys::Any => key.disabled.is_none(),
        }
    }
}

/// The steps in order: the asked model, then its fallbacks.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    pub steps: Vec<Step>,
    /// Fallbacks that name no model we have; shown in the attempt list.
    pub ignored: Vec<String>,
    /// Models that the caller may not use: provider, model, the refusal's word and message.
    pub denied: Vec<(Arc<str>, Arc<str>, &'static str, String)>,
    /// How the request is treated on its way.
    pub policy: Policy,
    /// Where a copy of the request goes.
    pub copied: Option<Copied>,
    /// What led to the first step.
    pub led_by: LedBy,
}

/// A copy of a request for another model.
#[derive(Debug, Clone)]
pub struct Copied {
    /// The rule that wants it.
    pub rule: Arc<str>,
    pub to: ModelRef,
}

impl Plan {
    /// More fallbacks than this are ignored: each may cost a timeout.
    pub const MAX_STEPS: usize = MOST_ASKED;

    /// The plan of `lead`. `asked` are the fallbacks of the request body: when it names any, even
    /// none at all, they replace the configured ones. What a rule says stands before them.
    #[must_use]
    pub fn new(lead: &Lead, asked: Option<&[String]>, names: &Names<'_>, order: &Order<'_>) -> Self {
        let snapshot = names.snapshot;
        let policy = lead.rule.as_ref().map(|rule| rule.policy(&snapshot.policy));
        let policy = policy.unwrap_or_else(|| snapshot.policy.clone());
        let mut plan = Self { policy, led_by: lead.led_by, ..Self::default() };
        let first = std::iter::once(lead.key.as_deref()).chain(std::iter::repeat(None));
        lead.targets.iter().zip(first).for_each(|(target, key)| plan.push(target, key, snapshot));
        lead.others.iter().for_each(|(target, key)| plan.push(target, key.as_deref(), snapshot));
        let listed = match lead.rule.as_ref().map(|rule| &rule.after) {
            Some(After::Listed(list)) => Some(list),
            _ => None,
        };
        listed.into_iter().flatten().for_each(|name| plan.push_named(name, names, order));
        match asked {
            Some(asked) => asked.iter().for_each(|name| plan.push_named(name, names, order)),
            None if listed.is_some() => {}
            None => snapshot.fallbacks.iter().for_each(|fallback| plan.push(fallback, None, snapshot)),
        }
        plan
    }

    fn push_named(&mut self, name: &str, names: &Names<'_>, order: &Order<'_>) {
        let found = names.all(name, order);
        if found.is_empty() {
            self.ignored.push(name.to_owned());
        }
        found.iter().for_each(|target| self.push(target, None, names.snapshot));
    }

    /// One provider, whatever the model, and nothing behind it.
    #[must_use]
    pub fn only(target: &ModelRef, keys: Keys, snapshot: &Snapshot) -> Self {
        let mut plan = Self { policy: snapshot.policy.clone(), led_by: LedBy::Path, ..Self::default() };
        plan.push(target, None, snapshot);
        plan.steps.iter_mut().for_each(|step| step.keys = keys);
        plan
    }

    /// `key`: name or id of the one key that is used.
    fn push(&mut self, target: &ModelRef, key: Option<&str>, snapshot: &Snapshot) {
        let Some(provider) = snapshot.provider(&target.provider) else { return };
        let found = key.and_then(|key| provider.keys.iter().find(|own| *own.name == *key || *own.id == *key));
        let pinned: Option<Box<str>> = found.map(|key| Box::from(&*key.id));
        let known = |step: &Step| {
            step.provider.name == target.provider
                && step.model == target.model
                && (step.pinned.is_none() || step.pinned == pinned)
        };
        if self.steps.len() < Self::MAX_STEPS && !self.steps.iter().any(known) {
            self.steps.push(Step {
                provider: Arc::clone(provider),
                model: Arc::clone(&target.model),
                keys: Keys::OfModel,
                prices: None,
                pinned,
                granted: None,
            });
        }
    }
}
