//! The rules by which Google's SDKs read a stream, as a small accumulator: each event is an answer by itself,
//! parts are appended, what the last chunk says stands. It refuses what the SDKs fail on: anything between
//! the events that is no data line (JavaScript), and unknown fields of a part (Python).

use serde_json::{Map, Value, json};

/// The chunks as an SSE client of theirs sees them.
pub(super) fn chunks(stream: &str) -> Result<Vec<Value>, String> {
    let mut found = Vec::new();
    for block in stream.split("\n\n").filter(|block| !block.is_empty()) {
        let data = block.strip_prefix("data: ").ok_or_else(|| format!("no data line: {block:?}"))?;
        if data.contains('\n') {
            return Err(format!("more than one line: {data:?}"));
        }
        found.push(serde_json::from_str(data).map_err(|error| format!("{error}: {data}"))?);
    }
    Ok(found)
}

/// The answer a client ends up with: the parts of each candidate, their finish reasons, the counts.
pub(super) fn accumulate(stream: &str) -> Result<Value, String> {
    let mut candidates: Vec<Value> = Vec::new();
    let mut usage = Value::Null;
    let mut id = Value::Null;
    for chunk in chunks(stream)? {
        if !chunk["error"].is_null() {
            return Err(format!("error: {}", chunk["error"]["status"]));
        }
        for name in ["responseId", "modelVersion"] {
            chunk[name].as_str().ok_or_else(|| format!("{name} is missing: {chunk}"))?;
        }
        if !id.is_null() && id != chunk["responseId"] {
            return Err("the id changed".to_owned());
        }
        id = chunk["responseId"].clone();
        for candidate in chunk["candidates"].as_array().ok_or("no candidates")? {
            take(candidate, &mut candidates)?;
        }
        if !chunk["usageMetadata"].is_null() {
            usage = chunk["usageMetadata"].clone();
        }
    }
    if let Some(open) = candidates.iter().find(|one| one["finishReason"].is_null()) {
        return Err(format!("never finished: {open}"));
    }
    Ok(json!({"candidates": candidates, "usageMetadata": usage}))
}

fn take(candidate: &Value, candidates: &mut Vec<Value>) -> Result<(), String> {
    let index = candidate["index"].as_u64().ok_or("a candidate without index")?;
    let known = candidates.iter().position(|one| one["index"] == index);
    let place = known.unwrap_or_else(|| {
        candidates.push(json!({"index": index, "parts": []}));
        candidates.len() - 1
    });
    let state = &mut candidates[place];
    if !state["finishReason"].is_null() {
        return Err("a chunk behind the finish reason".to_owned());
    }
    if candidate["content"]["role"] != "model" {
        return Err(format!("no role: {candidate}"));
    }
    for part in candidate["content"]["parts"].as_array().ok_or("no parts")? {
        check(part.as_object().ok_or("a part that is no object")?)?;
        append(state["parts"].as_array_mut().unwrap(), part);
    }
    for name in ["finishReason", "finishMessage", "groundingMetadata", "logprobsResult"] {
        if !candidate[name].is_null() {
            state[name] = candidate[name].clone();
        }
    }
    Ok(())
}

fn check(part: &Map<String, Value>) -> Result<(), String> {
    const FIELDS: [&str; 7] = [
        "text",
        "thought",
        "thoughtSignature",
        "functionCall",
        "inlineData",
        "executableCode",
        "codeExecutionResult",
    ];
    if let Some(name) = part.keys().find(|name| !FIELDS.contains(&name.as_str())) {
        return Err(format!("an unknown field: {name}"));
    }
    match part.get("functionCall") {
        Some(call) if !call["args"].is_object() || !call["name"].is_string() => {
            Err(format!("a call without name or arguments: {call}"))
        }
        Some(call) if call["id"].as_str().is_none_or(str::is_empty) => {
            Err(format!("a call without an id: {call}"))
        }
        _ => Ok(()),
    }
}

/// Texts of one kind are joined, as `response.text` does; empty ones without a signature are nothing.
fn append(parts: &mut Vec<Value>, part: &Value) {
    let plain = |part: &Value| part["text"].is_string() && part["thoughtSignature"].is_null();
    if plain(part) && part["text"] == "" {
        return;
    }
    match parts.last_mut() {
        Some(last) if plain(last) && plain(part) && last["thought"] == part["thought"] => {
            last["text"] =
                format!("{}{}", last["text"].as_str().unwrap(), part["text"].as_str().unwrap()).into();
        }
        _ => parts.push(part.clone()),
    }
}

#[test]
fn the_accumulator_refuses_what_the_sdks_fail_on() {
    let chunk = |candidate: &str| {
        format!("data: {{\"candidates\":[{candidate}],\"responseId\":\"r\",\"modelVersion\":\"m\"}}\n\n")
    };
    let text = r#"{"index":0,"content":{"role":"model","parts":[{"text":"a"}]}}"#;
    let last = r#"{"index":0,"content":{"role":"model","parts":[]},"finishReason":"STOP"}"#;
    let whole = [chunk(text), chunk(text), chunk(last)].concat();
    assert_eq!(accumulate(&whole).unwrap()["candidates"][0]["parts"], json!([{"text": "aa"}]));
    assert!(accumulate(&chunk(text)).unwrap_err().contains("never finished"));
    assert!(accumulate(&[chunk(last), chunk(text)].concat()).unwrap_err().contains("behind"));
    assert!(accumulate(&format!(": ping\n\n{whole}")).unwrap_err().contains("no data line"));
    let call = last.replace("[]", r#"[{"functionCall":{"name":"f","args":{}}}]"#);
    assert!(accumulate(&chunk(&call)).unwrap_err().contains("without an id"));
}
