//! Members of a body chosen by name: for operations that take a part of what chat takes.

use std::borrow::Cow;

use super::edit::Edits;
use super::members::Members;
use crate::wire::BadRequest;

/// The body with a member of this name: its own, or else this one behind the others.
///
/// # Errors
/// [`BadRequest`] when the body is no JSON object.
pub(crate) fn with<'a>(body: &'a [u8], name: &str, json: &str) -> Result<Cow<'a, [u8]>, BadRequest> {
    let members = Members::read(body)?;
    let mut edits = Edits::new(body, &members);
    if edits.find(name).is_none() {
        edits.add(name, json.to_owned());
    }
    Ok(match edits.apply() {
        Cow::Borrowed(_) => Cow::Borrowed(body),
        Cow::Owned(edited) => Cow::Owned(edited),
    })
}

/// The body with these members only; `dropped` is told the names of the others. A body that is no JSON object
/// comes back as it is.
pub(crate) fn keep(body: Vec<u8>, names: &[&str], mut dropped: impl FnMut(&str)) -> Vec<u8> {
    let Ok(members) = Members::scan(&body) else { return body };
    let mut edits = Edits::new(&body, &members);
    for (at, member) in members.list.iter().enumerate() {
        let name = member.name(&body);
        if !names.contains(&name.as_ref()) {
            dropped(&name);
            edits.remove(at);
        }
    }
    match edits.apply() {
        Cow::Borrowed(_) => body,
        Cow::Owned(edited) => edited,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_added_last_and_never_replaced() {
        for (body, expected) in [
            ("{ }", r#"{"n":1 }"#),
            (r#"{"a": [1]}"#, r#"{"a": [1],"n":1}"#),
            (r#"{"n":"own"}"#, r#"{"n":"own"}"#),
        ] {
            assert_eq!(with(body.as_bytes(), "n", "1").unwrap(), expected.as_bytes(), "{body}");
        }
        assert!(with(b"[]", "n", "1").is_err());
    }

    #[test]
    fn what_is_not_named_is_taken_out_and_told() {
        let mut dropped = Vec::new();
        let body = br#"{"x":0,"a":[1, 2],"y":{"a":1},"b":null}"#.to_vec();
        let kept = keep(body, &["a", "b"], |name| dropped.push(name.to_owned()));
        assert_eq!(String::from_utf8(kept).unwrap(), r#"{"a":[1, 2],"b":null}"#);
        assert_eq!(dropped, ["x", "y"]);
        assert_eq!(keep(b"[1".to_vec(), &[], |_| panic!()), b"[1");
    }
}
