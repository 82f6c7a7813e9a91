//! Teams, customers, limits of models and providers, routing rules: `/api/governance/*`, all in one form.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use serde_json::Value;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AdminState;
use super::body::{Asker, Body, Path, Query};
use super::fault::{ErrorBody, Refused};
use super::resource::{Page, Resource};
use super::shape;
use crate::config::Slot;

/// The handlers of one kind of entity.
macro_rules! resource {
    ($module:ident: $resource:expr, $list:literal, $one:literal, $tag:literal,
     $body:ident, $patch:ident, $answer:ident, $page:ident) => {
        pub mod $module {
            use super::*;

            const RESOURCE: Resource = $resource;

            pub fn routes() -> OpenApiRouter<AdminState> {
                OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(read, replace, patch, delete))
            }

            /// All of them, each with where it is from.
            #[utoipa::path(get, path = $list, tag = $tag, params(Page),
                responses((status = 200, body = shape::$page), (status = "default", body = ErrorBody)))]
            async fn list(State(state): State<AdminState>, Query(page): Query<Page>) -> Json<Value> {
                RESOURCE.list(&state, &page)
            }

            /// Makes one.
            #[utoipa::path(post, path = $list, tag = $tag, request_body = shape::$body,
                responses((status = 200, body = shape::$answer), (status = "default", body = ErrorBody)))]
            async fn create(
                State(state): State<AdminState>,
                asker: Asker,
                Body(sent): Body,
            ) -> Result<Response, Refused> {
                RESOURCE.create(&state, &asker, Value::Object(sent)).await
            }

            /// One of them.
            #[utoipa::path(get, path = $one, tag = $tag, params(("id" = String, Path)),
                responses((status = 200, body = shape::$answer), (status = "default", body = ErrorBody)))]
            async fn read(State(state): State<AdminState>, Path(id): Path<String>) -> Result<Response, Refused> {
                RESOURCE.read(&state, &id)
            }

            /// Puts another one in its place: what is not named is as if it had never been.
            #[utoipa::path(put, path = $one, tag = $tag, params(("id" = String, Path)),
                request_body = shape::$body,
                responses((status = 200, body = shape::$answer), (status = "default", body = ErrorBody)))]
            async fn replace(
                State(state): State<AdminState>,
                Path(id): Path<String>,
                asker: Asker,
                Body(sent): Body,
            ) -> Result<Response, Refused> {
                RESOURCE.replace(&state, &asker, &id, Value::Object(sent)).await
            }

            /// Changes what the body names (JSON merge patch): null takes a field away, all else stays.
            #[utoipa::path(patch, path = $one, tag = $tag, params(("id" = String, Path)),
                request_body = shape::$patch,
                responses((status = 200, body = shape::$answer), (status = "default", body = ErrorBody)))]
            async fn patch(
                State(state): State<AdminState>,
                Path(id): Path<String>,
                asker: Asker,
                Body(sent): Body,
            ) -> Result<Response, Refused> {
                RESOURCE.patch(&state, &asker, &id, Value::Object(sent)).await
            }

            /// Takes it away.
            #[utoipa::path(delete, path = $one, tag = $tag, params(("id" = String, Path)),
                responses((status = 200, body = shape::Done), (status = "default", body = ErrorBody)))]
            async fn delete(
                State(state): State<AdminState>,
                Path(id): Path<String>,
                asker: Asker,
            ) -> Result<Response, Refused> {
                RESOURCE.delete(&state, &asker, &id).await
            }
        }
    };
}

resource!(teams: Resource { slot: Slot::Team, one: "team", many: "teams", title: "team", shown_only: &[] },
    "/api/governance/teams", "/api/governance/teams/{id}", "teams", Team, TeamPatch, TeamAnswer, TeamList);
resource!(customers:
    Resource { slot: Slot::Customer, one: "customer", many: "customers", title: "customer", shown_only: &["teams"] },
    "/api/governance/customers", "/api/governance/customers/{id}", "customers",
    Customer, CustomerPatch, CustomerAnswer, CustomerList);
resource!(model_configs:
    Resource {
        slot: Slot::ModelConfig, one: "model_config", many: "model_configs", title: "model config", shown_only: &[]
    },
    "/api/governance/model-configs", "/api/governance/model-configs/{id}", "model limits",
    ModelConfig, ModelConfigPatch, ModelConfigAnswer, ModelConfigList);
resource!(providers:
    Resource {
        slot: Slot::ProviderGovernance, one: "provider", many: "providers", title: "provider limit",
        shown_only: &["provider"]
    },
    "/api/governance/providers", "/api/governance/providers/{id}", "provider limits",
    ProviderGovernance, ProviderGovernancePatch, ProviderGovernanceAnswer, ProviderGovernanceList);
resource!(rules:
    Resource { slot: Slot::RoutingRule, one: "rule", many: "rules", title: "routing rule", shown_only: &[] },
    "/api/governance/routing-rules", "/api/governance/routing-rules/{id}", "routing rules",
    GovernanceRule, GovernanceRulePatch, GovernanceRuleAnswer, GovernanceRuleList);

pub fn routes() -> OpenApiRouter<AdminState> {
    teams::routes()
        .merge(customers::routes())
        .merge(model_configs::routes())
        .merge(providers::routes())
        .merge(rules::routes())
}
