//! The canned answers, in the two wire shapes. Both whole answers are about 770 bytes so that figures
//! of the two wires can be compared.

use crate::stamp::stamped;

/// Text found in every whole answer; the client counts an answer without it as failed.
pub const MARKER: &str = "bench-marker-7f3a91";

const TEXT: &str = "bench-marker-7f3a91 A reverse proxy accepts a request, decides where it belongs, \
sends it there and hands the answer back. The interesting part is what it costs to do so: every copy, every \
system call and every wake-up is paid for each request, by everyone.";

/// The wire of an answer, told by the request's path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// OpenAI chat completions.
    OpenAi,
    /// Anthropic messages.
    Anthropic,
}

/// A whole answer with its head, ready to be written.
pub fn whole(wire: Wire) -> Vec<u8> {
    let body = match wire {
        Wire::OpenAi => format!(
            r#"{{"id":"chatcmpl-bench0123456789abcdefghijkl","object":"chat.completion","created":1760000000,"model":"gpt-4o-mini-2024-07-18","choices":[{{"index":0,"message":{{"role":"assistant","content":"{TEXT}","refusal":null,"annotations":[]}},"logprobs":null,"finish_reason":"stop"}}],"usage":{{"prompt_tokens":61,"completion_tokens":57,"total_tokens":118,"prompt_tokens_details":{{"cached_tokens":0,"audio_tokens":0}},"completion_tokens_details":{{"reasoning_tokens":0,"audio_tokens":0}}}},"service_tier":"default","system_fingerprint":"fp_bench00"}}"#
        ),
        Wire::Anthropic => format!(
            r#"{{"id":"msg_bench0123456789abcdefghijkl","type":"message","role":"assistant","model":"claude-sonnet-4-20250514","content":[{{"type":"text","text":"{TEXT} Then the next one comes, the sum begins anew, and nobody is any the wiser about the first one."}}],"stop_reason":"end_turn","stop_sequence":null,"usage":{{"input_tokens":61,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"cache_creation":{{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0}},"output_tokens":57,"service_tier":"standard"}}}}"#
        ),
    };
    let request_id = match wire {
        Wire::OpenAi => "x-request-id: req_bench0123456789",
        Wire::Anthropic => "request-id: req_bench0123456789",
    };
    response("200 OK", request_id, &body)
}

/// The answer to GET /health.
pub fn health() -> Vec<u8> {
    response("200 OK", "x-request-id: health", r#"{"status":"ok"}"#)
}

/// The answer to anything the mock does not serve.
pub fn not_found() -> Vec<u8> {
    response(
        "404 Not Found",
        "x-request-id: none",
        r#"{"error":{"message":"no such path","type":"not_found"}}"#,
    )
}

/// The head of a stream and the frames before its first content.
pub fn stream_start(wire: Wire) -> Vec<u8> {
    let mut bytes = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\n\
          transfer-encoding: chunked\r\n\r\n"
        .to_vec();
    match wire {
        Wire::OpenAi => push(&mut bytes, &openai(r#"{"role":"assistant","content":""}"#, "null")),
        Wire::Anthropic => {
            push(
                &mut bytes,
                "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_bench\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"claude-sonnet-4-20250514\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":61,\"output_tokens\":1}}}\n\n",
            );
            push(
                &mut bytes,
                "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
            );
        }
    }
    bytes
}

/// One content chunk carrying the time `nanos`.
pub fn stream_chunk(wire: Wire, nanos: u64) -> Vec<u8> {
    let text = stamped(nanos);
    let frame = match wire {
        Wire::OpenAi => openai(&format!(r#"{{"content":"{text}"}}"#), "null"),
        Wire::Anthropic => format!(
            "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{{\"type\":\"text_delta\",\"text\":\"{text}\"}}}}\n\n"
        ),
    };
    let mut bytes = Vec::with_capacity(frame.len() + 12);
    push(&mut bytes, &frame);
    bytes
}

/// The frames after the last content, and the end of the chunked body. OpenAI sends usage only to
/// those who asked for it.
pub fn stream_end(wire: Wire, chunks: u64, usage_asked: bool) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1024);
    match wire {
        Wire::OpenAi => {
            push(&mut bytes, &openai("{}", "\"stop\""));
            if usage_asked {
                push(
                    &mut bytes,
                    &format!(
                        "data: {{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1760000000,\"model\":\"gpt-4o-mini-2024-07-18\",\"choices\":[],\"usage\":{{\"prompt_tokens\":61,\"completion_tokens\":{chunks},\"total_tokens\":{}}}}}\n\n",
                        chunks + 61
                    ),
                );
            }
            push(&mut bytes, "data: [DONE]\n\n");
        }
        Wire::Anthropic => {
            push(
                &mut bytes,
                "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
            );
            push(
                &mut bytes,
                &format!(
                    "event: message_delta\ndata: {{\"type\":\"message_delta\",\"delta\":{{\"stop_reason\":\"end_turn\",\"stop_sequence\":null}},\"usage\":{{\"output_tokens\":{chunks}}}}}\n\n"
                ),
            );
            push(&mut bytes, "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
        }
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
    bytes
}

fn openai(delta: &str, finish_reason: &str) -> String {
    format!(
        "data: {{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1760000000,\"model\":\"gpt-4o-mini-2024-07-18\",\"system_fingerprint\":\"fp_bench00\",\"choices\":[{{\"index\":0,\"delta\":{delta},\"logprobs\":null,\"finish_reason\":{finish_reason}}}]}}\n\n"
    )
}

fn push(bytes: &mut Vec<u8>, frame: &str) {
    bytes.extend_from_slice(format!("{:x}\r\n{frame}\r\n", frame.len()).as_bytes());
}

fn response(status: &str, extra: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n{extra}\r\n\r\n{body}")
        .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::{MARKER, Wire, stream_chunk, stream_end, stream_start, whole};
    use crate::chunked::ChunkedReader;
    use crate::head;

    #[test]
    fn whole_answers_are_valid_json_of_about_770_bytes_with_the_marker() {
        for wire in [Wire::OpenAi, Wire::Anthropic] {
            let bytes = whole(wire);
            let body = &bytes[head::read(&bytes).unwrap().unwrap().length..];
            assert!((740..=800).contains(&body.len()), "{wire:?}: {}", body.len());
            assert!(serde_json::from_slice::<serde_json::Value>(body).unwrap()["usage"].is_object());
            assert!(String::from_utf8_lossy(body).contains(MARKER));
        }
    }

    #[test]
    fn every_frame_of_a_stream_is_valid_json() {
        for wire in [Wire::OpenAi, Wire::Anthropic] {
            let start = stream_start(wire);
            let mut raw = start[head::read(&start).unwrap().unwrap().length..].to_vec();
            raw.extend(stream_chunk(wire, 7));
            raw.extend(stream_end(wire, 1, true));
            let (mut reader, mut body) = (ChunkedReader::default(), Vec::new());
            reader.feed(&raw, &mut body).unwrap();
            assert!(reader.is_done());
            let text = String::from_utf8(body).unwrap();
            let frames = text.lines().filter_map(|line| line.strip_prefix("data: "));
            let bad = frames.filter(|line| serde_json::from_str::<serde_json::Value>(line).is_err());
            let expected: &[&str] = if wire == Wire::OpenAi { &["[DONE]"] } else { &[] };
            assert_eq!(bad.collect::<Vec<_>>(), expected);
        }
    }
}
