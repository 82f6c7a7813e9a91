//! Writes a request for one destination: the fields around the messages.
//!
//! Field order is fixed (model, messages, tools, …) so that equal requests are equal bytes and provider
//! prompt caches keep hitting. What the destination's model refuses is left out and reported.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::super::fields::{NO_COUNTERPART, Path, write_extra};
use super::json_word;
use super::turns_out::Turns;
use crate::Wire;
use crate::ir::{CacheMark, Effort, Extra, OutputFormat, Reasoning, Request, Tool, ToolChoice};
use crate::loss::Losses;
use crate::provider::{Destination, ReasoningField};
use crate::wire::BadRequest;
use crate::wire::lend::write_rest;
use crate::wire::tool_names::{LEFT_OUT, fitted};
use crate::wire::tool_schema;
use crate::wire::tree::{Node, Object, to_bytes};

/// The most stop sequences this wire takes.
const MAX_STOPS: usize = 4;
/// The longest `user` this wire takes, in characters.
pub(in crate::wire) const MAX_USER: usize = 64;
/// Anthropic tools that run at the caller's side; their schema is implied by the type.
pub(in crate::wire) const CLIENT_TOOLS: [&str; 4] = ["bash_", "text_editor_", "computer_", "memory_"];

/// Parameters of this wire that callers of other dialects may give by these names: those that the pivot has
/// no place for, and those that other dialects have no name for.
const OWN: [&str; 18] = [
    "audio",
    "frequency_penalty",
    "logit_bias",
    "modalities",
    "moderation",
    "parallel_tool_calls",
    "prediction",
    "presence_penalty",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "reasoning_effort",
    "response_format",
    "safety_identifier",
    "seed",
    "store",
    "verbosity",
    "web_search_options",
];

/// Writes the body for `to`.
///
/// # Errors
/// [`BadRequest`] for a part that has no meaning at that destination.
pub(in crate::wire::openai_chat) fn encode(
    request: &Request,
    to: &Destination<'_>,
    losses: &mut Losses,
) -> Result<Vec<u8>, BadRequest> {
    let request = &*fitted(request, Wire::OpenAiChat);
    let extra = without_thinking(&request.extra, losses);
    let told = json_word::is_missing(request.output_format.as_ref(), &request.messages)
        .then(|| json_word::in_instruction(&request.messages));
    if told.is_some() {
        losses.report("response_format", json_word::REASON);
    }
    let messages = match &told {
        None => Turns::new(to, losses).write(&request.messages)?,
        Some(Some(told)) => Turns::new(to, losses).write(told)?,
        Some(None) => Turns::new(to, losses).instructed(json_word::LINE).write(&request.messages)?,
    };
    let mut body = Object::new().with("model", to.model).with("messages", messages);
    tools(&mut body, request, to, losses);
    output_format(&mut body, request.output_format.as_ref());
    let effort = reasoning(&mut body, request.reasoning.as_ref(), to, losses);
    sampling(&mut body, request, to.rules.openai_reasoning && effort != Some(Effort::None), losses);
    let limit = request.max_tokens.map(|asked| to.rules.capped(asked, losses));
    body.put_some("max_completion_tokens", limit);
    stop(&mut body, &request.stop, losses);
    if request.stream {
        body.put("stream", true);
        if to.quirks.stream_usage {
            body.put("stream_options", Object::new().with("include_usage", true));
        }
    }
    account(&mut body, request, keeps_marks(to), losses);
    write_rest(&mut body, &extra, Wire::OpenAiChat, &OWN, (losses, NO_COUNTERPART));
    Ok(to_bytes(&body))
}

/// True when the destination reads `cache_control` in this wire (OpenRouter).
pub(super) fn keeps_marks(to: &Destination<'_>) -> bool {
    to.quirks.reasoning_echo == ReasoningField::Details
}

/// Writes a cache mark where the destination reads them, else reports it.
pub(super) fn write_mark<'a>(
    map: &mut Object<'a>,
    mark: Option<&'a CacheMark>,
    to: &Destination<'_>,
    path: &Path<'_>,
    losses: &mut Losses,
) {
    let Some(mark) = mark else { return };
    if keeps_marks(to) {
        map.set("cache_control", &mark.raw);
    } else {
        losses.report(path.field("cache_control").to_string(), "this provider takes no cache marks");
    }
}

fn tools<'a>(body: &mut Object<'a>, request: &'a Request, to: &Destination<'_>, losses: &mut Losses) {
    let at = Path::Body.field("tools");
    let mut list = Vec::with_capacity(request.tools.len());
    for (index, one) in request.tools.iter().enumerate() {
        if knows_allowed_tools(to) || request.may_call(one) {
            list.extend(tool(one, to, &at.item(index), losses));
        } else {
            losses.report(at.item(index).to_string(), LEFT_OUT);
        }
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
    body.put("tools", list);
    let choice: Option<Node<'a>> = match &request.tool_choice {
        None => None,
        Some(ToolChoice::Auto) => Some("auto".into()),
        Some(ToolChoice::None) => Some("none".into()),
        Some(ToolChoice::Required) => Some("required".into()),
        Some(ToolChoice::Named(name)) => {
            Some(Object::typed("function").with("function", Object::new().with("name", name.as_str())).into())
        }
        Some(ToolChoice::Among { required, names }) if knows_allowed_tools(to) => {
            Some(among(*required, names).into())
        }
        // The others were left out.
        Some(ToolChoice::Among { required, .. }) => Some(if *required { "required" } else { "auto" }.into()),
        Some(ToolChoice::Opaque { wire: Wire::OpenAiChat, value }) => Some(value.into()),
        Some(ToolChoice::Opaque { .. }) => {
            losses.report("tool_choice", NO_COUNTERPART);
            None
        }
    };
    body.put_some("tool_choice", choice);
    body.put_some("parallel_tool_calls", request.parallel_tool_calls);
}

/// OpenAI's own reasoning families know the choice among some of the tools; other hosts of this wire refuse
/// its form.
fn knows_allowed_tools(to: &Destination<'_>) -> bool {
    to.rules.openai_reasoning && !keeps_marks(to)
}

fn among(required: bool, names: &[String]) -> Object<'_> {
    let one = |name: &'_ String| {
        Object::typed("function").with("function", Object::new().with("name", name.clone())).into()
    };
    let mode = if required { "required" } else { "auto" };
    let list: Vec<Node<'_>> = names.iter().map(one).collect();
    Object::typed("allowed_tools").with("allowed_tools", Object::new().with("mode", mode).with("tools", list))
}

fn tool<'a>(tool: &'a Tool, to: &Destination<'_>, path: &Path<'_>, losses: &mut Losses) -> Option<Node<'a>> {
    let (name, description, parameters, strict, cache, extra) = match tool {
        Tool::Function { name, description, parameters, strict, cache, extra } => {
            (name, description, parameters, strict, cache, extra)
        }
        Tool::Opaque { wire: Wire::OpenAiChat, value } => return Some(value.into()),
        Tool::Opaque { value, .. } => return client_tool(value, path, losses).map(Node::from),
    };
    let mut function = Object::new().with("name", name.as_str());
    function.put_some("description", description.as_deref());
    let open = || Object::typed("object").with("properties", Object::new()).into();
    let at = path.field("parameters");
    let schema = parameters.as_ref().map(|schema| tool_schema::flat(schema, &at, Wire::OpenAiChat, losses));
    let strict = tool_schema::strict_if_closed(schema.as_deref(), *strict, path, losses);
    function.put("parameters", schema.map_or_else(open, Node::from));
    function.put_some("strict", strict);
    let mut map = Object::typed("function").with("function", function);
    write_mark(&mut map, cache.as_ref(), to, path, losses);
    write_extra(&mut map, extra, path, losses);
    Some(map.into())
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

fn output_format<'a>(body: &mut Object<'a>, format: Option<&'a OutputFormat>) {
    let value = match format {
        None => return,
        Some(OutputFormat::Text) => Object::typed("text"),
        Some(OutputFormat::JsonObject) => Object::typed("json_object"),
        Some(OutputFormat::JsonSchema(schema)) => {
            let mut inner = Object::new().with("name", schema.name.as_deref().unwrap_or("response"));
            inner.put_some("description", schema.description.as_deref());
            inner.put("schema", &schema.schema);
            inner.put_some("strict", schema.strict);
            Object::typed("json_schema").with("json_schema", inner)
        }
    };
    body.put("response_format", value);
}

/// Writes what the destination understands of it, and returns the effort that will be in force.
fn reasoning(
    body: &mut Object<'_>,
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
    let silent = matches!(to.quirks.reasoning_echo, ReasoningField::None | ReasoningField::CallSignature);
    let taken = to.rules.takes_effort.unwrap_or(!silent);
    if !taken {
        if effort != Effort::None {
            losses.report("reasoning_effort", "this model takes no reasoning parameter");
        }
        return None;
    }
    let capped = to.rules.fit_effort(effort);
    if capped != effort {
        let reason = format!("{} is not known there: sent as {}", effort.as_str(), capped.as_str());
        losses.report("reasoning_effort", reason);
    }
    if wanted.effort.is_none() && wanted.budget.is_some() && wanted.enabled != Some(false) {
        losses.report("thinking.budget_tokens", format!("sent as reasoning_effort {}", capped.as_str()));
    }
    body.put("reasoning_effort", capped.as_str());
    Some(capped)
}

/// OpenRouter takes all three forms in one object: nothing but `max` is converted.
fn openrouter_reasoning(body: &mut Object<'_>, wanted: &Reasoning, losses: &mut Losses) -> Option<Effort> {
    let mut map = Object::new();
    let effort = wanted.effort.map(|effort| effort.min(Effort::XHigh));
    if effort != wanted.effort {
        losses.report("reasoning_effort", "max is not known there: sent as xhigh");
    }
    map.put_some("effort", effort.map(Effort::as_str));
    map.put_some("max_tokens", wanted.budget);
    map.put_some("enabled", wanted.enabled);
    if !map.is_empty() {
        body.put("reasoning", map);
    }
    effort_of(wanted)
}

/// An explicit effort wins; then off; then the budget; "on" alone is `high`.
pub(in crate::wire) fn effort_of(wanted: &Reasoning) -> Option<Effort> {
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
fn sampling<'a>(body: &mut Object<'a>, request: &'a Request, refused: bool, losses: &mut Losses) {
    let sampling = &request.sampling;
    let fields: [(&'a str, Option<Node<'a>>); 7] = [
        ("temperature", sampling.temperature.map(Node::float)),
        ("top_p", sampling.top_p.map(Node::float)),
        ("presence_penalty", sampling.presence_penalty.map(Node::float)),
        ("frequency_penalty", sampling.frequency_penalty.map(Node::float)),
        ("logit_bias", sampling.logit_bias.as_ref().map(Node::from)),
        ("logprobs", sampling.logprobs.map(Node::from)),
        ("top_logprobs", sampling.top_logprobs.map(Node::from)),
    ];
    for (name, value) in fields {
        if refused && name == "temperature" && sampling.temperature == Some(1.0) {
            // What these models do anyway.
        } else if value.is_some() && refused {
            losses.report(name, "reasoning models refuse it");
        } else {
            body.put_some(name, value);
        }
    }
    if sampling.top_k.is_some() {
        losses.report("top_k", NO_COUNTERPART);
    }
    body.put_some("n", sampling.n);
    body.put_some("seed", sampling.seed.map(Value::from));
}

fn stop<'a>(body: &mut Object<'a>, words: &'a [String], losses: &mut Losses) {
    if words.len() > MAX_STOPS {
        losses.report(
            "stop",
            format!("{} sequences, this wire takes {MAX_STOPS}: the first are kept", words.len()),
        );
    }
    if !words.is_empty() {
        let kept: Vec<Node<'a>> = words.iter().take(MAX_STOPS).map(|word| word.as_str().into()).collect();
        body.put("stop", kept);
    }
}

/// Who asks, for what, at which tier. `loose`: the host takes metadata of any answer.
fn account<'a>(body: &mut Object<'a>, request: &'a Request, loose: bool, losses: &mut Losses) {
    if let Some(user) = &request.user {
        if user.chars().count() > MAX_USER {
            losses.report("user", "longer than 64 characters: a hash of it is sent");
            body.put("user", format!("{:016x}", fnv1a(user.as_bytes())));
        } else {
            body.put("user", user.as_str());
        }
    }
    if let Some(metadata) = &request.metadata {
        let mut kept = Object::new();
        // Anthropic's `user_id` goes as `user`.
        let is_user =
            |name: &str, value: &Value| name == "user_id" && value.as_str() == request.user.as_deref();
        for (name, value) in metadata.iter().filter(|(name, value)| !is_user(name, value)) {
            if value.is_string() {
                kept.put(name, value);
            } else {
                losses.report(format!("metadata.{name}"), "metadata holds strings only on openai_chat");
            }
        }
        // OpenAI keeps metadata with the answers it stores, and refuses it otherwise.
        let stored = request.extra.fields.get("store") == Some(&Value::Bool(true));
        if (stored || loose) && !kept.is_empty() {
            body.put("metadata", kept);
        } else if !kept.is_empty() {
            losses.report("metadata", "this wire takes it with `store: true` only");
        }
    }
    let tier = request.service_tier.as_deref();
    body.put_some("service_tier", tier.map(|tier| if tier == "standard_only" { "default" } else { tier }));
}

/// What is left of a `thinking` whose meaning went into the effort says nothing without it, and is refused.
fn without_thinking<'a>(extra: &'a Extra, losses: &mut Losses) -> Cow<'a, Extra> {
    let own = extra.for_wire(Wire::OpenAiChat).and_then(|fields| fields.get("thinking")?.as_object());
    let Some(rest) = own.filter(|rest| !rest.contains_key("type")) else { return Cow::Borrowed(extra) };
    for name in rest.keys() {
        losses.report(format!("thinking.{name}"), "this provider takes an effort only");
    }
    let mut fields = extra.fields.clone();
    fields.shift_remove("thinking");
    Cow::Owned(Extra { fields, ..*extra })
}

/// FNV-1a, 64 bit: the same user gives the same hash in every process, which is all that is needed.
pub(in crate::wire) fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
