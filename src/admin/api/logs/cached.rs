//! What the cache did with a request, as the request log shows it.

use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::row::dollars;
use crate::store::requests::entry::CacheTold;

/// What the cache did with the request.
#[derive(Debug, Serialize, ToSchema)]
pub struct CacheDebug<'a> {
    pub cache_hit: bool,
    /// `direct`, `semantic`, `single_flight`.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub hit_type: &'a str,
    /// What it would have been, in shadow mode.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub shadow: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub cache_id: &'a str,
    /// Of what was given, or of the nearest that was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub similarity: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f32>,
    /// The guard that refused what was near enough.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub guard: &'a str,
    /// US dollars that the answer cost when it was first given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<f64>)]
    pub saved_cost: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub saved_ms: Option<u64>,
    /// Microseconds that the lookup took, or the wait beside an equal request.
    pub lookup_us: u64,
}

impl<'a> CacheDebug<'a> {
    pub fn of(told: &'a CacheTold<'_>) -> Self {
        Self {
            cache_hit: !told.hit.is_empty(),
            hit_type: &told.hit,
            shadow: &told.shadow,
            cache_id: &told.entry,
            similarity: told.similarity,
            threshold: told.threshold,
            guard: &told.guarded,
            saved_cost: told.saved_nanos.map(dollars),
            saved_ms: told.saved_us.map(|us| us / 1_000),
            lookup_us: told.looked_us,
        }
    }
}
