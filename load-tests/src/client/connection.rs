//! One keep-alive connection. It reads an answer to its exact end, so that the next one starts clean.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::tally::Failure;
use crate::chunked::ChunkedReader;
use crate::head::{self, Framing};

/// An open connection and the body of the last answer.
pub struct Connection {
    stream: TcpStream,
    unread: Vec<u8>,
    body: Vec<u8>,
}

/// The parts of a response head that matter here.
struct Opening {
    status: u16,
    framing: Framing,
    closes: bool,
}

impl Connection {
    /// Connects with TCP_NODELAY.
    ///
    /// # Errors
    /// `Failure::Connect`.
    pub async fn open(address: SocketAddr) -> Result<Self, Failure> {
        let stream = TcpStream::connect(address).await.map_err(|_| Failure::Connect)?;
        stream.set_nodelay(true).map_err(|_| Failure::Connect)?;
        Ok(Self { stream, unread: Vec::with_capacity(8192), body: Vec::with_capacity(8192) })
    }

    /// Sends `request` in one write and reads the answer whole. `arrived` sees the body so far after
    /// each read. Returns whether the connection can be used again.
    ///
    /// # Errors
    /// The answer is not a whole 200; the connection is then of no more use.
    pub async fn exchange(
        &mut self,
        request: &[u8],
        mut arrived: impl FnMut(&[u8]),
    ) -> Result<bool, Failure> {
        self.body.clear();
        self.stream.write_all(request).await.map_err(|_| Failure::Cut)?;
        let opening = self.read_opening().await?;
        match opening.framing {
            Framing::Length(length) => self.read_length(length, &mut arrived).await?,
            Framing::Chunked => self.read_chunked(&mut arrived).await?,
            Framing::Unstated => return Err(Failure::Framing),
        }
        if !self.unread.is_empty() {
            return Err(Failure::Framing);
        }
        if opening.status == 200 { Ok(!opening.closes) } else { Err(Failure::Status(opening.status)) }
    }

    /// The body of the last answer, or what of it arrived.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    async fn read_opening(&mut self) -> Result<Opening, Failure> {
        loop {
            let head = head::read(&self.unread).map_err(|_| Failure::Framing)?;
            if let Some(head) = head {
                let status = head.first_line.split(' ').nth(1).and_then(|word| word.parse().ok());
                let status = status.ok_or(Failure::Framing)?;
                let opening = Opening { status, framing: head.framing, closes: head.closes };
                let length = head.length;
                self.unread.drain(..length);
                return Ok(opening);
            }
            self.read_more().await?;
        }
    }

    async fn read_length(&mut self, length: usize, arrived: &mut impl FnMut(&[u8])) -> Result<(), Failure> {
        loop {
            let now = self.unread.len().min(length - self.body.len());
            self.body.extend(self.unread.drain(..now));
            arrived(&self.body);
            if self.body.len() == length {
                return Ok(());
            }
            self.read_more().await?;
        }
    }

    async fn read_chunked(&mut self, arrived: &mut impl FnMut(&[u8])) -> Result<(), Failure> {
        let mut reader = ChunkedReader::default();
        loop {
            let used = reader.feed(&self.unread, &mut self.body).map_err(|_| Failure::Framing)?;
            self.unread.drain(..used);
            arrived(&self.body);
            if reader.is_done() {
                return Ok(());
            }
            self.read_more().await?;
        }
    }

    async fn read_more(&mut self) -> Result<(), Failure> {
        match self.stream.read_buf(&mut self.unread).await {
            Ok(count) if count > 0 => Ok(()),
            _ => Err(Failure::Cut),
        }
    }
}

/// A connection that is opened when needed and dropped after a failure.
pub struct Reopening {
    address: SocketAddr,
    open: Option<Connection>,
    opened: u64,
}

impl Reopening {
    /// Opens nothing yet.
    pub fn new(address: SocketAddr) -> Self {
        Self { address, open: None, opened: 0 }
    }

    /// Opens the connection if it is not open, so that the next exchange is timed without it.
    ///
    /// # Errors
    /// `Failure::Connect`.
    pub async fn connect(&mut self) -> Result<(), Failure> {
        if self.open.is_none() {
            self.opened += 1;
            self.open = Some(Connection::open(self.address).await?);
        }
        Ok(())
    }

    /// One exchange; `check` judges the body of a 200.
    ///
    /// # Errors
    /// What `Connection` or `check` reports.
    pub async fn exchange(
        &mut self,
        request: &[u8],
        arrived: impl FnMut(&[u8]),
        check: impl FnOnce(&[u8]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        self.connect().await?;
        let mut connection = self.open.take().ok_or(Failure::Connect)?;
        let reusable = connection.exchange(request, arrived).await?;
        let checked = check(connection.body());
        self.open = reusable.then_some(connection);
        checked
    }

    /// How often a connection was opened.
    pub fn opened(&self) -> u64 {
        self.opened
    }
}
