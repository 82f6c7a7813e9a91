//! Streams that break and are gone on with: every golden of every wire, cut behind every event, continued by a stream
//! of every wire, for a caller of every dialect. What the caller has then must read as one answer.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a broken golden may panic")]

#[allow(dead_code, reason = "the golden files are only read here")]
#[path = "goldens/exchange.rs"]
mod exchange;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use exchange::{Exchange, Kind};
use serde_json::{Value, json};
use translate::Wire;
use translate::frame::{FrameParser, Framing, SseParser};
use translate::ir::{Delta, Event, Failure, FailureKind, PartKind, Usage};
use translate::relay::{StreamPipe, StreamPipeOptions};
use translate::wire::Echo;
use translate::wire::openai_responses::echo_of;

/// A golden stream of a wire, in that wire's framing.
struct Stream {
    wire: Wire,
    scenario: &'static str,
    frames: Vec<Vec<u8>>,
}

fn streams() -> Vec<Stream> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/chat");
    let wires = Wire::ALL.into_iter().chain(Wire::UPSTREAM_ONLY);
    let all = wires.flat_map(|wire| ["text", "reasoning"].map(|scenario| (wire, scenario)));
    all.map(|(wire, scenario)| {
        let own = format!("{}--{}.stream.exchange", wire.name(), wire.name());
        let foreign = format!("{}--{}.stream.exchange", Wire::OpenAiChat.name(), wire.name());
        let path = [own, foreign].map(|name| root.join(scenario).join(name));
        let path = path.iter().find(|path| path.exists()).unwrap();
        let golden = Exchange::parse(&std::fs::read_to_string(path).unwrap()).unwrap();
        let frames = frames(golden.section(Kind::UpstreamStream).unwrap(), wire.framing());
        assert!(frames.len() > 2, "{}", path.display());
        Stream { wire, scenario, frames }
    })
    .collect()
}

fn frames(text: &str, framing: Framing) -> Vec<Vec<u8>> {
    let mut parser = SseParser::new();
    parser.push(text.as_bytes());
    let mut all = Vec::new();
    while let Some(frame) = parser.next_frame() {
        let mut one = Vec::new();
        match framing {
            Framing::Sse => one.extend_from_slice(frame.raw),
            other => other.write(&mut one, &frame),
        }
        all.push(one);
    }
    all
}

fn options(caller: Wire, upstream: Wire) -> StreamPipeOptions {
    let body = json!({"model": "alias", "input": "x", "stream": true}).to_string();
    let request = (caller == Wire::OpenAiResponses).then(|| Arc::new(echo_of(body.as_bytes())));
    let echo = Echo { unique: "u".into(), now: 7, model: "alias".into(), stream_usage: true, request };
    StreamPipeOptions { caller, upstream, echo, withhold_usage: false, hold_last: true }
}

fn spent() -> Usage {
    Usage { input_uncached: 1000, output: 500, ..Usage::default() }
}

/// What a caller reads.
#[derive(Debug, Default, PartialEq)]
struct Read {
    text: String,
    thinking: String,
    starts: usize,
    finishes: usize,
    ends: usize,
    failures: usize,
    usage: Option<Usage>,
    calls: usize,
}

/// Reads a caller's bytes with the dialect's own decoder, which accepts no part that is not open.
fn read(dialect: Wire, bytes: &[u8], context: &str) -> Read {
    let mut parser = FrameParser::new(dialect.framing());
    parser.push(bytes);
    let mut decoder = dialect.codec().stream_decoder();
    let (mut events, mut read) = (Vec::new(), Read::default());
    while let Some(frame) = parser.next_frame() {
        decoder.frame(&frame, &mut events).unwrap_or_else(|bad| panic!("{context}: {bad}"));
    }
    decoder.end(&mut events);
    let mut open = BTreeSet::new();
    for event in events {
        match event {
            Event::Start { .. } => read.starts += 1,
            Event::PartStart { part, kind, .. } => {
                read.calls += usize::from(matches!(kind, PartKind::ToolCall { .. }));
                assert!(open.insert(part), "{context}: part {part} starts twice");
            }
            Event::PartStop { part, .. } => assert!(open.remove(&part), "{context}: part {part} stops twice"),
            Event::PartDelta { part, delta, .. } => {
                assert!(open.contains(&part), "{context}: part {part} is not open");
                match delta {
                    Delta::Text(text) => read.text.push_str(&text),
                    Delta::Thinking(text) => read.thinking.push_str(&text),
                    _ => {}
                }
            }
            Event::Finish { .. } => read.finishes += 1,
            Event::Usage(usage) => read.usage = Some(usage),
            Event::Failure(_) => read.failures += 1,
            Event::End => read.ends += 1,
            _ => {}
        }
    }
    read
}

/// The JSON objects of a caller's stream.
fn objects(dialect: Wire, bytes: &[u8]) -> Vec<(String, Value)> {
    let mut parser = FrameParser::new(dialect.framing());
    parser.push(bytes);
    let mut all = Vec::new();
    while let Some(frame) = parser.next_frame() {
        if let Ok(value) = serde_json::from_slice(frame.data) {
            all.push((frame.event.to_owned(), value));
        }
    }
    all
}

fn numbers(objects: &[(String, Value)], kind: &str, field: &str) -> Vec<u64> {
    let of = |(_, value): &(String, Value)| (value["type"] == kind).then(|| value[field].as_u64().unwrap());
    objects.iter().filter_map(of).collect()
}

/// 0, 1, 2, …
fn running(list: Vec<u64>) -> bool {
    list.iter().enumerate().all(|(at, number)| *number == at as u64)
}

fn same<'v>(values: impl Iterator<Item = &'v Value>) -> bool {
    values.map(Value::to_string).collect::<BTreeSet<_>>().len() == 1
}

/// What SDKs insist on beyond what a decoder reads.
fn check_structure(dialect: Wire, bytes: &[u8], text: &str, context: &str) {
    let all = objects(dialect, bytes);
    let count = |kind: &str| all.iter().filter(|(name, v)| name == kind || v["type"] == kind).count();
    match dialect {
        Wire::OpenAiChat => {
            assert!(same(all.iter().map(|(_, v)| &v["id"])), "{context}: several ids");
            assert!(same(all.iter().map(|(_, v)| &v["created"])), "{context}: several moments");
            let roles = all.iter().filter(|(_, v)| v["choices"][0]["delta"]["role"].is_string()).count();
            assert_eq!(roles, 1, "{context}: roles");
            assert!(bytes.ends_with(b"data: [DONE]\n\n"), "{context}");
        }
        Wire::Anthropic => {
            assert_eq!((count("message_start"), count("message_stop")), (1, 1), "{context}");
            assert!(running(numbers(&all, "content_block_start", "index")), "{context}: block numbers");
            assert_eq!(
                numbers(&all, "content_block_start", "index"),
                numbers(&all, "content_block_stop", "index"),
                "{context}"
            );
        }
        Wire::OpenAiResponses => check_responses(&all, text, context),
        Wire::Gemini => {
            assert!(same(all.iter().map(|(_, v)| &v["responseId"])), "{context}: several ids");
            assert!(same(all.iter().map(|(_, v)| &v["modelVersion"])), "{context}: several models");
        }
        Wire::BedrockConverse => {
            assert_eq!(
                (count("messageStart"), count("messageStop"), count("metadata")),
                (1, 1, 1),
                "{context}"
            );
            let stops: Vec<u64> = all
                .iter()
                .filter(|(name, _)| name == "contentBlockStop")
                .map(|(_, v)| v["contentBlockIndex"].as_u64().unwrap())
                .collect();
            assert!(running(stops), "{context}: block numbers");
        }
        Wire::Cohere => {
            assert_eq!((count("message-start"), count("message-end")), (1, 1), "{context}");
            assert!(running(numbers(&all, "content-start", "index")), "{context}: block numbers");
        }
        Wire::Replicate => unreachable!(),
    }
}

/// Numbers, items and their ids; and that the last event holds the whole answer.
fn check_responses(all: &[(String, Value)], text: &str, context: &str) {
    let count = |kind: &str| all.iter().filter(|(name, v)| name == kind || v["type"] == kind).count();
    let sequence: Vec<u64> = all.iter().filter_map(|(_, v)| v["sequence_number"].as_u64()).collect();
    assert!(running(sequence), "{context}: sequence numbers");
    assert_eq!((count("response.created"), count("response.completed")), (1, 1), "{context}");
    let added = numbers(all, "response.output_item.added", "output_index");
    let done = numbers(all, "response.output_item.done", "output_index");
    assert!(running(added.clone()) && running(done.clone()) && added == done, "{context}: {added:?}");
    let ids: Vec<&Value> = all
        .iter()
        .filter(|(_, v)| v["type"] == "response.output_item.added")
        .map(|(_, v)| &v["item"]["id"])
        .collect();
    for (_, v) in all.iter().filter(|(_, v)| v["item_id"].is_string()) {
        assert_eq!(&v["item_id"], ids[v["output_index"].as_u64().unwrap() as usize], "{context}");
    }
    let whole = &all.last().unwrap().1["response"]["output"];
    let told: String = whole
        .as_array()
        .unwrap()
        .iter()
        .filter(|item| item["type"] == "message")
        .flat_map(|item| item["content"].as_array().unwrap())
        .map(|piece| piece["text"].as_str().unwrap())
        .collect();
    assert_eq!(told, text, "{context}: the last event holds another text");
    let answers = all.iter().filter(|(_, v)| v["response"].is_object());
    assert!(same(answers.map(|(_, v)| &v["response"]["id"])), "{context}: several ids");
}

/// One stream cut behind so many frames: the pipe, and what the caller has.
fn cut(dialect: Wire, first: &Stream, at: usize) -> (StreamPipe, Vec<u8>) {
    let options = options(dialect, first.wire);
    let mut pipe = StreamPipe::new(options.clone(), dialect.dialect().unwrap()).with_memory(options);
    let mut out = Vec::new();
    for frame in &first.frames[..at] {
        pipe.push(frame, &mut out);
    }
    (pipe, out)
}

fn resumed(
    dialect: Wire,
    (mut pipe, mut out): (StreamPipe, Vec<u8>),
    second: &Stream,
) -> (Vec<u8>, StreamPipe) {
    let broken = pipe.break_off(&spent()).unwrap();
    let mut pipe =
        StreamPipe::resumed(second.wire, broken, true).with_framing(second.wire.framing(), dialect.framing());
    for frame in &second.frames {
        pipe.push(frame, &mut out);
    }
    assert!(pipe.end(None, &mut out), "{} of {}", second.scenario, second.wire.name());
    (out, pipe)
}

fn alone(dialect: Wire, stream: &Stream) -> Read {
    let (mut pipe, mut out) = cut(dialect, stream, stream.frames.len());
    assert!(pipe.end(None, &mut out));
    read(dialect, &out, "alone")
}

#[test]
fn a_stream_cut_anywhere_and_gone_on_with_reads_as_one_answer() {
    let streams = streams();
    for dialect in Wire::ALL {
        for first in &streams {
            let mut cuts = 0;
            for at in 1..first.frames.len() {
                let (mut pipe, out) = cut(dialect, first, at);
                if !pipe.seen().content || pipe.said().is_none() {
                    continue;
                }
                cuts += 1;
                let context =
                    format!("{} {} of {} cut at {at}", dialect.name(), first.scenario, first.wire.name());
                let before = read(dialect, &out, &context);
                for second in &streams {
                    let context = format!("{context}, {} of {}", second.scenario, second.wire.name());
                    let (out, pipe) = resumed(dialect, cut(dialect, first, at), second);
                    let after = alone(dialect, second);
                    let whole = read(dialect, &out, &context);
                    assert_eq!(whole.text, before.text.clone() + &after.text, "{context}");
                    let thinks = if before.text.trim().is_empty() { after.thinking.as_str() } else { "" };
                    assert_eq!(whole.thinking, before.thinking.clone() + thinks, "{context}");
                    let ends = usize::from(dialect != Wire::Gemini);
                    assert_eq!((whole.starts, whole.finishes, whole.ends), (1, 1, ends), "{context}");
                    assert_eq!((whole.failures, whole.calls), (0, 0), "{context}");
                    let counts = whole.usage.unwrap_or_else(|| panic!("{context}: no counts"));
                    let own = pipe.usage().unwrap_or_default();
                    assert_eq!(counts.output, 500 + own.output, "{context}");
                    check_structure(dialect, &out, &whole.text, &context);
                }
            }
            assert!(
                cuts > 0,
                "{}: no cut of {} {} could be gone on with",
                dialect.name(),
                first.scenario,
                first.wire.name()
            );
        }
    }
}

#[test]
fn what_breaks_again_is_gone_on_with_again() {
    let streams: Vec<Stream> = streams().into_iter().filter(|stream| stream.scenario == "text").collect();
    for dialect in Wire::ALL {
        for first in &streams {
            let at = (1..first.frames.len()).find(|at| {
                let (mut pipe, _) = cut(dialect, first, *at);
                pipe.seen().content && pipe.said().is_some()
            });
            for second in &streams {
                let (mut pipe, mut out) = cut(dialect, first, at.unwrap());
                let broken = pipe.break_off(&spent()).unwrap();
                let mut pipe = StreamPipe::resumed(second.wire, broken, true)
                    .with_framing(second.wire.framing(), dialect.framing());
                let mut frames = second.frames.iter();
                while !pipe.seen().content {
                    pipe.push(frames.next().unwrap(), &mut out);
                }
                let context = format!("{} {} {}", dialect.name(), first.wire.name(), second.wire.name());
                let before = read(dialect, &out, &context);
                let (whole, _) = resumed(dialect, (pipe, out), first);
                let total = read(dialect, &whole, &context);
                assert_eq!(total.text, before.text + &alone(dialect, first).text, "{context}");
                assert!(total.usage.unwrap().output >= 1000, "{context}: {:?}", total.usage);
                check_structure(dialect, &whole, &total.text, &context);
            }
        }
    }
}

#[test]
fn where_nobody_goes_on_the_caller_is_told_behind_what_it_has() {
    let failure = Failure {
        status: 502,
        kind: FailureKind::Upstream,
        message: "it broke".into(),
        native_type: None,
        code: None,
        param: None,
    };
    for dialect in Wire::ALL {
        for first in streams().iter().filter(|stream| stream.scenario == "text") {
            for at in 1..first.frames.len() {
                let (mut pipe, mut out) = cut(dialect, first, at);
                if !pipe.seen().content {
                    continue;
                }
                let Some(broken) = pipe.break_off(&spent()) else { continue };
                out.extend(broken.fail(&failure, "request-1"));
                let context = format!("{} {}", dialect.name(), first.wire.name());
                let told = read(dialect, &out, &context);
                assert_eq!((told.failures, told.finishes, told.ends), (1, 0, 0), "{context}");
            }
        }
    }
}
