//! Writes `generationConfig`: sampling, limits, the form of the answer.

use serde_json::Value;

use super::encode::is_third_generation;
use crate::ir::{JsonSchema, OutputFormat, Request};
use crate::loss::Losses;
use crate::provider::ModelRules;
use crate::wire::fields::Path;
use crate::wire::gemini::schema::adapted;
use crate::wire::gemini::write::NO_COUNTERPART;
use crate::wire::tree::{Node, Object};

/// The most stop sequences this wire takes.
const MAX_STOPS: usize = 5;
/// The most candidates.
const MAX_CANDIDATES: u64 = 8;

/// Sampling and limits.
pub(super) fn config<'a>(request: &'a Request, rules: &ModelRules, losses: &mut Losses) -> Object<'a> {
    let sampling = &request.sampling;
    let mut config = Object::new();
    config.put_some("temperature", sampling.temperature.map(Node::float));
    config.put_some("topP", sampling.top_p.map(Node::float));
    config.put_some("topK", sampling.top_k);
    config.put_some("candidateCount", sampling.n.map(|n| candidates(n, losses)));
    config.put_some("maxOutputTokens", max_tokens(request, rules, losses));
    if let Some(words) = stop(&request.stop, losses) {
        config.put("stopSequences", words);
    }
    config.put_some("seed", sampling.seed.map(|seed| Value::from(fitted_seed(seed, losses))));
    config.put_some("presencePenalty", sampling.presence_penalty.map(Node::float));
    config.put_some("frequencyPenalty", sampling.frequency_penalty.map(Node::float));
    config.put_some("responseLogprobs", sampling.logprobs);
    match sampling.top_logprobs {
        Some(_) if sampling.logprobs != Some(true) => {
            losses.report("top_logprobs", "means nothing without logprobs");
        }
        top => config.put_some("logprobs", top),
    }
    if sampling.logit_bias.is_some() {
        losses.report("logit_bias", NO_COUNTERPART);
    }
    config
}

fn candidates(n: u64, losses: &mut Losses) -> u64 {
    if n > MAX_CANDIDATES {
        losses.report("n", format!("gemini gives at most {MAX_CANDIDATES} candidates"));
    }
    n.min(MAX_CANDIDATES)
}

fn max_tokens(request: &Request, rules: &ModelRules, losses: &mut Losses) -> Option<u64> {
    let asked = request.max_tokens?;
    let most = rules.max_output_tokens;
    if asked > most {
        losses.report("max_tokens", format!("this model writes at most {most} tokens"));
    }
    Some(asked.min(most))
}

fn stop<'a>(words: &'a [String], losses: &mut Losses) -> Option<Vec<Node<'a>>> {
    if words.len() > MAX_STOPS {
        let reason = format!("{} sequences, gemini takes {MAX_STOPS}: the first are kept", words.len());
        losses.report("stop", reason);
    }
    let kept: Vec<Node<'a>> = words.iter().take(MAX_STOPS).map(|word| word.as_str().into()).collect();
    (!kept.is_empty()).then_some(kept)
}

/// Seeds are 32 bits wide here.
fn fitted_seed(seed: i64, losses: &mut Losses) -> i32 {
    i32::try_from(seed).unwrap_or_else(|_| {
        losses.report("seed", "gemini takes 32 bits: the lower ones are sent");
        seed as i32
    })
}

/// The form of the answer: fields of `generationConfig`, or an instruction.
#[derive(Debug, Default)]
pub(super) struct Format<'a> {
    pub fields: Vec<(&'static str, Node<'a>)>,
    pub instruction: Option<String>,
}

/// Decides. Before the third generation a form of answer is refused beside functions.
pub(super) fn format<'a>(
    request: &'a Request,
    rules: &ModelRules,
    functions: bool,
    losses: &mut Losses,
) -> Format<'a> {
    let refused = (functions && !is_third_generation(rules)) || !rules.structured_output;
    let mime = || ("responseMimeType", Node::from("application/json"));
    match &request.output_format {
        None | Some(OutputFormat::Text) => Format::default(),
        Some(OutputFormat::JsonObject) if refused => {
            losses.report("response_format", ASKED);
            let text = "Answer with one JSON object and nothing else.".to_owned();
            Format { instruction: Some(text), ..Format::default() }
        }
        Some(OutputFormat::JsonObject) => Format { fields: vec![mime()], instruction: None },
        Some(OutputFormat::JsonSchema(format)) if refused => {
            losses.report("response_format", ASKED);
            Format { instruction: Some(instruction(format)), ..Format::default() }
        }
        Some(OutputFormat::JsonSchema(format)) => {
            let outer = Path::Body.field("response_format");
            let inner = outer.field("json_schema");
            for (name, given) in
                [("name", format.name.is_some()), ("description", format.description.is_some())]
            {
                if given {
                    losses.report(inner.field(name).to_string(), NO_COUNTERPART);
                }
            }
            let schema = adapted(&format.schema, &inner.field("schema"), losses);
            Format { fields: vec![mime(), ("responseJsonSchema", schema.into())], instruction: None }
        }
    }
}

const ASKED: &str = "asked for by instruction, not enforced: this model takes no form of answer here";

fn instruction(format: &JsonSchema) -> String {
    let about = format.description.as_deref().map(|text| format!(" ({text})")).unwrap_or_default();
    format!(
        "Answer with one JSON value{about} that follows this JSON schema, and nothing else:\n{}",
        format.schema
    )
}
