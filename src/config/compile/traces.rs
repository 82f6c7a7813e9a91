//! `plugins[].config` of `otel`, and the standard variables of OpenTelemetry: where traces go.

use std::sync::Arc;

use http::{HeaderName, HeaderValue, Uri};
use serde_json::Value;

use super::{Compiler, certificate, seconds};
use crate::config::document::At;
use crate::config::environment::Environment;
use crate::config::problem::child;
use crate::config::raw::{self, OtelCollector, OtelCompression, OtelProtocol};
use crate::config::schema::schema;
use crate::config::traces::{Collector, Sampling, Traces, Transport};
use crate::config::validate::validate_part;

/// The plugin's name.
pub(super) const NAME: &str = "otel";
const SHAPE: &str = "/$defs/OtelCollector";
/// Fields beside `profiles`.
const SHARED: [&str; 1] = ["plugin_span_filter"];
const INACTIVE: [&str; 5] = [
    "metrics_enabled",
    "metrics_endpoint",
    "metrics_push_interval",
    "request_headers",
    "group_traces_by_session",
];
const TIMEOUT: f64 = 10.0;

pub(super) fn compile(compiler: &mut Compiler<'_>, config: &raw::Config) -> Traces {
    let variables = Variables::of(compiler.environment);
    let plugins = config.plugins.iter().enumerate().filter(|(_, plugin)| plugin.name == NAME);
    let mut collectors = Vec::new();
    let mut configured = false;
    for (at, plugin) in plugins {
        configured = true;
        if plugin.enabled && !variables.disabled {
            let pointer = format!("/plugins/{at}/config");
            let entries = entries(compiler, plugin.config.as_ref(), &pointer);
            collectors.extend(
                entries.iter().filter_map(|(pointer, raw)| collector(compiler, raw, (pointer, &variables))),
            );
        }
    }
    if !configured && !variables.disabled && variables.endpoint.is_some() {
        let raw = OtelCollector::default();
        collectors.extend(collector(compiler, &raw, ("/plugins", &variables)));
    }
    Traces { collectors }
}

/// The collectors of one plugin, each with its place.
fn entries(
    compiler: &mut Compiler<'_>,
    config: Option<&Value>,
    pointer: &str,
) -> Vec<(String, OtelCollector)> {
    let empty = Value::Object(serde_json::Map::new());
    let config = config.unwrap_or(&empty);
    let Some(profiles) = config.get("profiles") else {
        return entry(compiler, config, pointer).map(|raw| (pointer.to_owned(), raw)).into_iter().collect();
    };
    for name in config.as_object().into_iter().flat_map(|map| map.keys()) {
        let at = child(pointer, name);
        if SHARED.contains(&name.as_str()) {
            compiler.warn(&at, format!("{name} is configured but not active in this version"));
        } else if name != "profiles" {
            compiler.problem(&at, At::Name, "beside `profiles` nothing is read: put it into each of them");
        }
    }
    let at = child(pointer, "profiles");
    let Some(profiles) = profiles.as_array() else {
        compiler.problem(&at, At::Value, "expected a list of collectors");
        return Vec::new();
    };
    let places = profiles.iter().enumerate().map(|(index, raw)| (format!("{at}/{index}"), raw));
    places.filter_map(|(at, raw)| entry(compiler, raw, &at).map(|raw| (at, raw))).collect()
}

fn entry(compiler: &mut Compiler<'_>, config: &Value, pointer: &str) -> Option<OtelCollector> {
    let root = schema();
    let shape = root.pointer(SHAPE).unwrap_or(&Value::Null);
    let found = validate_part(compiler.document, (&root, shape), (config, pointer));
    if !found.is_empty() {
        found.into_iter().for_each(|found| compiler.push(&found.pointer, found.problem));
        return None;
    }
    for name in INACTIVE.iter().filter(|name| config.get(**name).is_some_and(says_something)) {
        compiler.warn(&child(pointer, name), format!("{name} is configured but not active in this version"));
    }
    serde_json::from_value(config.clone()).ok().filter(|raw: &OtelCollector| raw.enabled)
}

fn says_something(value: &Value) -> bool {
    !matches!(value, Value::Null | Value::Bool(false)) && value.as_array().is_none_or(|list| !list.is_empty())
}

fn collector(
    compiler: &mut Compiler<'_>,
    raw: &OtelCollector,
    (pointer, variables): (&str, &Variables),
) -> Option<Arc<Collector>> {
    let transport = match raw.protocol.unwrap_or(variables.protocol) {
        OtelProtocol::Http => Transport::Http,
        OtelProtocol::Grpc => Transport::Grpc,
    };
    let at = child(pointer, "collector_url");
    let (text, whole) = match (&raw.collector_url, &variables.endpoint) {
        (Some(text), _) => (text.trim(), false),
        (None, Some((text, whole))) => (text.as_str(), *whole),
        (None, None) => {
            let message = "`collector_url` is missing: where the collector is, as http://localhost:4318";
            compiler.problem(pointer, At::Value, message);
            return None;
        }
    };
    let plain = raw.insecure && raw.tls_ca_cert.is_none();
    let Some(url) = address(text, transport, (whole, plain)) else {
        let place = if raw.collector_url.is_some() { &at } else { pointer };
        let message = "this is no address of a collector: write http://host:4318, https://host, or host:4317";
        compiler.problem(place, At::Value, message);
        return None;
    };
    let gzip = raw.compression.map_or(variables.gzip, |packed| packed == OtelCompression::Gzip);
    if gzip && transport == Transport::Grpc {
        compiler.warn(&child(pointer, "compression"), "exports over grpc are not compressed");
    }
    Some(Arc::new(Collector {
        name: url.authority().map_or_else(Default::default, |authority| authority.as_str().into()),
        headers: headers(compiler, raw, (pointer, variables)),
        ca: trusted(compiler, raw, (pointer, variables)),
        form: raw.trace_type,
        resource: variables.resource(raw.service_name.as_deref()),
        gzip: gzip && transport == Transport::Http,
        timeout: seconds(raw.timeout_in_seconds.or(variables.timeout).unwrap_or(TIMEOUT)),
        sampling: Sampling {
            ratio: raw.sample_ratio.unwrap_or(variables.ratio),
            parent_based: raw.parent_based && variables.parent_based,
        },
        content: !raw.disable_content_logging,
        transport,
        url,
    }))
}

/// An address without a scheme is one of gRPC, `plain` or not. `whole`: nothing is added to its path.
fn address(text: &str, transport: Transport, (whole, plain): (bool, bool)) -> Option<Uri> {
    const PATH: &str = "/v1/traces";
    let full = match (text.contains("://"), plain || transport == Transport::Http) {
        (true, _) => text.to_owned(),
        (false, true) => format!("http://{text}"),
        (false, false) => format!("https://{text}"),
    };
    let url: Uri = full.parse().ok()?;
    let host = url.host().filter(|host| !host.is_empty())?;
    // A password has its place in a header.
    let bare = !url.authority()?.as_str().contains('@') && !host.contains(char::is_whitespace);
    if !matches!(url.scheme_str(), Some("http" | "https")) || !bare {
        return None;
    }
    let path = url.path().trim_end_matches('/');
    let path = match transport {
        Transport::Grpc => String::new(),
        Transport::Http if whole => url.path().to_owned(),
        Transport::Http if path.ends_with(PATH) => path.to_owned(),
        Transport::Http => format!("{path}{PATH}"),
    };
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    format!("{}://{}{path}{query}", url.scheme_str()?, url.authority()?).parse().ok()
}

fn headers(
    compiler: &mut Compiler<'_>,
    raw: &OtelCollector,
    (pointer, variables): (&str, &Variables),
) -> Vec<(HeaderName, HeaderValue)> {
    // Those of the environment are for the collector that the environment names.
    let general = variables.headers.iter().filter(|_| raw.collector_url.is_none());
    let general = general.map(|(name, value)| (name.as_str(), value.as_str()));
    let own = raw.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let mut made: Vec<(HeaderName, HeaderValue)> = Vec::new();
    for (name, value) in general.chain(own) {
        let (Ok(header), Ok(mut value)) =
            (HeaderName::from_bytes(name.to_ascii_lowercase().as_bytes()), HeaderValue::from_str(value))
        else {
            let at = child(&child(pointer, "headers"), name);
            compiler.problem(&at, At::Value, "this is no header: a name and a value without line breaks");
            continue;
        };
        value.set_sensitive(true);
        made.retain(|(known, _)| *known != header);
        made.push((header, value));
    }
    made
}

fn trusted(
    compiler: &mut Compiler<'_>,
    raw: &OtelCollector,
    (pointer, variables): (&str, &Variables),
) -> Vec<Vec<u8>> {
    let Some(given) = raw.tls_ca_cert.as_ref().or(variables.certificate.as_ref()) else { return Vec::new() };
    let at = child(pointer, "tls_ca_cert");
    if given.contains("-----BEGIN") {
        return certificate::read(compiler, &at, Some(given));
    }
    let path = compiler.document.directory.join(given);
    match std::fs::read_to_string(&path) {
        Ok(text) => certificate::read(compiler, &at, Some(&text)),
        Err(error) => {
            compiler.problem(&at, At::Value, format!("{} cannot be read: {error}", path.display()));
            Vec::new()
        }
    }
}

/// What the environment says, by the names of OpenTelemetry. What cannot be read is as if it was not said.
struct Variables {
    disabled: bool,
    /// And whether it is the whole address.
    endpoint: Option<(String, bool)>,
    protocol: OtelProtocol,
    headers: Vec<(String, String)>,
    gzip: bool,
    /// Seconds.
    timeout: Option<f64>,
    certificate: Option<String>,
    service_name: Option<String>,
    attributes: Vec<(String, String)>,
    ratio: f64,
    parent_based: bool,
}

impl Variables {
    fn of(environment: &Environment) -> Self {
        let of_traces = |name: &str| {
            let own = environment.filled(&format!("OTEL_EXPORTER_OTLP_TRACES_{name}"));
            own.or_else(|| environment.filled(&format!("OTEL_EXPORTER_OTLP_{name}")))
        };
        let whole = environment.filled("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT").map(|url| (url, true));
        let general = || environment.filled("OTEL_EXPORTER_OTLP_ENDPOINT").map(|url| (url, false));
        let off =
            environment.filled("OTEL_SDK_DISABLED").is_some_and(|word| word.eq_ignore_ascii_case("true"));
        let none = environment.filled("OTEL_TRACES_EXPORTER").is_some_and(|word| word.trim() == "none");
        let sampler = environment.filled("OTEL_TRACES_SAMPLER").unwrap_or_default();
        let argument =
            environment.filled("OTEL_TRACES_SAMPLER_ARG").and_then(|text| text.parse::<f64>().ok());
        let ratio = match sampler.as_str() {
            "always_off" | "parentbased_always_off" => 0.0,
            "traceidratio" | "parentbased_traceidratio" => argument.unwrap_or(1.0).clamp(0.0, 1.0),
            _ => 1.0,
        };
        Self {
            disabled: off || none,
            endpoint: whole.or_else(general),
            protocol: match of_traces("PROTOCOL").as_deref() {
                Some("grpc") => OtelProtocol::Grpc,
                _ => OtelProtocol::Http,
            },
            headers: of_traces("HEADERS").map(|text| pairs(&text)).unwrap_or_default(),
            gzip: of_traces("COMPRESSION").is_some_and(|word| word == "gzip"),
            timeout: of_traces("TIMEOUT").and_then(|ms| ms.parse::<f64>().ok()).map(|ms| ms.max(1.0) / 1e3),
            certificate: of_traces("CERTIFICATE"),
            service_name: environment.filled("OTEL_SERVICE_NAME"),
            attributes: environment
                .filled("OTEL_RESOURCE_ATTRIBUTES")
                .map(|text| pairs(&text))
                .unwrap_or_default(),
            ratio,
            parent_based: sampler.is_empty() || sampler.starts_with("parentbased_"),
        }
    }

    /// What describes the service: its name first.
    fn resource(&self, service_name: Option<&str>) -> Vec<(Box<str>, Box<str>)> {
        let given =
            |name: &str| self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value);
        let name = service_name.map(str::to_owned).or_else(|| self.service_name.clone());
        let name = name.or_else(|| given("service.name").cloned()).unwrap_or_else(|| "bifrost".to_owned());
        let version = given("service.version").map_or(env!("CARGO_PKG_VERSION"), String::as_str);
        let mut resource: Vec<(Box<str>, Box<str>)> =
            vec![("service.name".into(), name.into()), ("service.version".into(), version.into())];
        let rest =
            self.attributes.iter().filter(|(name, _)| name != "service.name" && name != "service.version");
        resource.extend(rest.map(|(name, value)| (name.as_str().into(), value.as_str().into())));
        resource
    }
}

/// `name=value,name=value`, percent-encoded.
fn pairs(text: &str) -> Vec<(String, String)> {
    let decoded =
        |text: &str| percent_encoding::percent_decode_str(text.trim()).decode_utf8_lossy().into_owned();
    let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (decoded(name), decoded(value))).filter(|(name, _)| !name.is_empty()).collect()
}

#[cfg(test)]
mod tests;
