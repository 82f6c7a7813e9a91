//! A caller: asks, reads in its manner, and gives the judge what it heard.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::errand::{Errand, Manner};
use super::judge::{Heard, Violation, violation};
use super::providers::LIMITS;
use crate::chunked::ChunkedReader;
use crate::client::Dialect;
use crate::head::{self, Framing};

/// A connection that is kept between requests while that goes well.
pub struct Caller {
    address: SocketAddr,
    direct: bool,
    kept: Option<TcpStream>,
}

/// What became of a request.
pub enum Told {
    Heard(Heard),
    /// The caller left on purpose.
    Left,
}

impl Caller {
    /// Connects when it is needed. `direct`: at a provider, without a gateway.
    #[must_use]
    pub fn new(address: SocketAddr, direct: bool) -> Self {
        Self { address, direct, kept: None }
    }

    /// Makes the request and reads its answer, for no longer than any may take.
    ///
    /// # Errors
    /// No answer at all, none in time, or none that is HTTP.
    pub async fn ask(&mut self, errand: &Errand) -> Result<Told, Violation> {
        let patience = LIMITS.total + LIMITS.slack;
        if let Manner::Leaves(after) = errand.manner {
            // Dropped in the middle of whatever it is: the connection closes.
            let heard = tokio::time::timeout(after, self.exchange(errand)).await;
            self.kept = None;
            return match heard {
                Ok(heard) => heard.map(Told::Heard),
                Err(_) => Ok(Told::Left),
            };
        }
        match tokio::time::timeout(patience, self.exchange(errand)).await {
            Ok(heard) => heard.map(Told::Heard),
            Err(_) => {
                self.kept = None;
                violation("hung", format!("no end after {patience:?}"))
            }
        }
    }

    async fn exchange(&mut self, errand: &Errand) -> Result<Heard, Violation> {
        let request = self.request(errand);
        let reused = self.kept.take();
        let was_reused = reused.is_some();
        let heard = match reused {
            Some(stream) => self.once(stream, &request, errand).await,
            None => self.fresh(&request, errand).await,
        };
        match heard {
            // A kept connection may have been closed meanwhile: any client asks again then.
            Err(problem) if was_reused && problem.kind == "no answer" => self.fresh(&request, errand).await,
            heard => heard,
        }
    }

    async fn fresh(&mut self, request: &[u8], errand: &Errand) -> Result<Heard, Violation> {
        let stream = match TcpStream::connect(self.address).await {
            Ok(stream) => stream,
            Err(error) => return violation("no connection", error.to_string()),
        };
        // Not vital: an answer that comes later is an answer.
        let _ = stream.set_nodelay(true);
        self.once(stream, request, errand).await
    }

    async fn once(
        &mut self,
        mut stream: TcpStream,
        request: &[u8],
        errand: &Errand,
    ) -> Result<Heard, Violation> {
        // An answer may come before all was read: what was said is to be read then.
        let written = stream.write_all(request).await;
        let mut unread = Vec::with_capacity(8_192);
        let opening = loop {
            match Opening::read(&unread)? {
                // For the hop only.
                Some(opening) if opening.status < 200 => {
                    unread.drain(..opening.length);
                    continue;
                }
                Some(opening) => break opening,
                None => {}
            }
            match stream.read_buf(&mut unread).await {
                Ok(count) if count > 0 => {}
                end => {
                    let when = if unread.is_empty() { "no answer" } else { "cut" };
                    return violation(when, format!("{end:?} after {written:?}, {} bytes", unread.len()));
                }
            }
        };
        unread.drain(..opening.length);
        let mut body = Body { opening, unread, bytes: Vec::new(), chunks: ChunkedReader::default() };
        body.read(&mut stream, errand.manner).await?;
        let heard = Heard {
            status: body.opening.status,
            events: body.opening.events,
            framed: body.is_done(),
            body: body.bytes,
        };
        if heard.framed && !body.opening.closes && body.opening.framing != Framing::Unstated {
            self.kept = Some(stream);
        }
        Ok(heard)
    }

    fn request(&self, errand: &Errand) -> Vec<u8> {
        let body = errand.body(self.direct).to_string();
        let mut head = format!(
            "POST {} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\nx-request-id: chaos-{}\r\n",
            errand.path(self.direct),
            self.address,
            errand.id
        );
        head.push_str(match errand.dialect {
            Dialect::OpenAi => "authorization: Bearer sk-chaos\r\n",
            Dialect::Anthropic => "x-api-key: sk-chaos\r\nanthropic-version: 2023-06-01\r\n",
        });
        if let Some(recovery) = errand.recovery.filter(|_| errand.stream) {
            head.push_str(&format!("x-bf-stream-recovery: {recovery}\r\n"));
        }
        head.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));
        head.into_bytes()
    }
}

struct Opening {
    status: u16,
    events: bool,
    framing: Framing,
    closes: bool,
    length: usize,
}

impl Opening {
    fn read(bytes: &[u8]) -> Result<Option<Self>, Violation> {
        let head = match head::read(bytes) {
            Ok(Some(head)) => head,
            Ok(None) => return Ok(None),
            Err(problem) => return violation("head", problem),
        };
        let Some(status) = head.first_line.split(' ').nth(1).and_then(|word| word.parse().ok()) else {
            return violation("head", head.first_line);
        };
        let text = bytes.get(..head.length).map(String::from_utf8_lossy).unwrap_or_default();
        let events = text.to_ascii_lowercase().contains("\r\ncontent-type: text/event-stream");
        Ok(Some(Self { status, events, framing: head.framing, closes: head.closes, length: head.length }))
    }
}

struct Body {
    opening: Opening,
    unread: Vec<u8>,
    bytes: Vec<u8>,
    chunks: ChunkedReader,
}

impl Body {
    fn is_done(&self) -> bool {
        match self.opening.framing {
            Framing::Length(length) => self.bytes.len() == length,
            Framing::Chunked => self.chunks.is_done(),
            Framing::Unstated => true,
        }
    }

    async fn read(&mut self, stream: &mut TcpStream, manner: Manner) -> Result<(), Violation> {
        let dawdles = manner == Manner::Dawdles;
        // Pauses for three seconds in all: a slow reader, not one past its deadline.
        let until = Instant::now() + Duration::from_secs(3);
        loop {
            self.take()?;
            if self.is_done() && self.opening.framing != Framing::Unstated {
                return if self.unread.is_empty() {
                    Ok(())
                } else {
                    violation("framing", "bytes beyond the end")
                };
            }
            if dawdles && Instant::now() < until {
                tokio::time::sleep(Duration::from_millis(40)).await;
            }
            let most = if dawdles { 2_048 } else { 64 * 1_024 };
            match stream.take(most).read_buf(&mut self.unread).await {
                Ok(count) if count > 0 => {}
                _ => return Ok(()),
            }
        }
    }

    fn take(&mut self) -> Result<(), Violation> {
        match self.opening.framing {
            Framing::Length(length) => {
                let now = self.unread.len().min(length - self.bytes.len());
                self.bytes.extend(self.unread.drain(..now));
            }
            Framing::Chunked => match self.chunks.feed(&self.unread, &mut self.bytes) {
                Ok(used) => drop(self.unread.drain(..used)),
                Err(problem) => return violation("framing", problem),
            },
            Framing::Unstated => self.bytes.append(&mut self.unread),
        }
        Ok(())
    }
}
