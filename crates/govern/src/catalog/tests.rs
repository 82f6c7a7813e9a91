use super::*;
use crate::price::{TokenCounts, cost};

const HEAD: &str = r#""source":"s","version":"1","license":"MIT","copyright":"c","generated":"2026-01-31""#;

fn file(rest: &str) -> String {
    format!("{{{HEAD},{rest}}}")
}

/// Two vendors, a host of one of their models, and a reseller with one model of its own.
fn small() -> String {
    file(
        r#""fallbacks":{"shop":["maker"]},"providers":{
        "maker":{"m-1":{"input":"1","output":"2.5","context":1000,"aliases":["m-one"]},
                 "m-1-2024-05-13":{"input":"9","output":"9"},
                 "M-Emb":{"input":"0.000000001","mode":"embedding"}},
        "other":{"o-1":{"input":"3"}},
        "host":{"m-1":{"input":"0.5","output":"1","tiered":true},"us.m-2":{"input":"7"},"m-2-v1:0":{"input":"6"}},
        "shop":{"s-1":{"input":"8"}}}"#,
    )
}

fn input(catalog: &Catalog<'_>, provider: &str, model: &str) -> Option<u64> {
    catalog.price(provider, model).and_then(|price| price.input)
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
fn fields_arrive_whole() {
    let text = small();
    let catalog = Catalog::parse(text.as_bytes()).unwrap();
    let [one, dated, embedding] = catalog.models("maker") else { panic!("three models") };
    assert_eq!((one.name, one.context, one.mode, one.tiered), ("m-1", Some(1000), Mode::Chat, false));
    assert_eq!(one.price.output, Some(2_500_000_000));
    assert_eq!(dated.name, "m-1-2024-05-13");
    assert_eq!((embedding.mode, embedding.price.output), (Mode::Embedding, None));
    assert!(catalog.models("host")[0].tiered);
    assert_eq!(catalog.origin().generated, "2026-01-31");
}

#[test]
fn mistakes_are_told_with_their_place() {
    let model = |row: &str| file(&format!("\"providers\":{{\"p\":{{\n\"m\":{row}}}}}"));
    for (text, wanted) in [
        (model(r#"{"input":"1,5"}"#), "\"1,5\" is not a decimal"),
        (model(r#"{"input":"0.0000000001"}"#), "is not a decimal"),
        (model(r#"{"input":"-1"}"#), "is not a decimal"),
        (model(r#"{"input":""}"#), "is not a decimal"),
        (model(r#"{"input":"1."}"#), "is not a decimal"),
        (model(r#"{"input":"99999999999999999999"}"#), "is not a decimal"),
        (model(r#"{"input":1.5}"#), "invalid type"),
        (model(r#"{"inptu":"1"}"#), "unknown field `inptu`"),
        (model(r#"{"mode":"chatty"}"#), "unknown variant"),
        (model("[]"), "line 2"),
        (model(r#"{"aliases":["n","N"]}"#), "provider \"p\" names"),
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
fn the_shipped_catalog_parses_and_is_small() {
    let catalog = Catalog::parse(EMBEDDED.as_bytes()).unwrap();
    assert!(EMBEDDED.len() <= 250_000, "{} bytes", EMBEDDED.len());
    let held = catalog.models.capacity() * size_of::<Model<'_>>()
        + catalog.names.capacity() * size_of::<Name<'_>>()
        + catalog.providers.capacity() * size_of::<Provider<'_>>();
    assert!(held <= 1_000_000, "{held} bytes");
    assert!(catalog.models.len() > 1_000);
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
            assert_eq!(same_order(pair[0].name, pair[1].name), std::cmp::Ordering::Less);
        }
        for model in models {
            assert!(model.price.input.is_some() || model.price.output.is_some(), "{provider}/{}", model.name);
            assert_eq!(embedded().find(provider, model.name), Some(model), "{provider}/{}", model.name);
            assert!(embedded().providers_of(model.name).any(|found| found == provider));
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

/// A measurement, not a check: `cargo test -p govern --release -- --ignored --nocapture parse_time`.
#[test]
#[ignore = "prints a measurement"]
fn parse_time_and_lookup_time() {
    let start = std::time::Instant::now();
    for _ in 0..20 {
        std::hint::black_box(Catalog::parse(std::hint::black_box(EMBEDDED.as_bytes())).unwrap());
    }
    println!("parse: {} µs", start.elapsed().as_micros() / 20);
    let start = std::time::Instant::now();
    for _ in 0..100_000 {
        std::hint::black_box(embedded().price("bedrock", std::hint::black_box("us.anthropic.claude-x-v1:0")));
    }
    println!("lookup of an unknown regional name: {} ns", start.elapsed().as_nanos() / 100_000);
}
