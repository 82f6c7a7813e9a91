//! Connections through a proxy on the way out: HTTP `CONNECT`, and SOCKS5.
//!
//! The proxy is given the provider's name and resolves it; TLS goes through, end to end. Time limits are those of
//! whoever connects.

use std::hash::{Hash, Hasher};
use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use pingora_core::connectors::l4::Connect;
use pingora_core::protocols::l4::stream::Stream;
use pingora_error::{Error, ErrorType, OrErr, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_socks::Error as SocksError;
use tokio_socks::tcp::Socks5Stream;

use crate::config::snapshot::{BaseUrl, EgressProxy, Secret, Tunnel};

/// Connects to `endpoint` through `proxy`, which is at `address`.
#[must_use]
pub fn through(
    proxy: &EgressProxy,
    address: SocketAddr,
    endpoint: &BaseUrl,
) -> Arc<dyn Connect + Send + Sync> {
    let (host, port) = (Arc::clone(&endpoint.host), endpoint.port);
    match &proxy.tunnel {
        Tunnel::Http { authorization } => Arc::new(ConnectProxy {
            address,
            target: match host.contains(':') {
                true => format!("[{host}]:{port}"),
                false => format!("{host}:{port}"),
            },
            authorization: authorization.clone(),
        }),
        Tunnel::Socks5 { user } => Arc::new(SocksProxy { address, host, port, user: user.clone() }),
    }
}

/// As whom the proxy is asked: connections are not shared among different users of it.
pub fn hash(proxy: &EgressProxy, state: &mut impl Hasher) {
    match &proxy.tunnel {
        Tunnel::Http { authorization } => {
            (0_u8, authorization.as_ref().map(Secret::expose)).hash(state);
        }
        Tunnel::Socks5 { user } => {
            (1_u8, user.as_ref().map(|(name, password)| (name, password.expose()))).hash(state);
        }
    }
}

async fn reach(address: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect(address).await.map_err(|error| {
        log::debug!("egress proxy {address}: {error}");
        let what = format!("it cannot be reached ({})", error.kind());
        Error::explain(ErrorType::ConnectProxyFailure, what)
    })?;
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

/// Opens connections through a SOCKS5 proxy.
#[derive(Debug)]
struct SocksProxy {
    address: SocketAddr,
    host: Arc<str>,
    port: u16,
    user: Option<(String, Secret)>,
}

#[async_trait]
impl Connect for SocksProxy {
    async fn connect(&self, _address: &pingora_core::protocols::l4::socket::SocketAddr) -> Result<Stream> {
        let stream = reach(self.address).await?;
        let target = (&*self.host, self.port);
        let opened = match &self.user {
            Some((name, password)) => {
                Socks5Stream::connect_with_password_and_socket(stream, target, name, password.expose()).await
            }
            None => Socks5Stream::connect_with_socket(stream, target).await,
        };
        match opened {
            Ok(tunnel) => Ok(Stream::from(tunnel.into_inner())),
            // What the proxy said has to be put right; what the network did not.
            Err(SocksError::Io(error)) => Error::e_because(
                ErrorType::ConnectProxyFailure,
                "the egress proxy closed the connection",
                error,
            ),
            Err(error) => Error::e_explain(
                ErrorType::ConnectProxyFailure,
                format!("the egress proxy refused to connect: {error}"),
            ),
        }
    }
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
        let mut stream = reach(self.address).await?;
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
