//! `network_config`: times, limits, headers, trust.

use std::collections::BTreeMap;
use std::time::Duration;

use http::{HeaderName, HeaderValue};

use super::provider::Entry;
use super::{Compiler, certificate, proxy, seconds};
use crate::config::document::At;
use crate::config::problem::child;
use crate::config::snapshot::{BaseUrl, Network};

const BACKOFF_INITIAL: u64 = 500;
const BACKOFF_MAX: u64 = 5000;
/// Headers that belong to one connection or to the body's framing: the gateway sets them.
const FRAMING: [&str; 8] = [
    "connection",
    "content-length",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The network part of an entry. Problems are noted; what is returned then is never used.
pub(super) fn compile(compiler: &mut Compiler<'_>, entry: &Entry<'_>, endpoint: Option<&BaseUrl>) -> Network {
    let raw = &entry.raw.network_config;
    let request_timeout = seconds(raw.default_request_timeout_in_seconds);
    let initial = either(
        compiler,
        entry,
        "retry_backoff_initial",
        (raw.retry_backoff_initial, raw.retry_backoff_initial_ms),
    );
    let longest =
        either(compiler, entry, "retry_backoff_max", (raw.retry_backoff_max, raw.retry_backoff_max_ms));
    let mut ca =
        certificate::read(compiler, &entry.at("network_config/ca_cert_pem"), raw.ca_cert_pem.as_deref());
    let of_proxy = entry.raw.proxy_config.ca_cert_pem.as_deref();
    ca.extend(certificate::read(compiler, &entry.at("proxy_config/ca_cert_pem"), of_proxy));
    Network {
        connect_timeout: seconds(raw.connect_timeout_in_seconds),
        request_timeout,
        first_byte_timeout: raw.first_byte_timeout_in_seconds.map_or(request_timeout, seconds),
        ttft_timeout: raw.ttft_timeout_in_seconds.map(seconds),
        stream_idle_timeout: seconds(raw.stream_idle_timeout_in_seconds),
        min_bytes_per_second: raw.min_bytes_per_second,
        total_timeout: raw.total_timeout_in_seconds.map(seconds),
        max_retries: raw.max_retries,
        retry_backoff_initial: Duration::from_millis(initial.unwrap_or(BACKOFF_INITIAL)),
        retry_backoff_max: Duration::from_millis(longest.unwrap_or(BACKOFF_MAX)),
        max_conns_per_host: raw.max_conns_per_host,
        extra_headers: headers(compiler, &entry.at("network_config/extra_headers"), &raw.extra_headers),
        beta_overrides: raw.beta_header_overrides.clone(),
        insecure_skip_verify: raw.insecure_skip_verify,
        ca,
        enforce_http2: raw.enforce_http2,
        proxy: endpoint.and_then(|endpoint| proxy::compile(compiler, entry, endpoint)),
    }
}

/// A number that has two names: both at once is a problem unless they agree.
fn either(
    compiler: &mut Compiler<'_>,
    entry: &Entry<'_>,
    name: &str,
    two: (Option<u64>, Option<u64>),
) -> Option<u64> {
    if let (Some(one), Some(other)) = two
        && one != other
    {
        let pointer = entry.at(&format!("network_config/{name}_ms"));
        compiler.problem(&pointer, At::Name, format!("contradicts {name}, which is the same setting"));
    }
    two.0.or(two.1)
}

pub(super) fn headers(
    compiler: &mut Compiler<'_>,
    pointer: &str,
    raw: &BTreeMap<String, String>,
) -> Vec<(HeaderName, HeaderValue)> {
    let mut headers = Vec::with_capacity(raw.len());
    for (name, value) in raw {
        let pointer = child(pointer, name);
        let Ok(header) = HeaderName::from_bytes(name.as_bytes()) else {
            compiler.problem(&pointer, At::Name, "this is no header name");
            continue;
        };
        if FRAMING.contains(&header.as_str()) {
            compiler.problem(&pointer, At::Name, "the gateway sets this header itself");
            continue;
        }
        match HeaderValue::from_str(value) {
            Ok(mut value) => {
                // It may be a credential: keep it out of debug output.
                value.set_sensitive(true);
                headers.push((header, value));
            }
            Err(_) => {
                compiler.problem(&pointer, At::Value, "the value has characters that a header cannot carry")
            }
        }
    }
    headers
}
