//! By what a question walks through the log: an index whose entries are in the order of time, or all rows but those of
//! zones that cannot have what is asked for.
//!
//! Of several ways the one is taken whose next thousand entries reach furthest: it meets the fewest rows in vain.

use super::ask::{Ask, Filter, Span, Terms};
use super::row::{COLUMNS, COLUMNS_POSTGRES};
use super::tally::SUMS;
use super::write::{ZONE_BITS, list};
use super::{Requests, StoreError};
use crate::store::sql::Work;

/// Entries by which ways are compared.
const PROBE: u64 = 1_000;
/// Zones that are taken in one go, and that are passed over.
const ZONES: u64 = 1_024;
const SKIPPED: u64 = 16_384;
/// A column with more values than this is no way: each value is a walk of its own.
const VALUES: usize = 8;

/// A way through the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Driver {
    /// All rows, zone by zone.
    Zones,
    /// Rows with one of these numbers in a column that has an index.
    Column(&'static str, Vec<u32>),
    Tag(u64),
    Text(String),
}

/// Numbers from, and before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    pub from: u64,
    pub to: u64,
}

/// Which end of a range comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// The newest first.
    Back,
    Forth,
}

/// What the next entries of a driver cover.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reach {
    /// All rows of this range are among them.
    pub range: Range,
    /// Only these parts of the range need be looked at; `None`: all of it.
    pub parts: Option<Vec<Range>>,
}

impl Range {
    pub(super) fn is_empty(self) -> bool {
        self.from >= self.to
    }

    /// What is behind `part`, which is at the beginning of this range.
    pub(super) fn behind(self, part: Self, way: Way) -> Self {
        match way {
            Way::Back => Self { from: self.from, to: part.from },
            Way::Forth => Self { from: part.to, to: self.to },
        }
    }

    fn length(self) -> u64 {
        self.to.saturating_sub(self.from)
    }
}

impl Way {
    fn order(self) -> &'static str {
        match self {
            Self::Back => "DESC",
            Self::Forth => "ASC",
        }
    }

    /// The number that was met last.
    fn last(self) -> &'static str {
        match self {
            Self::Back => "MIN",
            Self::Forth => "MAX",
        }
    }
}

impl Driver {
    /// The best way for a filter through a range.
    pub(super) async fn choose(
        work: &mut Work,
        terms: &Terms,
        (range, way): (Range, Way),
    ) -> Result<Self, StoreError> {
        let mut candidates = Self::candidates(terms);
        if candidates.len() == 1 {
            return Ok(candidates.swap_remove(0));
        }
        let mut best = (Self::Zones, 0);
        for candidate in candidates {
            let reach = candidate.reach(work, terms, (range, way, PROBE)).await?;
            let length = reach.range.length();
            if length > best.1 {
                best = (candidate, length);
            }
        }
        Ok(best.0)
    }

    fn candidates(terms: &Terms) -> Vec<Self> {
        let filter = &terms.filter;
        if !filter.text.is_empty() {
            return vec![Self::Text(filter.text.clone())];
        }
        let mut found: Vec<Self> = terms.tags.iter().map(|tag| Self::Tag(*tag)).collect();
        for (column, numbers) in &terms.names {
            let indexed = !["asked", "object", "dialect"].contains(column);
            if indexed && numbers.len() <= VALUES && !numbers.contains(&0) {
                found.push(Self::Column(column, numbers.clone()));
            }
        }
        if !filter.outcomes.is_empty() && filter.outcomes.iter().all(|outcome| *outcome as u32 > 0) {
            let numbers = filter.outcomes.iter().map(|outcome| *outcome as u32).collect();
            found.push(Self::Column("outcome", numbers));
        }
        if found.is_empty() || !filter.spans().iter().all(|(_, span)| span.is_open()) {
            found.push(Self::Zones);
        }
        found
    }

    /// What the next `count` entries cover, at least one of them: the whole range where there are fewer.
    pub(super) async fn reach(
        &self,
        work: &mut Work,
        terms: &Terms,
        (range, way, count): (Range, Way, u64),
    ) -> Result<Reach, StoreError> {
        let skips = !terms.filter.spans().iter().all(|(_, span)| span.is_open());
        if *self == Self::Zones && skips {
            return zones(work, terms, (range, way, count)).await;
        }
        let mut covered = range;
        for number in self.numbers() {
            let mut ask = Ask::new("SELECT COUNT(*), COALESCE(");
            ask.push(way.last()).push("(id), 0) FROM (");
            self.entries(&mut ask, *number, (covered, work.is_postgres()));
            ask.push(" ORDER BY id ").push(way.order()).push(" LIMIT ").bind(count).push(") AS seen");
            let Some(row) = ask.row(work).await? else { continue };
            if row.number(0)? >= count {
                let last = row.number(1)?;
                match way {
                    Way::Back => covered.from = last,
                    Way::Forth => covered.to = last.saturating_add(1),
                }
            }
        }
        Ok(Reach { range: covered, parts: None })
    }

    /// Appends `SELECT id FROM …` of the entries in a range.
    fn entries(&self, ask: &mut Ask, number: u32, (range, postgres): (Range, bool)) {
        match self {
            Self::Zones => {
                ask.push("SELECT id FROM bifrost_requests WHERE id >= ").bind(range.from);
            }
            Self::Column(column, _) => {
                ask.push("SELECT id FROM bifrost_requests ");
                column_is(ask, column, number, postgres);
                ask.push(" AND id >= ").bind(range.from);
            }
            Self::Tag(tag) => {
                ask.push("SELECT id FROM bifrost_request_tags WHERE tag = ").bind(*tag);
                ask.push(" AND id >= ").bind(range.from);
            }
            Self::Text(text) if postgres => {
                ask.push("SELECT id FROM bifrost_request_texts WHERE body @@ plainto_tsquery('simple', ");
                ask.bind(text.as_str()).push(") AND id >= ").bind(range.from);
            }
            Self::Text(text) => {
                ask.push("SELECT rowid AS id FROM bifrost_request_texts WHERE bifrost_request_texts MATCH ");
                ask.bind(words(text).as_str()).push(" AND rowid >= ").bind(range.from);
                ask.push(" AND rowid < ").bind(range.to);
                return;
            }
        }
        ask.push(" AND id < ").bind(range.to);
    }

    /// The rows of a part of the log that have all that is asked for. `order` is of their columns.
    pub(super) fn rows(
        &self,
        terms: &Terms,
        reach: &Reach,
        (order, limit, postgres): (&str, u64, bool),
    ) -> Ask {
        let columns = if postgres { COLUMNS_POSTGRES } else { COLUMNS };
        let mut ask = Ask::new("SELECT * FROM (");
        for (at, number) in self.numbers().iter().enumerate() {
            ask.push(if at == 0 { "" } else { " UNION ALL " });
            ask.push("SELECT * FROM (SELECT ").push(columns).push(" FROM ");
            self.source(&mut ask, *number, (reach, postgres));
            terms.write(&mut ask);
            ask.push(" ORDER BY ").push(order).push(" LIMIT ").bind(limit).push(") AS one");
        }
        ask.push(") AS found ORDER BY ").push(order).push(" LIMIT ").bind(limit);
        ask
    }

    /// What the rows of a part of the log come to: one row of sums for each of the driver's numbers.
    pub(super) fn sums(&self, terms: &Terms, reach: &Reach, postgres: bool) -> Ask {
        let mut ask = Ask::default();
        for (at, number) in self.numbers().iter().enumerate() {
            ask.push(if at == 0 { "SELECT " } else { " UNION ALL SELECT " }).push(SUMS).push(" FROM ");
            self.source(&mut ask, *number, (reach, postgres));
            terms.write(&mut ask);
        }
        ask
    }

    /// Each is a walk of its own.
    fn numbers(&self) -> &[u32] {
        match self {
            Self::Column(_, numbers) => numbers,
            Self::Zones | Self::Tag(_) | Self::Text(_) => &[0],
        }
    }

    /// Appends the table and the condition that chooses the entries.
    fn source(&self, ask: &mut Ask, number: u32, (reach, postgres): (&Reach, bool)) {
        let range = reach.range;
        match (self, &reach.parts) {
            (Self::Column(column, _), _) => {
                ask.push("bifrost_requests ");
                column_is(ask, column, number, postgres);
                ask.push(" AND id >= ").bind(range.from).push(" AND id < ").bind(range.to);
            }
            (Self::Zones, Some(parts)) => {
                let text = parts_text(parts);
                if postgres {
                    ask.push("(SELECT (value ->> 0)::bigint AS low, (value ->> 1)::bigint AS high ");
                    ask.push("FROM json_array_elements(").bind(text.as_str()).push("::json)) AS part, ");
                    ask.push("LATERAL (SELECT * FROM bifrost_requests WHERE id >= low AND id < high) ");
                    ask.push("AS bifrost_requests WHERE true");
                } else {
                    ask.push("(SELECT value ->> 0 AS low, value ->> 1 AS high FROM json_each(");
                    ask.bind(text.as_str()).push(")) AS part CROSS JOIN bifrost_requests ");
                    ask.push("WHERE id >= low AND id < high");
                }
            }
            (Self::Zones, None) => {
                ask.push("bifrost_requests WHERE id >= ").bind(range.from);
                ask.push(" AND id < ").bind(range.to);
            }
            (Self::Tag(_) | Self::Text(_), _) => {
                ask.push("(SELECT id AS met FROM (");
                self.entries(ask, number, (range, postgres));
                ask.push(") AS entries) AS chosen CROSS JOIN bifrost_requests WHERE id = met");
            }
        }
    }
}

/// Indexes on what most rows have not are of the other rows only: a question must say so to use one.
fn column_is(ask: &mut Ask, column: &str, number: u32, postgres: bool) {
    if !postgres {
        ask.push("INDEXED BY bifrost_requests_by_").push(column);
    }
    ask.push(" WHERE ").push(column).push(" = ").bind(number).push(" AND ").push(column).push(" > 0");
}

fn parts_text(parts: &[Range]) -> String {
    let parts: Vec<String> = parts.iter().map(|part| list([part.from, part.to].into_iter())).collect();
    format!("[{}]", parts.join(","))
}

/// Words as FTS5 looks for them: all of them, each a text and no operator. The last one may be the beginning of a word.
fn words(text: &str) -> String {
    let quoted = text.split_whitespace().map(|word| format!("\"{}\"", word.replace('"', "\"\"")));
    quoted.collect::<Vec<_>>().join(" ")
}

/// What the next zones cover that have about `count` rows and may have what is asked for.
async fn zones(
    work: &mut Work,
    terms: &Terms,
    (range, way, count): (Range, Way, u64),
) -> Result<Reach, StoreError> {
    let mut covered = extent(work, (range, way)).await?;
    let mut ask = Ask::new("SELECT zone, requests FROM bifrost_request_zones");
    ask.push(if work.is_postgres() { " WHERE " } else { " NOT INDEXED WHERE " });
    zones_of(&mut ask, covered);
    terms.filter.spans().iter().for_each(|(name, span)| may_have(&mut ask, name, *span));
    ask.push(" ORDER BY zone ").push(way.order()).push(" LIMIT ").bind(ZONES);
    let rows = ask.rows(work).await?;
    let (mut parts, mut met) = (Vec::new(), 0);
    for (at, row) in (1..).zip(&rows) {
        let zone = zone_range(row.number(0)?, range);
        parts.push(zone);
        met += row.number(1)?;
        if met >= count || at == ZONES {
            match way {
                Way::Back => covered.from = zone.from,
                Way::Forth => covered.to = zone.to,
            }
            break;
        }
    }
    Ok(Reach { range: covered, parts: Some(parts) })
}

/// The part of a range that so many zones cover as can be looked at in one go.
async fn extent(work: &mut Work, (range, way): (Range, Way)) -> Result<Range, StoreError> {
    let mut ask = Ask::new("SELECT zone FROM bifrost_request_zones");
    ask.push(if work.is_postgres() { " WHERE " } else { " NOT INDEXED WHERE " });
    zones_of(&mut ask, range);
    ask.push(" ORDER BY zone ").push(way.order()).push(" LIMIT 1 OFFSET ").bind(SKIPPED);
    let Some(row) = ask.row(work).await? else { return Ok(range) };
    let last = zone_range(row.number(0)?, range);
    Ok(match way {
        Way::Back => Range { from: last.from, to: range.to },
        Way::Forth => Range { from: range.from, to: last.to },
    })
}

/// Appends that a zone has a part in a range.
pub(super) fn zones_of(ask: &mut Ask, range: Range) {
    ask.push("zone >= ").bind(range.from >> ZONE_BITS);
    ask.push(" AND zone <= ").bind(range.to.saturating_sub(1) >> ZONE_BITS);
}

/// Appends that a row of a zone may be within.
pub(super) fn may_have(ask: &mut Ask, name: &str, span: Span) {
    if let Some(min) = span.min {
        ask.push(" AND max_").push(name).push(" >= ").bind(min);
    }
    if let Some(max) = span.max {
        ask.push(" AND min_").push(name).push(" <= ").bind(max);
    }
}

/// The rows of a zone that are in `range`.
pub(super) fn zone_range(zone: u64, range: Range) -> Range {
    let first = zone << ZONE_BITS;
    Range { from: first.max(range.from), to: first.saturating_add(1 << ZONE_BITS).min(range.to) }
}

impl Requests {
    /// Names that others have added since are known afterwards.
    pub(super) async fn terms(&self, work: &mut Work, filter: &Filter) -> Result<Option<Terms>, StoreError> {
        if let Some(terms) = Terms::of(filter, &self.names) {
            return Ok(Some(terms));
        }
        self.names.catch_up(work).await?;
        Ok(Terms::of(filter, &self.names))
    }
}
