//! The codecs as the gateway's shell uses them, for any pair of wires.

use translate::frame::{Frame, FrameParser, Framing, SseParser};
use translate::ir::{Delta, Event, Part, PartKind, Request, Response};
use translate::provider::{self, Destination, ModelRules, Quirks, ReasoningField, UsageStyle};
use translate::relay::{Flow, StreamPipe, StreamPipeOptions, apply_quirks};
use translate::wire::{BadRequest, Echo};
use translate::{Losses, Wire};

/// Models of each wire that together take what any does: one that reasons by budget or by effort, and where
/// reasoning models refuse sampling, one that does not reason.
pub fn models(wire: Wire) -> &'static [&'static str] {
    match wire {
        Wire::Anthropic => &["claude-sonnet-4-5", "claude-opus-4-6"],
        Wire::BedrockConverse => {
            &["us.anthropic.claude-sonnet-4-5-20250929-v1:0", "us.anthropic.claude-opus-4-6-v1"]
        }
        Wire::Cohere => &["command-a-reasoning-08-2025"],
        Wire::Gemini => &["gemini-2.5-pro", "gemini-3-pro-preview"],
        Wire::OpenAiChat | Wire::OpenAiResponses => &["gpt-5-mini", "gpt-4.1"],
        Wire::Replicate => &["openai/gpt-5-mini", "openai/gpt-4.1"],
    }
}

fn model(wire: Wire) -> &'static str {
    models(wire)[0]
}

/// The vendor that made the wire, where there is a row for it.
fn quirks(wire: Wire) -> Quirks {
    let plain = Quirks {
        fixes: &[],
        stream_usage: true,
        reasoning_echo: ReasoningField::None,
        usage: UsageStyle::Wire,
    };
    let vendor = match wire {
        Wire::OpenAiChat => provider::find("openai"),
        _ => provider::all().iter().find(|row| row.wire == wire),
    };
    vendor.map_or(plain, |row| row.quirks)
}

/// The body for a provider of `wire`.
pub fn encode(wire: Wire, request: &Request) -> Result<(Vec<u8>, Losses), BadRequest> {
    encode_to(wire, request, model(wire))
}

/// The body for one model of a provider of `wire`.
pub fn encode_to(wire: Wire, request: &Request, model: &str) -> Result<(Vec<u8>, Losses), BadRequest> {
    encode_for(wire, request, &quirks(wire), model)
}

/// The bodies as a caller of `dialect` would write them: for hosts that together take all the dialect has.
pub fn written_by_caller(dialect: Wire, request: &Request) -> Vec<Vec<u8>> {
    let vendor = quirks(dialect);
    let mut hosts = vec![vendor];
    if dialect == Wire::OpenAiChat {
        hosts.insert(0, Quirks { fixes: &[], reasoning_echo: ReasoningField::Details, ..vendor });
    }
    let body = |(quirks, model): (&Quirks, &&str)| Some(encode_for(dialect, request, quirks, model).ok()?.0);
    let targets = hosts.iter().flat_map(|host| models(dialect).iter().map(move |model| (host, model)));
    targets.filter_map(body).collect()
}

fn encode_for(
    wire: Wire,
    request: &Request,
    quirks: &Quirks,
    model: &str,
) -> Result<(Vec<u8>, Losses), BadRequest> {
    let rules = ModelRules::of("any", wire, model);
    let mut losses = Losses::default();
    let body =
        wire.codec().encode_request(request, &Destination { quirks, rules: &rules, model }, &mut losses)?;
    Ok((apply_quirks(body, quirks, &mut losses), losses))
}

/// Reads a body of `wire`; what its path tells is taken from `like`.
pub fn decode(wire: Wire, body: &[u8], like: &Request) -> Result<Request, BadRequest> {
    let mut request = wire.dialect().unwrap().decode_request(body)?;
    if wire.model_in_path() {
        request.model.clone_from(&like.model);
        request.stream = like.stream;
    }
    Ok(request)
}

pub fn echo() -> Echo {
    Echo {
        unique: "matrix".into(),
        now: 1_700_000_000,
        model: "alias".into(),
        stream_usage: true,
        request: None,
    }
}

/// The events of a body.
pub fn events(wire: Wire, body: &[u8]) -> Vec<Event> {
    let mut decoder = wire.codec().stream_decoder();
    let mut out = Vec::new();
    each_frame(wire.framing(), body, |frame| {
        let _unreadable = decoder.frame(frame, &mut out);
    });
    decoder.end(&mut out);
    out
}

/// Every frame of a stream.
pub fn each_frame(framing: Framing, body: &[u8], mut see: impl FnMut(&Frame<'_>)) {
    let mut parser = FrameParser::new(framing);
    parser.push(body);
    while let Some(frame) = parser.next_frame() {
        see(&frame);
    }
    if let Some(frame) = parser.finish() {
        see(&frame);
    }
}

/// A stream that is written as server-sent events, as its wire frames it.
pub fn framed(wire: Wire, text: &str) -> Vec<u8> {
    if wire.framing() == Framing::Sse {
        return text.as_bytes().to_vec();
    }
    let (mut parser, mut out) = (SseParser::new(), Vec::new());
    parser.push(text.as_bytes());
    while let Some(frame) = parser.finish() {
        wire.framing().write(&mut out, &frame);
    }
    out
}

/// A provider's stream as a caller gets it, cut into `chunks`.
pub struct Carried {
    pub out: Vec<u8>,
    pub losses: Losses,
    /// The provider ended it in good order.
    pub whole: bool,
}

pub fn carry<'b>(dialect: Wire, wire: Wire, chunks: impl IntoIterator<Item = &'b [u8]>) -> Carried {
    let options = StreamPipeOptions {
        caller: dialect,
        upstream: wire,
        echo: echo(),
        withhold_usage: false,
        hold_last: false,
    };
    let mut pipe = StreamPipe::new(options, dialect.dialect().unwrap());
    let mut out = Vec::new();
    for chunk in chunks {
        if pipe.push(chunk, &mut out) == Flow::Complete {
            break;
        }
    }
    let whole = pipe.end(None, &mut out);
    Carried { out, losses: pipe.losses().clone(), whole }
}

/// The stream in which a provider of `wire` would give this answer, every text in two pieces.
pub fn streamed(wire: Wire, response: &Response) -> (Vec<u8>, Losses) {
    let mut encoder = wire.dialect().unwrap().stream_encoder(echo());
    let (mut out, mut losses) = (Vec::new(), Losses::default());
    for event in steps(response) {
        encoder.event(&event, &mut out, &mut losses);
    }
    (out, losses)
}

/// An answer as steps.
fn steps(response: &Response) -> Vec<Event> {
    let mut steps = vec![Event::Start {
        id: response.id.clone(),
        model: response.model.clone(),
        created: response.created,
    }];
    for (choice, one) in (0_u32..).zip(&response.choices) {
        for (part, of) in (0_u32..).zip(&one.parts) {
            let (kind, deltas) = opened(of);
            steps.push(Event::PartStart { choice, part, kind });
            steps.extend(deltas.into_iter().map(|delta| Event::PartDelta { choice, part, delta }));
            // They come beside the text they are of.
            let logprobs = one.logprobs.clone().filter(|_| matches!(of, Part::Text(_)));
            steps.extend(logprobs.map(|value| Event::Logprobs { choice, value }));
            steps.push(Event::PartStop { choice, part });
        }
    }
    for (choice, one) in (0_u32..).zip(&response.choices) {
        steps.extend(one.finish.clone().map(|finish| Event::Finish { choice, finish }));
    }
    steps.extend(response.usage.map(Event::Usage));
    steps.push(Event::End);
    steps
}

fn opened(part: &Part) -> (PartKind, Vec<Delta>) {
    match part {
        Part::Text(text) => {
            let mut deltas = pieces(&text.text, Delta::Text);
            deltas.extend(text.citations.iter().map(|one| Delta::Citation(Box::new(one.clone()))));
            (PartKind::Text, deltas)
        }
        Part::Image(image) => (PartKind::Image(Box::new(image.clone())), Vec::new()),
        Part::Refusal(text) => (PartKind::Refusal, pieces(text, Delta::Refusal)),
        Part::Thinking(thinking) => {
            let mut deltas = pieces(&thinking.text, Delta::Thinking);
            deltas.extend(thinking.signature.clone().map(Delta::Signature));
            (PartKind::Thinking, deltas)
        }
        Part::RedactedThinking { data, .. } => {
            (PartKind::RedactedThinking { data: data.clone() }, Vec::new())
        }
        Part::ToolCall(call) => {
            let kind = PartKind::ToolCall { id: call.id.clone(), name: call.name.clone() };
            (kind, pieces(&call.arguments, Delta::Arguments))
        }
        other => panic!("no answer holds {other:?}"),
    }
}

fn pieces(text: &str, delta: fn(String) -> Delta) -> Vec<Delta> {
    let middle = (0..=text.len() / 2).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let (first, second) = text.split_at(middle);
    [first, second]
        .into_iter()
        .filter(|piece| !piece.is_empty())
        .map(|piece| delta(piece.to_owned()))
        .collect()
}
