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
mod tests;
