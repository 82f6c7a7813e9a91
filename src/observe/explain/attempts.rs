//! What each attempt did, with its times and reasons.

use super::words::{span, target};
use crate::store::requests::entry::{Entry, Steps, Tried};
use crate::telemetry::record::AttemptPhases;

/// Every attempt, and every target that was passed over, in their order.
pub fn all(entry: &Entry<'_>) -> Vec<String> {
    let mut number = 0;
    let told = entry.detail.attempts.iter().map(|attempt| match &attempt.phases {
        Some(steps) => {
            number += 1;
            tried(attempt, steps, number)
        }
        None => passed_over(attempt),
    });
    told.collect()
}

/// It was tried and gave no answer. One that lost a race has not failed.
pub fn failed(attempt: &Tried<'_>) -> bool {
    attempt.phases.is_some() && !matches!(&*attempt.outcome, "success" | "hedge_lost")
}

fn passed_over(attempt: &Tried<'_>) -> String {
    let target = target(&attempt.provider, &attempt.model, &attempt.key);
    match (&*attempt.outcome, &*attempt.reason) {
        ("estimated", _) => format!("{target} was not asked: the answer is an estimate made here."),
        (outcome, "") => format!("{target} was passed over ({outcome})."),
        (outcome, reason) => format!("{target} was passed over ({outcome}): {reason}."),
    }
}

fn tried(attempt: &Tried<'_>, steps: &Steps, number: usize) -> String {
    let target = target(&attempt.provider, &attempt.model, &attempt.key);
    let server = match &*attempt.backend {
        "" => String::new(),
        server => format!(", server {server}"),
    };
    format!("Attempt {number}, {target}{server}: {}{}.", taken(steps).join(", "), outcome(attempt, steps))
}

fn taken(steps: &Steps) -> Vec<String> {
    let spans = AttemptPhases {
        began_us: steps.began_us,
        connected_us: steps.connected_us,
        secured_us: steps.secured_us,
        sent_us: steps.sent_us,
        answered_us: steps.answered_us,
        first_token_us: steps.first_token_us,
        ended_us: steps.ended_us,
        ..AttemptPhases::default()
    }
    .spans();
    let mut told = Vec::new();
    told.extend(steps.delayed_us.map(|us| format!("put off for {}", span(us))));
    told.extend(steps.queued_us.map(|us| format!("waited {} for a place", span(us))));
    told.push(format!("began at {}", span(steps.began_us)));
    if steps.reused {
        told.push("over a pooled connection".to_owned());
    }
    told.extend(spans.connect_us.map(|us| format!("connected in {}", span(us))));
    told.extend(spans.tls_us.map(|us| format!("TLS in {}", span(us))));
    told.extend(spans.send_us.map(|us| format!("sent in {}", span(us))));
    told.extend(spans.first_byte_us.map(|us| format!("first byte after {}", span(us))));
    told.extend(spans.first_token_us.map(|us| format!("first token {} later", span(us))));
    told
}

fn outcome(attempt: &Tried<'_>, steps: &Steps) -> String {
    let took = span(steps.ended_us.saturating_sub(steps.began_us));
    let status = if attempt.status > 0 { format!(" (status {})", attempt.status) } else { String::new() };
    let why = match attempt.reason.trim_end_matches('.') {
        "" => "no reason is known",
        why => why,
    };
    match &*attempt.outcome {
        "success" => format!("; answered{status}, complete after {took}"),
        "hedge_lost" => format!("; cancelled after {took}, because the other of two attempts was ahead"),
        "caller_gone" => format!("; cut off after {took}, because the caller left"),
        outcome => format!("; failed after {took} with {outcome}{status}: {why}"),
    }
}
