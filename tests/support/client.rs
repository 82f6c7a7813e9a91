//! An HTTP/1.1 client that hides nothing: framing, order and time of what came are there to be checked.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use serde_json::Value;

use super::PATIENCE;
use super::upstream::find;

/// How a body is sent.
pub enum Body {
    None,
    Length(Vec<u8>),
    /// In chunks of this size.
    Chunked(Vec<u8>, usize),
}

/// A request to be sent.
pub struct Request {
    pub method: &'static str,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Body,
}

impl Request {
    pub fn get(path: &str) -> Self {
        Self { method: "GET", path: path.to_owned(), headers: Vec::new(), body: Body::None }
    }

    pub fn post(path: &str, body: impl Into<Vec<u8>>) -> Self {
        Self { method: "POST", path: path.to_owned(), headers: Vec::new(), body: Body::Length(body.into()) }
            .header("content-type", "application/json")
    }

    pub fn json(path: &str, body: &Value) -> Self {
        Self::post(path, body.to_string())
    }

    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    #[must_use]
    pub fn method(mut self, method: &'static str) -> Self {
        self.method = method;
        self
    }

    #[must_use]
    pub fn chunked(mut self, size: usize) -> Self {
        if let Body::Length(bytes) = self.body {
            self.body = Body::Chunked(bytes, size);
        }
        self
    }

    /// The head, with the framing of the body.
    pub fn head(&self) -> Vec<u8> {
        let mut text = format!("{} {} HTTP/1.1\r\n", self.method, self.path);
        if self.headers.iter().all(|(name, _)| name != "host") {
            text.push_str("host: localhost\r\n");
        }
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        match &self.body {
            Body::None => {}
            Body::Length(bytes) => text.push_str(&format!("content-length: {}\r\n", bytes.len())),
            Body::Chunked(..) => text.push_str("transfer-encoding: chunked\r\n"),
        }
        text.push_str("\r\n");
        text.into_bytes()
    }

    fn framed_body(&self) -> Vec<u8> {
        match &self.body {
            Body::None => Vec::new(),
            Body::Length(bytes) => bytes.clone(),
            Body::Chunked(bytes, size) => {
                let mut out = Vec::with_capacity(bytes.len() + bytes.len() / size * 8 + 8);
                for chunk in bytes.chunks(*size) {
                    out.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                    out.extend_from_slice(chunk);
                    out.extend_from_slice(b"\r\n");
                }
                out.extend_from_slice(b"0\r\n\r\n");
                out
            }
        }
    }
}

/// A response's head.
#[derive(Debug, Clone)]
pub struct Head {
    pub status: u16,
    pub headers: Vec<(String, String)>,
}

impl Head {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// A whole response.
#[derive(Debug, Clone)]
pub struct Response {
    pub head: Head,
    pub body: Vec<u8>,
    /// The body ended as its framing says.
    pub whole: bool,
    /// When the head and the last byte came.
    pub head_at: Instant,
    pub end_at: Instant,
}

impl Response {
    pub fn status(&self) -> u16 {
        self.head.status
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("no JSON ({error}): {}", self.text()))
    }
}

/// How the body is framed, and where its reading stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    Length(usize),
    Chunked,
    UntilClose,
    Done,
}

/// One connection; responses are read in order.
pub struct Connection {
    pub socket: TcpStream,
    buffer: Vec<u8>,
    framing: Framing,
    head_only: bool,
}

impl Connection {
    pub fn open(address: SocketAddr) -> io::Result<Self> {
        let socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { socket, buffer: Vec::new(), framing: Framing::Done, head_only: false })
    }

    /// Sends a request and reads its whole response.
    pub fn ask(&mut self, request: &Request) -> io::Result<Response> {
        self.send(request)?;
        self.response()
    }

    pub fn send(&mut self, request: &Request) -> io::Result<()> {
        self.head_only = request.method == "HEAD";
        let mut bytes = request.head();
        bytes.extend(request.framed_body());
        // The gateway may answer and close before it read all: what it said is still to be read.
        match self.socket.write_all(&bytes) {
            Err(error) if is_closed(&error) => Ok(()),
            other => other,
        }
    }

    pub fn response(&mut self) -> io::Result<Response> {
        let head = self.read_head()?;
        let head_at = Instant::now();
        let mut body = Vec::new();
        let whole = loop {
            match self.piece() {
                Ok(Some(piece)) => body.extend(piece),
                Ok(None) => break true,
                Err(error) if is_closed(&error) => break false,
                Err(error) => return Err(error),
            }
        };
        Ok(Response { head, body, whole, head_at, end_at: Instant::now() })
    }

    /// The next head; 1xx ones too.
    pub fn read_head(&mut self) -> io::Result<Head> {
        let end = loop {
            if let Some(at) = find(&self.buffer, b"\r\n\r\n") {
                break at + 4;
            }
            self.fill()?;
        };
        let text = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
        self.buffer.drain(..end);
        let mut lines = text.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok());
        let status: u16 = status.ok_or_else(|| io::Error::other(format!("no status line: {text}")))?;
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let head = Head { status, headers };
        self.framing = match (head.header("content-length"), head.header("transfer-encoding")) {
            _ if self.head_only || status < 200 || status == 204 => Framing::Done,
            (_, Some("chunked")) => Framing::Chunked,
            (Some(length), _) => Framing::Length(length.parse().map_err(io::Error::other)?),
            _ => Framing::UntilClose,
        };
        Ok(head)
    }

    /// The next bytes of the body; nothing at its proper end.
    ///
    /// # Errors
    /// `UnexpectedEof` when the body is cut.
    pub fn piece(&mut self) -> io::Result<Option<Vec<u8>>> {
        match self.framing {
            Framing::Done | Framing::Length(0) => Ok(None),
            Framing::Length(left) => {
                if self.buffer.is_empty() {
                    self.fill()?;
                }
                let taken: Vec<u8> = self.buffer.drain(..left.min(self.buffer.len())).collect();
                self.framing = Framing::Length(left - taken.len());
                Ok(Some(taken))
            }
            Framing::UntilClose => {
                if self.buffer.is_empty() && self.fill().is_err() {
                    self.framing = Framing::Done;
                    return Ok(None);
                }
                Ok(Some(std::mem::take(&mut self.buffer)))
            }
            Framing::Chunked => self.chunk(),
        }
    }

    fn chunk(&mut self) -> io::Result<Option<Vec<u8>>> {
        let line = loop {
            if let Some(at) = find(&self.buffer, b"\r\n") {
                break at;
            }
            self.fill()?;
        };
        let size = String::from_utf8_lossy(&self.buffer[..line]).into_owned();
        let size = usize::from_str_radix(size.trim(), 16).map_err(io::Error::other)?;
        while self.buffer.len() < line + 2 + size + 2 {
            self.fill()?;
        }
        let bytes = self.buffer[line + 2..line + 2 + size].to_vec();
        self.buffer.drain(..line + 2 + size + 2);
        if size == 0 {
            self.framing = Framing::Done;
            return Ok(None);
        }
        Ok(Some(bytes))
    }

    /// Reads pieces until they contain `text`; gives all that was read.
    pub fn read_until(&mut self, text: &str) -> Vec<u8> {
        let mut seen = Vec::new();
        while find(&seen, text.as_bytes()).is_none() {
            let piece = self.piece().expect("the stream goes on");
            seen.extend(piece.unwrap_or_else(|| {
                panic!("{text:?} never came in {:?}", String::from_utf8_lossy(&seen));
            }));
        }
        seen
    }

    fn fill(&mut self) -> io::Result<()> {
        let mut chunk = [0; 64 * 1024];
        match self.socket.read(&mut chunk)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                self.buffer.extend_from_slice(&chunk[..read]);
                Ok(())
            }
        }
    }
}

/// The peer closed or reset.
pub fn is_closed(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
}
