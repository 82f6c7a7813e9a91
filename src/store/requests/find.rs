//! One request, by its id or its number, and its bodies.

use super::entry::Entry;
use super::row::{self, COLUMNS, COLUMNS_POSTGRES, Numbered};
use super::write::{Part, REQUEST, moment_in, tag_hash};
use super::{Requests, StoreError, ask::Ask};
use crate::store::sql::Work;
use crate::telemetry::record::Record;

/// Rows with the same id that are looked at: callers may choose the same for many.
const SAME: u64 = 16;
/// A number that was taken became one of the next ones.
const NEXT: u64 = 8;
/// Largest body that is unpacked, in bytes.
const LARGEST: usize = 64 << 20;

impl Requests {
    /// The newest request with this id, or the one with this number.
    ///
    /// # Errors
    /// The log is not available.
    pub async fn find(&self, id: &str) -> Result<Option<Entry<'static>>, StoreError> {
        self.reading(async |work| {
            if let Some(found) = self.by_id(work, id).await? {
                return Ok(Some(found));
            }
            match id.parse::<u64>() {
                Ok(number) => self.by_number(work, number).await,
                Err(_) => Ok(None),
            }
        })
        .await
    }

    /// The bodies that are kept of a request.
    ///
    /// # Errors
    /// The log is not available, or a body cannot be unpacked.
    pub async fn content(&self, number: u64) -> Result<Vec<(Part, Vec<u8>)>, StoreError> {
        let text = "SELECT c.part, b.body FROM bifrost_request_contents c \
            JOIN bifrost_request_bodies b ON b.number = c.body WHERE c.id = $1 ORDER BY c.part";
        let rows = self.reading(async |work| work.rows(text, &[number.into()]).await).await?;
        let mut found = Vec::new();
        for row in &rows {
            let part = row.number(0)?;
            if let Some(part) = Part::ALL.into_iter().find(|known| *known as u64 == part) {
                found.push((part, unpacked(&row.bytes(1)?)?));
            }
        }
        Ok(found)
    }

    async fn by_id(&self, work: &mut Work, id: &str) -> Result<Option<Entry<'static>>, StoreError> {
        let mut candidates = Vec::new();
        if let Some(moment) = moment_in(id) {
            let first = Record::number(moment, id);
            candidates.extend(first..=first.saturating_add(NEXT));
        }
        let text = "SELECT id FROM bifrost_request_tags WHERE tag = $1 ORDER BY id DESC LIMIT $2";
        let tag = tag_hash(REQUEST, id);
        for row in work.rows(text, &[tag.into(), SAME.into()]).await? {
            candidates.push(row.number(0)?);
        }
        let rows = rows(work, &candidates).await?;
        let found = self.entries(work, &rows).await?;
        let same = found.into_iter().filter(|entry| entry.detail.request_id == id);
        Ok(same.max_by_key(|entry| entry.id))
    }

    async fn by_number(&self, work: &mut Work, number: u64) -> Result<Option<Entry<'static>>, StoreError> {
        let rows = rows(work, &[number]).await?;
        Ok(self.entries(work, &rows).await?.into_iter().next())
    }
}

/// The rows with these numbers, as far as they are there.
pub(super) async fn rows(work: &mut Work, numbers: &[u64]) -> Result<Vec<Numbered>, StoreError> {
    let columns = if work.is_postgres() { COLUMNS_POSTGRES } else { COLUMNS };
    let mut ask = Ask::new("SELECT ");
    ask.push(columns).push(" FROM bifrost_requests WHERE id IN (");
    for (at, number) in numbers.iter().enumerate() {
        ask.push(if at == 0 { "" } else { ", " }).bind(*number);
    }
    if numbers.is_empty() {
        return Ok(Vec::new());
    }
    ask.push(")");
    ask.rows(work).await?.iter().map(row::read).collect()
}

fn unpacked(body: &[u8]) -> Result<Vec<u8>, StoreError> {
    let broken = |error: std::io::Error| StoreError::Unreadable(format!("a body of a request: {error}"));
    let size = zstd::zstd_safe::get_frame_content_size(body).ok().flatten().unwrap_or(0);
    let size = usize::try_from(size).unwrap_or(LARGEST).min(LARGEST);
    zstd::bulk::decompress(body, size).map_err(broken)
}
