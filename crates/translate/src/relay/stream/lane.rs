//! What happens to one frame: looked at and passed on, or decoded and encoded anew.
//!
//! A lane knows neither chunks nor when the body ends: its [`StreamPipe`](super::StreamPipe) does.

use super::hold::Hold;
use super::splice::Splice;
use super::{Flow, watch};
use crate::frame::{Frame, FrameParser, Framing, Mender, is_exception};
use crate::ir::{Event, Failure, Usage};
use crate::loss::{Losses, UNCOUNTED};
use crate::provider::UsageStyle;
use crate::wire::{
    Dialect, FrameVerdict, Observation, StreamDecoder, StreamEncoder, ToolNames, bedrock_converse,
    openai_responses,
};

/// The way of one frame.
pub(super) struct Lane {
    pub(super) caller: &'static dyn Dialect,
    /// The framing in which the caller's codec writes.
    pub(super) spoken: Framing,
    /// The framing of the provider's bytes.
    pub(super) from: Framing,
    /// The framing of the caller's bytes.
    pub(super) to: Framing,
    pub(super) withhold_usage: bool,
    pub(super) hold_last: bool,
    /// Between wires only.
    pub(super) translation: Option<Translation>,
    pub(super) usage_style: UsageStyle,
    pub(super) seen: Observation,
    /// Frames with data so far.
    pub(super) events: u64,
    pub(super) losses: Losses,
    /// Input tokens as estimated, for a caller whose dialect has no answer without counts.
    pub(super) guess: Option<u64>,
    pub(super) hold: Hold,
    pub(super) mender: Mender,
    /// One frame in the caller's framing. Reused.
    pub(super) reframed: Vec<u8>,
}

pub(super) struct Translation {
    pub(super) decoder: Box<dyn StreamDecoder>,
    pub(super) encoder: Box<dyn StreamEncoder>,
    pub(super) names: ToolNames,
    /// Reused between frames.
    pub(super) events: Vec<Event>,
    /// The encoder got an event: signs of life may be passed on.
    pub(super) started: bool,
    /// The caller has the beginning of this answer from another provider.
    pub(super) splice: Option<Box<Splice>>,
    /// Encoded frames from the finish reason on, before they are told apart. Reused.
    pub(super) tail: Vec<u8>,
}

/// What ends without a finish reason is cut off: to close an open part would make it look whole.
pub(super) fn keep_open(events: &mut Vec<Event>, finished: bool) {
    let finishes = |event: &Event| matches!(event, Event::Finish { .. });
    if !finished && !events.iter().any(finishes) {
        events.retain(|event| !matches!(event, Event::PartStop { .. }));
    }
}

impl Lane {
    pub(super) fn frame(&mut self, frame: &Frame<'_>, out: &mut Vec<u8>) -> Flow {
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

    pub(super) fn is_complete(&self) -> bool {
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

    pub(super) fn failure(&mut self, failure: &Failure, request_id: &str, out: &mut Vec<u8>) {
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
        if events.iter().any(|event| matches!(event, Event::End)) {
            keep_open(&mut events, self.seen.finish.is_some());
        }
        self.seen.choices_ending = translation.decoder.ending();
        self.encode(&mut events, out);
        if let Some(translation) = &mut self.translation {
            translation.events = events;
        }
    }

    /// Notes and encodes events, and empties the list. The end and a failure are left to the owner.
    pub(super) fn encode(&mut self, events: &mut Vec<Event>, out: &mut Vec<u8>) {
        for mut event in events.drain(..) {
            if self.is_complete() {
                continue;
            }
            self.translation.iter().for_each(|translation| translation.names.restore_step(&mut event));
            watch::note(&mut self.seen, &event);
            match event {
                Event::Finish { .. } if self.seen.failure.is_some() => {}
                Event::End | Event::Failure(_) => {}
                Event::Usage(usage) => self.turn(&Event::Usage(self.usage_style.apply(usage)), out),
                event => self.turn(&event, out),
            }
        }
    }

    /// Makes an event fit what the caller has, where that began at another provider.
    fn turn(&mut self, event: &Event, out: &mut Vec<u8>) {
        match self.translation.as_mut().and_then(|translation| translation.splice.as_mut()) {
            None => self.encode_one(event, out),
            Some(splice) => splice.turned(event).iter().for_each(|event| self.encode_one(event, out)),
        }
    }

    /// The seam of an answer that began at another provider.
    pub(super) fn splice(&self) -> Option<&Splice> {
        self.translation.as_ref()?.splice.as_deref()
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
    pub(super) fn source_ended(&mut self, out: &mut Vec<u8>) {
        if self.is_complete() {
            return;
        }
        let Some(translation) = &mut self.translation else { return };
        let mut events = std::mem::take(&mut translation.events);
        translation.decoder.end(&mut events);
        keep_open(&mut events, self.seen.finish.is_some());
        self.encode(&mut events, out);
    }

    /// Counts that never came, where the caller's dialect has no answer without.
    fn guessed(&self) -> Option<Usage> {
        let input = self.guess.filter(|_| self.translation.is_some() && self.seen.usage.is_none())?;
        let output = self.seen.output_chars.div_ceil(4);
        let usage = Usage { input_uncached: input, output, ..Usage::default() };
        self.caller.always_counts().then_some(usage)
    }

    /// Nothing comes any more: of a whole answer without counts it is said that they are guessed.
    pub(super) fn miss_counts(&mut self) {
        if self.seen.finish.is_some() && self.seen.failure.is_none() && self.guessed().is_some() {
            self.losses.report("usage", UNCOUNTED);
        }
    }

    pub(super) fn close(&mut self, extra_fields: Option<&str>, out: &mut Vec<u8>) {
        let terminator = self.caller.stream_terminator();
        let guessed = self.guessed();
        if let Some(translation) = &mut self.translation {
            let mut tail = Vec::new();
            if let Some(usage) = guessed {
                translation.encoder.event(&Event::Usage(usage), &mut tail, &mut self.losses);
            }
            translation.encoder.event(&Event::End, &mut tail, &mut self.losses);
            self.sort(&tail, true, out);
        } else if terminator.is_empty() && !self.seen.done {
            let closing = self.caller.closing_frame();
            self.sort(closing, true, out);
        }
        self.hold.close(extra_fields, terminator, self.to, out);
    }
}
