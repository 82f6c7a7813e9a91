//! What a request costs: each attempt at the price that holds for it, asked once, so that header, `extra_fields`, log
//! and metrics tell the same number; and the sum over all attempts that consumed something.
//!
//! The prices are `account`'s. Nothing is decided here but who may be asked at all.

use std::sync::Arc;

use govern::balance::Strategy;
use govern::price;
use http::HeaderValue;
use translate::ir::{FailureKind, Usage};

use super::attempt::{Answer, Attempt};
use super::exchange::Exchange;
use super::fault::Fault;
use super::{Gateway, logging};
use crate::account::charge::{Charge, Shown};
use crate::account::prices::{Prices, Quote, Served};
use crate::account::settle::Spend;
use crate::config::prices::Unpriced;
use crate::config::snapshot::{Key, Provider, Snapshot};
use crate::route::endpoint::{Endpoint, Operation};
use crate::route::plan::{Plan, Step};
use crate::telemetry::access_log::{AttemptRecord, Spent};

/// Notes the cost of a complete answer at its attempt.
pub fn note(exchange: &Exchange, attempt: &mut Attempt) {
    let usage = Attempt::usage_in(&attempt.answer, attempt.told_usage);
    attempt.charge = usage.and_then(|usage| of(exchange, attempt, &usage)).map(Box::new);
}

/// An answer was no good, and the provider bills it all the same: notes in the attempt list what it says it costs.
pub fn note_unfit(gateway: &Gateway, exchange: &mut Exchange) {
    let Some(attempt) = exchange.attempt.take() else { return };
    if let (Answer::Whole(_), Some(usage)) = (&attempt.answer, attempt.told_usage) {
        let charge = of(exchange, &attempt, &usage);
        let cost_nanos = charge.as_ref().map(|charge| charge.nanos);
        attempt.stake.iter().for_each(|stake| stake.spent(&spend(&usage, cost_nanos, false)));
        let series = gateway.metrics.series(&attempt.provider.name, &attempt.model, true);
        logging::tally(&series, Some(&usage), cost_nanos);
        let unpriced = is_unpriced(exchange, &attempt, charge.as_ref());
        if let Some(last) = exchange.attempts.last_mut() {
            let (input_tokens, output_tokens) = (usage.input_total(), usage.output);
            last.spent = Some(Spent { input_tokens, output_tokens, cost_nanos, unpriced });
        }
    }
    exchange.attempt = Some(attempt);
}

/// An attempt has said its last: what it used is counted and written down, before its caller has the last byte. Nothing
/// where that was done already.
pub fn settle(exchange: &Exchange, attempt: &Attempt) {
    if let Some(stake) = attempt.stake.as_ref().filter(|stake| !stake.is_settled()) {
        match logging::consumed_in_all(exchange, attempt) {
            Some((usage, estimated)) => {
                let charge = charged(exchange, attempt, (&usage, estimated));
                stake.spent(&spend(&usage, charge.map(|charge| charge.nanos), estimated));
            }
            None => stake.failed(),
        }
    }
    if let Some(tab) = exchange.call.as_ref().and_then(|call| call.tab.as_ref()) {
        tab.finish();
    }
}

/// What an attempt's usage costs: as it was told, or at what is known now.
#[must_use]
pub fn charged(exchange: &Exchange, attempt: &Attempt, (usage, estimated): (&Usage, bool)) -> Option<Charge> {
    match &attempt.charge {
        Some(charge) if !estimated => Some(Charge::clone(charge)),
        _ => of(exchange, attempt, usage),
    }
}

/// A usage as it is counted.
#[must_use]
pub fn spend(usage: &Usage, cost_nanos: Option<u64>, estimated: bool) -> Spend {
    let (input_tokens, output_tokens) = (usage.input_total(), usage.output);
    Spend { cost: cost_nanos.unwrap_or(0), input_tokens, output_tokens, estimated }
}

/// What `usage` costs at the attempt's target; `None` when nobody knows, or nothing is billed.
#[must_use]
pub fn of(exchange: &Exchange, attempt: &Attempt, usage: &Usage) -> Option<Charge> {
    let (call, snapshot) = (exchange.call.as_ref()?, exchange.snapshot.as_ref()?);
    if !bills(call.endpoint, attempt) {
        return None;
    }
    // Of what goes through unread only the answer says which model it was.
    let told = attempt.unread.as_ref().and_then(|unread| unread.model());
    let served = Served {
        provider: &attempt.provider,
        key: &attempt.key,
        model: told.unwrap_or(&attempt.model),
        request: call.endpoint.request_type(call.stream),
    };
    let quote = exchange.prices.as_ref()?.quote(&served, snapshot);
    Charge::of(usage, quote.as_ref())
}

/// Counting tokens is free everywhere, and the mock is no provider.
fn bills(endpoint: Endpoint, attempt: &Attempt) -> bool {
    endpoint.operation != Operation::CountTokens && attempt.provider.mock.is_none()
}

/// Nobody knows what all of an attempt cost that consumed something, where `charge` is what is known.
#[must_use]
pub fn is_unpriced(exchange: &Exchange, attempt: &Attempt, charge: Option<&Charge>) -> bool {
    let bills = exchange.call.as_ref().is_some_and(|call| bills(call.endpoint, attempt));
    bills && !charge.is_some_and(Charge::is_known)
}

/// What the attempts cost that did not answer, or not to the end, as far as it is known: nano-dollars. One that still
/// runs beside the answering one has lost as soon as that has answered.
fn of_others(exchange: &Exchange) -> Option<u64> {
    let rival = exchange.rival.as_ref().and_then(|rival| rival.record().spent);
    let rival = rival.and_then(|spent| spent.cost_nanos);
    spent(&exchange.attempts).into_iter().chain(rival).reduce(u64::saturating_add)
}

/// What those in the list cost together that did not answer, as far as it is known: nano-dollars.
fn spent(attempts: &[AttemptRecord]) -> Option<u64> {
    let spent = attempts.iter().filter_map(|record| record.spent.as_ref()?.cost_nanos);
    spent.reduce(u64::saturating_add)
}

/// What a request cost that is over: the answer, and what the list says of others. Nano-dollars.
#[must_use]
pub fn total(attempts: &[AttemptRecord], answer: Option<u64>) -> Option<u64> {
    spent(attempts).into_iter().chain(answer).reduce(u64::saturating_add)
}

/// The value of `x-bifrost-cost`.
#[must_use]
pub fn header(exchange: &Exchange, attempt: &Attempt) -> Option<HeaderValue> {
    let own = attempt.charge.as_ref().map(|charge| charge.nanos);
    let nanos = of_others(exchange).into_iter().chain(own).reduce(u64::saturating_add)?;
    HeaderValue::from_str(&Charge::dollars(nanos)).ok()
}

/// `extra_fields.cost`: what the answer of `attempt` cost, and the attempts beside and before it.
#[must_use]
pub fn shown<'a>(exchange: &Exchange, attempt: Option<&'a Attempt>) -> Option<Shown<'a>> {
    Shown::of(attempt.and_then(|attempt| attempt.charge.as_deref()), of_others(exchange))
}

/// Prices, for requests of one kind.
#[derive(Clone, Copy)]
pub struct Rates<'a> {
    prices: &'a Prices,
    snapshot: &'a Snapshot,
    endpoint: Endpoint,
    stream: bool,
}

impl<'a> Rates<'a> {
    #[must_use]
    pub fn of(gateway: &'a Gateway, snapshot: &'a Snapshot, endpoint: Endpoint, stream: bool) -> Self {
        Self { prices: &gateway.prices, snapshot, endpoint, stream }
    }

    /// The price of `model` with a key; `None`: nobody knows it, and no ceiling stands in.
    #[must_use]
    pub fn quote(&self, provider: &Provider, key: &Key, model: &str) -> Option<Quote> {
        let request = self.endpoint.request_type(self.stream);
        self.prices.quote(&Served { provider, key, model, request }, self.snapshot)
    }

    /// What a common request costs with a key, to compare by: nano-dollars for 3,000 tokens of input and 1,000 of
    /// output, where such a request goes. `None`: nobody knows.
    #[must_use]
    pub fn common(&self, provider: &Provider, key: &Key, model: &str) -> Option<u64> {
        let quote = self.quote(provider, key, model).filter(|quote| quote.source.is_known())?;
        price::common(&quote.price)?;
        let usage = Usage { input_uncached: 3_000, output: 1_000, ..Usage::default() };
        Charge::of(&usage, Some(&quote)).map(|charge| charge.nanos)
    }

    /// Notes what the keys of each step cost, where the choice among them goes by that.
    pub fn compare(&self, plan: &mut Plan) {
        let dear = |step: &&mut Step| {
            step.provider.strategy == Strategy::Cost && step.provider.keys.len() > 1 && step.prices.is_none()
        };
        for step in plan.steps.iter_mut().filter(dear) {
            let provider = Arc::clone(&step.provider);
            step.prices =
                Some(provider.keys.iter().map(|key| self.common(&provider, key, &step.model)).collect());
        }
    }

    /// The policy says that this model is not asked: nobody knows what it costs.
    #[must_use]
    pub fn denies(&self, step: &Step) -> bool {
        if self.snapshot.pricing.unpriced != Unpriced::Deny
            || self.endpoint.operation == Operation::CountTokens
        {
            return false;
        }
        let provider = &*step.provider;
        let priced = |key: &Arc<Key>| self.quote(provider, key, &step.model).is_some();
        provider.mock.is_none() && !provider.keys.iter().filter(|key| step.served_by(key)).any(priced)
    }

    /// With the policy `deny`: leaves out the steps whose model has no price. False: another one is the first now, and
    /// what the caller asks of keys is not about that.
    ///
    /// # Errors
    /// None is left.
    pub fn check(&self, plan: &mut Plan) -> Result<bool, Fault> {
        let Some(first) = plan.steps.first().filter(|step| self.denies(step)) else {
            plan.steps.retain(|step| !self.denies(step));
            return Ok(true);
        };
        let first = format!("{}/{}", first.provider.name, first.model);
        plan.steps.retain(|step| !self.denies(step));
        if !plan.steps.is_empty() {
            return Ok(false);
        }
        let message = format!(
            "nobody knows what `{first}` costs, and models without a price are denied here (framework.pricing.unpriced): add it to pricing_overrides"
        );
        let mut fault = Fault::request(FailureKind::Permission, 403, message).param("model");
        fault.failure.code = Some("model_not_priced".to_owned());
        Err(fault)
    }
}
