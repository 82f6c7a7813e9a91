//! Copies of requests for another model, in the background: their answers are read, checked, logged and thrown away.
//!
//! A copy is a request of its own that knows nothing of the caller's: it has no caller to answer, tells nothing of
//! the health of targets, and its tokens and cost are in no series of a caller's request. It goes through the same
//! steps as any attempt, over the gateway's own connections.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use govern::verdict::FaultClass;
use http::Method;
use pingora_http::RequestHeader;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use translate::ir::FailureKind;

use super::attempt::{Attempt, prepare};
use super::cost::Rates;
use super::exchange::{Call, Exchange};
use super::fault::Fault;
use super::headers::Forward;
use super::lease::Lease;
use super::recovery::Recovery;
use super::replay::{Limit, Stage};
use super::upstream_peer::{nothing_left, proven};
use super::{
    Gateway, cost, media, prediction, queue, record, request_id, response_body_filter, servers, trace,
    upstream_request_filter, upstream_response_filter,
};
use crate::account::prices::Prices;
use crate::account::settle::Tab;
use crate::config::snapshot::{Key, Snapshot};
use crate::observe::Observer;
use crate::route::plan::{Copied, Keys, Plan, Step};
use crate::telemetry::metrics::Rules;
use crate::upstream::ask::{Asker, Question};
use crate::upstream::capacity::Slot;
use crate::upstream::select::{Choice, Cursor, Wish};
use crate::upstream::steps::Seen;

/// Copies under way at once; more are dropped.
const MOST: usize = 32;
/// Bodies longer than this, in bytes, are not copied: they would be held for as long as the copy runs.
const LARGEST: usize = 4 * 1024 * 1024;
/// A copy whose answer streams takes no longer, all in all.
const LONGEST_STREAM: Duration = Duration::from_secs(600);

/// Places for copies.
pub struct Mirrors(Arc<Semaphore>);

impl Default for Mirrors {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MOST)))
    }
}

/// Sends a copy of `call` where its plan says, if it says so and there is room. Returns at once.
pub fn begin(gateway: &Gateway, exchange: &Exchange, call: &Call, path: &str) {
    let (Some(copied), Some(snapshot)) = (&call.plan.copied, exchange.snapshot.as_ref()) else { return };
    let dropped = || gateway.metrics.rules.mirrored.with_label_values(&[&*copied.rule, "dropped"]).inc();
    if gateway.draining.load(Ordering::Relaxed) || call.body.len() > LARGEST {
        return dropped();
    }
    let Ok(place) = Arc::clone(&gateway.mirrors.0).try_acquire_owned() else { return dropped() };
    let mut call = copy(call, copied, snapshot);
    call.trace = trace::of_a_copy(exchange.trace.as_ref());
    let rates = Rates::of(gateway, snapshot, call.endpoint, call.stream);
    if call.plan.steps.iter().any(|step| rates.denies(step)) {
        return dropped();
    }
    rates.compare(&mut call.plan);
    let Some((step, key, slot)) = target(gateway, &mut call) else { return dropped() };
    let mock = step.provider.mock.and_then(|_| gateway.mock.address().ok());
    let shadow = Shadow {
        of: exchange.request_id.clone(),
        path: path.into(),
        rule: Arc::clone(&copied.rule),
        mock,
        asker: Arc::clone(&gateway.asker),
        observer: Arc::clone(&gateway.observer),
        metrics: gateway.metrics.rules.clone(),
        prices: Arc::clone(&gateway.prices),
        // Nobody asked for it: it counts for the provider and the model only.
        tab: Tab::new(&gateway.meters, &gateway.books, snapshot, None),
        _place: place,
        _slot: slot,
    };
    tokio::spawn(shadow.run(Arc::clone(snapshot), call, step, key));
}

/// The request again, for one model and nobody behind it.
fn copy(call: &Call, copied: &Copied, snapshot: &Snapshot) -> Call {
    let forward = if call.direct_key.is_some() { Forward::default() } else { call.forward.for_a_copy() };
    Call {
        endpoint: call.endpoint,
        model_asked: call.model_asked.clone(),
        stream: call.stream,
        include_usage: true,
        body: call.body.clone(),
        lost: call.lost.clone(),
        peek: call.peek.clone(),
        raw: None,
        decoded: None,
        inlined: false,
        betas: call.betas.clone(),
        task: None,
        single: call.single,
        list: call.list,
        plan: Plan::only(&copied.to, Keys::OfModel, snapshot),
        cursor: Cursor::at_start(call.stream, Wish::default()),
        stage: Stage::new(Instant::now()),
        direct_key: None,
        recovery: Recovery::default(),
        tab: None,
        lease: Lease::default(),
        size: None,
        trace: None,
        forward,
    }
}

/// A key that is well and has a free place: copies do not wait, and do not try how things are.
fn target(gateway: &Gateway, call: &mut Call) -> Option<(Step, Arc<Key>, Slot)> {
    let step = call.cursor.current(&call.plan)?.clone();
    let (Choice::Use { key }, slot) = queue::choose(gateway, call, &step, None) else { return None };
    let slot = slot.or_else(|| queue::take(gateway, call, &step, key))?;
    let key = Arc::clone(step.provider.keys.get(key)?);
    // Which of several servers: the cursor keeps it. What becomes of the copy is not held against any.
    servers::choose(gateway, call, &step, &key).ok()?;
    Some((step, key, slot))
}

/// A copy under way, and where it tells what became of it.
struct Shadow {
    /// Id of the caller's request.
    of: Box<str>,
    path: Box<str>,
    rule: Arc<str>,
    /// Where the built-in mock listens, when it is the target.
    mock: Option<SocketAddr>,
    asker: Arc<Asker>,
    observer: Arc<Observer>,
    metrics: Rules,
    prices: Arc<Prices>,
    tab: Tab,
    _place: OwnedSemaphorePermit,
    _slot: Slot,
}

impl Shadow {
    async fn run(self, snapshot: Arc<Snapshot>, call: Call, step: Step, key: Arc<Key>) {
        let mut exchange = Exchange::new();
        exchange.request_id = request_id::made(exchange.started_at);
        exchange.snapshot = Some(snapshot);
        exchange.prices = Some(Arc::clone(&self.prices));
        exchange.known.came(&call.body);
        exchange.call = Some(Box::new(call));
        if let Err(fault) = self.answer(&mut exchange, &step, &key).await {
            exchange.fault = Some(fault);
        }
        self.tell(&mut exchange, &step, &key);
    }

    /// Asks and reads, with the checks of any answer.
    async fn answer(&self, exchange: &mut Exchange, step: &Step, key: &Arc<Key>) -> Result<(), Fault> {
        if let Some((urls, policy)) = media::needed(exchange) {
            let files = media::fetch(urls, policy).await.map_err(|unfetched| unfetched.fault(&[]))?;
            media::inline(exchange, &files);
        }
        let call = exchange.call.as_mut().ok_or_else(nothing_left)?;
        let upstream = prepare(call, step, key)
            .map_err(|bad| Fault::request(FailureKind::InvalidRequest, 400, bad.message).param(&bad.path))?;
        let mut attempt = Attempt::new(step, key, &call.plan.policy.limits, upstream);
        attempt.clock.of(call.stage.began());
        attempt.backend = call.cursor.backend.clone();
        if prediction::needed(call, &attempt) {
            let message = "answers that are jobs are not copied";
            return Err(Fault::request(FailureKind::InvalidRequest, 400, message));
        }
        proven(&attempt).await?;
        let within = if call.stream { LONGEST_STREAM } else { attempt.limits.request };
        exchange.attempt = Some(Box::new(attempt));
        let question = self.question(exchange)?;
        let seen = Seen::default();
        let answered = timeout(within, self.asker.ask_seen(&question, &seen)).await;
        if let Some(attempt) = exchange.attempt.as_mut() {
            attempt.clock.steps = seen.so_far();
        }
        let answered = answered.map_err(|_| Fault::deadline(Limit::Request, within.as_millis()))?;
        let answered = answered.map_err(|why| Fault::new(FaultClass::ConnectFailed, why.to_string()))?;
        let mut head = answered.head;
        let read = upstream_response_filter::run(&mut head, exchange)
            .and_then(|()| response_body_filter::run(&mut Some(answered.body), true, exchange));
        match read {
            Ok(()) => exchange.fault.take().map_or(Ok(()), Err),
            Err(_) => Err(exchange.fault.take().unwrap_or_else(nothing_left)),
        }
    }

    fn question(&self, exchange: &mut Exchange) -> Result<Question, Fault> {
        let broken = |error: Box<pingora_error::Error>| Fault::new(FaultClass::Internal, error.to_string());
        let mut head = RequestHeader::build(Method::POST, b"/", None).map_err(broken)?;
        upstream_request_filter::run(&mut head, exchange).map_err(broken)?;
        let attempt = exchange.attempt.as_ref().ok_or_else(nothing_left)?;
        let mut at = attempt.endpoint().clone();
        if let Some(mock) = self.mock {
            (at.host, at.port, at.tls) = (mock.ip().to_string().into(), mock.port(), false);
        }
        let (provider, body) = (Arc::clone(&attempt.provider), attempt.upstream.body.clone());
        Ok(Question { provider, at, head, body })
    }

    /// One line in the log, and the counters of copies.
    fn tell(&self, exchange: &mut Exchange, step: &Step, key: &Key) {
        let mut attempt = exchange.attempt.take();
        // It was read when all of it was there: nobody knows when its first token was.
        attempt.iter_mut().for_each(|attempt| attempt.clock.first_token = None);
        let attempt = attempt.as_deref();
        let outcome = if exchange.fault.is_none() { "success" } else { "failed" };
        self.metrics.mirrored.with_label_values(&[&*self.rule, outcome]).inc();
        let usage = attempt.and_then(|attempt| Attempt::usage_in(&attempt.answer, attempt.told_usage));
        let consumed = attempt.zip(usage);
        let charge = consumed.and_then(|(attempt, usage)| cost::of(exchange, attempt, &usage));
        let unpriced =
            consumed.is_some_and(|(attempt, _)| cost::is_unpriced(exchange, attempt, charge.as_ref()));
        let cost_nanos = charge.as_ref().map(|charge| charge.nanos);
        if let Some(nanos) = cost_nanos {
            // For dashboards: the exact amount is in the log line.
            #[expect(clippy::cast_precision_loss, reason = "Prometheus values are floats")]
            self.metrics.mirror_cost.with_label_values(&[&*self.rule]).inc_by(nanos as f64 / 1e9);
        }
        if let Some((attempt, usage)) = consumed {
            let spend = cost::spend(&usage, cost_nanos, false);
            self.tab.spent((&attempt.provider.name, &attempt.model), &spend);
        }
        let label = exchange.fault.as_ref().map_or("success", Fault::label);
        let reason = exchange.fault.as_ref().map(|fault| fault.failure.message.as_str());
        exchange.attempts.extend(attempt.map(|attempt| attempt.record(label, reason)));
        exchange.status = attempt.map_or(0, |attempt| attempt.status);
        let mut record = record::begun(exchange);
        record.path = self.path.clone();
        record.provider = Some(step.provider.name.clone());
        record.model = Some(step.model.clone());
        record.key = key.secret.is_some().then(|| key.name.clone());
        record.upstream_request_id = attempt.and_then(|attempt| attempt.upstream_request_id.clone());
        record.attempts = std::mem::take(&mut exchange.attempts);
        record.usage = usage;
        record.cost_nanos = cost_nanos;
        record.unpriced = unpriced;
        record.charge = charge.map(Box::new);
        record.decision.rule = Some(self.rule.clone());
        // A copy has nobody who waits for it: none of its time is the gateway's.
        record.overhead_us = 0;
        record.mirror_of = Some(self.of.clone());
        self.observer.tell(record);
    }
}
