//! The `bifrost` binary: everything is in the library.

use std::process::ExitCode;

/// Pingora allocates per request from many threads: mimalloc costs a fifth less CPU than glibc's malloc
/// (load-tests/README.md has the figures).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    bifrost::cli::run()
}
