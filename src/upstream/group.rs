//! Which model of a group is asked first, and which stands in for it: by what is known of their keys at the moment.
//!
//! The choice itself is `govern::balance`'s; a model's outlook is that of the key that would be chosen for it.

use std::cmp::Reverse;

use govern::balance::{self, Outlook, Strategy};

use super::health::Registry;
use super::select::Wish;
use crate::config::snapshot::{Key, ModelRef, Provider, Snapshot};

/// What is asked, and what is known.
pub struct Seen<'a> {
    pub snapshot: &'a Snapshot,
    pub health: &'a Registry,
    /// Speed is compared among streams, or among whole answers.
    pub stream: bool,
    /// What a common request costs with a key, to compare by; `None`: nobody knows.
    pub price: &'a dyn Fn(&Provider, &Key, &str) -> Option<u64>,
    /// Requests of one session go to one model as long as it is well.
    pub session: Option<u64>,
}

/// The order of `members` (with their weights in thousandths): those that cool down stand last.
#[must_use]
pub fn order(
    strategy: Strategy,
    members: &[(ModelRef, u32)],
    seen: &Seen<'_>,
    mut random: impl FnMut() -> u64,
) -> Vec<usize> {
    let now_ms = seen.health.now_ms();
    let mut outlooks: Vec<Outlook> =
        members.iter().map(|(member, weight)| outlook(member, *weight, seen, (now_ms, random()))).collect();
    if strategy == Strategy::Cost {
        for ((member, _), outlook) in members.iter().zip(&mut outlooks) {
            outlook.price = price(member, seen);
        }
    }
    let rests: Vec<bool> = outlooks.iter().map(|outlook| !outlook.candidate.eligible).collect();
    for outlook in &mut outlooks {
        // A model without weight stands in for the others.
        outlook.candidate.eligible &= outlook.candidate.weight > 0;
    }
    let mut order = Vec::with_capacity(members.len());
    if let Some(session) = seen.session {
        let names =
            members.iter().map(|(member, _)| Wish::session(&format!("{}/{}", member.provider, member.model)));
        order.extend(balance::affine(outlooks.iter().copied().zip(names), session));
    }
    loop {
        if let Some(taken) = order.last().and_then(|&at: &usize| outlooks.get_mut(at)) {
            taken.candidate.eligible = false;
        }
        match balance::choose(strategy, outlooks.iter().copied(), random()) {
            Some(next) => order.push(next),
            None => break,
        }
    }
    let mut rest: Vec<usize> = (0..members.len()).filter(|at| !order.contains(at)).collect();
    rest.sort_by_key(|&at| {
        (rests.get(at).copied(), Reverse(members.get(at).map_or(0, |(_, weight)| *weight)))
    });
    order.extend(rest);
    order
}

fn outlook(member: &ModelRef, weight: u32, seen: &Seen<'_>, (now_ms, random): (u64, u64)) -> Outlook {
    let mut found = Outlook::of(weight);
    let Some(provider) = seen.snapshot.provider(&member.provider) else {
        found.candidate.eligible = false;
        return found;
    };
    let keys: Vec<Outlook> = provider
        .keys
        .iter()
        .filter(|key| key.serves(&member.model))
        .map(|key| seen.health.outlook(key, &member.model, seen.stream, now_ms))
        .collect();
    match balance::choose(provider.strategy, keys.iter().copied(), random).and_then(|at| keys.get(at)) {
        Some(best) => {
            let in_flight = keys.iter().fold(0_u32, |sum, key| sum.saturating_add(key.in_flight));
            let candidate = found.candidate;
            found = Outlook { candidate, in_flight, ..*best };
        }
        None => found.candidate.eligible = false,
    }
    found
}

/// With the cheapest of the keys that serve the model.
fn price(member: &ModelRef, seen: &Seen<'_>) -> Option<u64> {
    let provider = seen.snapshot.provider(&member.provider)?;
    let keys = provider.keys.iter().filter(|key| key.serves(&member.model));
    keys.filter_map(|key| (seen.price)(provider, key, &member.model)).min()
}

#[cfg(test)]
mod tests;
