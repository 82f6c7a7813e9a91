//! Three gateways before one provider, which keeps a bill of its own.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::server::Redis;
use crate::support::answers::whole;
use crate::support::client::{Request, Response};
use crate::support::gateway::Gateway;
use crate::support::upstream::{Hit, Script, Upstream};
use crate::support::{Wire, until};

/// Of one answer, nano-dollars: eleven tokens of input and four of output at the prices of [`config`].
pub const ANSWER: u64 = 11 * 10_000 + 4 * 100_000;

/// The virtual key that all callers have.
pub fn value() -> String {
    format!("sk-bf-{:x<32}", "cluster")
}

pub fn chat() -> Value {
    json!({
        "model": "oa/m",
        "max_tokens": 8,
        "messages": [{"role": "user", "content": "Say three words."}],
    })
}

pub fn request() -> Request {
    Request::json("/v1/chat/completions", &chat()).header("x-bf-vk", &value())
}

pub fn healthy(hit: &Hit) -> Script {
    crate::support::answers::healthy(hit)
}

/// The size of the answer is known: the bill depends on it.
#[test]
fn the_scripted_answer_costs_what_the_bill_says() {
    let usage = whole(Wire::OpenAi, "m")["usage"].clone();
    assert_eq!((usage["prompt_tokens"].as_u64(), usage["completion_tokens"].as_u64()), (Some(11), Some(4)));
}

/// The configuration of every gateway.
pub fn config(upstream: &Upstream, redis: &Redis, quotas: Value, cluster: Value) -> Value {
    let mut key = json!({"name": "me", "value": value()});
    key.as_object_mut().unwrap().extend(quotas.as_object().unwrap().clone());
    let mut settings = json!({"url": redis.url(), "lease_in_ms": 2_000});
    settings.as_object_mut().unwrap().extend(cluster.as_object().unwrap().clone());
    json!({
        "providers": {"oa": {
            "network_config": {"base_url": upstream.url(), "max_retries": 0},
            "custom_provider_config": {"base_provider_type": "openai"},
            "keys": [{"name": "k", "value": "sk-a"}],
            "pricing_overrides": [{
                "model_pattern": "*", "match_type": "wildcard",
                "input_cost_per_token": "10000e-9", "output_cost_per_token": "100000e-9",
            }],
        }},
        "governance": {"virtual_keys": [key], "reservations": "strict"},
        "cluster": {"redis": settings},
    })
}

/// So many gateways, all in the cluster.
pub fn gateways(count: usize, config: &Value) -> Vec<Gateway> {
    let all: Vec<Gateway> = (0..count).map(|_| Gateway::start(config)).collect();
    for gateway in &all {
        until("every gateway to see all others", || {
            (gateway.health()["cluster"]["nodes"] == count).then_some(())
        });
    }
    all
}

/// What the provider has answered, in nano-dollars.
pub fn bill(upstream: &Upstream) -> u64 {
    u64::try_from(upstream.hits().len()).unwrap() * ANSWER
}

pub fn dollars(nanos: u64) -> Value {
    serde_json::from_str(&format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000)).unwrap()
}

/// Asks a gateway from so many callers at once, each until it is refused or has asked `each` times. Returns the answers
/// that were none but a refusal, and how many were good.
pub fn storm(gateway: &Arc<Gateway>, callers: usize, each: usize) -> (usize, Vec<u16>) {
    let workers: Vec<_> = (0..callers)
        .map(|_| {
            let gateway = Arc::clone(gateway);
            std::thread::Builder::new().stack_size(256 * 1024).spawn(move || {
                let (mut good, mut refused) = (0, Vec::new());
                let Ok(mut connection) = crate::support::client::Connection::open(gateway.address()) else {
                    return (good, refused);
                };
                for _ in 0..each {
                    match connection.ask(&request()).map(|answer: Response| answer.status()) {
                        Ok(200) => good += 1,
                        Ok(status) => {
                            refused.push(status);
                            break;
                        }
                        Err(_) => break,
                    }
                }
                (good, refused)
            })
        })
        .collect();
    let mut all = (0, Vec::new());
    for worker in workers {
        let (good, refused) = worker.expect("a thread").join().expect("a caller");
        all.0 += good;
        all.1.extend(refused);
    }
    all
}
