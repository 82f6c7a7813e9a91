//! LLM wire formats: decode, encode, relay.
//!
//! Everything here is pure and sync. No sockets, no clock, no randomness: identifiers and times that
//! a wire needs are arguments ([`wire::Echo`]). The shell hands in bytes and gets bytes back, so every
//! behaviour of this crate can be replayed from a golden file, cut at any byte.
//!
//! Two ways through, chosen by the pair of wires:
//! * **relay** ([`relay`]): the caller's dialect is the provider's wire. The caller's bytes go
//!   upstream and the provider's bytes come back; what must change is edited by span.
//! * **translate** ([`wire`] over [`ir`]): decode one wire into the pivot, encode the other. What the
//!   other wire cannot carry becomes a [`loss::Loss`], never silence.

mod base64;
pub mod cache;
pub mod completions;
pub mod count;
pub mod embed;
pub mod frame;
#[doc(hidden)]
pub mod fuzzing;
pub mod ir;
pub mod loss;
pub mod provider;
pub mod relay;
pub mod rerank;
mod scan;
pub mod wire;

pub use loss::{Loss, Losses};
pub use wire::Wire;
