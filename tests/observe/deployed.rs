//! Every expression of the dashboard, of the rules and of the alerts, asked of a Prometheus that scrapes the gateway.

use std::fs;

use serde_json::Value;

use crate::servers::{Prometheus, deploy, encoded};
use crate::support::until;
use crate::traffic::Traffic;

/// What Grafana puts in the place of its variables.
const VARIABLES: [(&str, &str); 6] = [
    ("$job", ".*"),
    ("$instance", ".*"),
    ("$provider", ".*"),
    ("$model", ".*"),
    ("$__rate_interval", "20s"),
    ("$__range", "1m"),
];

#[test]
fn everything_that_is_deployed_has_an_answer_under_traffic() {
    let traffic = Traffic::start();
    let Some(prometheus) = Prometheus::start(traffic.gateway.port) else { return };
    panels(&prometheus);
    variables(&prometheus);
    rules(&prometheus);
    exemplars(&prometheus);
}

/// Waits until an expression has values, all of them finite. A quantile has none where nothing happened: that is a gap in
/// its line, as long as others have a point there.
fn answered(prometheus: &Prometheus, what: &str, expression: &str) {
    let mut last = Vec::new();
    let end = std::time::Instant::now() + crate::support::PATIENCE;
    while std::time::Instant::now() < end {
        last = prometheus.values(expression);
        let gap =
            |value: &f64| value.is_nan() && ["quantile", ":p9"].iter().any(|word| expression.contains(word));
        if last.iter().any(|value| value.is_finite())
            && last.iter().all(|value| value.is_finite() || gap(value))
        {
            return;
        }
        std::thread::yield_now();
    }
    panic!("{what} has no answer: {expression}\nis {last:?}");
}

fn dashboard() -> Value {
    let text = fs::read_to_string(deploy().join("grafana/dashboards/bifrost.json")).expect("the dashboard");
    serde_json::from_str(&text).expect("JSON")
}

fn filled(expression: &str) -> String {
    VARIABLES.iter().fold(expression.to_owned(), |text, (name, value)| text.replace(name, value))
}

fn panels(prometheus: &Prometheus) {
    let dashboard = dashboard();
    let panels = dashboard["panels"].as_array().expect("panels");
    let mut asked = 0;
    for panel in panels.iter().filter(|panel| panel["type"] != "row") {
        for target in panel["targets"].as_array().expect("targets") {
            let expression = filled(target["expr"].as_str().expect("an expression"));
            assert!(!expression.contains('$'), "{expression} has a variable that nobody fills");
            answered(prometheus, panel["title"].as_str().expect("a title"), &expression);
            asked += 1;
        }
    }
    assert!(asked > 60, "only {asked} expressions were asked");
    for annotation in dashboard["annotations"]["list"].as_array().expect("a list") {
        // A mark where something changed: without its threshold there is always a value.
        let expression = filled(annotation["expr"].as_str().expect("an expression"));
        let (left, _) = expression.rsplit_once(" > ").expect("a threshold");
        answered(prometheus, "an annotation", left);
    }
}

/// The lists that people choose from.
fn variables(prometheus: &Prometheus) {
    for variable in dashboard()["templating"]["list"].as_array().expect("a list") {
        let Some(definition) = variable["definition"].as_str() else { continue };
        let inner = definition.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')'));
        let (series, label) =
            inner.and_then(|inner| inner.rsplit_once(", ")).expect("label_values(series, label)");
        let path = format!("/api/v1/label/{label}/values?match[]={}", encoded(&filled(series)));
        let found = prometheus.ask(&path);
        assert!(found.as_array().is_some_and(|values| !values.is_empty()), "{definition} has no values");
    }
}

fn rules(prometheus: &Prometheus) {
    let groups = until("all rules to be evaluated", || {
        let groups = prometheus.ask("/api/v1/rules");
        let all = || {
            groups["groups"]
                .as_array()
                .into_iter()
                .flatten()
                .flat_map(|group| group["rules"].as_array().into_iter().flatten())
        };
        (all().count() > 0 && all().all(|rule| rule["health"] != "unknown")).then_some(groups.clone())
    });
    let rules = groups["groups"]
        .as_array()
        .expect("groups")
        .iter()
        .flat_map(|group| group["rules"].as_array().expect("rules"));
    let (mut recorded, mut alerts) = (0, 0);
    for rule in rules {
        let (name, expression) =
            (rule["name"].as_str().expect("a name"), rule["query"].as_str().expect("a query"));
        assert_eq!(rule["health"], "ok", "{name}: {}", rule["lastError"]);
        if rule["type"] == "recording" {
            answered(prometheus, name, name);
            recorded += 1;
        } else {
            answered(prometheus, name, &without_threshold(expression));
            for text in ["severity", "summary"] {
                let found =
                    if text == "severity" { &rule["labels"][text] } else { &rule["annotations"][text] };
                assert!(found.as_str().is_some_and(|text| !text.is_empty()), "{name} has no {text}");
            }
            alerts += 1;
        }
    }
    assert!(recorded >= 10 && alerts >= 20, "{recorded} recorded, {alerts} alerts");
}

/// An alert as a question: 1 where it would be raised, 0 where not, and nothing only where nothing is known.
fn without_threshold(expression: &str) -> String {
    [" == ", " > ", " >= ", " < "]
        .iter()
        .fold(expression.to_owned(), |text, sign| text.replace(sign, &format!("{sign}bool ")))
}

fn exemplars(prometheus: &Prometheus) {
    for histogram in [
        "bifrost_request_duration_seconds_bucket",
        "bifrost_gateway_overhead_seconds_bucket",
        "bifrost_time_to_first_token_seconds_bucket",
        "bifrost_stream_first_token_latency_seconds_bucket",
    ] {
        let path = format!("/api/v1/query_exemplars?query={histogram}&start=0&end=9999999999");
        until(&format!("an exemplar of {histogram}"), || {
            let found = prometheus.ask(&path);
            let mut all =
                found.as_array()?.iter().flat_map(|one| one["exemplars"].as_array().into_iter().flatten());
            all.find(|one| one["labels"]["request_id"].as_str().is_some_and(|id| id.starts_with("observed-")))
                .map(drop)
        });
    }
}
