//! Contents that are kept: bodies as they crossed the caller's side, and the provider's where that is asked for.
//!
//! Off unless the configuration or a virtual key says otherwise; a request may only switch it off. Bounded on each side:
//! what is beyond is cut, and marked. Nothing is read here, and secrets are taken out where the bytes are stored.

use bytes::{Bytes, BytesMut};
use http::HeaderMap;

use super::attempt::Attempt;
use crate::auth::Caller;
use crate::config::snapshot::Logging;
use crate::telemetry::record::Content;

/// Pieces that are shorter are copied together: each of their own would hold the buffer that it was read into.
const SHORT: usize = 4 * 1024;
/// The header that switches it off.
const HEADER: &str = "x-bf-log-content";

/// What is kept of a request that is under way.
pub struct Kept {
    request: Bytes,
    cut: bool,
    response: Pieces,
}

/// The first bytes of a body that comes in pieces.
pub struct Pieces {
    list: Vec<Bytes>,
    tail: BytesMut,
    size: usize,
    most: usize,
    cut: bool,
}

/// Contents of this request are kept.
#[must_use]
pub fn wanted(logging: &Logging, caller: Option<&Caller>, headers: &HeaderMap) -> bool {
    let own = caller.and_then(|caller| caller.key.log_content);
    let refused = |value: &http::HeaderValue| {
        ["false", "off", "0"].iter().any(|word| value.as_bytes().eq_ignore_ascii_case(word.as_bytes()))
    };
    own.unwrap_or(logging.content) && !headers.get_all(HEADER).iter().any(refused)
}

impl Kept {
    /// `request`: its body, of which `most` bytes are kept.
    #[must_use]
    pub fn new(request: &Bytes, most: usize) -> Self {
        let response = Pieces::new(most);
        Self { request: request.slice(..request.len().min(most)), cut: request.len() > most, response }
    }

    /// A piece of the answer goes to the caller.
    pub fn goes(&mut self, piece: &Bytes) {
        self.response.push(piece);
    }

    /// Bytes that are kept on each side.
    #[must_use]
    pub fn most(&self) -> usize {
        self.response.most
    }

    /// All of it, with what the attempt that answered was sent and sent itself, where that is kept.
    #[must_use]
    pub fn finish(self, attempt: Option<&mut Attempt>) -> Content {
        let most = self.response.most;
        let (response, response_cut) = self.response.finish();
        let mut content = Content {
            request: self.request,
            request_cut: self.cut,
            response,
            response_cut,
            ..Content::default()
        };
        if let Some((raw, attempt)) = attempt.and_then(|attempt| Some((attempt.raw.take()?, attempt))) {
            let body = &attempt.upstream.body;
            content.upstream_request = Some(body.slice(..body.len().min(most)));
            content.upstream_response = Some(raw.finish().0);
        }
        content
    }
}

impl Pieces {
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { list: Vec::new(), tail: BytesMut::new(), size: 0, most, cut: false }
    }

    pub fn push(&mut self, piece: &Bytes) {
        let room = self.most.saturating_sub(self.size);
        self.cut |= piece.len() > room;
        let kept = piece.slice(..piece.len().min(room));
        self.size += kept.len();
        if kept.len() < SHORT {
            self.tail.extend_from_slice(&kept);
        } else {
            self.close();
            self.list.push(kept);
        }
    }

    /// The pieces, and whether there were more.
    #[must_use]
    pub fn finish(mut self) -> (Vec<Bytes>, bool) {
        self.close();
        (self.list, self.cut)
    }

    fn close(&mut self) {
        if !self.tail.is_empty() {
            self.list.push(std::mem::take(&mut self.tail).freeze());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_come_back_in_their_order_and_short_ones_together() {
        let mut pieces = Pieces::new(1_000_000);
        let large = Bytes::from(vec![b'x'; SHORT]);
        for piece in
            [Bytes::from_static(b"a"), Bytes::from_static(b"b"), large.clone(), Bytes::from_static(b"c")]
        {
            pieces.push(&piece);
        }
        let (list, cut) = pieces.finish();
        assert_eq!(list, [Bytes::from_static(b"ab"), large, Bytes::from_static(b"c")]);
        assert!(!cut);
    }

    #[test]
    fn what_is_beyond_the_bound_is_cut_and_said() {
        let mut kept = Kept::new(&Bytes::from_static(b"12345678"), 5);
        kept.goes(&Bytes::from_static(b"abc"));
        kept.goes(&Bytes::from_static(b"defg"));
        kept.goes(&Bytes::from_static(b"h"));
        let content = kept.finish(None);
        assert_eq!(content.request, "12345");
        assert_eq!(content.response, [Bytes::from_static(b"abcde")]);
        assert!(content.request_cut && content.response_cut);
        let exact = Kept::new(&Bytes::from_static(b"12345"), 5).finish(None);
        assert!(!exact.request_cut && !exact.response_cut);
    }

    #[test]
    fn a_request_may_switch_it_off_and_never_on() {
        let of = |value: &'static str| {
            HeaderMap::from_iter([(
                http::HeaderName::from_static(HEADER),
                http::HeaderValue::from_static(value),
            )])
        };
        let logging = |content| Logging { content, most_content: 1, headers: Vec::new() };
        assert!(wanted(&logging(true), None, &HeaderMap::new()));
        assert!(wanted(&logging(true), None, &of("true")));
        assert!(!wanted(&logging(true), None, &of("False")));
        assert!(!wanted(&logging(false), None, &of("true")));
    }
}
