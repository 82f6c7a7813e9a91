use super::*;
use crate::provider::{self, Service};
use crate::wire::Wire;

const SONNET: &str = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";

fn asked(body: &str, header: &[&str]) -> Vec<String> {
    let members = Members::read(body.as_bytes()).unwrap();
    let found = betas_asked(body.as_bytes(), &members, header.iter().copied());
    found.into_iter().map(String::from).collect()
}

fn service(provider: &str) -> Betas {
    let row = provider::find(provider).unwrap();
    let claude = |service: &&Service| service.wire == Wire::Anthropic;
    row.services.iter().find(claude).map_or(row.betas, |service| service.betas)
}

/// Body and header that come of names in header and body, and the losses' reasons.
fn placed(body: &str, header: &[&str], betas: Betas, model: &str) -> (String, Option<String>, Vec<String>) {
    let members = Members::read(body.as_bytes()).unwrap();
    let asked = betas_asked(body.as_bytes(), &members, header.iter().copied());
    let mut losses = Losses::default();
    let overrides = BTreeMap::new();
    let to = BetaHost { betas, overrides: &overrides, model };
    let placed = place_betas(body.as_bytes(), &asked, &to, &mut losses);
    let edited = placed.body.map_or_else(|| body.to_owned(), |body| String::from_utf8(body).unwrap());
    let reasons = losses.as_slice().iter().map(|loss| format!("{}: {}", loss.path, loss.reason)).collect();
    (edited, placed.header, reasons)
}

#[test]
fn names_are_found_in_header_and_body_and_told_once() {
    assert_eq!(asked(r#"{"anthropic_beta":["b","c"]}"#, &["a, b", "d,,"]), ["a", "b", "d", "c"]);
    assert_eq!(asked(r#"{"anthropic_beta":"a,b"}"#, &[]), ["a", "b"]);
    assert_eq!(asked(r#"{"extra_params":{"anthropic_beta":["a"]}}"#, &[]), ["a"]);
    assert_eq!(asked(r#"{"additionalModelRequestFields":{"anthropic_beta":["a"]}}"#, &[]), ["a"]);
    assert!(asked(r#"{"anthropic_beta":7,"x":{"anthropic_beta":["a"]}}"#, &[]).is_empty());
}

#[test]
fn the_api_itself_gets_all_in_the_header_and_a_body_without_them_stays_to_the_byte() {
    let (body, header, losses) = placed(r#"{ "model":"m" }"#, &["x-1,y-2"], service("anthropic"), "m");
    assert_eq!((body.as_str(), header.as_deref()), (r#"{ "model":"m" }"#, Some("x-1,y-2")));
    assert!(losses.is_empty());
    let (body, header, losses) =
        placed(r#"{"anthropic_beta":["z-3"],"model":"m"}"#, &["x-1"], service("anthropic"), "m");
    assert_eq!((body.as_str(), header.as_deref()), (r#"{"model":"m"}"#, Some("x-1,z-3")));
    assert!(losses.is_empty());
}

#[test]
fn an_invoked_claude_gets_a_list_of_what_bedrock_takes() {
    let header = ["claude-code-20250219,interleaved-thinking-2025-05-14"];
    let (body, header, losses) = placed(r#"{"max_tokens":1}"#, &header, service("bedrock"), SONNET);
    assert_eq!(body, r#"{"max_tokens":1,"anthropic_beta":["interleaved-thinking-2025-05-14"]}"#);
    assert_eq!(header, None);
    assert_eq!(losses, ["anthropic_beta: the provider does not take claude-code-20250219"]);
    let (body, _, _) =
        placed(r#"{"anthropic_beta":["oauth-2025-04-20"],"a":1}"#, &[], service("bedrock"), SONNET);
    assert_eq!(body, r#"{"a":1}"#);
    let known = r#"{"anthropic_beta": ["compact-2026-01-12" ]}"#;
    assert_eq!(placed(known, &[], service("bedrock"), SONNET).0, known);
}

#[test]
fn vertex_gets_a_header_of_what_it_takes() {
    let header = ["effort-2025-11-24,context-management-2025-06-27"];
    let (body, header, losses) = placed("{}", &header, service("vertex"), "claude-opus-4-5@20251101");
    assert_eq!((body.as_str(), header.as_deref()), ("{}", Some("context-management-2025-06-27")));
    assert_eq!(losses, ["anthropic_beta: the provider does not take effort-2025-11-24"]);
}

#[test]
fn converse_has_them_among_the_models_own_fields_when_the_model_is_a_claude() {
    let converse = provider::find("bedrock").unwrap().betas;
    let header = ["compact-2026-01-12"];
    let (body, _, _) = placed(r#"{"messages":[]}"#, &header, converse, SONNET);
    let added = r#"{"messages":[],"additionalModelRequestFields":{"anthropic_beta":["compact-2026-01-12"]}}"#;
    assert_eq!(body, added);
    let (body, _, _) = placed(
        r#"{"anthropic_beta":["compact-2026-01-12"],"additionalModelRequestFields":{"top_k":1}}"#,
        &[],
        converse,
        SONNET,
    );
    let joined = r#"{"additionalModelRequestFields":{"top_k":1,"anthropic_beta":["compact-2026-01-12"]}}"#;
    assert_eq!(body, joined);
    assert_eq!(placed(added, &[], converse, SONNET).0, added);
    let (body, header, losses) = placed(r#"{"messages":[]}"#, &header, converse, "amazon.nova-pro-v1:0");
    assert_eq!((body.as_str(), header, losses.len()), (r#"{"messages":[]}"#, None, 0));
}

#[test]
fn a_service_without_betas_is_sent_what_the_caller_wrote() {
    let body = r#"{"anthropic_beta":["a"]}"#;
    assert_eq!(placed(body, &["b"], Betas::NOWHERE, "gpt-4o"), (body.to_owned(), None, Vec::new()));
}

#[test]
fn what_an_encoder_reported_as_lost_is_taken_back_when_it_is_carried() {
    let mut losses = Losses::default();
    losses.report("additionalModelRequestFields.anthropic_beta", "has no counterpart");
    losses.report("user", "has no counterpart");
    let to = BetaHost { betas: service("anthropic"), overrides: &BTreeMap::new(), model: "claude-x" };
    let placed = place_betas(b"{}", &["a-1".into()], &to, &mut losses);
    assert_eq!(placed.header.as_deref(), Some("a-1"));
    assert_eq!(losses.as_slice().len(), 1);
}

#[test]
fn a_name_that_is_no_header_value_is_left_out() {
    let (_, header, losses) =
        placed(r#"{"anthropic_beta":["a\r\nx: y","b"]}"#, &[], service("anthropic"), "claude-x");
    assert_eq!(header.as_deref(), Some("b"));
    assert_eq!(losses.len(), 1);
}

#[test]
fn what_the_configuration_says_of_a_name_counts_before_what_is_known() {
    let overrides = BTreeMap::from([
        ("claude-code-".to_owned(), true),
        ("compact-".to_owned(), false),
        ("compact-2027".to_owned(), true),
    ]);
    let to = BetaHost { betas: service("bedrock"), overrides: &overrides, model: SONNET };
    let asked = ["claude-code-20250219", "compact-2026-01-12", "compact-2027-01-01"].map(Box::from);
    let mut losses = Losses::default();
    let body = place_betas(b"{}", &asked, &to, &mut losses).body.unwrap();
    let expected = r#"{"anthropic_beta":["claude-code-20250219","compact-2027-01-01"]}"#;
    assert_eq!(String::from_utf8(body).unwrap(), expected);
    assert_eq!(losses.as_slice()[0].reason, "the provider does not take compact-2026-01-12");
}
