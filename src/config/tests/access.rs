//! Who looks after the gateway, as it is written and as it is wrong.

use std::time::Duration;

use super::*;
use crate::config::access::{AdminRole, Door, Password};

fn access(text: &str) -> std::sync::Arc<crate::config::access::Access> {
    let env =
        Environment::fixed([("PASSWORD", "from the environment"), ("BIFROST_ENCRYPTION_KEY", "sealing key")]);
    std::sync::Arc::clone(&json(text, &env).access)
}

#[test]
fn nothing_said_is_a_closed_door() {
    let access = access("{}");
    assert_eq!((access.door, access.admin.is_none(), access.origins.any), (Door::Closed, true, true));
    assert_eq!(access.session, Duration::from_secs(7 * 24 * 3600));
    assert_eq!(access.encryption_key.as_ref().map(|key| key.expose()), Some("sealing key"));
}

#[test]
fn a_login_is_read_from_the_new_place_and_from_the_old_one() {
    for text in [
        r#"{"governance": {"auth_config": {"admin_username": "ada", "admin_password": "env.PASSWORD"}}}"#,
        r#"{"auth_config": {"admin_username": "ada", "admin_password": "env.PASSWORD", "is_enabled": true}}"#,
    ] {
        let admin = access(text).admin.clone().unwrap();
        let Password::Plain(password) = admin.password else { panic!("{text}") };
        assert_eq!((admin.name.as_str(), password.expose()), ("ada", "from the environment"));
    }
    let open = |more: &str| access(&format!(r#"{{"auth_config": {{"is_enabled": false{more}}}}}"#)).door;
    assert_eq!(open(""), Door::OpenToThisMachine);
    assert_eq!(open(r#", "allow_remote_without_login": true"#), Door::Open);
}

#[test]
fn a_login_guards_models_as_in_the_original_and_says_so_unless_that_was_said() {
    let guards = |more: &str| {
        let text = format!(r#"{{"auth_config": {{"admin_username": "a", "admin_password": "p"{more}}}}}"#);
        let snapshot = json(&text, &Environment::fixed([]));
        (snapshot.governance.enforced, snapshot.warnings.len())
    };
    assert_eq!(guards(""), (true, 1));
    assert_eq!(guards(r#", "disable_auth_on_inference": false"#), (true, 0));
    assert_eq!(guards(r#", "disable_auth_on_inference": true"#), (false, 0));
    assert!(!json(r#"{"auth_config": {}}"#, &Environment::fixed([])).governance.enforced);
}

#[test]
fn an_identity_provider_is_read_whole() {
    let text = r#"{"auth_config": {"oidc": {"issuer": "https://id.example", "client_id": "gw",
        "redirect_url": "https://gw.example/api/session/oidc/callback", "role_claim": "realm_access/roles",
        "roles": {"ops": "admin", "staff": "viewer"}}}}"#;
    let oidc = access(text).oidc.clone().unwrap();
    assert_eq!(oidc.role_claim, ["realm_access", "roles"]);
    assert_eq!(oidc.roles, [("ops".to_owned(), AdminRole::Admin), ("staff".to_owned(), AdminRole::Viewer)]);
    assert_eq!((oidc.default_role, oidc.name_claim.as_str()), (None, "email"));
}

#[test]
fn what_cannot_be_is_told_at_its_field() {
    let callback = r#""redirect_url": "https://gw/api/session/oidc/callback""#;
    for (text, path, says) in [
        (r#"{"auth_config": {"admin_username": "a"}}"#.to_owned(), "auth_config.admin_username", "without a password"),
        (r#"{"auth_config": {"admin_password": "p"}}"#.to_owned(), "auth_config.admin_password", "admin_username"),
        (
            r#"{"auth_config": {"admin_username": "a:b", "admin_password": "p"}}"#.to_owned(),
            "auth_config.admin_username",
            "colons",
        ),
        (
            r#"{"auth_config": {"admin_username": "a", "admin_password": "$2a$10$abc"}}"#.to_owned(),
            "auth_config.admin_password",
            "bcrypt",
        ),
        (
            r#"{"auth_config": {"admin_username": "a", "admin_password": "$argon2i$x"}}"#.to_owned(),
            "auth_config.admin_password",
            "Argon2id",
        ),
        (r#"{"auth_config": {}, "governance": {"auth_config": {}}}"#.to_owned(), "auth_config", "one of the two"),
        (
            r#"{"auth_config": {"allow_remote_without_login": true}}"#.to_owned(),
            "auth_config.allow_remote_without_login",
            "is_enabled",
        ),
        (
            format!(r#"{{"auth_config": {{"oidc": {{"issuer": "http://id.example", "client_id": "x", {callback}, "default_role": "viewer"}}}}}}"#),
            "auth_config.oidc.issuer",
            "http is for this machine",
        ),
        (
            format!(r#"{{"auth_config": {{"oidc": {{"issuer": "https://id", "client_id": "x", {callback}}}}}}}"#),
            "auth_config.oidc",
            "nobody would be let in",
        ),
        (
            r#"{"auth_config": {"oidc": {"issuer": "https://id", "client_id": "x", "redirect_url": "https://gw/back",
                "default_role": "viewer"}}}"#
                .to_owned(),
            "auth_config.oidc.redirect_url",
            "/api/session/oidc/callback",
        ),
        (r#"{"client": {"allowed_origins": ["ui.example"]}}"#.to_owned(), "client.allowed_origins[0]", "no origin"),
        (r#"{"client": {"allowed_headers": ["a b"]}}"#.to_owned(), "client.allowed_headers[0]", "header"),
        (r#"{"encryption_key": "short"}"#.to_owned(), "encryption_key", "guessed"),
        (r#"{"encryption_key": "env.NOPE"}"#.to_owned(), "encryption_key", "NOPE is not set"),
    ] {
        let document = Document::parse("c.json", &text, Format::Json).unwrap();
        let problems = crate::config::compile(&document, &Environment::fixed([]), 1).unwrap_err();
        let found = problems.iter().any(|problem| problem.path == path && problem.message.contains(says));
        assert!(found, "{text}: {problems:?}");
    }
}
