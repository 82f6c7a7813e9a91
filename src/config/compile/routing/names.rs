//! Names of models in rules: what they may be, and where aliases end.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Known, unknown_provider};
use crate::config::compile::{Compiler, preset};
use crate::config::document::At;
use crate::config::problem::child;
use crate::config::raw;

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
    if let Some((left, _)) = name.split_once('/')
        && known.provider(left).is_none()
        && preset::find(left).is_some()
    {
        unknown_provider(compiler, pointer, left, known);
    }
}
