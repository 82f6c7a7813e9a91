//! What a request is expected to use, before anybody is asked: its input by its bytes, its output by what it allows and
//! what others like it have written.
//!
//! An expectation is held and given back, never billed. Too high, callers wait for each other; too low, a budget is
//! passed by what it was too low. Which of the two an operator minds is `governance.reservations`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use govern::hedge::Times;
use serde_json::Value;
use translate::ir::Usage;
use translate::relay::Peek;

use super::meters::now_ms;
use crate::config::governance::Reservations;

/// Output of a request of which nothing is known and that may write more: most answers are shorter.
const COMMON_OUTPUT: u64 = 4_096;
/// Output of a request that names no maximum, at a model whose maximum nobody knows.
const LARGEST_OUTPUT: u64 = 65_536;
/// Texts longer than this, in bytes, without a space are files and no texts.
const LONGEST_WORD: usize = 4_096;
/// Tokens of a file: an image, as most providers count it.
const COMMON_FILE: u64 = 1_600;
/// Tokens of the largest image that any provider counts.
const LARGEST_FILE: u64 = 6_000;
/// Part of recent answers, per thousand, that were no longer than what is expected.
const MOST: u32 = 950;

/// How large a request is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Size {
    /// Bytes of text.
    text: u64,
    files: u64,
    file_bytes: u64,
    /// Most tokens that it lets the model write, over all its answers.
    max_output: Option<u64>,
    /// How many answers it asks for.
    answers: u64,
}

impl Size {
    /// Of a body, as its dialect has it.
    #[must_use]
    pub fn of(body: &[u8], peek: &Peek<'_>) -> Self {
        let number = |name: &str| {
            peek.members.value(body, name).and_then(|value| serde_json::from_slice::<u64>(value).ok())
        };
        let inner = |name: &str, member: &str| {
            let value: Value = serde_json::from_slice(peek.members.value(body, name)?).ok()?;
            value.get(member)?.as_u64()
        };
        let named = ["max_tokens", "max_completion_tokens", "max_output_tokens", "max_tokens_to_sample"];
        let nested = [
            ("generationConfig", "maxOutputTokens"),
            ("generation_config", "max_output_tokens"),
            ("inferenceConfig", "maxTokens"),
        ];
        // The largest of them: which one the provider goes by is not known here, and a caller may send two.
        let nested = nested.into_iter().filter_map(|(name, member)| inner(name, member));
        let most = named.into_iter().filter_map(number).chain(nested).max();
        let counts = [number("n"), number("best_of"), inner("generationConfig", "candidateCount")];
        let answers = counts.into_iter().flatten().max().unwrap_or(1).max(1);
        let mut size = Self { max_output: most, answers, ..Self::default() };
        for word in body.split(|byte| *byte == b'"') {
            let length = u64::try_from(word.len()).unwrap_or(u64::MAX);
            if word.len() > LONGEST_WORD && word.iter().take(512).all(is_of_a_file) {
                size.files += 1;
                size.file_bytes = size.file_bytes.saturating_add(length);
            } else {
                size.text = size.text.saturating_add(length);
            }
        }
        size
    }

    /// What is expected of it. `learned`: the output that nearly all requests like it stayed within; `cap`: the most the
    /// model writes. `writes` is false for what has no output: embeddings, rankings.
    #[must_use]
    pub fn expected(
        &self,
        mode: Reservations,
        writes: bool,
        learned: Option<u64>,
        cap: Option<u64>,
    ) -> Usage {
        let (input_uncached, each) = match mode {
            Reservations::Off => return Usage::default(),
            Reservations::Strict => {
                let files = self.files.saturating_mul(LARGEST_FILE).max(self.file_bytes / 16);
                (self.text.div_ceil(2).saturating_add(files), self.most(cap))
            }
            Reservations::Adaptive => {
                let files = self.files.saturating_mul(COMMON_FILE);
                let most = self.most(cap).min(learned.unwrap_or(COMMON_OUTPUT));
                (self.text.div_ceil(4).saturating_add(files), most)
            }
        };
        let output = if writes { each.saturating_mul(self.answers) } else { 0 };
        Usage { input_uncached, output, ..Usage::default() }
    }

    fn most(&self, cap: Option<u64>) -> u64 {
        match (self.max_output, cap) {
            (Some(asked), Some(cap)) => asked.min(cap),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => LARGEST_OUTPUT,
        }
    }
}

/// Base64, and what stands before it in a URL of data. Many languages are written without spaces: their texts are none.
fn is_of_a_file(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+/=-_:;,.".contains(byte)
}

/// What answers to requests of a virtual key for a model have written lately.
#[derive(Debug, Default)]
pub struct Learned {
    seen: RwLock<HashMap<Name, Arc<Mutex<Times>>>>,
}

/// Virtual key (empty: all of them), provider and model.
type Name = (Box<str>, Box<str>, Box<str>);

impl Learned {
    /// Callers can name any model: memory must not follow them.
    const NAMES: usize = 16_384;
    /// Times are told apart from 512 on, and tokens from 1 on.
    const SCALE: u64 = 512;

    /// An answer had so many tokens of output.
    pub fn took(&self, (key, provider, model): (&str, &str, &str), output: u64) {
        let now_ms = now_ms();
        let keys = [key, ""];
        for key in keys.iter().take(if key.is_empty() { 1 } else { 2 }) {
            if let Some(times) = self.times((key, provider, model), true) {
                let mut times = times.lock().unwrap_or_else(PoisonError::into_inner);
                times.add(output.saturating_mul(Self::SCALE), now_ms);
            }
        }
    }

    /// The output that nearly all recent answers stayed within: of this key, else of all keys. `None`: too few are known.
    #[must_use]
    pub fn most(&self, (key, provider, model): (&str, &str, &str)) -> Option<u64> {
        [key, ""].iter().find_map(|key| {
            let times = self.times((key, provider, model), false)?;
            let within = times.lock().unwrap_or_else(PoisonError::into_inner).within(MOST, now_ms())?;
            Some(within.div_ceil(Self::SCALE))
        })
    }

    fn times(&self, (key, provider, model): (&str, &str, &str), make: bool) -> Option<Arc<Mutex<Times>>> {
        let name: Name = (key.into(), provider.into(), model.into());
        let known = self.seen.read().unwrap_or_else(PoisonError::into_inner).get(&name).cloned();
        if known.is_some() || !make {
            return known;
        }
        let mut seen = self.seen.write().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= Self::NAMES && !seen.contains_key(&name) {
            return None;
        }
        Some(Arc::clone(seen.entry(name).or_insert_with(|| Arc::new(Mutex::new(Times::new(now_ms()))))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use translate::relay;

    fn size(body: &str) -> Size {
        Size::of(body.as_bytes(), &relay::peek(body.as_bytes()).unwrap())
    }

    #[test]
    fn the_most_that_a_request_allows_is_found_in_every_dialect() {
        for (body, most, answers) in [
            (r#"{"model":"m","max_tokens":7}"#, Some(7), 1),
            (r#"{"model":"m","max_completion_tokens":7,"n":3}"#, Some(7), 3),
            (r#"{"model":"m","max_output_tokens":7}"#, Some(7), 1),
            (r#"{"model":"m","generationConfig":{"maxOutputTokens":7,"candidateCount":2}}"#, Some(7), 1),
            (r#"{"model":"m","inferenceConfig":{"maxTokens":7}}"#, Some(7), 1),
            (r#"{"model":"m","max_tokens":"7"}"#, None, 1),
            (r#"{"model":"m","max_tokens":1,"max_completion_tokens":7}"#, Some(7), 1),
            (r#"{"model":"m","max_tokens":1,"generationConfig":{"maxOutputTokens":7}}"#, Some(7), 1),
            (r#"{"model":"m","max_tokens":7,"n":1,"best_of":3}"#, Some(7), 3),
        ] {
            let size = size(body);
            assert_eq!(size.max_output, most, "{body}");
            assert!(size.answers >= answers, "{body}");
        }
    }

    #[test]
    fn files_count_as_files_and_not_as_texts() {
        let body = format!(r#"{{"model":"m","messages":[{{"content":"{}"}}]}}"#, "QUJD".repeat(250_000));
        let size = size(&body);
        assert_eq!(size.files, 1);
        let adaptive = size.expected(Reservations::Adaptive, true, Some(10), None);
        assert!(adaptive.input_uncached < 2_000 && adaptive.output == 10);
        assert!(size.expected(Reservations::Strict, true, Some(10), Some(99)).input_uncached > 60_000);
    }

    #[test]
    fn texts_without_spaces_are_no_files() {
        let body =
            format!(r#"{{"model":"m","messages":[{{"content":"{}"}}]}}"#, "金を数える。".repeat(2_000));
        let size = size(&body);
        assert_eq!(size.files, 0);
        assert!(size.expected(Reservations::Adaptive, true, Some(1), None).input_uncached > 8_000);
    }

    #[test]
    fn strict_expects_the_most_and_adaptive_what_is_common() {
        let size = size(r#"{"model":"m","max_tokens":50000}"#);
        let output = |mode, learned, cap| size.expected(mode, true, learned, cap).output;
        assert_eq!(output(Reservations::Strict, Some(5), None), 50_000);
        assert_eq!(output(Reservations::Strict, None, Some(8_192)), 8_192);
        assert_eq!(output(Reservations::Adaptive, None, None), COMMON_OUTPUT);
        assert_eq!(output(Reservations::Adaptive, Some(5), None), 5);
        assert_eq!(output(Reservations::Adaptive, Some(90_000), None), 50_000);
        assert_eq!(size.expected(Reservations::Off, true, None, None), Usage::default());
        assert_eq!(size.expected(Reservations::Strict, false, None, None).output, 0);
    }

    #[test]
    fn what_a_key_has_written_is_learned_and_stands_in_for_keys_that_are_new() {
        let learned = Learned::default();
        assert_eq!(learned.most(("a", "p", "m")), None);
        (0..40).for_each(|_| learned.took(("a", "p", "m"), 100));
        let most = learned.most(("a", "p", "m")).unwrap();
        assert!((100..=113).contains(&most), "{most}");
        assert_eq!(learned.most(("new", "p", "m")), Some(most));
        assert_eq!(learned.most(("a", "p", "other")), None);
    }
}
