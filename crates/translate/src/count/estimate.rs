//! An estimate for providers that count nothing: words by [`text`], everything else at flat prices.

use serde_json::Value;

use super::Counted;
use super::text::hundredths;
use crate::ir::{Extra, Message, OutputFormat, Part, Request, Source, Tool, ToolResult};

/// Opens the answer.
const PRIMING: u64 = 3;
/// The marks around a message, its role among them.
const MESSAGE: u64 = 4;
/// The marks around a call, a result or a tool's description.
const TOOL: u64 = 8;
/// An image of about a megapixel, as most models see it; and one that was asked for in low detail.
const IMAGE: u64 = 1000;
const SMALL_IMAGE: u64 = 85;
/// A page of a document, and about how many bytes one takes.
const PAGE: u64 = 1500;
const PAGE_BYTES: u64 = 50_000;
/// A second of sound, and its bytes: uncompressed (16 kHz, 16 bits) or not.
const SECOND: u64 = 25;
const WAVE_BYTES: u64 = 32_000;
const OTHER_BYTES: u64 = 16_000;

/// About how many tokens `request` is, by kind. No two models count alike: `docs/token-counts.md` tells how far
/// off this is.
#[must_use]
pub fn estimate(request: &Request) -> Counted {
    let mut sum = Sum::default();
    for message in &request.messages {
        sum.message(message);
    }
    for tool in &request.tools {
        sum.tool(tool);
    }
    if let Some(OutputFormat::JsonSchema(schema)) = &request.output_format {
        sum.json(&schema.schema);
    }
    sum.flat(PRIMING);
    sum.counted()
}

#[derive(Default)]
struct Sum {
    /// In hundredths.
    text: u64,
    image: u64,
    audio: u64,
    document: u64,
}

impl Sum {
    fn counted(self) -> Counted {
        let text = self.text.div_ceil(100);
        let kinds =
            [("TEXT", text), ("IMAGE", self.image), ("AUDIO", self.audio), ("DOCUMENT", self.document)];
        let met = kinds.into_iter().filter(|(_, count)| *count > 0);
        Counted {
            input_tokens: kinds.iter().fold(0, |sum, (_, count)| sum.saturating_add(*count)),
            cached_tokens: None,
            by_modality: met.map(|(kind, count)| (kind.into(), count)).collect(),
            extra: Extra::default(),
        }
    }

    fn flat(&mut self, tokens: u64) {
        self.text = self.text.saturating_add(tokens.saturating_mul(100));
    }

    fn words(&mut self, text: &str) {
        self.text = self.text.saturating_add(hundredths(text));
    }

    fn json(&mut self, value: &Value) {
        self.words(&value.to_string());
    }

    fn message(&mut self, message: &Message) {
        self.flat(MESSAGE);
        self.words(message.name.as_deref().unwrap_or_default());
        message.parts.iter().for_each(|part| self.part(part));
    }

    fn part(&mut self, part: &Part) {
        match part {
            Part::Text(text) => self.words(&text.text),
            Part::Refusal(text) => self.words(text),
            Part::Thinking(thinking) => self.words(&thinking.text),
            // Sealed for its maker: others never see it.
            Part::RedactedThinking { .. } => {}
            Part::Image(image) => {
                let small = image.detail.as_deref() == Some("low");
                self.image = self.image.saturating_add(if small { SMALL_IMAGE } else { IMAGE });
            }
            Part::Document(document) => self.document(&document.source),
            Part::Audio { data, format } => {
                let second = if format == "wav" { WAVE_BYTES } else { OTHER_BYTES };
                let seconds = bytes(data).div_ceil(second);
                self.audio = self.audio.saturating_add(seconds.saturating_mul(SECOND));
            }
            Part::ToolCall(call) => {
                self.flat(TOOL);
                self.words(&call.name);
                self.words(&call.arguments);
            }
            Part::ToolResult(result) => self.result(result),
            Part::Opaque { value, .. } => self.json(value),
        }
    }

    fn result(&mut self, result: &ToolResult) {
        self.flat(TOOL);
        result.parts.iter().for_each(|part| self.part(part));
    }

    fn document(&mut self, source: &Source) {
        let pages = match source {
            Source::Text { text, .. } => return self.words(text),
            Source::Base64 { data, .. } => bytes(data).div_ceil(PAGE_BYTES).max(1),
            // Nobody has seen it yet.
            Source::Url(_) | Source::File(_) => 1,
        };
        self.document = self.document.saturating_add(pages.saturating_mul(PAGE));
    }

    fn tool(&mut self, tool: &Tool) {
        self.flat(TOOL);
        match tool {
            Tool::Function { name, description, parameters, .. } => {
                self.words(name);
                self.words(description.as_deref().unwrap_or_default());
                parameters.iter().for_each(|schema| self.json(schema));
            }
            Tool::Opaque { value, .. } => self.json(value),
        }
    }
}

/// How many bytes this base64 stands for.
fn bytes(base64: &str) -> u64 {
    u64::try_from(base64.len() / 4 * 3).unwrap_or(u64::MAX)
}
