//! What is kept of requests: their contents, and the headers they are found by.

use http::HeaderName;

use super::Compiler;
use crate::config::document::At;
use crate::config::problem::child;
use crate::config::raw;
use crate::config::snapshot::Logging;
use crate::telemetry::redact;

pub(super) fn compile(compiler: &mut Compiler<'_>, raw: &raw::Client) -> Logging {
    let kilobytes = usize::try_from(raw.max_logged_body_kb).unwrap_or(usize::MAX);
    Logging {
        // Kept by those who say so in as many words: contents are what callers wrote in confidence.
        content: raw.disable_content_logging == Some(false),
        most_content: kilobytes.saturating_mul(1024),
        headers: headers(compiler, &raw.logging_headers),
    }
}

fn headers(compiler: &mut Compiler<'_>, raw: &[String]) -> Vec<HeaderName> {
    let mut names = Vec::with_capacity(raw.len());
    for (index, text) in raw.iter().enumerate() {
        let pointer = child("/client/logging_headers", &index.to_string());
        match HeaderName::from_bytes(text.trim().as_bytes()) {
            Ok(name) if names.contains(&name) => {}
            Ok(name) if redact::names_a_credential(name.as_str()) => {
                let message = format!("{name} proves who asks: it is never kept");
                compiler.warn(&pointer, message);
            }
            Ok(name) => names.push(name),
            Err(_) => compiler.problem(&pointer, At::Value, format!("{text:?} is no name of a header")),
        }
    }
    names
}
