//! Provider chunks into events.
//!
//! Parts are opened lazily, by what arrives: one run of text, refusal or reasoning at a time, any number
//! of tool calls beside it. A finish reason is held until nothing can follow it (`[DONE]`, the usage
//! chunk, the end of the body): some providers set it on a chunk in the middle (trap 32). A finish that
//! was never sent is never made up.

use serde_json::{Value, json};

use super::super::parts::image_of;
use super::super::response::finish;
use super::super::types::{Answer, AnswerChoice, Call, Content, Count, Detail, Said, Str, speaks};
use super::super::{citation, reasoning, usage};
use super::calls::{Calls, SINGLE};
use super::left_out;
use crate::Wire;
use crate::frame::Frame;
use crate::ir::{Delta, Event, PartKind, Signature};
use crate::wire::told::Told;
use crate::wire::{BadFrame, StreamDecoder, failure_shapes};

/// The state of one provider stream.
#[derive(Debug, Default)]
pub(in crate::wire::openai_chat) struct Decoder {
    started: bool,
    /// `[DONE]` or a failure was seen: nothing follows.
    done: bool,
    choices: Vec<ChoiceState>,
    told: Told,
}

#[derive(Debug, Default)]
struct ChoiceState {
    index: u32,
    next_part: u32,
    prose: Option<Prose>,
    calls: Calls,
    /// The finish reason and the native one, as they came.
    finish: Option<(String, String)>,
    finished: bool,
}

/// The open run of text, refusal or reasoning.
#[derive(Debug)]
struct Prose {
    part: u32,
    kind: ProseKind,
    /// The entry of `reasoning_details` it belongs to, where the provider numbers them.
    detail: Option<u64>,
    /// The reasoning so far: an entry that brings it once more, with its signature, adds no text.
    text: String,
    signed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ProseKind {
    Text,
    Refusal,
    Thinking,
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
        if data == b"[DONE]" {
            self.finish_choices(out);
            self.done = true;
            out.push(Event::End);
            return Ok(());
        }
        // Checked once as a whole: cheaper than string by string.
        let Ok(text) = std::str::from_utf8(data) else {
            return self.unreadable(frame, "it is not UTF-8", out);
        };
        let chunk: Answer<'_> = match serde_json::from_str(text) {
            Ok(chunk) => chunk,
            Err(error) => return self.unreadable(frame, &error.to_string(), out),
        };
        if speaks(chunk.error) || frame.event == "error" {
            return self.unreadable(frame, "an error event without an error", out);
        }
        let usage = chunk.usage.or_else(|| chunk.x_groq.as_ref().and_then(|groq| groq.usage));
        if chunk.choices.is_none() && usage.is_none() && chunk.object.get() != "chat.completion.chunk" {
            return self.unreadable(frame, "it has no `choices`", out);
        }
        let usage = usage.and_then(|raw| usage::read(raw.get()));
        self.chunk(&chunk, usage.map(|usage| usage.in_tier(chunk.service_tier.get())), out);
        Ok(())
    }

    fn end(&mut self, out: &mut Vec<Event>) {
        if !self.done {
            self.done = true;
            self.finish_choices(out);
        }
    }

    fn ending(&self) -> u64 {
        let held = self.choices.iter().filter(|state| state.finish.is_some() && !state.finished);
        held.fold(0, |bits, state| bits | 1_u64.checked_shl(state.index).unwrap_or(0))
    }
}

impl Decoder {
    /// An error of any shape ends the stream; anything else is no event of this wire.
    fn unreadable(&mut self, frame: &Frame<'_>, why: &str, out: &mut Vec<Event>) -> Result<(), BadFrame> {
        let failure = match failure_shapes::recognise(200, frame.data) {
            Some(failure) => failure,
            None if frame.event == "error" => failure_shapes::read(200, frame.data),
            None => return Err(BadFrame(why.to_owned())),
        };
        self.done = true;
        out.push(Event::Failure(failure));
        Ok(())
    }

    fn chunk(&mut self, chunk: &Answer<'_>, usage: Option<crate::ir::Usage>, out: &mut Vec<Event>) {
        let choices = chunk.choices.as_deref().unwrap_or_default();
        // Azure's first chunk has neither: its prompt filter results must not fix an empty id.
        if !self.started && (!choices.is_empty() || !chunk.id.get().is_empty() || usage.is_some()) {
            self.started = true;
            let (id, model) = (chunk.id.get().to_owned(), chunk.model.get().to_owned());
            out.push(Event::Start { id, model, created: chunk.created.0.filter(|created| *created > 0) });
        }
        left_out::of_chunk(chunk, &mut self.told, out);
        for choice in choices {
            self.choice(choice, out);
        }
        if let Some(usage) = usage {
            if choices.is_empty() {
                // Counts may also come first or in between: only what has its finish is over.
                self.choices
                    .iter_mut()
                    .filter(|state| state.finish.is_some())
                    .for_each(|state| state.close(out));
            }
            out.push(Event::Usage(usage));
        }
        let failed = choices.iter().find_map(|choice| choice.error.filter(|raw| speaks(Some(raw))));
        if let Some(raw) = failed {
            self.done = true;
            out.push(Event::Failure(choice_failure(raw.get())));
        }
    }

    fn choice(&mut self, choice: &AnswerChoice<'_>, out: &mut Vec<Event>) {
        let index = choice.index.0.and_then(|index| u32::try_from(index).ok()).unwrap_or(0);
        let known = self.choices.iter().position(|state| state.index == index).unwrap_or_else(|| {
            self.choices.push(ChoiceState { index, ..ChoiceState::default() });
            self.choices.len() - 1
        });
        let Some(state) = self.choices.get_mut(known) else { return };
        left_out::of_choice(choice, index, &mut self.told, out);
        // A provider that does not stream sends the whole `message` in one chunk.
        if let Some(said) = choice.delta.as_ref().or(choice.message.as_ref()) {
            state.said(said, out);
        }
        if let Some(raw) = choice.logprobs.filter(|raw| raw.get().trim() != "null")
            && let Ok(value) = serde_json::from_str::<Value>(raw.get())
        {
            out.push(Event::Logprobs { choice: index, value });
        }
        let word = choice.finish_reason.get();
        if !word.is_empty() {
            state.finish = Some((word.to_owned(), choice.native_finish_reason.get().to_owned()));
        }
    }

    /// Closes the open parts of every choice and tells the finish reasons that were sent.
    fn finish_choices(&mut self, out: &mut Vec<Event>) {
        for state in &mut self.choices {
            state.close(out);
        }
    }
}

impl ChoiceState {
    fn said(&mut self, said: &Said<'_>, out: &mut Vec<Event>) {
        self.reasoning(said, out);
        match &said.content {
            Content::None => {}
            Content::Text(text) => self.prose(ProseKind::Text, None, text, out),
            Content::Parts(parts) => parts.iter().for_each(|part| self.content_part(part, out)),
        }
        self.prose(ProseKind::Refusal, None, said.refusal.get(), out);
        for cited in said.annotations.as_deref().unwrap_or_default() {
            let part = self.open(ProseKind::Text, None, out);
            self.delta(part, Delta::Citation(Box::new(citation::read(cited.clone()))), out);
        }
        for image in said.images.as_deref().unwrap_or_default().iter().filter_map(image_of) {
            self.close_prose(out);
            let (choice, part) = (self.index, self.take_part());
            out.push(Event::PartStart { choice, part, kind: PartKind::Image(Box::new(image)) });
            out.push(Event::PartStop { choice, part });
        }
        for call in said.tool_calls.as_deref().unwrap_or_default() {
            self.call(call, out);
        }
        if let Some(function) = &said.function_call {
            // The deprecated single call: no id, always the same one.
            let function = super::super::types::Function {
                name: Str(Some(function.name.get().into())),
                arguments: Str(Some(function.arguments.get().into())),
                ..Default::default()
            };
            let kind = Str(Some(SINGLE.into()));
            let call = Call { index: Count(Some(0)), kind, function: Some(function), ..Call::default() };
            self.call(&call, out);
        }
    }

    /// A call with free text for its input has no place among the parts: it was reported.
    fn call(&mut self, call: &Call<'_>, out: &mut Vec<Event>) {
        if call.custom.is_some() {
            return;
        }
        self.close_prose(out);
        self.calls.feed(self.index, call, &mut self.next_part, out);
    }

    /// The structured list wins over the plain string: both carry the same text.
    fn reasoning(&mut self, said: &Said<'_>, out: &mut Vec<Event>) {
        let details = said.reasoning_details.as_deref().unwrap_or_default();
        let plain = match said.reasoning_content.get() {
            "" => said.reasoning.get(),
            text => text,
        };
        // A signature that comes with the same chunk's plain text is behind that text.
        if !details.iter().any(|detail| !detail.text.get().is_empty() || !detail.summary.get().is_empty()) {
            self.prose(ProseKind::Thinking, None, plain, out);
        }
        for detail in details {
            self.detail(detail, out);
        }
    }

    fn detail(&mut self, detail: &Detail<'_>, out: &mut Vec<Event>) {
        if !detail.data.get().is_empty() {
            return self.sealed(detail, out);
        }
        let text = match detail.text.get() {
            "" => detail.summary.get(),
            text => text,
        };
        let signature = detail.signature.get();
        let signs = !signature.is_empty();
        if !self.repeats(text, signs, detail.index.0) {
            self.prose(ProseKind::Thinking, detail.index.0, text, out);
        }
        if !signature.is_empty() {
            let signature = reasoning::signed(signature.to_owned(), detail.format.get());
            self.sign(signature, None, out);
        }
    }

    /// An entry that says once more what came in the plain field, for a signature to stand by it. From here
    /// on the reasoning has the entry's number.
    fn repeats(&mut self, text: &str, signs: bool, number: Option<u64>) -> bool {
        let unsigned = |open: &&mut Prose| open.kind == ProseKind::Thinking && !open.signed;
        let Some(open) = self.prose.as_mut().filter(unsigned) else { return false };
        let plain = open.detail.is_none() && number.is_some() && open.text.ends_with(text);
        let repeats = !text.is_empty() && (plain || (signs && open.text == text));
        if repeats {
            open.detail = open.detail.or(number);
        }
        repeats
    }

    /// Encrypted reasoning: Claude's is a part of its own, other makers' is the signature of the reasoning of
    /// the same number, or of reasoning without text.
    fn sealed(&mut self, detail: &Detail<'_>, out: &mut Vec<Event>) {
        let (data, format) = (detail.data.get(), detail.format.get());
        let kind = match reasoning::sealed(data, format) {
            Some(signature) if signature.by == Wire::Anthropic => {
                PartKind::RedactedThinking { data: signature.text }
            }
            Some(signature) => {
                let same = self.prose.as_ref().is_some_and(|open| {
                    open.kind == ProseKind::Thinking && !open.signed && open.detail == detail.index.0
                });
                if !same {
                    self.close_prose(out);
                }
                return self.sign(signature, detail.index.0, out);
            }
            None => {
                let id = &detail.id.0;
                let value = json!({"type": "reasoning.encrypted", "data": data, "format": format, "id": id});
                PartKind::Opaque { wire: Wire::OpenAiChat, value }
            }
        };
        self.close_prose(out);
        let part = self.take_part();
        out.push(Event::PartStart { choice: self.index, part, kind });
        out.push(Event::PartStop { choice: self.index, part });
    }

    fn sign(&mut self, signature: Signature, number: Option<u64>, out: &mut Vec<Event>) {
        if self.calls.has_given(&signature) {
            return;
        }
        let part = self.open(ProseKind::Thinking, number, out);
        self.delta(part, Delta::Signature(signature), out);
        if let Some(open) = &mut self.prose {
            open.signed = true;
        }
    }

    /// Mistral streams `content` as a list of typed parts once it reasons.
    fn content_part(&mut self, part: &Value, out: &mut Vec<Event>) {
        let text = |value: &Value| value.get("text").and_then(Value::as_str).unwrap_or_default().to_owned();
        match part.get("type").and_then(Value::as_str).unwrap_or_default() {
            "thinking" => match part.get("thinking") {
                Some(Value::String(one)) => self.prose(ProseKind::Thinking, None, one, out),
                Some(Value::Array(list)) => {
                    list.iter().for_each(|one| self.prose(ProseKind::Thinking, None, &text(one), out));
                }
                _ => {}
            },
            "reasoning" => {
                let list = part.get("summary").and_then(Value::as_array);
                for one in list.into_iter().flatten() {
                    self.prose(ProseKind::Thinking, None, &text(one), out);
                }
            }
            "refusal" => {
                let words = part.get("refusal").and_then(Value::as_str).unwrap_or_default();
                self.prose(ProseKind::Refusal, None, words, out);
            }
            "text" => self.prose(ProseKind::Text, None, &text(part), out),
            _ => {
                self.close_prose(out);
                let number = self.take_part();
                let kind = PartKind::Opaque { wire: crate::Wire::OpenAiChat, value: part.clone() };
                out.push(Event::PartStart { choice: self.index, part: number, kind });
                out.push(Event::PartStop { choice: self.index, part: number });
            }
        }
    }

    fn prose(&mut self, kind: ProseKind, detail: Option<u64>, text: &str, out: &mut Vec<Event>) {
        if text.is_empty() {
            return;
        }
        let signed = self.prose.as_ref().is_some_and(|open| open.signed);
        if signed && kind == ProseKind::Thinking {
            // What comes behind a signature is the next block.
            self.close_prose(out);
        }
        let part = self.open(kind, detail, out);
        if let Some(open) = self.prose.as_mut().filter(|_| kind == ProseKind::Thinking) {
            open.text.push_str(text);
        }
        let delta = match kind {
            ProseKind::Text => Delta::Text(text.to_owned()),
            ProseKind::Refusal => Delta::Refusal(text.to_owned()),
            ProseKind::Thinking => Delta::Thinking(text.to_owned()),
        };
        self.delta(part, delta, out);
    }

    /// The open part of this kind; another kind, or another numbered entry, is closed first.
    fn open(&mut self, kind: ProseKind, detail: Option<u64>, out: &mut Vec<Event>) -> u32 {
        if let Some(open) = self.prose.as_mut().filter(|open| open.kind == kind) {
            let other = matches!((open.detail, detail), (Some(old), Some(new)) if old != new);
            if !other {
                open.detail = open.detail.or(detail);
                return open.part;
            }
        }
        self.close_prose(out);
        let part = self.take_part();
        self.prose = Some(Prose { part, kind, detail, text: String::new(), signed: false });
        let start = match kind {
            ProseKind::Text => PartKind::Text,
            ProseKind::Refusal => PartKind::Refusal,
            ProseKind::Thinking => PartKind::Thinking,
        };
        out.push(Event::PartStart { choice: self.index, part, kind: start });
        part
    }

    fn delta(&self, part: u32, delta: Delta, out: &mut Vec<Event>) {
        out.push(Event::PartDelta { choice: self.index, part, delta });
    }

    fn take_part(&mut self) -> u32 {
        let part = self.next_part;
        self.next_part += 1;
        part
    }

    fn close_prose(&mut self, out: &mut Vec<Event>) {
        if let Some(open) = self.prose.take() {
            out.push(Event::PartStop { choice: self.index, part: open.part });
        }
    }

    fn close(&mut self, out: &mut Vec<Event>) {
        self.close_prose(out);
        self.calls.close(self.index, &mut self.next_part, out);
        let Some((word, native)) = self.finish.as_ref().filter(|_| !self.finished) else { return };
        if let Some(finish) = finish(word, native, self.calls.any()) {
            self.finished = true;
            out.push(Event::Finish { choice: self.index, finish });
        }
    }
}

/// OpenRouter's error inside a choice, read as if it stood at the top.
fn choice_failure(raw: &str) -> crate::ir::Failure {
    failure_shapes::read(200, format!("{{\"error\":{raw}}}").as_bytes())
}
