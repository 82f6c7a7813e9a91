//! `chaos [--seconds 1800] [--callers 200] [--seed N] [--gateway PATH | --direct yes] [--only ID]
//! [--force Fault,Fault,…] [--json FILE]`: runs the soak and says what it found. Exit 1: a violation.
//!
//! `--direct yes` is the negative control: callers ask the providers themselves, so there must be violations.
//! `--only` and `--force` repeat one request of a run with the faults it met.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use load_tests::chaos::fault::Fault;
use load_tests::chaos::soak::{self, Settings};
use load_tests::flags::Flags;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match settings().and_then(|(settings, json)| run(settings, json)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("chaos: {problem}");
            ExitCode::from(2)
        }
    }
}

fn settings() -> Result<(Settings, Option<PathBuf>), String> {
    let mut flags = Flags::read(std::env::args().skip(1))?;
    let direct = flags.value("direct", String::new())? == "yes";
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |now| now.as_secs());
    let forced: String = flags.value("force", String::new())?;
    let forced = forced.split(',').filter(|name| !name.is_empty());
    let settings = Settings {
        seed: flags.value("seed", now)?,
        length: Duration::from_secs(flags.value("seconds", 1_800)?),
        callers: flags.value("callers", 200)?,
        gateway: if direct { None } else { Some(flags.required("gateway")?) },
        only: flags.optional("only")?,
        forced: forced
            .map(|name| Fault::named(name).ok_or_else(|| format!("no fault is called {name}")))
            .collect::<Result<_, _>>()?,
    };
    let json = flags.optional("json")?;
    flags.finish()?;
    Ok((settings, json))
}

fn run(settings: Settings, json: Option<PathBuf>) -> Result<bool, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let report = runtime.block_on(soak::run(settings)).map_err(|error| error.to_string())?;
    print!("{}", report.text());
    if let Some(file) = json {
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder).map_err(|error| error.to_string())?;
        }
        std::fs::write(&file, format!("{:#}\n", report.json())).map_err(|error| error.to_string())?;
    }
    Ok(report.found.is_empty())
}
