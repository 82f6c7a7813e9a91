//! `config` of the plugin `otel`: where traces go.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `config` of the plugin `otel`: one collector of traces. Several stand in a list: `{"profiles": [...]}`. What is not said
/// is what the standard variables say (`OTEL_EXPORTER_OTLP_*`, `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`).
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OtelCollector {
    /// Whether traces are sent there.
    pub enabled: bool,
    /// Name of this service in traces. By default what `OTEL_SERVICE_NAME` says, else `bifrost`.
    pub service_name: Option<String>,
    /// Where the collector is: `http://host:4318`, `https://host/path`, `host:4317`. Over `http` the path `/v1/traces` is
    /// added unless it is there.
    pub collector_url: Option<String>,
    /// Headers of each export, such as the collector's key.
    pub headers: BTreeMap<String, String>,
    /// How answers of models are described.
    pub trace_type: TraceType,
    /// How the collector is spoken to. By default what `OTEL_EXPORTER_OTLP_PROTOCOL` says, else `http`.
    pub protocol: Option<OtelProtocol>,
    /// File with certificates (PEM) that are trusted beside the system's; or their text, as `file:PATH` gives it.
    pub tls_ca_cert: Option<String>,
    /// Over `grpc`, for an address without a scheme: no TLS. Not looked at where `tls_ca_cert` is given.
    pub insecure: bool,
    /// `gzip`, over `http` only.
    pub compression: Option<OtelCompression>,
    /// One export takes no longer, in seconds.
    #[schemars(range(min = 0.1, max = 120.0))]
    pub timeout_in_seconds: Option<f64>,
    /// Share of traces that begin here and are sent, 0 to 1. By default what `OTEL_TRACES_SAMPLER_ARG` says, else 1.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub sample_ratio: Option<f64>,
    /// A trace that a caller began is sent when that caller records it, whatever the share.
    pub parent_based: bool,
    /// Prompts and answers are left out. They are sent with `false`, where they are kept at all
    /// (`client.disable_content_logging: false`).
    pub disable_content_logging: bool,
    /// Push metrics there too. Not active in this version: `/metrics` and the plugin `telemetry` have them.
    pub metrics_enabled: bool,
    /// Where metrics are pushed to. Not active in this version.
    pub metrics_endpoint: Option<String>,
    /// Seconds between two pushes. Not active in this version.
    #[schemars(range(min = 1, max = 300))]
    pub metrics_push_interval: Option<u64>,
    /// Headers of requests that become attributes. Not active in this version: `client.logging_headers` does it.
    pub request_headers: Vec<String>,
    /// One trace for all requests of a session. Not active in this version: `session.id` tells them.
    pub group_traces_by_session: bool,
}

/// How answers of models are described in traces.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TraceType {
    /// OpenTelemetry's conventions for generative AI.
    #[default]
    GenaiExtension,
    /// As the Vercel AI SDK does, beside OpenTelemetry's.
    Vercel,
    /// OpenInference, as Phoenix reads it.
    OpenInference,
}

/// How a collector is spoken to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OtelProtocol {
    /// OTLP over HTTP, in protobuf.
    #[default]
    Http,
    /// OTLP over gRPC.
    Grpc,
}

/// How exports are packed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OtelCompression {
    /// They are not.
    #[default]
    None,
    Gzip,
}

impl Default for OtelCollector {
    fn default() -> Self {
        Self {
            enabled: true,
            service_name: None,
            collector_url: None,
            headers: BTreeMap::new(),
            trace_type: TraceType::GenaiExtension,
            protocol: None,
            tls_ca_cert: None,
            insecure: true,
            compression: None,
            timeout_in_seconds: None,
            sample_ratio: None,
            parent_based: true,
            disable_content_logging: true,
            metrics_enabled: false,
            metrics_endpoint: None,
            metrics_push_interval: None,
            request_headers: Vec::new(),
            group_traces_by_session: false,
        }
    }
}
