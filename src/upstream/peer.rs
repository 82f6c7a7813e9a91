//! How to connect: address, TLS, HTTP version, pool, egress proxy.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use pingora_core::protocols::tls::CaType;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_core::utils::tls::WrappedX509;

use super::tunnel;
use crate::config::snapshot::{BaseUrl, EgressProxy, Provider};

/// Pooled connections idle longer than this are closed: below the usual 60 s of load balancers.
const IDLE: Duration = Duration::from_secs(55);
/// Streams per HTTP/2 connection; Pingora's default is one.
const H2_STREAMS: usize = 100;

/// The peer of one attempt. `fresh` forces a new connection.
#[must_use]
pub fn peer(provider: &Provider, endpoint: &BaseUrl, address: SocketAddr, fresh: bool) -> HttpPeer {
    let network = &provider.network;
    // With an egress proxy `address` is the proxy's: the pool checks the socket's peer against it.
    let mut peer = HttpPeer::new(address, endpoint.tls, endpoint.host.to_string());
    let options = &mut peer.options;
    options.connection_timeout = Some(network.connect_timeout);
    options.total_connection_timeout = Some(network.connect_timeout.saturating_mul(2));
    options.idle_timeout = Some(IDLE);
    if network.insecure_skip_verify {
        options.verify_cert = false;
        options.verify_hostname = false;
    }
    if network.enforce_http2 {
        options.set_http_version(2, 2);
        options.max_h2_streams = H2_STREAMS;
    }
    // Neither the CA nor the connector is part of Pingora's pool key: they go into the group.
    let mut group = DefaultHasher::new();
    if !network.ca.is_empty() {
        options.ca = Some(roots(&network.ca));
        network.ca.hash(&mut group);
    }
    if let Some(proxy) = &network.proxy {
        options.custom_l4 = Some(tunnel::through(proxy, address, endpoint));
        // The proxy's address is part of the pool key; what stands behind it, and as whom it is asked, is not.
        (&proxy.host, proxy.port, &endpoint.authority).hash(&mut group);
        tunnel::hash(proxy, &mut group);
    }
    if fresh {
        static FRESH: AtomicU64 = AtomicU64::new(1);
        FRESH.fetch_add(1, Ordering::Relaxed).hash(&mut group);
    }
    if fresh || !network.ca.is_empty() || network.proxy.is_some() {
        peer.group_key = group.finish();
    }
    peer
}

/// Host and port to resolve: the egress proxy's, or the provider's own.
#[must_use]
pub fn next_hop<'p>(provider: &'p Provider, endpoint: &'p BaseUrl) -> (&'p Arc<str>, u16) {
    match &provider.network.proxy {
        Some(EgressProxy { host, port, .. }) => (host, *port),
        None => (&endpoint.host, endpoint.port),
    }
}

/// Parsed CA certificates, kept by content: parsing on each attempt would cost more than the rest.
fn roots(ca: &[Vec<u8>]) -> Arc<CaType> {
    static KNOWN: RwLock<Option<HashMap<u64, Arc<CaType>>>> = RwLock::new(None);
    let mut hasher = DefaultHasher::new();
    ca.hash(&mut hasher);
    let id = hasher.finish();
    let known = KNOWN.read().unwrap_or_else(PoisonError::into_inner);
    if let Some(found) = known.as_ref().and_then(|known| known.get(&id)) {
        return Arc::clone(found);
    }
    drop(known);
    let parsed: Arc<CaType> = ca.iter().map(|der| certificate(der)).collect::<Vec<_>>().into();
    let mut known = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
    known.get_or_insert_with(HashMap::new).insert(id, Arc::clone(&parsed));
    parsed
}

/// The configuration is compiled only from certificates that parse, so Pingora's parser cannot panic.
fn certificate(der: &[u8]) -> WrappedX509 {
    WrappedX509::new(der.to_vec(), pingora_core::utils::tls::parse_x509)
}
