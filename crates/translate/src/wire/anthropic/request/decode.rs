//! A caller's body into the pivot. Unknown fields are kept, wrong ones are refused with their place.

use serde_json::{Map, Value};

use crate::ir::{
    Effort, Extra, JsonSchema, Message, OutputFormat, Part, Reasoning, Request, Role, Sampling, Text, Tool,
    ToolChoice,
};
use crate::wire::BadRequest;
use crate::wire::anthropic::types::{Body, Fields, Item, List, Message as WireMessage, Place};
use crate::wire::anthropic::{Wire, blocks, citation};
use crate::wire::json::{self, Json};
use crate::wire::{ids, sound};

/// Reads a request body.
///
/// # Errors
/// [`BadRequest`] with the line and column of broken JSON, or the path of a wrong field.
pub(in crate::wire::anthropic) fn decode(body: &[u8]) -> Result<Request, BadRequest> {
    let body: Body<'_> = json::read(body)
        .map_err(|err| Place::Root.bad(&format!("expected a JSON object: {}", sound::no_json(&err))))?;
    let (mut map, messages) = match body {
        Item::Object { fields, special } => (fields, special),
        Item::Other(value) => return Err(Place::Root.wrong(&value, "a JSON object")),
    };
    for consumed in ["messages", "fallbacks", "extra_fields"] {
        map.take(consumed);
    }
    let mut fields = Fields::new(map, &Place::Root);
    let mut request = Request { model: fields.need_text("model")?, stream_usage: true, ..Request::default() };
    request.max_tokens = Some(required_max_tokens(&mut fields)?);
    request.messages.extend(system(&mut fields)?);
    let ahead = request.messages.len();
    messages_into(&mut request.messages, messages)?;
    results_have_calls(&request.messages, ahead)?;
    request.tools = tools(&mut fields)?;
    tool_choice(&mut fields, &mut request)?;
    request.output_format = output_config(&mut fields, &mut request)?;
    thinking(&mut fields, &mut request)?;
    request.sampling = sampling(&mut fields)?;
    request.stop = stop_sequences(&mut fields)?;
    request.stream = fields.flag("stream")?.unwrap_or(false);
    metadata(&mut fields, &mut request)?;
    request.service_tier = fields.text("service_tier")?.map(service_tier);
    request.extra = fields.extra();
    Ok(request)
}

fn required_max_tokens(fields: &mut Fields<'_>) -> Result<u64, BadRequest> {
    let missing = || Place::Root.field("max_tokens").missing("a whole number from 0 up");
    fields.count("max_tokens")?.ok_or_else(missing)
}

/// The top-level `system` becomes the first message; its blocks are that message's parts.
fn system(fields: &mut Fields<'_>) -> Result<Option<Message>, BadRequest> {
    let place = Place::Root.field("system");
    let parts = match fields.take_json("system") {
        None => return Ok(None),
        Some(Json::Value(Value::String(text))) if text.is_empty() => return Ok(None),
        Some(Json::Value(Value::String(text))) => vec![Part::text(text)],
        Some(other) => {
            let expected = "a string or an array of text blocks";
            let items = other.items().map_err(|other| place.wrong(other.look(), expected))?;
            let block = |(index, item)| system_block(item, &place.item(index));
            items.into_iter().enumerate().map(block).collect::<Result<Vec<_>, _>>()?
        }
    };
    let message = Message { role: Role::System, name: None, parts, extra: Extra::default() };
    Ok((!message.parts.is_empty()).then_some(message))
}

fn system_block(item: Json<'_>, place: &Place<'_>) -> Result<Part, BadRequest> {
    let mut fields = Fields::of(item, place)?;
    match fields.peek("type").and_then(Value::as_str) {
        Some("text") => {
            fields.take("type");
            let text = fields.need_text("text")?;
            let citations = citation::take(&mut fields)?;
            let cache = fields.cache();
            Ok(Part::Text(Text { text, citations, cache, extra: fields.extra() }))
        }
        Some(_) => Ok(Part::Opaque { wire: Wire::Anthropic, value: Value::Object(fields.rest()) }),
        None => Err(place.field("type").missing("the name of a block type")),
    }
}

fn messages_into(out: &mut Vec<Message>, list: Option<List<WireMessage<'_>>>) -> Result<(), BadRequest> {
    let place = Place::Root.field("messages");
    match list {
        Some(List::Items(items)) if items.is_empty() => {
            Err(place.bad("expected at least one message, found an empty array"))
        }
        Some(List::Items(items)) => {
            for (index, item) in items.into_iter().enumerate() {
                out.push(message(item, &place.item(index))?);
            }
            Ok(())
        }
        Some(List::Other(value)) => Err(place.wrong(&value, "an array of messages")),
        None => Err(place.missing("an array of messages")),
    }
}

fn message(item: WireMessage<'_>, place: &Place<'_>) -> Result<Message, BadRequest> {
    const CONTENT: &str = "a string or an array of blocks";
    let (map, content) = match item {
        Item::Object { fields, special } => (fields, special),
        Item::Other(value) => return Err(place.wrong(&value, "an object with `role` and `content`")),
    };
    let mut fields = Fields::new(map, place);
    fields.take("content");
    let role = match fields.need_text("role")?.as_str() {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "system" => Role::System,
        other => {
            let found = Value::String(other.to_owned());
            return Err(place.field("role").wrong(&found, "user, assistant or system"));
        }
    };
    let content_place = place.field("content");
    let parts = match content {
        Some(List::Items(items)) => blocks::decode_all(items, &content_place)?,
        Some(List::Other(Value::String(text))) => vec![Part::text(text)],
        Some(List::Other(value)) => return Err(content_place.wrong(&value, CONTENT)),
        None => return Err(content_place.missing(CONTENT)),
    };
    Ok(Message { role, name: None, parts, extra: fields.extra() })
}

/// `ahead`: messages of the pivot that are not in the list of the body.
fn results_have_calls(messages: &[Message], ahead: usize) -> Result<(), BadRequest> {
    let Some((message, part, id)) = ids::orphan(messages) else { return Ok(()) };
    let list = Place::Root.field("messages");
    let message = list.item(message.saturating_sub(ahead));
    let content = message.field("content");
    let found = Value::String(id.to_owned());
    Err(content.item(part).field("tool_use_id").wrong(&found, "the id of a `tool_use` block before it"))
}

fn tools(fields: &mut Fields<'_>) -> Result<Vec<Tool>, BadRequest> {
    let place = Place::Root.field("tools");
    let items = fields.list("tools")?.unwrap_or_default();
    items.into_iter().enumerate().map(|(index, item)| tool(item, &place.item(index))).collect()
}

/// A tool with a `type` other than `custom` is known to this wire alone.
fn tool(item: Json<'_>, place: &Place<'_>) -> Result<Tool, BadRequest> {
    let mut fields = Fields::of(item, place)?;
    match fields.peek("type") {
        None | Some(Value::Null) => {}
        Some(Value::String(kind)) if kind == "custom" => {}
        Some(Value::String(_)) => {
            return Ok(Tool::Opaque { wire: Wire::Anthropic, value: Value::Object(fields.rest()) });
        }
        Some(other) => return Err(place.field("type").wrong(other, "a string")),
    }
    fields.take("type");
    let parameters = fields.object("input_schema")?.map(Value::Object);
    if let Some(schema) = &parameters {
        sound_schema(schema, &place.field("input_schema"))?;
    }
    Ok(Tool::Function {
        name: fields.need_text("name")?,
        description: fields.text("description")?,
        parameters,
        strict: fields.flag("strict")?,
        cache: fields.cache(),
        extra: fields.extra(),
    })
}

fn sound_schema(schema: &Value, place: &Place<'_>) -> Result<(), BadRequest> {
    sound::schema_flaw(schema).map_or(Ok(()), |flaw| {
        let path = format!("{place}{}", flaw.path);
        Err(BadRequest::at(path.clone(), format!("{path}: it {}", flaw.complaint)))
    })
}

fn tool_choice(fields: &mut Fields<'_>, request: &mut Request) -> Result<(), BadRequest> {
    let place = Place::Root.field("tool_choice");
    let Some(value) = fields.take("tool_choice") else { return Ok(()) };
    let whole = value.clone();
    let mut inner = Fields::of(value, &place)?;
    let choice = match inner.need_text("type")?.as_str() {
        "auto" => ToolChoice::Auto,
        "any" => ToolChoice::Required,
        "none" => ToolChoice::None,
        "tool" => ToolChoice::Named(inner.need_text("name")?),
        _ => {
            request.tool_choice = Some(ToolChoice::Opaque { wire: Wire::Anthropic, value: whole });
            return Ok(());
        }
    };
    request.tool_choice = Some(choice);
    request.parallel_tool_calls = inner.flag("disable_parallel_tool_use")?.map(|disabled| !disabled);
    fields.keep_rest_of("tool_choice", inner.rest());
    Ok(())
}

/// `output_config`, and the older `output_format` that is its `format`.
fn output_config(fields: &mut Fields<'_>, request: &mut Request) -> Result<Option<OutputFormat>, BadRequest> {
    let mut format = output_format(fields, "output_format")?;
    let place = Place::Root.field("output_config");
    let Some(map) = fields.object("output_config")? else { return Ok(format) };
    let mut inner = Fields::new(map, &place);
    if let Some(word) = inner.text("effort")? {
        match Effort::parse(&word) {
            Some(effort) => request.reasoning.get_or_insert_default().effort = Some(effort),
            None => inner.put_back("effort", Value::String(word)),
        }
    }
    if let Some(current) = output_format(&mut inner, "format")? {
        format = Some(current);
    }
    fields.keep_rest_of("output_config", inner.rest());
    Ok(format)
}

fn output_format(fields: &mut Fields<'_>, key: &str) -> Result<Option<OutputFormat>, BadRequest> {
    let Some(mut map) = fields.object(key)? else { return Ok(None) };
    let known = map.get("type").and_then(Value::as_str) == Some("json_schema");
    let Some(schema) = known.then(|| map.shift_remove("schema")).flatten() else {
        fields.keep_rest_of(key, map);
        return Ok(None);
    };
    let place = fields.place().field(key);
    sound_schema(&schema, &place.field("schema"))?;
    map.shift_remove("type");
    let mut text = |key| match map.get(key) {
        Some(Value::String(text)) => {
            let text = text.clone();
            map.shift_remove(key);
            Some(text)
        }
        _ => None,
    };
    let name = text("name");
    let description = text("description");
    fields.keep_rest_of(key, map);
    Ok(Some(OutputFormat::JsonSchema(JsonSchema { name, description, schema, strict: None })))
}

fn thinking(fields: &mut Fields<'_>, request: &mut Request) -> Result<(), BadRequest> {
    let place = Place::Root.field("thinking");
    let Some(map) = fields.object("thinking")? else { return Ok(()) };
    let mut inner = Fields::new(map, &place);
    let kind = inner.need_text("type")?;
    let mut found = Reasoning::default();
    match kind.as_str() {
        "enabled" => {
            let missing = || place.field("budget_tokens").missing("a whole number of tokens");
            found.budget = Some(inner.count("budget_tokens")?.ok_or_else(missing)?);
        }
        "adaptive" => found.enabled = Some(true),
        "disabled" => found.enabled = Some(false),
        _ => {
            inner.put_back("type", Value::String(kind));
            fields.keep_rest_of("thinking", inner.rest());
            return Ok(());
        }
    }
    found.display = inner.text("display")?;
    found.effort = request.reasoning.take().and_then(|reasoning| reasoning.effort);
    request.reasoning = Some(found);
    fields.keep_rest_of("thinking", inner.rest());
    Ok(())
}

fn sampling(fields: &mut Fields<'_>) -> Result<Sampling, BadRequest> {
    Ok(Sampling {
        temperature: fields.number("temperature")?,
        top_p: fields.number("top_p")?,
        top_k: fields.count("top_k")?,
        ..Sampling::default()
    })
}

fn stop_sequences(fields: &mut Fields<'_>) -> Result<Vec<String>, BadRequest> {
    let place = Place::Root.field("stop_sequences");
    let text = |(index, item)| match item {
        Json::Value(Value::String(text)) => Ok(text),
        other => Err(place.item(index).wrong(other.look(), "a string")),
    };
    fields.list("stop_sequences")?.unwrap_or_default().into_iter().enumerate().map(text).collect()
}

fn metadata(fields: &mut Fields<'_>, request: &mut Request) -> Result<(), BadRequest> {
    let Some(map) = fields.object("metadata")? else { return Ok(()) };
    request.user = user_id(&map)?;
    request.metadata = Some(map);
    Ok(())
}

fn user_id(metadata: &Map<String, Value>) -> Result<Option<String>, BadRequest> {
    match metadata.get("user_id") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(user)) => Ok(Some(user.clone())),
        Some(other) => Err(Place::Root.field("metadata").field("user_id").wrong(other, "a string")),
    }
}

/// `standard_only` is what the pivot, with most wires, calls `default`.
fn service_tier(word: String) -> String {
    if word == "standard_only" { "default".to_owned() } else { word }
}
