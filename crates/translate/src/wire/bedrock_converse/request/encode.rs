//! The pivot into a request body. The order of fields is fixed: the same request always makes the same
//! bytes. Model and streaming are not written: they stand in the path.

use super::cache::Points;
use super::sampling::Mode;
use super::turn::text_block;
use super::turns::{Turns, system_blocks};
use super::{reasoning, sampling, tools};
use serde_json::Value;

use crate::ir::{OutputFormat, Request, Role};
use crate::loss::Losses;
use crate::provider::{Destination, ModelRules};
use crate::wire::BadRequest;
use crate::wire::bedrock_converse::family::Family;
use crate::wire::bedrock_converse::names::is_name;
use crate::wire::bedrock_converse::types::{NO_TWIN, OWN};
use crate::wire::fields::{Path, lose_extra};
use crate::wire::lend::write_rest;
use crate::wire::schema;
use crate::wire::tool_names::fitted;
use crate::wire::tree::{Node, Object, to_bytes};

/// Parameters of this wire that a caller of another dialect may use by their names here.
const LENT: [&str; 5] = [
    "guardrailConfig",
    "performanceConfig",
    "promptVariables",
    "additionalModelRequestFields",
    "additionalModelResponseFieldPaths",
];

/// The most entries of request metadata.
const MOST_METADATA: usize = 16;

/// Writes a request body.
///
/// # Errors
/// [`BadRequest`] for what has no meaning on this wire: URLs, foreign file ids, several choices and
/// media types the API does not take.
pub(in crate::wire::bedrock_converse) fn encode(
    request: &Request,
    to: &Destination<'_>,
    losses: &mut Losses,
) -> Result<Vec<u8>, BadRequest> {
    sampling::check(&request.sampling)?;
    let request = &*fitted(request, OWN);
    let family = Family::of(to.model);
    let leading = request.messages.iter().take_while(|message| instructs(message.role)).count();
    let mut points = Points::plan(request, leading, family, to.model);
    let tools = tools::tools(request, to.rules, &mut points, losses);
    let (format, instruction) = output_format(request, to.rules, losses);
    let system = system(request, leading, &mut points, instruction, losses);
    let mut turns = conversation(request, leading, (family, points), losses)?;
    let open = turns.open_loop();
    let mut late = Losses::default();
    let plan = reasoning::plan(request, to.rules, family, open, &mut late);
    let messages = turns.finish(to.rules.prefill && !plan.on);
    losses.extend(late);

    let mode = Mode { family, reasons: plan.on, unlimited: plan.unlimited, max_tokens: plan.max_tokens };
    let choice = tools::choice(request, !tools.is_empty(), family, plan.on, losses);
    let mut body = Object::new();
    if !system.is_empty() {
        body.put("system", system);
    }
    if !tools.is_empty() {
        let mut config = Object::new().with("tools", tools);
        config.put_some("toolChoice", choice.converse);
        body.put("toolConfig", config);
    }
    body.put("messages", messages);
    put_filled(&mut body, "inferenceConfig", sampling::inference(request, to.rules, mode, losses));
    let mut fields = plan.fields;
    sampling::put_top_k(&mut fields, request.sampling.top_k, to.rules, mode, losses);
    fields.put_some("tool_choice", choice.claude);
    put_filled(&mut body, "additionalModelRequestFields", fields);
    body.put_some("outputConfig", format.map(|format| Object::new().with("textFormat", format)));
    put_rest(&mut body, request, losses);
    Ok(to_bytes(&body))
}

fn instructs(role: Role) -> bool {
    matches!(role, Role::System | Role::Developer)
}

fn put_filled<'a>(body: &mut Object<'a>, name: &'a str, object: Object<'a>) {
    if !object.is_empty() {
        body.put(name, object);
    }
}

/// The leading instructions, in their order.
fn system<'a>(
    request: &'a Request,
    leading: usize,
    points: &mut Points,
    instruction: Option<String>,
    losses: &mut Losses,
) -> Vec<Node<'a>> {
    let list = Path::Body.field("messages");
    let mut blocks: Vec<Node<'a>> = Vec::new();
    for (index, message) in request.messages.iter().take(leading).enumerate() {
        let path = list.item(index);
        if message.name.is_some() {
            losses.report(path.field("name").to_string(), NO_TWIN);
        }
        lose_extra(&message.extra, &path, OWN, losses);
        let content = path.field("content");
        for (index, part) in message.parts.iter().enumerate() {
            blocks.extend(system_blocks(part, points, &content.item(index), losses));
        }
    }
    blocks.extend(instruction.map(text_block));
    blocks
}

fn conversation<'a, 'l>(
    request: &'a Request,
    leading: usize,
    (family, points): (Family, Points),
    losses: &'l mut Losses,
) -> Result<Turns<'a, 'l>, BadRequest> {
    let list = Path::Body.field("messages");
    let mut turns = Turns::new(family, points, losses);
    for (index, message) in request.messages.iter().enumerate().skip(leading) {
        turns.message(message, &list.item(index))?;
    }
    Ok(turns)
}

/// The native format, or an instruction that asks for it. A forced tool would be firmer, but its answer
/// comes back as a call and it conflicts with reasoning and with the caller's own tools.
fn output_format<'a>(
    request: &'a Request,
    rules: &ModelRules,
    losses: &mut Losses,
) -> (Option<Object<'a>>, Option<String>) {
    match &request.output_format {
        None | Some(OutputFormat::Text) => (None, None),
        Some(OutputFormat::JsonObject) => {
            losses.report("response_format", "a JSON object is asked for by instruction, not enforced");
            (None, Some("Answer with one JSON object and nothing else.".to_owned()))
        }
        Some(OutputFormat::JsonSchema(format)) if rules.structured_output => {
            let outer = Path::Body.field("response_format");
            let parent = outer.field("json_schema");
            let adapted = schema::closed(&format.schema, &parent.field("schema"), OWN, losses);
            let mut schema = Object::new().with("schema", adapted.to_string());
            match format.name.as_deref() {
                Some(name) if !is_name(name) => {
                    let reason = "names of schemas are at most 64 letters, digits, `_` and `-`";
                    losses.report("response_format.json_schema.name", reason);
                }
                name => schema.put_some("name", name),
            }
            schema.put_some("description", format.description.as_deref());
            let structure = Object::new().with("jsonSchema", schema);
            (Some(Object::typed("json_schema").with("structure", structure)), None)
        }
        Some(OutputFormat::JsonSchema(format)) => {
            losses.report("response_format", "the schema is asked for by instruction, not enforced");
            let about = format.description.as_deref().map(|text| format!(" ({text})")).unwrap_or_default();
            let text = format!(
                "Answer with one JSON value{about} that follows this JSON schema, and nothing else:\n{}",
                format.schema
            );
            (None, Some(text))
        }
    }
}

fn put_rest<'a>(body: &mut Object<'a>, request: &'a Request, losses: &mut Losses) {
    let mut metadata = Object::new();
    let mut count = 0;
    for (name, value) in request.metadata.iter().flatten() {
        match value.as_str().filter(|text| count < MOST_METADATA && is_metadata(text) && is_metadata(name)) {
            Some(text) => {
                count += 1;
                metadata.put(name, text);
            }
            None if value.is_null() => {}
            None => {
                let reason = "request metadata is up to 16 short texts of a narrow alphabet";
                losses.report(format!("metadata.{name}"), reason);
            }
        }
    }
    // The dialect that has both names them alike: what stands there already stays.
    let known = request.metadata.as_ref().and_then(|metadata| metadata.get("user_id"));
    if let Some(user) = request.user.as_deref().filter(|user| known.and_then(Value::as_str) != Some(user)) {
        if known.is_none() && count < MOST_METADATA && is_metadata(user) {
            metadata.put("user_id", user);
        } else {
            losses.report("user", "cannot stand in the request metadata, where bedrock_converse has users");
        }
    }
    put_filled(body, "requestMetadata", metadata);
    match request.service_tier.as_deref() {
        None | Some("auto") => {}
        Some(tier @ ("default" | "priority" | "flex" | "reserved")) => {
            body.put("serviceTier", Object::typed(tier));
        }
        Some(_) => losses.report("service_tier", NO_TWIN),
    }
    write_rest(body, &request.extra, OWN, &LENT, (losses, NO_TWIN));
}

/// What may stand in request metadata.
fn is_metadata(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c.is_ascii_whitespace() || ":_@$#=/+,-.".contains(c);
    !text.is_empty() && text.len() <= 256 && text.chars().all(allowed)
}
