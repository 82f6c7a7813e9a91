//! What is given again: an answer of a model, which fits any dialect, or the bytes of another task's answer.
//!
//! Embeddings and rankings are kept as they went out, and only found by requests of the same format.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use translate::cache::stored::Stored;

/// Before the bytes of a body. Answers of models are JSON, which begins otherwise.
const BODY: &[u8] = b"\0bifrost-body-v1\n";

/// An answer that is given again.
#[derive(Debug, Clone)]
pub enum Answer {
    /// Of a model: whole or as a stream, in any dialect.
    Said(Arc<Stored>),
    /// The JSON body of another task's answer, in the format it was asked in.
    Body(Bytes),
}

impl Answer {
    /// As bytes for a store.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        match self {
            Self::Said(stored) => stored.to_bytes().into(),
            Self::Body(body) => {
                let mut bytes = BytesMut::with_capacity(BODY.len() + body.len());
                bytes.put_slice(BODY);
                bytes.put_slice(body);
                bytes.freeze()
            }
        }
    }

    /// Reads what [`Self::to_bytes`] made; `None`: it is nothing that this version knows, as if nothing were there.
    #[must_use]
    pub fn from_bytes(bytes: &Bytes) -> Option<Self> {
        if bytes.starts_with(BODY) {
            return Some(Self::Body(bytes.slice(BODY.len()..)));
        }
        let mut stored = Stored::from_bytes(bytes)?;
        stored.make_nameless();
        Some(Self::Said(Arc::new(stored)))
    }

    /// Bytes that it takes in memory, about.
    #[must_use]
    pub fn weight(&self) -> usize {
        match self {
            Self::Said(stored) => stored.weight(),
            Self::Body(body) => body.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_comes_back_as_it_was_and_damage_is_nothing() {
        let body = Answer::Body(Bytes::from_static(b"{\"data\":[]}"));
        let bytes = body.to_bytes();
        let Some(Answer::Body(back)) = Answer::from_bytes(&bytes) else { panic!("{bytes:?}") };
        assert_eq!(back, "{\"data\":[]}");
        for damaged in [bytes.slice(..BODY.len() - 1), bytes.slice(1..), Bytes::new()] {
            assert!(Answer::from_bytes(&damaged).is_none(), "{damaged:?}");
        }
    }
}
