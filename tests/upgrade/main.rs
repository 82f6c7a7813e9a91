//! Upgrades that nobody notices: many open streams and a request loop while the binary is replaced again and
//! again. Short by default; `make upgrade-test` runs it with 1,000 streams and five replacements.
//!
//! Environment: `UPGRADE_STREAMS` open at a time, `UPGRADE_TIMES`, `UPGRADE_WORDS` per stream, and
//! `UPGRADE_WORD_MILLIS` between them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod callers;
mod gateway;
mod tally;
mod upstream;

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use callers::{Extent, Load};
use gateway::{Fleet, Scheme};
use tally::Tally;
use upstream::Pace;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().expect("a number"))
}

/// Polls for what nothing announces.
fn until(what: &str, limit: Duration, mut look: impl FnMut() -> bool) {
    let end = Instant::now() + limit;
    while !look() {
        assert!(Instant::now() < end, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

struct Stage {
    fleet: Fleet,
    load: Load,
    tally: Arc<Tally>,
    streams: u64,
    longest: Duration,
}

impl Stage {
    /// A gateway under load: every stream is open and every loop has been answered.
    fn set(streams: u64, pace: Pace) -> Self {
        gateway::raise_descriptors();
        let upstream = upstream::start(pace);
        let fleet = Fleet::launch(upstream);
        let tally = Arc::new(Tally::default());
        // Some are between two streams at any time.
        let callers = streams + streams / 5;
        let lasting = pace.between * u32::try_from(pace.words).unwrap();
        let extent = Extent { streams: callers, lasting, words: pace.words, loops: 4 };
        let load = Load::start(&fleet, extent, Arc::clone(&tally));
        let longest = lasting + Duration::from_secs(60);
        let stage = Self { fleet, load, tally, streams, longest };
        stage.wait_for_load(0);
        stage
    }

    /// As many streams are open as there should be, and each kind of loop got answers beyond `from`. Gives how
    /// many streams.
    fn wait_for_load(&self, from: u64) -> u64 {
        let tally = &self.tally;
        let mut open = 0;
        until("the load", self.longest, || {
            assert!(!tally.has_failed(), "{tally}\n{}", tally.reasons());
            open = tally.open.get();
            open >= self.streams && tally.least_answered() > from + 10
        });
        open
    }

    /// Ends the gateway while streams are open. Nothing new begins; what is open is read to its end.
    fn finish(mut self) -> Arc<Tally> {
        self.load.begin_nothing();
        until("the loops to end", self.longest, || self.load.active() == self.tally.open.get());
        self.tally.open_at_end.set(self.tally.open.get());
        self.fleet.end();
        self.load.join();
        self.tally
    }
}

/// What one replacement took.
struct Round {
    /// From the command's start to the new process serving.
    took: Duration,
    /// From the end of the last stream of the old process to its exit.
    lingered: Duration,
}

fn replace(stage: &mut Stage) -> Round {
    let old = stage.fleet.pid();
    stage.fleet.install_next();
    let asked = Instant::now();
    let output = stage.fleet.upgrade();
    let served = Instant::now();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    stage.fleet.follow();
    let new = stage.fleet.pid();
    assert_ne!(new, old, "{text}");
    assert!(stage.fleet.runs_what_was_installed(), "process {new} runs another binary");
    // Connections from before this moment are the old process's, but for a few, all others the new one's.
    let generation = stage.tally.next_generation();
    until("the old process to end", stage.longest, || !gateway::lives(old));
    let ended = Instant::now();
    let last = stage.tally.last_end_before(generation);
    Round {
        took: served - asked,
        lingered: last.map_or(Duration::ZERO, |last| ended.saturating_duration_since(last)),
    }
}

#[test]
fn no_request_fails_and_no_stream_breaks_while_the_binary_is_replaced() {
    let streams = number("UPGRADE_STREAMS", 60);
    let times = number("UPGRADE_TIMES", 2);
    let words = number("UPGRADE_WORDS", 10);
    let between = Duration::from_millis(number("UPGRADE_WORD_MILLIS", 100));
    let mut stage = Stage::set(streams, Pace { words, between });
    let began = Instant::now();
    for round in 1..=times {
        let open = stage.wait_for_load(stage.tally.least_answered());
        let Round { took, lingered } = replace(&mut stage);
        println!(
            "upgrade {round}: {open} streams open; the new process served after {} ms, \
             the old one ended {} ms after its last stream",
            took.as_millis(),
            lingered.as_millis()
        );
        assert!(lingered < Duration::from_secs(10), "the old process stayed for {lingered:?}");
    }
    let tally = stage.finish();
    println!("{tally} in {:.0} s", began.elapsed().as_secs_f64());
    assert!(!tally.has_failed(), "{}", tally.reasons());
    assert!(tally.streams.get() >= streams * times);
}

/// The negative control: the same load, and a process that is killed instead.
#[test]
fn the_load_sees_it_when_a_process_is_killed_instead() {
    let mut stage = Stage::set(20, Pace { words: 10, between: Duration::from_millis(100) });
    let old = stage.fleet.pid();
    assert!(Command::new("kill").arg("-9").arg(old.to_string()).status().unwrap().success());
    until("the process to end", stage.longest, || !gateway::lives(old));
    stage.fleet.start_again();
    let tally = stage.tally.clone();
    until("broken streams to be seen", stage.longest, || tally.broken_streams.get() >= 20);
    let tally = stage.finish();
    println!("killed: {tally}");
    assert!(tally.has_failed());
}

#[test]
fn https_and_http_2_move_over_too() {
    let mut stage = Stage::set(5, Pace { words: 10, between: Duration::from_millis(100) });
    for _ in 0..2 {
        let answered = [Scheme::Https, Scheme::H2c].map(|scheme| stage.tally.answered(scheme).get());
        replace(&mut stage);
        for (scheme, before) in [Scheme::Https, Scheme::H2c].into_iter().zip(answered) {
            until("answers of the new process", stage.longest, || {
                stage.tally.answered(scheme).get() > before + 20 || stage.tally.has_failed()
            });
        }
    }
    let tally = stage.finish();
    assert!(!tally.has_failed(), "{}", tally.reasons());
}
