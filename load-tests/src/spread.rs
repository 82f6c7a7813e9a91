//! Percentiles of what was measured. Exact (nearest rank over all samples), no buckets.

use serde_json::{Value, json};

/// Durations in nanoseconds, summed up as microseconds.
#[derive(Default, Debug)]
pub struct Spread(Vec<u64>);

impl Spread {
    /// Adds one sample in nanoseconds.
    pub fn add(&mut self, nanos: u64) {
        self.0.push(nanos);
    }

    /// Takes over the samples of another.
    pub fn absorb(&mut self, other: Spread) {
        self.0.extend(other.0);
    }

    /// How many samples there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// `{"count", "min_us", "mean_us", "p50_us", "p90_us", "p99_us", "max_us"}`; null where there is no sample.
    pub fn summary(mut self) -> Value {
        self.0.sort_unstable();
        let sum: u64 = self.0.iter().sum();
        let mean = (!self.0.is_empty()).then(|| micros(sum) / self.0.len() as f64);
        json!({
            "count": self.0.len(),
            "min_us": self.0.first().copied().map(micros),
            "mean_us": mean,
            "p50_us": self.rank(50).map(micros),
            "p90_us": self.rank(90).map(micros),
            "p99_us": self.rank(99).map(micros),
            "max_us": self.0.last().copied().map(micros),
        })
    }

    /// The nearest-rank percentile of sorted samples.
    fn rank(&self, percent: usize) -> Option<u64> {
        let rank = (self.0.len() * percent).div_ceil(100);
        self.0.get(rank.saturating_sub(1)).copied()
    }
}

fn micros(nanos: u64) -> f64 {
    nanos as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::Spread;

    #[test]
    fn percentiles_are_nearest_rank() {
        let mut spread = Spread::default();
        for n in (1..=100u64).rev() {
            spread.add(n * 1000);
        }
        let summary = spread.summary();
        assert_eq!(summary["p50_us"], 50.0);
        assert_eq!(summary["p99_us"], 99.0);
        assert_eq!(summary["min_us"], 1.0);
        assert_eq!(summary["max_us"], 100.0);
        assert_eq!(summary["mean_us"], 50.5);
    }

    #[test]
    fn no_samples_are_null_not_zero() {
        assert!(Spread::default().summary()["p50_us"].is_null());
    }
}
