//! What a caller may use: providers, models, provider keys.

use std::sync::Arc;

use super::Caller;
use crate::config::governance::{Grant, VirtualKey};

/// Why it may not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    Provider,
    Model,
}

/// What a step of a plan is allowed by: a grant of a virtual key.
#[derive(Debug, Clone)]
pub struct Granted {
    key: Arc<VirtualKey>,
    at: usize,
}

impl Granted {
    #[must_use]
    pub fn grant(&self) -> Option<&Grant> {
        self.key.grants.as_deref()?.get(self.at)
    }

    /// The virtual key it is of.
    #[must_use]
    pub fn key(&self) -> &Arc<VirtualKey> {
        &self.key
    }

    /// A provider key with this id and name may be used.
    #[must_use]
    pub fn opens(&self, id: &str, name: &str) -> bool {
        self.grant().is_none_or(|grant| grant.keys.has(id) || grant.keys.has(name))
    }
}

impl Caller {
    /// What allows `model` at `provider`; `None`: whatever is there, the key has no grants.
    ///
    /// # Errors
    /// Nothing does.
    pub fn granted(&self, provider: &str, model: &str) -> Result<Option<Granted>, Denied> {
        self.granted_if(provider, |grant| grant.allows(model))
    }

    /// What allows a model that nobody can name, at `provider`.
    ///
    /// # Errors
    /// Nothing does.
    pub fn granted_unread(&self, provider: &str) -> Result<Option<Granted>, Denied> {
        self.granted_if(provider, Grant::allows_all)
    }

    /// What opens `provider`, whatever the model.
    ///
    /// # Errors
    /// Nothing does.
    pub fn granted_any(&self, provider: &str) -> Result<Option<Granted>, Denied> {
        self.granted_if(provider, |_| true)
    }

    fn granted_if(&self, provider: &str, allows: impl Fn(&Grant) -> bool) -> Result<Option<Granted>, Denied> {
        let Some(grants) = self.key.grants.as_deref() else { return Ok(None) };
        let at = grants.iter().position(|grant| *grant.provider == *provider).ok_or(Denied::Provider)?;
        if !grants.get(at).is_some_and(allows) {
            return Err(Denied::Model);
        }
        Ok(Some(Granted { key: Arc::clone(&self.key), at }))
    }
}
