//! Reasoning of other makers' models on its way through this dialect, and the ids of calls.

use serde_json::{Value, json};

use super::{FREE, ask, call, echo, encode, encode_events, lost, message, result, user};
use crate::Wire;
use crate::ir::{Choice, Delta, Event, Part, PartKind, Response, Role, Signature, Thinking};
use crate::loss::Losses;
use crate::wire::Dialect;
use crate::wire::anthropic::Anthropic;

fn signed(text: &str, by: Wire, signature: &str) -> Part {
    let signature = Some(Signature { by, text: signature.to_owned() });
    Part::Thinking(Thinking { text: text.to_owned(), signature, ..Thinking::default() })
}

fn answer(parts: Vec<Part>) -> Response {
    let choice = Choice { parts, finish: None, logprobs: None, extra: Default::default() };
    Response { id: "i".to_owned(), choices: vec![choice], ..Response::default() }
}

#[test]
fn reasoning_of_another_maker_is_not_sent_and_told() {
    let parts =
        vec![signed("", Wire::Gemini, "G"), signed("why", Wire::OpenAiResponses, "O"), Part::text("x")];
    let request = ask(vec![user("a"), message(Role::Assistant, parts), user("b")]);
    let (body, losses) = encode(&request, &FREE).unwrap();
    assert_eq!(body["messages"][1]["content"], "x");
    assert_eq!(lost(&losses), ["messages[1].content[0]", "messages[1].content[1]"]);
}

#[test]
fn a_marked_signature_comes_back_as_its_makers() {
    let parts = vec![signed("", Wire::Gemini, "G"), call("c", "{}"), signed("own", Wire::Anthropic, "A")];
    let mut losses = Losses::default();
    let written = Anthropic.encode_response(&answer(parts.clone()), &echo(), &mut losses);
    let written: Value = serde_json::from_slice(&written).unwrap();
    assert_eq!(losses.as_slice(), []);
    let empty = json!({"type": "thinking", "thinking": "", "signature": "bifrost:gemini:G"});
    assert_eq!(written["content"][0], empty);
    assert_eq!(written["content"][2]["signature"], "A");
    // The caller sends it back as it came.
    let body = json!({"model": "m", "max_tokens": 9, "messages": [
        {"role": "user", "content": "a"}, {"role": "assistant", "content": written["content"]}]});
    let request = Anthropic.decode_request(body.to_string().as_bytes()).unwrap();
    assert_eq!(request.messages[1].parts, parts);
}

#[test]
fn a_streamed_signature_of_another_maker_is_marked() {
    let events = [
        Event::PartStart { choice: 0, part: 0, kind: PartKind::Thinking },
        Event::PartDelta {
            choice: 0,
            part: 0,
            delta: Delta::Signature(Signature { by: Wire::Gemini, text: "G".to_owned() }),
        },
        Event::PartStop { choice: 0, part: 0 },
    ];
    let (out, losses) = encode_events(&events);
    assert!(out.contains(r#"{"type":"signature_delta","signature":"bifrost:gemini:G"}"#), "{out}");
    assert_eq!(losses.as_slice(), []);
}

#[test]
fn an_empty_signature_is_none() {
    let body = json!({"model": "m", "max_tokens": 9, "messages": [{"role": "assistant", "content": [
        {"type": "thinking", "thinking": "t", "signature": ""}]}]});
    let request = Anthropic.decode_request(body.to_string().as_bytes()).unwrap();
    let expected = Thinking { text: "t".to_owned(), ..Thinking::default() };
    assert_eq!(request.messages[0].parts, [Part::Thinking(expected)]);
}

#[test]
fn calls_without_ids_meet_their_results() {
    let calls = vec![call("", "{}"), call("", r#"{"a":1}"#), call("a.b:1", "{}")];
    let results = ["", "", "a.b:1"].map(|id| result(id, vec![Part::text("r")])).to_vec();
    let request = ask(vec![user("go"), message(Role::Assistant, calls), message(Role::Tool, results)]);
    let (body, _) = encode(&request, &FREE).unwrap();
    let ids = |turn: usize, key: &str| -> Vec<String> {
        let blocks = body["messages"][turn]["content"].as_array().unwrap();
        blocks.iter().map(|block| block[key].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(1, "id"), ids(2, "tool_use_id"));
    assert_ne!(ids(1, "id")[0], ids(1, "id")[1]);
}

#[test]
fn a_result_without_its_call_is_refused_where_it_stands() {
    let request = ask(vec![user("go"), message(Role::Tool, vec![result("x", vec![Part::text("r")])])]);
    let refused = encode(&request, &FREE).unwrap_err();
    assert_eq!(refused.path, "messages[1].content[0]");
    assert!(refused.message.contains("\"x\""), "{refused}");
}
