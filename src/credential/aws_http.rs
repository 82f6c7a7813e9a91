//! The HTTP client under AWS's SDK: ours, so that there is one TLS stack in the binary.

use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use tokio::time::timeout;

use crate::egress::http::{Client, HttpError};

/// See the module's documentation.
#[derive(Debug, Clone)]
pub(super) struct SdkClient(pub Client);

#[derive(Debug)]
struct Connector {
    client: Client,
    /// Longest exchange: short for the metadata service, which is absent on most machines.
    within: Option<Duration>,
}

impl HttpClient for SdkClient {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        _components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let within = match (settings.connect_timeout(), settings.read_timeout()) {
            (Some(connect), Some(read)) => Some(connect + read),
            // The SDK's own default limits the connect alone: there is no reason to cut the answer by it.
            _ => None,
        };
        SharedHttpConnector::new(Connector { client: self.0.clone(), within })
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (client, within) = (self.client.clone(), self.within);
        HttpConnectorFuture::new(async move {
            let request = plain(request)?;
            let asked = client.ask(request);
            let answer = match within {
                Some(within) => timeout(within, asked).await.unwrap_or(Err(HttpError::Timeout(within))),
                None => asked.await,
            };
            let (parts, body) = answer.map_err(failed)?;
            let status =
                parts.status.as_u16().try_into().map_err(|e| ConnectorError::other(Box::new(e), None))?;
            let mut response = HttpResponse::new(status, SdkBody::from(body));
            for (name, value) in &parts.headers {
                if let Ok(value) = value.to_str() {
                    response.headers_mut().append(name.as_str().to_owned(), value.to_owned());
                }
            }
            Ok(response)
        })
    }
}

/// The SDK's request with its body in memory, as all requests for credentials have it.
fn plain(request: HttpRequest) -> Result<http::Request<Bytes>, ConnectorError> {
    let request = request.try_into_http1x().map_err(|e| ConnectorError::user(Box::new(e)))?;
    let (parts, body) = request.into_parts();
    match body.bytes() {
        Some(bytes) => Ok(http::Request::from_parts(parts, Bytes::copy_from_slice(bytes))),
        None => Err(ConnectorError::user("a streamed request body".into())),
    }
}

fn failed(error: HttpError) -> ConnectorError {
    match error {
        HttpError::Timeout(_) => ConnectorError::timeout(Box::new(error)),
        HttpError::Url(_) => ConnectorError::user(Box::new(error)),
        other => ConnectorError::io(Box::new(other)),
    }
}
