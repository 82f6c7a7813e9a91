//! Money in answers: nano-dollars, written as dollars to the last digit.

use govern::price::write_nanos;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

/// So many nano-dollars, written as a number of dollars that no float has touched.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Dollars(pub u64);

impl Serialize for Dollars {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = String::new();
        // Writing into a String cannot fail, and a decimal number is JSON.
        let _ = write_nanos(self.0, &mut text);
        RawValue::from_string(text).unwrap_or_else(|_| RawValue::NULL.to_owned()).serialize(serializer)
    }
}
