//! What is known of a request while it has no call: it may be refused before there is one, and is written down all the same.

use bytes::Bytes;
use govern::allowance::{Denied, Measure};
use translate::relay;

use super::exchange::Call;
use crate::account::meters::{Refused, Standing};
use crate::account::settle::Tab;
use crate::config::governance::Owner;
use crate::route::endpoint::{Endpoint, Route};
use crate::telemetry::record::LimitSeen;

/// What is known of a request.
#[derive(Default)]
pub struct Known {
    /// What its path asks for.
    pub endpoint: Option<Endpoint>,
    /// The model as its caller wrote it.
    pub model: Box<str>,
    pub stream: bool,
    /// The body as it came, until it is understood.
    pub body: Bytes,
    /// Bytes of that.
    pub size: u64,
    /// Budgets and limits that were looked at.
    pub limits: Vec<LimitSeen>,
}

impl Known {
    /// The path leads there.
    pub fn route(&mut self, route: &Route) {
        if let Route::Provider(asked) = route {
            self.endpoint = Some(asked.endpoint);
            self.model = asked.model.as_deref().unwrap_or_default().into();
            self.stream = asked.stream.unwrap_or_default();
        }
    }

    /// Its body is here.
    pub fn came(&mut self, body: &Bytes) {
        self.body = body.clone();
        self.size = u64::try_from(body.len()).unwrap_or(u64::MAX);
    }

    /// There is a call, which has the body.
    pub fn understood(&mut self) {
        self.body = Bytes::new();
    }

    /// There is no call: reads of the body what would have been asked, as far as it says so.
    pub fn refused(&mut self) {
        // No name of a model is as long; the rest would only be kept.
        const LONGEST: usize = 256;
        if self.model.is_empty()
            && let Ok(peek) = relay::peek(&self.body)
        {
            let end = peek.model.char_indices().nth(LONGEST).map_or(peek.model.len(), |(at, _)| at);
            self.model = peek.model.get(..end).unwrap_or_default().into();
            self.stream = peek.stream;
        }
    }

    /// There was a call, which comes to nothing.
    pub fn call(&mut self, call: &Call) {
        self.endpoint = Some(call.endpoint);
        self.model.clone_from(&call.model_asked);
        self.stream = call.stream;
    }

    /// It was let in: how what was looked at stands, the nearest to its end first.
    pub fn entered(&mut self, tab: &Tab) {
        self.limits.extend(tab.standings().iter().map(|(owner, standing)| seen(owner, standing)));
        let full = |limit: &LimitSeen| u128::from(limit.used) * 1_000_000 / u128::from(limit.max.max(1));
        self.limits.sort_by_key(|limit| std::cmp::Reverse(full(limit)));
        self.limits.truncate(MOST_LIMITS);
    }

    /// Somebody has nothing left.
    pub fn refused_by(&mut self, refused: &Refused) {
        Self::refuse(&mut self.limits, refused);
    }

    /// Puts who refused before all others.
    pub fn refuse(limits: &mut Vec<LimitSeen>, refused: &Refused) {
        let owner = refused.owner.to_string().into();
        let limit = match &refused.denied {
            Denied::Quota { quota, refusal } => {
                let used = refusal.used.saturating_add(refusal.held);
                LimitSeen { owner, what: word(quota.measure), used, max: refusal.max, refused: true }
            }
            Denied::Concurrency { max } | Denied::Places { max } => {
                let max = u64::from(*max);
                LimitSeen { owner, what: "concurrency", used: max, max, refused: true }
            }
        };
        limits.retain(|known| (&known.owner, known.what) != (&limit.owner, limit.what));
        limits.insert(0, limit);
    }
}

/// Limits of one request that are told.
const MOST_LIMITS: usize = 8;

fn seen(owner: &Owner, Standing { measure, level, .. }: &Standing) -> LimitSeen {
    let used = level.used.saturating_add(level.held);
    LimitSeen { owner: owner.to_string().into(), what: word(*measure), used, max: level.max, refused: false }
}

fn word(measure: Measure) -> &'static str {
    match measure {
        Measure::Cost => "budget",
        Measure::Requests => "requests",
        Measure::InputTokens => "input_tokens",
        Measure::OutputTokens => "output_tokens",
        Measure::Tokens => "tokens",
    }
}
