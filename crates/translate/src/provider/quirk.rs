//! Where a provider departs from its wire, as data.

use crate::ir::Usage;

/// How a provider that speaks a wire departs from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quirks {
    /// Edits of the request body, applied in order, by span.
    pub fixes: &'static [Fix],
    /// Takes `stream_options.include_usage`.
    pub stream_usage: bool,
    /// Where reasoning text of earlier turns is sent back.
    pub reasoning_echo: ReasoningField,
    pub usage: UsageStyle,
}

/// One edit of a request body's top-level fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fix {
    /// The field is refused: leave it out, and say so.
    Drop(&'static str),
    /// The field has another name there. When both are present the caller's original is dropped.
    Rename(&'static str, &'static str),
    /// One string value has another spelling there: field, from, to.
    Respell(&'static str, &'static str, &'static str),
    /// `developer` messages become `system`.
    DeveloperToSystem,
    /// Empty `tools: []`, and `tool_choice` without tools, are refused.
    DropEmptyTools,
}

/// The field that carries reasoning text in assistant messages sent back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReasoningField {
    /// Must not be sent back.
    None,
    ReasoningContent,
    Reasoning,
    /// OpenRouter's `reasoning_details` (signatures survive).
    Details,
}

/// What a provider's usage totals include.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsageStyle {
    /// The wire's own rule.
    Wire,
    /// Output excludes reasoning: add it.
    OutputExcludesReasoning,
}

impl UsageStyle {
    /// The counts as [`Usage`] defines them, from the counts as this provider's wire gave them.
    #[must_use]
    pub fn apply(self, usage: Usage) -> Usage {
        match self {
            Self::Wire => usage,
            Self::OutputExcludesReasoning => {
                Usage { output: usage.output.saturating_add(usage.reasoning), ..usage }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasoning_is_added_only_where_the_output_excludes_it() {
        let usage = Usage { output: 3, reasoning: 4, input_uncached: 5, ..Usage::default() };
        assert_eq!(UsageStyle::Wire.apply(usage), usage);
        let added = UsageStyle::OutputExcludesReasoning.apply(usage);
        assert_eq!((added.output, added.reasoning, added.input_uncached), (7, 4, 5));
    }
}
