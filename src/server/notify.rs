//! Tells the service manager how this process stands (`sd_notify`), where there is one.
//!
//! One datagram per message to the socket that `NOTIFY_SOCKET` names: so little that a crate would be longer to
//! read. Without the variable nothing happens.

use std::ffi::OsString;
use std::io;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

/// This process serves: `systemctl start` returns.
pub fn ready() {
    tell(&format!("READY=1\nMAINPID={}\nSTATUS=Serving", std::process::id()));
}

/// Process `pid` is the service from now on. Only the service's own process may say that, so it is said before
/// the other one speaks.
pub fn succeeded_by(pid: u32) {
    tell(&format!("MAINPID={pid}\nSTATUS=Handed over to process {pid}"));
}

/// This process ends, and may take `longest` to do it.
pub fn stopping(longest: Duration) {
    let allowed = longest.as_micros();
    tell(&format!("STOPPING=1\nSTATUS=Waiting for the last request\nEXTEND_TIMEOUT_USEC={allowed}"));
}

fn tell(message: &str) {
    let Some(place) = std::env::var_os("NOTIFY_SOCKET") else { return };
    if let Err(error) = send(&place, message) {
        log::warn!("the service manager was not told: {error}");
    }
}

fn send(place: &OsString, message: &str) -> io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    #[cfg(target_os = "linux")]
    if let Some(name) = place.to_str().and_then(|place| place.strip_prefix('@')) {
        use std::os::linux::net::SocketAddrExt;
        let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
        return socket.send_to_addr(message.as_bytes(), &address).map(drop);
    }
    socket.send_to(message.as_bytes(), place).map(drop)
}
