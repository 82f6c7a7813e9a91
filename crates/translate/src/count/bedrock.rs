//! Bedrock's form: `input`, which holds a Converse request or the body of `InvokeModel`.
//!
//! The endpoint counts for models, not for inference profiles: the prefix of a geographic one is taken off.

use serde_json::Value;

use super::{below, object_in};
use crate::base64;
use crate::ir::Request;
use crate::relay::{Members, complete, with};
use crate::wire::BadRequest;
use crate::wire::Dialect;
use crate::wire::anthropic::Anthropic;
use crate::wire::bedrock_converse::BedrockConverse;

/// What of a Converse request the endpoint takes.
pub(super) const TAKES: [&str; 4] = ["additionalModelRequestFields", "messages", "system", "toolConfig"];
/// What of Claude's body: all that its own chat takes, `max_tokens` among what it needs.
pub(super) const INVOKE_TAKES: [&str; 10] = [
    "anthropic_beta",
    "context_management",
    "max_tokens",
    "messages",
    // Taken off by the service's quirks: the path tells it.
    "model",
    "output_config",
    "system",
    "thinking",
    "tool_choice",
    "tools",
];

const CONVERSE: &str = "input.converse";
const INVOKE: &str = "input.invokeModel";
const BODY: &str = "input.invokeModel.body";

/// Regions that profiles are named after.
const PROFILES: [&str; 10] = ["apac.", "au.", "ca.", "eu.", "global.", "jp.", "mx.", "sa.", "us-gov.", "us."];

/// The model below a geographic profile: `us.anthropic.claude-…` counts as `anthropic.claude-…`.
pub(super) fn without_profile(model: &str) -> &str {
    let id = match model.split_once(":inference-profile/") {
        Some((arn, id)) if arn.starts_with("arn:") => id,
        _ => model,
    };
    PROFILES.iter().find_map(|prefix| id.strip_prefix(prefix)).unwrap_or(id)
}

/// # Errors
/// Neither of the two forms is there, or both; what is wrong with the one that is, with its place below `input`.
pub(super) fn decode_request(body: &[u8]) -> Result<Request, BadRequest> {
    const EXPECTED: &str = "expected `converse` or `invokeModel`";
    let members = Members::read(body)?;
    let Some(input) = object_in(body, &members, "input", "input")? else {
        return Err(BadRequest::at("input", format!("`input` is missing, {EXPECTED} in it")));
    };
    let members = Members::read(input)?;
    let converse = object_in(input, &members, "converse", CONVERSE)?;
    let invoke = object_in(input, &members, "invokeModel", INVOKE)?;
    match (converse, invoke) {
        (Some(request), None) => BedrockConverse.decode_request(request).map_err(|bad| below(CONVERSE, bad)),
        (None, Some(invoke)) => claude(invoke),
        (None, None) => Err(BadRequest::at("input", format!("`input` is empty, {EXPECTED}"))),
        (Some(_), Some(_)) => Err(BadRequest::at("input", format!("`input` holds both, {EXPECTED}"))),
    }
}

/// The body of `InvokeModel` is the model's own: Claude's is the only one known here.
fn claude(invoke: &[u8]) -> Result<Request, BadRequest> {
    let wrong = |expected: &str| BadRequest::at(BODY, format!("`{BODY}` is not {expected}"));
    let members = Members::read(invoke)?;
    let coded = members.value(invoke, "body").ok_or_else(|| wrong("there"))?;
    let Ok(Value::String(text)) = serde_json::from_slice(coded) else { return Err(wrong("a string")) };
    let body = base64::decode(&text).ok_or_else(|| wrong("base64"))?;
    let read = || {
        // The path tells the model.
        let whole = complete(&body, "claude", false)?;
        Anthropic.decode_request(&with(&whole, "max_tokens", "1")?)
    };
    let request = read().map_err(|bad| below(BODY, bad))?;
    Ok(Request { model: String::new(), ..request })
}

pub(super) fn around_converse(request: &[u8]) -> Vec<u8> {
    [br#"{"input":{"converse":"#, request, b"}}"].concat()
}

pub(super) fn around_invoke(body: &[u8]) -> Vec<u8> {
    format!(r#"{{"input":{{"invokeModel":{{"body":"{}"}}}}}}"#, base64::encode(body)).into_bytes()
}
