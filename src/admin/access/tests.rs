//! The gate by itself: whom it lets in, with what, and what it says to others.

use std::sync::Mutex;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Request;

use super::login::{LOGINS, Login};
use super::records::InMemory;
use super::session::Session;
use super::token::Token;
use super::*;
use crate::config::access::{Account, Oidc, Password};
use crate::config::snapshot::Secret;

const HERE: Visitor =
    Visitor { address: Some(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST)), secure: false };
const FAR: Visitor =
    Visitor { address: Some(std::net::IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 9))), secure: false };

struct Stage {
    access: Access,
    settings: Arc<Mutex<access::Access>>,
}

fn stage(settings: access::Access) -> Stage {
    let settings = Arc::new(Mutex::new(settings));
    let read = Arc::clone(&settings);
    let access =
        Access::new(Box::new(move || Arc::new(read.lock().unwrap().clone())), Arc::new(InMemory::default()));
    Stage { access: access.unwrap(), settings }
}

fn configured(password: &str) -> access::Access {
    let password = Password::Plain(Secret::new(password));
    access::Access { admin: Some(Account { name: "ada".into(), password }), ..Default::default() }
}

fn head(method: &str, lines: &[(&str, &str)]) -> Parts {
    let request = Request::builder().method(method).uri("/api/x").header("host", "127.0.0.1:8080");
    let request = lines.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    request.body(()).unwrap().into_parts().0
}

fn basic(name: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{name}:{password}")))
}

impl Stage {
    async fn ask(
        &self,
        method: &str,
        lines: &[(&str, &str)],
        visitor: Visitor,
    ) -> Result<(String, Role), u16> {
        let proven = self.access.who(&head(method, lines), visitor).await;
        proven.map(|p| (p.admin.name, p.admin.role)).map_err(|response| response.status().as_u16())
    }

    async fn session(&self, how: How, name: &str, proof: &str, until_ms: u64) -> String {
        let session = Session {
            name: name.into(),
            role: Role::Admin,
            how,
            proof: proof.into(),
            made_ms: now_ms(),
            until_ms,
            address: String::new(),
            agent: String::new(),
        };
        let told = told(name, HERE, "session.login", serde_json::Value::Null);
        session::begin(&*self.access.records, &session, &told).await.unwrap()
    }

    async fn token(&self, role: Role, until_ms: Option<u64>) -> String {
        let token = Token { name: "ci".into(), role, made_by: "ada".into(), made_ms: 0, until_ms };
        let told = told("ada", HERE, "token.create", serde_json::Value::Null);
        token::make(&*self.access.records, &token, &told).await.unwrap().1
    }
}

#[tokio::test]
async fn nobody_is_let_in_without_a_proof_not_even_from_this_machine() {
    let stage = stage(access::Access::default());
    for lines in [
        vec![],
        vec![("authorization", "Bearer x")],
        vec![("authorization", "Bearer sk-bf-key")],
        vec![("authorization", "Bearer bfadmin_unknown")],
        vec![("authorization", "Basic !!!")],
        vec![("authorization", "Digest x")],
        vec![("authorization", "")],
        vec![("cookie", "bifrost_session=bfs_unknown")],
        vec![("cookie", "bifrost_session=")],
        vec![("x-bf-vk", "sk-bf-key")],
    ] {
        for visitor in [HERE, FAR] {
            assert_eq!(stage.ask("GET", &lines, visitor).await, Err(401), "{lines:?}");
        }
    }
}

#[tokio::test]
async fn a_name_and_a_password_are_let_in_and_guesses_are_slowed_down() {
    let stage = stage(configured("correct horse"));
    let right = basic("ada", "correct horse");
    assert_eq!(stage.ask("PUT", &[("authorization", &right)], FAR).await, Ok(("ada".into(), Role::Admin)));
    for _ in 0..6 {
        let wrong = basic("ada", "battery staple");
        assert_eq!(stage.ask("GET", &[("authorization", &wrong)], FAR).await, Err(401));
    }
    let head = head("GET", &[("authorization", &basic("ada", "another"))]);
    let refused = stage.access.who(&head, FAR).await.unwrap_err();
    assert_eq!((refused.status().as_u16(), &refused.headers()[RETRY_AFTER]), (429, &HeaderValue::from(1)));
    let still = stage.ask("GET", &[("authorization", &right)], FAR).await;
    assert!(still.is_ok(), "who was right a moment ago is not kept out by others");
    let told = stage.access.records.told(0, 100).await.unwrap();
    assert_eq!(told.iter().filter(|row| row.action == "session.refused").count(), 6);
    assert!(!format!("{told:?}").contains("battery"), "no password is written down");
}

#[tokio::test]
async fn an_unknown_name_is_refused_like_a_wrong_password() {
    let stage = stage(configured("correct horse"));
    let answer = async |line: String| {
        let refused = stage.access.who(&head("GET", &[("authorization", &line)]), FAR).await.unwrap_err();
        axum::body::to_bytes(refused.into_body(), 10_000).await.unwrap()
    };
    assert_eq!(answer(basic("ada", "wrong")).await, answer(basic("bob", "wrong")).await);
}

#[tokio::test]
async fn a_sessions_cookie_reads_and_needs_the_pages_word_to_change() {
    let stage = stage(configured("correct horse"));
    let known =
        login::find(&configured("correct horse"), &*stage.access.records, "ada").await.unwrap().unwrap();
    let secret = stage.session(How::Password, "ada", &known.proof, u64::MAX).await;
    let cookie = format!("bifrost_session={secret}");
    let (ada, csrf) = (Ok(("ada".to_owned(), Role::Admin)), secret::csrf(&secret));
    assert_eq!(stage.ask("GET", &[("cookie", &cookie)], FAR).await, ada);
    assert_eq!(stage.ask("POST", &[("cookie", &cookie)], FAR).await, Err(403));
    assert_eq!(stage.ask("POST", &[("cookie", &cookie), ("x-csrf-token", "guess")], FAR).await, Err(403));
    assert_eq!(stage.ask("POST", &[("cookie", &cookie), ("x-csrf-token", &csrf)], FAR).await, ada);
    let bearer = format!("Bearer {secret}");
    assert_eq!(stage.ask("POST", &[("authorization", &bearer)], FAR).await, ada, "no browser adds this one");
}

#[tokio::test]
async fn a_session_is_over_with_its_time_and_with_what_it_was_begun_with() {
    let stage = stage(configured("correct horse"));
    let records = Arc::clone(&stage.access.records);
    let proof = login::find(&configured("correct horse"), &*records, "ada").await.unwrap().unwrap().proof;
    let late = stage.session(How::Password, "ada", &proof, now_ms()).await;
    let by_password = stage.session(How::Password, "ada", &proof, u64::MAX).await;
    let token = stage.token(Role::Viewer, None).await;
    let by_token = stage.session(How::Token, "token:ci", &secret::hash(&token), u64::MAX).await;
    let by_oidc = stage.session(How::Oidc, "eve", &"0".repeat(16), u64::MAX).await;
    let cookie = |secret: &str| format!("bifrost_session={secret}");
    assert_eq!(stage.ask("GET", &[("cookie", &cookie(&late))], FAR).await, Err(401));
    assert_eq!(stage.ask("GET", &[("cookie", &cookie(&by_oidc))], FAR).await, Err(401), "no such provider");
    assert!(stage.ask("GET", &[("cookie", &cookie(&by_password))], FAR).await.is_ok());
    let viewer = stage.ask("GET", &[("cookie", &cookie(&by_token))], FAR).await;
    assert_eq!(viewer, Ok(("token:ci".into(), Role::Viewer)), "it has the role of its token");
    *stage.settings.lock().unwrap() = configured("another password");
    assert_eq!(stage.ask("GET", &[("cookie", &cookie(&by_password))], FAR).await, Err(401));
    let told = told("ada", HERE, "token.revoke", serde_json::Value::Null);
    let id: String = secret::hash(&token).chars().take(16).collect();
    assert!(token::revoke(&*records, &id, &told).await.unwrap().is_some());
    assert_eq!(stage.ask("GET", &[("cookie", &cookie(&by_token))], FAR).await, Err(401));
}

#[tokio::test]
async fn a_session_of_an_identity_provider_is_over_when_it_is_another_one() {
    let provider = |issuer: &str| Oidc {
        issuer: issuer.into(),
        client_id: "gateway".into(),
        client_secret: None,
        redirect: "https://gw.example/api/session/oidc/callback".parse().unwrap(),
        scopes: Vec::new(),
        name_claim: "email".into(),
        role_claim: vec!["groups".into()],
        roles: Vec::new(),
        default_role: Some(Role::Viewer),
    };
    let with = |issuer: &str| access::Access { oidc: Some(provider(issuer)), ..Default::default() };
    let stage = stage(with("https://one.example"));
    let proof = setup::proof(&provider("https://one.example"));
    let secret = stage.session(How::Oidc, "ada", &proof, u64::MAX).await;
    let cookie = format!("bifrost_session={secret}");
    assert!(stage.ask("GET", &[("cookie", &cookie)], FAR).await.is_ok());
    *stage.settings.lock().unwrap() = with("https://two.example");
    assert_eq!(stage.ask("GET", &[("cookie", &cookie)], FAR).await, Err(401));
}

#[tokio::test]
async fn tokens_have_a_role_and_an_end() {
    let stage = stage(access::Access::default());
    let viewer = format!("Bearer {}", stage.token(Role::Viewer, None).await);
    let over = format!("Bearer {}", stage.token(Role::Admin, Some(now_ms())).await);
    let expected = Ok(("token:ci".to_owned(), Role::Viewer));
    assert_eq!(stage.ask("GET", &[("authorization", &viewer)], FAR).await, expected);
    assert_eq!(stage.ask("GET", &[("authorization", &over)], FAR).await, Err(401));
    let setup = token::make_setup(&*stage.access.records, None).await.unwrap();
    let setup = format!("Bearer {setup}");
    assert_eq!(stage.ask("GET", &[("authorization", &setup)], HERE).await, Err(401), "it logs in, once");
}

#[tokio::test]
async fn a_door_that_is_open_to_this_machine_is_open_to_nobody_who_only_seems_to_be_there() {
    let stage = stage(access::Access { door: Door::OpenToThisMachine, ..Default::default() });
    assert!(stage.ask("POST", &[], HERE).await.is_ok());
    assert_eq!(stage.ask("GET", &[], FAR).await, Err(401));
    assert_eq!(stage.ask("GET", &[], Visitor { address: None, secure: false }).await, Err(401));
    for name in ["x-forwarded-for", "forwarded", "x-real-ip", "via"] {
        assert_eq!(stage.ask("GET", &[(name, "203.0.113.9")], HERE).await, Err(401), "{name}");
    }
    let mut rebound = head("GET", &[]);
    rebound.headers.insert("host", HeaderValue::from_static("evil.example:8080"));
    assert!(stage.access.who(&rebound, HERE).await.is_err(), "a name of a stranger's name server");
    assert_eq!(stage.ask("GET", &[("authorization", "Bearer wrong")], HERE).await, Err(401));
    *stage.settings.lock().unwrap() = access::Access { door: Door::Open, ..Default::default() };
    assert!(stage.ask("POST", &[], FAR).await.is_ok());
}

#[tokio::test]
async fn a_first_token_is_made_only_while_nobody_can_log_in() {
    let first = async |stage: &Stage| stage.access.first_token().await.unwrap().is_some();
    assert!(!first(&stage(configured("correct horse"))).await);
    assert!(!first(&stage(access::Access { door: Door::Open, ..Default::default() })).await);
    let stage = stage(access::Access::default());
    assert!(first(&stage).await && first(&stage).await, "each start has one, until somebody sets a login");
    stage.token(Role::Viewer, None).await;
    stage.token(Role::Admin, Some(1)).await;
    assert!(first(&stage).await, "neither a viewer nor what is over can set one");
    let login =
        Login { password: password::hash("correct horse").unwrap(), role: Role::Admin, changed_ms: 0 };
    let text = serde_json::to_string(&login).unwrap();
    stage.access.records.put(&format!("{LOGINS}bob"), &text, None).await.unwrap();
    assert!(!first(&stage).await);
    let bob = basic("bob", "correct horse");
    assert_eq!(stage.ask("GET", &[("authorization", &bob)], FAR).await, Ok(("bob".into(), Role::Admin)));
}
