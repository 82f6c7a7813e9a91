//! A provider on the OpenAI wire whose streams take their time. It knows nothing of upgrades.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep_until};

/// How a stream goes.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    pub words: u64,
    pub between: Duration,
}

/// The text of the answer to the request that says `id`.
pub fn text(id: &str, words: u64) -> String {
    (0..words).map(|nth| word(id, nth)).collect()
}

fn word(id: &str, nth: u64) -> String {
    format!("{id}:{nth} ")
}

/// Serves on a thread of its own until the tests end.
pub fn start(pace: Pace) -> SocketAddr {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = TcpListener::from_std(listener).unwrap();
            loop {
                if let Ok((stream, _)) = listener.accept().await {
                    let _ = stream.set_nodelay(true);
                    tokio::spawn(serve(stream, pace));
                }
            }
        });
    });
    address
}

async fn serve(mut stream: TcpStream, pace: Pace) -> Option<()> {
    let mut unread = Vec::new();
    loop {
        let body = request(&mut stream, &mut unread).await?;
        let body: serde_json::Value = serde_json::from_slice(&body).ok()?;
        let id = body["messages"][0]["content"].as_str()?.to_owned();
        if body["stream"] == true {
            answer_slowly(&mut stream, &id, pace).await?;
        } else {
            let answer = serde_json::json!({
                "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m",
                "choices": [{"index": 0, "message": {"role": "assistant", "content": text(&id, pace.words)}, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 1, "completion_tokens": pace.words, "total_tokens": 1 + pace.words},
            })
            .to_string();
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                answer.len()
            );
            stream.write_all(&[head.as_bytes(), answer.as_bytes()].concat()).await.ok()?;
        }
    }
}

async fn answer_slowly(stream: &mut TcpStream, id: &str, pace: Pace) -> Option<()> {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await.ok()?;
    let mut due = Instant::now();
    for nth in 0..pace.words {
        let delta = serde_json::json!({"role": "assistant", "content": word(id, nth)});
        stream.write_all(&event(&delta, None)).await.ok()?;
        due += pace.between;
        sleep_until(due).await;
    }
    let mut end = event(&serde_json::json!({}), Some("stop"));
    end.extend_from_slice(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n");
    stream.write_all(&end).await.ok()
}

/// One event in a chunk of its own.
fn event(delta: &serde_json::Value, finish: Option<&str>) -> Vec<u8> {
    let event = serde_json::json!({
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    });
    let frame = format!("data: {event}\n\n");
    format!("{:x}\r\n{frame}\r\n", frame.len()).into_bytes()
}

/// The body of the next request; nothing when the connection ends.
async fn request(stream: &mut TcpStream, unread: &mut Vec<u8>) -> Option<Vec<u8>> {
    let head = loop {
        if let Some(at) = memchr::memmem::find(unread, b"\r\n\r\n") {
            break at + 4;
        }
        (stream.read_buf(unread).await.ok()? > 0).then_some(())?;
    };
    let text = String::from_utf8_lossy(&unread[..head]).to_ascii_lowercase();
    let length: usize =
        text.lines().find_map(|line| line.strip_prefix("content-length: "))?.trim().parse().ok()?;
    while unread.len() < head + length {
        (stream.read_buf(unread).await.ok()? > 0).then_some(())?;
    }
    let body = unread[head..head + length].to_vec();
    unread.drain(..head + length);
    Some(body)
}
