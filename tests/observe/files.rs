//! What is deployed, by itself: `promtool` accepts it, alerts are raised when they should be, names are documented.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use bifrost::telemetry::metrics::Metrics;

use crate::servers::{deploy, installed};

fn promtool(arguments: &[&str]) {
    let output = Command::new("promtool").args(arguments).output().expect("promtool runs");
    let said =
        [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    assert!(output.status.success(), "promtool {arguments:?}:\n{said}");
}

#[test]
fn promtool_accepts_the_configuration_and_the_rules() {
    if installed("promtool", "prometheus").is_none() {
        return;
    }
    let folder = deploy().join("prometheus");
    promtool(&["check", "config", &folder.join("prometheus.yml").display().to_string()]);
    for rules in ["alerts.yml", "recording.yml"] {
        promtool(&[
            "check",
            "rules",
            "--lint-fatal",
            &folder.join("rules").join(rules).display().to_string(),
        ]);
    }
}

#[test]
fn alerts_are_raised_when_they_should_be_and_not_before() {
    if installed("promtool", "prometheus").is_none() {
        return;
    }
    promtool(&["test", "rules", &deploy().join("prometheus/tests/alerts.yml").display().to_string()]);
}

#[test]
fn the_dashboard_is_what_its_script_writes() {
    let script = deploy().join("grafana/make-dashboard.py");
    let checked = Command::new("python3").arg(script).arg("--check").output().expect("python3 runs");
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}

/// A name that is not exposed is a panel that is empty for ever.
#[test]
fn what_is_deployed_asks_for_metrics_that_there_are() {
    let metrics = Metrics::new().unwrap();
    let known: BTreeSet<&str> = metrics.known().iter().map(|known| known.name.as_str()).collect();
    let mut asked = 0;
    for file in
        ["grafana/dashboards/bifrost.json", "prometheus/rules/alerts.yml", "prometheus/rules/recording.yml"]
    {
        let text = fs::read_to_string(deploy().join(file)).expect("a file");
        let words =
            text.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_' || letter == ':'));
        // What is recorded has colons in its name.
        let named = |word: &&str| {
            ["bifrost_", "http_", "process_"].iter().any(|start| word.starts_with(start))
                && !word.contains(':')
        };
        for word in words.filter(named) {
            let base = ["_bucket", "_count", "_sum"].iter().find_map(|suffix| word.strip_suffix(suffix));
            let found = known.contains(word) || base.is_some_and(|base| known.contains(base));
            assert!(found, "{file} asks for {word}, which nobody exposes");
            asked += 1;
        }
    }
    assert!(asked > 100, "{asked}");
}

#[test]
fn what_compose_mounts_is_there() {
    let text = fs::read_to_string(deploy().join("compose.yaml")).expect("compose.yaml");
    let mounted: Vec<&str> = text.lines().filter_map(|line| line.trim().strip_prefix("- ./")).collect();
    assert!(mounted.len() >= 4, "{mounted:?}");
    for mount in mounted {
        let path = mount.split(':').next().expect("a path");
        assert!(deploy().join(path).exists(), "{path} is mounted and not there");
    }
    let provisioned =
        fs::read_to_string(deploy().join("grafana/provisioning/dashboards/bifrost.yml")).expect("a file");
    assert!(
        provisioned.contains("path: /var/lib/grafana/dashboards")
            && text.contains(":/var/lib/grafana/dashboards:ro")
    );
}

/// `docs/metrics.md` has a table of all metrics, which this writes with `BIFROST_BLESS=1`.
#[test]
fn every_metric_is_documented_and_every_documented_one_exists() {
    let metrics = Metrics::new().unwrap();
    let mut table = String::from("| Metric | Kind | Labels | |\n|---|---|---|---|\n");
    for known in metrics.known() {
        let labels: Vec<String> = known.labels.iter().map(|label| format!("`{label}`")).collect();
        table.push_str(&format!(
            "| `{}` | {} | {} | {} |\n",
            known.name,
            known.kind.name(),
            labels.join(", "),
            known.help
        ));
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
    let page = fs::read_to_string(&path).expect("docs/metrics.md");
    let (begin, end) = ("<!-- all metrics: written by a test -->\n", "<!-- end -->");
    let (before, rest) = page.split_once(begin).expect("the table's beginning");
    let (now, after) = rest.split_once(end).expect("the table's end");
    if std::env::var_os("BIFROST_BLESS").is_some() {
        fs::write(&path, format!("{before}{begin}{table}{end}{after}")).expect("written");
        return;
    }
    assert_eq!(now, table, "docs/metrics.md is not current: BIFROST_BLESS=1 cargo test --test observe files");
}
