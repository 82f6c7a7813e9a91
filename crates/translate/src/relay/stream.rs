//! One streamed answer, from the provider's bytes to the caller's.
//!
//! On one wire frames are looked at and go through as they came; between wires they are decoded and
//! encoded anew. The pipe never decides whether an answer is good: it says what it saw, and its owner
//! calls [`StreamPipe::end`] or [`StreamPipe::fail`].

mod hold;
mod watch;

use hold::Hold;

use crate::frame::{Frame, FrameParser, Framing, Mender, is_exception};
use crate::ir::{Event, Failure, FailureKind, Usage};
use crate::loss::Losses;
use crate::provider::UsageStyle;
use crate::wire::{
    Codec, Dialect, Echo, FrameVerdict, Observation, StreamDecoder, StreamEncoder, ToolNames, Wire,
    bedrock_converse, openai_responses,
};

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
    /// Whole frames so far, comments included.
    frames: u64,
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
        let translation = upstream.map(|upstream| Translation {
            decoder: upstream.stream_decoder(),
            encoder: caller.stream_encoder(options.echo),
            names: ToolNames::default(),
            events: Vec::new(),
            started: false,
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
            hold: Hold::default(),
            mender: Mender::default(),
            reframed: Vec::new(),
        };
        Self { parser: FrameParser::new(lane.from), lane, closed: false, frames: 0 }
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

    /// Ends a whole answer: what was held goes out, the last data frame with `extra_fields` (JSON) in
    /// it, then the dialect's terminator, whether the provider sent one or not. False, and nothing
    /// appended, when no finish reason was seen or the provider failed: call [`Self::fail`] then.
    pub fn end(&mut self, extra_fields: Option<&str>, out: &mut Vec<u8>) -> bool {
        if self.closed {
            return false;
        }
        let mut tail = Vec::new();
        self.drain(&mut tail);
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

    /// Ends the stream with the dialect's error event. What was held goes before it, as it came:
    /// `extra_fields` is for whole answers and stays out.
    pub fn fail(
        &mut self,
        failure: &Failure,
        request_id: &str,
        extra_fields: Option<&str>,
        out: &mut Vec<u8>,
    ) {
        let _ = extra_fields;
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

    /// Characters of output so far: what an estimate rests on when usage never came.
    #[must_use]
    pub fn usage_estimate_chars(&self) -> u64 {
        self.lane.seen.output_chars
    }

    /// What the translation could not carry so far.
    #[must_use]
    pub fn losses(&self) -> &Losses {
        &self.lane.losses
    }

    /// The body ended: an event without its blank line, and the events that the end implies.
    fn drain(&mut self, out: &mut Vec<u8>) {
        let binary = self.lane.from != Framing::Sse;
        while !self.lane.is_complete() {
            let Some(frame) = self.parser.finish() else { break };
            if binary || ends_blank(frame.raw) {
                self.lane.frame(&frame, out);
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

/// The way of one frame.
struct Lane {
    caller: &'static dyn Dialect,
    /// The framing in which the caller's codec writes.
    spoken: Framing,
    /// The framing of the provider's bytes.
    from: Framing,
    /// The framing of the caller's bytes.
    to: Framing,
    withhold_usage: bool,
    hold_last: bool,
    /// Between wires only.
    translation: Option<Translation>,
    usage_style: UsageStyle,
    seen: Observation,
    /// Frames with data so far.
    events: u64,
    losses: Losses,
    hold: Hold,
    mender: Mender,
    /// One frame in the caller's framing. Reused.
    reframed: Vec<u8>,
}

struct Translation {
    decoder: Box<dyn StreamDecoder>,
    encoder: Box<dyn StreamEncoder>,
    names: ToolNames,
    /// Reused between frames.
    events: Vec<Event>,
    /// The encoder got an event: signs of life may be passed on.
    started: bool,
    /// Encoded frames from the finish reason on, before they are told apart. Reused.
    tail: Vec<u8>,
}

impl Lane {
    fn frame(&mut self, frame: &Frame<'_>, out: &mut Vec<u8>) -> Flow {
        if self.from == Framing::EventStreamChunks && is_exception(frame) {
            // Told around the inner events, in words of its own.
            self.seen.failure = Some(bedrock_converse::exception(frame));
            return Flow::Complete;
        }
        self.events = self.events.wrapping_add(u64::from(!frame.data.is_empty()));
        match self.translation {
            Some(_) => self.translate(frame, out),
            None => self.relay(frame, out),
        }
        if self.is_complete() { Flow::Complete } else { Flow::Continue }
    }

    fn is_complete(&self) -> bool {
        self.seen.done || self.seen.failure.is_some()
    }

    fn relay(&mut self, frame: &Frame<'_>, out: &mut Vec<u8>) {
        if frame.data.is_empty() {
            if self.from == self.to {
                self.hold.comment(frame.raw, out);
            }
            return;
        }
        let mut verdict = self.caller.observe_frame(frame, &mut self.seen);
        if verdict == FrameVerdict::Invalid
            && self.from != Framing::EventStream
            && let Some(data) = self.mender.mend(frame.data)
        {
            // Half a character at its edge is no fault: it is relayed as it came.
            self.seen.skipped = self.seen.skipped.saturating_sub(1);
            verdict = self.caller.observe_frame(&Frame { data: &data, ..*frame }, &mut self.seen);
        }
        match verdict {
            FrameVerdict::Relay => self.data(frame, out),
            FrameVerdict::UsageOnly if self.withhold_usage => {}
            FrameVerdict::UsageOnly => self.data(frame, out),
            FrameVerdict::Terminator => self.terminator(frame, out),
            // The owner's `fail` writes it, once.
            FrameVerdict::Failure => {}
            // Counted by the codec.
            FrameVerdict::Invalid => {}
        }
    }

    fn data(&mut self, frame: &Frame<'_>, out: &mut Vec<u8>) {
        let hold = self.hold_last && self.seen.finish.is_some();
        self.put(frame, self.from, hold, out);
    }

    /// Held whatever comes: nobody knows yet whether the answer was whole.
    fn terminator(&mut self, frame: &Frame<'_>, out: &mut Vec<u8>) {
        self.seen.done = true;
        match self.caller.stream_terminator().is_empty() {
            // Without a finish reason the answer is cut: no end may say otherwise.
            true if self.seen.finish.is_none() => {}
            true => self.put(frame, self.from, true, out),
            false => self.hold.terminator(frame.raw),
        }
    }

    /// One frame of the given framing on its way to the caller.
    fn put(&mut self, frame: &Frame<'_>, framing: Framing, hold: bool, out: &mut Vec<u8>) {
        if framing == self.to {
            return self.hold.data(frame.raw, hold, out);
        }
        self.reframed.clear();
        self.to.write(&mut self.reframed, frame);
        self.hold.data(&self.reframed, hold, out);
    }

    fn failure(&mut self, failure: &Failure, request_id: &str, out: &mut Vec<u8>) {
        let begun = self.translation.as_mut().filter(|translation| translation.started);
        if self.to == self.spoken && begun.is_some_and(|translation| translation.encoder.fail(failure, out)) {
            return;
        }
        if self.translation.is_none() && self.to == self.spoken && !self.seen.head.id.is_empty() {
            return out.extend_from_slice(&openai_responses::failure_after(failure, &self.seen));
        }
        // Chunks carry exceptions beside the events of any wire.
        let dialect = if self.to == self.spoken { self.caller } else { &bedrock_converse::BedrockConverse };
        out.extend_from_slice(&dialect.encode_stream_failure(failure, request_id));
    }

    fn translate(&mut self, frame: &Frame<'_>, out: &mut Vec<u8>) {
        let Some(translation) = &mut self.translation else { return };
        let mut events = std::mem::take(&mut translation.events);
        if frame.data.is_empty() {
            events.extend(translation.started.then_some(Event::Ping));
        } else if let Err(_bad) = translation.decoder.frame(frame, &mut events) {
            events.clear();
            let mended = if self.from == Framing::EventStream { None } else { self.mender.mend(frame.data) };
            let again = mended.is_some_and(|data| {
                translation.decoder.frame(&Frame { data: &data, ..*frame }, &mut events).is_ok()
            });
            if !again {
                events.clear();
                self.seen.skipped = self.seen.skipped.saturating_add(1);
            }
        }
        self.seen.choices_ending = translation.decoder.ending();
        self.encode(&mut events, out);
        if let Some(translation) = &mut self.translation {
            translation.events = events;
        }
    }

    /// Notes and encodes events, and empties the list. The end and a failure are left to the owner.
    fn encode(&mut self, events: &mut Vec<Event>, out: &mut Vec<u8>) {
        for mut event in events.drain(..) {
            if self.is_complete() {
                continue;
            }
            self.translation.iter().for_each(|translation| translation.names.restore_step(&mut event));
            watch::note(&mut self.seen, &event);
            match event {
                Event::Finish { .. } if self.seen.failure.is_some() => {}
                Event::End | Event::Failure(_) => {}
                Event::Usage(usage) => self.encode_one(&Event::Usage(self.usage_style.apply(usage)), out),
                event => self.encode_one(&event, out),
            }
        }
    }

    fn encode_one(&mut self, event: &Event, out: &mut Vec<u8>) {
        let holds = self.hold_last && self.seen.finish.is_some();
        let Some(translation) = &mut self.translation else { return };
        translation.started = true;
        if !holds && self.to == self.spoken {
            self.hold.flush(out);
            return translation.encoder.event(event, out, &mut self.losses);
        }
        let mut tail = std::mem::take(&mut translation.tail);
        translation.encoder.event(event, &mut tail, &mut self.losses);
        self.sort(&tail, holds, out);
        tail.clear();
        if let Some(translation) = &mut self.translation {
            translation.tail = tail;
        }
    }

    /// Tells the frames of encoded bytes apart; with `hold` the last is held back.
    fn sort(&mut self, encoded: &[u8], hold: bool, out: &mut Vec<u8>) {
        let mut parser = FrameParser::new(self.spoken);
        let mut rest = encoded;
        while let Some(frame) = parser.frame_in(rest) {
            let length = frame.raw.len();
            if frame.data.is_empty() {
                if self.to == self.spoken {
                    self.hold.comment(frame.raw, out);
                }
            } else if frame.raw == self.caller.stream_terminator() {
                self.hold.terminator(frame.raw);
            } else {
                self.put(&frame, self.spoken, hold, out);
            }
            rest = rest.get(length..).unwrap_or_default();
        }
    }

    /// The provider's body ended, with or without its terminator.
    fn source_ended(&mut self, out: &mut Vec<u8>) {
        if self.is_complete() {
            return;
        }
        let Some(translation) = &mut self.translation else { return };
        let mut events = std::mem::take(&mut translation.events);
        translation.decoder.end(&mut events);
        let finishes = |event: &Event| matches!(event, Event::Finish { .. });
        if self.seen.finish.is_none() && !events.iter().any(finishes) {
            // Cut off: to close an open tool call would make it look whole.
            events.retain(|event| !matches!(event, Event::PartStop { .. }));
        }
        self.encode(&mut events, out);
    }

    fn close(&mut self, extra_fields: Option<&str>, out: &mut Vec<u8>) {
        let terminator = self.caller.stream_terminator();
        if let Some(translation) = &mut self.translation {
            let mut tail = Vec::new();
            translation.encoder.event(&Event::End, &mut tail, &mut self.losses);
            self.sort(&tail, true, out);
        } else if terminator.is_empty() && !self.seen.done {
            let closing = self.caller.closing_frame();
            self.sort(closing, true, out);
        }
        self.hold.close(extra_fields, terminator, self.to, out);
    }
}

/// The frame is closed by a blank line, or is nothing else.
fn ends_blank(raw: &[u8]) -> bool {
    let closed = [&b"\n\n"[..], b"\r\r", b"\n\r\n", b"\n\r", b"\r\r\n"];
    closed.iter().any(|end| raw.ends_with(end)) || raw.iter().all(|byte| matches!(byte, b'\n' | b'\r'))
}
