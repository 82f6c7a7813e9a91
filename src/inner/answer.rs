//! The answer to an inner request, piece by piece as it comes.
//!
//! Whoever drops it ends the request: its connection goes with it. Must not look at what is in it.

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http::response::Parts;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::task::JoinHandle;

use super::Failed;

/// An answer whose head is here.
#[derive(Debug)]
pub struct Answer {
    pub head: Parts,
    pub body: Pieces,
}

/// The body of an answer.
#[derive(Debug)]
pub struct Pieces {
    body: Incoming,
    _ends: Ends,
}

/// Ends a connection when dropped.
#[derive(Debug)]
pub(super) struct Ends(JoinHandle<()>);

impl Ends {
    pub fn with(connection: JoinHandle<()>) -> Self {
        Self(connection)
    }
}

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Answer {
    pub(super) fn of(answer: http::Response<Incoming>, ends: Ends) -> Self {
        let (head, body) = answer.into_parts();
        Self { head, body: Pieces { body, _ends: ends } }
    }

    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.head.status
    }

    /// All of the body, once it is here.
    ///
    /// # Errors
    /// It breaks off, or has more than `most` bytes.
    pub async fn whole(mut self, most: usize) -> Result<Bytes, Failed> {
        let Some(first) = self.body.next().await.transpose()? else { return Ok(Bytes::new()) };
        if first.len() > most {
            return Err(Failed::TooLarge(most));
        }
        // Most answers are one piece.
        let Some(second) = self.body.next().await.transpose()? else { return Ok(first) };
        let mut all = BytesMut::from(first);
        let mut piece = Some(second);
        while let Some(next) = piece {
            if all.len().saturating_add(next.len()) > most {
                return Err(Failed::TooLarge(most));
            }
            all.extend_from_slice(&next);
            piece = self.body.next().await.transpose()?;
        }
        Ok(all.freeze())
    }
}

impl Pieces {
    /// The next piece; `None`: that was all.
    pub async fn next(&mut self) -> Option<Result<Bytes, Failed>> {
        loop {
            match self.body.frame().await? {
                Ok(frame) => match frame.into_data() {
                    Ok(piece) => return Some(Ok(piece)),
                    // Trailers say nothing here.
                    Err(_) => continue,
                },
                Err(error) => return Some(Err(Failed::Broken(error.to_string()))),
            }
        }
    }
}
