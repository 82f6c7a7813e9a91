//! The SDK's chain reads the process's environment, so tests of it run this file's other half in a
//! process of their own.

use std::collections::HashMap;
use std::process::Command;
use std::time::Duration;

use aws_smithy_types::date_time::Format;

use super::super::tests::client;
use super::super::tests::server::{Answer, Seen, Server};
use super::super::{Outgoing, Unready};
use super::*;

const WAIT: Duration = Duration::from_secs(20);

fn fixed() -> Aws {
    Aws {
        access_key: Some(Secret::new("AKIDBASE")),
        secret_key: Some(Secret::new("secret")),
        ..Aws::default()
    }
}

fn headers(keys: &SigV4) -> HashMap<String, String> {
    let request = Outgoing {
        method: "POST",
        host: "h",
        path_and_query: "/",
        headers: &[],
        body: b"",
        now: SystemTime::now(),
    };
    let signed = keys.sign(&request).unwrap();
    signed.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect()
}

fn in_an_hour() -> String {
    let end = SystemTime::now() + Duration::from_secs(3600);
    aws_smithy_types::DateTime::from(end).fmt(Format::DateTime).unwrap()
}

fn sts(action: &str) -> String {
    format!(
        "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{action}Result><Credentials>\
         <AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>s</SecretAccessKey>\
         <SessionToken>role-token</SessionToken><Expiration>{}</Expiration></Credentials>\
         <AssumedRoleUser><AssumedRoleId>A:b</AssumedRoleId><Arn>arn:aws:sts::1:assumed-role/r/b</Arn>\
         </AssumedRoleUser></{action}Result></{action}Response>",
        in_an_hour()
    )
}

#[tokio::test]
async fn static_keys_sign_at_once_and_ask_nobody() {
    let aws = Aws { session_token: Some(Secret::new("tok")), ..fixed() };
    let keys = aws.signing(Scope::bedrock("eu-west-1"), client()).unwrap();
    let signed = headers(&keys);
    assert!(signed["authorization"].contains("Credential=AKIDBASE/"));
    assert_eq!(signed["x-amz-security-token"], "tok");
    assert!(keys.slot().ready(Duration::ZERO).await.is_ok());
}

#[tokio::test]
async fn a_role_is_assumed_with_static_keys() {
    let server = Server::start(|_| Answer::media("text/xml", sts("AssumeRole").as_bytes())).await;
    let aws = Aws {
        role_arn: Some("arn:aws:iam::1:role/r".into()),
        external_id: Some("ext".into()),
        session_name: Some("gateway".into()),
        sts_endpoint: Some(server.url("")),
        ..fixed()
    };
    let keys = aws.signing(Scope::bedrock("eu-west-1"), client()).unwrap();
    assert!(matches!(keys.slot().get(), Err(Unready::Pending)));
    keys.slot().ready(WAIT).await.unwrap();
    let signed = headers(&keys);
    assert!(signed["authorization"].contains("Credential=ASIAROLE/"));
    assert_eq!(signed["x-amz-security-token"], "role-token");
    let left = keys.slot().status().expires_in.unwrap();
    assert!((3500..=3600).contains(&left.as_secs()), "{left:?}");
    let seen = server.seen().remove(0);
    assert_eq!(seen.field("Action").unwrap(), "AssumeRole");
    assert_eq!(seen.field("RoleArn").unwrap(), "arn:aws:iam::1:role/r");
    assert_eq!(seen.field("ExternalId").unwrap(), "ext");
    assert_eq!(seen.field("RoleSessionName").unwrap(), "gateway");
    assert!(seen.headers["authorization"].contains("Credential=AKIDBASE/"));
    assert!(seen.headers["authorization"].contains("/eu-west-1/sts/aws4_request"));
}

#[tokio::test]
async fn a_refused_role_says_what_sts_said() {
    let denied = "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code>\
                  <Message>not authorized to perform sts:AssumeRole</Message></Error></ErrorResponse>";
    let server = Server::start(move |_| Answer {
        status: 403,
        headers: vec![("content-type", "text/xml".into())],
        body: denied.into(),
    })
    .await;
    let aws =
        Aws { role_arn: Some("arn:aws:iam::1:role/r".into()), sts_endpoint: Some(server.url("")), ..fixed() };
    let keys = aws.signing(Scope::bedrock("eu-west-1"), client()).unwrap();
    let error = keys.slot().ready(WAIT).await.unwrap_err().to_string();
    assert!(error.contains("AccessDenied") && error.contains("sts:AssumeRole"), "{error}");
    assert!(!error.contains("secret"), "{error}");
}

#[test]
fn half_of_a_key_pair_is_refused() {
    let scope = || Scope::bedrock("eu-west-1");
    let no_secret = Aws { secret_key: None, ..fixed() };
    assert!(no_secret.signing(scope(), client()).is_err());
    let only_token = Aws { session_token: Some(Secret::new("t")), ..Aws::default() };
    assert!(only_token.signing(scope(), client()).is_err());
    assert!(Aws::default().signing(scope(), client()).is_ok());
}

/// Runs in a process of its own, with the environment of the test that started it.
#[tokio::test]
#[ignore = "started by the tests below with an environment"]
async fn keys_of_the_environment() {
    let aws = Aws { profile: std::env::var("TEST_PROFILE").ok(), ..Aws::default() };
    let keys = aws.signing(Scope::bedrock("eu-west-1"), client()).unwrap();
    match keys.slot().ready(WAIT).await {
        Ok(()) => {
            let signed = headers(&keys);
            println!("signed: {} token: {:?}", signed["authorization"], signed.get("x-amz-security-token"));
        }
        Err(error) => println!("failed: {error}"),
    }
}

async fn with_environment(variables: &[(&str, &str)]) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.env_clear().args(["--ignored", "--nocapture", "--test-threads=1", "keys_of_the_environment"]);
    command.envs([("AWS_CONFIG_FILE", "/none"), ("AWS_SHARED_CREDENTIALS_FILE", "/none")]);
    command.envs(variables.iter().copied());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn the_chain_reads_the_environment() {
    let told = with_environment(&[("AWS_ACCESS_KEY_ID", "AKIDENV"), ("AWS_SECRET_ACCESS_KEY", "s")]).await;
    assert!(told.contains("Credential=AKIDENV/"), "{told}");
}

#[tokio::test]
async fn the_chain_reads_a_named_profile() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("credentials");
    let text = "[default]\naws_access_key_id=AKIDDEFAULT\naws_secret_access_key=s\n\
                [team]\naws_access_key_id=AKIDTEAM\naws_secret_access_key=s\naws_session_token=tt\n";
    std::fs::write(&path, text).unwrap();
    let file = ("AWS_SHARED_CREDENTIALS_FILE", path.to_str().unwrap());
    let told = with_environment(&[file, ("TEST_PROFILE", "team")]).await;
    assert!(told.contains("Credential=AKIDTEAM/") && told.contains("Some(\"tt\")"), "{told}");
    let told = with_environment(&[file]).await;
    assert!(told.contains("Credential=AKIDDEFAULT/"), "{told}");
}

#[tokio::test]
async fn the_chain_trades_a_web_identity_token() {
    let server =
        Server::start(|_| Answer::media("text/xml", sts("AssumeRoleWithWebIdentity").as_bytes())).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, "cluster.jwt").unwrap();
    let told = with_environment(&[
        ("AWS_WEB_IDENTITY_TOKEN_FILE", path.to_str().unwrap()),
        ("AWS_ROLE_ARN", "arn:aws:iam::1:role/r"),
        ("AWS_ENDPOINT_URL_STS", &server.url("")),
    ])
    .await;
    assert!(told.contains("Credential=ASIAROLE/"), "{told}");
    assert_eq!(server.seen()[0].field("WebIdentityToken").unwrap(), "cluster.jwt");
}

#[tokio::test]
async fn the_chain_asks_the_instances_metadata_service() {
    let server = Server::start(metadata).await;
    let told = with_environment(&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &server.url(""))]).await;
    assert!(told.contains("Credential=ASIAIMDS/") && told.contains("imds-token"), "{told}");
    let seen = server.seen();
    assert_eq!(seen[0].line, "PUT /latest/api/token");
    assert!(seen[1..].iter().all(|seen| seen.headers["x-aws-ec2-metadata-token"] == "session"));
}

#[tokio::test]
async fn a_machine_without_any_keys_says_so() {
    let told = with_environment(&[("AWS_EC2_METADATA_DISABLED", "true")]).await;
    assert!(told.contains("failed: no token: ") && told.contains("provider"), "{told}");
}

fn metadata(seen: &Seen) -> Answer {
    match seen.line.as_str() {
        "PUT /latest/api/token" => Answer {
            status: 200,
            headers: vec![("x-aws-ec2-metadata-token-ttl-seconds", "21600".into())],
            body: b"session".to_vec(),
        },
        line if line.trim_end_matches('/').ends_with("/my-role") => Answer::json(
            200,
            &serde_json::json!({
                "Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": "ASIAIMDS", "SecretAccessKey": "s",
                "Token": "imds-token", "Expiration": in_an_hour(), "LastUpdated": in_an_hour(),
                "AccountId": "1",
            })
            .to_string(),
        ),
        line if line.contains("security-credentials") => Answer::media("text/plain", b"my-role"),
        _ => Answer::json(404, ""),
    }
}
