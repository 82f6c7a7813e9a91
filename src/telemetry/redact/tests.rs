use super::*;

fn plain(text: &str) -> String {
    Redactor::default().text(text).into_owned()
}

/// Secrets as vendors make them; none of them was ever valid.
const KEYS: [&str; 24] = [
    "sk-bf-3fa85f64",
    "sk-proj-AbCdEfGhIjKlMnOpQrStUvWxYz0123456789",
    "sk-0123456789abcdefghijABCDEFGHIJ",
    "sk-ant-api03-AbCd_EfGh-0123456789abcdef",
    "sk-or-v1-0123456789abcdef0123456789abcdef",
    "sk-lf-01234567-89ab-cdef-0123-456789abcdef",
    "csk-0123456789abcdefghijklmn",
    "AIzaSyA0123456789-abcdefghijklmnopqrstu",
    "ya29.a0AfH6SMBx0123456789abcdef",
    "gsk_0123456789abcdefghijABCDEFGHIJ",
    "hf_0123456789abcdefghijABCD",
    "r8_0123456789abcdefghijABCD",
    "fw_0123456789abcdefghijABCD",
    "nvapi-0123456789abcdefghij_ABCD",
    "pplx-0123456789abcdefghijABCD",
    "xai-0123456789abcdefghijABCD",
    "glpat-0123456789abcdefghij",
    "github_pat_0123456789abcdefghijABCD",
    "ghp_0123456789abcdefghijABCDEFGHIJ012345",
    "sk_live_0123456789abcdef",
    "xoxb-0123456789-abcdefghij",
    "AKIAIOSFODNN7EXAMPLE",
    "ASIAIOSFODNN7EXAMPLE",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N",
];

#[test]
fn keys_are_known_by_their_shapes_wherever_they_stand() {
    for key in KEYS {
        for (before, after) in
            [("", ""), ("my key is ", "."), ("{\"a\":\"", "\"}"), ("key=", "&b=1"), ("x\\n", "\\n")]
        {
            let kept = plain(&format!("{before}{key}{after}"));
            assert!(!kept.contains(key), "{key} in {kept}");
            assert!(kept.starts_with(before) && kept.ends_with(after), "{kept}");
            assert!(kept.contains(MARK), "{kept}");
        }
    }
}

#[test]
fn a_long_bedrock_key_is_known() {
    let key = format!("ABSK{}", "QmVkcm9ja0FQSUtleS1h".repeat(5));
    assert_eq!(plain(&format!("a {key} b")), format!("a {MARK} b"));
}

#[test]
fn what_follows_bearer_is_a_secret_and_the_word_is_not() {
    assert_eq!(plain("Authorization: Bearer abc.DEF-123_456~xyz"), format!("Authorization: Bearer {MARK}"));
    assert_eq!(
        plain(r#"{"authorization":"bearer 0123456789abcdefgh"}"#),
        format!(r#"{{"authorization":"bearer {MARK}"}}"#)
    );
    assert_eq!(plain("the bearer of this letter"), "the bearer of this letter");
    assert_eq!(plain("bearer internationalisation"), "bearer internationalisation");
}

#[test]
fn secret_keys_of_aws_are_known_by_their_names() {
    let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
    for text in [
        format!("aws_secret_access_key = {secret}"),
        format!("AWS_SECRET_ACCESS_KEY={secret}"),
        format!(r#"{{"SecretAccessKey": "{secret}"}}"#),
        format!(r#"{{"text":"{{\"SecretAccessKey\":\"{secret}\"}}"}}"#),
    ] {
        let kept = plain(&text);
        assert!(!kept.contains(secret) && kept.contains(MARK), "{kept}");
    }
}

#[test]
fn a_basic_credential_is_a_secret_too() {
    let kept = plain("Authorization: Basic dXNlcjpwYXNzd29yZDEyMw==");
    assert_eq!(kept, format!("Authorization: Basic {MARK}"));
}

#[test]
fn passwords_are_taken_out_of_urls_and_the_rest_stays() {
    for (text, kept) in [
        ("postgres://app:hunter2@db.internal:5432/x", "postgres://app:[redacted]@db.internal:5432/x"),
        ("see https://me:p%40ss@host/a?b=c#d", "see https://me:[redacted]@host/a?b=c#d"),
        (r#"{"u":"redis:\/\/:s3cret@cache"}"#, r#"{"u":"redis:\/\/:[redacted]@cache"}"#),
        ("http://host:8080/me@home", "http://host:8080/me@home"),
        ("mail me@host: ok", "mail me@host: ok"),
    ] {
        assert_eq!(plain(text), kept);
    }
}

#[test]
fn private_keys_are_taken_out_whole_or_cut() {
    let body = "MIIEpAIBAAKCAQEA0123456789\\nabcdefghij+/==";
    for kind in ["", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED "] {
        let pem = format!("-----BEGIN {kind}PRIVATE KEY-----\\n{body}\\n-----END {kind}PRIVATE KEY-----");
        assert_eq!(plain(&format!("a {pem} b")), format!("a {MARK} b"));
        let cut = format!("-----BEGIN {kind}PRIVATE KEY-----\n{body}");
        assert_eq!(plain(&format!("a {cut}")), format!("a {MARK}"));
    }
    let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nabc\n-----END RSA PRIVATE KEY-----";
    assert_eq!(plain(old), MARK);
    let public = "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----";
    assert_eq!(plain(public), public);
}

#[test]
fn ordinary_texts_stay_as_they_are() {
    for text in [
        "a task-oriented-dialogue-system-for-everybody",
        "sk-something-without-any-number-in-it",
        "risk-0123456789abcdefghijklmno",
        "{\"model\":\"gpt-4o-mini-2024-07-18\",\"messages\":[{\"role\":\"user\",\"content\":\"What is 6 × 7?\"}]}",
        "data: {\"id\":\"chatcmpl-AbCdEf0123456789\"}\n\n",
        "commit 3fa85f6457174562b3fc2c963f66afa6",
        "10:30: see https://host/path?x=1",
        "",
    ] {
        let redactor = Redactor::default();
        assert!(matches!(redactor.text(text), Cow::Borrowed(_)) || redactor.text(text) == text, "{text}");
        assert_eq!(redactor.text(text), text);
    }
}

#[test]
fn configured_secrets_are_taken_out_word_for_word() {
    let redactor =
        Redactor::of(["hunter2-hunter2", "pass\"word\\1", "test", "hunter2-hunter2-and-more"].into_iter());
    assert_eq!(redactor.text("x hunter2-hunter2-and-more y"), format!("x {MARK} y"));
    assert_eq!(redactor.text("xhunter2-hunter2y"), format!("x{MARK}y"));
    assert_eq!(
        redactor.text(r#"{"a":"pass\"word\\1"}"#),
        format!(r#"{{"a":"{MARK}"}}"#),
        "as JSON writes it"
    );
    assert_eq!(redactor.text("this is a test"), "this is a test", "too short to be told from a word");
    let both = redactor.text("hunter2-hunter2 and sk-bf-3fa85f64").into_owned();
    assert_eq!(both, format!("{MARK} and {MARK}"));
}

#[test]
fn bytes_that_are_no_text_stay() {
    let image = [0xff, 0xd8, 0x00, 0xfe, b'a'];
    assert_eq!(&*Redactor::default().bytes(&image), image);
}

#[test]
fn names_of_credentials_are_known() {
    for name in
        ["Authorization", "x-api-key", "X-Goog-Api-Key", "x-auth-token", "aws_secret", "cookie", "x-bf-vk"]
    {
        assert!(names_a_credential(name), "{name}");
    }
    for name in ["x-tenant", "team", "tokens", "x-key-name"] {
        assert!(!names_a_credential(name), "{name}");
    }
}

/// Prints how fast bodies are searched. Not measured on every run: machines differ.
#[test]
#[ignore = "a measurement"]
fn speed() {
    let line = "data: {\"id\":\"chatcmpl-1\",\"choices\":[{\"delta\":{\"content\":\" word\"}}]}\n\n";
    let body = line.repeat(1024 * 1024 / line.len());
    let secrets: Vec<String> = (0..200).map(|number| format!("configured-secret-{number:08}")).collect();
    let redactor = Redactor::of(secrets.iter().map(String::as_str));
    let began = std::time::Instant::now();
    let rounds: u32 = 20;
    for _ in 0..rounds {
        assert!(matches!(redactor.bytes(body.as_bytes()), Cow::Borrowed(_)));
    }
    let each = began.elapsed() / rounds;
    println!("{} KiB in {each:?}", body.len() / 1024);
}
