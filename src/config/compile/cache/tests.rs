use serde_json::json;

use super::*;
use crate::config::cache::{Embedded, StoreKind};
use crate::config::environment::Environment;
use crate::config::{Document, Snapshot, compile as whole};

fn loaded(mut config: Value, environment: &Environment) -> Result<Snapshot, Vec<String>> {
    config["providers"] = json!({"openai": {"keys": [{"name": "k", "value": "sk"}]}});
    let document = Document::parse("c.json", &config.to_string(), crate::config::Format::Json).unwrap();
    let loaded = whole(&document, environment, 1);
    loaded.map(|loaded| loaded.snapshot).map_err(|all| all.iter().map(ToString::to_string).collect())
}

fn plugin(config: Value) -> Value {
    json!({"plugins": [{"name": "semantic_cache", "config": config}]})
}

fn cache(config: Value) -> Arc<Cache> {
    loaded(config, &Environment::fixed([])).unwrap().cache.unwrap()
}

fn problems(config: Value) -> String {
    loaded(config, &Environment::fixed([])).unwrap_err().join("\n")
}

#[test]
fn a_plugin_without_settings_keeps_the_same_request_for_five_minutes() {
    let cache = cache(json!({"plugins": [{"name": "semantic_cache"}]}));
    assert_eq!((cache.ttl, cache.scope, cache.single_flight), (TTL, Scope::VirtualKey, true));
    assert!(cache.semantic.is_none() && cache.default_key.is_none());
    let store = cache.store.as_ref().unwrap();
    assert_eq!(store.kind, StoreKind::Embedded(Embedded::default()));
    let off = json!({"plugins": [{"name": "semantic_cache", "enabled": false, "config": {"ttl": []}}]});
    assert!(loaded(off, &Environment::fixed([])).unwrap().cache.is_none());
}

#[test]
fn the_threshold_beside_the_plugin_counts_where_it_says_none() {
    let with = |own: Value| {
        let mut config = plugin(json!({"provider": "openai", "embedding_model": "e"}));
        config["plugins"][0]["config"]["threshold"] = own;
        config["threshold"] = json!(0.9);
        cache(config).semantic.clone().unwrap().threshold
    };
    assert_eq!((with(json!(0.7)), with(Value::Null)), (0.7, 0.9));
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let said = |config: Value, wanted: &str| {
        let problems = problems(config);
        assert!(problems.contains(wanted), "{wanted:?} is not in:\n{problems}");
    };
    said(plugin(json!({"ttl": "soon"})), "plugins[0].config.ttl: expected seconds");
    said(plugin(json!({"treshold": 0.8})), "did you mean \"threshold\"?");
    said(plugin(json!({"threshold": 2})), "plugins[0].config.threshold");
    said(plugin(json!({"provider": "openai"})), "`embedding_model` is missing");
    said(plugin(json!({"provider": "opnai", "embedding_model": "e"})), "did you mean \"openai\"?");
    said(plugin(json!({"provider": "tei", "embedding_model": "e"})), "add providers.tei");
    said(plugin(json!({"overrides": [{"threshold": 0.9}]})), "plugins[0].config.overrides[0]: say for which");
    said(plugin(json!({"vector_store_namespace": "a b"})), "vector_store_namespace: expected at most");
    let mut twice = plugin(json!({}));
    twice["plugins"].as_array_mut().unwrap().push(json!({"name": "semantic_cache"}));
    said(twice, "plugins[1].name: the plugin semantic_cache was configured before");
    let store = |store: Value| {
        let mut config = plugin(json!({}));
        config["vector_store"] = store;
        config
    };
    said(store(json!({"type": "pinecone"})), "Pinecone is not supported");
    said(store(json!({"type": "weaviate", "config": {}})), "vector_store.config: `host` is missing");
    said(store(json!({"type": "weaviate", "config": {"host": "http://h"}})), "without a scheme");
    said(store(json!({"type": "redis", "config": {"adr": "h"}})), "did you mean \"addr\"?");
    said(store(json!({"type": "qdrant", "config": {"host": "h", "port": 0}})), "from 1 to 65535");
}

#[test]
fn each_kind_of_store_takes_the_settings_of_the_original() {
    let environment = Environment::fixed([("SECRET", "s3cret")]);
    let store = |store: Value| {
        let mut config = plugin(json!({"vector_store_namespace": "n"}));
        config["vector_store"] = store;
        let snapshot = loaded(config, &environment).unwrap();
        assert!(snapshot.warnings.is_empty(), "{:?}", snapshot.warnings);
        snapshot.cache.unwrap().store.clone().map(|store| store.kind)
    };
    let weaviate = store(json!({"type": "weaviate", "config": {"scheme": "https", "host": "w:443",
        "api_key": "env.SECRET", "headers": {"X-A": "b"}, "timeout": "2s", "grpc_config": {"host": "w:50051"}}}));
    let Some(StoreKind::Weaviate(weaviate)) = weaviate else { panic!("{weaviate:?}") };
    assert_eq!((weaviate.tls, &*weaviate.host, weaviate.timeout), (true, "w:443", Duration::from_secs(2)));
    assert_eq!(weaviate.api_key.unwrap().expose(), "s3cret");
    let redis = store(
        json!({"type": "redis", "config": {"addr": "r", "db": "3", "pool_size": 10, "context_timeout": 1}}),
    );
    let Some(StoreKind::Redis(redis)) = redis else { panic!("{redis:?}") };
    assert_eq!((&*redis.address, redis.database, redis.timeout), ("r:6379", 3, Duration::from_secs(1)));
    let qdrant = store(json!({"type": "qdrant", "config": {"host": "q", "use_tls": true}}));
    let Some(StoreKind::Qdrant(qdrant)) = qdrant else { panic!("{qdrant:?}") };
    assert_eq!((qdrant.port, qdrant.tls), (6334, true));
    let postgres = store(json!({"type": "pgvector", "config": {"user": "u", "db_name": "d"}}));
    assert_eq!(postgres.map(|kind| kind.name()), Some("pgvector"));
    assert_eq!(store(json!({"enabled": false})), None);
    assert_eq!(store(json!({"type": "memory"})), None);
}
