//! What snapshots hold.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use govern::queue::Limits;

use crate::config::backend::{Affinity, Selection};
use crate::config::policy::Priority;
use crate::credential::Credential;

#[test]
fn defaults_are_the_documented_ones() {
    let snapshot = json(r#"{"providers": {"openai": {"keys": [{"value": "sk-x"}]}}}"#, &nothing());
    let provider = snapshot.provider("openai").unwrap();
    let network = &provider.network;
    assert_eq!(network.request_timeout, Duration::from_secs(30));
    assert_eq!(network.first_byte_timeout, Duration::from_secs(30));
    assert_eq!(network.connect_timeout, Duration::from_secs(5));
    assert_eq!(network.stream_idle_timeout, Duration::from_secs(60));
    assert_eq!((network.ttft_timeout, network.total_timeout), (None, None));
    assert_eq!((network.max_retries, network.max_conns_per_host), (2, 5000));
    assert_eq!(network.retry_backoff_initial, Duration::from_millis(500));
    assert_eq!(network.retry_backoff_max, Duration::from_millis(5000));
    assert_eq!(snapshot.client.max_request_body_bytes, 100 * 1024 * 1024);
    assert_eq!((&*provider.keys[0].name, provider.keys[0].weight), ("key-1", 1000));
    assert_eq!(provider.endpoint.embeddings_path.as_deref(), Some("/v1/embeddings"));
    assert!(provider.endpoint.tls && provider.mock.is_none() && !snapshot.mock_only);
    assert!(snapshot.provider("mock").unwrap().mock.is_some(), "always there by name");
}

#[test]
fn what_becomes_of_broken_streams_is_the_providers_own_setting_else_the_one_for_all() {
    use crate::config::policy::Recovery;
    let text = r#"{"streaming": {"recovery": "error"}, "providers": {
        "openai": {"keys": [{"value": "sk-x"}], "streaming": {"recovery": "buffered"}},
        "groq": {"keys": [{"value": "sk-y"}]}}}"#;
    let snapshot = json(text, &nothing());
    let of = |snapshot: &Snapshot, name: &str| snapshot.provider(name).unwrap().recovery;
    assert_eq!(
        (of(&snapshot, "openai"), of(&snapshot, "groq")),
        (Some(Recovery::Buffered), Some(Recovery::Error))
    );
    assert!(snapshot.warnings.is_empty(), "{:?}", snapshot.warnings);
    let plain = json(r#"{"providers": {"groq": {"keys": [{"value": "sk-y"}]}}}"#, &nothing());
    assert_eq!((of(&plain, "groq"), plain.policy.recovery), (None, None));
    let told = problems(r#"{"streaming": {"recovery": "retry"}, "providers": {}}"#, Format::Json);
    assert!(told.contains("retry") || told.contains("recovery"), "{told}");
    let told = problems(r#"{"streaming": {"recover": "error"}, "providers": {}}"#, Format::Json);
    assert!(told.contains("did you mean"), "{told}");
}

#[test]
fn a_base_url_with_its_version_is_not_doubled() {
    for base in
        ["http://localhost:4010", "http://localhost:4010/v1", "http://localhost:4010/v1/chat/completions"]
    {
        let text =
            format!(r#"{{"providers": {{"openai": {{"network_config": {{"base_url": "{base}"}}}}}}}}"#);
        let snapshot = json(&text, &Environment::fixed([("OPENAI_API_KEY", "sk")]));
        let endpoint = &snapshot.provider("openai").unwrap().endpoint;
        assert_eq!(&*endpoint.chat_path, "/v1/chat/completions", "{base}");
        assert_eq!(endpoint.embeddings_path.as_deref(), Some("/v1/embeddings"), "{base}");
        assert_eq!((endpoint.tls, &*endpoint.host, endpoint.port), (false, "localhost", 4010));
        assert_eq!(&*endpoint.authority, "localhost:4010");
    }
}

#[test]
fn an_unset_variable_disables_its_key_and_nothing_else() {
    let text = r#"{"providers": {"openai": {"keys": [
        {"name": "a", "value": "env.NOPE"},
        {"name": "b", "value": "sk-x"},
        {"name": "c", "value": {"value": "env.NOPE2"}},
        {"name": "d", "value": {"env_var": "env.THERE", "from_env": true}},
        {"name": "e", "value": "env.EMPTY"},
        {"name": "f", "value": "sk-y", "enabled": false}
    ]}}}"#;
    let environment = Environment::fixed([("THERE", "sk-d"), ("EMPTY", "")]);
    let snapshot = json(text, &environment);
    let keys = &snapshot.provider("openai").unwrap().keys;
    let reasons: Vec<Option<&str>> = keys.iter().map(|k| k.disabled.as_deref()).collect();
    assert_eq!(
        reasons,
        [
            Some("the environment variable NOPE is not set"),
            None,
            Some("the environment variable NOPE2 is not set"),
            None,
            Some("the referenced value is empty"),
            Some("enabled is false"),
        ]
    );
    assert_eq!(keys[3].secret.as_ref().unwrap().expose(), "sk-d");
    assert!(keys[5].secret.is_none());
    let warning = "c.json:2:9: providers.openai.keys[0]: the key \"a\" is disabled: the environment variable NOPE is not set";
    assert_eq!(snapshot.warnings[0], warning);
    assert_eq!(snapshot.warnings.len(), 3, "{:?}", snapshot.warnings);
}

#[test]
fn references_work_in_other_fields() {
    let text = r#"{"providers": {"openai": {"keys": [{"value": "$K"}], "network_config": {
        "base_url": "https://${HOST}/x", "extra_headers": {"x-a": "os.environ/A", "x-b": "$5 only"}}}}}"#;
    let environment = Environment::fixed([("K", "sk-k"), ("HOST", "h.example"), ("A", "1")]);
    let snapshot = json(text, &environment);
    let provider = snapshot.provider("openai").unwrap();
    assert_eq!(&*provider.endpoint.host, "h.example");
    assert_eq!(&*provider.endpoint.chat_path, "/x/v1/chat/completions");
    let values: Vec<&[u8]> = provider.network.extra_headers.iter().map(|(_, v)| v.as_bytes()).collect();
    assert_eq!(values, [b"1".as_slice(), b"$5 only"]);
}

#[test]
fn without_configuration_the_environment_decides() {
    let environment =
        Environment::fixed([("OPENAI_API_KEY", "sk-o"), ("ANTHROPIC_API_KEY", ""), ("OTHER", "x")]);
    let snapshot = compile_environment(&environment, 1).unwrap().snapshot;
    let names: Vec<&str> = snapshot.providers.iter().map(|p| &*p.name).collect();
    assert_eq!(names, ["mock", "openai"]);
    assert!(!snapshot.mock_only);
    assert_eq!(snapshot.provider("openai").unwrap().keys[0].secret.as_ref().unwrap().expose(), "sk-o");
    let none = compile_environment(&nothing(), 1).unwrap().snapshot;
    assert!(none.mock_only && none.providers.len() == 1 && none.provider("mock").unwrap().mock.is_some());
    let file = json(r#"{"client": {"allow_direct_keys": true}}"#, &environment);
    assert!(file.provider("openai").is_some() && file.client.allow_direct_keys);
}

#[test]
fn key_ids_are_stable_and_differ_between_keys() {
    let text = r#"{"providers": {
        "openai": {"keys": [{"name": "a", "value": "sk-1"}, {"name": "b", "value": "sk-2"}, {"id": "own", "value": "s"}]},
        "mistral": {"keys": [{"name": "a", "value": "sk-3"}]}}}"#;
    let ids = |text: &str| {
        let snapshot = json(text, &nothing());
        let of = |name: &str| {
            snapshot.provider(name).unwrap().keys.iter().map(|k| k.id.to_string()).collect::<Vec<_>>()
        };
        [of("openai"), of("mistral")].concat()
    };
    let first = ids(text);
    assert_eq!(first, ids(&text.replace("sk-1", "sk-9")), "a new secret keeps the id");
    assert_eq!(first[2], "own");
    let distinct: std::collections::HashSet<&String> = first.iter().collect();
    assert_eq!(distinct.len(), 4);
}

#[test]
fn both_spellings_of_the_backoff_are_read() {
    for suffix in ["", "_ms"] {
        let text = format!(
            r#"{{"providers": {{"ollama": {{"network_config": {{"base_url": "http://h",
            "retry_backoff_initial{suffix}": 7, "retry_backoff_max{suffix}": 9}}}}}}}}"#
        );
        let network = json(&text, &nothing()).provider("ollama").unwrap().network.clone();
        assert_eq!(network.retry_backoff_initial, Duration::from_millis(7));
        assert_eq!(network.retry_backoff_max, Duration::from_millis(9));
    }
}

#[test]
fn a_vllm_key_gives_address_and_model() {
    let text = r#"{"providers": {"vllm": {"keys": [{"value": "", "vllm_key_config":
        {"url": "http://gpu:8000", "model_name": "llama"}}]}}}"#;
    let snapshot = json(text, &nothing());
    let provider = snapshot.provider("vllm").unwrap();
    assert_eq!(&*provider.endpoint.authority, "gpu:8000");
    assert!(provider.keys[0].serves("llama") && !provider.keys[0].serves("other"));
    assert!(provider.keys[0].secret.is_none() && provider.keys[0].disabled.is_none());
}

#[test]
fn a_proxy_and_its_credentials_are_compiled() {
    let text = r#"{"providers": {"openai": {"keys": [{"value": "sk"}],
        "proxy_config": {"type": "http", "url": "http://proxy:3128", "username": "u", "password": "env.P"}}}}"#;
    let snapshot = json(text, &Environment::fixed([("P", "p")]));
    let proxy = snapshot.provider("openai").unwrap().network.proxy.clone().unwrap();
    assert_eq!((&*proxy.host, proxy.port), ("proxy", 3128));
    assert_eq!(proxy.tunnel, Tunnel::Http { authorization: Some(Secret::new("Basic dTpw")) });
    let text = text.replace("http\", \"url\": \"http", "socks5\", \"url\": \"socks5");
    let snapshot = json(&text, &Environment::fixed([("P", "p")]));
    let proxy = snapshot.provider("openai").unwrap().network.proxy.clone().unwrap();
    assert_eq!(proxy.tunnel, Tunnel::Socks5 { user: Some(("u".to_owned(), Secret::new("p"))) });
}

#[test]
fn several_base_urls_make_a_group_of_a_provider_or_of_a_key() {
    let text = r#"{"providers": {
        "vllm": {"network_config": {"base_urls": ["http://a:1/v1", {"url": "http://b:2", "weight": 3}],
            "selection": "least_inflight", "health_check": {"type": "tcp", "interval_in_seconds": 0.5}}},
        "mine": {"custom_provider_config": {"base_provider_type": "openai"}, "affinity": "none", "keys": [
            {"value": "k1", "vllm_key_config": {"urls": ["http://c:1", "http://d:1"]}},
            {"value": "k2", "vllm_key_config": {"url": "http://e:1"}},
            {"value": "k3", "vllm_key_config": {"url": "http://c:1"}}]}}}"#;
    let snapshot = json(text, &nothing());
    let vllm = snapshot.provider("vllm").unwrap();
    let group = vllm.backends.as_ref().unwrap();
    let listed: Vec<(&str, u32)> = group.list.iter().map(|b| (&*b.name, b.weight)).collect();
    assert_eq!(listed, [("a:1", 1), ("b:2", 3)]);
    assert_eq!(&*group.list[1].url.chat_path, "/v1/chat/completions");
    assert_eq!((group.selection, vllm.affinity), (Selection::LeastInflight, Affinity::Prompt));
    let check = group.check.as_ref().unwrap();
    assert_eq!((check.request.is_none(), check.interval), (true, Duration::from_millis(500)));
    assert_eq!(&*vllm.endpoint.authority, "a:1");
    let mine = snapshot.provider("mine").unwrap();
    assert_eq!((mine.affinity, mine.backends.is_none()), (Affinity::None, true));
    let own = |nth: usize| mine.keys[nth].endpoint.as_ref().map(|own| own.authority.to_string());
    assert_eq!((own(0), own(1), own(2)), (Some("c:1".into()), Some("e:1".into()), None));
    assert_eq!(mine.keys[0].backends.as_ref().unwrap().list.len(), 2);
    // What was learned of servers is kept as long as nothing about them changes.
    let again = json(&text.replace("\"none\"", "\"session\""), &nothing());
    let ids = |snapshot: &Snapshot| snapshot.provider("vllm").unwrap().backends.as_ref().unwrap().id;
    assert_eq!(ids(&snapshot), ids(&again));
    assert_ne!(ids(&snapshot), ids(&json(&text.replace("0.5", "0.6"), &nothing())));
}

#[test]
fn a_custom_provider_never_takes_the_key_of_its_base() {
    let text = r#"{"providers": {"mine": {"custom_provider_config": {"base_provider_type": "openai"},
        "network_config": {"base_url": "http://h"}}}}"#;
    let snapshot = json(text, &Environment::fixed([("OPENAI_API_KEY", "sk-o")]));
    assert!(snapshot.provider("mine").unwrap().keys.is_empty());
    assert!(snapshot.warnings[0].contains("the provider has no key"), "{:?}", snapshot.warnings);
}

#[test]
fn two_mocks_of_any_name_are_possible() {
    let text = r#"{"providers": {"flaky": {"custom_provider_config": {"base_provider_type": "mock"},
        "mock_config": {"error_rate": 1, "latency_ms": 5, "tokens_per_second": 10.5}}}}"#;
    let mock = json(text, &nothing()).provider("flaky").unwrap().mock.unwrap();
    assert_eq!(mock, Mock { latency: Duration::from_millis(5), tokens_per_second: 10.5, error_rate: 1.0 });
}

#[test]
fn inactive_settings_warn_only_when_they_say_something() {
    let quiet = r#"{"$schema": "x", "config_store": {"enabled": false}, "plugins": [{"name": "a", "enabled": false}],
        "client": {"drop_excess_requests": false, "log_retention_days": 365},
        "providers": {"mock": {"concurrency_and_buffer_size": {"concurrency": 1000, "buffer_size": 5000},
        "openai_config": {"disable_store": false}, "send_back_raw_request": false, "pricing_overrides": []}}}"#;
    assert_eq!(json(quiet, &nothing()).warnings, Vec::<String>::new());
    let loud = r#"{"mcp": {"client_configs": [{"x": "env.NOPE"}]}, "websocket": {"pool": {}},
        "client": {"enable_litellm_fallbacks": true},
        "providers": {"mock": {"send_back_raw_request": true}}}"#;
    let warnings = json(loud, &nothing()).warnings;
    assert_eq!(
        warnings,
        [
            "c.json:1:2: mcp: mcp is configured but not active in this version",
            "c.json:1:50: websocket: websocket is configured but not active in this version",
            "c.json:2:20: client.enable_litellm_fallbacks: client.enable_litellm_fallbacks is configured but not active in this version",
            "c.json:3:32: providers.mock.send_back_raw_request: send_back_raw_request is configured but not active in this version",
        ]
    );
}

#[test]
fn places_and_the_queue_are_bounded_as_configured() {
    let places = |text: &str| {
        let snapshot = json(text, &nothing());
        let mock = snapshot.provider("mock").unwrap();
        (mock.places, mock.max_wait, snapshot.warnings)
    };
    let limits = |places, per_target, waiting, adaptive| Limits { places, per_target, waiting, adaptive };
    assert_eq!(places("{}"), (limits(5000, None, 5000, false), None, Vec::new()));
    let original = r#"{"providers": {"mock": {"concurrency_and_buffer_size": {"buffer_size": 7}}}}"#;
    assert_eq!(places(original), (limits(1000, None, 7, false), None, Vec::new()));
    let ours = r#"{"client": {"drop_excess_requests": true, "highest_priority": "low"},
        "providers": {"mock": {"concurrency_and_buffer_size": {"concurrency": 20, "per_key": 4,
        "max_wait_in_seconds": 1.5, "adaptive": true}}}}"#;
    let wait = Some(Duration::from_millis(1_500));
    assert_eq!(places(ours), (limits(20, Some(4), 5000, true), wait, Vec::new()));
    let client = json(ours, &nothing()).client;
    assert_eq!((client.drop_excess_requests, client.highest_priority), (true, Priority::Low));
    let most = r#"{"providers": {"mock": {"network_config": {"max_conns_per_host": 8},
        "concurrency_and_buffer_size": {"concurrency": 9}}}}"#;
    let (found, _, warnings) = places(most);
    assert_eq!((found.places, warnings.len()), (8, 1), "{warnings:?}");
}

#[test]
fn secrets_are_in_no_debug_output() {
    let text = r#"{"providers": {"openai": {"keys": [{"value": "sk-very-secret-key-0123456789"}],
        "network_config": {"extra_headers": {"authorization": "very-secret-header"}},
        "proxy_config": {"type": "http", "url": "http://h:1", "username": "u", "password": "very-secret"}}}}"#;
    let shown = format!("{:?}", json(text, &nothing()));
    assert!(!shown.contains("very-secret") && shown.contains("openai"), "{shown}");
}

#[test]
fn arbitrary_configurations_never_panic() {
    let seed = include_str!("../../../conf/examples/several-providers.json");
    let words = [
        "\"\"",
        "-1",
        "1e300",
        "null",
        "[]",
        "{}",
        "\"$X\"",
        "\"file:\"",
        "true",
        "\"/\"",
        "\"http://\"",
        "0.0",
    ];
    let values: Vec<(usize, usize)> = seed
        .match_indices(": ")
        .map(|(at, _)| (at + 2, at + 2 + seed[at + 2..].find([',', '}', '\n', ']']).unwrap_or(0)))
        .collect();
    let mut random = fastrand::Rng::with_seed(3);
    for _ in 0..400 {
        let mut text = seed.to_owned();
        let (from, to) = values[random.usize(0..values.len())];
        text.replace_range(from..to, words[random.usize(0..words.len())]);
        let _ = compiled(&text, Format::Json, &nothing());
        let _ = compiled(&text, Format::Yaml, &nothing());
    }
}

#[test]
fn certificates_are_read_from_a_file_beside_the_configuration() {
    let text = r#"{"providers": {"openai": {"keys": [{"value": "sk"}], "network_config": {"ca_cert_pem": "file:ca.pem"},
        "proxy_config": {"ca_cert_pem": "file:ca.pem"}}}}"#;
    let mut document = Document::parse("c.json", text, Format::Json).unwrap();
    document.directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/config/tests");
    let snapshot = compile(&document, &nothing(), 1).unwrap().snapshot;
    let ca = &snapshot.provider("openai").unwrap().network.ca;
    assert_eq!(ca.len(), 2);
    assert!(ca[0].starts_with(&[0x30, 0x82]), "DER");
}

#[test]
fn aliases_of_a_preset_find_its_provider() {
    let preset =
        translate::provider::all().iter().find(|p| p.base_url.is_some() && !p.aliases.is_empty()).unwrap();
    let entry = |name: &str| format!(r#"{{"providers": {{"{name}": {{"keys": [{{"value": "sk"}}]}}}}}}"#);
    for name in [preset.name, preset.aliases[0]] {
        let snapshot = json(&entry(name), &nothing());
        let found = snapshot.provider(preset.name).unwrap();
        assert_eq!(&*found.name, name);
        assert!(std::sync::Arc::ptr_eq(found, snapshot.provider(preset.aliases[0]).unwrap()));
    }
}

#[test]
fn path_overrides_may_be_urls_on_the_same_host() {
    let text = r#"{"providers": {"mine": {"custom_provider_config": {"base_provider_type": "openai", "is_key_less": true,
        "request_path_overrides": {"chat_completion": "https://h.example/a/chat?v=1", "embedding": "/emb"}}}}}"#;
    let snapshot = json(text, &nothing());
    let endpoint = &snapshot.provider("mine").unwrap().endpoint;
    assert_eq!((endpoint.tls, &*endpoint.authority), (true, "h.example"));
    assert_eq!(&*endpoint.chat_path, "/a/chat?v=1");
    assert_eq!(endpoint.embeddings_path.as_deref(), Some("/emb"));
}

#[test]
fn accounts_in_clouds_have_their_own_place_names_and_proof() {
    let text = r#"{"providers": {
        "bedrock": {"keys": [
            {"name": "eu", "bedrock_key_config": {"access_key": "AKID", "secret_key": "s", "region": "eu-west-1",
                "deployments": {"sonnet": "eu.anthropic.claude-sonnet-4-5-v1:0"}}},
            {"name": "us", "value": "bedrock-api-key", "bedrock_key_config": {"region": "us-west-2"}}
        ]},
        "azure": {"keys": [{"name": "a", "value": "k", "azure_key_config":
            {"endpoint": "https://res.openai.azure.com", "deployments": {"gpt-4o": "mine"}}}]},
        "vertex": {"keys": [{"name": "express", "value": "AIza", "vertex_key_config": {}},
            {"name": "project", "value": "AIza", "vertex_key_config": {"project_id": "p1", "region": "europe-west4"}}]}
    }}"#;
    let first = json(text, &nothing());
    let bedrock = first.provider("bedrock").unwrap();
    assert_eq!(&*bedrock.endpoint.host, "bedrock-runtime.eu-west-1.amazonaws.com");
    assert_eq!(&*bedrock.keys[1].endpoint.as_ref().unwrap().host, "bedrock-runtime.us-west-2.amazonaws.com");
    let name = |name: &str| bedrock.keys[0].deployment(&name.into()).to_string();
    assert_eq!((name("sonnet").as_str(), name("x").as_str()), ("eu.anthropic.claude-sonnet-4-5-v1:0", "x"));
    let azure = first.provider("azure").unwrap();
    assert_eq!(
        (&*azure.endpoint.host, &*azure.endpoint.chat_path),
        ("res.openai.azure.com", "/openai/deployments/{model}/chat/completions?api-version=2024-10-21")
    );
    let vertex = first.provider("vertex").unwrap();
    assert_eq!(&*vertex.endpoint.host, "aiplatform.googleapis.com");
    assert_eq!(&*vertex.endpoint.chat_path, "/v1/publishers/google/models/{model}:generateContent");
    let project = vertex.keys[1].endpoint.as_ref().unwrap();
    assert_eq!(&*project.host, "europe-west4-aiplatform.googleapis.com");
    assert!(
        project.chat_path.starts_with("/v1/projects/p1/locations/europe-west4/publishers/google/models/")
    );

    let again = json(text, &nothing());
    let (old, new) = (&bedrock.keys[0].credential, &again.provider("bedrock").unwrap().keys[0].credential);
    assert!(Arc::ptr_eq(old, new), "a reload keeps the credential of the same account");
}

#[test]
fn vectors_of_vertex_are_below_each_keys_own_place() {
    let text = r#"{"providers": {"vertex": {"keys": [
        {"name": "express", "value": "AIza", "vertex_key_config": {}},
        {"name": "metadata", "vertex_key_config": {"project_id": "p1", "region": "europe-west4"}},
        {"name": "account", "vertex_key_config": {"region": "eu", "auth_credentials":
            "{\"type\": \"authorized_user\", \"client_id\": \"c\", \"client_secret\": \"s\",
              \"refresh_token\": \"r\", \"quota_project_id\": \"p2\"}", "project_id": "p2"}}
    ]}}}"#;
    let snapshot = json(text, &nothing());
    let vertex = snapshot.provider("vertex").unwrap();
    let place = |nth: usize| {
        let endpoint = vertex.keys[nth].endpoint.as_deref().unwrap_or(&vertex.endpoint);
        (endpoint.host.to_string(), endpoint.embeddings_path.as_deref().unwrap().to_owned())
    };
    let predict = "publishers/google/models/{model}:predict";
    assert_eq!(place(0), ("aiplatform.googleapis.com".into(), format!("/v1/{predict}")));
    let project = format!("/v1/projects/p1/locations/europe-west4/{predict}");
    assert_eq!(place(1), ("europe-west4-aiplatform.googleapis.com".into(), project));
    let eu = format!("/v1/projects/p2/locations/eu/{predict}");
    assert_eq!(place(2), ("aiplatform.eu.rep.googleapis.com".into(), eu));
    assert!(vertex.keys.iter().all(|key| key.disabled.is_none()));
}

#[test]
fn accounts_of_other_clouds_have_their_hosts_and_proofs() {
    let text = r#"{"providers": {
        "bedrock_mantle": {"keys": [{"name": "a", "bedrock_key_config":
            {"access_key": "AKID", "secret_key": "s", "region": "eu-west-1"}}]},
        "anthropic_aws": {"keys": [{"name": "a", "value": "k", "bedrock_key_config": {"region": "us-west-2"}}]},
        "watsonx": {"keys": [{"name": "a", "value": "ibm-key"}],
            "network_config": {"base_url": "https://us-south.ml.cloud.ibm.com"}},
        "zai": {"keys": [{"value": "k"}], "network_config": {"base_url": "https://open.bigmodel.cn/api/paas/v4"}}
    }}"#;
    let snapshot = json(text, &nothing());
    let provider = |name: &str| snapshot.provider(name).unwrap();
    let mantle = provider("bedrock_mantle");
    assert_eq!(&*mantle.endpoint.host, "bedrock-mantle.eu-west-1.api.aws");
    assert!(matches!(&*mantle.keys[0].credential, Credential::SigV4(_)));
    let claude = provider("anthropic_aws");
    assert_eq!(&*claude.endpoint.host, "aws-external-anthropic.us-west-2.api.aws");
    assert!(matches!(&*claude.keys[0].credential, Credential::Fixed(_)));
    assert!(matches!(&*provider("watsonx").keys[0].credential, Credential::OAuth(_)));
    let again = json(text, &nothing());
    let renewed = &again.provider("watsonx").unwrap().keys[0].credential;
    assert!(Arc::ptr_eq(&provider("watsonx").keys[0].credential, renewed), "a reload keeps the token");
    let zai = &provider("zai").endpoint;
    assert_eq!(&*zai.chat_path, "/api/paas/v4/chat/completions");
    assert_eq!(&*zai.services[0].path, "/api/anthropic/v1/messages");
}

#[test]
fn a_provider_without_chat_is_found_by_its_variable_and_has_no_path_for_it() {
    let environment = Environment::fixed([("ELEVENLABS_API_KEY", "xi"), ("VOYAGE_API_KEY", "pa")]);
    let snapshot = json("{}", &environment);
    let eleven = snapshot.provider("elevenlabs").unwrap();
    assert_eq!((&*eleven.endpoint.chat_path, &*eleven.endpoint.root), ("", ""));
    let voyage = snapshot.provider("voyageai").unwrap();
    assert_eq!(voyage.endpoint.rerank_path.as_deref(), Some("/v1/rerank"));
    let summary = crate::config::check::summary(&snapshot).join("\n");
    assert!(summary.contains("elevenlabs: no chat, 1 key, https://api.elevenlabs.io"), "{summary}");
}

#[test]
fn azures_newer_surface_and_googles_regions_of_several_have_paths_and_hosts_of_their_own() {
    for (version, chat) in [
        ("v1", "/openai/v1/chat/completions"),
        ("preview", "/openai/v1/chat/completions?api-version=preview"),
        ("2025-04-01-preview", "/openai/deployments/{model}/chat/completions?api-version=2025-04-01-preview"),
    ] {
        let text = format!(
            r#"{{"providers": {{"azure": {{"keys": [{{"name": "a", "value": "k", "azure_key_config":
                {{"endpoint": "https://r.openai.azure.com", "api_version": "{version}"}}}}]}}}}}}"#
        );
        assert_eq!(&*json(&text, &nothing()).provider("azure").unwrap().endpoint.chat_path, chat);
    }
    for (region, host) in [
        ("eu", "aiplatform.eu.rep.googleapis.com"),
        ("global", "aiplatform.googleapis.com"),
        ("us-east5", "us-east5-aiplatform.googleapis.com"),
    ] {
        let text = format!(
            r#"{{"providers": {{"vertex": {{"keys": [{{"name": "a", "value": "k", "vertex_key_config":
                {{"project_id": "p", "region": "{region}"}}}}]}}}}}}"#
        );
        assert_eq!(&*json(&text, &nothing()).provider("vertex").unwrap().endpoint.host, host);
    }
}

#[test]
fn an_account_with_half_of_its_proof_is_refused_and_an_unset_variable_disables_its_key() {
    let told = problems(
        r#"{"providers": {"azure": {"keys": [{"name": "a", "azure_key_config":
            {"endpoint": "https://r.openai.azure.com", "client_id": "c", "tenant_id": "t"}}]}}}"#,
        Format::Json,
    );
    assert!(told.contains("client_secret"), "{told}");
    let snapshot = json(
        r#"{"providers": {"bedrock": {"keys": [{"name": "a", "bedrock_key_config":
            {"access_key": "env.NOT_SET", "secret_key": "env.NOT_SET_EITHER"}}]}}}"#,
        &nothing(),
    );
    let key = &snapshot.provider("bedrock").unwrap().keys[0];
    assert!(key.disabled.as_deref().is_some_and(|why| why.contains("NOT_SET")), "{:?}", key.disabled);
}

#[test]
fn a_cloud_key_that_was_replaced_kept_the_rest_of_the_old_one() {
    let of = |secret: &str, weight: u32| {
        let text = format!(
            r#"{{"providers": {{"bedrock": {{"keys": [{{"name": "a", "weight": {weight}, "bedrock_key_config":
                {{"access_key": "AKID", "secret_key": "{secret}", "region": "eu-west-1"}}}}]}}}}}}"#
        );
        json(&text, &nothing()).provider("bedrock").unwrap().keys[0].fingerprint
    };
    assert_ne!(of("old", 1), of("new", 1));
    assert_eq!(of("old", 1), of("old", 2), "a weight makes no other key of it");
}
