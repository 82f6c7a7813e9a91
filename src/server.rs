//! From a snapshot to a running server: listeners, threads, signals, the end.

mod linger;
mod tls;

use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use pingora_core::apps::HttpServerOptions;
use pingora_core::listeners::tls::TlsSettings;
use pingora_core::server::configuration::{Opt, ServerConf};
use pingora_core::server::{ExecutionPhase, RunArgs, Server, ShutdownSignal, ShutdownSignalWatch};
use pingora_core::services::background::background_service;
use pingora_core::services::listening::Service;
use pingora_proxy::HttpProxy;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::broadcast;

use self::linger::Lingering;
use self::tls::Certificate;
use crate::cli::Serve;
use crate::config::raw::Tls;
use crate::config::{ConfigHolder, Origin, Snapshot, summary};
use crate::mock::Mock;
use crate::proxy::front::Front;
use crate::proxy::{Gateway, Mirrors, Proxy};
use crate::route::cache::Routes;
use crate::telemetry::logger::Sink;
use crate::telemetry::metrics::Metrics;
use crate::upstream::ask::Asker;
use crate::upstream::backend::{Groups, watch::Watch};
use crate::upstream::capacity::Capacity;
use crate::upstream::health::Registry;
use crate::upstream::hedging::Hedging;
use crate::upstream::resolve::Resolver;

/// Idle upstream connections kept over all providers: above the peak of concurrent requests, so that
/// none is opened anew under load.
const KEEPALIVE_POOL: usize = 1024;
/// Upper bound of attempts Pingora allows; the plan counts for itself.
const MAX_ATTEMPTS: usize = 256;

/// Runs until the process is asked to end.
///
/// # Errors
/// The address cannot be listened on.
pub fn run(holder: ConfigHolder, options: &Serve, log: Arc<Sink>) -> io::Result<()> {
    let holder = Arc::new(holder);
    let settings = holder.server().clone();
    let host = options.host.clone().unwrap_or(settings.host);
    let port = options.port.unwrap_or(settings.port);
    let addresses = addresses(&host, port, options.upgrade)?;
    let threads = options
        .threads
        .or(settings.threads)
        .and_then(|n| usize::try_from(n).ok())
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));

    let resolver = Arc::new(Resolver::default());
    let asker = Arc::new(Asker::new(Arc::clone(&resolver)));
    let groups = Arc::new(Groups::new(Arc::clone(&asker)));
    let gateway = Arc::new(Gateway {
        config: Arc::clone(&holder),
        catalog: govern::catalog::embedded(),
        routes: Routes::default(),
        health: Registry::default(),
        capacity: Capacity::default(),
        hedging: Hedging::default(),
        asker,
        groups: Arc::clone(&groups),
        resolver,
        metrics: Metrics::new().map_err(io::Error::other)?,
        log: Arc::clone(&log),
        mirrors: Mirrors::default(),
        mock: Mock::default(),
        started: Instant::now(),
        draining: AtomicBool::new(false),
    });

    let conf = ServerConf {
        threads,
        work_stealing: false,
        upstream_keepalive_pool_size: KEEPALIVE_POOL,
        max_retries: MAX_ATTEMPTS,
        grace_period_seconds: Some(settings.grace_period_in_seconds),
        graceful_shutdown_timeout_seconds: Some(1),
        upgrade_sock: settings.upgrade_socket.unwrap_or_else(|| runtime_file(port, "sock")),
        pid_file: settings.pid_file.unwrap_or_else(|| runtime_file(port, "pid")),
        ..ServerConf::default()
    };
    let opt = Opt { upgrade: options.upgrade, ..Opt::default() };
    let mut server = Server::new_with_opt_and_conf(Some(opt), conf);
    server.bootstrap();

    let mut proxy = HttpProxy::new(Proxy(Arc::clone(&gateway)), Arc::clone(&server.configuration));
    proxy.handle_init_modules();
    let mut http = HttpServerOptions::default();
    http.h2c = settings.h2c;
    proxy.server_options = Some(http);
    let mut service = Service::new("gateway".to_owned(), Lingering(Arc::new(Front::new(proxy))));
    for address in &addresses {
        service.add_tcp(&address.to_string());
    }
    if let Some(tls) = &settings.tls {
        listen_with_tls(&mut service, tls, &host, options.upgrade)?;
    }
    server.add_service(service);
    let watch = Watch { config: Arc::clone(&holder), groups };
    server.add_service(background_service("health checks", watch));

    let _watch = watch_file(&holder);
    exit_when_idle(&gateway, server.watch_execution_phase(), Arc::clone(&log));
    greet(&holder, &addresses, &host);
    let reload = Arc::clone(&holder);
    server.run(RunArgs { shutdown_signal: Box::new(Signals { config: reload, gateway }) });
    log.flush();
    Ok(())
}

/// The listener with TLS, beside the plain one.
fn listen_with_tls(
    service: &mut Service<Lingering<Front>>,
    tls: &Tls,
    host: &str,
    upgrade: bool,
) -> io::Result<()> {
    let broken = |error: io::Error| io::Error::new(error.kind(), format!("server.tls: {error}"));
    let certificate = Arc::new(Certificate::read(&tls.cert, &tls.key).map_err(broken)?);
    for address in addresses(host, tls.port, upgrade)? {
        let mut settings = TlsSettings::intermediate(&tls.cert, &tls.key).map_err(io::Error::other)?;
        settings.set_cert_resolver(certificate.clone());
        settings.enable_h2();
        service.add_tls_with_settings(&address.to_string(), None, settings);
        log::info!("https on {address}");
    }
    Ok(())
}

/// A file of the running process: in the user's own runtime folder where there is one.
fn runtime_file(port: u16, ending: &str) -> String {
    let folder = std::env::var_os("XDG_RUNTIME_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    folder.join(format!("bifrost-{port}.{ending}")).display().to_string()
}

/// What to listen on. Tried beforehand: Pingora would panic on a port in use.
fn addresses(host: &str, port: u16, upgrade: bool) -> io::Result<Vec<SocketAddr>> {
    let mut found: Vec<SocketAddr> = match host.parse::<IpAddr>() {
        Ok(ip) => vec![SocketAddr::new(ip, port)],
        Err(_) => (host, port)
            .to_socket_addrs()
            .map_err(|error| io::Error::new(error.kind(), format!("--host {host}: {error}")))?
            .collect(),
    };
    found.sort();
    found.dedup();
    let mut usable = Vec::new();
    let mut first_error = None;
    for mut address in found {
        if upgrade {
            usable.push(address);
            continue;
        }
        // Port 0 is chosen once, for the first address.
        if port == 0
            && let Some(first) = usable.first().map(SocketAddr::port)
        {
            address.set_port(first);
        }
        match TcpListener::bind(address).and_then(|listener| listener.local_addr()) {
            Ok(bound) => usable.push(bound),
            Err(error) => first_error = first_error.or(Some((address, error))),
        }
    }
    match (usable.is_empty(), first_error) {
        (false, None) => Ok(usable),
        // A machine without IPv6 cannot listen on `localhost`'s second address: that is no fault. A
        // port that is taken is.
        (false, Some((_, error))) if error.kind() != io::ErrorKind::AddrInUse => Ok(usable),
        (_, Some((address, error))) => Err(listen_error(address, &error)),
        (true, None) => Err(io::Error::other(format!("--host {host} has no address"))),
    }
}

fn listen_error(address: SocketAddr, error: &io::Error) -> io::Error {
    let advice = match error.kind() {
        io::ErrorKind::AddrInUse => {
            ": another process listens there. Stop it, choose another --port, or take over with --upgrade"
        }
        io::ErrorKind::PermissionDenied => ": ports below 1024 need privileges",
        _ => "",
    };
    io::Error::new(error.kind(), format!("cannot listen on {address}: {error}{advice}"))
}

fn watch_file(holder: &Arc<ConfigHolder>) -> Option<crate::config::WatchGuard> {
    match holder.watch() {
        Ok(guard) => Some(guard),
        Err(error) => {
            log::warn!("the configuration file is not watched ({error}); send SIGHUP to reload it");
            None
        }
    }
}

/// Says what runs, and a line to try.
fn greet(holder: &ConfigHolder, addresses: &[SocketAddr], host: &str) {
    let snapshot = holder.load_full();
    for warning in &snapshot.warnings {
        log::warn!("{warning}");
    }
    let port = addresses.first().map_or(0, SocketAddr::port);
    let shown = if host == "0.0.0.0" || host == "::" { "localhost" } else { host };
    let base = format!("http://{shown}:{port}");
    let source = match holder.origin() {
        Origin::Environment => "the environment (no configuration file)".to_owned(),
        Origin::File(path) => path.display().to_string(),
    };
    let lines: Vec<String> = summary(&snapshot).into_iter().map(|line| format!("  {line}")).collect();
    let (model, say) = try_model(&snapshot);
    let text = format!(
        "bifrost {} listens on {base}\nConfigured from {source}:\n{}\n\nTry:\n  curl -N {base}/v1/chat/completions -H 'Content-Type: application/json' \\\n    -d '{{\"model\": \"{model}\", \"stream\": true, \"messages\": [{{\"role\": \"user\", \"content\": \"{say}\"}}]}}'\n\nOr point an SDK there: base_url=\"{base}/openai\" (OpenAI), \"{base}/anthropic\" (Anthropic). Health: {base}/health, metrics: {base}/metrics\n",
        env!("CARGO_PKG_VERSION"),
        lines.join("\n"),
    );
    // Nobody may be reading: that is no reason not to start.
    let _ = writeln!(io::stdout(), "{text}");
}

fn try_model(snapshot: &Snapshot) -> (String, &'static str) {
    const SAY: &str = "Hello, Bifrost!";
    let listed = snapshot.providers.iter().filter(|p| p.mock.is_none()).find_map(|provider| {
        let key = provider.keys.iter().find(|key| key.disabled.is_none())?;
        let model = key.models.first().map(ToString::to_string).or_else(|| example_model(&provider.name))?;
        Some(format!("{}/{model}", provider.name))
    });
    (listed.unwrap_or_else(|| "mock/echo".to_owned()), SAY)
}

fn example_model(provider: &str) -> Option<String> {
    translate::provider::example_model(provider).map(str::to_owned)
}

/// SIGTERM and SIGINT end after the last request, SIGQUIT hands over, SIGHUP reloads. Pingora's own
/// fast shutdown on SIGINT can hang with one runtime per thread, so it is not used.
struct Signals {
    config: Arc<ConfigHolder>,
    gateway: Arc<Gateway>,
}

#[async_trait]
impl ShutdownSignalWatch for Signals {
    async fn recv(&self) -> ShutdownSignal {
        match self.listen().await {
            Ok(signal) => signal,
            Err(error) => {
                log::error!("signals cannot be received: {error}");
                std::future::pending().await
            }
        }
    }
}

impl Signals {
    async fn listen(&self) -> io::Result<ShutdownSignal> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut quit = signal(SignalKind::quit())?;
        let mut hang_up = signal(SignalKind::hangup())?;
        loop {
            tokio::select! {
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
                _ = quit.recv() => return Ok(ShutdownSignal::GracefulUpgrade),
                _ = hang_up.recv() => {
                    let config = Arc::clone(&self.config);
                    // Problems are logged there; the old configuration stays.
                    let _ = tokio::task::spawn_blocking(move || config.reload().is_ok()).await;
                }
            }
        }
        self.gateway.draining.store(true, Ordering::Relaxed);
        // A second signal means now.
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            std::process::exit(130);
        });
        Ok(ShutdownSignal::GracefulTerminate)
    }
}

/// Ends the process as soon as the last request has ended: Pingora would sleep the whole grace period.
fn exit_when_idle(gateway: &Arc<Gateway>, mut phases: broadcast::Receiver<ExecutionPhase>, log: Arc<Sink>) {
    let in_flight = gateway.metrics.in_flight.clone();
    let gateway = Arc::clone(gateway);
    let watch = move || {
        loop {
            match phases.blocking_recv() {
                Ok(ExecutionPhase::ShutdownStarted | ExecutionPhase::ShutdownGracePeriod) => break,
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return,
            }
        }
        gateway.draining.store(true, Ordering::Relaxed);
        // A connection that was accepted just now has not counted its request yet: idle must last.
        let quiet_for = Duration::from_millis(250);
        let mut quiet_since = Instant::now();
        while quiet_since.elapsed() < quiet_for {
            std::thread::sleep(Duration::from_millis(10));
            if in_flight.get() > 0 {
                quiet_since = Instant::now();
            }
        }
        log::info!("the last request has ended");
        log.flush();
        std::process::exit(0);
    };
    if let Err(error) = std::thread::Builder::new().name("drain".to_owned()).spawn(watch) {
        log::warn!("the process will wait for its whole grace period: {error}");
    }
}
