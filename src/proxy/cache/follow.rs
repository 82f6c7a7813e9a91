//! A request that waits beside an equal one: it gets that one's answer as it comes, in its own dialect.
//!
//! It holds no place and no money, only its request of its caller's limits. When the one that asks fails it may be its turn
//! to ask; then it goes on like any other.

use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use govern::verdict::FaultClass;
use pingora_error::Result;
use pingora_proxy::Session;

use super::super::Gateway;
use super::super::exchange::{Call, Exchange};
use super::super::fault::Fault;
use super::super::replay::Limit;
use super::stream::Live;
use super::{Cached, Taken, give, missed, serve};
use crate::cache::flight::{Broken, Follower, Joined, Look};

/// Waits for an answer, and gives it.
///
/// # Errors
/// The caller's connection failed.
pub(super) async fn run(
    gateway: &Gateway,
    session: &mut Session,
    exchange: &mut Exchange,
    (mut call, mut cached): (Call, Box<Cached>),
    mut follower: Follower,
) -> Result<Taken> {
    let began = Instant::now();
    // Who may not come in does not wait, either.
    if let Err(fault) = give::enter(gateway, exchange, &cached, &mut call).await {
        return Ok(super::refused(exchange, call, fault));
    }
    let until = deadline(exchange, &call);
    loop {
        match follower.look() {
            Look::Wait => {}
            Look::Landed(landed) => {
                cached.looked = began.elapsed();
                drop(follower);
                return serve(gateway, session, exchange, (call, cached), landed).await;
            }
            Look::Lead(lead) => {
                cached.lead = Some(lead);
                cached.looked = began.elapsed();
                return Ok(missed(gateway, exchange, call, cached));
            }
            Look::Alone => {
                cached.looked = began.elapsed();
                // Its own answer may be one to keep.
                let room = usize::try_from(cached.settings.max_memory).unwrap_or(usize::MAX);
                let joined = gateway.cache.flights.join(cached.flight(), (false, call.stream), room);
                if let Joined::Lead(lead) = joined {
                    cached.lead = Some(lead);
                }
                return Ok(missed(gateway, exchange, call, cached));
            }
            Look::Failed(broken) => {
                return Ok(super::refused(exchange, call, fault(&broken)));
            }
            Look::Events(events) => {
                cached.looked = began.elapsed();
                exchange.call = Some(Box::new(call));
                exchange.cache = Some(cached);
                let mut live = Live::begin(session, exchange).await?;
                live.events(session, exchange, events).await?;
                return flow(gateway, session, exchange, (live, follower), until).await;
            }
        }
        let waited = unless_late(until, follower.news());
        match unless_left(session, exchange, waited).await {
            Ok(Some(())) => {}
            Ok(None) => {
                let waited = exchange.started.elapsed().as_millis();
                return Ok(super::refused(exchange, call, Fault::deadline(Limit::Total, waited)));
            }
            Err(error) => {
                exchange.call = Some(Box::new(call));
                return Err(error);
            }
        }
    }
}

/// It has some of the answer: the rest, as it comes.
async fn flow(
    gateway: &Gateway,
    session: &mut Session,
    exchange: &mut Exchange,
    (mut live, mut follower): (Live, Follower),
    until: Option<Instant>,
) -> Result<Taken> {
    loop {
        let broken = match follower.look() {
            Look::Wait | Look::Lead(_) | Look::Alone => None,
            Look::Events(events) => {
                live.events(session, exchange, events).await?;
                continue;
            }
            Look::Landed(landed) => {
                give::note(gateway, exchange, Arc::clone(&landed));
                live.end(session, exchange).await?;
                return Ok(Taken::Answered);
            }
            Look::Failed(broken) => Some(fault(&broken)),
        };
        let broken = match broken {
            Some(broken) => Some(broken),
            None => match unless_left(session, exchange, unless_late(until, follower.news())).await? {
                Some(()) => None,
                None => Some(Fault::deadline(Limit::Total, exchange.started.elapsed().as_millis())),
            },
        };
        if let Some(fault) = broken {
            live.fail(session, exchange, &fault).await?;
            exchange.fault = Some(fault);
            return Ok(Taken::Answered);
        }
    }
}

/// When the request as a whole must be done.
fn deadline(exchange: &Exchange, call: &Call) -> Option<Instant> {
    let network = &call.plan.steps.first()?.provider.network;
    let total = call.plan.policy.limits.total.or(network.total_timeout)?;
    exchange.started.checked_add(total)
}

async fn unless_late<T>(until: Option<Instant>, work: impl Future<Output = T>) -> Option<T> {
    match until {
        Some(until) => tokio::time::timeout_at(until.into(), work).await.ok(),
        None => Some(work.await),
    }
}

/// Waits for `work`, unless the caller leaves.
///
/// # Errors
/// It has left.
pub(super) async fn unless_left<T>(
    session: &mut Session,
    exchange: &mut Exchange,
    work: impl Future<Output = T>,
) -> Result<T> {
    exchange.wait();
    let mut work = std::pin::pin!(work);
    let done = loop {
        tokio::select! {
            biased;
            done = &mut work => break Ok(done),
            gone = session.downstream_session.read_body_or_idle(true) => match gone {
                // The caller's next request, perhaps: no sign that it left.
                Ok(_) => {}
                Err(error) => break Err(error),
            },
        }
    };
    exchange.work();
    done.inspect_err(|_| exchange.fault = Some(left()))
}

/// The fault of a caller that left.
pub(super) fn left() -> Fault {
    Fault::new(FaultClass::CallerGone, "the caller closed the connection")
}

fn fault(broken: &Broken) -> Fault {
    Fault {
        class: broken.class,
        failure: Box::new(broken.failure.clone()),
        retry_after_ms: broken.retry_after_ms,
        headers: Vec::new(),
    }
}

/// What others are told of a fault.
pub(super) fn broken(fault: &Fault) -> Broken {
    Broken { class: fault.class, failure: (*fault.failure).clone(), retry_after_ms: fault.retry_after_ms }
}
