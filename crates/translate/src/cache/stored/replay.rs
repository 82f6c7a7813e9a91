//! A kept answer as a stream.
//!
//! The steps are those of a provider's stream, in pieces that a reader would call words, so that whoever sends them
//! may take its time between two. They go through the same pipe as a provider's, which adds what ends a stream.

use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::Value;

use super::{Stored, opaque};
use crate::ir::{Delta, Event, Extra, Part, PartKind};
use crate::loss::Losses;
use crate::relay::{StreamPipe, StreamPipeOptions};
use crate::wire::{Dialect, Echo, Wire};

/// A run without a space, such as base64, is cut into pieces of about this many characters.
const LONGEST_WORD: usize = 48;

/// How large the pieces are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grain {
    /// Every text in one piece: for a replay at full speed.
    Whole,
    /// So many words at a time; 0 counts as 1. A sign of a script without spaces is a word.
    Words(usize),
}

/// The steps of a stream, one part of the answer at a time.
#[derive(Debug)]
pub struct Steps {
    stored: Arc<Stored>,
    grain: Grain,
    ready: VecDeque<Event>,
    place: Place,
}

#[derive(Debug, Clone, Copy)]
enum Place {
    Start,
    Part { choice: usize, part: usize },
    End,
    Done,
}

impl Steps {
    /// From the beginning.
    #[must_use]
    pub fn new(stored: Arc<Stored>, grain: Grain) -> Self {
        Self { stored, grain, ready: VecDeque::new(), place: Place::Start }
    }

    fn refill(&mut self) {
        let response = &self.stored.response;
        self.place = match self.place {
            Place::Start => {
                let (id, model) = (response.id.clone(), response.model.clone());
                self.ready.push_back(Event::Start { id, model, created: response.created });
                let lost =
                    |loss: &crate::Loss| Event::Lost { path: loss.path.clone(), reason: loss.reason.clone() };
                self.ready.extend(self.stored.losses.iter().map(lost));
                Place::Part { choice: 0, part: 0 }
            }
            Place::Part { choice, part } => match response.choices.get(choice) {
                None => Place::End,
                Some(of) => match of.parts.get(part) {
                    None => Place::Part { choice: choice + 1, part: 0 },
                    Some(one) => {
                        self.part(choice, part, &one.clone());
                        Place::Part { choice, part: part + 1 }
                    }
                },
            },
            Place::End => {
                self.end();
                Place::Done
            }
            Place::Done => Place::Done,
        };
    }

    fn part(&mut self, choice: usize, part: usize, of: &Part) {
        let numbers = (u32::try_from(choice), u32::try_from(part));
        let (Ok(choice_number), Ok(number)) = numbers else { return };
        self.lose(&format!("choices[{choice}].parts[{part}]"), extra_of(of));
        let Some((kind, deltas)) = self.opened((choice, part), of) else {
            let path = format!("choices[{choice}].parts[{part}]");
            let reason = "a streamed answer has no place for it".to_owned();
            return self.ready.push_back(Event::Lost { path, reason });
        };
        // They come beside the text that they are of; which of it, nobody tells.
        let logprobs = self.logprobs(choice).filter(|_| self.last_text(choice) == Some(part));
        let (choice, part) = (choice_number, number);
        self.ready.push_back(Event::PartStart { choice, part, kind });
        self.ready.extend(deltas.into_iter().map(|delta| Event::PartDelta { choice, part, delta }));
        self.ready.extend(logprobs.map(|value| Event::Logprobs { choice, value }));
        self.ready.push_back(Event::PartStop { choice, part });
    }

    fn opened(&self, (choice, part): (usize, usize), of: &Part) -> Option<(PartKind, Vec<Delta>)> {
        Some(match of {
            Part::Text(text) => {
                let mut deltas = self.pieces(&text.text, Delta::Text);
                deltas.extend(text.citations.iter().map(|one| Delta::Citation(Box::new(one.clone()))));
                (PartKind::Text, deltas)
            }
            Part::Refusal(text) => (PartKind::Refusal, self.pieces(text, Delta::Refusal)),
            Part::Thinking(thinking) => {
                let mut deltas = self.pieces(&thinking.text, Delta::Thinking);
                deltas.extend(thinking.signature.clone().map(Delta::Signature));
                (PartKind::Thinking, deltas)
            }
            Part::RedactedThinking { data, .. } => {
                (PartKind::RedactedThinking { data: data.clone() }, Vec::new())
            }
            Part::Image(image) => (PartKind::Image(Box::new(image.clone())), Vec::new()),
            Part::ToolCall(call) => {
                let kind = PartKind::ToolCall { id: call.id.clone(), name: call.name.clone() };
                (kind, self.pieces(&call.arguments, Delta::Arguments))
            }
            Part::Opaque { wire, value } => {
                let came = self.stored.streamed.iter().find(|one| (one.choice, one.part) == (choice, part));
                let (start, deltas) = match came {
                    Some(came) => (came.start.clone(), came.deltas.clone()),
                    None => opaque::unfolded(value),
                };
                (
                    PartKind::Opaque { wire: *wire, value: start },
                    deltas.into_iter().map(Delta::Opaque).collect(),
                )
            }
            Part::Document(_) | Part::Audio { .. } | Part::ToolResult(_) => return None,
        })
    }

    fn pieces(&self, text: &str, delta: fn(String) -> Delta) -> Vec<Delta> {
        match self.grain {
            _ if text.is_empty() => Vec::new(),
            Grain::Whole => vec![delta(text.to_owned())],
            Grain::Words(words) => {
                Pieces { rest: text, words: words.max(1) }.map(|piece| delta(piece.to_owned())).collect()
            }
        }
    }

    fn end(&mut self) {
        let response = &self.stored.response;
        let mut events = Vec::new();
        for (choice, index) in (0_u32..).zip(0..response.choices.len()) {
            let untold = self.logprobs(index).filter(|_| self.last_text(index).is_none());
            events.extend(untold.map(|value| Event::Logprobs { choice, value }));
        }
        for (choice, of) in (0_u32..).zip(&response.choices) {
            events.extend(of.finish.clone().map(|finish| Event::Finish { choice, finish }));
        }
        events.extend(response.usage.map(Event::Usage));
        events.push(Event::End);
        self.ready.extend(events);
    }

    fn logprobs(&self, choice: usize) -> Option<Value> {
        self.stored.response.choices.get(choice)?.logprobs.clone()
    }

    fn last_text(&self, choice: usize) -> Option<usize> {
        let parts = &self.stored.response.choices.get(choice)?.parts;
        parts.iter().rposition(|part| matches!(part, Part::Text(_)))
    }

    /// Leftovers of a whole answer: events have no place for them.
    fn lose(&mut self, path: &str, extra: Option<&Extra>) {
        for name in extra.map(Extra::names).unwrap_or_default() {
            let reason = "a streamed answer has no place for it".to_owned();
            self.ready.push_back(Event::Lost { path: format!("{path}.{name}"), reason });
        }
    }
}

impl Iterator for Steps {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        while self.ready.is_empty() && !matches!(self.place, Place::Done) {
            self.refill();
        }
        self.ready.pop_front()
    }
}

fn extra_of(part: &Part) -> Option<&Extra> {
    match part {
        Part::Text(text) => Some(&text.extra),
        Part::ToolCall(call) => Some(&call.extra),
        Part::Thinking(thinking) => Some(&thinking.extra),
        Part::RedactedThinking { extra, .. } => Some(extra),
        // Images go with theirs.
        _ => None,
    }
}

/// The words of a text, each with the spaces behind it. Together they are the text.
struct Pieces<'t> {
    rest: &'t str,
    words: usize,
}

impl<'t> Iterator for Pieces<'t> {
    type Item = &'t str;

    fn next(&mut self) -> Option<&'t str> {
        if self.rest.is_empty() {
            return None;
        }
        let (piece, rest) = self.rest.split_at(self.cut());
        self.rest = rest;
        Some(piece)
    }
}

impl Pieces<'_> {
    /// Where the piece ends, in bytes; never 0, and never inside of what is shown as one sign.
    fn cut(&self) -> usize {
        let mut left = self.words;
        let mut run = 0;
        let mut before: Option<char> = None;
        for (at, sign) in self.rest.char_indices() {
            if let Some(last) = before
                && !clings(sign)
                && last != JOINER
                && !(is_flag(last) && is_flag(sign))
            {
                let ends = (last.is_whitespace() && !sign.is_whitespace())
                    || (is_sign(last) && !sign.is_whitespace() && !is_mark(sign))
                    || run >= LONGEST_WORD;
                if ends {
                    left -= 1;
                    run = 0;
                }
                if left == 0 {
                    return at;
                }
            }
            run += 1;
            before = Some(sign);
        }
        self.rest.len()
    }
}

const JOINER: char = '\u{200d}';

/// Shown with the sign before it.
fn clings(sign: char) -> bool {
    matches!(sign, '\u{300}'..='\u{36f}' | JOINER | '\u{fe00}'..='\u{fe0f}' | '\u{20d0}'..='\u{20ff}' | '\u{1f3fb}'..='\u{1f3ff}' | '\u{e0020}'..='\u{e007f}')
}

fn is_flag(sign: char) -> bool {
    matches!(sign, '\u{1f1e6}'..='\u{1f1ff}')
}

/// A word by itself.
fn is_sign(sign: char) -> bool {
    matches!(sign, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{3000}'..='\u{303f}' | '\u{ff00}'..='\u{ffef}')
}

/// Punctuation that belongs to the word before it.
fn is_mark(sign: char) -> bool {
    matches!(
        sign,
        '\u{3001}'
            | '\u{3002}'
            | '\u{ff0c}'
            | '\u{ff01}'
            | '\u{ff1f}'
            | '\u{ff1a}'
            | '\u{ff1b}'
            | '」'
            | '』'
            | '）'
            | ','
            | '.'
            | '!'
            | '?'
    )
}

/// A kept answer on its way to a caller.
pub struct Replay {
    steps: Steps,
    pipe: StreamPipe,
}

impl Replay {
    /// A stream for a caller of `dialect`, whose name is `wire`. With `hold_last` extra fields will be given at the end.
    #[must_use]
    pub fn new(
        steps: Steps,
        (dialect, wire): (&'static dyn Dialect, Wire),
        echo: Echo,
        hold_last: bool,
    ) -> Self {
        let options =
            StreamPipeOptions { caller: wire, upstream: wire, echo, withhold_usage: false, hold_last };
        Self { steps, pipe: StreamPipe::towards(options, dialect) }
    }

    /// The pipe, before the first piece: for a framing that is not the wire's own.
    #[must_use]
    pub fn through(mut self, change: impl FnOnce(StreamPipe) -> StreamPipe) -> Self {
        self.pipe = change(self.pipe);
        self
    }

    /// Appends the next piece to `out`, in whole frames. False: there was none left, [`Self::end`] follows.
    pub fn next(&mut self, out: &mut Vec<u8>) -> bool {
        let before = out.len();
        for event in self.steps.by_ref() {
            self.pipe.play(event, out);
            if out.len() > before {
                return true;
            }
        }
        false
    }

    /// Appends what ends the stream, with `extra_fields` (JSON) in the last data frame.
    pub fn end(&mut self, extra_fields: Option<&str>, out: &mut Vec<u8>) -> bool {
        while self.next(out) {}
        self.pipe.end(extra_fields, out)
    }

    /// What the dialect could not carry so far.
    #[must_use]
    pub fn losses(&self) -> &Losses {
        self.pipe.losses()
    }
}

impl std::fmt::Debug for Replay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Replay").field("steps", &self.steps).finish_non_exhaustive()
    }
}
