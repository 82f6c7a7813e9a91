//! Raw configuration to [`Snapshot`]: references, URLs, durations, weights, secrets.
//!
//! Everything that may be wrong is found here, all of it in one run, so that nothing behind the
//! snapshot has to doubt. Warnings are for what does not stop the start: an unset variable disables
//! its key, a feature that is not active says so.

mod access;
mod account;
mod backend;
mod cache;
mod certificate;
mod cluster;
mod endpoint;
mod fallback;
pub mod governance;
mod inactive;
mod key;
mod logging;
mod network;
mod places;
mod preset;
mod pricing;
mod provider;
mod proxy;
mod resolve;
mod routing;
mod stores;
mod telemetry;
mod traces;
mod treatment;

pub(super) use provider::present;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::document::{At, Document};
use super::environment::Environment;
use super::problem::{Problem, child};
use super::raw;
use super::schema::schema;
use super::secrets;
use super::snapshot::{Client, Provider, Secret, Snapshot};
use super::validate::{Found, validate};
use crate::config::policy::Policy;
use crate::egress::fetch;
use preset::MOCK;

/// A compiled configuration, and the part of it that is read at start only.
#[derive(Debug)]
pub struct Loaded {
    pub snapshot: Snapshot,
    pub server: raw::Server,
}

/// Compiles a document. `version` is the new snapshot's number.
///
/// # Errors
/// Every problem, in the order of the file.
pub fn compile(document: &Document, environment: &Environment, version: u64) -> Result<Loaded, Vec<Problem>> {
    let structural = validate(document, &schema());
    let mut root = document.root.clone();
    let cut = prune(&mut root, &structural);
    let mut compiler = Compiler::new(document, environment);
    resolve::references(&mut compiler, &mut root);
    secrets::each(&mut root, &mut |_, text| compiler.secrets.push(Secret::new(text.as_str())));
    let loaded = match serde_json::from_value::<raw::Config>(root) {
        Ok(config) => Some(compiler.assemble(config, version)),
        Err(_) if structural.is_empty() => {
            // serde's own text may quote a secret.
            compiler.problem("", At::Value, "a value does not fit its field");
            None
        }
        Err(_) => None,
    };
    let semantic =
        compiler.problems.into_iter().filter(|found| !cut.iter().any(|c| related(c, &found.pointer)));
    let mut problems: Vec<Problem> =
        structural.into_iter().chain(semantic).map(|found| found.problem).collect();
    problems.sort_by_key(|problem| problem.position);
    match loaded {
        Some(loaded) if problems.is_empty() => Ok(loaded),
        _ => Err(problems),
    }
}

/// Compiles what the environment alone offers: every preset whose variable holds a key, or the mock.
///
/// # Errors
/// Problems of the environment itself, such as a proxy address that is none.
pub fn compile_environment(environment: &Environment, version: u64) -> Result<Loaded, Vec<Problem>> {
    compile(&Document::empty(), environment, version)
}

/// What compiling needs to look up and where it notes what it found.
struct Compiler<'a> {
    document: &'a Document,
    environment: &'a Environment,
    problems: Vec<Found>,
    warnings: Vec<Problem>,
    /// Pointers of values that were references; with the reason when a provider key has no value.
    references: HashMap<String, Option<String>>,
    /// For the streams of providers that say nothing of it.
    recovery: Option<raw::Recovery>,
    /// What must not stand in anything that is kept.
    secrets: Vec<Secret>,
}

impl<'a> Compiler<'a> {
    fn new(document: &'a Document, environment: &'a Environment) -> Self {
        Self {
            document,
            environment,
            problems: Vec::new(),
            warnings: Vec::new(),
            references: HashMap::new(),
            recovery: None,
            secrets: Vec::new(),
        }
    }

    fn problem(&mut self, pointer: &str, at: At, message: impl Into<String>) {
        self.push(pointer, self.document.problem(pointer, at, message));
    }

    /// The first problem of a field is its cause; more would be echoes of it.
    fn push(&mut self, pointer: &str, problem: Problem) {
        if self.problems.iter().any(|found| found.pointer == pointer) {
            return;
        }
        self.problems.push(Found { pointer: pointer.to_owned(), problem });
    }

    fn warn(&mut self, pointer: &str, message: impl Into<String>) {
        self.warnings.push(self.document.problem(pointer, At::Name, message));
    }

    fn assemble(&mut self, config: raw::Config, version: u64) -> Loaded {
        inactive::report(self, &config);
        self.recovery = config.streaming.as_ref().and_then(|streaming| streaming.recovery);
        let mut providers: Vec<Arc<Provider>> = Vec::new();
        for (name, entry) in &config.providers {
            providers.extend(provider::compile(self, name, entry).map(Arc::new));
        }
        if config.providers.is_empty() {
            providers.extend(provider::from_environment(self).into_iter().map(Arc::new));
        }
        let mock_only = providers.is_empty();
        if !providers.iter().any(|p| &*p.name == MOCK) {
            providers.extend(provider::compile(self, MOCK, &raw::Provider::default()).map(Arc::new));
        }
        providers.sort_by(|a, b| a.name.cmp(&b.name));
        let by_name = preset::names(&providers);
        let known = routing::Known { providers: &providers, by_name: &by_name };
        let routing = routing::compile(self, &config, &known);
        let mut governance = governance::compile(self, &config, &known);
        let fallbacks = fallback::compile(self, config.fallbacks.as_ref(), (&by_name, &routing));
        let client = client(self, &config.client);
        let keys = providers.iter().flat_map(|provider| &provider.keys);
        self.secrets.extend(keys.filter_map(|key| key.secret.clone()));
        let pricing = pricing::compile(self, config.framework.as_ref());
        let stores = stores::compile(self, &config);
        let traces = traces::compile(self, &config);
        let access = access::compile(self, &config);
        let push = telemetry::push(self, &config.plugins);
        let cache = cache::compile(self, &config, &known);
        governance.enforced |= access::guards_models(self, &config);
        self.warnings.sort_by_key(|warning| warning.position);
        let warnings = self.warnings.iter().map(ToString::to_string).collect();
        let cluster = cluster::compile(self, config.cluster.as_ref());
        let policy =
            Policy { hedge: config.hedging.as_ref().and_then(treatment::hedge), ..Policy::default() };
        let snapshot = Snapshot {
            version,
            client,
            providers,
            by_name,
            routing,
            governance,
            access: Arc::new(access),
            cluster,
            fallbacks,
            policy,
            pricing,
            stores,
            secrets: std::mem::take(&mut self.secrets),
            push,
            traces,
            cache,
            warnings,
            mock_only,
        };
        Loaded { snapshot, server: config.server }
    }
}

fn client(compiler: &mut Compiler<'_>, raw: &raw::Client) -> Client {
    Client {
        allow_direct_keys: raw.allow_direct_keys,
        aws_access_keys: access_keys(compiler, &raw.aws_access_keys),
        max_request_body_bytes: raw.max_request_body_size_mb.saturating_mul(1024 * 1024),
        request_read_timeout: seconds(raw.request_read_timeout_in_seconds),
        request_body_timeout: seconds(raw.request_body_timeout_in_seconds),
        drop_excess_requests: raw.drop_excess_requests,
        highest_priority: treatment::priority(raw.highest_priority),
        prometheus_labels: telemetry::labels(compiler, &raw.prometheus_labels),
        logging: logging::compile(compiler, raw),
        fetch: Arc::new(fetch::Policy {
            allow_private: raw.fetch_private_addresses,
            allowed_hosts: raw.fetch_allowed_hosts.clone(),
            max_bytes: raw.fetch_max_size_mb.saturating_mul(1024 * 1024),
            ..fetch::Policy::default()
        }),
    }
}

/// A key without its secret is an error, not a key left out: with the last one gone, nobody would be checked.
fn access_keys(compiler: &mut Compiler<'_>, raw: &[raw::AwsAccessKey]) -> HashMap<String, Secret> {
    let mut keys = HashMap::new();
    for (at, key) in raw.iter().enumerate() {
        let entry = child("/client/aws_access_keys", &at.to_string());
        for field in ["access_key", "secret_key"] {
            let pointer = child(&entry, field);
            if let Some(Some(reason)) = compiler.references.get(&pointer) {
                let reason = reason.clone();
                compiler.problem(&pointer, At::Value, reason);
            }
        }
        if key.access_key.is_empty() || key.access_key.contains([',', ' ']) {
            let message = "expected an access key identifier without commas and spaces";
            compiler.problem(&child(&entry, "access_key"), At::Value, message);
        }
        if keys.insert(key.access_key.clone(), Secret::new(key.secret_key.clone())).is_some() {
            compiler.problem(&child(&entry, "access_key"), At::Value, "this access key was given before");
        }
    }
    keys
}

/// Seconds that the schema has bounded.
fn seconds(number: f64) -> Duration {
    Duration::try_from_secs_f64(number).unwrap_or_default()
}

/// Takes out what is structurally wrong, so that the rest can still be checked for meaning. Returns the
/// pointers that were cut; what is found on the way to them or below them would be an echo.
fn prune(root: &mut Value, found: &[Found]) -> Vec<String> {
    let mut cut = Vec::new();
    for Found { pointer, .. } in found {
        let mut pointer = pointer.as_str();
        while let Some((parent, name)) = pointer.rsplit_once('/') {
            match root.pointer_mut(parent) {
                Some(Value::Object(map)) => {
                    map.remove(&name.replace("~1", "/").replace("~0", "~"));
                    break;
                }
                // A list loses its meaning with a missing item: it goes as a whole.
                Some(Value::Array(_)) => pointer = parent,
                _ => break,
            }
        }
        if pointer.is_empty() {
            *root = Value::Object(serde_json::Map::new());
        }
        cut.push(pointer.to_owned());
    }
    cut
}

/// One of the two is the other or around it.
fn related(a: &str, b: &str) -> bool {
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    long.strip_prefix(short).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
