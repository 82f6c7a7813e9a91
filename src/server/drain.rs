//! Ends the process as soon as the last request has ended. Pingora would sleep its whole grace period.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pingora_core::server::ExecutionPhase;
use prometheus::IntGauge;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::life::{Life, Stage};
use super::pid_file::PidFile;
use crate::cache::Cache;
use crate::config::ConfigHolder;
use crate::observe::Observer;
use crate::proxy::front::Farewell;
use crate::telemetry::logger::Sink;

/// Nothing was open for this long: a connection that was accepted just now has not counted its request yet.
const QUIET: Duration = Duration::from_millis(250);
/// Connections that are open after their patience and this long are not waited for: they have nothing to say.
const MARGIN: Duration = Duration::from_millis(1_500);
/// What requests left behind is written within this time.
const LAST_WORDS: Duration = Duration::from_secs(3);
/// After a hand-over, handshakes under way get this long to become requests.
const AT_LEAST: Duration = Duration::from_secs(1);

/// What tells whether anything is left.
pub struct Drain {
    pub in_flight: IntGauge,
    pub life: Arc<Life>,
    pub farewell: Arc<Farewell>,
    pub pid_file: PidFile,
    pub log: Arc<Sink>,
    pub observer: Arc<Observer>,
    pub cache: Arc<Cache>,
    pub config: Arc<ConfigHolder>,
}

impl Drain {
    /// Runs until Pingora has stopped accepting and nothing is open; then the process ends.
    pub fn run(self, mut phases: Receiver<ExecutionPhase>) {
        loop {
            match phases.blocking_recv() {
                Ok(ExecutionPhase::ShutdownStarted | ExecutionPhase::ShutdownGracePeriod) => break,
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            }
        }
        let began = Instant::now();
        let mut quiet_since = began;
        while !self.is_over(began, quiet_since) {
            std::thread::sleep(Duration::from_millis(10));
            if self.in_flight.get() > 0 {
                quiet_since = Instant::now();
            }
        }
        match self.in_flight.get() {
            0 => log::info!("the last request has ended"),
            cut => log::warn!("the grace period is over: {cut} requests are cut"),
        }
        self.pid_file.remove();
        self.observer.finish(LAST_WORDS);
        self.cache.finish(self.cleans_up(), LAST_WORDS);
        self.log.flush();
        std::process::exit(self.life.exit_code());
    }

    /// Kept answers go with the process. One that was handed over to has them.
    fn cleans_up(&self) -> bool {
        let handed_over = matches!(self.life.stage(), Stage::HandedOver { .. });
        !handed_over && self.config.load_full().cache.as_ref().is_some_and(|cache| cache.cleanup)
    }

    fn is_over(&self, began: Instant, quiet_since: Instant) -> bool {
        if self.life.is_cut() {
            return true;
        }
        let handed_over = matches!(self.life.stage(), Stage::HandedOver { .. });
        if handed_over && began.elapsed() < AT_LEAST {
            return false;
        }
        let quiet = quiet_since.elapsed();
        (quiet >= QUIET && self.life.connections() == 0) || quiet >= self.farewell.after_an_answer() + MARGIN
    }
}
