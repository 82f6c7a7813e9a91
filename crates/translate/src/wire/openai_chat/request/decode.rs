//! Reads a caller's request: the fields around the messages.
//!
//! Deprecated spellings (`functions`, `function_call`, `max_tokens`) and the relatives' spellings of
//! reasoning are read into the same place; what nobody reads stays in `Extra`.

use serde_json::Value;

use super::super::fields::{Fields, Path};
use super::super::parts::{content, take_mark};
use super::turns_in;
use crate::Wire;
use crate::ir::{
    Effort, Extra, JsonSchema, Message, OutputFormat, Reasoning, Request, Role, Sampling, Tool, ToolChoice,
};
use crate::wire::json::{self, Json};
use crate::wire::{BadRequest, sound};

/// Fields of the gateway itself: never part of what is asked of a provider.
const GATEWAY_FIELDS: [&str; 2] = ["fallbacks", "extra_fields"];

/// Reads a request body.
///
/// # Errors
/// [`BadRequest`] with the path of the first field that is not as the wire has it.
pub(in crate::wire::openai_chat) fn decode(body: &[u8]) -> Result<Request, BadRequest> {
    let value: Json<'_> = json::read(body).map_err(|error| not_json(&error))?;
    let mut fields = Fields::of(value, &Path::Body)?;
    for name in GATEWAY_FIELDS {
        fields.take(name);
    }
    let mut request = Request {
        model: fields.required_text("model")?,
        messages: turns_in::messages(&mut fields)?,
        tools: tools(&mut fields)?,
        tool_choice: tool_choice(&mut fields)?,
        parallel_tool_calls: fields.flag("parallel_tool_calls")?,
        output_format: output_format(&mut fields)?,
        reasoning: reasoning(&mut fields)?,
        sampling: sampling(&mut fields)?,
        max_tokens: max_tokens(&mut fields)?,
        stop: words(&mut fields, "stop")?,
        stream: fields.flag("stream")?.unwrap_or(false),
        stream_usage: stream_usage(&mut fields)?,
        user: fields.text("user")?,
        metadata: fields.object("metadata")?,
        service_tier: fields.text("service_tier")?,
        ..Request::default()
    };
    lent(&mut fields, &mut request)?;
    request.extra = fields.extra(Wire::OpenAiChat);
    Ok(request)
}

fn not_json(error: &serde_json::Error) -> BadRequest {
    BadRequest::at("", format!("the body is not valid JSON: {}", sound::no_json(error)))
}

/// What callers of Claude models give by Anthropic's names, as members of the body. Names that this wire has
/// no other use for.
fn lent(fields: &mut Fields<'_>, request: &mut Request) -> Result<(), BadRequest> {
    let at = fields.path().field("system");
    if let Some(value) = fields.take_json("system") {
        let parts = content(value, &at)?;
        let message = Message { role: Role::System, name: None, parts, extra: Extra::default() };
        request.messages.insert(0, message);
    }
    request.stop.extend(words(fields, "stop_sequences")?);
    Ok(())
}

fn max_tokens(fields: &mut Fields<'_>) -> Result<Option<u64>, BadRequest> {
    let old = fields.count("max_tokens")?;
    Ok(fields.count("max_completion_tokens")?.or(old))
}

fn sampling(fields: &mut Fields<'_>) -> Result<Sampling, BadRequest> {
    Ok(Sampling {
        temperature: fields.number("temperature")?,
        top_p: fields.number("top_p")?,
        top_k: fields.count("top_k")?,
        n: fields.count("n")?,
        seed: fields.integer("seed")?,
        presence_penalty: fields.number("presence_penalty")?,
        frequency_penalty: fields.number("frequency_penalty")?,
        logit_bias: fields.object("logit_bias")?,
        logprobs: fields.flag("logprobs")?,
        top_logprobs: fields.count("top_logprobs")?,
    })
}

fn words(fields: &mut Fields<'_>, name: &str) -> Result<Vec<String>, BadRequest> {
    let at = fields.path().field(name);
    match fields.take(name) {
        None => Ok(Vec::new()),
        Some(Value::String(word)) => Ok(vec![word]),
        Some(Value::Array(list)) => list
            .into_iter()
            .enumerate()
            .map(|(index, word)| match word {
                Value::String(word) => Ok(word),
                other => Err(super::super::fields::wrong(&at.item(index), &other, "a string")),
            })
            .collect(),
        Some(other) => Err(fields.wrong(name, &other, "a string or a list of strings")),
    }
}

fn stream_usage(fields: &mut Fields<'_>) -> Result<bool, BadRequest> {
    let at = fields.path().field("stream_options");
    let Some(value) = fields.take_json("stream_options") else { return Ok(false) };
    let mut inner = Fields::of(value, &at)?;
    let wanted = inner.flag("include_usage")?.unwrap_or(false);
    fields.keep_nested("stream_options", inner.rest());
    Ok(wanted)
}

fn tools(fields: &mut Fields<'_>) -> Result<Vec<Tool>, BadRequest> {
    let at = fields.path().field("tools");
    let list = fields.list("tools")?.unwrap_or_default();
    let mut tools = Vec::with_capacity(list.len());
    for (index, value) in list.into_iter().enumerate() {
        tools.push(tool(value, &at.item(index))?);
    }
    let at = fields.path().field("functions");
    for (index, value) in fields.list("functions")?.unwrap_or_default().into_iter().enumerate() {
        let at = at.item(index);
        tools.push(function(Fields::of(value, &at)?, None)?);
    }
    Ok(tools)
}

fn tool(value: Json<'_>, path: &Path<'_>) -> Result<Tool, BadRequest> {
    let mut fields = Fields::of(value, path)?;
    match fields.peek("type") {
        Some(Value::String(kind)) if kind != "function" => {
            return Ok(Tool::Opaque { wire: Wire::OpenAiChat, value: Value::Object(fields.rest()) });
        }
        Some(Value::String(_)) => {}
        None if fields.peek("function").is_some() => {}
        None => return Err(fields.missing("type", "\"function\"")),
        Some(other) => return Err(fields.wrong("type", other, "a string")),
    }
    fields.take("type");
    let at = path.field("function");
    match fields.take_json("function") {
        Some(value) => function(Fields::of(value, &at)?, Some(fields)),
        None => Err(fields.missing("function", "an object with a name")),
    }
}

/// A function, and the object around it when there is one: leftovers keep their nesting.
fn function(mut fields: Fields<'_>, around: Option<Fields<'_>>) -> Result<Tool, BadRequest> {
    let name = fields.required_text("name")?;
    let description = fields.text("description")?;
    let parameters = fields.take("parameters");
    if let Some(other) = parameters.as_ref().filter(|value| !value.is_object()) {
        return Err(fields.wrong("parameters", other, "a JSON schema object"));
    }
    if let Some(schema) = &parameters {
        sound_schema(schema, &fields.path().field("parameters"))?;
    }
    let strict = fields.flag("strict")?;
    let inner_mark = take_mark(&mut fields);
    let (cache, extra) = match around {
        Some(mut around) => {
            let cache = take_mark(&mut around).or(inner_mark);
            around.keep_nested("function", fields.rest());
            (cache, around.extra(Wire::OpenAiChat))
        }
        None => {
            let mut outer = Fields::of(Value::Object(serde_json::Map::new()), &Path::Body)?;
            outer.keep_nested("function", fields.rest());
            (inner_mark, outer.extra(Wire::OpenAiChat))
        }
    };
    Ok(Tool::Function { name, description, parameters, strict, cache, extra })
}

fn sound_schema(schema: &Value, path: &Path<'_>) -> Result<(), BadRequest> {
    sound::schema_flaw(schema).map_or(Ok(()), |flaw| {
        let path = format!("{path}{}", flaw.path);
        Err(BadRequest::at(path.clone(), format!("`{path}` {}", flaw.complaint)))
    })
}

fn tool_choice(fields: &mut Fields<'_>) -> Result<Option<ToolChoice>, BadRequest> {
    let at = fields.path().field("tool_choice");
    if let Some(value) = fields.take("tool_choice") {
        return choice(value, &at).map(Some);
    }
    let at = fields.path().field("function_call");
    match fields.take("function_call") {
        Some(Value::Object(map)) => {
            let mut inner = Fields::of(Value::Object(map), &at)?;
            inner.required_text("name").map(|name| Some(ToolChoice::Named(name)))
        }
        Some(value) => choice(value, &at).map(Some),
        None => Ok(None),
    }
}

/// The choice among some of the tools, if all of them are functions of the caller's.
pub(in crate::wire) fn allowed(value: &Value) -> Option<ToolChoice> {
    let fields = value.as_object()?;
    if fields.keys().any(|name| !matches!(name.as_str(), "type" | "mode" | "tools")) {
        return None;
    }
    let required = match value.get("mode")?.as_str()? {
        "required" => true,
        "auto" => false,
        _ => return None,
    };
    let name = |tool: &Value| {
        let kind = tool.get("type").and_then(Value::as_str);
        let inner = tool.get("function").unwrap_or(tool);
        matches!(kind, Some("function" | "custom")).then(|| inner.get("name")?.as_str().map(str::to_owned))?
    };
    let names: Vec<String> = value.get("tools")?.as_array()?.iter().map(name).collect::<Option<_>>()?;
    (!names.is_empty()).then_some(ToolChoice::Among { required, names })
}

fn choice(value: Value, path: &Path<'_>) -> Result<ToolChoice, BadRequest> {
    match value {
        Value::String(word) => match word.as_str() {
            "auto" => Ok(ToolChoice::Auto),
            "none" => Ok(ToolChoice::None),
            "required" | "any" => Ok(ToolChoice::Required),
            _ => Err(super::super::fields::wrong(
                path,
                &Value::String(word),
                "\"auto\", \"none\", \"required\" or a named function",
            )),
        },
        Value::Object(map) => {
            if let Some(choice) = map.get("allowed_tools").and_then(allowed) {
                return Ok(choice);
            }
            if map.get("type").and_then(Value::as_str) != Some("function") {
                return Ok(ToolChoice::Opaque { wire: Wire::OpenAiChat, value: Value::Object(map) });
            }
            let at = path.field("function");
            let mut outer = Fields::of(Value::Object(map), path)?;
            match outer.take("function") {
                Some(value) => Fields::of(value, &at)?.required_text("name").map(ToolChoice::Named),
                None => Err(outer.missing("function", "an object with a name")),
            }
        }
        other => Err(super::super::fields::wrong(path, &other, "a string or an object")),
    }
}

fn output_format(fields: &mut Fields<'_>) -> Result<Option<OutputFormat>, BadRequest> {
    let at = fields.path().field("response_format");
    let Some(value) = fields.take_json("response_format") else { return Ok(None) };
    let mut format = Fields::of(value, &at)?;
    let kind = match format.peek("type") {
        Some(Value::String(kind)) => kind.clone(),
        Some(other) => return Err(format.wrong("type", other, "a string")),
        None => return Err(format.missing("type", "\"text\", \"json_object\" or \"json_schema\"")),
    };
    let read = match kind.as_str() {
        "text" => OutputFormat::Text,
        "json_object" => OutputFormat::JsonObject,
        "json_schema" => OutputFormat::JsonSchema(json_schema(&mut format)?),
        // A relative's own format (`regex`, `grammar`): kept whole.
        _ => {
            fields.put("response_format", Value::Object(format.rest()));
            return Ok(None);
        }
    };
    format.take("type");
    fields.keep_nested("response_format", format.rest());
    Ok(Some(read))
}

fn json_schema(format: &mut Fields<'_>) -> Result<JsonSchema, BadRequest> {
    let at = format.path().field("json_schema");
    let Some(value) = format.take_json("json_schema") else {
        return Err(format.missing("json_schema", "an object with name and schema"));
    };
    let mut inner = Fields::of(value, &at)?;
    let schema = JsonSchema {
        name: inner.text("name")?,
        description: inner.text("description")?,
        schema: inner.object("schema")?.map_or_else(|| Value::Object(serde_json::Map::new()), Value::Object),
        strict: inner.flag("strict")?,
    };
    sound_schema(&schema.schema, &at.field("schema"))?;
    format.keep_nested("json_schema", inner.rest());
    Ok(schema)
}

/// `reasoning_effort` (OpenAI), `reasoning` (OpenRouter), `thinking` (Anthropic, DeepSeek, Z.ai).
fn reasoning(fields: &mut Fields<'_>) -> Result<Option<Reasoning>, BadRequest> {
    let mut read = Reasoning::default();
    thinking_object(fields, &mut read)?;
    reasoning_object(fields, &mut read)?;
    if let Some(effort) = effort(fields, "reasoning_effort")? {
        read.effort = Some(effort);
    }
    Ok((read != Reasoning::default()).then_some(read))
}

/// An effort word; one that no wire has stays where it stood.
fn effort(fields: &mut Fields<'_>, name: &str) -> Result<Option<Effort>, BadRequest> {
    let Some(word) = fields.text(name)? else { return Ok(None) };
    let effort = Effort::parse(&word);
    if effort.is_none() {
        fields.put(name, Value::String(word));
    }
    Ok(effort)
}

fn reasoning_object(fields: &mut Fields<'_>, read: &mut Reasoning) -> Result<(), BadRequest> {
    let at = fields.path().field("reasoning");
    let Some(value) = fields.take_json("reasoning") else { return Ok(()) };
    let mut inner = Fields::of(value, &at)?;
    read.effort = effort(&mut inner, "effort")?.or(read.effort);
    read.budget = inner.count("max_tokens")?.or(read.budget);
    read.enabled = inner.flag("enabled")?.or(read.enabled);
    fields.keep_nested("reasoning", inner.rest());
    Ok(())
}

fn thinking_object(fields: &mut Fields<'_>, read: &mut Reasoning) -> Result<(), BadRequest> {
    let at = fields.path().field("thinking");
    let Some(value) = fields.take_json("thinking") else { return Ok(()) };
    let mut inner = Fields::of(value, &at)?;
    let kind = inner.text("type")?;
    read.enabled = match kind.as_deref() {
        Some("enabled" | "adaptive") => Some(true),
        Some("disabled") => Some(false),
        // A later kind is its API's to understand.
        Some(word) => {
            inner.put("type", Value::String(word.to_owned()));
            fields.keep_nested("thinking", inner.rest());
            return Ok(());
        }
        None => return Err(inner.missing("type", "\"enabled\", \"adaptive\" or \"disabled\"")),
    };
    read.budget = inner.count("budget_tokens")?;
    read.display = inner.text("display")?;
    fields.keep_nested("thinking", inner.rest());
    Ok(())
}
