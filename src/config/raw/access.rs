//! `governance.auth_config`: who looks after the gateway.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Login of people and programs that look after the gateway: everything below `/api`. Without any login the gateway prints a
/// token at its start, with which one is set.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AuthConfig {
    /// Name of an admin whose password is written here. Further ones are made with the API.
    pub admin_username: Option<String>,
    /// The admin's password, `env.NAME`, or its hash as `bifrost admin password` prints it (`$argon2id$…`).
    pub admin_password: Option<String>,
    /// `false`: whoever is on this machine is an admin, without login. Others are not let in.
    pub is_enabled: bool,
    /// With `is_enabled: false`: so is everybody else who reaches the port.
    pub allow_remote_without_login: bool,
    /// Beside an `admin_username` requests to models need a virtual key, unless this is true. An admin's password is no
    /// proof for them.
    pub disable_auth_on_inference: Option<bool>,
    /// `/metrics` needs a proof as everything below `/api` does: a token, or a name and a password. Otherwise it is open to all who
    /// reach the port.
    pub metrics_require_auth: bool,
    /// Hours until a login has to be repeated.
    #[schemars(range(min = 1, max = 8760))]
    pub session_duration_in_hours: u32,
    /// Login with OpenID Connect.
    pub oidc: Option<OidcLogin>,
}

impl Default for AuthConfig {
    fn default() -> Self {
        Self {
            admin_username: None,
            admin_password: None,
            is_enabled: true,
            allow_remote_without_login: false,
            disable_auth_on_inference: None,
            metrics_require_auth: false,
            session_duration_in_hours: 168,
            oidc: None,
        }
    }
}

/// Login at an identity provider (OpenID Connect, code flow with PKCE).
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OidcLogin {
    /// The provider's address, below which `/.well-known/openid-configuration` is.
    pub issuer: String,
    /// How the gateway is called there.
    pub client_id: String,
    /// Its secret, or `env.NAME`. Absent for a public client.
    pub client_secret: Option<String>,
    /// Address of this gateway as browsers see it, with the path `/api/session/oidc/callback`; registered at the provider.
    pub redirect_url: String,
    /// What is asked for, beside `openid`.
    pub scopes: Vec<String>,
    /// The claim that is the admin's name in the history. An `email` counts only where the provider has checked it.
    pub name_claim: String,
    /// The claim that says who may do what: a text or a list of texts, such as `groups`. `/` leads into objects, as in
    /// `realm_access/roles`.
    pub role_claim: String,
    /// `admin` or `viewer` by value of the claim. The higher one counts.
    pub roles: BTreeMap<String, AdminRole>,
    /// Role of those who have no value of `roles`. Absent: they are not let in.
    pub default_role: Option<AdminRole>,
}

impl Default for OidcLogin {
    fn default() -> Self {
        Self {
            issuer: String::new(),
            client_id: String::new(),
            client_secret: None,
            redirect_url: String::new(),
            scopes: vec!["profile".to_owned(), "email".to_owned()],
            name_claim: "email".to_owned(),
            role_claim: "groups".to_owned(),
            roles: BTreeMap::new(),
            default_role: None,
        }
    }
}

/// What somebody may do in the administration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AdminRole {
    /// Look at everything but secrets.
    Viewer,
    /// Change everything.
    Admin,
}
