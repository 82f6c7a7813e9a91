//! The word that OpenAI insists on: where a JSON object is asked for without a schema, the messages must speak of
//! JSON, or the request is refused. Says so where nobody did. Must not touch requests that need nothing.

use crate::ir::{Message, OutputFormat, Part, Role};

/// What is said to the model.
pub(in crate::wire) const LINE: &str = "Answer with one JSON object and nothing else.";
/// What is said of it to the caller.
pub(in crate::wire) const REASON: &str =
    "no message speaks of JSON, which this wire insists on: a line was added";

/// The line has to be added to these messages.
pub(in crate::wire) fn is_missing(format: Option<&OutputFormat>, messages: &[Message]) -> bool {
    let mut parts = messages.iter().flat_map(|message| &message.parts);
    matches!(format, Some(OutputFormat::JsonObject))
        && !parts.any(|part| matches!(part, Part::Text(text) if speaks(&text.text)))
}

fn speaks(text: &str) -> bool {
    text.as_bytes().windows(4).any(|word| word.eq_ignore_ascii_case(b"json"))
}

/// The messages with the line in their leading instruction: some templates take one only. `None` when there is
/// no such instruction.
pub(super) fn in_instruction(messages: &[Message]) -> Option<Vec<Message>> {
    let leads = messages.first().is_some_and(|first| matches!(first.role, Role::System | Role::Developer));
    let mut messages = leads.then(|| messages.to_vec())?;
    let first = messages.first_mut()?;
    match first.parts.last_mut() {
        Some(Part::Text(text)) => {
            text.text.push_str("\n\n");
            text.text.push_str(LINE);
        }
        _ => first.parts.push(Part::text(LINE)),
    }
    Some(messages)
}
