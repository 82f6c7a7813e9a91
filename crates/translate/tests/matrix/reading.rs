//! What a request or an answer says, whichever wire it was read from: the reference of all comparisons.

use base64::engine::general_purpose::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::{Engine, alphabet};
use serde_json::{Value, json};
use translate::Wire;
use translate::ir::{
    Choice, Delta, Event, Finish, FinishReason, Part, PartKind, Request, Response, Signature, Source, Text,
    Thinking, ToolCall, Usage,
};

/// Puts a streamed answer together. `None` where the stream ended in a failure.
pub fn collect(events: &[Event]) -> Option<Response> {
    let mut response = Response::default();
    let mut numbers: Vec<(u32, u32)> = Vec::new();
    for event in events {
        match event {
            Event::Start { id, model, created } => {
                (response.id, response.model, response.created) = (id.clone(), model.clone(), *created);
            }
            Event::PartStart { choice, part, kind } => {
                numbers.push((*choice, *part));
                choice_of(&mut response, *choice).parts.push(opened(kind));
            }
            Event::PartDelta { choice, part, delta } => {
                let before = numbers.iter().position(|number| number == &(*choice, *part)).expect("open");
                let at = numbers[..before].iter().filter(|number| number.0 == *choice).count();
                feed(&mut choice_of(&mut response, *choice).parts[at], delta);
            }
            Event::Logprobs { choice, value } => {
                choice_of(&mut response, *choice).logprobs = Some(value.clone());
            }
            Event::Finish { choice, finish } => {
                choice_of(&mut response, *choice).finish = Some(finish.clone());
            }
            Event::Usage(usage) => response.usage = Some(*usage),
            Event::Failure(_) => return None,
            Event::PartStop { .. } | Event::Lost { .. } | Event::Ping | Event::End => {}
        }
    }
    Some(response)
}

fn choice_of(response: &mut Response, choice: u32) -> &mut Choice {
    while response.choices.len() <= choice as usize {
        let empty = Choice { parts: Vec::new(), finish: None, logprobs: None, extra: Default::default() };
        response.choices.push(empty);
    }
    &mut response.choices[choice as usize]
}

fn opened(kind: &PartKind) -> Part {
    match kind.clone() {
        PartKind::Text => Part::text(""),
        PartKind::Refusal => Part::Refusal(String::new()),
        PartKind::Image(image) => Part::Image(*image),
        PartKind::Thinking => Part::Thinking(Thinking::default()),
        PartKind::RedactedThinking { data } => Part::RedactedThinking { data, extra: Default::default() },
        PartKind::ToolCall { id, name } => Part::ToolCall(ToolCall {
            id,
            name,
            arguments: String::new(),
            cache: None,
            extra: Default::default(),
        }),
        PartKind::Opaque { wire, value } => Part::Opaque { wire, value },
    }
}

fn feed(part: &mut Part, delta: &Delta) {
    match (part, delta) {
        (Part::Text(text), Delta::Text(more)) => text.text.push_str(more),
        (Part::Text(text), Delta::Citation(one)) => text.citations.push((**one).clone()),
        (Part::Refusal(text), Delta::Refusal(more)) => text.push_str(more),
        (Part::Thinking(thinking), Delta::Thinking(more)) => thinking.text.push_str(more),
        (Part::Thinking(thinking), Delta::Signature(one)) => thinking.signature = Some(one.clone()),
        (Part::ToolCall(call), Delta::Arguments(more)) => call.arguments.push_str(more),
        (Part::Opaque { .. }, Delta::Opaque(_)) => {}
        (part, delta) => panic!("{delta:?} is no more of {part:?}"),
    }
}

/// All words of these parts but reasoning.
pub fn text(parts: &[Part]) -> String {
    parts.iter().map(text_of).collect()
}

fn text_of(part: &Part) -> String {
    match part {
        Part::Text(Text { text, .. }) | Part::Refusal(text) => text.clone(),
        Part::Document(document) => match &document.source {
            Source::Text { text, .. } => text.clone(),
            _ => String::new(),
        },
        Part::ToolResult(result) => text(&result.parts),
        _ => String::new(),
    }
}

/// The reasoning that can be read, without the line breaks that stand between blocks.
pub fn thoughts(parts: &[Part]) -> String {
    let texts = parts.iter().filter_map(|part| match part {
        Part::Thinking(thinking) => Some(thinking.text.replace('\n', "")),
        _ => None,
    });
    texts.collect()
}

/// Decoders of answers take every signature for the provider's own. A caller sends back what it got, byte for
/// byte: what `before` was signed with and stands in the `body` for that, `got` is signed with.
pub fn as_caller(dialect: Wire, before: &Response, body: &[u8], got: &mut Response) {
    let holds = |text: &str| {
        let quoted = Value::from(text).to_string();
        body.windows(quoted.len()).any(|window| window == quoted.as_bytes())
    };
    // Gemini's dialect has bytes there.
    let written = |mark: &str| {
        let coded = mark.starts_with("bifrost") && dialect == Wire::Gemini;
        if coded { STANDARD.encode(mark) } else { mark.to_owned() }
    };
    let parts = |response: &Response| response.choices.first().map(|choice| choice.parts.clone());
    for part in parts(before).unwrap_or_default() {
        let Some(choice) = got.choices.first_mut() else { return };
        match part {
            Part::Thinking(Thinking { signature: Some(signature), text, .. })
                if holds(&written(&signature.written(dialect))) =>
            {
                let known = choice.parts.iter_mut().find_map(|part| match part {
                    Part::Thinking(one) if one.text == text => Some(one),
                    _ => None,
                });
                match known {
                    Some(one) => one.signature = Some(signature),
                    None => choice
                        .parts
                        .push(Part::Thinking(Thinking { signature: Some(signature), ..Thinking::default() })),
                }
            }
            Part::RedactedThinking { data, extra } => {
                let sealed = Signature::of(Wire::Anthropic, format!("redacted:{data}"));
                let forms =
                    [data.clone(), sealed.written(dialect).into(), format!("bifrost-redacted:{data}")];
                if forms.iter().any(|form| holds(&written(form))) {
                    choice.parts.push(Part::RedactedThinking { data, extra });
                }
            }
            _ => {}
        }
    }
}

/// Base64 of the same bytes: some wires have them padded, and without the bits behind the last byte.
pub fn same_bytes(one: &str, other: &str) -> bool {
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &alphabet::STANDARD,
        GeneralPurposeConfig::new()
            .with_decode_padding_mode(DecodePaddingMode::Indifferent)
            .with_decode_allow_trailing_bits(true),
    );
    one == other || matches!((LENIENT.decode(one), LENIENT.decode(other)), (Ok(a), Ok(b)) if a == b)
}

/// Name and arguments of each call.
pub fn calls(parts: &[Part]) -> Vec<(String, Value)> {
    parts.iter().filter_map(call).map(|call| (call.name.clone(), arguments(&call.arguments))).collect()
}

pub fn call(part: &Part) -> Option<&ToolCall> {
    match part {
        Part::ToolCall(call) => Some(call),
        _ => None,
    }
}

pub fn arguments(text: &str) -> Value {
    match text.trim() {
        "" => json!({}),
        text => serde_json::from_str(text).unwrap_or_else(|_| text.into()),
    }
}

/// Why it ended; calls and refusals say more than a plain stop.
pub fn finish(choice: &Choice) -> Option<FinishReason> {
    let Finish { reason, .. } = choice.finish.as_ref()?;
    let called = choice.parts.iter().any(|part| call(part).is_some());
    let refused = choice.parts.iter().any(|part| matches!(part, Part::Refusal(_)));
    Some(match reason {
        FinishReason::Stop if called => FinishReason::ToolCalls,
        FinishReason::Stop if refused => FinishReason::ContentFilter,
        reason => *reason,
    })
}

/// The counts every wire has: all input, what of it came from a cache, all output.
pub fn counts(usage: Option<Usage>) -> Option<(u64, u64, u64)> {
    usage.map(|usage| (usage.input_total(), usage.cache_read, usage.output))
}

/// Each result with the call it answers, without the line breaks that stand between its parts.
pub fn results(request: &Request) -> Vec<(String, Value, String)> {
    let parts = || request.messages.iter().flat_map(|message| &message.parts);
    let answered = |id: &str| parts().filter_map(call).find(|call| call.id == id).cloned();
    let result = |part: &Part| match part {
        Part::ToolResult(result) => {
            let call = answered(&result.call_id)?;
            let text = text(&result.parts).replace('\n', "");
            Some((call.name.clone(), arguments(&call.arguments), text))
        }
        _ => None,
    };
    parts().filter_map(result).collect()
}
