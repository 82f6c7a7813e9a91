//! Whole answers of this wire, both ways.

use serde_json::{Map, Value};

use super::blocks::Reader;
use super::types::{NO_TWIN, OWN, blob_for_caller, input};
use super::usage::{self, WireUsage};
use super::{error, stop};
use crate::ir::{Choice, Extra, Finish, FinishReason, Part, Response, Text, ToolCall, Usage};
use crate::loss::Losses;
use crate::wire::fields::{Fields, Path, write_extra};
use crate::wire::json::{self, Json, Members};
use crate::wire::tree::{Node, Object, to_bytes};
use crate::wire::{BadRequest, BadResponse, Echo};

/// Reads a provider's answer.
pub(super) fn decode(body: &[u8]) -> Result<Response, BadResponse> {
    let answer: Json<'_> = json::read(body).map_err(|err| BadResponse::NotJson(err.to_string()))?;
    let mut fields = Fields::of(answer, &Path::Body).map_err(wrong_shape)?;
    let output = Path::Body.field("output");
    let Some(value) = fields.take_json("output") else {
        let told = fields.peek("message").or_else(|| fields.peek("Message")).is_some();
        return Err(match told {
            true => BadResponse::Failure(error::decode(200, body)),
            false => BadResponse::WrongShape("expected an object in `output`".to_owned()),
        });
    };
    let parts = parts(value, &output, body).map_err(wrong_shape)?;
    let finish = take_finish(&mut fields).map_err(wrong_shape)?;
    let usage = take_usage(&mut fields).map_err(wrong_shape)?;
    let service_tier = take_tier(&mut fields).map_err(wrong_shape)?;
    let usage = usage.map(|usage| usage.in_tier(service_tier.as_deref().unwrap_or_default()));
    drop_latency(&mut fields);
    let choice = Choice { parts, finish, logprobs: None, extra: Extra::default() };
    let mut rest = fields.rest();
    rest.retain(|_, value| !value.is_null());
    Ok(Response {
        id: String::new(),
        model: String::new(),
        created: None,
        choices: vec![choice],
        usage,
        service_tier,
        extra: Extra::of(OWN, rest),
    })
}

/// Writes an answer for a caller.
pub(super) fn encode(response: &Response, echo: &Echo, losses: &mut Losses) -> Vec<u8> {
    for index in 1..response.choices.len() {
        losses.report(format!("choices[{index}]"), "bedrock_converse gives one choice per answer");
    }
    let choice = response.choices.first();
    let mut seen = stop::Seen::default();
    let content = choice.map(|choice| content(choice, echo, &mut seen, losses)).unwrap_or_default();
    let finish = choice.and_then(|choice| choice.finish.as_ref());
    if finish.is_some_and(|finish| finish.reason == FinishReason::Error) {
        losses.report("choices[0].finish_reason", "the provider reported a fault inside its answer");
    }
    report_finish(finish, losses);
    let message = Object::new().with("role", "assistant").with("content", content);
    let mut body = Object::new()
        .with("output", Object::new().with("message", message))
        .with("stopReason", stop::word(finish, seen))
        .with("usage", usage::object(&response.usage.unwrap_or_default()))
        .with("metrics", metrics());
    body.put_some("additionalModelResponseFields", stop_sequence(finish));
    match response.service_tier.as_deref() {
        None => {}
        Some(tier @ ("default" | "priority" | "flex" | "reserved")) => {
            body.put("serviceTier", Object::typed(tier));
        }
        Some(_) => losses.report("service_tier", NO_TWIN),
    }
    write_extra(&mut body, &response.extra, &Path::Body, OWN, losses);
    to_bytes(&body)
}

/// The latency, which SDKs read unchecked. How long the provider took is not known here.
pub(super) fn metrics() -> Object<'static> {
    Object::new().with("latencyMs", 0_u64)
}

/// The stop sequence that was hit, where models tell it.
pub(super) fn stop_sequence(finish: Option<&Finish>) -> Option<Object<'_>> {
    let text = finish?.stop_sequence.as_deref()?;
    Some(Object::new().with("stop_sequence", text))
}

/// Tells what this wire has no word for.
pub(super) fn report_finish(finish: Option<&Finish>, losses: &mut Losses) {
    let Some(finish) = finish else { return };
    if let Some(word) = stop::untold(finish) {
        losses.report("choices[0].finish_reason", format!("{word:?} {NO_TWIN}"));
    }
    if finish.details.is_some() {
        losses.report("choices[0].stop_details", NO_TWIN);
    }
}

fn wrong_shape(err: BadRequest) -> BadResponse {
    BadResponse::WrongShape(err.message)
}

fn parts(output: Json<'_>, path: &Path<'_>, body: &[u8]) -> Result<Vec<Part>, BadRequest> {
    let mut output = Fields::of(output, path)?;
    let place = path.field("message");
    let message = output.take_json("message").ok_or_else(|| output.missing("message", "an object"))?;
    let mut message = Fields::of(message, &place)?;
    let content = message.list("content")?.ok_or_else(|| message.missing("content", "a list of blocks"))?;
    Reader::of_response(body).content(content, &place.field("content"))
}

fn take_finish(fields: &mut Fields<'_>) -> Result<Option<Finish>, BadRequest> {
    let Some(native) = fields.text("stopReason")? else { return Ok(None) };
    let mut stop_sequence = None;
    if let Some(mut more) = fields.take("additionalModelResponseFields") {
        stop_sequence = take_stop_sequence(&mut more);
        if !more.as_object().is_some_and(Map::is_empty) {
            fields.put("additionalModelResponseFields", more);
        }
    }
    Ok(Some(stop::finish(native, stop_sequence)))
}

/// Takes the sequence that was hit out of a model's own fields.
pub(super) fn take_stop_sequence(fields: &mut Value) -> Option<String> {
    match fields.as_object_mut()?.shift_remove("stop_sequence")? {
        Value::String(text) => Some(text),
        _ => None,
    }
}

fn take_usage(fields: &mut Fields<'_>) -> Result<Option<Usage>, BadRequest> {
    let Some(value) = fields.take_json("usage") else { return Ok(None) };
    let members: Members<'_> = match value.members() {
        Ok(members) => members,
        Err(other) => return Err(fields.wrong("usage", other.look(), "an object")),
    };
    let sorted = WireUsage::read(&members).sorted();
    fields.keep_nested("usage", usage::leftovers(members));
    Ok(Some(sorted))
}

fn take_tier(fields: &mut Fields<'_>) -> Result<Option<String>, BadRequest> {
    let path = Path::Body.field("serviceTier");
    match fields.take_json("serviceTier") {
        None => Ok(None),
        Some(value) => Fields::of(value, &path)?.text("type"),
    }
}

/// How long the provider took is a fact of the exchange, which the gateway measures, not of the answer.
fn drop_latency(fields: &mut Fields<'_>) {
    if let Some(Value::Object(mut metrics)) = fields.take("metrics") {
        metrics.shift_remove("latencyMs");
        fields.keep_nested("metrics", metrics);
    }
}

fn content<'a>(choice: &'a Choice, echo: &Echo, seen: &mut stop::Seen, losses: &mut Losses) -> Vec<Node<'a>> {
    let list = Path::Body.field("content");
    if choice.logprobs.is_some() {
        losses.report("choices[0].logprobs", NO_TWIN);
    }
    for field in choice.extra.names() {
        losses.report(format!("choices[0].{field}"), NO_TWIN);
    }
    let mut blocks = Vec::with_capacity(choice.parts.len());
    for (index, part) in choice.parts.iter().enumerate() {
        let path = list.item(index);
        seen.tool_call |= matches!(part, Part::ToolCall(_));
        seen.refusal |= matches!(part, Part::Refusal(_));
        blocks.extend(match part {
            Part::ToolCall(call) => Some(tool_use(call, &tool_use_id(&call.id, echo, index), &path, losses)),
            part => block(part, &path, losses),
        });
    }
    blocks
}

/// The provider's id, or one made from the exchange's unique text.
pub(super) fn tool_use_id(id: &str, echo: &Echo, index: usize) -> String {
    if id.is_empty() { format!("tooluse_{}_{index}", echo.unique) } else { id.to_owned() }
}

fn tool_use<'a>(call: &'a ToolCall, id: &str, path: &Path<'_>, losses: &mut Losses) -> Node<'a> {
    let mut inner = Object::new()
        .with("toolUseId", id.to_owned())
        .with("name", call.name.as_str())
        .with("input", input(&call.arguments, path, losses));
    write_extra(&mut inner, &call.extra, path, OWN, losses);
    Object::new().with("toolUse", inner).into()
}

/// One block. Empty text is left out: a caller that sends it back would be refused.
fn block<'a>(part: &'a Part, path: &Path<'_>, losses: &mut Losses) -> Option<Node<'a>> {
    match part {
        Part::Text(text) => self::text(text, path, losses),
        Part::Refusal(text) => Some(Object::new().with("text", text.as_str()).into()),
        Part::Thinking(thinking) => {
            let mut shown = Object::new().with("text", thinking.text.as_str());
            shown.put_some("signature", thinking.signature.as_ref().map(|signature| signature.written(OWN)));
            let mut inner = Object::new().with("reasoningText", shown);
            write_extra(&mut inner, &thinking.extra, path, OWN, losses);
            Some(Object::new().with("reasoningContent", inner).into())
        }
        Part::RedactedThinking { data, extra } => {
            let data = blob_for_caller(data, &path.to_string(), losses)?;
            let mut inner = Object::new().with("redactedContent", data);
            write_extra(&mut inner, extra, path, OWN, losses);
            Some(Object::new().with("reasoningContent", inner).into())
        }
        Part::Opaque { wire, value } if *wire == OWN => Some(value.into()),
        Part::Image(_)
        | Part::Document(_)
        | Part::Audio { .. }
        | Part::ToolCall(_)
        | Part::ToolResult(_)
        | Part::Opaque { .. } => {
            losses.report(path.to_string(), "no block of a bedrock_converse answer can hold it");
            None
        }
    }
}

/// Text, with its sources where it has some.
fn text<'a>(text: &'a Text, path: &Path<'_>, losses: &mut Losses) -> Option<Node<'a>> {
    let own = text.extra.for_wire(OWN).is_some();
    if text.citations.is_empty() && !own {
        write_extra(&mut Object::new(), &text.extra, path, OWN, losses);
        return (!text.text.is_empty()).then(|| Object::new().with("text", text.text.as_str()).into());
    }
    let piece = Object::new().with("text", text.text.as_str());
    let mut inner = Object::new().with("content", vec![Node::from(piece)]);
    inner.put("citations", text.citations.iter().map(citation).collect::<Vec<_>>());
    write_extra(&mut inner, &text.extra, path, OWN, losses);
    Some(Object::new().with("citationsContent", inner).into())
}

/// A citation as a caller gets it; one of another wire with what the wires have in common.
pub(super) fn citation(citation: &crate::ir::Citation) -> Node<'_> {
    if let Some(raw) = citation.for_wire(OWN) {
        return raw.into();
    }
    let mut made = Object::new();
    made.put_some("title", citation.title.as_deref());
    if let Some(quote) = citation.quote.as_deref() {
        made.put("sourceContent", vec![Node::from(Object::new().with("text", quote))]);
    }
    if let Some(url) = citation.url.as_deref() {
        made.put("location", Object::new().with("web", Object::new().with("url", url)));
    }
    made.into()
}
