//! Another implementation of the signature, in both directions: what it signed is accepted, and signed
//! alike by ours.

use aws_credential_types::Credentials;

use super::super::Outgoing;
use super::super::sigv4::{Scope, SigV4};
use super::*;

const BODY: &[u8] = br#"{"messages":[]}"#;

/// Path, body, session token, extra signed headers and the signature that botocore 1.44.5 made of them.
type Botocore = (&'static str, &'static [u8], Option<&'static str>, &'static str, &'static str);

/// Signed by the SDK for Python for the host `gateway:8080`.
const BOTOCORE: [Botocore; 3] = [
    (
        "/bedrock/model/anthropic.claude-sonnet-4-v1%3A0/converse",
        BODY,
        None,
        "content-type;host;x-amz-date",
        "9da0195e5cdfdec51ef45e35c534db31ddd398ab571a4ae9f6f6ac56f246c990",
    ),
    (
        "/bedrock/model/arn%3Aaws%3Abedrock%3Aeu-west-1%3A1%3Ainference-profile%2Feu.x/converse-stream",
        BODY,
        Some("tok/en=="),
        "content-type;host;x-amz-date;x-amz-security-token",
        "bd0d7eb1afa27354dc3fc354bdfed2d0f595b06b5e060fc778cf87949b2b40c6",
    ),
    (
        "/bedrock/guardrail/a~b/version/1/apply?z=1&a=b%20c&a=%C3%A9",
        b"",
        None,
        "host;x-amz-date",
        "e836ac15b0ee6d4214c813320e495e46cd80c6c08b61004c5856d5ec4cb61bd0",
    ),
];

#[test]
fn what_botocore_signs_is_accepted_and_signed_alike() {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_763_800_000);
    for (path, body, token, signed, signature) in BOTOCORE {
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential=vk/team-a/20251122/eu-west-1/bedrock/aws4_request, \
             SignedHeaders={signed}, Signature={signature}"
        );
        let mut headers = vec![
            ("Host", "gateway:8080"),
            ("User-Agent", "Boto3/1.40"),
            ("X-Amz-Date", "20251122T082640Z"),
            ("Authorization", &authorization),
        ];
        let typed = signed.starts_with("content-type");
        headers.extend(typed.then_some(("Content-Type", "application/json")));
        headers.extend(token.map(|token| ("X-Amz-Security-Token", token)));
        let body_sha256 = body_sha256(body);
        let request = Incoming {
            method: "POST",
            path_and_query: path,
            headers: &headers,
            body_sha256: &body_sha256,
            path_form: PathForm::USUAL,
            now,
        };
        let verified = verify(&request, |key| (key == "vk/team-a").then(|| Secret::new("s3cret")));
        assert_eq!(verified, Ok(AccessKey("vk/team-a".into())), "{path}");
        let extra: &[(&str, &str)] = if typed { &[("content-type", "application/json")] } else { &[] };
        let request = Outgoing {
            method: "POST",
            host: "gateway:8080",
            path_and_query: path,
            headers: extra,
            body,
            now,
        };
        let keys = Credentials::new("vk/team-a", "s3cret", token.map(str::to_owned), None, "test");
        let added = SigV4::fixed(Scope::bedrock("eu-west-1"), keys).sign(&request).unwrap();
        assert!(added.iter().any(|(_, value)| value == authorization.as_str()), "{path} {added:?}");
    }
}
