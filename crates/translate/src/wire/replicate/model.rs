//! The names of models, and where each is run. A name comes from a caller: nothing of it may lead to
//! another path of the vendor's API.

use std::fmt::Write;

/// What a model's name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place<'m> {
    /// `owner/name`: an official model.
    Model(&'m str, &'m str),
    /// `owner/name:version`, or the version's id alone: named in the body.
    Version(&'m str),
    /// `deployments/owner/name`.
    Deployment(&'m str, &'m str),
}

impl<'m> Place<'m> {
    /// Reads a name; `None` when it has none of the forms.
    pub(super) fn of(model: &'m str) -> Option<Self> {
        let (name, version) = match model.split_once(':') {
            Some((name, version)) => (name, Some(version)),
            None => (model, None),
        };
        let mut words = name.split('/');
        let place = match (words.next(), words.next(), words.next(), words.next(), version) {
            (Some(id), None, None, None, None) if is_id(id) => Self::Version(id),
            (Some(owner), Some(name), None, None, version) if is_word(owner) && is_word(name) => {
                version.map_or(Self::Model(owner, name), Self::Version)
            }
            (Some("deployments"), Some(owner), Some(name), None, None) if is_word(owner) && is_word(name) => {
                Self::Deployment(owner, name)
            }
            _ => return None,
        };
        match place {
            Self::Version(version) if !is_word(version) => None,
            place => Some(place),
        }
    }
}

/// The path at which a prediction of `model` is created, below the provider's host:
/// `/v1/models/{owner}/{name}/predictions` for `owner/name`, `/v1/deployments/{owner}/{name}/predictions` for
/// `deployments/owner/name`, `/v1/predictions` for `owner/name:version` and for a version's 64 hexadecimal
/// digits. A name of another form, which [`super::Replicate`] refuses to encode for, is one escaped segment.
#[must_use]
pub fn path(model: &str) -> String {
    match Place::of(model) {
        Some(Place::Model(owner, name)) => format!("/v1/models/{owner}/{name}/predictions"),
        Some(Place::Version(_)) => "/v1/predictions".to_owned(),
        Some(Place::Deployment(owner, name)) => format!("/v1/deployments/{owner}/{name}/predictions"),
        None => format!("/v1/models/{}/predictions", escaped(model)),
    }
}

/// A version: the SHA-256 of its image.
fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Stands in a path as it is, and is no step up.
pub(super) fn is_word(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !text.is_empty() && text.bytes().all(plain) && !text.bytes().all(|byte| byte == b'.')
}

fn escaped(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') {
            out.push(char::from(byte));
        } else {
            // Writing into a string cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_name_has_its_path() {
        let id = "5c7d5dc6dd8bf75c1acaa8565735e7986bc5b66206b55cca93cb72c9bf15ccaa";
        let cases = [
            ("meta/meta-llama-3-70b-instruct", "/v1/models/meta/meta-llama-3-70b-instruct/predictions"),
            ("openai/gpt-4.1-mini", "/v1/models/openai/gpt-4.1-mini/predictions"),
            (id, "/v1/predictions"),
            (&format!("a/b:{id}"), "/v1/predictions"),
            ("deployments/acme/chat_1", "/v1/deployments/acme/chat_1/predictions"),
        ];
        for (model, expected) in cases {
            assert_eq!(path(model), expected, "{model}");
        }
        assert_eq!(Place::of(&format!("a/b:{id}")), Some(Place::Version(id)));
    }

    #[test]
    fn no_name_leads_to_another_path() {
        for model in [
            "",
            "gpt-4o",
            "a/",
            "/a",
            "../account",
            "a/..",
            "a/b/c",
            "a/b?x=1",
            "a/b#c",
            "a b/c",
            "é/x",
            "a/b:",
        ] {
            assert_eq!(Place::of(model), None, "{model}");
            let path = path(model);
            let inner = path.strip_prefix("/v1/models/").and_then(|rest| rest.strip_suffix("/predictions"));
            assert!(!inner.unwrap().contains(['/', '?', '#', '.', ' ']), "{path}");
        }
        assert_eq!(Place::of("a/b:../x"), None);
        assert_eq!(Place::of("deployments/../x"), None);
    }
}
