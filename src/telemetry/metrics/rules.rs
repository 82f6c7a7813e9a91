//! Metrics of rules and of copied requests. Labels are names from the configuration: callers cannot make new ones.

use prometheus::{CounterVec, IntCounterVec};

use super::Maker;

/// What rules did.
#[derive(Clone)]
pub struct Rules {
    /// `bifrost_rule_matches_total{rule}`.
    pub matches: IntCounterVec,
    /// `bifrost_rule_errors_total{rule}`: the condition could not say whether it holds.
    pub errors: IntCounterVec,
    /// `bifrost_mirrored_requests_total{rule, outcome}`.
    pub mirrored: IntCounterVec,
    /// `bifrost_mirror_cost_total{rule}`, US dollars.
    pub mirror_cost: CounterVec,
}

impl Rules {
    pub(super) fn new(make: &Maker) -> prometheus::Result<Self> {
        Ok(Self {
            matches: make.counters("bifrost_rule_matches_total", "Requests a rule decided on", &["rule"])?,
            errors: make.counters(
                "bifrost_rule_errors_total",
                "Conditions without an answer for a request",
                &["rule"],
            )?,
            mirrored: make.counters(
                "bifrost_mirrored_requests_total",
                "Copies of requests for another model",
                &["rule", "outcome"],
            )?,
            mirror_cost: make.amounts(
                "bifrost_mirror_cost_total",
                "US dollars for copies of requests, where the price is known",
                &["rule"],
            )?,
        })
    }
}
