//! How many requests a provider has open: `network_config.max_conns_per_host` holds.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// Open requests per provider.
#[derive(Debug, Default)]
pub struct Capacity {
    open: RwLock<HashMap<Arc<str>, Arc<AtomicU32>>>,
}

/// One open request, until it is dropped.
#[derive(Debug)]
pub struct Slot(Arc<AtomicU32>);

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Capacity {
    /// A slot at `provider`, unless `limit` are taken.
    #[must_use]
    pub fn take(&self, provider: &Arc<str>, limit: u32) -> Option<Slot> {
        let open = self.count(provider);
        if open.fetch_add(1, Ordering::Relaxed) < limit {
            return Some(Slot(open));
        }
        open.fetch_sub(1, Ordering::Relaxed);
        None
    }

    fn count(&self, provider: &Arc<str>) -> Arc<AtomicU32> {
        if let Some(found) = self.open.read().unwrap_or_else(PoisonError::into_inner).get(provider) {
            return Arc::clone(found);
        }
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(open.entry(Arc::clone(provider)).or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_come_back_when_dropped() {
        let capacity = Capacity::default();
        let provider: Arc<str> = "one".into();
        let first = capacity.take(&provider, 2);
        let second = capacity.take(&provider, 2);
        assert!(first.is_some() && second.is_some());
        assert!(capacity.take(&provider, 2).is_none());
        assert!(capacity.take(&"two".into(), 2).is_some());
        drop(first);
        assert!(capacity.take(&provider, 2).is_some());
    }
}
