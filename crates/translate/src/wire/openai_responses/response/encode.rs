//! Writes a whole answer for a caller of this dialect.
//!
//! Texts that stand together make one message; reasoning up to its seal makes one item. Streams are written by
//! the same rules, and end in the same object.

use std::borrow::Cow;

use serde_json::Value;

use super::super::client_tools::Client;
use super::super::{NO_COUNTERPART, OWN, custom, parts, reasoning};
use super::items::{Made, call, message, refusal, status};
use super::shell::{Shell, Status, answer_id};
use crate::ir::{Choice, Finish, FinishReason, Part, Response, Text, Thinking, ToolCall};
use crate::loss::Losses;
use crate::wire::Echo;
use crate::wire::fields::{self, Path};
use crate::wire::openai_chat::foreign_native;
use crate::wire::tree::{Node, Object, to_bytes};

/// How an answer ended.
pub(in crate::wire::openai_responses) struct Outcome {
    pub status: Status,
    /// The last item is not whole.
    pub cut: bool,
}

/// The status for a finish, and what cannot be said of it.
pub(in crate::wire::openai_responses) fn outcome(finish: Option<&Finish>, losses: &mut Losses) -> Outcome {
    let Some(finish) = finish else { return Outcome { status: Status::Incomplete(None), cut: true } };
    if finish.stop_sequence.is_some() {
        losses.report("choices[0].stop_sequence", NO_COUNTERPART);
    }
    // Some wires have one word for every good end, and the call itself tells the rest.
    let plain = |word: &str| finish.reason == FinishReason::ToolCalls && word == "STOP";
    if let Some(word) = foreign_native(finish).filter(|word| !(is_told(word) || plain(word))) {
        losses.report("choices[0].finish_reason", format!("{word:?} {NO_COUNTERPART}"));
    }
    let status = match finish.reason {
        FinishReason::Stop | FinishReason::ToolCalls => Status::Completed,
        FinishReason::Length => Status::Incomplete(Some("max_output_tokens")),
        FinishReason::ContentFilter => Status::Incomplete(Some("content_filter")),
        FinishReason::Error => Status::Failed(serde_json::json!({
            "code": "server_error",
            "message": "the provider reported a fault inside its answer",
        })),
    };
    let cut = !matches!(status, Status::Completed);
    Outcome { status, cut }
}

/// Writes the answer.
pub(in crate::wire::openai_responses) fn encode(
    response: &Response,
    echo: &Echo,
    losses: &mut Losses,
) -> Vec<u8> {
    for index in 1..response.choices.len() {
        losses.report(format!("choices[{index}]"), "openai_responses gives one answer");
    }
    fields::lose_extra(&response.extra, &Path::Body, OWN, losses);
    let none = Choice { parts: Vec::new(), finish: None, logprobs: None, extra: Default::default() };
    let choice = response.choices.first().unwrap_or(&none);
    let outcome = outcome(choice.finish.as_ref(), losses);
    let drafts = drafts(choice, echo, losses);
    let made = Made::new(echo);
    let ids: Vec<String> =
        drafts.iter().enumerate().map(|(number, draft)| made.id(draft.prefix(&made), number)).collect();
    let last = drafts.len();
    let output: Vec<Node<'_>> = (drafts.into_iter().zip(&ids).enumerate())
        .map(|(number, (draft, id))| draft.write(id, &made, status(outcome.cut && number + 1 == last)))
        .collect();
    let id = answer_id(&response.id, echo);
    let shell = Shell {
        echo,
        id: &id,
        created: response.created.unwrap_or(echo.now),
        model: &response.model,
        service_tier: response.service_tier.as_deref(),
    };
    to_bytes(&shell.object(&outcome.status, output, response.usage.as_ref()))
}

/// Words that the status says as well.
fn is_told(word: &str) -> bool {
    matches!(word, "completed" | "end_turn" | "stop" | "tool_use" | "max_output_tokens" | "content_filter")
}

/// An item that is not written yet.
enum Draft<'a> {
    Message(Vec<Node<'a>>),
    Reasoning(reasoning::Item<'a>),
    Call { call_id: Cow<'a, str>, call: &'a ToolCall },
    Whole(&'a Value),
}

impl<'a> Draft<'a> {
    fn prefix(&self, made: &Made) -> &'static str {
        match self {
            Self::Message(_) => "msg",
            Self::Reasoning(_) => "rs",
            Self::Call { call, .. } => {
                let plain = if made.is_custom(&call.name) { "ctc" } else { "fc" };
                made.client(&call.name).map_or(plain, Client::prefix)
            }
            Self::Whole(_) => "item",
        }
    }

    fn write(self, id: &'a str, made: &'a Made, status: &'static str) -> Node<'a> {
        match self {
            Self::Message(content) => message(id, content, status).into(),
            Self::Reasoning(item) => item.into_object(Some(id)).into(),
            Self::Call { call_id, call: made_call } => {
                if let Some(client) = made.client(&made_call.name) {
                    let mut object = client.item(id, "", &made_call.arguments, status);
                    object.set("call_id", call_id);
                    return object.into();
                }
                let is_custom = made.is_custom(&made_call.name);
                let input = match made_call.arguments.as_str() {
                    arguments if is_custom => custom::unwrap(arguments),
                    "" => "{}".into(),
                    arguments => arguments.into(),
                };
                let mut object = call(id, is_custom, ("", made.named(&made_call.name), ""), status);
                object.set("call_id", call_id);
                object.set(if is_custom { "input" } else { "arguments" }, input);
                object.into()
            }
            Self::Whole(value) => value.into(),
        }
    }
}

fn drafts<'a>(choice: &'a Choice, echo: &Echo, losses: &mut Losses) -> Vec<Draft<'a>> {
    let at = Path::Body.field("choices");
    let at = at.item(0);
    fields::lose_extra(&choice.extra, &at, OWN, losses);
    let content = at.field("content");
    let mut logprobs = choice.logprobs.as_ref().and_then(|all| all.get("content"));
    let mut drafts: Vec<Draft<'a>> = Vec::with_capacity(choice.parts.len());
    let mut sealed = true;
    for (index, part) in choice.parts.iter().enumerate() {
        let at = content.item(index);
        match part {
            Part::Text(text) => {
                let written = output_text(text, logprobs.take(), &at, losses);
                speak(&mut drafts, written);
            }
            Part::Refusal(text) => speak(&mut drafts, refusal(text)),
            Part::Thinking(thinking) => think(&mut drafts, thinking, &mut sealed, &at, losses),
            Part::RedactedThinking { data, extra } => {
                fields::lose_extra(extra, &at, OWN, losses);
                sealed = true;
                let seal = Some(reasoning::redacted(data).into());
                drafts.push(Draft::Reasoning(reasoning::Item { texts: Vec::new(), seal }));
            }
            Part::ToolCall(call) => {
                fields::lose_extra(&call.extra, &at, OWN, losses);
                let made = || format!("call_{}_{}", echo.unique, drafts.len()).into();
                let call_id = if call.id.is_empty() { made() } else { Cow::Borrowed(call.id.as_str()) };
                drafts.push(Draft::Call { call_id, call });
            }
            Part::Opaque { wire, value } if *wire == OWN => drafts.push(Draft::Whole(value)),
            other => parts::report_unwritten(other, &at, losses),
        }
    }
    if logprobs.is_some() {
        losses.report("choices[0].logprobs", "there is no text they belong to");
    }
    drafts
}

fn speak<'a>(drafts: &mut Vec<Draft<'a>>, content: Object<'a>) {
    match drafts.last_mut() {
        Some(Draft::Message(list)) => list.push(content.into()),
        _ => drafts.push(Draft::Message(vec![content.into()])),
    }
}

fn think<'a>(
    drafts: &mut Vec<Draft<'a>>,
    thinking: &'a Thinking,
    sealed: &mut bool,
    path: &Path<'_>,
    losses: &mut Losses,
) {
    fields::lose_extra(&thinking.extra, path, OWN, losses);
    if thinking.text.is_empty() && thinking.signature.is_none() {
        return;
    }
    // A seal without text is of something else than the text before it.
    let joins = !*sealed && !thinking.text.is_empty();
    let mut item = match drafts.pop_if(|last| matches!(last, Draft::Reasoning(_)) && joins) {
        Some(Draft::Reasoning(item)) => item,
        _ => reasoning::Item::default(),
    };
    item.texts.extend((!thinking.text.is_empty()).then_some(thinking.text.as_str()));
    item.seal = thinking.signature.as_ref().map(|signature| signature.written(OWN));
    *sealed = item.seal.is_some();
    drafts.push(Draft::Reasoning(item));
}

fn output_text<'a>(
    text: &'a Text,
    logprobs: Option<&'a Value>,
    path: &Path<'_>,
    losses: &mut Losses,
) -> Object<'a> {
    let none = || Node::from(Vec::new());
    let mut object = parts::write_output(text, path, losses);
    object.put("logprobs", logprobs.filter(|list| list.is_array()).map_or_else(none, Node::from));
    fields::write_extra(&mut object, &text.extra, path, OWN, losses);
    parts::lose_mark(text.cache.as_ref(), path, losses);
    object
}
