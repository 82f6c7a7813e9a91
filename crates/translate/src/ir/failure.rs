//! An upstream's error body, whatever its shape, and the kinds we tell apart.

/// What went wrong, as far as the provider told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// HTTP status the provider answered with (or the one its in-band error stands for).
    pub status: u16,
    pub kind: FailureKind,
    /// The provider's message, cut to 8 KiB.
    pub message: String,
    /// The provider's own type word (`rate_limit_error`), where it gave one.
    pub native_type: Option<String>,
    /// The provider's own code word (`context_length_exceeded`), where it gave one.
    pub code: Option<String>,
    /// The parameter it names.
    pub param: Option<String>,
}

/// What the gateway itself refuses its callers with, whatever the dialect: clients of published Bifrost versions know
/// these words. They stand in [`Failure::code`].
pub const OWN_WORDS: [&str; 10] = [
    "virtual_key_required",
    "virtual_key_not_found",
    "virtual_key_blocked",
    "missing_required_headers",
    "provider_blocked",
    "model_blocked",
    "budget_exceeded",
    "rate_limited",
    "token_limited",
    "request_limited",
];

impl Failure {
    /// The word of the gateway's own refusal, if it is one: it stands where a dialect has its words open.
    #[must_use]
    pub fn own_word(&self) -> Option<&'static str> {
        let code = self.code.as_deref()?;
        OWN_WORDS.into_iter().find(|word| *word == code)
    }
}

/// Failures we act on differently. Each dialect spells them in its own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// The request is wrong and will be wrong everywhere.
    InvalidRequest,
    /// The prompt does not fit this model: another may take it.
    ContextLength,
    /// The provider's policy refused the content: never routed around.
    ContentPolicy,
    /// The provider key is not accepted.
    Authentication,
    /// The provider key may not do this.
    Permission,
    /// No money or quota left on the provider key.
    Quota,
    ModelNotFound,
    NotFound,
    TooLarge,
    RateLimited,
    /// The provider is over capacity (503, 529).
    Overloaded,
    /// The provider, or we waiting for it, ran out of time.
    Timeout,
    /// Any other fault of the provider.
    Upstream,
}
