//! Content blocks into parts: the same for what callers send and for what the provider answers. A block is
//! an object with one member, whose name says what it is. Blocks that other wires have no word for stay
//! whole, as `Part::Opaque`.

use serde_json::{Map, Value};

use super::types::{OWN, document_type, image_type, mark};
use crate::ir::{
    CacheMark, Citation, Document, Extra, Image, Part, Signature, Source, Text, Thinking, ToolCall,
    ToolResult,
};
use crate::wire::BadRequest;
use crate::wire::fields::{Fields, Path, wrong};
use crate::wire::json::Json;

/// Reads the blocks of one body, in their order.
pub(super) struct Reader<'a> {
    body: &'a [u8],
    /// Finds the inputs of all calls as they were written; looked for at the first call.
    find: fn(&'a [u8]) -> Option<Vec<Option<&'a str>>>,
    inputs: Option<std::vec::IntoIter<Option<&'a str>>>,
    signed: fn(String) -> Signature,
}

impl<'a> Reader<'a> {
    /// For a caller's body.
    pub(super) fn of_request(body: &'a [u8]) -> Self {
        let signed = |text| Signature::read(OWN, text);
        Self { body, find: super::types::inputs_of_request, inputs: None, signed }
    }

    /// For a provider's answer.
    pub(super) fn of_response(body: &'a [u8]) -> Self {
        let signed = |text| Signature::of(OWN, text);
        Self { body, find: super::types::inputs_of_response, inputs: None, signed }
    }

    /// The parts of a content list. A cache point becomes the mark of the part before it.
    pub(super) fn content(&mut self, list: Vec<Json<'_>>, path: &Path<'_>) -> Result<Vec<Part>, BadRequest> {
        let mut parts = Vec::with_capacity(list.len());
        for (index, value) in list.into_iter().enumerate() {
            let part = self.block(value, &path.item(index))?;
            if !mark_last(&mut parts, &part) {
                parts.push(part);
            }
        }
        Ok(parts)
    }

    fn block(&mut self, value: Json<'_>, path: &Path<'_>) -> Result<Part, BadRequest> {
        let mut fields = Fields::of(value, path)?;
        let part = if let Some(text) = fields.text("text")? {
            Part::text(text)
        } else if let Some(call) = fields.take_json("toolUse") {
            self.tool_use(call, &path.field("toolUse"))?
        } else if let Some(result) = fields.take_json("toolResult") {
            self.tool_result(result, &path.field("toolResult"))?
        } else if let Some(reasoning) = fields.take_json("reasoningContent") {
            self.reasoning(reasoning, &path.field("reasoningContent"))?
        } else if let Some(cited) = fields.take_json("citationsContent") {
            citations(cited, &path.field("citationsContent"))?
        } else if let Some(media) = media(&mut fields, path)? {
            media
        } else {
            return whole(fields);
        };
        only(fields)?;
        Ok(part)
    }

    fn tool_use(&mut self, value: Json<'_>, path: &Path<'_>) -> Result<Part, BadRequest> {
        let mut fields = Fields::of(value, path)?;
        let (body, find) = (self.body, self.find);
        let written =
            self.inputs.get_or_insert_with(|| find(body).unwrap_or_default().into_iter()).next().flatten();
        if fields.peek("type").is_some() {
            // A tool that the provider runs.
            return Ok(opaque("toolUse", Value::Object(fields.rest())));
        }
        let arguments = match fields.take("input") {
            Some(value @ Value::Object(_)) => written.map_or_else(|| value.to_string(), str::to_owned),
            Some(other) => return Err(fields.wrong("input", &other, "an object")),
            None => return Err(fields.missing("input", "an object")),
        };
        let id = fields.required_text("toolUseId")?;
        let name = fields.required_text("name")?;
        Ok(Part::ToolCall(ToolCall { id, name, arguments, cache: None, extra: fields.extra(OWN) }))
    }

    fn tool_result(&mut self, value: Json<'_>, path: &Path<'_>) -> Result<Part, BadRequest> {
        let mut fields = Fields::of(value, path)?;
        let call_id = fields.required_text("toolUseId")?;
        let list = fields.list("content")?.unwrap_or_default();
        let content = path.field("content");
        let mut parts = Vec::with_capacity(list.len());
        for (index, value) in list.into_iter().enumerate() {
            parts.push(result_block(value, &content.item(index))?);
        }
        let is_error = match fields.text("status")?.as_deref() {
            None => None,
            Some("error") => Some(true),
            Some("success") => Some(false),
            Some(other) => {
                return Err(fields.wrong("status", &Value::from(other), "success or error"));
            }
        };
        Ok(Part::ToolResult(ToolResult { call_id, parts, is_error, cache: None, extra: fields.extra(OWN) }))
    }

    fn reasoning(&self, value: Json<'_>, path: &Path<'_>) -> Result<Part, BadRequest> {
        let mut fields = Fields::of(value, path)?;
        if let Some(data) = fields.text("redactedContent")? {
            return Ok(Part::RedactedThinking { data, extra: fields.extra(OWN) });
        }
        let Some(shown) = fields.take_json("reasoningText") else {
            return Ok(opaque("reasoningContent", Value::Object(fields.rest())));
        };
        let place = path.field("reasoningText");
        let mut inner = Fields::of(shown, &place)?;
        let text = inner.text("text")?.unwrap_or_default();
        let signature = inner.text("signature")?.filter(|signature| !signature.is_empty());
        fields.keep_nested("reasoningText", inner.rest());
        let signature = signature.map(self.signed);
        Ok(Part::Thinking(Thinking { text, signature, extra: fields.extra(OWN) }))
    }
}

/// Text of a system prompt, or what else may stand there.
pub(super) fn system(list: Vec<Json<'_>>, path: &Path<'_>) -> Result<Vec<Part>, BadRequest> {
    let mut parts = Vec::with_capacity(list.len());
    for (index, value) in list.into_iter().enumerate() {
        let place = path.item(index);
        let mut fields = Fields::of(value, &place)?;
        let part = match fields.text("text")? {
            Some(text) => {
                only(fields)?;
                Part::text(text)
            }
            None => whole(fields)?,
        };
        if !mark_last(&mut parts, &part) {
            parts.push(part);
        }
    }
    Ok(parts)
}

/// A citation as the other wires know it: page, title, quote. The whole is kept beside.
pub(super) fn citation(raw: Value) -> Citation {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let url = text(raw.pointer("/location/web/url"))
        .or_else(|| text(raw.get("source")).filter(|source| source.contains("://")));
    let quotes: String = raw
        .get("sourceContent")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|piece| piece.get("text")?.as_str())
        .collect();
    let title = text(raw.get("title"));
    Citation { url, title, quote: Some(quotes).filter(|quote| !quote.is_empty()), ..Citation::of(OWN, raw) }
}

/// A member of this wire alone.
pub(super) fn opaque(name: &str, value: Value) -> Part {
    let mut fields = Map::new();
    fields.insert(name.to_owned(), value);
    Part::Opaque { wire: OWN, value: Value::Object(fields) }
}

/// Puts a cache point on the part before it, where that can carry one.
fn mark_last(parts: &mut [Part], part: &Part) -> bool {
    let Part::Opaque { value, .. } = part else { return false };
    let Some(mark) = value.get("cachePoint").and_then(mark) else { return false };
    let place: &mut Option<CacheMark> = match parts.last_mut() {
        Some(Part::Text(text)) => &mut text.cache,
        Some(Part::Image(image)) => &mut image.cache,
        Some(Part::Document(document)) => &mut document.cache,
        Some(Part::ToolCall(call)) => &mut call.cache,
        Some(Part::ToolResult(result)) => &mut result.cache,
        _ => return false,
    };
    let free = place.is_none();
    place.get_or_insert(mark);
    free
}

/// A block that was not understood is kept as it stands.
fn whole(fields: Fields<'_>) -> Result<Part, BadRequest> {
    const EXPECTED: &str = "an object with one kind of content (`text`, `image`, `toolUse`, …)";
    let path = *fields.path();
    let mut rest = fields.rest();
    rest.retain(|_, value| !value.is_null());
    match rest.len() {
        1 => Ok(Part::Opaque { wire: OWN, value: Value::Object(rest) }),
        _ => Err(wrong(&path, &Value::Object(rest), EXPECTED)),
    }
}

/// Nothing may stand beside what was read.
fn only(fields: Fields<'_>) -> Result<(), BadRequest> {
    let path = *fields.path();
    match fields.rest().iter().find(|(_, value)| !value.is_null()) {
        None => Ok(()),
        Some((name, _)) => {
            let path = path.field(name).to_string();
            let message = format!("`{path}` stands beside another kind of content, expected one kind");
            Err(BadRequest::at(path, message))
        }
    }
}

fn media(fields: &mut Fields<'_>, path: &Path<'_>) -> Result<Option<Part>, BadRequest> {
    Ok(Some(if let Some(value) = fields.take_json("image") {
        image(value, &path.field("image"))?
    } else if let Some(value) = fields.take_json("document") {
        document(value, &path.field("document"))?
    } else if let Some(value) = fields.take_json("audio") {
        audio(value, &path.field("audio"))?
    } else {
        return Ok(None);
    }))
}

/// A block of a tool's result. JSON is text to every model.
fn result_block(value: Json<'_>, path: &Path<'_>) -> Result<Part, BadRequest> {
    let mut fields = Fields::of(value, path)?;
    let part = if let Some(text) = fields.text("text")? {
        Part::text(text)
    } else if let Some(json) = fields.take("json") {
        Part::text(json.to_string())
    } else if let Some(media) = media(&mut fields, path)? {
        media
    } else {
        return whole(fields);
    };
    only(fields)?;
    Ok(part)
}

/// The bytes of a source; `Err` gives back the fields of one that has them elsewhere.
fn bytes<'f>(
    fields: &mut Fields<'_>,
    path: &'f Path<'f>,
) -> Result<Result<String, Map<String, Value>>, BadRequest> {
    let Some(source) = fields.take_json("source") else {
        return Err(fields.missing("source", "an object with `bytes`"));
    };
    let mut inner = Fields::of(source, path)?;
    match inner.text("bytes")? {
        Some(data) => {
            only(inner)?;
            Ok(Ok(data))
        }
        None => {
            let missing = inner.missing("bytes", "base64 text");
            let rest = inner.rest();
            if rest.values().all(Value::is_null) { Err(missing) } else { Ok(Err(rest)) }
        }
    }
}

fn image(value: Json<'_>, path: &Path<'_>) -> Result<Part, BadRequest> {
    let mut fields = Fields::of(value, path)?;
    let format = fields.required_text("format")?;
    match (bytes(&mut fields, &path.field("source"))?, image_type(&format)) {
        (Ok(data), Some(media_type)) => {
            let source = Source::Base64 { media_type: media_type.to_owned(), data };
            Ok(Part::Image(Image { source, detail: None, cache: None, extra: fields.extra(OWN) }))
        }
        (Ok(_), None) => Err(fields.wrong("format", &Value::String(format), "png, jpeg, gif or webp")),
        (Err(source), _) => Ok(kept("image", fields, format, source)),
    }
}

fn audio(value: Json<'_>, path: &Path<'_>) -> Result<Part, BadRequest> {
    let mut fields = Fields::of(value, path)?;
    let format = fields.required_text("format")?;
    match bytes(&mut fields, &path.field("source"))? {
        Ok(data) => {
            only(fields)?;
            Ok(Part::Audio { data, format })
        }
        Err(source) => Ok(kept("audio", fields, format, source)),
    }
}

fn document(value: Json<'_>, path: &Path<'_>) -> Result<Part, BadRequest> {
    let mut fields = Fields::of(value, path)?;
    let format = fields.text("format")?;
    let known = format.as_deref().and_then(document_type);
    if let (Some(_), None) = (&format, known) {
        let found = Value::from(format);
        return Err(fields.wrong("format", &found, "pdf, csv, doc, docx, xls, xlsx, html, txt or md"));
    }
    let name = Some(fields.required_text("name")?);
    let source = match (bytes(&mut fields, &path.field("source"))?, known) {
        (Ok(data), Some(media_type)) => Source::Base64 { media_type: media_type.to_owned(), data },
        (Ok(_), None) => return Err(fields.missing("format", "the format of the bytes")),
        (Err(mut source), known) => match source.shift_remove("text") {
            Some(Value::String(text)) if source.is_empty() => {
                Source::Text { media_type: known.unwrap_or("text/plain").to_owned(), text }
            }
            text => {
                source.extend(text.map(|text| ("text".to_owned(), text)));
                fields.put("name", name.into());
                return Ok(kept("document", fields, format.unwrap_or_default(), source));
            }
        },
    };
    Ok(Part::Document(Document { source, name, cache: None, extra: fields.extra(OWN) }))
}

/// A block whose bytes stand where only this wire finds them.
fn kept(name: &str, fields: Fields<'_>, format: String, source: Map<String, Value>) -> Part {
    let mut fields = fields.rest();
    if !format.is_empty() {
        fields.insert("format".to_owned(), format.into());
    }
    fields.insert("source".to_owned(), source.into());
    opaque(name, Value::Object(fields))
}

/// Generated text with its sources.
fn citations(value: Json<'_>, path: &Path<'_>) -> Result<Part, BadRequest> {
    let mut fields = Fields::of(value, path)?;
    let mut text = String::new();
    let content = path.field("content");
    for (index, piece) in fields.list("content")?.unwrap_or_default().into_iter().enumerate() {
        let place = content.item(index);
        text.push_str(&Fields::of(piece, &place)?.required_text("text")?);
    }
    let list = fields.list("citations")?.unwrap_or_default();
    let citations = list.into_iter().map(|raw| citation(raw.into_value())).collect();
    Ok(Part::Text(Text { text, citations, cache: None, extra: Extra::of(OWN, fields.rest()) }))
}
