//! The run: providers, gateway, callers; weather until the faults end, then calm until all is well again.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::caller::{Caller, Told};
use super::dice::Dice;
use super::errand::{Errand, Manner};
use super::explain::explain;
use super::fault::Fault;
use super::gateway::Gateway;
use super::judge::{Heard, Outcome, Violation, judge, output_tokens, violation};
use super::ledger::{Ledger, Visit};
use super::provider::{self, Stage};
use super::providers::{LIMITS, PROVIDERS, gateway_config};
use super::report::Report;
use super::schedule::Schedule;
use super::stalls::Stalls;

/// What to run.
#[derive(Debug, Clone)]
pub struct Settings {
    pub seed: u64,
    /// How long there are faults.
    pub length: Duration,
    pub callers: usize,
    /// The program; without, callers ask the providers themselves.
    pub gateway: Option<PathBuf>,
    /// One request alone, instead of a soak.
    pub only: Option<u64>,
    /// Faults of the first, second, … attempt of every request, instead of thrown ones.
    pub forced: Vec<Fault>,
}

/// A provider must be left this soon after its caller is gone or served.
const FORGOTTEN: Duration = Duration::from_secs(10);
/// All must be well this soon after the last fault.
const RECOVERY: Duration = Duration::from_secs(60);
/// Runs shorter than this say nothing of memory: it is still being warmed.
const FLAT_FROM: Duration = Duration::from_secs(120);

/// What all callers of a run share.
struct Run {
    stage: Arc<Stage>,
    settings: Settings,
    address: Vec<SocketAddr>,
    gateway: Option<Mutex<Gateway>>,
    next: AtomicU64,
    stop: AtomicBool,
    report: Mutex<Report>,
}

/// Runs it.
///
/// # Errors
/// The gateway cannot be started, or there is no port.
pub async fn run(settings: Settings) -> io::Result<Report> {
    let mut listeners = Vec::new();
    for _ in PROVIDERS {
        listeners.push(provider::listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?);
    }
    let addresses: Vec<SocketAddr> =
        listeners.iter().map(tokio::net::TcpListener::local_addr).collect::<io::Result<_>>()?;
    let gateway = match &settings.gateway {
        Some(binary) => Some(Gateway::start(binary, &gateway_config(&addresses)).await?),
        None => None,
    };
    let calm = settings.only.is_some() || !settings.forced.is_empty();
    let schedule = if calm { Schedule::calm() } else { Schedule::new(settings.seed, settings.length) };
    let (close, closing) = watch::channel(false);
    let stage = Arc::new(Stage {
        seed: settings.seed,
        schedule,
        began: Instant::now(),
        ledger: Ledger::default(),
        stalls: Stalls::default(),
        forced: settings.forced.clone(),
        closing,
    });
    let mut serving = JoinSet::new();
    for (index, listener) in listeners.into_iter().enumerate() {
        serving.spawn(provider::serve(Arc::clone(&stage), index, listener));
    }
    let report = Report {
        seed: settings.seed,
        seconds: settings.length.as_secs(),
        callers: settings.callers,
        idle: (gateway.as_ref().map(Gateway::sample).unwrap_or_default(), <_>::default()),
        ..Report::default()
    };
    let run = Arc::new(Run {
        stage,
        address: addresses,
        gateway: gateway.map(Mutex::new),
        next: AtomicU64::new(settings.only.unwrap_or(1)),
        settings,
        stop: AtomicBool::new(false),
        report: Mutex::new(report),
    });
    run.load().await;
    run.settle(&close).await;
    run.finish();
    let report = std::mem::take(&mut *lock(&run.report));
    Ok(report)
}

impl Run {
    async fn load(self: &Arc<Self>) {
        let mut callers = JoinSet::new();
        let count = if self.settings.only.is_some() { 1 } else { self.settings.callers };
        for number in 0..count {
            callers.spawn(Arc::clone(self).caller(number));
        }
        if self.settings.only.is_none() {
            let watched = self.gateway.as_ref().map(|gateway| lock(gateway).address);
            tokio::select! {
                () = async { self.weather().await; self.calm().await } => {}
                () = async { match watched {
                    Some(address) => self.stage.stalls.watch(address).await,
                    None => std::future::pending().await,
                } } => {}
            }
            self.stop.store(true, Ordering::Relaxed);
        }
        let patience = LIMITS.total + LIMITS.slack * 2;
        let all = async { while callers.join_next().await.is_some() {} };
        if tokio::time::timeout(patience, all).await.is_err() {
            self.note("a caller never ended", "");
        }
    }

    /// One caller after another request, until the run stops.
    async fn caller(self: Arc<Self>, number: usize) {
        let mut dice = Dice::of(&[self.settings.seed, 6, number as u64]);
        let mut kept = None;
        // They do not begin in step.
        tokio::time::sleep(Duration::from_millis(dice.below(1_000))).await;
        while !self.stop.load(Ordering::Relaxed) {
            let id = self.next.fetch_add(1, Ordering::Relaxed);
            let mut errand = Errand::of(self.settings.seed, id);
            let direct = self.gateway.is_none();
            if direct {
                errand.go_direct();
            }
            let address = self.address_for(&errand);
            let mut caller = kept.take().unwrap_or_else(|| Caller::new(address, direct));
            self.errand(&mut caller, &errand).await;
            // Half of the requests come on a connection of their own; a provider has one address each.
            kept = Some(caller).filter(|_| !direct && dice.chance(500));
            if self.settings.only.is_some() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(dice.below(600))).await;
        }
    }

    fn address_for(&self, errand: &Errand) -> SocketAddr {
        let lock = self.gateway.as_ref().map(|gateway| lock(gateway));
        let first = errand.route.first().map_or(0, |step| step.0);
        lock.map(|gateway| gateway.address)
            .or_else(|| self.address.get(first).copied())
            .unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 9)))
    }

    async fn errand(&self, caller: &mut Caller, errand: &Errand) {
        let asked_at = Instant::now();
        let told = caller.ask(errand).await;
        let took = u64::try_from(asked_at.elapsed().as_millis()).unwrap_or(u64::MAX);
        let left = matches!(told, Ok(Told::Left));
        let visits = self.stage.ledger.close(errand.id, left);
        let mut heard = Heard::default();
        let outcome = told.and_then(|told| match told {
            Told::Left => Ok(Outcome::Left),
            Told::Heard(answer) => {
                heard = answer;
                let outcome = judge(errand.dialect, errand.stream, &heard, &errand.text())?;
                counted(errand, outcome, &heard, &visits)?;
                let excused = explain(&self.stage, errand, outcome, &visits, asked_at)?;
                self.report().excused += u64::from(excused);
                Ok(outcome)
            }
        });
        if self.settings.only.is_some() {
            println!("{errand:?}\n{}\n{visits:#?}", String::from_utf8_lossy(&heard.body));
        }
        let mut report = self.report();
        if errand.manner == Manner::Reads {
            report.longest_ms = report.longest_ms.max(took);
        }
        let first = visits.first().map_or("no attempt".to_owned(), |visit| format!("{:?}", visit.fault));
        let end = match &outcome {
            Ok(Outcome::Complete | Outcome::Uncounted) => "complete",
            Ok(Outcome::Left) => "left",
            Ok(_) => "error",
            Err(_) => "violation",
        };
        *report.by_fault.entry(first).or_default().entry(end).or_default() += 1;
        match outcome {
            Ok(outcome) => *report.outcomes.entry(outcome).or_default() += 1,
            Err(problem) => {
                let detail = self.detail(errand, &heard, &visits, took);
                let Violation { kind, detail: what } = problem;
                report.violation(kind, format!("{what} — {detail}"));
            }
        }
    }

    /// What is needed to see it again: `--seed … --only … --force …`.
    fn detail(&self, errand: &Errand, heard: &Heard, visits: &[Visit], took: u64) -> String {
        let faults: Vec<String> = visits.iter().map(|visit| format!("{:?}", visit.fault)).collect();
        let from = heard.body.len().saturating_sub(400);
        let tail = String::from_utf8_lossy(heard.body.get(from..).unwrap_or_default());
        let line = self.gateway.as_ref().and_then(|gateway| {
            let gateway = lock(gateway);
            let log = gateway.log();
            log.of(errand.id).map(str::to_owned)
        });
        format!(
            "--seed {} --only {} --force {}; {:?}, stream {}, {:?}, {took} ms, status {}; ends {tail:?}; log {}",
            self.settings.seed,
            errand.id,
            faults.join(","),
            errand.dialect,
            errand.stream,
            errand.manner,
            heard.status,
            line.unwrap_or_default()
        )
    }

    /// Until the faults end: looks at the gateway every second.
    async fn weather(&self) {
        let until = self.stage.began + self.settings.length;
        while Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(1_000).min(self.settings.length / 20)).await;
            self.look(true);
        }
    }

    /// Until every circuit is closed again, while callers go on.
    async fn calm(&self) {
        let from = Instant::now();
        while self.gateway.is_some() {
            tokio::time::sleep(Duration::from_millis(200)).await;
            self.look(false);
            let closed = self.metric("bifrost_circuit_state").await == Some(0.0);
            // Answers that began in the weather have ended by then.
            if closed && from.elapsed() > LIMITS.request {
                self.report().recovered_ms = u64::try_from(from.elapsed().as_millis()).ok();
                return;
            }
            if from.elapsed() > RECOVERY {
                let metrics = self.fetch("/metrics").await;
                let open: Vec<&str> = metrics
                    .lines()
                    .filter(|line| line.starts_with("bifrost_circuit_state") && !line.ends_with(" 0"))
                    .collect();
                return self.note("a circuit stayed open", open.join("; "));
            }
        }
    }

    fn look(&self, keep: bool) {
        for (id, visits) in self.stage.ledger.forgotten(FORGOTTEN) {
            self.note("a provider was not left", format!("request {id}: {visits:?}"));
        }
        let Some(gateway) = &self.gateway else { return };
        let mut gateway = lock(gateway);
        if keep {
            self.report().samples.push(gateway.sample());
        }
        if !gateway.is_running() && !self.stop.swap(true, Ordering::Relaxed) {
            self.note("the gateway ended", "");
        }
    }

    /// Nothing is left of the load: requests, attempts, connections.
    async fn settle(&self, close: &watch::Sender<bool>) {
        if self.gateway.is_none() {
            return;
        }
        let settled = self.until(FORGOTTEN, async || {
            let asking = 1.0;
            self.metric("bifrost_in_flight_requests").await <= Some(asking)
                && self.metric("bifrost_target_in_flight").await == Some(0.0)
                && self.stage.ledger.open() == 0
        });
        if !settled.await {
            let gauges = (
                self.metric("bifrost_in_flight_requests").await,
                self.metric("bifrost_target_in_flight").await,
            );
            self.note(
                "requests stayed in flight",
                format!("{gauges:?}, {} visits", self.stage.ledger.open()),
            );
        }
        // The last lines of the log are on their way.
        let (made, left) = (self.made(), self.left());
        let lines = || self.gateway.as_ref().map_or(0, |gateway| lock(gateway).log().requests);
        self.until(FORGOTTEN, async || lines() + left >= made).await;
        // Kept connections end: what the gateway then still holds, it has lost.
        let _ = close.send(true);
        let before = self.report().idle.0.descriptors;
        let sample = || self.gateway.as_ref().map(|gateway| lock(gateway).sample());
        let back = self.until(FORGOTTEN, async || sample().is_some_and(|now| now.descriptors <= before + 4));
        let back = back.await;
        let now = sample().unwrap_or_default();
        self.report().idle.1 = now;
        if !back {
            self.note("descriptors were lost", format!("{before} before, {} after", now.descriptors));
        }
    }

    async fn until(&self, patience: Duration, mut met: impl AsyncFnMut() -> bool) -> bool {
        let end = Instant::now() + patience;
        while Instant::now() < end {
            if met().await {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        met().await
    }

    /// What the ledger, the log and the samples say of the run as a whole.
    fn finish(&self) {
        let mut report = self.report();
        self.stage.ledger.totals(|totals| {
            (report.visits, report.continued) = (totals.visits, totals.continued);
            report.early_after_503 = totals.early_after_503;
            report.faults = std::mem::take(&mut totals.faults);
            let longest = totals.left_after_ms.iter().copied().max().unwrap_or(0);
            report.left_after_ms = (longest, totals.left_after_ms.len());
            for early in totals.early.drain(..) {
                if self.gateway.is_none() {
                    continue;
                }
                if self.stage.stalls.between(early.between.0, early.between.1) {
                    report.excused += 1;
                    continue;
                }
                let line = |id| {
                    self.gateway.as_ref().and_then(|gateway| lock(gateway).log().of(id).map(str::to_owned))
                };
                let (told, id) = (early.told, early.id);
                let lines = format!("told {told} {:?}, then asked by {id} {:?}", line(told), line(id));
                report.violation("a target was not left alone", format!("{}; {lines}", early.detail));
            }
            report.returns_ms = totals.returns.values().copied().collect();
            let rate = |visits| self.stage.schedule.outage_rate(visits);
            report.outage_visits_per_second = (rate(totals.outage_visits.0), rate(totals.outage_visits.1));
        });
        report.stalls = self.stage.stalls.summary();
        let (first, last) = report.thirds();
        if self.settings.length >= FLAT_FROM && last > first + first / 10 + 8_192 {
            report.violation("memory grew", format!("from {first} kB to {last} kB"));
        }
        let Some(gateway) = &self.gateway else { return };
        let gateway = lock(gateway);
        let log = gateway.log();
        for line in &log.panics {
            report.violation("a panic", line.clone());
        }
        for line in &log.errors {
            report.violation("an error in the log", line.clone());
        }
        let (made, told) = (self.made(), log.requests);
        let left = report.outcomes.get(&Outcome::Left).copied().unwrap_or(0);
        if told > made || told + left < made {
            report.violation("log lines", format!("{told} of {made} requests, {left} of which left"));
        }
    }

    /// Requests that were begun.
    fn made(&self) -> u64 {
        self.next.load(Ordering::Relaxed) - self.settings.only.unwrap_or(1)
    }

    fn left(&self) -> u64 {
        self.report().outcomes.get(&Outcome::Left).copied().unwrap_or(0)
    }

    fn report(&self) -> MutexGuard<'_, Report> {
        lock(&self.report)
    }

    fn note(&self, kind: &str, detail: impl Into<String>) {
        self.report().violation(kind, detail);
    }

    async fn fetch(&self, path: &str) -> String {
        let address = self.address_for(&Errand::of(0, 0));
        super::gateway::get(address, path).await.unwrap_or_default()
    }

    /// The sum of a metric's samples; nothing when the gateway does not tell.
    async fn metric(&self, name: &str) -> Option<f64> {
        let text = self.fetch("/metrics").await;
        if !text.contains("bifrost_in_flight_requests") {
            return None;
        }
        let samples = text.lines().filter_map(|line| line.strip_prefix(name));
        let samples = samples.filter(|rest| rest.starts_with(['{', ' ']));
        Some(samples.filter_map(|rest| rest.rsplit(' ').next()?.parse::<f64>().ok()).sum())
    }
}

/// How an answer says that its counts are the gateway's.
const TOLD: &[u8] = b"told no counts, so they are estimated";

/// Nothing is counted twice. Of an answer that was broken and continued, parts are estimates; so are counts that no
/// provider sent whole, if the caller is told.
fn counted(errand: &Errand, outcome: Outcome, heard: &Heard, visits: &[Visit]) -> Result<(), Violation> {
    let told = output_tokens(errand.dialect, heard);
    let estimated = outcome != Outcome::Complete || visits.iter().any(|visit| visit.continued);
    let uncounted = visits.last().is_some_and(|visit| visit.fault == Fault::CutInFrame);
    let estimated = estimated || (uncounted && heard.body.windows(TOLD.len()).any(|part| part == TOLD));
    match told {
        Some(told) if !estimated && told != errand.words as u64 => {
            violation("wrong counts of tokens", format!("{told} instead of {}", errand.words))
        }
        _ => Ok(()),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
