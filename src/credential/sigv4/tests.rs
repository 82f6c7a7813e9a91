//! AWS's published test vectors, through the function that signs requests; and Bedrock's own needs.
//!
//! The vectors are read where AWS publishes them: in the source of its signing crate.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use aws_smithy_types::date_time::{DateTime, Format};

use super::super::sigv4_verify::body_sha256;
use super::*;

/// A vector: what is signed, with what, and what has to come out.
pub(crate) struct Vector {
    pub name: String,
    pub scope: Scope,
    pub access_key: String,
    pub secret: String,
    pub token: Option<String>,
    pub now: SystemTime,
    pub request: Parsed,
    pub signed: Parsed,
    /// The token goes along without being signed: no service the gateway calls wants it so.
    pub token_unsigned: bool,
}

/// A request of the suite's text form.
pub(crate) struct Parsed {
    pub method: String,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Parsed {
    fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap().replace("\r\n", "\n");
        let (head, body) = text.split_once("\n\n").unwrap_or((&text, ""));
        let mut lines = head.trim_end_matches('\n').lines();
        let line = lines.next().unwrap().trim_end_matches(" HTTP/1.1");
        let (method, path) = line.split_once(' ').unwrap();
        let mut headers: Vec<(String, String)> = Vec::new();
        for line in lines {
            match line.split_once(':') {
                Some((name, value)) if !line.starts_with(' ') => headers.push((name.into(), value.into())),
                // A folded line: no HTTP library of today reads or writes one, a space stands for the fold.
                _ => headers.last_mut().unwrap().1.push_str(&format!(" {}", line.trim_start())),
            }
        }
        // Two vectors hold characters that no client sends unencoded.
        let path =
            path.chars().map(|c| if c == ' ' || !c.is_ascii() { encoded(c) } else { c.into() }).collect();
        Self { method: method.into(), path, headers, body: body.into() }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(header, _)| header.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    pub fn borrowed(&self) -> Vec<(&str, &str)> {
        self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }
}

fn encoded(c: char) -> String {
    c.to_string().bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// All vectors of the suite for this version of the signature.
pub(crate) fn vectors() -> Vec<Vector> {
    let mut folders: Vec<PathBuf> =
        std::fs::read_dir(suite()).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    folders.iter().filter(|folder| folder.join("context.json").is_file()).map(|f| vector(f)).collect()
}

/// The folder in the crate's source, wherever Cargo keeps it. For this platform alone: the sources of
/// others need not be there.
fn suite() -> PathBuf {
    let version = said(Command::new("rustc").arg("-vV"));
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let metadata = said(
        Command::new(env!("CARGO"))
            .args(["metadata", "--format-version", "1", "--offline", "--filter-platform", host])
            .args(["--manifest-path", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")]),
    );
    let metadata: serde_json::Value = serde_json::from_str(&metadata).unwrap();
    let mut packages = metadata["packages"].as_array().unwrap().iter();
    let signing = packages.find(|package| package["name"] == "aws-sigv4").unwrap();
    let manifest = Path::new(signing["manifest_path"].as_str().unwrap());
    manifest.parent().unwrap().join("aws-signing-test-suite/v4")
}

fn said(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn vector(folder: &Path) -> Vector {
    let context: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(folder.join("context.json")).unwrap()).unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let keys = &context["credentials"];
    let time = DateTime::from_str(context["timestamp"].as_str().unwrap(), Format::DateTime).unwrap();
    let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
    Vector {
        scope: Scope {
            region: text(&context["region"]).into(),
            service: text(&context["service"]).into(),
            path: PathForm {
                normalize: context["normalize"].as_bool().unwrap(),
                // The suite wants these encoded once, unlike AWS's services.
                encode_again: !name.starts_with("get-space") && name != "get-utf8",
            },
            hash_header: context["sign_body"].as_bool().unwrap(),
        },
        name,
        access_key: text(&keys["access_key_id"]),
        secret: text(&keys["secret_access_key"]),
        token: keys["token"].as_str().map(str::to_owned),
        now: time.try_into().unwrap(),
        request: Parsed::read(&folder.join("request.txt")),
        signed: Parsed::read(&folder.join("header-signed-request.txt")),
        token_unsigned: context["omit_session_token"].as_bool().unwrap_or_default(),
    }
}

/// Signs a vector's request as the gateway does.
pub(crate) fn sign_vector(vector: &Vector) -> Vec<(HeaderName, HeaderValue)> {
    let keys = Credentials::new(&vector.access_key, &vector.secret, vector.token.clone(), None, "test");
    let headers = vector.request.borrowed();
    let request = Outgoing {
        method: &vector.request.method,
        host: vector.request.header("host").unwrap(),
        path_and_query: &vector.request.path,
        headers: &headers,
        body: vector.request.body.as_bytes(),
        now: vector.now,
    };
    SigV4::fixed(vector.scope.clone(), keys).sign(&request).unwrap()
}

#[test]
fn the_published_vectors_are_signed_as_published() {
    let vectors: Vec<Vector> = vectors().into_iter().filter(|vector| !vector.token_unsigned).collect();
    assert!(vectors.len() >= 37, "the suite has {} vectors", vectors.len());
    for vector in &vectors {
        let added = sign_vector(vector);
        let find = |name: &str| added.iter().find(|(n, _)| n == name).map(|(_, v)| v.to_str().unwrap());
        for name in ["authorization", "x-amz-date", "x-amz-security-token", "x-amz-content-sha256"] {
            assert_eq!(find(name), vector.signed.header(name), "{} {name}", vector.name);
        }
    }
}

fn keys() -> Credentials {
    Credentials::new("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", None, None, "test")
}

/// The signature computed from the text of the specification, step by step and without AWS's crate.
fn by_hand(canonical: &str, date: &str, scope: &str) -> String {
    use ring::hmac::{HMAC_SHA256, Key, sign};
    let to_sign = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", body_sha256(canonical.as_bytes()));
    let mut key = format!("AWS4{}", keys().secret_access_key()).into_bytes();
    for part in scope.split('/') {
        key = sign(&Key::new(HMAC_SHA256, &key), part.as_bytes()).as_ref().to_vec();
    }
    let tag = sign(&Key::new(HMAC_SHA256, &key), to_sign.as_bytes());
    tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn model_ids_are_encoded_twice_in_what_bedrock_signs() {
    let cases = [
        ("anthropic.claude-sonnet-4-v1%3A0", "anthropic.claude-sonnet-4-v1%253A0"),
        (
            "arn%3Aaws%3Abedrock%3Aeu-west-1%3A1%3Ainference-profile%2Feu.x",
            "arn%253Aaws%253Abedrock%253Aeu-west-1%253A1%253Ainference-profile%252Feu.x",
        ),
        // Sent as it is, a colon is encoded once.
        ("anthropic.claude-sonnet-4-v1:0", "anthropic.claude-sonnet-4-v1%3A0"),
    ];
    for (sent, canonical) in cases {
        let path = format!("/model/{sent}/converse");
        let request = Outgoing {
            method: "POST",
            host: "bedrock-runtime.eu-west-1.amazonaws.com",
            path_and_query: &path,
            headers: &[("content-type", "application/json")],
            body: b"{}",
            now: SystemTime::UNIX_EPOCH + Duration::from_millis(1_763_800_000_750),
        };
        let signed = SigV4::fixed(Scope::bedrock("eu-west-1"), keys()).sign(&request).unwrap();
        let header =
            |name: &str| signed.iter().find(|(n, _)| n == name).unwrap().1.to_str().unwrap().to_owned();
        let date = header("x-amz-date");
        let canonical = format!(
            "POST\n/model/{canonical}/converse\n\ncontent-type:application/json\n\
             host:bedrock-runtime.eu-west-1.amazonaws.com\nx-amz-date:{date}\n\n\
             content-type;host;x-amz-date\n{}",
            body_sha256(b"{}")
        );
        let scope = format!("{}/eu-west-1/bedrock/aws4_request", &date[..8]);
        let expected = by_hand(&canonical, &date, &scope);
        assert_eq!(
            header("authorization"),
            format!(
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/{scope}, \
                 SignedHeaders=content-type;host;x-amz-date, Signature={expected}"
            )
        );
    }
}

/// The form that AWS's own token generator gives them.
#[test]
fn openai_paths_of_sagemaker_get_a_token_made_of_a_signed_url_and_others_a_signature() {
    use base64::Engine as _;
    let request = |path_and_query| Outgoing {
        method: "POST",
        host: "runtime.sagemaker.us-west-2.amazonaws.com",
        path_and_query,
        headers: &[("content-type", "application/json")],
        body: b"{}",
        now: SystemTime::UNIX_EPOCH + Duration::from_millis(1_763_800_000_750),
    };
    let session =
        Credentials::new("AKIDEXAMPLE", keys().secret_access_key(), Some("t+/=".into()), None, "test");
    let signing = SigV4::fixed(Scope::new("sagemaker", "us-west-2"), session);
    let made = signing.sign(&request("/endpoints/e/openai/v1/chat/completions")).unwrap();
    let [(name, value)] = &made[..] else { panic!("{made:?}") };
    assert!(name == "authorization" && value.is_sensitive());
    let token = value.to_str().unwrap().strip_prefix("Bearer sagemaker-api-key-").unwrap();
    let text = base64::engine::general_purpose::STANDARD.decode(token).unwrap();
    let text = String::from_utf8(text).unwrap();
    let query = text.strip_prefix("sagemaker.amazonaws.com/?").unwrap().strip_suffix("&Version=1").unwrap();
    let (date, scope) = ("20251122T082640Z", "20251122/us-west-2/sagemaker/aws4_request");
    let signed = format!(
        "Action=CallWithBearerToken&X-Amz-Algorithm=AWS4-HMAC-SHA256\
         &X-Amz-Credential=AKIDEXAMPLE%2F20251122%2Fus-west-2%2Fsagemaker%2Faws4_request&X-Amz-Date={date}\
         &X-Amz-Expires=900&X-Amz-Security-Token=t%2B%2F%3D&X-Amz-SignedHeaders=host"
    );
    let canonical = format!("POST\n/\n{signed}\nhost:sagemaker.amazonaws.com\n\nhost\n{}", body_sha256(b""));
    let signature = format!("X-Amz-Signature={}", by_hand(&canonical, date, scope));
    let mut expected: Vec<&str> = signed.split('&').chain([signature.as_str()]).collect();
    expected.sort_unstable();
    let mut given: Vec<&str> = query.split('&').collect();
    given.sort_unstable();
    assert_eq!(given, expected);

    let signed = signing.sign(&request("/endpoints/e/invocations")).unwrap();
    let authorization = signed.iter().find(|(name, _)| name == "authorization").unwrap().1.to_str().unwrap();
    assert!(authorization.starts_with("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/"), "{authorization}");
}

#[test]
fn a_request_that_is_none_is_an_error_and_no_panic() {
    let base = Outgoing {
        method: "GET",
        host: "h",
        path_and_query: "/",
        headers: &[],
        body: b"",
        now: SystemTime::UNIX_EPOCH,
    };
    let keys = SigV4::fixed(Scope::bedrock("r"), keys());
    let wrong = [
        Outgoing { path_and_query: "/a b", ..base },
        Outgoing { path_and_query: ".evil.test/", ..base },
        Outgoing { host: "", ..base },
        Outgoing { host: "a\nb", ..base },
        Outgoing { headers: &[("a b", "c")], ..base },
    ];
    for request in wrong {
        assert!(matches!(keys.sign(&request), Err(CredentialError::Unsignable(_))), "{request:?}");
    }
    assert!(keys.sign(&base).is_ok());
}
