//! Items of an answer as callers get them.

use super::super::custom;
use crate::wire::Echo;
use crate::wire::tree::{Node, Object};

/// What items are made with.
#[derive(Debug)]
pub(in crate::wire::openai_responses) struct Made {
    unique: String,
    /// Names of the tools whose calls carry free text.
    customs: Vec<String>,
}

impl Made {
    pub(in crate::wire::openai_responses) fn new(echo: &Echo) -> Self {
        let customs = echo.request.as_ref().map(|request| custom::names_of(request)).unwrap_or_default();
        Self { unique: echo.unique.clone(), customs }
    }

    /// The id of the item `number` of the output: the same in every event and in the whole.
    pub(in crate::wire::openai_responses) fn id(&self, prefix: &str, number: usize) -> String {
        format!("{prefix}_{}_{number}", self.unique)
    }

    /// The tool takes free text.
    pub(in crate::wire::openai_responses) fn is_custom(&self, name: &str) -> bool {
        self.customs.iter().any(|custom| custom == name)
    }
}

/// The word for an item that is whole, or was cut.
pub(in crate::wire::openai_responses) fn status(cut: bool) -> &'static str {
    if cut { "incomplete" } else { "completed" }
}

/// A message.
pub(in crate::wire::openai_responses) fn message<'a>(
    id: &'a str,
    content: Vec<Node<'a>>,
    status: &'a str,
) -> Object<'a> {
    let object = Object::new().with("id", id).with("type", "message").with("status", status);
    object.with("role", "assistant").with("content", content)
}

/// A refusal among a message's content.
pub(in crate::wire::openai_responses) fn refusal(text: &str) -> Object<'_> {
    Object::typed("refusal").with("refusal", text)
}

/// A call: `(call_id, name, input)`, the input being arguments or, for a custom tool, free text.
pub(in crate::wire::openai_responses) fn call<'a>(
    id: &'a str,
    is_custom: bool,
    (call_id, name, input): (&'a str, &'a str, &'a str),
    status: &'a str,
) -> Object<'a> {
    let (kind, field) =
        if is_custom { ("custom_tool_call", "input") } else { ("function_call", "arguments") };
    let object = Object::new().with("id", id).with("type", kind).with("status", status);
    object.with("call_id", call_id).with("name", name).with(field, input)
}
