//! The built-in mock provider: an OpenAI-compatible upstream inside the process.
//!
//! It answers when no provider is configured, so that a newcomer sees a streamed reply right after the
//! build, and it is a target for trying out fallbacks. It is reached over loopback like any provider:
//! nothing on the request path knows that it is special.
//!
//! Models: `echo` says what the user said, `lorem` says filler text. Options, in the configuration
//! (`providers.mock.mock_config`) or behind the model name: `mock/lorem?latency_ms=300&tps=20&error_rate=0.1`.

mod answer;
mod serve;

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::OnceLock;
use std::time::Duration;

use crate::config::snapshot::Mock as Options;

/// The headers in which the gateway hands the configured options on.
pub const OPTIONS_HEADER: &str = "x-mock-options";

/// The models that lists show.
pub const MODELS: [&str; 2] = ["echo", "lorem"];

/// The mock's address; it is started by the first request that needs it.
#[derive(Debug, Default)]
pub struct Mock(OnceLock<SocketAddr>);

impl Mock {
    /// Where the mock listens.
    ///
    /// # Errors
    /// No port or thread could be had.
    pub fn address(&self) -> io::Result<SocketAddr> {
        if let Some(address) = self.0.get() {
            return Ok(*address);
        }
        // Two first requests at once start two mocks; one of them is used.
        let started = start()?;
        Ok(*self.0.get_or_init(|| started))
    }
}

/// Starts the mock on a free loopback port, on a thread of its own.
fn start() -> io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("mock".to_owned()).spawn(move || {
        runtime.block_on(serve::accept(listener));
    })?;
    Ok(address)
}

/// The configured options as one header value.
#[must_use]
pub fn header(options: &Options) -> String {
    format!(
        "latency_ms={}&tps={}&error_rate={}",
        options.latency.as_millis(),
        options.tokens_per_second,
        options.error_rate
    )
}

/// Reads `latency_ms`, `tps` and `error_rate`; what is missing or unreadable stays as it was.
fn read_options(text: &str, mut options: Options) -> Options {
    for (name, value) in text.split('&').filter_map(|pair| pair.split_once('=')) {
        match (name, value.parse::<f64>()) {
            ("latency_ms", Ok(ms)) if ms.is_finite() && ms >= 0.0 => {
                options.latency = Duration::try_from_secs_f64(ms / 1000.0).unwrap_or(options.latency);
            }
            ("tps", Ok(tps)) if tps.is_finite() && tps > 0.0 => options.tokens_per_second = tps,
            ("error_rate", Ok(rate)) if (0.0..=1.0).contains(&rate) => options.error_rate = rate,
            _ => {}
        }
    }
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_survive_the_way_through_the_header() {
        let options =
            Options { latency: Duration::from_millis(250), tokens_per_second: 33.5, error_rate: 0.25 };
        let start = Options { latency: Duration::ZERO, tokens_per_second: 1.0, error_rate: 0.0 };
        assert_eq!(read_options(&header(&options), start), options);
    }

    #[test]
    fn nonsense_options_change_nothing() {
        let options = Options { latency: Duration::ZERO, tokens_per_second: 50.0, error_rate: 0.0 };
        assert_eq!(read_options("latency_ms=-1&tps=0&error_rate=2&tps=NaN&x&=", options), options);
    }
}
