//! The one place where a request that cannot be served is answered: in the caller's dialect, with
//! the most useful error we have.

use bytes::Bytes;
use govern::verdict::FaultClass;
use pingora_core::protocols::http::HttpTask;
use pingora_error::Error;
use pingora_proxy::{FailToProxy, Session};

use super::attempt::Answer;
use super::exchange::Exchange;
use super::fault::Fault;
use super::{cost, count, extra_fields, recovery, replay, respond, retry};

/// Tells the caller, if there still is one.
pub async fn run(session: &mut Session, error: &Error, exchange: &mut Exchange) -> FailToProxy {
    exchange.work();
    if !replay::is_begun(&session.downstream_session) && retry::finished(exchange) {
        send_held(session, exchange).await;
        return FailToProxy { error_code: exchange.status, can_reuse_downstream: false };
    }
    if let Some(call) = exchange.call.as_ref() {
        // A held answer is dropped here: it is not the one the caller gets.
        replay::unwrap(&mut session.downstream_session, &call.stage);
    }
    let begun = replay::is_begun(&session.downstream_session);
    let gone = exchange.fault.as_ref().is_some_and(|fault| fault.class == FaultClass::CallerGone)
        || *error.esource() == pingora_error::ErrorSource::Downstream
            // Pingora reads our clock together with the caller's socket, and blames the caller.
            && *error.etype() != replay::DEADLINE
            && begun;
    if gone {
        exchange.status = 499;
    } else if begun {
        end_stream(session, exchange).await;
    } else {
        answer(session, error, exchange).await;
    }
    FailToProxy { error_code: exchange.status, can_reuse_downstream: false }
}

/// The answer is complete, but all of it was kept for its last event: head and body go out now.
async fn send_held(session: &mut Session, exchange: &mut Exchange) {
    exchange.status = 200;
    if let Some(call) = exchange.call.as_ref() {
        call.stage.leave();
    }
    let bytes = last_bytes(exchange);
    exchange.goes(Some(&bytes));
    let body = HttpTask::Body(Some(bytes), true);
    if let Err(error) = session.downstream_session.response_duplex_vec(vec![body]).await {
        log::debug!("request {}: the caller did not take the answer: {error}", exchange.request_id);
    }
    if let Some(call) = exchange.call.as_ref() {
        replay::unwrap(&mut session.downstream_session, &call.stage);
    }
}

/// Nothing was said yet: a whole error answer.
async fn answer(session: &mut Session, error: &Error, exchange: &mut Exchange) {
    if exchange.fault.is_none() {
        log::error!("request {} failed inside the gateway: {error}", exchange.request_id);
        exchange.fault = Some(Fault::new(FaultClass::Internal, "the gateway failed to serve this request"));
    }
    let reply = match (count::instead(exchange), exchange.fault.as_ref()) {
        (Some(estimate), _) => estimate,
        (None, Some(fault)) => respond::fault_reply(fault, exchange, session.req_header().uri.path()),
        (None, None) => return,
    };
    // Whoever asks again with this answer in hand finds nothing of it held.
    if let Some(tab) = exchange.call.as_ref().and_then(|call| call.tab.as_ref()) {
        tab.close();
    }
    // Pingora closes after a failed proxy run: say so, or the client's next request meets a reset.
    session.set_keepalive(None);
    if let Err(error) = respond::send(session, exchange, reply).await {
        log::debug!("request {}: the caller did not take the error: {error}", exchange.request_id);
    }
}

/// The stream has begun: its last event tells, or it was complete and only has to be closed.
async fn end_stream(session: &mut Session, exchange: &mut Exchange) {
    let whole = exchange.attempt.as_ref().is_some_and(|attempt| !matches!(attempt.answer, Answer::Stream(_)));
    if whole {
        // A large whole answer that was cut: no end may say that it was complete.
        session.downstream_session.shutdown().await;
        return;
    }
    let bytes = recovery::last_words(exchange).map_or_else(|| last_bytes(exchange), Bytes::from);
    // An empty chunk would be the end of the body, and the end would come twice.
    let bytes = (!bytes.is_empty()).then_some(bytes);
    exchange.goes(bytes.as_ref());
    if let Err(error) = session.write_response_body(bytes, true).await {
        log::debug!("request {}: the caller did not take the end: {error}", exchange.request_id);
    }
}

fn last_bytes(exchange: &mut Exchange) -> Bytes {
    let Some(mut attempt) = exchange.attempt.take() else { return Bytes::new() };
    cost::note(exchange, &mut attempt);
    let losses = match &attempt.answer {
        Answer::Stream(streaming) => Some(streaming.pipe.losses()),
        _ => None,
    };
    let extra = exchange.extra_fields().then(|| extra_fields::of_answer(exchange, &attempt, losses));
    let mut out = Vec::new();
    if let Answer::Stream(streaming) = &mut attempt.answer
        && !streaming.ended
    {
        streaming.ended = true;
        // A finish reason was seen: the answer is complete, whatever happened to the connection. But not
        // while other choices are awaited.
        let cut = streaming.closing.lacks_choices(streaming.pipe.seen());
        if !cut && streaming.pipe.end(extra.as_deref(), &mut out) {
            exchange.fault = None;
        } else {
            let fault = exchange
                .fault
                .get_or_insert_with(|| Fault::new(FaultClass::BadAnswer, "the stream was cut short"));
            streaming.pipe.fail(&fault.failure, &exchange.request_id, &mut out);
        }
        if !streaming.released {
            streaming.release(&mut out);
        }
        out = streaming.outgoing(out);
    }
    cost::settle(exchange, &attempt);
    exchange.attempt = Some(attempt);
    out.into()
}
