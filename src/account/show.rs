//! `bifrost prices`: what a model costs with a configuration, and where the price is from.

use std::fmt::Write;

use govern::catalog;
use govern::price::{Class, Price, Rate, write_femtos};

use super::prices::{Prices, Quote, Served};
use crate::config::prices::{TableSource, Unpriced};
use crate::config::snapshot::{Provider, Snapshot};

/// All that is known of `model` (a name, or `provider/name`) at the providers of `snapshot`; without a model
/// one line for each model that has a price. Empty: nobody knows it.
#[must_use]
pub fn text(snapshot: &Snapshot, prices: &Prices, model: Option<&str>) -> String {
    let mut out = String::new();
    for provider in &snapshot.providers {
        match model {
            Some(model) => one(&mut out, snapshot, prices, (provider, named(provider, model))),
            None => all(&mut out, snapshot, prices, provider),
        }
    }
    out
}

/// Where the prices are from, and what becomes of models without one.
#[must_use]
pub fn origin(snapshot: &Snapshot) -> String {
    let shipped = catalog::embedded().origin();
    let mut out =
        format!("shipped table: {} ({}, {})\n", shipped.version, shipped.license, shipped.generated);
    if let Some(source) = &snapshot.pricing.source {
        let when = match source {
            TableSource::File(_) => "read now",
            TableSource::Url(_) => "read by the running gateway, not by this command",
        };
        let _ = writeln!(out, "configured table: {source} ({when})");
    }
    let unpriced = match &snapshot.pricing.unpriced {
        Unpriced::Allow => "asked, at unknown cost",
        Unpriced::Deny => "denied",
        Unpriced::Ceiling(_) => "asked, and counted at the ceiling",
    };
    let _ = writeln!(out, "models without a price: {unpriced}");
    out
}

fn named<'m>(provider: &Provider, model: &'m str) -> Option<&'m str> {
    match model.split_once('/') {
        Some((name, rest)) if name == &*provider.name => Some(rest),
        // The slash may be part of the model's own name.
        _ => Some(model),
    }
}

fn one(out: &mut String, snapshot: &Snapshot, prices: &Prices, asked: (&Provider, Option<&str>)) {
    let (provider, Some(model)) = asked else { return };
    let mut shown: Vec<Quote> = Vec::new();
    for key in &provider.keys {
        let served = Served { provider, key, model, request: "chat_completion" };
        let Some(quote) = prices.quote(&served, snapshot).filter(|quote| quote.source.is_known()) else {
            continue;
        };
        if shown.contains(&quote) {
            continue;
        }
        let whose = if key.prices.is_empty() { String::new() } else { format!(", key {:?}", key.name) };
        let _ = writeln!(out, "{}/{model}{whose} (from: {})", provider.name, quote.source.name());
        details(out, &quote.price);
        shown.push(quote);
    }
}

fn all(out: &mut String, snapshot: &Snapshot, prices: &Prices, provider: &Provider) {
    let Some(key) = provider.keys.first() else { return };
    for model in catalog::embedded().models(provider.spec.name) {
        let served = Served { provider, key, model: &model.name, request: "chat_completion" };
        let Some(quote) = prices.quote(&served, snapshot) else { continue };
        let unit = |class| quote.price.rates().iter().find(|rate| is_plain(rate, class));
        let _ = write!(out, "{}/{}", provider.name, model.name);
        for (word, class) in [("input", Class::Input), ("output", Class::Output)] {
            if let Some(rate) = unit(class) {
                let _ = write!(out, "  {word} {}", dollars(rate));
            }
        }
        let _ = writeln!(out, "  (from: {})", quote.source.name());
    }
}

fn is_plain(rate: &Rate, class: Class) -> bool {
    rate.class == class && rate.service.name() == "standard" && rate.above == 0
}

fn details(out: &mut String, price: &Price) {
    let mut rates = price.rates().to_vec();
    rates.sort_by_key(|rate| (rate.class, rate.service as u8, rate.above));
    for rate in &rates {
        let mut name = rate.class.name().to_owned();
        if rate.service.name() != "standard" {
            let _ = write!(name, ", {}", rate.service.name());
        }
        if rate.above > 0 {
            let _ = write!(name, ", above {} input tokens", rate.above);
        }
        let _ = writeln!(out, "  {name}: {}", dollars(rate));
    }
    for (uplift, factor) in price.uplifts() {
        let _ = writeln!(
            out,
            "  {}: all tokens × {}.{:06}",
            uplift.name(),
            factor / 1_000_000,
            factor % 1_000_000
        );
    }
}

/// Per million where tokens are billed, else for one.
fn dollars(rate: &Rate) -> String {
    let tokens = rate.class.is_tokens();
    let times = if tokens { 1_000_000 } else { 1 };
    let mut text = "$".to_owned();
    let _ = write_femtos(u128::from(rate.femtos) * times, &mut text);
    text.push_str(if tokens { "/M" } else { " each" });
    text
}
