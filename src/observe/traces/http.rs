//! OTLP over HTTP: protobuf, through the gateway's own egress.

use std::io::{self, Write};
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{HeaderValue, Request, header};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message;

use super::trouble::{Rejected, Trouble};
use crate::config::traces::Collector;
use crate::egress::http::Client;

/// Sends exports to one collector.
pub struct Http {
    client: Client,
}

impl Http {
    /// # Errors
    /// The system's certificates cannot be read.
    pub fn new(collector: &Collector) -> io::Result<Self> {
        Ok(Self { client: Client::new(&collector.ca)? })
    }

    /// # Errors
    /// The collector did not take it.
    pub async fn send(
        &self,
        collector: &Collector,
        export: &ExportTraceServiceRequest,
    ) -> Result<Rejected, Trouble> {
        let request = request(collector, export).map_err(|error| Trouble::lasting(error.to_string()))?;
        let (head, body) =
            self.client.ask(request).await.map_err(|error| Trouble::passing(error.to_string()))?;
        match head.status.as_u16() {
            // An answer that is none says that all is well: not every collector knows what to write.
            200..=299 => Ok(rejected(&body)),
            status @ (429 | 502 | 503 | 504) => {
                let after = head.headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
                let after = after.and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
                Err(Trouble { after, ..Trouble::passing(refusal(status, &body)) })
            }
            status => Err(Trouble::lasting(refusal(status, &body))),
        }
    }
}

fn request(collector: &Collector, export: &ExportTraceServiceRequest) -> io::Result<Request<Bytes>> {
    let mut body = export.encode_to_vec();
    if collector.gzip {
        let mut packed = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
        packed.write_all(&body)?;
        body = packed.finish()?;
    }
    let mut request = Request::new(Bytes::from(body));
    *request.method_mut() = http::Method::POST;
    *request.uri_mut() = collector.url.clone();
    let headers = request.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
    headers.insert(header::USER_AGENT, HeaderValue::from_static(super::grpc::AGENT));
    if collector.gzip {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    headers.extend(collector.headers.iter().map(|(name, value)| (name.clone(), value.clone())));
    Ok(request)
}

/// What is said of spans that it did not take.
fn rejected(body: &[u8]) -> Rejected {
    let answer = ExportTraceServiceResponse::decode(body).unwrap_or_default();
    let Some(partial) = answer.partial_success else { return Rejected::default() };
    Rejected {
        spans: u64::try_from(partial.rejected_spans).unwrap_or(0),
        why: super::trouble::line(&partial.error_message),
    }
}

/// A body that is text says more than the status alone; most are protobuf.
fn refusal(status: u16, body: &[u8]) -> String {
    let text = std::str::from_utf8(body).unwrap_or_default().trim();
    let readable = !text.is_empty() && !text.chars().any(|c| c.is_control() && !c.is_whitespace());
    if readable { format!("status {status}: {text}") } else { format!("status {status}") }
}
