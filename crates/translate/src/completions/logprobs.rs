//! Log-probabilities in their older form: four lists side by side instead of one list of entries.

use serde_json::{Map, Value, json};

/// Out of chat's form. `offset` is where the text begins, in characters; how far it goes comes back too.
pub(super) fn older(chat: &Value, offset: u64) -> Option<(Value, u64)> {
    let entries = chat.get("content")?.as_array()?;
    let (mut tokens, mut values, mut tops, mut offsets) = (vec![], vec![], vec![], vec![]);
    let mut at = offset;
    for entry in entries {
        let token = entry.get("token").and_then(Value::as_str).unwrap_or_default();
        let mut top = Map::new();
        for one in entry.get("top_logprobs").and_then(Value::as_array).into_iter().flatten() {
            if let (Some(word), Some(value)) = (one.get("token").and_then(Value::as_str), one.get("logprob"))
            {
                top.insert(word.to_owned(), value.clone());
            }
        }
        tokens.push(token.into());
        values.push(entry.get("logprob").cloned().unwrap_or_default());
        tops.push(Value::Object(top));
        offsets.push(at.into());
        at = at.saturating_add(token.chars().count() as u64);
    }
    let [tokens, values, tops, offsets] = [tokens, values, tops, offsets].map(Value::Array);
    let older =
        json!({"tokens": tokens, "token_logprobs": values, "top_logprobs": tops, "text_offset": offsets});
    Some((older, at))
}

/// Into chat's form.
pub(super) fn newer(older: &Value) -> Option<Value> {
    let tokens = older.get("tokens")?.as_array()?;
    let values = older.get("token_logprobs").and_then(Value::as_array);
    let tops = older.get("top_logprobs").and_then(Value::as_array);
    let entry = |(index, token): (usize, &Value)| {
        let top = tops.and_then(|list| list.get(index)).and_then(Value::as_object);
        let top: Vec<Value> = (top.into_iter().flatten())
            .map(|(word, value)| json!({"token": word, "logprob": value, "bytes": word.as_bytes()}))
            .collect();
        let bytes = token.as_str().unwrap_or_default().as_bytes();
        let value = values.and_then(|list| list.get(index)).cloned().unwrap_or_default();
        json!({"token": token, "logprob": value, "bytes": bytes, "top_logprobs": top})
    };
    let content: Vec<Value> = tokens.iter().enumerate().map(entry).collect();
    Some(json!({"content": content, "refusal": null}))
}
