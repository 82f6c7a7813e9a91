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
    /// The field stands elsewhere for this service (in the path): left out, and nothing is lost.
    Take(&'static str),
    /// The service wants this field; a value that is there stays. JSON text.
    Put(&'static str, &'static str),
    /// `developer` messages become `system`.
    DeveloperToSystem,
    /// Empty `tools: []`, and `tool_choice` without tools, are refused.
    DropEmptyTools,
    /// Ids of tool calls that are of another form are refused.
    CallIds(CallIdForm),
    /// The member of each of the `tools` is refused.
    DropInTools(&'static str),
    /// Claude at another cloud: Anthropic's billing line, the scope of cache marks, caching of the whole
    /// request and tools that run at Anthropic are refused; the types of those that run here too.
    Hosted(&'static [&'static str]),
    /// The field is taken only where the request names a beta that begins like one of these.
    NeedsBeta(&'static str, &'static [&'static str]),
}

/// The ids of tool calls a provider takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallIdForm {
    /// At most forty characters. Seen to in translated requests only: ids of callers of the same wire are
    /// theirs to choose.
    Forty,
    /// Exactly nine letters and digits, which no other provider's ids are: seen to in relayed requests too,
    /// since a conversation may have begun elsewhere.
    Nine,
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
    /// Must not be sent back, but its signature stands on the call that follows it (Google's
    /// `extra_content.google.thought_signature`).
    CallSignature,
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
