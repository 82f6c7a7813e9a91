//! `/api/health/targets`: every target that was asked, how it does, and how busy its provider is. Read only.
//!
//! Names of keys, never their values.

use govern::breaker::State;
use govern::queue::Limits;
use serde_json::{Map, Value, json};

use super::health::{circuit, state};
use crate::config::snapshot::{Provider, Snapshot};
use crate::proxy::Gateway;
use crate::proxy::respond::Reply;
use crate::upstream::capacity::{Crowd, target};
use crate::upstream::health::{Cooling, Registry, Standing};

/// The list, by provider.
#[must_use]
pub fn list(gateway: &Gateway, snapshot: &Snapshot) -> Reply {
    let (standings, cooling) = (gateway.health.standings(), gateway.health.cooling());
    let providers = each(gateway, snapshot, &standings).map(|(provider, mut entry)| {
        let mut targets: Vec<Value> = Vec::new();
        for key in &provider.keys {
            for standing in standings.iter().filter(|standing| standing.key == key.known_as) {
                let mut one = of_target(standing, &cooling);
                one.insert("key".to_owned(), json!(&*key.name));
                if provider.places.by_target() {
                    let gate = gateway.capacity.gate(&provider.name);
                    let limit = gate.limit_of(&provider.places, target(key, &standing.model));
                    one.insert("max_open_requests".to_owned(), json!(limit));
                }
                targets.push(Value::Object(one));
            }
        }
        targets.sort_by_cached_key(|one| (one["key"].to_string(), one["model"].to_string()));
        entry.insert("targets".to_owned(), json!(targets));
        Value::Object(entry)
    });
    let body = json!({ "providers": providers.collect::<Vec<Value>>() });
    Reply::json(200, body.to_string())
}

/// How each provider does, without its targets: for `/health`.
pub fn providers(gateway: &Gateway, snapshot: &Snapshot) -> Vec<Value> {
    let standings = gateway.health.standings();
    each(gateway, snapshot, &standings).map(|(_, entry)| Value::Object(entry)).collect()
}

/// Brings the gauges of providers up to date: circuits, requests that are open and that wait.
pub fn note_providers(gateway: &Gateway, snapshot: &Snapshot) {
    let gauges = &gateway.metrics.queue;
    [&gauges.depth, &gauges.open, &gauges.circuit].into_iter().for_each(|gauge| gauge.reset());
    let (standings, crowds) = (gateway.health.standings(), gateway.capacity.crowds());
    for provider in &snapshot.providers {
        let label = [&*provider.name];
        let together = match circuit_of(provider, &standings) {
            State::Closed => 0.0,
            State::Open { .. } => 1.0,
            State::HalfOpen { .. } => 2.0,
        };
        gauges.circuit.with_label_values(&label).set(together);
        let (open, waiting) = crowd_of(provider, &crowds);
        gauges.open.with_label_values(&label).set(open.into());
        gauges.depth.with_label_values(&label).set(waiting.into());
    }
}

fn each<'s>(
    gateway: &Gateway,
    snapshot: &'s Snapshot,
    standings: &'s [Standing],
) -> impl Iterator<Item = (&'s Provider, Map<String, Value>)> {
    let crowds = gateway.capacity.crowds();
    snapshot.providers.iter().map(move |provider| {
        let (open, waiting) = crowd_of(provider, &crowds);
        let Limits { places, waiting: most, .. } = provider.places;
        let most = if snapshot.client.drop_excess_requests { 0 } else { most };
        let mut entry = Map::new();
        entry.insert("provider".to_owned(), json!(&*provider.name));
        entry.insert("circuit".to_owned(), json!(circuit(circuit_of(provider, standings))));
        entry.insert("open_requests".to_owned(), json!(open));
        entry.insert("max_open_requests".to_owned(), json!(places));
        entry.insert("waiting".to_owned(), json!(waiting));
        entry.insert("max_waiting".to_owned(), json!(most));
        (&**provider, entry)
    })
}

fn crowd_of(provider: &Provider, crowds: &[Crowd]) -> (u32, u32) {
    let crowd = crowds.iter().find(|crowd| crowd.provider == provider.name);
    crowd.map_or((0, 0), |crowd| (crowd.open, crowd.waiting))
}

fn circuit_of(provider: &Provider, standings: &[Standing]) -> State {
    let own = |standing: &&Standing| provider.keys.iter().any(|key| key.known_as == standing.key);
    Registry::circuit_of(standings.iter().filter(own))
}

fn of_target(standing: &Standing, cooling: &[Cooling]) -> Map<String, Value> {
    let mut entry = Map::new();
    let mut put = |name: &str, value: Value| entry.insert(name.to_owned(), value);
    put("model", json!(&*standing.model));
    put("circuit", json!(circuit(standing.circuit)));
    let own = |c: &&Cooling| c.key == standing.key && c.model.as_ref().is_none_or(|m| *m == standing.model);
    let rests: Vec<Value> = cooling.iter().filter(own).map(state).collect();
    put("cooling", json!(rests));
    put("in_flight", json!(standing.in_flight));
    put("headroom", json!(f64::from(standing.headroom) / 1_000.0));
    put("faults", json!(f64::from(standing.faults) / 1_000.0));
    put("first_token_ms", json!(standing.first_token_us.map(|us| us / 1_000)));
    put("answer_ms", json!(standing.whole_us.map(|us| us / 1_000)));
    entry
}
