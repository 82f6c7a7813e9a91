//! The fuzz entry points on a stable toolchain: seeds, mutated for a while.
//!
//! `BIFROST_FUZZ_SECONDS` says how long each target runs (default 2). A find prints its input; put it
//! into `fuzz/corpus/<target>/`, where it is run first from then on.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a broken corpus may panic")]

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use translate::fuzzing;

#[test]
fn frames() {
    smoke("frames", fuzzing::frames);
}

#[test]
fn event_stream_frames() {
    smoke("event_stream_frames", fuzzing::event_stream_frames);
}

#[test]
fn request_bedrock_converse() {
    smoke("request_bedrock_converse", fuzzing::request_bedrock_converse);
}

#[test]
fn stream_bedrock_converse() {
    smoke("stream_bedrock_converse", fuzzing::stream_bedrock_converse);
}

#[test]
fn request_openai_chat() {
    smoke("request_openai_chat", fuzzing::request_openai_chat);
}

#[test]
fn request_anthropic() {
    smoke("request_anthropic", fuzzing::request_anthropic);
}

#[test]
fn stream_openai_chat() {
    smoke("stream_openai_chat", fuzzing::stream_openai_chat);
}

#[test]
fn stream_anthropic() {
    smoke("stream_anthropic", fuzzing::stream_anthropic);
}

#[test]
fn request_openai_responses() {
    smoke("request_openai_responses", fuzzing::request_openai_responses);
}

#[test]
fn stream_openai_responses() {
    smoke("stream_openai_responses", fuzzing::stream_openai_responses);
}

#[test]
fn request_cohere() {
    smoke("request_cohere", fuzzing::request_cohere);
}

#[test]
fn stream_cohere() {
    smoke("stream_cohere", fuzzing::stream_cohere);
}

#[test]
fn request_gemini() {
    smoke("request_gemini", fuzzing::request_gemini);
}

#[test]
fn response_gemini() {
    smoke("response_gemini", fuzzing::response_gemini);
}

#[test]
fn count_tokens() {
    smoke("count_tokens", fuzzing::count_tokens);
}

#[test]
fn stream_gemini() {
    smoke("stream_gemini", fuzzing::stream_gemini);
}

#[test]
fn response_replicate() {
    smoke("response_replicate", fuzzing::response_replicate);
}

#[test]
fn stream_replicate() {
    smoke("stream_replicate", fuzzing::stream_replicate);
}

#[test]
fn stored_answer() {
    smoke("stored_answer", fuzzing::stored_answer);
}

#[test]
fn two_questions() {
    smoke("two_questions", fuzzing::two_questions);
}

/// Text that means something to one of the targets.
const WORDS: &[&[u8]] = &[
    b"data: ",
    b"event: ",
    b"\n\n",
    b"\r\n",
    b"\r",
    b"[DONE]",
    b"null",
    b"{}",
    b"[]",
    b"\"\"",
    b"true",
    b"-1",
    b"1e400",
    b"18446744073709551616",
    b"\\u0000",
    b"\\ud800",
    b"\xEF\xBB\xBF",
    b"\xFF",
    b"\"role\":",
    b"\"toolUse\":",
    b"\"contentBlockIndex\":",
    b"\"reasoningContent\":",
    b"\"cachePoint\":{\"type\":\"default\"}",
    b"\"content\":",
    b"\"type\":",
    b"\"index\":",
    b"\"tool_calls\":",
    b"\"usage\":",
    b"\"error\":",
    b"\"finish_reason\":",
    b"\"stop_reason\":",
    b"\"output_index\":",
    b"\"item\":",
    b"\"encrypted_content\":",
    b"\"candidates\":",
    b"\"finishReason\":\"STOP\"",
    b"\"functionCall\":",
    b"\"thoughtSignature\":",
    b"\"status\":\"succeeded\"",
    b"\"output\":",
    b"event: output\n",
    b"event: done\n",
    b"\"part\":\"text\"",
    b" not ",
    b" 5 km ",
    b"'s ",
    b"\xE6\x97\xA5",
    b"\xCC\x81",
    b"`",
    b",",
    b"{",
    b"}",
    b"[",
    b"]",
];

fn smoke(target: &str, run: fn(&[u8])) {
    let seeds = seeds(target);
    seeds.iter().for_each(|seed| check(target, run, seed));
    let seconds =
        std::env::var("BIFROST_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(2.0);
    let end = Instant::now() + Duration::from_secs_f64(seconds);
    let mut dice = Dice(0x5eed);
    let mut runs = 0_u64;
    while Instant::now() < end {
        let mut input = seeds[dice.below(seeds.len())].clone();
        for _ in 0..=dice.below(6) {
            mutate(&mut input, &seeds, &mut dice);
        }
        check(target, run, &input);
        runs += 1;
    }
    assert!(runs > 0, "{target} ran on no mutated input");
    println!("{target}: {runs} inputs");
}

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut paths: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "no seeds in {}", folder.display());
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

fn check(target: &str, run: fn(&[u8]), input: &[u8]) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| run(input))) {
        eprintln!("{target} broke on b\"{}\"", input.escape_ascii());
        resume_unwind(panic);
    }
}

fn mutate(input: &mut Vec<u8>, seeds: &[Vec<u8>], dice: &mut Dice) {
    let at = dice.below(input.len() + 1);
    let to = (at + dice.below(40)).min(input.len());
    match dice.below(7) {
        0 => input.truncate(at),
        1 => drop(input.drain(at..to)),
        2 => drop(input.splice(at..at, WORDS[dice.below(WORDS.len())].iter().copied())),
        3 => drop(input.splice(at..to, WORDS[dice.below(WORDS.len())].iter().copied())),
        4 => drop(input.splice(at..at, input[at..to].to_vec())),
        5 => {
            let other = &seeds[dice.below(seeds.len())];
            input.splice(at..to, other[dice.below(other.len())..].iter().copied().take(60));
        }
        _ if at < input.len() => input[at] = dice.below(256) as u8,
        _ => input.push(dice.below(256) as u8),
    }
}

/// A linear congruential generator: the same run every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % limit.max(1)
    }
}
