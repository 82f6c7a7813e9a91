//! What each fault looks like on the wire: the bytes and pauses of one answer.

use std::io::Write as _;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::dice::Dice;
use super::fault::Fault;
use super::wire::{self, Frames};
use crate::client::Dialect;

/// One step of an answer.
#[derive(Debug)]
pub enum Act {
    Send(Vec<u8>),
    Pause(Duration),
    /// Silence until the other side leaves.
    Hold,
    /// A TCP reset.
    Reset,
    /// The connection ends in good order.
    Close,
}

/// What was asked of a provider.
#[derive(Debug)]
pub struct Order<'o> {
    pub wire: Dialect,
    pub model: &'o str,
    pub stream: bool,
    /// OpenAI's frame of counts was asked for.
    pub usage: bool,
    /// The words of the answer.
    pub words: &'o [String],
    /// Between two words of a stream.
    pub pace: Duration,
}

const JSON: &str = "content-type: application/json";
const EVENTS: &str = "content-type: text/event-stream";
const CHUNKED: &str = "transfer-encoding: chunked";

/// The answer to `order` with `fault` in it. After it the connection is kept unless an act ended it.
#[must_use]
pub fn of(order: &Order<'_>, fault: Fault, dice: &mut Dice) -> Vec<Act> {
    if let Some(acts) = refusal(order, fault) {
        return acts;
    }
    if let Some(acts) = any(order, fault, dice) {
        return acts;
    }
    if order.stream { streamed(order, fault, dice) } else { whole(order, fault, dice) }
}

fn refusal(order: &Order<'_>, fault: Fault) -> Option<Vec<Act>> {
    let (anthropic, after) = (order.wire == Dialect::Anthropic, "retry-after: 3");
    let told = |status: u16, kind: &str, message: &str, header: &str| {
        let body = wire::error(order.wire, kind, message).to_string();
        Some(sized(status, &[JSON, header], body.as_bytes()))
    };
    let limit = if anthropic { "rate_limit_error" } else { "rate_limit_exceeded" };
    match fault {
        Fault::Limited => told(429, limit, "slow down", ""),
        Fault::LimitedAfter => told(429, limit, "slow down", after),
        Fault::ServerError => told(500, if anthropic { "api_error" } else { "server_error" }, "it broke", ""),
        Fault::Unavailable => told(503, "overloaded_error", "at capacity", ""),
        Fault::UnavailableAfter => told(503, "overloaded_error", "at capacity", after),
        Fault::Overloaded => told(529, "overloaded_error", "overloaded", ""),
        Fault::ContextLength if anthropic => {
            told(400, "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum", "")
        }
        Fault::ContextLength => told(400, "context_length_exceeded", "maximum context length is 8192", ""),
        Fault::Policy if anthropic => {
            told(400, "invalid_request_error", "Output blocked by content filtering policy", "")
        }
        Fault::Policy => told(400, "content_policy_violation", "Rejected by our safety system.", ""),
        Fault::KeyRevoked => {
            told(401, if anthropic { "authentication_error" } else { "invalid_api_key" }, "no such key", "")
        }
        Fault::PrefillRefused => told(
            400,
            "invalid_request_error",
            "This model does not support assistant message prefill. \
             The conversation must end with a user message.",
            "",
        ),
        Fault::EmptyError => Some(sized(503, &["content-type: text/plain"], b"")),
        Fault::HtmlError => Some(sized(502, &["content-type: text/html"], b"<html>Bad Gateway</html>")),
        Fault::Redirect => Some(sized(302, &["location: http://127.0.0.1:9/elsewhere"], b"")),
        Fault::Outage => told(503, "overloaded_error", "out of service", ""),
        _ => None,
    }
}

/// Faults that look the same in both forms.
fn any(order: &Order<'_>, fault: Fault, dice: &mut Dice) -> Option<Vec<Act>> {
    let kind = if order.stream { EVENTS } else { JSON };
    let acts = match fault {
        Fault::ResetAtOnce => vec![Act::Reset],
        Fault::CloseAtOnce => vec![Act::Close],
        Fault::ResetInHead => vec![Act::Send(b"HTTP/1.1 200 OK\r\ncontent-ty".to_vec()), Act::Reset],
        Fault::Silence => vec![Act::Hold],
        Fault::HeadThenSilence if order.stream => vec![Act::Send(head(200, &[EVENTS, CHUNKED])), Act::Hold],
        Fault::HeadThenSilence => vec![Act::Send(head(200, &[JSON, "content-length: 400"])), Act::Hold],
        Fault::NotHttp => vec![Act::Send(b"SSH-2.0-OpenSSH_9.6\r\n\r\n".to_vec()), Act::Close],
        Fault::Html => sized(200, &["content-type: text/html"], b"<html><body>It works!</body></html>"),
        Fault::ErrorBody => {
            let body = wire::error(order.wire, "api_error", "it broke inside").to_string();
            sized(200, &[JSON], body.as_bytes())
        }
        Fault::Empty => sized(200, &[kind], b""),
        Fault::BrokenGzip => broken_gzip(order, dice),
        Fault::BadChunkSize => vec![
            Act::Send(head(200, &[kind, CHUNKED])),
            Act::Send(b"zz\r\nno chunk\r\n0\r\n\r\n".to_vec()),
            Act::Close,
        ],
        Fault::HugeHead => {
            let ballast = format!("x-ballast: {}", "b".repeat(2 << 20));
            vec![Act::Send(head(200, &[kind, CHUNKED, &ballast])), Act::Close]
        }
        Fault::SlowLoris => slow_loris(order, kind),
        Fault::SplitBytes => split_bytes(order),
        Fault::EarlyHints => {
            let mut acts = vec![Act::Send(b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n".to_vec())];
            acts.extend(of(order, Fault::None, dice));
            acts
        }
        Fault::SlowStart => {
            let mut acts = vec![Act::Pause(Duration::from_millis(dice.between(300, 900)))];
            acts.extend(of(order, Fault::None, dice));
            acts
        }
        Fault::UntilClose => {
            vec![Act::Send(head(200, &[kind, "connection: close"])), Act::Send(plain(order)), Act::Close]
        }
        Fault::CloseAfter => {
            let mut acts = of(order, Fault::None, dice);
            acts.push(Act::Close);
            acts
        }
        Fault::TrailingGarbage => with_garbage(of(order, Fault::None, dice)),
        Fault::Gzip => {
            let packed = gzip(&plain(order));
            sized(200, &[kind, "content-encoding: gzip"], &packed)
        }
        _ => return None,
    };
    Some(acts)
}

fn whole(order: &Order<'_>, fault: Fault, dice: &mut Dice) -> Vec<Act> {
    let body = plain(order);
    let part = body.get(..dice.index(body.len())).unwrap_or_default();
    let length = |bytes: usize| format!("content-length: {bytes}");
    match fault {
        Fault::CutJson => sized(200, &[JSON], part),
        Fault::LongLength => {
            let mut bytes = head(200, &[JSON, &length(body.len() + 1 + dice.index(300))]);
            bytes.extend_from_slice(&body);
            vec![Act::Send(bytes), Act::Close]
        }
        Fault::ShortLength => {
            let mut bytes = head(200, &[JSON, &length(part.len())]);
            bytes.extend_from_slice(&body);
            vec![Act::Send(bytes)]
        }
        Fault::CutChunks | Fault::ResetChunks => {
            let end = if fault == Fault::CutChunks { Act::Close } else { Act::Reset };
            vec![Act::Send(head(200, &[JSON, CHUNKED])), chunk(part), end]
        }
        Fault::StreamForWhole => of(&Order { stream: true, ..*order }, Fault::None, dice),
        Fault::ChunkExtensions => vec![
            Act::Send(head(200, &[JSON, CHUNKED])),
            Act::Send(extended(&body)),
            Act::Send(b"0;last=1\r\n\r\n".to_vec()),
        ],
        Fault::Trailers => vec![
            Act::Send(head(200, &[JSON, CHUNKED, "trailer: x-sum"])),
            chunk(&body),
            Act::Send(b"0\r\nx-sum: 1\r\n\r\n".to_vec()),
        ],
        _ => sized(200, &[JSON], &body),
    }
}

fn streamed(order: &Order<'_>, fault: Fault, dice: &mut Dice) -> Vec<Act> {
    if fault == Fault::WholeForStream {
        return of(&Order { stream: false, ..*order }, Fault::None, dice);
    }
    let frames = Frames::of(order.wire, order.model, order.words, order.usage);
    // A place inside the words, at least one of them said.
    let (opening, said) = (frames.opening.len(), frames.words.len());
    let place = opening + 1 + dice.index(said);
    match broken(order, fault, &frames, (opening, place.min(opening + said)), dice) {
        Some(acts) => acts,
        None => odd(order, fault, frames, place.min(opening + said)),
    }
}

/// A stream that breaks: at its first word, or at a place in the middle.
fn broken(
    order: &Order<'_>,
    fault: Fault,
    frames: &Frames,
    (opening, place): (usize, usize),
    dice: &mut Dice,
) -> Option<Vec<Act>> {
    let all = frames.clone().all();
    let until = |at: usize| opened(all.get(..at).unwrap_or_default(), order.pace);
    let acts = match fault {
        Fault::CutClose => ended(until(place), [Act::Close]),
        Fault::CutReset => ended(until(place), [Act::Reset]),
        Fault::CutInGoodOrder => ended(until(place), [end()]),
        Fault::CutWithTerminator => ended(until(place), [chunk(frames.terminator.as_bytes()), end()]),
        Fault::CutBeforeToken => ended(until(opening), [Act::Reset]),
        Fault::CutInFrame => {
            let frame = all.get(place).cloned().unwrap_or_default().into_bytes();
            let part = frame.get(..1 + dice.index(frame.len().saturating_sub(2))).unwrap_or_default();
            ended(until(place), [chunk(part), end()])
        }
        Fault::Stall => ended(until(place), [Act::Hold]),
        Fault::ErrorEvent | Fault::ErrorFirst => {
            let at = if fault == Fault::ErrorFirst { 0 } else { place };
            let event = wire::error_event(order.wire, "overloaded_error", "at capacity");
            ended(until(at), [chunk(event.as_bytes()), end()])
        }
        Fault::EndlessLine => {
            let megabyte = || chunk(&vec![b'x'; 1 << 20]);
            ended(until(place), [chunk(b"data: ")].into_iter().chain((0..18).map(|_| megabyte())))
        }
        _ => return None,
    };
    Some(acts)
}

/// Another answer nobody asked for, in one write with the end of the one that was: what comes later, when the
/// connection may be in use again, nobody can tell from the next answer.
fn with_garbage(mut acts: Vec<Act>) -> Vec<Act> {
    const GARBAGE: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\ngarbage";
    match acts.last_mut() {
        Some(Act::Send(last)) => last.extend_from_slice(GARBAGE),
        _ => acts.push(Act::Send(GARBAGE.to_vec())),
    }
    acts
}

/// A stream that is whole, in whatever odd way.
fn odd(order: &Order<'_>, fault: Fault, frames: Frames, place: usize) -> Vec<Act> {
    let said = frames.words.len() as u64;
    let mut all = frames.all();
    let last = match fault {
        Fault::NoTerminatorOpen => Act::Hold,
        // A reset throws away what has not been sent yet: behind a long answer it would be a cut.
        Fault::ResetAfterFinish if said < 1_000 => Act::Reset,
        Fault::Trailers => Act::Send(b"0\r\nx-sum: 1\r\n\r\n".to_vec()),
        Fault::ChunkExtensions => Act::Send(b"0;last=1\r\n\r\n".to_vec()),
        _ => end(),
    };
    let pace =
        if fault == Fault::SlowSteady { Duration::from_millis(1_500 / (said + 1)) } else { order.pace };
    match fault {
        Fault::BadEvent => {
            let broken = match order.wire {
                Dialect::OpenAi => "data: {\"choices\": [{\"delta\": {\"content\"\n\n",
                Dialect::Anthropic => "event: content_block_delta\ndata: {\"type\": \"content_blo\n\n",
            };
            all.insert(place, broken.to_owned());
        }
        Fault::NoTerminator | Fault::NoTerminatorOpen | Fault::ResetAfterFinish => drop(all.pop()),
        Fault::CommentsAndCrlf | Fault::ByteOrderMark | Fault::ManyDataLines => {
            all = all.iter().enumerate().map(|(nth, frame)| dressed(fault, nth, frame)).collect();
        }
        Fault::ChunkExtensions => {
            let mut acts = vec![Act::Send(head(200, &[EVENTS, CHUNKED]))];
            acts.extend(all.iter().map(|frame| Act::Send(extended(frame.as_bytes()))));
            return ended(acts, [last]);
        }
        _ => {}
    }
    ended(opened(&all, pace), [last])
}

/// A frame in another of the ways that the format allows.
fn dressed(fault: Fault, nth: usize, frame: &str) -> String {
    match fault {
        Fault::CommentsAndCrlf => format!(": still here\r\n\r\n{}", frame.replace('\n', "\r\n")),
        Fault::ByteOrderMark if nth == 0 => format!("\u{feff}{frame}"),
        Fault::ManyDataLines => frame.replacen("data: {", "data: {\ndata: ", 1),
        _ => frame.to_owned(),
    }
}

/// The body of a good answer without any framing.
fn plain(order: &Order<'_>) -> Vec<u8> {
    if order.stream {
        Frames::of(order.wire, order.model, order.words, order.usage).all().concat().into_bytes()
    } else {
        wire::whole(order.wire, order.model, order.words).to_string().into_bytes()
    }
}

fn head(status: u16, headers: &[&str]) -> Vec<u8> {
    let mut text = format!("HTTP/1.1 {status} Scripted\r\n");
    for header in headers.iter().filter(|header| !header.is_empty()) {
        text.push_str(header);
        text.push_str("\r\n");
    }
    text.push_str("\r\n");
    text.into_bytes()
}

/// An answer with its true length.
fn sized(status: u16, headers: &[&str], body: &[u8]) -> Vec<Act> {
    let length = format!("content-length: {}", body.len());
    let mut bytes = head(status, &[headers, &[&length]].concat());
    bytes.extend_from_slice(body);
    vec![Act::Send(bytes)]
}

fn chunk(bytes: &[u8]) -> Act {
    // An empty chunk would be the body's end.
    if bytes.is_empty() {
        return Act::Send(Vec::new());
    }
    let mut out = format!("{:x}\r\n", bytes.len()).into_bytes();
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
    Act::Send(out)
}

fn extended(bytes: &[u8]) -> Vec<u8> {
    let mut out = format!("{:X};note=\"a;b\"\r\n", bytes.len()).into_bytes();
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
    out
}

fn end() -> Act {
    Act::Send(b"0\r\n\r\n".to_vec())
}

/// Head and frames; the body stays open.
fn opened(frames: &[String], pace: Duration) -> Vec<Act> {
    let mut acts = vec![Act::Send(head(200, &[EVENTS, CHUNKED]))];
    // Without a pace in pieces of a few frames: a large answer needs not be a write for each word.
    let at_once = if pace.is_zero() { 50 } else { 1 };
    for some in frames.chunks(at_once) {
        acts.push(chunk(some.concat().as_bytes()));
        if !pace.is_zero() {
            acts.push(Act::Pause(pace));
        }
    }
    acts
}

fn ended(mut acts: Vec<Act>, last: impl IntoIterator<Item = Act>) -> Vec<Act> {
    acts.extend(last);
    acts
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    // Writing into memory does not fail.
    let _ = encoder.write_all(plain);
    encoder.finish().unwrap_or_default()
}

/// Says gzip and is cut, or is none at all.
fn broken_gzip(order: &Order<'_>, dice: &mut Dice) -> Vec<Act> {
    let kind = if order.stream { EVENTS } else { JSON };
    let packed = if dice.chance(500) { gzip(&plain(order)) } else { b"this is of no coding at all".to_vec() };
    let part = packed.get(..packed.len() / 2).unwrap_or_default();
    sized(200, &[kind, "content-encoding: gzip"], part)
}

/// A byte at a time, five a second, for longer than any limit.
fn slow_loris(order: &Order<'_>, kind: &str) -> Vec<Act> {
    let mut acts = vec![Act::Send(head(200, &[kind, "connection: close"]))];
    for byte in plain(order).iter().take(300) {
        acts.extend([Act::Send(vec![*byte]), Act::Pause(Duration::from_millis(200))]);
    }
    ended(acts, [Act::Hold])
}

/// The first bytes one at a time, the rest by seven: every cut a reader can meet.
fn split_bytes(order: &Order<'_>) -> Vec<Act> {
    let body = plain(order);
    let kind = if order.stream { EVENTS } else { JSON };
    let mut bytes = head(200, &[kind, &format!("content-length: {}", body.len())]);
    bytes.extend_from_slice(&body);
    let (first, rest) = bytes.split_at(bytes.len().min(600));
    let (next, last) = rest.split_at(rest.len().min(3_000));
    let pieces = first.chunks(1).chain(next.chunks(7)).chain(last.chunks(4_096));
    pieces.map(|piece| Act::Send(piece.to_vec())).collect()
}
