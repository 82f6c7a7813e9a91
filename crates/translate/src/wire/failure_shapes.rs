//! Reads error bodies of any provider: the twelve shapes of the provider reference (A5), in its order.
//!
//! Shared by all wires, because a provider's gateway, CDN or host may answer in a shape that is not its
//! wire's. Reads and classifies only; never decides about a retry. Secrets are masked, since messages
//! travel to callers and logs.

use serde_json::{Map, Value};

use crate::ir::{Failure, FailureKind};

/// The most of a provider's message that is kept, in bytes.
const MAX_MESSAGE: usize = 8 * 1024;
/// The most of a body that is no JSON.
const MAX_PLAIN: usize = 1024;

/// What went wrong. A body of no known shape becomes the message, cut and masked.
///
/// A `status` below 400 (an error under a 200) is replaced by the one the body names, or by the usual
/// one of its kind.
pub(crate) fn read(status: u16, body: &[u8]) -> Failure {
    recognise(status, body).unwrap_or_else(|| plain(status, body))
}

/// The failure, when the body has one of the JSON shapes.
pub(crate) fn recognise(status: u16, body: &[u8]) -> Option<Failure> {
    let value: Value = serde_json::from_slice(body).ok()?;
    let reading = shape(&value)?;
    Some(reading.classify(status))
}

/// The pause an error body asks for, in milliseconds: Google's `RetryInfo`, whose `retryDelay` stands among the
/// details (`"17s"`, `"3.5s"`) where others have a header.
pub(crate) fn retry_delay_ms(body: &[u8]) -> Option<u64> {
    memchr::memmem::find(body, b"\"retryDelay\"")?;
    let value: Value = serde_json::from_slice(body).ok()?;
    let error = value.get(0).unwrap_or(&value).get("error")?;
    let delays = error.get("details")?.as_array()?.iter().filter_map(|entry| entry.get("retryDelay"));
    delays.filter_map(|delay| duration_ms(delay.as_str()?)).max()
}

/// Seconds with a fraction and an `s`, rounded up. A day is the longest pause there is.
fn duration_ms(text: &str) -> Option<u64> {
    let seconds: f64 = text.strip_suffix('s')?.parse().ok()?;
    (0.0..=86_400.0).contains(&seconds).then(|| (seconds * 1000.0).ceil() as u64)
}

/// Hides provider keys and bearer tokens.
pub(crate) fn mask(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut before: Option<char> = None;
    while let Some(first) = rest.chars().next() {
        let inside_word = before.is_some_and(char::is_alphanumeric);
        let found = SECRETS.iter().find(|(prefix, _)| !inside_word && starts_with(rest, prefix));
        if let Some((prefix, least)) = found {
            let (head, tail) = rest.split_at(prefix.len());
            let end = tail.find(|c: char| !is_token(c)).unwrap_or(tail.len());
            if end >= *least {
                out.push_str(head);
                out.push_str("***");
                rest = tail.get(end..).unwrap_or_default();
                before = Some('*');
                continue;
            }
        }
        out.push(first);
        before = Some(first);
        rest = rest.get(first.len_utf8()..).unwrap_or_default();
    }
    out
}

/// How secrets begin, and how many characters must follow before it is taken for one.
const SECRETS: [(&str, usize); 5] = [("sk-", 4), ("Bearer ", 4), ("gsk_", 8), ("xai-", 16), ("AIza", 16)];

fn starts_with(text: &str, prefix: &str) -> bool {
    text.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix))
}

fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '*' | '~' | '+' | '/' | '=')
}

fn plain(status: u16, body: &[u8]) -> Failure {
    let text = String::from_utf8_lossy(body.get(..MAX_PLAIN).unwrap_or(body));
    let trimmed = text.trim();
    let message = if trimmed.is_empty() {
        "the provider answered with an empty error body".to_owned()
    } else {
        cut(&mask(trimmed), MAX_PLAIN)
    };
    // Words in a page of HTML prove nothing: only the status counts.
    let kind = kind_of_status(status);
    Failure { status: settled(status, None, kind), kind, message, native_type: None, code: None, param: None }
}

fn cut(text: &str, most: usize) -> String {
    text.get(..text.floor_char_boundary(most)).unwrap_or_default().to_owned()
}

/// What a shape says, before it is classified.
#[derive(Default)]
struct Reading {
    message: String,
    native_type: Option<String>,
    code: Option<String>,
    param: Option<String>,
    status: Option<u16>,
}

fn shape(value: &Value) -> Option<Reading> {
    let map = match value {
        Value::Object(map) => map,
        Value::Array(list) => list.first()?.as_object().filter(|first| first.contains_key("error"))?,
        _ => return None,
    };
    nested(map)
        .or_else(|| flat(map))
        .or_else(|| error_text(map))
        .or_else(|| detail(map))
        .or_else(|| error_list(map))
        .or_else(|| base_resp(map))
}

/// Shapes 1, 2 and 3: an `error` object.
fn nested(map: &Map<String, Value>) -> Option<Reading> {
    let error = map.get("error")?.as_object().filter(|error| !error.is_empty())?;
    let mut reading = members(error);
    if reading.message.is_empty() {
        reading.message = error.get("detail").map(spoken).unwrap_or_default();
    }
    if let Some(raw) = error.get("metadata").and_then(|metadata| metadata.get("raw")).and_then(Value::as_str)
    {
        // OpenRouter wraps the upstream's own words.
        reading.message = format!("{}: {raw}", reading.message);
    }
    let reason = error.get("details").and_then(Value::as_array).and_then(|list| {
        list.iter().find_map(|entry| entry.get("reason").and_then(Value::as_str).map(str::to_owned))
    });
    if reason.is_some() {
        reading.code = reason;
    }
    Some(reading)
}

/// Shapes 4, 8 and 11: `message` at the top, with `code`, `error_code` or `statusCode` beside it.
fn flat(map: &Map<String, Value>) -> Option<Reading> {
    if map.contains_key("choices") {
        return None;
    }
    let message = map.get("message").or_else(|| map.get("Message"))?;
    let wrapped = ["detail", "message", "msg", "error"].iter().any(|name| message.get(*name).is_some());
    if !message.is_string() && !wrapped {
        return None;
    }
    let mut reading = members(map);
    reading.message = spoken(message);
    Some(reading)
}

/// Shape 5: `error` is the text itself.
fn error_text(map: &Map<String, Value>) -> Option<Reading> {
    let text = map.get("error")?.as_str().filter(|text| !text.is_empty())?;
    let mut reading = members(map);
    reading.message = match map.get("error_description").and_then(Value::as_str) {
        Some(more) => format!("{text}: {more}"),
        None => text.to_owned(),
    };
    reading.native_type =
        reading.native_type.or_else(|| map.get("error_type").and_then(Value::as_str).map(str::to_owned));
    Some(reading)
}

/// Shapes 6 and 7: FastAPI's `detail`, Replicate's with a title.
fn detail(map: &Map<String, Value>) -> Option<Reading> {
    let detail = map.get("detail").filter(|detail| !detail.is_null())?;
    let mut reading = members(map);
    if let Some(inner) = detail.as_object() {
        reading.code = inner.get("status").and_then(Value::as_str).map(str::to_owned).or(reading.code);
    }
    reading.message = match map.get("title").and_then(Value::as_str) {
        Some(title) => format!("{title}: {}", spoken(detail)),
        None => spoken(detail),
    };
    Some(reading)
}

/// Shape 9: Cloudflare's list.
fn error_list(map: &Map<String, Value>) -> Option<Reading> {
    let first = map.get("errors")?.as_array()?.first()?;
    let mut reading = first.as_object().map(members).unwrap_or_default();
    if reading.message.is_empty() {
        reading.message = spoken(first);
    }
    Some(reading)
}

/// Shape 10: MiniMax, under a 200.
fn base_resp(map: &Map<String, Value>) -> Option<Reading> {
    let inner = map.get("base_resp")?.as_object()?;
    let code = inner.get("status_code")?.as_i64().filter(|code| *code != 0)?;
    let message = inner.get("status_msg").map(spoken).unwrap_or_default();
    let native_type = match code {
        1002 | 1039 => Some("rate_limit_error"),
        1004 | 2049 => Some("authentication_error"),
        1008 => Some("insufficient_balance"),
        1026 | 1027 => Some("content_filter"),
        1001 => Some("timeout_error"),
        2013 => Some("invalid_request_error"),
        _ => None,
    };
    let native_type = native_type.map(str::to_owned);
    Some(Reading { message, native_type, code: Some(code.to_string()), ..Reading::default() })
}

/// The members most shapes share.
fn members(map: &Map<String, Value>) -> Reading {
    let word = |name: &str| match map.get(name) {
        Some(Value::String(text)) if !text.is_empty() => Some(text.clone()),
        Some(Value::Number(number)) => Some(number.to_string()),
        _ => None,
    };
    let code = word("code").or_else(|| word("error_code"));
    let status = ["status", "statusCode", "status_code", "code"].iter().find_map(|name| {
        let number = match map.get(*name)? {
            Value::Number(number) => number.as_u64()?,
            Value::String(text) => text.parse().ok()?,
            _ => return None,
        };
        u16::try_from(number).ok().filter(|status| (400..600).contains(status))
    });
    Reading {
        message: map.get("message").or_else(|| map.get("msg")).map(spoken).unwrap_or_default(),
        native_type: word("type").or_else(|| map.get("status").and_then(Value::as_str).map(str::to_owned)),
        code,
        param: word("param"),
        status,
    }
}

/// The words in a message that may be text, an object around text, or a list of complaints.
fn spoken(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(map) => {
            let inner =
                ["message", "msg", "detail", "error", "status"].iter().find_map(|name| map.get(*name));
            let place = map.get("loc").and_then(Value::as_array).map(|loc| {
                loc.iter().map(|step| step.as_str().map_or_else(|| step.to_string(), str::to_owned))
            });
            match (inner, place) {
                (Some(inner), Some(loc)) => {
                    format!("{}: {}", loc.collect::<Vec<_>>().join("."), spoken(inner))
                }
                (Some(inner), None) => spoken(inner),
                (None, _) => value.to_string(),
            }
        }
        Value::Array(list) => list.iter().map(spoken).collect::<Vec<_>>().join("; "),
        other => other.to_string(),
    }
}

impl Reading {
    fn classify(self, status: u16) -> Failure {
        let mut message = cut(&mask(&self.message), MAX_MESSAGE);
        let known = if status >= 400 { status } else { self.status.unwrap_or(status) };
        let kind = self.kind_of_words(known).unwrap_or_else(|| kind_of_status(known));
        if message.is_empty() {
            message =
                self.code.clone().or_else(|| self.native_type.clone()).unwrap_or_else(|| "no message".into());
        }
        Failure {
            status: settled(status, self.status, kind),
            kind,
            message,
            native_type: self.native_type.as_deref().map(mask),
            code: self.code.as_deref().map(mask),
            param: self.param,
        }
    }

    fn kind_of_words(&self, status: u16) -> Option<FailureKind> {
        let code = self.code.as_deref().unwrap_or_default().to_ascii_lowercase();
        let native = self.native_type.as_deref().unwrap_or_default().to_ascii_lowercase();
        let message = self.message.to_ascii_lowercase();
        kind_of_code(&code)
            .or_else(|| kind_of_message(&message, status))
            .or_else(|| kind_of_code(&native))
            .or_else(|| {
                (native == "invalid_request_error" && status < 400).then_some(FailureKind::InvalidRequest)
            })
    }
}

fn kind_of_code(word: &str) -> Option<FailureKind> {
    const WORDS: [(FailureKind, &[&str]); 11] = [
        (FailureKind::ContextLength, &["context_length", "context_window", "model_context_window"]),
        (FailureKind::ContentPolicy, &["content_policy", "content_filter", "responsibleaipolicy", "safety"]),
        (
            FailureKind::Quota,
            &[
                "insufficient_quota",
                "current_quota",
                "billing",
                "insufficient_balance",
                "insufficient_credit",
                "payment_required",
            ],
        ),
        (
            FailureKind::Authentication,
            &["invalid_api_key", "authentication", "api_key_invalid", "unauthenticated", "unauthorized"],
        ),
        (FailureKind::ModelNotFound, &["model_not_found", "model_not_exist", "model_not_available"]),
        (FailureKind::Permission, &["permission", "forbidden", "access_denied"]),
        (FailureKind::Overloaded, &["overloaded", "unavailable", "server_busy"]),
        (
            FailureKind::RateLimited,
            &["rate_limit", "ratelimit", "resource_exhausted", "throttl", "too_many_requests"],
        ),
        (FailureKind::TooLarge, &["request_too_large", "payload_too_large"]),
        (FailureKind::Timeout, &["timeout", "deadline_exceeded"]),
        (FailureKind::NotFound, &["not_found"]),
    ];
    find(word, &WORDS)
}

fn kind_of_message(message: &str, status: u16) -> Option<FailureKind> {
    const LENGTH: [(FailureKind, &[&str]); 1] = [(
        FailureKind::ContextLength,
        &[
            "maximum context length",
            "prompt is too long",
            "context window",
            "context length",
            "maximum prompt length",
            "input is too long",
            "exceeds the maximum number of tokens",
            "reduce the length of the messages",
        ],
    )];
    const WORDS: [(FailureKind, &[&str]); 4] = [
        (FailureKind::ContentPolicy, &["safety system", "content management policy", "content policy"]),
        (
            FailureKind::Quota,
            &[
                "exceeded your current quota",
                "insufficient balance",
                "insufficient credits",
                "credit balance is too low",
            ],
        ),
        (FailureKind::Authentication, &["incorrect api key", "invalid api key", "api key not valid"]),
        (FailureKind::Overloaded, &["overloaded", "over capacity"]),
    ];
    // A 429 may speak of lengths and windows and still be about a rate.
    let length = if status == 429 { None } else { find(message, &LENGTH) };
    let missing = message.contains("model")
        && matches!(status, 400 | 404)
        && ["does not exist", "not found", "not exist"].iter().any(|word| message.contains(word));
    length.or_else(|| find(message, &WORDS)).or(missing.then_some(FailureKind::ModelNotFound))
}

fn find(text: &str, table: &[(FailureKind, &[&str])]) -> Option<FailureKind> {
    table.iter().find(|(_, words)| words.iter().any(|word| text.contains(word))).map(|(kind, _)| *kind)
}

fn kind_of_status(status: u16) -> FailureKind {
    match status {
        401 => FailureKind::Authentication,
        402 => FailureKind::Quota,
        403 => FailureKind::Permission,
        404 => FailureKind::NotFound,
        408 | 504 => FailureKind::Timeout,
        413 => FailureKind::TooLarge,
        429 => FailureKind::RateLimited,
        503 | 529 => FailureKind::Overloaded,
        400..=499 => FailureKind::InvalidRequest,
        _ => FailureKind::Upstream,
    }
}

/// The status to report: the answer's own when it is an error's, else the body's, else the kind's.
fn settled(status: u16, named: Option<u16>, kind: FailureKind) -> u16 {
    if status >= 400 {
        return status;
    }
    named.unwrap_or(match kind {
        FailureKind::InvalidRequest | FailureKind::ContextLength | FailureKind::ContentPolicy => 400,
        FailureKind::Authentication => 401,
        FailureKind::Permission => 403,
        FailureKind::ModelNotFound | FailureKind::NotFound => 404,
        FailureKind::TooLarge => 413,
        FailureKind::Quota | FailureKind::RateLimited => 429,
        FailureKind::Overloaded => 503,
        FailureKind::Timeout => 504,
        FailureKind::Upstream => 502,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_among_googles_details_is_read() {
        let body = |delay: &str| {
            format!(
                r#"{{"error":{{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED","details":[
                    {{"@type":"type.googleapis.com/google.rpc.Help","links":[]}},
                    {{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":{delay}}}]}}}}"#
            )
        };
        for (delay, expected) in [
            ("\"17s\"", Some(17_000)),
            ("\"3.5s\"", Some(3_500)),
            ("\"0.000000001s\"", Some(1)),
            ("\"0s\"", Some(0)),
            ("\"-1s\"", None),
            ("\"1e99s\"", None),
            ("\"NaNs\"", None),
            ("\"17\"", None),
            ("17", None),
        ] {
            assert_eq!(retry_delay_ms(body(delay).as_bytes()), expected, "{delay}");
            assert_eq!(retry_delay_ms(format!("[{}]", body(delay)).as_bytes()), expected, "[{delay}]");
        }
        assert_eq!(retry_delay_ms(b"\"retryDelay\" of no JSON"), None);
        assert_eq!(retry_delay_ms(br#"{"retryDelay":"1s"}"#), None);
    }
}
