use serde_json::{Value, json};

use super::*;
use crate::Wire;
use crate::{embed, rerank};

fn of(dialect: Wire, body: &Value) -> Vec<u8> {
    let request = dialect.dialect().unwrap().decode_request(body.to_string().as_bytes());
    chat(&request.unwrap(), Operation::Chat, &Target::default())
}

fn base(dialect: Wire) -> Value {
    let said = json!([{"role": "user", "content": "Hello"}]);
    match dialect {
        Wire::Anthropic => json!({"model": "m", "max_tokens": 9, "messages": said}),
        Wire::OpenAiChat | Wire::Cohere => json!({"model": "m", "max_tokens": 9, "messages": said}),
        Wire::OpenAiResponses => json!({"model": "m", "max_output_tokens": 9, "input": "Hello"}),
        Wire::Gemini => {
            json!({"contents": [{"parts": [{"text": "Hello"}]}], "generationConfig": {"maxOutputTokens": 9}})
        }
        Wire::BedrockConverse => {
            json!({"messages": [{"role": "user", "content": [{"text": "Hello"}]}], "inferenceConfig": {"maxTokens": 9}})
        }
        Wire::Replicate => panic!("nobody speaks it"),
    }
}

/// The body with these members more, or in place of its own.
fn with(dialect: Wire, members: &Value) -> Value {
    let mut body = base(dialect);
    for (name, value) in members.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

fn same(dialect: Wire, members: Value) {
    assert_eq!(
        of(dialect, &with(dialect, &members)),
        of(dialect, &base(dialect)),
        "{}: {members}",
        dialect.name()
    );
}

fn apart(dialect: Wire, members: Value) {
    assert_ne!(
        of(dialect, &with(dialect, &members)),
        of(dialect, &base(dialect)),
        "{}: {members}",
        dialect.name()
    );
}

const CHAT: Wire = Wire::OpenAiChat;

#[test]
fn the_same_question_is_the_same_in_six_dialects() {
    let forms: Vec<Vec<u8>> = Wire::ALL.into_iter().map(|dialect| of(dialect, &base(dialect))).collect();
    for (form, dialect) in forms.iter().zip(Wire::ALL) {
        assert_eq!(form, &forms[0], "{}", dialect.name());
    }
}

#[test]
fn out_whether_it_is_streamed() {
    same(CHAT, json!({"stream": true}));
    same(
        CHAT,
        json!({"stream": true, "stream_options": {"include_usage": true, "include_obfuscation": false}}),
    );
    same(CHAT, json!({"usage": {"include": true}}));
    same(Wire::Anthropic, json!({"stream": true}));
    same(Wire::OpenAiResponses, json!({"stream": true}));
    same(Wire::Cohere, json!({"stream": true}));
}

#[test]
fn out_who_asks() {
    same(CHAT, json!({"user": "u1"}));
    same(CHAT, json!({"safety_identifier": "u1"}));
    same(Wire::OpenAiResponses, json!({"user": "u1", "safety_identifier": "x"}));
    same(Wire::Anthropic, json!({"metadata": {"user_id": "u1"}}));
}

#[test]
fn out_metadata_and_labels() {
    same(CHAT, json!({"metadata": {"trace": "1"}}));
    same(Wire::OpenAiResponses, json!({"metadata": {"trace": "1"}}));
    same(Wire::BedrockConverse, json!({"requestMetadata": {"trace": "1"}}));
    same(Wire::Gemini, json!({"labels": {"team": "a"}}));
}

#[test]
fn out_tier_and_priority() {
    same(CHAT, json!({"service_tier": "flex"}));
    same(Wire::Anthropic, json!({"service_tier": "standard_only"}));
    same(Wire::BedrockConverse, json!({"serviceTier": {"type": "priority"}}));
    same(Wire::Cohere, json!({"priority": 3}));
}

#[test]
fn out_where_the_answer_is_kept() {
    same(CHAT, json!({"store": true}));
    same(Wire::OpenAiResponses, json!({"store": true}));
    same(Wire::OpenAiResponses, json!({"store": false}));
}

#[test]
fn out_marks_of_prompt_caches() {
    same(CHAT, json!({"prompt_cache_key": "k", "prompt_cache_retention": "24h"}));
    same(Wire::Anthropic, json!({"cache_control": {"type": "ephemeral"}}));
    let marked =
        json!([{"type": "text", "text": "Hello", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]);
    same(Wire::Anthropic, json!({"messages": [{"role": "user", "content": marked}]}));
    let pointed = json!([{"text": "Hello"}, {"cachePoint": {"type": "default"}}]);
    same(Wire::BedrockConverse, json!({"messages": [{"role": "user", "content": pointed}]}));
    let tool = |mark: Value| {
        let mut tool = json!({"name": "t", "input_schema": {"type": "object"}});
        if !mark.is_null() {
            tool["cache_control"] = mark;
        }
        of(Wire::Anthropic, &with(Wire::Anthropic, &json!({"tools": [tool]})))
    };
    assert_eq!(tool(Value::Null), tool(json!({"type": "ephemeral"})));
    let server = |mark: bool| {
        let mut tool = json!({"type": "web_search_20250305", "name": "web_search"});
        if mark {
            tool["cache_control"] = json!({"type": "ephemeral"});
        }
        of(Wire::Anthropic, &with(Wire::Anthropic, &json!({"tools": [tool]})))
    };
    assert_eq!(server(true), server(false));
}

#[test]
fn out_a_point_where_no_part_carries_it() {
    let body =
        |system: Value| of(Wire::BedrockConverse, &with(Wire::BedrockConverse, &json!({"system": system})));
    assert_eq!(
        body(json!([{"text": "s"}])),
        body(json!([{"text": "s"}, {"cachePoint": {"type": "default"}}]))
    );
    let first = json!([{"cachePoint": {"type": "default"}}, {"text": "Hello"}]);
    same(Wire::BedrockConverse, json!({"messages": [{"role": "user", "content": first}]}));
}

#[test]
fn out_the_gateways_own_fields() {
    same(CHAT, json!({"fallbacks": ["a/b"], "extra_fields": {}}));
}

#[test]
fn out_what_holds_without_a_word() {
    same(CHAT, json!({"n": 1}));
    same(CHAT, json!({"n": 1.0}));
    same(CHAT, json!({"tool_choice": "auto"}));
    same(CHAT, json!({"parallel_tool_calls": true}));
    same(CHAT, json!({"response_format": {"type": "text"}}));
    same(CHAT, json!({"logprobs": false}));
    same(CHAT, json!({"temperature": null, "x": null}));
    same(CHAT, json!({"tools": []}));
    same(Wire::OpenAiResponses, json!({"text": {"format": {"type": "text"}}, "truncation": "disabled"}));
}

#[test]
fn out_the_order_of_members_and_how_numbers_are_spelled() {
    let one = r#"{"model":"m","max_tokens":9,"temperature":1,"top_p":0.50,"messages":[{"role":"user","content":"Hello"}],"x":{"a":1,"b":2}}"#;
    let other = r#"{"x":{"b":2.0,"a":1e0},"messages":[{"content":"Hello","role":"user"}],"top_p":5e-1,"temperature":1.0,"max_tokens":9.0,"model":"m"}"#;
    let of = |body: &str| of(CHAT, &serde_json::from_str(body).unwrap());
    assert_eq!(of(one), of(other));
}

#[test]
fn out_the_order_of_stop_words_and_of_tools_to_choose_from() {
    let stop = |words: Value| of(CHAT, &with(CHAT, &json!({"stop": words})));
    assert_eq!(stop(json!(["a", "b"])), stop(json!(["b", "a", "b"])));
    assert_eq!(stop(json!("a")), stop(json!(["a"])));
    assert_ne!(stop(json!(["a", "b"])), stop(json!(["a"])));
}

#[test]
fn in_every_byte_of_what_was_said() {
    for text in ["hello", "Hello ", " Hello", "Hello\n", "HELLO", "Hallo", "He\u{301}llo", ""] {
        apart(CHAT, json!({"messages": [{"role": "user", "content": text}]}));
    }
    let composed = of(CHAT, &with(CHAT, &json!({"messages": [{"role": "user", "content": "é"}]})));
    let combining = of(CHAT, &with(CHAT, &json!({"messages": [{"role": "user", "content": "e\u{301}"}]})));
    assert_ne!(composed, combining);
}

#[test]
fn in_who_said_it_and_in_which_order() {
    for role in ["system", "developer", "assistant"] {
        apart(CHAT, json!({"messages": [{"role": role, "content": "Hello"}]}));
    }
    apart(CHAT, json!({"messages": [{"role": "user", "name": "Ann", "content": "Hello"}]}));
    let turns = |first: &str, second: &str| {
        let turns = json!([{"role": "user", "content": first}, {"role": "user", "content": second}]);
        of(CHAT, &with(CHAT, &json!({"messages": turns})))
    };
    assert_ne!(turns("a", "b"), turns("b", "a"));
    assert_ne!(turns("a", "b"), turns("ab", ""));
}

#[test]
fn in_every_parameter_of_sampling() {
    for members in [
        json!({"temperature": 0.2}),
        json!({"temperature": 0}),
        json!({"top_p": 0.9}),
        json!({"top_k": 5}),
        json!({"n": 2}),
        json!({"seed": 1}),
        json!({"presence_penalty": 0.5}),
        json!({"frequency_penalty": 0.5}),
        json!({"logit_bias": {"50256": -100}}),
        json!({"logprobs": true}),
        json!({"logprobs": true, "top_logprobs": 2}),
        json!({"max_tokens": 10}),
        json!({"stop": ["x"]}),
        json!({"parallel_tool_calls": false}),
    ] {
        apart(CHAT, members);
    }
    let bias = |bias: Value| of(CHAT, &with(CHAT, &json!({"logit_bias": bias})));
    assert_eq!(bias(json!({"1": 5, "2": 6})), bias(json!({"2": 6, "1": 5})));
    assert_ne!(bias(json!({"1": 5})), bias(json!({"1": 6})));
}

#[test]
fn in_how_much_is_reasoned() {
    for members in [
        json!({"reasoning_effort": "low"}),
        json!({"reasoning_effort": "high"}),
        json!({"reasoning": {"max_tokens": 100}}),
        json!({"thinking": {"type": "disabled"}}),
    ] {
        apart(CHAT, members);
    }
    apart(Wire::Anthropic, json!({"thinking": {"type": "enabled", "budget_tokens": 2000}}));
    apart(
        Wire::Gemini,
        json!({"generationConfig": {"maxOutputTokens": 9, "thinkingConfig": {"includeThoughts": true}}}),
    );
}

fn tool(name: &str, description: &str, parameters: Value) -> Value {
    json!({"type": "function", "function": {"name": name, "description": description, "parameters": parameters}})
}

#[test]
fn in_tools_and_the_choice_among_them() {
    let tools = |tools: Value| of(CHAT, &with(CHAT, &json!({"tools": tools})));
    let object = json!({"type": "object"});
    let plain = tools(json!([tool("a", "d", object.clone())]));
    assert_ne!(plain, of(CHAT, &base(CHAT)));
    assert_ne!(plain, tools(json!([tool("b", "d", object.clone())])));
    assert_ne!(plain, tools(json!([tool("a", "D", object.clone())])));
    assert_ne!(plain, tools(json!([tool("a", "d", json!({"type": "object", "required": []}))])));
    let (one, two) = (tool("a", "", object.clone()), tool("b", "", object.clone()));
    assert_ne!(tools(json!([one, two])), tools(json!([two, one])), "models read them in order");
    let mut strict = tool("a", "d", object);
    strict["function"]["strict"] = true.into();
    assert_ne!(plain, tools(json!([strict])));
    let choice = |choice: Value| of(CHAT, &with(CHAT, &json!({"tools": [one, two], "tool_choice": choice})));
    let named = json!({"type": "function", "function": {"name": "a"}});
    let all = [json!("auto"), json!("none"), json!("required"), named];
    for (at, first) in all.iter().enumerate() {
        for second in &all[at + 1..] {
            assert_ne!(choice(first.clone()), choice(second.clone()), "{first} {second}");
        }
    }
}

#[test]
fn the_same_tools_are_the_same_in_other_dialects() {
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
    let chat = with(
        CHAT,
        &json!({"tools": [tool("weather", "Tells it.", schema.clone())], "tool_choice": "required"}),
    );
    let anthropic = with(
        Wire::Anthropic,
        &json!({"tools": [{"name": "weather", "description": "Tells it.", "input_schema": schema}], "tool_choice": {"type": "any"}}),
    );
    let gemini = with(
        Wire::Gemini,
        &json!({
            "tools": [{"functionDeclarations": [{"name": "weather", "description": "Tells it.", "parametersJsonSchema": schema}]}],
            "toolConfig": {"functionCallingConfig": {"mode": "ANY"}},
        }),
    );
    let bedrock = with(
        Wire::BedrockConverse,
        &json!({"toolConfig": {
            "tools": [{"toolSpec": {"name": "weather", "description": "Tells it.", "inputSchema": {"json": schema}}}],
            "toolChoice": {"any": {}},
        }}),
    );
    let cohere = with(
        Wire::Cohere,
        &json!({"tools": [tool("weather", "Tells it.", schema)], "tool_choice": "REQUIRED"}),
    );
    let first = of(CHAT, &chat);
    assert_eq!(first, of(Wire::Anthropic, &anthropic));
    assert_eq!(first, of(Wire::Gemini, &gemini));
    assert_eq!(first, of(Wire::BedrockConverse, &bedrock));
    assert_eq!(first, of(Wire::Cohere, &cohere));
}

#[test]
fn in_the_form_of_the_answer() {
    apart(CHAT, json!({"response_format": {"type": "json_object"}}));
    let schema = |schema: Value| {
        let format = json!({"type": "json_schema", "json_schema": {"name": "s", "schema": schema}});
        of(CHAT, &with(CHAT, &json!({"response_format": format})))
    };
    let ordered: Value =
        serde_json::from_str(r#"{"type":"object","properties":{"why":{},"answer":{}}}"#).unwrap();
    let turned: Value =
        serde_json::from_str(r#"{"properties":{"answer":{},"why":{}},"type":"object"}"#).unwrap();
    assert_ne!(
        schema(ordered.clone()),
        schema(turned),
        "the answer is written in the order of its properties"
    );
    assert_ne!(schema(ordered), schema(json!({"type": "object"})));
}

#[test]
fn in_whatever_nobody_here_knows() {
    apart(CHAT, json!({"a_new_parameter": 1}));
    apart(CHAT, json!({"verbosity": "low"}));
    apart(CHAT, json!({"web_search_options": {}}));
    apart(CHAT, json!({"modalities": ["text"]}));
    apart(CHAT, json!({"stream_mode": "x"}));
    apart(Wire::Anthropic, json!({"context_management": {"edits": []}}));
    apart(Wire::Gemini, json!({"safetySettings": [{"category": "x", "threshold": "y"}]}));
    apart(Wire::Gemini, json!({"cachedContent": "cachedContents/1"}));
    apart(Wire::BedrockConverse, json!({"guardrailConfig": {"guardrailIdentifier": "g"}}));
    apart(Wire::BedrockConverse, json!({"additionalModelRequestFields": {"x": 1}}));
    apart(Wire::OpenAiResponses, json!({"include": ["web_search_call.results"]}));
    apart(Wire::Cohere, json!({"safety_mode": "STRICT"}));
    apart(CHAT, json!({"messages": [{"role": "user", "content": "Hello", "a_new_member": 1}]}));
    apart(
        CHAT,
        json!({"messages": [{"role": "user", "content": [{"type": "text", "text": "Hello", "new": 1}]}]}),
    );
    apart(CHAT, json!({"messages": [{"role": "user", "content": [{"type": "new_kind", "x": 1}]}]}));
    let unknown = |value: Value| of(CHAT, &with(CHAT, &json!({"a_new_parameter": value})));
    assert_ne!(unknown(json!("a")), unknown(json!("b")));
    assert_ne!(unknown(json!(false)), unknown(json!(0)));
}

fn image(url: &str, detail: Option<&str>) -> Vec<u8> {
    let mut inner = json!({"url": url});
    if let Some(detail) = detail {
        inner["detail"] = detail.into();
    }
    let content = json!([{"type": "image_url", "image_url": inner}]);
    of(CHAT, &with(CHAT, &json!({"messages": [{"role": "user", "content": content}]})))
}

#[test]
fn in_images_by_their_bytes_or_their_address() {
    let png = image("data:image/png;base64,+/8=", None);
    assert_eq!(png, image("data:image/png;base64,+/8", None), "padding is no content");
    assert_eq!(png, image("data:image/png;base64,+/8=", Some("auto")));
    assert_ne!(png, image("data:image/png;base64,+/4=", None));
    assert_ne!(png, image("data:image/jpeg;base64,+/8=", None));
    assert_ne!(png, image("data:image/png;base64,+/8=", Some("low")));
    assert_ne!(image("https://a.example/x.png", None), image("https://a.example/X.png", None));
    let source = json!({"type": "base64", "media_type": "image/png", "data": "+/8="});
    let content = json!([{"type": "image", "source": source}]);
    let anthropic = of(
        Wire::Anthropic,
        &with(Wire::Anthropic, &json!({"messages": [{"role": "user", "content": content}]})),
    );
    assert_eq!(png, anthropic);
}

/// A call, its result and a word about it.
fn looped(id: &str, arguments: &str, result: &str) -> Value {
    json!([
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "tool_calls": [{"id": id, "type": "function", "function": {"name": "w", "arguments": arguments}}]},
        {"role": "tool", "tool_call_id": id, "content": result},
        {"role": "user", "content": "Now?"},
    ])
}

#[test]
fn in_calls_and_results_but_not_their_ids() {
    let of_loop = |id: &str, arguments: &str, result: &str| {
        of(CHAT, &with(CHAT, &json!({"messages": looped(id, arguments, result)})))
    };
    let first = of_loop("call_1", r#"{"city":"Oslo","days":1}"#, "4 °C");
    assert_eq!(first, of_loop("other", r#"{ "days": 1.0, "city": "Oslo" }"#, "4 °C"));
    assert_ne!(first, of_loop("call_1", r#"{"city":"Oslo","days":2}"#, "4 °C"));
    assert_ne!(first, of_loop("call_1", r#"{"city":"Oslo","days":1}"#, "5 °C"));
    let anthropic = |turns: &Value| of(Wire::Anthropic, &with(Wire::Anthropic, &json!({"messages": turns})));
    let turns = json!([
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "w", "input": {"city": "Oslo", "days": 1}}]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "toolu_1", "content": "4 °C"},
            {"type": "text", "text": "Now?"},
        ]},
    ]);
    assert_eq!(first, anthropic(&turns));
    let mut failed = turns;
    failed[2]["content"][0]["is_error"] = true.into();
    assert_ne!(first, anthropic(&failed));
    let gemini = json!([
        {"role": "user", "parts": [{"text": "Weather?"}]},
        {"role": "model", "parts": [{"functionCall": {"name": "w", "args": {"city": "Oslo", "days": 1}}}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "w", "response": {"result": "4 °C"}}}, {"text": "Now?"}]},
    ]);
    let gemini = of(Wire::Gemini, &with(Wire::Gemini, &json!({"contents": gemini})));
    // Results are objects there: the same as in a dialect where the result is that object's text.
    assert_eq!(gemini, of_loop("c", r#"{"city":"Oslo","days":1}"#, r#"{"result":"4 °C"}"#));
}

#[test]
fn results_belong_to_their_call() {
    let turns = |first: &str, second: &str| {
        let call = |id: &str, name: &str| json!({"id": id, "type": "function", "function": {"name": name, "arguments": "{}"}});
        let turns = json!([
            {"role": "user", "content": "?"},
            {"role": "assistant", "tool_calls": [call("1", "a"), call("2", "b")]},
            {"role": "tool", "tool_call_id": first, "content": "x"},
            {"role": "tool", "tool_call_id": second, "content": "y"},
        ]);
        of(CHAT, &with(CHAT, &json!({"messages": turns})))
    };
    assert_ne!(turns("1", "2"), turns("2", "1"));
}

#[test]
fn arguments_that_json_readers_disagree_on_are_compared_as_written() {
    let of_loop = |arguments: &str| of(CHAT, &with(CHAT, &json!({"messages": looped("c", arguments, "r")})));
    assert_ne!(of_loop(r#"{"id":18446744073709551616}"#), of_loop(r#"{"id":18446744073709551617}"#));
    assert_ne!(of_loop("not json"), of_loop("\"not json\""));
    assert_eq!(of_loop(""), of_loop("{}"));
}

#[test]
fn in_the_reasoning_that_is_sent_back() {
    let turns = |text: &str, signature: &str| {
        let turns = json!([
            {"role": "user", "content": "?"},
            {"role": "assistant", "content": [{"type": "thinking", "thinking": text, "signature": signature}, {"type": "text", "text": "!"}]},
            {"role": "user", "content": "Why?"},
        ]);
        of(Wire::Anthropic, &with(Wire::Anthropic, &json!({"messages": turns})))
    };
    assert_ne!(turns("a", "s"), turns("b", "s"));
    assert_ne!(turns("a", "s"), turns("a", "t"));
}

#[test]
fn the_target_is_in_as_far_as_it_is_wanted() {
    let request = CHAT.dialect().unwrap().decode_request(base(CHAT).to_string().as_bytes()).unwrap();
    let of = |model, provider| chat(&request, Operation::Chat, &Target { model, provider });
    let forms = [
        of(None, None),
        of(Some("m"), None),
        of(Some("M"), None),
        of(None, Some("m")),
        of(Some("m"), Some("p")),
    ];
    for (at, one) in forms.iter().enumerate() {
        for other in &forms[at + 1..] {
            assert_ne!(one, other);
        }
    }
    let mut renamed = request.clone();
    renamed.model = "another".into();
    assert_eq!(chat(&renamed, Operation::Chat, &Target::default()), forms[0]);
    assert_ne!(chat(&request, Operation::Completion, &Target::default()), forms[0]);
}

#[test]
fn a_frame_is_never_a_request() {
    let request = CHAT.dialect().unwrap().decode_request(base(CHAT).to_string().as_bytes()).unwrap();
    let whole = chat(&request, Operation::Chat, &Target::default());
    assert_ne!(frame(&request, Operation::Chat, &Target::default(), &|_| Shown::Whole), whole);
}

#[test]
fn embeddings_are_apart_by_what_changes_a_vector() {
    let of = |body: Value| {
        let request = embed::decode_request(embed::Format::OpenAi, body.to_string().as_bytes()).unwrap();
        embeddings(&request, &Target::default())
    };
    let first = of(json!({"model": "m", "input": "a"}));
    assert_eq!(first, of(json!({"input": ["a"], "model": "m", "user": "u", "encoding_format": "float"})));
    for body in [
        json!({"model": "n", "input": "a"}),
        json!({"model": "m", "input": "A"}),
        json!({"model": "m", "input": ["a", "a"]}),
        json!({"model": "m", "input": "a", "dimensions": 8}),
        json!({"model": "m", "input": "a", "encoding_format": "base64"}),
        json!({"model": "m", "input": "a", "new": 1}),
        json!({"model": "m", "input": [[1, 2]]}),
    ] {
        assert_ne!(first, of(body.clone()), "{body}");
    }
    let cohere = |body: &Value| {
        let request = embed::decode_request(embed::Format::Cohere, body.to_string().as_bytes()).unwrap();
        embeddings(&request, &Target::default())
    };
    let asked =
        json!({"model": "m", "texts": ["a"], "input_type": "search_query", "embedding_types": ["float"]});
    let stored =
        json!({"model": "m", "texts": ["a"], "input_type": "search_document", "embedding_types": ["float"]});
    assert_ne!(cohere(&asked), cohere(&stored));
}

#[test]
fn rankings_are_apart_by_what_changes_an_order() {
    let of = |body: Value| {
        let request = rerank::decode_request(rerank::Format::Cohere, body.to_string().as_bytes()).unwrap();
        ranking(&request, &Target::default())
    };
    let first = of(json!({"model": "m", "query": "q", "documents": ["a", "b"]}));
    assert_eq!(
        first,
        of(json!({"documents": ["a", "b"], "query": "q", "model": "m", "return_documents": false}))
    );
    for body in [
        json!({"model": "n", "query": "q", "documents": ["a", "b"]}),
        json!({"model": "m", "query": "Q", "documents": ["a", "b"]}),
        json!({"model": "m", "query": "q", "documents": ["b", "a"]}),
        json!({"model": "m", "query": "q", "documents": ["a", "b"], "top_n": 1}),
        json!({"model": "m", "query": "q", "documents": ["a", "b"], "return_documents": true}),
        json!({"model": "m", "query": "q", "documents": ["a", "b"], "max_tokens_per_doc": 5}),
    ] {
        assert_ne!(first, of(body.clone()), "{body}");
    }
}

#[test]
fn the_names_that_are_out_are_sorted() {
    assert!(rest::OUT.is_sorted());
}
