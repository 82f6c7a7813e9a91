//! Decisions: which provider key, when to back off, whether to go on, what it costs.
//!
//! Everything here is pure and sync. `now` and randomness are arguments; nothing sleeps, locks, logs or
//! allocates on the request path (a request that has to wait does, for its place in the queue). So a thousand callers and an hour of outages are a test of some
//! milliseconds, and every decision can be replayed.
//!
//! * [`balance`]: the pick among targets, by weight or by what is known of them.
//! * [`cooldown`] and [`breaker`]: what a target's own answers say about its health.
//! * [`load`] and [`headroom`]: how fast and busy it is, and what is left of its rate limits.
//! * [`queue`]: how many requests a provider has open, and who is next of those that wait.
//! * [`backoff`], [`retry_hint`] and [`moment`]: how long to wait, and what the provider asked for.
//! * [`hedge`]: when a second attempt starts beside the first, and what losers may cost.
//! * [`verdict`]: retry, another key, the next planned model, or stop.
//! * [`allowance`], [`meter`], [`window`] and [`sliding`]: what may be used, held before and counted after.
//! * [`lease`]: an allowance that several nodes spend from.
//! * [`forecast`]: when a budget is used up, what a month will have cost, whether errors are more than usual.
//! * [`attempts`]: how often a password may be guessed.
//! * [`sketch`]: how times are distributed, in bytes that add up.
//! * [`price`] and [`catalog`]: what tokens cost, as integers of a nano-dollar.

pub mod allowance;
pub mod attempts;
pub mod backoff;
pub mod balance;
pub mod breaker;
pub mod catalog;
pub mod cooldown;
pub mod forecast;
pub mod headroom;
pub mod hedge;
pub mod lease;
pub mod load;
pub mod meter;
pub mod moment;
pub mod price;
pub mod queue;
pub mod retry_hint;
pub mod sketch;
pub mod sliding;
pub mod verdict;
pub mod window;

#[cfg(test)]
mod seeded;
