//! Metrics of second attempts.

use prometheus::{CounterVec, IntCounterVec};

use super::Maker;

/// What became of second attempts, and what losers cost.
pub struct Hedging {
    /// `bifrost_hedges_total{outcome}`: `won`, `lost`, `failed`, `denied`.
    pub outcomes: IntCounterVec,
    /// `bifrost_hedge_extra_cost_total{provider, model}`, US dollars: estimated, of attempts that lost.
    pub cost: CounterVec,
    /// `bifrost_hedge_extra_tokens_total{provider, model}`: likewise.
    pub tokens: IntCounterVec,
}

impl Hedging {
    pub(super) fn new(make: &Maker) -> prometheus::Result<Self> {
        let model = &["provider", "model"];
        let cost = "US dollars for attempts that lost, estimated";
        let tokens = "Tokens of attempts that lost, estimated";
        Ok(Self {
            outcomes: make.counters("bifrost_hedges_total", "Second attempts", &["outcome"])?,
            cost: make.amounts("bifrost_hedge_extra_cost_total", cost, model)?,
            tokens: make.counters("bifrost_hedge_extra_tokens_total", tokens, model)?,
        })
    }
}
