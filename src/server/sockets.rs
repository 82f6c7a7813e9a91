//! The listening sockets: bound here or inherited, given to Pingora, kept for a successor.
//!
//! Pingora would bind by itself and panic on a port in use. A socket that this process has bound before Pingora
//! sees it can be handed to another process at any time, and a start that cannot succeed ends with words.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd, IntoRawFd};
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use pingora_core::server::{ListenFds, ShutdownWatch};
use pingora_core::services::Service as PingoraService;

use super::handover::Inherited;

/// A socket under the address that was asked for: with port 0 not the one it has.
#[derive(Debug)]
pub struct Listening {
    pub name: String,
    pub socket: TcpListener,
    /// Where it listens.
    pub address: SocketAddr,
}

/// Sockets for a successor, as long as this process serves.
#[derive(Debug, Default)]
pub struct Kept(Mutex<Vec<Listening>>);

impl Kept {
    /// Keeps a second handle of each.
    ///
    /// # Errors
    /// The process has no file descriptors left.
    pub fn of(sockets: &[Listening]) -> io::Result<Self> {
        let again = |one: &Listening| {
            Ok(Listening { name: one.name.clone(), socket: one.socket.try_clone()?, address: one.address })
        };
        Ok(Self(Mutex::new(sockets.iter().map(again).collect::<io::Result<_>>()?)))
    }

    /// Lets them go: once Pingora has too, nobody is accepted here any more.
    pub fn close(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Names and descriptors, as long as `look` runs.
    pub fn with<R>(&self, look: impl FnOnce(&[&str], &[BorrowedFd<'_>]) -> R) -> R {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let names: Vec<&str> = kept.iter().map(|one| one.name.as_str()).collect();
        let sockets: Vec<BorrowedFd<'_>> = kept.iter().map(|one| one.socket.as_fd()).collect();
        look(&names, &sockets)
    }
}

/// What listens on `host` and `port`: taken over where a predecessor has it, else bound.
///
/// # Errors
/// No address of the host can be listened on, or one is taken.
pub fn listen(host: &str, port: u16, inherited: &mut Option<Inherited>) -> io::Result<Vec<Listening>> {
    let mut opened: Vec<Listening> = Vec::new();
    let mut first_error = None;
    for asked in addresses(host, port)? {
        // Port 0 is chosen once, for the first address.
        let port = opened.first().map_or(port, |first| first.address.port());
        match open(asked, port, inherited) {
            Ok(one) => opened.push(one),
            Err(error) => first_error = first_error.or(Some((asked, error))),
        }
    }
    match (opened.is_empty(), first_error) {
        (false, None) => Ok(opened),
        // A machine without IPv6 cannot listen on `localhost`'s second address: that is no fault. A
        // port that is taken is.
        (false, Some((_, error))) if error.kind() != io::ErrorKind::AddrInUse => Ok(opened),
        (_, Some((address, error))) => Err(listen_error(address, &error)),
        (true, None) => Err(io::Error::other(format!("--host {host} has no address"))),
    }
}

fn addresses(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let mut found: Vec<SocketAddr> = match host.parse::<IpAddr>() {
        Ok(ip) => vec![SocketAddr::new(ip, port)],
        Err(_) => (host, port)
            .to_socket_addrs()
            .map_err(|error| io::Error::new(error.kind(), format!("--host {host}: {error}")))?
            .collect(),
    };
    found.sort();
    found.dedup();
    Ok(found)
}

fn open(asked: SocketAddr, port: u16, inherited: &mut Option<Inherited>) -> io::Result<Listening> {
    let name = asked.to_string();
    let socket = match inherited.as_mut().and_then(|from| from.take(&name)) {
        Some(socket) => socket,
        None => TcpListener::bind(SocketAddr::new(asked.ip(), port))?,
    };
    socket.set_nonblocking(true)?;
    let address = socket.local_addr()?;
    Ok(Listening { name, socket, address })
}

fn listen_error(address: SocketAddr, error: &io::Error) -> io::Error {
    let advice = match error.kind() {
        io::ErrorKind::AddrInUse => {
            ": another process listens there. Stop it, choose another --port, or take over with --upgrade"
        }
        io::ErrorKind::PermissionDenied => ": ports below 1024 need privileges",
        _ => "",
    };
    io::Error::new(error.kind(), format!("cannot listen on {address}: {error}{advice}"))
}

/// A Pingora service that finds its sockets open.
pub struct OnSockets<S> {
    pub service: S,
    pub sockets: Vec<Listening>,
}

#[async_trait]
impl<S: PingoraService> PingoraService for OnSockets<S> {
    async fn start_service(&mut self, fds: Option<ListenFds>, shutdown: ShutdownWatch, per_socket: usize) {
        if let Some(table) = &fds {
            let mut table = table.lock();
            for one in self.sockets.drain(..) {
                // Pingora looks here before it binds; the descriptor is its own from now on.
                table.add(one.name, one.socket.into_raw_fd());
            }
        }
        self.service.start_service(fds, shutdown, per_socket).await;
    }

    fn name(&self) -> &str {
        self.service.name()
    }

    fn threads(&self) -> Option<usize> {
        self.service.threads()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_0_is_chosen_once_and_kept_under_the_name_that_was_asked_for() {
        let sockets = listen("127.0.0.1", 0, &mut None).unwrap();
        assert_eq!(sockets[0].name, "127.0.0.1:0");
        assert_ne!(sockets[0].address.port(), 0);
        let both = listen("localhost", 0, &mut None).unwrap();
        assert!(both.iter().all(|one| one.address.port() == both[0].address.port()));
    }

    #[test]
    fn a_port_that_is_taken_is_told_with_advice() {
        let taken = listen("127.0.0.1", 0, &mut None).unwrap();
        let port = taken[0].address.port();
        let error = listen("127.0.0.1", port, &mut None).unwrap_err().to_string();
        assert!(error.contains(&port.to_string()) && error.contains("--upgrade"), "{error}");
    }

    #[test]
    fn a_socket_that_was_let_go_is_closed() {
        let sockets = listen("127.0.0.1", 0, &mut None).unwrap();
        let address = sockets[0].address;
        let kept = Kept::of(&sockets).unwrap();
        drop(sockets);
        assert!(std::net::TcpStream::connect(address).is_ok(), "kept for a successor");
        kept.close();
        assert!(std::net::TcpStream::connect(address).is_err());
    }
}
