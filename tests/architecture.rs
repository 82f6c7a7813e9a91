//! The invariants of ARCHITECTURE.md, read from manifests and sources.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a broken checkout may panic")]

use std::fs;
use std::path::{Path, PathBuf};

/// (a) The pure crates have no runtime, no HTTP stack, no Pingora, and nothing of ours but what is listed.
#[test]
fn pure_crates_stay_pure() {
    const ALLOWED: [&str; 8] =
        ["base64", "crc32fast", "httpdate", "indexmap", "memchr", "serde", "serde_json", "thiserror"];
    for name in ["translate", "govern"] {
        let manifest = read(&root().join("crates").join(name).join("Cargo.toml"));
        for dependency in dependencies(&manifest) {
            assert!(
                ALLOWED.contains(&dependency.as_str()),
                "{name} depends on {dependency}: it must stay pure"
            );
        }
        for (path, text) in sources(&root().join("crates").join(name).join("src")) {
            for banned in
                ["std::net", "std::fs", "SystemTime::now", "Instant::now", "thread::spawn", "tokio::"]
            {
                assert!(!production(&text).contains(banned), "{} uses {banned}", path.display());
            }
        }
    }
}

/// (b) Only `src/proxy` sees a Pingora session; `admin` and `mock` see theirs, `server` builds the service
/// and owns the connections it listens on.
#[test]
fn only_the_proxy_sees_a_session() {
    for (path, text) in sources(&root().join("src")) {
        let place = relative(&path);
        if ["src/proxy", "src/admin", "src/mock", "src/server"].iter().any(|seen| place.starts_with(seen)) {
            continue;
        }
        assert!(!production(&text).contains("pingora_proxy::"), "{place} uses pingora_proxy");
        let connects = place.starts_with("src/upstream");
        assert!(connects || !production(&text).contains("pingora_core::"), "{place} uses pingora_core");
    }
}

/// (c) Vendors are rows: no file on the request path knows one by name.
#[test]
fn no_vendor_is_named_on_the_request_path() {
    let rows = translate::provider::all();
    assert!(rows.len() >= 40, "{} presets", rows.len());
    for folder in ["src/proxy", "src/upstream", "src/account", "src/telemetry"] {
        for (path, text) in sources(&root().join(folder)) {
            for row in rows.iter().filter(|row| !["openai", "anthropic", "mock"].contains(&row.name)) {
                let quoted = format!("\"{}\"", row.name);
                assert!(!production(&text).contains(&quoted), "{} names {}", relative(&path), row.name);
            }
        }
    }
}

/// (d) One snapshot load per request.
#[test]
fn the_snapshot_is_loaded_once_per_request() {
    let loads: usize = sources(&root().join("src/proxy"))
        .iter()
        .map(|(_, text)| production(text).matches("load_full()").count())
        .sum();
    assert_eq!(loads, 1, "src/proxy loads the snapshot {loads} times");
}

/// (h) Arrows point down.
#[test]
fn arrows_point_down() {
    let rules = [
        ("store", "auth proxy route upstream admin server cli"),
        ("auth", "proxy route upstream account admin server cli"),
        ("config", "auth proxy route upstream admin server cli"),
        ("route", "proxy upstream admin server cli"),
        ("credential", "proxy route upstream admin server cli"),
        ("account", "proxy route upstream admin server cli"),
        ("upstream", "proxy admin server cli"),
        ("cluster", "proxy admin server cli"),
        ("observe", "proxy admin server cli"),
        ("cache", "proxy admin server cli"),
        ("proxy", "server cli"),
        ("telemetry", "proxy admin server cli upstream observe"),
    ];
    for (folder, banned) in rules {
        for (path, text) in sources(&root().join("src").join(folder)) {
            for arrow in banned.split(' ').map(|name| format!("crate::{name}")) {
                assert!(!production(&text).contains(&arrow), "{} points up at {arrow}", relative(&path));
            }
        }
    }
}

/// The reader of this test can itself fail: it sees what it looks for.
#[test]
fn the_reader_finds_what_is_there() {
    assert!(sources(&root().join("src/proxy")).len() > 10);
    assert!(production("a\n#[cfg(test)]\nmod tests { b }").contains('a'));
    assert!(!production("a\n#[cfg(test)]\nmod tests { b }").contains('b'));
    assert!(!production("// tokio::\nfn x() {}").contains("tokio"));
    assert_eq!(
        dependencies("[dependencies]\nserde.workspace = true\n[dev-dependencies]\nx = \"1\""),
        ["serde"]
    );
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().display().to_string()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every `.rs` file below a folder but tests.
fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && name != "tests" {
            found.extend(sources(&path));
        } else if name.ends_with(".rs") && !name.ends_with("tests.rs") {
            let text = read(&path);
            found.push((path, text));
        }
    }
    found
}

/// The text without comments and without the inline tests at its end.
fn production(text: &str) -> String {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

fn dependencies(manifest: &str) -> Vec<String> {
    let section = manifest.split("[dependencies]").nth(1).unwrap_or_default();
    let section = section.split("\n[").next().unwrap_or_default();
    section
        .lines()
        .filter_map(|line| line.split(['=', '.']).next())
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty() && !name.starts_with('#'))
        .collect()
}
