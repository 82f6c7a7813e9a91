//! An answer that is read elsewhere, given to Pingora as if it came over a connection of its own.
//!
//! Pingora connects to one peer per exchange. An answer that another task is reading takes part in its phases through
//! a peer whose connection is a queue of pieces: what Pingora writes is the request once more, and is thrown away; what
//! it reads is the answer, written as HTTP/1.1. The queue is short, so the reading task goes no faster than the caller.
//! Nothing is looked at here.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::{Buf, Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use pingora_core::connectors::l4::Connect;
use pingora_core::protocols::l4::stream::Stream;
use pingora_core::protocols::l4::virt::{VirtualSockOpt, VirtualSocket, VirtualSocketStream};
use pingora_core::upstreams::peer::HttpPeer;
use pingora_error::{Error, ErrorType, Result};
use pingora_http::ResponseHeader;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::mpsc;

/// Pieces that wait for Pingora: each as long as the provider's, 64 KiB at most, with its length before it.
const PIECES: usize = 8;

/// Where the answer is written to.
#[derive(Debug)]
pub struct Writer(mpsc::Sender<Bytes>);

/// Nobody reads it any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gone;

/// The reading end, to be given to [`peer`].
pub struct Handover {
    pieces: mpsc::Receiver<Bytes>,
    /// Of the piece that is being read.
    rest: Bytes,
}

impl fmt::Debug for Handover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handover")
    }
}

/// A way for an answer with this head.
#[must_use]
pub fn pipe(head: &ResponseHeader) -> (Writer, Handover) {
    let (writer, pieces) = mpsc::channel(PIECES);
    (Writer(writer), Handover { pieces, rest: written(head) })
}

impl Writer {
    /// A piece of the body; waits while the queue is full.
    ///
    /// # Errors
    /// [`Gone`].
    pub async fn push(&self, piece: Bytes) -> std::result::Result<(), Gone> {
        if piece.is_empty() {
            return Ok(());
        }
        let length = Bytes::from(format!("{:x}\r\n", piece.len()));
        for part in [length, piece, Bytes::from_static(b"\r\n")] {
            self.0.send(part).await.map_err(|_| Gone)?;
        }
        Ok(())
    }

    /// The body is complete. Without this it counts as cut short.
    ///
    /// # Errors
    /// [`Gone`].
    pub async fn end(&self) -> std::result::Result<(), Gone> {
        self.0.send(Bytes::from_static(b"0\r\n\r\n")).await.map_err(|_| Gone)
    }

    /// Returns when nobody reads any more.
    pub async fn gone(&self) {
        self.0.closed().await;
    }
}

/// The head as HTTP/1.1 writes it, with the framing of this hop.
fn written(head: &ResponseHeader) -> Bytes {
    let mut out = BytesMut::with_capacity(1024);
    out.extend_from_slice(format!("HTTP/1.1 {} \r\n", head.status.as_u16()).as_bytes());
    let of_hop = [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING];
    for (name, value) in head.headers.iter().filter(|(name, _)| !of_hop.contains(name)) {
        out.extend_from_slice(name.as_str().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"transfer-encoding: chunked\r\nconnection: close\r\n\r\n");
    out.freeze()
}

/// A peer that is this answer, once.
#[must_use]
pub fn peer(handover: Handover) -> HttpPeer {
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let mut peer = HttpPeer::new(nowhere, false, String::new());
    // Of no other group: it is never pooled, and no pooled connection is taken for it.
    peer.group_key = NUMBER.fetch_add(1, Ordering::Relaxed);
    peer.options.custom_l4 = Some(Arc::new(Once(Mutex::new(Some(handover)))));
    peer
}

#[derive(Debug)]
struct Once(Mutex<Option<Handover>>);

#[async_trait]
impl Connect for Once {
    async fn connect(&self, _address: &pingora_core::protocols::l4::socket::SocketAddr) -> Result<Stream> {
        match self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(handover) => Ok(VirtualSocketStream::new(Box::new(handover)).into()),
            None => Error::e_explain(ErrorType::InternalError, "an answer was handed over twice"),
        }
    }
}

impl VirtualSocket for Handover {
    fn set_socket_option(&self, _option: VirtualSockOpt) -> io::Result<()> {
        Ok(())
    }
}

impl AsyncRead for Handover {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        while buffer.remaining() > 0 {
            if self.rest.is_empty() {
                match self.pieces.poll_recv(context) {
                    Poll::Ready(Some(piece)) => self.rest = piece,
                    Poll::Pending if buffer.filled().len() == before => return Poll::Pending,
                    Poll::Pending | Poll::Ready(None) => break,
                }
            }
            let fits = self.rest.len().min(buffer.remaining());
            buffer.put_slice(self.rest.get(..fits).unwrap_or_default());
            self.rest.advance(fits);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Handover {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    fn head() -> ResponseHeader {
        let mut head = ResponseHeader::build(200, None).unwrap();
        for (name, value) in [("content-length", "5"), ("content-type", "text/event-stream"), ("x-a", "1")] {
            head.append_header(name, value).unwrap();
        }
        head
    }

    #[tokio::test]
    async fn an_answer_is_read_as_it_was_written_in_chunks() {
        let (writer, mut handover) = pipe(&head());
        writer.push(Bytes::from_static(b"hello")).await.unwrap();
        writer.push(Bytes::new()).await.unwrap();
        writer.end().await.unwrap();
        drop(writer);
        let mut read = String::new();
        handover.read_to_string(&mut read).await.unwrap();
        assert_eq!(
            read,
            "HTTP/1.1 200 \r\ncontent-type: text/event-stream\r\nx-a: 1\r\n\
             transfer-encoding: chunked\r\nconnection: close\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
        );
    }

    #[tokio::test]
    async fn a_reader_that_does_not_read_holds_the_writer_up() {
        let (writer, handover) = pipe(&head());
        let mut pushed = 0;
        while tokio::time::timeout(std::time::Duration::ZERO, writer.push(Bytes::from_static(b"x")))
            .await
            .is_ok()
        {
            pushed += 1;
        }
        assert!(pushed <= PIECES, "{pushed} pieces went nowhere");
        drop(handover);
        writer.gone().await;
        assert_eq!(writer.push(Bytes::from_static(b"x")).await, Err(Gone));
    }
}
