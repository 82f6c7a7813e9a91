//! Tokens for programs, and the one-time token of a gateway that nobody has set a login for.

use serde::{Deserialize, Serialize};

use super::Trouble;
use super::records::{Records, Unreachable};
use super::secret::{self, Kind};
use crate::admin::who::Role;
use crate::store::audit::Action;

/// Where tokens are kept, by the hash of their secret.
pub const TOKENS: &str = "access/token/";
/// Where one-time tokens are.
pub const SETUPS: &str = "access/setup/";
/// Digits of the hash that name a token in lists.
const ID: usize = 16;

/// A token as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    pub name: String,
    pub role: Role,
    pub made_by: String,
    /// Unix milliseconds.
    pub made_ms: u64,
    /// `None`: it does not end by itself.
    pub until_ms: Option<u64>,
}

/// A token that was found.
#[derive(Debug, Clone)]
pub struct Found {
    /// Names it in lists.
    pub id: String,
    pub token: Token,
}

/// Makes a token; gives its id and its secret, which is shown once.
///
/// # Errors
/// The store cannot be reached, or the system gives no random numbers.
pub async fn make(records: &dyn Records, token: &Token, told: &Action) -> Result<(String, String), Trouble> {
    let secret = secret::make(Kind::Token)?;
    let hash = secret::hash(&secret);
    let text = serde_json::to_string(token).unwrap_or_default();
    records.put(&format!("{TOKENS}{hash}"), &text, Some(told)).await?;
    Ok((id(&hash), secret))
}

/// The token of a secret, unless its time is over.
///
/// # Errors
/// The store cannot be reached.
pub async fn find(records: &dyn Records, secret: &str, now_ms: u64) -> Result<Option<Found>, Unreachable> {
    by_hash(records, &secret::hash(secret), now_ms).await
}

/// The token of a secret with this hash, unless its time is over.
///
/// # Errors
/// The store cannot be reached.
pub async fn by_hash(records: &dyn Records, hash: &str, now_ms: u64) -> Result<Option<Found>, Unreachable> {
    let Some(text) = records.get(&format!("{TOKENS}{hash}")).await? else { return Ok(None) };
    Ok(read(hash, &text).filter(|found| found.token.until_ms.is_none_or(|until| now_ms < until)))
}

/// All, those that are over too.
///
/// # Errors
/// The store cannot be reached.
pub async fn all(records: &dyn Records) -> Result<Vec<Found>, Unreachable> {
    let kept = records.under(TOKENS).await?;
    Ok(kept.iter().filter_map(|(name, text)| read(name.strip_prefix(TOKENS)?, text)).collect())
}

/// Removes the token with this id.
///
/// # Errors
/// The store cannot be reached.
pub async fn revoke(records: &dyn Records, id: &str, told: &Action) -> Result<Option<Token>, Unreachable> {
    for (name, text) in records.under(TOKENS).await? {
        let found = name.strip_prefix(TOKENS).and_then(|hash| read(hash, &text));
        if let Some(found) = found.filter(|found| found.id == id)
            && records.take(&name, Some(told)).await?
        {
            return Ok(Some(found.token));
        }
    }
    Ok(None)
}

/// Makes a one-time token in place of all before; gives its secret.
///
/// # Errors
/// The store cannot be reached, or the system gives no random numbers.
pub async fn make_setup(records: &dyn Records, until_ms: Option<u64>) -> Result<String, Trouble> {
    forget_setups(records).await?;
    let secret = secret::make(Kind::Setup)?;
    let until = until_ms.map(|until| until.to_string()).unwrap_or_default();
    records.put(&format!("{SETUPS}{}", secret::hash(&secret)), &until, None).await?;
    Ok(secret)
}

/// Uses up a one-time token: true once.
///
/// # Errors
/// The store cannot be reached.
pub async fn use_setup(records: &dyn Records, secret: &str, now_ms: u64) -> Result<bool, Unreachable> {
    let name = format!("{SETUPS}{}", secret::hash(secret));
    let Some(until) = records.get(&name).await? else { return Ok(false) };
    let in_time = until.parse::<u64>().map_or(until.is_empty(), |until| now_ms < until);
    Ok(records.take(&name, None).await? && in_time)
}

/// Removes every one-time token.
///
/// # Errors
/// The store cannot be reached.
pub async fn forget_setups(records: &dyn Records) -> Result<(), Unreachable> {
    for (name, _) in records.under(SETUPS).await? {
        records.take(&name, None).await?;
    }
    Ok(())
}

fn read(hash: &str, text: &str) -> Option<Found> {
    Some(Found { id: id(hash), token: serde_json::from_str(text).ok()? })
}

fn id(hash: &str) -> String {
    hash.chars().take(ID).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::access::records::InMemory;

    fn token(until_ms: Option<u64>) -> Token {
        Token { name: "ci".into(), role: Role::Viewer, made_by: "ada".into(), made_ms: 0, until_ms }
    }

    fn told() -> Action {
        let (who, address) = ("ada".to_owned(), String::new());
        Action { at_ms: 0, who, address, action: "token.create".into(), detail: serde_json::Value::Null }
    }

    #[tokio::test]
    async fn a_token_is_found_by_its_secret_until_it_is_over_or_revoked() {
        let records = InMemory::default();
        let (id, secret) = make(&records, &token(Some(10)), &told()).await.unwrap();
        assert_eq!(find(&records, &secret, 9).await.unwrap().unwrap().token, token(Some(10)));
        assert!(find(&records, &secret, 10).await.unwrap().is_none());
        assert!(!records.under("").await.unwrap().iter().any(|kept| format!("{kept:?}").contains(&secret)));
        assert_eq!(all(&records).await.unwrap().len(), 1);
        assert!(revoke(&records, "other", &told()).await.unwrap().is_none());
        assert_eq!(revoke(&records, &id, &told()).await.unwrap(), Some(token(Some(10))));
        assert!(find(&records, &secret, 0).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_one_time_token_works_once_and_only_the_last_one() {
        let records = InMemory::default();
        let first = make_setup(&records, None).await.unwrap();
        let second = make_setup(&records, None).await.unwrap();
        assert!(!use_setup(&records, &first, 0).await.unwrap());
        assert!(use_setup(&records, &second, 0).await.unwrap());
        assert!(!use_setup(&records, &second, 0).await.unwrap());
        let late = make_setup(&records, Some(10)).await.unwrap();
        assert!(!use_setup(&records, &late, 10).await.unwrap());
    }
}
