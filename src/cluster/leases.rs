//! Leases for this node: tells Redis what was spent, and has more leased before it is needed.
//!
//! One task, on the background runtime. Owners that were used lately are looked at every tick; one that runs low, or that a
//! request waits for, at once. When Redis does not answer, every owner is told so and decides on its own; it is tried again
//! with what has to be told anyway.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use govern::allowance::{Measure, Part};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval};

use super::redis::{Link, Question};
use super::state::State;
use crate::account::meters::{Meters, Wake, now_ms};
use crate::config::governance::Owner;

/// All owners that are followed are looked at so often.
const TICK: Duration = Duration::from_millis(100);
/// Redis is left alone for so long after it has not answered.
const REST: Duration = Duration::from_millis(500);
/// Questions in one round trip.
const BATCH: usize = 256;

/// The task's own.
pub struct Leases {
    pub link: Arc<Link>,
    pub meters: Arc<Meters>,
    pub wakes: mpsc::UnboundedReceiver<Wake>,
    pub state: Arc<State>,
    pub lease_ms: u64,
    pub followed: Followed,
}

/// What the task remembers.
#[derive(Debug, Default)]
pub struct Followed {
    owners: HashSet<Owner>,
    waiting: Vec<oneshot::Sender<()>>,
    /// Redis did not answer at this moment.
    failed: Option<Instant>,
}

/// A question that is asked, and for whom.
type Asked = (Owner, Part);

impl Leases {
    /// Until the process ends.
    pub async fn run(mut self) {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let owners = tokio::select! {
                wake = self.wakes.recv() => match wake {
                    Some(wake) => self.woken(wake),
                    None => return,
                },
                _ = tick.tick() => self.followed.owners.iter().cloned().collect(),
            };
            self.exchange(owners).await;
            self.state.followed(self.followed.owners.len());
        }
    }

    /// Whoever is to be looked at now.
    fn woken(&mut self, first: Wake) -> Vec<Owner> {
        let mut owners = HashSet::new();
        let mut wake = Some(first);
        while let Some(Wake { owner, waits }) = wake {
            self.followed.waiting.extend(waits);
            self.followed.owners.insert(owner.clone());
            owners.insert(owner);
            wake = self.wakes.try_recv().ok();
        }
        owners.into_iter().collect()
    }

    async fn exchange(&mut self, owners: Vec<Owner>) {
        let mut owners = owners.into_iter().peekable();
        while owners.peek().is_some() {
            if self.followed.failed.is_some_and(|at| at.elapsed() < REST) {
                self.all_lost();
                break;
            }
            let (asked, questions) = self.questions(&mut owners);
            if questions.is_empty() {
                continue;
            }
            let began = Instant::now();
            match self.link.ask(&questions).await {
                Ok(grants) => {
                    self.followed.failed = None;
                    self.state.answered(began.elapsed());
                    for (at, grant) in asked.iter().zip(&grants) {
                        self.answer(at, Ok(grant));
                    }
                }
                Err(error) => {
                    self.followed.failed = Some(Instant::now());
                    self.state.failed(&error);
                    let nodes = self.state.nodes();
                    asked.iter().for_each(|at| self.answer(at, Err(nodes)));
                }
            }
        }
        // Whoever waits was there before the questions were made: what it lacks was asked for.
        self.followed.waiting.drain(..).for_each(|waits| _ = waits.send(()));
    }

    /// What is to be told and asked, of as many owners as fit.
    fn questions(&mut self, owners: &mut impl Iterator<Item = Owner>) -> (Vec<Asked>, Vec<Question>) {
        let (mut asked, mut questions) = (Vec::new(), Vec::new());
        let now_ms = now_ms();
        for owner in owners {
            let reports = self.meters.follow(&owner, |allowance| {
                let reports = allowance.reports(self.lease_ms, now_ms);
                ((reports, allowance.is_live()), allowance.is_live())
            });
            let (reports, is_live) = reports.unwrap_or_default();
            if !is_live {
                self.followed.owners.remove(&owner);
            }
            for (part, report, terms) in reports {
                questions.push(Question { key: name(&owner, part), report, terms });
                asked.push((owner.clone(), part));
            }
            if questions.len() >= BATCH {
                break;
            }
        }
        (asked, questions)
    }

    fn answer(&self, (owner, part): &Asked, answer: Result<&govern::lease::Grant, u32>) {
        self.meters.with(owner, |allowance| allowance.answered(*part, answer, self.lease_ms, now_ms()));
    }

    fn all_lost(&self) {
        let nodes = self.state.nodes();
        for owner in &self.followed.owners {
            self.meters.follow(owner, |allowance| {
                allowance.lost(nodes);
                ((), true)
            });
        }
    }
}

/// What is leased, by kind and in all: of those owners that are followed.
#[must_use]
pub fn leased(meters: &Meters) -> HashMap<&'static str, u64> {
    let mut all = HashMap::new();
    meters.each(|_, allowance| {
        for (part, slice) in allowance.leases() {
            let sum: &mut u64 = all.entry(kind(part)).or_default();
            *sum = sum.saturating_add(slice.lease());
        }
    });
    all
}

/// The same on every node.
fn name(owner: &Owner, part: Part) -> String {
    match part {
        Part::Places => format!("{owner}:places"),
        Part::Quota { window, number, .. } => {
            let aligned = if window.is_calendar() { "c" } else { "" };
            let which = if number == 0 { String::new() } else { format!("#{number}") };
            format!("{owner}:{}:{window}{aligned}{which}", kind(part))
        }
    }
}

fn kind(part: Part) -> &'static str {
    match part {
        Part::Places => "places",
        Part::Quota { measure, .. } => match measure {
            Measure::Cost => "cost",
            Measure::Requests => "requests",
            Measure::InputTokens => "input_tokens",
            Measure::OutputTokens => "output_tokens",
            Measure::Tokens => "tokens",
        },
    }
}
