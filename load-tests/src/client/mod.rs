//! The load client: one file per mode, all over `Connection`. It reads every answer whole and checks
//! it; an answer it cannot vouch for is a failure, counted by its reason.

pub mod connection;
pub mod hold;
pub mod latency;
pub mod streams;
pub mod tally;
pub mod throughput;

use std::net::SocketAddr;

/// The wire the caller speaks: it decides credentials and how a stream must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// OpenAI chat completions.
    OpenAi,
    /// Anthropic messages.
    Anthropic,
}

impl std::str::FromStr for Dialect {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "openai" => Ok(Self::OpenAi),
            "anthropic" => Ok(Self::Anthropic),
            _ => Err(()),
        }
    }
}

/// Where requests go and what each of them is, byte for byte.
#[derive(Debug, Clone)]
pub struct Target {
    /// The gateway (or the mock itself).
    pub address: SocketAddr,
    /// The caller's wire.
    pub dialect: Dialect,
    /// Head and body of the request.
    pub request: Vec<u8>,
}

impl Target {
    /// A POST of `body` to `path`.
    pub fn new(address: SocketAddr, path: &str, dialect: Dialect, body: &[u8]) -> Self {
        let credentials = match dialect {
            Dialect::OpenAi => "authorization: Bearer sk-bench",
            Dialect::Anthropic => "x-api-key: sk-bench\r\nanthropic-version: 2023-06-01",
        };
        let length = body.len();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {address}\r\nuser-agent: bifrost-bench\r\naccept: application/json\r\n\
             content-type: application/json\r\n{credentials}\r\ncontent-length: {length}\r\n\r\n"
        );
        Self { address, dialect, request: [head.as_bytes(), body].concat() }
    }
}
