//! Metrics pushed to a push gateway, for where nobody can scrape.
//!
//! Each push replaces what was there for this job and instance. Trouble is counted, and said once until it is another one;
//! nothing waits for a push, and the next one comes at its time.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{Request, header};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::config::ConfigHolder;
use crate::config::telemetry::Push;
use crate::egress::http::Client;
use crate::telemetry::events::{Event, emit};
use crate::telemetry::metrics::{Pushes, exposition};

/// Writes all metrics down, in the text format.
pub type Render = Box<dyn Fn() -> Vec<u8> + Send + Sync>;

/// Pushes as the configuration says, as long as the process lives.
pub async fn run(config: Arc<ConfigHolder>, metrics: Pushes, render: Render) {
    let mut pusher = Pusher { metrics, render, client: None, trouble: None };
    let mut versions = config.versions();
    loop {
        let Some(push) = config.load_full().push.clone() else {
            pusher.trouble = None;
            if versions.changed().await.is_err() {
                return;
            }
            continue;
        };
        pusher.serve(&push, &config, &mut versions).await;
    }
}

struct Pusher {
    metrics: Pushes,
    render: Render,
    /// Made by the first push: it reads the system's certificates.
    client: Option<Client>,
    /// What was said last.
    trouble: Option<String>,
}

impl Pusher {
    /// Pushes until the configuration says something else.
    async fn serve(&mut self, push: &Push, config: &ConfigHolder, versions: &mut watch::Receiver<u64>) {
        let mut next = Instant::now() + push.interval;
        loop {
            tokio::select! {
                () = sleep_until(next) => {
                    self.push(push).await;
                    // Not the more often after it took long.
                    next = (next + push.interval).max(Instant::now() + Duration::from_millis(100));
                }
                changed = versions.changed() => {
                    if changed.is_err() || config.load_full().push.as_ref() != Some(push) {
                        return;
                    }
                }
            }
        }
    }

    async fn push(&mut self, push: &Push) {
        let result = match self.sent(push).await {
            Ok(()) => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                self.metrics.last.set(now.as_secs_f64());
                if self.trouble.take().is_some() {
                    emit(Event::PushBack {});
                }
                "success"
            }
            Err(trouble) => {
                if self.trouble.as_ref() != Some(&trouble) {
                    emit(Event::PushLost { why: &trouble.to_string() });
                    self.trouble = Some(trouble);
                }
                "failure"
            }
        };
        self.metrics.total.with_label_values(&[result]).inc();
    }

    async fn sent(&mut self, push: &Push) -> Result<(), String> {
        let client = match &self.client {
            Some(client) => client,
            None => self.client.insert(Client::new(&[]).map_err(|error| error.to_string())?),
        };
        let mut request = Request::put(push.url.as_str())
            .header(header::CONTENT_TYPE, exposition::Format::Text.content_type())
            .header(header::USER_AGENT, concat!("bifrost/", env!("CARGO_PKG_VERSION")));
        if let Some(authorization) = &push.authorization {
            request = request.header(header::AUTHORIZATION, authorization.expose());
        }
        let request = request.body(Bytes::from((self.render)())).map_err(|error| error.to_string())?;
        let (head, body) = client.ask(request).await.map_err(|error| error.to_string())?;
        if head.status.is_success() {
            return Ok(());
        }
        let said: String = String::from_utf8_lossy(&body).chars().take(200).collect();
        Err(format!("status {}: {}", head.status.as_u16(), said.trim()))
    }
}
