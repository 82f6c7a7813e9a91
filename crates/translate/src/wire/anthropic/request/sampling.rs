//! Sampling parameters and stop sequences: which of them this wire and this model take.

use crate::ir::{Request, Sampling};
use crate::loss::Losses;
use crate::provider::{ModelRules, SamplingRule};
use crate::wire::BadRequest;
use crate::wire::anthropic::write::NO_TWIN;
use crate::wire::tree::{Node, Object};

/// Refuses what cannot be asked of this wire at all.
///
/// # Errors
/// [`BadRequest`] for more than one choice.
pub(super) fn check(sampling: &Sampling) -> Result<(), BadRequest> {
    match sampling.n {
        Some(n) if n > 1 => {
            Err(BadRequest::at("n", format!("n: anthropic gives one choice per call, found {n}; expected 1")))
        }
        _ => Ok(()),
    }
}

/// Writes `temperature`, `top_p` and `top_k` as far as the model takes them.
pub(super) fn write<'a>(
    body: &mut Object<'a>,
    sampling: &'a Sampling,
    rules: &ModelRules,
    thinking: bool,
    losses: &mut Losses,
) {
    report_unknown(sampling, losses);
    let fixed = rules.sampling == SamplingRule::Fixed;
    let refusal = if fixed { "this model takes no such value" } else { "not possible while reasoning" };
    let free = !fixed && !thinking;
    let mut keep = |name: &str, allowed: bool| {
        if !allowed {
            losses.report(name, refusal);
        }
        allowed
    };
    // 1 is the default: it is accepted where nothing else is.
    let temperature = sampling.temperature.filter(|value| keep("temperature", free || *value == 1.0));
    let top_p = sampling.top_p.filter(|value| keep("top_p", free || (!fixed && *value >= 0.95)));
    let top_k = sampling.top_k.filter(|_| keep("top_k", free));
    let both = temperature.is_some() && top_p.is_some() && rules.sampling == SamplingRule::NotBoth;
    if both {
        losses.report("top_p", "this model takes temperature or top_p, not both");
    }
    body.put_some("temperature", temperature.map(|value| clamped(value, losses)));
    body.put_some("top_p", top_p.filter(|_| !both));
    body.put_some("top_k", top_k);
}

/// Writes `stop_sequences`.
pub(super) fn write_stop<'a>(body: &mut Object<'a>, request: &'a Request, losses: &mut Losses) {
    let mut kept: Vec<Node<'a>> = Vec::with_capacity(request.stop.len());
    for (index, stop) in request.stop.iter().enumerate() {
        if stop.trim().is_empty() {
            losses.report(format!("stop[{index}]"), "blank stop sequences are refused by anthropic");
        } else {
            kept.push(stop.as_str().into());
        }
    }
    if !kept.is_empty() {
        body.put("stop_sequences", kept);
    }
}

fn clamped(temperature: f64, losses: &mut Losses) -> f64 {
    let sent = temperature.clamp(0.0, 1.0);
    if sent != temperature {
        losses.report("temperature", format!("anthropic takes 0 to 1: {sent} was sent"));
    }
    sent
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
