//! Rules, in our form and in the original's.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::{Known, compile_target, names, weighed};
use crate::config::compile::{Compiler, seconds, treatment};
use crate::config::document::At;
use crate::config::expression::Expression;
use crate::config::policy::Limits;
use crate::config::problem::{Problem, child, did_you_mean};
use crate::config::raw;
use crate::config::routing::{After, MOST_ASKED, Mirror, RouteTarget, Rule, Scope, Treatment};

/// `routing.rules`, in the order of the file.
pub(super) fn ours(compiler: &mut Compiler<'_>, raw: &raw::Routing, known: &Known<'_>) -> Vec<Arc<Rule>> {
    let mut taken = HashSet::new();
    let mut rules = Vec::with_capacity(raw.rules.len());
    for (index, rule) in raw.rules.iter().enumerate() {
        let pointer = format!("/routing/rules/{index}");
        check_name(compiler, (&rule.name, &child(&pointer, "name")), &mut taken);
        let when = rule.when.as_deref();
        let when = when.and_then(|text| condition(compiler, (&child(&pointer, "when"), text)));
        let targets = targets(compiler, &rule.targets, (&pointer, "key"), (raw, known));
        let list = child(&pointer, "fallbacks");
        let after = match &rule.fallbacks {
            Some(names) => After::Listed(fallbacks(compiler, (&list, names), raw, known)),
            None => After::Others,
        };
        let own = if after == After::Others { targets.len() } else { 1 };
        let listed = rule.fallbacks.as_ref().map_or(0, Vec::len);
        if own + listed > MOST_ASKED {
            let message =
                format!("at most {MOST_ASKED} models are asked for one request: the last are left out");
            compiler.warn(&pointer, message);
        }
        let mirror = mirror(compiler, rule, &pointer, (raw, known));
        if !rule.disabled {
            rules.push(Arc::new(Rule {
                name: Arc::from(rule.name.as_str()),
                scope: Scope::Global,
                when,
                targets,
                after,
                treatment: treated(rule),
                mirror,
                complained: AtomicBool::new(false),
            }));
        }
    }
    rules
}

/// `governance.routing_rules`: those for one virtual key, for a team, for a customer, for everybody; among each by
/// priority.
pub(super) fn originals(
    compiler: &mut Compiler<'_>,
    governance: &raw::Governance,
    names: &raw::Routing,
    known: &Known<'_>,
) -> Vec<Arc<Rule>> {
    let mut rules = Vec::with_capacity(governance.routing_rules.len());
    for (index, raw) in governance.routing_rules.iter().enumerate() {
        let pointer = format!("/governance/routing_rules/{index}");
        let text = raw.cel_expression.trim();
        let at = child(&pointer, "cel_expression");
        let when = (!text.is_empty()).then(|| condition(compiler, (&at, text))).flatten();
        let own: Vec<raw::RouteTarget> = raw.targets.iter().map(as_ours).collect();
        let targets = targets(compiler, &own, (&pointer, "key_id"), (names, known));
        let at = child(&pointer, "fallbacks");
        let fallbacks = fallbacks(compiler, (&at, &raw.fallbacks), names, known);
        let named = raw.name.as_deref().or(raw.id.as_deref()).filter(|name| !name.is_empty());
        let name = named.map_or_else(|| format!("rule-{}", index + 1), str::to_owned);
        if !raw.enabled {
            continue;
        }
        let Some(scope) = scope(compiler, raw, &pointer, governance) else { continue };
        let rule = Rule {
            name: name.into(),
            scope,
            when,
            targets,
            // One target is asked, then the list: as the original does.
            after: if fallbacks.is_empty() { After::Usual } else { After::Listed(fallbacks) },
            treatment: Treatment::default(),
            mirror: None,
            complained: AtomicBool::new(false),
        };
        rules.push(((narrowness(raw.scope), raw.priority), Arc::new(rule)));
    }
    rules.sort_by_key(|(order, _)| *order);
    rules.into_iter().map(|(_, rule)| rule).collect()
}

/// The narrowest first.
fn narrowness(scope: Option<raw::GovernanceScope>) -> u8 {
    match scope {
        Some(raw::GovernanceScope::VirtualKey) => 0,
        Some(raw::GovernanceScope::Team) => 1,
        Some(raw::GovernanceScope::Customer) => 2,
        Some(raw::GovernanceScope::Global) | None => 3,
    }
}

/// Makes the scope of an id.
type OfId = fn(Arc<str>) -> Scope;

/// For whom a rule is. An id that nobody has matches nobody; keys may be in a store too.
fn scope(
    compiler: &mut Compiler<'_>,
    raw: &raw::GovernanceRule,
    pointer: &str,
    governance: &raw::Governance,
) -> Option<Scope> {
    let (make, list, known): (OfId, _, Vec<&str>) = match raw.scope {
        None | Some(raw::GovernanceScope::Global) => return Some(Scope::Global),
        Some(raw::GovernanceScope::VirtualKey) => (Scope::VirtualKey, "virtual_keys", Vec::new()),
        Some(raw::GovernanceScope::Team) => {
            let ids = governance.teams.iter().map(|team| team.id.as_deref().unwrap_or(&team.name));
            (Scope::Team, "teams", ids.collect())
        }
        Some(raw::GovernanceScope::Customer) => {
            let ids = governance.customers.iter().map(|one| one.id.as_deref().unwrap_or(&one.name));
            (Scope::Customer, "customers", ids.collect())
        }
    };
    let at = child(pointer, "scope_id");
    let Some(id) = raw.scope_id.as_deref().filter(|id| !id.is_empty()) else {
        compiler.problem(
            &at,
            At::Value,
            format!("a rule of this scope needs the id of one of governance.{list}"),
        );
        return None;
    };
    if !known.contains(&id) && list != "virtual_keys" {
        let near = did_you_mean(id, known).map(|near| format!("; did you mean {near:?}?"));
        let near = near.unwrap_or_default();
        compiler.warn(
            &at,
            format!("governance.{list} has no entry with the id {id:?}: the rule matches nobody{near}"),
        );
    }
    Some(make(id.into()))
}

/// The original writes a model with its provider in front only where it means a name with a slash.
fn as_ours(raw: &raw::GovernanceTarget) -> raw::RouteTarget {
    let filled = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    raw::RouteTarget {
        model: filled(&raw.model),
        provider: filled(&raw.provider),
        key: filled(&raw.key_id),
        weight: raw.weight,
    }
}

fn check_name<'n>(
    compiler: &mut Compiler<'_>,
    (name, pointer): (&'n str, &str),
    taken: &mut HashSet<&'n str>,
) {
    if name.is_empty() || name.len() > 128 || name.chars().any(char::is_control) {
        let message = "a rule needs a name of at most 128 characters: the log tells which one matched";
        compiler.problem(pointer, At::Value, message);
    } else if !taken.insert(name) {
        compiler.problem(pointer, At::Value, format!("a rule {name:?} stands before this one"));
    }
}

fn condition(compiler: &mut Compiler<'_>, (pointer, text): (&str, &str)) -> Option<Expression> {
    match Expression::compile(text) {
        Ok(expression) => Some(expression),
        Err(bad) => {
            let place = match bad.position {
                Some((1, column)) => format!("column {column} of the expression: "),
                Some((line, column)) => format!("line {line}, column {column} of the expression: "),
                None => "the expression: ".to_owned(),
            };
            let problem = compiler.document.problem(pointer, At::Value, format!("{place}{}", bad.message));
            let problem = match bad.advice {
                Some(advice) => Problem::suggest(problem, advice),
                None => problem,
            };
            compiler.push(pointer, problem);
            None
        }
    }
}

fn targets(
    compiler: &mut Compiler<'_>,
    raw: &[raw::RouteTarget],
    (pointer, key_field): (&str, &str),
    (names, known): (&raw::Routing, &Known<'_>),
) -> Vec<RouteTarget> {
    let compiled = raw.iter().enumerate().map(|(index, target)| {
        compile_target(compiler, target, (&format!("{pointer}/targets/{index}"), key_field), names, known)
    });
    let compiled = compiled.collect();
    weighed(compiler, compiled, pointer)
}

fn fallbacks(
    compiler: &mut Compiler<'_>,
    (pointer, list): (&str, &[String]),
    names: &raw::Routing,
    known: &Known<'_>,
) -> Vec<Arc<str>> {
    for (index, name) in list.iter().enumerate() {
        names::check(compiler, (&format!("{pointer}/{index}"), name), names, known);
    }
    list.iter().map(|name| Arc::from(name.as_str())).collect()
}

fn mirror(
    compiler: &mut Compiler<'_>,
    rule: &raw::RoutingRule,
    pointer: &str,
    (names, known): (&raw::Routing, &Known<'_>),
) -> Option<Mirror> {
    let raw = rule.mirror.as_ref()?;
    let at = format!("{pointer}/mirror/model");
    names::check(compiler, (&at, &raw.model), names, known);
    if names.groups.contains_key(names::last(&raw.model, names)) {
        compiler.problem(&at, At::Value, "copies go to one model, not to a group");
    }
    // Bounded by the schema.
    let share_ppm = (raw.share * 1_000_000.0).round() as u32;
    Some(Mirror { model: Arc::from(raw.model.as_str()), share_ppm })
}

fn treated(rule: &raw::RoutingRule) -> Treatment {
    let times = &rule.timeouts;
    let recovery = rule.streaming.as_ref().and_then(|streaming| streaming.recovery);
    Treatment {
        limits: Limits {
            first_byte: times.first_byte_in_seconds.map(seconds),
            first_token: times.ttft_in_seconds.map(seconds),
            idle: times.stream_idle_in_seconds.map(seconds),
            request: times.request_in_seconds.map(seconds),
            total: times.total_in_seconds.map(seconds),
        },
        recovery: recovery.map(treatment::recovery),
        hedge: rule.hedging.as_ref().map(treatment::hedge),
        priority: rule.priority.map(treatment::priority),
    }
}
