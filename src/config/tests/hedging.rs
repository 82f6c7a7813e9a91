//! Second attempts, and the limits of a policy.

use std::time::Duration;

use super::*;
use crate::config::policy::{Hedge, Limits};

fn hedge(section: &str) -> Option<Hedge> {
    json(&format!(r#"{{"hedging": {section}}}"#), &nothing()).policy.hedge
}

#[test]
fn second_attempts_are_off_unless_the_section_is_there() {
    assert_eq!(json("{}", &nothing()).policy.hedge, None);
    assert_eq!(hedge(r#"{"enabled": false, "after_ms": 100}"#), None);
    assert_eq!(hedge("{}"), Some(Hedge { after: None, max_extra_permille: 50 }));
    let told = hedge(r#"{"after_ms": 250, "max_extra_spend_percent": 0.3}"#);
    assert_eq!(told, Some(Hedge { after: Some(Duration::from_millis(250)), max_extra_permille: 3 }));
    let snapshot = json(r#"{"hedging": {"after_ms": 250}}"#, &nothing());
    assert!(!snapshot.warnings.iter().any(|warning| warning.contains("hedging")), "it is active");
}

#[test]
fn wrong_values_are_told_with_their_place() {
    for (section, place) in [
        (r#"{"after_ms": 0}"#, "after_ms"),
        (r#"{"max_extra_spend_percent": 0}"#, "max_extra_spend_percent"),
        (r#"{"max_extra_spend_percent": 101}"#, "max_extra_spend_percent"),
        (r#"{"after": 100}"#, "after_ms"),
    ] {
        let told = problems(&format!(r#"{{"hedging": {section}}}"#), Format::Json);
        assert!(told.contains(place) && told.contains("c.json:1:"), "{section}: {told}");
    }
}

#[test]
fn a_policys_limits_stand_before_the_providers() {
    let text = r#"{"providers": {"openai": {"network_config": {
        "ttft_timeout_in_seconds": 10, "stream_idle_timeout_in_seconds": 20, "default_request_timeout_in_seconds": 40}}}}"#;
    let snapshot = json(text, &Environment::fixed([("OPENAI_API_KEY", "sk")]));
    let network = &snapshot.provider("openai").unwrap().network;
    let seconds = Duration::from_secs;
    let plain = Limits::default().at(network);
    assert_eq!((plain.first_byte, plain.first_token), (seconds(40), Some(seconds(10))));
    assert_eq!((plain.idle, plain.request), (seconds(20), seconds(40)));
    let limits = Limits { first_token: Some(seconds(3)), request: Some(seconds(7)), ..Limits::default() };
    let own = limits.at(network);
    assert_eq!((own.first_byte, own.first_token), (seconds(40), Some(seconds(3))));
    assert_eq!((own.idle, own.request), (seconds(20), seconds(7)));
}
