use govern::allowance::{Measure, Quota};
use govern::window::Window;

use super::super::ledger::InMemory;
use super::*;
use crate::config::governance::{ModelLimit, VirtualKey};
use crate::config::{Document, Environment, Format, compile};

struct Stage {
    meters: Arc<Meters>,
    books: Arc<Books>,
    ledger: Arc<InMemory>,
    snapshot: Arc<Snapshot>,
    caller: Caller,
}

fn quotas(list: &[(Measure, u64)]) -> Quotas {
    let window = Window::parse("1d", false).unwrap();
    let list = list.iter().map(|(measure, max)| Quota { measure: *measure, max: *max, window });
    Quotas { list: list.collect(), concurrency: None }
}

fn stage(key: &[(Measure, u64)], model: &[(Measure, u64)]) -> Stage {
    let document = Document::parse("c.json", "{}", Format::Json).unwrap();
    let mut snapshot = compile(&document, &Environment::fixed([]), 1).unwrap().snapshot;
    snapshot.governance.models =
        vec![ModelLimit { model: "m".into(), provider: None, quotas: quotas(model) }];
    let key = VirtualKey {
        id: "k".into(),
        name: "k".into(),
        hashes: Box::default(),
        active: true,
        expires_ms: None,
        team: None,
        customer: None,
        grants: None,
        quotas: quotas(key),
        log_content: None,
    };
    let ledger = Arc::new(InMemory::default());
    let books = Arc::new(Books::default());
    books.open(ledger.clone());
    let caller = Caller { key: Arc::new(key), team: None, customer: None };
    Stage { meters: Arc::default(), books, ledger, snapshot: Arc::new(snapshot), caller }
}

impl Stage {
    fn tab(&self) -> Arc<Tab> {
        Arc::new(Tab::new(&self.meters, &self.books, &self.snapshot, Some(self.caller.clone())))
    }

    /// Cost, requests and tokens of each line, and for how many owners it counts.
    fn lines(&self) -> Vec<(u64, u64, u64, usize)> {
        let entries = self.ledger.entries();
        let line = |entry: &Entry<'_>| {
            (entry.cost, entry.requests, entry.input_tokens + entry.output_tokens, entry.owners.len())
        };
        entries.iter().map(line).collect()
    }

    fn levels(&self, owner: &Owner) -> Vec<(u64, u64)> {
        let levels = self.meters.levels(owner, now_ms());
        levels.iter().map(|standing| (standing.level.used, standing.level.held)).collect()
    }

    fn key(&self) -> Vec<(u64, u64)> {
        self.levels(&Owner::VirtualKey("k".into()))
    }

    fn model(&self) -> Vec<(u64, u64)> {
        self.levels(&Owner::Model { provider: None, model: "m".into() })
    }
}

fn expects(cost: u64) -> Consumption {
    Consumption { cost, ..Consumption::default() }
}

fn spend(cost: u64) -> Spend {
    Spend { cost, input_tokens: 3, output_tokens: 2, estimated: false }
}

fn target() -> (Arc<str>, Arc<str>) {
    ("p".into(), "m".into())
}

fn staked(tab: &Arc<Tab>, cost: u64) -> Result<Stake, Refused> {
    let (provider, model) = target();
    tab.stake((&provider, &model), expects(cost))
}

const BOTH: [(Measure, u64); 2] = [(Measure::Cost, 100), (Measure::Requests, 2)];

#[test]
fn an_answer_is_counted_once_for_everybody() {
    let stage = stage(&BOTH, &BOTH);
    let tab = stage.tab();
    tab.enter().unwrap();
    let stake = staked(&tab, 40).unwrap();
    stake.sent();
    assert_eq!((stage.key(), stage.model()), (vec![(0, 40), (1, 0)], vec![(0, 40), (1, 0)]));
    stake.spent(&spend(7));
    stake.spent(&spend(9));
    stake.failed();
    tab.finish();
    tab.close();
    drop((stake, tab));
    assert_eq!((stage.key(), stage.model()), (vec![(7, 0), (1, 0)], vec![(7, 0), (1, 0)]));
    // Key, its part in the provider, provider, model, and model at the provider.
    assert_eq!(stage.lines(), [(7, 1, 5, 5)]);
}

#[test]
fn a_part_of_another_request_costs_its_caller_and_is_none_of_its_requests() {
    let stage = stage(&BOTH, &BOTH);
    let tab = stage.tab();
    tab.enter_as_part().unwrap();
    let stake = staked(&tab, 40).unwrap();
    stake.sent();
    stake.spent(&spend(100));
    drop((stake, tab));
    assert_eq!((stage.key(), stage.model()), (vec![(100, 0), (0, 0)], vec![(100, 0), (1, 0)]));
    let requests: u64 = stage.lines().iter().map(|line| line.1).sum();
    assert_eq!(requests, 1, "of the provider: {:?}", stage.lines());
    assert_eq!(stage.tab().enter_as_part().unwrap_err().owner.kind(), "virtual_key", "nothing is left");
}

#[test]
fn a_failover_is_one_request_of_the_caller_and_two_of_providers() {
    let stage = stage(&BOTH, &BOTH);
    let tab = stage.tab();
    tab.enter().unwrap();
    let first = staked(&tab, 40).unwrap();
    first.sent();
    first.spent(&Spend { estimated: true, ..spend(1) });
    let second = staked(&tab, 40).unwrap();
    second.sent();
    second.spent(&spend(7));
    tab.close();
    assert_eq!((stage.key(), stage.model()), (vec![(8, 0), (1, 0)], vec![(8, 0), (2, 0)]));
    assert_eq!(stage.lines(), [(1, 1, 5, 5), (7, 0, 5, 5), (0, 1, 0, 4)]);
    assert_eq!(staked(&stage.tab(), 1).unwrap_err().owner.kind(), "model", "it has had its requests");
}

#[test]
fn what_was_never_sent_counts_nowhere_and_what_failed_counts_as_a_request() {
    let stage = stage(&BOTH, &BOTH);
    let tab = stage.tab();
    tab.enter().unwrap();
    drop(staked(&tab, 40).unwrap());
    tab.close();
    assert_eq!((stage.key(), stage.model()), (vec![(0, 0), (0, 0)], vec![(0, 0), (0, 0)]));
    assert_eq!(stage.lines(), []);
    let tab = stage.tab();
    tab.enter().unwrap();
    let stake = staked(&tab, 40).unwrap();
    stake.sent();
    stake.failed();
    tab.close();
    assert_eq!((stage.key(), stage.model()), (vec![(0, 0), (1, 0)], vec![(0, 0), (1, 0)]));
    assert_eq!(stage.lines(), [(0, 1, 0, 4), (0, 1, 0, 1)]);
}

#[test]
fn a_panic_leaves_no_hold_and_no_free_answer() {
    let stage = stage(&BOTH, &[]);
    let tab = stage.tab();
    tab.enter().unwrap();
    let stake = staked(&tab, 40).unwrap();
    stake.sent();
    drop((tab, stake));
    assert_eq!(stage.key(), [(40, 0), (1, 0)]);
    let entries = stage.ledger.entries();
    assert_eq!((entries.len(), entries[0].cost, entries[0].estimated), (1, 40, true));
}

#[test]
fn attempts_side_by_side_hold_together_and_a_hold_that_is_refused_leaves_nothing() {
    let mut stage = stage(&[(Measure::Cost, 100)], &[(Measure::Cost, 1_000)]);
    if let Some(snapshot) = Arc::get_mut(&mut stage.snapshot) {
        snapshot.governance.reservations = Reservations::Strict;
    }
    let tab = stage.tab();
    tab.enter().unwrap();
    let first = staked(&tab, 60).unwrap();
    assert_eq!(staked(&tab, 41).unwrap_err().owner.kind(), "virtual_key");
    assert_eq!((stage.key(), stage.model()), (vec![(0, 60)], vec![(0, 60)]));
    let second = staked(&tab, 40).unwrap();
    assert_eq!((stage.key(), stage.model()), (vec![(0, 100)], vec![(0, 100)]));
    second.sent();
    second.spent(&spend(30));
    assert_eq!((stage.key(), stage.model()), (vec![(30, 60)], vec![(30, 60)]));
    drop(first);
    tab.close();
    assert_eq!(stage.key(), [(30, 0)]);
}

#[test]
fn who_has_nothing_left_does_not_come_in() {
    let stage = stage(&[(Measure::Cost, 10)], &[]);
    let tab = stage.tab();
    tab.enter().unwrap();
    let stake = staked(&tab, 25).unwrap();
    assert!(stage.tab().enter().is_err(), "everything is held");
    stake.sent();
    stake.spent(&spend(12));
    tab.close();
    assert!(stage.tab().enter().is_err());
    assert_eq!(stage.key(), [(12, 0)]);
}

#[test]
fn names_of_lines_differ() {
    let names: std::collections::HashSet<_> = (0..1_000).map(|_| unique()).collect();
    assert_eq!(names.len(), 1_000);
}
