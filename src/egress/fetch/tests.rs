use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;

use super::super::http::{Lookup, Resolve};
use super::*;
use crate::credential::tests::client;
use crate::credential::tests::server::{Answer, Server};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n0000IHDR";

/// Names with fixed addresses, and no others.
struct Names(HashMap<&'static str, Vec<SocketAddr>>);

impl Resolve for Names {
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> Lookup<'a> {
        let found = self.0.get(host).cloned();
        Box::pin(async move {
            let found = found.ok_or_else(|| io::Error::other("no such name"))?;
            Ok(found
                .into_iter()
                .map(|at| SocketAddr::new(at.ip(), if at.port() == 0 { port } else { at.port() }))
                .collect())
        })
    }
}

fn names<const N: usize>(names: [(&'static str, &[&str]); N]) -> Client {
    let parsed = names.map(|(name, at)| (name, at.iter().map(|a| a.parse().unwrap()).collect()));
    client().with_resolver(Names(HashMap::from(parsed)))
}

fn open() -> Policy {
    Policy { allow_private: true, ..Policy::default() }
}

async fn fetched(url: &str, wanted: Wanted, policy: &Policy) -> Result<Media, FetchError> {
    fetch_media(&client(), url, wanted, policy).await
}

#[tokio::test]
async fn a_picture_is_fetched_with_the_type_its_bytes_say() {
    let server = Server::start(|_| Answer::media("image/jpeg", PNG)).await;
    let media = fetched(&server.url("/a%20b.jpg?x=1#top"), Wanted::Image, &open()).await.unwrap();
    assert_eq!(media, Media { media_type: "image/png".into(), bytes: Bytes::from_static(PNG) });
    let seen = server.seen().remove(0);
    assert_eq!(seen.line, "GET /a%20b.jpg?x=1");
    assert_eq!(seen.headers["host"], server.address.to_string());
    assert!(!seen.headers.contains_key("authorization") && !seen.headers.contains_key("cookie"));
}

#[tokio::test]
async fn addresses_inside_are_refused_without_a_connection() {
    let server = Server::start(|_| Answer::media("image/png", PNG)).await;
    let port = server.address.port();
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "localhost",
        "0.0.0.0",
    ] {
        let url = format!("http://{host}:{port}/a.png");
        let refused = fetched(&url, Wanted::Image, &Policy::default()).await;
        assert!(matches!(refused, Err(FetchError::Private(_))), "{url} {refused:?}");
    }
    assert!(server.seen().is_empty());
    let metadata = fetched("http://169.254.169.254/latest/meta-data/", Wanted::Any, &Policy::default()).await;
    assert!(matches!(metadata, Err(FetchError::Private(_))));
}

#[tokio::test]
async fn names_that_resolve_inside_are_refused_also_when_one_address_is_outside() {
    let client =
        names([("inside.test", &["10.0.0.1:0"]), ("both.test", &["93.184.216.34:0", "127.0.0.1:0"])]);
    for host in ["inside.test", "both.test"] {
        let refused =
            fetch_media(&client, &format!("https://{host}/"), Wanted::Any, &Policy::default()).await;
        let error = refused.unwrap_err();
        assert_eq!(error.to_string(), format!("the host {host} is not on the public internet"));
    }
}

#[tokio::test]
async fn the_connection_goes_to_the_address_that_was_checked() {
    let server = Server::start(|_| Answer::media("image/png", PNG)).await;
    let at = server.address.to_string();
    // A name that only this resolver knows: another lookup on the way would fail.
    let client = names([("pinned.test", &[&at])]);
    fetch_media(&client, "http://pinned.test/x", Wanted::Image, &open()).await.unwrap();
    assert_eq!(server.seen()[0].headers["host"], "pinned.test");
}

#[tokio::test]
async fn redirects_are_checked_anew() {
    let server = Server::start(|seen| match seen.line.as_str() {
        "GET /relative" => Answer::redirect("other"),
        "GET /inside" => Answer::redirect("http://127.0.0.1:1/secret"),
        "GET /file" => Answer::redirect("file:///etc/passwd"),
        "GET /user" => Answer::redirect("http://user:password@elsewhere.test/"),
        "GET /elsewhere" => Answer::redirect("http://elsewhere.test/"),
        "GET /loop" => Answer::redirect("/loop"),
        _ => Answer::media("image/png", PNG),
    })
    .await;
    assert!(fetched(&server.url("/relative"), Wanted::Image, &open()).await.is_ok());
    let looped = fetched(&server.url("/loop"), Wanted::Image, &open()).await;
    assert!(matches!(looped, Err(FetchError::Redirects)));
    assert_eq!(server.seen().iter().filter(|seen| seen.line == "GET /loop").count(), 4);
    for path in ["/file", "/user"] {
        let refused = fetched(&server.url(path), Wanted::Image, &open()).await;
        assert!(matches!(refused, Err(FetchError::Scheme)), "{refused:?}");
    }
    let only = Policy { allowed_hosts: vec!["127.0.0.1".into()], ..open() };
    let refused = fetched(&server.url("/elsewhere"), Wanted::Image, &only).await;
    assert!(matches!(refused, Err(FetchError::HostNotAllowed(host)) if host == "elsewhere.test"));
}

/// The first hop is public here by name only, so the guard is put between: what it saw is the proof.
#[tokio::test]
async fn a_redirect_to_this_machine_is_refused_by_the_default_policy() {
    let server = Server::start(|_| Answer::redirect("http://127.0.0.1:1/secret")).await;
    let url = Url::parse(&server.url("/")).unwrap();
    let response = get(&client(), &url, &open()).await.unwrap();
    let next = redirect(&url, &response).unwrap().unwrap();
    let refused = get(&client(), &next, &Policy::default()).await;
    assert!(matches!(refused, Err(FetchError::Private(host)) if host == "127.0.0.1"));
}

#[tokio::test]
async fn files_over_the_limit_are_cut_also_when_their_length_is_not_told() {
    let server = Server::start(|seen| {
        let mut answer = Answer::media("image/png", &[PNG, &[0; 100_000]].concat());
        if seen.line == "GET /chunked" {
            answer.headers.push(("transfer-encoding", "chunked".into()));
            let chunk = [b"fff0\r\n".as_slice(), PNG, &vec![0; 0xfff0 - PNG.len()], b"\r\n"].concat();
            // Never ends: only the limit stops the reading.
            answer.body = chunk.repeat(50);
        }
        answer
    })
    .await;
    let small = Policy { max_bytes: 100_000, ..open() };
    for path in ["/told", "/chunked"] {
        let cut = fetched(&server.url(path), Wanted::Image, &small).await;
        assert!(matches!(cut, Err(FetchError::TooLarge(100_000))), "{path} {cut:?}");
    }
    let enough = Policy { max_bytes: 100_000 + PNG.len() as u64, ..open() };
    assert!(fetched(&server.url("/told"), Wanted::Image, &enough).await.is_ok());
}

#[tokio::test]
async fn what_is_no_picture_is_refused_whatever_it_is_called() {
    let server = Server::start(|seen| match seen.line.as_str() {
        "GET /page" => Answer::media("image/png", b"<!doctype html><title>404</title>"),
        "GET /pdf" => Answer::media("image/png", b"%PDF-1.7"),
        "GET /packed" => {
            Answer { headers: vec![("content-encoding", "gzip".into())], ..Answer::media("image/png", PNG) }
        }
        "GET /csv" => Answer::media("text/csv", b"a,b"),
        _ => Answer::json(404, "{}"),
    })
    .await;
    for (path, found) in [("/page", "nothing known"), ("/pdf", "application/pdf")] {
        let refused = fetched(&server.url(path), Wanted::Image, &open()).await;
        assert!(matches!(&refused, Err(FetchError::WrongType { found: f }) if f == found), "{refused:?}");
    }
    assert!(matches!(
        fetched(&server.url("/none"), Wanted::Any, &open()).await,
        Err(FetchError::Status(404))
    ));
    assert!(matches!(
        fetched(&server.url("/packed"), Wanted::Any, &open()).await,
        Err(FetchError::Upstream(_))
    ));
    assert_eq!(fetched(&server.url("/csv"), Wanted::Document, &open()).await.unwrap().media_type, "text/csv");
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let hasty = Policy { timeout: Duration::from_millis(50), ..open() };
    let given_up = fetched(&url, Wanted::Any, &hasty).await;
    assert!(matches!(given_up, Err(FetchError::Timeout(_))), "{given_up:?}");
}

#[tokio::test]
async fn urls_that_are_not_fetched_say_why() {
    for (url, expected) in [
        ("no url", "`no url` is no URL"),
        ("ftp://a.test/x", "only http and https URLs without user and password are fetched"),
        ("data:image/png;base64,AAAA", "only http and https URLs without user and password are fetched"),
        ("http://u:p@a.test/", "only http and https URLs without user and password are fetched"),
    ] {
        assert_eq!(fetched(url, Wanted::Any, &open()).await.unwrap_err().to_string(), expected);
    }
    let long = fetched(&"x".repeat(100_000), Wanted::Any, &open()).await.unwrap_err();
    assert!(long.to_string().len() < 200);
}

#[test]
fn allowed_hosts_are_names_or_everything_below_one() {
    for (pattern, host, expected) in [
        ("a.test", "A.test", true),
        ("a.test", "b.a.test", false),
        ("*.a.test", "b.a.test", true),
        ("*.a.test", "a.test", false),
        ("*.a.test", "ba.test", false),
        ("*", "a.test", false),
    ] {
        assert_eq!(fits(pattern, host), expected, "{pattern} {host}");
    }
}
