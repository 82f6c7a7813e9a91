//! Path to endpoint: what is asked, in which dialect, and how the answer is dressed.

use http::Method;
use translate::Wire;

/// What a provider is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    Chat,
    Embeddings,
    CountTokens,
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
}

/// An operation that goes to a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoint {
    pub operation: Operation,
    /// The caller's wire.
    pub dialect: Wire,
    pub family: Family,
}

impl Endpoint {
    /// The answer carries `extra_fields`.
    #[must_use]
    pub fn extra_fields(self) -> bool {
        self.family == Family::Unified && self.operation != Operation::CountTokens
    }

    /// The original's name of the request: `chat_completion`, `chat_completion_stream`, `embedding`, ….
    #[must_use]
    pub fn request_type(self, stream: bool) -> &'static str {
        match (self.operation, stream) {
            (Operation::Chat, false) => "chat_completion",
            (Operation::Chat, true) => "chat_completion_stream",
            (Operation::Embeddings, _) => "embedding",
            (Operation::CountTokens, _) => "count_tokens",
        }
    }
}

/// What the gateway answers itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Local {
    Health,
    Livez,
    Metrics,
    Models(Family),
    Readyz,
    /// `/`: what this is and where to go.
    Root,
}

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    Provider(Endpoint),
    Local(Local),
    /// The path exists, the method does not fit.
    MethodNotAllowed {
        allow: &'static str,
    },
    /// No such path; the nearest one we know.
    NotFound {
        nearest: &'static str,
    },
}

/// The dialect in which errors of this path are written: known even when the path is not.
#[must_use]
pub fn dialect_of(path: &str) -> Wire {
    if path.starts_with("/anthropic") || path.starts_with("/v1/messages") {
        Wire::Anthropic
    } else {
        Wire::OpenAiChat
    }
}

const POSTS: &[(&str, Endpoint)] = &[
    ("/anthropic/v1/messages", endpoint(Operation::Chat, Wire::Anthropic, Family::Anthropic)),
    (
        "/anthropic/v1/messages/count_tokens",
        endpoint(Operation::CountTokens, Wire::Anthropic, Family::Anthropic),
    ),
    ("/openai/chat/completions", endpoint(Operation::Chat, Wire::OpenAiChat, Family::OpenAi)),
    ("/openai/embeddings", endpoint(Operation::Embeddings, Wire::OpenAiChat, Family::OpenAi)),
    ("/openai/v1/chat/completions", endpoint(Operation::Chat, Wire::OpenAiChat, Family::OpenAi)),
    ("/openai/v1/embeddings", endpoint(Operation::Embeddings, Wire::OpenAiChat, Family::OpenAi)),
    ("/v1/chat/completions", endpoint(Operation::Chat, Wire::OpenAiChat, Family::Unified)),
    ("/v1/embeddings", endpoint(Operation::Embeddings, Wire::OpenAiChat, Family::Unified)),
    ("/v1/messages", endpoint(Operation::Chat, Wire::Anthropic, Family::Unified)),
    ("/v1/messages/count_tokens", endpoint(Operation::CountTokens, Wire::Anthropic, Family::Unified)),
];

const GETS: &[(&str, Local)] = &[
    ("/", Local::Root),
    ("/anthropic/v1/models", Local::Models(Family::Anthropic)),
    ("/health", Local::Health),
    ("/livez", Local::Livez),
    ("/metrics", Local::Metrics),
    ("/openai/models", Local::Models(Family::OpenAi)),
    ("/openai/v1/models", Local::Models(Family::OpenAi)),
    ("/readyz", Local::Readyz),
    ("/v1/models", Local::Models(Family::Unified)),
];

const fn endpoint(operation: Operation, dialect: Wire, family: Family) -> Endpoint {
    Endpoint { operation, dialect, family }
}

/// Finds the route of a method and path (without query). A trailing slash is forgiven.
#[must_use]
pub fn find(method: &Method, path: &str) -> Route {
    let path = if path.len() > 1 { path.trim_end_matches('/') } else { path };
    if let Some((_, endpoint)) = POSTS.iter().find(|(known, _)| *known == path) {
        return if method == Method::POST {
            Route::Provider(*endpoint)
        } else {
            Route::MethodNotAllowed { allow: "POST" }
        };
    }
    if let Some((_, local)) = GETS.iter().find(|(known, _)| *known == path) {
        return if method == Method::GET || method == Method::HEAD {
            Route::Local(*local)
        } else {
            Route::MethodNotAllowed { allow: "GET, HEAD" }
        };
    }
    Route::NotFound { nearest: nearest(method, path) }
}

/// Every path, with its method, in the order of the tables: for the start page and the docs.
pub fn all() -> impl Iterator<Item = (&'static str, &'static str)> {
    POSTS.iter().map(|(path, _)| ("POST", *path)).chain(GETS.iter().map(|(path, _)| ("GET", *path)))
}

fn nearest(method: &Method, path: &str) -> &'static str {
    let wanted = if method == Method::POST { "POST" } else { "GET" };
    all()
        .filter(|(_, known)| *known != "/")
        .map(|(method, known)| {
            let same_method = if method == wanted { 0.05 } else { 0.0 };
            (strsim::normalized_levenshtein(path, known) + same_method, known)
        })
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map_or("/v1/chat/completions", |(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_path_is_found_by_its_own_method() {
        for (method, path) in all() {
            let method: Method = method.parse().unwrap();
            assert!(matches!(find(&method, path), Route::Provider(_) | Route::Local(_)), "{method} {path}");
        }
    }

    #[test]
    fn a_trailing_slash_is_forgiven() {
        assert_eq!(find(&Method::POST, "/v1/messages/"), find(&Method::POST, "/v1/messages"));
    }

    #[test]
    fn wrong_method_names_the_right_one() {
        assert_eq!(find(&Method::GET, "/v1/chat/completions"), Route::MethodNotAllowed { allow: "POST" });
        assert_eq!(find(&Method::POST, "/metrics"), Route::MethodNotAllowed { allow: "GET, HEAD" });
    }

    #[test]
    fn unknown_path_names_the_nearest() {
        assert_eq!(
            find(&Method::POST, "/v1/chat/completion"),
            Route::NotFound { nearest: "/v1/chat/completions" }
        );
        assert_eq!(find(&Method::POST, "/v1/message"), Route::NotFound { nearest: "/v1/messages" });
        assert_eq!(find(&Method::GET, "/openai/v1/model"), Route::NotFound { nearest: "/openai/v1/models" });
    }
}
