//! Writes a whole answer for a caller of this dialect.

use std::borrow::Cow;

use crate::ir::{Choice, Extra, Part, Response, Text};
use crate::loss::Losses;
use crate::wire::Echo;
use crate::wire::fields::{Path, lose_extra, write_extra};
use crate::wire::gemini::citation::Grounding;
use crate::wire::gemini::write::{
    CUT_CALL, NO_COUNTERPART, Parts, REFUSAL, audio_type, image_part, inline, whole_args,
};
use crate::wire::gemini::{Wire, finish, logprobs, signature, usage};
use crate::wire::tree::{Node, Object, to_bytes};

/// Writes the answer.
pub(in crate::wire::gemini) fn encode(response: &Response, echo: &Echo, losses: &mut Losses) -> Vec<u8> {
    let list = Path::Body.field("candidates");
    let mut calls = 0;
    let candidates: Vec<Node<'_>> = (response.choices.iter().enumerate())
        .map(|(index, choice)| {
            let mut writer = Writer { echo, losses, calls: &mut calls, cut: false };
            writer.candidate(choice, index, &list.item(index)).into()
        })
        .collect();
    let model = if echo.model.is_empty() { &response.model } else { &echo.model };
    let mut body = Object::new().with("candidates", candidates);
    body.put_some("usageMetadata", response.usage.as_ref().map(usage::write));
    body.put("modelVersion", model.as_str());
    body.put("responseId", response_id(&response.id, echo));
    if response.service_tier.as_deref().is_some_and(|tier| !matches!(tier, "default" | "standard" | "auto")) {
        losses.report("service_tier", NO_COUNTERPART);
    }
    write_extra(&mut body, &response.extra, &Path::Body, Wire::Gemini, losses);
    to_bytes(&body)
}

/// The provider's id, or one made of the echo's unique text. Never empty.
pub(in crate::wire::gemini) fn response_id(given: &str, echo: &Echo) -> String {
    if given.is_empty() { echo.unique.clone() } else { given.to_owned() }
}

struct Writer<'w> {
    echo: &'w Echo,
    losses: &'w mut Losses,
    /// Calls so far, in all candidates.
    calls: &'w mut usize,
    /// A call of this candidate was left out.
    cut: bool,
}

impl Writer<'_> {
    fn candidate<'a>(&mut self, choice: &'a Choice, index: usize, at: &Path<'_>) -> Object<'a> {
        let mut grounding = Grounding::default();
        let parts = self.parts(&choice.parts, &at.field("content"), &mut grounding);
        let content = Object::new().with("parts", parts.into_list()).with("role", "model");
        let mut candidate = Object::new().with("content", content);
        if let Some(finish) = &choice.finish {
            let (word, message) = finish::words_of(finish, self.cut);
            if let Some(reason) = finish::untold(finish) {
                self.losses.report(at.field("finish_reason").to_string(), reason);
            }
            candidate.put("finishReason", word);
            candidate.put_some("finishMessage", message);
            if finish.stop_sequence.is_some() {
                self.losses.report(at.field("stop_sequence").to_string(), NO_COUNTERPART);
            }
        }
        candidate.put("index", index as u64);
        candidate.put_some("groundingMetadata", grounding.finish());
        if let Some(given) = &choice.logprobs {
            let result = logprobs::write(given);
            if result.is_none() {
                self.losses.report(at.field("logprobs").to_string(), NO_COUNTERPART);
            }
            candidate.put_some("logprobsResult", result);
        }
        write_extra(&mut candidate, &choice.extra, at, Wire::Gemini, self.losses);
        candidate
    }

    fn parts<'a>(&mut self, list: &'a [Part], at: &Path<'_>, grounding: &mut Grounding) -> Parts<'a> {
        let mut parts = Parts::default();
        for (index, part) in list.iter().enumerate() {
            let call_follows = matches!(list.get(index + 1), Some(Part::ToolCall(_) | Part::Image(_)));
            self.part(part, call_follows, &mut parts, &at.item(index));
            if let Part::Text(text) = part {
                let number = parts.len().saturating_sub(1) as u64;
                text.citations.iter().for_each(|one| grounding.add(one, &text.text, Some(number), 0));
            }
        }
        parts
    }

    fn part<'a>(&mut self, part: &'a Part, call_follows: bool, parts: &mut Parts<'a>, at: &Path<'_>) {
        let (object, extra) = match part {
            Part::Text(Text { text, citations, .. })
                if text.is_empty() && citations.is_empty() && !parts.is_signed() =>
            {
                return;
            }
            Part::Text(text) => (Object::new().with("text", text.text.as_str()), Some(&text.extra)),
            Part::Refusal(text) => {
                self.losses.report(at.to_string(), REFUSAL);
                (Object::new().with("text", text.as_str()), None)
            }
            Part::Thinking(thinking) => {
                self.lose(&thinking.extra, at);
                let own = thinking.signature.as_ref().map(signature::written);
                let foreign = matches!(own, Some(Cow::Owned(_)));
                // Another maker signs the reasoning itself: there the signature stays.
                match own {
                    Some(mark) if foreign => parts.push_whole(thought(&thinking.text, Some(mark))),
                    own => parts.thought(&thinking.text, own, call_follows),
                }
                return;
            }
            Part::RedactedThinking { data, extra } => {
                self.lose(extra, at);
                parts.push_whole(thought("", Some(signature::redacted(data).into())));
                return;
            }
            Part::ToolCall(call) => {
                let Some(args) = whole_args(&call.arguments) else {
                    self.losses.report(at.field("arguments").to_string(), CUT_CALL);
                    self.cut = true;
                    return parts.unsign();
                };
                let id = if call.id.is_empty() {
                    format!("call_{}_{}", self.echo.unique, self.calls)
                } else {
                    call.id.clone()
                };
                *self.calls += 1;
                let inner = Object::new().with("id", id).with("name", call.name.as_str()).with("args", args);
                (Object::new().with("functionCall", inner), Some(&call.extra))
            }
            Part::Audio { data, format } => (inline(audio_type(format), data), None),
            Part::Image(image) => match image_part(image) {
                Some(object) => (object, Some(&image.extra)),
                None => return self.losses.report(at.to_string(), NO_COUNTERPART),
            },
            Part::Opaque { wire: Wire::Gemini, value } => return parts.push_whole(value),
            Part::Document(_) | Part::ToolResult(_) | Part::Opaque { .. } => {
                return self.losses.report(at.to_string(), "no part of a gemini answer can hold it");
            }
        };
        let mut object = object;
        if let Some(extra) = extra {
            write_extra(&mut object, extra, at, Wire::Gemini, self.losses);
        }
        parts.push(object);
    }

    fn lose(&mut self, extra: &Extra, at: &Path<'_>) {
        if extra.for_wire(Wire::Gemini).is_none() {
            lose_extra(extra, at, Wire::Gemini, self.losses);
        }
    }
}

/// A thought, with the signature that belongs to it.
fn thought<'a>(text: &'a str, signature: Option<Cow<'a, str>>) -> Object<'a> {
    let mut part = Object::new().with("text", text).with("thought", true);
    part.put_some("thoughtSignature", signature);
    part
}
