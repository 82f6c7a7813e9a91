//! Names to addresses, off the request path where possible.
//!
//! Pingora's own lookup blocks the thread and panics on failure, so it is never given a name. The
//! first request to a host waits for the lookup; later ones read the cache. An address stays the same
//! while it is fresh, so that pooled connections keep matching; a failed refresh keeps the old ones.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

/// Host and port to what is known of them.
type Known = HashMap<(Arc<str>, u16), Arc<Entry>>;

/// Resolved hosts.
#[derive(Debug, Default)]
pub struct Resolver {
    known: RwLock<Known>,
}

#[derive(Debug)]
struct Entry {
    addresses: Vec<SocketAddr>,
    at: Instant,
    refreshing: AtomicBool,
}

impl Resolver {
    /// How long addresses are used without a refresh.
    const FRESH: Duration = Duration::from_secs(60);
    /// A lookup that takes longer has failed.
    const LOOKUP: Duration = Duration::from_secs(5);

    /// An address of `host`. `nth` picks another one on each further attempt of a request.
    ///
    /// # Errors
    /// The lookup failed or gave nothing.
    pub async fn resolve(self: &Arc<Self>, host: &Arc<str>, port: u16, nth: u32) -> io::Result<SocketAddr> {
        if let Ok(ip) = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
            return Ok(SocketAddr::new(ip, port));
        }
        if let Some(entry) = self.find(host, port) {
            if entry.at.elapsed() > Self::FRESH && !entry.refreshing.swap(true, Ordering::Relaxed) {
                let (resolver, host) = (Arc::clone(self), Arc::clone(host));
                tokio::spawn(async move {
                    if let Err(error) = resolver.look_up(&host, port).await {
                        log::warn!("DNS refresh of {host} failed, the old addresses stay: {error}");
                        resolver.keep(&host, port);
                    }
                });
            }
            return choose(&entry, nth);
        }
        let entry = self.look_up(host, port).await?;
        choose(&entry, nth)
    }

    fn find(&self, host: &Arc<str>, port: u16) -> Option<Arc<Entry>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.get(&(Arc::clone(host), port)).cloned()
    }

    async fn look_up(&self, host: &Arc<str>, port: u16) -> io::Result<Arc<Entry>> {
        let lookup = tokio::time::timeout(Self::LOOKUP, tokio::net::lookup_host((&**host, port)));
        let mut addresses: Vec<SocketAddr> =
            lookup.await.map_err(|_| io::Error::other("the DNS lookup took too long"))??.collect();
        // IPv4 first: an unreachable IPv6 route costs a connect timeout.
        addresses.sort_by_key(SocketAddr::is_ipv6);
        addresses.dedup();
        if addresses.is_empty() {
            return Err(io::Error::other("the name has no address"));
        }
        let entry = Arc::new(Entry { addresses, at: Instant::now(), refreshing: AtomicBool::new(false) });
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.insert((Arc::clone(host), port), Arc::clone(&entry));
        Ok(entry)
    }

    /// Keeps the old addresses for another while.
    fn keep(&self, host: &Arc<str>, port: u16) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = known.get_mut(&(Arc::clone(host), port)) {
            *entry = Arc::new(Entry {
                addresses: entry.addresses.clone(),
                at: Instant::now(),
                refreshing: AtomicBool::new(false),
            });
        }
    }
}

fn choose(entry: &Entry, nth: u32) -> io::Result<SocketAddr> {
    let nth = usize::try_from(nth).unwrap_or(0);
    let at = nth.checked_rem(entry.addresses.len()).unwrap_or(0);
    entry.addresses.get(at).copied().ok_or_else(|| io::Error::other("the name has no address"))
}
