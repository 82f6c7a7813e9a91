//! The rules by which AWS's SDKs and the clients on top of them read a stream and an answer: members by
//! name, blobs as padded base64, one block at a time. It refuses what they throw at, and what they would
//! silently drop.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::frame::{EventStreamParser, is_exception};

/// The messages of a stream; panics on half a message.
pub(super) fn messages(stream: &[u8]) -> Vec<(String, Value)> {
    let mut parser = EventStreamParser::new();
    parser.push(stream);
    let (mut found, mut read) = (Vec::new(), 0);
    while let Some(frame) = parser.next_frame() {
        read += frame.raw.len();
        let data = serde_json::from_slice(frame.data).expect("JSON payload");
        let name = if is_exception(&frame) { format!("!{}", frame.event) } else { frame.event.to_owned() };
        found.push((name, data));
    }
    assert_eq!((read, parser.broken()), (stream.len(), None), "whole messages only");
    found
}

/// The answer a client ends up with, or why it would have thrown.
pub(super) fn accumulate(stream: &[u8]) -> Result<Value, String> {
    let mut content: Vec<Value> = Vec::new();
    let mut open: Option<u64> = None;
    let mut stop = None;
    let mut started = false;
    for (name, data) in messages(stream) {
        match name.as_str() {
            "messageStart" if started => return Err("messageStart twice".to_owned()),
            "messageStart" if data["role"] == "assistant" => started = true,
            _ if !started => return Err(format!("{name} before messageStart")),
            "contentBlockStart" => {
                begin(&mut content, &mut open, &data)?;
                content.push(json!({"toolUse": {
                    "toolUseId": text(&data, "/start/toolUse/toolUseId")?,
                    "name": text(&data, "/start/toolUse/name")?,
                    "input": "",
                }}));
            }
            "contentBlockDelta" => {
                if open != data["contentBlockIndex"].as_u64() {
                    begin(&mut content, &mut open, &data)?;
                    content.push(json!({}));
                }
                delta(content.last_mut().unwrap(), &data["delta"])?;
            }
            "contentBlockStop" => {
                if open.take() != data["contentBlockIndex"].as_u64() {
                    return Err("a stop for a block that is not the open one".to_owned());
                }
                settle(content.last_mut().unwrap())?;
            }
            "messageStop" if open.is_none() => stop = Some(text(&data, "/stopReason")?),
            "metadata" => {
                let reason = stop.ok_or("metadata before messageStop")?;
                counts(&data)?;
                return Ok(json!({"content": content, "stopReason": reason, "usage": data["usage"]}));
            }
            other => return Err(format!("unexpected {other}: {data}")),
        }
    }
    Err("no metadata".to_owned())
}

/// What SDKs read of counts unchecked.
pub(super) fn counts(answer: &Value) -> Result<(), String> {
    for name in ["inputTokens", "outputTokens", "totalTokens"] {
        answer["usage"][name].as_u64().ok_or(format!("usage without {name}"))?;
    }
    answer["metrics"]["latencyMs"].as_u64().map(|_| ()).ok_or("metrics without latencyMs".to_owned())
}

/// What SDKs read of a block.
pub(super) fn block(block: &Value) -> Result<(), String> {
    let fields = block.as_object().filter(|fields| fields.len() == 1).ok_or("a union of one member")?;
    let (name, value) = fields.iter().next().unwrap();
    match name.as_str() {
        "text" => value.as_str().map(|_| ()).ok_or("text is a string".to_owned()),
        "toolUse" => {
            text(value, "/toolUseId")?;
            text(value, "/name")?;
            value["input"].as_object().map(|_| ()).ok_or("input is an object".to_owned())
        }
        "reasoningContent" if value["redactedContent"].is_string() => {
            let data = value["redactedContent"].as_str().unwrap();
            STANDARD.decode(data).map(|_| ()).map_err(|err| err.to_string())
        }
        "reasoningContent" => text(value, "/reasoningText/text").map(|_| ()),
        "citationsContent" => text(value, "/content/0/text").map(|_| ()),
        other => Err(format!("a block of kind {other}")),
    }
}

fn begin(content: &mut [Value], open: &mut Option<u64>, data: &Value) -> Result<(), String> {
    if open.is_some() {
        return Err("a block begins while another is open".to_owned());
    }
    *open = data["contentBlockIndex"].as_u64();
    match *open == Some(content.len() as u64) {
        true => Ok(()),
        false => Err(format!("block {open:?} where {} comes next", content.len())),
    }
}

fn delta(block: &mut Value, delta: &Value) -> Result<(), String> {
    let members = delta.as_object().filter(|members| members.len() == 1).ok_or("a union of one member")?;
    let (kind, value) = members.iter().next().unwrap();
    let (path, more) = match kind.as_str() {
        "text" => ("text", value.as_str()),
        "toolUse" => {
            let input = block["toolUse"]["input"].as_str().ok_or("arguments without a call")?;
            let fed = format!("{input}{}", value["input"].as_str().ok_or("input is a string")?);
            block["toolUse"]["input"] = fed.into();
            return Ok(());
        }
        "reasoningContent" if value["text"].is_string() => ("thinking", value["text"].as_str()),
        "reasoningContent" if value["signature"].is_string() => ("signature", value["signature"].as_str()),
        "reasoningContent" => ("redacted", value["redactedContent"].as_str()),
        "citation" => {
            block["citations"] = json!(block["citations"].as_array().map_or(1, |list| list.len() + 1));
            return value.as_object().map(|_| ()).ok_or("a citation is an object".to_owned());
        }
        other => return Err(format!("a delta of kind {other}")),
    };
    let grown = format!("{}{}", block[path].as_str().unwrap_or_default(), more.ok_or("a string")?);
    block[path] = grown.into();
    Ok(())
}

fn settle(block: &mut Value) -> Result<(), String> {
    if let Some(input) = block["toolUse"]["input"].as_str() {
        let parsed = serde_json::from_str(input).map_err(|err| format!("input {input:?}: {err}"))?;
        block["toolUse"]["input"] = parsed;
    } else if let Some(fields) = block.as_object_mut() {
        fields.shift_remove("toolUse");
    }
    Ok(())
}

fn text(value: &Value, path: &str) -> Result<String, String> {
    value
        .pointer(path)
        .and_then(Value::as_str)
        .map(str::to_owned)
        .ok_or(format!("no text at {path} in {value}"))
}

#[test]
fn the_state_machine_refuses_what_clients_throw_at() {
    let stream = |frames: &[(&str, &str)]| {
        let mut out = Vec::new();
        frames.iter().for_each(|(name, data)| crate::frame::write_message(&mut out, name, data.as_bytes()));
        accumulate(&out).unwrap_err()
    };
    let start = ("messageStart", r#"{"role":"assistant"}"#);
    let text = ("contentBlockDelta", r#"{"contentBlockIndex":0,"delta":{"text":"x"}}"#);
    let other = ("contentBlockDelta", r#"{"contentBlockIndex":1,"delta":{"text":"x"}}"#);
    assert!(stream(&[text]).contains("before messageStart"));
    assert!(stream(&[start, start]).contains("twice"));
    assert!(stream(&[start, text, other]).contains("another is open"));
    assert!(stream(&[start, other]).contains("comes next"));
    assert!(stream(&[start, text]).contains("no metadata"));
    assert!(stream(&[start, ("metadata", "{}")]).contains("before messageStop"));
}
