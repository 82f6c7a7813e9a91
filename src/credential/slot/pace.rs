//! When the next renewal is due. Pure but for the dice.

use std::time::Duration;

/// Values are renewed this long before their end, or at three quarters of a shorter life.
const LEAD: Duration = Duration::from_secs(300);
/// Values without an end are read again now and then: files and environments change.
const RECHECK: Duration = Duration::from_secs(3600);
/// A refused value is renewed at most this often: the refusal may have another reason.
const CALM: Duration = Duration::from_secs(30);
/// After the first failure; doubled with each further one up to `BACKOFF_MAX`.
const BACKOFF: Duration = Duration::from_secs(1);
const BACKOFF_MAX: Duration = Duration::from_secs(60);

/// A pause between renewals.
pub(super) struct Pause {
    /// When a renewal is asked for.
    pub shortest: Duration,
    pub longest: Duration,
}

impl Pause {
    pub fn after_success(lifetime: Option<Duration>) -> Self {
        let longest = lifetime.map_or(RECHECK, renew_after);
        Self { shortest: CALM.min(longest), longest }
    }

    /// Asking does not hasten an endpoint that fails.
    pub fn after_failure(failed: u32) -> Self {
        let doubled = BACKOFF.saturating_mul(1 << failed.saturating_sub(1).min(10));
        let pause = doubled.min(BACKOFF_MAX).mul_f64(0.75 + fastrand::f64() / 4.0);
        Self { shortest: pause, longest: pause }
    }
}

/// Before the end by the lead and up to as much again: keys of one fleet should not renew together.
fn renew_after(lifetime: Duration) -> Duration {
    let lead = LEAD.min(lifetime / 4);
    lifetime - lead - lead.mul_f64(fastrand::f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renewal_times_are_spread() {
        let hour = Duration::from_secs(3600);
        let times: Vec<Duration> = (0..100).map(|_| renew_after(hour)).collect();
        assert!(times.iter().all(|t| (3000..=3300).contains(&t.as_secs())), "{times:?}");
        let spread = *times.iter().max().unwrap() - *times.iter().min().unwrap();
        assert!(spread > Duration::from_secs(100), "{spread:?}");
    }

    #[test]
    fn pauses_double_and_stay_below_a_minute() {
        for (failed, most) in [(1, 1), (2, 2), (6, 32), (7, 60), (u32::MAX, 60)] {
            let pause = Pause::after_failure(failed).longest.as_secs_f64();
            let most = f64::from(most);
            assert!(pause <= most && pause >= most * 0.75, "{failed} {pause}");
        }
    }
}
