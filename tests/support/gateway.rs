//! The real binary as a child process on a port of its own.

use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use serde_json::Value;
use tempfile::TempDir;

use super::client::{Connection, Request, Response};
use super::{Watched, until};

/// A running gateway; killed when dropped.
pub struct Gateway {
    child: Child,
    pub port: u16,
    pub folder: Arc<TempDir>,
    log: Arc<Watched<Vec<String>>>,
}

impl Gateway {
    /// Starts with `config`; its `server` section is made here.
    pub fn start(config: &Value) -> Self {
        let folder = Arc::new(tempfile::tempdir().expect("a folder"));
        write_config(folder.path(), config);
        Self::launch(folder, free_port(), &[], &[])
    }

    /// Starts in `folder`, on `port`, with what else is on the command line and in the environment.
    pub fn launch(folder: Arc<TempDir>, port: u16, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let gateway = Self::spawn(folder, port, arguments, environment);
        gateway.wait_until_healthy();
        gateway
    }

    /// Starts without waiting.
    pub fn spawn(folder: Arc<TempDir>, port: u16, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut child = command(folder.path())
            .args(["--host", "127.0.0.1", "--port", &port.to_string(), "--threads", "2", "--app-dir"])
            .arg(folder.path())
            .args(arguments)
            .envs(environment.iter().copied())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the gateway starts");
        let log = Watched::new(Vec::new());
        let (lines, stderr) = (Arc::clone(&log), child.stderr.take().expect("piped"));
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                lines.change(|all: &mut Vec<String>| all.push(line));
            }
        });
        Self { child, port, folder, log }
    }

    fn wait_until_healthy(&self) {
        until("the gateway to answer /health", || {
            let mut connection = Connection::open(self.address()).ok()?;
            connection.ask(&Request::get("/health")).ok().filter(|answer| answer.status() == 200)
        });
    }

    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    pub fn connect(&self) -> Connection {
        Connection::open(self.address()).expect("the gateway accepts")
    }

    /// One request on a connection of its own.
    pub fn ask(&self, request: &Request) -> Response {
        self.connect().ask(request).expect("an answer")
    }

    pub fn get(&self, path: &str) -> Response {
        self.ask(&Request::get(path))
    }

    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("a pid")
    }

    /// Resident memory, in kB.
    pub fn memory_kb(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("a process");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
        line.split_whitespace().next().and_then(|word| word.parse().ok()).expect("a number")
    }

    pub fn signal(&self, signal: i32) {
        let sent = Command::new("kill").arg(format!("-{signal}")).arg(self.pid().to_string()).status();
        assert!(sent.expect("kill runs").success());
    }

    /// Waits for the process to end by itself.
    pub fn wait_for_exit(&mut self) -> ExitStatus {
        let child = &mut self.child;
        until("the gateway to exit", || child.try_wait().expect("a child"))
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_none()
    }

    /// All log lines so far.
    pub fn log(&self) -> Vec<String> {
        self.log.lock().clone()
    }

    /// The request line of the request with this id, as soon as it is there. Metrics are counted by then.
    pub fn request_line(&self, id: &str) -> Value {
        self.log.wait_for(&format!("the log line of {id}"), |lines| {
            lines
                .iter()
                .filter(|line| line.contains(id))
                .filter_map(|line| serde_json::from_str::<Value>(line).ok())
                // What happens on its way has a name; its end has none.
                .find(|line| line["request_id"] == id && line["event"].is_null())
        })
    }

    /// Waits for a log line that contains `text`.
    pub fn wait_for_log(&self, text: &str) -> String {
        self.log.wait_for(text, |lines| lines.iter().find(|line| line.contains(text)).cloned())
    }

    /// The sum of a metric's samples that have all these labels.
    pub fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let text = self.get("/metrics").text();
        text.lines()
            .filter_map(|line| line.strip_prefix(name))
            .filter(|rest| rest.starts_with(['{', ' ']))
            .filter(|rest| labels.iter().all(|(label, value)| rest.contains(&format!("{label}=\"{value}\""))))
            .filter_map(|rest| rest.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }

    pub fn health(&self) -> Value {
        self.get("/health").json()
    }

    pub fn config_file(&self) -> PathBuf {
        self.folder.path().join("config.json")
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.log();
            let from = log.len().saturating_sub(30);
            eprintln!("last lines of the gateway's log:\n{}", log[from..].join("\n"));
        }
    }
}

/// The binary with nothing of the tester's environment.
pub fn command(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bifrost"));
    command.env_clear().env("HOME", home).env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
}

/// Runs the binary to its end: exit code, standard output, standard error.
pub fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let home = tempfile::tempdir().expect("a folder");
    let mut child = command(home.path())
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let read = |stream: Option<Box<dyn Read + Send>>| {
        std::thread::spawn(move || {
            let mut text = String::new();
            stream.map(|mut stream| stream.read_to_string(&mut text));
            text
        })
    };
    let out = read(child.stdout.take().map(|s| Box::new(s) as _));
    let err = read(child.stderr.take().map(|s| Box::new(s) as _));
    let status = until("the command to end", || child.try_wait().expect("a child"));
    (status.code(), out.join().expect("read"), err.join().expect("read"))
}

/// Writes `config` with a `server` section whose files are in `folder`, by replacing the file at once. Unless it says who looks
/// after the gateway, whoever is on this machine does.
pub fn write_config(folder: &Path, config: &Value) {
    let mut config = config.clone();
    if let Some(fields) = config.as_object_mut() {
        let server = fields.entry("server").or_insert_with(|| serde_json::json!({}));
        server["pid_file"] = folder.join("pid").to_string_lossy().into();
        server["upgrade_socket"] = folder.join("upgrade.sock").to_string_lossy().into();
        if !fields.contains_key("auth_config") {
            let governance = fields.entry("governance").or_insert_with(|| serde_json::json!({}));
            if governance.get("auth_config").is_none() {
                governance["auth_config"] = serde_json::json!({"is_enabled": false});
            }
        }
    }
    write_text(folder, &config.to_string());
}

/// Replaces the configuration file by any text.
pub fn write_text(folder: &Path, text: &str) {
    let fresh = folder.join("config.json.new");
    std::fs::write(&fresh, text).expect("written");
    std::fs::rename(&fresh, folder.join("config.json")).expect("renamed");
}

/// A port that is free, below the range that the system hands out by itself.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = 10_000 + u16::try_from(std::process::id() % 1_000).unwrap_or(0) * 20;
    until("a free port", || {
        let port = start + NEXT.fetch_add(1, Ordering::Relaxed) % 2_000;
        TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok().map(|_| port)
    })
}
