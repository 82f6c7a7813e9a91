//! What broke between Gemini, Responses and the other wires, each by its name. Bodies are synthetic.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::sync::Arc;

use serde_json::{Value, json};
use translate::Wire;
use translate::frame::{Frame, FrameParser, Framing};
use translate::ir::{Failure, FailureKind, Part};
use translate::loss::Losses;
use translate::provider::{self, Destination, ModelRules};
use translate::relay::{Flow, StreamPipe, StreamPipeOptions};
use translate::wire::{BadResponse, Echo};

/// A caller's request as a provider gets it.
fn request(from: Wire, (to, vendor, model): (Wire, &str, &str), body: &Value) -> (Value, Losses) {
    let decoded = from.dialect().unwrap().decode_request(body.to_string().as_bytes()).unwrap();
    let rules = ModelRules::of(vendor, to, model);
    let quirks = provider::find(vendor).unwrap().quirks_on(to).unwrap();
    let mut losses = Losses::default();
    let to_model = Destination { quirks, rules: &rules, model };
    let bytes = to.codec().encode_request(&decoded, &to_model, &mut losses).unwrap();
    (serde_json::from_slice(&bytes).unwrap(), losses)
}

fn echo() -> Echo {
    Echo { unique: "u1".into(), now: 1, model: "m".into(), stream_usage: true, request: None }
}

/// A provider's whole answer as a caller gets it.
fn answer(from: Wire, to: Wire, body: &Value) -> (Value, Losses) {
    let decoded = from.codec().decode_response(body.to_string().as_bytes()).unwrap();
    let mut losses = Losses::default();
    let bytes = to.dialect().unwrap().encode_response(&decoded, &echo(), &mut losses);
    (serde_json::from_slice(&bytes).unwrap(), losses)
}

fn pipe(upstream: Wire, caller: Wire) -> StreamPipe {
    let options =
        StreamPipeOptions { caller, upstream, echo: echo(), withhold_usage: false, hold_last: false };
    StreamPipe::new(options, caller.dialect().unwrap())
}

fn events(frames: &[Value]) -> Vec<u8> {
    frames.iter().flat_map(|frame| format!("data: {frame}\n\n").into_bytes()).collect()
}

/// The data of the frames.
fn read(bytes: &[u8]) -> Vec<Value> {
    let mut parser = FrameParser::new(Framing::Sse);
    parser.push(bytes);
    let mut list = Vec::new();
    while let Some(Frame { data, .. }) = parser.next_frame() {
        list.extend(serde_json::from_slice::<Value>(data));
    }
    list
}

fn paths(losses: &Losses) -> Vec<&str> {
    losses.as_slice().iter().map(|loss| loss.path.as_str()).collect()
}

fn said(text: &str) -> Value {
    json!({"contents": [{"role": "user", "parts": [{"text": text}]}]})
}

#[test]
fn thinking_turned_off_was_an_effort_that_the_model_refused() {
    let mut gemini = said("hi");
    gemini["generationConfig"] = json!({"thinkingConfig": {"thinkingBudget": 0}});
    let claude = json!({"model": "m", "max_tokens": 9, "thinking": {"type": "disabled"},
        "messages": [{"role": "user", "content": "hi"}]});
    for (model, effort) in [("gpt-5-mini", "minimal"), ("o3", "low"), ("gpt-5.1", "none")] {
        for (from, body) in [(Wire::Gemini, &gemini), (Wire::Anthropic, &claude)] {
            let (chat, _) = request(from, (Wire::OpenAiChat, "openai", model), body);
            assert_eq!(chat["reasoning_effort"], effort, "{model}");
            let (responses, losses) = request(from, (Wire::OpenAiResponses, "openai", model), body);
            assert_eq!(responses["reasoning"], json!({"effort": effort}), "{model}");
            assert_eq!(paths(&losses).contains(&"reasoning.effort"), effort != "none", "{losses:?}");
        }
    }
}

#[test]
fn a_json_object_asked_for_without_the_word_was_a_400() {
    let line = "Answer with one JSON object and nothing else.";
    let asked = |text: &str, system: Option<&str>| {
        let mut body = said(text);
        body["generationConfig"] = json!({"responseMimeType": "application/json"});
        if let Some(system) = system {
            body["systemInstruction"] = json!({"parts": [{"text": system}]});
        }
        body
    };
    let chat = |body| request(Wire::Gemini, (Wire::OpenAiChat, "openai", "gpt-4o"), &body);
    let responses = |body| request(Wire::Gemini, (Wire::OpenAiResponses, "openai", "gpt-4o"), &body);
    let (alone, losses) = chat(asked("List colours.", None));
    assert_eq!(alone["response_format"], json!({"type": "json_object"}));
    assert_eq!(alone["messages"][0], json!({"role": "system", "content": line}));
    assert_eq!(alone["messages"][1]["content"], "List colours.");
    assert_eq!(paths(&losses), ["response_format"]);
    let (led, _) = chat(asked("List colours.", Some("Be brief.")));
    assert_eq!(led["messages"][0]["content"], format!("Be brief.\n\n{line}"));
    assert_eq!(led["messages"].as_array().unwrap().len(), 2);
    let (spoken, losses) = chat(asked("List colours as Json.", None));
    assert_eq!(spoken["messages"].as_array().unwrap().len(), 1);
    assert!(losses.is_empty(), "{losses:?}");
    // Instructions beside the input do not count.
    let (led, _) = responses(asked("List colours.", Some("Speak JSON.")));
    assert_eq!(led["instructions"], "Speak JSON.");
    assert_eq!(led["input"][0]["role"], "system");
    assert_eq!(led["input"][0]["content"][0]["text"], line);
    let (spoken, _) = responses(asked("List colours as JSON.", None));
    assert_eq!(spoken["input"].as_array().unwrap().len(), 1);
}

#[test]
fn a_call_that_was_cut_off_was_run_by_gemini_clients() {
    let call =
        json!({"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{\"x\": \"hel"}});
    for (word, written) in [("length", "MAX_TOKENS"), ("tool_calls", "MALFORMED_FUNCTION_CALL")] {
        let whole = json!({"id": "i", "model": "m", "choices": [{"index": 0, "finish_reason": word,
            "message": {"role": "assistant", "content": "hm", "tool_calls": [call]}}]});
        let (body, losses) = answer(Wire::OpenAiChat, Wire::Gemini, &whole);
        assert_eq!(body["candidates"][0]["content"]["parts"], json!([{"text": "hm"}]));
        assert_eq!(body["candidates"][0]["finishReason"], written);
        assert_eq!(paths(&losses).len(), 1, "{losses:?}");

        let delta = json!({"index": 0, "delta": {"content": "hm", "tool_calls": [{"index": 0, "id": "c1",
            "function": {"name": "f", "arguments": "{\"x\": \"hel"}}]}, "finish_reason": null});
        let last = json!({"index": 0, "delta": {}, "finish_reason": word});
        let chunk = |choice: Value| json!({"id": "i", "model": "m", "choices": [choice]});
        let mut pipe = pipe(Wire::OpenAiChat, Wire::Gemini);
        let mut out = Vec::new();
        pipe.push(&events(&[chunk(delta), chunk(last)]), &mut out);
        assert!(pipe.end(None, &mut out));
        let text = String::from_utf8(out.clone()).unwrap();
        assert!(!text.contains("functionCall") && !text.contains("_raw"), "{text}");
        assert_eq!(read(&out).last().unwrap()["candidates"][0]["finishReason"], written);
        assert_eq!(pipe.losses().as_slice().len(), 1);
    }
}

#[test]
fn an_image_with_a_name_became_a_document() {
    let body = json!({"contents": [{"role": "user", "parts": [
        {"inlineData": {"mimeType": "image/png", "data": "aGk=", "displayName": "a.png"}},
        {"fileData": {"mimeType": "image/png", "fileUri": "https://h.example/x", "displayName": "b.png"}},
    ]}]});
    let (chat, losses) = request(Wire::Gemini, (Wire::OpenAiChat, "openai", "gpt-4o"), &body);
    let kinds: Vec<&Value> =
        chat["messages"][0]["content"].as_array().unwrap().iter().map(|p| &p["type"]).collect();
    assert_eq!(kinds, ["image_url", "image_url"]);
    assert!(paths(&losses).iter().any(|path| path.ends_with("inlineData.displayName")), "{losses:?}");
    let (claude, _) = request(Wire::Gemini, (Wire::Anthropic, "anthropic", "claude-sonnet-4-5"), &body);
    assert_eq!(claude["messages"][0]["content"][0]["type"], "image");
    let bytes = json!({"contents": [{"role": "user", "parts": [body["contents"][0]["parts"][0]]}]});
    let (back, _) = request(Wire::Gemini, (Wire::Gemini, "gemini", "gemini-2.5-flash"), &bytes);
    assert_eq!(back["contents"][0]["parts"][0]["inlineData"]["displayName"], "a.png");
}

const PICTURE: &str = "iVBORw0KGgo=";

fn drawn() -> Value {
    json!([
        {"text": "First a sketch.", "thought": true},
        {"inlineData": {"mimeType": "image/png", "data": PICTURE}, "thought": true},
        {"text": "Here.", "thoughtSignature": "sigText"},
        {"inlineData": {"mimeType": "image/png", "data": PICTURE}, "thoughtSignature": "sigImage"},
    ])
}

/// What the image model is sent when a caller of the chat dialect sends back this message.
fn sent_back(message: &Value, model: &str) -> (Value, Losses) {
    let body = json!({"model": "m", "messages": [
        {"role": "user", "content": "Draw."}, message, {"role": "user", "content": "Larger."}]});
    let (body, losses) = request(Wire::OpenAiChat, (Wire::Gemini, "gemini", model), &body);
    (body["contents"][1]["parts"].clone(), losses)
}

#[test]
fn a_signed_image_was_dropped_from_streams_and_lost_on_the_way_back() {
    let candidate =
        json!({"index": 0, "finishReason": "STOP", "content": {"role": "model", "parts": drawn()}});
    let body = json!({"responseId": "i", "modelVersion": "m", "candidates": [candidate]});
    let (whole, _) = answer(Wire::Gemini, Wire::OpenAiChat, &body);
    let mut pipe = pipe(Wire::Gemini, Wire::OpenAiChat);
    let mut out = Vec::new();
    pipe.push(&events(&[body]), &mut out);
    assert!(pipe.end(None, &mut out));
    let mut streamed = json!({"role": "assistant", "content": "", "images": [], "reasoning_details": []});
    for event in read(&out) {
        let delta = &event["choices"][0]["delta"];
        let text = format!(
            "{}{}",
            streamed["content"].as_str().unwrap(),
            delta["content"].as_str().unwrap_or_default()
        );
        streamed["content"] = text.into();
        for list in ["images", "reasoning_details"] {
            let more = delta[list].as_array().cloned().unwrap_or_default();
            streamed[list].as_array_mut().unwrap().extend(more);
        }
    }
    for message in [&whole["choices"][0]["message"], &streamed] {
        assert_eq!(message["images"].as_array().unwrap().len(), 1, "{message}");
        let (parts, _) = sent_back(message, "gemini-3-pro-image-preview");
        let of = |key: &str| {
            parts
                .as_array()
                .unwrap()
                .iter()
                .find(|part| part.get(key).is_some() && part["thought"].is_null())
                .unwrap()
        };
        assert_eq!(of("inlineData")["thoughtSignature"], "sigImage", "{parts}");
        assert_eq!(of("inlineData")["inlineData"]["data"], PICTURE);
        assert_eq!(of("text"), &json!({"text": "Here.", "thoughtSignature": "sigText"}), "{parts}");
    }
}

#[test]
fn an_image_of_the_models_without_a_signature_was_refused_by_the_third_generation() {
    let url = format!("data:image/png;base64,{PICTURE}");
    let message = json!({"role": "assistant", "content": "Here.", "images": [
        {"type": "image_url", "image_url": {"url": url}}]});
    let (parts, losses) = sent_back(&message, "gemini-3-pro-image-preview");
    assert_eq!(parts[1]["thoughtSignature"], "skip_thought_signature_validator", "{parts}");
    assert_eq!(paths(&losses), ["messages"]);
    let (parts, _) = sent_back(&message, "gemini-2.5-flash-image");
    assert!(parts[1].get("thoughtSignature").is_none(), "{parts}");
    // Other providers take no image from a model: the text goes on, the image is told of.
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "Draw."}, message,
        {"role": "user", "content": "Larger."}]});
    for (wire, vendor, model) in [
        (Wire::Anthropic, "anthropic", "claude-sonnet-4-5"),
        (Wire::BedrockConverse, "bedrock", "amazon.nova-pro-v1:0"),
        (Wire::Cohere, "cohere", "command-a-03-2025"),
        (Wire::OpenAiResponses, "openai", "gpt-4o"),
        (Wire::OpenAiChat, "groq", "m"),
    ] {
        let (sent, losses) = request(Wire::OpenAiChat, (wire, vendor, model), &body);
        assert!(!sent.to_string().contains(PICTURE), "{sent}");
        assert_eq!(paths(&losses), ["messages[1].content[1]"], "{wire:?}");
    }
}

#[test]
fn a_signature_without_a_call_went_onto_the_text() {
    let message = json!({"role": "assistant", "content": "Let me look.",
        "reasoning_details": [{"type": "reasoning.encrypted", "data": "G1", "format": "google-gemini-v1", "index": 0}],
        "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}},
            {"id": "c2", "type": "function", "function": {"name": "f", "arguments": "{}"}}]});
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}, message,
        {"role": "tool", "tool_call_id": "c1", "content": "1"}, {"role": "tool", "tool_call_id": "c2", "content": "2"}]});
    let (sent, losses) = request(Wire::OpenAiChat, (Wire::Gemini, "gemini", "gemini-3-flash-preview"), &body);
    let parts = &sent["contents"][1]["parts"];
    assert_eq!(parts[0], json!({"text": "Let me look."}));
    assert_eq!(parts[1]["thoughtSignature"], "G1", "{parts}");
    assert!(parts[2].get("thoughtSignature").is_none());
    assert!(losses.is_empty(), "{losses:?}");
}

#[test]
fn an_answer_without_an_end_was_given_one() {
    let whole = |finish: Value| {
        let mut body = json!({"candidates": [{"index": 0, "content": {"parts": [{"text": "so"}]}}]});
        if !finish.is_null() {
            body["candidates"][0]["finishReason"] = finish;
        }
        body.to_string().into_bytes()
    };
    let codec = Wire::Gemini.codec();
    let cut = codec.decode_response(&whole(Value::Null));
    assert!(matches!(cut, Err(BadResponse::WrongShape(_))), "{cut:?}");
    let broken = codec.decode_response(&whole("MALFORMED_FUNCTION_CALL".into())).unwrap();
    let failure = broken.failure().unwrap();
    assert_eq!((failure.status, failure.kind), (502, FailureKind::Upstream));
    assert!(failure.message.contains("MALFORMED_FUNCTION_CALL"));
    assert_eq!(codec.decode_response(&whole("STOP".into())).unwrap().failure(), None);
    for caller in
        [Wire::Anthropic, Wire::OpenAiChat, Wire::OpenAiResponses, Wire::Cohere, Wire::BedrockConverse]
    {
        let mut pipe = pipe(Wire::Gemini, caller);
        let mut out = Vec::new();
        let chunk: Value = serde_json::from_slice(&whole("MALFORMED_FUNCTION_CALL".into())).unwrap();
        assert_eq!(pipe.push(&events(&[chunk]), &mut out), Flow::Continue);
        assert!(!pipe.end(None, &mut out), "{caller:?}");
        assert_eq!(pipe.seen().failure.as_ref().unwrap().status, 502);
    }
}

#[test]
fn a_relayed_stream_that_was_cut_ended_as_another_answer() {
    let head = json!({"id": "resp_1", "object": "response", "created_at": 1_700_000_000, "model": "gpt-5",
        "status": "in_progress", "output": []});
    let frames = [
        json!({"type": "response.created", "sequence_number": 0, "response": head}),
        json!({"type": "response.in_progress", "sequence_number": 1, "response": head}),
        json!({"type": "response.output_text.delta", "sequence_number": 2, "item_id": "msg_1", "output_index": 0,
            "content_index": 0, "delta": "so"}),
    ];
    let mut pipe = pipe(Wire::OpenAiResponses, Wire::OpenAiResponses);
    let mut out = Vec::new();
    pipe.push(&events(&frames), &mut out);
    assert!(!pipe.end(None, &mut out));
    let failure = Failure {
        status: 502,
        kind: FailureKind::Upstream,
        message: "cut".into(),
        native_type: None,
        code: None,
        param: None,
    };
    pipe.fail(&failure, "request-1", &mut out);
    let ends = read(&out).split_off(frames.len());
    let numbers: Vec<&Value> = ends.iter().map(|event| &event["sequence_number"]).collect();
    assert_eq!(numbers, [3, 4], "{ends:?}");
    let response = &ends[1]["response"];
    assert_eq!((&response["id"], &response["model"]), (&json!("resp_1"), &json!("gpt-5")));
    assert_eq!((&response["created_at"], &response["status"]), (&json!(1_700_000_000), &json!("failed")));
}

#[test]
fn models_of_responses_alone_are_served_there_and_no_others() {
    for vendor in ["openai", "azure"] {
        let row = provider::find(vendor).unwrap();
        let only = |model: &str| {
            let mut services = row.services.iter().filter(|service| !service.exact);
            services.any(|service| service.wire == Wire::OpenAiResponses && service.serves(model))
        };
        for model in [
            "gpt-5-codex",
            "gpt-5.1-codex-max",
            "gpt-5-pro",
            "gpt-5-pro-2025-10-06",
            "gpt-5.2-pro",
            "o1-pro",
            "o3-pro-2025-06-10",
            "o4-mini-deep-research",
            "codex-mini-latest",
            "computer-use-preview",
        ] {
            assert!(only(model), "{model}");
        }
        for model in
            ["gpt-5", "gpt-5.1", "o3", "gpt-4o", "gpt-5-prod", "my-codex", "gpt-4o-prod", "gpt-5-preview"]
        {
            assert!(!only(model), "{model}");
        }
    }
}

#[test]
fn a_free_text_call_that_was_cut_became_its_own_arguments() {
    let body = json!({"model": "m", "input": "Patch.", "tools": [{"type": "custom", "name": "apply_patch"}]});
    let codec = Wire::OpenAiResponses.dialect().unwrap();
    let request = codec.decode_request(body.to_string().as_bytes()).unwrap();
    assert_eq!(request.tools.len(), 1);
    let whole = json!({"id": "i", "model": "m", "choices": [{"index": 0, "finish_reason": "length",
        "message": {"role": "assistant", "content": null, "tool_calls": [{"id": "c1", "type": "function",
            "function": {"name": "apply_patch", "arguments": "{\"input\":\"*** Begin\\n+a"}}]}}]});
    let decoded = Wire::OpenAiChat.codec().decode_response(whole.to_string().as_bytes()).unwrap();
    assert!(matches!(decoded.choices[0].parts[..], [Part::ToolCall(_)]));
    let asked = translate::wire::openai_responses::echo_of(body.to_string().as_bytes());
    let echo = Echo { request: Some(Arc::new(asked)), ..echo() };
    let bytes = codec.encode_response(&decoded, &echo, &mut Losses::default());
    let written: Value = serde_json::from_slice(&bytes).unwrap();
    let item = &written["output"][0];
    assert_eq!(item["input"], "*** Begin\n+a", "{written}");
    assert_eq!((&item["status"], &written["status"]), (&json!("incomplete"), &json!("incomplete")));
}
