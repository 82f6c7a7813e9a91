//! What a request leads to before its fallbacks: the model asked for, a group's models, or a rule's target.
//!
//! Pure lookups, and one pick by weight. How a group's models do at the moment is told by whoever calls.

use std::sync::Arc;

use govern::balance::{self, Candidate, Outlook, Strategy};
use govern::catalog::Catalog;

use super::endpoint::Family;
use super::model;
use crate::config::expression::{Facts, Unanswered};
use crate::config::routing::{After, Group, RouteTarget, Rule};
use crate::config::snapshot::{ModelRef, Snapshot};
use crate::telemetry::record::LedBy;

/// What names of models are looked up in.
#[derive(Clone, Copy)]
pub struct Names<'a> {
    pub family: Family,
    pub snapshot: &'a Snapshot,
    pub catalog: &'a Catalog<'a>,
}

/// The order in which a group's models are tried, with their weights in thousandths: indexes, the first one first.
pub type Order<'o> = dyn Fn(Strategy, &[(ModelRef, u32)]) -> Vec<usize> + 'o;

/// What stands before the fallbacks.
#[derive(Debug, Default)]
pub struct Lead {
    /// The first that is tried, and for a group what stands in for it.
    pub targets: Vec<ModelRef>,
    /// The rule's other targets, where they stand in, with name or id of the one key that is used there.
    pub others: Vec<(ModelRef, Option<Arc<str>>)>,
    /// Name or id of the one key that is used at the first.
    pub key: Option<Arc<str>>,
    pub rule: Option<Arc<Rule>>,
    /// Provider of the model that was asked for, where that is one model: what callers name of keys is about it.
    pub asked: Option<Arc<str>>,
    /// What led to the first target, a rule aside.
    pub led_by: LedBy,
}

/// What decides among a rule's targets.
#[derive(Debug, Clone, Copy)]
pub struct Pick {
    pub random: u64,
    /// Requests of one session go to one target.
    pub session: Option<u64>,
}

impl Lead {
    /// One model, without rules.
    #[must_use]
    pub fn to(target: ModelRef) -> Self {
        Self { asked: Some(Arc::clone(&target.provider)), targets: vec![target], ..Self::default() }
    }
}

impl Names<'_> {
    /// All models a name stands for, best first; none when nobody has it.
    #[must_use]
    pub fn all(&self, name: &str, order: &Order<'_>) -> Vec<ModelRef> {
        let name = self.snapshot.routing.meant(name);
        match self.snapshot.routing.group(name) {
            Some(group) => self.ordered(group, order),
            None => model::find(name, self.family, self.snapshot, self.catalog).into_iter().collect(),
        }
    }

    /// A group's models, best first.
    #[must_use]
    pub fn ordered(&self, group: &Group, order: &Order<'_>) -> Vec<ModelRef> {
        let members: Vec<(ModelRef, u32)> = members(group, self).collect();
        let ordered = order(group.strategy, &members);
        ordered.into_iter().filter_map(|at| members.get(at)).map(|(member, _)| member.clone()).collect()
    }

    /// Where a rule's target is, for a request that would go to `asked` for the model `name`.
    fn of_target(
        &self,
        target: &RouteTarget,
        asked: &[ModelRef],
        name: &str,
        order: &Order<'_>,
    ) -> Vec<ModelRef> {
        let (provider, model) = match (&target.provider, &target.model) {
            (None, None) => return asked.to_vec(),
            (None, Some(model)) => return self.all(model, order),
            (Some(provider), Some(model)) => (provider, &**model),
            (Some(provider), None) => (provider, asked.first().map_or(name, |asked| &*asked.model)),
        };
        let found = self.snapshot.provider(provider);
        let found = found.map(|found| ModelRef { provider: Arc::clone(&found.name), model: model.into() });
        found.into_iter().collect()
    }
}

/// A group's models that somebody has, with their weights.
pub fn members<'a>(group: &'a Group, names: &'a Names<'_>) -> impl Iterator<Item = (ModelRef, u32)> + 'a {
    group.targets.iter().filter_map(|target| {
        let model = target.model.as_deref()?;
        let found = match target.provider.as_deref() {
            Some(provider) => {
                let provider = Arc::clone(&names.snapshot.provider(provider)?.name);
                ModelRef { provider, model: model.into() }
            }
            None => model::find(model, names.family, names.snapshot, names.catalog)?,
        };
        Some((found, target.weight))
    })
}

/// The first rule that matches. `unanswered` is told of those that could not say.
pub fn matching<'s>(
    rules: &'s [Arc<Rule>],
    facts: &Facts<'_>,
    mut unanswered: impl FnMut(&Rule, &Unanswered),
) -> Option<&'s Arc<Rule>> {
    rules.iter().find(|rule| {
        if !rule.scope.takes(&facts.who) {
            return false;
        }
        let Some(when) = &rule.when else { return true };
        when.holds(facts).unwrap_or_else(|why| {
            unanswered(rule, &why);
            false
        })
    })
}

/// What a request that `rule` matches leads to. `asked` is where it would go without, for the model `name`.
#[must_use]
pub fn ruled(
    rule: &Arc<Rule>,
    (asked, name): (Vec<ModelRef>, &str),
    names: &Names<'_>,
    order: &Order<'_>,
    pick: Pick,
) -> Lead {
    let rule = Arc::clone(rule);
    if rule.targets.is_empty() {
        return Lead { targets: asked, rule: Some(rule), ..Lead::default() };
    }
    let found: Vec<Vec<ModelRef>> =
        rule.targets.iter().map(|target| names.of_target(target, &asked, name, order)).collect();
    // What nobody has any more is not asked.
    let weights = rule.targets.iter().zip(&found).map(|(target, found)| Candidate {
        weight: target.weight.into(),
        eligible: !found.is_empty() && target.weight > 0,
    });
    let picked = match pick.session {
        Some(session) => {
            let outlooks = weights.zip(&found).map(|(candidate, found)| {
                let mut outlook = Outlook::of(u32::try_from(candidate.weight).unwrap_or(u32::MAX));
                outlook.candidate = candidate;
                (outlook, found.first().map_or(0, identity))
            });
            balance::affine(outlooks, session)
        }
        None => balance::pick_from(weights, pick.random),
    };
    let key = picked.and_then(|at| rule.targets.get(at)).and_then(|target| target.key.clone());
    let targets = picked.and_then(|at| found.get(at)).cloned().unwrap_or_default();
    let mut others: Vec<(&RouteTarget, &Vec<ModelRef>)> = Vec::new();
    if rule.after == After::Others {
        let rest = rule.targets.iter().zip(&found).enumerate().filter(|(at, _)| Some(*at) != picked);
        others.extend(rest.map(|(_, pair)| pair));
        others.sort_by_key(|(target, _)| std::cmp::Reverse(target.weight));
    }
    let keyed = |(target, found): (&RouteTarget, &Vec<ModelRef>)| {
        let key = target.key.clone();
        found.clone().into_iter().map(move |found| (found, key.clone()))
    };
    let others = others.into_iter().flat_map(keyed).collect();
    Lead { targets, others, key, rule: Some(rule), asked: None, led_by: LedBy::Rule }
}

/// Tells targets apart, the same everywhere and always.
fn identity(target: &ModelRef) -> u64 {
    let bytes = target.provider.bytes().chain([b'/']).chain(target.model.bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
