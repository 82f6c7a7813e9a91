use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::config::raw::TraceType;
use crate::config::{Document, Snapshot, compile as whole};

fn loaded(config: &Value, environment: &Environment) -> Result<Snapshot, Vec<String>> {
    let text = serde_json::json!({"plugins": config}).to_string();
    let document = Document::parse("c.json", &text, crate::config::Format::Json).unwrap();
    let loaded = whole(&document, environment, 1);
    loaded.map(|loaded| loaded.snapshot).map_err(|all| all.iter().map(ToString::to_string).collect())
}

fn collectors(config: &Value, environment: &Environment) -> Vec<Arc<Collector>> {
    loaded(config, environment).unwrap().traces.collectors
}

fn otel(config: Value) -> Value {
    serde_json::json!([{"name": "otel", "config": config}])
}

fn nothing() -> Environment {
    Environment::fixed([])
}

#[test]
fn a_published_configuration_means_what_it_meant() {
    let environment = Environment::fixed([("KEY", "secret")]);
    let found = collectors(
        &otel(serde_json::json!({
            "service_name": "gate", "collector_url": "http://localhost:4318", "trace_type": "open_inference",
            "protocol": "http", "headers": {"Authorization": "env.KEY"},
        })),
        &environment,
    );
    let [one] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(one.url, "http://localhost:4318/v1/traces");
    assert_eq!((one.transport, one.form, one.content), (Transport::Http, TraceType::OpenInference, false));
    assert_eq!(one.headers, [(http::header::AUTHORIZATION, HeaderValue::from_static("secret"))]);
    assert_eq!(one.resource[0], ("service.name".into(), "gate".into()));
    assert!(!format!("{one:?}").contains("secret"));
    let grpc = otel(serde_json::json!({"collector_url": "localhost:4317", "protocol": "grpc"}));
    assert_eq!(collectors(&grpc, &nothing())[0].url, "http://localhost:4317/");
}

#[test]
fn several_collectors_stand_in_a_list_or_in_plugins_of_their_own() {
    let listed = otel(serde_json::json!({"profiles": [
        {"collector_url": "http://a:4318/"}, {"collector_url": "http://b", "enabled": false},
        {"collector_url": "https://c/otlp/v1/traces", "disable_content_logging": false},
    ]}));
    let urls: Vec<String> = collectors(&listed, &nothing()).iter().map(|one| one.url.to_string()).collect();
    assert_eq!(urls, ["http://a:4318/v1/traces", "https://c/otlp/v1/traces"]);
    let twice = serde_json::json!([
        {"name": "otel", "config": {"collector_url": "http://a"}},
        {"name": "otel", "config": {"collector_url": "http://b"}},
        {"name": "otel", "enabled": false, "config": {"collector_url": "env.NOT_SET"}},
    ]);
    assert_eq!(collectors(&twice, &nothing()).len(), 2);
}

#[test]
fn the_standard_variables_alone_are_enough() {
    let environment = Environment::fixed([
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=a%20b, x=1"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "2500"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ("OTEL_SERVICE_NAME", "gate"),
        ("OTEL_RESOURCE_ATTRIBUTES", "service.name=other,deployment.environment.name=test"),
        ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
    ]);
    let found = collectors(&serde_json::json!([]), &environment);
    let [one] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(one.url, "http://collector:4318/v1/traces");
    assert_eq!(one.headers[0].1, HeaderValue::from_static("a b"));
    assert_eq!((one.headers.len(), one.gzip, one.timeout), (2, true, Duration::from_millis(2_500)));
    assert_eq!(one.resource[0], ("service.name".into(), "gate".into()));
    assert_eq!(one.resource[2], ("deployment.environment.name".into(), "test".into()));
    assert_eq!(one.sampling, Sampling { ratio: 0.25, parent_based: true });
    let exact = Environment::fixed([
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://collector:4318/"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://other"),
    ]);
    assert_eq!(collectors(&serde_json::json!([]), &exact)[0].url, "http://collector:4318/");
    for off in [("OTEL_SDK_DISABLED", "true"), ("OTEL_TRACES_EXPORTER", "none")] {
        let environment = Environment::fixed([("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318"), off]);
        assert!(collectors(&serde_json::json!([]), &environment).is_empty());
    }
}

#[test]
fn the_environments_secrets_go_to_the_collector_that_it_names_and_to_no_other() {
    let environment = Environment::fixed([
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://named:4318"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=secret"),
    ]);
    let found = collectors(
        &otel(serde_json::json!({"profiles": [{"collector_url": "http://other"}, {"headers": {"x": "1"}}]})),
        &environment,
    );
    assert!(found[0].headers.is_empty());
    assert_eq!((found[1].headers.len(), found[1].url.host()), (2, Some("named")));
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let said = |config: Value| loaded(&otel(config), &nothing()).unwrap_err().join("\n");
    for (config, words) in [
        (serde_json::json!({}), "plugins[0].config: `collector_url` is missing"),
        (serde_json::json!({"collector_url": "ftp://x"}), "collector_url: this is no address"),
        (serde_json::json!({"collector_url": "http://u:p@x"}), "collector_url: this is no address"),
        (serde_json::json!({"colector_url": "x"}), "did you mean \"collector_url\"?"),
        (serde_json::json!({"collector_url": "http://x", "protocol": "gprc"}), "did you mean \"grpc\"?"),
        (serde_json::json!({"collector_url": "http://x", "sample_ratio": 2}), "sample_ratio: 2 is too large"),
        (serde_json::json!({"collector_url": "http://x", "headers": {"a b": "1"}}), "this is no header"),
        (serde_json::json!({"collector_url": "http://x", "tls_ca_cert": "/nowhere"}), "cannot be read"),
        (serde_json::json!({"profiles": [], "service_name": "x"}), "beside `profiles` nothing is read"),
        (serde_json::json!({"collector_url": "env.NOT_SET"}), "NOT_SET is not set"),
    ] {
        let found = said(config.clone());
        assert!(found.contains(words), "{config}: {found}");
    }
    let quiet = otel(serde_json::json!({"collector_url": "http://x", "metrics_enabled": true}));
    let warnings = loaded(&quiet, &nothing()).unwrap().warnings;
    assert!(warnings[0].contains("metrics_enabled is configured but not active"), "{warnings:?}");
}
