use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::credential::tests::client;
use crate::credential::tests::server::{Answer, Server};

const CA: &str = include_str!("../../credential/tests/ca.pem");
/// Certificate and key of `tls.test`, made for these tests.
const TLS: &str = include_str!("../../credential/tests/tls.pem");

/// Every name is at one address.
struct All(SocketAddr);

impl Resolve for All {
    fn resolve<'a>(&'a self, _: &'a str, _: u16) -> Lookup<'a> {
        let at = self.0;
        Box::pin(async move { Ok(vec![at]) })
    }
}

/// A TLS server that says `hi` to everyone.
async fn tls() -> SocketAddr {
    let certificate = CertificateDer::from_pem_slice(TLS.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(TLS.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut head = [0; 1024];
            let _ = stream.read(&mut head).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi").await;
        }
    });
    address
}

async fn get(client: &Client, url: &str) -> Result<Bytes, HttpError> {
    let request = Request::get(url).body(Bytes::new()).unwrap();
    client.ask(request).await.map(|(_, body)| body)
}

#[tokio::test]
async fn https_needs_a_trusted_certificate_of_that_name() {
    let address = tls().await;
    let ca = CertificateDer::from_pem_slice(CA.as_bytes()).unwrap().to_vec();
    let trusting = Client::new(&[ca]).unwrap().with_resolver(All(address));
    assert_eq!(get(&trusting, "https://tls.test/").await.unwrap(), "hi");
    let other = get(&trusting, "https://other.test/").await.unwrap_err().to_string();
    assert!(other.starts_with("no connection to other.test: invalid peer certificate"), "{other}");
    let strange = client().with_resolver(All(address));
    let unknown = get(&strange, "https://tls.test/").await.unwrap_err().to_string();
    assert!(unknown.contains("UnknownIssuer"), "{unknown}");
}

#[test]
fn an_extra_authority_that_is_none_is_an_error() {
    assert!(Client::new(&[vec![1, 2, 3]]).is_err());
}

#[tokio::test]
async fn answers_of_endpoints_are_bounded() {
    let server = Server::start(|_| Answer::media("text/plain", &vec![b'x'; 2 << 20])).await;
    assert!(matches!(get(&client(), &server.url("/")).await, Err(HttpError::TooLarge(ANSWER))));
}

#[tokio::test]
async fn the_guard_is_asked_before_the_connection() {
    let server = Server::start(|_| Answer::media("text/plain", b"")).await;
    let request = Request::get(server.url("/")).body(Bytes::new()).unwrap();
    let refused = client().send(request, |_| false).await;
    assert!(matches!(refused, Err(HttpError::Refused { .. })) && server.seen().is_empty());
}

#[tokio::test]
async fn urls_that_are_none_are_errors() {
    for url in ["/path", "ftp://a.test/", "tls.test:443"] {
        assert!(matches!(get(&client(), url).await, Err(HttpError::Url(_))), "{url}");
    }
}

#[tokio::test]
async fn a_server_that_speaks_something_else_is_told_as_such() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"220 smtp ready\r\n").await.unwrap();
    });
    let error = get(&client(), &url).await.unwrap_err().to_string();
    assert!(error.starts_with("no answer from 127.0.0.1: "), "{error}");
}
