//! `load --mode latency|throughput|streams|hold --address 127.0.0.1:PORT --path /v1/chat/completions
//! --dialect openai|anthropic --body-file FILE`, and per mode:
//!   latency     --count 2000 --warmup 100
//!   throughput  --connections 64 --seconds 5 --count (unbounded) --rate (requests per second; 0: as fast as answers come)
//!   streams     --streams 16 --repeat 1 --chunks 40 --spread-us 20000 --longest-seconds 60
//!   hold        --streams 1000 --ready-seconds 30 --longest-seconds 60
//! Prints one JSON object (`hold` prints `{"holding": n}` before). Exit 1 when anything failed.

use std::process::ExitCode;
use std::time::Duration;

use load_tests::client::{Target, hold, latency, streams, throughput};
use load_tests::flags::Flags;
use serde_json::Value;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

enum Mode {
    Latency { warmup: u64, count: u64 },
    Throughput(throughput::Extent),
    Streams(streams::Extent),
    Hold { streams: usize, ready: Duration, longest: Duration },
}

fn main() -> ExitCode {
    match settings().and_then(|(target, mode)| run(target, mode)) {
        Ok(result) => {
            println!("{result}");
            let failed = result.get("failed").and_then(Value::as_u64);
            if failed == Some(0) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(problem) => {
            eprintln!("load: {problem}");
            ExitCode::from(2)
        }
    }
}

fn settings() -> Result<(Target, Mode), String> {
    let mut flags = Flags::read(std::env::args().skip(1))?;
    let body_file: String = flags.required("body-file")?;
    let body = std::fs::read(&body_file).map_err(|error| format!("{body_file}: {error}"))?;
    let path: String = flags.required("path")?;
    let target = Target::new(flags.required("address")?, &path, flags.required("dialect")?, &body);
    let mode = mode(&mut flags)?;
    flags.finish()?;
    Ok((target, mode))
}

fn mode(flags: &mut Flags) -> Result<Mode, String> {
    match flags.required::<String>("mode")?.as_str() {
        "latency" => {
            Ok(Mode::Latency { warmup: flags.value("warmup", 100)?, count: flags.value("count", 2000)? })
        }
        "throughput" => Ok(Mode::Throughput(throughput::Extent {
            connections: flags.value("connections", 64)?,
            count: flags.value("count", u64::MAX)?,
            rate: flags.value("rate", 0.0)?,
            lasting: seconds(flags, "seconds", 5.0)?,
            grace: Duration::from_secs(5),
        })),
        "streams" => Ok(Mode::Streams(streams::Extent {
            streams: flags.value("streams", 16)?,
            repeat: flags.value("repeat", 1)?,
            chunks: flags.value("chunks", 40)?,
            spread_start: Duration::from_micros(flags.value("spread-us", 20_000)?),
            longest: seconds(flags, "longest-seconds", 60.0)?,
        })),
        "hold" => Ok(Mode::Hold {
            streams: flags.value("streams", 1000)?,
            ready: seconds(flags, "ready-seconds", 30.0)?,
            longest: seconds(flags, "longest-seconds", 60.0)?,
        }),
        other => Err(format!("unknown mode {other}")),
    }
}

fn seconds(flags: &mut Flags, name: &str, default: f64) -> Result<Duration, String> {
    let value = flags.value(name, default)?;
    Duration::try_from_secs_f64(value).map_err(|error| format!("--{name}: {error}"))
}

fn run(target: Target, mode: Mode) -> Result<Value, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let result = runtime.block_on(async {
        match mode {
            Mode::Latency { warmup, count } => latency::run(&target, warmup, count).await,
            Mode::Throughput(extent) => throughput::run(target, extent).await,
            Mode::Streams(extent) => streams::run(target, extent).await,
            Mode::Hold { streams, ready, longest } => hold::run(target, streams, ready, longest).await,
        }
    });
    // A thread may still wait for standard input: leave it behind.
    runtime.shutdown_background();
    Ok(result)
}
