//! How much the model should reason: a budget or a level, as this model takes it, never both.
//!
//! An effort becomes the budget that Google's OpenAI endpoint gives it (1,024, 8,192 and 24,576 tokens:
//! https://ai.google.dev/gemini-api/docs/openai); a budget becomes a level on the scale of the other wires.

use serde_json::Value;

use crate::ir::{Effort, Reasoning, Request};
use crate::loss::Losses;
use crate::provider::{ModelRules, ThinkingStyle};
use crate::wire::tree::Object;

const PATH: &str = "reasoning";

/// The `thinkingConfig`, when there is something to say.
pub(super) fn plan<'a>(request: &Request, rules: &ModelRules, losses: &mut Losses) -> Option<Object<'a>> {
    let reasoning = request.reasoning.as_ref()?;
    let off = reasoning.enabled == Some(false) || reasoning.effort == Some(Effort::None);
    let asked = reasoning.effort.is_some() || reasoning.budget.is_some() || reasoning.enabled.is_some();
    let shown = reasoning.display.as_deref() != Some("omitted");
    if !asked {
        let takes = matches!(rules.thinking, ThinkingStyle::Range { .. } | ThinkingStyle::Level { .. });
        return (takes && reasoning.display.is_some()).then(|| Object::new().with("includeThoughts", shown));
    }
    let mut config = Object::new();
    match rules.thinking {
        ThinkingStyle::Range { least, most, off: may_stop } => {
            if off && may_stop {
                return Some(config.with("thinkingBudget", 0_u64));
            }
            let tokens = if off { lowest(losses, least) } else { budget(reasoning, least, most, losses) };
            match tokens {
                Some(tokens) => config.put("thinkingBudget", tokens),
                None => config.put("thinkingBudget", Value::from(-1)),
            }
        }
        ThinkingStyle::Level { minimal, medium } => {
            let word = level(reasoning, off, (minimal, medium), losses);
            config.put_some("thinkingLevel", word);
        }
        _ => {
            if !off {
                losses.report(PATH, "this model cannot be asked to reason");
            }
            return None;
        }
    }
    if shown && !off {
        config.put("includeThoughts", true);
    }
    (!config.is_empty()).then_some(config)
}

fn lowest(losses: &mut Losses, least: u64) -> Option<u64> {
    losses.report(PATH, format!("this model always reasons: the least budget, {least}, was sent"));
    Some(least)
}

/// The budget; `None` when the model is to decide.
fn budget(reasoning: &Reasoning, least: u64, most: u64, losses: &mut Losses) -> Option<u64> {
    if let Some(asked) = reasoning.budget {
        if reasoning.effort.is_some() {
            losses.report(PATH, "this model takes a budget: the effort beside it was left out");
        }
        let sent = asked.clamp(least, most);
        if sent != asked {
            losses.report(PATH, format!("budgets of this model are {least} to {most}: {sent} was sent"));
        }
        return Some(sent);
    }
    let tokens = match reasoning.effort? {
        Effort::None | Effort::Minimal | Effort::Low => 1024,
        Effort::Medium => 8192,
        Effort::High => 24_576,
        Effort::XHigh | Effort::Max => most,
    };
    Some(tokens.clamp(least, most))
}

/// The level; `None` when the model is to decide.
fn level(
    reasoning: &Reasoning,
    off: bool,
    (minimal, medium): (bool, bool),
    losses: &mut Losses,
) -> Option<&'static str> {
    let lowest = if minimal { "minimal" } else { "low" };
    if off {
        losses.report(PATH, format!("this model always reasons: {lowest} was sent"));
        return Some(lowest);
    }
    let Some(effort) = reasoning.effort else {
        let by_budget = match reasoning.budget? {
            0..=4096 => "low",
            4097..=16384 if medium => "medium",
            _ => "high",
        };
        losses.report(PATH, format!("this model takes a level, not a budget: {by_budget} was sent"));
        return Some(by_budget);
    };
    if reasoning.budget.is_some() {
        losses.report(PATH, "this model takes a level: the budget beside it was left out");
    }
    let word = match effort {
        Effort::None | Effort::Minimal => lowest,
        Effort::Low => "low",
        Effort::Medium if medium => "medium",
        _ => "high",
    };
    if word != effort.as_str() {
        losses.report(PATH, format!("{} is not known there: sent as {word}", effort.as_str()));
    }
    Some(word)
}
