//! Who calls: the virtual key of a request, found by its hash in memory.
//!
//! Nothing here waits, and nothing reads the configuration by itself. What a caller may do is in the key
//! (`config::governance`); what it has used is `account`'s.

mod caller;
mod directory;
mod follow;
mod generate;
mod grant;
mod shards;

pub use caller::{Caller, Refused, caller, shown};
pub use directory::Directory;
pub use follow::start;
pub use generate::generate;
pub use grant::{Denied, Granted};

use crate::config::governance::KeyHash;

/// The hash that a key is looked up by.
#[must_use]
pub fn hash(key: &str) -> KeyHash {
    KeyHash::of(key)
}
