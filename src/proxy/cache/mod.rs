//! The cache in a request's way: after it is planned and before anything is held for it.
//!
//! Nothing is computed where the plugin is off, the operation has no answers that can be given again, or no cache key
//! is named. A request that is looked up is either answered here (`give`, `follow`) or goes on to a provider, and what comes of
//! that is noted for others (`lead`). What is the same, and whose it is, is decided in `crate::cache` and `translate::cache`.

mod asked;
mod follow;
mod give;
pub mod lead;
mod look;
mod stream;
pub mod told;
mod wish;

use std::sync::Arc;
use std::time::{Duration, Instant};

use pingora_error::Result;
use pingora_proxy::Session;

use self::asked::Asked;
use self::wish::Wish;
use super::Gateway;
use super::exchange::{Call, Exchange};
use super::fault::Fault;
use crate::cache::compare::{Compared, Wanted};
use crate::cache::exact::Place;
use crate::cache::flight::{FlightKey, Joined, Lead};
use crate::cache::found::Landed;
use crate::cache::{Cache, now_ms};
use crate::config::cache as settings;
use crate::route::endpoint::Operation;

/// What the cache knows of one request.
pub struct Cached {
    pub(super) settings: Arc<settings::Cache>,
    cache: Arc<Cache>,
    background: tokio::runtime::Handle,
    wish: Wish,
    /// `virtual_key:ID`, …
    tenant: Box<str>,
    /// The beginning of what is asked, where it is kept.
    title: Box<str>,
    place: Place,
    /// Whose answer is kept under this fingerprint: provider and model, as far as they matter.
    only: Only,
    wanted: Option<Box<Wanted>>,
    compared: Compared,
    /// It was given this.
    pub(super) given: Option<Arc<Landed>>,
    /// It would have been given this, were the cache not to be watched first.
    shadow: Option<Arc<Landed>>,
    lead: Option<Lead>,
    /// How long the lookup took.
    looked: Duration,
}

/// Answers of others than these are not kept under a request's fingerprint.
#[derive(Debug, Clone, Default)]
struct Only {
    provider: Option<Arc<str>>,
    model: Option<Arc<str>>,
}

/// What becomes of a request.
pub enum Taken {
    /// It goes on to a provider.
    On(Box<Call>),
    /// It was answered.
    Answered,
    /// It is refused. `Exchange::call` is set.
    Refused(Fault),
}

/// Looks a request up, if that is wanted.
///
/// # Errors
/// The caller's connection failed.
pub async fn take(
    gateway: &Gateway,
    session: &mut Session,
    exchange: &mut Exchange,
    mut call: Call,
) -> Result<Taken> {
    let Some(settings) = exchange.snapshot.as_ref().and_then(|snapshot| snapshot.cache.clone()) else {
        return Ok(Taken::On(Box::new(call)));
    };
    if !can_be_cached(&call) || exchange.inner.is_some() {
        return Ok(Taken::On(Box::new(call)));
    }
    let began = Instant::now();
    let headers = &session.req_header().headers;
    let wish = match Wish::of(headers, &settings, exchange.caller.as_ref(), &call.plan) {
        Ok(Some(wish)) => wish,
        Ok(None) => return Ok(Taken::On(Box::new(call))),
        Err(fault) => return Ok(refused(exchange, call, fault)),
    };
    let Some(asked) = Asked::of(exchange, &mut call, (&settings, &wish)) else {
        // Nobody knows what it asks: its provider will say what is wrong with it.
        return Ok(Taken::On(Box::new(call)));
    };
    let mut cached = Box::new(asked.cached(gateway, settings, wish));
    let found = gateway.cache.at_hand(&cached.place, now_ms());
    if let Some(landed) = found {
        cached.looked = began.elapsed();
        return serve(gateway, session, exchange, (call, cached), landed).await;
    }
    if cached.wish.no_store {
        cached.looked = began.elapsed();
        return Ok(missed(gateway, exchange, call, cached));
    }
    let shares = cached.wish.shares && !cached.settings.shadow;
    let room = usize::try_from(cached.settings.max_memory).unwrap_or(usize::MAX);
    match gateway.cache.flights.join(cached.flight(), (shares, call.stream), room) {
        Joined::Follow(follower) => follow::run(gateway, session, exchange, (call, cached), follower).await,
        Joined::Lead(mut lead) => {
            // The flight before this one may have landed since memory was looked at.
            if let Some(landed) = gateway.cache.at_hand(&cached.place, now_ms()) {
                cached.looked = began.elapsed();
                if !cached.settings.shadow {
                    lead.found(Arc::clone(&landed));
                } else {
                    cached.lead = Some(lead);
                }
                return serve(gateway, session, exchange, (call, cached), landed).await;
            }
            cached.lead = Some(lead);
            look::run(gateway, session, exchange, (call, cached), began).await
        }
    }
}

impl Cached {
    fn flight(&self) -> FlightKey {
        let threshold = self.wanted.as_ref().map(|wanted| wanted.threshold.to_bits());
        FlightKey { id: self.place.id, threshold }
    }

    /// What comes of its call is noted for others.
    #[must_use]
    pub fn leads(&self) -> bool {
        self.lead.is_some()
    }
}

/// There are answers to it that another can be given. A caller's own provider key may open what ours does not.
fn can_be_cached(call: &Call) -> bool {
    let kept = matches!(
        call.endpoint.operation,
        Operation::Chat | Operation::Completions | Operation::Embeddings | Operation::Rerank
    );
    kept && call.raw.is_none() && call.direct_key.is_none()
}

/// There is an answer: it is given, or noted where the cache is only watched.
async fn serve(
    gateway: &Gateway,
    session: &mut Session,
    exchange: &mut Exchange,
    (call, mut cached): (Call, Box<Cached>),
    landed: Arc<Landed>,
) -> Result<Taken> {
    if cached.settings.shadow {
        gateway.cache.metrics.shadow.with_label_values(&[landed.found.name()]).inc();
        cached.shadow = Some(landed);
        return Ok(missed(gateway, exchange, call, cached));
    }
    give::run(gateway, session, exchange, (call, cached), landed).await
}

/// There is no answer: it goes on.
fn missed(gateway: &Gateway, exchange: &mut Exchange, call: Call, cached: Box<Cached>) -> Taken {
    gateway.cache.metrics.misses.inc();
    gateway.cache.metrics.lookup.observe(cached.looked.as_secs_f64());
    exchange.cache = Some(cached);
    Taken::On(Box::new(call))
}

fn refused(exchange: &mut Exchange, call: Call, fault: Fault) -> Taken {
    exchange.known.call(&call);
    exchange.call = Some(Box::new(call));
    Taken::Refused(fault)
}
