//! An answer whose beginning was relayed: its items have the provider's ids, its events the provider's numbers.
//!
//! Items are known here as their parts are fed, and to the caller as their events came. Where the two differ (an item
//! that was announced and says nothing yet, one that was closed and may get more), there is no place to go on from.

use serde::Deserialize;

use super::row::{Adopted, Row};
use super::write::Writer;
use crate::frame::Frame;

#[derive(Deserialize)]
struct Step {
    #[serde(rename = "type", default)]
    kind: String,
    sequence_number: Option<u64>,
    output_index: Option<usize>,
    item: Option<Item>,
}

#[derive(Deserialize)]
struct Item {
    id: Option<String>,
}

/// Takes ids and numbers out of an event that the caller got. True: what was begun here is what was announced there.
pub(super) fn frame(frame: &Frame<'_>, row: &mut Row, writer: &mut Writer) -> bool {
    let Ok(step) = serde_json::from_slice::<Step>(frame.data) else { return true };
    if let Some(number) = step.sequence_number {
        *writer = Writer::from(number.saturating_add(1));
    }
    let id = step.item.and_then(|item| item.id);
    match (step.kind.as_str(), step.output_index) {
        ("response.output_item.added", Some(number)) => row.adopted.push(Adopted { number, id, done: false }),
        ("response.output_item.done", Some(number)) => {
            row.adopted.iter_mut().filter(|item| item.number == number).for_each(|item| item.done = true);
        }
        _ => {}
    }
    row.take_ids();
    // The whole text was told, but not the end of its piece.
    row.fits() && !step.kind.ends_with("_text.done")
}
