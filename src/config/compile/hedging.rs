//! The top-level `hedging`.

use std::time::Duration;

use crate::config::policy::Hedge;
use crate::config::raw;

/// `None`: off. The schema has bounded the numbers.
pub(super) fn compile(raw: Option<&raw::Hedging>) -> Option<Hedge> {
    let raw = raw.filter(|raw| raw.enabled)?;
    Some(Hedge {
        after: raw.after_ms.map(Duration::from_millis),
        max_extra_permille: (raw.max_extra_spend_percent * 10.0).round() as u32,
    })
}
