//! Requests in the order of their time, cost or tokens: zone by zone, those first that may have the best.
//!
//! A zone knows the most and the least of its rows, so that of a log of millions of rows only the zones are read whose best
//! can still be among what is asked for.

use std::time::Instant;

use super::ask::{Ask, Behind, Terms};
use super::driver::{Driver, Range, Reach, Way, may_have, zone_range, zones_of};
use super::entry::Counts;
use super::page::Rank;
use super::row::Numbered;
use super::walk::{BUDGET, part};
use super::{StoreError, write::ZONE_BITS};
use crate::store::sql::Work;

/// Zones that are ordered in one go, and those of them whose rows are read in one go.
const ORDERED: u64 = 1_024;
const READ: usize = 32;
/// Zones of a range that are sorted.
const SORTED: u64 = 4_096;
/// Rows of an index that are sorted as they are.
const FEW: u64 = 5_000;

/// A place in the order: a value, and the number of the row among those that have it.
pub(super) type Place = (u64, u64);

/// What is asked for.
pub(super) struct Ranking<'t> {
    pub terms: &'t Terms,
    pub rank: Rank,
    pub range: Range,
    /// Largest first.
    pub descending: bool,
    /// Only what is behind it.
    pub after: Option<Place>,
    pub most: u64,
}

impl Rank {
    pub(super) fn value(self, counts: &Counts) -> u64 {
        match self {
            Self::Latency => counts.took_us,
            Self::Tokens => counts.input_tokens.saturating_add(counts.output_tokens),
            Self::Cost => counts.cost_nanos,
        }
    }

    fn expression(self) -> &'static str {
        match self {
            Self::Latency => "took",
            Self::Tokens => "(input_tokens + output_tokens)",
            Self::Cost => "cost",
        }
    }

    fn zone(self) -> &'static str {
        match self {
            Self::Latency => "took",
            Self::Tokens => "tokens",
            Self::Cost => "cost",
        }
    }
}

/// The rows in their order, and whether nothing better was missed.
pub(super) async fn ranked(
    work: &mut Work,
    ranking: &Ranking<'_>,
) -> Result<(Vec<Numbered>, bool), StoreError> {
    let terms = ranking.narrowed();
    let driver = Driver::choose(work, &terms, (ranking.range, Way::Back)).await?;
    if driver != Driver::Zones {
        let reach = driver.reach(work, &terms, (ranking.range, Way::Back, FEW)).await?;
        if reach.range == ranking.range {
            let order = (&*ranking.order(), ranking.most);
            let rows = part(work, (&driver, &terms), &reach, order).await?;
            return Ok((ranking.best(rows), true));
        }
    }
    by_zones(work, ranking, &terms).await
}

async fn by_zones(
    work: &mut Work,
    ranking: &Ranking<'_>,
    terms: &Terms,
) -> Result<(Vec<Numbered>, bool), StoreError> {
    let began = Instant::now();
    let mut rows = Vec::new();
    let mut last = None;
    loop {
        let zones = ranking.zones(work, terms, last).await?;
        for now in zones.chunks(READ) {
            if now.first().is_some_and(|first| ranking.is_done(&rows, *first)) {
                return Ok((rows, true));
            }
            if began.elapsed() > BUDGET {
                return Ok((rows, false));
            }
            let parts = now.iter().map(|(zone, _)| zone_range(*zone, ranking.range)).collect();
            let reach = Reach { range: ranking.range, parts: Some(parts) };
            let order = (&*ranking.order(), ranking.most);
            rows.extend(part(work, (&Driver::Zones, terms), &reach, order).await?);
            rows = ranking.best(rows);
        }
        if u64::try_from(zones.len()).is_ok_and(|count| count < ORDERED) {
            return Ok((rows, true));
        }
        last = zones.last().copied();
    }
}

impl Ranking<'_> {
    /// Zones before the place need not be read, nor rows.
    fn narrowed(&self) -> Terms {
        let mut terms = self.terms.clone();
        let Some((value, id)) = self.after else { return terms };
        let span = match self.rank {
            Rank::Latency => &mut terms.filter.took_us,
            Rank::Tokens => &mut terms.filter.tokens,
            Rank::Cost => &mut terms.filter.cost_nanos,
        };
        match self.descending {
            true => span.max = Some(span.max.map_or(value, |max| max.min(value))),
            false => span.min = Some(span.min.map_or(value, |min| min.max(value))),
        }
        let (expression, descending) = (self.rank.expression(), self.descending);
        terms.behind = Some(Behind { expression, value, id, descending });
        terms
    }

    fn order(&self) -> String {
        let (value, way) = (self.rank.expression(), if self.descending { "DESC" } else { "ASC" });
        format!("{value} {way}, id {way}")
    }

    /// The first rows in the order.
    fn best(&self, mut rows: Vec<Numbered>) -> Vec<Numbered> {
        let place = |row: &Numbered| (self.rank.value(&row.counts), row.id);
        rows.sort_unstable_by(|a, b| match self.descending {
            true => place(b).cmp(&place(a)),
            false => place(a).cmp(&place(b)),
        });
        rows.truncate(usize::try_from(self.most).unwrap_or(usize::MAX));
        rows
    }

    /// Zones with the best value that each may have, the best first, behind `last`.
    async fn zones(
        &self,
        work: &mut Work,
        terms: &Terms,
        last: Option<(u64, u64)>,
    ) -> Result<Vec<(u64, u64)>, StoreError> {
        let (end, way, sign) = if self.descending { ("max_", "DESC", "< (") } else { ("min_", "ASC", "> (") };
        let best = format!("{end}{}", self.rank.zone());
        let mut ask = Ask::new("SELECT zone, ");
        ask.push(&best).push(" FROM bifrost_request_zones");
        if !work.is_postgres() {
            // A few hours are sorted; of more the index has the best ones first.
            let many = self.range.to.saturating_sub(self.range.from) >> ZONE_BITS > SORTED;
            match many && self.descending {
                true => ask.push(" INDEXED BY bifrost_request_zones_by_").push(self.rank.zone()),
                false => ask.push(" NOT INDEXED"),
            };
        }
        ask.push(" WHERE ");
        zones_of(&mut ask, self.range);
        terms.filter.spans().iter().for_each(|(name, span)| may_have(&mut ask, name, *span));
        if let Some((zone, value)) = last {
            ask.push(" AND (").push(&best).push(", zone) ").push(sign);
            ask.bind(value).push(", ").bind(zone).push(")");
        }
        ask.push(" ORDER BY ").push(&best).push(" ").push(way).push(", zone ").push(way);
        ask.push(" LIMIT ").bind(ORDERED);
        let rows = ask.rows(work).await?;
        rows.iter().map(|row| Ok((row.number(0)?, row.number(1)?))).collect()
    }

    /// No row of this zone or of a later one comes before the last one that was found.
    fn is_done(&self, rows: &[Numbered], (zone, best): (u64, u64)) -> bool {
        let full = u64::try_from(rows.len()).is_ok_and(|count| count >= self.most);
        let Some(last) = rows.last().filter(|_| full) else { return false };
        let place = (self.rank.value(&last.counts), last.id);
        match self.descending {
            true => place >= (best, (zone + 1) << ZONE_BITS),
            false => place < (best, zone << ZONE_BITS),
        }
    }
}
