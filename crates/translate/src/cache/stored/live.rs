//! An answer that is still coming, for somebody else than whom it was asked for: the events of one stream, written for another
//! caller in its own dialect.
//!
//! As a [`Replay`](super::Replay), but the steps come from outside, one after the other; the pipe is the same.

use crate::ir::{Event, Failure};
use crate::loss::Losses;
use crate::relay::{StreamPipe, StreamPipeOptions};
use crate::wire::{Dialect, Echo, Wire};

/// A stream that follows another.
pub struct Live {
    pipe: StreamPipe,
}

impl Live {
    /// A stream for a caller of `dialect`, whose name is `wire`. With `hold_last` extra fields will be given at the end.
    #[must_use]
    pub fn new((dialect, wire): (&'static dyn Dialect, Wire), echo: Echo, hold_last: bool) -> Self {
        let options =
            StreamPipeOptions { caller: wire, upstream: wire, echo, withhold_usage: false, hold_last };
        Self { pipe: StreamPipe::towards(options, dialect) }
    }

    /// The pipe, before the first event: for a framing that is not the wire's own.
    #[must_use]
    pub fn through(mut self, change: impl FnOnce(StreamPipe) -> StreamPipe) -> Self {
        self.pipe = change(self.pipe);
        self
    }

    /// Appends what an event is in the caller's dialect. The answer's id and time are left out: each caller has its own.
    pub fn event(&mut self, mut event: Event, out: &mut Vec<u8>) {
        if let Event::Start { id, created, .. } = &mut event {
            id.clear();
            *created = None;
        }
        self.pipe.play(event, out);
    }

    /// Appends what ends the stream, with `extra_fields` (JSON) in the last data frame. False: it has no end, [`Self::fail`] says
    /// so.
    pub fn end(&mut self, extra_fields: Option<&str>, out: &mut Vec<u8>) -> bool {
        self.pipe.end(extra_fields, out)
    }

    /// Appends the dialect's error event, and ends the stream with it.
    pub fn fail(&mut self, failure: &Failure, request_id: &str, out: &mut Vec<u8>) {
        self.pipe.fail(failure, request_id, out);
    }

    /// What the dialect could not carry so far.
    #[must_use]
    pub fn losses(&self) -> &Losses {
        self.pipe.losses()
    }
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live").finish_non_exhaustive()
    }
}
