//! Writes the tools and the choice among them.

use serde_json::{Value, json};

use super::encode::is_third_generation;
use super::lent::SEARCH;
use crate::ir::{Request, Tool, ToolChoice};
use crate::loss::Losses;
use crate::provider::ModelRules;
use crate::wire::fields::{Path, write_extra};
use crate::wire::gemini::Wire;
use crate::wire::gemini::schema::{adapted, is_empty_object};
use crate::wire::gemini::write::NO_COUNTERPART;
use crate::wire::tree::{Node, Object};

/// Anthropic tools that run at the caller's side; their schema is implied by the type.
const CLIENT_TOOLS: [&str; 4] = ["bash_", "text_editor_", "computer_", "memory_"];

/// Why a tool of the provider's is left out.
const NOT_BOTH: &str = "this model takes functions or tools of the provider, not both";

/// What is written of the tools.
#[derive(Debug, Default)]
pub(super) struct Tools<'a> {
    pub list: Vec<Node<'a>>,
    /// There are functions to call.
    pub functions: bool,
    /// Calls must follow their schemas, and this model can see to it.
    validated: bool,
}

/// The `tools` list: all functions in one entry, the provider's own tools each in theirs.
pub(super) fn tools<'a>(request: &'a Request, rules: &ModelRules, losses: &mut Losses) -> Tools<'a> {
    let at = Path::Body.field("tools");
    let mut tools = Tools::default();
    let mut functions: Vec<Node<'a>> = Vec::with_capacity(request.tools.len());
    let (mut own, mut searches) = (Vec::new(), Vec::new());
    for (index, tool) in request.tools.iter().enumerate() {
        let at = at.item(index);
        match tool {
            Tool::Function { strict, .. } => {
                if *strict == Some(true) {
                    match is_third_generation(rules) {
                        true => tools.validated = true,
                        false => losses.report(at.field("strict").to_string(), NO_COUNTERPART),
                    }
                }
                functions.push(function(tool, &at, losses).into());
            }
            Tool::Opaque { wire: Wire::Gemini, value } => own.push((Node::from(value), at.to_string())),
            Tool::Opaque { value, .. } => match foreign(value, &at, losses) {
                Some(Foreign::Function(value)) => functions.push(value.into()),
                Some(Foreign::Search) => searches.push(at.to_string()),
                None => {}
            },
        }
    }
    if let Some(options) = searching(request) {
        if options.as_object().is_some_and(|options| !options.is_empty()) {
            losses.report(SEARCH, "was sent as googleSearch, without its settings");
        }
        searches.push(SEARCH.to_owned());
    }
    tools.functions = !functions.is_empty();
    if tools.functions {
        tools.list.push(Object::new().with("functionDeclarations", functions).into());
    }
    for (tool, path) in own {
        if tools.functions && !is_third_generation(rules) {
            losses.report(path, NOT_BOTH);
        } else {
            tools.list.push(tool);
        }
    }
    // Later models search beside functions only for callers who send back what was found, in parts of this
    // wire: no other dialect holds them.
    for path in searches {
        if tools.functions {
            losses.report(path, NOT_BOTH);
        } else {
            tools.list.push(google_search());
        }
    }
    tools
}

fn function<'a>(tool: &'a Tool, at: &Path<'_>, losses: &mut Losses) -> Object<'a> {
    let Tool::Function { name, description, parameters, cache, extra, .. } = tool else {
        return Object::new();
    };
    let mut function = Object::new().with("name", name.as_str());
    function.put_some("description", description.as_deref());
    if let Some(schema) = parameters.as_ref().filter(|schema| !is_empty_object(schema)) {
        function.put("parametersJsonSchema", adapted(schema, &at.field("parameters"), losses));
    }
    if cache.is_some() {
        losses.report(at.field("cache_control").to_string(), NO_MARKS);
    }
    write_extra(&mut function, extra, at, Wire::Gemini, losses);
    function
}

/// Why a cache mark is left out.
pub(super) const NO_MARKS: &str = "gemini takes no cache marks: it caches by itself";

fn google_search<'a>() -> Node<'a> {
    Object::new().with("googleSearch", Object::new()).into()
}

/// OpenAI's callers ask for a search outside of the tools.
fn searching(request: &Request) -> Option<&Value> {
    let foreign = request.extra.for_wire(Wire::Gemini).is_none();
    request.extra.fields.get(SEARCH).filter(|options| foreign && !options.is_null())
}

enum Foreign {
    Function(Value),
    Search,
}

/// A tool of another wire: one the caller runs becomes a function, a search the provider's own search.
fn foreign(value: &Value, at: &Path<'_>, losses: &mut Losses) -> Option<Foreign> {
    let kind = value.get("type").and_then(Value::as_str).unwrap_or_default();
    if kind.starts_with("web_search") {
        losses.report(at.to_string(), format!("{kind:?} was sent as googleSearch, without its settings"));
        return Some(Foreign::Search);
    }
    let name = value.get("name").and_then(Value::as_str);
    let Some(name) = name.filter(|_| CLIENT_TOOLS.iter().any(|prefix| kind.starts_with(prefix))) else {
        losses.report(at.to_string(), format!("the tool type {kind:?} {NO_COUNTERPART}"));
        return None;
    };
    losses.report(at.to_string(), format!("the schema of {kind:?} is implied: sent as an open function"));
    let parameters = json!({"type": "object", "properties": {}, "additionalProperties": true});
    Some(Foreign::Function(json!({"name": name, "parametersJsonSchema": parameters})))
}

/// The `functionCallingConfig`.
pub(super) fn choice<'a>(request: &'a Request, tools: &Tools<'_>, losses: &mut Losses) -> Option<Node<'a>> {
    let mode = |mode: &'static str| Some(Object::new().with("mode", mode).into());
    if !tools.functions {
        if request.tool_choice.as_ref().is_some_and(|choice| *choice != ToolChoice::None) {
            losses.report("tool_choice", "there are no tools to choose from");
        }
        return None;
    }
    match &request.tool_choice {
        None | Some(ToolChoice::Auto) if tools.validated => mode("VALIDATED"),
        None => None,
        Some(ToolChoice::Auto) => mode("AUTO"),
        Some(ToolChoice::None) => mode("NONE"),
        Some(ToolChoice::Required) => mode("ANY"),
        Some(ToolChoice::Named(name)) => {
            let names = vec![Node::from(name.as_str())];
            Some(Object::new().with("mode", "ANY").with("allowedFunctionNames", names).into())
        }
        Some(ToolChoice::Opaque { wire: Wire::Gemini, value }) => Some(value.into()),
        Some(ToolChoice::Among { required, names }) => {
            let names: Vec<Node<'_>> = names.iter().map(|name| name.as_str().into()).collect();
            let mode = if *required { "ANY" } else { "VALIDATED" };
            Some(Object::new().with("mode", mode).with("allowedFunctionNames", names).into())
        }
        Some(ToolChoice::Opaque { .. }) => {
            losses.report("tool_choice", NO_COUNTERPART);
            None
        }
    }
}
