//! Models that can be named: `/api/models`.

use axum::Json;
use axum::extract::State;
use govern::price::write_femtos;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AdminState;
use super::body::Query;
use super::fault::ErrorBody;
use crate::account::prices::Served;
use crate::config::{ModelRef, Snapshot};
use crate::route::model::known;

pub fn routes() -> OpenApiRouter<AdminState> {
    OpenApiRouter::new().routes(routes!(search)).routes(routes!(details)).routes(routes!(base))
}

/// Which models.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
struct Wanted {
    /// Those of one provider.
    provider: Option<String>,
    /// Those whose name has this in it, in any case.
    query: Option<String>,
    /// Those that one of these keys serves: ids or names with commas between them.
    keys: Option<String>,
    /// At most so many: by default 5, with details 20.
    limit: Option<usize>,
    /// Those that no key serves too.
    unfiltered: bool,
}

/// Models.
#[derive(Debug, Serialize, ToSchema)]
struct ModelList<T: ToSchema> {
    models: Vec<T>,
    /// How many there are in all.
    total: usize,
}

/// A model.
#[derive(Debug, Serialize, ToSchema)]
struct Model {
    name: String,
    provider: String,
    /// Ids of the provider's keys that serve it.
    accessible_by_keys: Vec<String>,
}

/// A model and what it costs.
#[derive(Debug, Serialize, ToSchema)]
struct ModelDetails {
    #[serde(flatten)]
    model: Model,
    /// Where the price is from.
    #[serde(skip_serializing_if = "Option::is_none")]
    price_source: Option<String>,
    /// US dollars per unit.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    prices: Vec<ModelPrice>,
}

/// One price of a model.
#[derive(Debug, Serialize, ToSchema)]
struct ModelPrice {
    /// `input`, `output`, `cache_read`, …
    what: String,
    /// Prompts longer than this; 0: all.
    above_tokens: u32,
    /// US dollars per unit, exactly.
    unit_cost: String,
}

/// Names of models. A search, not a list: see `limit`.
#[utoipa::path(get, path = "/api/models", tag = "models", params(Wanted),
    responses((status = 200, body = ModelList<Model>), (status = "default", body = ErrorBody)))]
async fn search(State(state): State<AdminState>, Query(wanted): Query<Wanted>) -> Json<ModelList<Model>> {
    let (found, total) = find(&state, &wanted, 5);
    Json(ModelList { models: found, total })
}

/// The same with what they cost.
#[utoipa::path(get, path = "/api/models/details", tag = "models", params(Wanted),
    responses((status = 200, body = ModelList<ModelDetails>), (status = "default", body = ErrorBody)))]
async fn details(
    State(state): State<AdminState>,
    Query(wanted): Query<Wanted>,
) -> Json<ModelList<ModelDetails>> {
    let snapshot = state.gateway.config.load_full();
    let (found, total) = find(&state, &wanted, 20);
    let models = found.into_iter().map(|model| priced(&state, &snapshot, model)).collect();
    Json(ModelList { models, total })
}

/// Names of models without their providers, each once.
#[utoipa::path(get, path = "/api/models/base", tag = "models", params(Wanted),
    responses((status = 200, body = ModelList<String>), (status = "default", body = ErrorBody)))]
async fn base(State(state): State<AdminState>, Query(wanted): Query<Wanted>) -> Json<ModelList<String>> {
    let every = Wanted { limit: Some(usize::MAX), ..wanted.clone() };
    let mut names: Vec<String> = find(&state, &every, 0).0.into_iter().map(|model| model.name).collect();
    names.sort();
    names.dedup();
    let total = names.len();
    names.truncate(wanted.limit.unwrap_or(20));
    Json(ModelList { models: names, total })
}

fn find(state: &AdminState, wanted: &Wanted, usual: usize) -> (Vec<Model>, usize) {
    let snapshot = state.gateway.config.load_full();
    let query = wanted.query.as_deref().map(str::to_lowercase);
    let keys: Vec<&str> = wanted.keys.as_deref().into_iter().flat_map(|keys| keys.split(',')).collect();
    let mut names = known(&snapshot, state.gateway.catalog);
    if wanted.unfiltered {
        names = unfiltered(state, &snapshot, names);
    }
    let named = |name: &ModelRef| {
        !name.provider.is_empty()
            && wanted.provider.as_ref().is_none_or(|provider| **provider == *name.provider)
            && query.as_ref().is_none_or(|query| name.model.to_lowercase().contains(query))
    };
    let found: Vec<Model> = names
        .into_iter()
        .filter(named)
        .map(|name| accessible(&snapshot, &name))
        .filter(|model| {
            keys.is_empty() || model.accessible_by_keys.iter().any(|key| keys.contains(&key.as_str()))
        })
        .collect();
    let total = found.len();
    (found.into_iter().take(wanted.limit.unwrap_or(usual)).collect(), total)
}

/// All that the catalog has of the providers that are configured.
fn unfiltered(state: &AdminState, snapshot: &Snapshot, mut names: Vec<ModelRef>) -> Vec<ModelRef> {
    for provider in &snapshot.providers {
        let models = state.gateway.catalog.models(&provider.name);
        names.extend(
            models
                .iter()
                .map(|model| ModelRef { provider: provider.name.clone(), model: (*model.name).into() }),
        );
    }
    names.sort_by(|a, b| (&a.provider, &a.model).cmp(&(&b.provider, &b.model)));
    names.dedup();
    names
}

fn accessible(snapshot: &Snapshot, name: &ModelRef) -> Model {
    let keys = snapshot.provider(&name.provider).map(|provider| provider.keys.as_slice()).unwrap_or_default();
    let serving = keys.iter().filter(|key| key.disabled.is_none() && key.serves(&name.model));
    Model {
        name: name.model.to_string(),
        provider: name.provider.to_string(),
        accessible_by_keys: serving.map(|key| key.id.to_string()).collect(),
    }
}

fn priced(state: &AdminState, snapshot: &Snapshot, model: Model) -> ModelDetails {
    let quote = snapshot.provider(&model.provider).and_then(|provider| {
        let key = provider.keys.first()?;
        let served = Served { provider, key, model: &model.name, request: "chat_completion" };
        state.gateway.prices.quote(&served, snapshot)
    });
    let price = |rate: &govern::price::Rate| {
        let mut unit_cost = String::new();
        // Writing into a String cannot fail.
        let _ = write_femtos(rate.femtos.into(), &mut unit_cost);
        ModelPrice { what: rate.class.name().to_owned(), above_tokens: rate.above, unit_cost }
    };
    ModelDetails {
        prices: quote.iter().flat_map(|quote| quote.price.rates().iter().map(price)).collect(),
        price_source: quote.map(|quote| quote.source.name().to_owned()),
        model,
    }
}
