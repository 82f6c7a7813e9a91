//! What the configuration says of prices, compiled: which replace a table's, where a table is, and what
//! becomes of models without any.
//!
//! Nothing is looked up here: `account` does that.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use govern::catalog::Catalog;
use govern::price::Price;
use regex::Regex;

/// One entry of `pricing_overrides`.
#[derive(Debug, Clone)]
pub struct PriceRule {
    pub pattern: ModelPattern,
    /// Kinds of request, without `_stream`; empty: all.
    pub requests: Vec<Box<str>>,
    pub price: Price,
}

/// Which models a rule is for.
#[derive(Debug, Clone)]
pub enum ModelPattern {
    Exact(Box<str>),
    /// The texts between the stars.
    Wildcard(Vec<Box<str>>),
    Regex(Regex),
}

/// `framework.pricing`.
#[derive(Debug, Clone, Default)]
pub struct Pricing {
    pub source: Option<TableSource>,
    /// Between two reads of the source.
    pub interval: Duration,
    /// The table of a file, as it was when the configuration was read.
    pub table: Option<Arc<Catalog<'static>>>,
    pub unpriced: Unpriced,
}

/// Where a table is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TableSource {
    File(PathBuf),
    /// `http` or `https`.
    Url(Arc<str>),
}

/// What becomes of models without a price.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Unpriced {
    #[default]
    Allow,
    Deny,
    /// Their tokens count as this.
    Ceiling(Price),
}

impl PriceRule {
    /// This rule is for `model` asked as `request` (a request type, with or without `_stream`).
    #[must_use]
    pub fn is_for(&self, model: &str, request: &str) -> bool {
        let request = request.strip_suffix("_stream").unwrap_or(request);
        let asked = self.requests.is_empty() || self.requests.iter().any(|kind| &**kind == request);
        asked && self.pattern.fits(model)
    }
}

impl ModelPattern {
    /// `*` stands for any characters.
    #[must_use]
    pub fn wildcard(pattern: &str) -> Self {
        Self::Wildcard(pattern.split('*').map(Box::from).collect())
    }

    #[must_use]
    pub fn fits(&self, model: &str) -> bool {
        match self {
            Self::Exact(name) => &**name == model,
            Self::Regex(regex) => regex.is_match(model),
            Self::Wildcard(parts) => fits(parts, model),
        }
    }
}

/// The first part stands at the beginning, the last at the end, those between where they come first.
fn fits(parts: &[Box<str>], text: &str) -> bool {
    let [first, rest @ ..] = parts else { return text.is_empty() };
    let Some(mut text) = text.strip_prefix(&**first) else { return false };
    let [between @ .., last] = rest else { return text.is_empty() };
    for part in between {
        let Some((_, behind)) = text.split_once(&**part) else { return false };
        text = behind;
    }
    text.ends_with(&**last)
}

impl std::fmt::Display for TableSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            // A query may hold a credential.
            Self::Url(url) => f.write_str(url.split('?').next().unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_characters() {
        for (pattern, yes, no) in [
            ("gpt-4o", vec!["gpt-4o"], vec!["gpt-4o-mini", "", "my-gpt-4o"]),
            ("gpt-4o*", vec!["gpt-4o", "gpt-4o-mini"], vec!["gpt-4", "x-gpt-4o"]),
            ("*-mini", vec!["gpt-mini", "-mini"], vec!["gpt-mini-2", "mini"]),
            ("a*b*c", vec!["abc", "aXbYc", "abbc", "abcbc"], vec!["acb", "ab", "ac"]),
            ("*", vec!["", "anything"], vec![]),
            ("**", vec!["", "anything"], vec![]),
            ("a*a", vec!["aa", "aba"], vec!["a"]),
        ] {
            let pattern_of = ModelPattern::wildcard(pattern);
            yes.iter().for_each(|name| assert!(pattern_of.fits(name), "{pattern} {name}"));
            no.iter().for_each(|name| assert!(!pattern_of.fits(name), "{pattern} {name}"));
        }
    }

    #[test]
    fn what_is_shown_of_a_source_is_no_secret() {
        assert_eq!(TableSource::Url("https://h/p.json?token=x".into()).to_string(), "https://h/p.json");
    }
}
