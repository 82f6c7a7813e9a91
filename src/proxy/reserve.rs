//! What a request and its attempts hold of budgets and limits, and who refuses.
//!
//! The request is let in once its plan stands: its virtual key, team and customer must have something left. What an attempt
//! is expected to cost is held when it is chosen, at the price of its target, of these and of the provider, the model
//! and the key's part in the provider; where that is not left the step is passed over like a full one.

use std::sync::Arc;

use govern::allowance::{Consumption, Denied, Measure};
use govern::meter::Wait;
use http::{HeaderName, HeaderValue};

use super::Gateway;
use super::cost::Rates;
use super::exchange::{Call, Exchange};
use super::fault::{Fault, Refusal};
use crate::account::charge::Charge;
use crate::account::estimate::Size;
use crate::account::meters::{Refused, Standing};
use crate::account::settle::{Stake, Tab};
use crate::config::governance::Owner;
use crate::config::snapshot::{Key, Snapshot};
use crate::inner::Purpose;
use crate::route::endpoint::Operation;
use crate::route::plan::Step;

/// Lets the request in.
///
/// # Errors
/// Its caller has nothing left.
pub async fn enter(gateway: &Gateway, exchange: &mut Exchange, call: &mut Call) -> Result<(), Fault> {
    let Some(snapshot) = exchange.snapshot.clone() else { return Ok(()) };
    let tab = Tab::new(&gateway.meters, &gateway.books, &snapshot, exchange.caller.clone());
    let part = exchange.inner.as_ref().is_some_and(|ticket| ticket.purpose == Purpose::Embedding);
    while let Err(refused) = if part { tab.enter_as_part() } else { tab.enter() } {
        if !call.lease.refused(&refused) {
            exchange.known.refused_by(&refused);
            return Err(refusal(gateway, &snapshot, &refused));
        }
        call.lease = std::mem::take(&mut call.lease).wait(gateway).await;
    }
    exchange.known.entered(&tab);
    call.tab = Some(Arc::new(tab));
    Ok(())
}

/// What an attempt at `step` holds.
///
/// # Errors
/// Somebody has not so much left.
pub fn stake(
    gateway: &Gateway,
    call: &mut Call,
    (step, key): (&Step, &Key),
) -> Result<Option<Arc<Stake>>, Fault> {
    let Some(tab) = call.tab.clone() else { return Ok(None) };
    let expected = match tab.is_metered(&step.provider.name, &step.model) {
        true => expected(gateway, call, &tab, (step, key)),
        false => Consumption::default(),
    };
    let stake = tab.stake((&step.provider.name, &step.model), expected);
    stake.map(|stake| Some(Arc::new(stake))).map_err(|refused| {
        call.lease.refused(&refused);
        refusal(gateway, tab.snapshot(), &refused)
    })
}

/// What an attempt is expected to use, at the price of its target.
fn expected(gateway: &Gateway, call: &mut Call, tab: &Tab, (step, key): (&Step, &Key)) -> Consumption {
    let size = *call.size.get_or_insert_with(|| Size::of(&call.body, &call.peek));
    let names = (tab.key(), &*step.provider.name, &*step.model);
    let writes = !matches!(
        call.endpoint.operation,
        Operation::Embeddings | Operation::Rerank | Operation::CountTokens
    );
    let cap = gateway.catalog.find(&step.provider.name, &step.model).and_then(|model| model.max_output);
    let learned = gateway.meters.learned.most(names);
    let usage = size.expected(tab.reservations(), writes, learned, cap.map(u64::from));
    let free = call.endpoint.operation == Operation::CountTokens || step.provider.mock.is_some();
    let rates = Rates::of(gateway, tab.snapshot(), call.endpoint, call.stream);
    let quote = (!free).then(|| rates.quote(&step.provider, key, &step.model)).flatten();
    let charge = quote.and_then(|quote| Charge::of(&usage, Some(&quote)));
    Consumption {
        cost: charge.map_or(0, |charge| charge.nanos),
        requests: 0,
        input_tokens: usage.input_uncached,
        output_tokens: usage.output,
    }
}

/// How a refusal is told.
fn refusal(gateway: &Gateway, snapshot: &Snapshot, refused: &Refused) -> Fault {
    let who = named(snapshot, &refused.owner);
    let (refusal, mut message) = match &refused.denied {
        Denied::Concurrency { max } | Denied::Places { max } => {
            (Refusal::RateLimited, format!("{who} has {max} requests under way, and may not have more"))
        }
        Denied::Quota { quota, refusal } => {
            let (is, unit) = match quota.measure {
                Measure::Cost => (Refusal::BudgetExceeded, "dollars"),
                Measure::Requests => (Refusal::RequestLimited, "requests"),
                Measure::InputTokens => (Refusal::TokenLimited, "input tokens"),
                Measure::OutputTokens => (Refusal::TokenLimited, "output tokens"),
                Measure::Tokens => (Refusal::TokenLimited, "tokens"),
            };
            let what = if is == Refusal::BudgetExceeded { "budget" } else { "rate limit" };
            let shown = |amount: u64| match quota.measure {
                Measure::Cost => Charge::dollars(amount),
                _ => amount.to_string(),
            };
            let (used, max, window) = (shown(refusal.used), shown(refusal.max), quota.window);
            let mut message = format!("{who} {what} exceeded: {used} of {max} {unit} used per {window}");
            if refusal.held > 0 {
                message.push_str(&format!(", {} held by requests under way", shown(refusal.held)));
            }
            if refusal.used < refusal.max && refusal.wanted > 0 {
                message.push_str(&format!(", and this request may need {}", shown(refusal.wanted)));
            }
            if refusal.wait == Wait::Never {
                message.push_str(": more than there ever is");
            }
            (is, message)
        }
    };
    let wait = refused.denied.retry_after_ms();
    if let Some(wait) = wait {
        message.push_str(&format!("; try again in {} s", wait.div_ceil(1_000)));
    }
    let mut fault = Fault::refused(refusal, message);
    fault.retry_after_ms = wait;
    let kind = refused.owner.kind();
    gateway.metrics.limits.refused.with_label_values(&[kind, fault.label()]).inc();
    fault
}

/// An owner, for people.
fn named(snapshot: &Snapshot, owner: &Owner) -> String {
    let governance = &snapshot.governance;
    match owner {
        Owner::Customer(id) => {
            format!("customer {}", governance.customers.get(id).map_or(id, |customer| &customer.name))
        }
        Owner::Team(id) => format!("team {}", governance.teams.get(id).map_or(id, |team| &team.name)),
        Owner::VirtualKey(id) => format!("virtual key {id}"),
        Owner::Grant { key, provider } => format!("virtual key {key} at {provider}"),
        Owner::Provider(name) => format!("provider {name}"),
        Owner::Model { provider: None, model } => format!("model {model}"),
        Owner::Model { provider: Some(provider), model } => format!("model {provider}/{model}"),
    }
}

const REQUESTS: [HeaderName; 3] = [
    HeaderName::from_static("x-ratelimit-limit-requests"),
    HeaderName::from_static("x-ratelimit-remaining-requests"),
    HeaderName::from_static("x-ratelimit-reset-requests"),
];
const TOKENS: [HeaderName; 3] = [
    HeaderName::from_static("x-ratelimit-limit-tokens"),
    HeaderName::from_static("x-ratelimit-remaining-tokens"),
    HeaderName::from_static("x-ratelimit-reset-tokens"),
];

/// What is left of the caller's tightest limits, as headers of the answer. A provider's own are replaced: they are not
/// the caller's.
pub fn tell(call: &Call, out: &mut http::HeaderMap) {
    let Some(tab) = &call.tab else { return };
    let levels = tab.levels();
    let tightest = |measures: &[Measure]| {
        let own = levels.iter().filter(|standing| measures.contains(&standing.measure));
        own.min_by_key(|standing| standing.level.left())
    };
    let requests = tightest(&[Measure::Requests]);
    let tokens = tightest(&[Measure::Tokens, Measure::InputTokens, Measure::OutputTokens]);
    if requests.is_none() && tokens.is_none() {
        return;
    }
    for (names, standing) in [(REQUESTS, requests), (TOKENS, tokens)] {
        names.iter().for_each(|name| drop(out.remove(name)));
        let Some(Standing { level, .. }) = standing else { continue };
        let reset = HeaderValue::from_str(&span(level.full_in_ms));
        let values = [HeaderValue::from(level.max), HeaderValue::from(level.left())];
        out.extend(names.into_iter().zip(values.into_iter().chain(reset)));
    }
}

/// A span as clients of OpenAI read it: `1m30s`, `250ms`.
fn span(ms: u64) -> String {
    let (hours, minutes, seconds) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60);
    match ms {
        0 => "0s".to_owned(),
        1..1_000 => format!("{ms}ms"),
        1_000..60_000 => format!("{seconds}s"),
        60_000..3_600_000 => format!("{minutes}m{seconds}s"),
        _ => format!("{hours}h{minutes}m{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_written_as_clients_read_them() {
        let told = [0, 250, 59_999, 60_000, 90_000, 3_600_000, 86_400_000].map(span);
        assert_eq!(told, ["0s", "250ms", "59s", "1m0s", "1m30s", "1h0m0s", "24h0m0s"]);
    }
}
