//! Reads a prediction that has ended.

use serde_json::{Map, Value};

use super::error;
use super::prediction::Status;
use crate::Wire;
use crate::ir::{Choice, Extra, Finish, FinishReason, Part, Response, Usage};
use crate::wire::{BadResponse, failure_shapes};

/// What tells of the job, not of its answer.
const JOB: [&str; 18] = [
    "completed_at",
    "created_at",
    "data_removed",
    "deadline",
    "deployment",
    "error",
    "input",
    "logs",
    "output_file_url_prefix",
    "queued_at",
    "source",
    "started_at",
    "stream",
    "urls",
    "version",
    "webhook",
    "webhook_completed",
    "webhook_events_filter",
];
/// Measurements of the job.
const TIMES: [&str; 4] = ["predict_time", "time_to_first_token", "tokens_per_second", "total_time"];

/// Reads a prediction.
///
/// # Errors
/// [`BadResponse::Failure`] for one that failed or was ended, [`BadResponse::WrongShape`] for one that still
/// runs, and for a body that is none.
pub(super) fn decode(body: &[u8]) -> Result<Response, BadResponse> {
    let value: Value = serde_json::from_slice(body).map_err(|error| bad_json(&error))?;
    let Value::Object(mut fields) = value else { return Err(not_a_prediction(body)) };
    let Some(Value::String(word)) = fields.shift_remove("status") else { return Err(not_a_prediction(body)) };
    match Status::of(&word) {
        Status::Succeeded => Ok(answer(fields)),
        status if status.is_final() => {
            let told = fields.get("error").filter(|error| !error.is_null());
            let told = told.map(|error| error.as_str().map_or_else(|| error.to_string(), str::to_owned));
            Err(BadResponse::Failure(error::of_prediction(status, told.as_deref())))
        }
        _ => Err(BadResponse::WrongShape(format!("the prediction is {word:?}: it has no answer yet"))),
    }
}

/// What a body without a prediction is: an error of some shape, or something else.
pub(super) fn not_a_prediction(body: &[u8]) -> BadResponse {
    match failure_shapes::recognise(200, body) {
        Some(failure) => BadResponse::Failure(failure),
        None => BadResponse::WrongShape("it has no `status` of a prediction".to_owned()),
    }
}

/// Tells a body that is no JSON from JSON of the wrong shape.
pub(super) fn bad_json(error: &serde_json::Error) -> BadResponse {
    if error.is_data() {
        BadResponse::WrongShape(error.to_string())
    } else {
        BadResponse::NotJson(error.to_string())
    }
}

fn answer(mut fields: Map<String, Value>) -> Response {
    fields.retain(|name, value| !JOB.contains(&name.as_str()) && !value.is_null());
    let mut text = |name: &str| match fields.shift_remove(name) {
        Some(Value::String(text)) => text,
        Some(other) => other.to_string(),
        None => String::new(),
    };
    let (id, model) = (text("id"), text("model"));
    let said = fields.shift_remove("output").map(said).unwrap_or_default();
    let usage = match fields.get_mut("metrics") {
        Some(Value::Object(metrics)) => counts(metrics),
        _ => None,
    };
    if fields.get("metrics").and_then(Value::as_object).is_some_and(Map::is_empty) {
        fields.shift_remove("metrics");
    }
    let choice = Choice {
        parts: if said.is_empty() { Vec::new() } else { vec![Part::text(said)] },
        finish: Some(finish()),
        logprobs: None,
        extra: Extra::default(),
    };
    Response {
        id,
        model,
        choices: vec![choice],
        usage,
        extra: Extra::of(Wire::Replicate, fields),
        ..Response::default()
    }
}

/// The wire has one way to end well, and no word for why: that the limit was hit is not told. Its status is
/// the job's.
pub(super) fn finish() -> Finish {
    Finish { reason: FinishReason::Stop, native: String::new(), stop_sequence: None, details: None }
}

/// The output as text. Language models give a text, or a list of its pieces; what is neither is given as the
/// JSON it is.
fn said(output: Value) -> String {
    match output {
        Value::String(text) => text,
        Value::Array(list) if list.iter().all(Value::is_string) => {
            list.iter().filter_map(Value::as_str).collect()
        }
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// Takes the counts; what was measured besides is dropped with the job.
fn counts(metrics: &mut Map<String, Value>) -> Option<Usage> {
    metrics.retain(|name, _| !TIMES.contains(&name.as_str()));
    let mut count = |name: &str| {
        let value = metrics.get(name)?;
        // Some models report whole numbers as `12.0`. Saturates, and a negative one is none.
        let count = value.as_u64().or_else(|| value.as_f64().map(|count| count as u64))?;
        metrics.shift_remove(name);
        Some(count)
    };
    let (input, output) = (count("input_token_count"), count("output_token_count"));
    (input.is_some() || output.is_some()).then(|| Usage {
        input_uncached: input.unwrap_or_default(),
        output: output.unwrap_or_default(),
        ..Usage::default()
    })
}
