//! What is known of one attempt, in no convention's words yet.

use translate::ir::Usage;
use translate::provider::semconv_name;

use crate::config::Snapshot;
use crate::telemetry::access_log::AttemptRecord;
use crate::telemetry::record::Record;

/// One attempt of a request.
#[derive(Debug)]
pub struct Facts<'r> {
    pub record: &'r Record,
    pub attempt: &'r AttemptRecord,
    /// OpenTelemetry's word for what is asked: `chat`, `embeddings`, …
    pub operation: &'static str,
    /// OpenTelemetry's name of the vendor, else the provider's.
    pub vendor: &'r str,
    /// Where it was sent.
    pub server: Option<(&'r str, u16)>,
    /// It answered.
    pub answered: bool,
    pub usage: Option<Usage>,
    pub estimated: bool,
    pub cost_nanos: Option<u64>,
    /// From its beginning to its first token, in microseconds.
    pub first_token_us: Option<u64>,
}

impl<'r> Facts<'r> {
    /// Of an attempt that began at `began_us` after its request. The snapshot tells what the provider is: where it has
    /// changed since, what is there now.
    pub fn of(record: &'r Record, at: usize, began_us: u64, snapshot: &'r Snapshot) -> Option<Self> {
        let attempt = record.attempts.get(at)?;
        let provider = snapshot.provider(&attempt.provider);
        let last = at + 1 == record.attempts.len();
        let answered = attempt.outcome == "success";
        let key = provider.zip(attempt.key.as_ref());
        let key = key.and_then(|(provider, name)| provider.keys.iter().find(|key| key.name == *name));
        let at_provider = provider.map(|provider| &provider.endpoint);
        let endpoint = key.and_then(|key| key.endpoint.as_deref()).or(at_provider);
        let spent = attempt.spent;
        let usage = match spent {
            Some(spent) => Some(Usage {
                input_uncached: spent.input_tokens,
                output: spent.output_tokens,
                ..Usage::default()
            }),
            None => record.usage.filter(|_| last),
        };
        let first_token_us =
            attempt.phases.first_token_us.or(record.first_token_us.filter(|_| answered && last));
        Some(Self {
            record,
            attempt,
            operation: operation(record.object),
            vendor: provider.map_or(&*attempt.provider, |provider| semconv_name(provider.spec.name)),
            server: endpoint.map(|endpoint| (&*endpoint.host, endpoint.port)),
            answered,
            usage,
            estimated: spent.is_some() || (last && record.usage_estimated),
            cost_nanos: match spent {
                Some(spent) => spent.cost_nanos,
                None => {
                    record.cost_nanos.filter(|_| last).map(|all| all.saturating_sub(spent_before(record)))
                }
            },
            first_token_us: first_token_us.map(|at| at.saturating_sub(began_us)).filter(|_| record.stream),
        })
    }

    /// The model that answered, as the provider calls it.
    #[must_use]
    pub fn model_served(&self) -> Option<&'r str> {
        self.record.model_served.as_deref().filter(|_| self.answered)
    }

    /// Why the answer ended.
    #[must_use]
    pub fn finish(&self) -> Option<&'static str> {
        self.record.finish.filter(|_| self.answered)
    }

    /// What failed, in a word of few.
    #[must_use]
    pub fn error(&self) -> Option<&'static str> {
        let fine = self.answered || matches!(self.attempt.outcome, "hedge_lost" | "estimated");
        (!fine).then_some(self.attempt.outcome)
    }
}

/// What the attempts cost that did not answer.
fn spent_before(record: &Record) -> u64 {
    record.attempts.iter().filter_map(|attempt| attempt.spent?.cost_nanos).sum()
}

fn operation(object: &str) -> &'static str {
    match object.trim_end_matches("_stream") {
        "text_completion" => "text_completion",
        "embedding" => "embeddings",
        "rerank" => "rerank",
        "count_tokens" => "count_tokens",
        "passthrough" => "passthrough",
        "invoke_model" => "generate_content",
        _ => "chat",
    }
}
