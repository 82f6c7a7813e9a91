//! Which rows a listener wants: the filters of `/api/logs` that need no database.

use super::flight::Flight;
use super::row::Row;

/// Rows pass that fit all that is named. Lists: one of them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Filter {
    pub providers: Vec<String>,
    pub models: Vec<String>,
    pub objects: Vec<String>,
    /// `success`, `error`, `cancelled`, or a code.
    pub status: Vec<String>,
    pub selected_keys: Vec<String>,
    pub virtual_keys: Vec<String>,
    pub teams: Vec<String>,
    pub customers: Vec<String>,
    pub rules: Vec<String>,
    /// Kinds of errors.
    pub errors: Vec<String>,
    /// Milliseconds.
    pub latency: Range,
    pub tokens: Range,
    /// US dollars.
    pub cost: Range,
}

/// From, to: each may be open.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Range {
    pub min: Option<f64>,
    pub max: Option<f64>,
}

/// A filter that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    #[error("there is no filter {0:?}: known are {known}", known = NAMES.join(", "))]
    Name(String),
    #[error("{0} is a number")]
    Number(String),
}

/// Names of filters, as the original has them where it has them.
pub const NAMES: [&str; 16] = [
    "providers",
    "models",
    "objects",
    "status",
    "selected_key_ids",
    "virtual_key_ids",
    "team_ids",
    "customer_ids",
    "routing_rule_ids",
    "errors",
    "min_latency",
    "max_latency",
    "min_tokens",
    "max_tokens",
    "min_cost",
    "max_cost",
];

impl Range {
    fn takes(self, value: f64) -> bool {
        self.min.is_none_or(|min| value >= min) && self.max.is_none_or(|max| value <= max)
    }
}

impl Filter {
    /// Adds one by its name; lists are separated by commas. One of a list may be named alone: `provider`.
    ///
    /// # Errors
    /// There is none of this name, or the value is no number.
    pub fn add(&mut self, name: &str, value: &str) -> Result<(), Wrong> {
        let list = match name {
            "providers" | "provider" => &mut self.providers,
            "models" | "model" => &mut self.models,
            "objects" | "object" => &mut self.objects,
            "status" => &mut self.status,
            "selected_key_ids" | "key" => &mut self.selected_keys,
            "virtual_key_ids" | "virtual_key" => &mut self.virtual_keys,
            "team_ids" | "team" => &mut self.teams,
            "customer_ids" | "customer" => &mut self.customers,
            "routing_rule_ids" | "rule" => &mut self.rules,
            "errors" | "error" => &mut self.errors,
            _ => return self.add_bound(name, value),
        };
        list.extend(value.split(',').map(str::trim).filter(|one| !one.is_empty()).map(str::to_owned));
        Ok(())
    }

    fn add_bound(&mut self, name: &str, value: &str) -> Result<(), Wrong> {
        let bound = match name {
            "min_latency" => &mut self.latency.min,
            "max_latency" => &mut self.latency.max,
            "min_tokens" => &mut self.tokens.min,
            "max_tokens" => &mut self.tokens.max,
            "min_cost" => &mut self.cost.min,
            "max_cost" => &mut self.cost.max,
            _ => return Err(Wrong::Name(name.to_owned())),
        };
        let number = value.trim().parse::<f64>().ok().filter(|number| number.is_finite());
        *bound = Some(number.ok_or_else(|| Wrong::Number(name.to_owned()))?);
        Ok(())
    }

    /// The row is wanted.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "bounds are as exact as people write them")]
    pub fn takes(&self, row: &Row) -> bool {
        let code = row.status_code.to_string();
        let error = row.error_details.as_ref().map(|problem| problem.error.kind);
        let tokens = row.token_usage.map_or(0, |usage| usage.total_tokens) as f64;
        any(&self.providers, &[row.provider.as_deref()])
            && any(&self.models, &[row.model.as_deref(), Some(&row.model_requested)])
            && any(&self.objects, &[Some(row.object)])
            && any(&self.status, &[Some(row.status), Some(&code)])
            && any(&self.selected_keys, &[row.selected_key_name.as_deref()])
            && any(&self.virtual_keys, &[row.virtual_key_id.as_deref(), row.virtual_key_name.as_deref()])
            && any(&self.teams, &[row.team_id.as_deref()])
            && any(&self.customers, &[row.customer_id.as_deref()])
            && any(&self.rules, &[row.routing_rule_name.as_deref()])
            && any(&self.errors, &[error])
            && self.latency.takes(row.latency)
            && self.tokens.takes(tokens)
            && self.cost.takes(row.cost.unwrap_or(0.0))
    }

    /// The request under way may become a row that is wanted: what is not known of it yet counts for it.
    #[must_use]
    pub fn may_take(&self, flight: &Flight) -> bool {
        let unknown = |wanted: &[String], found: Option<&str>| found.is_none() || any(wanted, &[found]);
        unknown(&self.providers, flight.provider.as_deref())
            && (any(&self.models, &[flight.model.as_deref(), Some(&flight.model_requested)]))
            && any(&self.objects, &[Some(flight.object)])
            && any(&self.virtual_keys, &[flight.virtual_key_id.as_deref()])
    }
}

fn any(wanted: &[String], found: &[Option<&str>]) -> bool {
    wanted.is_empty() || found.iter().flatten().any(|found| wanted.iter().any(|one| one == found))
}
