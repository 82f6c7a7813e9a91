//! Several base URLs of a provider or key, and the affinity of its requests.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use super::endpoint::{self, Place};
use super::provider::Entry;
use super::{Compiler, network, seconds};
use crate::config::backend::{Affinity, Backend, Backends, Check, CheckRequest, Selection};
use crate::config::document::At;
use crate::config::problem::Problem;
use crate::config::raw;
use crate::config::raw::BackendUrl;

/// More are not followed: an attempt remembers those it tried in one word.
const MOST: usize = 64;

/// The first of several base URLs: it stands for all where any will do.
pub(super) fn first(entry: &Entry<'_>) -> Option<(String, String)> {
    let (url, _) = entry.raw.network_config.base_urls.first()?.parts();
    Some((entry.at("network_config/base_urls/0"), url.to_owned()))
}

/// The provider's own servers; `None` without `base_urls`.
pub(super) fn of_provider(
    compiler: &mut Compiler<'_>,
    entry: &Entry<'_>,
    place: &Place,
) -> Option<Arc<Backends>> {
    let raw = &entry.raw.network_config;
    if raw.base_urls.is_empty() {
        let of_keys = entry.raw.keys.iter().any(|key| !urls_of(key).is_empty());
        let unused = [("selection", raw.selection.is_some()), ("health_check", raw.health_check.is_some())];
        for (name, _) in unused.into_iter().filter(|(_, written)| *written && !of_keys) {
            let pointer = entry.at(&format!("network_config/{name}"));
            compiler.warn(&pointer, format!("{name} is for several base URLs; there is only one"));
        }
        return None;
    }
    if raw.base_url.is_some() {
        let pointer = entry.at("network_config/base_urls");
        let problem = compiler.document.problem(&pointer, At::Name, "there is a base_url already");
        compiler.push(&pointer, Problem::suggest(problem, "write base_url or base_urls, not both"));
        return None;
    }
    compile(compiler, entry, place, (&entry.at("network_config/base_urls"), &raw.base_urls))
}

/// The servers of a key's own.
pub(super) fn of_key(
    compiler: &mut Compiler<'_>,
    entry: &Entry<'_>,
    raw: &raw::ProviderKey,
    (pointer, place): (&str, &Place),
) -> Option<Arc<Backends>> {
    let urls = urls_of(raw);
    if urls.is_empty() {
        return None;
    }
    let pointer = format!("{pointer}/vllm_key_config/urls");
    let network = &entry.raw.network_config;
    if network.base_url.is_some() || !network.base_urls.is_empty() {
        let problem =
            compiler.document.problem(&pointer, At::Name, "network_config says already where it is");
        compiler.push(&pointer, Problem::suggest(problem, "write the URLs in one of the two places"));
        return None;
    }
    if raw.vllm_key_config.as_ref().is_some_and(|config| config.url.is_some()) {
        let problem = compiler.document.problem(&pointer, At::Name, "there is a url already");
        compiler.push(&pointer, Problem::suggest(problem, "write url or urls, not both"));
        return None;
    }
    compile(compiler, entry, place, (&pointer, urls))
}

/// What a key says of several servers.
pub(super) fn urls_of(raw: &raw::ProviderKey) -> &[BackendUrl] {
    raw.vllm_key_config.as_ref().map_or(&[], |config| &config.urls)
}

/// Where nothing is configured: servers of one's own keep their caches apart, so prompts stay with them.
pub(super) fn affinity(entry: &Entry<'_>) -> Affinity {
    let several = !entry.raw.network_config.base_urls.is_empty()
        || entry.raw.keys.iter().any(|key| !urls_of(key).is_empty());
    let hashed = entry.raw.network_config.selection == Some(raw::Selection::ConsistentHash);
    match entry.raw.affinity {
        _ if hashed && several => Affinity::Prompt,
        Some(raw::Affinity::None) => Affinity::None,
        Some(raw::Affinity::Session) => Affinity::Session,
        Some(raw::Affinity::Prompt) => Affinity::Prompt,
        None if several => Affinity::Prompt,
        None => Affinity::Session,
    }
}

fn compile(
    compiler: &mut Compiler<'_>,
    entry: &Entry<'_>,
    place: &Place,
    (pointer, urls): (&str, &[BackendUrl]),
) -> Option<Arc<Backends>> {
    if urls.len() > MOST {
        compiler.problem(pointer, At::Value, format!("at most {MOST} base URLs are taken"));
        return None;
    }
    let mut list: Vec<Arc<Backend>> = Vec::with_capacity(urls.len());
    for (index, url) in urls.iter().enumerate() {
        let mut at = format!("{pointer}/{index}");
        if matches!(url, BackendUrl::Weighted(_)) {
            at.push_str("/url");
        }
        let (text, weight) = url.parts();
        let made = endpoint::compile_at(compiler, entry, place, (at.clone(), text.to_owned()))?;
        let scheme = if made.tls { "https" } else { "http" };
        let full = format!("{scheme}://{}{}{}", made.authority, made.root, made.chat_path);
        let backend = Backend {
            name: Arc::from(format!("{}{}", made.authority, made.root)),
            number: stable(&full),
            url: Arc::new(made),
            weight,
        };
        if list.iter().any(|known| known.number == backend.number || known.name == backend.name) {
            compiler.problem(&at, At::Value, "this base URL was given before");
            return None;
        }
        list.push(Arc::new(backend));
    }
    let raw = &entry.raw.network_config;
    let selection = match raw.selection.unwrap_or_default() {
        raw::Selection::Weighted | raw::Selection::ConsistentHash => Selection::Weighted,
        raw::Selection::RoundRobin => Selection::RoundRobin,
        raw::Selection::LeastInflight => Selection::LeastInflight,
    };
    let check = raw.health_check.as_ref().map(|raw| check(compiler, entry, raw));
    let id = fingerprint(entry, &list, selection);
    Some(Arc::new(Backends { id, list, selection, check }))
}

fn check(compiler: &mut Compiler<'_>, entry: &Entry<'_>, raw: &raw::HealthCheck) -> Check {
    let pointer = entry.at("network_config/health_check");
    let valid = raw.path.starts_with('/') && raw.path.parse::<http::uri::PathAndQuery>().is_ok();
    if !valid {
        let at = format!("{pointer}/path");
        compiler.problem(&at, At::Value, "a path begins with a slash and holds what a URL can");
    }
    let headers = network::headers(compiler, &format!("{pointer}/headers"), &raw.headers);
    let http = raw.kind == raw::CheckKind::Http;
    Check {
        request: http.then(|| CheckRequest { path: Arc::from(raw.path.as_str()), headers }),
        interval: seconds(raw.interval_in_seconds),
        timeout: seconds(raw.timeout_in_seconds),
        healthy_after: raw.healthy_after,
        unhealthy_after: raw.unhealthy_after,
        expected_status: raw.expected_status,
    }
}

/// The servers, and all that says how they are reached and checked.
fn fingerprint(entry: &Entry<'_>, list: &[Arc<Backend>], selection: Selection) -> u64 {
    let mut hasher = DefaultHasher::new();
    entry.name.hash(&mut hasher);
    selection.hash(&mut hasher);
    for backend in list {
        (backend.number, backend.weight).hash(&mut hasher);
    }
    let reached = (&entry.raw.network_config, &entry.raw.proxy_config);
    serde_json::to_string(&reached).unwrap_or_default().hash(&mut hasher);
    hasher.finish()
}

/// FNV-1a: the same on every node and after every restart.
fn stable(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
