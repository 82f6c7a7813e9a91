//! Who spent what: a row for each spend, and sums per owner and minute, hour and day.
//!
//! A line of a journal counts once: it is counted in the same transaction as the place up to which the journal is read,
//! and only where that stands before it. What one second spent alike is one row ([`merged`]); a row is known by the id of
//! its first spend. What was spent is never edited; rows leave when they are old, sums of days stay.

use std::collections::{HashMap, HashSet};

use govern::allowance::Consumption;
use serde::Serialize;

use super::error::StoreError;
use super::sql::{Row, Sql, Turn, Work};
use crate::account::entry::Entry;

/// Milliseconds.
pub const MINUTE: u64 = 60_000;
pub const HOUR: u64 = 60 * MINUTE;
pub const DAY: u64 = 24 * HOUR;
/// What sums are made of.
const SPANS: [u64; 3] = [MINUTE, HOUR, DAY];
/// How long sums of minutes and of hours are kept: sums of days are kept for good.
const MINUTES_KEPT: u64 = 3 * DAY;
const HOURS_KEPT: u64 = 120 * DAY;
/// Up to these ages what was used is told row by row, by the minute and by the hour: less than these are kept, so that
/// none is missing.
const EXACT: u64 = 10 * MINUTE;
const BY_MINUTE: u64 = DAY;
const BY_HOUR: u64 = 60 * DAY;
/// Places in journals are forgotten after this.
const PLACES_KEPT: u64 = 400 * DAY;
/// A spend of ten million dollars is none: a thousand of the largest are a sum that the databases can still hold.
const LARGEST: u64 = 10_000_000_000_000_000;
/// Most rows that are removed at once.
const REMOVED: i64 = 5_000;

/// Where entries come from.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// The process that spent.
    pub writer: &'a str,
    /// The part of a journal that they stand in; `None`: they were never in one.
    pub journal: Option<Part<'a>>,
    /// Unix milliseconds.
    pub now_ms: u64,
}

/// A part of a journal.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    pub file: &'a str,
    /// The place of its first line, and the one behind its last.
    pub from: u64,
    pub end: u64,
}

/// What was used in a span that begins at `at_ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Used {
    pub at_ms: u64,
    pub consumption: Consumption,
}

/// A spend of another process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Of the row.
    pub number: u64,
    pub entry: Entry<'static>,
}

/// The spans of time that an owner's quotas are for, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Windows {
    pub shortest: u64,
    pub longest: u64,
}

/// What an owner has used, oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Past {
    /// `config::governance::Owner` as text.
    pub owner: String,
    pub used: Vec<Used>,
}

/// Of whom, and from when to when sums are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpendQuery {
    /// `config::governance::Owner` as text.
    pub owner: String,
    /// From and up to, without, these Unix milliseconds.
    pub from_ms: u64,
    pub to_ms: u64,
    /// [`MINUTE`], [`HOUR`] or [`DAY`].
    pub span: u64,
}

/// Spends of one second that count for the same owners at the same target, as one: with the id of the first and the moment
/// of the last of them.
#[must_use]
pub fn merged(entries: Vec<Entry<'_>>) -> Vec<Entry<'_>> {
    let mut places = HashMap::new();
    let mut found: Vec<Entry<'_>> = Vec::new();
    for entry in entries {
        let key = (entry.at / 1_000, entry.owners.clone(), entry.target.clone(), entry.estimated);
        let at = *places.entry(key).or_insert(found.len());
        match found.get_mut(at) {
            Some(sum) => {
                sum.at = sum.at.max(entry.at);
                sum.cost = sum.cost.saturating_add(entry.cost.min(LARGEST));
                sum.requests = sum.requests.saturating_add(entry.requests.min(LARGEST));
                sum.input_tokens = sum.input_tokens.saturating_add(entry.input_tokens.min(LARGEST));
                sum.output_tokens = sum.output_tokens.saturating_add(entry.output_tokens.min(LARGEST));
            }
            None => found.push(entry),
        }
    }
    found
}

/// How far a journal was read.
pub(super) async fn place(work: &mut Work, file: &str) -> Result<u64, StoreError> {
    let row = work.row("SELECT place FROM bifrost_journals WHERE file = $1", &[file.into()]).await?;
    row.map_or(Ok(0), |row| row.number(0))
}

/// Counts entries, each once; gives how many rows were new. `None`: the journal is not read up to where their part
/// begins, or somebody else has read it further: nothing was counted.
pub(super) async fn apply(
    work: &mut Work,
    origin: &Origin<'_>,
    entries: &[Entry<'_>],
) -> Result<Option<usize>, StoreError> {
    work.turn(Turn::Ledger).await?;
    if let Some(part) = origin.journal
        && place(work, part.file).await? != part.from
    {
        return Ok(None);
    }
    let mut fresh = insert(work, origin, entries).await?;
    let count = fresh.len();
    let fresh_entries = entries.iter().filter(|entry| fresh.remove(&*entry.id));
    let sums = sums(fresh_entries);
    if !sums.is_empty() {
        let text = json(&sums)?;
        work.execute(work.either(ADD_SQLITE, ADD_POSTGRES), &[(&text).into()]).await?;
    }
    if let Some(Part { file, end, .. }) = origin.journal {
        let text = "INSERT INTO bifrost_journals (file, place, read_at) VALUES ($1, $2, $3) \
            ON CONFLICT (file) DO UPDATE SET place = excluded.place, read_at = excluded.read_at \
            WHERE excluded.place > bifrost_journals.place";
        work.execute(text, &[file.into(), end.into(), origin.now_ms.into()]).await?;
    }
    Ok(Some(count))
}

/// What `owner` used in its windows, oldest first: of the last minutes each row with its moment, before that sums, the
/// coarser the older. A sum has the last moment of its span, so that it leaves a window late rather than early.
pub(super) async fn used(
    work: &mut Work,
    owner: &str,
    (windows, now_ms): (Windows, u64),
) -> Result<Vec<Used>, StoreError> {
    let borders = Borders::of(windows, now_ms);
    let mut found = summed(work, owner, &borders).await?;
    let text = work.either(ROWS_SQLITE, ROWS_POSTGRES);
    for row in &work.rows(text, &[borders.exact.into(), owner.into()]).await? {
        found.push(read_used(row)?);
    }
    Ok(found)
}

/// What all owners used that have windows, and the number of the last row that is in it.
pub(super) async fn past(
    work: &mut Work,
    now_ms: u64,
    windows: impl Fn(&str) -> Option<Windows>,
) -> Result<(u64, Vec<Past>), StoreError> {
    let number = last_number(work).await?;
    let mut recent = recent(work, now_ms).await?;
    let mut found = Vec::new();
    for row in work.rows("SELECT DISTINCT owner FROM bifrost_rollups WHERE span = $1", &[DAY.into()]).await? {
        let owner = row.text(0)?;
        let Some(windows) = windows(&owner) else { continue };
        let borders = Borders::of(windows, now_ms);
        let mut used = summed(work, &owner, &borders).await?;
        let rows = recent.remove(&owner).unwrap_or_default();
        used.extend(rows.into_iter().filter(|used| used.at_ms >= borders.exact));
        found.push(Past { owner, used });
    }
    Ok((number, found))
}

/// Sums per span, oldest first.
pub(super) async fn spend(work: &mut Work, query: &SpendQuery) -> Result<Vec<Used>, StoreError> {
    let text = "SELECT start, cost, requests, input_tokens, output_tokens FROM bifrost_rollups \
        WHERE owner = $1 AND span = $2 AND start >= $3 AND start < $4 ORDER BY start";
    let values: [Sql<'_>; 4] =
        [(&query.owner).into(), query.span.into(), query.from_ms.into(), query.to_ms.into()];
    work.rows(text, &values).await?.iter().map(read_used).collect()
}

/// The number of the last row.
async fn last_number(work: &mut Work) -> Result<u64, StoreError> {
    let row = work.row("SELECT COALESCE(MAX(number), 0) FROM bifrost_ledger", &[]).await?;
    row.map_or(Ok(0), |row| row.number(0))
}

/// Rows behind `number` that other processes than `writer` spent, oldest first.
pub(super) async fn told(
    work: &mut Work,
    (number, writer): (u64, &str),
    limit: u32,
) -> Result<Vec<Told>, StoreError> {
    let text = "SELECT number, id, at, owners, target, cost, requests, input_tokens, output_tokens, estimated \
        FROM bifrost_ledger WHERE number > $1 AND writer <> $2 ORDER BY number LIMIT $3";
    let rows = work.rows(text, &[number.into(), writer.into(), Sql::Int(limit.into())]).await?;
    rows.iter().map(read_told).collect()
}

/// Removes what is older than it is kept: rows that are older than `rows_kept` milliseconds, and sums. True when there
/// may be more.
pub(super) async fn forget(work: &mut Work, (now_ms, rows_kept): (u64, u64)) -> Result<bool, StoreError> {
    let old_rows = "DELETE FROM bifrost_ledger WHERE number IN \
        (SELECT number FROM bifrost_ledger WHERE at < $1 ORDER BY at LIMIT $2)";
    let before = |kept: u64| Sql::from(now_ms.saturating_sub(kept));
    // Rows that are still told row by row stay.
    let kept = before(rows_kept.max(EXACT + MINUTE));
    let mut removed = work.execute(old_rows, &[kept, Sql::Int(REMOVED)]).await?;
    let old_sums = "DELETE FROM bifrost_rollups WHERE (owner, span, start) IN \
        (SELECT owner, span, start FROM bifrost_rollups WHERE span = $1 AND start < $2 LIMIT $3)";
    for (span, kept) in [(MINUTE, MINUTES_KEPT), (HOUR, HOURS_KEPT)] {
        let values = [span.into(), before(kept), Sql::Int(REMOVED)];
        removed = work.execute(old_sums, &values).await?.max(removed);
    }
    work.execute("DELETE FROM bifrost_journals WHERE read_at < $1", &[before(PLACES_KEPT)]).await?;
    Ok(removed >= REMOVED.unsigned_abs())
}

const INSERT_SQLITE: &str = "INSERT INTO bifrost_ledger (id, at, writer, owners, target, cost, requests, \
    input_tokens, output_tokens, estimated) SELECT value ->> 'id', value ->> 'at', $1, value ->> 'owners', \
    value ->> 'target', value ->> 'cost', value ->> 'requests', value ->> 'input', value ->> 'output', \
    value ->> 'estimated' FROM json_each($2) WHERE true ON CONFLICT (id) DO NOTHING RETURNING id";
const INSERT_POSTGRES: &str = "INSERT INTO bifrost_ledger (id, at, writer, owners, target, cost, requests, \
    input_tokens, output_tokens, estimated) SELECT id, at, $1, owners, target, cost, requests, input, output, \
    estimated FROM json_to_recordset($2::json) AS told (id text, at bigint, owners text, target text, cost bigint, \
    requests bigint, input bigint, output bigint, estimated bigint) ON CONFLICT (id) DO NOTHING RETURNING id";

const ADD_SQLITE: &str = "INSERT INTO bifrost_rollups (owner, span, start, cost, requests, input_tokens, \
    output_tokens) SELECT value ->> 'owner', value ->> 'span', value ->> 'start', value ->> 'cost', \
    value ->> 'requests', value ->> 'input', value ->> 'output' FROM json_each($1) WHERE true \
    ON CONFLICT (owner, span, start) DO UPDATE SET cost = cost + excluded.cost, \
    requests = requests + excluded.requests, input_tokens = input_tokens + excluded.input_tokens, \
    output_tokens = output_tokens + excluded.output_tokens";
const ADD_POSTGRES: &str = "INSERT INTO bifrost_rollups AS old (owner, span, start, cost, requests, input_tokens, \
    output_tokens) SELECT owner, span, start, cost, requests, input, output FROM json_to_recordset($1::json) AS \
    told (owner text, span bigint, start bigint, cost bigint, requests bigint, input bigint, output bigint) \
    ON CONFLICT (owner, span, start) DO UPDATE SET cost = old.cost + excluded.cost, \
    requests = old.requests + excluded.requests, input_tokens = old.input_tokens + excluded.input_tokens, \
    output_tokens = old.output_tokens + excluded.output_tokens";

const ROWS_SQLITE: &str = "SELECT at, cost, requests, input_tokens, output_tokens FROM bifrost_ledger \
    WHERE at >= $1 AND EXISTS (SELECT 1 FROM json_each(owners) WHERE value = $2) ORDER BY at";
const ROWS_POSTGRES: &str = "SELECT at, cost, requests, input_tokens, output_tokens FROM bifrost_ledger \
    WHERE at >= $1 AND owners::jsonb ? $2 ORDER BY at";

/// From when on what was used is told how finely.
struct Borders {
    days: u64,
    hours: u64,
    minutes: u64,
    exact: u64,
}

impl Borders {
    /// Minutes do not matter to who has only windows of weeks.
    fn of(windows: Windows, now_ms: u64) -> Self {
        let border = |age: u64, span: u64| now_ms.saturating_sub(age) / span * span;
        let minutes = if windows.shortest <= DAY { border(BY_MINUTE, HOUR) } else { border(HOUR, HOUR) };
        Self {
            days: now_ms.saturating_sub(windows.longest),
            hours: border(BY_HOUR, DAY),
            minutes,
            exact: exact(now_ms),
        }
    }
}

fn exact(now_ms: u64) -> u64 {
    now_ms.saturating_sub(EXACT) / MINUTE * MINUTE
}

async fn summed(work: &mut Work, owner: &str, borders: &Borders) -> Result<Vec<Used>, StoreError> {
    let mut found = Vec::new();
    let parts = [
        (DAY, 0, borders.hours),
        (HOUR, borders.hours, borders.minutes),
        (MINUTE, borders.minutes, borders.exact),
    ];
    for (span, from, to) in parts {
        // The span in which the longest window begins counts as a whole.
        let from = from.max(borders.days / span * span);
        if from < to {
            let query = SpendQuery { owner: owner.to_owned(), from_ms: from, to_ms: to, span };
            let last = |used: Used| Used { at_ms: used.at_ms.saturating_add(span - 1), ..used };
            found.extend(spend(work, &query).await?.into_iter().map(last));
        }
    }
    Ok(found)
}

/// The rows of the last minutes, by owner.
async fn recent(work: &mut Work, now_ms: u64) -> Result<HashMap<String, Vec<Used>>, StoreError> {
    let text = "SELECT at, cost, requests, input_tokens, output_tokens, owners FROM bifrost_ledger \
        WHERE at >= $1 ORDER BY at";
    let mut found: HashMap<String, Vec<Used>> = HashMap::new();
    for row in &work.rows(text, &[exact(now_ms).into()]).await? {
        let used = read_used(row)?;
        for owner in owners_of(&row.text(5)?)? {
            found.entry(owner).or_default().push(used);
        }
    }
    Ok(found)
}

fn owners_of(text: &str) -> Result<HashSet<String>, StoreError> {
    serde_json::from_str(text)
        .map_err(|_| StoreError::Unreadable("the owners of a spend are no list".to_owned()))
}

/// As the databases read it.
#[derive(Serialize)]
struct JsonRow<'a> {
    id: &'a str,
    at: u64,
    owners: String,
    target: &'a str,
    cost: u64,
    requests: u64,
    input: u64,
    output: u64,
    estimated: u8,
}

#[derive(Serialize)]
struct JsonSum<'a> {
    owner: &'a str,
    span: u64,
    start: u64,
    cost: u64,
    requests: u64,
    input: u64,
    output: u64,
}

/// Ids that were not known.
async fn insert(
    work: &mut Work,
    origin: &Origin<'_>,
    entries: &[Entry<'_>],
) -> Result<HashSet<String>, StoreError> {
    if entries.is_empty() {
        return Ok(HashSet::new());
    }
    let mut rows = Vec::with_capacity(entries.len());
    for entry in entries {
        rows.push(JsonRow {
            id: &entry.id,
            at: entry.at,
            owners: json(&entry.owners)?,
            target: &entry.target,
            cost: entry.cost.min(LARGEST),
            requests: entry.requests.min(LARGEST),
            input: entry.input_tokens.min(LARGEST),
            output: entry.output_tokens.min(LARGEST),
            estimated: u8::from(entry.estimated),
        });
    }
    let text = json(&rows)?;
    let statement = work.either(INSERT_SQLITE, INSERT_POSTGRES);
    let known = work.rows(statement, &[origin.writer.into(), (&text).into()]).await?;
    known.iter().map(|row| row.text(0)).collect()
}

fn sums<'a>(entries: impl Iterator<Item = &'a Entry<'a>>) -> Vec<JsonSum<'a>> {
    let mut sums: HashMap<(&str, u64, u64), Consumption> = HashMap::new();
    for entry in entries {
        // One that is named twice is counted once.
        let owners: HashSet<&str> = entry.owners.iter().map(|owner| &**owner).collect();
        for owner in owners {
            for span in SPANS {
                let sum = sums.entry((owner, span, entry.at / span * span)).or_default();
                sum.cost = sum.cost.saturating_add(entry.cost.min(LARGEST));
                sum.requests = sum.requests.saturating_add(entry.requests.min(LARGEST));
                sum.input_tokens = sum.input_tokens.saturating_add(entry.input_tokens.min(LARGEST));
                sum.output_tokens = sum.output_tokens.saturating_add(entry.output_tokens.min(LARGEST));
            }
        }
    }
    let row = |((owner, span, start), sum): ((&'a str, u64, u64), Consumption)| JsonSum {
        owner,
        span,
        start,
        cost: sum.cost,
        requests: sum.requests,
        input: sum.input_tokens,
        output: sum.output_tokens,
    };
    sums.into_iter().map(row).collect()
}

fn read_used(row: &Row) -> Result<Used, StoreError> {
    Ok(Used { at_ms: row.number(0)?, consumption: consumption(row, 1)? })
}

fn read_told(row: &Row) -> Result<Told, StoreError> {
    let owners = owners_of(&row.text(3)?)?;
    let consumption = consumption(row, 5)?;
    let entry = Entry {
        id: row.text(1)?.into(),
        at: row.number(2)?,
        owners: owners.into_iter().map(Into::into).collect(),
        target: row.text(4)?.into(),
        cost: consumption.cost,
        requests: consumption.requests,
        input_tokens: consumption.input_tokens,
        output_tokens: consumption.output_tokens,
        estimated: row.number(9)? != 0,
    };
    Ok(Told { number: row.number(0)?, entry })
}

fn consumption(row: &Row, at: usize) -> Result<Consumption, StoreError> {
    Ok(Consumption {
        cost: row.number(at)?,
        requests: row.number(at + 1)?,
        input_tokens: row.number(at + 2)?,
        output_tokens: row.number(at + 3)?,
    })
}

/// Postgres has no texts with a zero character; nobody misses it.
fn json(value: &impl Serialize) -> Result<String, StoreError> {
    let text = serde_json::to_string(value).map_err(|error| StoreError::Unreadable(error.to_string()))?;
    Ok(text.replace("\\u0000", "\u{fffd}"))
}
