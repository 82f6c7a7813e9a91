use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use serde_json::{Value, json};

use super::*;
use crate::config::{Document, Environment, Format, compile};

fn settings(config: Value) -> Arc<Cache> {
    let whole = json!({
        "providers": {"openai": {"keys": [{"name": "k", "value": "sk"}]}},
        "plugins": [{"name": "semantic_cache", "config": config}],
    });
    let document = Document::parse("c.json", &whole.to_string(), Format::Json).unwrap();
    compile(&document, &Environment::fixed([]), 1).unwrap().snapshot.cache.unwrap()
}

fn semantic(mut config: Value) -> Arc<Cache> {
    config["provider"] = json!("openai");
    config["embedding_model"] = json!("e");
    settings(config)
}

fn wish(settings: &Cache, headers: &[(&'static str, &str)]) -> Result<Option<Wish>, Fault> {
    let headers: HeaderMap = headers
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
        .collect();
    Wish::of(&headers, settings, None, &Plan::default())
}

#[test]
fn without_a_cache_key_nothing_is_looked_up() {
    let bare = settings(json!({}));
    assert_eq!(wish(&bare, &[]).unwrap(), None);
    assert_eq!(wish(&bare, &[(KEY, " ")]).unwrap(), None);
    let named = settings(json!({"default_cache_key": "all"}));
    let key = |headers: &[(&'static str, &str)]| wish(&named, headers).unwrap().unwrap().key.into_string();
    assert_eq!((key(&[]), key(&[(KEY, "own")])), ("all".into(), "own".into()));
}

#[test]
fn headers_say_it_for_one_request() {
    let plugin = semantic(json!({"ttl": "1h", "threshold": 0.7, "single_flight": true}));
    let usual = wish(&plugin, &[(KEY, "k")]).unwrap().unwrap();
    assert_eq!((usual.ttl.as_secs(), usual.ways, usual.threshold), (3_600, Ways::Semantic, 0.7));
    assert!(usual.shares && !usual.no_store);
    let own = [
        (KEY, "k"),
        (TTL, "90"),
        (TYPE, "direct"),
        (THRESHOLD, "7"),
        (NO_STORE, "true"),
        (SINGLE_FLIGHT, "0"),
    ];
    let own = wish(&plugin, &own).unwrap().unwrap();
    assert_eq!((own.ttl.as_secs(), own.ways, own.threshold), (90, Ways::Direct, 1.0));
    assert!(!own.shares && own.no_store);
}

#[test]
fn a_header_that_cannot_be_meant_is_refused_by_its_name() {
    let plugin = semantic(json!({}));
    for (name, value) in
        [(TTL, "soon"), (THRESHOLD, "high"), (THRESHOLD, "NaN"), (TYPE, "fuzzy"), (NO_STORE, "perhaps")]
    {
        let fault = wish(&plugin, &[(KEY, "k"), (name, value)]).unwrap_err();
        assert_eq!((fault.failure.status, fault.failure.param.as_deref()), (400, Some(name)));
    }
    let long = "k".repeat(LONGEST_KEY + 1);
    assert!(wish(&plugin, &[(KEY, &long)]).is_err());
}

#[test]
fn nothing_is_compared_by_meaning_where_nothing_embeds() {
    let exact = settings(json!({}));
    let asked = wish(&exact, &[(KEY, "k"), (TYPE, "semantic")]).unwrap().unwrap();
    assert_eq!(asked.ways, Ways::Direct);
}

#[test]
fn overrides_stand_before_the_plugin_and_behind_the_headers() {
    let plugin = semantic(json!({"threshold": 0.8, "overrides": [
        {"cache_key": "docs", "threshold": 0.9},
        {"cache_key": "docs", "ttl": "1d", "threshold": 0.5, "type": "direct"},
        {"cache_key": "off", "enabled": false},
    ]}));
    let docs = wish(&plugin, &[(KEY, "docs")]).unwrap().unwrap();
    assert_eq!((docs.threshold, docs.ttl.as_secs(), docs.ways), (0.9, 86_400, Ways::Direct));
    let header = wish(&plugin, &[(KEY, "docs"), (THRESHOLD, "0.3")]).unwrap().unwrap();
    assert_eq!(header.threshold, 0.3);
    assert_eq!(wish(&plugin, &[(KEY, "off")]).unwrap(), None);
    assert_eq!(wish(&plugin, &[(KEY, "other")]).unwrap().unwrap().threshold, 0.8);
}
