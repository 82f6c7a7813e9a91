//! The rows: what a vendor is, and where its facts are listed.
//!
//! A row says where and how to call; what a single model takes is `models.json`'s. Rows are grouped by
//! who runs the models, in alphabetical order within each group.

mod clouds;
mod hosts;
mod labs;
mod local;
mod media;

use std::sync::LazyLock;

use super::model::glob;
use super::{Betas, Fix, Quirks, ReasoningField, UsageStyle};
use crate::Wire;
use crate::count;
use crate::embed;
use crate::frame::Framing;

/// How a provider key travels upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialScheme {
    /// `Authorization: Bearer KEY`.
    Bearer,
    /// The key alone in the named header (`x-api-key`, `api-key`).
    Header(&'static str),
    /// `Authorization: WORD KEY`, where the word is not Bearer (`Token`, `Key`).
    Word(&'static str),
    /// No key is needed; one that is configured goes as Bearer.
    Optional,
    /// An API key as Bearer, or requests signed with AWS credentials (SigV4) for the named service.
    Aws(&'static str),
    /// `api-key: KEY`, or a Bearer token of Microsoft Entra.
    Azure,
    /// A key of IBM Cloud, exchanged for a Bearer token.
    Ibm,
    /// An API key in `x-goog-api-key` (express mode), or a Bearer token of a Google service account.
    Google,
}

/// A further wire that a vendor speaks, or where it serves some of its models.
#[derive(Debug, Clone, Copy)]
pub struct Service {
    pub wire: Wire,
    /// Path of chat below the base URL, as [`ProviderSpec::chat_path`].
    pub path: &'static str,
    /// Path of streams, where it is another one.
    pub stream_path: Option<&'static str>,
    /// Only models whose name holds one of these, or is like one with a `*` for any text; empty: every model.
    pub models: &'static [&'static str],
    /// Only for callers of this very wire: their bytes go through as they are. Others use the main one.
    pub exact: bool,
    /// How streams are framed.
    pub framing: Framing,
    /// Headers every call needs.
    pub headers: &'static [(&'static str, &'static str)],
    pub quirks: Quirks,
    /// Where it counts the tokens of its models' requests.
    pub counting: Option<Counting>,
    /// What becomes of the betas a caller names.
    pub betas: Betas,
    /// Fetches files that its wire names by URL. False: they are sent inline.
    pub takes_urls: bool,
}

impl Service {
    /// Whether it serves `model`.
    #[must_use]
    pub fn serves(&self, model: &str) -> bool {
        let fits = |part: &&str| if part.contains('*') { glob(part, model) } else { model.contains(part) };
        self.models.is_empty() || self.models.iter().any(fits)
    }
}

/// Where tokens are counted before they are spent.
#[derive(Debug, Clone, Copy)]
pub struct Counting {
    pub format: count::Format,
    /// Only models whose name holds one of these; empty: every model.
    pub models: &'static [&'static str],
    /// Below the base URL, as [`ProviderSpec::chat_path`].
    pub path: &'static str,
    pub quirks: Quirks,
}

impl Counting {
    /// Whether it counts for `model`.
    #[must_use]
    pub fn counts(&self, model: &str) -> bool {
        self.models.is_empty() || self.models.iter().any(|part| model.contains(part))
    }
}

/// Reranking that is not where a vendor's other operations are.
#[derive(Debug, Clone, Copy)]
pub struct RerankAt {
    pub path: &'static str,
    /// What stands in the host's name elsewhere, and what stands there instead. A host without the first is
    /// the same for all operations.
    pub host: (&'static str, &'static str),
    /// How the body names a model, with `{region}` and `{model}`.
    pub model: &'static str,
}

/// One vendor.
#[derive(Debug, Clone, Copy)]
pub struct ProviderSpec {
    /// The name in configs and in `provider/model`.
    pub name: &'static str,
    /// Other names it is known by. Never the name under which hosts list a vendor's models
    /// (`qwen/…`, `moonshotai/…`): such a model would be sent to the wrong provider.
    pub aliases: &'static [&'static str],
    /// The name for people.
    pub display_name: &'static str,
    /// Scheme, host and path before the operation's path; `None` when the config must give it.
    pub base_url: Option<&'static str>,
    pub wire: Wire,
    /// Path of chat below the base URL (`/v1/chat/completions`, `/v1/messages`); empty: there is no chat.
    /// `{model}` is the model; `{region}`, `{project}` and `{api_version}` come from the provider key's settings.
    pub chat_path: &'static str,
    /// Path of streamed chat, where it is another one.
    pub stream_path: Option<&'static str>,
    /// Other wires and services of the vendor: the first that fits is taken before the main one.
    pub services: &'static [Service],
    /// Path of embeddings below the base URL, where the vendor has them.
    pub embeddings_path: Option<&'static str>,
    /// Where tokens are counted; `None`: nowhere, they are estimated here.
    pub counting: Option<Counting>,
    /// Reranking, where it has a place of its own.
    pub rerank: Option<RerankAt>,
    /// Their format, where it is not that of the wire.
    pub embeddings_format: Option<embed::Format>,
    /// Path of reranking below the base URL, where the vendor has it.
    pub rerank_path: Option<&'static str>,
    pub credential: CredentialScheme,
    /// Environment variables that may hold a key, first match wins.
    pub env: &'static [&'static str],
    /// Headers every call needs (`anthropic-version`).
    pub headers: &'static [(&'static str, &'static str)],
    pub quirks: Quirks,
    /// As [`Service::betas`], for the main wire.
    pub betas: Betas,
}

impl ProviderSpec {
    /// Whether it can be asked for chat. Its own API is there for those who call it by its own paths.
    #[must_use]
    pub fn has_chat(&self) -> bool {
        !self.chat_path.is_empty()
    }

    /// The quirks of the vendor's service on `wire`; `None` when it speaks it nowhere.
    #[must_use]
    pub fn quirks_on(&self, wire: Wire) -> Option<&Quirks> {
        if self.wire == wire {
            return Some(&self.quirks);
        }
        self.services.iter().find(|service| service.wire == wire).map(|service| &service.quirks)
    }

    /// What becomes of betas at the vendor's service on `wire`.
    #[must_use]
    pub fn betas_on(&self, wire: Wire) -> Betas {
        if self.wire == wire {
            return self.betas;
        }
        let service = self.services.iter().find(|service| service.wire == wire);
        service.map_or(Betas::NOWHERE, |service| service.betas)
    }
}

/// Every preset, sorted by name.
#[must_use]
pub fn all() -> &'static [ProviderSpec] {
    &ROWS
}

/// A current, inexpensive chat model of a preset, to show in an example line. Ages: nothing depends on it.
#[must_use]
pub fn example_model(name: &str) -> Option<&'static str> {
    Some(match name {
        "anthropic" => "claude-haiku-4-5",
        "cerebras" => "llama-3.3-70b",
        "deepseek" => "deepseek-chat",
        "gemini" => "gemini-2.5-flash",
        "groq" => "llama-3.3-70b-versatile",
        "mistral" => "mistral-small-latest",
        "openai" => "gpt-4o-mini",
        "openrouter" => "openai/gpt-4o-mini",
        "perplexity" => "sonar",
        "xai" => "grok-4-fast",
        _ => return None,
    })
}

/// The preset of that name, or the one known by it as an alias.
#[must_use]
pub fn find(name: &str) -> Option<&'static ProviderSpec> {
    match ROWS.binary_search_by(|row| row.name.cmp(name)) {
        Ok(at) => ROWS.get(at),
        Err(_) => ROWS.iter().find(|row| row.aliases.contains(&name)),
    }
}

static ROWS: LazyLock<Vec<ProviderSpec>> = LazyLock::new(|| {
    let mut rows = [clouds::ROWS, labs::ROWS, hosts::ROWS, local::ROWS, media::ROWS].concat();
    rows.sort_by_key(|row| row.name);
    rows
});

const CHAT: &str = "/v1/chat/completions";
const EMBEDDINGS: Option<&str> = Some("/v1/embeddings");
const RERANK: Option<&str> = Some("/v1/rerank");
/// There is no chat.
const NO_CHAT: &str = "";

/// Takes what OpenAI takes.
const EXACT: Quirks = Quirks {
    fixes: &[Fix::DropEmptyTools],
    stream_usage: true,
    reasoning_echo: ReasoningField::None,
    usage: UsageStyle::Wire,
};

/// What holds for nearly every host of open models: the old name of the token limit, no developer role.
const PLAIN: Quirks = Quirks {
    fixes: &[Fix::Rename("max_completion_tokens", "max_tokens"), Fix::DeveloperToSystem, Fix::DropEmptyTools],
    stream_usage: true,
    reasoning_echo: ReasoningField::ReasoningContent,
    usage: UsageStyle::Wire,
};

/// A host of open models without facts of its own.
const HOST: ProviderSpec = ProviderSpec {
    name: "",
    aliases: &[],
    display_name: "",
    base_url: None,
    wire: Wire::OpenAiChat,
    chat_path: CHAT,
    stream_path: None,
    services: &[],
    embeddings_path: None,
    counting: None,
    rerank: None,
    embeddings_format: None,
    rerank_path: None,
    credential: CredentialScheme::Bearer,
    env: &[],
    headers: &[],
    quirks: PLAIN,
    betas: Betas::NOWHERE,
};

/// The Responses API where a vendor serves it beside chat, under the same models.
const RESPONSES: Service = Service {
    wire: Wire::OpenAiResponses,
    path: "/v1/responses",
    stream_path: None,
    models: &[],
    exact: true,
    framing: Framing::Sse,
    headers: &[],
    quirks: Quirks { fixes: &[], ..EXACT },
    counting: None,
    betas: Betas::NOWHERE,
    takes_urls: true,
};

/// OpenAI's models that have no other: they are asked there whoever calls.
const RESPONSES_ONLY: Service = Service {
    models: &[
        "codex-mini*",
        "computer-use-preview*",
        "gpt-5*-codex*",
        "gpt-5*-pro",
        "gpt-5*-pro-20*",
        "o1-pro*",
        "o3-pro*",
        "o*-deep-research*",
    ],
    exact: false,
    ..RESPONSES
};

/// The Messages API where a vendor serves it beside chat.
const MESSAGES: Service = Service {
    wire: Wire::Anthropic,
    path: "/v1/messages",
    headers: &[("anthropic-version", "2023-06-01")],
    betas: Betas::ALL,
    ..RESPONSES
};

/// A counting endpoint that takes what its format has.
const fn counting(format: count::Format, path: &'static str) -> Option<Counting> {
    Some(Counting { format, models: &[], path, quirks: Quirks { fixes: &[], ..EXACT } })
}

/// The given fixes and the removal of what only OpenAI itself has a meaning for.
macro_rules! without_openai_fields {
    ($($fix:expr),* $(,)?) => {
        &[
            $($fix,)*
            $crate::provider::Fix::DropEmptyTools,
            $crate::provider::Fix::Drop("store"),
            $crate::provider::Fix::Drop("verbosity"),
            $crate::provider::Fix::Drop("prompt_cache_options"),
            $crate::provider::Fix::Drop("prompt_cache_retention"),
            $crate::provider::Fix::Drop("safety_identifier"),
            $crate::provider::Fix::Drop("modalities"),
            $crate::provider::Fix::Drop("audio"),
            $crate::provider::Fix::Drop("moderation"),
        ]
    };
}
use without_openai_fields;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn rows_are_sorted_and_names_unique() {
        assert!(all().len() >= 40, "{}", all().len());
        assert!(all().is_sorted_by(|a, b| a.name < b.name));
        let mut seen = HashSet::new();
        for row in all() {
            for name in std::iter::once(&row.name).chain(row.aliases) {
                assert!(seen.insert(*name), "{name} stands twice");
                assert!(!name.is_empty() && !name.contains(['/', ' ']), "{name}");
                assert_eq!(find(name).unwrap().name, row.name);
            }
        }
        assert!(find("nobody").is_none());
    }

    #[test]
    fn urls_and_paths_have_their_form() {
        for row in all() {
            if let Some(url) = row.base_url {
                let rest = url.strip_prefix("https://").or(url.strip_prefix("http://"));
                let host = rest.unwrap_or_else(|| panic!("{url}")).split('/').next().unwrap();
                assert!(host.contains('.') && !url.ends_with('/') && !url.contains(['?', '#', ' ']), "{url}");
                assert!(!row.display_name.is_empty());
            }
            let counts = |counting: Option<Counting>| counting.map(|counting| counting.path);
            let services = row.services.iter();
            let services = services.flat_map(|s| [Some(s.path), s.stream_path, counts(s.counting)]);
            let chat = Some(row.chat_path).filter(|_| row.has_chat());
            let paths = [chat, row.stream_path, row.embeddings_path, row.rerank_path, counts(row.counting)];
            let paths = paths.into_iter();
            for path in paths.chain(services).flatten() {
                assert!(path.starts_with('/') && !path.ends_with('/'), "{}: {path}", row.name);
            }
        }
    }

    #[test]
    fn placeholders_are_those_that_are_filled() {
        const MODEL: &str = "{model}";
        const OF_KEYS: [&str; 3] = ["{region}", "{project}", "{api_version}"];
        let without = |text: &str, known: &[&str]| {
            known.iter().fold(text.to_owned(), |text, known| text.replace(known, ""))
        };
        for row in all() {
            let base = without(row.base_url.unwrap_or_default(), &OF_KEYS);
            assert!(!base.contains(['{', '}']), "{}: {base}", row.name);
            let services = row.services.iter().flat_map(|service| [Some(service.path), service.stream_path]);
            let paths = [Some(row.chat_path), row.stream_path, row.embeddings_path, row.rerank_path];
            for path in paths.into_iter().chain(services).flatten() {
                let rest = without(&without(path, &OF_KEYS), &[MODEL]);
                assert!(!rest.contains(['{', '}']), "{}: {path}", row.name);
            }
        }
    }

    #[test]
    fn headers_are_written_as_they_are_compared() {
        let plain =
            |name: &str| name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        for row in all() {
            let services = row.services.iter().flat_map(|service| service.headers);
            assert!(row.headers.iter().chain(services).all(|(name, _)| plain(name)), "{}", row.name);
            if let CredentialScheme::Header(name) = row.credential {
                assert!(plain(name), "{}: {name}", row.name);
            }
        }
    }

    #[test]
    fn who_has_no_chat_has_no_services_of_it() {
        for row in all().iter().filter(|row| !row.has_chat()) {
            assert!(row.services.is_empty() && row.stream_path.is_none(), "{}", row.name);
            assert!(row.base_url.is_some(), "{}", row.name);
        }
        assert!(!find("elevenlabs").unwrap().has_chat() && find("openai").unwrap().has_chat());
    }

    #[test]
    fn keys_come_from_variables_of_one_provider_only() {
        let mut seen = HashSet::new();
        for variable in all().iter().flat_map(|row| row.env) {
            assert!(seen.insert(variable), "{variable} stands twice");
            assert!(variable.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_'));
        }
        for row in all() {
            let reachable = row.base_url.is_some() && row.credential != CredentialScheme::Optional;
            assert!(!reachable || !row.env.is_empty(), "{} cannot be used without a config", row.name);
        }
    }

    #[test]
    fn fixes_do_not_contradict_each_other() {
        for row in all() {
            let mut dropped = HashSet::new();
            for fix in row.quirks.fixes {
                match fix {
                    Fix::Drop(field) => assert!(dropped.insert(*field), "{}: {field}", row.name),
                    Fix::Rename(from, to) => {
                        assert!(from != to && !dropped.contains(from), "{}: {from}", row.name)
                    }
                    _ => {}
                }
            }
            if dropped.contains("stream_options") {
                assert!(!row.quirks.stream_usage, "{}", row.name);
            }
        }
    }

    #[test]
    fn known_rows_stand_as_the_vendors_document_them() {
        let url = |name: &str| {
            let row = find(name).unwrap();
            format!("{}{}", row.base_url.unwrap_or("-"), row.chat_path)
        };
        assert_eq!(url("openai"), "https://api.openai.com/v1/chat/completions");
        assert_eq!(url("groq"), "https://api.groq.com/openai/v1/chat/completions");
        assert_eq!(url("zai"), "https://api.z.ai/api/paas/v4/chat/completions");
        assert_eq!(
            url("google"),
            "https://generativelanguage.googleapis.com/v1beta/models/{model}:generateContent"
        );
        assert_eq!(url("anthropic"), "https://api.anthropic.com/v1/messages");
        assert_eq!(url("mock"), "-/v1/chat/completions");
        assert_eq!(find("anthropic").unwrap().credential, CredentialScheme::Header("x-api-key"));
        assert_eq!(find("xai").unwrap().quirks.usage, UsageStyle::OutputExcludesReasoning);
    }
}
