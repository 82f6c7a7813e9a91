//! Bodies as the vendor documents them, through chat and back.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::TextCompletions;
use crate::Wire;
use crate::frame::Frame;
use crate::ir::{FinishReason, Part, Request, Role};
use crate::loss::Losses;
use crate::provider::{self, Destination, ModelRules};
use crate::relay::{StreamPipe, StreamPipeOptions};
use crate::wire::{Codec, Dialect, Echo, FrameVerdict, Observation};

fn decode(body: &Value) -> Result<Request, crate::wire::BadRequest> {
    TextCompletions.decode_request(body.to_string().as_bytes())
}

fn echo() -> Echo {
    Echo { unique: "u1".into(), now: 7, model: "alias".into(), stream_usage: true, request: None }
}

fn for_provider(name: &str, request: &Request) -> (Value, Vec<String>) {
    let spec = provider::find(name).unwrap();
    let rules = ModelRules::of(spec.name, spec.wire, "m");
    let to = Destination { quirks: &spec.quirks, rules: &rules, model: "m" };
    let mut losses = Losses::default();
    let body = spec.wire.codec().encode_request(request, &to, &mut losses).unwrap();
    let paths = losses.as_slice().iter().map(|loss| loss.path.clone()).collect();
    (serde_json::from_slice(&body).unwrap(), paths)
}

#[test]
fn a_prompt_is_one_user_message() {
    for prompt in [json!("Say this is a test"), json!(["Say this is a test"])] {
        let body = json!({"model": "m", "prompt": prompt, "max_tokens": 7, "temperature": 0, "stop": "x",
            "echo": false, "best_of": 1, "suffix": null, "logprobs": null, "n": 1, "user": "u"});
        let request = decode(&body).unwrap();
        assert_eq!(request.messages[0].role, Role::User);
        assert_eq!(request.messages[0].parts, [Part::text("Say this is a test")]);
        assert_eq!((request.max_tokens, request.stop.as_slice()), (Some(7), ["x".to_owned()].as_slice()));
        assert!(request.extra.is_empty() && request.sampling.logprobs.is_none());
    }
}

#[test]
fn what_a_conversation_cannot_hold_is_reported_by_every_provider() {
    let body = json!({"model": "m", "prompt": "a", "echo": true, "best_of": 3, "suffix": "z", "x": 1});
    let request = decode(&body).unwrap();
    for name in ["openai", "anthropic", "cohere"] {
        let (written, losses) = for_provider(name, &request);
        for field in ["echo", "best_of", "suffix", "x"] {
            assert!(
                written.get(field).is_none() && losses.iter().any(|loss| loss == field),
                "{name} {field}"
            );
        }
    }
}

#[test]
fn alternatives_are_asked_for_by_their_number() {
    let asked = |logprobs: Value| {
        let sampling = decode(&json!({"model": "m", "prompt": "a", "logprobs": logprobs})).unwrap().sampling;
        (sampling.logprobs, sampling.top_logprobs)
    };
    assert_eq!(asked(json!(3)), (Some(true), Some(3)));
    assert_eq!(asked(json!(0)), (Some(true), None));
    assert_eq!((asked(json!(null)), asked(json!(false))), ((None, None), (None, None)));
}

#[test]
fn complaints_name_the_path() {
    let cases = [
        (json!({"prompt": "a"}), "model", ""),
        (json!({"model": "m"}), "prompt", ""),
        (json!({"model": "m", "prompt": ["a", "b"]}), "prompt", "2 prompts"),
        (json!({"model": "m", "prompt": []}), "prompt", "empty"),
        (json!({"model": "m", "prompt": [1, 2]}), "prompt", "tokens"),
        (json!({"model": "m", "prompt": [[1, 2]]}), "prompt", "tokens"),
        (json!({"model": "m", "prompt": {}}), "prompt", ""),
        (json!({"model": "m", "prompt": [{}]}), "prompt[0]", ""),
        (json!({"model": "m", "prompt": "a", "stop": [1]}), "stop[0]", ""),
        (json!({"model": "m", "prompt": "a", "logprobs": "x"}), "logprobs", ""),
        (json!({"model": "m", "prompt": "a", "echo": 1}), "echo", ""),
    ];
    for (body, path, word) in cases {
        let bad = decode(&body).unwrap_err();
        assert_eq!(bad.path, path, "{body}");
        assert!(bad.message.contains(word), "{}", bad.message);
    }
}

fn chat() -> Value {
    json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 5, "model": "gpt", "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "Hé you", "refusal": null}, "logprobs":
            {"content": [{"token": "Hé", "logprob": -0.5, "bytes": [72, 195, 169], "top_logprobs":
                [{"token": "Hé", "logprob": -0.5}, {"token": "Ho", "logprob": -1.5}]},
            {"token": " you", "logprob": -0.25, "bytes": [], "top_logprobs": []}]}, "finish_reason": "length"}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}})
}

fn text_of(chat: &Value) -> (Value, Vec<String>) {
    let response = Wire::OpenAiChat.codec().decode_response(chat.to_string().as_bytes()).unwrap();
    let mut losses = Losses::default();
    let body = TextCompletions.encode_response(&response, &echo(), &mut losses);
    let paths = losses.as_slice().iter().map(|loss| loss.path.clone()).collect();
    (serde_json::from_slice(&body).unwrap(), paths)
}

#[test]
fn an_answer_has_the_older_shape() {
    let (body, losses) = text_of(&chat());
    assert_eq!(body["object"], "text_completion");
    assert_eq!(
        (&body["id"], &body["created"], &body["model"]),
        (&json!("chatcmpl-1"), &json!(5), &json!("alias"))
    );
    let choice = json!({"text": "Hé you", "index": 0, "finish_reason": "length", "logprobs": {
        "tokens": ["Hé", " you"], "token_logprobs": [-0.5, -0.25],
        "top_logprobs": [{"Hé": -0.5, "Ho": -1.5}, {}], "text_offset": [0, 2]}});
    assert_eq!(body["choices"], json!([choice]));
    assert_eq!(body["usage"]["total_tokens"], 12);
    assert!(losses.is_empty());
}

#[test]
fn calls_and_reasoning_are_reported_and_ids_are_made() {
    let mut body = chat();
    body["id"] = json!("");
    body["choices"][0]["message"] = json!({"role": "assistant", "content": null, "reasoning_content": "hm",
        "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]});
    body["choices"][0]["finish_reason"] = json!("tool_calls");
    let (text, losses) = text_of(&body);
    assert_eq!((&text["id"], &text["choices"][0]["text"]), (&json!("cmpl-u1"), &json!("")));
    assert_eq!(text["choices"][0]["finish_reason"], "stop");
    assert_eq!(losses, ["choices[0].reasoning_content", "choices[0].tool_calls"]);
}

#[test]
fn an_answer_read_back_is_the_same() {
    let (body, _) = text_of(&chat());
    let response = TextCompletions.decode_response(body.to_string().as_bytes()).unwrap();
    let again = TextCompletions.encode_response(&response, &echo(), &mut Losses::default());
    assert_eq!(serde_json::from_slice::<Value>(&again).unwrap(), body);
}

const ANTHROPIC: &str = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\
    \"type\":\"message\",\"role\":\"assistant\",\"model\":\"c\",\"content\":[],\"usage\":{\"input_tokens\":3,\
    \"output_tokens\":1}}}\n\nevent: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\
    \"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\nevent: content_block_delta\ndata: {\"type\":\
    \"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hé\"}}\n\nevent: \
    content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\nevent: message_delta\ndata: \
    {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":2}}\n\n\
    event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
const CHAT: &str = "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":5,\"model\":\"g\",\
    \"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\n\n\
    data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":5,\"model\":\"g\",\"choices\":[{\
    \"index\":0,\"delta\":{\"content\":\"Hé\"},\"finish_reason\":null}]}\n\ndata: {\"id\":\"c1\",\"object\":\
    \"chat.completion.chunk\",\"created\":5,\"model\":\"g\",\"choices\":[{\"index\":0,\"delta\":{},\
    \"finish_reason\":\"stop\"}]}\n\ndata: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":5,\
    \"model\":\"g\",\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2,\
    \"total_tokens\":5}}\n\ndata: [DONE]\n\n";

fn options(upstream: Wire) -> StreamPipeOptions {
    StreamPipeOptions {
        caller: Wire::OpenAiChat,
        upstream,
        echo: echo(),
        withhold_usage: false,
        hold_last: false,
    }
}

fn piped(mut pipe: StreamPipe, body: &str, size: usize) -> (String, StreamPipe) {
    let mut out = Vec::new();
    for chunk in body.as_bytes().chunks(size) {
        pipe.push(chunk, &mut out);
    }
    assert!(pipe.end(None, &mut out));
    (String::from_utf8(out).unwrap(), pipe)
}

#[test]
fn chunks_hold_text_whichever_wire_answers() {
    for (upstream, body, id) in [(Wire::Anthropic, ANTHROPIC, "msg_1"), (Wire::OpenAiChat, CHAT, "c1")] {
        let towards = |size| piped(StreamPipe::towards(options(upstream), &TextCompletions), body, size);
        let (whole, pipe) = towards(9999);
        assert_eq!(towards(1).0, whole);
        assert_eq!(pipe.usage().unwrap().output, 2);
        let data: Vec<&str> = whole.split("\n\n").filter(|block| block.starts_with("data: {")).collect();
        let chunks: Vec<Value> =
            data.iter().map(|block| serde_json::from_str(&block[6..]).unwrap()).collect();
        assert_eq!(chunks.len(), 3, "{whole}");
        assert!(chunks.iter().all(|chunk| chunk["object"] == "text_completion" && chunk["id"] == id));
        let text = json!([{"text": "Hé", "index": 0, "logprobs": null, "finish_reason": null}]);
        assert_eq!(chunks[0]["choices"], text);
        assert_eq!(
            (&chunks[1]["choices"][0]["finish_reason"], &chunks[1]["choices"][0]["text"]),
            (&json!("stop"), &json!(""))
        );
        assert_eq!((&chunks[2]["choices"], &chunks[2]["usage"]["total_tokens"]), (&json!([]), &json!(5)));
        assert!(whole.ends_with("data: [DONE]\n\n"));
    }
}

const TEXT: &str = "data: {\"id\":\"cmpl-1\",\"object\":\"text_completion\",\"created\":5,\"model\":\"g\",\
    \"choices\":[{\"text\":\"Hé\",\"index\":0,\"logprobs\":null,\"finish_reason\":null}]}\n\ndata: {\"id\":\
    \"cmpl-1\",\"object\":\"text_completion\",\"created\":5,\"model\":\"g\",\"choices\":[{\"text\":\"\",\
    \"index\":0,\"logprobs\":null,\"finish_reason\":\"length\"}],\"usage\":{\"prompt_tokens\":3,\
    \"completion_tokens\":2,\"total_tokens\":5}}\n\ndata: [DONE]\n\n";

#[test]
fn a_providers_text_chunks_are_relayed_to_the_byte_and_seen() {
    for size in [1, 7, 9999] {
        let (out, pipe) =
            piped(StreamPipe::relaying(options(Wire::OpenAiChat), &TextCompletions), TEXT, size);
        assert_eq!(out, TEXT);
        assert_eq!(pipe.usage().unwrap().output, 2);
        assert_eq!((pipe.seen().finish, pipe.seen().output_chars), (Some(FinishReason::Length), 2));
    }
}

#[test]
fn a_providers_text_chunks_become_events() {
    let mut decoder = TextCompletions.stream_decoder();
    let mut encoder = TextCompletions.stream_encoder(echo());
    let (mut events, mut out) = (Vec::new(), Vec::new());
    for block in TEXT.split_terminator("\n\n") {
        let data = block.strip_prefix("data: ").unwrap().as_bytes();
        decoder.frame(&Frame { raw: data, event: "", data }, &mut events).unwrap();
    }
    for event in &events {
        encoder.event(event, &mut out, &mut Losses::default());
    }
    let out = String::from_utf8(out).unwrap();
    assert!(out.contains("\"text\":\"Hé\"") && out.contains("\"finish_reason\":\"length\""), "{out}");
    assert!(out.contains("\"total_tokens\":5") && out.ends_with("data: [DONE]\n\n"));
}

#[test]
fn errors_are_those_of_chat() {
    let mut seen = Observation::default();
    let data = br#"{"error":{"message":"no","type":"server_error"}}"#;
    let frame = Frame { raw: data, event: "", data };
    assert_eq!(TextCompletions.observe_frame(&frame, &mut seen), FrameVerdict::Failure);
    assert!(TextCompletions.observe_response(data).is_err());
    assert!(TextCompletions.observe_response(b"{}").is_err());
    let whole = json!({"object": "text_completion", "choices": [{"text": "abc", "index": 0,
        "finish_reason": "stop"}], "usage": {"prompt_tokens": 1, "completion_tokens": 2}});
    let seen = TextCompletions.observe_response(whole.to_string().as_bytes()).unwrap();
    assert_eq!((seen.finish, seen.usage.unwrap().output), (Some(FinishReason::Stop), 2));
}

#[test]
fn a_text_goes_to_a_provider_of_text_and_a_conversation_does_not() {
    let body = json!({"model": "m", "prompt": "a", "max_tokens": 5, "logprobs": 2, "echo": true, "suffix": "z",
        "stop": ["x"], "seed": 3});
    let request = decode(&body).unwrap();
    let spec = provider::find("openai").unwrap();
    let rules = ModelRules::of(spec.name, spec.wire, "m");
    let to = Destination { quirks: &spec.quirks, rules: &rules, model: "m" };
    let mut losses = Losses::default();
    let written = TextCompletions.encode_request(&request, &to, &mut losses).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&written).unwrap(), body);
    assert!(losses.is_empty());
    let mut talk = request;
    talk.messages.push(talk.messages[0].clone());
    assert_eq!(TextCompletions.encode_request(&talk, &to, &mut losses).unwrap_err().path, "messages");
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(body in prop::collection::vec(any::<u8>(), 0..100)) {
        let _ = TextCompletions.decode_request(&body);
        let _ = TextCompletions.decode_response(&body);
        let _ = TextCompletions.observe_response(&body);
        let frame = Frame { raw: &body, event: "", data: &body };
        TextCompletions.observe_frame(&frame, &mut Observation::default());
        let _ = TextCompletions.stream_decoder().frame(&frame, &mut Vec::new());
    }

    #[test]
    fn any_text_is_a_prompt_and_an_answer(text in ".*") {
        let request = decode(&json!({"model": "m", "prompt": text})).unwrap();
        prop_assert_eq!(&request.messages[0].parts[0], &Part::text(text.clone()));
        let mut body = chat();
        body["choices"][0]["message"]["content"] = text.clone().into();
        prop_assert_eq!(&text_of(&body).0["choices"][0]["text"], &Value::from(text));
    }
}
