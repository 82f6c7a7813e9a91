//! The pivot into a request body. The order of fields is fixed, and what changes least comes first, so that
//! equal prefixes stay equal bytes. Model and streaming are not written: they stand in the path.

use super::lent::{OWN, lent};
use super::turns_out::Turns;
use super::{config_out, reasoning, tools_out};
use crate::ir::{Request, Role};
use crate::loss::Losses;
use crate::provider::{Destination, ModelRules, ThinkingStyle};
use crate::wire::BadRequest;
use crate::wire::gemini::Wire;
use crate::wire::gemini::write::NO_COUNTERPART;
use crate::wire::lend::write_rest;
use crate::wire::tool_names::fitted;
use crate::wire::tree::{Object, to_bytes};

/// Writes a request body.
///
/// # Errors
/// [`BadRequest`] for what has no meaning on this wire: addresses it cannot fetch, file ids of other
/// providers, results of calls that are not in the conversation.
pub(in crate::wire::gemini) fn encode(
    request: &Request,
    to: &Destination<'_>,
    losses: &mut Losses,
) -> Result<Vec<u8>, BadRequest> {
    let request = &*fitted(request, Wire::Gemini);
    let extra = lent(&request.extra);
    let leading = request.messages.iter().take_while(|message| instructs(message.role)).count();
    let tools = tools_out::tools(request, to.rules, losses);
    let format = config_out::format(request, to.rules, tools.functions, losses);
    let mut turns = Turns::new(to.rules, losses);
    let system = turns.system(&request.messages, leading, format.instruction);
    let contents = turns.contents(&request.messages, leading)?;
    let choice = tools_out::choice(request, &tools, losses);
    let thinking = reasoning::plan(request, to.rules, losses);

    let mut body = Object::new();
    body.put_some("systemInstruction", system);
    if !tools.list.is_empty() {
        body.put("tools", tools.list);
    }
    body.put_some("toolConfig", choice.map(|choice| Object::new().with("functionCallingConfig", choice)));
    body.put("contents", contents);
    let mut config = config_out::config(request, to.rules, losses);
    format.fields.into_iter().for_each(|(name, value)| config.put(name, value));
    config.put_some("thinkingConfig", thinking);
    if !config.is_empty() {
        body.put("generationConfig", config);
    }
    account(&mut body, request, losses);
    write_rest(&mut body, &extra, Wire::Gemini, &OWN, (losses, NO_COUNTERPART));
    Ok(to_bytes(&body))
}

/// Models that take a level instead of a budget are of the third generation or later: these also check the
/// signatures of calls, combine functions with a form of answer, and read media in results.
pub(super) fn is_third_generation(rules: &ModelRules) -> bool {
    matches!(rules.thinking, ThinkingStyle::Level { .. })
}

fn instructs(role: Role) -> bool {
    matches!(role, Role::System | Role::Developer)
}

/// Who asks, for what, at which tier.
fn account<'a>(body: &mut Object<'a>, request: &'a Request, losses: &mut Losses) {
    match request.service_tier.as_deref() {
        None | Some("auto") => {}
        Some("default" | "standard" | "standard_only") => body.put("serviceTier", "standard"),
        Some(tier @ ("flex" | "priority")) => body.put("serviceTier", tier),
        Some(_) => losses.report("service_tier", NO_COUNTERPART),
    }
    if request.user.is_some() {
        losses.report("user", NO_COUNTERPART);
    }
    for name in request.metadata.iter().flatten().map(|(name, _)| name) {
        if name != "user_id" || request.user.is_none() {
            losses.report(format!("metadata.{name}"), NO_COUNTERPART);
        }
    }
    if request.parallel_tool_calls == Some(false) {
        losses.report("parallel_tool_calls", "gemini cannot be told to make one call at a time");
    }
}
