//! Labels of callers' own and the push gateway, as they are written and as they are wrong.

use std::time::Duration;

use super::*;

fn push_of(settings: &str) -> Option<crate::config::telemetry::Push> {
    let env = Environment::fixed([("PASSWORD", "it is secret")]);
    json(
        &format!(r#"{{"plugins": [{{"name": "telemetry", "config": {{"push_gateway": {settings}}}}}]}}"#),
        &env,
    )
    .push
}

#[test]
fn a_push_gateway_has_the_originals_defaults() {
    let push =
        push_of(r#"{"push_gateway_url": "http://push:9091/prefix/", "instance_id": "a b/c"}"#).unwrap();
    assert_eq!(push.url.as_str(), "http://push:9091/prefix/metrics/job/bifrost/instance@base64/YSBiL2M");
    assert_eq!((push.interval, push.authorization), (Duration::from_secs(15), None));
    let named = push_of(
        r#"{"push_gateway_url": "https://push", "job_name": "x y", "push_interval": 2.5,
        "instance_id": "i", "basic_auth": {"username": "u", "password": "env.PASSWORD"}}"#,
    )
    .unwrap();
    assert_eq!(named.url.as_str(), "https://push/metrics/job/x%20y/instance/i");
    assert_eq!(named.interval, Duration::from_millis(2_500));
    assert_eq!(named.authorization.unwrap().expose(), "Basic dTppdCBpcyBzZWNyZXQ=");
    let unnamed = push_of(r#"{"push_gateway_url": "http://push"}"#).unwrap();
    assert!(unnamed.url.path().len() > "/metrics/job/bifrost/instance/".len(), "{}", unnamed.url);
}

#[test]
fn what_is_switched_off_is_not_there() {
    assert_eq!(push_of(r#"{"enabled": false, "push_gateway_url": "http://push"}"#), None);
    assert_eq!(push_of(r#"{"enabled": false}"#), None);
    let off = r#"{"plugins": [{"name": "telemetry", "enabled": false, "config": {"push_gateway": {"push_gateway_url": "http://p"}}}]}"#;
    assert_eq!(json(off, &nothing()).push, None);
    assert_eq!(json(r#"{"plugins": [{"name": "telemetry"}]}"#, &nothing()).push, None);
}

#[test]
fn values_of_labels_come_from_either_header_however_it_is_spelled() {
    let snapshot = json(r#"{"client": {"prometheus_labels": ["cost_center", "Project"]}}"#, &nothing());
    let labels = &snapshot.client.prometheus_labels;
    let names: Vec<&str> = labels[0].headers.iter().map(http::HeaderName::as_str).collect();
    assert_eq!(
        names,
        ["x-bf-prom-cost_center", "x-bf-prom-cost-center", "x-bf-dim-cost_center", "x-bf-dim-cost-center"]
    );
    assert_eq!(&*labels[1].name, "Project");
    let mut headers = http::HeaderMap::new();
    headers.insert("x-bf-dim-project", http::HeaderValue::from_static(" apollo "));
    assert_eq!((labels[1].sent(&headers), labels[0].sent(&headers)), ("apollo", ""));
    headers.insert("x-bf-prom-project", http::HeaderValue::from_bytes(b"\xff").unwrap());
    assert_eq!(labels[1].sent(&headers), "");
}

#[test]
fn what_cannot_be_is_told_at_its_field() {
    let plugin =
        |settings: &str| format!(r#"{{"plugins": [{{"name": "telemetry", "config": {settings}}}]}}"#);
    let push = |settings: &str| plugin(&format!(r#"{{"push_gateway": {settings}}}"#));
    let labels = |list: &str| format!(r#"{{"client": {{"prometheus_labels": {list}}}}}"#);
    let nine = r#"["a", "b", "c", "d", "e", "f", "g", "h", "i"]"#;
    for (text, place, says) in [
        (push("{}"), "plugins[0].config.push_gateway", "push_gateway_url is missing"),
        (push(r#"{"push_gateway_url": "push:9091"}"#), "push_gateway.push_gateway_url", "http or https"),
        (push(r#"{"push_gateway_url": "http://u:p@push"}"#), "push_gateway.push_gateway_url", "basic_auth"),
        (
            push(r#"{"push_gateway_url": "http://p", "push_interval": 0}"#),
            "push_gateway.push_interval",
            "from 1",
        ),
        (
            push(r#"{"push_gateway_url": "http://p", "enabled": "yes"}"#),
            "push_gateway.enabled",
            "true or false",
        ),
        (
            push(r#"{"push_gateway_url": "http://p", "pushinterval": 1}"#),
            "push_gateway.pushinterval",
            "push_interval",
        ),
        (
            push(r#"{"push_gateway_url": "http://p", "basic_auth": {"username": "u"}}"#),
            "basic_auth.password",
            "needed",
        ),
        (
            push(
                r#"{"push_gateway_url": "http://p", "basic_auth": {"username": "u", "password": "env.NOPE"}}"#,
            ),
            "basic_auth.password",
            "NOPE is not set",
        ),
        (push("7"), "plugins[0].config.push_gateway", "an object"),
        (plugin(r#"{"pushgateway": {}}"#), "plugins[0].config.pushgateway", "push_gateway"),
        (
            r#"{"plugins": [{"name": "telemetry"}, {"name": "telemetry"}]}"#.to_owned(),
            "plugins[1].name",
            "before",
        ),
        (labels(r#"["a-b"]"#), "client.prometheus_labels[0]", "no label"),
        (labels(r#"["__name__"]"#), "client.prometheus_labels[0]", "__"),
        (labels(r#"["team_id"]"#), "client.prometheus_labels[0]", "already"),
        (labels(r#"["a", "a"]"#), "client.prometheus_labels[1]", "already"),
        (labels(nine), "client.prometheus_labels[8]", "at most 8"),
    ] {
        let told = problems(&text, Format::Json);
        assert!(told.contains(place) && told.contains(says), "{text}:\n{told}");
    }
}

#[test]
fn plugins_that_are_not_there_say_so() {
    let text = r#"{"plugins": [{"name": "telemetry"}, {"name": "of_mine", "config": {"a": "env.NOPE"}}, {"name": "off", "enabled": false}]}"#;
    let warnings = json(text, &nothing()).warnings;
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("the plugin of_mine is configured but not active"), "{warnings:?}");
}
