//! A provider that does what its script says, byte for byte, and remembers what it was asked.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;

use super::stream::Stream;
use super::{Watched, Wire};

/// One request as it came.
#[derive(Debug, Clone)]
pub struct Hit {
    /// Counts requests for this model, from 1.
    pub nth: usize,
    pub at: Instant,
    /// Number of the connection, from 1.
    pub connection: usize,
    pub method: String,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub json: Value,
    /// When the gateway was seen to leave before the script's end.
    pub left: Option<Instant>,
}

impl Hit {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The provider key: of either wire's header.
    pub fn key(&self) -> &str {
        let bearer = self.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        bearer.or_else(|| self.header("x-api-key")).unwrap_or_default()
    }

    pub fn model(&self) -> &str {
        self.json["model"].as_str().unwrap_or_default()
    }

    pub fn wire(&self) -> Wire {
        Wire::of(&self.path)
    }

    pub fn streams(&self) -> bool {
        self.json["stream"].as_bool().unwrap_or(false)
    }
}

/// One step of an answer.
pub enum Act {
    Send(Vec<u8>),
    /// The same bytes this many times; counts the bytes that the gateway took.
    Repeat(Vec<u8>, usize, Arc<AtomicU64>),
    /// Silence, unless the gateway leaves.
    Pause(Duration),
    /// Silence until the gateway leaves.
    Hold,
    /// Silence until the gate is opened.
    Wait(Gate),
    /// A TCP reset.
    Reset,
    /// The connection ends in good order.
    Close,
}

/// What is answered to one request. The connection is kept afterwards unless an act ended it.
pub type Script = Vec<Act>;

/// Holds answers back until a test opens it.
#[derive(Clone)]
pub struct Gate(Arc<Watched<bool>>);

impl Gate {
    pub fn shut() -> Self {
        Self(Watched::new(false))
    }

    pub fn open(&self) {
        self.0.change(|open| *open = true);
    }

    fn is_open(&self) -> bool {
        *self.0.lock()
    }
}

type Answer = dyn Fn(&Hit) -> Script + Send + Sync;

struct Shared {
    answer: Box<Answer>,
    hits: Arc<Watched<Hits>>,
}

#[derive(Debug, Default)]
struct Hits {
    all: Vec<Hit>,
    by_model: HashMap<String, usize>,
    connections: usize,
}

/// A running upstream. Its threads end with the test process.
pub struct Upstream {
    pub port: u16,
    hits: Arc<Watched<Hits>>,
}

impl Upstream {
    /// Answers every request with what `answer` makes of it.
    pub fn start(answer: impl Fn(&Hit) -> Script + Send + Sync + 'static) -> Self {
        Self::launch(Box::new(answer), None)
    }

    /// The same with TLS.
    pub fn start_tls(
        tls: Arc<ServerConfig>,
        answer: impl Fn(&Hit) -> Script + Send + Sync + 'static,
    ) -> Self {
        Self::launch(Box::new(answer), Some(tls))
    }

    fn launch(answer: Box<Answer>, tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let hits = Watched::new(Hits::default());
        let shared = Arc::new(Shared { answer, hits: Arc::clone(&hits) });
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let (shared, tls) = (Arc::clone(&shared), tls.clone());
                std::thread::spawn(move || connection(socket, tls, &shared));
            }
        });
        Self { port, hits }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// All requests so far.
    pub fn hits(&self) -> Vec<Hit> {
        self.hits.lock().all.clone()
    }

    /// The requests for `model` so far.
    pub fn hits_for(&self, model: &str) -> Vec<Hit> {
        self.hits().into_iter().filter(|hit| hit.model() == model).collect()
    }

    /// Waits until `look` finds something in the list of requests.
    pub fn wait_for<R>(&self, what: &str, mut look: impl FnMut(&[Hit]) -> Option<R>) -> R {
        self.hits.wait_for(what, |hits| look(&hits.all))
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> usize {
        self.hits.lock().connections
    }
}

fn connection(socket: TcpStream, tls: Option<Arc<ServerConfig>>, shared: &Shared) {
    let _ = socket.set_nodelay(true);
    let number = shared.hits.change(|hits| {
        hits.connections += 1;
        hits.connections
    });
    let mut stream = match tls {
        None => Stream::Plain(socket),
        Some(config) => {
            let Ok(session) = ServerConnection::new(config) else { return };
            Stream::Tls(Box::new(StreamOwned::new(session, socket)))
        }
    };
    let mut buffer = Vec::new();
    while let Some(hit) = read_request(&mut stream, &mut buffer, number) {
        let (index, hit) = shared.hits.change(|hits| {
            let nth = hits.by_model.entry(hit.model().to_owned()).or_default();
            *nth += 1;
            let hit = Hit { nth: *nth, ..hit };
            hits.all.push(hit.clone());
            (hits.all.len() - 1, hit)
        });
        let script = (shared.answer)(&hit);
        match perform(stream, script) {
            Ended::Kept(kept) => stream = kept,
            Ended::Closed => return,
            Ended::Left => {
                return shared.hits.change(|hits| {
                    if let Some(hit) = hits.all.get_mut(index) {
                        hit.left = Some(Instant::now());
                    }
                });
            }
        }
    }
}

enum Ended {
    Kept(Stream),
    Closed,
    /// The gateway left first.
    Left,
}

fn perform(mut stream: Stream, script: Script) -> Ended {
    for act in script {
        match act {
            Act::Send(bytes) => {
                if stream.write_all(&bytes).and_then(|()| stream.flush()).is_err() {
                    return Ended::Left;
                }
            }
            Act::Repeat(bytes, times, taken) => {
                for _ in 0..times {
                    if stream.write_all(&bytes).is_err() {
                        return Ended::Left;
                    }
                    taken.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                }
            }
            Act::Pause(pause) => {
                if !stream.outlast(Some(pause)) {
                    return Ended::Left;
                }
            }
            Act::Hold => {
                stream.outlast(None);
                return Ended::Left;
            }
            Act::Wait(gate) => {
                while !gate.is_open() {
                    if !stream.outlast(Some(Duration::from_millis(5))) {
                        return Ended::Left;
                    }
                }
            }
            Act::Reset => {
                stream.reset();
                return Ended::Closed;
            }
            Act::Close => {
                stream.close();
                return Ended::Closed;
            }
        }
    }
    Ended::Kept(stream)
}

/// One request, or nothing when the connection ended. `buffer` holds what was read beyond it.
fn read_request(stream: &mut Stream, buffer: &mut Vec<u8>, connection: usize) -> Option<Hit> {
    stream.set_read_timeout(None);
    let head_end = loop {
        if let Some(at) = find(buffer, b"\r\n\r\n") {
            break at + 4;
        }
        fill(stream, buffer)?;
    };
    let head = String::from_utf8_lossy(&buffer[..head_end]).into_owned();
    buffer.drain(..head_end);
    let mut lines = head.lines();
    let mut first = lines.next()?.split(' ').map(str::to_owned);
    let (method, path) = (first.next()?, first.next()?);
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length").and_then(|(_, v)| v.parse().ok());
    let body = match length {
        Some(length) => {
            while buffer.len() < length {
                fill(stream, buffer)?;
            }
            buffer.drain(..length).collect()
        }
        None => Vec::new(),
    };
    let json = serde_json::from_slice(&body).unwrap_or(Value::Null);
    Some(Hit { nth: 0, at: Instant::now(), connection, method, path, headers, body, json, left: None })
}

fn fill(stream: &mut Stream, buffer: &mut Vec<u8>) -> Option<()> {
    let mut chunk = vec![0; 64 * 1024];
    let read = stream.read(&mut chunk).ok().filter(|read| *read > 0)?;
    buffer.extend_from_slice(&chunk[..read]);
    Some(())
}

pub fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    memchr::memmem::find(haystack, needle)
}
