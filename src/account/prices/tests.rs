use super::*;
use crate::config::{Document, Environment, Format, compile};
use govern::price::{Class, Service};

fn snapshot(providers: &str, version: u64) -> Snapshot {
    let text = format!(r#"{{"providers": {providers}}}"#);
    let document = Document::parse("c.json", &text, Format::Json).unwrap();
    compile(&document, &Environment::fixed([]), version).unwrap().snapshot
}

/// Source, and input price in micro-dollars per thousand tokens.
fn quoted(prices: &Prices, snapshot: &Snapshot, name: &str, model: &str) -> Option<(Source, u64)> {
    let provider = snapshot.provider(name).unwrap();
    let served = Served { provider, key: &provider.keys[0], model, request: "chat_completion_stream" };
    let quote = prices.quote(&served, snapshot)?;
    Some((quote.source, quote.price.of(Class::Input, Service::Standard, 0).unwrap() / 1_000_000))
}

#[test]
fn a_name_of_ones_own_has_the_presets_prices_at_the_presets_address_only() {
    let snapshot = snapshot(
        r#"{"second": {"keys": [{"value": "k"}], "custom_provider_config": {"base_provider_type": "openai"}},
            "else": {"keys": [{"value": "k"}], "custom_provider_config": {"base_provider_type": "openai"},
                "network_config": {"base_url": "https://llm.example.com"}}}"#,
        1,
    );
    let prices = Prices::default();
    assert_eq!(quoted(&prices, &snapshot, "second", "gpt-4o"), Some((Source::Catalog, 2_500)));
    assert_eq!(quoted(&prices, &snapshot, "else", "gpt-4o"), None);
}

#[test]
fn what_was_remembered_goes_with_its_configuration_and_with_its_table() {
    let prices = Prices::default();
    let own = |cost: &str| {
        format!(
            r#"{{"openai": {{"keys": [{{"value": "k"}}],
            "pricing_overrides": [{{"model_pattern": "m", "input_cost_per_token": {cost}}}]}}}}"#
        )
    };
    let (first, second) = (snapshot(&own("1e-6"), 1), snapshot(&own("2e-6"), 2));
    assert_eq!(quoted(&prices, &first, "openai", "m"), Some((Source::Provider, 1_000)));
    assert_eq!(quoted(&prices, &second, "openai", "m"), Some((Source::Provider, 2_000)));
    assert_eq!(quoted(&prices, &first, "openai", "m"), Some((Source::Provider, 1_000)));

    let mut snapshot = snapshot(r#"{"openai": {"keys": [{"value": "k"}]}}"#, 3);
    let source = TableSource::Url("https://example.com/prices.json".into());
    snapshot.pricing.source = Some(source.clone());
    assert_eq!(quoted(&prices, &snapshot, "openai", "gpt-4o"), Some((Source::Catalog, 2_500)));
    let table = br#"{"gpt-4o": {"litellm_provider": "openai", "input_cost_per_token": 7e-6}}"#;
    let catalog = Arc::new(catalog::embedded().parse_table(table).unwrap());
    prices.take(Fresh { source, catalog });
    assert_eq!(quoted(&prices, &snapshot, "openai", "gpt-4o"), Some((Source::Table, 7_000)));
    snapshot.pricing.source = None;
    snapshot.version = 4;
    assert_eq!(
        quoted(&prices, &snapshot, "openai", "gpt-4o"),
        Some((Source::Catalog, 2_500)),
        "of another source"
    );
}

#[test]
fn names_that_callers_invent_do_not_fill_the_memory() {
    let (prices, snapshot) = (Prices::default(), snapshot(r#"{"openai": {"keys": [{"value": "k"}]}}"#, 1));
    for n in 0..3 * MEMORY {
        assert_eq!(quoted(&prices, &snapshot, "openai", &format!("invented-{n}")), None);
    }
    assert!(prices.memory.read().unwrap().quotes.len() <= MEMORY);
}

#[test]
fn a_region_in_the_address_is_a_place_with_its_prices() {
    let bedrock = |region: &str| {
        format!(
            r#"{{"bedrock": {{"keys": [{{"value": "k", "bedrock_key_config": {{"region": "{region}"}}}}]}}}}"#
        )
    };
    let model = "anthropic.claude-sonnet-4-5-20250929-v1:0";
    let prices = Prices::default();
    let there = quoted(&prices, &snapshot(&bedrock("us-gov-west-1"), 1), "bedrock", model);
    let elsewhere = quoted(&prices, &snapshot(&bedrock("us-east-2"), 2), "bedrock", model);
    assert_eq!(there, Some((Source::Catalog, 3_600)));
    assert_eq!(elsewhere, Some((Source::Catalog, 3_000)));
}
