//! The three providers of the soak, and how the gateway is told of them.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::client::Dialect;

/// One scripted provider.
#[derive(Debug)]
pub struct Provider {
    pub name: &'static str,
    pub wire: Dialect,
    pub models: [&'static str; 2],
    /// What becomes of a conversation that ends with a turn of the model, by model.
    pub prefill: [Prefill; 2],
}

/// What a model makes of a last turn of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prefill {
    /// Goes on from it.
    Continues,
    /// Takes it for said, and answers anew.
    Ignores,
    /// A 400, as newer models of Anthropic's do.
    Refuses,
}

/// All of them.
pub const PROVIDERS: [Provider; 3] = [
    Provider {
        name: "red",
        wire: Dialect::OpenAi,
        models: ["gpt-4o-mini", "gpt-4.1"],
        prefill: [Prefill::Ignores, Prefill::Ignores],
    },
    Provider {
        name: "green",
        wire: Dialect::OpenAi,
        models: ["gpt-4o", "gpt-4.1-nano"],
        prefill: [Prefill::Ignores, Prefill::Ignores],
    },
    Provider {
        name: "blue",
        wire: Dialect::Anthropic,
        models: ["claude-3-5-haiku-20241022", "claude-opus-4-6"],
        prefill: [Prefill::Continues, Prefill::Refuses],
    },
];

/// Keys of each provider.
pub const KEYS: usize = 2;

/// The gateway's limits, shortened: an hour of trouble in minutes.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub connect: Duration,
    /// Until the first token, and between two events of a stream.
    pub silence: Duration,
    /// A whole answer.
    pub request: Duration,
    /// All attempts together.
    pub total: Duration,
    /// What a busy machine may add before a caller counts as kept waiting beyond its deadline.
    pub slack: Duration,
}

/// What the gateway is configured with.
pub const LIMITS: Limits = Limits {
    connect: Duration::from_secs(1),
    silence: Duration::from_secs(2),
    request: Duration::from_secs(4),
    total: Duration::from_secs(15),
    slack: Duration::from_secs(5),
};

/// The value of a provider's key, as it goes over the wire.
#[must_use]
pub fn key(provider: &Provider, index: usize) -> String {
    format!("{}-key-{index}", provider.name)
}

/// The gateway's configuration for providers at these addresses.
#[must_use]
pub fn gateway_config(addresses: &[SocketAddr]) -> Value {
    let mut providers = Map::new();
    for (provider, address) in PROVIDERS.iter().zip(addresses) {
        let keys: Vec<Value> = (0..KEYS)
            .map(|index| json!({"name": key(provider, index), "value": key(provider, index)}))
            .collect();
        let base = match provider.wire {
            Dialect::OpenAi => "openai",
            Dialect::Anthropic => "anthropic",
        };
        let entry = json!({
            "keys": keys,
            "custom_provider_config": {"base_provider_type": base},
            "network_config": {
                "base_url": format!("http://{address}"),
                "connect_timeout_in_seconds": LIMITS.connect.as_secs_f64(),
                "default_request_timeout_in_seconds": LIMITS.request.as_secs_f64(),
                "ttft_timeout_in_seconds": LIMITS.silence.as_secs_f64(),
                "stream_idle_timeout_in_seconds": LIMITS.silence.as_secs_f64(),
                "total_timeout_in_seconds": LIMITS.total.as_secs_f64(),
                "max_retries": 2,
                "retry_backoff_initial": 50,
                "retry_backoff_max": 3500,
            },
        });
        providers.insert(provider.name.to_owned(), entry);
    }
    json!({"providers": providers})
}
