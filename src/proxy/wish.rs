//! What a caller asks of the choice among keys and servers: a key of its own naming, or the same ones for a whole
//! session; and what the beginning of its prompt says where nothing was asked.

use govern::price::{Class, Service};
use http::HeaderMap;
use translate::ir::FailureKind;
use translate::relay::{Peek, prompt_prefix};

use super::cost::Rates;
use super::fault::Fault;
use crate::auth::Caller;
use crate::config::backend::Affinity;
use crate::config::policy::Priority;
use crate::config::snapshot::Provider;
use crate::route::plan::Step;
use crate::upstream::select::{Wish, fnv1a};

/// Names of sessions beyond this are no names.
const LONGEST: usize = 256;

/// Reads `x-bf-api-key-id`, `x-bf-api-key` (a key's name; the id counts before it), `x-bf-session-id`, `x-bf-priority`, and
/// who asks. Nothing is kept of a session, so `x-bf-session-ttl` has nothing to end.
///
/// # Errors
/// The provider has no such key, the session's name is none, or the priority.
pub fn of(headers: &HeaderMap, provider: &Provider, caller: Option<&Caller>) -> Result<Wish, Fault> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let mut wish = of_caller(headers, caller)?;
    for (header, what) in [("x-bf-api-key-id", "id"), ("x-bf-api-key", "name")] {
        let Some(asked) = text(header).filter(|_| wish.pinned.is_none()) else { continue };
        let mut keys = provider.keys.iter();
        let found = keys.position(|key| if what == "id" { *key.id == *asked } else { *key.name == *asked });
        wish.pinned = Some(found.ok_or_else(|| {
            let message = format!("{} has no key with the {what} {asked:?} ({header})", provider.name);
            Fault::request(FailureKind::InvalidRequest, 400, message).param(header)
        })?);
    }
    Ok(wish)
}

/// What a caller asks whatever the provider, and who it is.
///
/// # Errors
/// The session's name is none, or the priority.
pub fn of_caller(headers: &HeaderMap, caller: Option<&Caller>) -> Result<Wish, Fault> {
    let priority = headers.get("x-bf-priority").map(|value| priority(value.to_str().unwrap_or_default()));
    Ok(Wish {
        tenant: caller.map_or_else(|| tenant(headers), |caller| fnv1a(caller.key.id.as_bytes())),
        priority: priority.transpose()?,
        session: session(headers)?,
        ..Wish::default()
    })
}

/// The session that the caller names.
///
/// # Errors
/// Its name is none.
pub fn session(headers: &HeaderMap) -> Result<Option<u64>, Fault> {
    let Some(value) = headers.get("x-bf-session-id") else { return Ok(None) };
    let name = value.to_str().unwrap_or_default();
    if name.is_empty() || name.len() > LONGEST {
        let message = format!("`x-bf-session-id` must be 1 to {LONGEST} characters of ASCII");
        return Err(Fault::request(FailureKind::InvalidRequest, 400, message).param("x-bf-session-id"));
    }
    Ok(Some(Wish::session(name)))
}

fn priority(text: &str) -> Result<Priority, Fault> {
    match text {
        "high" => Ok(Priority::High),
        "normal" => Ok(Priority::Normal),
        "low" => Ok(Priority::Low),
        _ => {
            let message = "`x-bf-priority` must be high, normal or low";
            Err(Fault::request(FailureKind::InvalidRequest, 400, message).param("x-bf-priority"))
        }
    }
}

/// Callers without a virtual key are told apart by the credential that they show; those who show none are one.
fn tenant(headers: &HeaderMap) -> u64 {
    let shown = ["x-bf-vk", "authorization", "x-api-key", "api-key", "x-goog-api-key"];
    let shown = shown.into_iter().find_map(|name| headers.get(name));
    shown.map_or(0, |value| fnv1a(value.as_bytes()))
}

/// Adds what the beginning of the prompt says, where the provider of `step` goes by that.
pub fn by_prompt(wish: &mut Wish, step: &Step, (body, peek): (&[u8], &Peek<'_>), rates: Rates<'_>) {
    let provider = &step.provider;
    if provider.affinity != Affinity::Prompt || wish.session.is_some() {
        return;
    }
    let apart = provider.keys.iter().any(|key| key.backends.is_some());
    let quote = provider.keys.first().and_then(|key| rates.quote(provider, key, &step.model));
    // A cache that costs the same is no reason to prefer one key; of one without a price nothing is known.
    let cheaper = quote.filter(|quote| quote.source.is_known()).is_none_or(|quote| {
        let of = |class| quote.price.of(class, Service::Standard, 0);
        of(Class::CacheRead).is_some_and(|cached| Some(cached) < of(Class::Input))
    });
    wish.prefix_among_keys = apart || (cheaper && provider.keys.len() > 1);
    if wish.prefix_among_keys || provider.backends.is_some() {
        wish.prefix = prompt_prefix(body, &peek.members);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http::HeaderValue;

    use super::*;
    use crate::config::governance::{Governance, Quotas, VirtualKey};

    fn caller(id: &str) -> Caller {
        let key = VirtualKey {
            id: id.into(),
            name: "a name".into(),
            hashes: Box::default(),
            active: true,
            expires_ms: None,
            team: None,
            customer: None,
            grants: None,
            quotas: Quotas::default(),
            log_content: None,
        };
        Caller::of(Arc::new(key), &Governance::default())
    }

    #[test]
    fn requests_of_one_virtual_key_are_one_tenant_in_whatever_header_it_comes() {
        let tenant = |name: &'static str, value: &'static str, caller: Option<&Caller>| {
            let headers = HeaderMap::from_iter([(
                http::HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )]);
            of_caller(&headers, caller).unwrap().tenant
        };
        let (one, other) = (caller("one"), caller("other"));
        let first = tenant("x-bf-vk", "sk-bf-1", Some(&one));
        assert_eq!(first, tenant("authorization", "Bearer sk-bf-rotated", Some(&one)));
        assert_ne!(first, tenant("x-bf-vk", "sk-bf-1", Some(&other)));
        assert_ne!(tenant("x-api-key", "a", None), tenant("x-api-key", "b", None));
    }
}
