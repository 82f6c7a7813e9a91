//! Errors in and out.

use serde_json::{Value, json};

use super::BedrockConverse;
use super::sdk::messages;
use crate::frame::Frame;
use crate::ir::{Failure, FailureKind};
use crate::wire::bedrock_converse::{error_type, exception, refine};
use crate::wire::{BadResponse, Codec, Dialect, FrameVerdict, Observation};

fn failure(status: u16, kind: FailureKind) -> Failure {
    Failure { status, kind, message: "m".into(), native_type: None, code: None, param: None }
}

#[test]
fn messages_and_statuses_tell_what_went_wrong() {
    use FailureKind::*;
    let cases = [
        (400, "Input is too long for requested model.", ContextLength),
        (
            400,
            "The model returned the following errors: prompt is too long: 2 tokens > 1 maximum",
            ContextLength,
        ),
        (429, "Too many tokens, please wait before trying again.", RateLimited),
        (400, "The provided model identifier is invalid.", ModelNotFound),
        (400, "Malformed input request", InvalidRequest),
        (403, "The security token included in the request is invalid.", Authentication),
        (403, "You don't have access to the model with the specified model ID.", Permission),
        (424, "The system encountered an unexpected error during processing.", Upstream),
        (408, "Timed out.", Timeout),
        (503, "Too many connections.", Overloaded),
    ];
    for (status, message, kind) in cases {
        for body in [json!({ "message": message }), json!({ "Message": message })] {
            let failure = BedrockConverse.decode_failure(status, body.to_string().as_bytes());
            assert_eq!((failure.kind, failure.status, failure.message.as_str()), (kind, status, message));
        }
    }
}

#[test]
fn the_type_decides_wherever_it_stands() {
    let in_body = json!({"__type": "com.amazon#ServiceQuotaExceededException", "message": "m"}).to_string();
    let read = BedrockConverse.decode_failure(400, in_body.as_bytes());
    assert_eq!(
        (read.kind, read.native_type.as_deref()),
        (FailureKind::Quota, Some("ServiceQuotaExceededException"))
    );
    let header = "ThrottlingException:http://internal.amazon.com/coral/";
    assert_eq!(refine(failure(400, FailureKind::InvalidRequest), header).kind, FailureKind::RateLimited);
    assert_eq!(refine(failure(500, FailureKind::Upstream), "").kind, FailureKind::Upstream);
}

#[test]
fn every_kind_comes_back_from_its_type() {
    use FailureKind::*;
    for kind in [
        InvalidRequest,
        Authentication,
        Permission,
        Quota,
        ModelNotFound,
        RateLimited,
        Overloaded,
        Timeout,
        Upstream,
    ] {
        let given = failure(0, kind);
        let again = refine(failure(0, InvalidRequest), error_type(&given));
        assert_eq!(again.kind, kind);
        let body: Value = serde_json::from_slice(&BedrockConverse.encode_failure(&given, "r1")).unwrap();
        assert_eq!(body, json!({"__type": error_type(&given), "message": "m"}));
    }
}

#[test]
fn exceptions_in_a_stream_have_the_names_that_sdks_model() {
    let modelled = [
        "!throttlingException",
        "!serviceUnavailableException",
        "!validationException",
        "!modelStreamErrorException",
        "!internalServerException",
    ];
    use FailureKind::*;
    for kind in [
        InvalidRequest,
        ContextLength,
        ContentPolicy,
        Authentication,
        Permission,
        Quota,
        ModelNotFound,
        NotFound,
        TooLarge,
        RateLimited,
        Overloaded,
        Timeout,
        Upstream,
    ] {
        let written = messages(&BedrockConverse.encode_stream_failure(&failure(500, kind), "r1"));
        assert_eq!(written.len(), 1);
        assert!(modelled.contains(&written[0].0.as_str()) && written[0].1["message"] == "m", "{written:?}");
    }
}

#[test]
fn exceptions_are_read_with_their_own_words() {
    let data =
        json!({"message": "The model broke.", "originalStatusCode": 500, "originalMessage": "shard lost"});
    let data = data.to_string();
    let frame = Frame { raw: b"", event: "modelStreamErrorException", data: data.as_bytes() };
    let read = exception(&frame);
    assert_eq!((read.kind, read.status), (FailureKind::Upstream, 424));
    assert_eq!(read.message, "The model broke.: shard lost");
    let frame = Frame { raw: b"", event: "throttlingException", data: b"{\"message\":\"slow\"}" };
    let mut seen = Observation::default();
    assert_eq!(BedrockConverse.observe_frame(&frame, &mut seen), FrameVerdict::Failure);
    assert_eq!(seen.failure.unwrap().kind, FailureKind::RateLimited);
    let odd = exception(&Frame { raw: b"", event: "brandNewException", data: b"{}" });
    assert_eq!((odd.kind, odd.status), (FailureKind::Upstream, 500));
}

#[test]
fn an_error_under_a_200_is_a_failure() {
    let body = br#"{"__type":"ThrottlingException","message":"slow"}"#;
    for read in [BedrockConverse.decode_response(body).err(), BedrockConverse.observe_response(body).err()] {
        let Some(BadResponse::Failure(failure)) = read else { panic!("{read:?}") };
        assert_eq!((failure.kind, failure.status), (FailureKind::RateLimited, 429));
    }
    assert!(matches!(BedrockConverse.decode_response(b"{}"), Err(BadResponse::WrongShape(_))));
    assert!(matches!(BedrockConverse.decode_response(b"<html>"), Err(BadResponse::NotJson(_))));
    assert!(matches!(BedrockConverse.decode_response(b"{\"output\":{"), Err(BadResponse::NotJson(_))));
}
