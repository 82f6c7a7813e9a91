//! What people did to the gateway: rows that each carry the hash of the one before, so that a row that was changed,
//! taken out or put in shows.
//!
//! Rows are only ever appended, in the transaction of what they tell of.

use ring::digest;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Something that was done.
#[derive(Debug, Clone, PartialEq)]
pub struct Action {
    /// Unix milliseconds.
    pub at_ms: u64,
    pub who: String,
    /// Where from: an address, or `command line`.
    pub address: String,
    /// `session.login`, `virtual_key.create`, …
    pub action: String,
    /// Never a secret.
    pub detail: Value,
}

/// A row of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRow {
    /// From 1, without a gap.
    pub number: u64,
    pub at_ms: u64,
    pub who: String,
    pub address: String,
    pub action: String,
    /// JSON, exactly as it was hashed.
    pub detail: String,
    /// The hash of the row before; empty for the first.
    pub previous: String,
    /// SHA-256 in hexadecimal: see [`AuditRow::expected_hash`].
    pub hash: String,
}

impl AuditRow {
    /// The row of an action behind the last one.
    #[must_use]
    pub fn behind(last: Option<(u64, String)>, action: &Action) -> Self {
        let (number, previous) = last.unwrap_or_default();
        let mut row = Self {
            number: number.saturating_add(1),
            at_ms: action.at_ms,
            who: action.who.clone(),
            address: action.address.clone(),
            action: action.action.clone(),
            detail: action.detail.to_string(),
            previous,
            hash: String::new(),
        };
        row.hash = row.expected_hash();
        row
    }

    /// The hash that the row must have: over each field, with its length in front so that no two rows share a text.
    #[must_use]
    pub fn expected_hash(&self) -> String {
        let mut context = digest::Context::new(&digest::SHA256);
        let (number, at) = (self.number.to_string(), self.at_ms.to_string());
        for field in [&self.previous, &number, &at, &self.who, &self.address, &self.action, &self.detail] {
            context.update(format!("{}:", field.len()).as_bytes());
            context.update(field.as_bytes());
        }
        context.finish().as_ref().iter().fold(String::with_capacity(64), |mut text, byte| {
            use std::fmt::Write;
            // Writing into a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}
