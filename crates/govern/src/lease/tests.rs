//! Several nodes, one allowance, a network that loses and repeats, nodes that die: simulated.

use super::pool::Pool;
use super::*;
use crate::meter::{Fit, Meter, Wait};
use crate::seeded::Seeded;

const LEASE_MS: u64 = 5_000;

/// A request under way.
struct Running {
    node: usize,
    held: u64,
    costs: u64,
    ends_ms: u64,
}

/// Something between a node and the pool.
enum Letter {
    There { node: usize, life: u64, report: Report, terms: Terms },
    Back { node: usize, life: u64, number: u64, grant: Grant },
}

struct Node {
    meter: Meter,
    /// Of how many lives it is the present one: what comes for an earlier one is lost.
    life: u64,
    cut_off: bool,
    /// It gives up waiting for an answer then.
    patience_ms: u64,
}

struct World {
    random: Seeded,
    now: u64,
    window: Window,
    max: u64,
    pool: Pool,
    nodes: Vec<Node>,
    letters: Vec<(u64, Letter)>,
    running: Vec<Running>,
    /// The provider's own bill.
    bill: Vec<(u64, u64)>,
    /// What was leased to nodes that were lost: the bound.
    lost: u64,
    on_loss: OnLoss,
    lose_permille: u64,
    refused: u64,
}

impl World {
    fn new(seed: u64, nodes: usize, max: u64, window: Window) -> Self {
        let mut world = Self {
            random: Seeded(seed),
            now: 1_800_000_000_000,
            window,
            max,
            pool: Pool::new(1),
            nodes: Vec::new(),
            letters: Vec::new(),
            running: Vec::new(),
            bill: Vec::new(),
            lost: 0,
            on_loss: OnLoss::Deny,
            lose_permille: 0,
            refused: 0,
        };
        world.nodes = (0..nodes).map(|_| world.node(0)).collect();
        world
    }

    fn node(&self, life: u64) -> Node {
        let mut meter = Meter::new(self.max, self.window);
        meter.share(self.on_loss);
        Node { meter, life, cut_off: false, patience_ms: 0 }
    }

    fn chance(&mut self, permille: u64) -> bool {
        self.random.next() % 1_000 < permille
    }

    /// A millisecond passes.
    fn tick(&mut self) {
        self.now += 1;
        self.end_requests();
        self.deliver();
        for at in 0..self.nodes.len() {
            self.exchange(at);
        }
    }

    fn end_requests(&mut self) {
        let now = self.now;
        let (ended, running) =
            std::mem::take(&mut self.running).into_iter().partition(|one| one.ends_ms <= now);
        self.running = running;
        let ended: Vec<Running> = ended;
        for one in ended {
            self.bill.push((now, one.costs));
            self.nodes[one.node].meter.settle(one.held, one.costs, now);
        }
    }

    fn exchange(&mut self, at: usize) {
        let (now, node) = (self.now, &mut self.nodes[at]);
        let away = node.meter.slice().unwrap().is_away();
        if away && now >= node.patience_ms {
            node.meter.lost(3);
        }
        let Some((report, terms)) = node.meter.report(LEASE_MS, now) else { return };
        node.patience_ms = now + 250;
        let letter = Letter::There { node: at, life: node.life, report, terms };
        self.send(at, letter);
    }

    fn send(&mut self, node: usize, letter: Letter) {
        if self.nodes[node].cut_off || self.chance(self.lose_permille) {
            return;
        }
        let at = self.now + self.random.next() % 20;
        self.letters.push((at, letter));
    }

    fn deliver(&mut self) {
        let now = self.now;
        let (come, away) = std::mem::take(&mut self.letters).into_iter().partition(|(at, _)| *at <= now);
        self.letters = away;
        let come: Vec<(u64, Letter)> = come;
        for (_, letter) in come {
            match letter {
                Letter::There { node, life, report, terms } => {
                    let name = node as u64 * 1_000 + life;
                    let grant = self.pool.take(name, &report, &terms, now);
                    self.send(node, Letter::Back { node, life, number: report.number, grant });
                }
                Letter::Back { node, life, number, grant } => {
                    let own = &mut self.nodes[node];
                    // The shell drops answers that it has given up waiting for.
                    if own.life == life && own.meter.slice().unwrap().is_away() && number > 0 {
                        own.meter.granted(&grant, LEASE_MS, now);
                    }
                }
            }
        }
    }

    /// A request at a node; where it has to wait for a lease it may try again.
    fn ask(&mut self, node: usize, held: u64, costs: u64, lasts_ms: u64) -> Result<(), Wait> {
        let now = self.now;
        match self.nodes[node].meter.hold(held, Fit::Whole, now) {
            Ok(()) => {
                self.running.push(Running { node, held, costs, ends_ms: now + lasts_ms });
                Ok(())
            }
            Err(refusal) => {
                self.refused += 1;
                Err(refusal.wait)
            }
        }
    }

    /// The node is killed: what its requests cost is on the bill, and nobody tells of it.
    fn kill(&mut self, at: usize) {
        self.lost += self.nodes[at].meter.slice().unwrap().lease();
        let now = self.now;
        self.running.retain(|one| {
            let dies = one.node == at;
            if dies {
                self.bill.push((now, one.costs));
            }
            !dies
        });
        self.nodes[at] = self.node(self.nodes[at].life + 1);
    }

    fn billed(&self) -> u64 {
        let from = self.window.period(self.now).start_ms;
        self.bill.iter().filter(|(at, _)| *at > from || self.window.is_calendar()).map(|(_, cost)| cost).sum()
    }

    fn check(&self) {
        if !self.now.is_multiple_of(20) {
            return;
        }
        let (billed, bound) = (self.billed(), self.max + self.lost);
        assert!(billed <= bound, "{billed} of {} and {} lost", self.max, self.lost);
    }
}

fn rolling(text: &str) -> Window {
    Window::parse(text, false).unwrap()
}

fn calendar(text: &str) -> Window {
    Window::parse(text, true).unwrap()
}

#[test]
fn many_nodes_spend_all_of_a_budget_and_not_more() {
    for seed in 0..10 {
        let mut world = World::new(seed, 1 + seed as usize % 5, 1_000_000, calendar("1M"));
        world.lose_permille = if seed % 2 == 0 { 0 } else { 50 };
        for _ in 0..6_000 {
            let node = (world.random.next() % world.nodes.len() as u64) as usize;
            let held = 200 + world.random.next() % 1_000;
            let (costs, lasts) = (held - world.random.next() % 200, 1 + world.random.next() % 300);
            let _ = world.ask(node, held, costs, lasts);
            world.tick();
            world.check();
        }
        assert!(world.billed() > 995_000, "seed {seed}: {} of {}", world.billed(), world.max);
        assert!(world.nodes.iter_mut().all(|node| !node.meter.slice().unwrap().is_lost() || seed % 2 == 1));
    }
}

#[test]
fn a_limit_holds_in_every_window_over_all_nodes_and_is_used_in_full() {
    let mut world = World::new(7, 3, 600, rolling("1m"));
    for _ in 0..240_000 {
        if world.chance(200) {
            let node = (world.random.next() % 3) as usize;
            let _ = world.ask(node, 1, 1, 0);
        }
        world.tick();
        if world.now.is_multiple_of(100) {
            world.check();
        }
    }
    // Four windows, each up to its sixtieth late.
    let all: u64 = world.bill.iter().map(|(_, cost)| cost).sum();
    assert!((2_200..=2_400).contains(&all), "{all}");
}

#[test]
fn with_nodes_that_die_the_use_passes_the_budget_by_no_more_than_their_leases() {
    let mut overspent = 0;
    for seed in 0..14 {
        let mut world = World::new(seed, 3, 1_000_000, calendar("1d"));
        world.lose_permille = 20;
        for step in 0..9_000 {
            let node = (world.random.next() % 3) as usize;
            let _ = world.ask(node, 1_000, 900, world.random.0 % 400);
            world.tick();
            if step < 3_000 && world.chance(1) {
                world.kill(node);
            }
            world.check();
        }
        assert!(
            world.billed() >= 900_000,
            "seed {seed}: a dead node's lease is given back, {}",
            world.billed()
        );
        overspent += u64::from(world.billed() > world.max);
    }
    assert!(overspent > 0, "the bound was never tried");
}

#[test]
fn a_node_that_is_cut_off_goes_on_within_its_lease_and_no_further_where_it_shall_not() {
    let mut world = World::new(3, 2, 100_000, calendar("1d"));
    for _ in 0..100 {
        let _ = world.ask(0, 100, 100, 5);
        world.tick();
    }
    world.nodes[0].cut_off = true;
    let lease = world.nodes[0].meter.slice().unwrap().free(0);
    let before = world.billed();
    assert!(lease > 0);
    for _ in 0..LEASE_MS * 2 {
        let _ = world.ask(0, 100, 100, 5);
        world.tick();
        world.check();
    }
    let alone = world.billed() - before;
    assert!(alone <= lease + 500 && alone + 200 > lease / 2, "{alone} of {lease}");
    assert_eq!(world.ask(0, 1, 1, 1), Err(Wait::ForOthers));
    // The other node has all the rest, and what the first one spent is told when it is back.
    world.nodes[0].cut_off = false;
    world.tick();
    for _ in 0..3_000 {
        let _ = world.ask(0, 100, 100, 5);
        let _ = world.ask(1, 100, 100, 5);
        world.tick();
    }
    world.check();
    assert_eq!((world.billed(), world.lost), (100_000, 0));
}

#[test]
fn without_a_pool_each_node_takes_its_part_of_what_was_left() {
    for seed in 0..5 {
        let mut world = World::new(seed, 3, 1_000_000, calendar("1d"));
        world.on_loss = OnLoss::Local;
        world.nodes = (0..3).map(|_| world.node(1)).collect();
        for _ in 0..1_000 {
            let node = (world.random.next() % 3) as usize;
            let _ = world.ask(node, 300, 300, 20);
            world.tick();
        }
        for node in &mut world.nodes {
            node.cut_off = true;
            // Cut off with a lease: these are the bound.
            world.lost += node.meter.slice().unwrap().lease();
        }
        for _ in 0..8_000 {
            let node = (world.random.next() % 3) as usize;
            let _ = world.ask(node, 300, 300, 20);
            world.tick();
            world.check();
        }
        assert!(world.billed() > 960_000, "seed {seed}: {}", world.billed());
        // The pool is back: all is told, and nothing more may be had.
        world.nodes.iter_mut().for_each(|node| node.cut_off = false);
        (0..3_000).for_each(|_| world.tick());
        assert_eq!(world.pool.used(), world.billed());
    }
}

#[test]
fn a_pool_that_forgot_is_told_what_was_used() {
    for window in [calendar("1d"), rolling("1h")] {
        let mut world = World::new(11, 3, 1_000_000, window);
        for step in 0..12_000 {
            let node = (world.random.next() % 3) as usize;
            let _ = world.ask(node, 500, 500, 20);
            world.tick();
            if step == 1_200 {
                let used = world.pool.used();
                assert!(used > 100_000);
                world.pool = Pool::new(2);
            }
            world.check();
        }
        let billed = world.billed();
        assert!(billed > 940_000, "{billed}");
        assert!(world.pool.used() >= billed && world.pool.used() < billed + 60_000, "{}", world.pool.used());
    }
}

#[test]
fn an_idle_node_gives_its_lease_back() {
    let mut world = World::new(5, 2, 1_000_000, rolling("1h"));
    for _ in 0..500 {
        let _ = world.ask(0, 1_000, 100, 20);
        world.tick();
    }
    assert!(world.nodes[0].meter.slice().unwrap().lease() > 0);
    (0..10_000).for_each(|_| world.tick());
    assert_eq!(world.nodes[0].meter.slice().unwrap().lease(), 0);
    assert!(!world.nodes[0].meter.is_live());
}

#[test]
fn a_report_that_comes_twice_counts_once() {
    let terms = Terms { max: 100, span: Span::Calendar { start_ms: 0, left_ms: 1_000 }, lease_ms: LEASE_MS };
    let mut report = Report {
        number: 1,
        spent: vec![(0, 10)],
        need: 5,
        short: 1,
        spare: 10,
        epoch: 0,
        known: Some(vec![]),
    };
    let mut pool = Pool::new(9);
    let first = pool.take(1, &report, &terms, 0);
    report.epoch = first.epoch;
    let again = pool.take(1, &report, &terms, 1);
    assert_eq!((first.total, again.total, pool.used()), (10, 10, 10));
    assert!(first.lease >= 6 && again.lease >= 6);
}

#[test]
fn while_a_report_is_not_answered_only_what_it_keeps_is_held() {
    let mut meter = Meter::new(1_000, calendar("1d"));
    meter.share(OnLoss::Deny);
    assert_eq!(meter.hold(10, Fit::Whole, 0).unwrap_err().wait, Wait::ForShare);
    let (report, _) = meter.report(LEASE_MS, 0).unwrap();
    assert_eq!((report.short, report.need), (10, 0));
    let grant = |lease, total| Grant {
        epoch: 5,
        lease,
        total,
        nodes: 2,
        others_lack: true,
        known: None,
        tell: false,
    };
    meter.granted(&grant(200, 0), LEASE_MS, 1);
    meter.hold(10, Fit::Whole, 2).unwrap();
    // Others lack something: it says that it keeps what is held, and keeps to that.
    let (report, _) = meter.report(LEASE_MS, 100).unwrap();
    assert_eq!((report.need, report.spare), (10, 0));
    assert_eq!(meter.hold(10, Fit::Whole, 101).unwrap_err().wait, Wait::ForShare);
    meter.lost(2);
    assert_eq!(meter.hold(10, Fit::Whole, 102).unwrap_err().wait, Wait::ForOthers, "it may have been heard");
}

#[test]
fn the_last_of_an_allowance_is_lent_alone_at_a_node() {
    let mut meter = Meter::new(100, calendar("1d"));
    meter.share(OnLoss::Deny);
    assert!(meter.hold(300, Fit::Alone, 0).is_err());
    let (report, _) = meter.report(LEASE_MS, 0).unwrap();
    let grant =
        Grant { epoch: 5, lease: 100, total: 0, nodes: 1, others_lack: false, known: None, tell: false };
    assert_eq!(report.short, 300);
    meter.granted(&grant, LEASE_MS, 1);
    assert!(meter.hold(300, Fit::Alone, 2).is_ok());
    assert!(meter.hold(1, Fit::Alone, 3).is_err());
}

#[test]
fn what_a_ledger_tells_of_others_is_not_counted_beside_what_the_pool_tells() {
    let mut meter = Meter::new(100, calendar("1d"));
    meter.share(OnLoss::Local);
    meter.restore(30, 0, 0);
    assert!(meter.hold(1, Fit::Whole, 0).is_err());
    let (report, terms) = meter.report(LEASE_MS, 0).unwrap();
    assert_eq!(report.known, Some(vec![(0, 30)]), "a pool that is new hears of it");
    let mut pool = Pool::new(1);
    meter.granted(&pool.take(1, &report, &terms, 0), LEASE_MS, 1);
    assert_eq!((meter.used(1), pool.used()), (30, 30));
    meter.restore(20, 2, 2);
    assert_eq!(meter.used(2), 30);
}

#[test]
fn places_are_shared_and_come_back() {
    use crate::allowance::{Allowance, Consumption, Denied, Part};
    let mut pool = Pool::new(1);
    let mut nodes = [Allowance::new(&[], Some(3)), Allowance::new(&[], Some(3))];
    nodes.iter_mut().for_each(|node| node.share(OnLoss::Deny));
    let nothing = Consumption::default();
    let mut now = 0;
    let mut talk = |nodes: &mut [Allowance; 2], now: u64| {
        for (name, node) in nodes.iter_mut().enumerate() {
            for (part, report, terms) in node.reports(LEASE_MS, now) {
                assert_eq!(part, Part::Places);
                let grant = pool.take(name as u64, &report, &terms, now);
                node.answered(part, Ok(&grant), LEASE_MS, now);
            }
        }
    };
    let mut open = 0;
    for _ in 0..40 {
        now += 50;
        for node in &mut nodes {
            open += u32::from(node.hold(&nothing, Fit::Whole, now).is_ok());
        }
        talk(&mut nodes, now);
        assert!(open <= 3, "{open}");
    }
    assert_eq!(open, 3);
    let idle = usize::from(nodes[0].under_way() == 0);
    nodes[idle].settle(&nothing, &nothing, now);
    assert!(matches!(nodes[idle].hold(&nothing, Fit::Whole, now), Ok(()) | Err(Denied::Places { .. })));
}
