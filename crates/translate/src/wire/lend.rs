//! Leftovers of a request's top level: a caller of one dialect may use parameters that only another wire
//! has, by the names they have there. Must not know any of those names: the wire's encoder lists its own.

use super::tree::Object;
use crate::Wire;
use crate::ir::Extra;
use crate::loss::Losses;

/// The member whose members are meant for the provider, whatever their names (the original's spelling).
const EXTRA_PARAMS: &str = "extra_params";

/// Writes the leftovers of a request into the body for `wire`: its own ones all, of another dialect's
/// those that `own` names and those in `extra_params`. The rest is reported with `reason`.
pub(crate) fn write_rest<'a>(
    body: &mut Object<'a>,
    extra: &'a Extra,
    wire: Wire,
    own: &[&str],
    (losses, reason): (&mut Losses, &str),
) {
    let all = extra.for_wire(wire).is_some();
    if all && !extra.fields.contains_key(EXTRA_PARAMS) {
        return body.adopt(&extra.fields);
    }
    for (name, value) in &extra.fields {
        if let Some(given) = value.as_object().filter(|_| name == EXTRA_PARAMS) {
            given.iter().for_each(|(name, value)| body.adopt_one(name, value));
        } else if all || own.contains(&name.as_str()) {
            body.adopt_one(name, value);
        }
    }
    if all {
        return;
    }
    for path in extra.names() {
        let top = path.split('.').next().unwrap_or_default();
        if !own.contains(&top) && top != EXTRA_PARAMS {
            losses.report(path, reason);
        }
    }
}
