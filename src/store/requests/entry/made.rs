//! An entry of the log, made of a record.

use std::borrow::Cow;

use govern::price::{Bill, CostLine};
use translate::ir::{ServiceTier, Usage};

use super::{CacheTold, Charged, Counts, Detail, Flags, Limit, Looked, Names, Steps, Traced, Tried};
use crate::account::charge::Charge;
use crate::account::prices::Source;
use crate::telemetry::access_log::AttemptRecord;
use crate::telemetry::record::{AttemptPhases, CacheSeen, Candidate, LimitSeen, Phases, Record, Trace};

impl<'a> Names<'a> {
    pub(super) fn of(record: &'a Record) -> Self {
        let who = record.caller.as_ref().map(|caller| caller.who()).unwrap_or_default();
        Self {
            provider: text(record.provider.as_deref()),
            model: text(record.model.as_deref()),
            asked: Cow::Borrowed(&record.model_asked),
            key: text(record.key.as_deref()),
            virtual_key: Cow::Borrowed(who.virtual_key_id),
            team: Cow::Borrowed(who.team_id),
            customer: Cow::Borrowed(who.customer_id),
            rule: text(record.decision.rule.as_deref()),
            object: Cow::Borrowed(record.object),
            dialect: Cow::Borrowed(record.dialect),
            error: text(record.error.as_ref().map(|error| error.kind)),
        }
    }
}

impl Counts {
    pub(super) fn of(record: &Record) -> Self {
        let usage = record.usage.unwrap_or_default();
        let flags = Flags::default()
            .with(Flags::STREAM, record.stream)
            .with(Flags::CACHE_HIT, record.cache_hit)
            .with(Flags::ESTIMATED, record.usage_estimated)
            .with(Flags::UNPRICED, record.unpriced)
            .with(Flags::PRICED, record.cost_nanos.is_some())
            .with(Flags::USAGE, record.usage.is_some())
            .with(Flags::CONTENT, record.content.is_some())
            .with(
                Flags::CUT,
                record.content.as_ref().is_some_and(|content| content.request_cut || content.response_cut),
            )
            .with(Flags::MIRROR, record.mirror_of.is_some());
        let tried = record.attempts.iter().filter(|one| one.outcome == "success" || one.failed()).count();
        Self {
            outcome: record.outcome(),
            status: record.status,
            flags,
            attempts: u16::try_from(tried).unwrap_or(u16::MAX),
            took_us: record.took_us,
            first_token_us: record.first_token_us.unwrap_or(0),
            overhead_us: record.overhead_us,
            input_tokens: usage.input_total(),
            output_tokens: usage.output,
            cached_tokens: usage.cache_read,
            cost_nanos: record.cost_nanos.unwrap_or(0),
        }
    }
}

impl<'a> Detail<'a> {
    pub(super) fn of(record: &'a Record) -> Self {
        let who = record.caller.as_ref().map(|caller| caller.who()).unwrap_or_default();
        let Phases { admitted_us, body_us, planned_us, reserved_us } = record.phases;
        Self {
            request_id: Cow::Borrowed(&record.request_id),
            path: Cow::Borrowed(&record.path),
            parent: text(record.parent_request_id.as_deref()),
            session: text(record.session_id.as_deref()),
            upstream_id: text(record.upstream_request_id.as_deref()),
            mirror_of: text(record.mirror_of.as_deref()),
            trace: record.trace.as_ref().map(traced),
            virtual_key_name: Cow::Borrowed(who.virtual_key_name),
            team_name: Cow::Borrowed(who.team_name),
            customer_name: Cow::Borrowed(who.customer_name),
            message: text(record.error.as_ref().map(|error| &*error.message)),
            attempts: record.attempts.iter().map(tried).collect(),
            strategy: Cow::Borrowed(record.decision.strategy),
            led_by: Cow::Borrowed(record.decision.led_by.name()),
            candidates: record.decision.candidates.iter().map(looked).collect(),
            more_candidates: record.decision.more_candidates,
            limits: record.decision.limits.iter().map(limit).collect(),
            tags: record
                .tags
                .iter()
                .map(|(name, value)| (Cow::Borrowed(&**name), Cow::Borrowed(&**value)))
                .collect(),
            tags_cut: record.tags_cut,
            charge: record.charge.as_deref().map(charged),
            usage: record.usage.as_ref().map(counted).unwrap_or_default(),
            served: record.usage.as_ref().map(served).unwrap_or_default(),
            phases: [admitted_us, body_us, planned_us, reserved_us],
            queued_us: record.queued_us.unwrap_or(0),
            bytes: (record.request_bytes, record.response_bytes),
            revision: record.revision,
            cache: record.cache.as_deref().map(cache),
            unnumbered: Vec::new(),
        }
    }
}

fn text(found: Option<&str>) -> Cow<'_, str> {
    Cow::Borrowed(found.unwrap_or_default())
}

fn traced(trace: &Trace) -> Traced {
    Traced(format!("{:032x}", trace.trace_id), format!("{:016x}", trace.span_id), trace.sampled)
}

fn tried(attempt: &AttemptRecord) -> Tried<'_> {
    let phases = Some(&attempt.phases).filter(|phases| **phases != AttemptPhases::default());
    Tried {
        provider: Cow::Borrowed(&attempt.provider),
        model: Cow::Borrowed(&attempt.model),
        key: text(attempt.key.as_deref()),
        backend: text(attempt.backend.as_deref()),
        outcome: Cow::Borrowed(attempt.outcome),
        status: attempt.status.unwrap_or(0),
        took_ms: attempt.latency_ms,
        reason: text(attempt.reason.as_deref()),
        spent: attempt.spent.map(|spent| (spent.input_tokens, spent.output_tokens, spent.cost_nanos)),
        phases: phases.map(|at| Steps {
            began_us: at.began_us,
            queued_us: at.queued_us,
            delayed_us: at.delayed_us,
            reused: at.reused,
            connected_us: at.connected_us,
            secured_us: at.secured_us,
            sent_us: at.sent_us,
            answered_us: at.answered_us,
            first_token_us: at.first_token_us,
            ended_us: at.ended_us,
        }),
    }
}

fn looked(candidate: &Candidate) -> Looked<'_> {
    Looked(
        Cow::Borrowed(&candidate.provider),
        Cow::Borrowed(&candidate.model),
        text(candidate.key.as_deref()),
        candidate.share,
        Cow::Borrowed(candidate.verdict),
    )
}

fn cache(seen: &CacheSeen) -> CacheTold<'_> {
    CacheTold {
        hit: text(seen.hit),
        shadow: text(seen.shadow),
        entry: text(seen.entry.as_deref()),
        similarity: seen.similarity,
        threshold: seen.threshold,
        guarded: text(seen.guarded),
        saved_nanos: seen.saved_nanos,
        saved_us: seen.saved_us,
        looked_us: seen.looked_us,
    }
}

fn limit(seen: &LimitSeen) -> Limit<'_> {
    Limit(Cow::Borrowed(&seen.owner), Cow::Borrowed(seen.what), seen.used, seen.max, seen.refused)
}

fn charged(charge: &Charge) -> Charged<'static> {
    if charge.reported {
        return Charged(Cow::Borrowed("reported"), Vec::new());
    }
    let lines = charge.bill.as_ref().map(Bill::lines).unwrap_or_default();
    let line =
        |line: &CostLine| (Cow::Borrowed(line.what.name()), line.quantity, line.unit_femtos, line.nanos);
    Charged(Cow::Borrowed(charge.source.map_or("", Source::name)), lines.iter().map(line).collect())
}

/// Classes that are not empty.
fn counted(usage: &Usage) -> Vec<(Cow<'static, str>, u64)> {
    let all = [
        ("input_uncached", usage.input_uncached),
        ("cache_read", usage.cache_read),
        ("cache_write", usage.cache_write),
        ("cache_write_1h", usage.cache_write_1h),
        ("output", usage.output),
        ("reasoning", usage.reasoning),
        ("audio_input", usage.audio_input),
        ("audio_output", usage.audio_output),
        ("audio_cached", usage.audio_cached),
        ("image_input", usage.image_input),
        ("image_output", usage.image_output),
        ("accepted_prediction", usage.accepted_prediction),
        ("rejected_prediction", usage.rejected_prediction),
        ("web_searches", usage.web_searches),
        ("rankings", usage.rankings),
        // A charge of nothing is not the same as none that is known: told as one more.
        ("provider_cost_nanos", usage.provider_cost_nanos.map_or(0, |nanos| nanos.saturating_add(1))),
    ];
    let some = all.into_iter().filter(|(_, count)| *count > 0);
    some.map(|(name, count)| (Cow::Borrowed(name), count)).collect()
}

fn served(usage: &Usage) -> (Cow<'static, str>, bool, bool) {
    let tier = match usage.served.tier {
        ServiceTier::Standard => "",
        ServiceTier::Batch => "batch",
        ServiceTier::Flex => "flex",
        ServiceTier::Priority => "priority",
        ServiceTier::Ultrafast => "ultrafast",
    };
    (Cow::Borrowed(tier), usage.served.in_us, usage.served.fast)
}
