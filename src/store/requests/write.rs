//! Many requests in one transaction: rows, details, tags, zones, bodies.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt::Write;

use ring::digest;

use super::entry::{Counts, Detail, Entry, Flags, Names};
use super::names::NameKind;
use super::row::{self, COLUMNS, WIDTH};
use super::{Requests, StoreError};
use crate::store::sql::{Composed, Sql, Work};
use crate::telemetry::record::Record;

/// A zone is the rows of so many milliseconds, as a power of two: about 16 s.
pub(super) const ZONE_BITS: u32 = 21 + 14;
/// The largest statement inserts so many rows; the others are halves of it, so that there are few of them.
const ROWS: usize = 64;

/// Bodies of a request.
#[derive(Debug, Clone, Default)]
pub struct Bodies {
    pub id: u64,
    pub parts: Vec<(Part, Packed)>,
    /// What can be searched for.
    pub text: String,
}

/// Another cost of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Priced {
    pub id: u64,
    pub cost_nanos: u64,
    pub flags: Flags,
}

/// Which body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Part {
    Request = 0,
    Response = 1,
    UpstreamRequest = 2,
    UpstreamResponse = 3,
}

/// A body as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    /// SHA-256 of what it was before.
    pub hash: [u8; 32],
    /// Bytes that it was before.
    pub size: u64,
    /// zstd.
    pub body: Vec<u8>,
}

impl Part {
    pub const ALL: [Self; 4] = [Self::Request, Self::Response, Self::UpstreamRequest, Self::UpstreamResponse];
}

impl Requests {
    /// Appends requests with their bodies: all of them or none. A number that is taken becomes the next free one.
    ///
    /// # Errors
    /// The log is not available.
    pub async fn append(&self, entries: &mut [Entry<'_>], bodies: &mut [Bodies]) -> Result<(), StoreError> {
        entries.iter_mut().for_each(without_zeros);
        self.within(async {
            let database = self.database().await?;
            let names: HashSet<(NameKind, &str)> = entries.iter().flat_map(names_of).collect();
            self.names.number_all(&database, names).await?;
            let mut work = database.write().await?;
            find_numbers(&mut work, entries, bodies).await?;
            self.insert(&mut work, entries).await?;
            tags(&mut work, entries).await?;
            zones(&mut work, entries).await?;
            for kept in bodies.iter() {
                keep(&mut work, kept).await?;
            }
            work.commit().await
        })
        .await
    }

    /// Writes other costs down.
    ///
    /// # Errors
    /// The log is not available: none was written.
    pub async fn price(&self, priced: &[Priced]) -> Result<(), StoreError> {
        self.writing(async |work| {
            let widen = work.either(
                "UPDATE bifrost_request_zones SET min_cost = min(min_cost, $2), max_cost = max(max_cost, $2) \
                    WHERE zone = $1",
                "UPDATE bifrost_request_zones SET min_cost = least(min_cost, $2), \
                    max_cost = greatest(max_cost, $2) WHERE zone = $1",
            );
            for Priced { id, cost_nanos, flags } in priced {
                let text = "UPDATE bifrost_requests SET cost = $2, flags = $3 WHERE id = $1";
                work.execute(text, &[(*id).into(), (*cost_nanos).into(), Sql::Int(flags.0.into())]).await?;
                work.execute(widen, &[(id >> ZONE_BITS).into(), (*cost_nanos).into()]).await?;
            }
            Ok(())
        })
        .await
    }

    async fn insert(&self, work: &mut Work, entries: &[Entry<'_>]) -> Result<(), StoreError> {
        let mut rows = Vec::with_capacity(entries.len() * WIDTH);
        let mut details = Vec::with_capacity(entries.len());
        for entry in entries {
            let (values, unnumbered) = row::values(entry, &self.names);
            rows.extend(values);
            details.push((entry.id, detail_text(entry, unnumbered)?));
        }
        insert_all(work, ("bifrost_requests", COLUMNS, ""), &rows).await?;
        let details: Vec<Sql<'_>> =
            details.iter().flat_map(|(id, body)| [Sql::from(*id), body.into()]).collect();
        insert_all(work, ("bifrost_request_details", "id, body", ""), &details).await
    }
}

/// What a tag is found by: of tags, and (with names that no tag has) of sessions, parents and ids.
pub(super) fn tag_hash(name: &str, value: &str) -> u64 {
    let mut context = digest::Context::new(&digest::SHA256);
    for field in [name, value] {
        context.update(&u64::try_from(field.len()).unwrap_or(u64::MAX).to_be_bytes());
        context.update(field.as_bytes());
    }
    let hash = context.finish();
    let first = hash.as_ref().iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    first & i64::MAX.cast_unsigned()
}

/// Names of tags that are none: they begin with what no header's name has.
pub(super) const REQUEST: &str = "\0request";
pub(super) const PARENT: &str = "\0parent";
pub(super) const SESSION: &str = "\0session";
pub(super) const TRACE: &str = "\0trace";

/// The moment in an id of ours: it begins with 12 hexadecimal digits of Unix milliseconds.
pub(super) fn moment_in(request_id: &str) -> Option<u64> {
    let ours = request_id.len() == 32 && request_id.bytes().all(|byte| byte.is_ascii_hexdigit());
    ours.then(|| u64::from_str_radix(request_id.get(..12)?, 16).ok())?
}

/// Postgres has no texts with a zero character; nobody misses it.
fn without_zeros(entry: &mut Entry<'_>) {
    let Names { provider, model, asked, key, virtual_key, team, customer, rule, error, .. } =
        &mut entry.names;
    let named = [provider, model, asked, key, virtual_key, team, customer, rule, error];
    let tags = entry.detail.tags.iter_mut().map(|(name, _)| name);
    for name in named.into_iter().chain(tags).filter(|name| name.contains('\0')) {
        *name = Cow::Owned(name.replace('\0', "\u{fffd}"));
    }
}

fn names_of<'e>(entry: &'e Entry<'_>) -> impl Iterator<Item = (NameKind, &'e str)> {
    let tags = entry.detail.tags.iter().map(|(name, _)| (NameKind::Tag, &**name));
    entry.names.each().into_iter().chain(tags).filter(|(_, name)| !name.is_empty())
}

/// Rows that came with the same number, or whose number was taken before, get the next free one.
async fn find_numbers(
    work: &mut Work,
    entries: &mut [Entry<'_>],
    bodies: &mut [Bodies],
) -> Result<(), StoreError> {
    let mut taken = taken(work, entries.iter().map(|entry| entry.id)).await?;
    for entry in entries {
        let asked = entry.id;
        while taken.contains(&entry.id) || !taken.insert(entry.id) {
            entry.id = entry.id.saturating_add(1);
            if !taken.contains(&entry.id) {
                let there = self::taken(work, [entry.id].into_iter()).await?;
                taken.extend(there);
            }
        }
        if entry.id != asked
            && let Some(kept) = bodies.iter_mut().rev().find(|kept| kept.id == asked)
        {
            kept.id = entry.id;
        }
    }
    Ok(())
}

async fn taken(work: &mut Work, ids: impl Iterator<Item = u64>) -> Result<BTreeSet<u64>, StoreError> {
    let text = work.either(
        "SELECT id FROM bifrost_requests WHERE id IN (SELECT value FROM json_each($1))",
        "SELECT id FROM bifrost_requests WHERE id IN (SELECT value::bigint FROM json_array_elements_text($1::json))",
    );
    let rows = work.rows(text, &[(&list(ids)).into()]).await?;
    rows.iter().map(|row| row.number(0)).collect()
}

/// Numbers as a list of JSON: how many go with one statement.
pub(super) fn list(ids: impl Iterator<Item = u64>) -> String {
    let mut text = "[".to_owned();
    for id in ids {
        // Writing into a String cannot fail.
        let _ = write!(text, "{}{id}", if text.len() > 1 { "," } else { "" });
    }
    text.push(']');
    text
}

fn detail_text(entry: &Entry<'_>, unnumbered: Vec<(u8, Cow<'_, str>)>) -> Result<String, StoreError> {
    let broken = |error: serde_json::Error| StoreError::Unreadable(error.to_string());
    let text = if unnumbered.is_empty() {
        serde_json::to_string(&entry.detail).map_err(broken)?
    } else {
        let detail = Detail { unnumbered, ..entry.detail.clone() };
        serde_json::to_string(&detail).map_err(broken)?
    };
    Ok(if text.contains("\\u0000") { text.replace("\\u0000", "\u{fffd}") } else { text })
}

async fn tags(work: &mut Work, entries: &[Entry<'_>]) -> Result<(), StoreError> {
    let mut found = BTreeSet::new();
    for entry in entries {
        let detail = &entry.detail;
        let tags = detail.tags.iter().map(|(name, value)| (&**name, &**value));
        let trace = detail.trace.as_ref().map_or("", |trace| &trace.0);
        let special = [(PARENT, &*detail.parent), (SESSION, &detail.session), (TRACE, trace)];
        for (name, value) in tags.chain(special.into_iter().filter(|(_, value)| !value.is_empty())) {
            found.insert((tag_hash(name, value), entry.id));
        }
        // Ids of ours are found by the moment in them.
        let moment = moment_in(&detail.request_id);
        if moment.is_none_or(|moment| Record::number(moment, &detail.request_id) != entry.id) {
            found.insert((tag_hash(REQUEST, &detail.request_id), entry.id));
        }
    }
    let values: Vec<Sql<'_>> = found.iter().flat_map(|(tag, id)| [Sql::from(*tag), (*id).into()]).collect();
    insert_all(work, ("bifrost_request_tags", "tag, id", " ON CONFLICT (tag, id) DO NOTHING"), &values).await
}

/// What the rows of a zone have at least and at most.
struct Zone {
    requests: u64,
    took: (u64, u64),
    cost: (u64, u64),
    tokens: (u64, u64),
}

impl Zone {
    fn of(counts: &Counts) -> Self {
        let tokens = counts.input_tokens.saturating_add(counts.output_tokens);
        Self {
            requests: 1,
            took: (counts.took_us, counts.took_us),
            cost: (counts.cost_nanos, counts.cost_nanos),
            tokens: (tokens, tokens),
        }
    }

    fn add(&mut self, other: &Self) {
        let wider = |one: (u64, u64), other: (u64, u64)| (one.0.min(other.0), one.1.max(other.1));
        self.requests += other.requests;
        self.took = wider(self.took, other.took);
        self.cost = wider(self.cost, other.cost);
        self.tokens = wider(self.tokens, other.tokens);
    }
}

const WIDEN_SQLITE: &str = " ON CONFLICT (zone) DO UPDATE SET requests = requests + excluded.requests, \
    min_took = min(min_took, excluded.min_took), max_took = max(max_took, excluded.max_took), \
    min_cost = min(min_cost, excluded.min_cost), max_cost = max(max_cost, excluded.max_cost), \
    min_tokens = min(min_tokens, excluded.min_tokens), max_tokens = max(max_tokens, excluded.max_tokens)";
const WIDEN_POSTGRES: &str = " ON CONFLICT (zone) DO UPDATE SET requests = old.requests + excluded.requests, \
    min_took = least(old.min_took, excluded.min_took), max_took = greatest(old.max_took, excluded.max_took), \
    min_cost = least(old.min_cost, excluded.min_cost), max_cost = greatest(old.max_cost, excluded.max_cost), \
    min_tokens = least(old.min_tokens, excluded.min_tokens), \
    max_tokens = greatest(old.max_tokens, excluded.max_tokens)";

async fn zones(work: &mut Work, entries: &[Entry<'_>]) -> Result<(), StoreError> {
    // In the order of their numbers: two gateways never wait for each other's.
    let mut zones: BTreeMap<u64, Zone> = BTreeMap::new();
    for entry in entries {
        let one = Zone::of(&entry.counts);
        zones.entry(entry.id >> ZONE_BITS).and_modify(|zone| zone.add(&one)).or_insert(one);
    }
    let values: Vec<Sql<'_>> = zones
        .iter()
        .flat_map(|(number, zone)| {
            let Zone { requests, took, cost, tokens } = zone;
            [*number, *requests, took.0, took.1, cost.0, cost.1, tokens.0, tokens.1].map(Sql::from)
        })
        .collect();
    let columns = "zone, requests, min_took, max_took, min_cost, max_cost, min_tokens, max_tokens";
    let widen = work.either(WIDEN_SQLITE, WIDEN_POSTGRES);
    insert_all(work, ("bifrost_request_zones AS old", columns, widen), &values).await
}

/// Puts the bodies of a request; one that is there already is used once more.
async fn keep(work: &mut Work, kept: &Bodies) -> Result<(), StoreError> {
    for (part, packed) in &kept.parts {
        let text = "INSERT INTO bifrost_request_bodies AS old (hash, uses, size, body) VALUES ($1, 1, $2, $3) \
            ON CONFLICT (hash) DO UPDATE SET uses = old.uses + 1 RETURNING number";
        let values: [Sql<'_>; 3] =
            [packed.hash.as_slice().into(), packed.size.into(), packed.body.as_slice().into()];
        let row = work.row(text, &values).await?;
        let number = row.map_or(Ok(0), |row| row.number(0))?;
        let text = "INSERT INTO bifrost_request_contents (id, part, body) VALUES ($1, $2, $3)";
        work.execute(text, &[kept.id.into(), Sql::Int(*part as i64), number.into()]).await?;
    }
    if kept.text.is_empty() {
        return Ok(());
    }
    let text = work.either(
        "INSERT INTO bifrost_request_texts (rowid, body) VALUES ($1, $2)",
        "INSERT INTO bifrost_request_texts (id, body) VALUES ($1, to_tsvector('simple', $2))",
    );
    let words = kept.text.replace('\0', " ");
    work.execute(text, &[kept.id.into(), (&words).into()]).await.map(drop)
}

/// Inserts rows of as many values as there are columns.
async fn insert_all(
    work: &mut Work,
    (table, columns, end): (&str, &str, &str),
    values: &[Sql<'_>],
) -> Result<(), StoreError> {
    let width = columns.split(',').count();
    let mut left = values;
    while !left.is_empty() {
        let there = left.len() / width;
        let rows = if there >= ROWS { ROWS } else { 1 << there.max(1).ilog2() };
        let (now, later) = left.split_at_checked(rows * width).unwrap_or((left, &[]));
        let text = statement((table, columns, end), (rows, width), work.either("?", "$"));
        work.execute(Composed(text), now).await?;
        left = later;
    }
    Ok(())
}

/// `mark` stands before the number of a parameter; a question mark has none: SQLite's driver looks each numbered one up
/// among all others, a million steps for a thousand of them.
fn statement((table, columns, end): (&str, &str, &str), (rows, width): (usize, usize), mark: &str) -> String {
    let mut text = format!("INSERT INTO {table} ({columns}) VALUES ");
    text.reserve(rows * width * 5 + end.len());
    let mut number = itoa::Buffer::new();
    for row in 0..rows {
        text.push_str(if row == 0 { "(" } else { ",(" });
        for column in 1..=width {
            text.push_str(if column == 1 { "" } else { "," });
            text.push_str(mark);
            if mark != "?" {
                text.push_str(number.format(row * width + column));
            }
        }
        text.push(')');
    }
    text.push_str(end);
    text
}
