//! Tools of this wire that the caller runs, and whose form the wire implies: a shell, and the search for further
//! tools. On other wires they are functions; what they found can be called from the next turn on.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::OWN;
use crate::ir::{Extra, MADE_OF, Part, Request, Tool, ToolCall, ToolResult};
use crate::wire::tree::{Node, Object};

/// One of these tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Client {
    Shell,
    Search,
}

impl Client {
    /// The tool that a definition is of; `None` for one that the provider runs.
    pub(super) fn of(tool: &Value) -> Option<Self> {
        match tool.get("type")?.as_str()? {
            "local_shell" => Some(Self::Shell),
            "tool_search" if tool.get("execution")?.as_str()? == "client" => Some(Self::Search),
            _ => None,
        }
    }

    /// The tool among those of a request as [`super::echo_of`] kept it, by the name of its function.
    pub(super) fn called(tools: &[Value], name: &str) -> Option<Self> {
        tools.iter().filter_map(Self::of).find(|client| client.name() == name)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Shell => "local_shell",
            Self::Search => "tool_search",
        }
    }

    fn of_item(kind: &str) -> Option<(Self, bool)> {
        match kind {
            "local_shell_call" => Some((Self::Shell, false)),
            "local_shell_call_output" => Some((Self::Shell, true)),
            "tool_search_call" => Some((Self::Search, false)),
            "tool_search_output" => Some((Self::Search, true)),
            _ => None,
        }
    }

    /// What the ids of its calls begin with.
    pub(super) fn prefix(self) -> &'static str {
        match self {
            Self::Shell => "lsh",
            Self::Search => "tsc",
        }
    }

    /// Its function on other wires.
    pub(super) fn function(self, definition: Value) -> Tool {
        let text = |name: &str| definition.get(name).and_then(Value::as_str).map(str::to_owned);
        let (description, parameters) = match self {
            Self::Shell => {
                (Some("Runs a command in the user's shell and gives its output.".to_owned()), shell())
            }
            Self::Search => (
                text("description")
                    .or_else(|| Some("Finds further tools that can be called then.".to_owned())),
                definition
                    .get("parameters")
                    .filter(|schema| schema.is_object())
                    .cloned()
                    .unwrap_or_else(query),
            ),
        };
        Tool::Function {
            name: self.name().to_owned(),
            description,
            parameters: Some(parameters),
            strict: None,
            cache: None,
            extra: made_of(definition),
        }
    }

    /// A call as an item. Arguments that are no object are none.
    pub(super) fn item<'a>(
        self,
        id: &'a str,
        call_id: &'a str,
        arguments: &str,
        status: &'a str,
    ) -> Object<'a> {
        let given: Map<String, Value> = serde_json::from_str(arguments).unwrap_or_default();
        let object = Object::new().with("id", id).with("status", status).with("call_id", call_id);
        match self {
            Self::Shell => {
                let mut action = Map::from_iter([("type".to_owned(), json!("exec"))]);
                action.extend(given);
                action.entry("command").or_insert_with(|| json!([]));
                action.entry("env").or_insert_with(|| json!({}));
                object.with("type", "local_shell_call").with("action", Node::from(Value::Object(action)))
            }
            Self::Search => {
                let object = object.with("type", "tool_search_call").with("execution", "client");
                object.with("arguments", Node::from(Value::Object(given)))
            }
        }
    }
}

/// Reads calls and results of the tools of this kind that the request gives, and adds the tools that were
/// found; `read` reads one or, from a group, several.
pub(super) fn read_items(request: &mut Request, read: impl Fn(Value) -> Vec<Tool>) {
    let Request { tools, messages, .. } = request;
    let [shell, search] =
        [Client::Shell, Client::Search].map(|client| tools.iter().any(|tool| is_of(tool, client)));
    let mut found: Vec<Tool> = Vec::new();
    for part in messages.iter_mut().flat_map(|message| &mut message.parts) {
        let Part::Opaque { wire, value } = &*part else { continue };
        let kind = value.get("type").and_then(Value::as_str).and_then(Client::of_item);
        let Some((client, is_result)) = kind.filter(|_| *wire == OWN) else { continue };
        let is_given = match client {
            Client::Shell => shell,
            Client::Search => search,
        };
        if !is_given {
            continue;
        }
        let loaded = match value.get("tools").and_then(Value::as_array) {
            Some(list) if is_result => list.iter().cloned().flat_map(&read).collect(),
            _ => Vec::new(),
        };
        *part = if is_result { result(value, client, &loaded) } else { call(value, client) };
        found.extend(loaded);
    }
    let mut known: HashSet<String> = tools.iter().map(|tool| name_of(tool).to_owned()).collect();
    for mut tool in found {
        if let Tool::Function { name, extra, .. } = &mut tool
            && known.insert(name.clone())
        {
            // On this wire the item that found it tells it.
            *extra = made_of(Value::Null);
            tools.push(tool);
        }
    }
}

/// What a function, a call or a result was made of, to be written instead of it on this wire; null: nothing.
pub(super) fn whole(extra: &Extra) -> Option<&Value> {
    extra.for_wire(OWN)?.get(MADE_OF)
}

fn made_of(value: Value) -> Extra {
    Extra::of(OWN, Map::from_iter([(MADE_OF.to_owned(), value)]))
}

fn is_of(tool: &Tool, client: Client) -> bool {
    let Tool::Function { extra, .. } = tool else { return false };
    whole(extra).and_then(Client::of) == Some(client)
}

fn name_of(tool: &Tool) -> &str {
    match tool {
        Tool::Function { name, .. } => name,
        Tool::Opaque { .. } => "",
    }
}

fn call(value: &Value, client: Client) -> Part {
    let given = match client {
        Client::Shell => value.get("action"),
        Client::Search => value.get("arguments"),
    };
    let arguments = match given {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Object(fields)) => {
            let mut fields = fields.clone();
            if client == Client::Shell {
                fields.shift_remove("type");
            }
            Value::Object(fields).to_string()
        }
        _ => "{}".to_owned(),
    };
    let (id, name) = (id_of(value), client.name().to_owned());
    Part::ToolCall(ToolCall { id, name, arguments, cache: None, extra: made_of(value.clone()) })
}

fn result(value: &Value, client: Client, loaded: &[Tool]) -> Part {
    let text = match client {
        Client::Shell => value
            .get("output")
            .map(|output| output.as_str().map_or_else(|| output.to_string(), str::to_owned)),
        Client::Search if loaded.is_empty() => Some("No tool was found.".to_owned()),
        Client::Search => {
            let names: Vec<&str> = loaded.iter().map(name_of).collect();
            Some(format!("These tools can be called now: {}", names.join(", ")))
        }
    };
    let parts = text.filter(|text| !text.is_empty()).map(Part::text).into_iter().collect();
    let (call_id, extra) = (id_of(value), made_of(value.clone()));
    Part::ToolResult(ToolResult { call_id, parts, is_error: None, cache: None, extra })
}

/// Results of the shell name their call as their own id.
fn id_of(value: &Value) -> String {
    let id = value.get("call_id").filter(|id| id.is_string()).or_else(|| value.get("id"));
    id.and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn shell() -> Value {
    json!({"type": "object", "required": ["command"], "properties": {
        "command": {"type": "array", "items": {"type": "string"}, "description": "The program and its arguments."},
        "working_directory": {"type": "string"}, "timeout_ms": {"type": "integer"}}})
}

fn query() -> Value {
    json!({"type": "object", "required": ["query"], "properties": {"query": {"type": "string"}}})
}
