//! Second attempts beside first ones over HTTP/2, on either side.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::rig::{provider, request};
use crate::support::answers::{events, whole};
use crate::support::client::Request;
use crate::support::gateway::Gateway;
use crate::support::told::Told;
use crate::support::{Watched, Wire};

/// What an upstream saw.
#[derive(Debug, Default)]
struct Seen {
    bodies: Vec<Value>,
    authorities: Vec<String>,
    resets: usize,
}

/// Speaks HTTP/2 by prior knowledge. It answers, or waits until it is left.
fn upstream(answers: bool) -> (u16, Arc<Watched<Seen>>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen = Watched::new(Seen::default());
    let shared = Arc::clone(&seen);
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(connection(socket, answers, Arc::clone(&shared)));
            }
        });
    });
    (port, seen)
}

async fn connection(socket: tokio::net::TcpStream, answers: bool, seen: Arc<Watched<Seen>>) {
    let mut connection = h2::server::handshake(socket).await.unwrap();
    while let Some(Ok((request, respond))) = connection.accept().await {
        tokio::spawn(answer(request, respond, answers, Arc::clone(&seen)));
    }
}

async fn answer(
    request: http::Request<h2::RecvStream>,
    mut respond: h2::server::SendResponse<Bytes>,
    answers: bool,
    seen: Arc<Watched<Seen>>,
) {
    let authority = request.uri().authority().map(ToString::to_string).unwrap_or_default();
    let mut incoming = request.into_body();
    let mut body = Vec::new();
    while let Some(Ok(data)) = incoming.data().await {
        let _ = incoming.flow_control().release_capacity(data.len());
        body.extend_from_slice(&data);
    }
    let body: Value = serde_json::from_slice(&body).unwrap();
    let stream = body["stream"] == true;
    let model = body["model"].as_str().unwrap().to_owned();
    seen.change(|seen| {
        seen.bodies.push(body);
        seen.authorities.push(authority);
    });
    if !answers {
        let _ = poll_fn(|cx| respond.poll_reset(cx)).await;
        return seen.change(|seen| seen.resets += 1);
    }
    let (kind, text) = match stream {
        true => ("text/event-stream", events(Wire::OpenAi, &model).concat()),
        false => ("application/json", whole(Wire::OpenAi, &model).to_string()),
    };
    let head = http::Response::builder().header("content-type", kind).body(()).unwrap();
    let mut out = respond.send_response(head, false).unwrap();
    out.send_data(text.into(), true).unwrap();
}

#[test]
fn http2_providers_are_hedged_and_the_losing_stream_is_reset() {
    let (slow, slow_saw) = upstream(false);
    let (fast, fast_saw) = upstream(true);
    let over_http2 = |port: u16, key: &str| {
        let mut provider = provider(Wire::OpenAi, &format!("http://127.0.0.1:{port}"), &[key]);
        provider["network_config"]["enforce_http2"] = json!(true);
        provider
    };
    let gateway = Gateway::start(&json!({
        "providers": {"slow": over_http2(slow, "one"), "fast": over_http2(fast, "two")},
        "hedging": {"after_ms": 80, "max_extra_spend_percent": 100},
    }));
    for stream in [true, false, true] {
        let mut body = request("slow/m", stream);
        body["fallbacks"] = json!(["fast/m"]);
        let asked_at = Instant::now();
        // Larger than a frame, and without a Content-Length.
        body["messages"][0]["content"] = json!("x".repeat(40_000));
        let request = Request::json("/v1/chat/completions", &body).chunked(7_000);
        let told = Told::new(Wire::OpenAi, gateway.ask(&request), asked_at);
        assert_eq!(told.attempts(), ["slow hedge_lost", "fast success"], "{}", told.response.text());
        assert_eq!(told.text(), "The answer is 42");
    }
    slow_saw.wait_for("every losing stream to be reset", |seen| (seen.resets == 3).then_some(()));
    let fast_saw = fast_saw.lock();
    assert_eq!(fast_saw.bodies.len(), 3);
    assert!(
        fast_saw.bodies.iter().all(|body| body["messages"][0]["content"].as_str().unwrap().len() == 40_000)
    );
    assert_eq!(fast_saw.authorities, vec![format!("127.0.0.1:{fast}"); 3]);
}
