//! Where requests go beside what their model says: aliases, groups and rules, compiled.
//!
//! Names of models stay names here: who has a model is asked when a request comes (`route/model`).

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use govern::balance::Strategy;

use super::expression::{Expression, Who};
use super::policy::{Hedge, Limits, Policy, Priority, Recovery};

/// Models one request is tried with, at most.
pub const MOST_ASKED: usize = 16;

/// All of it. Empty for those who configure none: then nothing is looked at.
#[derive(Debug, Default)]
pub struct Routing {
    /// To the name that is meant, which is no alias.
    pub aliases: HashMap<Arc<str>, Arc<str>>,
    pub groups: HashMap<Arc<str>, Arc<Group>>,
    /// In order: the first that matches decides.
    pub rules: Vec<Arc<Rule>>,
}

/// A name that stands for several models.
#[derive(Debug)]
pub struct Group {
    pub name: Arc<str>,
    pub strategy: Strategy,
    /// At least one.
    pub targets: Vec<RouteTarget>,
}

/// One place a request may go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteTarget {
    /// `None`: whoever has the model.
    pub provider: Option<Arc<str>>,
    /// `None`: what was asked for. Beside a provider a model of it; else a model, an alias or a group.
    pub model: Option<Arc<str>>,
    /// Name or id of the one key that is used.
    pub key: Option<Arc<str>>,
    /// In thousandths.
    pub weight: u32,
}

/// One rule.
#[derive(Debug)]
pub struct Rule {
    pub name: Arc<str>,
    pub scope: Scope,
    /// `None`: every request.
    pub when: Option<Expression>,
    /// Empty: where the request would go anyhow.
    pub targets: Vec<RouteTarget>,
    pub after: After,
    pub treatment: Treatment,
    pub mirror: Option<Mirror>,
    /// It failed once to say whether it matches.
    pub complained: AtomicBool,
}

/// For whom a rule is: ids.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Scope {
    #[default]
    Global,
    Customer(Arc<str>),
    Team(Arc<str>),
    VirtualKey(Arc<str>),
}

impl Scope {
    /// It is for this caller too.
    #[must_use]
    pub fn takes(&self, who: &Who<'_>) -> bool {
        match self {
            Self::Global => true,
            Self::Customer(id) => **id == *who.customer_id,
            Self::Team(id) => **id == *who.team_id,
            Self::VirtualKey(id) => **id == *who.virtual_key_id,
        }
    }
}

/// What is tried when a rule's target fails. What the request itself names comes behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum After {
    /// The rule's other targets, the heaviest first; then what follows anyhow.
    Others,
    /// These.
    Listed(Vec<Arc<str>>),
    /// What follows anyhow.
    Usual,
}

/// What a rule says of a request's way; what it leaves open is as for all requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Treatment {
    pub limits: Limits,
    pub recovery: Option<Recovery>,
    /// `Some(None)`: none, whatever is said elsewhere.
    pub hedge: Option<Option<Hedge>>,
    pub priority: Option<Priority>,
}

/// Where copies of requests go.
#[derive(Debug, Clone, PartialEq)]
pub struct Mirror {
    pub model: Arc<str>,
    /// Of the requests that match, per million.
    pub share_ppm: u32,
}

impl Routing {
    /// Nothing is configured.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.aliases.is_empty() && self.groups.is_empty() && self.rules.is_empty()
    }

    /// The name that is meant: no alias.
    #[must_use]
    pub fn meant<'n>(&'n self, name: &'n str) -> &'n str {
        if self.aliases.is_empty() {
            return name;
        }
        self.aliases.get(name).map_or(name, AsRef::as_ref)
    }

    /// The names that are configured here.
    pub fn names(&self) -> impl Iterator<Item = Arc<str>> {
        self.aliases.keys().chain(self.groups.keys()).cloned()
    }

    /// The group of this name.
    #[must_use]
    pub fn group(&self, name: &str) -> Option<&Arc<Group>> {
        if self.groups.is_empty() {
            return None;
        }
        self.groups.get(name)
    }
}

impl Rule {
    /// True the first time only.
    #[must_use]
    pub fn complains_first(&self) -> bool {
        !self.complained.swap(true, Ordering::Relaxed)
    }

    /// The policy of a request that this rule matches.
    #[must_use]
    pub fn policy(&self, base: &Policy) -> Policy {
        let Treatment { limits, recovery, hedge, priority } = self.treatment;
        Policy {
            rule: Some(Arc::clone(&self.name)),
            limits: Limits {
                first_byte: limits.first_byte.or(base.limits.first_byte),
                first_token: limits.first_token.or(base.limits.first_token),
                idle: limits.idle.or(base.limits.idle),
                request: limits.request.or(base.limits.request),
                total: limits.total.or(base.limits.total),
            },
            recovery: recovery.or(base.recovery),
            hedge: hedge.unwrap_or(base.hedge),
            priority: priority.unwrap_or(base.priority),
        }
    }
}
