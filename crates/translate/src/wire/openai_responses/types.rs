//! What streams and observers read of events and answers, typed and borrowed from the body.
//!
//! Scalars are read leniently, as for Chat Completions: a misshapen one becomes "absent" or its text. Must not
//! interpret.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::wire::openai_chat::{Count, Str, object, speaks};

object! {
    /// One event of a stream.
    Step<'a> {
        "type" => kind: Str<'a>,
        "sequence_number" => sequence: Count,
        "output_index" => output_index: Count,
        "content_index" => content_index: Count,
        "summary_index" => summary_index: Count,
        "delta" => delta: Str<'a>,
        "text" => text: Str<'a>,
        "refusal" => refusal: Str<'a>,
        "arguments" => arguments: Str<'a>,
        "input" => input: Str<'a>,
        "item" => item: Option<&'a RawValue>,
        "part" => part: Option<&'a RawValue>,
        "annotation" => annotation: Option<&'a RawValue>,
        "logprobs" => logprobs: Option<&'a RawValue>,
        "response" => response: Option<&'a RawValue>,
        /// Of an error event.
        "error" => error: Option<&'a RawValue>,
        "code" => code: Str<'a>,
        "message" => message: Str<'a>,
    }
    // Numbers and names that the other fields imply, and padding against guesses from an event's length.
    ignores ["item_id", "annotation_index", "name", "param", "obfuscation", "output_text"]
}

object! {
    /// An answer around its output.
    Outline<'a> {
        "id" => id: Str<'a>,
        "object" => object: Str<'a>,
        "model" => model: Str<'a>,
        "created_at" => created_at: Count,
        "status" => status: Str<'a>,
        "error" => error: Option<&'a RawValue>,
        "incomplete_details" => incomplete_details: Option<&'a RawValue>,
        "output" => output: Option<Vec<&'a RawValue>>,
        "usage" => usage: Option<&'a RawValue>,
        "service_tier" => service_tier: Str<'a>,
    }
    // The request once more, and times.
    ignores [
        "background", "completed_at", "conversation", "frequency_penalty", "instructions", "max_output_tokens",
        "max_tool_calls", "metadata", "output_text", "parallel_tool_calls", "presence_penalty",
        "previous_response_id", "prompt", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention",
        "reasoning", "safety_identifier", "store", "temperature", "text", "tool_choice", "tools",
        "top_logprobs", "top_p", "truncation", "user", "billing", "moderation"
    ]
}

object! {
    /// An item of the output.
    Item<'a> {
        "type" => kind: Str<'a>,
        "call_id" => call_id: Str<'a>,
        "name" => name: Str<'a>,
        "arguments" => arguments: Str<'a>,
        "input" => input: Str<'a>,
        "phase" => phase: Str<'a>,
        "encrypted_content" => encrypted_content: Str<'a>,
        "content" => content: Option<Vec<ItemPart<'a>>>,
        "summary" => summary: Option<Vec<ItemPart<'a>>>,
        "action" => action: Option<&'a RawValue>,
    }
    ignores ["id", "status", "role"]
}

object! {
    /// A piece of a message or of reasoning.
    ItemPart<'a> {
        "type" => kind: Str<'a>,
        "text" => text: Str<'a>,
        "refusal" => refusal: Str<'a>,
        "annotations" => annotations: Option<&'a RawValue>,
        "logprobs" => logprobs: Option<&'a RawValue>,
    }
    ignores []
}

/// Why an answer is incomplete.
#[derive(Debug, Default, Deserialize)]
struct Incomplete<'a> {
    #[serde(default, borrow)]
    reason: Str<'a>,
}

impl Outline<'_> {
    /// The word in `incomplete_details`, empty when there is none.
    pub(super) fn reason(&self) -> String {
        let raw = self.incomplete_details.map_or("null", RawValue::get);
        serde_json::from_str::<Option<Incomplete<'_>>>(raw)
            .ok()
            .flatten()
            .map(|details| details.reason.get().to_owned())
            .unwrap_or_default()
    }

    /// The searches among the output: the provider bills each.
    pub(super) fn searches(&self) -> u64 {
        let output = self.output.as_deref().unwrap_or_default();
        let is_search = |raw: &&&RawValue| {
            raw.get().contains("\"web_search_call\"")
                && serde_json::from_str::<Item<'_>>(raw.get()).is_ok_and(|item| item.is_search())
        };
        output.iter().filter(is_search).count() as u64
    }
}

impl Item<'_> {
    /// A search of the web; to open a page it found costs nothing.
    fn is_search(&self) -> bool {
        let action = self.action.map_or("", RawValue::get);
        let opens = action.contains("\"open_page\"") || action.contains("\"find_in_page\"");
        self.kind.get() == "web_search_call" && !opens
    }

    /// A tool the caller runs is called.
    pub(super) fn is_call(&self) -> bool {
        is_call(self.kind.get())
    }
}

/// Items by which the model calls a tool of the caller's.
pub(super) fn is_call(kind: &str) -> bool {
    matches!(kind, "function_call" | "custom_tool_call")
}
