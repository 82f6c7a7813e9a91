//! Items of an answer as callers get them.

use serde_json::Value;

use super::super::client_tools::Client;
use super::super::custom;
use super::super::namespace::{KIND, Members};
use crate::wire::Echo;
use crate::wire::tree::{Node, Object};

/// What items are made with.
#[derive(Debug)]
pub(in crate::wire::openai_responses) struct Made {
    unique: String,
    /// Names of the tools whose calls carry free text.
    customs: Vec<String>,
    /// The tools that stand in groups.
    members: Members,
    /// Names of the functions that do not.
    plain: Vec<String>,
    /// The tools of the wire's own that the caller runs.
    clients: Vec<Value>,
}

impl Made {
    pub(in crate::wire::openai_responses) fn new(echo: &Echo) -> Self {
        let customs = echo.request.as_ref().map(|request| custom::names_of(request)).unwrap_or_default();
        let members = echo.request.as_ref().map(|request| Members::of(request)).unwrap_or_default();
        let tools = echo.request.as_ref().and_then(|request| request.get("tools")?.as_array());
        let name = |tool: &Value| tool.get("name")?.as_str().map(str::to_owned);
        let plain = tools.into_iter().flatten().filter_map(name).collect();
        let clients =
            tools.into_iter().flatten().filter(|tool| Client::of(tool).is_some()).cloned().collect();
        Self { unique: echo.unique.clone(), customs, members, plain, clients }
    }

    /// The id of the item `number` of the output: the same in every event and in the whole.
    pub(in crate::wire::openai_responses) fn id(&self, prefix: &str, number: usize) -> String {
        format!("{prefix}_{}_{number}", self.unique)
    }

    /// The tool takes free text.
    pub(in crate::wire::openai_responses) fn is_custom(&self, name: &str) -> bool {
        self.customs.iter().any(|custom| custom == name) || self.members.takes_text(name)
    }

    /// The tool of the wire's own that the name is of.
    pub(in crate::wire::openai_responses) fn client(&self, name: &str) -> Option<Client> {
        Client::called(&self.clients, name).filter(|_| !self.plain.iter().any(|known| known == name))
    }

    /// The group of the tool that was called, where it stands in one, and its name there.
    pub(in crate::wire::openai_responses) fn named<'n>(
        &'n self,
        name: &'n str,
    ) -> (Option<&'n str>, &'n str) {
        let is_free = !self.plain.iter().any(|known| known == name);
        match self.members.split(name, is_free) {
            Some((group, own)) => (Some(group), own),
            None => (None, name),
        }
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

/// A call: `(call_id, (group, name), input)`, the input being arguments or, for a custom tool, free text.
pub(in crate::wire::openai_responses) fn call<'a>(
    id: &'a str,
    is_custom: bool,
    (call_id, (group, name), input): (&'a str, (Option<&'a str>, &'a str), &'a str),
    status: &'a str,
) -> Object<'a> {
    let (kind, field) =
        if is_custom { ("custom_tool_call", "input") } else { ("function_call", "arguments") };
    let object = Object::new().with("id", id).with("type", kind).with("status", status);
    let mut object = object.with("call_id", call_id).with("name", name).with(field, input);
    object.put_some(KIND, group);
    object
}
