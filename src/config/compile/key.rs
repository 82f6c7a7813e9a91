//! Provider keys: names, identifiers, weights, secrets.

use std::collections::hash_map::DefaultHasher;
use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use http::HeaderValue;

use super::endpoint::Place;
use super::provider::Entry;
use super::{Compiler, account, pricing};
use crate::config::document::At;
use crate::config::problem::Problem;
use crate::config::raw;
use crate::config::snapshot::{Key, Secret};

/// Largest weight: their sum in thousandths must stay far below 2^32.
const MAX_WEIGHT: f64 = 10_000.0;
/// Weight of a key that has none configured, in thousandths.
const PLAIN_WEIGHT: u32 = 1000;

/// The keys of an entry, disabled ones included.
pub(super) fn compile(compiler: &mut Compiler<'_>, entry: &Entry<'_>, place: &Place) -> Vec<Arc<Key>> {
    if entry.raw.keys.is_empty() {
        return without_list(compiler, entry);
    }
    let mut names: HashSet<String> = HashSet::new();
    let mut ids: HashSet<String> = HashSet::new();
    let mut keys = Vec::with_capacity(entry.raw.keys.len());
    for (index, raw) in entry.raw.keys.iter().enumerate() {
        let pointer = entry.at(&format!("keys/{index}"));
        let name = raw.name.clone().unwrap_or_else(|| format!("key-{}", index + 1));
        if !names.insert(name.clone()) {
            let message = format!("the name {name:?} is used by another key of this provider");
            compiler.problem(&format!("{pointer}/name"), At::Value, message);
        }
        if let Some(id) = raw.id.as_ref().filter(|id| !ids.insert((*id).clone())) {
            let message = format!("the id {id:?} is used by another key of this provider");
            compiler.problem(&format!("{pointer}/id"), At::Value, message);
        }
        let mut key = one(compiler, entry, raw, (&pointer, &name));
        account::complete(compiler, entry, raw, (&pointer, place), &mut key);
        keys.push(Arc::new(key));
    }
    if keys.iter().all(|key| key.disabled.is_some()) {
        compiler.warn(&entry.pointer, "no key of this provider is usable; requests to it fail");
    }
    keys
}

/// No `keys`: the environment's, none at all for keyless providers, or a warning.
fn without_list(compiler: &mut Compiler<'_>, entry: &Entry<'_>) -> Vec<Arc<Key>> {
    let variables = if entry.custom { &[] } else { entry.spec.env };
    for variable in variables {
        let Some(text) = compiler.environment.filled(variable) else { continue };
        let text = text.trim();
        if HeaderValue::from_str(text).is_err() {
            compiler.warn(&entry.pointer, format!("{variable} holds characters that a header cannot carry"));
            continue;
        }
        let mut key = plain(entry, variable, Some(Secret::new(text)));
        account::exchange(compiler, entry, &entry.pointer, &mut key);
        return vec![Arc::new(key)];
    }
    if entry.keyless() {
        return vec![Arc::new(plain(entry, "keyless", None))];
    }
    let advice = match variables.first() {
        Some(variable) => format!("set {variable} or add keys"),
        None => "add keys".to_owned(),
    };
    compiler.warn(&entry.pointer, format!("the provider has no key; requests to it fail; {advice}"));
    Vec::new()
}

fn plain(entry: &Entry<'_>, name: &str, secret: Option<Secret>) -> Key {
    Key {
        id: stable_id(entry.name, name),
        known_as: known_as(entry.name, &stable_id(entry.name, name)),
        deployments: HashMap::new(),
        endpoint: None,
        backends: None,
        credential: account::fixed(entry.spec.credential, secret.as_ref()),
        name: Arc::from(name),
        fingerprint: fingerprint(secret.as_ref(), None),
        secret,
        weight: PLAIN_WEIGHT,
        prices: Vec::new(),
        models: Vec::new(),
        blacklisted_models: Vec::new(),
        disabled: None,
    }
}

fn one(compiler: &mut Compiler<'_>, entry: &Entry<'_>, raw: &raw::ProviderKey, at: (&str, &str)) -> Key {
    let (pointer, name) = at;
    let (secret, mut disabled) = secret(compiler, entry, raw, pointer);
    disabled = disabled.or_else(|| account::unset(compiler, pointer));
    if let Some(reason) = disabled.as_ref().filter(|_| raw.enabled) {
        compiler.warn(pointer, format!("the key {name:?} is disabled: {reason}"));
    }
    if !raw.enabled {
        disabled = Some("enabled is false".to_owned());
    }
    let mut models: Vec<Arc<str>> = raw.models.iter().map(|m| Arc::from(m.as_str())).collect();
    if let (true, Some(model)) =
        (models.is_empty(), raw.vllm_key_config.as_ref().and_then(|c| c.model_name.as_deref()))
    {
        models.push(Arc::from(model));
    }
    let id = raw.id.as_deref().map_or_else(|| stable_id(entry.name, name), Arc::from);
    Key {
        deployments: HashMap::new(),
        endpoint: None,
        backends: None,
        credential: account::fixed(entry.spec.credential, secret.as_ref()),
        prices: pricing::rules(compiler, &format!("{pointer}/pricing_overrides"), &raw.pricing_overrides),
        known_as: known_as(entry.name, &id),
        id,
        name: Arc::from(name),
        fingerprint: fingerprint(secret.as_ref(), Some(raw)),
        secret: secret.filter(|_| disabled.is_none()),
        weight: weight(compiler, raw, pointer),
        models,
        blacklisted_models: raw.blacklisted_models.iter().map(|m| Arc::from(m.as_str())).collect(),
        disabled,
    }
}

/// The secret and the account; a weight or a list of models may change without the key becoming another one.
fn fingerprint(secret: Option<&Secret>, raw: Option<&raw::ProviderKey>) -> u64 {
    let accounts = raw.map(|raw| {
        serde_json::to_string(&(&raw.azure_key_config, &raw.vertex_key_config, &raw.bedrock_key_config))
    });
    let mut hasher = DefaultHasher::new();
    secret.map(Secret::expose).hash(&mut hasher);
    accounts.and_then(Result::ok).hash(&mut hasher);
    hasher.finish()
}

fn weight(compiler: &mut Compiler<'_>, raw: &raw::ProviderKey, pointer: &str) -> u32 {
    let pointer = format!("{pointer}/weight");
    if raw.weight < 0.0 || (raw.weight <= 0.0 && raw.enabled) {
        let problem = compiler.document.problem(&pointer, At::Value, "a weight must be above 0");
        compiler.push(&pointer, Problem::suggest(problem, "to switch a key off write \"enabled\": false"));
    } else if raw.weight > MAX_WEIGHT {
        compiler.problem(&pointer, At::Value, format!("a weight must be at most {MAX_WEIGHT}"));
    }
    // Within 1 and 10 million by the clamp.
    (raw.weight.clamp(0.0, MAX_WEIGHT) * 1000.0).round().max(1.0) as u32
}

/// The secret, or why the key has none.
fn secret(
    compiler: &mut Compiler<'_>,
    entry: &Entry<'_>,
    raw: &raw::ProviderKey,
    pointer: &str,
) -> (Option<Secret>, Option<String>) {
    let mut at = format!("{pointer}/value");
    let text = match &raw.value {
        Some(raw::KeyValue::Text(text)) => Some(text.clone()),
        Some(raw::KeyValue::Reference(long)) => match long_form(compiler, long) {
            Ok(text) => {
                at.push_str("/value");
                text
            }
            Err(reason) => return (None, Some(reason)),
        },
        None => None,
    };
    let referenced = match compiler.references.get(&at) {
        Some(Some(reason)) => return (None, Some(reason.clone())),
        Some(None) => true,
        None => matches!(&raw.value, Some(raw::KeyValue::Reference(long)) if long.env_var.is_some()),
    };
    let text = text.as_deref().map(str::trim).unwrap_or_default();
    let fault = match text {
        "" if referenced => "the referenced value is empty",
        "" if entry.keyless() || account::stands_alone(entry, raw) => return (None, None),
        "" if raw.value.is_none() => "the key has no value",
        "" => "the value is empty",
        text if HeaderValue::from_str(text).is_err() => "the value has characters that a header cannot carry",
        text => return (Some(Secret::new(text)), None),
    };
    if !referenced && raw.enabled {
        let at = if raw.value.is_some() { at } else { pointer.to_owned() };
        let problem = compiler.document.problem(&at, At::Value, fault);
        let advice = "write the key, or a reference such as \"env.NAME\"";
        compiler.push(&at, Problem::suggest(problem, advice));
        return (None, None);
    }
    (None, Some(fault.to_owned()))
}

/// `{value, env_var, from_env}`: the variable when it is named, else the value.
fn long_form(compiler: &Compiler<'_>, long: &raw::KeyReference) -> Result<Option<String>, String> {
    let Some(variable) = long.env_var.as_deref().filter(|name| !name.is_empty()) else {
        return Ok(long.value.clone());
    };
    let variable = variable.strip_prefix("env.").unwrap_or(variable);
    match compiler.environment.get(variable) {
        Some(text) => Ok(Some(text)),
        None if !long.from_env && long.value.as_deref().is_some_and(|v| !v.is_empty()) => {
            Ok(long.value.clone())
        }
        None => Err(format!("the environment variable {variable} is not set")),
    }
}

/// Names of providers have no slash.
fn known_as(provider: &str, id: &str) -> Arc<str> {
    Arc::from(format!("{provider}/{id}"))
}

/// FNV-1a over provider and name: the same over reloads and restarts.
fn stable_id(provider: &str, name: &str) -> Arc<str> {
    let bytes = provider.bytes().chain(std::iter::once(0)).chain(name.bytes());
    let hash =
        bytes.fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    Arc::from(format!("{hash:016x}"))
}
