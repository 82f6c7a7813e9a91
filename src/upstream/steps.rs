//! When the steps of asking a provider were: connected, secured, sent, answered.
//!
//! Only what was measured: the durations are Pingora's own, taken around the connect and the handshake. Nothing is decided
//! here.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use pingora_core::protocols::Digest;

/// The steps of one attempt on its connection. What was not seen is absent; the first word of a step counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Steps {
    /// A pooled connection was used.
    pub reused: bool,
    /// TCP was connected, behind an egress proxy where there is one.
    pub connected: Option<Instant>,
    /// TLS was agreed on.
    pub secured: Option<Instant>,
    /// The last byte of the request was handed to the connection.
    pub sent: Option<Instant>,
    /// The head of the answer came.
    pub answered: Option<Instant>,
}

/// The same where another task makes them.
#[derive(Debug, Default)]
pub struct Seen(Mutex<Steps>);

impl Steps {
    /// The connection is there, which was waited for `since` then.
    pub fn connected(&mut self, since: Instant, reused: bool, digest: Option<&Digest>) {
        if self.sent.is_some() {
            // What was sent before was the request: this connection only fetches its answer.
            return;
        }
        self.reused = reused;
        if reused {
            return;
        }
        let now = Instant::now();
        let layers = digest.map(|digest| digest.timing_digest.as_slice()).unwrap_or_default();
        let took = |at: usize| layers.get(at)?.as_ref()?.establishment_duration;
        let (tcp, tls) = (took(0), took(1));
        let secured = tls.is_some().then_some(now);
        self.connected = Some(match (tcp, tls) {
            (Some(tcp), _) => (since + tcp).min(now),
            (None, Some(tls)) => now.checked_sub(tls).unwrap_or(now).max(since),
            (None, None) => now,
        });
        self.secured = secured;
    }

    /// The request is with the connection.
    pub fn sent(&mut self, at: Instant) {
        self.sent.get_or_insert(at);
    }

    /// The head of the answer is here.
    pub fn answered(&mut self, at: Instant) {
        self.answered.get_or_insert(at);
    }
}

impl Seen {
    /// Notes a step.
    pub fn note(&self, step: impl FnOnce(&mut Steps)) {
        step(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// The steps so far.
    #[must_use]
    pub fn so_far(&self) -> Steps {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pingora_core::protocols::TimingDigest;
    use std::time::Duration;

    fn digest(layers: &[Option<u64>]) -> Digest {
        let layer = |took: &Option<u64>| {
            let establishment_duration = took.map(Duration::from_millis);
            Some(TimingDigest { establishment_duration, ..TimingDigest::default() })
        };
        Digest { timing_digest: layers.iter().map(layer).collect(), ..Digest::default() }
    }

    #[test]
    fn tcp_and_tls_are_told_apart_by_what_each_took() {
        let since = Instant::now() - Duration::from_millis(100);
        let mut steps = Steps::default();
        steps.connected(since, false, Some(&digest(&[Some(30), Some(60)])));
        assert_eq!(steps.connected, Some(since + Duration::from_millis(30)));
        assert!(steps.secured.unwrap() >= since + Duration::from_millis(100));
        let mut plain = Steps::default();
        plain.connected(since, false, Some(&digest(&[Some(30)])));
        assert_eq!((plain.connected, plain.secured), (Some(since + Duration::from_millis(30)), None));
    }

    #[test]
    fn a_pooled_connection_was_connected_for_somebody_else() {
        let mut steps = Steps::default();
        steps.connected(Instant::now(), true, Some(&digest(&[Some(30), Some(60)])));
        assert_eq!(steps, Steps { reused: true, ..Steps::default() });
    }

    #[test]
    fn what_only_fetches_an_answer_changes_nothing() {
        let mut steps = Steps::default();
        let at = Instant::now();
        steps.sent(at);
        steps.connected(at, false, None);
        steps.sent(at + Duration::from_secs(1));
        assert_eq!(steps, Steps { sent: Some(at), ..Steps::default() });
    }
}
