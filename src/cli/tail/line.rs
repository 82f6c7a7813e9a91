//! Events as lines for people, or for programs.

use std::fmt::Write as _;

use serde_json::{Value, json};

/// How lines look.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    json: bool,
    colours: bool,
}

impl Look {
    /// Colours are for terminals, unless somebody does not want them (<https://no-color.org>).
    #[must_use]
    pub fn new(json: bool, terminal: bool) -> Self {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { json, colours: terminal && !json && !unwanted }
    }

    fn dyed(self, code: &str, text: &str) -> String {
        if self.colours { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

const RED: &str = "31";
const YELLOW: &str = "33";
const GREEN: &str = "32";
const DIM: &str = "2";

/// The lines of an event, each with its end; none when it says nothing to anybody.
#[must_use]
pub fn written(name: &str, data: &str, look: Look) -> String {
    let Ok(mut data) = serde_json::from_str::<Value>(data) else { return String::new() };
    if !look.json {
        clean(&mut data);
    }
    let rows = || data.get("rows").and_then(Value::as_array).into_iter().flatten();
    let lines: Vec<String> = match (look.json, name) {
        (true, "hello") | (false, "hello") => Vec::new(),
        (true, "req") => rows().map(|row| json!({"event": "req", "data": row}).to_string()).collect(),
        (true, _) => vec![json!({"event": name, "data": data}).to_string()],
        (false, "req") => rows().map(|row| of_request(row, look)).collect(),
        (false, "health") => of_health(&data, look),
        (false, _) => other(name, &data).map(|text| look.dyed(DIM, &text)).into_iter().collect(),
    };
    lines.into_iter().map(|line| line + "\n").collect()
}

/// `10:30:00.123 200 openai/gpt-4o-mini 1.24 s, first token 220 ms, 456 tokens, $0.0012, key …`
fn of_request(row: &Value, look: Look) -> String {
    let text = |name: &str| row.get(name).and_then(Value::as_str);
    let number = |name: &str| row.get(name).and_then(Value::as_f64);
    let code = row.get("status_code").and_then(Value::as_u64).unwrap_or(0);
    let status = text("status").unwrap_or_default();
    let colour = match status {
        "success" => GREEN,
        "cancelled" => YELLOW,
        _ => RED,
    };
    let time = text("timestamp").and_then(|time| time.get(11..23)).unwrap_or("-");
    let shown = if code == 0 { "---".to_owned() } else { code.to_string() };
    let target = match (text("provider"), text("model")) {
        (Some(provider), Some(model)) => format!("{provider}/{model}"),
        _ => text("model_requested").filter(|model| !model.is_empty()).unwrap_or("-").to_owned(),
    };
    let mut line = format!("{} {} {target}", look.dyed(DIM, time), look.dyed(colour, &shown));
    // Writing into a String cannot fail.
    let _ = write!(line, " {}", duration(number("latency").unwrap_or(0.0)));
    if let Some(first) = number("time_to_first_token") {
        let _ = write!(line, ", first token {}", duration(first));
    }
    if let Some(tokens) = row.pointer("/token_usage/total_tokens").and_then(Value::as_u64) {
        let _ = write!(line, ", {tokens} tokens");
    }
    if let Some(cost) = row.get("cost").filter(|cost| cost.is_number()) {
        let _ = write!(line, ", ${cost}");
    }
    let count = |name: &str| row.get(name).and_then(Value::as_u64).unwrap_or(0);
    let more = count("number_of_retries") + count("fallback_index");
    if more > 0 {
        line.push_str(&look.dyed(YELLOW, &format!(", {} attempts", more + 1)));
    }
    if let Some(key) = text("virtual_key_name").or_else(|| text("virtual_key_id")) {
        let _ = write!(line, ", {key}");
    }
    if let Some(error) = row.pointer("/error_details/error") {
        let word = |name: &str| error.get(name).and_then(Value::as_str).unwrap_or("-");
        line.push_str(&look.dyed(colour, &format!(", {}: {}", word("type"), word("message"))));
    }
    line + &look.dyed(DIM, &format!(" {}", text("id").unwrap_or("-")))
}

fn duration(ms: f64) -> String {
    if ms >= 1_000.0 { format!("{:.2} s", ms / 1_000.0) } else { format!("{ms:.0} ms") }
}

fn of_health(data: &Value, look: Look) -> Vec<String> {
    let changes = data.get("changes").and_then(Value::as_array).into_iter().flatten();
    let line = |change: &Value| {
        let text = |name: &str| change.get(name).and_then(Value::as_str).unwrap_or("-");
        let model =
            change.get("model").and_then(Value::as_str).map(|model| format!("/{model}")).unwrap_or_default();
        let state = text("state");
        let colour = if state == "ready" { GREEN } else { RED };
        let line = format!(
            "health: {}{model} with key {}: {state}, was {}",
            text("provider"),
            text("key"),
            text("was")
        );
        look.dyed(colour, &line)
    };
    changes.map(line).collect()
}

fn other(name: &str, data: &Value) -> Option<String> {
    let number = |field: &str| data.get(field).and_then(Value::as_u64);
    Some(match name {
        "config" => match data.get("error").and_then(Value::as_str) {
            Some(error) => format!("config: not taken: {error}"),
            None => format!("config: revision {} is in force", number("revision")?),
        },
        "notice" => match number("in")? {
            1 => "showing every request".to_owned(),
            every => format!("showing 1 in {every} requests: there are too many"),
        },
        "lag" => match number("skipped") {
            Some(skipped) => format!("{skipped} were lost: they were not taken in time"),
            None => "what happened since the last connection is not known".to_owned(),
        },
        "bye" => format!("the gateway ends the stream: {}", data.get("reason")?.as_str()?),
        _ => format!("{name}: {data}"),
    })
}

/// Control characters spelled out: what a caller or provider wrote must not move the cursor.
fn clean(value: &mut Value) {
    match value {
        Value::String(text) if text.chars().any(char::is_control) => {
            let spelled =
                |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
            *text = text.chars().map(spelled).collect();
        }
        Value::Array(items) => items.iter_mut().for_each(clean),
        Value::Object(map) => map.values_mut().for_each(clean),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Look = Look { json: false, colours: false };

    fn row() -> Value {
        json!({
            "id": "r-1", "timestamp": "2024-01-15T10:30:00.123Z", "provider": "openai", "model": "gpt-4o-mini",
            "status": "success", "status_code": 200, "latency": 1240.4, "time_to_first_token": 220.0,
            "token_usage": {"total_tokens": 456}, "cost": 0.0012, "number_of_retries": 1,
            "virtual_key_name": "team-a",
        })
    }

    #[test]
    fn a_request_is_a_line() {
        let data = json!({"rows": [row()]}).to_string();
        assert_eq!(
            written("req", &data, PLAIN),
            "10:30:00.123 200 openai/gpt-4o-mini 1.24 s, first token 220 ms, 456 tokens, $0.0012, 2 attempts, team-a r-1\n"
        );
        let json = written("req", &data, Look { json: true, colours: false });
        assert_eq!(serde_json::from_str::<Value>(&json).unwrap()["data"], row());
    }

    #[test]
    fn what_callers_wrote_does_not_move_the_cursor() {
        let mut evil = row();
        evil["model"] = json!("m\u{1b}[2J\r\n\u{1b}[31m");
        let line = written("req", &json!({"rows": [evil]}).to_string(), PLAIN);
        assert_eq!(line.matches('\n').count(), 1);
        assert!(!line.contains(['\r', '\u{1b}']), "{line:?}");
    }

    #[test]
    fn notes_are_lines_too() {
        let line = |name: &str, data: Value| written(name, &data.to_string(), PLAIN);
        assert_eq!(line("hello", json!({})), "");
        assert_eq!(line("notice", json!({"in": 4})), "showing 1 in 4 requests: there are too many\n");
        assert_eq!(line("lag", json!({"skipped": 7})), "7 were lost: they were not taken in time\n");
        assert_eq!(line("config", json!({"revision": 3})), "config: revision 3 is in force\n");
        let change = json!({"changes": [{"provider": "p", "key": "k", "model": null, "state": "circuit_open", "was": "ready"}]});
        assert_eq!(line("health", change), "health: p with key k: circuit_open, was ready\n");
    }
}
