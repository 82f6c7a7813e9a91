//! One exchange through the crate, as the gateway's shell does it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use translate::frame::{Frame, FrameParser, Framing, SseParser};
use translate::ir::{Failure, FailureKind, Signature, Usage};
use translate::provider::{self, Betas, Destination, ModelRules, Quirks};
use translate::relay::{
    BetaHost, Flow, Members, RequestEdits, StreamPipe, StreamPipeOptions, apply_quirks, betas_asked, peek,
    place_betas, rewrite_request,
};
use translate::wire::openai_responses::echo_of;
use translate::wire::{BadRequest, BadResponse, Codec, Dialect, Echo};
use translate::{Losses, Wire};

use super::exchange::{Exchange, Kind, Outcome};

const REQUEST_ID: &str = "req_golden";
const RANDOM_CUTS: usize = 200;

/// Replays the exchange; what it comes to.
pub fn run(exchange: &Exchange, dialect: Wire, wire: Wire) -> Result<Outcome, String> {
    let name = exchange.field("provider").unwrap_or_default();
    let spec = provider::find(name).ok_or_else(|| format!("there is no provider `{name}`"))?;
    let Some(quirks) = spec.quirks_on(wire) else {
        return Err(format!("`{name}` does not speak {}", wire.name()));
    };
    let mut replay = Replay {
        dialect,
        wire,
        provider: spec.name,
        quirks,
        betas: spec.betas_on(wire),
        model: exchange.field("model").unwrap_or_default(),
        caller: dialect.dialect().ok_or_else(|| format!("{} is no dialect", dialect.name()))?,
        upstream: wire.codec(),
        streams: exchange.section(Kind::UpstreamStream).is_some(),
        losses: Losses::default(),
        outcome: Outcome::new(),
    };
    let status = exchange.field("status").map_or(Ok(200), str::parse).map_err(|_| "`status` is no number")?;
    let request = exchange.section(Kind::DownstreamRequest).unwrap_or_default();
    if let Some(echo) = replay.request(request.as_bytes()) {
        if let Some(body) = exchange.section(Kind::UpstreamStream) {
            replay.stream(&in_frames(body, wire.framing()), &echo)?;
        } else if let Some(body) = exchange.section(Kind::UpstreamResponse) {
            replay.response(status, body.as_bytes(), &echo);
        }
    }
    Ok(replay.finish())
}

struct Replay<'a> {
    dialect: Wire,
    wire: Wire,
    provider: &'static str,
    quirks: &'static Quirks,
    betas: Betas,
    model: &'a str,
    caller: &'static dyn Dialect,
    upstream: &'static dyn Codec,
    /// The provider answers with a stream: what a path tells where the body does not.
    streams: bool,
    losses: Losses,
    outcome: Outcome,
}

impl Replay<'_> {
    fn finish(mut self) -> Outcome {
        let losses: Vec<String> =
            self.losses.as_slice().iter().map(|loss| format!("{}: {}", loss.path, loss.reason)).collect();
        self.outcome.insert(Kind::Losses, losses.join("\n"));
        self.outcome
    }

    fn is_relay(&self) -> bool {
        self.dialect == self.wire
    }

    /// The upstream request, or the refusal. What answers need of the request comes back.
    fn request(&mut self, body: &[u8]) -> Option<Echo> {
        let encoded = match self.dialect.model_in_path() {
            true => self.told_by_the_path(body),
            false => self.told_by_the_body(body),
        };
        match encoded {
            Ok((upstream, echo)) => {
                let upstream = self.with_betas(body, upstream);
                let text = self.body_text(&upstream);
                self.outcome.insert(Kind::UpstreamRequest, text);
                Some(echo)
            }
            Err(refusal) => {
                self.error(&failure(400, FailureKind::InvalidRequest, &refusal.message, &refusal.path));
                None
            }
        }
    }

    /// The betas that the caller's body names, where the provider takes them in its own.
    fn with_betas(&mut self, body: &[u8], upstream: Vec<u8>) -> Vec<u8> {
        let members = Members::read(body).unwrap_or_default();
        let asked = betas_asked(body, &members, std::iter::empty());
        let to = BetaHost { betas: self.betas, overrides: &BTreeMap::new(), model: self.model };
        let placed = place_betas(&upstream, &asked, &to, &mut self.losses);
        placed.body.unwrap_or(upstream)
    }

    fn told_by_the_body(&mut self, body: &[u8]) -> Result<(Vec<u8>, Echo), BadRequest> {
        let peeked = peek(body)?;
        let usage = peeked.include_usage || (peeked.stream && self.dialect == Wire::Anthropic);
        let echoed = (self.dialect == Wire::OpenAiResponses).then_some(body);
        let echo = echo(peeked.model.clone().into_owned(), usage, echoed);
        if !self.is_relay() || Signature::any_marked(body) {
            return Ok((self.translated(body)?, echo));
        }
        let ask_usage = peeked.stream && self.wire == Wire::OpenAiChat;
        let edits = RequestEdits { model: self.model, ask_usage, quirks: self.quirks, drop: &["fallbacks"] };
        let upstream = rewrite_request(body, &peeked, &edits, &mut self.losses).into_owned();
        Ok((upstream, echo))
    }

    /// Model and streaming stand in the path: the body is relayed as it is.
    fn told_by_the_path(&mut self, body: &[u8]) -> Result<(Vec<u8>, Echo), BadRequest> {
        let echo = echo(self.model.to_owned(), self.streams, None);
        let upstream = if self.is_relay() && !Signature::any_marked(body) {
            body.to_vec()
        } else {
            self.translated(body)?
        };
        Ok((upstream, echo))
    }

    fn translated(&mut self, body: &[u8]) -> Result<Vec<u8>, BadRequest> {
        let mut request = self.caller.decode_request(body)?;
        self.model.clone_into(&mut request.model);
        if self.dialect.model_in_path() {
            request.stream = self.streams;
        }
        request.stream_usage = request.stream;
        let rules = ModelRules::of(self.provider, self.wire, self.model);
        let to = Destination { quirks: self.quirks, rules: &rules, model: self.model };
        let body = self.upstream.encode_request(&request, &to, &mut self.losses)?;
        Ok(apply_quirks(body, self.quirks, &mut self.losses))
    }

    fn response(&mut self, status: u16, body: &[u8], echo: &Echo) {
        if status >= 400 {
            let failure = self.upstream.decode_failure(status, body);
            return self.error(&failure);
        }
        let answered = if self.is_relay() {
            self.caller.observe_response(body).map(|seen| (seen.usage, body.to_vec()))
        } else {
            self.upstream.decode_response(body).map(|mut response| {
                let usage = response.usage;
                response.usage = usage.map(|usage| self.quirks.usage.apply(usage));
                (usage, self.caller.encode_response(&response, echo, &mut self.losses))
            })
        };
        match answered {
            Ok((usage, body)) => {
                let text = self.body_text(&body);
                self.outcome.insert(Kind::DownstreamResponse, text);
                self.usage(usage.map(|usage| self.quirks.usage.apply(usage)));
            }
            Err(BadResponse::Failure(failure)) => self.error(&failure),
            Err(bad) => self.error(&failure(502, FailureKind::Upstream, &bad.to_string(), "")),
        }
    }

    /// The stream whole, byte by byte, and at random cuts: always the same.
    fn stream(&mut self, body: &[u8], echo: &Echo) -> Result<(), String> {
        let whole = self.carried([body], echo);
        if self.carried(body.chunks(1), echo) != whole {
            return Err("the stream comes out otherwise byte by byte".into());
        }
        let mut dice = Dice(0x901d);
        for _ in 0..RANDOM_CUTS {
            let cuts = dice.cuts(body.len());
            let chunks = cuts.windows(2).map(|pair| &body[pair[0]..pair[1]]);
            if self.carried(chunks, echo) != whole {
                return Err(format!("the stream comes out otherwise when it is cut at {cuts:?}"));
            }
        }
        let (out, usage, losses) = whole;
        self.outcome.insert(Kind::DownstreamStream, as_text(&out, self.dialect.framing())?);
        self.usage(usage);
        self.losses.extend(losses);
        Ok(())
    }

    fn carried<'b>(
        &self,
        chunks: impl IntoIterator<Item = &'b [u8]>,
        echo: &Echo,
    ) -> (Vec<u8>, Option<Usage>, Losses) {
        let options = StreamPipeOptions {
            caller: self.dialect,
            upstream: self.wire,
            echo: echo.clone(),
            withhold_usage: !echo.stream_usage,
            hold_last: false,
        };
        let mut pipe = StreamPipe::new(options, self.caller).with_usage_style(self.quirks.usage);
        let mut out = Vec::new();
        for chunk in chunks {
            if pipe.push(chunk, &mut out) == Flow::Complete {
                break;
            }
        }
        if !pipe.end(None, &mut out) {
            let told = pipe.seen().failure.clone();
            let cut = || {
                failure(502, FailureKind::Upstream, "the provider's stream ended before the answer did", "")
            };
            pipe.fail(&told.unwrap_or_else(cut), REQUEST_ID, &mut out);
        }
        (out, pipe.usage(), pipe.losses().clone())
    }

    fn error(&mut self, failure: &Failure) {
        let body = self.caller.encode_failure(failure, REQUEST_ID);
        self.outcome.insert(Kind::DownstreamError, pretty(&body));
    }

    /// Only what was counted.
    fn usage(&mut self, usage: Option<Usage>) {
        let mut value = serde_json::to_value(usage).unwrap();
        if let Value::Object(counts) = &mut value {
            counts.retain(|_, count| !count.is_null() && *count != 0);
        }
        self.outcome.insert(Kind::Usage, value.to_string());
    }

    /// Relayed bodies as they are, translated ones for readers.
    fn body_text(&self, body: &[u8]) -> String {
        match self.is_relay() {
            true => String::from_utf8_lossy(body).trim_matches('\n').to_owned(),
            false => pretty(body),
        }
    }
}

fn echo(model: String, stream_usage: bool, request: Option<&[u8]>) -> Echo {
    let request = request.map(|body| Arc::new(echo_of(body)));
    Echo { unique: "golden".into(), now: 1_700_000_000, model, stream_usage, request }
}

/// A stream section, which is written as server-sent events, in the framing of its wire. An event that is
/// cut is a message that is cut.
fn in_frames(text: &str, framing: Framing) -> Vec<u8> {
    if framing == Framing::Sse {
        return text.as_bytes().to_vec();
    }
    let mut parser = SseParser::new();
    parser.push(text.as_bytes());
    let mut out = Vec::new();
    while let Some(frame) = parser.next_frame() {
        framing.write(&mut out, &frame);
    }
    if let Some(frame) = parser.finish() {
        framing.write(&mut out, &frame);
        out.truncate(out.len() - 5);
    }
    out
}

/// The other way.
fn as_text(bytes: &[u8], framing: Framing) -> Result<String, String> {
    let mut out = Vec::new();
    if framing == Framing::Sse {
        out.extend_from_slice(bytes);
    } else {
        let mut parser = FrameParser::new(framing);
        parser.push(bytes);
        let mut read = 0;
        while let Some(Frame { raw, event, data }) = parser.next_frame() {
            read += raw.len();
            Framing::Sse.write(&mut out, &Frame { raw, event, data });
        }
        if read != bytes.len() {
            return Err(format!("the stream ends inside a message: {:?}", parser.broken()));
        }
    }
    Ok(String::from_utf8_lossy(&out).into_owned())
}

fn pretty(body: &[u8]) -> String {
    let value = serde_json::from_slice::<Value>(body);
    value.map_or_else(|_| String::from_utf8_lossy(body).into_owned(), |value| format!("{value:#}"))
}

fn failure(status: u16, kind: FailureKind, message: &str, param: &str) -> Failure {
    let param = (!param.is_empty()).then(|| param.to_owned());
    Failure { status, kind, message: message.to_owned(), native_type: None, code: None, param }
}

/// A linear congruential generator: the same cuts every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % limit.max(1)
    }

    /// Up to eight cuts, with both ends.
    fn cuts(&mut self, length: usize) -> Vec<usize> {
        let mut cuts: Vec<usize> = (0..=self.below(8)).map(|_| self.below(length + 1)).collect();
        cuts.extend([0, length]);
        cuts.sort_unstable();
        cuts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_cover_the_whole_and_differ() {
        let mut dice = Dice(1);
        let many: Vec<Vec<usize>> = (0..50).map(|_| dice.cuts(100)).collect();
        assert!(
            many.iter().all(|cuts| cuts.first() == Some(&0) && cuts.last() == Some(&100) && cuts.is_sorted())
        );
        assert!(many.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
