//! From journals to the ledger and to what is counted in memory: once each, whoever is killed when.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use bifrost::account::entry::Entry;
use bifrost::account::ledger::Ledger;
use bifrost::store::journal::Journal;
use bifrost::store::keep::{Counters, Keeper, Kept, Lines};
use bifrost::store::ledger::{DAY, SpendQuery, Windows};
use govern::allowance::Consumption;
use tokio::task::JoinHandle;

use super::rig::{Place, each, eventually, spend};

/// What a process counts in memory: what it spends itself, and what it is told.
#[derive(Default)]
struct Counted(Mutex<HashMap<String, u64>>);

impl Counted {
    fn of(&self, owner: &str) -> u64 {
        self.0.lock().unwrap().get(owner).copied().unwrap_or_default()
    }

    fn add(&self, owner: &str, cost: u64) {
        *self.0.lock().unwrap().entry(owner.to_owned()).or_default() += cost;
    }
}

impl Counters for Counted {
    fn is_ready(&self) -> bool {
        true
    }

    fn windows(&self, owner: &str) -> Option<Windows> {
        (owner != "team:free").then_some(Windows { shortest: 1_000, longest: 30 * DAY })
    }

    fn tell(&self, owner: &str, used: &[(u64, Consumption)]) {
        used.iter().for_each(|(_, used)| self.add(owner, used.cost));
    }
}

/// A process: its journal, its memory and its keeper.
pub struct Process {
    pub kept: Kept,
    counted: Arc<Counted>,
    keeper: JoinHandle<()>,
}

impl Process {
    pub async fn start(place: &Place) -> Self {
        let journal = Arc::new(Journal::open(&place.journals()).unwrap());
        let kept = Kept { store: place.open().await, journal, keeping: Arc::default() };
        let counted = Arc::new(Counted::default());
        let keeper = tokio::spawn(Keeper { kept: kept.clone(), counters: counted.clone() }.run());
        Self { kept, counted, keeper }
    }

    pub fn spends(&self, entry: &Entry<'_>) {
        Lines(Arc::clone(&self.kept.journal)).write(entry).unwrap();
        entry.owners.iter().for_each(|owner| self.counted.add(owner, entry.cost));
    }

    /// As by kill -9: nothing is finished.
    async fn dies(self) {
        self.keeper.abort();
        let _ = self.keeper.await;
    }

    pub async fn counts(&self, owner: &str, cost: u64) {
        eventually(&format!("{owner} to have used {cost}"), async || {
            let counted = self.counted.of(owner);
            assert!(counted <= cost, "{owner} is counted twice: {counted} of {cost}");
            (counted == cost).then_some(())
        })
        .await;
    }

    pub async fn ledger_has(&self, owner: &str, cost: u64) {
        let query = SpendQuery { owner: owner.to_owned(), from_ms: 0, to_ms: u64::MAX / 2, span: DAY };
        eventually(&format!("the ledger to have {cost} of {owner}"), async || {
            let sums = self.kept.store.spend(&query).await.unwrap();
            let sum: u64 = sums.iter().map(|sum| sum.consumption.cost).sum();
            assert!(sum <= cost, "{owner} is billed twice: {sum} of {cost}");
            (sum == cost).then_some(())
        })
        .await;
    }

    pub async fn is_restored(&self) {
        assert!(self.kept.keeping.wait(crate::support::PATIENCE).await);
    }
}

pub fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    u64::try_from(since.as_millis()).unwrap()
}

#[test]
fn what_a_process_spent_before_it_was_killed_is_known_to_the_next_one() {
    each(async |place| {
        let first = Process::start(&place).await;
        first.is_restored().await;
        first.spends(&spend("1", now(), &["team:a"], 5));
        first.ledger_has("team:a", 5).await;
        // This one is still in the journal when the process is killed.
        first.spends(&spend("2", now(), &["team:a", "team:free"], 7));
        first.dies().await;
        let second = Process::start(&place).await;
        second.counts("team:a", 12).await;
        second.spends(&spend("3", now(), &["team:a"], 1));
        second.ledger_has("team:a", 13).await;
        second.ledger_has("team:free", 7).await;
        second.counts("team:a", 13).await;
        assert_eq!(second.counted.of("team:free"), 0, "who has no quotas is not told");
        assert_eq!(std::fs::read_dir(place.journals()).unwrap().count(), 1, "what was read is removed");
    });
}

#[test]
fn two_processes_at_once_know_what_both_spent() {
    each(async |place| {
        let old = Process::start(&place).await;
        old.is_restored().await;
        old.spends(&spend("1", now(), &["team:a"], 1));
        let new = Process::start(&place).await;
        new.is_restored().await;
        for n in 0..20 {
            old.spends(&spend(&format!("o{n}"), now(), &["team:a"], 10));
            new.spends(&spend(&format!("n{n}"), now(), &["team:a"], 100));
        }
        new.counts("team:a", 2_201).await;
        old.counts("team:a", 2_201).await;
        // The old one ends in the middle, and the new one finishes its journal.
        old.spends(&spend("last", now(), &["team:a"], 1_000));
        old.dies().await;
        new.counts("team:a", 3_201).await;
        new.ledger_has("team:a", 3_201).await;
    });
}

#[test]
fn nothing_is_lost_or_counted_twice_whenever_a_keeper_is_killed() {
    each(async |place| {
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = move |below: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % below
        };
        let mut total = 0;
        for round in 0..12 {
            let process = Process::start(&place).await;
            for n in 0..200 {
                let cost = 1 + next(9);
                process.spends(&spend(&format!("{round}-{n}"), now(), &["team:a"], cost));
                total += cost;
                for _ in 0..next(4) {
                    tokio::task::yield_now().await;
                }
            }
            // Somewhere in the middle of its work.
            tokio::time::sleep(std::time::Duration::from_micros(next(30_000))).await;
            process.dies().await;
        }
        let last = Process::start(&place).await;
        last.counts("team:a", total).await;
        last.ledger_has("team:a", total).await;
    });
}

#[test]
fn a_line_that_says_nothing_is_left_out_and_counted() {
    each(async |place| {
        let process = Process::start(&place).await;
        process.kept.journal.append(b"{\"id\": 7}\n").unwrap();
        process.spends(&spend("1", now(), &["team:a"], 5));
        process.ledger_has("team:a", 5).await;
        let keeping = &process.kept.keeping;
        eventually("both to be counted", async || (keeping.counted() == 1).then_some(())).await;
        assert_eq!(keeping.unreadable(), 1);
    });
}
