//! What to do about a failed attempt.
//!
//! One table: the class of the fault says what is worth trying, the situation says what is still
//! possible. Nothing here classifies (the shell and the wires do) and nothing waits ([`crate::backoff`]).
//!
//! | Class | First choice | Why |
//! |---|---|---|
//! | connect_failed | retry | another connection or address may work at once |
//! | connection_reset | retry | no byte of an answer came: a stale pooled connection looks like this |
//! | first_byte_timeout | failover | a silent target is not asked again: the caller has waited enough |
//! | ttft_timeout | failover | a silent target is not asked again: the caller has waited enough |
//! | idle_timeout | failover | a silent target is not asked again: the caller has waited enough |
//! | total_timeout | stop | the caller's whole time is used up |
//! | rate_limited | retry | passes by itself: wait as told, or use another key |
//! | overloaded | retry | passes by itself after a back-off |
//! | server_error | retry | often one bad replica |
//! | authentication | retry_other_key | this key will be refused again, its neighbours may not |
//! | permission | retry_other_key | this key will be refused again, its neighbours may not |
//! | quota | retry_other_key | this account is out of money, another may not be |
//! | model_not_found | failover | the same name will be unknown again |
//! | context_length | failover | the same prompt will not fit again, a larger model may take it |
//! | content_policy | stop | a refusal is never routed around |
//! | invalid_request | stop | wrong everywhere: the caller has to change it |
//! | too_large | failover | size limits differ between providers |
//! | bad_answer | retry | an unreadable success is a fault of the moment |
//! | caller_gone | stop | nobody is listening |
//! | internal | stop | our own fault: trying again would hide it |

/// What went wrong with one attempt, as far as decisions need to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FaultClass {
    /// DNS, TCP or TLS: no connection came to be.
    ConnectFailed,
    /// The connection ended before any byte of an answer.
    ConnectionReset,
    /// No status line in time.
    FirstByteTimeout,
    /// Headers came, the first token did not.
    TtftTimeout,
    /// A stream stood still.
    IdleTimeout,
    /// The request's whole time is used up, by whichever attempts.
    TotalTimeout,
    /// 429.
    RateLimited,
    /// 503, 529: over capacity.
    Overloaded,
    /// Any other 5xx.
    ServerError,
    /// 401: the provider key is not accepted.
    Authentication,
    /// 403: the provider key may not do this.
    Permission,
    /// 402, `insufficient_quota`: no money left.
    Quota,
    ModelNotFound,
    /// The prompt does not fit this model.
    ContextLength,
    ContentPolicy,
    /// 400, 422: wrong everywhere.
    InvalidRequest,
    /// 413.
    TooLarge,
    /// A success that cannot be read: truncated, HTML, an error body under 200.
    BadAnswer,
    /// The caller hung up.
    CallerGone,
    /// A fault of the gateway itself.
    Internal,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Same provider and model, by another key if there is one.
    Retry,
    /// Same provider and model, but only by another key.
    RetryOtherKey,
    /// The next planned model.
    Failover,
    /// Give the caller this error.
    Stop,
}

/// What is still possible when an attempt has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Situation {
    /// `max_retries` of this provider is not used up; a try by another key counts as well.
    pub retries_left: bool,
    /// Another key of the provider serves this model, was not tried and is not cooling.
    pub other_key: bool,
    /// The plan has a further model.
    pub fallback_left: bool,
    /// A byte of the answer went downstream: nothing can be unsaid.
    pub answer_begun: bool,
    /// The provider said not to try again (`x-should-retry: false`).
    pub retry_forbidden: bool,
}

/// What to do after a fault, given what is still possible.
#[must_use]
pub fn decide(class: FaultClass, situation: Situation) -> Verdict {
    if situation.answer_begun {
        return Verdict::Stop;
    }
    let failover = if situation.fallback_left { Verdict::Failover } else { Verdict::Stop };
    match class.verdict() {
        Verdict::Retry if situation.retries_left && !situation.retry_forbidden => Verdict::Retry,
        Verdict::RetryOtherKey if situation.retries_left && situation.other_key => Verdict::RetryOtherKey,
        Verdict::Retry | Verdict::RetryOtherKey | Verdict::Failover => failover,
        Verdict::Stop => Verdict::Stop,
    }
}

impl FaultClass {
    /// Every class, in the order of the table above.
    pub const ALL: [Self; 20] = [
        Self::ConnectFailed,
        Self::ConnectionReset,
        Self::FirstByteTimeout,
        Self::TtftTimeout,
        Self::IdleTimeout,
        Self::TotalTimeout,
        Self::RateLimited,
        Self::Overloaded,
        Self::ServerError,
        Self::Authentication,
        Self::Permission,
        Self::Quota,
        Self::ModelNotFound,
        Self::ContextLength,
        Self::ContentPolicy,
        Self::InvalidRequest,
        Self::TooLarge,
        Self::BadAnswer,
        Self::CallerGone,
        Self::Internal,
    ];

    /// The first choice, before asking what is still possible: the table above.
    #[must_use]
    pub const fn verdict(self) -> Verdict {
        match self {
            Self::ConnectFailed
            | Self::ConnectionReset
            | Self::RateLimited
            | Self::Overloaded
            | Self::ServerError
            | Self::BadAnswer => Verdict::Retry,
            Self::Authentication | Self::Permission | Self::Quota => Verdict::RetryOtherKey,
            Self::FirstByteTimeout
            | Self::TtftTimeout
            | Self::IdleTimeout
            | Self::ModelNotFound
            | Self::ContextLength
            | Self::TooLarge => Verdict::Failover,
            Self::TotalTimeout
            | Self::ContentPolicy
            | Self::InvalidRequest
            | Self::CallerGone
            | Self::Internal => Verdict::Stop,
        }
    }

    /// The word for logs, metrics and the list of attempts.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::ConnectFailed => "connect_failed",
            Self::ConnectionReset => "connection_reset",
            Self::FirstByteTimeout => "first_byte_timeout",
            Self::TtftTimeout => "ttft_timeout",
            Self::IdleTimeout => "idle_timeout",
            Self::TotalTimeout => "total_timeout",
            Self::RateLimited => "rate_limited",
            Self::Overloaded => "overloaded",
            Self::ServerError => "server_error",
            Self::Authentication => "authentication",
            Self::Permission => "permission",
            Self::Quota => "quota",
            Self::ModelNotFound => "model_not_found",
            Self::ContextLength => "context_length",
            Self::ContentPolicy => "content_policy",
            Self::InvalidRequest => "invalid_request",
            Self::TooLarge => "too_large",
            Self::BadAnswer => "bad_answer",
            Self::CallerGone => "caller_gone",
            Self::Internal => "internal",
        }
    }
}

impl Verdict {
    /// The word for logs and metrics.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::RetryOtherKey => "retry_other_key",
            Self::Failover => "failover",
            Self::Stop => "stop",
        }
    }
}

#[cfg(test)]
mod tests;
