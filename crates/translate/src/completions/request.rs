//! Reads and writes a request: one prompt, and the parameters that chat shares.

use serde_json::{Map, Value};

use crate::ir::{Extra, Message, Part, Request, Role, Sampling, Text};
use crate::loss::Losses;
use crate::provider::Destination;
use crate::wire::BadRequest;
use crate::wire::fields::{Fields, Path, wrong};
use crate::wire::json::{self, Json};
use crate::wire::tree::{Node, Object, to_bytes};

const NO_TOKENS: &str = "token numbers are of meaning to their own model only: send the prompt as text";

/// Reads a request body.
///
/// # Errors
/// [`BadRequest`] with the path of the first field that is not as the format has it; for several prompts, and
/// for prompts of tokens.
pub(super) fn decode(body: &[u8]) -> Result<Request, BadRequest> {
    let value: Json<'_> = json::read(body)
        .map_err(|error| BadRequest::at("", format!("the body is not valid JSON: {error}")))?;
    let mut fields = Fields::of(value, &Path::Body)?;
    for name in ["fallbacks", "extra_fields"] {
        fields.take(name);
    }
    let model = fields.required_text("model")?;
    let text = prompt(&mut fields)?;
    let message =
        Message { role: Role::User, name: None, parts: vec![Part::text(text)], extra: Extra::default() };
    let mut request = Request {
        model,
        messages: vec![message],
        sampling: sampling(&mut fields)?,
        max_tokens: fields.count("max_tokens")?,
        stop: stop(&mut fields)?,
        stream: fields.flag("stream")?.unwrap_or(false),
        stream_usage: stream_usage(&mut fields)?,
        user: fields.text("user")?,
        ..Request::default()
    };
    usual(&mut fields)?;
    // Nobody's wire: chat providers refuse these fields, so every encoder reports them.
    request.extra = Extra { wire: None, fields: fields.rest() };
    Ok(request)
}

fn prompt(fields: &mut Fields<'_>) -> Result<String, BadRequest> {
    let at = Path::Body.field("prompt");
    let list = match fields.take_json("prompt") {
        None => return Err(fields.missing("prompt", "a string")),
        Some(Json::Value(Value::String(text))) => return Ok(text),
        Some(other) => other.items().map_err(|other| wrong(&at, other.look(), "a string"))?,
    };
    if list.len() > 1 && list.iter().all(|one| one.look().is_string()) {
        let message = format!("`prompt` holds {} prompts, expected one: send them one by one", list.len());
        return Err(BadRequest::at("prompt", message));
    }
    match list.into_iter().next() {
        Some(Json::Value(Value::String(text))) => Ok(text),
        Some(other) if other.look().is_number() || other.look().is_array() => {
            Err(BadRequest::at("prompt", format!("`prompt` is a list of tokens: {NO_TOKENS}")))
        }
        Some(other) => Err(wrong(&at.item(0), other.look(), "a string")),
        None => Err(BadRequest::at("prompt", "`prompt` is an empty list, expected a string")),
    }
}

/// `logprobs` is how many alternatives are wanted beside the chosen token.
fn sampling(fields: &mut Fields<'_>) -> Result<Sampling, BadRequest> {
    let logprobs = match fields.peek("logprobs") {
        Some(Value::Bool(wanted)) => {
            let wanted = wanted.then_some(0);
            fields.take("logprobs");
            wanted
        }
        _ => fields.count("logprobs")?,
    };
    Ok(Sampling {
        temperature: fields.number("temperature")?,
        top_p: fields.number("top_p")?,
        top_k: fields.count("top_k")?,
        n: fields.count("n")?,
        seed: fields.integer("seed")?,
        presence_penalty: fields.number("presence_penalty")?,
        frequency_penalty: fields.number("frequency_penalty")?,
        logit_bias: fields.object("logit_bias")?,
        logprobs: logprobs.map(|_| true),
        top_logprobs: logprobs.filter(|top| *top > 0),
    })
}

fn stop(fields: &mut Fields<'_>) -> Result<Vec<String>, BadRequest> {
    let at = Path::Body.field("stop");
    match fields.take("stop") {
        None => Ok(Vec::new()),
        Some(Value::String(word)) => Ok(vec![word]),
        Some(Value::Array(list)) => (list.into_iter().enumerate())
            .map(|(index, word)| match word {
                Value::String(word) => Ok(word),
                other => Err(wrong(&at.item(index), &other, "a string")),
            })
            .collect(),
        Some(other) => Err(fields.wrong("stop", &other, "a string or a list of strings")),
    }
}

fn stream_usage(fields: &mut Fields<'_>) -> Result<bool, BadRequest> {
    let at = Path::Body.field("stream_options");
    let Some(value) = fields.take_json("stream_options") else { return Ok(false) };
    let mut inner = Fields::of(value, &at)?;
    let wanted = inner.flag("include_usage")?.unwrap_or(false);
    fields.keep_nested("stream_options", inner.rest());
    Ok(wanted)
}

/// What says no more than what is done anyway is not left over.
fn usual(fields: &mut Fields<'_>) -> Result<(), BadRequest> {
    if let Some(true) = fields.flag("echo")? {
        fields.put("echo", true.into());
    }
    if let Some(best) = fields.count("best_of")?.filter(|best| *best > 1) {
        fields.put("best_of", best.into());
    }
    if let Some(suffix) = fields.text("suffix")?.filter(|suffix| !suffix.is_empty()) {
        fields.put("suffix", suffix.into());
    }
    Ok(())
}

/// Writes a request for a provider of text completions.
///
/// # Errors
/// [`BadRequest`] for what is no single text.
pub(super) fn encode(
    request: &Request,
    to: &Destination<'_>,
    losses: &mut Losses,
) -> Result<Vec<u8>, BadRequest> {
    let prompt = match request.messages.as_slice() {
        [Message { role: Role::User, parts, .. }] => only_text(parts),
        _ => None,
    };
    let Some(prompt) = prompt else {
        let message = "`messages` is a conversation, but this provider completes one text only";
        return Err(BadRequest::at("messages", message));
    };
    let sampling = &request.sampling;
    let mut body = Object::new().with("model", to.model).with("prompt", prompt);
    body.put_some("max_tokens", request.max_tokens);
    body.put_some("temperature", sampling.temperature.map(Node::float));
    body.put_some("top_p", sampling.top_p.map(Node::float));
    body.put_some("n", sampling.n);
    body.put_some("seed", sampling.seed.map(Value::from));
    body.put_some("presence_penalty", sampling.presence_penalty.map(Node::float));
    body.put_some("frequency_penalty", sampling.frequency_penalty.map(Node::float));
    body.put_some("logit_bias", sampling.logit_bias.as_ref());
    if sampling.logprobs == Some(true) {
        body.put("logprobs", sampling.top_logprobs.unwrap_or(0));
    }
    if !request.stop.is_empty() {
        body.put("stop", request.stop.iter().map(|word| word.as_str().into()).collect::<Vec<Node<'_>>>());
    }
    body.put_some("user", request.user.as_deref());
    if request.stream {
        body.put("stream", true);
        if to.quirks.stream_usage {
            body.put("stream_options", Object::new().with("include_usage", true));
        }
    }
    lose(request, losses);
    // What `decode` left over is of this format.
    let own = request.extra.wire.is_none().then_some(&request.extra.fields);
    own.into_iter().for_each(|fields: &Map<String, Value>| body.adopt(fields));
    Ok(to_bytes(&body))
}

fn only_text(parts: &[Part]) -> Option<&str> {
    match parts {
        [Part::Text(Text { text, .. })] => Some(text),
        _ => None,
    }
}

fn lose(request: &Request, losses: &mut Losses) {
    let given = [
        ("tools", !request.tools.is_empty()),
        ("tool_choice", request.tool_choice.is_some()),
        ("response_format", request.output_format.is_some()),
        ("reasoning", request.reasoning.is_some()),
        ("top_k", request.sampling.top_k.is_some()),
        ("metadata", request.metadata.is_some()),
        ("service_tier", request.service_tier.is_some()),
    ];
    for (name, _) in given.into_iter().filter(|(_, given)| *given) {
        losses.report(name, "has no counterpart in text completions");
    }
    if request.extra.wire.is_some() {
        for name in request.extra.names() {
            losses.report(name, "has no counterpart in text completions");
        }
    }
}
