//! Collectors of traces: OTLP's own service over gRPC, its messages over HTTP.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use rustls::ServerConfig;
use tokio_rustls::TlsAcceptor;
use tonic::{Request, Response, Status};
use tower::ServiceExt;

use crate::support::Watched;
use crate::support::upstream::{Act, Hit, Script, Upstream};

/// What a collector was sent.
#[derive(Debug, Default)]
pub struct Received {
    pub exports: Vec<ExportTraceServiceRequest>,
    /// Of each export.
    pub headers: Vec<Vec<(String, String)>>,
}

/// A running collector. Its threads end with the test process.
pub struct Collector {
    pub port: u16,
    pub received: Arc<Watched<Received>>,
}

/// What a collector answers to the nth export, from 1.
pub type Answer = Arc<dyn Fn(usize) -> Result<u64, Status> + Send + Sync>;

/// Takes all.
pub fn takes() -> Answer {
    Arc::new(|_| Ok(0))
}

impl Collector {
    /// Over HTTP; `answer` is the script of an export that was received.
    pub fn http(answer: impl Fn(usize) -> Script + Send + Sync + 'static) -> Self {
        let received: Arc<Watched<Received>> = Watched::new(Received::default());
        let seen = Arc::clone(&received);
        let upstream = Upstream::start(move |hit| {
            let count = seen.change(|seen| {
                seen.exports.push(decoded(hit));
                seen.headers.push(hit.headers.clone());
                seen.exports.len()
            });
            answer(count)
        });
        Self { port: upstream.port, received }
    }

    /// Over gRPC, with TLS or without.
    pub fn grpc(tls: Option<Arc<ServerConfig>>, answer: Answer) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let received = Watched::new(Received::default());
        let service = Service { received: Arc::clone(&received), answer };
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                let acceptor = tls.map(TlsAcceptor::from);
                while let Ok((socket, _)) = listener.accept().await {
                    let (service, acceptor) = (service.clone(), acceptor.clone());
                    tokio::spawn(async move {
                        match acceptor {
                            Some(acceptor) => {
                                if let Ok(socket) = acceptor.accept(socket).await {
                                    connection(socket, service).await;
                                }
                            }
                            None => connection(socket, service).await,
                        }
                    });
                }
            });
        });
        Self { port, received }
    }

    /// Waits for a span, and for all of its trace that came until then.
    pub fn span(&self, what: &str, find: impl Fn(&Span) -> bool) -> Span {
        self.received.wait_for(what, |seen| spans(seen).find(|span| find(span)).cloned())
    }

    /// Waits for the spans of one trace, once there are so many.
    pub fn trace(&self, id: &str, count: usize) -> Vec<Span> {
        self.received.wait_for(&format!("{count} spans of {id}"), |seen| {
            let found: Vec<Span> = spans(seen).filter(|span| hex(&span.trace_id) == id).cloned().collect();
            (found.len() >= count).then_some(found)
        })
    }
}

/// The answer of a collector over HTTP.
pub fn http_answer(status: u16, rejected: i64) -> Script {
    let partial = ExportTracePartialSuccess { rejected_spans: rejected, error_message: "no room".to_owned() };
    let answer = ExportTraceServiceResponse { partial_success: (rejected > 0).then_some(partial) };
    let body = answer.encode_to_vec();
    let head = format!(
        "HTTP/1.1 {status} Whatever\r\ncontent-type: application/x-protobuf\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    vec![Act::Send([head.into_bytes(), body].concat())]
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An attribute as text: numbers and flags as they print.
pub fn attribute(span: &Span, name: &str) -> Option<String> {
    let found = span.attributes.iter().find(|attribute| attribute.key == name)?;
    Some(match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        Value::DoubleValue(number) => number.to_string(),
        Value::BoolValue(flag) => flag.to_string(),
        other => format!("{other:?}"),
    })
}

/// Names of all attributes.
pub fn names(span: &Span) -> Vec<&str> {
    span.attributes.iter().map(|attribute| attribute.key.as_str()).collect()
}

fn spans(seen: &Received) -> impl Iterator<Item = &Span> {
    let resources = seen.exports.iter().flat_map(|export| &export.resource_spans);
    resources.flat_map(|resource| &resource.scope_spans).flat_map(|scope| &scope.spans)
}

fn decoded(hit: &Hit) -> ExportTraceServiceRequest {
    assert_eq!((hit.method.as_str(), hit.header("content-type")), ("POST", Some("application/x-protobuf")));
    let body = match hit.header("content-encoding") {
        Some("gzip") => {
            let mut plain = Vec::new();
            std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&*hit.body), &mut plain).unwrap();
            plain
        }
        _ => hit.body.clone(),
    };
    ExportTraceServiceRequest::decode(&*body).expect("an export")
}

#[derive(Clone)]
struct Service {
    received: Arc<Watched<Received>>,
    answer: Answer,
}

#[tonic::async_trait]
impl TraceService for Service {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let headers: Vec<(String, String)> = request
            .metadata()
            .clone()
            .into_headers()
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap_or_default().to_owned()))
            .collect();
        let count = self.received.change(|seen| {
            seen.exports.push(request.into_inner());
            seen.headers.push(headers);
            seen.exports.len()
        });
        let rejected = (self.answer)(count)?;
        let partial = ExportTracePartialSuccess {
            rejected_spans: i64::try_from(rejected).unwrap(),
            error_message: "no room".to_owned(),
        };
        Ok(Response::new(ExportTraceServiceResponse { partial_success: (rejected > 0).then_some(partial) }))
    }
}

/// The official service behind a plain HTTP/2 connection.
async fn connection<S>(socket: S, service: Service)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let Ok(mut connection) = h2::server::handshake(socket).await else { return };
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        let service = TraceServiceServer::new(service.clone());
        tokio::spawn(async move {
            let (head, mut incoming) = request.into_parts();
            let mut body = Vec::new();
            while let Some(Ok(data)) = incoming.data().await {
                let _ = incoming.flow_control().release_capacity(data.len());
                body.extend_from_slice(&data);
            }
            let request =
                http::Request::from_parts(head, tonic::body::Body::new(Full::new(Bytes::from(body))));
            let Ok(answer) = service.oneshot(request).await;
            let (head, body) = answer.into_parts();
            let collected = body.collect().await.unwrap();
            let trailers = collected.trailers().cloned();
            let data = collected.to_bytes();
            let only_head = data.is_empty() && trailers.is_none();
            let Ok(mut out) = respond.send_response(http::Response::from_parts(head, ()), only_head) else {
                return;
            };
            if only_head {
                return;
            }
            let _ = out.send_data(data, trailers.is_none());
            if let Some(trailers) = trailers {
                let _ = out.send_trailers(trailers);
            }
        });
    }
}
