//! The way out through an HTTP CONNECT proxy, or a SOCKS5 one.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use serde_json::{Value, json};

use crate::stage::{chat, provider};
use crate::support::answers::healthy;
use crate::support::client::Request;
use crate::support::gateway::Gateway;
use crate::support::tls::{CA, Leaf};
use crate::support::upstream::{Upstream, find};
use crate::support::{Watched, Wire};

/// A proxy that answers each CONNECT with `answer` and, when that is a 200, passes bytes on. Remembers
/// the heads it got.
struct ConnectProxy {
    port: u16,
    heads: Arc<Watched<Vec<String>>>,
}

impl ConnectProxy {
    fn start(answer: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let heads = Watched::new(Vec::new());
        let seen = Arc::clone(&heads);
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let seen = Arc::clone(&seen);
                std::thread::spawn(move || tunnel(socket, answer, &seen));
            }
        });
        Self { port, heads }
    }
}

fn tunnel(mut socket: TcpStream, answer: &str, seen: &Watched<Vec<String>>) -> Option<()> {
    let mut head = Vec::new();
    while find(&head, b"\r\n\r\n").is_none() {
        let mut byte = [0];
        socket.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let target = head.split(' ').nth(1)?.to_owned();
    seen.change(|heads| heads.push(head));
    socket.write_all(format!("HTTP/1.1 {answer}\r\n\r\n").as_bytes()).ok()?;
    if !answer.starts_with("200") {
        return None;
    }
    let target = TcpStream::connect(target).ok()?;
    let (mut from, mut to) = (socket.try_clone().ok()?, target.try_clone().ok()?);
    std::thread::spawn(move || std::io::copy(&mut from, &mut to));
    std::io::copy(&mut &target, &mut socket).ok()?;
    None
}

fn through(wire: Wire, url: &str, proxy: &ConnectProxy) -> Value {
    let mut provider = provider(wire, url);
    provider["proxy_config"] = json!({
        "type": "http", "url": format!("http://127.0.0.1:{}", proxy.port), "username": "ada", "password": "pw",
    });
    provider
}

#[test]
fn providers_are_reached_through_a_connect_proxy_with_and_without_tls() {
    let proxy = ConnectProxy::start("200 Connection established");
    let (plain, tls) = (Upstream::start(healthy), Upstream::start_tls(Leaf::Good.server(), healthy));
    let mut secure = through(Wire::OpenAi, &format!("https://localhost:{}", tls.port), &proxy);
    secure["network_config"]["ca_cert_pem"] = json!(CA);
    let gateway = Gateway::start(&json!({"providers": {
        "plain": through(Wire::Anthropic, &plain.url(), &proxy),
        "secure": secure,
    }}));
    for model in ["plain/m", "secure/m", "plain/m", "secure/m"] {
        let answer = gateway.ask(&Request::json(Wire::OpenAi.path(), &chat(model)));
        assert_eq!(answer.status(), 200, "{}", answer.text());
    }
    assert_eq!((plain.hits().len(), tls.hits().len()), (2, 2));
    let heads = proxy.heads.lock().clone();
    assert!(
        heads.iter().any(|head| head.starts_with(&format!("CONNECT 127.0.0.1:{} ", plain.port))),
        "{heads:?}"
    );
    assert!(
        heads.iter().any(|head| head.starts_with(&format!("CONNECT localhost:{} ", tls.port))),
        "{heads:?}"
    );
    // "ada:pw"
    assert!(heads.iter().all(|head| head.contains("Proxy-Authorization: Basic YWRhOnB3\r\n")), "{heads:?}");
    assert!(plain.hits().iter().all(|hit| hit.header("proxy-authorization").is_none()));
}

#[test]
fn a_proxy_that_refuses_is_a_connect_fault_and_the_fallback_answers() {
    let proxy = ConnectProxy::start("407 Proxy Authentication Required");
    let spare = Upstream::start(healthy);
    let gateway = Gateway::start(&json!({"providers": {
        "behind": through(Wire::OpenAi, "http://127.0.0.1:9", &proxy),
        "spare": provider(Wire::OpenAi, &spare.url()),
    }}));
    let mut body = chat("behind/m");
    body["fallbacks"] = json!(["spare/m"]);
    let answer = gateway.ask(&Request::json(Wire::OpenAi.path(), &body)).json();
    let first = &answer["extra_fields"]["attempts"][0];
    assert_eq!((&first["provider"], &first["outcome"]), (&json!("behind"), &json!("connect")), "{answer}");
    assert!(first["reason"].as_str().unwrap().contains("407"), "{first}");
    assert_eq!(answer["extra_fields"]["provider"], "spare");
}

/// A SOCKS5 proxy (RFC 1928, 1929) that knows one user, or lets everybody in. Remembers the names it was given.
struct SocksProxy {
    port: u16,
    names: Arc<Watched<Vec<String>>>,
}

impl SocksProxy {
    fn start(user: Option<(&'static str, &'static str)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let names = Watched::new(Vec::new());
        let seen = Arc::clone(&names);
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let seen = Arc::clone(&seen);
                std::thread::spawn(move || socks(socket, user, &seen));
            }
        });
        Self { port, names }
    }
}

fn socks(mut socket: TcpStream, user: Option<(&str, &str)>, seen: &Watched<Vec<String>>) -> Option<()> {
    let methods = counted(&mut socket, 1)?;
    let method = if user.is_some() { 2 } else { 0 };
    let chosen = if methods.contains(&method) { method } else { 0xff };
    socket.write_all(&[5, chosen]).ok()?;
    if let Some((name, password)) = user {
        let given = counted(&mut socket, 1)?;
        let secret = counted(&mut socket, 0)?;
        let known = given == name.as_bytes() && secret == password.as_bytes();
        socket.write_all(&[1, u8::from(!known)]).ok()?;
        known.then_some(())?;
    }
    let mut head = [0; 4];
    socket.read_exact(&mut head).ok()?;
    assert_eq!(head, [5, 1, 0, 3], "CONNECT to a name");
    let name = String::from_utf8(counted(&mut socket, 0)?).ok()?;
    let mut port = [0; 2];
    socket.read_exact(&mut port).ok()?;
    let port = u16::from_be_bytes(port);
    seen.change(|names| names.push(format!("{name}:{port}")));
    let Ok(target) = TcpStream::connect((name.as_str(), port)) else {
        // Connection refused.
        socket.write_all(&[5, 5, 0, 1, 0, 0, 0, 0, 0, 0]).ok()?;
        return None;
    };
    socket.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).ok()?;
    let (mut from, mut to) = (socket.try_clone().ok()?, target.try_clone().ok()?);
    std::thread::spawn(move || std::io::copy(&mut from, &mut to));
    std::io::copy(&mut &target, &mut socket).ok()?;
    None
}

/// Bytes with their count before them, after `skipped` others.
fn counted(socket: &mut TcpStream, skipped: usize) -> Option<Vec<u8>> {
    let mut head = vec![0; skipped + 1];
    socket.read_exact(&mut head).ok()?;
    let mut bytes = vec![0; usize::from(*head.last()?)];
    socket.read_exact(&mut bytes).ok()?;
    Some(bytes)
}

fn through_socks(wire: Wire, url: &str, proxy: &SocksProxy, user: Option<(&str, &str)>) -> Value {
    let mut provider = provider(wire, url);
    let url = format!("socks5://127.0.0.1:{}", proxy.port);
    provider["proxy_config"] = json!({"type": "socks5", "url": url});
    if let Some((name, password)) = user {
        provider["proxy_config"]["username"] = json!(name);
        provider["proxy_config"]["password"] = json!(password);
    }
    provider
}

#[test]
fn providers_are_reached_through_a_socks5_proxy_which_resolves_their_names() {
    let (open, guarded) = (SocksProxy::start(None), SocksProxy::start(Some(("ada", "pw"))));
    let (plain, tls) = (Upstream::start(healthy), Upstream::start_tls(Leaf::Good.server(), healthy));
    let (at_plain, at_tls) =
        (format!("http://localhost:{}", plain.port), format!("https://localhost:{}", tls.port));
    let mut secure = through_socks(Wire::OpenAi, &at_tls, &guarded, Some(("ada", "pw")));
    secure["network_config"]["ca_cert_pem"] = json!(CA);
    let gateway = Gateway::start(&json!({"providers": {
        "plain": through_socks(Wire::Anthropic, &at_plain, &open, None),
        "secure": secure,
    }}));
    for model in ["plain/m", "secure/m", "plain/m", "secure/m"] {
        let answer = gateway.ask(&Request::json(Wire::OpenAi.path(), &chat(model)));
        assert_eq!(answer.status(), 200, "{}", answer.text());
    }
    assert_eq!((plain.hits().len(), tls.hits().len()), (2, 2));
    let all = |proxy: &SocksProxy, name: String| proxy.names.lock().iter().all(|seen| *seen == name);
    assert!(
        all(&open, format!("localhost:{}", plain.port)) && all(&guarded, format!("localhost:{}", tls.port))
    );
    assert!(!open.names.lock().is_empty() && !guarded.names.lock().is_empty());
}

#[test]
fn a_socks5_proxy_that_refuses_is_a_connect_fault_with_its_reason() {
    let guarded = SocksProxy::start(Some(("ada", "pw")));
    let spare = Upstream::start(healthy);
    let ask = |port: u16, user: Option<(&str, &str)>| {
        let gateway = Gateway::start(&json!({"providers": {
            "behind": through_socks(Wire::OpenAi, &format!("http://localhost:{port}"), &guarded, user),
            "spare": provider(Wire::OpenAi, &spare.url()),
        }}));
        let mut body = chat("behind/m");
        body["fallbacks"] = json!(["spare/m"]);
        let answer = gateway.ask(&Request::json(Wire::OpenAi.path(), &body)).json();
        assert_eq!(answer["extra_fields"]["provider"], "spare", "{answer}");
        let first = answer["extra_fields"]["attempts"][0].clone();
        assert_eq!((&first["provider"], &first["outcome"]), (&json!("behind"), &json!("connect")));
        first["reason"].as_str().unwrap().to_owned()
    };
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for (port, user, words) in [
        (spare.port, None, "egress proxy"),
        (spare.port, Some(("ada", "wrong")), "assword"),
        (closed, Some(("ada", "pw")), "refused"),
    ] {
        let reason = ask(port, user);
        assert!(reason.contains(words), "{words:?} is not in {reason:?}");
        assert!(!reason.contains("wrong"), "{reason}");
    }
}
