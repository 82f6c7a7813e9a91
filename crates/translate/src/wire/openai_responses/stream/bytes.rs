//! The bytes of an item and of a piece of it, as they stand in events and in the answer.

use std::borrow::Cow;

use serde_json::Value;

use super::super::reasoning;
use super::super::response::{call, message, refusal};
use super::row::{Body, Piece};
use crate::wire::tree::{Node, Object, to_bytes};

/// A piece of a message.
pub(super) fn piece_object(piece: &Piece) -> Object<'_> {
    if piece.refusal {
        return refusal(&piece.text);
    }
    let list = |values: &[Value]| values.iter().map(|value| Node::from(value.clone())).collect::<Vec<_>>();
    let object = Object::typed("output_text").with("text", piece.text.as_str());
    object.with("annotations", list(&piece.annotations)).with("logprobs", list(&piece.logprobs))
}

/// An item's bytes; a `bare` one has nothing in it yet.
pub(super) fn item_bytes(id: &str, body: &Body, status: &'static str, bare: bool) -> Vec<u8> {
    let shown = |pieces: &'_ [Piece]| if bare { 0 } else { pieces.len() };
    let object = match body {
        Body::Message(pieces) => {
            let content = pieces.iter().take(shown(pieces)).map(|piece| piece_object(piece).into()).collect();
            message(id, content, status)
        }
        Body::Reasoning { summary, seal } => {
            let texts = summary.iter().take(shown(summary)).map(|piece| piece.text.as_str()).collect();
            reasoning::Item { texts, seal: seal.as_deref().map(Cow::Borrowed) }.into_object(Some(id))
        }
        Body::Call { call_id, client: Some(client), input, .. } => client.item(id, call_id, input, status),
        Body::Call { call_id, group, name, input, custom, .. } => {
            let name = (group.as_deref(), name.as_str());
            call(id, *custom, (call_id, name, if bare { "" } else { input }), status)
        }
        Body::Whole(value) => return value.to_string().into_bytes(),
    };
    to_bytes(&object)
}
