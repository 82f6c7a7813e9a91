//! What the objects of this wire have in common, over the reading and writing that all wires share.

pub(super) use crate::wire::fields::{Fields, Path, wrong};

use serde_json::Value;

use crate::Wire;
use crate::ir::Extra;
use crate::loss::Losses;
use crate::wire::fields;
use crate::wire::tree::Object;

/// Writes leftovers of this wire back; those of another wire are reported, one loss per field.
pub(super) fn write_extra<'a>(
    object: &mut Object<'a>,
    extra: &'a Extra,
    path: &Path<'_>,
    losses: &mut Losses,
) {
    fields::write_extra(object, extra, path, Wire::OpenAiChat, losses);
}

/// The `type` a call came with, where it is not the plain `function`.
pub(super) fn call_kind(extra: &Extra) -> &str {
    let own = extra.for_wire(Wire::OpenAiChat).and_then(|fields| fields.get("type"));
    own.and_then(Value::as_str).unwrap_or("function")
}

/// Why a field of another wire is left out.
pub(super) const NO_COUNTERPART: &str = "has no counterpart on openai_chat";
