//! Who may look after the gateway: every path below `/api` is closed, and the ways in.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::Arc;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::client::{Request, Response};
use crate::support::gateway::{self, Gateway, command, free_port, write_config};

const PASSWORD: &str = "correct horse battery";

/// Paths that let one in; they are asked for no proof.
const OPEN: [(&str, &str); 6] = [
    ("POST", "/api/session/login"),
    ("POST", "/api/session/setup"),
    ("POST", "/api/session/logout"),
    ("GET", "/api/session/is-auth-enabled"),
    ("GET", "/api/session/oidc/start"),
    ("GET", "/api/session/oidc/callback"),
];

fn configured() -> Gateway {
    Gateway::start(&json!({"governance": {"auth_config": {
        "admin_username": "ada", "admin_password": PASSWORD, "disable_auth_on_inference": true}}}))
}

fn login(gateway: &Gateway) -> Login {
    let body = json!({"username": "ada", "password": PASSWORD});
    Login::of(&gateway.ask(&Request::json("/api/session/login", &body)))
}

/// A session as a browser has it.
struct Login {
    cookie: String,
    csrf: String,
}

impl Login {
    fn of(answer: &Response) -> Self {
        assert_eq!(answer.status(), 200, "{}", answer.text());
        let line = answer.header("set-cookie").expect("a cookie");
        let csrf = answer.json()["csrf_token"].as_str().expect("a token").to_owned();
        Self { cookie: line.split(';').next().expect("a pair").to_owned(), csrf }
    }

    fn read(&self, gateway: &Gateway, path: &str) -> Response {
        gateway.ask(&Request::get(path).header("cookie", &self.cookie))
    }

    fn change(&self, gateway: &Gateway, method: &'static str, path: &str, body: &Value) -> Response {
        let request = Request::json(path, body).method(method);
        gateway.ask(&request.header("cookie", &self.cookie).header("x-csrf-token", &self.csrf))
    }
}

/// Starts without a login and reads the one-time token that is printed.
fn first_start(folder: &TempDir) -> (Child, u16, String) {
    let port = free_port();
    let config = json!({"governance": {"auth_config": {}}});
    write_config(folder.path(), &config);
    let mut child = command(folder.path())
        .args(["--host", "127.0.0.1", "--threads", "1", "--port", &port.to_string(), "--app-dir"])
        .arg(folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the gateway starts");
    let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let token = lines.map_while(Result::ok).find_map(|line| {
        line.split_whitespace().find(|word| word.starts_with("bfsetup_")).map(str::to_owned)
    });
    (child, port, token.expect("a token is printed"))
}

fn ask(port: u16, request: &Request) -> Response {
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], port));
    crate::support::client::Connection::open(address).and_then(|mut to| to.ask(request)).expect("an answer")
}

#[test]
fn every_path_of_the_administration_is_closed() {
    let gateway = configured();
    let document = gateway.get("/openapi.json").json();
    let paths = document["paths"].as_object().expect("paths");
    let mut closed = 0;
    for (path, methods) in paths {
        let concrete: String = path
            .split('/')
            .map(|part| if part.starts_with('{') { "x" } else { part })
            .collect::<Vec<_>>()
            .join("/");
        for method in methods.as_object().expect("methods").keys() {
            let method: &'static str = match method.as_str() {
                "get" => "GET",
                "post" => "POST",
                "put" => "PUT",
                "patch" => "PATCH",
                "delete" => "DELETE",
                _ => continue,
            };
            if OPEN.contains(&(method, path)) {
                continue;
            }
            let body = json!({"current_password": "x", "new_password": "x"});
            let request = Request::json(&concrete, &body).method(method);
            for proof in [None, Some("Bearer sk-bf-x"), Some("Bearer bfadmin_x"), Some("Bearer bfs_x")] {
                let request = Request { headers: request.headers.clone(), ..Request::json(&concrete, &body) };
                let request = request.method(method);
                let request = match proof {
                    Some(proof) => request.header("authorization", proof),
                    None => request,
                };
                let answer = gateway.ask(&request);
                assert_eq!(answer.status(), 401, "{method} {path} with {proof:?}: {}", answer.text());
                assert!(answer.header("www-authenticate").is_some());
            }
            closed += 1;
        }
    }
    assert!(closed > 20, "{closed} closed paths");
    assert_eq!(gateway.get("/api/health/targets").status(), 401);
    assert_eq!(gateway.get("/health").status(), 200);
}

#[test]
fn the_first_login_is_set_with_the_token_that_the_start_prints_and_outlives_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut first, port, token) = first_start(&folder);
    let ways = ask(port, &Request::get("/api/session/is-auth-enabled")).json();
    assert_eq!((&ways["is_auth_enabled"], &ways["needs_setup"]), (&json!(true), &json!(true)));
    let with = |password: &str, token: &str| {
        let body = json!({"token": token, "username": "ada", "password": password});
        ask(port, &Request::json("/api/session/setup", &body))
    };
    assert_eq!(with("short", &token).status(), 422, "and the token is still good");
    assert_eq!(with(PASSWORD, "bfsetup_guess").status(), 401);
    let login = Login::of(&with(PASSWORD, &token));
    assert_eq!(with(PASSWORD, &token).status(), 409);
    let again = json!({"token": token});
    assert_eq!(ask(port, &Request::json("/api/session/login", &again)).status(), 401, "it works once");
    first.kill().expect("killed");
    first.wait().expect("gone");

    let folder = Arc::new(folder);
    let second = Gateway::launch(Arc::clone(&folder), free_port(), &[], &[]);
    let me = login.read(&second, "/api/session");
    assert_eq!((me.status(), &me.json()["name"]), (200, &json!("ada")), "the session outlives kill -9");
    assert_eq!(second.get("/api/session/is-auth-enabled").json()["needs_setup"], false);
    for file in std::fs::read_dir(folder.path()).expect("a folder") {
        let path = file.expect("a file").path();
        let bytes = std::fs::read(&path).unwrap_or_default();
        for secret in [PASSWORD, &token, login.cookie.split('=').nth(1).expect("a value")] {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{} is in {}", secret, path.display());
        }
    }
}

#[test]
fn a_session_is_a_cookie_that_scripts_do_not_reach_and_changes_need_the_pages_word() {
    let gateway = configured();
    let body = json!({"username": "ada", "password": PASSWORD});
    let page = Request::json("/api/session/login", &body).header("origin", "http://localhost");
    let answer = gateway.ask(&page);
    let line = answer.header("set-cookie").expect("a cookie").to_owned();
    assert!(line.contains("; HttpOnly; SameSite=Strict") && !line.contains("Secure"), "{line}");
    assert!(answer.json().get("token").is_none(), "no page gets the secret");
    let forwarded =
        gateway.ask(&Request::json("/api/session/login", &body).header("x-forwarded-proto", "https"));
    assert!(forwarded.header("set-cookie").expect("a cookie").ends_with("; Secure"));
    assert!(forwarded.json()["token"].as_str().is_some_and(|token| token.starts_with("bfs_")));

    let login = Login::of(&answer);
    assert_eq!(login.read(&gateway, "/api/version").status(), 200);
    assert_eq!(login.read(&gateway, "/api/session").json()["csrf_token"], login.csrf);
    let token = json!({"name": "ci", "role": "viewer"});
    let bare = Request::json("/api/tokens", &token).header("cookie", &login.cookie);
    let refused = gateway.ask(&bare);
    assert_eq!((refused.status(), &refused.json()["error"]["type"]), (403, &json!("csrf_token_missing")));
    let foreign = Request::json("/api/tokens", &token)
        .header("cookie", &login.cookie)
        .header("x-csrf-token", &login.csrf)
        .header("origin", "https://evil.example");
    let refused = gateway.ask(&foreign);
    assert_eq!((refused.status(), &refused.json()["error"]["type"]), (403, &json!("cross_origin")));
    assert_eq!(login.change(&gateway, "POST", "/api/tokens", &token).status(), 201);

    let out = gateway.ask(&Request::json("/api/session/logout", &json!({})).header("cookie", &login.cookie));
    assert!(out.header("set-cookie").is_some_and(|line| line.contains("bifrost_session=;")));
    assert_eq!(login.read(&gateway, "/api/version").status(), 401);
}

#[test]
fn tokens_are_for_programs_and_viewers_change_nothing() {
    let gateway = configured();
    let login = login(&gateway);
    let made = login.change(&gateway, "POST", "/api/tokens", &json!({"name": "ci", "role": "viewer"})).json();
    let bearer = format!("Bearer {}", made["token"].as_str().expect("a token"));
    let with = |request: Request| gateway.ask(&request.header("authorization", &bearer)).status();
    assert_eq!(with(Request::get("/api/version")), 200);
    assert_eq!(with(Request::get("/api/providers")), 200);
    for path in ["/api/users", "/api/tokens", "/api/audit"] {
        assert_eq!(with(Request::get(path)), 403, "{path}");
    }
    let key = json!({"name": "mine"});
    assert_eq!(with(Request::json("/api/governance/virtual-keys", &key)), 403);
    assert_eq!(with(Request::json("/api/tokens", &json!({"name": "x", "role": "admin"}))), 403);
    let listed = login.read(&gateway, "/api/tokens").json();
    assert_eq!(listed["tokens"][0]["name"], "ci");
    assert!(!listed.to_string().contains(made["token"].as_str().expect("a token")));
    let path = format!("/api/tokens/{}", made["id"].as_str().expect("an id"));
    assert_eq!(login.change(&gateway, "DELETE", &path, &json!({})).status(), 200);
    assert_eq!(with(Request::get("/api/version")), 401);
    assert_eq!(login.change(&gateway, "DELETE", &path, &json!({})).status(), 404);
}

#[test]
fn people_have_logins_of_their_own_and_a_new_password_ends_the_sessions_of_the_old_one() {
    let gateway = configured();
    let ada = login(&gateway);
    let bob = json!({"username": "bob", "password": "the first password", "role": "viewer"});
    assert_eq!(ada.change(&gateway, "POST", "/api/users", &bob).status(), 201);
    assert_eq!(ada.change(&gateway, "POST", "/api/users", &bob).status(), 409);
    let short = json!({"username": "eve", "password": "short", "role": "viewer"});
    let refused = ada.change(&gateway, "POST", "/api/users", &short);
    assert_eq!((refused.status(), &refused.json()["error"]["path"]), (422, &json!("password")));
    let log_in = |password: &str| {
        gateway.ask(&Request::json("/api/session/login", &json!({"username": "bob", "password": password})))
    };
    let first = Login::of(&log_in("the first password"));
    let change = json!({"current_password": "the first password", "new_password": "the second password"});
    let second = Login::of(&first.change(&gateway, "PUT", "/api/session/password", &change));
    assert_eq!(first.read(&gateway, "/api/session").status(), 401);
    assert_eq!(second.read(&gateway, "/api/session").json()["role"], "viewer");
    assert_eq!(log_in("the first password").status(), 401);
    let raised = ada.change(&gateway, "PUT", "/api/users/bob", &json!({"role": "admin"}));
    assert_eq!(raised.status(), 200);
    assert_eq!(
        second.read(&gateway, "/api/session").json()["role"],
        "admin",
        "a session has the role of now"
    );
    let sessions = ada.read(&gateway, "/api/session/sessions").json()["sessions"].clone();
    let of_bob = sessions.as_array().expect("a list").iter().find(|one| one["name"] == "bob");
    let path = format!("/api/session/sessions/{}", of_bob.expect("his")["id"].as_str().expect("an id"));
    for session in sessions.as_array().expect("a list").iter().filter(|one| one["name"] == "bob") {
        let path = format!("/api/session/sessions/{}", session["id"].as_str().expect("an id"));
        assert_eq!(ada.change(&gateway, "DELETE", &path, &json!({})).status(), 200);
    }
    assert_eq!(second.read(&gateway, "/api/session").status(), 401);
    assert_eq!(ada.change(&gateway, "DELETE", &path, &json!({})).status(), 404);
    assert_eq!(ada.change(&gateway, "DELETE", "/api/users/ada", &json!({})).status(), 409, "in the file");
    assert_eq!(ada.change(&gateway, "DELETE", "/api/users/bob", &json!({})).status(), 200);
    assert_eq!(log_in("the second password").status(), 401);
}

#[test]
fn guesses_at_a_password_are_slowed_down() {
    let gateway = configured();
    let guess = |nth: u32| {
        let body = json!({"username": "ada", "password": format!("guess number {nth}")});
        gateway.ask(&Request::json("/api/session/login", &body))
    };
    let answers: Vec<Response> = (0..8).map(guess).collect();
    let statuses: Vec<u16> = answers.iter().map(Response::status).collect();
    assert_eq!(statuses[..6], [401; 6]);
    assert!(statuses[6..].contains(&429), "{statuses:?}");
    let last = answers.iter().find(|answer| answer.status() == 429).expect("one");
    assert!(last.header("retry-after").is_some_and(|wait| wait.parse::<u64>().is_ok_and(|wait| wait >= 1)));
}

#[test]
fn answers_say_what_browsers_may_do_with_them() {
    let gateway = Gateway::start(&json!({"client": {"allowed_origins": ["https://ui.example"]},
        "governance": {"auth_config": {"admin_username": "ada", "admin_password": PASSWORD}}}));
    let asked = |origin: &str| gateway.ask(&Request::get("/api/version").header("origin", origin));
    let listed = asked("https://ui.example");
    assert_eq!(listed.header("access-control-allow-origin"), Some("https://ui.example"));
    assert_eq!(listed.header("access-control-allow-credentials"), Some("true"));
    assert_eq!(asked("https://evil.example").header("access-control-allow-origin"), None);
    for (name, value) in [
        ("x-frame-options", "DENY"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-store"),
    ] {
        assert_eq!(listed.header(name), Some(value), "{name}");
    }
    assert!(
        listed.header("content-security-policy").is_some_and(|csp| csp.contains("frame-ancestors 'none'"))
    );
    let preflight = Request::get("/api/tokens")
        .method("OPTIONS")
        .header("origin", "https://ui.example")
        .header("access-control-request-method", "POST");
    let answer = gateway.ask(&preflight);
    assert_eq!(answer.status(), 204);
    assert!(
        answer.header("access-control-allow-headers").is_some_and(|names| names.contains("x-csrf-token"))
    );
}

#[test]
fn beside_a_login_models_need_a_virtual_key_unless_they_are_opened() {
    let auth = json!({"admin_username": "ada", "admin_password": PASSWORD});
    let guarded = Gateway::start(&json!({"governance": {"auth_config": auth}}));
    let chat = json!({"model": "mock/echo", "messages": [{"role": "user", "content": "hi"}]});
    let refused = guarded.ask(&Request::json("/v1/chat/completions", &chat));
    assert_eq!((refused.status(), &refused.json()["error"]["type"]), (401, &json!("virtual_key_required")));
    assert_eq!(configured().ask(&Request::json("/v1/chat/completions", &chat)).status(), 200);
}

#[test]
fn without_login_only_this_machine_is_let_in_and_no_page_of_another_origin() {
    let gateway = Gateway::start(&json!({}));
    assert_eq!(gateway.get("/api/version").status(), 200);
    let status =
        |name: &str, value: &str| gateway.ask(&Request::get("/api/version").header(name, value)).status();
    assert_eq!(status("host", "evil.example"), 401, "a name that was pointed here");
    assert_eq!(status("x-forwarded-for", "203.0.113.9"), 401, "somebody behind a proxy on this machine");
    let forged = Request::json("/api/tokens", &json!({"name": "x", "role": "admin"}));
    assert_eq!(gateway.ask(&forged.header("origin", "https://evil.example")).status(), 403);
}

#[test]
fn what_was_done_is_in_a_log_whose_changes_are_found() {
    let gateway = configured();
    let ada = login(&gateway);
    assert_eq!(
        ada.change(&gateway, "POST", "/api/tokens", &json!({"name": "ci", "role": "viewer"})).status(),
        201
    );
    let provider =
        json!({"provider": "openai", "keys": [{"name": "k", "value": "sk-live-0123456789abcdef"}]});
    let made = ada.change(&gateway, "POST", "/api/providers", &provider);
    assert!(made.status() < 300, "{}", made.text());
    let rows = ada.read(&gateway, "/api/audit?limit=1000").json()["rows"].clone();
    let actions: Vec<&str> =
        rows.as_array().expect("rows").iter().filter_map(|row| row["action"].as_str()).collect();
    assert_eq!(actions[..2], ["session.login", "token.create"]);
    assert!(
        actions.len() > 2 && rows.as_array().expect("rows").iter().all(|row| row["who"] == "ada"),
        "{rows}"
    );
    assert!(!rows.to_string().contains("0123456789abcdef"));
    let first = ada.read(&gateway, "/api/audit?limit=1").json();
    assert_eq!(first["next"], 1);

    let export = ada.read(&gateway, "/api/audit?format=jsonl").text();
    let file = gateway.folder.path().join("audit.jsonl");
    let verify = |text: &str, more: &[&str]| {
        std::fs::write(&file, text).expect("written");
        let path = file.to_string_lossy().into_owned();
        gateway::run(&[&["audit", "verify", path.as_str()], more].concat())
    };
    let (code, out, _) = verify(&export, &[]);
    assert_eq!(code, Some(0));
    let hash = out.lines().last().expect("a hash").to_owned();
    let (code, _, said) = verify(&export.replacen("viewer", "admin", 1), &[]);
    assert!(code == Some(1) && said.contains("row 2 was changed"), "{said}");
    let cut = export.lines().take(2).collect::<Vec<_>>().join("\n");
    assert_eq!(verify(&cut, &[]).0, Some(0), "a cut is not seen by itself");
    assert_eq!(verify(&cut, &["--expect", &hash]).0, Some(1), "but by the hash that was noted");

    let app_dir = gateway.folder.path().to_string_lossy().into_owned();
    let (code, _, said) = gateway::run(&["audit", "verify", "--app-dir", &app_dir, "--expect", &hash]);
    assert_eq!(code, Some(0), "the store itself, beside the gateway that runs: {said}");
}

#[test]
fn the_command_line_makes_tokens_beside_a_running_gateway() {
    let gateway = Gateway::start(&json!({"governance": {"auth_config": {}}}));
    let app_dir = gateway.folder.path().to_string_lossy().into_owned();
    let make = |more: &[&str]| {
        let (code, out, said) = gateway::run(&[&["admin", "token", "--app-dir", &app_dir], more].concat());
        assert_eq!(code, Some(0), "{said}");
        out.trim().to_owned()
    };
    let lasting = make(&["--name", "ci", "--role", "viewer", "--days", "1"]);
    let bearer = format!("Bearer {lasting}");
    let read = gateway.ask(&Request::get("/api/session").header("authorization", &bearer));
    assert_eq!(read.json()["name"], "token:ci");
    let once = json!({"token": make(&[])});
    let login = Login::of(&gateway.ask(&Request::json("/api/session/login", &once)));
    assert_eq!(login.read(&gateway, "/api/session").json()["name"], "setup");
    assert_eq!(gateway.ask(&Request::json("/api/session/login", &once)).status(), 401);
}

#[test]
fn secrets_in_the_store_are_sealed_and_the_key_can_be_replaced() {
    let folder = Arc::new(tempfile::tempdir().expect("a folder"));
    write_config(folder.path(), &json!({}));
    let key = ("BIFROST_ENCRYPTION_KEY", "the first key");
    let mut gateway = Gateway::launch(Arc::clone(&folder), free_port(), &[], &[key]);
    let provider =
        json!({"provider": "openai", "keys": [{"name": "k", "value": "sk-live-0123456789abcdef"}]});
    let made = gateway.ask(&Request::json("/api/providers", &provider));
    assert!(made.status() < 300, "{}", made.text());
    gateway.signal(15);
    gateway.wait_for_exit();
    let holds = |text: &str| {
        std::fs::read_dir(folder.path()).expect("a folder").any(|file| {
            let bytes = std::fs::read(file.expect("a file").path()).unwrap_or_default();
            bytes.windows(text.len()).any(|window| window == text.as_bytes())
        })
    };
    assert!(holds("bf1:") && !holds("0123456789abcdef"));

    let rotated = command(folder.path())
        .args(["secrets", "rotate", "--app-dir"])
        .arg(folder.path())
        .envs([key, ("BIFROST_NEW_ENCRYPTION_KEY", "the second key")])
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&rotated.stdout).into_owned();
    assert!(rotated.status.success() && said.starts_with("1 secrets are sealed"), "{rotated:?}");

    let old = Gateway::launch(Arc::clone(&folder), free_port(), &[], &[key]);
    old.wait_for_log("the encryption key is not the one");
    drop(old);
    let second = ("BIFROST_ENCRYPTION_KEY", "the second key");
    let gateway = Gateway::launch(Arc::clone(&folder), free_port(), &[], &[second]);
    let shown = crate::support::until("the stored provider", || {
        let answer = gateway.get("/api/providers/openai");
        (answer.status() == 200).then(|| answer.text())
    });
    assert!(shown.contains("sk-l") && shown.contains("cdef") && !shown.contains("0123456789"), "{shown}");
}
