//! Passwords: hashed with Argon2id, checked a few at a time.
//!
//! A check takes milliseconds of a processor and 19 MiB: it runs beside the runtime, never more than [`AT_ONCE`] together. A name that nobody
//! has is checked too, against a hash of nothing, so that time does not tell which names there are.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::secret;
use crate::config::access::Password;

/// Checks that run together.
const AT_ONCE: usize = 2;
/// Longest wait for a place.
const PATIENCE: Duration = Duration::from_secs(5);
/// Fewest characters of a password that is set here.
pub const SHORTEST: usize = 10;
/// More than this is no password, and hashing it would be work for an attacker.
pub const LONGEST: usize = 1024;

/// Why a password was not hashed or checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    #[error("a password has at least {SHORTEST} characters")]
    Short,
    #[error("a password has at most {LONGEST} bytes")]
    Long,
    #[error("too many passwords are being checked, try again")]
    Busy,
    #[error("the password cannot be hashed")]
    Failed,
}

/// Checks passwords.
#[derive(Debug)]
pub struct Passwords {
    places: Arc<Semaphore>,
}

impl Default for Passwords {
    fn default() -> Self {
        Self { places: Arc::new(Semaphore::new(AT_ONCE)) }
    }
}

impl Passwords {
    /// Whether `typed` is the password. Without one it never is, after the same time.
    ///
    /// # Errors
    /// `Busy`.
    pub async fn check(&self, typed: &str, known: Option<&Password>) -> Result<bool, PasswordError> {
        if typed.len() > LONGEST {
            return Ok(false);
        }
        let typed = typed.to_owned();
        match known {
            Some(Password::Plain(password)) => {
                // As slow as the others: which kind it is, is nobody's business.
                let (known, given) = (password.clone(), typed.clone());
                self.work(move || verify(&given, nobodys())).await?;
                Ok(secret::same(&typed, known.expose()))
            }
            Some(Password::Hashed(hash)) => {
                let hash = hash.clone();
                self.work(move || verify(&typed, hash.expose())).await
            }
            None => self.work(move || verify(&typed, nobodys())).await.map(|_| false),
        }
    }

    /// A hash to keep.
    ///
    /// # Errors
    /// As the variants of `PasswordError` say.
    pub async fn hash(&self, password: &str) -> Result<String, PasswordError> {
        check_length(password)?;
        let password = password.to_owned();
        self.work(move || hash(&password)).await?
    }

    async fn work<R: Send + 'static>(
        &self,
        work: impl FnOnce() -> R + Send + 'static,
    ) -> Result<R, PasswordError> {
        let place = timeout(PATIENCE, Arc::clone(&self.places).acquire_owned()).await;
        let place = place.map_err(|_| PasswordError::Busy)?.map_err(|_| PasswordError::Busy)?;
        let worked = spawn_blocking(move || {
            let result = work();
            drop(place);
            result
        });
        worked.await.map_err(|_| PasswordError::Failed)
    }
}

/// What a password must be at least.
///
/// # Errors
/// `Short` or `Long`.
pub fn check_length(password: &str) -> Result<(), PasswordError> {
    match password {
        short if short.chars().count() < SHORTEST => Err(PasswordError::Short),
        long if long.len() > LONGEST => Err(PasswordError::Long),
        _ => Ok(()),
    }
}

/// The PHC text of a password. Takes as long as a check.
///
/// # Errors
/// The system gives no random numbers.
pub fn hash(password: &str) -> Result<String, PasswordError> {
    let salt: [u8; 16] = secret::random().map_err(|_| PasswordError::Failed)?;
    let hash = Argon2::default().hash_password_with_salt(password.as_bytes(), &salt);
    hash.map(|hash| hash.to_string()).map_err(|_| PasswordError::Failed)
}

fn verify(password: &str, hash: &str) -> bool {
    let Ok(hash) = PasswordHash::new(hash) else { return false };
    Argon2::default().verify_password(password.as_bytes(), &hash).is_ok()
}

/// A hash that no password fits.
fn nobodys() -> &'static str {
    static HASH: OnceLock<String> = OnceLock::new();
    HASH.get_or_init(|| {
        secret::random::<32>().ok().and_then(|r| hash(&format!("{r:?}")).ok()).unwrap_or_default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::snapshot::Secret;

    #[tokio::test]
    async fn a_password_is_checked_against_text_and_hash_and_nobody_has_none() {
        let passwords = Passwords::default();
        let hashed = passwords.hash("correct horse").await.unwrap();
        assert!(hashed.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hashed}");
        for known in [Password::Plain(Secret::new("correct horse")), Password::Hashed(Secret::new(hashed))] {
            assert_eq!(passwords.check("correct horse", Some(&known)).await, Ok(true));
            assert_eq!(passwords.check("correct hors", Some(&known)).await, Ok(false));
            assert_eq!(passwords.check("", Some(&known)).await, Ok(false));
        }
        assert_eq!(passwords.check("correct horse", None).await, Ok(false));
        assert_eq!(passwords.check(&"x".repeat(LONGEST + 1), None).await, Ok(false));
    }

    #[test]
    fn short_and_endless_passwords_are_not_set() {
        assert_eq!(check_length("123456789"), Err(PasswordError::Short));
        assert_eq!(check_length("1234567890"), Ok(()));
        assert_eq!(check_length(&"x".repeat(LONGEST + 1)), Err(PasswordError::Long));
    }
}
