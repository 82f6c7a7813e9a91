//! Names of models in rules: what they may be, and where aliases end.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Known, unknown_provider};
use crate::config::compile::{Compiler, preset};
use crate::config::document::At;
use crate::config::problem::{child, did_you_mean};
use crate::config::raw;
use crate::config::snapshot::Key;

/// Longest name of an alias or group; what callers may write is no longer.
const LONGEST: usize = 256;
/// More aliases in a row than this are a circle.
const CHAIN: usize = 64;

/// Each alias with the name at the end of its chain.
pub(super) fn aliases(
    compiler: &mut Compiler<'_>,
    raw: &raw::Routing,
    known: &Known<'_>,
) -> HashMap<Arc<str>, Arc<str>> {
    let mut meant = HashMap::with_capacity(raw.aliases.len());
    for (name, target) in &raw.aliases {
        let pointer = child("/routing/aliases", name);
        check_new(compiler, (name, &pointer), known);
        let last = last(name, raw);
        if raw.aliases.contains_key(last) {
            let message = format!("the alias {name:?} ends nowhere: it comes back to {last:?}");
            compiler.problem(&pointer, At::Value, message);
            continue;
        }
        check(compiler, (&pointer, target), raw, known);
        meant.insert(Arc::from(name.as_str()), Arc::from(last));
    }
    meant
}

/// Where a chain of aliases ends; some name of it when it does not.
pub(super) fn last<'n>(name: &'n str, raw: &'n raw::Routing) -> &'n str {
    let mut name = name;
    for _ in 0..CHAIN {
        match raw.aliases.get(name) {
            Some(next) => name = next,
            None => return name,
        }
    }
    name
}

/// What a name means beside `provider`: an alias of one of its models is that model.
pub(super) fn beside<'n>(
    compiler: &mut Compiler<'_>,
    (pointer, name): (&str, &'n str),
    provider: &str,
    (raw, known): (&'n raw::Routing, &Known<'_>),
) -> &'n str {
    if name.is_empty() {
        compiler.problem(pointer, At::Value, "the name of the model is empty");
    }
    let meant = last(name, raw);
    if raw.groups.contains_key(meant) {
        let message = format!("{meant:?} is a group, which names its providers itself");
        compiler.problem(pointer, At::Value, message);
    }
    if meant == name {
        return name;
    }
    let split = meant.split_once('/').and_then(|(left, model)| Some((known.provider(left)?, model)));
    match split {
        Some((other, model)) if known.provider(provider).is_some_and(|own| own.name == other.name) => model,
        Some((other, _)) => {
            let message = format!("the alias {name:?} is a model of {}, not of {provider}", other.name);
            compiler.problem(pointer, At::Value, message);
            meant
        }
        None => meant,
    }
}

/// A new name that hides no provider's models.
pub(super) fn check_new(compiler: &mut Compiler<'_>, (name, pointer): (&str, &str), known: &Known<'_>) {
    let message = match name.split_once('/') {
        _ if name.is_empty() || name.len() > LONGEST || name.chars().any(char::is_control) => {
            format!("a name must have 1 to {LONGEST} characters without control characters")
        }
        Some((left, _)) if known.provider(left).is_some() => {
            format!("{name:?} is a model of the provider {left:?}: it cannot be another name")
        }
        _ => return,
    };
    compiler.problem(pointer, At::Name, message);
}

/// A name that can lead somewhere. Whether somebody has the model is not known before a request asks.
pub(super) fn check(
    compiler: &mut Compiler<'_>,
    (pointer, name): (&str, &str),
    raw: &raw::Routing,
    known: &Known<'_>,
) {
    if name.is_empty() {
        compiler.problem(pointer, At::Value, "the name of the model is empty");
        return;
    }
    if raw.aliases.contains_key(name) || raw.groups.contains_key(name) {
        return;
    }
    let Some((left, model)) = name.split_once('/') else { return };
    if known.provider(left).is_some() {
        if model.is_empty() {
            compiler.problem(pointer, At::Value, format!("no model stands behind {name:?}"));
        }
    } else if preset::find(left).is_some() {
        unknown_provider(compiler, pointer, left, known);
    } else if let Some(near) = did_you_mean(left, known.by_name.keys().map(AsRef::as_ref)) {
        // Models have slashes in their names too.
        let listed = |key: &Arc<Key>| key.models.iter().any(|model| **model == *name);
        if !known.providers.iter().any(|provider| provider.keys.iter().any(listed)) {
            let message = format!(
                "no provider {left:?} is configured, so {name:?} is a model's name; did you mean {near:?}?"
            );
            compiler.warn(pointer, message);
        }
    }
}
