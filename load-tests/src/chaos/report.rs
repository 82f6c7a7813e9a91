//! What a run found, as JSON and as words.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::fault::Fault;
use super::gateway::Sample;
use super::judge::Outcome;

/// A violation with all that is known of it.
#[derive(Debug, Clone)]
pub struct Found {
    pub kind: String,
    pub detail: String,
}

/// A run's result.
#[derive(Debug, Default)]
pub struct Report {
    pub seed: u64,
    pub seconds: u64,
    pub callers: usize,
    pub outcomes: BTreeMap<Outcome, u64>,
    /// Requests by what the first fault they met was, and how they went.
    pub by_fault: BTreeMap<String, BTreeMap<&'static str, u64>>,
    pub faults: BTreeMap<Fault, u64>,
    pub visits: u64,
    pub continued: u64,
    /// Attempts inside the `Retry-After` of a 503.
    pub early_after_503: u64,
    /// The longest that a caller waited, in milliseconds.
    pub longest_ms: u64,
    /// From a caller's leaving to the end of what its provider sent: the longest, and how many.
    pub left_after_ms: (u64, usize),
    /// Visits per second during outages, but for their first fifth: of requests that others could still answer, and
    /// of those that nobody else could.
    pub outage_visits_per_second: (f64, f64),
    /// From the end of an outage to the first visit of its provider, in milliseconds.
    pub returns_ms: Vec<u64>,
    /// How often the machine or the gateway stood still, and the longest in milliseconds.
    pub stalls: (usize, u64),
    /// What would be a violation, had there been no stall.
    pub excused: u64,
    pub samples: Vec<Sample>,
    /// Before the load, and after all of it had gone.
    pub idle: (Sample, Sample),
    /// Until every circuit was closed after the faults had ended, in milliseconds.
    pub recovered_ms: Option<u64>,
    pub found: Vec<Found>,
}

/// Violations that are told in full.
const TOLD: usize = 60;

impl Report {
    /// Notes a violation.
    pub fn violation(&mut self, kind: impl Into<String>, detail: impl Into<String>) {
        self.found.push(Found { kind: kind.into(), detail: detail.into() });
    }

    /// Requests that were made.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.outcomes.values().sum::<u64>() + self.found.len() as u64
    }

    /// Requests that got the right answer.
    #[must_use]
    pub fn complete(&self) -> u64 {
        let of = |outcome| self.outcomes.get(&outcome).copied().unwrap_or(0);
        of(Outcome::Complete) + of(Outcome::Uncounted)
    }

    /// Attempts that did not get a whole answer from their provider.
    #[must_use]
    pub fn bad(&self) -> u64 {
        self.faults.iter().filter(|(fault, _)| !fault.is_whole()).map(|(_, count)| count).sum()
    }

    /// Violations by kind.
    #[must_use]
    pub fn kinds(&self) -> BTreeMap<&str, usize> {
        let mut kinds = BTreeMap::new();
        for found in &self.found {
            *kinds.entry(found.kind.as_str()).or_default() += 1;
        }
        kinds
    }

    /// Median memory of the first and of the last third of the load, in kB.
    #[must_use]
    pub fn thirds(&self) -> (u64, u64) {
        let third = self.samples.len() / 3;
        let median = |samples: &[Sample]| {
            let mut sizes: Vec<u64> = samples.iter().map(|sample| sample.rss_kb).collect();
            sizes.sort_unstable();
            sizes.get(sizes.len() / 2).copied().unwrap_or(0)
        };
        let last = self.samples.len() - third;
        (
            median(self.samples.get(..third).unwrap_or_default()),
            median(self.samples.get(last..).unwrap_or_default()),
        )
    }

    /// Everything.
    #[must_use]
    pub fn json(&self) -> Value {
        let named = |map: &BTreeMap<Fault, u64>| -> Value {
            map.iter().map(|(fault, count)| (format!("{fault:?}"), json!(count))).collect()
        };
        let sample = |sample: &Sample| json!({"rss_kb": sample.rss_kb, "threads": sample.threads, "descriptors": sample.descriptors});
        let (first, last) = self.thirds();
        let found: Vec<Value> = self
            .found
            .iter()
            .take(TOLD)
            .map(|found| json!({"kind": found.kind, "detail": found.detail}))
            .collect();
        json!({
            "seed": self.seed, "seconds": self.seconds, "callers": self.callers,
            "requests": self.requests(),
            "outcomes": self.outcomes.iter().map(|(o, n)| (format!("{o:?}"), json!(n))).collect::<Value>(),
            "first_fault": self.by_fault,
            "visits": self.visits, "faults": named(&self.faults), "continued": self.continued,
            "early_after_503": self.early_after_503,
            "longest_ms": self.longest_ms,
            "left_after_ms": {"longest": self.left_after_ms.0, "count": self.left_after_ms.1},
            "outage_visits_per_second": {"with_fallback": self.outage_visits_per_second.0,
                "without": self.outage_visits_per_second.1},
            "returns_ms": self.returns_ms, "recovered_ms": self.recovered_ms,
            "stalls": {"count": self.stalls.0, "longest_ms": self.stalls.1}, "excused": self.excused,
            "rss_kb": {"first_third": first, "last_third": last,
                "highest": self.samples.iter().map(|sample| sample.rss_kb).max()},
            "idle": {"before": sample(&self.idle.0), "after": sample(&self.idle.1)},
            "violations": self.kinds(), "found": found,
        })
    }

    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = format!(
            "seed {}, {} s, {} callers: {} requests, {} attempts at providers, {} of them bad\n",
            self.seed,
            self.seconds,
            self.callers,
            self.requests(),
            self.visits,
            self.bad(),
        );
        for (outcome, count) in &self.outcomes {
            out.push_str(&format!("  {count:>8} {outcome:?}\n"));
        }
        let (first, last) = self.thirds();
        let (before, after) = self.idle;
        out.push_str(&format!(
            "  longest wait {} ms; providers left at most {} ms after their callers ({} times)\n  \
             memory {first} kB in the first third, {last} kB in the last; idle {} kB, then {} kB\n  \
             descriptors {} before, {} after; threads {} and {}\n  \
             all circuits closed after {:?} ms; first visits after outages {:?} ms\n  \
             {:.2} visits/s during outages where others could answer, {:.2} where none could\n",
            self.longest_ms,
            self.left_after_ms.0,
            self.left_after_ms.1,
            before.rss_kb,
            after.rss_kb,
            before.descriptors,
            after.descriptors,
            before.threads,
            after.threads,
            self.recovered_ms,
            self.returns_ms,
            self.outage_visits_per_second.0,
            self.outage_visits_per_second.1,
        ));
        if self.stalls.0 > 0 {
            out.push_str(&format!(
                "  the machine stood still {} times, for {} ms at most; {} times it excuses what would be a violation\n",
                self.stalls.0, self.stalls.1, self.excused,
            ));
        }
        if self.found.is_empty() {
            out.push_str("no violation\n");
        }
        for (kind, count) in self.kinds() {
            out.push_str(&format!("VIOLATION {count} × {kind}\n"));
            for found in self.found.iter().filter(|found| found.kind == kind).take(3) {
                out.push_str(&format!("    {}\n", found.detail));
            }
        }
        out
    }
}
