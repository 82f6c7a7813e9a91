//! HTTP/2 without TLS, by prior knowledge.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, Interest};
use tokio::net::TcpStream;

use crate::requests::{expect_replayed, sized};
use crate::stage::{chat, failover_stage, healthy_stage, providers, streamed};
use crate::support::answers::{chunk, end, events, open_stream};
use crate::support::gateway::Gateway;
use crate::support::upstream::{Act, Upstream};

fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(crate::support::PATIENCE, work).await.expect("in time") })
}

async fn open(gateway: &Gateway) -> h2::client::SendRequest<Bytes> {
    let socket = TcpStream::connect(gateway.address()).await.unwrap();
    let (sender, connection) = h2::client::handshake(socket).await.unwrap();
    tokio::spawn(connection);
    sender
}

/// One request, its body in frames and without a Content-Length.
async fn ask(sender: &mut h2::client::SendRequest<Bytes>, body: &Value) -> (u16, String) {
    let request = Request::post("http://gateway.test/v1/chat/completions")
        .header("content-type", "application/json")
        .body(())
        .unwrap();
    let mut ready = sender.clone().ready().await.unwrap();
    let (response, mut out) = ready.send_request(request, false).unwrap();
    let bytes = Bytes::from(body.to_string());
    // The gateway may answer and reset before it took all.
    let sent = bytes.chunks(16_000).try_for_each(|chunk| out.send_data(Bytes::copy_from_slice(chunk), false));
    let _ = sent.and_then(|()| out.send_data(Bytes::new(), true));
    let response = response.await.unwrap();
    let status = response.status().as_u16();
    let mut incoming = response.into_body();
    let mut text = Vec::new();
    while let Some(data) = incoming.data().await {
        let data = data.unwrap();
        let _ = incoming.flow_control().release_capacity(data.len());
        text.extend_from_slice(&data);
    }
    (status, String::from_utf8(text).unwrap())
}

#[test]
fn a_body_without_content_length_is_replayed_whole_over_h2c() {
    let (bad, good, gateway) = failover_stage(json!({}));
    run(async {
        let mut sender = open(&gateway).await;
        for size in [200, 66_000, 3 << 20] {
            let body = sized(size);
            let (status, text) = ask(&mut sender, &body).await;
            assert_eq!(status, 200, "{text}");
            expect_replayed(&bad, &good, &body);
        }
        let (status, text) = ask(&mut sender, &chat("oa/after")).await;
        assert_eq!(status, 200, "{text}");
    });
}

#[test]
fn streams_and_errors_come_over_h2c_too() {
    let (_upstream, gateway) = healthy_stage(json!({}));
    run(async {
        let mut sender = open(&gateway).await;
        let (status, text) = ask(&mut sender, &streamed("oa/m")).await;
        assert_eq!(status, 200);
        assert!(text.trim_end().ends_with("data: [DONE]"), "{text}");
        let (status, text) = ask(&mut sender, &json!({"model": "oa/m"})).await;
        assert_eq!(status, 400);
        assert!(text.contains("messages"), "{text}");
    });
}

#[test]
fn a_body_over_the_limit_is_refused_over_h2c() {
    let (upstream, gateway) = healthy_stage(json!({"max_request_body_size_mb": 1}));
    run(async {
        let mut sender = open(&gateway).await;
        let mut body = chat("oa/m");
        body["messages"][0]["content"] = json!("x".repeat(2 << 20));
        let (status, text) = ask(&mut sender, &body).await;
        assert_eq!(status, 413, "{text}");
        let (status, text) = ask(&mut sender, &chat("oa/after")).await;
        assert_eq!(status, 200, "{text}");
    });
    assert_eq!(upstream.hits().len(), 1);
}

#[test]
fn a_cut_stream_ends_with_an_error_event_over_h2c_and_others_go_on() {
    let upstream = Upstream::start(|hit| {
        let frames = events(hit.wire(), hit.model());
        let mut script = open_stream(&frames[..3], Duration::ZERO);
        script.push(if hit.model() == "cut" { Act::Reset } else { Act::Pause(Duration::from_millis(300)) });
        script.extend(frames[3..].iter().map(chunk));
        script.push(end());
        script
    });
    let gateway = Gateway::start(&json!({"providers": providers(&upstream)}));
    run(async {
        let sender = open(&gateway).await;
        let (mut one, mut two) = (sender.clone(), sender);
        let (cut, steady) = (streamed("oa/cut"), streamed("oa/steady"));
        let (cut, steady) = tokio::join!(ask(&mut one, &cut), ask(&mut two, &steady));
        assert_eq!((cut.0, steady.0), (200, 200));
        assert!(cut.1.contains("\"error\"") && !cut.1.contains("[DONE]"), "{}", cut.1);
        assert!(steady.1.trim_end().ends_with("data: [DONE]"), "{}", steady.1);
    });
}

#[test]
fn a_caller_that_resets_its_stream_closes_the_upstream_at_once() {
    let upstream = Upstream::start(|hit| {
        let mut script = open_stream(&events(hit.wire(), hit.model())[..3], Duration::ZERO);
        script.push(Act::Hold);
        script
    });
    let gateway = Gateway::start(&json!({"providers": providers(&upstream)}));
    let after = run(async {
        let sender = open(&gateway).await;
        let request = Request::post("http://gateway.test/v1/chat/completions").body(()).unwrap();
        let mut ready = sender.ready().await.unwrap();
        let (response, mut out) = ready.send_request(request, false).unwrap();
        out.send_data(Bytes::from(streamed("oa/m").to_string()), true).unwrap();
        let mut incoming = response.await.unwrap().into_body();
        incoming.data().await.unwrap().unwrap();
        out.send_reset(h2::Reason::CANCEL);
        let left_at = Instant::now();
        // The connection stays: only the stream is gone.
        let (waiting, seen) = tokio::sync::oneshot::channel();
        let watch = std::thread::spawn(move || {
            let closed = upstream.wait_for("the upstream to be closed", |hits| hits.first()?.left);
            let _ = waiting.send(closed);
        });
        let closed = seen.await.expect("closed");
        watch.join().unwrap();
        closed.saturating_duration_since(left_at)
    });
    assert!(after < Duration::from_millis(400), "closed after {after:?}");
}

/// What an `h2` client writes, up to the end of its one request.
async fn written(client: &mut DuplexStream) -> Vec<u8> {
    const PREFACE: usize = 24;
    let (mut bytes, mut at, mut last) = (Vec::new(), PREFACE, false);
    loop {
        while !last && let Some(&[a, b, c, kind, flags]) = bytes.get(at..at + 5) {
            at += 9 + usize::from(a) * 65_536 + usize::from(b) * 256 + usize::from(c);
            last = (kind, flags & 1) == (0, 1);
        }
        if last && at <= bytes.len() {
            return bytes;
        }
        client.read_buf(&mut bytes).await.unwrap();
    }
}

#[test]
fn the_end_of_an_answer_was_lost_to_callers_that_had_closed_their_side() {
    const GOAWAY: &[u8] = &[0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    const WINDOW_UPDATE: &[u8] = &[0, 0, 4, 8, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    let (_upstream, gateway) = healthy_stage(json!({}));
    run(async {
        let (ours, mut wire) = tokio::io::duplex(1 << 20);
        let (sender, connection) = h2::client::handshake(ours).await.unwrap();
        tokio::spawn(connection);
        let answer = tokio::spawn(async move { ask(&mut { sender }, &chat("oa/m")).await });
        let mut socket = TcpStream::connect(gateway.address()).await.unwrap();
        socket.write_all(&written(&mut wire).await).await.unwrap();
        socket.write_all(GOAWAY).await.unwrap();
        // All was sent and the gateway has closed its side; nothing was read here yet.
        while !socket.ready(Interest::READABLE).await.unwrap().is_read_closed() {
            tokio::task::yield_now().await;
        }
        for _ in 0..3 {
            socket.write_all(WINDOW_UPDATE).await.unwrap();
        }
        let mut bytes = Vec::new();
        socket.read_to_end(&mut bytes).await.expect("no reset");
        wire.write_all(&bytes).await.unwrap();
        let (status, text) = answer.await.unwrap();
        assert_eq!(status, 200, "{text}");
    });
}

#[test]
fn a_stream_that_broke_is_gone_on_with_over_h2c() {
    let first = Upstream::start(|hit| {
        let mut script = open_stream(&events(hit.wire(), hit.model())[..3], Duration::ZERO);
        script.push(Act::Close);
        script
    });
    let next = Upstream::start(|hit| {
        let mut frames = events(hit.wire(), hit.model());
        frames.drain(1..3);
        let mut script = open_stream(&frames, Duration::ZERO);
        script.push(end());
        script
    });
    let provider = |base: &str, url: String| {
        json!({"keys": [{"value": "k"}], "custom_provider_config": {"base_provider_type": base},
            "network_config": {"base_url": url}})
    };
    let providers = json!({"oa": provider("openai", first.url()), "mi": provider("mistral", next.url())});
    let gateway = Gateway::start(&json!({ "providers": providers }));
    run(async {
        let mut sender = open(&gateway).await;
        for _ in 0..2 {
            let mut body = streamed("oa/m");
            body["fallbacks"] = json!(["mi/mistral-small"]);
            let (status, text) = ask(&mut sender, &body).await;
            assert_eq!(status, 200);
            for word in crate::support::answers::WORDS {
                assert_eq!(text.matches(&format!("\"content\":\"{word}\"")).count(), 1, "{word} in {text}");
            }
            assert!(text.trim_end().ends_with("data: [DONE]") && !text.contains("\"error\""), "{text}");
        }
    });
    assert!(next.hits().iter().all(|hit| hit.json["messages"][1]["prefix"] == true), "{:?}", next.hits());
}
