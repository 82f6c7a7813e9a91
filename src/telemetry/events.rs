//! What happens to the gateway, under names that stay: one type for each event makes its log line and its metric.
//!
//! Operators search for these names and alert on them, so a name is never changed and never means another thing.
//! `docs/logging.md` lists them; a test keeps it so. What happens to single requests is in their own lines.

use std::sync::LazyLock;

use log::Level;
use prometheus::{IntCounterVec, Opts};
use serde_json::{Map, Value, json};

use super::redact;

/// The target of event lines: their text is the members of a JSON object.
pub const EVENT: &str = "bifrost::event";

/// An event as the documentation has it.
#[derive(Debug, Clone, Copy)]
pub struct Known {
    pub name: &'static str,
    pub level: Level,
    /// Fields of its line, beside `msg` and `event`.
    pub fields: &'static [&'static str],
    pub means: &'static str,
}

/// Each event: its name, its level, its fields and its words.
macro_rules! events {
    ($($(#[doc = $means:literal])+ $kind:ident($name:literal, $level:ident) {
        $($field:ident: $type:ty),*
    } $text:literal)+) => {
        /// Something that happened.
        #[derive(Debug, Clone, Copy)]
        pub enum Event<'a> {
            $($(#[doc = $means])+ $kind { $($field: $type),* },)+
        }

        /// All events, in the order of the documentation.
        pub const ALL: &[Known] = &[$(Known {
            name: $name,
            level: Level::$level,
            fields: &[$(stringify!($field)),*],
            means: concat!($($means),+),
        }),+];

        impl Event<'_> {
            fn known(&self) -> (&'static str, Level) {
                match self {
                    $(Self::$kind { .. } => ($name, Level::$level),)+
                }
            }

            #[allow(unused_variables, reason = "not every field is in the words")]
            fn words(&self) -> String {
                match self {
                    $(Self::$kind { $($field),* } => format!($text),)+
                }
            }

            fn fields(&self, into: &mut Map<String, Value>) {
                match self {
                    $(Self::$kind { $($field),* } => {
                        $(into.insert(stringify!($field).to_owned(), json!($field));)*
                    })+
                }
            }
        }
    };
}

events! {
    /// A target failed so often that it is left alone for a while.
    CircuitOpened("circuit_opened", Warn) { key: &'a str, model: &'a str, rest_ms: u64, why: &'a str }
        "circuit open for {rest_ms} ms: key {key}, model {model} ({why})"
    /// A target whose circuit was open answers again.
    CircuitClosed("circuit_closed", Info) { key: &'a str, model: &'a str }
        "circuit closed: key {key}, model {model} answers again"
    /// A provider key, or one model of it, is not used for a while: refused, over its rate limit, out of quota.
    KeyRests("key_rests", Warn) { key: &'a str, model: &'a str, rest_ms: u64, why: &'a str }
        "key {key} rests for {rest_ms} ms ({why})"
    /// A provider key that rested answered before its time was over.
    KeyBack("key_back", Info) { key: &'a str, model: &'a str }
        "key {key} is back"
    /// One of several servers of a provider is left alone for a while.
    ServerRests("server_rests", Warn) { provider: &'a str, server: &'a str, rest_ms: u64, why: &'a str }
        "server {server} of {provider} is left alone for {rest_ms} ms ({why})"
    /// A server's health check says something else than before.
    ServerChecked("server_checked", Info) { provider: &'a str, server: &'a str, up: bool, told: &'a str }
        "server {server} of {provider} is {told}"
    /// A configuration was read and is in force.
    ConfigReloaded("config_reloaded", Info) { version: u64 }
        "configuration reloaded, version {version}"
    /// A configuration was read and refused; the old one stays.
    ConfigRejected("config_rejected", Error) { problems: usize }
        "the configuration has {problems} problem(s); the old one stays"
    /// The configuration was changed over the administration.
    ConfigChanged("config_changed", Info) { action: &'a str, revision: u64 }
        "{action} (revision {revision})"
    /// A store cannot be reached; it is tried again.
    StoreLost("store_lost", Warn) { store: &'a str, why: &'a str, retry_ms: u64 }
        "{store}: {why}; tried again in {retry_ms} ms"
    /// A store is open, for the first time or again.
    StoreBack("store_back", Info) { store: &'a str }
        "the store is open: {store}"
    /// Spends cannot be brought from the journal to the ledger.
    LedgerBehind("ledger_behind", Warn) { why: &'a str }
        "the ledger waits ({why}); spends are in the journal meanwhile"
    /// The ledger has all spends of the journal again.
    LedgerUpToDate("ledger_up_to_date", Info) {}
        "the ledger is up to date again"
    /// A spend could not be written to the journal: it is kept in memory until it can be.
    SpendUnwritten("spend_unwritten", Error) { why: &'a str }
        "a spend could not be written down ({why}): kept in memory until it can"
    /// All spends are in the journal again.
    SpendsWritten("spends_written", Info) {}
        "all spends are written down again"
    /// Requests cannot be written to the request log: they wait, and are dropped when too many do.
    RequestLogBehind("request_log_behind", Warn) { why: &'a str }
        "the request log waits ({why}); requests are served on"
    /// The request log is written again.
    RequestLogBack("request_log_back", Info) {}
        "the request log is written again"
    /// Requests were dropped that should have been in the request log.
    RequestsUnlogged("requests_unlogged", Warn) { requests: u64 }
        "{requests} requests are not in the request log: its database is too slow or away"
    /// A collector takes no traces.
    CollectorLost("collector_lost", Warn) { collector: &'a str, why: &'a str }
        "the collector {collector} takes no traces: {why}"
    /// A collector takes traces again.
    CollectorBack("collector_back", Info) { collector: &'a str }
        "the collector {collector} takes traces again"
    /// Metrics cannot be pushed.
    PushLost("push_lost", Warn) { why: &'a str }
        "metrics could not be pushed: {why}"
    /// The push gateway takes metrics again.
    PushBack("push_back", Info) {}
        "the push gateway takes metrics again"
    /// Redis cannot be reached: this gateway decides alone.
    ClusterLost("cluster_lost", Error) { why: &'a str }
        "cluster: Redis does not answer ({why}); this gateway goes on with what it has leased"
    /// Redis answers, for the first time or again.
    ClusterBack("cluster_back", Info) { told: &'a str }
        "{told}"
    /// An owner has used up a budget or a limit. Told once, until there is something left again.
    BudgetUsedUp("budget_used_up", Warn) { owner: &'a str, what: &'a str }
        "{owner} has used up its {what}"
    /// A stream broke, and another attempt went on with it.
    StreamRecovered("stream_recovered", Info) { request_id: &'a str, provider: &'a str, model: &'a str }
        "request {request_id}: a stream that broke is gone on with by {provider}/{model}"
    /// A step of an upgrade without downtime.
    UpgradeStep("upgrade_step", Info) { step: &'a str }
        "upgrade: {step}"
    /// An upgrade came to nothing: this process serves on.
    UpgradeFailed("upgrade_failed", Error) { why: &'a str }
        "upgrade: {why}"
    /// Another process serves; this one ends with its last request.
    HandedOver("handed_over", Info) { to: u32 }
        "process {to} serves; this one ends with its last request"
    /// The level of log lines was changed at run time.
    LogLevelChanged("log_level_changed", Info) { levels: &'a str, by: &'a str }
        "log levels are {levels} now (changed by {by})"
}

/// Counted by name.
pub static COUNTED: LazyLock<Option<IntCounterVec>> = LazyLock::new(|| {
    let opts = Opts::new("bifrost_events_total", "What happened to the gateway, by the name of the event");
    let counter = IntCounterVec::new(opts, &["event"]).ok()?;
    // Alerts on what has not happened yet need its zero.
    ALL.iter().for_each(|known| drop(counter.with_label_values(&[known.name])));
    Some(counter)
});

/// Says it: one line, and one more in `bifrost_events_total`.
pub fn emit(event: Event<'_>) {
    let (name, level) = event.known();
    if let Some(counted) = COUNTED.as_ref() {
        counted.with_label_values(&[name]).inc();
    }
    if log::log_enabled!(target: EVENT, level) {
        log::log!(target: EVENT, level, "{}", event.members());
    }
}

/// A step of an upgrade.
pub fn step(step: &str) {
    emit(Event::UpgradeStep { step });
}

/// The words of an event line; `None` when it is none.
#[must_use]
pub fn for_people(members: &str) -> Option<String> {
    let fields: Value = serde_json::from_str(&format!("{{{members}}}")).ok()?;
    Some(fields.get("msg")?.as_str()?.to_owned())
}

impl Event<'_> {
    /// The members of its line: no brace, no comma in front.
    #[must_use]
    pub fn members(&self) -> String {
        let mut fields = Map::new();
        fields.insert("msg".to_owned(), self.words().into());
        fields.insert("event".to_owned(), self.known().0.into());
        self.fields(&mut fields);
        // What is not there is not told.
        fields.retain(|_, value| value != "");
        let text = Value::Object(fields).to_string();
        let members = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or_default();
        redact::told(members).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::fmt::Write as _;

    use super::*;

    #[test]
    fn a_line_has_its_words_its_name_and_its_fields() {
        let event = Event::CircuitOpened { key: "openai/main", model: "", rest_ms: 500, why: "a \"b\"" };
        let line: Value = serde_json::from_str(&format!("{{{}}}", event.members())).unwrap();
        let expected = json!({
            "msg": "circuit open for 500 ms: key openai/main, model  (a \"b\")", "event": "circuit_opened",
            "key": "openai/main", "rest_ms": 500, "why": "a \"b\"",
        });
        assert_eq!(line, expected);
        assert_eq!(for_people(&event.members()).unwrap(), expected["msg"].as_str().unwrap());
    }

    #[test]
    fn a_secret_in_an_event_is_not_told() {
        let event =
            Event::StoreLost { store: "logs", why: "postgres://app:hunter2@db/x is gone", retry_ms: 5 };
        assert!(!event.members().contains("hunter2"));
    }

    #[test]
    fn every_event_is_counted_from_zero_and_has_one_name() {
        let names: HashSet<&str> = ALL.iter().map(|known| known.name).collect();
        assert_eq!(names.len(), ALL.len());
        let counted = COUNTED.as_ref().unwrap();
        for known in ALL {
            assert!(counted.get_metric_with_label_values(&[known.name]).is_ok());
        }
        let before = counted.with_label_values(&["ledger_up_to_date"]).get();
        emit(Event::LedgerUpToDate {});
        assert_eq!(counted.with_label_values(&["ledger_up_to_date"]).get(), before + 1);
    }

    /// `docs/logging.md` lists every event; `BIFROST_BLESS=1` writes the list.
    #[test]
    fn the_documentation_lists_every_event() {
        let mut table = "| Event | Level | Fields | What it means |\n|---|---|---|---|\n".to_owned();
        for Known { name, level, fields, means } in ALL {
            let fields: Vec<String> = fields.iter().map(|field| format!("`{field}`")).collect();
            let level = level.as_str().to_lowercase();
            writeln!(table, "| `{name}` | {level} | {} |{means} |", fields.join(", ")).unwrap();
        }
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/logging.md");
        let page = std::fs::read_to_string(&path).unwrap();
        let (before, rest) = page.split_once("<!-- events -->\n").unwrap();
        let (_, after) = rest.split_once("<!-- end of events -->").unwrap();
        let wanted = format!("{before}<!-- events -->\n{table}<!-- end of events -->{after}");
        if std::env::var_os("BIFROST_BLESS").is_some() {
            std::fs::write(&path, &wanted).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), wanted, "run with BIFROST_BLESS=1");
    }
}
