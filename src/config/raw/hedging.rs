//! `hedging`: a second attempt beside a slow first one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A second attempt, at another key or the first fallback, for requests whose first token is late. Who is first
/// answers, the other one is cancelled. Off without this section; `x-bf-hedge: off` leaves a request out.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Hedging {
    /// Whether second attempts are made.
    pub enabled: bool,
    /// Milliseconds without a first token (a whole answer, where none is streamed) after which the second attempt
    /// starts. By default the time that 95 % of the provider's recent answers with the model stayed within; then none
    /// starts before 20 of them are known.
    #[schemars(range(min = 1, max = 600_000))]
    pub after_ms: Option<u64>,
    /// Spend on attempts that lost, at most, in percent of all spend (in money where the price is known, else in
    /// tokens) over the last minutes. When it is used up, no second attempt starts.
    #[schemars(range(min = 0.1, max = 100.0))]
    pub max_extra_spend_percent: f64,
}

impl Default for Hedging {
    fn default() -> Self {
        Self { enabled: true, after_ms: None, max_extra_spend_percent: 5.0 }
    }
}
