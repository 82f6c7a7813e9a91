//! Requests to the administration: handed over at its door, their answers written as they come.

use bytes::Bytes;
use http::{HeaderValue, header};
use pingora_error::{Error, ErrorType, Result};
use pingora_http::ResponseHeader;
use pingora_proxy::Session;
use translate::ir::FailureKind;

use super::body;
use super::exchange::Exchange;
use super::fault::Fault;
use super::{Gateway, respond};
use crate::admin::door::{Answer, Closed, LARGEST_BODY, Payload, Visitor};
use crate::config::snapshot::Snapshot;

/// Has the administration answer.
///
/// # Errors
/// Only when the caller's connection failed: everything else is answered.
pub async fn answer(
    gateway: &Gateway,
    session: &mut Session,
    exchange: &mut Exchange,
    snapshot: &Snapshot,
) -> Result<()> {
    let body = match body::read_at_most(session, &snapshot.client, LARGEST_BODY).await {
        Ok(body) => body,
        Err(fault) => {
            session.set_keepalive(None);
            return refuse(session, exchange, fault).await;
        }
    };
    let answered = match request(session, body) {
        Ok(request) => gateway.door.ask(request).await.map_err(closed),
        Err(fault) => Err(fault),
    };
    match answered {
        Ok(answer) => write(session, exchange, answer).await,
        Err(fault) => refuse(session, exchange, fault).await,
    }
}

fn request(session: &Session, body: Bytes) -> Result<http::Request<Bytes>, Fault> {
    let head = session.req_header();
    let mut request = http::Request::new(body);
    *request.method_mut() = head.method.clone();
    *request.uri_mut() = head.uri.clone();
    *request.headers_mut() = head.headers.clone();
    let digest = session.digest();
    let address = session.client_addr().and_then(|address| address.as_inet()).map(std::net::SocketAddr::ip);
    let secure = digest.is_some_and(|digest| digest.ssl_digest.is_some());
    request.extensions_mut().insert(Visitor { address, secure });
    Ok(request)
}

fn closed(closed: Closed) -> Fault {
    let status = if closed == Closed::Late { 504 } else { 503 };
    Fault::request(FailureKind::Overloaded, status, closed.to_string())
}

async fn refuse(session: &mut Session, exchange: &mut Exchange, fault: Fault) -> Result<()> {
    let path = session.req_header().uri.path().to_owned();
    let reply = respond::fault_reply(&fault, exchange, &path);
    exchange.fault = Some(fault);
    respond::send(session, exchange, reply).await
}

async fn write(session: &mut Session, exchange: &mut Exchange, answer: Answer) -> Result<()> {
    let mut response = ResponseHeader::build(answer.head.status, Some(answer.head.headers.len() + 2))?;
    for (name, value) in &answer.head.headers {
        response.append_header(name.clone(), value.clone())?;
    }
    // What is configured is nobody's to keep.
    if !answer.head.headers.contains_key(header::CACHE_CONTROL) {
        response.insert_header(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))?;
    }
    response.insert_header("x-request-id", &*exchange.request_id)?;
    exchange.status = answer.head.status.as_u16();
    let asked_for_head = session.req_header().method == http::Method::HEAD;
    match answer.body {
        Payload::Whole(body) => {
            response.insert_header(header::CONTENT_LENGTH, body.len())?;
            let empty = asked_for_head || body.is_empty();
            session.write_response_header(Box::new(response), empty).await?;
            if !empty {
                session.write_response_body(Some(body), true).await?;
            }
            Ok(())
        }
        Payload::Pieces(mut pieces) => {
            session.write_response_header(Box::new(response), asked_for_head).await?;
            if asked_for_head {
                return Ok(());
            }
            while let Some(piece) = pieces.recv().await {
                let piece = piece.map_err(|torn| Error::because(ErrorType::InternalError, "", torn))?;
                session.write_response_body(Some(piece), false).await?;
            }
            session.write_response_body(None, true).await
        }
    }
}
