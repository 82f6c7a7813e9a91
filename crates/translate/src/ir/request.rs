//! A chat request in the pivot.

use serde_json::{Map, Value};

use super::{CacheMark, Extra, Message};

/// What the caller asked for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Request {
    /// The model as the target provider names it.
    pub model: String,
    pub messages: Vec<Message>,
    pub tools: Vec<Tool>,
    pub tool_choice: Option<ToolChoice>,
    /// `false` forbids more than one call in a turn.
    pub parallel_tool_calls: Option<bool>,
    pub output_format: Option<OutputFormat>,
    pub reasoning: Option<Reasoning>,
    pub sampling: Sampling,
    /// Most tokens the answer may have, reasoning included.
    pub max_tokens: Option<u64>,
    pub stop: Vec<String>,
    pub stream: bool,
    /// The caller asked for usage in the stream (OpenAI `stream_options.include_usage`); always true
    /// for dialects whose streams carry it anyway.
    pub stream_usage: bool,
    /// The end user, opaque.
    pub user: Option<String>,
    pub metadata: Option<Map<String, Value>>,
    pub service_tier: Option<String>,
    pub extra: Extra,
}

impl Request {
    /// False for a tool that the choice among some of them leaves out: for wires that cannot say it, which
    /// are given the others alone.
    #[must_use]
    pub fn may_call(&self, tool: &Tool) -> bool {
        let Some(ToolChoice::Among { names, .. }) = &self.tool_choice else { return true };
        matches!(tool, Tool::Function { name, .. } if names.contains(name))
    }
}

/// Sampling parameters, each as the caller gave it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sampling {
    pub temperature: Option<f64>,
    pub top_p: Option<f64>,
    pub top_k: Option<u64>,
    pub n: Option<u64>,
    pub seed: Option<i64>,
    pub presence_penalty: Option<f64>,
    pub frequency_penalty: Option<f64>,
    pub logit_bias: Option<Map<String, Value>>,
    pub logprobs: Option<bool>,
    pub top_logprobs: Option<u64>,
}

/// A tool the model may call.
#[derive(Debug, Clone, PartialEq)]
pub enum Tool {
    Function {
        name: String,
        description: Option<String>,
        /// JSON schema of the arguments; `None` when the caller gave none.
        parameters: Option<Value>,
        strict: Option<bool>,
        cache: Option<CacheMark>,
        extra: Extra,
    },
    /// A tool that only one wire knows (web search, bash, …), whole.
    Opaque { wire: crate::Wire, value: Value },
}

#[derive(Debug, Clone, PartialEq)]
pub enum ToolChoice {
    Auto,
    None,
    /// Some tool must be called (OpenAI `required`, Anthropic `any`).
    Required,
    Named(String),
    /// Of all tools only these may be called, and one must be where it is `required`. The others stay in
    /// sight: prompt caches hold them.
    Among {
        required: bool,
        names: Vec<String>,
    },
    /// A form only one wire knows, whole.
    Opaque {
        wire: crate::Wire,
        value: Value,
    },
}

impl ToolChoice {
    /// A call must be made.
    #[must_use]
    pub fn forces(&self) -> bool {
        matches!(self, Self::Required | Self::Named(_) | Self::Among { required: true, .. })
    }
}

/// A named schema the answer must follow.
#[derive(Debug, Clone, PartialEq)]
pub struct JsonSchema {
    pub name: Option<String>,
    pub description: Option<String>,
    pub schema: Value,
    pub strict: Option<bool>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum OutputFormat {
    Text,
    /// Any JSON object.
    JsonObject,
    JsonSchema(JsonSchema),
}

/// How much the model should reason, in the caller's own terms; encoders convert.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reasoning {
    pub effort: Option<Effort>,
    /// Reasoning tokens allowed.
    pub budget: Option<u64>,
    /// `Some(false)`: explicitly off. `Some(true)`: on, the provider decides how much (adaptive).
    pub enabled: Option<bool>,
    /// Anthropic `display` of thinking (`summarized`, `omitted`).
    pub display: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effort {
    None,
    Minimal,
    Low,
    Medium,
    High,
    XHigh,
    Max,
}

impl Effort {
    /// The spelling on the wires that take an effort.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::XHigh => "xhigh",
            Self::Max => "max",
        }
    }

    /// Reads the spelling; `None` for a word no wire has.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "none" => Self::None,
            "minimal" => Self::Minimal,
            "low" => Self::Low,
            "medium" => Self::Medium,
            "high" => Self::High,
            "xhigh" => Self::XHigh,
            "max" => Self::Max,
            _ => return None,
        })
    }
}
