//! Where a statement comes from.

use serde_json::Value;

use crate::Wire;

/// One source of a run of text. What the wires have in common is typed; `raw` is the whole.
#[derive(Debug, Clone, PartialEq)]
pub struct Citation {
    /// The wire that wrote `raw`.
    pub wire: Wire,
    /// The citation as it was written, for a caller of the same wire.
    pub raw: Value,
    /// The web page.
    pub url: Option<String>,
    /// Title of the page or document.
    pub title: Option<String>,
    /// The quoted text of the source.
    pub quote: Option<String>,
    /// Where the statement stands in its text part, in characters: from `start` up to `end`. Without
    /// them the whole part is meant.
    pub start: Option<u64>,
    pub end: Option<u64>,
}

impl Citation {
    /// A citation of which only the whole is known yet.
    #[must_use]
    pub fn of(wire: Wire, raw: Value) -> Self {
        Self { wire, raw, url: None, title: None, quote: None, start: None, end: None }
    }

    /// As `wire` wrote it; `None` when another did.
    #[must_use]
    pub fn for_wire(&self, wire: Wire) -> Option<&Value> {
        (self.wire == wire).then_some(&self.raw)
    }
}
