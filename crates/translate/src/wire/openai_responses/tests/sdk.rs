//! The rules by which the official SDKs put a stream together, as a small state machine: items by their number
//! in the output, pieces by theirs. It refuses what they throw at, what they would silently drop, and a last
//! event that says otherwise than the events before it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// One frame as an SSE client sees it; comments are passed over.
pub(super) fn frames(stream: &str) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for block in stream.split("\n\n").filter(|block| !block.is_empty() && !block.starts_with(':')) {
        let (name, data) = block.split_once('\n').expect("an event line and a data line");
        let name = name.strip_prefix("event: ").expect("event first");
        let data = data.strip_prefix("data: ").expect("one data line");
        found.push((name.to_owned(), serde_json::from_str(data).expect("JSON data")));
    }
    found
}

#[derive(Default)]
struct State {
    items: Vec<Value>,
    done: BTreeMap<usize, Value>,
    /// Pieces that were begun and not ended: item, field, number.
    open: Vec<(usize, &'static str, usize)>,
}

/// The answer a client ends up with, or why it would have thrown.
pub(super) fn accumulate(stream: &str) -> Result<Value, String> {
    let mut state: Option<State> = None;
    let mut last: Option<Value> = None;
    for (number, (name, frame)) in frames(stream).into_iter().enumerate() {
        if frame["type"] != name.as_str() {
            return Err(format!("event {name} carries type {}", frame["type"]));
        }
        if frame["sequence_number"] != json!(number) {
            return Err(format!("{name} has number {} where {number} is due", frame["sequence_number"]));
        }
        if last.is_some() {
            return Err(format!("{name} behind the last event"));
        }
        match (name.as_str(), &mut state) {
            ("response.created", None) => {
                full(&frame["response"], "in_progress")?;
                state = Some(State::default());
            }
            (_, None) => return Err(format!("{name} before response.created")),
            ("response.created", _) => return Err("response.created twice".into()),
            ("response.in_progress", _) => full(&frame["response"], "in_progress")?,
            ("error", _) => return Err(format!("error event: {}", frame["message"])),
            ("response.completed" | "response.incomplete", Some(state)) => {
                state.end(&frame["response"], name.trim_start_matches("response."))?;
                last = Some(frame["response"].clone());
            }
            (_, Some(state)) => state.step(&name, &frame)?,
        }
    }
    last.ok_or_else(|| "no last event".into())
}

/// Everything the SDKs' types promise.
fn full(response: &Value, status: &str) -> Result<(), String> {
    const MEMBERS: [&str; 28] = [
        "id",
        "object",
        "created_at",
        "status",
        "background",
        "error",
        "incomplete_details",
        "instructions",
        "max_output_tokens",
        "max_tool_calls",
        "model",
        "output",
        "parallel_tool_calls",
        "previous_response_id",
        "prompt_cache_key",
        "reasoning",
        "safety_identifier",
        "service_tier",
        "store",
        "temperature",
        "text",
        "tool_choice",
        "tools",
        "top_logprobs",
        "top_p",
        "truncation",
        "usage",
        "metadata",
    ];
    let object = response.as_object().ok_or("no response object")?;
    let missing: Vec<_> = MEMBERS.iter().filter(|name| !object.contains_key(**name)).collect();
    if !missing.is_empty() {
        return Err(format!("missing {missing:?}"));
    }
    if response["status"] != status || response["object"] != "response" {
        return Err(format!("status {} where {status} is due", response["status"]));
    }
    Ok(())
}

impl State {
    fn step(&mut self, name: &str, frame: &Value) -> Result<(), String> {
        let output = frame["output_index"].as_u64().ok_or("no output_index")? as usize;
        if name == "response.output_item.added" {
            if output != self.items.len() {
                return Err(format!("item {output} where {} comes next", self.items.len()));
            }
            self.items.push(frame["item"].clone());
            return Ok(());
        }
        let item = self.items.get_mut(output).ok_or("an event for an item that was not added")?;
        if self.done.contains_key(&output) {
            return Err(format!("{name} for an item that is done"));
        }
        if name == "response.output_item.done" {
            return self.item_done(output, &frame["item"]);
        }
        if frame["item_id"] != item["id"] {
            return Err(format!("{name} with another item_id"));
        }
        let text = |field: &str| frame[field].as_str().map(str::to_owned).ok_or(format!("no {field}"));
        match name {
            "response.function_call_arguments.delta" => append(&mut item["arguments"], &text("delta")?),
            "response.function_call_arguments.done" => same(&item["arguments"], &frame["arguments"]),
            "response.custom_tool_call_input.delta" => append(&mut item["input"], &text("delta")?),
            "response.custom_tool_call_input.done" => same(&item["input"], &frame["input"]),
            _ => self.piece(name, output, frame),
        }
    }

    fn piece(&mut self, name: &str, output: usize, frame: &Value) -> Result<(), String> {
        let (list, field) = match name.contains("summary") {
            true => ("summary", "summary_index"),
            false => ("content", "content_index"),
        };
        let number = frame[field].as_u64().ok_or("no number of the piece")? as usize;
        let pieces = self.items[output][list].as_array_mut().ok_or("an item without pieces")?;
        let spot = (output, list, number);
        if name.ends_with("part.added") {
            if number != pieces.len() {
                return Err(format!("piece {number} where {} comes next", pieces.len()));
            }
            pieces.push(frame["part"].clone());
            self.open.push(spot);
            return Ok(());
        }
        if !self.open.contains(&spot) {
            return Err(format!("{name} for a piece that is not open"));
        }
        let piece = &mut pieces[number];
        let expected = if name.contains("refusal") { "refusal" } else { "text" };
        match name {
            "response.output_text.delta"
            | "response.refusal.delta"
            | "response.reasoning_summary_text.delta" => {
                append(&mut piece[expected], frame["delta"].as_str().ok_or("no delta")?)
            }
            "response.output_text.done"
            | "response.refusal.done"
            | "response.reasoning_summary_text.done" => same(&piece[expected], &frame[expected]),
            "response.output_text.annotation.added" => {
                let annotations = piece["annotations"].as_array_mut().ok_or("no annotations")?;
                if frame["annotation_index"] != json!(annotations.len()) {
                    return Err("an annotation out of its order".into());
                }
                annotations.push(frame["annotation"].clone());
                Ok(())
            }
            "response.content_part.done" | "response.reasoning_summary_part.done" => {
                self.open.retain(|open| *open != spot);
                let mut whole = frame["part"].clone();
                if let Some(logprobs) = whole.get_mut("logprobs") {
                    *logprobs = json!([]);
                }
                same(piece, &whole)
            }
            other => Err(format!("unknown event {other}")),
        }
    }

    fn item_done(&mut self, output: usize, whole: &Value) -> Result<(), String> {
        if self.open.iter().any(|open| open.0 == output) {
            return Err("an item ends before its pieces".into());
        }
        let begun = &self.items[output];
        for field in ["id", "type", "call_id", "name", "arguments", "input", "summary"] {
            same(&begun[field], &whole[field])?;
        }
        let texts = |item: &Value| -> Vec<Value> {
            let pieces = item["content"].as_array().cloned().unwrap_or_default();
            pieces
                .iter()
                .map(|piece| json!([piece["text"], piece["refusal"], piece["annotations"]]))
                .collect()
        };
        same(&texts(begun).into(), &texts(whole).into())?;
        self.done.insert(output, whole.clone());
        Ok(())
    }

    fn end(&self, response: &Value, status: &str) -> Result<(), String> {
        full(response, status)?;
        if self.done.len() != self.items.len() {
            return Err("the end before the end of an item".into());
        }
        same(&response["output"], &self.done.values().cloned().collect::<Vec<_>>().into())
    }
}

fn append(text: &mut Value, more: &str) -> Result<(), String> {
    let sofar = text.as_str().ok_or("a delta for what is no text")?;
    *text = format!("{sofar}{more}").into();
    Ok(())
}

fn same(one: &Value, other: &Value) -> Result<(), String> {
    if one == other { Ok(()) } else { Err(format!("{one} became {other}")) }
}

#[test]
fn the_state_machine_refuses_what_the_sdks_throw_at() {
    let (good, _) = super::written(
        &[
            crate::ir::Event::PartStart { choice: 0, part: 0, kind: crate::ir::PartKind::Text },
            crate::ir::Event::PartDelta { choice: 0, part: 0, delta: crate::ir::Delta::Text("x".into()) },
            super::finish(crate::ir::FinishReason::Stop, "stop"),
            crate::ir::Event::End,
        ],
        super::echo(),
    );
    assert_eq!(
        accumulate(&good).map(|answer| answer["output"][0]["content"][0]["text"].clone()),
        Ok("x".into())
    );
    let all: Vec<&str> = good.split_inclusive("\n\n").collect();
    for left_out in 0..all.len() {
        let rest: Vec<&str> =
            all.iter().enumerate().filter(|(n, _)| *n != left_out).map(|(_, one)| *one).collect();
        assert!(accumulate(&rest.concat()).is_err(), "without {}", all[left_out]);
    }
    assert!(accumulate(&good.replace("\"delta\":\"x\"", "\"delta\":\"y\"")).is_err());
}
