//! The object around an answer's output. Most of it repeats the request: clients read it unchecked, so every
//! member stands there, with the default where the request said nothing.

use serde_json::{Value, json};

use super::super::usage;
use crate::ir::Usage;
use crate::wire::Echo;
use crate::wire::tree::{Node, Object};

/// How far an answer is.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::wire::openai_responses) enum Status {
    InProgress,
    Completed,
    /// With its reason, where one is known.
    Incomplete(Option<&'static str>),
    /// With its `error`.
    Failed(Value),
}

/// What is the same in all objects of one answer.
#[derive(Debug)]
pub(in crate::wire::openai_responses) struct Shell<'a> {
    pub echo: &'a Echo,
    pub id: &'a str,
    pub created: u64,
    pub model: &'a str,
    pub service_tier: Option<&'a str>,
}

impl<'a> Shell<'a> {
    /// The object, with what came so far.
    pub(in crate::wire::openai_responses) fn object(
        &self,
        status: &Status,
        output: Vec<Node<'a>>,
        usage: Option<&Usage>,
    ) -> Object<'a> {
        let (word, error, reason) = match status {
            Status::InProgress => ("in_progress", Node::Null, None),
            Status::Completed => ("completed", Node::Null, None),
            Status::Incomplete(reason) => ("incomplete", Node::Null, *reason),
            Status::Failed(error) => ("failed", error.clone().into(), None),
        };
        let model = if self.echo.model.is_empty() { self.model } else { self.echo.model.as_str() };
        let details = reason.map(|reason| Object::new().with("reason", reason));
        let mut object = Object::new()
            .with("id", self.id)
            .with("object", "response")
            .with("created_at", self.created)
            .with("status", word)
            .with("background", false)
            .with("error", error)
            .with("incomplete_details", details);
        self.repeat(&mut object, &BEFORE_MODEL);
        object.put("model", model);
        object.put("output", output);
        self.repeat(&mut object, &["parallel_tool_calls"]);
        object.put("previous_response_id", Node::Null);
        self.repeat(&mut object, &BEFORE_USAGE);
        object.set("service_tier", self.service_tier.unwrap_or("default"));
        // Whatever was asked for: an answer that was translated is kept nowhere.
        object.put("store", false);
        object.put("usage", usage.map(usage::write));
        self.repeat(&mut object, &["user", "metadata"]);
        object
    }

    fn repeat(&self, object: &mut Object<'a>, names: &[&'static str]) {
        for &name in names {
            let given = self.echo.request.as_ref().and_then(|request| request.get(name));
            match given.filter(|given| !given.is_null()) {
                Some(given) if name == "text" => object.put(name, with_format(given)),
                Some(given) => object.put(name, given),
                None => object.put(name, usual(name)),
            }
        }
    }
}

/// The provider's id when it has this wire's form, else one that holds it, else one of the gateway's. Never
/// empty.
pub(in crate::wire::openai_responses) fn answer_id(given: &str, echo: &Echo) -> String {
    match given {
        "" => format!("resp_{}", echo.unique),
        given if given.starts_with("resp_") => given.to_owned(),
        given => format!("resp_{given}"),
    }
}

const BEFORE_MODEL: [&str; 3] = ["instructions", "max_output_tokens", "max_tool_calls"];
const BEFORE_USAGE: [&str; 11] = [
    "prompt_cache_key",
    "reasoning",
    "safety_identifier",
    "service_tier",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
];

/// What the provider fills in for a member the request left out.
fn usual(name: &str) -> Node<'static> {
    match name {
        "parallel_tool_calls" => true.into(),
        "reasoning" => json!({"effort": null, "summary": null}).into(),
        "temperature" | "top_p" => Node::float(1.0),
        "text" => json!({"format": {"type": "text"}}).into(),
        "tool_choice" => "auto".into(),
        "tools" => Vec::new().into(),
        "top_logprobs" => 0_u64.into(),
        "truncation" => "disabled".into(),
        "metadata" => Object::new().into(),
        _ => Node::Null,
    }
}

fn with_format(text: &Value) -> Node<'_> {
    match text.as_object() {
        Some(map) if !map.contains_key("format") => {
            let mut object = Object::new().with("format", Object::typed("text"));
            object.adopt(map);
            object.into()
        }
        _ => text.into(),
    }
}
