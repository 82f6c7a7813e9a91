use std::sync::Arc;

use aws_credential_types::Credentials;

use super::super::Outgoing;
use super::super::sigv4::tests::{Vector, sign_vector, vectors};
use super::super::sigv4::{Scope, SigV4};
use super::*;

fn secret_of<'a>(key: &'a str, secret: &'a str) -> impl Fn(&str) -> Option<Secret> + 'a {
    move |asked| (asked == key).then(|| Secret::new(secret))
}

/// Verifies a vector's signed request, with the headers the gateway itself would add.
fn check(vector: &Vector, change: impl Fn(&mut Incoming<'_>)) -> Result<AccessKey, Reason> {
    let added = sign_vector(vector);
    let mut headers = vector.request.borrowed();
    headers.retain(|(name, _)| !added.iter().any(|(n, _)| n.as_str().eq_ignore_ascii_case(name)));
    headers.extend(added.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())));
    let body_sha256 = body_sha256(vector.request.body.as_bytes());
    let mut request = Incoming {
        method: &vector.request.method,
        path_and_query: &vector.request.path,
        headers: &headers,
        body_sha256: &body_sha256,
        path_form: vector.scope.path,
        now: vector.now,
    };
    change(&mut request);
    verify(&request, secret_of(&vector.access_key, &vector.secret))
}

#[test]
fn the_published_vectors_are_accepted_as_published() {
    let vectors: Vec<Vector> = vectors().into_iter().filter(|vector| !vector.token_unsigned).collect();
    assert!(vectors.len() >= 37, "the suite has {} vectors", vectors.len());
    for vector in &vectors {
        // The suite's own signed requests, not ours.
        let headers = vector.signed.borrowed();
        let body_sha256 = body_sha256(vector.signed.body.as_bytes());
        let request = Incoming {
            method: &vector.signed.method,
            path_and_query: &vector.signed.path,
            headers: &headers,
            body_sha256: &body_sha256,
            path_form: vector.scope.path,
            now: vector.now,
        };
        let verified = verify(&request, secret_of(&vector.access_key, &vector.secret));
        assert_eq!(verified, Ok(AccessKey(vector.access_key.clone())), "{}", vector.name);
        assert_eq!(verify(&request, secret_of(&vector.access_key, "other")), Err(Reason::Mismatch));
    }
}

#[test]
fn every_vector_is_refused_when_it_was_changed() {
    for vector in vectors().iter().filter(|vector| !vector.token_unsigned) {
        let name = &vector.name;
        assert!(check(vector, |_| {}).is_ok(), "{name}");
        assert_eq!(check(vector, |r| r.method = "PUT"), Err(Reason::Mismatch), "{name}");
        assert_eq!(check(vector, |r| r.path_and_query = "/other"), Err(Reason::Mismatch), "{name}");
        let other = "0".repeat(64);
        let expected = if vector.scope.hash_header { Reason::Body } else { Reason::Mismatch };
        let body = verify_with_body(vector, &other);
        assert_eq!(body, Err(expected), "{name}");
    }
}

fn verify_with_body(vector: &Vector, hash: &str) -> Result<AccessKey, Reason> {
    let headers = vector.signed.borrowed();
    let request = Incoming {
        method: &vector.signed.method,
        path_and_query: &vector.signed.path,
        headers: &headers,
        body_sha256: hash,
        path_form: vector.scope.path,
        now: vector.now,
    };
    verify(&request, secret_of(&vector.access_key, &vector.secret))
}

const PATH: &str = "/bedrock/model/anthropic.claude-sonnet-4-v1%3A0/converse";
const BODY: &[u8] = br#"{"messages":[]}"#;

/// A caller's request as its SDK signs it, and what became of it.
struct Call {
    headers: Vec<(String, String)>,
    now: SystemTime,
}

fn call(token: Option<&str>) -> Call {
    let keys = Credentials::new("vk/team-a", "s3cret", token.map(str::to_owned), None, "test");
    let now = SystemTime::UNIX_EPOCH + Duration::from_millis(1_763_800_000_999);
    let request = Outgoing {
        method: "POST",
        host: "gateway:8080",
        path_and_query: PATH,
        headers: &[("content-type", "application/json")],
        body: BODY,
        now,
    };
    let scope = Scope { region: Arc::from("eu-west-1"), ..Scope::bedrock("") };
    let added = SigV4::fixed(scope, keys).sign(&request).unwrap();
    let mut headers: Vec<(String, String)> = vec![
        ("Host".into(), "gateway:8080".into()),
        ("Content-Type".into(), "application/json".into()),
        ("User-Agent".into(), "Boto3/1.40".into()),
    ];
    headers.extend(added.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())));
    Call { headers, now }
}

impl Call {
    fn check(&self) -> Result<AccessKey, Reason> {
        let headers: Vec<(&str, &str)> = self.headers.iter().map(|(n, v)| (&**n, &**v)).collect();
        let request = Incoming {
            method: "POST",
            path_and_query: PATH,
            headers: &headers,
            body_sha256: &body_sha256(BODY),
            path_form: PathForm::USUAL,
            now: self.now,
        };
        verify(&request, secret_of("vk/team-a", "s3cret"))
    }

    fn header(&mut self, name: &str) -> &mut String {
        &mut self.headers.iter_mut().find(|(n, _)| n.eq_ignore_ascii_case(name)).unwrap().1
    }
}

#[test]
fn a_callers_request_is_accepted_with_and_without_a_session_token() {
    for token in [None, Some("tok")] {
        assert_eq!(call(token).check(), Ok(AccessKey("vk/team-a".into())));
    }
    let header = call(None).header("authorization").clone();
    assert_eq!(claimed_key(&header), Some("vk/team-a"));
}

#[test]
fn the_callers_clock_may_be_five_minutes_off() {
    for (seconds, fits) in [(299_i64, true), (-299, true), (302, false), (-302, false)] {
        let mut call = call(None);
        let apart = Duration::from_secs(seconds.unsigned_abs());
        call.now = if seconds < 0 { call.now - apart } else { call.now + apart };
        assert_eq!(call.check().is_ok(), fits, "{seconds}");
        assert!(fits || call.check() == Err(Reason::Time));
    }
}

/// One change to a signed call and what it must lead to.
type Case = (&'static str, fn(&mut Call), Reason);

/// Replaces text in the `authorization` header.
fn edit(call: &mut Call, from: &str, to: &str) {
    let header = call.header("authorization");
    assert!(header.contains(from));
    *header = header.replace(from, to);
}

fn refused_with(cases: &[Case]) {
    for (name, change, expected) in cases {
        let mut call = call(Some("tok"));
        change(&mut call);
        assert_eq!(call.check().as_ref(), Err(expected), "{name}");
    }
}

#[test]
fn tampered_headers_are_refused_with_the_reason() {
    let twice = "no single x-amz-date header";
    refused_with(&[
        ("host", |c| *c.header("host") = "other".into(), Reason::Mismatch),
        ("type", |c| *c.header("content-type") = "text/plain".into(), Reason::Mismatch),
        ("token", |c| *c.header("x-amz-security-token") = "stolen".into(), Reason::Mismatch),
        ("date", |c| *c.header("x-amz-date") = "20251122T082641Z".into(), Reason::Mismatch),
        ("no date", |c| c.headers.retain(|(n, _)| n != "x-amz-date"), Reason::Malformed(twice)),
        (
            "two dates",
            |c| c.headers.push(("X-Amz-Date".into(), "20200101T000000Z".into())),
            Reason::Malformed(twice),
        ),
        (
            "added header",
            |c| c.headers.push(("X-Amz-Target".into(), "x".into())),
            Reason::Malformed("an x-amz- header is not signed"),
        ),
        (
            "lost header",
            |c| c.headers.retain(|(n, _)| n != "Content-Type"),
            Reason::MissingHeader("content-type".into()),
        ),
    ]);
}

#[test]
fn tampered_signatures_are_refused_with_the_reason() {
    let other_day = "the credential's date is not that of x-amz-date";
    refused_with(&[
        ("signature", |c| c.header("authorization").push('0'), Reason::Mismatch),
        ("region", |c| edit(c, "eu-west-1", "us-east-1"), Reason::Mismatch),
        ("no auth", |c| c.headers.retain(|(n, _)| n != "authorization"), Reason::NotSigned),
        ("bearer", |c| *c.header("authorization") = "Bearer x".into(), Reason::NotSigned),
        ("unknown key", |c| edit(c, "vk/team-a", "vk/team-b"), Reason::UnknownKey),
        ("other day", |c| edit(c, "20251122/", "20251121/"), Reason::Malformed(other_day)),
        ("host unsigned", |c| edit(c, ";host", ""), Reason::Malformed("the host is not signed")),
    ]);
}

#[test]
fn unsigned_and_chunked_bodies_are_refused() {
    for hash in ["UNSIGNED-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", ""] {
        let mut call = call(None);
        call.headers.push(("x-amz-content-sha256".into(), hash.into()));
        let header = call.header("authorization");
        *header = header.replace("host;x-amz-date", "host;x-amz-content-sha256;x-amz-date");
        assert_eq!(call.check(), Err(Reason::Body), "{hash}");
    }
}

#[test]
fn broken_authorization_headers_are_malformed_and_never_a_panic() {
    let broken = [
        "AWS4-HMAC-SHA256",
        "AWS4-HMAC-SHA256 ",
        "AWS4-HMAC-SHA256 Credential",
        "AWS4-HMAC-SHA256 Credential=a/20251122/r/s/aws4_request",
        "AWS4-HMAC-SHA256 Credential=20251122/r/s/aws4_request, SignedHeaders=host, Signature=0",
        "AWS4-HMAC-SHA256 Credential=a/20251122/r/s/aws5_request, SignedHeaders=host, Signature=0",
        "AWS4-HMAC-SHA256 Credential=////aws4_request, SignedHeaders=host, Signature=0",
        "AWS4-HMAC-SHA256 Credential=a/b/c/d/aws4_request, Credential=a, SignedHeaders=host, Signature=0",
        "AWS4-HMAC-SHA256 Credential=a/20251122/r/s/aws4_request, SignedHeaders=host, Signature=0, X=y",
    ];
    for header in broken {
        let mut call = call(None);
        *call.header("authorization") = header.into();
        assert!(matches!(call.check(), Err(Reason::Malformed(_))), "{header}");
    }
    for date in [
        "",
        "2025",
        "20251122T082640",
        "20251122T082640+",
        "2025112é082640Z",
        "20251399T082640Z",
        "99999999T999999Z",
    ] {
        let mut call = call(None);
        *call.header("x-amz-date") = date.into();
        assert!(matches!(call.check(), Err(Reason::Malformed(_) | Reason::Time)), "{date}");
    }
}

#[test]
fn no_header_and_no_path_makes_it_panic() {
    let mut dice = fastrand::Rng::with_seed(7);
    let (mut accepted, mut refused) = (0, 0);
    for _ in 0..1_500 {
        let mut call = call(Some("tok"));
        let at = dice.usize(0..call.headers.len());
        let value = &mut call.headers[at].1;
        let (from, to) = (dice.usize(0..=value.len()), dice.usize(0..=value.len()));
        let noise = dice.choice(["", "/", "=", ",", ";", "\0", "\n", "é", "%", " "]).unwrap_or_default();
        value.replace_range(from.min(to)..from.max(to), noise);
        match call.check() {
            Ok(_) => accepted += 1,
            Err(_) => refused += 1,
        }
    }
    // Changes of the unsigned user agent, and those that change nothing, are all that may pass.
    assert!(refused > 5 * accepted / 2, "{accepted} accepted, {refused} refused");
    for path in ["", "*", "?", "x", "//", "/../..", "/%", "/%zz", "/?&=&&==", "/a?%", "/é"] {
        let headers = [
            (
                "authorization",
                "AWS4-HMAC-SHA256 Credential=a/20251122/r/s/aws4_request, SignedHeaders=host;x-amz-date, Signature=0",
            ),
            ("host", "h"),
            ("x-amz-date", "20251122T082640Z"),
        ];
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_763_800_000);
        let request = Incoming {
            method: "GET",
            path_and_query: path,
            headers: &headers,
            body_sha256: "",
            path_form: PathForm::USUAL,
            now,
        };
        assert!(
            matches!(
                verify(&request, secret_of("a", "b")),
                Err(Reason::Mismatch | Reason::Malformed("the path"))
            ),
            "{path}"
        );
    }
}
