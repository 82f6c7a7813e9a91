//! Why an export came to nothing, and whether another try may help: as OTLP says.

use std::time::Duration;

use crate::telemetry::redact;

/// An export that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// Another try may succeed.
    pub passes: bool,
    /// What the collector asks to wait.
    pub after: Option<Duration>,
    /// For the operator: no secret, no more than a line.
    pub text: String,
}

/// What the collector did not take of an export that it took.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rejected {
    pub spans: u64,
    pub why: String,
}

impl Trouble {
    #[must_use]
    pub fn passing(text: impl AsRef<str>) -> Self {
        Self { passes: true, after: None, text: line(text.as_ref()) }
    }

    #[must_use]
    pub fn lasting(text: impl AsRef<str>) -> Self {
        Self { passes: false, ..Self::passing(text) }
    }
}

/// A text as one line of at most 200 characters, without what looks like a secret: some collectors repeat the key that they refuse.
#[must_use]
pub fn line(text: &str) -> String {
    redact::told(text)
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(200)
        .collect::<String>()
        .trim()
        .to_owned()
}
