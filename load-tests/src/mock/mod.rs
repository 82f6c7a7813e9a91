//! The mock upstream: answers like OpenAI and Anthropic, as fast as a socket allows, so that it is
//! never what limits a run. It checks nothing about the request beyond its path; correctness of
//! what a gateway sends is proved elsewhere.

pub mod answers;
pub mod server;
pub mod wishes;
