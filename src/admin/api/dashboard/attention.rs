//! What somebody should look at now, the worst first, each with the page where it is put right.
//!
//! Facts only: what is said here can be seen elsewhere, in `/health`, `/api/health/targets` or the sums.

use govern::allowance::Measure;
use govern::breaker;
use govern::forecast;
use serde::Serialize;
use utoipa::ToSchema;

use super::Facts;
use crate::admin::api::AdminState;
use crate::config::governance::Owner;
use crate::config::snapshot::{Key, Provider, Snapshot};
use crate::observe::sums::{Cell, Count};

/// How long errors are compared with what was before them, and how far that reaches back.
pub const RECENT_MS: u64 = 600_000;
pub const LOOK_BACK_MS: u64 = 2 * 3_600_000;
/// A budget is at risk from here on, in percent.
const AT_RISK: u64 = 80;
/// Of one kind, at most so many are named.
const NAMED: usize = 20;

/// Something to look at.
#[derive(Debug, Serialize, ToSchema)]
pub struct AttentionItem {
    /// `circuit_open`, `key_resting`, `budget`, `error_spike`, `records_dropped`, `unpriced_models`, `config`, `store`
    pub kind: &'static str,
    pub severity: Severity,
    /// For people.
    pub text: String,
    /// The page where it is put right.
    pub link: String,
    /// Milliseconds until a budget is used up at its present pace, or a key is asked again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_ms: Option<u64>,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Error,
    Warning,
    Notice,
}

/// All of it.
pub fn find(state: &AdminState, facts: &Facts) -> Vec<AttentionItem> {
    let snapshot = state.gateway.config.load_full();
    let mut items = circuits(state, &snapshot);
    items.extend(resting(state, &snapshot));
    items.extend(budgets(state, facts.now_ms));
    items.extend(spikes(facts));
    items.extend(dropped(state));
    items.extend(unpriced(facts));
    items.extend(stores(state));
    items.extend(configuration(state, &snapshot));
    items.sort_by_key(|item| item.severity);
    items
}

/// Budgets among them.
pub fn budgets_at_risk(items: &[AttentionItem]) -> usize {
    items.iter().filter(|item| item.kind == "budget").count()
}

fn item(kind: &'static str, severity: Severity, text: String, link: impl Into<String>) -> AttentionItem {
    AttentionItem { kind, severity, text, link: link.into(), in_ms: None }
}

fn keys(snapshot: &Snapshot) -> impl Iterator<Item = (&Provider, &Key)> {
    snapshot.providers.iter().flat_map(|provider| provider.keys.iter().map(move |key| (&**provider, &**key)))
}

fn circuits(state: &AdminState, snapshot: &Snapshot) -> Vec<AttentionItem> {
    let standings = state.gateway.health.standings();
    let open = standings.iter().filter(|standing| matches!(standing.circuit, breaker::State::Open { .. }));
    let named = open.filter_map(|standing| {
        let (provider, key) = keys(snapshot).find(|(_, key)| key.known_as == standing.key)?;
        let text = format!(
            "{} of {} (key {}) is not asked: its circuit is open, {} % of its last calls failed",
            standing.model,
            provider.name,
            key.name,
            standing.faults / 10
        );
        Some(item("circuit_open", Severity::Error, text, format!("/providers/{}", provider.name)))
    });
    named.take(NAMED).collect()
}

fn resting(state: &AdminState, snapshot: &Snapshot) -> Vec<AttentionItem> {
    use govern::cooldown::CoolReason;
    let cooling = state.gateway.health.cooling();
    // Faults are told as circuits.
    let resting = cooling.iter().filter(|cooling| cooling.why != CoolReason::Faults);
    let named = resting.filter_map(|cooling| {
        let (provider, key) = keys(snapshot).find(|(_, key)| key.known_as == cooling.key)?;
        let why = match cooling.why {
            CoolReason::RateLimited => "its rate limit is reached",
            CoolReason::Refused => "the provider refuses it",
            CoolReason::Quota => "its account is empty",
            CoolReason::Faults => "it fails",
            CoolReason::Asked => "the provider asked for it",
        };
        let what = cooling.model.as_ref().map(|model| format!(" for {model}")).unwrap_or_default();
        let seconds = cooling.remaining_ms.div_ceil(1_000);
        let text = format!("key {} of {} rests{what} for {seconds} s: {why}", key.name, provider.name);
        let grave = matches!(cooling.why, CoolReason::Refused | CoolReason::Quota);
        let severity = if grave { Severity::Error } else { Severity::Warning };
        let one = item("key_resting", severity, text, format!("/providers/{}", provider.name));
        Some(AttentionItem { in_ms: Some(cooling.remaining_ms), ..one })
    });
    named.take(NAMED).collect()
}

fn budgets(state: &AdminState, now_ms: u64) -> Vec<AttentionItem> {
    let mut owners: Vec<Owner> = Vec::new();
    state.gateway.meters.each(|owner, _| owners.push(owner.clone()));
    let mut found: Vec<(u64, AttentionItem)> = Vec::new();
    for owner in owners {
        for standing in state.gateway.meters.levels(&owner, now_ms) {
            let (used, max) = (standing.level.used, standing.level.max);
            let percent = used.saturating_mul(100).checked_div(max).unwrap_or(100);
            if standing.measure != Measure::Cost || percent <= AT_RISK {
                continue;
            }
            let in_ms = forecast::used_up_in(&standing.window, (used, max), now_ms).filter(|_| used < max);
            let when = match in_ms {
                _ if used >= max => ": it is used up".to_owned(),
                Some(ms) => format!(": at this pace it is used up in {}", words(ms)),
                None => String::new(),
            };
            let text = format!("{percent} % of the budget of {owner} per {} are used{when}", standing.window);
            let severity = if used >= max { Severity::Error } else { Severity::Warning };
            found.push((percent, AttentionItem { in_ms, ..item("budget", severity, text, "/budgets") }));
        }
    }
    found.sort_by_key(|(percent, _)| std::cmp::Reverse(*percent));
    found.into_iter().map(|(_, item)| item).collect()
}

fn spikes(facts: &Facts) -> Vec<AttentionItem> {
    let now = facts.now_ms.saturating_sub(RECENT_MS);
    // What began within the last ten minutes, and what did before.
    let parts = |cells: &[Cell]| {
        let recent = facts.recent.starts.iter().map(|start| *start + RECENT_MS > now);
        cells.iter().zip(recent).fold((0, 0), |(new, old): (u64, u64), (cell, recent)| match recent {
            true => (new + cell.requests(), old),
            false => (new, old + cell.requests()),
        })
    };
    let requests = parts(&facts.recent.by_bucket());
    let mut found: Vec<(u64, AttentionItem)> = Vec::new();
    for (name, cells) in &facts.recent_errors.names {
        let errors = parts(cells);
        if forecast::is_spike((errors.0, requests.0), (errors.1, requests.1)) {
            let text = format!(
                "{} of the last {} requests failed with {}, more than usual",
                errors.0, requests.0, name.0
            );
            found.push((
                errors.0,
                item("error_spike", Severity::Error, text, format!("/requests?error={}", name.0)),
            ));
        }
    }
    found.sort_by_key(|(errors, _)| std::cmp::Reverse(*errors));
    found.into_iter().take(NAMED).map(|(_, item)| item).collect()
}

fn dropped(state: &AdminState) -> Vec<AttentionItem> {
    let gateway = &state.gateway;
    let lost = |count: u64, what: &str| {
        let text = format!("{count} {what} since the start: they came faster than they could be taken");
        (count > 0).then(|| item("records_dropped", Severity::Warning, text, "/system"))
    };
    let log = gateway.requests.as_ref().map_or(0, |log| log.counts.dropped());
    let all = [
        lost(gateway.observer.dropped(), "finished requests are counted nowhere"),
        lost(log, "finished requests are not in the request log"),
        lost(gateway.sums.lost(), "sums of minutes, hours or days were given up"),
    ];
    all.into_iter().flatten().collect()
}

fn unpriced(facts: &Facts) -> Option<AttentionItem> {
    let mut models: Vec<(u64, String)> = facts
        .targets
        .names
        .iter()
        .map(|(name, cells)| {
            let count = cells.iter().map(|cell| cell.get(Count::Unpriced)).sum::<u64>();
            (count, format!("{}/{}", name.0, name.1))
        })
        .filter(|(count, _)| *count > 0)
        .collect();
    models.sort_by(|a, b| b.cmp(a));
    let requests: u64 = models.iter().map(|(count, _)| count).sum();
    let names: Vec<&str> = models.iter().take(5).map(|(_, name)| &**name).collect();
    let more = models.len().saturating_sub(names.len());
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let text = format!("nobody knows what {requests} requests cost: no price for {}{more}", names.join(", "));
    (requests > 0).then(|| item("unpriced_models", Severity::Warning, text, "/models"))
}

fn stores(state: &AdminState) -> Vec<AttentionItem> {
    let gateway = &state.gateway;
    let mut items = Vec::new();
    let mut gone = |what: &str, trouble: Option<String>| {
        if let Some(trouble) = trouble {
            items.push(item(
                "store",
                Severity::Error,
                format!("{what} cannot be used: {trouble}"),
                "/system",
            ));
        }
    };
    gone("the store of the configuration", gateway.store.as_ref().and_then(|store| store.trouble()));
    gone("the ledger", gateway.kept.as_ref().and_then(|kept| kept.store.trouble()));
    gone("the request log", gateway.requests.as_ref().and_then(|log| log.requests.trouble()));
    items
}

fn configuration(state: &AdminState, snapshot: &Snapshot) -> Vec<AttentionItem> {
    let mut items: Vec<AttentionItem> = Vec::new();
    if let Some(error) = state.gateway.config.status().last_error {
        let first = error.lines().next().unwrap_or_default();
        let text = format!("the last reload was refused, the old configuration stays: {first}");
        items.push(item("config", Severity::Error, text, "/config"));
    }
    let warnings = snapshot.warnings.iter().take(NAMED);
    items.extend(warnings.map(|warning| item("config", Severity::Notice, warning.clone(), "/config")));
    items
}

/// A span for people.
fn words(ms: u64) -> String {
    match ms / 60_000 {
        0 => "less than a minute".to_owned(),
        minutes @ 1..=119 => format!("{minutes} minutes"),
        minutes @ 120..=2_879 => format!("{} hours", minutes / 60),
        minutes => format!("{} days", minutes / 1_440),
    }
}
