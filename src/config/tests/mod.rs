//! The whole way from text to snapshot.

mod access;
mod bad_files;
mod compiled;
mod examples;
mod hedging;
mod reloading;
mod routing;
mod telemetry;

use super::*;

/// Compiles `text` named `c.json` or `c.yaml`.
fn compiled(text: &str, format: Format, environment: &Environment) -> Result<Loaded, Vec<Problem>> {
    let name = if format == Format::Json { "c.json" } else { "c.yaml" };
    compile(&Document::parse(name, text, format)?, environment, 1)
}

fn json(text: &str, environment: &Environment) -> Snapshot {
    compiled(text, Format::Json, environment).unwrap_or_else(|p| panic!("{}", lines(&p))).snapshot
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn nothing() -> Environment {
    Environment::fixed([])
}

fn problems(text: &str, format: Format) -> String {
    match compiled(text, format, &nothing()) {
        Ok(_) => panic!("compiled: {text}"),
        Err(problems) => lines(&problems),
    }
}
