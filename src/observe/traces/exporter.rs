//! One collector: its queue, its batches, its tries.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::attributes::Attributes;
use super::grpc::Grpc;
use super::http::Http;
use super::span::{self, View};
use super::trouble::{Rejected, Trouble};
use super::{Counts, Exporters};
use crate::config::ConfigHolder;
use crate::config::traces::{Collector, Transport};
use crate::telemetry::events::{Event, emit};
use crate::telemetry::record::Record;
use crate::telemetry::redact::Redactors;

/// Requests that may wait for one collector.
const WAITING: usize = 4_096;
/// Bytes of their content.
const WAITING_BYTES: u64 = 32 * 1024 * 1024;
/// Spans of one export, and their bytes: collectors take about four megabytes at once.
const SPANS: usize = 512;
const BYTES: usize = 2 * 1024 * 1024;
/// The longest a request waits for others to be sent with it.
const DELAY: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(50);
/// Of one export.
const TRIES: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// What is in force.
pub struct Current {
    pub config: Arc<ConfigHolder>,
    pub redactors: Arc<Redactors>,
}

/// The near side of a collector. Its task ends when this is dropped and all that waits has had its tries.
pub struct Exporter {
    pub collector: Arc<Collector>,
    pub counts: Arc<Counts>,
    queue: Sender<Arc<Record>>,
}

impl Exporter {
    #[must_use]
    pub fn start(
        collector: &Arc<Collector>,
        (current, exporters): (Current, &Arc<Exporters>),
        runtime: &Handle,
    ) -> Self {
        let (queue, waiting) = channel(WAITING);
        let counts = Arc::new(Counts { collector: Arc::clone(&collector.name), ..Counts::default() });
        let task = Task {
            collector: Arc::clone(collector),
            counts: Arc::clone(&counts),
            exporters: Arc::clone(exporters),
            current,
            waiting,
            wire: None,
        };
        runtime.spawn(task.run());
        Self { collector: Arc::clone(collector), counts, queue }
    }

    /// Takes a request, unless too much waits. Never waits itself.
    pub fn offer(&self, record: &Arc<Record>) {
        let bytes = content_bytes(record);
        let before = self.counts.waiting_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.counts.waiting.fetch_add(1, Ordering::Relaxed);
        let full = before.saturating_add(bytes) > WAITING_BYTES && bytes > 0;
        if full || self.queue.try_send(Arc::clone(record)).is_err() {
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
            self.counts.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
            self.counts.waiting.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// Bytes that a waiting request keeps in memory beside its own.
fn content_bytes(record: &Record) -> u64 {
    let size = record.content.as_ref().map_or(0, |content| content.size());
    u64::try_from(size).unwrap_or(u64::MAX)
}

/// The far side: on the runtime of traces.
struct Task {
    collector: Arc<Collector>,
    counts: Arc<Counts>,
    exporters: Arc<Exporters>,
    current: Current,
    waiting: Receiver<Arc<Record>>,
    /// Made with the first export.
    wire: Option<Wire>,
}

enum Wire {
    Http(Http),
    Grpc(Box<Grpc>),
}

/// Spans that go together.
#[derive(Default)]
struct Batch {
    spans: Vec<Span>,
    bytes: usize,
    requests: u64,
    content_bytes: u64,
}

impl Task {
    async fn run(mut self) {
        while let Some(first) = self.waiting.recv().await {
            let batch = self.gather(&first).await;
            let (requests, bytes) = (batch.requests, batch.content_bytes);
            self.deliver(batch.spans).await;
            self.counts.waiting.fetch_sub(requests, Ordering::Relaxed);
            self.counts.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
    }

    /// What comes until there is enough, or the first has waited long enough.
    async fn gather(&mut self, first: &Record) -> Batch {
        let (snapshot, redactor) = (self.current.config.load_full(), self.current.redactors.current());
        let collector = Arc::clone(&self.collector);
        let view = View { collector: &collector, snapshot: &snapshot, redactor: &redactor };
        let mut batch = Batch::default();
        batch.add(first, &view);
        let until = Instant::now() + DELAY;
        while batch.spans.len() < SPANS && batch.bytes < BYTES && Instant::now() < until {
            let look = if self.exporters.hurry.load(Ordering::Relaxed) { Instant::now() } else { until };
            let next = look.min(Instant::now() + LOOK);
            match timeout_at(next, self.waiting.recv()).await {
                Ok(Some(record)) => batch.add(&record, &view),
                Ok(None) => break,
                Err(_) if self.exporters.hurry.load(Ordering::Relaxed) => break,
                Err(_) => {}
            }
        }
        batch
    }

    async fn deliver(&mut self, spans: Vec<Span>) {
        let count = u64::try_from(spans.len()).unwrap_or(u64::MAX);
        let export = export(&self.collector, spans);
        let mut pause = FIRST_PAUSE;
        for tried in 1..=TRIES {
            let trouble = match self.send(&export).await {
                Ok(rejected) => return self.delivered(count, &rejected),
                Err(trouble) => trouble,
            };
            self.note(&trouble);
            let ends = self.exporters.hurry.load(Ordering::Relaxed);
            if !trouble.passes || tried == TRIES || ends {
                break;
            }
            // Those who failed together do not come again together.
            let spread = Duration::from_millis(fastrand::u64(..100));
            sleep(trouble.after.unwrap_or(pause).min(LONGEST_PAUSE) + spread).await;
            pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
        }
        self.counts.failed.fetch_add(count, Ordering::Relaxed);
    }

    async fn send(&mut self, export: &ExportTraceServiceRequest) -> Result<Rejected, Trouble> {
        let collector = Arc::clone(&self.collector);
        let wire = match &self.wire {
            Some(wire) => wire,
            None => {
                let made = match collector.transport {
                    Transport::Http => Http::new(&collector).map(Wire::Http),
                    Transport::Grpc => Grpc::new(&collector).map(|grpc| Wire::Grpc(Box::new(grpc))),
                };
                self.wire.insert(made.map_err(|error| Trouble::passing(error.to_string()))?)
            }
        };
        let sent = async {
            match wire {
                Wire::Http(http) => http.send(&collector, export).await,
                Wire::Grpc(grpc) => grpc.send(export.clone()).await,
            }
        };
        let late = |_| Trouble::passing(format!("no answer within {:?}", collector.timeout));
        timeout(collector.timeout, sent).await.map_err(late)?
    }

    fn delivered(&self, count: u64, rejected: &Rejected) {
        let refused = rejected.spans.min(count);
        self.counts.sent.fetch_add(count - refused, Ordering::Relaxed);
        self.counts.failed.fetch_add(refused, Ordering::Relaxed);
        if refused > 0 || !rejected.why.is_empty() {
            let name = &self.collector.name;
            log::warn!("the collector {name} did not take {refused} of {count} spans: {}", rejected.why);
        }
        if self.set_trouble(None).is_some() {
            emit(Event::CollectorBack { collector: &self.collector.name });
        }
    }

    /// Said once for each trouble, not for each export.
    fn note(&self, trouble: &Trouble) {
        if self.set_trouble(Some(trouble.text.clone())).is_none() {
            emit(Event::CollectorLost { collector: &self.collector.name, why: &trouble.text });
        }
    }

    /// What it was before.
    fn set_trouble(&self, now: Option<String>) -> Option<String> {
        let mut trouble = self.counts.trouble.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        std::mem::replace(&mut *trouble, now)
    }
}

impl Batch {
    fn add(&mut self, record: &Record, view: &View<'_>) {
        let spans = span::of(record, view);
        self.bytes += spans.iter().map(Message::encoded_len).sum::<usize>();
        self.spans.extend(spans);
        self.requests += 1;
        self.content_bytes += content_bytes(record);
    }
}

fn export(collector: &Collector, spans: Vec<Span>) -> ExportTraceServiceRequest {
    let mut resource = Attributes::default();
    collector.resource.iter().for_each(|(name, value)| resource.text(&**name, value));
    resource.text("telemetry.sdk.name", "bifrost");
    resource.text("telemetry.sdk.language", "rust");
    let scope = InstrumentationScope {
        name: "bifrost".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    };
    let scope_spans = vec![ScopeSpans { scope: Some(scope), spans, schema_url: String::new() }];
    let resource = Some(Resource { attributes: resource.0, ..Resource::default() });
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans { resource, scope_spans, schema_url: String::new() }],
    }
}
