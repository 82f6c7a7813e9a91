//! Files by URL, for providers that take bytes only: fetched before such a provider is asked, within the
//! request's limits.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::stage::{message, provider};
use crate::support::Wire;
use crate::support::answers::{healthy, json_answer, raw_answer, refusal};
use crate::support::client::{Request, Response};
use crate::support::gateway::Gateway;
use crate::support::upstream::{Act, Hit, Upstream};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n.....";
const CHAT: &str = "/v1/chat/completions";

/// `bytes` takes no URLs; `down` refuses everything; `spare` takes URLs.
struct Stage {
    files: Upstream,
    bytes: Upstream,
    spare: Upstream,
    gateway: Gateway,
}

fn stage(total_timeout: Option<f64>) -> Stage {
    let files = Upstream::start(|hit: &Hit| match hit.path.as_str() {
        "/silent" => vec![Act::Hold],
        "/large" => raw_answer(200, "image/png", &[], &[PNG, &vec![0; 2 << 20]].concat()),
        path if path.starts_with("/a") => raw_answer(200, "image/png", &[], PNG),
        _ => json_answer(404, &[], &json!({})),
    });
    let bytes = Upstream::start(|_: &Hit| {
        json_answer(
            200,
            &[],
            &json!({"candidates": [{"index": 0, "finishReason": "STOP",
            "content": {"role": "model", "parts": [{"text": "seen"}]}}]}),
        )
    });
    let down = Upstream::start(|hit: &Hit| refusal(hit, 503, "overloaded_error", "at capacity", &[]));
    let spare = Upstream::start(healthy);
    let mut takes_bytes = provider(Wire::OpenAi, &bytes.url());
    takes_bytes["custom_provider_config"]["base_provider_type"] = json!("gemini");
    takes_bytes["network_config"]["total_timeout_in_seconds"] = json!(total_timeout);
    let gateway = Gateway::start(&json!({
        "providers": {
            "bytes": takes_bytes,
            "down": provider(Wire::OpenAi, &down.url()),
            "spare": provider(Wire::OpenAi, &spare.url()),
        },
        "client": {"fetch_private_addresses": true},
        "routing": {"rules": [{"name": "copy", "when": "model == \"copied\"", "mirror": {"model": "bytes/m"}}]},
    }));
    Stage { files, bytes, spare, gateway }
}

impl Stage {
    fn body(&self, model: &str, fallbacks: &[&str], paths: &[&str]) -> Value {
        let images: Vec<Value> = paths
            .iter()
            .map(|path| json!({"type": "image_url", "image_url": {"url": format!("{}{path}", self.files.url())}}))
            .collect();
        json!({"model": model, "fallbacks": fallbacks, "messages": [
            {"role": "system", "content": "Look."},
            {"role": "user", "content": images},
        ]})
    }

    fn ask(&self, model: &str, fallbacks: &[&str], paths: &[&str]) -> Response {
        self.gateway.ask(&Request::json(CHAT, &self.body(model, fallbacks, paths)))
    }
}

#[test]
fn a_url_with_escaped_slashes_is_fetched_like_any_other() {
    let stage = stage(None);
    let body = stage.body("bytes/m", &[], &["/a.png"]).to_string();
    for (nth, body) in [body.clone(), body.replace("//", "\\/\\/"), body.replace("://", "\\u003a\\u002f/")]
        .into_iter()
        .enumerate()
    {
        let answer = stage.gateway.ask(&Request::post(CHAT, body));
        assert_eq!(answer.status(), 200, "{}", answer.text());
        let sent = stage.bytes.hits()[nth].json.to_string();
        assert!(sent.contains(&STANDARD.encode(PNG)) && !sent.contains("127.0.0.1"), "{sent}");
    }
}

#[test]
fn a_file_that_cannot_be_fetched_ends_its_step_and_not_the_request() {
    let stage = stage(None);
    let answer = stage.ask("down/m", &["bytes/m", "spare/m"], &["/a.png", "/gone.png"]);
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let fields = &answer.json()["extra_fields"];
    assert_eq!(fields["provider"], "spare");
    let skipped =
        fields["attempts"].as_array().unwrap().iter().find(|one| one["provider"] == "bytes").unwrap();
    assert!(skipped["reason"].as_str().unwrap().contains("404"), "{skipped}");
    assert!(stage.bytes.hits().is_empty());
    // Its provider takes URLs.
    assert!(stage.spare.hits()[0].json.to_string().contains("/gone.png"));
    // What a provider really answered says more than a step that was passed over.
    let answer = stage.ask("down/m", &["bytes/m"], &["/gone.png"]);
    assert_eq!((answer.status(), message(&answer).as_str()), (503, "at capacity"));
}

#[test]
fn a_file_that_cannot_be_fetched_is_named_by_its_place_in_the_body() {
    let stage = stage(None);
    let answer = stage.ask("bytes/m", &[], &["/a.png", "/gone.png"]);
    assert_eq!(answer.status(), 400, "{}", answer.text());
    assert_eq!(answer.json()["error"]["param"], "messages[1].content[1].image_url.url");
    assert!(message(&answer).contains("/gone.png"), "{}", message(&answer));
}

#[test]
fn files_that_are_too_large_together_are_refused() {
    let stage = stage(None);
    // Fetched once, but it would stand in the request forty times.
    let answer = stage.ask("bytes/m", &[], &["/large"; 40]);
    assert_eq!(answer.status(), 400, "{}", answer.text());
    assert!(message(&answer).contains("together"), "{}", message(&answer));
    assert_eq!((stage.files.hits().len(), stage.bytes.hits().len()), (1, 0));
}

#[test]
fn fetching_ends_with_the_requests_total_time() {
    let stage = stage(Some(0.5));
    let asked_at = Instant::now();
    let answer = stage.ask("bytes/m", &["spare/m"], &["/silent"]);
    assert_eq!(answer.status(), 504, "{}", answer.text());
    assert!(asked_at.elapsed() < Duration::from_secs(2), "{:?}", asked_at.elapsed());
    let line = stage.gateway.request_line(answer.header("x-request-id").unwrap());
    assert_eq!(line["error"]["type"], "total_timeout", "{line}");
    assert!(stage.spare.hits().is_empty());
}

#[test]
fn fetching_ends_when_the_caller_leaves() {
    let stage = stage(None);
    let mut caller = stage.gateway.connect();
    let body = stage.body("bytes/m", &[], &["/silent"]);
    caller.send(&Request::json(CHAT, &body).header("x-request-id", "left-early")).unwrap();
    stage.files.wait_for("the file to be asked for", |hits| (!hits.is_empty()).then_some(()));
    drop(caller);
    stage.files.wait_for("the fetch to be dropped", |hits| hits[0].left);
    let line = stage.gateway.request_line("left-early");
    assert_eq!((&line["status"], &line["error"]["type"]), (&json!(499), &json!("caller_gone")), "{line}");
}

#[test]
fn a_copy_has_its_files_as_its_model_takes_them() {
    let stage = stage(None);
    assert_eq!(stage.ask("spare/copied", &[], &["/a.png"]).status(), 200);
    let line = stage.gateway.wait_for_log("\"mirror_of\"");
    assert!(line.contains("copy completed"), "{line}");
    let sent = String::from_utf8_lossy(&stage.bytes.hits()[0].body).into_owned();
    assert!(sent.contains(&STANDARD.encode(PNG)), "{sent}");
    // The caller's own request went as it was.
    assert!(!String::from_utf8_lossy(&stage.spare.hits()[0].body).contains(&STANDARD.encode(PNG)));
}
