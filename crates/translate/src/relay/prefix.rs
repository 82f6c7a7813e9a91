//! Which prompts begin alike: a number made of the beginning of a request's prompt, as it stands in the body.
//!
//! Providers and inference servers keep what they computed for the beginning of a prompt, and find it again when
//! another prompt begins the same way: tools first, then the system prompt, then the turns. So that is the order here,
//! whatever the body's. Up to the first turn of the user, which a conversation keeps to its end, and no further than a
//! few thousand bytes, so that one long system prompt brings all its conversations together. Nothing is
//! parsed but the first turns; what is unusual there ends the beginning.

use super::members::Members;
use crate::scan::Scanner;

/// Bytes that are looked at: about the thousand tokens below which providers keep nothing.
const LONGEST: usize = 4096;
/// Members in the order that caches see them.
const HEADS: [&str; 8] = [
    "tools",
    "toolConfig",
    "functions",
    "system",
    "instructions",
    "systemInstruction",
    "system_instruction",
    "preamble",
];
const TURNS: [&str; 4] = ["messages", "input", "contents", "prompt"];

/// The number of the prompt's beginning; `None` when the body has no prompt. A `prompt_cache_key` of the caller's says the
/// same better, and is taken instead.
#[must_use]
pub fn prompt_prefix(body: &[u8], members: &Members) -> Option<u64> {
    let mut hash = Hash { state: 0xcbf2_9ce4_8422_2325, left: LONGEST };
    if let Some(key) =
        members.value(body, "prompt_cache_key").filter(|key| key.len() > 2 && key.starts_with(b"\""))
    {
        hash.add(key);
        return Some(hash.state);
    }
    for head in HEADS.iter().filter_map(|name| members.value(body, name)) {
        hash.add(head);
        hash.add(b"\n");
    }
    let turns = TURNS.iter().find_map(|name| members.value(body, name));
    match turns.and_then(|turns| std::str::from_utf8(turns).ok()) {
        Some(turns) if turns.starts_with('[') => hash.add_turns(turns),
        Some(text) => hash.add(text.as_bytes()),
        None => {}
    }
    (hash.left < LONGEST).then_some(hash.state)
}

/// FNV-1a, up to a number of bytes.
struct Hash {
    state: u64,
    left: usize,
}

impl Hash {
    fn add_turns(&mut self, turns: &str) {
        // Ends early by giving up: the rest of the list is of no interest.
        let _ = Scanner::new(turns).list(|scanner| {
            let turn = scanner.raw()?;
            self.add(turn.as_bytes());
            self.add(b"\n");
            (self.left > 0 && !is_users(turn)).then_some(())
        });
    }

    /// Marks of where a cache ends wander from turn to turn; they are no part of the prompt.
    fn add(&mut self, mut bytes: &[u8]) {
        const MARK: &[u8] = b"\"cache_control\"";
        while let Some(at) = memchr::memmem::find(bytes, MARK).filter(|at| *at < self.left) {
            let (before, mark) = bytes.split_at(at);
            let kept = before.trim_ascii_end();
            self.bytes(kept.strip_suffix(b",").unwrap_or(before).trim_ascii_end());
            let end = mark.iter().position(|byte| *byte == b'}').map_or(mark.len(), |end| end + 1);
            bytes = mark.get(end..).unwrap_or_default();
        }
        self.bytes(bytes);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        let taken = bytes.get(..self.left).unwrap_or(bytes);
        self.left -= taken.len();
        for byte in taken {
            self.state = (self.state ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

/// A turn of the user's; what has no role is one.
fn is_users(turn: &str) -> bool {
    let mut role = None;
    let _ = Scanner::new(turn).object(|scanner, name| {
        let value = scanner.raw()?;
        if name == "role" {
            role = Some(value);
        }
        Some(())
    });
    role.is_none_or(|role| role == "\"user\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(body: &str) -> Option<u64> {
        prompt_prefix(body.as_bytes(), &Members::read(body.as_bytes()).unwrap())
    }

    fn chat(turns: &[(&str, &str)]) -> String {
        let turns: Vec<_> = turns
            .iter()
            .map(|(role, text)| serde_json::json!({"role": role, "content": text}).to_string())
            .collect();
        format!(r#"{{"model":"m","temperature":1,"messages":[{}]}}"#, turns.join(","))
    }

    #[test]
    fn a_conversation_keeps_its_number_and_another_has_its_own() {
        let one = of(&chat(&[("system", "s"), ("user", "hello")]));
        let later = [("system", "s"), ("user", "hello"), ("assistant", "hi"), ("user", "go on")];
        assert!(one.is_some());
        assert_eq!(one, of(&chat(&later)));
        assert_ne!(one, of(&chat(&[("system", "s"), ("user", "hullo")])));
        assert_ne!(one, of(&chat(&[("system", "t"), ("user", "hello")])));
    }

    #[test]
    fn a_long_system_prompt_brings_its_conversations_together() {
        let long = "s".repeat(5_000);
        let one = of(&chat(&[("system", &long), ("user", "one")]));
        assert_eq!(one, of(&chat(&[("system", &long), ("user", "two")])));
        assert_ne!(one, of(&chat(&[("system", &long.replace('s', "t")), ("user", "one")])));
    }

    #[test]
    fn the_order_of_members_and_the_settings_do_not_count() {
        let a = r#"{"model":"m","system":"s","tools":[1],"messages":[{"role":"user","content":"u"}]}"#;
        let b = r#"{"messages":[{"role":"user","content":"u"}],"max_tokens":9,"tools":[1],"system":"s"}"#;
        assert_eq!(of(a), of(b));
        assert_ne!(of(a), of(&a.replace("[1]", "[2]")));
    }

    #[test]
    fn marks_of_cache_ends_do_not_count() {
        let plain = r#"{"system":[{"type":"text","text":"s"}],"messages":[{"role":"user","content":"u"}]}"#;
        let marked = r#"{"system":[{"type":"text","text":"s","cache_control":{"type":"ephemeral"}}],"messages":[{"role":"user","content":"u"}]}"#;
        assert_eq!(of(plain), of(marked));
        let spaced = marked.replace(r#","cache"#, r#" , "cache"#);
        assert_eq!(of(plain), of(&spaced));
    }

    #[test]
    fn every_dialect_has_a_beginning() {
        for (one, other) in [
            (r#"{"input":"tell me"}"#, r#"{"input":"tell you"}"#),
            (r#"{"input":[{"role":"user","content":"a"}]}"#, r#"{"input":[{"role":"user","content":"b"}]}"#),
            (r#"{"contents":[{"parts":[{"text":"a"}]}]}"#, r#"{"contents":[{"parts":[{"text":"b"}]}]}"#),
            (r#"{"prompt":"a"}"#, r#"{"prompt":"b"}"#),
            (r#"{"prompt_cache_key":"a","input":"x"}"#, r#"{"prompt_cache_key":"b","input":"x"}"#),
        ] {
            assert!(of(one).is_some() && of(one) != of(other), "{one}");
        }
        assert_eq!(of(r#"{"model":"m"}"#), None);
        let keyed = |prompt: &str| of(&format!(r#"{{"prompt_cache_key":"a","input":"{prompt}"}}"#));
        assert_eq!(keyed("x"), keyed("y"));
    }
}
