//! What one request wants of the cache: its headers before what is configured for it, and that before the plugin's settings.

use std::time::Duration;

use http::HeaderMap;
use translate::ir::FailureKind;

use crate::auth::Caller;
use crate::config::cache::{Cache, Override, Ways};
use crate::config::span;
use crate::proxy::fault::Fault;
use crate::route::plan::Plan;

const KEY: &str = "x-bf-cache-key";
const NO_STORE: &str = "x-bf-cache-no-store";
const SINGLE_FLIGHT: &str = "x-bf-cache-single-flight";
const THRESHOLD: &str = "x-bf-cache-threshold";
const TTL: &str = "x-bf-cache-ttl";
const TYPE: &str = "x-bf-cache-type";
/// Bytes of a cache key: it is kept with each answer.
const LONGEST_KEY: usize = 512;

/// What a request wants.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Wish {
    pub(super) key: Box<str>,
    pub(super) ttl: Duration,
    pub(super) ways: Ways,
    /// Cosine, 0 to 1; only where something is compared by meaning.
    pub(super) threshold: f32,
    /// Looks up, keeps nothing and waits for nothing.
    pub(super) no_store: bool,
    /// May follow an equal request.
    pub(super) shares: bool,
}

impl Wish {
    /// `None`: it is not to be looked up.
    ///
    /// # Errors
    /// A header holds what it cannot hold.
    pub(super) fn of(
        headers: &HeaderMap,
        settings: &Cache,
        caller: Option<&Caller>,
        plan: &Plan,
    ) -> Result<Option<Self>, Fault> {
        let key = match text(headers, KEY)? {
            Some(key) if key.len() > LONGEST_KEY => {
                return Err(wrong(KEY, &format!("has at most {LONGEST_KEY} bytes")));
            }
            Some(key) => key,
            None => match &settings.default_key {
                Some(key) => key,
                None => return Ok(None),
            },
        };
        let own = Own::of(settings, (caller, key), plan);
        if own.find(|one| one.enabled) == Some(false) {
            return Ok(None);
        }
        let semantic = settings.semantic.as_ref();
        let usual = if semantic.is_some() { Ways::Semantic } else { Ways::Direct };
        let ways = match text(headers, TYPE)? {
            None => own.find(|one| one.ways).unwrap_or(usual),
            Some("direct") => Ways::Direct,
            Some("semantic") => Ways::Semantic,
            Some(_) => return Err(wrong(TYPE, "must be direct or semantic")),
        };
        let threshold = match text(headers, THRESHOLD)? {
            None => own.find(|one| one.threshold),
            Some(text) => Some(cosine(text).ok_or_else(|| wrong(THRESHOLD, "must be a number from 0 to 1"))?),
        };
        let ttl = match text(headers, TTL)? {
            None => own.find(|one| one.ttl),
            Some(text) => {
                let span = span::parse(text);
                Some(span.ok_or_else(|| wrong(TTL, "must be seconds, or a span as 30s, 5m, 36h or 7d"))?)
            }
        };
        Ok(Some(Self {
            key: key.into(),
            ttl: ttl.unwrap_or(settings.ttl),
            ways: if semantic.is_some() { ways } else { Ways::Direct },
            threshold: threshold.or(semantic.map(|semantic| semantic.threshold)).unwrap_or_default(),
            no_store: flag(headers, NO_STORE)?.unwrap_or(false),
            shares: flag(headers, SINGLE_FLIGHT)?.unwrap_or(settings.single_flight),
        }))
    }
}

/// What is configured for some requests, this one among them.
struct Own<'s>(Vec<&'s Override>);

impl<'s> Own<'s> {
    fn of(settings: &'s Cache, (caller, key): (Option<&Caller>, &str), plan: &Plan) -> Self {
        if settings.overrides.is_empty() {
            return Self(Vec::new());
        }
        let virtual_key = caller.map_or("", |caller| &caller.key.id);
        let rule = plan.policy.rule.as_deref().unwrap_or_default();
        let first = plan.steps.first();
        let target = first.map_or(("", ""), |step| (&*step.provider.name, &*step.model));
        let fits = |one: &&Override| one.fits(virtual_key, key, rule, target);
        Self(settings.overrides.iter().filter(fits).collect())
    }

    /// Of the first that says it.
    fn find<T>(&self, says: impl Fn(&Override) -> Option<T>) -> Option<T> {
        self.0.iter().find_map(|one| says(one))
    }
}

/// A header's text; an empty one says nothing.
fn text<'h>(headers: &'h HeaderMap, name: &str) -> Result<Option<&'h str>, Fault> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let text = std::str::from_utf8(value.as_bytes()).map_err(|_| wrong(name, "must be text (UTF-8)"))?;
    Ok(Some(text.trim()).filter(|text| !text.is_empty()))
}

fn flag(headers: &HeaderMap, name: &str) -> Result<Option<bool>, Fault> {
    match text(headers, name)? {
        None => Ok(None),
        Some(word) if ["true", "1"].iter().any(|yes| word.eq_ignore_ascii_case(yes)) => Ok(Some(true)),
        Some(word) if ["false", "0"].iter().any(|no| word.eq_ignore_ascii_case(no)) => Ok(Some(false)),
        Some(_) => Err(wrong(name, "must be true or false")),
    }
}

/// Beyond 0 and 1 it is 0 or 1, as in the original.
fn cosine(text: &str) -> Option<f32> {
    text.parse::<f32>().ok().filter(|number| number.is_finite()).map(|number| number.clamp(0.0, 1.0))
}

fn wrong(name: &str, what: &str) -> Fault {
    Fault::request(FailureKind::InvalidRequest, 400, format!("`{name}` {what}")).param(name)
}

#[cfg(test)]
mod tests;
