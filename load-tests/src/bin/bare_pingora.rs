//! The floor: the least a proxy on Pingora can do. `bare_pingora --listen 127.0.0.1:PORT
//! --upstream 127.0.0.1:PORT [--threads 1]`. No modules, no logging, no metrics, no body access; same
//! allocator, build profile and connection pool as the gateway.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use async_trait::async_trait;
use load_tests::flags::Flags;
use pingora_core::modules::http::HttpModules;
use pingora_core::prelude::{HttpPeer, Result};
use pingora_core::server::Server;
use pingora_core::server::configuration::ServerConf;
use pingora_http::RequestHeader;
use pingora_proxy::{ProxyHttp, Session, http_proxy_service};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

struct PassThrough {
    upstream: SocketAddr,
    host: String,
}

#[async_trait]
impl ProxyHttp for PassThrough {
    type CTX = ();
    fn new_ctx(&self) -> Self::CTX {}

    /// The default adds a compression module to each request; a floor has none.
    fn init_downstream_modules(&self, _modules: &mut HttpModules) {}

    async fn upstream_peer(&self, _session: &mut Session, _ctx: &mut ()) -> Result<Box<HttpPeer>> {
        Ok(Box::new(HttpPeer::new(self.upstream, false, String::new())))
    }

    async fn upstream_request_filter(
        &self,
        _session: &mut Session,
        request: &mut RequestHeader,
        _ctx: &mut (),
    ) -> Result<()> {
        request.insert_header("host", &self.host)
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(server) => server.run_forever(),
        Err(problem) => {
            eprintln!("bare_pingora: {problem}");
            ExitCode::from(2)
        }
    }
}

fn run() -> std::result::Result<Server, String> {
    let mut flags = Flags::read(std::env::args().skip(1))?;
    let listen: SocketAddr = flags.required("listen")?;
    let upstream: SocketAddr = flags.required("upstream")?;
    let threads = flags.value("threads", 1)?;
    flags.finish()?;
    let conf = ServerConf {
        threads,
        work_stealing: false,
        upstream_keepalive_pool_size: 1024,
        grace_period_seconds: Some(0),
        graceful_shutdown_timeout_seconds: Some(0),
        ..ServerConf::default()
    };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();
    let pass = PassThrough { upstream, host: upstream.to_string() };
    let mut service = http_proxy_service(&Arc::clone(&server.configuration), pass);
    service.add_tcp(&listen.to_string());
    server.add_service(service);
    Ok(server)
}
