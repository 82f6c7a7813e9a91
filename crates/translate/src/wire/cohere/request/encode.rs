//! Writes a request for one destination: the fields around the messages.
//!
//! Field order is fixed, so that equal requests are equal bytes. What the wire bounds is clamped, and each
//! clamp is reported.

use super::super::types::NO_COUNTERPART;
use super::turns_out::Turns;
use super::{reasoning, schema, tools};
use crate::Wire;
use crate::ir::{OutputFormat, Part, Request};
use crate::loss::Losses;
use crate::provider::{Destination, ThinkingStyle};
use crate::wire::BadRequest;
use crate::wire::fields::Path;
use crate::wire::lend;
use crate::wire::tool_names::fitted;
use crate::wire::tree::{Node, Object, to_bytes};

/// The most stop sequences this wire takes.
const MAX_STOPS: usize = 5;
/// Parameters that callers of other dialects may use by the names they have here. The last one's members
/// join what was made of the caller's own words; where nothing was, they say nothing.
const OWN: [&str; 10] = [
    "citation_options",
    "documents",
    "k",
    "p",
    "priority",
    "raw_prompting",
    "safety_mode",
    "stop_sequences",
    "strict_tools",
    "thinking",
];

/// Writes the body for `to`.
///
/// # Errors
/// [`BadRequest`] for what has no meaning on this wire: audio, several choices, documents that are no text,
/// foreign file ids.
pub(in crate::wire::cohere) fn encode(
    request: &Request,
    to: &Destination<'_>,
    losses: &mut Losses,
) -> Result<Vec<u8>, BadRequest> {
    let request = &*fitted(request, Wire::Cohere);
    if let Some(n) = request.sampling.n.filter(|n| *n > 1) {
        return Err(BadRequest::at("n", format!("`n` is {n}, expected 1: cohere gives one choice per call")));
    }
    let reasons = to.rules.thinking != ThinkingStyle::None;
    let mut turns = Turns::new(reasons, losses);
    turns.conversation(&request.messages)?;
    let (mut messages, documents) = turns.finish();
    let mut rest = Object::new();
    let has_tools = tools::write(&mut rest, request, losses);
    let grounded = !documents.is_empty();
    let format = output_format(request, has_tools || grounded, losses);
    if let Some(instruction) = format.instruction {
        messages.insert(0, Object::new().with("role", "system").with("content", instruction).into());
    }
    let mut body = Object::new().with("model", to.model).with("messages", messages).followed_by(rest);
    if grounded {
        body.put("documents", documents);
    }
    body.put_some("response_format", format.native);
    let thinking = reasoning::thinking(request, to.rules, losses);
    let own = OWN.get(..if thinking.is_some() { OWN.len() } else { OWN.len() - 1 }).unwrap_or_default();
    body.put_some("thinking", thinking);
    body.put_some("max_tokens", request.max_tokens.map(|asked| to.rules.capped(asked, losses)));
    sampling(&mut body, request, losses);
    stop(&mut body, &request.stop, losses);
    if request.stream {
        body.put("stream", true);
    }
    account(request, losses);
    lend::write_rest(&mut body, &request.extra, Wire::Cohere, own, (losses, NO_COUNTERPART));
    Ok(to_bytes(&body))
}

/// The native format, or the words that ask for it.
#[derive(Default)]
struct Format<'a> {
    native: Option<Object<'a>>,
    instruction: Option<String>,
}

/// `taken`: tools or documents are there, with which the vendor takes no format.
fn output_format<'a>(request: &'a Request, taken: bool, losses: &mut Losses) -> Format<'a> {
    let wanted = match &request.output_format {
        None | Some(OutputFormat::Text) => return Format::default(),
        Some(OutputFormat::JsonObject) => None,
        Some(OutputFormat::JsonSchema(wanted)) => Some(wanted),
    };
    if taken {
        losses.report("response_format", "not possible with tools or documents: asked for in words");
        let words = match wanted {
            Some(wanted) => format!("Answer with JSON that follows this JSON schema: {}", wanted.schema),
            None => "Answer with a JSON object and nothing else.".to_owned(),
        };
        return Format { native: None, instruction: Some(words) };
    }
    let mut native = Object::typed("json_object");
    if let Some(wanted) = wanted {
        let at = Path::Body.field("response_format");
        if wanted.description.is_some() {
            losses.report(at.field("description").to_string(), NO_COUNTERPART);
        }
        native.put("json_schema", schema::adapted(&wanted.schema, &at.field("schema"), losses));
    }
    Format { native: Some(native), instruction: None }
}

fn sampling<'a>(body: &mut Object<'a>, request: &'a Request, losses: &mut Losses) {
    let wanted = &request.sampling;
    let mut within = |name: &str, value: Option<f64>, least: f64, most: f64| {
        let value = value?;
        let sent = value.clamp(least, most);
        if sent != value {
            losses.report(name, format!("cohere takes {least} to {most}: {sent} was sent"));
        }
        Some(Node::float(sent))
    };
    body.put_some("temperature", within("temperature", wanted.temperature, 0.0, 1.0));
    body.put_some("p", within("top_p", wanted.top_p, 0.01, 0.99));
    body.put_some("frequency_penalty", within("frequency_penalty", wanted.frequency_penalty, 0.0, 1.0));
    body.put_some("presence_penalty", within("presence_penalty", wanted.presence_penalty, 0.0, 1.0));
    body.put_some("k", wanted.top_k.map(|k| k.min(500)));
    if wanted.top_k.is_some_and(|k| k > 500) {
        losses.report("top_k", "cohere takes 0 to 500: 500 was sent");
    }
    body.put_some("seed", wanted.seed.and_then(|seed| u64::try_from(seed).ok()));
    if wanted.seed.is_some_and(i64::is_negative) {
        losses.report("seed", "cohere takes no negative seeds");
    }
    body.put_some("logprobs", wanted.logprobs);
    if wanted.top_logprobs.is_some_and(|top| top > 0) {
        losses.report("top_logprobs", "only the chosen tokens are told on cohere");
    }
    if wanted.logit_bias.is_some() {
        losses.report("logit_bias", NO_COUNTERPART);
    }
}

fn stop<'a>(body: &mut Object<'a>, words: &'a [String], losses: &mut Losses) {
    if words.len() > MAX_STOPS {
        let reason = format!("{} sequences, this wire takes {MAX_STOPS}: the first are kept", words.len());
        losses.report("stop", reason);
    }
    if !words.is_empty() {
        let kept: Vec<Node<'a>> = words.iter().take(MAX_STOPS).map(|word| word.as_str().into()).collect();
        body.put("stop_sequences", kept);
    }
}

/// Who asks, for what, at which tier: the wire has no place for it.
fn account(request: &Request, losses: &mut Losses) {
    let given = [
        ("user", request.user.is_some()),
        ("metadata", request.metadata.is_some()),
        ("service_tier", request.service_tier.is_some()),
    ];
    for (name, _) in given.into_iter().filter(|(_, given)| *given) {
        losses.report(name, NO_COUNTERPART);
    }
}

/// A call: what stands in `tool_calls`, not in `content`.
pub(super) fn is_call(part: &Part) -> bool {
    matches!(part, Part::ToolCall(_))
}
