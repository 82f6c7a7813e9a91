//! Names and passwords: who has one, and how often it may be guessed.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use govern::attempts::{Attempts, Policy, TooSoon};
use govern::backoff::Ladder;
use serde::{Deserialize, Serialize};

use super::records::{Records, Unreachable};
use super::secret;
use crate::admin::who::Role;
use crate::config::access::{self, Password};
use crate::config::snapshot::Secret;

/// Where logins are kept.
pub const LOGINS: &str = "access/login/";
/// Longest name.
pub const LONGEST_NAME: usize = 128;

const MINUTE: u64 = 60_000;
/// Guesses at one name: whoever keeps an admin out has to go on, and the wait stays short.
const BY_NAME: Policy = Policy {
    free: 5,
    waits: Ladder { first_ms: 1_000, max_ms: MINUTE },
    forget_ms: 15 * MINUTE,
    most: 10_000,
};
/// Guesses from one address, at whatever names. Many people may be behind one.
const BY_ADDRESS: Policy = Policy {
    free: 20,
    waits: Ladder { first_ms: 1_000, max_ms: 15 * MINUTE },
    forget_ms: 15 * MINUTE,
    most: 10_000,
};

/// A login that was made at run time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    /// PHC text of Argon2id.
    pub password: String,
    pub role: Role,
    /// Unix milliseconds.
    pub changed_ms: u64,
}

/// Somebody who can log in with a password.
#[derive(Debug, Clone)]
pub struct Known {
    pub password: Password,
    pub role: Role,
    /// Changes with the password: sessions that were begun with another one are over.
    pub proof: String,
    /// It is written in the configuration.
    pub configured: bool,
}

/// The login of that name: the configuration's, or one of the store.
///
/// # Errors
/// The store cannot be reached.
pub async fn find(
    settings: &access::Access,
    records: &dyn Records,
    name: &str,
) -> Result<Option<Known>, Unreachable> {
    if let Some(account) = settings.admin.as_ref().filter(|account| account.name == name) {
        let (Password::Plain(text) | Password::Hashed(text)) = &account.password;
        let proof = proof(name, text.expose());
        return Ok(Some(Known {
            password: account.password.clone(),
            role: Role::Admin,
            proof,
            configured: true,
        }));
    }
    if !is_name(name) {
        return Ok(None);
    }
    let kept = records.get(&format!("{LOGINS}{name}")).await?;
    Ok(kept.and_then(|text| serde_json::from_str::<Login>(&text).ok()).map(|login| Known {
        proof: proof(name, &login.password),
        role: login.role,
        password: Password::Hashed(Secret::new(login.password)),
        configured: false,
    }))
}

/// Whether it may be a login's name.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let fits = |c: char| !c.is_control() && c != ':' && c != '/';
    !name.trim().is_empty() && name.len() <= LONGEST_NAME && name.chars().all(fits)
}

fn proof(name: &str, password: &str) -> String {
    secret::hash(&format!("{}:{name}{password}", name.len())).chars().take(16).collect()
}

/// Who guesses how often, and who was right a moment ago.
#[derive(Debug)]
pub struct Guesses(Mutex<Counted>);

#[derive(Debug)]
struct Counted {
    names: Attempts<String>,
    addresses: Attempts<String>,
    /// Hashes of right pairs of name and password, with the proof they were right for and their end.
    right: HashMap<String, (String, u64)>,
}

/// A right pair is not hashed anew within this time, for programs that send it with each request.
const REMEMBERED_MS: u64 = MINUTE;
const REMEMBERED: usize = 64;

impl Default for Guesses {
    fn default() -> Self {
        let (names, addresses) = (Attempts::new(BY_NAME), Attempts::new(BY_ADDRESS));
        Self(Mutex::new(Counted { names, addresses, right: HashMap::new() }))
    }
}

impl Guesses {
    /// Begins an attempt, which counts as wrong until [`Guesses::right`].
    ///
    /// # Errors
    /// It may not begin yet.
    pub fn begin(&self, name: &str, from: Option<IpAddr>, now_ms: u64) -> Result<(), TooSoon> {
        let (name, from) = (name.chars().take(LONGEST_NAME).collect::<String>(), network(from));
        let mut counted = self.lock();
        if let Some(too_soon) = counted.names.wait(&name, now_ms) {
            return Err(too_soon);
        }
        counted.addresses.begin(&from, now_ms)?;
        counted.names.begin(&name, now_ms)
    }

    /// The attempt was right.
    pub fn right(&self, name: &str, from: Option<IpAddr>) {
        let mut counted = self.lock();
        counted.names.right(&name.to_owned());
        counted.addresses.take_back(&network(from));
    }

    /// Whether the pair was right a moment ago, for the login with this proof.
    #[must_use]
    pub fn remembers(&self, pair: &str, proof: &str, now_ms: u64) -> bool {
        let counted = self.lock();
        counted.right.get(pair).is_some_and(|(of, until_ms)| of == proof && now_ms < *until_ms)
    }

    /// Notes a right pair.
    pub fn remember(&self, pair: String, proof: String, now_ms: u64) {
        let mut counted = self.lock();
        if counted.right.len() >= REMEMBERED {
            counted.right.clear();
        }
        counted.right.insert(pair, (proof, now_ms.saturating_add(REMEMBERED_MS)));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Counted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An address; of IPv6 the network, which a single machine has whole.
fn network(address: Option<IpAddr>) -> String {
    match address.map(|address| address.to_canonical()) {
        Some(IpAddr::V6(v6)) => {
            let [a, b, c, d, ..] = v6.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
        Some(v4) => v4.to_string(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn one_network_cannot_guess_at_many_names_and_many_cannot_guess_at_one() {
        let guesses = Guesses::default();
        let begun = (0..100).filter(|n| {
            let address = format!("2001:db8::{n:x}");
            guesses.begin(&format!("name-{n}"), from(&address), 0).is_ok()
        });
        assert_eq!(begun.count(), 21);
        let guesses = Guesses::default();
        let begun = (0..100).filter(|n| guesses.begin("admin", from(&format!("203.0.113.{n}")), 0).is_ok());
        assert_eq!(begun.count(), 6);
    }

    #[test]
    fn the_same_machine_is_one_address_whatever_it_is_called() {
        assert_eq!(network(from("::ffff:192.0.2.1")), network(from("192.0.2.1")));
        assert_eq!(network(from("2001:db8::1")), network(from("2001:db8::ffff:1")));
        assert_ne!(network(from("2001:db8::1")), network(from("2001:db8:0:1::1")));
    }

    #[test]
    fn a_right_pair_is_remembered_for_a_minute_and_for_its_password_only() {
        let guesses = Guesses::default();
        guesses.remember("pair".into(), "proof".into(), 0);
        assert!(guesses.remembers("pair", "proof", MINUTE - 1));
        assert!(!guesses.remembers("pair", "proof", MINUTE));
        assert!(!guesses.remembers("pair", "another", 0));
        (0..1_000).for_each(|n| guesses.remember(n.to_string(), String::new(), 0));
        assert!(guesses.lock().right.len() <= REMEMBERED);
    }

    #[test]
    fn names_are_without_what_has_a_meaning_elsewhere() {
        assert!(is_name("ada@example.com") && is_name("ä"));
        for name in ["", " ", "a:b", "a/b", "a\nb", &"x".repeat(129)] {
            assert!(!is_name(name), "{name:?}");
        }
    }
}
