//! `/api/health/targets`: every target that was asked, how it does, and how busy its provider is. Read only.
//!
//! Names of keys, never their values.

use std::collections::HashMap;

use govern::breaker::State;
use govern::queue::Limits;
use serde_json::{Map, Value, json};

use super::health::{circuit, state};
use crate::config::snapshot::{Key, Provider, Snapshot};
use crate::proxy::Gateway;
use crate::upstream::capacity::{Crowd, target};
use crate::upstream::health::{Registry, Standing};

/// What is listed of each key, by [`Key::known_as`]: callers can name any model, so there may be many.
pub struct ByKey<'a, T>(HashMap<&'a str, Vec<&'a T>>);

impl<'a, T> ByKey<'a, T> {
    pub fn new(all: &'a [T], key: impl Fn(&'a T) -> &'a str) -> Self {
        let mut by_key: HashMap<&str, Vec<&T>> = HashMap::new();
        all.iter().for_each(|one| by_key.entry(key(one)).or_default().push(one));
        Self(by_key)
    }

    pub fn of(&self, key: &Key) -> &[&'a T] {
        self.0.get(&*key.known_as).map_or(&[], Vec::as_slice)
    }
}

/// Standings by key.
pub fn by_key(standings: &[Standing]) -> ByKey<'_, Standing> {
    ByKey::new(standings, |standing| &standing.key)
}

/// The list, by provider.
#[must_use]
pub fn list(gateway: &Gateway, snapshot: &Snapshot) -> Value {
    let (standings, cooling) = (gateway.health.standings(), gateway.health.cooling());
    let (standings, cooling) = (by_key(&standings), ByKey::new(&cooling, |cooling| &cooling.key));
    let providers = each(gateway, snapshot, &standings).map(|(provider, mut entry)| {
        let mut targets: Vec<Value> = Vec::new();
        for key in &provider.keys {
            let mut rests: HashMap<Option<&str>, Vec<Value>> = HashMap::new();
            for cooling in cooling.of(key) {
                rests.entry(cooling.model.as_deref()).or_default().push(state(cooling));
            }
            for standing in standings.of(key) {
                let mut one = of_target(standing, &rests);
                one.insert("key".to_owned(), json!(&*key.name));
                let limit = limit_of(gateway, provider, key, &standing.model);
                one.extend(limit.map(|limit| ("max_open_requests".to_owned(), json!(limit))));
                targets.push(Value::Object(one));
            }
        }
        targets.sort_by_cached_key(|one| (one["key"].to_string(), one["model"].to_string()));
        entry.insert("targets".to_owned(), json!(targets));
        Value::Object(entry)
    });
    json!({ "providers": providers.collect::<Vec<Value>>() })
}

/// How each provider does, without its targets: for `/health`.
pub fn providers(gateway: &Gateway, snapshot: &Snapshot) -> Vec<Value> {
    let standings = gateway.health.standings();
    each(gateway, snapshot, &by_key(&standings)).map(|(_, entry)| Value::Object(entry)).collect()
}

/// Brings the gauges of providers up to date: circuits, requests that are open and that wait.
pub fn note_providers(gateway: &Gateway, snapshot: &Snapshot) {
    let gauges = &gateway.metrics.queue;
    let all = [&gauges.depth, &gauges.open, &gauges.circuit, &gauges.limit];
    all.into_iter().for_each(|gauge| gauge.reset());
    let (standings, crowds) = (gateway.health.standings(), gateway.capacity.crowds());
    let standings = by_key(&standings);
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
        note_limits(gateway, provider, &standings);
    }
}

fn note_limits(gateway: &Gateway, provider: &Provider, standings: &ByKey<'_, Standing>) {
    for key in &provider.keys {
        for standing in standings.of(key) {
            let known = gateway.catalog.find(&provider.name, &standing.model).is_some();
            let model = gateway.metrics.model_label(&standing.model, known);
            let limit = limit_of(gateway, provider, key, &standing.model).filter(|_| model != "other");
            if let Some(limit) = limit {
                let gauge = &gateway.metrics.queue.limit;
                gauge.with_label_values(&[&*provider.name, &*key.name, model]).set(limit.into());
            }
        }
    }
}

/// How many requests a target may have open, where it has a limit of its own.
fn limit_of(gateway: &Gateway, provider: &Provider, key: &Key, model: &str) -> Option<u32> {
    let gate = provider.places.by_target().then(|| gateway.capacity.gate(&provider.name))?;
    Some(gate.limit_of(&provider.places, target(key, model)))
}

fn each<'s>(
    gateway: &Gateway,
    snapshot: &'s Snapshot,
    standings: &'s ByKey<'_, Standing>,
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

fn circuit_of(provider: &Provider, standings: &ByKey<'_, Standing>) -> State {
    Registry::circuit_of(provider.keys.iter().flat_map(|key| standings.of(key)).copied())
}

/// `rests`: the cool-downs of its key, by model; without one, of the whole key.
fn of_target(standing: &Standing, rests: &HashMap<Option<&str>, Vec<Value>>) -> Map<String, Value> {
    let mut entry = Map::new();
    let mut put = |name: &str, value: Value| entry.insert(name.to_owned(), value);
    put("model", json!(&*standing.model));
    put("circuit", json!(circuit(standing.circuit)));
    let own = [None, Some(&*standing.model)];
    let rests: Vec<&Value> = own.iter().filter_map(|model| rests.get(model)).flatten().collect();
    put("cooling", json!(rests));
    put("in_flight", json!(standing.in_flight));
    put("headroom", json!(f64::from(standing.headroom) / 1_000.0));
    put("faults", json!(f64::from(standing.faults) / 1_000.0));
    put("first_token_ms", json!(standing.first_token_us.map(|us| us / 1_000)));
    put("answer_ms", json!(standing.whole_us.map(|us| us / 1_000)));
    entry
}
