//! What the provider bills: its own prices, its own counts, its own sum.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::support::Watched;

/// Nano-dollars for a token of each kind. Primes: no two different bills look alike by accident.
const INPUT: u64 = 3_001;
const CACHE_READ: u64 = 307;
const CACHE_WRITE: u64 = 3_761;
const CACHE_WRITE_1H: u64 = 6_007;
const OUTPUT: u64 = 15_013;
const REASONING: u64 = 17_011;

/// The tokens of one answer, in kinds that do not overlap.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub input: u64,
    pub cache_read: u64,
    pub cache_write: u64,
    pub cache_write_1h: u64,
    pub output: u64,
    pub reasoning: u64,
}

impl Counts {
    /// Plain input and output.
    pub const fn plain(input: u64, output: u64) -> Self {
        Self { input, output, cache_read: 0, cache_write: 0, cache_write_1h: 0, reasoning: 0 }
    }

    /// Other counts for every number.
    pub fn varied(number: u64) -> Self {
        // A fixed scramble: the same number gives the same counts.
        let part = |salt: u64, below: u64| {
            let mixed =
                (number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(u32::try_from(salt).unwrap());
            1 + (mixed ^ (mixed >> 29)) % below
        };
        Self {
            input: part(3, 4_000),
            cache_read: part(11, 9_000),
            cache_write: part(19, 700),
            cache_write_1h: part(27, 300),
            output: part(35, 900),
            reasoning: part(43, 500),
        }
    }

    pub fn input_total(self) -> u64 {
        self.input + self.cache_read + self.cache_write + self.cache_write_1h
    }

    pub fn output_total(self) -> u64 {
        self.output + self.reasoning
    }

    /// Nano-dollars.
    pub fn nanos(self) -> u64 {
        self.input * INPUT
            + self.cache_read * CACHE_READ
            + self.cache_write * CACHE_WRITE
            + self.cache_write_1h * CACHE_WRITE_1H
            + self.output * OUTPUT
            + self.reasoning * REASONING
    }
}

/// The prices as a customer is told them: what goes into `pricing_overrides`.
pub fn price_list() -> Value {
    let dollars = |nanos: u64| format!("{}e-9", nanos);
    json!([{
        "model_pattern": "*", "match_type": "wildcard",
        "input_cost_per_token": dollars(INPUT),
        "cache_read_input_token_cost": dollars(CACHE_READ),
        "cache_creation_input_token_cost": dollars(CACHE_WRITE),
        "cache_creation_input_token_cost_above_1hr": dollars(CACHE_WRITE_1H),
        "output_cost_per_token": dollars(OUTPUT),
        "output_cost_per_reasoning_token": dollars(REASONING),
    }])
}

/// What was billed, by the name that each request carries.
#[derive(Clone)]
pub struct Bill(Arc<Watched<BTreeMap<String, u64>>>);

impl Bill {
    pub fn new() -> Self {
        Self(Watched::new(BTreeMap::new()))
    }

    pub fn add(&self, name: &str, nanos: u64) {
        self.0.change(|all| *all.entry(name.to_owned()).or_default() += nanos);
    }

    pub fn of(&self, name: &str) -> u64 {
        self.0.lock().get(name).copied().unwrap_or(0)
    }

    pub fn total(&self) -> u64 {
        self.0.lock().values().sum()
    }
}

/// Nano-dollars of a number of dollars as it is written: exact, no float.
pub fn nanos_of(text: &str) -> u64 {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    assert!(part.len() <= 9, "{text} is finer than a nano-dollar");
    format!("{whole}{part:0<9}").parse().unwrap_or_else(|_| panic!("{text} is no amount"))
}
