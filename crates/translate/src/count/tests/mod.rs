//! Bodies as the vendors document them, and as their SDKs send them.

mod answers;
mod estimates;
mod properties;
mod requests;

use serde_json::Value;

use super::{Format, decode_request, encode_request};
use crate::Wire;
use crate::ir::Request;
use crate::loss::Losses;
use crate::provider::{self, Destination, ModelRules, Quirks, ReasoningField, UsageStyle};
use crate::wire::BadRequest;

/// Those in which counts are asked for.
const DIALECTS: [Wire; 4] = [Wire::Anthropic, Wire::BedrockConverse, Wire::Gemini, Wire::OpenAiResponses];

const NO_QUIRKS: Quirks =
    Quirks { fixes: &[], stream_usage: true, reasoning_echo: ReasoningField::None, usage: UsageStyle::Wire };

fn decode(dialect: Wire, body: &Value) -> Result<Request, BadRequest> {
    decode_request(dialect, body.to_string().as_bytes())
}

/// The body for `model` at the provider, under the quirks of the row that counts in this format, and what was
/// lost.
fn written(format: Format, model: &str, request: &Request) -> (Value, Vec<String>) {
    let mut losses = Losses::default();
    let body = try_written(format, model, request, &mut losses).unwrap();
    let paths = losses.as_slice().iter().map(|loss| loss.path.clone()).collect();
    (serde_json::from_slice(&body).unwrap(), paths)
}

fn try_written(
    format: Format,
    model: &str,
    request: &Request,
    losses: &mut Losses,
) -> Result<Vec<u8>, BadRequest> {
    let rows = provider::all().iter();
    let countings = rows.flat_map(|row| {
        let services = row.services.iter().map(|service| service.counting);
        std::iter::once(row.counting).chain(services)
    });
    let found = countings.flatten().find(|counting| counting.format == format);
    let quirks = found.map_or(NO_QUIRKS, |counting| counting.quirks);
    let rules = ModelRules::of("test", format.wire(), model);
    let to = Destination { quirks: &quirks, rules: &rules, model };
    encode_request(format, request, &to, losses)
}
