//! `mock_upstream [--port 0] [--threads 1] [--chunks 40] [--chunk-interval-us 20000] [--max-seconds 1800]`:
//! prints `{"port": N}` once it accepts, and ends by itself after `--max-seconds`.

use std::io::{self, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::process::ExitCode;
use std::time::Duration;

use load_tests::flags::Flags;
use load_tests::mock::server;
use load_tests::mock::wishes::Pace;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

struct Settings {
    port: u16,
    threads: usize,
    pace: Pace,
    max: Duration,
}

fn main() -> ExitCode {
    match settings().and_then(|settings| run(&settings).map_err(|error| error.to_string())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("mock_upstream: {problem}");
            ExitCode::from(2)
        }
    }
}

fn settings() -> Result<Settings, String> {
    let mut flags = Flags::read(std::env::args().skip(1))?;
    let pace = Pace {
        chunks: flags.value("chunks", 40)?,
        interval: Duration::from_micros(flags.value("chunk-interval-us", 20_000)?),
    };
    let settings = Settings {
        port: flags.value("port", 0)?,
        threads: flags.value("threads", 1)?,
        pace,
        max: Duration::from_secs(flags.value("max-seconds", 1800)?),
    };
    flags.finish()?;
    Ok(settings)
}

fn run(settings: &Settings) -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, settings.port))?;
    println!("{{\"port\": {}}}", listener.local_addr()?.port());
    io::stdout().flush()?;
    for _ in 1..settings.threads.max(1) {
        let (listener, pace) = (listener.try_clone()?, settings.pace);
        std::thread::spawn(move || serve(listener, pace, None));
    }
    serve(listener, settings.pace, Some(settings.max))
}

fn serve(listener: TcpListener, pace: Pace, max: Option<Duration>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match max {
            None => server::accept(listener, pace).await,
            Some(max) => tokio::time::timeout(max, server::accept(listener, pace)).await.unwrap_or(Ok(())),
        }
    })
}
