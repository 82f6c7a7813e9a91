//! Where requests to the administration leave the proxy's threads and their answers come back.
//!
//! A proxy thread never runs what the administration does: it hands the whole request over by a bounded channel and
//! waits for the answer, which comes whole or in pieces. Nothing here knows a path.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::response::Parts;
use axum::response::Response;
use bytes::Bytes;
use http_body_util::BodyExt;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tower::ServiceExt;

/// Requests that may wait to be begun.
const WAITING: usize = 64;
/// The head of an answer is there by then.
const WITHIN: Duration = Duration::from_secs(30);
/// Largest body of a request, in bytes.
pub const LARGEST_BODY: u64 = 8 * 1024 * 1024;
/// Pieces of an answer that may wait for the caller.
const PIECES: usize = 8;

/// From where a request came, as its connection shows it. It stands in the request's extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Visitor {
    /// `None` where the connection is no internet one.
    pub address: Option<IpAddr>,
    /// It came over TLS.
    pub secure: bool,
}

/// An answer of the administration.
#[derive(Debug)]
pub struct Answer {
    pub head: Parts,
    pub body: Payload,
}

/// The body of an answer.
#[derive(Debug)]
pub enum Payload {
    Whole(Bytes),
    /// Its end is the end of the channel; an error in it is one of the answer.
    Pieces(mpsc::Receiver<Result<Bytes, Torn>>),
}

/// An answer could not be written to its end.
#[derive(Debug, thiserror::Error)]
#[error("the answer broke off: {0}")]
pub struct Torn(String);

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Closed {
    #[error("too many requests of the administration are waiting")]
    Full,
    #[error("the administration gave no answer in time")]
    Late,
    #[error("the administration does not run")]
    Gone,
}

struct Knock {
    request: Request,
    answer: oneshot::Sender<Answer>,
}

/// The proxy's side.
#[derive(Debug)]
pub struct Door {
    knocks: mpsc::Sender<Knock>,
    /// Until somebody answers.
    behind: Mutex<Option<mpsc::Receiver<Knock>>>,
}

impl Default for Door {
    fn default() -> Self {
        let (knocks, behind) = mpsc::channel(WAITING);
        Self { knocks, behind: Mutex::new(Some(behind)) }
    }
}

impl Door {
    /// Hands a request over and waits for the head of its answer.
    ///
    /// # Errors
    /// Nobody answers, or not in time.
    pub async fn ask(&self, request: http::Request<Bytes>) -> Result<Answer, Closed> {
        let (answer, answered) = oneshot::channel();
        self.knocks.try_send(Knock { request: request.map(Body::from), answer }).map_err(
            |error| match error {
                TrySendError::Full(_) => Closed::Full,
                TrySendError::Closed(_) => Closed::Gone,
            },
        )?;
        match timeout(WITHIN, answered).await {
            Ok(answer) => answer.map_err(|_| Closed::Gone),
            Err(_) => Err(Closed::Late),
        }
    }

    /// Answers with `router`, on `runtime`, as long as the door is there. Only the first call does something.
    pub fn open(&self, runtime: &tokio::runtime::Handle, router: axum::Router) {
        let Some(mut behind) = self.behind.lock().unwrap_or_else(PoisonError::into_inner).take() else {
            return;
        };
        runtime.spawn(async move {
            while let Some(Knock { request, answer }) = behind.recv().await {
                let router = router.clone();
                // A task each: one that panics or takes long is one answer less.
                tokio::spawn(async move {
                    let Ok(response) = router.oneshot(request).await;
                    drop(answer.send(handed_back(response).await));
                });
            }
        });
    }
}

/// An answer whose length is known comes whole.
async fn handed_back(response: Response) -> Answer {
    let (head, body) = response.into_parts();
    if axum::body::HttpBody::size_hint(&body).exact().is_some() {
        return match body.collect().await {
            Ok(collected) => Answer { head, body: Payload::Whole(collected.to_bytes()) },
            Err(error) => {
                let mut head = head;
                head.status = http::StatusCode::INTERNAL_SERVER_ERROR;
                log::error!("an answer of the administration broke off: {error}");
                Answer { head, body: Payload::Whole(Bytes::new()) }
            }
        };
    }
    let (sender, receiver) = mpsc::channel(PIECES);
    tokio::spawn(forward(body, sender));
    Answer { head, body: Payload::Pieces(receiver) }
}

async fn forward(mut body: Body, to: mpsc::Sender<Result<Bytes, Torn>>) {
    while let Some(frame) = body.frame().await {
        let piece = match frame {
            Ok(frame) => match frame.into_data() {
                Ok(data) => Ok(data),
                Err(_) => continue,
            },
            Err(error) => Err(Torn(error.to_string())),
        };
        let last = piece.is_err();
        if to.send(piece).await.is_err() || last {
            return;
        }
    }
}
