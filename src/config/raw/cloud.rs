//! Settings of a provider key that belongs to an account in a cloud.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Loose;

/// An Azure OpenAI resource. With `client_id`, `client_secret` and `tenant_id` a token of Microsoft Entra is
/// used, with `value` an API key, with neither the environment's identity (workload or managed).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AzureKey {
    /// The resource, `https://NAME.openai.azure.com`.
    pub endpoint: Option<String>,
    /// Model names here to deployment names there.
    pub deployments: BTreeMap<String, String>,
    /// Version of the API; `v1`, `preview` or `latest` for the surface without deployments in its paths. Default
    /// 2024-10-21.
    pub api_version: Option<String>,
    /// Application (client) identifier.
    pub client_id: Option<String>,
    /// Secret of the application.
    pub client_secret: Option<String>,
    /// Directory (tenant) identifier.
    pub tenant_id: Option<String>,
    /// Scopes of the token. Default `https://cognitiveservices.azure.com/.default`.
    pub scopes: Vec<String>,
}

/// A Google Cloud project. With `auth_credentials` that account is used, with `value` an API key (express
/// mode), with neither the application default credentials.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct VertexKey {
    /// Project identifier; by default the service account's own.
    pub project_id: Option<String>,
    /// Project number, used when there is no identifier.
    pub project_number: Option<String>,
    /// Region, for example `us-central1`, or `global` (the default).
    pub region: Option<String>,
    /// Service account JSON, as text or by reference (`env.NAME`, `file:PATH`).
    pub auth_credentials: Option<String>,
    /// Model names here to model names there.
    pub deployments: BTreeMap<String, String>,
}

/// An AWS account. With `value` a Bedrock API key is used, with `access_key` and `secret_key` those keys, with
/// neither the default credential chain (environment, profile, web identity, container, instance).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BedrockKey {
    /// Access key identifier.
    pub access_key: Option<String>,
    /// Secret access key.
    pub secret_key: Option<String>,
    /// Token of temporary credentials.
    pub session_token: Option<String>,
    /// Region. Default us-east-1.
    pub region: Option<String>,
    /// Put before deployment names with a slash, for application inference profiles.
    pub arn: Option<String>,
    /// Role to assume.
    pub role_arn: Option<String>,
    /// External identifier for the role.
    pub external_id: Option<String>,
    /// Name of the role's session.
    pub session_name: Option<String>,
    /// Profile of the shared configuration files.
    pub profile: Option<String>,
    /// Model names here to model or inference profile identifiers there.
    pub deployments: BTreeMap<String, String>,
    /// Buckets of batch jobs. Not active in this version.
    pub batch_s3_config: Option<Loose>,
}

/// What a caller's AWS SDK signs with, towards this gateway.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AwsAccessKey {
    /// Access key identifier, of any form without commas and spaces.
    pub access_key: String,
    /// Secret access key, or a reference: `env.NAME`, `file:PATH`.
    pub secret_key: String,
}

/// Names of models at a provider.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Deployments {
    /// Model names here to model names there.
    pub deployments: BTreeMap<String, String>,
}
