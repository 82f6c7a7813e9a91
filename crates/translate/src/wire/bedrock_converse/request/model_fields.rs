//! `additionalModelRequestFields`: parameters of one family, by the names they have there.
//!
//! Those that the pivot has a place for are read; the others stay, and go to a model of the same wire.

use serde_json::Value;

use crate::ir::{Effort, Reasoning, Request, ToolChoice};
use crate::wire::BadRequest;
use crate::wire::fields::{Fields, Path};

const NAME: &str = "additionalModelRequestFields";

/// Reads what is understood and keeps the rest under its name.
pub(super) fn decode(fields: &mut Fields<'_>, request: &mut Request) -> Result<(), BadRequest> {
    let path = Path::Body.field(NAME);
    let Some(value) = fields.take_json(NAME) else { return Ok(()) };
    let mut inner = Fields::of(value, &path)?;
    if inner.peek("top_k").is_some() {
        request.sampling.top_k = inner.count("top_k")?;
    }
    nova_top_k(&mut inner, &path, request)?;
    if let Some(word) = inner.text("reasoning_effort")? {
        effort(&mut inner, "reasoning_effort", word, request);
    }
    claude_effort(&mut inner, &path, request)?;
    for name in ["thinking", "reasoning_config"] {
        thinking(&mut inner, name, &path.field(name), request)?;
    }
    nova_reasoning(&mut inner, &path, request)?;
    parallel(&mut inner, &path, request)?;
    fields.keep_nested(NAME, inner.rest());
    Ok(())
}

fn effort(fields: &mut Fields<'_>, name: &str, word: String, request: &mut Request) {
    match Effort::parse(&word) {
        Some(effort) => request.reasoning.get_or_insert_default().effort = Some(effort),
        None => fields.put(name, word.into()),
    }
}

fn nova_top_k(fields: &mut Fields<'_>, path: &Path<'_>, request: &mut Request) -> Result<(), BadRequest> {
    let path = path.field("inferenceConfig");
    let Some(value) = fields.take_json("inferenceConfig") else { return Ok(()) };
    let mut inner = Fields::of(value, &path)?;
    request.sampling.top_k = inner.count("topK")?.or(request.sampling.top_k);
    fields.keep_nested("inferenceConfig", inner.rest());
    Ok(())
}

fn claude_effort(fields: &mut Fields<'_>, path: &Path<'_>, request: &mut Request) -> Result<(), BadRequest> {
    let path = path.field("output_config");
    let Some(value) = fields.take_json("output_config") else { return Ok(()) };
    let mut inner = Fields::of(value, &path)?;
    if let Some(word) = inner.text("effort")? {
        effort(&mut inner, "effort", word, request);
    }
    fields.keep_nested("output_config", inner.rest());
    Ok(())
}

/// Claude's object. One of a kind that is not known stays as it is.
fn thinking(
    fields: &mut Fields<'_>,
    name: &str,
    path: &Path<'_>,
    request: &mut Request,
) -> Result<(), BadRequest> {
    let Some(value) = fields.take_json(name) else { return Ok(()) };
    let mut inner = Fields::of(value, path)?;
    let kind = inner.required_text("type")?;
    let mut found = Reasoning {
        effort: request.reasoning.take().and_then(|before| before.effort),
        ..Reasoning::default()
    };
    match kind.as_str() {
        "enabled" => {
            let budget = inner.count("budget_tokens")?;
            found.budget = Some(budget.ok_or_else(|| inner.missing("budget_tokens", "a number of tokens"))?);
        }
        "adaptive" => found.enabled = Some(true),
        "disabled" => found.enabled = Some(false),
        _ => inner.put("type", kind.into()),
    }
    found.display = inner.text("display")?;
    request.reasoning = (found != Reasoning::default()).then_some(found);
    fields.keep_nested(name, inner.rest());
    Ok(())
}

fn nova_reasoning(fields: &mut Fields<'_>, path: &Path<'_>, request: &mut Request) -> Result<(), BadRequest> {
    let path = path.field("reasoningConfig");
    let Some(value) = fields.take_json("reasoningConfig") else { return Ok(()) };
    let mut inner = Fields::of(value, &path)?;
    match inner.text("type")?.as_deref() {
        Some("enabled") => request.reasoning.get_or_insert_default().enabled = Some(true),
        Some("disabled") => request.reasoning.get_or_insert_default().enabled = Some(false),
        Some(other) => inner.put("type", Value::from(other)),
        None => {}
    }
    if let Some(word) = inner.text("maxReasoningEffort")? {
        effort(&mut inner, "maxReasoningEffort", word, request);
    }
    fields.keep_nested("reasoningConfig", inner.rest());
    Ok(())
}

/// Claude's own `tool_choice`, which knows what Converse's does not.
fn parallel(fields: &mut Fields<'_>, path: &Path<'_>, request: &mut Request) -> Result<(), BadRequest> {
    let path = path.field("tool_choice");
    let Some(value) = fields.take_json("tool_choice") else { return Ok(()) };
    let mut inner = Fields::of(value, &path)?;
    request.parallel_tool_calls = inner.flag("disable_parallel_tool_use")?.map(|disabled| !disabled);
    let choice = match inner.text("type")?.as_deref() {
        Some("auto") => Some(ToolChoice::Auto),
        Some("any") => Some(ToolChoice::Required),
        Some("none") => Some(ToolChoice::None),
        Some("tool") => Some(ToolChoice::Named(inner.required_text("name")?)),
        Some(other) => return Err(inner.wrong("type", &Value::from(other), "auto, any, tool or none")),
        None => None,
    };
    if request.tool_choice.is_none() {
        request.tool_choice = choice;
    }
    fields.keep_nested("tool_choice", inner.rest());
    Ok(())
}
