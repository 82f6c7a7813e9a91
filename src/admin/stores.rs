//! How the stores do, for `/health` and `/metrics`. A store that is gone makes nobody unhealthy: requests are served on.

use serde_json::{Value, json};

use crate::proxy::Gateway;
use crate::store::Store;

/// `ok`, `unavailable`, or `disabled` where there is none. Why is in the log: it may name hosts and paths.
#[must_use]
pub fn word(store: Option<&Store>) -> &'static str {
    match store {
        None => "disabled",
        Some(store) if store.is_open() && store.trouble().is_none() => "ok",
        Some(_) => "unavailable",
    }
}

/// What `/health` tells.
#[must_use]
pub fn details(gateway: &Gateway) -> Value {
    let mut found = json!({ "config": word(gateway.store.as_deref()) });
    if let (Some(kept), Some(fields)) = (&gateway.kept, found.as_object_mut()) {
        let keeping = &kept.keeping;
        let ledger = json!({
            "status": if keeping.is_failing() { "unavailable" } else { word(Some(&kept.store)) },
            "restored": keeping.is_restored(),
            "spends": keeping.counted(),
            "unreadable_lines": keeping.unreadable(),
            "unread_bytes": keeping.unread_bytes(),
        });
        fields.insert("ledger".to_owned(), ledger);
    }
    if let (Some(log), Some(fields)) = (&gateway.requests, found.as_object_mut()) {
        let well = log.requests.is_open() && log.requests.trouble().is_none();
        fields.insert("requests".to_owned(), json!(if well { "ok" } else { "unavailable" }));
    }
    found
}

/// Brings the metrics of the stores up to date.
pub fn note(gateway: &Gateway) {
    let metrics = &gateway.metrics.stores;
    let up = |name: &str, is: bool| metrics.up.with_label_values(&[name]).set(i64::from(is));
    if let Some(store) = &gateway.store {
        up("config", word(Some(store)) == "ok");
    }
    if let Some(log) = &gateway.requests {
        up("requests", log.requests.is_open() && log.requests.trouble().is_none());
    }
    if let Some(log) = &gateway.requests {
        up("requests", log.is_well());
    }
    let Some(kept) = &gateway.kept else { return };
    let keeping = &kept.keeping;
    up("ledger", !keeping.is_failing() && word(Some(&kept.store)) == "ok");
    metrics.spends.inc_by(keeping.counted().saturating_sub(metrics.spends.get()));
    metrics.unreadable.inc_by(keeping.unreadable().saturating_sub(metrics.unreadable.get()));
    metrics.unread.set(i64::try_from(keeping.unread_bytes()).unwrap_or(i64::MAX));
}
