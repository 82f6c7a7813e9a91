//! Base URL and paths of a provider.
//!
//! A configured base URL replaces the preset's whole one, as in the original. People write it with and
//! without `/v1`, and sometimes with the operation's own path: what both ends share is merged.

use std::sync::Arc;

use http::Uri;
use http::uri::Scheme;
use translate::Wire;

use super::preset::MOCK;
use super::provider::Entry;
use super::{Compiler, backend};
use crate::config::document::At;
use crate::config::problem::Problem;
use crate::config::snapshot::{BaseUrl, ServicePaths};

/// Nothing listens there: the mock answers before a connection is made.
const MOCK_URL: &str = "http://mock.invalid";

/// What paths and hosts of a cloud hold besides the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// The account's own host, where it has one.
    pub(super) host: Option<(String, String)>,
    pub(super) region: String,
    /// `None`: the calls are not of a project.
    pub(super) project: Option<String>,
    pub(super) api_version: String,
}

impl Default for Place {
    fn default() -> Self {
        Self { host: None, region: "us-east-1".into(), project: None, api_version: "2024-10-21".into() }
    }
}

impl Place {
    fn fill(&self, text: &str) -> String {
        let text = self.azure_v1(text).unwrap_or_else(|| text.to_owned());
        let text = match &self.project {
            Some(project) => text.replace("{project}", project),
            None => text.replace("/projects/{project}/locations/{region}", ""),
        };
        let text = match self.region.as_str() {
            // The global endpoint has a name without a region.
            "global" => text.replace("{region}-", ""),
            // Those of several regions have one of another form.
            "us" | "eu" => text.replace("{region}-aiplatform", "aiplatform.{region}.rep"),
            region if region.starts_with("cn-") => text.replace(".amazonaws.com", ".amazonaws.com.cn"),
            _ if self.project.is_none() => text.replace("{region}-aiplatform", "aiplatform"),
            _ => text,
        };
        text.replace("{region}", &self.region).replace("{api_version}", &self.api_version)
    }

    /// The same place, wherever it was written down.
    pub(super) fn is_at(&self, other: &Self) -> bool {
        let host = |place: &Self| place.host.as_ref().map(|(_, url)| url.clone());
        let bare = |place: &Self| Self { host: None, ..place.clone() };
        host(self) == host(other) && bare(self) == bare(other)
    }

    /// Azure's newer surface has OpenAI's own paths, the deployment as model in the body, and no dates.
    fn azure_v1(&self, text: &str) -> Option<String> {
        let query = match self.api_version.as_str() {
            "v1" => "",
            "latest" | "preview" => "?api-version={api_version}",
            _ => return None,
        };
        let operation = text.strip_prefix("/openai/deployments/{model}")?;
        Some(format!("/openai/v1{}{query}", operation.split_once('?').map_or(operation, |(path, _)| path)))
    }
}

impl Place {
    /// As [`Place::fill`], for names of resources: they begin with the region's partition.
    fn fill_arn(&self, text: &str) -> String {
        let partition = match self.region.split('-').collect::<Vec<_>>().as_slice() {
            ["cn", ..] => "arn:aws-cn:",
            ["us", "gov", ..] => "arn:aws-us-gov:",
            _ => "arn:aws:",
        };
        text.replace("arn:aws:", partition).replace("{region}", &self.region)
    }
}

/// The endpoint of an entry; `None` after a problem. `place` is that of its first key, or of the one asked for.
pub(super) fn compile(compiler: &mut Compiler<'_>, entry: &Entry<'_>, place: &Place) -> Option<BaseUrl> {
    let at = base_text(compiler, entry, place)?;
    compile_at(compiler, entry, place, at)
}

/// As [`compile`], at this base URL, which the field of that pointer has.
pub(super) fn compile_at(
    compiler: &mut Compiler<'_>,
    entry: &Entry<'_>,
    place: &Place,
    (pointer, text): (String, String),
) -> Option<BaseUrl> {
    let base = match Base::parse(&place.fill(&text)) {
        Ok(base) => base,
        Err((message, advice)) => {
            let problem = compiler.document.problem(&pointer, At::Value, message);
            compiler.push(&pointer, if advice.is_empty() { problem } else { problem.suggest(advice) });
            return None;
        }
    };
    let spec = entry.spec;
    let base = base.without_operation(spec.chat_path);
    let chat = override_of(compiler, entry, &base, "chat_completion");
    let embeddings = override_of(compiler, entry, &base, "embedding");
    let count = override_of(compiler, entry, &base, "count_tokens");
    let rerank = override_of(compiler, entry, &base, "rerank");
    check_stream_override(compiler, entry, &base, chat.as_deref());
    let join = |path: &str| Arc::from(base.join(&place.fill(path)));
    let stream_path = spec.stream_path.filter(|_| chat.is_none()).map(join);
    let own_chat = || if spec.has_chat() { base.join(&place.fill(spec.chat_path)) } else { String::new() };
    let chat_path = chat.unwrap_or_else(own_chat);
    // Where chat is elsewhere, what stands beside it is there too.
    let count_default = spec.counting.map(|counting| match spec.wire {
        Wire::Anthropic => with_suffix(&chat_path, "/count_tokens"),
        Wire::Gemini => chat_path.replace(":generateContent", ":countTokens"),
        _ => base.join(&place.fill(counting.path)),
    });
    let rerank_default = spec.rerank.map(|own| own.path).or(spec.rerank_path);
    // A base that goes into the operation's own path: other services stand beside that, not below it.
    let below = base.without_shared(spec.chat_path);
    let beside = |path: &str| Arc::from(below.join(&place.fill(path)));
    let services = spec.services.iter().map(|service| ServicePaths {
        path: beside(service.path),
        stream_path: service.stream_path.map(beside),
        count_tokens_path: service.counting.map(|counting| beside(counting.path)),
    });
    let mut made = BaseUrl {
        services: services.collect(),
        root: Arc::from(below.path.as_str()),
        stream_path,
        rerank_path: rerank.map(Arc::from).or_else(|| rerank_default.map(join)),
        tls: base.tls,
        host: Arc::from(base.host.as_str()),
        port: base.port,
        authority: Arc::from(base.authority.as_str()),
        embeddings_path: embeddings.map(Arc::from).or_else(|| spec.embeddings_path.map(join)),
        count_tokens_path: count.or(count_default).map(Arc::from),
        chat_path: Arc::from(chat_path),
        rerank_at: None,
        rerank_model: spec.rerank.map(|own| Arc::from(place.fill_arn(own.model))),
    };
    made.rerank_at = spec.rerank.and_then(|own| on_other_host(&made, own.host)).map(Arc::new);
    Some(made)
}

/// The same endpoint on a host of another name; `None` when the host does not hold what differs.
fn on_other_host(base: &BaseUrl, (here, there): (&str, &str)) -> Option<BaseUrl> {
    let swapped = |text: &str| Arc::from(text.replacen(here, there, 1));
    let known = base.host.contains(here) && !base.host.contains(there);
    known.then(|| BaseUrl { host: swapped(&base.host), authority: swapped(&base.authority), ..base.clone() })
}

/// The base URL as it is configured, and the field it came from.
fn base_text(compiler: &mut Compiler<'_>, entry: &Entry<'_>, place: &Place) -> Option<(String, String)> {
    if let Some(text) = &entry.raw.network_config.base_url {
        return Some((entry.at("network_config/base_url"), text.clone()));
    }
    if let Some(first) = backend::first(entry).or_else(|| place.host.clone()) {
        return Some(first);
    }
    let paths = entry.raw.custom_provider_config.as_ref().map(|c| &c.request_path_overrides);
    if let Some(url) = paths.and_then(|p| p.chat_completion.as_deref()).filter(|p| p.contains("://")) {
        let pointer = entry.at("custom_provider_config/request_path_overrides/chat_completion");
        let origin = url.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
        return Some((pointer, origin));
    }
    if let Some(text) = entry.spec.base_url {
        return Some((entry.pointer.clone(), text.to_owned()));
    }
    if entry.spec.name == MOCK {
        return Some((entry.pointer.clone(), MOCK_URL.to_owned()));
    }
    let problem = compiler.document.problem(&entry.pointer, At::Name, "the provider's address is not known");
    compiler.push(
        &entry.pointer,
        problem.suggest("set network_config.base_url, for example \"http://localhost:8000\""),
    );
    None
}

/// The full path of an overridden operation.
fn override_of(
    compiler: &mut Compiler<'_>,
    entry: &Entry<'_>,
    base: &Base,
    operation: &str,
) -> Option<String> {
    let paths = &entry.raw.custom_provider_config.as_ref()?.request_path_overrides;
    let (_, text) = paths.set().into_iter().find(|(name, _)| *name == operation)?;
    let pointer = entry.at(&format!("custom_provider_config/request_path_overrides/{operation}"));
    match base.overridden(text) {
        Ok(path) => Some(path),
        Err(message) => {
            compiler.problem(&pointer, At::Value, message);
            None
        }
    }
}

/// Streams use the path of `chat_completion`: another one for them alone cannot be kept.
fn check_stream_override(compiler: &mut Compiler<'_>, entry: &Entry<'_>, base: &Base, chat: Option<&str>) {
    let stream = override_of(compiler, entry, base, "chat_completion_stream");
    let plain = base.join(entry.spec.chat_path);
    if stream.is_some_and(|stream| stream != chat.unwrap_or(&plain)) {
        let pointer = entry.at("custom_provider_config/request_path_overrides/chat_completion_stream");
        let problem =
            compiler.document.problem(&pointer, At::Value, "streams use the path of chat_completion");
        compiler.push(&pointer, Problem::suggest(problem, "set chat_completion to the same path"));
    }
}

/// A base URL in its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Base {
    tls: bool,
    host: String,
    port: u16,
    authority: String,
    /// Without a slash at its end.
    path: String,
    query: Option<String>,
}

impl Base {
    /// Parses a URL with scheme and host. The error is a message and an advice (or none).
    pub(super) fn parse(text: &str) -> Result<Self, (String, String)> {
        let plain = |message: &str| (message.to_owned(), String::new());
        let text = text.trim();
        if text.is_empty() {
            return Err(plain("the URL is empty"));
        }
        if text.contains('#') {
            return Err(plain("a base URL has no fragment (#)"));
        }
        let uri: Uri = text.parse().map_err(|_| plain("this is no URL"))?;
        let tls = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP => false,
            Some(_) => return Err(plain("the scheme must be http or https")),
            None => {
                return Err((
                    "the URL has no scheme".to_owned(),
                    "begin it with https:// or http://".to_owned(),
                ));
            }
        };
        let authority = uri.authority().ok_or_else(|| plain("the URL has no host"))?;
        if authority.as_str().contains('@') {
            let advice = "put the credentials into keys or extra_headers".to_owned();
            return Err(("a base URL must not hold a user name or password".to_owned(), advice));
        }
        let own_port = if tls { 443 } else { 80 };
        let written = authority.as_str().strip_prefix(authority.host()).unwrap_or_default();
        let port = match (written, authority.port_u16()) {
            ("", _) => own_port,
            (_, Some(port)) if port != 0 => port,
            _ => return Err(plain("the port must be a number from 1 to 65535")),
        };
        let host = authority.host();
        let shown = if port == own_port { host.to_owned() } else { format!("{host}:{port}") };
        let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        if bare.is_empty() {
            return Err(plain("the URL has no host"));
        }
        let path = uri.path().trim_end_matches('/').to_owned();
        Ok(Self { tls, host: bare, port, authority: shown, path, query: uri.query().map(ToOwned::to_owned) })
    }

    /// Takes the operation's path off a base URL that ends with it.
    fn without_operation(mut self, operation: &str) -> Self {
        if let Some(rest) = self.path.strip_suffix(operation) {
            // The part both share stays: `/v1/chat/completions` leaves `/v1`-less bases as they were.
            self.path = rest.to_owned();
        }
        self
    }

    /// The base without the segments at its end with which `operation` begins: `/v1`, `/api/paas/v4`.
    fn without_shared(&self, operation: &str) -> Self {
        let segments: Vec<&str> = operation.split('/').filter(|segment| !segment.is_empty()).collect();
        let ends = (1..=segments.len()).rev().map(|n| {
            segments.iter().take(n).fold(String::new(), |path, segment| format!("{path}/{segment}"))
        });
        let kept = ends.into_iter().find_map(|end| self.path.strip_suffix(end.as_str()));
        Self { path: kept.unwrap_or(&self.path).to_owned(), ..self.clone() }
    }

    /// The full path and query of an operation below this base.
    pub(super) fn join(&self, operation: &str) -> String {
        let (path, own_query) = operation.split_once('?').map_or((operation, None), |(p, q)| (p, Some(q)));
        let base: Vec<&str> = self.path.split('/').filter(|s| !s.is_empty()).collect();
        let mut rest: Vec<&str> = path.split('/').filter(|s| !s.is_empty()).collect();
        let shared =
            (1..=base.len().min(rest.len())).rev().find(|&n| base.get(base.len() - n..) == rest.get(..n));
        match (shared, base.last(), rest.first()) {
            (Some(n), _, _) => drop(rest.drain(..n)),
            // `/api/paas/v4` is a version already: the operation's `v1` would make no sense below it.
            (None, Some(last), Some(first)) if is_version(last) && is_version(first) => drop(rest.remove(0)),
            _ => {}
        }
        let mut full = String::new();
        for segment in base.iter().chain(&rest) {
            full.push('/');
            full.push_str(segment);
        }
        let query: Vec<&str> = [self.query.as_deref(), own_query].into_iter().flatten().collect();
        if query.is_empty() { full } else { format!("{full}?{}", query.join("&")) }
    }

    fn overridden(&self, text: &str) -> Result<String, String> {
        let text = text.trim();
        if text.contains("://") {
            let other = Self::parse(text).map_err(|(message, _)| message)?;
            if (other.tls, &other.host, other.port) != (self.tls, &self.host, self.port) {
                return Err("a URL on another host than the provider's is not supported".to_owned());
            }
            let query = other.query.map(|q| format!("?{q}")).unwrap_or_default();
            return Ok(format!("{}{query}", if other.path.is_empty() { "/" } else { &other.path }));
        }
        if !text.starts_with('/') {
            return Err("a path begins with a slash".to_owned());
        }
        let full = self.join(text);
        full.parse::<http::uri::PathAndQuery>().map_err(|_| "this is no path".to_owned())?;
        Ok(full)
    }
}

/// `v1`, `v4`: the form of a version segment without more.
fn is_version(segment: &str) -> bool {
    segment.strip_prefix('v').is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

fn with_suffix(path: &str, suffix: &str) -> String {
    match path.split_once('?') {
        Some((path, query)) => format!("{path}{suffix}?{query}"),
        None => format!("{path}{suffix}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(base: &str, operation: &str) -> String {
        Base::parse(base).unwrap().join(operation)
    }

    #[test]
    fn what_base_and_operation_share_is_not_doubled() {
        let chat = "/v1/chat/completions";
        for (base, expected) in [
            ("http://h", "/v1/chat/completions"),
            ("http://h/", "/v1/chat/completions"),
            ("http://h/v1", "/v1/chat/completions"),
            ("http://h/v1/", "/v1/chat/completions"),
            ("http://h/openai", "/openai/v1/chat/completions"),
            ("http://h/openai/v1", "/openai/v1/chat/completions"),
            ("http://h/v1/chat", "/v1/chat/completions"),
            ("http://h/v1/chat/completions", "/v1/chat/completions"),
            ("http://h/v1/x", "/v1/x/v1/chat/completions"),
            ("http://h/api/paas/v4", "/api/paas/v4/chat/completions"),
            ("http://h/v1beta/openai", "/v1beta/openai/v1/chat/completions"),
            ("http://h/d/x?api-version=1", "/d/x/v1/chat/completions?api-version=1"),
        ] {
            assert_eq!(joined(base, chat), expected, "{base}");
        }
        let whole = Base::parse("http://h/p/v1/chat/completions").unwrap().without_operation(chat);
        assert_eq!(whole.join("/v1/embeddings"), "/p/v1/embeddings");
        assert_eq!(joined("http://h/v1", "/v1/x?a=1"), "/v1/x?a=1");
    }

    #[test]
    fn what_stands_beside_chat_is_not_put_below_it() {
        for (base, operation, path) in [
            ("https://h/api/paas/v4", "/paas/v4/chat/completions", "/api"),
            ("https://h/api", "/paas/v4/chat/completions", "/api"),
            ("https://h/v1", "/v1/chat/completions", ""),
            ("https://h/openai/v1", "/v1/chat/completions", "/openai"),
            ("https://h/v1/x", "/v1/chat/completions", "/v1/x"),
            ("https://h/x", "", "/x"),
        ] {
            assert_eq!(Base::parse(base).unwrap().without_shared(operation).path, path, "{base}");
        }
    }

    #[test]
    fn host_port_and_authority_are_taken_apart() {
        let parts = |url: &str| Base::parse(url).map(|b| (b.tls, b.host, b.port, b.authority)).unwrap();
        assert_eq!(parts("https://a.b"), (true, "a.b".into(), 443, "a.b".into()));
        assert_eq!(parts("https://a.b:443/x"), (true, "a.b".into(), 443, "a.b".into()));
        assert_eq!(parts("http://a.b:8080"), (false, "a.b".into(), 8080, "a.b:8080".into()));
        assert_eq!(parts("http://[::1]:99"), (false, "::1".into(), 99, "[::1]:99".into()));
        assert_eq!(parts("http://[::1]"), (false, "::1".into(), 80, "[::1]".into()));
    }

    #[test]
    fn an_operation_on_another_host_has_everything_else_in_common() {
        let base = |host: &str| {
            let base = Base::parse(&format!("https://{host}/x")).unwrap();
            BaseUrl {
                tls: true,
                host: Arc::from(base.host.as_str()),
                port: base.port,
                authority: Arc::from(base.authority.as_str()),
                root: Arc::from("/x"),
                chat_path: Arc::from("/c"),
                stream_path: None,
                services: Vec::new(),
                embeddings_path: None,
                rerank_path: None,
                rerank_at: None,
                rerank_model: None,
                count_tokens_path: None,
            }
        };
        let other = |host: &str| on_other_host(&base(host), ("a-runtime", "a-agent-runtime"));
        let found = other("a-runtime.eu.example:8443").unwrap();
        assert_eq!(
            (&*found.host, &*found.authority, found.port),
            ("a-agent-runtime.eu.example", "a-agent-runtime.eu.example:8443", 8443)
        );
        assert!(other("localhost").is_none());
    }

    #[test]
    fn resources_are_named_with_their_partition() {
        for (region, arn) in [
            ("us-west-2", "arn:aws:x:us-west-2"),
            ("cn-north-1", "arn:aws-cn:x:cn-north-1"),
            ("us-gov-west-1", "arn:aws-us-gov:x:us-gov-west-1"),
        ] {
            let place = Place { region: region.into(), ..Place::default() };
            assert_eq!(place.fill_arn("arn:aws:x:{region}"), arn);
        }
    }

    #[test]
    fn what_is_no_base_url_is_refused() {
        for url in [
            "",
            "localhost:80",
            "a.b",
            "/x",
            "ftp://a",
            "http://",
            "http://a b",
            "http://u:p@a",
            "http://a#x",
            "http://a:0",
            "http://a:99999",
            "http://a:x",
            "http://[::1",
        ] {
            assert!(Base::parse(url).is_err(), "{url}");
        }
    }
}
