//! Log-probabilities: this wire gives them per run of tokens, the pivot has OpenAI's list per token. A run
//! of several tokens becomes one entry with the sum: the log-probability of the whole run.

use serde_json::{Map, Value, json};

use crate::loss::Losses;

/// What the pivot holds for a list of this wire's items, or for one.
pub(super) fn read(items: &[Value]) -> Option<Value> {
    let entries: Vec<Value> = items.iter().filter_map(entry).collect();
    (!entries.is_empty()).then(|| json!({"content": entries}))
}

fn entry(item: &Value) -> Option<Value> {
    let text = item.get("text").and_then(Value::as_str).unwrap_or_default();
    let values = item.get("logprobs")?.as_array()?;
    let sum: f64 = values.iter().filter_map(Value::as_f64).sum();
    let mut entry = Map::new();
    entry.insert("token".to_owned(), text.into());
    entry.insert("logprob".to_owned(), json!(sum));
    entry.insert("bytes".to_owned(), text.as_bytes().into());
    entry.insert("top_logprobs".to_owned(), json!([]));
    entry.insert("token_ids".to_owned(), item.get("token_ids").cloned().unwrap_or_else(|| json!([])));
    if values.len() > 1 {
        entry.insert("token_logprobs".to_owned(), values.clone().into());
    }
    Some(Value::Object(entry))
}

/// This wire's items. Alternatives and refusals' tokens have no place here.
pub(super) fn write(logprobs: &Value, path: &str, losses: &mut Losses) -> Vec<Value> {
    let entries = logprobs.get("content").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let some = |value: Option<&Value>| value.and_then(Value::as_array).is_some_and(|list| !list.is_empty());
    if entries.iter().any(|entry| some(entry.get("top_logprobs"))) {
        losses.report(format!("{path}.top_logprobs"), "only the chosen tokens are told on cohere");
    }
    if some(logprobs.get("refusal")) {
        losses.report(format!("{path}.refusal"), "has no counterpart on cohere");
    }
    entries.iter().map(item).collect()
}

fn item(entry: &Value) -> Value {
    let member = |name: &str| entry.get(name).cloned();
    let single = || Value::Array(member("logprob").into_iter().collect());
    json!({
        "text": member("token").unwrap_or_default(),
        "token_ids": member("token_ids").unwrap_or_else(|| json!([])),
        "logprobs": member("token_logprobs").unwrap_or_else(single),
    })
}
