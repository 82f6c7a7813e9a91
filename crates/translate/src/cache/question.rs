//! Which words of a request are compared by meaning, and what must be equal around them.
//!
//! What is asked is the user's last turn, and as many turns before it as are wanted. All else is the frame: system
//! prompt, tools, schema, parameters, earlier turns. Two requests may share an answer by meaning only where their
//! frames are byte for byte the same ([`Question::frame`] is hashed as [`super::canonical`] is); the words are embedded by
//! the shell and held against each other by [`super::guards`]. What cannot be compared by its words says why.

use std::borrow::Cow;

use super::canonical::{self, Operation, Shown, Target, is_point};
use crate::ir::{Message, Part, Request, Role, ToolResult};

#[cfg(test)]
mod tests;

/// What is compared by meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asking {
    /// Turns before the user's last one that are compared by meaning too, as far as they are nothing but text. The
    /// others must be equal.
    pub history: usize,
    /// What becomes of system prompts.
    pub system: SystemPrompt,
    /// What tools answered since the model last spoke is part of what is asked; else such a request is not
    /// compared by meaning.
    pub tool_results: bool,
    /// More turns than this before the user's last one, and the request is not compared by meaning.
    pub most_turns: Option<usize>,
    /// More characters than this are not compared by meaning: models of embeddings read a few thousand, and what is
    /// cut off would count as equal.
    pub most_chars: usize,
}

impl Default for Asking {
    fn default() -> Self {
        Self {
            history: 0,
            system: SystemPrompt::Equal,
            tool_results: false,
            most_turns: None,
            most_chars: 8_000,
        }
    }
}

/// What becomes of system prompts, wherever they stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SystemPrompt {
    /// Must be equal.
    #[default]
    Equal,
    /// Compared by meaning, with the question.
    Asked,
    /// Not looked at: for prompts that hold a time or a name and say nothing of the answer. An answer given under one
    /// system prompt is then given under another.
    Ignored,
}

/// What a request asks, as far as it is compared by meaning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The words, for the embedding and for the guards. Where there are several turns each begins with its
    /// speaker on a line of its own.
    pub text: String,
    /// The canonical form of all else.
    pub frame: Vec<u8>,
}

/// Why a request is not compared by meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    #[error("nobody asks: there is no text of a user's")]
    NoText,
    #[error("the answer's beginning is given")]
    Begun,
    #[error("a tool's result is asked about")]
    ToolResult,
    #[error("an image is asked about")]
    Image,
    #[error("audio is asked about")]
    Audio,
    #[error("a document is asked about")]
    Document,
    #[error("a part that only one provider understands is asked about")]
    Foreign,
    #[error("{found} characters are asked, at most {most} are compared by meaning")]
    TooLong { found: usize, most: usize },
    #[error("{found} turns stand before the question, at most {most} are compared by meaning")]
    TooManyTurns { found: usize, most: usize },
}

impl Unfit {
    /// A word for metrics and logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NoText => "no_text",
            Self::Begun => "begun",
            Self::ToolResult => "tool_result",
            Self::Image => "image",
            Self::Audio => "audio",
            Self::Document => "document",
            Self::Foreign => "foreign",
            Self::TooLong { .. } => "too_long",
            Self::TooManyTurns { .. } => "too_many_turns",
        }
    }
}

/// What `request` asks. `target` as in [`canonical::chat`].
///
/// # Errors
/// [`Unfit`]: the request may be looked up by its fingerprint only.
pub fn of(
    request: &Request,
    operation: Operation,
    target: &Target<'_>,
    asking: &Asking,
) -> Result<Question, Unfit> {
    let parted = Parted::of(&request.messages, asking)?;
    let text = parted.text(&request.messages)?;
    let found = text.chars().count();
    if found > asking.most_chars {
        return Err(Unfit::TooLong { found, most: asking.most_chars });
    }
    let frame = canonical::frame(request, operation, target, &|index| parted.shown(index));
    Ok(Question { text, frame })
}

/// What is made of each message.
struct Parted {
    shown: Vec<Shown>,
}

impl Parted {
    fn of(messages: &[Message], asking: &Asking) -> Result<Self, Unfit> {
        let spoken: Vec<usize> = numbers(messages, |message| !instructs(message));
        let tail: Vec<usize> =
            spoken.iter().copied().rev().take_while(|index| !is_answer(messages, *index)).collect();
        if spoken.last().is_some_and(|last| is_answer(messages, *last)) {
            return Err(Unfit::Begun);
        }
        let asked = || tail.iter().filter_map(|index| messages.get(*index)).flat_map(|turn| &turn.parts);
        asked().try_for_each(|part| comparable(part, asking.tool_results))?;
        if !asked().any(says_something) {
            return Err(Unfit::NoText);
        }
        let before = spoken.len() - tail.len();
        if let Some(most) = asking.most_turns.filter(|most| before > *most) {
            return Err(Unfit::TooManyTurns { found: before, most });
        }
        let earlier = spoken.iter().take(before).rev().take(asking.history);
        let plain = |index: &&usize| messages.get(**index).is_some_and(is_plain);
        let mut shown = vec![Shown::Whole; messages.len()];
        let mut set =
            |index: usize, how: Shown| shown.iter_mut().skip(index).take(1).for_each(|one| *one = how);
        tail.iter().for_each(|index| set(*index, Shown::Asked));
        earlier.filter(plain).for_each(|index| set(*index, Shown::Asked));
        for index in numbers(messages, instructs) {
            match asking.system {
                SystemPrompt::Equal => {}
                SystemPrompt::Asked if messages.get(index).is_some_and(is_plain) => set(index, Shown::Asked),
                SystemPrompt::Asked => {}
                SystemPrompt::Ignored => set(index, Shown::Nothing),
            }
        }
        Ok(Self { shown })
    }

    fn shown(&self, index: usize) -> Shown {
        self.shown.get(index).copied().unwrap_or(Shown::Whole)
    }

    fn text(&self, messages: &[Message]) -> Result<String, Unfit> {
        let asked = |index: &usize| self.shown(*index) == Shown::Asked;
        let turns: Vec<&Message> =
            (0..messages.len()).filter(asked).filter_map(|at| messages.get(at)).collect();
        let text = match turns.as_slice() {
            [only] => words(&only.parts).into_owned(),
            turns => turns
                .iter()
                .map(|turn| format!("{}:\n{}\n", speaker(turn.role), words(&turn.parts)))
                .collect(),
        };
        if text.trim().is_empty() { Err(Unfit::NoText) } else { Ok(text) }
    }
}

fn numbers(messages: &[Message], wanted: impl Fn(&Message) -> bool) -> Vec<usize> {
    messages.iter().enumerate().filter(|(_, message)| wanted(message)).map(|(index, _)| index).collect()
}

fn instructs(message: &Message) -> bool {
    matches!(message.role, Role::System | Role::Developer)
}

fn is_answer(messages: &[Message], index: usize) -> bool {
    messages.get(index).is_some_and(|message| message.role == Role::Assistant)
}

fn is_plain(message: &Message) -> bool {
    message.parts.iter().all(|part| match part {
        Part::Text(text) => text.extra.is_empty(),
        Part::Opaque { value, .. } => is_point(value),
        _ => false,
    })
}

fn comparable(part: &Part, tool_results: bool) -> Result<(), Unfit> {
    match part {
        Part::Text(text) if text.extra.is_empty() => Ok(()),
        Part::Opaque { value, .. } if is_point(value) => Ok(()),
        Part::ToolResult(result) if tool_results && result.extra.is_empty() => {
            result.parts.iter().try_for_each(|part| comparable(part, false))
        }
        Part::ToolResult(_) | Part::ToolCall(_) => Err(Unfit::ToolResult),
        Part::Image(_) => Err(Unfit::Image),
        Part::Audio { .. } => Err(Unfit::Audio),
        Part::Document(_) => Err(Unfit::Document),
        Part::Text(_)
        | Part::Refusal(_)
        | Part::Thinking(_)
        | Part::RedactedThinking { .. }
        | Part::Opaque { .. } => Err(Unfit::Foreign),
    }
}

fn says_something(part: &Part) -> bool {
    match part {
        Part::Text(text) => !text.text.trim().is_empty(),
        Part::ToolResult(ToolResult { parts, .. }) => parts.iter().any(says_something),
        _ => false,
    }
}

/// The text of these parts; several are told apart by line breaks.
fn words(parts: &[Part]) -> Cow<'_, str> {
    match parts {
        [Part::Text(text)] => Cow::Borrowed(&text.text),
        parts => {
            let texts: Vec<Cow<'_, str>> = parts.iter().filter_map(words_of).collect();
            Cow::Owned(texts.join("\n"))
        }
    }
}

fn words_of(part: &Part) -> Option<Cow<'_, str>> {
    match part {
        Part::Text(text) => Some(Cow::Borrowed(&text.text)),
        Part::ToolResult(result) => Some(words(&result.parts)),
        _ => None,
    }
}

fn speaker(role: Role) -> &'static str {
    match role {
        Role::System | Role::Developer => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    }
}
