//! Secrets in texts that are kept: taken out before they are.
//!
//! Two kinds: what is configured here as a secret, word for word, and what looks like one, by the shapes that vendors give
//! their keys. Run where records are kept, not where requests are served: a body is searched as a whole.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use regex::bytes::{Captures, Regex, RegexBuilder};

use crate::config::ConfigHolder;
use crate::config::snapshot::Secret;

/// What stands where a secret was.
pub const MARK: &str = "[redacted]";

/// Shorter configured secrets are words of a language: taking them out would destroy texts.
const SHORTEST: usize = 8;
/// Bytes that the compiled secrets of a configuration may take.
const LARGEST: usize = 64 * 1024 * 1024;

/// Takes secrets out of texts.
#[derive(Debug, Default)]
pub struct Redactor {
    configured: Option<Regex>,
}

/// The redactor of the configuration in force.
#[derive(Debug)]
pub struct Redactors {
    config: Arc<ConfigHolder>,
    /// With the version of the configuration that it is of.
    latest: Mutex<Option<(u64, Arc<Redactor>)>>,
}

impl Redactors {
    #[must_use]
    pub fn new(config: Arc<ConfigHolder>) -> Self {
        Self { config, latest: Mutex::new(None) }
    }

    /// Made anew after a reload, by the first who asks.
    #[must_use]
    pub fn current(&self) -> Arc<Redactor> {
        let snapshot = self.config.load_full();
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((version, redactor)) = latest.as_ref()
            && *version == snapshot.version
        {
            return Arc::clone(redactor);
        }
        let redactor = Arc::new(Redactor::of(snapshot.secrets.iter().map(Secret::expose)));
        *latest = Some((snapshot.version, Arc::clone(&redactor)));
        redactor
    }
}

impl Redactor {
    /// Knows these secrets, beside the shapes of all.
    #[must_use]
    pub fn of<'s>(secrets: impl Iterator<Item = &'s str>) -> Self {
        let mut secrets: Vec<&str> = secrets.filter(|secret| secret.len() >= SHORTEST).collect();
        // Of two that begin alike the longer one is meant.
        secrets.sort_unstable_by_key(|secret| (std::cmp::Reverse(secret.len()), *secret));
        secrets.dedup();
        if secrets.is_empty() {
            return Self::default();
        }
        let pattern: Vec<String> = secrets.iter().flat_map(|secret| spellings(secret)).collect();
        let made = RegexBuilder::new(&pattern.join("|")).unicode(false).size_limit(LARGEST).build();
        if let Err(error) = &made {
            log::error!("configured secrets are not looked for in what is kept: {error}");
        }
        Self { configured: made.ok() }
    }

    /// The text without secrets.
    #[must_use]
    pub fn bytes<'t>(&self, text: &'t [u8]) -> Cow<'t, [u8]> {
        let text = match &self.configured {
            Some(configured) => configured.replace_all(text, MARK.as_bytes()),
            None => Cow::Borrowed(text),
        };
        match text {
            Cow::Borrowed(text) => shapeless(text),
            Cow::Owned(text) => match shapeless(&text) {
                Cow::Owned(less) => Cow::Owned(less),
                Cow::Borrowed(_) => Cow::Owned(text),
            },
        }
    }

    /// The same of a text that is one.
    #[must_use]
    pub fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        as_text(text, self.bytes(text.as_bytes()))
    }
}

/// A short text without what looks like a secret.
#[must_use]
pub fn told(text: &str) -> Cow<'_, str> {
    // Shorter than any secret.
    if text.len() < 16 { Cow::Borrowed(text) } else { as_text(text, shapeless(text.as_bytes())) }
}

/// A header of this name proves who asks.
#[must_use]
pub fn names_a_credential(name: &str) -> bool {
    const NAMES: [&str; 11] = [
        "authorization",
        "proxy-authorization",
        "cookie",
        "set-cookie",
        "api-key",
        "apikey",
        "x-key",
        "x-bf-vk",
        "password",
        "secret",
        "token",
    ];
    const ENDS: [&str; 6] = ["-api-key", "-apikey", "-secret", "-password", "-token", "-authorization"];
    let lower = name.to_ascii_lowercase().replace('_', "-");
    NAMES.contains(&&*lower) || ENDS.iter().any(|end| lower.ends_with(end))
}

/// As it is, and as it stands in a JSON text.
fn spellings(secret: &str) -> impl Iterator<Item = String> {
    let json = serde_json::to_string(secret).unwrap_or_default();
    let json = json.trim_matches('"').to_owned();
    let escaped = (json != secret).then(|| regex::escape(&json));
    std::iter::once(regex::escape(secret)).chain(escaped)
}

/// Shapes of secrets, with what stands before them and is none: in a JSON text a line ends in a letter (`\n`). Digits tell a
/// key from a word with hyphens.
const SHAPES: &str = concat!(
    r"(?P<lead>\\[nrtbf]|\b)(?P<key>(?:sk-bf-[A-Za-z0-9_\-]{8,}|c?sk-[A-Za-z0-9_\-]{20,}|AIza[A-Za-z0-9_\-]{35}|ya29\.[A-Za-z0-9_\-]{20,}",
    r"|(?:gsk|hf|r8|fw|nvapi|pplx|xai|glpat|github_pat|gh[pousr])[_\-][A-Za-z0-9_\-]{20,}",
    r"|(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{16,}|xox[abeposr]-[A-Za-z0-9\-]{10,}",
    r"|(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}\b|ABSK[A-Za-z0-9+/=]{60,}",
    r"|eyJ[A-Za-z0-9_\-]{8,}\.eyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]{8,}))",
    r"|(?P<before>(?:\\[nrtbf]|\b)(?i:bearer)[ +]{1,2})(?P<bearer>[A-Za-z0-9._~+/=\-]{16,})",
    r#"|(?P<named>(?i:secret_?access_?key|session_?token|aws_?secret_?key|proxy-authorization|authorization|x-api-key)\\?["']?[ ]{0,4}[:=][ ]{0,4}\\?["']?(?i:(?:basic|bearer|token)[ ])?)(?P<value>[A-Za-z0-9._~+/=\-]{16,})"#,
    r#"|(?P<user>:(?://|\\/\\/)[^\s:/?\#@"'\\<>]{0,64}:)(?P<password>[^\s/@"'\\<>]{1,256})@"#,
    r"|(?P<pem>-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----(?s:.*?)(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|\z))",
);

static SHAPED: LazyLock<Option<Regex>> =
    LazyLock::new(|| RegexBuilder::new(SHAPES).unicode(false).size_limit(LARGEST).build().ok());

fn shapeless(text: &[u8]) -> Cow<'_, [u8]> {
    let Some(shapes) = SHAPED.as_ref() else { return Cow::Borrowed(text) };
    if !shapes.is_match(text) {
        return Cow::Borrowed(text);
    }
    shapes.replace_all(text, |found: &Captures<'_>| without(found))
}

/// What stands instead of what was found: itself, where it is no secret after all.
fn without(found: &Captures<'_>) -> Vec<u8> {
    let part = |name: &str| found.name(name).map(|part| part.as_bytes());
    let whole = found.get(0).map(|whole| whole.as_bytes()).unwrap_or_default();
    for (before, secret, after) in
        [("before", "bearer", ""), ("named", "value", ""), ("user", "password", "@")]
    {
        if let (Some(before), Some(secret)) = (part(before), part(secret)) {
            if after.is_empty() && !has_digit(secret) {
                return whole.to_vec();
            }
            return [before, MARK.as_bytes(), after.as_bytes()].concat();
        }
    }
    match part("key") {
        Some(key) if !has_digit(key) => whole.to_vec(),
        _ => [part("lead").unwrap_or_default(), MARK.as_bytes()].concat(),
    }
}

fn has_digit(text: &[u8]) -> bool {
    text.iter().any(u8::is_ascii_digit)
}

fn as_text<'t>(text: &'t str, less: Cow<'t, [u8]>) -> Cow<'t, str> {
    match less {
        Cow::Borrowed(_) => Cow::Borrowed(text),
        // Secrets are ASCII, or whole characters: what is left is text.
        Cow::Owned(less) => Cow::Owned(String::from_utf8_lossy(&less).into_owned()),
    }
}

#[cfg(test)]
mod tests;
