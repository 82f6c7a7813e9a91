//! `governance`: who may use the gateway and for how much. Names that exist, amounts that are ones, keys that nobody
//! else has.
//!
//! The same checks serve the configuration file and what a store holds: [`compile_virtual_key`] and its siblings take one
//! entity and what it may refer to.

mod entity;
mod key;
mod owners;
mod quotas;
mod shared;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use http::HeaderName;

pub use entity::{compile_customer, compile_team, compile_virtual_key, virtual_key_of};

use super::Compiler;
use super::routing;
use crate::config::document::At;
use crate::config::governance::{Customer, Governance, Named, Team};
use crate::config::problem::child;
use crate::config::raw;
use crate::config::snapshot::{Provider, Snapshot};

/// What an entity may refer to.
#[derive(Clone, Copy)]
pub struct Known<'a> {
    pub providers: &'a [Arc<Provider>],
    pub by_name: &'a HashMap<Arc<str>, usize>,
    pub teams: &'a HashMap<Arc<str>, Arc<Team>>,
    pub customers: &'a HashMap<Arc<str>, Arc<Customer>>,
    pub named: &'a Named,
}

impl<'a> Known<'a> {
    /// What the configuration in force has.
    #[must_use]
    pub fn of(snapshot: &'a Snapshot) -> Self {
        Self {
            providers: &snapshot.providers,
            by_name: &snapshot.by_name,
            teams: &snapshot.governance.teams,
            customers: &snapshot.governance.customers,
            named: &snapshot.governance.named,
        }
    }

    fn routing(&self) -> routing::Known<'a> {
        routing::Known { providers: self.providers, by_name: self.by_name }
    }
}

/// `governance`, and what `client` says of callers.
pub(super) fn compile(
    compiler: &mut Compiler<'_>,
    config: &raw::Config,
    providers: &routing::Known<'_>,
) -> Governance {
    let plain = raw::Governance::default();
    let raw = config.governance.as_ref().unwrap_or(&plain);
    let named = quotas::named(compiler, raw);
    let mut governance = Governance {
        named,
        enforced: [
            config.client.enforce_auth_on_inference,
            config.client.enforce_governance_header,
            config.client.enforce_scim_auth,
        ]
        .contains(&true),
        required_headers: required_headers(compiler, &config.client),
        reservations: raw.reservations,
        ..Governance::default()
    };
    owners::customers(compiler, raw, &mut governance);
    owners::teams(compiler, raw, &mut governance);
    owners::providers(compiler, raw, providers, &mut governance);
    owners::models(compiler, raw, providers, &mut governance);
    let known = Known {
        providers: providers.providers,
        by_name: providers.by_name,
        teams: &governance.teams,
        customers: &governance.customers,
        named: &governance.named,
    };
    governance.virtual_keys = key::all(compiler, &raw.virtual_keys, &known);
    governance
}

fn required_headers(compiler: &mut Compiler<'_>, raw: &raw::Client) -> Vec<HeaderName> {
    let mut names = Vec::with_capacity(raw.required_headers.len());
    for (index, text) in raw.required_headers.iter().enumerate() {
        match HeaderName::from_bytes(text.trim().as_bytes()) {
            Ok(name) if names.contains(&name) => {}
            Ok(name) => names.push(name),
            Err(_) => {
                let pointer = child("/client/required_headers", &index.to_string());
                compiler.problem(&pointer, At::Value, format!("{text:?} is no name of a header"));
            }
        }
    }
    names
}

/// Longest id or name: they stand in logs, labels and keys of stores.
const LONGEST: usize = 255;

/// Names and ids of one kind of entity, each of them once.
#[derive(Default)]
struct Taken<'r> {
    ids: HashSet<&'r str>,
    names: HashSet<&'r str>,
}

impl<'r> Taken<'r> {
    /// Id and name of an entity. What is wrong with them is noted; they are never empty on the way on.
    fn both(
        &mut self,
        compiler: &mut Compiler<'_>,
        pointer: &str,
        (id, name): (Option<&'r str>, &'r str),
    ) -> (Arc<str>, Arc<str>) {
        let of_name = child(pointer, "name");
        if let Some(message) = unnamed(name) {
            compiler.problem(&of_name, At::Value, message);
        } else if !self.names.insert(name) {
            compiler.problem(&of_name, At::Value, format!("the name {name:?} was given before"));
        }
        let shared: Arc<str> = name.into();
        let (of_id, id) = match id {
            Some(id) => (child(pointer, "id"), id),
            None => (of_name, name),
        };
        if let Some(message) = unnamed(id) {
            compiler.problem(&of_id, At::Value, message);
        } else if !self.ids.insert(id) {
            compiler.problem(&of_id, At::Value, format!("the id {id:?} was given before"));
        }
        let id = if id == name { Arc::clone(&shared) } else { id.into() };
        (id, shared)
    }
}

fn unnamed(text: &str) -> Option<String> {
    let bad = text.trim().is_empty() || text.len() > LONGEST || text.chars().any(char::is_control);
    bad.then(|| format!("expected a text of 1 to {LONGEST} bytes without control characters"))
}

#[cfg(test)]
mod tests;
