//! For those who look for the reason of something: a request in words, and how much is logged.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AdminState;
use super::body::{Asker, Body, Path};
use super::fault::{ErrorBody, Refused};
use crate::observe::explain::{self, Explained};
use crate::telemetry::events::{Event, emit};
use crate::telemetry::levels::{self, Levels};

pub fn routes() -> OpenApiRouter<AdminState> {
    OpenApiRouter::new().routes(routes!(explained)).routes(routes!(level, set_level))
}

/// How much is logged.
#[derive(Debug, Serialize, ToSchema)]
struct Logged {
    /// Of the gateway's own lines: `error`, `warn`, `info`, `debug`, `trace`, `off`.
    level: &'static str,
    /// Targets with a level of their own.
    targets: BTreeMap<String, &'static str>,
}

/// What is to be logged.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// `error`, `warn`, `info`, `debug`, `trace` or `off`; null takes a target's own level away.
    level: Option<String>,
    /// The target it is for, as `bifrost::proxy`; absent: all of the gateway's own lines.
    target: Option<String>,
}

/// Why a request went where it went, what each attempt did, and what it cost: in words.
#[utoipa::path(get, path = "/api/debug/explain/{request_id}", tag = "debug",
    params(("request_id" = String, Path, description = "Its `x-request-id`.")),
    responses((status = 200, body = Explained), (status = "default", body = ErrorBody)))]
async fn explained(
    State(state): State<AdminState>,
    Path(id): Path<String>,
) -> Result<Json<Explained>, Refused> {
    if let Some(record) = state.gateway.recent.find(&id) {
        return Ok(Json(explain::explain(&record)));
    }
    let Some(log) = &state.gateway.requests else {
        let message = format!("no request {id:?} among the latest, and there is no request log");
        return Err(Refused::not_found(message));
    };
    let wanted = id.clone();
    let found = log.ask(async move |requests| requests.find(&wanted).await).await;
    match found.map_err(|error| Refused::unavailable(error.to_string()))? {
        Some(entry) => Ok(Json(explain::of(&entry))),
        None => Err(Refused::not_found(format!("no request {id:?} in the log"))),
    }
}

/// How much is logged.
#[utoipa::path(get, path = "/api/debug/log-level", tag = "debug",
    responses((status = 200, body = Logged), (status = "default", body = ErrorBody)))]
async fn level() -> Json<Logged> {
    Json(logged(&levels::current()))
}

/// Changes how much is logged, until the process ends.
#[utoipa::path(put, path = "/api/debug/log-level", tag = "debug", request_body = Wanted,
    responses((status = 200, body = Logged), (status = "default", body = ErrorBody)))]
async fn set_level(asker: Asker, Body(body): Body) -> Result<Json<Logged>, Refused> {
    let wanted: Wanted =
        serde_json::from_value(body.into()).map_err(|bad| Refused::unreadable(bad.to_string()))?;
    let mut levels = Levels::clone(&levels::current());
    let read = wanted.level.as_deref().map(levels::level).transpose();
    let level = read.map_err(|bad| Refused::field("level", bad.to_string()))?;
    match wanted.target.as_deref().map(str::trim) {
        Some("") => {
            return Err(Refused::field("target", "expected the name of a target, as `bifrost::proxy`"));
        }
        Some(target) => levels.set(target, level),
        None => match level {
            Some(level) => levels.set(levels::OURS, Some(level)),
            None => return Err(Refused::field("level", "expected a level")),
        },
    }
    let answer = logged(&levels);
    let text = levels.to_string();
    levels::put(levels);
    emit(Event::LogLevelChanged { levels: &text, by: &asker.name });
    Ok(Json(answer))
}

fn logged(levels: &Levels) -> Logged {
    let named = levels.targets().filter(|(target, _)| *target != levels::OURS);
    let targets = named.map(|(target, level)| (target.to_owned(), levels::word(level))).collect();
    Logged { level: levels::word(levels.own()), targets }
}
