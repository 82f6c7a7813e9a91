//! What was typed, and what it means.

mod care;
mod tail;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::account::prices::Prices;
use crate::account::show;
use crate::auth;
use crate::config::{self, ConfigHolder, Environment, Problem};
use crate::server;
use crate::telemetry::levels::{BadLevel, Levels};
use crate::telemetry::logger::{self, Style};

/// Exit code for a command line or configuration that cannot be used.
const UNUSABLE: u8 = 2;

#[derive(Debug, Parser)]
#[command(
    name = "bifrost",
    version,
    about = "An LLM gateway: any provider through the dialect you already speak",
    after_help = "With no configuration, provider keys found in the environment (OPENAI_API_KEY, \
        ANTHROPIC_API_KEY, …) are used; with none, a built-in mock answers.\n\n\
        Signals: SIGHUP reloads the configuration, SIGTERM and SIGINT end when the last request has ended \
        (a second one ends now), SIGUSR2 upgrades: it starts the binary that lies where this one was started \
        from, and hands over when that serves."
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: Serve,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway (the default)
    Serve(Serve),
    /// Read a configuration file and say what is wrong with it, or what it would serve
    Check {
        /// JSON (comments allowed) or YAML
        #[arg(required_unless_present = "config")]
        file: Option<PathBuf>,
        /// The same, as it is given to `serve`
        #[arg(long, value_name = "FILE", conflicts_with = "file")]
        config: Option<PathBuf>,
    },
    /// Print the JSON schema of the configuration file
    Schema,
    /// Say what a model costs, and where the price is from
    Prices {
        /// A model, or provider/model [default: every model that has a price, a line each]
        model: Option<String>,
        /// Configuration file, JSON or YAML [default: as for serve]
        #[arg(long, value_name = "FILE", env = "BIFROST_CONFIG")]
        config: Option<PathBuf>,
    },
    /// Show what a running gateway does, line by line
    Tail(tail::Tail),
    /// Virtual keys
    #[command(subcommand)]
    Keys(Keys),
    /// Logins and tokens of those who look after the gateway
    #[command(subcommand)]
    Admin(care::Admin),
    /// The log of what they did
    #[command(subcommand)]
    Audit(care::Audit),
    /// Secrets in the store
    #[command(subcommand)]
    Secrets(care::Secrets),
    /// A step of an upgrade: starts a program and ends
    #[command(name = server::successor::DETACH, hide = true)]
    Detach {
        #[arg(last = true)]
        words: Vec<std::ffi::OsString>,
    },
    /// Replace the running gateway by a new binary, without a failed request
    Upgrade(Upgrade),
}

#[derive(Debug, Subcommand)]
enum Keys {
    /// Make a virtual key: the key for whoever calls, and its hash for the configuration
    #[command(
        after_help = "The key is printed once and kept nowhere. `governance.virtual_keys[].value_hash` takes the hash, \
        so that the configuration holds nothing that opens anything."
    )]
    New,
    /// Print the hash of a virtual key, which is read from standard input
    Hash,
}

/// How to run.
#[derive(Debug, Clone, Default, Args)]
pub struct Serve {
    /// Configuration file, JSON or YAML [default: config.json in the app dir, if there is one]
    #[arg(long, value_name = "FILE", env = "BIFROST_CONFIG")]
    pub config: Option<PathBuf>,
    /// Where config.json is looked for, and where the database is kept [default: ~/.config/bifrost]
    #[arg(long, value_name = "DIR", env = "BIFROST_APP_DIR")]
    pub app_dir: Option<PathBuf>,
    /// Address to listen on, 0.0.0.0 for all [default: localhost]
    #[arg(long, env = "BIFROST_HOST")]
    pub host: Option<String>,
    /// Port to listen on, 0 for any free one [default: 8080]
    #[arg(long, env = "BIFROST_PORT")]
    pub port: Option<u16>,
    /// Worker threads [default: one per processor]
    #[arg(long, env = "BIFROST_THREADS", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub threads: Option<u32>,
    /// error, warn, info, debug or trace; filters such as `info,bifrost=debug` work too
    #[arg(long, default_value = "info", env = "LOG_LEVEL", value_parser = log_level)]
    pub log_level: Levels,
    /// How log lines look
    #[arg(long, value_enum, default_value = "json", env = "LOG_STYLE")]
    pub log_style: LogStyle,
    /// Take over from the running gateway, which ends with its last request [default: its server.upgrade_socket]
    #[arg(long, value_name = "SOCKET", num_args = 0..=1, require_equals = true)]
    pub upgrade: Option<Option<PathBuf>>,
}

/// How to upgrade. The running gateway starts the new process itself, with its own arguments and environment.
#[derive(Debug, Clone, Default, Args)]
#[command(
    after_help = "The new binary is asked for its opinion of the configuration, started, and takes over when \
    it serves. The old process ends with its last request. Exit code 0: the new binary serves; 1: it does not, the \
    old one serves on; 2: no gateway was found."
)]
pub struct Upgrade {
    /// The new binary [default: what now lies where the running gateway was started from]
    pub binary: Option<PathBuf>,
    /// Control socket of the running gateway [default: server.upgrade_socket, else looked for]
    #[arg(long, value_name = "FILE")]
    pub socket: Option<PathBuf>,
    /// Its configuration file, which may name the socket
    #[arg(long, value_name = "FILE", env = "BIFROST_CONFIG")]
    pub config: Option<PathBuf>,
    /// Where its config.json is looked for [default: ~/.config/bifrost]
    #[arg(long, value_name = "DIR", env = "BIFROST_APP_DIR")]
    pub app_dir: Option<PathBuf>,
    /// Its port, which is part of the socket's default name [default: as configured]
    #[arg(long, env = "BIFROST_PORT")]
    pub port: Option<u16>,
    /// Wait until the old process has ended
    #[arg(long)]
    pub wait: bool,
}

/// The value of `--log-style`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogStyle {
    #[default]
    Json,
    Pretty,
}

/// Parses the command line and runs.
#[must_use]
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    match cli.command {
        None => serve(&cli.serve),
        Some(Command::Serve(options)) => serve(&options),
        // Clap has seen to it that there is one.
        Some(Command::Check { file, config }) => check(&file.or(config).unwrap_or_default()),
        Some(Command::Prices { model, config }) => prices(model.as_deref(), config.as_deref()),
        Some(Command::Tail(options)) => tail::run(&options),
        Some(Command::Keys(what)) => keys(&what),
        Some(Command::Admin(what)) => care::admin(&what),
        Some(Command::Audit(what)) => care::audit(&what),
        Some(Command::Secrets(what)) => care::secrets(&what),
        Some(Command::Schema) => print(&config::schema::text()),
        Some(Command::Detach { words }) => match server::successor::detach(&words) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => unusable(&error.to_string()),
        },
        Some(Command::Upgrade(options)) => server::upgrade::run(&options),
    }
}

fn serve(options: &Serve) -> ExitCode {
    let style = match options.log_style {
        LogStyle::Json => Style::Json,
        LogStyle::Pretty => Style::Pretty,
    };
    let sink = match logger::start(options.log_level.clone(), style) {
        Ok(sink) => sink,
        Err(error) => return unusable(&format!("the log could not be started: {error}")),
    };
    let environment = Environment::Real;
    let app_dir = options.app_dir.clone().or_else(|| config::default_app_dir(&environment));
    let origin = config::discover(options.config.as_deref(), app_dir.as_deref());
    let holder = match ConfigHolder::open(origin, environment) {
        Ok(holder) => holder,
        Err(problems) => return refused(&problems),
    };
    match server::run(holder, options, sink) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => unusable(&error.to_string()),
    }
}

/// A level, or filters as `module=level`, comma separated.
fn log_level(text: &str) -> Result<Levels, String> {
    text.parse().map_err(|bad: BadLevel| bad.to_string())
}

fn check(file: &std::path::Path) -> ExitCode {
    let report = config::check(file, &Environment::Real);
    let ok = report.is_ok();
    let printed = print(report.to_string().trim_end());
    if ok { printed } else { ExitCode::from(UNUSABLE) }
}

fn prices(model: Option<&str>, file: Option<&std::path::Path>) -> ExitCode {
    let environment = Environment::Real;
    let app_dir = config::default_app_dir(&environment);
    let loaded = match config::load(&config::discover(file, app_dir.as_deref()), &environment, 1) {
        Ok(loaded) => loaded,
        Err(problems) => return refused(&problems),
    };
    let text = show::text(&loaded.snapshot, &Prices::default(), model);
    match (text.is_empty(), model) {
        (false, Some(_)) => print(&format!("{text}{}", show::origin(&loaded.snapshot).trim_end())),
        (false, None) => print(text.trim_end()),
        (true, _) => unusable(&format!(
            "no configured provider has a price for {}\n{}",
            model.unwrap_or("any model"),
            show::origin(&loaded.snapshot).trim_end()
        )),
    }
}

fn keys(what: &Keys) -> ExitCode {
    match what {
        Keys::New => match auth::generate() {
            Ok(key) => print(&format!("key         {key}\nvalue_hash  {}", auth::hash(&key))),
            Err(error) => unusable(&error.to_string()),
        },
        Keys::Hash => match std::io::read_to_string(std::io::stdin()) {
            Ok(text) if !text.trim().is_empty() => print(&auth::hash(text.trim()).to_string()),
            Ok(_) => unusable("no key came on standard input"),
            Err(error) => unusable(&format!("standard input cannot be read: {error}")),
        },
    }
}

fn refused(problems: &[Problem]) -> ExitCode {
    let lines: Vec<String> = problems.iter().map(|problem| format!("error: {problem}")).collect();
    let count = problems.len();
    unusable(&format!("{}\nthe configuration has {count} problem(s); nothing was started", lines.join("\n")))
}

fn unusable(message: &str) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "{message}");
    ExitCode::from(UNUSABLE)
}

/// Prints; a reader that left early is no error.
fn print(text: &str) -> ExitCode {
    let _ = writeln!(std::io::stdout(), "{text}");
    ExitCode::SUCCESS
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn serve_is_the_default_command() {
        let cli = Cli::try_parse_from(["bifrost", "--port", "9000"]).unwrap();
        assert!(cli.command.is_none());
        assert_eq!(cli.serve.port, Some(9000));
    }
}
