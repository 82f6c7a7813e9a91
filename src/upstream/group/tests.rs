use std::sync::Arc;

use govern::verdict::FaultClass;

use super::*;
use crate::config::{Document, Environment, Format, compile};

const CONFIG: &str = r#"{"providers": {
    "openai": {"keys": [{"name": "a", "value": "k1"}, {"name": "b", "value": "k2", "models": ["large"]}]},
    "anthropic": {"keys": [{"name": "c", "value": "k3"}]}}}"#;

struct Stage {
    snapshot: Snapshot,
    health: Registry,
}

impl Stage {
    fn new() -> Self {
        let document = Document::parse("c.json", CONFIG, Format::Json).unwrap();
        let snapshot = compile(&document, &Environment::fixed([]), 1).unwrap().snapshot;
        Self { snapshot, health: Registry::default() }
    }

    fn order(&self, strategy: Strategy, members: &[(ModelRef, u32)], session: Option<u64>) -> Vec<usize> {
        let price = |_: &Provider, _: &Key, model: &str| match model {
            "dear" => Some(9),
            "cheap" => Some(1),
            _ => None,
        };
        let (snapshot, health) = (&self.snapshot, &self.health);
        let seen = Seen { snapshot, health, stream: false, price: &price, session };
        let mut random = fastrand::Rng::new();
        order(strategy, members, &seen, || random.u64(..))
    }

    /// A call under way with the key of this number.
    fn begin(&self, provider: &str, key: usize, model: &str) -> crate::upstream::health::Ticket {
        let key = &self.snapshot.provider(provider).unwrap().keys[key];
        self.health.begin(key, &Arc::from(model))
    }
}

fn member(provider: &str, model: &str, weight: u32) -> (ModelRef, u32) {
    (ModelRef { provider: provider.into(), model: model.into() }, weight)
}

#[test]
fn every_model_has_its_place_and_the_first_one_is_drawn_by_weight() {
    let stage = Stage::new();
    let members =
        [member("openai", "large", 3000), member("anthropic", "x", 1000), member("openai", "spare", 0)];
    let mut first = [0_u32; 3];
    for _ in 0..4000 {
        let order = stage.order(Strategy::Weighted, &members, None);
        first[order[0]] += 1;
        assert_eq!(order[2], 2, "without weight it stands last");
        assert_eq!(order[0] + order[1], 1);
    }
    // Five standard deviations.
    assert!(first[0].abs_diff(3000) < 137, "{first:?}");
}

#[test]
fn what_rests_stands_last_and_what_no_key_serves_too() {
    let stage = Stage::new();
    for _ in 0..20 {
        stage.begin("openai", 0, "down").failed(FaultClass::ServerError, None);
    }
    let members = [
        member("openai", "down", 1_000_000),
        member("gone", "m", 1_000_000),
        member("anthropic", "x", 1),
        member("openai", "large", 1),
        member("openai", "spare", 0),
    ];
    for _ in 0..50 {
        let order = stage.order(Strategy::Weighted, &members, None);
        let mut ready = [order[0], order[1]];
        ready.sort_unstable();
        assert_eq!((ready, &order[2..]), ([2, 3], [4, 0, 1].as_slice()));
    }
}

#[test]
fn calls_at_all_keys_of_a_model_count_as_its_load() {
    let stage = Stage::new();
    let members = [member("openai", "large", 1000), member("anthropic", "x", 1000)];
    let _one = stage.begin("openai", 1, "large");
    for _ in 0..50 {
        assert_eq!(stage.order(Strategy::LeastInflight, &members, None), [1, 0]);
    }
    let _more = [stage.begin("anthropic", 0, "x"), stage.begin("anthropic", 0, "x")];
    for _ in 0..50 {
        assert_eq!(stage.order(Strategy::LeastInflight, &members, None), [0, 1]);
    }
}

#[test]
fn a_session_stays_with_its_model_as_long_as_that_is_well() {
    let stage = Stage::new();
    let members = [member("openai", "large", 1000), member("anthropic", "x", 1000)];
    let firsts: Vec<usize> =
        (0..40).map(|session| stage.order(Strategy::Weighted, &members, Some(session))[0]).collect();
    assert!(firsts.contains(&0) && firsts.contains(&1));
    for (session, first) in (0..40).zip(&firsts) {
        assert_eq!(stage.order(Strategy::Weighted, &members, Some(session))[0], *first);
    }
    for _ in 0..20 {
        stage.begin("anthropic", 0, "x").failed(FaultClass::ServerError, None);
    }
    assert!((0..40).all(|session| stage.order(Strategy::Weighted, &members, Some(session)) == [0, 1]));
}

#[test]
fn the_cheapest_model_stands_first_and_those_of_unknown_price_behind() {
    let stage = Stage::new();
    let members =
        [member("openai", "unknown", 1000), member("openai", "dear", 1000), member("anthropic", "cheap", 1)];
    for _ in 0..20 {
        assert_eq!(stage.order(Strategy::Cost, &members, None), [2, 1, 0]);
    }
}
