//! The pivot into a request body. The order of fields is fixed, and what changes least comes first, so
//! that equal prefixes stay equal bytes for the provider's prompt cache.

use super::cache::Marks;
use super::turns::{Turns, system_block};
use super::{reasoning, sampling, tools};
use crate::ir::{OutputFormat, Request, Role};
use crate::loss::Losses;
use crate::provider::{Destination, ModelRules};
use crate::wire::BadRequest;
use crate::wire::anthropic::Wire;
use crate::wire::anthropic::types::Place;
use crate::wire::anthropic::write::{NO_TWIN, lose_extra};
use crate::wire::fields::Path;
use crate::wire::lend::write_rest;
use crate::wire::schema;
use crate::wire::tool_names::fitted;
use crate::wire::tree::{Node, Object, to_bytes};

/// Parameters of this API that the pivot has no place for: callers of other dialects may give them too.
const OWN: [&str; 8] = [
    "cache_control",
    "container",
    "context_management",
    "inference_geo",
    "mcp_servers",
    "output_config",
    "speed",
    "thinking",
];

/// Writes a request body.
///
/// # Errors
/// [`BadRequest`] for what has no meaning on this wire: audio, several choices, foreign file ids,
/// media types the API does not read.
pub(in crate::wire::anthropic) fn encode(
    request: &Request,
    to: &Destination<'_>,
    losses: &mut Losses,
) -> Result<Vec<u8>, BadRequest> {
    sampling::check(&request.sampling)?;
    let request = &*fitted(request, Wire::Anthropic);
    let leading = request.messages.iter().take_while(|message| instructs(message.role)).count();
    let mut marks = Marks::plan(request, leading);
    let max_tokens = max_tokens(request, to.rules, losses);
    let tools = tools::tools(request, to.rules, &mut marks, losses);
    let (format, instruction) = output_format(request, to.rules, losses);
    let system = system(request, leading, &mut marks, instruction, losses);
    let mut turns = conversation(request, leading, marks, losses)?;
    let open = turns.open_loop();
    let mut late = Losses::default();
    let plan = reasoning::plan(request, to.rules, max_tokens, open, &mut late);
    let messages = turns.finish(to.rules.prefill && !plan.on);
    losses.extend(late);

    let mut body = Object::new().with("model", to.model).with("max_tokens", max_tokens);
    body.put_some("system", system);
    let has_tools = !tools.is_empty();
    if has_tools {
        body.put("tools", tools);
    }
    body.put_some("tool_choice", tools::choice(request, has_tools, plan.on, losses));
    body.put("messages", messages);
    body.put_some("thinking", plan.thinking);
    put_output_config(&mut body, plan.effort, format);
    sampling::write(&mut body, &request.sampling, to.rules, plan.on, losses);
    sampling::write_stop(&mut body, request, losses);
    put_rest(&mut body, request, losses);
    Ok(to_bytes(&body))
}

fn instructs(role: Role) -> bool {
    matches!(role, Role::System | Role::Developer)
}

fn max_tokens(request: &Request, rules: &ModelRules, losses: &mut Losses) -> u64 {
    request.max_tokens.map_or(rules.max_output_tokens, |asked| rules.capped(asked, losses))
}

/// The leading instructions: a string when they are one plain text, else blocks in their order.
fn system<'a>(
    request: &'a Request,
    leading: usize,
    marks: &mut Marks,
    instruction: Option<String>,
    losses: &mut Losses,
) -> Option<Node<'a>> {
    let list = Place::Root.field("messages");
    let mut blocks: Vec<Node<'a>> = Vec::new();
    for (index, message) in request.messages.iter().take(leading).enumerate() {
        let place = list.item(index);
        if message.name.is_some() {
            losses.report(place.field("name").to_string(), NO_TWIN);
        }
        lose_extra(&message.extra, &place, losses);
        let content = place.field("content");
        for (index, part) in message.parts.iter().enumerate() {
            blocks.extend(system_block(part, marks, &content.item(index), losses));
        }
    }
    blocks.extend(instruction.map(|text| Object::typed("text").with("text", text).into()));
    match blocks.pop() {
        None => None,
        Some(Node::Object(only)) if blocks.is_empty() => Some(match only.only_text() {
            Ok(text) => Node::Text(text),
            Err(object) => vec![Node::Object(object)].into(),
        }),
        Some(last) => {
            blocks.push(last);
            Some(blocks.into())
        }
    }
}

fn conversation<'a, 'l>(
    request: &'a Request,
    leading: usize,
    marks: Marks,
    losses: &'l mut Losses,
) -> Result<Turns<'a, 'l>, BadRequest> {
    let list = Place::Root.field("messages");
    let mut turns = Turns::new(marks, losses);
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
    const ASKED: &str = "the schema is asked for by instruction, not enforced";
    let outer = Path::Body.field("response_format");
    let parent = outer.field("json_schema");
    let place = parent.field("schema");
    match &request.output_format {
        None | Some(OutputFormat::Text) => (None, None),
        Some(OutputFormat::JsonObject) => {
            losses.report("response_format", "a JSON object is asked for by instruction, not enforced");
            (None, Some("Answer with one JSON object and nothing else.".to_owned()))
        }
        Some(OutputFormat::JsonSchema(format)) if rules.structured_output => {
            for (field, given) in
                [("name", format.name.is_some()), ("description", format.description.is_some())]
            {
                if given {
                    losses.report(format!("response_format.json_schema.{field}"), NO_TWIN);
                }
            }
            let schema = schema::closed(&format.schema, &place, Wire::Anthropic, losses);
            (Some(Object::typed("json_schema").with("schema", schema)), None)
        }
        Some(OutputFormat::JsonSchema(format)) => {
            losses.report("response_format", ASKED);
            let about = format.description.as_deref().map(|text| format!(" ({text})")).unwrap_or_default();
            let text = format!(
                "Answer with one JSON value{about} that follows this JSON schema, and nothing else:\n{}",
                format.schema
            );
            (None, Some(text))
        }
    }
}

fn put_output_config<'a>(body: &mut Object<'a>, effort: Option<&'static str>, format: Option<Object<'a>>) {
    let mut config = Object::new();
    config.put_some("effort", effort);
    config.put_some("format", format);
    if !config.is_empty() {
        body.put("output_config", config);
    }
}

fn put_rest<'a>(body: &mut Object<'a>, request: &'a Request, losses: &mut Losses) {
    for (field, value) in request.metadata.iter().flatten() {
        let told = field == "user_id" && (request.user.is_some() || value.is_string());
        if !(value.is_null() || told) {
            losses.report(format!("metadata.{field}"), NO_TWIN);
        }
    }
    let user = request.user.as_deref().or_else(|| request.metadata.as_ref()?.get("user_id")?.as_str());
    if let Some(user) = user {
        body.put("metadata", Object::new().with("user_id", user));
    }
    match request.service_tier.as_deref() {
        None => {}
        Some("default" | "standard_only") => body.put("service_tier", "standard_only"),
        Some("auto") => body.put("service_tier", "auto"),
        Some(_) => losses.report("service_tier", NO_TWIN),
    }
    if request.stream {
        body.put("stream", true);
    }
    write_rest(body, &request.extra, Wire::Anthropic, &OWN, (losses, NO_TWIN));
}
