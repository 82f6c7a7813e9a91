//! What is sent to a model.

use serde_json::{Value, json};

use super::{BUDGETS, LLAMA, REASONS, SEES, encode, sent, user};

fn with(mut body: Value, more: Value) -> Value {
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

#[test]
fn a_single_turn_is_the_prompt_as_it_is() {
    let body = json!({"model": "m", "stream": true, "max_tokens": 50, "temperature": 0.5, "stop": ["a", "b"],
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi  there\n"}]});
    let (sent, lost) = sent(&body, LLAMA);
    let input = json!({"prompt": "Hi  there\n", "system_prompt": "Be brief.", "max_tokens": 50,
        "temperature": 0.5, "stop_sequences": "a,b"});
    assert_eq!(sent, json!({"input": input, "stream": true}));
    assert!(lost.is_empty(), "{lost:?}");
}

#[test]
fn a_conversation_is_a_transcript_that_the_model_continues() {
    let body = json!({"model": "m", "messages": [
        {"role": "system", "content": "S"}, {"role": "user", "content": "one"},
        {"role": "assistant", "content": "two"}, {"role": "user", "content": "three"}]});
    let (sent, _) = sent(&body, LLAMA);
    assert_eq!(sent["input"]["system_prompt"], "S");
    assert_eq!(sent["input"]["prompt"], "User: one\n\nAssistant: two\n\nUser: three\n\nAssistant:");
}

#[test]
fn a_prefill_ends_the_transcript() {
    let body = json!({"model": "m", "messages": [
        {"role": "user", "content": "one"}, {"role": "assistant", "content": "{\"a\":"}]});
    assert_eq!(sent(&body, LLAMA).0["input"]["prompt"], "User: one\n\nAssistant: {\"a\":");
}

#[test]
fn a_model_without_system_text_gets_it_before_the_prompt() {
    let body = json!({"model": "m", "messages": [
        {"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]});
    let (sent, _) = sent(&body, "deepseek-ai/deepseek-r1");
    assert_eq!(sent["input"], json!({"prompt": "Be brief.\n\nHi"}));
}

#[test]
fn inputs_have_the_names_of_the_model() {
    let body = with(user("Hi"), json!({"max_tokens": 4000}));
    for (model, name) in [
        (LLAMA, "max_tokens"),
        (SEES, "max_completion_tokens"),
        ("google/gemini-2.5-flash", "max_output_tokens"),
        ("meta/llama-2-70b-chat", "max_new_tokens"),
    ] {
        assert_eq!(sent(&body, model).0["input"][name], 4000, "{model}");
    }
}

#[test]
fn what_the_model_does_not_take_is_told_and_not_sent() {
    let body =
        with(user("Hi"), json!({"seed": 7, "n": 2, "logit_bias": {"5": 1}, "user": "u", "top_p": 0.5}));
    let (sent, lost) = sent(&body, REASONS);
    assert_eq!(sent, json!({"input": {"prompt": "Hi"}}));
    for path in ["seed", "n", "logit_bias", "user", "top_p"] {
        assert!(lost.iter().any(|lost| lost == path), "{path} of {lost:?}");
    }
}

#[test]
fn parameters_by_their_own_names_pass() {
    let body = with(user("Hi"), json!({"min_tokens": 3, "prompt_template": "{prompt}", "unheard_of": 1}));
    let (sent, lost) = sent(&body, LLAMA);
    assert_eq!(
        (&sent["input"]["min_tokens"], &sent["input"]["prompt_template"]),
        (&json!(3), &json!("{prompt}"))
    );
    assert_eq!(lost, ["unheard_of"]);
}

#[test]
fn reasoning_is_an_effort_or_a_budget_as_the_model_takes_it() {
    let effort =
        |effort| with(user("Hi"), json!({"reasoning_effort": effort, "max_completion_tokens": 10_000}));
    assert_eq!(sent(&effort("low"), REASONS).0["input"]["reasoning_effort"], "low");
    let input = &sent(&effort("medium"), BUDGETS).0["input"];
    assert_eq!((&input["extended_thinking"], &input["thinking_budget_tokens"]), (&json!(true), &json!(5000)));
    let (body, lost) = sent(&effort("high"), LLAMA);
    assert!(body["input"].get("reasoning_effort").is_none() && lost.contains(&"reasoning".to_owned()));
}

#[test]
fn images_go_where_the_model_takes_them() {
    let image = |url| json!({"type": "image_url", "image_url": {"url": url}});
    let body = json!({"model": "m", "messages": [{"role": "user", "content": [
        {"type": "text", "text": "Look"}, image("https://e.example/a.png"), image("data:image/png;base64,iVBORw0KGgo=")]}]});
    let (many, _) = sent(&body, SEES);
    let urls = json!(["https://e.example/a.png", "data:image/png;base64,iVBORw0KGgo="]);
    assert_eq!(many["input"]["image_input"], urls);
    let (one, lost) = sent(&body, BUDGETS);
    assert_eq!(one["input"]["image"], "data:image/png;base64,iVBORw0KGgo=");
    assert_eq!(lost.len(), 1, "{lost:?}");
    let refused = encode(&body, LLAMA).unwrap_err();
    assert_eq!(refused.path, "messages[0].content[1]");
}

#[test]
fn tools_are_told_of_and_a_forced_call_is_refused() {
    let tool = json!({"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}});
    let body = with(user("Hi"), json!({"tools": [tool]}));
    assert_eq!(sent(&body, LLAMA).1, ["tools"]);
    let forced = with(body, json!({"tool_choice": "required"}));
    assert_eq!(encode(&forced, LLAMA).unwrap_err().path, "tool_choice");
    let talk = json!({"model": "m", "messages": [
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": null, "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{\"x\":1}"}}]},
        {"role": "tool", "tool_call_id": "c1", "content": "42"}]});
    let (sent, lost) = sent(&talk, LLAMA);
    let prompt = sent["input"]["prompt"].as_str().unwrap();
    assert_eq!(
        prompt,
        "User: q\n\nAssistant: [called f with {\"x\":1}]\n\nTool: [result of f]\n42\n\nAssistant:"
    );
    assert_eq!(lost.len(), 2, "{lost:?}");
}

#[test]
fn versions_are_named_in_the_body_and_names_that_are_none_are_refused() {
    let (body, _) = sent(&user("Hi"), "a/b:0123abcd");
    assert_eq!(body["version"], "0123abcd");
    assert!(sent(&user("Hi"), "deployments/a/b").0.get("version").is_none());
    for name in ["gpt-4o", "../x", "a/b/c", ""] {
        assert_eq!(encode(&user("Hi"), name).unwrap_err().path, "model", "{name}");
    }
}

#[test]
fn a_schema_is_asked_for_in_words() {
    let format = json!({"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}});
    let (body, lost) = sent(&with(user("Hi"), json!({"response_format": format})), LLAMA);
    assert!(body["input"]["system_prompt"].as_str().unwrap().contains(r#"{"type":"object"}"#), "{body}");
    assert!(lost.contains(&"response_format".to_owned()), "{lost:?}");
}

#[test]
fn many_calls_and_results_took_time_by_their_square() {
    const MANY: usize = 60_000;
    let began = std::time::Instant::now();
    let call = |n: usize| json!({"id": format!("c{n}"), "type": "function", "function": {"name": format!("f{n}"), "arguments": "{}"}});
    let calls: Vec<Value> = (0..MANY).map(call).collect();
    let mut messages =
        vec![json!({"role": "user", "content": "x"}), json!({"role": "assistant", "tool_calls": calls})];
    messages
        .extend((0..MANY).map(|n| json!({"role": "tool", "tool_call_id": format!("c{n}"), "content": "y"})));
    let (body, _) = sent(&json!({"model": "m", "messages": messages}), "acme/talker");
    let prompt = body["input"]["prompt"].as_str().unwrap();
    assert!(prompt.contains("[result of f0]") && prompt.contains("[result of f59999]"));
    assert!(began.elapsed().as_secs() < 60, "{:?}", began.elapsed());
}
