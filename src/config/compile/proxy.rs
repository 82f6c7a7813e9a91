//! `proxy_config`: the HTTP or SOCKS5 proxy on the way out, configured or from the environment.

use std::sync::Arc;

use http::Uri;

use super::Compiler;
use super::provider::Entry;
use crate::config::document::At;
use crate::config::environment::Environment;
use crate::config::problem::Problem;
use crate::config::raw::ProxyKind;
use crate::config::snapshot::{BaseUrl, EgressProxy, Secret, Tunnel};

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
        ProxyKind::Http => configured(compiler, entry, "http"),
        ProxyKind::Socks5 => configured(compiler, entry, "socks5"),
        ProxyKind::Environment => {
            let (name, url) = from_environment(compiler.environment, endpoint)?;
            match parse(&url, "http", None) {
                Ok(proxy) => Some(proxy),
                Err(message) => {
                    compiler.problem(&entry.at("proxy_config/type"), At::Value, format!("{name}: {message}"));
                    None
                }
            }
        }
    }
}

/// A proxy of this kind, as it is configured.
fn configured(compiler: &mut Compiler<'_>, entry: &Entry<'_>, kind: &str) -> Option<EgressProxy> {
    let raw = &entry.raw.proxy_config;
    let Some(url) = raw.url.as_deref() else {
        let message = format!("a proxy of type {kind} needs a url");
        compiler.problem(&entry.at("proxy_config"), At::Value, message);
        return None;
    };
    let credentials = raw.username.as_deref().map(|user| (user, raw.password.as_deref().unwrap_or_default()));
    let found = parse(url, kind, credentials).and_then(|proxy| {
        let socks = matches!(proxy.tunnel, Tunnel::Socks5 { .. });
        let fits = socks == (kind == "socks5");
        if fits { Ok(proxy) } else { Err(format!("the proxy's scheme must be {kind}")) }
    });
    match found {
        Ok(proxy) => Some(proxy),
        Err(message) => {
            let pointer = entry.at("proxy_config/url");
            let problem = compiler.document.problem(&pointer, At::Value, message);
            compiler.push(&pointer, Problem::suggest(problem, format!("write {kind}://host:port")));
            None
        }
    }
}

/// `http://[user:password@]host[:port]` or `socks5://…`; without a scheme it is `plain`. The message never quotes the
/// URL.
fn parse(url: &str, plain: &str, credentials: Option<(&str, &str)>) -> Result<EgressProxy, String> {
    let url = url.trim();
    let full = if url.contains("://") { url.to_owned() } else { format!("{plain}://{url}") };
    let uri: Uri = full.parse().map_err(|_| "this is no proxy address".to_owned())?;
    let socks = match uri.scheme_str() {
        Some("http") => false,
        Some("socks5" | "socks5h") => true,
        Some("https") => return Err("TLS to the proxy itself is not supported".to_owned()),
        _ => return Err("the proxy's scheme must be http or socks5".to_owned()),
    };
    let authority = uri.authority().ok_or("the proxy address has no host")?;
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() {
        return Err("the proxy address has no host".to_owned());
    }
    let written = authority.as_str().rsplit_once('@');
    let own = written.map(|(user, _)| user.split_once(':').unwrap_or((user, "")));
    let user = match (credentials, own) {
        (Some((user, password)), _) => Some((user.to_owned(), password.to_owned())),
        (None, Some((user, password))) => Some((percent_decoded(user), percent_decoded(password))),
        (None, None) => None,
    };
    let place = written.map_or(authority.as_str(), |(_, place)| place);
    let port = match place.strip_prefix(authority.host()) {
        Some("") if socks => 1080,
        Some("") => 80,
        _ => authority
            .port_u16()
            .filter(|p| *p != 0)
            .ok_or("the proxy's port must be a number from 1 to 65535")?,
    };
    let tunnel = if socks {
        Tunnel::Socks5 { user: user.map(short_enough).transpose()? }
    } else {
        Tunnel::Http { authorization: user.map(|(user, password)| basic(user, &password)) }
    };
    Ok(EgressProxy { host: Arc::from(host), port, tunnel })
}

/// SOCKS5 counts their bytes in one.
fn short_enough((user, password): (String, String)) -> Result<(String, Secret), String> {
    match [user.len(), password.len()].iter().all(|length| (1..=255).contains(length)) {
        true => Ok((user, Secret::new(password))),
        false => Err("SOCKS5 takes a user name and a password of 1 to 255 bytes".to_owned()),
    }
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

    fn http(url: &str, credentials: Option<(&str, &str)>) -> (String, u16, Option<String>) {
        let proxy = parse(url, "http", credentials).unwrap();
        let Tunnel::Http { authorization } = proxy.tunnel else { panic!("{url} is SOCKS5") };
        (proxy.host.to_string(), proxy.port, authorization.map(|secret| secret.expose().to_owned()))
    }

    #[test]
    fn an_address_may_lack_scheme_and_port_and_may_hold_credentials() {
        assert_eq!(http("proxy.local", None), ("proxy.local".into(), 80, None));
        let basic = format!("Basic {}", base64(b"us@er:p:w"));
        assert_eq!(http("http://us%40er:p%3Aw@[::1]:3128", None), ("::1".into(), 3128, Some(basic)));
        assert_eq!(http("http://a:b@p:1", Some(("u", "p"))).2.unwrap(), "Basic dTpw");
        for bad in ["", "https://p:1", "ftp://p:1", "http://p:0", "http://p:x", "http://", "a b"] {
            assert!(parse(bad, "http", None).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_socks_proxy_has_a_port_and_a_user_of_its_own() {
        let socks = |url: &str| {
            let proxy = parse(url, "socks5", None)?;
            let Tunnel::Socks5 { user } = proxy.tunnel else { panic!("{url} is no SOCKS5") };
            let user = user.map(|(name, password)| format!("{name}/{}", password.expose()));
            Ok::<_, String>((proxy.host.to_string(), proxy.port, user))
        };
        assert_eq!(socks("gate").unwrap(), ("gate".into(), 1080, None));
        assert_eq!(socks("socks5://u:p%20w@gate:9").unwrap(), ("gate".into(), 9, Some("u/p w".into())));
        assert_eq!(socks("socks5h://gate").unwrap().1, 1080);
        assert!(socks("socks5://u@gate").is_err(), "an empty password");
        assert!(socks(&format!("socks5://{}:p@gate", "u".repeat(256))).is_err());
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
