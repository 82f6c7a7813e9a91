use serde_json::{Value, json};

use super::*;
use crate::Wire;

fn request(turns: Value) -> Request {
    let body = json!({"model": "m", "messages": turns});
    Wire::OpenAiChat.dialect().unwrap().decode_request(body.to_string().as_bytes()).unwrap()
}

fn asked(turns: Value, asking: &Asking) -> Result<Question, Unfit> {
    of(&request(turns), Operation::Chat, &Target::default(), asking)
}

fn text(turns: Value, asking: &Asking) -> String {
    asked(turns, asking).unwrap().text
}

fn turn(role: &str, text: &str) -> Value {
    json!({"role": role, "content": text})
}

/// A system prompt, a question, its answer, and another question.
fn conversation(system: &str, first: &str, answer: &str, last: &str) -> Value {
    json!([turn("system", system), turn("user", first), turn("assistant", answer), turn("user", last)])
}

#[test]
fn the_last_turn_is_asked_and_the_rest_must_be_equal() {
    let of = |turns: Value| asked(turns, &Asking::default()).unwrap();
    let question = of(conversation("s", "one", "1", "two?"));
    assert_eq!(question.text, "two?");
    let same = of(conversation("s", "one", "1", "And two?"));
    assert_eq!(question.frame, same.frame);
    assert_ne!(question.text, same.text);
    for other in [
        conversation("t", "one", "1", "two?"),
        conversation("s", "One", "1", "two?"),
        conversation("s", "one", "I", "two?"),
        json!([turn("user", "one"), turn("assistant", "1"), turn("user", "two?")]),
    ] {
        assert_ne!(question.frame, of(other.clone()).frame, "{other}");
    }
}

#[test]
fn parameters_tools_and_schema_are_of_the_frame() {
    let of = |members: Value| {
        let mut body = json!({"model": "m", "messages": [turn("user", "Hi")]});
        for (name, value) in members.as_object().unwrap() {
            body[name] = value.clone();
        }
        let request =
            Wire::OpenAiChat.dialect().unwrap().decode_request(body.to_string().as_bytes()).unwrap();
        super::of(&request, Operation::Chat, &Target::default(), &Asking::default()).unwrap().frame
    };
    let plain = of(json!({}));
    assert_eq!(plain, of(json!({"stream": true, "user": "u"})));
    let tool = json!({"type": "function", "function": {"name": "t"}});
    let schema = json!({"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object"}}});
    for members in [
        json!({"temperature": 1}),
        json!({"tools": [tool]}),
        json!({"response_format": schema}),
        json!({"new": 1}),
    ] {
        assert_ne!(plain, of(members.clone()), "{members}");
    }
}

#[test]
fn the_target_is_of_the_frame() {
    let request = request(json!([turn("user", "Hi")]));
    let of = |model| {
        let target = Target { model, provider: None };
        super::of(&request, Operation::Chat, &target, &Asking::default()).unwrap().frame
    };
    assert_ne!(of(None), of(Some("a")));
    assert_ne!(of(Some("a")), of(Some("b")));
}

#[test]
fn history_is_asked_as_far_as_it_is_wanted() {
    let with = |history| Asking { history, ..Asking::default() };
    let turns = || conversation("s", "one", "1", "two?");
    assert_eq!(text(turns(), &with(0)), "two?");
    assert_eq!(text(turns(), &with(1)), "assistant:\n1\nuser:\ntwo?\n");
    assert_eq!(text(turns(), &with(9)), "user:\none\nassistant:\n1\nuser:\ntwo?\n");
    let frame = |turns: Value, history| asked(turns, &with(history)).unwrap().frame;
    assert_eq!(frame(turns(), 2), frame(conversation("s", "uno", "I", "two?"), 2));
    assert_ne!(frame(turns(), 1), frame(conversation("s", "uno", "I", "two?"), 1));
}

#[test]
fn history_that_is_more_than_text_must_be_equal() {
    let picture = |url: &str| {
        let image =
            json!([{"type": "text", "text": "See."}, {"type": "image_url", "image_url": {"url": url}}]);
        json!([{"role": "user", "content": image}, turn("assistant", "A cat."), turn("user", "Which colour?")])
    };
    let asking = Asking { history: 5, ..Asking::default() };
    let question = asked(picture("https://a.example/1"), &asking).unwrap();
    assert_eq!(question.text, "assistant:\nA cat.\nuser:\nWhich colour?\n");
    assert_ne!(question.frame, asked(picture("https://a.example/2"), &asking).unwrap().frame);
}

#[test]
fn system_prompts_are_equal_asked_or_ignored() {
    let with = |system| Asking { system, ..Asking::default() };
    let of = |system: &str, how| asked(conversation(system, "one", "1", "two?"), &with(how)).unwrap();
    assert_ne!(of("s", SystemPrompt::Equal).frame, of("t", SystemPrompt::Equal).frame);
    assert_eq!(of("s", SystemPrompt::Ignored), of("t", SystemPrompt::Ignored));
    let (one, other) = (of("s", SystemPrompt::Asked), of("t", SystemPrompt::Asked));
    assert_eq!(one.frame, other.frame);
    assert_eq!(
        (one.text.as_str(), other.text.as_str()),
        ("system:\ns\nuser:\ntwo?\n", "system:\nt\nuser:\ntwo?\n")
    );
    // None at all is not an ignored one's twin by accident: it is one.
    let bare = json!([turn("user", "one"), turn("assistant", "1"), turn("user", "two?")]);
    assert_eq!(asked(bare, &with(SystemPrompt::Ignored)).unwrap(), of("s", SystemPrompt::Ignored));
}

#[test]
fn several_parts_and_several_messages_are_one_question() {
    let parts =
        json!([{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}]);
    assert_eq!(text(parts, &Asking::default()), "a\nb");
    let turns = json!([turn("user", "a"), turn("user", "b")]);
    assert_eq!(text(turns, &Asking::default()), "user:\na\nuser:\nb\n");
}

#[test]
fn cache_points_are_no_part_of_a_question() {
    let body = json!({"messages": [{"role": "user", "content": [{"cachePoint": {"type": "default"}}, {"text": "Hi"}]}]});
    let request =
        Wire::BedrockConverse.dialect().unwrap().decode_request(body.to_string().as_bytes()).unwrap();
    let question = of(&request, Operation::Chat, &Target::default(), &Asking::default()).unwrap();
    assert_eq!(question.text, "Hi");
    assert_eq!(question.frame, asked(json!([turn("user", "Ho")]), &Asking::default()).unwrap().frame);
}

/// A tool was called and answered.
fn looped(extra: Option<Value>) -> Value {
    let call = json!({"id": "c", "type": "function", "function": {"name": "w", "arguments": "{}"}});
    let mut turns = vec![
        turn("user", "Weather?"),
        json!({"role": "assistant", "tool_calls": [call]}),
        json!({"role": "tool", "tool_call_id": "c", "content": "4 °C"}),
    ];
    turns.extend(extra);
    turns.into()
}

#[test]
fn a_tool_result_is_asked_about_only_where_that_is_wanted() {
    assert_eq!(asked(looped(None), &Asking::default()), Err(Unfit::ToolResult));
    assert_eq!(asked(looped(Some(turn("user", "Warm?"))), &Asking::default()), Err(Unfit::ToolResult));
    let asking = Asking { tool_results: true, ..Asking::default() };
    assert_eq!(text(looped(None), &asking), "4 °C");
    assert_eq!(text(looped(Some(turn("user", "Warm?"))), &asking), "tool:\n4 °C\nuser:\nWarm?\n");
    let done = json!([turn("user", "Weather?"), turn("assistant", "4 °C"), turn("user", "Warm?")]);
    assert!(asked(done, &Asking::default()).is_ok());
}

#[test]
fn an_older_tool_loop_is_of_the_frame() {
    let turns = |result: &str| {
        let mut turns = looped(None);
        turns[2]["content"] = result.into();
        let list = turns.as_array_mut().unwrap();
        list.push(turn("assistant", "Cold."));
        list.push(turn("user", "And tomorrow?"));
        turns
    };
    let asking = Asking { history: 9, ..Asking::default() };
    assert_ne!(asked(turns("4 °C"), &asking).unwrap().frame, asked(turns("5 °C"), &asking).unwrap().frame);
}

#[test]
fn what_cannot_be_compared_says_why() {
    let content =
        |part: Value| json!([{"role": "user", "content": [{"type": "text", "text": "What is it?"}, part]}]);
    let png = json!({"type": "image_url", "image_url": {"url": "https://a.example/x.png"}});
    let wav = json!({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}});
    let pdf = json!({"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA"}});
    let of = |turns: Value| asked(turns, &Asking::default()).map(|question| question.text);
    assert_eq!(of(content(png)), Err(Unfit::Image));
    assert_eq!(of(content(wav)), Err(Unfit::Audio));
    assert_eq!(of(content(pdf)), Err(Unfit::Document));
    assert_eq!(of(content(json!({"type": "new_kind"}))), Err(Unfit::Foreign));
    assert_eq!(of(json!([turn("user", " \n")])), Err(Unfit::NoText));
    assert_eq!(of(json!([turn("system", "s")])), Err(Unfit::NoText));
    assert_eq!(of(json!([turn("user", "a"), turn("assistant", "The answer is")])), Err(Unfit::Begun));
    let short = Asking { most_chars: 3, ..Asking::default() };
    assert_eq!(
        asked(json!([turn("user", "äöü")]), &short).map(|question| question.text),
        Ok("äöü".to_owned())
    );
    assert_eq!(asked(json!([turn("user", "four")]), &short), Err(Unfit::TooLong { found: 4, most: 3 }));
    let few = Asking { most_turns: Some(1), ..Asking::default() };
    assert_eq!(
        asked(conversation("s", "one", "1", "two?"), &few),
        Err(Unfit::TooManyTurns { found: 2, most: 1 })
    );
}

#[test]
fn the_same_question_is_one_in_every_dialect() {
    let bodies = [
        (
            Wire::Anthropic,
            json!({"model": "m", "max_tokens": 9, "system": "s", "messages": [turn("user", "Hi")]}),
        ),
        (
            Wire::OpenAiChat,
            json!({"model": "m", "max_tokens": 9, "messages": [turn("system", "s"), turn("user", "Hi")]}),
        ),
        (
            Wire::Cohere,
            json!({"model": "m", "max_tokens": 9, "messages": [turn("system", "s"), turn("user", "Hi")]}),
        ),
        (
            Wire::OpenAiResponses,
            json!({"model": "m", "max_output_tokens": 9, "instructions": "s", "input": "Hi"}),
        ),
        (
            Wire::Gemini,
            json!({
                "systemInstruction": {"parts": [{"text": "s"}]},
                "contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
                "generationConfig": {"maxOutputTokens": 9},
            }),
        ),
        (
            Wire::BedrockConverse,
            json!({
                "system": [{"text": "s"}],
                "messages": [{"role": "user", "content": [{"text": "Hi"}]}],
                "inferenceConfig": {"maxTokens": 9},
            }),
        ),
    ];
    let questions: Vec<Question> = bodies
        .iter()
        .map(|(dialect, body)| {
            let request = dialect.dialect().unwrap().decode_request(body.to_string().as_bytes()).unwrap();
            of(&request, Operation::Chat, &Target::default(), &Asking::default()).unwrap()
        })
        .collect();
    assert_eq!(questions.len(), Wire::ALL.len());
    questions.iter().for_each(|question| assert_eq!(*question, questions[0]));
}
