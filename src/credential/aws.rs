//! Where AWS keys come from, by AWS's own SDK: static keys, environment, profiles, web identity, ECS and
//! EKS, the instance's metadata service, and roles assumed with any of them.
//!
//! The chain is built anew at each renewal: changed profile files and tokens are read, and no cache of
//! the SDK hands out what was refused.

use std::error::Error;
use std::fmt;
use std::time::SystemTime;

use aws_config::sts::AssumeRoleProvider;
use aws_config::{BehaviorVersion, ConfigLoader, Region};
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_smithy_runtime_api::client::identity::Identity;

use super::aws_http::SdkClient;
use super::sigv4::{Scope, SigV4};
use super::slot::{Renewal, Renewed, Source, SourceError};
use super::{Misconfigured, Secret};
use crate::egress::http::Client;

/// What is configured of an AWS identity. Nothing at all: the SDK's default chain.
#[derive(Debug, Clone, Default)]
pub struct Aws {
    /// With `secret_key`: static keys instead of the chain.
    pub access_key: Option<Secret>,
    pub secret_key: Option<Secret>,
    pub session_token: Option<Secret>,
    /// A profile of the shared files, instead of `AWS_PROFILE`.
    pub profile: Option<String>,
    /// A role to assume with the keys above.
    pub role_arn: Option<String>,
    pub external_id: Option<String>,
    pub session_name: Option<String>,
    /// Another STS: a private endpoint, a test.
    pub sts_endpoint: Option<String>,
}

/// Gets keys from the chain.
struct Chain {
    client: Client,
    region: String,
    aws: Aws,
}

impl Aws {
    /// Keys that sign for `scope`.
    ///
    /// # Errors
    /// Half of a key pair is missing.
    pub fn signing(self, scope: Scope, client: Client) -> Result<SigV4, Misconfigured> {
        let keys = self.keys()?;
        match keys {
            Some(keys) if self.role_arn.is_none() => Ok(SigV4::fixed(scope, keys)),
            _ => {
                let region = scope.region.to_string();
                Ok(SigV4::renewed_by(scope, Chain { client, region, aws: self }))
            }
        }
    }

    fn keys(&self) -> Result<Option<Credentials>, Misconfigured> {
        match (&self.access_key, &self.secret_key) {
            (Some(access), Some(secret)) => {
                let token = self.session_token.as_ref().map(|token| token.expose().to_owned());
                Ok(Some(Credentials::new(access.expose(), secret.expose(), token, None, "configuration")))
            }
            (None, None) if self.session_token.is_some() => {
                Err(Misconfigured("a session token needs its access key and secret key".into()))
            }
            (None, None) => Ok(None),
            _ => Err(Misconfigured("access key and secret key are needed together".into())),
        }
    }
}

impl Chain {
    async fn fetch(&self) -> Result<Renewed<Identity>, SourceError> {
        let mut loader = self.loader();
        if let Some(keys) = self.aws.keys().map_err(|e| SourceError(e.0))? {
            loader = loader.credentials_provider(keys);
        }
        let config = loader.load().await;
        let base = config.credentials_provider();
        let base = base.ok_or_else(|| SourceError("AWS's chain has no provider".into()))?;
        let keys = match &self.aws.role_arn {
            Some(role) => self.assumed(role, base).await?.provide_credentials().await,
            None => base.provide_credentials().await,
        };
        let keys = keys.map_err(|e| SourceError(causes(&e)))?;
        let lifetime = keys.expiry().map(|end| end.duration_since(SystemTime::now()).unwrap_or_default());
        Ok(Renewed { value: keys.into(), lifetime })
    }

    fn loader(&self) -> ConfigLoader {
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(SdkClient(self.client.clone()))
            .region(Region::new(self.region.clone()));
        if let Some(profile) = &self.aws.profile {
            loader = loader.profile_name(profile);
        }
        loader
    }

    async fn assumed(
        &self,
        role: &str,
        base: SharedCredentialsProvider,
    ) -> Result<AssumeRoleProvider, SourceError> {
        let mut loader = self.loader().credentials_provider(base.clone());
        if let Some(url) = &self.aws.sts_endpoint {
            loader = loader.endpoint_url(url);
        }
        let name = self.aws.session_name.as_deref().unwrap_or("bifrost");
        let mut builder =
            AssumeRoleProvider::builder(role).session_name(name).configure(&loader.load().await);
        if let Some(id) = &self.aws.external_id {
            builder = builder.external_id(id);
        }
        Ok(builder.build_from_provider(base).await)
    }
}

impl Source<Identity> for Chain {
    fn renew(&self) -> Renewal<'_, Identity> {
        Box::pin(self.fetch())
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.aws.fmt(f)
    }
}

/// The SDK's errors say what happened in their sources only.
fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let more = cause.to_string();
        if !text.ends_with(&more) {
            text = format!("{text}: {more}");
        }
        next = cause.source();
    }
    text.chars().take(500).collect()
}

#[cfg(test)]
mod tests;
