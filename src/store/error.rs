//! What a store answers when it cannot do what it was asked.

use std::time::Duration;

use super::entity::Kind;

/// Why a store did not do it. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Somebody changed it meanwhile: it has the revision `found`, or is not there.
    #[error("{} {id:?} was changed meanwhile ({})", kind.name(), found_text(*found))]
    Conflict { kind: Kind, id: String, found: Option<u64> },
    /// Another entity of the kind has the name.
    #[error("there is another {} named {name:?}: {by:?}", kind.name())]
    NameTaken { kind: Kind, name: String, by: String },
    /// It is not there (yet, or any more), full, or slow.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// It is there and takes other things, but not this.
    #[error("the store refuses it: {0}")]
    Refused(String),
    /// What is stored is not what this version understands.
    #[error("the store cannot be read: {0}")]
    Unreadable(String),
}

impl StoreError {
    /// What is wrong, to be told as the reason of another error.
    pub(super) fn trouble(&self) -> String {
        match self {
            Self::Unavailable(why) => why.clone(),
            other => other.to_string(),
        }
    }

    pub(super) fn slow(limit: Duration) -> Self {
        Self::Unavailable(format!("no answer within {} s", limit.as_secs()))
    }
}

/// What the drivers say never contains a password; an address it may.
impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::ColumnNotFound(_) | sqlx::Error::Decode(_) => {
                Self::Unreadable(error.to_string())
            }
            sqlx::Error::Database(ref told) if told.code().is_some_and(|code| is_refusal(&code)) => {
                Self::Refused(error.to_string())
            }
            _ => Self::Unavailable(error.to_string()),
        }
    }
}

/// What was sent cannot be stored, now or later: all else is the state of the database.
fn is_refusal(code: &str) -> bool {
    /// Too big, against a constraint, of the wrong type.
    const SQLITE: [u32; 3] = [18, 19, 20];
    /// Classes: wrong values, constraints, limits of the program.
    const POSTGRES: [&str; 3] = ["22", "23", "54"];
    match code.len() {
        5 => POSTGRES.iter().any(|class| code.starts_with(class)),
        _ => code.parse::<u32>().is_ok_and(|code| SQLITE.contains(&(code & 0xff))),
    }
}

fn found_text(found: Option<u64>) -> String {
    found.map_or_else(|| "it is not there".to_owned(), |revision| format!("it has revision {revision}"))
}
