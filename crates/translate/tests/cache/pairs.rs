//! The guards over `tests/cache/pairs.json`.

use std::collections::BTreeMap;
use std::time::Instant;

use serde::Deserialize;
use translate::cache::guards::{Guard, Guards, Profile, differ};

/// Two questions.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pair {
    a: String,
    b: String,
    /// An answer to one serves the other.
    same: bool,
    /// The guard that knows the difference, where embeddings do not.
    trap: Option<String>,
    topic: String,
}

/// The pairs that the guards were made with.
fn pairs() -> Vec<Pair> {
    read("pairs.json")
}

/// Pairs that were written after the guards and never looked at for their words: what to expect of others.
fn held_out() -> Vec<Pair> {
    read("held-out.json")
}

fn read(file: &str) -> Vec<Pair> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cache").join(file);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn the_pairs_are_what_they_are_said_to_be() {
    let pairs = pairs();
    let count = |wanted: &dyn Fn(&Pair) -> bool| pairs.iter().filter(|pair| wanted(pair)).count();
    assert!(pairs.len() >= 240, "{}", pairs.len());
    let (same, traps) = (count(&|pair| pair.same), count(&|pair| pair.trap.is_some()));
    let others = pairs.len() - same;
    assert!(
        same * 10 >= pairs.len() * 4 && same * 10 <= pairs.len() * 6,
        "{same} of {} are the same",
        pairs.len()
    );
    assert!(traps * 3 >= others * 2, "{traps} of {others} are traps");
    assert_eq!(count(&|pair| pair.same && pair.trap.is_some()), 0, "what is the same is no trap");
    let topics: BTreeMap<&str, usize> = pairs.iter().fold(BTreeMap::new(), |mut topics, pair| {
        *topics.entry(pair.topic.as_str()).or_default() += 1;
        topics
    });
    assert!(topics.len() == 10 && topics.values().all(|pairs| *pairs >= 24), "{topics:?}");
    for trap in pairs.iter().filter_map(|pair| pair.trap.as_deref()) {
        assert!(Guard::named(trap).is_some(), "no guard is called {trap}");
    }
}

#[test]
fn every_trap_is_refused_and_paraphrases_pass() {
    let seen = Seen::of(pairs());
    assert!(
        seen.missed.is_empty(),
        "{} traps are let through:\n{}",
        seen.missed.len(),
        seen.missed.join("\n")
    );
    assert!(seen.passed * 100 >= seen.same() * 97, "{} of {} paraphrases pass", seen.passed, seen.same());
}

#[test]
fn the_same_holds_for_pairs_that_were_written_later() {
    let seen = Seen::of(held_out());
    assert!(
        seen.missed.len() * 50 <= seen.traps,
        "{} traps are let through:\n{}",
        seen.missed.len(),
        seen.missed.join("\n")
    );
    assert!(seen.passed * 100 >= seen.same() * 90, "{} of {} paraphrases pass", seen.passed, seen.same());
}

/// What the guards say of all pairs.
#[derive(Default)]
struct Seen {
    table: BTreeMap<&'static str, Row>,
    /// Traps that were let through.
    missed: Vec<String>,
    /// Paraphrases that were not.
    refused: Vec<String>,
    passed: usize,
    traps: usize,
    unlike: usize,
}

impl Seen {
    fn of(pairs: Vec<Pair>) -> Self {
        let mut seen = Self::default();
        pairs.iter().for_each(|pair| seen.note(pair));
        println!("{:<10} {:>9} {:>9} {:>9} {:>11}", "guard", "its traps", "others'", "unlike", "paraphrases");
        for (guard, row) in &seen.table {
            println!(
                "{guard:<10} {:>9} {:>9} {:>9} {:>11}",
                row.own, row.of_others, row.unlike, row.paraphrases
            );
        }
        let unlike: usize = seen.table.values().map(|row| row.unlike).sum();
        println!("{} of {} traps are refused", seen.traps - seen.missed.len(), seen.traps);
        println!("{} of {} paraphrases pass", seen.passed, seen.same());
        println!("{unlike} of {} questions that are far apart anyway are refused", seen.unlike);
        seen.refused.iter().for_each(|pair| println!("refused though the same: {pair}"));
        seen
    }

    fn same(&self) -> usize {
        self.passed + self.refused.len()
    }

    fn note(&mut self, pair: &Pair) {
        let found = differ(&pair.a, &pair.b);
        assert_eq!(found.is_some(), differ(&pair.b, &pair.a).is_some(), "which is which decides: {pair:?}");
        self.traps += usize::from(pair.trap.is_some());
        self.unlike += usize::from(!pair.same && pair.trap.is_none());
        let shown = format!("{}: {} | {}", pair.topic, pair.a, pair.b);
        let Some(found) = found else {
            match &pair.trap {
                _ if pair.same => self.passed += 1,
                Some(trap) => self.missed.push(format!("{shown} ({trap})")),
                None => {}
            }
            return;
        };
        let row = self.table.entry(found.guard.name()).or_default();
        match (pair.same, &pair.trap) {
            (true, _) => {
                row.paraphrases += 1;
                self.refused.push(format!(
                    "{shown} ({}: {:?}, {:?})",
                    found.guard.name(),
                    found.one,
                    found.other
                ));
            }
            (false, Some(trap)) if trap == found.guard.name() => row.own += 1,
            (false, Some(_)) => row.of_others += 1,
            (false, None) => row.unlike += 1,
        }
    }
}

/// What one guard was the first to refuse.
#[derive(Default)]
struct Row {
    own: usize,
    of_others: usize,
    unlike: usize,
    paraphrases: usize,
}

/// Prints what is measured: the quickest of many rounds, as other programs take their share of the rest.
#[test]
#[ignore = "a measurement, of worth in an optimised build only"]
fn how_long_the_guards_take() {
    let sentence = "How do I move a Postgres 14 database of 200 GB from Frankfurt to Dublin without more than 5 minutes of downtime, and what does it cost? ";
    let english: String = sentence.chars().cycle().take(500).collect();
    let chinese: String =
        "如何在不超过五分钟停机时间的情况下将数据库从北京迁移到上海？".chars().cycle().take(500).collect();
    for (name, one) in [("English", &english), ("Chinese", &chinese)] {
        let other = one.replace("14", "15").replace('五', "六");
        println!("{name}, 500 characters: {} to read one", quickest(|| Profile::of(&other)));
        let (first, second, twin) = (Profile::of(one), Profile::of(&other), Profile::of(&format!("{one} ")));
        println!("  {} to compare two that differ", quickest(|| Guards::ALL.differ(&first, &second)));
        println!(
            "  {} to compare two that all guards let through",
            quickest(|| Guards::ALL.differ(&first, &twin))
        );
    }
}

fn quickest<T>(mut run: impl FnMut() -> T) -> String {
    let rounds = (0..2_000).map(|_| {
        let start = Instant::now();
        for _ in 0..10 {
            std::hint::black_box(run());
        }
        start.elapsed() / 10
    });
    format!("{:?}", rounds.min().unwrap())
}
