//! A stream that broke after its first token, gone on with by another.
//!
//! A pipe that may have to be gone on with remembers what came through it. When it breaks, its caller's encoder is taken
//! out, standing where the caller stands: between wires it is there, and for a relay one is made and led through the same
//! events. A new pipe over another provider's stream then writes on with it. Whether to go on is the owner's to decide.

use super::lane::{Translation, keep_open};
use super::splice::Splice;
use super::{StreamPipe, StreamPipeOptions};
use crate::Wire;
use crate::frame::{Frame, FrameParser, Framing, Mender};
use crate::ir::{Event, Failure, Usage};
use crate::loss::Losses;
use crate::wire::{Dialect, Echo, StreamDecoder, StreamEncoder};

#[cfg(test)]
mod tests;

/// Bytes that are kept before they are read: most streams never break, and short ones are never read. All that run at
/// once keep as much.
const UNREAD: usize = 16 * 1024;

/// What came through a pipe.
pub(super) struct Memory {
    recent: Vec<u8>,
    reader: Reader,
    splice: Splice,
}

/// Reads what was remembered.
struct Reader {
    parser: FrameParser,
    decoder: Box<dyn StreamDecoder>,
    /// Of a relay: led to where the caller stands.
    encoder: Option<Box<dyn StreamEncoder>>,
    mender: Mender,
    /// What the encoder holds of ids and numbers is what the caller saw.
    fits: bool,
}

/// A stream that broke, with all that going on with it takes.
pub struct Broken {
    caller: &'static dyn Dialect,
    wire: Wire,
    to: Framing,
    encoder: Box<dyn StreamEncoder>,
    splice: Splice,
    /// The last frame of a body that ended: the caller has not had it, and who goes on was told that it has.
    held: Vec<u8>,
}

impl std::fmt::Debug for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Broken").field("splice", &self.splice).finish_non_exhaustive()
    }
}

impl Broken {
    /// The text that the caller has, without the white space at its end. Empty: nothing but reasoning was said, and the
    /// answer is begun anew behind it.
    #[must_use]
    pub fn text(&self) -> &str {
        self.splice.text()
    }

    /// Characters of text and reasoning that the caller has.
    #[must_use]
    pub fn chars(&self) -> u64 {
        self.splice.chars()
    }

    /// Counts of all attempts so far.
    #[must_use]
    pub fn spent(&self) -> Usage {
        self.splice.before()
    }

    /// The dialect's error event, behind what the caller has.
    #[must_use]
    pub fn fail(self, failure: &Failure, request_id: &str) -> Vec<u8> {
        let (wire, to) = (self.wire, self.to);
        let mut pipe = StreamPipe::resumed(wire, self, false).with_framing(wire.framing(), to);
        let mut out = Vec::new();
        pipe.fail(failure, request_id, &mut out);
        out
    }
}

impl StreamPipe {
    /// Remembers what comes, so that [`Self::break_off`] can hand it on. Before the first [`Self::push`], behind
    /// [`Self::with_framing`]. `options` are those the pipe was made with.
    #[must_use]
    pub fn with_memory(mut self, mut options: StreamPipeOptions) -> Self {
        let translated = self.lane.translation.is_some();
        // The caller of a relay saw the provider's name for the model.
        options.echo.model.clear();
        let reader = Reader {
            parser: FrameParser::new(self.lane.from),
            decoder: options.upstream.codec().stream_decoder(),
            encoder: (!translated).then(|| self.lane.caller.stream_encoder(options.echo)),
            mender: Mender::default(),
            fits: true,
        };
        let splice = Splice::default();
        self.memory = Some(Box::new(Memory { recent: Vec::new(), reader, splice }));
        self
    }

    /// The text so far, without white space at its end, where the stream can be gone on with: it broke behind its first
    /// token, and what was said allows it. Reads what was remembered, so it is for streams that did break.
    pub fn said(&mut self) -> Option<&str> {
        let drained = self.drained;
        let seen = &self.lane.seen;
        if self.closed || seen.finish.is_some() {
            return None;
        }
        let unsigned = matches!(self.wire, Wire::Anthropic | Wire::BedrockConverse | Wire::OpenAiResponses);
        let fits = |splice: &Splice| splice.is_open() && !(unsigned && splice.is_thinking());
        if let Some(splice) = self.lane.splice() {
            return fits(splice).then(|| splice.text());
        }
        let ending = seen.choices_ending != 0;
        let memory = self.memory.as_mut().filter(|_| !ending)?;
        memory.read();
        if drained {
            memory.finish();
        }
        (memory.reader.fits && fits(&memory.splice)).then(|| memory.splice.text())
    }

    /// Takes out what going on takes, where [`Self::said`] gives any. `spent` is what this attempt consumed. The pipe is of
    /// no use any more.
    pub fn break_off(&mut self, spent: &Usage) -> Option<Broken> {
        self.said()?;
        let (encoder, mut splice) = match (self.lane.translation.take(), self.memory.take()) {
            (Some(Translation { encoder, splice: Some(splice), .. }), _) => (encoder, *splice),
            (Some(Translation { encoder, .. }), Some(memory)) => (encoder, memory.splice),
            (None, Some(memory)) => (memory.reader.encoder?, memory.splice),
            _ => return None,
        };
        self.closed = true;
        splice.turn_over(spent);
        let mut held = Vec::new();
        self.lane.hold.flush(&mut held);
        Some(Broken { caller: self.lane.caller, wire: self.wire, to: self.lane.to, encoder, splice, held })
    }

    /// A pipe over the stream of a provider on `upstream` that goes on where `broken` stopped.
    #[must_use]
    pub fn resumed(upstream: Wire, broken: Broken, hold_last: bool) -> Self {
        let options = StreamPipeOptions {
            caller: broken.wire,
            upstream,
            echo: Echo::default(),
            withhold_usage: false,
            hold_last,
        };
        let mut pipe = Self::towards(options, broken.caller);
        pipe.lane.to = broken.to;
        pipe.lane.hold.data(&broken.held, true, &mut Vec::new());
        if let Some(translation) = &mut pipe.lane.translation {
            translation.encoder = broken.encoder;
            translation.started = true;
            let before = broken.splice.before();
            translation.splice = Some(Box::new(broken.splice));
            // Where the provider tells no counts, those of the attempts before are told.
            translation.encoder.event(&Event::Usage(before), &mut Vec::new(), &mut Losses::default());
        }
        pipe
    }
}

impl Memory {
    /// Takes what came. False: it is more than is kept, and the stream cannot be gone on with.
    pub(super) fn take(&mut self, chunk: &[u8]) -> bool {
        if self.recent.len().saturating_add(chunk.len()) > UNREAD {
            self.read();
        }
        self.recent.extend_from_slice(chunk);
        !self.splice.is_too_long()
    }

    fn read(&mut self) {
        self.reader.parser.push(&self.recent);
        self.recent.clear();
        self.recent.shrink_to(UNREAD);
        while let Some(frame) = self.reader.parser.next_frame() {
            let reading = Reading { decoder: &mut self.reader.decoder, mender: &mut self.reader.mender };
            self.reader.fits = reading.frame(&frame, &mut self.reader.encoder, &mut self.splice);
        }
    }

    /// The body ended: what stands there without its end is a frame too.
    fn finish(&mut self) {
        while let Some(frame) = self.reader.parser.finish() {
            let reading = Reading { decoder: &mut self.reader.decoder, mender: &mut self.reader.mender };
            self.reader.fits = reading.frame(&frame, &mut self.reader.encoder, &mut self.splice);
        }
    }
}

struct Reading<'r> {
    decoder: &'r mut Box<dyn StreamDecoder>,
    mender: &'r mut Mender,
}

impl Reading<'_> {
    /// Notes what a frame says. False: the encoder does not stand where the caller does.
    fn frame(
        self,
        frame: &Frame<'_>,
        encoder: &mut Option<Box<dyn StreamEncoder>>,
        splice: &mut Splice,
    ) -> bool {
        let mut events = Vec::new();
        if self.decoder.frame(frame, &mut events).is_err() {
            events.clear();
            if let Some(data) = self.mender.mend(frame.data)
                && self.decoder.frame(&Frame { data: &data, ..*frame }, &mut events).is_err()
            {
                events.clear();
            }
        }
        if events.iter().any(|event| matches!(event, Event::End)) {
            // The end that the caller did not get.
            keep_open(&mut events, !splice.is_open());
        }
        for event in &events {
            splice.note(event);
            let ends = matches!(event, Event::End | Event::Failure(_) | Event::Finish { .. });
            if let Some(encoder) = encoder.as_mut().filter(|_| !ends) {
                encoder.event(event, &mut Vec::new(), &mut Losses::default());
            }
        }
        encoder.as_mut().is_none_or(|encoder| frame.data.is_empty() || encoder.adopt(frame))
    }
}
