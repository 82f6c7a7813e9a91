//! Requests under way, as far as their steps were told while somebody listened.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde::Serialize;

/// Requests under way that are known at once.
const MOST: usize = 4_096;
/// One that began so long ago is taken to have ended.
const LONGEST_MS: u64 = 2 * 60 * 60 * 1_000;

/// A step of a request.
#[derive(Debug)]
pub struct Step {
    pub request_id: Box<str>,
    /// When it came, Unix milliseconds.
    pub started_ms: u64,
    pub object: &'static str,
    pub model_asked: Box<str>,
    pub stream: bool,
    pub virtual_key: Option<Arc<str>>,
    pub kind: StepKind,
}

/// Which.
#[derive(Debug)]
pub enum StepKind {
    /// It is known what is asked.
    Began,
    /// An attempt began, the nth.
    Asks { provider: Arc<str>, model: Arc<str>, attempt: usize },
    /// The attempt's answer began.
    Answers,
}

/// A request under way.
#[derive(Debug, Clone, Serialize)]
pub struct Flight {
    pub id: Box<str>,
    /// Unix milliseconds.
    pub started: u64,
    pub object: &'static str,
    pub model_requested: Box<str>,
    pub stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub virtual_key_id: Option<Arc<str>>,
    /// `waiting`, `asking`, `answering`.
    pub phase: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<Arc<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<Arc<str>>,
    pub attempt: usize,
}

/// All of them.
#[derive(Debug, Default)]
pub struct Flights {
    known: HashMap<Box<str>, Flight>,
    moved: HashSet<Box<str>>,
    ended: Vec<Box<str>>,
}

/// What changed since the last batch.
#[derive(Debug, Default)]
pub struct Moved {
    pub ids: Vec<Box<str>>,
    pub ended: Vec<Box<str>>,
}

impl Flights {
    pub fn step(&mut self, step: Step) {
        if self.known.len() >= MOST && !self.known.contains_key(&step.request_id) {
            return;
        }
        let flight = self.known.entry(step.request_id.clone()).or_insert_with(|| Flight {
            id: step.request_id.clone(),
            started: step.started_ms,
            object: step.object,
            model_requested: step.model_asked,
            stream: step.stream,
            virtual_key_id: step.virtual_key,
            phase: "waiting",
            provider: None,
            model: None,
            attempt: 0,
        });
        match step.kind {
            StepKind::Began => {}
            StepKind::Asks { provider, model, attempt } => {
                flight.phase = "asking";
                (flight.provider, flight.model, flight.attempt) = (Some(provider), Some(model), attempt);
            }
            StepKind::Answers => flight.phase = "answering",
        }
        self.moved.insert(step.request_id);
    }

    /// Its record came.
    pub fn ended(&mut self, id: &str) {
        self.moved.remove(id);
        if let Some(flight) = self.known.remove(id) {
            self.ended.push(flight.id);
        }
    }

    /// Those whose record never came are not under way for ever.
    pub fn expire(&mut self, now_ms: u64) {
        let over: Vec<Box<str>> = self
            .known
            .values()
            .filter(|flight| flight.started.saturating_add(LONGEST_MS) < now_ms)
            .map(|flight| flight.id.clone())
            .collect();
        over.iter().for_each(|id| self.ended(id));
    }

    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Flight> {
        self.known.get(id)
    }

    pub fn all(&self) -> impl Iterator<Item = &Flight> {
        self.known.values()
    }

    pub fn take_moved(&mut self) -> Moved {
        Moved { ids: self.moved.drain().collect(), ended: std::mem::take(&mut self.ended) }
    }
}
