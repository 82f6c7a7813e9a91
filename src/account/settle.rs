//! What one request owes: held while it runs, counted and written down when it is known, once for each attempt.
//!
//! A [`Tab`] is the request's, a [`Stake`] an attempt's. The tab holds of the caller's virtual key, team and customer, the
//! stake of the provider, the model and the key's part in the provider. Whoever learns what an attempt used says so to its
//! stake ([`Stake::spent`]) before the caller has the last byte; an attempt that came to nothing says that
//! ([`Stake::failed`]). A stake that is dropped without a word was cut off by a panic: then it is taken to have used what
//! was expected of it. Nobody waits here, and no price is looked up.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use govern::allowance::{Consumption, Fit};
use ring::rand::{SecureRandom, SystemRandom};

use super::entry::Entry;
use super::ledger::Books;
use super::meters::{Hold, Meters, Refused, Standing, now_ms};
use crate::auth::Caller;
use crate::config::governance::{Grant, Owner, Quotas, Reservations};
use crate::config::snapshot::Snapshot;

/// What a request holds and has spent.
#[derive(Debug)]
pub struct Tab {
    meters: Arc<Meters>,
    books: Arc<Books>,
    snapshot: Arc<Snapshot>,
    caller: Option<Caller>,
    /// The caller's: virtual key, team, customer.
    owners: Vec<Owner>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// `None` once the answer is settled.
    hold: Option<Hold>,
    /// What attempts that run are expected to use.
    running: Consumption,
    /// An attempt was sent.
    sent: bool,
    /// A line of the ledger counts the request.
    counted: bool,
    /// Who refused an attempt last.
    refused: Option<Refused>,
}

/// What an attempt used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spend {
    /// Nano-dollars; 0 where nobody knows.
    pub cost: u64,
    pub input_tokens: u64,
    pub output_tokens: u64,
    /// The provider did not tell.
    pub estimated: bool,
}

/// What one attempt holds.
#[derive(Debug)]
pub struct Stake {
    tab: Arc<Tab>,
    provider: Arc<str>,
    model: Arc<str>,
    expected: Consumption,
    /// `None`: it is settled.
    hold: Mutex<Option<Hold>>,
    sent: AtomicBool,
}

impl Tab {
    /// Nothing is held yet.
    #[must_use]
    pub fn new(
        meters: &Arc<Meters>,
        books: &Arc<Books>,
        snapshot: &Arc<Snapshot>,
        caller: Option<Caller>,
    ) -> Self {
        let owners = caller.as_ref().map(|caller| caller.owners().map(|(owner, _)| owner).collect());
        Self {
            meters: Arc::clone(meters),
            books: Arc::clone(books),
            snapshot: Arc::clone(snapshot),
            caller,
            owners: owners.unwrap_or_default(),
            state: Mutex::default(),
        }
    }

    /// Lets the request in: it is counted, and nothing else is held yet. Where nothing is left it is refused.
    ///
    /// # Errors
    /// Whose budget or limit is used up.
    pub fn enter(&self) -> Result<(), Refused> {
        self.enter_with(Consumption { requests: 1, ..Consumption::default() })
    }

    /// Lets in what is a part of another request: it is none of its caller's, but what it uses is.
    ///
    /// # Errors
    /// Whose budget or limit is used up.
    pub fn enter_as_part(&self) -> Result<(), Refused> {
        self.lock().counted = true;
        self.enter_with(Consumption::default())
    }

    fn enter_with(&self, first: Consumption) -> Result<(), Refused> {
        let Some(caller) = &self.caller else { return Ok(()) };
        let owners: Vec<_> = caller.owners().collect();
        let hold = self.meters.hold(&owners, &first, self.fit(), now_ms())?;
        self.lock().hold = Some(hold);
        Ok(())
    }

    /// Somebody has quotas that an attempt at `model` counts for: it matters what is expected of it.
    #[must_use]
    pub fn is_metered(&self, provider: &str, model: &str) -> bool {
        self.lock().hold.as_ref().is_some_and(|hold| !hold.is_empty())
            || self.quotas(provider, model).any(|(_, quotas)| !quotas.is_empty())
    }

    /// An attempt begins that is expected to use `expected` (besides being a request).
    ///
    /// # Errors
    /// Who has not so much left; nothing more is held than before.
    pub fn stake(
        self: &Arc<Self>,
        (provider, model): (&Arc<str>, &Arc<str>),
        expected: Consumption,
    ) -> Result<Stake, Refused> {
        let now_ms = now_ms();
        let owners: Vec<_> = self.quotas(provider, model).collect();
        let own = Consumption { requests: 1, ..expected };
        let hold = self.meters.hold(&owners, &own, self.fit(), now_ms);
        let mut state = self.lock();
        let hold = hold.inspect_err(|refused| state.refused = Some(refused.clone()))?;
        let running = state.running.plus(&expected);
        if let Some(own) = &mut state.hold
            && let Err(refused) = own.raise(&running, now_ms)
        {
            state.refused = Some(refused.clone());
            return Err(refused);
        }
        state.running = running;
        drop(state);
        Ok(Stake {
            tab: Arc::clone(self),
            provider: Arc::clone(provider),
            model: Arc::clone(model),
            expected,
            hold: Mutex::new(Some(hold)),
            sent: AtomicBool::new(false),
        })
    }

    /// What an attempt used that has no stake: a copy's.
    pub fn spent(&self, (provider, model): (&str, &str), spend: &Spend) {
        self.meters.add(self.spenders(provider, model).iter(), &spend.counted(1), now_ms());
        self.write((provider, model), spend, 1);
    }

    /// It was answered without asking anybody, and is a request of its caller's all the same.
    pub fn answered_here(&self) {
        self.lock().sent = true;
    }

    /// The answer is complete: nothing is held any more.
    pub fn finish(&self) {
        let hold = self.lock().hold.take();
        hold.into_iter().for_each(|hold| hold.settle(&Consumption::default()));
    }

    /// The request is over, however it went.
    pub fn close(&self) {
        let (hold, sent, uncounted) = {
            let mut state = self.lock();
            let uncounted = state.sent && !state.counted;
            state.counted |= uncounted;
            (state.hold.take(), state.sent, uncounted)
        };
        match hold {
            Some(hold) if sent => hold.settle(&Consumption::default()),
            // Nobody was asked: it is no request of anybody's.
            unsent => drop(unsent),
        }
        if uncounted {
            let used = Consumption { requests: 1, ..Consumption::default() };
            self.line(self.owners.iter(), ("", ""), &used, false);
        }
    }

    /// How the quotas of the caller stand.
    #[must_use]
    pub fn levels(&self) -> Vec<Standing> {
        let now_ms = now_ms();
        let of = |owner: &Owner| self.meters.levels(owner, now_ms);
        self.owners.iter().flat_map(of).collect()
    }

    /// How the quotas stand that something is held of, and whose they are.
    #[must_use]
    pub fn standings(&self) -> Vec<(Owner, Standing)> {
        let state = self.lock();
        let Some(hold) = state.hold.as_ref().filter(|hold| !hold.is_empty()) else { return Vec::new() };
        let levels = hold.levels(now_ms());
        let owned = |(owner, standings): (&Owner, Vec<Standing>)| {
            let owner = owner.clone();
            standings.into_iter().map(move |standing| (owner.clone(), standing))
        };
        levels.flat_map(owned).collect()
    }

    /// Who refused an attempt last.
    #[must_use]
    pub fn refused(&self) -> Option<Refused> {
        self.lock().refused.clone()
    }

    /// How much is held.
    #[must_use]
    pub fn reservations(&self) -> Reservations {
        self.snapshot.governance.reservations
    }

    /// The configuration of the request.
    #[must_use]
    pub fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    /// Id of the caller's virtual key; empty without one.
    #[must_use]
    pub fn key(&self) -> &str {
        self.caller.as_ref().map_or("", |caller| &caller.key.id)
    }

    fn fit(&self) -> Fit {
        match self.reservations() {
            Reservations::Strict => Fit::Whole,
            Reservations::Adaptive | Reservations::Off => Fit::Alone,
        }
    }

    fn grant(&self, provider: &str) -> Option<&Grant> {
        let grants = self.caller.as_ref()?.key.grants.as_deref()?;
        grants.iter().find(|grant| *grant.provider == *provider)
    }

    /// The quotas that an attempt counts for, beside the caller's.
    fn quotas(&self, provider: &str, model: &str) -> impl Iterator<Item = (Owner, &Quotas)> {
        let governance = &self.snapshot.governance;
        let whole = governance.providers.get_key_value(provider);
        let whole = whole.map(|(name, quotas)| (Owner::Provider(Arc::clone(name)), quotas));
        let models = governance.models.iter().filter(move |limit| {
            *limit.model == *model && limit.provider.as_ref().is_none_or(|own| **own == *provider)
        });
        let models = models.map(|limit| {
            (
                Owner::Model { provider: limit.provider.clone(), model: Arc::clone(&limit.model) },
                &limit.quotas,
            )
        });
        let grant = self.grant(provider).map(|grant| (self.granted(&grant.provider), &grant.quotas));
        whole.into_iter().chain(models).chain(grant)
    }

    fn granted(&self, provider: &Arc<str>) -> Owner {
        Owner::Grant { key: self.key().into(), provider: Arc::clone(provider) }
    }

    /// All that an attempt counts for beside the caller's, whether they have quotas or not.
    fn spenders(&self, provider: &str, model: &str) -> Vec<Owner> {
        let (provider, model): (Arc<str>, Arc<str>) = (provider.into(), model.into());
        let mut owners = Vec::with_capacity(4);
        if self.caller.is_some() {
            owners.push(self.granted(&provider));
        }
        owners.extend(owners_of(provider, model));
        owners
    }

    /// Notes what an attempt used that counts for nobody's budget or limit.
    fn gather(&self, stake: &Stake, spend: &Spend) {
        self.lock().counted = true;
        let target = (Arc::clone(&stake.provider), Arc::clone(&stake.model), spend.estimated);
        self.books.gather(target, &spend.counted(1));
    }

    /// Writes what an attempt used; `requests` is what it counts for at its provider.
    fn write(&self, target: (&str, &str), spend: &Spend, requests: u64) {
        let first = !std::mem::replace(&mut self.lock().counted, true);
        let spenders = self.spenders(target.0, target.1);
        let own = u64::from(first && !self.owners.is_empty());
        let alike = self.owners.is_empty() || own == requests;
        let used = spend.counted(if alike { requests } else { 0 });
        self.line(self.owners.iter().chain(&spenders), target, &used, spend.estimated);
        if alike {
            return;
        }
        // The request is one request of its caller's, and as many at providers as were asked.
        let counts = |requests| Consumption { requests, ..Consumption::default() };
        if own > 0 {
            self.line(self.owners.iter(), target, &counts(own), false);
        }
        if requests > 0 {
            self.line(spenders.iter(), target, &counts(requests), false);
        }
    }

    fn line<'o>(
        &self,
        owners: impl Iterator<Item = &'o Owner>,
        (provider, model): (&str, &str),
        used: &Consumption,
        estimated: bool,
    ) {
        let owners: Vec<_> = owners.map(|owner| Cow::Owned(owner.to_string())).collect();
        if used.is_nothing() || owners.is_empty() {
            return;
        }
        let target = if provider.is_empty() { String::new() } else { format!("{provider}/{model}") };
        self.books.write(&entry(owners, target, used, estimated));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Tab {
    fn drop(&mut self) {
        self.close();
    }
}

impl Spend {
    fn counted(&self, requests: u64) -> Consumption {
        let (input_tokens, output_tokens) = (self.input_tokens, self.output_tokens);
        Consumption { cost: self.cost, requests, input_tokens, output_tokens }
    }
}

impl Stake {
    /// The request goes out: from now on it is one at the provider.
    pub fn sent(&self) {
        self.sent.store(true, Ordering::Relaxed);
        self.tab.lock().sent = true;
    }

    /// What it used. Only the first word counts: later ones are not heard.
    pub fn spent(&self, spend: &Spend) {
        let Some(hold) = self.take() else { return };
        let limited = !hold.is_empty();
        let used = spend.counted(0);
        hold.settle(&used);
        let tab = &self.tab;
        tab.meters.add(tab.owners.iter(), &used, now_ms());
        tab.release(&self.expected);
        if !spend.estimated {
            tab.meters.learned.took((tab.key(), &self.provider, &self.model), spend.output_tokens);
        }
        if !limited && tab.caller.is_none() {
            return tab.gather(self, spend);
        }
        tab.write((&self.provider, &self.model), spend, 1);
    }

    /// It came to nothing that anybody bills.
    pub fn failed(&self) {
        let Some(hold) = self.take() else { return };
        self.tab.release(&self.expected);
        if !self.sent.load(Ordering::Relaxed) {
            return;
        }
        let limited = !hold.is_empty();
        hold.settle(&Consumption::default());
        if limited {
            let spenders = self.tab.spenders(&self.provider, &self.model);
            let one = Consumption { requests: 1, ..Consumption::default() };
            self.tab.line(spenders.iter(), (&self.provider, &self.model), &one, false);
        }
    }

    /// It has told what it used, or that it used nothing.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.hold.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    fn take(&self) -> Option<Hold> {
        self.hold.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Tab {
    /// An attempt is over that was expected to use so much.
    fn release(&self, expected: &Consumption) {
        let mut state = self.lock();
        state.running = state.running.beyond(expected);
        if let Some(hold) = &mut state.hold {
            hold.lessen(expected);
        }
    }
}

impl Drop for Stake {
    fn drop(&mut self) {
        if !self.is_settled() && self.sent.load(Ordering::Relaxed) {
            let Consumption { cost, input_tokens, output_tokens, .. } = self.expected;
            self.spent(&Spend { cost, input_tokens, output_tokens, estimated: true });
        } else {
            self.failed();
        }
    }
}

/// All that an attempt counts for, whoever calls.
fn owners_of(provider: Arc<str>, model: Arc<str>) -> [Owner; 3] {
    let alone = Owner::Model { provider: None, model: Arc::clone(&model) };
    [alone, Owner::Model { provider: Some(Arc::clone(&provider)), model }, Owner::Provider(provider)]
}

/// Writes down what was added up of spends that are nobody's in particular. Called every few milliseconds, and once
/// before the process ends.
pub fn write_gathered(books: &Books) {
    for ((provider, model, estimated), used) in books.take_gathered() {
        let target = format!("{provider}/{model}");
        let owners = owners_of(provider, model).iter().map(|owner| Cow::Owned(owner.to_string())).collect();
        books.write(&entry(owners, target, &used, estimated));
    }
}

fn entry(
    owners: Vec<Cow<'static, str>>,
    target: String,
    used: &Consumption,
    estimated: bool,
) -> Entry<'static> {
    Entry {
        id: unique().into(),
        at: now_ms(),
        owners,
        target: target.into(),
        cost: used.cost,
        requests: used.requests,
        input_tokens: used.input_tokens,
        output_tokens: used.output_tokens,
        estimated,
    }
}

/// A name that no other line has, of any process.
fn unique() -> String {
    static PROCESS: OnceLock<String> = OnceLock::new();
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let process = PROCESS.get_or_init(|| {
        let mut bytes = [0_u8; 12];
        // Without randomness the moment and the process tell it apart.
        if SystemRandom::new().fill(&mut bytes).is_err() {
            return format!("{:x}-{:x}", now_ms(), std::process::id());
        }
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    });
    format!("{process}-{:x}", NEXT.fetch_add(1, Ordering::Relaxed))
}

#[cfg(test)]
mod tests;
