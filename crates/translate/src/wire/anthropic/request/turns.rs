//! The conversation as this API wants it: user and assistant in turn, all results of one turn together
//! and first, reasoning first, no blank text, ids of its alphabet.

use std::borrow::Cow;

use serde_json::Value;

use super::cache::Marks;
use super::media;
use crate::ir::{Extra, Message, Part, Role, Signature, Text, Thinking, ToolCall, ToolResult};
use crate::loss::Losses;
use crate::wire::BadRequest;
use crate::wire::anthropic::types::Place;
use crate::wire::anthropic::write::{NO_TWIN, input, keep_extra, lose_extra};
use crate::wire::anthropic::{Wire, citation};
use crate::wire::ids::{CallIds, IdRule};
use crate::wire::retrieved::{Retrieved, as_text};
use crate::wire::tree::{Node, Object};

/// Stands where the API needs a user's turn and the caller gave none.
const FILLER: &str = "Continue.";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Speaker {
    User,
    Assistant,
}

/// What a written block is, as far as its place in the turn depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Thinking,
    /// Text with neither cache mark nor other fields.
    PlainText,
    ToolUse,
    Opaque,
    Other,
}

#[derive(Debug)]
struct Block<'a> {
    kind: Kind,
    node: Node<'a>,
    /// The text of a `PlainText`.
    text: Cow<'a, str>,
}

/// One message of the body.
#[derive(Debug)]
struct Turn<'a> {
    speaker: Speaker,
    results: Vec<Node<'a>>,
    blocks: Vec<Block<'a>>,
    /// Reasoning of this turn could not be sent back.
    thinking_lost: bool,
    /// Fields of the message that a decoder of this wire kept aside.
    kept: Vec<&'a Extra>,
}

/// What became of the reasoning in a tool loop that is still open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OpenLoop {
    /// No loop is open, or its reasoning is there.
    Sound,
    /// Reasoning had to be dropped.
    Lost,
    /// There was none: only models that are asked for a budget mind.
    Absent,
}

/// Builds the turns of one request.
pub(super) struct Turns<'a, 'l> {
    turns: Vec<Turn<'a>>,
    marks: Marks,
    ids: CallIds<'a>,
    /// Who spoke last, whether or not anything of it is written.
    last: Speaker,
    losses: &'l mut Losses,
}

impl<'a, 'l> Turns<'a, 'l> {
    pub(super) fn new(marks: Marks, losses: &'l mut Losses) -> Self {
        let ids = CallIds::new(IdRule::WORD);
        Self { turns: Vec::new(), marks, ids, last: Speaker::User, losses }
    }

    /// Adds one message of the pivot.
    pub(super) fn message(&mut self, message: &'a Message, place: &Place<'_>) -> Result<(), BadRequest> {
        if message.name.is_some() {
            self.losses.report(place.field("name").to_string(), NO_TWIN);
        }
        let speaker = if message.role == Role::Assistant { Speaker::Assistant } else { Speaker::User };
        let instructs = matches!(message.role, Role::System | Role::Developer);
        if instructs {
            let reason = "an instruction inside the conversation is sent as user text";
            self.losses.report(place.to_string(), reason);
        } else {
            self.last = speaker;
        }
        let content = place.field("content");
        let before = self.turns.len();
        let mut lost = false;
        for (index, part) in message.parts.iter().enumerate() {
            let place = content.item(index);
            match part {
                Part::Text(text) if instructs => self.instruction(text, &place),
                Part::Thinking(thinking) => lost |= !self.thinking(speaker, thinking, &place),
                part => self.part(speaker, part, &place)?,
            }
        }
        let grew = self.turns.len() > before;
        match self.turns.last_mut().filter(|last| grew || last.speaker == speaker) {
            Some(turn) => {
                turn.thinking_lost |= lost;
                turn.keep(&message.extra, place, self.losses);
            }
            None => lose_extra(&message.extra, place, self.losses),
        }
        Ok(())
    }

    /// Whether the reasoning that an open tool loop needs is there. The loop is the run of calls and
    /// results at the end; its first turn is the one that must begin with reasoning.
    pub(super) fn open_loop(&mut self) -> OpenLoop {
        self.turns.iter_mut().for_each(Turn::reasoning_first);
        let mut first: Option<&Turn<'_>> = None;
        let mut lost = false;
        let mut turns = self.turns.iter().rev();
        while let (Some(answer), Some(call)) = (turns.next(), turns.next()) {
            if answer.results.is_empty() || !call.blocks.iter().any(|block| block.kind == Kind::ToolUse) {
                break;
            }
            lost |= call.thinking_lost;
            first = Some(call);
        }
        match first {
            None => OpenLoop::Sound,
            Some(_) if lost => OpenLoop::Lost,
            Some(call) if call.blocks.first().is_some_and(|block| block.kind == Kind::Thinking) => {
                OpenLoop::Sound
            }
            Some(_) => OpenLoop::Absent,
        }
    }

    /// The `messages` array, after [`Self::open_loop`]. `prefill`: an assistant's turn may stand last, to be continued.
    pub(super) fn finish(mut self, prefill: bool) -> Node<'a> {
        if self.turns.first().is_none_or(|turn| turn.speaker == Speaker::Assistant) {
            self.losses.report("messages", "the conversation must begin with a user: a turn was added");
            self.turns.insert(0, Turn::filler());
        }
        self.end(prefill);
        self.turns.into_iter().map(|turn| Node::from(turn.into_object())).collect::<Vec<_>>().into()
    }

    fn end(&mut self, prefill: bool) {
        let Some(last) = self.turns.last_mut().filter(|turn| turn.speaker == Speaker::Assistant) else {
            return;
        };
        let Some(block) = last.blocks.last_mut() else { return };
        // What the user said then is blank: the answer before it is not to be continued.
        let open = self.last == Speaker::Assistant;
        let prefill = prefill && open;
        match block.kind {
            // A server tool's turn that was paused is continued by sending it back.
            Kind::Opaque if open => {}
            Kind::PlainText if prefill => {
                let trimmed = block.text.trim_end();
                if trimmed.len() < block.text.len() {
                    self.losses.report("messages", "white space at the end of a prefill is refused");
                    let text = trimmed.to_owned();
                    block.node = Object::typed("text").with("text", text.clone()).into();
                    block.text = text.into();
                }
            }
            _ if prefill => {}
            _ => {
                let reason = "this call takes no assistant turn at the end: a user turn was added";
                self.losses.report("messages", reason);
                self.turns.push(Turn::filler());
            }
        }
    }

    fn part(&mut self, speaker: Speaker, part: &'a Part, place: &Place<'_>) -> Result<(), BadRequest> {
        match part {
            Part::Text(text) => self.text(speaker, text, place),
            Part::Refusal(text) => self.plain(speaker, text.as_str().into(), place),
            Part::Image(_) if speaker == Speaker::Assistant => {
                self.losses.report(
                    place.to_string(),
                    "an image of the model's cannot be sent back to this provider",
                );
            }
            Part::Image(_) | Part::Document(_) => {
                let block = self.media(part, place)?;
                self.push(speaker, Kind::Other, block);
            }
            Part::Audio { .. } => return Err(audio(place)),
            Part::ToolCall(call) => self.tool_use(speaker, call, place),
            Part::ToolResult(result) => self.tool_result(result, place)?,
            Part::Thinking(thinking) => {
                self.thinking(speaker, thinking, place);
            }
            Part::RedactedThinking { data, extra } => {
                let mut block = Object::typed("redacted_thinking").with("data", data.as_str());
                keep_extra(&mut block, extra, place, self.losses);
                self.push(speaker, Kind::Thinking, block);
            }
            Part::Opaque { wire: Wire::Anthropic, value } => {
                self.ids.whole(value);
                self.push(speaker, Kind::Opaque, value);
            }
            Part::Opaque { wire, value } => match media::retrieved(*wire, value, place, self.losses) {
                Some(block) => self.push(speaker, Kind::Other, block),
                None => self.losses.report(place.to_string(), NO_TWIN),
            },
        }
        Ok(())
    }

    fn push(&mut self, speaker: Speaker, kind: Kind, node: impl Into<Node<'a>>) {
        self.turn(speaker).blocks.push(Block { kind, node: node.into(), text: Cow::Borrowed("") });
    }

    fn turn(&mut self, speaker: Speaker) -> &mut Turn<'a> {
        let same = self.turns.pop_if(|last| last.speaker == speaker);
        self.turns.push_mut(same.unwrap_or_else(|| Turn::new(speaker)))
    }

    fn text(&mut self, speaker: Speaker, text: &'a Text, place: &Place<'_>) {
        if text.cache.is_none() && text.extra.is_empty() && text.citations.is_empty() {
            return self.plain(speaker, text.text.as_str().into(), place);
        }
        if let Some(block) = self.marked_text(text, place) {
            self.push(speaker, Kind::Other, block);
        }
    }

    fn plain(&mut self, speaker: Speaker, text: Cow<'a, str>, place: &Place<'_>) {
        if is_blank(&text, place, self.losses) {
            return;
        }
        let node = Object::typed("text").with("text", text.clone()).into();
        self.turn(speaker).blocks.push(Block { kind: Kind::PlainText, node, text });
    }

    fn marked_text(&mut self, text: &'a Text, place: &Place<'_>) -> Option<Object<'a>> {
        if is_blank(&text.text, place, self.losses) {
            lose_mark(text, place, self.losses);
            return None;
        }
        let mut block = text_block(text, place, self.losses);
        block.put_some("cache_control", self.marks.in_messages(text.cache.as_ref(), place, self.losses));
        Some(block)
    }

    /// An instruction that cannot be lifted to the top keeps its place and is marked as what it is.
    fn instruction(&mut self, text: &'a Text, place: &Place<'_>) {
        if is_blank(&text.text, place, self.losses) {
            return;
        }
        let wrapped = format!("<system>\n{}\n</system>", text.text);
        let mut block = Object::typed("text").with("text", wrapped);
        keep_extra(&mut block, &text.extra, place, self.losses);
        block.put_some("cache_control", self.marks.in_messages(text.cache.as_ref(), place, self.losses));
        self.push(Speaker::User, Kind::Other, block);
    }

    fn media(&mut self, part: &'a Part, place: &Place<'_>) -> Result<Object<'a>, BadRequest> {
        let (mut block, cache) = match part {
            Part::Image(image) => (media::image(image, place, self.losses)?, &image.cache),
            Part::Document(document) => (media::document(document, place, self.losses)?, &document.cache),
            _ => return Err(place.bad("expected an image or a document")),
        };
        block.put_some("cache_control", self.marks.in_messages(cache.as_ref(), place, self.losses));
        Ok(block)
    }

    fn tool_use(&mut self, speaker: Speaker, call: &'a ToolCall, place: &Place<'_>) {
        let mut block = Object::typed("tool_use")
            .with("id", self.ids.call(&call.id))
            .with("name", call.name.as_str())
            .with("input", input(&call.arguments, place, self.losses));
        keep_extra(&mut block, &call.extra, place, self.losses);
        block.put_some("cache_control", self.marks.in_messages(call.cache.as_ref(), place, self.losses));
        self.push(speaker, Kind::ToolUse, block);
    }

    fn tool_result(&mut self, result: &'a ToolResult, place: &Place<'_>) -> Result<(), BadRequest> {
        let Some(id) = self.ids.result(&result.call_id) else { return Err(orphan(&result.call_id, place)) };
        let mut block = Object::typed("tool_result").with("tool_use_id", id);
        block.put_some("content", self.result_content(&result.parts, place)?);
        block.put_some("is_error", result.is_error);
        keep_extra(&mut block, &result.extra, place, self.losses);
        block.put_some("cache_control", self.marks.in_messages(result.cache.as_ref(), place, self.losses));
        self.turn(Speaker::User).results.push(block.into());
        Ok(())
    }

    /// One plain text is written as a string; nothing at all leaves the field out, as the API allows.
    fn result_content(
        &mut self,
        parts: &'a [Part],
        place: &Place<'_>,
    ) -> Result<Option<Node<'a>>, BadRequest> {
        if let [Part::Text(text)] = parts
            && text.cache.is_none()
            && text.extra.is_empty()
            && text.citations.is_empty()
        {
            let blank = is_blank(&text.text, place, self.losses);
            return Ok((!blank).then(|| text.text.as_str().into()));
        }
        let content = place.field("content");
        let mut blocks: Vec<Node<'a>> = Vec::with_capacity(parts.len());
        for (index, part) in parts.iter().enumerate() {
            let place = content.item(index);
            match part {
                Part::Text(text) => blocks.extend(self.marked_text(text, &place).map(Node::from)),
                Part::Image(_) | Part::Document(_) => blocks.push(self.media(part, &place)?.into()),
                Part::Opaque { wire: Wire::Anthropic, value } => blocks.push(value.into()),
                Part::Opaque { wire, value } => match media::retrieved(*wire, value, &place, self.losses) {
                    Some(block) => blocks.push(block.into()),
                    None => self.losses.report(place.to_string(), NO_TWIN),
                },
                Part::Audio { .. } => return Err(audio(&place)),
                _ => self.losses.report(place.to_string(), "cannot stand in a tool's result on anthropic"),
            }
        }
        Ok((!blocks.is_empty()).then(|| blocks.into()))
    }

    /// Reasoning goes back only with its signature, byte for byte. True when it was written, or when
    /// there was nothing to write.
    fn thinking(&mut self, speaker: Speaker, thinking: &'a Thinking, place: &Place<'_>) -> bool {
        let own = |signature: &'a Signature| signature.for_wire(Wire::Anthropic);
        let signature = match thinking.signature.as_ref().map(own) {
            Some(Some(signature)) if !signature.is_empty() => signature,
            Some(None) => {
                self.losses
                    .report(place.to_string(), "reasoning signed by another maker is refused by anthropic");
                return thinking.text.is_empty();
            }
            _ if thinking.text.is_empty() => return true,
            _ => {
                self.losses
                    .report(place.to_string(), "reasoning without a signature is refused by anthropic");
                return false;
            }
        };
        let mut block =
            Object::typed("thinking").with("thinking", thinking.text.as_str()).with("signature", signature);
        keep_extra(&mut block, &thinking.extra, place, self.losses);
        self.push(speaker, Kind::Thinking, block);
        true
    }
}

impl<'a> Turn<'a> {
    fn new(speaker: Speaker) -> Self {
        Self { speaker, results: Vec::new(), blocks: Vec::new(), thinking_lost: false, kept: Vec::new() }
    }

    fn filler() -> Self {
        let node = Object::typed("text").with("text", FILLER).into();
        let block = Block { kind: Kind::PlainText, node, text: FILLER.into() };
        Self { blocks: vec![block], ..Self::new(Speaker::User) }
    }

    fn keep(&mut self, extra: &'a Extra, place: &Place<'_>, losses: &mut Losses) {
        match extra.for_wire(Wire::Anthropic) {
            Some(_) => self.kept.push(extra),
            None => lose_extra(extra, place, losses),
        }
    }

    /// Wires that keep reasoning apart deliver it anywhere in the turn; here it must come first. A turn
    /// that already begins with reasoning, or holds blocks of this wire alone, is as the model wrote it.
    fn reasoning_first(&mut self) {
        let natural = self.blocks.first().is_some_and(|block| block.kind == Kind::Thinking)
            || self.blocks.iter().any(|block| block.kind == Kind::Opaque);
        if !natural {
            self.blocks.sort_by_key(|block| block.kind != Kind::Thinking);
        }
    }

    fn into_object(self) -> Object<'a> {
        let role = match self.speaker {
            Speaker::User => "user",
            Speaker::Assistant => "assistant",
        };
        let kept = self.kept;
        let mut message = Object::new().with("role", role);
        let content = match self.blocks.as_slice() {
            [Block { kind: Kind::PlainText, text, .. }] if self.results.is_empty() => {
                Node::Text(text.clone())
            }
            _ => {
                let mut content = self.results;
                content.extend(self.blocks.into_iter().map(|block| block.node));
                content.into()
            }
        };
        message.put("content", content);
        kept.into_iter().for_each(|extra| message.merge(&extra.fields));
        message
    }
}

/// A text block with its citations, without its cache mark.
fn text_block<'a>(text: &'a Text, place: &Place<'_>, losses: &mut Losses) -> Object<'a> {
    let mut block = Object::typed("text").with("text", text.text.as_str());
    let citations: Vec<Node<'a>> =
        text.citations.iter().filter_map(citation::sent_back).map(Node::from).collect();
    if citations.len() < text.citations.len() {
        let reason = "a citation goes back only to the provider that made it";
        losses.report(place.field("citations").to_string(), reason);
    }
    if !citations.is_empty() {
        block.put("citations", citations);
    }
    keep_extra(&mut block, &text.extra, place, losses);
    block
}

fn orphan(id: &str, place: &Place<'_>) -> BadRequest {
    place.bad(&format!("expected the result of a tool call before it, found one for {id:?}, which no call sent to this provider bears"))
}

fn audio(place: &Place<'_>) -> BadRequest {
    place.bad("expected text, an image or a document, found audio, which anthropic cannot hear")
}

/// Blank text is refused by the API. An empty string holds nothing; white space is reported.
pub(super) fn is_blank(text: &str, place: &Place<'_>, losses: &mut Losses) -> bool {
    let blank = text.trim().is_empty();
    if blank && !text.is_empty() {
        losses.report(place.to_string(), "blank text is refused by anthropic");
    }
    blank
}

fn lose_mark(text: &Text, place: &Place<'_>, losses: &mut Losses) {
    if text.cache.is_some() {
        let path = place.field("cache_control").to_string();
        losses.report(path, "blank text cannot carry a cache breakpoint on anthropic");
    }
}

/// A leading instruction as a block of `system`.
pub(super) fn system_block<'a>(
    part: &'a Part,
    marks: &mut Marks,
    place: &Place<'_>,
    losses: &mut Losses,
) -> Option<Node<'a>> {
    match part {
        Part::Text(text) if is_blank(&text.text, place, losses) => {
            lose_mark(text, place, losses);
            None
        }
        Part::Text(text) => {
            let mut block = text_block(text, place, losses);
            block.put_some("cache_control", marks.ahead(text.cache.as_ref(), place, losses));
            Some(block.into())
        }
        Part::Opaque { wire: Wire::Anthropic, value } => Some(Node::from(value as &Value)),
        Part::Opaque { wire, value } if Retrieved::of(*wire, value).is_some() => {
            let text = as_text(*wire, value, &place.to_string(), losses)?;
            Some(Object::typed("text").with("text", text).into())
        }
        _ => {
            losses.report(place.to_string(), "only text can instruct on anthropic");
            None
        }
    }
}
