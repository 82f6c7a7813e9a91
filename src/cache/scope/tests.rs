use std::collections::HashMap;
use std::sync::Arc;

use super::super::fingerprint;
use super::*;
use crate::config::governance::{Customer, Quotas, Team, VirtualKey};

fn caller(key: &str, team: Option<&str>, customer: Option<&str>) -> Caller {
    let key = VirtualKey {
        id: key.into(),
        name: "one".into(),
        hashes: Box::default(),
        active: true,
        expires_ms: None,
        team: team.map(Arc::from),
        customer: customer.map(Arc::from),
        grants: None,
        quotas: Quotas::default(),
        log_content: None,
    };
    let team = |id: &str| Team { id: id.into(), name: "t".into(), customer: None, quotas: Quotas::default() };
    let customer_of = |id: &str| Customer { id: id.into(), name: "c".into(), quotas: Quotas::default() };
    Caller {
        team: key.team.as_deref().map(|id| Arc::new(team(id))),
        customer: key.customer.as_deref().map(|id| Arc::new(customer_of(id))),
        key: Arc::new(key),
    }
}

#[test]
fn a_tenant_is_the_widest_of_the_scope_that_a_caller_has() {
    let full = caller("k", Some("t"), Some("c"));
    let lone = caller("k", None, None);
    let of = |caller: &Caller, scope| tenant(Some(caller), scope).into_string();
    assert_eq!(of(&full, Scope::VirtualKey), "virtual_key:k");
    assert_eq!(of(&full, Scope::Team), "team:t");
    assert_eq!(of(&full, Scope::Customer), "customer:c");
    assert_eq!(of(&caller("k", Some("t"), None), Scope::Customer), "team:t");
    for scope in [Scope::VirtualKey, Scope::Team, Scope::Customer] {
        assert_eq!(of(&lone, scope), "virtual_key:k");
        assert_eq!(&*tenant(None, scope), "");
    }
}

/// Any two pairs of tenant and key that differ are two spaces, and any two requests in two spaces are two entries: also
/// where one text flows into the next, where ids hold the separators, and where one is empty.
#[test]
fn two_tenants_with_one_key_never_share() {
    const LETTERS: [&str; 8] = ["a", "b", ":", "/", "\0", "virtual_key:", "é", ""];
    let mut random = fastrand::Rng::with_seed(7);
    let mut word =
        || (0..random.usize(..5)).map(|_| LETTERS[random.usize(..LETTERS.len())]).collect::<String>();
    let mut spaces: HashMap<Space, (String, String)> = HashMap::new();
    let mut entries = HashMap::new();
    for _ in 0..20_000 {
        let (tenant, key, asked) = (word(), word(), word());
        let space = Space::of(&tenant, &key);
        let pair = (tenant, key);
        assert_eq!(spaces.entry(space).or_insert_with(|| pair.clone()), &pair);
        let fingerprint = fingerprint::of(asked.as_bytes(), &[]);
        let id = super::super::entry::EntryId::of(space, &fingerprint);
        let whole = (pair, asked);
        assert_eq!(entries.entry(id).or_insert_with(|| whole.clone()), &whole);
    }
    assert!(spaces.len() > 5_000, "{} pairs were tried", spaces.len());
}

#[test]
fn callers_of_every_kind_are_told_apart() {
    let id = "same";
    let callers = [
        tenant(None, Scope::VirtualKey),
        tenant(Some(&caller(id, None, None)), Scope::VirtualKey),
        tenant(Some(&caller("x", Some(id), None)), Scope::Team),
        tenant(Some(&caller("x", None, Some(id))), Scope::Customer),
    ];
    let spaces: std::collections::HashSet<Space> = callers.iter().map(|one| Space::of(one, "docs")).collect();
    assert_eq!(spaces.len(), callers.len());
}
