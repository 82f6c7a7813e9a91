//! From a snapshot to a running server: listeners, threads, signals, the end.

mod cache;
mod control;
mod descriptors;
mod drain;
mod handover;
mod keep;
mod life;
mod linger;
mod neighbour;
mod notify;
mod pid_file;
mod signals;
mod sockets;
pub mod successor;
mod tls;
pub mod upgrade;

#[cfg(test)]
mod tests;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use pingora_core::apps::HttpServerOptions;
use pingora_core::listeners::tls::TlsSettings;
use pingora_core::server::configuration::ServerConf;
use pingora_core::server::{RunArgs, Server};
use pingora_core::services::background::background_service;
use pingora_core::services::listening::Service;
use pingora_proxy::HttpProxy;

use self::control::Control;
use self::drain::Drain;
use self::handover::Inherited;
use self::life::Life;
use self::linger::Lingering;
use self::pid_file::PidFile;
use self::signals::{Limits, Signals};
use self::sockets::{Kept, Listening, OnSockets};
use self::successor::Launch;
use self::tls::Certificate;
use crate::account::meters::Meters;
use crate::account::{refresh, upkeep};
use crate::admin::access::{Access, setup};
use crate::admin::api::{self, AdminState};
use crate::admin::door::Door;
use crate::background;
use crate::cache::Cache;
use crate::cli::Serve;
use crate::cluster::Cluster;
use crate::config::raw::{self, Tls};
use crate::config::{ConfigHolder, Environment, Origin, Snapshot, default_app_dir, summary};
use crate::mock::Mock;
use crate::observe::lines::{LogLines, Spends};
use crate::observe::live::Live;
use crate::observe::log::RequestLog;
use crate::observe::sums::{self, Sums};
use crate::observe::traces::Traces;
use crate::observe::{Listener, push};
use crate::proxy::front::{Farewell, Front};
use crate::proxy::{Gateway, Mirrors, Proxy, inner};
use crate::route::cache::Routes;
use crate::telemetry::logger::Sink;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::metrics::exposition::Format;
use crate::telemetry::redact::Redactors;
use crate::upstream::ask::Asker;
use crate::upstream::backend::{Groups, watch::Watch};
use crate::upstream::capacity::Capacity;
use crate::upstream::health::Registry;
use crate::upstream::hedging::Hedging;
use crate::upstream::resolve::Resolver;
use crate::{admin, auth};

/// Idle upstream connections kept over all providers: above the peak of concurrent requests, so that
/// none is opened anew under load.
const KEEPALIVE_POOL: usize = 1024;
/// Upper bound of attempts Pingora allows; the plan counts for itself.
const MAX_ATTEMPTS: usize = 256;

/// Longer than any process lives: its end is decided by [`Drain`].
const NEVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

type Gate = Service<Lingering<Front>>;

/// Runs until the process is asked to end.
///
/// # Errors
/// The address cannot be listened on, or nobody hands over.
pub fn run(holder: ConfigHolder, options: &Serve, log: Arc<Sink>) -> io::Result<()> {
    descriptors::raise();
    let holder = Arc::new(holder);
    let settings = holder.server().clone();
    let host = options.host.clone().unwrap_or_else(|| settings.host.clone());
    let port = options.port.unwrap_or(settings.port);

    let mut inherited = match &options.upgrade {
        Some(Some(socket)) => Some(Inherited::ask(socket)?),
        Some(None) => Some(Inherited::ask(&control_socket(&settings, port))?),
        None => None,
    };
    let plain = sockets::listen(&host, port, &mut inherited)?;
    let addresses: Vec<SocketAddr> = plain.iter().map(|one| one.address).collect();
    let shared = Shared {
        gateway: gateway(&holder, options, &log)?,
        life: Arc::default(),
        farewell: Arc::default(),
        pid_file: PidFile(settings.pid_file.as_ref().map(PathBuf::from)),
    };
    let mut server = Server::new_with_opt_and_conf(None, pingora_conf(&settings, options));
    server.bootstrap();
    let mut service = service(&shared, &settings, &server);
    let mut open = plain;
    for one in &open {
        service.add_tcp(&one.name);
    }
    if let Some(tls) = &settings.tls {
        open.extend(listen_with_tls(&mut service, tls, &host, &mut inherited)?);
    }
    let kept = Arc::new(Kept::of(&open)?);
    server.add_service(OnSockets { service, sockets: open });
    let (groups, capacity) = (Arc::clone(&shared.gateway.groups), Arc::clone(&shared.gateway.capacity));
    let watch = Watch { config: Arc::clone(&holder), groups, capacity };
    server.add_service(background_service("health checks", watch));

    let _watch = watch_file(&holder);
    shared.end_when_idle(&server, &log)?;
    greet(&holder, &addresses, &host);
    let own_port = addresses.first().map_or(port, SocketAddr::port);
    let signals = signals(shared, (&settings, own_port), kept, inherited);
    server.run(RunArgs { shutdown_signal: Box::new(signals) });
    log.flush();
    Ok(())
}

/// What the service, the signals and the end of the process have in common.
struct Shared {
    gateway: Arc<Gateway>,
    life: Arc<Life>,
    farewell: Arc<Farewell>,
    pid_file: PidFile,
}

impl Shared {
    fn end_when_idle(&self, server: &Server, log: &Arc<Sink>) -> io::Result<()> {
        let drain = Drain {
            in_flight: self.gateway.metrics.in_flight.clone(),
            life: Arc::clone(&self.life),
            farewell: Arc::clone(&self.farewell),
            pid_file: self.pid_file.clone(),
            log: Arc::clone(log),
            observer: Arc::clone(&self.gateway.observer),
            cache: Arc::clone(&self.gateway.cache),
            config: Arc::clone(&self.gateway.config),
        };
        let phases = server.watch_execution_phase();
        std::thread::Builder::new().name("drain".to_owned()).spawn(move || drain.run(phases)).map(drop)
    }
}

/// The gateway, with its administration behind the door.
fn gateway(holder: &Arc<ConfigHolder>, options: &Serve, log: &Arc<Sink>) -> io::Result<Arc<Gateway>> {
    let gateway = parts(holder, options, log)?;
    gateway.background.spawn(upkeep::run(Arc::clone(&gateway.meters), Arc::clone(&gateway.books)));
    let access = Arc::new(Access::of(&gateway).map_err(io::Error::other)?);
    gateway.background.spawn(setup::announce(Arc::clone(&access)));
    let state = AdminState::new(Arc::clone(&gateway), access);
    api::follow::start(&state);
    keep::keep(&gateway);
    gateway.observer.start(listeners(&gateway))?;
    follow_config(&gateway);
    cache::furnish(&gateway, options);
    gateway.cache.follow(holder, &gateway.background);
    gateway.door.open(&gateway.background, api::router(state));
    Ok(gateway)
}

/// Who is told of finished requests.
fn listeners(gateway: &Gateway) -> Vec<Box<dyn Listener>> {
    let in_flight = gateway.metrics.in_flight.clone();
    let live = Live::new(&gateway.hub, &gateway.config, &gateway.health, move || in_flight.get());
    let traces = Traces::new(&gateway.config, &gateway.redactors, &gateway.exporters);
    let mut listeners: Vec<Box<dyn Listener>> = vec![
        Box::new(LogLines(Arc::clone(&gateway.log))),
        Box::new(Spends(Arc::clone(&gateway.books))),
        gateway.recent.listener(),
        Box::new(Arc::clone(&gateway.metrics.exemplars)),
        Box::new(live),
    ];
    listeners.extend(gateway.requests.as_ref().map(RequestLog::listener));
    if let Some(log) = &gateway.requests {
        sums::keep::start(&gateway.sums, log);
    }
    listeners.push(gateway.sums.listener(gateway.requests.clone()));
    // At the end of the process the others do not wait for collectors.
    listeners.push(Box::new(traces));
    listeners
}

/// What a reload changes of metrics.
fn follow_config(gateway: &Arc<Gateway>) {
    let (metrics, config) = (&gateway.metrics, &gateway.config);
    gateway.background.spawn(Arc::clone(&metrics.callers).follow(Arc::clone(config)));
    let shown = Arc::clone(gateway);
    let render = move || admin::metrics::write(&shown, &shown.config.load_full(), Format::Text);
    gateway.background.spawn(push::run(Arc::clone(config), metrics.pushes.clone(), Box::new(render)));
}

fn parts(holder: &Arc<ConfigHolder>, options: &Serve, log: &Arc<Sink>) -> io::Result<Arc<Gateway>> {
    let resolver = Arc::new(Resolver::default());
    let asker = Arc::new(Asker::new(Arc::clone(&resolver)));
    let groups = Arc::new(Groups::new(Arc::clone(&asker)));
    let background = background::start()?;
    let (meters, health) = (Arc::default(), Arc::new(Registry::default()));
    let app_dir = options.app_dir.clone().or_else(|| default_app_dir(&Environment::Real));
    let redactors = Arc::new(Redactors::new(Arc::clone(holder)));
    let requests = keep::requests(&holder.load_full(), app_dir.as_deref(), &redactors)?;
    let metrics = Metrics::new().map_err(io::Error::other)?;
    let (store, kept) = keep::open(&holder.load_full(), app_dir.as_deref(), &background);
    Ok(Arc::new(Gateway {
        config: Arc::clone(holder),
        catalog: &govern::catalog::EMBEDDED,
        prices: refresh::start(holder),
        meters: Arc::clone(&meters),
        books: Arc::default(),
        routes: Routes::default(),
        cluster: join(holder, (&meters, &health), &background)?,
        health,
        capacity: Arc::new(Capacity::default()),
        hedging: Hedging::default(),
        asker,
        groups,
        resolver,
        cache: Arc::new(Cache::new(metrics.cache.clone())),
        metrics,
        log: Arc::clone(log),
        observer: Arc::default(),
        recent: Arc::default(),
        redactors,
        exporters: Arc::default(),
        hub: Arc::default(),
        mirrors: Mirrors::default(),
        door: Door::default(),
        directory: auth::start(holder, &background),
        store,
        kept,
        sums: Sums::new(requests.is_some()),
        requests,
        background,
        mock: Mock::default(),
        started: Instant::now(),
        draining: AtomicBool::new(false),
        inner: Arc::default(),
    }))
}

/// With others, if the configuration says so. Nobody waits for them.
fn join(
    holder: &Arc<ConfigHolder>,
    (meters, health): (&Arc<Meters>, &Arc<Registry>),
    background: &tokio::runtime::Handle,
) -> io::Result<Option<Cluster>> {
    let snapshot = holder.load_full();
    let Some(settings) = &snapshot.cluster else { return Ok(None) };
    let joined = Cluster::join(settings, meters, health, background);
    joined.map(Some).map_err(|error| io::Error::other(format!("cluster.redis: {error}")))
}

fn pingora_conf(settings: &raw::Server, options: &Serve) -> ServerConf {
    let threads = options.threads.or(settings.threads).and_then(|n| usize::try_from(n).ok());
    ServerConf {
        threads: threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from)),
        work_stealing: false,
        upstream_keepalive_pool_size: KEEPALIVE_POOL,
        max_retries: MAX_ATTEMPTS,
        grace_period_seconds: Some(NEVER.as_secs()),
        graceful_shutdown_timeout_seconds: Some(1),
        ..ServerConf::default()
    }
}

fn service(shared: &Shared, settings: &raw::Server, server: &Server) -> Gate {
    let mut proxy = HttpProxy::new(Proxy(Arc::clone(&shared.gateway)), Arc::clone(&server.configuration));
    proxy.handle_init_modules();
    let mut http = HttpServerOptions::default();
    http.h2c = settings.h2c;
    proxy.server_options = Some(http);
    let front = Arc::new(Front::new(proxy, Arc::clone(&shared.farewell)));
    shared.gateway.inner.open(inner::way(&front));
    Service::new("gateway".to_owned(), Lingering { app: front, life: Arc::clone(&shared.life) })
}

fn signals(
    shared: Shared,
    (settings, port): (&raw::Server, u16),
    kept: Arc<Kept>,
    inherited: Option<Inherited>,
) -> Signals {
    let config = Arc::clone(&shared.gateway.config);
    let file = match config.origin() {
        Origin::File(path) => Some(path.clone()),
        Origin::Environment => None,
    };
    let socket = control_socket(settings, port);
    let launch = Launch::as_started(file, socket.clone());
    let limits = Limits {
        delay: Duration::from_secs(settings.drain_delay_in_seconds),
        grace: Duration::from_secs(settings.grace_period_in_seconds),
        handover_grace: Duration::from_secs(settings.upgrade_grace_period_in_seconds),
    };
    Signals {
        config,
        control: Control::new(socket, Arc::clone(&shared.life), kept, launch),
        gateway: shared.gateway,
        life: shared.life,
        farewell: shared.farewell,
        pid_file: shared.pid_file,
        inherited: Mutex::new(inherited),
        limits,
    }
}

/// The listener with TLS, beside the plain one.
fn listen_with_tls(
    service: &mut Gate,
    tls: &Tls,
    host: &str,
    inherited: &mut Option<Inherited>,
) -> io::Result<Vec<Listening>> {
    let broken = |error: io::Error| io::Error::new(error.kind(), format!("server.tls: {error}"));
    let certificate = Arc::new(Certificate::read(&tls.cert, &tls.key).map_err(broken)?);
    let open = sockets::listen(host, tls.port, inherited)?;
    for one in &open {
        let mut settings = TlsSettings::intermediate(&tls.cert, &tls.key).map_err(io::Error::other)?;
        settings.set_cert_resolver(certificate.clone());
        settings.enable_h2();
        service.add_tls_with_settings(&one.name, None, settings);
        log::info!("https on {}", one.address);
    }
    Ok(open)
}

/// Where the gateway on `port` is asked to hand over.
fn control_socket(settings: &raw::Server, port: u16) -> PathBuf {
    let configured = settings.upgrade_socket.as_ref().map(PathBuf::from);
    configured.unwrap_or_else(|| runtime_folders().remove(0).join(socket_name(port)))
}

fn socket_name(port: u16) -> String {
    format!("bifrost-{port}.sock")
}

/// Folders for files of a running process, the first one is used: the service manager's, the user's, any.
fn runtime_folders() -> Vec<PathBuf> {
    let named = ["RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR"].into_iter().filter_map(std::env::var_os);
    let mut folders: Vec<PathBuf> = named.filter(|name| !name.is_empty()).map(PathBuf::from).collect();
    folders.push(std::env::temp_dir());
    folders
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
    let key = if snapshot.governance.enforced { " -H 'Authorization: Bearer <virtual key>'" } else { "" };
    let text = format!(
        "bifrost {} listens on {base}\nConfigured from {source}:\n{}\n\nTry:\n  curl -N {base}/v1/chat/completions -H 'Content-Type: application/json'{key} \\\n    -d '{{\"model\": \"{model}\", \"stream\": true, \"messages\": [{{\"role\": \"user\", \"content\": \"{say}\"}}]}}'\n\nOr point an SDK there: base_url=\"{base}/openai\" (OpenAI), \"{base}/anthropic\" (Anthropic). Health: {base}/health, metrics: {base}/metrics\n",
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
