//! Keys that go on a request as they are.

use std::fmt;

use http::{HeaderName, HeaderValue, header};

use super::{Misconfigured, Secret};

/// A header that never changes.
#[derive(Clone)]
pub struct Fixed {
    name: HeaderName,
    value: HeaderValue,
}

impl Fixed {
    /// `Authorization: Bearer KEY`: most providers, and Bedrock API keys.
    ///
    /// # Errors
    /// The key has characters that no header may hold.
    pub fn bearer(key: &Secret) -> Result<Self, Misconfigured> {
        Self::word("Bearer", key)
    }

    /// `Authorization: WORD KEY`, for vendors with a word of their own (`Token`, `Key`).
    ///
    /// # Errors
    /// As `bearer`.
    pub fn word(word: &str, key: &Secret) -> Result<Self, Misconfigured> {
        Self::made(header::AUTHORIZATION, &format!("{word} {}", key.expose()))
    }

    /// A header of the provider's own: `x-api-key`, `api-key`; `x-goog-api-key` also in Vertex express mode.
    ///
    /// # Errors
    /// As `bearer`.
    pub fn header(name: HeaderName, key: &Secret) -> Result<Self, Misconfigured> {
        Self::made(name, key.expose())
    }

    #[must_use]
    pub fn name(&self) -> &HeaderName {
        &self.name
    }

    #[must_use]
    pub fn value(&self) -> &HeaderValue {
        &self.value
    }

    fn made(name: HeaderName, text: &str) -> Result<Self, Misconfigured> {
        let wrong = |_| Misconfigured("the key has characters that a header may not hold".into());
        let mut value = HeaderValue::from_str(text).map_err(wrong)?;
        value.set_sensitive(true);
        Ok(Self { name, value })
    }
}

impl fmt::Debug for Fixed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fixed({}: ********)", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_become_headers_and_are_never_shown() {
        let key = Secret::new("ABSKQmVkcm9ja0FQSUtleS1hYmNk");
        let bearer = Fixed::bearer(&key).unwrap();
        assert_eq!(bearer.name(), "authorization");
        assert_eq!(bearer.value(), "Bearer ABSKQmVkcm9ja0FQSUtleS1hYmNk");
        let express = Fixed::header(HeaderName::from_static("x-goog-api-key"), &key).unwrap();
        assert_eq!(express.value(), "ABSKQmVkcm9ja0FQSUtleS1hYmNk");
        assert_eq!(Fixed::word("Token", &key).unwrap().value(), "Token ABSKQmVkcm9ja0FQSUtleS1hYmNk");
        for shown in [format!("{bearer:?}"), format!("{express:?}"), format!("{:?}", bearer.value())] {
            assert!(!shown.contains("ABSK"), "{shown}");
        }
        assert!(Fixed::bearer(&Secret::new("a\nb")).is_err());
    }
}
