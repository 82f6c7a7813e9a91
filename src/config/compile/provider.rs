//! One provider entry, or one found in the environment.

use std::sync::Arc;
use std::time::Duration;

use translate::provider::{self as presets, CredentialScheme, ProviderSpec};

use super::preset::{self, MOCK};
use super::{Compiler, account, backend, endpoint, key, network, places, pricing, treatment};
use crate::config::document::At;
use crate::config::environment::Environment;
use crate::config::problem::child;
use crate::config::raw;
use crate::config::snapshot::{AllowedRequests, Mock, Provider};
use govern::balance::Strategy;

/// What the parts of an entry need to know of it.
pub(super) struct Entry<'e> {
    pub(super) name: &'e str,
    pub(super) pointer: String,
    pub(super) raw: &'e raw::Provider,
    pub(super) spec: &'static ProviderSpec,
    /// Of another name than its preset: the preset's environment keys are not its own.
    pub(super) custom: bool,
}

impl Entry<'_> {
    /// The pointer of a field below the entry: `network_config/base_url`.
    pub(super) fn at(&self, fields: &str) -> String {
        format!("{}/{fields}", self.pointer)
    }

    /// Works without a key.
    pub(super) fn keyless(&self) -> bool {
        // A cloud's key may be nothing but an account: see `account`.
        let says_so = self.raw.custom_provider_config.as_ref().is_some_and(|custom| custom.is_key_less);
        says_so || self.spec.credential == CredentialScheme::Optional || self.spec.name == MOCK
    }
}

/// Compiles one entry; `None` when it has a problem that leaves nothing to build.
pub(super) fn compile(compiler: &mut Compiler<'_>, name: &str, raw: &raw::Provider) -> Option<Provider> {
    let pointer = child("/providers", name);
    if name.is_empty() || name.contains('/') || name.contains(char::is_whitespace) {
        compiler.problem(&pointer, At::Name, "a provider name must have no slash and no space");
        return None;
    }
    let spec = spec(compiler, name, raw, &pointer)?;
    let entry = Entry {
        name,
        pointer,
        raw,
        spec,
        custom: preset::find(name).is_none_or(|own| own.name != spec.name),
    };
    let place = account::first_place(&entry);
    let endpoint = endpoint::compile(compiler, &entry, &place);
    let backends = backend::of_provider(compiler, &entry, &place);
    let keys = key::compile(compiler, &entry, &place);
    let network = network::compile(compiler, &entry, endpoint.as_ref());
    let mock = mock(compiler, &entry);
    let prices = pricing::rules(compiler, &entry.at("pricing_overrides"), &raw.pricing_overrides);
    let (places, max_wait) = places::compile(compiler, &entry);
    Some(Provider {
        name: Arc::from(name),
        wire: spec.wire,
        spec,
        mock,
        endpoint: endpoint?,
        backends,
        affinity: backend::affinity(&entry),
        credential: spec.credential,
        strategy: strategy(raw.strategy),
        keys,
        keeps_raw: raw.store_raw_request_response,
        recovery: raw
            .streaming
            .as_ref()
            .and_then(|own| own.recovery)
            .or(compiler.recovery)
            .map(treatment::recovery),
        network,
        places,
        max_wait,
        allowed: raw.custom_provider_config.as_ref().and_then(|c| c.allowed_requests.as_ref()).map(allowed),
        prices,
        heads: Default::default(),
    })
}

/// How requests are shared, as the choice knows it.
pub(super) fn strategy(raw: raw::Strategy) -> Strategy {
    match raw {
        raw::Strategy::Weighted => Strategy::Weighted,
        raw::Strategy::Adaptive => Strategy::Adaptive,
        raw::Strategy::LeastLatency => Strategy::LeastLatency,
        raw::Strategy::LeastInflight => Strategy::LeastInflight,
        raw::Strategy::Cost => Strategy::Cost,
    }
}

/// Every preset whose environment variable holds a key.
pub(super) fn from_environment(compiler: &mut Compiler<'_>) -> Vec<Provider> {
    let names = present(compiler.environment);
    names.into_iter().filter_map(|name| compile(compiler, name, &raw::Provider::default())).collect()
}

/// The presets whose variable holds a key.
pub fn present(environment: &Environment) -> Vec<&'static str> {
    let present = |spec: &&ProviderSpec| {
        spec.base_url.is_some()
            && spec.name != MOCK
            && spec.env.iter().any(|v| environment.filled(v).is_some())
    };
    presets::all().iter().filter(present).map(|spec| spec.name).collect()
}

fn spec(
    compiler: &mut Compiler<'_>,
    name: &str,
    raw: &raw::Provider,
    pointer: &str,
) -> Option<&'static ProviderSpec> {
    let custom = raw.custom_provider_config.as_ref();
    if let Some(base) = custom.and_then(|c| c.base_provider_type.as_deref()) {
        let found = preset::find(base);
        if found.is_none() {
            let at = format!("{pointer}/custom_provider_config/base_provider_type");
            let problem = compiler.document.problem(&at, At::Value, format!("no provider {base:?} is known"));
            let advice = preset::near(base).map(|near| format!("did you mean {near:?}?"));
            compiler.push(
                &at,
                match advice {
                    Some(advice) => problem.suggest(advice),
                    None => problem,
                },
            );
        }
        return found;
    }
    if let Some(spec) = preset::find(name) {
        return Some(spec);
    }
    let (at, message) = match custom {
        Some(_) => {
            (format!("{pointer}/custom_provider_config"), "the field \"base_provider_type\" is missing")
        }
        None => (pointer.to_owned(), "no provider of this name is known"),
    };
    let problem = compiler.document.problem(&at, At::Name, message);
    // Who configures a provider of their own has not misspelt one of ours.
    let near = preset::near(name).filter(|_| custom.is_none());
    let advice = match near {
        Some(near) => format!("did you mean {near:?}?"),
        None => "say with custom_provider_config.base_provider_type whose wire format it speaks".to_owned(),
    };
    compiler.push(&at, problem.suggest(advice));
    None
}

fn mock(compiler: &mut Compiler<'_>, entry: &Entry<'_>) -> Option<Mock> {
    if entry.spec.name != MOCK {
        if entry.raw.mock_config.is_some() {
            compiler.warn(&entry.at("mock_config"), "only the built-in mock provider reads this");
        }
        return None;
    }
    let raw = entry.raw.mock_config.clone().unwrap_or_default();
    Some(Mock {
        latency: Duration::from_millis(raw.latency_ms),
        tokens_per_second: raw.tokens_per_second,
        error_rate: raw.error_rate,
    })
}

fn allowed(raw: &raw::AllowedRequests) -> AllowedRequests {
    AllowedRequests {
        chat_completion: raw.chat_completion,
        chat_completion_stream: raw.chat_completion_stream,
        embedding: raw.embedding,
        count_tokens: raw.count_tokens,
        text_completion: raw.text_completion,
        text_completion_stream: raw.text_completion_stream,
        responses: raw.responses,
        responses_stream: raw.responses_stream,
        rerank: raw.rerank,
        passthrough: raw.passthrough,
        passthrough_stream: raw.passthrough_stream,
    }
}
