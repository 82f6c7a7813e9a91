//! Beyond memory: the store, and what means the same, both at once, on the cache's own runtime and not for long.

use std::sync::Arc;
use std::time::Instant;

use pingora_error::Result;
use pingora_proxy::Session;
use tokio::time::timeout;

use super::super::Gateway;
use super::super::exchange::{Call, Exchange};
use super::follow::unless_left;
use super::{Cached, Taken, missed, serve};
use crate::cache::compare::{Compared, Wanted};
use crate::cache::exact::Place;
use crate::cache::found::{Found, Landed};
use crate::cache::{Cache, now_ms};

/// Asks the store on behalf of all who ask the same, and gives what it has.
///
/// # Errors
/// The caller's connection failed.
pub(super) async fn run(
    gateway: &Gateway,
    session: &mut Session,
    exchange: &mut Exchange,
    (call, mut cached): (Call, Box<Cached>),
    began: Instant,
) -> Result<Taken> {
    if gateway.cache.store().is_some() {
        let lookup = lookup(Arc::clone(&gateway.cache), cached.place, cached.wanted.clone());
        let task = gateway.cache.runtime(&gateway.background).spawn(lookup);
        let limited = timeout(cached.settings.lookup_timeout, task);
        let (landed, compared) = match unless_left(session, exchange, limited).await {
            Ok(Ok(Ok(found))) => found,
            // Too slow, or it panicked: as if nothing were there.
            Ok(_) => Default::default(),
            Err(error) => {
                exchange.call = Some(Box::new(call));
                return Err(error);
            }
        };
        cached.compared = compared;
        if let Some(landed) = landed {
            cached.looked = began.elapsed();
            if !cached.settings.shadow
                && let Some(mut lead) = cached.lead.take()
            {
                lead.found(Arc::clone(&landed));
            }
            return serve(gateway, session, exchange, (call, cached), landed).await;
        }
    }
    cached.looked = began.elapsed();
    Ok(missed(gateway, exchange, call, cached))
}

/// The same request's answer, or one of a request that means the same. The first is not waited for longer than it takes.
async fn lookup(
    cache: Arc<Cache>,
    place: Place,
    wanted: Option<Box<Wanted>>,
) -> (Option<Arc<Landed>>, Compared) {
    let now_ms = now_ms();
    let exact = cache.stored(&place, now_ms);
    let Some(wanted) = wanted else { return (exact.await, Compared::default()) };
    let compared = compared(&cache, &wanted, now_ms);
    let (mut exact, mut compared) = (std::pin::pin!(exact), std::pin::pin!(compared));
    tokio::select! {
        biased;
        found = &mut exact => match found {
            Some(landed) => (Some(landed), Compared::default()),
            None => near(compared.await, now_ms),
        },
        told = &mut compared => match exact.await {
            Some(landed) => (Some(landed), told),
            None => near(told, now_ms),
        },
    }
}

async fn compared(cache: &Cache, wanted: &Wanted, now_ms: u64) -> Compared {
    match (cache.compare(), cache.store()) {
        (Some(compare), Some(store)) => compare.lookup(wanted, &store, now_ms).await,
        _ => Compared::default(),
    }
}

fn near(mut compared: Compared, now_ms: u64) -> (Option<Arc<Landed>>, Compared) {
    let near = compared.near.take();
    let landed = near.filter(|(entry, _)| entry.is_alive(now_ms)).and_then(|(entry, similarity)| {
        Landed::of_entry(&entry, Found::Semantic { similarity }).map(Arc::new)
    });
    (landed, compared)
}
