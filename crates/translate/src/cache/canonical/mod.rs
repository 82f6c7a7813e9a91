//! What a request asks, as bytes: two requests that must have the same answer have the same bytes, in whatever
//! dialect they came; any difference that may change the answer is a difference of bytes.
//!
//! The shell takes its fingerprint (SHA-256) of them, behind the tenant and the cache key. What is in and what is out, and
//! why, is the table in `docs/cache-fingerprint.md`; [`rest`] has the names. A parameter that nobody here knows is in: a miss
//! costs a call, a false hit costs trust. The form has a [`VERSION`]: whoever changes what is written raises it,
//! and `tests/cache_vectors.json` says that somebody did.

mod beside;
mod chat;
mod form;
mod rest;
mod turns;

#[cfg(test)]
mod tests;

pub use beside::{embeddings, ranking};

pub(super) use chat::Shown;
pub(super) use rest::is_point;

use crate::ir::Request;
use form::Form;

/// The first bytes of every canonical form.
pub const VERSION: &str = "bifrost-cache-v1";

/// What of the target is part of what is asked.
#[derive(Debug, Clone, Copy, Default)]
pub struct Target<'a> {
    /// The model, as the shell wants it told apart; `None`: any model's answer will do. Embeddings and rankings
    /// of two models are never the same: theirs is always in.
    pub model: Option<&'a str>,
    /// The provider; `None`: any provider's answer will do.
    pub provider: Option<&'a str>,
}

/// In which form a chat answer is asked for. Their answers hold the same, but their providers' models need not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Operation {
    /// A conversation, in any of the six dialects.
    #[default]
    Chat,
    /// A text to go on with (`/v1/completions`).
    Completion,
}

impl Operation {
    fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Completion => "completion",
        }
    }
}

/// The canonical form of a chat request or a text completion.
#[must_use]
pub fn chat(request: &Request, operation: Operation, target: &Target<'_>) -> Vec<u8> {
    let mut form = begun(operation.name(), target);
    chat::write(&mut form, request, &|_| Shown::Whole);
    form.into_bytes()
}

/// What stands around the words of a chat request that are compared by meaning: as [`chat`], but of the
/// messages that are [`Shown::Asked`] only the speaker is written, and of those that are not [`Shown`] nothing.
pub(super) fn frame(
    request: &Request,
    operation: Operation,
    target: &Target<'_>,
    shown: &dyn Fn(usize) -> Shown,
) -> Vec<u8> {
    let mut form = begun(operation.name(), target);
    form.text("frame");
    chat::write(&mut form, request, shown);
    form.into_bytes()
}

fn begun(operation: &str, target: &Target<'_>) -> Form {
    let mut form = Form::default();
    form.text(VERSION);
    form.object(|form| {
        form.text_field("operation", Some(operation));
        form.text_field("model", target.model);
        form.text_field("provider", target.provider);
    });
    form
}
