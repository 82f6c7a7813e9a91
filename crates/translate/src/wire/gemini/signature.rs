//! Thought signatures. Google's are bytes, so SDKs decode and encode them anew: what is put there for
//! another maker must be base64 as well, and comes back in either alphabet.

use std::borrow::Cow;

use super::Wire;
use crate::base64;
use crate::ir::Signature;

/// What stands in `thoughtSignature` for a call that another model made, or whose signature was lost:
/// https://ai.google.dev/gemini-api/docs/thought-signatures names it for histories from elsewhere.
pub(super) const PLACEHOLDER: &str = "skip_thought_signature_validator";

/// The base64 of `bifrost`, with which every mark of ours begins.
const MARKED: &str = "Ymlmcm9zd";
/// Stands before encrypted reasoning, which has no place of its own here.
const REDACTED: &str = "bifrost-redacted:";

/// What a caller sent as a signature.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Sent {
    Signature(Signature),
    /// Encrypted reasoning of another maker.
    Redacted(String),
}

/// Reads what a caller sent.
pub(super) fn read(text: String) -> Sent {
    let marked = text.starts_with(MARKED).then(|| text_behind(&text)).flatten();
    match marked {
        Some(mark) => match mark.strip_prefix(REDACTED) {
            Some(redacted) => Sent::Redacted(redacted.to_owned()),
            // Only a mark that names a maker is one: anything else stays as it came.
            None => match Signature::read(Wire::Gemini, mark) {
                known if known.by != Wire::Gemini => Sent::Signature(known),
                _ => Sent::Signature(Signature::of(Wire::Gemini, text)),
            },
        },
        None => Sent::Signature(Signature::of(Wire::Gemini, text)),
    }
}

/// As a caller gets it.
pub(super) fn written(signature: &Signature) -> Cow<'_, str> {
    match signature.written(Wire::Gemini) {
        Cow::Owned(mark) => Cow::Owned(base64::encode(mark.as_bytes())),
        plain => plain,
    }
}

/// Encrypted reasoning, as a caller gets it.
pub(super) fn redacted(data: &str) -> String {
    base64::encode(format!("{REDACTED}{data}").as_bytes())
}

/// The text behind base64; `None` when it is none, or no UTF-8.
fn text_behind(text: &str) -> Option<String> {
    String::from_utf8(base64::decode(text)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_signatures_and_encrypted_reasoning_survive_a_client_that_recodes_them() {
        for by in [Wire::Anthropic, Wire::Cohere, Wire::OpenAiResponses] {
            let signature = Signature::of(by, "EqQB+/=ü?");
            let text = written(&signature).replace('+', "-").replace('/', "_");
            assert_eq!(read(text), Sent::Signature(signature));
        }
        assert_eq!(read(redacted("EmwK/+==")), Sent::Redacted("EmwK/+==".into()));
    }

    #[test]
    fn google_s_own_signatures_stay_byte_for_byte() {
        for text in ["CiQB0e2Kb-_x==", "", "Ymlmcm9zdA==", "not base64!", "Ymlmcm9zdDpub2JvZHk6eA=="] {
            let signature = Signature::of(Wire::Gemini, text);
            assert_eq!(written(&signature), text);
            assert_eq!(read(text.to_owned()), Sent::Signature(signature));
        }
    }
}
