//! Requests of all kinds, again and again: answers, streams, errors, fallbacks, retries, waits, refusals.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::answers::{events, healthy, json_answer, refusal, stream, whole};
use crate::support::client::{Connection, Request};
use crate::support::gateway::Gateway;
use crate::support::upstream::{Act, Hit, Script, Upstream};

/// A virtual key as callers send it.
fn key_of(name: &str) -> String {
    format!("sk-bf-0000-{name:0>40}")
}

fn answer(hit: &Hit) -> Script {
    match hit.model() {
        // Now and then the first of two tries.
        "gpt-4o" if hit.nth % 3 == 1 => refusal(hit, 500, "server_error", "try again", &[]),
        "gpt-4o" => {
            let mut body = whole(hit.wire(), hit.model());
            body["usage"]["prompt_tokens_details"] = json!({"cached_tokens": 4});
            let left = [
                ("x-ratelimit-limit-requests", "100"),
                ("x-ratelimit-remaining-requests", "60"),
                ("x-ratelimit-reset-requests", "6m0s"),
            ];
            json_answer(200, &left, &body)
        }
        "gpt-4o-mini" if hit.streams() => stream(&events(hit.wire(), hit.model()), Duration::from_millis(2)),
        // The second one is the faster.
        "gpt-4.1-mini" if hit.nth % 2 == 1 => late(hit, 150),
        "narrow" => late(hit, 60),
        "wrong" => refusal(hit, 400, "invalid_request_error", "no such parameter", &[]),
        "broken" => refusal(hit, 500, "server_error", "always", &[]),
        "limited" if hit.key() == "spent" => {
            refusal(hit, 429, "rate_limit_exceeded", "later", &[("retry-after", "600")])
        }
        "cut" => {
            let mut script = stream(&events(hit.wire(), hit.model())[..3], Duration::ZERO);
            script.pop();
            script.push(Act::Reset);
            script
        }
        _ => healthy(hit),
    }
}

fn late(hit: &Hit, ms: u64) -> Script {
    let mut script = vec![Act::Pause(Duration::from_millis(ms))];
    script.extend(healthy(hit));
    script
}

fn config(upstream: &Upstream) -> Value {
    let network = json!({"base_url": upstream.url(), "max_retries": 1, "retry_backoff_initial": 5});
    let custom = |keys: Value| json!({"keys": keys, "network_config": network, "custom_provider_config": {"base_provider_type": "openai"}});
    let one = || json!([{"name": "only", "value": "only"}]);
    let mut narrow = custom(one());
    narrow["concurrency_and_buffer_size"] = json!({"concurrency": 1, "buffer_size": 1});
    let budget = json!({"max_limit": 100, "reset_duration": "1d"});
    json!({
        "providers": {
            "openai": {"keys": [{"name": "main", "value": "main"}, {"name": "second", "value": "second"}], "network_config": network},
            "broken": custom(one()),
            "limited": custom(json!([{"name": "spent", "value": "spent"}, {"name": "fresh", "value": "fresh"}])),
            "narrow": narrow,
        },
        "client": {"prometheus_labels": ["cost_center"]},
        "hedging": {"after_ms": 60, "max_extra_spend_percent": 100},
        "governance": {
            "customers": [{"id": "c1", "name": "Acme"}],
            "teams": [{"id": "t1", "name": "Search", "customer_id": "c1"}],
            "virtual_keys": [
                {"id": "vk-app", "name": "app", "value": key_of("app"), "team_id": "t1", "budget": budget,
                 "rate_limit": {"request_max_limit": 1_000_000, "request_reset_duration": "1d"}},
                {"id": "vk-few", "name": "few", "value": key_of("few"),
                 "rate_limit": {"request_max_limit": 1, "request_reset_duration": "1d"}},
            ],
        },
    })
}

fn chat(model: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": "What is six times seven?"}]})
}

fn post(body: &Value, key: &str) -> Request {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let id = format!("observed-{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let request = Request::json("/v1/chat/completions", body)
        .header("x-request-id", &id)
        .header("x-bf-prom-cost-center", "research");
    if key.is_empty() { request } else { request.header("x-bf-vk", &key_of(key)) }
}

/// One of each kind.
fn round(address: std::net::SocketAddr) {
    let streamed = |model: &str| {
        let mut body = chat(model);
        body["stream"] = json!(true);
        body
    };
    let mut fallback = chat("broken/broken");
    fallback["fallbacks"] = json!(["openai/gpt-4o-mini"]);
    let all = [
        post(&chat("openai/gpt-4o"), "app"),
        post(&streamed("openai/gpt-4o-mini"), "app"),
        post(&chat("openai/gpt-4.1-mini"), ""),
        post(&chat("openai/wrong"), "app"),
        post(&chat("openai/nobody-knows-its-price"), ""),
        post(&fallback, "app"),
        post(&chat("limited/limited"), ""),
        post(&streamed("openai/cut"), ""),
        // One too many for its limit.
        post(&chat("openai/gpt-4o-mini"), "few"),
        post(&chat("openai/gpt-4o-mini"), "few"),
        Request::get("/v1/models"),
        Request::get("/nowhere"),
    ];
    // At a provider with one place: one has it, one waits, the others are refused.
    let crowd = (0..4).map(|_| post(&chat("narrow/narrow"), ""));
    let asked: Vec<Request> = all.into_iter().chain(crowd).collect();
    std::thread::scope(|scope| {
        for request in &asked {
            scope.spawn(move || Connection::open(address).and_then(|mut connection| connection.ask(request)));
        }
    });
}

/// A gateway that is asked all the time.
pub struct Traffic {
    pub gateway: Gateway,
    ends: Arc<AtomicBool>,
    runs: Option<JoinHandle<()>>,
}

impl Traffic {
    pub fn start() -> Self {
        let upstream = Upstream::start(answer);
        let gateway = Gateway::start(&config(&upstream));
        let ends = Arc::new(AtomicBool::new(false));
        let (address, until) = (gateway.address(), Arc::clone(&ends));
        let runs = std::thread::spawn(move || {
            while !until.load(Ordering::Relaxed) {
                round(address);
            }
        });
        Self { gateway, ends, runs: Some(runs) }
    }

    /// One round, and it is over when this returns.
    pub fn once() -> Self {
        let upstream = Upstream::start(answer);
        let gateway = Gateway::start(&config(&upstream));
        round(gateway.address());
        Self { gateway, ends: Arc::default(), runs: None }
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        self.runs.take().into_iter().for_each(|runs| drop(runs.join()));
    }
}
