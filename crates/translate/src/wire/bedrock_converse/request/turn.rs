//! One message of the body while it is put together: its blocks, each with the cache point behind it, in the
//! order the API wants. Knows nothing of the pivot's parts.

use std::borrow::Cow;

use crate::ir::Extra;
use crate::wire::tree::{Node, Object};

/// Stands where the API needs a user's turn and the caller gave none.
const FILLER: &str = "Continue.";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speaker {
    User,
    Assistant,
}

/// What a written block is, as far as its place in the turn depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Thinking,
    Text,
    ToolUse,
    Document,
    Opaque,
    Other,
}

#[derive(Debug)]
pub(super) struct Block<'a> {
    pub(super) kind: Kind,
    pub(super) node: Node<'a>,
    /// The cache point behind it.
    pub(super) point: Option<Node<'a>>,
    /// The text of a `Text`.
    pub(super) text: Cow<'a, str>,
}

/// One message of the body.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    pub(super) speaker: Speaker,
    pub(super) results: Vec<Block<'a>>,
    pub(super) blocks: Vec<Block<'a>>,
    /// Reasoning of this turn could not be sent back.
    pub(super) thinking_lost: bool,
    /// Fields of the message that a decoder of this wire kept aside.
    pub(super) kept: Vec<&'a Extra>,
}

impl<'a> Block<'a> {
    pub(super) fn of(kind: Kind, node: impl Into<Node<'a>>) -> Self {
        Self { kind, node: node.into(), point: None, text: Cow::Borrowed("") }
    }

    pub(super) fn of_text(text: &'a str) -> Self {
        Self { text: text.into(), ..Self::of(Kind::Text, text_block(text)) }
    }
}

impl<'a> Turn<'a> {
    pub(super) fn new(speaker: Speaker) -> Self {
        Self { speaker, results: Vec::new(), blocks: Vec::new(), thinking_lost: false, kept: Vec::new() }
    }

    pub(super) fn filler() -> Self {
        Self { blocks: vec![Block::of_text(FILLER)], ..Self::new(Speaker::User) }
    }

    /// Wires that keep reasoning apart deliver it anywhere in the turn; here it must come first. A turn
    /// that already begins with reasoning, or holds blocks of this wire alone, is as the model wrote it.
    pub(super) fn reasoning_first(&mut self) {
        let natural = self.blocks.first().is_some_and(|block| block.kind == Kind::Thinking)
            || self.blocks.iter().any(|block| block.kind == Kind::Opaque);
        if !natural {
            self.blocks.sort_by_key(|block| block.kind != Kind::Thinking);
        }
    }

    pub(super) fn into_object(self) -> Object<'a> {
        let role = match self.speaker {
            Speaker::User => "user",
            Speaker::Assistant => "assistant",
        };
        let blocks = self.results.into_iter().chain(self.blocks);
        let content: Vec<Node<'a>> =
            blocks.flat_map(|block| std::iter::once(block.node).chain(block.point)).collect();
        let mut message = Object::new().with("role", role).with("content", content);
        self.kept.into_iter().for_each(|extra| message.adopt(&extra.fields));
        message
    }
}

/// A block of text.
pub(super) fn text_block<'a>(text: impl Into<Cow<'a, str>>) -> Node<'a> {
    Object::new().with("text", text.into()).into()
}
