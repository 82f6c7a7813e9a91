//! What requests and answers of this wire write alike.

use serde_json::value::RawValue;

use super::Wire;
use super::types::Place;
use crate::ir::Extra;
use crate::loss::Losses;
use crate::wire::tree::{Node, Object};

/// Why a field of another wire was left out.
pub(super) const NO_TWIN: &str = "has no counterpart on anthropic";

/// Writes back what a decoder of this wire kept aside; what another wire's decoder kept is lost.
pub(super) fn keep_extra<'a>(
    object: &mut Object<'a>,
    extra: &'a Extra,
    place: &Place<'_>,
    losses: &mut Losses,
) {
    match extra.for_wire(Wire::Anthropic) {
        Some(fields) => object.merge(fields),
        None => lose_extra(extra, place, losses),
    }
}

/// Reports every field kept aside: there is no object to write them to.
pub(super) fn lose_extra(extra: &Extra, place: &Place<'_>, losses: &mut Losses) {
    for field in extra.names() {
        losses.report(place.field(&field).to_string(), NO_TWIN);
    }
}

/// A tool call's arguments as this wire's `input` object. A JSON object is spliced in as it stands; no
/// text and `null` are no arguments; anything else is wrapped, because the API takes objects only.
pub(super) fn input<'a>(arguments: &'a str, place: &Place<'_>, losses: &mut Losses) -> Node<'a> {
    if matches!(arguments.trim(), "" | "null") {
        return Object::new().into();
    }
    match serde_json::from_str::<&RawValue>(arguments) {
        Ok(raw) if raw.get().starts_with('{') => Node::Raw(raw),
        _ => {
            let reason = "the arguments are no JSON object and are sent wrapped in `_raw`";
            losses.report(place.field("arguments").to_string(), reason);
            Object::new().with("_raw", arguments).into()
        }
    }
}
