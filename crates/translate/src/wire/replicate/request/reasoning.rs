//! How much the model should reason: a word or a number of tokens, as this model takes it.
//!
//! An effort becomes a share of the tokens the answer may have: minimal 5 %, low 20 %, medium 50 %, high
//! 80 %, above that 95 %.

use crate::ir::{Effort, Reasoning, Request};
use crate::loss::Losses;
use crate::provider::{InputNames, ReasoningInput};
use crate::wire::tree::Object;

/// What the caller asked for.
enum Wanted {
    Off,
    /// As much as the model likes.
    On,
    Effort(Effort),
    Budget(u64),
}

/// Writes the model's input. `most` is how many tokens the answer may have.
pub(super) fn write<'a>(
    input: &mut Object<'a>,
    request: &Request,
    (names, most): (&'a InputNames, u64),
    losses: &mut Losses,
) {
    let Some(reasoning) = &request.reasoning else { return };
    if reasoning.display.is_some() {
        losses.report("reasoning", "how to show reasoning cannot be chosen on replicate");
    }
    let Some(wanted) = wanted(reasoning) else { return };
    match (&names.reasoning, wanted) {
        (None, Wanted::Off) => {}
        (None, _) => losses.report("reasoning", "this model cannot be asked to reason"),
        (Some(ReasoningInput::Words { name, words }), wanted) => {
            if let Some(word) = word(words, wanted, losses) {
                input.put(name, word);
            }
        }
        (Some(ReasoningInput::Tokens { name, switch, least, most: bound }), wanted) => {
            let bounds = (*least, (*bound).min(most.saturating_sub(1)));
            tokens(input, (name, switch.as_deref()), (wanted, most), bounds, losses);
        }
    }
}

fn wanted(reasoning: &Reasoning) -> Option<Wanted> {
    let off = reasoning.enabled == Some(false)
        || reasoning.effort == Some(Effort::None)
        || reasoning.budget == Some(0);
    if off {
        return Some(Wanted::Off);
    }
    let budget = reasoning.budget.map(Wanted::Budget);
    budget.or(reasoning.effort.map(Wanted::Effort)).or(reasoning.enabled.map(|_| Wanted::On))
}

/// The least of the model's words that is not less than what was asked for, or else its greatest.
fn word<'a>(words: &'a [String], wanted: Wanted, losses: &mut Losses) -> Option<&'a str> {
    let known = || words.iter().filter_map(|word| Some((Effort::parse(word)?, word.as_str())));
    let effort = match wanted {
        Wanted::On => return None,
        Wanted::Off => {
            let none = known().find(|(effort, _)| *effort == Effort::None);
            if none.is_none() {
                losses.report("reasoning", "this model cannot be told not to reason");
            }
            return none.map(|(_, word)| word);
        }
        Wanted::Effort(effort) => effort,
        Wanted::Budget(budget) => {
            losses.report("reasoning", "this model takes an effort, not a budget");
            match budget {
                0..=4096 => Effort::Low,
                4097..=16384 => Effort::Medium,
                _ => Effort::High,
            }
        }
    };
    let (found, word) = known().find(|(known, _)| *known >= effort).or_else(|| known().next_back())?;
    if found != effort {
        losses.report("reasoning", format!("this model does not know {}: {word} was sent", effort.as_str()));
    }
    Some(word)
}

fn tokens<'a>(
    input: &mut Object<'a>,
    (name, switch): (&'a str, Option<&'a str>),
    (wanted, most): (Wanted, u64),
    (least, bound): (u64, u64),
    losses: &mut Losses,
) {
    let budget = match wanted {
        Wanted::Off => {
            match switch {
                Some(switch) => input.put(switch, false),
                None => input.put(name, 0_u64),
            }
            return;
        }
        Wanted::On => return turn_on(input, switch),
        Wanted::Budget(budget) => budget,
        Wanted::Effort(effort) => share(effort, most),
    };
    if bound < least {
        losses.report(
            "reasoning",
            format!("this model reasons with {least} tokens at least: more than the limit leaves"),
        );
        return;
    }
    let sent = budget.clamp(least, bound);
    if sent != budget && matches!(wanted, Wanted::Budget(_)) {
        losses.report("reasoning", format!("this model takes {least} to {bound} tokens: {sent} was sent"));
    }
    turn_on(input, switch);
    input.put(name, sent);
}

/// Models without a switch reason unless told not to.
fn turn_on<'a>(input: &mut Object<'a>, switch: Option<&'a str>) {
    if let Some(switch) = switch {
        input.put(switch, true);
    }
}

fn share(effort: Effort, most: u64) -> u64 {
    let percent = match effort {
        Effort::None => 0,
        Effort::Minimal => 5,
        Effort::Low => 20,
        Effort::Medium => 50,
        Effort::High => 80,
        Effort::XHigh | Effort::Max => 95,
    };
    // Wide enough that no count overflows.
    u64::try_from(u128::from(most) * percent / 100).unwrap_or(most)
}
