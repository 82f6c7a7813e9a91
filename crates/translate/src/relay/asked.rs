//! How many answers a chat request asks for at once: a stream is whole when as many have ended.

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

fn count(json: &[u8]) -> Option<u64> {
    std::str::from_utf8(json).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

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
