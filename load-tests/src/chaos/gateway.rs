//! The gateway as a child process, and what can be seen of it from outside: its log, its memory, its
//! descriptors, its metrics.

use std::collections::VecDeque;
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Log lines that are kept to be shown with a violation.
const KEPT: usize = 20_000;

/// What Pingora says when a provider spoke out of turn on a pooled connection, which it then drops.
const PINGORAS_OWN: &str = "failed to acquire reusable stream";

/// A running gateway; killed when dropped.
pub struct Gateway {
    child: Child,
    folder: PathBuf,
    pub address: SocketAddr,
    log: Arc<Mutex<Log>>,
}

/// What its log said.
#[derive(Debug, Default)]
pub struct Log {
    lines: VecDeque<String>,
    /// Lines that tell the end of one of our requests.
    pub requests: u64,
    pub panics: Vec<String>,
    /// Lines of level error that are not about a request.
    pub errors: Vec<String>,
}

/// What a process has.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sample {
    pub rss_kb: u64,
    pub threads: u64,
    /// Open ones, but for those of databases.
    pub descriptors: usize,
}

impl Gateway {
    /// Starts `binary` with `config`, and waits until it answers.
    ///
    /// # Errors
    /// It cannot be started, or does not answer within 20 s.
    pub async fn start(binary: &Path, config: &Value) -> io::Result<Self> {
        let port = free_port()?;
        let folder = std::env::temp_dir().join(format!("bifrost-chaos-{}-{port}", std::process::id()));
        fs::create_dir_all(&folder)?;
        let mut config = config.clone();
        let file = |name: &str| Value::from(folder.join(name).to_string_lossy().into_owned());
        let server = json!({"pid_file": file("pid"), "upgrade_socket": file("upgrade.sock")});
        config.as_object_mut().map(|fields| fields.insert("server".to_owned(), server));
        fs::write(folder.join("config.json"), config.to_string())?;
        let mut child = Command::new(binary)
            .env_clear()
            .env("HOME", &folder)
            .args(["--host", "127.0.0.1", "--port", &port.to_string(), "--threads", "2", "--app-dir"])
            .arg(&folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let log = Arc::new(Mutex::new(Log::default()));
        if let Some(stderr) = child.stderr.take() {
            let log = Arc::clone(&log);
            std::thread::spawn(move || {
                for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                    log.lock().unwrap_or_else(PoisonError::into_inner).take(line);
                }
            });
        }
        let gateway = Self { child, folder, address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)), log };
        gateway.wait_until_healthy().await?;
        Ok(gateway)
    }

    async fn wait_until_healthy(&self) -> io::Result<()> {
        let until = Instant::now() + Duration::from_secs(20);
        while Instant::now() < until {
            if get(self.address, "/health").await.is_ok_and(|text| text.contains("\"ok\"")) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let last: Vec<String> = self.log().lines.iter().rev().take(5).cloned().collect();
        Err(io::Error::other(format!("the gateway does not answer; its log ends with {last:?}")))
    }

    /// Memory, threads and open descriptors now.
    #[must_use]
    pub fn sample(&self) -> Sample {
        let process = PathBuf::from(format!("/proc/{}", self.child.id()));
        let status = fs::read_to_string(process.join("status")).unwrap_or_default();
        let number = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse().ok()
        };
        Sample {
            rss_kb: number("VmRSS:").unwrap_or(0),
            threads: number("Threads:").unwrap_or(0),
            descriptors: fs::read_dir(process.join("fd")).map_or(0, |open| open.filter(is_requests).count()),
        }
    }

    /// It has not ended.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// The log so far.
    pub fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The answer to a GET, head and body.
///
/// # Errors
/// The gateway cannot be reached, or takes more than 5 s.
pub async fn get(address: SocketAddr, path: &str) -> io::Result<String> {
    let read = async {
        let mut stream = TcpStream::connect(address).await?;
        let request = format!("GET {path} HTTP/1.1\r\nhost: chaos\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await?;
        Ok(text)
    };
    tokio::time::timeout(Duration::from_secs(5), read).await.map_err(io::Error::other)?
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Log {
    fn take(&mut self, line: String) {
        if is_end(&line) {
            self.requests += 1;
        } else if line.contains("\"level\":\"error\"") && !line.contains(PINGORAS_OWN) {
            self.errors.push(line.clone());
        }
        if line.contains("panicked") {
            self.panics.push(line.clone());
        }
        if self.lines.len() == KEPT {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    /// The line that tells the end of the request with this number, if it is still kept.
    #[must_use]
    pub fn of(&self, id: u64) -> Option<&str> {
        let marker = format!("\"request_id\":\"chaos-{id}\"");
        let lines = self.lines.iter().rev();
        lines.map(String::as_str).find(|line| is_end(line) && line.contains(&marker))
    }
}

/// Not one of a database: those are of a few connections, which are made when they are needed first.
fn is_requests(open: &io::Result<fs::DirEntry>) -> bool {
    let file = open.as_ref().ok().and_then(|entry| fs::read_link(entry.path()).ok());
    file.is_none_or(|file| {
        let name = file.to_string_lossy();
        ![".db", ".db-wal", ".db-shm"].iter().any(|ending| name.ends_with(ending))
    })
}

/// The line that tells how a request ended: what happens on its way has a name.
fn is_end(line: &str) -> bool {
    line.contains("\"request_id\":\"chaos-") && !line.contains("\"event\":\"")
}

/// A port that is free now.
fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
