//! The end of a process, and its successor.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::stage::{plain_chat, providers, streamed};
use crate::support::answers::{chunk, end, events, healthy, open_stream};
use crate::support::client::{Connection, Request};
use crate::support::gateway::{Gateway, free_port, run, write_config, write_text};
use crate::support::upstream::{Act, Gate, Upstream};
use crate::support::{Wire, until};

/// An upstream whose streams of the model `gated` stay open until the gate opens.
pub fn gated_stage() -> (Upstream, Gateway, Gate) {
    let gate = Gate::shut();
    let held = gate.clone();
    let upstream = Upstream::start(move |hit| {
        if hit.model() != "gated" {
            return healthy(hit);
        }
        let frames = events(hit.wire(), hit.model());
        let mut script = open_stream(&frames[..3], Duration::ZERO);
        script.push(Act::Wait(held.clone()));
        script.extend(frames[3..].iter().map(chunk));
        script.push(end());
        script
    });
    let gateway = Gateway::start(&json!({"providers": providers(&upstream)}));
    (upstream, gateway, gate)
}

/// A stream that began and is not finished.
pub fn begin_stream(gateway: &Gateway) -> Connection {
    let mut caller = gateway.connect();
    caller.send(&Request::json(Wire::OpenAi.path(), &streamed("oa/gated"))).unwrap();
    assert_eq!(caller.read_head().unwrap().status, 200);
    caller.read_until(" answer");
    caller
}

pub fn expect_rest(mut caller: Connection) {
    let mut rest = Vec::new();
    while let Some(piece) = caller.piece().expect("the stream was cut") {
        rest.extend(piece);
    }
    let rest = String::from_utf8(rest).unwrap();
    assert!(rest.contains(" 42") && rest.trim_end().ends_with("data: [DONE]"), "{rest}");
}

#[test]
fn sigterm_lets_an_open_stream_finish_and_refuses_new_connections() {
    for signal in [libc::SIGTERM, libc::SIGINT] {
        let (_upstream, mut gateway, gate) = gated_stage();
        let stream = begin_stream(&gateway);
        gateway.signal(signal);
        until("new connections to be refused", || Connection::open(gateway.address()).is_err().then_some(()));
        assert!(gateway.is_running(), "ended with a stream open");
        gate.open();
        expect_rest(stream);
        let finished = Instant::now();
        assert_eq!(gateway.wait_for_exit().code(), Some(0));
        assert!(finished.elapsed() < Duration::from_secs(3), "exited {:?} later", finished.elapsed());
        gateway.wait_for_log("the last request has ended");
    }
}

#[test]
fn an_idle_gateway_ends_soon_after_sigterm() {
    let (_upstream, mut gateway, _gate) = gated_stage();
    assert_eq!(gateway.ask(&plain_chat()).status(), 200);
    let asked = Instant::now();
    gateway.signal(libc::SIGTERM);
    assert_eq!(gateway.wait_for_exit().code(), Some(0));
    assert!(asked.elapsed() < Duration::from_secs(3), "exited after {:?}", asked.elapsed());
}

/// A process that the gateway started; killed when dropped.
struct Successor(i32);

impl Successor {
    fn is_running(&self) -> bool {
        std::path::Path::new(&format!("/proc/{}", self.0)).exists()
    }
}

impl Drop for Successor {
    fn drop(&mut self) {
        let _ = std::process::Command::new("kill").arg("-9").arg(self.0.to_string()).status();
    }
}

/// `bifrost upgrade` in the gateway's folder: exit code and what it said.
fn try_upgrade(gateway: &Gateway, arguments: &[&str]) -> (Option<i32>, String) {
    let socket = gateway.folder.path().join("upgrade.sock").display().to_string();
    let (code, out, err) = run(&[&["upgrade", "--socket", &socket], arguments].concat());
    (code, format!("{out}{err}"))
}

/// An upgrade that succeeds: what the command said, and the process that serves afterwards.
fn upgrade(gateway: &Gateway, arguments: &[&str]) -> (String, Successor) {
    let (code, told) = try_upgrade(gateway, arguments);
    let new = Successor(named(gateway));
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains(&format!("process {} serves", new.0)), "{told}");
    (told, new)
}

/// The process that the pid file names.
fn named(gateway: &Gateway) -> i32 {
    let file = gateway.folder.path().join("pid");
    until("a pid file", || std::fs::read_to_string(&file).ok()?.trim().parse().ok())
}

/// What takes the place of a binary: a script.
fn script(gateway: &Gateway, text: &str) -> String {
    let file = gateway.folder.path().join("other-binary");
    // By a process of its own: a file that this one writes is busy in every process that it forks meanwhile.
    let writes = "printf '%s\\n' '#!/bin/sh' \"$1\" > \"$2\" && chmod 755 \"$2\"";
    let written = std::process::Command::new("/bin/sh").args(["-c", writes, "sh", text]).arg(&file).status();
    assert!(written.unwrap().success());
    file.display().to_string()
}

/// The gateway answers, and nothing of an attempted upgrade is left.
fn expect_unmoved(gateway: &mut Gateway) {
    assert!(gateway.is_running());
    assert_eq!(named(gateway), gateway.pid());
    assert_eq!(gateway.ask(&plain_chat()).status(), 200);
}

#[test]
fn a_process_started_by_hand_takes_over_without_a_failed_request() {
    let (_upstream, mut old, gate) = gated_stage();
    let stream = begin_stream(&old);
    let address = old.address();
    let (stop, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    let new = std::thread::scope(|scope| {
        let load = scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let answer =
                    Connection::open(address).expect("accepted").ask(&plain_chat()).expect("answered");
                assert_eq!(answer.status(), 200, "{}", answer.text());
                answered.fetch_add(1, Ordering::Relaxed);
            }
        });
        let new = Gateway::spawn(Arc::clone(&old.folder), old.port, &["--upgrade"], &[]);
        new.wait_for_log("took over from process");
        until("the successor to answer", || {
            new.log().iter().any(|line| line.contains("request completed")).then_some(())
        });
        assert!(old.is_running(), "ended with a stream open");
        gate.open();
        expect_rest(stream);
        assert_eq!(old.wait_for_exit().code(), Some(0));
        let done = answered.load(Ordering::Relaxed);
        until("requests after the predecessor's end", || {
            (answered.load(Ordering::Relaxed) > done + 20 || load.is_finished()).then_some(())
        });
        stop.store(true, Ordering::Relaxed);
        load.join().expect("a request failed while the successor took over");
        new
    });
    assert!(answered.load(Ordering::Relaxed) > 20);
    assert_eq!(new.get("/health").status(), 200);
}

#[test]
fn an_upgrade_while_an_older_process_still_drains_leaves_all_streams_whole() {
    let (_upstream, mut first, gate) = gated_stage();
    let oldest = begin_stream(&first);
    let (told, second) = upgrade(&first, &[]);
    assert!(told.contains("it accepts") && told.contains("serves"), "{told}");
    let middle = begin_stream(&first);
    let (_, third) = upgrade(&first, &[]);
    assert_ne!(second.0, third.0);
    assert!(first.is_running() && second.is_running(), "each has a stream");
    let newest = begin_stream(&first);
    gate.open();
    for stream in [oldest, middle, newest] {
        expect_rest(stream);
    }
    first.wait_for_exit();
    until("the second process to end", || (!second.is_running()).then_some(()));
    assert!(third.is_running());
    assert_eq!(first.ask(&plain_chat()).status(), 200);
}

#[test]
fn sigusr2_upgrades_and_the_command_can_wait_for_the_old_process() {
    let (_upstream, mut gateway, _gate) = gated_stage();
    // Signals are heard from then on.
    named(&gateway);
    gateway.signal(libc::SIGUSR2);
    assert_eq!(gateway.wait_for_exit().code(), Some(0));
    let second = Successor(named(&gateway));
    let (told, _third) = upgrade(&gateway, &["--wait"]);
    assert!(told.contains(&format!("process {} has ended", second.0)), "{told}");
    until("its process to be gone", || (!second.is_running()).then_some(()));
}

#[test]
fn a_new_binary_that_does_not_come_up_changes_nothing() {
    let (_upstream, mut gateway, gate) = gated_stage();
    let stream = begin_stream(&gateway);
    let good = "case \"$1\" in --version) echo bifrost 9.9.9; exit;; check) exit;; esac";
    for (text, reason) in [
        ("exit 7", "--version"),
        ("case \"$1\" in --version) exit;; esac; echo 'error: no such field'; exit 2", "no such field"),
        (&*format!("{good}; exit 3"), "it ended before it served"),
    ] {
        let other = script(&gateway, text);
        let (code, told) = try_upgrade(&gateway, &[&other]);
        assert_eq!(code, Some(1), "{told}");
        assert!(told.contains(reason) && told.contains("serves on"), "{told}");
        expect_unmoved(&mut gateway);
    }
    let (code, told) = try_upgrade(&gateway, &["/nonexistent/binary"]);
    assert_eq!(code, Some(2), "{told}");
    // The gateway's own binary is tried next, and that works.
    gate.open();
    expect_rest(stream);
    let (_, _new) = upgrade(&gateway, &[]);
    gateway.wait_for_exit();
}

#[test]
fn a_successor_that_dies_with_the_sockets_in_its_hands_changes_nothing() {
    let (_upstream, mut gateway, _gate) = gated_stage();
    // It asks for the sockets, and cannot bind the port that it wants besides.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let mut other = Gateway::spawn(Arc::clone(&gateway.folder), port, &["--upgrade"], &[]);
    assert_eq!(other.wait_for_exit().code(), Some(2));
    gateway.wait_for_log("did not take over, this one serves on");
    expect_unmoved(&mut gateway);
}

#[test]
fn a_reload_after_an_upgrade_reaches_the_new_process() {
    let (_upstream, mut gateway, _gate) = gated_stage();
    let (_, new) = upgrade(&gateway, &[]);
    gateway.wait_for_exit();
    let text = std::fs::read_to_string(gateway.config_file()).unwrap();
    write_text(gateway.folder.path(), &text.replace("provider-key", "another-key"));
    assert!(
        std::process::Command::new("kill").arg("-HUP").arg(new.0.to_string()).status().unwrap().success()
    );
    until("a reload", || (gateway.health()["config"]["version"].as_u64() > Some(1)).then_some(()));
    assert_eq!(gateway.ask(&plain_chat()).status(), 200);
}

#[test]
fn a_configuration_that_is_wrong_now_stops_an_upgrade_before_it_begins() {
    let (_upstream, mut gateway, _gate) = gated_stage();
    let good = std::fs::read_to_string(gateway.config_file()).unwrap();
    write_text(gateway.folder.path(), "{\"providers\": {\"oa\": {\"keyz\": []}}}");
    let (code, told) = try_upgrade(&gateway, &[]);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("keyz") && told.contains("does not accept"), "{told}");
    expect_unmoved(&mut gateway);
    write_text(gateway.folder.path(), &good);
    let (_, _new) = upgrade(&gateway, &[]);
}

#[test]
fn after_a_hand_over_a_kept_alive_connection_is_answered_once_more_and_told_to_close() {
    let (_upstream, mut gateway, _gate) = gated_stage();
    let mut kept = gateway.connect();
    assert_ne!(kept.ask(&plain_chat()).unwrap().header("connection"), Some("close"));
    let (_, _new) = upgrade(&gateway, &[]);
    let answer = kept.ask(&plain_chat()).expect("no failure");
    assert_eq!((answer.status(), answer.header("connection")), (200, Some("close")));
    gateway.wait_for_exit();
}

#[test]
fn an_idle_connection_does_not_hold_the_old_process() {
    let (_upstream, mut gateway, _gate) = gated_stage();
    let mut idle = gateway.connect();
    assert_eq!(idle.ask(&plain_chat()).unwrap().status(), 200);
    let silent = gateway.connect();
    let (_, _new) = upgrade(&gateway, &[]);
    assert_eq!(gateway.wait_for_exit().code(), Some(0));
    let mut byte = [0];
    assert_eq!(std::io::Read::read(&mut idle.socket, &mut byte).unwrap(), 0, "closed in good order");
    drop(silent);
}

#[test]
fn the_control_socket_is_the_owners_alone_and_goes_with_the_last_process() {
    let (_upstream, mut gateway, _gate) = gated_stage();
    let socket = gateway.folder.path().join("upgrade.sock");
    let mode = until("the control socket", || std::fs::metadata(&socket).ok()).permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    gateway.signal(libc::SIGTERM);
    gateway.wait_for_exit();
    assert!(!socket.exists() && !gateway.folder.path().join("pid").exists());
    let (code, _, told) = run(&["upgrade", "--socket", &socket.display().to_string()]);
    assert_eq!(code, Some(2));
    assert!(told.contains("no gateway answers"), "{told}");
}

#[test]
fn with_a_drain_delay_new_connections_are_served_while_readyz_says_no() {
    let upstream = Upstream::start(healthy);
    let config = json!({"providers": providers(&upstream), "server": {"drain_delay_in_seconds": 600}});
    let mut gateway = Gateway::start(&config);
    assert_eq!(gateway.get("/readyz").status(), 200);
    gateway.signal(libc::SIGTERM);
    until("readiness to go", || (gateway.get("/readyz").status() == 503).then_some(()));
    let answer = gateway.ask(&plain_chat());
    assert_eq!((answer.status(), answer.header("connection")), (200, Some("close")));
    gateway.signal(libc::SIGTERM);
    assert_eq!(gateway.wait_for_exit().code(), Some(130), "a second signal means now");
}

#[test]
fn after_the_drain_delay_the_process_ends_by_itself() {
    let upstream = Upstream::start(healthy);
    let config = json!({"providers": providers(&upstream), "server": {"drain_delay_in_seconds": 1}});
    let mut gateway = Gateway::start(&config);
    let asked = Instant::now();
    gateway.signal(libc::SIGTERM);
    assert_eq!(gateway.wait_for_exit().code(), Some(0));
    assert!(asked.elapsed() >= Duration::from_secs(1), "{:?}", asked.elapsed());
}

#[test]
fn the_service_manager_hears_of_start_hand_over_and_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let manager = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(crate::support::PATIENCE)).unwrap();
    let hear = || {
        let mut text = [0; 512];
        let length = manager.recv(&mut text).expect("a message");
        String::from_utf8_lossy(&text[..length]).into_owned()
    };
    let upstream = Upstream::start(healthy);
    let home = Arc::new(tempfile::tempdir().unwrap());
    write_config(home.path(), &json!({"providers": providers(&upstream)}));
    let variable = path.display().to_string();
    let mut gateway = Gateway::launch(home, free_port(), &[], &[("NOTIFY_SOCKET", &variable)]);
    let ready = |pid: i32| format!("READY=1\nMAINPID={pid}\n");
    assert!(hear().starts_with(&ready(gateway.pid())));
    let (_, new) = upgrade(&gateway, &[]);
    // The old process says it first: only the service's own process may.
    assert!(hear().starts_with(&format!("MAINPID={}\n", new.0)));
    assert!(hear().starts_with(&ready(new.0)));
    gateway.wait_for_exit();
    assert!(std::process::Command::new("kill").arg(new.0.to_string()).status().unwrap().success());
    assert!(hear().starts_with("STOPPING=1\n"));
}
