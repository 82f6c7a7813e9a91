//! Groups of functions: how coding agents give the tools of each of their servers.
//!
//! Other wires have functions alone, so a member becomes one whose name begins with the group's; calls are
//! given back with both. A group whose members stand together is written as it was.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::{OWN, custom};
use crate::ir::{Extra, Part, Request, Tool};
use crate::wire::BadRequest;
use crate::wire::fields::{Fields, Path};

pub(super) const KIND: &str = "namespace";
/// Where a function's group stays: its name, among the leftovers of the function.
const GROUP: &str = crate::ir::GROUP;
/// Where the other fields of a group stay: with its first member.
const REST: &str = "namespace";
/// What joins the two names, unless the group's ends with it.
const JOINT: &str = "__";

/// The name of a member on wires without groups.
pub(super) fn joined(group: &str, name: &str) -> String {
    let joint = if group.ends_with(JOINT) { "" } else { JOINT };
    format!("{group}{joint}{name}")
}

/// Reads a group with `member` for each of its tools.
pub(super) fn read(
    mut fields: Fields<'_>,
    member: impl Fn(crate::wire::json::Json<'_>, &Path<'_>) -> Result<Tool, BadRequest>,
) -> Result<Vec<Tool>, BadRequest> {
    fields.take("type");
    let group = fields.required_text("name")?;
    let at = fields.path().field("tools");
    let list = fields.list("tools")?.unwrap_or_default();
    let mut tools = Vec::with_capacity(list.len());
    for (index, value) in list.into_iter().enumerate() {
        let mut tool = member(value, &at.item(index))?;
        if let Tool::Function { name, extra, .. } = &mut tool {
            *name = joined(&group, name);
            extra.wire = Some(OWN);
            extra.fields.insert(GROUP.to_owned(), json!(group));
        }
        tools.push(tool);
    }
    let rest = fields.rest();
    if let Some(Tool::Function { extra, .. }) = tools.first_mut().filter(|_| !rest.is_empty()) {
        extra.fields.insert(REST.to_owned(), Value::Object(rest));
    }
    Ok(tools)
}

/// Gives the calls in the conversation the names of the functions that were made of their groups' members.
pub(super) fn join_calls(request: &mut Request) {
    let Request { tools, messages, .. } = request;
    let functions: HashSet<&str> = tools
        .iter()
        .filter_map(|tool| match tool {
            Tool::Function { name, .. } => Some(name.as_str()),
            Tool::Opaque { .. } => None,
        })
        .collect();
    for part in messages.iter_mut().flat_map(|message| &mut message.parts) {
        let Part::ToolCall(call) = part else { continue };
        let Some(Value::String(group)) = call.extra.fields.get(KIND) else { continue };
        let name = joined(group, &call.name);
        if functions.contains(name.as_str()) {
            call.name = name;
            call.extra.fields.shift_remove(KIND);
            call.extra = Extra::of(OWN, std::mem::take(&mut call.extra.fields));
        }
    }
}

/// The group of a function that was made of a member, and the member's own name.
pub(super) fn of(tool: &Tool) -> Option<(&str, &str)> {
    let Tool::Function { name, extra, .. } = tool else { return None };
    let group = extra.for_wire(OWN)?.get(GROUP)?.as_str()?;
    let name = name.strip_prefix(group)?;
    Some((group, if group.ends_with(JOINT) { name } else { name.strip_prefix(JOINT)? }))
}

/// The group and the member's name for a name of the pivot.
pub(super) fn split<'a>(tools: &'a [Tool], name: &str) -> Option<(&'a str, &'a str)> {
    tools.iter().find_map(|tool| match tool {
        Tool::Function { name: known, .. } if known == name => of(tool),
        _ => None,
    })
}

/// A function's leftovers without what this module put there.
pub(super) fn own(extra: &Extra) -> impl Iterator<Item = (&String, &Value)> {
    let fields = extra.for_wire(OWN).into_iter().flatten();
    fields.filter(|(name, _)| !matches!(name.as_str(), GROUP | REST))
}

/// The fields of a group besides its name and members, as its first member has them.
pub(super) fn rest_of(tool: &Tool) -> Option<&Map<String, Value>> {
    match tool {
        Tool::Function { extra, .. } => extra.for_wire(OWN)?.get(REST)?.as_object(),
        Tool::Opaque { .. } => None,
    }
}

/// What an answer must know of the tools its request gave: each by its name in the pivot.
#[derive(Debug, Default)]
pub(super) struct Members(Vec<Member>);

#[derive(Debug)]
struct Member {
    joined: String,
    group: String,
    name: String,
    takes_text: bool,
}

impl Members {
    /// The members of all groups of a request as [`super::echo_of`] kept it.
    pub(super) fn of(request: &Map<String, Value>) -> Self {
        let tools = request.get("tools").and_then(Value::as_array);
        let mut members = Vec::new();
        for group in tools.into_iter().flatten().filter(|tool| tool.get("type") == Some(&json!(KIND))) {
            let Some(name) = group.get("name").and_then(Value::as_str) else { continue };
            for tool in group.get("tools").and_then(Value::as_array).into_iter().flatten() {
                let Some(own) = tool.get("name").and_then(Value::as_str) else { continue };
                members.push(Member {
                    joined: joined(name, own),
                    group: name.to_owned(),
                    name: own.to_owned(),
                    takes_text: custom::is_one(tool),
                });
            }
        }
        Self(members)
    }

    /// The call is of a member that takes free text.
    pub(super) fn takes_text(&self, name: &str) -> bool {
        self.0.iter().any(|member| member.joined == name && member.takes_text)
    }

    /// The group of the member that was called and the member's own name. Some models leave the group out:
    /// a name that `is_free` of another meaning is taken for the only member so called.
    pub(super) fn split(&self, name: &str, is_free: bool) -> Option<(&str, &str)> {
        let whole = self.0.iter().find(|member| member.joined == name);
        let mut alike = self.0.iter().filter(|member| is_free && member.name == name);
        let found = whole.or_else(|| alike.next().filter(|_| alike.next().is_none()))?;
        Some((&found.group, &found.name))
    }
}
