//! The nearest of many vectors, by cosine: a plain scan in two steps, without a graph.
//!
//! A vector is turned ([`Rotation`]) so that its numbers are alike in size and say about the same each, and kept as one byte
//! a number ([`Packed`]). The signs of the first 512 of them are its code. A question looks at every code of its
//! [`Partition`], 64 bytes each in one row of memory, and at the values of those few that differ least: what is told as
//! similarity is made of the values, the codes only choose. Nothing is built ahead, so an entry is there as soon as it was
//! added and gone as soon as it was removed. Pure: what is kept where, and for how long, is the caller's.

mod packed;
mod partition;
mod rotation;

#[cfg(test)]
mod tests;

pub use packed::{Packed, Query};
pub use partition::{Partition, Scratch};
pub use rotation::Rotation;

/// Longer vectors are not taken.
pub const LARGEST: usize = 8_192;
