//! `client.prometheus_labels`, and the plugin `telemetry`: labels of callers' own, the push gateway.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use url::Url;

use super::Compiler;
use crate::config::document::At;
use crate::config::problem::{Problem, child, did_you_mean};
use crate::config::raw;
use crate::config::snapshot::Secret;
use crate::config::telemetry::{Label, Push};

/// Name of the plugin.
pub const PLUGIN: &str = "telemetry";
/// Labels of callers' own: each multiplies the series of five metrics.
const MOST_LABELS: usize = 8;
const LONGEST_LABEL: usize = 64;
/// Labels that are there anyway.
const TAKEN: [&str; 6] =
    ["virtual_key_id", "virtual_key_name", "team_id", "team_name", "customer_id", "customer_name"];
const SETTINGS: [&str; 6] =
    ["enabled", "push_gateway_url", "job_name", "instance_id", "push_interval", "basic_auth"];
/// Seconds between two pushes.
const INTERVAL: f64 = 15.0;

pub(super) fn labels(compiler: &mut Compiler<'_>, raw: &[String]) -> Vec<Label> {
    let mut labels: Vec<Label> = Vec::new();
    for (at, name) in raw.iter().enumerate() {
        let pointer = format!("/client/prometheus_labels/{at}");
        match label(name, &labels) {
            Ok(label) => labels.push(label),
            Err(why) => compiler.problem(&pointer, At::Value, why),
        }
    }
    labels
}

fn label(name: &str, before: &[Label]) -> Result<Label, String> {
    let mut letters = name.chars();
    let begins = letters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_');
    if !begins || !letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_') {
        return Err(format!("{name:?} is no label: use letters, digits and _, and begin with a letter"));
    }
    if name.starts_with("__") || name.len() > LONGEST_LABEL {
        return Err(format!("a label has at most {LONGEST_LABEL} letters, and does not begin with __"));
    }
    if TAKEN.contains(&name) || before.iter().any(|label| &*label.name == name) {
        return Err(format!("the label {name:?} is there already"));
    }
    if before.len() >= MOST_LABELS {
        return Err(format!("at most {MOST_LABELS} labels are taken: each multiplies the series"));
    }
    Label::new(name).ok_or_else(|| format!("{name:?} is no part of a header's name"))
}

/// The push gateway, where one is configured.
pub(super) fn push(compiler: &mut Compiler<'_>, plugins: &[raw::Plugin]) -> Option<Push> {
    let mut found = None;
    for (at, plugin) in plugins.iter().enumerate().filter(|(_, plugin)| plugin.name == PLUGIN) {
        let pointer = format!("/plugins/{at}");
        if found.is_some() {
            compiler.problem(
                &child(&pointer, "name"),
                At::Value,
                "the plugin telemetry was configured before",
            );
            continue;
        }
        found = Some(of_plugin(compiler, plugin, &pointer));
    }
    found.flatten()
}

fn of_plugin(compiler: &mut Compiler<'_>, plugin: &raw::Plugin, pointer: &str) -> Option<Push> {
    let pointer = child(pointer, "config");
    let config = match plugin.config.as_ref()? {
        Value::Object(config) => config,
        _ => {
            compiler.problem(&pointer, At::Value, "expected an object");
            return None;
        }
    };
    only(compiler, config, (&pointer, &["push_gateway"]));
    let pointer = child(&pointer, "push_gateway");
    let gateway = match config.get("push_gateway")? {
        Value::Object(gateway) => gateway,
        _ => {
            compiler.problem(&pointer, At::Value, "expected an object");
            return None;
        }
    };
    let mut fields = Fields { compiler, gateway, pointer };
    let push = fields.read();
    push.filter(|_| plugin.enabled)
}

fn only(compiler: &mut Compiler<'_>, found: &Map<String, Value>, (pointer, known): (&str, &[&str])) {
    for name in found.keys().filter(|name| !known.contains(&name.as_str())) {
        let at = child(pointer, name);
        let problem =
            compiler.document.problem(&at, At::Name, format!("{name:?} is no setting of this plugin"));
        let near = did_you_mean(name, known.iter().copied());
        let problem = match near {
            Some(near) => Problem::suggest(problem, format!("did you mean {near:?}?")),
            None => problem,
        };
        compiler.push(&at, problem);
    }
}

struct Fields<'f, 'c, 'a> {
    compiler: &'c mut Compiler<'a>,
    gateway: &'f Map<String, Value>,
    pointer: String,
}

impl Fields<'_, '_, '_> {
    /// `None`: switched off, or wrong and said so.
    fn read(&mut self) -> Option<Push> {
        only(self.compiler, self.gateway, (&self.pointer, &SETTINGS));
        let enabled = match self.gateway.get("enabled") {
            None | Some(Value::Bool(true)) => true,
            Some(Value::Bool(false)) => false,
            Some(_) => {
                self.wrong("enabled", "expected true or false");
                false
            }
        };
        let job = self.text("job_name").unwrap_or_else(|| "bifrost".to_owned());
        let instance = self.text("instance_id").unwrap_or_else(host_name);
        let interval = self.interval();
        let authorization = self.authorization();
        let url = self.url(enabled).map(|url| at(url, &job, &instance));
        Some(Push { url: url?, interval, authorization }).filter(|_| enabled)
    }

    fn url(&mut self, needed: bool) -> Option<Url> {
        let Some(text) = self.text("push_gateway_url") else {
            if needed {
                let message = "push_gateway_url is missing";
                self.compiler.problem(&self.pointer, At::Value, message);
            }
            return None;
        };
        match Url::parse(&text) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => {
                if !url.username().is_empty() || url.password().is_some() {
                    self.wrong("push_gateway_url", "name and password belong in basic_auth");
                    return None;
                }
                Some(url)
            }
            _ => {
                self.wrong("push_gateway_url", "expected an http or https URL");
                None
            }
        }
    }

    fn interval(&mut self) -> Duration {
        let seconds = match self.gateway.get("push_interval") {
            None => INTERVAL,
            Some(value) => {
                let number = value.as_f64().or_else(|| value.as_str()?.parse().ok());
                match number.filter(|seconds| (1.0..=86_400.0).contains(seconds)) {
                    Some(seconds) => seconds,
                    None => {
                        self.wrong("push_interval", "expected seconds, from 1 to 86400");
                        INTERVAL
                    }
                }
            }
        };
        Duration::from_secs_f64(seconds)
    }

    fn authorization(&mut self) -> Option<Secret> {
        let login = match self.gateway.get("basic_auth")? {
            Value::Null => return None,
            Value::Object(login) => login,
            _ => {
                self.wrong("basic_auth", "expected an object with username and password");
                return None;
            }
        };
        let pointer = child(&self.pointer, "basic_auth");
        only(self.compiler, login, (&pointer, &["username", "password"]));
        let mut part =
            |name: &str| match login.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()) {
                Some(text) => Some(text.to_owned()),
                None => {
                    self.compiler.problem(&child(&pointer, name), At::Value, format!("`{name}` is needed"));
                    None
                }
            };
        let (name, password) = (part("username"), part("password"));
        let (name, password) = (name?, password?);
        if name.contains(':') {
            self.compiler.problem(&child(&pointer, "username"), At::Value, "a name is without colons");
            return None;
        }
        Some(Secret::new(format!("Basic {}", STANDARD.encode(format!("{name}:{password}")))))
    }

    fn text(&mut self, name: &str) -> Option<String> {
        match self.gateway.get(name)? {
            Value::String(text) if !text.trim().is_empty() => Some(text.trim().to_owned()),
            Value::String(_) | Value::Null => None,
            _ => {
                self.wrong(name, "expected a text");
                None
            }
        }
    }

    fn wrong(&mut self, name: &str, message: &str) {
        self.compiler.problem(&child(&self.pointer, name), At::Value, message);
    }
}

/// Where metrics of a job and an instance are put. Both may hold any character but are never empty: that has a meaning of its
/// own there.
fn at(mut url: Url, job: &str, instance: &str) -> Url {
    // Characters that a path cannot carry go in as the push gateway reads them.
    let encoded = |name: &str, value: &str| match value.contains('/') {
        true => (format!("{name}@base64"), base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(value)),
        false => (name.to_owned(), value.to_owned()),
    };
    let (job, instance) = (encoded("job", job), encoded("instance", instance));
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().push("metrics").extend([&job.0, &job.1, &instance.0, &instance.1]);
    }
    url
}

fn host_name() -> String {
    let named = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let named = if named.trim().is_empty() { std::env::var("HOSTNAME").unwrap_or_default() } else { named };
    if named.trim().is_empty() { "bifrost".to_owned() } else { named.trim().to_owned() }
}
