//! Room for connections: each request in flight has two descriptors.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit of open files to what the system allows. Shells and service managers start processes with
/// 1,024, which five hundred streams use up.
pub fn raise() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return;
    }
    let all = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, all) {
        log::warn!("the limit of open files stays at {}: {error}", limit.current.unwrap_or(u64::MAX));
    }
}
