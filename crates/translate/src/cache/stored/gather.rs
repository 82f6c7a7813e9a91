//! A stream put together to an answer.
//!
//! Off the path of the stream itself: fed with its events, or with its bytes when it is over. What is held is bounded.

use std::borrow::Cow;

use serde_json::Value;

use super::opaque::{self, Streamed};
use super::{Stored, Unkept, empty_choice};
use crate::frame::{Frame, FrameParser, Framing, Mender};
use crate::ir::{Choice, Delta, Event, Extra, Part, PartKind, Response, Thinking, ToolCall};
use crate::loss::Losses;
use crate::provider::UsageStyle;
use crate::wire::{BadResponse, Codec, StreamDecoder, ToolNames};

/// More choices than any provider gives are not counted out in memory.
const MOST_CHOICES: u32 = 128;

/// A stream of which the end has not come.
#[derive(Debug)]
pub struct Gathering {
    response: Response,
    /// Which part of its choice each number is.
    numbers: Vec<(u32, u32, usize)>,
    streamed: Vec<Streamed>,
    losses: Losses,
    /// Bytes that may still come.
    left: usize,
    most: usize,
    ended: bool,
    unkept: Option<Unkept>,
}

impl Gathering {
    /// At the beginning of a stream. Beyond `most` bytes of text, arguments and media nothing is kept.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            response: Response::default(),
            numbers: Vec::new(),
            streamed: Vec::new(),
            losses: Losses::default(),
            left: most,
            most,
            ended: false,
            unkept: None,
        }
    }

    /// Notes one event. Costs little once there is a reason not to keep the answer.
    pub fn event(&mut self, event: &Event) {
        if self.unkept.is_some() {
            return;
        }
        if let Err(unkept) = self.note(event) {
            // Nothing of it will be needed.
            *self = Self { unkept: Some(unkept), ..Self::new(self.most) };
        }
    }

    /// The stream is over: all of it came, or its last event was an error, or the caller left.
    ///
    /// # Errors
    /// [`Unkept`] with the first reason not to keep it; without [`Event::End`] it is [`Unkept::Unfinished`].
    pub fn finish(self) -> Result<Stored, Unkept> {
        self.complete()?.kept()
    }

    /// The same, where the answer is wanted even if it is not to be kept.
    ///
    /// # Errors
    /// [`Unkept`]: it is not complete, or cannot be read.
    pub fn complete(mut self) -> Result<Complete, Unkept> {
        if let Some(unkept) = self.unkept.take() {
            return Err(unkept);
        }
        if !self.ended || self.response.choices.is_empty() {
            return Err(Unkept::Unfinished);
        }
        for one in &self.streamed {
            let choice = self.response.choices.get_mut(one.choice);
            if let Some(part) = choice.and_then(|choice| choice.parts.get_mut(one.part))
                && let Part::Opaque { value, .. } = part
            {
                *value = opaque::folded(one);
            }
        }
        let losses = self.losses.as_slice().to_vec();
        Ok(Complete::of(Stored { response: self.response, losses, streamed: self.streamed }))
    }

    fn note(&mut self, event: &Event) -> Result<(), Unkept> {
        match event {
            Event::Start { id, model, created } => {
                self.response.id.clone_from(id);
                self.response.model.clone_from(model);
                self.response.created = *created;
            }
            Event::PartStart { choice, part, kind } => self.open(*choice, *part, kind)?,
            Event::PartDelta { choice, part, delta } => self.feed((*choice, *part), delta)?,
            Event::Logprobs { choice, value } => {
                self.spend(value.to_string().len())?;
                add_logprobs(self.choice(*choice)?, value);
            }
            Event::Finish { choice, finish } => self.choice(*choice)?.finish = Some(finish.clone()),
            Event::Usage(usage) => self.response.usage = Some(*usage),
            Event::Failure(failure) => return Err(Unkept::Failed(failure.message.clone())),
            Event::Lost { path, reason } => self.losses.report(path, reason),
            Event::End => self.ended = true,
            Event::PartStop { .. } | Event::Ping => {}
        }
        Ok(())
    }

    fn choice(&mut self, number: u32) -> Result<&mut Choice, Unkept> {
        let strange = || Unkept::Unreadable(format!("choice {number} has no place"));
        let index = usize::try_from(number).ok().filter(|_| number < MOST_CHOICES).ok_or_else(strange)?;
        if self.response.choices.len() <= index {
            self.response.choices.resize_with(index + 1, empty_choice);
        }
        self.response.choices.get_mut(index).ok_or_else(strange)
    }

    fn open(&mut self, choice: u32, part: u32, kind: &PartKind) -> Result<(), Unkept> {
        let begun = begun(kind);
        self.spend(weight(&begun))?;
        let parts = &mut self.choice(choice)?.parts;
        parts.push(begun);
        let place = parts.len() - 1;
        self.numbers.push((choice, part, place));
        if let PartKind::Opaque { value, .. } = kind
            && let Ok(choice) = usize::try_from(choice)
        {
            self.streamed.push(Streamed { choice, part: place, start: value.clone(), deltas: Vec::new() });
        }
        Ok(())
    }

    fn feed(&mut self, at: (u32, u32), delta: &Delta) -> Result<(), Unkept> {
        self.spend(delta_weight(delta))?;
        let known = self.numbers.iter().rfind(|number| (number.0, number.1) == at);
        let place = known.map(|number| number.2).ok_or_else(|| strange(delta))?;
        if let Delta::Opaque(value) = delta {
            let of_part = |one: &&mut Streamed| one.part == place && u32::try_from(one.choice) == Ok(at.0);
            let streamed = self.streamed.iter_mut().find(of_part).ok_or_else(|| strange(delta))?;
            streamed.deltas.push(value.clone());
            return Ok(());
        }
        let part = self.choice(at.0)?.parts.get_mut(place).ok_or_else(|| strange(delta))?;
        add(part, delta)
    }

    fn spend(&mut self, bytes: usize) -> Result<(), Unkept> {
        self.left = self.left.checked_sub(bytes).ok_or(Unkept::TooLarge { most: self.most })?;
        Ok(())
    }
}

/// A complete answer, whether it is to be kept or not: those who asked the same at the same time may have it too.
#[derive(Debug, Clone, PartialEq)]
pub struct Complete {
    pub answer: Stored,
    /// Why it is not given to those who ask later.
    pub unkept: Option<Unkept>,
}

impl Complete {
    fn of(answer: Stored) -> Self {
        let unkept = Stored::check(&answer.response).err();
        Self { answer, unkept }
    }

    fn kept(self) -> Result<Stored, Unkept> {
        self.unkept.map_or(Ok(self.answer), Err)
    }
}

/// A stream's bytes as events, as they come: for those who follow it.
pub struct Reading {
    parser: FrameParser,
    framing: Framing,
    decoder: Box<dyn StreamDecoder>,
    mender: Mender,
    counts: UsageStyle,
    names: ToolNames,
}

impl Reading {
    /// At the beginning of a stream of a provider that speaks `codec`'s wire in `framing`. `counts` and `names` as the stream is
    /// carried with.
    #[must_use]
    pub fn new(codec: &dyn Codec, framing: Framing, (counts, names): (UsageStyle, &ToolNames)) -> Self {
        Self {
            parser: FrameParser::new(framing),
            framing,
            decoder: codec.stream_decoder(),
            mender: Mender::default(),
            counts,
            names: names.clone(),
        }
    }

    /// Appends what a piece of the stream says. After an error it is of no use any more.
    ///
    /// # Errors
    /// [`Unkept::Unreadable`]: the stream goes on without what is none of its wire; what is kept must be whole.
    pub fn push(&mut self, piece: &[u8], events: &mut Vec<Event>) -> Result<(), Unkept> {
        self.parser.push(piece);
        self.read(events, false)
    }

    /// The stream is over: appends what only its end says.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn end(&mut self, events: &mut Vec<Event>) -> Result<(), Unkept> {
        self.read(events, true)?;
        if let Some(message) = self.parser.broken() {
            return Err(Unkept::Unreadable(message));
        }
        let from = events.len();
        self.decoder.end(events);
        put_right(events, from, self.counts, &self.names);
        Ok(())
    }

    fn read(&mut self, events: &mut Vec<Event>, ended: bool) -> Result<(), Unkept> {
        let Self { parser, framing, decoder, mender, counts, names } = self;
        while let Some(frame) = if ended { parser.finish() } else { parser.next_frame() } {
            let from = events.len();
            if decoder.frame(&frame, events).is_err() && !frame.data.is_empty() {
                events.truncate(from);
                let mended = if *framing == Framing::Sse { mender.mend(frame.data) } else { None };
                let again = mended.map(|data| decoder.frame(&Frame { data: &data, ..frame }, events));
                if !matches!(again, Some(Ok(()))) {
                    events.truncate(from);
                    return Err(Unkept::Unreadable("an event of the stream is none of its wire".to_owned()));
                }
            }
            put_right(events, from, *counts, names);
        }
        Ok(())
    }
}

impl std::fmt::Debug for Reading {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reading").field("framing", &self.framing).finish_non_exhaustive()
    }
}

/// A stream's bytes, as they came from a provider that speaks `codec`'s wire in `framing`.
///
/// `counts` and `names` as the stream was carried with. Beyond `most` bytes of content nothing is kept.
///
/// # Errors
/// [`Unkept`] as in [`Gathering::finish`].
pub fn of_stream(
    codec: &dyn Codec,
    framing: Framing,
    body: &[u8],
    named: (UsageStyle, &ToolNames),
    most: usize,
) -> Result<Stored, Unkept> {
    complete_of_stream(codec, framing, body, named, most)?.kept()
}

/// The same, where the answer is wanted even if it is not to be kept.
///
/// # Errors
/// [`Unkept`]: it is not complete, or cannot be read.
pub fn complete_of_stream(
    codec: &dyn Codec,
    framing: Framing,
    body: &[u8],
    named: (UsageStyle, &ToolNames),
    most: usize,
) -> Result<Complete, Unkept> {
    let mut gathering = Gathering::new(most);
    let mut reading = Reading::new(codec, framing, named);
    let mut events = Vec::new();
    reading.push(body, &mut events)?;
    reading.end(&mut events)?;
    // Not all wires have a word for the end: then the finish reasons are it.
    events.push(Event::End);
    events.iter().for_each(|event| gathering.event(event));
    gathering.complete()
}

/// A whole body, as it came from a provider.
///
/// # Errors
/// [`Unkept`] as in [`Stored::of`].
pub fn of_body(
    codec: &dyn Codec,
    body: &[u8],
    named: (UsageStyle, &ToolNames),
    most: usize,
) -> Result<Stored, Unkept> {
    complete_of_body(codec, body, named, most)?.kept()
}

/// The same, where the answer is wanted even if it is not to be kept.
///
/// # Errors
/// [`Unkept`]: it is none, or cannot be read.
pub fn complete_of_body(
    codec: &dyn Codec,
    body: &[u8],
    (counts, names): (UsageStyle, &ToolNames),
    most: usize,
) -> Result<Complete, Unkept> {
    if body.len() > most {
        return Err(Unkept::TooLarge { most });
    }
    let mut response = codec.decode_response(body).map_err(|bad| match bad {
        BadResponse::Failure(failure) => Unkept::Failed(failure.message),
        other => Unkept::Unreadable(other.to_string()),
    })?;
    response.usage = response.usage.map(|usage| counts.apply(usage));
    names.restore(&mut response);
    if let Some(failure) = response.failure() {
        return Err(Unkept::Failed(failure.message));
    }
    Ok(Complete::of(Stored { response, losses: Vec::new(), streamed: Vec::new() }))
}

/// Puts the events behind `from` as the caller's pipe has them.
fn put_right(events: &mut [Event], from: usize, counts: UsageStyle, names: &ToolNames) {
    for event in events.iter_mut().skip(from) {
        names.restore_step(event);
        if let Event::Usage(usage) = event {
            *usage = counts.apply(*usage);
        }
    }
}

fn begun(kind: &PartKind) -> Part {
    match kind.clone() {
        PartKind::Text => Part::text(""),
        PartKind::Refusal => Part::Refusal(String::new()),
        PartKind::Thinking => Part::Thinking(Thinking::default()),
        PartKind::RedactedThinking { data } => Part::RedactedThinking { data, extra: Extra::default() },
        PartKind::Image(image) => Part::Image(*image),
        PartKind::ToolCall { id, name } => Part::ToolCall(ToolCall {
            id,
            name,
            arguments: String::new(),
            cache: None,
            extra: Extra::default(),
        }),
        PartKind::Opaque { wire, value } => Part::Opaque { wire, value },
    }
}

fn add(part: &mut Part, delta: &Delta) -> Result<(), Unkept> {
    match (part, delta) {
        (Part::Text(text), Delta::Text(more)) => text.text.push_str(more),
        (Part::Text(text), Delta::Citation(one)) => text.citations.push((**one).clone()),
        (Part::Refusal(text), Delta::Refusal(more)) => text.push_str(more),
        (Part::Thinking(thinking), Delta::Thinking(more)) => thinking.text.push_str(more),
        (Part::Thinking(thinking), Delta::Signature(one)) => thinking.signature = Some(one.clone()),
        (Part::ToolCall(call), Delta::Arguments(more)) => call.arguments.push_str(more),
        (_, delta) => return Err(strange(delta)),
    }
    Ok(())
}

fn strange(delta: &Delta) -> Unkept {
    let kind: Cow<'_, str> = match delta {
        Delta::Text(_) => "text".into(),
        Delta::Refusal(_) => "a refusal".into(),
        Delta::Thinking(_) => "reasoning".into(),
        Delta::Signature(_) => "a signature".into(),
        Delta::Arguments(_) => "arguments".into(),
        Delta::Citation(_) => "a citation".into(),
        Delta::Opaque(_) => "something".into(),
    };
    Unkept::Unreadable(format!("{kind} came for a part that is not open"))
}

/// Each chunk has the tokens of its own text: together they are those of the answer.
fn add_logprobs(choice: &mut Choice, value: &Value) {
    let (Some(known), Some(more)) =
        (choice.logprobs.as_mut().and_then(Value::as_object_mut), value.as_object())
    else {
        choice.logprobs = Some(value.clone());
        return;
    };
    for (name, more) in more {
        match (known.get_mut(name), more) {
            (Some(Value::Array(list)), Value::Array(more)) => list.extend(more.iter().cloned()),
            (_, Value::Null) => {}
            _ => drop(known.insert(name.clone(), more.clone())),
        }
    }
}

/// Bytes of a part's contents.
pub(super) fn size(part: &Part) -> usize {
    match part {
        Part::Text(text) => {
            text.text.len() + text.citations.iter().map(|one| one.raw.to_string().len()).sum::<usize>()
        }
        Part::Refusal(text) => text.len(),
        Part::Thinking(thinking) => {
            thinking.text.len() + thinking.signature.as_ref().map_or(0, |signature| signature.text.len())
        }
        Part::ToolCall(call) => weight(part) + call.arguments.len(),
        part => weight(part),
    }
}

fn weight(part: &Part) -> usize {
    match part {
        Part::Opaque { value, .. } => value.to_string().len(),
        Part::Image(image) => match &image.source {
            crate::ir::Source::Base64 { data, .. } => data.len(),
            _ => 0,
        },
        Part::RedactedThinking { data, .. } => data.len(),
        Part::ToolCall(call) => call.id.len() + call.name.len(),
        _ => 0,
    }
}

fn delta_weight(delta: &Delta) -> usize {
    match delta {
        Delta::Text(text) | Delta::Refusal(text) | Delta::Thinking(text) | Delta::Arguments(text) => {
            text.len()
        }
        Delta::Signature(signature) => signature.text.len(),
        Delta::Citation(citation) => citation.raw.to_string().len(),
        Delta::Opaque(value) => value.to_string().len(),
    }
}
