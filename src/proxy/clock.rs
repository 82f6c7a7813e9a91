//! When things happened: to a request before its first attempt, and to each attempt.
//!
//! Moments are read where they pass and become numbers at the end, when the request is written down.

use std::time::{Duration, Instant};

use pingora_core::protocols::Digest;

use super::exchange::Exchange;
use crate::telemetry::record::{AttemptPhases, Phases};
use crate::upstream::health::Ticket;
use crate::upstream::steps::Steps;

/// The steps of a request before its first attempt.
#[derive(Debug, Clone, Copy, Default)]
pub struct Marks {
    /// It is known who calls.
    pub admitted: Option<Instant>,
    /// The body is there.
    pub body: Option<Instant>,
    /// It is known what is asked, and where it may go.
    pub planned: Option<Instant>,
    /// Budgets and limits let it in.
    pub reserved: Option<Instant>,
    /// What the next attempt waits for places so far.
    pub queued: Duration,
    /// What the next attempt is put off so far.
    pub delayed: Duration,
}

/// The steps of an attempt.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    pub began: Instant,
    pub first_token: Option<Instant>,
    pub steps: Steps,
    /// When its request began.
    origin: Instant,
    queued: Duration,
    delayed: Duration,
}

impl Marks {
    /// In microseconds since `origin`.
    #[must_use]
    pub fn phases(&self, origin: Instant) -> Phases {
        let since = |at: Option<Instant>| at.map_or(0, |at| micros(at.saturating_duration_since(origin)));
        Phases {
            admitted_us: since(self.admitted),
            body_us: since(self.body),
            planned_us: since(self.planned),
            reserved_us: since(self.reserved),
        }
    }
}

impl Clock {
    /// An attempt begins, of a request that begins with it.
    #[must_use]
    pub fn starts() -> Self {
        let now = Instant::now();
        Self {
            began: now,
            first_token: None,
            steps: Steps::default(),
            origin: now,
            queued: Duration::ZERO,
            delayed: Duration::ZERO,
        }
    }

    /// Its request began at `origin`.
    pub fn of(&mut self, origin: Instant) {
        self.origin = origin;
    }

    /// Takes over what was waited for it.
    pub fn waited(&mut self, marks: &mut Marks) {
        self.queued = std::mem::take(&mut marks.queued);
        self.delayed = std::mem::take(&mut marks.delayed);
    }

    /// The first token of the answer is here; `ticket` is the attempt's.
    pub fn token_came(&mut self, ticket: Option<&Ticket>) {
        if self.first_token.is_none() {
            self.first_token = Some(Instant::now());
            ticket.into_iter().for_each(Ticket::first_token);
        }
    }

    /// Milliseconds that it took until `now`.
    #[must_use]
    pub fn took_ms(&self, now: Instant) -> u64 {
        let took = now.saturating_duration_since(self.began);
        u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
    }

    /// The steps of one that ends `now`.
    #[must_use]
    pub fn phases(&self, now: Instant) -> AttemptPhases {
        let since = |at: Instant| micros(at.saturating_duration_since(self.origin));
        let waited = |time: Duration| (!time.is_zero()).then(|| micros(time));
        let Steps { reused, connected, secured, sent, answered } = self.steps;
        AttemptPhases {
            began_us: since(self.began),
            queued_us: waited(self.queued),
            delayed_us: waited(self.delayed),
            reused,
            connected_us: connected.map(since),
            secured_us: secured.map(since),
            sent_us: sent.map(since),
            answered_us: answered.map(since),
            first_token_us: self.first_token.map(since),
            ended_us: since(now),
        }
    }
}

/// The connection is there: a new one cost time that is not ours.
pub fn connected(exchange: &mut Exchange, reused: bool, digest: Option<&Digest>) {
    if let (Some(since), Some(attempt)) = (exchange.waits_since(), exchange.attempt.as_mut())
        && !attempt.handed
    {
        attempt.clock.steps.connected(since, reused, digest);
    }
    if reused {
        exchange.forget_wait();
    } else {
        exchange.work();
    }
}

/// Microseconds.
#[must_use]
pub fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_told_from_the_beginning_of_the_request() {
        let mut clock = Clock::starts();
        let ms = Duration::from_millis;
        let origin = clock.began - ms(5);
        clock.of(origin);
        clock.waited(&mut Marks { queued: ms(3), ..Marks::default() });
        clock.steps.sent(clock.began + ms(1));
        let phases = clock.phases(clock.began + ms(9));
        assert_eq!(
            phases,
            AttemptPhases {
                began_us: 5_000,
                queued_us: Some(3_000),
                sent_us: Some(6_000),
                ended_us: 14_000,
                ..AttemptPhases::default()
            }
        );
    }

    #[test]
    fn a_step_that_was_not_reached_is_zero() {
        let origin = Instant::now();
        let marks = Marks { admitted: Some(origin + Duration::from_micros(7)), ..Marks::default() };
        assert_eq!(marks.phases(origin), Phases { admitted_us: 7, ..Phases::default() });
    }
}
