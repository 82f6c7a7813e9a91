//! `concurrency_and_buffer_size`: how many requests may be open at a provider, and how many may wait.

use std::time::Duration;

use govern::queue::Limits;

use super::provider::Entry;
use super::{Compiler, seconds};
use crate::config::raw;

/// The limits of an entry, and the longest wait.
pub(super) fn compile(compiler: &mut Compiler<'_>, entry: &Entry<'_>) -> (Limits, Option<Duration>) {
    let most = entry.raw.network_config.max_conns_per_host;
    let Some(raw) = &entry.raw.concurrency_and_buffer_size else {
        let waiting = raw::Concurrency::default().buffer_size;
        return (Limits { places: most, per_target: None, waiting, adaptive: false }, None);
    };
    if raw.concurrency > most {
        let message = format!("only {most} may be open: network_config.max_conns_per_host is less");
        compiler.warn(&entry.at("concurrency_and_buffer_size/concurrency"), message);
    }
    let limits = Limits {
        places: raw.concurrency.min(most),
        per_target: raw.per_key,
        waiting: raw.buffer_size,
        adaptive: raw.adaptive,
    };
    (limits, raw.max_wait_in_seconds.map(seconds))
}
