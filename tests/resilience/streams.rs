//! Streams that begin well: rows 8, 8b, 9, 10, 11 and 22.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::rig::{Case, Rig, backup_model, each_stream, each_tagged, provider, request, tag};
use crate::support::answers::{self, USAGE, after_two_words, chunk, end, events, open_stream, stream_head};
use crate::support::client::Request;
use crate::support::gateway::Gateway;
use crate::support::told::Told;
use crate::support::upstream::{Act, Hit, Script, Upstream};
use crate::support::{Wire, until};

/// A stream that said two words and stays open.
fn two_words(hit: &Hit) -> Script {
    let wire = hit.wire();
    let mut frames = events(wire, hit.model());
    frames.truncate(after_two_words(wire));
    open_stream(&frames, Duration::ZERO)
}

/// Two words and an error in the caller's dialect: no finish, no clean end, nobody else asked.
fn expect_broken_off(rig: &Rig, case: Case, told: &Told, label: &str) {
    assert_eq!(told.status(), 200);
    assert_eq!(told.text(), "The answer");
    assert!(!told.error_message().is_empty());
    assert!(told.finishes().is_empty(), "a finish reason was invented: {}", told.response.text());
    assert!(!told.terminated, "a cut stream ended cleanly: {}", told.response.text());
    rig.expect_failed(told, label);
    rig.expect_logged(case, told, &[format!("{} {label}", case.primary())]);
    assert_eq!((rig.hits(case).len(), rig.backup.hits_for(&backup_model(case)).len()), (1, 0));
    rig.expect_alive();
}

#[test]
fn row_08_a_stream_cut_by_the_connection_ends_with_an_error_event() {
    let rig = Rig::new(|hit| {
        let mut script = two_words(hit);
        script.push(if tag(hit) == "reset" { Act::Reset } else { Act::Close });
        script
    });
    each_tagged(true, &["reset", "close"], |case| {
        let told = rig.ask(case);
        expect_broken_off(&rig, case, &told, "bad_answer");
    });
}

#[test]
fn row_08b_a_stream_that_ends_in_good_order_without_a_finish_reason_is_cut_too() {
    let rig = Rig::new(|hit| {
        let mut script = two_words(hit);
        if tag(hit) == "done" {
            let terminator = events(hit.wire(), hit.model()).pop().unwrap();
            script.push(chunk(terminator));
        }
        script.push(end());
        script
    });
    each_tagged(true, &["ended", "done"], |case| {
        let told = rig.ask(case);
        expect_broken_off(&rig, case, &told, "bad_answer");
    });
}

#[test]
fn row_08_a_stream_cut_before_its_first_token_is_answered_by_another_target() {
    let rig = Rig::new(|hit| {
        let frames = &events(hit.wire(), hit.model())[..1];
        let mut script = open_stream(frames, Duration::ZERO);
        script.push(Act::Reset);
        script
    });
    each_stream(|case| {
        let told = rig.ask(case);
        rig.expect_backup(case, &told);
        let cut = (case.primary(), "bad_answer");
        rig.expect_attempts(case, &told, &[cut, cut, cut, (case.backup(), "success")]);
    });
}

#[test]
fn row_09_a_stalled_stream_is_found_inside_the_idle_timeout() {
    let rig = Rig::new(|hit| {
        let mut script = two_words(hit);
        script.push(Act::Hold);
        script
    });
    each_stream(|case| {
        let told = rig.ask(case);
        expect_broken_off(&rig, case, &told, "idle_timeout");
        let took = told.took;
        assert!(took >= Duration::from_millis(800) && took < Duration::from_millis(1_700), "{took:?}");
        rig.primary.wait_for("the stalled connection to be closed", |hits| {
            hits.iter().find(|hit| hit.model() == case.model())?.left
        });
    });
}

#[test]
fn row_09_an_error_event_in_the_stream_is_told_in_the_callers_dialect() {
    let rig = Rig::new(|hit| {
        let mut script = two_words(hit);
        let body = answers::error_body(hit.wire(), "overloaded_error", "at capacity");
        let frame = match hit.wire() {
            Wire::OpenAi => format!("data: {body}\n\n"),
            Wire::Anthropic => format!("event: error\ndata: {body}\n\n"),
        };
        script.extend([chunk(frame), end()]);
        script
    });
    each_stream(|case| {
        let told = rig.ask(case);
        assert_eq!(told.error_message(), "at capacity");
        expect_broken_off(&rig, case, &told, "overloaded");
    });
}

#[test]
fn row_10_an_event_of_invalid_json_is_skipped_and_counted() {
    let rig = Rig::new(|hit| {
        let mut frames = events(hit.wire(), hit.model());
        let broken = match hit.wire() {
            Wire::OpenAi => "data: {\"choices\": [{\"delta\": {\"content\"\n\n",
            Wire::Anthropic => "event: content_block_delta\ndata: {\"type\": \"content_blo\n\n",
        };
        frames.insert(after_two_words(hit.wire()), broken.to_owned());
        answers::stream(&frames, Duration::ZERO)
    });
    each_stream(|case| {
        let told = rig.ask(case);
        rig.expect_primary(case, &told);
        rig.expect_attempts(case, &told, &[(case.primary(), "success")]);
    });
    // One case has the OpenAI primary, three have the other.
    for provider in ["oa", "an"] {
        let expected = if provider == "oa" { 1.0 } else { 3.0 };
        let skipped = rig.gateway.metric("bifrost_stream_events_skipped_total", &[("provider", provider)]);
        assert_eq!(skipped, expected, "{provider}");
    }
}

/// A complete answer whose terminator never comes.
fn unterminated(hit: &Hit) -> Script {
    let mut frames = events(hit.wire(), hit.model());
    frames.pop();
    let mut script = open_stream(&frames, Duration::ZERO);
    script.push(match tag(hit) {
        "ended" => end(),
        "reset" => Act::Reset,
        _ => Act::Hold,
    });
    script
}

#[test]
fn row_11_a_missing_terminator_is_supplied_promptly_even_when_the_upstream_stays_open() {
    let rig = Rig::new(unterminated);
    each_tagged(true, &["ended", "open", "reset"], |case| {
        let mut body = request(&format!("{}/{}", case.primary(), case.model()), true);
        if case.caller == Wire::OpenAi {
            body["stream_options"] = json!({"include_usage": true});
        }
        let asked_at = Instant::now();
        let told =
            Told::new(case.caller, rig.gateway.ask(&Request::json(case.caller.path(), &body)), asked_at);
        rig.expect_primary(case, &told);
        rig.expect_attempts(case, &told, &[(case.primary(), "success")]);
        assert_eq!(told.output_tokens(), Some(USAGE.1));
        let line = rig.gateway.request_line(told.id());
        assert_eq!((&line["output_tokens"], line.get("usage_estimated")), (&json!(USAGE.1), None));
        let limit = Duration::from_millis(if case.tag == "open" { 1_900 } else { 800 });
        assert!(told.took < limit, "took {:?}", told.took);
        assert_eq!(rig.hits(case).len(), 1);
        let health = rig.gateway.health().to_string();
        assert!(!health.contains("cooling"), "a complete answer counted as a fault: {health}");
    });
}

#[test]
fn row_22_a_caller_that_leaves_mid_stream_closes_the_upstream_at_once() {
    let rig = Rig::new(|hit| {
        let mut script = two_words(hit);
        script.push(Act::Hold);
        script
    });
    each_stream(|case| {
        let body = request(&format!("{}/{}", case.primary(), case.model()), true);
        let id = format!("leaving-{}", case.model());
        let mut caller = rig.gateway.connect();
        caller.send(&Request::json(case.caller.path(), &body).header("x-request-id", &id)).unwrap();
        assert_eq!(caller.read_head().unwrap().status, 200);
        caller.read_until(" answer");
        let left_at = Instant::now();
        drop(caller);
        expect_closed(&rig, case, left_at);
        let line = rig.gateway.request_line(&id);
        assert_eq!((&line["status"], &line["error"]["type"]), (&json!(499), &json!("caller_gone")), "{line}");
        assert!(line["output_tokens"].as_u64().unwrap() >= 1, "{line}");
        assert_eq!(line["usage_estimated"], true, "what was used so far is an estimate: {line}");
    });
    until("no request in flight", || {
        // The one that asks is in flight itself.
        (rig.gateway.metric("bifrost_in_flight_requests", &[]) <= 1.0).then_some(())
    });
    assert!(!rig.gateway.health().to_string().contains("cooling"));
}

#[test]
fn row_22_what_was_used_until_the_caller_left_is_priced() {
    // Models that the catalog knows, at the providers it knows them of.
    let upstream = Upstream::start(|hit| {
        let mut script = two_words(hit);
        script.push(Act::Hold);
        script
    });
    let mut providers = json!({});
    for (name, wire) in [("openai", Wire::OpenAi), ("anthropic", Wire::Anthropic)] {
        providers[name] = provider(wire, &upstream.url(), &["k"]);
        providers[name].as_object_mut().unwrap().remove("custom_provider_config");
    }
    let gateway = Gateway::start(&json!({"providers": providers}));
    for (wire, model) in [(Wire::OpenAi, "openai/gpt-4o"), (Wire::Anthropic, "anthropic/claude-sonnet-4-5")] {
        let id = format!("priced-{wire:?}");
        let mut caller = gateway.connect();
        let asked = Request::json(wire.path(), &request(model, true)).header("x-request-id", &id);
        caller.send(&asked).unwrap();
        assert_eq!(caller.read_head().unwrap().status, 200);
        caller.read_until(" answer");
        drop(caller);
        let line = gateway.request_line(&id);
        assert_eq!((&line["status"], &line["usage_estimated"]), (&json!(499), &json!(true)), "{line}");
        let cost = line["cost"].as_f64().unwrap_or_else(|| panic!("no cost in {line}"));
        assert!(cost > 0.0, "{line}");
        let (provider, _) = model.split_once('/').unwrap();
        let counted = gateway.metric("bifrost_cost_total", &[("provider", provider)]);
        assert!((counted - cost).abs() < 1e-9, "{counted} and {cost}");
    }
}

#[test]
fn row_22_a_caller_that_leaves_before_the_answer_closes_the_upstream_at_once() {
    let rig = Rig::new(|hit| if hit.streams() { vec![stream_head(), Act::Hold] } else { vec![Act::Hold] });
    crate::rig::each(|case| {
        let mut body = request(&format!("{}/{}", case.primary(), case.model()), case.stream);
        body["fallbacks"] = json!([format!("{}/{}", case.backup(), backup_model(case))]);
        let mut caller = rig.gateway.connect();
        caller.send(&Request::json(case.caller.path(), &body)).unwrap();
        rig.primary
            .wait_for("the request", |hits| hits.iter().find(|hit| hit.model() == case.model()).map(drop));
        let left_at = Instant::now();
        drop(caller);
        expect_closed(&rig, case, left_at);
        assert!(rig.backup_hits(case).is_empty(), "nobody listens, but the fallback was asked");
    });
}

fn expect_closed(rig: &Rig, case: Case, left_at: Instant) {
    let closed = rig.primary.wait_for("the upstream to be closed", |hits| {
        hits.iter().find(|hit| hit.model() == case.model())?.left
    });
    let after = closed.saturating_duration_since(left_at);
    assert!(after < Duration::from_millis(400), "closed after {after:?}");
}
