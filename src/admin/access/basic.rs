//! A name and a password: at a login, or with each request as `Basic`.

use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::login::Known;
use super::{Access, By, Proven, failed, login, now_ms, secret, told, too_soon, unauthorized};
use crate::admin::door::Visitor;
use crate::admin::who::Admin;
use crate::config::access;

const WRONG: &str = "the name or the password is wrong";

impl Access {
    /// Credentials of `Basic`. A pair that was right a moment ago is not hashed again.
    pub(super) async fn by_password(
        &self,
        encoded: &str,
        settings: &access::Access,
        visitor: Visitor,
    ) -> Result<Proven, Response> {
        let decoded = STANDARD.decode(encoded).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let pair = decoded.as_deref().and_then(|text| text.split_once(':'));
        let (name, password) = pair.ok_or_else(|| unauthorized("these credentials cannot be read"))?;
        let known = self.check(settings, (name, password), visitor).await?;
        Ok(Proven { admin: Admin { name: name.to_owned(), role: known.role }, by: By::Password })
    }

    /// The login of a name and its password.
    ///
    /// # Errors
    /// 401, the same for a name nobody has; 429 for who guesses; 503.
    pub(super) async fn check(
        &self,
        settings: &access::Access,
        (name, password): (&str, &str),
        visitor: Visitor,
    ) -> Result<Known, Response> {
        let known = login::find(settings, &*self.records, name).await.map_err(failed)?;
        let pair = secret::hash(&format!("{}{}:{name}{password}", self.salt, name.len()));
        if let Some(known) =
            known.as_ref().filter(|known| self.guesses.remembers(&pair, &known.proof, now_ms()))
        {
            return Ok(known.clone());
        }
        self.guesses.begin(name, visitor.address, now_ms()).map_err(|wait| too_soon(wait.0))?;
        let right = self.passwords.check(password, known.as_ref().map(|known| &known.password)).await;
        match known.filter(|_| right == Ok(true)) {
            Some(known) => {
                self.guesses.right(name, visitor.address);
                self.guesses.remember(pair, known.proof.clone(), now_ms());
                Ok(known)
            }
            None => {
                right.map_err(failed)?;
                let tried: String =
                    name.chars().filter(|c| !c.is_control()).take(login::LONGEST_NAME).collect();
                self.tell(&told("-", visitor, "session.refused", json!({ "name": tried }))).await;
                Err(unauthorized(WRONG))
            }
        }
    }
}
