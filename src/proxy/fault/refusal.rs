//! What the gateway itself refuses a caller: the words that clients of published Bifrost versions know.
//!
//! Such a refusal costs nothing and is nobody's failure: no provider was asked.

use govern::verdict::FaultClass;
use translate::ir::{FailureKind, OWN_WORDS};

use super::Fault;

/// Why the gateway refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    KeyRequired,
    KeyNotFound,
    KeyBlocked,
    MissingHeaders,
    ProviderBlocked,
    ModelBlocked,
    BudgetExceeded,
    /// Requests under way at once.
    RateLimited,
    TokenLimited,
    RequestLimited,
}

/// One row: what a refusal is outside.
#[derive(Debug, Clone, Copy)]
pub struct Told {
    pub refusal: Refusal,
    /// `type` of the error, label in metrics and logs.
    pub word: &'static str,
    pub status: u16,
    pub kind: FailureKind,
    /// For the docs.
    pub cause: &'static str,
}

/// The table, in the order of the docs; the words are those of [`OWN_WORDS`].
pub const REFUSALS: [Told; 10] = [
    told(Refusal::KeyRequired, 0, 401, FailureKind::Authentication, "No virtual key came, and one is needed"),
    told(Refusal::KeyNotFound, 1, 403, FailureKind::Permission, "Nobody has the virtual key"),
    told(
        Refusal::KeyBlocked,
        2,
        403,
        FailureKind::Permission,
        "The virtual key is not active, or has expired",
    ),
    told(
        Refusal::MissingHeaders,
        3,
        400,
        FailureKind::InvalidRequest,
        "A header of `client.required_headers` is missing",
    ),
    told(
        Refusal::ProviderBlocked,
        4,
        403,
        FailureKind::Permission,
        "The virtual key may not use the provider",
    ),
    told(Refusal::ModelBlocked, 5, 403, FailureKind::Permission, "The virtual key may not use the model"),
    told(Refusal::BudgetExceeded, 6, 402, FailureKind::Quota, "A budget has not so much left"),
    told(Refusal::RateLimited, 7, 429, FailureKind::RateLimited, "So many requests are under way already"),
    told(Refusal::TokenLimited, 8, 429, FailureKind::RateLimited, "A limit of tokens has not so many left"),
    told(Refusal::RequestLimited, 9, 429, FailureKind::RateLimited, "A limit of requests has none left"),
];

const fn told(refusal: Refusal, word: usize, status: u16, kind: FailureKind, cause: &'static str) -> Told {
    #[expect(clippy::indexing_slicing, reason = "a constant: it is looked at when this is compiled")]
    let word = OWN_WORDS[word];
    Told { refusal, word, status, kind, cause }
}

impl Fault {
    /// A refusal of the gateway's own.
    #[must_use]
    pub fn refused(refusal: Refusal, message: impl Into<String>) -> Self {
        let row = REFUSALS.iter().find(|row| row.refusal == refusal);
        let (kind, status) = row.map_or((FailureKind::Permission, 403), |row| (row.kind, row.status));
        let mut fault = Self::request(kind, status, message);
        fault.class = FaultClass::InvalidRequest;
        fault.failure.code = row.map(|row| row.word.to_owned());
        fault
    }
}
