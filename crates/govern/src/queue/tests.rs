use std::collections::{BTreeMap, HashMap};

use super::*;
use crate::seeded::Seeded;

const FEW: Limits = Limits { places: 4, per_target: None, waiting: 10_000, adaptive: false };

fn ask(class: Class, tenant: u64) -> Ask {
    Ask { class, tenant, targets: Vec::new(), until_ms: u64::MAX }
}

/// Requests with service times, and a room between them: callers leave at their deadline, as the shell's do.
struct World {
    room: Room,
    limits: Limits,
    now: u64,
    /// End of those that run: the place and how it ends.
    running: BTreeMap<(u64, u64), (Place, Ended)>,
    waiting: HashMap<u64, Ask>,
    /// Entry, tenant, and when it started.
    started: Vec<(u64, Ask, u64)>,
    expired: u32,
    serial: u64,
    most_open: u32,
}

impl World {
    fn new(limits: Limits) -> Self {
        Self {
            room: Room::default(),
            limits,
            now: 0,
            running: BTreeMap::new(),
            waiting: HashMap::new(),
            started: Vec::new(),
            expired: 0,
            serial: 0,
            most_open: 0,
        }
    }

    /// A request comes: it starts, waits (its number), or is refused.
    fn come(&mut self, ask: Ask, service: impl Fn(u32) -> (u64, Ended)) -> Result<Option<u64>, Refused> {
        let free = match ask.targets.as_slice() {
            [] => Some(None),
            targets => targets.iter().find(|t| self.room.is_free(&self.limits, Some(**t))).map(|t| Some(*t)),
        };
        let place = free.and_then(|target| self.room.take(&self.limits, ask.tenant, target, self.now));
        if let Some(place) = place {
            self.start(0, ask, place, &service);
            return Ok(None);
        }
        let number = self.room.enter(&self.limits, ask.clone(), self.now)?;
        self.waiting.insert(number, ask);
        Ok(Some(number))
    }

    fn start(&mut self, number: u64, ask: Ask, place: Place, service: impl Fn(u32) -> (u64, Ended)) {
        self.most_open = self.most_open.max(self.room.open());
        self.serial += 1;
        let (lasts, ended) = service(self.room.open());
        self.running.insert((self.now + lasts, self.serial), (place, ended));
        self.started.push((number, ask, self.now));
    }

    fn settle(&mut self, service: impl Fn(u32) -> (u64, Ended)) {
        while let Some(next) = self.room.next(&self.limits, self.now) {
            match next {
                Next::Starts { entry, place } => {
                    let ask = self.waiting.remove(&entry).expect("it waited");
                    self.start(entry, ask, place, &service);
                }
                Next::Expired { entry } => {
                    self.waiting.remove(&entry).expect("it waited");
                    self.expired += 1;
                }
            }
        }
    }

    /// Lets time pass.
    fn until(&mut self, end: u64, service: impl Fn(u32) -> (u64, Ended)) {
        loop {
            let ending = self.running.keys().next().map_or(u64::MAX, |(at, _)| *at);
            let leaving = self.waiting.iter().map(|(number, ask)| (ask.until_ms, *number)).min();
            let (until_ms, number) = leaving.unwrap_or((u64::MAX, 0));
            if ending.min(until_ms) > end || ending.min(until_ms) == u64::MAX {
                break;
            }
            self.now = self.now.max(ending.min(until_ms));
            if ending <= until_ms {
                let (_, (place, ended)) = self.running.pop_first().expect("it runs");
                self.room.done(&self.limits, place, ended, self.now);
                self.settle(&service);
            } else {
                let ask = self.waiting.remove(&number).expect("it waits");
                self.room.leave(ask.class, ask.tenant, number);
                self.expired += 1;
            }
        }
        self.now = self.now.max(end);
    }
}

fn always(lasts: u64) -> impl Fn(u32) -> (u64, Ended) + Copy {
    move |_| (lasts, Ended::Served)
}

#[test]
fn no_more_than_the_limit_are_open_and_no_place_is_idle_while_somebody_waits() {
    for seed in 1..=5 {
        let mut random = Seeded(seed);
        let mut world = World::new(Limits { per_target: Some(2), ..FEW });
        for _ in 0..5_000 {
            let targets = match random.next() % 4 {
                0 => Vec::new(),
                n => vec![n, n % 3 + 1],
            };
            let class = Class::ALL[(random.next() % 3) as usize];
            let asked = Ask { class, tenant: random.next() % 5, targets, until_ms: u64::MAX };
            let lasts = random.next() % 200;
            world.come(asked, always(lasts)).unwrap();
            let next = world.now + random.next() % 40;
            world.until(next, always(lasts));
            assert!(world.most_open <= 4);
            for target in 1..=3 {
                assert!(world.room.open_at(target) <= 2, "seed {seed}");
            }
            assert_eq!(world.room.next(&world.limits, world.now), None, "somebody could have started");
        }
        world.until(u64::MAX - 1, always(10));
        assert_eq!(world.started.len(), 5_000, "seed {seed}: somebody was left waiting");
        assert!(world.room.is_empty());
    }
}

#[test]
fn classes_share_the_starts_and_the_lowest_is_never_starved() {
    let mut world = World::new(FEW);
    for class in Class::ALL {
        for _ in 0..1_000 {
            world.come(ask(class, 1), always(10)).unwrap();
        }
    }
    world.until(1_300, always(10));
    let of =
        |class| world.started.iter().filter(|(number, ask, _)| *number > 0 && ask.class == class).count();
    let (high, normal, low) = (of(Class::High), of(Class::Normal), of(Class::Low));
    assert_eq!(high + normal + low, 4 * 130);
    for (count, weight) in [(high, 8), (normal, 4), (low, 1)] {
        assert!(count.abs_diff(4 * 130 * weight / 13) <= 4, "{high} {normal} {low}");
    }
}

#[test]
fn a_class_that_was_away_has_no_credit() {
    let mut world = World::new(Limits { places: 1, ..FEW });
    for _ in 0..500 {
        world.come(ask(Class::Normal, 1), always(10)).unwrap();
    }
    world.until(2_000, always(10));
    let before = world.started.len();
    for _ in 0..500 {
        world.come(ask(Class::Low, 1), always(10)).unwrap();
    }
    world.until(2_500, always(10));
    let low = world.started[before..].iter().filter(|(_, ask, _)| ask.class == Class::Low).count();
    assert!((8..=12).contains(&low), "{low} of 50 starts for the class that came later");
}

#[test]
fn a_tenant_with_a_thousand_requests_does_not_stand_before_anothers_first() {
    let mut world = World::new(FEW);
    for _ in 0..1_000 {
        world.come(ask(Class::Normal, 1), always(100)).unwrap();
    }
    for tenant in 2..=3 {
        for _ in 0..50 {
            world.come(ask(Class::Normal, tenant), always(100)).unwrap();
        }
    }
    // The first four were there alone; from then on the three share.
    world.until(3_000, always(100));
    let of = |tenant| world.started.iter().filter(|(_, ask, at)| ask.tenant == tenant && *at > 0).count();
    for tenant in 1..=3 {
        assert!(of(tenant).abs_diff(40) <= 2, "{} {} {}", of(1), of(2), of(3));
    }
}

#[test]
fn requests_that_last_ten_times_longer_get_no_more_places() {
    let mut world = World::new(FEW);
    let long = |ask: &Ask| if ask.tenant == 1 { 1_000 } else { 100 };
    // Each tenant always has ten waiting; places are counted every 10 ms.
    let (mut held, mut queued) = ([0_u64; 3], [0_usize; 3]);
    for step in 0..5_000_u64 {
        for tenant in 1..=2_u64 {
            while queued[tenant as usize] < 10 {
                let asked = ask(Class::Normal, tenant);
                let lasts = long(&asked);
                world.come(asked, always(lasts)).unwrap();
                queued[tenant as usize] += 1;
            }
        }
        // Service times by tenant: one at a time ends, and the next starts with its own.
        let ending = world.running.range(..=(step * 10, u64::MAX)).next().map(|(key, _)| *key);
        if let Some(key) = ending {
            let (place, ended) = world.running.remove(&key).unwrap();
            world.now = step * 10;
            world.room.done(&world.limits, place, ended, world.now);
            while let Some(Next::Starts { entry, place }) = world.room.next(&world.limits, world.now) {
                let asked = world.waiting.remove(&entry).unwrap();
                let lasts = long(&asked);
                world.start(entry, asked, place, always(lasts));
            }
        }
        for (place, _) in world.running.values() {
            held[place.tenant as usize] += 1;
        }
        for (tenant, count) in (0_u64..).zip(&mut queued) {
            *count = world.waiting.values().filter(|ask| ask.tenant == tenant).count();
        }
    }
    let share = held[1] as f64 / (held[1] + held[2]) as f64;
    assert!((0.45..0.55).contains(&share), "the slow tenant held {share} of the places");
}

#[test]
fn requests_of_one_tenant_start_in_the_order_they_came() {
    let mut world = World::new(Limits { places: 1, ..FEW });
    for _ in 0..100 {
        world.come(ask(Class::Normal, 7), always(5)).unwrap();
    }
    world.until(10_000, always(5));
    let numbers: Vec<u64> = world.started.iter().map(|(number, _, _)| *number).collect();
    assert!(numbers.is_sorted() && numbers.len() == 100);
}

/// Arrivals at 130 % of what four places serve, each with two seconds of patience. Who is refused asks again once, when
/// it was told to.
#[test]
fn under_overload_those_who_are_let_in_start_in_time_and_the_others_know_at_once() {
    for seed in 1..=5 {
        let random = std::cell::RefCell::new(Seeded(seed));
        let below = |bound: u64| random.borrow_mut().next() % bound;
        // Exponential service times of 400 ms on average: ten a second.
        let service =
            |_| (((-((below(9_999) + 1) as f64 / 10_000.0).ln()) * 400.0) as u64 + 1, Ended::Served);
        let mut world = World::new(FEW);
        let (mut arrivals, mut refused, mut entered) = (0_u32, 0_u32, 0_u32);
        let (mut again, mut let_in) = (0_u32, 0_u32);
        let mut returning: BTreeMap<u64, u32> = BTreeMap::new();
        let mut next = 0;
        while next < 300_000 {
            let back = returning.first_entry().filter(|first| *first.key() <= next);
            let (at, returns) = back.map_or((next, 0), |first| first.remove_entry());
            world.until(at, service);
            for nth in 0..returns.max(1) {
                let asked = Ask { until_ms: at + 2_000, ..ask(Class::Normal, u64::from(nth) % 3) };
                let outcome = world.come(asked, service);
                entered += u32::from(outcome.is_ok());
                match (returns, outcome) {
                    (0, Err(refusal)) => {
                        assert_eq!(refusal.why, Refusal::Late);
                        refused += 1;
                        *returning.entry(at + refusal.wait_ms).or_default() += 1;
                    }
                    (0, Ok(_)) => {}
                    (_, outcome) => {
                        again += 1;
                        let_in += u32::from(outcome.is_ok());
                    }
                }
            }
            if returns == 0 {
                arrivals += 1;
                next += below(154);
            }
        }
        let percent = |part: u32, all: u32| part * 100 / all;
        assert!(percent(refused, arrivals) >= 23, "seed {seed}: {refused} of {arrivals} refused");
        assert!(percent(world.expired, entered) < 8, "seed {seed}: {} of {entered} in vain", world.expired);
        assert!(percent(let_in, again) >= 40, "seed {seed}: {let_in} of {again} let in when told to come");
        // No place is idle for the refusals: ten a second are served.
        assert!(world.started.len() > 2_900, "seed {seed}: {} served", world.started.len());
    }
}

#[test]
fn the_wait_that_is_told_is_the_wait_that_comes() {
    let mut world = World::new(FEW);
    for _ in 0..40 {
        world.come(ask(Class::Normal, 1), always(100)).unwrap();
    }
    world.until(150, always(100));
    for (class, tenant) in [(Class::Normal, 1), (Class::Normal, 2), (Class::High, 2)] {
        let asked = ask(class, tenant);
        let told = world.room.wait_ms(&FEW, &asked, world.now);
        let came_at = world.now;
        let number = world.room.enter(&FEW, asked.clone(), world.now).unwrap();
        world.waiting.insert(number, asked);
        let mut look = came_at;
        let started = loop {
            look += 1;
            world.until(look, always(100));
            if let Some((_, _, at)) = world.started.iter().find(|(entry, _, _)| *entry == number) {
                break *at;
            }
        };
        let waited = started - came_at;
        assert!(told.abs_diff(waited) <= 150, "{class:?} {tenant}: told {told} ms, waited {waited} ms");
    }
}

#[test]
fn a_full_queue_refuses_and_says_how_long_it_is() {
    let limits = Limits { places: 1, waiting: 2, ..FEW };
    let mut world = World::new(limits);
    world.come(ask(Class::Normal, 1), always(100)).unwrap();
    world.until(100, always(100));
    for _ in 0..3 {
        world.come(ask(Class::Normal, 1), always(100)).unwrap();
    }
    let refused = world.come(ask(Class::Normal, 1), always(100)).unwrap_err();
    assert_eq!(refused, Refused { why: Refusal::Full, wait_ms: 300 });
    // Nobody may wait at all.
    let none = Limits { waiting: 0, ..limits };
    let refused = world.room.enter(&none, ask(Class::High, 2), world.now).unwrap_err();
    assert_eq!(refused.why, Refusal::Full);
}

#[test]
fn before_anything_ended_the_wait_is_at_least_what_was_waited() {
    let limits = Limits { places: 1, ..FEW };
    let mut room = Room::default();
    room.take(&limits, 1, None, 0).unwrap();
    assert_eq!(room.wait_ms(&limits, &ask(Class::Normal, 2), 5_000), 5_000);
}

#[test]
fn who_leaves_leaves_no_trace() {
    for seed in 1..=5 {
        let mut random = Seeded(seed);
        let limits = Limits { places: 2, per_target: Some(1), ..FEW };
        let mut room = Room::default();
        let (mut waiting, mut places): (Vec<(u64, Ask)>, Vec<Place>) = (Vec::new(), Vec::new());
        for now in 0..5_000 {
            let targets = vec![random.next() % 3, 3 + random.next() % 2];
            let class = Class::ALL[(random.next() % 3) as usize];
            let asked =
                Ask { class, tenant: random.next() % 4, targets, until_ms: now + 100 + random.next() % 500 };
            match random.next() % 3 {
                0 => match room.take(&limits, asked.tenant, Some(asked.targets[0]), now) {
                    Some(place) => places.push(place),
                    None => waiting.extend(room.enter(&limits, asked.clone(), now).ok().map(|n| (n, asked))),
                },
                1 if !waiting.is_empty() => {
                    let (number, ask) = waiting.swap_remove((random.next() % waiting.len() as u64) as usize);
                    room.leave(ask.class, ask.tenant, number);
                    // Twice is once.
                    room.leave(ask.class, ask.tenant, number);
                }
                _ if !places.is_empty() => {
                    let place = places.swap_remove((random.next() % places.len() as u64) as usize);
                    room.done(&limits, place, Ended::Otherwise, now);
                }
                _ => {}
            }
            while let Some(next) = room.next(&limits, now) {
                let number = match next {
                    Next::Starts { entry, place } => {
                        places.push(place);
                        entry
                    }
                    Next::Expired { entry } => entry,
                };
                waiting.retain(|(known, _)| *known != number);
            }
            assert_eq!((room.open() as usize, room.waiting() as usize), (places.len(), waiting.len()));
        }
        for (number, ask) in waiting {
            room.leave(ask.class, ask.tenant, number);
        }
        for place in places {
            room.done(&limits, place, Ended::Otherwise, 5_000);
        }
        assert!(room.is_empty() && room.lines.ahead(Class::Normal, 1) == 0);
        assert!(room.targets.values().all(|target| target.open == 0 && target.wanted == 0));
        assert_eq!(room.next(&limits, 5_000), None);
    }
}

#[test]
fn a_full_target_does_not_hold_up_requests_for_others() {
    let limits = Limits { places: 3, per_target: Some(1), ..FEW };
    let mut world = World::new(limits);
    let at = |target| Ask { targets: vec![target], ..ask(Class::Normal, 1) };
    world.come(at(1), always(100)).unwrap();
    assert!(world.come(at(1), always(100)).unwrap().is_some(), "it waits");
    assert!(world.come(at(2), always(100)).unwrap().is_none(), "it starts");
    // Nor does one that waits at the full target take the turn of one behind it, when a place comes free.
    world.come(at(3), always(50)).unwrap();
    world.come(at(1), always(100)).unwrap();
    let behind = world.come(at(4), always(100)).unwrap().unwrap();
    world.until(60, always(100));
    assert!(world.started.iter().any(|(number, _, at)| *number == behind && *at == 50));
}

#[test]
fn a_request_that_can_use_either_key_takes_the_idler_one() {
    let limits = Limits { places: 10, per_target: Some(2), ..FEW };
    let mut room = Room::default();
    let places: Vec<Place> =
        [1, 1, 2, 2].into_iter().map(|target| room.take(&limits, 1, Some(target), 0).unwrap()).collect();
    assert!(!room.is_free(&limits, Some(1)) && room.is_free(&limits, Some(3)));
    let either = Ask { targets: vec![1, 2], ..ask(Class::Normal, 1) };
    let entry = room.enter(&limits, either, 0).unwrap();
    assert_eq!(room.next(&limits, 0), None);
    room.done(&limits, places[2], Ended::Served, 10);
    room.done(&limits, places[3], Ended::Served, 10);
    let place = Place { tenant: 1, target: Some(2), since_ms: 10 };
    assert_eq!(room.next(&limits, 10), Some(Next::Starts { entry, place }));
}

#[test]
fn a_request_whose_time_is_over_does_not_start() {
    let limits = Limits { places: 1, ..FEW };
    let mut room = Room::default();
    let place = room.take(&limits, 1, None, 0).unwrap();
    let entry = room.enter(&limits, Ask { until_ms: 50, ..ask(Class::Normal, 1) }, 0).unwrap();
    room.done(&limits, place, Ended::Served, 50);
    assert_eq!(room.next(&limits, 50), Some(Next::Expired { entry }));
    assert!(room.is_empty());
}

/// A target that takes 30 at a time and refuses the rest; 60 callers who always want one more.
#[test]
fn an_adaptive_limit_finds_what_the_target_takes() {
    let limits = Limits { places: 1_000, per_target: None, waiting: 1_000, adaptive: true };
    let mut world = World::new(limits);
    let answers = |open: u32| if open > 30 { (5, Ended::Overloaded) } else { (200, Ended::Served) };
    let here = || Ask { targets: vec![1], ..ask(Class::Normal, 1) };
    let (mut refused, mut calls) = (0_u32, 0_u32);
    let mut sum = 0_u64;
    for step in 0..6_000_u64 {
        while world.running.len() + world.waiting.len() < 60 {
            world.come(here(), answers).unwrap();
        }
        world.until((step + 1) * 10, answers);
        if step > 1_000 {
            sum += u64::from(world.room.limit_of(&limits, 1));
        }
        let fresh = world.started.len() as u32 - calls;
        calls += fresh;
        refused += world.running.values().filter(|(_, ended)| *ended == Ended::Overloaded).count() as u32;
    }
    let mean = sum / 4_999;
    assert!((22..=31).contains(&mean), "the limit is {mean} on average");
    assert!(refused * 100 / calls <= 5, "{refused} of {calls} were refused");
    assert!(calls > 6_000, "{calls} calls in a minute: 9,000 are possible");
}

#[test]
fn an_adaptive_limit_stays_within_what_was_configured() {
    let limits = Limits { places: 20, per_target: Some(12), waiting: 100, adaptive: true };
    let mut world = World::new(limits);
    for step in 0..500 {
        while world.running.len() + world.waiting.len() < 40 {
            world.come(Ask { targets: vec![1], ..ask(Class::Normal, 1) }, always(50)).unwrap();
        }
        world.until((step + 1) * 10, always(50));
    }
    assert_eq!((world.most_open, world.room.limit_of(&limits, 1)), (12, 12));
    // One that only refuses is still asked.
    for step in 500..1_000 {
        while world.running.len() + world.waiting.len() < 40 {
            let no = |_| (20, Ended::Overloaded);
            world.come(Ask { targets: vec![1], ..ask(Class::Normal, 1) }, no).unwrap();
        }
        world.until((step + 1) * 10, |_| (20, Ended::Overloaded));
    }
    assert_eq!(world.room.limit_of(&limits, 1), 1);
}

#[test]
fn targets_that_nobody_asks_any_more_are_forgotten() {
    let limits = Limits { per_target: Some(1), ..FEW };
    let mut room = Room::default();
    for target in 0..5_000 {
        let place = room.take(&limits, 1, Some(target), target).unwrap();
        room.done(&limits, place, Ended::Served, target);
    }
    assert!(room.targets.len() <= Room::MOST_TARGETS);
}

#[test]
fn whose_turn_it_is_is_found_without_a_look_at_everybody() {
    let mut lines = Lines::default();
    let entry = |number| Entry { number, targets: vec![number % 2], until_ms: u64::MAX };
    (0..5_000).for_each(|nth| lines.push(Class::Normal, nth, entry(nth)));
    let looked = std::cell::Cell::new(0);
    let open = |_: u64| {
        looked.set(looked.get() + 1);
        0
    };
    let (tenant, _) = lines.take(open, |entry| entry.targets == [1]).unwrap();
    assert_eq!((tenant, looked.get()), (1, 2));
}

#[test]
fn while_every_target_is_full_nobody_is_looked_at_and_whoever_can_start_is_found() {
    let limits = Limits { per_target: Some(1), ..FEW };
    let mut room = Room::default();
    let first = room.take(&limits, 0, Some(1), 0).unwrap();
    let ask = |tenant, targets: &[u64]| Ask { targets: targets.to_vec(), ..ask(Class::Normal, tenant) };
    let numbers: Vec<u64> =
        (1..=3).map(|tenant| room.enter(&limits, ask(tenant, &[1]), 0).unwrap()).collect();
    assert!(!room.lets_anybody_in(&limits) && room.next(&limits, 1).is_none());
    // One whom no target concerns, and who leaves again.
    let easy = room.enter(&limits, ask(4, &[]), 0).unwrap();
    assert!(room.lets_anybody_in(&limits));
    room.leave(Class::Normal, 4, easy);
    assert!(!room.lets_anybody_in(&limits));
    let easy = room.enter(&limits, ask(4, &[]), 0).unwrap();
    assert!(matches!(room.next(&limits, 1), Some(Next::Starts { entry, .. }) if entry == easy));
    assert!(!room.lets_anybody_in(&limits));
    room.done(&limits, first, Ended::Served, 2);
    assert!(matches!(room.next(&limits, 2), Some(Next::Starts { entry, .. }) if entry == numbers[0]));
    // A second place at each target.
    let more = Limits { per_target: Some(2), ..limits };
    assert!(matches!(room.next(&more, 3), Some(Next::Starts { entry, .. }) if entry == numbers[1]));
    assert!(room.next(&more, 3).is_none());
}
