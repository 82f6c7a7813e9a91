//! One feature after the other through every pair of wires: what comes of it, in `docs/translation.md`.
//! Nothing in that file is written by hand; it must be what the codecs do.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;
use translate::ir::{Request, Response};
use translate::{Losses, Wire};

use super::features::{Asked, Told, asked, plain, told};
use super::{pair, reading, wires};

const INTRO: &str = "# What is carried between the wires

Made by `BIFROST_BLESS=1 cargo test -p translate --test matrix` from what the codecs do; a difference fails
that test. Rows are what the caller speaks, columns what the provider speaks.

| Sign | Meaning |
|---|---|
| `=` | the same wire: relayed to the byte |
| ✓ | carried |
| ~ | carried in another form |
| ✗ | lost; the caller is told in `extra_fields.losses` |
| ! | the request is refused with a 400 that says why |
| · | that side has no words for it |

Each feature is asked of the model of the wire's own vendor that takes it best, reasoning or not; other models
and other hosts may take less or more.
";

/// What becomes of a feature.
#[derive(Debug, Clone, PartialEq)]
enum Fate {
    Relayed,
    Carried,
    Converted(String),
    Lost(String),
    Refused(String),
    Unsaid,
}

impl Fate {
    fn of(before: &Value, after: &Value, reasons: String) -> Self {
        match after {
            after if after == before => Self::Carried,
            Value::Null => Self::Lost(reasons),
            after if reasons.is_empty() => Self::Converted(format!("`{before}` becomes `{after}`")),
            _ => Self::Converted(reasons),
        }
    }

    /// The best one first.
    fn rank(&self) -> u8 {
        match self {
            Self::Relayed | Self::Carried => 0,
            Self::Converted(_) => 1,
            Self::Lost(_) => 2,
            Self::Refused(_) => 3,
            Self::Unsaid => 4,
        }
    }

    fn sign(&self) -> &'static str {
        match self {
            Self::Relayed => "`=`",
            Self::Carried => "✓",
            Self::Converted(_) => "~",
            Self::Lost(_) => "✗",
            Self::Refused(_) => "!",
            Self::Unsaid => "·",
        }
    }

    fn note(&self) -> Option<&str> {
        match self {
            Self::Converted(note) | Self::Lost(note) | Self::Refused(note) => Some(note),
            _ => None,
        }
    }
}

fn reasons(losses: &Losses, without: &Losses) -> String {
    let mut reasons: Vec<&str> = Vec::new();
    for loss in losses.as_slice().iter().filter(|loss| !without.as_slice().contains(loss)) {
        if !reasons.contains(&loss.reason.as_str()) {
            reasons.push(&loss.reason);
        }
    }
    reasons.join("; ")
}

fn asked_of(feature: &Asked, dialect: Wire, wire: Wire) -> Fate {
    if dialect == wire {
        return Fate::Relayed;
    }
    let pivot = (feature.request)(wire);
    let read = |request: &Request| -> Vec<Request> {
        let bodies = pair::written_by_caller(dialect, request);
        bodies.iter().filter_map(|body| pair::decode(dialect, body, request).ok()).collect()
    };
    let says = |request: &&Request| {
        let seen = (feature.see)(request);
        !seen.is_null() && seen == (feature.see)(&pivot)
    };
    let read_back = read(&pivot);
    let kept = feature.kept.then_some(&pivot);
    let Some(request) = kept.or_else(|| read_back.iter().find(says)) else { return Fate::Unsaid };
    let fates = pair::models(wire).iter().map(|model| to_model(feature, request, wire, model));
    fates.min_by_key(Fate::rank).unwrap_or(Fate::Unsaid)
}

fn to_model(feature: &Asked, request: &Request, wire: Wire, model: &str) -> Fate {
    let without = pair::encode_to(wire, &plain(), model).map(|(_, losses)| losses).unwrap_or_default();
    match pair::encode_to(wire, request, model) {
        Err(refusal) => Fate::Refused(refusal.message),
        Ok((body, losses)) => {
            let got = pair::decode(wire, &body, request).map(|got| (feature.see)(&got)).unwrap_or_default();
            Fate::of(&(feature.see)(request), &got, reasons(&losses, &without))
        }
    }
}

/// An answer's way: whole or as a stream, to the wire of its provider or from there to the caller.
struct Way {
    stream: bool,
}

impl Way {
    /// As the provider would say it.
    fn given(&self, wire: Wire, response: &Response) -> Option<(Vec<u8>, Response)> {
        if self.stream {
            let (body, _) = pair::streamed(wire, response);
            let read = reading::collect(&pair::events(wire, &body))?;
            return Some((body, read));
        }
        let body = wire.dialect().unwrap().encode_response(response, &pair::echo(), &mut Losses::default());
        let read = wire.codec().decode_response(&body).ok()?;
        Some((body, read))
    }

    /// As the caller reads it.
    fn got(&self, dialect: Wire, wire: Wire, body: &[u8], read: &Response) -> Option<(Response, Losses)> {
        let (mut got, out, losses) = if self.stream {
            let carried = pair::carry(dialect, wire, [body]);
            (reading::collect(&pair::events(dialect, &carried.out))?, carried.out, carried.losses)
        } else {
            let mut losses = Losses::default();
            let out = dialect.dialect().unwrap().encode_response(read, &pair::echo(), &mut losses);
            (dialect.codec().decode_response(&out).ok()?, out, losses)
        };
        reading::as_caller(dialect, read, &out, &mut got);
        Some((got, losses))
    }

    fn fate(&self, feature: &Told, dialect: Wire, wire: Wire) -> Fate {
        if dialect == wire {
            return Fate::Relayed;
        }
        let pivot = (feature.response)(wire);
        let Some((body, read)) = self.given(wire, &pivot) else { return Fate::Unsaid };
        let before = (feature.see)(&read);
        if before.is_null() || before != (feature.see)(&pivot) {
            return Fate::Unsaid;
        }
        match self.got(dialect, wire, &body, &read) {
            None => Fate::Lost("the caller's answer is an error".into()),
            Some((got, losses)) => {
                Fate::of(&before, &(feature.see)(&got), reasons(&losses, &Losses::default()))
            }
        }
    }
}

/// One feature's table, with its notes below. Silent losses are counted.
fn write(name: &str, out: &mut String, silent: &mut Vec<String>, fate: impl Fn(Wire, Wire) -> Vec<Fate>) {
    let all = wires();
    let mut notes: Vec<String> = Vec::new();
    let mut rows = String::new();
    for dialect in &all {
        let _ = write!(rows, "| {} |", dialect.name());
        for wire in &all {
            let mut cells: Vec<String> = Vec::new();
            for fate in fate(*dialect, *wire) {
                let mut cell = fate.sign().to_owned();
                // Counts have no losses: callers read them from the gateway's own usage.
                if matches!(&fate, Fate::Lost(reason) if reason.is_empty()) && !name.starts_with("usage") {
                    silent.push(format!("{name}: {} to {}", dialect.name(), wire.name()));
                }
                if let Some(note) = fate.note().filter(|note| !note.is_empty()) {
                    let known = notes.iter().position(|known| known == note);
                    let number = known.unwrap_or_else(|| {
                        notes.push(note.to_owned());
                        notes.len() - 1
                    });
                    let _ = write!(cell, " [{}]", number + 1);
                }
                cells.push(cell);
            }
            cells.dedup();
            let _ = write!(rows, " {} |", cells.join(", stream "));
        }
        rows.push('\n');
    }
    let _ = write!(out, "\n### {}\n\n|  |", capital(name));
    for wire in &all {
        let _ = write!(out, " {} |", wire.name());
    }
    let _ = write!(out, "\n|---|{}\n{rows}", "---|".repeat(all.len()));
    for (number, note) in notes.iter().enumerate() {
        let _ = writeln!(out, "{}[{}] {note}.  ", if number == 0 { "\n" } else { "" }, number + 1);
    }
}

fn capital(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[test]
fn the_table_shows_what_the_codecs_do() {
    let (mut out, mut silent) = (INTRO.to_owned(), Vec::new());
    out.push_str("\n## Requests\n");
    for feature in asked() {
        write(feature.name, &mut out, &mut silent, |dialect, wire| vec![asked_of(&feature, dialect, wire)]);
    }
    out.push_str("\n## Answers\n\nWhole, and where it differs, streamed.\n");
    for feature in told() {
        write(feature.name, &mut out, &mut silent, |dialect, wire| {
            [false, true].map(|stream| Way { stream }.fate(&feature, dialect, wire)).to_vec()
        });
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/translation.md");
    if std::env::var_os("BIFROST_BLESS").is_some_and(|value| value == "1") {
        std::fs::write(&path, &out).unwrap();
    }
    let known = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = known.lines().zip(out.lines()).find(|(known, now)| known != now);
    assert!(known == out, "docs/translation.md is of another time (BIFROST_BLESS=1 writes it): {differs:?}");
    assert_eq!(silent, [] as [&str; 0], "lost, and nobody was told");
}
