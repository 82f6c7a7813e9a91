//! `vector_store`: which store keeps answers and vectors. Without one the gateway keeps them itself.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use super::super::Compiler;
use super::super::stores::{self, Fields};
use crate::config::cache::{Embedded, Qdrant, Redis, StoreKind, Weaviate};
use crate::config::document::At;
use crate::config::problem::child;
use crate::config::raw;
use crate::config::snapshot::Secret;
use crate::config::span;

const POINTER: &str = "/vector_store";
const KINDS: &str = "use embedded, weaviate, redis, qdrant, pgvector or memory";
/// Of one question to a store, unless it says otherwise.
const TIMEOUT: Duration = Duration::from_secs(5);

const EMBEDDED: [&str; 3] = ["path", "max_entries", "max_size_mb"];
const WEAVIATE: [&str; 9] = [
    "scheme",
    "host",
    "api_key",
    "headers",
    "timeout",
    "class_name",
    // Of the original: queries go over REST and GraphQL here, and the properties are the gateway's own.
    "grpc_config",
    "properties",
    "namespace",
];
const REDIS: [&str; 16] = [
    "addr",
    "username",
    "password",
    "db",
    "use_tls",
    "context_timeout",
    "read_timeout",
    // Of the original's pool: one connection carries all questions here.
    "write_timeout",
    "dial_timeout",
    "pool_size",
    "max_active_conns",
    "min_idle_conns",
    "max_idle_conns",
    "conn_max_lifetime",
    "conn_max_idle_time",
    "insecure_skip_verify",
];
const QDRANT: [&str; 5] = ["host", "port", "api_key", "use_tls", "timeout"];
const QDRANT_PORT: u16 = 6334;

/// What was chosen; no kind: memory alone.
pub(super) struct Chosen {
    pub(super) kind: Option<StoreKind>,
}

pub(super) fn compile(compiler: &mut Compiler<'_>, raw: Option<&raw::Store>) -> Chosen {
    let Some(store) = raw else { return Chosen { kind: Some(StoreKind::Embedded(Embedded::default())) } };
    if !store.enabled {
        return Chosen { kind: None };
    }
    let mut reading = Reading { fields: Fields { compiler, store, pointer: POINTER } };
    let kind = match store.kind.as_deref().unwrap_or("embedded") {
        "embedded" | "sqlite" => Some(reading.embedded()),
        "memory" => {
            reading.fields.only(&[]);
            None
        }
        "weaviate" => Some(StoreKind::Weaviate(reading.weaviate())),
        "redis" | "valkey" => Some(StoreKind::Redis(reading.redis())),
        "qdrant" => Some(StoreKind::Qdrant(reading.qdrant())),
        "pgvector" | "postgres" => {
            reading.fields.only(&stores::POSTGRES);
            Some(StoreKind::Pgvector(stores::server(&mut reading.fields)))
        }
        "pinecone" => {
            reading.refuse("Pinecone is not supported: its index must be made and sized by hand");
            None
        }
        other => {
            let message = format!("{other:?} is no kind of vector store");
            reading.refuse(&message);
            None
        }
    };
    Chosen { kind }
}

struct Reading<'f, 'c, 'a> {
    fields: Fields<'f, 'c, 'a>,
}

impl Reading<'_, '_, '_> {
    fn refuse(&mut self, message: &str) {
        self.fields.compiler.problem(&child(POINTER, "type"), At::Value, format!("{message}; {KINDS}"));
    }

    fn embedded(&mut self) -> StoreKind {
        self.fields.only(&EMBEDDED);
        let path = self.fields.text("path").filter(|path| !path.is_empty());
        let usual = Embedded::default();
        let entries = self.fields.number("max_entries", 1..=10_000_000).and_then(|most| most.try_into().ok());
        let bytes = self.fields.number("max_size_mb", 1..=1 << 20).map(|most| most << 20);
        StoreKind::Embedded(Embedded {
            path: path.map(Into::into),
            entries: entries.unwrap_or(usual.entries),
            bytes: bytes.unwrap_or(usual.bytes),
        })
    }

    fn weaviate(&mut self) -> Weaviate {
        self.fields.only(&WEAVIATE);
        let tls = match self.fields.text("scheme").as_deref() {
            None | Some("http") => false,
            Some("https") => true,
            Some(_) => {
                self.wrong("scheme", "expected http or https");
                false
            }
        };
        let host = self.host("host");
        Weaviate {
            tls,
            host,
            api_key: self.secret("api_key"),
            headers: self.headers(),
            timeout: self.timeout(&["timeout"]),
            class: self.fields.text("class_name").filter(|name| !name.is_empty()).map(Arc::from),
        }
    }

    fn redis(&mut self) -> Redis {
        self.fields.only(&REDIS);
        let address = self.host("addr");
        let address = if address.contains(':') { address } else { format!("{address}:6379").into() };
        let database = self.fields.number("db", 0..=1 << 16).and_then(|db| db.try_into().ok()).unwrap_or(0);
        Redis {
            address,
            tls: self.flag("use_tls"),
            user: self.fields.text("username").filter(|name| !name.is_empty()).map(Arc::from),
            password: self.secret("password"),
            database,
            timeout: self.timeout(&["context_timeout", "read_timeout"]),
        }
    }

    fn qdrant(&mut self) -> Qdrant {
        self.fields.only(&QDRANT);
        let port = self.fields.number("port", 1..=u64::from(u16::MAX)).and_then(|port| port.try_into().ok());
        Qdrant {
            host: self.host("host"),
            port: port.unwrap_or(QDRANT_PORT),
            tls: self.flag("use_tls"),
            api_key: self.secret("api_key"),
            timeout: self.timeout(&["timeout"]),
        }
    }

    /// A host, with a port or without; addresses with a scheme are a common slip.
    fn host(&mut self, name: &str) -> Arc<str> {
        let text = self.fields.text(name).unwrap_or_default();
        if text.is_empty() {
            let message = format!("`{name}` is missing: where the store is");
            let at = child(POINTER, "config");
            self.fields.compiler.problem(&at, At::Value, message);
        } else if text.contains("://") || text.contains(['/', ' ', '@']) {
            self.wrong(name, "expected a host, with its port where needed, without a scheme: localhost:8081");
        }
        text.into()
    }

    fn secret(&mut self, name: &str) -> Option<Secret> {
        self.fields.text(name).filter(|text| !text.is_empty()).map(Secret::new)
    }

    fn headers(&mut self) -> Vec<(Arc<str>, Secret)> {
        let empty = Map::new();
        let headers = match self.fields.store.config.get("headers") {
            None | Some(Value::Null) => &empty,
            Some(Value::Object(headers)) => headers,
            Some(_) => {
                self.wrong("headers", "expected an object of names and texts");
                &empty
            }
        };
        let mut all = Vec::new();
        for (name, value) in headers {
            match (http::HeaderName::from_bytes(name.as_bytes()), value.as_str()) {
                (Ok(_), Some(value)) => all.push((Arc::from(name.as_str()), Secret::new(value))),
                _ => self.wrong("headers", "expected names of headers and texts"),
            }
        }
        all
    }

    fn flag(&mut self, name: &str) -> bool {
        match self.fields.store.config.get(name) {
            None | Some(Value::Null) => false,
            Some(Value::Bool(set)) => *set,
            Some(_) => {
                self.wrong(name, "expected true or false");
                false
            }
        }
    }

    /// The first of these that is set.
    fn timeout(&mut self, names: &[&str]) -> Duration {
        for name in names {
            match self.fields.store.config.get(*name) {
                None | Some(Value::Null) => {}
                Some(value) => match span::read(value) {
                    Some(span) => return span,
                    None => self.wrong(name, "expected seconds, or a text as 500ms or 5s"),
                },
            }
        }
        TIMEOUT
    }

    fn wrong(&mut self, name: &str, message: &str) {
        let at = self.fields.place(name);
        self.fields.compiler.problem(&at, At::Value, message);
    }
}
