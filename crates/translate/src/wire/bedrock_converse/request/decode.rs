//! A caller's body into the pivot. Unknown fields are kept, wrong ones are refused with their place.

use serde_json::Value;

use super::model_fields;
use crate::ir::{
    Effort, Extra, JsonSchema, Message, OutputFormat, Request, Role, Sampling, Tool, ToolChoice,
};
use crate::wire::BadRequest;
use crate::wire::bedrock_converse::blocks::{self, Reader};
use crate::wire::bedrock_converse::types::{OWN, mark};
use crate::wire::fields::{Fields, Path, wrong};
use crate::wire::json::{self, Json};

/// Reads a request body.
///
/// # Errors
/// [`BadRequest`] with the line and column of broken JSON, or the path of a wrong field.
pub(in crate::wire::bedrock_converse) fn decode(body: &[u8]) -> Result<Request, BadRequest> {
    let whole: Json<'_> = json::read(body)
        .map_err(|error| BadRequest::at("", format!("the body is not valid JSON: {error}")))?;
    let mut fields = Fields::of(whole, &Path::Body)?;
    for consumed in ["fallbacks", "extra_fields"] {
        fields.take_json(consumed);
    }
    let mut request = Request { stream_usage: true, ..Request::default() };
    if let Some(list) = fields.list("system")? {
        let parts = blocks::system(list, &Path::Body.field("system"))?;
        if !parts.is_empty() {
            request.messages.push(Message { role: Role::System, name: None, parts, extra: Extra::default() });
        }
    }
    messages(&mut fields, &mut Reader::of_request(body), &mut request.messages)?;
    inference(&mut fields, &mut request)?;
    tool_config(&mut fields, &mut request)?;
    output_config(&mut fields, &mut request)?;
    model_fields::decode(&mut fields, &mut request)?;
    request.metadata = metadata(&mut fields)?;
    let user = request.metadata.as_ref().and_then(|metadata| metadata.get("user_id"));
    request.user = user.and_then(Value::as_str).map(str::to_owned);
    request.service_tier = service_tier(&mut fields)?;
    request.extra = fields.extra(OWN);
    Ok(request)
}

fn messages(
    fields: &mut Fields<'_>,
    reader: &mut Reader<'_>,
    out: &mut Vec<Message>,
) -> Result<(), BadRequest> {
    let path = Path::Body.field("messages");
    let list = fields.list("messages")?.ok_or_else(|| fields.missing("messages", "a list of messages"))?;
    for (index, value) in list.into_iter().enumerate() {
        let path = path.item(index);
        let mut fields = Fields::of(value, &path)?;
        let role = match fields.required_text("role")?.as_str() {
            "user" => Role::User,
            "assistant" => Role::Assistant,
            other => return Err(fields.wrong("role", &Value::from(other), "user or assistant")),
        };
        let content = fields.list("content")?.ok_or_else(|| fields.missing("content", "a list of blocks"))?;
        let parts = reader.content(content, &path.field("content"))?;
        out.push(Message { role, name: None, parts, extra: fields.extra(OWN) });
    }
    Ok(())
}

fn inference(fields: &mut Fields<'_>, request: &mut Request) -> Result<(), BadRequest> {
    let path = Path::Body.field("inferenceConfig");
    let Some(value) = fields.take_json("inferenceConfig") else { return Ok(()) };
    let mut inner = Fields::of(value, &path)?;
    request.max_tokens = inner.count("maxTokens")?;
    request.sampling = Sampling {
        temperature: inner.number("temperature")?,
        top_p: inner.number("topP")?,
        ..Sampling::default()
    };
    let stops = path.field("stopSequences");
    for (index, value) in inner.list("stopSequences")?.unwrap_or_default().into_iter().enumerate() {
        match value {
            Json::Value(Value::String(text)) => request.stop.push(text),
            other => return Err(wrong(&stops.item(index), other.look(), "a string")),
        }
    }
    fields.keep_nested("inferenceConfig", inner.rest());
    Ok(())
}

fn tool_config(fields: &mut Fields<'_>, request: &mut Request) -> Result<(), BadRequest> {
    let path = Path::Body.field("toolConfig");
    let Some(value) = fields.take_json("toolConfig") else { return Ok(()) };
    let mut inner = Fields::of(value, &path)?;
    let list = path.field("tools");
    for (index, value) in inner.list("tools")?.unwrap_or_default().into_iter().enumerate() {
        let tool = tool(value, &list.item(index))?;
        if !mark_last(&mut request.tools, &tool) {
            request.tools.push(tool);
        }
    }
    request.tool_choice = tool_choice(&mut inner, &path.field("toolChoice"))?;
    fields.keep_nested("toolConfig", inner.rest());
    Ok(())
}

fn tool(value: Json<'_>, path: &Path<'_>) -> Result<Tool, BadRequest> {
    let mut fields = Fields::of(value, path)?;
    let Some(spec) = fields.take_json("toolSpec") else {
        let rest = fields.rest();
        return match rest.len() {
            1 => Ok(Tool::Opaque { wire: OWN, value: Value::Object(rest) }),
            _ => Err(wrong(path, &Value::Object(rest), "an object with `toolSpec`")),
        };
    };
    let path = path.field("toolSpec");
    let mut inner = Fields::of(spec, &path)?;
    let name = inner.required_text("name")?;
    let description = inner.text("description")?;
    let strict = inner.flag("strict")?;
    let schema_path = path.field("inputSchema");
    let parameters = match inner.take_json("inputSchema") {
        None => None,
        Some(schema) => {
            let mut schema = Fields::of(schema, &schema_path)?;
            let json = schema.object("json")?;
            inner.keep_nested("inputSchema", schema.rest());
            json.map(Value::Object)
        }
    };
    Ok(Tool::Function { name, description, parameters, strict, cache: None, extra: inner.extra(OWN) })
}

fn mark_last(tools: &mut [Tool], tool: &Tool) -> bool {
    let Tool::Opaque { value, .. } = tool else { return false };
    let Some(mark) = value.get("cachePoint").and_then(mark) else { return false };
    match tools.last_mut() {
        Some(Tool::Function { cache: cache @ None, .. }) => {
            *cache = Some(mark);
            true
        }
        _ => false,
    }
}

fn tool_choice(fields: &mut Fields<'_>, path: &Path<'_>) -> Result<Option<ToolChoice>, BadRequest> {
    let Some(value) = fields.take("toolChoice") else { return Ok(None) };
    let Some(choice) = value.as_object() else { return Err(wrong(path, &value, "an object")) };
    Ok(Some(if choice.get("auto").is_some_and(Value::is_object) {
        ToolChoice::Auto
    } else if choice.get("any").is_some_and(Value::is_object) {
        ToolChoice::Required
    } else if let Some(tool) = choice.get("tool").filter(|tool| !tool.is_null()) {
        let place = path.field("tool");
        ToolChoice::Named(Fields::of(tool.clone(), &place)?.required_text("name")?)
    } else {
        return Err(wrong(path, &value, "an object with `auto`, `any` or `tool`"));
    }))
}

fn output_config(fields: &mut Fields<'_>, request: &mut Request) -> Result<(), BadRequest> {
    let path = Path::Body.field("outputConfig");
    let Some(value) = fields.take_json("outputConfig") else { return Ok(()) };
    let mut inner = Fields::of(value, &path)?;
    if let Some(word) = inner.text("effort")? {
        match Effort::parse(&word) {
            Some(effort) => request.reasoning.get_or_insert_default().effort = Some(effort),
            None => inner.put("effort", word.into()),
        }
    }
    let format = path.field("textFormat");
    if let Some(value) = inner.take_json("textFormat") {
        let mut text_format = Fields::of(value, &format)?;
        let kind = text_format.required_text("type")?;
        if kind != "json_schema" {
            return Err(text_format.wrong("type", &kind.into(), "json_schema"));
        }
        let place = format.field("structure");
        let structure = text_format.take_json("structure");
        let structure = structure.ok_or_else(|| text_format.missing("structure", "an object"))?;
        let mut structure = Fields::of(structure, &place)?;
        request.output_format = Some(json_schema(&mut structure, &place.field("jsonSchema"))?);
    }
    fields.keep_nested("outputConfig", inner.rest());
    Ok(())
}

/// The schema comes as text.
fn json_schema(structure: &mut Fields<'_>, path: &Path<'_>) -> Result<OutputFormat, BadRequest> {
    let value = structure.take_json("jsonSchema");
    let value = value.ok_or_else(|| structure.missing("jsonSchema", "an object"))?;
    let mut fields = Fields::of(value, path)?;
    let text = fields.required_text("schema")?;
    let schema = serde_json::from_str(&text).map_err(|error| {
        let place = path.field("schema").to_string();
        let message = format!("`{place}` is not the text of a JSON schema: {error}");
        BadRequest::at(place, message)
    })?;
    let (name, description) = (fields.text("name")?, fields.text("description")?);
    Ok(OutputFormat::JsonSchema(JsonSchema { name, description, schema, strict: None }))
}

fn metadata(fields: &mut Fields<'_>) -> Result<Option<serde_json::Map<String, Value>>, BadRequest> {
    let Some(map) = fields.object("requestMetadata")? else { return Ok(None) };
    if let Some((name, found)) = map.iter().find(|(_, value)| !value.is_string()) {
        return Err(wrong(&Path::Body.field("requestMetadata").field(name), found, "a string"));
    }
    Ok(Some(map))
}

fn service_tier(fields: &mut Fields<'_>) -> Result<Option<String>, BadRequest> {
    let path = Path::Body.field("serviceTier");
    let Some(value) = fields.take_json("serviceTier") else { return Ok(None) };
    Ok(Some(Fields::of(value, &path)?.required_text("type")?))
}
