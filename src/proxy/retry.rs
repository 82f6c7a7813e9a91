//! A fault of an attempt: understood, noted, and answered with another attempt or the end.

use govern::verdict::FaultClass;
use pingora_error::{Error, ErrorType};
use pingora_proxy::Session;

use super::attempt::Answer;
use super::exchange::Exchange;
use super::fault::Fault;
use super::hedge::{self, HEDGED};
use super::replay::{DEADLINE, Limit, is_begun};
use super::response_body_filter::FAULT;
use super::{Gateway, recovery};
use crate::upstream::select::{Faulted, Seen, Servers};

/// No connection came to be: DNS, TCP, TLS.
pub fn fail_to_connect(gateway: &Gateway, exchange: &mut Exchange, mut error: Box<Error>) -> Box<Error> {
    exchange.work();
    log::debug!("request {}: {error}", exchange.request_id);
    let fault = Fault::new(FaultClass::ConnectFailed, connect_reason(&error));
    let direct_key = exchange.attempt.as_ref().is_some_and(|attempt| attempt.direct);
    let again = digest(gateway, exchange, fault, Seen { direct_key, ..Seen::default() });
    error.set_retry(again);
    error
}

/// Something went wrong after the connection was there.
pub fn error_while_proxy(
    gateway: &Gateway,
    session: &Session,
    exchange: &mut Exchange,
    mut error: Box<Error>,
    reused: bool,
) -> Box<Error> {
    exchange.work();
    if *error.etype() == HEDGED {
        hedge::overtaken(gateway, exchange);
        error.set_retry(true);
        return error;
    }
    if caller_gone(&error) {
        error.set_retry(false);
        exchange.fault = Some(Fault::new(FaultClass::CallerGone, "the caller closed the connection"));
        return error;
    }
    let answer_begun = is_begun(&session.downstream_session) && !recovery::is_unseen(exchange);
    let overdue = *error.etype() == DEADLINE
        && exchange.call.as_ref().is_some_and(|call| call.stage.limit() == Limit::Complete);
    if overdue || finished(exchange) {
        // Everything was said; `fail_to_proxy` closes in good order.
        error.set_retry(false);
        return error;
    }
    let fault = understand(exchange, &error);
    let silent = exchange.attempt.as_ref().is_some_and(|attempt| attempt.status == 0);
    let broke = recovery::broke(gateway, exchange, &fault, answer_begun);
    let seen = Seen {
        servers: Servers::One,
        answer_begun: broke.for_good,
        retry_forbidden: exchange.attempt.as_ref().is_some_and(|attempt| attempt.retry_forbidden),
        direct_key: exchange.attempt.as_ref().is_some_and(|attempt| attempt.direct),
        stale_connection: reused && silent && fault.class == FaultClass::ConnectionReset,
    };
    let again = digest(gateway, exchange, fault, seen);
    broke.write_down(exchange);
    error.set_retry(again);
    error
}

/// Notes a fault of the running attempt and moves the cursor. True when another attempt follows.
pub fn digest(gateway: &Gateway, exchange: &mut Exchange, fault: Fault, seen: Seen) -> bool {
    let follows = hedge::follows(gateway, exchange, &fault, seen);
    let seen = Seen { servers: super::servers::others(exchange), ..seen };
    note(gateway, exchange, &fault, seen.stale_connection);
    let Some(call) = exchange.call.as_mut() else { return false };
    let Some(attempt) = exchange.attempt.as_ref() else { return false };
    let faulted = Faulted { class: fault.class, retry_after_ms: fault.retry_after_ms };
    let again = match recovery::moves_on(call, fault.class) {
        _ if follows => true,
        true => call.cursor.advance(&call.plan),
        false => call.cursor.after_fault(&call.plan, faulted, seen, &gateway.health),
    };
    log::debug!(
        "request {}: {}/{} failed ({}: {}), {}",
        exchange.request_id,
        attempt.provider.name,
        attempt.model,
        fault.label(),
        fault.failure.message,
        if again { "trying again" } else { "giving up" },
    );
    exchange.fault = Some(fault);
    if !seen.answer_begun {
        super::cost::note_unfit(gateway, exchange);
        let failed = exchange.attempt.take();
        failed.and_then(|attempt| attempt.stake).into_iter().for_each(|stake| stake.failed());
    }
    again
}

/// Writes the end of the running attempt down: health, metric, attempt list.
pub fn note(gateway: &Gateway, exchange: &mut Exchange, fault: &Fault, stale_connection: bool) {
    let Some(attempt) = exchange.attempt.as_mut() else { return };
    if attempt.recorded {
        return;
    }
    attempt.recorded = true;
    // A stale pooled connection says nothing about the target, nor does one server of several.
    let blamed = super::servers::failed(attempt, fault, stale_connection);
    let ticket = attempt.ticket.take();
    if let Some(ticket) = ticket.filter(|_| !stale_connection && blamed) {
        // Who used up most of the caller's time in silence is as good as dead, whoever's limit ended it.
        let silent = attempt.status == 0 && attempt.clock.began.elapsed() * 2 >= exchange.started.elapsed();
        let class = match fault.class {
            FaultClass::TotalTimeout if silent => FaultClass::FirstByteTimeout,
            class => class,
        };
        ticket.failed(class, fault.retry_after_ms);
        if matches!(fault.class, FaultClass::Authentication | FaultClass::Permission) {
            // A fetched token may have been withdrawn before its time.
            attempt.key.credential.invalidate();
        }
    }
    // Behind the ticket: who waits for the place must find what has just been learned.
    if let Some(slot) = attempt.slot.take() {
        slot.end(super::queue::ended(fault.class));
    }
    let known = fault.knows_model() || gateway.catalog.find(&attempt.provider.name, &attempt.model).is_some();
    let model = gateway.metrics.model_label(&attempt.model, known);
    gateway.metrics.attempts.with_label_values(&[&*attempt.provider.name, model, fault.label()]).inc();
    let record = attempt.record(fault.label(), Some(&fault.failure.message));
    super::measure::failed(gateway, exchange, fault);
    exchange.attempts.push(record);
}

/// The provider said all, and only then something broke.
pub fn finished(exchange: &Exchange) -> bool {
    exchange.attempt.as_ref().is_some_and(|attempt| match &attempt.answer {
        Answer::Stream(streaming) => {
            let seen = streaming.pipe.seen();
            (streaming.released || streaming.whole)
                && seen.is_finished()
                && !streaming.closing.lacks_choices(seen)
        }
        _ => false,
    })
}

fn caller_gone(error: &Error) -> bool {
    *error.esource() == pingora_error::ErrorSource::Downstream && *error.etype() != DEADLINE
}

fn understand(exchange: &mut Exchange, error: &Error) -> Fault {
    match error.etype() {
        // `response_body_filter` has put it there.
        kind if *kind == FAULT => exchange
            .fault
            .take()
            .unwrap_or_else(|| Fault::new(FaultClass::Internal, "a fault was raised without a reason")),
        kind if *kind == DEADLINE => {
            let limit = exchange.call.as_ref().map_or(Limit::Total, |call| call.stage.limit());
            let since = exchange.attempt.as_ref().map_or(exchange.started, |attempt| attempt.clock.began);
            Fault::deadline(limit, since.elapsed().as_millis())
        }
        ErrorType::InternalError => {
            log::error!("request {}: {error}", exchange.request_id);
            Fault::new(FaultClass::Internal, "the gateway failed to serve this request")
        }
        _ => broken_connection(exchange, error),
    }
}

fn broken_connection(exchange: &Exchange, error: &Error) -> Fault {
    let cause = error.etype().as_str();
    let Some(attempt) = exchange.attempt.as_ref() else {
        return Fault::new(FaultClass::ConnectionReset, format!("the connection broke ({cause})"));
    };
    match &attempt.answer {
        Answer::Awaited if *error.etype() == ErrorType::InvalidHTTPHeader => {
            Fault::new(FaultClass::BadAnswer, "the provider's response is no valid HTTP")
        }
        Answer::Awaited => Fault::new(
            FaultClass::ConnectionReset,
            format!("the connection broke before an answer ({cause})"),
        ),
        Answer::Refused(_) => super::response_body_filter::refusal(attempt),
        Answer::Whole(_) | Answer::Passed { .. } => {
            Fault::new(FaultClass::BadAnswer, format!("the answer was cut short ({cause})"))
        }
        Answer::Stream(_) | Answer::Sent(_) => {
            Fault::new(FaultClass::BadAnswer, format!("the stream was cut short ({cause})"))
        }
    }
}

/// What failed, without addresses: the whole chain of causes is for the log. What a proxy or a TLS
/// library said is told, since it is what has to be put right.
pub fn connect_reason(error: &Error) -> String {
    let what = match error.etype() {
        ErrorType::ConnectTimedout => "connecting took too long",
        ErrorType::ConnectRefused => "the connection was refused",
        ErrorType::ConnectNoRoute => "there is no route to the provider",
        ErrorType::TLSHandshakeTimedout => "the TLS handshake took too long",
        ErrorType::InvalidCert => "the TLS certificate is not valid",
        ErrorType::TLSHandshakeFailure | ErrorType::TLSWantX509Lookup => "the TLS handshake failed",
        ErrorType::ConnectProxyFailure => "the egress proxy failed",
        _ => return "no connection could be made".to_owned(),
    };
    let cause = match error.etype() {
        ErrorType::ConnectProxyFailure => error.context.as_ref().map(|context| context.as_str().to_owned()),
        ErrorType::InvalidCert | ErrorType::TLSHandshakeFailure => last_cause(&error.to_string()),
        _ => None,
    };
    match cause {
        Some(cause) => format!("{what}: {cause}"),
        None => what.to_owned(),
    }
}

/// The innermost cause of Pingora's chain that names no address of ours.
fn last_cause(chain: &str) -> Option<String> {
    let causes = chain.split("cause: ").skip(1);
    causes.filter(|cause| !cause.contains("address")).last().map(|cause| cause.trim().to_owned())
}
