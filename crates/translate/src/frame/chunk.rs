//! The stream of an invoked model: event-stream messages `chunk`, each around one event as the model's
//! own API writes it, in base64: `{"bytes":"…"}`.
//!
//! Bedrock's `invoke-with-response-stream` carries Anthropic's events so. The frames here hold the inner
//! event as their data, so that the wire's codec reads them as it reads its own; exceptions pass as they
//! are. Must not know what the inner events mean.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::event_stream::{self, Broken, EventStreamParser};
use super::{Frame, write_data, write_event};

const CHUNK: &str = "chunk";

/// Cuts a byte stream into the events inside its chunks. `raw` is the whole message, `data` the inner
/// event, `event` empty but for what is no chunk. A chunk that cannot be read keeps its payload as data:
/// it is no event of any wire.
#[derive(Debug, Default)]
pub struct ChunkParser {
    messages: EventStreamParser,
    inner: Vec<u8>,
}

impl ChunkParser {
    pub(super) fn push(&mut self, chunk: &[u8]) {
        self.messages.push(chunk);
    }

    pub(super) fn next_frame(&mut self) -> Option<Frame<'_>> {
        self.messages.next_frame().map(|frame| unwrapped(frame, &mut self.inner))
    }

    pub(super) fn frame_in<'a>(&'a mut self, bytes: &'a [u8]) -> Option<Frame<'a>> {
        self.messages.frame_in(bytes).map(|frame| unwrapped(frame, &mut self.inner))
    }

    pub(super) fn broken(&self) -> Option<Broken> {
        self.messages.broken()
    }

    pub(super) fn is_drained(&self) -> bool {
        self.messages.is_drained()
    }
}

/// Appends one inner event as a chunk.
pub fn write_chunk(out: &mut Vec<u8>, json: &[u8]) {
    event_stream::write_message(out, CHUNK, payload(json).as_bytes());
}

/// Appends one inner event as a server-sent one, named by its `type` where it has one.
pub(super) fn write_as_sse(out: &mut Vec<u8>, json: &[u8]) {
    #[derive(Deserialize)]
    struct Typed<'a> {
        #[serde(borrow, rename = "type")]
        kind: Cow<'a, str>,
    }
    match serde_json::from_slice::<Typed<'_>>(json) {
        Ok(typed) if !typed.kind.contains(['\n', '\r']) => write_event(out, &typed.kind, json),
        _ => write_data(out, json),
    }
}

/// The payload around an inner event.
pub(crate) fn payload(json: &[u8]) -> String {
    let mut text = String::with_capacity(json.len() / 3 * 4 + 16);
    text.push_str("{\"bytes\":\"");
    STANDARD.encode_string(json, &mut text);
    text.push_str("\"}");
    text
}

fn unwrapped<'a>(frame: Frame<'a>, inner: &'a mut Vec<u8>) -> Frame<'a> {
    #[derive(Deserialize)]
    struct Chunk<'a> {
        #[serde(borrow)]
        bytes: Cow<'a, str>,
    }
    if frame.event != CHUNK {
        return frame;
    }
    inner.clear();
    let Ok(chunk) = serde_json::from_slice::<Chunk<'_>>(frame.data) else { return frame };
    match STANDARD.decode_vec(chunk.bytes.as_bytes(), inner) {
        Ok(()) => Frame { raw: frame.raw, event: "", data: inner },
        Err(_) => frame,
    }
}
