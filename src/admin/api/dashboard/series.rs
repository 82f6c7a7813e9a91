//! The charts of the dashboard: as many values each as there are buckets.

use std::collections::HashMap;

use govern::sketch::Sketch;
use serde::Serialize;
use utoipa::ToSchema;

use super::Facts;
use super::money::Dollars;
use crate::admin::api::AdminState;
use crate::admin::api::keyring::rfc3339;
use crate::observe::sums::{Cell, Count, Name, Times};

/// Names of a chart with a line of their own; the rest is `other`.
const TOP: usize = 8;
/// Keys with a ribbon of their own.
const KEYS: usize = 50;

/// The charts.
#[derive(Debug, Serialize, ToSchema)]
pub struct Series {
    /// Where each bucket begins: RFC 3339.
    starts: Vec<String>,
    requests: OutcomeSeries,
    /// Milliseconds.
    latency_ms: Percentiles,
    first_token_ms: Percentiles,
    /// Microseconds.
    overhead_us: Percentiles,
    tokens: TokenSeries,
    /// The dearest ones, then `other`.
    spend_by_model: Vec<SpendLine>,
    /// The most frequent ones, then `other`.
    errors: Vec<ErrorLine>,
    /// How the tries of each key went.
    keys: Vec<Ribbon>,
}

/// Requests by how they ended, in the bucket that they began in.
#[derive(Debug, Serialize, ToSchema)]
struct OutcomeSeries {
    success: Vec<u64>,
    /// Answered after an attempt had failed.
    failed_over: Vec<u64>,
    cache_hit: Vec<u64>,
    client_error: Vec<u64>,
    upstream_error: Vec<u64>,
    cancelled: Vec<u64>,
}

/// Percentiles by bucket; null where there is nothing to tell them from.
#[derive(Debug, Serialize, ToSchema)]
struct Percentiles {
    p50: Vec<Option<f64>>,
    p90: Vec<Option<f64>>,
    p95: Vec<Option<f64>>,
    p99: Vec<Option<f64>>,
}

/// Tokens by class; none is in two of them, but reasoning, which is part of the output.
#[derive(Debug, Serialize, ToSchema)]
struct TokenSeries {
    input: Vec<u64>,
    cache_read: Vec<u64>,
    cache_write: Vec<u64>,
    output: Vec<u64>,
    reasoning: Vec<u64>,
}

/// What a model cost.
#[derive(Debug, Serialize, ToSchema)]
struct SpendLine {
    /// Empty for `other`.
    provider: String,
    model: String,
    #[schema(value_type = f64)]
    total: Dollars,
    #[schema(value_type = Vec<f64>)]
    values: Vec<Dollars>,
}

/// How often a fault was.
#[derive(Debug, Serialize, ToSchema)]
struct ErrorLine {
    /// Its label: docs/errors.md.
    kind: String,
    total: u64,
    values: Vec<u64>,
}

/// A key over time.
#[derive(Debug, Serialize, ToSchema)]
struct Ribbon {
    provider: String,
    key: String,
    attempts: Vec<u64>,
    failed: Vec<u64>,
    /// `ready`, `cooling`, `disabled`; null: it is not configured any more.
    state: Option<&'static str>,
}

/// Makes them.
pub fn of(state: &AdminState, facts: &Facts) -> Series {
    let cells = facts.all.by_bucket();
    let count = |count: Count| cells.iter().map(|cell| cell.get(count)).collect::<Vec<u64>>();
    Series {
        starts: facts.all.starts.iter().map(|start| rfc3339(*start)).collect(),
        requests: OutcomeSeries {
            success: count(Count::Success),
            failed_over: count(Count::FailedOver),
            cache_hit: count(Count::CacheHit),
            client_error: count(Count::ClientError),
            upstream_error: count(Count::UpstreamError),
            cancelled: count(Count::Cancelled),
        },
        latency_ms: percentiles(&cells, |times| &times.took, 1_000.0),
        first_token_ms: percentiles(&cells, |times| &times.first_token, 1_000.0),
        overhead_us: percentiles(&cells, |times| &times.overhead, 1.0),
        tokens: TokenSeries {
            input: count(Count::Input),
            cache_read: count(Count::CacheRead),
            cache_write: count(Count::CacheWrite),
            output: count(Count::Output),
            reasoning: count(Count::Reasoning),
        },
        spend_by_model: spend(facts),
        errors: errors(facts),
        keys: ribbons(state, facts),
    }
}

fn percentiles(cells: &[Cell], pick: fn(&Times) -> &Sketch, unit: f64) -> Percentiles {
    let found: Vec<Option<[u64; 4]>> =
        cells.iter().map(|cell| pick(cell.times()?).quantiles([0.5, 0.9, 0.95, 0.99])).collect();
    let of = |at: usize| {
        let value = |found: &Option<[u64; 4]>| found.as_ref()?.get(at).map(|value| *value as f64 / unit);
        found.iter().map(value).collect()
    };
    Percentiles { p50: of(0), p90: of(1), p95: of(2), p99: of(3) }
}

/// Names with their values by bucket, the largest first; those behind the first `most` are one, without a name.
fn top(
    names: &HashMap<Name, Vec<Cell>>,
    read: impl Fn(&Cell) -> u64,
    most: usize,
) -> Vec<(Option<&Name>, Vec<u64>)> {
    let mut lines: Vec<(Option<&Name>, Vec<u64>)> = names
        .iter()
        .map(|(name, cells)| (Some(name).filter(|name| !name.is_rest()), cells.iter().map(&read).collect()))
        .filter(|(_, values): &(_, Vec<u64>)| values.iter().any(|value| *value > 0))
        .collect();
    // What was put together before stays with the rest.
    lines.sort_by_cached_key(|(name, values)| {
        (name.is_none(), std::cmp::Reverse(values.iter().sum::<u64>()), name.map(|name| (&*name.0, &*name.1)))
    });
    let own = lines.iter().take(most).filter(|(name, _)| name.is_some()).count();
    let rest = lines.split_off(own);
    if let Some(length) = rest.first().map(|(_, values)| values.len()) {
        let mut sum = vec![0_u64; length];
        for (_, values) in rest {
            sum.iter_mut().zip(values).for_each(|(sum, value)| *sum = sum.saturating_add(value));
        }
        lines.push((None, sum));
    }
    lines
}

fn spend(facts: &Facts) -> Vec<SpendLine> {
    let lines = top(&facts.targets.names, |cell| cell.get(Count::Cost), TOP);
    let line = |(name, values): (Option<&Name>, Vec<u64>)| SpendLine {
        provider: name.map(|name| name.0.to_string()).unwrap_or_default(),
        model: name.map_or_else(|| "other".to_owned(), |name| name.1.to_string()),
        total: Dollars(values.iter().sum()),
        values: values.into_iter().map(Dollars).collect(),
    };
    lines.into_iter().map(line).collect()
}

fn errors(facts: &Facts) -> Vec<ErrorLine> {
    let line = |(name, values): (Option<&Name>, Vec<u64>)| ErrorLine {
        kind: name.map_or_else(|| "other".to_owned(), |name| name.0.to_string()),
        total: values.iter().sum(),
        values,
    };
    top(&facts.errors.names, Cell::requests, TOP).into_iter().map(line).collect()
}

fn ribbons(state: &AdminState, facts: &Facts) -> Vec<Ribbon> {
    let snapshot = state.gateway.config.load_full();
    let cooling = state.gateway.health.cooling();
    let state_of = |provider: &str, name: &str| {
        let provider = snapshot.providers.iter().find(|one| &*one.name == provider)?;
        let key = provider.keys.iter().find(|key| &*key.name == name)?;
        let rests = cooling.iter().any(|cooling| cooling.key == key.known_as && cooling.model.is_none());
        Some(match (&key.disabled, rests) {
            (Some(_), _) => "disabled",
            (None, true) => "cooling",
            (None, false) => "ready",
        })
    };
    let mut ribbons: Vec<Ribbon> = facts
        .keys
        .names
        .iter()
        .filter(|(name, _)| !name.is_rest())
        .map(|(name, cells)| Ribbon {
            provider: name.0.to_string(),
            key: name.1.to_string(),
            attempts: cells.iter().map(|cell| cell.get(Count::Attempts)).collect(),
            failed: cells.iter().map(|cell| cell.get(Count::FailedAttempts)).collect(),
            state: state_of(&name.0, &name.1),
        })
        .collect();
    ribbons.sort_by_cached_key(|ribbon| std::cmp::Reverse(ribbon.attempts.iter().sum::<u64>()));
    ribbons.truncate(KEYS);
    ribbons.sort_by(|a, b| (&a.provider, &a.key).cmp(&(&b.provider, &b.key)));
    ribbons
}
