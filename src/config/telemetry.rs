//! What the configuration says of metrics, compiled: labels of callers' own, the push gateway.

use std::time::Duration;

use http::{HeaderMap, HeaderName};
use url::Url;

use super::snapshot::Secret;

/// A label of the callers' metrics whose value the caller sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    pub name: Box<str>,
    /// Where its value is looked for, in this order.
    pub headers: Vec<HeaderName>,
}

impl Label {
    /// Prefixes of the headers that carry values.
    const PREFIXES: [&str; 2] = ["x-bf-prom-", "x-bf-dim-"];

    /// A label of that name; `None` where no header can be called so.
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
        let mut headers: Vec<HeaderName> = Vec::new();
        for prefix in Self::PREFIXES {
            // Proxies drop headers with underscores.
            for spelled in [name.to_owned(), name.replace('_', "-")] {
                let header = HeaderName::from_bytes(format!("{prefix}{spelled}").as_bytes()).ok()?;
                if !headers.contains(&header) {
                    headers.push(header);
                }
            }
        }
        Some(Self { name: name.into(), headers })
    }

    /// What the caller sent for it; empty when that was nothing that can be read.
    #[must_use]
    pub fn sent<'h>(&self, headers: &'h HeaderMap) -> &'h str {
        let sent = self.headers.iter().find_map(|name| headers.get(name));
        sent.and_then(|value| value.to_str().ok()).map(str::trim).unwrap_or_default()
    }
}

/// A push gateway, and how it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    /// Where this gateway's metrics are put: address, job and instance.
    pub url: Url,
    pub interval: Duration,
    /// `Authorization: Basic …`, ready to be sent.
    pub authorization: Option<Secret>,
}
