//! Metrics of the process, under the names that all programs have for them. Read from `/proc` when somebody asks; where
//! there is none only the version and the time of the start are known.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus::{Counter, Gauge, IntGauge, IntGaugeVec};

use super::maker::{Kind, Maker};

/// Ticks of `/proc/self/stat` in a second: the kernel's promise to programs, on every architecture that we build for.
const TICKS: f64 = 100.0;

/// What the process takes.
pub struct Process {
    /// `bifrost_build_info{version}`: always 1.
    _build: IntGaugeVec,
    /// `process_start_time_seconds`.
    _started: Gauge,
    /// `process_cpu_seconds_total`.
    cpu: Counter,
    /// `process_resident_memory_bytes`.
    resident: IntGauge,
    /// `process_virtual_memory_bytes`.
    size: IntGauge,
    /// `process_open_fds`.
    open: IntGauge,
    /// `process_max_fds`.
    most_open: IntGauge,
    /// `process_threads`.
    threads: IntGauge,
}

impl Process {
    pub(super) fn new(make: &Maker) -> prometheus::Result<Self> {
        let build = make.whole_gauges("bifrost_build_info", "The version that runs", &["version"])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let started = make.level("process_start_time_seconds", "When the process started, in Unix time")?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        started.set(now.as_secs_f64());
        Ok(Self {
            _build: build,
            _started: started,
            cpu: make.register(
                Counter::new("process_cpu_seconds_total", "CPU time, user and system")?,
                Kind::Counter,
            )?,
            resident: make.gauge("process_resident_memory_bytes", "Memory that is in use")?,
            size: make.gauge("process_virtual_memory_bytes", "Memory that is reserved")?,
            open: make.gauge("process_open_fds", "Open files and sockets")?,
            most_open: make.gauge("process_max_fds", "Files and sockets that may be open")?,
            threads: make.gauge("process_threads", "Threads")?,
        })
    }

    /// Brings them up to date.
    pub fn note(&self) {
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        // Behind the name, which may hold anything.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let number = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok());
        if let (Some(user), Some(system)) = (number(11), number(12)) {
            #[expect(clippy::cast_precision_loss, reason = "Prometheus values are floats")]
            let seconds = (user + system) as f64 / TICKS;
            self.cpu.inc_by((seconds - self.cpu.get()).max(0.0));
        }
        let set = |gauge: &IntGauge, value: Option<u64>| {
            value.into_iter().for_each(|value| gauge.set(i64::try_from(value).unwrap_or(i64::MAX)));
        };
        set(&self.threads, number(17));
        set(&self.size, number(20));
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        set(&self.resident, first_number(&status, "VmRSS:").map(|kb| kb * 1024));
        let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
        set(&self.most_open, first_number(&limits, "Max open files"));
        let open = fs::read_dir("/proc/self/fd").ok().map(|all| all.count() as u64);
        // The one that this was read by.
        set(&self.open, open.map(|count| count.saturating_sub(1)));
    }
}

/// The first number of the line that begins so.
fn first_number(text: &str, beginning: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(beginning))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_process_knows_itself() {
        let process = Process::new(&Maker::default()).unwrap();
        process.note();
        assert!(process.resident.get() > 1_000_000, "{}", process.resident.get());
        assert!(process.size.get() >= process.resident.get());
        assert!(process.threads.get() >= 1);
        assert!(process.open.get() >= 3 && process.open.get() <= process.most_open.get());
        let before = process.cpu.get();
        let mut spent = 0u64;
        while process.cpu.get() <= before {
            (0..1_000_000u64).for_each(|n| spent = spent.wrapping_add(std::hint::black_box(n)));
            process.note();
        }
        assert!(std::hint::black_box(spent) > 0);
    }
}
