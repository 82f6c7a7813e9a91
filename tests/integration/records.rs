//! What is left of finished requests: their words, their tags, their ids, and the lines of what happens to the gateway.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::stage::{chat, failover_stage, healthy_stage, plain_chat, provider, providers, streamed};
use crate::support::answers::{after_two_words, chunk, events, healthy, open_stream, stream_head};
use crate::support::client::{Request, Response};
use crate::support::gateway::{Gateway, write_config};
use crate::support::tls::{CA, Leaf};
use crate::support::upstream::{Act, Upstream};
use crate::support::{Wire, until};

fn explained(gateway: &Gateway, id: &str) -> Value {
    let path = format!("/api/debug/explain/{id}");
    until("the request to be known", || Some(gateway.get(&path)).filter(|answer| answer.status() == 200))
        .json()
}

fn id(response: &Response) -> String {
    response.header("x-request-id").unwrap_or_else(|| panic!("{}", response.text())).to_owned()
}

/// The lines of one part, together.
fn part(told: &Value, name: &str) -> String {
    let lines = told[name].as_array().unwrap_or_else(|| panic!("{name}: {told}"));
    lines.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("\n")
}

#[track_caller]
fn has(text: &str, wanted: &str) {
    assert!(text.contains(wanted), "{wanted:?} is not in:\n{text}");
}

#[test]
fn a_failover_is_told_with_the_steps_of_each_attempt() {
    let (_bad, _good, gateway) = failover_stage(json!({}));
    let mut body = chat("bad/m");
    body["fallbacks"] = json!(["oa/m"]);
    let answer = gateway.ask(&Request::json(Wire::OpenAi.path(), &body));
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let told = explained(&gateway, &id(&answer));
    has(told["summary"].as_str().unwrap(), "by oa/m with the key main, after 2 attempts had failed.");
    let attempts = part(&told, "attempts");
    has(&attempts, "Attempt 1, bad/m with the key main: began at");
    has(&attempts, "connected in");
    has(&attempts, "first byte after");
    has(&attempts, "with overloaded (status 503): at capacity");
    has(&attempts, "Attempt 2, bad/m with the key main: put off for");
    has(&attempts, "Attempt 3, oa/m");
    has(&part(&told, "decision"), "oa/m: stands behind");
    let time = part(&told, "time");
    for step in ["until it was known who calls", "for the body to arrive", "to let it in"] {
        has(&time, step);
    }
    has(&time, &format!("The caller was sent {} bytes.", answer.body.len()));
    let line = gateway.request_line(&id(&answer));
    assert!(line["attempts"][0]["first_byte_us"].as_u64().is_some(), "{line}");
}

#[test]
fn a_pooled_connection_and_one_with_tls_are_told_apart() {
    let upstream = Upstream::start_tls(Leaf::Good.server(), healthy);
    let mut provider = provider(Wire::OpenAi, &format!("https://localhost:{}", upstream.port));
    provider["network_config"]["ca_cert_pem"] = json!(CA);
    let gateway = Gateway::start(&json!({"providers": {"oa": provider}}));
    let first = explained(&gateway, &id(&gateway.ask(&plain_chat())));
    let first = part(&first, "attempts");
    has(&first, "connected in");
    has(&first, "TLS in");
    // Two threads: each has its own pool.
    let pooled = until("a pooled connection", || {
        let told = explained(&gateway, &id(&gateway.ask(&plain_chat())));
        Some(part(&told, "attempts")).filter(|told| told.contains("over a pooled connection"))
    });
    assert!(!pooled.contains("TLS in") && !pooled.contains("connected in"), "{pooled}");
}

#[test]
fn the_share_of_each_key_and_why_one_rests_is_told() {
    let upstream = Upstream::start(|hit| match hit.key() {
        "refused" => crate::support::answers::refusal(hit, 401, "authentication_error", "no such key", &[]),
        _ => healthy(hit),
    });
    let mut provider = provider(Wire::OpenAi, &upstream.url());
    provider["keys"] = json!([
        {"name": "a", "value": "key-a", "weight": 3}, {"name": "b", "value": "key-b", "weight": 1},
        {"name": "bad", "value": "refused", "weight": 4}, {"name": "other", "value": "key-o", "models": ["x"]},
    ]);
    let gateway = Gateway::start(&json!({"providers": {"oa": provider}}));
    let told = until("a choice among what is left", || {
        let told = part(&explained(&gateway, &id(&gateway.ask(&plain_chat()))), "decision");
        Some(told).filter(|told| told.contains("the key was refused"))
    });
    has(&told, "oa/m with the key bad: not possible, cooling: the key was refused.");
    has(&told, "oa/m with the key other: not possible, does not serve the model.");
    has(&told, "75 % of the choices at that moment");
    has(&told, "25 % of the choices at that moment");
    has(&told, "Among keys the strategy weighted chose.");
    let line = gateway.wait_for_log("\"event\":\"key_rests\"");
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(line["level"], "warn");
    assert_eq!(line["key"], "oa/bad");
    assert!(gateway.metric("bifrost_events_total", &[("event", "key_rests")]) >= 1.0);
}

#[test]
fn requests_that_are_refused_leave_their_reason() {
    let upstream = Upstream::start(healthy);
    let gateway = Gateway::start(&json!({
        "providers": providers(&upstream),
        "governance": {"virtual_keys": [{
            "name": "poor", "value": "sk-bf-poor-0123456789abcdefghij",
            "rate_limit": {"request_max_limit": 1, "request_reset_duration": "1h"},
            "provider_configs": [{"provider": "oa"}],
        }]},
    }));
    let poor = |request: Request| request.header("x-bf-vk", "sk-bf-poor-0123456789abcdefghij");
    let unknown = gateway.ask(&Request::json(Wire::OpenAi.path(), &chat("nobody-has-this")));
    assert_eq!(unknown.status(), 404);
    let told = explained(&gateway, &id(&unknown));
    has(told["summary"].as_str().unwrap(), "Refused with 404");
    has(&part(&told, "asked"), "for the model `nobody-has-this`");
    let denied = gateway.ask(&poor(Request::json(Wire::Anthropic.path(), &chat("an/m"))));
    assert_eq!(denied.status(), 403, "{}", denied.text());
    let told = explained(&gateway, &id(&denied));
    has(&part(&told, "asked"), "Asked with the virtual key poor.");
    has(&part(&told, "asked"), "in the dialect of anthropic, for the model `an/m`");
    assert_eq!(gateway.ask(&poor(plain_chat())).status(), 200);
    let refused = gateway.ask(&poor(plain_chat()));
    assert_eq!(refused.status(), 429, "{}", refused.text());
    let told = explained(&gateway, &id(&refused));
    has(told["summary"].as_str().unwrap(), "nobody was asked: virtual key poor rate limit exceeded");
    has(&part(&told, "limits"), "virtual_key:poor had taken 1 of 1 requests: refused.");
    let line: Value = serde_json::from_str(&gateway.wait_for_log("\"event\":\"budget_used_up\"")).unwrap();
    assert_eq!((&line["owner"], &line["what"]), (&json!("virtual_key:poor"), &json!("limit of requests")));
    let wrong = gateway.ask(&plain_chat().header("x-bf-vk", "sk-bf-nobody"));
    assert_eq!(wrong.status(), 403);
    let told = explained(&gateway, &id(&wrong));
    has(told["summary"].as_str().unwrap(), "nobody was asked: this virtual key does not exist");
}

#[test]
fn a_rule_and_a_virtual_key_say_that_they_chose() {
    let upstream = Upstream::start(healthy);
    let gateway = Gateway::start(&json!({
        "providers": providers(&upstream),
        "routing": {
            "aliases": {"nick": "oa/m"},
            "groups": {"both": {"targets": [{"model": "oa/m"}, {"model": "an/m"}]}},
            "rules": [{"name": "night", "when": "headers[\"x-night\"] == \"yes\"", "targets": [{"model": "an/m"}]}],
        },
        "governance": {"virtual_keys": [{
            "name": "chooser", "value": "sk-bf-chooser-0123456789abcdef",
            "provider_configs": [{"provider": "an", "weight": 1, "allowed_models": ["claude-x"]}],
        }]},
    }));
    let decided = |request: Request| {
        let answer = gateway.ask(&request);
        assert_eq!(answer.status(), 200, "{}", answer.text());
        part(&explained(&gateway, &id(&answer)), "decision")
    };
    let model = |name: &str| Request::json(Wire::OpenAi.path(), &chat(name));
    let ruled = decided(plain_chat().header("x-night", "yes"));
    has(&ruled, "The rule `night` was the first that matched.");
    has(&ruled, "A rule said where it goes.");
    has(&decided(model("nick")), "`nick` is another name of a model");
    let grouped = decided(model("both"));
    has(&grouped, "`both` is a group of models.");
    has(&grouped, "stands behind");
    has(&decided(plain_chat()), "`oa/m` names a model");
    let granted = decided(model("claude-x").header("x-bf-vk", "sk-bf-chooser-0123456789abcdef"));
    has(&granted, "the virtual key chose among those that it may use");
}

#[test]
fn a_stream_that_was_gone_on_with_is_told_and_said() {
    let wire = Wire::OpenAi;
    let broken = Upstream::start(move |hit| {
        let kept = after_two_words(hit.wire());
        let mut script = vec![stream_head()];
        script.extend(events(hit.wire(), hit.model()).iter().take(kept).map(chunk));
        script.push(Act::Reset);
        script
    });
    let good = Upstream::start(|hit| open_stream(&events(hit.wire(), hit.model()), Duration::ZERO));
    let mut providers = json!({
        "bad": provider(wire, &broken.url()),
        "claude": provider(Wire::Anthropic, &good.url()),
    });
    providers["bad"]["network_config"]["max_retries"] = json!(0);
    let gateway = Gateway::start(&json!({"providers": providers}));
    let mut body = streamed("bad/m");
    body["fallbacks"] = json!(["claude/claude-sonnet-4-5"]);
    let answer = gateway.ask(&Request::json(wire.path(), &body));
    let told = explained(&gateway, &id(&answer));
    let attempts = part(&told, "attempts");
    has(&attempts, "Attempt 1, bad/m");
    has(&attempts, "first token");
    has(&attempts, "Attempt 2, claude/claude-sonnet-4-5");
    has(&part(&told, "time"), "The caller had the first token after");
    let line: Value = serde_json::from_str(&gateway.wait_for_log("\"event\":\"stream_recovered\"")).unwrap();
    assert_eq!(line["request_id"], id(&answer).as_str());
}

#[test]
fn who_lost_a_race_is_told_with_its_steps() {
    let slow = Upstream::start(|hit| {
        let mut script = vec![Act::Pause(Duration::from_secs(5))];
        script.extend(healthy(hit));
        script
    });
    let fast = Upstream::start(healthy);
    let gateway = Gateway::start(&json!({
        "providers": {"slow": provider(Wire::OpenAi, &slow.url()), "fast": provider(Wire::OpenAi, &fast.url())},
        "hedging": {"enabled": true, "after_ms": 50, "max_extra_spend_percent": 100.0},
    }));
    let mut body = chat("slow/m");
    body["fallbacks"] = json!(["fast/m"]);
    let answer = gateway.ask(&Request::json(Wire::OpenAi.path(), &body));
    assert_eq!(answer.header("x-bf-provider"), Some("fast"), "{}", answer.text());
    let told = explained(&gateway, &id(&answer));
    let attempts = part(&told, "attempts");
    has(&attempts, "because the other of two attempts was ahead");
    let winner = attempts.lines().find(|line| line.contains("fast/m")).unwrap();
    has(winner, "connected in");
    has(winner, "first byte after");
    has(told["summary"].as_str().unwrap(), "by fast/m with the key main.");
}

#[test]
fn ids_begin_with_their_moment_and_callers_keep_theirs() {
    let (_upstream, gateway) = healthy_stage(json!({}));
    let before = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    let ids: Vec<String> = (0..3).map(|_| id(&gateway.ask(&plain_chat()))).collect();
    let after = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    for made in &ids {
        let moment = u128::from_str_radix(&made[..12], 16).unwrap();
        assert!(made.len() == 32 && (before..=after).contains(&moment), "{made}");
    }
    let own = gateway.ask(&plain_chat().header("x-request-id", "mine-1"));
    assert_eq!(id(&own), "mine-1");
    has(explained(&gateway, "mine-1")["summary"].as_str().unwrap(), "Answered with 200");
    assert_eq!(gateway.get("/api/debug/explain/nobody").status(), 404);
}

#[test]
fn tags_are_in_the_line_and_credentials_are_not() {
    let (_upstream, gateway) = healthy_stage(json!({"logging_headers": ["x-tenant", "authorization"]}));
    gateway.wait_for_log("authorization proves who asks");
    let request = plain_chat()
        .header("x-bf-lh-team", "blue")
        .header("x-bf-dim-feature", "search")
        .header("x-tenant", "acme")
        .header("authorization", "Bearer caller-secret-0123456789")
        .header("x-bf-lh-note", "sk-proj-abcdefghijklmnop0123456789")
        .header("x-bf-session-id", "s-1")
        .header("x-bf-parent-request-id", "p-1");
    let line = gateway.request_line(&id(&gateway.ask(&request)));
    let tags = json!({"team": "blue", "feature": "search", "x-tenant": "acme", "note": "[redacted]"});
    assert_eq!(line["tags"], tags, "{line}");
    assert_eq!((&line["session_id"], &line["parent_request_id"]), (&json!("s-1"), &json!("p-1")));
    assert!(!line.to_string().contains("caller-secret"), "{line}");
}

#[test]
fn how_much_is_logged_changes_at_run_time() {
    let (_bad, _good, gateway) = failover_stage(json!({}));
    let level = || gateway.get("/api/debug/log-level").json();
    assert_eq!(level()["level"], "info");
    let put = |body: Value| gateway.ask(&Request::json("/api/debug/log-level", &body).method("PUT"));
    let ask = || {
        let mut body = chat("bad/m");
        body["fallbacks"] = json!(["oa/m"]);
        id(&gateway.ask(&Request::json(Wire::OpenAi.path(), &body)))
    };
    let quiet = ask();
    gateway.request_line(&quiet);
    assert!(!gateway.log().iter().any(|line| line.contains(&format!("request {quiet}: bad/m failed"))));
    let answer = put(json!({"level": "debug"}));
    assert_eq!((answer.status(), &answer.json()["level"]), (200, &json!("debug")), "{}", answer.text());
    let loud = ask();
    gateway.wait_for_log(&format!("request {loud}: bad/m failed"));
    put(json!({"level": "info"}));
    let answer = put(json!({"target": "bifrost::request", "level": "off"}));
    assert_eq!(answer.json()["targets"]["bifrost::request"], "off");
    let unseen = ask();
    assert_eq!(put(json!({"target": "bifrost::request", "level": null})).status(), 200);
    let seen = ask();
    gateway.request_line(&seen);
    assert!(!gateway.log().iter().any(|line| line.contains(&unseen)), "its line was not to be written");
    for (body, path) in [
        (json!({"level": "loud"}), "level"),
        (json!({"level": null}), "level"),
        (json!({"target": " ", "level": "info"}), "target"),
    ] {
        let answer = put(body);
        assert_eq!(
            (answer.status(), &answer.json()["error"]["path"]),
            (422, &json!(path)),
            "{}",
            answer.text()
        );
    }
    assert_eq!(put(json!({"loudness": 11})).status(), 400);
    gateway.wait_for_log("\"event\":\"log_level_changed\"");
}

#[test]
fn health_tells_of_queues_and_of_the_last_reload() {
    let (upstream, gateway) = healthy_stage(json!({}));
    gateway.request_line(&id(&gateway.ask(&plain_chat())));
    let health = until("the record to be told", || {
        Some(gateway.health()).filter(|health| health["queues"]["records"]["told"] == 1)
    });
    assert_eq!(health["queues"]["records"]["dropped"], 0);
    until("the log to be written", || {
        let health = gateway.health();
        (health["queues"]["request_log"]["written"] == 1 && health["stores"]["requests"] == "ok")
            .then_some(())
    });
    assert_eq!(health["config"]["last_result"], "ok");
    assert!(health["config"]["in_force_since"].as_str().unwrap().ends_with('Z'));
    let folder = gateway.folder.path();
    crate::support::gateway::write_text(folder, "{");
    gateway.signal(1);
    let refused: Value =
        serde_json::from_str(&gateway.wait_for_log("\"event\":\"config_rejected\"")).unwrap();
    assert_eq!(refused["level"], "error");
    let health = gateway.health();
    assert_eq!(health["config"]["last_result"], "refused");
    assert!(health["config"]["last_read"].as_str() > health["config"]["in_force_since"].as_str(), "{health}");
    write_config(
        folder,
        &json!({"providers": providers(&upstream), "client": {"max_request_body_size_mb": 7}}),
    );
    gateway.wait_for_log("\"event\":\"config_reloaded\"");
    assert_eq!(gateway.health()["config"]["last_result"], "ok");
    assert!(gateway.metric("bifrost_events_total", &[("event", "config_reloaded")]) >= 1.0);
    assert_eq!(gateway.metric("bifrost_events_total", &[("event", "store_lost")]), 0.0);
}

/// What the log has of a request, as soon as it is there.
fn logged(gateway: &Gateway, id: &str) -> Value {
    let path = format!("/api/logs/{id}");
    until("the request to be in the log", || Some(gateway.get(&path)).filter(|answer| answer.status() == 200))
        .json()
}

#[test]
fn contents_are_kept_only_where_somebody_says_so_and_without_secrets() {
    let upstream = Upstream::start(healthy);
    let mut providers = providers(&upstream);
    providers["oa"]["store_raw_request_response"] = json!(true);
    let stage = |client: Value| {
        Gateway::start(&json!({
            "providers": providers, "client": client,
            "governance": {"virtual_keys": [
                {"name": "open", "value": "sk-bf-open-0123456789abcdefghij", "log_content": true},
                {"name": "shut", "value": "sk-bf-shut-0123456789abcdefghij", "log_content": false},
            ]},
        }))
    };
    let asked = |gateway: &Gateway, headers: &[(&str, &str)]| {
        let mut body = chat("oa/m");
        body["messages"][0]["content"] = json!("keep sk-proj-AbCdEfGhIjKlMnOp0123456789 and provider-key");
        let request = Request::json(Wire::OpenAi.path(), &body);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(name, value));
        logged(gateway, &id(&gateway.ask(&request))).to_string()
    };
    let (open, shut) =
        (("x-bf-vk", "sk-bf-open-0123456789abcdefghij"), ("x-bf-vk", "sk-bf-shut-0123456789abcdefghij"));
    let (off, on) = (("x-bf-log-content", "false"), ("x-bf-log-content", "true"));
    let quiet = stage(json!({}));
    for (headers, kept) in [(vec![], false), (vec![on], false), (vec![open], true), (vec![open, off], false)]
    {
        assert_eq!(asked(&quiet, &headers).contains("keep [redacted]"), kept, "{headers:?}");
    }
    let loud = stage(json!({"disable_content_logging": false}));
    for (headers, kept) in [(vec![], true), (vec![shut], false), (vec![off], false), (vec![shut, on], false)]
    {
        assert_eq!(asked(&loud, &headers).contains("keep [redacted]"), kept, "{headers:?}");
    }
    let kept = asked(&loud, &[]);
    has(&kept, "keep [redacted] and [redacted]");
    has(&kept, "raw_request");
    assert!(!kept.contains("AbCdEfGh") && !kept.contains("provider-key"), "{kept}");
    let off = stage(json!({"disable_content_logging": true}));
    assert!(!asked(&off, &[]).contains("keep ["));
}

#[test]
fn an_explanation_outlives_the_process() {
    let (_bad, _good, mut gateway) = failover_stage(json!({}));
    let mut body = chat("bad/m");
    body["fallbacks"] = json!(["oa/m"]);
    let answer = gateway.ask(&Request::json(Wire::OpenAi.path(), &body).header("x-request-id", "long-ago"));
    assert_eq!(answer.status(), 200, "{}", answer.text());
    logged(&gateway, "long-ago");
    let before = explained(&gateway, "long-ago");
    gateway.signal(15);
    gateway.wait_for_exit();
    let again = Gateway::launch(gateway.folder.clone(), gateway.port, &[], &[]);
    assert_eq!(explained(&again, "long-ago"), before, "memory and log tell the same");
}
