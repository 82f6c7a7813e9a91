//! Budgets and rate limits as they are written, to the quotas of one owner.
//!
//! Amounts are read as decimal text and become integers here; nothing behind this sees a float.

use std::collections::HashMap;
use std::sync::Arc;

use govern::allowance::{Measure, Quota};
use govern::price::nanos;
use govern::window::Window;

use crate::config::compile::Compiler;
use crate::config::document::At;
use crate::config::governance::{Named, Quotas};
use crate::config::problem::{Problem, child, did_you_mean};
use crate::config::raw;

/// A billion dollars: more is a slip of the pen.
const MOST_NANOS: u64 = 1_000_000_000 * 1_000_000_000;
/// Of rate limits that name no span.
const PLAIN_SPAN: &str = "1m";

/// `governance.budgets` and `governance.rate_limits`, by id.
pub(super) fn named(compiler: &mut Compiler<'_>, raw: &raw::Governance) -> Named {
    let mut named = Named::default();
    for (index, budget) in raw.budgets.iter().enumerate() {
        let pointer = format!("/governance/budgets/{index}");
        let quota = self::budget(compiler, &pointer, budget);
        if let Some(id) = new_id(compiler, &pointer, budget.id.as_deref(), &named.budgets) {
            named.budgets.insert(id, quota);
        }
    }
    for (index, limit) in raw.rate_limits.iter().enumerate() {
        let pointer = format!("/governance/rate_limits/{index}");
        let mut quotas = Found::default();
        quotas.limit(compiler, &pointer, limit);
        if let Some(id) = new_id(compiler, &pointer, limit.id.as_deref(), &named.rate_limits) {
            named.rate_limits.insert(id, quotas.done());
        }
    }
    named
}

/// All that `raw` says of one owner; `pointer` is the owner's.
pub(super) fn of(
    compiler: &mut Compiler<'_>,
    pointer: &str,
    raw: raw::Allowance<'_>,
    named: &Named,
) -> Quotas {
    let mut found = Found::default();
    let lone = raw.budget.iter().map(|budget| (child(pointer, "budget"), *budget));
    let listed = raw.budgets.iter().enumerate().map(|(at, one)| (format!("{pointer}/budgets/{at}"), one));
    for (at, raw) in lone.chain(listed) {
        let quota = budget(compiler, &at, raw);
        found.add(compiler, &at, quota);
    }
    if let Some(id) = raw.budget_id {
        let at = child(pointer, "budget_id");
        let quota = known(compiler, (&at, id), &named.budgets, "budgets").copied().flatten();
        found.add(compiler, &at, quota);
    }
    let lone = raw.rate_limit.iter().map(|limit| (child(pointer, "rate_limit"), *limit));
    let listed =
        raw.rate_limits.iter().enumerate().map(|(at, one)| (format!("{pointer}/rate_limits/{at}"), one));
    for (at, limit) in lone.chain(listed) {
        found.limit(compiler, &at, limit);
    }
    if let Some(id) = raw.rate_limit_id {
        let at = child(pointer, "rate_limit_id");
        let quotas = known(compiler, (&at, id), &named.rate_limits, "rate_limits").cloned();
        found.extend(compiler, &at, &quotas.unwrap_or_default());
    }
    found.done()
}

/// Quotas as they are found; of two for the same measure and span the tighter one counts.
#[derive(Default)]
struct Found {
    list: Vec<Quota>,
    concurrency: Option<u32>,
}

impl Found {
    fn add(&mut self, compiler: &mut Compiler<'_>, pointer: &str, quota: Option<Quota>) {
        let Some(quota) = quota else { return };
        let same = |other: &&mut Quota| other.measure == quota.measure && other.window == quota.window;
        match self.list.iter_mut().find(same) {
            Some(other) => {
                other.max = other.max.min(quota.max);
                compiler.warn(pointer, "another one is for the same span: the smaller of the two counts");
            }
            None => self.list.push(quota),
        }
    }

    fn extend(&mut self, compiler: &mut Compiler<'_>, pointer: &str, quotas: &Quotas) {
        quotas.list.iter().for_each(|quota| self.add(compiler, pointer, Some(*quota)));
        self.concurrently(quotas.concurrency);
    }

    fn concurrently(&mut self, most: Option<u32>) {
        self.concurrency = match (self.concurrency, most) {
            (Some(own), Some(most)) => Some(own.min(most)),
            (own, most) => own.or(most),
        };
    }

    fn limit(&mut self, compiler: &mut Compiler<'_>, pointer: &str, raw: &raw::RateLimit) {
        let written: [(&str, Measure, Option<u64>, Option<&str>); 4] = [
            ("token", Measure::Tokens, raw.token_max_limit, raw.token_reset_duration.as_deref()),
            (
                "input_token",
                Measure::InputTokens,
                raw.input_token_max_limit,
                raw.input_token_reset_duration.as_deref(),
            ),
            (
                "output_token",
                Measure::OutputTokens,
                raw.output_token_max_limit,
                raw.output_token_reset_duration.as_deref(),
            ),
            ("request", Measure::Requests, raw.request_max_limit, raw.request_reset_duration.as_deref()),
        ];
        for (what, measure, max, span) in written {
            let (of_max, of_span) = (format!("{what}_max_limit"), format!("{what}_reset_duration"));
            let window = window(compiler, &child(pointer, &of_span), span.unwrap_or(PLAIN_SPAN), false);
            match max {
                Some(0) => above_zero(compiler, &child(pointer, &of_max)),
                Some(max) => {
                    let quota = window.map(|window| Quota { measure, max, window });
                    self.add(compiler, pointer, quota);
                }
                None if span.is_some() => {
                    compiler.warn(&child(pointer, &of_span), format!("without {of_max} it limits nothing"));
                }
                None => {}
            }
        }
        if raw.max_concurrent_requests == Some(0) {
            above_zero(compiler, &child(pointer, "max_concurrent_requests"));
        }
        self.concurrently(raw.max_concurrent_requests);
    }

    fn done(self) -> Quotas {
        Quotas { list: self.list.into(), concurrency: self.concurrency }
    }
}

fn above_zero(compiler: &mut Compiler<'_>, pointer: &str) {
    compiler.problem(pointer, At::Value, "expected a number from 1 on; leave it out for no limit");
}

fn budget(compiler: &mut Compiler<'_>, pointer: &str, raw: &raw::Budget) -> Option<Quota> {
    let at = child(pointer, "max_limit");
    let max = match &raw.max_limit {
        None => {
            compiler.problem(&at, At::Value, "a budget needs `max_limit`, in US dollars");
            None
        }
        Some(number) => {
            let max = nanos(&number.to_string()).filter(|max| (1..=MOST_NANOS).contains(max));
            if max.is_none() {
                let message = "expected US dollars from 0.000000001 to 1000000000";
                compiler.problem(&at, At::Value, message);
            }
            max
        }
    };
    let at = child(pointer, "reset_duration");
    let window = if raw.reset_duration.is_empty() {
        compiler.problem(&at, At::Value, "a budget needs `reset_duration`, such as 1d or 1M");
        None
    } else {
        window(compiler, &at, &raw.reset_duration, raw.calendar_aligned)
    };
    Some(Quota { measure: Measure::Cost, max: max?, window: window? })
}

fn window(compiler: &mut Compiler<'_>, pointer: &str, text: &str, calendar: bool) -> Option<Window> {
    let window = Window::parse(text, calendar);
    if let Err(bad) = &window {
        compiler.problem(pointer, At::Value, bad.to_string());
    }
    window.ok()
}

/// The id of an entry that others name.
fn new_id<T>(
    compiler: &mut Compiler<'_>,
    pointer: &str,
    id: Option<&str>,
    taken: &HashMap<Arc<str>, T>,
) -> Option<Arc<str>> {
    let at = child(pointer, "id");
    match id {
        None | Some("") => compiler.problem(&at, At::Value, "an `id` is needed: others name it by that"),
        Some(id) if taken.contains_key(id) => {
            compiler.problem(&at, At::Value, format!("the id {id:?} was given before"));
        }
        Some(id) => return Some(id.into()),
    }
    None
}

/// What an id refers to.
pub(super) fn known<'n, T>(
    compiler: &mut Compiler<'_>,
    (pointer, id): (&str, &str),
    among: &'n HashMap<Arc<str>, T>,
    list: &str,
) -> Option<&'n T> {
    let found = among.get(id);
    if found.is_none() {
        let message = format!("governance.{list} has no entry with the id {id:?}");
        let problem = compiler.document.problem(pointer, At::Value, message);
        // Of two that are as near, always the same.
        let mut ids: Vec<&str> = among.keys().map(AsRef::as_ref).collect();
        ids.sort_unstable();
        let near = did_you_mean(id, ids);
        let problem = match near {
            Some(near) => Problem::suggest(problem, format!("did you mean {near:?}?")),
            None => problem,
        };
        compiler.push(pointer, problem);
    }
    found
}
