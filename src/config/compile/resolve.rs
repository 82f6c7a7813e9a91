//! Replaces the references in the parts of the tree that are active.
//!
//! Parts that no code of this version reads keep their references as text: an unset variable of an
//! inactive feature must not stop the start.

use serde_json::Value;

use super::Compiler;
use super::inactive::PLUGINS;
use crate::config::document::At;
use crate::config::problem::{Problem, child};
use crate::config::reference::{Unresolved, resolve};

const ACTIVE: [&str; 12] = [
    "server",
    "client",
    "providers",
    "fallbacks",
    "routing",
    "framework",
    "auth_config",
    "encryption_key",
    "config_store",
    "logs_store",
    "cluster",
    "vector_store",
];
/// Fields below the active parts that are not read, patterns (a `$` in them is no reference), the one that
/// names a variable without being a reference, and conditions of rules.
const LEFT_ALONE: [&str; 5] = ["env_var", "pricing_overrides", "batch_s3_config", "aliases", "when"];

/// Replaces references below `root`; those without a value are problems, or disable their key.
pub(super) fn references(compiler: &mut Compiler<'_>, root: &mut Value) {
    for name in ACTIVE {
        if let Some(value) = root.get_mut(name) {
            walk(compiler, value, &child("", name));
        }
    }
    if let Some(value) = root.pointer_mut("/governance/auth_config") {
        walk(compiler, value, "/governance/auth_config");
    }
    let plugins = root.get_mut("plugins").and_then(Value::as_array_mut);
    for (index, plugin) in plugins.into_iter().flatten().enumerate() {
        let runs = plugin.get("enabled") != Some(&Value::Bool(false));
        let known = plugin.get("name").and_then(Value::as_str).is_some_and(|name| PLUGINS.contains(&name));
        if let Some(config) = plugin.get_mut("config").filter(|_| runs && known) {
            walk(compiler, config, &format!("/plugins/{index}/config"));
        }
    }
    // The rest of `governance` is names, amounts and conditions.
    let keys = root.pointer_mut("/governance/virtual_keys").and_then(Value::as_array_mut);
    for (index, key) in keys.into_iter().flatten().enumerate() {
        of_key(compiler, key, &format!("/governance/virtual_keys/{index}"));
    }
}

/// Replaces the references of one virtual key.
pub(super) fn virtual_key(compiler: &mut Compiler<'_>, root: &mut Value) {
    of_key(compiler, root, "");
}

fn of_key(compiler: &mut Compiler<'_>, key: &mut Value, pointer: &str) {
    for name in ["value", "value_hash"] {
        if let Some(value) = key.get_mut(name) {
            walk(compiler, value, &child(pointer, name));
        }
    }
}

fn walk(compiler: &mut Compiler<'_>, value: &mut Value, pointer: &str) {
    match value {
        Value::String(text) => {
            if let Some(new) = text_of(compiler, text, pointer) {
                *text = new;
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                walk(compiler, item, &child(pointer, &index.to_string()));
            }
        }
        Value::Object(map) => {
            // Names under `aliases` of routing are read, whatever they are.
            let open = pointer.starts_with("/routing/aliases") || pointer == "/routing";
            let read = |name: &String| open || !LEFT_ALONE.contains(&name.as_str());
            for (name, inner) in map.iter_mut().filter(|(name, _)| read(name)) {
                walk(compiler, inner, &child(pointer, name));
            }
        }
        _ => {}
    }
}

fn text_of(compiler: &mut Compiler<'_>, text: &str, pointer: &str) -> Option<String> {
    match resolve(text, &compiler.document.directory, compiler.environment) {
        Ok(None) => None,
        Ok(Some(new)) => {
            compiler.references.insert(pointer.to_owned(), None);
            Some(new)
        }
        Err(Unresolved::Variable(name)) if is_key_value(pointer) => {
            let reason = format!("the environment variable {name} is not set");
            compiler.references.insert(pointer.to_owned(), Some(reason));
            None
        }
        Err(unresolved) => {
            let problem = compiler.document.problem(pointer, At::Value, unresolved.to_string());
            let advice = match unresolved {
                Unresolved::Variable(name) => format!("set {name} or write the value here"),
                Unresolved::File { .. } => "relative paths start at the configuration file".to_owned(),
            };
            compiler.push(pointer, Problem::suggest(problem, advice));
            None
        }
    }
}

/// `/governance/virtual_keys/N/value`, `/providers/NAME/keys/N/value`, the `value` of its long form, and the settings of an account.
fn is_key_value(pointer: &str) -> bool {
    let segments: Vec<&str> = pointer.split('/').collect();
    match segments.as_slice() {
        ["", "value"] | ["", "governance", "virtual_keys", _, "value"] => true,
        ["", "providers", _, "keys", _, "value"] | ["", "providers", _, "keys", _, "value", "value"] => true,
        ["", "providers", _, "keys", _, settings, _] => settings.ends_with("_key_config"),
        _ => false,
    }
}
