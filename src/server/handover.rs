//! How the listening sockets go from one process to the next.
//!
//! Over the control socket of the running gateway, in lines:
//!
//! ```text
//! successor -> gateway    sockets
//! gateway   -> successor  127.0.0.1:8080 [::1]:8080        with the descriptors
//! successor -> gateway    serving 4800                     its process id, once it accepts
//! gateway   -> successor  yours                            and stops accepting
//! ```
//!
//! Both accept between `serving` and `yours`, so no connection waits. A successor that ends before `serving`, or
//! says nothing for [`PATIENCE`], changes nothing: the gateway never stopped.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, IoSlice, IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};

use super::life::Life;
use super::neighbour::{lives, trusted};
use super::notify;
use super::sockets::Kept;

/// The longest a successor may take from its first word to `serving`.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// The longest from a process's last closed socket to its end.
const DYING: Duration = Duration::from_secs(3);
/// No program that is started here may keep the port.
#[cfg(not(target_vendor = "apple"))]
const CLOSE_ON_EXEC: RecvFlags = RecvFlags::CMSG_CLOEXEC;
#[cfg(target_vendor = "apple")]
const CLOSE_ON_EXEC: RecvFlags = RecvFlags::empty();
/// Sockets in one message: two listeners with a handful of addresses each.
const MOST: usize = 32;

/// The first word of a successor.
pub const SOCKETS: &str = "sockets";
const SERVING: &str = "serving";
const YOURS: &str = "yours";

/// Sockets from a running gateway, which goes on serving until [`Inherited::finish`].
#[derive(Debug)]
pub struct Inherited {
    sockets: HashMap<String, TcpListener>,
    gateway: BufReader<UnixStream>,
    pid: Option<u32>,
}

impl Inherited {
    /// Asks the gateway behind the control socket at `path`.
    ///
    /// # Errors
    /// Nobody answers there, or somebody that must not be trusted.
    pub fn ask(path: &Path) -> io::Result<Self> {
        let words = |error: io::Error| {
            let place = path.display();
            let said =
                format!("--upgrade: no gateway hands over at {place}: {error}. Start without --upgrade");
            io::Error::new(error.kind(), said)
        };
        Self::connect(path).map_err(words)
    }

    fn connect(path: &Path) -> io::Result<Self> {
        let mut stream = UnixStream::connect(path)?;
        let pid = trusted(&stream)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        writeln!(stream, "{SOCKETS}")?;
        let (names, descriptors) = receive(&stream)?;
        if names.len() != descriptors.len() || names.is_empty() {
            let said = format!("{} sockets came for {} names", descriptors.len(), names.len());
            return Err(io::Error::new(io::ErrorKind::InvalidData, said));
        }
        let sockets = names.into_iter().zip(descriptors.into_iter().map(TcpListener::from)).collect();
        Ok(Self { sockets, gateway: BufReader::new(stream), pid })
    }

    /// The socket of this name, once.
    pub fn take(&mut self, name: &str) -> Option<TcpListener> {
        self.sockets.remove(name)
    }

    /// Tells that this process serves; afterwards it is the only one that accepts. Gives the predecessor's
    /// process id where the system tells it.
    ///
    /// # Errors
    /// The gateway serves on: it gave this process up, or has another successor.
    pub fn finish(mut self) -> io::Result<Option<u32>> {
        // What nobody asked for must not stay open: its callers would wait for ever.
        self.sockets.clear();
        let mut answer = String::new();
        let told = writeln!(self.gateway.get_mut(), "{SERVING} {}", std::process::id());
        let read = told.and_then(|()| self.gateway.read_line(&mut answer));
        match read {
            Ok(_) if answer.trim() == YOURS => Ok(self.pid),
            // It died in this very moment: then its callers are ours.
            _ if answer.is_empty() && self.pid.is_some_and(ended) => Ok(self.pid),
            _ => Err(io::Error::other(format!(
                "the running gateway did not hand over ({}); it serves on",
                if answer.is_empty() { "it gave no answer" } else { answer.trim() }
            ))),
        }
    }
}

/// The gateway's side: gives the sockets and waits until the successor serves. True when it took over.
///
/// # Errors
/// The successor left, or took too long.
pub fn offer(
    stream: BufReader<UnixStream>,
    successor: Option<u32>,
    kept: &Kept,
    life: &Life,
) -> io::Result<bool> {
    let mut stream = stream;
    stream.get_ref().set_read_timeout(Some(PATIENCE))?;
    kept.with(|names, sockets| {
        let text = format!("{}\n", names.join(" "));
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
        let mut rights = SendAncillaryBuffer::new(&mut space);
        if !rights.push(SendAncillaryMessage::ScmRights(sockets)) {
            return Err(io::Error::other(format!("more than {MOST} sockets")));
        }
        sendmsg(stream.get_ref(), &[IoSlice::new(text.as_bytes())], &mut rights, SendFlags::empty())?;
        Ok(())
    })?;
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let Some(own) = line.trim().strip_prefix(SERVING) else {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it ended before it served"));
    };
    // What it says itself is for systems that do not tell.
    let successor = successor.or_else(|| own.trim().parse().ok());
    let taken = life.hand_over(successor.unwrap_or_default());
    if let (true, Some(pid)) = (taken, successor) {
        notify::succeeded_by(pid);
    }
    let answer = if taken { YOURS } else { "another process has taken over" };
    // It serves whether or not it hears this.
    let _ = writeln!(stream.get_mut(), "{answer}");
    Ok(taken)
}

/// Whether a process that hung up has ended, now or in a moment: its sockets are closed before it is gone.
fn ended(pid: u32) -> bool {
    let until = Instant::now() + DYING;
    while lives(pid) {
        if Instant::now() >= until {
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    true
}

/// One line and the descriptors that came with it.
fn receive(stream: &UnixStream) -> io::Result<(Vec<String>, Vec<OwnedFd>)> {
    let mut text = [0; 4096];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
    let mut rights = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(stream.as_fd(), &mut [IoSliceMut::new(&mut text)], &mut rights, CLOSE_ON_EXEC)?;
    let mut descriptors = Vec::new();
    for message in rights.drain() {
        if let RecvAncillaryMessage::ScmRights(sockets) = message {
            descriptors.extend(sockets);
        }
    }
    let line = std::str::from_utf8(text.get(..received.bytes).unwrap_or_default()).unwrap_or_default();
    Ok((line.split_whitespace().map(str::to_owned).collect(), descriptors))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::server::sockets::listen;

    /// A gateway with one socket that offers it to whoever comes first.
    fn gateway(
        life: &Arc<Life>,
        successor: Option<u32>,
    ) -> (tempfile::TempDir, std::path::PathBuf, std::net::SocketAddr) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        let control = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let sockets = listen("127.0.0.1", 0, &mut None).unwrap();
        let (address, life) = (sockets[0].address, Arc::clone(life));
        std::thread::spawn(move || {
            let kept = Kept::of(&sockets).unwrap();
            let mut stream = BufReader::new(control.accept().unwrap().0);
            stream.read_line(&mut String::new()).unwrap();
            let _ = offer(stream, successor, &kept, &life);
        });
        (folder, path, address)
    }

    #[test]
    fn the_same_socket_arrives_and_is_handed_over_when_the_successor_serves() {
        let life = Arc::new(Life::default());
        let (_folder, path, address) = gateway(&life, Some(7));
        let mut inherited = Inherited::ask(&path).unwrap();
        assert!(inherited.take("127.0.0.1:1").is_none());
        let socket = inherited.take("127.0.0.1:0").unwrap();
        assert_eq!(socket.local_addr().unwrap(), address);
        assert_eq!(life.stage(), super::super::life::Stage::Serving);
        inherited.finish().unwrap();
        assert_eq!(life.stage(), super::super::life::Stage::HandedOver { to: 7 });
    }

    #[test]
    fn a_successor_that_was_given_up_is_told_so() {
        let life = Arc::new(Life::default());
        let (_folder, path, _) = gateway(&life, Some(7));
        let inherited = Inherited::ask(&path).unwrap();
        life.refuse(7);
        assert!(inherited.finish().unwrap_err().to_string().contains("serves on"));
    }

    #[test]
    fn where_the_system_does_not_name_the_successor_it_names_itself() {
        let life = Arc::new(Life::default());
        let (_folder, path, _) = gateway(&life, None);
        Inherited::ask(&path).unwrap().finish().unwrap();
        assert_eq!(life.stage(), super::super::life::Stage::HandedOver { to: std::process::id() });
    }

    #[test]
    fn a_gateway_that_dies_while_it_hands_over_is_succeeded() {
        let mut dying = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let (ours, theirs) = UnixStream::pair().unwrap();
        let inherited =
            Inherited { sockets: HashMap::new(), gateway: BufReader::new(ours), pid: Some(dying.id()) };
        let succeeds = std::thread::spawn(|| inherited.finish());
        let mut theirs = BufReader::new(theirs);
        theirs.read_line(&mut String::new()).unwrap();
        // Its sockets go first, and nobody buries it.
        drop(theirs);
        dying.kill().unwrap();
        assert_eq!(succeeds.join().unwrap().unwrap(), Some(dying.id()));
        dying.wait().unwrap();
    }

    #[test]
    fn nobody_there_is_told_with_advice() {
        let error = Inherited::ask(Path::new("/nonexistent/control.sock")).unwrap_err().to_string();
        assert!(error.contains("without --upgrade"), "{error}");
    }
}
