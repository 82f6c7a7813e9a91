//! Content blocks into parts: the same for what callers send and for what the provider answers. Block
//! types that other wires have no word for stay whole, as `Part::Opaque`.

use serde_json::Value;
use serde_json::value::RawValue;

use super::types::{Block, Fields, Item, Place};
use super::{Wire, citation};
use crate::ir::{Document, Image, Part, Signature, Source, Text, Thinking, ToolCall, ToolResult};
use crate::wire::json::{Json, Members};
use crate::wire::{BadRequest, sound};

const A_BLOCK: &str = "an object with a `type`";

/// The parts of a content array.
pub(super) fn decode_all(blocks: Vec<Block<'_>>, place: &Place<'_>) -> Result<Vec<Part>, BadRequest> {
    blocks.into_iter().enumerate().map(|(index, block)| decode(block, &place.item(index))).collect()
}

/// One block.
pub(super) fn decode(block: Block<'_>, place: &Place<'_>) -> Result<Part, BadRequest> {
    let (fields, input) = match block {
        Item::Object { fields, special } => (fields, special),
        Item::Other(value) => return Err(place.wrong(&value, A_BLOCK)),
    };
    if fields.get("type").and_then(|kind| kind.look().as_str()) == Some("tool_use") {
        return tool_use(Fields::new(fields, place), input);
    }
    let mut fields = fields;
    if let Some(input) = input {
        let parsed = serde_json::from_str(input.get());
        let value: Value = parsed.map_err(|err| place.field("input").bad(&err.to_string()))?;
        fields.put("input", value);
    }
    decode_fields(fields, place)
}

fn decode_value(value: Json<'_>, place: &Place<'_>) -> Result<Part, BadRequest> {
    match value.members() {
        Ok(fields) => decode_fields(fields, place),
        Err(other) => Err(place.wrong(other.look(), A_BLOCK)),
    }
}

fn decode_fields(map: Members<'_>, place: &Place<'_>) -> Result<Part, BadRequest> {
    let typed = match map.get("type").map(Json::look) {
        Some(Value::String(kind)) => Typed::of(kind, &map),
        Some(other) => return Err(place.field("type").wrong(other, "the name of a block type")),
        None => return Err(place.field("type").missing("the name of a block type")),
    };
    let Some(typed) = typed else {
        return Ok(Part::Opaque { wire: Wire::Anthropic, value: Value::Object(map.into_map()) });
    };
    let mut fields = Fields::new(map, place);
    fields.take("type");
    match typed {
        Typed::Text => text(fields),
        Typed::Image => image(fields),
        Typed::Document => document(fields),
        Typed::ToolResult => tool_result(fields),
        Typed::Thinking => thinking(fields),
        Typed::RedactedThinking => {
            Ok(Part::RedactedThinking { data: fields.need_text("data")?, extra: fields.extra() })
        }
    }
}

/// The block types that have a typed place in the pivot (`tool_use` is read before).
#[derive(Clone, Copy)]
enum Typed {
    Text,
    Image,
    Document,
    ToolResult,
    Thinking,
    RedactedThinking,
}

impl Typed {
    fn of(kind: &str, fields: &Members<'_>) -> Option<Self> {
        Some(match kind {
            "text" => Self::Text,
            "image" => Self::Image,
            // A document made of blocks has no twin anywhere.
            "document" if source_type(fields) != Some("content") => Self::Document,
            "tool_result" => Self::ToolResult,
            "thinking" => Self::Thinking,
            "redacted_thinking" => Self::RedactedThinking,
            _ => return None,
        })
    }
}

fn source_type<'a>(fields: &'a Members<'_>) -> Option<&'a str> {
    fields.get("source")?.text_of("type")
}

fn text(mut fields: Fields<'_>) -> Result<Part, BadRequest> {
    let text = fields.need_text("text")?;
    let citations = citation::take(&mut fields)?;
    let cache = fields.cache();
    Ok(Part::Text(Text { text, citations, cache, extra: fields.extra() }))
}

fn image(mut fields: Fields<'_>) -> Result<Part, BadRequest> {
    let source = source(&mut fields, false)?;
    let cache = fields.cache();
    Ok(Part::Image(Image { source, detail: None, cache, extra: fields.extra() }))
}

fn document(mut fields: Fields<'_>) -> Result<Part, BadRequest> {
    let source = source(&mut fields, true)?;
    let name = fields.text("title")?;
    let cache = fields.cache();
    Ok(Part::Document(Document { source, name, cache, extra: fields.extra() }))
}

fn source(fields: &mut Fields<'_>, text_allowed: bool) -> Result<Source, BadRequest> {
    let expected = if text_allowed { "base64, url, file, text or content" } else { "base64, url or file" };
    let place = fields.place().field("source");
    let Some(value) = fields.take_json("source") else { return Err(place.missing("an object")) };
    let mut inner = Fields::of(value, &place)?;
    let kind = inner.need_text("type")?;
    let source = match kind.as_str() {
        "base64" => {
            let (media_type, data) = (inner.need_text("media_type")?, inner.need_text("data")?);
            base64(media_type, data, !text_allowed, &place)?
        }
        "url" => Source::Url(inner.need_text("url")?),
        "file" => Source::File(inner.need_text("file_id")?),
        "text" if text_allowed => Source::Text {
            media_type: inner.text("media_type")?.unwrap_or_else(|| "text/plain".to_owned()),
            text: inner.need_text("data")?,
        },
        _ => return Err(place.field("type").wrong(&Value::String(kind), expected)),
    };
    let left = inner.rest();
    fields.keep_rest_of("source", left);
    Ok(source)
}

fn base64(media_type: String, data: String, image: bool, place: &Place<'_>) -> Result<Source, BadRequest> {
    let is_image = media_type.get(..6).is_some_and(|kind| kind.eq_ignore_ascii_case("image/"));
    if image && !is_image {
        return Err(place.field("media_type").wrong(&Value::String(media_type), "the type of an image"));
    }
    if !sound::is_base64(&data) {
        return Err(place.field("data").bad("expected base64, found text that is none"));
    }
    Ok(Source::Base64 { media_type, data })
}

fn tool_use(mut fields: Fields<'_>, input: Option<Box<RawValue>>) -> Result<Part, BadRequest> {
    fields.take("type");
    fields.take("input");
    let place = fields.place();
    let arguments = match input {
        Some(raw) if raw.get().starts_with('{') => Box::<str>::from(raw).into_string(),
        Some(raw) => {
            let found = serde_json::from_str(raw.get()).unwrap_or_default();
            return Err(place.field("input").wrong(&found, "an object"));
        }
        None => return Err(place.field("input").missing("an object")),
    };
    let id = fields.need_text("id")?;
    let name = fields.need_text("name")?;
    let cache = fields.cache();
    Ok(Part::ToolCall(ToolCall { id, name, arguments, cache, extra: fields.extra() }))
}

fn tool_result(mut fields: Fields<'_>) -> Result<Part, BadRequest> {
    let call_id = fields.need_text("tool_use_id")?;
    let place = fields.place().field("content");
    let parts = match fields.take_json("content") {
        None => Vec::new(),
        Some(Json::Value(Value::String(text))) => vec![Part::text(text)],
        Some(other) => {
            let expected = "a string or an array of blocks";
            let items = other.items().map_err(|other| place.wrong(other.look(), expected))?;
            let inner = |(index, item)| decode_value(item, &place.item(index));
            items.into_iter().enumerate().map(inner).collect::<Result<_, _>>()?
        }
    };
    let is_error = fields.flag("is_error")?;
    let cache = fields.cache();
    Ok(Part::ToolResult(ToolResult { call_id, parts, is_error, cache, extra: fields.extra() }))
}

/// An empty signature is none: gateways write it where the model that reasoned gave none.
fn thinking(mut fields: Fields<'_>) -> Result<Part, BadRequest> {
    let text = fields.need_text("thinking")?;
    let signature = fields.text("signature")?.filter(|signature| !signature.is_empty());
    let signature = signature.map(|text| Signature::read(Wire::Anthropic, text));
    Ok(Part::Thinking(Thinking { text, signature, extra: fields.extra() }))
}
