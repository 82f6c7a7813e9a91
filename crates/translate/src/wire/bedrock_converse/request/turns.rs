//! The conversation as the API wants it: user and assistant in turn, a user first, all results of one turn
//! together and first, reasoning first, no blank text, ids and names of its alphabets.

use super::cache::{Points, of_result};
use super::turn::{Block, Kind, Speaker, Turn, text_block};
use crate::ir::{CacheMark, Extra, Message, Part, Role, Text, Thinking, ToolCall, ToolResult};
use crate::loss::Losses;
use crate::wire::BadRequest;
use crate::wire::bedrock_converse::family::Family;
use crate::wire::bedrock_converse::media::{self, Documents, refused};
use crate::wire::bedrock_converse::types::{NO_TWIN, OWN, blob, input};
use crate::wire::fields::{Path, lose_extra, write_extra};
use crate::wire::ids::{CallIds, IdRule, fit};
use crate::wire::retrieved;
use crate::wire::tree::{Node, Object};

/// Stands beside a document, which the API does not take alone.
const ABOUT_DOCUMENTS: &str = "See the document.";
/// Stands in a result that says nothing: blank text and no content at all are refused.
const NO_OUTPUT: &str = "(no output)";

/// Claude Code's first system line: it changes per session, which would spoil every cached prefix.
const BILLING_HEADER: &str = "x-anthropic-billing-header:";

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
    family: Family,
    turns: Vec<Turn<'a>>,
    points: Points,
    ids: CallIds<'a>,
    rule: IdRule,
    documents: Documents,
    /// Who spoke last, whether or not anything of it is written.
    last: Speaker,
    losses: &'l mut Losses,
}

impl<'a, 'l> Turns<'a, 'l> {
    pub(super) fn new(family: Family, points: Points, losses: &'l mut Losses) -> Self {
        let rule = if family == Family::Mistral { IdRule::NINE } else { IdRule::CONVERSE };
        let ids = CallIds::new(rule);
        let (documents, last) = (Documents::new(family), Speaker::User);
        Self { family, turns: Vec::new(), points, ids, rule, documents, last, losses }
    }

    /// Adds one message of the pivot.
    pub(super) fn message(&mut self, message: &'a Message, path: &Path<'_>) -> Result<(), BadRequest> {
        if message.name.is_some() {
            self.losses.report(path.field("name").to_string(), NO_TWIN);
        }
        let speaker = if message.role == Role::Assistant { Speaker::Assistant } else { Speaker::User };
        let instructs = matches!(message.role, Role::System | Role::Developer);
        if instructs {
            let reason = "an instruction inside the conversation is sent as user text";
            self.losses.report(path.to_string(), reason);
        } else {
            self.last = speaker;
        }
        let content = path.field("content");
        let before = self.turns.len();
        let mut lost = false;
        for (index, part) in message.parts.iter().enumerate() {
            let path = content.item(index);
            match part {
                Part::Text(text) if instructs => self.instruction(text, &path),
                Part::Thinking(thinking) => lost |= !self.thinking(thinking, &path),
                Part::RedactedThinking { data, extra } => lost |= !self.redacted(data, extra, &path),
                part => self.part(speaker, part, &path)?,
            }
        }
        let grew = self.turns.len() > before;
        match self.turns.last_mut().filter(|last| grew || last.speaker == speaker) {
            Some(turn) => {
                turn.thinking_lost |= lost;
                match message.extra.for_wire(OWN) {
                    Some(_) => turn.kept.push(&message.extra),
                    None => lose_extra(&message.extra, path, OWN, self.losses),
                }
            }
            None => lose_extra(&message.extra, path, OWN, self.losses),
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

    /// The `messages` list, after [`Self::open_loop`]. `prefill`: an assistant's turn may stand last.
    pub(super) fn finish(mut self, prefill: bool) -> Node<'a> {
        if self.turns.first().is_none_or(|turn| turn.speaker == Speaker::Assistant) {
            self.losses.report("messages", "the conversation must begin with a user: a turn was added");
            self.turns.insert(0, Turn::filler());
        }
        self.end(prefill);
        for turn in &mut self.turns {
            let has = |kind| turn.blocks.iter().any(|block| block.kind == kind);
            if has(Kind::Document) && !has(Kind::Text) {
                self.losses.report("messages", "a document must have text beside it: some was added");
                turn.blocks.push(Block::of(Kind::Text, text_block(ABOUT_DOCUMENTS)));
            }
        }
        self.turns.into_iter().map(|turn| Node::from(turn.into_object())).collect::<Vec<_>>().into()
    }

    fn end(&mut self, prefill: bool) {
        let Some(last) = self.turns.last_mut().filter(|turn| turn.speaker == Speaker::Assistant) else {
            return;
        };
        let Some(block) = last.blocks.last_mut() else { return };
        // What the user said then is blank: the answer before it is not to be continued.
        let prefill = prefill && self.last == Speaker::Assistant;
        match block.kind {
            Kind::Text if prefill => {
                let trimmed = block.text.trim_end();
                if trimmed.len() < block.text.len() {
                    self.losses.report("messages", "white space at the end of a prefill is refused");
                    block.node = text_block(trimmed.to_owned());
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

    fn part(&mut self, speaker: Speaker, part: &'a Part, path: &Path<'_>) -> Result<(), BadRequest> {
        let block = match part {
            Part::Text(text) => return self.text(speaker, text, path),
            Part::Refusal(text) => {
                if !is_blank(text, path, self.losses) {
                    self.turn(speaker).blocks.push(Block::of_text(text));
                }
                return Ok(());
            }
            Part::Image(_) if speaker == Speaker::Assistant => {
                self.losses
                    .report(path.to_string(), "an image of the model's cannot be sent back to this provider");
                return Ok(());
            }
            Part::Image(image) => {
                let node = media::image(image, path, self.losses)?;
                self.marked(Kind::Other, node, image.cache.as_ref(), path)
            }
            Part::Document(document) => {
                let node = media::document(document, &mut self.documents, path, self.losses)?;
                self.marked(Kind::Document, node, document.cache.as_ref(), path)
            }
            Part::Audio { data, format } if self.family.hears() => {
                Block::of(Kind::Other, media::audio(data, format))
            }
            Part::Audio { .. } => return Err(audio(path)),
            Part::ToolCall(call) => self.tool_use(call, path),
            Part::ToolResult(result) => return self.tool_result(result, path),
            Part::Opaque { wire, value } if *wire == OWN => Block::of(Kind::Opaque, value),
            Part::Opaque { wire, value } => {
                match media::retrieved(*wire, value, &mut self.documents, path, self.losses) {
                    Some((retrieved::Kind::Document, node)) => Block::of(Kind::Document, node),
                    Some((retrieved::Kind::Guarded, node)) => Block::of(Kind::Text, node),
                    Some((retrieved::Kind::SearchResult, node)) => Block::of(Kind::Other, node),
                    None => {
                        self.losses.report(path.to_string(), NO_TWIN);
                        return Ok(());
                    }
                }
            }
            // Reasoning was seen to before.
            Part::Thinking(_) | Part::RedactedThinking { .. } => {
                self.losses.report(path.to_string(), NO_TWIN);
                return Ok(());
            }
        };
        self.turn(speaker).blocks.push(block);
        Ok(())
    }

    fn turn(&mut self, speaker: Speaker) -> &mut Turn<'a> {
        let same = self.turns.pop_if(|last| last.speaker == speaker);
        self.turns.push_mut(same.unwrap_or_else(|| Turn::new(speaker)))
    }

    fn marked(
        &mut self,
        kind: Kind,
        node: impl Into<Node<'a>>,
        mark: Option<&CacheMark>,
        path: &Path<'_>,
    ) -> Block<'a> {
        let point = self.points.in_messages(mark, path, self.losses);
        Block { point, ..Block::of(kind, node) }
    }

    fn text(&mut self, speaker: Speaker, text: &'a Text, path: &Path<'_>) -> Result<(), BadRequest> {
        if is_blank(&text.text, path, self.losses) {
            lose_mark(text, path, self.losses);
            return Ok(());
        }
        let node = said(text, path, self.losses);
        let mut block = self.marked(Kind::Text, node, text.cache.as_ref(), path);
        block.text = text.text.as_str().into();
        self.turn(speaker).blocks.push(block);
        Ok(())
    }

    /// An instruction that cannot be lifted to the top keeps its place and is marked as what it is.
    fn instruction(&mut self, text: &'a Text, path: &Path<'_>) {
        if is_blank(&text.text, path, self.losses) {
            return;
        }
        lose_extra(&text.extra, path, OWN, self.losses);
        let wrapped = text_block(format!("<system>\n{}\n</system>", text.text));
        let block = self.marked(Kind::Text, wrapped, text.cache.as_ref(), path);
        self.turn(Speaker::User).blocks.push(block);
    }

    fn tool_use(&mut self, call: &'a ToolCall, path: &Path<'_>) -> Block<'a> {
        let mut inner = Object::new()
            .with("toolUseId", self.ids.call(&call.id))
            .with("name", call.name.as_str())
            .with("input", input(&call.arguments, path, self.losses));
        write_extra(&mut inner, &call.extra, path, OWN, self.losses);
        self.marked(Kind::ToolUse, Object::new().with("toolUse", inner), call.cache.as_ref(), path)
    }

    fn tool_result(&mut self, result: &'a ToolResult, path: &Path<'_>) -> Result<(), BadRequest> {
        // A call that stands there whole is of the API's own alphabet, and so is its result.
        let id = self.ids.result(&result.call_id).unwrap_or_else(|| fit(&result.call_id, self.rule));
        let mut inner =
            Object::new().with("toolUseId", id).with("content", self.result_content(&result.parts, path)?);
        match result.is_error {
            Some(failed) if self.family.takes_status() => {
                inner.put("status", if failed { "error" } else { "success" });
            }
            Some(true) => {
                self.losses.report(path.field("is_error").to_string(), "this model is not told of errors");
            }
            _ => {}
        }
        write_extra(&mut inner, &result.extra, path, OWN, self.losses);
        let node = Object::new().with("toolResult", inner);
        let block = self.marked(Kind::Other, node, of_result(result), path);
        self.turn(Speaker::User).results.push(block);
        Ok(())
    }

    fn result_content(&mut self, parts: &'a [Part], path: &Path<'_>) -> Result<Node<'a>, BadRequest> {
        let content = path.field("content");
        let mut blocks: Vec<Node<'a>> = Vec::with_capacity(parts.len());
        for (index, part) in parts.iter().enumerate() {
            let path = content.item(index);
            match part {
                Part::Text(text) => {
                    if !is_blank(&text.text, &path, self.losses) {
                        lose_extra(&text.extra, &path, OWN, self.losses);
                        blocks.push(text_block(text.text.as_str()));
                    }
                }
                Part::Image(image) => blocks.push(media::image(image, &path, self.losses)?),
                Part::Document(document) => {
                    blocks.push(media::document(document, &mut self.documents, &path, self.losses)?);
                }
                Part::Opaque { wire, value } if *wire == OWN => blocks.push(value.into()),
                Part::Opaque { wire, value } => {
                    match media::retrieved(*wire, value, &mut self.documents, &path, self.losses) {
                        Some((_, node)) => blocks.push(node),
                        None => self.losses.report(path.to_string(), NO_TWIN),
                    }
                }
                Part::Audio { .. } => return Err(audio(&path)),
                _ => self
                    .losses
                    .report(path.to_string(), "cannot stand in a tool's result on bedrock_converse"),
            }
        }
        if blocks.is_empty() {
            self.losses.report(content.to_string(), "a result must say something: \"(no output)\" was sent");
            blocks.push(text_block(NO_OUTPUT));
        }
        Ok(blocks.into())
    }

    /// Reasoning goes back only with its signature, byte for byte, and only to who signed it. True when it
    /// was written, or when there was nothing to write.
    fn thinking(&mut self, thinking: &'a Thinking, path: &Path<'_>) -> bool {
        let signed = thinking.signature.as_ref().and_then(|signature| signature.for_wire(OWN));
        let signed = signed.filter(|text| !text.is_empty() && self.reasons_in_the_open());
        let Some(signature) = signed else {
            if thinking.text.is_empty() {
                // There is no reasoning to miss, only the proof of another maker's.
                if thinking.signature.is_some() {
                    let reason = "a signature of another maker is refused by bedrock_converse";
                    self.losses.report(path.to_string(), reason);
                }
                return true;
            }
            let reason = match self.reasons_in_the_open() {
                true => "reasoning without a signature of this model's maker is refused by bedrock_converse",
                false => "reasoning of earlier turns is not sent back to this model",
            };
            self.losses.report(path.to_string(), reason);
            return false;
        };
        let shown = Object::new().with("text", thinking.text.as_str()).with("signature", signature);
        let mut inner = Object::new().with("reasoningText", shown);
        write_extra(&mut inner, &thinking.extra, path, OWN, self.losses);
        let block = Block::of(Kind::Thinking, Object::new().with("reasoningContent", inner));
        self.turn(Speaker::Assistant).blocks.push(block);
        true
    }

    fn redacted(&mut self, data: &'a str, extra: &'a Extra, path: &Path<'_>) -> bool {
        let reason = match blob(data).filter(|_| self.reasons_in_the_open()) {
            Some(data) => {
                let mut inner = Object::new().with("redactedContent", data);
                write_extra(&mut inner, extra, path, OWN, self.losses);
                let block = Block::of(Kind::Thinking, Object::new().with("reasoningContent", inner));
                self.turn(Speaker::Assistant).blocks.push(block);
                return true;
            }
            None if self.reasons_in_the_open() => "encrypted reasoning must be base64 on bedrock_converse",
            None => "reasoning of earlier turns is not sent back to this model",
        };
        self.losses.report(path.to_string(), reason);
        false
    }

    /// The models whose reasoning is signed.
    fn reasons_in_the_open(&self) -> bool {
        self.family.signs()
    }
}

/// A leading instruction as blocks of `system`.
pub(super) fn system_blocks<'a>(
    part: &'a Part,
    points: &mut Points,
    path: &Path<'_>,
    losses: &mut Losses,
) -> Vec<Node<'a>> {
    match part {
        Part::Text(text) if is_blank(&text.text, path, losses) => {
            lose_mark(text, path, losses);
            Vec::new()
        }
        Part::Text(text) if text.text.starts_with(BILLING_HEADER) => {
            losses.report(path.to_string(), "Anthropic's billing line is of no use to this provider");
            Vec::new()
        }
        Part::Text(text) => {
            lose_extra(&text.extra, path, OWN, losses);
            let block = text_block(text.text.as_str());
            std::iter::once(block).chain(points.ahead(text.cache.as_ref(), path, losses)).collect()
        }
        Part::Opaque { wire, value } if *wire == OWN => vec![value.into()],
        _ => {
            losses.report(path.to_string(), "only text can instruct on bedrock_converse");
            Vec::new()
        }
    }
}

/// Text, with its sources when they are of this wire.
fn said<'a>(text: &'a Text, path: &Path<'_>, losses: &mut Losses) -> Node<'a> {
    let own: Vec<Node<'a>> =
        text.citations.iter().filter_map(|citation| citation.for_wire(OWN)).map(Node::from).collect();
    if own.is_empty() && text.extra.for_wire(OWN).is_none() {
        lose_extra(&text.extra, path, OWN, losses);
        return text_block(text.text.as_str());
    }
    let mut cited = Object::new().with("content", vec![text_block(text.text.as_str())]);
    cited.put("citations", own);
    write_extra(&mut cited, &text.extra, path, OWN, losses);
    Object::new().with("citationsContent", cited).into()
}

/// Blank text is refused by the API. An empty string holds nothing; white space is reported.
fn is_blank(text: &str, path: &Path<'_>, losses: &mut Losses) -> bool {
    let blank = text.trim().is_empty();
    if blank && !text.is_empty() {
        losses.report(path.to_string(), "blank text is refused by bedrock_converse");
    }
    blank
}

fn lose_mark(text: &Text, path: &Path<'_>, losses: &mut Losses) {
    if text.cache.is_some() {
        let path = path.field("cache_control").to_string();
        losses.report(path, "blank text cannot carry a cache point on bedrock_converse");
    }
}

fn audio(path: &Path<'_>) -> BadRequest {
    refused(path, "is audio, expected text, an image or a document: this model cannot hear")
}
