//! The virtual key that a request shows, and whose it is.

use std::sync::Arc;

use http::{HeaderMap, header};

use super::Directory;
use crate::config::expression::Who;
use crate::config::governance::{Blocked, Customer, Governance, KeyHash, Owner, Quotas, Team, VirtualKey};

/// A virtual key with the team and the customer it belongs to.
#[derive(Debug, Clone)]
pub struct Caller {
    pub key: Arc<VirtualKey>,
    pub team: Option<Arc<Team>>,
    /// The key's own, or its team's.
    pub customer: Option<Arc<Customer>>,
}

/// Why nobody is let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// No key was shown.
    Required,
    /// Nobody has this key.
    NotFound,
    /// Nobody has this key so far: keys are still being read.
    NotYet,
    Blocked(Blocked),
}

/// Who calls; `None`: nobody that has to be known.
///
/// # Errors
/// The key that is shown opens nothing, or none is shown where one is needed.
pub fn caller(
    directory: &Directory,
    governance: &Governance,
    (headers, query): (&HeaderMap, &str),
    now_ms: u64,
) -> Result<Option<Caller>, Refused> {
    let Some(shown) = shown(headers, query) else {
        return if governance.enforced { Err(Refused::Required) } else { Ok(None) };
    };
    let Some(key) = directory.find(&KeyHash::of(shown), now_ms) else {
        return Err(if directory.is_incomplete() { Refused::NotYet } else { Refused::NotFound });
    };
    key.usable(now_ms).map_err(Refused::Blocked)?;
    Ok(Some(Caller::of(key, governance)))
}

/// The virtual key that a request shows: `x-bf-vk` whatever it looks like, else what begins as virtual keys do in
/// `Authorization: Bearer`, `x-api-key`, `api-key`, `x-goog-api-key`, or `key` in the query (Google's clients).
#[must_use]
pub fn shown<'r>(headers: &'r HeaderMap, query: &'r str) -> Option<&'r str> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    if let Some(own) = text("x-bf-vk").filter(|key| !key.is_empty()) {
        return Some(own);
    }
    let bearer = text(header::AUTHORIZATION.as_str()).and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    let named = ["x-api-key", "api-key", "x-goog-api-key"].into_iter().filter_map(text);
    let queried = query.split('&').filter_map(|pair| pair.strip_prefix("key="));
    bearer.into_iter().chain(named).chain(queried).find(|key| key.starts_with(KeyHash::PREFIX))
}

impl Caller {
    /// Whose key it is.
    #[must_use]
    pub fn of(key: Arc<VirtualKey>, governance: &Governance) -> Self {
        let team = key.team.as_ref().and_then(|id| governance.teams.get(id)).cloned();
        let customer = key.customer.as_ref().or_else(|| team.as_ref()?.customer.as_ref());
        let customer = customer.and_then(|id| governance.customers.get(id)).cloned();
        Self { key, team, customer }
    }

    /// What rules and the log tell of the caller.
    #[must_use]
    pub fn who(&self) -> Who<'_> {
        let (team, customer) = (self.team.as_deref(), self.customer.as_deref());
        Who {
            virtual_key_id: &self.key.id,
            virtual_key_name: &self.key.name,
            team_id: team.map_or("", |team| &team.id),
            team_name: team.map_or("", |team| &team.name),
            customer_id: customer.map_or("", |customer| &customer.id),
            customer_name: customer.map_or("", |customer| &customer.name),
        }
    }

    /// All that a request of this caller counts for, whatever it is for: the narrowest first.
    pub fn owners(&self) -> impl Iterator<Item = (Owner, &Quotas)> {
        let key = (Owner::VirtualKey(Arc::clone(&self.key.id)), &self.key.quotas);
        let team = self.team.as_ref().map(|team| (Owner::Team(Arc::clone(&team.id)), &team.quotas));
        let customer = self.customer.as_ref();
        let customer = customer.map(|customer| (Owner::Customer(Arc::clone(&customer.id)), &customer.quotas));
        std::iter::once(key).chain(team).chain(customer)
    }
}
