//! Where a question is answered from: sums know one kind of names at a time; what they do not know is counted in the
//! request log, as far as that is allowed to look.

use super::cell::Count;
use super::chart::{Chart, Only, Question};
use super::page::Kind;
use super::{Depth, Frame};
use crate::observe::sums::add;
use crate::store::requests::entry::{Flags, started_ms};
use crate::store::requests::names::NameKind;
use crate::store::requests::{Counted, Filter, Requests, Scanned};
use crate::telemetry::record::Outcome;

/// Rows that one question counts at most.
pub const MOST: u64 = 200_000;

/// What sums are to say of the requests of a filter. `by`: what they are told apart by; `None`: nothing. `None`: they
/// cannot.
#[must_use]
pub fn question(filter: &Filter, by: Option<Kind>, frame: Frame, depth: Depth) -> Option<Question> {
    let (kind, only) = known(filter)?;
    let kind = match (by, kind) {
        (Some(by), Kind::All) => by,
        (Some(by), kind) if by != kind => return None,
        (_, kind) => kind,
    };
    if depth == Depth::Times && !kind.has_times() {
        return None;
    }
    Some(Question { kind, frame, depth, only })
}

/// What a filter is about, where it is about one kind of names and nothing else.
fn known(filter: &Filter) -> Option<(Kind, Option<Only>)> {
    let Filter { from_ms, to_ms, names, outcomes, .. } = filter;
    let plain = Filter { from_ms: *from_ms, to_ms: *to_ms, ..Filter::default() };
    let rest = Filter { names: names.clone(), outcomes: outcomes.clone(), ..plain };
    if *filter != rest {
        return None;
    }
    let of = |kind: NameKind| names.get(&kind).cloned().unwrap_or_default();
    let kinds: Vec<NameKind> = names.keys().copied().collect();
    let first = |kind: NameKind| Some(Only { first: of(kind), second: Vec::new() });
    match (kinds.as_slice(), outcomes.as_slice()) {
        ([], []) => Some((Kind::All, None)),
        ([], outcomes) => Some((Kind::Status, Some(Only { first: words(outcomes)?, second: Vec::new() }))),
        (_, [_, ..]) => None,
        ([NameKind::Provider | NameKind::Model] | [NameKind::Provider, NameKind::Model], []) => {
            Some((Kind::Target, Some(Only { first: of(NameKind::Provider), second: of(NameKind::Model) })))
        }
        ([NameKind::Key], []) => {
            Some((Kind::Key, Some(Only { first: Vec::new(), second: of(NameKind::Key) })))
        }
        ([NameKind::Provider, NameKind::Key], []) => {
            Some((Kind::Key, Some(Only { first: of(NameKind::Provider), second: of(NameKind::Key) })))
        }
        ([NameKind::VirtualKey], []) => Some((Kind::VirtualKey, first(NameKind::VirtualKey))),
        ([NameKind::Team], []) => Some((Kind::Team, first(NameKind::Team))),
        ([NameKind::Customer], []) => Some((Kind::Customer, first(NameKind::Customer))),
        ([NameKind::Rule], []) => Some((Kind::Rule, first(NameKind::Rule))),
        ([NameKind::Object], []) => Some((Kind::Object, first(NameKind::Object))),
        ([NameKind::Error], []) => Some((Kind::Error, first(NameKind::Error))),
        _ => None,
    }
}

/// The words for these outcomes; `None`: they are a part of one.
fn words(outcomes: &[Outcome]) -> Option<Vec<String>> {
    const ALL: [Outcome; 6] = [
        Outcome::Success,
        Outcome::FailedOver,
        Outcome::CacheHit,
        Outcome::ClientError,
        Outcome::UpstreamError,
        Outcome::Cancelled,
    ];
    let word_of = |outcome: &Outcome| add::status(*outcome);
    let whole = |word: &str| ALL.iter().filter(|one| word_of(one) == word).all(|one| outcomes.contains(one));
    let mut words: Vec<&str> = outcomes.iter().map(word_of).collect();
    words.sort_unstable();
    words.dedup();
    words.iter().all(|word| whole(word)).then(|| words.into_iter().map(str::to_owned).collect())
}

/// A chart of what the log says.
#[must_use]
pub fn counted(requests: &Requests, by: Option<Kind>, frame: Frame, scanned: &Scanned) -> Chart {
    let kind = by.unwrap_or(Kind::All);
    let mut chart = Chart::new(&Question { kind, frame, depth: Depth::Times, only: None });
    for row in &scanned.rows {
        let [provider, model, _, key, virtual_key, team, customer, rule, object, _, error] = row.names;
        let (first, second) = match kind {
            Kind::All | Kind::Status => (0, 0),
            Kind::Target => (provider, model),
            Kind::Key => (provider, key),
            Kind::VirtualKey => (virtual_key, 0),
            Kind::Team => (team, 0),
            Kind::Customer => (customer, 0),
            Kind::Rule => (rule, 0),
            Kind::Object => (object, 0),
            Kind::Error => (error, 0),
        };
        let name = |number: u32| requests.names.name(number).unwrap_or_else(|| "".into());
        if kind == Kind::All || first > 0 {
            chart.with(started_ms(row.id), (&name(first), &name(second)), |cell| fill(cell, row));
        }
    }
    chart.complete = scanned.complete;
    chart.searched_to_ms = Some(scanned.searched_to_ms);
    chart
}

fn fill(cell: &mut super::Cell, row: &Counted) {
    let counts = &row.counts;
    cell.add(Count::Cost, counts.cost_nanos);
    cell.add(Count::Unpriced, u64::from(counts.flags.has(Flags::UNPRICED)));
    cell.add(Count::Input, counts.input_tokens.saturating_sub(counts.cached_tokens));
    cell.add(Count::CacheRead, counts.cached_tokens);
    cell.add(Count::Output, counts.output_tokens);
    if counts.flags.has(Flags::MIRROR) {
        return;
    }
    cell.add_outcome(counts.outcome);
    cell.add(Count::Took, counts.took_us);
    let times = cell.times_mut();
    times.took.add(counts.took_us);
    times.overhead.add(counts.overhead_us);
    if counts.first_token_us > 0 {
        times.first_token.add(counts.first_token_us);
    }
}
