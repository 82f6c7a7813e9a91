//! Messages and their parts: what was said, in the order it was said.

use serde_json::{Map, Value};

use super::{Citation, Signature};
use crate::Wire;

/// Fields of an object that have no typed place, in their order, with the wire they came from.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Extra {
    /// The wire whose field names these are; `None` when the map is empty.
    pub wire: Option<Wire>,
    /// Field name to value, in the order they were met.
    pub fields: Map<String, Value>,
}

impl Extra {
    /// Nothing left over.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Keeps what a decoder did not understand.
    #[must_use]
    pub fn of(wire: Wire, fields: Map<String, Value>) -> Self {
        let wire = (!fields.is_empty()).then_some(wire);
        Self { wire, fields }
    }

    /// The dotted names of all fields, for losses. Decoders keep the unknown members of an object they
    /// know under that object's name: those are named one by one.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        name_all(&self.fields, "", &mut names);
        names
    }

    /// The fields, when they are of `wire` and may be written back as they are.
    #[must_use]
    pub fn for_wire(&self, wire: Wire) -> Option<&Map<String, Value>> {
        (self.wire == Some(wire)).then_some(&self.fields)
    }
}

/// A leftover of a function that tells the group it stood in. Its name says so too: nothing is lost with it.
pub(crate) const GROUP: &str = "in_namespace";

/// A leftover that holds what a function, a call or a result was made of: all of it was said in their words.
pub(crate) const MADE_OF: &str = "made_of";

/// Objects of which decoders read some members and keep the others.
const PARTLY_READ: [&str; 33] = [
    "additionalModelRequestFields",
    "citationMetadata",
    "completion_tokens_details",
    "file",
    "fileData",
    "function",
    "functionCall",
    "functionResponse",
    "generationConfig",
    "groundingMetadata",
    "image_url",
    "inferenceConfig",
    "inlineData",
    "json_schema",
    "message",
    "outputConfig",
    "output_config",
    "output_tokens_details",
    "prompt_tokens_details",
    "reasoning",
    "reasoningText",
    "reasoning_config",
    "response_format",
    "server_tool_use",
    "source",
    "stream_options",
    "text",
    "thinking",
    "thinkingConfig",
    "toolConfig",
    "tool_choice",
    "usage",
    "usageMetadata",
];

fn name_all(fields: &Map<String, Value>, above: &str, names: &mut Vec<String>) {
    for (name, value) in fields.iter().filter(|(name, _)| ![GROUP, MADE_OF].contains(&name.as_str())) {
        match value {
            Value::Object(inner) if !inner.is_empty() && PARTLY_READ.contains(&name.as_str()) => {
                name_all(inner, &format!("{above}{name}."), names);
            }
            _ => names.push(format!("{above}{name}")),
        }
    }
}

/// Who speaks. `System` and `Developer` keep their place in the list: encoders that need them at the
/// top lift the leading run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    System,
    Developer,
    User,
    Assistant,
    /// A message that holds tool results only (OpenAI's `tool`). Anthropic's results sit in user messages.
    Tool,
}

/// One turn.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    pub role: Role,
    /// The participant's name (OpenAI `name`).
    pub name: Option<String>,
    pub parts: Vec<Part>,
    pub extra: Extra,
}

/// A prompt-cache breakpoint set by the caller behind the part that carries it.
#[derive(Debug, Clone, PartialEq)]
pub struct CacheMark {
    /// The mark as written (Anthropic `cache_control` object), kept whole: `ttl`, `scope`, ….
    pub raw: Value,
}

/// Where the bytes of an image or document are.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// Base64 text as it came, and its media type (`image/png`).
    Base64 {
        media_type: String,
        data: String,
    },
    Url(String),
    /// A provider's file id: of meaning only to the wire that issued it.
    File(String),
    /// Plain text (Anthropic `text` document source).
    Text {
        media_type: String,
        text: String,
    },
}

/// A run of text.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Text {
    pub text: String,
    /// The sources of what it says, in their order.
    pub citations: Vec<Citation>,
    pub cache: Option<CacheMark>,
    pub extra: Extra,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Image {
    pub source: Source,
    /// OpenAI `detail`: `low`, `high`, `auto`.
    pub detail: Option<String>,
    pub cache: Option<CacheMark>,
    pub extra: Extra,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    pub source: Source,
    /// File name or title.
    pub name: Option<String>,
    pub cache: Option<CacheMark>,
    pub extra: Extra,
}

/// A call the model made.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolCall {
    /// Empty where the wire has none: encoders make one.
    pub id: String,
    pub name: String,
    /// JSON text exactly as the model wrote it: key order matters to prompt caches. May be empty.
    pub arguments: String,
    pub cache: Option<CacheMark>,
    pub extra: Extra,
}

/// What the caller's tool answered.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolResult {
    pub call_id: String,
    /// `Text`, `Image`, `Document` or `Opaque` parts.
    pub parts: Vec<Part>,
    pub is_error: Option<bool>,
    pub cache: Option<CacheMark>,
    pub extra: Extra,
}

/// Visible reasoning, with the provider's signature when it gave one. The pair is kept byte-exact: a
/// changed text or a lost signature makes the next turn fail. Wires that sign the part behind the
/// reasoning (Gemini's `thoughtSignature` on a call) put a `Thinking` before that part, empty where no
/// reasoning was shown, and their encoders move its signature to the part that follows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Thinking {
    pub text: String,
    pub signature: Option<Signature>,
    pub extra: Extra,
}

/// One piece of a message.
#[derive(Debug, Clone, PartialEq)]
pub enum Part {
    Text(Text),
    Image(Image),
    Document(Document),
    /// Base64 audio and its format (`wav`, `mp3`).
    Audio {
        data: String,
        format: String,
    },
    Refusal(String),
    ToolCall(ToolCall),
    ToolResult(ToolResult),
    Thinking(Thinking),
    /// Reasoning the provider encrypted.
    RedactedThinking {
        data: String,
        extra: Extra,
    },
    /// A part only its own wire understands (server tools, compaction, …): carried whole.
    Opaque {
        wire: Wire,
        value: Value,
    },
}

impl Part {
    /// A plain text part.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(Text { text: text.into(), ..Text::default() })
    }
}
