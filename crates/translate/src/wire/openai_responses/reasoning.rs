//! Reasoning: an item with a summary in pieces, sealed by text only its maker can read.
//!
//! In the pivot each piece is a part of its own, and the last one carries the seal: so the pieces keep their
//! bounds on every wire, and a run of parts up to the next seal is one item again. Names of items (`id`) point
//! into the maker's store, which no other provider and no stateless call can look into: they are not carried.

use std::borrow::Cow;

use serde_json::Value;

use super::OWN;
use crate::ir::{Extra, Part, Signature, Thinking};
use crate::wire::BadRequest;
use crate::wire::fields::Fields;
use crate::wire::tree::{Node, Object};

/// Who wrote the item that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Caller,
    Provider,
}

/// Stands before reasoning that was encrypted whole. No signature holds a colon.
const REDACTED: &str = "redacted:";

/// Reads a `reasoning` item whose `type` was taken. An item without text or seal says nothing.
pub(super) fn read(mut fields: Fields<'_>, side: Side) -> Result<Vec<Part>, BadRequest> {
    for name in ["id", "status"] {
        fields.take(name);
    }
    let mut parts = Vec::new();
    // Raw reasoning, where a provider shows it, stands in `content`.
    for name in ["summary", "content"] {
        let at = fields.path().field(name);
        for (index, piece) in fields.list(name)?.unwrap_or_default().into_iter().enumerate() {
            let at = at.item(index);
            let mut piece = Fields::of(piece, &at)?;
            let text = piece.required_text("text")?;
            piece.take("type");
            parts.push(Thinking { text, signature: None, extra: piece.extra(OWN) });
        }
    }
    let sealed = fields.text("encrypted_content")?.filter(|text| !text.is_empty());
    let seal = sealed.map(|text| match side {
        Side::Caller => Signature::read(OWN, text),
        Side::Provider => Signature::of(OWN, text),
    });
    let rest = fields.rest();
    match seal {
        Some(seal) if seal.by != OWN && seal.text.starts_with(REDACTED) => {
            let data = seal.text.trim_start_matches(REDACTED).to_owned();
            return Ok(vec![Part::RedactedThinking { data, extra: Extra::of(OWN, rest) }]);
        }
        Some(seal) => last(&mut parts).signature = Some(seal),
        None => {}
    }
    if !rest.is_empty() {
        last(&mut parts).extra.fields.extend(rest);
        last(&mut parts).extra.wire = Some(OWN);
    }
    Ok(parts.into_iter().map(Part::Thinking).collect())
}

/// The seal of reasoning that was encrypted whole, as a caller gets it.
pub(super) fn redacted(data: &str) -> String {
    Signature::of(crate::Wire::Anthropic, format!("{REDACTED}{data}")).written(OWN).into_owned()
}

/// An item.
#[derive(Debug, Default)]
pub(super) struct Item<'a> {
    pub texts: Vec<&'a str>,
    pub seal: Option<Cow<'a, str>>,
}

impl<'a> Item<'a> {
    /// Nothing to write.
    pub(super) fn is_empty(&self) -> bool {
        self.texts.is_empty() && self.seal.is_none()
    }

    /// The item's members; one in an answer has an `id`.
    pub(super) fn into_object(self, id: Option<&'a str>) -> Object<'a> {
        let piece = |text: &'a str| Node::from(Object::typed("summary_text").with("text", text));
        let summary: Vec<Node<'a>> = self.texts.into_iter().map(piece).collect();
        let mut object = Object::new();
        object.put_some("id", id);
        object.put("type", "reasoning");
        object.put("summary", summary);
        object.put_some("encrypted_content", self.seal);
        object
    }
}

/// Whether `extra` of a piece of reasoning holds something that an item of this wire would repeat.
pub(super) fn kept(extra: &Extra) -> impl Iterator<Item = (&String, &Value)> {
    extra.for_wire(OWN).into_iter().flatten()
}

fn last(parts: &mut Vec<Thinking>) -> &mut Thinking {
    match parts.pop() {
        Some(last) => parts.push_mut(last),
        None => parts.push_mut(Thinking::default()),
    }
}
