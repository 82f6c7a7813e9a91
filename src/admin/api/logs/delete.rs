//! What changes rows that are there: removing some, and pricing some anew.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::filter::{Asked, Pairs};
use crate::account::charge::Charge;
use crate::account::prices::Served;
use crate::admin::api::AdminState;
use crate::admin::api::body::{Asker, Body};
use crate::admin::api::fault::{ErrorBody, Refused};
use crate::store::requests::entry::{Entry, Flags};
use crate::store::requests::{Priced, Question};

pub fn routes() -> OpenApiRouter<AdminState> {
    OpenApiRouter::new().routes(routes!(remove)).routes(routes!(recalculate))
}

/// Requests that are removed at once.
const MOST: usize = 1_000;
/// Requests that are priced at once where nobody says how many, and at most.
const LIMIT: (u64, u64) = (200, 1_000);

/// Which requests.
#[derive(Debug, Deserialize, ToSchema)]
struct Ids {
    /// Ids or numbers, at most 1000.
    ids: Vec<String>,
}

/// What was removed.
#[derive(Debug, Serialize, ToSchema)]
struct Removed {
    message: String,
    /// Requests that were there.
    deleted: u64,
}

/// Which requests are to be priced anew.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
struct Recalculation {
    /// As in the query of `GET /api/logs`: `{"providers": "openai", "start_time": "…"}`. Lists may be lists.
    #[schema(value_type = Value)]
    filters: serde_json::Map<String, Value>,
    /// Requests, 200 by default, at most 1000.
    limit: Option<u64>,
}

/// What was priced anew.
#[derive(Debug, Serialize, ToSchema)]
struct Recalculated {
    message: String,
    /// Requests that were looked at.
    total_matched: u64,
    updated: u64,
    /// Their cost is what it was, or nobody knows a price, or they used nothing.
    skipped: u64,
    /// There are, or may be, more.
    remaining: bool,
    /// `filters.cursor` of the next call.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// Removes requests from the log with their bodies.
#[utoipa::path(delete, path = "/api/logs", tag = "logs", request_body = Ids,
    responses((status = 200, body = Removed), (status = "default", body = ErrorBody)))]
async fn remove(
    State(state): State<AdminState>,
    asker: Asker,
    Body(body): Body,
) -> Result<Json<Removed>, Refused> {
    let Ids { ids } = read(body)?;
    if ids.is_empty() || ids.len() > MOST {
        return Err(Refused::field("ids", format!("expected 1 to {MOST} ids")));
    }
    let deleted = state
        .ask_log(async move |log| {
            let mut numbers = Vec::new();
            for id in &ids {
                numbers.extend(log.find(id).await?.map(|entry| entry.id));
            }
            numbers.sort_unstable();
            numbers.dedup();
            log.remove(&numbers).await
        })
        .await?;
    log::info!("{} removed {deleted} requests from the request log", asker.name);
    Ok(Json(Removed { message: "Logs deleted successfully".to_owned(), deleted }))
}

/// Prices requests anew whose cost nobody knew when they ended, or those of a filter, at what their tokens cost now. What was
/// counted for budgets, and sums over time, stay as they are.
#[utoipa::path(post, path = "/api/logs/recalculate-cost", tag = "logs", request_body = Recalculation,
    responses((status = 200, body = Recalculated), (status = "default", body = ErrorBody)))]
async fn recalculate(
    State(state): State<AdminState>,
    asker: Asker,
    Body(body): Body,
) -> Result<Json<Recalculated>, Refused> {
    let wanted: Recalculation = read(body)?;
    let limit = wanted.limit.unwrap_or(LIMIT.0).clamp(1, LIMIT.1);
    let asked = Asked::read(pairs(&wanted.filters)?, &["cursor"])?;
    let mut filter = asked.filter.clone();
    if wanted.filters.is_empty() {
        filter.missing_cost = true;
    }
    let after = asked.other("cursor").map(super::list::cursor).transpose()?;
    let question = Question { filter, limit, after, ..Question::default() };
    let page = state.ask_log(async move |log| log.page(&question).await).await?;
    let priced: Vec<Priced> = page.entries.iter().filter_map(|entry| priced(&state, entry)).collect();
    let updated = u64::try_from(priced.len()).unwrap_or(u64::MAX);
    if updated > 0 {
        state.ask_log(async move |log| log.price(&priced).await).await?;
    }
    let matched = u64::try_from(page.entries.len()).unwrap_or(u64::MAX);
    log::info!("{} had {matched} requests priced anew: {updated} changed", asker.name);
    Ok(Json(Recalculated {
        message: format!("{updated} of {matched} requests have another cost now"),
        total_matched: matched,
        updated,
        skipped: matched - updated,
        remaining: page.next.is_some(),
        next_cursor: page.next.map(super::list::cursor_text),
    }))
}

/// The cost at today's prices, where it is another one. Attempts beside the one that answered keep theirs.
fn priced(state: &AdminState, entry: &Entry<'_>) -> Option<Priced> {
    let snapshot = state.gateway.config.load_full();
    let provider = snapshot.provider(&entry.names.provider)?;
    let key = provider.keys.iter().find(|key| *key.name == *entry.names.key).or(provider.keys.first())?;
    let flags = entry.counts.flags;
    if !flags.has(Flags::USAGE) {
        return None;
    }
    let served = Served { provider, key, model: &entry.names.model, request: &entry.names.object };
    let quote = state.gateway.prices.quote(&served, &snapshot)?;
    let charge = Charge::of(&entry.detail.usage(), Some(&quote))?;
    let others = entry.detail.attempts.iter().filter_map(|one| one.spent.and_then(|(_, _, cost)| cost));
    let nanos = others.fold(charge.nanos, u64::saturating_add);
    let unpriced = !charge.is_known();
    let same = flags.has(Flags::PRICED)
        && entry.counts.cost_nanos == nanos
        && flags.has(Flags::UNPRICED) == unpriced;
    let flags = flags.with(Flags::PRICED, true).with(Flags::UNPRICED, unpriced);
    (!same).then_some(Priced { id: entry.id, cost_nanos: nanos, flags })
}

/// Members of an object as a query has them.
fn pairs(filters: &serde_json::Map<String, Value>) -> Result<Pairs, Refused> {
    let text = |name: &str, value: &Value| match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(flag) => Ok(flag.to_string()),
        Value::Null => Ok(String::new()),
        _ => Err(Refused::field(format!("filters.{name}"), "expected a text, a number, or a list of them")),
    };
    let mut found = Vec::new();
    for (name, value) in filters {
        let value = match value {
            Value::Array(items) => {
                let items: Result<Vec<String>, Refused> = items.iter().map(|item| text(name, item)).collect();
                items?.join(",")
            }
            one => text(name, one)?,
        };
        found.push((name.clone(), value));
    }
    Ok(found)
}

fn read<T: serde::de::DeserializeOwned>(body: serde_json::Map<String, Value>) -> Result<T, Refused> {
    serde_json::from_value(Value::Object(body)).map_err(|error| Refused::unreadable(error.to_string()))
}
