//! Sessions: what a login leaves in a browser, and in the store as a hash.

use http::HeaderMap;
use http::header::COOKIE;
use serde::{Deserialize, Serialize};

use super::Trouble;
use super::records::{Records, Unreachable};
use super::secret::{self, Kind};
use crate::admin::who::Role;
use crate::store::audit::Action;

/// Where sessions are kept, by the hash of their secret.
pub const SESSIONS: &str = "access/session/";
/// The cookie's name.
pub const COOKIE_NAME: &str = "bifrost_session";
/// Digits of the hash that name a session in lists.
const ID: usize = 16;

/// A session as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    pub name: String,
    pub role: Role,
    pub how: How,
    /// Of what it was begun with: over when that has changed.
    pub proof: String,
    /// Unix milliseconds.
    pub made_ms: u64,
    pub until_ms: u64,
    /// Where it was begun.
    pub address: String,
    /// What it was begun with, as it calls itself.
    pub agent: String,
}

/// What it was begun with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum How {
    Password,
    /// The one-time token.
    Setup,
    /// A token for programs.
    Token,
    /// An identity provider.
    Oidc,
}

/// A session that was found or begun.
#[derive(Debug, Clone)]
pub struct Open {
    /// Names it in lists.
    pub id: String,
    pub session: Session,
}

/// Begins a session; gives its secret. Those that are over are swept out.
///
/// # Errors
/// The store cannot be reached, or the system gives no random numbers.
pub async fn begin(records: &dyn Records, session: &Session, told: &Action) -> Result<String, Trouble> {
    sweep(records, session.made_ms).await?;
    let secret = secret::make(Kind::Session)?;
    let text = serde_json::to_string(session).unwrap_or_default();
    records.put(&format!("{SESSIONS}{}", secret::hash(&secret)), &text, Some(told)).await?;
    Ok(secret)
}

/// The session of a secret, unless its time is over.
///
/// # Errors
/// The store cannot be reached.
pub async fn find(records: &dyn Records, secret: &str, now_ms: u64) -> Result<Option<Open>, Unreachable> {
    let hash = secret::hash(secret);
    let Some(text) = records.get(&format!("{SESSIONS}{hash}")).await? else { return Ok(None) };
    Ok(read(&hash, &text).filter(|open| now_ms < open.session.until_ms))
}

/// All that are not over.
///
/// # Errors
/// The store cannot be reached.
pub async fn all(records: &dyn Records, now_ms: u64) -> Result<Vec<Open>, Unreachable> {
    let kept = records.under(SESSIONS).await?;
    let opened = kept.iter().filter_map(|(name, text)| read(name.strip_prefix(SESSIONS)?, text));
    Ok(opened.filter(|open| now_ms < open.session.until_ms).collect())
}

/// Ends the session of a secret; false when there was none.
///
/// # Errors
/// The store cannot be reached.
pub async fn end(records: &dyn Records, secret: &str, told: &Action) -> Result<bool, Unreachable> {
    records.take(&format!("{SESSIONS}{}", secret::hash(secret)), Some(told)).await
}

/// Ends those that `over` says; gives their number.
///
/// # Errors
/// The store cannot be reached.
pub async fn end_where(
    records: &dyn Records,
    over: impl Fn(&Open) -> bool + Send,
    told: Option<&Action>,
) -> Result<usize, Unreachable> {
    let mut ended = 0;
    for (name, text) in records.under(SESSIONS).await? {
        let Some(hash) = name.strip_prefix(SESSIONS) else { continue };
        // What cannot be read is nobody's session.
        let goes = read(hash, &text).as_ref().is_none_or(&over);
        if goes && records.take(&name, told).await? {
            ended += 1;
        }
    }
    Ok(ended)
}

async fn sweep(records: &dyn Records, now_ms: u64) -> Result<(), Unreachable> {
    end_where(records, |open| open.session.until_ms <= now_ms, None).await.map(drop)
}

fn read(hash: &str, text: &str) -> Option<Open> {
    let session = serde_json::from_str(text).ok()?;
    Some(Open { id: hash.chars().take(ID).collect(), session })
}

/// The session's secret that a browser sends.
#[must_use]
pub fn from_cookies(headers: &HeaderMap) -> Option<&str> {
    cookie(headers, COOKIE_NAME).filter(|secret| Kind::of(secret) == Some(Kind::Session))
}

/// The value of a cookie.
#[must_use]
pub fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let lines = headers.get_all(COOKIE).into_iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(found, _)| *found == name).map(|(_, value)| value)
}

/// `Set-Cookie` for a session's secret; without one it is removed.
#[must_use]
pub fn set_cookie(secret: Option<&str>, seconds: u64, secure: bool) -> String {
    let (value, age) = secret.map_or(("", 0), |secret| (secret, seconds));
    let secure = if secure { "; Secure" } else { "" };
    format!("{COOKIE_NAME}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={age}{secure}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::access::records::InMemory;

    fn session(name: &str, until_ms: u64) -> Session {
        let (how, proof) = (How::Password, "p".to_owned());
        let (address, agent) = (String::new(), String::new());
        Session { name: name.into(), role: Role::Viewer, how, proof, made_ms: 0, until_ms, address, agent }
    }

    fn told() -> Action {
        let (who, address) = ("ada".to_owned(), String::new());
        Action { at_ms: 0, who, address, action: "session.login".into(), detail: serde_json::Value::Null }
    }

    #[tokio::test]
    async fn a_session_is_found_by_its_secret_until_it_is_over_or_ended() {
        let records = InMemory::default();
        let secret = begin(&records, &session("ada", 100), &told()).await.unwrap();
        let found = find(&records, &secret, 99).await.unwrap().unwrap();
        assert_eq!(found.session, session("ada", 100));
        assert!(find(&records, &secret, 100).await.unwrap().is_none());
        assert!(find(&records, "bfs_other", 0).await.unwrap().is_none());
        assert!(!records.under("").await.unwrap().iter().any(|kept| format!("{kept:?}").contains(&secret)));
        assert!(
            end(&records, &secret, &told()).await.unwrap() && !end(&records, &secret, &told()).await.unwrap()
        );
        assert!(find(&records, &secret, 0).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn sessions_that_are_over_are_swept_out_by_the_next_login() {
        let records = InMemory::default();
        begin(&records, &session("old", 100), &told()).await.unwrap();
        begin(&records, &Session { made_ms: 100, ..session("new", 200) }, &told()).await.unwrap();
        assert_eq!(records.under(SESSIONS).await.unwrap().len(), 1);
        begin(&records, &Session { made_ms: 100, ..session("bob", 200) }, &told()).await.unwrap();
        let ended = end_where(&records, |open| open.session.name == "new", None).await.unwrap();
        let left: Vec<String> =
            all(&records, 150).await.unwrap().into_iter().map(|open| open.session.name).collect();
        assert_eq!((ended, left), (1, vec!["bob".to_owned()]));
    }

    #[test]
    fn the_cookie_is_found_among_others_and_out_of_reach_of_scripts() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, "a=b; bifrost_session_x=1".parse().unwrap());
        assert_eq!(from_cookies(&headers), None);
        headers.append(COOKIE, "c=d;bifrost_session=bfs_1; e=f".parse().unwrap());
        assert_eq!(from_cookies(&headers), Some("bfs_1"));
        let line = set_cookie(Some("bfs_1"), 60, true);
        assert_eq!(line, "bifrost_session=bfs_1; Path=/; HttpOnly; SameSite=Strict; Max-Age=60; Secure");
        assert!(set_cookie(None, 60, false).contains("bifrost_session=; ") && !line.contains("Domain"));
    }
}
