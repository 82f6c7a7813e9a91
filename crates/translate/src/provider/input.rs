//! What a prediction's model calls its inputs: on Replicate every model has a schema of its own.
//!
//! Read from `models.json` (`input`). An input that is not of the schema is ignored by the vendor without
//! a word, so what is not listed here is not sent but reported.

use serde::Deserialize;

/// The names of one model's inputs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputNames {
    /// Takes the system text. `None`: it stands before the prompt.
    pub system: Option<String>,
    /// Takes the token limit.
    pub max_tokens: String,
    /// The smallest limit it takes, in tokens.
    #[serde(default)]
    pub least_tokens: u64,
    /// Takes images. `None`: the model cannot see.
    pub images: Option<ImageInput>,
    /// Sampling parameters it takes, by their names: `temperature`, `stop_sequences`, ….
    #[serde(default)]
    pub sampling: Vec<String>,
    /// How it is asked to reason. `None`: it cannot be asked.
    pub reasoning: Option<ReasoningInput>,
}

/// The input that takes images.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageInput {
    /// One, as a string.
    One(String),
    /// Any number, as a list of strings.
    List(String),
}

/// The input that says how much to reason.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ReasoningInput {
    /// One of these words, from the least to the most: spellings of [`crate::ir::Effort`].
    Words { name: String, words: Vec<String> },
    /// A number of tokens. `switch` turns it on and off; without one 0 is off.
    Tokens { name: String, switch: Option<String>, least: u64, most: u64 },
}
