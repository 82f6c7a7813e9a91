//! Spans of time as people write them: `300`, `"5m"`, `"1h30m"`, `"0.5s"`, `"7d"`.
//!
//! The same words are taken in a header, where everything is text: a number alone is seconds.

use std::time::Duration;

use serde_json::Value;

/// Longer than anything is kept on purpose.
const LONGEST: Duration = Duration::from_secs(10 * 366 * 24 * 3_600);

/// A span of the configuration: seconds as a number, or a text. `None`: it is none, or not above 0.
#[must_use]
pub fn read(value: &Value) -> Option<Duration> {
    match value {
        Value::Number(seconds) => of_seconds(seconds.as_f64()?),
        Value::String(text) => parse(text),
        _ => None,
    }
}

/// A span as a text: parts with units, or seconds alone.
#[must_use]
pub fn parse(text: &str) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse() {
        return of_seconds(seconds);
    }
    let mut seconds = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|sign: char| !sign.is_ascii_digit() && sign != '.')?;
        let (amount, after) = rest.split_at(digits);
        let letters = after.find(|sign: char| !sign.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        seconds += amount.parse::<f64>().ok()? * unit_seconds(unit)?;
        rest = after;
    }
    of_seconds(seconds)
}

fn unit_seconds(unit: &str) -> Option<f64> {
    Some(match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3_600.0,
        "d" => 86_400.0,
        "w" => 7.0 * 86_400.0,
        _ => return None,
    })
}

fn of_seconds(seconds: f64) -> Option<Duration> {
    let span = Duration::try_from_secs_f64(seconds).ok()?;
    (!span.is_zero() && span <= LONGEST).then_some(span)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn spans_are_read_as_people_write_them() {
        for (text, seconds) in [
            ("5m", 300.0),
            ("1h30m", 5_400.0),
            ("90", 90.0),
            (" 7d ", 604_800.0),
            ("0.5s", 0.5),
            ("250ms", 0.25),
            ("2w", 1_209_600.0),
        ] {
            assert_eq!(parse(text), Some(Duration::from_secs_f64(seconds)), "{text}");
        }
        for text in ["", "0", "-1", "5 m", "m", "5x", "1.2.3s", "NaN", "inf", "11y", "9999999999999d", "5m3"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(read(&json!(12.5)), Some(Duration::from_millis(12_500)));
        assert_eq!(read(&json!(true)), None);
    }
}
