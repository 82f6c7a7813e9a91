//! Whose answers these are: tenant and cache key as a [`Space`].
//!
//! Two callers share a space only where they are the same tenant and name the same key; the hash keeps lengths, so that no
//! two pairs of texts are one.

use ring::digest::{Context, SHA256};

use super::entry::{Digest, Space};
use crate::auth::Caller;
use crate::config::cache::Scope;

/// Before everything that is hashed here: spaces of another form are others.
const FORM: &[u8] = b"bifrost-cache-space-v1";

/// The tenant of a caller: `virtual_key:ID`, `team:ID`, `customer:ID`; empty without a virtual key.
#[must_use]
pub fn tenant(caller: Option<&Caller>, scope: Scope) -> Box<str> {
    let Some(caller) = caller else { return Box::default() };
    let customer = caller.customer.as_ref().filter(|_| scope == Scope::Customer);
    let team = caller.team.as_ref().filter(|_| scope != Scope::VirtualKey);
    let (kind, id) = match (customer, team) {
        (Some(customer), _) => ("customer", &*customer.id),
        (None, Some(team)) => ("team", &*team.id),
        (None, None) => ("virtual_key", &*caller.key.id),
    };
    format!("{kind}:{id}").into()
}

impl Space {
    /// The space of a tenant's answers under a cache key.
    #[must_use]
    pub fn of(tenant: &str, cache_key: &str) -> Self {
        Self(hashed(FORM, [tenant.as_bytes(), cache_key.as_bytes()].into_iter()))
    }
}

/// SHA-256 over parts with their lengths: other parts, or others borders between them, are another hash.
pub(super) fn hashed<'p>(form: &[u8], parts: impl Iterator<Item = &'p [u8]>) -> Digest {
    let mut context = Context::new(&SHA256);
    context.update(form);
    for part in parts {
        context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        context.update(part);
    }
    let mut digest = Digest::default();
    digest.iter_mut().zip(context.finish().as_ref()).for_each(|(to, from)| *to = *from);
    digest
}

#[cfg(test)]
mod tests;
