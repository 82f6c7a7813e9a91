//! What is stored of the configuration: documents with a name, and what a change of some of them is.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Provider,
    VirtualKey,
    Team,
    Customer,
    ModelConfig,
    ProviderGovernance,
    RoutingRule,
    /// A section of the configuration file (`client`, `framework`, `routing`, …), by its name.
    Section,
    /// Somebody who looks after the gateway.
    User,
    /// A token of the administration.
    Token,
    /// Somebody who is logged in.
    Session,
}

impl Kind {
    pub const ALL: [Self; 11] = [
        Self::Provider,
        Self::VirtualKey,
        Self::Team,
        Self::Customer,
        Self::ModelConfig,
        Self::ProviderGovernance,
        Self::RoutingRule,
        Self::Section,
        Self::User,
        Self::Token,
        Self::Session,
    ];

    /// In tables and messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::VirtualKey => "virtual_key",
            Self::Team => "team",
            Self::Customer => "customer",
            Self::ModelConfig => "model_config",
            Self::ProviderGovernance => "provider_governance",
            Self::RoutingRule => "routing_rule",
            Self::Section => "section",
            Self::User => "user",
            Self::Token => "token",
            Self::Session => "session",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Part of the configuration: a change makes a new revision and is kept in the history. What proves who somebody is
    /// is not, and never returns by a roll-back.
    #[must_use]
    pub fn is_configuration(self) -> bool {
        !matches!(self, Self::User | Self::Token | Self::Session)
    }
}

/// A document.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Stored {
    pub kind: Kind,
    /// Never changes.
    pub id: String,
    /// Unique within the kind.
    pub name: String,
    pub body: Value,
    pub source: Provenance,
    /// That of its last change.
    pub revision: u64,
    pub updated_at_ms: u64,
    pub updated_by: String,
}

/// Whether the configuration file has the entity too.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Provenance {
    /// It has not.
    #[default]
    Store,
    /// It had one with this hash when this one was stored in its place.
    Replaces(String),
}

/// What must be there for an edit to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Expected {
    /// Whatever is.
    #[default]
    Any,
    /// Nothing: it is made.
    Absent,
    /// The entity, last changed at this revision.
    Revision(u64),
}

/// One entity's part in a change.
#[derive(Debug, Clone, PartialEq)]
pub enum Edit {
    Put {
        kind: Kind,
        id: String,
        name: String,
        body: Value,
        source: Provenance,
        expected: Expected,
    },
    /// That it is not there is no conflict unless `expected` says so.
    Delete {
        kind: Kind,
        id: String,
        expected: Expected,
    },
}

impl Edit {
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Put { kind, .. } | Self::Delete { kind, .. } => *kind,
        }
    }

    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::Put { id, .. } | Self::Delete { id, .. } => id,
        }
    }

    #[must_use]
    pub fn expected(&self) -> Expected {
        match self {
            Self::Put { expected, .. } | Self::Delete { expected, .. } => *expected,
        }
    }
}

/// Edits that are made together or not at all.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Unix milliseconds.
    pub at_ms: u64,
    /// Who asked for it.
    pub who: String,
    /// Where from: an address, or `command line`.
    pub address: String,
    /// What it is, for the history and the audit log: `virtual_key.create`.
    pub action: String,
    pub edits: Vec<Edit>,
    /// The revision that the edits were made from; another one is a conflict. `None`: whatever it is.
    pub from_revision: Option<u64>,
}

/// A change that was made.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Recorded {
    pub revision: u64,
    pub at_ms: u64,
    pub who: String,
    pub action: String,
    pub edits: Vec<RecordedEdit>,
}

/// An entity before and after a change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecordedEdit {
    pub kind: Kind,
    pub id: String,
    pub name: String,
    /// `None`: it was not there.
    pub before: Option<Value>,
    /// `None`: it is not there any more.
    pub after: Option<Value>,
    #[serde(default)]
    pub source_before: Provenance,
    #[serde(default)]
    pub source_after: Provenance,
}
