//! Expectation against outcome. Relayed bodies to the byte, translated ones by meaning.

use serde_json::Value;
use translate::frame::SseParser;

use super::exchange::{Exchange, Kind, Outcome};

/// Every expected section against the outcome.
pub fn all(exchange: &Exchange, outcome: &Outcome, relayed: bool) -> Result<(), String> {
    let expected = exchange.expected();
    for kind in expected.keys().chain(outcome.keys()) {
        let (Some(wanted), Some(got)) = (expected.get(kind), outcome.get(kind)) else {
            let side = if outcome.contains_key(kind) {
                "came, but is not expected"
            } else {
                "is expected, but did not come"
            };
            return Err(format!(
                "`{}` {side}:\n{}",
                kind.title(),
                outcome.get(kind).map_or("", String::as_str)
            ));
        };
        section(*kind, wanted, got, relayed)
            .map_err(|complaint| format!("`{}` {complaint}", kind.title()))?;
    }
    Ok(())
}

fn section(kind: Kind, wanted: &str, got: &str, relayed: bool) -> Result<(), String> {
    let exact = || if wanted == got { Ok(()) } else { Err(differing_line(wanted, got)) };
    match kind {
        Kind::Losses | Kind::Usage => exact(),
        Kind::DownstreamError => json(wanted, got),
        _ if relayed => exact(),
        Kind::DownstreamStream => frames(wanted, got),
        _ => json(wanted, got),
    }
}

fn json(wanted: &str, got: &str) -> Result<(), String> {
    let read = |text: &str| serde_json::from_str::<Value>(text);
    match (read(wanted), read(got)) {
        (Ok(wanted), Ok(got)) => differing_path(&wanted, &got, "").map_or(Ok(()), Err),
        (wanted_read, got_read) if wanted_read.is_err() && got_read.is_err() && wanted == got => Ok(()),
        (Err(error), _) => Err(format!("is expected to be what is no JSON: {error}")),
        (_, Err(error)) => Err(format!("is no JSON ({error}): {got}")),
    }
}

/// The first place where two values differ. Key order means nothing; numbers are compared as numbers.
pub fn differing_path(wanted: &Value, got: &Value, path: &str) -> Option<String> {
    match (wanted, got) {
        (Value::Object(a), Value::Object(b)) => {
            let mut keys: Vec<&String> = a.keys().chain(b.keys()).collect();
            keys.dedup();
            keys.into_iter().find_map(|key| {
                let at = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                member(a.get(key), b.get(key), &at)
            })
        }
        (Value::Array(a), Value::Array(b)) => {
            (0..a.len().max(b.len())).find_map(|at| member(a.get(at), b.get(at), &format!("{path}[{at}]")))
        }
        (Value::Number(a), Value::Number(b)) if a.as_f64() == b.as_f64() => None,
        _ if wanted == got => None,
        _ => Some(format!("differs at `{path}`: {wanted} was expected, {got} came")),
    }
}

fn member(wanted: Option<&Value>, got: Option<&Value>, path: &str) -> Option<String> {
    match (wanted, got) {
        (Some(wanted), Some(got)) => differing_path(wanted, got, path),
        (Some(wanted), None) => Some(format!("differs at `{path}`: {wanted} was expected, nothing came")),
        (None, Some(got)) => Some(format!("differs at `{path}`: nothing was expected, {got} came")),
        (None, None) => None,
    }
}

fn frames(wanted: &str, got: &str) -> Result<(), String> {
    let (wanted, got) = (read_frames(wanted), read_frames(got));
    for (at, (wanted, got)) in wanted.iter().zip(&got).enumerate() {
        if wanted.0 != got.0 {
            return Err(format!(
                "differs in frame {at}: event `{}` was expected, `{}` came",
                wanted.0, got.0
            ));
        }
        if wanted.1 != got.1 {
            json(&wanted.1, &got.1).map_err(|complaint| format!("differs in frame {at}: {complaint}"))?;
        }
    }
    if wanted.len() == got.len() {
        Ok(())
    } else {
        Err(format!("{} frames were expected, {} came", wanted.len(), got.len()))
    }
}

/// Event names and data.
fn read_frames(text: &str) -> Vec<(String, String)> {
    let mut parser = SseParser::new();
    parser.push(text.as_bytes());
    let mut frames = Vec::new();
    while let Some(frame) = parser.finish() {
        frames.push((frame.event.to_owned(), String::from_utf8_lossy(frame.data).into_owned()));
    }
    frames
}

fn differing_line(wanted: &str, got: &str) -> String {
    let pairs = wanted.split('\n').zip(got.split('\n'));
    let at = pairs.take_while(|(wanted, got)| wanted == got).count();
    let line = |text: &str| text.split('\n').nth(at).map_or("the end".to_owned(), |line| format!("{line:?}"));
    format!("differs in line {}:\n  expected {}\n  came     {}", at + 1, line(wanted), line(got))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_compared_by_meaning_and_the_path_is_told() {
        assert_eq!(json(r#"{"a":1,"b":[1.0]}"#, r#"{ "b":[1], "a":1 }"#), Ok(()));
        let complaint = json(r#"{"a":{"b":[1,2]}}"#, r#"{"a":{"b":[1,3]}}"#).unwrap_err();
        assert!(complaint.contains("`a.b[1]`"), "{complaint}");
        assert!(json(r#"{"a":1}"#, r#"{"a":1,"b":null}"#).unwrap_err().contains("`b`"));
        assert!(json(r#"{"a":1}"#, r#"{}"#).unwrap_err().contains("nothing came"));
        assert!(json("{}", "oops").is_err() && json("oops", "{}").is_err());
    }

    #[test]
    fn frames_are_compared_one_by_one() {
        assert_eq!(
            frames("data: {\"a\":1}\n\ndata: [DONE]\n\n", "data:{ \"a\":1}\r\n\r\ndata: [DONE]\n\n"),
            Ok(())
        );
        assert!(frames("event: a\ndata: 1\n\n", "event: b\ndata: 1\n\n").unwrap_err().contains("event `a`"));
        assert!(frames("data: [DONE]\n\n", "data: [DOME]\n\n").is_err());
        assert!(frames("data: 1\n\n", "data: 1\n\ndata: 2\n\n").unwrap_err().contains("2 came"));
        assert!(frames("data: {\"a\":1}\n\n", "data: {\"a\":2}\n\n").unwrap_err().contains("frame 0"));
    }

    #[test]
    fn line_of_the_first_difference_is_shown() {
        let complaint = differing_line("a\nb", "a\nc");
        assert!(complaint.contains("line 2") && complaint.contains("\"b\"") && complaint.contains("\"c\""));
        assert!(differing_line("a", "a\nb").contains("the end"));
    }
}
