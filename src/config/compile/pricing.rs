//! `pricing_overrides` of providers and keys, and `framework.pricing`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use govern::catalog::{self, Catalog};
use govern::price::{Class, Field, Price, Rate, Service, femtos, field, millionths};
use regex::Regex;
use serde_json::Value;
use url::Url;

use super::Compiler;
use crate::config::document::At;
use crate::config::prices::{ModelPattern, PriceRule, Pricing, TableSource, Unpriced};
use crate::config::problem::{child, did_you_mean};
use crate::config::raw;

/// Names that are suggested for misspelt ones; every field of the table is taken.
const COMMON: [&str; 14] = [
    "input_cost_per_token",
    "output_cost_per_token",
    "cache_read_input_token_cost",
    "cache_creation_input_token_cost",
    "cache_creation_input_token_cost_above_1hr",
    "output_cost_per_reasoning_token",
    "input_cost_per_audio_token",
    "output_cost_per_audio_token",
    "input_cost_per_image",
    "output_cost_per_image",
    "input_cost_per_request",
    "search_context_cost_per_query",
    "input_cost_per_token_batches",
    "input_cost_per_token_above_200k_tokens",
];

/// The rules of a list; `pointer` is the list's.
pub(super) fn rules(
    compiler: &mut Compiler<'_>,
    pointer: &str,
    overrides: &[raw::PricingOverride],
) -> Vec<PriceRule> {
    let mut rules = Vec::new();
    for (index, raw) in overrides.iter().enumerate() {
        rules.extend(rule(compiler, &child(pointer, &index.to_string()), raw));
    }
    rules
}

fn rule(compiler: &mut Compiler<'_>, pointer: &str, raw: &raw::PricingOverride) -> Option<PriceRule> {
    let pattern = pattern(compiler, pointer, raw);
    let mut costs = Costs::default();
    for (name, value) in &raw.costs {
        costs.add(compiler, &child(pointer, name), name, value);
    }
    let Some(price) = costs.price() else {
        compiler.problem(pointer, At::Value, "an override needs a price, such as input_cost_per_token");
        return None;
    };
    let kind = |kind: &String| Box::from(kind.strip_suffix("_stream").unwrap_or(kind));
    Some(PriceRule { pattern: pattern?, requests: raw.request_types.iter().map(kind).collect(), price })
}

fn pattern(compiler: &mut Compiler<'_>, pointer: &str, raw: &raw::PricingOverride) -> Option<ModelPattern> {
    let (text, at) = (raw.model_pattern.as_str(), child(pointer, "model_pattern"));
    if text.is_empty() {
        compiler.problem(pointer, At::Value, "the field \"model_pattern\" is missing or empty");
        return None;
    }
    match raw.match_type {
        raw::MatchType::Exact => Some(ModelPattern::Exact(text.into())),
        raw::MatchType::Wildcard => Some(ModelPattern::wildcard(text)),
        raw::MatchType::Regex => match Regex::new(text) {
            Ok(regex) => Some(ModelPattern::Regex(regex)),
            Err(error) => {
                let reason = error.to_string();
                let reason = reason.lines().last().unwrap_or_default().trim_start_matches("error: ");
                compiler.problem(&at, At::Value, format!("no regular expression: {reason}"));
                None
            }
        },
    }
}

/// Prices as they are found.
#[derive(Default)]
struct Costs {
    rates: Vec<Rate>,
    uplifts: Vec<(govern::price::Uplift, u32)>,
    /// One of them was a problem.
    broken: bool,
}

impl Costs {
    fn add(&mut self, compiler: &mut Compiler<'_>, pointer: &str, name: &str, value: &Value) {
        if let ("search_context_cost_per_query", Some(sizes)) = (name, value.as_object()) {
            sizes.iter().for_each(|(name, value)| self.add(compiler, &child(pointer, name), name, value));
            return;
        }
        let text = amount(value);
        let read = match field(name) {
            Some(Field::Rate(class, service, above)) => text
                .and_then(|text| femtos(&text))
                .map(|femtos| self.rates.push(Rate { class, service, above, femtos })),
            Some(Field::Uplift(uplift)) => {
                text.and_then(|text| millionths(&text)).map(|factor| self.uplifts.push((uplift, factor)))
            }
            None => return self.unknown(compiler, pointer, name),
        };
        if read.is_none() {
            self.broken = true;
            let message = "expected dollars for one, as a number from 0 to 18446 or as decimal text";
            compiler.problem(pointer, At::Value, message);
        }
    }

    fn unknown(&mut self, compiler: &mut Compiler<'_>, pointer: &str, name: &str) {
        self.broken = true;
        let problem = compiler.document.problem(pointer, At::Name, "no price of this name is known");
        let advice = match did_you_mean(name, COMMON) {
            Some(near) => format!("did you mean {near:?}?"),
            None => format!("prices are named as in LiteLLM's table, such as {}", COMMON.join(", ")),
        };
        compiler.push(pointer, problem.suggest(advice));
    }

    /// `None` without any; a broken one is a problem already, and is never used.
    fn price(self) -> Option<Price> {
        let placeholder = Rate { class: Class::Input, service: Service::Standard, above: 0, femtos: 0 };
        let extra = (self.broken && self.rates.is_empty()).then_some(placeholder);
        let price = Price::new(self.rates.into_iter().chain(extra))?;
        Some(self.uplifts.into_iter().fold(price, |price, (uplift, factor)| price.uplifted(uplift, factor)))
    }
}

/// The decimal text of a number or a text. A number has been a float for a moment; its shortest spelling is
/// what was written, up to fifteen digits.
fn amount(value: &Value) -> Option<String> {
    match value {
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text.trim().to_owned()),
        _ => None,
    }
}

const SECTION: &str = "/framework/pricing";

/// `framework.pricing`. A file is read here, so that what is wrong with it is known before it counts.
pub(super) fn compile(compiler: &mut Compiler<'_>, raw: Option<&raw::Framework>) -> Pricing {
    let Some(raw) = raw.map(|framework| &framework.pricing) else { return Pricing::default() };
    let source = raw.pricing_url.as_deref().and_then(|text| source(compiler, text));
    let table = match &source {
        Some(TableSource::File(path)) => table(compiler, path),
        _ => None,
    };
    Pricing {
        source,
        interval: Duration::from_secs(raw.pricing_sync_interval),
        table: table.map(Arc::new),
        unpriced: unpriced(compiler, &raw.unpriced),
    }
}

fn source(compiler: &mut Compiler<'_>, text: &str) -> Option<TableSource> {
    let at = child(SECTION, "pricing_url");
    if text.is_empty() {
        return None;
    }
    let url = match Url::parse(text) {
        Ok(url) => url,
        Err(_) if !text.contains("://") => {
            return Some(TableSource::File(compiler.document.directory.join(text)));
        }
        Err(error) => {
            compiler.problem(&at, At::Value, format!("no URL: {error}"));
            return None;
        }
    };
    match (url.scheme(), url.to_file_path()) {
        ("http" | "https", _) if url.has_host() => Some(TableSource::Url(text.into())),
        ("file", Ok(path)) => Some(TableSource::File(path)),
        _ => {
            compiler.problem(&at, At::Value, "expected an http, https or file URL, or a path");
            None
        }
    }
}

fn table(compiler: &mut Compiler<'_>, path: &PathBuf) -> Option<Catalog<'static>> {
    let read = std::fs::read(path).map_err(|error| format!("{} cannot be read: {error}", path.display()));
    let parsed = read.and_then(|text| {
        let parsed = catalog::embedded().parse_table(&text);
        parsed.map_err(|error| format!("{}: {error}", path.display()))
    });
    match parsed {
        Ok(table) => Some(table),
        Err(message) => {
            compiler.problem(&child(SECTION, "pricing_url"), At::Value, message);
            None
        }
    }
}

fn unpriced(compiler: &mut Compiler<'_>, raw: &raw::Unpriced) -> Unpriced {
    let section = child(SECTION, "unpriced");
    let ceiling = raw.ceiling_per_million_tokens.as_ref();
    match (raw.policy, ceiling) {
        (raw::UnpricedPolicy::Allow, _) => Unpriced::Allow,
        (raw::UnpricedPolicy::Deny, _) => Unpriced::Deny,
        (raw::UnpricedPolicy::Ceiling, Some(value)) => {
            let per_token = amount(value).and_then(|text| femtos(&per_million(&text)));
            let price = per_token.and_then(|femtos| {
                let rate = |class| Rate { class, service: Service::Standard, above: 0, femtos };
                Price::new([rate(Class::Input), rate(Class::Output)])
            });
            if price.is_none() {
                compiler.problem(
                    &child(&section, "ceiling_per_million_tokens"),
                    At::Value,
                    "expected dollars per million tokens, 0 or more",
                );
            }
            price.map_or(Unpriced::Deny, Unpriced::Ceiling)
        }
        (raw::UnpricedPolicy::Ceiling, None) => {
            let message = "the policy \"ceiling\" needs ceiling_per_million_tokens";
            compiler.problem(&section, At::Value, message);
            Unpriced::Deny
        }
    }
}

/// The decimal text divided by a million, as text.
fn per_million(text: &str) -> String {
    match text.split_once(['e', 'E']) {
        Some((number, exponent)) => {
            format!("{number}e{}", exponent.parse::<i32>().map_or(i32::MIN, |exponent| exponent - 6))
        }
        None => format!("{text}e-6"),
    }
}
