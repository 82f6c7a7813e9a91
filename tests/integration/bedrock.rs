//! Callers of Bedrock's dialect, and a provider of it.

use serde_json::{Value, json};

use crate::support::answers::json_answer;
use crate::support::client::Request;
use crate::support::gateway::Gateway;
use crate::support::upstream::{Hit, Script, Upstream};

fn stage(answer: impl Fn(&Hit) -> Script + Send + Sync + 'static) -> (Upstream, Gateway) {
    let upstream = Upstream::start(answer);
    let provider = |base: &str| {
        json!({
            "keys": [{"name": "main", "value": "provider-key"}],
            "custom_provider_config": {"base_provider_type": base},
            "network_config": {"base_url": upstream.url(), "max_retries": 0},
        })
    };
    let providers = json!({"house": provider("bedrock"), "claude": provider("anthropic")});
    let gateway = Gateway::start(&json!({"providers": providers, "routing": {"groups": {
        "mix": {"targets": [{"model": "claude/claude-x", "weight": 9}, {"model": "house/amazon.titan-x"}]}}}}));
    (upstream, gateway)
}

fn converse(reason: &str) -> Value {
    json!({
        "output": {"message": {"role": "assistant", "content": [
            {"toolUse": {"toolUseId": "t", "name": "f", "input": {}}},
        ]}},
        "stopReason": reason,
        "usage": {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2},
        "metrics": {"latencyMs": 1},
    })
}

#[test]
fn stored_prompts_were_refused_for_their_missing_messages() {
    let (upstream, gateway) = stage(|_| json_answer(200, &[], &converse("end_turn")));
    let body = json!({"promptVariables": {"name": {"text": "Ann"}}});
    let path = |provider: &str| {
        format!("/bedrock/model/{provider}%2Farn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Aprompt%2FABC%3A1/converse")
    };
    let answer = gateway.ask(&Request::json(&path("house"), &body));
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let hits = upstream.hits();
    assert!(hits[0].path.contains("prompt%2FABC%3A1/converse"), "{}", hits[0].path);
    assert_eq!(hits[0].json, body);
    // Another wire cannot do without them.
    let answer = gateway.ask(&Request::json(&path("claude"), &body));
    assert_eq!(answer.status(), 400);
    assert!(answer.text().contains("`messages` is missing"), "{}", answer.text());
}

#[test]
fn half_written_calls_in_whole_answers_were_taken_for_calls() {
    let (_upstream, gateway) = stage(|_| json_answer(200, &[], &converse("malformed_tool_use")));
    let body = json!({"model": "house/m", "max_tokens": 9, "messages": [{"role": "user", "content": "q"}]});
    for path in ["/v1/messages", "/v1/chat/completions"] {
        let answer = gateway.ask(&Request::json(path, &body));
        assert_eq!(answer.status(), 502, "{}", answer.text());
        assert!(answer.text().contains("malformed_tool_use"), "{}", answer.text());
    }
}

#[test]
fn overload_has_the_status_that_aws_has_for_it() {
    let overloaded = json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}});
    let (_upstream, gateway) = stage(move |_| json_answer(529, &[], &overloaded));
    let body = json!({"messages": [{"role": "user", "content": [{"text": "q"}]}]});
    let answer = gateway.ask(&Request::json("/bedrock/model/claude%2Fclaude-sonnet-4-5/converse", &body));
    assert_eq!(answer.status(), 503, "{}", answer.text());
    assert_eq!(answer.header("x-amzn-errortype"), Some("ServiceUnavailableException"));
}

#[test]
fn an_unread_body_goes_to_the_model_of_a_group_that_is_at_home_there() {
    let (upstream, gateway) = stage(|_| json_answer(200, &[], &json!({"results": []})));
    let body = json!({"inputText": "Hi"});
    for _ in 0..4 {
        let answer = gateway.ask(&Request::json("/bedrock/model/mix/invoke", &body));
        assert_eq!(answer.status(), 200, "{}", answer.text());
    }
    assert!(upstream.hits().iter().all(|hit| hit.path.contains("amazon.titan-x") && hit.json == body));
}
