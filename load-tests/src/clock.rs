//! One clock for two programs. `Instant` has no meaning outside its own program, so the mock and the
//! client both read CLOCK_MONOTONIC, which is the same for every program on the machine.

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds of CLOCK_MONOTONIC: comparable between programs on one machine, not between machines.
pub fn monotonic_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(now.tv_nsec).unwrap_or(0);
    seconds * 1_000_000_000 + nanos
}
