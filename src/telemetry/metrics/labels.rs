//! Values of labels that somebody outside chooses: each label has room for so many, later ones are `other`.
//!
//! Every value of a label multiplies the series of its metrics, here and in whoever scrapes them, for as long as the
//! process lives. Nothing here knows what a label means.

use std::collections::HashSet;
use std::sync::{PoisonError, RwLock};

use prometheus::IntCounter;

/// What a value becomes that has no room.
pub const OTHER: &str = "other";
/// Values of a label that a caller sends.
pub const MOST: usize = 100;
/// Bytes of such a value.
const LONGEST: usize = 64;

/// The values of one label.
#[derive(Debug)]
pub struct Values {
    known: RwLock<HashSet<Box<str>>>,
    most: usize,
    /// Counts those that had no room.
    refused: IntCounter,
}

impl Values {
    #[must_use]
    pub fn new(most: usize, refused: IntCounter) -> Self {
        Self { known: RwLock::default(), most, refused }
    }

    /// The value itself while there is room, else [`OTHER`]. Nothing is a value too.
    pub fn admit<'v>(&self, value: &'v str) -> &'v str {
        if value.is_empty() || value == OTHER {
            return value;
        }
        if self.known.read().unwrap_or_else(PoisonError::into_inner).contains(value) {
            return value;
        }
        if value.len() <= LONGEST && !value.chars().any(char::is_control) {
            let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
            if known.len() < self.most {
                known.insert(value.into());
                return value;
            }
        }
        self.refused.inc();
        OTHER
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_has_room_for_so_many_values_and_counts_the_others() {
        let refused = IntCounter::new("refused", "x").unwrap();
        let values = Values::new(2, refused.clone());
        assert_eq!((values.admit("a"), values.admit("b"), values.admit("")), ("a", "b", ""));
        assert_eq!((values.admit("c"), values.admit("a")), (OTHER, "a"));
        assert_eq!(refused.get(), 1);
    }

    #[test]
    fn what_no_person_would_write_is_no_value() {
        let values = Values::new(100, IntCounter::new("refused", "x").unwrap());
        let long = "x".repeat(65);
        assert_eq!((values.admit(&long), values.admit("two\nlines")), (OTHER, OTHER));
        assert_eq!(values.admit("Ünïcode, with spaces"), "Ünïcode, with spaces");
    }
}
