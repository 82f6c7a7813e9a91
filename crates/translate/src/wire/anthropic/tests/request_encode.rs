//! What the provider gets for requests that other dialects made, and what is reported lost.

use serde_json::{Map, Value, json};

use super::{ADAPTIVE, FREE, ask, call, encode, lost, message, result, user};
use crate::Wire;
use crate::ir::{
    CacheMark, Document, Effort, Extra, Image, JsonSchema, OutputFormat, Part, Reasoning, Request, Role,
    Signature, Source, Text, Thinking, Tool, ToolChoice,
};
use crate::provider::{ModelRules, SamplingRule, ThinkingStyle};

fn thinking(text: &str, signature: Option<&str>) -> Part {
    Part::Thinking(Thinking {
        text: text.to_owned(),
        signature: signature.map(|text| Signature::of(Wire::Anthropic, text)),
        extra: Extra::default(),
    })
}

fn marked(text: &str) -> Part {
    let cache = Some(CacheMark { raw: json!({"type": "ephemeral"}) });
    Part::Text(Text { text: text.to_owned(), cache, ..Text::default() })
}

fn image(source: Source) -> Part {
    Part::Image(Image { source, detail: None, cache: None, extra: Extra::default() })
}

fn document(source: Source) -> Part {
    Part::Document(Document { source, name: None, cache: None, extra: Extra::default() })
}

fn function(name: &str, parameters: Option<Value>) -> Tool {
    Tool::Function {
        name: name.to_owned(),
        description: None,
        parameters,
        strict: None,
        cache: None,
        extra: Extra::default(),
    }
}

fn effort(effort: Effort) -> Option<Reasoning> {
    Some(Reasoning { effort: Some(effort), ..Reasoning::default() })
}

fn messages(list: Vec<crate::ir::Message>) -> (Value, crate::Losses) {
    let (body, losses) = encode(&ask(list), &FREE).unwrap();
    (body["messages"].clone(), losses)
}

#[test]
fn leading_instructions_are_lifted_and_later_ones_keep_their_place() {
    let request = ask(vec![
        message(Role::System, vec![Part::text("a")]),
        message(Role::Developer, vec![Part::text("b")]),
        user("x"),
        message(Role::System, vec![Part::text("late")]),
        user("y"),
    ]);
    let (body, losses) = encode(&request, &FREE).unwrap();
    assert_eq!(body["system"], json!([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]));
    let content = &body["messages"][0]["content"];
    assert_eq!(content[0]["text"], "x");
    assert_eq!(content[1]["text"], "<system>\nlate\n</system>");
    assert_eq!(content[2]["text"], "y");
    assert_eq!(lost(&losses), ["messages[3]"]);
}

#[test]
fn one_plain_instruction_is_a_string() {
    let (body, _) =
        encode(&ask(vec![message(Role::System, vec![Part::text("a")]), user("x")]), &FREE).unwrap();
    assert_eq!(body["system"], "a");
    let (body, _) = encode(&ask(vec![message(Role::System, vec![marked("a")]), user("x")]), &FREE).unwrap();
    assert_eq!(body["system"][0]["cache_control"]["type"], "ephemeral");
}

#[test]
fn the_body_begins_with_what_changes_least() {
    let mut request = ask(vec![message(Role::System, vec![Part::text("a")]), user("x")]);
    request.tools = vec![function("f", None)];
    request.tool_choice = Some(ToolChoice::Auto);
    let (body, _) = encode(&request, &FREE).unwrap();
    let order: Vec<&String> = body.as_object().unwrap().keys().collect();
    assert_eq!(order, ["model", "max_tokens", "system", "tools", "tool_choice", "messages"]);
}

#[test]
fn results_of_one_turn_are_one_message_and_come_first() {
    let (list, losses) = messages(vec![
        user("go"),
        message(Role::Assistant, vec![call("a", "{}"), call("b", "{}")]),
        message(Role::Tool, vec![result("a", vec![Part::text("1")])]),
        user("and?"),
        message(Role::Tool, vec![result("b", vec![Part::text("2")])]),
    ]);
    assert_eq!(list.as_array().unwrap().len(), 3);
    let kinds: Vec<&Value> = list[2]["content"].as_array().unwrap().iter().map(|b| &b["type"]).collect();
    assert_eq!(kinds, ["tool_result", "tool_result", "text"]);
    assert!(losses.is_empty());
}

#[test]
fn same_speakers_are_merged_and_blank_text_is_dropped() {
    let (list, losses) = messages(vec![
        user("a"),
        user(""),
        user(" \n"),
        message(Role::Assistant, vec![Part::text("")]),
        user("b"),
    ]);
    assert_eq!(
        list,
        json!([{"role": "user", "content": [
        {"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}])
    );
    assert_eq!(lost(&losses), ["messages[2].content[0]"]);
}

#[test]
fn a_blank_tool_result_has_no_content_at_all() {
    let (list, _) = messages(vec![
        user("go"),
        message(Role::Assistant, vec![call("a", "")]),
        message(Role::Tool, vec![result("a", vec![Part::text("")])]),
    ]);
    assert_eq!(list[2]["content"], json!([{"type": "tool_result", "tool_use_id": "a"}]));
    assert_eq!(list[1]["content"][0]["input"], json!({}));
}

#[test]
fn arguments_that_are_no_object_are_wrapped() {
    for arguments in ["{\"a\":", "[1]", "\"text\"", "nul"] {
        let (list, losses) = messages(vec![user("go"), message(Role::Assistant, vec![call("a", arguments)])]);
        assert_eq!(list[1]["content"][0]["input"], json!({"_raw": arguments}));
        assert_eq!(lost(&losses), ["messages[1].content[0].arguments"]);
    }
}

#[test]
fn ids_outside_the_alphabet_change_alike_on_both_sides_and_stay_apart() {
    let (list, _) = messages(vec![
        user("go"),
        message(Role::Assistant, vec![call("a.b", "{}"), call("a:b", "{}"), call("", "{}")]),
        message(Role::Tool, vec![result("a.b", vec![]), result("a:b", vec![]), result("", vec![])]),
    ]);
    let mut ids = Vec::new();
    for n in 0..3 {
        let id = list[1]["content"][n]["id"].as_str().unwrap();
        assert_eq!(id, list[2]["content"][n]["tool_use_id"]);
        assert!(id.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-'));
        ids.push(id.to_owned());
    }
    ids.dedup();
    assert_eq!(ids.len(), 3);
}

#[test]
fn media_types_are_normalised_or_refused() {
    let base64 =
        |media_type: &str| Source::Base64 { media_type: media_type.to_owned(), data: "QUI=".to_owned() };
    let (list, _) = messages(vec![message(
        Role::User,
        vec![
            image(base64("image/JPG")),
            document(base64("text/markdown")),
            image(Source::Url("data:image/png;base64,AA".to_owned())),
        ],
    )]);
    assert_eq!(list[0]["content"][0]["source"]["media_type"], "image/jpeg");
    assert_eq!(
        list[0]["content"][1]["source"],
        json!({"type": "text", "media_type": "text/plain", "data": "AB"})
    );
    assert_eq!(list[0]["content"][2]["source"]["media_type"], "image/png");
    for part in [
        image(base64("image/tiff")),
        document(base64("application/zip")),
        image(Source::File("file-abc".to_owned())),
        Part::Audio { data: String::new(), format: "wav".to_owned() },
    ] {
        let err = encode(&ask(vec![message(Role::User, vec![part])]), &FREE).unwrap_err();
        assert_eq!(err.path, "messages[0].content[0]");
    }
}

#[test]
fn reasoning_is_first_in_its_turn_and_unsigned_reasoning_is_lost() {
    let (list, losses) = messages(vec![
        user("go"),
        message(
            Role::Assistant,
            vec![
                Part::text("so"),
                thinking("", Some("S0")),
                thinking("b", Some("S1")),
                Part::RedactedThinking { data: "R".to_owned(), extra: Extra::default() },
                thinking("c", None),
            ],
        ),
        user("on"),
    ]);
    assert_eq!(
        list[1]["content"],
        json!([
        {"type": "thinking", "thinking": "", "signature": "S0"},
        {"type": "thinking", "thinking": "b", "signature": "S1"},
        {"type": "redacted_thinking", "data": "R"},
        {"type": "text", "text": "so"}])
    );
    assert_eq!(lost(&losses), ["messages[1].content[4]"]);
}

fn tool_loop(first: Vec<Part>) -> Request {
    let mut parts = first;
    parts.push(call("a", "{}"));
    let mut request = ask(vec![
        user("go"),
        message(Role::Assistant, parts),
        message(Role::Tool, vec![result("a", vec![Part::text("1")])]),
        message(Role::Assistant, vec![call("b", "{}")]),
        message(Role::Tool, vec![result("b", vec![Part::text("2")])]),
    ]);
    request.reasoning = effort(Effort::High);
    request.tools = vec![function("f", None)];
    request
}

#[test]
fn an_open_tool_loop_without_its_signed_reasoning_turns_reasoning_off() {
    for (parts, rules, kind) in [
        (vec![thinking("t", Some("S"))], FREE, "enabled"),
        (vec![thinking("t", None)], FREE, "disabled"),
        (vec![], FREE, "disabled"),
        (vec![thinking("t", Some("S"))], ADAPTIVE, "adaptive"),
        (vec![thinking("t", None)], ADAPTIVE, "adaptive"),
        (vec![], ADAPTIVE, "adaptive"),
    ] {
        let request = tool_loop(parts);
        let (body, losses) = encode(&request, &rules).unwrap();
        assert_eq!(body["thinking"]["type"], kind, "{:?} {request:?}", rules.thinking);
        assert_eq!(kind == "disabled", lost(&losses).contains(&"reasoning"));
    }
    let mut closed = tool_loop(vec![thinking("t", None)]);
    closed.messages.push(message(Role::Assistant, vec![Part::text("done")]));
    closed.messages.push(user("next"));
    assert_eq!(encode(&closed, &FREE).unwrap().0["thinking"]["type"], "enabled");
}

#[test]
fn efforts_become_budgets_below_max_tokens() {
    for (word, max_tokens, budget) in [
        (Effort::Minimal, 40_000, 2_000),
        (Effort::Low, 4_096, 1_024),
        (Effort::Medium, 10_000, 5_000),
        (Effort::High, 10_000, 8_000),
        (Effort::Max, 10_000, 9_500),
        (Effort::High, 1_025, 1_024),
    ] {
        let mut request = ask(vec![user("x")]);
        (request.reasoning, request.max_tokens) = (effort(word), Some(max_tokens));
        let (body, losses) = encode(&request, &FREE).unwrap();
        assert_eq!(body["thinking"], json!({"type": "enabled", "budget_tokens": budget}));
        assert!(losses.is_empty());
    }
    let mut request = ask(vec![user("x")]);
    (request.reasoning, request.max_tokens) = (effort(Effort::High), Some(1_024));
    let (body, losses) = encode(&request, &FREE).unwrap();
    assert_eq!((body.get("thinking"), lost(&losses)), (None, vec!["reasoning"]));
}

#[test]
fn a_budget_the_model_cannot_have_is_clamped_and_told() {
    for (asked, sent) in [(100, 1_024), (5_000, 4_095)] {
        let mut request = ask(vec![user("x")]);
        request.reasoning = Some(Reasoning { budget: Some(asked), ..Reasoning::default() });
        let (body, losses) = encode(&request, &FREE).unwrap();
        assert_eq!(body["thinking"]["budget_tokens"], sent);
        assert_eq!(lost(&losses), ["reasoning"]);
    }
}

#[test]
fn adaptive_models_take_an_effort() {
    let old = ModelRules { xhigh_effort: false, ..ADAPTIVE };
    for (word, rules, sent, losses) in [
        (Effort::Minimal, ADAPTIVE, "low", 1),
        (Effort::Medium, ADAPTIVE, "medium", 0),
        (Effort::XHigh, ADAPTIVE, "xhigh", 0),
        (Effort::XHigh, old, "high", 1),
        (Effort::Max, old, "max", 0),
    ] {
        let mut request = ask(vec![user("x")]);
        request.reasoning = effort(word);
        let (body, found) = encode(&request, &rules).unwrap();
        assert_eq!(body["thinking"], json!({"type": "adaptive"}));
        assert_eq!(body["output_config"]["effort"], sent);
        assert_eq!(found.as_slice().len(), losses);
    }
    let mut request = ask(vec![user("x")]);
    request.reasoning = effort(Effort::None);
    assert_eq!(encode(&request, &ADAPTIVE).unwrap().0["thinking"], json!({"type": "disabled"}));
    request.reasoning = effort(Effort::Low);
    let none = ModelRules { thinking: ThinkingStyle::None, ..FREE };
    let (body, losses) = encode(&request, &none).unwrap();
    assert_eq!((body.get("thinking"), lost(&losses)), (None, vec!["reasoning"]));
}

#[test]
fn sampling_follows_the_model() {
    let mut request = ask(vec![user("x")]);
    request.sampling.temperature = Some(1.5);
    request.sampling.top_p = Some(0.5);
    request.sampling.top_k = Some(3);
    let (body, losses) = encode(&request, &FREE).unwrap();
    assert_eq!((&body["temperature"], &body["top_p"], &body["top_k"]), (&json!(1), &json!(0.5), &json!(3)));
    assert_eq!(lost(&losses), ["temperature"]);
    let both = ModelRules { sampling: SamplingRule::NotBoth, ..FREE };
    let (body, losses) = encode(&request, &both).unwrap();
    assert_eq!((body.get("top_p"), lost(&losses)), (None, vec!["top_p", "temperature"]));
    let fixed = ModelRules { sampling: SamplingRule::Fixed, ..FREE };
    let (body, losses) = encode(&request, &fixed).unwrap();
    assert!(body.get("temperature").is_none() && body.get("top_k").is_none());
    assert_eq!(lost(&losses), ["temperature", "top_p", "top_k"]);
    request.reasoning = effort(Effort::High);
    assert_eq!(lost(&encode(&request, &FREE).unwrap().1), ["temperature", "top_p", "top_k"]);
    request.sampling = crate::ir::Sampling { temperature: Some(1.0), ..Default::default() };
    assert!(encode(&request, &fixed).unwrap().1.is_empty());
}

#[test]
fn what_the_wire_has_no_word_for_is_told() {
    let mut request = ask(vec![user("x")]);
    request.sampling.seed = Some(1);
    request.sampling.logprobs = Some(true);
    request.stop = vec![" ".to_owned(), "ok".to_owned()];
    request.service_tier = Some("flex".to_owned());
    request.metadata = Some(Map::from_iter([("k".to_owned(), json!(1))]));
    request.extra = Extra::of(Wire::OpenAiChat, Map::from_iter([("verbosity".to_owned(), json!("low"))]));
    request
        .messages
        .push(message(Role::Assistant, vec![Part::Opaque { wire: Wire::OpenAiChat, value: json!({}) }]));
    request.messages[0].name = Some("bob".to_owned());
    let (body, losses) = encode(&request, &FREE).unwrap();
    assert_eq!(body["stop_sequences"], json!(["ok"]));
    assert!(body.get("verbosity").is_none());
    let mut paths = lost(&losses);
    paths.sort_unstable();
    assert_eq!(
        paths,
        [
            "logprobs",
            "messages[0].name",
            "messages[1].content[0]",
            "metadata.k",
            "seed",
            "service_tier",
            "stop[0]",
            "verbosity"
        ]
    );
    request.sampling.n = Some(2);
    assert_eq!(encode(&request, &FREE).unwrap_err().path, "n");
}

#[test]
fn max_tokens_is_given_and_capped() {
    let mut request = ask(vec![user("x")]);
    request.max_tokens = None;
    assert_eq!(encode(&request, &FREE).unwrap().0["max_tokens"], 64_000);
    request.max_tokens = Some(100_000);
    let (body, losses) = encode(&request, &FREE).unwrap();
    assert_eq!((&body["max_tokens"], lost(&losses)), (&json!(64_000), vec!["max_tokens"]));
}

#[test]
fn tools_and_the_choice_among_them() {
    let mut request = ask(vec![user("x")]);
    request.tool_choice = Some(ToolChoice::Required);
    let (body, losses) = encode(&request, &FREE).unwrap();
    assert_eq!((body.get("tool_choice"), lost(&losses)), (None, vec!["tool_choice"]));
    request.tools = vec![function("f", None), function("g", Some(json!({"properties": {}})))];
    request.parallel_tool_calls = Some(false);
    let (body, _) = encode(&request, &FREE).unwrap();
    assert_eq!(body["tools"][0]["input_schema"], json!({"type": "object", "properties": {}}));
    assert_eq!(body["tools"][1]["input_schema"], json!({"type": "object", "properties": {}}));
    assert_eq!(body["tool_choice"], json!({"type": "any", "disable_parallel_tool_use": true}));
    request.tool_choice = None;
    let (body, _) = encode(&request, &FREE).unwrap();
    assert_eq!(body["tool_choice"], json!({"type": "auto", "disable_parallel_tool_use": true}));
    request.tool_choice = Some(ToolChoice::Named("f".to_owned()));
    request.reasoning = effort(Effort::High);
    let (body, losses) = encode(&request, &FREE).unwrap();
    assert_eq!((&body["tool_choice"]["type"], lost(&losses)), (&json!("auto"), vec!["tool_choice"]));
}

#[test]
fn of_too_many_cache_breakpoints_the_ends_are_kept() {
    let mut list = vec![message(Role::System, vec![marked("s0"), marked("s1"), marked("s2")])];
    list.push(message(Role::User, vec![marked("u0"), marked("u1"), marked("u2")]));
    let (body, losses) = encode(&ask(list), &FREE).unwrap();
    let kept = |list: &Value| -> Vec<bool> {
        list.as_array().unwrap().iter().map(|block| block.get("cache_control").is_some()).collect()
    };
    assert_eq!(kept(&body["system"]), [true, true, false]);
    assert_eq!(kept(&body["messages"][0]["content"]), [false, true, true]);
    assert_eq!(losses.as_slice().len(), 2);
}

#[test]
fn a_schema_is_cut_to_what_native_output_takes() {
    let schema = json!({"type": "object", "properties": {
        "minimum": {"type": "integer", "minimum": 1, "maximum": 9, "description": "how many"},
        "list": {"type": "array", "minItems": 1, "maxItems": 2, "items": {"oneOf": [
            {"type": "string", "format": "color"}, {"type": "object", "properties": {}}]}}}});
    let mut request = ask(vec![user("x")]);
    let format = JsonSchema { name: None, description: None, schema, strict: Some(true) };
    request.output_format = Some(OutputFormat::JsonSchema(format));
    let (body, losses) = encode(&request, &FREE).unwrap();
    let sent = &body["output_config"]["format"]["schema"];
    assert_eq!(
        *sent,
        json!({"type": "object", "additionalProperties": false, "properties": {
        "minimum": {"type": "integer", "description": "how many (minimum: 1, maximum: 9)"},
        "list": {"type": "array", "minItems": 1, "description": "maxItems: 2", "items": {"anyOf": [
            {"type": "string", "description": "format: color"},
            {"type": "object", "properties": {}, "additionalProperties": false}]}}}})
    );
    assert_eq!(losses.as_slice().len(), 4);
    let old = ModelRules { structured_output: false, ..FREE };
    let (body, losses) = encode(&request, &old).unwrap();
    assert!(body["system"].as_str().unwrap().contains("\"how many\"") && body.get("output_config").is_none());
    assert!(losses.as_slice()[0].reason.contains("not enforced"));
    request.output_format = Some(OutputFormat::JsonObject);
    assert!(encode(&request, &FREE).unwrap().0["system"].as_str().unwrap().contains("JSON object"));
}

#[test]
fn an_assistant_at_the_end_or_the_beginning_gets_a_user_beside_it() {
    let prefilled = ask(vec![user("x"), message(Role::Assistant, vec![Part::text("so ")])]);
    let (body, _) = encode(&prefilled, &FREE).unwrap();
    assert_eq!(body["messages"][1]["content"], "so");
    let refusing = ModelRules { prefill: false, ..FREE };
    let (body, losses) = encode(&prefilled, &refusing).unwrap();
    assert_eq!((&body["messages"][2]["role"], lost(&losses)), (&json!("user"), vec!["messages"]));
    let (list, losses) = messages(vec![message(Role::Assistant, vec![Part::text("hi")]), user("x")]);
    assert_eq!((&list[0]["role"], lost(&losses)), (&json!("user"), vec!["messages"]));
    let (list, _) = messages(vec![]);
    assert_eq!(list.as_array().unwrap().len(), 1);
}
