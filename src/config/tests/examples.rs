//! Every file in `conf/` compiles, and published fragments do what they say.

use std::path::{Path, PathBuf};

use super::*;

fn conf(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("conf").join(name)
}

fn loaded(name: &str, environment: &Environment) -> Snapshot {
    let origin = Origin::File(conf(name));
    load(&origin, environment, 1).unwrap_or_else(|p| panic!("{}", lines(&p))).snapshot
}

fn keys() -> Environment {
    Environment::fixed([
        ("OPENAI_API_KEY", "sk-o"),
        ("OPENAI_API_KEY_2", "sk-o2"),
        ("ANTHROPIC_API_KEY", "sk-a"),
        ("MISTRAL_API_KEY", "sk-m"),
        ("HOUSE_CLAUDE_KEY", "sk-h"),
    ])
}

#[test]
fn every_example_compiles_with_and_without_keys_in_the_environment() {
    let mut files: Vec<String> = std::fs::read_dir(conf("examples"))
        .unwrap()
        .map(|entry| format!("examples/{}", entry.unwrap().file_name().to_string_lossy()))
        .collect();
    files.push("config.json".to_owned());
    assert!(files.len() >= 12, "{files:?}");
    for file in files {
        loaded(&file, &keys());
        loaded(&file, &nothing());
    }
}

#[test]
fn the_fallback_fragment_uses_providers_of_the_environment() {
    let snapshot = loaded("examples/fallbacks.json", &keys());
    let order: Vec<String> =
        snapshot.fallbacks.iter().map(|f| format!("{}/{}", f.provider, f.model)).collect();
    assert_eq!(order, ["openai/gpt-4o-mini", "anthropic/claude-sonnet-4", "mistral/mistral-large-latest"]);
    assert!(snapshot.warnings.is_empty(), "{:?}", snapshot.warnings);
    let bare = loaded("examples/fallbacks.json", &nothing());
    assert!(bare.mock_only && bare.fallbacks.is_empty());
    assert_eq!(bare.warnings.len(), 3, "{:?}", bare.warnings);
    assert!(bare.warnings[0].contains("the provider \"openai\" is not configured"), "{:?}", bare.warnings);
}

#[test]
fn the_weight_fragment_gives_two_to_one_to_one() {
    let snapshot = loaded("examples/weighted-keys.json", &nothing());
    let weights: Vec<u32> = snapshot.provider("openai").unwrap().keys.iter().map(|k| k.weight).collect();
    assert_eq!(weights, [2000, 1000, 1000]);
}

#[test]
fn fragments_of_later_features_load_and_say_so() {
    for (file, expected) in [
        ("mcp-servers", "mcp is configured but not active in this version"),
        ("cache-threshold", "threshold is configured, and the plugin semantic_cache, which uses it, is not"),
        ("weaviate-local", "vector_store is configured, and the plugin semantic_cache"),
        ("weaviate-cloud", "vector_store is configured, and the plugin semantic_cache"),
    ] {
        let snapshot = loaded(&format!("examples/{file}.json"), &keys());
        assert!(snapshot.warnings.iter().any(|w| w.contains(expected)), "{file}: {:?}", snapshot.warnings);
    }
}

#[test]
fn the_published_cache_is_on_as_it_is_printed() {
    let snapshot = loaded("examples/semantic-cache.json", &keys());
    assert!(snapshot.warnings.is_empty(), "{:?}", snapshot.warnings);
    let cache = snapshot.cache.unwrap();
    let semantic = cache.semantic.as_ref().unwrap();
    assert_eq!((&*semantic.provider, &*semantic.model), ("openai", "text-embedding-3-small"));
    assert_eq!((cache.ttl.as_secs(), semantic.threshold), (300, 0.8));
    let store = cache.store.as_ref().unwrap();
    assert_eq!((store.kind.name(), &*store.namespace), ("weaviate", "BifrostSemanticCachePlugin"));
}

#[test]
fn both_formats_of_one_configuration_make_the_same_snapshot() {
    let shown = |name: &str| {
        let mut snapshot = loaded(name, &keys());
        // A map's debug order is not stable.
        let mut names: Vec<_> = std::mem::take(&mut snapshot.by_name).into_iter().collect();
        names.sort();
        format!("{names:?}\n{snapshot:#?}")
    };
    assert_eq!(shown("examples/several-providers.json"), shown("examples/several-providers.yaml"));
}

#[test]
fn the_custom_provider_example_means_what_it_says() {
    let snapshot = loaded("examples/custom-provider.yaml", &keys());
    let house = snapshot.provider("house-model").unwrap();
    assert_eq!(&*house.endpoint.chat_path, "/team-a/serving/chat");
    assert_eq!(&*house.endpoint.authority, "models.example.com");
    let allowed = house.allowed.unwrap();
    assert!(
        allowed.chat_completion
            && allowed.chat_completion_stream
            && !allowed.embedding
            && !allowed.count_tokens
    );
    assert!(house.keys[0].secret.is_none() && house.keys[0].disabled.is_none());
    let claude = snapshot.provider("house-claude").unwrap();
    assert_eq!(&*claude.endpoint.chat_path, "/v1/messages");
    assert_eq!(claude.endpoint.count_tokens_path.as_deref(), Some("/v1/messages/count_tokens"));
    assert_eq!(claude.keys[0].secret.as_ref().unwrap().expose(), "sk-h");
    assert!(snapshot.provider("anthropic").is_none(), "a custom provider does not take its base's name");
}

#[test]
fn the_overload_example_bounds_what_it_says() {
    let snapshot = loaded("examples/overload.yaml", &keys());
    assert!(snapshot.warnings.is_empty(), "{:?}", snapshot.warnings);
    let (vllm, openai) = (snapshot.provider("our-vllm").unwrap(), snapshot.provider("openai").unwrap());
    assert_eq!((vllm.places.places, vllm.places.waiting, vllm.places.per_target), (32, 500, None));
    assert_eq!(vllm.max_wait, Some(std::time::Duration::from_secs(20)));
    assert_eq!(
        (openai.places.places, openai.places.per_target, openai.places.adaptive),
        (1000, Some(200), true)
    );
}

#[test]
fn check_reports_what_would_serve() {
    let report = check(&conf("config.json"), &Environment::fixed([("OPENAI_API_KEY", "sk-o")]));
    assert!(report.is_ok());
    let text = report.to_string();
    assert!(
        text.contains("openai: openai_chat, 1 key, https://api.openai.com/v1/chat/completions"),
        "{text}"
    );
    let disabled = "key \"spare\" is disabled: the environment variable OPENAI_API_KEY_2 is not set";
    assert!(text.contains(disabled), "{text}");
    assert!(text.contains("anthropic: anthropic, 0 keys"), "{text}");
    assert!(!text.contains("sk-o"), "{text}");
    assert!(!check(Path::new("/nonexistent/c.json"), &nothing()).is_ok());
}

#[test]
fn the_routing_examples_mean_what_they_say() {
    let snapshot = loaded("examples/routing-rules.yaml", &keys());
    assert!(snapshot.warnings.is_empty(), "{:?}", snapshot.warnings);
    let rules: Vec<&str> = snapshot.routing.rules.iter().map(|rule| &*rule.name).collect();
    assert_eq!(rules, ["free tier", "canary", "long prompts"]);
    let first = &snapshot.routing.rules[0];
    assert_eq!(first.treatment.limits.total, Some(std::time::Duration::from_secs(30)));
    assert_eq!(first.policy(&snapshot.policy).priority, policy::Priority::Low);
    assert_eq!(snapshot.routing.rules[2].mirror.as_ref().unwrap().share_ppm, 10_000);
    assert_eq!(snapshot.routing.meant("gpt-4"), "openai/gpt-4.1");

    let snapshot = loaded("examples/model-groups.yaml", &keys());
    assert_eq!(snapshot.routing.group(snapshot.routing.meant("default")).unwrap().targets.len(), 2);
    let order: Vec<&str> = snapshot.fallbacks.iter().map(|target| &*target.model).collect();
    assert_eq!(order, ["gpt-4o-mini", "claude-haiku-4-5", "gpt-4.1-nano"]);
    let bare = r#"{"providers": {"openai": {"keys": [{"value": "sk"}]}}, "fallbacks": {"order": ["a"]},
        "routing": {"groups": {"a": {"targets": [{"model": "gpt-4o"}, {"model": "gpt-4.1", "provider": "openai"}]}}}}"#;
    let bare = json(bare, &nothing());
    assert_eq!((bare.fallbacks.len(), bare.warnings.len()), (1, 1), "{:?}", bare.warnings);
    let report = check(&conf("examples/model-groups.yaml"), &keys()).to_string();
    assert!(report.contains("routing: 1 alias, 2 groups"), "{report}");
}

#[test]
fn a_rule_says_what_it_says_and_leaves_the_rest_as_it_is() {
    let text = r#"{"providers": {"openai": {"keys": [{"value": "sk"}]}}, "routing": {"rules": [
        {"name": "a", "streaming": {"recovery": "buffered"}, "hedging": {"after_ms": 800, "max_extra_spend_percent": 2.5}},
        {"name": "b", "hedging": {"enabled": false}, "timeouts": {"ttft_in_seconds": 1.5}}]}}"#;
    let snapshot = json(text, &nothing());
    let usual = policy::Policy {
        recovery: Some(policy::Recovery::Continue),
        hedge: Some(policy::Hedge { after: None, max_extra_permille: 50 }),
        priority: policy::Priority::High,
        ..policy::Policy::default()
    };
    let [a, b] = [0, 1].map(|at| snapshot.routing.rules[at].policy(&usual));
    assert_eq!((a.recovery, a.rule.as_deref()), (Some(policy::Recovery::Buffered), Some("a")));
    let after = Some(std::time::Duration::from_millis(800));
    assert_eq!(a.hedge, Some(policy::Hedge { after, max_extra_permille: 25 }));
    assert_eq!(
        (b.recovery, b.hedge, b.priority),
        (Some(policy::Recovery::Continue), None, policy::Priority::High)
    );
    assert_eq!(b.limits.first_token, Some(std::time::Duration::from_millis(1500)));
}
