use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{KeyPair, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject;
use serde_json::{Value, json};

use super::super::tests::server::{Answer, Server};
use super::super::tests::{KEY, client, renewed};
use super::*;

fn account(token_uri: &str) -> Value {
    json!({
        "type": "service_account", "project_id": "p-1", "private_key_id": "kid-1", "private_key": KEY,
        "client_email": "bot@p-1.iam.gserviceaccount.com", "token_uri": token_uri,
    })
}

fn inline(json: &Value) -> Result<Google, Misconfigured> {
    Google::new(client(), Place::Inline(Secret::new(json.to_string())))
}

fn decoded(part: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

const TOKEN: &str = r#"{"access_token":"ya29.x","expires_in":3599,"token_type":"Bearer"}"#;

#[tokio::test]
async fn a_service_account_trades_a_signed_assertion_for_a_token() {
    let server = Server::start(|_| Answer::json(200, TOKEN)).await;
    let url = server.url("/token");
    let headers = renewed(inline(&account(&url)).unwrap()).await.unwrap();
    assert_eq!(headers, "authorization: Bearer ya29.x");
    let seen = server.seen().remove(0);
    assert_eq!(seen.line, "POST /token");
    assert_eq!(seen.field("grant_type").unwrap(), "urn:ietf:params:oauth:grant-type:jwt-bearer");
    let assertion = seen.field("assertion").unwrap();
    let (signed, signature) = assertion.rsplit_once('.').unwrap();
    let (header, claims) = signed.split_once('.').unwrap();
    assert_eq!(decoded(header), json!({"alg": "RS256", "typ": "JWT", "kid": "kid-1"}));
    let claims = decoded(claims);
    assert_eq!(claims["iss"], "bot@p-1.iam.gserviceaccount.com");
    assert_eq!((&claims["scope"], &claims["aud"]), (&json!(SCOPE), &json!(url)));
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let issued = claims["iat"].as_u64().unwrap();
    assert!(now - issued < 60 && claims["exp"].as_u64().unwrap() - issued == 3600);
    let pem = PrivatePkcs8KeyDer::from_pem_slice(KEY.as_bytes()).unwrap();
    let pair = RsaKeyPair::from_pkcs8(pem.secret_pkcs8_der()).unwrap();
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key().as_ref());
    public.verify(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
}

#[tokio::test]
async fn a_file_is_read_anew_at_each_renewal() {
    let server = Server::start(|_| Answer::json(200, TOKEN)).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.json");
    let google = || Google::new(client(), Place::File(path.clone())).unwrap();
    let missing = renewed(google()).await.unwrap_err();
    assert!(missing.contains("key.json cannot be read"), "{missing}");
    std::fs::write(&path, account(&server.url("/t")).to_string()).unwrap();
    assert_eq!(renewed(google()).await.unwrap(), "authorization: Bearer ya29.x");
}

#[tokio::test]
async fn the_metadata_server_is_asked_with_its_header() {
    let server = Server::start(|_| Answer::json(200, TOKEN)).await;
    let host = server.address.to_string();
    let place = Place::default_of(|name| (name == "GCE_METADATA_HOST").then(|| host.clone()));
    assert_eq!(renewed(Google::new(client(), place).unwrap()).await.unwrap(), "authorization: Bearer ya29.x");
    let seen = server.seen().remove(0);
    assert_eq!(seen.line, "GET /computeMetadata/v1/instance/service-accounts/default/token");
    assert_eq!(seen.headers["metadata-flavor"], "Google");
}

#[tokio::test]
async fn a_users_credentials_refresh_and_name_the_project_that_pays() {
    let server = Server::start(|_| Answer::json(200, TOKEN)).await;
    let user = json!({
        "type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r",
        "quota_project_id": "p-2", "token_uri": server.url("/t"),
    });
    let headers = renewed(inline(&user).unwrap()).await.unwrap();
    assert_eq!(headers, "authorization: Bearer ya29.x\nx-goog-user-project: p-2");
    assert_eq!(server.seen()[0].body, "grant_type=refresh_token&client_id=c&client_secret=s&refresh_token=r");
    assert_eq!(project_of(&user.to_string()).as_deref(), Some("p-2"));
}

#[tokio::test]
async fn workload_identity_trades_the_clusters_token_and_impersonates() {
    let server = Server::start(|seen| match seen.line.as_str() {
        "POST /sts" => Answer::json(200, r#"{"access_token":"federated","expires_in":60}"#),
        "GET /subject" => Answer::json(200, r#"{"id_token":"from-url"}"#),
        _ => Answer::json(200, r#"{"accessToken":"impersonated","expireTime":"2030-01-01T00:00:00Z"}"#),
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, "from-file\n").unwrap();
    let mut file = json!({
        "type": "external_account", "audience": "//iam/x", "token_url": server.url("/sts"),
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "credential_source": {"file": path},
    });
    assert_eq!(renewed(inline(&file).unwrap()).await.unwrap(), "authorization: Bearer federated");
    assert_eq!(server.seen()[0].field("subject_token").unwrap(), "from-file");
    assert_eq!(server.seen()[0].field("audience").unwrap(), "//iam/x");
    file["credential_source"] = json!({
        "url": server.url("/subject"), "headers": {"Metadata": "true"},
        "format": {"type": "json", "subject_token_field_name": "id_token"},
    });
    file["service_account_impersonation_url"] = json!(server.url("/impersonate"));
    assert_eq!(renewed(inline(&file).unwrap()).await.unwrap(), "authorization: Bearer impersonated");
    let seen = server.seen();
    assert_eq!(seen[1].headers["metadata"], "true");
    assert_eq!(seen[2].field("subject_token").unwrap(), "from-url");
    assert_eq!(seen[3].headers["authorization"], "Bearer federated");
    file["credential_source"] = json!({"environment_id": "aws1", "url": "http://169.254.169.254"});
    assert!(renewed(inline(&file).unwrap()).await.unwrap_err().contains("only files and URLs"));
}

#[tokio::test]
async fn what_the_endpoint_said_is_told_without_secrets() {
    for (status, body, expected) in [
        (
            400,
            r#"{"error":"invalid_grant","error_description":"Invalid JWT Signature."}"#,
            "status 400: invalid_grant: Invalid JWT Signature.",
        ),
        (403, r#"{"error":{"code":403,"message":"denied"}}"#, "status 403: denied"),
        (502, "<html>\nbad   gateway", "status 502: <html> bad gateway"),
        (200, r#"{"token":"ya29.secret"}"#, "has no access_token"),
        (200, r#"{"access_token":"ya29\nsecret","expires_in":9}"#, "no valid header value"),
    ] {
        let server = Server::start(move |_| Answer::json(status, body)).await;
        let error = renewed(inline(&account(&server.url("/t"))).unwrap()).await.unwrap_err();
        assert!(error.contains(expected) && !error.contains("secret"), "{error}");
    }
    let nobody = account("http://127.0.0.1:1/token");
    let error = renewed(inline(&nobody).unwrap()).await.unwrap_err();
    assert!(error.starts_with("no token: no connection to 127.0.0.1"), "{error}");
}

#[test]
fn credentials_that_cannot_work_are_refused_when_configured() {
    let mut broken = account("https://x.test");
    broken["private_key"] = json!("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
    for (json, expected) in [
        ("{".to_owned(), "the Google credentials are no JSON (line 1, column 1)"),
        (
            r#"{"type":"gdch"}"#.to_owned(),
            "Google credentials of type `gdch` are not supported: service_account, authorized_user and external_account are",
        ),
        (
            r#"{"type":"service_account"}"#.to_owned(),
            "the Google credentials of type `service_account`: missing field `client_email`",
        ),
        (
            r#"{"type":"authorized_user","client_id":"hidden","client_secret":7}"#.to_owned(),
            "the Google credentials of type `authorized_user`: a field has the wrong type",
        ),
        (broken.to_string(), "the private key is no usable RSA key: InvalidEncoding"),
    ] {
        let error = Google::new(client(), Place::Inline(Secret::new(json))).unwrap_err();
        assert_eq!(error.0, expected);
    }
}

#[test]
fn default_credentials_are_searched_in_googles_order() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().to_str().unwrap().to_owned();
    let at = |pairs: Vec<(&'static str, String)>| {
        let place = Place::default_of(|name| {
            pairs.iter().find(|(found, _)| *found == name).map(|(_, value)| value.clone())
        });
        format!("{place:?}")
    };
    assert_eq!(at(vec![]), r#"Metadata("metadata.google.internal")"#);
    assert_eq!(at(vec![("HOME", home.clone())]), r#"Metadata("metadata.google.internal")"#);
    std::fs::create_dir_all(folder.path().join(".config/gcloud")).unwrap();
    std::fs::write(folder.path().join(".config/gcloud/application_default_credentials.json"), "{}").unwrap();
    assert!(at(vec![("HOME", home.clone())]).ends_with(r#"application_default_credentials.json")"#));
    let both = at(vec![("HOME", home), ("GOOGLE_APPLICATION_CREDENTIALS", "/k.json".into())]);
    assert_eq!(both, r#"File("/k.json")"#);
}
