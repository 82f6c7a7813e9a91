//! Reads the configured price table again and again, on a thread of its own.
//!
//! Nothing waits for it. A table that cannot be had or is wrong changes nothing: the last good one stays,
//! and the reason is logged once, until it is another one. Without `pricing_url` nothing is fetched.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use govern::catalog::{self, Catalog};
use http::{Request, StatusCode, header};
use tokio::time::timeout;

use super::prices::{Fresh, Prices};
use crate::config::ConfigHolder;
use crate::config::prices::{Pricing, TableSource};
use crate::egress::http::{Client, read_limited};

/// How often the configuration is looked at for another source.
const LOOK: Duration = Duration::from_secs(2);
/// After a failed read, at most.
const AGAIN: Duration = Duration::from_secs(60);
/// LiteLLM's table has three megabytes.
const LARGEST: u64 = 64 * 1024 * 1024;
const WITHIN: Duration = Duration::from_secs(60);

/// The prices, and a thread that reads the shipped table and refreshes the configured one; it lives as long as the
/// process.
#[must_use]
pub fn start(config: &Arc<ConfigHolder>) -> Arc<Prices> {
    let prices = Arc::new(Prices::default());
    let (config, refreshed) = (Arc::clone(config), Arc::clone(&prices));
    let run = move || {
        // Here, so that neither the start nor the first request waits for it.
        let _ = catalog::embedded();
        match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime.block_on(watch(&config, &refreshed)),
            Err(error) => log::error!("prices are not refreshed: {error}"),
        }
    };
    if let Err(error) = std::thread::Builder::new().name("prices".to_owned()).spawn(run) {
        log::error!("prices are not refreshed: {error}");
    }
    prices
}

async fn watch(config: &ConfigHolder, prices: &Prices) {
    let mut last = Last::default();
    loop {
        let pricing = config.load_full().pricing.clone();
        last.step(&pricing, prices).await;
        tokio::time::sleep(LOOK).await;
    }
}

/// What was read last.
#[derive(Default)]
struct Last {
    source: Option<TableSource>,
    due: Option<Instant>,
    complaint: Option<String>,
}

impl Last {
    async fn step(&mut self, pricing: &Pricing, prices: &Prices) {
        if self.source != pricing.source {
            let due = match pricing.source {
                // The configuration brought it along.
                Some(TableSource::File(_)) if pricing.table.is_some() => Instant::now() + pricing.interval,
                _ => Instant::now(),
            };
            *self = Self { source: pricing.source.clone(), due: Some(due), complaint: None };
        }
        let Some(source) = self.source.clone().filter(|_| self.due.is_some_and(|due| due <= Instant::now()))
        else {
            return;
        };
        let read = read(&source).await;
        let wait = if read.is_ok() { pricing.interval } else { pricing.interval.min(AGAIN) };
        self.due = Some(Instant::now() + wait);
        match read {
            Ok(catalog) => {
                log::info!("prices of {} models read from {source}", catalog.len());
                prices.take(Fresh { source, catalog: Arc::new(catalog) });
                self.complaint = None;
            }
            Err(reason) => {
                if self.complaint.as_ref() != Some(&reason) {
                    log::warn!("prices could not be read from {source}: {reason}; the last good ones stay");
                }
                self.complaint = Some(reason);
            }
        }
    }
}

/// The table of a source.
///
/// # Errors
/// Why there is none, for a person.
pub async fn read(source: &TableSource) -> Result<Catalog<'static>, String> {
    let text = match source {
        TableSource::File(path) => file(path).await?,
        TableSource::Url(url) => fetch(url).await?,
    };
    catalog::embedded().parse_table(&text).map_err(|error| error.to_string())
}

async fn file(path: &Path) -> Result<Bytes, String> {
    tokio::fs::read(path).await.map(Bytes::from).map_err(|error| error.to_string())
}

async fn fetch(url: &str) -> Result<Bytes, String> {
    let client = Client::new(&[]).map_err(|error| error.to_string())?;
    let request = Request::get(url)
        .header(header::ACCEPT, "application/json")
        .header(header::USER_AGENT, concat!("bifrost/", env!("CARGO_PKG_VERSION")))
        .body(Bytes::new())
        .map_err(|error| error.to_string())?;
    let asked = async {
        // An address of one's own network is where a mirror stands: the operator named it.
        let answer = client.send(request, |_| true).await.map_err(|error| error.to_string())?;
        match answer.status() {
            StatusCode::OK => {
                read_limited(answer.into_body(), LARGEST).await.map_err(|error| error.to_string())
            }
            status => Err(format!("the server answered with status {status}")),
        }
    };
    timeout(WITHIN, asked).await.map_err(|_| format!("no answer within {WITHIN:?}"))?
}
