//! What is compiled of `governance`.

use serde_json::{Value, json};

use super::*;
use crate::config::governance::{KeyHash, Names};
use crate::config::{Document, Environment, Format, Snapshot};

fn snapshot(governance: &Value, environment: &Environment) -> Snapshot {
    let text = json!({
        "providers": {"openai": {"keys": [{"id": "k1", "name": "main", "value": "k"}]}, "groq": {"keys": [{"value": "g"}]}},
        "governance": governance,
    });
    let document = Document::parse("c.json", &text.to_string(), Format::Json).unwrap();
    match crate::config::compile(&document, environment, 1) {
        Ok(loaded) => loaded.snapshot,
        Err(problems) => panic!("{problems:?}"),
    }
}

fn governed() -> Value {
    json!({
        "budgets": [{"id": "monthly", "max_limit": 100, "reset_duration": "1M", "calendar_aligned": true}],
        "rate_limits": [{"id": "slow", "request_max_limit": 10, "max_concurrent_requests": 2}],
        "customers": [{"id": "c1", "name": "Acme", "budget_id": "monthly"}],
        "teams": [{"name": "blue", "customer_id": "c1", "budget": {"max_limit": 0.1, "reset_duration": "1d"}}],
        "providers": [{"name": "openai", "rate_limit": {"token_max_limit": 1000}}],
        "model_configs": [{"model_name": "openai/gpt-4o", "budget_id": "monthly"}],
        "virtual_keys": [
            {"id": "vk", "name": "batch", "value": "env.KEY", "team_id": "blue", "rate_limit_id": "slow",
                "rate_limit": {"request_max_limit": 5, "input_token_max_limit": 7, "input_token_reset_duration": "1h"},
                "expires_at": "2030-01-01T00:00:00Z",
                "provider_configs": [
                    {"provider": "openai", "weight": 0.7, "allowed_models": ["gpt-4o", "openai/o1"], "key_ids": ["main"],
                        "blacklisted_models": ["o1-pro"], "budget": {"max_limit": 0.000000001, "reset_duration": "1h"}},
                    {"provider": "groq", "allowed_models": ["*"], "blacklisted_models": ["whisper"]},
                ]},
            {"name": "plain", "value_hash": "AB".repeat(32), "previous": [
                {"value_hash": "cd".repeat(32), "expires_at": "2026-01-01T00:00:00+01:00"}]},
        ],
    })
}

#[test]
fn everything_written_becomes_what_it_says() {
    let environment = Environment::fixed([("KEY", "sk-bf-0123456789abcdef01234567")]);
    let snapshot = snapshot(&governed(), &environment);
    let governance = &snapshot.governance;
    let noted = "virtual_keys[0].rate_limit_id: another one is for the same span";
    assert!(snapshot.warnings.len() == 1 && snapshot.warnings[0].contains(noted), "{:?}", snapshot.warnings);
    let quotas = |quotas: &crate::config::governance::Quotas| -> Vec<(String, u64, String, bool)> {
        let of = |quota: &govern::allowance::Quota| {
            (format!("{:?}", quota.measure), quota.max, quota.window.to_string(), quota.window.is_calendar())
        };
        quotas.list.iter().map(of).collect()
    };
    let dollars = |max: u64, span: &str, calendar| ("Cost".to_owned(), max, span.to_owned(), calendar);
    let customer = &governance.customers["c1"];
    assert_eq!(quotas(&customer.quotas), [dollars(100_000_000_000, "1M", true)]);
    assert_eq!(quotas(&governance.teams["blue"].quotas), [dollars(100_000_000, "1d", false)]);
    assert_eq!(governance.teams["blue"].customer.as_deref(), Some("c1"));
    assert_eq!(quotas(&governance.providers["openai"])[0].1, 1000);
    let model = &governance.models[0];
    assert_eq!((model.provider.as_deref(), &*model.model), (Some("openai"), "gpt-4o"));
    let [batch, plain] = governance.virtual_keys.as_slice() else { panic!("two keys") };
    assert_eq!((&*batch.id, &*batch.name, batch.team.as_deref()), ("vk", "batch", Some("blue")));
    assert_eq!(&*batch.hashes, [(KeyHash::of("sk-bf-0123456789abcdef01234567"), None)]);
    assert_eq!(batch.expires_ms, Some(1_893_456_000_000));
    // The tighter of two limits for the same span.
    let said: Vec<(String, u64, String)> =
        quotas(&batch.quotas).into_iter().map(|(what, max, span, _)| (what, max, span)).collect();
    let limit = |what: &str, max, span: &str| (what.to_owned(), max, span.to_owned());
    assert_eq!(said, [limit("InputTokens", 7, "1h"), limit("Requests", 5, "1m")]);
    assert_eq!(batch.quotas.concurrency, Some(2));
    let grants = batch.grants.as_deref().unwrap();
    assert_eq!((grants[0].weight, grants[1].weight), (Some(700), None));
    assert_eq!((&grants[1].models, &grants[1].keys), (&Names::All, &Names::All));
    assert_eq!(quotas(&grants[0].quotas), [dollars(1, "1h", false)]);
    assert!(grants[0].allows("gpt-4o") && grants[0].allows("o1") && !grants[0].allows("gpt-4"));
    assert!(grants[1].allows("llama") && !grants[1].allows("whisper") && !grants[1].allows_all());
    assert_eq!((&*plain.id, plain.grants.is_none(), plain.expires_ms), ("plain", true, None));
    let ends: Vec<Option<u64>> = plain.hashes.iter().map(|(_, end)| *end).collect();
    assert_eq!(ends, [None, Some(1_767_222_000_000)]);
}

#[test]
fn a_key_whose_variable_is_not_set_is_taken_from_nobody() {
    let snapshot = snapshot(&governed(), &Environment::fixed([]));
    assert!(snapshot.governance.virtual_keys[0].hashes.is_empty());
    assert!(snapshot.warnings.iter().any(|line| line.contains("KEY")), "{:?}", snapshot.warnings);
}

#[test]
fn an_empty_list_is_noted_because_it_once_meant_everything() {
    let key = |more: Value| {
        let mut key = json!({"name": "k", "value": "sk-bf-0123456789abcdef01234567"});
        key.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        snapshot(&json!({"virtual_keys": [key]}), &Environment::fixed([]))
    };
    let nothing = key(json!({"provider_configs": []}));
    assert!(nothing.governance.virtual_keys[0].grants.as_ref().is_some_and(|grants| grants.is_empty()));
    assert!(
        nothing.warnings[0].contains("provider_configs: an empty list allows no provider"),
        "{:?}",
        nothing.warnings
    );
    let some =
        key(json!({"provider_configs": [{"provider": "openai", "allowed_models": [], "key_ids": []}]}));
    assert!(some.warnings[0].contains("allows no model") && some.warnings[1].contains("no provider key"));
    assert!(some.warnings[0].starts_with("c.json:1:"), "{:?}", some.warnings);
    let all = key(json!({"provider_configs": [{"provider": "openai", "allowed_models": ["*"]}]}));
    assert!(all.warnings.is_empty(), "{:?}", all.warnings);
}

#[test]
fn keys_for_the_same_models_share_their_names() {
    let key = |name: &str| {
        json!({"name": name, "value_hash": name.repeat(64), "provider_configs": [
        {"provider": "groq", "allowed_models": ["shared-by-keys"], "blacklisted_models": ["denied-by-keys"]}]})
    };
    let snapshot = snapshot(&json!({"virtual_keys": [key("a"), key("b")]}), &Environment::fixed([]));
    let [one, other] = snapshot.governance.virtual_keys.as_slice() else { panic!("two keys") };
    let names = |key: &crate::config::governance::VirtualKey| {
        let grant = &key.grants.as_deref().unwrap()[0];
        let Names::Listed(models) = &grant.models else { panic!("a list") };
        (Arc::clone(&models[0]), Arc::clone(&grant.denied[0]), Arc::clone(&grant.provider))
    };
    let (one, other) = (names(one), names(other));
    assert!(Arc::ptr_eq(&one.0, &other.0) && Arc::ptr_eq(&one.1, &other.1) && Arc::ptr_eq(&one.2, &other.2));
}

#[test]
fn one_entity_is_checked_as_the_file_is() {
    let snapshot = snapshot(&governed(), &Environment::fixed([]));
    let known = Known::of(&snapshot);
    let environment = Environment::fixed([("NEW", "sk-bf-new-0123456789abcdef")]);
    let key = json!({"name": "new", "value": "env.NEW", "team_id": "blue", "budget_id": "monthly",
        "provider_configs": [{"provider": "openai", "key_ids": ["k1"]}]});
    let (_, key) = virtual_key_of(&key, &known, &environment).unwrap();
    assert_eq!(
        (key.hashes[0].0, key.team.as_deref()),
        (KeyHash::of("sk-bf-new-0123456789abcdef"), Some("blue"))
    );
    let said = |body: Value| -> Vec<String> {
        let problems = virtual_key_of(&body, &known, &environment).unwrap_err();
        problems.iter().map(ToString::to_string).collect()
    };
    assert_eq!(
        said(json!({"name": "x", "valeu": "k", "budget": {"max_limit": "10"}})),
        [
            "valeu: unknown field; did you mean \"value\"?",
            "budget.max_limit: found text, expected a number; remove the quotes",
        ]
    );
    let meaning = said(json!({"name": "x", "value": "sk-bf-0123456789abcdef01234567", "team_id": "bleu",
        "provider_configs": [{"provider": "openai", "budget": {"max_limit": 1, "reset_duration": "1q"}}]}));
    assert_eq!(
        meaning[0],
        "team_id: governance.teams has no entry with the id \"bleu\"; did you mean \"blue\"?"
    );
    assert!(
        meaning[1].starts_with("provider_configs[0].budget.reset_duration: expected a number and a unit")
    );
    let team = raw::Team { name: "x".into(), customer_id: Some("c9".into()), ..raw::Team::default() };
    let problems = compile_team(&team, &known).unwrap_err();
    assert!(problems[0].to_string().starts_with("customer_id: "), "{problems:?}");
    assert!(compile_customer(&raw::Customer::default(), &known).is_err());
}
