//! Virtual keys: whose they are, what they open, until when.
//!
//! The key itself is turned into its hash at once and never leaves this file, not into messages either.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use govern::moment::rfc3339;

use super::owners::{filled, provider};
use super::quotas::{self, known as known_id};
use super::shared::shared;
use super::{Known, Taken};
use crate::config::compile::{Compiler, routing};
use crate::config::document::At;
use crate::config::governance::{Grant, KeyHash, Names, VirtualKey};
use crate::config::problem::{Problem, child, did_you_mean};
use crate::config::raw::{self, Governed as _};

/// Characters of a key below which it can be guessed.
const SHORT: usize = 24;

/// The keys of the file.
pub(super) fn all(
    compiler: &mut Compiler<'_>,
    raw: &[raw::VirtualKey],
    known: &Known<'_>,
) -> Vec<Arc<VirtualKey>> {
    let (mut taken, mut hashes) = (Taken::default(), HashMap::new());
    let mut keys: Vec<Arc<VirtualKey>> = Vec::with_capacity(raw.len());
    for (index, raw) in raw.iter().enumerate() {
        let pointer = format!("/governance/virtual_keys/{index}");
        let key = one(compiler, &pointer, raw, (&mut taken, known));
        for (hash, _) in &key.hashes {
            if let Some(other) = hashes.insert(*hash, index) {
                let field = if raw.value.is_some() { "value" } else { "value_hash" };
                let message = format!("virtual_keys[{other}] has the same key");
                compiler.problem(&child(&pointer, field), At::Value, message);
            }
        }
        keys.push(Arc::new(key));
    }
    keys
}

pub(super) fn one<'r>(
    compiler: &mut Compiler<'_>,
    pointer: &str,
    raw: &'r raw::VirtualKey,
    (taken, known): (&mut Taken<'r>, &Known<'_>),
) -> VirtualKey {
    let (id, name) = taken.both(compiler, pointer, (raw.id.as_deref(), &raw.name));
    let (team, customer) = (filled(raw.team_id.as_deref()), filled(raw.customer_id.as_deref()));
    let of_customer = child(pointer, "customer_id");
    if team.is_some() && customer.is_some() {
        let message = "a key belongs to a team or to a customer, not to both";
        let problem = compiler.document.problem(&of_customer, At::Name, message);
        compiler.push(&of_customer, problem.suggest("leave it out: the team says whose it is"));
    }
    // A million keys share the names of their teams.
    let team = team.and_then(|id| {
        let found = known_id(compiler, (&child(pointer, "team_id"), id), known.teams, "teams");
        found.map(|team| Arc::clone(&team.id))
    });
    let customer = customer.and_then(|id| {
        let found = known_id(compiler, (&of_customer, id), known.customers, "customers");
        found.map(|customer| Arc::clone(&customer.id))
    });
    if !raw.mcp_configs.is_empty() {
        compiler
            .warn(&child(pointer, "mcp_configs"), "mcp_configs is configured but not active in this version");
    }
    VirtualKey {
        id,
        name,
        hashes: hashes(compiler, pointer, raw),
        active: raw.is_active,
        expires_ms: moment(compiler, &child(pointer, "expires_at"), raw.expires_at.as_deref()),
        team,
        customer,
        grants: raw.provider_configs.as_deref().map(|list| grants(compiler, pointer, list, known)),
        quotas: quotas::of(compiler, pointer, raw.allowance(), known.named),
        log_content: raw.log_content,
    }
}

/// The key's own hash, then those that a rotation lets live on.
fn hashes(
    compiler: &mut Compiler<'_>,
    pointer: &str,
    raw: &raw::VirtualKey,
) -> Box<[(KeyHash, Option<u64>)]> {
    let mut hashes = Vec::with_capacity(1 + raw.previous.len());
    hashes.extend(own_hash(compiler, pointer, raw).map(|hash| (hash, None)));
    for (index, old) in raw.previous.iter().enumerate() {
        let at = format!("{pointer}/previous/{index}");
        let of_end = child(&at, "expires_at");
        let end = moment(compiler, &of_end, Some(&old.expires_at));
        let hash = read_hash(compiler, &child(&at, "value_hash"), &old.value_hash);
        hashes.extend(hash.zip(end).map(|(hash, end)| (hash, Some(end))));
    }
    hashes.into()
}

fn own_hash(compiler: &mut Compiler<'_>, pointer: &str, raw: &raw::VirtualKey) -> Option<KeyHash> {
    let (of_value, of_hash) = (child(pointer, "value"), child(pointer, "value_hash"));
    match (filled(raw.value.as_deref()), filled(raw.value_hash.as_deref())) {
        (Some(_), Some(_)) => {
            compiler.problem(&of_hash, At::Name, "`value` says the same: one of the two is enough");
            None
        }
        (Some(value), None) => {
            if let Some(Some(reason)) = compiler.references.get(&of_value) {
                let message = format!("the key is not taken from anybody: {reason}");
                compiler.warn(pointer, message);
                return None;
            }
            check_value(compiler, &of_value, value);
            Some(KeyHash::of(value))
        }
        (None, Some(text)) => read_hash(compiler, &of_hash, text),
        (None, None) => {
            let problem =
                compiler.document.problem(pointer, At::Value, "a virtual key needs `value` or `value_hash`");
            compiler.push(&of_value, problem.suggest("`bifrost keys new` makes both"));
            None
        }
    }
}

fn check_value(compiler: &mut Compiler<'_>, pointer: &str, value: &str) {
    if !value.bytes().all(|byte| byte.is_ascii_graphic()) {
        let message = "expected ASCII letters, digits and signs: a header cannot carry others";
        compiler.problem(pointer, At::Value, message);
    } else if !value.starts_with(KeyHash::PREFIX) {
        let message = format!(
            "the key does not begin with {:?}: it is taken in the header x-bf-vk only",
            KeyHash::PREFIX
        );
        compiler.warn(pointer, message);
    } else if value.len() < SHORT {
        let message = "the key is short enough to be guessed; `bifrost keys new` makes a good one";
        compiler.warn(pointer, message);
    }
}

fn read_hash(compiler: &mut Compiler<'_>, pointer: &str, text: &str) -> Option<KeyHash> {
    let hash = KeyHash::read(text);
    if hash.is_none() {
        compiler.problem(pointer, At::Value, "expected a SHA-256 as 64 hexadecimal digits");
    }
    hash
}

fn moment(compiler: &mut Compiler<'_>, pointer: &str, text: Option<&str>) -> Option<u64> {
    let text = filled(text)?;
    let read = rfc3339(text);
    if read.is_none() {
        let message = "expected a moment such as 2030-12-31T23:59:59Z";
        compiler.problem(pointer, At::Value, message);
    }
    read
}

fn grants(
    compiler: &mut Compiler<'_>,
    pointer: &str,
    list: &[raw::ProviderConfig],
    known: &Known<'_>,
) -> Box<[Grant]> {
    let pointer = child(pointer, "provider_configs");
    if list.is_empty() {
        noted_empty(compiler, &pointer, "provider_configs", "no provider");
    }
    let mut taken = HashSet::new();
    let grants = list.iter().enumerate().filter_map(|(index, raw)| {
        let at = child(&pointer, &index.to_string());
        let grant = grant(compiler, &at, raw, known)?;
        if !taken.insert(Arc::clone(&grant.provider)) {
            let message = format!("the provider {:?} stands here before", raw.provider);
            compiler.problem(&child(&at, "provider"), At::Value, message);
        }
        Some(grant)
    });
    grants.collect()
}

fn grant(
    compiler: &mut Compiler<'_>,
    pointer: &str,
    raw: &raw::ProviderConfig,
    known: &Known<'_>,
) -> Option<Grant> {
    let quotas = quotas::of(compiler, pointer, raw.allowance(), known.named);
    let models = names(compiler, (pointer, "allowed_models"), raw.allowed_models.as_deref(), "no model");
    let keys = names(compiler, (pointer, "key_ids"), raw.key_ids.as_deref(), "no provider key");
    if raw.weight.is_some_and(|weight| !(0.0..=1_000_000.0).contains(&weight)) {
        compiler.problem(&child(pointer, "weight"), At::Value, "expected a number from 0 to 1000000");
    }
    let provider = provider(compiler, (&child(pointer, "provider"), &raw.provider), &known.routing())?;
    if let Names::Listed(ids) = &keys {
        ids.iter().enumerate().for_each(|(index, id)| {
            own_key(compiler, (&format!("{pointer}/key_ids/{index}"), id), &provider, known);
        });
    }
    Some(Grant {
        provider,
        weight: raw.weight.filter(|weight| *weight > 0.0).map(routing::thousandths),
        models,
        denied: raw.blacklisted_models.iter().map(|name| shared(name)).collect(),
        keys,
        quotas,
    })
}

/// The provider has a key of this id or name.
fn own_key(compiler: &mut Compiler<'_>, (pointer, id): (&str, &str), provider: &str, known: &Known<'_>) {
    let providers = known.routing();
    let Some(provider) = providers.provider(provider) else { return };
    if provider.keys.iter().any(|key| *key.id == *id || *key.name == *id) {
        return;
    }
    let message = format!("{} has no key {id:?}", provider.name);
    let problem = compiler.document.problem(pointer, At::Value, message);
    let near = did_you_mean(id, provider.keys.iter().map(|own| &*own.name));
    let problem = match near {
        Some(near) => Problem::suggest(problem, format!("did you mean {near:?}?")),
        None => problem,
    };
    compiler.push(pointer, problem);
}

/// Absent, or with `*` in it: everything. Empty: nothing.
fn names(
    compiler: &mut Compiler<'_>,
    (pointer, field): (&str, &str),
    list: Option<&[String]>,
    nothing: &str,
) -> Names {
    let at = child(pointer, field);
    let Some(list) = list else { return Names::All };
    if list.is_empty() {
        noted_empty(compiler, &at, field, nothing);
    }
    if let Some(index) = list.iter().position(|name| name.trim().is_empty()) {
        compiler.problem(&child(&at, &index.to_string()), At::Value, "the name is empty");
    }
    if list.iter().any(|name| name == "*") {
        return Names::All;
    }
    Names::Listed(list.iter().map(|name| shared(name)).collect())
}

/// The one list that does not mean what it did where this file may come from.
fn noted_empty(compiler: &mut Compiler<'_>, pointer: &str, field: &str, nothing: &str) {
    let how = if field == "provider_configs" { "leave it out" } else { "leave it out or write [\"*\"]" };
    compiler.warn(
        pointer,
        format!(
            "an empty list allows {nothing}, where Bifrost before 1.5 allowed every one; for every one {how}"
        ),
    );
}
