//! A new configuration without a restart.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::stage::{chat, healthy_stage, plain_chat, provider, providers};
use crate::support::client::Request;
use crate::support::gateway::{Gateway, write_config, write_text};
use crate::support::upstream::Upstream;
use crate::support::{Wire, until};

const HANG_UP: i32 = libc::SIGHUP;

fn version(gateway: &Gateway) -> u64 {
    gateway.health()["config"]["version"].as_u64().unwrap()
}

fn with_key(upstream: &Upstream, key: &str) -> Value {
    let mut config = json!({"providers": providers(upstream)});
    config["providers"]["oa"]["keys"] = json!([{"name": "main", "value": key}]);
    config
}

#[test]
fn a_hundred_reloads_under_load_fail_no_request() {
    let (upstream, gateway) = healthy_stage(json!({}));
    let (stop, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let mut caller = gateway.connect();
                while !stop.load(Ordering::Relaxed) {
                    let answer = caller.ask(&plain_chat()).expect("an answer");
                    assert_eq!(answer.status(), 200, "{}", answer.text());
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for nth in 0..100 {
            let (before, done) = (version(&gateway), answered.load(Ordering::Relaxed));
            write_config(gateway.folder.path(), &with_key(&upstream, &format!("key-{nth}")));
            gateway.signal(HANG_UP);
            until("the reload", || (version(&gateway) > before).then_some(()));
            until("a request on it", || (answered.load(Ordering::Relaxed) > done).then_some(()));
        }
        stop.store(true, Ordering::Relaxed);
    });
    // A write is noticed and signalled: the reload that was seen may have been the one for the write before.
    until("the last key", || {
        assert_eq!(gateway.ask(&plain_chat()).status(), 200);
        (upstream.hits().last()?.key() == "key-99").then_some(())
    });
    assert!(gateway.metric("bifrost_config_reloads_total", &[("result", "success")]) >= 100.0);
    assert_eq!(gateway.metric("bifrost_config_reloads_total", &[("result", "failure")]), 0.0);
}

#[test]
fn a_changed_file_is_taken_without_a_signal() {
    let (upstream, gateway) = healthy_stage(json!({}));
    write_config(gateway.folder.path(), &with_key(&upstream, "from-the-file"));
    until("the new file to be taken", || (version(&gateway) == 2).then_some(()));
    assert_eq!(gateway.ask(&plain_chat()).status(), 200);
    assert_eq!(upstream.hits()[0].key(), "from-the-file");
}

#[test]
fn an_invalid_file_keeps_the_old_configuration_and_is_shown() {
    let (upstream, gateway) = healthy_stage(json!({}));
    write_text(gateway.folder.path(), "{\"providers\": {\"oa\": ");
    gateway.signal(HANG_UP);
    let error = until("the refusal in /health", || {
        gateway.health()["config"]["last_error"].as_str().map(str::to_owned)
    });
    assert!(error.contains("config.json:1:"), "{error}");
    assert_eq!(version(&gateway), 1);
    assert!(gateway.metric("bifrost_config_reloads_total", &[("result", "failure")]) >= 1.0);
    assert_eq!(gateway.ask(&plain_chat()).status(), 200);
    assert_eq!(upstream.hits()[0].key(), "provider-key");
    gateway.wait_for_log("the old one stays");

    write_config(gateway.folder.path(), &with_key(&upstream, "mended"));
    gateway.signal(HANG_UP);
    until("the mended file to be taken", || {
        gateway.health()["config"].get("last_error").is_none().then_some(())
    });
    gateway.ask(&plain_chat());
    assert_eq!(upstream.hits().last().unwrap().key(), "mended");
}

#[test]
fn a_provider_that_a_reload_removes_is_gone_and_a_new_one_is_there() {
    let (upstream, gateway) = healthy_stage(json!({}));
    write_config(
        gateway.folder.path(),
        &json!({"providers": {"other": provider(Wire::OpenAi, &upstream.url())}}),
    );
    gateway.signal(HANG_UP);
    until("the reload", || (version(&gateway) == 2).then_some(()));
    let providers = gateway.get("/").json()["providers"].to_string();
    assert!(providers.contains("\"other\"") && !providers.contains("\"oa\""), "{providers}");
    let answer = gateway.ask(&Request::json(Wire::OpenAi.path(), &chat("other/m"))).json();
    assert_eq!(answer["extra_fields"]["provider"], "other", "{answer}");
}
