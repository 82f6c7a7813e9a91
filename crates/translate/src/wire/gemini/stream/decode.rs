//! Provider chunks into events.
//!
//! A run of text or of thoughts is one part until something else comes; a call comes whole. The finish
//! reason is held until the body ends: there is no terminator, and older surfaces set it on every chunk.

use std::fmt::Display;

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::Wire;
use crate::frame::Frame;
use crate::ir::{Delta, Event, Finish, Image, Part, PartKind, Signature, Usage};
use crate::wire::fields::Path;
use crate::wire::gemini::types::{Call, Candidate, Chunk, WirePart, speaks, text};
use crate::wire::gemini::{citation, error, finish, logprobs, moment, parts};
use crate::wire::told::{Told, says_nothing};
use crate::wire::{BadFrame, StreamDecoder};

/// The state of one provider stream.
#[derive(Debug, Default)]
pub(in crate::wire::gemini) struct Decoder {
    started: bool,
    /// A failure was seen or the body ended: nothing follows.
    done: bool,
    choices: Vec<Choice>,
    usage: Option<Usage>,
    told: Told,
}

#[derive(Debug, Default)]
struct Choice {
    index: u32,
    next_part: u32,
    open: Option<Open>,
    /// A signature that came at the end of a text: it follows the text, which stays whole.
    tail: Option<String>,
    called: bool,
    /// The text parts so far: sources count bytes of them.
    texts: Vec<(u32, String)>,
    searches: u64,
    finish: Option<Ending>,
}

#[derive(Debug)]
enum Ending {
    /// The provider's word and its explanation.
    Told(String, Option<String>),
    Blocked(Finish),
}

#[derive(Debug, Clone, Copy)]
struct Open {
    part: u32,
    thought: bool,
    signed: bool,
}

impl StreamDecoder for Decoder {
    fn frame(&mut self, frame: &Frame<'_>, out: &mut Vec<Event>) -> Result<(), BadFrame> {
        let data = frame.data.trim_ascii();
        if self.done {
            return Ok(());
        }
        if data.is_empty() {
            if !frame.raw.is_empty() {
                out.push(Event::Ping);
            }
            return Ok(());
        }
        // Checked once as a whole: cheaper than string by string.
        let Ok(json) = std::str::from_utf8(data) else { return Err(BadFrame("it is not UTF-8".to_owned())) };
        let chunk: Chunk<'_> = match serde_json::from_str(json) {
            Ok(chunk) => chunk,
            Err(error) => return self.unreadable(data, &error.to_string(), out),
        };
        if speaks(chunk.error) {
            return self.unreadable(data, "an error without a message", out);
        }
        if chunk.candidates.is_none() && chunk.usage.is_none() && chunk.feedback.is_none() {
            return self.unreadable(data, "it has no `candidates`", out);
        }
        self.chunk(&chunk, out);
        Ok(())
    }

    fn end(&mut self, out: &mut Vec<Event>) {
        if !std::mem::replace(&mut self.done, true) {
            self.choices.iter_mut().for_each(|choice| choice.end(out));
        }
    }

    fn ending(&self) -> u64 {
        let held = self.choices.iter().filter(|choice| choice.finish.is_some());
        held.fold(0, |bits, choice| bits | 1_u64.checked_shl(choice.index).unwrap_or(0))
    }
}

impl Decoder {
    /// An error of any shape ends the stream; anything else is no event of this wire.
    fn unreadable(&mut self, data: &[u8], why: &str, out: &mut Vec<Event>) -> Result<(), BadFrame> {
        let Some(failure) = error::recognise(data) else { return Err(BadFrame(why.to_owned())) };
        self.done = true;
        out.push(Event::Failure(failure));
        Ok(())
    }

    fn chunk(&mut self, chunk: &Chunk<'_>, out: &mut Vec<Event>) {
        if !self.started {
            self.started = true;
            let (id, model) = (text(&chunk.id).to_owned(), text(&chunk.model).to_owned());
            let created = moment::unix_seconds(text(&chunk.created));
            out.push(Event::Start { id, model, created });
        }
        for (name, raw) in &chunk.rest {
            tell(&mut self.told, "chunk", (name, raw), "", out);
        }
        for candidate in chunk.candidates.as_deref().unwrap_or_default() {
            self.candidate(candidate, out);
        }
        if let Some(raw) = chunk.feedback {
            self.feedback(raw, out);
        }
        if let Some(counts) = &chunk.usage {
            for name in counts.rest() {
                self.told.once("usage", name, "usageMetadata", out);
            }
            let searches = self.choices.iter().map(|choice| choice.searches).sum();
            let usage = Usage { web_searches: searches, ..counts.usage() };
            if self.usage.replace(usage) != Some(usage) {
                out.push(Event::Usage(usage));
            }
        }
    }

    /// The prompt was refused: nothing will be said.
    fn feedback(&mut self, raw: &RawValue, out: &mut Vec<Event>) {
        let Ok(feedback) = serde_json::from_str::<Value>(raw.get()) else { return };
        match finish::blocked(&feedback) {
            Some(finish) => {
                let place = self.place(0);
                if let Some(choice) = self.choices.get_mut(place) {
                    choice.finish.get_or_insert(Ending::Blocked(finish));
                }
            }
            None => tell(&mut self.told, "chunk", ("promptFeedback", raw), "", out),
        }
    }

    fn place(&mut self, index: u32) -> usize {
        let known = self.choices.iter().position(|choice| choice.index == index);
        known.unwrap_or_else(|| {
            self.choices.push(Choice { index, ..Choice::default() });
            self.choices.len() - 1
        })
    }

    fn candidate(&mut self, candidate: &Candidate<'_>, out: &mut Vec<Event>) {
        let index = candidate.index.map_or(0, |index| u32::try_from(index.get()).unwrap_or(0));
        let at = format_args!("candidates[{index}]");
        let told = &mut self.told;
        for (name, raw) in &candidate.rest {
            tell(told, "candidate", (name, raw), at, out);
        }
        for (name, raw) in candidate.content.iter().flat_map(|content| &content.rest) {
            tell(told, "content", (name, raw), format_args!("{at}.content"), out);
        }
        let place = self.place(index);
        let Some(choice) = self.choices.get_mut(place) else { return };
        let told = &mut self.told;
        let content = candidate.content.as_ref();
        for part in content.and_then(|content| content.parts.as_deref()).unwrap_or_default() {
            choice.part(part, told, out);
        }
        for (name, raw) in
            [("groundingMetadata", candidate.grounding), ("citationMetadata", candidate.citations)]
        {
            if let Some(Ok(value)) = raw.map(|raw| serde_json::from_str(raw.get())) {
                choice.sources(name, value, told, out);
            }
        }
        if let Some(raw) = candidate.logprobs
            && let Ok(value) = serde_json::from_str::<Value>(raw.get())
        {
            out.push(Event::Logprobs { choice: index, value: logprobs::read(&value) });
        }
        let word = text(&candidate.finish);
        if !word.is_empty() && word != "FINISH_REASON_UNSPECIFIED" {
            let message = candidate.message.as_ref().map(|message| message.0.clone().into_owned());
            choice.finish = Some(Ending::Told(word.to_owned(), message));
        }
    }
}

impl Choice {
    fn part(&mut self, part: &WirePart<'_>, told: &mut Told, out: &mut Vec<Event>) {
        let said = text(&part.text);
        let signature = text(&part.signature);
        let thought = part.thought == Some(true);
        if let Some(call) = &part.call {
            self.rest(part, told, out);
            return self.call(call, signature, told, out);
        }
        if part.text.is_none() && !part.rest.is_empty() {
            return self.opaque(part, out);
        }
        self.rest(part, told, out);
        if thought {
            self.prose(true, said, out);
            if !signature.is_empty() {
                let part = self.open(true, out);
                self.sign(part, signature, out);
            }
            return;
        }
        match (signature.is_empty(), self.open) {
            (true, _) => self.prose(false, said, out),
            (false, Some(Open { thought: false, .. })) => {
                self.prose(false, said, out);
                self.tail = Some(signature.to_owned());
            }
            (false, _) => {
                self.signed(signature, out);
                self.prose(false, said, out);
            }
        }
    }

    /// Members that neither the pivot nor an opaque part has a place for.
    fn rest(&self, part: &WirePart<'_>, told: &mut Told, out: &mut Vec<Event>) {
        for (name, raw) in &part.rest {
            let at = format_args!("candidates[{}].content.parts[]", self.index);
            tell(told, "part", (name, raw), at, out);
        }
    }

    fn prose(&mut self, thought: bool, said: &str, out: &mut Vec<Event>) {
        if said.is_empty() {
            return;
        }
        if self.tail.is_some() || self.open.is_some_and(|open| open.signed) {
            // What comes behind a signature is the next part.
            self.close(out);
        }
        let part = self.open(thought, out);
        if !thought && let Some((_, text)) = self.texts.last_mut() {
            text.push_str(said);
        }
        let said = said.to_owned();
        let delta = if thought { Delta::Thinking(said) } else { Delta::Text(said) };
        out.push(Event::PartDelta { choice: self.index, part, delta });
    }

    /// The open part of this kind; one of the other kind is closed first.
    fn open(&mut self, thought: bool, out: &mut Vec<Event>) -> u32 {
        match self.open {
            Some(open) if open.thought == thought && !open.signed => return open.part,
            _ => self.close(out),
        }
        let part = self.start(if thought { PartKind::Thinking } else { PartKind::Text }, out);
        if !thought {
            self.texts.push((part, String::new()));
        }
        self.open = Some(Open { part, thought, signed: false });
        part
    }

    fn start(&mut self, kind: PartKind, out: &mut Vec<Event>) -> u32 {
        let part = self.next_part;
        self.next_part = part.saturating_add(1);
        out.push(Event::PartStart { choice: self.index, part, kind });
        part
    }

    fn stop(&self, part: u32, out: &mut Vec<Event>) {
        out.push(Event::PartStop { choice: self.index, part });
    }

    fn sign(&mut self, part: u32, signature: &str, out: &mut Vec<Event>) {
        let delta = Delta::Signature(Signature::of(Wire::Gemini, signature));
        out.push(Event::PartDelta { choice: self.index, part, delta });
        if let Some(open) = &mut self.open {
            open.signed = true;
        }
    }

    /// The signature of the part that comes next, or of what came before: a reasoning part without text.
    fn signed(&mut self, signature: &str, out: &mut Vec<Event>) {
        self.close(out);
        let part = self.start(PartKind::Thinking, out);
        self.sign(part, signature, out);
        self.stop(part, out);
    }

    fn close(&mut self, out: &mut Vec<Event>) {
        if let Some(open) = self.open.take() {
            self.stop(open.part, out);
        }
        if let Some(signature) = self.tail.take() {
            self.signed(&signature, out);
        }
    }

    /// Comes whole. Arguments in pieces are sent to those only who asked for them in Vertex' own words.
    fn call(&mut self, call: &Call<'_>, signature: &str, told: &mut Told, out: &mut Vec<Event>) {
        for (name, raw) in &call.rest {
            let at = format_args!("candidates[{}].content.parts[].functionCall", self.index);
            tell(told, "call", (name, raw), at, out);
        }
        match signature {
            "" => self.close(out),
            signature => self.signed(signature, out),
        }
        self.called = true;
        let kind = PartKind::ToolCall { id: text(&call.id).to_owned(), name: text(&call.name).to_owned() };
        let part = self.start(kind, out);
        let args = call.args.map_or("{}", RawValue::get).to_owned();
        out.push(Event::PartDelta { choice: self.index, part, delta: Delta::Arguments(args) });
        self.stop(part, out);
    }

    /// An image, or a kind of part that no other wire has: code that was run, what the provider's tools said.
    fn opaque(&mut self, part: &WirePart<'_>, out: &mut Vec<Event>) {
        let mut map = Map::new();
        for (name, raw) in &part.rest {
            map.insert(name.clone().into_owned(), serde_json::from_str(raw.get()).unwrap_or_default());
        }
        let drawn = if part.thought == Some(true) { None } else { image(&map) };
        let kind = match drawn {
            Some(image) => {
                match text(&part.signature) {
                    "" => self.close(out),
                    signature => self.signed(signature, out),
                }
                PartKind::Image(Box::new(image))
            }
            None => {
                if let Some(thought) = part.thought {
                    map.insert("thought".to_owned(), thought.into());
                }
                if let Some(signature) = &part.signature {
                    map.insert("thoughtSignature".to_owned(), signature.0.as_ref().into());
                }
                self.close(out);
                PartKind::Opaque { wire: Wire::Gemini, value: Value::Object(map) }
            }
        };
        let part = self.start(kind, out);
        self.stop(part, out);
    }

    fn sources(&mut self, name: &'static str, metadata: Value, told: &mut Told, out: &mut Vec<Event>) {
        self.searches = self.searches.max(citation::searches(&metadata));
        let texts: Vec<(u64, &str)> = self.texts.iter().map(|(_, text)| (u64::MAX, text.as_str())).collect();
        for (slot, citation) in citation::read(&metadata, &texts) {
            if let Some((part, _)) = self.texts.get(slot) {
                let delta = Delta::Citation(Box::new(citation));
                out.push(Event::PartDelta { choice: self.index, part: *part, delta });
            }
        }
        let Value::Object(metadata) = metadata else { return };
        for (inner, value) in citation::rest(metadata) {
            if !says_nothing(&value) {
                told.once(name, &inner, format_args!("candidates[{}].{name}", self.index), out);
            }
        }
    }

    /// Closes what is open and tells the finish reason, when one was sent.
    fn end(&mut self, out: &mut Vec<Event>) {
        self.close(out);
        let finish = match self.finish.take() {
            None => return,
            Some(Ending::Blocked(finish)) => finish,
            Some(Ending::Told(word, message)) => finish::finish(&word, message, self.called),
        };
        out.push(Event::Finish { choice: self.index, finish });
    }
}

/// Tells of a field that says something.
fn tell(
    told: &mut Told,
    kind: &'static str,
    (name, raw): (&str, &RawValue),
    at: impl Display,
    out: &mut Vec<Event>,
) {
    if speaks(Some(raw)) && raw.get() != "0" {
        told.once(kind, name, at, out);
    }
}

/// An image, when these are the members of one and of nothing else.
fn image(fields: &Map<String, Value>) -> Option<Image> {
    if fields.len() != 1 {
        return None;
    }
    let mut read = Vec::new();
    parts::read(Value::Object(fields.clone()).into(), &Path::Body, &mut read).ok()?;
    match (read.pop(), read.is_empty()) {
        (Some(Part::Image(image)), true) => Some(image),
        _ => None,
    }
}
