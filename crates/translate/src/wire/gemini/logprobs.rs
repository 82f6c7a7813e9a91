//! Log probabilities: `logprobsResult` of a candidate and the object that OpenAI made common.

use serde_json::{Map, Value, json};

/// `logprobsResult` as OpenAI's object. Tokens are text here: their bytes are not known.
pub(super) fn read(result: &Value) -> Value {
    let list = |name: &str| result.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let tops = list("topCandidates");
    let content = list("chosenCandidates").iter().enumerate().map(|(at, chosen)| {
        let mut entry = one(chosen);
        let top = tops.get(at).and_then(|top| top.get("candidates")).and_then(Value::as_array);
        let top = top.into_iter().flatten().map(|candidate| Value::Object(one(candidate)));
        entry.insert("top_logprobs".into(), top.collect());
        Value::Object(entry)
    });
    json!({"content": content.collect::<Vec<_>>(), "refusal": null})
}

/// OpenAI's object as `logprobsResult`; `None` when it has no list of tokens.
pub(super) fn write(logprobs: &Value) -> Option<Value> {
    let content = logprobs.get("content")?.as_array()?;
    let candidate = |entry: &Value| {
        json!({
            "token": entry.get("token").and_then(Value::as_str).unwrap_or_default(),
            "logProbability": entry.get("logprob").and_then(Value::as_f64).unwrap_or_default(),
        })
    };
    let tops = content.iter().map(|entry| {
        let top = entry.get("top_logprobs").and_then(Value::as_array);
        json!({"candidates": top.into_iter().flatten().map(candidate).collect::<Vec<_>>()})
    });
    let tops: Vec<Value> = tops.collect();
    Some(
        json!({"topCandidates": tops, "chosenCandidates": content.iter().map(candidate).collect::<Vec<_>>()}),
    )
}

fn one(candidate: &Value) -> Map<String, Value> {
    let mut entry = Map::new();
    entry.insert("token".into(), candidate.get("token").and_then(Value::as_str).unwrap_or_default().into());
    let probability = candidate.get("logProbability").and_then(Value::as_f64).unwrap_or_default();
    entry.insert("logprob".into(), probability.into());
    entry.insert("bytes".into(), Value::Null);
    entry
}
