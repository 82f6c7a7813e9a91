//! Secrets that the gateway makes: 256 random bits, kept as their hash.
//!
//! A random secret needs no slow hash: nobody can try all of them. Its beginning says what it is, so that scanners of
//! repositories find one that was published.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use subtle::ConstantTimeEq;

/// What a secret is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Logs in once, while nobody has set a login.
    Setup,
    /// For programs.
    Token,
    /// Of a login.
    Session,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Setup, Self::Token, Self::Session];

    fn prefix(self) -> &'static str {
        match self {
            Self::Setup => "bfsetup_",
            Self::Token => "bfadmin_",
            Self::Session => "bfs_",
        }
    }

    /// What `secret` is, by its beginning.
    #[must_use]
    pub fn of(secret: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| secret.starts_with(kind.prefix()))
    }
}

/// The system gives no random numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the system gives no random numbers")]
pub struct NoRandomness;

/// A new secret.
///
/// # Errors
/// The system gives no random numbers.
pub fn make(kind: Kind) -> Result<String, NoRandomness> {
    Ok(format!("{}{}", kind.prefix(), URL_SAFE_NO_PAD.encode(random::<32>()?)))
}

/// Random bytes.
///
/// # Errors
/// The system gives no random numbers.
pub fn random<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(bytes)
}

/// Under which a secret is kept: SHA-256, in hexadecimal.
#[must_use]
pub fn hash(secret: &str) -> String {
    digest(&SHA256, secret.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a page shows to prove that it is one of ours: made of the session's secret, which it does not give away.
#[must_use]
pub fn csrf(session: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, session.as_bytes());
    URL_SAFE_NO_PAD.encode(hmac::sign(&key, b"csrf").as_ref())
}

/// Whether two texts are the same, in a time that tells nothing of where they differ.
#[must_use]
pub fn same(one: &str, other: &str) -> bool {
    // Hashed first: lengths tell nothing either.
    let hash = |text: &str| digest(&SHA256, text.as_bytes());
    hash(one).as_ref().ct_eq(hash(other).as_ref()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_long_never_the_same_and_known_by_their_beginning() {
        for kind in Kind::ALL {
            let (one, other) = (make(kind).unwrap(), make(kind).unwrap());
            assert_ne!(one, other);
            assert_eq!((Kind::of(&one), one.len()), (Some(kind), kind.prefix().len() + 43));
        }
        assert_eq!(Kind::of("sk-bf-1"), None);
    }

    #[test]
    fn a_csrf_token_is_its_sessions_alone_and_tells_nothing_of_it() {
        let (one, other) = (make(Kind::Session).unwrap(), make(Kind::Session).unwrap());
        assert_eq!(csrf(&one), csrf(&one));
        assert_ne!(csrf(&one), csrf(&other));
        assert!(!one.contains(&csrf(&one)));
        assert!(same("a", "a") && !same("a", "b") && !same("a", "aa"));
    }
}
