//! The mock's side of the socket.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};
use pingora_core::protocols::http::ServerSession;
use pingora_core::protocols::l4::stream::Stream;
use pingora_error::Result;
use pingora_http::ResponseHeader;
use serde_json::json;
use tokio::net::TcpListener;

use super::answer::Asked;
use crate::config::snapshot::Mock;

const DEFAULTS: Mock = Mock { latency: Duration::from_millis(20), tokens_per_second: 50.0, error_rate: 0.0 };

/// Serves until the process ends.
pub async fn accept(listener: std::net::TcpListener) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            log::error!("the mock provider could not listen: {error}");
            return;
        }
    };
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let _ = stream.set_nodelay(true);
                tokio::spawn(connection(Stream::from(stream)));
            }
            Err(error) => {
                log::warn!("the mock provider could not accept: {error}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// All requests of one connection.
async fn connection(stream: Stream) {
    let mut stream = Box::new(stream) as pingora_core::protocols::Stream;
    loop {
        let mut session = ServerSession::new_http1(stream);
        if !matches!(session.read_request().await, Ok(true)) {
            return;
        }
        session.set_keepalive(Some(60));
        if let Err(error) = request(&mut session).await {
            log::debug!("mock: {error}");
            return;
        }
        match session.finish().await {
            Ok(Some(reusable)) => stream = reusable.into_parts().0,
            _ => return,
        }
    }
}

async fn request(session: &mut ServerSession) -> Result<()> {
    let mut body = BytesMut::new();
    while let Some(chunk) = session.read_request_body().await? {
        body.extend_from_slice(&chunk);
    }
    let configured = session
        .get_header(super::OPTIONS_HEADER)
        .and_then(|value| value.to_str().ok())
        .map_or(DEFAULTS, |text| super::read_options(text, DEFAULTS));
    let asked = match Asked::read(&body, configured) {
        Ok(asked) => asked,
        Err((status, message)) => return refuse(session, status, &message).await,
    };
    tokio::time::sleep(asked.options.latency).await;
    if fastrand::f64() < asked.options.error_rate {
        return refuse(session, 500, "the mock was asked to fail (error_rate)").await;
    }
    let id = format!("chatcmpl-mock-{:016x}", fastrand::u64(..));
    let created = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    if asked.stream {
        stream(session, &asked, &id, created).await
    } else {
        whole(session, 200, asked.whole(&id, created).to_string().into()).await
    }
}

async fn stream(session: &mut ServerSession, asked: &Asked, id: &str, created: u64) -> Result<()> {
    let mut header = ResponseHeader::build(200, Some(2))?;
    header.insert_header("content-type", "text/event-stream")?;
    header.insert_header("transfer-encoding", "chunked")?;
    session.write_response_header(Box::new(header)).await?;
    let pace = Duration::try_from_secs_f64(1.0 / asked.options.tokens_per_second).unwrap_or_default();
    for chunk in asked.chunks(id, created) {
        session.write_response_body(format!("data: {chunk}\n\n").into(), false).await?;
        tokio::time::sleep(pace).await;
    }
    session.write_response_body(Bytes::from_static(b"data: [DONE]\n\n"), true).await
}

async fn refuse(session: &mut ServerSession, status: u16, message: &str) -> Result<()> {
    let kind = if status < 500 { "invalid_request_error" } else { "server_error" };
    let body = json!({ "error": { "message": message, "type": kind, "param": null, "code": null } });
    whole(session, status, body.to_string().into()).await
}

async fn whole(session: &mut ServerSession, status: u16, body: Bytes) -> Result<()> {
    let mut header = ResponseHeader::build(status, Some(2))?;
    header.insert_header("content-type", "application/json")?;
    header.insert_header("content-length", body.len())?;
    session.write_response_header(Box::new(header)).await?;
    session.write_response_body(body, true).await
}
