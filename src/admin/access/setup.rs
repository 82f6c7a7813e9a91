//! The first login of a gateway, and what the first start says of it.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use super::records::{Records, Unreachable};
use super::token;
use super::{Access, Trouble, login, now_ms, secret};
use crate::admin::who::Role;
use crate::config::access::{self, Door, Oidc};

/// A one-time token that was asked for on the command line is good for so long.
pub const ASKED_FOR_MS: u64 = 3_600_000;
/// Between two questions to a store that is not there.
const AGAIN: Duration = Duration::from_secs(1);

/// Whether somebody can log in: in the configuration, or because it was set up.
///
/// # Errors
/// The store cannot be reached.
pub async fn is_done(settings: &access::Access, records: &dyn Records) -> Result<bool, Unreachable> {
    if settings.admin.is_some() || settings.oidc.is_some() {
        return Ok(true);
    }
    let kept = records.under(login::LOGINS).await?;
    let admin = |text: &str| serde_json::from_str::<login::Login>(text).is_ok_and(|l| l.role == Role::Admin);
    if kept.iter().any(|(_, text)| admin(text)) {
        return Ok(true);
    }
    let now = now_ms();
    let lasting = |found: &token::Found| found.token.until_ms.is_none_or(|until| now < until);
    Ok(token::all(records).await?.iter().any(|found| found.token.role == Role::Admin && lasting(found)))
}

impl Access {
    /// What a start says: a one-time token where nobody can log in yet.
    ///
    /// # Errors
    /// The store cannot be reached, or the system gives no random numbers.
    pub async fn first_token(&self) -> Result<Option<String>, Trouble> {
        let settings = self.settings();
        if settings.door != Door::Closed || is_done(&settings, &*self.records).await? {
            return Ok(None);
        }
        token::make_setup(&*self.records, None).await.map(Some)
    }
}

/// Says at the start how the first login is set, and what is open. Waits for the store.
pub async fn announce(access: Arc<Access>) {
    let door = access.settings().door;
    if door != Door::Closed {
        let whom = if door == Door::Open { "everybody who reaches the port" } else { "this machine" };
        log::warn!("the administration (/api) is open to {whom}, without login");
        return;
    }
    let token = loop {
        match access.first_token().await {
            Ok(Some(token)) => break token,
            Ok(None) => return,
            Err(Trouble::Unreachable(error)) => {
                log::debug!("no first token yet: {error}");
                tokio::time::sleep(AGAIN).await;
            }
            Err(error) => return log::error!("no first token: {error}"),
        }
    };
    // Not into the log: logs are kept, and read by others.
    let _ = writeln!(
        io::stdout(),
        "Nobody has set a login for the administration (/api). This token does it, once:\n  {token}\n\
        as the token of POST /api/session/setup {{\"token\", \"username\", \"password\"}}, or of /api/session/login.\n"
    );
}

/// Of an identity provider: sessions end when it is another one.
#[must_use]
pub fn proof(oidc: &Oidc) -> String {
    secret::hash(&format!("{} {}", oidc.issuer, oidc.client_id)).chars().take(16).collect()
}
