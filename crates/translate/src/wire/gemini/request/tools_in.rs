//! Reads the tools and the choice among them. The provider's own tools (search, code execution) stay whole,
//! one by one, as no other wire has them.

use serde_json::{Map, Value};

use crate::ir::{Tool, ToolChoice};
use crate::wire::BadRequest;
use crate::wire::fields::{Fields, Path, wrong};
use crate::wire::gemini::Wire;
use crate::wire::gemini::schema::from_openapi;
use crate::wire::gemini::spelling::{extra, rest, spelled};
use crate::wire::json::Json;

/// Takes `tools`.
pub(super) fn tools(fields: &mut Fields<'_>) -> Result<Vec<Tool>, BadRequest> {
    let at = fields.path().field("tools");
    let mut tools = Vec::new();
    let list = match fields.take_json("tools").map(Json::items) {
        None => return Ok(tools),
        Some(Ok(list)) => list,
        Some(Err(single @ Json::Object(_))) => vec![single],
        Some(Err(other)) => return Err(fields.wrong("tools", other.look(), "a list of tools")),
    };
    for (index, value) in list.into_iter().enumerate() {
        tool(value, &at.item(index), &mut tools)?;
    }
    Ok(tools)
}

/// One entry holds any number of functions and of the provider's own tools.
fn tool(value: Json<'_>, at: &Path<'_>, tools: &mut Vec<Tool>) -> Result<(), BadRequest> {
    let mut fields = Fields::of(value, at)?;
    let key = spelled(&fields, "functionDeclarations", "function_declarations");
    let inner = at.field(key);
    for (index, value) in fields.list(key)?.unwrap_or_default().into_iter().enumerate() {
        let at = inner.item(index);
        tools.push(function(Fields::of(value, &at)?)?);
    }
    for (name, value) in rest(fields) {
        let value = Value::Object(Map::from_iter([(name, value)]));
        tools.push(Tool::Opaque { wire: Wire::Gemini, value });
    }
    Ok(())
}

fn function(mut fields: Fields<'_>) -> Result<Tool, BadRequest> {
    let name = fields.required_text("name")?;
    let description = fields.text("description")?;
    let json = spelled(&fields, "parametersJsonSchema", "parameters_json_schema");
    let mut parameters = None;
    // Only one of them may be given; the newer says more, and the other stays where it is.
    for key in [json, "parameters"] {
        let Some(value) = parameters.is_none().then(|| fields.take(key)).flatten() else { continue };
        if !value.is_object() {
            return Err(fields.wrong(key, &value, "a schema object"));
        }
        parameters = Some(if key == "parameters" { from_openapi(value) } else { value });
    }
    Ok(Tool::Function { name, description, parameters, strict: None, cache: None, extra: extra(fields) })
}

/// Takes `toolConfig.functionCallingConfig`; what else the object holds is kept.
pub(super) fn choice(fields: &mut Fields<'_>) -> Result<Option<ToolChoice>, BadRequest> {
    let key = spelled(fields, "toolConfig", "tool_config");
    let at = fields.path().field(key);
    let Some(value) = fields.take_json(key) else { return Ok(None) };
    let mut config = Fields::of(value, &at)?;
    let key = spelled(&config, "functionCallingConfig", "function_calling_config");
    let inner = at.field(key);
    let choice = match config.take(key) {
        None => None,
        Some(value) => function_calling(value, &inner)?,
    };
    fields.keep_nested("toolConfig", rest(config));
    Ok(choice)
}

fn function_calling(value: Value, at: &Path<'_>) -> Result<Option<ToolChoice>, BadRequest> {
    let whole = value.clone();
    let mut fields = Fields::of(value, at)?;
    let mode = fields.text("mode")?.unwrap_or_default();
    let key = spelled(&fields, "allowedFunctionNames", "allowed_function_names");
    let list = at.field(key);
    let names = fields.list(key)?.unwrap_or_default();
    let name = |(index, value): (usize, Json<'_>)| match value {
        Json::Value(Value::String(name)) => Ok(name),
        other => Err(wrong(&list.item(index), other.look(), "a function's name")),
    };
    let mut names: Vec<String> = names.into_iter().enumerate().map(name).collect::<Result<_, _>>()?;
    let plain = rest(fields).is_empty();
    let names_some = plain && !names.is_empty();
    Ok(match (mode.to_ascii_uppercase().as_str(), names.len()) {
        ("" | "MODE_UNSPECIFIED", 0) if plain => None,
        ("AUTO", 0) if plain => Some(ToolChoice::Auto),
        ("NONE", 0) if plain => Some(ToolChoice::None),
        ("ANY", 0) if plain => Some(ToolChoice::Required),
        ("ANY", 1) if plain => names.pop().map(ToolChoice::Named),
        ("ANY", _) if names_some => Some(ToolChoice::Among { required: true, names }),
        ("" | "AUTO" | "MODE_UNSPECIFIED" | "VALIDATED", _) if names_some => {
            Some(ToolChoice::Among { required: false, names })
        }
        // Validated calls.
        _ => Some(ToolChoice::Opaque { wire: Wire::Gemini, value: whole }),
    })
}
