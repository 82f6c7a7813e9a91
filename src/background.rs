//! The runtime for everything that no caller waits for: stores, clusters, the administration, renewals.
//!
//! Proxy threads have a runtime each and must never block; whoever has a connection that many use, or work that
//! takes milliseconds, does it here.

use std::io;
use std::sync::mpsc;
use std::thread;

use tokio::runtime::{Builder, Handle};

/// Starts the runtime on a thread of its own, which lives as long as the process.
///
/// # Errors
/// The thread or the runtime cannot be made.
pub fn start() -> io::Result<Handle> {
    start_as("background", || {})
}

/// The same under another name; `prepare` runs on its thread first: threads that are made there take after it.
///
/// # Errors
/// The thread or the runtime cannot be made.
pub fn start_as(name: &str, prepare: impl FnOnce() + Send + 'static) -> io::Result<Handle> {
    let (tell, told) = mpsc::sync_channel(1);
    thread::Builder::new().name(name.to_owned()).spawn(move || {
        prepare();
        let made = Builder::new_current_thread().enable_all().build();
        match made {
            Ok(runtime) => {
                drop(tell.send(Ok(runtime.handle().clone())));
                runtime.block_on(std::future::pending::<()>());
            }
            Err(error) => drop(tell.send(Err(error))),
        }
    })?;
    told.recv().map_err(io::Error::other)?
}
