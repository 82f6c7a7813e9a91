//! Real servers for tests: Postgres and Redis, each on a port of its own with its files in a folder of its own.
//!
//! They end with the test process, however that ends: a shell in between stops the server when its standard input is
//! closed. Where a server is not installed the tests that need it say so loudly and pass; `.ci/tools.sh` installs both.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;

use super::gateway::free_port;
use super::until;

/// Runs what is named until standard input is closed.
const UNTIL_CLOSED: &str = r#"signal=$1; shift; "$@" & pid=$!; read -r _; kill "-$signal" $pid; wait $pid"#;

/// A running server.
pub struct Server {
    child: Child,
    pub port: u16,
    folder: TempDir,
}

impl Server {
    /// Runs `command`, and sends it `signal` when it is to end.
    pub fn start(folder: TempDir, port: u16, signal: &str, command: &[String]) -> Self {
        let log = std::fs::File::create(folder.path().join("server.log")).expect("a log");
        let child = Command::new("sh")
            .args(["-c", UNTIL_CLOSED, "sh", signal])
            .args(command)
            .stdin(Stdio::piped())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .spawn()
            .expect("a shell");
        Self { child, port, folder }
    }

    /// Stops it and waits for its end; its files stay.
    pub fn stop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A Postgres server with a user that may do everything.
pub struct Postgres {
    server: Server,
    programs: PathBuf,
}

impl Postgres {
    pub const USER: &'static str = "bifrost";
    pub const PASSWORD: &'static str = "of-the-tests";

    /// One for all tests of the process; `None` where Postgres is not installed.
    pub fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<Postgres>> = OnceLock::new();
        SHARED.get_or_init(Self::start).as_ref()
    }

    /// One that the test may stop.
    pub fn start() -> Option<Self> {
        let Some(programs) = postgres_programs() else {
            eprintln!(
                "SKIPPED: Postgres is not installed, nothing of it is tested here (apt-get install postgresql)"
            );
            return None;
        };
        let folder = tempfile::tempdir().expect("a folder");
        // The server refuses to run as root.
        open_to_all(folder.path());
        let secret = folder.path().join("password");
        std::fs::write(&secret, Self::PASSWORD).expect("written");
        let files = folder.path().join("files");
        let arguments =
            ["--no-sync", "--encoding=UTF8", "--locale=C", "--auth=scram-sha-256", "--username", Self::USER];
        let made = Command::new("sh")
            .args(["-c", "exec \"$@\" >/dev/null", "sh"])
            .args(as_postgres(&programs.join("initdb")))
            .args(arguments)
            .arg(format!("--pwfile={}", secret.display()))
            .arg(&files)
            .status();
        assert!(made.expect("initdb runs").success(), "initdb failed");
        let server = Self::serve(&programs, folder, free_port());
        let postgres = Self { server, programs };
        postgres.wait();
        Some(postgres)
    }

    pub fn port(&self) -> u16 {
        self.server.port
    }

    /// Stops it; its files stay.
    pub fn stop(&mut self) {
        self.server.stop();
    }

    /// Starts it again where it was.
    pub fn start_again(&mut self) {
        let folder = std::mem::replace(&mut self.server.folder, tempfile::tempdir().expect("a folder"));
        self.server = Self::serve(&self.programs, folder, self.server.port);
        self.wait();
    }

    /// Makes a database; gives its name.
    pub fn database(&self) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let made = self.psql(&format!("CREATE DATABASE {name}")).status().expect("psql runs");
        assert!(made.success(), "no database was made");
        name
    }

    /// The settings of a `config_store` there.
    pub fn config(&self, database: &str) -> serde_json::Value {
        serde_json::json!({ "enabled": true, "type": "postgres", "config": {
            "host": "127.0.0.1", "port": self.port(), "user": Self::USER, "password": Self::PASSWORD,
            "db_name": database, "ssl_mode": "disable",
        }})
    }

    fn serve(programs: &Path, folder: TempDir, port: u16) -> Server {
        let mut command = as_postgres(&programs.join("postgres"));
        let place = folder.path().display();
        command.extend(["-D".to_owned(), format!("{place}/files"), "-p".to_owned(), port.to_string()]);
        for setting in
            ["fsync=off", "listen_addresses=127.0.0.1", &format!("unix_socket_directories={place}")]
        {
            command.extend(["-c".to_owned(), setting.to_owned()]);
        }
        Server::start(folder, port, "INT", &command)
    }

    fn wait(&self) {
        until("Postgres to answer", || {
            let asked = self.psql("SELECT 1").stderr(Stdio::null()).status().expect("psql runs");
            asked.success().then_some(())
        });
    }

    fn psql(&self, text: &str) -> Command {
        let mut command = Command::new(self.programs.join("psql"));
        command
            .args([
                "-h",
                "127.0.0.1",
                "-p",
                &self.port().to_string(),
                "-U",
                Self::USER,
                "-d",
                "postgres",
                "-c",
                text,
            ])
            .env("PGPASSWORD", Self::PASSWORD)
            .stdout(Stdio::null());
        command
    }
}

/// A Redis (or Valkey) server.
pub struct Redis(Server);

impl Redis {
    /// `None` where none is installed.
    pub fn start() -> Option<Self> {
        let found = ["redis-server", "valkey-server"].into_iter().find(|program| {
            Command::new(program)
                .arg("--version")
                .stdout(Stdio::null())
                .status()
                .is_ok_and(|status| status.success())
        });
        let Some(program) = found else {
            eprintln!(
                "SKIPPED: Redis is not installed, nothing of it is tested here (apt-get install redis-server)"
            );
            return None;
        };
        let redis = Self(Self::serve(program, tempfile::tempdir().expect("a folder"), free_port()));
        redis.wait();
        Some(redis)
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.0.port)
    }

    pub fn port(&self) -> u16 {
        self.0.port
    }

    /// Stops it; what it knew is gone.
    pub fn stop(&mut self) {
        self.0.stop();
    }

    /// Starts it again on its port.
    pub fn start_again(&mut self) {
        let folder = std::mem::replace(&mut self.0.folder, tempfile::tempdir().expect("a folder"));
        self.0 = Self::serve("redis-server", folder, self.0.port);
        self.wait();
    }

    fn serve(program: &str, folder: TempDir, port: u16) -> Server {
        let (port_text, place) = (port.to_string(), folder.path().display().to_string());
        let words = [
            program,
            "--port",
            &port_text,
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
            "--dir",
            &place,
        ];
        let command: Vec<String> = words.into_iter().map(str::to_owned).collect();
        Server::start(folder, port, "TERM", &command)
    }

    fn wait(&self) {
        until("Redis to accept", || std::net::TcpStream::connect(("127.0.0.1", self.0.port)).ok().map(drop));
    }
}

/// The folder of the newest installed version's programs.
fn postgres_programs() -> Option<PathBuf> {
    let mut found: Vec<PathBuf> = ["/usr/lib/postgresql", "/opt/homebrew/opt", "/usr/local/opt"]
        .iter()
        .filter_map(|folder| std::fs::read_dir(folder).ok())
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .filter(|folder| folder.join("initdb").is_file())
        .collect();
    found.sort();
    found.pop()
}

/// The command as a user that Postgres accepts.
fn as_postgres(program: &Path) -> Vec<String> {
    let program = program.display().to_string();
    let root =
        std::fs::metadata("/proc/self").is_ok_and(|found| std::os::unix::fs::MetadataExt::uid(&found) == 0);
    match root {
        true => ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--", &program]
            .map(str::to_owned)
            .to_vec(),
        false => vec![program],
    }
}

fn open_to_all(folder: &Path) {
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o777)).expect("a folder of ours");
}
