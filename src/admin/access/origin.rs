//! What browsers may do: pages of other origins, and what stands above every answer.
//!
//! A browser sends cookies (and passwords it was asked for) by itself, whoever wrote the page. So what changes something and
//! comes from a page of another origin is refused, unless that origin is listed; and programs in pages may ask with a
//! token where any origin may.

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_METHOD, AUTHORIZATION, CONTENT_SECURITY_POLICY, COOKIE, HOST, ORIGIN,
    REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, VARY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use url::Url;

use crate::config::access::{Access, Door};

/// What a page sends with each change, beside its cookie.
pub const CSRF: &str = "x-csrf-token";

/// Of which origin the page is that asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    /// No page, or one of ours.
    Own,
    /// Of another origin, which may read the answer: also with cookies, or only without.
    Foreign { with_cookies: bool },
    /// Of another origin, which may not.
    Stranger,
}

/// Of which origin the page is.
#[must_use]
pub fn page(head: &Parts, settings: &Access) -> Page {
    let Some(origin) = head.headers.get(ORIGIN) else { return Page::Own };
    let url = origin.to_str().ok().and_then(|text| Url::parse(text).ok());
    // `null`, of a sandboxed page or a file, is nobody's.
    let Some(url) = url else { return Page::Stranger };
    if is_own(&url, head) {
        return Page::Own;
    }
    let text = url.origin().ascii_serialization();
    match settings.origins.listed.contains(&text) {
        true => Page::Foreign { with_cookies: true },
        false if settings.origins.any => Page::Foreign { with_cookies: false },
        false => Page::Stranger,
    }
}

/// The request may not be answered: it changes something with what the browser added by itself.
#[must_use]
pub fn is_forged(head: &Parts, page: Page, door: Door) -> bool {
    let ambient = head.headers.contains_key(COOKIE)
        || door != Door::Closed
        || head.headers.get(AUTHORIZATION).is_some_and(|value| !starts_with(value, b"bearer "));
    let trusted = match page {
        Page::Own | Page::Foreign { with_cookies: true } => true,
        Page::Foreign { with_cookies: false } => !ambient,
        Page::Stranger => false,
    };
    !trusted && !head.method.is_safe()
}

/// A question whether a page may ask.
#[must_use]
pub fn is_preflight(head: &Parts) -> bool {
    head.method == Method::OPTIONS && head.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// Says to a page of another origin what it may.
pub fn allow(headers: &mut HeaderMap, head: &Parts, page: Page) {
    headers.append(VARY, HeaderValue::from_static("Origin"));
    let (Page::Foreign { with_cookies }, Some(origin)) = (page, head.headers.get(ORIGIN)) else { return };
    if with_cookies {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    } else {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    }
    headers
        .insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("etag, retry-after, x-request-id"));
}

/// The answer to a preflight, beside [`allow`].
pub fn preflight(headers: &mut HeaderMap, settings: &Access, page: Page) {
    if !matches!(page, Page::Foreign { .. }) {
        return;
    }
    let methods = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"));
    let mut names = format!("authorization, content-type, if-match, {CSRF}");
    for name in &settings.headers {
        names.push_str(", ");
        names.push_str(name);
    }
    if let Ok(names) = HeaderValue::from_str(&names) {
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, names);
    }
}

/// What stands above every answer of the administration.
pub fn secure(headers: &mut HeaderMap, over_tls: bool) {
    // Answers are for programs: a browser that shows one must run nothing of it.
    let lines: [(HeaderName, &'static str); 5] = [
        (
            CONTENT_SECURITY_POLICY,
            "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
        ),
        (X_FRAME_OPTIONS, "DENY"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
    ];
    for (name, value) in lines {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if over_tls {
        headers.insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
}

/// The request's `Host` is a name of this machine only: no name server of a stranger leads here.
#[must_use]
pub fn names_this_machine(head: &Parts) -> bool {
    let Some(url) = host(head).and_then(|host| Url::parse(&format!("http://{host}")).ok()) else {
        return false;
    };
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// The page came from the address that it asks. TLS may have ended before us: the scheme says nothing.
fn is_own(origin: &Url, head: &Parts) -> bool {
    let scheme = origin.scheme();
    let asked = host(head).and_then(|host| Url::parse(&format!("{scheme}://{host}")).ok());
    asked.is_some_and(|asked| {
        asked.host() == origin.host() && asked.port_or_known_default() == origin.port_or_known_default()
    })
}

fn host(head: &Parts) -> Option<&str> {
    let of_uri = head.uri.authority().map(http::uri::Authority::as_str);
    of_uri.or_else(|| head.headers.get(HOST).and_then(|host| host.to_str().ok()))
}

fn starts_with(value: &HeaderValue, prefix: &[u8]) -> bool {
    value.as_bytes().get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::access::Origins;
    use http::Request;

    fn head(method: &str, lines: &[(&str, &str)]) -> Parts {
        let request = Request::builder().method(method).uri("/api/x");
        let request = lines.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        request.body(()).unwrap().into_parts().0
    }

    fn settings(any: bool, listed: &[&str]) -> Access {
        let listed = listed.iter().map(|&text| text.to_owned()).collect();
        Access { origins: Origins { any, listed }, ..Access::default() }
    }

    #[test]
    fn pages_of_the_address_they_ask_are_ours_whatever_ends_tls() {
        for (host, origin, own) in [
            ("gw.example.com", "https://gw.example.com", true),
            ("gw.example.com:8080", "http://gw.example.com:8080", true),
            ("GW.example.com", "http://gw.example.com", true),
            ("gw.example.com", "https://gw.example.com:8443", false),
            ("gw.example.com", "https://evil.example.com", false),
            ("gw.example.com", "null", false),
            ("localhost:8080", "http://localhost:3000", false),
        ] {
            let head = head("POST", &[("host", host), ("origin", origin)]);
            assert_eq!(page(&head, &settings(false, &[])) == Page::Own, own, "{host} {origin}");
        }
        assert_eq!(
            page(&head("POST", &[("host", "gw")]), &settings(false, &[])),
            Page::Own,
            "no page at all"
        );
    }

    #[test]
    fn a_strangers_page_changes_nothing_with_what_the_browser_adds() {
        let foreign = ("origin", "https://evil.example");
        let cookie = ("cookie", "bifrost_session=bfs_1");
        let (bearer, basic) = (("authorization", "Bearer t"), ("authorization", "Basic dTpw"));
        let forged = |method: &str, lines: &[(&str, &str)], settings: &Access| {
            let head = head(method, lines);
            is_forged(&head, page(&head, settings), settings.door)
        };
        let (none, any) = (settings(false, &[]), settings(true, &[]));
        let listed = settings(false, &["https://evil.example"]);
        assert!(forged("POST", &[foreign, bearer], &none) && forged("POST", &[foreign, cookie], &any));
        assert!(
            forged("POST", &[foreign, basic], &any) && forged("DELETE", &[foreign, cookie, bearer], &any)
        );
        assert!(!forged("POST", &[foreign, bearer], &any) && !forged("POST", &[foreign, cookie], &listed));
        assert!(!forged("GET", &[foreign, cookie], &none) && !forged("POST", &[cookie], &none));
        let open = Access { door: Door::OpenToThisMachine, ..settings(true, &[]) };
        assert!(forged("POST", &[foreign], &open), "no cookie is needed where nobody is asked");
    }

    #[test]
    fn only_listed_origins_read_answers_with_cookies() {
        let head = head("GET", &[("origin", "https://ui.example")]);
        let answer = |settings: &Access| {
            let mut headers = HeaderMap::new();
            allow(&mut headers, &head, page(&head, settings));
            let text = |name| headers.get(name).map(|value: &HeaderValue| value.to_str().unwrap().to_owned());
            (text(ACCESS_CONTROL_ALLOW_ORIGIN), text(ACCESS_CONTROL_ALLOW_CREDENTIALS))
        };
        assert_eq!(answer(&settings(true, &[])), (Some("*".into()), None));
        let listed = answer(&settings(true, &["https://ui.example"]));
        assert_eq!(listed, (Some("https://ui.example".into()), Some("true".into())));
        assert_eq!(answer(&settings(false, &["https://other.example"])), (None, None));
    }

    #[test]
    fn a_name_that_somebody_else_points_here_is_not_this_machine() {
        for (host, ours) in [
            ("localhost:8080", true),
            ("127.0.0.1", true),
            ("[::1]:8080", true),
            ("a.localhost", true),
            ("evil.example", false),
            ("127.0.0.1.evil.example", false),
            ("10.0.0.1", false),
            ("", false),
        ] {
            assert_eq!(names_this_machine(&head("GET", &[("host", host)])), ours, "{host}");
        }
    }
}
