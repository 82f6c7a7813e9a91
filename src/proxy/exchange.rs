//! One downstream request for its whole life: Pingora's CTX.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use translate::loss::Losses;
use translate::relay::Peek;

use super::attempt::Attempt;
use super::cache::Cached;
use super::clock::Marks;
use super::content::Kept;
use super::fault::Fault;
use super::hedge::Rival;
use super::known::Known;
use super::lease::Lease;
use super::queue::Granted;
use super::replay::Stage;
use crate::account::estimate::Size;
use crate::account::prices::Prices;
use crate::account::settle::Tab;
use crate::auth::Caller;
use crate::config::snapshot::{Key, Snapshot};
use crate::inner::Ticket;
use crate::route::endpoint::Endpoint;
use crate::route::plan::{Plan, Step};
use crate::telemetry::access_log::AttemptRecord;
use crate::telemetry::metrics::InFlight;
use crate::telemetry::record::Trace;
use crate::upstream::select::Cursor;

/// Everything one request needs to remember.
pub struct Exchange {
    pub started: Instant,
    /// The same on the wall's clock.
    pub started_at: SystemTime,
    pub marks: Marks,
    /// What is known of it before there is a call, and kept where there never is one.
    pub known: Known,
    /// Its contents, where they are kept.
    pub content: Option<Box<Kept>>,
    /// The caller's `x-request-id`, or one of ours.
    pub request_id: Box<str>,
    /// The trace it belongs to.
    pub trace: Option<Arc<Trace>>,
    /// Loaded once, kept to the end.
    pub snapshot: Option<Arc<Snapshot>>,
    /// What answers cost.
    pub prices: Option<Arc<Prices>>,
    /// Who calls, where a virtual key was shown.
    pub caller: Option<Caller>,
    /// What the cache knows of it, where it was looked up.
    pub cache: Option<Box<Cached>>,
    /// Set where the gateway asks itself: such a request begins no cache, no agent and no copy of its own.
    pub inner: Option<Arc<Ticket>>,
    /// Set once the request is known to go to a provider.
    pub call: Option<Box<Call>>,
    /// The attempt that is running, or that answered.
    pub attempt: Option<Box<Attempt>>,
    /// A place that was waited for, until the attempt that takes it.
    pub granted: Option<Granted>,
    /// How long it waited for places in all.
    pub queued: Option<Duration>,
    /// All attempts that ended, in order, and the running one once it ends.
    pub attempts: Vec<AttemptRecord>,
    /// Attempts that failed.
    pub tried: u32,
    /// The second attempt beside the running one.
    pub rival: Option<Box<Rival>>,
    /// Its second attempt was made.
    pub hedged: bool,
    /// The latest fault: of an attempt, or of the request itself.
    pub fault: Option<Fault>,
    /// Status sent downstream; 0 before.
    pub status: u16,
    /// Time spent waiting for sockets and back-offs.
    waited: Duration,
    /// Since when we wait, while we do.
    waiting: Option<Instant>,
    pub in_flight: Option<InFlight>,
}

/// A request on its way to a provider.
pub struct Call {
    pub endpoint: Endpoint,
    /// The model as the caller wrote it.
    pub model_asked: Box<str>,
    pub stream: bool,
    /// The caller asked for usage in the stream.
    pub include_usage: bool,
    /// The body as it came.
    pub body: Bytes,
    /// What had to be left out of it before anybody was chosen.
    pub lost: Losses,
    pub peek: Peek<'static>,
    /// A request that goes as it is: its method, and its path and query at the provider.
    pub raw: Option<(http::Method, Box<str>)>,
    /// The body decoded, once an attempt on another wire needed it.
    pub decoded: Option<Box<translate::ir::Request>>,
    /// Files of `decoded` that were named by URL are bytes in it now.
    pub inlined: bool,
    /// Anthropic's betas that the caller names, in header and body.
    pub betas: Vec<Box<str>>,
    /// What was asked that is not chat, decoded likewise.
    pub task: Option<super::tasks::Task>,
    /// One input, where the path tells (Gemini's `embedContent`).
    pub single: bool,
    /// A stream that the caller wants as one JSON list (Gemini without `alt=sse`).
    pub list: bool,
    pub plan: Plan,
    pub cursor: Cursor,
    pub stage: Arc<Stage>,
    /// The caller's own provider key (`client.allow_direct_keys`): for the provider that was asked, and
    /// for no other.
    pub direct_key: Option<Arc<Key>>,
    /// Caller headers that go upstream, chosen once.
    pub forward: super::headers::Forward,
    /// Streams that broke, and what becomes of them.
    pub recovery: super::recovery::Recovery,
    /// What it holds of budgets and limits, and what it has spent.
    pub tab: Option<Arc<Tab>>,
    /// Where that is shared with other gateways: what it waits for.
    pub lease: Lease,
    /// How large it is, once that was asked.
    pub size: Option<Size>,
    /// That of its exchange.
    pub trace: Option<Arc<Trace>>,
}

impl Call {
    /// The caller's key, when `step` is at the provider it was meant for.
    #[must_use]
    pub fn direct_key(&self, step: &Step) -> Option<&Arc<Key>> {
        let asked = self.plan.steps.first()?;
        self.direct_key.as_ref().filter(|_| asked.provider.name == step.provider.name)
    }
}

impl Exchange {
    #[must_use]
    pub fn new() -> Self {
        Self {
            started: Instant::now(),
            started_at: SystemTime::now(),
            marks: Marks::default(),
            known: Known::default(),
            content: None,
            request_id: Box::default(),
            trace: None,
            snapshot: None,
            prices: None,
            caller: None,
            cache: None,
            inner: None,
            call: None,
            attempt: None,
            granted: None,
            queued: None,
            attempts: Vec::new(),
            tried: 0,
            rival: None,
            hedged: false,
            fault: None,
            status: 0,
            waited: Duration::ZERO,
            waiting: None,
            in_flight: None,
        }
    }

    /// From now on we wait for somebody else.
    pub fn wait(&mut self) -> Instant {
        *self.waiting.insert(Instant::now())
    }

    /// It is our turn again: the moment, where we waited.
    pub fn work(&mut self) -> Option<Instant> {
        let since = self.waiting.take()?;
        let now = Instant::now();
        self.waited = self.waited.saturating_add(now.saturating_duration_since(since));
        Some(now)
    }

    /// Since when we wait, while we do.
    #[must_use]
    pub fn waits_since(&self) -> Option<Instant> {
        self.waiting
    }

    /// What we took for waiting was our own work after all.
    pub fn forget_wait(&mut self) {
        self.waiting = None;
    }

    /// When the request as a whole must be done: the limit of the policy, or of the first step's provider.
    #[must_use]
    pub fn total_deadline(&self) -> Option<Instant> {
        let plan = &self.call.as_ref()?.plan;
        let network = &plan.steps.first()?.provider.network;
        plan.policy.limits.total.or(network.total_timeout).map(|total| self.started + total)
    }

    /// Time in the gateway less time waiting for sockets.
    #[must_use]
    pub fn overhead(&self) -> Duration {
        self.overhead_of(self.started.elapsed())
    }

    /// The same, where it `took` so long.
    #[must_use]
    pub fn overhead_of(&self, took: Duration) -> Duration {
        let waiting = self.waiting.map_or(Duration::ZERO, |since| since.elapsed());
        took.saturating_sub(self.waited).saturating_sub(waiting)
    }

    /// This goes to the caller: a piece of the answer's body.
    pub fn goes(&mut self, piece: Option<&Bytes>) {
        if let (Some(kept), Some(piece)) = (self.content.as_mut(), piece) {
            kept.goes(piece);
        }
    }

    /// The answer's body carries `extra_fields`.
    #[must_use]
    pub fn extra_fields(&self) -> bool {
        self.call.as_ref().is_some_and(|call| call.endpoint.extra_fields())
    }
}

impl Default for Exchange {
    fn default() -> Self {
        Self::new()
    }
}
