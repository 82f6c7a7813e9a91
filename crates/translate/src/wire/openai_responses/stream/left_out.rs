//! What events hold that the pivot has no place for. Looked at for translated streams only; a relayed event
//! keeps everything.

use super::super::types::{Item, Outline, Step};
use super::open::Kind;
use crate::ir::Event;
use crate::wire::told::Told;

/// Events of items that are told whole when they are done.
const OF_WHOLE_ITEMS: [&str; 9] = [
    "response.apply_patch_call",
    "response.code_interpreter_call",
    "response.computer_call",
    "response.file_search_call",
    "response.image_generation_call.",
    "response.mcp_",
    "response.shell_call",
    "response.tool_search_call",
    "response.web_search_call",
];

/// An event of no kind that is read.
pub(super) fn of_event(kind: &str, told: &mut Told, out: &mut Vec<Event>) {
    if !OF_WHOLE_ITEMS.iter().any(|prefix| kind.starts_with(prefix)) {
        told.once("event", kind, "", out);
    }
}

/// Members of no name that is read.
pub(super) fn of_fields(kind: &str, step: &Step<'_>, told: &mut Told, out: &mut Vec<Event>) {
    if step.unknown.is_empty() || OF_WHOLE_ITEMS.iter().any(|prefix| kind.starts_with(prefix)) {
        return;
    }
    for name in &step.unknown {
        told.once("step", name, "", out);
    }
}

/// An item of a kind that is read: others travel whole.
pub(super) fn of_item(kind: Kind, item: &Item<'_>, told: &mut Told, out: &mut Vec<Event>) {
    if kind == Kind::Whole {
        return;
    }
    if !item.phase.get().is_empty() {
        told.once("item", "phase", "output[]", out);
    }
    for name in &item.unknown {
        told.once("item", name, "output[]", out);
    }
    for part in item.content.iter().chain(&item.summary).flatten() {
        for name in &part.unknown {
            told.once("part", name, "output[].content[]", out);
        }
    }
}

/// The answer around its items.
pub(super) fn of_answer(answer: &Outline<'_>, told: &mut Told, out: &mut Vec<Event>) {
    for name in &answer.unknown {
        told.once("answer", name, "", out);
    }
    if !matches!(answer.service_tier.get(), "" | "auto" | "default") {
        told.once("answer", "service_tier", "", out);
    }
}
