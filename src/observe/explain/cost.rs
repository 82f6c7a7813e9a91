//! What a request used and cost, and why.

use super::words::{dollars, target, unit};
use crate::store::requests::entry::{Charged, Entry, Flags};

/// Tokens, the sum, and what it is made of.
pub fn lines(entry: &Entry<'_>) -> Vec<String> {
    let Entry { counts, detail, .. } = entry;
    let is = |flag| counts.flags.has(flag);
    let mut told = Vec::new();
    if is(Flags::USAGE) {
        let estimated = if is(Flags::ESTIMATED) { " (estimated: the provider told nothing)" } else { "" };
        told.push(format!("{} tokens in, {} out{estimated}.", counts.input_tokens, counts.output_tokens));
    }
    if is(Flags::PRICED) {
        told.push(format!("It cost {}.", dollars(counts.cost_nanos)));
    } else if is(Flags::UNPRICED) {
        told.push("Nobody knows what it cost: there is no price for it.".to_owned());
    } else if is(Flags::USAGE) {
        told.push("It cost nothing.".to_owned());
    }
    told.extend(detail.charge.iter().flat_map(|charge| of_answer(charge)));
    for attempt in &detail.attempts {
        let Some((_, _, Some(nanos))) = attempt.spent else { continue };
        let target = target(&attempt.provider, &attempt.model, &attempt.key);
        let (dollars, outcome) = (dollars(nanos), &attempt.outcome);
        told.push(format!("{dollars} of it for the attempt at {target}, which ended as {outcome}."));
    }
    if is(Flags::UNPRICED) && is(Flags::PRICED) {
        told.push("Not all of it has a price: it cost more than is known.".to_owned());
    }
    told
}

fn of_answer(Charged(source, lines): &Charged<'_>) -> Vec<String> {
    let from = match &**source {
        "reported" => return vec!["The provider itself told what the answer cost.".to_owned()],
        "key" => " at the price of this key",
        "provider" => " at the price configured for the provider",
        "table" => " at the price of the configured table",
        "catalog" => " at the price that the gateway ships with",
        "ceiling" => " at the ceiling, since nobody knows the price",
        _ => "",
    };
    let line = |(what, quantity, femtos, nanos): &(std::borrow::Cow<'_, str>, u64, u64, u64)| {
        let (what, cost, unit) = (what.replace('_', " "), dollars(*nanos), unit(*femtos));
        format!("{cost} for {quantity} of {what}, {unit} each{from}.")
    };
    lines.iter().map(line).collect()
}
