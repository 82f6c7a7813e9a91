//! The parts of `make bench` that must be fast: a mock upstream and a client that checks every answer.
//! Nothing of it knows the gateway; it speaks HTTP/1.1 by hand so that its own cost stays far below
//! the cost of what it measures. `make chaos` stands on the same framing (`chaos`).

pub mod chaos;
pub mod chunked;
pub mod client;
pub mod clock;
pub mod flags;
pub mod head;
pub mod mock;
pub mod spread;
pub mod stamp;
