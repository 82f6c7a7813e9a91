//! One block at a time: parts that other wires feed at once, put in a row.
//!
//! The front part is open. Text and reasoning give way when a later part begins, since other wires say
//! nothing when they end; calls keep the front until they are stopped, and what comes for later parts
//! waits. This knows nothing of bytes.

use std::collections::VecDeque;

use crate::ir::{Delta, PartKind};

/// What to write next.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::wire) enum Step {
    Open(PartKind),
    Delta(Delta),
    Close,
}

/// What becomes of a delta.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::wire) enum Turn {
    /// Its part is open: write it now.
    Now(Delta),
    /// Its part is not open yet: it was kept; pump [`Queue::next`].
    Later,
    /// Its part is unknown, or closed for good.
    Lost,
}

#[derive(Debug)]
struct Waiting {
    part: u32,
    kind: PartKind,
    pending: VecDeque<Delta>,
    stopped: bool,
}

/// The parts of one choice, in the order of their beginning.
#[derive(Debug, Default)]
pub(in crate::wire) struct Queue {
    row: VecDeque<Waiting>,
    front_open: bool,
    /// Parts that gave way before they were stopped.
    gave_way: Vec<(u32, PartKind)>,
}

impl Queue {
    pub(in crate::wire) fn start(&mut self, part: u32, kind: PartKind) {
        if let Some(last) = self.row.back_mut().filter(|last| !last.stopped && gives_way(&last.kind)) {
            last.stopped = true;
            self.gave_way.push((last.part, last.kind.clone()));
        }
        self.row.push_back(Waiting { part, kind, pending: VecDeque::new(), stopped: false });
    }

    pub(in crate::wire) fn delta(&mut self, part: u32, delta: Delta) -> Turn {
        let open = self.front_open;
        for (position, waiting) in self.row.iter_mut().enumerate() {
            if waiting.part == part && !waiting.stopped {
                if position == 0 && open {
                    return Turn::Now(delta);
                }
                waiting.pending.push_back(delta);
                return Turn::Later;
            }
        }
        // A signature belongs to the reasoning it came with, not to a new block.
        let resumed = self.gave_way.iter().find(|(gone, _)| *gone == part);
        let Some((_, kind)) = resumed.filter(|_| !matches!(delta, Delta::Signature(_))) else {
            return Turn::Lost;
        };
        let kind = kind.clone();
        self.start(part, kind);
        if let Some(waiting) = self.row.back_mut() {
            waiting.pending.push_back(delta);
        }
        Turn::Later
    }

    pub(in crate::wire) fn stop(&mut self, part: u32) {
        self.row.iter_mut().filter(|waiting| waiting.part == part).for_each(|waiting| waiting.stopped = true);
        self.gave_way.retain(|(gone, _)| *gone != part);
    }

    pub(in crate::wire) fn stop_all(&mut self) {
        self.row.iter_mut().for_each(|waiting| waiting.stopped = true);
        self.gave_way.clear();
    }

    /// The next thing that can be written; `None` until more arrives.
    pub(in crate::wire) fn next(&mut self) -> Option<Step> {
        let front = self.row.front_mut()?;
        if !self.front_open {
            self.front_open = true;
            return Some(Step::Open(front.kind.clone()));
        }
        if let Some(delta) = front.pending.pop_front() {
            return Some(Step::Delta(delta));
        }
        if !front.stopped {
            return None;
        }
        self.row.pop_front();
        self.front_open = false;
        Some(Step::Close)
    }
}

fn gives_way(kind: &PartKind) -> bool {
    matches!(kind, PartKind::Text | PartKind::Refusal | PartKind::Thinking)
}
