//! Which of a provider's services takes a request: its wire, its path, how its streams are framed.
//!
//! A caller whose own wire the provider speaks gets it, so that the bytes go through as they are. Others get
//! the service of the model, and that failing the provider's main one. Tokens that a provider does not count have
//! no target: they are estimated by whoever asked for one.

use std::sync::Arc;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use translate::Wire;
use translate::count;
use translate::frame::Framing;
use translate::provider::{Betas, Quirks, Service};
use translate::wire::replicate;

use crate::config::snapshot::{BaseUrl, Provider};
use crate::route::endpoint::{Endpoint, Family, Operation};

/// Where one attempt goes.
#[derive(Debug, Clone)]
pub struct Target {
    pub wire: Wire,
    /// Full path and query, the model filled in.
    pub path: Arc<str>,
    /// The path is the same for every model.
    pub fixed: bool,
    pub framing: Framing,
    pub quirks: &'static Quirks,
    /// Headers every call needs.
    pub headers: &'static [(&'static str, &'static str)],
    /// The form of a count, where one is asked for.
    pub count: Option<count::Format>,
    /// What becomes of the betas a caller names.
    pub betas: Betas,
    /// Fetches files that its wire names by URL.
    pub takes_urls: bool,
    /// Where it is, when that is not where the provider's other operations are, or one server of several.
    pub elsewhere: Option<Arc<BaseUrl>>,
}

/// What stays as it is in a path segment; a colon too, which Google's paths hold.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// Google's model names may hold a slash, which their paths take as it is.
const PATH: &AsciiSet = &SEGMENT.remove(b'/').remove(b'@');

/// The provider has the operation, and its configuration allows it, streamed or whole as it is asked for.
#[must_use]
pub fn takes(provider: &Provider, endpoint: Endpoint, stream: bool) -> bool {
    let either = |whole: bool, streamed: bool| if stream { streamed } else { whole };
    supports(provider, endpoint)
        && provider.allowed.is_none_or(|a| {
            let chat = either(a.chat_completion, a.chat_completion_stream);
            match endpoint.operation {
                Operation::Chat if endpoint.dialect == Wire::OpenAiResponses => {
                    chat || either(a.responses, a.responses_stream)
                }
                Operation::Chat => chat,
                Operation::Completions => {
                    // Only where chat answers them: see `completions`.
                    let by_chat = provider.wire != Wire::OpenAiChat || provider.mock.is_some();
                    (by_chat && chat) || either(a.text_completion, a.text_completion_stream)
                }
                Operation::Passthrough if endpoint.dialect != Wire::OpenAiResponses => {
                    either(a.passthrough, a.passthrough_stream)
                }
                _ => true,
            }
        })
}

/// The provider has the operation, and its configuration allows it in some form.
#[must_use]
pub fn supports(provider: &Provider, endpoint: Endpoint) -> bool {
    let at = &provider.endpoint;
    let allowed = provider.allowed;
    match endpoint.operation {
        Operation::Chat | Operation::Completions if at.chat_path.is_empty() => false,
        Operation::Chat if endpoint.dialect == Wire::OpenAiResponses => {
            let responses = allowed.is_none_or(|a| a.responses || a.responses_stream);
            responses || allowed.is_none_or(|a| a.chat_completion || a.chat_completion_stream)
        }
        Operation::Chat => allowed.is_none_or(|a| a.chat_completion || a.chat_completion_stream),
        Operation::Completions => {
            let text = allowed.is_none_or(|a| a.text_completion || a.text_completion_stream);
            text || allowed.is_none_or(|a| a.chat_completion || a.chat_completion_stream)
        }
        Operation::Embeddings => {
            let has = at.embeddings_path.is_some() || provider.wire == Wire::BedrockConverse;
            has && allowed.is_none_or(|a| a.embedding)
        }
        Operation::Rerank => at.rerank_path.is_some() && allowed.is_none_or(|a| a.rerank),
        Operation::Invoke => {
            invoked(provider).is_some()
                && allowed.is_none_or(|a| a.chat_completion || a.chat_completion_stream)
        }
        // Answers that were asked for by what the provider does allow.
        Operation::Passthrough if endpoint.dialect == Wire::OpenAiResponses => {
            allowed.is_none_or(|a| a.responses || a.responses_stream)
        }
        Operation::Passthrough => allowed.is_none_or(|a| a.passthrough || a.passthrough_stream),
        // Asked, or else estimated.
        Operation::CountTokens => {
            allowed.is_none_or(|a| a.count_tokens || a.chat_completion || a.chat_completion_stream)
        }
    }
}

/// Which of the services takes models by their own bodies.
fn invoked(provider: &Provider) -> Option<usize> {
    let own = provider.wire == Wire::BedrockConverse;
    let chunks = |service: &Service| service.framing == Framing::EventStreamChunks;
    provider.spec.services.iter().position(chunks).filter(|_| own)
}

/// What can be asked of the provider, for people who asked for something else.
#[must_use]
pub fn offers(provider: &Provider) -> String {
    let asked = |operation| supports(provider, Endpoint::new(operation, provider.wire, Family::Unified));
    let known =
        [(Operation::Chat, "chat"), (Operation::Embeddings, "embeddings"), (Operation::Rerank, "rerank")];
    let mut offers: Vec<String> =
        known.iter().filter(|(operation, _)| asked(*operation)).map(|(_, name)| (*name).to_owned()).collect();
    offers.push(format!("its own API below /{}_passthrough", provider.name));
    offers.join(", ")
}

/// The target of a request for `model` at `at`; `None` where the provider has no such operation.
#[must_use]
pub fn choose(
    provider: &Provider,
    at: &BaseUrl,
    endpoint: Endpoint,
    model: &str,
    stream: bool,
) -> Option<Target> {
    let main = || Target {
        wire: provider.wire,
        path: Arc::default(),
        fixed: false,
        framing: provider.wire.framing(),
        quirks: &provider.spec.quirks,
        headers: provider.spec.headers,
        count: None,
        betas: provider.spec.betas,
        takes_urls: true,
        elsewhere: None,
    };
    let path: &Arc<str> = match endpoint.operation {
        Operation::Chat => return Some(chat(provider, at, endpoint.dialect, model, stream)),
        Operation::Completions => return Some(completions(provider, at, model, stream)),
        Operation::Embeddings => match &at.embeddings_path {
            Some(path) => path,
            None => &Arc::from("/model/{model}/invoke"),
        },
        Operation::Rerank => at.rerank_path.as_ref()?,
        Operation::CountTokens => return counting(provider, at, endpoint.dialect, model),
        Operation::Invoke => {
            let nth = invoked(provider)?;
            let paths = at.services.get(nth)?;
            let path = paths.stream_path.as_ref().filter(|_| stream).unwrap_or(&paths.path);
            return Some(Target { framing: Framing::EventStreamChunks, ..main() }.filled(path, model));
        }
        // The caller names the path.
        Operation::Passthrough => &at.root,
    };
    let elsewhere = at.rerank_at.clone().filter(|_| endpoint.operation == Operation::Rerank);
    Some(Target { fixed: !path.contains(MODEL), elsewhere, ..main() }.filled(path, model))
}

/// Where the provider has chat on `wire` beside its main one: full path and query.
#[must_use]
pub fn path_of<'p>(provider: &Provider, at: &'p BaseUrl, wire: Wire) -> Option<&'p str> {
    let mut services = provider.spec.services.iter().zip(&at.services);
    services.find(|(service, _)| service.wire == wire).map(|(_, paths)| &*paths.path)
}

const MODEL: &str = "{model}";

fn chat(provider: &Provider, at: &BaseUrl, dialect: Wire, model: &str, stream: bool) -> Target {
    let main = provider.wire == dialect;
    // A server that was configured to have chat only is not asked for responses: they are put into chat.
    let responses = provider
        .allowed
        .is_none_or(|allowed| if stream { allowed.responses_stream } else { allowed.responses });
    let named = |service: &Service| !service.models.is_empty();
    let wanted =
        |service: &Service| (!main || named(service)) && (responses || service.wire != Wire::OpenAiResponses);
    let pairs = || provider.spec.services.iter().zip(&at.services).filter(|(service, _)| wanted(service));
    // Claude at a cloud whose main wire is another: the model's own service, whoever asks. What a model's name must be
    // like is asked last: that takes longest.
    let own = pairs().find(|(service, _)| service.wire == dialect && service.serves(model));
    let found = own.or_else(|| pairs().find(|(service, _)| !service.exact && service.serves(model)));
    match found {
        Some((service, paths)) => Target {
            wire: service.wire,
            path: Arc::default(),
            fixed: false,
            framing: service.framing,
            quirks: &service.quirks,
            headers: service.headers,
            count: None,
            betas: service.betas,
            takes_urls: service.takes_urls,
            elsewhere: None,
        }
        .filled(paths.stream_path.as_ref().filter(|_| stream).unwrap_or(&paths.path), model),
        None => {
            let path = at.stream_path.as_ref().filter(|_| stream).unwrap_or(&at.chat_path);
            Target {
                wire: provider.wire,
                path: Arc::default(),
                fixed: !path.contains(MODEL),
                framing: provider.wire.framing(),
                quirks: &provider.spec.quirks,
                headers: provider.spec.headers,
                count: None,
                betas: provider.spec.betas,
                takes_urls: true,
                elsewhere: None,
            }
            .filled(path, model)
        }
    }
}

/// Who counts the tokens of a request for `model`: the service that serves it, else the provider's main one.
fn counting(provider: &Provider, at: &BaseUrl, dialect: Wire, model: &str) -> Option<Target> {
    if provider.allowed.is_some_and(|allowed| !allowed.count_tokens) {
        return None;
    }
    let spec = provider.spec;
    let mut pairs = spec.services.iter().zip(&at.services);
    let own = pairs.find(|(service, _)| {
        let named = !service.models.is_empty() && service.serves(model);
        named && (!service.exact || service.wire == dialect)
    });
    let (counting, path) = match own {
        Some((service, paths)) => (&service.counting, &paths.count_tokens_path),
        None => (&spec.counting, &at.count_tokens_path),
    };
    let service = own.map(|(service, _)| service);
    let path = path.as_ref()?;
    if counting.is_some_and(|counting| !counting.counts(model)) {
        return None;
    }
    let (format, quirks) = match counting {
        Some(counting) => (counting.format, &counting.quirks),
        // A path of the configuration's own.
        None => (count::Format::of(provider.wire)?, &spec.quirks),
    };
    let target = Target {
        wire: format.wire(),
        path: Arc::default(),
        fixed: !path.contains(MODEL),
        framing: Framing::Sse,
        quirks,
        headers: service.map_or(spec.headers, |service| service.headers),
        count: Some(format),
        betas: service.map_or(spec.betas, |service| service.betas).for_counts(),
        takes_urls: service.is_none_or(|service| service.takes_urls),
        elsewhere: None,
    };
    Some(target.filled(path, format.model(model)))
}

/// Hosts of the OpenAI wire have text completions beside chat; of others, chat answers.
fn completions(provider: &Provider, at: &BaseUrl, model: &str, stream: bool) -> Target {
    let mut target = chat(provider, at, Wire::OpenAiChat, model, stream);
    if target.wire == Wire::OpenAiChat && provider.mock.is_none() {
        target.path = target.path.replacen("/chat/completions", "/completions", 1).into();
        target.fixed = false;
    }
    target
}

impl Target {
    fn filled(mut self, path: &Arc<str>, model: &str) -> Self {
        self.path = match self.wire {
            _ if !path.contains(MODEL) => Arc::clone(path),
            Wire::Replicate => fill_whole(path, model).into(),
            Wire::Gemini => fill(path, model.strip_prefix("models/").unwrap_or(model), PATH).into(),
            _ => fill(path, model, SEGMENT).into(),
        };
        self
    }
}

/// The model decides over more than a segment: all that stands below the version.
fn fill_whole(path: &str, model: &str) -> String {
    match path.rsplit_once("/v1/{model}") {
        Some((root, rest)) => format!("{root}{}{rest}", replicate::path(model)),
        None => fill(path, model, SEGMENT),
    }
}

fn fill(path: &str, model: &str, keep: &'static AsciiSet) -> String {
    // A tuned model is no model of the publisher's: its own collection stands in its name.
    let path = if model.starts_with("tunedModels/") {
        path.replace("models/{model}", MODEL)
    } else {
        path.to_owned()
    };
    // Nor is its publisher named twice (`google/gemini-2.5-flash`).
    let own = model
        .split_once('/')
        .filter(|(publisher, _)| path.contains(&format!("/publishers/{publisher}/models/{MODEL}")));
    let model = own.map_or(model, |(_, name)| name);
    path.replace(MODEL, &utf8_percent_encode(model, keep).to_string())
}

#[cfg(test)]
mod tests;
