//! `/api/logs/filterdata`: what requests can be filtered by, with how many there were of each. Fields are the original's.
//!
//! Names are those that the log knows and those of the configuration; counts are from sums. Nothing reads the log.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::admin::api::AdminState;
use crate::admin::api::body::Query;
use crate::admin::api::fault::{ErrorBody, Refused};
use crate::admin::api::range::Within;
use crate::config::snapshot::Snapshot;
use crate::observe::sums::{Cell, Chart, Depth, Frame, Kind, Question};
use crate::store::requests::names::NameKind;
use crate::telemetry::clock;

/// Of one kind, at most so many names: the most frequent ones.
const MOST: usize = 1_000;

pub fn routes() -> OpenApiRouter<AdminState> {
    OpenApiRouter::new().routes(routes!(facets))
}

/// What can be filtered by.
#[derive(Debug, Serialize, ToSchema)]
struct Facets {
    providers: Vec<String>,
    models: Vec<String>,
    /// `success`, `error`, `cancelled`
    status: Vec<String>,
    objects: Vec<String>,
    selected_keys: Vec<FacetName>,
    virtual_keys: Vec<FacetName>,
    routing_rules: Vec<FacetName>,
    teams: Vec<FacetName>,
    customers: Vec<FacetName>,
    errors: Vec<String>,
    /// How a target was chosen.
    routing_engines: Vec<String>,
    /// Names of tags; their values are not told.
    metadata_keys: BTreeMap<String, Vec<String>>,
    /// Requests of the time that was asked for, by the names of the lists above.
    counts: BTreeMap<&'static str, BTreeMap<String, u64>>,
    /// `false`: counts are of this process only, what is stored cannot be read.
    complete: bool,
}

/// Something with an id.
#[derive(Debug, Serialize, ToSchema)]
struct FacetName {
    id: String,
    name: String,
    /// Of keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<String>,
}

/// What requests can be filtered by, the most frequent first. Counts are of the last day, where no time is given.
#[utoipa::path(get, path = "/api/logs/filterdata", tag = "logs", params(Within),
    responses((status = 200, body = Facets), (status = "default", body = ErrorBody)))]
async fn facets(
    State(state): State<AdminState>,
    Query(within): Query<Within>,
) -> Result<Json<Facets>, Refused> {
    let now_ms = clock::now_ms();
    let (from_ms, to_ms) = within.span(now_ms)?;
    // One bucket: its edges are those of whole hours, so that few rows are read.
    let hour = 3_600_000;
    let (from_ms, to_ms) = (from_ms - from_ms % hour, to_ms.next_multiple_of(hour));
    let bucket_ms = (to_ms - from_ms).next_multiple_of(24 * hour);
    let frame = Frame { from_ms, to_ms, bucket_ms }.rounded(now_ms);
    let question = |kind| Question { kind, frame, depth: Depth::Counts, only: None };
    let kinds = [
        Kind::Target,
        Kind::Key,
        Kind::VirtualKey,
        Kind::Team,
        Kind::Customer,
        Kind::Rule,
        Kind::Object,
        Kind::Status,
        Kind::Error,
    ];
    let charts = state.charts(kinds.map(question), now_ms).await?;
    let snapshot = state.gateway.config.load_full();
    Ok(Json(gather(&state, &snapshot, &charts)))
}

fn gather(state: &AdminState, snapshot: &Snapshot, charts: &[Chart; 9]) -> Facets {
    let [targets, keys, virtual_keys, teams, customers, rules, objects, status, errors] = charts;
    let known = |kind: NameKind| {
        let names = state.gateway.requests.as_ref().map(|log| log.requests.names.all(kind));
        names.unwrap_or_default().into_iter().map(|name| name.to_string()).collect::<Vec<String>>()
    };
    let configured: Vec<String> = snapshot.providers.iter().map(|one| one.name.to_string()).collect();
    let mut providers = Facet::of(targets, |first, _| first.to_owned());
    providers.more(configured.into_iter().chain(known(NameKind::Provider)));
    let mut models = Facet::of(targets, |_, second| second.to_owned());
    models.more(known(NameKind::Model));
    let mut object = Facet::of(objects, |first, _| first.to_owned());
    object.more(known(NameKind::Object));
    let mut error = Facet::of(errors, |first, _| first.to_owned());
    error.more(known(NameKind::Error));
    let mut outcome = Facet::of(status, |first, _| first.to_owned());
    outcome.more(["success", "error", "cancelled"].map(str::to_owned));
    let key_facet = Facet::of(keys, |provider, name| format!("{provider}/{name}"));
    let mut counts = BTreeMap::new();
    let mut listed = |field: &'static str, chart: &Chart| {
        let facet = Facet::of(chart, |id, _| id.to_owned());
        let names = facet.with_names(chart);
        counts.insert(field, facet.0);
        names
    };
    let (virtual_keys, teams) = (listed("virtual_keys", virtual_keys), listed("teams", teams));
    let (customers, routing_rules) = (listed("customers", customers), listed("routing_rules", rules));
    let facets = Facets {
        providers: providers.names(),
        models: models.names(),
        status: outcome.names(),
        objects: object.names(),
        selected_keys: selected(snapshot, &key_facet),
        virtual_keys,
        routing_rules,
        teams,
        customers,
        errors: error.names(),
        routing_engines: Vec::new(),
        metadata_keys: known(NameKind::Tag).into_iter().map(|name| (name, Vec::new())).collect(),
        counts: BTreeMap::new(),
        complete: charts.iter().all(|chart| chart.complete),
    };
    for (field, facet) in [
        ("providers", providers),
        ("models", models),
        ("objects", object),
        ("status", outcome),
        ("errors", error),
        ("selected_keys", key_facet),
    ] {
        counts.insert(field, facet.0);
    }
    Facets { counts, ..facets }
}

/// Names with their counts.
struct Facet(BTreeMap<String, u64>);

impl Facet {
    /// The ids, each with the name that `chart` has of it.
    fn with_names(&self, chart: &Chart) -> Vec<FacetName> {
        let name_of = |id: &str| {
            let found = chart.names.keys().find(|name| &*name.0 == id && !name.1.is_empty());
            found.map_or_else(|| id.to_owned(), |name| name.1.to_string())
        };
        let named = |id: String| FacetName { name: name_of(&id), id, provider: None };
        self.names().into_iter().map(named).collect()
    }

    fn of(chart: &Chart, name: impl Fn(&str, &str) -> String) -> Self {
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for (words, cells) in chart.names.iter().filter(|(name, _)| !name.is_rest()) {
            let requests = cells.iter().map(Cell::requests).sum::<u64>();
            let count = counts.entry(name(&words.0, &words.1)).or_default();
            *count = count.saturating_add(requests);
        }
        Self(counts)
    }

    /// Names that may have had no request.
    fn more(&mut self, names: impl IntoIterator<Item = String>) {
        for name in names {
            self.0.entry(name).or_default();
        }
    }

    /// The most frequent first.
    fn names(&self) -> Vec<String> {
        let mut names: Vec<(&String, &u64)> = self.0.iter().collect();
        names.sort_by(|a, b| (b.1, a.0).cmp(&(a.1, b.0)));
        names.into_iter().take(MOST).map(|(name, _)| name.clone()).collect()
    }
}

/// Keys of the configuration, and those that were used and are gone.
fn selected(snapshot: &Snapshot, used: &Facet) -> Vec<FacetName> {
    let keys =
        snapshot.providers.iter().flat_map(|provider| provider.keys.iter().map(move |key| (provider, key)));
    let mut found: BTreeMap<String, FacetName> = keys
        .map(|(provider, key)| {
            // The log knows keys by their names: so are they asked for.
            let name = key.name.to_string();
            let named = FacetName { id: name.clone(), name, provider: Some(provider.name.to_string()) };
            (format!("{}/{}", provider.name, key.name), named)
        })
        .collect();
    for word in used.0.keys() {
        if let (false, Some((provider, name))) = (found.contains_key(word), word.split_once('/')) {
            let name = name.to_owned();
            let named = FacetName { id: name.clone(), name, provider: Some(provider.to_owned()) };
            found.insert(word.clone(), named);
        }
    }
    found.into_values().take(MOST).collect()
}
