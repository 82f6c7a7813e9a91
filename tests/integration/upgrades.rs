//! Upgrades between processes that do not agree: a refusal, a shared control socket, another user.

use std::io::{BufRead, BufReader, IoSlice, Write};
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::os::fd::AsFd;
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::process::Stdio;
use std::sync::Arc;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use serde_json::json;

use crate::lifecycle::{begin_stream, expect_rest, gated_stage};
use crate::support::gateway::{Gateway, free_port, run};
use crate::support::until;

#[test]
fn a_successor_that_is_refused_answers_what_it_accepted_and_ends() {
    let (_upstream, first, gate) = gated_stage();
    let folder = Arc::clone(&first.folder);
    let address = first.address();
    drop(first);
    // The test is the running gateway: it has the sockets, and will not give up its place.
    let control = UnixListener::bind({
        let path = folder.path().join("upgrade.sock");
        let _ = std::fs::remove_file(&path);
        path
    })
    .unwrap();
    let kept = TcpListener::bind(address).unwrap();
    let mut successor = Gateway::spawn(folder, address.port(), &["--upgrade"], &[]);
    let mut asked = BufReader::new(control.accept().unwrap().0);
    let mut line = String::new();
    asked.read_line(&mut line).unwrap();
    assert_eq!(line.trim(), "sockets");
    let sockets = [kept.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut rights = SendAncillaryBuffer::new(&mut space);
    assert!(rights.push(SendAncillaryMessage::ScmRights(&sockets)));
    let names = format!("{address}\n");
    sendmsg(asked.get_ref(), &[IoSlice::new(names.as_bytes())], &mut rights, SendFlags::empty()).unwrap();
    line.clear();
    asked.read_line(&mut line).unwrap();
    assert_eq!(line.trim(), format!("serving {}", successor.pid()));
    let stream = begin_stream(&successor);
    writeln!(asked.get_mut(), "another process has taken over").unwrap();
    successor.wait_for_log("did not hand over");
    gate.open();
    expect_rest(stream);
    assert_eq!(successor.wait_for_exit().code(), Some(1));
}

#[test]
fn a_gateway_that_found_another_ones_control_socket_leaves_it_there() {
    let (_upstream, mut first, _gate) = gated_stage();
    let socket = first.folder.path().join("upgrade.sock");
    until("the control socket", || socket.exists().then_some(()));
    let mut second = Gateway::spawn(Arc::clone(&first.folder), free_port(), &[], &[]);
    second.wait_for_log("another gateway answers there");
    second.signal(libc::SIGTERM);
    second.wait_for_exit();
    assert!(socket.exists());
    first.signal(libc::SIGTERM);
    first.wait_for_exit();
    assert!(!socket.exists());
}

/// Services have users of their own, and root upgrades them. Says nothing unless root runs it.
#[test]
fn root_upgrades_the_gateway_of_another_user() {
    const NOBODY: u32 = 65_534;
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let (_upstream, first, _gate) = gated_stage();
    let folder = first.folder.path();
    let binary = folder.join("bifrost");
    std::fs::copy(env!("CARGO_BIN_EXE_bifrost"), &binary).unwrap();
    let socket = folder.join("others.sock");
    let config = json!({"server": {"upgrade_socket": socket, "pid_file": folder.join("others.pid")}});
    std::fs::write(folder.join("others.json"), config.to_string()).unwrap();
    for file in [folder, &binary, &folder.join("others.json")] {
        std::os::unix::fs::chown(file, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    let port = free_port().to_string();
    let mut theirs = std::process::Command::new(&binary)
        .env_clear()
        .uid(NOBODY)
        .gid(NOBODY)
        .current_dir("/")
        .args(["--host", "127.0.0.1", "--port", &port, "--config"])
        .arg(folder.join("others.json"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    until("the control socket", || socket.exists().then_some(()));
    let (code, out, err) = run(&["upgrade", "--socket", &socket.display().to_string()]);
    let served = until("the pid file", || {
        std::fs::read_to_string(folder.join("others.pid")).ok()?.trim().parse::<u32>().ok()
    });
    if served != theirs.id() {
        std::process::Command::new("kill").arg("-9").arg(served.to_string()).status().unwrap();
    }
    let _ = theirs.kill();
    theirs.wait().unwrap();
    assert_eq!(code, Some(0), "{out}{err}");
}
