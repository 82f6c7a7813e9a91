//! Writes a request for one destination: the fields around the items.
//!
//! Field order is fixed so that equal requests are equal bytes and provider prompt caches keep hitting. The
//! provider is told to keep nothing, and to hand out its reasoning sealed: the caller's next turn brings it back.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::super::{NO_COUNTERPART, OWN};
use super::tools;
use super::turns_out::{self, Turns};
use crate::ir::{Effort, Extra, OutputFormat, Reasoning, Request};
use crate::loss::Losses;
use crate::provider::{Destination, ReasoningField};
use crate::wire::BadRequest;
use crate::wire::lend::write_rest;
use crate::wire::openai_chat::{JSON_LINE, JSON_REASON, MAX_USER, effort_of, fnv1a, no_json_word};
use crate::wire::tool_names::fitted;
use crate::wire::tree::{Node, Object, to_bytes};

/// The fewest output tokens this wire takes.
const LEAST_TOKENS: u64 = 16;
/// Parameters of this wire that a caller of another dialect may use by their names. Not `context_management`:
/// Anthropic's is another thing.
const OWN_PARAMETERS: [&str; 12] = [
    "include",
    "max_tool_calls",
    "moderation",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "safety_identifier",
    "store",
    "stream_options",
    "text",
    "top_logprobs",
    "truncation",
];

/// Writes the body for `to`.
///
/// # Errors
/// [`BadRequest`] for a part that has no meaning at that destination.
pub(in crate::wire::openai_responses) fn encode(
    request: &Request,
    to: &Destination<'_>,
    losses: &mut Losses,
) -> Result<Vec<u8>, BadRequest> {
    let request = &*fitted(request, OWN);
    let (extra, verbosity) = without_verbosity(&request.extra);
    let (instructions, rest) = turns_out::instructions(&request.messages);
    let skipped = request.messages.len() - rest.len();
    // What stands in `instructions` does not count.
    let wordless = no_json_word(request.output_format.as_ref(), rest);
    if wordless {
        losses.report("response_format", JSON_REASON);
    }
    let turns = Turns::new(request, to, losses);
    let turns = if wordless { turns.instructed(JSON_LINE) } else { turns };
    let input = turns.write(rest, skipped);
    let mut body = Object::new().with("model", to.model);
    body.put_some("instructions", instructions);
    body.put("input", input);
    tools::write(&mut body, request, losses);
    text(&mut body, request.output_format.as_ref(), verbosity);
    let effort = reasoning(&mut body, request, to, losses);
    let reasons = to.rules.openai_reasoning && effort != Some(Effort::None);
    sampling(&mut body, request, reasons, losses);
    limits(&mut body, request, to, losses);
    include(&mut body, request, to.rules.openai_reasoning, losses);
    if !extra.fields.contains_key("store") {
        body.put("store", false);
    }
    if request.stream {
        body.put("stream", true);
    }
    account(&mut body, request, losses);
    write_rest(&mut body, &extra, OWN, &OWN_PARAMETERS, (losses, NO_COUNTERPART));
    Ok(to_bytes(&body))
}

/// Chat Completions has the verbosity at the top.
fn without_verbosity(extra: &Extra) -> (Cow<'_, Extra>, Option<Value>) {
    if extra.wire == Some(OWN) || !extra.fields.contains_key("verbosity") {
        return (Cow::Borrowed(extra), None);
    }
    let mut fields = extra.fields.clone();
    let verbosity = fields.shift_remove("verbosity");
    (Cow::Owned(Extra { fields, ..*extra }), verbosity)
}

fn text<'a>(body: &mut Object<'a>, format: Option<&'a OutputFormat>, verbosity: Option<Value>) {
    let mut text = Object::new();
    text.put_some("format", format.map(format_object));
    text.put_some("verbosity", verbosity);
    if !text.is_empty() {
        body.put("text", text);
    }
}

fn format_object(format: &OutputFormat) -> Object<'_> {
    match format {
        OutputFormat::Text => Object::typed("text"),
        OutputFormat::JsonObject => Object::typed("json_object"),
        OutputFormat::JsonSchema(schema) => {
            let name = schema.name.as_deref().unwrap_or("response");
            let mut object = Object::typed("json_schema").with("name", name);
            object.put_some("description", schema.description.as_deref());
            object.put("schema", &schema.schema);
            object.put_some("strict", schema.strict);
            object
        }
    }
}

/// Writes what the destination understands of it, and returns the effort that will be in force. A summary is
/// asked for only where the caller wants to see reasoning: some accounts may not ask.
fn reasoning(
    body: &mut Object<'_>,
    request: &Request,
    to: &Destination<'_>,
    losses: &mut Losses,
) -> Option<Effort> {
    let wanted = request.reasoning.as_ref()?;
    let effort = effort_of(wanted);
    let off = effort.is_none_or(|effort| effort == Effort::None);
    let known = to.rules.openai_reasoning || to.quirks.reasoning_echo != ReasoningField::None;
    if !to.rules.takes_effort.unwrap_or(known) {
        if !off {
            losses.report("reasoning", "this model takes no reasoning parameter");
        }
        return None;
    }
    let mut object = Object::new();
    let capped = effort.map(|effort| capped(effort, to, losses));
    object.put_some("effort", capped.map(Effort::as_str));
    if let Some(capped) = capped.filter(|_| wanted.effort.is_none() && wanted.budget.is_some()) {
        losses.report("thinking.budget_tokens", format!("sent as reasoning.effort {}", capped.as_str()));
    }
    if shows(wanted) && effort != Some(Effort::None) {
        object.put("summary", own_summary(&request.extra).unwrap_or("auto").to_owned());
    }
    if !object.is_empty() {
        body.put("reasoning", object);
    }
    capped
}

fn capped(effort: Effort, to: &Destination<'_>, losses: &mut Losses) -> Effort {
    let capped = to.rules.fit_effort(effort);
    if capped != effort {
        let reason = format!("{} is not known there: sent as {}", effort.as_str(), capped.as_str());
        losses.report("reasoning.effort", reason);
    }
    capped
}

/// The caller's dialect shows reasoning when it is on, or the caller asked to see it.
fn shows(wanted: &Reasoning) -> bool {
    match wanted.display.as_deref() {
        Some("omitted") => false,
        Some(_) => true,
        None => wanted.enabled == Some(true) || wanted.budget.is_some(),
    }
}

/// The word this wire has for the kind of summary, where the caller used one.
fn own_summary(extra: &Extra) -> Option<&str> {
    extra.for_wire(OWN)?.get("reasoning")?.get("summary")?.as_str()
}

/// `refused`: a reasoning model answers 400 to these.
fn sampling<'a>(body: &mut Object<'a>, request: &'a Request, refused: bool, losses: &mut Losses) {
    let sampling = &request.sampling;
    let fields = [
        ("temperature", sampling.temperature.map(Node::float)),
        ("top_p", sampling.top_p.map(Node::float)),
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
    let several = sampling.n.is_some_and(|n| n > 1);
    let absent = [
        ("top_k", sampling.top_k.is_some()),
        ("n", several),
        ("seed", sampling.seed.is_some()),
        ("presence_penalty", sampling.presence_penalty.is_some_and(|penalty| penalty != 0.0)),
        ("frequency_penalty", sampling.frequency_penalty.is_some_and(|penalty| penalty != 0.0)),
        ("logit_bias", sampling.logit_bias.as_ref().is_some_and(|bias| !bias.is_empty())),
        ("stop", !request.stop.is_empty()),
    ];
    for (name, _) in absent.iter().filter(|(_, given)| *given) {
        losses.report(*name, NO_COUNTERPART);
    }
}

fn limits(body: &mut Object<'_>, request: &Request, to: &Destination<'_>, losses: &mut Losses) {
    let Some(asked) = request.max_tokens else { return };
    let limit = to.rules.capped(asked, losses);
    if limit < LEAST_TOKENS {
        losses.report("max_tokens", format!("{limit} is too few for this wire: sent as {LEAST_TOKENS}"));
    }
    body.put("max_output_tokens", limit.max(LEAST_TOKENS));
}

/// What the answer is to bring along: the caller's list first.
fn include(body: &mut Object<'_>, request: &Request, reasons: bool, losses: &mut Losses) {
    let mut list: Vec<Value> =
        request.extra.fields.get("include").and_then(Value::as_array).cloned().unwrap_or_default();
    let logprobs = request.sampling.logprobs == Some(true);
    if logprobs && reasons {
        losses.report("logprobs", "reasoning models refuse it");
    }
    for (word, wanted) in
        [("reasoning.encrypted_content", reasons), ("message.output_text.logprobs", logprobs && !reasons)]
    {
        if wanted && !list.contains(&json!(word)) {
            list.push(json!(word));
        }
    }
    if !list.is_empty() {
        body.put("include", Value::Array(list));
    }
}

/// Who asks, for what, at which tier.
fn account<'a>(body: &mut Object<'a>, request: &'a Request, losses: &mut Losses) {
    if let Some(user) = &request.user {
        if user.chars().count() > MAX_USER {
            losses.report("user", "longer than 64 characters: a hash of it is sent");
            body.put("user", format!("{:016x}", fnv1a(user.as_bytes())));
        } else {
            body.put("user", user.as_str());
        }
    }
    let mut kept = Object::new();
    // Anthropic's `user_id` goes as `user`.
    let is_user = |name: &str, value: &Value| name == "user_id" && value.as_str() == request.user.as_deref();
    for (name, value) in request.metadata.iter().flatten().filter(|(name, value)| !is_user(name, value)) {
        if value.is_string() {
            kept.put(name, value);
        } else {
            losses.report(format!("metadata.{name}"), "metadata holds strings only on openai_responses");
        }
    }
    if !kept.is_empty() {
        body.put("metadata", kept);
    }
    let tier = request.service_tier.as_deref();
    body.put_some("service_tier", tier.map(|tier| if tier == "standard_only" { "default" } else { tier }));
}
