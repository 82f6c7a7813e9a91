//! How many answers a chat request asks for at once: a stream is whole when as many have ended.

use serde::de::IgnoredAny;

use super::members::Members;
use crate::Wire;

/// The number of choices a body of `dialect` asks for; 1 where it says nothing, nothing sensible, or the dialect
/// knows one only. `members` must be of this body.
#[must_use]
pub fn choices_asked(dialect: Wire, body: &[u8], members: &Members) -> u64 {
    let asked = match dialect {
        Wire::OpenAiChat => members.value(body, "n").and_then(count),
        Wire::Gemini => ["generationConfig", "generation_config"].iter().find_map(|name| {
            let config = members.value(body, name)?;
            let inner = Members::scan(config).ok()?;
            ["candidateCount", "candidate_count"].iter().find_map(|name| count(inner.value(config, name)?))
        }),
        Wire::Anthropic | Wire::BedrockConverse | Wire::Cohere | Wire::OpenAiResponses | Wire::Replicate => {
            None
        }
    };
    asked.unwrap_or(1).max(1)
}

/// The number of prompts in a body of text completions: each is answered by as many choices as are asked for.
/// One list of tokens is one prompt. `members` must be of this body.
#[must_use]
pub fn prompts_asked(body: &[u8], members: &Members) -> u64 {
    let list = members.value(body, "prompt").and_then(|json| json.trim_ascii_start().strip_prefix(b"["));
    let first = list.and_then(|list| list.trim_ascii_start().first());
    let several = matches!(first, Some(b'"' | b'['));
    let list = members.value(body, "prompt").filter(|_| several);
    let prompts = list.and_then(|json| serde_json::from_slice::<Vec<IgnoredAny>>(json).ok());
    prompts.and_then(|prompts| u64::try_from(prompts.len()).ok()).unwrap_or(1)
}

fn count(json: &[u8]) -> Option<u64> {
    std::str::from_utf8(json).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_of_several_prompts_is_answered() {
        for (prompt, prompts) in [
            (r#""a""#, 1),
            (r#"["a"]"#, 1),
            (r#" [ "a,[", "b" ,"c"]"#, 3),
            ("[1,2,3]", 1),
            ("[[1,2],[3]]", 2),
            ("[]", 1),
            ("null", 1),
        ] {
            let body = format!(r#"{{"model":"m","prompt":{prompt}}}"#);
            let members = Members::read(body.as_bytes()).unwrap();
            assert_eq!(prompts_asked(body.as_bytes(), &members), prompts, "{prompt}");
        }
        assert_eq!(prompts_asked(b"{}", &Members::read(b"{}").unwrap()), 1);
    }

    #[test]
    fn the_number_of_choices_is_read_where_the_dialect_has_it() {
        let asked = |dialect, body: &str| {
            choices_asked(dialect, body.as_bytes(), &Members::read(body.as_bytes()).unwrap())
        };
        assert_eq!(asked(Wire::OpenAiChat, r#"{"n":3}"#), 3);
        assert_eq!(asked(Wire::Gemini, r#"{"generationConfig":{"topK":1,"candidateCount":2}}"#), 2);
        assert_eq!(asked(Wire::Gemini, r#"{"generation_config":{"candidate_count":4}}"#), 4);
        for body in [r#"{}"#, r#"{"n":null}"#, r#"{"n":0}"#, r#"{"n":"2"}"#, r#"{"n":-1}"#, r#"{"n":1.5}"#] {
            assert_eq!(asked(Wire::OpenAiChat, body), 1, "{body}");
        }
        assert_eq!(asked(Wire::Anthropic, r#"{"n":3}"#), 1);
        assert_eq!(asked(Wire::Gemini, r#"{"generationConfig":[]}"#), 1);
    }
}
