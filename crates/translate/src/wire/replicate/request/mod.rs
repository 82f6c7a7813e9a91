//! Writes a request for one model: `{"version"?, "input": {…}, "stream"?}`.
//!
//! `prompt` makes one text of the conversation, `reasoning` says how much to reason; the rest is here. Field
//! order is fixed, so that equal requests are equal bytes.

mod prompt;
mod reasoning;

use super::model::Place;
use crate::Wire;
use crate::ir::{OutputFormat, Request, ToolChoice};
use crate::loss::Losses;
use crate::provider::{Destination, ImageInput, InputNames};
use crate::wire::BadRequest;
use crate::wire::lend;
use crate::wire::tree::{Node, Object, to_bytes};

/// Why what the caller asked for is left out.
const NO_COUNTERPART: &str = "has no counterpart on replicate";
const NOT_AN_INPUT: &str = "is no input of this model";
/// Inputs that callers of every dialect may use by the names they have here. What a dialect has a parameter
/// of that name for is not among them: that was read as the dialect means it.
const OWN: [&str; 32] = [
    "add_generation_prompt",
    "chat_template",
    "chat_template_kwargs",
    "debug",
    "do_sample",
    "dynamic_thinking",
    "early_stopping",
    "extended_thinking",
    "image",
    "image_input",
    "images",
    "length_penalty",
    "log_performance_metrics",
    "max_image_resolution",
    "max_new_tokens",
    "min_new_tokens",
    "min_p",
    "min_tokens",
    "num_beams",
    "prompt_template",
    "repeat_penalty",
    "repetition_penalty",
    "replicate_weights",
    "return_logits",
    "stop_sequences",
    "system_prompt",
    "thinking_budget",
    "thinking_budget_tokens",
    "thinking_level",
    "top_k",
    "verbosity",
    "videos",
];

/// Writes the body for `to`.
///
/// # Errors
/// [`BadRequest`] for what has no meaning here: a tool that must be called, audio, an image for a model that
/// cannot see, a document that is no text, a name that is no model's.
pub(super) fn encode(
    request: &Request,
    to: &Destination<'_>,
    losses: &mut Losses,
) -> Result<Vec<u8>, BadRequest> {
    let Some(place) = Place::of(to.model) else {
        let expected = "owner/name, owner/name:version, deployments/owner/name or a version's id";
        let message = format!("`model` is {:?}, expected {expected}", to.model);
        return Err(BadRequest::at("model", message));
    };
    let Some(names) = to.rules.input else {
        return Err(BadRequest::at("model", format!("the inputs of {:?} are not known", to.model)));
    };
    tools(request, losses)?;
    let mut told = prompt::of(&request.messages, names, losses)?;
    if let Some(words) = output_format(request, losses) {
        told.add_system(words);
    }
    let mut input = written(told, names);
    let limit = token_limit(request, to, names, losses);
    input.put_some(&names.max_tokens, limit);
    sampling(&mut input, request, names, losses);
    reasoning::write(&mut input, request, (names, limit.unwrap_or(to.rules.max_output_tokens)), losses);
    others(request, losses);
    lend::write_rest(&mut input, &request.extra, Wire::Replicate, &OWN, (losses, NO_COUNTERPART));
    let mut body = Object::new();
    if let Place::Version(version) = place {
        body.put("version", version);
    }
    body.put("input", input);
    if request.stream {
        body.put("stream", true);
    }
    Ok(to_bytes(&body))
}

/// The prompt, the system text and the images, as the model takes them.
fn written<'a>(told: prompt::Told<'a>, names: &'a InputNames) -> Object<'a> {
    let mut input = Object::new();
    match &names.system {
        Some(name) => {
            input.put("prompt", told.prompt);
            if !told.system.is_empty() {
                input.put(name, told.system);
            }
        }
        None if told.prompt.is_empty() => input.put("prompt", told.system),
        None if told.system.is_empty() => input.put("prompt", told.prompt),
        None => input.put("prompt", format!("{}\n\n{}", told.system, told.prompt)),
    }
    let mut images = told.images.into_iter();
    match &names.images {
        Some(ImageInput::One(name)) => input.put_some(name, images.next()),
        Some(ImageInput::List(name)) if images.len() > 0 => {
            input.put(name, images.map(Node::from).collect::<Vec<_>>());
        }
        _ => {}
    }
    input
}

/// Nothing can be called here.
fn tools(request: &Request, losses: &mut Losses) -> Result<(), BadRequest> {
    let cannot = "the models of replicate call no tools";
    match &request.tool_choice {
        Some(ToolChoice::Required | ToolChoice::Among { required: true, .. }) => {
            return Err(BadRequest::at("tool_choice", format!("`tool_choice` wants a call, but {cannot}")));
        }
        Some(ToolChoice::Named(name)) => {
            let message = format!("`tool_choice` wants a call of {name:?}, but {cannot}");
            return Err(BadRequest::at("tool_choice", message));
        }
        Some(ToolChoice::Opaque { .. }) => losses.report("tool_choice", cannot),
        Some(ToolChoice::Auto | ToolChoice::None | ToolChoice::Among { .. }) | None => {}
    }
    if !request.tools.is_empty() {
        losses.report("tools", cannot);
    }
    Ok(())
}

/// The words that ask for a format.
fn output_format(request: &Request, losses: &mut Losses) -> Option<String> {
    let words = match request.output_format.as_ref()? {
        OutputFormat::Text => return None,
        OutputFormat::JsonObject => "Answer with a JSON object and nothing else.".to_owned(),
        OutputFormat::JsonSchema(wanted) => {
            format!("Answer with JSON that follows this JSON schema, and nothing else: {}", wanted.schema)
        }
    };
    losses.report("response_format", "has no counterpart on replicate: asked for in words");
    Some(words)
}

fn token_limit(
    request: &Request,
    to: &Destination<'_>,
    names: &InputNames,
    losses: &mut Losses,
) -> Option<u64> {
    let wanted = request.max_tokens?;
    let most = to.rules.max_output_tokens.max(names.least_tokens);
    let sent = wanted.clamp(names.least_tokens, most);
    if sent != wanted {
        let reason = format!("this model takes {} to {most}: {sent} was sent", names.least_tokens);
        losses.report("max_tokens", reason);
    }
    Some(sent)
}

fn sampling<'a>(input: &mut Object<'a>, request: &Request, names: &'a InputNames, losses: &mut Losses) {
    let wanted = &request.sampling;
    let seed = |seed: i64| {
        u64::try_from(seed).map_or_else(|_| Node::from(serde_json::Value::from(seed)), Node::from)
    };
    let values: [(&'static str, &str, Option<Node<'a>>); 7] = [
        ("temperature", "temperature", wanted.temperature.map(Node::float)),
        ("top_p", "top_p", wanted.top_p.map(Node::float)),
        ("top_k", "top_k", wanted.top_k.map(Node::from)),
        ("seed", "seed", wanted.seed.map(seed)),
        ("presence_penalty", "presence_penalty", wanted.presence_penalty.map(Node::float)),
        ("frequency_penalty", "frequency_penalty", wanted.frequency_penalty.map(Node::float)),
        ("stop_sequences", "stop", stop(&request.stop, names, losses).map(Node::from)),
    ];
    for (name, path, value) in values {
        let Some(value) = value else { continue };
        if names.sampling.iter().any(|known| known == name) {
            input.put(name, value);
        } else {
            losses.report(path, NOT_AN_INPUT);
        }
    }
}

/// One text with commas between: a sequence that holds a comma would be two.
fn stop(words: &[String], names: &InputNames, losses: &mut Losses) -> Option<String> {
    if words.is_empty() {
        return None;
    }
    let (kept, split): (Vec<&str>, Vec<&str>) =
        words.iter().map(String::as_str).partition(|word| !word.is_empty() && !word.contains(','));
    let takes = names.sampling.iter().any(|known| known == "stop_sequences");
    if takes && !split.is_empty() {
        losses.report("stop", "a sequence that is empty or holds a comma cannot be sent: left out");
    }
    (!kept.is_empty() || !takes).then(|| kept.join(","))
}

/// What no model here has a place for.
fn others(request: &Request, losses: &mut Losses) {
    let wanted = &request.sampling;
    let given = [
        ("n", wanted.n.is_some_and(|n| n > 1)),
        ("logit_bias", wanted.logit_bias.is_some()),
        ("logprobs", wanted.logprobs == Some(true)),
        ("top_logprobs", wanted.top_logprobs.is_some_and(|top| top > 0)),
        ("user", request.user.is_some()),
        ("metadata", request.metadata.is_some()),
        ("service_tier", request.service_tier.is_some()),
    ];
    for (name, _) in given.into_iter().filter(|(_, given)| *given) {
        losses.report(name, NO_COUNTERPART);
    }
}
