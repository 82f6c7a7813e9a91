//! Each second in numbers, counted from the records that everything else is made of.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::row::{Row, dollars};

/// Times that are kept of one second: of more, the first ones speak for all.
const TIMES: usize = 4_096;

/// The second that runs.
#[derive(Debug, Default)]
pub struct Pulse {
    requests: u64,
    errors: u64,
    cancelled: u64,
    input_tokens: u64,
    output_tokens: u64,
    cost_nanos: u64,
    took: Vec<f64>,
    first_token: Vec<f64>,
    /// Requests and errors.
    providers: BTreeMap<Arc<str>, (u64, u64)>,
}

impl Pulse {
    pub fn count(&mut self, row: &Row) {
        let error = u64::from(row.status == "error");
        self.requests += 1;
        self.errors += error;
        self.cancelled += u64::from(row.status == "cancelled");
        if let Some(usage) = &row.token_usage {
            self.input_tokens += usage.prompt_tokens;
            self.output_tokens += usage.completion_tokens;
        }
        self.cost_nanos += row.cost_nanos;
        if let Some(provider) = &row.provider {
            let counts = self.providers.entry(Arc::clone(provider)).or_default();
            *counts = (counts.0 + 1, counts.1 + error);
        }
        if self.took.len() < TIMES {
            self.took.push(row.latency);
            self.first_token.extend(row.time_to_first_token);
        }
    }

    /// The second that is over.
    pub fn take(&mut self, now_ms: u64, in_flight: i64) -> Value {
        let mut all = std::mem::take(self);
        let providers: serde_json::Map<String, Value> = all
            .providers
            .iter()
            .map(|(name, (requests, errors))| {
                (name.to_string(), json!({"requests": requests, "errors": errors}))
            })
            .collect();
        json!({
            "time": now_ms,
            "requests": all.requests,
            "errors": all.errors,
            "cancelled": all.cancelled,
            "in_flight": in_flight.max(0),
            "input_tokens": all.input_tokens,
            "output_tokens": all.output_tokens,
            "cost": dollars(all.cost_nanos),
            "latency": quantiles(&mut all.took),
            "time_to_first_token": quantiles(&mut all.first_token),
            "providers": providers,
        })
    }
}

/// Milliseconds; null when there was nothing.
fn quantiles(times: &mut [f64]) -> Value {
    times.sort_by(f64::total_cmp);
    let at = |part: usize| times.get((times.len().saturating_sub(1)) * part / 100);
    json!({"p50": at(50), "p95": at(95)})
}
