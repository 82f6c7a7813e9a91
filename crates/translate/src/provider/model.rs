//! What a model takes: rules that age fast, read from `models.json`.
//!
//! The file is a list; for each field the first entry that matches the model and gives the field
//! counts. A name no entry knows falls through to the general entries at the end.

use std::borrow::Cow;
use std::cell::RefCell;
use std::sync::OnceLock;

use serde::Deserialize;

use super::InputNames;
use crate::Wire;
use crate::ir::Effort;
use crate::loss::Losses;

/// How a model is asked to reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThinkingStyle {
    /// No reasoning parameter is accepted.
    None,
    /// By a number of tokens (`thinking: {type: enabled, budget_tokens}`, `thinkingBudget`).
    Budget,
    /// By a word (`output_config.effort`, `thinkingLevel`, `maxReasoningEffort`).
    Adaptive,
    /// `thinkingBudget` between these, in tokens; 0 where it may be turned `off`.
    Range { least: u64, most: u64, off: bool },
    /// `thinkingLevel` low or high, and those of the others that are true. Cannot be turned off.
    Level { minimal: bool, medium: bool },
}

/// Which sampling parameters a model takes (Anthropic wire).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SamplingRule {
    /// All.
    Free,
    /// `temperature` or `top_p`, not both.
    NotBoth,
    /// Neither `temperature` other than 1, nor `top_p`, nor `top_k`.
    Fixed,
}

/// What one model takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelRules {
    /// Most output tokens: the default of wires that need one, and the cap.
    pub max_output_tokens: u64,
    pub thinking: ThinkingStyle,
    /// Efforts above `high` are known.
    pub xhigh_effort: bool,
    pub sampling: SamplingRule,
    /// Native JSON-schema output.
    pub structured_output: bool,
    /// An assistant message may stand last, to be continued.
    pub prefill: bool,
    /// Takes `developer` messages (OpenAI reasoning families).
    pub developer_role: bool,
    /// An OpenAI reasoning model: rejects sampling parameters and `max_tokens`.
    pub openai_reasoning: bool,
    /// Takes `reasoning_effort` (OpenAI wire). `None`: nobody listed it, the provider's quirks decide.
    pub takes_effort: Option<bool>,
    /// The lowest effort it knows (OpenAI wires). `None`: nobody listed it, any goes.
    pub lowest_effort: Option<Effort>,
    /// Refuses an earlier tool call that comes without its reasoning (OpenAI wire).
    pub needs_reasoning_echo: bool,
    /// Reasons whatever it is told, and refuses to be told not to (Anthropic wire).
    pub always_thinks: bool,
    /// What its inputs are called, on wires where that differs from model to model.
    pub input: Option<&'static InputNames>,
}

impl ModelRules {
    /// The rules for a model as its provider names it. Vendor prefixes (`anthropic/`, `us.anthropic.`),
    /// dates, case and dots for dashes make no difference. Each thread remembers those it asked for
    /// last: a gateway calls few models.
    #[must_use]
    pub fn of(provider: &str, wire: Wire, model: &str) -> Self {
        MEMORY.with_borrow_mut(|memory| match memory.get(provider, wire, model) {
            Some(rules) => rules,
            None => {
                let rules = Self::look_up(provider, wire, model);
                memory.keep(provider, wire, model, rules);
                rules
            }
        })
    }

    /// The effort to send for `wanted`: the nearest that the model knows (OpenAI wires).
    #[must_use]
    pub fn fit_effort(&self, wanted: Effort) -> Effort {
        let most = if self.xhigh_effort { Effort::XHigh } else { Effort::High };
        let capped = wanted.min(most);
        match self.lowest_effort {
            Some(lowest) if capped < lowest => lowest,
            // Those that can be told not to reason have no `minimal`.
            Some(Effort::None) if capped == Effort::Minimal => Effort::Low,
            _ => capped,
        }
    }

    /// The limit to send where `asked` tokens are: no more than the model writes, with a loss for the rest.
    pub(crate) fn capped(&self, asked: u64, losses: &mut Losses) -> u64 {
        let most = self.max_output_tokens;
        if asked > most {
            losses.report("max_tokens", format!("this model writes at most {most} tokens"));
        }
        asked.min(most)
    }

    /// One pass over the list.
    fn look_up(provider: &str, wire: Wire, model: &str) -> Self {
        let lower = model.to_ascii_lowercase();
        let name = family_name(&lower);
        let mut found = Entry::default();
        let mut input = None;
        for entry in entries().iter().filter(|entry| entry.matches(provider, wire, &name)) {
            input = input.or(entry.input.as_ref());
            if found.fill(entry) {
                break;
            }
        }
        Self {
            max_output_tokens: found.max_output_tokens.unwrap_or(4096),
            thinking: found.thinking.unwrap_or(ThinkingStyle::None),
            xhigh_effort: found.xhigh_effort.unwrap_or_default(),
            sampling: found.sampling.unwrap_or(SamplingRule::Free),
            structured_output: found.structured_output.unwrap_or_default(),
            prefill: found.prefill.unwrap_or_default(),
            developer_role: found.developer_role.unwrap_or_default(),
            openai_reasoning: found.openai_reasoning.unwrap_or_default(),
            takes_effort: found.takes_effort,
            lowest_effort: found.lowest_effort,
            needs_reasoning_echo: found.needs_reasoning_echo.unwrap_or_default(),
            always_thinks: found.always_thinks.unwrap_or_default(),
            input,
        }
    }
}

thread_local! {
    static MEMORY: RefCell<Memory> = const { RefCell::new(Memory { known: Vec::new(), next: 0 }) };
}

/// The rules asked for last. Small, and of short names only: callers may name models.
struct Memory {
    known: Vec<(String, Wire, String, ModelRules)>,
    /// The one to forget next.
    next: usize,
}

impl Memory {
    const MOST: usize = 16;
    /// Longest name kept, in bytes.
    const LONGEST: usize = 128;

    fn get(&self, provider: &str, wire: Wire, model: &str) -> Option<ModelRules> {
        let is = |known: &&(String, Wire, String, ModelRules)| {
            known.2 == model && known.0 == provider && known.1 == wire
        };
        self.known.iter().find(is).map(|known| known.3)
    }

    fn keep(&mut self, provider: &str, wire: Wire, model: &str, rules: ModelRules) {
        if model.len() > Self::LONGEST || provider.len() > Self::LONGEST {
            return;
        }
        let entry = (provider.to_owned(), wire, model.to_owned(), rules);
        match self.known.get_mut(self.next) {
            Some(oldest) => *oldest = entry,
            None => self.known.push(entry),
        }
        self.next = (self.next + 1) % Self::MOST;
    }
}

/// The wires an entry is about, each as [`Wire::name`].
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Wires {
    One(String),
    Many(Vec<String>),
}

impl Wires {
    fn names(&self) -> &[String] {
        match self {
            Self::One(name) => std::slice::from_ref(name),
            Self::Many(names) => names,
        }
    }
}

/// One entry of `models.json`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// For readers of the file.
    #[serde(rename = "about")]
    _about: Option<String>,
    provider: Option<String>,
    wire: Option<Wires>,
    /// Patterns of [`family_name`]s; `*` stands for any text.
    models: Vec<String>,
    max_output_tokens: Option<u64>,
    thinking: Option<ThinkingStyle>,
    xhigh_effort: Option<bool>,
    sampling: Option<SamplingRule>,
    structured_output: Option<bool>,
    prefill: Option<bool>,
    developer_role: Option<bool>,
    openai_reasoning: Option<bool>,
    takes_effort: Option<bool>,
    lowest_effort: Option<Effort>,
    needs_reasoning_echo: Option<bool>,
    always_thinks: Option<bool>,
    input: Option<InputNames>,
}

impl Entry {
    fn matches(&self, provider: &str, wire: Wire, name: &str) -> bool {
        // Bedrock's Claude is Anthropic's: what differs there stands in entries before.
        let hosted = wire == Wire::BedrockConverse && name.starts_with("claude");
        let is_wire = |known: &String| known == wire.name() || (hosted && known == Wire::Anthropic.name());
        self.wire.as_ref().is_none_or(|known| known.names().iter().any(is_wire))
            && self.provider.as_deref().is_none_or(|known| known == provider)
            && self.models.iter().any(|pattern| glob(pattern, name))
    }

    /// Takes what is not known yet from a later entry; true once everything the general entries give is
    /// known, and they stand last.
    fn fill(&mut self, later: &Self) -> bool {
        self.max_output_tokens = self.max_output_tokens.or(later.max_output_tokens);
        self.thinking = self.thinking.or(later.thinking);
        self.xhigh_effort = self.xhigh_effort.or(later.xhigh_effort);
        self.sampling = self.sampling.or(later.sampling);
        self.structured_output = self.structured_output.or(later.structured_output);
        self.prefill = self.prefill.or(later.prefill);
        self.developer_role = self.developer_role.or(later.developer_role);
        self.openai_reasoning = self.openai_reasoning.or(later.openai_reasoning);
        self.takes_effort = self.takes_effort.or(later.takes_effort);
        self.lowest_effort = self.lowest_effort.or(later.lowest_effort);
        self.needs_reasoning_echo = self.needs_reasoning_echo.or(later.needs_reasoning_echo);
        self.always_thinks = self.always_thinks.or(later.always_thinks);
        later.models.iter().any(|pattern| pattern == "*")
    }
}

fn entries() -> &'static [Entry] {
    static ENTRIES: OnceLock<Vec<Entry>> = OnceLock::new();
    // The file is part of the binary; a test reads it whole.
    ENTRIES.get_or_init(|| parse().unwrap_or_default())
}

fn parse() -> Result<Vec<Entry>, serde_json::Error> {
    serde_json::from_str(include_str!("models.json"))
}

/// The name without what vendors put before it, in the spelling of the patterns.
pub(super) fn family_name(lower: &str) -> Cow<'_, str> {
    let from = lower.find("claude").or_else(|| lower.rfind('/').map(|at| at + 1)).unwrap_or(0);
    let name = lower.get(from..).unwrap_or(lower);
    if name.contains('.') { name.replace('.', "-").into() } else { name.into() }
}

/// Whether `*` in the pattern can be replaced so that it becomes the name.
pub(super) fn glob(pattern: &str, name: &str) -> bool {
    let Some((head, mut rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut name) = name.strip_prefix(head) else { return false };
    while let Some((middle, after)) = rest.split_once('*') {
        let Some(at) = name.find(middle) else { return false };
        name = name.get(at + middle.len()..).unwrap_or_default();
        rest = after;
    }
    name.ends_with(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claude(model: &str) -> (u64, ThinkingStyle, SamplingRule) {
        let rules = ModelRules::of("anthropic", Wire::Anthropic, model);
        (rules.max_output_tokens, rules.thinking, rules.sampling)
    }

    #[test]
    fn file_is_read_and_general_entries_give_every_field() {
        let entries = parse().unwrap();
        let known = |name: &String| Wire::named(name).is_some();
        assert!(
            entries
                .iter()
                .filter_map(|entry| entry.wire.as_ref())
                .all(|wires| wires.names().iter().all(known))
        );
        for wire in Wire::ALL.into_iter().chain(Wire::UPSTREAM_ONLY) {
            let last = entries.iter().rfind(|entry| entry.matches("p", wire, "no such model")).unwrap();
            assert!(last.max_output_tokens.is_some() && last.thinking.is_some() && last.sampling.is_some());
            let flags = [last.xhigh_effort, last.structured_output, last.prefill, last.developer_role];
            assert!(flags.iter().all(Option::is_some) && last.openai_reasoning.is_some(), "{wire:?}");
            assert_eq!(last.input.is_some(), wire == Wire::Replicate, "{wire:?}");
        }
    }

    #[test]
    fn claude_families_have_their_rules_however_they_are_written() {
        use SamplingRule::{Fixed, Free, NotBoth};
        use ThinkingStyle::{Adaptive, Budget, None};
        let cases = [
            ("claude-3-haiku-20240307", (4096, None, Free)),
            ("claude-3-5-haiku-latest", (8192, None, Free)),
            ("anthropic/claude-3.7-sonnet:thinking", (64000, Budget, Free)),
            ("claude-sonnet-4-20250514", (64000, Budget, Free)),
            ("anthropic/claude-sonnet-4", (64000, Budget, Free)),
            ("claude-opus-4-20250514", (32000, Budget, Free)),
            ("claude-opus-4@20250514", (32000, Budget, Free)),
            ("claude-opus-4-1-20250805", (32000, Budget, NotBoth)),
            ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", (64000, Budget, NotBoth)),
            ("anthropic/claude-haiku-4.5", (64000, Budget, NotBoth)),
            ("claude-opus-4-6", (128_000, Adaptive, NotBoth)),
            ("claude-opus-4-7", (128_000, Adaptive, Fixed)),
            ("Claude-Sonnet-5", (128_000, Adaptive, Fixed)),
            ("claude-of-the-future", (128_000, Adaptive, Fixed)),
            ("kimi-k2", (32000, Budget, Free)),
        ];
        for (model, expected) in cases {
            assert_eq!(claude(model), expected, "{model}");
        }
        let prefill = |model| ModelRules::of("anthropic", Wire::Anthropic, model).prefill;
        assert!(prefill("claude-opus-4-5") && !prefill("claude-opus-4-6") && !prefill("claude-opus-5"));
        let xhigh = |model| ModelRules::of("anthropic", Wire::Anthropic, model).xhigh_effort;
        assert!(!xhigh("claude-opus-4-6") && xhigh("claude-opus-4-7"));
    }

    #[test]
    fn claude_on_bedrock_has_anthropics_rules_but_for_schemas() {
        let rules = |model| ModelRules::of("bedrock", Wire::BedrockConverse, model);
        let sonnet = rules("us.anthropic.claude-sonnet-4-5-20250929-v1:0");
        assert_eq!((sonnet.thinking, sonnet.sampling), (ThinkingStyle::Budget, SamplingRule::NotBoth));
        assert!(sonnet.structured_output && sonnet.prefill);
        let newest = rules("global.anthropic.claude-opus-4-7");
        assert_eq!((newest.thinking, newest.sampling), (ThinkingStyle::Adaptive, SamplingRule::Fixed));
        assert!(!newest.structured_output);
        assert!(
            !rules("us.amazon.nova-pro-v1:0").structured_output
                && rules("openai.gpt-oss-20b-1:0").structured_output
        );
        assert_eq!(rules("us.meta.llama4-scout-17b-instruct-v1:0").thinking, ThinkingStyle::None);
    }

    #[test]
    fn other_wires_know_their_families() {
        let rules = |wire: Wire, model| {
            let rules = ModelRules::of("p", wire, model);
            (rules.max_output_tokens, rules.thinking, rules.structured_output)
        };
        use ThinkingStyle::{Budget, None};
        let cases = [
            (Wire::Cohere, "command-a-reasoning-08-2025", (32000, Budget, true)),
            (Wire::Cohere, "command-r-08-2024", (4096, None, true)),
            (Wire::Gemini, "gemini-2.0-flash", (8192, None, true)),
            (Wire::OpenAiResponses, "gpt-5", (1_000_000, None, true)),
        ];
        for (wire, model, expected) in cases {
            assert_eq!(rules(wire, model), expected, "{model}");
        }
        let openai = |model| ModelRules::of("openai", Wire::OpenAiResponses, model);
        assert!(openai("gpt-5").openai_reasoning && openai("o3").takes_effort == Some(true));
        assert!(!openai("gpt-4o").openai_reasoning && openai("gpt-4o").takes_effort == Some(false));
    }

    #[test]
    fn gemini_families_are_asked_to_reason_in_their_own_way() {
        use ThinkingStyle::{Level, None, Range};
        let flash = Range { least: 1, most: 24576, off: true };
        let cases = [
            ("gemini-2.0-flash", None),
            ("gemini-2.5-flash-image", None),
            ("gemini-2.5-flash", flash),
            ("publishers/google/models/gemini-2.5-flash-preview-09-2025", flash),
            ("gemini-2.5-flash-lite", Range { least: 512, most: 24576, off: true }),
            ("google/gemini-2.5-pro", Range { least: 128, most: 32768, off: false }),
            ("gemini-3-pro-preview", Level { minimal: false, medium: false }),
            ("gemini-3-flash-preview", Level { minimal: true, medium: true }),
            ("gemini-3.1-pro-preview", Level { minimal: false, medium: true }),
            ("gemini-flash-latest", Level { minimal: false, medium: true }),
            ("1234567890", Range { least: 128, most: 24576, off: false }),
        ];
        for (model, expected) in cases {
            assert_eq!(ModelRules::of("gemini", Wire::Gemini, model).thinking, expected, "{model}");
        }
        let most = |model| ModelRules::of("gemini", Wire::Gemini, model).max_output_tokens;
        assert_eq!((most("gemini-2.0-flash"), most("gemini-2.5-pro")), (8192, 65536));
    }

    #[test]
    fn openai_reasoning_families_are_known() {
        let rules = |model| ModelRules::of("openai", Wire::OpenAiChat, model);
        for model in ["o1", "o3-mini", "o4-mini-2025-04-16", "gpt-5", "gpt-5.2-codex", "openai/gpt-5-nano"] {
            assert!(rules(model).openai_reasoning && rules(model).developer_role, "{model}");
        }
        for model in ["gpt-4o", "gpt-4.1", "gpt-5-chat-latest", "gpt-oss-120b", "olmo", "claude-sonnet-4-5"] {
            assert!(!rules(model).openai_reasoning, "{model}");
        }
        assert!(!rules("o1-mini").developer_role);
    }

    #[test]
    fn inputs_of_predictions_have_the_names_of_their_model() {
        let input = |model| ModelRules::of("replicate", Wire::Replicate, model).input.unwrap();
        let limits = [
            ("meta/meta-llama-3-70b-instruct", "max_tokens"),
            ("meta/llama-2-70b-chat:02e509c7", "max_new_tokens"),
            ("mistralai/mixtral-8x7b-instruct-v0.1", "max_new_tokens"),
            ("openai/gpt-4.1-mini", "max_completion_tokens"),
            ("openai/gpt-5.1", "max_completion_tokens"),
            ("openai/gpt-oss-120b", "max_tokens"),
            ("google/gemini-2.5-flash", "max_output_tokens"),
            ("anthropic/claude-4-sonnet", "max_tokens"),
            ("somebody/finetune:0123", "max_tokens"),
        ];
        for (model, name) in limits {
            assert_eq!(input(model).max_tokens, name, "{model}");
        }
        assert_eq!(input("google/gemini-3-pro").system.as_deref(), Some("system_instruction"));
        assert_eq!(input("ibm-granite/granite-3.3-8b-instruct").system.as_deref(), Some("system_prompt"));
        assert_eq!(input("deepseek-ai/deepseek-r1").system, None);
        assert!(input("openai/gpt-5").reasoning.is_some() && input("openai/gpt-4o").reasoning.is_none());
        assert_eq!(ModelRules::of("openai", Wire::OpenAiChat, "gpt-4o").input, None);
    }

    #[test]
    fn efforts_go_where_the_model_is_known_to_take_them() {
        let takes = |provider, model| ModelRules::of(provider, Wire::OpenAiChat, model).takes_effort;
        for (provider, model) in
            [("openai", "gpt-5.2"), ("gemini_openai", "gemini-2.5-flash"), ("groq", "openai/gpt-oss-20b")]
        {
            assert_eq!(takes(provider, model), Some(true), "{model}");
        }
        for (provider, model) in
            [("openai", "gpt-4o"), ("openai", "gpt-5-chat-latest"), ("gemini_openai", "gemini-2.0-flash")]
        {
            assert_eq!(takes(provider, model), Some(false), "{model}");
        }
        assert_eq!(takes("vllm", "qwen3"), None);
    }

    #[test]
    fn thinking_turned_off_was_an_effort_that_the_model_refused() {
        use Effort::{High, Low, Max, Medium, Minimal, None, XHigh};
        for (model, none, minimal, max) in [
            ("gpt-5", Minimal, Minimal, High),
            ("gpt-5-2025-08-07", Minimal, Minimal, High),
            ("openai/gpt-5-mini", Minimal, Minimal, High),
            ("gpt-5-codex", Low, Low, High),
            ("gpt-5.1-codex-mini", Low, Low, High),
            ("gpt-5.1-codex-max", Low, Low, XHigh),
            ("gpt-5.3-codex", Low, Low, XHigh),
            ("o3", Low, Low, High),
            ("o4-mini-2025-04-16", Low, Low, High),
            ("gpt-5-pro", High, High, High),
            ("gpt-5.2-pro", Medium, Medium, XHigh),
            ("gpt-5.1", None, Low, High),
            ("gpt-5.2-2025-12-11", None, Low, XHigh),
            ("gpt-oss-120b", Low, Low, High),
            ("qwen3", None, Minimal, XHigh),
        ] {
            for wire in [Wire::OpenAiChat, Wire::OpenAiResponses] {
                let rules = ModelRules::of("openai", wire, model);
                let fit = [None, Minimal, Max].map(|effort| rules.fit_effort(effort));
                assert_eq!(fit, [none, minimal, max], "{model}");
                assert_eq!(rules.fit_effort(High), High);
            }
        }
    }

    #[test]
    fn reasoning_must_be_echoed_to_the_models_that_say_so() {
        let needs = |provider, model| ModelRules::of(provider, Wire::OpenAiChat, model).needs_reasoning_echo;
        assert!(needs("deepseek", "deepseek-v4") && needs("deepseek", "deepseek-v3.2"));
        assert!(!needs("deepseek", "deepseek-chat") && !needs("openai", "deepseek-v4"));
    }

    /// Run by hand: `cargo test -p translate --release -- --ignored --nocapture rules_lookup`.
    #[test]
    #[ignore = "a measurement"]
    fn rules_lookup_takes_under_two_microseconds() {
        for (provider, wire, model) in [
            ("anthropic", Wire::Anthropic, "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
            ("openai", Wire::OpenAiChat, "gpt-4o-mini"),
            ("vllm", Wire::OpenAiChat, "meta-llama/Llama-3.3-70B-Instruct"),
        ] {
            let begun = std::time::Instant::now();
            for _ in 0..100_000 {
                std::hint::black_box(ModelRules::of(provider, wire, std::hint::black_box(model)));
            }
            println!("{model}: {} ns", begun.elapsed().as_nanos() / 100_000);
        }
    }

    #[test]
    fn rules_are_the_same_when_they_are_remembered_and_forgotten() {
        let names: Vec<String> = (0..40).map(|n| format!("claude-opus-4-{}", n % 20)).collect();
        for name in names.iter().chain([&"x".repeat(1000)]) {
            for wire in Wire::ALL {
                let rules = ModelRules::look_up("anthropic", wire, name);
                assert_eq!(ModelRules::of("anthropic", wire, name), rules);
                assert_eq!(ModelRules::of("anthropic", wire, name), rules);
            }
        }
        assert!(MEMORY.with_borrow(|memory| memory.known.len()) <= Memory::MOST);
    }

    #[test]
    fn star_stands_for_any_text() {
        for (pattern, name) in [("a*", "a"), ("*", ""), ("a*c", "abc"), ("a*b*c", "a1b2b3c"), ("abc", "abc")]
        {
            assert!(glob(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("a*", "b"), ("a*c", "ab"), ("abc", "abcd"), ("a*ba", "a"), ("ab*ba", "aba")]
        {
            assert!(!glob(pattern, name), "{pattern} {name}");
        }
    }
}
