//! The short form of `make chaos`: the real gateway between callers that check every answer and providers that
//! misbehave at random, by a fixed seed. And its negative control: without a gateway the same checks find what
//! is broken.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use load_tests::chaos::report::Report;
use load_tests::chaos::soak::{self, Settings};

fn run(gateway: Option<PathBuf>, seconds: u64, callers: usize) -> Report {
    // Side by side they would take each other's time.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let length = Duration::from_secs(seconds);
    let settings = Settings { seed: 20, length, callers, gateway, only: None, forced: Vec::new() };
    let report = runtime.block_on(soak::run(settings)).unwrap();
    println!("{}", report.text());
    report
}

#[test]
fn every_caller_gets_the_whole_answer_or_a_clean_error_whatever_providers_do() {
    let report = run(Some(PathBuf::from(env!("CARGO_BIN_EXE_bifrost"))), 20, 40);
    assert!(report.found.is_empty(), "{} violations", report.found.len());
    // A run without faults, or one in which nothing was served, would show nothing.
    let whole = report.complete();
    assert!(whole > 300 && whole * 10 > report.requests() * 7, "{whole} of {} complete", report.requests());
    assert!(report.bad() > 50, "{} bad attempts", report.bad());
}

#[test]
fn without_a_gateway_the_checks_find_broken_answers() {
    let report = run(None, 6, 40);
    let kinds = report.kinds();
    for kind in ["cut", "no answer", "no JSON", "wrong text"] {
        assert!(kinds.contains_key(kind), "{kind} is not among {kinds:?}");
    }
}
