use super::*;
use crate::telemetry::record::Record;

/// A request that went well, at `openai`.
pub fn record() -> Record {
    Record {
        request_id: "r".into(),
        started_us: 1_700_000_000_000_000,
        took_us: 300_000,
        status: 200,
        provider: Some("openai".into()),
        model: Some("gpt-4o-mini".into()),
        overhead_us: 40,
        ..Record::default()
    }
}

#[test]
fn in_flight_returns_to_zero_when_a_request_panics() {
    let metrics = Metrics::new().unwrap();
    let guard = metrics.enter();
    let gauge = metrics.in_flight.clone();
    assert_eq!(gauge.get(), 1);
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
        let _guard = guard;
        panic!("a filter panicked");
    }));
    assert!(result.is_err());
    assert_eq!(gauge.get(), 0);
}

#[test]
fn the_seeds_names_are_rendered_with_its_labels() {
    let metrics = Metrics::new().unwrap();
    metrics.requests.with_label_values(&["openai", "gpt-4o-mini"]).inc();
    metrics.errors.with_label_values(&["openai", "rate_limit"]).inc();
    metrics.duration.with_label_values(&["openai"]).observe(1.2);
    let text = String::from_utf8(metrics.render()).unwrap();
    for line in [
        r#"bifrost_requests_total{model="gpt-4o-mini",provider="openai"} 1"#,
        r#"bifrost_errors_total{provider="openai",type="rate_limit"} 1"#,
        r#"bifrost_request_duration_seconds_count{provider="openai"} 1"#,
        r#"bifrost_cache_hits_total{type="semantic"} 0"#,
        "bifrost_cache_misses_total 0",
    ] {
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }
}

/// Names that others have dashboards for: <https://prometheus.io/docs/practices/naming/>.
#[test]
fn names_say_what_they_count_in() {
    for known in Metrics::new().unwrap().known() {
        let Known { name, kind, labels, help } = known;
        assert!(["bifrost_", "http_", "process_"].iter().any(|prefix| name.starts_with(prefix)), "{name}");
        assert_eq!(name.ends_with("_total"), *kind == Kind::Counter, "{name} is a {}", kind.name());
        let counts = ["_seconds", "_bytes", "_per_request"];
        let measures = *kind != Kind::Histogram || counts.iter().any(|unit| name.ends_with(unit));
        assert!(measures, "{name} does not say its unit");
        assert!(
            !labels.iter().any(|label| ["path_raw", "request_id", "le"].contains(&label.as_str())),
            "{name}"
        );
        assert!(!help.is_empty() && !help.ends_with('.'), "{name}: {help}");
    }
}
