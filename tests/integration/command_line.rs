//! The command line, and what it says when something is wrong.

use std::net::TcpListener;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::stage::{chat, streamed};
use crate::support::Wire;
use crate::support::client::Request;
use crate::support::gateway::{Gateway, free_port, run};

fn file(folder: &tempfile::TempDir, text: &str) -> String {
    let path = folder.path().join("c.json");
    std::fs::write(&path, text).unwrap();
    path.to_string_lossy().into_owned()
}

#[test]
fn a_configuration_that_is_wrong_ends_with_2_and_says_where() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder, "{\n  \"providers\": {\"oa\": {\"keyz\": []}}\n}");
    for arguments in [vec!["--config", path.as_str()], vec!["serve", "--config", &path]] {
        let (code, _, error) = run(&arguments);
        assert_eq!(code, Some(2), "{error}");
        assert!(error.contains("keyz") && error.contains(":2:"), "{error}");
        assert!(error.contains("nothing was started"), "{error}");
    }
    let (code, _, error) = run(&["--config", &format!("{path}.missing")]);
    assert_eq!(code, Some(2), "{error}");
    assert!(error.contains("missing"), "{error}");
}

#[test]
fn a_port_in_use_ends_with_2_and_an_advice() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let (code, _, error) = run(&["--host", "127.0.0.1", "--port", &port]);
    assert_eq!(code, Some(2), "{error}");
    assert!(error.contains(&port) && error.contains("another process listens there"), "{error}");
}

#[test]
fn check_says_what_would_be_served_or_every_problem() {
    let folder = tempfile::tempdir().unwrap();
    let good = json!({"providers": {"openai": {"keys": [{"value": "sk-1"}]}}}).to_string();
    // As it is given to `serve` too: that is what people type.
    let (code, named, _) = run(&["check", "--config", &file(&folder, &good)]);
    assert_eq!(code, Some(0), "{named}");
    let (code, out, _) = run(&["check", &file(&folder, &good)]);
    assert_eq!(named, out);
    assert_eq!(code, Some(0), "{out}");
    assert!(out.contains("openai") && !out.contains("sk-1"), "{out}");
    let bad = "{\"providers\": {\"openai\": {\"keys\": 3}},\n \"client\": {\"max_request_body_size_mb\": 0}}";
    let (code, out, error) = run(&["check", &file(&folder, bad)]);
    assert_eq!(code, Some(2), "{out}{error}");
    assert!(out.contains(":1:") && out.contains(":2:"), "{out}");
}

#[test]
fn schema_prints_a_json_schema() {
    let (code, out, _) = run(&["schema"]);
    assert_eq!(code, Some(0));
    let schema: Value = serde_json::from_str(&out).unwrap();
    assert!(schema["properties"]["providers"].is_object());
}

#[test]
fn without_any_configuration_the_mock_answers() {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let gateway = Gateway::launch(folder, free_port(), &[], &[]);
    for wire in [Wire::OpenAi, Wire::Anthropic] {
        let answer = gateway.ask(&Request::json(wire.path(), &chat("mock/echo")));
        assert_eq!(answer.status(), 200, "{}", answer.text());
        assert!(answer.text().contains("What is the answer?"), "{}", answer.text());
        let answer = gateway.ask(&Request::json(wire.path(), &streamed("mock/echo")));
        assert!(answer.whole && answer.text().contains("answer"), "{}", answer.text());
    }
}

/// An empty store, made for a mistyped folder, would say that all is well.
#[test]
fn the_audit_log_of_a_store_that_is_not_there_is_no_good_one() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("elsewhere");
    for command in [["audit", "verify"], ["audit", "export"], ["secrets", "rotate"]] {
        let (code, _, error) = run(&[command[0], command[1], "--app-dir", &place.display().to_string()]);
        assert_eq!(code, Some(2), "{command:?}: {error}");
        assert!(error.contains("there is no store at") && error.contains("--app-dir"), "{error}");
    }
    assert!(!place.exists());
}
