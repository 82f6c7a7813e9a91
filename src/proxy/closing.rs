//! When a stream whose body stays open is taken to be complete.
//!
//! A provider may forget its terminator, or the end of the body behind it: then the caller would wait for
//! nothing. But a finish reason alone is no end: other choices, counts or sources may follow it. Looks at what
//! was said, never at the clock.

use std::time::Duration;

use translate::Wire;
use translate::provider::Fix;
use translate::relay::{choices_asked, prompts_asked};
use translate::wire::Observation;

use super::exchange::Call;
use crate::route::endpoint::Operation;
use crate::upstream::target::Target;

/// After the terminator, or after all that it would close.
pub const CLOSING: Duration = Duration::from_millis(1500);
/// After the same on a wire that has no terminator: late sources come behind the counts there.
const CLOSING_UNTOLD: Duration = Duration::from_secs(5);

/// What is known of a stream's end.
#[derive(Debug, Clone, Copy)]
pub struct Closing {
    /// Choices that must end.
    asked: u64,
    within: Duration,
    /// Characters that had come when all seemed said.
    chars: Option<u64>,
    /// More was said after that: this provider's finish reasons are no sign of the end.
    misled: bool,
}

impl Closing {
    /// For the answer to `call`, asked of `target`.
    #[must_use]
    pub fn of(call: &Call, target: &Target) -> Self {
        let several = matches!(target.wire, Wire::OpenAiChat | Wire::Gemini)
            && !target.quirks.fixes.contains(&Fix::Drop("n"));
        let members = &call.peek.members;
        let asked = if several { choices_asked(call.endpoint.dialect, &call.body, members) } else { 1 };
        let prompts = match call.endpoint.operation {
            Operation::Completions => prompts_asked(&call.body, members),
            _ => 1,
        };
        Self::expecting(asked.saturating_mul(prompts), target.wire)
    }

    fn expecting(asked: u64, wire: Wire) -> Self {
        let within = if wire == Wire::Gemini { CLOSING_UNTOLD } else { CLOSING };
        Self { asked, within, chars: None, misled: false }
    }

    /// Everything that was asked for has come, counts included: nothing but the end is awaited, and no longer
    /// than [`Self::within`]. To be asked after each piece of the stream.
    pub fn is_due(&mut self, seen: &Observation) -> bool {
        if !seen.is_finished() || seen.usage.is_none() || self.lacks_choices(seen) {
            return false;
        }
        let chars = *self.chars.get_or_insert(seen.output_chars);
        self.misled |= seen.output_chars > chars;
        !self.misled
    }

    /// How long the end is awaited.
    #[must_use]
    pub fn within(&self) -> Duration {
        self.within
    }

    /// Fewer choices ended than were asked for: a stream that breaks now is cut. One that ends in good order is
    /// not, since not every provider gives several.
    #[must_use]
    pub fn lacks_choices(&self, seen: &Observation) -> bool {
        self.asked > 1 && seen.endings() < self.asked.min(64)
    }
}

#[cfg(test)]
mod tests {
    use translate::ir::{FinishReason, Usage};

    use super::*;

    fn finished(choices: u64) -> Observation {
        Observation {
            finish: Some(FinishReason::Stop),
            choices_open: choices,
            choices_finished: choices,
            output_chars: 5,
            ..Observation::default()
        }
    }

    #[test]
    fn a_finish_reason_alone_ends_no_stream() {
        let mut closing = Closing::expecting(1, Wire::OpenAiChat);
        assert!(!closing.is_due(&Observation::default()));
        assert!(!closing.is_due(&finished(1)));
        assert!(closing.is_due(&Observation { usage: Some(Usage::default()), ..finished(1) }));
    }

    #[test]
    fn all_choices_that_were_asked_for_must_end() {
        let mut closing = Closing::expecting(2, Wire::OpenAiChat);
        let counted = |choices| Observation { usage: Some(Usage::default()), ..finished(choices) };
        assert!(!closing.is_due(&counted(1)) && closing.lacks_choices(&counted(1)));
        assert!(closing.is_due(&counted(3)) && !closing.lacks_choices(&counted(3)));
        // The translated half: told by a decoder that holds the reasons back.
        let held = Observation { finish: None, choices_finished: 0, choices_ending: 3, ..counted(3) };
        assert!(Closing::expecting(2, Wire::Gemini).is_due(&held));
        assert!(!Closing::expecting(2, Wire::Gemini).is_due(&Observation { choices_open: 7, ..held }));
    }

    #[test]
    fn text_behind_a_finish_reason_takes_its_meaning_away() {
        let mut closing = Closing::expecting(1, Wire::Gemini);
        let counted = Observation { usage: Some(Usage::default()), ..finished(1) };
        assert!(closing.is_due(&counted));
        let more = Observation { output_chars: 9, ..counted };
        assert!(!closing.is_due(&more) && !closing.is_due(&more));
    }
}
