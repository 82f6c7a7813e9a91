//! What callers, the record and the log are told of the cache.

use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;
use serde_json::value::RawValue;
use translate::Wire;

use super::super::exchange::Exchange;
use super::super::reserve;
use super::Cached;
use crate::account::charge::Charge;
use crate::cache::now_ms;
use crate::telemetry::record::CacheSeen;

const X_BF_CACHE: HeaderName = HeaderName::from_static("x-bf-cache");
const X_BF_CACHE_ID: HeaderName = HeaderName::from_static("x-bf-cache-id");
const X_BF_CACHE_TYPE: HeaderName = HeaderName::from_static("x-bf-cache-type");

/// `extra_fields.cache_debug`.
#[derive(Serialize)]
pub struct Debug<'a> {
    cache_hit: bool,
    /// `direct` or `semantic`; in shadow mode what it would have been.
    #[serde(skip_serializing_if = "Option::is_none")]
    hit_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_id: Option<String>,
    /// The answer came for an equal request at the same time.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    single_flight: bool,
    /// Nothing is given, only looked.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    shadow: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    similarity: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    threshold: Option<f32>,
    /// The guard that refused what was near enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    guard: Option<&'static str>,
    /// Of the embedding.
    #[serde(skip_serializing_if = "Option::is_none")]
    provider_used: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model_used: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    age_seconds: Option<u64>,
    /// Dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    saved_cost: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    saved_ms: Option<u64>,
}

/// What `extra_fields` tell of a request's lookup.
#[must_use]
pub fn debug<'a>(exchange: &'a Exchange) -> Option<Debug<'a>> {
    let cached = exchange.cache.as_deref()?;
    let found = cached.given.as_ref().or(cached.shadow.as_ref());
    let given = cached.given.as_ref();
    let compared = cached.wanted.as_deref().map(|wanted| &wanted.settings);
    let similarity = found.map_or(cached.compared.best, |landed| landed.found.similarity());
    let embedded = compared.filter(|_| similarity.is_some());
    let saved_cost = given.and_then(|landed| landed.about.cost_nanos).map(Charge::dollars);
    Some(Debug {
        cache_hit: given.is_some(),
        hit_type: found.map(|landed| landed.found.hit_type()),
        cache_id: found.map(|landed| landed.id.to_string()),
        single_flight: given.is_some_and(|landed| landed.found.name() == "single_flight"),
        shadow: cached.settings.shadow,
        similarity: similarity.map(rounded),
        threshold: embedded.and(Some(rounded(cached.wish.threshold))),
        guard: cached.compared.guarded.filter(|_| given.is_none()),
        provider_used: embedded.map(|settings| &*settings.provider),
        model_used: embedded.map(|settings| &*settings.model),
        age_seconds: given.map(|landed| now_ms().saturating_sub(landed.created_ms) / 1_000),
        saved_cost: saved_cost.and_then(|dollars| RawValue::from_string(dollars).ok()),
        saved_ms: given.map(|landed| saved_ms(exchange, landed.about.took_ms)),
    })
}

/// To four digits: more would be noise.
fn rounded(number: f32) -> f32 {
    (number * 10_000.0).round() / 10_000.0
}

fn saved_ms(exchange: &Exchange, took_ms: u32) -> u64 {
    let own = u64::try_from(exchange.started.elapsed().as_millis()).unwrap_or(u64::MAX);
    u64::from(took_ms).saturating_sub(own)
}

/// Headers of an answer that was given again.
#[must_use]
pub fn headers(exchange: &Exchange) -> Vec<(HeaderName, HeaderValue)> {
    let mut out = HeaderMap::new();
    let mut put = |name: &'static str, text: &str| {
        if let (true, Ok(value)) = (text.is_ascii(), HeaderValue::from_str(text)) {
            out.insert(HeaderName::from_static(name), value);
        }
    };
    if let Some(landed) = exchange.cache.as_deref().and_then(|cached| cached.given.as_ref()) {
        put("x-bf-provider", &landed.about.provider);
        put("x-bf-model", &landed.about.model);
    }
    if let Some(call) = exchange.call.as_deref() {
        if let Some(rule) = &call.plan.policy.rule {
            put("x-bf-rule", rule);
        }
        match call.endpoint.service() {
            Wire::Anthropic => put("request-id", &exchange.request_id),
            Wire::BedrockConverse => put("x-amzn-requestid", &exchange.request_id),
            _ => {}
        }
        reserve::tell(call, &mut out);
    }
    tell(exchange, &mut out);
    let mut last = None;
    let named = out.into_iter().filter_map(|(name, value)| {
        last = name.or(last.take());
        last.clone().map(|name| (name, value))
    });
    named.collect()
}

/// Says in an answer's head what the cache did.
pub fn tell(exchange: &Exchange, out: &mut HeaderMap) {
    let Some(cached) = exchange.cache.as_deref() else { return };
    // A follower's answer has begun, and is not known whole.
    let word = if cached.given.is_some() || !exchange_asks(exchange) { "hit" } else { "miss" };
    out.insert(X_BF_CACHE, HeaderValue::from_static(word));
    if word == "miss" {
        return;
    }
    let kind = cached.given.as_ref().map_or("direct", |landed| landed.found.hit_type());
    out.insert(X_BF_CACHE_TYPE, HeaderValue::from_static(kind));
    if let Ok(id) = HeaderValue::from_str(&cached.place_of_answer()) {
        out.insert(X_BF_CACHE_ID, id);
    }
}

/// The request went to a provider.
fn exchange_asks(exchange: &Exchange) -> bool {
    exchange.attempt.is_some()
}

impl Cached {
    fn place_of_answer(&self) -> String {
        self.given.as_ref().map_or(self.place.id, |landed| landed.id).to_string()
    }
}

/// What the record tells of a request's lookup.
#[must_use]
pub fn seen(exchange: &Exchange) -> Option<Box<CacheSeen>> {
    let cached = exchange.cache.as_deref()?;
    let given = cached.given.as_ref().filter(|_| exchange.fault.is_none());
    let found = given.or(cached.shadow.as_ref());
    Some(Box::new(CacheSeen {
        hit: given.map(|landed| landed.found.name()),
        shadow: cached.shadow.as_ref().map(|landed| landed.found.name()),
        similarity: found.map_or(cached.compared.best, |landed| landed.found.similarity()),
        threshold: cached.wanted.as_ref().map(|wanted| wanted.threshold),
        guarded: cached.compared.guarded.filter(|_| given.is_none()),
        entry: found.map(|landed| landed.id.to_string().into()),
        saved_nanos: given.and_then(|landed| landed.about.cost_nanos),
        saved_us: given.map(|landed| saved_ms(exchange, landed.about.took_ms).saturating_mul(1_000)),
        looked_us: u64::try_from(cached.looked.as_micros()).unwrap_or(u64::MAX),
    }))
}
