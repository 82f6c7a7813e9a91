//! OTLP over gRPC: the official service, over connections that are made here, with the program's one TLS stack.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Uri};
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use super::trouble::{Rejected, Trouble, line};
use crate::config::traces::Collector;
use crate::egress::http::tls;

/// How exports call themselves.
pub const AGENT: &str = concat!("bifrost-otlp/", env!("CARGO_PKG_VERSION"));
const CONNECT: Duration = Duration::from_secs(5);

/// Sends exports to one collector, over one connection.
pub struct Grpc {
    client: TraceServiceClient<Channel>,
    metadata: MetadataMap,
}

/// A connection of either kind.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Grpc {
    /// Connects with the first export.
    ///
    /// # Errors
    /// The system's certificates cannot be read.
    pub fn new(collector: &Collector) -> io::Result<Self> {
        let mut config = tls(&collector.ca)?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        let connector = TlsConnector::from(Arc::new(config));
        let connect = tower::service_fn(move |uri: Uri| connect(uri, connector.clone()));
        let endpoint = Endpoint::from(collector.url.clone()).connect_timeout(CONNECT);
        let endpoint = endpoint.user_agent(AGENT).map_err(io::Error::other)?;
        let headers: HeaderMap = collector.headers.iter().cloned().collect();
        Ok(Self {
            client: TraceServiceClient::new(endpoint.connect_with_connector_lazy(connect)),
            metadata: MetadataMap::from_headers(headers),
        })
    }

    /// # Errors
    /// The collector did not take it.
    pub async fn send(&self, export: ExportTraceServiceRequest) -> Result<Rejected, Trouble> {
        let mut request = Request::new(export);
        *request.metadata_mut() = self.metadata.clone();
        let answer = self.client.clone().export(request).await.map_err(|status| trouble(&status))?;
        let Some(partial) = answer.into_inner().partial_success else { return Ok(Rejected::default()) };
        Ok(Rejected {
            spans: u64::try_from(partial.rejected_spans).unwrap_or(0),
            why: line(&partial.error_message),
        })
    }
}

async fn connect(uri: Uri, connector: TlsConnector) -> io::Result<TokioIo<Box<dyn Stream>>> {
    let secure = uri.scheme_str() == Some("https");
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
    let port = uri.port_u16().unwrap_or(if secure { 443 } else { 4317 });
    let stream = TcpStream::connect((host.as_str(), port)).await?;
    stream.set_nodelay(true)?;
    if !secure {
        return Ok(TokioIo::new(Box::new(stream)));
    }
    let name = ServerName::try_from(host).map_err(io::Error::other)?;
    Ok(TokioIo::new(Box::new(connector.connect(name, stream).await?)))
}

fn trouble(status: &Status) -> Trouble {
    let mut text = format!("{:?}", status.code());
    if !status.message().is_empty() {
        text = format!("{text}: {}", status.message());
    }
    let mut source = std::error::Error::source(status);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    let passes = match status.code() {
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss => true,
        // It says when: else it has none left for good.
        Code::ResourceExhausted => !status.details().is_empty(),
        _ => false,
    };
    Trouble { passes, ..Trouble::passing(text) }
}
