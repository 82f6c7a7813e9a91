//! How much the model should reason: on or off, with a budget of tokens.
//!
//! An effort becomes a share of the tokens the answer may have: minimal 5 %, low 20 %, medium 50 %, high
//! 80 %, above that 95 %. Models that reason do so unless told not to.

use crate::ir::{Effort, Reasoning, Request};
use crate::loss::Losses;
use crate::provider::{ModelRules, ThinkingStyle};
use crate::wire::tree::Object;

/// The `thinking` to write.
pub(super) fn thinking(
    request: &Request,
    rules: &ModelRules,
    losses: &mut Losses,
) -> Option<Object<'static>> {
    let wanted = request.reasoning.as_ref()?;
    if wanted.display.is_some() {
        losses.report("reasoning", "how to show reasoning cannot be chosen on cohere");
    }
    let off =
        wanted.enabled == Some(false) || wanted.effort == Some(Effort::None) || wanted.budget == Some(0);
    let asked = off || wanted.enabled.is_some() || wanted.effort.is_some() || wanted.budget.is_some();
    if rules.thinking == ThinkingStyle::None {
        if asked && !off {
            losses.report("reasoning", "this model cannot be asked to reason");
        }
        return None;
    }
    if off {
        return Some(Object::typed("disabled"));
    }
    let mut thinking = Object::typed("enabled");
    thinking.put_some("token_budget", budget(wanted, request.max_tokens, rules, losses));
    asked.then_some(thinking)
}

fn budget(wanted: &Reasoning, most: Option<u64>, rules: &ModelRules, losses: &mut Losses) -> Option<u64> {
    if wanted.budget.is_some() && wanted.effort.is_some() {
        losses.report("reasoning", "cohere takes a budget: the effort beside it was left out");
    }
    let percent = match wanted.effort {
        _ if wanted.budget.is_some() => return wanted.budget,
        None | Some(Effort::None) => return None,
        Some(Effort::Minimal) => 5,
        Some(Effort::Low) => 20,
        Some(Effort::Medium) => 50,
        Some(Effort::High) => 80,
        Some(Effort::XHigh | Effort::Max) => 95,
    };
    let most = most.unwrap_or(rules.max_output_tokens);
    // Wide enough that no count overflows.
    let share = u64::try_from(u128::from(most) * percent / 100).unwrap_or(most);
    Some(share.max(1))
}
