//! Requests that come from another wire, or go to a destination that takes less.

use serde_json::{Map, json};

use super::{OPENAI, OPENROUTER, OpenAiChat, PLAIN_RULES, decode, encode, paths, quirks, to};
use crate::Wire;
use crate::ir::*;
use crate::loss::Losses;
use crate::provider::{ModelRules, ReasoningField};
use crate::wire::Codec;

fn message(role: Role, parts: Vec<Part>) -> Message {
    Message { role, name: None, parts, extra: Extra::default() }
}

fn request(messages: Vec<Message>) -> Request {
    Request { model: "x".into(), messages, ..Request::default() }
}

fn call(id: &str) -> Part {
    Part::ToolCall(ToolCall {
        id: id.into(),
        name: "f".into(),
        arguments: r#"{"b":1,"a":2}"#.into(),
        cache: None,
        extra: Extra::default(),
    })
}

fn result(id: &str, parts: Vec<Part>, is_error: Option<bool>) -> Part {
    Part::ToolResult(ToolResult { call_id: id.into(), parts, is_error, cache: None, extra: Extra::default() })
}

fn image() -> Part {
    let source = Source::Base64 { media_type: "image/png".into(), data: "AAAA".into() };
    Part::Image(Image { source, detail: None, cache: None, extra: Extra::default() })
}

fn thinking(text: &str, signature: Option<&str>) -> Part {
    Part::Thinking(Thinking {
        text: text.into(),
        signature: signature.map(|text| crate::ir::Signature::of(Wire::Anthropic, text)),
        ..Thinking::default()
    })
}

fn foreign(fields: serde_json::Value) -> Extra {
    let serde_json::Value::Object(fields) = fields else { panic!("an object") };
    Extra::of(Wire::Anthropic, fields)
}

#[test]
fn tool_results_in_a_user_message_come_first_then_their_media_then_the_rest() {
    let turn = vec![
        Part::text("reminder"),
        result("a", vec![Part::text("r1"), image()], None),
        result("b", vec![], Some(false)),
        result("c", vec![Part::text("boom")], Some(true)),
    ];
    let request = request(vec![
        message(Role::User, vec![Part::text("go")]),
        message(
            Role::Assistant,
            vec![thinking("hm", Some("S")), Part::text("ok"), call("a"), call("b"), call("c")],
        ),
        message(Role::User, turn),
    ]);
    let (body, _) = encode(&request, &to(&OPENAI, &PLAIN_RULES));
    let messages = body["messages"].as_array().unwrap();
    let roles: Vec<_> = messages.iter().map(|one| one["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["user", "assistant", "tool", "tool", "tool", "user"]);
    assert_eq!(messages[1]["content"], "ok");
    assert_eq!(messages[1]["tool_calls"][0]["function"]["arguments"], r#"{"b":1,"a":2}"#);
    assert_eq!(messages[2]["content"], "r1");
    assert_eq!(messages[3]["content"], "");
    assert_eq!(messages[4]["content"], "Error: boom");
    assert!(messages[5]["content"][0]["text"].as_str().unwrap().contains("call a"));
    assert_eq!(messages[5]["content"][1]["image_url"]["url"], "data:image/png;base64,AAAA");
    assert_eq!(messages[5]["content"][2]["text"], "reminder");
}

#[test]
fn media_waits_behind_a_run_of_tool_messages() {
    let request = request(vec![
        message(Role::Assistant, vec![call("a"), call("b")]),
        message(Role::Tool, vec![result("a", vec![image()], None)]),
        message(Role::Tool, vec![result("b", vec![Part::text("x")], None)]),
    ]);
    let (body, _) = encode(&request, &to(&OPENAI, &PLAIN_RULES));
    let roles: Vec<_> =
        body["messages"].as_array().unwrap().iter().map(|one| one["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["assistant", "tool", "tool", "user"]);
    assert!(body["messages"][0]["content"].is_null());
    assert_ne!(body["messages"][1]["content"], "", "a result of media alone points at them");
}

#[test]
fn reasoning_goes_back_the_way_the_provider_reads_it() {
    let parts = vec![
        thinking("one", Some("S1")),
        thinking("", Some("S2")),
        Part::RedactedThinking { data: "R".into(), extra: Extra::default() },
        Part::text("answer"),
    ];
    let request = request(vec![message(Role::Assistant, parts)]);

    let (body, losses) = encode(&request, &to(&OPENROUTER, &PLAIN_RULES));
    assert_eq!(
        body["messages"][0]["reasoning_details"],
        json!([
            {"type": "reasoning.text", "text": "one", "signature": "S1", "format": "anthropic-claude-v1", "index": 0},
            {"type": "reasoning.text", "text": "", "signature": "S2", "format": "anthropic-claude-v1", "index": 1},
            {"type": "reasoning.encrypted", "data": "R", "format": "anthropic-claude-v1", "index": 2},
        ])
    );
    assert!(losses.is_empty(), "{losses:?}");

    let deepseek = quirks(ReasoningField::ReasoningContent);
    let (body, losses) = encode(&request, &to(&deepseek, &PLAIN_RULES));
    assert_eq!(body["messages"][0]["reasoning_content"], "one");
    assert_eq!(losses.as_slice().len(), 3, "two signatures and the encrypted block: {losses:?}");

    let groq = quirks(ReasoningField::Reasoning);
    assert_eq!(encode(&request, &to(&groq, &PLAIN_RULES)).0["messages"][0]["reasoning"], "one");

    let (body, losses) = encode(&request, &to(&OPENAI, &PLAIN_RULES));
    assert_eq!(body["messages"][0], json!({"role": "assistant", "content": "answer"}));
    assert_eq!(losses.as_slice().len(), 3, "{losses:?}");

    let empty = request_of_empty_thinking();
    assert!(encode(&empty, &to(&OPENAI, &PLAIN_RULES)).1.is_empty(), "nothing was lost");
}

fn request_of_empty_thinking() -> Request {
    request(vec![message(Role::Assistant, vec![thinking("", None), Part::text("a")])])
}

#[test]
fn a_reasoning_model_is_not_sent_what_it_refuses() {
    let rules = ModelRules { openai_reasoning: true, takes_effort: Some(true), ..PLAIN_RULES };
    let body = r#"{"model":"m","messages":[{"role":"user","content":"x"}],"temperature":0.5,"top_p":0.9,"presence_penalty":1,"frequency_penalty":1,"logprobs":true,"top_logprobs":2,"logit_bias":{},"max_tokens":9,"seed":1}"#;
    let (written, losses) = encode(&decode(body), &to(&OPENAI, &rules));
    let keys: Vec<_> = written.as_object().unwrap().keys().cloned().collect();
    assert_eq!(
        keys,
        ["model", "messages", "n", "seed", "max_completion_tokens"]
            .into_iter()
            .filter(|key| *key != "n")
            .collect::<Vec<_>>()
    );
    assert_eq!(losses.as_slice().len(), 7);

    let mut off = decode(body);
    off.reasoning = Some(Reasoning { effort: Some(Effort::None), ..Reasoning::default() });
    let (written, losses) = encode(&off, &to(&OPENAI, &rules));
    assert_eq!((written["temperature"].as_f64(), losses.is_empty()), (Some(0.5), true));
}

#[test]
fn budgets_become_efforts() {
    let rules =
        ModelRules { openai_reasoning: true, takes_effort: Some(true), xhigh_effort: false, ..PLAIN_RULES };
    let effort = |reasoning: Reasoning| {
        let mut request = request(vec![message(Role::User, vec![Part::text("x")])]);
        request.reasoning = Some(reasoning);
        encode(&request, &to(&OPENAI, &rules)).0["reasoning_effort"].as_str().map(str::to_owned)
    };
    let budget = |tokens| Reasoning { budget: Some(tokens), enabled: Some(true), ..Reasoning::default() };
    assert_eq!(effort(budget(4096)).as_deref(), Some("low"));
    assert_eq!(effort(budget(16_384)).as_deref(), Some("medium"));
    assert_eq!(effort(budget(16_385)).as_deref(), Some("high"));
    let enabled = |on| Reasoning { enabled: Some(on), ..Reasoning::default() };
    assert_eq!(effort(enabled(true)).as_deref(), Some("high"));
    assert_eq!(effort(enabled(false)).as_deref(), Some("none"));
    let explicit = Reasoning { effort: Some(Effort::Minimal), ..budget(99_999) };
    assert_eq!(effort(explicit).as_deref(), Some("minimal"));
    let max = Reasoning { effort: Some(Effort::Max), ..Reasoning::default() };
    assert_eq!(effort(max).as_deref(), Some("high"));
}

#[test]
fn a_model_that_does_not_reason_is_sent_no_effort() {
    let mut request = request(vec![message(Role::User, vec![Part::text("x")])]);
    request.reasoning = Some(Reasoning { enabled: Some(true), ..Reasoning::default() });
    let (body, losses) = encode(&request, &to(&OPENAI, &PLAIN_RULES));
    assert!(body.get("reasoning_effort").is_none());
    assert_eq!(paths(&losses), ["reasoning_effort"]);
}

#[test]
fn what_has_no_counterpart_is_reported_field_by_field() {
    let mut request = request(vec![Message {
        extra: foreign(json!({"odd": 1})),
        ..message(
            Role::User,
            vec![
                Part::text("x"),
                Part::Opaque { wire: Wire::Anthropic, value: json!({"type": "server_tool_use"}) },
            ],
        )
    }]);
    request.extra = foreign(json!({"context_management": {}, "container": "c"}));
    request.sampling.top_k = Some(4);
    request.stop = (0..6).map(|n| n.to_string()).collect();
    request.user = Some("u".repeat(65));
    request.metadata = Some(Map::from_iter([("n".to_owned(), json!(1)), ("s".to_owned(), json!("t"))]));
    request.tool_choice = Some(ToolChoice::Auto);
    let (body, losses) = encode(&request, &to(&OPENAI, &PLAIN_RULES));
    let mut lost = paths(&losses);
    lost.sort_unstable();
    let expected = [
        "container",
        "context_management",
        "messages[0].content[1]",
        "messages[0].odd",
        "metadata",
        "metadata.n",
        "stop",
        "tool_choice",
        "top_k",
        "user",
    ];
    assert_eq!(lost, expected);
    assert_eq!(body["stop"], json!(["0", "1", "2", "3"]));
    assert_eq!(body["user"].as_str().unwrap().len(), 16);
    assert_eq!(body.get("metadata"), None);
    assert!(body.get("tool_choice").is_none());
}

#[test]
fn the_hash_of_a_long_user_never_changes() {
    let mut request = request(vec![message(Role::User, vec![Part::text("x")])]);
    request.user = Some("user_".repeat(20));
    let (body, _) = encode(&request, &to(&OPENAI, &PLAIN_RULES));
    assert_eq!(body["user"], "b5487ab1f86c87ed");
}

#[test]
fn anthropic_client_tools_become_open_functions_and_server_tools_are_lost() {
    let mut request = request(vec![message(Role::User, vec![Part::text("x")])]);
    let tool = |value| Tool::Opaque { wire: Wire::Anthropic, value };
    request.tools = vec![
        tool(json!({"type": "bash_20250124", "name": "bash"})),
        tool(json!({"type": "web_search_20250305", "name": "web_search"})),
        Tool::Function {
            name: "f".into(),
            description: None,
            parameters: None,
            strict: None,
            cache: None,
            extra: foreign(json!({"defer_loading": true})),
        },
    ];
    request.tool_choice = Some(ToolChoice::Required);
    let (body, losses) = encode(&request, &to(&OPENAI, &PLAIN_RULES));
    assert_eq!(body["tools"].as_array().unwrap().len(), 2);
    assert_eq!(body["tools"][0]["function"]["name"], "bash");
    assert_eq!(body["tools"][1]["function"]["parameters"], json!({"type": "object", "properties": {}}));
    assert_eq!(body["tool_choice"], "required");
    assert_eq!(paths(&losses), ["tools[0]", "tools[1]", "tools[2].defer_loading"]);
}

#[test]
fn roles_and_system_lines_fit_the_model() {
    let rules = ModelRules { developer_role: false, ..PLAIN_RULES };
    let request = request(vec![
        message(
            Role::System,
            vec![Part::text("x-anthropic-billing-header: cc_version=1;"), Part::text("be")],
        ),
        message(Role::Developer, vec![Part::text("dev")]),
        message(Role::User, vec![Part::text("x")]),
        message(Role::System, vec![Part::text("mid")]),
    ]);
    let (body, losses) = encode(&request, &to(&OPENAI, &rules));
    assert_eq!(body["messages"][0], json!({"role": "system", "content": "be"}));
    assert_eq!(body["messages"][1]["role"], "system");
    assert_eq!(body["messages"][3]["role"], "system", "in its place (trap 67)");
    assert_eq!(paths(&losses), ["messages[0].content[0]"]);
}

#[test]
fn documents_go_as_files_text_or_a_clear_refusal() {
    let document = |source| {
        let name = Some("Title".to_owned());
        let part = Part::Document(Document { source, name, cache: None, extra: Extra::default() });
        request(vec![message(Role::User, vec![part])])
    };
    let text = Source::Text { media_type: "text/plain".into(), text: "body".into() };
    let (body, _) = encode(&document(text), &to(&OPENAI, &PLAIN_RULES));
    assert_eq!(body["messages"][0]["content"], "Title\n\nbody");
    let url = document(Source::Url("https://e.com/a.pdf".into()));
    let bad = OpenAiChat.encode_request(&url, &to(&OPENAI, &PLAIN_RULES), &mut Losses::default());
    assert_eq!(bad.unwrap_err().path, "messages[0].content[0]");
    assert!(encode(&url, &to(&OPENROUTER, &PLAIN_RULES)).1.is_empty());
}

#[test]
fn a_stream_asks_for_usage_where_the_provider_knows_the_option() {
    let mut request = request(vec![message(Role::User, vec![Part::text("x")])]);
    request.stream = true;
    let (body, _) = encode(&request, &to(&OPENAI, &PLAIN_RULES));
    assert_eq!(body["stream_options"], json!({"include_usage": true}), "trap 76");
    let old = crate::provider::Quirks { stream_usage: false, ..OPENAI };
    assert!(encode(&request, &to(&old, &PLAIN_RULES)).0.get("stream_options").is_none());
}

#[test]
fn ids_fit_the_provider_in_calls_and_results_alike() {
    const OWN: crate::provider::Quirks = crate::provider::Quirks {
        fixes: &[crate::provider::Fix::CallIds(crate::provider::CallIdForm::Forty)],
        ..OPENAI
    };
    const NINE: crate::provider::Quirks = crate::provider::Quirks {
        fixes: &[crate::provider::Fix::CallIds(crate::provider::CallIdForm::Nine)],
        ..OPENAI
    };
    let long = "toolu_vrtx_0123456789012345678901234567890123456789";
    let ids = [long, "short", "", ""];
    let messages = vec![
        message(Role::Assistant, ids.iter().map(|id| call(id)).collect()),
        message(Role::Tool, ids.iter().map(|id| result(id, vec![Part::text("r")], None)).collect()),
    ];
    for (quirks, most) in [(&OWN, 40), (&NINE, 9), (&OPENAI, usize::MAX)] {
        let (body, _) = encode(&request(messages.clone()), &to(quirks, &PLAIN_RULES));
        let calls: Vec<&str> = body["messages"][0]["tool_calls"]
            .as_array()
            .unwrap()
            .iter()
            .map(|call| call["id"].as_str().unwrap())
            .collect();
        let results: Vec<&str> =
            (1..5).map(|at| body["messages"][at]["tool_call_id"].as_str().unwrap()).collect();
        assert_eq!(calls, results);
        assert!(calls.iter().all(|id| !id.is_empty() && id.len() <= most), "{calls:?}");
        let different: std::collections::HashSet<_> = calls.iter().collect();
        assert_eq!(different.len(), 4, "{calls:?}");
    }
}

#[test]
fn citations_of_earlier_turns_are_told() {
    let mut text = crate::ir::Text { text: "x".into(), ..Default::default() };
    text.citations.push(crate::ir::Citation::of(crate::Wire::Anthropic, json!({})));
    let request = request(vec![message(Role::Assistant, vec![Part::Text(text)])]);
    let (_, losses) = encode(&request, &to(&OPENAI, &PLAIN_RULES));
    assert_eq!(paths(&losses), ["messages[0].content[0].citations"]);
}
