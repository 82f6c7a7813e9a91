//! Where traces go: compiled.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Uri};

pub use super::raw::TraceType;

/// All collectors.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Traces {
    pub collectors: Vec<Arc<Collector>>,
}

/// One collector.
#[derive(Debug, Clone, PartialEq)]
pub struct Collector {
    /// Its address, as it is shown: no path, no secret.
    pub name: Arc<str>,
    pub transport: Transport,
    /// Scheme, host and, over HTTP, the path.
    pub url: Uri,
    /// Sensitive: `Debug` does not show their values.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub form: TraceType,
    /// What describes this service: names and values.
    pub resource: Vec<(Box<str>, Box<str>)>,
    /// DER certificates that are trusted beside the system's.
    pub ca: Vec<Vec<u8>>,
    pub gzip: bool,
    pub timeout: Duration,
    pub sampling: Sampling,
    /// Prompts and answers are sent, where they are kept.
    pub content: bool,
}

/// How a collector is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    Http,
    Grpc,
}

/// Which traces are sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// Share of traces, 0 to 1.
    pub ratio: f64,
    /// What the caller decided counts.
    pub parent_based: bool,
}

impl Traces {
    /// Somebody wants a trace of which the caller decided this, if it is one's.
    #[must_use]
    pub fn records(&self, trace_id: u128, parent: Option<bool>) -> bool {
        self.collectors.iter().any(|collector| collector.sampling.takes(trace_id, parent))
    }
}

impl Sampling {
    /// A trace is taken or left by its id, so that all who see a part of it decide alike: by the last 56 bits, which
    /// are random.
    #[must_use]
    pub fn takes(&self, trace_id: u128, parent: Option<bool>) -> bool {
        if let Some(sampled) = parent.filter(|_| self.parent_based) {
            return sampled;
        }
        const BITS: u32 = 56;
        let range = (1_u64 << BITS) as f64;
        let number = (trace_id & ((1 << BITS) - 1)) as f64;
        number >= (1.0 - self.ratio) * range
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_traces_is_taken_by_their_ids_and_the_caller_counts_first() {
        let sampling = |ratio| Sampling { ratio, parent_based: true };
        let mut random = fastrand::Rng::with_seed(7);
        let ids: Vec<u128> = (0..10_000).map(|_| random.u128(..)).collect();
        let taken = |ratio| ids.iter().filter(|id| sampling(ratio).takes(**id, None)).count();
        assert_eq!((taken(0.0), taken(1.0)), (0, 10_000));
        assert!((2_300..2_700).contains(&taken(0.25)), "{}", taken(0.25));
        // Who takes fewer takes none that the other leaves.
        assert!(ids.iter().all(|id| !sampling(0.1).takes(*id, None) || sampling(0.3).takes(*id, None)));
        assert!(sampling(0.0).takes(1, Some(true)) && !sampling(1.0).takes(1, Some(false)));
        let own = Sampling { ratio: 1.0, parent_based: false };
        assert!(own.takes(1, Some(false)));
    }
}
