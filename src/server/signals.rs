//! What the process does when it is told something, and the moment from which it serves.
//!
//! SIGTERM and SIGINT end after the last request, SIGUSR2 upgrades, SIGHUP reloads. Pingora's own fast shutdown
//! on SIGINT can hang with one runtime per thread, and its hand-over on SIGQUIT ends the old process whether or
//! not there is a new one: neither is used.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use pingora_core::server::{ShutdownSignal, ShutdownSignalWatch};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::control::Control;
use super::handover::Inherited;
use super::life::{Life, Stage};
use super::notify;
use super::pid_file::PidFile;
use crate::config::ConfigHolder;
use crate::proxy::Gateway;
use crate::proxy::front::Farewell;
use crate::telemetry::events::{Event, emit, step};
use crate::telemetry::logger::Sink;

/// How long a kept-alive connection may stay idle after a hand-over: its next request is answered with
/// `connection: close`, so that callers move over without a failure.
const IDLE_AFTER_HANDOVER: Duration = Duration::from_secs(5);
/// The exit code of a process that was told twice.
const TOLD_TWICE: i32 = 130;

/// Receives signals, and tells the world when Pingora has started.
pub struct Signals {
    pub config: Arc<ConfigHolder>,
    pub gateway: Arc<Gateway>,
    pub life: Arc<Life>,
    pub control: Arc<Control>,
    pub farewell: Arc<Farewell>,
    pub pid_file: PidFile,
    /// What was taken over and is still to be confirmed.
    pub inherited: Mutex<Option<Inherited>>,
    pub limits: Limits,
}

/// How long an end may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// New connections are served on for this long after SIGTERM.
    pub delay: Duration,
    /// For requests in flight after that.
    pub grace: Duration,
    /// For requests in flight after a hand-over.
    pub handover_grace: Duration,
}

/// What ends the process.
struct Heard {
    terminate: Signal,
    interrupt: Signal,
}

/// What it does meanwhile.
struct Asked {
    quit: Signal,
    upgrade: Signal,
    hang_up: Signal,
}

#[async_trait]
impl ShutdownSignalWatch for Signals {
    async fn recv(&self) -> ShutdownSignal {
        // Before anybody is told that this process serves: until then a signal would kill it.
        let heard = heard();
        let serves = self.serve();
        match heard {
            Ok((heard, asked)) if serves => self.listen(heard, asked).await,
            Ok((heard, _)) => self.give_up(heard),
            Err(error) => {
                log::error!("signals cannot be received: {error}");
                std::future::pending().await
            }
        }
    }
}

impl Signals {
    /// Pingora accepts: the predecessor may stop, and whoever waits for this process may go on. False when it does
    /// not stop.
    fn serve(&self) -> bool {
        let inherited = self.inherited.lock().unwrap_or_else(PoisonError::into_inner).take();
        let succeeds = inherited.is_some();
        if let Some(inherited) = inherited {
            match inherited.finish() {
                Ok(Some(pid)) => step(&format!("took over from process {pid}")),
                Ok(None) => step("took over"),
                Err(error) => {
                    log::error!("{error}");
                    return false;
                }
            }
        }
        if let Err(error) = self.control.open(succeeds) {
            log::warn!("no upgrade without downtime: {}: {error}", self.control.path.display());
        }
        self.pid_file.write();
        notify::ready();
        true
    }

    async fn listen(&self, mut heard: Heard, mut asked: Asked) -> ShutdownSignal {
        let mut stages = self.life.watch();
        let delay = loop {
            if let Stage::HandedOver { to } = self.life.stage() {
                return self.hand_over(to, heard);
            }
            tokio::select! {
                _ = heard.terminate.recv() => break self.limits.delay,
                _ = heard.interrupt.recv() => break Duration::ZERO,
                _ = stages.changed() => {}
                _ = asked.upgrade.recv() => self.upgrade(),
                _ = asked.quit.recv() => log::warn!(
                    "SIGQUIT does nothing: a process started with --upgrade takes over by itself, \
                     and SIGUSR2 starts one"
                ),
                _ = asked.hang_up.recv() => {
                    let config = Arc::clone(&self.config);
                    // Problems are logged there; the old configuration stays.
                    let _ = tokio::task::spawn_blocking(move || config.reload().is_ok()).await;
                }
            }
        };
        self.end(delay, heard).await
    }

    fn upgrade(&self) {
        let control = Arc::clone(&self.control);
        let run = move || {
            let mut say = |line: &str| step(line);
            if let Err(reason) = control.launch.run(None, &control.life, &mut say) {
                emit(Event::UpgradeFailed { why: &reason.to_string() });
            }
        };
        if let Err(error) = std::thread::Builder::new().name("upgrade".to_owned()).spawn(run) {
            emit(Event::UpgradeFailed { why: &error.to_string() });
        }
    }

    /// The end without a successor.
    async fn end(&self, delay: Duration, mut heard: Heard) -> ShutdownSignal {
        self.life.end();
        if let Stage::HandedOver { to } = self.life.stage() {
            return self.hand_over(to, heard);
        }
        self.gateway.draining.store(true, Ordering::Relaxed);
        self.gateway.hub.close();
        self.farewell.announce(Duration::ZERO);
        self.control.close(true);
        let limits = self.limits;
        notify::stopping(delay + limits.grace + Duration::from_secs(10));
        let mut stages = self.life.watch();
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            // A successor that was about to serve.
            _ = stages.changed() => {}
            () = heard.any() => end_now(&self.gateway.log),
        }
        self.life.cut_in(limits.grace);
        self.control.kept.close();
        let log = Arc::clone(&self.gateway.log);
        tokio::spawn(async move {
            heard.any().await;
            end_now(&log);
        });
        ShutdownSignal::GracefulTerminate
    }

    /// The end of a process that may not take over. It has accepted connections meanwhile: they are served.
    fn give_up(&self, mut heard: Heard) -> ShutdownSignal {
        self.life.fail();
        self.gateway.hub.close();
        self.farewell.announce(Duration::ZERO);
        self.control.kept.close();
        self.life.cut_in(self.limits.grace);
        let log = Arc::clone(&self.gateway.log);
        tokio::spawn(async move {
            heard.any().await;
            end_now(&log);
        });
        ShutdownSignal::GracefulTerminate
    }

    /// The end of a process that has a successor: its callers notice nothing.
    fn hand_over(&self, to: u32, mut heard: Heard) -> ShutdownSignal {
        emit(Event::HandedOver { to });
        self.gateway.hub.close();
        self.farewell.announce(IDLE_AFTER_HANDOVER);
        self.control.close(false);
        self.control.kept.close();
        self.life.cut_in(self.limits.handover_grace);
        let (life, grace, log) = (Arc::clone(&self.life), self.limits.grace, Arc::clone(&self.gateway.log));
        tokio::spawn(async move {
            // Meant for the service as a whole: the streams that are left get the usual grace.
            heard.any().await;
            life.cut_in(grace);
            heard.any().await;
            end_now(&log);
        });
        ShutdownSignal::GracefulTerminate
    }
}

/// Without waiting for anything but the lines of requests that have ended.
fn end_now(log: &Sink) -> ! {
    log.flush();
    std::process::exit(TOLD_TWICE)
}

fn heard() -> io::Result<(Heard, Asked)> {
    let heard =
        Heard { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? };
    let asked = Asked {
        quit: signal(SignalKind::quit())?,
        upgrade: signal(SignalKind::user_defined2())?,
        hang_up: signal(SignalKind::hangup())?,
    };
    Ok((heard, asked))
}

impl Heard {
    async fn any(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
