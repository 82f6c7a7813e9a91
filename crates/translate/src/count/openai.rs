//! OpenAI's form: a Responses body without what only the answer needs.

/// What the endpoint takes.
pub(super) const TAKES: [&str; 12] = [
    "conversation",
    "input",
    "instructions",
    "model",
    "parallel_tool_calls",
    "personality",
    "previous_response_id",
    "reasoning",
    "text",
    "tool_choice",
    "tools",
    "truncation",
];
