//! Anthropic's form: a Messages body without what only the answer needs.

use crate::ir::Request;
use crate::relay::with;
use crate::wire::BadRequest;
use crate::wire::Dialect;
use crate::wire::anthropic::Anthropic;

/// What the endpoint takes, betas included.
pub(super) const TAKES: [&str; 11] = [
    "cache_control",
    "context_management",
    "mcp_servers",
    "messages",
    "model",
    "output_config",
    "speed",
    "system",
    "thinking",
    "tool_choice",
    "tools",
];

/// # Errors
/// As the chat of this dialect, except that no `max_tokens` is needed.
pub(super) fn decode_request(body: &[u8]) -> Result<Request, BadRequest> {
    Anthropic.decode_request(&with(body, "max_tokens", "1")?)
}
