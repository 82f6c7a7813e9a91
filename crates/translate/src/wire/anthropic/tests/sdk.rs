//! The rules by which the official SDKs put a stream together, as a small state machine. It refuses
//! what they throw at, and what they would silently drop.

use serde_json::{Value, json};

/// One frame as an SSE client sees it.
pub(super) fn frames(stream: &str) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for block in stream.split("\n\n").filter(|block| !block.is_empty()) {
        let (name, data) = block.split_once('\n').expect("an event line and a data line");
        let name = name.strip_prefix("event: ").expect("event first");
        let data = data.strip_prefix("data: ").expect("one data line");
        found.push((name.to_owned(), serde_json::from_str(data).expect("JSON data")));
    }
    found
}

/// The message a client ends up with, or why it would have thrown.
pub(super) fn accumulate(stream: &str) -> Result<Value, String> {
    let mut message: Option<Value> = None;
    let mut open: Option<String> = None;
    let mut finished = false;
    let mut stopped = false;
    for (name, frame) in frames(stream) {
        if frame["type"] != name.as_str() {
            return Err(format!("event {name} carries type {}", frame["type"]));
        }
        if stopped {
            return Err(format!("{name} after message_stop"));
        }
        match name.as_str() {
            "ping" => continue,
            "error" => return Err(format!("error event: {}", frame["error"]["type"])),
            "message_start" => {
                if message.is_some() {
                    return Err("message_start twice".to_owned());
                }
                message = Some(frame["message"].clone());
                continue;
            }
            _ => {}
        }
        let current = message.as_mut().ok_or_else(|| format!("{name} before message_start"))?;
        if finished && name != "message_stop" {
            return Err(format!("{name} after message_delta"));
        }
        match name.as_str() {
            "content_block_start" => block_start(current, &frame, &mut open)?,
            "content_block_delta" => {
                let json = open.as_mut().ok_or("a delta while no block is open")?;
                block_delta(current, &frame, json)?;
            }
            "content_block_stop" => block_stop(current, &frame, &mut open)?,
            "message_delta" => {
                if open.is_some() {
                    return Err("message_delta while a block is open".to_owned());
                }
                finished = true;
                current["stop_reason"] = frame["delta"]["stop_reason"].clone();
                current["stop_sequence"] = frame["delta"]["stop_sequence"].clone();
                current["usage"] = frame["usage"].clone();
                if !frame["usage"]["output_tokens"].is_u64() {
                    return Err("message_delta without output_tokens".to_owned());
                }
            }
            "message_stop" if finished => stopped = true,
            "message_stop" => return Err("message_stop before message_delta".to_owned()),
            other => return Err(format!("unknown event {other}")),
        }
    }
    if stopped { message.ok_or_else(|| "no message".to_owned()) } else { Err("no message_stop".to_owned()) }
}

fn content(message: &mut Value) -> &mut Vec<Value> {
    message["content"].as_array_mut().expect("content is an array")
}

fn block_start(message: &mut Value, frame: &Value, open: &mut Option<String>) -> Result<(), String> {
    if open.is_some() {
        return Err("a block starts while another is open".to_owned());
    }
    let blocks = content(message);
    if frame["index"] != json!(blocks.len()) {
        return Err(format!("block index {} where {} comes next", frame["index"], blocks.len()));
    }
    blocks.push(frame["content_block"].clone());
    *open = Some(String::new());
    Ok(())
}

fn block_delta(message: &mut Value, frame: &Value, json: &mut String) -> Result<(), String> {
    let blocks = content(message);
    if frame["index"] != json!(blocks.len() - 1) {
        return Err("a delta for a block that is not the open one".to_owned());
    }
    let block = blocks.last_mut().unwrap();
    let delta = &frame["delta"];
    let kind = block["type"].as_str().unwrap_or_default().to_owned();
    let append = |block: &mut Value, field: &str| {
        let more = format!("{}{}", block[field].as_str().unwrap(), delta[field].as_str().unwrap());
        block[field] = more.into();
    };
    match (delta["type"].as_str().unwrap_or_default(), kind.as_str()) {
        ("text_delta", "text") => append(block, "text"),
        ("thinking_delta", "thinking") => append(block, "thinking"),
        ("signature_delta", "thinking") => block["signature"] = delta["signature"].clone(),
        ("input_json_delta", "tool_use" | "server_tool_use") => {
            json.push_str(delta["partial_json"].as_str().unwrap());
        }
        ("citations_delta", "text") => match block["citations"].as_array_mut() {
            Some(list) => list.push(delta["citation"].clone()),
            None => block["citations"] = json!([delta["citation"]]),
        },
        (delta, block) => return Err(format!("Content block is not a {delta} block but {block}")),
    }
    Ok(())
}

fn block_stop(message: &mut Value, frame: &Value, open: &mut Option<String>) -> Result<(), String> {
    let json = open.take().ok_or("a stop while no block is open")?;
    let blocks = content(message);
    if frame["index"] != json!(blocks.len() - 1) {
        return Err("a stop for a block that is not the open one".to_owned());
    }
    let block = blocks.last_mut().unwrap();
    if !json.is_empty() {
        block["input"] = serde_json::from_str(&json).map_err(|err| format!("input {json:?}: {err}"))?;
    } else if block["type"] == "tool_use" {
        return Err("a call without a single fragment".to_owned());
    }
    Ok(())
}

#[test]
fn the_state_machine_refuses_what_the_sdks_throw_at() {
    let start = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"content\":[]}}\n\n";
    let open = "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\
                \"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n";
    let thinking = "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\
                    \"delta\":{\"type\":\"thinking_delta\",\"thinking\":\"x\"}}\n\n";
    assert!(accumulate(open).unwrap_err().contains("before message_start"));
    assert!(accumulate(&[start, start].concat()).unwrap_err().contains("twice"));
    assert!(accumulate(&[start, open, open].concat()).unwrap_err().contains("another is open"));
    assert!(accumulate(&[start, open, thinking].concat()).unwrap_err().contains("is not a thinking_delta"));
    assert!(accumulate(&[start, open].concat()).unwrap_err().contains("no message_stop"));
}
