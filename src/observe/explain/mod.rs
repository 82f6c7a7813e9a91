//! A request in words: why it went where it went, what each attempt did and when, what limited it, what it cost.
//!
//! Made of what the log keeps of a request alone, so that it tells the same at once and long after. It must not guess: where
//! nothing was noted, nothing is said.

mod attempts;
mod cost;
mod recent;
mod route;
mod words;

use std::time::{Duration, UNIX_EPOCH};

use serde::Serialize;
use utoipa::ToSchema;

pub use self::recent::Recent;
use self::words::span;
use crate::store::requests::entry::Entry;
use crate::telemetry::clock::write_rfc3339;
use crate::telemetry::record::{Outcome, Record};

/// A request in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Explained {
    pub request_id: String,
    /// When its head was read: RFC 3339.
    pub started: String,
    /// What became of it, in a sentence.
    pub summary: String,
    /// What was asked, and who asked it.
    pub asked: Vec<String>,
    /// Why it went where it went: what led there, and each target that was looked at.
    pub decision: Vec<String>,
    /// Budgets and limits, the nearest to its end first.
    pub limits: Vec<String>,
    /// Attempts in their order, with the targets that were passed over.
    pub attempts: Vec<String>,
    /// What it used and cost, and why.
    pub cost: Vec<String>,
    /// Where its time went.
    pub time: Vec<String>,
}

/// `record` in words.
#[must_use]
pub fn explain(record: &Record) -> Explained {
    of(&Entry::of(record))
}

/// A request in words, as the log has it.
#[must_use]
pub fn of(entry: &Entry<'_>) -> Explained {
    Explained {
        request_id: entry.detail.request_id.to_string(),
        started: moment(entry.started_ms()),
        summary: summary(entry),
        asked: asked(entry),
        decision: route::decision(entry),
        limits: entry.detail.limits.iter().map(route::limit).collect(),
        attempts: attempts::all(entry),
        cost: cost::lines(entry),
        time: time(entry),
    }
}

fn summary(entry: &Entry<'_>) -> String {
    let Entry { names, counts, detail, .. } = entry;
    let took = span(counts.took_us);
    let failed = detail.attempts.iter().filter(|attempt| attempts::failed(attempt)).count();
    let (status, message) = (counts.status, detail.message.trim_end_matches('.'));
    match (counts.outcome, &*names.error) {
        (Outcome::Cancelled, _) => format!("The caller left after {took}, before the answer was complete."),
        (Outcome::CacheHit, "") => format!("Answered with {status} after {took}, from the cache."),
        (_, "") => {
            let target = words::target(&names.provider, &names.model, &names.key);
            let after = match failed {
                0 => String::new(),
                some => {
                    format!(", after {}", words::count(some, "attempt had failed", "attempts had failed"))
                }
            };
            format!("Answered with {status} after {took} by {target}{after}.")
        }
        (_, _) if detail.attempts.iter().all(|attempt| attempt.phases.is_none()) => {
            format!("Refused with {status} after {took}, and nobody was asked: {message}.")
        }
        (_, kind) => {
            let failed = words::count(failed, "attempt that failed", "attempts that failed");
            format!("Failed with {status} after {took} and {failed}: {message} ({kind}).")
        }
    }
}

fn asked(entry: &Entry<'_>) -> Vec<String> {
    let Entry { names, detail, .. } = entry;
    let model = match &*names.asked {
        "" => "no model that could be read".to_owned(),
        model => format!("the model `{model}`"),
    };
    let mut told = vec![match &*names.object {
        "" => format!("A request for {}.", detail.path),
        object => format!(
            "{} on {}, in the dialect of {}, for {model}: {} bytes.",
            capital(&object.replace('_', " ")),
            detail.path,
            names.dialect,
            detail.bytes.0
        ),
    }];
    let of =
        |what: &str, name: &str| if name.is_empty() { String::new() } else { format!(", {what} {name}") };
    told.push(match &*detail.virtual_key_name {
        "" => "No virtual key was needed or shown.".to_owned(),
        name => {
            let (team, customer) = (of("team", &detail.team_name), of("customer", &detail.customer_name));
            format!("Asked with the virtual key {name}{team}{customer}.")
        }
    });
    if !detail.mirror_of.is_empty() {
        let original = &detail.mirror_of;
        told.push(format!("It is a copy of the request {original}: nobody waits for its answer."));
    }
    told.push(format!("Revision {} of the configuration was in force.", detail.revision));
    told
}

fn time(entry: &Entry<'_>) -> Vec<String> {
    let Entry { counts, detail, .. } = entry;
    let (mut told, mut last) = (Vec::new(), 0);
    let steps = [
        "until it was known who calls",
        "for the body to arrive",
        "to read it and to plan",
        "to let it in (budgets and limits)",
    ];
    for (until, what) in detail.phases.into_iter().zip(steps).filter(|(until, _)| *until > 0) {
        told.push(format!("{} {what}.", span(until.saturating_sub(last))));
        last = until.max(last);
    }
    if detail.queued_us > 0 {
        told.push(format!("{} in queues for places at providers.", span(detail.queued_us)));
    }
    if counts.first_token_us > 0 {
        told.push(format!("The caller had the first token after {}.", span(counts.first_token_us)));
    }
    if counts.status > 0 {
        told.push(format!("The caller was sent {} bytes.", detail.bytes.1));
    }
    let (took, own) = (span(counts.took_us), span(counts.overhead_us));
    told.push(format!("{took} in all, {own} of it in the gateway itself."));
    told
}

fn moment(ms: u64) -> String {
    let mut out = Vec::new();
    write_rfc3339(UNIX_EPOCH + Duration::from_millis(ms), &mut out);
    String::from_utf8(out).unwrap_or_default()
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests;
