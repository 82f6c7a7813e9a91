//! Ids of tool calls within what a provider takes. A conversation may have begun at another provider, whose
//! ids are longer, of other signs, or missing: call and result must still name each other.
//!
//! Equal ids stay equal and different ones stay different, on every machine and in every turn: prompt
//! caches see them. Must not remember anything beyond one request.

use std::borrow::Cow;
use std::collections::{HashSet, VecDeque};

use serde_json::Value;

use crate::ir::{Message, Part};

/// What a provider takes as the id of a call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct IdRule {
    /// Most signs, each of one byte.
    most: usize,
    takes: fn(u8) -> bool,
    /// Exactly `most` signs, letters and digits only.
    exact: bool,
}

impl IdRule {
    /// Anthropic: `^[a-zA-Z0-9_-]+$`.
    pub(crate) const WORD: Self = Self { most: usize::MAX, takes: is_word, exact: false };
    /// Bedrock Converse: `^[a-zA-Z0-9_-]{1,64}$`.
    pub(crate) const CONVERSE: Self = Self { most: 64, takes: is_word, exact: false };
    /// OpenAI's chat endpoint: forty signs of any kind.
    pub(crate) const FORTY: Self = Self { most: 40, takes: |byte| !byte.is_ascii_control(), exact: false };
    /// Mistral's models: nine letters and digits.
    pub(crate) const NINE: Self = Self { most: 9, takes: |byte| byte.is_ascii_alphanumeric(), exact: true };
    /// Whatever the provider's models wrote.
    pub(crate) const ANY: Self = Self { most: usize::MAX, takes: |_| true, exact: false };
}

/// The id as the rule has it. One that fits stays as it is; one that does not keeps its beginning and gets a
/// digest of the whole.
pub(crate) fn fit(id: &str, rule: IdRule) -> Cow<'_, str> {
    let long_enough = !id.is_empty() && (!rule.exact || id.len() == rule.most);
    if long_enough && id.len() <= rule.most && id.bytes().all(rule.takes) {
        return Cow::Borrowed(id);
    }
    let digest = digest(id);
    if rule.exact {
        return Cow::Owned(base62(digest, rule.most));
    }
    // An underscore and sixteen digits stand behind it.
    let most = rule.most.saturating_sub(17).min(40);
    let sign = |c: char| if c.is_ascii() && (rule.takes)(c as u8) { c } else { '_' };
    let kept: String = id.chars().map(sign).take(most).collect();
    let kept = if kept.is_empty() { "toolu" } else { &kept };
    Cow::Owned(format!("{kept}_{digest:016x}"))
}

/// The ids of one request, in the order of its messages.
#[derive(Debug)]
pub(crate) struct CallIds<'a> {
    rule: IdRule,
    known: HashSet<&'a str>,
    /// Calls without an id so far, and those of them that have no result yet.
    unnamed: u32,
    open: VecDeque<u32>,
}

impl<'a> CallIds<'a> {
    pub(crate) fn new(rule: IdRule) -> Self {
        Self { rule, known: HashSet::new(), unnamed: 0, open: VecDeque::new() }
    }

    /// A call that is written as it came.
    pub(crate) fn whole(&mut self, call: &'a Value) {
        self.known.extend(call.get("id").and_then(Value::as_str));
    }

    /// The id to write for a call. Calls without one are numbered.
    pub(crate) fn call(&mut self, id: &'a str) -> Cow<'a, str> {
        if !id.is_empty() {
            self.known.insert(id);
            return fit(id, self.rule);
        }
        let number = self.unnamed;
        self.unnamed += 1;
        self.open.push_back(number);
        self.numbered(number)
    }

    /// The id to write for a result; `None` when no call before it bears that id. Results without one belong
    /// to the calls without one, in their order.
    pub(crate) fn result(&mut self, id: &'a str) -> Option<Cow<'a, str>> {
        if !id.is_empty() {
            return self.known.contains(id).then(|| fit(id, self.rule));
        }
        let number = self.open.pop_front()?;
        Some(self.numbered(number))
    }

    fn numbered(&self, number: u32) -> Cow<'a, str> {
        Cow::Owned(fit(&format!("call_unnamed_{number}"), self.rule).into_owned())
    }
}

/// The first result that answers no call before it: the numbers of its message and part, and its id. Every
/// wire refuses one.
pub(crate) fn orphan(messages: &[Message]) -> Option<(usize, usize, &str)> {
    let mut known = HashSet::new();
    for (at, message) in messages.iter().enumerate() {
        for (part, one) in message.parts.iter().enumerate() {
            match one {
                Part::ToolCall(call) => drop(known.insert(call.id.as_str())),
                Part::Opaque { value, .. } => known.extend(value.get("id").and_then(Value::as_str)),
                Part::ToolResult(result) if !known.contains(result.call_id.as_str()) => {
                    return Some((at, part, &result.call_id));
                }
                _ => {}
            }
        }
    }
    None
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

/// FNV-1a: the same on every machine and in every version.
pub(super) fn digest(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

fn base62(mut number: u64, length: usize) -> String {
    let mut out = String::with_capacity(length);
    for _ in 0..length {
        out.push(char::from(match (number % 62) as u8 {
            digit @ 0..=9 => b'0' + digit,
            letter @ 10..=35 => b'a' + letter - 10,
            letter => b'A' + letter - 36,
        }));
        number /= 62;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fitting_id_stays_and_another_fits_afterwards() {
        for (rule, id) in [
            (IdRule::WORD, "toolu_01-A"),
            (IdRule::FORTY, "functions.f:0"),
            (IdRule::NINE, "a1B2c3D4e"),
            (IdRule::ANY, "é\u{1}"),
        ] {
            assert!(matches!(fit(id, rule), Cow::Borrowed(same) if same == id), "{id}");
        }
        let long = "x".repeat(300);
        for rule in [IdRule::WORD, IdRule::CONVERSE, IdRule::FORTY, IdRule::NINE] {
            let mut seen = HashSet::new();
            for id in ["", "a.b", "a:b", "é", &long, "call_1234567890", "\u{0}", "0"] {
                let fitted = fit(id, rule).into_owned();
                assert!(fitted.len() <= rule.most && fitted.bytes().all(rule.takes), "{id} {fitted}");
                assert_eq!(fit(&fitted, rule), fitted, "fitting twice changes nothing");
                assert_eq!(fit(id, rule), fitted);
                assert!(seen.insert(fitted), "{id}");
            }
        }
        assert_eq!(fit("a:b", IdRule::NINE).len(), 9);
        assert_eq!(fit(&long, IdRule::FORTY).len(), 40);
    }

    #[test]
    fn calls_and_results_without_ids_meet_in_their_order() {
        let mut ids = CallIds::new(IdRule::NINE);
        let calls = [ids.call(""), ids.call("a:b"), ids.call("")];
        assert_ne!(calls[0], calls[2]);
        assert_eq!(ids.result("").as_ref(), Some(&calls[0]));
        assert_eq!(ids.result("a:b").as_ref(), Some(&calls[1]));
        assert_eq!(ids.result("").as_ref(), Some(&calls[2]));
        assert_eq!((ids.result(""), ids.result("later")), (None, None));
    }
}
