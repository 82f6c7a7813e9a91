//! Golden exchanges: what a caller sent, what the provider saw and answered, what the caller got.
//!
//! The files are `tests/golden/<endpoint>/<scenario>/<dialect>--<wire>.exchange` at the repository's
//! root; their format is in `tests/golden/README.md`. `BIFROST_BLESS=1` rewrites what is expected.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a broken golden may panic")]

#[path = "goldens/compare.rs"]
mod compare;
#[path = "goldens/exchange.rs"]
mod exchange;
#[path = "goldens/replay.rs"]
mod replay;

use std::path::{Path, PathBuf};

use exchange::Exchange;
use translate::Wire;

/// As many exchanges as there are: a file that is moved or misnamed must not go unnoticed. Raise it with
/// every file added.
const AT_LEAST: usize = 1510;

#[test]
fn every_exchange_replays() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden");
    let mut paths = Vec::new();
    collect(&root, &mut paths);
    paths.sort();
    println!("{} exchanges", paths.len());
    assert!(paths.len() >= AT_LEAST, "{} exchanges were found, {AT_LEAST} were expected", paths.len());
    let bless = std::env::var_os("BIFROST_BLESS").is_some_and(|value| value == "1");
    let complaints: Vec<String> = paths.iter().filter_map(|path| one(path, bless).err()).collect();
    assert!(
        complaints.is_empty(),
        "\n{}\n{} of {} failed",
        complaints.join("\n"),
        complaints.len(),
        paths.len()
    );
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "exchange") {
            paths.push(path);
        }
    }
}

fn one(path: &Path, bless: bool) -> Result<(), String> {
    let at = |complaint: String| format!("{}: {complaint}", path.display());
    let text = std::fs::read_to_string(path).map_err(|error| at(error.to_string()))?;
    let exchange = Exchange::parse(&text).map_err(at)?;
    let (dialect, wire) = wires(path).map_err(at)?;
    let result = replay::run(&exchange, dialect, wire).map_err(at)?;
    if bless {
        let blessed = exchange.blessed(&result);
        let written = if blessed == text { Ok(()) } else { std::fs::write(path, blessed) };
        return written.map_err(|error| at(error.to_string()));
    }
    compare::all(&exchange, &result, dialect == wire).map_err(at)
}

/// The two wires of `<dialect>--<wire>.exchange`. A suffix behind a dot is allowed: `a--b.groq.exchange`.
fn wires(path: &Path) -> Result<(Wire, Wire), String> {
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let pair = stem.split('.').next().unwrap_or_default();
    // Not every wire is a dialect.
    let dialect = |name: &str| Wire::named(name).filter(|wire| wire.dialect().is_some());
    pair.split_once("--")
        .and_then(|(caller, wire)| Some((dialect(caller)?, Wire::named(wire)?)))
        .ok_or_else(|| format!("`{stem}` is not <dialect>--<wire>"))
}

#[test]
fn file_names_say_the_wires() {
    assert_eq!(
        wires(Path::new("x/openai_chat--anthropic.exchange")),
        Ok((Wire::OpenAiChat, Wire::Anthropic))
    );
    assert_eq!(
        wires(Path::new("anthropic--openai_chat.groq.exchange")),
        Ok((Wire::Anthropic, Wire::OpenAiChat))
    );
    assert_eq!(wires(Path::new("anthropic--replicate.exchange")), Ok((Wire::Anthropic, Wire::Replicate)));
    assert!(wires(Path::new("replicate--openai_chat.exchange")).is_err());
    assert!(wires(Path::new("openai_chat.exchange")).is_err());
    assert!(wires(Path::new("openai_chat--gopher.exchange")).is_err());
}
