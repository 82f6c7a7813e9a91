//! The TLS listener: HTTP/1.1 and HTTP/2 by negotiation, and a certificate that changes while it runs.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::json;

use crate::stage::providers;
use crate::support::gateway::{Gateway, free_port};
use crate::support::until;
use crate::support::upstream::Upstream;

/// Writes a fresh self-signed pair and returns its certificate.
fn issue(folder: &Path) -> String {
    let pair = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    for (name, text) in [("tls.key", pair.signing_key.serialize_pem()), ("tls.pem", pair.cert.pem())] {
        let fresh = folder.join(format!("{name}.new"));
        std::fs::write(&fresh, text).unwrap();
        std::fs::rename(&fresh, folder.join(name)).unwrap();
    }
    pair.cert.pem()
}

/// One request over TLS that trusts `certificate` alone; the protocol that was agreed on, and the answer.
fn ask(port: u16, certificate: &str, alpn: &[&str]) -> std::io::Result<(Option<String>, String)> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = versions.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    let name = ServerName::try_from("localhost").unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).map_err(std::io::Error::other)?;
    let mut stream = StreamOwned::new(connection, TcpStream::connect(("127.0.0.1", port))?);
    stream.conn.complete_io(&mut stream.sock)?;
    let agreed = stream.conn.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned());
    let mut answer = String::new();
    if agreed.as_deref() != Some("h2") {
        stream.write_all(b"GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
        // A peer that closes without saying so in TLS is an error here; what it said stands.
        let _ = stream.read_to_string(&mut answer);
    }
    Ok((agreed, answer))
}

#[test]
fn https_is_served_beside_http_and_a_renewed_certificate_is_used_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let first = issue(folder.path());
    let upstream = Upstream::start(|_| Vec::new());
    let port = free_port();
    let mut config = json!({"providers": providers(&upstream)});
    let file = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    config["server"] = json!({"tls": {"cert": file("tls.pem"), "key": file("tls.key"), "port": port}});
    let gateway = Gateway::start(&config);
    assert_eq!(gateway.get("/livez").status(), 200);

    let (agreed, answer) = ask(port, &first, &[]).unwrap();
    assert_eq!(agreed, None);
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("ok\n"), "{answer}");
    assert_eq!(ask(port, &first, &["h2", "http/1.1"]).unwrap().0.as_deref(), Some("h2"));
    assert_eq!(ask(port, &first, &["http/1.1"]).unwrap().0.as_deref(), Some("http/1.1"));

    let second = issue(folder.path());
    until("the new certificate", || ask(port, &second, &[]).ok());
    assert!(ask(port, &first, &[]).is_err(), "the old certificate is still shown");

    std::fs::write(folder.path().join("tls.pem"), "no certificate").unwrap();
    gateway_keeps(port, &second, &gateway);
}

/// Broken files are told of, and the certificate stays.
fn gateway_keeps(port: u16, certificate: &str, gateway: &Gateway) {
    until("the complaint", || {
        ask(port, certificate, &[]).unwrap();
        gateway.log().iter().any(|line| line.contains("is not used")).then_some(())
    });
    assert!(ask(port, certificate, &[]).is_ok());
}

#[test]
fn a_key_of_another_certificate_stops_the_start_with_its_name() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    issue(folder.path());
    issue(other.path());
    std::fs::copy(other.path().join("tls.key"), folder.path().join("tls.key")).unwrap();
    let file = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let config = json!({"server": {"port": 0, "tls": {"cert": file("tls.pem"), "key": file("tls.key")}}});
    std::fs::write(folder.path().join("c.json"), config.to_string()).unwrap();
    let (code, _, told) = crate::support::gateway::run(&["--config", &file("c.json")]);
    assert_ne!(code, Some(0));
    assert!(told.contains("tls.key") && told.contains("does not belong"), "{told}");
}
