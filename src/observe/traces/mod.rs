//! Traces: finished requests as spans, for every collector that wants them.
//!
//! Each collector has a queue, a task and counters of its own, so that one that hangs takes nothing from another. What it does
//! not take in time is dropped and counted; no request ever waits for it. Tasks run on a thread of their own, which is made
//! with the first collector.

mod attributes;
mod content;
mod exporter;
mod facts;
mod genai;
mod grpc;
mod http;
mod openinference;
mod span;
mod trouble;

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use self::exporter::{Current, Exporter};
use crate::background;
use crate::config::ConfigHolder;
use crate::config::traces::Collector;
use crate::observe::Listener;
use crate::telemetry::record::Record;
use crate::telemetry::redact::Redactors;

/// How long the end of the process waits for exports.
const LAST: Duration = Duration::from_secs(2);

/// Collectors, as others see them.
#[derive(Debug, Default)]
pub struct Exporters {
    /// One of each collector that is configured, in their order.
    counts: Mutex<Vec<Arc<Counts>>>,
    /// The process ends: what waits is sent now.
    hurry: AtomicBool,
}

/// What became of the traces for one collector.
#[derive(Debug, Default)]
pub struct Counts {
    /// Its address.
    pub collector: Arc<str>,
    /// Requests that wait, or are being sent.
    pub waiting: AtomicU64,
    /// Bytes of content among them.
    waiting_bytes: AtomicU64,
    /// Spans that it took.
    pub sent: AtomicU64,
    /// Requests whose spans found no place in the queue.
    pub dropped: AtomicU64,
    /// Spans that it refused, or that could not be brought to it.
    pub failed: AtomicU64,
    /// The last export failed, and why.
    trouble: Mutex<Option<String>>,
}

impl Counts {
    /// Why the last export failed, if it did. Holds no secret.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Exporters {
    /// Of each collector.
    #[must_use]
    pub fn counts(&self) -> Vec<Arc<Counts>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Gives finished requests to the collectors of the configuration in force.
pub struct Traces {
    config: Arc<ConfigHolder>,
    redactors: Arc<Redactors>,
    exporters: Arc<Exporters>,
    running: Vec<Exporter>,
    runtime: Option<Handle>,
    /// Of the snapshot whose collectors run.
    version: u64,
}

impl Traces {
    #[must_use]
    pub fn new(config: &Arc<ConfigHolder>, redactors: &Arc<Redactors>, exporters: &Arc<Exporters>) -> Self {
        let (config, redactors, exporters) =
            (Arc::clone(config), Arc::clone(redactors), Arc::clone(exporters));
        Self { config, redactors, exporters, running: Vec::new(), runtime: None, version: 0 }
    }

    /// Collectors that are new are begun, those that are gone end with what they have, all others go on.
    fn follow(&mut self) {
        let snapshot = self.config.load_full();
        if snapshot.version == self.version {
            return;
        }
        self.version = snapshot.version;
        let mut before = std::mem::take(&mut self.running);
        for collector in &snapshot.traces.collectors {
            let same = before.iter().position(|running| running.collector == *collector);
            match same {
                Some(at) => self.running.push(before.swap_remove(at)),
                None => match self.begin(collector) {
                    Ok(exporter) => self.running.push(exporter),
                    Err(error) => log::error!("no traces for {}: {error}", collector.name),
                },
            }
        }
        let counts = self.running.iter().map(|running| Arc::clone(&running.counts)).collect();
        *self.exporters.counts.lock().unwrap_or_else(PoisonError::into_inner) = counts;
    }

    fn begin(&mut self, collector: &Arc<Collector>) -> io::Result<Exporter> {
        let runtime = match &self.runtime {
            Some(runtime) => runtime.clone(),
            None => self.runtime.insert(background::start_as("traces", || {})?).clone(),
        };
        let current = Current { config: Arc::clone(&self.config), redactors: Arc::clone(&self.redactors) };
        Ok(Exporter::start(collector, (current, &self.exporters), &runtime))
    }
}

impl Listener for Traces {
    /// What waits is sent now, each export in one try.
    fn ended(&mut self) {
        self.exporters.hurry.store(true, Ordering::Relaxed);
        let until = Instant::now() + LAST;
        let waits = || self.running.iter().any(|one| one.counts.waiting.load(Ordering::Relaxed) > 0);
        while waits() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn told(&mut self, records: &[Arc<Record>], _now_ms: u64) {
        self.follow();
        for record in records {
            let Some(trace) = record.trace.as_ref().filter(|trace| trace.recorded) else { continue };
            let parent = trace.parent_id.map(|_| trace.sampled);
            for exporter in &self.running {
                if exporter.collector.sampling.takes(trace.trace_id, parent) {
                    exporter.offer(record);
                }
            }
        }
    }
}
