//! Which headers cross the gateway, in both directions.
//!
//! Upstream requests are built from nothing: only what is listed here crosses, so a caller's key,
//! cookies or client details never reach a provider by accident. Answers lose what describes the hop.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use pingora_http::RequestHeader;
use translate::Wire;

use crate::config::governance::KeyHash;

/// Caller headers that go upstream.
#[derive(Debug, Clone, Default)]
pub struct Forward {
    /// To any provider.
    always: Vec<(HeaderName, HeaderValue)>,
    /// Only to a provider of the caller's own wire: they mean something there.
    same_wire: Vec<(HeaderName, HeaderValue)>,
}

impl Forward {
    /// Chooses among the caller's headers.
    #[must_use]
    pub fn choose(headers: &HeaderMap, dialect: Wire, own_key: bool) -> Self {
        let mut chosen = Self::default();
        for (name, value) in headers {
            let text = name.as_str();
            // Put in its place by what the service takes: see `betas`.
            if text == BETA {
                continue;
            }
            if let Some(extra) = text.strip_prefix("x-bf-eh-") {
                if let Some(name) = allowed_extra(extra).filter(|_| own_key || !names_account(extra)) {
                    chosen.always.push((name, value.clone()));
                }
            } else if belongs_to(text, dialect) || (own_key && names_account(text)) {
                chosen.same_wire.push((name.clone(), value.clone()));
            }
        }
        chosen
    }

    /// All that a passthrough sends on: what names the hop, the caller or the gateway stays here.
    #[must_use]
    pub fn everything(headers: &HeaderMap, own_key: bool) -> Self {
        let kept = headers.iter().filter(|(name, _)| {
            let text = name.as_str();
            let ours = text.starts_with("x-bf-") || (names_account(text) && !own_key);
            text == "content-type" || text == "accept" || (!ours && !traces(text) && passes_up(text))
        });
        Self {
            always: kept.map(|(name, value)| (name.clone(), value.clone())).collect(),
            same_wire: Vec::new(),
        }
    }

    /// Those that mean something beside a copy too: what makes a request one and the same for its provider would have it
    /// take the copy for the caller's.
    #[must_use]
    pub fn for_a_copy(&self) -> Self {
        let mut kept = self.clone();
        for headers in [&mut kept.always, &mut kept.same_wire] {
            headers.retain(|(name, _)| !name.as_str().contains("idempotency-key"));
        }
        kept
    }

    /// Those that change what a provider answers: `name: value`, without what only marks the request or names the client.
    pub fn asking(&self) -> impl Iterator<Item = String> {
        let marks = |name: &str| {
            name.contains("idempotency-key")
                || matches!(
                    name,
                    "anthropic-version" | "anthropic-dangerous-direct-browser-access" | "x-goog-api-client"
                )
        };
        let all = self.always.iter().chain(&self.same_wire).filter(move |(name, _)| !marks(name.as_str()));
        all.map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())))
    }

    /// The headers for a provider of `wire`, in the order the caller sent them.
    pub fn to(&self, same_wire: bool) -> impl Iterator<Item = &(HeaderName, HeaderValue)> {
        self.always.iter().chain(self.same_wire.iter().filter(move |_| same_wire))
    }
}

/// How callers name betas of Anthropic, and services that take them in a header.
pub const BETA: &str = "anthropic-beta";
const BETAS: [&str; 2] = [BETA, "x-bf-eh-anthropic-beta"];

/// The values of the headers that name betas.
pub fn betas(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    BETAS.iter().flat_map(|name| headers.get_all(*name)).filter_map(|value| value.to_str().ok())
}

/// The caller's own credential for a provider, beside its virtual key or without one: `Authorization: Bearer`, `x-api-key`, `api-key` or `x-goog-api-key`, else `key` in the
/// query, as Google's clients write it.
#[must_use]
pub fn credential(request: &RequestHeader) -> Option<&str> {
    let headers = &request.headers;
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(|text| {
        let (scheme, token) = text.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    let named = ["x-api-key", "api-key", "x-goog-api-key"]
        .iter()
        .filter_map(|name| headers.get(*name).and_then(|value| value.to_str().ok()));
    let queried = || {
        let pairs = request.uri.query().unwrap_or_default().split('&');
        pairs.filter_map(|pair| pair.strip_prefix("key=")).find(|key| !key.contains('%'))
    };
    let provider_key = |key: &&str| !key.is_empty() && !key.starts_with(KeyHash::PREFIX);
    bearer.into_iter().chain(named).chain(queried()).find(provider_key)
}

/// A header of the provider's answer that the caller gets too: request ids, rate limits, whatever the
/// provider adds; but nothing that describes the hop, the body's coding, or the provider's edge.
#[must_use]
pub fn passes_down(name: &str) -> bool {
    !matches!(
        name,
        "connection"
            | "keep-alive"
            | "proxy-connection"
            | "proxy-authenticate"
            | "transfer-encoding"
            | "te"
            | "trailer"
            | "upgrade"
            | "content-length"
            | "content-encoding"
            | "content-type"
            | "date"
            | "server"
            | "via"
            | "set-cookie"
            | "alt-svc"
            | "strict-transport-security"
            | "x-content-type-options"
            | "x-frame-options"
            | "content-security-policy"
            | "access-control-allow-origin"
            | "access-control-expose-headers"
            | "vary"
            | "nel"
            | "report-to"
            | "x-request-id"
    ) && !name.starts_with("cf-")
        && !name.starts_with("x-bf-")
        && !names_account(name)
}

/// A header of the provider's answer that still is true of the answer's translation: rate limits, hints for
/// retries, request ids. Validators, languages or places of the provider's own body are not.
#[must_use]
pub fn survives_translation(name: &str) -> bool {
    let limits = name.contains("ratelimit") || name.contains("rate-limit");
    let id = name.ends_with("request-id") || name.ends_with("requestid");
    limits || id || name.starts_with("retry-after") || name == "x-should-retry"
}

/// Written anew for each attempt: see `trace`.
fn traces(name: &str) -> bool {
    matches!(name, "traceparent" | "tracestate")
}

fn belongs_to(name: &str, dialect: Wire) -> bool {
    match dialect {
        Wire::Cohere | Wire::Replicate => false,
        // Guardrails, tiers and the like of an invoked model.
        Wire::BedrockConverse => name.starts_with("x-amzn-bedrock-"),
        Wire::Gemini => name == "x-goog-api-client",
        Wire::OpenAiChat | Wire::OpenAiResponses => {
            matches!(name, "openai-beta" | "idempotency-key")
        }
        Wire::Anthropic => {
            matches!(name, "anthropic-version" | "anthropic-dangerous-direct-browser-access")
        }
    }
}

/// Headers that name an account at a provider: of use only beside the caller's own key. Beside ours they make the
/// provider refuse a key that is good, and in an answer they tell callers whose key it is.
fn names_account(name: &str) -> bool {
    matches!(
        name,
        "openai-organization" | "openai-project" | "anthropic-organization-id" | "x-goog-user-project"
    )
}

fn passes_up(name: &str) -> bool {
    allowed_extra(name).is_some()
        && !matches!(name, "x-model-provider" | "x-request-id" | "forwarded" | "x-real-ip")
        && !name.starts_with("x-forwarded-")
}

/// `x-bf-eh-<name>`: any header but those that carry credentials or framing.
fn allowed_extra(name: &str) -> Option<HeaderName> {
    let denied = matches!(
        name,
        "proxy-authorization"
            | "authorization"
            | "cookie"
            | "host"
            | "content-length"
            | "content-type"
            | "content-encoding"
            | "connection"
            | "keep-alive"
            | "proxy-connection"
            | "accept"
            | "accept-encoding"
            | "x-mock-options"
            | "transfer-encoding"
            | "expect"
            | "te"
            | "trailer"
            | "upgrade"
            | "x-api-key"
            | "api-key"
            | "x-goog-api-key"
            | "xi-api-key"
            | "x-key"
    ) || name.starts_with("x-bf-")
        // Parts of a signature, which is ours.
        || name.starts_with("x-amz-");
    if denied { None } else { HeaderName::from_bytes(name.as_bytes()).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v))).collect()
    }

    fn names(forward: &Forward, same_wire: bool) -> Vec<&str> {
        forward.to(same_wire).map(|(name, _)| name.as_str()).collect()
    }

    #[test]
    fn credentials_and_client_details_never_cross() {
        let caller = headers(&[
            ("authorization", "Bearer sk-caller"),
            ("x-api-key", "sk-caller"),
            ("api-key", "sk-caller"),
            ("x-goog-api-key", "sk-caller"),
            ("x-bf-eh-xi-api-key", "sk-caller"),
            ("cookie", "session=1"),
            ("user-agent", "claude-cli/1"),
            ("x-stainless-os", "Linux"),
            ("x-bf-vk", "sk-bf-1"),
            ("accept-encoding", "gzip"),
            ("expect", "100-continue"),
            ("x-bf-eh-authorization", "Bearer smuggled"),
            ("x-bf-eh-x-bf-vk", "smuggled"),
            ("x-bf-eh-accept-encoding", "gzip"),
            ("openai-organization", "org-caller"),
            ("x-bf-eh-openai-organization", "org-caller"),
            ("x-bf-eh-openai-project", "proj-caller"),
            ("x-bf-eh-x-goog-user-project", "project"),
            ("x-bf-eh-x-amz-security-token", "token"),
        ]);
        assert!(names(&Forward::choose(&caller, Wire::OpenAiChat, false), true).is_empty());
    }

    #[test]
    fn a_dialects_own_headers_cross_to_its_own_wire_only() {
        let caller = headers(&[
            ("anthropic-version", "2023-06-01"),
            ("traceparent", "00-1-2-01"),
            ("x-bf-eh-x-team", "blue"),
            ("x-bf-eh-x-room", "7"),
        ]);
        let forward = Forward::choose(&caller, Wire::Anthropic, false);
        assert_eq!(names(&forward, true), ["x-team", "x-room", "anthropic-version"]);
        assert_eq!(names(&forward, false), ["x-team", "x-room"]);
    }

    #[test]
    fn betas_are_read_from_every_line_and_put_by_nobody_but_their_place() {
        let mut caller = headers(&[("anthropic-beta", "a,b"), ("x-bf-eh-anthropic-beta", "c")]);
        caller.append("anthropic-beta", HeaderValue::from_static("d"));
        assert_eq!(betas(&caller).collect::<Vec<_>>(), ["a,b", "d", "c"]);
        // What was asked for by force goes where nobody knows betas.
        assert_eq!(names(&Forward::choose(&caller, Wire::Anthropic, false), true), [BETA]);
    }

    #[test]
    fn account_headers_of_callers_got_shared_keys_refused() {
        let caller = headers(&[
            ("openai-organization", "o"),
            ("openai-project", "p"),
            ("x-goog-user-project", "g"),
            ("x-amz-security-token", "t"),
            ("x-bf-eh-openai-organization", "o"),
            ("openai-beta", "b"),
        ]);
        assert_eq!(names(&Forward::everything(&caller, false), true), ["openai-beta"]);
        let own = Forward::everything(&caller, true);
        assert_eq!(
            names(&own, true),
            ["openai-organization", "openai-project", "x-goog-user-project", "openai-beta"]
        );
        let extra = headers(&[("x-bf-eh-openai-organization", "o"), ("x-bf-eh-x-amz-date", "d")]);
        assert!(names(&Forward::choose(&extra, Wire::OpenAiChat, false), true).is_empty());
        assert_eq!(names(&Forward::choose(&extra, Wire::OpenAiChat, true), true), ["openai-organization"]);
    }

    #[test]
    fn headers_of_the_providers_own_body_came_with_its_translation() {
        for name in ["etag", "cache-control", "location", "content-disposition", "www-authenticate"] {
            assert!(!survives_translation(name), "{name}");
        }
        for name in [
            "x-ratelimit-remaining-requests",
            "anthropic-ratelimit-tokens-reset",
            "request-id",
            "apim-request-id",
            "x-amzn-requestid",
            "retry-after",
            "retry-after-ms",
            "x-should-retry",
        ] {
            assert!(survives_translation(name) && passes_down(name), "{name}");
        }
        for name in ["openai-organization", "openai-project", "anthropic-organization-id"] {
            assert!(!passes_down(name), "{name}");
        }
    }

    #[test]
    fn a_key_in_the_query_was_no_credential() {
        for (uri, key) in [("/v1?alt=sse&key=k", Some("k")), ("/v1?monkey=k", None), ("/v1?key=", None)] {
            let request = RequestHeader::build("POST", uri.as_bytes(), None).unwrap();
            assert_eq!(credential(&request), key, "{uri}");
        }
    }

    #[test]
    fn the_credential_is_read_from_any_of_four_headers() {
        for (name, value) in [
            ("authorization", "Bearer k"),
            ("authorization", "bearer k"),
            ("x-api-key", "k"),
            ("api-key", "k"),
            ("x-goog-api-key", "k"),
        ] {
            let mut request = RequestHeader::build("POST", b"/", None).unwrap();
            request.insert_header(name, value).unwrap();
            assert_eq!(credential(&request), Some("k"), "{name}");
        }
        let request = RequestHeader::build("POST", b"/", None).unwrap();
        assert_eq!(credential(&request), None);
    }

    #[test]
    fn rate_limits_and_request_ids_pass_down_and_the_hop_does_not() {
        for name in [
            "x-ratelimit-remaining-requests",
            "anthropic-ratelimit-tokens-reset",
            "request-id",
            "retry-after",
        ] {
            assert!(passes_down(name), "{name}");
        }
        for name in ["content-length", "transfer-encoding", "set-cookie", "cf-ray", "server", "x-bf-provider"]
        {
            assert!(!passes_down(name), "{name}");
        }
    }
}
