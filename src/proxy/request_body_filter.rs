//! Sends the attempt's body. Called once per attempt, with the replayed body of the caller.

use bytes::Bytes;

use super::exchange::Exchange;

/// Puts what this attempt's provider takes in place of what the caller sent.
pub fn run(body: &mut Option<Bytes>, end_of_stream: bool, exchange: &mut Exchange) {
    if !end_of_stream {
        return;
    }
    let now = exchange.wait();
    if let Some(attempt) = exchange.attempt.as_mut() {
        attempt.asked = true;
        attempt.clock.steps.sent(now);
        attempt.stake.iter().for_each(|stake| stake.sent());
        *body = (!attempt.handed).then(|| attempt.upstream.body.clone());
    }
}
