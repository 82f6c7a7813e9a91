//! Error bodies of every shape, and the words we answer with.

use serde_json::Value;

use super::OpenAiChat;
use crate::ir::{Failure, FailureKind};
use crate::wire::{Codec, Dialect, failure_shapes};

fn read(status: u16, body: &str) -> Failure {
    OpenAiChat.decode_failure(status, body.as_bytes())
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn every_shape_gives_its_message_and_kind() {
    use FailureKind as K;
    let cases: &[(u16, &str, K, &str)] = &[
        (
            429,
            r#"{"error":{"message":"Rate limit","type":"requests","param":null,"code":"rate_limit_exceeded"}}"#,
            K::RateLimited,
            "Rate limit",
        ),
        (
            400,
            r#"{"error":{"message":"bad","type":"invalid_request_error","param":"messages","code":400}}"#,
            K::InvalidRequest,
            "bad",
        ),
        (
            529,
            r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"r"}"#,
            K::Overloaded,
            "Overloaded",
        ),
        (
            400,
            r#"[{"error":{"code":400,"message":"API key not valid.","status":"INVALID_ARGUMENT","details":[{"reason":"API_KEY_INVALID"}]}}]"#,
            K::Authentication,
            "API key not valid.",
        ),
        (
            429,
            r#"{"error":{"code":429,"message":"Quota","status":"RESOURCE_EXHAUSTED"}}"#,
            K::RateLimited,
            "Quota",
        ),
        (
            422,
            r#"{"object":"error","message":{"detail":[{"loc":["body","n"],"msg":"too big"}]},"type":"invalid_request_error"}"#,
            K::InvalidRequest,
            "body.n: too big",
        ),
        (
            429,
            r#"{"message":"Tokens per minute","type":"too_many_requests_error","code":"token_quota_exceeded"}"#,
            K::RateLimited,
            "Tokens per minute",
        ),
        (400, r#"{"Message":"denied"}"#, K::InvalidRequest, "denied"),
        (
            503,
            r#"{"code":"The service is busy","error":"The model is at capacity"}"#,
            K::Overloaded,
            "The model is at capacity",
        ),
        (
            404,
            r#"{"error":"model \"x\" not found, try pulling it first"}"#,
            K::ModelNotFound,
            "model \"x\" not found, try pulling it first",
        ),
        (401, r#"{"detail":"Unauthorized"}"#, K::Authentication, "Unauthorized"),
        (
            422,
            r#"{"detail":[{"loc":["body","messages",0],"msg":"field required","type":"missing"}]}"#,
            K::InvalidRequest,
            "body.messages.0: field required",
        ),
        (
            401,
            r#"{"detail":{"status":"invalid_api_key","message":"Invalid API key"}}"#,
            K::Authentication,
            "Invalid API key",
        ),
        (
            402,
            r#"{"title":"Insufficient credit","detail":"Top up","status":402}"#,
            K::Quota,
            "Insufficient credit: Top up",
        ),
        (403, r#"{"error_code":"PERMISSION_DENIED","message":"no"}"#, K::Permission, "no"),
        (
            400,
            r#"{"success":false,"errors":[{"code":7000,"message":"No route"}],"messages":[],"result":null}"#,
            K::InvalidRequest,
            "No route",
        ),
        (
            200,
            r#"{"base_resp":{"status_code":1008,"status_msg":"insufficient balance"}}"#,
            K::Quota,
            "insufficient balance",
        ),
        (
            401,
            r#"{"statusCode":401,"message":"Access denied due to invalid subscription key"}"#,
            K::Authentication,
            "Access denied due to invalid subscription key",
        ),
        (502, "<html><h1>502 Bad Gateway</h1></html>", K::Upstream, "<html><h1>502 Bad Gateway</h1></html>"),
        (504, "upstream timed out", K::Timeout, "upstream timed out"),
        (500, "", K::Upstream, "the provider answered with an empty error body"),
    ];
    for (status, body, kind, message) in cases {
        let failure = read(*status, body);
        assert_eq!((failure.kind, failure.message.as_str()), (*kind, *message), "{body}");
        if *status >= 400 {
            assert_eq!(failure.status, *status, "{body}");
        }
    }
}

#[test]
fn words_tell_more_than_the_status() {
    use FailureKind as K;
    let cases: &[(u16, &str, &str, K)] = &[
        (400, "context_length_exceeded", "x", K::ContextLength),
        (400, "", "This model's maximum context length is 8192 tokens", K::ContextLength),
        (400, "", "prompt is too long: 210000 tokens > 200000 maximum", K::ContextLength),
        (400, "", "exceeds the context window of this model", K::ContextLength),
        (429, "rate_limit_exceeded", "Request too large: context length counted per minute", K::RateLimited),
        (400, "content_policy_violation", "x", K::ContentPolicy),
        (400, "content_filter", "x", K::ContentPolicy),
        (400, "", "Your request was rejected by our safety system", K::ContentPolicy),
        (429, "insufficient_quota", "You exceeded your current quota", K::Quota),
        (401, "invalid_api_key", "x", K::Authentication),
        (404, "model_not_found", "x", K::ModelNotFound),
        (404, "", "The model `gpt-9` does not exist", K::ModelNotFound),
        (404, "", "no such page", K::NotFound),
        (429, "engine_overloaded_error", "x", K::Overloaded),
        (413, "", "x", K::TooLarge),
        (504, "", "x", K::Timeout),
        (500, "", "x", K::Upstream),
    ];
    for (status, code, message, kind) in cases {
        let body = serde_json::json!({"error": {"message": message, "code": code}}).to_string();
        assert_eq!(read(*status, &body).kind, *kind, "{body}");
    }
}

#[test]
fn an_error_under_a_200_is_given_a_status() {
    let status = |body: &str| read(200, body).status;
    assert_eq!(status(r#"{"error":{"message":"x","code":429}}"#), 429);
    assert_eq!(status(r#"{"error":{"message":"x","type":"overloaded_error"}}"#), 503);
    assert_eq!(status(r#"{"error":{"message":"x","type":"invalid_request_error"}}"#), 400);
    assert_eq!(status(r#"{"error":{"message":"x"}}"#), 502);
}

#[test]
fn an_aggregator_passes_its_upstreams_words_on() {
    let body = r#"{"error":{"message":"Provider returned error","code":400,"metadata":{"raw":"prompt is too long: 9 tokens","provider_name":"X"}}}"#;
    let failure = read(400, body);
    assert_eq!(failure.kind, FailureKind::ContextLength);
    assert_eq!(failure.message, "Provider returned error: prompt is too long: 9 tokens");
}

#[test]
fn names_the_provider_gave_are_kept() {
    let failure = read(400, r#"{"error":{"message":"m","type":"t","param":"p","code":"c"}}"#);
    assert_eq!(
        (failure.native_type.as_deref(), failure.code.as_deref(), failure.param.as_deref()),
        (Some("t"), Some("c"), Some("p"))
    );
}

#[test]
fn secrets_are_masked_and_words_that_look_alike_are_not() {
    let body = r#"{"error":{"message":"Incorrect API key provided: sk-proj-abc_DEF123. Got Bearer abc.def-123, a task-force and a risk-averse model"}}"#;
    let message = read(401, body).message;
    assert_eq!(
        message,
        "Incorrect API key provided: sk-*** Got Bearer ***, a task-force and a risk-averse model"
    );
    assert_eq!(read(502, "oops sk-ant-api03-XYZ12345").message, "oops sk-***");
    assert_eq!(failure_shapes::mask("é sk-abcdefgh é"), "é sk-*** é");
}

#[test]
fn long_messages_are_cut_between_characters() {
    let body = serde_json::json!({"error": {"message": "é".repeat(10_000)}}).to_string();
    let message = read(400, &body).message;
    assert_eq!((message.len(), message.chars().all(|c| c == 'é')), (8192, true));
    let html = format!("<html>{}", "é".repeat(5_000));
    assert!(read(502, &html).message.len() <= 1024);
}

#[test]
fn failures_are_answered_in_openais_words() {
    let answer = |kind: FailureKind, code: Option<&str>| {
        let failure = Failure {
            status: 400,
            kind,
            message: "m".into(),
            native_type: None,
            code: code.map(str::to_owned),
            param: Some("p".into()),
        };
        let body: Value = serde_json::from_slice(&OpenAiChat.encode_failure(&failure, "r")).unwrap();
        assert_eq!(
            (body["error"]["message"].as_str(), body["error"]["param"].as_str()),
            (Some("m"), Some("p"))
        );
        let word = |name: &str| body["error"][name].as_str().unwrap_or("null").to_owned();
        (word("type"), word("code"))
    };
    let pair = |kind: &str, code: &str| (kind.to_owned(), code.to_owned());
    assert_eq!(
        answer(FailureKind::ContextLength, None),
        pair("invalid_request_error", "context_length_exceeded")
    );
    assert_eq!(
        answer(FailureKind::RateLimited, Some("tpm")),
        pair("rate_limit_error", "rate_limit_exceeded")
    );
    assert_eq!(answer(FailureKind::InvalidRequest, Some("own")), pair("invalid_request_error", "own"));
    assert_eq!(answer(FailureKind::Upstream, None), pair("server_error", "null"));
    assert_eq!(answer(FailureKind::ModelNotFound, None), pair("invalid_request_error", "model_not_found"));
}

#[test]
fn a_failure_survives_being_written_and_read() {
    use FailureKind as K;
    for (kind, status) in [
        (K::InvalidRequest, 400),
        (K::ContextLength, 400),
        (K::ContentPolicy, 400),
        (K::Authentication, 401),
        (K::Permission, 403),
        (K::Quota, 429),
        (K::ModelNotFound, 404),
        (K::NotFound, 404),
        (K::TooLarge, 413),
        (K::RateLimited, 429),
        (K::Overloaded, 503),
        (K::Timeout, 504),
        (K::Upstream, 502),
    ] {
        let failure =
            Failure { status, kind, message: "m".into(), native_type: None, code: None, param: None };
        let again = OpenAiChat.decode_failure(status, &OpenAiChat.encode_failure(&failure, "r"));
        assert_eq!(again.kind, kind);
    }
}
