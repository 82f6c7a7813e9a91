//! The numbers on top: how much, how well, how fast, how dear, and against the period before.

use govern::forecast;
use serde::Serialize;
use utoipa::ToSchema;

use super::Facts;
use super::money::Dollars;
use crate::observe::sums::{Cell, Count, Times};

/// The numbers on top.
#[derive(Debug, Serialize, ToSchema)]
pub struct Tiles {
    requests: Tile,
    requests_per_second: Tile,
    /// Percent of the requests that were answered or failed; those whose caller left are neither.
    success_rate: Tile,
    /// Milliseconds.
    latency_p50_ms: Tile,
    latency_p95_ms: Tile,
    first_token_p50_ms: Tile,
    first_token_p95_ms: Tile,
    /// Microseconds in the gateway, without waiting for sockets.
    overhead_p50_us: Tile,
    overhead_p99_us: Tile,
    tokens: Tile,
    spend: Spend,
    /// Percent of the answers that came from the cache.
    cache_hit_rate: Tile,
    /// US dollars that those cost when they were first given.
    saved: Tile,
    /// Budgets of which more than 80 % are used.
    budgets_at_risk: usize,
}

/// A number, and how it was.
#[derive(Debug, Serialize, ToSchema)]
pub struct Tile {
    /// Over the whole range; null: there is nothing to tell it from.
    value: Option<f64>,
    /// The same over the period of the same length before.
    previous: Option<f64>,
    /// How much it changed against that: 0.1 is 10 % more.
    change: Option<f64>,
    /// By bucket.
    spark: Vec<Option<f64>>,
}

/// What was spent, in US dollars.
#[derive(Debug, Serialize, ToSchema)]
pub struct Spend {
    #[schema(value_type = f64)]
    value: Dollars,
    #[schema(value_type = f64)]
    previous: Dollars,
    change: Option<f64>,
    #[schema(value_type = Vec<f64>)]
    spark: Vec<Dollars>,
    /// Since midnight (UTC).
    #[schema(value_type = f64)]
    today: Dollars,
    /// Since the first of the month.
    #[schema(value_type = f64)]
    month: Dollars,
    /// What the month will have cost at the pace of the last seven days; null: there is less than an hour of it.
    #[schema(value_type = Option<f64>)]
    month_projected: Option<Dollars>,
}

/// Makes them.
pub fn of(facts: &Facts, budgets_at_risk: usize) -> Tiles {
    let all = Seen {
        facts,
        by_bucket: facts.all.by_bucket(),
        now: facts.all.total(),
        before: facts.before.total(),
    };
    let p = |pick: fn(&Times) -> &govern::sketch::Sketch, share: f64, unit: f64| {
        all.tile(move |cell, _| Some(pick(cell.times()?).quantile(share)? as f64 / unit))
    };
    Tiles {
        requests: all.tile(|cell, _| Some(cell.requests() as f64)),
        requests_per_second: all.tile(|cell, ms| Some(cell.requests() as f64 * 1_000.0 / ms.max(1) as f64)),
        success_rate: all.tile(|cell, _| success_rate(cell)),
        latency_p50_ms: p(|times| &times.took, 0.5, 1_000.0),
        latency_p95_ms: p(|times| &times.took, 0.95, 1_000.0),
        first_token_p50_ms: p(|times| &times.first_token, 0.5, 1_000.0),
        first_token_p95_ms: p(|times| &times.first_token, 0.95, 1_000.0),
        overhead_p50_us: p(|times| &times.overhead, 0.5, 1.0),
        overhead_p99_us: p(|times| &times.overhead, 0.99, 1.0),
        tokens: all.tile(|cell, _| Some(cell.tokens() as f64)),
        spend: spend(&all),
        cache_hit_rate: all.tile(|cell, _| cache_hit_rate(cell)),
        saved: all.tile(|cell, _| Some(cell.get(Count::Saved) as f64 / 1e9)),
        budgets_at_risk,
    }
}

/// Percent of those that were answered or failed; `None`: there were none.
#[must_use]
pub fn success_rate(cell: &Cell) -> Option<f64> {
    let (answered, failed) = (cell.answered(), cell.failed());
    let ended = answered.saturating_add(failed);
    (ended > 0).then(|| answered as f64 * 100.0 / ended as f64)
}

/// Percent of the answers that came from the cache; `None`: there were none.
fn cache_hit_rate(cell: &Cell) -> Option<f64> {
    let answered = cell.answered();
    (answered > 0).then(|| cell.get(Count::CacheHit) as f64 * 100.0 / answered as f64)
}

struct Seen<'f> {
    facts: &'f Facts,
    by_bucket: Vec<Cell>,
    now: Cell,
    before: Cell,
}

impl Seen<'_> {
    /// `read` is told how many milliseconds a cell is of.
    fn tile(&self, read: impl Fn(&Cell, u64) -> Option<f64>) -> Tile {
        let (from, to, now_ms) = (self.facts.frame.from_ms, self.facts.frame.to_ms, self.facts.now_ms);
        let value = read(&self.now, passed(from, to, now_ms));
        let before = self.facts.before.frame;
        let previous = read(&self.before, before.to_ms - before.from_ms);
        let bucket = self.facts.frame.bucket_ms;
        let spark = self.facts.all.starts.iter().zip(&self.by_bucket);
        let spark = spark
            .map(|(start, cell)| read(cell, passed((*start).max(from), (start + bucket).min(to), now_ms)));
        Tile { value, previous, change: change(value, previous), spark: spark.collect() }
    }
}

/// How much of a span has passed, in milliseconds.
fn passed(from_ms: u64, to_ms: u64, now_ms: u64) -> u64 {
    to_ms.min(now_ms.max(from_ms + 1)) - from_ms
}

fn change(value: Option<f64>, previous: Option<f64>) -> Option<f64> {
    let previous = previous.filter(|previous| *previous > 0.0)?;
    Some((value? - previous) / previous)
}

fn spend(seen: &Seen<'_>) -> Spend {
    let facts = seen.facts;
    let cost = |cell: &Cell| Dollars(cell.get(Count::Cost));
    let (value, previous) = (cost(&seen.now), cost(&seen.before));
    let month = facts.month.total().get(Count::Cost);
    let today = facts.month.by_bucket().last().map(cost).unwrap_or_default();
    // Since when there is anything: a gateway of yesterday has no week.
    let (week, starts) = (facts.week.by_bucket(), &facts.week.starts);
    let first = week.iter().zip(starts).find(|(cell, _)| cell.requests() > 0).map(|(_, start)| *start);
    let recent_ms = first.map_or(0, |first| facts.now_ms.saturating_sub(first.max(facts.week.frame.from_ms)));
    let recent = (facts.week.total().get(Count::Cost), recent_ms);
    let left_ms = forecast::month(facts.now_ms).1;
    Spend {
        value,
        previous,
        change: change(Some(value.0 as f64), Some(previous.0 as f64)),
        spark: seen.by_bucket.iter().map(cost).collect(),
        today,
        month: Dollars(month),
        month_projected: forecast::at_the_end(month, recent, left_ms).map(Dollars),
    }
}
