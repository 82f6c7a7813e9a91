//! Budgets and rate limits with what was used of them: `/api/governance/budgets`, `/rate-limits`, a key's quota.
//!
//! The counts are those of this process's memory, which decides: what requests under way hold is told beside them.

use axum::Json;
use axum::extract::State;
use govern::allowance::{Measure, Quota};
use govern::price::write_nanos;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AdminState;
use super::body::{Path, Query};
use super::fault::{ErrorBody, Refused};
use super::keyring::rfc3339;
use crate::config::governance::{Owner, Quotas, VirtualKey};
use crate::telemetry::clock;

pub fn routes() -> OpenApiRouter<AdminState> {
    OpenApiRouter::new().routes(routes!(budgets)).routes(routes!(rate_limits)).routes(routes!(quota))
}

/// Whose they are.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
struct Wanted {
    /// `virtual_key`, `provider_config`, `team`, `customer`, `model`, `provider`.
    owner_type: Option<String>,
    /// The owner's id.
    owner_id: Option<String>,
}

/// Budgets.
#[derive(Debug, Serialize, ToSchema)]
struct Budgets {
    budgets: Vec<BudgetUsed>,
    count: usize,
}

/// A budget and what was spent of it.
#[derive(Debug, Serialize, ToSchema)]
struct BudgetUsed {
    owner_type: String,
    owner_id: String,
    /// US dollars.
    #[schema(value_type = f64)]
    max_limit: Box<RawValue>,
    reset_duration: String,
    calendar_aligned: bool,
    /// US dollars, to the nano-dollar.
    #[schema(value_type = f64)]
    current_usage: Box<RawValue>,
    /// What requests under way may use.
    #[schema(value_type = f64)]
    held: Box<RawValue>,
    /// When all of it is there again, if nothing more is spent: RFC 3339.
    resets_at: String,
}

/// Rate limits.
#[derive(Debug, Serialize, ToSchema)]
struct RateLimits {
    rate_limits: Vec<LimitUsed>,
    count: usize,
}

/// A rate limit and what was used of it.
#[derive(Debug, Serialize, ToSchema)]
struct LimitUsed {
    owner_type: String,
    owner_id: String,
    /// `requests`, `tokens`, `input_tokens`, `output_tokens`, `concurrency`
    what: String,
    max_limit: u64,
    /// Of concurrency there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    reset_duration: Option<String>,
    current_usage: u64,
    /// What requests under way may use.
    held: u64,
}

/// All that limits a virtual key.
#[derive(Debug, Serialize, ToSchema)]
struct KeyQuota {
    virtual_key_id: String,
    budgets: Vec<BudgetUsed>,
    rate_limits: Vec<LimitUsed>,
}

/// Every budget, with what was spent of it.
#[utoipa::path(get, path = "/api/governance/budgets", tag = "usage", params(Wanted),
    responses((status = 200, body = Budgets), (status = "default", body = ErrorBody)))]
async fn budgets(
    State(state): State<AdminState>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Budgets>, Refused> {
    let budgets = found(&state, &wanted).await?.0;
    Ok(Json(Budgets { count: budgets.len(), budgets }))
}

/// Every rate limit, with what was used of it.
#[utoipa::path(get, path = "/api/governance/rate-limits", tag = "usage", params(Wanted),
    responses((status = 200, body = RateLimits), (status = "default", body = ErrorBody)))]
async fn rate_limits(
    State(state): State<AdminState>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<RateLimits>, Refused> {
    let rate_limits = found(&state, &wanted).await?.1;
    Ok(Json(RateLimits { count: rate_limits.len(), rate_limits }))
}

/// All that limits a virtual key, and what was used of it: its own, its providers', its team's, its customer's.
#[utoipa::path(get, path = "/api/governance/virtual-keys/{id}/quota", tag = "virtual keys",
    params(("id" = String, Path)),
    responses((status = 200, body = KeyQuota), (status = "default", body = ErrorBody)))]
async fn quota(State(state): State<AdminState>, Path(id): Path<String>) -> Result<Json<KeyQuota>, Refused> {
    let held = state.find_key(&id).await?;
    let key = state.gateway.directory.by_id(&held.id);
    let key = key.ok_or_else(|| Refused::conflict("the key is stored, but not taken: see the log"))?;
    let snapshot = state.gateway.config.load_full();
    let mut seen = Seen::default();
    of_key(&mut seen, &state, &key);
    let caller = crate::auth::Caller::of(key, &snapshot.governance);
    for (owner, quotas) in caller.owners().filter(|(owner, _)| !matches!(owner, Owner::VirtualKey(_))) {
        seen.add(&state, &owner, quotas);
    }
    Ok(Json(KeyQuota { virtual_key_id: held.id, budgets: seen.budgets, rate_limits: seen.limits }))
}

async fn found(state: &AdminState, wanted: &Wanted) -> Result<(Vec<BudgetUsed>, Vec<LimitUsed>), Refused> {
    let snapshot = state.gateway.config.load_full();
    let governance = &snapshot.governance;
    let mut seen = Seen { wanted: wanted.clone(), ..Seen::default() };
    for (name, quotas) in &governance.providers {
        seen.add(state, &Owner::Provider(name.clone()), quotas);
    }
    for limit in &governance.models {
        let owner = Owner::Model { provider: limit.provider.clone(), model: limit.model.clone() };
        seen.add(state, &owner, &limit.quotas);
    }
    for team in governance.teams.values() {
        seen.add(state, &Owner::Team(team.id.clone()), &team.quotas);
    }
    for customer in governance.customers.values() {
        seen.add(state, &Owner::Customer(customer.id.clone()), &customer.quotas);
    }
    for held in state.keys().await? {
        if let Some(key) = state.gateway.directory.by_id(&held.id) {
            of_key(&mut seen, state, &key);
        }
    }
    seen.budgets.sort_by(|a, b| (&a.owner_type, &a.owner_id).cmp(&(&b.owner_type, &b.owner_id)));
    seen.limits.sort_by(|a, b| (&a.owner_type, &a.owner_id).cmp(&(&b.owner_type, &b.owner_id)));
    Ok((seen.budgets, seen.limits))
}

fn of_key(seen: &mut Seen, state: &AdminState, key: &VirtualKey) {
    seen.add(state, &Owner::VirtualKey(key.id.clone()), &key.quotas);
    for grant in key.grants.iter().flatten() {
        let owner = Owner::Grant { key: key.id.clone(), provider: grant.provider.clone() };
        seen.add(state, &owner, &grant.quotas);
    }
}

#[derive(Default)]
struct Seen {
    wanted: Wanted,
    budgets: Vec<BudgetUsed>,
    limits: Vec<LimitUsed>,
}

impl Seen {
    fn add(&mut self, state: &AdminState, owner: &Owner, quotas: &Quotas) {
        let text = owner.to_string();
        let (kind, id) = text.split_once(':').unwrap_or((&text, ""));
        let is = |wanted: &Option<String>, found: &str| wanted.as_ref().is_none_or(|wanted| wanted == found);
        if !is(&self.wanted.owner_type, kind) || !is(&self.wanted.owner_id, id) {
            return;
        }
        let now = clock::now_ms();
        let levels = state.gateway.meters.levels(owner, now);
        for quota in &quotas.list {
            let same = levels.iter().find(|one| one.measure == quota.measure && one.window == quota.window);
            let level = same.map(|one| one.level);
            let (used, held) = level.map_or((0, 0), |level| (level.used, level.held));
            match quota.measure {
                Measure::Cost => {
                    let full = now.saturating_add(level.map_or(0, |level| level.full_in_ms));
                    self.budgets.push(budget((kind, id), quota, (used, held), full));
                }
                _ => self.limits.push(limit((kind, id), quota, (used, held))),
            }
        }
        if let Some(most) = quotas.concurrency {
            let under_way = state.gateway.meters.with(owner, |allowance| allowance.under_way()).unwrap_or(0);
            self.limits.push(LimitUsed {
                owner_type: kind.to_owned(),
                owner_id: id.to_owned(),
                what: "concurrency".to_owned(),
                max_limit: most.into(),
                reset_duration: None,
                current_usage: under_way.into(),
                held: 0,
            });
        }
    }
}

fn budget((kind, id): (&str, &str), quota: &Quota, (used, held): (u64, u64), full_ms: u64) -> BudgetUsed {
    BudgetUsed {
        owner_type: kind.to_owned(),
        owner_id: id.to_owned(),
        max_limit: dollars(quota.max),
        reset_duration: quota.window.to_string(),
        calendar_aligned: quota.window.is_calendar(),
        current_usage: dollars(used),
        held: dollars(held),
        resets_at: rfc3339(full_ms),
    }
}

fn limit((kind, id): (&str, &str), quota: &Quota, (used, held): (u64, u64)) -> LimitUsed {
    let what = match quota.measure {
        Measure::Cost => "cost",
        Measure::Requests => "requests",
        Measure::InputTokens => "input_tokens",
        Measure::OutputTokens => "output_tokens",
        Measure::Tokens => "tokens",
    };
    LimitUsed {
        owner_type: kind.to_owned(),
        owner_id: id.to_owned(),
        what: what.to_owned(),
        max_limit: quota.max,
        reset_duration: Some(quota.window.to_string()),
        current_usage: used,
        held,
    }
}

/// A number of as many digits as it needs, which no float has touched.
fn dollars(nanos: u64) -> Box<RawValue> {
    let mut text = String::new();
    // Writing into a String cannot fail, and a decimal number is JSON.
    let _ = write_nanos(nanos, &mut text);
    RawValue::from_string(text).unwrap_or_else(|_| RawValue::NULL.to_owned())
}
