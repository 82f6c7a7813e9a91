//! The paths themselves: tables of those that are fixed, and a reader for those that name a model.

use http::Method;
use percent_encoding::percent_decode_str;
use translate::Wire;
use translate::frame::Framing;

use super::{Asked, Endpoint, Family, Local, Operation, Route, posted, stored};

/// Other base URLs of the same endpoints, for frameworks that want one of their own.
pub(super) const FRAMEWORKS: [&str; 4] = ["/cursor", "/langchain", "/litellm", "/pydanticai"];

/// Paths of OpenAI that are written without their version too.
pub(super) const BARE: [&str; 5] =
    ["/chat/completions", "/completions", "/embeddings", "/responses", "/responses/input_tokens"];

/// Prefixes below which a provider's whole API is, and whose it is. Those of a family know its endpoints; any
/// other provider has one too: `/<name>_passthrough`.
const PASSTHROUGHS: [(&str, Family, Wire); 3] = [
    ("/anthropic_passthrough", Family::Anthropic, Wire::Anthropic),
    ("/genai_passthrough", Family::Gemini, Wire::Gemini),
    ("/openai_passthrough", Family::OpenAi, Wire::OpenAiChat),
];

/// What a family's paths look like below its prefix.
const FAMILIES: [(&str, Family); 5] = [
    ("/anthropic", Family::Anthropic),
    ("/bedrock", Family::Bedrock),
    ("/cohere", Family::Cohere),
    ("/genai", Family::Gemini),
    ("/openai", Family::OpenAi),
];

/// Fixed paths of each dialect, without its prefix.
pub(super) const POSTS: &[(&str, Operation, Wire)] = &[
    ("/v1/chat/completions", Operation::Chat, Wire::OpenAiChat),
    ("/v1/completions", Operation::Completions, Wire::OpenAiChat),
    ("/v1/embeddings", Operation::Embeddings, Wire::OpenAiChat),
    ("/v1/messages", Operation::Chat, Wire::Anthropic),
    ("/v1/messages/count_tokens", Operation::CountTokens, Wire::Anthropic),
    ("/v1/rerank", Operation::Rerank, Wire::Cohere),
    ("/v1/responses", Operation::Chat, Wire::OpenAiResponses),
    ("/v1/responses/input_tokens", Operation::CountTokens, Wire::OpenAiResponses),
    ("/v2/chat", Operation::Chat, Wire::Cohere),
    ("/v2/embed", Operation::Embeddings, Wire::Cohere),
    ("/v2/rerank", Operation::Rerank, Wire::Cohere),
];

/// The same of what the gateway answers itself.
const GETS: &[(&str, Local)] = &[
    ("/", Local::Root),
    ("/anthropic/v1/models", Local::Models(Family::Anthropic)),
    ("/bedrock/foundation-models", Local::Models(Family::Bedrock)),
    ("/cohere/v1/models", Local::Models(Family::Cohere)),
    ("/cursor/models", Local::Models(Family::OpenAi)),
    ("/cursor/v1/models", Local::Models(Family::OpenAi)),
    ("/genai/v1/models", Local::Models(Family::Gemini)),
    ("/genai/v1beta/models", Local::Models(Family::Gemini)),
    ("/health", Local::Health),
    ("/langchain/models", Local::Models(Family::Unified)),
    ("/langchain/v1/models", Local::Models(Family::Unified)),
    ("/litellm/models", Local::Models(Family::Unified)),
    ("/litellm/v1/models", Local::Models(Family::Unified)),
    ("/livez", Local::Livez),
    ("/metrics", Local::Metrics),
    ("/openai/models", Local::Models(Family::OpenAi)),
    ("/openai/v1/models", Local::Models(Family::OpenAi)),
    ("/pydanticai/models", Local::Models(Family::Unified)),
    ("/pydanticai/v1/models", Local::Models(Family::Unified)),
    ("/readyz", Local::Readyz),
    ("/v1/models", Local::Models(Family::Unified)),
    ("/v1beta/models", Local::Models(Family::Gemini)),
];

/// What the administration can do.
const DOCUMENT: &str = "/openapi.json";

/// Paths for people: what the start page and an unknown path show. `{model}` stands for a name.
const SHOWN: &[&str] = &[
    "/anthropic/v1/messages",
    "/anthropic/v1/messages/count_tokens",
    "/bedrock/model/{model}/converse",
    "/bedrock/model/{model}/converse-stream",
    "/bedrock/model/{model}/count-tokens",
    "/bedrock/model/{model}/invoke",
    "/bedrock/model/{model}/invoke-with-response-stream",
    "/bedrock/rerank",
    "/cohere/v2/chat",
    "/cohere/v2/embed",
    "/cohere/v2/rerank",
    "/genai/v1beta/models/{model}:batchEmbedContents",
    "/genai/v1beta/models/{model}:countTokens",
    "/genai/v1beta/models/{model}:embedContent",
    "/genai/v1beta/models/{model}:generateContent",
    "/genai/v1beta/models/{model}:streamGenerateContent",
    "/openai/chat/completions",
    "/openai/completions",
    "/openai/embeddings",
    "/openai/responses",
    "/openai/responses/input_tokens",
    "/openai/v1/chat/completions",
    "/openai/v1/completions",
    "/openai/v1/embeddings",
    "/openai/v1/responses",
    "/openai/v1/responses/input_tokens",
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/embeddings",
    "/v1/messages",
    "/v1/messages/count_tokens",
    "/v1/rerank",
    "/v1/responses",
    "/v1/responses/input_tokens",
];

/// The dialect in which errors of this path are written: known even when the path is not.
#[must_use]
pub fn dialect_of(path: &str) -> Wire {
    let path = without_framework(path);
    if let Some((_, _, dialect)) = PASSTHROUGHS.iter().find(|(prefix, _, _)| below(path, prefix).is_some()) {
        return *dialect;
    }
    if let Some((name, _)) = named_passthrough(path) {
        return translate::provider::find(&name).map_or(Wire::OpenAiChat, |row| row.wire);
    }
    if let Some((_, family)) = FAMILIES.iter().find(|(prefix, _)| below(path, prefix).is_some()) {
        return match family {
            Family::Anthropic => Wire::Anthropic,
            Family::Bedrock => Wire::BedrockConverse,
            Family::Cohere => Wire::Cohere,
            Family::Gemini => Wire::Gemini,
            Family::OpenAi | Family::Unified => Wire::OpenAiChat,
        };
    }
    match path {
        _ if path.starts_with("/model/") => Wire::BedrockConverse,
        _ if path.starts_with("/v1/messages") => Wire::Anthropic,
        _ if path.starts_with("/v2/") => Wire::Cohere,
        _ if path.starts_with("/v1beta") => Wire::Gemini,
        _ if path.starts_with("/v1/models/") && path.contains(':') => Wire::Gemini,
        _ => Wire::OpenAiChat,
    }
}

/// Finds the route of a method and path (without query). A trailing slash is forgiven.
#[must_use]
pub fn find(method: &Method, path: &str) -> Route {
    if below(path, "/api").is_some() || path == DOCUMENT {
        return Route::Administration;
    }
    if let Some(route) = passthrough(method, path) {
        return route;
    }
    let path = if path.len() > 1 { path.trim_end_matches('/') } else { path };
    if let Some(asked) = provider(path) {
        return posted(method, asked);
    }
    if let Some(route) = kept(method, path) {
        return route;
    }
    let listed = GETS.iter().find(|(known, _)| *known == path).map(|(_, local)| *local);
    // What is asked of a model stands behind a colon: an unknown action is no model that must be asked for otherwise.
    let action = |name: &str| method == Method::POST && name.contains(':');
    let one = || model_named(path).filter(|(_, name)| !action(name)).map(|(family, _)| Local::Model(family));
    if let Some(local) = listed.or_else(one) {
        return if method == Method::GET || method == Method::HEAD {
            Route::Local(local)
        } else {
            Route::MethodNotAllowed { allow: "GET, HEAD" }
        };
    }
    Route::NotFound { nearest: nearest(method, path) }
}

/// The model that stands behind the path of a list, decoded; its name may hold slashes.
#[must_use]
pub fn model_named(path: &str) -> Option<(Family, String)> {
    let path = path.trim_end_matches('/');
    GETS.iter().find_map(|(list, local)| match local {
        Local::Models(family) => Some((*family, decoded(below(path, list)?.strip_prefix('/')?)?)),
        _ => None,
    })
}

/// Every path, with its method: for the start page and the docs.
pub fn all() -> impl Iterator<Item = (&'static str, &'static str)> {
    let posts = SHOWN.iter().map(|path| ("POST", *path));
    posts
        .chain(stored::SHOWN.iter().copied())
        .chain(GETS.iter().map(|(path, _)| ("GET", *path)))
        .chain([("GET", DOCUMENT)])
}

/// Answers that a provider keeps, under every prefix that `/v1/responses` has.
fn kept(method: &Method, path: &str) -> Option<Route> {
    let short = without_framework(path);
    let (rest, family) = match below(short, "/openai") {
        Some(rest) => (rest, Family::OpenAi),
        None if short.len() < path.len() => (short, Family::OpenAi),
        None => (short, Family::Unified),
    };
    let bare = || below(rest, "/responses").filter(|_| family == Family::OpenAi);
    stored::find(method, below(rest, stored::BASE).or_else(bare)?, family)
}

/// A chat below this path may be written as a Responses request: Cursor asks for some models in that way.
#[must_use]
pub fn takes_input(path: &str) -> bool {
    below(path, "/cursor").is_some()
}

/// A family's own paths below its passthrough prefix are those endpoints, however they are spelled; all others go to
/// the provider as they are, with any method.
fn passthrough(method: &Method, path: &str) -> Option<Route> {
    const ALLOW: &str = "DELETE, GET, HEAD, PATCH, POST, PUT";
    let of_family = PASSTHROUGHS
        .iter()
        .find_map(|(prefix, family, dialect)| Some((below(path, prefix)?, *family, *dialect)));
    let (provider, (rest, family, dialect)) = match of_family {
        Some(found) => (None, found),
        None => {
            let (name, rest) = named_passthrough(path)?;
            (Some(name), (rest, Family::OpenAi, dialect_of(path)))
        }
    };
    // What servers may take the path for: an endpoint that is known is not gone around by a second slash.
    let plain = percent_decode_str(rest).decode_utf8().ok().and_then(|rest| joined(&rest));
    let Some(plain) = plain else { return Some(Route::NotFound { nearest: nearest(method, path) }) };
    let known =
        || joined(rest).and_then(|rest| in_family(&rest, family)).or_else(|| in_family(&plain, family));
    match (method, provider.is_none().then(known).flatten()) {
        (&Method::POST, Some(asked)) => return Some(Route::Provider(asked)),
        (&Method::GET | &Method::HEAD, _) | (_, None) => {}
        _ => return Some(Route::MethodNotAllowed { allow: "GET, HEAD, POST" }),
    }
    if !ALLOW.split(", ").any(|allowed| allowed == method.as_str()) {
        return Some(Route::MethodNotAllowed { allow: ALLOW });
    }
    let endpoint = Endpoint::new(Operation::Passthrough, dialect, family);
    Some(Route::Provider(Asked { raw: Some(rest.to_owned()), provider, ..fixed(endpoint) }))
}

/// The provider and the path there of `/<name>_passthrough/…`.
fn named_passthrough(path: &str) -> Option<(String, &str)> {
    let segment = path.strip_prefix('/')?.split('/').next()?;
    let rest = path.get(segment.len() + 1..).filter(|rest| rest.starts_with('/'))?;
    Some((decoded(segment.strip_suffix("_passthrough")?)?, rest))
}

/// The path with one slash between its segments; `None` when it walks (`..`).
fn joined(path: &str) -> Option<String> {
    let mut joined = String::with_capacity(path.len());
    for segment in path.split(['/', '\\']).filter(|segment| !segment.is_empty()) {
        if matches!(segment, "." | "..") {
            return None;
        }
        joined.push('/');
        joined.push_str(segment);
    }
    Some(joined)
}

fn provider(path: &str) -> Option<Asked> {
    let short = without_framework(path);
    let framework = short.len() < path.len();
    for (prefix, family) in FAMILIES {
        if let Some(rest) = below(short, prefix) {
            return in_family(rest, family);
        }
    }
    // Without a prefix the dialect follows from the path.
    let family = |dialect, own| match dialect {
        Wire::Gemini => Family::Gemini,
        Wire::Cohere if short.starts_with("/v2/") => Family::Cohere,
        Wire::BedrockConverse => Family::Bedrock,
        Wire::Anthropic if framework => Family::Anthropic,
        _ => own,
    };
    let own = if framework { Family::OpenAi } else { Family::Unified };
    let short = if framework { versioned(short) } else { short.into() };
    if let Some((_, operation, dialect)) = POSTS.iter().find(|(known, _, _)| *known == short) {
        return Some(fixed(Endpoint::new(*operation, *dialect, family(*dialect, own))));
    }
    gemini(&short).or_else(|| azure(&short, own)).or_else(|| bedrock(&short).filter(|_| framework))
}

fn in_family(rest: &str, family: Family) -> Option<Asked> {
    let speaks = |dialect: Wire| match family {
        Family::Anthropic => dialect == Wire::Anthropic,
        Family::Cohere => dialect == Wire::Cohere,
        Family::OpenAi => matches!(dialect, Wire::OpenAiChat | Wire::OpenAiResponses),
        Family::Bedrock | Family::Gemini | Family::Unified => false,
    };
    match family {
        Family::Gemini => gemini(rest),
        Family::Bedrock => bedrock(rest),
        _ => {
            let path = if family == Family::OpenAi { versioned(rest) } else { rest.into() };
            let found = POSTS.iter().find(|(known, _, dialect)| *known == path && speaks(*dialect));
            match found {
                Some((_, operation, dialect)) => Some(fixed(Endpoint::new(*operation, *dialect, family))),
                None if family == Family::OpenAi => azure(below(rest, "/openai").unwrap_or(rest), family),
                None => None,
            }
        }
    }
}

fn fixed(endpoint: Endpoint) -> Asked {
    Asked { endpoint, model: None, stream: None, single: false, raw: None, provider: None }
}

/// `/v1beta/models/{model}:{action}`, also under `/v1` and `/v1beta1`; the model may hold slashes. Clients of Vertex AI
/// write a project, a place and a publisher before it.
fn gemini(path: &str) -> Option<Asked> {
    let rest =
        path.strip_prefix("/v1beta1/").or(path.strip_prefix("/v1beta/")).or(path.strip_prefix("/v1/"))?;
    let published = || {
        let (_, name) = rest.split_once("publishers/").filter(|(before, _)| {
            before.is_empty() || (before.starts_with("projects/") && before.ends_with('/'))
        })?;
        name.split_once('/').map(|(_, name)| name).filter(|name| name.starts_with("models/"))
    };
    let rest = published().unwrap_or(rest);
    // `tunedModels/x` stays: it is part of the model's name at the provider.
    let (model, action) = rest.strip_prefix("models/").unwrap_or(rest).rsplit_once(':')?;
    let (operation, stream) = match action {
        "generateContent" => (Operation::Chat, Some(false)),
        "streamGenerateContent" => (Operation::Chat, Some(true)),
        "countTokens" => (Operation::CountTokens, Some(false)),
        "embedContent" | "batchEmbedContents" => (Operation::Embeddings, Some(false)),
        _ => return None,
    };
    let endpoint = Endpoint::new(operation, Wire::Gemini, Family::Gemini);
    let single = action == "embedContent";
    Some(Asked { model: Some(decoded(model)?), stream, single, ..fixed(endpoint) })
}

/// `/model/{id}/{action}`: the id may be an ARN, percent-encoded. `invoke` takes the model's own body: it is
/// taken for Claude's until it was looked at.
fn bedrock(path: &str) -> Option<Asked> {
    if path == "/rerank" {
        return Some(fixed(Endpoint::new(Operation::Rerank, Wire::BedrockConverse, Family::Bedrock)));
    }
    let (model, action) = path.strip_prefix("/model/")?.rsplit_once('/')?;
    let converse = Endpoint::new(Operation::Chat, Wire::BedrockConverse, Family::Bedrock);
    let invoke = Endpoint {
        framing: Framing::EventStreamChunks,
        ..Endpoint::new(Operation::Chat, Wire::Anthropic, Family::Bedrock)
    };
    let (endpoint, stream) = match action {
        "converse" => (converse, false),
        "converse-stream" => (converse, true),
        "count-tokens" => (Endpoint { operation: Operation::CountTokens, ..converse }, false),
        "invoke" => (invoke, false),
        "invoke-with-response-stream" => (invoke, true),
        _ => return None,
    };
    Some(Asked { model: Some(decoded(model)?), stream: Some(stream), ..fixed(endpoint) })
}

/// `/openai/deployments/{deployment}/chat/completions`: as Azure's SDKs call it.
fn azure(path: &str, family: Family) -> Option<Asked> {
    let path = path.strip_prefix("/openai").unwrap_or(path);
    let path = path.strip_prefix("/deployments/")?;
    // The name may hold slashes.
    let (model, operation) = [
        ("/chat/completions", Operation::Chat),
        ("/completions", Operation::Completions),
        ("/embeddings", Operation::Embeddings),
    ]
    .into_iter()
    .find_map(|(end, operation)| Some((path.strip_suffix(end)?, operation)))?;
    let family = if family == Family::Unified { Family::OpenAi } else { family };
    let endpoint = Endpoint::new(operation, Wire::OpenAiChat, family);
    Some(Asked { model: Some(decoded(model)?), ..fixed(endpoint) })
}

/// OpenAI's paths are written with and without their version.
fn versioned(path: &str) -> std::borrow::Cow<'_, str> {
    let bare = BARE.contains(&path);
    if bare { format!("/v1{path}").into() } else { path.into() }
}

fn without_framework(path: &str) -> &str {
    FRAMEWORKS.iter().find_map(|prefix| below(path, prefix)).unwrap_or(path)
}

/// What stands behind a prefix that ends at a slash.
fn below<'p>(path: &'p str, prefix: &str) -> Option<&'p str> {
    path.strip_prefix(prefix).filter(|rest| rest.starts_with('/'))
}

fn decoded(segment: &str) -> Option<String> {
    let text = percent_decode_str(segment).decode_utf8().ok()?;
    (!text.is_empty()).then(|| text.into_owned())
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
mod tests;
