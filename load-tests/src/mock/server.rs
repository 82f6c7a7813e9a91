//! Sockets of the mock: one single-threaded runtime per thread, all accepting from one listener. Each
//! answer is one write. Nothing is logged.

use std::io;
use std::net::TcpListener as StdListener;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep_until};

use super::answers::{self, Wire};
use super::wishes::{self, Pace};
use crate::chunked::ChunkedReader;
use crate::clock::monotonic_ns;
use crate::head::{self, Framing};

const LARGEST_REQUEST: usize = 64 << 20;

/// Accepts until dropped; must run inside a tokio runtime.
///
/// # Errors
/// The listener cannot be used, or accepting failed for good.
pub async fn accept(listener: StdListener, pace: Pace) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(async move {
                    // A client that leaves is no event here: its own side counts what it missed.
                    let _ = Connection::new(stream, pace).serve().await;
                });
            }
            // Out of descriptors: wait for some to come back instead of spinning.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

struct Connection {
    stream: TcpStream,
    pace: Pace,
    bytes: Vec<u8>,
    openai: Vec<u8>,
    anthropic: Vec<u8>,
}

/// What to answer; owned, so that the request's bytes can be dropped first.
enum Answer {
    Whole(Wire),
    Stream { wire: Wire, pace: Pace, usage: bool },
    Health,
    NotFound,
}

impl Connection {
    fn new(stream: TcpStream, pace: Pace) -> Self {
        Self {
            stream,
            pace,
            bytes: Vec::with_capacity(8192),
            openai: answers::whole(Wire::OpenAi),
            anthropic: answers::whole(Wire::Anthropic),
        }
    }

    async fn serve(&mut self) -> io::Result<()> {
        self.stream.set_nodelay(true)?;
        loop {
            while let Some((answer, length)) = self.next_answer()? {
                self.bytes.drain(..length);
                self.write(answer).await?;
            }
            if self.stream.read_buf(&mut self.bytes).await? == 0 {
                return Ok(());
            }
            if self.bytes.len() > LARGEST_REQUEST {
                return Err(io::Error::other("request too large"));
            }
        }
    }

    /// The answer to the first whole request in the buffer, and that request's length.
    fn next_answer(&self) -> io::Result<Option<(Answer, usize)>> {
        let Some(head) = head::read(&self.bytes).map_err(io::Error::other)? else { return Ok(None) };
        let rest = self.bytes.get(head.length..).unwrap_or_default();
        let body_length = match head.framing {
            Framing::Unstated => 0,
            Framing::Length(length) => length,
            Framing::Chunked => {
                let (mut reader, mut body) = (ChunkedReader::default(), Vec::new());
                let length = reader.feed(rest, &mut body).map_err(io::Error::other)?;
                let whole = reader.is_done();
                return Ok(whole.then(|| (self.choose(head.first_line, &body), head.length + length)));
            }
        };
        let Some(body) = rest.get(..body_length) else { return Ok(None) };
        Ok(Some((self.choose(head.first_line, body), head.length + body_length)))
    }

    fn choose(&self, request_line: &str, body: &[u8]) -> Answer {
        let mut words = request_line.split(' ');
        let method = words.next().unwrap_or_default();
        let path = words.next().unwrap_or_default().split('?').next().unwrap_or_default();
        let wire = match method {
            "POST" if path.ends_with("/chat/completions") => Wire::OpenAi,
            "POST" if path.ends_with("/messages") => Wire::Anthropic,
            "GET" if path == "/health" => return Answer::Health,
            _ => return Answer::NotFound,
        };
        if !wishes::wants_stream(body) {
            return Answer::Whole(wire);
        }
        Answer::Stream { wire, pace: wishes::pace(body, self.pace), usage: wishes::wants_usage(body) }
    }

    async fn write(&mut self, answer: Answer) -> io::Result<()> {
        match answer {
            Answer::Whole(Wire::OpenAi) => self.stream.write_all(&self.openai).await,
            Answer::Whole(Wire::Anthropic) => self.stream.write_all(&self.anthropic).await,
            Answer::Health => self.stream.write_all(&answers::health()).await,
            Answer::NotFound => self.stream.write_all(&answers::not_found()).await,
            Answer::Stream { wire, pace, usage } => self.write_stream(wire, pace, usage).await,
        }
    }

    async fn write_stream(&mut self, wire: Wire, pace: Pace, usage: bool) -> io::Result<()> {
        self.stream.write_all(&answers::stream_start(wire)).await?;
        let mut due = Instant::now();
        for sent in 0..pace.chunks {
            if sent > 0 && !pace.interval.is_zero() {
                due += pace.interval;
                sleep_until(due).await;
            }
            // The time is read as late as possible: right before the write.
            self.stream.write_all(&answers::stream_chunk(wire, monotonic_ns())).await?;
        }
        self.stream.write_all(&answers::stream_end(wire, pace.chunks, usage)).await
    }
}
