//! A thousand callers, a million requests, a clock that is a number: what is held, counted and written down, against a
//! provider's own bill and an ideal window. Every twenty thousand requests the process is killed: what it had in memory is
//! gone, what it had written down is read back.
//!
//! What a killed process had not been told by a provider, nobody can know: the bill counts what was told.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a simulation may panic")]

use std::collections::VecDeque;

use govern::allowance::{Allowance, Consumption, Denied, Fit, Measure, Quota};
use govern::window::Window;

const CALLERS: usize = 1_000;
const TEAMS: usize = 50;
const CUSTOMERS: usize = 10;
const MINUTE: u64 = 60_000;

/// splitmix64.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }
}

/// A line of the ledger: when, whose key it is, what was used.
struct Line {
    at: u64,
    caller: usize,
    used: Consumption,
}

struct Running {
    since: u64,
    expected: Consumption,
    truth: u64,
}

/// Owners by number: keys, then teams, then customers.
struct World {
    quotas: Vec<Vec<Quota>>,
    owners: Vec<Allowance>,
    ledger: Vec<Line>,
    /// Moments and amounts by which requests cost more than they held, per owner.
    overruns: Vec<(VecDeque<(u64, u64)>, u64)>,
    running: Vec<Option<Running>>,
    /// Per key: when its requests of the last minute began.
    ideal: Vec<VecDeque<u64>>,
    /// Before this the ideal window cannot be compared: requests are read back with the moment they ended at.
    compared_from: u64,
    bill: u128,
    now: u64,
}

const KEY: (u64, u64) = (60_000, 40);
const TEAM: u64 = 800_000;
const CUSTOMER: u64 = 7_000_000;

fn quotas() -> Vec<Vec<Quota>> {
    let quota = |measure, max, window: &str, calendar| {
        let window = Window::parse(window, calendar).unwrap();
        Quota { measure, max, window }
    };
    let key = || vec![quota(Measure::Cost, KEY.0, "5m", false), quota(Measure::Requests, KEY.1, "1m", false)];
    let keys = (0..CALLERS).map(|_| key());
    let teams = (0..TEAMS).map(|_| vec![quota(Measure::Cost, TEAM, "5m", false)]);
    let customers = (0..CUSTOMERS).map(|_| vec![quota(Measure::Cost, CUSTOMER, "10m", true)]);
    keys.chain(teams).chain(customers).collect()
}

fn of(caller: usize) -> [usize; 3] {
    [caller, CALLERS + caller % TEAMS, CALLERS + TEAMS + caller % CUSTOMERS]
}

impl World {
    fn new() -> Self {
        let quotas = quotas();
        Self {
            owners: quotas.iter().map(|quotas| Allowance::new(quotas, Some(4))).collect(),
            overruns: quotas.iter().map(|_| (VecDeque::new(), 0)).collect(),
            quotas,
            ledger: Vec::new(),
            running: (0..CALLERS).map(|_| None).collect(),
            ideal: vec![VecDeque::new(); CALLERS],
            compared_from: 0,
            bill: 0,
            now: 1_700_000_000_000,
        }
    }

    fn limits(&mut self) {
        for (owner, quotas) in self.quotas.iter().enumerate().skip(CALLERS) {
            self.owners[owner].change(quotas, None);
        }
    }

    /// Lets a request in, at all its owners or at none.
    fn begin(&mut self, caller: usize, expected: Consumption, truth: u64) -> Result<(), Denied> {
        let owners = of(caller);
        for at in 0..owners.len() {
            if let Err(denied) = self.owners[owners[at]].hold(&expected, Fit::Whole, self.now) {
                for owner in &owners[..at] {
                    self.owners[*owner].release(&expected, self.now, self.now);
                }
                return Err(denied);
            }
        }
        self.running[caller] = Some(Running { since: self.now, expected, truth });
        Ok(())
    }

    /// Nobody was asked after all.
    fn withdraw(&mut self, caller: usize) {
        let Some(running) = self.running[caller].take() else { return };
        for owner in of(caller) {
            self.owners[owner].release(&running.expected, running.since, self.now);
        }
        self.ideal[caller].retain(|at| *at != running.since);
    }

    /// It has used this.
    fn end(&mut self, caller: usize, cost: u64) {
        let Some(running) = self.running[caller].take() else { return };
        let used = Consumption { cost, requests: 1, ..Consumption::default() };
        self.bill += u128::from(cost);
        self.ledger.push(Line { at: self.now, caller, used });
        let over = cost.saturating_sub(running.expected.cost);
        for owner in of(caller) {
            self.owners[owner].settle(&running.expected, &used, self.now);
            if over > 0 {
                let (list, sum) = &mut self.overruns[owner];
                list.push_back((self.now, over));
                *sum += over;
            }
            self.check(owner);
        }
    }

    /// No budget is passed by more than its requests cost beyond what they held.
    fn check(&mut self, owner: usize) {
        let window = self.quotas[owner][0].window;
        let start = window.period(self.now).start_ms;
        let (list, sum) = &mut self.overruns[owner];
        while list.front().is_some_and(|(at, _)| *at < start || (!window.is_calendar() && *at == start)) {
            *sum -= list.pop_front().unwrap().1;
        }
        let (_, _, level) = self.owners[owner].levels(self.now).next().unwrap();
        assert!(level.used + level.held <= level.max + *sum, "{owner}: {level:?}, {sum} over");
    }

    /// The process is gone, and another one begins with what is in the ledger.
    fn kill(&mut self) {
        self.running.iter_mut().for_each(|running| *running = None);
        self.owners = self.quotas.iter().map(|quotas| Allowance::new(quotas, Some(4))).collect();
        self.limits();
        let oldest = self.now - 60 * MINUTE;
        let from = self.ledger.partition_point(|line| line.at < oldest);
        for line in &self.ledger[from..] {
            for owner in of(line.caller) {
                self.owners[owner].restore(&line.used, line.at, self.now);
            }
        }
        self.compared_from = self.now + 2 * MINUTE;
        self.ideal.iter_mut().for_each(VecDeque::clear);
    }

    /// What an ideal window has of a key's requests.
    fn ideally(&mut self, caller: usize) -> u64 {
        let seen = &mut self.ideal[caller];
        while seen.front().is_some_and(|at| at + MINUTE <= self.now) {
            seen.pop_front();
        }
        u64::try_from(seen.len()).unwrap()
    }
}

/// `wrong`: requests may cost up to twice what was expected.
fn simulate(requests: u32, wrong: bool) {
    let (mut world, mut random) = (World::new(), Random(11));
    world.limits();
    let (mut sent, mut refused) = (0, [0_u32; 2]);
    while sent < requests {
        world.now += random.below(3);
        let caller = usize::try_from(random.below(CALLERS as u64)).unwrap();
        if let Some(running) = &world.running[caller] {
            let truth = running.truth;
            match random.below(20) {
                // The caller left: a part of it.
                0 | 1 => world.end(caller, truth / 3),
                // It came to nothing.
                2 => world.end(caller, 0),
                3 => world.withdraw(caller),
                _ => world.end(caller, truth),
            }
            continue;
        }
        let expected = 1 + random.below(2_000);
        let truth = if wrong { random.below(2 * expected) } else { random.below(expected + 1) };
        let ideal = world.ideally(caller);
        let compared = world.now >= world.compared_from;
        let asked = Consumption { cost: expected, requests: 1, ..Consumption::default() };
        match world.begin(caller, asked, truth) {
            Ok(()) => {
                sent += 1;
                world.ideal[caller].push_back(world.now);
                assert!(ideal < KEY.1, "more than an ideal window lets through: {ideal}");
            }
            Err(Denied::Quota { quota, .. }) if quota.measure == Measure::Requests => {
                refused[1] += 1;
                assert!(!compared || ideal + 1 >= KEY.1, "fewer than an ideal window lets through: {ideal}");
            }
            Err(_) => refused[0] += 1,
        }
        if sent % 20_000 == 19_999 {
            world.kill();
            sent += 1;
        }
    }
    let booked: u128 = world.ledger.iter().map(|line| u128::from(line.used.cost)).sum();
    assert_eq!(booked, world.bill, "the ledger is the bill, to the nano-dollar");
    for caller in 0..CALLERS {
        world.withdraw(caller);
    }
    let held = |owner: &mut Allowance| owner.levels(0).map(|(_, _, level)| level.held).sum::<u64>();
    assert_eq!(world.owners.iter_mut().map(held).sum::<u64>(), 0, "no hold outlives its request");
    assert!(refused.iter().all(|count| *count > 100), "budgets and limits were reached: {refused:?}");
}

#[test]
fn the_ledger_is_the_bill_budgets_hold_and_limits_are_ideal() {
    simulate(1_000_000, false);
}

#[test]
fn estimates_that_are_wrong_pass_a_budget_by_no_more_than_they_were_wrong() {
    simulate(300_000, true);
}
