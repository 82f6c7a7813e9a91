//! A Prometheus and a push gateway, each on a port of its own with its files in a folder of its own.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::client::{Connection, Request};
use crate::support::gateway::free_port;
use crate::support::services::Server;
use crate::support::until;

/// Where a program is; `None`, said loudly, where it is not installed.
pub fn installed(program: &str, package: &str) -> Option<String> {
    let runs = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if runs.is_ok_and(|status| status.success()) {
        return Some(program.to_owned());
    }
    eprintln!(
        "SKIPPED: {program} is not installed, nothing of it is tested here (apt-get install {package})"
    );
    None
}

/// The folder of what is deployed.
pub fn deploy() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy")
}

/// A running Prometheus that scrapes and evaluates twice a second, with the rules of `deploy/`.
pub struct Prometheus(Server);

impl Prometheus {
    pub fn start(gateway_port: u16) -> Option<Self> {
        let program = installed("prometheus", "prometheus")?;
        let folder = tempfile::tempdir().expect("a folder");
        let rules = deploy().join("prometheus/rules");
        let config = format!(
            "global: {{scrape_interval: 500ms, evaluation_interval: 500ms}}\n\
             rule_files: [{}/*.yml]\n\
             scrape_configs:\n  - job_name: bifrost\n    static_configs: [{{targets: ['127.0.0.1:{gateway_port}']}}]\n",
            rules.display()
        );
        let file = folder.path().join("prometheus.yml");
        fs::write(&file, config).expect("written");
        let port = free_port();
        let words = [
            program,
            format!("--config.file={}", file.display()),
            format!("--storage.tsdb.path={}", folder.path().join("data").display()),
            format!("--web.listen-address=127.0.0.1:{port}"),
            "--enable-feature=exemplar-storage".to_owned(),
            "--log.level=warn".to_owned(),
        ];
        let prometheus = Self(Server::start(folder, port, "TERM", &words));
        until("Prometheus to be ready", || prometheus.try_get("/-/ready").map(drop));
        Some(prometheus)
    }

    /// The data of an answer of the API.
    pub fn ask(&self, path: &str) -> Value {
        let answer = self.try_get(path).unwrap_or_else(|| panic!("no answer to {path}"));
        let answer: Value = serde_json::from_str(&answer).expect("JSON");
        assert_eq!(answer["status"], "success", "{path}: {answer}");
        answer["data"].clone()
    }

    /// What an expression is now: the values of its series.
    pub fn values(&self, expression: &str) -> Vec<f64> {
        let data = self.ask(&format!("/api/v1/query?query={}", encoded(expression)));
        match data["resultType"].as_str() {
            Some("vector") => {
                data["result"].as_array().expect("a list").iter().map(|one| number(&one["value"])).collect()
            }
            Some("scalar") => vec![number(&data["result"])],
            other => panic!("{expression} is a {other:?}"),
        }
    }

    fn try_get(&self, path: &str) -> Option<String> {
        get(self.0.port, path)
    }
}

/// A running push gateway.
pub struct PushGateway(Server);

impl PushGateway {
    pub fn start() -> Option<Self> {
        let program = installed("prometheus-pushgateway", "prometheus-pushgateway")?;
        let port = free_port();
        Some(Self::at(&program, port))
    }

    fn at(program: &str, port: u16) -> Self {
        let words = [
            program.to_owned(),
            format!("--web.listen-address=127.0.0.1:{port}"),
            // Debian's keeps what it has for all that are ever started.
            "--persistence.file=".to_owned(),
            "--log.level=warn".to_owned(),
        ];
        let gateway = Self(Server::start(tempfile::tempdir().expect("a folder"), port, "TERM", &words));
        until("the push gateway to be ready", || get(port, "/-/ready").map(drop));
        gateway
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.0.port)
    }

    /// Stops it, and starts another one in its place that knows nothing.
    pub fn replace(&mut self, meanwhile: impl FnOnce()) {
        self.0.stop();
        meanwhile();
        self.0 = Self::at("prometheus-pushgateway", self.0.port).0;
    }

    /// What it would tell Prometheus.
    pub fn metrics(&self) -> String {
        get(self.0.port, "/metrics").expect("metrics")
    }
}

fn get(port: u16, path: &str) -> Option<String> {
    let mut connection = Connection::open(([127, 0, 0, 1], port).into()).ok()?;
    connection
        .ask(&Request::get(path))
        .ok()
        .filter(|answer| answer.status() == 200)
        .map(|answer| answer.text())
}

fn number(value: &Value) -> f64 {
    value[1].as_str().expect("a value").parse().expect("a number")
}

pub fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}
