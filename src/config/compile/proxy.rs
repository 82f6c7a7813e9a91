//! `proxy_config`: the HTTP proxy on the way out, configured or from the environment.

use std::sync::Arc;

use http::Uri;

use super::Compiler;
use super::provider::Entry;
use crate::config::document::At;
use crate::config::environment::Environment;
use crate::config::problem::Problem;
use crate::config::raw::ProxyKind;
use crate::config::snapshot::{BaseUrl, EgressProxy, Secret};

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The proxy for `endpoint`; `None` for a direct way, or after a problem.
pub(super) fn compile(
    compiler: &mut Compiler<'_>,
    entry: &Entry<'_>,
    endpoint: &BaseUrl,
) -> Option<EgressProxy> {
    let raw = &entry.raw.proxy_config;
    match raw.kind {
        ProxyKind::None => None,
        ProxyKind::Socks5 => {
            let pointer = entry.at("proxy_config/type");
            let problem =
                compiler.document.problem(&pointer, At::Value, "SOCKS5 proxies are not supported yet");
            compiler.push(&pointer, Problem::suggest(problem, "use an HTTP proxy (\"type\": \"http\")"));
            None
        }
        ProxyKind::Http => {
            let pointer = entry.at("proxy_config/url");
            let Some(url) = raw.url.as_deref() else {
                compiler.problem(&entry.at("proxy_config"), At::Value, "a proxy of type http needs a url");
                return None;
            };
            let credentials =
                raw.username.as_deref().map(|user| (user, raw.password.as_deref().unwrap_or_default()));
            parsed(compiler, &pointer, url, credentials)
        }
        ProxyKind::Environment => {
            let (name, url) = from_environment(compiler.environment, endpoint)?;
            match parse(&url, None) {
                Ok(proxy) => Some(proxy),
                Err(message) => {
                    compiler.problem(&entry.at("proxy_config/type"), At::Value, format!("{name}: {message}"));
                    None
                }
            }
        }
    }
}

fn parsed(
    compiler: &mut Compiler<'_>,
    pointer: &str,
    url: &str,
    credentials: Option<(&str, &str)>,
) -> Option<EgressProxy> {
    match parse(url, credentials) {
        Ok(proxy) => Some(proxy),
        Err(message) => {
            let problem = compiler.document.problem(pointer, At::Value, message);
            compiler.push(pointer, Problem::suggest(problem, "write http://host:port"));
            None
        }
    }
}

/// `http://[user:password@]host[:port]`, the scheme optional. The message never quotes the URL.
fn parse(url: &str, credentials: Option<(&str, &str)>) -> Result<EgressProxy, String> {
    let url = url.trim();
    let full = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
    let uri: Uri = full.parse().map_err(|_| "this is no proxy address".to_owned())?;
    match uri.scheme_str() {
        Some("http") => {}
        Some("https") => return Err("TLS to the proxy itself is not supported".to_owned()),
        _ => return Err("the proxy's scheme must be http".to_owned()),
    }
    let authority = uri.authority().ok_or("the proxy address has no host")?;
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() {
        return Err("the proxy address has no host".to_owned());
    }
    let written = authority.as_str().rsplit_once('@');
    let own = written.map(|(user, _)| user.split_once(':').unwrap_or((user, "")));
    let authorization = match (credentials, own) {
        (Some((user, password)), _) => Some(basic(user.to_owned(), password)),
        (None, Some((user, password))) => Some(basic(percent_decoded(user), &percent_decoded(password))),
        (None, None) => None,
    };
    let place = written.map_or(authority.as_str(), |(_, place)| place);
    let port = match place.strip_prefix(authority.host()) {
        Some("") => 80,
        _ => authority
            .port_u16()
            .filter(|p| *p != 0)
            .ok_or("the proxy's port must be a number from 1 to 65535")?,
    };
    Ok(EgressProxy { host: Arc::from(host), port, authorization })
}

fn basic(user: String, password: &str) -> Secret {
    Secret::new(format!("Basic {}", base64(format!("{user}:{password}").as_bytes())))
}

fn base64(bytes: &[u8]) -> String {
    let digit = |bits: u32| BASE64.get(bits as usize & 63).map_or('=', |b| char::from(*b));
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0_u32, |w, b| (w << 8) | u32::from(*b)) << (8 * (3 - chunk.len()));
        out.push(digit(word >> 18));
        out.push(digit(word >> 12));
        out.push(if chunk.len() > 1 { digit(word >> 6) } else { '=' });
        out.push(if chunk.len() > 2 { digit(word) } else { '=' });
    }
    out
}

fn percent_decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let code = tail.get(..2).filter(|_| byte == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        match (code.and_then(|hex| u8::from_str_radix(hex, 16).ok()), tail.get(2..)) {
            (Some(decoded), Some(after)) => {
                out.push(decoded);
                rest = after;
            }
            _ => {
                out.push(byte);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Variable and address for the endpoint's scheme, unless `NO_PROXY` or a loopback host says direct.
fn from_environment(environment: &Environment, endpoint: &BaseUrl) -> Option<(&'static str, String)> {
    let names = if endpoint.tls { ["HTTPS_PROXY", "https_proxy"] } else { ["HTTP_PROXY", "http_proxy"] };
    let (name, url) = names.into_iter().find_map(|name| environment.filled(name).map(|url| (name, url)))?;
    let skip = environment.filled("NO_PROXY").or_else(|| environment.filled("no_proxy")).unwrap_or_default();
    let direct = is_loopback(&endpoint.host) || skip.split(',').any(|rule| excludes(rule.trim(), endpoint));
    (!direct).then_some((name, url))
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// `*`, `host`, `.domain`, `domain` (its subdomains too), each with an optional `:port`.
fn excludes(rule: &str, endpoint: &BaseUrl) -> bool {
    if rule == "*" {
        return true;
    }
    let (rule, port) = match rule.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') => (host, port.parse::<u16>().ok()),
        _ => (rule, None),
    };
    if rule.is_empty() || port.is_some_and(|port| port != endpoint.port) {
        return false;
    }
    let host = endpoint.host.to_lowercase();
    let rule = rule.trim_start_matches("*").trim_start_matches('.').to_lowercase();
    host == rule || host.strip_suffix(&rule).is_some_and(|before| !rule.is_empty() && before.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(tls: bool, host: &str, port: u16) -> BaseUrl {
        let empty: Arc<str> = Arc::from("");
        let (embeddings_path, count_tokens_path, rerank_path) = (None, None, None);
        let host = Arc::from(host);
        BaseUrl {
            tls,
            host,
            port,
            authority: empty.clone(),
            chat_path: empty,
            root: Arc::from(""),
            stream_path: None,
            services: Vec::new(),
            embeddings_path,
            rerank_path,
            rerank_at: None,
            rerank_model: None,
            count_tokens_path,
        }
    }

    #[test]
    fn base64_is_the_standard_one() {
        for (plain, coded) in
            [("", ""), ("a", "YQ=="), ("ab", "YWI="), ("abc", "YWJj"), ("user:p~ÿ", "dXNlcjpwfsO/")]
        {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }

    #[test]
    fn an_address_may_lack_scheme_and_port_and_may_hold_credentials() {
        let plain = parse("proxy.local", None).unwrap();
        assert_eq!((&*plain.host, plain.port, plain.authorization), ("proxy.local", 80, None));
        let own = parse("http://us%40er:p%3Aw@[::1]:3128", None).unwrap();
        assert_eq!((&*own.host, own.port), ("::1", 3128));
        assert_eq!(own.authorization.unwrap().expose(), format!("Basic {}", base64(b"us@er:p:w")));
        let given = parse("http://a:b@p:1", Some(("u", "p"))).unwrap();
        assert_eq!(given.authorization.unwrap().expose(), "Basic dTpw");
        for bad in ["", "https://p:1", "socks5://p:1", "http://p:0", "http://p:x", "http://", "a b"] {
            assert!(parse(bad, None).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_environment_decides_by_scheme_and_no_proxy() {
        let env = Environment::fixed([
            ("HTTPS_PROXY", "http://s:1"),
            ("http_proxy", "http://p:2"),
            ("NO_PROXY", "internal, .corp.example,only.port:8443"),
        ]);
        let way =
            |tls, host: &str, port| from_environment(&env, &endpoint(tls, host, port)).map(|(name, _)| name);
        assert_eq!(way(true, "api.example.com", 443), Some("HTTPS_PROXY"));
        assert_eq!(way(false, "api.example.com", 80), Some("http_proxy"));
        for host in
            ["internal", "a.internal", "corp.example", "x.corp.example", "localhost", "127.0.0.1", "::1"]
        {
            assert_eq!(way(true, host, 443), None, "{host}");
        }
        assert_eq!(way(true, "xinternal", 443), Some("HTTPS_PROXY"));
        assert_eq!(way(true, "only.port", 8443), None);
        assert_eq!(way(true, "only.port", 443), Some("HTTPS_PROXY"));
    }
}
