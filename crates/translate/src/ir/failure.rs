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
