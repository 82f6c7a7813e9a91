//! Microsoft Entra's tokens: client credentials, workload identity, managed identity.
//!
//! Must not know Azure's model endpoints; the scope says what the token is for.

use std::fmt;
use std::path::PathBuf;

use super::oauth::{Headers, Token, get_token, post_form};
use super::slot::{Renewal, Renewed, Source, SourceError};
use super::{Misconfigured, Secret};
use crate::egress::http::Client;

/// Azure OpenAI and the other cognitive services. Foundry: `https://ai.azure.com/.default`.
pub const SCOPE: &str = "https://cognitiveservices.azure.com/.default";
/// The public cloud. China: `https://login.chinacloudapi.cn`, US government: `https://login.microsoftonline.us`.
pub const AUTHORITY: &str = "https://login.microsoftonline.com";
/// The metadata service of virtual machines.
const METADATA: &str = "http://169.254.169.254";

/// An application registered in a tenant.
#[derive(Debug, Clone)]
pub struct Application {
    /// `AUTHORITY`, or a sovereign cloud's.
    pub authority: String,
    pub tenant_id: String,
    pub client_id: String,
    pub proof: Proof,
    /// Joined with spaces; usually `SCOPE` alone.
    pub scopes: Vec<String>,
}

/// What an application proves itself with.
#[derive(Debug, Clone)]
pub enum Proof {
    Secret(Secret),
    /// Workload identity: a token of the cluster, read anew at each renewal.
    FederatedFile(PathBuf),
}

/// An identity that the machine has.
#[derive(Debug, Clone)]
pub struct Managed {
    /// A user-assigned identity; `None`: the machine's own.
    pub client_id: Option<String>,
    pub scope: String,
    pub host: ManagedHost,
}

/// Who tells the machine's identity.
#[derive(Debug, Clone)]
pub enum ManagedHost {
    /// Virtual machines, AKS nodes. The base URL.
    VirtualMachine(String),
    /// App Service, Functions, Container Apps: `IDENTITY_ENDPOINT` and `IDENTITY_HEADER`.
    AppService { endpoint: String, header: Secret },
}

/// Gets Entra tokens.
pub struct Entra {
    client: Client,
    identity: Identity,
}

enum Identity {
    Application(Application),
    Managed(Managed),
}

impl Application {
    /// The application that `AZURE_TENANT_ID`, `AZURE_CLIENT_ID` and either `AZURE_CLIENT_SECRET` or
    /// `AZURE_FEDERATED_TOKEN_FILE` name (and `AZURE_AUTHORITY_HOST`), when they do.
    #[must_use]
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let secret = set("AZURE_CLIENT_SECRET").map(|secret| Proof::Secret(Secret::new(secret)));
        let federated = || set("AZURE_FEDERATED_TOKEN_FILE").map(|path| Proof::FederatedFile(path.into()));
        Some(Self {
            authority: set("AZURE_AUTHORITY_HOST").unwrap_or_else(|| AUTHORITY.into()),
            tenant_id: set("AZURE_TENANT_ID")?,
            client_id: set("AZURE_CLIENT_ID")?,
            proof: secret.or_else(federated)?,
            scopes: vec![SCOPE.into()],
        })
    }
}

impl ManagedHost {
    /// App Service's when its variables are set, else the virtual machine's.
    #[must_use]
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Self {
        match (variable("IDENTITY_ENDPOINT"), variable("IDENTITY_HEADER")) {
            (Some(endpoint), Some(header)) => Self::AppService { endpoint, header: Secret::new(header) },
            _ => Self::VirtualMachine(METADATA.into()),
        }
    }
}

impl Entra {
    /// # Errors
    /// The tenant could not be part of a path, or there is no scope.
    pub fn application(client: Client, application: Application) -> Result<Self, Misconfigured> {
        let tenant = &application.tenant_id;
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
        if tenant.is_empty() || !tenant.chars().all(fits) {
            return Err(Misconfigured(format!("`{tenant}` is no tenant id and no domain")));
        }
        if application.scopes.is_empty() {
            return Err(Misconfigured("an Entra application needs a scope".into()));
        }
        Ok(Self { client, identity: Identity::Application(application) })
    }

    #[must_use]
    pub fn managed(client: Client, managed: Managed) -> Self {
        Self { client, identity: Identity::Managed(managed) }
    }

    async fn fetch(&self) -> Result<Renewed<Headers>, SourceError> {
        let token = match &self.identity {
            Identity::Application(application) => application.token(&self.client).await?,
            Identity::Managed(managed) => managed.token(&self.client).await?,
        };
        token.renewed(Headers::new())
    }
}

impl Source<Headers> for Entra {
    fn renew(&self) -> Renewal<'_, Headers> {
        Box::pin(self.fetch())
    }
}

impl fmt::Debug for Entra {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.identity {
            Identity::Application(application) => application.fmt(f),
            Identity::Managed(managed) => managed.fmt(f),
        }
    }
}

impl Application {
    async fn token(&self, client: &Client) -> Result<Token, SourceError> {
        let url = format!("{}/{}/oauth2/v2.0/token", self.authority.trim_end_matches('/'), self.tenant_id);
        let scope = self.scopes.join(" ");
        let mut fields =
            vec![("grant_type", "client_credentials"), ("client_id", &self.client_id), ("scope", &scope)];
        let federated;
        match &self.proof {
            Proof::Secret(secret) => fields.push(("client_secret", secret.expose())),
            Proof::FederatedFile(path) => {
                let unread = |e| SourceError(format!("{} cannot be read: {e}", path.display()));
                federated = tokio::fs::read_to_string(path).await.map_err(unread)?;
                let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
                fields.extend([("client_assertion_type", kind), ("client_assertion", federated.trim())]);
            }
        }
        post_form(client, &url, &fields).await
    }
}

impl Managed {
    async fn token(&self, client: &Client) -> Result<Token, SourceError> {
        match &self.host {
            ManagedHost::VirtualMachine(base) => {
                let query = self.query("2018-02-01");
                let url = format!("{}/metadata/identity/oauth2/token?{query}", base.trim_end_matches('/'));
                get_token(client, &url, &[("Metadata", "true")]).await
            }
            ManagedHost::AppService { endpoint, header } => {
                let url = format!("{endpoint}?{}", self.query("2019-08-01"));
                get_token(client, &url, &[("X-IDENTITY-HEADER", header.expose())]).await
            }
        }
    }

    fn query(&self, version: &str) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        // This older endpoint takes the resource, which is the scope without its end.
        query.append_pair("api-version", version);
        query.append_pair("resource", self.scope.trim_end_matches("/.default"));
        if let Some(id) = &self.client_id {
            query.append_pair("client_id", id);
        }
        query.finish()
    }
}

#[cfg(test)]
mod tests;
