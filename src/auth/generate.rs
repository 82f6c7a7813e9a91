//! New virtual keys.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::{SecureRandom, SystemRandom};

use crate::config::governance::KeyHash;

/// 192 random bits: 32 characters, none of which has to be quoted anywhere.
const BYTES: usize = 24;

/// A key that nobody has, `sk-bf-…`. Shown once; only its hash is kept.
///
/// # Errors
/// The system has no randomness.
pub fn generate() -> io::Result<String> {
    let mut bytes = [0; BYTES];
    SystemRandom::new().fill(&mut bytes).map_err(|_| io::Error::other("the system has no randomness"))?;
    Ok(format!("{}{}", KeyHash::PREFIX, URL_SAFE_NO_PAD.encode(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_long_different_and_fit_a_header() {
        let (one, other) = (generate().unwrap(), generate().unwrap());
        assert_ne!(one, other);
        assert_eq!(one.len(), 6 + 32);
        assert!(one.starts_with("sk-bf-") && one.bytes().all(|byte| byte.is_ascii_graphic()));
    }
}
