//! Provider keys that belong to an account in a cloud: where it is, how models are called there, and what
//! proves who asks.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use translate::provider::CredentialScheme;

use super::endpoint::{self, Place};
use super::provider::Entry;
use super::{Compiler, backend};
use crate::config::document::At;
use crate::config::raw;
use crate::config::snapshot::{Key, Secret};
use crate::credential::aws::Aws;
use crate::credential::entra::{self, Application, Entra, Managed, ManagedHost, Proof};
use crate::credential::gcp_oauth::{Google, Place as GooglePlace, project_of};
use crate::credential::ibm::{self, Iam};
use crate::credential::sigv4::Scope;
use crate::credential::{Credential, Misconfigured, OAuth};
use crate::egress::http::Client;

/// The place of an entry's first key: the provider's own.
pub(super) fn first_place(entry: &Entry<'_>) -> Place {
    entry
        .raw
        .keys
        .iter()
        .enumerate()
        .map(|(at, key)| place(entry, key, at))
        .next()
        .unwrap_or_else(|| plain(entry))
}

/// The settings alone say who asks: no `value` is needed.
pub(super) fn stands_alone(entry: &Entry<'_>, raw: &raw::ProviderKey) -> bool {
    match entry.spec.credential {
        CredentialScheme::Aws(_) => raw.bedrock_key_config.is_some(),
        CredentialScheme::Azure => raw.azure_key_config.is_some(),
        CredentialScheme::Google => raw.vertex_key_config.is_some(),
        _ => false,
    }
}

/// Why the account's settings have no value: a variable that is not set.
pub(super) fn unset(compiler: &Compiler<'_>, pointer: &str) -> Option<String> {
    let of_account = |at: &str| {
        at.strip_prefix(pointer).is_some_and(|rest| {
            rest.strip_prefix('/')
                .and_then(|rest| rest.split_once('/'))
                .is_some_and(|(name, _)| name.ends_with("_key_config"))
        })
    };
    let mut reasons: Vec<_> = compiler.references.iter().filter(|(at, _)| of_account(at)).collect();
    reasons.sort();
    reasons.into_iter().find_map(|(_, reason)| reason.clone())
}

/// A credential of one header, or none.
pub(super) fn fixed(scheme: CredentialScheme, secret: Option<&Secret>) -> Arc<Credential> {
    Arc::new(secret.map_or(Credential::None, |secret| Credential::of_key(scheme, secret)))
}

/// A key that is not sent itself but exchanged for a token gets that token.
pub(super) fn exchange(compiler: &mut Compiler<'_>, entry: &Entry<'_>, pointer: &str, key: &mut Key) {
    let Some(secret) = key.secret.clone().filter(|_| entry.spec.credential == CredentialScheme::Ibm) else {
        return;
    };
    let id = hash_of((entry.spec.name, secret.expose()));
    let made = kept(id, || {
        let client = Client::new(&[]).map_err(|error| Misconfigured(error.to_string()))?;
        Ok(Credential::OAuth(OAuth::renewed_by(Iam::new(client, ibm::TOKENS, secret))))
    });
    match made {
        Ok(credential) => key.credential = credential,
        Err(wrong) => compiler.problem(pointer, At::Value, wrong.to_string()),
    }
}

/// Gives a key its deployments, its own endpoint and the credential of its account.
pub(super) fn complete(
    compiler: &mut Compiler<'_>,
    entry: &Entry<'_>,
    raw: &raw::ProviderKey,
    (pointer, first): (&str, &Place),
    key: &mut Key,
) {
    let names = deployments(raw);
    let prefix = raw.bedrock_key_config.as_ref().and_then(|config| config.arn.as_deref());
    key.deployments = names
        .map(|(name, there)| {
            let there = prefix.map_or_else(|| there.clone(), |arn| format!("{arn}/{there}"));
            (Arc::from(name.as_str()), Arc::from(there))
        })
        .collect();
    if key.disabled.is_some() {
        return;
    }
    let index = pointer.rsplit('/').next().and_then(|at| at.parse().ok()).unwrap_or(0);
    let place = place(entry, raw, index);
    key.backends = backend::of_key(compiler, entry, raw, (pointer, &place));
    if !place.is_at(first) || key.backends.is_some() {
        key.endpoint = endpoint::compile(compiler, entry, &place).map(Arc::new);
    }
    exchange(compiler, entry, pointer, key);
    if key.secret.is_some() || !stands_alone(entry, raw) {
        return;
    }
    let id = hash_of((entry.spec.name, &place.region, serde_json::to_string(raw).unwrap_or_default()));
    match kept(id, || credential(compiler, entry, raw, &place)) {
        Ok(credential) => key.credential = credential,
        Err(wrong) => compiler.problem(pointer, At::Value, wrong.to_string()),
    }
}

fn deployments(raw: &raw::ProviderKey) -> impl Iterator<Item = (&String, &String)> {
    let maps: [Option<&BTreeMap<String, String>>; 6] = [
        Some(&raw.aliases),
        raw.azure_key_config.as_ref().map(|config| &config.deployments),
        raw.vertex_key_config.as_ref().map(|config| &config.deployments),
        raw.bedrock_key_config.as_ref().map(|config| &config.deployments),
        raw.huggingface_key_config.as_ref().map(|config| &config.deployments),
        raw.replicate_key_config.as_ref().map(|config| &config.deployments),
    ];
    maps.into_iter().flatten().flatten()
}

fn plain(entry: &Entry<'_>) -> Place {
    let region = if entry.spec.credential == CredentialScheme::Google { "global" } else { "us-east-1" };
    Place { region: region.to_owned(), ..Place::default() }
}

fn place(entry: &Entry<'_>, raw: &raw::ProviderKey, index: usize) -> Place {
    let mut place = plain(entry);
    if let Some(azure) = &raw.azure_key_config {
        let pointer = entry.at(&format!("keys/{index}/azure_key_config/endpoint"));
        place.host = azure.endpoint.clone().map(|endpoint| (pointer, endpoint));
        place.api_version = azure.api_version.clone().unwrap_or(place.api_version);
    }
    if let Some(vertex) = &raw.vertex_key_config {
        place.region = vertex.region.clone().unwrap_or(place.region);
        let own = || vertex.auth_credentials.as_deref().and_then(project_of);
        place.project = vertex.project_id.clone().or_else(|| vertex.project_number.clone()).or_else(own);
    }
    if let Some(vllm) = &raw.vllm_key_config {
        let own = vllm.url.as_deref().map(|url| ("url", url));
        let own = own.or_else(|| Some(("urls/0", vllm.urls.first()?.parts().0)));
        let at = |name| entry.at(&format!("keys/{index}/vllm_key_config/{name}"));
        place.host = own.map(|(name, url)| (at(name), url.to_owned())).or(place.host);
    }
    if let Some(bedrock) = &raw.bedrock_key_config {
        place.region = bedrock.region.clone().unwrap_or(place.region);
    }
    place
}

fn hash_of(account: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    account.hash(&mut hasher);
    hasher.finish()
}

/// The credential of the same account (`id`) in the configuration before, with its token; else a new one. A
/// reload must not fetch every token again.
fn kept(
    id: u64,
    make: impl FnOnce() -> Result<Credential, Misconfigured>,
) -> Result<Arc<Credential>, Misconfigured> {
    static KNOWN: Mutex<Vec<(u64, Weak<Credential>)>> = Mutex::new(Vec::new());
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    known.retain(|(_, credential)| credential.strong_count() > 0);
    let found = known.iter().find(|(known, _)| *known == id).and_then(|(_, credential)| credential.upgrade());
    if let Some(found) = found {
        return Ok(found);
    }
    let made = Arc::new(make()?);
    known.push((id, Arc::downgrade(&made)));
    Ok(made)
}

fn credential(
    compiler: &Compiler<'_>,
    entry: &Entry<'_>,
    raw: &raw::ProviderKey,
    place: &Place,
) -> Result<Credential, Misconfigured> {
    let client = Client::new(&[]).map_err(|error| Misconfigured(error.to_string()))?;
    let variable = |name: &str| compiler.environment.get(name);
    match entry.spec.credential {
        CredentialScheme::Aws(service) => {
            let scope = Scope::new(service, place.region.as_str());
            aws(raw.bedrock_key_config.clone().unwrap_or_default(), scope, client)
        }
        CredentialScheme::Azure => azure(raw.azure_key_config.clone().unwrap_or_default(), client, variable),
        CredentialScheme::Google => {
            let config = raw.vertex_key_config.clone().unwrap_or_default();
            let from = match config.auth_credentials.filter(|text| !text.trim().is_empty()) {
                Some(json) => GooglePlace::Inline(Secret::new(json)),
                None => GooglePlace::default_of(variable),
            };
            Google::new(client, from).map(|google| Credential::OAuth(OAuth::renewed_by(google)))
        }
        _ => Ok(Credential::None),
    }
}

fn aws(config: raw::BedrockKey, scope: Scope, client: Client) -> Result<Credential, Misconfigured> {
    let secret = |text: Option<String>| text.filter(|text| !text.is_empty()).map(Secret::new);
    let aws = Aws {
        access_key: secret(config.access_key),
        secret_key: secret(config.secret_key),
        session_token: secret(config.session_token),
        profile: config.profile,
        role_arn: config.role_arn,
        external_id: config.external_id,
        session_name: config.session_name,
        sts_endpoint: None,
    };
    aws.signing(scope, client).map(Credential::SigV4)
}

fn azure(
    config: raw::AzureKey,
    client: Client,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Credential, Misconfigured> {
    let source = match (config.client_id, config.client_secret, config.tenant_id) {
        (Some(client_id), Some(secret), Some(tenant_id)) => {
            let authority = variable("AZURE_AUTHORITY_HOST").unwrap_or_else(|| entra::AUTHORITY.to_owned());
            let scopes = if config.scopes.is_empty() { vec![entra::SCOPE.to_owned()] } else { config.scopes };
            let proof = Proof::Secret(Secret::new(secret));
            Entra::application(client, Application { authority, tenant_id, client_id, proof, scopes })?
        }
        (None, None, None) => match Application::from_environment(&variable) {
            Some(application) => Entra::application(client, application)?,
            None => {
                let host = ManagedHost::from_environment(&variable);
                Entra::managed(
                    client,
                    Managed {
                        client_id: None,
                        scope: entra::SCOPE.trim_end_matches("/.default").to_owned(),
                        host,
                    },
                )
            }
        },
        _ => {
            let needed = "client_id, client_secret and tenant_id belong together: one of them is missing";
            return Err(Misconfigured(needed.to_owned()));
        }
    };
    Ok(Credential::OAuth(OAuth::renewed_by(source)))
}
