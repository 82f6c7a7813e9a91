use super::*;
use crate::price::{Class, Service, Terms, TokenCounts, Uplift, Uplifts, cost};

const HEAD: &str = r#""source":"s","version":"1","license":"MIT","copyright":"c","generated":"2026-01-31""#;

fn file(rest: &str) -> String {
    format!("{{{HEAD},{rest}}}")
}

/// Two vendors, a host of one of their models, and a reseller with one model of its own.
fn small() -> String {
    file(
        r#""fallbacks":{"shop":["maker"]},"providers":{
        "maker":{"m-1":{"input_cost_per_token":1e-6,"output_cost_per_token":2.5e-06,"max_input_tokens":1000,
                        "aliases":["m-one"]},
                 "m-1-2024-05-13":{"input_cost_per_token":9e-6,"output_cost_per_token":"0.000009"},
                 "M-Emb":{"input_cost_per_token":1e-15,"mode":"embedding"}},
        "other":{"o-1":{"input_cost_per_token":3e-6}},
        "host":{"m-1":{"input_cost_per_token":5e-7,"output_cost_per_token":1e-6,"off_peak_pricing":{}},
                "us.m-2":{"input_cost_per_token":7e-6},"m-2-v1:0":{"input_cost_per_token":6e-6}},
        "host/eu-west-1":{"m-1":{"input_cost_per_token":4e-6}},
        "shop":{"s-1":{"input_cost_per_token":8e-6}}}"#,
    )
}

fn input(catalog: &Catalog<'_>, provider: &str, model: &str) -> Option<u64> {
    catalog.price(provider, model).and_then(|price| price.of(Class::Input, Service::Standard, 0))
}

#[test]
fn names_aliases_dates_and_case_find_the_model() {
    let text = small();
    let catalog = Catalog::parse(text.as_bytes()).unwrap();
    for name in ["m-1", "m-one", "M-ONE", "m-1-latest", "m-1-2025-01-01", "m-1-20250101", "m-1@20250101"] {
        assert_eq!(input(&catalog, "maker", name), Some(1_000_000_000), "{name}");
    }
    assert_eq!(input(&catalog, "maker", "m-1-2024-05-13"), Some(9_000_000_000), "an exact name wins");
    assert_eq!(input(&catalog, "maker", "m-emb"), Some(1));
    for name in ["m-1-mini", "m-2", "", "o-1"] {
        assert_eq!(catalog.find("maker", name), None, "{name}");
    }
    assert_eq!(catalog.find("nobody", "m-1"), None);
}

#[test]
fn a_region_is_dropped_only_when_the_regional_name_is_unknown() {
    let text = small();
    let catalog = Catalog::parse(text.as_bytes()).unwrap();
    assert_eq!(input(&catalog, "host", "us.m-2-v1:0"), Some(7_000_000_000));
    assert_eq!(input(&catalog, "host", "eu.m-2-v1:0"), Some(6_000_000_000));
}

#[test]
fn a_reseller_has_its_makers_prices() {
    let text = small();
    let catalog = Catalog::parse(text.as_bytes()).unwrap();
    assert_eq!(input(&catalog, "shop", "m-1"), Some(1_000_000_000));
    assert_eq!(input(&catalog, "shop", "s-1"), Some(8_000_000_000));
    assert_eq!(catalog.models("shop").len(), 1);
    assert_eq!(catalog.find("shop", "o-1"), None);
}

#[test]
fn providers_of_a_bare_name_come_in_order_of_preference_resellers_last() {
    let text = small();
    let catalog = Catalog::parse(text.as_bytes()).unwrap();
    let of = |model| catalog.providers_of(model).collect::<Vec<_>>();
    assert_eq!(of("m-1"), ["maker", "host", "shop"]);
    assert_eq!(of("s-1"), ["shop"]);
    assert!(of("nothing").is_empty());
    assert_eq!(catalog.providers().collect::<Vec<_>>(), ["maker", "other", "host", "shop"]);
}

#[test]
fn a_region_of_its_own_prices_comes_before_the_provider() {
    let text = small();
    let catalog = Catalog::parse(text.as_bytes()).unwrap();
    let price = |region, model| {
        let found = catalog.find_in("host", region, model);
        found.and_then(|found| found.price.of(Class::Input, Service::Standard, 0))
    };
    assert_eq!(price("eu-west-1", "m-1"), Some(4_000_000_000));
    assert_eq!(price("eu-west-2", "m-1"), Some(500_000_000));
    assert_eq!(price("", "m-1"), Some(500_000_000));
    assert_eq!(
        price("eu-west-1", "us.m-2-v1:0"),
        Some(7_000_000_000),
        "what the region lacks, the provider has"
    );
    assert!(catalog.providers().all(|name| name != "host/eu-west-1"), "a region is no provider");
    assert!(catalog.providers_of("m-1").all(|name| name != "host/eu-west-1"));
}

#[test]
fn fields_arrive_whole() {
    let text = small();
    let catalog = Catalog::parse(text.as_bytes()).unwrap();
    let [one, dated, embedding] = catalog.models("maker") else { panic!("three models") };
    assert_eq!((&*one.name, one.context, one.mode, one.timed), ("m-1", Some(1000), Mode::Chat, false));
    assert_eq!(one.price.of(Class::Output, Service::Standard, 0), Some(2_500_000_000));
    assert_eq!(dated.price.of(Class::Output, Service::Standard, 0), Some(9_000_000_000), "a price in quotes");
    assert_eq!(dated.name, "m-1-2024-05-13");
    assert_eq!(embedding.mode, Mode::Embedding);
    assert_eq!(embedding.price.of(Class::Output, Service::Standard, 0), None);
    assert!(catalog.models("host")[0].timed);
    assert_eq!(catalog.origin().generated, "2026-01-31");
}

#[test]
fn mistakes_are_told_with_their_place() {
    let model = |row: &str| file(&format!("\"providers\":{{\"p\":{{\n\"m\":{row}}}}}"));
    let price = |value: &str| model(&format!("{{\"input_cost_per_token\":{value}}}"));
    for (text, wanted) in [
        (price("\"1,5\""), "p/m: input_cost_per_token: \"1,5\" is no price"),
        (price("-1"), "-1 is no price"),
        (price("\"\""), "is no price"),
        (price("\"NaN\""), "is no price"),
        (price("99999"), "is no price"),
        (price("[]"), "is no price"),
        (price("true"), "is no price"),
        (price("1."), "line 2"),
        (
            model(r#"{"search_context_cost_per_query":{"search_context_size_low":-1}}"#),
            "search_context_size_low",
        ),
        (model(r#"{"tiered_pricing":[{"range":["x",5],"input_cost_per_token":1}]}"#), "tiered_pricing"),
        (model(r#"{"tiered_pricing":5}"#), "tiered_pricing"),
        (model(r#"{"regional_endpoint_uplift_multiplier":-1}"#), "uplift"),
        (model("[]"), "line 2"),
        (model(r#"{"input_cost_per_token":1,"aliases":["n","N"]}"#), "provider \"p\" names"),
        (file(r#""providers":{"p":{},"p":{}}"#), "\"p\" stands twice"),
        (file(r#""fallbacks":{"p":["q"]},"providers":{"p":{}}"#), "no provider \"q\""),
        (file(r#""fallbacks":{"q":[]},"providers":{"p":{}}"#), "no provider \"q\""),
        ("{}".to_owned(), "missing field"),
        (String::new(), "EOF"),
    ] {
        let told = Catalog::parse(text.as_bytes()).unwrap_err().to_string();
        assert!(told.contains(wanted), "{told:?} lacks {wanted:?}");
    }
}

#[test]
fn a_model_without_a_price_is_unknown_and_an_unknown_field_is_nothing() {
    let text = file(
        r#""providers":{"p":{"m":{"mode":"chat","max_input_tokens":5},
        "n":{"input_cost_per_token":null,"output_cost_per_second":3},
        "o":{"input_cost_per_token":0,"output_cost_per_second":3,"supports_x":[{}],
             "tiered_pricing":[{"max_results_range":[0,25],"input_cost_per_query":0.005}]}}}"#,
    );
    let catalog = Catalog::parse(text.as_bytes()).unwrap();
    assert_eq!(catalog.price("p", "m"), None);
    assert_eq!(catalog.price("p", "n"), None);
    assert_eq!(input(&catalog, "p", "o"), Some(0), "a published zero is a price");
    assert!(catalog.models("p")[0].partial, "it also bills by the second");
}

#[test]
fn a_table_of_all_providers_is_read_by_our_names() {
    let known =
        file(r#""names":{"cloud_ai":"cloud","cloud_ai-maker_models":"cloud"},"providers":{"cloud":{}}"#);
    let known = Catalog::parse(known.as_bytes()).unwrap();
    let table = r#"{
        "sample_spec": {"litellm_provider": "one of https://example.com", "input_cost_per_token": "none"},
        "rules": {"rules": [{"pattern": "^x"}]},
        "m-1": {"litellm_provider": "cloud_ai-maker_models", "input_cost_per_token": 2e-06},
        "cloud_ai/m-1": {"litellm_provider": "cloud_ai-maker_models", "input_cost_per_token": 1e-06},
        "cloud_ai/M-1": {"litellm_provider": "cloud_ai", "input_cost_per_token": 9e-06},
        "cloud_ai/eu-west-1/m-1": {"litellm_provider": "cloud_ai", "input_cost_per_token": 3e-06},
        "own/maker/m-2": {"litellm_provider": "own", "input_cost_per_token": 5.0000000000000004e-08,
            "tiered_pricing": [{"range": [32000.0, 1e9], "input_cost_per_token": 7e-08}],
            "provider_specific_entry": {"us": 1.1, "fast": 2, "note": "x"}, "supports_vision": true},
        "maker/m-3": {"litellm_provider": "own", "output_cost_per_second": 1}
    }"#;
    let table = known.parse_table(table.as_bytes()).unwrap();
    assert_eq!(input(&table, "cloud", "m-1"), Some(1_000_000_000), "the key with the provider in it counts");
    assert_eq!(
        table.find_in("cloud", "eu-west-1", "m-1").map(|m| m.price.rates()[0].femtos),
        Some(3_000_000_000)
    );
    let price = table.price("own", "maker/m-2").unwrap();
    assert_eq!(
        price.of(Class::Input, Service::Standard, 32_000),
        Some(50_000_000),
        "what floats left is rounded away"
    );
    assert_eq!(price.of(Class::Input, Service::Standard, 32_001), Some(70_000_000));
    assert_eq!(
        price.uplifts().collect::<Vec<_>>(),
        [(Uplift::InferenceUs, 1_100_000), (Uplift::Fast, 2_000_000)]
    );
    let terms = Terms {
        uplifts: Uplifts::default().with(Uplift::InferenceUs).with(Uplift::Fast),
        ..Terms::default()
    };
    let counts = TokenCounts { input_uncached: 1_000, ..TokenCounts::default() };
    assert_eq!(price.bill(&counts, &terms).nanos(), 110_000, "1,000 × 0.05 µ$ × 2.2");
    assert_eq!(table.len(), 3, "rows without a price are left out");
}

#[test]
fn a_table_with_an_impossible_price_is_refused_by_model_and_field() {
    let catalog = Catalog::default();
    let table = r#"{"p/m": {"litellm_provider": "p", "output_cost_per_token": -1e-06}}"#;
    let told = catalog.parse_table(table.as_bytes()).unwrap_err().to_string();
    assert!(told.contains("p/m: output_cost_per_token: -1e-06"), "{told}");
    assert!(catalog.parse_table(b"[]").unwrap_err().to_string().contains("expected an object"));
}

/// The shipped rows are LiteLLM's: read as such a table they give the same prices.
#[test]
fn the_shipped_catalog_reads_the_same_as_a_table() {
    let file: serde_json::Value = serde_json::from_str(TEXT).unwrap();
    let mut table = serde_json::Map::new();
    for (provider, rows) in file["providers"].as_object().unwrap() {
        for (model, row) in rows.as_object().unwrap() {
            let (name, region) = provider.split_once('/').unwrap_or((provider, ""));
            let mut row = row.as_object().unwrap().clone();
            row.insert("litellm_provider".to_owned(), name.into());
            let place = if region.is_empty() { String::new() } else { format!("{region}/") };
            table.insert(format!("{name}/{place}{model}"), row.into());
        }
    }
    let text = serde_json::to_string(&table).unwrap();
    let read = embedded().parse_table(text.as_bytes()).unwrap();
    assert_eq!(read.len(), embedded().len());
    for provider in &embedded().providers {
        for model in embedded().models(&provider.name) {
            let same = read.find_at(read.provider(&provider.name).unwrap(), &model.name).unwrap();
            assert_eq!(same.price, model.price, "{}/{}", provider.name, model.name);
        }
    }
}

#[test]
fn every_field_of_the_shipped_catalog_is_one_that_is_read() {
    const OTHER: [&str; 9] = [
        "aliases",
        "max_input_tokens",
        "max_output_tokens",
        "mode",
        "partial",
        "provider_specific_entry",
        "search_context_cost_per_query",
        "tiered_pricing",
        "timed",
    ];
    let file: serde_json::Value = serde_json::from_str(TEXT).unwrap();
    for (provider, rows) in file["providers"].as_object().unwrap() {
        for (model, row) in rows.as_object().unwrap() {
            for field in row.as_object().unwrap().keys() {
                let known = OTHER.contains(&field.as_str()) || crate::price::field(field).is_some();
                assert!(known, "{provider}/{model}: {field}");
            }
        }
    }
}

#[test]
fn the_shipped_catalog_parses_and_is_small() {
    let catalog = Catalog::parse(TEXT.as_bytes()).unwrap();
    assert!(EMBEDDED.len() <= 1_100_000, "{} bytes", EMBEDDED.len());
    let rates: usize = catalog.models.iter().map(|model| size_of_val(model.price.rates())).sum();
    let held = catalog.models.capacity() * size_of::<Model<'_>>()
        + catalog.names.capacity() * size_of::<Name<'_>>()
        + catalog.providers.capacity() * size_of::<Provider<'_>>()
        + rates;
    assert!(held <= 2_000_000, "{held} bytes");
    assert!(catalog.models.len() > 4_000);
    assert_eq!(catalog.origin().license, "MIT");
    println!(
        "{} models, {} names, {held} bytes held, {} of text",
        catalog.models.len(),
        catalog.names.len(),
        EMBEDDED.len()
    );
}

#[test]
fn every_shipped_model_has_a_price_and_finds_itself() {
    for provider in embedded().providers() {
        let models = embedded().models(provider);
        for pair in models.windows(2) {
            assert_eq!(same_order(&pair[0].name, &pair[1].name), std::cmp::Ordering::Less);
        }
        for model in models {
            assert!(!model.price.rates().is_empty(), "{provider}/{}", model.name);
            assert_eq!(embedded().find(provider, &model.name), Some(model), "{provider}/{}", model.name);
            assert!(embedded().providers_of(&model.name).any(|found| found == provider));
        }
    }
}

/// Published prices of models old enough that they will not change any more.
#[test]
fn well_known_prices_are_right() {
    let counts = TokenCounts { input_uncached: 1_000, output: 100, ..TokenCounts::default() };
    for (provider, model, nanos) in [
        ("openai", "gpt-4o-2024-11-20", 2_500_000 + 1_000_000),
        ("openai", "gpt-4o-2024-05-13", 5_000_000 + 1_500_000),
        ("openai", "gpt-4o-mini", 150_000 + 60_000),
        ("azure", "gpt-4o-mini", 150_000 + 60_000),
        ("anthropic", "claude-3-5-haiku-20241022", 800_000 + 400_000),
        ("anthropic", "claude-3-haiku-20240307", 250_000 + 125_000),
        ("bedrock", "us.anthropic.claude-3-haiku-20240307-v1:0", 250_000 + 125_000),
        ("vertex", "claude-3-haiku@20240307", 250_000 + 125_000),
        ("openai", "text-embedding-3-small", 20_000),
    ] {
        let price = embedded().price(provider, model).unwrap_or_else(|| panic!("{provider}/{model}"));
        assert_eq!(cost(price, &counts), nanos, "{provider}/{model}");
    }
    let searches = TokenCounts { web_searches: 3, ..TokenCounts::default() };
    assert_eq!(cost(embedded().price("openai", "gpt-4o").unwrap(), &searches), 30_000_000);
}

#[test]
fn bare_names_of_the_shipped_catalog_go_to_their_vendor_first() {
    for (model, vendor) in [
        ("gpt-4o", "openai"),
        ("claude-3-5-haiku-latest", "anthropic"),
        ("gemini-2.5-flash", "gemini"),
        ("mistral-large-latest", "mistral"),
        ("deepseek-chat", "deepseek"),
        ("grok-3", "xai"),
        ("command-r-plus", "cohere"),
    ] {
        assert_eq!(embedded().providers_of(model).next(), Some(vendor), "{model}");
    }
}
