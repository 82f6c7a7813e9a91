//! A request comes in: which endpoint, who calls, what is asked, which attempts.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use govern::verdict::FaultClass;
use http::HeaderValue;
use pingora_error::Result;
use pingora_proxy::Session;
use translate::Wire;
use translate::ir::FailureKind;
use translate::relay::{self, Fallback, Peek};
use translate::wire::BadRequest;

use super::cache::Taken;
use super::content::Kept;
use super::cost::Rates;
use super::exchange::{Call, Exchange};
use super::fault::Fault;
use super::front;
use super::headers::{Forward, betas, credential};
use super::hedge;
use super::lease::Lease;
use super::replay::{self, Stage};
use super::{
    Gateway, administration, admit, body, cache, content, count, cursor, flight, inner, invoke, mirror,
    passthrough, recovery, request_id, reserve, respond, rules, signature, trace, wish,
};
use crate::auth::Caller;
use crate::config::snapshot::{Key, Secret, Snapshot};
use crate::inner::Purpose;
use crate::route::endpoint::{self, Endpoint, Local, Operation, Route};
use crate::route::model::UnknownModel;
use crate::route::plan::Plan;
use crate::telemetry::access_log::AttemptRecord;
use crate::upstream::select::Cursor;
use crate::upstream::target;

/// True when the request was answered here.
///
/// # Errors
/// Only when the caller's connection failed: everything else is answered.
pub async fn run(gateway: &Gateway, session: &mut Session, exchange: &mut Exchange) -> Result<bool> {
    exchange.in_flight = Some(gateway.metrics.enter());
    exchange.request_id = request_id::of(&session.req_header().headers, exchange.started_at);
    let snapshot = gateway.config.load_full();
    exchange.snapshot = Some(Arc::clone(&snapshot));
    exchange.prices = Some(Arc::clone(&gateway.prices));
    exchange.inner = inner::ticket(session);

    if head_size(session) > LARGEST_HEAD {
        let message = format!("the request's headers are larger than {} KB", LARGEST_HEAD / 1024);
        return refuse(session, exchange, front::too_large(&message)).await;
    }
    let uri_path = session.req_header().uri.path();
    let route = route(&session.req_header().method, uri_path, &snapshot);
    exchange.known.route(&route);
    if matches!(route, Route::Provider(_)) {
        exchange.trace = trace::join(&session.req_header().headers, &snapshot.traces);
    }
    if let Err(fault) = admit::run(gateway, session, &snapshot, &route, exchange) {
        return refuse(session, exchange, fault).await;
    }
    let on_path = match route {
        Route::Provider(asked) => asked,
        Route::Local(local) => {
            let reply = crate::admin::answer(gateway, session, &snapshot, (local, &*exchange));
            return finish(session, exchange, reply).await;
        }
        Route::Administration => {
            administration::answer(gateway, session, exchange, &snapshot).await?;
            return Ok(true);
        }
        Route::MethodNotAllowed { allow } => {
            let fault = not_allowed(&session.req_header().method, uri_path, allow);
            return refuse(session, exchange, fault).await;
        }
        Route::NotFound { nearest } => {
            let message = format!("no such path: {uri_path}. The nearest one is {nearest}");
            return refuse(session, exchange, Fault::request(FailureKind::NotFound, 404, message)).await;
        }
    };

    let body = match intake(session, exchange, &snapshot).await {
        Ok(body) => body,
        Err(fault) => return refuse(session, exchange, fault).await,
    };
    let (caller, purpose) = (exchange.caller.as_ref(), exchange.inner.as_ref().map(|ticket| ticket.purpose));
    let asked = Asked { on_path, body, started: exchange.started, caller, purpose };
    let planned = plan(gateway, session, &snapshot, asked);
    exchange.marks.planned = Some(Instant::now());
    match planned {
        Ok(call) => {
            exchange.known.understood();
            begin(gateway, session, exchange, call).await
        }
        Err(fault) => {
            exchange.known.refused();
            refuse(session, exchange, fault).await
        }
    }
}

/// Scrapes that need a login are the administration's.
fn route(method: &http::Method, path: &str, snapshot: &Snapshot) -> Route {
    match endpoint::find(method, path) {
        Route::Local(Local::Metrics) if snapshot.access.metrics => Route::Administration,
        route => route,
    }
}

/// The path is there for other methods: `allow`.
fn not_allowed(method: &http::Method, path: &str, allow: &'static str) -> Fault {
    let message = format!("{method} is not allowed on {path}, use {allow}");
    let mut fault = Fault::request(FailureKind::InvalidRequest, 405, message);
    fault.headers.push((http::header::ALLOW, HeaderValue::from_static(allow)));
    fault
}

/// Reads the body, and notes what is to be known of it.
///
/// # Errors
/// It cannot be read, or is not what its sender has signed.
async fn intake(
    session: &mut Session,
    exchange: &mut Exchange,
    snapshot: &Snapshot,
) -> std::result::Result<Bytes, Fault> {
    exchange.marks.admitted = Some(exchange.wait());
    let body = body::read(session, &snapshot.client).await;
    exchange.marks.body = exchange.work();
    // Where the body ends is not known: nothing behind it may be taken for a request.
    let body = body.inspect_err(|_| session.set_keepalive(None))?;
    exchange.known.came(&body);
    let (logging, headers) = (&snapshot.client.logging, &session.req_header().headers);
    if content::wanted(logging, exchange.caller.as_ref(), headers) {
        exchange.content = Some(Box::new(Kept::new(&body, logging.most_content)));
    }
    signature::check(session.req_header(), &body, &snapshot.client)?;
    Ok(body)
}

/// The request is understood: it goes to a provider, unless the answer is made here.
async fn begin(
    gateway: &Gateway,
    session: &mut Session,
    exchange: &mut Exchange,
    mut call: Call,
) -> Result<bool> {
    trace::hand_on(exchange, &mut call);
    match count::unasked(gateway, exchange, &mut call) {
        Ok(None) => {}
        Ok(Some(reply)) => {
            exchange.call = Some(Box::new(call));
            return finish(session, exchange, reply).await;
        }
        Err(fault) => {
            exchange.known.call(&call);
            return refuse(session, exchange, fault).await;
        }
    }
    let mut call = match cache::take(gateway, session, exchange, call).await? {
        Taken::On(call) => call,
        Taken::Answered => return Ok(true),
        Taken::Refused(fault) => return refuse(session, exchange, fault).await,
    };
    // Who waited beside an equal request is in.
    let entered = match &call.tab {
        Some(_) => Ok(()),
        None => reserve::enter(gateway, exchange, &mut call).await,
    };
    exchange.marks.reserved = Some(Instant::now());
    if let Err(fault) = entered {
        exchange.known.call(&call);
        return refuse(session, exchange, fault).await;
    }
    exchange.attempts.extend(call.plan.ignored.iter().map(|name| {
        let (nobody, name) = ("none".into(), name.as_str().into());
        AttemptRecord::skipped(&nobody, &name, "model_not_found", "no such fallback")
    }));
    exchange.attempts.extend(
        call.plan
            .denied
            .iter()
            .map(|(provider, model, word, why)| AttemptRecord::skipped(provider, model, word, why)),
    );
    // A caller that does not read its answer must not hold it in our memory for ever.
    let timeout = exchange.snapshot.as_ref().map(|snapshot| snapshot.client.request_read_timeout);
    session.downstream_session.set_write_timeout(timeout);
    mirror::begin(gateway, exchange, &call, session.req_header().uri.path());
    replay::wrap(&mut session.downstream_session, call.body.clone(), &call.stage);
    cache::lead::watch(exchange, &call);
    exchange.call = Some(call);
    flight::began(gateway, exchange);
    Ok(false)
}

/// Bytes of a request's path and headers. Tokens and traces fit many times; an attacker's megabyte does not.
const LARGEST_HEAD: usize = 64 * 1024;

fn head_size(session: &Session) -> usize {
    let head = session.req_header();
    let path = head.uri.path_and_query().map_or(0, |path| path.as_str().len());
    head.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum::<usize>() + path
}

/// A request whose body is complete.
struct Asked<'a> {
    on_path: endpoint::Asked,
    body: Bytes,
    started: Instant,
    caller: Option<&'a Caller>,
    /// Of an inner request.
    purpose: Option<Purpose>,
}

/// From a complete body to a call with its plan.
fn plan(gateway: &Gateway, session: &Session, snapshot: &Snapshot, asked: Asked<'_>) -> Result<Call, Fault> {
    let Asked { on_path, body, started, caller, purpose } = asked;
    let on_path = invoke::settled(gateway, snapshot, on_path, &body).map_err(|fault| *fault)?;
    let endpoint = on_path.endpoint;
    if let Some(path) = &on_path.raw {
        let provider = on_path.provider.as_deref();
        let asked = passthrough::Asked { provider, path, body, started, caller };
        return passthrough::plan(session, (snapshot, gateway.catalog), endpoint, asked);
    }
    let bad =
        |bad: BadRequest| Fault::request(FailureKind::InvalidRequest, 400, bad.message).param(&bad.path);
    let body = completed(&on_path, body).map_err(bad)?;
    let (body, lost) = cursor::as_chat(session.req_header().uri.path(), endpoint, body).map_err(bad)?;
    let peek = look(&on_path, &body).map_err(bad)?;
    check_shape(&peek, endpoint, &body).and_then(|()| check_bounds(&peek))?;
    let peek = peek.into_owned();
    let query = session.req_header().uri.query().unwrap_or_default();
    let named = peek.members.value(&body, "fallbacks").is_some();
    let asked = fallbacks_asked(endpoint, &peek, named);
    let direct_key = direct_key(session, snapshot);
    let request = rules::Request {
        endpoint,
        peek: &peek,
        size: body.len(),
        headers: &session.req_header().headers,
        query,
        caller,
        direct: direct_key.is_some(),
        names_fallbacks: named,
        purpose,
    };
    let rules::Planned { plan, wish, own } = steps(gateway, snapshot, request, (asked.as_deref(), &body))?;
    let direct_key = direct_key.filter(|_| own);
    let forward = Forward::choose(&session.req_header().headers, endpoint.service(), direct_key.is_some());
    let cursor = Cursor::at_start(peek.stream, wish);
    Ok(Call {
        endpoint,
        model_asked: peek.model.as_ref().into(),
        stream: peek.stream && endpoint.operation.streams(),
        include_usage: peek.include_usage || endpoint.dialect != Wire::OpenAiChat,
        inlined: false,
        betas: relay::betas_asked(&body, &peek.members, betas(&session.req_header().headers)),
        task: None,
        raw: None,
        single: on_path.single,
        list: endpoint.dialect == Wire::Gemini && !query.split('&').any(|pair| pair == "alt=sse"),
        body,
        lost,
        peek,
        decoded: None,
        plan,
        cursor,
        stage: Stage::new(started),
        direct_key,
        forward,
        recovery: recovery::asked(&session.req_header().headers)?,
        tab: None,
        lease: Lease::default(),
        size: None,
        trace: None,
    })
}

/// Where the request goes, once rules, prices and what the first provider can do are looked at. `fallbacks` are those that it
/// names itself.
fn steps(
    gateway: &Gateway,
    snapshot: &Snapshot,
    request: rules::Request<'_>,
    (fallbacks, body): (Option<&[String]>, &[u8]),
) -> Result<rules::Planned, Fault> {
    let rules::Request { endpoint, peek, headers, .. } = request;
    let rules::Planned { mut plan, mut wish, own } = rules::plan(gateway, snapshot, request, fallbacks)?;
    hedge::wished(headers, &mut plan.policy)?;
    check_operation(&plan, endpoint, peek.stream)?;
    let rates = Rates::of(gateway, snapshot, endpoint, peek.stream);
    let first = rates.check(&mut plan)?;
    wish.pinned = wish.pinned.filter(|_| first);
    rates.compare(&mut plan);
    let prompted = matches!(endpoint.operation, Operation::Chat | Operation::Completions);
    if let Some(step) = plan.steps.first().filter(|_| prompted) {
        wish::by_prompt(&mut wish, step, (body, peek), rates);
    }
    Ok(rules::Planned { plan, wish, own: own && first })
}

/// The caller's own key, where those are taken.
pub fn direct_key(session: &Session, snapshot: &Snapshot) -> Option<Arc<Key>> {
    let given = snapshot.client.allow_direct_keys.then(|| credential(session.req_header())).flatten();
    given.map(|key| Arc::new(Key::direct(Secret::new(key))))
}

/// The fallbacks the request names. `None`: the configured order counts; it names chat models, which can
/// stand in for chat only.
fn fallbacks_asked(endpoint: Endpoint, peek: &Peek<'_>, named: bool) -> Option<Vec<String>> {
    (named || endpoint.operation != Operation::Chat).then(|| peek.fallbacks.iter().map(full_name).collect())
}

fn full_name(fallback: &Fallback) -> String {
    match &fallback.provider {
        Some(provider) => format!("{provider}/{}", fallback.model),
        None => fallback.model.clone(),
    }
}

/// A body whose path tells the model, as its wire has it elsewhere. Others come back as they are.
fn completed(asked: &endpoint::Asked, body: Bytes) -> Result<Bytes, BadRequest> {
    let Some(model) = asked.model.as_deref().filter(|_| !asked.endpoint.dialect.model_in_path()) else {
        return Ok(body);
    };
    let stream = match asked.stream {
        Some(stream) => stream,
        None => relay::peek_beside(&body, model, false).is_ok_and(|peek| peek.streams(&body)),
    };
    relay::complete(&body, model, stream).map(Bytes::from)
}

/// What routing needs of the body, and of the path where that tells it.
fn look<'b>(asked: &endpoint::Asked, body: &'b [u8]) -> Result<Peek<'b>, BadRequest> {
    match asked.model.as_deref().filter(|_| asked.endpoint.dialect.model_in_path()) {
        Some(model) => relay::peek_beside(body, model, asked.stream.unwrap_or(false)),
        None => relay::peek(body),
    }
}

fn check_shape(peek: &Peek<'_>, endpoint: Endpoint, body: &[u8]) -> Result<(), Fault> {
    let turns = endpoint.dialect.turns();
    let missing = match (endpoint.operation, turns) {
        (Operation::Chat, Some(turns)) if !peek.has_list(body, turns) => turns,
        (Operation::CountTokens, Some(turns @ "messages"))
            if endpoint.dialect == Wire::Anthropic && !peek.has_messages =>
        {
            turns
        }
        (Operation::Embeddings, _) if endpoint.dialect == Wire::OpenAiChat && !peek.has_input => "input",
        _ => return Ok(()),
    };
    let expected = if turns == Some(missing) { "a list of messages" } else { "a text or a list" };
    let message = format!("`{missing}` is missing or has the wrong type: expected {expected}");
    Err(Fault::request(FailureKind::InvalidRequest, 400, message).param(missing))
}

/// Names go into headers, labels and lists: none of them is a place for a megabyte.
fn check_bounds(peek: &Peek<'_>) -> Result<(), Fault> {
    const LONGEST: usize = 256;
    if peek.model.len() > LONGEST || peek.model.chars().any(char::is_control) {
        let message = format!("`model` must be at most {LONGEST} bytes without control characters");
        return Err(Fault::request(FailureKind::InvalidRequest, 400, message).param("model"));
    }
    // Some providers have the model in the path.
    let walks = |name: &str| name.split(['/', '\\']).any(|segment| matches!(segment, "." | ".."));
    if walks(&peek.model) {
        let message = "`model` must not have `.` or `..` between its slashes";
        return Err(Fault::request(FailureKind::InvalidRequest, 400, message).param("model"));
    }
    if let Some(at) = peek.fallbacks.iter().position(|fallback| walks(&fallback.model)) {
        let message = "the model of a fallback must not have `.` or `..` between its slashes";
        return Err(
            Fault::request(FailureKind::InvalidRequest, 400, message).param(&format!("fallbacks[{at}]"))
        );
    }
    if peek.fallbacks.len() >= Plan::MAX_STEPS {
        let message = format!(
            "`fallbacks` names {} models; at most {} are taken",
            peek.fallbacks.len(),
            Plan::MAX_STEPS - 1
        );
        return Err(Fault::request(FailureKind::InvalidRequest, 400, message).param("fallbacks"));
    }
    Ok(())
}

/// The first step must be able to do what is asked; fallbacks that cannot are passed over later.
fn check_operation(plan: &Plan, endpoint: Endpoint, stream: bool) -> Result<(), Fault> {
    let Some(step) = plan.steps.first() else {
        return Err(Fault::new(FaultClass::Internal, "the plan is empty"));
    };
    match target::takes(&step.provider, endpoint, stream) {
        true => Ok(()),
        false => {
            let (kind, status) = match endpoint.operation {
                // Clients that count tokens take a 404 as "not here" and estimate by themselves.
                Operation::CountTokens => (FailureKind::NotFound, 404),
                _ => (FailureKind::InvalidRequest, 400),
            };
            let what = endpoint.request_type(stream);
            let (name, offers) = (&step.provider.name, target::offers(&step.provider));
            let message = format!("{name} does not support {what} (unsupported_operation); it has: {offers}");
            let mut fault = Fault::request(kind, status, message);
            fault.failure.code = Some("unsupported_operation".to_owned());
            Err(fault)
        }
    }
}

/// The fault of a model name that leads nowhere.
pub fn model_not_found(name: &str, unknown: &UnknownModel) -> Fault {
    let message = match unknown {
        UnknownModel::ProviderNotConfigured { provider, env } => {
            let how = env.map_or_else(
                || format!("add `providers.{provider}` to the configuration"),
                |env| format!("set {env}, or add `providers.{provider}` to the configuration"),
            );
            format!("the model `{name}` needs the provider `{provider}`, which is not configured: {how}")
        }
        UnknownModel::NoSuchModel { near } if near.is_empty() => {
            format!(
                "no configured provider has the model `{name}`. Write it as `provider/model`; GET /v1/models lists what there is"
            )
        }
        UnknownModel::NoSuchModel { near } => {
            format!("no configured provider has the model `{name}`. Did you mean {}?", near.join(" or "))
        }
    };
    let mut fault = Fault::request(FailureKind::ModelNotFound, 404, message).param("model");
    fault.failure.code = Some("model_not_found".to_owned());
    fault
}

/// Answers with an error. The rest of a body that was not read ends the connection: draining an
/// upload that nobody wants costs more than a new connection.
async fn refuse(session: &mut Session, exchange: &mut Exchange, fault: Fault) -> Result<bool> {
    let path = session.req_header().uri.path().to_owned();
    let reply = respond::fault_reply(&fault, exchange, &path);
    exchange.fault = Some(fault);
    finish(session, exchange, reply).await
}

async fn finish(session: &mut Session, exchange: &mut Exchange, reply: respond::Reply) -> Result<bool> {
    if !session.is_body_done() {
        session.set_keepalive(None);
    }
    respond::send(session, exchange, reply).await?;
    Ok(true)
}
