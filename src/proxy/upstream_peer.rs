//! Opens an attempt: which step of the plan, which key, what body, which address.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use govern::cooldown::CoolReason;
use govern::verdict::FaultClass;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_error::{Error, ErrorSource, ErrorType, OrErr, Result};
use pingora_proxy::Session;
use translate::ir::FailureKind;

use super::attempt::{Attempt, prepare};
use super::exchange::{Call, Exchange};
use super::fault::Fault;
use super::prediction::{self, Ended, Limits};
use super::replay::Limit;
use super::{Gateway, flight, hedge, lease, media, queue, recovery, reserve, servers};
use crate::config::snapshot::Snapshot;
use crate::route::model::near;
use crate::route::plan::Step;
use crate::telemetry::access_log::AttemptRecord;
use crate::upstream::capacity::{Slot, Waiting};
use crate::upstream::select::Choice;
use crate::upstream::{peer, target};

/// The fault is in `Exchange::fault`; Pingora only needs to know that there is one.
pub const PLANNED: ErrorType = ErrorType::Custom("no target left");

/// Chooses the next target and prepares what it is sent.
///
/// # Errors
/// No target is left (the fault says why), or the caller went away during a back-off.
pub async fn run(gateway: &Gateway, session: &mut Session, exchange: &mut Exchange) -> Result<Box<HttpPeer>> {
    exchange.work();
    hedge::rest(exchange);
    if exchange.rival.is_some()
        && let Some(peer) = hedge::take_over(gateway, session, exchange).await?
    {
        exchange.wait();
        return Ok(peer);
    }
    pause(session, exchange).await?;
    loop {
        lease::rest(gateway, session, exchange).await?;
        if !inlined(session, exchange).await? {
            continue;
        }
        match open(gateway, exchange) {
            Ok(Opened::Ready) => flight::asks(gateway, exchange),
            Ok(Opened::Queue(waiting)) => {
                queue::wait(gateway, session, exchange, *waiting).await?;
                continue;
            }
            Ok(Opened::Wait(wait)) => {
                set_delay(exchange, wait);
                pause(session, exchange).await?;
                continue;
            }
            Err(fault) => {
                exchange.fault = Some(fault);
                return Err(Error::create(PLANNED, ErrorSource::Upstream, None, None));
            }
        }
        if let Some(peer) = address(gateway, session, exchange).await? {
            hedge::arm(gateway, session, exchange);
            exchange.wait();
            return Ok(peer);
        }
        pause(session, exchange).await?;
    }
}

/// Fetches what the next step takes as bytes only. False: it cannot be had, and the step was passed over.
async fn inlined(session: &mut Session, exchange: &mut Exchange) -> Result<bool> {
    let Some((urls, policy)) = media::needed(exchange) else { return Ok(true) };
    match unless_gone(session, exchange, media::fetch(urls, policy)).await? {
        Ok(files) => media::inline(exchange, &files),
        Err(unfetched) => {
            let Some(call) = exchange.call.as_ref() else { return Ok(true) };
            let fault = unfetched.fault(&call.body);
            let Some(step) = call.cursor.current(&call.plan).cloned() else { return Ok(true) };
            skip(exchange, &step, fault);
            return Ok(false);
        }
    }
    Ok(true)
}

/// Passes a step over.
pub fn skip(exchange: &mut Exchange, step: &Step, fault: Fault) {
    let record =
        AttemptRecord::skipped(&step.provider.name, &step.model, fault.label(), &fault.failure.message);
    exchange.attempts.push(record);
    // The first real answer of a provider says more than a step that was passed over.
    exchange.fault.get_or_insert(fault);
    if let Some(call) = exchange.call.as_mut() {
        call.cursor.advance(&call.plan);
    }
}

enum Opened {
    /// `Exchange::attempt` holds a prepared attempt.
    Ready,
    /// All keys cool down, but not for long.
    Wait(Duration),
    /// Every place is taken: it stands in the queue.
    Queue(Box<Waiting>),
}

/// Walks on to a step with a usable key and a place, and prepares the attempt.
fn open(gateway: &Gateway, exchange: &mut Exchange) -> Result<Opened, Fault> {
    loop {
        let granted = exchange.granted.take();
        let Some(call) = exchange.call.as_mut() else {
            return Err(Fault::new(FaultClass::Internal, "no call was planned"));
        };
        let Some(step) = call.cursor.current(&call.plan).cloned() else {
            return Err(exchange.fault.take().unwrap_or_else(nothing_left));
        };
        if recovery::passes_over(call, &step) {
            let reason = "its model is not known to go on with an answer";
            let record =
                AttemptRecord::skipped(&step.provider.name, &step.model, recovery::CANNOT_CONTINUE, reason);
            exchange.attempts.push(record);
            call.cursor.advance(&call.plan);
            continue;
        }
        let chosen = match usable(call, &step) {
            Ok(()) => choose(gateway, call, exchange.snapshot.as_deref(), (&step, granted)),
            Err(fault) => Chosen::Skip(fault),
        };
        let skipped = match chosen {
            Chosen::Start { key, slot } => match ready(gateway, call, &step, key, slot) {
                Ok(mut attempt) => {
                    attempt.clock.waited(&mut exchange.marks);
                    // Earlier faults are in the attempt list; this one may answer.
                    exchange.fault = None;
                    exchange.attempt = Some(Box::new(attempt));
                    return Ok(Opened::Ready);
                }
                Err(_) if call.lease.wanted.is_some() => return Ok(Opened::Wait(Duration::ZERO)),
                Err(fault) => fault,
            },
            Chosen::Full => match queue::enter(gateway, exchange, &step) {
                Ok(waiting) => return Ok(Opened::Queue(Box::new(waiting))),
                Err(fault) => fault,
            },
            // Those who wait for the same moment do not start in it.
            Chosen::Wait { wait_ms } => {
                let spread = fastrand::u64(..=wait_ms / 10 + 50);
                return Ok(Opened::Wait(Duration::from_millis(wait_ms.saturating_add(spread))));
            }
            Chosen::Skip(fault) => fault,
        };
        skip(exchange, &step, skipped);
    }
}

/// What becomes of a step now.
enum Chosen {
    Start { key: usize, slot: Slot },
    Full,
    Wait { wait_ms: u64 },
    Skip(Fault),
}

fn choose(
    gateway: &Gateway,
    call: &mut Call,
    snapshot: Option<&Snapshot>,
    (step, granted): (&Step, Option<queue::Granted>),
) -> Chosen {
    let (choice, slot) = queue::choose(gateway, call, step, granted);
    let key = match choice {
        Choice::Use { key } => key,
        Choice::Full => return Chosen::Full,
        Choice::NoKey => return Chosen::Skip(no_key(gateway, snapshot, step)),
        Choice::Cooling { wait_ms, why, .. } => match cooling(call, step, wait_ms, why) {
            Cooled::Wait => return Chosen::Wait { wait_ms },
            Cooled::Skip(fault) => return Chosen::Skip(fault),
            Cooled::Probe => match call.cursor.probe(step, &gateway.health) {
                Ok(key) => key,
                Err(next_ms) if passes(why) && call.cursor.waits(next_ms, patience(step)) => {
                    return Chosen::Wait { wait_ms: next_ms };
                }
                Err(_) => return Chosen::Skip(cooled(step, wait_ms, why)),
            },
        },
    };
    match slot.or_else(|| queue::take(gateway, call, step, key)) {
        Some(slot) => Chosen::Start { key, slot },
        None => Chosen::Full,
    }
}

/// An attempt at `step` with this key, prepared, with its slot and its ticket.
///
/// # Errors
/// The request has no meaning there.
pub fn ready(
    gateway: &Gateway,
    call: &mut Call,
    step: &Step,
    key: usize,
    slot: Slot,
) -> Result<Attempt, Fault> {
    let direct = call.direct_key(step).cloned();
    let Some(chosen) = direct.as_ref().or_else(|| step.provider.keys.get(key)) else {
        return Err(Fault::new(FaultClass::Internal, "the chosen key does not exist"));
    };
    let stake = reserve::stake(gateway, call, (step, chosen))?;
    let visit = servers::choose(gateway, call, step, chosen)?;
    let mut upstream = prepare(call, step, chosen)
        .map_err(|bad| Fault::request(FailureKind::InvalidRequest, 400, bad.message).param(&bad.path))?;
    upstream.losses.extend(call.lost.clone());
    call.cursor.begin(key);
    let mut attempt = Attempt::new(step, chosen, &call.plan.policy.limits, upstream);
    attempt.clock.of(call.stage.began());
    attempt.slot = Some(slot);
    attempt.direct = direct.is_some();
    attempt.backend = call.cursor.backend.clone();
    attempt.visit = visit;
    attempt.stake = stake;
    attempt.ticket = direct.is_none().then(|| gateway.health.begin(chosen, &step.model));
    Ok(attempt)
}

/// Whether the provider has what is asked.
///
/// # Errors
/// It has not.
pub fn usable(call: &Call, step: &Step) -> Result<(), Fault> {
    if target::takes(&step.provider, call.endpoint, call.stream) {
        return Ok(());
    }
    let what = call.endpoint.request_type(call.stream);
    let message = format!("{} does not support {what}", step.provider.name);
    Err(Fault::request(FailureKind::InvalidRequest, 400, message))
}

enum Cooled {
    Wait,
    Probe,
    Skip(Fault),
}

/// All keys of the step cool down: wait, ask all the same, or go on.
fn cooling(call: &Call, step: &Step, wait_ms: u64, why: CoolReason) -> Cooled {
    let retrying = call.cursor.tries > 0;
    let patience = patience(step);
    // Nobody waits for a circuit, or asks all the same, while another target may answer.
    if call.cursor.has_next(&call.plan) && (!retrying || why != CoolReason::RateLimited) {
        return Cooled::Skip(cooled(step, wait_ms, why));
    }
    match why {
        CoolReason::RateLimited | CoolReason::Asked if wait_ms <= patience => Cooled::Wait,
        CoolReason::RateLimited => Cooled::Skip(cooled(step, wait_ms, why)),
        CoolReason::Faults if retrying && wait_ms <= patience => Cooled::Wait,
        // Nobody else can answer: a try shows whether the key or the provider is back.
        _ => Cooled::Probe,
    }
}

/// What it rests for may be over in a moment: a refused key or an empty account is for people to mend.
fn passes(why: CoolReason) -> bool {
    matches!(why, CoolReason::Faults | CoolReason::Asked)
}

/// Milliseconds that a caller is kept waiting for a target that rests.
fn patience(step: &Step) -> u64 {
    u64::try_from(step.provider.network.retry_backoff_max.as_millis()).unwrap_or(u64::MAX)
}

fn cooled(step: &Step, wait_ms: u64, why: CoolReason) -> Fault {
    let (class, what) = match why {
        CoolReason::RateLimited => (FaultClass::RateLimited, "is over its rate limit"),
        CoolReason::Refused => (FaultClass::Authentication, "is not accepted by the provider"),
        CoolReason::Quota => (FaultClass::Quota, "has no quota left"),
        CoolReason::Faults => (FaultClass::Overloaded, "failed repeatedly"),
        CoolReason::Asked => (FaultClass::Overloaded, "asked to be left alone"),
    };
    let message = format!(
        "every key of {} for {} {what}; the next try is in {} s",
        step.provider.name,
        step.model,
        wait_ms.div_ceil(1000)
    );
    let mut fault = Fault::new(class, message);
    fault.retry_after_ms = Some(wait_ms);
    fault
}

fn no_key(gateway: &Gateway, snapshot: Option<&Snapshot>, step: &Step) -> Fault {
    let disabled: Vec<String> = step
        .provider
        .keys
        .iter()
        .filter_map(|key| key.disabled.as_ref().map(|why| format!("{}: {why}", key.name)))
        .collect();
    let detail =
        if disabled.is_empty() { String::new() } else { format!(" (disabled: {})", disabled.join("; ")) };
    let near = snapshot.map(|snapshot| near(&step.model, snapshot, gateway.catalog)).unwrap_or_default();
    let hint = if near.is_empty() { String::new() } else { format!(". Did you mean {}?", near.join(" or ")) };
    let message = format!("no key of {} serves the model {}{detail}{hint}", step.provider.name, step.model);
    let mut fault = Fault::request(FailureKind::ModelNotFound, 404, message).param("model");
    fault.failure.code = Some("model_not_found".to_owned());
    fault.class = FaultClass::ModelNotFound;
    fault
}

/// No step of the plan could be tried.
pub fn nothing_left() -> Fault {
    Fault::new(FaultClass::Internal, "no provider could be asked")
}

/// Resolves the attempt's address. `None`: that failed and another target is next.
async fn address(
    gateway: &Gateway,
    session: &mut Session,
    exchange: &mut Exchange,
) -> Result<Option<Box<HttpPeer>>> {
    set_first_deadline(exchange);
    let running = exchange.call.as_deref().zip(exchange.attempt.as_deref());
    if running.is_some_and(|(call, attempt)| prediction::needed(call, attempt)) {
        match predict(gateway, session, exchange).await {
            Ok(()) => {}
            Err(Ended::Fault(fault)) => return next(gateway, exchange, fault),
            Err(Ended::Gone(error)) => {
                exchange.fault = Some(caller_gone());
                return Err(error);
            }
        }
    }
    let (Some(call), Some(attempt)) = (exchange.call.as_ref(), exchange.attempt.as_ref()) else {
        return Err(Error::create(PLANNED, ErrorSource::Internal, None, None));
    };
    let provider = Arc::clone(&attempt.provider);
    let (fresh, nth) = (call.cursor.fresh_connection, call.cursor.tries.saturating_sub(1));
    if provider.mock.is_some() {
        let mock = gateway.mock.address().or_err(ErrorType::InternalError, "the mock did not start")?;
        return Ok(Some(Box::new(peer::peer(&provider, &provider.endpoint, mock, fresh))));
    }
    if let Err(fault) = proven(attempt).await {
        return next(gateway, exchange, fault);
    }
    let at = attempt.endpoint();
    let (host, port) = peer::next_hop(&provider, at);
    let address = match gateway.resolver.resolve(host, port, nth).await {
        Ok(address) => address,
        Err(error) => {
            let message = format!("DNS lookup of {host} failed: {error}");
            return next(gateway, exchange, Fault::new(FaultClass::ConnectFailed, message));
        }
    };
    if let Some(place) = attempt.place.as_ref().filter(|_| provider.network.proxy.is_none())
        && let Err(fault) = place.check(address.ip())
    {
        return next(gateway, exchange, fault);
    }
    Ok(Some(Box::new(peer::peer(&provider, at, address, fresh))))
}

/// The attempt came to nothing before it was sent. `None`: another target is next.
fn next(gateway: &Gateway, exchange: &mut Exchange, fault: Fault) -> Result<Option<Box<HttpPeer>>> {
    if super::retry::digest(gateway, exchange, fault, crate::upstream::select::Seen::default()) {
        return Ok(None);
    }
    Err(Error::create(PLANNED, ErrorSource::Upstream, None, None))
}

/// Has the provider make the answer, where that is a job of its own.
async fn predict(gateway: &Gateway, session: &mut Session, exchange: &mut Exchange) -> Result<(), Ended> {
    let total = exchange.total_deadline();
    exchange.wait();
    let (Some(call), Some(attempt)) = (exchange.call.as_deref(), exchange.attempt.as_deref_mut()) else {
        return Ok(());
    };
    let done = match proven(attempt).await {
        Ok(()) => {
            let limits = Limits { stage: &call.stage, total };
            prediction::begin(&gateway.asker, session, attempt, call.stream, limits).await
        }
        Err(fault) => Err(fault.into()),
    };
    exchange.work();
    done
}

/// Waits for the first token of a credential that has to be fetched. Immediate for all others.
///
/// # Errors
/// It did not come in time.
pub async fn proven(attempt: &Attempt) -> Result<(), Fault> {
    let credential = &attempt.key.credential;
    if attempt.direct || credential.status().is_none() {
        return Ok(());
    }
    credential.start();
    let within = attempt.provider.network.connect_timeout.saturating_mul(2);
    credential.ready(within).await.map_err(|unready| {
        let message = format!("the credential of key {} is not ready: {unready}", attempt.key.name);
        Fault::new(FaultClass::ConnectFailed, message)
    })
}

/// The limit until the response header.
pub fn set_first_deadline(exchange: &mut Exchange) {
    let total = exchange.total_deadline();
    let (Some(call), Some(attempt)) = (exchange.call.as_ref(), exchange.attempt.as_ref()) else { return };
    let limits = &attempt.limits;
    let first_byte = limits.first_byte;
    if attempt.handed {
        // Its answer has begun, within its limits.
        return super::set_deadline(&call.stage, Limit::Idle, Instant::now() + limits.idle, total);
    }
    let (limit, within) = match limits.first_token {
        // No header, no token: the limit of the first token is running already.
        Some(ttft) if call.stream && ttft < first_byte => (Limit::FirstToken, ttft),
        _ if call.stream || first_byte < limits.request => (Limit::FirstByte, first_byte),
        _ => (Limit::Request, limits.request),
    };
    super::set_deadline(&call.stage, limit, attempt.clock.began + within, total);
}

fn set_delay(exchange: &mut Exchange, wait: Duration) {
    if let Some(call) = exchange.call.as_mut() {
        call.cursor.delay = wait;
    }
}

/// Waits out a back-off, unless the caller leaves or the total time ends first.
async fn pause(session: &mut Session, exchange: &mut Exchange) -> Result<()> {
    let Some(delay) = exchange.call.as_mut().map(|call| std::mem::take(&mut call.cursor.delay)) else {
        return Ok(());
    };
    if delay.is_zero() {
        return Ok(());
    }
    let since = Instant::now();
    let slept = unless_gone(session, exchange, tokio::time::sleep(delay)).await;
    exchange.marks.delayed += since.elapsed();
    slept
}

/// Does `work`, unless the caller leaves or the total time ends first.
///
/// # Errors
/// They do.
pub async fn unless_gone<T>(
    session: &mut Session,
    exchange: &mut Exchange,
    work: impl Future<Output = T>,
) -> Result<T> {
    exchange.wait();
    if let (Some(call), Some(total)) = (exchange.call.as_ref(), exchange.total_deadline()) {
        call.stage.set(Limit::Total, total);
    } else if let Some(call) = exchange.call.as_ref() {
        call.stage.clear();
    }
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
    done.map_err(|error| {
        if *error.etype() == super::replay::DEADLINE {
            exchange.fault = Some(Fault::deadline(Limit::Total, exchange.started.elapsed().as_millis()));
            return error;
        }
        exchange.fault = Some(caller_gone());
        error.into_down()
    })
}

fn caller_gone() -> Fault {
    Fault::new(FaultClass::CallerGone, "the caller closed the connection")
}
