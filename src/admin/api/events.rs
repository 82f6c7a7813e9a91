//! `/api/events`: what happens now, as one stream of server-sent events.
//!
//! A stream ends when its listener leaves, when whoever opened it may not look any more, and when the gateway ends.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::request::Parts;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use futures_core::Stream;
use serde::Deserialize;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AdminState;
use super::fault::{ErrorBody, Refused};
use crate::admin::door::Visitor;
use crate::observe::live::{Events, Filter, Seen, Topic, Topics, Wish};

/// A comment that keeps what is between from taking the stream for dead.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Whoever opened the stream is asked for again after this time.
const STILL_ADMITTED: Duration = Duration::from_secs(30);
/// A listener that takes nothing for so long has left.
const PATIENCE: Duration = Duration::from_secs(60);

pub fn routes() -> OpenApiRouter<AdminState> {
    OpenApiRouter::new().routes(routes!(events))
}

/// What is listened to. Beside these: the filters of `/api/logs` that need no database (`providers`, `models`, `objects`, `status`, `selected_key_ids`,
/// `virtual_key_ids`, `team_ids`, `customer_ids`, `routing_rule_ids`, `errors`, `min_latency`, `max_latency`, `min_tokens`,
/// `max_tokens`, `min_cost`, `max_cost`); lists are separated by commas. It is read pair by pair, so that a name that is none is
/// refused: this is its documentation.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
struct Wanted {
    /// `req` (finished requests), `flight` (requests under way), `metrics` (each second in numbers), `health` (keys and targets that rest), `config`
    /// (configurations in force). Default: `req`.
    topics: Option<String>,
    /// Of these providers only.
    providers: Option<String>,
    /// Of these models only, as asked or as served.
    models: Option<String>,
    /// `success`, `error`, `cancelled`, or status codes.
    status: Option<String>,
    /// Of these virtual keys only.
    virtual_key_ids: Option<String>,
    /// The last event that was seen; the header `Last-Event-ID` counts first.
    last_event_id: Option<String>,
}

/// What happens now: server-sent events, four batches a second.
///
/// `hello` comes first. `req` has `rows` as `/api/logs` lists them; `notice` says when only one in so many is shown (above 200 a
/// second), `lag` how many were lost because they were not taken in time, `bye` why the stream ends. Each event of `req`, `health`
/// and `config` has an id: whoever comes back with the last one is given what came since, as far as it is kept.
#[utoipa::path(get, path = "/api/events", tag = "logs", params(Wanted), responses(
    (status = 200, body = String, content_type = "text/event-stream"),
    (status = "default", body = ErrorBody)))]
async fn events(State(state): State<AdminState>, head: Parts) -> Result<Response, Refused> {
    let wish = wish(&head)?;
    let listening =
        state.gateway.hub.listen(wish).map_err(|closed| Refused::unavailable(closed.to_string()))?;
    let (to, pieces) = channel(1);
    tokio::spawn(forward(listening, to, (state, head)));
    let mut response = Response::new(Body::from_stream(Pieces(pieces)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

fn wish(head: &Parts) -> Result<Wish, Refused> {
    let since = head.headers.get("last-event-id").and_then(|id| id.to_str().ok()).and_then(Seen::read);
    let mut wish = Wish { topics: Topics::default(), filter: Filter::default(), since };
    for (name, value) in url::form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes()) {
        match &*name {
            "topics" => {
                let topics = Topics::read(&value).map_err(|name| {
                    let known: Vec<&str> = Topic::ALL.into_iter().map(Topic::name).collect();
                    Refused::field(
                        "topics",
                        format!("there is no topic {name:?}: known are {}", known.join(", ")),
                    )
                })?;
                wish.topics = wish.topics.and(topics);
            }
            "last_event_id" => wish.since = wish.since.or_else(|| Seen::read(&value)),
            name => wish.filter.add(name, &value).map_err(|wrong| Refused::field(name, wrong.to_string()))?,
        }
    }
    if wish.topics == Topics::default() {
        wish.topics = Topics::of(&[Topic::Request]);
    }
    Ok(wish)
}

/// Gives events on as they come, until somebody ends it.
async fn forward(mut listening: Events, to: Sender<Bytes>, (state, head): (AdminState, Parts)) {
    let beat = |every: Duration| {
        let mut beats = interval_at(Instant::now() + every, every);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        beats
    };
    let (mut heart, mut gate) = (beat(HEARTBEAT), beat(STILL_ADMITTED));
    loop {
        let piece = tokio::select! {
            event = listening.from.recv() => match event {
                Some(event) => event,
                None => return,
            },
            _ = heart.tick() => Bytes::from_static(b": still here\n\n"),
            _ = gate.tick() => {
                if is_admitted(&state, &head).await {
                    continue;
                }
                let bye = "event: bye\ndata: {\"reason\":\"whoever opened this may not look any more\"}\n\n";
                drop(timeout(PATIENCE, to.send(Bytes::from_static(bye.as_bytes()))).await);
                return;
            }
            () = to.closed() => return,
        };
        if !matches!(timeout(PATIENCE, to.send(piece)).await, Ok(Ok(()))) {
            return;
        }
    }
}

/// The session or token that opened the stream is still good.
async fn is_admitted(state: &AdminState, head: &Parts) -> bool {
    let visitor = head.extensions.get::<Visitor>().copied();
    let visitor = visitor.unwrap_or(Visitor { address: None, secure: false });
    Arc::clone(&state.gate).admit(head, visitor).await.is_ok()
}

/// The body of the answer.
struct Pieces(Receiver<Bytes>);

impl Stream for Pieces {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context).map(|piece| piece.map(Ok))
    }
}
