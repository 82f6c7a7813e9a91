//! Sampling parameters, limits and stop sequences: which of them this wire and this model take.

use crate::ir::{Request, Sampling};
use crate::loss::Losses;
use crate::provider::{ModelRules, SamplingRule};
use crate::wire::BadRequest;
use crate::wire::bedrock_converse::family::Family;
use crate::wire::bedrock_converse::types::NO_TWIN;
use crate::wire::tree::{Node, Object};

/// Refuses what cannot be asked of this wire at all.
///
/// # Errors
/// [`BadRequest`] for more than one choice.
pub(super) fn check(sampling: &Sampling) -> Result<(), BadRequest> {
    match sampling.n {
        Some(n) if n > 1 => {
            let message = format!("`n` is {n}, expected 1: bedrock_converse gives one choice per call");
            Err(BadRequest::at("n", message))
        }
        _ => Ok(()),
    }
}

/// How the model is going to answer, as far as sampling depends on it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mode {
    pub family: Family,
    /// The model reasons.
    pub reasons: bool,
    /// It reasons so hard that it takes neither limits nor sampling (Nova's `high`).
    pub unlimited: bool,
    /// The limit to write, where the caller's is not it.
    pub max_tokens: Option<u64>,
}

/// `inferenceConfig`; empty when there is nothing to say.
pub(super) fn inference<'a>(
    request: &'a Request,
    rules: &ModelRules,
    mode: Mode,
    losses: &mut Losses,
) -> Object<'a> {
    report_unknown(&request.sampling, losses);
    let mut config = Object::new();
    let (temperature, top_p) = sampling(&request.sampling, rules, mode, losses);
    if mode.unlimited {
        let given = [
            ("max_tokens", request.max_tokens.is_some()),
            ("temperature", temperature.is_some()),
            ("top_p", top_p.is_some()),
        ];
        for (name, _) in given.into_iter().filter(|(_, given)| *given) {
            losses.report(name, "this model takes no such value when it reasons with high effort");
        }
    } else {
        let asked = request.max_tokens.map(|asked| rules.capped(asked, losses));
        config.put_some("maxTokens", mode.max_tokens.or(asked));
        config.put_some("temperature", temperature);
        config.put_some("topP", top_p);
    }
    let stops = stops(request, losses);
    if !stops.is_empty() {
        config.put("stopSequences", stops);
    }
    config
}

fn sampling(
    sampling: &Sampling,
    rules: &ModelRules,
    mode: Mode,
    losses: &mut Losses,
) -> (Option<f64>, Option<f64>) {
    let fixed = rules.sampling == SamplingRule::Fixed;
    let bound = mode.reasons && mode.family == Family::Claude;
    let refusal = if fixed { "this model takes no such value" } else { "not possible while reasoning" };
    let free = !fixed && !bound;
    let mut keep = |name: &str, allowed: bool| {
        if !allowed {
            losses.report(name, refusal);
        }
        allowed
    };
    // 1 is the default: it is accepted where nothing else is.
    let temperature = sampling.temperature.filter(|value| keep("temperature", free || *value == 1.0));
    let top_p = sampling.top_p.filter(|value| keep("top_p", free || (!fixed && *value >= 0.95)));
    let both = temperature.is_some() && top_p.is_some() && rules.sampling == SamplingRule::NotBoth;
    if both {
        losses.report("top_p", "this model takes temperature or top_p, not both");
    }
    let clamped = temperature.map(|asked| {
        let sent = asked.clamp(0.0, 1.0);
        if sent != asked {
            losses.report("temperature", format!("bedrock_converse takes 0 to 1: {sent} was sent"));
        }
        sent
    });
    (clamped, top_p.filter(|_| !both))
}

/// `top_k`, which every family has under a name of its own, into the fields of the model.
pub(super) fn put_top_k<'a>(
    fields: &mut Object<'a>,
    top_k: Option<u64>,
    rules: &ModelRules,
    mode: Mode,
    losses: &mut Losses,
) {
    let Some(top_k) = top_k else { return };
    match mode.family {
        Family::Claude if rules.sampling == SamplingRule::Fixed => {
            losses.report("top_k", "this model takes no such value");
        }
        Family::Claude if mode.reasons => losses.report("top_k", "not possible while reasoning"),
        Family::Claude | Family::Mistral | Family::Unknown => fields.put("top_k", top_k),
        Family::Nova | Family::Nova2 => fields.put("inferenceConfig", Object::new().with("topK", top_k)),
        Family::Cohere => fields.put("k", top_k),
        Family::DeepSeek | Family::GptOss | Family::Jamba | Family::Llama | Family::Other => {
            losses.report("top_k", "this model takes no such value");
        }
    }
}

fn stops<'a>(request: &'a Request, losses: &mut Losses) -> Vec<Node<'a>> {
    let mut kept = Vec::with_capacity(request.stop.len());
    for (index, stop) in request.stop.iter().enumerate() {
        if stop.trim().is_empty() {
            losses.report(format!("stop[{index}]"), "blank stop sequences are refused by bedrock_converse");
        } else {
            kept.push(stop.as_str().into());
        }
    }
    kept
}

fn report_unknown(sampling: &Sampling, losses: &mut Losses) {
    let unknown = [
        ("seed", sampling.seed.is_some()),
        ("presence_penalty", sampling.presence_penalty.is_some()),
        ("frequency_penalty", sampling.frequency_penalty.is_some()),
        ("logit_bias", sampling.logit_bias.is_some()),
        ("logprobs", sampling.logprobs.is_some()),
        ("top_logprobs", sampling.top_logprobs.is_some()),
    ];
    for (name, _) in unknown.into_iter().filter(|(_, given)| *given) {
        losses.report(name, NO_TWIN);
    }
}
