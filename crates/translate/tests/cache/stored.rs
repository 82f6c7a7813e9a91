//! Kept answers of every golden exchange, given again in every dialect.
//!
//! The original goes to a caller of each dialect as the gateway carries it; what is kept of it goes there too. Read by
//! that dialect's decoder both must say the same.

use std::path::Path;

use translate::Wire;
use translate::cache::stored::{self, Grain, Replay, Steps, Stored, Unkept};
use translate::frame::{FrameParser, Framing, SseParser};
use translate::ir::{Event, Part, Response, Served, ToolCall, Usage};
use translate::loss::Losses;
use translate::provider::UsageStyle;
use translate::relay::{Flow, StreamPipe, StreamPipeOptions};
use translate::wire::{Echo, ToolNames};

use super::exchange::{Exchange, Kind};

/// Golden bodies below which something went missing.
const AT_LEAST: usize = 60;
const MOST: usize = 1 << 20;

/// What providers answered, each body once, with a file it stands in.
fn bodies(kind: Kind) -> Vec<(Wire, String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/chat");
    let mut bodies: Vec<(Wire, String, String)> = Vec::new();
    let mut folders: Vec<_> = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    for folder in folders {
        let mut files: Vec<_> =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        for file in files {
            let stem = file.file_name().unwrap().to_string_lossy().into_owned();
            let wire = Wire::named(stem.split_once("--").unwrap().1.split('.').next().unwrap()).unwrap();
            let exchange = Exchange::parse(&std::fs::read_to_string(&file).unwrap()).unwrap();
            let fine = exchange.field("status").is_none_or(|status| status == "200");
            let Some(body) = exchange.section(kind).filter(|_| fine) else { continue };
            if !bodies.iter().any(|known| known.0 == wire && known.2 == body) {
                bodies.push((wire, file.display().to_string(), body.to_owned()));
            }
        }
    }
    bodies
}

fn echo() -> Echo {
    Echo {
        unique: "kept".into(),
        now: 1_700_000_000,
        model: "alias".into(),
        stream_usage: true,
        request: None,
    }
}

/// A stream section, which is written as server-sent events, as its wire frames it.
fn framed(wire: Wire, text: &str) -> Vec<u8> {
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

fn keep(wire: Wire, bytes: &[u8]) -> Result<Stored, Unkept> {
    let as_it_came = (UsageStyle::Wire, &ToolNames::default());
    stored::of_stream(wire.codec(), wire.framing(), bytes, as_it_came, MOST)
}

/// The provider's stream as a caller of `dialect` gets it. `None`: it did not end well.
fn carried(dialect: Wire, wire: Wire, bytes: &[u8]) -> Option<Vec<u8>> {
    let options = StreamPipeOptions {
        caller: dialect,
        upstream: wire,
        echo: echo(),
        withhold_usage: false,
        hold_last: false,
    };
    let mut pipe = StreamPipe::new(options, dialect.dialect().unwrap());
    let mut out = Vec::new();
    if pipe.push(bytes, &mut out) == Flow::Continue || pipe.seen().failure.is_none() {
        return pipe.end(None, &mut out).then_some(out);
    }
    None
}

fn replayed(dialect: Wire, stored: &Stored, grain: Grain, extra: Option<&str>) -> Vec<u8> {
    let steps = Steps::new(stored.clone().into(), grain);
    let mut replay = Replay::new(steps, (dialect.dialect().unwrap(), dialect), echo(), extra.is_some());
    let mut out = Vec::new();
    while replay.next(&mut out) {}
    assert!(replay.end(extra, &mut out), "a kept answer ends well");
    out
}

/// A stream as its dialect's decoder puts it together, with whatever it could not read.
fn read(dialect: Wire, bytes: &[u8]) -> Result<Response, Unkept> {
    keep(dialect, bytes).map(|stored| stored.response)
}

/// What is relayed says the provider's name of its model, has no ids where the provider gave none, and says how it was
/// served and what was searched for, for which not every encoder has a word.
fn relayed(mut response: Response, original: Option<&Response>) -> Response {
    let original = original.cloned().unwrap_or_else(|| response.clone());
    response.model = "alias".into();
    if original.id.is_empty() {
        response.id.clear();
    }
    let bare = |usage| Usage { served: Served::default(), web_searches: 0, ..usage };
    response.usage = response.usage.map(bare);
    let made_up = original.choices.iter().flat_map(|choice| &choice.parts);
    let parts = response.choices.iter_mut().flat_map(|choice| &mut choice.parts);
    for (part, original) in parts.zip(made_up) {
        if let (Part::ToolCall(call), Part::ToolCall(ToolCall { id, .. })) = (part, original) {
            // No arguments are an object of none.
            let none = call.arguments.is_empty();
            call.arguments = if none { "{}".into() } else { std::mem::take(&mut call.arguments) };
            if id.is_empty() {
                call.id.clear();
            }
        }
    }
    response
}

#[test]
fn streams_mean_the_same_when_they_are_given_again() {
    let bodies = bodies(Kind::UpstreamStream);
    let (mut kept, mut pairs, mut unkept) = (0, 0, Vec::new());
    let mut complaints = Vec::new();
    for (wire, file, body) in &bodies {
        let bytes = framed(*wire, body);
        let stored = match keep(*wire, &bytes) {
            Ok(stored) => stored,
            Err(why) => {
                unkept.push(format!("{}: {why}", file.rsplit('/').next().unwrap_or_default()));
                continue;
            }
        };
        kept += 1;
        let stored = Stored::from_bytes(&stored.to_bytes()).expect("what is kept is read again");
        for dialect in Wire::ALL {
            pairs += 1;
            let original = carried(dialect, *wire, &bytes).expect("what is kept ended well");
            let read_again = read(dialect, &original);
            let made = |response: Response| match dialect == *wire {
                true => relayed(response, read_again.as_ref().ok()),
                false => response,
            };
            let original = read_again.clone().map(made);
            for grain in [Grain::Whole, Grain::Words(1)] {
                let again = read(dialect, &replayed(dialect, &stored, grain, None)).map(made);
                if again != original {
                    let (original, again) = (format!("{original:?}"), format!("{again:?}"));
                    let at =
                        original.bytes().zip(again.bytes()).take_while(|(one, other)| one == other).count();
                    let shown =
                        |text: &str| text.chars().skip(at.saturating_sub(60)).take(200).collect::<String>();
                    let file = file.rsplit("/golden/").next().unwrap_or_default();
                    let dialect = dialect.name();
                    complaints.push(format!(
                        "{file} for {dialect} ({grain:?}):\n  {}\n  {}",
                        shown(&original),
                        shown(&again)
                    ));
                }
            }
        }
    }
    println!("{kept} of {} streams are kept, {pairs} pairs with a dialect", bodies.len());
    unkept.iter().for_each(|one| println!("not kept: {one}"));
    assert!(bodies.len() >= AT_LEAST, "{} streams were found", bodies.len());
    assert!(kept * 10 >= bodies.len() * 6, "{kept} of {} streams are kept", bodies.len());
    assert!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
}

#[test]
fn whole_answers_mean_the_same_when_they_are_given_again() {
    let bodies = bodies(Kind::UpstreamResponse);
    let (mut kept, mut pairs) = (0, 0);
    for (wire, file, body) in &bodies {
        let as_it_came = (UsageStyle::Wire, &ToolNames::default());
        let Ok(stored) = stored::of_body(wire.codec(), body.as_bytes(), as_it_came, MOST) else { continue };
        kept += 1;
        let again = Stored::from_bytes(&stored.to_bytes()).expect("what is kept is read again");
        assert_eq!(again, stored, "{file}");
        let response = wire.codec().decode_response(body.as_bytes()).unwrap();
        for dialect in Wire::ALL.into_iter().filter_map(Wire::dialect) {
            pairs += 1;
            let translated = dialect.encode_response(&response, &echo(), &mut Losses::default());
            assert_eq!(again.whole(dialect, &echo(), &mut Losses::default()), translated, "{file}");
        }
    }
    println!("{kept} of {} answers are kept, {pairs} pairs with a dialect", bodies.len());
    assert!(kept >= AT_LEAST, "{kept} answers are kept");
}

#[test]
fn a_whole_answer_streams_and_a_stream_is_given_whole() {
    for (wire, file, body) in bodies(Kind::UpstreamStream) {
        let Ok(stored) = keep(wire, &framed(wire, &body)) else { continue };
        for dialect in Wire::ALL {
            let whole = stored.whole(dialect.dialect().unwrap(), &echo(), &mut Losses::default());
            let whole = dialect.codec().decode_response(&whole).unwrap_or_else(|bad| panic!("{file}: {bad}"));
            let streamed = read(dialect, &replayed(dialect, &stored, Grain::Words(1), None));
            let streamed = streamed.unwrap_or_else(|why| panic!("{file} for {}: {why}", dialect.name()));
            let text = |response: &Response| -> Vec<(String, usize)> {
                let choice = |choice: &translate::ir::Choice| {
                    let texts = choice.parts.iter().filter_map(|part| match part {
                        Part::Text(text) => Some(text.text.as_str()),
                        _ => None,
                    });
                    let calls = choice.parts.iter().filter(|part| matches!(part, Part::ToolCall(_)));
                    (texts.collect::<String>(), calls.count())
                };
                response.choices.iter().map(choice).collect()
            };
            assert_eq!(text(&whole), text(&streamed), "{file} for {}", dialect.name());
            assert_eq!(
                whole.usage.map(|usage| usage.output),
                streamed.usage.map(|usage| usage.output),
                "{file} for {}",
                dialect.name()
            );
        }
    }
}

#[test]
fn extra_fields_stand_in_the_last_data_frame() {
    let (wire, _, body) =
        bodies(Kind::UpstreamStream).into_iter().find(|one| one.0 == Wire::OpenAiChat).unwrap();
    let stored = keep(wire, &framed(wire, &body)).unwrap();
    for dialect in Wire::ALL {
        let out = replayed(dialect, &stored, Grain::Words(1), Some("{\"cache_debug\":{\"cache_hit\":true}}"));
        let mut parser = FrameParser::new(dialect.framing());
        parser.push(&out);
        let mut last = Vec::new();
        let mut seen = 0;
        while let Some(frame) = parser.finish() {
            if frame.data.starts_with(b"{") {
                last = frame.data.to_vec();
                seen += usize::from(String::from_utf8_lossy(frame.data).contains("cache_debug"));
            }
        }
        let last: serde_json::Value = serde_json::from_slice(&last).unwrap();
        assert_eq!(last["extra_fields"]["cache_debug"]["cache_hit"], true, "{}", dialect.name());
        assert_eq!(seen, 1, "{}", dialect.name());
    }
}

#[test]
fn a_stream_that_is_cut_anywhere_is_not_kept_or_was_over() {
    for (wire, file, body) in bodies(Kind::UpstreamStream).iter().filter(|one| one.2.len() < 6_000) {
        let bytes = framed(*wire, body);
        let Ok(whole) = keep(*wire, &bytes) else { continue };
        for cut in (0..bytes.len()).step_by(41) {
            // Behind the finish reason nothing is said any more but counts.
            if let Ok(stored) = keep(*wire, &bytes[..cut]) {
                let (mut one, mut other) = (stored.response, whole.response.clone());
                (one.usage, other.usage) = (None, None);
                assert_eq!(one.choices, other.choices, "{file} cut at {cut}");
            }
        }
    }
}

#[test]
fn steps_are_those_of_a_stream() {
    for (wire, file, body) in bodies(Kind::UpstreamStream) {
        let Ok(stored) = keep(wire, &framed(wire, &body)) else { continue };
        let steps: Vec<Event> = Steps::new(stored.into(), Grain::Words(1)).collect();
        assert!(matches!(steps.first(), Some(Event::Start { .. })), "{file}");
        assert!(matches!(steps.last(), Some(Event::End)), "{file}");
        let mut open = Vec::new();
        for step in &steps {
            match step {
                Event::PartStart { choice, part, .. } => open.push((*choice, *part)),
                Event::PartDelta { choice, part, .. } => {
                    assert_eq!(open.last(), Some(&(*choice, *part)), "{file}")
                }
                Event::PartStop { choice, part } => assert_eq!(open.pop(), Some((*choice, *part)), "{file}"),
                _ => {}
            }
        }
        assert!(open.is_empty(), "{file}");
    }
}
