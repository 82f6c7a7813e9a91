//! `governance.auth_config` (or `auth_config`), `encryption_key`, `client.allowed_origins`.

use std::time::Duration;

use argon2::password_hash::phc::PasswordHash;
use url::Url;

use super::Compiler;
use crate::config::access::{Access, Account, Door, Oidc, Origins, Password};
use crate::config::document::At;
use crate::config::problem::{Problem, child};
use crate::config::raw;
use crate::config::snapshot::Secret;

/// Where the key of stored secrets is looked up when the configuration names none.
pub const ENCRYPTION_KEY: &str = "BIFROST_ENCRYPTION_KEY";
/// The path that identity providers send browsers back to.
pub const CALLBACK: &str = "/api/session/oidc/callback";

const NEW: &str = "/governance/auth_config";
const OLD: &str = "/auth_config";

pub(super) fn compile(compiler: &mut Compiler<'_>, config: &raw::Config) -> Access {
    let new = config.governance.as_ref().and_then(|governance| governance.auth_config.as_ref());
    let (raw, pointer) = match (new, config.auth_config.as_ref()) {
        (Some(_), Some(_)) => {
            compiler.problem(OLD, At::Name, "governance.auth_config is there too: one of the two is enough");
            return Access::default();
        }
        (Some(raw), None) => (raw.clone(), NEW),
        (None, Some(raw)) => (raw.clone(), OLD),
        (None, None) => (raw::AuthConfig::default(), NEW),
    };
    Access {
        door: door(compiler, &raw, pointer),
        admin: account(compiler, &raw, pointer),
        metrics: raw.metrics_require_auth,
        session: Duration::from_secs(u64::from(raw.session_duration_in_hours).saturating_mul(3600)),
        oidc: raw.oidc.as_ref().and_then(|raw| oidc(compiler, raw, &child(pointer, "oidc"))),
        origins: origins(compiler, &config.client.allowed_origins),
        headers: headers(compiler, &config.client.allowed_headers),
        encryption_key: encryption_key(compiler, config.encryption_key.as_deref()),
    }
}

/// A login was written, and nothing of requests to models: in the original they need a proof then, and must not be open
/// here because the file moved.
pub(super) fn guards_models(compiler: &mut Compiler<'_>, config: &raw::Config) -> bool {
    let new = config.governance.as_ref().and_then(|governance| governance.auth_config.as_ref());
    let (raw, pointer) = match (new, config.auth_config.as_ref()) {
        (Some(raw), _) => (raw, NEW),
        (None, Some(raw)) => (raw, OLD),
        (None, None) => return false,
    };
    let guarded =
        raw.is_enabled && raw.admin_username.is_some() && raw.disable_auth_on_inference != Some(true);
    if guarded && raw.disable_auth_on_inference.is_none() && !config.client.enforce_auth_on_inference {
        let message = "requests to models need a virtual key beside a login: \
            disable_auth_on_inference: true opens them, false says that this is meant";
        compiler.warn(&child(pointer, "admin_username"), message);
    }
    guarded
}

fn door(compiler: &mut Compiler<'_>, raw: &raw::AuthConfig, pointer: &str) -> Door {
    match (raw.is_enabled, raw.allow_remote_without_login) {
        (true, false) => Door::Closed,
        (true, true) => {
            let pointer = child(pointer, "allow_remote_without_login");
            compiler.problem(&pointer, At::Name, "says nothing unless is_enabled is false");
            Door::Closed
        }
        (false, false) => Door::OpenToThisMachine,
        (false, true) => {
            let message = "everybody who reaches the port can change everything, and read what is spent";
            compiler.warn(&child(pointer, "allow_remote_without_login"), message);
            Door::Open
        }
    }
}

fn account(compiler: &mut Compiler<'_>, raw: &raw::AuthConfig, pointer: &str) -> Option<Account> {
    let filled = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
    let (name, password) = match (filled(&raw.admin_username), filled(&raw.admin_password)) {
        (Some(name), Some(password)) => (name, password),
        (None, None) => return None,
        (Some(_), None) => {
            let message = "an admin without a password cannot log in";
            compiler.problem(&child(pointer, "admin_username"), At::Value, message);
            return None;
        }
        (None, Some(_)) => {
            compiler.problem(&child(pointer, "admin_password"), At::Name, "admin_username is missing");
            return None;
        }
    };
    if name.contains(':') || name.chars().any(char::is_control) {
        let message = "a name is without colons and control characters";
        compiler.problem(&child(pointer, "admin_username"), At::Value, message);
        return None;
    }
    let password = self::password(compiler, password, &child(pointer, "admin_password"))?;
    Some(Account { name, password })
}

fn password(compiler: &mut Compiler<'_>, text: String, pointer: &str) -> Option<Password> {
    let advice = "write the password as env.NAME, or the hash that `bifrost admin password` prints";
    if ["$2a$", "$2b$", "$2y$"].iter().any(|bcrypt| text.starts_with(bcrypt)) {
        let problem = compiler.document.problem(pointer, At::Value, "hashes of bcrypt are not read");
        compiler.push(pointer, problem.suggest(advice));
        return None;
    }
    if !text.starts_with("$argon2") {
        return Some(Password::Plain(Secret::new(text)));
    }
    let fits = text.starts_with("$argon2id$") && PasswordHash::new(&text).is_ok();
    if !fits {
        let problem = compiler.document.problem(pointer, At::Value, "this is no hash of Argon2id");
        compiler.push(pointer, problem.suggest(advice));
        return None;
    }
    Some(Password::Hashed(Secret::new(text)))
}

fn oidc(compiler: &mut Compiler<'_>, raw: &raw::OidcLogin, pointer: &str) -> Option<Oidc> {
    let before = compiler.problems.len();
    for (name, text) in [
        ("issuer", &raw.issuer),
        ("client_id", &raw.client_id),
        ("redirect_url", &raw.redirect_url),
        ("name_claim", &raw.name_claim),
        ("role_claim", &raw.role_claim),
    ] {
        if text.trim().is_empty() {
            compiler.problem(&child(pointer, name), At::Value, format!("`{name}` is needed"));
        }
    }
    secured(compiler, &raw.issuer, &child(pointer, "issuer"));
    let redirect = secured(compiler, &raw.redirect_url, &child(pointer, "redirect_url"));
    if redirect.as_ref().is_some_and(|url| url.path() != CALLBACK || url.query().is_some()) {
        let message = format!("the path of this address has to be {CALLBACK}");
        compiler.problem(&child(pointer, "redirect_url"), At::Value, message);
    }
    if raw.roles.is_empty() && raw.default_role.is_none() {
        let at = child(pointer, "roles");
        let problem = compiler.document.problem(pointer, At::Value, "nobody would be let in");
        compiler.push(&at, Problem::suggest(problem, "write `roles`, such as {\"admins\": \"admin\"}"));
    }
    if compiler.problems.len() > before {
        return None;
    }
    Some(Oidc {
        issuer: raw.issuer.clone(),
        client_id: raw.client_id.clone(),
        client_secret: raw.client_secret.clone().filter(|text| !text.is_empty()).map(Secret::new),
        redirect: redirect?,
        scopes: raw.scopes.clone(),
        name_claim: raw.name_claim.clone(),
        role_claim: raw.role_claim.split('/').map(str::to_owned).collect(),
        roles: raw.roles.iter().map(|(value, role)| (value.clone(), *role)).collect(),
        default_role: raw.default_role,
    })
}

/// An address whose answers nobody on the way can change.
fn secured(compiler: &mut Compiler<'_>, text: &str, pointer: &str) -> Option<Url> {
    let problem = match Url::parse(text) {
        Ok(url) if url.scheme() == "https" || is_local(&url) => return Some(url),
        Ok(url) if url.scheme() == "http" => {
            "http is for this machine only: what comes back decides who is let in"
        }
        _ => "expected an https URL",
    };
    compiler.problem(pointer, At::Value, problem);
    None
}

fn is_local(url: &Url) -> bool {
    let local = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    url.scheme() == "http" && local
}

fn origins(compiler: &mut Compiler<'_>, raw: &[String]) -> Origins {
    let mut origins = Origins::default();
    for (at, text) in raw.iter().enumerate() {
        if text == "*" {
            origins.any = true;
            continue;
        }
        let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let bare = url.filter(|url| url.path() == "/" && url.query().is_none() && url.fragment().is_none());
        match bare.map(|url| url.origin().ascii_serialization()) {
            Some(origin) => origins.listed.push(origin),
            None => {
                let pointer = format!("/client/allowed_origins/{at}");
                let problem = compiler.document.problem(&pointer, At::Value, "this is no origin");
                let advice = "write it as https://host or https://host:port, or * for all";
                compiler.push(&pointer, problem.suggest(advice));
            }
        }
    }
    origins
}

fn headers(compiler: &mut Compiler<'_>, raw: &[String]) -> Vec<String> {
    let mut names = Vec::new();
    for (at, text) in raw.iter().enumerate() {
        match http::HeaderName::from_bytes(text.as_bytes()) {
            Ok(name) => names.push(name.as_str().to_owned()),
            Err(_) if text == "*" => names.push("*".to_owned()),
            Err(_) => {
                let pointer = format!("/client/allowed_headers/{at}");
                compiler.problem(&pointer, At::Value, "this is no header's name");
            }
        }
    }
    names
}

fn encryption_key(compiler: &mut Compiler<'_>, raw: Option<&str>) -> Option<Secret> {
    match raw.filter(|text| !text.is_empty()) {
        Some(text) if text.trim().len() < 8 => {
            compiler.problem(
                "/encryption_key",
                At::Value,
                "a key of less than 8 characters is guessed in no time",
            );
            None
        }
        Some(text) => Some(Secret::new(text)),
        None => compiler.environment.filled(ENCRYPTION_KEY).map(Secret::new),
    }
}
