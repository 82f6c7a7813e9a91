//! `server`: what cannot change while running.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Listener, threads and shutdown. Command-line flags and their environment variables win over these.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Server {
    /// Address to listen on. `0.0.0.0` for every interface.
    pub host: String,
    /// Port to listen on; 0 for any free one.
    pub port: u16,
    /// Worker threads; by default one per processor.
    #[schemars(range(min = 1, max = 1024))]
    pub threads: Option<u32>,
    /// Longest wait for requests in flight at shutdown, in seconds.
    #[schemars(range(min = 0, max = 86_400))]
    pub grace_period_in_seconds: u64,
    /// Seconds after SIGTERM in which new connections are still served while `/readyz` says 503: as long as load
    /// balancers need to notice. Within `terminationGracePeriodSeconds` of Kubernetes, together with the grace period.
    #[schemars(range(min = 0, max = 3600))]
    pub drain_delay_in_seconds: u64,
    /// Longest wait for requests in flight after a new process has taken over, in seconds. The old process ends
    /// when its last request has ended.
    #[schemars(range(min = 0, max = 604_800))]
    pub upgrade_grace_period_in_seconds: u64,
    /// Accept HTTP/2 without TLS (prior knowledge) beside HTTP/1.1.
    pub h2c: bool,
    /// A listener with TLS beside the plain one; HTTP/2 and HTTP/1.1.
    pub tls: Option<Tls>,
    /// Unix socket over which a new process takes over the listeners. By default `bifrost-PORT.sock` in
    /// `RUNTIME_DIRECTORY`, `XDG_RUNTIME_DIR` or the folder for temporary files.
    pub upgrade_socket: Option<String>,
    /// File that holds the process id while running; after an upgrade that of the new process. None by default.
    pub pid_file: Option<String>,
}

/// A listener with TLS. Changed files are used without a restart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// PEM file with the certificate chain, the server's own certificate first.
    pub cert: String,
    /// PEM file with the private key.
    pub key: String,
    /// Port to listen on.
    pub port: u16,
}

impl Default for Tls {
    fn default() -> Self {
        Self { cert: String::new(), key: String::new(), port: 8443 }
    }
}

impl Default for Server {
    fn default() -> Self {
        Self {
            host: "localhost".to_owned(),
            port: 8080,
            threads: None,
            grace_period_in_seconds: 60,
            drain_delay_in_seconds: 0,
            upgrade_grace_period_in_seconds: 3600,
            h2c: true,
            tls: None,
            upgrade_socket: None,
            pid_file: None,
        }
    }
}
