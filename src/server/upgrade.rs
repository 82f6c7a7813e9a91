//! `bifrost upgrade`: asks the running gateway to replace itself, and tells how it went.
//!
//! The work is done by the gateway (`successor`): this command only asks and reads. So it does not matter who
//! calls it, from which folder and with which environment.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::control::{DONE, FAILED, UPGRADE};
use super::neighbour::trusted_at;
use super::{runtime_folders, socket_name};
use crate::cli::Upgrade;
use crate::config::{self, ConfigHolder, Environment};

/// The new process does not serve; the old one does.
const NOT_REPLACED: u8 = 1;
/// No gateway was found, or it was not understood.
const UNUSABLE: u8 = 2;

/// Runs the command.
#[must_use]
pub fn run(options: &Upgrade) -> ExitCode {
    match upgrade(options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(NOT_REPLACED),
        Err(error) => {
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::from(UNUSABLE)
        }
    }
}

fn upgrade(options: &Upgrade) -> io::Result<bool> {
    // The gateway has another working directory.
    let binary = options.binary.as_deref().map(std::path::absolute).transpose()?;
    if let Some(missing) = binary.as_ref().filter(|binary| !binary.is_file()) {
        return Err(io::Error::other(format!("there is no file {}", missing.display())));
    }
    let (place, mut gateway, pid) = find(options)?;
    let named = pid.map_or_else(|| "the gateway".to_owned(), |pid| format!("process {pid}"));
    say(&format!("{named} answers at {}", place.display()));
    let binary = binary.map(|binary| binary.display().to_string()).unwrap_or_default();
    writeln!(gateway, "{UPGRADE} {binary}")?;
    let mut lines = BufReader::new(gateway).lines();
    let replaced = read(&mut lines)?;
    if replaced && options.wait {
        // It keeps the connection for as long as it lives.
        lines.for_each(drop);
        say(&format!("{named} has ended"));
    }
    Ok(replaced)
}

/// Tells what the gateway tells, up to how it ended.
fn read(lines: &mut impl Iterator<Item = io::Result<String>>) -> io::Result<bool> {
    for line in lines {
        let line = line?;
        if let Some(how) = line.strip_prefix(DONE) {
            say(how);
            return Ok(true);
        }
        if let Some(why) = line.strip_prefix(FAILED) {
            say(&format!("not upgraded, the running gateway serves on: {why}"));
            return Ok(false);
        }
        say(&line);
    }
    Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the gateway ended without a word about the upgrade"))
}

/// The first gateway that answers and may be believed, with its process id.
fn find(options: &Upgrade) -> io::Result<(PathBuf, UnixStream, Option<u32>)> {
    let mut tried = Vec::new();
    for place in places(options)? {
        let found = UnixStream::connect(&place)
            .and_then(|gateway| trusted_at(&place, &gateway).map(|pid| (gateway, pid)));
        match found {
            Ok((gateway, pid)) => return Ok((place, gateway, pid)),
            Err(error) => tried.push(format!("{}: {error}", place.display())),
        }
    }
    let tried = tried.join("\n  ");
    Err(io::Error::other(format!("no gateway answers (--socket and --port choose another one):\n  {tried}")))
}

/// Where a gateway's control socket may be: as said, as configured, or in the usual folders.
fn places(options: &Upgrade) -> io::Result<Vec<PathBuf>> {
    if let Some(socket) = &options.socket {
        return Ok(vec![socket.clone()]);
    }
    let environment = Environment::Real;
    let app_dir = options.app_dir.clone().or_else(|| config::default_app_dir(&environment));
    let origin = config::discover(options.config.as_deref(), app_dir.as_deref());
    let settings = match ConfigHolder::open(origin, environment) {
        Ok(holder) => holder.server().clone(),
        Err(problems) => {
            let first = problems.first().map(ToString::to_string).unwrap_or_default();
            return Err(io::Error::other(format!("{first}\nname the socket instead: --socket FILE")));
        }
    };
    if let Some(socket) = settings.upgrade_socket {
        return Ok(vec![PathBuf::from(socket)]);
    }
    let name = socket_name(options.port.unwrap_or(settings.port));
    let mut places: Vec<PathBuf> = runtime_folders().iter().map(|folder| folder.join(&name)).collect();
    // Where the unit in deploy/systemd has it.
    places.push(Path::new("/run/bifrost").join(&name));
    Ok(places)
}

/// Nobody may be reading: that is no reason to stop.
fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(lines: &[&str]) -> io::Result<bool> {
        read(&mut lines.iter().map(|line| Ok((*line).to_owned())))
    }

    #[test]
    fn the_last_line_says_how_it_went() {
        assert!(told(&["it accepts config.json", "done: process 2 serves", "unread"]).unwrap());
        assert!(!told(&["failed: it ended before it served"]).unwrap());
    }

    #[test]
    fn a_gateway_that_dies_meanwhile_is_no_success() {
        assert!(told(&["process 2 starts"]).is_err());
    }
}
