//! Same wire on both sides: the caller's bytes go through, edited by span.
//!
//! Key order, white space and unknown fields survive, so a provider's prompt cache keeps hitting.
//! Nothing here re-serialises a body.

mod asked;
mod betas;
mod counts;
mod edit;
mod fixes;
mod hosted;
mod members;
mod named;
mod pick;
mod prefix;
mod request;
mod response;
mod stream;
mod twice;

pub use asked::{choices_asked, prompts_asked};
pub use betas::{BetaHost, Placed, betas_asked, place_betas};
pub use counts::counts_in;
pub use fixes::apply_quirks;
pub use hosted::without_unasked;
pub use members::Members;
pub use named::rename_models;
pub(crate) use pick::{keep, with};
pub use prefix::prompt_prefix;
pub use request::{Fallback, Peek, RequestEdits, complete, peek, peek_beside, rewrite_request};
pub use response::splice_extra_fields;
pub use stream::{Broken, Flow, StreamPipe, StreamPipeOptions};
