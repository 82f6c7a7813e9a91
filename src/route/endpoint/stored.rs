//! The paths of an answer that the Responses API keeps: to look at it, to stop it, to delete it, and to make a long
//! conversation short.
//!
//! An answer stays with the provider that made it, and only it knows the id: such a request goes there as it is.
//! An answer in the background is paid for; without these paths nobody would ever get it.

use http::Method;
use translate::Wire;

use super::{Asked, Endpoint, Family, Operation, Route};

/// The paths for people, with their methods. `{id}` stands for an answer's.
pub const SHOWN: &[(&str, &str)] = &[
    ("POST", "/v1/responses/compact"),
    ("GET", "/v1/responses/{id}"),
    ("DELETE", "/v1/responses/{id}"),
    ("POST", "/v1/responses/{id}/cancel"),
    ("GET", "/v1/responses/{id}/input_items"),
];

/// Where the API begins in the paths that this module gives.
pub const BASE: &str = "/v1/responses";

/// Paths of the API that are no answer's, and that others serve.
const NO_ANSWERS: [&str; 1] = ["input_tokens"];

/// The route of `rest`: what stands behind `/v1/responses`, with its slash. `None` where there is no such path.
#[must_use]
pub fn find(method: &Method, rest: &str, family: Family) -> Option<Route> {
    let inner = rest.strip_prefix('/')?;
    let (id, action) = inner.split_once('/').map_or((inner, None), |(id, action)| (id, Some(action)));
    if id.is_empty() || NO_ANSWERS.contains(&id) {
        return None;
    }
    let allow = match (id, action) {
        ("compact", None) | (_, Some("cancel")) => "POST",
        (_, None) => "DELETE, GET",
        (_, Some("input_items")) => "GET",
        _ => return None,
    };
    if !allow.split(", ").any(|allowed| allowed == method.as_str()) {
        return Some(Route::MethodNotAllowed { allow });
    }
    Some(Route::Provider(Asked {
        provider: None,
        endpoint: Endpoint::new(Operation::Passthrough, Wire::OpenAiResponses, family),
        model: None,
        stream: None,
        single: false,
        raw: Some(format!("{BASE}{rest}")),
    }))
}

/// A path that [`find`] gave, for a provider that has the API at `api` (full path).
#[must_use]
pub fn at(path: &str, api: &str) -> String {
    format!("{api}{}", path.strip_prefix(BASE).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_that_has_the_api_elsewhere_is_asked_there() {
        let path = "/v1/responses/resp_1/cancel";
        assert_eq!(at(path, "/openai/v1/responses"), "/openai/v1/responses/resp_1/cancel");
    }

    #[test]
    fn what_is_no_answer_has_no_route_here() {
        for rest in ["", "/", "//cancel", "/input_tokens", "/input_tokens/x", "/resp_1/more", "/r/cancel/now"]
        {
            assert_eq!(find(&Method::GET, rest, Family::OpenAi), None, "{rest}");
        }
    }
}
