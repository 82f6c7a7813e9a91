//! What a caller asks of the choice among keys: a key of its own naming, or the same one for a whole session.

use http::HeaderMap;
use translate::ir::FailureKind;

use super::fault::Fault;
use crate::config::snapshot::Provider;
use crate::upstream::select::Wish;

/// Names of sessions beyond this are no names.
const LONGEST: usize = 256;

/// Reads `x-bf-api-key-id`, `x-bf-api-key` (a key's name; the id counts before it) and `x-bf-session-id`. Nothing is kept
/// of a session, so `x-bf-session-ttl` has nothing to end.
///
/// # Errors
/// The provider has no such key, or the session's name is none.
pub fn of(headers: &HeaderMap, provider: &Provider) -> Result<Wish, Fault> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let mut wish = Wish::default();
    for (header, what) in [("x-bf-api-key-id", "id"), ("x-bf-api-key", "name")] {
        let Some(asked) = text(header).filter(|_| wish.pinned.is_none()) else { continue };
        let mut keys = provider.keys.iter();
        let found = keys.position(|key| if what == "id" { *key.id == *asked } else { *key.name == *asked });
        wish.pinned = Some(found.ok_or_else(|| {
            let message = format!("{} has no key with the {what} {asked:?} ({header})", provider.name);
            Fault::request(FailureKind::InvalidRequest, 400, message).param(header)
        })?);
    }
    if let Some(session) = text("x-bf-session-id") {
        if session.is_empty() || session.len() > LONGEST {
            let message = format!("`x-bf-session-id` must be 1 to {LONGEST} characters of ASCII");
            return Err(Fault::request(FailureKind::InvalidRequest, 400, message).param("x-bf-session-id"));
        }
        wish.session = Some(Wish::session(session));
    }
    Ok(wish)
}
