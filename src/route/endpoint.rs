//! Path to endpoint: what is asked, in which dialect, and how the answer is dressed.
//!
//! Every dialect has its own paths, below its own prefix (`/anthropic/v1/messages`) and below those of the
//! frameworks that are only another base URL (`/litellm`, `/langchain`, …). Two dialects tell the model in
//! the path. Must not look into a body.

use http::Method;
use translate::Wire;
use translate::completions::TextCompletions;
use translate::frame::Framing;
use translate::wire::Dialect;
use translate::wire::openai_chat::OpenAiChat;

mod paths;
pub mod stored;
mod template;

pub use paths::{all, dialect_of, find, model_named, takes_input};
pub use template::template;

/// What a provider is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    Chat,
    /// The legacy text completions.
    Completions,
    CountTokens,
    Embeddings,
    Rerank,
    /// A model by its own body, untouched (Bedrock's `InvokeModel`).
    Invoke,
    /// Whatever the path says at the provider, untouched.
    Passthrough,
}

impl Operation {
    /// Its answer may be a stream.
    #[must_use]
    pub fn streams(self) -> bool {
        matches!(self, Self::Chat | Self::Completions | Self::Invoke)
    }
}

/// Which group of routes was used. It names the provider that bare model names belong to, and whether
/// the body carries `extra_fields`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// `/v1/*`: the gateway's own routes; answers carry `extra_fields`.
    Unified,
    /// `/openai/*`: the body is the provider's own where the wire is the same.
    OpenAi,
    /// `/anthropic/*`: likewise.
    Anthropic,
    /// `/genai/*`, `/v1beta/*`.
    Gemini,
    /// `/bedrock/*`.
    Bedrock,
    /// `/cohere/*`, `/v2/*`.
    Cohere,
}

impl Family {
    /// How many there are.
    pub const COUNT: usize = 6;
}

/// An operation that goes to a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoint {
    pub operation: Operation,
    /// The caller's wire.
    pub dialect: Wire,
    pub family: Family,
    /// How the caller wants streams framed.
    pub framing: Framing,
}

impl Endpoint {
    /// Chat in a dialect, with that dialect's own framing.
    #[must_use]
    pub const fn new(operation: Operation, dialect: Wire, family: Family) -> Self {
        let framing = match dialect {
            Wire::BedrockConverse => Framing::EventStream,
            _ => Framing::Sse,
        };
        Self { operation, dialect, family, framing }
    }

    /// The answer carries `extra_fields`: only shapes whose clients take unknown members get them.
    #[must_use]
    pub fn extra_fields(self) -> bool {
        self.family == Family::Unified && self.operation != Operation::CountTokens
    }

    /// The family that bare model names belong to: rerankers are Cohere's, whoever asks.
    #[must_use]
    pub fn names(self) -> Family {
        match (self.operation, self.family) {
            (Operation::Rerank, Family::Unified) => Family::Cohere,
            (_, family) => family,
        }
    }

    /// The service the caller believes to call: errors are written in its shape, and its headers answer.
    /// Bedrock stays Bedrock when the body under its paths is Claude's own.
    #[must_use]
    pub fn service(self) -> Wire {
        if self.family == Family::Bedrock { Wire::BedrockConverse } else { self.dialect }
    }

    /// The codec that answers are written with.
    #[must_use]
    pub fn codec(self) -> &'static dyn Dialect {
        match self.operation {
            Operation::Completions => &TextCompletions,
            _ => spoken(self.dialect),
        }
    }

    /// The original's name of the request: `chat_completion`, `chat_completion_stream`, `embedding`, ….
    #[must_use]
    pub fn request_type(self, stream: bool) -> &'static str {
        match (self.operation, stream) {
            (Operation::Chat, stream) if self.dialect == Wire::OpenAiResponses => {
                if stream {
                    "responses_stream"
                } else {
                    "responses"
                }
            }
            (Operation::Chat, false) => "chat_completion",
            (Operation::Chat, true) => "chat_completion_stream",
            (Operation::Completions, false) => "text_completion",
            (Operation::Completions, true) => "text_completion_stream",
            (Operation::Embeddings, _) => "embedding",
            (Operation::Rerank, _) => "rerank",
            (Operation::CountTokens, _) => "count_tokens",
            (Operation::Invoke, false) => "invoke_model",
            (Operation::Invoke, true) => "invoke_model_stream",
            (Operation::Passthrough, _) => "passthrough",
        }
    }
}

/// The half of `dialect` towards callers. Paths name dialects only, never a wire that is upstream only; were
/// one to, its callers would be answered as most clients read it.
#[must_use]
pub fn spoken(dialect: Wire) -> &'static dyn Dialect {
    dialect.dialect().unwrap_or(&OpenAiChat)
}

/// What a path tells of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    pub endpoint: Endpoint,
    /// The model, where the path names it (decoded). It counts before one in the body.
    pub model: Option<String>,
    /// Whether a stream is asked for, where the path tells.
    pub stream: Option<bool>,
    /// One text, not a list of them (Gemini's `embedContent`).
    pub single: bool,
    /// The path at the provider, where nothing but that is known.
    pub raw: Option<String>,
    /// The provider, where the path names it.
    pub provider: Option<String>,
}

/// What the gateway answers itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Local {
    Health,
    Livez,
    Metrics,
    /// One model of the list; [`model_named`] tells which.
    Model(Family),
    Models(Family),
    Readyz,
    /// `/`: what this is and where to go.
    Root,
}

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    Provider(Asked),
    Local(Local),
    /// Below `/api`, and `/openapi.json`: `admin` knows what is there.
    Administration,
    /// The path exists, the method does not fit.
    MethodNotAllowed {
        allow: &'static str,
    },
    /// No such path; the nearest one we know.
    NotFound {
        nearest: &'static str,
    },
}

/// The route of `method` when the path takes POST alone.
fn posted(method: &Method, asked: Asked) -> Route {
    if method == Method::POST { Route::Provider(asked) } else { Route::MethodNotAllowed { allow: "POST" } }
}
