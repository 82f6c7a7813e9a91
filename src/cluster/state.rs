//! How the cluster does, for `/health` and the metrics. Written by its tasks, read by whoever asks.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::redis::LinkError;
use crate::telemetry::events::{Event, emit};

/// What is known of Redis and of the others.
#[derive(Debug, Default)]
pub struct State {
    /// It answered, and has not failed since.
    reachable: AtomicBool,
    /// Since when it has not answered, and what it said.
    gone: Mutex<Option<(Instant, String)>>,
    nodes: AtomicU32,
    followed: AtomicUsize,
    answers: AtomicU64,
    failures: AtomicU64,
    latency_us: AtomicU64,
}

/// The state at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    pub reachable: bool,
    /// Since when Redis has not answered, and why.
    pub gone: Option<(Duration, String)>,
    /// Gateways in the cluster, this one too, when they were last counted.
    pub nodes: u32,
    /// Owners of budgets and limits of whom this gateway has leased something.
    pub owners: usize,
    pub answers: u64,
    pub failures: u64,
    /// Of the latest answer.
    pub latency_us: u64,
}

impl State {
    /// Redis answered.
    pub fn answered(&self, latency: Duration) {
        self.answers.fetch_add(1, Ordering::Relaxed);
        self.latency_us.store(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
        if !self.reachable.swap(true, Ordering::Relaxed) {
            let gone = self.gone.lock().unwrap_or_else(PoisonError::into_inner).take();
            let told = match gone {
                Some((since, _)) => {
                    format!("cluster: Redis is back after {} ms", since.elapsed().as_millis())
                }
                None => "cluster: Redis answers".to_owned(),
            };
            emit(Event::ClusterBack { told: &told });
        }
    }

    /// Redis did not answer.
    pub fn failed(&self, error: &LinkError) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        self.reachable.store(false, Ordering::Relaxed);
        let mut gone = self.gone.lock().unwrap_or_else(PoisonError::into_inner);
        if gone.is_none() {
            emit(Event::ClusterLost { why: &error.to_string() });
            *gone = Some((Instant::now(), error.to_string()));
        }
    }

    /// So many gateways are there.
    pub fn counted(&self, nodes: u32) {
        self.nodes.store(nodes, Ordering::Relaxed);
    }

    pub(super) fn followed(&self, owners: usize) {
        self.followed.store(owners, Ordering::Relaxed);
    }

    /// Gateways in the cluster when they were last counted; 1 at least.
    #[must_use]
    pub fn nodes(&self) -> u32 {
        self.nodes.load(Ordering::Relaxed).max(1)
    }

    #[must_use]
    pub fn show(&self) -> Shown {
        let gone = self.gone.lock().unwrap_or_else(PoisonError::into_inner);
        Shown {
            reachable: self.reachable.load(Ordering::Relaxed),
            gone: gone.as_ref().map(|(since, why)| (since.elapsed(), why.clone())),
            nodes: self.nodes(),
            owners: self.followed.load(Ordering::Relaxed),
            answers: self.answers.load(Ordering::Relaxed),
            failures: self.failures.load(Ordering::Relaxed),
            latency_us: self.latency_us.load(Ordering::Relaxed),
        }
    }
}
