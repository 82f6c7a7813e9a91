//! Starts the process that takes over.
//!
//! The running gateway starts it itself: so the successor has the same user, limits, sandbox, environment and
//! control group, whoever asked for the upgrade. It is asked first whether it likes the configuration; until it
//! serves, nothing changes here.
//!
//! It must not be our child when it becomes the service's main process: systemd kills a main process that it did
//! not know as its own child at that moment on `systemctl stop`, without waiting for its last request. So a process
//! in between ([`detach`]) starts it and ends, and whoever adopts orphans is the parent.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::process::{Signal, kill_process};

use super::handover::PATIENCE;
use super::life::{Life, Stage};
use super::neighbour::{lives, pid};

/// The longest `--version` and `check` may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);
/// The command that runs [`detach`].
pub const DETACH: &str = "start-detached";
/// How often a successor that starts is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// How this process was started, and so how the next one is.
#[derive(Debug, Clone)]
pub struct Launch {
    program: PathBuf,
    arguments: Vec<OsString>,
    /// The configuration file in use.
    config: Option<PathBuf>,
    /// The control socket, where the successor asks.
    socket: PathBuf,
}

impl Launch {
    /// As the running process was started.
    #[must_use]
    pub fn as_started(config: Option<PathBuf>, socket: PathBuf) -> Self {
        let mut words = std::env::args_os();
        let program = program(words.next());
        let arguments = words.filter(|word| !is_upgrade(word)).collect();
        Self { program, arguments, config, socket }
    }

    /// Starts `binary` (else what now lies where this process was started from) and waits until it serves.
    /// Gives its process id. `say` hears each step.
    ///
    /// # Errors
    /// In words; this process serves on.
    pub fn run(
        &self,
        binary: Option<PathBuf>,
        life: &Arc<Life>,
        say: &mut dyn FnMut(&str),
    ) -> Result<u32, String> {
        let _one = life.begin_upgrade().ok_or("another upgrade is under way")?;
        match life.stage() {
            Stage::Serving => {}
            Stage::HandedOver { to } => return Err(format!("process {to} has taken over already")),
            Stage::Ending => return Err("this gateway is about to end".to_owned()),
        }
        let binary = binary.unwrap_or_else(|| self.program.clone());
        let shown = binary.display();
        let version = answer(Command::new(&binary).arg("--version"))
            .map_err(|error| format!("{shown} cannot be run: {error}"))?;
        if !version.status.success() {
            return Err(format!("{shown} --version: {}", version.status));
        }
        say(&format!("{shown} is {}", String::from_utf8_lossy(&version.stdout).trim()));
        self.check(&binary, say)?;
        self.start(&binary, life, say)
    }

    /// The successor's own opinion of the configuration, in the environment it will have.
    fn check(&self, binary: &Path, say: &mut dyn FnMut(&str)) -> Result<(), String> {
        let Some(config) = &self.config else { return Ok(()) };
        let report = answer(Command::new(binary).arg("check").arg(config))
            .map_err(|error| format!("its check of the configuration failed: {error}"))?;
        if report.status.success() {
            say(&format!("it accepts {}", config.display()));
            return Ok(());
        }
        let text = [report.stdout, report.stderr].concat();
        for line in String::from_utf8_lossy(&text).lines().filter(|line| !line.is_empty()) {
            say(&format!("  {line}"));
        }
        Err(format!("it does not accept {}", config.display()))
    }

    fn start(&self, binary: &Path, life: &Life, say: &mut dyn FnMut(&str)) -> Result<u32, String> {
        let mut upgrade = OsString::from("--upgrade=");
        upgrade.push(&self.socket);
        let pid = start_detached(binary, self.arguments.iter().chain([&upgrade]))
            .map_err(|error| format!("{} did not start: {error}", binary.display()))?;
        say(&format!("process {pid} starts"));
        let until = Instant::now() + PATIENCE;
        loop {
            match life.stage() {
                Stage::HandedOver { to } if to == pid => return Ok(pid),
                Stage::HandedOver { to } => {
                    // It may have accepted requests already: it is to answer them.
                    end(pid, Signal::TERM);
                    return Err(format!("process {to} has taken over"));
                }
                Stage::Serving | Stage::Ending => {}
            }
            if !lives(pid) && life.refuse(pid) {
                return Err("it ended before it served; its log says why".to_owned());
            }
            if Instant::now() >= until && life.refuse(pid) {
                end(pid, Signal::KILL);
                return Err(format!("it did not serve within {} s", PATIENCE.as_secs()));
            }
            std::thread::sleep(LOOK);
        }
    }
}

/// Starts what is named, tells the process id on standard input and ends: see the top of this file. Run by the
/// gateway as a process of its own.
///
/// # Errors
/// The program does not start.
pub fn detach(words: &[OsString]) -> io::Result<()> {
    let [program, arguments @ ..] = words else { return Err(io::Error::other("nothing to start")) };
    let child = Command::new(program).args(arguments).stdin(Stdio::null()).spawn();
    let mut parent = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    match child {
        Ok(child) => write!(parent, "{}", child.id()),
        Err(error) => write!(parent, "{error}"),
    }
}

/// The process id of `program`, started by a process that has ended when this returns.
fn start_detached<'a>(program: &Path, arguments: impl Iterator<Item = &'a OsString>) -> Result<u32, String> {
    // The running binary, though another one may lie in its place.
    let own =
        if cfg!(target_os = "linux") { Ok(PathBuf::from("/proc/self/exe")) } else { std::env::current_exe() };
    let start = || {
        let (mut told, tells) = UnixStream::pair()?;
        let mut between = Command::new(own?)
            .arg(DETACH)
            .arg("--")
            .arg(program)
            .args(arguments)
            .stdin(Stdio::from(OwnedFd::from(tells)))
            .spawn()?;
        let mut text = String::new();
        told.read_to_string(&mut text)?;
        between.wait()?;
        Ok(text)
    };
    let told = start().map_err(|error: io::Error| error.to_string())?;
    told.parse().map_err(|_| if told.is_empty() { "no process id came".to_owned() } else { told.clone() })
}

fn end(process: u32, how: Signal) {
    if let Some(pid) = pid(process) {
        let _ = kill_process(pid, how);
    }
}

fn is_upgrade(word: &OsString) -> bool {
    word.to_str().is_some_and(|word| word == "--upgrade" || word.starts_with("--upgrade="))
}

/// Where this process was started from. Not what the system says it runs: a symlink that names the current
/// release must be followed anew.
fn program(first_word: Option<OsString>) -> PathBuf {
    let named = first_word.map(PathBuf::from).and_then(|word| {
        if word.components().count() > 1 {
            return std::path::absolute(word).ok();
        }
        let folders = std::env::var_os("PATH")?;
        std::env::split_paths(&folders).map(|folder| folder.join(&word)).find(|file| file.is_file())
    });
    named.filter(|file| file.is_file()).or_else(|| std::env::current_exe().ok()).unwrap_or_default()
}

/// What a command prints, within [`ANSWER_WITHIN`].
fn answer(command: &mut Command) -> Result<Output, String> {
    let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().map_err(|error| error.to_string())?;
    let process = child.id();
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || tell.send(child.wait_with_output()));
    match told.recv_timeout(ANSWER_WITHIN) {
        Ok(output) => output.map_err(|error| error.to_string()),
        Err(_) => {
            // Still ours: the thread above has not waited for it yet.
            end(process, Signal::KILL);
            Err(format!("no answer within {} s", ANSWER_WITHIN.as_secs()))
        }
    }
}
