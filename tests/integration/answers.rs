//! What the body of an answer is made of: the provider's own bytes, and `extra_fields` on `/v1`.

use std::time::Instant;

use serde_json::{Value, json};

use crate::stage::{chat, failover_stage, healthy_stage, providers, streamed};
use crate::support::Wire;
use crate::support::answers::{chunk, end, events, raw_answer, stream_head};
use crate::support::client::Request;
use crate::support::gateway::Gateway;
use crate::support::told::{Told, read_events};
use crate::support::upstream::Upstream;

/// Spacing, order and members that nobody would write again in the same way.
const ODD_OPENAI: &str = "{ \"unknown\" : [1.50, 1e3],\n\t\"id\":\"x\", \"object\":\"chat.completion\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"caf\\u00e9 \\/\"},\"finish_reason\":\"stop\"}], \"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1,\"total_tokens\":2} }\n";
const ODD_ANTHROPIC: &str = "{\"id\":\"msg_1\" ,\"type\":\"message\",\"role\":\"assistant\",\"model\":\"m\",\n \"content\":[{\"text\":\"caf\\u00e9\",\"type\":\"text\",\"new\":{}}],\"stop_reason\":\"end_turn\",\"stop_sequence\":null,\"usage\":{\"input_tokens\":1,\"output_tokens\":1},\"zz\":0}";

fn odd(wire: Wire) -> &'static str {
    match wire {
        Wire::OpenAi => ODD_OPENAI,
        Wire::Anthropic => ODD_ANTHROPIC,
    }
}

fn odd_stage() -> (Upstream, Gateway) {
    let upstream = Upstream::start(|hit| {
        if !hit.streams() {
            return raw_answer(200, "application/json", &[], odd(hit.wire()).as_bytes());
        }
        // Frames and chunks do not coincide, and a comment is in between.
        let whole = events(hit.wire(), "m").join(": a comment\n\n");
        let mut script = vec![stream_head()];
        script.extend(whole.as_bytes().chunks(37).map(chunk));
        script.push(end());
        script
    });
    let gateway = Gateway::start(&json!({"providers": providers(&upstream)}));
    (upstream, gateway)
}

const DROP_IN: [(&str, &str, Wire); 3] = [
    ("/openai/v1/chat/completions", "oa/m", Wire::OpenAi),
    ("/openai/chat/completions", "oa/m", Wire::OpenAi),
    ("/anthropic/v1/messages", "an/m", Wire::Anthropic),
];

#[test]
fn drop_in_routes_give_a_whole_answer_byte_for_byte() {
    let (_upstream, gateway) = odd_stage();
    for (path, model, wire) in DROP_IN {
        let answer = gateway.ask(&Request::json(path, &chat(model)));
        assert_eq!((answer.status(), answer.text().as_str()), (200, odd(wire)));
        assert_eq!(answer.header("content-length"), Some(odd(wire).len().to_string().as_str()));
    }
}

#[test]
fn drop_in_routes_give_a_stream_byte_for_byte() {
    let (_upstream, gateway) = odd_stage();
    for (path, model, wire) in DROP_IN {
        let mut body = streamed(model);
        if wire == Wire::OpenAi {
            body["stream_options"] = json!({"include_usage": true});
        }
        let answer = gateway.ask(&Request::json(path, &body));
        assert_eq!(answer.text(), events(wire, "m").join(": a comment\n\n"), "{path}");
    }
}

#[test]
fn the_usage_frame_is_asked_for_always_and_withheld_unless_the_caller_asked() {
    let (upstream, gateway) = healthy_stage(json!({}));
    for path in ["/openai/v1/chat/completions", "/v1/chat/completions"] {
        for asked in [false, true] {
            let mut body = streamed("oa/m");
            if asked {
                body["stream_options"] = json!({"include_usage": true});
            }
            let answer = gateway.ask(&Request::json(path, &body));
            let (frames, done) = read_events(&answer.text());
            assert!(done);
            let with_usage = frames.iter().filter(|(_, frame)| frame["usage"].is_object()).count();
            assert_eq!(with_usage, usize::from(asked), "{path}: {}", answer.text());
            let line = gateway.request_line(answer.header("x-request-id").unwrap());
            assert_eq!((&line["input_tokens"], &line["output_tokens"]), (&json!(11), &json!(4)));
        }
    }
    assert!(upstream.hits().iter().all(|hit| hit.json["stream_options"]["include_usage"] == true));
}

fn expect_fields(fields: &Value, kind: &str, provider: &str, asked: &str) {
    assert_eq!(fields["request_type"], kind, "{fields}");
    assert_eq!((&fields["provider"], &fields["model_requested"]), (&json!(provider), &json!(asked)));
    assert!(fields["latency"].is_u64());
    let attempt = &fields["attempts"][0];
    assert_eq!((&attempt["provider"], &attempt["outcome"]), (&json!(provider), &json!("success")));
    assert_eq!((&attempt["key"], &attempt["status"]), (&json!("main"), &json!(200)));
}

#[test]
fn unified_routes_tell_how_an_answer_was_made() {
    let (_upstream, gateway) = healthy_stage(json!({}));
    for wire in [Wire::OpenAi, Wire::Anthropic] {
        for (provider, model) in [("oa", "oa/m"), ("an", "an/m")] {
            let whole = gateway.ask(&Request::json(wire.path(), &chat(model))).json();
            expect_fields(&whole["extra_fields"], "chat_completion", provider, model);
            let began = Instant::now();
            let told = Told::new(wire, gateway.ask(&Request::json(wire.path(), &streamed(model))), began);
            expect_fields(&told.extra(), "chat_completion_stream", provider, model);
            let telling = told.events.iter().filter(|(_, event)| event.get("extra_fields").is_some()).count();
            assert_eq!(telling, 1, "only the last event tells");
        }
    }
}

#[test]
fn unified_routes_tell_how_an_error_came_about_and_drop_in_routes_do_not() {
    let (_bad, _good, gateway) = failover_stage(json!({}));
    for stream in [false, true] {
        let mut body = chat(if stream { "bad/streamed" } else { "bad/whole" });
        body["stream"] = json!(stream);
        let answer = gateway.ask(&Request::json("/v1/chat/completions", &body));
        assert_eq!((answer.status(), answer.header("x-bf-attempts")), (503, Some("2")));
        let attempts = answer.json()["extra_fields"]["attempts"].clone();
        let outcomes: Vec<&Value> =
            attempts.as_array().unwrap().iter().map(|entry| &entry["outcome"]).collect();
        assert_eq!(outcomes, ["overloaded", "overloaded"]);
        let answer = gateway.ask(&Request::json("/openai/v1/chat/completions", &body));
        assert_eq!(answer.status(), 503);
        assert!(answer.json().get("extra_fields").is_none(), "{}", answer.text());
    }
}
