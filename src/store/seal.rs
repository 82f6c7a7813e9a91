//! Secrets at rest: AES-256-GCM under a key that Argon2id makes of a passphrase and a random salt.
//!
//! What is sealed carries a version, the key's mark and the place it was sealed for: moved to another place it does not open.
//! Without a passphrase secrets are kept as they are, and say so by another version. This file keeps nothing: the
//! salt, and what proves that a passphrase is the right one, are a [`Lock`] that the store keeps beside the secrets.

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};

/// Before a secret that is kept as it is.
const PLAIN: &str = "bf0:";
/// Before a sealed one: `bf1:<mark of the key>:<nonce, secret and tag in base64>`.
const SEALED: &str = "bf1:";
/// What a lock is made over.
const PROOF: &str = "bifrost";
const PROOF_PLACE: &str = "lock";
/// OWASP's least for Argon2id: some 20 ms, once at start. What an attacker of a stolen store pays for each guess.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const SALT: usize = 16;

/// Seals and opens secrets.
#[derive(Debug)]
pub struct Seal(Option<Key>);

#[derive(Debug)]
struct Key {
    key: LessSafeKey,
    /// Six hexadecimal digits: which key it was, for messages.
    mark: String,
}

/// What the key was made with, and a proof of the passphrase. No secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    /// Base64.
    salt: String,
    memory_kib: u32,
    passes: u32,
    /// A known text, sealed.
    proof: String,
}

/// Why a secret was not sealed or opened. Holds no secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    #[error(
        "the encryption key is not the one that the stored secrets were sealed with: \
         set encryption_key, or BIFROST_ENCRYPTION_KEY, to that one"
    )]
    WrongKey,
    #[error(
        "stored secrets are sealed: set encryption_key, or BIFROST_ENCRYPTION_KEY, to the key they were sealed with"
    )]
    NoKey,
    #[error("a stored secret was changed, or moved from another place")]
    Broken,
    #[error("what should be a stored secret is none")]
    Malformed,
    #[error("the system gives no random numbers")]
    NoRandomness,
    #[error("the lock of the stored secrets cannot be read")]
    BadLock,
}

impl Seal {
    /// Keeps secrets as they are.
    #[must_use]
    pub fn none() -> Self {
        Self(None)
    }

    /// A new key: the lock is to be kept beside what is sealed with it. Takes some 20 ms.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn begin(passphrase: &str) -> Result<(Self, Lock), SealError> {
        let salt: [u8; SALT] = random()?;
        let mut lock = Lock {
            salt: STANDARD_NO_PAD.encode(salt),
            memory_kib: MEMORY_KIB,
            passes: PASSES,
            proof: String::new(),
        };
        let seal = Self(Some(key(passphrase, &lock)?));
        lock.proof = seal.seal(PROOF, PROOF_PLACE)?;
        Ok((seal, lock))
    }

    /// The key of a lock. Takes some 20 ms.
    ///
    /// # Errors
    /// `WrongKey`: the passphrase is another one.
    pub fn again(passphrase: &str, lock: &Lock) -> Result<Self, SealError> {
        let seal = Self(Some(key(passphrase, lock)?));
        match seal.open(&lock.proof, PROOF_PLACE) {
            Ok(text) if text == PROOF => Ok(seal),
            Ok(_) | Err(SealError::Broken | SealError::WrongKey) => Err(SealError::WrongKey),
            Err(_) => Err(SealError::BadLock),
        }
    }

    /// There is a key.
    #[must_use]
    pub fn is_keyed(&self) -> bool {
        self.0.is_some()
    }

    /// `plain`, for `place` only: wherever else it is found, it does not open.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn seal(&self, plain: &str, place: &str) -> Result<String, SealError> {
        let Some(Key { key, mark }) = &self.0 else { return Ok(format!("{PLAIN}{plain}")) };
        let nonce: [u8; NONCE_LEN] = random()?;
        let mut bytes = plain.as_bytes().to_vec();
        let unique = Nonce::assume_unique_for_key(nonce);
        key.seal_in_place_append_tag(unique, Aad::from(place.as_bytes()), &mut bytes)
            .map_err(|_| SealError::Malformed)?;
        let whole = [&nonce[..], &bytes].concat();
        Ok(format!("{SEALED}{mark}:{}", STANDARD_NO_PAD.encode(whole)))
    }

    /// The secret of what [`Seal::seal`] made for `place`.
    ///
    /// # Errors
    /// As the variants of `SealError` say.
    pub fn open(&self, text: &str, place: &str) -> Result<String, SealError> {
        if let Some(plain) = text.strip_prefix(PLAIN) {
            return Ok(plain.to_owned());
        }
        let sealed = text.strip_prefix(SEALED).ok_or(SealError::Malformed)?;
        let (of, text) = sealed.split_once(':').ok_or(SealError::Malformed)?;
        let Key { key, mark } = self.0.as_ref().ok_or(SealError::NoKey)?;
        if of != mark {
            return Err(SealError::WrongKey);
        }
        let bytes = STANDARD_NO_PAD.decode(text).map_err(|_| SealError::Malformed)?;
        let (nonce, rest) = bytes.split_first_chunk::<NONCE_LEN>().ok_or(SealError::Malformed)?;
        let (nonce, mut rest) = (Nonce::assume_unique_for_key(*nonce), rest.to_vec());
        let plain = key
            .open_in_place(nonce, Aad::from(place.as_bytes()), &mut rest)
            .map_err(|_| SealError::Broken)?;
        String::from_utf8(plain.to_vec()).map_err(|_| SealError::Broken)
    }
}

/// `text` was sealed, with a key or without.
#[must_use]
pub fn is_sealed(text: &str) -> bool {
    text.starts_with(PLAIN) || text.starts_with(SEALED)
}

/// `text` is kept as it is: a store with a key should have none of these.
#[must_use]
pub fn is_plain(text: &str) -> bool {
    text.starts_with(PLAIN)
}

fn key(passphrase: &str, lock: &Lock) -> Result<Key, SealError> {
    let salt = STANDARD_NO_PAD.decode(&lock.salt).map_err(|_| SealError::BadLock)?;
    let params = Params::new(lock.memory_kib, lock.passes, 1, None).map_err(|_| SealError::BadLock)?;
    let mut bytes = [0; 32];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase.as_bytes(), &salt, &mut bytes)
        .map_err(|_| SealError::BadLock)?;
    let mark = digest(&SHA256, &[b"mark of ".as_slice(), &bytes].concat());
    let mark = mark.as_ref().iter().take(3).map(|byte| format!("{byte:02x}")).collect();
    let key = UnboundKey::new(&AES_256_GCM, &bytes).map_err(|_| SealError::BadLock)?;
    Ok(Key { key: LessSafeKey::new(key), mark })
}

fn random<const N: usize>() -> Result<[u8; N], SealError> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| SealError::NoRandomness)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_opens_with_the_same_passphrase_only() {
        let (seal, lock) = Seal::begin("correct horse").unwrap();
        let sealed = seal.seal("sk-live-1", "provider/openai").unwrap();
        assert!(!sealed.contains("sk-live-1") && is_sealed(&sealed) && !is_plain(&sealed), "{sealed}");
        let kept = serde_json::to_string(&lock).unwrap();
        let lock: Lock = serde_json::from_str(&kept).unwrap();
        let again = Seal::again("correct horse", &lock).unwrap();
        assert_eq!(again.open(&sealed, "provider/openai").as_deref(), Ok("sk-live-1"));
        assert_eq!(Seal::again("battery staple", &lock).unwrap_err(), SealError::WrongKey);
        assert_eq!(Seal::none().open(&sealed, "provider/openai"), Err(SealError::NoKey));
        let (other, _) = Seal::begin("correct horse").unwrap();
        assert_eq!(other.open(&sealed, "provider/openai"), Err(SealError::WrongKey), "another salt");
    }

    #[test]
    fn the_same_secret_is_never_sealed_to_the_same_text() {
        let (seal, _) = Seal::begin("p").unwrap();
        assert_ne!(seal.seal("x", "a"), seal.seal("x", "a"));
    }

    #[test]
    fn what_was_moved_changed_or_cut_does_not_open() {
        let (seal, _) = Seal::begin("p").unwrap();
        let sealed = seal.seal("secret", "provider/a").unwrap();
        assert_eq!(seal.open(&sealed, "provider/b"), Err(SealError::Broken));
        let (head, body) = sealed.rsplit_once(':').unwrap();
        for at in 0..body.len() {
            let mut other = body.as_bytes().to_vec();
            other[at] = if other[at] == b'A' { b'B' } else { b'A' };
            let text = format!("{head}:{}", String::from_utf8(other).unwrap());
            assert!(seal.open(&text, "provider/a").is_err(), "character {at}");
            assert!(seal.open(&format!("{head}:{}", &body[..at]), "provider/a").is_err(), "cut at {at}");
        }
        for text in ["", "secret", "bf1:", "bf1:x", "bf2:abc:def"] {
            assert_eq!(seal.open(text, "provider/a"), Err(SealError::Malformed), "{text}");
        }
    }

    #[test]
    fn without_a_key_secrets_are_marked_as_plain_and_a_key_still_reads_them() {
        let kept = Seal::none().seal("bf1:not really", "a").unwrap();
        assert!(is_sealed(&kept) && is_plain(&kept));
        let (seal, _) = Seal::begin("p").unwrap();
        assert_eq!(seal.open(&kept, "a").as_deref(), Ok("bf1:not really"));
        assert!(seal.is_keyed() && !Seal::none().is_keyed());
    }
}
