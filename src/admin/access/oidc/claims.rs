//! From what an identity provider says of somebody to a name and a role.

use serde_json::{Map, Value};

use super::Refusal;
use crate::admin::access::login::LONGEST_NAME;
use crate::admin::who::Role;
use crate::config::access::Oidc;

/// Somebody who was let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// For the history; never that of a login of our own.
    pub name: String,
    pub role: Role,
}

impl Person {
    /// # Errors
    /// `NoRole`.
    pub fn of(claims: &Map<String, Value>, settings: &Oidc) -> Result<Self, Refusal> {
        let subject = text(claims, "sub").unwrap_or_default();
        let named = text(claims, &settings.name_claim)
            .filter(|name| !name.trim().is_empty() && (settings.name_claim != "email" || is_checked(claims)));
        let name: String =
            named.unwrap_or(subject).chars().filter(|c| !c.is_control()).take(LONGEST_NAME).collect();
        match role(claims, settings) {
            Some(role) => Ok(Self { name: format!("oidc:{name}"), role }),
            None => Err(Refusal::NoRole(name)),
        }
    }
}

/// The highest role of the claim's values.
fn role(claims: &Map<String, Value>, settings: &Oidc) -> Option<Role> {
    let mut names = settings.role_claim.iter();
    let first = names.next()?;
    let found = claims.get(first).and_then(|value| names.try_fold(value, |value, name| value.get(name)));
    // An address that anybody can enter proves nothing.
    let counts = first != "email" || is_checked(claims);
    let values: Vec<&str> = match found.filter(|_| counts) {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let fitting = settings.roles.iter().filter(|(value, _)| values.contains(&value.as_str()));
    fitting.map(|(_, role)| *role).max().or(settings.default_role)
}

fn is_checked(claims: &Map<String, Value>) -> bool {
    match claims.get("email_verified") {
        Some(Value::Bool(checked)) => *checked,
        Some(Value::String(checked)) => checked == "true",
        _ => false,
    }
}

fn text<'c>(claims: &'c Map<String, Value>, name: &str) -> Option<&'c str> {
    claims.get(name).and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn settings(role_claim: &str, default_role: Option<Role>) -> Oidc {
        Oidc {
            issuer: "https://id.example".into(),
            client_id: "gateway".into(),
            client_secret: None,
            redirect: "https://gw.example/api/session/oidc/callback".parse().unwrap(),
            scopes: Vec::new(),
            name_claim: "email".into(),
            role_claim: role_claim.split('/').map(str::to_owned).collect(),
            roles: vec![("ops".into(), Role::Admin), ("staff".into(), Role::Viewer)],
            default_role,
        }
    }

    fn role_of(claims: Value, settings: &Oidc) -> Option<Role> {
        Person::of(claims.as_object().unwrap(), settings).ok().map(|person| person.role)
    }

    #[test]
    fn the_highest_role_of_the_claim_counts_and_nobody_else_is_let_in() {
        let groups = settings("groups", None);
        for (claims, expected) in [
            (json!({"groups": ["staff", "ops"]}), Some(Role::Admin)),
            (json!({"groups": "staff"}), Some(Role::Viewer)),
            (json!({"groups": ["opss", "OPS"]}), None),
            (json!({"groups": [1, null, {"ops": true}]}), None),
            (json!({"groups": {"ops": true}}), None),
            (json!({}), None),
        ] {
            assert_eq!(role_of(claims.clone(), &groups), expected, "{claims}");
        }
        assert_eq!(role_of(json!({}), &settings("groups", Some(Role::Viewer))), Some(Role::Viewer));
        let nested = settings("realm_access/roles", None);
        assert_eq!(role_of(json!({"realm_access": {"roles": ["ops"]}}), &nested), Some(Role::Admin));
        assert_eq!(role_of(json!({"realm_access": ["ops"]}), &nested), None);
    }

    #[test]
    fn an_email_that_nobody_checked_neither_names_nor_lets_in() {
        let mut by_email = settings("email", None);
        by_email.roles = vec![("ada@example.com".into(), Role::Admin)];
        let claims =
            |checked: Value| json!({"sub": "s1", "email": "ada@example.com", "email_verified": checked});
        assert_eq!(role_of(claims(json!(true)), &by_email), Some(Role::Admin));
        assert_eq!(role_of(claims(json!(false)), &by_email), None);
        assert_eq!(role_of(json!({"sub": "s1", "email": "ada@example.com"}), &by_email), None);
        let open = settings("groups", Some(Role::Viewer));
        let name = |claims: Value| Person::of(claims.as_object().unwrap(), &open).unwrap().name;
        assert_eq!(name(claims(json!(true))), "oidc:ada@example.com");
        assert_eq!(name(claims(json!(false))), "oidc:s1");
    }
}
