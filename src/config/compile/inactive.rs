//! Warnings for settings that load and do nothing yet.
//!
//! Only for what differs from doing nothing: a store that is disabled, or a size left at its default,
//! is no news.

use serde::Serialize;
use serde_json::{Map, Value};

use super::Compiler;
use crate::config::problem::child;
use crate::config::raw;

/// Settings of `client` that are read.
const CLIENT_ACTIVE: [&str; 22] = [
    "enable_logging",
    "log_retention_days",
    "enforce_auth_on_inference",
    "enforce_governance_header",
    "enforce_scim_auth",
    "required_headers",
    "allowed_headers",
    "allowed_origins",
    "drop_excess_requests",
    "highest_priority",
    "aws_access_keys",
    "fetch_allowed_hosts",
    "fetch_max_size_mb",
    "fetch_private_addresses",
    "allow_direct_keys",
    "max_request_body_size_mb",
    "request_read_timeout_in_seconds",
    "request_body_timeout_in_seconds",
    "prometheus_labels",
    "disable_content_logging",
    "max_logged_body_kb",
    "logging_headers",
];
/// Sections that are read, and the one that is for editors.
const TOP_ACTIVE: [&str; 18] = [
    "vector_store",
    "threshold",
    "cluster",
    "plugins",
    "auth_config",
    "encryption_key",
    "$schema",
    "server",
    "client",
    "providers",
    "fallbacks",
    "hedging",
    "streaming",
    "routing",
    "governance",
    "framework",
    "config_store",
    "logs_store",
];

/// Plugins that run.
pub(super) const PLUGINS: [&str; 3] = [super::cache::NAME, super::telemetry::PLUGIN, super::traces::NAME];

const PROVIDER_INACTIVE: [&str; 3] = ["send_back_raw_request", "send_back_raw_response", "openai_config"];
const KEY_INACTIVE: [&str; 1] = ["use_for_batch_api"];
const OPERATIONS_ACTIVE: [&str; 5] =
    ["chat_completion", "chat_completion_stream", "embedding", "count_tokens", "rerank"];

/// Warns for every setting that is written, says something, and is not read.
pub(super) fn report(compiler: &mut Compiler<'_>, config: &raw::Config) {
    let top = fields(config);
    let plain = fields(&raw::Config::default());
    for (name, value) in top.iter().filter(|(name, _)| !TOP_ACTIVE.contains(&name.as_str())) {
        if plain.get(name) != Some(value) && !switched_off(value) {
            warn(compiler, &child("", name), name);
        }
    }
    let plain = fields(&raw::Client::default());
    for (name, value) in fields(&config.client) {
        if !CLIENT_ACTIVE.contains(&name.as_str()) && plain.get(&name) != Some(&value) {
            warn(compiler, &child("/client", &name), &format!("client.{name}"));
        }
    }
    for (index, plugin) in config.plugins.iter().enumerate() {
        if plugin.enabled && !PLUGINS.contains(&plugin.name.as_str()) {
            let message = format!("the plugin {} is configured but not active in this version", plugin.name);
            compiler.warn(&format!("/plugins/{index}"), message);
        }
    }
    for (name, provider) in &config.providers {
        of_provider(compiler, &child("/providers", name), provider);
    }
}

fn of_provider(compiler: &mut Compiler<'_>, pointer: &str, provider: &raw::Provider) {
    let plain = fields(&raw::Provider::default());
    let written = fields(provider);
    for name in PROVIDER_INACTIVE {
        let neutral = match name {
            "openai_config" => provider.openai_config == Some(raw::OpenAiOptions::default()),
            _ => false,
        };
        if !neutral && written.get(name) != plain.get(name) {
            warn(compiler, &child(pointer, name), name);
        }
    }
    let plain = fields(&raw::ProviderKey::default());
    for (index, key) in provider.keys.iter().enumerate() {
        let written = fields(key);
        for name in KEY_INACTIVE {
            if written.get(name) != plain.get(name) {
                warn(compiler, &format!("{pointer}/keys/{index}/{name}"), name);
            }
        }
    }
    let paths = provider.custom_provider_config.as_ref().map(|custom| custom.request_path_overrides.set());
    for (name, _) in paths.into_iter().flatten().filter(|(name, _)| !OPERATIONS_ACTIVE.contains(name)) {
        warn(compiler, &format!("{pointer}/custom_provider_config/request_path_overrides/{name}"), name);
    }
}

fn warn(compiler: &mut Compiler<'_>, pointer: &str, name: &str) {
    compiler.warn(pointer, format!("{name} is configured but not active in this version"));
}

fn fields(value: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(value) {
        Ok(Value::Object(map)) => map,
        _ => Map::new(),
    }
}

/// `enabled: false`, or a list of nothing but that.
fn switched_off(value: &Value) -> bool {
    match value {
        Value::Object(map) => map.get("enabled") == Some(&Value::Bool(false)),
        Value::Array(items) => items.iter().all(switched_off),
        _ => false,
    }
}
