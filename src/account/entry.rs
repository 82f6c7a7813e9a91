//! One spend: a line of the journal, and later a row of the ledger.

use std::borrow::Cow;

use govern::allowance::Consumption;
use serde::{Deserialize, Serialize};

/// What one attempt, or one request, has used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry<'a> {
    /// Unique for all times: it is never counted twice.
    #[serde(borrow)]
    pub id: Cow<'a, str>,
    /// When it was counted, Unix milliseconds.
    pub at: u64,
    /// All that it counts for (`config::governance::Owner` as text), whether they have a budget or not.
    pub owners: Vec<Cow<'a, str>>,
    /// `provider/model` that was paid; empty where nobody was.
    #[serde(borrow)]
    pub target: Cow<'a, str>,
    /// Nano-dollars.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cost: u64,
    /// 1 where the request itself is counted, 0 for its other attempts.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub requests: u64,
    #[serde(rename = "in", default, skip_serializing_if = "is_zero")]
    pub input_tokens: u64,
    #[serde(rename = "out", default, skip_serializing_if = "is_zero")]
    pub output_tokens: u64,
    /// Counts that the provider did not tell.
    #[serde(rename = "est", default, skip_serializing_if = "std::ops::Not::not")]
    pub estimated: bool,
}

impl Entry<'_> {
    #[must_use]
    pub fn consumption(&self) -> Consumption {
        Consumption {
            cost: self.cost,
            requests: self.requests,
            input_tokens: self.input_tokens,
            output_tokens: self.output_tokens,
        }
    }
}

impl<'a> Entry<'a> {
    /// The same, with its texts for itself.
    #[must_use]
    pub fn into_owned(self) -> Entry<'static> {
        let own = |text: Cow<'a, str>| Cow::Owned(text.into_owned());
        Entry {
            id: own(self.id),
            owners: self.owners.into_iter().map(own).collect(),
            target: own(self.target),
            at: self.at,
            cost: self.cost,
            requests: self.requests,
            input_tokens: self.input_tokens,
            output_tokens: self.output_tokens,
            estimated: self.estimated,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}
