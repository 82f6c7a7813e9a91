//! How much the model should reason: an effort, a budget or a switch, as this model takes it.
//!
//! Budgets are shares of `max_tokens`: minimal 5 %, low 20 %, medium 50 %, high 80 %, above that 95 %;
//! never under 1,024 tokens, which the API wants, and never as large as `max_tokens`.

use super::turns::OpenLoop;
use crate::ir::{Effort, Reasoning, Request};
use crate::loss::Losses;
use crate::provider::{ModelRules, ThinkingStyle};
use crate::wire::tree::Object;

const LEAST_BUDGET: u64 = 1024;

/// What the body says about reasoning.
#[derive(Debug, Default)]
pub(super) struct Plan<'a> {
    pub thinking: Option<Object<'a>>,
    /// `output_config.effort`.
    pub effort: Option<&'static str>,
    /// The model reasons: sampling and tool choice are restricted.
    pub on: bool,
}

impl<'a> Plan<'a> {
    fn adaptive(reasoning: &'a Reasoning, effort: Option<&'static str>) -> Self {
        Self { thinking: Some(shown(Object::typed("adaptive"), reasoning)), effort, on: true }
    }

    fn budget(reasoning: &'a Reasoning, budget: u64) -> Self {
        let thinking = Object::typed("enabled").with("budget_tokens", budget);
        Self { thinking: Some(shown(thinking, reasoning)), effort: None, on: true }
    }

    fn disabled(effort: Option<&'static str>) -> Self {
        Self { thinking: Some(Object::typed("disabled")), effort, on: false }
    }
}

fn shown<'a>(thinking: Object<'a>, reasoning: &'a Reasoning) -> Object<'a> {
    let mut thinking = thinking;
    thinking.put_some("display", reasoning.display.as_deref());
    thinking
}

/// Decides. `open` says what became of the reasoning of an open tool loop, which the API insists on.
pub(super) fn plan<'a>(
    request: &'a Request,
    rules: &ModelRules,
    max_tokens: u64,
    open: OpenLoop,
    losses: &mut Losses,
) -> Plan<'a> {
    let Some(reasoning) = request.reasoning.as_ref() else { return Plan::default() };
    let off = reasoning.enabled == Some(false) || reasoning.effort == Some(Effort::None);
    let asked = reasoning.effort.is_some() || reasoning.budget.is_some() || reasoning.enabled.is_some();
    if rules.thinking == ThinkingStyle::None {
        if asked && !off {
            losses.report("reasoning", "this model cannot be asked to reason");
        }
        return Plan::default();
    }
    if !asked {
        if reasoning.display.is_some() {
            losses.report("reasoning", "how to show reasoning was given, but not to reason");
        }
        return Plan::default();
    }
    if off {
        return turned_off(reasoning, rules, losses);
    }
    // Models that are asked for an effort take a loop without its reasoning.
    if open != OpenLoop::Sound && rules.thinking == ThinkingStyle::Budget {
        let reason =
            "turned off for this call: the open tool loop's signed reasoning is not in the conversation";
        losses.report("reasoning", reason);
        return Plan::disabled(None);
    }
    match rules.thinking {
        ThinkingStyle::Adaptive => adaptive(reasoning, rules, losses),
        _ => budget(reasoning, max_tokens, losses),
    }
}

/// Said explicitly: some models reason unless told not to. They refuse an effort above `high` with it.
fn turned_off<'a>(reasoning: &Reasoning, rules: &ModelRules, losses: &mut Losses) -> Plan<'a> {
    if rules.always_thinks {
        losses.report("reasoning", "this model always reasons: the lowest effort was sent");
        return Plan { thinking: None, effort: Some(Effort::Low.as_str()), on: true };
    }
    let effort = reasoning.effort.filter(|effort| *effort != Effort::None);
    let Some(effort) = effort.filter(|_| rules.thinking == ThinkingStyle::Adaptive) else {
        if effort.is_some() {
            losses.report("reasoning", "an effort without reasoning has no meaning for this model");
        }
        return Plan::disabled(None);
    };
    if effort > Effort::High {
        losses.report("reasoning", "without reasoning the highest effort is high");
    }
    Plan::disabled(Some(effort_word(effort.min(Effort::High), rules, losses)))
}

fn adaptive<'a>(reasoning: &'a Reasoning, rules: &ModelRules, losses: &mut Losses) -> Plan<'a> {
    if let Some(budget) = reasoning.budget {
        let reason = "this model takes an effort, not a budget";
        losses.report("reasoning", reason);
        let by_budget = match budget {
            0..=4096 => "low",
            4097..=16384 => "medium",
            _ => "high",
        };
        let effort = reasoning.effort.map_or(by_budget, |effort| effort_word(effort, rules, losses));
        return Plan::adaptive(reasoning, Some(effort));
    }
    let effort = reasoning.effort.map(|effort| effort_word(effort, rules, losses));
    Plan::adaptive(reasoning, effort)
}

/// Every model that takes an effort knows `low` to `high` and `max`; `xhigh` came later.
fn effort_word(effort: Effort, rules: &ModelRules, losses: &mut Losses) -> &'static str {
    match effort {
        Effort::None | Effort::Minimal => {
            losses.report("reasoning", "the lowest effort of this model is low");
            Effort::Low.as_str()
        }
        Effort::XHigh if !rules.xhigh_effort => {
            losses.report("reasoning", "this model has no effort xhigh: sent as high");
            Effort::High.as_str()
        }
        effort => effort.as_str(),
    }
}

fn budget<'a>(reasoning: &'a Reasoning, max_tokens: u64, losses: &mut Losses) -> Plan<'a> {
    if max_tokens <= LEAST_BUDGET {
        losses.report("reasoning", "max_tokens leaves no room to reason: more than 1024 are needed");
        return Plan::default();
    }
    if reasoning.budget.is_some() && reasoning.effort.is_some() {
        losses.report("reasoning", "this model takes a budget: the effort beside it was left out");
    }
    if reasoning.budget.is_none() && reasoning.effort.is_none() {
        losses.report("reasoning", "this model takes a budget: adaptive reasoning was sent as effort high");
    }
    let asked = reasoning.budget.unwrap_or_else(|| share(reasoning.effort, max_tokens));
    let sent = asked.clamp(LEAST_BUDGET, max_tokens - 1);
    if reasoning.budget.is_some_and(|budget| budget != sent) {
        losses.report("reasoning", format!("a budget is 1024 or more and below max_tokens: {sent} was sent"));
    }
    Plan::budget(reasoning, sent)
}

fn share(effort: Option<Effort>, max_tokens: u64) -> u64 {
    let percent = match effort.unwrap_or(Effort::High) {
        Effort::None | Effort::Minimal => 5,
        Effort::Low => 20,
        Effort::Medium => 50,
        Effort::High => 80,
        Effort::XHigh | Effort::Max => 95,
    };
    // Wide enough that no count overflows.
    u64::try_from(u128::from(max_tokens) * percent / 100).unwrap_or(max_tokens)
}
