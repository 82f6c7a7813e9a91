//! Why it went where it went, and what limited it.

use super::words::{dollars, target};
use crate::store::requests::entry::{Entry, Limit, Looked};
use crate::telemetry::record::{CHOSEN, READY, STANDS_BEHIND};

/// What led to the first target, and what was looked at.
pub fn decision(entry: &Entry<'_>) -> Vec<String> {
    let Entry { names, detail, .. } = entry;
    if detail.attempts.is_empty() && detail.candidates.is_empty() && names.rule.is_empty() {
        return Vec::new();
    }
    let asked = &names.asked;
    let led_by = match &*detail.led_by {
        "alias" => format!("`{asked}` is another name of a model, and that is where it went."),
        "group" => format!("`{asked}` is a group of models."),
        "virtual_key" => {
            format!("`{asked}` names no provider: the virtual key chose among those that it may use.")
        }
        "rule" => "A rule said where it goes.".to_owned(),
        "path" => "The path names the provider: nothing else was looked at.".to_owned(),
        _ => format!("`{asked}` names a model, and that is where it went."),
    };
    let mut told = vec![led_by];
    if !names.rule.is_empty() {
        told.push(format!("The rule `{}` was the first that matched.", names.rule));
    }
    match &*detail.strategy {
        "" => {}
        "session" => told.push("The session belongs to the key that was chosen.".to_owned()),
        "prompt" => told.push("Requests whose prompts begin alike went to the same key before.".to_owned()),
        strategy => told.push(format!("Among keys the strategy {strategy} chose.")),
    }
    told.extend(detail.candidates.iter().map(candidate));
    if detail.more_candidates > 0 {
        told.push(format!("{} more are not listed.", detail.more_candidates));
    }
    told
}

fn candidate(Looked(provider, model, key, share, verdict): &Looked<'_>) -> String {
    let target = target(provider, model, key);
    let share = share.filter(|share| *share < 1.0);
    let share = share.map(|share| format!(", {:.0} % of the choices at that moment", share * 100.0));
    let share = share.unwrap_or_default();
    match &**verdict {
        CHOSEN => format!("{target}: chosen{share}."),
        READY => format!("{target}: could have been chosen{share}."),
        STANDS_BEHIND => format!("{target}: stands behind, for when those before it fail."),
        why => format!("{target}: not possible, {why}."),
    }
}

/// How a budget or limit stood.
pub fn limit(Limit(owner, what, used, max, refused): &Limit<'_>) -> String {
    let (used, max, what) = match &**what {
        "budget" => (dollars(*used), dollars(*max), "of the budget".to_owned()),
        "concurrency" => (used.to_string(), max.to_string(), "requests at once".to_owned()),
        what => (used.to_string(), max.to_string(), what.replace('_', " ")),
    };
    let end = if *refused { ": refused" } else { "" };
    format!("{owner} had taken {used} of {max} {what}{end}.")
}
