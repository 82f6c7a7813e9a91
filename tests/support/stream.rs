//! A connection of the scripted upstream, with or without TLS.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use rustls::{ServerConnection, StreamOwned};

/// Plain or TLS.
pub enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ServerConnection, TcpStream>>),
}

impl Stream {
    fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(tls) => &tls.sock,
        }
    }

    /// Ends the connection with a TCP reset.
    pub fn reset(self) {
        use std::os::fd::AsRawFd;
        let linger = libc::linger { l_onoff: 1, l_linger: 0 };
        // SAFETY: the descriptor is open and the option's value has the size that is named.
        #[allow(unsafe_code)]
        unsafe {
            libc::setsockopt(
                self.socket().as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_LINGER,
                std::ptr::from_ref(&linger).cast(),
                libc::socklen_t::try_from(size_of::<libc::linger>()).expect("small"),
            );
        }
    }

    /// Ends the connection in good order.
    pub fn close(&self) {
        let _ = self.socket().shutdown(Shutdown::Both);
    }

    /// Waits `pause` (for ever without), but no longer than the peer stays. False when it left.
    pub fn outlast(&self, pause: Option<Duration>) -> bool {
        let began = Instant::now();
        let mut byte = [0; 1];
        loop {
            let left = pause.map(|pause| pause.saturating_sub(began.elapsed()));
            if left.is_some_and(|left| left.is_zero()) {
                return true;
            }
            let step = left.unwrap_or(Duration::from_secs(1)).max(Duration::from_millis(1));
            let _ = self.socket().set_read_timeout(Some(step));
            match self.socket().peek(&mut byte) {
                Ok(0) => return false,
                // A pipelined request: the peer is there.
                Ok(_) => std::thread::sleep(step.min(Duration::from_millis(5))),
                Err(error) if is_timeout(&error) => {}
                Err(_) => return false,
            }
        }
    }

    pub fn set_read_timeout(&self, limit: Option<Duration>) {
        let _ = self.socket().set_read_timeout(limit);
    }
}

/// The read ended because its time did.
pub fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(buffer),
            Self::Tls(tls) => tls.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(bytes),
            Self::Tls(tls) => tls.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.flush(),
            Self::Tls(tls) => tls.flush(),
        }
    }
}
