//! The gateway as an operator has it: a binary in a folder, replaced in place, and `bifrost upgrade`; or, when
//! `UPGRADE_UNIT` names a unit of systemd, as its service, upgraded by SIGUSR2 from `systemctl`.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::until;

/// How a loop reaches the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// A connection per request.
    Fresh,
    /// HTTP/1.1, one connection as long as it lasts.
    KeptAlive,
    /// HTTP/2 without TLS, one connection as long as it lasts.
    H2c,
    /// A handshake per request.
    Https,
}

/// The process that serves, and those that came before.
pub struct Fleet {
    /// Where everything is, when it is not where the unit says.
    folder: TempDir,
    /// The unit of systemd, if it is in charge.
    unit: Option<String>,
    /// What this test started itself; successors are started by the gateway.
    children: Vec<Child>,
    pid: u32,
    installed: u64,
    pub plain: SocketAddr,
    pub tls: SocketAddr,
    /// The certificate that callers trust.
    pub certificate: String,
}

impl Fleet {
    pub fn launch(upstream: SocketAddr) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pair = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let (plain, tls) = (free(), free());
        let config = json!({
            "server": {"host": "127.0.0.1", "port": plain.port(), "threads": 2, "tls": {"port": tls.port()}},
            "providers": {"oa": {
                "keys": [{"name": "main", "value": "provider-key"}],
                "custom_provider_config": {"base_provider_type": "openai"},
                "network_config": {"base_url": format!("http://{upstream}"), "max_retries": 0},
            }},
        });
        let certificate = pair.cert.pem();
        let unit = std::env::var("UPGRADE_UNIT").ok();
        let mut fleet =
            Self { folder, unit, children: Vec::new(), pid: 0, installed: 0, plain, tls, certificate };
        fleet.configure(config, pair.signing_key.serialize_pem());
        fleet.install_next();
        fleet.start_again();
        fleet
    }

    fn configure(&self, mut config: Value, key: String) {
        for (field, name, text) in [("cert", "tls.pem", self.certificate.clone()), ("key", "tls.key", key)] {
            std::fs::write(self.file(name), text).unwrap();
            config["server"]["tls"][field] = json!(self.file(name));
        }
        if self.unit.is_none() {
            config["server"]["upgrade_socket"] = json!(self.file("upgrade.sock"));
            config["server"]["pid_file"] = json!(self.file("pid"));
        }
        std::fs::write(self.file("config.json"), config.to_string()).unwrap();
    }

    fn file(&self, name: &str) -> PathBuf {
        match (&self.unit, name.starts_with("bifrost")) {
            (None, _) => self.folder.path().join(name),
            (Some(_), true) => Path::new("/usr/local/bin").join(name),
            (Some(_), false) => Path::new("/etc/bifrost").join(name),
        }
    }

    fn systemctl(&self, words: &[&str]) -> Output {
        let unit = self.unit.as_deref().expect("a unit");
        let output = Command::new("systemctl").args(words).arg(unit).output().unwrap();
        assert!(output.status.success(), "systemctl {words:?}: {}", String::from_utf8_lossy(&output.stderr));
        output
    }

    /// The process that serves.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Puts another binary in the place of the one that runs, as a package manager does: by renaming.
    pub fn install_next(&mut self) {
        self.installed += 1;
        let fresh = self.file("bifrost.new");
        // By a process of its own: a file that this one writes is busy in every process that it forks meanwhile.
        let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_bifrost")).arg(&fresh).status().unwrap();
        assert!(copied.success());
        std::fs::rename(fresh, self.file("bifrost")).unwrap();
    }

    /// Whether the process that serves runs the file that is there now.
    pub fn runs_what_was_installed(&self) -> bool {
        let inode = |path: PathBuf| std::fs::metadata(path).map(|about| about.ino()).ok();
        inode(PathBuf::from(format!("/proc/{}/exe", self.pid))) == inode(self.file("bifrost"))
    }

    /// Starts the binary as a supervisor would and waits until it serves.
    pub fn start_again(&mut self) {
        if self.unit.is_some() {
            // Comes back when the service is ready: its first request must be answered.
            self.systemctl(&["start"]);
            assert!(TcpStream::connect(self.plain).is_ok(), "started and not ready");
            self.pid = self.named().expect("a main process");
            return;
        }
        let log = std::fs::File::options().create(true).append(true).open(self.file("log")).unwrap();
        let child = Command::new(self.file("bifrost"))
            .env_clear()
            .arg("--config")
            .arg(self.file("config.json"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let pid = child.id();
        self.children.push(child);
        until("the gateway to serve", Duration::from_secs(30), || {
            self.named() == Some(pid) && TcpStream::connect(self.plain).is_ok()
        });
        self.pid = pid;
    }

    /// Runs `bifrost upgrade` of the installed binary, or tells the service to.
    pub fn upgrade(&self) -> Output {
        if self.unit.is_some() {
            let told = self.systemctl(&["kill", "--kill-who=main", "--signal=USR2"]);
            until("another main process", Duration::from_secs(60), || {
                self.named().is_some_and(|pid| pid != self.pid)
            });
            return told;
        }
        Command::new(self.file("bifrost"))
            .env_clear()
            .arg("upgrade")
            .arg("--socket")
            .arg(self.file("upgrade.sock"))
            .output()
            .unwrap()
    }

    /// Goes over to the process that the pid file names, once it names another one.
    pub fn follow(&mut self) {
        let old = self.pid;
        until("the pid file of the new process", Duration::from_secs(30), || {
            self.named().is_some_and(|pid| pid != old)
        });
        self.pid = self.named().unwrap();
        // The first process is this test's child; it must not stay as a zombie.
        self.children
            .retain_mut(|child| child.id() == self.pid || child.try_wait().is_ok_and(|end| end.is_none()));
    }

    /// The process that the supervisor, or else the pid file names.
    fn named(&self) -> Option<u32> {
        if self.unit.is_some() {
            let shown = self.systemctl(&["show", "--property=MainPID", "--value"]);
            return String::from_utf8_lossy(&shown.stdout).trim().parse().ok().filter(|pid| *pid != 0);
        }
        std::fs::read_to_string(self.file("pid")).ok()?.trim().parse().ok()
    }

    /// Ends what serves and waits until it has ended by itself.
    pub fn end(&mut self) {
        if self.unit.is_some() {
            self.systemctl(&["stop"]);
            assert!(!lives(self.pid));
            let shown = self.systemctl(&["show", "--property=Result,NRestarts"]);
            let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
            assert!(shown.contains("Result=success") && shown.contains("NRestarts=0"), "{shown}");
            return;
        }
        assert!(Command::new("kill").arg(self.pid.to_string()).status().unwrap().success());
        until("the last process to end", Duration::from_secs(30), || !lives(self.pid));
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
        if lives(self.pid) {
            let _ = Command::new("kill").arg("-9").arg(self.pid.to_string()).status();
        }
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.file("log")).unwrap_or_default();
            let noise = |line: &&str| line.contains("\"request_id\"") || line.contains("pingora");
            let told: Vec<&str> = log.lines().filter(|line| !noise(line)).collect();
            eprintln!("the gateways' log:\n{}", told[told.len().saturating_sub(60)..].join("\n"));
        }
    }
}

/// Whether a process runs. One that has ended but was not waited for does not; one whose first thread has ended
/// while others hold its sockets does.
pub fn lives(pid: u32) -> bool {
    let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok();
    let state = state.as_deref().and_then(|stat| stat.rsplit(") ").next()?.chars().next());
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
    state.is_some_and(|state| !matches!(state, 'Z' | 'X') || threads > 1)
}

/// As many descriptors as the system allows, for callers and upstream in this process.
pub fn raise_descriptors() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).unwrap();
}

/// A free port below the range that outgoing connections use.
fn free() -> SocketAddr {
    static NEXT: std::sync::atomic::AtomicU16 = std::sync::atomic::AtomicU16::new(0);
    let start = 24_000 + u16::try_from(std::process::id() % 300).unwrap() * 20;
    loop {
        let port = start + NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        }
    }
}
