//! Providers that take a job and answer later: the prediction is created and followed, then the attempt is
//! turned to where its answer is.
//!
//! Creating, looking and cancelling are questions of the gateway's own (`upstream/ask`); the answer itself
//! comes through Pingora like any other. A prediction that nobody waits for any more is cancelled: it would
//! run on at the operator's cost. No key leaves for a server that is not the provider's.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use govern::verdict::FaultClass;
use http::{HeaderValue, Method, Uri, header};
use pingora_error::Error;
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::Session;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};
use translate::Wire;
use translate::ir::FailureKind;
use translate::wire::replicate::{Prediction, Status};

use super::attempt::Attempt;
use super::coding::Inflater;
use super::exchange::Call;
use super::fault::Fault;
use super::replay::{DEADLINE, Limit, Stage};
use super::response_body_filter::bad_answer;
use super::retry::connect_reason;
use super::set_deadline;
use super::upstream_request_filter::proof;
use super::upstream_response_filter::hint;
use crate::config::snapshot::BaseUrl;
use crate::credential::Outgoing;
use crate::egress::address::is_public;
use crate::upstream::ask::{Answer, Asker, Question, Unanswered};
use crate::upstream::steps::{Seen, Steps};

/// Between two looks at a prediction: short at first, when most are done.
const FIRST_LOOK: Duration = Duration::from_millis(200);
const LATER_LOOKS: Duration = Duration::from_secs(2);
/// So many looks in a row may fail before the prediction is given up.
const MISSES: u32 = 3;
/// A cancellation takes no longer.
const CANCEL: Duration = Duration::from_secs(10);

/// Another server than the provider's endpoint, named by the provider for one answer.
#[derive(Debug, Clone)]
pub struct Place {
    pub server: BaseUrl,
    /// It is the endpoint's own host: what proves who asks goes there too. To others it does not: the URL of a
    /// stream is a secret of its own.
    pub trusted: bool,
}

impl Place {
    /// Nothing inside our network is reached because a provider's answer names it.
    ///
    /// # Errors
    /// The fault that says so.
    pub fn check(&self, address: IpAddr) -> Result<(), Fault> {
        if self.trusted || is_public(address) {
            return Ok(());
        }
        Err(unreadable("its stream is at an address that is not public"))
    }
}

/// A prediction that runs. Dropped before its end, it is cancelled.
pub struct Running {
    cancel: Option<(Arc<Asker>, Question)>,
}

impl Running {
    /// The prediction has ended: there is nothing to cancel.
    pub fn ended(&mut self) {
        self.cancel = None;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let Some((asker, question)) = self.cancel.take() else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            let why = match timeout(CANCEL, asker.ask(&question)).await {
                Ok(Ok(answer)) if answer.head.status.is_success() => return,
                Ok(Ok(answer)) => format!("status {}", answer.head.status.as_u16()),
                Ok(Err(error)) => error.to_string(),
                Err(_) => "no answer in time".to_owned(),
            };
            log::warn!("a prediction that nobody waits for could not be cancelled: {why}");
        });
    }
}

/// This attempt's provider works that way. A request that goes as it is makes its prediction itself, if any.
#[must_use]
pub fn needed(call: &Call, attempt: &Attempt) -> bool {
    attempt.upstream.target.wire == Wire::Replicate && call.raw.is_none()
}

/// Why the answer's place is not known.
pub enum Ended {
    Fault(Fault),
    /// The caller closed the connection.
    Gone(Box<Error>),
}

impl From<Fault> for Ended {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// How long things may take: the attempt's limits.
pub struct Limits<'a> {
    pub stage: &'a Arc<Stage>,
    pub total: Option<Instant>,
}

/// Creates the prediction and turns the attempt to where its answer is: the prediction once it has ended, or
/// at once its stream. The stage's deadlines end it, and the caller by leaving.
///
/// # Errors
/// [`Ended`]. The prediction, if there is one, is cancelled when the attempt is dropped.
pub async fn begin(
    asker: &Arc<Asker>,
    session: &mut Session,
    attempt: &mut Attempt,
    stream: bool,
    limits: Limits<'_>,
) -> Result<(), Ended> {
    let began = attempt.clock.began;
    let limit = limits.stage.clone();
    let mut followed = std::pin::pin!(follow(asker, attempt, stream, &limits));
    tokio::select! {
        biased;
        done = &mut followed => return done.map_err(Ended::Fault),
        idle = session.downstream_session.read_body_or_idle(true) => match idle {
            Ok(_) => {}
            Err(error) if *error.etype() == DEADLINE => {
                return Err(Fault::deadline(limit.limit(), began.elapsed().as_millis()).into());
            }
            Err(error) => return Err(Ended::Gone(error.into_down())),
        },
    }
    Ok(followed.await?)
}

async fn follow(
    asker: &Arc<Asker>,
    attempt: &mut Attempt,
    stream: bool,
    limits: &Limits<'_>,
) -> Result<(), Fault> {
    let (prediction, body) = create(asker, attempt).await?;
    let Some(path) = prediction.path.as_deref().map(|path| below(attempt.endpoint(), path)) else {
        return Err(unreadable("it has no id"));
    };
    if stream && (!prediction.is_final() || prediction.status == Status::Succeeded) {
        let url = prediction.stream.as_deref().ok_or_else(cannot_stream)?;
        return turn_to_stream(attempt, url);
    }
    set_deadline(limits.stage, Limit::Request, attempt.clock.began + attempt.limits.request, limits.total);
    let look = question(attempt, Method::GET, &path, Bytes::new())?;
    let mut last = (prediction, body);
    let mut pause = FIRST_LOOK;
    let mut missed = 0;
    while !last.0.is_final() {
        sleep(pause).await;
        pause = LATER_LOOKS.min(pause.saturating_mul(2));
        match read(asker.ask(&look).await) {
            Ok(seen) => (last, missed) = (seen, 0),
            Err(fault) if missed < MISSES && passes(fault.class) => missed += 1,
            Err(fault) => return Err(fault),
        }
    }
    if let Some(running) = &mut attempt.running {
        running.ended();
    }
    if last.0.status != Status::Succeeded {
        return Err(failed(attempt, &last.1));
    }
    turn(attempt, None, path);
    Ok(())
}

/// Creates the prediction, in a task of its own: a caller who leaves meanwhile must not leave a prediction
/// behind that nobody knows of.
async fn create(asker: &Arc<Asker>, attempt: &mut Attempt) -> Result<(Prediction, Bytes), Fault> {
    let path = attempt.upstream.target.path.to_string();
    let create = question(attempt, Method::POST, &path, attempt.upstream.body.clone())?;
    let mut cancel = question(attempt, Method::POST, "/", Bytes::new())?;
    let within = attempt.limits.request;
    let (tell, told) = oneshot::channel();
    let asker = Arc::clone(asker);
    tokio::spawn(async move {
        let seen = Seen::default();
        let answer = timeout(within, asker.ask_seen(&create, &seen)).await;
        // The answer itself is still to come.
        let steps = Steps { answered: None, ..seen.so_far() };
        let answer = answer.map_err(|_| Fault::deadline(Limit::Request, within.as_millis())).and_then(read);
        let created = answer.map(|(prediction, body)| {
            let path = prediction.path.as_deref().filter(|_| !prediction.is_final());
            let path = path.map(|path| format!("{}/cancel", below(&cancel.at, path)));
            let set = path.is_some_and(|path| cancel.head.set_raw_path(path.as_bytes()).is_ok());
            (prediction, body, Running { cancel: set.then_some((asker, cancel)) })
        });
        // Nobody there any more: the guard is dropped here, and cancels.
        let _ = tell.send((steps, created));
    });
    let told = told.await.map_err(|_| Fault::new(FaultClass::Internal, "the prediction was lost"))?;
    let (steps, created) = told;
    attempt.clock.steps = steps;
    let (prediction, body, running) = created?;
    attempt.running = Some(running);
    Ok((prediction, body))
}

/// Wrong with this model only: another may stream, and this one will not at the next try.
fn cannot_stream() -> Fault {
    let message = "this model cannot stream at its provider: ask without `stream`";
    let mut fault = Fault::request(FailureKind::InvalidRequest, 400, message);
    fault.class = FaultClass::ModelNotFound;
    fault
}

fn failed(attempt: &Attempt, body: &[u8]) -> Fault {
    match attempt.upstream.target.wire.codec().decode_response(body) {
        Err(bad) => bad_answer(bad),
        Ok(_) => unreadable("it ended without an answer"),
    }
}

/// What may be over at the next look.
fn passes(class: FaultClass) -> bool {
    use FaultClass::{ConnectFailed, ConnectionReset, Overloaded, RateLimited, ServerError};
    matches!(class, ConnectFailed | ConnectionReset | Overloaded | RateLimited | ServerError)
}

fn read(answer: Result<Answer, Unanswered>) -> Result<(Prediction, Bytes), Fault> {
    let Answer { head, body } = answer.map_err(|why| unreached(&why))?;
    let body = plain(&head, body)?;
    if head.status.is_success() {
        let prediction = Prediction::read(&body).map_err(bad_answer)?;
        return Ok((prediction, body));
    }
    let failure = Wire::Replicate.codec().decode_failure(head.status.as_u16(), &body);
    Err(Fault::answered(failure, hint(&head).retry_after_ms))
}

/// The body without a coding that was not asked for. Of a refusal the status counts, whatever its body is in.
fn plain(head: &ResponseHeader, body: Bytes) -> Result<Bytes, Fault> {
    let Some(mut inflater) = Inflater::of(&head.headers) else { return Ok(body) };
    match inflater.inflate(&body) {
        Ok(plain) => Ok(plain.into()),
        Err(why) if head.status.is_success() => Err(Fault::new(FaultClass::BadAnswer, why)),
        Err(_) => Ok(Bytes::new()),
    }
}

/// A question to the provider's own endpoint.
fn question(attempt: &Attempt, method: Method, path: &str, body: Bytes) -> Result<Question, Fault> {
    let at = attempt.endpoint().clone();
    let broken = |error: Box<Error>| Fault::new(FaultClass::Internal, error.to_string());
    let mut head = RequestHeader::build(method, path.as_bytes(), Some(8)).map_err(broken)?;
    let fixed = [
        (header::ACCEPT, "application/json"),
        (header::ACCEPT_ENCODING, "identity"),
        (header::USER_AGENT, concat!("bifrost/", env!("CARGO_PKG_VERSION"))),
    ];
    for (name, value) in fixed {
        head.insert_header(name, HeaderValue::from_static(value)).map_err(broken)?;
    }
    head.insert_header(header::HOST, &*at.authority).map_err(broken)?;
    if head.method == Method::POST {
        head.insert_header(header::CONTENT_LENGTH, body.len()).map_err(broken)?;
    }
    if !body.is_empty() {
        let json = HeaderValue::from_static("application/json");
        head.insert_header(header::CONTENT_TYPE, json).map_err(broken)?;
    }
    for (name, value) in &attempt.provider.network.extra_headers {
        head.insert_header(name.clone(), value.clone()).map_err(broken)?;
    }
    let outgoing = Outgoing {
        method: head.method.as_str(),
        host: &at.authority,
        path_and_query: path,
        headers: &[],
        body: &body,
        now: SystemTime::now(),
    };
    let proven = proof(attempt, &outgoing)
        .map_err(|error| Fault::new(FaultClass::ConnectFailed, error.to_string()))?;
    for (name, value) in proven {
        head.insert_header(name, value).map_err(broken)?;
    }
    Ok(Question { provider: Arc::clone(&attempt.provider), at, head, body })
}

/// A path of the vendor's, below what the configured base puts before its `/v1`.
fn below(at: &BaseUrl, path: &str) -> String {
    let root = at.chat_path.rsplit_once("/v1/").map_or(&*at.root, |(root, _)| root);
    format!("{root}{path}")
}

/// Reads the URL that the provider gave of its stream.
fn turn_to_stream(attempt: &mut Attempt, url: &str) -> Result<(), Fault> {
    let own = attempt.endpoint();
    let uri: Uri = url.parse().map_err(|_| unreadable("the URL of its stream is none"))?;
    let tls = uri.scheme_str() == Some("https");
    let (Some(authority), Some(path)) = (uri.authority(), uri.path_and_query()) else {
        return Err(unreadable("the URL of its stream has no host"));
    };
    if (own.tls && !tls) || authority.as_str().contains('@') {
        return Err(unreadable("the URL of its stream is not safe"));
    }
    let host = authority.host();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let place = Place {
        trusted: own.host.eq_ignore_ascii_case(bare),
        server: BaseUrl {
            tls,
            host: bare.into(),
            port: authority.port_u16().unwrap_or(if tls { 443 } else { 80 }),
            authority: authority.as_str().into(),
            ..own.clone()
        },
    };
    if let Ok(address) = bare.parse() {
        // With an egress proxy nobody here sees the address that a name has; one that is written is seen.
        place.check(address)?;
    }
    let path = path.as_str().to_owned();
    turn(attempt, Some(place), path);
    Ok(())
}

/// From here on the attempt is a `GET` at `path`.
fn turn(attempt: &mut Attempt, place: Option<Place>, path: String) {
    attempt.turned = true;
    attempt.place = place.map(Box::new);
    attempt.upstream.target.path = path.into();
    attempt.upstream.target.fixed = false;
    attempt.upstream.body = Bytes::new();
}

fn unreadable(why: &str) -> Fault {
    Fault::new(FaultClass::BadAnswer, format!("the provider's prediction could not be followed: {why}"))
}

/// Without addresses: those are for the log.
fn unreached(why: &Unanswered) -> Fault {
    log::debug!("a prediction's provider was not reached: {why}");
    match why {
        Unanswered::Unknown { .. } => Fault::new(FaultClass::ConnectFailed, why.to_string()),
        Unanswered::Unconnected(error) => Fault::new(FaultClass::ConnectFailed, connect_reason(error)),
        Unanswered::Broken(error) => {
            let message = format!("the connection broke before an answer ({})", error.etype().as_str());
            Fault::new(FaultClass::ConnectionReset, message)
        }
        Unanswered::TooLong => Fault::new(FaultClass::BadAnswer, why.to_string()),
    }
}
