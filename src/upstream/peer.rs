//! How to connect: address, TLS, HTTP version, pool, egress proxy.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use pingora_core::connectors::l4::Connect;
use pingora_core::protocols::l4::stream::Stream;
use pingora_core::protocols::tls::CaType;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_core::utils::tls::WrappedX509;
use pingora_error::{Error, ErrorType, OrErr, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::config::snapshot::{BaseUrl, EgressProxy, Provider, Secret};

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
        options.custom_l4 = Some(Arc::new(ConnectProxy {
            address,
            target: format!("{}:{}", endpoint.host, endpoint.port),
            authorization: proxy.authorization.clone(),
        }));
        (&proxy.host, proxy.port, &endpoint.authority).hash(&mut group);
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

/// Opens connections through an HTTP CONNECT proxy.
#[derive(Debug)]
struct ConnectProxy {
    address: SocketAddr,
    target: String,
    authorization: Option<Secret>,
}

#[async_trait]
impl Connect for ConnectProxy {
    async fn connect(&self, _address: &pingora_core::protocols::l4::socket::SocketAddr) -> Result<Stream> {
        let mut stream = TcpStream::connect(self.address)
            .await
            .or_err_with(ErrorType::ConnectError, || format!("egress proxy {}", self.address))?;
        let _ = stream.set_nodelay(true);
        let mut request = format!("CONNECT {0} HTTP/1.1\r\nHost: {0}\r\n", self.target);
        if let Some(authorization) = &self.authorization {
            request.push_str("Proxy-Authorization: ");
            request.push_str(authorization.expose());
            request.push_str("\r\n");
        }
        request.push_str("\r\n");
        stream.write_all(request.as_bytes()).await.or_err(ErrorType::ConnectError, "egress proxy")?;
        let answer = read_head(&mut stream).await?;
        let status = answer.split(' ').nth(1).unwrap_or_default();
        if !status.starts_with('2') {
            let first = answer.lines().next().unwrap_or_default().to_owned();
            return Error::e_explain(
                ErrorType::ConnectProxyFailure,
                format!("the egress proxy refused to connect: {first}"),
            );
        }
        Ok(Stream::from(stream))
    }
}

/// Reads up to the blank line, byte by byte: what follows belongs to the tunnel.
async fn read_head(stream: &mut TcpStream) -> Result<String> {
    const LIMIT: usize = 8 * 1024;
    let mut head = Vec::with_capacity(256);
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= LIMIT {
            return Error::e_explain(ErrorType::ConnectProxyFailure, "the egress proxy's answer is too long");
        }
        let byte = stream.read_u8().await.or_err(ErrorType::ConnectProxyFailure, "egress proxy")?;
        head.push(byte);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}
