//! From an entry to the values of a row, and back.

use std::sync::Arc;

use bytes::Bytes;

use super::{Loaded, Written};
use crate::cache::entry::{About, Digest, Entry, EntryId, Meaning, Space};
use crate::store::StoreError;
use crate::store::sql::{Row, Sql};

/// What [`entry`] reads; `b.body` behind it, where the answer is wanted.
pub(super) const COLUMNS: &str = "e.id, e.space, e.fingerprint, e.frame, e.text, e.created, e.expires, e.hits, e.pinned, \
     e.size, e.tenant, e.cache_key, e.provider, e.model, e.object, e.title, e.cost, e.took, e.input_tokens, \
     e.output_tokens, e.number";

/// An entry, and what is counted of it.
pub(super) struct Read {
    pub entry: Entry,
    pub number: u64,
    pub bytes: u64,
    pub hits: u64,
    pub pinned: bool,
}

/// The values of a row in the order of its columns, without its number.
pub(super) fn values<'a>(written: &'a Written<'_>, id: &'a [u8; 16]) -> [Sql<'a>; 22] {
    let Entry { space, fingerprint, meaning, answer, about, created_ms, expires_ms, .. } = written.entry;
    let (frame, text): (&[u8], &str) =
        meaning.as_ref().map_or((&[], ""), |meaning| (&meaning.frame, &meaning.text));
    let dimension = meaning.as_ref().map_or(0, |meaning| length(meaning.vector.len()));
    let cost = about.cost_nanos.map_or(0, |nanos| nanos.saturating_add(1));
    [
        Sql::Blob(id),
        Sql::Blob(&space.0),
        Sql::Blob(fingerprint),
        Sql::Blob(frame),
        dimension.into(),
        text.into(),
        (*created_ms).into(),
        (*expires_ms).into(),
        written.mark.used_ms.into(),
        written.mark.hits.into(),
        Sql::Int(i64::from(written.mark.pinned)),
        length(answer.len()).into(),
        (&*about.tenant).into(),
        (&*about.cache_key).into(),
        (&*about.provider).into(),
        (&*about.model).into(),
        (&*about.object).into(),
        (&*about.title).into(),
        cost.into(),
        u64::from(about.took_ms).into(),
        about.input_tokens.into(),
        about.output_tokens.into(),
    ]
}

/// An entry of [`COLUMNS`]; `whole`: with its answer.
pub(super) fn entry(row: &Row, whole: bool) -> Result<Read, StoreError> {
    let frame = row.bytes(3)?;
    let meaning = match frame.is_empty() {
        true => None,
        false => {
            let vector = Arc::from(Vec::new());
            Some(Meaning { frame: digest(&frame)?, text: row.text(4)?.into(), vector })
        }
    };
    let about = About {
        tenant: row.text(10)?.into(),
        cache_key: row.text(11)?.into(),
        provider: row.text(12)?.into(),
        model: row.text(13)?.into(),
        object: row.text(14)?.into(),
        title: row.text(15)?.into(),
        cost_nanos: row.number(16)?.checked_sub(1),
        took_ms: u32::try_from(row.number(17)?).unwrap_or(u32::MAX),
        input_tokens: row.number(18)?,
        output_tokens: row.number(19)?,
    };
    let entry = Entry {
        id: id_of(&row.bytes(0)?)?,
        space: Space(digest(&row.bytes(1)?)?),
        fingerprint: digest(&row.bytes(2)?)?,
        meaning,
        answer: if whole { row.bytes(21)?.into() } else { Bytes::new() },
        about: Arc::new(about),
        created_ms: row.number(5)?,
        expires_ms: row.number(6)?,
    };
    Ok(Read {
        entry,
        number: row.number(20)?,
        bytes: row.number(9)?,
        hits: row.number(7)?,
        pinned: row.number(8)? > 0,
    })
}

/// What is kept of an entry in memory.
pub(super) fn loaded(row: &Row) -> Result<Loaded, StoreError> {
    let frame = row.bytes(3)?;
    let meaning = match frame.is_empty() {
        true => None,
        false => {
            let dimension = usize::try_from(row.number(4)?).unwrap_or_default();
            Some((digest(&frame)?, dimension, row.bytes(5)?))
        }
    };
    Ok(Loaded {
        number: row.number(0)?,
        id: id_of(&row.bytes(1)?)?,
        space: Space(digest(&row.bytes(2)?)?),
        meaning,
        expires_ms: row.number(6)?,
        used_ms: row.number(7)?,
        pinned: row.number(8)? > 0,
        bytes: row.number(9)?,
    })
}

pub(super) fn id_of(bytes: &[u8]) -> Result<EntryId, StoreError> {
    let bytes = bytes.try_into().map_err(|_| StoreError::Unreadable("a number of an entry".to_owned()))?;
    Ok(EntryId(u128::from_be_bytes(bytes)))
}

fn digest(bytes: &[u8]) -> Result<Digest, StoreError> {
    bytes.try_into().map_err(|_| StoreError::Unreadable("a hash of an entry".to_owned()))
}

fn length(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
