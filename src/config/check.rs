//! `bifrost check FILE`: what is wrong, and what would be served.

use std::fmt;
use std::path::Path;

use super::environment::Environment;
use super::problem::Problem;
use super::snapshot::{Key, Origin, Provider, Snapshot};
use super::source::load;

/// The outcome of a check; its `Display` is what is printed.
#[derive(Debug)]
pub struct Report {
    pub problems: Vec<Problem>,
    pub warnings: Vec<String>,
    /// One line per provider, disabled key and fallback; empty when there are problems.
    pub summary: Vec<String>,
}

impl Report {
    /// Nothing prevents a start.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.problems.is_empty()
    }
}

/// Checks a file as a start would read it.
#[must_use]
pub fn check(path: &Path, environment: &Environment) -> Report {
    match load(&Origin::File(path.to_owned()), environment, 1) {
        Ok(loaded) => {
            let summary = summary(&loaded.snapshot);
            Report { problems: Vec::new(), warnings: loaded.snapshot.warnings, summary }
        }
        Err(problems) => Report { problems, warnings: Vec::new(), summary: Vec::new() },
    }
}

/// What a snapshot serves, a line each.
#[must_use]
pub fn summary(snapshot: &Snapshot) -> Vec<String> {
    let mut lines: Vec<String> = snapshot.providers.iter().flat_map(|p| of_provider(p)).collect();
    if !snapshot.fallbacks.is_empty() {
        let order: Vec<String> =
            snapshot.fallbacks.iter().map(|f| format!("{}/{}", f.provider, f.model)).collect();
        lines.push(format!("fallbacks: {}", order.join(", ")));
    }
    lines.extend(of_routing(snapshot));
    lines.extend(of_governance(snapshot));
    if snapshot.mock_only {
        lines.push("no provider is configured: only the built-in mock answers".to_owned());
    }
    lines
}

fn of_routing(snapshot: &Snapshot) -> Option<String> {
    let routing = &snapshot.routing;
    let parts = counted([
        (routing.aliases.len(), "alias", "aliases"),
        (routing.groups.len(), "group", "groups"),
        (routing.rules.len(), "rule", "rules"),
    ]);
    (!parts.is_empty()).then(|| format!("routing: {}", parts.join(", ")))
}

fn of_governance(snapshot: &Snapshot) -> Option<String> {
    let governance = &snapshot.governance;
    let mut parts = counted([
        (governance.virtual_keys.len(), "virtual key", "virtual keys"),
        (governance.teams.len(), "team", "teams"),
        (governance.customers.len(), "customer", "customers"),
    ]);
    match (governance.enforced, governance.virtual_keys.is_empty()) {
        (true, _) => parts.push("requests without a virtual key are refused".to_owned()),
        (false, false) => parts.push("requests without a virtual key are taken".to_owned()),
        (false, true) => {}
    }
    (!parts.is_empty()).then(|| format!("governance: {}", parts.join(", ")))
}

fn counted(counts: [(usize, &str, &str); 3]) -> Vec<String> {
    let there = counts.into_iter().filter(|(count, ..)| *count > 0);
    there.map(|(count, one, many)| format!("{count} {}", if count == 1 { one } else { many })).collect()
}

fn of_provider(provider: &Provider) -> Vec<String> {
    let scheme = if provider.endpoint.tls { "https" } else { "http" };
    let place = match provider.mock {
        Some(_) => "built in".to_owned(),
        None => {
            let at = &provider.endpoint;
            // Without chat: where everything else begins.
            let path = if at.chat_path.is_empty() { &at.root } else { &at.chat_path };
            format!("{scheme}://{}{}", at.authority, path_only(path))
        }
    };
    let usable: Vec<&Key> =
        provider.keys.iter().map(AsRef::as_ref).filter(|k| k.disabled.is_none()).collect();
    let keys = match usable.as_slice() {
        [key] if key.secret.is_none() => "no key needed".to_owned(),
        [_] => "1 key".to_owned(),
        many => format!("{} keys", many.len()),
    };
    let speaks = if provider.endpoint.chat_path.is_empty() { "no chat" } else { provider.wire.name() };
    let more = match provider.backends.as_ref().map(|several| several.list.len()) {
        Some(count @ 2..) => format!(" and {} more", count - 1),
        _ => String::new(),
    };
    let mut lines = vec![format!("{}: {speaks}, {keys}, {place}{more}", provider.name)];
    for key in &provider.keys {
        if let Some(reason) = &key.disabled {
            lines.push(format!("  key {:?} is disabled: {reason}", key.name));
        }
    }
    lines
}

/// A query may hold a credential.
fn path_only(path: &str) -> &str {
    path.split('?').next().unwrap_or_default()
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.problems {
            writeln!(f, "error: {problem}")?;
        }
        for warning in &self.warnings {
            writeln!(f, "warning: {warning}")?;
        }
        for line in &self.summary {
            writeln!(f, "{line}")?;
        }
        match self.problems.len() {
            0 => writeln!(f, "the configuration is good"),
            1 => writeln!(f, "1 problem"),
            n => writeln!(f, "{n} problems"),
        }
    }
}
