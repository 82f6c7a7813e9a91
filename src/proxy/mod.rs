//! The gateway as a Pingora proxy: one file per hook, named as the hook.
//!
//! This file only delegates. What a request remembers is in [`exchange`], one try in [`attempt`].

mod administration;
mod admit;
pub mod attempt;
mod body;
mod cache;
mod clock;
mod closing;
mod coding;
mod content;
mod cost;
mod count;
mod cursor;
pub mod exchange;
mod extra_fields;
mod fail_to_proxy;
pub mod fault;
mod flight;
pub mod front;
pub mod grants;
pub mod headers;
mod hedge;
pub mod inner;
mod invoke;
mod known;
mod lease;
mod logging;
mod measure;
mod media;
mod mirror;
mod passthrough;
mod prediction;
mod queue;
mod record;
mod recovery;
mod replay;
mod request_body_filter;
pub mod request_filter;
mod request_id;
mod reserve;
pub mod respond;
mod response_body_filter;
mod response_filter;
mod retry;
mod rules;
mod servers;
mod signature;
mod tasks;
mod trace;
mod unread;
mod upstream_peer;
mod upstream_request_filter;
mod upstream_response_filter;
mod wish;

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use govern::catalog;
use pingora_core::modules::http::HttpModules;
use pingora_core::protocols::Digest;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_error::{Error, Result};
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::{FailToProxy, ProxyHttp, ProxyWarnLogContext, Session};

use self::exchange::Exchange;
pub use self::mirror::Mirrors;
use crate::account::ledger::Books;
use crate::account::meters::Meters;
use crate::account::prices::Prices;
use crate::admin::door::Door;
use crate::auth::Directory;
use crate::cache::Cache;
use crate::cluster::Cluster;
use crate::config::ConfigHolder;
use crate::inner::Inner;
use crate::mock::Mock;
use crate::observe::Observer;
use crate::observe::explain::Recent;
use crate::observe::live::Hub;
use crate::observe::log::RequestLog;
use crate::observe::sums::Sums;
use crate::observe::traces::Exporters;
use crate::route::cache::Routes;
use crate::store::Store;
use crate::store::keep::Kept;
use crate::telemetry::logger::Sink;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::redact::Redactors;
use crate::upstream::ask::Asker;
use crate::upstream::backend::Groups;
use crate::upstream::capacity::Capacity;
use crate::upstream::health::Registry;
use crate::upstream::hedging::Hedging;
use crate::upstream::resolve::Resolver;

/// What all requests share.
pub struct Gateway {
    pub config: Arc<ConfigHolder>,
    /// Parsed by the first who asks: what only listens does not wait for it.
    pub catalog: &'static catalog::Lazy,
    /// What answers cost.
    pub prices: Arc<Prices>,
    /// What owners of budgets and limits have used and hold.
    pub meters: Arc<Meters>,
    /// Where spends are written down.
    pub books: Arc<Books>,
    pub routes: Routes,
    /// All virtual keys.
    pub directory: Arc<Directory>,
    /// Settings made at run time; `None`: the file is the whole configuration.
    pub store: Option<Arc<Store>>,
    /// The ledger; `None`: what was spent is forgotten with the process.
    pub kept: Option<Kept>,
    /// The request log; `None`: there is none.
    pub requests: Option<Arc<RequestLog>>,
    /// Requests added up.
    pub sums: Arc<Sums>,
    pub health: Arc<Registry>,
    /// Other gateways that count with this one.
    pub cluster: Option<Cluster>,
    pub capacity: Arc<Capacity>,
    pub hedging: Hedging,
    pub resolver: Arc<Resolver>,
    /// For questions beside the answer itself.
    pub asker: Arc<Asker>,
    pub groups: Arc<Groups>,
    pub metrics: Metrics,
    pub log: Arc<Sink>,
    /// Where requests leave what is known of them.
    pub observer: Arc<Observer>,
    /// The latest of them.
    pub recent: Arc<Recent>,
    /// Takes secrets out of what is kept.
    pub redactors: Arc<Redactors>,
    /// Where those come in who watch.
    pub hub: Arc<Hub>,
    /// Collectors of traces.
    pub exporters: Arc<Exporters>,
    /// Answers that are given again.
    pub cache: Arc<Cache>,
    /// Copies of requests for another model.
    pub mirrors: Mirrors,
    /// Requests that the gateway makes for requests.
    pub inner: Arc<Inner>,
    /// Runs what no caller waits for.
    pub background: tokio::runtime::Handle,
    /// Where requests to the administration are handed over.
    pub door: Door,
    /// The built-in mock, once it was asked for.
    pub mock: Mock,
    pub started: Instant,
    /// Set when the process is asked to end: `/readyz` says no from then on.
    pub draining: std::sync::atomic::AtomicBool,
}

/// The Pingora side of [`Gateway`].
pub struct Proxy(pub Arc<Gateway>);

#[async_trait]
impl ProxyHttp for Proxy {
    type CTX = Exchange;

    fn new_ctx(&self) -> Exchange {
        Exchange::new()
    }

    /// No modules: the default compression module costs on every request and is never used.
    fn init_downstream_modules(&self, _modules: &mut HttpModules) {}

    /// The first hook: see [`front`].
    async fn early_request_filter(&self, session: &mut Session, _exchange: &mut Exchange) -> Result<()> {
        front::unwrap(&mut session.downstream_session);
        Ok(())
    }

    async fn request_filter(&self, session: &mut Session, exchange: &mut Exchange) -> Result<bool> {
        request_filter::run(&self.0, session, exchange).await
    }

    async fn upstream_peer(&self, session: &mut Session, exchange: &mut Exchange) -> Result<Box<HttpPeer>> {
        upstream_peer::run(&self.0, session, exchange).await
    }

    async fn connected_to_upstream(
        &self,
        _session: &mut Session,
        reused: bool,
        _peer: &HttpPeer,
        #[cfg(unix)] _fd: std::os::unix::io::RawFd,
        #[cfg(windows)] _sock: std::os::windows::io::RawSocket,
        digest: Option<&Digest>,
        exchange: &mut Exchange,
    ) -> Result<()> {
        clock::connected(exchange, reused, digest);
        Ok(())
    }

    async fn upstream_request_filter(
        &self,
        _session: &mut Session,
        request: &mut RequestHeader,
        exchange: &mut Exchange,
    ) -> Result<()> {
        upstream_request_filter::run(request, exchange)
    }

    async fn request_body_filter(
        &self,
        _session: &mut Session,
        body: &mut Option<Bytes>,
        end_of_stream: bool,
        exchange: &mut Exchange,
    ) -> Result<()> {
        hedge::moment(&self.0, exchange);
        request_body_filter::run(body, end_of_stream, exchange);
        Ok(())
    }

    async fn upstream_response_filter(
        &self,
        _session: &mut Session,
        header: &mut ResponseHeader,
        exchange: &mut Exchange,
    ) -> Result<()> {
        upstream_response_filter::run(header, exchange)
    }

    async fn response_filter(
        &self,
        _session: &mut Session,
        header: &mut ResponseHeader,
        exchange: &mut Exchange,
    ) -> Result<()> {
        flight::answers(&self.0, exchange);
        response_filter::run(header, exchange)
    }

    fn response_body_filter(
        &self,
        _session: &mut Session,
        body: &mut Option<Bytes>,
        end_of_stream: bool,
        exchange: &mut Exchange,
    ) -> Result<Option<Duration>> {
        response_body_filter::run(body, end_of_stream, exchange)?;
        hedge::answered(&self.0, exchange, body.as_ref());
        Ok(None)
    }

    fn fail_to_connect(
        &self,
        _session: &mut Session,
        _peer: &HttpPeer,
        exchange: &mut Exchange,
        error: Box<Error>,
    ) -> Box<Error> {
        retry::fail_to_connect(&self.0, exchange, error)
    }

    fn error_while_proxy(
        &self,
        _peer: &HttpPeer,
        session: &mut Session,
        error: Box<Error>,
        exchange: &mut Exchange,
        client_reused: bool,
    ) -> Box<Error> {
        retry::error_while_proxy(&self.0, session, exchange, error, client_reused)
    }

    async fn fail_to_proxy(
        &self,
        session: &mut Session,
        error: &Error,
        exchange: &mut Exchange,
    ) -> FailToProxy {
        hedge::settle(&self.0, exchange);
        fail_to_proxy::run(session, error, exchange).await
    }

    async fn logging(&self, session: &mut Session, error: Option<&Error>, exchange: &mut Exchange) {
        logging::run(&self.0, session, error, exchange);
    }

    /// Our own line tells more, in one place.
    fn suppress_error_log(&self, _session: &Session, _exchange: &Exchange, _error: &Error) -> bool {
        true
    }

    fn suppress_proxy_warn_log(
        &self,
        _session: &Session,
        _exchange: &Exchange,
        _error: &Error,
        _context: ProxyWarnLogContext,
    ) -> bool {
        true
    }
}

/// Sets the running deadline, or the total one where that is nearer.
fn set_deadline(stage: &replay::Stage, limit: replay::Limit, at: Instant, total: Option<Instant>) {
    match total {
        Some(total) if total < at => stage.set(replay::Limit::Total, total),
        _ => stage.set(limit, at),
    }
}
