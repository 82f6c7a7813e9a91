//! How many requests one target takes at a time, learned from how it answers.
//!
//! One more for each round of requests that were answered while the limit was used, three in ten less when the target
//! says that it has too much to do. What was begun before the limit was lowered says nothing of the lower one, so a
//! hundred refusals at once lower it once.

use super::Ended;

/// A limit in thousandths of a request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Adaptive {
    thousandths: u64,
    /// Until the target first had too much, each answer raises the limit by one: it doubles with each round.
    found: bool,
    lowered_ms: Option<u64>,
}

const ONE: u64 = 1_000;
/// Where it starts. 8: low enough for the smallest accounts, and doubled within three rounds for others.
const FIRST: u64 = 8 * ONE;

impl Default for Adaptive {
    fn default() -> Self {
        Self { thousandths: FIRST, found: false, lowered_ms: None }
    }
}

impl Adaptive {
    /// How many may be open, `most` at most.
    pub(super) fn limit(&self, most: u32) -> u32 {
        u32::try_from(self.thousandths / ONE).unwrap_or(u32::MAX).clamp(1, most.max(1))
    }

    /// A request ended; `open` were under way with it, and it was so from the first to the second of the moments.
    pub(super) fn note(&mut self, ended: Ended, open: u32, most: u32, (began_ms, now_ms): (u64, u64)) {
        match ended {
            // A limit that is not reached is not tested by an answer.
            Ended::Served if open.saturating_mul(2) >= self.limit(most) => {
                let step = if self.found { ONE * ONE / self.thousandths.max(ONE) } else { ONE };
                self.thousandths = (self.thousandths + step).min(u64::from(most.max(1)) * ONE);
            }
            Ended::Overloaded if self.lowered_ms.is_none_or(|lowered| began_ms >= lowered) => {
                // What was open was too much, whatever the limit was.
                let tried = self.thousandths.min(u64::from(open.max(1)) * ONE);
                self.thousandths = (tried * 7 / 10).max(ONE);
                self.found = true;
                self.lowered_ms = Some(now_ms);
            }
            Ended::Served | Ended::Overloaded | Ended::Otherwise => {}
        }
    }
}
