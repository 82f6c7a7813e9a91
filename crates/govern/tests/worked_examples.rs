//! Bills worked out by hand from the vendors' published pages (`prices.json` cites each), against the shipped table.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may panic")]

use std::collections::{BTreeMap, BTreeSet};

use govern::catalog::embedded;
use govern::price::{Class, SearchSize, Service, Terms, TokenCounts, Uplift, Uplifts, femtos};
use serde::Deserialize;

#[derive(Deserialize)]
struct File {
    examples: Vec<Example>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Example {
    model: String,
    counts: BTreeMap<String, u64>,
    #[serde(default)]
    service: String,
    #[serde(default)]
    uplifts: Vec<String>,
    #[serde(default)]
    search: String,
    #[serde(default)]
    region: String,
    times: Option<String>,
    /// What, how many, dollars per million or `each`.
    lines: Vec<Vec<serde_json::Value>>,
    nanos: u64,
    page: String,
    date: String,
    #[serde(default)]
    note: String,
}

fn examples() -> Vec<Example> {
    let file: File = serde_json::from_str(include_str!("prices.json")).unwrap();
    file.examples
}

fn counts(written: &BTreeMap<String, u64>) -> TokenCounts {
    let mut counts = TokenCounts::default();
    for (name, &count) in written {
        *match name.as_str() {
            "input_uncached" => &mut counts.input_uncached,
            "cache_read" => &mut counts.cache_read,
            "cache_read_audio" => &mut counts.cache_read_audio,
            "cache_write" => &mut counts.cache_write,
            "cache_write_1h" => &mut counts.cache_write_1h,
            "output" => &mut counts.output,
            "reasoning" => &mut counts.reasoning,
            "audio_input" => &mut counts.audio_input,
            "audio_output" => &mut counts.audio_output,
            "image_input" => &mut counts.image_input,
            "image_output" => &mut counts.image_output,
            "images_out" => &mut counts.images_out,
            "web_searches" => &mut counts.web_searches,
            "queries" => &mut counts.queries,
            "images_in" => &mut counts.images_in,
            "requests" => &mut counts.requests,
            other => panic!("no count is called {other}"),
        } = count;
    }
    counts
}

fn terms(example: &Example) -> Terms {
    let named = |name: &String| Uplift::ALL.into_iter().find(|uplift| uplift.name() == name).unwrap();
    Terms {
        service: Service::named(&example.service),
        uplifts: example.uplifts.iter().map(named).fold(Uplifts::default(), Uplifts::with),
        search: SearchSize::named(&example.search),
    }
}

#[test]
fn every_example_costs_what_was_worked_out_line_by_line() {
    for example in examples() {
        let what = format!("{} {:?} ({})", example.model, example.counts, example.note);
        let (provider, model) = example.model.split_once('/').unwrap();
        let found = embedded().find_in(provider, &example.region, model).unwrap_or_else(|| panic!("{what}"));
        let bill = found.price.bill(&counts(&example.counts), &terms(&example));
        let lines: Vec<(&str, u64)> =
            bill.lines().iter().map(|line| (line.what.name(), line.quantity)).collect();
        let wanted: Vec<(&str, u64)> =
            example.lines.iter().map(|line| (line[0].as_str().unwrap(), line[1].as_u64().unwrap())).collect();
        assert_eq!(lines, wanted, "{what}");
        assert_eq!(bill.nanos(), example.nanos, "{what}: {:?}", bill.lines());
        assert!(bill.is_complete(), "{what}");
    }
}

/// The file's own arithmetic, without the code under test: its prices times its quantities are its sums.
#[test]
fn the_examples_themselves_add_up() {
    for example in examples() {
        let times: f64 = example.times.as_deref().unwrap_or("1").parse().unwrap();
        let tenths = (times * 10.0).round() as u128;
        // Femto-dollars times ten million.
        let sum: u128 = example.lines.iter().fold(0, |sum, line| {
            let (quantity, price) = (u128::from(line[1].as_u64().unwrap()), line[2].as_str().unwrap());
            let femtos = u128::from(femtos(price).unwrap());
            let factor = if line.len() > 3 { 10_000_000 } else { tenths };
            sum + quantity * femtos * factor
        });
        let nano = 10_000_000 * 1_000_000;
        assert_eq!((sum + nano / 2) / nano, u128::from(example.nanos), "{} {}", example.model, example.note);
    }
}

#[test]
fn the_examples_cover_every_dimension_and_cite_their_source() {
    let examples = examples();
    assert!(examples.len() >= 60, "{}", examples.len());
    let cited = examples.iter().filter(|example| example.page.starts_with("https://")).count();
    assert!(cited >= 70, "{cited} cite a vendor's page");
    for example in &examples {
        assert!(example.page == "table" || example.page.starts_with("https://"), "{}", example.page);
        assert!(example.date.starts_with("2026-"), "{}", example.model);
    }
    let billed: BTreeSet<&str> = examples
        .iter()
        .flat_map(|example| example.lines.iter())
        .map(|line| line[0].as_str().unwrap())
        .collect();
    for class in [
        Class::Input,
        Class::AudioInput,
        Class::ImageInput,
        Class::CacheRead,
        Class::CacheReadAudio,
        Class::CacheWrite,
        Class::CacheWrite1h,
        Class::Output,
        Class::Reasoning,
        Class::AudioOutput,
        Class::ImageOutput,
        Class::ImageIn,
        Class::ImageOut,
        Class::Request,
        Class::Query,
        Class::SearchLow,
        Class::SearchMedium,
        Class::SearchHigh,
    ] {
        assert!(billed.contains(class.name()), "no example bills {}", class.name());
    }
    for service in ["batch", "flex", "priority", "ultrafast"] {
        assert!(examples.iter().any(|example| example.service == service), "{service}");
    }
    for uplift in ["inference_us", "processing_eu", "regional_endpoint", "fast"] {
        assert!(examples.iter().any(|example| example.uplifts.iter().any(|name| name == uplift)), "{uplift}");
    }
    assert!(examples.iter().any(|example| !example.region.is_empty()));
}
