//! A provider that takes a job and answers later, after the vendor's public description of it.

use std::io::Write;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::stage::{chat, message, provider, streamed};
use crate::support::Wire;
use crate::support::answers::healthy;
use crate::support::client::Request;
use crate::support::gateway::Gateway;
use crate::support::upstream::{Act, Gate, Hit, Script, Upstream};

const CREATE: &str = "/v1/models/acme/talker/predictions";
const LOOK: &str = "/v1/predictions/p1";
const CANCEL: &str = "/v1/predictions/p1/cancel";
const STREAM: &str = "/v1/streams/secret";
const WORDS: [&str; 4] = ["The", " answer", " is", " 42"];

fn answer(status: u16, kind: &str, body: &str) -> Script {
    let length = body.len();
    let head = format!("HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n");
    vec![Act::Send([head.as_bytes(), body.as_bytes()].concat())]
}

fn prediction(hit: &Hit, status: &str, more: Value) -> Script {
    let host = hit.header("host").unwrap();
    let at = format!("http://{host}");
    let mut body = json!({
        "id": "p1", "model": "acme/talker", "version": "hidden", "input": {"prompt": "x"}, "logs": "",
        "output": null, "error": null, "status": status, "created_at": "2024-01-01T00:00:00Z",
        "urls": {"get": format!("{at}{LOOK}"), "cancel": format!("{at}{CANCEL}"), "stream": format!("{at}{STREAM}")},
    });
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    answer(if status == "starting" { 201 } else { 200 }, "application/json", &body.to_string())
}

fn done(hit: &Hit) -> Script {
    let metrics = json!({"input_token_count": 11, "output_token_count": 4, "predict_time": 0.2});
    prediction(hit, "succeeded", json!({"output": WORDS, "metrics": metrics}))
}

fn events(events: &[(&str, &str)]) -> Vec<u8> {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
    let body: String = events.iter().map(|(name, data)| format!("event: {name}\ndata: {data}\n\n")).collect();
    format!("{head}{body}").into_bytes()
}

/// Starts, works for two looks, and is done.
fn patient(hit: &Hit) -> Script {
    match (hit.method.as_str(), hit.path.as_str()) {
        ("POST", CREATE) => prediction(hit, "starting", json!({})),
        // Looks have no model: they count alike, after the creation.
        ("GET", LOOK) if hit.nth < 4 => prediction(hit, "processing", json!({})),
        ("GET", LOOK) => done(hit),
        ("GET", STREAM) => {
            let mut all: Vec<(&str, &str)> = vec![("logs", "warm")];
            all.extend(WORDS.iter().map(|word| ("output", *word)));
            all.push(("done", "{}"));
            vec![Act::Send(events(&all)), Act::Close]
        }
        ("POST", CANCEL) => prediction(hit, "canceled", json!({})),
        other => panic!("nobody asks for {other:?}"),
    }
}

fn maker(url: &str) -> Value {
    let mut made = provider(Wire::OpenAi, url);
    made["custom_provider_config"] = json!({"base_provider_type": "replicate"});
    made
}

fn stage(upstream: &Upstream) -> Gateway {
    Gateway::start(&json!({"providers": {"maker": maker(&upstream.url())}}))
}

fn paths(upstream: &Upstream) -> Vec<(String, String)> {
    upstream.hits().into_iter().map(|hit| (hit.method, hit.path)).collect()
}

fn pair(method: &str, path: &str) -> (String, String) {
    (method.to_owned(), path.to_owned())
}

/// No one asks for the end of what has ended.
fn expect_no_cancel(upstream: &Upstream) {
    assert!(!paths(upstream).contains(&pair("POST", CANCEL)), "{:?}", paths(upstream));
}

fn wait_for(upstream: &Upstream, path: &str) -> Hit {
    upstream.wait_for(path, |hits| hits.iter().find(|hit| hit.path == path).cloned())
}

#[test]
fn a_whole_answer_is_waited_for_and_counted() {
    let upstream = Upstream::start(patient);
    let gateway = stage(&upstream);
    for dialect in [Wire::OpenAi, Wire::Anthropic] {
        let told = gateway.ask(&Request::json(dialect.path(), &chat("maker/acme/talker")));
        assert_eq!(told.status(), 200, "{}", told.text());
        let body = told.json();
        let (text, input) = match dialect {
            Wire::OpenAi => (&body["choices"][0]["message"]["content"], &body["usage"]["prompt_tokens"]),
            Wire::Anthropic => (&body["content"][0]["text"], &body["usage"]["input_tokens"]),
        };
        assert_eq!((text, input), (&json!("The answer is 42"), &json!(11)), "{body}");
    }
    let hits = upstream.hits();
    assert!(hits.iter().all(|hit| hit.key() == "provider-key"), "each request has the key");
    let sent = json!({"input": {"prompt": "What is the answer?", "max_tokens": 9}});
    assert_eq!((hits[0].path.as_str(), &hits[0].json), (CREATE, &sent));
    let looks = hits.iter().filter(|hit| hit.path == LOOK);
    assert!(looks.clone().count() >= 5, "{:?}", paths(&upstream));
    assert!(looks.clone().all(|hit| hit.body.is_empty() && hit.header("content-type").is_none()));
    expect_no_cancel(&upstream);
}

#[test]
fn a_stream_comes_word_by_word_from_where_the_provider_says() {
    let gate = Gate::shut();
    let held = gate.clone();
    let upstream = Upstream::start(move |hit| match hit.path.as_str() {
        STREAM => vec![
            Act::Send(events(&[("output", "The"), ("output", " answer")])),
            Act::Wait(held.clone()),
            Act::Send(b"event: output\ndata:  is 42\n\nevent: done\ndata: {}\n\n".to_vec()),
            Act::Close,
        ],
        _ => patient(hit),
    });
    let gateway = stage(&upstream);
    let mut caller = gateway.connect();
    caller.send(&Request::json(Wire::OpenAi.path(), &streamed("maker/acme/talker"))).unwrap();
    assert_eq!(caller.read_head().unwrap().status, 200);
    caller.read_until("answer");
    gate.open();
    let rest = String::from_utf8(caller.read_until("[DONE]")).unwrap();
    assert!(rest.contains(" is 42") && rest.contains(r#""finish_reason":"stop""#), "{rest}");
    let hits = upstream.hits();
    assert_eq!(paths(&upstream), [pair("POST", CREATE), pair("GET", STREAM)]);
    assert_eq!(hits[0].json["stream"], true);
    let asked = &hits[1];
    assert_eq!((asked.header("accept"), asked.body.len()), (Some("text/event-stream"), 0));
    assert_eq!((asked.header("content-type"), asked.header("content-length")), (None, None));
}

#[test]
fn a_prediction_that_fails_is_answered_by_the_fallback() {
    let spare = Upstream::start(healthy);
    let whole = Upstream::start(|hit| match hit.path.as_str() {
        LOOK => prediction(hit, "failed", json!({"error": "CUDA out of memory"})),
        _ => patient(hit),
    });
    let cut = Upstream::start(|hit| match hit.path.as_str() {
        STREAM => vec![
            Act::Send(events(&[("error", r#"{"detail":"broke"}"#), ("done", r#"{"reason":"error"}"#)])),
            Act::Close,
        ],
        _ => patient(hit),
    });
    let refused = Upstream::start(|_| {
        answer(
            402,
            "application/problem+json",
            r#"{"title":"Insufficient credit","detail":"pay","status":402}"#,
        )
    });
    let at_once = Upstream::start(|hit| prediction(hit, "failed", json!({"error": "no GPU"})));
    let gateway = Gateway::start(&json!({"providers": {
        "whole": maker(&whole.url()), "cut": maker(&cut.url()), "refused": maker(&refused.url()),
        "once": maker(&at_once.url()), "spare": provider(Wire::OpenAi, &spare.url()),
    }}));
    for (name, stream, outcome, reason) in [
        ("whole", false, "bad_answer", "CUDA out of memory"),
        ("cut", true, "bad_answer", "broke"),
        ("refused", false, "quota", "pay"),
        ("refused", true, "quota", "pay"),
        ("once", true, "bad_answer", "no GPU"),
    ] {
        let model = format!("{name}/acme/talker");
        let mut body = if stream { streamed(&model) } else { chat(&model) };
        body["fallbacks"] = json!(["spare/m"]);
        let told = gateway.ask(&Request::json(Wire::OpenAi.path(), &body).header("x-request-id", name));
        assert_eq!((told.status(), told.header("x-bf-provider")), (200, Some("spare")), "{}", told.text());
        let line = gateway.request_line(name);
        let tried = line["attempts"].as_array().unwrap().iter().find(|one| one["provider"] == name).unwrap();
        assert_eq!(tried["outcome"], outcome, "{name}: {line}");
        assert!(tried["reason"].as_str().unwrap().contains(reason), "{name}: {line}");
    }
    for upstream in [&whole, &cut, &at_once] {
        expect_no_cancel(upstream);
    }
}

#[test]
fn without_a_fallback_the_caller_reads_why_it_failed() {
    let upstream = Upstream::start(|hit| match hit.path.as_str() {
        LOOK => prediction(hit, "failed", json!({"error": "the model is out of order"})),
        _ => patient(hit),
    });
    let gateway = stage(&upstream);
    let told = gateway.ask(&Request::json(Wire::OpenAi.path(), &chat("maker/acme/talker")));
    assert_eq!(told.status(), 502, "{}", told.text());
    assert!(message(&told).contains("the model is out of order"), "{}", told.text());
}

#[test]
fn a_caller_that_leaves_ends_the_prediction() {
    for stream in [false, true] {
        let upstream = Upstream::start(|hit| match hit.path.as_str() {
            LOOK => prediction(hit, "processing", json!({})),
            STREAM => vec![Act::Send(events(&[("output", "The")])), Act::Hold],
            _ => patient(hit),
        });
        let gateway = stage(&upstream);
        let mut caller = gateway.connect();
        let body = if stream { streamed("maker/acme/talker") } else { chat("maker/acme/talker") };
        caller.send(&Request::json(Wire::OpenAi.path(), &body).header("x-request-id", "leaving")).unwrap();
        wait_for(&upstream, if stream { STREAM } else { LOOK });
        if stream {
            caller.read_head().unwrap();
        }
        let left_at = Instant::now();
        drop(caller);
        let cancel = wait_for(&upstream, CANCEL);
        assert!(cancel.at.saturating_duration_since(left_at) < Duration::from_secs(1));
        assert_eq!((cancel.method.as_str(), cancel.key()), ("POST", "provider-key"));
        let line = gateway.request_line("leaving");
        assert_eq!((&line["status"], &line["error"]["type"]), (&json!(499), &json!("caller_gone")), "{line}");
    }
}

#[test]
fn a_caller_that_leaves_while_the_prediction_is_created_ends_it_too() {
    let gate = Gate::shut();
    let held = gate.clone();
    let upstream = Upstream::start(move |hit| match hit.path.as_str() {
        CREATE => {
            let mut script = vec![Act::Wait(held.clone())];
            script.extend(patient(hit));
            script
        }
        _ => patient(hit),
    });
    let gateway = stage(&upstream);
    let mut caller = gateway.connect();
    let request = Request::json(Wire::OpenAi.path(), &chat("maker/acme/talker"));
    caller.send(&request.header("x-request-id", "hasty")).unwrap();
    wait_for(&upstream, CREATE);
    drop(caller);
    assert_eq!(gateway.request_line("hasty")["status"], 499);
    gate.open();
    wait_for(&upstream, CANCEL);
}

#[test]
fn a_prediction_that_takes_too_long_is_cancelled_and_the_fallback_answers() {
    let spare = Upstream::start(healthy);
    let upstream = Upstream::start(|hit| match hit.path.as_str() {
        LOOK => prediction(hit, "processing", json!({})),
        _ => patient(hit),
    });
    let mut slow = maker(&upstream.url());
    slow["network_config"]["default_request_timeout_in_seconds"] = json!(1);
    slow["network_config"]["max_retries"] = json!(0);
    let gateway =
        Gateway::start(&json!({"providers": {"slow": slow, "spare": provider(Wire::OpenAi, &spare.url())}}));
    let mut body = chat("slow/acme/talker");
    body["fallbacks"] = json!(["spare/m"]);
    let told = gateway.ask(&Request::json(Wire::OpenAi.path(), &body)).json();
    assert_eq!(told["extra_fields"]["attempts"][0]["outcome"], "timeout", "{told}");
    assert_eq!(told["extra_fields"]["provider"], "spare");
    wait_for(&upstream, CANCEL);
}

#[test]
fn a_look_that_fails_is_not_the_end() {
    let upstream = Upstream::start(|hit| match (hit.path.as_str(), hit.nth) {
        (LOOK, 2) => answer(503, "text/plain", "busy"),
        (LOOK, 3) => vec![Act::Reset],
        _ => patient(hit),
    });
    let told = stage(&upstream).ask(&Request::json(Wire::OpenAi.path(), &chat("maker/acme/talker")));
    assert_eq!(told.status(), 200, "{}", told.text());
}

#[test]
fn neither_keys_nor_requests_go_where_an_answer_points_inside_our_network() {
    let inside = Upstream::start(|_| panic!("an answer led the gateway here"));
    for host in ["localhost", "127.0.0.2", "[::1]"] {
        let url = format!("http://{host}:{}{STREAM}", inside.port);
        let upstream = Upstream::start(move |hit| match hit.path.as_str() {
            CREATE => prediction(hit, "starting", json!({"urls": {"stream": url}})),
            _ => patient(hit),
        });
        let gateway = stage(&upstream);
        let told = gateway.ask(&Request::json(Wire::OpenAi.path(), &streamed("maker/acme/talker")));
        assert_eq!(told.status(), 502, "{}", told.text());
        assert!(message(&told).contains("not public"), "{}", told.text());
        wait_for(&upstream, CANCEL);
    }
    assert!(inside.hits().is_empty());
}

#[test]
fn a_model_that_could_not_stream_kept_the_fallback_from_answering() {
    let spare = Upstream::start(healthy);
    let upstream = Upstream::start(|hit| match hit.path.as_str() {
        CREATE => prediction(hit, "starting", json!({"urls": {}})),
        _ => patient(hit),
    });
    let gateway = Gateway::start(&json!({"providers": {
        "maker": maker(&upstream.url()), "spare": provider(Wire::OpenAi, &spare.url()),
    }}));
    let mut body = streamed("maker/acme/talker");
    body["fallbacks"] = json!(["spare/m"]);
    let told = gateway.ask(&Request::json(Wire::OpenAi.path(), &body));
    assert_eq!((told.status(), told.header("x-bf-provider")), (200, Some("spare")), "{}", told.text());
    wait_for(&upstream, CANCEL);
    let created = upstream.hits().iter().filter(|hit| hit.path == CREATE).count();
    assert_eq!(created, 1, "what cannot stream is not asked again");
}

#[test]
fn compressed_predictions_were_not_read() {
    let upstream = Upstream::start(|hit| {
        assert_eq!(hit.header("accept-encoding"), Some("identity"), "{}", hit.path);
        let Some(Act::Send(plain)) = patient(hit).into_iter().next() else { panic!("nothing is answered") };
        let at = plain.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&plain[at..]).unwrap();
        let body = encoder.finish().unwrap();
        let mut sent = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\n\
             content-length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        sent.extend(body);
        vec![Act::Send(sent)]
    });
    let told = stage(&upstream).ask(&Request::json(Wire::OpenAi.path(), &chat("maker/acme/talker")));
    assert_eq!(told.status(), 200, "{}", told.text());
    assert_eq!(told.json()["choices"][0]["message"]["content"], "The answer is 42");
}

#[test]
fn a_model_that_cannot_stream_says_so() {
    let upstream = Upstream::start(|hit| match hit.path.as_str() {
        CREATE => prediction(hit, "starting", json!({"urls": {}})),
        _ => patient(hit),
    });
    let gateway = stage(&upstream);
    let told = gateway.ask(&Request::json(Wire::OpenAi.path(), &streamed("maker/acme/talker")));
    assert_eq!(told.status(), 400, "{}", told.text());
    assert!(message(&told).contains("cannot stream"), "{}", told.text());
    wait_for(&upstream, CANCEL);
}

#[test]
fn passthrough_to_a_provider_of_jobs_became_a_prediction() {
    let upstream = Upstream::start(|hit| {
        let told = json!({"method": hit.method, "path": hit.path, "type": hit.header("content-type")});
        answer(200, "application/json", &told.to_string())
    });
    let gateway =
        Gateway::start(&json!({"providers": {"replicate": provider(Wire::OpenAi, &upstream.url())}}));
    for (method, path, body) in [
        ("GET", "/v1/models?cursor=x", ""),
        ("POST", "/v1/files", "--b--"),
        ("POST", CREATE, r#"{"input":{"prompt":"x"},"stream":true}"#),
        ("DELETE", "/v1/deployments/acme/d", ""),
    ] {
        let request = Request::post(&format!("/replicate_passthrough{path}"), body).method(method);
        let told = gateway.ask(&request);
        assert_eq!(told.status(), 200, "{method} {path}: {}", told.text());
        let told = told.json();
        assert_eq!((&told["method"], &told["path"]), (&json!(method), &json!(path)));
        assert_eq!(told["type"], "application/json", "{path}");
    }
    let hits = upstream.hits();
    assert_eq!(hits.len(), 4, "{:?}", paths(&upstream));
    assert!(hits.iter().all(|hit| hit.key() == "provider-key"));
    assert_eq!(String::from_utf8_lossy(&hits[1].body), "--b--");
}
