//! Reload and watch.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::*;

const GOOD: &str = r#"{"providers": {"openai": {"keys": [{"value": "sk-1"}]}}}"#;
const BAD: &str = r#"{"providers": {"opneai": {}}}"#;

fn holder(path: &Path) -> ConfigHolder {
    ConfigHolder::open(Origin::File(path.to_owned()), nothing()).unwrap()
}

#[test]
fn an_invalid_file_keeps_the_old_snapshot_and_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.json");
    std::fs::write(&path, GOOD).unwrap();
    let holder = holder(&path);
    let before = holder.load_full();
    std::fs::write(&path, BAD).unwrap();
    assert_eq!(holder.reload().unwrap_err().len(), 1);
    assert!(Arc::ptr_eq(&before, &holder.load_full()));
    let status = holder.status();
    assert_eq!((status.reloads_ok, status.reloads_failed), (0, 1));
    assert!(status.last_error.unwrap().contains("did you mean \"openai\"?"));
    std::fs::write(&path, GOOD.replace("sk-1", "sk-2")).unwrap();
    holder.reload().unwrap();
    let after = holder.load_full();
    assert_eq!((before.version, after.version), (1, 2));
    assert_eq!(after.provider("openai").unwrap().keys[0].secret.as_ref().unwrap().expose(), "sk-2");
    let status = holder.status();
    assert_eq!((status.reloads_ok, status.reloads_failed, status.last_error), (1, 1, None));
    std::fs::remove_file(&path).unwrap();
    assert!(holder.reload().is_err());
    assert!(Arc::ptr_eq(&after, &holder.load_full()));
}

#[test]
fn a_changed_server_section_asks_for_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.yaml");
    std::fs::write(&path, "server: {port: 1}\n").unwrap();
    let holder = holder(&path);
    std::fs::write(&path, "server: {port: 2}\n").unwrap();
    holder.reload().unwrap();
    assert_eq!(holder.server().port, 1);
    assert!(holder.load_full().warnings[0].contains("need a restart"));
}

#[test]
fn the_watcher_follows_a_replaced_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.json");
    std::fs::write(&path, GOOD).unwrap();
    let holder = Arc::new(holder(&path));
    let guard = holder.watch().unwrap();
    let new = dir.path().join("config.json.tmp");
    std::fs::write(&new, GOOD.replace("sk-1", "sk-2")).unwrap();
    std::fs::rename(&new, &path).unwrap();
    let limit = Instant::now() + Duration::from_secs(20);
    while holder.load_full().version == 1 {
        assert!(Instant::now() < limit, "no reload");
        std::thread::yield_now();
    }
    assert_eq!(
        holder.load_full().provider("openai").unwrap().keys[0].secret.as_ref().unwrap().expose(),
        "sk-2"
    );
    drop(guard);
}

#[test]
fn the_configuration_is_found_in_the_order_that_is_documented() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(discover(None, Some(dir.path())), Origin::Environment);
    assert_eq!(discover(None, None), Origin::Environment);
    for name in ["config.yml", "config.yaml", "config.json"] {
        std::fs::write(dir.path().join(name), "").unwrap();
        assert_eq!(discover(None, Some(dir.path())), Origin::File(dir.path().join(name)));
    }
    let named = Path::new("/x/y.json");
    assert_eq!(discover(Some(named), Some(dir.path())), Origin::File(named.to_owned()));
    let env = Environment::fixed([("HOME", "/h")]);
    assert_eq!(default_app_dir(&env).unwrap(), Path::new("/h/.config/bifrost"));
    let env = Environment::fixed([("HOME", "/h"), ("XDG_CONFIG_HOME", "/x")]);
    assert_eq!(default_app_dir(&env).unwrap(), Path::new("/x/bifrost"));
}
