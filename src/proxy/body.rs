//! Bounded intake of a request body: its size, its pace, its coding.

use std::time::Instant;

use bytes::{Bytes, BytesMut};
use http::header;
use pingora_proxy::Session;
use translate::ir::FailureKind;

use super::fault::Fault;
use crate::config::snapshot::Client;

/// Reads the whole body.
///
/// # Errors
/// 413 when it is, or says it is, larger than allowed (before anything is read); 408 when it stalls;
/// 415 for a coding we do not take; 400 when the connection ends early.
pub async fn read(session: &mut Session, limits: &Client) -> Result<Bytes, Fault> {
    read_at_most(session, limits, limits.max_request_body_bytes).await
}

/// The same with another bound of its size, where that is nearer.
///
/// # Errors
/// As [`read`].
pub async fn read_at_most(session: &mut Session, limits: &Client, bytes: u64) -> Result<Bytes, Fault> {
    let bytes = bytes.min(limits.max_request_body_bytes);
    let declared = check_declared(session, bytes)?;
    if expects_continue(session) {
        // Pingora ends a connection that was written to before its request was read: not for a 100.
        let keepalive = session.get_keepalive();
        session.write_continue_response().await.map_err(|error| broken(&error))?;
        session.set_keepalive(keepalive);
    }
    session.set_read_timeout(Some(limits.request_read_timeout));
    let deadline = Instant::now() + limits.request_body_timeout;
    let result = tokio::time::timeout_at(deadline.into(), gather(session, bytes, declared)).await;
    // Back to the server's own limit for the next request on this connection.
    session.set_read_timeout(None);
    result.unwrap_or_else(|_| Err(too_slow()))
}

fn check_declared(session: &Session, most: u64) -> Result<usize, Fault> {
    let headers = &session.req_header().headers;
    if let Some(coding) = headers.get(header::CONTENT_ENCODING)
        && coding.as_bytes() != b"identity"
    {
        let coding = String::from_utf8_lossy(coding.as_bytes());
        return Err(Fault::request(
            FailureKind::InvalidRequest,
            415,
            format!("Content-Encoding `{coding}` is not supported: send the body uncompressed"),
        ));
    }
    let declared = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.parse::<u64>().ok())
        .unwrap_or(0);
    if declared > most {
        return Err(too_large(most));
    }
    Ok(usize::try_from(declared).unwrap_or(0))
}

fn expects_continue(session: &Session) -> bool {
    session
        .req_header()
        .headers
        .get(header::EXPECT)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

async fn gather(session: &mut Session, most: u64, declared: usize) -> Result<Bytes, Fault> {
    // Most bodies come in one piece: no copy then.
    let Some(first) = next(session).await? else { return Ok(Bytes::new()) };
    if first.len() >= declared && declared > 0 {
        return Ok(first);
    }
    // A declared length is no promise: memory follows what arrives.
    const RESERVE: usize = 1024 * 1024;
    let mut body = BytesMut::with_capacity(declared.clamp(first.len().saturating_mul(2), RESERVE));
    body.extend_from_slice(&first);
    while let Some(chunk) = next(session).await? {
        let size = body.len().saturating_add(chunk.len());
        if u64::try_from(size).unwrap_or(u64::MAX) > most {
            return Err(too_large(most));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

async fn next(session: &mut Session) -> Result<Option<Bytes>, Fault> {
    session.downstream_session.read_request_body().await.map_err(|error| broken(&error))
}

fn broken(error: &pingora_error::Error) -> Fault {
    if *error.etype() == pingora_error::ErrorType::ReadTimedout {
        return too_slow();
    }
    Fault::request(
        FailureKind::InvalidRequest,
        400,
        format!("the request body ended early or is malformed: {}", error.etype().as_str()),
    )
}

fn too_slow() -> Fault {
    Fault::request(FailureKind::Timeout, 408, "the request body did not arrive in time")
}

fn too_large(most: u64) -> Fault {
    let megabytes = most / (1024 * 1024);
    Fault::request(
        FailureKind::TooLarge,
        413,
        format!("the request body is larger than {megabytes} MB (client.max_request_body_size_mb)"),
    )
}
