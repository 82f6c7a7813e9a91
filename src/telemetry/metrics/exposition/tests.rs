use std::sync::Arc;

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
};

use super::super::exemplars::Exemplars;
use super::super::models::Models;
use super::*;

fn written(registry: &Registry) -> String {
    let exemplars = Exemplars::new(Arc::new(Models::new(IntCounter::new("x", "x").unwrap())));
    let mut out = Vec::new();
    open_metrics(&registry.gather(), &exemplars.read(0), &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn who_asks_for_openmetrics_gets_it_and_nobody_else() {
    let prometheus = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                      text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
    for (accept, format) in [
        (Some(prometheus), Format::OpenMetrics),
        (Some("application/openmetrics-text"), Format::OpenMetrics),
        (
            Some("application/openmetrics-text; version=\"1.0.0\"; charset=utf-8; q=0.4, text/plain;q=0.3"),
            Format::OpenMetrics,
        ),
        (Some("application/openmetrics-text;q=0.3, text/plain;q=0.4"), Format::Text),
        (Some("application/openmetrics-text;version=0.0.1"), Format::Text),
        (Some("application/openmetrics-text;q=0"), Format::Text),
        (Some("application/openmetrics-text;q=nonsense"), Format::Text),
        (Some("*/*"), Format::Text),
        (Some("text/html"), Format::Text),
        (Some(""), Format::Text),
        (None, Format::Text),
    ] {
        assert_eq!(Format::accepted(accept), format, "{accept:?}");
    }
}

#[test]
fn a_counter_has_its_suffix_in_the_sample_alone() {
    let registry = Registry::new();
    let counter = IntCounterVec::new(Opts::new("x_total", "Two\nlines of \"x\""), &["who"]).unwrap();
    counter.with_label_values(&["a \"b\" \\ c\nd"]).inc();
    registry.register(Box::new(counter)).unwrap();
    let expected = "# TYPE x counter\n# HELP x Two\\nlines of \\\"x\\\"\nx_total{who=\"a \\\"b\\\" \\\\ c\\nd\"} 1\n# EOF\n";
    assert_eq!(written(&registry), expected);
}

#[test]
fn units_are_told_where_the_name_has_one() {
    let registry = Registry::new();
    registry.register(Box::new(IntGauge::new("x_bytes", "Size").unwrap())).unwrap();
    registry.register(Box::new(IntCounter::new("y_seconds_total", "Time").unwrap())).unwrap();
    let text = written(&registry);
    assert!(text.contains("# TYPE x_bytes gauge\n# UNIT x_bytes bytes\n"), "{text}");
    assert!(text.contains("# TYPE y_seconds counter\n# UNIT y_seconds seconds\n"), "{text}");
}

#[test]
fn bounds_are_written_as_everywhere() {
    let registry = Registry::new();
    let opts = HistogramOpts::new("x", "x").buckets(vec![0.000_025, 0.000_1, 0.5, 1.0, 10.0]);
    let histogram = Histogram::with_opts(opts).unwrap();
    histogram.observe(0.75);
    registry.register(Box::new(histogram)).unwrap();
    let text = written(&registry);
    let buckets: Vec<&str> = text.lines().filter(|line| line.starts_with("x_bucket")).collect();
    assert_eq!(
        buckets,
        [
            "x_bucket{le=\"2.5e-05\"} 0",
            "x_bucket{le=\"0.0001\"} 0",
            "x_bucket{le=\"0.5\"} 0",
            "x_bucket{le=\"1.0\"} 1",
            "x_bucket{le=\"10.0\"} 1",
            "x_bucket{le=\"+Inf\"} 1",
        ]
    );
    assert!(text.contains("x_count 1\nx_sum 0.75\n"), "{text}");
}

#[test]
fn a_bucket_leads_to_the_newest_request_in_it() {
    let metrics = crate::telemetry::metrics::Metrics::new().unwrap();
    let record = |id: &str, took_us| {
        let mut record = crate::telemetry::metrics::tests::record();
        record.request_id = id.into();
        record.took_us = took_us;
        Arc::new(record)
    };
    let observe = || metrics.duration.with_label_values(&["openai"]).observe(0.3);
    observe();
    metrics.exemplars.note(&[record("before anybody read", 300_000)], 1_700_000_000_000);
    let read = || {
        let mut out = Vec::new();
        metrics.write(Format::OpenMetrics, 1_700_000_000_000, &mut out);
        String::from_utf8(out).unwrap()
    };
    assert!(!read().contains(" # {"), "nobody had asked");
    observe();
    let mut traced = (*record("r-2", 300_000)).clone();
    traced.trace = Some(crate::telemetry::record::Trace {
        trace_id: 0xabc,
        span_id: 1,
        parent_id: None,
        sampled: true,
        random: true,
        recorded: true,
        state: None,
    });
    metrics.exemplars.note(&[record("r-1", 300_000), Arc::new(traced)], 1_700_000_000_000);
    let text = read();
    let line =
        text.lines().find(|line| line.contains("request_duration_seconds_bucket") && line.contains(" # {"));
    assert_eq!(
        line,
        Some(
            "bifrost_request_duration_seconds_bucket{provider=\"openai\",le=\"0.5\"} 2 # {trace_id=\"00000000000000000000000000000abc\",request_id=\"r-2\"} 0.3 1700000000.300"
        )
    );
    let mut plain = Vec::new();
    metrics.write(Format::Text, 0, &mut plain);
    assert!(!String::from_utf8(plain).unwrap().contains(" # {"), "the text format knows no exemplars");
}

#[test]
fn the_suffix_of_a_histogram_is_no_label_of_another() {
    let registry = Registry::new();
    let opts = HistogramOpts::new("x", "x").buckets(vec![1.0]);
    let histogram = HistogramVec::new(opts, &["b", "a"]).unwrap();
    histogram.with_label_values(&["2", "1"]).observe(2.0);
    registry.register(Box::new(histogram)).unwrap();
    let text = written(&registry);
    assert!(text.contains("x_bucket{a=\"1\",b=\"2\",le=\"1.0\"} 0\nx_bucket{a=\"1\",b=\"2\",le=\"+Inf\"} 1\nx_count{a=\"1\",b=\"2\"} 1\n"), "{text}");
}
