//! Reads a caller's request: the fields around the items.
//!
//! A request comes here only when another wire is to answer it. What needs a conversation that is kept
//! somewhere is refused: to leave it out would answer another question than was asked.

use serde_json::Value;

use super::super::{OWN, client_tools, namespace};
use super::{tools, turns_in};
use crate::ir::{Effort, JsonSchema, OutputFormat, Reasoning, Request, Sampling};
use crate::wire::BadRequest;
use crate::wire::fields::{Fields, Path};
use crate::wire::json::{self, Json};

/// Fields of the gateway itself: never part of what is asked of a provider.
const GATEWAY_FIELDS: [&str; 2] = ["fallbacks", "extra_fields"];
/// What refers to something a provider keeps, and what to send instead.
const KEPT: [(&str, &str, &str); 3] = [
    ("previous_response_id", "an answer", "send the whole conversation in `input`"),
    ("conversation", "a conversation", "send all of it in `input`"),
    ("prompt", "a prompt", "send its text in `instructions` and `input`"),
];

/// Reads a request body.
///
/// # Errors
/// [`BadRequest`] with the path of the first field that is not as the wire has it, or that needs a
/// conversation kept by the provider.
pub(in crate::wire::openai_responses) fn decode(body: &[u8]) -> Result<Request, BadRequest> {
    let value: Json<'_> = json::read(body)
        .map_err(|error| BadRequest::at("", format!("the body is not valid JSON: {error}")))?;
    let mut fields = Fields::of(value, &Path::Body)?;
    for name in GATEWAY_FIELDS {
        fields.take(name);
    }
    refuse_kept(&mut fields)?;
    let mut request = Request {
        model: fields.required_text("model")?,
        messages: turns_in::messages(&mut fields)?,
        tools: tools::read(&mut fields)?,
        tool_choice: tools::read_choice(&mut fields)?,
        parallel_tool_calls: fields.flag("parallel_tool_calls")?,
        output_format: text(&mut fields)?,
        reasoning: reasoning(&mut fields)?,
        sampling: Sampling {
            temperature: fields.number("temperature")?,
            top_p: fields.number("top_p")?,
            top_logprobs: fields.count("top_logprobs")?,
            logprobs: include(&mut fields)?,
            ..Sampling::default()
        },
        max_tokens: fields.count("max_output_tokens")?,
        stream: fields.flag("stream")?.unwrap_or(false),
        stream_usage: true,
        user: fields.text("user")?,
        metadata: fields.object("metadata")?.filter(|metadata| !metadata.is_empty()),
        service_tier: fields.text("service_tier")?,
        ..Request::default()
    };
    drop_defaults(&mut fields)?;
    request.extra = fields.extra(OWN);
    client_tools::read_items(&mut request, tools::found);
    namespace::join_calls(&mut request);
    Ok(request)
}

fn refuse_kept(fields: &mut Fields<'_>) -> Result<(), BadRequest> {
    for (name, what, instead) in KEPT {
        if fields.take_json(name).is_some() {
            let message = format!(
                "`{name}` refers to {what} that is kept somewhere; the provider of this model keeps none and the gateway keeps no conversation: {instead}"
            );
            return Err(BadRequest::at(name, message));
        }
    }
    if fields.flag("background")? == Some(true) {
        let message =
            "`background` is true, but the provider of this model answers at once only, expected false";
        return Err(BadRequest::at("background", message));
    }
    Ok(())
}

/// What asks for nothing but what every other wire does anyway.
fn drop_defaults(fields: &mut Fields<'_>) -> Result<(), BadRequest> {
    for (name, usual) in [("store", Value::Bool(false)), ("truncation", "disabled".into())] {
        if fields.peek(name) == Some(&usual) {
            fields.take(name);
        }
    }
    let at = fields.path().field("stream_options");
    if let Some(value) = fields.take_json("stream_options") {
        let mut inner = Fields::of(value, &at)?;
        // Without it there is no padding, which is what a translated stream has.
        if inner.peek("include_obfuscation") == Some(&Value::Bool(false)) {
            inner.take("include_obfuscation");
        }
        fields.keep_nested("stream_options", inner.rest());
    }
    Ok(())
}

/// Whether logprobs are wanted. Sealed reasoning is always brought along.
fn include(fields: &mut Fields<'_>) -> Result<Option<bool>, BadRequest> {
    let at = fields.path().field("include");
    let mut rest = Vec::new();
    let mut logprobs = None;
    for (index, value) in fields.list("include")?.unwrap_or_default().into_iter().enumerate() {
        match value.into_value() {
            Value::String(word) if word == "message.output_text.logprobs" => logprobs = Some(true),
            Value::String(word) if word == "reasoning.encrypted_content" => {}
            Value::String(word) => rest.push(Value::String(word)),
            other => return Err(crate::wire::fields::wrong(&at.item(index), &other, "a string")),
        }
    }
    if !rest.is_empty() {
        fields.put("include", Value::Array(rest));
    }
    Ok(logprobs)
}

fn text(fields: &mut Fields<'_>) -> Result<Option<OutputFormat>, BadRequest> {
    let at = fields.path().field("text");
    let Some(value) = fields.take_json("text") else { return Ok(None) };
    let mut text = Fields::of(value, &at)?;
    let read = format(&mut text)?;
    fields.keep_nested("text", text.rest());
    Ok(read)
}

fn format(text: &mut Fields<'_>) -> Result<Option<OutputFormat>, BadRequest> {
    let at = text.path().field("format");
    let Some(value) = text.take_json("format") else { return Ok(None) };
    let mut format = Fields::of(value, &at)?;
    let kind = match format.peek("type") {
        Some(Value::String(kind)) => kind.clone(),
        Some(other) => return Err(format.wrong("type", other, "a string")),
        None => return Err(format.missing("type", "\"text\", \"json_object\" or \"json_schema\"")),
    };
    let read = match kind.as_str() {
        // What is meant when nothing is said.
        "text" => None,
        "json_object" => Some(OutputFormat::JsonObject),
        "json_schema" => Some(OutputFormat::JsonSchema(json_schema(&mut format)?)),
        _ => {
            text.put("format", Value::Object(format.rest()));
            return Ok(None);
        }
    };
    format.take("type");
    text.keep_nested("format", format.rest());
    Ok(read)
}

fn json_schema(format: &mut Fields<'_>) -> Result<JsonSchema, BadRequest> {
    let name = format.text("name")?;
    let Some(schema) = format.object("schema")? else {
        return Err(format.missing("schema", "a JSON schema object"));
    };
    Ok(JsonSchema {
        name,
        description: format.text("description")?,
        schema: Value::Object(schema),
        strict: format.flag("strict")?,
    })
}

/// A summary that is asked for is reasoning that is to be shown.
fn reasoning(fields: &mut Fields<'_>) -> Result<Option<Reasoning>, BadRequest> {
    let at = fields.path().field("reasoning");
    let Some(value) = fields.take_json("reasoning") else { return Ok(None) };
    let mut inner = Fields::of(value, &at)?;
    let mut read = Reasoning::default();
    if let Some(word) = inner.text("effort")? {
        read.effort = Effort::parse(&word);
        if read.effort.is_none() {
            inner.put("effort", Value::String(word));
        }
    }
    let older = inner.text("generate_summary")?;
    if let Some(word) = inner.text("summary")?.or(older) {
        read.display = Some("summarized".to_owned());
        if word != "auto" {
            inner.put("summary", Value::String(word));
        }
    }
    fields.keep_nested("reasoning", inner.rest());
    Ok((read != Reasoning::default()).then_some(read))
}
