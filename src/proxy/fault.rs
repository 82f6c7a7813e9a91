//! Everything that can go wrong, in one shape, and the one table of what each means.
//!
//! A fault carries the class that decides (retry, fail over, stop), the failure as the caller will
//! read it, and nothing of a provider's secrets. Each dialect spells the failure in its own words.

mod refusal;

use govern::verdict::{FaultClass, Verdict};
use http::{HeaderName, HeaderValue};
use translate::ir::{Failure, FailureKind};

pub use self::refusal::{REFUSALS, Refusal};
use super::replay::Limit;

/// One fault, of an attempt or of the request itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub class: FaultClass,
    pub failure: Box<Failure>,
    /// Milliseconds the provider asked us to wait.
    pub retry_after_ms: Option<u64>,
    /// Headers of the provider's refusal that the caller gets too (rate limits, request ids).
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

impl Fault {
    /// A fault with the status and failure kind that its class has by default.
    #[must_use]
    pub fn new(class: FaultClass, message: impl Into<String>) -> Self {
        let row = row(class);
        Self {
            class,
            failure: Box::new(Failure {
                status: row.status,
                kind: row.kind,
                message: message.into(),
                native_type: None,
                code: None,
                param: None,
            }),
            retry_after_ms: None,
            headers: Vec::new(),
        }
    }

    /// An error body the provider sent.
    #[must_use]
    pub fn answered(mut failure: Failure, retry_after_ms: Option<u64>) -> Self {
        // The path is ours and right: what a provider does not find is the model.
        if failure.kind == FailureKind::NotFound {
            failure.kind = FailureKind::ModelNotFound;
        }
        Self { class: class_of(&failure), failure: Box::new(failure), retry_after_ms, headers: Vec::new() }
    }

    /// A limit was reached while waiting for the provider.
    #[must_use]
    pub fn deadline(limit: Limit, waited_ms: u128) -> Self {
        let (class, what) = match limit {
            Limit::FirstByte => (FaultClass::FirstByteTimeout, "no answer began"),
            Limit::FirstToken => (FaultClass::TtftTimeout, "no first token came"),
            Limit::Idle | Limit::Complete => (FaultClass::IdleTimeout, "the stream fell silent"),
            Limit::Request => (FaultClass::FirstByteTimeout, "the answer was not complete"),
            Limit::Total => (FaultClass::TotalTimeout, "the request's total time ran out"),
        };
        Self::new(class, format!("{what} within {waited_ms} ms"))
    }

    /// A request that is wrong whoever answers it.
    #[must_use]
    pub fn request(kind: FailureKind, status: u16, message: impl Into<String>) -> Self {
        let mut fault = Self::new(FaultClass::InvalidRequest, message);
        fault.failure.kind = kind;
        fault.failure.status = status;
        fault
    }

    /// Names the parameter of the body that is wrong.
    #[must_use]
    pub fn param(mut self, path: &str) -> Self {
        self.failure.param = (!path.is_empty()).then(|| path.to_owned());
        self
    }

    /// The provider knew the model: its name may become a metric label. A name that nobody has is the
    /// caller's own invention.
    #[must_use]
    pub fn knows_model(&self) -> bool {
        !matches!(
            self.class,
            FaultClass::ModelNotFound
                | FaultClass::InvalidRequest
                | FaultClass::CallerGone
                | FaultClass::Internal
        )
    }

    /// The label of this fault in metrics and logs.
    #[must_use]
    pub fn label(&self) -> &'static str {
        self.failure.own_word().unwrap_or_else(|| row(self.class).label)
    }

    /// What to do about it.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.class.verdict()
    }
}

/// One row of the table: what a class means outside.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    pub class: FaultClass,
    /// `type` of `bifrost_errors_total`, `outcome` of `bifrost_attempts_total`.
    pub label: &'static str,
    /// Status when the provider gave none.
    pub status: u16,
    pub kind: FailureKind,
    /// For the docs.
    pub cause: &'static str,
}

/// The table, in the order of the docs.
pub const TABLE: &[Row] = &[
    of(
        FaultClass::InvalidRequest,
        "invalid_request",
        400,
        FailureKind::InvalidRequest,
        "The request is wrong for this provider, or for any",
    ),
    of(
        FaultClass::ContextLength,
        "context_length",
        400,
        FailureKind::ContextLength,
        "The prompt does not fit the model",
    ),
    of(
        FaultClass::ContentPolicy,
        "content_policy",
        400,
        FailureKind::ContentPolicy,
        "The provider's policy refused the content",
    ),
    of(
        FaultClass::TooLarge,
        "too_large",
        413,
        FailureKind::TooLarge,
        "The body is larger than the provider takes",
    ),
    of(
        FaultClass::Authentication,
        "authentication",
        401,
        FailureKind::Authentication,
        "The provider key was not accepted",
    ),
    of(
        FaultClass::Permission,
        "permission",
        403,
        FailureKind::Permission,
        "The provider key may not do this",
    ),
    of(FaultClass::Quota, "quota", 429, FailureKind::Quota, "No money or quota left on the provider key"),
    of(
        FaultClass::ModelNotFound,
        "model_not_found",
        404,
        FailureKind::ModelNotFound,
        "The provider does not have this model",
    ),
    of(
        FaultClass::RateLimited,
        "rate_limit",
        429,
        FailureKind::RateLimited,
        "The provider key is over its rate limit",
    ),
    of(
        FaultClass::Overloaded,
        "overloaded",
        503,
        FailureKind::Overloaded,
        "The provider is over capacity (503, 529), or every place at it is taken (docs/overload.md)",
    ),
    of(
        FaultClass::ServerError,
        "server_error",
        502,
        FailureKind::Upstream,
        "The provider failed (other 5xx)",
    ),
    of(
        FaultClass::BadAnswer,
        "bad_answer",
        502,
        FailureKind::Upstream,
        "A 200 that is no answer: HTML, truncated JSON, an error body, a stream cut short",
    ),
    of(FaultClass::ConnectFailed, "connect", 502, FailureKind::Upstream, "No connection: DNS, refused, TLS"),
    of(
        FaultClass::ConnectionReset,
        "reset",
        502,
        FailureKind::Upstream,
        "The connection broke before an answer",
    ),
    of(
        FaultClass::FirstByteTimeout,
        "timeout",
        504,
        FailureKind::Timeout,
        "No answer within `first_byte_timeout_in_seconds`, or no whole answer within `default_request_timeout_in_seconds`",
    ),
    of(
        FaultClass::TtftTimeout,
        "ttft_timeout",
        504,
        FailureKind::Timeout,
        "No first token within `ttft_timeout_in_seconds`",
    ),
    of(
        FaultClass::IdleTimeout,
        "idle_timeout",
        504,
        FailureKind::Timeout,
        "The stream was silent for `stream_idle_timeout_in_seconds`",
    ),
    of(
        FaultClass::TotalTimeout,
        "total_timeout",
        504,
        FailureKind::Timeout,
        "All attempts together took `total_timeout_in_seconds`",
    ),
    of(FaultClass::CallerGone, "caller_gone", 499, FailureKind::Upstream, "The caller closed the connection"),
    of(FaultClass::Internal, "internal", 500, FailureKind::Upstream, "A fault of the gateway itself"),
];

const fn of(
    class: FaultClass,
    label: &'static str,
    status: u16,
    kind: FailureKind,
    cause: &'static str,
) -> Row {
    Row { class, label, status, kind, cause }
}

const INTERNAL: Row = of(FaultClass::Internal, "internal", 500, FailureKind::Upstream, "");

fn row(class: FaultClass) -> Row {
    TABLE.iter().find(|row| row.class == class).copied().unwrap_or(INTERNAL)
}

/// The class of what a provider answered.
#[must_use]
pub fn class_of(failure: &Failure) -> FaultClass {
    match failure.kind {
        FailureKind::ContextLength => FaultClass::ContextLength,
        FailureKind::ContentPolicy => FaultClass::ContentPolicy,
        FailureKind::Authentication => FaultClass::Authentication,
        FailureKind::Permission => FaultClass::Permission,
        FailureKind::Quota => FaultClass::Quota,
        FailureKind::ModelNotFound => FaultClass::ModelNotFound,
        FailureKind::TooLarge => FaultClass::TooLarge,
        FailureKind::RateLimited => FaultClass::RateLimited,
        FailureKind::Overloaded => FaultClass::Overloaded,
        FailureKind::Timeout | FailureKind::Upstream => FaultClass::ServerError,
        FailureKind::InvalidRequest | FailureKind::NotFound => FaultClass::InvalidRequest,
    }
}

#[cfg(test)]
mod tests;
