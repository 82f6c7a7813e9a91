//! One streamed answer, from the provider's bytes to the caller's.
//!
//! On one wire frames are looked at and go through as they came; between wires they are decoded and
//! encoded anew. The pipe never decides whether an answer is good: it says what it saw, and its owner
//! calls [`StreamPipe::end`] or [`StreamPipe::fail`].

mod hold;
mod lane;
mod resume;
mod splice;
mod watch;

pub use resume::Broken;

use hold::Hold;
use lane::{Lane, Translation};
use resume::Memory;

use crate::frame::{Frame, FrameParser, Framing, Mender};
use crate::ir::{Event, Failure, FailureKind, Usage};
use crate::loss::Losses;
use crate::provider::UsageStyle;
use crate::wire::{Codec, Dialect, Echo, Observation, ToolNames, Wire};

#[cfg(test)]
mod tests;

/// What to do with the upstream body after a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    Continue,
    /// The terminator or an in-band failure was seen: call [`StreamPipe::end`] or
    /// [`StreamPipe::fail`] now. Later bytes are ignored.
    Complete,
}

/// How a stream is to be carried.
#[derive(Debug, Clone)]
pub struct StreamPipeOptions {
    /// The caller's dialect.
    pub caller: Wire,
    /// The provider's wire.
    pub upstream: Wire,
    pub echo: Echo,
    /// On one wire: the usage-only frame was asked for by us alone, the caller does not get it.
    /// Between wires [`Echo::stream_usage`] decides.
    pub withhold_usage: bool,
    /// Extra fields will be given at the end: from the finish reason on the last data frame is kept
    /// back.
    pub hold_last: bool,
}

/// One streamed answer on its way.
pub struct StreamPipe {
    parser: FrameParser,
    lane: Lane,
    /// [`Self::end`] or [`Self::fail`] had its say.
    closed: bool,
    /// The body ended.
    drained: bool,
    /// What the end of the body gave, before it was known how the answer ends.
    tail: Vec<u8>,
    /// Whole frames so far, comments included.
    frames: u64,
    /// The caller's dialect.
    wire: Wire,
    /// What came, where another provider may have to go on.
    memory: Option<Box<Memory>>,
}

impl StreamPipe {
    /// A pipe at the start of an answer. `caller` is the dialect of [`StreamPipeOptions::caller`]
    /// ([`Wire::dialect`]).
    #[must_use]
    pub fn new(options: StreamPipeOptions, caller: &'static dyn Dialect) -> Self {
        let upstream = options.upstream.codec();
        Self::with_codecs(options, caller, upstream)
    }

    /// As [`Self::new`], with the upstream's codec given.
    pub(crate) fn with_codecs(
        options: StreamPipeOptions,
        caller: &'static dyn Dialect,
        upstream: &'static dyn Codec,
    ) -> Self {
        let translated = options.caller != options.upstream;
        Self::built(options, caller, translated.then_some(upstream))
    }

    /// A pipe towards a caller whose codec is no wire's (text completions): always translated.
    #[must_use]
    pub fn towards(options: StreamPipeOptions, caller: &'static dyn Dialect) -> Self {
        let upstream = options.upstream.codec();
        Self::built(options, caller, Some(upstream))
    }

    /// A pipe between two ends that both speak a codec which is no wire's: never translated.
    #[must_use]
    pub fn relaying(options: StreamPipeOptions, codec: &'static dyn Dialect) -> Self {
        Self::built(options, codec, None)
    }

    /// `upstream` is given between wires only.
    fn built(
        options: StreamPipeOptions,
        caller: &'static dyn Dialect,
        upstream: Option<&'static dyn Codec>,
    ) -> Self {
        let wire = options.caller;
        let translation = upstream.map(|upstream| Translation {
            decoder: upstream.stream_decoder(),
            encoder: caller.stream_encoder(options.echo),
            names: ToolNames::default(),
            events: Vec::new(),
            started: false,
            splice: None,
            tail: Vec::new(),
        });
        let lane = Lane {
            caller,
            spoken: options.caller.framing(),
            from: options.upstream.framing(),
            to: options.caller.framing(),
            withhold_usage: options.withhold_usage,
            hold_last: options.hold_last,
            translation,
            usage_style: UsageStyle::Wire,
            seen: Observation::default(),
            events: 0,
            losses: Losses::default(),
            guess: None,
            hold: Hold::default(),
            mender: Mender::default(),
            reframed: Vec::new(),
        };
        let parser = FrameParser::new(lane.from);
        Self { parser, lane, closed: false, drained: false, tail: Vec::new(), frames: 0, wire, memory: None }
    }

    /// Counts what this provider's totals include; without it, what the wire says.
    #[must_use]
    pub fn with_usage_style(mut self, style: UsageStyle) -> Self {
        self.lane.usage_style = style;
        self
    }

    /// Gives calls the caller's names for its tools; between wires only.
    #[must_use]
    pub fn with_tool_names(mut self, names: ToolNames) -> Self {
        self.lane.translation.iter_mut().for_each(|translation| translation.names.clone_from(&names));
        self
    }

    /// What the input is estimated at, in tokens: told to a caller whose dialect has no answer without counts, where the
    /// provider's never came. Between wires only.
    #[must_use]
    pub fn with_estimate(mut self, input_tokens: u64) -> Self {
        self.lane.guess = Some(input_tokens);
        self
    }

    /// Carries the two wires' events in other frames than the wires' own: an invoked model's in chunks.
    /// Before the first [`Self::push`].
    #[must_use]
    pub fn with_framing(mut self, upstream: Framing, caller: Framing) -> Self {
        self.parser = FrameParser::new(upstream);
        self.lane.from = upstream;
        self.lane.to = caller;
        self
    }

    /// Feeds bytes as they came; appends what may go downstream to `out`, in whole frames.
    pub fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Flow {
        if self.closed || self.lane.is_complete() {
            return Flow::Complete;
        }
        self.memory.take_if(|memory| !memory.take(chunk));
        let mut rest = chunk;
        while self.parser.is_drained() {
            let Some(frame) = self.parser.frame_in(rest) else { break };
            let length = frame.raw.len();
            self.frames = self.frames.wrapping_add(1);
            if self.lane.frame(&frame, out) == Flow::Complete {
                return Flow::Complete;
            }
            rest = rest.get(length..).unwrap_or_default();
        }
        self.parser.push(rest);
        while let Some(frame) = self.parser.next_frame() {
            self.frames = self.frames.wrapping_add(1);
            if self.lane.frame(&frame, out) == Flow::Complete {
                return Flow::Complete;
            }
        }
        self.fault()
    }

    /// Takes an event that no provider's bytes say, of an answer that is kept: the way is the same from here on. Only for a
    /// pipe made by [`Self::towards`].
    pub(crate) fn play(&mut self, event: Event, out: &mut Vec<u8>) {
        if !self.closed {
            self.lane.encode(&mut vec![event], out);
        }
    }

    /// No more bytes come: reads what is left, so that [`Self::losses`], [`Self::seen`] and [`Self::usage`] tell all, and
    /// writes nothing yet. [`Self::end`] does it by itself.
    pub fn drain(&mut self) {
        if self.drained || self.closed {
            return;
        }
        let mut tail = std::mem::take(&mut self.tail);
        self.read_rest(&mut tail);
        self.tail = tail;
        self.lane.miss_counts();
    }

    /// Ends a whole answer: what was held goes out, the last data frame with `extra_fields` (JSON) in
    /// it, then the dialect's terminator, whether the provider sent one or not. False, and nothing
    /// appended, when no finish reason was seen or the provider failed: call [`Self::fail`] then.
    pub fn end(&mut self, extra_fields: Option<&str>, out: &mut Vec<u8>) -> bool {
        if self.closed {
            return false;
        }
        self.drain();
        let mut tail = std::mem::take(&mut self.tail);
        if self.lane.seen.finish.is_none() || self.lane.seen.failure.is_some() {
            // Whole frames of an answer that is not: they go before the error.
            self.lane.hold.flush(&mut tail);
            self.lane.hold.data(&tail, true, out);
            return false;
        }
        self.closed = true;
        out.append(&mut tail);
        self.lane.close(extra_fields, out);
        true
    }

    /// Ends the stream with the dialect's error event. What was held goes before it, as it came: extra fields are
    /// for whole answers.
    pub fn fail(&mut self, failure: &Failure, request_id: &str, out: &mut Vec<u8>) {
        if self.closed {
            return;
        }
        self.closed = true;
        self.lane.hold.flush(out);
        self.lane.failure(failure, request_id, out);
    }

    /// Whole frames that came so far, comments included: a sign of life that single bytes are not.
    #[must_use]
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Whole frames that said something.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.lane.events
    }

    /// What was learned so far. Usage is as the provider counts; see [`Self::usage`].
    #[must_use]
    pub fn seen(&self) -> &Observation {
        &self.lane.seen
    }

    /// The last usage seen, in our counting.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        self.lane.seen.usage.map(|usage| self.lane.usage_style.apply(usage))
    }

    /// What the translation could not carry so far.
    #[must_use]
    pub fn losses(&self) -> &Losses {
        &self.lane.losses
    }

    /// The body ended: an event without its blank line, and the events that the end implies.
    fn read_rest(&mut self, out: &mut Vec<u8>) {
        self.drained = true;
        let binary = self.lane.from != Framing::Sse;
        while !self.lane.is_complete() {
            let Some(frame) = self.parser.finish() else { break };
            if binary || ends_blank(frame.raw) {
                self.lane.frame(&frame, out);
                continue;
            }
            if frame.data.is_empty() {
                // The beginning of an event whose data never came: clients would take it for an empty one.
                continue;
            }
            // Closed here, so that what is written next does not become a part of it.
            let mut whole = frame.raw.to_vec();
            whole.extend_from_slice(if whole.ends_with(b"\n") { b"\n" } else { b"\n\n" });
            self.lane.frame(&Frame { raw: &whole, ..frame }, out);
        }
        self.fault();
        self.lane.source_ended(out);
    }

    /// A stream that cannot be read on failed.
    fn fault(&mut self) -> Flow {
        let Some(message) = self.parser.broken() else { return Flow::Continue };
        self.lane.seen.failure.get_or_insert(Failure {
            status: 502,
            kind: FailureKind::Upstream,
            message,
            native_type: None,
            code: None,
            param: None,
        });
        Flow::Complete
    }
}

/// The frame is closed by a blank line, or is nothing else.
fn ends_blank(raw: &[u8]) -> bool {
    let closed = [&b"\n\n"[..], b"\r\r", b"\n\r\n", b"\n\r", b"\r\r\n"];
    closed.iter().any(|end| raw.ends_with(end)) || raw.iter().all(|byte| matches!(byte, b'\n' | b'\r'))
}
