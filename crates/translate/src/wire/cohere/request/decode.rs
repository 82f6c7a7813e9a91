//! Reads a caller's request: the fields around the messages. What nobody reads stays in `Extra`
//! (`safety_mode`, `citation_options`, `priority`, …).

use serde_json::Value;

use super::super::parts;
use super::turns_in;
use crate::Wire;
use crate::ir::{
    JsonSchema, Message, OutputFormat, Part, Reasoning, Request, Role, Sampling, Tool, ToolChoice,
};
use crate::wire::BadRequest;
use crate::wire::fields::{Fields, Path, wrong};
use crate::wire::json::{self, Json};

/// Fields of the gateway itself: never part of what is asked of a provider.
const GATEWAY_FIELDS: [&str; 2] = ["fallbacks", "extra_fields"];

/// Reads a request body.
///
/// # Errors
/// [`BadRequest`] with the path of the first field that is not as the wire has it.
pub(in crate::wire::cohere) fn decode(body: &[u8]) -> Result<Request, BadRequest> {
    let value: Json<'_> = json::read(body)
        .map_err(|error| BadRequest::at("", format!("the body is not valid JSON: {error}")))?;
    let mut fields = Fields::of(value, &Path::Body)?;
    for name in GATEWAY_FIELDS {
        fields.take(name);
    }
    let strict = fields.flag("strict_tools")?;
    let stream = fields.flag("stream")?.unwrap_or(false);
    let mut request = Request {
        model: fields.required_text("model")?,
        messages: turns_in::messages(&mut fields)?,
        tools: tools(&mut fields, strict)?,
        tool_choice: tool_choice(&mut fields)?,
        output_format: output_format(&mut fields)?,
        reasoning: reasoning(&mut fields)?,
        sampling: sampling(&mut fields)?,
        max_tokens: fields.count("max_tokens")?,
        stop: stop(&mut fields)?,
        stream,
        stream_usage: stream,
        ..Request::default()
    };
    documents(&mut fields, &mut request.messages)?;
    request.extra = fields.extra(Wire::Cohere);
    Ok(request)
}

/// 0 turns `k` off, which is its default.
fn sampling(fields: &mut Fields<'_>) -> Result<Sampling, BadRequest> {
    Ok(Sampling {
        temperature: fields.number("temperature")?,
        top_p: fields.number("p")?,
        top_k: fields.count("k")?.filter(|k| *k > 0),
        seed: fields.integer("seed")?,
        presence_penalty: fields.number("presence_penalty")?,
        frequency_penalty: fields.number("frequency_penalty")?,
        logprobs: fields.flag("logprobs")?,
        ..Sampling::default()
    })
}

fn stop(fields: &mut Fields<'_>) -> Result<Vec<String>, BadRequest> {
    let at = fields.path().field("stop_sequences");
    let list = fields.list("stop_sequences")?.unwrap_or_default();
    list.into_iter()
        .enumerate()
        .map(|(index, word)| match word {
            Json::Value(Value::String(word)) => Ok(word),
            other => Err(wrong(&at.item(index), other.look(), "a string")),
        })
        .collect()
}

/// `strict_tools` holds for all of them.
fn tools(fields: &mut Fields<'_>, strict: Option<bool>) -> Result<Vec<Tool>, BadRequest> {
    let at = fields.path().field("tools");
    let list = fields.list("tools")?.unwrap_or_default();
    if let Some(strict) = strict.filter(|_| list.is_empty()) {
        fields.put("strict_tools", strict.into());
    }
    list.into_iter().enumerate().map(|(index, value)| tool(value, strict, &at.item(index))).collect()
}

fn tool(value: Json<'_>, strict: Option<bool>, path: &Path<'_>) -> Result<Tool, BadRequest> {
    let mut fields = Fields::of(value, path)?;
    match fields.peek("type") {
        Some(Value::String(kind)) if kind != "function" => {
            return Ok(Tool::Opaque { wire: Wire::Cohere, value: Value::Object(fields.rest()) });
        }
        Some(Value::String(_)) => drop(fields.take("type")),
        None if fields.peek("function").is_some() => {}
        None => return Err(fields.missing("type", "\"function\"")),
        Some(other) => return Err(fields.wrong("type", other, "a string")),
    }
    let at = path.field("function");
    let Some(value) = fields.take_json("function") else {
        return Err(fields.missing("function", "an object with a name"));
    };
    let mut function = Fields::of(value, &at)?;
    let name = function.required_text("name")?;
    let description = function.text("description")?;
    let parameters = function.object("parameters")?.map(Value::Object);
    fields.keep_nested("function", function.rest());
    Ok(Tool::Function {
        name,
        description,
        parameters,
        strict,
        cache: None,
        extra: fields.extra(Wire::Cohere),
    })
}

fn tool_choice(fields: &mut Fields<'_>) -> Result<Option<ToolChoice>, BadRequest> {
    let Some(word) = fields.text("tool_choice")? else { return Ok(None) };
    match word.to_ascii_uppercase().as_str() {
        "REQUIRED" => Ok(Some(ToolChoice::Required)),
        "NONE" => Ok(Some(ToolChoice::None)),
        "AUTO" => Ok(Some(ToolChoice::Auto)),
        _ => Err(fields.wrong("tool_choice", &Value::String(word), "\"REQUIRED\" or \"NONE\"")),
    }
}

/// The schema has two names: `json_schema` in the reference, `schema` in the guides and older clients.
fn output_format(fields: &mut Fields<'_>) -> Result<Option<OutputFormat>, BadRequest> {
    let at = fields.path().field("response_format");
    let Some(value) = fields.take_json("response_format") else { return Ok(None) };
    let mut format = Fields::of(value, &at)?;
    let read = match format.text("type")?.as_deref() {
        Some("text") => OutputFormat::Text,
        Some("json_object") => match format.object("json_schema")?.or(format.object("schema")?) {
            Some(schema) => OutputFormat::JsonSchema(JsonSchema {
                name: None,
                description: None,
                schema: Value::Object(schema),
                strict: None,
            }),
            None => OutputFormat::JsonObject,
        },
        Some(word) => {
            let found = Value::String(word.to_owned());
            return Err(format.wrong("type", &found, "\"text\" or \"json_object\""));
        }
        None => return Err(format.missing("type", "\"text\" or \"json_object\"")),
    };
    fields.keep_nested("response_format", format.rest());
    Ok(Some(read))
}

fn reasoning(fields: &mut Fields<'_>) -> Result<Option<Reasoning>, BadRequest> {
    let at = fields.path().field("thinking");
    let Some(value) = fields.take_json("thinking") else { return Ok(None) };
    let mut inner = Fields::of(value, &at)?;
    let word = inner.required_text("type")?;
    let enabled = match word.to_ascii_lowercase().as_str() {
        "enabled" => true,
        "disabled" => false,
        _ => return Err(inner.wrong("type", &Value::String(word), "\"enabled\" or \"disabled\"")),
    };
    let budget = inner.count("token_budget")?;
    fields.keep_nested("thinking", inner.rest());
    Ok(Some(Reasoning { enabled: Some(enabled), budget, ..Reasoning::default() }))
}

/// The documents to rest on go before what the user said last; without a user they stay aside.
fn documents(fields: &mut Fields<'_>, messages: &mut [Message]) -> Result<(), BadRequest> {
    let Some(last) = messages.iter_mut().rfind(|message| message.role == Role::User) else { return Ok(()) };
    let at = fields.path().field("documents");
    let list = fields.list("documents")?.unwrap_or_default();
    let mut front = Vec::with_capacity(list.len() + last.parts.len());
    for (index, value) in list.into_iter().enumerate() {
        front.push(Part::Document(parts::document(value, &at.item(index))?));
    }
    front.append(&mut last.parts);
    last.parts = front;
    Ok(())
}
