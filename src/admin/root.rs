//! `/`: what this is and where to go.

use serde_json::json;

use crate::config::snapshot::Snapshot;
use crate::proxy::respond::Reply;
use crate::route::endpoint;

/// A short JSON page for whoever opens the address.
#[must_use]
pub fn start_page(snapshot: &Snapshot) -> Reply {
    let endpoints: Vec<String> = endpoint::all().map(|(method, path)| format!("{method} {path}")).collect();
    let providers: Vec<&str> = snapshot.providers.iter().map(|provider| &*provider.name).collect();
    let body = json!({
        "name": "bifrost",
        "version": env!("CARGO_PKG_VERSION"),
        "providers": providers,
        "endpoints": endpoints,
    });
    Reply::json(200, serde_json::to_string_pretty(&body).unwrap_or_default())
}
