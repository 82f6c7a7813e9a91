//! The client against the mock, and against servers that are wrong in one way each: a bench that
//! cannot see a failure would prove nothing with "no failed request".

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use load_tests::client::{Dialect, Target, latency, streams, throughput};
use load_tests::mock::server;
use load_tests::mock::wishes::Pace;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const WHOLE: &[u8] = br#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;
const STREAM: &[u8] = br#"{"model":"m","stream":true,"messages":[{"role":"user","content":"chunks=7"}]}"#;
const STREAMS: streams::Extent = streams::Extent {
    streams: 3,
    repeat: 2,
    chunks: 7,
    spread_start: Duration::ZERO,
    longest: Duration::from_secs(20),
};

fn mock() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(server::accept(listener, Pace { chunks: 3, interval: Duration::from_micros(100) }));
    address
}

/// Answers each read with the same bytes, and closes after each if told so.
async fn canned(answer: &'static [u8], close: bool) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = [0; 4096];
                while stream.read(&mut request).await.is_ok_and(|count| count > 0) {
                    stream.write_all(answer).await.unwrap();
                    if close {
                        return;
                    }
                }
            });
        }
    });
    address
}

fn target(address: SocketAddr, dialect: Dialect, body: &[u8]) -> Target {
    let path = if dialect == Dialect::OpenAi { "/v1/chat/completions" } else { "/anthropic/v1/messages" };
    Target::new(address, path, dialect, body)
}

async fn whole_reasons(answer: &'static [u8], close: bool) -> Value {
    let address = canned(answer, close).await;
    let result = latency::run(&target(address, Dialect::OpenAi, WHOLE), 0, 2).await;
    assert_eq!(result["good"], 0);
    assert_eq!(result["failed"], 2);
    result["reasons"].clone()
}

async fn stream_reasons(answer: &'static [u8], close: bool) -> Value {
    let address = canned(answer, close).await;
    let one = streams::Extent { streams: 1, repeat: 1, chunks: 1, ..STREAMS };
    let result = streams::run(target(address, Dialect::OpenAi, STREAM), one).await;
    assert_eq!(result["failed"], 1);
    result["reasons"].clone()
}

#[tokio::test]
async fn whole_answers_of_both_dialects_are_good_on_one_connection() {
    for dialect in [Dialect::OpenAi, Dialect::Anthropic] {
        let result = latency::run(&target(mock(), dialect, WHOLE), 1, 20).await;
        assert_eq!(result["good"], 21, "{result}");
        assert_eq!(result["failed"], 0);
        assert_eq!(result["connections_opened"], 1);
        assert_eq!(result["latency"]["count"], 20);
    }
}

#[tokio::test]
async fn throughput_sends_exactly_the_asked_count() {
    let extent = throughput::Extent {
        rate: 0.0,
        connections: 8,
        count: 500,
        lasting: Duration::from_secs(60),
        grace: Duration::from_secs(1),
    };
    let result = throughput::run(target(mock(), Dialect::OpenAi, WHOLE), extent).await;
    assert_eq!(result["good"], 500, "{result}");
    assert_eq!(result["connections_opened"], 8);
}

#[tokio::test]
async fn streams_of_both_dialects_are_timed_chunk_by_chunk() {
    for dialect in [Dialect::OpenAi, Dialect::Anthropic] {
        let result = streams::run(target(mock(), dialect, STREAM), STREAMS).await;
        assert_eq!(result["good"], 6, "{result}");
        assert_eq!(result["chunks"], 42);
        assert_eq!(result["first_chunk"]["count"], 3, "the first on each connection is left out");
        assert!(result["per_chunk"]["min_us"].as_f64().unwrap() > 0.0);
    }
}

#[tokio::test]
async fn wrong_whole_answers_are_failures_with_their_reason() {
    let refused = b"HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\n{}";
    assert_eq!(whole_reasons(refused, false).await["status 404"], 2);
    assert_eq!(
        whole_reasons(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", false).await["wrong body"],
        2
    );
    let short = b"HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\nbench-marker-7f3a91";
    assert_eq!(whole_reasons(short, true).await["cut"], 2);
    let long = b"HTTP/1.1 200 OK\r\ncontent-length: 19\r\n\r\nbench-marker-7f3a91 and more";
    assert_eq!(whole_reasons(long, false).await["framing"], 2);
    let unframed = b"HTTP/1.1 200 OK\r\n\r\nbench-marker-7f3a91";
    assert_eq!(whole_reasons(unframed, true).await["framing"], 2);
}

#[tokio::test]
async fn wrong_streams_are_failures_with_their_reason() {
    let no_done = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n@T1@\n\r\n0\r\n\r\n";
    assert_eq!(stream_reasons(no_done, false).await["no ending"], 1);
    let cut = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n@T1@\n\r\n";
    assert_eq!(stream_reasons(cut, true).await["cut"], 1);
    let empty = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nC\r\ndata: [DONE]\r\n0\r\n\r\n";
    assert_eq!(stream_reasons(empty, false).await["wrong chunk count"], 1);
}

#[tokio::test]
async fn nobody_listening_is_a_failure() {
    let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let result = latency::run(&target(address, Dialect::OpenAi, WHOLE), 0, 1).await;
    assert_eq!(result["reasons"]["connect"], 1);
}
