//! Events into a caller's stream, in the order the SDKs insist on: `response.created` first, an item before its
//! pieces, a piece before its deltas, everything closed before `response.completed`, which holds it all again.

use serde_json::Value;
use serde_json::value::RawValue;

use super::super::client_tools::Client;
use super::super::response::{Made, Outcome, Shell, Status, answer_id, outcome, status};
use super::super::{NO_COUNTERPART, OWN, citation, custom, error, reasoning};
use super::adopt;
use super::bytes::{item_bytes, piece_object};
use super::row::{Body, Piece, Place, Row};
use super::write::{Json, Spot, Writer, push};
use crate::ir::{Citation, Delta, Event, Failure, FailureKind, Finish, FinishReason, PartKind, Usage};
use crate::loss::Losses;
use crate::wire::tree::{Node, Object, to_bytes};
use crate::wire::{Echo, Observation, StreamEncoder};

/// The state of one caller stream.
#[derive(Debug)]
pub(in crate::wire::openai_responses) struct Encoder {
    echo: Echo,
    made: Made,
    id: String,
    model: String,
    created: u64,
    started: bool,
    /// The last event was written: nothing follows.
    done: bool,
    row: Row,
    writer: Writer,
    finish: Option<Finish>,
    usage: Option<Usage>,
}

impl StreamEncoder for Encoder {
    fn event(&mut self, event: &Event, out: &mut Vec<u8>, losses: &mut Losses) {
        if self.done {
            return;
        }
        match event {
            Event::Start { id, model, created } => self.start(id, model, *created, out),
            Event::PartStart { choice, .. }
            | Event::PartDelta { choice, .. }
            | Event::PartStop { choice, .. }
            | Event::Logprobs { choice, .. }
            | Event::Finish { choice, .. }
                if *choice != 0 =>
            {
                losses.report(format!("choices[{choice}]"), "openai_responses gives one answer");
            }
            Event::PartStart { part, kind, .. } => self.part_start(*part, kind, out, losses),
            Event::PartDelta { part, delta, .. } => self.part_delta(*part, delta, out, losses),
            Event::PartStop { part, .. } => self.part_stop(*part, out),
            Event::Logprobs { value, .. } => self.logprobs(value, out, losses),
            Event::Finish { finish, .. } => self.finish = Some(finish.clone()),
            Event::Usage(usage) => self.usage = Some(*usage),
            Event::Failure(failure) => drop(self.fail(failure, out)),
            Event::Lost { path, reason } => losses.report(path, reason),
            Event::Ping => out.extend_from_slice(b": ping\n\n"),
            Event::End => self.end(out, losses),
        }
    }

    /// The error is told twice: SDKs raise the first event, agents look for a reason in the second.
    fn fail(&mut self, failure: &Failure, out: &mut Vec<u8>) -> bool {
        self.done = true;
        self.writer.numbered("error", |number| error::event(failure, number), out);
        self.finish_with(&Status::Failed(error::in_answer(failure)), "response.failed", out);
        true
    }

    fn adopt(&mut self, frame: &crate::frame::Frame<'_>) -> bool {
        adopt::frame(frame, &mut self.row, &mut self.writer)
    }
}

/// A failure as the end of a stream of which nothing is known.
pub(in crate::wire::openai_responses) fn encode_failure(failure: &Failure, unique: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = Encoder::new(Echo { unique: unique.to_owned(), ..Echo::default() });
    encoder.fail(failure, &mut out);
    out
}

/// The same for a stream that was relayed so far: with its id, its model and the numbers that come next.
pub(in crate::wire::openai_responses) fn encode_failure_after(
    failure: &Failure,
    seen: &Observation,
) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = Encoder::new(Echo::default());
    encoder.started = true;
    encoder.id.clone_from(&seen.head.id);
    encoder.model = seen.model.clone().unwrap_or_default();
    encoder.created = seen.head.created.unwrap_or_default();
    encoder.writer = Writer::from(seen.head.next);
    encoder.fail(failure, &mut out);
    out
}

impl Encoder {
    pub(in crate::wire::openai_responses) fn new(echo: Echo) -> Self {
        Self {
            made: Made::new(&echo),
            id: answer_id("", &echo),
            model: String::new(),
            created: echo.now,
            echo,
            started: false,
            done: false,
            row: Row::default(),
            writer: Writer::default(),
            finish: None,
            usage: None,
        }
    }

    fn start(&mut self, id: &str, model: &str, created: Option<u64>, out: &mut Vec<u8>) {
        if self.started {
            return;
        }
        self.started = true;
        self.id = answer_id(id, &self.echo);
        model.clone_into(&mut self.model);
        self.created = created.unwrap_or(self.echo.now);
        for name in ["response.created", "response.in_progress"] {
            self.answer(name, &Status::InProgress, Vec::new(), out);
        }
    }

    fn ensure_started(&mut self, out: &mut Vec<u8>) {
        if !self.started {
            self.start("", "", None, out);
        }
    }

    /// An event that holds the answer.
    fn answer(&mut self, name: &'static str, status: &Status, output: Vec<Box<RawValue>>, out: &mut Vec<u8>) {
        let usage = self.usage.filter(|_| *status != Status::InProgress);
        let shell = Shell {
            echo: &self.echo,
            id: &self.id,
            created: self.created,
            model: &self.model,
            service_tier: None,
        };
        let output = output.iter().map(|raw| Node::Raw(raw)).collect();
        let object = shell.object(status, output, usage.as_ref());
        self.writer.whole(name, "response", &object, out);
    }

    fn part_start(&mut self, part: u32, kind: &PartKind, out: &mut Vec<u8>, losses: &mut Losses) {
        self.ensure_started(out);
        if self.row.place(part).is_some() {
            self.part_stop(part, out);
        }
        let place = match kind {
            PartKind::Text | PartKind::Refusal => self.speak(*kind == PartKind::Refusal, out),
            PartKind::Thinking => Place::Nowhere,
            PartKind::RedactedThinking { data } => {
                let seal = Some(reasoning::redacted(data));
                Place::Item(self.begin("rs", Body::Reasoning { summary: Vec::new(), seal }, out))
            }
            PartKind::ToolCall { id, name } => self.call(id, name, out),
            PartKind::Opaque { wire, value } if *wire == OWN => {
                Place::Item(self.begin("item", Body::Whole(value.clone()), out))
            }
            PartKind::Image(_) => {
                let path = format!("choices[0].content[{part}]");
                losses.report(path, "an image is no part of this wire's messages");
                Place::Lost
            }
            PartKind::Opaque { value, .. } => {
                let kind = value.get("type").and_then(Value::as_str).unwrap_or("unknown");
                let path = format!("choices[0].content[{part}]");
                losses.report(path, format!("a part of type {kind:?} {NO_COUNTERPART}"));
                Place::Lost
            }
        };
        self.row.put(part, place);
    }

    /// A piece of the open message, or of a new one.
    fn speak(&mut self, refusal: bool, out: &mut Vec<u8>) -> Place {
        let open = self.row.last_open(|body| matches!(body, Body::Message(_)));
        let number = open.unwrap_or_else(|| self.begin("msg", Body::Message(Vec::new()), out));
        let Some(item) = self.row.get_mut(number) else { return Place::Lost };
        let Body::Message(pieces) = &mut item.body else { return Place::Lost };
        let piece = Piece { refusal, open: true, ..Piece::default() };
        let json = to_bytes(&piece_object(&piece));
        pieces.push(piece);
        let inside = Some(("content_index", pieces.len() - 1));
        let spot = Spot { item: &item.id, output: number, inside };
        self.writer.piece("response.content_part.added", spot, &[("part", &Json(&json))], out);
        Place::Piece(number, pieces.len() - 1)
    }

    fn call(&mut self, id: &str, name: &str, out: &mut Vec<u8>) -> Place {
        let number = self.row.len();
        let made = || format!("call_{}_{number}", self.echo.unique);
        let call_id = if id.is_empty() { made() } else { id.to_owned() };
        let custom = self.made.is_custom(name);
        let client = self.made.client(name);
        let (group, name) = self.made.named(name);
        let (group, name) = (group.map(str::to_owned), name.to_owned());
        let body = Body::Call { call_id, group, name, input: String::new(), custom, client, open: true };
        let plain = if custom { "ctc" } else { "fc" };
        Place::Item(self.begin(client.map_or(plain, Client::prefix), body, out))
    }

    /// Begins an item, once those that wait for a later one are closed.
    fn begin(&mut self, prefix: &str, body: Body, out: &mut Vec<u8>) -> usize {
        let id = self.made.id(prefix, self.row.len());
        let number = self.row.begin(id, body);
        self.close_quiet(false, false, out);
        if let Some(item) = self.row.get(number) {
            let json = item_bytes(&item.id, &item.body, "in_progress", true);
            self.writer.item("response.output_item.added", number, &json, out);
        }
        number
    }

    fn part_delta(&mut self, part: u32, delta: &Delta, out: &mut Vec<u8>, losses: &mut Losses) {
        let fits = match (self.row.place(part), delta) {
            (Some(Place::Lost), _) => true,
            (Some(Place::Nowhere | Place::Piece(..)), Delta::Thinking(text)) => {
                text.is_empty() || self.think(part, text, out)
            }
            (Some(Place::Nowhere | Place::Piece(..)), Delta::Signature(signature)) => {
                self.seal(part, signature.written(OWN).into_owned(), out)
            }
            (Some(Place::Piece(item, piece)), Delta::Text(text) | Delta::Refusal(text)) => {
                self.text(item, piece, text, out)
            }
            (Some(Place::Piece(item, piece)), Delta::Citation(cited)) => {
                return self.cite((item, piece), cited, out, losses);
            }
            (Some(Place::Item(item)), Delta::Arguments(text)) => self.arguments(item, text, out),
            _ => false,
        };
        if !fits {
            losses.report(format!("choices[0].content[{part}]"), "came for a part that cannot hold it");
        }
    }

    fn text(&mut self, number: usize, index: usize, text: &str, out: &mut Vec<u8>) -> bool {
        let Some(item) = self.row.get_mut(number) else { return false };
        let Body::Message(pieces) = &mut item.body else { return false };
        let Some(piece) = pieces.get_mut(index) else { return false };
        if text.is_empty() {
            return true;
        }
        piece.text.push_str(text);
        let spot = Spot { item: &item.id, output: number, inside: Some(("content_index", index)) };
        if piece.refusal {
            self.writer.piece("response.refusal.delta", spot, &[("delta", &text)], out);
        } else {
            let fields: [(_, &dyn super::write::Text); 2] = [("delta", &text), ("logprobs", &Json(b"[]"))];
            self.writer.piece("response.output_text.delta", spot, &fields, out);
        }
        true
    }

    fn cite(
        &mut self,
        (number, index): (usize, usize),
        cited: &Citation,
        out: &mut Vec<u8>,
        losses: &mut Losses,
    ) {
        let Some(item) = self.row.get_mut(number) else { return };
        let id = item.id.clone();
        let path = "choices[0].content.citations";
        let speaks = matches!(item.body, Body::Message(_));
        let Some(piece) = item.piece_mut(index).filter(|piece| speaks && !piece.refusal) else {
            return losses.report(path, "only text has sources");
        };
        let Some(annotation) = citation::write(cited, piece.text.chars().count() as u64) else {
            return losses.report(path, citation::PAGES_ONLY);
        };
        let mut json = Vec::new();
        push(&mut json, &annotation);
        let place = piece.annotations.len();
        piece.annotations.push(annotation);
        let spot = Spot { item: &id, output: number, inside: Some(("content_index", index)) };
        let fields: [(_, &dyn super::write::Text); 2] =
            [("annotation_index", &place), ("annotation", &Json(&json))];
        self.writer.piece("response.output_text.annotation.added", spot, &fields, out);
    }

    /// Reasoning begins with its first word or with its seal.
    fn thought(&mut self, out: &mut Vec<u8>) -> usize {
        let unsealed = |body: &Body| matches!(body, Body::Reasoning { seal: None, .. });
        let empty = || Body::Reasoning { summary: Vec::new(), seal: None };
        match self.row.last_open(unsealed) {
            Some(number) => number,
            None => self.begin("rs", empty(), out),
        }
    }

    fn think(&mut self, part: u32, text: &str, out: &mut Vec<u8>) -> bool {
        if self.row.place(part) == Some(Place::Nowhere) {
            let number = self.thought(out);
            let Some(item) = self.row.get_mut(number) else { return false };
            let Body::Reasoning { summary, .. } = &mut item.body else { return false };
            summary.push(Piece { open: true, ..Piece::default() });
            let index = summary.len() - 1;
            let spot = Spot { item: &item.id, output: number, inside: Some(("summary_index", index)) };
            let json = Json(b"{\"type\":\"summary_text\",\"text\":\"\"}");
            self.writer.piece("response.reasoning_summary_part.added", spot, &[("part", &json)], out);
            self.row.put(part, Place::Piece(number, index));
        }
        let Some(Place::Piece(number, index)) = self.row.place(part) else { return false };
        let Some(item) = self.row.get_mut(number) else { return false };
        let Body::Reasoning { summary, .. } = &mut item.body else { return false };
        let Some(piece) = summary.get_mut(index) else { return false };
        piece.text.push_str(text);
        let spot = Spot { item: &item.id, output: number, inside: Some(("summary_index", index)) };
        self.writer.piece("response.reasoning_summary_text.delta", spot, &[("delta", &text)], out);
        true
    }

    /// A seal without a word before it is an item of its own.
    fn seal(&mut self, part: u32, text: String, out: &mut Vec<u8>) -> bool {
        let number = match self.row.place(part) {
            Some(Place::Piece(number, _)) => number,
            _ => {
                let body = Body::Reasoning { summary: Vec::new(), seal: None };
                let number = self.begin("rs", body, out);
                self.row.put(part, Place::Item(number));
                number
            }
        };
        match self.row.get_mut(number).map(|item| &mut item.body) {
            Some(Body::Reasoning { seal, .. }) => {
                *seal = Some(text);
                true
            }
            _ => false,
        }
    }

    fn arguments(&mut self, number: usize, text: &str, out: &mut Vec<u8>) -> bool {
        let Some(item) = self.row.get_mut(number) else { return false };
        let Body::Call { input, custom, client, .. } = &mut item.body else { return false };
        input.push_str(text);
        // Free text stands inside the arguments: it is known when they are whole.
        if !*custom && client.is_none() && !text.is_empty() {
            let spot = Spot { item: &item.id, output: number, inside: None };
            self.writer.piece("response.function_call_arguments.delta", spot, &[("delta", &text)], out);
        }
        true
    }

    /// They stand beside the text: here beside no more of it, as they come behind it.
    fn logprobs(&mut self, value: &Value, out: &mut Vec<u8>, losses: &mut Losses) {
        let Some(list) = value.get("content").and_then(Value::as_array).filter(|list| !list.is_empty())
        else {
            return;
        };
        let place = self.row.len().checked_sub(1);
        let last = place.and_then(|place| Some((place, self.row.get_mut(place)?)));
        let said = last.and_then(|(place, item)| match &mut item.body {
            Body::Message(pieces) => {
                let index = pieces.len().checked_sub(1)?;
                let piece = pieces.last_mut().filter(|piece| piece.open && !piece.refusal)?;
                piece.logprobs.extend(list.iter().cloned());
                Some(Spot { item: &item.id, output: place, inside: Some(("content_index", index)) })
            }
            _ => None,
        });
        let Some(spot) = said else {
            return losses.report("choices[0].logprobs", "there is no text they belong to");
        };
        let mut json = Vec::new();
        push(&mut json, list);
        let fields: [(_, &dyn super::write::Text); 2] = [("delta", &""), ("logprobs", &Json(&json))];
        self.writer.piece("response.output_text.delta", spot, &fields, out);
    }

    fn part_stop(&mut self, part: u32, out: &mut Vec<u8>) {
        match self.row.take(part) {
            Some(Place::Piece(number, index)) => self.stop_piece(number, index, out),
            Some(Place::Item(number)) => self.stop_call(number, out),
            Some(Place::Nowhere | Place::Lost) | None => {}
        }
        self.close_quiet(false, false, out);
    }

    fn stop_piece(&mut self, number: usize, index: usize, out: &mut Vec<u8>) {
        let Some(item) = self.row.get_mut(number) else { return };
        let id = item.id.clone();
        let thought = matches!(item.body, Body::Reasoning { .. });
        let Some(piece) = item.piece_mut(index).filter(|piece| piece.open) else { return };
        piece.open = false;
        let text = piece.text.as_str();
        let field = if thought { "summary_index" } else { "content_index" };
        let spot = Spot { item: &id, output: number, inside: Some((field, index)) };
        if thought {
            let json = to_bytes(&Object::typed("summary_text").with("text", text));
            self.writer.piece("response.reasoning_summary_text.done", spot, &[("text", &text)], out);
            self.writer.piece("response.reasoning_summary_part.done", spot, &[("part", &Json(&json))], out);
            return;
        }
        let json = to_bytes(&piece_object(piece));
        if piece.refusal {
            self.writer.piece("response.refusal.done", spot, &[("refusal", &text)], out);
        } else {
            let mut logprobs = Vec::new();
            push(&mut logprobs, &piece.logprobs);
            let fields: [(_, &dyn super::write::Text); 2] = [("text", &text), ("logprobs", &Json(&logprobs))];
            self.writer.piece("response.output_text.done", spot, &fields, out);
        }
        self.writer.piece("response.content_part.done", spot, &[("part", &Json(&json))], out);
    }

    /// A call without arguments is still a call with an object of them.
    fn stop_call(&mut self, number: usize, out: &mut Vec<u8>) {
        let Some(item) = self.row.get_mut(number) else { return };
        let Body::Call { input, custom, client, open, name, .. } = &mut item.body else { return };
        let told = client.is_some() || !*open;
        *open = false;
        if told {
            return;
        }
        let spot = Spot { item: &item.id, output: number, inside: None };
        if *custom {
            *input = custom::unwrap(input).into_owned();
            let text = input.as_str();
            self.writer.piece("response.custom_tool_call_input.delta", spot, &[("delta", &text)], out);
            self.writer.piece("response.custom_tool_call_input.done", spot, &[("input", &text)], out);
            return;
        }
        if input.is_empty() {
            input.push_str("{}");
            self.writer.piece("response.function_call_arguments.delta", spot, &[("delta", &"{}")], out);
        }
        let (name, text) = (name.as_str(), input.as_str());
        let fields: [(_, &dyn super::write::Text); 2] = [("name", &name), ("arguments", &text)];
        self.writer.piece("response.function_call_arguments.done", spot, &fields, out);
    }

    /// Closes the items that nothing can follow; `cut`: the last one is not whole.
    fn close_quiet(&mut self, all: bool, cut: bool, out: &mut Vec<u8>) {
        if self.row.open.len() < 2 && !all {
            return;
        }
        for number in self.row.quiet(all) {
            let cut = cut && number + 1 == self.row.len();
            let Some(item) = self.row.get(number) else { continue };
            let json = item_bytes(&item.id, &item.body, status(cut), false);
            self.writer.item("response.output_item.done", number, &json, out);
            let raw = String::from_utf8(json).ok().and_then(|text| RawValue::from_string(text).ok());
            if let Some(raw) = raw {
                self.row.close(number, raw);
            }
        }
    }

    /// Finish and counts come in either order from other wires: both are written here. An end without a
    /// reason is told as an error, so that the caller does not take half an answer for a whole one.
    fn end(&mut self, out: &mut Vec<u8>, losses: &mut Losses) {
        let finish = self.finish.take();
        let message = match &finish {
            Some(finish) if finish.reason != FinishReason::Error => None,
            Some(_) => Some("the provider reported a fault inside its answer"),
            None => Some("the provider's stream ended without a stop reason"),
        };
        if let Some(message) = message {
            self.fail(&upstream(message), out);
            return;
        }
        self.ensure_started(out);
        while let Some(part) = self.row.any_part() {
            self.part_stop(part, out);
        }
        let Outcome { status, cut } = outcome(finish.as_ref(), losses);
        self.close_quiet(true, cut, out);
        let name = if cut { "response.incomplete" } else { "response.completed" };
        self.finish_with(&status, name, out);
        self.done = true;
    }

    fn finish_with(&mut self, status: &Status, name: &'static str, out: &mut Vec<u8>) {
        let output = self.row.output().map(ToOwned::to_owned).collect();
        self.answer(name, status, output, out);
    }
}

fn upstream(message: &str) -> Failure {
    Failure {
        status: 502,
        kind: FailureKind::Upstream,
        message: message.to_owned(),
        native_type: None,
        code: None,
        param: None,
    }
}
