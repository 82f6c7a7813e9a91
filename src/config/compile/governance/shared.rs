//! Names that many keys have in common, kept once: a million keys for the same four models would else hold four million
//! names.

use std::collections::HashSet;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

/// Names that are remembered; the rest is each key's own.
const MOST: usize = 4_096;

static NAMES: LazyLock<Mutex<HashSet<Arc<str>>>> = LazyLock::new(Mutex::default);

/// `name`, the same one for all that ask for it.
pub(super) fn shared(name: &str) -> Arc<str> {
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = names.get(name) {
        return Arc::clone(known);
    }
    let name: Arc<str> = name.into();
    if names.len() < MOST {
        names.insert(Arc::clone(&name));
    }
    name
}
