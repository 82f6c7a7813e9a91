//! How much the model should reason: an effort, a budget or a switch, as its family takes it.
//!
//! Budgets are shares of the limit: minimal 5 %, low 20 %, medium 50 %, high 80 %, above that 95 %; never
//! under 1,024 tokens, which Claude wants, and never as large as the limit.

use super::turns::OpenLoop;
use crate::ir::{Effort, Reasoning, Request};
use crate::loss::Losses;
use crate::provider::{ModelRules, ThinkingStyle};
use crate::wire::bedrock_converse::family::Family;
use crate::wire::tree::Object;

const LEAST_BUDGET: u64 = 1024;

/// What the body says about reasoning.
#[derive(Debug, Default)]
pub(super) struct Plan<'a> {
    /// Members of `additionalModelRequestFields`.
    pub fields: Object<'a>,
    pub on: bool,
    /// See [`super::sampling::Mode::unlimited`].
    pub unlimited: bool,
    /// A budget needs a limit above it: the one to write.
    pub max_tokens: Option<u64>,
}

impl<'a> Plan<'a> {
    fn on(fields: Object<'a>) -> Self {
        Self { fields, on: true, ..Self::default() }
    }

    fn off(fields: Object<'a>) -> Self {
        Self { fields, ..Self::default() }
    }
}

/// Decides. `open` says what became of the reasoning of an open tool loop, which Claude insists on.
pub(super) fn plan<'a>(
    request: &'a Request,
    rules: &ModelRules,
    family: Family,
    open: OpenLoop,
    losses: &mut Losses,
) -> Plan<'a> {
    let Some(reasoning) = request.reasoning.as_ref() else { return Plan::default() };
    let off = reasoning.enabled == Some(false) || reasoning.effort == Some(Effort::None);
    let asked = reasoning.effort.is_some() || reasoning.budget.is_some() || reasoning.enabled.is_some();
    if !asked {
        if reasoning.display.is_some() {
            losses.report("reasoning", "how to show reasoning was given, but not to reason");
        }
        return Plan::default();
    }
    match family {
        Family::Claude if rules.thinking != ThinkingStyle::None => {
            claude(request, reasoning, rules, (off, open), losses)
        }
        Family::Nova2 => nova(reasoning, off, losses),
        Family::GptOss => gpt_oss(reasoning, off, losses),
        _ => {
            if !off {
                losses.report("reasoning", "this model cannot be asked to reason");
            }
            Plan::default()
        }
    }
}

fn claude<'a>(
    request: &'a Request,
    reasoning: &'a Reasoning,
    rules: &ModelRules,
    (off, open): (bool, OpenLoop),
    losses: &mut Losses,
) -> Plan<'a> {
    // Said explicitly: some models reason unless told not to.
    let disabled = || Plan::off(Object::new().with("thinking", Object::typed("disabled")));
    if off && rules.always_thinks {
        losses.report("reasoning", "this model always reasons: the lowest effort was sent");
        return Plan::on(Object::new().with("output_config", Object::new().with("effort", "low")));
    }
    if off {
        if reasoning.effort.is_some_and(|effort| effort != Effort::None) {
            losses.report("reasoning", "an effort without reasoning was left out");
        }
        return disabled();
    }
    // Models that are asked for an effort take a loop without its reasoning.
    if open != OpenLoop::Sound && rules.thinking == ThinkingStyle::Budget {
        let reason =
            "turned off for this call: the open tool loop's signed reasoning is not in the conversation";
        losses.report("reasoning", reason);
        return disabled();
    }
    match rules.thinking {
        ThinkingStyle::Adaptive => adaptive(reasoning, rules, losses),
        _ => budget(request, reasoning, rules, losses),
    }
}

fn adaptive<'a>(reasoning: &'a Reasoning, rules: &ModelRules, losses: &mut Losses) -> Plan<'a> {
    let mut effort = reasoning.effort.map(|effort| effort_word(effort, rules, losses));
    if let Some(budget) = reasoning.budget {
        losses.report("reasoning", "this model takes an effort, not a budget");
        effort.get_or_insert(match budget {
            0..=4096 => "low",
            4097..=16384 => "medium",
            _ => "high",
        });
    }
    let mut thinking = Object::typed("adaptive");
    thinking.put_some("display", reasoning.display.as_deref());
    let mut fields = Object::new().with("thinking", thinking);
    fields.put_some("output_config", effort.map(|effort| Object::new().with("effort", effort)));
    Plan::on(fields)
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

fn budget<'a>(
    request: &Request,
    reasoning: &'a Reasoning,
    rules: &ModelRules,
    losses: &mut Losses,
) -> Plan<'a> {
    let most = rules.max_output_tokens;
    let limit = request.max_tokens.map_or(most, |asked| asked.min(most));
    if limit <= LEAST_BUDGET {
        losses.report("reasoning", "max_tokens leaves no room to reason: more than 1024 are needed");
        return Plan::default();
    }
    if reasoning.budget.is_some() && reasoning.effort.is_some() {
        losses.report("reasoning", "this model takes a budget: the effort beside it was left out");
    }
    if reasoning.budget.is_none() && reasoning.effort.is_none() {
        losses.report("reasoning", "this model takes a budget: adaptive reasoning was sent as effort high");
    }
    let asked = reasoning.budget.unwrap_or_else(|| share(reasoning.effort, limit));
    let sent = asked.clamp(LEAST_BUDGET, limit - 1);
    if reasoning.budget.is_some_and(|budget| budget != sent) {
        losses.report("reasoning", format!("a budget is 1024 or more and below max_tokens: {sent} was sent"));
    }
    let mut thinking = Object::typed("enabled").with("budget_tokens", sent);
    thinking.put_some("display", reasoning.display.as_deref());
    Plan { max_tokens: Some(limit), ..Plan::on(Object::new().with("thinking", thinking)) }
}

fn share(effort: Option<Effort>, limit: u64) -> u64 {
    let percent = match effort.unwrap_or(Effort::High) {
        Effort::None | Effort::Minimal => 5,
        Effort::Low => 20,
        Effort::Medium => 50,
        Effort::High => 80,
        Effort::XHigh | Effort::Max => 95,
    };
    // Wide enough that no count overflows.
    u64::try_from(u128::from(limit) * percent / 100).unwrap_or(limit)
}

fn nova<'a>(reasoning: &Reasoning, off: bool, losses: &mut Losses) -> Plan<'a> {
    let config = |config: Object<'a>| Object::new().with("reasoningConfig", config);
    if off {
        return Plan::off(config(Object::typed("disabled")));
    }
    let word = three_efforts(reasoning, losses);
    let fields = config(Object::typed("enabled").with("maxReasoningEffort", word));
    Plan { unlimited: word == "high", ..Plan::on(fields) }
}

fn gpt_oss<'a>(reasoning: &Reasoning, off: bool, losses: &mut Losses) -> Plan<'a> {
    if off {
        losses.report("reasoning", "this model always reasons: the lowest effort was sent");
        return Plan::off(Object::new().with("reasoning_effort", "low"));
    }
    Plan::on(Object::new().with("reasoning_effort", three_efforts(reasoning, losses)))
}

/// For models that know low, medium and high.
fn three_efforts(reasoning: &Reasoning, losses: &mut Losses) -> &'static str {
    if reasoning.budget.is_some() {
        losses.report("reasoning", "this model takes an effort, not a budget");
    }
    match (reasoning.effort, reasoning.budget) {
        (Some(Effort::Low), _) => "low",
        (Some(Effort::None | Effort::Minimal), _) => {
            losses.report("reasoning", "the lowest effort of this model is low");
            "low"
        }
        (Some(Effort::High), _) => "high",
        (Some(Effort::XHigh | Effort::Max), _) => {
            losses.report("reasoning", "the highest effort of this model is high");
            "high"
        }
        (None, Some(0..=4096)) => "low",
        (None, Some(16385..)) => "high",
        (Some(Effort::Medium), _) | (None, _) => "medium",
    }
}
