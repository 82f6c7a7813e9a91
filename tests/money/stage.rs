//! Callers, the gateway, and a provider of every wire with one bill.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::bill::{Bill, Counts, nanos_of, price_list};
use crate::support::client::{Request, Response};
use crate::support::gateway::Gateway;
use crate::support::upstream::{Hit, Script, Upstream};
use crate::wires::Speech;

/// A provider that is asked as the gateway is configured by [`providers`].
pub struct Provider {
    pub upstream: Upstream,
    pub bill: Bill,
}

impl Provider {
    /// `answer` is given the name that the request carries (its model), and the bill.
    pub fn start(answer: impl Fn(&Hit, &str, &Bill) -> Script + Send + Sync + 'static) -> Self {
        let bill = Bill::new();
        let mine = bill.clone();
        let upstream = Upstream::start(move |hit| answer(hit, &model_of(hit), &mine));
        Self { upstream, bill }
    }
}

/// The model asked for, wherever the wire has it.
pub fn model_of(hit: &Hit) -> String {
    if let Some(model) = hit.json["model"].as_str() {
        return model.to_owned();
    }
    let rest = hit.path.split("/models/").nth(1).or_else(|| hit.path.split("/model/").nth(1));
    rest.and_then(|rest| rest.split([':', '/']).next()).unwrap_or_default().to_owned()
}

/// All providers at one address, with the provider's own prices.
pub fn providers(url: &str) -> Value {
    let mut all = json!({});
    for speech in crate::wires::ALL {
        let (name, base) = speech.provider();
        all[name] = json!({
            "keys": [{"name": "main", "value": "provider-key"}],
            "custom_provider_config": {"base_provider_type": base},
            "network_config": {"base_url": url, "max_retries": 0},
            "pricing_overrides": price_list(),
        });
    }
    all
}

/// A gateway and what the log says of its requests.
pub struct Stage {
    pub provider: Provider,
    pub gateway: Arc<Gateway>,
}

impl Stage {
    /// `more` is laid over the configuration.
    pub fn new(more: &Value, answer: impl Fn(&Hit, &str, &Bill) -> Script + Send + Sync + 'static) -> Self {
        let provider = Provider::start(answer);
        let mut config = json!({"providers": providers(&provider.upstream.url())});
        lay_over(&mut config, more);
        Self { gateway: Arc::new(Gateway::start(&config)), provider }
    }

    /// Asks, and gives the answer with its log line.
    pub fn ask(&self, request: Request, id: &str) -> (Response, Value) {
        let answer = self.gateway.ask(&request.header("x-request-id", id));
        (answer, self.gateway.request_line(id))
    }
}

/// Members of objects are laid over, everything else is replaced.
pub fn lay_over(below: &mut Value, above: &Value) {
    match (below, above) {
        (Value::Object(below), Value::Object(above)) => {
            for (name, value) in above {
                lay_over(below.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
        (below, above) => *below = above.clone(),
    }
}

/// The cost of a log line in nano-dollars; `None` where none is told.
pub fn cost_of(line: &Value) -> Option<u64> {
    (!line["cost"].is_null()).then(|| nanos_of(&line["cost"].to_string()))
}

/// Counts that a wire tells, other ones for each name.
pub fn counts_for(name: &str, speech: Speech) -> Counts {
    let number = name.bytes().fold(7_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
    speech.tells(Counts::varied(number))
}
