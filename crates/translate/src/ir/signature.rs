//! Signatures of reasoning, with the maker that can check them.
//!
//! A signature is worth something only to the maker of the model that reasoned, and is refused by all
//! others. Callers keep it as opaque text between two turns, in whatever dialect they speak; so one that
//! is foreign to the dialect travels with its maker's name in front, and comes back as what it was.

use std::borrow::Cow;

use crate::Wire;

/// The text a provider gave to prove that reasoning is its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// The wire of the maker: see [`Wire::signer`].
    pub by: Wire,
    /// Byte for byte as it came.
    pub text: String,
}

/// How a marked signature begins in a body: as text, and as the bytes (base64) that Gemini's dialect holds.
const BEGINNINGS: [&[u8]; 2] = [b"\"bifrost:", b"\"Ymlmcm9zdDp"];

/// Stands before the maker's name. No provider's signature holds a colon: they are base64.
const MARK: &str = "bifrost:";

impl Signature {
    /// A signature as `wire` wrote it.
    #[must_use]
    pub fn of(wire: Wire, text: impl Into<String>) -> Self {
        Self { by: wire.signer(), text: text.into() }
    }

    /// The text, when `wire` is of the maker: what a request to that provider may hold.
    #[must_use]
    pub fn for_wire(&self, wire: Wire) -> Option<&str> {
        (self.by == wire.signer()).then_some(self.text.as_str())
    }

    /// As a caller of `dialect` gets it: plain when it is the dialect's own, marked otherwise.
    #[must_use]
    pub fn written(&self, dialect: Wire) -> Cow<'_, str> {
        match self.for_wire(dialect) {
            Some(text) => Cow::Borrowed(text),
            None => Cow::Owned(format!("{MARK}{}:{}", self.by.name(), self.text)),
        }
    }

    /// Whether a request body holds a marked signature. Such a body cannot be relayed as it is, even to a
    /// provider of its own wire: the mark is the gateway's own and is refused there.
    #[must_use]
    pub fn any_marked(body: &[u8]) -> bool {
        BEGINNINGS.iter().any(|words| memchr::memmem::find(body, words).is_some())
    }

    /// As a caller of `dialect` sent it.
    #[must_use]
    pub fn read(dialect: Wire, text: String) -> Self {
        let marked = text.strip_prefix(MARK).and_then(|rest| rest.split_once(':'));
        let by = |name: &str| Wire::ALL.into_iter().find(|wire| wire.name() == name);
        match marked.and_then(|(name, own)| Some((by(name)?, own.to_owned()))) {
            Some((by, text)) => Self { by, text },
            None => Self::of(dialect, text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_signature_comes_back_through_every_dialect() {
        for maker in Wire::ALL {
            let signature = Signature::of(maker, "EqQB+/=");
            for dialect in Wire::ALL {
                let written = signature.written(dialect).into_owned();
                assert_eq!(Signature::read(dialect, written), signature, "{maker:?} through {dialect:?}");
            }
            assert_eq!(signature.written(maker), "EqQB+/=", "{maker:?}");
        }
    }

    #[test]
    fn marks_are_found_in_bodies() {
        assert!(Signature::any_marked(br#"{"signature":"bifrost:gemini:x"}"#));
        // `printf bifrost:gemini:x | base64`
        assert!(Signature::any_marked(br#"{"thoughtSignature":"Ymlmcm9zdDpnZW1pbmk6eA=="}"#));
        assert!(!Signature::any_marked(br#"{"text":"at bifrost: x","signature":"EqQB"}"#));
    }

    #[test]
    fn a_foreign_signature_is_not_for_another_maker() {
        let signature = Signature::of(Wire::Gemini, "x");
        assert_eq!(signature.for_wire(Wire::Anthropic), None);
        assert_eq!(Signature::of(Wire::BedrockConverse, "x").for_wire(Wire::Anthropic), Some("x"));
    }

    #[test]
    fn a_mark_without_a_maker_is_text() {
        for text in ["bifrost:", "bifrost:nobody:x", "bifrost"] {
            assert_eq!(Signature::read(Wire::Anthropic, text.into()), Signature::of(Wire::Anthropic, text));
        }
    }
}
