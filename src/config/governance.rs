//! Who may use the gateway, for how much: virtual keys, teams and customers, compiled.
//!
//! What they have used is not here: `account` counts it. Nothing is decided here but what a name allows.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use govern::allowance::Quota;
use http::HeaderName;
use ring::digest;

pub use super::raw::Reservations;

/// `governance`, and what `client` says of callers.
#[derive(Debug, Default)]
pub struct Governance {
    /// By id.
    pub teams: HashMap<Arc<str>, Arc<Team>>,
    /// By id.
    pub customers: HashMap<Arc<str>, Arc<Customer>>,
    /// By provider.
    pub providers: HashMap<Arc<str>, Quotas>,
    pub models: Vec<ModelLimit>,
    /// Budgets and limits that others name by id.
    pub named: Named,
    /// Those of the configuration file. Who calls is found in `auth::Directory`, which knows those of the store too.
    pub virtual_keys: Vec<Arc<VirtualKey>>,
    /// Requests without a virtual key are refused.
    pub enforced: bool,
    /// Headers that every request must have.
    pub required_headers: Vec<HeaderName>,
    pub reservations: Reservations,
}

/// `governance.budgets` and `governance.rate_limits`, by id.
#[derive(Debug, Default)]
pub struct Named {
    /// `None`: one that is wrong, which is reported where it stands.
    pub budgets: HashMap<Arc<str>, Option<Quota>>,
    pub rate_limits: HashMap<Arc<str>, Quotas>,
}

/// SHA-256 of a virtual key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyHash(pub [u8; 32]);

impl KeyHash {
    /// What virtual keys begin with: by that they are told from keys of providers.
    pub const PREFIX: &str = "sk-bf-";

    /// The hash of a key. Keys are long and random: a salt and a slow hash would add nothing but time.
    #[must_use]
    pub fn of(key: &str) -> Self {
        let digest = digest::digest(&digest::SHA256, key.as_bytes());
        // A SHA-256 has as many bytes.
        Self(digest.as_ref().try_into().unwrap_or([0; 32]))
    }

    /// Reads 64 hexadecimal digits.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        if text.len() != 64 {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            let digit = |at: usize| char::from(*pair.get(at)?).to_digit(16);
            *byte = u8::try_from(digit(0)? * 16 + digit(1)?).ok()?;
        }
        Some(Self(bytes))
    }
}

/// In hexadecimal.
impl fmt::Display for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The beginning only: enough to tell two apart.
impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.to_string();
        write!(f, "{}…", text.get(..8).unwrap_or_default())
    }
}

/// A key that a caller is given.
#[derive(Debug)]
pub struct VirtualKey {
    pub id: Arc<str>,
    pub name: Arc<str>,
    /// The key, and before it those that a rotation lets live on: each with the Unix milliseconds of its end.
    pub hashes: Box<[(KeyHash, Option<u64>)]>,
    pub active: bool,
    /// Unix milliseconds from which on it is not taken.
    pub expires_ms: Option<u64>,
    pub team: Option<Arc<str>>,
    pub customer: Option<Arc<str>>,
    /// `None`: every provider.
    pub grants: Option<Box<[Grant]>>,
    pub quotas: Quotas,
    /// Whether contents of its requests are kept; `None`: as for everybody.
    pub log_content: Option<bool>,
}

/// What a virtual key may do at one provider.
#[derive(Debug)]
pub struct Grant {
    pub provider: Arc<str>,
    /// Of requests that name no provider, in thousandths; `None`: it only stands in.
    pub weight: Option<u32>,
    pub models: Names,
    pub denied: Box<[Arc<str>]>,
    /// Ids or names of provider keys.
    pub keys: Names,
    pub quotas: Quotas,
}

/// A list of names, where `*` means all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Names {
    #[default]
    All,
    /// Nobody, when it is empty.
    Listed(Box<[Arc<str>]>),
}

impl Names {
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Listed(names) => names.iter().any(|listed| **listed == *name),
        }
    }
}

impl Grant {
    /// The model, as its provider names it, may be used. Lists may have it with the provider in front, as callers do.
    #[must_use]
    pub fn allows(&self, model: &str) -> bool {
        let listed = match &self.models {
            Names::All => true,
            Names::Listed(names) => names.iter().any(|name| self.means(name, model)),
        };
        listed && !self.denied.iter().any(|name| **name == *"*" || self.means(name, model))
    }

    /// Every model may be used, those that nobody can name included.
    #[must_use]
    pub fn allows_all(&self) -> bool {
        self.models == Names::All && self.denied.is_empty()
    }

    /// The model is in the list by its name.
    #[must_use]
    pub fn lists(&self, model: &str) -> bool {
        matches!(&self.models, Names::Listed(names) if names.iter().any(|name| self.means(name, model)))
    }

    fn means(&self, written: &str, model: &str) -> bool {
        let bare = || written.strip_prefix(&*self.provider)?.strip_prefix('/');
        *written == *model || bare() == Some(model)
    }
}

/// Why a key is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blocked {
    Inactive,
    Expired,
}

impl VirtualKey {
    /// It is taken at `now_ms`.
    ///
    /// # Errors
    /// It is not.
    pub fn usable(&self, now_ms: u64) -> Result<(), Blocked> {
        match self.expires_ms {
            _ if !self.active => Err(Blocked::Inactive),
            Some(end) if end <= now_ms => Err(Blocked::Expired),
            _ => Ok(()),
        }
    }

    /// What it may do at a provider; `None`: nothing. Meaningless where [`VirtualKey::grants`] is `None`.
    #[must_use]
    pub fn grant(&self, provider: &str) -> Option<&Grant> {
        self.grants.as_deref()?.iter().find(|grant| *grant.provider == *provider)
    }
}

/// A group of virtual keys.
#[derive(Debug)]
pub struct Team {
    pub id: Arc<str>,
    pub name: Arc<str>,
    pub customer: Option<Arc<str>>,
    pub quotas: Quotas,
}

/// Whom teams and virtual keys belong to.
#[derive(Debug)]
pub struct Customer {
    pub id: Arc<str>,
    pub name: Arc<str>,
    pub quotas: Quotas,
}

/// Budgets and limits of a model, over all callers.
#[derive(Debug)]
pub struct ModelLimit {
    pub model: Arc<str>,
    /// `None`: wherever it is.
    pub provider: Option<Arc<str>>,
    pub quotas: Quotas,
}

/// What one owner may use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Quotas {
    pub list: Box<[Quota]>,
    /// Requests under way at once.
    pub concurrency: Option<u32>,
}

impl Quotas {
    /// There is nothing to count.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty() && self.concurrency.is_none()
    }
}

/// Whose budgets and limits they are: the key of counters in memory, in the journal and in stores.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Owner {
    Customer(Arc<str>),
    Team(Arc<str>),
    VirtualKey(Arc<str>),
    /// A virtual key at one provider.
    Grant {
        key: Arc<str>,
        provider: Arc<str>,
    },
    Provider(Arc<str>),
    Model {
        provider: Option<Arc<str>>,
        model: Arc<str>,
    },
}

impl Owner {
    /// What it is, for people and for `type` of refusals.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Customer(_) => "customer",
            Self::Team(_) => "team",
            Self::VirtualKey(_) => "virtual_key",
            Self::Grant { .. } => "provider_config",
            Self::Provider(_) => "provider",
            Self::Model { .. } => "model",
        }
    }
}

/// `kind:name`, with `%`, `/` and `:` of names as `%25`, `%2F` and `%3A`; two names have a `/` between them.
impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind())?;
        f.write_str(":")?;
        match self {
            Self::Customer(name) | Self::Team(name) | Self::VirtualKey(name) | Self::Provider(name) => {
                f.write_str(&escaped(name))
            }
            Self::Grant { key, provider } => two(f, key, provider),
            Self::Model { provider: None, model } => f.write_str(&escaped(model)),
            Self::Model { provider: Some(provider), model } => two(f, provider, model),
        }
    }
}

/// The text names no owner.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} names no owner of budgets")]
pub struct BadOwner(String);

impl FromStr for Owner {
    type Err = BadOwner;

    fn from_str(text: &str) -> Result<Self, BadOwner> {
        let bad = || BadOwner(text.to_owned());
        let (kind, rest) = text.split_once(':').ok_or_else(bad)?;
        let (first, second) = match rest.split_once('/') {
            Some((first, second)) => (plain(first), Some(plain(second))),
            None => (plain(rest), None),
        };
        match (kind, second) {
            ("customer", None) => Ok(Self::Customer(first)),
            ("team", None) => Ok(Self::Team(first)),
            ("virtual_key", None) => Ok(Self::VirtualKey(first)),
            ("provider", None) => Ok(Self::Provider(first)),
            ("provider_config", Some(provider)) => Ok(Self::Grant { key: first, provider }),
            ("model", None) => Ok(Self::Model { provider: None, model: first }),
            ("model", Some(model)) => Ok(Self::Model { provider: Some(first), model }),
            _ => Err(bad()),
        }
    }
}

fn two(f: &mut fmt::Formatter<'_>, first: &str, second: &str) -> fmt::Result {
    f.write_str(&escaped(first))?;
    f.write_str("/")?;
    f.write_str(&escaped(second))
}

/// Most names have nothing to escape, and each spend is written with several.
fn escaped(name: &str) -> Cow<'_, str> {
    if !name.bytes().any(|byte| matches!(byte, b'%' | b'/' | b':')) {
        return Cow::Borrowed(name);
    }
    Cow::Owned(name.replace('%', "%25").replace('/', "%2F").replace(':', "%3A"))
}

fn plain(text: &str) -> Arc<str> {
    text.replace("%3A", ":").replace("%2F", "/").replace("%25", "%").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_read_back_as_it_was_written() {
        let name = |text: &str| Arc::<str>::from(text);
        for owner in [
            Owner::Customer(name("a%2F/b:c")),
            Owner::Team(name("")),
            Owner::VirtualKey(name("%3A")),
            Owner::Grant { key: name("k/1"), provider: name("open:ai") },
            Owner::Provider(name("openai")),
            Owner::Model { provider: None, model: name("meta/llama:free") },
            Owner::Model { provider: Some(name("a/b")), model: name("c/d") },
        ] {
            assert_eq!(owner.to_string().parse(), Ok(owner.clone()), "{owner}");
        }
        for text in ["", "team", "nobody:x", "team:a/b", "provider_config:k"] {
            assert!(text.parse::<Owner>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_empty_list_allows_nothing_and_a_missing_one_everything() {
        assert!(Names::All.has("x"));
        assert!(!Names::Listed(Box::default()).has("x"));
        assert!(Names::Listed(["x".into()].into()).has("x"));
    }
}
