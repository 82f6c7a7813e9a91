//! A chat request as a tree.
//!
//! What nobody gave is left out, and so is what says in words what holds without them (`n: 1`, `tool_choice: "auto"`):
//! dialects differ in which of the two they do. Streaming, counts in streams, users, metadata and tiers of service
//! are not read here at all.

use super::form::Form;
use super::{rest, turns};
use crate::Wire;
use crate::ir::{OutputFormat, Reasoning, Request, Sampling, Tool, ToolChoice};

/// How much of a message is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cache) enum Shown {
    Whole,
    /// Its words are compared by meaning: only who speaks.
    Asked,
    Nothing,
}

/// Writes all of it; `shown` says how much of the message of that number.
pub(in crate::cache) fn write(form: &mut Form, request: &Request, shown: &dyn Fn(usize) -> Shown) {
    form.object(|form| {
        form.field("messages", |form| turns::write(form, &request.messages, shown));
        tools(form, request);
        output_format(form, request.output_format.as_ref());
        reasoning(form, request.reasoning.as_ref());
        sampling(form, &request.sampling);
        form.count_field("max_tokens", request.max_tokens);
        stop(form, &request.stop);
        rest::of_request(form, &request.extra);
    });
}

fn tools(form: &mut Form, request: &Request) {
    let point = |tool: &&Tool| matches!(tool, Tool::Opaque { value, .. } if rest::is_point(value));
    if request.tools.iter().any(|tool| !point(&tool)) {
        form.field("tools", |form| {
            form.list(|form| {
                request.tools.iter().filter(|tool| !point(tool)).for_each(|one| tool(form, one))
            });
        });
    }
    // Nothing to choose from, or what holds without a word.
    let plain = match &request.tool_choice {
        None | Some(ToolChoice::Auto) => true,
        Some(ToolChoice::None) => request.tools.is_empty(),
        Some(_) => false,
    };
    if let Some(choice) = request.tool_choice.as_ref().filter(|_| !plain) {
        form.field("tool_choice", |form| tool_choice(form, choice));
    }
    form.flag_field("parallel_tool_calls", request.parallel_tool_calls.filter(|several| !several));
}

fn tool(form: &mut Form, tool: &Tool) {
    match tool {
        Tool::Function { name, description, parameters, strict, cache: _, extra } => form.object(|form| {
            form.text_field("name", Some(name));
            form.text_field("description", description.as_deref());
            if let Some(parameters) = parameters {
                form.field("parameters", |form| form.value(parameters));
            }
            form.flag_field("strict", *strict);
            rest::of_part(form, extra);
        }),
        Tool::Opaque { wire, value } => opaque(form, *wire, value),
    }
}

/// What only `wire` understands.
pub(super) fn opaque(form: &mut Form, wire: Wire, value: &serde_json::Value) {
    form.object(|form| {
        form.text_field("of", Some(wire.name()));
        form.field("value", |form| rest::unmarked(form, value));
    });
}

fn tool_choice(form: &mut Form, choice: &ToolChoice) {
    match choice {
        ToolChoice::Auto => form.text("auto"),
        ToolChoice::None => form.text("none"),
        ToolChoice::Required => form.text("required"),
        ToolChoice::Named(name) => among(form, true, std::slice::from_ref(name)),
        ToolChoice::Among { required, names } => among(form, *required, names),
        ToolChoice::Opaque { wire, value } => opaque(form, *wire, value),
    }
}

/// One that must be called is one of one.
fn among(form: &mut Form, required: bool, names: &[String]) {
    form.object(|form| {
        form.flag_field("required", Some(required));
        form.field("names", |form| set(form, names));
    });
}

fn output_format(form: &mut Form, format: Option<&OutputFormat>) {
    match format {
        None | Some(OutputFormat::Text) => {}
        Some(OutputFormat::JsonObject) => form.text_field("output_format", Some("json")),
        Some(OutputFormat::JsonSchema(json)) => form.field("output_format", |form| {
            form.object(|form| {
                form.text_field("name", json.name.as_deref());
                form.text_field("description", json.description.as_deref());
                form.field("schema", |form| form.schema(&json.schema));
                form.flag_field("strict", json.strict);
            });
        }),
    }
}

fn reasoning(form: &mut Form, reasoning: Option<&Reasoning>) {
    let Some(asked) = reasoning.filter(|asked| **asked != Reasoning::default()) else { return };
    form.field("reasoning", |form| {
        form.object(|form| {
            form.text_field("effort", asked.effort.map(crate::ir::Effort::as_str));
            form.count_field("budget", asked.budget);
            form.flag_field("enabled", asked.enabled);
            form.text_field("display", asked.display.as_deref());
        });
    });
}

fn sampling(form: &mut Form, sampling: &Sampling) {
    form.float_field("temperature", sampling.temperature);
    form.float_field("top_p", sampling.top_p);
    form.count_field("top_k", sampling.top_k);
    form.count_field("n", sampling.n.filter(|n| *n != 1));
    if let Some(seed) = sampling.seed {
        form.field("seed", |form| form.whole(seed));
    }
    form.float_field("presence_penalty", sampling.presence_penalty);
    form.float_field("frequency_penalty", sampling.frequency_penalty);
    if let Some(bias) = &sampling.logit_bias {
        form.field("logit_bias", |form| form.members(bias, |_, _| true));
    }
    form.flag_field("logprobs", sampling.logprobs.filter(|wanted| *wanted));
    form.count_field("top_logprobs", sampling.top_logprobs);
}

/// Whichever comes first ends the answer: their order says nothing.
fn stop(form: &mut Form, words: &[String]) {
    if !words.is_empty() {
        form.field("stop", |form| set(form, words));
    }
}

fn set(form: &mut Form, words: &[String]) {
    let mut words: Vec<&str> = words.iter().map(String::as_str).collect();
    words.sort_unstable();
    words.dedup();
    form.list(|form| words.into_iter().for_each(|word| form.text(word)));
}
