//! The callers: streams that are read to their last event, and loops of requests. Nothing is tried twice: what a
//! caller without retries would see is counted.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::gateway::{Fleet, Scheme};
use crate::tally::Tally;
use crate::upstream::text;

/// The longest any answer may take to come or to go on.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between the requests of a loop: enough for many in a hand-over, not so many that ports run out.
const PAUSE: Duration = Duration::from_millis(15);

#[derive(Debug, Clone, Copy)]
pub struct Extent {
    pub streams: u64,
    /// How long a stream takes.
    pub lasting: Duration,
    pub words: u64,
    /// Loops of each scheme.
    pub loops: u64,
}

struct Shared {
    plain: SocketAddr,
    tls: SocketAddr,
    connector: tokio_rustls::TlsConnector,
    words: u64,
    tally: Arc<Tally>,
    stop: AtomicBool,
    active: AtomicU64,
    next: AtomicU64,
}

/// Callers on a thread of their own.
pub struct Load {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Load {
    pub fn start(fleet: &Fleet, extent: Extent, tally: Arc<Tally>) -> Self {
        let shared = Arc::new(Shared {
            plain: fleet.plain,
            tls: fleet.tls,
            connector: connector(&fleet.certificate),
            words: extent.words,
            tally,
            stop: AtomicBool::new(false),
            active: AtomicU64::new(extent.streams + 3 * extent.loops + 1),
            next: AtomicU64::new(0),
        });
        let all = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let mut callers = JoinSet::new();
                for nth in 0..extent.streams {
                    // Not all in step: real callers do not end at the same time.
                    let delay =
                        extent.lasting * u32::try_from(nth).unwrap() / u32::try_from(extent.streams).unwrap();
                    callers.spawn(Arc::clone(&all).streams(delay, nth % 2 == 0));
                }
                for nth in 0..extent.loops {
                    callers.spawn(Arc::clone(&all).fresh(Scheme::Fresh));
                    callers.spawn(Arc::clone(&all).kept_alive(PAUSE * u32::try_from(nth * nth * 8).unwrap()));
                    callers.spawn(Arc::clone(&all).h2c());
                }
                callers.spawn(Arc::clone(&all).fresh(Scheme::Https));
                tokio::spawn(Arc::clone(&all).watch_lag());
                while let Some(caller) = callers.join_next().await {
                    caller.expect("a caller that does not panic");
                    all.active.fetch_sub(1, Ordering::Release);
                }
            });
        });
        Self { shared, thread: Some(thread) }
    }

    /// Lets every caller finish what it has begun.
    pub fn begin_nothing(&self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }

    /// Callers that have not finished.
    pub fn active(&self) -> u64 {
        self.shared.active.load(Ordering::Acquire)
    }

    pub fn join(&mut self) {
        if let Some(thread) = self.thread.take() {
            thread.join().expect("callers that do not panic");
        }
    }
}

impl Shared {
    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }

    fn id(&self) -> String {
        format!("r{}", self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// How late these callers are themselves: what they see is only as old as that.
    async fn watch_lag(self: Arc<Self>) {
        loop {
            let due = Instant::now() + Duration::from_millis(10);
            sleep(Duration::from_millis(10)).await;
            self.tally.lag_millis.raise(u64::try_from(due.elapsed().as_millis()).unwrap());
        }
    }

    /// Streams one after the other, on one connection or on one each.
    async fn streams(self: Arc<Self>, delay: Duration, keeps: bool) {
        sleep(delay).await;
        let mut kept = None;
        while self.goes_on() {
            match timeout(PATIENCE * 10, self.stream(kept.take())).await.unwrap_or(Err("it hangs".to_owned()))
            {
                Ok(open) => {
                    self.tally.streams.add();
                    kept = open.filter(|_| keeps);
                }
                Err(why) => {
                    self.tally.broken_streams.add();
                    self.tally.fail("stream", &why);
                    sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    async fn stream(&self, kept: Option<Line<TcpStream>>) -> Result<Option<Line<TcpStream>>, String> {
        let id = self.id();
        let mut line = match kept {
            Some(line) if !line.has_ended() => line,
            Some(_) => {
                self.tally.closed_idle.add();
                self.connect().await?
            }
            None => self.connect().await?,
        };
        let place = line.place();
        line.send(&request(&id, true)).await?;
        let head = line.head().await.map_err(|why| format!("{why} {place}"))?;
        self.tally.open.add();
        let body = line.body(&head).await;
        self.tally.open.sub();
        self.tally.stream_ended(line.generation);
        let told = events(&body?)?;
        let expected = text(&id, self.words);
        if told != expected {
            return Err(format!("{} characters of {}", told.len(), expected.len()));
        }
        Ok((!head.closes).then_some(line))
    }

    /// Requests on connections of their own.
    async fn fresh(self: Arc<Self>, scheme: Scheme) {
        while self.goes_on() {
            let asked = async {
                let id = self.id();
                if scheme == Scheme::Https {
                    let socket = TcpStream::connect(self.tls).await.map_err(said("connect"))?;
                    let name = ServerName::try_from("localhost").unwrap();
                    let tls = self.connector.connect(name, socket).await.map_err(said("handshake"))?;
                    self.ask(&mut Line::new(tls, self.tally.generation()), &id).await.map(drop)
                } else {
                    self.ask(&mut self.connect().await?, &id).await.map(drop)
                }
            };
            self.count(scheme, timeout(PATIENCE, asked).await.unwrap_or(Err("it hangs".to_owned())));
            sleep(PAUSE).await;
        }
    }

    /// Requests on one connection, `pause` apart. Before each the connection is looked at, as pools do.
    async fn kept_alive(self: Arc<Self>, pause: Duration) {
        let mut kept: Option<Line<TcpStream>> = None;
        while self.goes_on() {
            let asked = async {
                let mut line = match kept.take() {
                    Some(line) if !line.has_ended() => line,
                    Some(_) => {
                        self.tally.closed_idle.add();
                        self.connect().await?
                    }
                    None => self.connect().await?,
                };
                let closes = self.ask(&mut line, &self.id()).await?;
                if closes {
                    self.tally.told_to_close.add();
                } else {
                    kept = Some(line);
                }
                Ok(())
            };
            self.count(
                Scheme::KeptAlive,
                timeout(PATIENCE, asked).await.unwrap_or(Err("it hangs".to_owned())),
            );
            sleep(pause.max(Duration::from_millis(1))).await;
        }
    }

    async fn h2c(self: Arc<Self>) {
        let mut kept: Option<h2::client::SendRequest<Bytes>> = None;
        while self.goes_on() {
            let asked = async {
                let id = self.id();
                // A connection that was told to go away is not used again.
                let mut sender = match kept.take() {
                    Some(sender) => match sender.ready().await {
                        Ok(sender) => sender,
                        Err(_) => self.open_h2().await?,
                    },
                    None => self.open_h2().await?,
                };
                let request = http::Request::post("http://gateway.test/v1/chat/completions")
                    .header("content-type", "application/json")
                    .body(())
                    .unwrap();
                let (answer, mut body) = sender.send_request(request, false).map_err(said("send"))?;
                body.send_data(Bytes::from(question(&id, false)), true).map_err(said("send"))?;
                let answer = answer.await.map_err(said("answer"))?;
                let status = answer.status().as_u16();
                let mut incoming = answer.into_body();
                let mut told = Vec::new();
                while let Some(data) = incoming.data().await {
                    let data = data.map_err(said("body"))?;
                    let _ = incoming.flow_control().release_capacity(data.len());
                    told.extend_from_slice(&data);
                }
                self.check(status, &told, &id)?;
                kept = Some(sender);
                Ok(())
            };
            self.count(Scheme::H2c, timeout(PATIENCE, asked).await.unwrap_or(Err("it hangs".to_owned())));
            sleep(PAUSE).await;
        }
    }

    async fn open_h2(&self) -> Result<h2::client::SendRequest<Bytes>, String> {
        let socket = TcpStream::connect(self.plain).await.map_err(said("connect"))?;
        let (sender, connection) = h2::client::handshake(socket).await.map_err(said("handshake"))?;
        tokio::spawn(connection);
        sender.ready().await.map_err(said("ready"))
    }

    async fn connect(&self) -> Result<Line<TcpStream>, String> {
        let socket = TcpStream::connect(self.plain).await.map_err(said("connect"))?;
        socket.set_nodelay(true).map_err(said("connect"))?;
        Ok(Line::new(socket, self.tally.generation()))
    }

    /// One request; gives whether the connection ends with its answer.
    async fn ask<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        line: &mut Line<S>,
        id: &str,
    ) -> Result<bool, String> {
        let place = line.place();
        line.send(&request(id, false)).await?;
        let head = line.head().await.map_err(|why| format!("{why} {place}"))?;
        let body = line.body(&head).await?;
        self.check(head.status, &body, id)?;
        Ok(head.closes)
    }

    fn check(&self, status: u16, body: &[u8], id: &str) -> Result<(), String> {
        let answer: serde_json::Value = serde_json::from_slice(body).map_err(said("no JSON"))?;
        let told = answer["choices"][0]["message"]["content"].as_str();
        if status == 200 && told == Some(&text(id, self.words)) {
            Ok(())
        } else {
            Err(format!("{status}: {answer}"))
        }
    }

    fn count(&self, scheme: Scheme, outcome: Result<(), String>) {
        match outcome {
            Ok(()) => self.tally.answered(scheme).add(),
            Err(why) => self.tally.fail(&format!("{scheme:?}"), &why),
        }
    }
}

struct Head {
    status: u16,
    closes: bool,
    length: Option<usize>,
}

/// A connection and what was read ahead.
struct Line<S> {
    stream: S,
    unread: Vec<u8>,
    /// When it was opened: a connection stays with its process.
    generation: u64,
    /// Since its last answer.
    idle: Option<Instant>,
}

impl Line<TcpStream> {
    /// Whether the other side has closed; what a pool looks at before it uses a connection. The system is asked: the
    /// runtime may not have heard of it yet.
    fn has_ended(&self) -> bool {
        use rustix::net::{RecvFlags, recv};
        let mut byte = [0; 1];
        let read = recv(&self.stream, &mut byte, RecvFlags::PEEK | RecvFlags::DONTWAIT);
        !matches!(read, Err(rustix::io::Errno::AGAIN))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Line<S> {
    fn new(stream: S, generation: u64) -> Self {
        Self { stream, unread: Vec::new(), generation, idle: None }
    }

    /// What a failure needs to be understood.
    fn place(&self) -> String {
        match self.idle {
            Some(since) => {
                format!("on a kept connection, {} ms after an answer", since.elapsed().as_millis())
            }
            None => "on a new connection".to_owned(),
        }
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.stream.write_all(bytes).await.map_err(said("send"))?;
        self.stream.flush().await.map_err(said("send"))
    }

    async fn more(&mut self, what: &str) -> Result<(), String> {
        match timeout(PATIENCE, self.stream.read_buf(&mut self.unread)).await {
            Ok(Ok(0)) => Err(format!("{what}: closed")),
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(format!("{what}: {}", error.kind())),
            Err(_) => Err(format!("{what}: silent")),
        }
    }

    async fn head(&mut self) -> Result<Head, String> {
        let end = loop {
            if let Some(at) = memchr::memmem::find(&self.unread, b"\r\n\r\n") {
                break at + 4;
            }
            self.more("head").await?;
        };
        let text = String::from_utf8_lossy(&self.unread[..end]).to_ascii_lowercase();
        self.unread.drain(..end);
        let status = text.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or("no status")?;
        let closes = text.lines().any(|line| line == "connection: close");
        let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse().ok());
        Ok(Head { status, closes, length })
    }

    async fn body(&mut self, head: &Head) -> Result<Vec<u8>, String> {
        let body = self.read_body(head).await;
        self.idle = Some(Instant::now());
        body
    }

    async fn read_body(&mut self, head: &Head) -> Result<Vec<u8>, String> {
        if let Some(length) = head.length {
            while self.unread.len() < length {
                self.more("body").await?;
            }
            return Ok(self.unread.drain(..length).collect());
        }
        let mut body = Vec::new();
        loop {
            let line = loop {
                if let Some(at) = memchr::memmem::find(&self.unread, b"\r\n") {
                    break at;
                }
                self.more("chunk").await?;
            };
            let size = std::str::from_utf8(&self.unread[..line]).map_err(said("chunk"))?;
            let size = usize::from_str_radix(size.trim(), 16).map_err(said("chunk"))?;
            while self.unread.len() < line + 2 + size + 2 {
                self.more("chunk").await?;
            }
            body.extend_from_slice(&self.unread[line + 2..line + 2 + size]);
            self.unread.drain(..line + 2 + size + 2);
            if size == 0 {
                return Ok(body);
            }
        }
    }
}

/// The text of a stream that is whole: one finish reason, and `[DONE]` at its end.
fn events(body: &[u8]) -> Result<String, String> {
    let body = std::str::from_utf8(body).map_err(said("text"))?;
    let (mut told, mut finished, mut done) = (String::new(), 0, false);
    for event in body.lines().filter_map(|line| line.strip_prefix("data: ")) {
        if done {
            return Err("an event after [DONE]".to_owned());
        }
        if event == "[DONE]" {
            done = true;
            continue;
        }
        let event: serde_json::Value = serde_json::from_str(event).map_err(said("event"))?;
        let choice = &event["choices"][0];
        told.push_str(choice["delta"]["content"].as_str().unwrap_or_default());
        finished += u32::from(choice["finish_reason"] == "stop");
        if event.get("error").is_some() {
            return Err(format!("an error event: {event}"));
        }
    }
    if done && finished == 1 { Ok(told) } else { Err(format!("{finished} finish reasons, [DONE]: {done}")) }
}

fn question(id: &str, stream: bool) -> String {
    serde_json::json!({"model": "oa/m", "stream": stream, "messages": [{"role": "user", "content": id}]})
        .to_string()
}

fn request(id: &str, stream: bool) -> Vec<u8> {
    let body = question(id, stream);
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: gateway.test\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

fn connector(certificate: &str) -> tokio_rustls::TlsConnector {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions =
        rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    Arc::new(versions.with_root_certificates(roots).with_no_client_auth()).into()
}

fn said<E: std::fmt::Display>(what: &'static str) -> impl Fn(E) -> String {
    move |error| format!("{what}: {error}")
}
