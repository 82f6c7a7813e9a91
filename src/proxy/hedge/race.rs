//! The second attempt as a task: it sends its request, and is ahead with the first content of its answer.
//!
//! Until then it judges its answer as the phases judge that of an ordinary attempt, and keeps to the same limits of time;
//! from then on it only carries bytes to whoever took the answer over. Dropped, it closes its connection, which is how
//! providers learn that nobody waits.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use govern::verdict::FaultClass;
use pingora_http::ResponseHeader;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::inspect::{Inspector, Look};
use crate::proxy::attempt::{Answer, Attempt};
use crate::proxy::fault::Fault;
use crate::proxy::queue;
use crate::proxy::replay::{Limit, Stage};
use crate::proxy::response_body_filter::{gather_refusal, refusal};
use crate::proxy::retry::connect_reason;
use crate::proxy::upstream_response_filter::read_refusal;
use crate::upstream::ask::{Asker, Open, Question, Unanswered};
use crate::upstream::handover::{self, Handover, Writer};
use crate::upstream::steps::Seen;

/// What becomes of a second attempt.
pub enum State {
    Running,
    /// Its answer has begun, and waits.
    Ahead(Box<Attempt>, Handover),
    /// Its target knows already.
    Failed(Box<Attempt>, Fault),
    /// Taken, or it came to nothing.
    Over,
}

/// What the task and the request share.
pub struct Shared {
    state: Mutex<State>,
    decided: Notify,
    /// Its steps on the connection.
    pub seen: Seen,
}

impl Shared {
    /// Returns when it is ahead or has failed.
    pub async fn decided(&self) {
        loop {
            let decided = self.decided.notified();
            if !matches!(*self.lock(), State::Running) {
                return;
            }
            decided.await;
        }
    }

    pub fn take(&self) -> State {
        std::mem::replace(&mut *self.lock(), State::Over)
    }

    /// The attempt and its fault, if it has failed.
    pub fn failed<T>(&self, look: impl FnOnce(&Attempt, &Fault) -> T) -> Option<T> {
        match &*self.lock() {
            State::Failed(attempt, fault) => Some(look(attempt, fault)),
            _ => None,
        }
    }

    fn set(&self, state: State) {
        *self.lock() = state;
        self.decided.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running second attempt; ended when dropped.
pub struct Race {
    pub shared: Arc<Shared>,
    task: Option<JoinHandle<()>>,
}

impl Race {
    /// Its answer was taken over: the task goes on as long as that is read.
    pub fn goes_on(mut self) {
        self.task = None;
    }
}

impl Drop for Race {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

/// Decides what was left undecided.
struct Ending(Arc<Shared>);

impl Drop for Ending {
    fn drop(&mut self) {
        if matches!(*self.0.lock(), State::Running) {
            self.0.set(State::Over);
        }
    }
}

/// An attempt with all it needs to run by itself.
pub struct Runner {
    pub attempt: Box<Attempt>,
    pub question: Question,
    pub inspector: Inspector,
    pub asker: Arc<Asker>,
    /// Told when it is ahead.
    pub stage: Arc<Stage>,
}

impl Runner {
    pub fn start(self) -> Race {
        let (state, decided) = (Mutex::new(State::Running), Notify::new());
        let shared = Arc::new(Shared { state, decided, seen: Seen::default() });
        let task = tokio::spawn(self.run(Arc::clone(&shared)));
        Race { shared, task: Some(task) }
    }

    async fn run(mut self, shared: Arc<Shared>) {
        // Whoever waits must learn it if this task panics.
        let shared = Ending(shared);
        let shared = &shared.0;
        let begun = self.begin(&shared.seen).await;
        self.attempt.clock.steps = shared.seen.so_far();
        match begun {
            Ok(begun) => {
                let (writer, handover) = handover::pipe(&begun.head);
                shared.set(State::Ahead(self.attempt, handover));
                self.stage.hedge.overtake();
                // Nobody reads it any more: the connection closes.
                let _ = carry(begun, writer, &self.asker).await;
            }
            Err(fault) => {
                tell(&mut self.attempt, &fault);
                shared.set(State::Failed(self.attempt, fault));
            }
        }
    }

    /// Up to the first content.
    async fn begin(&mut self, seen: &Seen) -> Result<Begun, Fault> {
        let (limits, began) = (self.attempt.limits, self.attempt.clock.began);
        let whole = (Limit::Request, limits.request);
        let (limit, time) = match limits.first_token {
            Some(ttft) if self.inspector.stream && ttft < limits.first_byte => (Limit::FirstToken, ttft),
            _ if self.inspector.stream || limits.first_byte < limits.request => {
                (Limit::FirstByte, limits.first_byte)
            }
            _ => whole,
        };
        let open = within(limit, began, began + time, self.asker.begin(&self.question, seen)).await?;
        let mut open = open.map_err(|why| unanswered(&why))?;
        let Some(head) = open.head() else { return Err(broken("the connection broke before an answer")) };
        self.attempt.status = head.status.as_u16();
        if !head.status.is_success() {
            read_refusal(head, &mut self.attempt);
            return Err(self.refused(open).await);
        }
        self.inspector.head(head);
        let head = Box::new(head.clone());
        let (limit, until) = match limits.first_token {
            _ if !self.inspector.streams() => (whole.0, Some(began + whole.1)),
            Some(ttft) => (Limit::FirstToken, Some(began + ttft)),
            None => (Limit::Idle, None),
        };
        let mut held = Vec::new();
        loop {
            let until = until.unwrap_or_else(|| Instant::now() + limits.idle);
            let piece = within(limit, began, until, open.next()).await?;
            let piece = piece.map_err(|_| Fault::new(FaultClass::BadAnswer, "the answer was cut short"))?;
            let ended = piece.is_none();
            let piece = piece.unwrap_or_default();
            let look = self.inspector.look(&self.attempt, &piece, ended)?;
            held.push(piece);
            if look == Look::Content {
                return Ok(Begun { head, open, held, ended });
            }
        }
    }

    /// The fault that an error status and its body stand for.
    async fn refused(&mut self, mut open: Open) -> Fault {
        self.attempt.answer = Answer::Refused(bytes::BytesMut::new());
        let until = Instant::now() + self.attempt.limits.idle;
        loop {
            let piece = within(Limit::Idle, Instant::now(), until, open.next()).await;
            match piece {
                Ok(Ok(Some(piece))) if gather_refusal(&mut self.attempt, &piece) => {}
                // What there is of it must do.
                _ => return refusal(&self.attempt),
            }
        }
    }
}

/// An answer whose first content is here.
struct Begun {
    head: Box<ResponseHeader>,
    open: Open,
    /// Pieces that were read to know.
    held: Vec<Bytes>,
    ended: bool,
}

async fn carry(begun: Begun, writer: Writer, asker: &Asker) -> Result<(), handover::Gone> {
    let Begun { mut open, held, mut ended, .. } = begun;
    for piece in held {
        writer.push(piece).await?;
    }
    while !ended {
        let piece = tokio::select! {
            piece = open.next() => piece,
            () = writer.gone() => return Err(handover::Gone),
        };
        match piece {
            Ok(Some(piece)) => writer.push(piece).await?,
            Ok(None) => ended = true,
            // The end that does not come tells.
            Err(_) => return Ok(()),
        }
    }
    asker.keep(open).await;
    writer.end().await
}

/// The target learns at once, not when the other attempt ends.
fn tell(attempt: &mut Attempt, fault: &Fault) {
    if let Some(slot) = attempt.slot.take() {
        slot.end(queue::ended(fault.class));
    }
    if attempt.visit.is_some() {
        // One server of several is judged before its target is, when the attempt is written down.
        return;
    }
    if let Some(ticket) = attempt.ticket.take() {
        ticket.failed(fault.class, fault.retry_after_ms);
        if matches!(fault.class, FaultClass::Authentication | FaultClass::Permission) {
            attempt.key.credential.invalidate();
        }
    }
}

async fn within<T>(
    limit: Limit,
    began: Instant,
    until: Instant,
    work: impl Future<Output = T>,
) -> Result<T, Fault> {
    let late = tokio::time::timeout_at(until.into(), work).await;
    late.map_err(|_| Fault::deadline(limit, began.elapsed().max(Duration::from_millis(1)).as_millis()))
}

fn unanswered(why: &Unanswered) -> Fault {
    match why {
        Unanswered::Unconnected(error) => Fault::new(FaultClass::ConnectFailed, connect_reason(error)),
        Unanswered::Unknown { .. } => Fault::new(FaultClass::ConnectFailed, why.to_string()),
        Unanswered::Broken(_) | Unanswered::TooLong => broken("the connection broke before an answer"),
    }
}

fn broken(message: &str) -> Fault {
    Fault::new(FaultClass::ConnectionReset, message)
}
