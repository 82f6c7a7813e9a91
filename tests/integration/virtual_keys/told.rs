//! What rules, the log and metrics know of a caller.

use serde_json::{Value, json};

use super::{answered, ask, key, stage};
use crate::stage::provider;
use crate::support::Wire;
use crate::support::answers::healthy;
use crate::support::gateway::Gateway;
use crate::support::upstream::Upstream;

fn people() -> Value {
    json!({
        "customers": [{"id": "c-1", "name": "Acme"}],
        "teams": [{"id": "t-1", "name": "blue", "customer_id": "c-1"}, {"id": "t-2", "name": "red"}],
        "virtual_keys": [
            key("blue", json!({"id": "vk-1", "team_id": "t-1"})),
            key("red", json!({"id": "vk-2", "team_id": "t-2"})),
            key("acme", json!({"id": "vk-3", "customer_id": "c-1"})),
            key("lone", json!({"id": "vk-4"})),
        ],
    })
}

#[test]
fn scoped_rules_are_for_whom_they_say_the_narrowest_first() {
    let mut governance = people();
    let rule = |name: &str, scope: &str, id: Option<&str>, model: &str| json!({"name": name, "scope": scope, "scope_id": id, "priority": 5, "targets": [{"provider": "oa", "model": model}]});
    let mut late = rule("key-late", "virtual_key", Some("vk-1"), "late");
    late["priority"] = json!(9);
    governance["routing_rules"] = json!([
        rule("all", "global", None, "everybody"),
        rule("customer", "customer", Some("c-1"), "customer"),
        rule("team", "team", Some("t-1"), "team"),
        late,
        rule("key", "virtual_key", Some("vk-1"), "key"),
    ]);
    let (_upstream, gateway) = stage(json!({}), governance.clone());
    for (name, model) in
        [("blue", "oa/key"), ("red", "oa/everybody"), ("acme", "oa/customer"), ("lone", "oa/everybody")]
    {
        assert_eq!(answered(&ask(&gateway, name, "oa/m")), model, "{name}");
    }
    // Without the rules of the key, the team's is next.
    let rules = governance["routing_rules"].as_array_mut().unwrap();
    rules.retain(|rule| rule["scope"] != "virtual_key");
    let (_upstream, gateway) = stage(json!({}), governance);
    assert_eq!(answered(&ask(&gateway, "blue", "oa/m")), "oa/team");
}

#[test]
fn conditions_see_who_calls() {
    let upstream = Upstream::start(healthy);
    let gateway = Gateway::start(&json!({
        "providers": {"oa": provider(Wire::OpenAi, &upstream.url())},
        "governance": people(),
        "routing": {"rules": [
            {"name": "key", "when": "virtual_key_id == 'vk-2' && virtual_key == 'red'", "targets": [{"model": "oa/red"}]},
            {"name": "customer", "when": "customer == 'Acme' && customer_id == 'c-1' && team_id == 't-1'",
                "targets": [{"model": "oa/acme-blue"}]},
            {"name": "nobody", "when": "virtual_key == '' && team == ''", "targets": [{"model": "oa/nobody"}]},
        ]},
    }));
    assert_eq!(answered(&ask(&gateway, "red", "oa/m")), "oa/red");
    assert_eq!(answered(&ask(&gateway, "blue", "oa/m")), "oa/acme-blue");
    assert_eq!(answered(&ask(&gateway, "acme", "oa/m")), "oa/m");
    assert_eq!(answered(&gateway.ask(&crate::stage::plain_chat())), "oa/nobody");
}

#[test]
fn the_log_and_the_metrics_tell_who_called() {
    let (_upstream, gateway) = stage(json!({}), people());
    let response = ask(&gateway, "blue", "oa/m");
    let line = gateway.request_line(response.header("x-request-id").unwrap());
    for (field, expected) in [
        ("virtual_key_id", "vk-1"),
        ("virtual_key_name", "blue"),
        ("team_id", "t-1"),
        ("team_name", "blue"),
        ("customer_id", "c-1"),
        ("customer_name", "Acme"),
    ] {
        assert_eq!(line[field], expected, "{line}");
    }
    let refused = ask(&gateway, "blue", "nobody/m");
    assert_eq!(refused.status(), 404, "{}", refused.text());
    let line = gateway.request_line(refused.header("x-request-id").unwrap());
    assert_eq!(line["virtual_key_id"], "vk-1", "{line}");
    let labels = [("virtual_key_name", "blue"), ("team_name", "blue"), ("customer_name", "Acme")];
    assert_eq!(gateway.metric("bifrost_caller_requests_total", &labels), 2.0);
    assert_eq!(gateway.metric("bifrost_caller_errors_total", &labels), 1.0);
    assert!(gateway.metric("bifrost_caller_output_tokens_total", &labels) > 0.0);
    assert_eq!(gateway.metric("bifrost_caller_requests_total", &[("virtual_key_name", "red")]), 0.0);
}
