//! Writes a request for one destination: the fields around the messages.
//!
//! Field order is fixed (model, messages, tools, …) so that equal requests are equal bytes and provider
//! prompt caches keep hitting. What the destination's model refuses is left out and reported.

use serde_json::{Map, Value, json};

use super::super::fields::{NO_COUNTERPART, Path, write_extra};
use super::turns_out::Turns;
use crate::Wire;
use crate::ir::{CacheMark, Effort, OutputFormat, Reasoning, Request, Tool, ToolChoice};
use crate::loss::Losses;
use crate::provider::{Destination, ReasoningField};
use crate::wire::BadRequest;

/// The most stop sequences this wire takes.
const MAX_STOPS: usize = 4;
/// The longest `user` this wire takes, in characters.
const MAX_USER: usize = 64;
/// Anthropic tools that run at the caller's side; their schema is implied by the type.
const CLIENT_TOOLS: [&str; 4] = ["bash_", "text_editor_", "computer_", "memory_"];

/// Writes the body for `to`.
///
/// # Errors
/// [`BadRequest`] for a part that has no meaning at that destination.
pub(in crate::wire::openai_chat) fn encode(
    request: &Request,
    to: &Destination<'_>,
    losses: &mut Losses,
) -> Result<Vec<u8>, BadRequest> {
    let mut body = Map::new();
    body.insert("model".into(), to.model.into());
    body.insert("messages".into(), Turns::new(to, losses).write(&request.messages)?);
    tools(&mut body, request, to, losses);
    output_format(&mut body, request.output_format.as_ref());
    let effort = reasoning(&mut body, request.reasoning.as_ref(), to, losses);
    sampling(&mut body, request, to.rules.openai_reasoning && effort != Some(Effort::None), losses);
    put(&mut body, "max_completion_tokens", request.max_tokens);
    stop(&mut body, &request.stop, losses);
    if request.stream {
        body.insert("stream".into(), true.into());
        if to.quirks.stream_usage {
            body.insert("stream_options".into(), json!({"include_usage": true}));
        }
    }
    account(&mut body, request, losses);
    write_extra(&mut body, &request.extra, &Path::Body, losses);
    // A map of strings to values always serialises.
    Ok(serde_json::to_vec(&Value::Object(body)).unwrap_or_default())
}

/// True when the destination reads `cache_control` in this wire (OpenRouter).
pub(super) fn keeps_marks(to: &Destination<'_>) -> bool {
    to.quirks.reasoning_echo == ReasoningField::Details
}

/// Writes a cache mark where the destination reads them, else reports it.
pub(super) fn write_mark(
    map: &mut Map<String, Value>,
    mark: Option<&CacheMark>,
    to: &Destination<'_>,
    path: &Path<'_>,
    losses: &mut Losses,
) {
    let Some(mark) = mark else { return };
    if keeps_marks(to) {
        map.insert("cache_control".into(), mark.raw.clone());
    } else {
        losses.report(path.field("cache_control").to_string(), "this provider takes no cache marks");
    }
}

fn put<T: Into<Value>>(body: &mut Map<String, Value>, name: &str, value: Option<T>) {
    if let Some(value) = value {
        body.insert(name.into(), value.into());
    }
}

fn tools(body: &mut Map<String, Value>, request: &Request, to: &Destination<'_>, losses: &mut Losses) {
    let at = Path::Body.field("tools");
    let mut list = Vec::with_capacity(request.tools.len());
    for (index, one) in request.tools.iter().enumerate() {
        list.extend(tool(one, to, &at.item(index), losses));
    }
    if list.is_empty() {
        // Both are refused without tools.
        if request.tool_choice.is_some() {
            losses.report("tool_choice", "there are no tools to choose from");
        }
        if request.parallel_tool_calls.is_some() {
            losses.report("parallel_tool_calls", "there are no tools to call");
        }
        return;
    }
    body.insert("tools".into(), Value::Array(list));
    let choice = match &request.tool_choice {
        None => None,
        Some(ToolChoice::Auto) => Some("auto".into()),
        Some(ToolChoice::None) => Some("none".into()),
        Some(ToolChoice::Required) => Some("required".into()),
        Some(ToolChoice::Named(name)) => Some(json!({"type": "function", "function": {"name": name}})),
        Some(ToolChoice::Opaque { wire: Wire::OpenAiChat, value }) => Some(value.clone()),
        Some(ToolChoice::Opaque { .. }) => {
            losses.report("tool_choice", NO_COUNTERPART);
            None
        }
    };
    put(body, "tool_choice", choice);
    put(body, "parallel_tool_calls", request.parallel_tool_calls);
}

fn tool(tool: &Tool, to: &Destination<'_>, path: &Path<'_>, losses: &mut Losses) -> Option<Value> {
    let (name, description, parameters, strict, cache, extra) = match tool {
        Tool::Function { name, description, parameters, strict, cache, extra } => {
            (name, description, parameters, strict, cache, extra)
        }
        Tool::Opaque { wire: Wire::OpenAiChat, value } => return Some(value.clone()),
        Tool::Opaque { value, .. } => return client_tool(value, path, losses),
    };
    let mut function = Map::new();
    function.insert("name".into(), name.as_str().into());
    put(&mut function, "description", description.as_deref());
    let open = || json!({"type": "object", "properties": {}});
    function.insert("parameters".into(), parameters.clone().unwrap_or_else(open));
    put(&mut function, "strict", *strict);
    let mut map = Map::new();
    map.insert("type".into(), "function".into());
    map.insert("function".into(), Value::Object(function));
    write_mark(&mut map, cache.as_ref(), to, path, losses);
    write_extra(&mut map, extra, path, losses);
    Some(Value::Object(map))
}

/// A tool of Anthropic's that the caller runs itself becomes a function; others cannot go.
fn client_tool(value: &Value, path: &Path<'_>, losses: &mut Losses) -> Option<Value> {
    let kind = value.get("type").and_then(Value::as_str).unwrap_or_default();
    let name = value.get("name").and_then(Value::as_str);
    let Some(name) = name.filter(|_| CLIENT_TOOLS.iter().any(|prefix| kind.starts_with(prefix))) else {
        losses.report(path.to_string(), format!("the tool type {kind:?} {NO_COUNTERPART}"));
        return None;
    };
    losses.report(path.to_string(), format!("the schema of {kind:?} is implied: sent as an open function"));
    let parameters = json!({"type": "object", "properties": {}, "additionalProperties": true});
    Some(json!({"type": "function", "function": {"name": name, "parameters": parameters}}))
}

fn output_format(body: &mut Map<String, Value>, format: Option<&OutputFormat>) {
    let value = match format {
        None => return,
        Some(OutputFormat::Text) => json!({"type": "text"}),
        Some(OutputFormat::JsonObject) => json!({"type": "json_object"}),
        Some(OutputFormat::JsonSchema(schema)) => {
            let mut inner = Map::new();
            inner.insert("name".into(), schema.name.as_deref().unwrap_or("response").into());
            put(&mut inner, "description", schema.description.as_deref());
            inner.insert("schema".into(), schema.schema.clone());
            put(&mut inner, "strict", schema.strict);
            json!({"type": "json_schema", "json_schema": inner})
        }
    };
    body.insert("response_format".into(), value);
}

/// Writes what the destination understands of it, and returns the effort that will be in force.
fn reasoning(
    body: &mut Map<String, Value>,
    wanted: Option<&Reasoning>,
    to: &Destination<'_>,
    losses: &mut Losses,
) -> Option<Effort> {
    let wanted = wanted?;
    if wanted.display.is_some() {
        losses.report("thinking.display", NO_COUNTERPART);
    }
    if keeps_marks(to) {
        return openrouter_reasoning(body, wanted, losses);
    }
    let effort = effort_of(wanted)?;
    let taken = to.rules.takes_effort.unwrap_or(to.quirks.reasoning_echo != ReasoningField::None);
    if !taken {
        if effort != Effort::None {
            losses.report("reasoning_effort", "this model takes no reasoning parameter");
        }
        return None;
    }
    let capped = match effort {
        Effort::Max | Effort::XHigh if !to.rules.xhigh_effort => Effort::High,
        Effort::Max => Effort::XHigh,
        other => other,
    };
    if capped != effort {
        let reason = format!("{} is not known there: sent as {}", effort.as_str(), capped.as_str());
        losses.report("reasoning_effort", reason);
    }
    if wanted.effort.is_none() && wanted.budget.is_some() && wanted.enabled != Some(false) {
        losses.report("thinking.budget_tokens", format!("sent as reasoning_effort {}", capped.as_str()));
    }
    body.insert("reasoning_effort".into(), capped.as_str().into());
    Some(capped)
}

/// OpenRouter takes all three forms in one object: nothing but `max` is converted.
fn openrouter_reasoning(
    body: &mut Map<String, Value>,
    wanted: &Reasoning,
    losses: &mut Losses,
) -> Option<Effort> {
    let mut map = Map::new();
    let effort = wanted.effort.map(|effort| effort.min(Effort::XHigh));
    if effort != wanted.effort {
        losses.report("reasoning_effort", "max is not known there: sent as xhigh");
    }
    put(&mut map, "effort", effort.map(Effort::as_str));
    put(&mut map, "max_tokens", wanted.budget);
    put(&mut map, "enabled", wanted.enabled);
    if !map.is_empty() {
        body.insert("reasoning".into(), Value::Object(map));
    }
    effort_of(wanted)
}

/// An explicit effort wins; then off; then the budget; "on" alone is `high`.
fn effort_of(wanted: &Reasoning) -> Option<Effort> {
    if wanted.effort.is_some() {
        return wanted.effort;
    }
    match (wanted.enabled, wanted.budget) {
        (Some(false), _) => Some(Effort::None),
        (_, Some(0..=4096)) => Some(Effort::Low),
        (_, Some(4097..=16384)) => Some(Effort::Medium),
        (_, Some(_)) | (Some(true), None) => Some(Effort::High),
        (None, None) => None,
    }
}

/// `refused`: an OpenAI reasoning model answers 400 to these.
fn sampling(body: &mut Map<String, Value>, request: &Request, refused: bool, losses: &mut Losses) {
    let sampling = &request.sampling;
    let fields: [(&str, Option<Value>); 7] = [
        ("temperature", sampling.temperature.map(Value::from)),
        ("top_p", sampling.top_p.map(Value::from)),
        ("presence_penalty", sampling.presence_penalty.map(Value::from)),
        ("frequency_penalty", sampling.frequency_penalty.map(Value::from)),
        ("logit_bias", sampling.logit_bias.clone().map(Value::Object)),
        ("logprobs", sampling.logprobs.map(Value::from)),
        ("top_logprobs", sampling.top_logprobs.map(Value::from)),
    ];
    for (name, value) in fields {
        if refused && name == "temperature" && sampling.temperature == Some(1.0) {
            // What these models do anyway.
        } else if value.is_some() && refused {
            losses.report(name, "reasoning models refuse it");
        } else {
            put(body, name, value);
        }
    }
    if sampling.top_k.is_some() {
        losses.report("top_k", NO_COUNTERPART);
    }
    put(body, "n", sampling.n);
    put(body, "seed", sampling.seed);
}

fn stop(body: &mut Map<String, Value>, words: &[String], losses: &mut Losses) {
    if words.len() > MAX_STOPS {
        losses.report(
            "stop",
            format!("{} sequences, this wire takes {MAX_STOPS}: the first are kept", words.len()),
        );
    }
    if !words.is_empty() {
        let kept: Vec<Value> = words.iter().take(MAX_STOPS).map(|word| word.as_str().into()).collect();
        body.insert("stop".into(), Value::Array(kept));
    }
}

/// Who asks, for what, at which tier.
fn account(body: &mut Map<String, Value>, request: &Request, losses: &mut Losses) {
    if let Some(user) = &request.user {
        if user.chars().count() > MAX_USER {
            losses.report("user", "longer than 64 characters: a hash of it is sent");
            body.insert("user".into(), format!("{:016x}", fnv1a(user.as_bytes())).into());
        } else {
            body.insert("user".into(), user.as_str().into());
        }
    }
    if let Some(metadata) = &request.metadata {
        let mut kept = Map::new();
        // Anthropic's `user_id` goes as `user`.
        let is_user =
            |name: &str, value: &Value| name == "user_id" && value.as_str() == request.user.as_deref();
        for (name, value) in metadata.iter().filter(|(name, value)| !is_user(name, value)) {
            if value.is_string() {
                kept.insert(name.clone(), value.clone());
            } else {
                losses.report(format!("metadata.{name}"), "metadata holds strings only on openai_chat");
            }
        }
        if !kept.is_empty() {
            body.insert("metadata".into(), Value::Object(kept));
        }
    }
    let tier = request.service_tier.as_deref();
    put(body, "service_tier", tier.map(|tier| if tier == "standard_only" { "default" } else { tier }));
}

/// FNV-1a, 64 bit: the same user gives the same hash in every process, which is all that is needed.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
