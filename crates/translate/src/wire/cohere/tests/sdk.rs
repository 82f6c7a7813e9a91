//! What clients of this dialect make of a stream: the official SDK hands events through, LangChain keeps one
//! call open at a time and counts calls from 0. A small state machine that refuses what would mislead them.

use serde_json::{Value, json};

/// The message a client ends up with, in the form of a whole answer, or why it would be misled.
pub(super) fn accumulate(stream: &str) -> Result<Value, String> {
    let mut message = json!({"role": "assistant", "content": [], "tool_calls": [], "citations": []});
    let (mut id, mut end, mut done) = (None, None, false);
    let mut open: Option<&str> = None;
    for block in stream.split("\n\n").filter(|block| !block.is_empty() && !block.starts_with(':')) {
        if done {
            return Err(format!("{block} behind [DONE]"));
        }
        if block == "data: [DONE]" {
            done = true;
            continue;
        }
        let (name, data) = block.split_once('\n').ok_or("an event line and a data line")?;
        let frame: Value = serde_json::from_str(data.strip_prefix("data: ").ok_or("no data")?).unwrap();
        let kind = name.strip_prefix("event: ").ok_or("no event")?;
        if frame["type"] != kind {
            return Err(format!("event {kind} carries type {}", frame["type"]));
        }
        if (id.is_none() && !matches!(kind, "message-start" | "message-end")) || end.is_some() {
            return Err(format!("{kind} outside of the message"));
        }
        let said = &frame["delta"]["message"];
        let list = |message: &Value, name: &str| message[name].as_array().unwrap().len();
        match (kind, open) {
            ("message-start", None) if id.is_none() => id = Some(frame["id"].clone()),
            ("content-start", None) if frame["index"] == list(&message, "content") => {
                open = Some("content");
                message["content"].as_array_mut().unwrap().push(said["content"].clone());
            }
            ("content-delta", Some("content")) => {
                feed(message["content"].as_array_mut().unwrap().last_mut().unwrap(), &said["content"])?
            }
            ("content-end", Some("content")) => open = None,
            ("tool-call-start", None) if frame["index"] == list(&message, "tool_calls") => {
                open = Some("call");
                message["tool_calls"].as_array_mut().unwrap().push(said["tool_calls"].clone());
            }
            ("tool-call-delta", Some("call")) => {
                let call = message["tool_calls"].as_array_mut().unwrap().last_mut().unwrap();
                feed(&mut call["function"], &said["tool_calls"]["function"])?;
            }
            ("tool-call-end", Some("call")) => {
                open = None;
                let call = message["tool_calls"].as_array().unwrap().last().unwrap();
                let arguments = call["function"]["arguments"].as_str().unwrap();
                if arguments.is_empty() {
                    return Err("a call without arguments".to_owned());
                }
            }
            ("citation-start", Some("content")) if frame["index"] == list(&message, "citations") => {
                message["citations"].as_array_mut().unwrap().push(said["citations"].clone());
            }
            ("citation-end", Some("content")) => {}
            ("message-end", None) => end = Some(frame["delta"].clone()),
            ("message-end", Some(_)) if frame["delta"]["error"].is_string() => {
                end = Some(frame["delta"].clone())
            }
            _ => return Err(format!("{kind} while {open:?} is open: {frame}")),
        }
    }
    closed(id, message, end.ok_or("no message-end")?, done)
}

/// The end and its terminator must agree.
fn closed(id: Option<Value>, message: Value, end: Value, done: bool) -> Result<Value, String> {
    if end["finish_reason"].as_str().is_none_or(|word| word == "ERROR") == done {
        return Err("[DONE] goes with a finish, and with no error".to_owned());
    }
    Ok(json!({"id": id, "message": message, "finish_reason": end["finish_reason"], "usage": end["usage"]}))
}

fn feed(block: &mut Value, delta: &Value) -> Result<(), String> {
    for (name, more) in delta.as_object().ok_or("a delta that is no object")? {
        match (block.get(name).and_then(Value::as_str), more.as_str()) {
            (Some(text), Some(more)) => block[name] = format!("{text}{more}").into(),
            (None, Some(_)) if name == "signature" => block[name] = more.clone(),
            _ => return Err(format!("{name} does not fit {block}")),
        }
    }
    Ok(())
}

#[test]
fn the_state_machine_refuses_what_misleads_clients() {
    let frame = |json: Value| format!("event: {}\ndata: {json}\n\n", json["type"].as_str().unwrap());
    let start = frame(json!({"type": "message-start", "id": "x"}));
    let open = |index| {
        let content = json!({"type": "text", "text": ""});
        frame(json!({"type": "content-start", "index": index, "delta": {"message": {"content": content}}}))
    };
    let end = frame(json!({"type": "message-end", "delta": {"finish_reason": "COMPLETE"}}));
    assert!(accumulate(&open(0)).unwrap_err().contains("outside"));
    assert!(accumulate(&[&start, &open(1)].map(String::as_str).concat()).is_err());
    assert!(accumulate(&[&start, &open(0), &open(1)].map(String::as_str).concat()).is_err());
    assert!(accumulate(&[&start, &end].map(String::as_str).concat()).unwrap_err().contains("[DONE]"));
    assert!(accumulate(&start).unwrap_err().contains("no message-end"));
    assert!(accumulate(&format!("{start}{end}data: [DONE]\n\n")).is_ok());
}
