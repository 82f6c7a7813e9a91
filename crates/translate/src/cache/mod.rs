//! What a cache of answers has to know of requests and answers: which are the same, which may stand for each
//! other, and what is kept.
//!
//! Pure as the rest: no store, no clock, no vectors. [`canonical`] says as bytes what a request asks, whatever the
//! dialect; [`question`] says which of its words are compared by meaning; [`guards`] say when two questions must not
//! share an answer, however near they are; [`stored`] is an answer that is kept and given again. Must not know
//! who asks: tenants and cache keys are the shell's, beside these bytes.

pub mod canonical;
pub mod guards;
pub mod question;
pub mod stored;
