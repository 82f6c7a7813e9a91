//! One group of servers: which of them takes a request, and what requests and checks have shown of each.
//!
//! Pingora's selectors know a server by an address; ours is made of its URL, so that a share of the ring stays with
//! the server whatever its name resolves to, and two URLs on one machine stay two. Their own order after a first
//! choice that is down is uniform; ours keeps the weights.

use std::collections::{BTreeSet, HashMap};
use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use govern::balance::{self, Crowd, Outlook, Strategy};
use govern::breaker;
use govern::cooldown::{Availability, Call, HealthState, Noted, Policy, of_server};
use govern::verdict::FaultClass;
use pingora_core::protocols::l4::socket::SocketAddr as PeerAddr;
use pingora_load_balancing::discovery::Static;
use pingora_load_balancing::selection::consistent::KetamaHashing;
use pingora_load_balancing::selection::{BackendIter, BackendSelection, RoundRobin};
use pingora_load_balancing::{Backend as Known, Backends as Checked, Extensions};

use super::check::Checker;
use crate::config::backend::{Backend, Backends, Selection};
use crate::config::snapshot::Provider;
use crate::telemetry::events::{Event, emit};
use crate::upstream::ask::Asker;

/// Who cannot be reached is left alone at once: the next try costs a connect timeout. Other faults count as a
/// target's do.
const UNREACHABLE: Policy = Policy {
    faults: breaker::Policy { consecutive: 1, consecutive_in_traffic: 1, ..breaker::Policy::STANDARD },
    ..Policy::STANDARD
};
const POLICY: Policy = Policy::STANDARD;

/// Servers of the same models, and what is known of them.
pub struct Group {
    spec: Arc<Backends>,
    provider: Arc<Provider>,
    members: Arc<[Member]>,
    ring: Arc<KetamaHashing>,
    turns: Arc<RoundRobin>,
    /// Index by the address that stands for a server.
    by_address: HashMap<PeerAddr, usize>,
    checked: Checked,
    /// The checks know the servers: before that they say nothing.
    checking: AtomicBool,
}

/// One server.
pub(super) struct Member {
    pub(super) backend: Arc<Backend>,
    epoch: Instant,
    /// What stands for it in Pingora's selectors.
    known: Known,
    state: Mutex<State>,
    in_flight: AtomicU32,
}

#[derive(Default)]
struct State {
    health: HealthState,
    /// It rests because it could not be reached: a connection proves the contrary.
    unreachable: bool,
}

/// What a request wants of the choice.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanted {
    /// Servers it was tried at, a bit per index.
    pub tried: u64,
    /// Requests of one session go to one server as long as that is well.
    pub session: Option<u64>,
    /// So do those whose prompts begin alike, as long as it is not busier than others.
    pub prefix: Option<u64>,
}

/// How one server stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    pub backend: Arc<Backend>,
    /// It is asked.
    pub ready: bool,
    /// Checks find it well; `None` where there are none.
    pub checks: Option<bool>,
    /// How long it rests for what requests have shown; 0: it does not.
    pub rest_ms: u64,
    pub in_flight: u32,
}

impl Group {
    pub(super) fn new(
        provider: &Arc<Provider>,
        spec: &Arc<Backends>,
        epoch: Instant,
        asker: &Arc<Asker>,
    ) -> Self {
        let make = |backend: &Arc<Backend>| Member {
            backend: Arc::clone(backend),
            epoch,
            known: known(backend),
            state: Mutex::default(),
            in_flight: AtomicU32::new(0),
        };
        let members: Arc<[Member]> = spec.list.iter().map(make).collect();
        let set: BTreeSet<Known> = members.iter().map(|member| member.known.clone()).collect();
        let by_address: HashMap<PeerAddr, usize> =
            members.iter().enumerate().map(|(index, member)| (member.known.addr.clone(), index)).collect();
        let mut checked = Checked::new(Static::new(set.clone()));
        if let Some(check) = &spec.check {
            let (provider, asker) = (Arc::clone(provider), Arc::clone(asker));
            let checker = Checker::new(provider, asker, check.clone(), Arc::clone(&members));
            checked.set_health_check(Box::new(checker));
        }
        Self {
            spec: Arc::clone(spec),
            provider: Arc::clone(provider),
            members,
            ring: Arc::new(KetamaHashing::build(&set)),
            turns: Arc::new(RoundRobin::build(&set)),
            by_address,
            checked,
            checking: AtomicBool::new(false),
        }
    }

    #[must_use]
    pub fn id(&self) -> u64 {
        self.spec.id
    }

    /// The provider it belongs to.
    #[must_use]
    pub fn provider(&self) -> &Arc<str> {
        &self.provider.name
    }

    pub(super) fn spec(&self) -> &Backends {
        &self.spec
    }

    /// A server that is up and was not tried; `None` when there is none.
    #[must_use]
    pub fn choose(&self, wanted: Wanted, random: u64) -> Option<usize> {
        let outlooks = self.outlooks(wanted.tried);
        let open = |index: usize| outlooks.get(index).is_some_and(|outlook| outlook.candidate.eligible);
        if let Some(session) = wanted.session {
            return self.on_ring(session, open);
        }
        let crowd = Crowd::of(outlooks.iter().copied());
        let at_ease = |index: usize| outlooks.get(index).is_some_and(|outlook| crowd.has_room(outlook));
        let own =
            wanted.prefix.and_then(|prefix| self.on_ring(prefix, |index| open(index) && at_ease(index)));
        own.or_else(|| match self.spec.selection {
            Selection::Weighted => None,
            Selection::RoundRobin => self.in_turn().filter(|&index| open(index)),
            Selection::LeastInflight => {
                balance::choose(Strategy::LeastInflight, outlooks.iter().copied(), random)
            }
        })
        .or_else(|| balance::choose(Strategy::Weighted, outlooks.iter().copied(), random))
    }

    /// One of them although none is up: better than nothing.
    #[must_use]
    pub fn any(&self, random: u64) -> Option<usize> {
        let all = self.members.iter().map(|member| Outlook::of(member.backend.weight));
        balance::choose(Strategy::Weighted, all, random)
    }

    /// An attempt at that server begins.
    #[must_use]
    pub fn visit(self: &Arc<Self>, index: usize) -> Option<Visit> {
        let member = self.members.get(index)?;
        member.in_flight.fetch_add(1, Ordering::Relaxed);
        let call = member.lock().health.begin(&POLICY, member.now_ms());
        Some(Visit { group: Arc::clone(self), index, call, told: false })
    }

    /// How each server stands.
    #[must_use]
    pub fn standings(&self) -> Vec<Standing> {
        let standing = |member: &Member| {
            let rest_ms = member.rest_ms();
            let checks = self.checks(member);
            Standing {
                backend: Arc::clone(&member.backend),
                ready: rest_ms == 0 && checks != Some(false),
                checks,
                rest_ms,
                in_flight: member.in_flight.load(Ordering::Relaxed),
            }
        };
        self.members.iter().map(standing).collect()
    }

    /// Checks every server once.
    pub(super) async fn check(&self) {
        if !self.checking.load(Ordering::Relaxed) {
            // A fixed list: there is nothing that could fail.
            let _ = self.checked.update(|_| {}).await;
            self.checking.store(true, Ordering::Relaxed);
        }
        self.checked.run_health_check(true).await;
    }

    fn checks(&self, member: &Member) -> Option<bool> {
        let known = self.spec.check.is_some() && self.checking.load(Ordering::Relaxed);
        known.then(|| self.checked.ready(&member.known))
    }

    fn outlooks(&self, tried: u64) -> Vec<Outlook> {
        let outlook = |(index, member): (usize, &Member)| {
            let mut outlook = Outlook::of(member.backend.weight);
            outlook.in_flight = member.in_flight.load(Ordering::Relaxed);
            outlook.candidate.eligible =
                tried & bit(index) == 0 && member.rest_ms() == 0 && self.checks(member) != Some(false);
            outlook
        };
        self.members.iter().enumerate().map(outlook).collect()
    }

    /// The first server from the place of `key` on that will do.
    fn on_ring(&self, key: u64, will_do: impl Fn(usize) -> bool) -> Option<usize> {
        let mut places = self.ring.iter(&key.to_le_bytes());
        let mut met = 0_u64;
        let all = u32::try_from(self.members.len()).unwrap_or(u32::MAX);
        while met.count_ones() < all {
            let index = *self.by_address.get(&places.next()?.addr)?;
            if met & bit(index) == 0 && will_do(index) {
                return Some(index);
            }
            met |= bit(index);
        }
        None
    }

    fn in_turn(&self) -> Option<usize> {
        self.by_address.get(&self.turns.iter(&[]).next()?.addr).copied()
    }
}

/// One attempt at a server. Dropped without a word, it says that nothing was learned.
pub struct Visit {
    group: Arc<Group>,
    index: usize,
    call: Call,
    told: bool,
}

impl Visit {
    /// Which server it is.
    #[must_use]
    pub fn backend(&self) -> Option<&Arc<Backend>> {
        self.member().map(|member| &member.backend)
    }

    /// Its bit among those that were tried.
    #[must_use]
    pub fn bit(&self) -> u64 {
        bit(self.index)
    }

    #[must_use]
    pub fn group(&self) -> &Arc<Group> {
        &self.group
    }

    /// It has begun to answer: it can be reached, and more is not known yet.
    pub fn heard(&self) {
        self.on_state(|state, now_ms| {
            if state.unreachable {
                state.health.on_success(now_ms, self.call);
                state.unreachable = state.health.breaker(&POLICY, now_ms) != breaker::State::Closed;
            }
        });
    }

    /// It answered well.
    pub fn succeeded(mut self) {
        self.told = true;
        self.on_state(|state, now_ms| {
            state.health.on_success(now_ms, self.call);
            state.unreachable &= state.health.breaker(&POLICY, now_ms) != breaker::State::Closed;
        });
    }

    /// The attempt failed. What concerns the key or the request speaks for the server.
    pub fn failed(mut self, class: FaultClass, retry_after_ms: Option<u64>) {
        self.told = true;
        let before = self.member().is_some_and(|member| member.rest_ms() > 0);
        self.on_state(|state, now_ms| match class {
            FaultClass::Authentication | FaultClass::Permission | FaultClass::Quota => {
                state.health.on_success(now_ms, self.call);
            }
            class => {
                let unreachable = class == FaultClass::ConnectFailed;
                let policy = if unreachable { &UNREACHABLE } else { &POLICY };
                state.health.on_fault(policy, Noted { class, retry_after_ms, call: self.call }, now_ms);
                if of_server(class) {
                    state.unreachable = unreachable;
                }
            }
        });
        let rest = self.member().map_or(0, Member::rest_ms);
        if let (false, true, Some(backend)) = (before, rest > 0, self.backend()) {
            let (provider, name, why) = (self.group.provider(), &backend.name, class.label());
            emit(Event::ServerRests { provider, server: name, rest_ms: rest, why });
        }
    }

    fn member(&self) -> Option<&Member> {
        self.group.members.get(self.index)
    }

    fn on_state(&self, act: impl FnOnce(&mut State, u64)) {
        if let Some(member) = self.member() {
            act(&mut member.lock(), member.now_ms());
        }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        if let Some(member) = self.member() {
            member.in_flight.fetch_sub(1, Ordering::Relaxed);
        }
        if !self.told {
            self.on_state(|state, _| state.health.on_nothing(self.call));
        }
    }
}

impl Member {
    /// A connection was made: whatever kept it from being reached is over.
    pub(super) fn reached(&self) {
        let mut state = self.lock();
        if state.unreachable {
            *state = State::default();
        }
    }

    /// It is the one that this stands for.
    pub(super) fn is(&self, known: &Known) -> bool {
        self.known.addr == known.addr
    }

    fn rest_ms(&self) -> u64 {
        let now_ms = self.now_ms();
        match self.lock().health.verdict(&POLICY, now_ms) {
            Availability::Ready => 0,
            Availability::Cooling { until_ms, .. } => until_ms.saturating_sub(now_ms),
        }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A unique local address made of the URL.
fn known(backend: &Backend) -> Known {
    let bits = (0xfd_u128 << 120) | u128::from(backend.number);
    let address = SocketAddrV6::new(Ipv6Addr::from_bits(bits), 0, 0, 0);
    Known {
        addr: PeerAddr::Inet(SocketAddr::V6(address)),
        weight: usize::try_from(backend.weight).unwrap_or(1),
        ext: Extensions::new(),
    }
}

fn bit(index: usize) -> u64 {
    u32::try_from(index).ok().and_then(|index| 1_u64.checked_shl(index)).unwrap_or(0)
}
