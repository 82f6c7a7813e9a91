use std::sync::Mutex;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;

use super::*;

fn ticket(depth: u8) -> Ticket {
    Ticket { caller: None, purpose: Purpose::Embedding, parent: "parent-1".into(), trace: None, depth }
}

/// Reads one request off the pipe, as text.
async fn read(pipe: &mut DuplexStream) -> String {
    let mut all = Vec::new();
    while !all.ends_with(b"}") {
        let mut piece = [0; 1024];
        let read = pipe.read(&mut piece).await.unwrap();
        assert_ne!(read, 0, "{}", String::from_utf8_lossy(&all));
        all.extend_from_slice(&piece[..read]);
    }
    String::from_utf8(all).unwrap()
}

/// Answers with `answer`, and tells what it was asked and that the pipe was closed.
fn open(answer: &'static str) -> (Inner, oneshot::Receiver<String>, oneshot::Receiver<()>) {
    let ((asked, was_asked), (closed, was_closed)) = (oneshot::channel(), oneshot::channel());
    let tell = Mutex::new(Some((asked, closed)));
    let inner = Inner::default();
    inner.open(Box::new(move |mut pipe, ticket| {
        let (asked, closed) = tell.lock().unwrap().take().unwrap();
        assert_eq!(ticket.purpose, Purpose::Embedding);
        tokio::spawn(async move {
            let _ = asked.send(read(&mut pipe).await);
            pipe.write_all(answer.as_bytes()).await.unwrap();
            let mut rest = Vec::new();
            drop(pipe.read_to_end(&mut rest).await);
            let _ = closed.send(());
        });
    }));
    (inner, was_asked, was_closed)
}

#[tokio::test]
async fn a_request_tells_whose_it_is_and_its_answer_comes_whole() {
    let answer = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    let (inner, asked, closed) = open(answer);
    let answer = inner.post("/v1/embeddings?a=1", HeaderMap::new(), "{}".into(), ticket(0)).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.whole(5).await.unwrap(), "abcde");
    let asked = asked.await.unwrap();
    assert!(asked.starts_with("POST /v1/embeddings?a=1 HTTP/1.1\r\n"), "{asked}");
    for header in ["x-bf-parent-request-id: parent-1", "x-bf-dim-purpose: embedding", "content-length: 2"] {
        assert!(asked.contains(header), "{asked}");
    }
    closed.await.unwrap();
}

#[tokio::test]
async fn an_answer_that_is_too_large_or_breaks_off_is_none() {
    let (inner, ..) = open("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nabcdef");
    let answer = inner.post("/p", HeaderMap::new(), "{}".into(), ticket(0)).await.unwrap();
    assert_eq!(answer.whole(5).await, Err(Failed::TooLarge(5)));
    let inner = Inner::default();
    inner.open(Box::new(|pipe, _| drop(pipe)));
    let broken = inner.post("/p", HeaderMap::new(), "{}".into(), ticket(0)).await;
    assert!(matches!(broken, Err(Failed::Broken(_))), "{broken:?}");
}

#[tokio::test]
async fn who_drops_the_answer_ends_the_request() {
    let (inner, asked, closed) = open("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n");
    let mut answer = inner.post("/p", HeaderMap::new(), "{}".into(), ticket(0)).await.unwrap();
    asked.await.unwrap();
    assert_eq!(answer.body.next().await, Some(Ok("abc".into())));
    drop(answer);
    closed.await.unwrap();
}

#[tokio::test]
async fn nobody_is_asked_before_there_is_a_way_or_too_deep() {
    let asked = Inner::default().post("/p", HeaderMap::new(), "{}".into(), ticket(0)).await;
    assert_eq!(asked.unwrap_err(), Failed::NotOpen);
    let inner = Inner::default();
    inner.open(Box::new(|_, _| panic!("nobody is to come this way")));
    let asked = inner.post("/p", HeaderMap::new(), "{}".into(), ticket(DEEPEST + 1)).await;
    assert_eq!(asked.unwrap_err(), Failed::TooDeep);
}
