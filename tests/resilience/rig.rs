//! The stage of every row: a primary that misbehaves as scripted, a backup that never does, and the
//! gateway between them with its times shortened.

use std::time::Instant;

use serde_json::{Value, json};

use crate::support::answers::{self, WORDS};
use crate::support::client::Request;
use crate::support::gateway::Gateway;
use crate::support::told::{Told, attempts};
use crate::support::upstream::{Hit, Script, Upstream};
use crate::support::{Wire, for_each};

/// Who calls whom: one way of going through the gateway.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    pub caller: Wire,
    pub primary: Wire,
    pub backup: Wire,
    pub stream: bool,
    /// Sets the models of variants apart; scripts read it from the model's name.
    pub tag: &'static str,
}

const fn case(caller: Wire, primary: Wire, backup: Wire, stream: bool) -> Case {
    Case { caller, primary, backup, stream, tag: "plain" }
}

/// Same wire throughout, and a fallback or primary across wires.
const WHOLE: [Case; 4] = [
    case(Wire::OpenAi, Wire::OpenAi, Wire::OpenAi, false),
    case(Wire::Anthropic, Wire::Anthropic, Wire::Anthropic, false),
    case(Wire::OpenAi, Wire::OpenAi, Wire::Anthropic, false),
    case(Wire::Anthropic, Wire::OpenAi, Wire::Anthropic, false),
];
const STREAMED: [Case; 4] = [
    case(Wire::OpenAi, Wire::OpenAi, Wire::OpenAi, true),
    case(Wire::Anthropic, Wire::Anthropic, Wire::Anthropic, true),
    case(Wire::OpenAi, Wire::Anthropic, Wire::OpenAi, true),
    case(Wire::Anthropic, Wire::Anthropic, Wire::OpenAi, true),
];

/// Every case in both forms.
pub fn each(test: impl Fn(Case) + Sync) {
    for_each(&[WHOLE, STREAMED].concat(), test);
}

/// Every case of the form with every tag.
pub fn each_tagged(stream: bool, tags: &[&'static str], test: impl Fn(Case) + Sync) {
    let cases = if stream { STREAMED } else { WHOLE };
    let all: Vec<Case> =
        tags.iter().flat_map(|tag| cases.iter().map(move |case| Case { tag, ..*case })).collect();
    for_each(&all, test);
}

/// Streamed cases only.
pub fn each_stream(test: impl Fn(Case) + Sync) {
    for_each(&STREAMED, test);
}

/// Cases with a whole answer only.
pub fn each_whole(test: impl Fn(Case) + Sync) {
    for_each(&WHOLE, test);
}

impl Case {
    /// A model of this case's own: health is kept per model, so cases do not disturb each other.
    pub fn model(&self) -> String {
        let form = if self.stream { "stream" } else { "whole" };
        format!("{}-{:?}-{:?}-{:?}-{form}", self.tag, self.caller, self.primary, self.backup).to_lowercase()
    }

    pub fn primary(&self) -> &'static str {
        match self.primary {
            Wire::OpenAi => "oa",
            Wire::Anthropic => "an",
        }
    }

    pub fn backup(&self) -> &'static str {
        match self.backup {
            Wire::OpenAi => "oa-backup",
            Wire::Anthropic => "an-backup",
        }
    }
}

/// The stage.
pub struct Rig {
    pub primary: Upstream,
    pub backup: Upstream,
    pub gateway: Gateway,
}

/// The shortened clock: what a row's seconds become.
pub fn network(url: &str) -> Value {
    json!({
        "base_url": url,
        "default_request_timeout_in_seconds": 1.5,
        "stream_idle_timeout_in_seconds": 0.8,
        "ttft_timeout_in_seconds": 0.6,
        "connect_timeout_in_seconds": 1.0,
        "max_retries": 2,
        "retry_backoff_initial": 60,
        "retry_backoff_max": 3000,
    })
}

/// A provider of `wire` at `url` with these keys.
pub fn provider(wire: Wire, url: &str, keys: &[&str]) -> Value {
    let base = match wire {
        Wire::OpenAi => "openai",
        Wire::Anthropic => "anthropic",
    };
    let keys: Vec<Value> = keys.iter().map(|key| json!({"name": key, "value": key})).collect();
    json!({
        "keys": keys,
        "custom_provider_config": {"base_provider_type": base},
        "network_config": network(url),
    })
}

impl Rig {
    /// One key per provider.
    pub fn new(script: impl Fn(&Hit) -> Script + Send + Sync + 'static) -> Self {
        Self::with_keys(&["primary-key"], script)
    }

    pub fn with_keys(keys: &[&str], script: impl Fn(&Hit) -> Script + Send + Sync + 'static) -> Self {
        let primary = Upstream::start(script);
        let url = primary.url();
        Self::at(primary, &url, keys)
    }

    /// The primary is reached at `url`, wherever `primary` listens.
    pub fn at(primary: Upstream, url: &str, keys: &[&str]) -> Self {
        Self::with_network(primary, keys, |name| (url_of(name, url), json!({})))
    }

    /// Network settings that differ from [`network`], by provider: another URL, other fields.
    pub fn with_network<'u>(
        primary: Upstream,
        keys: &[&str],
        change: impl Fn(&str) -> (Option<&'u str>, Value),
    ) -> Self {
        let backup = Upstream::start(answers::healthy);
        let backup_url = backup.url();
        let mut providers = json!({});
        for (name, wire) in [
            ("oa", Wire::OpenAi),
            ("an", Wire::Anthropic),
            ("oa-backup", Wire::OpenAi),
            ("an-backup", Wire::Anthropic),
        ] {
            let (url, fields) = change(name);
            let keys = if name.ends_with("backup") { &["backup-key"] } else { keys };
            let mut provider = provider(wire, url.unwrap_or(&backup_url), keys);
            for (field, value) in fields.as_object().into_iter().flatten() {
                provider["network_config"][field] = value.clone();
            }
            providers[name] = provider;
        }
        let gateway = Gateway::start(&json!({"providers": providers}));
        Self { primary, backup, gateway }
    }

    /// Asks as the case says, with the backup as fallback.
    pub fn ask(&self, case: Case) -> Told {
        self.send(case, json!([format!("{}/{}", case.backup(), backup_model(case))]))
    }

    /// Asks without any fallback.
    pub fn ask_alone(&self, case: Case) -> Told {
        self.send(case, json!([]))
    }

    fn send(&self, case: Case, fallbacks: Value) -> Told {
        let mut body = request(&format!("{}/{}", case.primary(), case.model()), case.stream);
        body["fallbacks"] = fallbacks;
        let asked_at = Instant::now();
        let response = self.gateway.ask(&Request::json(case.caller.path(), &body));
        Told::new(case.caller, response, asked_at)
    }

    pub fn hits(&self, case: Case) -> Vec<Hit> {
        self.primary.hits_for(&case.model())
    }

    pub fn backup_hits(&self, case: Case) -> Vec<Hit> {
        self.backup.hits_for(&backup_model(case))
    }

    /// The attempts, as `extra_fields` and the log line agree on them; and the metrics count them.
    pub fn expect_attempts(&self, case: Case, told: &Told, expected: &[(&str, &str)]) {
        let expected: Vec<String> = expected.iter().map(|(who, how)| format!("{who} {how}")).collect();
        assert_eq!(told.attempts(), expected, "extra_fields.attempts of {}", told.response.text());
        self.expect_logged(case, told, &expected);
    }

    /// As [`Self::expect_attempts`], for answers whose body does not tell.
    pub fn expect_logged(&self, case: Case, told: &Told, expected: &[String]) {
        let line = self.gateway.request_line(told.id());
        assert_eq!(attempts(&line["attempts"]), expected, "attempts in the log line {line}");
        for (provider, model) in [(case.primary(), case.model()), (case.backup(), backup_model(case))] {
            for outcome in expected.iter().filter_map(|entry| entry.strip_prefix(&format!("{provider} "))) {
                let wanted =
                    expected.iter().filter(|entry| **entry == format!("{provider} {outcome}")).count();
                let labels = [("provider", provider), ("model", &model), ("outcome", outcome)];
                let counted = self.gateway.metric("bifrost_attempts_total", &labels);
                assert_eq!(counted, wanted as f64, "bifrost_attempts_total of {provider} {outcome}");
            }
        }
    }

    /// A complete, clean answer by `who` ("oa", "an-backup", …), told as it was by headers and log.
    pub fn expect_answer(&self, told: &Told, who: &str, model: &str) {
        assert_eq!(told.status(), 200, "{}", told.response.text());
        assert!(told.response.whole, "the body was cut");
        assert_eq!(told.text(), WORDS.concat(), "{}", told.response.text());
        assert_eq!(told.finishes().len(), 1, "finish reasons in {}", told.response.text());
        assert_eq!(told.terminated, told.streamed(), "terminator of {}", told.response.text());
        assert!(told.error().is_none(), "{}", told.response.text());
        assert_eq!(told.response.header("x-bf-provider"), Some(who));
        assert_eq!(told.response.header("x-bf-model"), Some(model));
        assert_eq!(told.extra()["provider"], who);
        let line = self.gateway.request_line(told.id());
        assert_eq!((&line["msg"], &line["provider"]), (&json!("request completed"), &json!(who)), "{line}");
        assert_eq!((&line["model"], &line["status"]), (&json!(model), &json!(200)), "{line}");
        assert!(line.get("error").is_none(), "{line}");
    }

    pub fn expect_primary(&self, case: Case, told: &Told) {
        self.expect_answer(told, case.primary(), &case.model());
    }

    pub fn expect_backup(&self, case: Case, told: &Told) {
        self.expect_answer(told, case.backup(), &backup_model(case));
        let hits = self.backup_hits(case);
        assert_eq!(hits.len(), 1);
        assert_eq!(hits[0].key(), "backup-key");
    }

    /// The request failed as `label`: in the metrics and in the log.
    pub fn expect_failed(&self, told: &Told, label: &str) {
        let line = self.gateway.request_line(told.id());
        assert_eq!(
            (&line["msg"], &line["error"]["type"]),
            (&json!("request failed"), &json!(label)),
            "{line}"
        );
        assert!(self.gateway.metric("bifrost_errors_total", &[("type", label)]) >= 1.0);
    }

    /// The gateway serves on.
    pub fn expect_alive(&self) {
        assert_eq!(self.gateway.get("/health").status(), 200);
    }
}

fn url_of<'u>(name: &str, primary: &'u str) -> Option<&'u str> {
    (!name.ends_with("backup")).then_some(primary)
}

/// The variant that a request is for.
pub fn tag(hit: &Hit) -> &str {
    hit.model().split('-').next().unwrap_or_default()
}

/// The backup's model of a case.
pub fn backup_model(case: Case) -> String {
    format!("backup-{}", case.model())
}

/// A chat in either dialect: both take these members.
pub fn request(model: &str, stream: bool) -> Value {
    let mut body = json!({
        "model": model,
        "max_tokens": 64,
        "messages": [{"role": "user", "content": "What is the answer?"}],
    });
    if stream {
        body["stream"] = json!(true);
    }
    body
}
