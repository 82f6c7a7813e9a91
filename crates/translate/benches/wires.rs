//! What one request, answer or stream event costs on each wire: time by criterion, allocations printed once.
//!
//! The bodies are the largest of the golden exchanges. `cargo bench -p translate`; one wire alone:
//! `cargo bench -p translate -- anthropic`. The relay's numbers show what a caller pays who speaks the
//! provider's own wire.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "a measurement")]
#![allow(unsafe_code, reason = "a global allocator that counts can be had in no other way")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use translate::frame::{Framing, SseParser};
use translate::ir::{Delta, Event, Request};
use translate::provider::{self, Destination, ModelRules, Quirks, ReasoningField, UsageStyle};
use translate::relay::{RequestEdits, StreamPipe, StreamPipeOptions, peek, rewrite_request};
use translate::wire::Echo;
use translate::{Losses, Wire};

/// The system's allocator, counted.
struct Counted;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call is the system allocator's own, with the same arguments.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller's promises are the system allocator's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counted = Counted;

fn count(size: usize) {
    ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
    BYTES.fetch_add(size as u64, Ordering::Relaxed);
}

/// What one wire is measured with.
struct Bodies {
    wire: Wire,
    request: Option<String>,
    response: Option<String>,
    stream: Option<String>,
    /// A stream with [`DELTAS`] pieces of text, as answers of some length have.
    long: Option<String>,
}

const DELTAS: usize = 200;

/// The largest section of that title which `fits`, among the exchanges whose caller (`downstream`) or provider
/// speaks the wire.
fn largest(wire: Wire, title: &str, downstream: bool, fits: impl Fn(&str) -> bool) -> Option<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/chat");
    let mut files = Vec::new();
    collect(&root, &mut files);
    let speaks = |file: &PathBuf| {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let (dialect, rest) = name.split_once("--").unwrap_or_default();
        let upstream = rest.split('.').next().unwrap_or_default();
        wire.name() == if downstream { dialect } else { upstream }
    };
    let section = |file: PathBuf| {
        let text = std::fs::read_to_string(file).unwrap();
        let (_, body) = text.split_once(&format!("=== {title}\n"))?;
        Some(body.split("\n=== ").next().unwrap_or_default().to_owned() + "\n")
    };
    let bodies = files.into_iter().filter(speaks).filter_map(section).filter(|body| fits(body));
    bodies.max_by_key(String::len)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() { collect(&path, files) } else { files.push(path) }
    }
}

fn bodies() -> Vec<Bodies> {
    Wire::ALL
        .into_iter()
        .map(|wire| {
            let reads = |body: &str| wire.dialect().unwrap().decode_request(body.as_bytes()).is_ok();
            let answers = |body: &str| wire.codec().decode_response(body.as_bytes()).is_ok();
            let long = largest(wire, "upstream stream", false, |body| prolonged(wire, body).is_some());
            Bodies {
                wire,
                long: long.and_then(|body| prolonged(wire, &body)),
                request: largest(wire, "downstream request", true, reads),
                response: largest(wire, "upstream response", false, answers),
                stream: largest(wire, "upstream stream", false, |body| {
                    let failed = |event: &Event| matches!(event, Event::Failure(_));
                    decoded(wire, body).is_some_and(|(events, _)| !events.iter().any(failed))
                }),
            }
        })
        .collect()
}

fn echo() -> Echo {
    Echo {
        unique: "bench".into(),
        now: 1_700_000_000,
        model: "alias".into(),
        stream_usage: true,
        request: None,
    }
}

/// Where the requests go: the wire's vendor, or one without quirks where there is no row.
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

fn encoded(wire: Wire, request: &Request, quirks: &Quirks, rules: &ModelRules) -> usize {
    let to = Destination { quirks, rules, model: "model" };
    let body = wire.codec().encode_request(request, &to, &mut Losses::default());
    body.map_or(0, |body| body.len())
}

/// The events of a stream with the number of its frames; `None` for one that breaks.
fn decoded(wire: Wire, stream: &str) -> Option<(Vec<Event>, u64)> {
    let (mut parser, mut decoder) = (SseParser::new(), wire.codec().stream_decoder());
    let (mut events, mut frames) = (Vec::new(), 0);
    parser.push(stream.as_bytes());
    while let Some(frame) = parser.next_frame() {
        decoder.frame(&frame, &mut events).ok()?;
        frames += 1;
    }
    decoder.end(&mut events);
    Some((events, frames))
}

/// The stream with its first frame that is a piece of text (and counts, where they come with each) many times over;
/// `None` when it has no such frame.
fn prolonged(wire: Wire, stream: &str) -> Option<String> {
    let (whole, _) = decoded(wire, stream)?;
    let mut before = 0;
    for frame in stream.split_inclusive("\n\n") {
        let until = before + frame.len();
        let events = |end: usize| {
            let (mut parser, mut decoder) = (SseParser::new(), wire.codec().stream_decoder());
            let mut events = Vec::new();
            parser.push(stream.get(..end)?.as_bytes());
            while let Some(frame) = parser.next_frame() {
                decoder.frame(&frame, &mut events).ok()?;
            }
            Some(events)
        };
        let (had, has) = (events(before)?, events(until)?);
        let is_text = |event: &Event| matches!(event, Event::PartDelta { delta: Delta::Text(_), .. });
        let new = has.get(had.len()..).unwrap_or_default();
        let plain = new.iter().all(|event| is_text(event) || matches!(event, Event::Usage(_)));
        if plain && new.iter().any(is_text) && whole.len() > has.len() {
            return Some(format!("{}{}{}", &stream[..before], frame.repeat(DELTAS), &stream[until..]));
        }
        before = until;
    }
    None
}

/// A stream that is written as server-sent events, as its wire frames it.
fn framed(wire: Wire, stream: &str) -> Vec<u8> {
    if wire.framing() == Framing::Sse {
        return stream.as_bytes().to_vec();
    }
    let (mut parser, mut out) = (SseParser::new(), Vec::new());
    parser.push(stream.as_bytes());
    while let Some(frame) = parser.finish() {
        wire.framing().write(&mut out, &frame);
    }
    out
}

/// A whole stream through the pipe, in one chunk.
fn piped(caller: Wire, upstream: Wire, stream: &[u8], out: &mut Vec<u8>) {
    let options =
        StreamPipeOptions { caller, upstream, echo: echo(), withhold_usage: false, hold_last: false };
    let mut pipe = StreamPipe::new(options, caller.dialect().unwrap());
    let _flow = pipe.push(stream, out);
    let _whole = pipe.end(None, out);
}

/// One operation with its name and how many items it goes through.
struct Operation<'a> {
    name: String,
    items: u64,
    run: Box<dyn FnMut() + 'a>,
}

fn operation<'a>(name: String, items: u64, run: impl FnMut() + 'a) -> Operation<'a> {
    Operation { name, items, run: Box::new(run) }
}

fn of_requests<'a>(all: &[Wire], of: Wire, body: &'a str) -> Vec<Operation<'a>> {
    let name = of.name();
    let codec = of.dialect().unwrap();
    let mut list = vec![
        operation(format!("{name}/decode_request"), 1, move || {
            drop(black_box(codec.decode_request(black_box(body.as_bytes()))));
        }),
        operation(format!("{name}/relay_request"), 1, move || {
            let (quirks, mut losses) = (quirks(of), Losses::default());
            if let Ok(peeked) = peek(black_box(body.as_bytes())) {
                let edits =
                    RequestEdits { model: "other", ask_usage: true, quirks: &quirks, drop: &["fallbacks"] };
                black_box(rewrite_request(body.as_bytes(), &peeked, &edits, &mut losses));
            }
        }),
    ];
    for wire in all.iter().copied() {
        let (quirks, rules) = (quirks(wire), ModelRules::of("bench", wire, "model"));
        let request = codec.decode_request(body.as_bytes()).unwrap();
        list.push(operation(format!("{}/encode_request/from_{name}", wire.name()), 1, move || {
            black_box(encoded(wire, black_box(&request), &quirks, &rules));
        }));
    }
    list
}

fn of_responses<'a>(all: &[Wire], of: Wire, body: &'a str) -> Vec<Operation<'a>> {
    let name = of.name();
    let codec = of.dialect().unwrap();
    let mut list = vec![
        operation(format!("{name}/decode_response"), 1, move || {
            drop(black_box(codec.decode_response(black_box(body.as_bytes()))));
        }),
        operation(format!("{name}/observe_response"), 1, move || {
            drop(black_box(codec.observe_response(black_box(body.as_bytes()))));
        }),
    ];
    for dialect in all.iter().copied() {
        let response = codec.decode_response(body.as_bytes()).unwrap();
        let echo = echo();
        list.push(operation(format!("{}/encode_response/from_{name}", dialect.name()), 1, move || {
            black_box(dialect.dialect().unwrap().encode_response(
                black_box(&response),
                &echo,
                &mut Losses::default(),
            ));
        }));
    }
    list
}

/// Per frame of the provider's stream. `long` is what its names end with.
fn of_streams<'a>(all: &[Wire], of: Wire, stream: &'a str, long: &str) -> Vec<Operation<'a>> {
    let name = format!("{}{long}", of.name());
    let (_, frames) = decoded(of, stream).unwrap();
    let mut list = vec![operation(format!("{name}/decode_stream"), frames, move || {
        black_box(decoded(of, black_box(stream)));
    })];
    for caller in all.iter().copied() {
        let way = if caller == of { "relay_stream" } else { "translate_stream" };
        let (stream, mut out) = (framed(of, stream), Vec::new());
        list.push(operation(format!("{}/{way}/from_{name}", caller.name()), frames, move || {
            out.clear();
            piped(caller, of, black_box(&stream), &mut out);
        }));
    }
    list
}

fn wires(criterion: &mut Criterion) {
    let bodies = bodies();
    let all: Vec<Wire> = bodies.iter().map(|bodies| bodies.wire).collect();
    let mut list = Vec::new();
    for Bodies { wire, request, response, stream, long } in &bodies {
        list.extend(request.iter().flat_map(|body| of_requests(&all, *wire, body)));
        list.extend(response.iter().flat_map(|body| of_responses(&all, *wire, body)));
        list.extend(stream.iter().flat_map(|body| of_streams(&all, *wire, body, "")));
        list.extend(long.iter().flat_map(|body| of_streams(&all, *wire, body, "_long")));
    }
    println!("allocations and bytes per request, answer or stream frame:");
    for one in &mut list {
        // Once before, so that what is made on first use is not counted.
        (one.run)();
        let before = (ALLOCATIONS.load(Ordering::Relaxed), BYTES.load(Ordering::Relaxed));
        (one.run)();
        let calls = ALLOCATIONS.load(Ordering::Relaxed) - before.0;
        let bytes = BYTES.load(Ordering::Relaxed) - before.1;
        let per = |total: u64| total as f64 / one.items as f64;
        println!("{:<50} {:>8.1} {:>12.0}", one.name, per(calls), per(bytes));
    }
    let mut group = criterion.benchmark_group("wires");
    for one in &mut list {
        group.throughput(Throughput::Elements(one.items));
        group.bench_function(&one.name, |bencher| bencher.iter(&mut one.run));
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(30).measurement_time(std::time::Duration::from_secs(2));
    targets = wires
}
criterion_main!(benches);
