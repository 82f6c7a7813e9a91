//! What is read of a prediction, and of its refusal.

use serde_json::{Value, json};

use super::super::{Prediction, Replicate, Status};
use crate::ir::{FailureKind, FinishReason, Part, Response};
use crate::wire::{BadResponse, Codec};

/// A prediction with all that the vendor's documents show in one.
pub(super) fn full() -> Value {
    json!({
        "id": "gm3qorzdhgbfurvjtvhg6dckhu", "model": "meta/meta-llama-3-70b-instruct", "version": "dp-1",
        "input": {"prompt": "Hi"}, "logs": "x", "output": ["The", " answer", " is", " 42"], "error": null,
        "status": "succeeded", "source": "api", "data_removed": false,
        "created_at": "2024-01-01T00:00:00Z", "started_at": "2024-01-01T00:00:00Z",
        "completed_at": "2024-01-01T00:00:01Z",
        "metrics": {"input_token_count": 11, "output_token_count": 4, "predict_time": 0.5,
            "time_to_first_token": 0.1, "tokens_per_second": 8.0},
        "urls": {"cancel": "https://api.replicate.com/v1/predictions/x/cancel",
            "get": "https://api.replicate.com/v1/predictions/x", "stream": "https://stream.replicate.com/v1/s",
            "web": "https://replicate.com/p/x"},
    })
}

fn read(body: &Value) -> Result<Response, BadResponse> {
    Replicate.decode_response(body.to_string().as_bytes())
}

fn text(response: &Response) -> &str {
    match response.choices[0].parts.as_slice() {
        [Part::Text(text)] => &text.text,
        [] => "",
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_output_is_the_answer_and_the_counts_are_the_usage() {
    let response = read(&full()).unwrap();
    assert_eq!(text(&response), "The answer is 42");
    assert_eq!(response.choices[0].finish.as_ref().unwrap().reason, FinishReason::Stop);
    let usage = response.usage.unwrap();
    assert_eq!((usage.input_uncached, usage.output), (11, 4));
    assert_eq!(response.model, "meta/meta-llama-3-70b-instruct");
}

#[test]
fn every_form_of_output_is_text() {
    for (output, expected) in [
        (json!("plain"), "plain"),
        (json!([]), ""),
        (json!(null), ""),
        (json!({"a": 1}), r#"{"a":1}"#),
        (json!([1, "x"]), r#"[1,"x"]"#),
    ] {
        let mut body = full();
        body["output"] = output;
        assert_eq!(text(&read(&body).unwrap()), expected);
    }
}

#[test]
fn a_prediction_that_failed_is_a_failure() {
    for (status, error, kind) in [
        ("failed", json!("CUDA out of memory"), FailureKind::Upstream),
        ("failed", json!(null), FailureKind::Upstream),
        ("failed", json!("The input was flagged as sensitive (E005)"), FailureKind::ContentPolicy),
        ("canceled", json!(null), FailureKind::Upstream),
        ("aborted", json!(null), FailureKind::Timeout),
    ] {
        let mut body = full();
        (body["status"], body["error"], body["output"]) = (json!(status), error.clone(), json!(null));
        let Err(BadResponse::Failure(failure)) = read(&body) else { panic!("{status} is an answer") };
        assert_eq!(failure.kind, kind, "{status}: {failure:?}");
        assert!(!failure.message.is_empty());
        if let Some(error) = error.as_str() {
            assert_eq!(failure.message, error);
        }
    }
}

#[test]
fn one_that_runs_is_no_answer_yet() {
    for status in ["starting", "processing", "queued"] {
        let mut body = full();
        body["status"] = json!(status);
        assert!(matches!(read(&body), Err(BadResponse::WrongShape(_))), "{status}");
        assert!(!Prediction::read(body.to_string().as_bytes()).unwrap().is_final());
    }
}

#[test]
fn a_prediction_is_followed_by_its_id_and_streamed_by_its_url() {
    let seen = Prediction::read(full().to_string().as_bytes()).unwrap();
    assert_eq!(seen.path.as_deref(), Some("/v1/predictions/gm3qorzdhgbfurvjtvhg6dckhu"));
    assert_eq!(seen.stream.as_deref(), Some("https://stream.replicate.com/v1/s"));
    assert_eq!((seen.status, seen.error), (Status::Succeeded, None));
}

#[test]
fn no_id_leads_to_another_path() {
    for id in [json!("../account"), json!(".."), json!("a/b"), json!("a?b"), json!(""), json!(5), json!(null)]
    {
        let body = json!({"id": id, "status": "starting", "urls": {}});
        assert_eq!(Prediction::read(body.to_string().as_bytes()).unwrap().path, None, "{body}");
    }
}

#[test]
fn what_is_no_prediction_is_told() {
    assert!(matches!(Prediction::read(b"<html>"), Err(BadResponse::NotJson(_))));
    assert!(matches!(Prediction::read(br#"{"detail":"no"}"#), Err(BadResponse::Failure(_))));
    assert!(matches!(Prediction::read(b"{}"), Err(BadResponse::WrongShape(_))));
}

#[test]
fn refusals_have_the_kind_of_their_cause() {
    for (status, body, kind) in [
        (
            401,
            json!({"title": "Unauthenticated", "detail": "no token", "status": 401}),
            FailureKind::Authentication,
        ),
        (402, json!({"title": "Insufficient credit", "detail": "pay", "status": 402}), FailureKind::Quota),
        (
            404,
            json!({"detail": "The requested resource could not be found.", "status": 404}),
            FailureKind::ModelNotFound,
        ),
        (
            422,
            json!({"title": "Input validation failed", "detail": "- input.x: no\n", "status": 422,
            "invalid_fields": [{"type": "t", "field": "input.x", "description": "no"}]}),
            FailureKind::InvalidRequest,
        ),
        (
            422,
            json!({"title": "Invalid version or not permitted", "detail": "d", "status": 422}),
            FailureKind::ModelNotFound,
        ),
        (429, json!({"detail": "Request was throttled.", "status": 429}), FailureKind::RateLimited),
    ] {
        let failure = Replicate.decode_failure(status, body.to_string().as_bytes());
        assert_eq!((failure.kind, failure.status), (kind, status), "{failure:?}");
        assert_eq!(failure.param.as_deref(), body.pointer("/invalid_fields/0/field").and_then(Value::as_str));
    }
}
