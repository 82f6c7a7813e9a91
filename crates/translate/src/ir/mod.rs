//! The pivot between wires: typed where we act, raw where we do not.
//!
//! A decoder keeps every field it met: in a typed place when the gateway understands it, else in an
//! [`Extra`] map of the object it stood in. An encoder writes the typed places its wire knows, writes
//! `Extra` back only when it came from the same wire, and reports the rest as [`crate::Loss`].

mod citation;
mod event;
mod failure;
mod message;
mod request;
mod response;
mod signature;
mod usage;

pub use citation::Citation;
pub use event::{Delta, Event, PartKind};
pub use failure::{Failure, FailureKind, OWN_WORDS};
pub use message::{
    CacheMark, Document, Extra, Image, Message, Part, Role, Source, Text, Thinking, ToolCall, ToolResult,
};
pub(crate) use message::{GROUP, MADE_OF};
pub use request::{Effort, JsonSchema, OutputFormat, Reasoning, Request, Sampling, Tool, ToolChoice};
pub use response::{Choice, Finish, FinishReason, Response};
pub use signature::Signature;
pub use usage::{Served, ServiceTier, Usage};
