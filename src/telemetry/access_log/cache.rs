//! What a log line tells of the cache.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::account::charge::Charge;
use crate::telemetry::record::CacheSeen;

/// `cache` of a log line: absent where the cache was not asked.
#[derive(Serialize)]
pub(super) struct CacheLine<'s> {
    /// `direct`, `semantic`, `single_flight`; absent: nothing was given.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shadow: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'s str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    similarity: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    threshold: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    guard: Option<&'static str>,
    /// Dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    saved_cost: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    saved_ms: Option<u64>,
    lookup_us: u64,
}

impl<'s> CacheLine<'s> {
    pub(super) fn of(seen: &'s CacheSeen) -> Self {
        Self {
            kind: seen.hit,
            shadow: seen.shadow,
            id: seen.entry.as_deref(),
            similarity: seen.similarity,
            threshold: seen.threshold,
            guard: seen.guarded,
            saved_cost: seen.saved_nanos.and_then(|nanos| RawValue::from_string(Charge::dollars(nanos)).ok()),
            saved_ms: seen.saved_us.map(|us| us / 1_000),
            lookup_us: seen.looked_us,
        }
    }
}
