//! Bodies as they are kept: compressed, each once, with the words that they can be found by.

use bytes::Bytes;
use ring::digest;
use translate::Wire;

use super::conversation::{Conversation, text_of};
use crate::store::requests::{Bodies, Packed, Part};
use crate::telemetry::record::Record;
use crate::telemetry::redact::Redactor;

/// Bytes of text that go into the index for one request.
const INDEXED: usize = 128 * 1024;
/// Of zstd: fast, and three times smaller than what it is given.
const LEVEL: i32 = 3;

/// The bodies of a record without secrets; `None`: none are to be kept.
pub(super) fn of(record: &Record, redactor: &Redactor) -> Option<Bodies> {
    let content = record.content.as_deref()?;
    let response = joined(&content.response);
    let upstream_response = content.upstream_response.as_deref().map(joined);
    let (request, response) = (redactor.bytes(&content.request), redactor.bytes(&response));
    let raw = [
        (Part::UpstreamRequest, content.upstream_request.as_ref()),
        (Part::UpstreamResponse, upstream_response.as_ref()),
    ];
    let mut parts = Vec::new();
    let mut keep = |part: Part, body: &[u8]| {
        if !body.is_empty() {
            parts.extend(packed(body).map(|packed| (part, packed)));
        }
    };
    keep(Part::Request, &request);
    keep(Part::Response, &response);
    for (part, body) in raw {
        keep(part, &redactor.bytes(body.map(|body| &**body).unwrap_or_default()));
    }
    let text = text(record, &request, &response);
    Some(Bodies { id: record.id, parts, text })
}

fn joined(pieces: &[Bytes]) -> Bytes {
    match pieces {
        [one] => one.clone(),
        many => many.concat().into(),
    }
}

fn packed(body: &[u8]) -> Option<Packed> {
    let hash = digest::digest(&digest::SHA256, body);
    Some(Packed {
        hash: hash.as_ref().try_into().ok()?,
        size: u64::try_from(body.len()).unwrap_or(u64::MAX),
        body: zstd::bulk::compress(body, LEVEL).ok()?,
    })
}

/// What people wrote and models answered.
fn text(record: &Record, request: &[u8], response: &[u8]) -> String {
    let chat = Wire::named(record.dialect)
        .map(|wire| Conversation::of(wire, request, response, record.stream))
        .filter(|chat| !chat.input.is_empty() || chat.output.is_some());
    match chat {
        Some(chat) => chat.text(INDEXED),
        None => {
            let half = INDEXED / 2;
            format!("{}\n{}", text_of(request, half), text_of(response, half))
        }
    }
}
