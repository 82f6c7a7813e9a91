//! Who may look after the gateway, compiled: the login of the configuration file, OpenID Connect, origins of browsers.
//!
//! Logins, tokens and sessions that were made at run time are in the store; `admin::access` knows them.

use std::time::Duration;

use url::Url;

pub use super::raw::AdminRole;
use super::snapshot::Secret;

/// `governance.auth_config`, and what `client` says of browsers.
#[derive(Debug, Clone)]
pub struct Access {
    pub door: Door,
    /// The admin of the configuration.
    pub admin: Option<Account>,
    /// Scrapes need a proof too.
    pub metrics: bool,
    /// How long a session lasts.
    pub session: Duration,
    pub oidc: Option<Oidc>,
    /// Pages of which origins may ask.
    pub origins: Origins,
    /// Headers that such pages may send, beside the usual ones.
    pub headers: Vec<String>,
    /// Secrets of the store are sealed with it.
    pub encryption_key: Option<Secret>,
}

/// Whom nobody asks for a name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Door {
    /// Nobody is let in without proof.
    #[default]
    Closed,
    /// Callers on this machine are.
    OpenToThisMachine,
    /// Everybody is.
    Open,
}

/// A name and what proves it.
#[derive(Debug, Clone)]
pub struct Account {
    pub name: String,
    pub password: Password,
}

/// As it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Password {
    Plain(Secret),
    /// PHC text of Argon2id.
    Hashed(Secret),
}

/// Login at an identity provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Oidc {
    pub issuer: String,
    pub client_id: String,
    pub client_secret: Option<Secret>,
    pub redirect: Url,
    pub scopes: Vec<String>,
    pub name_claim: String,
    /// Names from the outermost on.
    pub role_claim: Vec<String>,
    pub roles: Vec<(String, AdminRole)>,
    pub default_role: Option<AdminRole>,
}

/// Pages of which origins may read answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins {
    /// Any may, but never with what a browser sends by itself (cookies).
    pub any: bool,
    /// `https://host:port`, lower case. These may with cookies too.
    pub listed: Vec<String>,
}

impl Default for Access {
    fn default() -> Self {
        Self {
            door: Door::default(),
            admin: None,
            metrics: false,
            session: Duration::from_secs(168 * 3600),
            oidc: None,
            origins: Origins::default(),
            headers: Vec::new(),
            encryption_key: None,
        }
    }
}
