//! The bytes of a kept answer: JSON of a shape of its own, so that the pivot may change and stores may not notice.
//!
//! The shape has a [`VERSION`]. A member that is new and may be missing needs no new one; anything else does, and
//! then what older versions stored is as if it were not there. The answer in `tests.rs` keeps its bytes for good.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Stored;
use super::opaque::Streamed;
use crate::Wire;
use crate::ir::{
    Choice, Citation, Document, Extra, Finish, FinishReason, Image, Part, Response, Signature, Source, Text,
    Thinking, ToolCall, Usage,
};
use crate::loss::Loss;

/// Raised when what is written can no longer be read by what was there before.
const VERSION: u32 = 1;

pub(super) fn write(stored: &Stored) -> Vec<u8> {
    serde_json::to_vec(&Answer::from(stored.clone())).unwrap_or_default()
}

pub(super) fn read(bytes: &[u8]) -> Option<Stored> {
    let head: Head = serde_json::from_slice(bytes).ok()?;
    if head.version != VERSION {
        return None;
    }
    serde_json::from_slice::<Answer>(bytes).ok().map(Stored::from)
}

#[derive(Deserialize)]
struct Head {
    version: u32,
}

#[derive(Serialize, Deserialize)]
struct Answer {
    version: u32,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    id: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    model: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    created: Option<u64>,
    choices: Vec<OneChoice>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    usage: Option<Usage>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tier: Option<String>,
    #[serde(default, skip_serializing_if = "Rest::is_empty")]
    rest: Rest,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    losses: Vec<(String, String)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    streamed: Vec<OneStreamed>,
}

#[derive(Serialize, Deserialize)]
struct OneChoice {
    parts: Vec<OnePart>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    finish: Option<End>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    logprobs: Option<Value>,
    #[serde(default, skip_serializing_if = "Rest::is_empty")]
    rest: Rest,
}

#[derive(Serialize, Deserialize)]
struct End {
    reason: Reason,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    native: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stop_sequence: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    details: Option<Value>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Reason {
    Stop,
    Length,
    ToolCalls,
    ContentFilter,
    Error,
}

/// Leftovers, with the wire of their names.
#[derive(Default, Serialize, Deserialize)]
struct Rest {
    #[serde(default)]
    of: Option<Wire>,
    #[serde(default)]
    fields: Map<String, Value>,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "part", rename_all = "snake_case")]
enum OnePart {
    Text {
        text: String,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        citations: Vec<OneCitation>,
        #[serde(default, skip_serializing_if = "Rest::is_empty")]
        rest: Rest,
    },
    Image {
        source: Place,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
        #[serde(default, skip_serializing_if = "Rest::is_empty")]
        rest: Rest,
    },
    Document {
        source: Place,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        #[serde(default, skip_serializing_if = "Rest::is_empty")]
        rest: Rest,
    },
    Audio {
        data: String,
        format: String,
    },
    Refusal {
        text: String,
    },
    Call {
        id: String,
        name: String,
        arguments: String,
        #[serde(default, skip_serializing_if = "Rest::is_empty")]
        rest: Rest,
    },
    Thinking {
        text: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signed: Option<Seal>,
        #[serde(default, skip_serializing_if = "Rest::is_empty")]
        rest: Rest,
    },
    Redacted {
        data: String,
        #[serde(default, skip_serializing_if = "Rest::is_empty")]
        rest: Rest,
    },
    Opaque {
        of: Wire,
        value: Value,
    },
    /// Answers have none: read as what nobody keeps.
    Result,
}

#[derive(Serialize, Deserialize)]
struct Seal {
    by: Wire,
    text: String,
}

#[derive(Serialize, Deserialize)]
struct OneCitation {
    of: Wire,
    raw: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    quote: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    start: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    end: Option<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Place {
    Base64 { media_type: String, data: String },
    Url(String),
    File(String),
    Text { media_type: String, text: String },
}

#[derive(Serialize, Deserialize)]
struct OneStreamed {
    choice: usize,
    part: usize,
    start: Value,
    deltas: Vec<Value>,
}

impl Rest {
    fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }
}

impl From<Stored> for Answer {
    fn from(stored: Stored) -> Self {
        let Stored { response, losses, streamed } = stored;
        Self {
            version: VERSION,
            id: response.id,
            model: response.model,
            created: response.created,
            choices: response.choices.into_iter().map(OneChoice::from).collect(),
            usage: response.usage,
            tier: response.service_tier,
            rest: response.extra.into(),
            losses: losses.into_iter().map(|loss| (loss.path, loss.reason)).collect(),
            streamed: streamed.into_iter().map(OneStreamed::from).collect(),
        }
    }
}

impl From<Answer> for Stored {
    fn from(answer: Answer) -> Self {
        let response = Response {
            id: answer.id,
            model: answer.model,
            created: answer.created,
            choices: answer.choices.into_iter().map(Choice::from).collect(),
            usage: answer.usage,
            service_tier: answer.tier,
            extra: answer.rest.into(),
        };
        let losses = answer.losses.into_iter().map(|(path, reason)| Loss { path, reason }).collect();
        Self { response, losses, streamed: answer.streamed.into_iter().map(Streamed::from).collect() }
    }
}

impl From<OneStreamed> for Streamed {
    fn from(one: OneStreamed) -> Self {
        Self { choice: one.choice, part: one.part, start: one.start, deltas: one.deltas }
    }
}

impl From<Streamed> for OneStreamed {
    fn from(one: Streamed) -> Self {
        Self { choice: one.choice, part: one.part, start: one.start, deltas: one.deltas }
    }
}

impl From<Choice> for OneChoice {
    fn from(choice: Choice) -> Self {
        Self {
            parts: choice.parts.into_iter().map(OnePart::from).collect(),
            finish: choice.finish.map(End::from),
            logprobs: choice.logprobs,
            rest: choice.extra.into(),
        }
    }
}

impl From<OneChoice> for Choice {
    fn from(choice: OneChoice) -> Self {
        Self {
            parts: choice.parts.into_iter().map(Part::from).collect(),
            finish: choice.finish.map(Finish::from),
            logprobs: choice.logprobs,
            extra: choice.rest.into(),
        }
    }
}

impl From<Finish> for End {
    fn from(finish: Finish) -> Self {
        let reason = match finish.reason {
            FinishReason::Stop => Reason::Stop,
            FinishReason::Length => Reason::Length,
            FinishReason::ToolCalls => Reason::ToolCalls,
            FinishReason::ContentFilter => Reason::ContentFilter,
            FinishReason::Error => Reason::Error,
        };
        Self { reason, native: finish.native, stop_sequence: finish.stop_sequence, details: finish.details }
    }
}

impl From<End> for Finish {
    fn from(end: End) -> Self {
        let reason = match end.reason {
            Reason::Stop => FinishReason::Stop,
            Reason::Length => FinishReason::Length,
            Reason::ToolCalls => FinishReason::ToolCalls,
            Reason::ContentFilter => FinishReason::ContentFilter,
            Reason::Error => FinishReason::Error,
        };
        Self { reason, native: end.native, stop_sequence: end.stop_sequence, details: end.details }
    }
}

impl From<Extra> for Rest {
    fn from(extra: Extra) -> Self {
        Self { of: extra.wire, fields: extra.fields }
    }
}

impl From<Rest> for Extra {
    fn from(rest: Rest) -> Self {
        Self { wire: rest.of, fields: rest.fields }
    }
}

impl From<Part> for OnePart {
    fn from(part: Part) -> Self {
        match part {
            Part::Text(text) => Self::Text {
                text: text.text,
                citations: text.citations.into_iter().map(OneCitation::from).collect(),
                rest: text.extra.into(),
            },
            Part::Image(image) => {
                Self::Image { source: image.source.into(), detail: image.detail, rest: image.extra.into() }
            }
            Part::Document(document) => Self::Document {
                source: document.source.into(),
                name: document.name,
                rest: document.extra.into(),
            },
            Part::Audio { data, format } => Self::Audio { data, format },
            Part::Refusal(text) => Self::Refusal { text },
            Part::ToolCall(call) => Self::Call {
                id: call.id,
                name: call.name,
                arguments: call.arguments,
                rest: call.extra.into(),
            },
            Part::Thinking(thinking) => Self::Thinking {
                text: thinking.text,
                signed: thinking.signature.map(|seal| Seal { by: seal.by, text: seal.text }),
                rest: thinking.extra.into(),
            },
            Part::RedactedThinking { data, extra } => Self::Redacted { data, rest: extra.into() },
            Part::Opaque { wire, value } => Self::Opaque { of: wire, value },
            Part::ToolResult(_) => Self::Result,
        }
    }
}

impl From<OnePart> for Part {
    fn from(part: OnePart) -> Self {
        match part {
            OnePart::Text { text, citations, rest } => Self::Text(Text {
                text,
                citations: citations.into_iter().map(Citation::from).collect(),
                cache: None,
                extra: rest.into(),
            }),
            OnePart::Image { source, detail, rest } => {
                Self::Image(Image { source: source.into(), detail, cache: None, extra: rest.into() })
            }
            OnePart::Document { source, name, rest } => {
                Self::Document(Document { source: source.into(), name, cache: None, extra: rest.into() })
            }
            OnePart::Audio { data, format } => Self::Audio { data, format },
            OnePart::Refusal { text } => Self::Refusal(text),
            OnePart::Call { id, name, arguments, rest } => {
                Self::ToolCall(ToolCall { id, name, arguments, cache: None, extra: rest.into() })
            }
            OnePart::Thinking { text, signed, rest } => Self::Thinking(Thinking {
                text,
                signature: signed.map(|seal| Signature { by: seal.by, text: seal.text }),
                extra: rest.into(),
            }),
            OnePart::Redacted { data, rest } => Self::RedactedThinking { data, extra: rest.into() },
            OnePart::Opaque { of, value } => Self::Opaque { wire: of, value },
            OnePart::Result => Self::ToolResult(crate::ir::ToolResult {
                call_id: String::new(),
                parts: Vec::new(),
                is_error: None,
                cache: None,
                extra: Extra::default(),
            }),
        }
    }
}

impl From<Citation> for OneCitation {
    fn from(one: Citation) -> Self {
        let Citation { wire, raw, url, title, quote, start, end } = one;
        Self { of: wire, raw, url, title, quote, start, end }
    }
}

impl From<OneCitation> for Citation {
    fn from(one: OneCitation) -> Self {
        let OneCitation { of, raw, url, title, quote, start, end } = one;
        Self { wire: of, raw, url, title, quote, start, end }
    }
}

impl From<Source> for Place {
    fn from(source: Source) -> Self {
        match source {
            Source::Base64 { media_type, data } => Self::Base64 { media_type, data },
            Source::Url(url) => Self::Url(url),
            Source::File(id) => Self::File(id),
            Source::Text { media_type, text } => Self::Text { media_type, text },
        }
    }
}

impl From<Place> for Source {
    fn from(place: Place) -> Self {
        match place {
            Place::Base64 { media_type, data } => Self::Base64 { media_type, data },
            Place::Url(url) => Self::Url(url),
            Place::File(id) => Self::File(id),
            Place::Text { media_type, text } => Self::Text { media_type, text },
        }
    }
}
