//! How requests are treated: what is written the same way for all of them, for a provider's and for a rule's.

use std::time::Duration;

use crate::config::policy::{Hedge, Priority, Recovery};
use crate::config::raw;

/// `None`: off. The schema has bounded the numbers.
pub(super) fn hedge(raw: &raw::Hedging) -> Option<Hedge> {
    raw.enabled.then(|| Hedge {
        after: raw.after_ms.map(Duration::from_millis),
        max_extra_permille: (raw.max_extra_spend_percent * 10.0).round() as u32,
    })
}

pub(super) fn recovery(raw: raw::Recovery) -> Recovery {
    match raw {
        raw::Recovery::Error => Recovery::Error,
        raw::Recovery::Continue => Recovery::Continue,
        raw::Recovery::Buffered => Recovery::Buffered,
    }
}

pub(super) fn priority(raw: raw::Priority) -> Priority {
    match raw {
        raw::Priority::Low => Priority::Low,
        raw::Priority::Normal => Priority::Normal,
        raw::Priority::High => Priority::High,
    }
}
