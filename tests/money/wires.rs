//! How callers ask and providers answer on each wire, in the vendors' documented shapes, with every kind of token that
//! the wire can tell.

use serde_json::{Value, json};

use crate::bill::Counts;
use crate::support::answers::{chunk, end, head, raw_answer};
use crate::support::client::Request;
use crate::support::upstream::{Act, Hit, Script};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speech {
    Chat,
    Responses,
    Anthropic,
    Gemini,
    Bedrock,
    Cohere,
}

pub const ALL: [Speech; 6] =
    [Speech::Chat, Speech::Responses, Speech::Anthropic, Speech::Gemini, Speech::Bedrock, Speech::Cohere];

/// What a healthy answer says, word by word.
pub const WORDS: [&str; 4] = ["Money", " is", " counted", " twice."];

impl Speech {
    /// The wire of a request as a provider sees it.
    pub fn of(path: &str) -> Self {
        match path {
            path if path.contains("/messages") => Self::Anthropic,
            path if path.contains("/responses") => Self::Responses,
            path if path.contains("enerateContent") => Self::Gemini,
            path if path.contains("/converse") => Self::Bedrock,
            path if path.contains("/v2/chat") => Self::Cohere,
            _ => Self::Chat,
        }
    }

    /// The provider's name in these tests, and its type.
    pub fn provider(self) -> (&'static str, &'static str) {
        match self {
            Self::Chat | Self::Responses => ("house-oa", "openai"),
            Self::Anthropic => ("house-an", "anthropic"),
            Self::Gemini => ("house-ge", "gemini"),
            Self::Bedrock => ("house-be", "bedrock"),
            Self::Cohere => ("house-co", "cohere"),
        }
    }

    /// A caller's request for `provider/model`.
    pub fn request(self, model: &str, stream: bool) -> Request {
        let turns = json!([{"role": "user", "content": "How is money counted?"}]);
        let encoded = model.replace('/', "%2F");
        match self {
            Self::Chat => Request::json(
                "/v1/chat/completions",
                &json!({"model": model, "messages": turns, "stream": stream, "max_tokens": 2000}),
            ),
            Self::Responses => Request::json(
                "/v1/responses",
                &json!({"model": model, "input": "How is money counted?", "stream": stream, "max_output_tokens": 2000}),
            ),
            Self::Anthropic => Request::json(
                "/v1/messages",
                &json!({"model": model, "messages": turns, "stream": stream, "max_tokens": 2000}),
            ),
            Self::Gemini => {
                let verb = if stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
                Request::json(
                    &format!("/genai/v1beta/models/{encoded}:{verb}"),
                    &json!({"contents": [{"role": "user", "parts": [{"text": "How is money counted?"}]}],
                        "generationConfig": {"maxOutputTokens": 2000}}),
                )
            }
            Self::Bedrock => {
                let verb = if stream { "converse-stream" } else { "converse" };
                Request::json(
                    &format!("/bedrock/model/{encoded}/{verb}"),
                    &json!({"messages": [{"role": "user", "content": [{"text": "How is money counted?"}]}],
                        "inferenceConfig": {"maxTokens": 2000}}),
                )
            }
            Self::Cohere => Request::json(
                "/v2/chat",
                &json!({"model": model, "messages": turns, "stream": stream, "max_tokens": 2000}),
            ),
        }
    }

    /// What of the counts this wire has kinds for; the rest is not billed.
    pub fn tells(self, counts: Counts) -> Counts {
        match self {
            Self::Chat | Self::Responses | Self::Gemini => {
                Counts { cache_write: 0, cache_write_1h: 0, ..counts }
            }
            Self::Anthropic | Self::Bedrock => Counts { reasoning: 0, ..counts },
            Self::Cohere => Counts::plain(counts.input, counts.output),
        }
    }
}

/// The request wants a stream.
pub fn streams(hit: &Hit) -> bool {
    match Speech::of(&hit.path) {
        Speech::Gemini => hit.path.contains(":stream"),
        Speech::Bedrock => hit.path.contains("converse-stream"),
        _ => hit.json["stream"] == true,
    }
}

/// A healthy answer.
pub fn answer(hit: &Hit, counts: Counts) -> Script {
    let speech = Speech::of(&hit.path);
    if !streams(hit) {
        return raw_answer(200, "application/json", &[], whole(speech, counts).to_string().as_bytes());
    }
    let mut script = vec![begin(speech)];
    script.extend(frames(speech, counts).iter().map(chunk));
    script.push(end());
    script
}

/// The head of a stream.
pub fn begin(speech: Speech) -> Act {
    let kind = match speech {
        Speech::Bedrock => "application/vnd.amazon.eventstream",
        _ => "text/event-stream",
    };
    Act::Send(head(200, &[("content-type", kind), ("transfer-encoding", "chunked")]))
}

/// How many frames of a stream have said the first two words.
pub fn after_two_words(speech: Speech) -> usize {
    match speech {
        Speech::Chat => 3,
        Speech::Responses => 5,
        Speech::Anthropic | Speech::Cohere => 4,
        Speech::Gemini => 2,
        Speech::Bedrock => 3,
    }
}

/// The `usage` of the wire.
fn usage(speech: Speech, counts: Counts) -> Value {
    let told = speech.tells(counts);
    let (input, output) = (told.input_total(), told.output_total());
    match speech {
        Speech::Chat => json!({
            "prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output,
            "prompt_tokens_details": {"cached_tokens": told.cache_read, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": told.reasoning, "audio_tokens": 0,
                "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0},
        }),
        Speech::Responses => json!({
            "input_tokens": input, "input_tokens_details": {"cached_tokens": told.cache_read},
            "output_tokens": output, "output_tokens_details": {"reasoning_tokens": told.reasoning},
            "total_tokens": input + output,
        }),
        Speech::Anthropic => json!({
            "input_tokens": told.input, "cache_read_input_tokens": told.cache_read,
            "cache_creation_input_tokens": told.cache_write + told.cache_write_1h,
            "cache_creation": {"ephemeral_5m_input_tokens": told.cache_write,
                "ephemeral_1h_input_tokens": told.cache_write_1h},
            "output_tokens": output, "service_tier": "standard",
        }),
        Speech::Gemini => json!({
            "promptTokenCount": input, "cachedContentTokenCount": told.cache_read,
            "candidatesTokenCount": told.output, "thoughtsTokenCount": told.reasoning,
            "totalTokenCount": input + output,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": input}],
        }),
        Speech::Bedrock => json!({
            "inputTokens": told.input, "outputTokens": output, "totalTokens": input + output,
            "cacheReadInputTokens": told.cache_read,
            "cacheWriteInputTokens": told.cache_write + told.cache_write_1h,
            "cacheDetails": [{"ttl": "1h", "inputTokens": told.cache_write_1h},
                {"ttl": "5m", "inputTokens": told.cache_write}],
        }),
        // The model sees more than is paid for.
        Speech::Cohere => json!({
            "billed_units": {"input_tokens": input, "output_tokens": output},
            "tokens": {"input_tokens": input + 500, "output_tokens": output + 3},
        }),
    }
}

/// A whole answer's body.
pub fn whole(speech: Speech, counts: Counts) -> Value {
    let (text, usage) = (WORDS.concat(), usage(speech, counts));
    match speech {
        Speech::Chat => json!({
            "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": text, "refusal": null},
                "logprobs": null, "finish_reason": "stop"}],
            "usage": usage,
        }),
        Speech::Responses => response("completed", &text, &usage),
        Speech::Anthropic => json!({
            "id": "msg_1", "type": "message", "role": "assistant", "model": "m",
            "content": [{"type": "text", "text": text}], "stop_reason": "end_turn", "stop_sequence": null,
            "usage": usage,
        }),
        Speech::Gemini => json!({
            "candidates": [{"content": {"role": "model", "parts": [{"text": text}]}, "finishReason": "STOP", "index": 0}],
            "usageMetadata": usage, "modelVersion": "m", "responseId": "r1",
        }),
        Speech::Bedrock => json!({
            "output": {"message": {"role": "assistant", "content": [{"text": text}]}},
            "stopReason": "end_turn", "usage": usage, "metrics": {"latencyMs": 1},
        }),
        Speech::Cohere => json!({
            "id": "c1", "finish_reason": "COMPLETE",
            "message": {"role": "assistant", "content": [{"type": "text", "text": text}]}, "usage": usage,
        }),
    }
}

fn response(status: &str, text: &str, usage: &Value) -> Value {
    let output = match text {
        "" => json!([]),
        _ => json!([{"id": "msg_1", "type": "message", "status": "completed", "role": "assistant",
            "content": [{"type": "output_text", "annotations": [], "logprobs": [], "text": text}]}]),
    };
    json!({"id": "resp_1", "object": "response", "created_at": 1, "status": status, "background": false,
        "error": null, "incomplete_details": null, "instructions": null, "max_output_tokens": null, "model": "m",
        "output": output, "parallel_tool_calls": true, "previous_response_id": null, "store": false,
        "temperature": 1.0, "text": {"format": {"type": "text"}}, "tool_choice": "auto", "tools": [], "top_p": 1.0,
        "truncation": "disabled", "usage": usage, "user": null, "metadata": {}})
}

/// The frames of a healthy stream.
pub fn frames(speech: Speech, counts: Counts) -> Vec<Vec<u8>> {
    match speech {
        Speech::Chat => chat(counts),
        Speech::Responses => responses(counts),
        Speech::Anthropic => anthropic(counts),
        Speech::Gemini => gemini(counts),
        Speech::Bedrock => bedrock(counts),
        Speech::Cohere => cohere(counts),
    }
}

fn data(body: &Value) -> Vec<u8> {
    format!("data: {body}\n\n").into_bytes()
}

fn event(body: &Value) -> Vec<u8> {
    format!("event: {}\ndata: {body}\n\n", body["type"].as_str().unwrap()).into_bytes()
}

fn chat(counts: Counts) -> Vec<Vec<u8>> {
    let piece = |delta: Value, finish: Value| {
        data(&json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m",
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], "usage": null}))
    };
    let mut all = vec![piece(json!({"role": "assistant", "content": ""}), Value::Null)];
    all.extend(WORDS.iter().map(|word| piece(json!({"content": word}), Value::Null)));
    all.push(piece(json!({}), json!("stop")));
    all.push(data(
        &json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m",
        "choices": [], "usage": usage(Speech::Chat, counts)}),
    ));
    all.push(b"data: [DONE]\n\n".to_vec());
    all
}

fn responses(counts: Counts) -> Vec<Vec<u8>> {
    let mut number = 0;
    let mut next = |mut body: Value| {
        body["sequence_number"] = json!(number);
        number += 1;
        event(&body)
    };
    let text = WORDS.concat();
    let place = json!({"item_id": "msg_1", "output_index": 0, "content_index": 0});
    let placed = |mut body: Value| {
        for (name, value) in place.as_object().unwrap() {
            body[name] = value.clone();
        }
        body
    };
    let part = |text: &str| json!({"type": "output_text", "annotations": [], "logprobs": [], "text": text});
    let item = |status: &str, content: Value| json!({"id": "msg_1", "type": "message", "status": status, "role": "assistant", "content": content});
    let mut all = vec![
        next(json!({"type": "response.created", "response": response("in_progress", "", &Value::Null)})),
        next(
            json!({"type": "response.output_item.added", "output_index": 0, "item": item("in_progress", json!([]))}),
        ),
        next(placed(json!({"type": "response.content_part.added", "part": part("")}))),
    ];
    for word in WORDS {
        all.push(next(placed(json!({"type": "response.output_text.delta", "delta": word, "logprobs": []}))));
    }
    all.push(next(placed(json!({"type": "response.output_text.done", "text": text, "logprobs": []}))));
    all.push(next(placed(json!({"type": "response.content_part.done", "part": part(&text)}))));
    all.push(next(json!({"type": "response.output_item.done", "output_index": 0,
        "item": item("completed", json!([part(&text)]))})));
    let usage = usage(Speech::Responses, counts);
    all.push(next(json!({"type": "response.completed", "response": response("completed", &text, &usage)})));
    all
}

fn anthropic(counts: Counts) -> Vec<Vec<u8>> {
    let usage = usage(Speech::Anthropic, counts);
    let mut first = usage.clone();
    first["output_tokens"] = json!(1);
    let mut all = vec![
        event(
            &json!({"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant",
            "model": "m", "content": [], "stop_reason": null, "stop_sequence": null, "usage": first}}),
        ),
        event(
            &json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        ),
    ];
    all.extend(WORDS.iter().map(|word| {
        event(&json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}}))
    }));
    all.push(event(&json!({"type": "content_block_stop", "index": 0})));
    // As documented: the counts here are cumulative, input and caches are told again.
    let last = json!({"input_tokens": usage["input_tokens"], "output_tokens": usage["output_tokens"],
        "cache_creation_input_tokens": usage["cache_creation_input_tokens"],
        "cache_read_input_tokens": usage["cache_read_input_tokens"]});
    all.push(event(&json!({"type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": null}, "usage": last})));
    all.push(event(&json!({"type": "message_stop"})));
    all
}

fn gemini(counts: Counts) -> Vec<Vec<u8>> {
    let last = usage(Speech::Gemini, counts);
    let early = json!({"promptTokenCount": last["promptTokenCount"], "totalTokenCount": last["promptTokenCount"],
        "cachedContentTokenCount": last["cachedContentTokenCount"]});
    let end = WORDS.len() - 1;
    let piece = |(at, word): (usize, &&str)| {
        let mut candidate = json!({"content": {"role": "model", "parts": [{"text": word}]}, "index": 0});
        if at == end {
            candidate["finishReason"] = json!("STOP");
        }
        let usage = if at == end { &last } else { &early };
        data(
            &json!({"candidates": [candidate], "usageMetadata": usage, "modelVersion": "m", "responseId": "r1"}),
        )
    };
    WORDS.iter().enumerate().map(piece).collect()
}

fn bedrock(counts: Counts) -> Vec<Vec<u8>> {
    let mut all = vec![message("messageStart", &json!({"p": "abc", "role": "assistant"}))];
    all.extend(WORDS.iter().map(|word| {
        message("contentBlockDelta", &json!({"contentBlockIndex": 0, "delta": {"text": word}, "p": "a"}))
    }));
    all.push(message("contentBlockStop", &json!({"contentBlockIndex": 0, "p": "ab"})));
    all.push(message("messageStop", &json!({"p": "abcd", "stopReason": "end_turn"})));
    let usage = usage(Speech::Bedrock, counts);
    all.push(message("metadata", &json!({"metrics": {"latencyMs": 5}, "p": "ab", "usage": usage})));
    all
}

fn cohere(counts: Counts) -> Vec<Vec<u8>> {
    let mut all = vec![
        event(&json!({"id": "c1", "type": "message-start", "delta": {"message": {"role": "assistant",
            "content": [], "tool_plan": "", "tool_calls": [], "citations": []}}})),
        event(&json!({"type": "content-start", "index": 0,
            "delta": {"message": {"content": {"type": "text", "text": ""}}}})),
    ];
    all.extend(WORDS.iter().map(|word| {
        event(
            &json!({"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": word}}}}),
        )
    }));
    all.push(event(&json!({"type": "content-end", "index": 0})));
    all.push(event(&json!({"type": "message-end",
        "delta": {"finish_reason": "COMPLETE", "usage": usage(Speech::Cohere, counts)}})));
    all.push(b"data: [DONE]\n\n".to_vec());
    all
}

/// One message of `application/vnd.amazon.eventstream`.
fn message(kind: &str, body: &Value) -> Vec<u8> {
    let body = body.to_string();
    let mut headers = Vec::new();
    for (name, value) in
        [(":event-type", kind), (":content-type", "application/json"), (":message-type", "event")]
    {
        headers.push(u8::try_from(name.len()).unwrap());
        headers.extend(name.bytes());
        headers.push(7);
        headers.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
        headers.extend(value.bytes());
    }
    let length = |bytes: usize| u32::try_from(bytes).unwrap().to_be_bytes();
    let mut out = Vec::new();
    out.extend(length(16 + headers.len() + body.len()));
    out.extend(length(headers.len()));
    out.extend(crc32(&out).to_be_bytes());
    out.extend(headers);
    out.extend(body.bytes());
    out.extend(crc32(&out).to_be_bytes());
    out
}

fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg()))
    };
    !bytes.iter().fold(!0, step)
}
