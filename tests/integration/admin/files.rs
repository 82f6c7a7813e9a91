//! File and store: what was set at run time survives, a changed file is heard, and everything can be undone.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{done, get, plain};
use crate::support::client::Request;
use crate::support::gateway::{Gateway, free_port, write_config};
use crate::support::until;

fn team(gateway: &Gateway, id: &str) -> (String, String) {
    let team = get(gateway, &format!("/api/governance/teams/{id}"))["team"].clone();
    (team["name"].as_str().unwrap().to_owned(), team["source"].as_str().unwrap().to_owned())
}

fn restarted(gateway: Gateway) -> Gateway {
    let folder = Arc::clone(&gateway.folder);
    drop(gateway);
    Gateway::launch(folder, free_port(), &[], &[])
}

#[test]
fn what_was_set_survives_a_kill_and_a_restart() {
    let gateway = Gateway::start(&plain());
    done(&gateway, "PATCH", "/api/governance/teams/t1", &json!({"name": "Renamed"}));
    done(&gateway, "POST", "/api/providers", &json!({"provider": "groq", "keys": [{"value": "gsk-1"}]}));
    done(&gateway, "DELETE", "/api/governance/teams/t2", &Value::Null);
    let made = done(&gateway, "POST", "/api/governance/virtual-keys", &json!({"name": "k", "team_id": "t1"}));
    let value = made["virtual_key"]["value"].as_str().unwrap().to_owned();
    let gateway = restarted(gateway);
    assert_eq!(team(&gateway, "t1"), ("Renamed".to_owned(), "store".to_owned()));
    assert_eq!(get(&gateway, "/api/governance/teams")["count"], 1);
    assert_eq!(get(&gateway, "/api/providers/groq")["source"], "store");
    let body = json!({"model": "mock/echo", "messages": [{"role": "user", "content": "hi"}]});
    let asked = Request::json("/v1/chat/completions", &body).header("x-bf-vk", &value);
    // The very first request: keys of the store are there when the port opens.
    assert_eq!(gateway.ask(&asked).status(), 200);
}

#[test]
fn a_file_that_says_something_new_wins_loudly_and_the_other_version_is_in_the_history() {
    let gateway = Gateway::start(&plain());
    done(&gateway, "PATCH", "/api/governance/teams/t1", &json!({"name": "Renamed"}));
    done(&gateway, "PATCH", "/api/governance/teams/t2", &json!({"name": "Mine"}));
    assert_eq!(get(&gateway, "/api/governance/teams/t1")["team"]["overrides_file"], true);
    let mut config = plain();
    config["governance"]["teams"][0]["name"] = json!("From the file");
    // Another field, and other white space, of what nobody set: that changes nothing.
    config["client"] = json!({"drop_excess_requests": true});
    write_config(gateway.folder.path(), &config);
    until("the file's name", || (team(&gateway, "t1").0 == "From the file").then_some(()));
    assert_eq!(team(&gateway, "t2"), ("Mine".to_owned(), "store".to_owned()));
    gateway.wait_for_log("the file says something new of the team");
    let changes = until("the record of it", || {
        let changes = get(&gateway, "/api/changes")["changes"].clone();
        (changes[0]["action"] == "file.supersede").then_some(changes)
    });
    assert_eq!(changes[0]["edits"][0]["id"], "t1");
    let diff = changes[0]["edits"][0]["diff"][0]["before"].to_string();
    assert!(diff.contains("Renamed"), "{changes}");
    // It stays so: also when the file says again what it said before.
    write_config(gateway.folder.path(), &plain());
    until("the old file", || (team(&gateway, "t1").0 == "One").then_some(()));
    assert_eq!(team(&gateway, "t1"), ("One".to_owned(), "file".to_owned()));
    let gateway = restarted(gateway);
    assert_eq!(team(&gateway, "t1").0, "One");
    assert_eq!(team(&gateway, "t2").0, "Mine");
}

#[test]
fn a_key_that_the_file_takes_over_is_the_files_at_once() {
    let gateway = Gateway::start(&plain());
    let body = json!({"id": "k", "name": "mine", "value": "sk-bf-abcdefghijklmnopqrstuvwxyz"});
    done(&gateway, "POST", "/api/governance/virtual-keys", &body);
    let asked = |key: &str| {
        let body = json!({"model": "mock/echo", "messages": [{"role": "user", "content": "hi"}]});
        gateway.ask(&Request::json("/v1/chat/completions", &body).header("x-bf-vk", key)).status()
    };
    assert_eq!(asked("sk-bf-abcdefghijklmnopqrstuvwxyz"), 200);
    let mut config = plain();
    config["governance"]["virtual_keys"] =
        json!([{"id": "k", "name": "of the file", "value": "sk-bf-0123456789abcdef0123456789"}]);
    write_config(gateway.folder.path(), &config);
    until("the file's key", || (asked("sk-bf-0123456789abcdef0123456789") == 200).then_some(()));
    until("the end of the other", || (asked("sk-bf-abcdefghijklmnopqrstuvwxyz") == 403).then_some(()));
    let read = get(&gateway, "/api/governance/virtual-keys/k")["virtual_key"].clone();
    assert_eq!((read["name"].as_str(), read["source"].as_str()), (Some("of the file"), Some("file")));
    // Changed here, taken away here, made anew here: one id all along, and one owner at a time.
    done(&gateway, "PATCH", "/api/governance/virtual-keys/k", &json!({"is_active": false}));
    assert_eq!(asked("sk-bf-0123456789abcdef0123456789"), 403);
    done(&gateway, "DELETE", "/api/governance/virtual-keys/k", &Value::Null);
    assert_eq!(get(&gateway, "/api/governance/virtual-keys")["count"], 0);
    done(&gateway, "POST", "/api/governance/virtual-keys", &body);
    assert_eq!(asked("sk-bf-abcdefghijklmnopqrstuvwxyz"), 200);
}

#[test]
fn every_change_can_be_undone_and_says_who_when_and_what() {
    let gateway = Gateway::start(&plain());
    done(&gateway, "PATCH", "/api/governance/teams/t1", &json!({"name": "First"}));
    let made = done(&gateway, "POST", "/api/governance/virtual-keys", &json!({"name": "k"}));
    let value = made["virtual_key"]["value"].as_str().unwrap().to_owned();
    let seen = get(&gateway, "/api/changes")["changes"][0]["revision"].as_u64().unwrap();
    done(&gateway, "PATCH", "/api/governance/teams/t1", &json!({"name": "Second"}));
    done(
        &gateway,
        "DELETE",
        &format!("/api/governance/virtual-keys/{}", made["virtual_key"]["id"].as_str().unwrap()),
        &Value::Null,
    );
    done(&gateway, "POST", "/api/governance/customers", &json!({"name": "c"}));
    let change = get(&gateway, &format!("/api/changes/{}", seen + 1));
    assert_eq!(change["action"], "team.update");
    assert!(!change["who"].as_str().unwrap().is_empty() && change["at"].as_str().unwrap().ends_with('Z'));
    assert_eq!(change["edits"][0]["diff"], json!([{"path": "name", "before": "First", "after": "Second"}]));
    done(&gateway, "POST", &format!("/api/changes/{seen}/rollback"), &json!({}));
    assert_eq!(team(&gateway, "t1").0, "First");
    assert_eq!(get(&gateway, "/api/governance/customers")["count"], 0);
    let body = json!({"model": "mock/echo", "messages": [{"role": "user", "content": "hi"}]});
    let asked = Request::json("/v1/chat/completions", &body).header("x-bf-vk", &value);
    assert_eq!(gateway.ask(&asked).status(), 200);
    // To the beginning, and back again.
    done(&gateway, "POST", "/api/changes/0/rollback", &json!({}));
    assert_eq!(team(&gateway, "t1"), ("One".to_owned(), "file".to_owned()));
    assert_eq!(gateway.ask(&asked).status(), 403);
    done(&gateway, "POST", &format!("/api/changes/{seen}/rollback"), &json!({}));
    assert_eq!(team(&gateway, "t1").0, "First");
    assert_eq!(gateway.ask(&asked).status(), 200);
}

#[test]
fn without_a_store_the_file_is_read_and_nothing_is_changed() {
    let mut config = plain();
    config["config_store"] = json!({"enabled": false});
    let gateway = Gateway::start(&config);
    assert_eq!(team(&gateway, "t1").0, "One");
    let answer = super::ask(&gateway, "PATCH", "/api/governance/teams/t1", &json!({"name": "x"}));
    assert_eq!(answer.status(), 409);
    assert!(answer.text().contains("config_store.enabled"), "{}", answer.text());
}
