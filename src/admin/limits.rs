//! How budgets and limits stand, for `/metrics`.

use govern::allowance::Measure;

use crate::account::meters::{Standing, now_ms};
use crate::config::governance::Owner;
use crate::proxy::Gateway;
use crate::telemetry::limits::Limits;

/// Fills the gauges anew.
pub fn note(gateway: &Gateway) {
    let gauges = &gateway.metrics.limits;
    let (now_ms, mut all) = (now_ms(), Vec::<(Owner, Standing)>::new());
    gateway.meters.each(|owner, allowance| {
        let standings = allowance.levels(now_ms);
        all.extend(
            standings
                .map(|(measure, window, level)| (owner.clone(), Standing { measure, window, level }))
                .filter(|(_, standing)| standing.level.used > 0 || standing.level.held > 0),
        );
    });
    // A million keys are no million series: those that have least left are told of.
    all.sort_unstable_by_key(|(_, standing)| std::cmp::Reverse(fullness(standing)));
    all.truncate(Limits::OWNERS);
    for gauge in
        [&gauges.budget_used, &gauges.budget_held, &gauges.budget_max, &gauges.limit_used, &gauges.limit_max]
    {
        gauge.reset();
    }
    all.iter().for_each(|(owner, standing)| tell(gauges, owner, standing));
    let state = gateway.books.state();
    for (counter, value) in
        [(&gauges.written, state.written), (&gauges.failed, state.failed), (&gauges.dropped, state.dropped)]
    {
        counter.inc_by(value.saturating_sub(counter.get()));
    }
    gauges.waiting.set(i64::try_from(state.waiting).unwrap_or(i64::MAX));
}

fn fullness(standing: &Standing) -> u128 {
    let taken = u128::from(standing.level.used) + u128::from(standing.level.held);
    taken * 1_000_000 / u128::from(standing.level.max.max(1))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "Prometheus values are floats: exact amounts are in the ledger"
)]
fn tell(gauges: &Limits, owner: &Owner, standing: &Standing) {
    let Standing { measure, window, level } = standing;
    let (kind, window) = (owner.kind(), window.to_string());
    let text = owner.to_string();
    let name = text.split_once(':').map_or(&*text, |(_, name)| name);
    let measure = match measure {
        Measure::Cost => {
            let labels = [kind, name, &window];
            for (gauge, amount) in [
                (&gauges.budget_used, level.used),
                (&gauges.budget_held, level.held),
                (&gauges.budget_max, level.max),
            ] {
                gauge.with_label_values(&labels).set(amount as f64 / 1e9);
            }
            return;
        }
        Measure::Requests => "requests",
        Measure::InputTokens => "input_tokens",
        Measure::OutputTokens => "output_tokens",
        Measure::Tokens => "tokens",
    };
    let labels = [kind, name, measure, &window];
    gauges.limit_used.with_label_values(&labels).set(level.used as f64);
    gauges.limit_max.with_label_values(&labels).set(level.max as f64);
}
