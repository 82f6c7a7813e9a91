//! A request as what it adds to sums.
//!
//! It counts where it began. What a second attempt cost counts for the target and the key that was paid, so that the
//! spend of all targets is the spend. A copy for another model (a mirror) spends, and is no request.

use super::book::Book;
use super::cell::{Cell, Count};
use super::page::{Kind, Page};
use crate::telemetry::access_log::AttemptRecord;
use crate::telemetry::record::{Outcome, Record};

/// Adds a request.
pub fn add(book: &mut Book, record: &Record) {
    let entry = Entry::of(record);
    let who = record.caller.as_ref().map(|caller| caller.who());
    let mut put = |kind: Kind, name: (&str, &str)| {
        each_page(book, kind, record, |page, times| {
            page.with(name, entry.answered, |cell| entry.fill(cell, kind, times));
        });
    };
    put(Kind::All, ("", ""));
    if let (Some(provider), Some(model)) = (&record.provider, &record.model) {
        put(Kind::Target, (provider, model));
    }
    if let (Some(provider), Some(key)) = (&record.provider, &record.key) {
        put(Kind::Key, (provider, key));
    }
    if let Some(who) = who {
        put(Kind::VirtualKey, (who.virtual_key_id, who.virtual_key_name));
        if !who.team_id.is_empty() {
            put(Kind::Team, (who.team_id, who.team_name));
        }
        if !who.customer_id.is_empty() {
            put(Kind::Customer, (who.customer_id, who.customer_name));
        }
    }
    if let Some(rule) = &record.decision.rule {
        put(Kind::Rule, (rule, ""));
    }
    if !record.object.is_empty() {
        put(Kind::Object, (record.object, ""));
    }
    if let Some(outcome) = entry.outcome {
        put(Kind::Status, (status(outcome), ""));
    }
    if let Some(error) = &record.error {
        put(Kind::Error, (error.kind, ""));
    }
    record.attempts.iter().for_each(|attempt| add_attempt(book, record, attempt));
}

/// The word of the request log for an outcome.
#[must_use]
pub fn status(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Success | Outcome::FailedOver | Outcome::CacheHit => "success",
        Outcome::ClientError | Outcome::UpstreamError => "error",
        Outcome::Cancelled => "cancelled",
    }
}

/// What every cell of a request gets.
struct Entry<'r> {
    record: &'r Record,
    /// `None`: it is no request of its own.
    outcome: Option<Outcome>,
    answered: bool,
    /// What attempts cost that did not answer: it counts where they went.
    elsewhere: u64,
}

impl<'r> Entry<'r> {
    fn of(record: &'r Record) -> Self {
        let outcome = record.outcome();
        let spent = record.attempts.iter().filter_map(|attempt| attempt.spent?.cost_nanos);
        Self {
            record,
            outcome: record.mirror_of.is_none().then_some(outcome),
            answered: status(outcome) == "success",
            elsewhere: spent.fold(0, u64::saturating_add),
        }
    }

    fn fill(&self, cell: &mut Cell, kind: Kind, times: bool) {
        let record = self.record;
        let elsewhere = if matches!(kind, Kind::Target | Kind::Key) { self.elsewhere } else { 0 };
        cell.add(Count::Cost, record.cost_nanos.unwrap_or(0).saturating_sub(elsewhere));
        cell.add(Count::Unpriced, u64::from(record.unpriced));
        cell.add(Count::Estimated, u64::from(record.usage_estimated));
        if let Some(usage) = &record.usage {
            cell.add(Count::Input, usage.input_uncached);
            cell.add(Count::CacheRead, usage.cache_read);
            cell.add(Count::CacheWrite, usage.cache_write.saturating_add(usage.cache_write_1h));
            cell.add(Count::Output, usage.output);
            cell.add(Count::Reasoning, usage.reasoning);
        }
        let saved = record.cache.as_ref().and_then(|seen| seen.saved_nanos);
        cell.add(Count::Saved, saved.unwrap_or(0));
        let Some(outcome) = self.outcome else { return };
        cell.add_outcome(outcome);
        cell.add(Count::Took, record.took_us);
        if times {
            let times = cell.times_mut();
            times.took.add(record.took_us);
            record.first_token_us.into_iter().for_each(|time| times.first_token.add(time));
            if kind == Kind::All {
                times.overhead.add(record.overhead_us);
            }
        }
    }
}

/// A try counts for its target and its key, whether it answered or not; one that was passed over does not.
fn add_attempt(book: &mut Book, record: &Record, attempt: &AttemptRecord) {
    let answered = attempt.outcome == "success";
    if !answered && !attempt.failed() {
        return;
    }
    let cost = attempt.spent.and_then(|spent| spent.cost_nanos).unwrap_or(0);
    let fill = |cell: &mut Cell| {
        cell.add(Count::Attempts, 1);
        cell.add(Count::FailedAttempts, u64::from(!answered));
        cell.add(Count::Cost, cost);
    };
    each_page(book, Kind::Target, record, |page, _| {
        page.with((&attempt.provider, &attempt.model), answered, fill);
    });
    let Some(key) = &attempt.key else { return };
    each_page(book, Kind::Key, record, |page, _| page.with((&attempt.provider, key), answered, fill));
}

/// The pages of its minute and its second, and whether times are kept there: of targets not in each second.
fn each_page(book: &mut Book, kind: Kind, record: &Record, mut work: impl FnMut(&mut Page, bool)) {
    let began_ms = record.started_us / 1_000;
    if let Some(page) = book.minute(kind, began_ms) {
        work(page, kind.has_times());
    }
    if let Some(page) = book.second(kind, began_ms) {
        work(page, kind == Kind::All);
    }
}
