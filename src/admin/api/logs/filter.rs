//! Which requests are asked for: the query of every path below `/api/logs`.
//!
//! Lists are separated by commas. A name that is no filter is refused: a filter that is not understood would show more
//! than was asked for.

use serde::Deserialize;
use utoipa::IntoParams;

use crate::admin::api::fault::Refused;
use crate::config::did_you_mean;
use crate::store::requests::entry::Flags;
use crate::store::requests::names::NameKind;
use crate::store::requests::{Filter, Span};
use crate::telemetry::record::Outcome;

/// The query, in its order.
pub type Pairs = Vec<(String, String)>;

/// A filter, and what else the query says.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Asked {
    pub filter: Filter,
    /// Of these only the request with this id.
    pub request_id: Option<String>,
    /// What is no filter: names and values.
    pub rest: Pairs,
}

/// Which requests. Lists are separated by commas; `metadata_<name>` asks for a tag.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub struct FilterParams {
    /// Those that began then or later: RFC 3339, or Unix milliseconds.
    start_time: Option<String>,
    /// Those that began before.
    end_time: Option<String>,
    providers: Option<String>,
    /// As the provider names them.
    models: Option<String>,
    /// As callers wrote them.
    models_requested: Option<String>,
    /// `success`, `error`, `cancelled`.
    status: Option<String>,
    /// `success`, `failed_over`, `cache_hit`, `client_error`, `upstream_error`, `cancelled`.
    outcomes: Option<String>,
    /// Of the answers: `429,503`.
    status_codes: Option<String>,
    /// Labels of faults: docs/errors.md.
    errors: Option<String>,
    /// `chat_completion`, `chat_completion_stream`, `embedding`, …
    objects: Option<String>,
    /// Callers' wires.
    dialects: Option<String>,
    /// Names of provider keys.
    selected_key_ids: Option<String>,
    virtual_key_ids: Option<String>,
    team_ids: Option<String>,
    customer_ids: Option<String>,
    /// Names of rules.
    routing_rule_ids: Option<String>,
    stream: Option<bool>,
    cache_hit: Option<bool>,
    /// Their bodies are kept.
    has_content: Option<bool>,
    /// Milliseconds.
    min_latency: Option<f64>,
    max_latency: Option<f64>,
    /// Input and output together.
    min_tokens: Option<u64>,
    max_tokens: Option<u64>,
    /// US dollars.
    min_cost: Option<f64>,
    max_cost: Option<f64>,
    /// Nobody knows what they cost.
    missing_cost_only: Option<bool>,
    /// Words that all are in their bodies, where those are kept.
    content_search: Option<String>,
    request_id: Option<String>,
    session_id: Option<String>,
    parent_request_id: Option<String>,
    trace_id: Option<String>,
}

/// Every name that is a filter, but `metadata_…`. The last one is the original's, and means nothing here.
pub const NAMES: [&str; 33] = [
    "start_time",
    "end_time",
    "providers",
    "models",
    "models_requested",
    "status",
    "outcomes",
    "status_codes",
    "errors",
    "objects",
    "dialects",
    "selected_key_ids",
    "virtual_key_ids",
    "team_ids",
    "customer_ids",
    "routing_rule_ids",
    "stream",
    "cache_hit",
    "has_content",
    "min_latency",
    "max_latency",
    "min_tokens",
    "max_tokens",
    "min_cost",
    "max_cost",
    "missing_cost_only",
    "content_search",
    "request_id",
    "session_id",
    "parent_request_id",
    "trace_id",
    "routing_engine_used",
    "metadata_",
];

impl Asked {
    /// Reads a query. `others` are the names beside the filters that the path knows.
    ///
    /// # Errors
    /// 400 for a name that nobody knows, 422 for a value that cannot be.
    pub fn read(pairs: Pairs, others: &[&str]) -> Result<Self, Refused> {
        let mut asked = Self::default();
        for (name, value) in pairs {
            if others.contains(&&*name) {
                asked.rest.push((name, value));
            } else if !value.is_empty() {
                asked.take(&name, &value, others)?;
            }
        }
        Ok(asked)
    }

    /// A value of [`Self::rest`].
    #[must_use]
    pub fn other(&self, name: &str) -> Option<&str> {
        self.rest.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    fn take(&mut self, name: &str, value: &str, others: &[&str]) -> Result<(), Refused> {
        if let Some(kind) = kind(name) {
            self.filter.names.entry(kind).or_default().extend(list(value).map(str::to_owned));
            return Ok(());
        }
        let filter = &mut self.filter;
        match name {
            "start_time" => filter.from_ms = Some(moment(name, value)?),
            "end_time" => filter.to_ms = Some(moment(name, value)?),
            "status" => {
                for word in list(value) {
                    filter.outcomes.extend(of_status(word)?);
                }
                filter.nothing = filter.outcomes.is_empty();
            }
            "outcomes" => {
                for word in list(value) {
                    filter.outcomes.push(of_outcome(word)?);
                }
            }
            "status_codes" => {
                for word in list(value) {
                    filter.statuses.push(number(name, word)?);
                }
            }
            "stream" => flag(filter, Flags::STREAM, truth(name, value)?),
            "cache_hit" => flag(filter, Flags::CACHE_HIT, truth(name, value)?),
            "has_content" => flag(filter, Flags::CONTENT, truth(name, value)?),
            "missing_cost_only" => filter.missing_cost = truth(name, value)?,
            "content_search" => value.trim().clone_into(&mut filter.text),
            "request_id" => self.request_id = Some(value.to_owned()),
            "session_id" => filter.session = Some(value.to_owned()),
            "parent_request_id" => filter.parent = Some(value.to_owned()),
            "trace_id" => filter.trace = Some(value.to_ascii_lowercase()),
            "routing_engine_used" => {}
            _ => return self.take_bound(name, value, others),
        }
        Ok(())
    }

    fn take_bound(&mut self, name: &str, value: &str, others: &[&str]) -> Result<(), Refused> {
        if let Some(tag) = name.strip_prefix("metadata_").filter(|tag| !tag.is_empty()) {
            self.filter.tags.push((tag.to_owned(), value.to_owned()));
            return Ok(());
        }
        let (span, per_unit): (&mut Span, f64) = match name.split_once('_') {
            Some((_, "latency")) => (&mut self.filter.took_us, 1e3),
            Some((_, "tokens")) => (&mut self.filter.tokens, 1.0),
            Some((_, "cost")) => (&mut self.filter.cost_nanos, 1e9),
            _ => return Err(unknown(name, others)),
        };
        let bound = match name.split_once('_').map(|(end, _)| end) {
            Some("min") => &mut span.min,
            Some("max") => &mut span.max,
            _ => return Err(unknown(name, others)),
        };
        *bound = Some(amount(name, value, per_unit)?);
        Ok(())
    }
}

fn kind(name: &str) -> Option<NameKind> {
    Some(match name {
        "providers" => NameKind::Provider,
        "models" => NameKind::Model,
        "models_requested" => NameKind::Asked,
        "errors" => NameKind::Error,
        "objects" => NameKind::Object,
        "dialects" => NameKind::Dialect,
        "selected_key_ids" => NameKind::Key,
        "virtual_key_ids" => NameKind::VirtualKey,
        "team_ids" => NameKind::Team,
        "customer_ids" => NameKind::Customer,
        "routing_rule_ids" => NameKind::Rule,
        _ => return None,
    })
}

fn list(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(str::trim).filter(|word| !word.is_empty())
}

fn flag(filter: &mut Filter, flag: Flags, set: bool) {
    let (set_flags, unset_flags) = (&mut filter.flags, &mut filter.no_flags);
    *set_flags = set_flags.with(flag, set);
    *unset_flags = unset_flags.with(flag, !set);
}

fn of_status(word: &str) -> Result<Vec<Outcome>, Refused> {
    Ok(match word {
        "success" => vec![Outcome::Success, Outcome::FailedOver, Outcome::CacheHit],
        "error" => vec![Outcome::ClientError, Outcome::UpstreamError],
        "cancelled" => vec![Outcome::Cancelled],
        // The original shows requests under way; here they are in the live stream only.
        "processing" => vec![],
        _ => return Err(Refused::field("status", "expected success, error or cancelled")),
    })
}

fn of_outcome(word: &str) -> Result<Outcome, Refused> {
    let found = Outcome::ALL.into_iter().find(|outcome| super::row::outcome(*outcome) == word);
    let words = || Outcome::ALL.map(super::row::outcome).join(", ");
    found.ok_or_else(|| Refused::field("outcomes", format!("expected some of {}", words())))
}

fn truth(name: &str, value: &str) -> Result<bool, Refused> {
    match value {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(Refused::field(name, "expected true or false")),
    }
}

fn number<T: std::str::FromStr>(name: &str, value: &str) -> Result<T, Refused> {
    value.parse().map_err(|_| Refused::field(name, format!("{value:?} is no whole number")))
}

/// An amount of units as whole parts of them.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is not negative, and what is too large becomes the largest"
)]
fn amount(name: &str, value: &str, per_unit: f64) -> Result<u64, Refused> {
    let amount: f64 = number(name, value)?;
    if !amount.is_finite() || amount < 0.0 {
        return Err(Refused::field(name, "expected a number from 0"));
    }
    Ok((amount * per_unit).round() as u64)
}

/// RFC 3339, or Unix milliseconds.
fn moment(name: &str, value: &str) -> Result<u64, Refused> {
    if let Ok(unix_ms) = value.parse::<u64>() {
        return Ok(unix_ms);
    }
    // A `+` of an offset is a space in a query that was not encoded.
    let text = if value.contains('T') { value.replace(' ', "+") } else { value.to_owned() };
    let broken = || Refused::field(name, format!("{value:?} is no time: RFC 3339, or Unix milliseconds"));
    govern::moment::rfc3339(&text).ok_or_else(broken)
}

fn unknown(name: &str, others: &[&str]) -> Refused {
    let near = did_you_mean(name, NAMES.into_iter().chain(others.iter().copied()));
    let advice = near.map(|near| format!("; did you mean {near:?}?")).unwrap_or_default();
    Refused::unreadable(format!("{name:?} is no filter{advice}"))
}
