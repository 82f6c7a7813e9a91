//! One request or answer per feature, in the pivot, and how to see the feature in what came of it.

use serde_json::{Value, json};
use translate::Wire;
use translate::ir::{
    CacheMark, Choice, Citation, Document, Effort, Finish, FinishReason, Image, JsonSchema, Message,
    OutputFormat, Part, Reasoning, Request, Response, Role, Signature, Source, Text, Thinking, Tool,
    ToolCall, ToolChoice, ToolResult, Usage,
};

use super::reading;

/// Something a caller may ask.
pub struct Asked {
    pub name: &'static str,
    /// A request with the feature. `to`: the wire of the provider, for what only its maker can read.
    pub request: fn(to: Wire) -> Request,
    /// What of it a request holds; `Null` for nothing.
    pub see: fn(&Request) -> Value,
    /// Callers send it back as an answer gave it to them: every dialect carries it, see there.
    pub kept: bool,
}

/// Something a provider may answer.
pub struct Told {
    pub name: &'static str,
    /// An answer with the feature. `from`: the wire of the provider.
    pub response: fn(from: Wire) -> Response,
    pub see: fn(&Response) -> Value,
}

const PNG: &str = "iVBORw0KGgo=";

fn message(role: Role, parts: Vec<Part>) -> Message {
    Message { role, name: None, parts, extra: Default::default() }
}

/// The smallest request.
pub fn plain() -> Request {
    with_parts(vec![])
}

fn with_parts(mut more: Vec<Part>) -> Request {
    more.push(Part::text("question"));
    with_messages(vec![message(Role::User, more)])
}

fn with_messages(messages: Vec<Message>) -> Request {
    Request { model: "m".into(), messages, max_tokens: Some(20_000), ..Request::default() }
}

fn with(change: impl Fn(&mut Request)) -> Request {
    let mut request = plain();
    change(&mut request);
    request
}

fn tool(strict: Option<bool>, cache: Option<CacheMark>) -> Tool {
    Tool::Function {
        name: "look".into(),
        description: Some("Looks.".into()),
        parameters: Some(json!({"type": "object", "properties": {"at": {"type": "string"}},
            "required": ["at"], "additionalProperties": false})),
        strict,
        cache,
        extra: Default::default(),
    }
}

fn call(id: &str) -> Part {
    Part::ToolCall(ToolCall {
        id: id.into(),
        name: "look".into(),
        arguments: format!("{{\"at\":\"{id}\"}}"),
        cache: None,
        extra: Default::default(),
    })
}

fn result(id: &str, parts: Vec<Part>, is_error: Option<bool>) -> Part {
    Part::ToolResult(ToolResult {
        call_id: id.into(),
        parts,
        is_error,
        cache: None,
        extra: Default::default(),
    })
}

/// A tool loop whose answers are `results`.
fn looped(before: Vec<Part>, results: Vec<Part>) -> Request {
    let mut said = before;
    said.extend(results.iter().filter_map(|part| match part {
        Part::ToolResult(result) => Some(call(&result.call_id)),
        _ => None,
    }));
    let mut request = with_messages(vec![
        message(Role::User, vec![Part::text("question")]),
        message(Role::Assistant, said),
        message(Role::Tool, results),
    ]);
    request.tools = vec![tool(None, None)];
    request
}

fn chosen(choice: ToolChoice) -> Request {
    with(|request| {
        request.tools = vec![tool(None, None)];
        request.tool_choice = Some(choice.clone());
    })
}

fn image(source: Source, detail: Option<&str>) -> Part {
    let detail = detail.map(str::to_owned);
    Part::Image(Image { source, detail, cache: None, extra: Default::default() })
}

fn document(source: Source, name: Option<&str>) -> Part {
    let name = name.map(str::to_owned);
    Part::Document(Document { source, name, cache: None, extra: Default::default() })
}

fn bytes(media_type: &str, data: &str) -> Source {
    Source::Base64 { media_type: media_type.into(), data: data.into() }
}

fn marked() -> Option<CacheMark> {
    Some(CacheMark { raw: json!({"type": "ephemeral"}) })
}

fn signed(text: &str, by: Wire) -> Part {
    let signature = Some(Signature { by: by.signer(), text: "c2lnbmF0dXJl".into() });
    Part::Thinking(Thinking { text: text.into(), signature, ..Thinking::default() })
}

fn reasoned(part: Part) -> Request {
    with_messages(vec![
        message(Role::User, vec![Part::text("question")]),
        message(Role::Assistant, vec![part, Part::text("answer")]),
        message(Role::User, vec![Part::text("more")]),
    ])
}

fn reasoning(reasoning: Reasoning) -> Request {
    with(|request| request.reasoning = Some(reasoning.clone()))
}

fn schema() -> OutputFormat {
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"],
        "additionalProperties": false});
    let name = Some("answer".to_owned());
    OutputFormat::JsonSchema(JsonSchema { name, description: None, schema, strict: Some(true) })
}

/// Another maker than that of `wire`.
fn stranger(wire: Wire) -> Wire {
    if wire.signer() == Wire::Gemini { Wire::Anthropic } else { Wire::Gemini }
}

fn parts(request: &Request) -> impl Iterator<Item = &Part> {
    request.messages.iter().flat_map(|message| &message.parts)
}

/// The first thing `found` in the parts, those inside results too.
fn first(request: &Request, found: fn(&Part) -> Option<Value>) -> Value {
    let inner = parts(request).flat_map(|part| match part {
        Part::ToolResult(result) => result.parts.as_slice(),
        other => std::slice::from_ref(other),
    });
    inner.chain(parts(request)).find_map(found).unwrap_or_default()
}

fn roles(request: &Request) -> Value {
    let role = |message: &Message| match message.role {
        Role::System | Role::Developer => "instruction",
        Role::User | Role::Tool => "user",
        Role::Assistant => "assistant",
    };
    let turns = request.messages.iter().map(|message| json!([role(message), reading::text(&message.parts)]));
    turns.collect()
}

fn source(source: &Source) -> Value {
    match source {
        Source::Base64 { media_type, data } => json!(["base64", media_type, data]),
        Source::Url(url) => json!(["url", url]),
        Source::File(id) => json!(["file", id]),
        Source::Text { text, .. } => json!(["text", text]),
    }
}

fn see_image(part: &Part) -> Option<Value> {
    match part {
        Part::Image(image) => Some(source(&image.source)),
        _ => None,
    }
}

fn see_document(part: &Part) -> Option<Value> {
    match part {
        Part::Document(document) => Some(source(&document.source)),
        Part::Text(text) if text.text.contains("page one") => Some(json!(["message text"])),
        _ => None,
    }
}

fn see_thinking(part: &Part) -> Option<Value> {
    match part {
        Part::Thinking(one) => Some(json!([one.text, signature(one)])),
        _ => None,
    }
}

fn signature(one: &Thinking) -> Value {
    json!(one.signature.as_ref().map(|signature| (signature.by.name(), &signature.text)))
}

/// The reasoning of an answer and the first signature in it: on Gemini's wire that stands on the part behind.
fn see_signed(response: &Response) -> Value {
    let thoughts = response.choices.iter().flat_map(|choice| &choice.parts).filter_map(|part| match part {
        Part::Thinking(thinking) => Some(thinking),
        _ => None,
    });
    let text: String = thoughts.clone().map(|one| one.text.as_str()).collect();
    let signature = thoughts.map(signature).find(|one| !one.is_null());
    signature.map_or(Value::Null, |signature| json!([text, signature]))
}

fn see_redacted(part: &Part) -> Option<Value> {
    match part {
        Part::RedactedThinking { data, .. } => Some(json!(data)),
        _ => None,
    }
}

fn see_mark(request: &Request) -> Value {
    let tools = request.tools.iter().filter_map(|tool| match tool {
        Tool::Function { cache, .. } => cache.as_ref(),
        Tool::Opaque { .. } => None,
    });
    let text = parts(request).filter_map(|part| match part {
        Part::Text(text) => text.cache.as_ref(),
        Part::ToolResult(result) => result.cache.as_ref(),
        _ => None,
    });
    tools.chain(text).next().map(|mark| mark.raw.clone()).unwrap_or_default()
}

fn see_tools(request: &Request) -> Value {
    let tools: Vec<Value> = request
        .tools
        .iter()
        .map(|tool| match tool {
            Tool::Function { name, description, parameters, .. } => json!([name, description, parameters]),
            Tool::Opaque { .. } => Value::Null,
        })
        .collect();
    if tools.is_empty() { Value::Null } else { tools.into() }
}

fn see_results(request: &Request) -> Value {
    let results = reading::results(request);
    if results.is_empty() { Value::Null } else { json!(results) }
}

fn see_choice(request: &Request) -> Value {
    match &request.tool_choice {
        // Without tools there is nothing to choose; with them, a model chooses by itself unless it is told.
        None if request.tools.is_empty() => json!("no tools"),
        None | Some(ToolChoice::Auto) => json!("auto"),
        Some(ToolChoice::None) => json!("none"),
        Some(ToolChoice::Required) => json!("required"),
        Some(ToolChoice::Named(name)) => json!(["named", name]),
        Some(ToolChoice::Among { required, names }) => json!(["among", required, names]),
        Some(ToolChoice::Opaque { value, .. }) => value.clone(),
    }
}

fn see_format(request: &Request) -> Value {
    match &request.output_format {
        None => Value::Null,
        Some(OutputFormat::Text) => json!("text"),
        Some(OutputFormat::JsonObject) => json!("object"),
        Some(OutputFormat::JsonSchema(format)) => json!(["schema", format.schema]),
    }
}

fn see_reasoning(request: &Request) -> Value {
    request
        .reasoning
        .as_ref()
        .map_or(Value::Null, |one| json!([one.effort.map(Effort::as_str), one.budget, one.enabled]))
}

/// All that a caller may ask, in the order of the table.
pub fn asked() -> Vec<Asked> {
    let mut list = conversation();
    list.extend(media());
    list.extend(tools());
    list.extend(thinking());
    list.extend(parameters());
    list
}

fn conversation() -> Vec<Asked> {
    vec![
        Asked {
            name: "system prompt",
            request: |_| {
                with(|request| {
                    request.messages.insert(0, message(Role::System, vec![Part::text("Be brief.")]));
                })
            },
            see: roles,
            kept: false,
        },
        Asked {
            name: "instruction inside the conversation",
            request: |_| {
                with_messages(vec![
                    message(Role::User, vec![Part::text("one")]),
                    message(Role::Assistant, vec![Part::text("two")]),
                    message(Role::System, vec![Part::text("Be brief.")]),
                    message(Role::User, vec![Part::text("three")]),
                ])
            },
            see: roles,
            kept: false,
        },
        Asked {
            name: "several turns",
            request: |_| {
                with_messages(vec![
                    message(Role::User, vec![Part::text("one")]),
                    message(Role::Assistant, vec![Part::text("two")]),
                    message(Role::User, vec![Part::text("three")]),
                ])
            },
            see: roles,
            kept: false,
        },
        Asked {
            name: "name of a participant",
            request: |_| with(|request| request.messages[0].name = Some("ann".into())),
            see: |request| json!(request.messages.iter().find_map(|message| message.name.clone())),
            kept: false,
        },
        Asked {
            name: "cache mark on text",
            request: |_| {
                let text = Text { text: "long".into(), cache: marked(), ..Text::default() };
                with_parts(vec![Part::Text(text)])
            },
            see: see_mark,
            kept: false,
        },
        Asked {
            name: "cache mark on a tool",
            request: |_| with(|request| request.tools = vec![tool(None, marked())]),
            see: see_mark,
            kept: false,
        },
    ]
}

fn media() -> Vec<Asked> {
    vec![
        Asked {
            name: "image, base64",
            request: |_| with_parts(vec![image(bytes("image/png", PNG), None)]),
            see: |request| first(request, see_image),
            kept: false,
        },
        Asked {
            name: "image, URL",
            request: |_| with_parts(vec![image(Source::Url("https://example.com/a.png".into()), None)]),
            see: |request| first(request, see_image),
            kept: false,
        },
        Asked {
            name: "image detail",
            request: |_| with_parts(vec![image(bytes("image/png", PNG), Some("low"))]),
            see: |request| {
                first(request, |part| match part {
                    Part::Image(image) => image.detail.as_ref().map(|detail| json!(detail)),
                    _ => None,
                })
            },
            kept: false,
        },
        Asked {
            name: "PDF, base64",
            request: |_| with_parts(vec![document(bytes("application/pdf", "JVBERi0="), Some("a.pdf"))]),
            see: |request| first(request, see_document),
            kept: false,
        },
        Asked {
            name: "PDF, URL",
            request: |_| with_parts(vec![document(Source::Url("https://example.com/a.pdf".into()), None)]),
            see: |request| first(request, see_document),
            kept: false,
        },
        Asked {
            name: "document of plain text",
            request: |_| {
                let text = Source::Text { media_type: "text/plain".into(), text: "page one".into() };
                with_parts(vec![document(text, None)])
            },
            see: |request| first(request, see_document),
            kept: false,
        },
        Asked {
            name: "audio",
            request: |_| with_parts(vec![Part::Audio { data: "UklGRg==".into(), format: "wav".into() }]),
            see: |request| {
                first(request, |part| match part {
                    Part::Audio { data, format } => Some(json!([data, format])),
                    _ => None,
                })
            },
            kept: false,
        },
    ]
}

fn tools() -> Vec<Asked> {
    vec![
        Asked {
            name: "tools",
            request: |_| with(|request| request.tools = vec![tool(None, None)]),
            see: see_tools,
            kept: false,
        },
        Asked {
            name: "strict tools",
            request: |_| with(|request| request.tools = vec![tool(Some(true), None)]),
            see: |request| match request.tools.first() {
                Some(Tool::Function { strict, .. }) => json!(strict),
                _ => Value::Null,
            },
            kept: false,
        },
        Asked {
            name: "tool choice auto",
            request: |_| chosen(ToolChoice::Auto),
            see: see_choice,
            kept: false,
        },
        Asked {
            name: "tool choice none",
            request: |_| chosen(ToolChoice::None),
            see: see_choice,
            kept: false,
        },
        Asked {
            name: "tool choice required",
            request: |_| chosen(ToolChoice::Required),
            see: see_choice,
            kept: false,
        },
        Asked {
            name: "tool choice by name",
            request: |_| chosen(ToolChoice::Named("look".into())),
            see: see_choice,
            kept: false,
        },
        Asked {
            name: "tool choice among some",
            request: |_| {
                let names = vec!["look".into(), "listen".into()];
                let mut request = chosen(ToolChoice::Among { required: true, names });
                for other in ["listen", "smell"] {
                    let mut tool = tool(None, None);
                    if let Tool::Function { name, .. } = &mut tool {
                        other.clone_into(name);
                    }
                    request.tools.push(tool);
                }
                request
            },
            see: see_choice,
            kept: false,
        },
        Asked {
            name: "one call at a time",
            request: |_| {
                with(|request| {
                    request.tools = vec![tool(None, None)];
                    request.parallel_tool_calls = Some(false);
                })
            },
            see: |request| json!(request.parallel_tool_calls),
            kept: false,
        },
        Asked {
            name: "call and result",
            request: |_| looped(vec![], vec![result("c1", vec![Part::text("found")], None)]),
            see: see_results,
            kept: false,
        },
        Asked {
            name: "parallel calls and results",
            request: |_| {
                looped(
                    vec![],
                    vec![
                        result("c1", vec![Part::text("found")], None),
                        result("c2", vec![Part::text("also")], None),
                    ],
                )
            },
            see: see_results,
            kept: false,
        },
        Asked {
            name: "call id of another provider",
            request: |_| {
                let id = "functions.look:0/with|signs.of.all.kinds.and.more.than.sixty.four.of.them";
                looped(vec![], vec![result(id, vec![Part::text("found")], None)])
            },
            see: see_results,
            kept: false,
        },
        Asked {
            name: "failed result",
            request: |_| looped(vec![], vec![result("c1", vec![Part::text("no such place")], Some(true))]),
            see: |request| {
                first(request, |part| match part {
                    Part::ToolResult(result) => Some(match result.is_error {
                        Some(true) => json!("flag"),
                        _ if reading::text(&result.parts).contains("Error") => json!("word"),
                        _ => Value::Null,
                    }),
                    _ => None,
                })
            },
            kept: false,
        },
        Asked {
            name: "image in a result",
            request: |_| looped(vec![], vec![result("c1", vec![image(bytes("image/png", PNG), None)], None)]),
            see: |request| {
                let inside = |part: &Part| match part {
                    Part::ToolResult(result) => result.parts.iter().any(|part| see_image(part).is_some()),
                    _ => false,
                };
                match parts(request).any(inside) {
                    true => json!("in the result"),
                    false => parts(request).find_map(see_image).map_or(Value::Null, |_| json!("beside it")),
                }
            },
            kept: false,
        },
        Asked {
            name: "JSON object",
            request: |_| with(|request| request.output_format = Some(OutputFormat::JsonObject)),
            see: see_format,
            kept: false,
        },
        Asked {
            name: "JSON schema",
            request: |_| with(|request| request.output_format = Some(schema())),
            see: see_format,
            kept: false,
        },
    ]
}

fn thinking() -> Vec<Asked> {
    vec![
        Asked {
            name: "reasoning by effort",
            request: |_| reasoning(Reasoning { effort: Some(Effort::Medium), ..Reasoning::default() }),
            see: see_reasoning,
            kept: false,
        },
        Asked {
            name: "reasoning by budget",
            request: |_| reasoning(Reasoning { budget: Some(5000), ..Reasoning::default() }),
            see: see_reasoning,
            kept: false,
        },
        Asked {
            name: "reasoning off",
            request: |_| reasoning(Reasoning { enabled: Some(false), ..Reasoning::default() }),
            see: see_reasoning,
            kept: false,
        },
        Asked {
            name: "earlier reasoning, unsigned",
            request: |_| reasoned(Part::Thinking(Thinking { text: "hm".into(), ..Thinking::default() })),
            see: |request| first(request, see_thinking),
            kept: false,
        },
        Asked {
            name: "earlier reasoning, signed by the provider's own maker",
            request: |to| reasoned(signed("hm", to)),
            see: |request| first(request, see_thinking),
            kept: true,
        },
        Asked {
            name: "earlier reasoning, signed by another maker",
            request: |to| reasoned(signed("hm", stranger(to))),
            see: |request| first(request, see_thinking),
            kept: true,
        },
        Asked {
            name: "signature of a call",
            request: |to| looped(vec![signed("", to)], vec![result("c1", vec![Part::text("found")], None)]),
            see: |request| first(request, see_thinking),
            kept: true,
        },
        Asked {
            name: "earlier reasoning, encrypted",
            request: |_| reasoned(Part::RedactedThinking { data: "RU5D".into(), extra: Default::default() }),
            see: |request| first(request, see_redacted),
            kept: false,
        },
    ]
}

fn parameters() -> Vec<Asked> {
    vec![
        Asked {
            name: "temperature",
            request: |_| with(|request| request.sampling.temperature = Some(0.5)),
            see: |request| json!(request.sampling.temperature),
            kept: false,
        },
        Asked {
            name: "top_p",
            request: |_| with(|request| request.sampling.top_p = Some(0.5)),
            see: |request| json!(request.sampling.top_p),
            kept: false,
        },
        Asked {
            name: "top_k",
            request: |_| with(|request| request.sampling.top_k = Some(5)),
            see: |request| json!(request.sampling.top_k),
            kept: false,
        },
        Asked {
            name: "several choices (n)",
            request: |_| with(|request| request.sampling.n = Some(2)),
            see: |request| json!(request.sampling.n),
            kept: false,
        },
        Asked {
            name: "seed",
            request: |_| with(|request| request.sampling.seed = Some(7)),
            see: |request| json!(request.sampling.seed),
            kept: false,
        },
        Asked {
            name: "penalties",
            request: |_| with(|request| request.sampling.presence_penalty = Some(0.5)),
            see: |request| json!(request.sampling.presence_penalty),
            kept: false,
        },
        Asked {
            name: "logit_bias",
            request: |_| with(|request| request.sampling.logit_bias = json!({"5": 1}).as_object().cloned()),
            see: |request| json!(request.sampling.logit_bias),
            kept: false,
        },
        Asked {
            name: "logprobs asked for",
            request: |_| with(|request| request.sampling.logprobs = Some(true)),
            see: |request| json!(request.sampling.logprobs),
            kept: false,
        },
        Asked {
            name: "most output tokens",
            request: |_| plain(),
            see: |request| json!(request.max_tokens),
            kept: false,
        },
        Asked {
            name: "stop sequences",
            request: |_| with(|request| request.stop = vec!["END".into()]),
            see: |request| if request.stop.is_empty() { Value::Null } else { json!(request.stop) },
            kept: false,
        },
        Asked {
            name: "end user",
            request: |_| with(|request| request.user = Some("u-1".into())),
            see: |request| json!(request.user),
            kept: false,
        },
        Asked {
            name: "metadata",
            request: |_| with(|request| request.metadata = json!({"team": "a"}).as_object().cloned()),
            see: |request| json!(request.metadata.as_ref().and_then(|fields| fields.get("team"))),
            kept: false,
        },
        Asked {
            name: "service tier",
            request: |_| with(|request| request.service_tier = Some("priority".into())),
            see: |request| json!(request.service_tier),
            kept: false,
        },
    ]
}

fn answer(parts: Vec<Part>, reason: FinishReason) -> Response {
    let finish = Finish { reason, native: String::new(), stop_sequence: None, details: None };
    let choice = Choice { parts, finish: Some(finish), logprobs: None, extra: Default::default() };
    let usage = Some(Usage { input_uncached: 10, output: 5, ..Usage::default() });
    Response {
        id: "id-1".into(),
        model: "m".into(),
        created: Some(1_700_000_001),
        choices: vec![choice],
        usage,
        ..Response::default()
    }
}

fn said(parts: Vec<Part>) -> Response {
    answer(parts, FinishReason::Stop)
}

fn counted(usage: Usage) -> Response {
    Response { usage: Some(usage), ..said(vec![Part::text("hi")]) }
}

fn of(response: &Response, found: fn(&Part) -> Option<Value>) -> Value {
    response.choices.iter().flat_map(|choice| &choice.parts).find_map(found).unwrap_or_default()
}

fn count(response: &Response, read: fn(&Usage) -> u64) -> Value {
    match response.usage.as_ref().map_or(0, read) {
        0 => Value::Null,
        count => json!(count),
    }
}

fn reason(response: &Response) -> Value {
    json!(response.choices.first().and_then(reading::finish).map(|reason| format!("{reason:?}")))
}

/// All that a provider may answer, in the order of the table.
pub fn told() -> Vec<Told> {
    let mut list = content();
    list.extend(around());
    list
}

fn content() -> Vec<Told> {
    vec![
        Told {
            name: "text",
            response: |_| said(vec![Part::text("Grüße, 世界")]),
            see: |response| json!(response.choices.first().map(|choice| reading::text(&choice.parts))),
        },
        Told {
            name: "refusal",
            response: |_| answer(vec![Part::Refusal("I cannot.".into())], FinishReason::ContentFilter),
            see: |response| {
                of(response, |part| match part {
                    Part::Refusal(text) => Some(json!(["refusal", text])),
                    Part::Text(text) => Some(json!(["text", text.text])),
                    _ => None,
                })
            },
        },
        Told {
            name: "call",
            response: |_| answer(vec![call("c1")], FinishReason::ToolCalls),
            see: |response| json!(response.choices.first().map(|choice| reading::calls(&choice.parts))),
        },
        Told {
            name: "parallel calls behind text",
            response: |_| answer(vec![Part::text("So."), call("c1"), call("c2")], FinishReason::ToolCalls),
            see: |response| {
                let choice = response.choices.first();
                json!(choice.map(|one| (reading::text(&one.parts), reading::calls(&one.parts))))
            },
        },
        Told {
            name: "reasoning",
            response: |_| {
                let thinking = Thinking { text: "hm".into(), ..Thinking::default() };
                said(vec![Part::Thinking(thinking), Part::text("hi")])
            },
            see: |response| of(response, see_thinking),
        },
        Told {
            name: "signature of reasoning",
            response: |from| said(vec![signed("hm", from), Part::text("hi")]),
            see: see_signed,
        },
        Told {
            name: "signature of a call",
            response: |from| answer(vec![signed("", from), call("c1")], FinishReason::ToolCalls),
            see: see_signed,
        },
        Told {
            name: "encrypted reasoning",
            response: |_| {
                let data = Part::RedactedThinking { data: "RU5D".into(), extra: Default::default() };
                said(vec![data, Part::text("hi")])
            },
            see: |response| of(response, see_redacted),
        },
        Told {
            name: "citation of a web page",
            response: |_| {
                let citation = Citation {
                    url: Some("https://example.com".into()),
                    title: Some("Example".into()),
                    ..Citation::of(Wire::Cohere, Value::Null)
                };
                let text = Text { text: "fact".into(), citations: vec![citation], ..Text::default() };
                said(vec![Part::Text(text)])
            },
            see: |response| {
                of(response, |part| match part {
                    Part::Text(text) => text.citations.first().map(|one| json!([one.url, one.title])),
                    _ => None,
                })
            },
        },
        Told {
            name: "image",
            response: |_| said(vec![Part::text("Here."), image(bytes("image/png", PNG), None)]),
            see: |response| of(response, see_image),
        },
        Told {
            name: "several choices",
            response: |_| {
                let mut response = said(vec![Part::text("one")]);
                response.choices.push(said(vec![Part::text("two")]).choices.remove(0));
                response
            },
            see: |response| {
                if response.choices.len() > 1 { json!(response.choices.len()) } else { Value::Null }
            },
        },
        Told {
            name: "logprobs",
            response: |_| {
                let mut response = said(vec![Part::text("hi")]);
                response.choices[0].logprobs = Some(json!({"content": [
                    {"token": "hi", "logprob": -0.5, "bytes": [104, 105], "top_logprobs": []}]}));
                response
            },
            see: |response| {
                let logprobs = response.choices.first().and_then(|choice| choice.logprobs.as_ref());
                json!(logprobs.and_then(|all| all.pointer("/content/0/logprob").cloned()))
            },
        },
    ]
}

fn around() -> Vec<Told> {
    vec![
        Told {
            name: "finish: length",
            response: |_| answer(vec![Part::text("hi")], FinishReason::Length),
            see: reason,
        },
        Told {
            name: "finish: content filter",
            response: |_| answer(vec![Part::text("hi")], FinishReason::ContentFilter),
            see: reason,
        },
        Told {
            name: "stop sequence that was hit",
            response: |_| {
                let mut response = said(vec![Part::text("hi")]);
                response.choices[0].finish.as_mut().unwrap().stop_sequence = Some("END".into());
                response
            },
            see: |response| {
                let finish = response.choices.first().and_then(|choice| choice.finish.as_ref());
                json!(finish.and_then(|finish| finish.stop_sequence.clone()))
            },
        },
        Told {
            name: "usage: input and output",
            response: |_| said(vec![Part::text("hi")]),
            see: |response| json!(reading::counts(response.usage)),
        },
        Told {
            name: "usage: read from the cache",
            response: |_| counted(Usage { input_uncached: 3, cache_read: 7, output: 5, ..Usage::default() }),
            see: |response| count(response, |usage| usage.cache_read),
        },
        Told {
            name: "usage: written to the cache",
            response: |_| counted(Usage { input_uncached: 3, cache_write: 7, output: 5, ..Usage::default() }),
            see: |response| count(response, |usage| usage.cache_write),
        },
        Told {
            name: "usage: written to the cache for an hour",
            response: |_| {
                counted(Usage { input_uncached: 3, cache_write_1h: 7, output: 5, ..Usage::default() })
            },
            see: |response| count(response, |usage| usage.cache_write_1h),
        },
        Told {
            name: "usage: reasoning",
            response: |_| counted(Usage { input_uncached: 3, output: 9, reasoning: 4, ..Usage::default() }),
            see: |response| count(response, |usage| usage.reasoning),
        },
        Told {
            name: "usage: audio",
            response: |_| counted(Usage { input_uncached: 9, audio_input: 4, output: 5, ..Usage::default() }),
            see: |response| count(response, |usage| usage.audio_input),
        },
        Told {
            name: "usage: web searches",
            response: |_| {
                counted(Usage { input_uncached: 9, web_searches: 2, output: 5, ..Usage::default() })
            },
            see: |response| count(response, |usage| usage.web_searches),
        },
        Told {
            name: "service tier used",
            response: |_| {
                let mut response = said(vec![Part::text("hi")]);
                response.service_tier = Some("priority".into());
                response
            },
            see: |response| json!(response.service_tier),
        },
    ]
}
